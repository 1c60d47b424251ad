"""The retail table laid out in a bucket in several ways, and ten times as long."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import boto3
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

# Longer than the two years that the table covers, and whole weeks: weekdays stay what they are.
SHIFT = timedelta(weeks=106)
CUSTOMERS = 100_000  # more than there are; customer 12345 of copy 3 becomes 312345


def periods(table: pa.Table, column: str, unit: str) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each day or month, named as in `2011-11-30`; in the order of time.

    Raises:
        ValueError: if the unit is neither, or the table is empty.
    """
    formats = {"day": "%Y-%m-%d", "month": "%Y-%m"}
    if unit not in formats:
        raise ValueError(f"the unit is 'day' or 'month', not {unit!r}")
    if not table.num_rows:
        raise ValueError("the table is empty: nothing to lay out")
    table = table.sort_by(column)
    names = pc.strftime(table[column], format=formats[unit]).combine_chunks()
    runs = pc.run_end_encode(names)
    start = 0
    for name, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
        yield name, table.slice(start, end - start)
        start = end


def put_csv(table: pa.Table, bucket: str, folder: str, unit: str) -> int:
    """Write a CSV object without a header for each day or month; return how many."""
    return _put_each(table, bucket, folder, unit, "csv")


def put_parquet(table: pa.Table, bucket: str, folder: str, unit: str) -> int:
    """Write a Parquet object for each day or month; return how many."""
    return _put_each(table, bucket, folder, unit, "parquet")


def put_sorted(table: pa.Table, bucket: str, folder: str, column: str) -> pq.FileMetaData:
    """Write the table as one Parquet object in the order of a column; return its footer."""
    body = _as_parquet(table.sort_by(column))
    boto3.client("s3").put_object(Bucket=bucket, Key=f"{folder}/rows.parquet", Body=body)
    return pq.read_metadata(io.BytesIO(body))


def put_copies(table: pa.Table, bucket: str, folder: str, copies: int) -> int:
    """Write the table so many times, as one object each; return the rows in all.

    Each copy is later by 106 weeks and has customers of its own, so that the result is a table as
    it would be after so many times two years, of a shop that starts again with new customers.
    """
    s3 = boto3.client("s3")
    for copy in range(copies):
        shifted = shift(table, copy)
        body = _as_parquet(shifted, compression_level=1)
        s3.put_object(Bucket=bucket, Key=f"{folder}/copy-{copy:02}.parquet", Body=body)
    return copies * table.num_rows


def shift(table: pa.Table, copy: int) -> pa.Table:
    """The table with later dates and other customers; copy 0 is the table itself."""
    dates = pc.add(table["invoice_date"], pa.scalar(copy * SHIFT, pa.duration("ms")))
    customers = pc.add(table["customer_id"], pa.scalar(copy * CUSTOMERS, pa.int32()))
    columns = {"invoice_date": dates, "customer_id": customers}
    for name, values in columns.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(place), values)
    return table


def inventory(bucket: str, folder: str) -> dict[str, int]:
    """How many objects lie in a folder, and their bytes.

    Raises:
        ValueError: if there are none: an empty partition reads like a question nobody answers.
    """
    found = boto3.resource("s3").Bucket(bucket).objects.filter(Prefix=f"{folder}/")
    sizes = [each.size for each in found]
    if not sizes:
        raise ValueError(f"s3://{bucket}/{folder}/ is empty; check the name of the folder")
    return {"objects": len(sizes), "bytes": sum(sizes)}


def stored(bucket: str, folders: Sequence[str]) -> pd.DataFrame:
    """Objects, MB, and KB an object (two digits of them), of each folder."""
    found = {folder: inventory(bucket, folder) for folder in folders}
    table = pd.DataFrame(found).T
    return pd.DataFrame(
        {
            "objects": table["objects"],
            "MB": (table["bytes"] / 1e6).round(1),
            "KB an object": [
                float(f"{each / 1e3:.2g}") for each in table["bytes"] / table["objects"]
            ],
        }
    )


def columns_ddl(table: pa.Table, types: dict[str, str] | None = None) -> str:
    """The columns for CREATE TABLE; `types` replaces Arrow's names for types by Athena's."""
    athena = {"int32": "int", "timestamp[ms]": "timestamp"} | (types or {})
    return ", ".join(
        f"{each.name} {athena.get(str(each.type), each.type)}" for each in table.schema
    )


def _put_each(table: pa.Table, bucket: str, folder: str, unit: str, suffix: str) -> int:
    s3, written = boto3.client("s3"), 0
    for name, rows in periods(table, "invoice_date", unit):
        body = _as_csv(rows) if suffix == "csv" else _as_parquet(rows)
        s3.put_object(Bucket=bucket, Key=f"{folder}/{name}.{suffix}", Body=body)
        written += 1
    return written


def _as_csv(rows: pa.Table) -> bytes:
    body = io.BytesIO()
    pa_csv.write_csv(rows, body, pa_csv.WriteOptions(include_header=False))
    return body.getvalue()


def _as_parquet(rows: pa.Table, **options: Any) -> bytes:
    body = io.BytesIO()
    pq.write_table(rows, body, compression="zstd", row_group_size=65_536, **options)
    return body.getvalue()
