"""Data types in the three tongues spoken here: Hive's (the catalog), DuckDB's, and Athena's."""

from __future__ import annotations

from typing import Any

_FROM_HIVE = {
    "string": "VARCHAR",
    "char": "VARCHAR",
    "varchar": "VARCHAR",
    "int": "INTEGER",
    "integer": "INTEGER",
    "long": "BIGINT",
    "bigint": "BIGINT",
    "smallint": "SMALLINT",
    "tinyint": "TINYINT",
    "double": "DOUBLE",
    "float": "FLOAT",
    "real": "FLOAT",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "binary": "BLOB",
}

# DuckDB's id of a type: Hive's name, Athena's name, precision as Athena reports it.
_FROM_DUCKDB = {
    "varchar": ("string", "varchar", 2147483647),
    "enum": ("string", "varchar", 2147483647),
    "uuid": ("string", "varchar", 2147483647),
    "tinyint": ("tinyint", "tinyint", 3),
    "utinyint": ("smallint", "smallint", 5),
    "smallint": ("smallint", "smallint", 5),
    "usmallint": ("int", "integer", 10),
    "integer": ("int", "integer", 10),
    "uinteger": ("bigint", "bigint", 19),
    "bigint": ("bigint", "bigint", 19),
    "ubigint": ("bigint", "bigint", 19),
    "hugeint": ("bigint", "bigint", 19),
    "float": ("float", "float", 17),
    "double": ("double", "double", 17),
    "boolean": ("boolean", "boolean", 0),
    "date": ("date", "date", 0),
    "time": ("string", "time", 3),
    "timestamp": ("timestamp", "timestamp", 3),
    "timestamp_s": ("timestamp", "timestamp", 3),
    "timestamp_ms": ("timestamp", "timestamp", 3),
    "timestamp_ns": ("timestamp", "timestamp", 3),
    "timestamp with time zone": ("timestamp", "timestamp with time zone", 3),
    "interval": ("string", "interval day to second", 0),
    "blob": ("binary", "varbinary", 2147483647),
    "null": ("", "unknown", 0),
}


def duckdb_type(hive: str) -> str:
    """DuckDB's name of a type of the catalog: `array<struct<a:int>>` is `STRUCT("a" INTEGER)[]`.

    Raises ValueError for a type that Hive has not.
    """
    text = hive.strip()
    name, _, inner = text.partition("<")
    name = name.strip().lower()
    if inner:
        parts = split_top_level(inner.rpartition(">")[0])
        if name == "array":
            return f"{duckdb_type(parts[0])}[]"
        if name == "map":
            return f"MAP({duckdb_type(parts[0])}, {duckdb_type(parts[1])})"
        if name == "struct":
            pairs = (part.strip().partition(":") for part in parts)
            fields = (f"{quoted(name.strip())} {duckdb_type(kind)}" for name, _, kind in pairs)
            return f"STRUCT({', '.join(fields)})"
        raise ValueError(f"'{hive}' is not a type of the catalog")
    base = name.partition("(")[0].strip()
    if base == "decimal":
        return name if "(" in name else "DECIMAL(10,0)"
    if base not in _FROM_HIVE:
        raise ValueError(f"'{hive}' is not a type of the catalog")
    return _FROM_HIVE[base]


def hive_type(duck: Any) -> str:
    """The catalog's name of a DuckDB type (`DuckDBPyType`); empty for a NULL of no type."""
    children = (
        dict(duck.children) if duck.id in ("list", "array", "map", "struct", "decimal") else {}
    )
    if duck.id in ("list", "array"):
        return f"array<{hive_type(children['child'])}>"
    if duck.id == "map":
        return f"map<{hive_type(children['key'])},{hive_type(children['value'])}>"
    if duck.id == "struct":
        return f"struct<{','.join(f'{name}:{hive_type(kind)}' for name, kind in children.items())}>"
    if duck.id == "decimal":
        return f"decimal({children['precision']},{children['scale']})"
    return _FROM_DUCKDB[duck.id][0]


def column_info(name: str, duck: Any) -> dict[str, Any]:
    """A column as GetQueryResults describes it."""
    if duck.id == "decimal":
        children = dict(duck.children)
        return _info(name, "decimal", children["precision"], children["scale"])
    nested = {"list": "array", "array": "array", "map": "map", "struct": "row"}
    if duck.id in nested:
        return _info(name, nested[duck.id], 0)
    _, athena, precision = _FROM_DUCKDB[duck.id]
    return _info(name, athena, precision)


def string_info(name: str) -> dict[str, Any]:
    """A column of a DDL statement's answer, which Hive makes: always text."""
    return _info(name, "string", 0)


def _info(name: str, kind: str, precision: int, scale: int = 0) -> dict[str, Any]:
    return {
        "CatalogName": "hive",
        "SchemaName": "",
        "TableName": "",
        "Name": name,
        "Label": name,
        "Type": kind,
        "Precision": precision,
        "Scale": scale,
        "Nullable": "UNKNOWN",
        "CaseSensitive": kind in ("varchar", "char"),
    }


def split_top_level(text: str, separator: str = ",") -> list[str]:
    """Split at separators that stand in no bracket and no quotation."""
    parts, depth, quote, start = [], 0, "", 0
    for index, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"`":
            quote = char
        elif char in "(<[":
            depth += 1
        elif char in ")>]":
            depth -= 1
        elif char == separator and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    parts.append(text[start:])
    return parts


def quoted(name: str) -> str:
    """A name as a DuckDB identifier."""
    return '"' + name.replace('"', '""') + '"'


def text_literal(text: str) -> str:
    """A text as a DuckDB literal."""
    return "'" + text.replace("'", "''") + "'"
