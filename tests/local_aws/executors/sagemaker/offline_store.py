"""The offline store of a feature group: every record, in Parquet by the hour, and a Glue table.

https://docs.aws.amazon.com/sagemaker/latest/dg/feature-store-offline.html

The table lies over all hours at once and has no partition keys: a `SELECT *` gives the features and
the three columns that Feature Store adds, and no year, month, day or hour.
"""

from __future__ import annotations

import io
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from moto.core.exceptions import ServiceException

from ... import account, identity, journal, storage
from ...errors import AWSError
from ...policies import ALLOWED, evaluate
from ...storage import S3Location
from .common import only_here
from .feature_values import Record, iso, typed

DATABASE = "sagemaker_featurestore"
CATALOG = "AwsDataCatalog"
_ARROW = {"Integral": pa.int64(), "Fractional": pa.float64(), "String": pa.string()}
_HIVE = {"Integral": "bigint", "Fractional": "double", "String": "string"}
_ADDED = {"write_time": "timestamp", "api_invocation_time": "timestamp", "is_deleted": "boolean"}
_MOMENT = pa.timestamp("ms")
_TABLE_NAME = re.compile(r"[a-z0-9_]{1,255}")


@dataclass(frozen=True)
class Row:
    """A record on its way to S3, or the mark that one was deleted."""

    record: Record
    invoked: datetime
    is_deleted: bool = False


def complete(config: dict[str, Any], name: str, created: datetime, region: str) -> dict[str, Any]:
    """`OfflineStoreConfig` with what Feature Store adds: where the data go, and the table's name.

    Raises:
        AWSError: ValidationException for what AWS refuses, NotImplemented for Iceberg tables.
    """
    if config.get("TableFormat") == "Iceberg":
        raise only_here("feature groups in the Iceberg table format")
    stem = f"{name}-{int(created.timestamp())}"
    given = S3Location.parse(config["S3StorageConfig"]["S3Uri"])
    place = S3Location(given.bucket, given.key.rstrip("/"))
    path = f"{account.ACCOUNT_ID}/sagemaker/{region}/offline-store/{stem}/data"
    found = {
        "S3StorageConfig": config["S3StorageConfig"] | {"ResolvedOutputS3Uri": str(place / path)},
        "DisableGlueTableCreation": config.get("DisableGlueTableCreation", False),
        "TableFormat": "Glue",
    }
    table = config.get("DataCatalogConfig")
    if table:
        _check_table(table)
        found["DataCatalogConfig"] = table
    elif not found["DisableGlueTableCreation"]:
        found["DataCatalogConfig"] = {
            "TableName": re.sub(r"[^a-z0-9_]", "_", stem.lower()),
            "Catalog": CATALOG,
            "Database": DATABASE,
        }
    return found


def _check_table(table: dict[str, str]) -> None:
    if table["Catalog"] != CATALOG:
        message = f"Validation Error: The catalog '{table['Catalog']}' must be {CATALOG}."
        raise AWSError("ValidationException", message)
    for member in ("Database", "TableName"):
        if not _TABLE_NAME.fullmatch(table[member]):
            message = (
                f"Validation Error: {member} '{table[member]}' may have lower-case letters, "
                "digits and underscores only."
            )
            raise AWSError("ValidationException", message)


class OfflineStore:
    """Where the rows of a feature group go.

    Args:
        group: the description of the feature group; features may be added to it.
        region: of the group.
        caller: who made it; the Glue table is made with the caller's rights.
    """

    def __init__(self, group: dict[str, Any], region: str, caller: str) -> None:
        self._group, self._region, self._caller = group, region, caller
        config = group["OfflineStoreConfig"]
        self._role = group["RoleArn"]
        self._location = S3Location.parse(config["S3StorageConfig"]["ResolvedOutputS3Uri"])
        self._kms_key = config["S3StorageConfig"].get("KmsKeyId")
        self._table = config.get("DataCatalogConfig")
        self._own_table = not config["DisableGlueTableCreation"]

    def create(self) -> None:
        """Look whether the role may write, and make the Glue table.

        Raises:
            AWSError: with the reason why the feature group cannot be created.
        """
        self.check_access()
        if self._own_table:
            self._create_table()

    def check_access(self) -> None:
        """Raise AWSError if the role may not write to S3, or not use the KMS key.

        It needs what AWS's own policy for it, AmazonSageMakerFeatureStoreAccess, allows on S3.
        """
        bucket, inside = S3Location(self._location.bucket), self._location / "data.parquet"
        rights = {"s3:GetBucketAcl": bucket, "s3:PutObject": inside, "s3:PutObjectAcl": inside}
        for action, place in rights.items():
            storage.refuse_if_denied(place, action, self._role)
            self._require(action, f"arn:aws:s3:::{place.bucket}/{place.key}".rstrip("/"))
        if self._kms_key:
            self._require("kms:GenerateDataKey", self._key_arn(self._kms_key))

    def _require(self, action: str, resource: str) -> None:
        role = identity.find_role(self._role)
        if role is None:
            raise AWSError("AccessDenied", f"The role {self._role} is gone.", status=403)
        if evaluate(identity.statements_of(role), action, resource).result != ALLOWED:
            message = f"{self._role} is not authorized to perform: {action} on {resource}"
            raise AWSError("AccessDenied", message, status=403)

    def _key_arn(self, key_id: str) -> str:
        from moto.kms.models import kms_backends

        try:
            key = kms_backends[account.ACCOUNT_ID][self._region].describe_key(key_id)
        except (KeyError, ServiceException):
            raise AWSError("NotFoundException", f"The KMS key {key_id} is not there.") from None
        if not key.enabled:
            raise AWSError("DisabledException", f"The KMS key {key.arn} is disabled.")
        return key.arn

    # ── the table ────────────────────────────────────────────────────────────────────────────────

    def _create_table(self) -> None:
        database, name = self._table["Database"], self._table["TableName"]
        self._note("GetDatabase", Name=database)
        if database not in self._glue.databases:
            self._note("CreateDatabase", DatabaseInput={"Name": database})
            self._glue.create_database(database, {"Name": database}, {})
        self._note("CreateTable", DatabaseName=database, TableInput={"Name": name})
        if name in self._glue.databases[database].tables:
            raise AWSError("AlreadyExistsException", f"Table {database}.{name} already exists.")
        self._glue.create_table(database, name, self._table_input())

    def update_table(self) -> None:
        """Give the table the features that have been added, if it is still there."""
        if not self._own_table:
            return
        database, name = self._table["Database"], self._table["TableName"]
        home = self._glue.databases.get(database)
        if home and name in home.tables:
            self._note("UpdateTable", DatabaseName=database, Name=name)
            self._glue.update_table(database, name, self._table_input())

    def _table_input(self) -> dict[str, Any]:
        features = {
            each["FeatureName"].lower(): _HIVE[each["FeatureType"]]
            for each in self._group["FeatureDefinitions"]
        }
        columns = features | _ADDED
        return {
            "Name": self._table["TableName"],
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"EXTERNAL": "TRUE", "classification": "parquet"},
            "PartitionKeys": [],
            "StorageDescriptor": {
                "Columns": [{"Name": name, "Type": kind} for name, kind in columns.items()],
                "Location": str(self._location),
                "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
                "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
                "SerdeInfo": {
                    "SerializationLibrary": (
                        "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
                    )
                },
            },
        }

    @property
    def _glue(self) -> Any:
        from moto.glue.models import glue_backends

        return glue_backends[account.ACCOUNT_ID][self._region]

    def _note(self, operation: str, **params: Any) -> None:
        journal.note("glue", operation, params, self._region, self._caller)

    # ── the data ─────────────────────────────────────────────────────────────────────────────────

    def write(self, rows: list[Row], written: Callable[[Row], None]) -> None:
        """Write rows, one object for each hour of event time, and tell which have been written.

        Raises:
            AWSError: if the role may not write, or the bucket is gone.
        """
        self.check_access()
        hours: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            hours[row.record.event_time.strftime("year=%Y/month=%m/day=%d/hour=%H")].append(row)
        caller = f"{self._role.rpartition('/')[2]}/feature-store-{self._group['FeatureGroupName']}"
        for folder, inside in hours.items():
            latest = max(row.record.event_time for row in inside)
            unique = account.new_id().replace("-", "")[:16]
            name = f"{latest:%Y%m%dT%H%M%SZ}_{unique}.parquet"
            place = self._location / folder / name
            storage.write(place, self._as_parquet(inside), caller, self._kms_key)
            for row in inside:
                written(row)

    def _as_parquet(self, rows: list[Row]) -> bytes:
        now = account.now().replace(tzinfo=None)
        columns: dict[str, pa.Array] = {}
        for definition in self._group["FeatureDefinitions"]:
            name = definition["FeatureName"]
            values = [row.record.values.get(name) for row in rows]
            columns[name.lower()] = pa.array(
                [None if value is None else typed(definition, str(value)) for value in values],
                _ARROW[definition["FeatureType"]],
            )
        columns["write_time"] = pa.array([now] * len(rows), _MOMENT)
        invoked = [row.invoked.replace(tzinfo=None) for row in rows]
        columns["api_invocation_time"] = pa.array(invoked, _MOMENT)
        columns["is_deleted"] = pa.array([row.is_deleted for row in rows], pa.bool_())
        body = io.BytesIO()
        pq.write_table(pa.table(columns), body, compression="snappy")
        return body.getvalue()


def tombstone(group: dict[str, Any], identifier: str, event_time: datetime, text: str = "") -> Row:
    """The mark of a deleted record: identifier and event time, and nothing else.

    `text` is the event time as it was sent; without it, it is written as the group has its times.
    """
    name = group["EventTimeFeatureName"]
    kinds = {each["FeatureName"]: each["FeatureType"] for each in group["FeatureDefinitions"]}
    if not text:
        text = iso(event_time) if kinds[name] == "String" else repr(event_time.timestamp())
    values = {group["RecordIdentifierFeatureName"]: identifier, name: text}
    return Row(Record(identifier, event_time, dict(values)), account.now(), is_deleted=True)
