"""The Glue Data Catalog as Athena uses it for the caller: databases, tables, partitions, views."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

from ... import account, journal
from .datatypes import duckdb_type, hive_type
from .errors import QueryError
from .sql import View

_TEXT = (
    "org.apache.hadoop.mapred.TextInputFormat",
    "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
)
LAZY_SIMPLE = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"

# What STORED AS means: input format, output format, SerDe.
FORMATS = {
    "TEXTFILE": (*_TEXT, LAZY_SIMPLE),
    "JSON": (*_TEXT, "org.openx.data.jsonserde.JsonSerDe"),
    "PARQUET": (
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    ),
    "ORC": (
        "org.apache.hadoop.hive.ql.io.orc.OrcInputFormat",
        "org.apache.hadoop.hive.ql.io.orc.OrcOutputFormat",
        "org.apache.hadoop.hive.ql.io.orc.OrcSerde",
    ),
    "AVRO": (
        "org.apache.hadoop.hive.ql.io.avro.AvroContainerInputFormat",
        "org.apache.hadoop.hive.ql.io.avro.AvroContainerOutputFormat",
        "org.apache.hadoop.hive.serde2.avro.AvroSerDe",
    ),
}

Table = dict[str, Any]


class Catalog:
    """The catalog of a region; every access is journaled as a call of the caller's."""

    def __init__(self, region: str, caller: str) -> None:
        from moto.glue.models import glue_backends

        self.region, self.caller = region, caller
        self._glue = glue_backends[account.ACCOUNT_ID][region]

    # ── databases ────────────────────────────────────────────────────────────────────────────────

    def databases(self) -> list[dict[str, Any]]:
        """All databases, by name; there is a `default` as in any account that used Athena."""
        self._note("GetDatabases")
        found = {database.name: database.as_dict() for database in self._glue.databases.values()}
        return [found[name] for name in sorted(found)]

    def has_database(self, name: str) -> bool:
        """Whether there is such a database."""
        self._note("GetDatabase", Name=name)
        return self._database(name) is not None

    def database(self, name: str) -> dict[str, Any] | None:
        """The database as Glue describes it; None if there is none."""
        self._note("GetDatabase", Name=name)
        found = self._database(name)
        return found.as_dict() if found else None

    def create_database(self, name: str, description: dict[str, Any]) -> None:
        """Create a database. Raises what Glue raises, e.g. AlreadyExistsException."""
        self._note("CreateDatabase", DatabaseInput={"Name": name})
        self._glue.create_database(name, {"Name": name, **description}, {})

    def delete_database(self, name: str) -> None:
        """Delete a database and its tables."""
        self._note("DeleteDatabase", Name=name)
        self._glue.delete_database(self._name(name))

    # ── tables ───────────────────────────────────────────────────────────────────────────────────

    def tables(self, database: str, pattern: str | None = None) -> list[Table]:
        """The tables and views of a database, by name; `pattern` is a regular expression."""
        self._note("GetTables", DatabaseName=database)
        home = self._database(database)
        if home is None:
            return []
        found = sorted(home.tables)
        if pattern is not None:
            found = [name for name in found if re.fullmatch(pattern, name, re.IGNORECASE)]
        return [home.tables[name].as_dict() for name in found]

    def table(self, database: str, name: str) -> Table | None:
        """The table or view as Glue describes it; None if there is none."""
        self._note("GetTable", DatabaseName=database, Name=name)
        home = self._database(database)
        if home is None:
            return None
        found = home.tables.get(name) or home.tables.get(name.lower())
        return found.as_dict() if found else None

    def create_table(self, database: str, definition: Table) -> None:
        """Create a table or view from a `TableInput`. Raises what Glue raises."""
        self._note("CreateTable", DatabaseName=database, TableInput={"Name": definition["Name"]})
        self._glue.create_table(self._name(database), definition["Name"], definition)

    def update_table(self, table: Table, **changes: Any) -> None:
        """Replace members of a table's definition."""
        kept = {
            name: value
            for name, value in table.items()
            if name in _TABLE_INPUT and value is not None
        }
        self._note("UpdateTable", DatabaseName=table["DatabaseName"], Name=table["Name"])
        self._glue.update_table(table["DatabaseName"], table["Name"], kept | changes)

    def delete_table(self, table: Table) -> None:
        """Delete a table from the catalog; its objects stay."""
        self._note("DeleteTable", DatabaseName=table["DatabaseName"], Name=table["Name"])
        self._glue.delete_table(table["DatabaseName"], table["Name"])

    # ── partitions ───────────────────────────────────────────────────────────────────────────────

    def partitions(self, table: Table) -> list[dict[str, Any]]:
        """The partitions of a table, in the order of their values."""
        self._note("GetPartitions", DatabaseName=table["DatabaseName"], TableName=table["Name"])
        found = self._glue.get_table(table["DatabaseName"], table["Name"]).partitions.values()
        return sorted((p.as_dict() for p in found), key=lambda p: p["Values"])

    def add_partitions(self, table: Table, locations: dict[tuple[str, ...], str]) -> None:
        """Add partitions, by values, that are not there yet."""
        if not locations:
            return
        own = self._glue.get_table(table["DatabaseName"], table["Name"])
        self._note("BatchCreatePartition", DatabaseName=own.database_name, TableName=own.name)
        for values, location in locations.items():
            if str(list(values)) not in own.partitions:
                descriptor = {**table["StorageDescriptor"], "Location": location}
                own.create_partition({"Values": list(values), "StorageDescriptor": descriptor})

    def delete_partition(self, table: Table, values: list[str]) -> None:
        """Delete a partition from the catalog; its objects stay. Raises what Glue raises."""
        names = {"DatabaseName": table["DatabaseName"], "TableName": table["Name"]}
        self._note("DeletePartition", **names, PartitionValues=values)
        self._glue.delete_partition(table["DatabaseName"], table["Name"], values)

    def _database(self, name: str) -> Any:
        return self._glue.databases.get(name) or self._glue.databases.get(name.lower())

    def _name(self, name: str) -> str:
        found = self._database(name)
        if found is None:
            raise QueryError("SCHEMA_NOT_FOUND", f"Schema '{name}' does not exist")
        return found.name

    def _note(self, operation: str, **params: Any) -> None:
        journal.note("glue", operation, params, self.region, self.caller)


_TABLE_INPUT = {
    "Name", "Description", "Owner", "LastAccessTime", "LastAnalyzedTime", "Retention",
    "StorageDescriptor", "PartitionKeys", "ViewOriginalText", "ViewExpandedText", "TableType",
    "Parameters", "TargetTable",
}  # fmt: skip


# ── what a definition says ───────────────────────────────────────────────────────────────────────


def columns_of(table: Table) -> dict[str, str]:
    """The columns of the files, with DuckDB's types; without the partition keys."""
    return _typed(table, (table.get("StorageDescriptor") or {}).get("Columns") or [])


def keys_of(table: Table) -> dict[str, str]:
    """The partition keys, with DuckDB's types."""
    return _typed(table, table.get("PartitionKeys") or [])


def _typed(table: Table, columns: Iterable[dict[str, str]]) -> dict[str, str]:
    try:
        return {c["Name"].lower(): duckdb_type(c.get("Type") or "string") for c in columns}
    except ValueError as error:
        raise QueryError("HIVE_INVALID_METADATA", f"Table {table['Name']}: {error}") from None


def serde_of(table: Table) -> tuple[str, dict[str, str]]:
    """The SerDe's class, and its parameters."""
    serde = (table.get("StorageDescriptor") or {}).get("SerdeInfo") or {}
    return serde.get("SerializationLibrary") or "", serde.get("Parameters") or {}


def location_of(table_or_partition: dict[str, Any]) -> str:
    """Where the objects are, with a slash at the end."""
    location = (table_or_partition.get("StorageDescriptor") or {}).get("Location") or ""
    return location.rstrip("/") + "/"


def is_view(table: Table) -> bool:
    """Whether this is a view."""
    return table.get("TableType") == "VIRTUAL_VIEW"


def view_of(table: Table) -> View:
    """The query behind a view. Raises QueryError for a view that is not Athena's."""
    found = re.search(r"Presto View: ([A-Za-z0-9+/=]+)", table.get("ViewOriginalText") or "")
    if not found:
        name = f"{table['DatabaseName']}.{table['Name']}"
        raise QueryError("INVALID_VIEW", f"View '{name}' holds no query of Athena's")
    stored = json.loads(base64.b64decode(found[1]))
    return View(stored["originalSql"], stored.get("schema") or table["DatabaseName"])


def view_definition(name: str, text: str, database: str, columns: list[tuple[str, Any]]) -> Table:
    """The `TableInput` of a view, as Athena writes it. Columns are name and DuckDB type."""
    hive = {column: hive_type(kind) for column, kind in columns}
    stored = {
        "originalSql": text,
        "catalog": "awsdatacatalog",
        "schema": database,
        "columns": [
            {"name": column, "type": "varchar" if kind == "string" else kind}
            for column, kind in hive.items()
        ],
    }
    encoded = base64.b64encode(json.dumps(stored).encode()).decode()
    described = [{"Name": column, "Type": kind} for column, kind in hive.items()]
    return {
        "Name": name,
        "TableType": "VIRTUAL_VIEW",
        "ViewOriginalText": f"/* Presto View: {encoded} */",
        "ViewExpandedText": "/* Presto View */",
        "Parameters": {"presto_view": "true", "comment": "Presto View"},
        "PartitionKeys": [],
        "StorageDescriptor": {"Columns": described, "Location": "", "SerdeInfo": {}},
    }


# ── partition projection ─────────────────────────────────────────────────────────────────────────


def projected_partitions(table: Table) -> dict[tuple[str, ...], str] | None:
    """The partitions that the table's properties project, by values; None if they project none.

    Follows "Partition projection" of the Athena user guide: enum, integer and date; injected
    columns have no values of their own, and are refused.
    """
    properties = table.get("Parameters") or {}
    if str(properties.get("projection.enabled", "")).lower() != "true":
        return None
    keys = list(keys_of(table))
    ranges = [_projected_values(key, properties) for key in keys]
    template = properties.get("storage.location.template")
    found = {}
    for values in product(*ranges):
        if template:
            location = template
            for key, value in zip(keys, values, strict=True):
                location = location.replace("${" + key + "}", value)
        else:
            folders = (f"{key}={value}" for key, value in zip(keys, values, strict=True))
            location = location_of(table) + "/".join(folders)
        found[values] = location.rstrip("/") + "/"
    return found


def _projected_values(key: str, properties: dict[str, str]) -> list[str]:
    def setting(name: str, default: str = "") -> str:
        return properties.get(f"projection.{key}.{name}", default)

    kind = setting("type").lower()
    if kind == "enum":
        return [value.strip() for value in setting("values").split(",")]
    first, _, last = (part.strip() for part in setting("range").partition(","))
    try:
        if kind == "integer":
            step, digits = int(setting("interval", "1")), int(setting("digits", "0"))
            return [str(n).zfill(digits) for n in range(int(first), int(last) + 1, step)]
        if kind == "date":
            return _projected_dates(first, last, setting)
    except ValueError as error:
        raise QueryError("INVALID_TABLE_PROPERTY", f"projection.{key}: {error}") from None
    message = (
        f"projection.{key}.type '{kind}' is not carried out offline: use enum, integer or date"
    )
    raise QueryError("INVALID_TABLE_PROPERTY", message)


def _projected_dates(first: str, last: str, setting: Any) -> list[str]:
    pattern = setting("format", "yyyy-MM-dd")
    layout = pattern
    for letters, code in (("yyyy", "%Y"), ("MM", "%m"), ("dd", "%d"), ("HH", "%H"), ("mm", "%M")):
        layout = layout.replace(letters, code)
    smallest = "hours" if "HH" in pattern else "days" if "dd" in pattern else "months"
    unit = setting("interval.unit", smallest).lower().rstrip("s") + "s"
    step = int(setting("interval", "1"))
    day, end = (_projected_date(text, layout) for text in (first, last))
    values = []
    while day <= end and len(values) < 1_000_000:
        values.append(day.strftime(layout))
        if unit in ("months", "years"):
            months = day.month - 1 + step * (12 if unit == "years" else 1)
            day = day.replace(year=day.year + months // 12, month=months % 12 + 1)
        else:
            day += timedelta(**{unit: step})
    return values


def _projected_date(text: str, layout: str) -> datetime:
    relative = re.fullmatch(r"NOW(?:([+-]\d+)(\w+?)S?)?", text.upper())
    if not relative:
        return datetime.strptime(text, layout)
    now = datetime.now(UTC).replace(tzinfo=None)
    if not relative[1]:
        return now
    count, unit = int(relative[1]), relative[2].lower()
    days = {"year": 365, "month": 30, "week": 7, "day": 1}.get(unit)
    return now + (timedelta(days=count * days) if days else timedelta(**{unit + "s": count}))
