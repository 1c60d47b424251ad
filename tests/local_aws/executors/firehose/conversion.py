"""From JSON to Parquet, with the columns of a table in the Data Catalog.

https://docs.aws.amazon.com/firehose/latest/dev/record-format-conversion.html
"""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ... import account, journal
from ...errors import AWSError, not_implemented
from .records import Failure, Record

_SIMPLE = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("ms"),
    "binary": pa.binary(),
}


@dataclass(frozen=True)
class Conversion:
    """How records are read, and what they are written as.

    Attributes:
        schema: `SchemaConfiguration` of the delivery.
        compression: of Parquet, as pyarrow names it.
        case_insensitive: whether keys are compared without regard to case.
        dots_to_underscores: whether a key `a.b` stands for the column `a_b`.
        renamed: column -> key in the JSON.
    """

    schema: dict[str, Any]
    compression: str
    case_insensitive: bool = True
    dots_to_underscores: bool = False
    renamed: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: dict[str, Any]) -> Conversion:
        """Read `DataFormatConversionConfiguration`.

        Raises:
            AWSError: for what AWS refuses, or is not carried out (ORC).
        """
        reader = (settings.get("InputFormatConfiguration") or {}).get("Deserializer") or {}
        writer = (settings.get("OutputFormatConfiguration") or {}).get("Serializer") or {}
        schema = settings.get("SchemaConfiguration") or {}
        missing = [n for n in ("RoleARN", "DatabaseName", "TableName") if not schema.get(n)]
        if missing or not reader or not writer:
            what = missing[0] if missing else "a serializer and a deserializer"
            message = f"DataFormatConversionConfiguration needs {what} when it is enabled."
            raise AWSError("InvalidArgumentException", message)
        if "ParquetSerDe" not in writer:
            raise not_implemented("firehose", "delivery as ORC")
        options = reader.get("OpenXJsonSerDe") or {}
        names = {"UNCOMPRESSED": "none", "GZIP": "gzip", "SNAPPY": "snappy"}
        compression = (writer["ParquetSerDe"] or {}).get("Compression") or "SNAPPY"
        return cls(
            schema,
            names[compression],
            options.get("CaseInsensitive", True),
            options.get("ConvertDotsInJsonKeysToUnderscores", False),
            options.get("ColumnToJsonKeyMappings") or {},
        )

    def convert(
        self, records: list[Record], region: str, caller: str
    ) -> tuple[bytes | None, list[Failure]]:
        """The records as one Parquet file, and those that do not fit; None if none does."""
        region = self.schema.get("Region") or region
        try:
            columns = self._columns(region, caller)
        except AWSError as error:
            code = "DataFormatConversion.InvalidSchema"
            return None, [self._failure(record, code, error.message, region) for record in records]
        rows, failures = [], []
        for record in records:
            try:
                rows += [self._row(value, columns) for value in _objects(record.data)]
            except ValueError as error:
                code = "DataFormatConversion.MalformedData"
                failures.append(self._failure(record, code, str(error), region))
        if not rows:
            return None, failures
        arrays = [pa.array([row[name] for row in rows], kind) for name, kind in columns.items()]
        target = io.BytesIO()
        table = pa.table(arrays, names=list(columns))
        pq.write_table(table, target, compression=self.compression)
        return target.getvalue(), failures

    def _columns(self, region: str, caller: str) -> dict[str, pa.DataType]:
        from moto.glue.models import glue_backends

        database, name = self.schema["DatabaseName"], self.schema["TableName"]
        params = {"DatabaseName": database, "TableName": name}
        version = {"VersionId": self.schema.get("VersionId", "LATEST")}
        journal.note("glue", "GetTableVersions", params | version, region, caller)
        home = glue_backends[account.ACCOUNT_ID][region].databases.get(database)
        if home is None or name not in home.tables:
            message = f"Table {name} not found in database {database}."
            raise AWSError("EntityNotFoundException", message)
        listed = home.tables[name].as_dict()["StorageDescriptor"]["Columns"]
        return {column["Name"]: arrow_type(column["Type"]) for column in listed}

    def _row(self, value: dict[str, Any], columns: dict[str, pa.DataType]) -> dict[str, Any]:
        if self.dots_to_underscores:
            value = {key.replace(".", "_"): each for key, each in value.items()}
        if self.case_insensitive:
            value = {key.lower(): each for key, each in value.items()}
        row = {}
        for name, kind in columns.items():
            key = self.renamed.get(name, name)
            found = value.get(key.lower() if self.case_insensitive else key)
            try:
                row[name] = as_type(found, kind)
            except (ValueError, TypeError, ArithmeticError) as error:
                raise ValueError(f"{name} is {found!r}, which is no {kind}: {error}") from None
        return row

    def _failure(self, record: Record, code: str, message: str, region: str) -> Failure:
        table = {
            "databaseName": self.schema["DatabaseName"],
            "tableName": self.schema["TableName"],
            "region": region,
            "versionId": self.schema.get("VersionId", "LATEST"),
            "roleArn": self.schema["RoleARN"],
        }
        details = {"dataCatalogTable": table}
        return Failure("format-conversion-failed", record, code, message, 1, details)


def _objects(data: bytes) -> list[dict[str, Any]]:
    """The JSON objects of a record: one, or several behind each other."""
    text, decoder, found = data.decode("utf-8"), json.JSONDecoder(), []
    position = 0
    while position < len(text.rstrip()):
        gap = re.compile(r"\s*").match(text, position)
        value, position = decoder.raw_decode(text, gap.end() if gap else position)
        if not isinstance(value, dict):
            raise ValueError(f"a row is a JSON object, not {str(value)[:40]!r}")
        found.append(value)
    if not found:
        raise ValueError("the record is empty")
    return found


def arrow_type(hive: str) -> pa.DataType:
    """Hive's type as Arrow's. Raises InvalidSchema for one that is not carried out."""
    hive = hive.strip().lower()
    if hive in _SIMPLE:
        return _SIMPLE[hive]
    if found := re.fullmatch(r"decimal\((\d+)(?:\s*,\s*(\d+))?\)", hive):
        return pa.decimal128(int(found[1]), int(found[2] or 0))
    if re.fullmatch(r"(var)?char\(\d+\)", hive):
        return pa.string()
    if found := re.fullmatch(r"array<(.+)>", hive):
        return pa.list_(arrow_type(found[1]))
    if found := re.fullmatch(r"map<\s*string\s*,(.+)>", hive):
        return pa.map_(pa.string(), arrow_type(found[1]))
    if found := re.fullmatch(r"struct<(.+)>", hive):
        fields = re.split(r",(?![^<(]*[>)])", found[1])
        pairs = [each.split(":", 1) for each in fields]
        return pa.struct([(name.strip(), arrow_type(kind)) for name, kind in pairs])
    raise AWSError("InvalidSchema", f"The column type {hive} is not carried out offline.")


def as_type(value: Any, kind: pa.DataType) -> Any:
    """A value of JSON as a value of the type. Raises ValueError or TypeError if it is none."""
    if value is None:
        return None
    if pa.types.is_string(kind):
        return value if isinstance(value, str) else json.dumps(value)
    if pa.types.is_boolean(kind):
        if isinstance(value, bool) or value in ("true", "false"):
            return value in (True, "true")
        raise ValueError("neither true nor false")
    if pa.types.is_integer(kind):
        number = int(value)
        if isinstance(value, bool) or float(value) != number:
            raise ValueError("not whole")
        return pa.scalar(number, kind).as_py()
    if pa.types.is_floating(kind):
        return float(value)
    if pa.types.is_decimal(kind):
        return _decimal(value, kind)
    if pa.types.is_timestamp(kind):
        return _moment(value)
    if pa.types.is_date(kind):
        return date.fromisoformat(value)
    if pa.types.is_list(kind):
        return [as_type(each, kind.value_type) for each in _of(value, list)]
    if pa.types.is_map(kind):
        pairs = _of(value, dict).items()
        return [(key, as_type(each, kind.item_type)) for key, each in pairs]
    if pa.types.is_struct(kind):
        found = _of(value, dict)
        return {part.name: as_type(found.get(part.name), part.type) for part in kind}
    return value.encode() if isinstance(value, str) else value


def _of(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"not a {kind.__name__}")
    return value


def _decimal(value: Any, kind: pa.DataType) -> Decimal:
    try:
        return round(Decimal(str(value)), kind.scale)
    except InvalidOperation:
        raise ValueError("no number") from None


def _moment(value: Any) -> datetime:
    """ISO 8601, with a blank or a T, or seconds or milliseconds since 1970."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value / 1000 if value > 1e11 else value
        return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    moment = datetime.fromisoformat(value)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
