"""What surrounds the stream: rights and settings of the delivery, trouble, and a stocktaking."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

import awswrangler as wr
import pandas as pd

import producer

Event = dict[str, Any]
Key = Callable[[Event], str]

# The table of the raw zone that Firehose writes to, as Hive names the types.
COLUMNS = {
    "event_id": "string",
    "event_time": "timestamp",
    "arrived_at": "timestamp",
    "carrier": "string",
    "flight": "int",
    "tailnum": "string",
    "origin": "string",
    "dest": "string",
    "dep_delay": "int",
}


_PARQUET = "org.apache.hadoop.hive.ql.io.parquet"

# ── settings ─────────────────────────────────────────────────────────────────────────────────────


def function_policy(log_group_arn: str) -> dict[str, Any]:
    """What the transforming function needs: to write its log."""
    actions = ["logs:CreateLogStream", "logs:PutLogEvents"]
    return _policy([(actions, f"{log_group_arn}:*")])


def delivery_policy(bucket: str, stream: str, function: str, table: list[str]) -> dict[str, Any]:
    """What Firehose needs: to read the stream, call the function, look up the table, and deliver.

    Args:
        bucket: its name.
        stream, function: their ARNs.
        table: the ARNs of the table, its database and the catalog.
    """
    reading = ["kinesis:DescribeStream", "kinesis:GetShardIterator", "kinesis:GetRecords"]
    delivering = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
    listing = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
    looking = ["glue:GetTable", "glue:GetTableVersion", "glue:GetTableVersions"]
    zone = f"arn:aws:s3:::{bucket}"
    return _policy(
        [
            ([*reading, "kinesis:ListShards"], stream),
            (["lambda:InvokeFunction", "lambda:GetFunctionConfiguration"], f"{function}:*"),
            (delivering, [f"{zone}/raw/*", f"{zone}/errors/*"]),
            (listing, zone),
            (looking, table),
        ]
    )


def _policy(statements: list[tuple[list[str], Any]]) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": actions, "Resource": resources}
            for actions, resources in statements
        ],
    }


def table_input(name: str, location: str) -> dict[str, Any]:
    """The table of departures for `glue.create_table`: Parquet, a partition for each day.

    Partition projection tells Athena which days there can be, so that nobody has to register the
    partitions that Firehose makes.
    """
    return {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": [{"Name": "day", "Type": "string"}],
        "Parameters": {
            "classification": "parquet",
            "projection.enabled": "true",
            "projection.day.type": "date",
            "projection.day.format": "yyyy-MM-dd",
            "projection.day.range": "2013-01-01,2013-12-31",
            "storage.location.template": f"{location}day=${{day}}/",
        },
        "StorageDescriptor": {
            "Columns": [{"Name": column, "Type": kind} for column, kind in COLUMNS.items()],
            "Location": location,
            "InputFormat": f"{_PARQUET}.MapredParquetInputFormat",
            "OutputFormat": f"{_PARQUET}.MapredParquetOutputFormat",
            "SerdeInfo": {"SerializationLibrary": f"{_PARQUET}.serde.ParquetHiveSerDe"},
        },
    }


def table_arns(region: str, account: str, database: str, table: str) -> list[str]:
    """The resources that a policy names for a table: the catalog, the database, the table."""
    catalog = f"arn:aws:glue:{region}:{account}"
    return [
        f"{catalog}:catalog",
        f"{catalog}:database/{database}",
        f"{catalog}:table/{database}/{table}",
    ]


def transform_by(function_arn: str) -> dict[str, Any]:
    """The part of a delivery that calls a function for each batch of records."""
    parameters = {
        "LambdaArn": f"{function_arn}:$LATEST",
        "BufferSizeInMBs": "1",
        "BufferIntervalInSeconds": "60",
        "NumberOfRetries": "3",
    }
    listed = [
        {"ParameterName": name, "ParameterValue": value} for name, value in parameters.items()
    ]
    return {"Enabled": True, "Processors": [{"Type": "Lambda", "Parameters": listed}]}


def as_parquet(role_arn: str, database: str, table: str, region: str) -> dict[str, Any]:
    """The part of a delivery that turns JSON into Parquet with the columns of a catalog's table."""
    return {
        "Enabled": True,
        "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
        "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {"Compression": "SNAPPY"}}},
        "SchemaConfiguration": {
            "RoleARN": role_arn,
            "DatabaseName": database,
            "TableName": table,
            "Region": region,
            "VersionId": "LATEST",
        },
    }


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────


def shard_shares(events: list[Event], keys: dict[str, Key], shards: int = 2) -> pd.DataFrame:
    """The share of the events that each shard gets, a row for each way to choose the key."""
    counts = {
        name: pd.Series([producer.shard_of(key(event), shards) for event in events])
        for name, key in keys.items()
    }
    shares = pd.DataFrame(
        {name: each.value_counts(normalize=True) for name, each in counts.items()}
    )
    shares = shares.T.reindex(columns=range(shards)).fillna(0)
    return shares.set_axis([f"shard {number}" for number in range(shards)], axis=1)


def as_read(events: list[Event], tailnum: str, key: Key, shards: int = 2) -> pd.Series:
    """The departures of a plane as who reads shard after shard sees them, in hours.

    Hours count from the first of all events.
    """
    start = pd.Timestamp(events[0]["event_time"])
    own = [event for event in events if event["tailnum"] == tailnum]
    own.sort(key=lambda event: producer.shard_of(key(event), shards))  # keeps the order in a shard
    times = pd.to_datetime(pd.Series([event["event_time"] for event in own]))
    return (times - start).dt.total_seconds() / 3600


# ── trouble ──────────────────────────────────────────────────────────────────────────────────────


def troubled(events: list[dict[str, Any]]) -> tuple[list[Any], dict[str, int]]:
    """The events as a bad day sends them, in a new list, and how many of them are what.

    Of the first day, every 40th comes last of all: its sender was offline. Of the others, every
    50th comes twice: its sender got no answer and sent it again. Six are useless: two are no JSON,
    two have lost a field, two come from a clock that is a century ahead.
    """
    first_day = events[0]["event_time"][:10]
    late = [event for event in events if event["event_time"].startswith(first_day)][::40]
    ids = {event["event_id"] for event in late}
    on_time = [event for event in events if event["event_id"] not in ids]
    again = on_time[::50]
    ahead = [{**event, "event_time": "2113" + event["event_time"][4:]} for event in events[5:7]]
    lost = [{name: event[name] for name in event if name != "origin"} for event in events[7:9]]
    useless = ['{"event_id": "2013', "departed!", *lost, *ahead]
    sent = [*on_time, *again, *useless, *late]
    counts = {"good": len(events), "duplicates": len(again), "late": len(late), "useless": 6}
    return sent, counts


class Crash(Exception):
    """The machine goes down."""


def crashing(handled: list[Any], at: int) -> Callable[[Any], None]:
    """A handler that keeps records in a list, until it has so many: then it crashes."""

    def handle(record: Any) -> None:
        if len(handled) == at:
            raise Crash(f"down after {at:,} records")
        handled.append(record)

    return handle


# ── stocktaking ──────────────────────────────────────────────────────────────────────────────────


def delivered(location: str) -> int:
    """How many rows the Parquet objects under a location of S3 have, from their footers."""
    paths = wr.s3.list_objects(location)
    return sum(len(wr.s3.read_parquet(path, columns=["event_id"])) for path in paths)


def failures(location: str) -> list[dict[str, Any]]:
    """What Firehose wrote to its error prefix: a dictionary for each record it could not use."""
    tables = [wr.s3.read_json(path, lines=True) for path in wr.s3.list_objects(location)]
    return [row for table in tables for row in table.to_dict("records")]


def wait_for_delivery(location: str, errors: str, count: int) -> None:
    """Return when so many records lie as rows under a location or as failures under another.

    Raises:
        TimeoutError: if they do not in a quarter of an hour.
    """
    wait_until(lambda: delivered(location) + len(failures(errors)) >= count, f"{count:,} records")


def wait_until(
    done: Callable[[], bool], what: str, *, poll_seconds: float = 2.0, timeout_seconds: float = 900
) -> None:
    """Return as soon as something is done.

    Raises:
        TimeoutError: naming what was waited for.
    """
    until = time.monotonic() + timeout_seconds
    while not done():
        if time.monotonic() > until:
            raise TimeoutError(f"waited {timeout_seconds} seconds for {what}")
        time.sleep(poll_seconds)


def raw_data(failure: dict[str, Any]) -> str:
    """The record that failed, as text, cut to what fits into a line."""
    text = base64.b64decode(failure["rawData"]).decode(errors="replace")
    return text if len(text) <= 60 else text[:60] + "…"
