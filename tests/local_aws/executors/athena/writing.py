"""CTAS, INSERT INTO and UNLOAD: what a query gives, written as files of S3."""

from __future__ import annotations

import gzip
import io
import json
import re
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ... import account, storage
from ...errors import AWSError
from ...storage import S3Location
from .datatypes import hive_type
from .engine import Answer, arrow_types
from .errors import QueryError
from .results import value_text

_MOST_PARTITIONS = 100
_ESCAPED = re.compile(r"[\x00-\x1f\"#%'*/:=?\\{\[\]^\x7f]")


def check_empty(location: str, caller: str, table: str = "") -> None:
    """Refuse to write where objects are, as Athena does."""
    try:
        present = storage.list_objects(S3Location.parse(location), caller)
    except AWSError as error:
        message = f"{error.message}: {location}"
        raise QueryError("HIVE_FILESYSTEM_ERROR", message) from None
    if present:
        what = f" for table '{table}'" if table else ""
        raise QueryError(
            "HIVE_PATH_ALREADY_EXISTS",
            f"Target directory{what} already exists: {location}. You may need to manually clean "
            f"the data at location '{location}' before retrying. Athena will not delete data in "
            "your account.",
        )


def column_types(answer: Answer) -> dict[str, str]:
    """The catalog's types of a query's columns. Refuses what no table can hold."""
    types: dict[str, str] = {}
    for name, kind in zip(answer.names, answer.kinds, strict=True):
        if name in types:
            message = f"Column name '{name}' specified more than once"
            raise QueryError("DUPLICATE_COLUMN_NAME", message)
        if kind.id == "timestamp with time zone":
            message = "Unsupported Hive type: timestamp(3) with time zone"
            raise QueryError("NOT_SUPPORTED", message)
        types[name] = hive_type(kind)
        if not types[name]:
            raise QueryError("COLUMN_TYPE_UNKNOWN", f"Column type is unknown: {name}")
    return types


def write(
    answer: Answer,
    types: dict[str, str],
    keys: list[str],
    location: str,
    properties: dict[str, Any],
    caller: str,
) -> tuple[list[str], dict[tuple[str, ...], str]]:
    """Write the answer's rows, one file for each partition.

    Args:
        types: DuckDB's types of all columns, in the answer's order, the partition keys last.
        keys: the partition keys.
        properties: `format`, `field_delimiter`, `compression` or `write_compression`.

    Returns:
        The URIs of the files, and the location of each partition by its values.
    """
    if list(types)[len(types) - len(keys) :] != keys:
        message = (
            "Partition keys must be the last columns in the table and in the same order as the "
            f"table properties: [{', '.join(keys)}]"
        )
        raise QueryError("HIVE_COLUMN_ORDER_MISMATCH", message)
    table = answer.table.rename_columns(list(types))
    try:
        table = table.cast(arrow_types(types))
    except pa.ArrowInvalid as error:
        raise QueryError("NUMERIC_VALUE_OUT_OF_RANGE", str(error)) from None
    files: list[str] = []
    partitions: dict[tuple[str, ...], str] = {}
    for values, rows in _split(table, keys):
        folders = "".join(f"{k}={escaped(v)}/" for k, v in zip(keys, values, strict=True))
        target = location.rstrip("/") + "/" + folders
        data, suffix = _encode(rows.drop_columns(keys), properties)
        uri = f"{target}{account.now():%Y%m%d_%H%M%S}_{account.new_id()}{suffix}"
        storage.write(S3Location.parse(uri), data, caller)
        files.append(uri)
        if keys:
            partitions[values] = target
    return files, partitions


def escaped(value: str) -> str:
    """A partition value as Hive writes it into a path."""
    return _ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", value)


def _split(table: pa.Table, keys: list[str]) -> list[tuple[tuple[str, ...], pa.Table]]:
    if not keys:
        return [((), table)] if table.num_rows else []
    rows: dict[tuple[str, ...], list[int]] = {}
    for index, values in enumerate(zip(*(table[k].to_pylist() for k in keys), strict=True)):
        texts = ("__HIVE_DEFAULT_PARTITION__" if v is None else value_text(v) for v in values)
        rows.setdefault(tuple(texts), []).append(index)
    if len(rows) > _MOST_PARTITIONS:
        message = f"Exceeded limit of {_MOST_PARTITIONS} open writers for partitions/buckets"
        raise QueryError("HIVE_TOO_MANY_OPEN_PARTITIONS", message)
    return [(values, table.take(indices)) for values, indices in rows.items()]


def _encode(table: pa.Table, properties: dict[str, Any]) -> tuple[bytes, str]:
    """The content of a file, and the suffix of its name."""
    form = str(properties.get("format", "PARQUET")).upper()
    given = properties.get("write_compression") or properties.get("compression")
    compression = str(given or properties.get("parquet_compression") or "GZIP").upper()
    if form == "PARQUET":
        target = io.BytesIO()
        codec = "NONE" if compression in ("NONE", "UNCOMPRESSED") else compression
        options = {"coerce_timestamps": "ms", "allow_truncated_timestamps": True}
        pq.write_table(table, target, compression=codec, **options)
        return target.getvalue(), ""
    if form == "JSON":
        lines = (json.dumps(row, default=value_text) + "\n" for row in table.to_pylist())
        data = "".join(lines).encode()
    elif form in ("TEXTFILE", "CSV"):
        delimiter = str(properties.get("field_delimiter", "\x01"))
        rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
        data = "".join(
            delimiter.join("\\N" if v is None else value_text(v) for v in row) + "\n"
            for row in rows
        ).encode()
    else:
        raise QueryError("NOT_SUPPORTED", f"Writing {form} is not carried out offline")
    if compression == "GZIP":
        return gzip.compress(data, mtime=0), ".gz"
    if compression in ("NONE", "UNCOMPRESSED"):
        return data, ""
    raise QueryError("NOT_SUPPORTED", f"{form} with {compression} is not carried out offline")
