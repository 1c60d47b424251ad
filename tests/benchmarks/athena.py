"""Athena of the offline AWS on partitioned Parquet against DuckDB on the same files, locally."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds

from tests.local_aws.environment import LocalAWS

from .measure import compare, row

_FLIGHTS = Path(__file__).parents[2] / "chapter02" / "data" / "flights.parquet"
_COPIES = 10  # 3.4 million rows: enough that reading, not starting, is what takes the time
_BUCKET = "benchmark"
_QUERY = """
SELECT carrier, count(*) AS flights, avg(arr_delay) AS delay,
       approx_percentile(dep_delay, 0.9) AS worst
FROM {table} WHERE month BETWEEN 3 AND 10 GROUP BY carrier ORDER BY carrier
"""


def report() -> Iterator[str]:
    """Lines of a Markdown table."""
    with LocalAWS() as aws, tempfile.TemporaryDirectory() as folder:
        _write(Path(folder))
        _upload(aws, Path(folder))
        athena = aws.client("athena")
        source = f"read_parquet('{folder}/**/*.parquet', hive_partitioning=true)"
        local_query = _QUERY.format(table=source).replace("approx_percentile", "approx_quantile")

        def local() -> None:
            with duckdb.connect() as connection:
                connection.execute(local_query).fetchall()

        query = _QUERY.format(table="benchmark.flights")
        ours, other = compare(lambda: _query(athena, query), local, times=10)
    yield row("Athena, 8 of 12 partitions", ours, other, "≤ 1.5 of DuckDB")


def _write(folder: Path) -> None:
    flights = pd.read_parquet(_FLIGHTS)[["month", "carrier", "arr_delay", "dep_delay", "distance"]]
    table = pa.Table.from_pandas(pd.concat([flights] * _COPIES), preserve_index=False)
    partitioning = ds.partitioning(
        pa.schema([("month", table.schema.field("month").type)]), flavor="hive"
    )
    ds.write_dataset(table, folder, format="parquet", partitioning=partitioning)


def _upload(aws: LocalAWS, folder: Path) -> None:
    s3, athena = aws.client("s3"), aws.client("athena")
    s3.create_bucket(Bucket=_BUCKET)
    for path in folder.rglob("*.parquet"):
        s3.upload_file(str(path), _BUCKET, f"flights/{path.relative_to(folder).as_posix()}")
    for statement in [
        "CREATE DATABASE benchmark",
        "CREATE EXTERNAL TABLE benchmark.flights (carrier string, arr_delay double, "
        "dep_delay double, distance int) PARTITIONED BY (month int) STORED AS PARQUET "
        f"LOCATION 's3://{_BUCKET}/flights/'",
        "MSCK REPAIR TABLE benchmark.flights",
    ]:
        _query(athena, statement)


def _query(athena: Any, statement: str) -> None:
    query = athena.start_query_execution(
        QueryString=statement,
        ResultConfiguration={"OutputLocation": f"s3://{_BUCKET}/results/"},
    )["QueryExecutionId"]
    while True:
        status = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]
        if status["State"] in ("SUCCEEDED", "FAILED", "CANCELLED"):
            break
        time.sleep(0.005)
    if status["State"] != "SUCCEEDED":
        raise RuntimeError(status["StateChangeReason"])
