"""A private `/opt/ml` for each job, without Docker.

A container sees its own file system; a process here sees everybody's. So every job has a folder
that stands for the root of its file system, and the text `/opt/ml` is replaced by the path of the
folder's `opt/ml` wherever a program could read it: in the job's own copies of scripts and
configuration files, in arguments and in environment variables. In what the job prints, the private
paths are replaced back, so that its log reads as on AWS.

Limits, on purpose: a path that a program puts together from pieces (`os.path.join("/opt", "ml")`)
is not seen; neither is one inside data files or a pickle. Files that a job writes keep the private
path if it wrote one into them. All other folders of the machine are visible to a job.
"""

from __future__ import annotations

import io
import re
import shutil
import sys
import tarfile
from pathlib import Path

_PUBLIC = "/opt/ml"
_TEXT_SUFFIXES = {
    ".cfg", ".conf", ".env", ".ini", ".json", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml",
}  # fmt: skip
_PIP_PROGRAMS = Path(__file__).parent / "pip_stub" / "bin"
# Where AWS's images for XGBoost and scikit-learn have their Python.
_PYTHON_ON_AWS = "/miniconda3"


class OptMl:
    """The file system root of one job.

    Attributes:
        root: the folder that stands for `/`.
        path: the folder that stands for `/opt/ml`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.path = self.root / "opt" / "ml"
        self.path.mkdir(parents=True, exist_ok=True)
        (self.root / "root").mkdir(exist_ok=True)
        (self.root / "tmp").mkdir(exist_ok=True)
        # `pip` as a job finds it on its PATH; copied, so that the path is one of the container's.
        shutil.copytree(_PIP_PROGRAMS, self.root / "bin", dirs_exist_ok=True)
        prefixes = {sys.prefix, sys.base_prefix} - {"/usr", "/usr/local", "/"}
        parts = sorted(map(re.escape, prefixes), key=len, reverse=True)
        self._python = re.compile("|".join(parts)) if parts else None
        self._own = re.compile(re.escape(str(self.root)) + r"(?P<slash>/)?")

    def inward(self, text: str) -> str:
        """The text as the job must read it: with private paths."""
        # `/opt/mlflow` is another folder, and what is private already stays as it is.
        pattern = rf"(?<!{re.escape(str(self.root))}){_PUBLIC}(?![\w-])"
        return re.sub(pattern, lambda _: str(self.path), text)

    def outward(self, text: str) -> str:
        """The text as AWS would show it: with `/opt/ml`, and Python where its images have it."""
        text = self._own.sub("/", text)
        return self._python.sub(_PYTHON_ON_AWS, text) if self._python else text

    def locate(self, path: str) -> Path:
        """The private place of an absolute path in the container.

        Raises:
            ValueError: the path leads out of the container's file system.
        """
        place = (self.root / path.lstrip("/")).resolve()
        if not place.is_relative_to(self.root):
            raise ValueError(f"{path} is not a path inside the container; use one below /opt/ml.")
        return place

    def adopt_code(self, folder: Path) -> bool:
        """Rewrite the paths in the scripts of a folder, and in those in its `.tar.gz` archives.

        Returns whether there was anything to rewrite.
        """
        changed = False
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name.endswith((".tar.gz", ".tgz")):
                changed |= self._adopt_archive(path)
            elif path.is_file() and path.suffix in _TEXT_SUFFIXES:
                changed |= self._adopt_file(path)
        return changed

    def environment(self) -> dict[str, str]:
        """The variables that depend on the place: home, temporary files."""
        return {"HOME": str(self.root / "root"), "TMPDIR": str(self.root / "tmp")}

    def _adopt_file(self, path: Path) -> bool:
        content = path.read_bytes()
        if _PUBLIC.encode() not in content:
            return False
        try:
            path.write_bytes(self.inward(content.decode()).encode())
        except UnicodeDecodeError:
            return False
        return True

    def _adopt_archive(self, path: Path) -> bool:
        content = path.with_name(path.name + ".content")
        try:
            unpack(path.read_bytes(), content)
            changed = self.adopt_code(content)
            if changed:
                path.write_bytes(pack(content))
            return changed
        except tarfile.TarError:
            return False  # Not an archive, or a broken one: the script that opens it will say so.
        finally:
            shutil.rmtree(content, ignore_errors=True)


def unpack(archive: bytes, folder: Path) -> None:
    """Unpack a `.tar.gz`. Raises tarfile.TarError if it is broken or a path leaves the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:*") as tar:
            tar.extractall(folder, filter="data")
    except (EOFError, OSError) as error:
        raise tarfile.ReadError(str(error)) from error


def pack(folder: Path) -> bytes:
    """The content of a folder as a `.tar.gz`, the same bytes for the same content."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(folder.rglob("*")):
            tar.add(
                path, arcname=path.relative_to(folder).as_posix(), recursive=False, filter=_plain
            )
    import gzip

    # Level 6 is what `tar -z` uses; 9 takes three times as long for a hundredth of the size.
    return gzip.compress(raw.getvalue(), compresslevel=6, mtime=0)


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    return entry
