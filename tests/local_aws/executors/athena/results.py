"""Results as Athena writes them: text in a CSV file for a query, in a TXT file for the rest."""

from __future__ import annotations

import io
import json
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from .datatypes import column_info
from .engine import Answer
from .functions import double_text, timestamp_text


def columns_of(answer: Answer, headings: dict[str, str]) -> list[dict[str, Any]]:
    """The columns of a query's result, in the case in which the query wrote their names."""
    pairs = zip(answer.names, answer.kinds, strict=True)
    return [column_info(headings.get(name, name), kind) for name, kind in pairs]


def as_csv(answer: Answer, names: list[str]) -> bytes:
    """The result file: every value quoted, a NULL as nothing at all."""
    texts = [_as_text(column) for column in answer.table.columns]
    target = io.BytesIO()
    target.write((",".join('"' + name.replace('"', '""') + '"' for name in names) + "\n").encode())
    if answer.table.num_rows:
        # Arrow wants names to be different; the header above has them as they are.
        table = pa.table(texts, names=[str(index) for index in range(len(texts))])
        options = pa_csv.WriteOptions(include_header=False, quoting_style="all_valid")
        pa_csv.write_csv(table, target, options)
    return target.getvalue()


def rows_of(data: bytes, start: int, count: int) -> list[list[str | None]]:
    """Some rows of a result file; its header is row 0."""
    columns = _parsed(data).slice(start, count).columns
    return [list(row) for row in zip(*(column.to_pylist() for column in columns), strict=True)]


def count_rows(data: bytes) -> int:
    """How many rows a result file has, its header among them."""
    return _parsed(data).num_rows


@lru_cache(maxsize=2)
def _parsed(data: bytes) -> pa.Table:
    width = data.split(b"\n", 1)[0].count(b'","') + 1
    names = [str(index) for index in range(width)]
    return pa_csv.read_csv(
        io.BytesIO(data),
        pa_csv.ReadOptions(column_names=names),
        pa_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def metadata(columns: list[dict[str, Any]]) -> bytes:
    """The `.metadata` file. AWS's is in a binary form it does not document; this one is JSON."""
    return json.dumps({"ColumnInfo": columns}).encode()


def as_rows(rows: list[list[str | None]]) -> list[dict[str, Any]]:
    """Rows as GetQueryResults gives them; a NULL is an empty datum."""
    return [{"Data": [{} if v is None else {"VarCharValue": v} for v in row]} for row in rows]


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column
    if pa.types.is_timestamp(kind):
        zone = " UTC" if kind.tz else ""
        rounded = column.cast(pa.timestamp("ms"), safe=False)
        return pc.strftime(rounded, format=f"%Y-%m-%d %H:%M:%S{zone}")
    simple = (pa.types.is_integer, pa.types.is_boolean, pa.types.is_date, pa.types.is_decimal)
    if any(test(kind) for test in simple):
        return column.cast(pa.string())
    if pa.types.is_float32(kind):
        # The shortest text that gives the same single-precision number again.
        column = column.cast(pa.string()).cast(pa.float64())
    values = [None if value is None else value_text(value) for value in column.to_pylist()]
    return pa.chunked_array([pa.array(values, pa.string())])


def value_text(value: Any) -> str:
    """A value as text: `[1, 2]`, `{k=v}`, `68 69` for bytes, a double as Java writes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return double_text(value)
    if isinstance(value, datetime):
        return timestamp_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex(" ")
    if isinstance(value, dict):
        pairs = ((_field(name), value_text(item)) for name, item in value.items())
        return "{" + ", ".join(f"{name}={item}" for name, item in pairs) + "}"
    if isinstance(value, list):
        if value and all(isinstance(item, tuple) for item in value):
            return "{" + ", ".join(f"{value_text(k)}={value_text(v)}" for k, v in value) + "}"
        return "[" + ", ".join(value_text(item) for item in value) + "]"
    return str(value)


def _field(name: str) -> str:
    """Athena calls the fields of a row without names field0, field1, …"""
    return f"field{name[1:]}" if name[:1] == "_" and name[1:].isdigit() else name.lower()
