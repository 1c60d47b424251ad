"""What a file holds, found out as the built-in classifiers of AWS Glue do: format, columns, types.

Formats are tried in AWS's order of certainty: Parquet and ORC by their first bytes, then JSON, then
CSV. A file that none of them recognises has no schema (AWS calls it UNKNOWN).
https://docs.aws.amazon.com/glue/latest/dg/add-classifier.html
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet

# Text is classified by its first part, as AWS does.
_SAMPLE_BYTES = 1 << 20
_SAMPLE_ROWS = 1_000
_DELIMITERS = (",", "|", "\t", ";", "\u0001")
_LONGEST_HEADER_FIELD = 150
_INTEGER = re.compile(r"[+-]?\d{1,18}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_HEADER_FIELD = re.compile(r"[^\x00-\x1f]+")
_COMPRESSIONS = {
    b"\x1f\x8b": ("gzip", gzip.open),
    b"BZh": ("bzip2", bz2.open),
    b"\xfd7zXZ": ("xz", lzma.open),
}


@dataclass(frozen=True)
class FileSchema:
    """The schema of one file.

    Attributes:
        classification: `parquet`, `orc`, `json` or `csv`.
        columns: name and Hive type, in the file's order.
        records: how many records the file holds; estimated for a text longer than the sample.
        compression: of the file as a whole: `none`, `gzip`, `bzip2`, `xz`, `zip`.
        delimiter, has_header, quoted: of a CSV file.
        paths: the names as they are written in a JSON file.
    """

    classification: str
    columns: tuple[tuple[str, str], ...]
    records: int
    compression: str = "none"
    delimiter: str | None = None
    has_header: bool = False
    quoted: bool = False
    paths: tuple[str, ...] = field(default=())

    def resembles(self, other: FileSchema) -> bool:
        """Whether the two belong to one table: same format, and most columns in common."""
        if (self.classification, self.compression) != (other.classification, other.compression):
            return False
        if self.delimiter != other.delimiter:
            return False
        mine = {name for name, _ in self.columns}
        theirs = {name for name, _ in other.columns}
        return len(mine & theirs) >= 0.7 * min(len(mine), len(theirs))


def classify(source: BinaryIO, size: int) -> FileSchema | None:
    """The schema of a file; None if no classifier recognises it.

    Args:
        source: the file, able to seek.
        size: its length in bytes.
    """
    start = source.read(8)
    source.seek(0)
    if start.startswith(b"PAR1"):
        return _parquet(source)
    if start.startswith(b"ORC"):
        return _orc(source)
    try:
        sample, compression, complete = _sample(source, start)
        text = _decode(sample, complete)
    except (OSError, EOFError, UnicodeDecodeError, zipfile.BadZipFile):
        return None
    found = _json(text, complete) or _csv(text, complete)
    if found is None:
        return None
    length = len(sample) if complete or compression != "none" else size
    records = round(found.records * length / max(len(sample), 1))
    return FileSchema(**{**found.__dict__, "records": records, "compression": compression})


def merge(schemas: list[FileSchema]) -> FileSchema:
    """One schema for files of one table: all columns, each of a type that holds all its values."""
    types: dict[str, str] = {}
    for schema in schemas:
        for name, kind in schema.columns:
            types[name] = merge_types(types[name], kind) if name in types else kind
    first = schemas[0]
    return FileSchema(
        classification=first.classification,
        columns=tuple(types.items()),
        records=sum(schema.records for schema in schemas),
        compression=first.compression,
        delimiter=first.delimiter,
        has_header=first.has_header,
        quoted=any(schema.quoted for schema in schemas),
        paths=tuple(dict.fromkeys(path for schema in schemas for path in schema.paths)),
    )


# ── Parquet and ORC ──────────────────────────────────────────────────────────────────────────────


def _parquet(source: BinaryIO) -> FileSchema | None:
    try:
        metadata = pa.parquet.read_metadata(source)
    except (pa.ArrowException, OSError):
        return None
    schema = metadata.schema.to_arrow_schema()
    return FileSchema("parquet", _hive_columns(schema), metadata.num_rows)


def _orc(source: BinaryIO) -> FileSchema | None:
    try:
        file = pa.orc.ORCFile(source)
    except (pa.ArrowException, OSError):
        return None
    return FileSchema("orc", _hive_columns(file.schema), file.nrows)


def _hive_columns(schema: pa.Schema) -> tuple[tuple[str, str], ...]:
    return tuple((item.name.lower(), hive_type(item.type)) for item in schema)


_SIMPLE_TYPES = {
    pa.bool_(): "boolean",
    pa.int8(): "tinyint",
    pa.int16(): "smallint",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.uint8(): "smallint",
    pa.uint16(): "int",
    pa.uint32(): "bigint",
    pa.uint64(): "decimal(20,0)",
    pa.float16(): "float",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.date32(): "date",
    pa.date64(): "date",
    pa.null(): "string",
}


def hive_type(kind: pa.DataType) -> str:
    """The Hive type that the Data Catalog writes for an Arrow type."""
    if kind in _SIMPLE_TYPES:
        return _SIMPLE_TYPES[kind]
    if pa.types.is_dictionary(kind):
        return hive_type(kind.value_type)
    if pa.types.is_timestamp(kind):
        return "timestamp"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return "binary"
    if pa.types.is_fixed_size_binary(kind):
        return "binary"
    if pa.types.is_time(kind):
        return "bigint"
    if pa.types.is_map(kind):
        return f"map<{hive_type(kind.key_type)},{hive_type(kind.item_type)}>"
    if pa.types.is_struct(kind):
        fields = (f"{item.name.lower()}:{hive_type(item.type)}" for item in kind)
        return f"struct<{','.join(fields)}>"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"array<{hive_type(kind.value_type)}>"
    return "string"


# ── text ─────────────────────────────────────────────────────────────────────────────────────────


def _sample(source: BinaryIO, start: bytes) -> tuple[bytes, str, bool]:
    """The first part of the text, its compression, and whether that part is all of it."""
    compression = "none"
    stream: Any = source
    if start.startswith(b"PK\x03\x04"):
        archive = zipfile.ZipFile(source)
        names = [item for item in archive.namelist() if not item.endswith("/")]
        if len(names) != 1:
            raise zipfile.BadZipFile("A zip archive is read if it holds exactly one file.")
        compression, stream = "zip", archive.open(names[0])
    for magic, (name, opener) in _COMPRESSIONS.items():
        if start.startswith(magic):
            compression, stream = name, opener(source)
    sample = stream.read(_SAMPLE_BYTES)
    return sample, compression, not stream.read(1)


def _decode(sample: bytes, complete: bool) -> str:
    """The text of the sample, without the line that its end cuts."""
    if not complete:
        sample = sample[: sample.rfind(b"\n") + 1] or sample
    if b"\x00" in sample:
        raise UnicodeDecodeError("utf-8", sample, 0, 1, "a binary file")
    return sample.decode("utf-8-sig")


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────


def _json(text: str, complete: bool) -> FileSchema | None:
    records = _json_values(text, complete)
    if not records:
        return None
    if all(isinstance(record, dict) for record in records):
        types: dict[str, str] = {}
        for record in records:
            for name, value in record.items():
                kind = _json_type(value)
                types[name] = merge_types(types[name], kind) if name in types else kind
        columns = tuple((name.lower(), _settled(kind)) for name, kind in types.items())
        return FileSchema("json", columns, len(records), paths=tuple(sorted(types)))
    if len(records) == 1 and isinstance(records[0], list):
        # AWS makes one column of an array at the top; a JSON path would be needed to go below.
        column = ("array", _settled(_json_type(records[0])))
        return FileSchema("json", (column,), 1, paths=("array",))
    return None


def _json_values(text: str, complete: bool) -> list[Any]:
    """The JSON values one after another, whatever white space or line ends are between them."""
    if text.lstrip()[:1] not in ("{", "["):
        return []
    decoder = json.JSONDecoder()
    values, position = [], 0
    while True:
        position = _skip_space(text, position)
        if position >= len(text):
            return values
        try:
            value, position = decoder.raw_decode(text, position)
        except ValueError:
            return values if values and not complete else []
        values.append(value)


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _json_type(value: Any) -> str:
    """The Hive type of a value; `null` for one that says nothing of its type."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "int" if -(2**31) <= value < 2**31 else "bigint"
    if isinstance(value, float):
        return "double"
    if isinstance(value, list):
        kind = "null"
        for item in value:
            kind = merge_types(kind, _json_type(item))
        return f"array<{kind}>"
    if isinstance(value, dict):
        fields = (f"{name}:{_json_type(item)}" for name, item in value.items())
        return f"struct<{','.join(fields)}>"
    return "string"


def _settled(kind: str) -> str:
    """The type as the catalog has it: what was always null, or empty, is a string."""
    return re.sub(r"\bnull\b", "string", kind).replace("struct<>", "string")


def merge_types(one: str, other: str) -> str:
    """The narrowest Hive type that holds the values of both."""
    if one == other or other == "null":
        return one
    if one == "null":
        return other
    widening = ["tinyint", "smallint", "int", "bigint", "float", "double"]
    if one in widening and other in widening:
        return max(one, other, key=widening.index)
    if one.startswith("array<") and other.startswith("array<"):
        return f"array<{merge_types(one[6:-1], other[6:-1])}>"
    if one.startswith("struct<") and other.startswith("struct<"):
        fields = dict(_fields(one))
        for name, kind in _fields(other):
            fields[name] = merge_types(fields[name], kind) if name in fields else kind
        return f"struct<{','.join(f'{name}:{kind}' for name, kind in fields.items())}>"
    return "string"


def _fields(struct: str) -> list[tuple[str, str]]:
    """The fields of `struct<a:int,b:array<int>>`: split at commas that are not nested."""
    fields, depth, current = [], 0, ""
    for character in struct[len("struct<") : -1] + ",":
        if character == "," and depth == 0:
            name, _, kind = current.partition(":")
            if name:
                fields.append((name, kind))
            current = ""
            continue
        depth += {"<": 1, "(": 1, ">": -1, ")": -1}.get(character, 0)
        current += character
    return fields


# ── CSV ──────────────────────────────────────────────────────────────────────────────────────────


def _csv(text: str, complete: bool) -> FileSchema | None:
    """At least two columns and two rows, by the delimiter that most rows agree on."""
    best: tuple[int, str, list[list[str]]] | None = None
    for delimiter in _DELIMITERS:
        rows = _rows(text, delimiter)
        width = Counter(len(row) for row in rows).most_common(1)[0] if rows else (0, 0)
        if len(rows) < 2 or width[0] < 2 or width[1] < 0.7 * len(rows):
            continue
        if best is None or width[0] > best[0]:
            best = (width[0], delimiter, rows)
    if best is None:
        return None
    width, delimiter, rows = best
    has_header = _has_header(rows, width)
    data = [row for row in rows[1 if has_header else 0 :] if len(row) == width]
    names = [_column_name(name) for name in rows[0]] if has_header else _made_up_names(width)
    kinds = [_csv_type([row[position] for row in data]) for position in range(width)]
    lines = text.count("\n") + (complete and not text.endswith("\n"))
    return FileSchema(
        "csv",
        tuple(zip(_distinct(names), kinds, strict=True)),
        max(lines - has_header, len(data) if len(rows) < _SAMPLE_ROWS else 0),
        delimiter=delimiter,
        has_header=has_header,
        quoted=text.lstrip()[:1] == '"',
    )


def _rows(text: str, delimiter: str) -> list[list[str]]:
    rows = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if row:
                rows.append(row)
            if len(rows) == _SAMPLE_ROWS:
                break
    except csv.Error:
        return []
    return rows


def _has_header(rows: list[list[str]], width: int) -> bool:
    """AWS's rule: the first row is all text and short, and some later row is not all text."""
    first, *rest = rows
    if len(first) != width:
        return False
    body, last = first[:-1], first[-1]
    if any(_value_type(value) != "string" or not _HEADER_FIELD.fullmatch(value) for value in body):
        return False
    if any(len(value) >= _LONGEST_HEADER_FIELD for value in body):
        return False
    if last and _value_type(last) != "string":
        return False
    return any(_value_type(value) not in ("string", None) for row in rest for value in row)


def _column_name(name: str) -> str:
    return name.strip().lower()


def _made_up_names(width: int) -> list[str]:
    return [f"col{position}" for position in range(width)]


def _distinct(names: list[str]) -> list[str]:
    """Names without a repetition or a gap: a name that is there already gets a number."""
    seen: Counter[str] = Counter()
    distinct = []
    for position, name in enumerate(names):
        name = name or f"col{position}"
        distinct.append(f"{name}_{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return distinct


def _csv_type(values: list[str]) -> str:
    kind = "null"
    for value in values:
        kind = merge_types(kind, _value_type(value) or "null")
        if kind == "string":
            break
    return _settled(kind)


def _value_type(value: str) -> str | None:
    """The type that a field reads as; None for an empty one."""
    value = value.strip()
    if not value:
        return None
    if _INTEGER.fullmatch(value):
        return "bigint"
    if _NUMBER.fullmatch(value):
        return "double"
    if value.lower() in ("true", "false"):
        return "boolean"
    return "string"
