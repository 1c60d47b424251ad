"""From JSON to Parquet or ORC, with the columns of a table in the Data Catalog.

https://docs.aws.amazon.com/firehose/latest/dev/record-format-conversion.html
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ... import account, journal
from ...errors import AWSError, not_implemented
from .columns import Reader, arrow_type, moment_reader, reader
from .records import Failure, Record, reason
from .unpacking import json_objects

Row = dict[str, Any]

_PARQUET = {"UNCOMPRESSED": "none", "GZIP": "gzip", "SNAPPY": "snappy"}
_ORC = {"NONE": "uncompressed", "ZLIB": "zlib", "SNAPPY": "snappy"}


@dataclass(frozen=True)
class Column:
    """A column of the table: where its value is found, how it is read, and as what it is kept."""

    key: str
    read: Reader
    kind: pa.DataType


@dataclass(frozen=True)
class Conversion:
    """How records are read, and what they are written as.

    Attributes:
        schema: `SchemaConfiguration` of the delivery.
        form: `parquet` or `orc`.
        options: how the file is written, as pyarrow names it.
        case_insensitive: whether keys are compared without regard to case.
        dots_to_underscores: whether a key `a.b` stands for the column `a_b`.
        renamed: column -> key in the JSON.
        moments: formats of timestamps; none for the deserializer's own.
    """

    schema: dict[str, Any]
    form: str
    options: dict[str, Any]
    case_insensitive: bool = True
    dots_to_underscores: bool = False
    renamed: dict[str, str] = field(default_factory=dict)
    moments: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: dict[str, Any]) -> Conversion:
        """Read `DataFormatConversionConfiguration`.

        Raises:
            AWSError: for what AWS refuses.
        """
        given = (settings.get("InputFormatConfiguration") or {}).get("Deserializer") or {}
        writer = (settings.get("OutputFormatConfiguration") or {}).get("Serializer") or {}
        schema = settings.get("SchemaConfiguration") or {}
        missing = [n for n in ("RoleARN", "DatabaseName", "TableName") if not schema.get(n)]
        if missing or len(given) != 1 or len(writer) != 1:
            what = missing[0] if missing else "one serializer and one deserializer"
            message = f"DataFormatConversionConfiguration needs {what} when it is enabled."
            raise AWSError("InvalidArgumentException", message)
        options = given.get("OpenXJsonSerDe") or {}
        formats = tuple((given.get("HiveJsonSerDe") or {}).get("TimestampFormats") or ())
        moment_reader(formats)
        form, written = _written_as(writer)
        return cls(
            schema,
            form,
            written,
            options.get("CaseInsensitive", True),
            options.get("ConvertDotsInJsonKeysToUnderscores", False),
            options.get("ColumnToJsonKeyMappings") or {},
            formats,
        )

    def convert(
        self, records: list[Record], region: str, caller: str
    ) -> tuple[bytes | None, list[Failure]]:
        """The records as one file, and those that do not fit; None if none does.

        Args:
            records: of one object.
            region: of the delivery; the table's unless `SchemaConfiguration` names another.
            caller: whom the look at the table is journaled under.
        """
        region = self.schema.get("Region") or region
        try:
            columns = self._columns(region, caller)
        except AWSError as error:
            code = f"DataFormatConversion.{error.code}"
            return None, [self._failure(record, code, error.message, region) for record in records]
        rows: list[Row] = []
        failures = []
        for record in records:
            try:
                rows += self._rows(record.data, columns)
            except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
                code = "DataFormatConversion.MalformedData"
                failures.append(self._failure(record, code, reason(error), region))
        return (self._file(rows, columns) if rows else None), failures

    def _columns(self, region: str, caller: str) -> dict[str, Column]:
        listed = self._table(region, caller)["StorageDescriptor"]["Columns"]
        columns = {}
        for column in listed:
            name, kind = column["Name"], arrow_type(column["Type"])
            key = self.renamed.get(name, name)
            key = key.lower() if self.case_insensitive else key
            columns[name] = Column(key, reader(kind, self.moments), kind)
        return columns

    def _table(self, region: str, caller: str) -> dict[str, Any]:
        from moto.core.exceptions import ServiceException
        from moto.glue.models import glue_backends

        database, name = self.schema["DatabaseName"], self.schema["TableName"]
        version = self.schema.get("VersionId", "LATEST")
        params = {"DatabaseName": database, "TableName": name, "VersionId": version}
        journal.note("glue", "GetTableVersions", params, region, caller)
        home = glue_backends[account.ACCOUNT_ID][region].databases.get(database)
        if home is None or name not in home.tables:
            message = f"Table {name} not found in database {database}."
            raise AWSError("EntityNotFound", message)
        try:
            return home.tables[name].as_dict(None if version == "LATEST" else version)
        except ServiceException:
            message = f"Table {name} of database {database} has no version {version}."
            raise AWSError("InvalidVersionId", message) from None

    def _rows(self, data: bytes, columns: dict[str, Column]) -> list[Row]:
        """A row for each JSON object of a record. Raises ValueError with the column."""
        return [self._row(value, columns) for _, _, value in json_objects(data.decode("utf-8"))]

    def _row(self, value: dict[str, Any], columns: dict[str, Column]) -> Row:
        if self.dots_to_underscores:
            value = {key.replace(".", "_"): each for key, each in value.items()}
        if self.case_insensitive:
            value = {key.lower(): each for key, each in value.items()}
        row = {}
        for name, column in columns.items():
            found = value.get(column.key)
            try:
                row[name] = None if found is None else column.read(found)
            except (ValueError, TypeError, ArithmeticError) as error:
                shown = repr(found)[:80]
                message = f"{name} is {shown}, which is no {column.kind}: {reason(error)}"
                raise ValueError(message) from None
        return row

    def _file(self, rows: list[Row], columns: dict[str, Column]) -> bytes:
        arrays = [pa.array([row[name] for row in rows], c.kind) for name, c in columns.items()]
        table, target = pa.table(arrays, names=list(columns)), io.BytesIO()
        if self.form == "orc":
            from pyarrow import orc

            orc.write_table(table, target, **self.options)
        else:
            from pyarrow import parquet

            parquet.write_table(table, target, **self.options)
        return target.getvalue()

    def _failure(self, record: Record, code: str, message: str, region: str) -> Failure:
        source = record.source or {}
        details = {
            "sequenceNumber": source.get("sequenceNumber"),
            "subSequenceNumber": source.get("subsequenceNumber"),
            "dataCatalogTable": {
                "catalogId": self.schema.get("CatalogId"),
                "databaseName": self.schema["DatabaseName"],
                "tableName": self.schema["TableName"],
                "region": region,
                "versionId": self.schema.get("VersionId", "LATEST"),
                "roleArn": self.schema["RoleARN"],
            },
        }
        return Failure("format-conversion-failed", record, code, message, 1, details)


def _written_as(serializer: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Form and options of the files. What only matters on HDFS (blocks, padding) is left out."""
    if "OrcSerDe" in serializer:
        given = serializer["OrcSerDe"] or {}
        for name in ("BloomFilterColumns", "DictionaryKeyThreshold", "FormatVersion"):
            if name in given and given[name] not in ([], "V0_12"):
                raise not_implemented("firehose", f"ORC with {name}")
        options: dict[str, Any] = {"compression": _ORC[given.get("Compression") or "SNAPPY"]}
        options["stripe_size"] = given.get("StripeSizeBytes", 64 * 1024 * 1024)
        options["row_index_stride"] = given.get("RowIndexStride", 10_000)
        return "orc", options
    given = serializer.get("ParquetSerDe") or {}
    return "parquet", {
        "compression": _PARQUET[given.get("Compression") or "SNAPPY"],
        "data_page_size": given.get("PageSizeBytes", 1024 * 1024),
        "data_page_version": "2.0" if given.get("WriterVersion") == "V2" else "1.0",
        "use_dictionary": given.get("EnableDictionaryCompression", True),
    }
