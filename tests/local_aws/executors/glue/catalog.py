"""What a crawl writes to the Data Catalog, under the crawler's policy for changes."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ... import account, journal
from ...errors import AWSError
from .classify import FileSchema
from .tables import Crawled, Partition, Scanned

_TEXT_INPUT = "org.apache.hadoop.mapred.TextInputFormat"
_TEXT_OUTPUT = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
_FORMATS = {
    "parquet": (
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    ),
    "orc": (
        "org.apache.hadoop.hive.ql.io.orc.OrcInputFormat",
        "org.apache.hadoop.hive.ql.io.orc.OrcOutputFormat",
        "org.apache.hadoop.hive.ql.io.orc.OrcSerde",
    ),
    "json": (_TEXT_INPUT, _TEXT_OUTPUT, "org.openx.data.jsonserde.JsonSerDe"),
    "csv": (_TEXT_INPUT, _TEXT_OUTPUT, "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"),
}


def _changes() -> dict[str, list[str]]:
    return {"ADD": [], "UPDATE": [], "DELETE": []}


@dataclass
class Outcome:
    """The names of tables and the values of partitions that a crawl added, updated, deleted."""

    tables: dict[str, list[str]] = field(default_factory=_changes)
    partitions: dict[str, list[str]] = field(default_factory=_changes)

    def by_kind(self) -> Iterator[tuple[str, list[tuple[str, list[str]]]]]:
        """TABLE and PARTITION with their changes; a kind or a change without any is left out."""
        for kind, changes in (("TABLE", self.tables), ("PARTITION", self.partitions)):
            made = [(change, names) for change, names in changes.items() if names]
            if made:
                yield kind, made

    def summary(self) -> str:
        """The summary of a crawl as ListCrawls gives it: JSON in JSON, as AWS nests it."""
        summary = {}
        for kind, changes in self.by_kind():
            details = {
                change: json.dumps({"Details": json.dumps({"names": names}), "Count": len(names)})
                for change, names in changes
            }
            summary[kind] = json.dumps(details)
        return json.dumps(summary)


@dataclass
class Catalog:
    """A database of the catalog as one crawl sees it."""

    region: str
    database: str | None
    crawler: str
    crawl_id: str
    role: str
    policy: dict[str, str]
    output: dict[str, Any]
    outcome: Outcome
    log: Callable[[str, str], None]

    def __post_init__(self) -> None:
        from moto.glue.models import glue_backends

        databases = glue_backends[account.ACCOUNT_ID][self.region].databases
        if self.database not in databases:
            message = f"Database {self.database} not found. Create it before the crawler runs."
            raise AWSError("EntityNotFoundException", message)
        self._tables = databases[self.database].tables

    def write(self, crawled: Crawled, known_folders: set[str]) -> None:
        """Create the table, or update it as the policy allows, and its partitions.

        `known_folders` are left alone: a crawler for new folders only has seen them before.
        """
        name = self._name_for(crawled)
        if name not in self._tables:
            self._create(name, crawled)
        elif not known_folders:
            self._update(name, crawled)
        if crawled.keys:
            for partition in crawled.partitions:
                if partition.location not in known_folders:
                    self._write_partition(name, crawled, partition)
            if not known_folders:
                self._handle_missing_partitions(name, crawled)

    def handle_missing(self, prefixes: list[str], found: list[Crawled]) -> None:
        """Do as the policy says with tables of this crawler whose files are gone."""
        present = {table.location for table in found}
        for name, table in list(self._tables.items()):
            current = table.as_dict()
            location = (current.get("StorageDescriptor") or {}).get("Location", "")
            mine = (current.get("Parameters") or {}).get("UPDATED_BY_CRAWLER") == self.crawler
            if not mine or location in present or not location.startswith(tuple(prefixes)):
                continue
            self._remove(name, table)

    # ── tables ───────────────────────────────────────────────────────────────────────────────────

    def _name_for(self, crawled: Crawled) -> str:
        """The name, with a hash of the location if another location's table has it already."""
        table = self._tables.get(crawled.name)
        if table is None:
            return crawled.name
        descriptor = table.as_dict().get("StorageDescriptor") or {}
        if (descriptor.get("Location") or "").rstrip("/") == crawled.location.rstrip("/"):
            return crawled.name
        digest = hashlib.md5(crawled.location.encode(), usedforsecurity=False).hexdigest()
        return f"{crawled.name}_{digest}"

    def _create(self, name: str, crawled: Crawled) -> None:
        from moto.glue.models import glue_backends

        glue = glue_backends[account.ACCOUNT_ID][self.region]
        self._note("CreateTable", TableInput={"Name": name})
        glue.create_table(self.database, name, self._table_input(name, crawled))
        self.outcome.tables["ADD"].append(name)
        self.log("INFO", f"Created table {name} in database {self.database}")

    def _update(self, name: str, crawled: Crawled) -> None:
        table = self._tables[name]
        current = table.as_dict()
        new = self._table_input(name, crawled)
        behavior = (self.output.get("Tables") or {}).get("AddOrUpdateBehavior")
        if behavior == "MergeNewColumns":
            merged = _with_new_columns(current, new)
            new["StorageDescriptor"]["Columns"] = merged
        if _essence(current) == _essence(new):
            # A crawl brings the counts up to date without making a new version of the table.
            table.get_version(str(table._current_version))["Parameters"] = {
                **(current.get("Parameters") or {}),
                **new["Parameters"],
            }
            return
        if self.policy.get("UpdateBehavior") == "LOG" and behavior != "MergeNewColumns":
            self.log("INFO", f"Table {name} has changed; it is left as it is (LOG)")
            return
        for column in new["StorageDescriptor"]["Columns"]:
            comment = _comments(current).get(column["Name"])
            if comment:
                column["Comment"] = comment
        self._note("UpdateTable", TableInput={"Name": name})
        table.update({**{"Description": current.get("Description")}, **new})
        self.outcome.tables["UPDATE"].append(name)
        self.log("INFO", f"Updated table {name} in database {self.database}")

    def _remove(self, name: str, table: Any) -> None:
        behavior = self.policy.get("DeleteBehavior")
        if behavior == "DELETE_FROM_DATABASE":
            self._note("DeleteTable", Name=name)
            del self._tables[name]
            self.outcome.tables["DELETE"].append(name)
            self.log("INFO", f"Deleted table {name} from database {self.database}")
        elif behavior == "LOG":
            self.log("INFO", f"Table {name} has no files any more; it is left as it is (LOG)")
        else:
            changed = copy.deepcopy(table.get_version(str(table._current_version)))
            if "DEPRECATED_BY_CRAWLER" in changed["Parameters"]:
                return
            changed["Parameters"]["DEPRECATED_BY_CRAWLER"] = _milliseconds()
            self._note("UpdateTable", TableInput={"Name": name})
            table.update(changed)
            self.outcome.tables["UPDATE"].append(name)
            self.log(
                "INFO",
                f"Table {name} is marked deprecated because a matching schema was not found at "
                "the table's location.",
            )

    def _table_input(self, name: str, crawled: Crawled) -> dict[str, Any]:
        parameters = self._parameters(crawled.schema, crawled.files)
        if crawled.keys:
            parameters["partition_filtering.enabled"] = "true"
        role = self.role.rpartition("/")[2]
        return {
            "Name": name,
            "Owner": "owner",
            "Retention": 0,
            "StorageDescriptor": _descriptor(crawled.schema, crawled.location, parameters),
            "PartitionKeys": [{"Name": key, "Type": "string"} for key in crawled.keys],
            "TableType": "EXTERNAL_TABLE",
            "Parameters": parameters,
            "CreatedBy": f"arn:aws:sts::{account.ACCOUNT_ID}:assumed-role/{role}/AWS-Crawler",
            "IsRegisteredWithLakeFormation": False,
        }

    def _parameters(self, schema: FileSchema, files: list[Scanned]) -> dict[str, str]:
        """The parameters of a table or partition; counts are of all its files."""
        size = sum(file.object.size for file in files)
        parameters = {
            "CRAWL_RUN_ID": self.crawl_id,
            "CrawlerSchemaDeserializerVersion": "1.0",
            "CrawlerSchemaSerializerVersion": "1.0",
            "UPDATED_BY_CRAWLER": self.crawler,
            "averageRecordSize": str(round(size / schema.records) if schema.records else 0),
            "classification": schema.classification,
            "compressionType": schema.compression,
            "objectCount": str(len(files)),
            "recordCount": str(schema.records),
            "sizeKey": str(size),
            "typeOfData": "file",
        }
        if schema.delimiter:
            parameters["areColumnsQuoted"] = str(schema.quoted).lower()
            parameters["columnsOrdered"] = "true"
            parameters["delimiter"] = schema.delimiter
        if schema.has_header:
            parameters["skip.header.line.count"] = "1"
        return dict(sorted(parameters.items()))

    # ── partitions ───────────────────────────────────────────────────────────────────────────────

    def _write_partition(self, name: str, crawled: Crawled, partition: Partition) -> None:
        table = self._tables[name]
        new = self._partition_input(crawled, partition)
        values = list(partition.values)
        shown = f"[{', '.join(values)}]"
        existing = table.partitions.get(str(values))
        if existing is None:
            self._note("BatchCreatePartition", TableName=name)
            table.create_partition(new)
            self.outcome.partitions["ADD"].append(f"{name}: {shown}")
            self.log("INFO", f"Created partition of table {name} with values {shown}")
            return
        old = existing.partition_input
        if _essence(old) == _essence(new):
            old["Parameters"] = new["Parameters"]
            return
        if self.policy.get("UpdateBehavior") == "LOG":
            self.log("INFO", f"Partition {shown} of {name} has changed; it is left as it is (LOG)")
            return
        self._note("BatchUpdatePartition", TableName=name)
        table.update_partition(values, new)
        self.outcome.partitions["UPDATE"].append(f"{name}: {shown}")

    def _handle_missing_partitions(self, name: str, crawled: Crawled) -> None:
        table = self._tables[name]
        present = {str(list(partition.values)) for partition in crawled.partitions}
        for key, partition in list(table.partitions.items()):
            if key in present:
                continue
            shown = f"[{', '.join(partition.values)}]"
            self.log(
                "INFO",
                f"Found partition of table {name} with partition values {shown} with no matching "
                "schema at the partition's S3 location",
            )
            if self.policy.get("DeleteBehavior") == "DELETE_FROM_DATABASE":
                self._note("BatchDeletePartition", TableName=name)
                del table.partitions[key]
                self.outcome.partitions["DELETE"].append(f"{name}: {shown}")
            elif self.policy.get("DeleteBehavior") == "DEPRECATE_IN_DATABASE":
                parameters = partition.partition_input.setdefault("Parameters", {})
                parameters.setdefault("DEPRECATED_BY_CRAWLER", _milliseconds())

    def _partition_input(self, crawled: Crawled, partition: Partition) -> dict[str, Any]:
        parameters = self._parameters(partition.schema, partition.files)
        behavior = (self.output.get("Partitions") or {}).get("AddOrUpdateBehavior")
        schema = crawled.schema if behavior == "InheritFromTable" else partition.schema
        return {
            "Values": list(partition.values),
            "StorageDescriptor": _descriptor(schema, partition.location, parameters),
            "Parameters": parameters,
        }

    def _note(self, operation: str, **params: Any) -> None:
        params = {"DatabaseName": self.database, **params}
        journal.note("glue", operation, params, self.region, f"crawler {self.crawler}")


def _descriptor(schema: FileSchema, location: str, parameters: dict[str, str]) -> dict[str, Any]:
    input_format, output_format, serde = _FORMATS[schema.classification]
    serde_parameters = {"serialization.format": "1"}
    if schema.classification == "csv":
        serde_parameters = {"field.delim": schema.delimiter or ","}
    elif schema.classification == "json":
        serde_parameters = {"paths": ",".join(schema.paths)}
    return {
        "Columns": [{"Name": name, "Type": kind} for name, kind in schema.columns],
        "Location": location,
        "InputFormat": input_format,
        "OutputFormat": output_format,
        "Compressed": schema.compression != "none",
        "NumberOfBuckets": -1,
        "SerdeInfo": {"SerializationLibrary": serde, "Parameters": serde_parameters},
        "BucketColumns": [],
        "SortColumns": [],
        "Parameters": parameters,
        "StoredAsSubDirectories": False,
    }


def _essence(definition: dict[str, Any]) -> tuple[Any, ...]:
    """What makes one definition differ from another: not the counts, not the comments."""
    descriptor = definition.get("StorageDescriptor") or {}
    return (
        [(column["Name"], column.get("Type")) for column in descriptor.get("Columns") or []],
        [column["Name"] for column in definition.get("PartitionKeys") or []],
        descriptor.get("Location"),
        (descriptor.get("SerdeInfo") or {}).get("SerializationLibrary"),
        "DEPRECATED_BY_CRAWLER" in (definition.get("Parameters") or {}),
    )


def _with_new_columns(current: dict[str, Any], new: dict[str, Any]) -> list[dict[str, Any]]:
    columns = list((current.get("StorageDescriptor") or {}).get("Columns") or [])
    names = {column["Name"] for column in columns}
    added = [item for item in new["StorageDescriptor"]["Columns"] if item["Name"] not in names]
    return columns + added


def _comments(definition: dict[str, Any]) -> dict[str, str]:
    columns = (definition.get("StorageDescriptor") or {}).get("Columns") or []
    return {column["Name"]: column.get("Comment", "") for column in columns}


def _milliseconds() -> str:
    return str(round(account.now().timestamp() * 1000))
