"""Amazon Data Firehose: moto keeps the streams, here they deliver to S3.

https://docs.aws.amazon.com/firehose/latest/dev/what-is-this-service.html
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

from ... import account, event_sources, triggers
from ...errors import AWSError, not_implemented
from ...gateway import Call, handles
from . import settings
from .delivery import Delivery
from .records import Record

__all__ = ["accept"]

triggers.install("lambda", "firehose")

_BATCH_BYTES = 4 * 1024 * 1024
_OTHERS = (
    "AmazonOpenSearchServerlessDestination",
    "AmazonopensearchserviceDestination",
    "ElasticsearchDestination",
    "HttpEndpointDestination",
    "IcebergDestination",
    "RedshiftDestination",
    "SnowflakeDestination",
    "SplunkDestination",
)
# What DescribeDeliveryStream says where nothing was configured.
_DEFAULTS: dict[str, Any] = {
    "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 300},
    "CompressionFormat": "UNCOMPRESSED",
    "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"},
    "CloudWatchLoggingOptions": {"Enabled": False},
}
_EXTENDED_DEFAULTS = _DEFAULTS | {
    "ProcessingConfiguration": {"Enabled": False, "Processors": []},
    "S3BackupMode": "Disabled",
    "DataFormatConversionConfiguration": {"Enabled": False},
}
_OF_PLAIN_S3 = ("RoleARN", "BucketARN", "Prefix", "ErrorOutputPrefix", *_DEFAULTS)

Key = tuple[str, str]

# (region, name) -> its worker
_deliveries: dict[Key, Delivery] = account.table()
# (region, name) -> the destination as it is configured
_destinations: dict[Key, dict[str, Any]] = account.table()


# ── streams ──────────────────────────────────────────────────────────────────────────────────────


@handles("firehose", "CreateDeliveryStream")
def create(call: Call) -> dict[str, Any]:
    """Begin to deliver to S3 what is put, or what comes into a Kinesis stream from now on."""
    params = call.params
    _refuse_others(params, "Configuration")
    kind = params.get("DeliveryStreamType") or "DirectPut"
    if kind not in ("DirectPut", "KinesisStreamAsSource"):
        raise not_implemented("firehose", f"CreateDeliveryStream with a source of type {kind}")
    given = [params[name] for name in _DESTINATIONS if params.get(name)]
    if len(given) != 1:
        message = "Exactly one destination configuration is supported for a Firehose."
        raise AWSError("InvalidArgumentException", message)
    key = (call.region, params["DeliveryStreamName"])
    delivery = Delivery(key[1], call.region, settings.read(given[0]))
    delivery.source = _source(call, kind)
    answer = call.forward()
    _deliveries[key], _destinations[key] = delivery, given[0]
    if params.get("DeliveryStreamEncryptionConfigurationInput"):
        _kept(key).delivery_stream_encryption_configuration["Status"] = "ENABLED"
    listener = _Listener(delivery)
    if delivery.source:
        event_sources.listen(delivery.source, listener)
    delivery.start(lambda _: delivery.work(lambda: _remove(key, listener)))
    return answer


_DESTINATIONS = ("ExtendedS3DestinationConfiguration", "S3DestinationConfiguration")


def _refuse_others(params: dict[str, Any], ending: str) -> None:
    for name in _OTHERS:
        if params.get(name + ending):
            raise not_implemented("firehose", f"delivery with a {name}{ending}")


def _source(call: Call, kind: str) -> str | None:
    """The ARN of the Kinesis stream to read; None for records that are put."""
    given = call.params.get("KinesisStreamSourceConfiguration")
    if kind == "DirectPut":
        return None
    if not given:
        message = "KinesisStreamSourceConfiguration is required for KinesisStreamAsSource."
        raise AWSError("InvalidArgumentException", message)
    if call.params.get("DeliveryStreamEncryptionConfigurationInput"):
        raise _only_for_direct_put(call.params["DeliveryStreamName"])
    settings.check_role(given["RoleARN"])
    arn = given["KinesisStreamARN"]
    from moto.kinesis.models import kinesis_backends

    if arn.rpartition("/")[2] not in kinesis_backends[account.ACCOUNT_ID][call.region].streams:
        raise AWSError("ResourceNotFoundException", f"Kinesis stream {arn} does not exist.")
    return arn


class _Listener:
    """Takes over each record that comes into the stream which a delivery reads."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery

    def __call__(self, stream: Any, shard: str, number: int) -> None:
        found = stream.shards[shard].records[number]
        data, arrived = base64.b64decode(found.data), datetime.fromtimestamp(found.created_at, UTC)
        described = {
            "sequenceNumber": str(found.sequence_number),
            "subsequenceNumber": 0,
            "partitionKey": found.partition_key,
            "shardId": shard,
            "approximateArrivalTimestamp": int(found.created_at * 1000),
        }
        if self._delivery.status != "DELETING":
            self._delivery.accept([Record(data, arrived, data, described)])


@handles("firehose", "DescribeDeliveryStream")
def describe(call: Call) -> dict[str, Any]:
    """The stream as moto keeps it, with its status and its destination in full."""
    answer = call.forward()
    described = answer["DeliveryStreamDescription"]
    key = (call.region, described["DeliveryStreamName"])
    delivery, destination = _deliveries.get(key), _destinations.get(key)
    if delivery is None or destination is None:
        return answer
    described["DeliveryStreamStatus"] = delivery.status
    if not described.get("DeliveryStreamEncryptionConfiguration"):
        described["DeliveryStreamEncryptionConfiguration"] = {"Status": "DISABLED"}
    if delivery.source:
        source = described["Source"]["KinesisStreamSourceDescription"]
        source["DeliveryStartTimestamp"] = delivery.created
    described["Destinations"] = [
        {
            "DestinationId": described["Destinations"][0]["DestinationId"],
            "S3DestinationDescription": _as_plain_s3(destination),
            "ExtendedS3DestinationDescription": _as_extended_s3(destination),
        }
    ]
    return answer


def _as_plain_s3(destination: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in (_DEFAULTS | destination).items() if name in _OF_PLAIN_S3}


def _as_extended_s3(destination: dict[str, Any]) -> dict[str, Any]:
    described = _EXTENDED_DEFAULTS | destination
    backup = described.pop("S3BackupConfiguration", None)
    if backup:
        described["S3BackupDescription"] = _as_plain_s3(backup)
    return described


@handles("firehose", "ListDeliveryStreams")
def list_streams(call: Call) -> dict[str, Any]:
    """The names in alphabetical order, ten unless more are asked for."""
    return call.forward({"Limit": 10, **call.params})


@handles("firehose", "DeleteDeliveryStream")
def delete(call: Call) -> None:
    """Delete a stream and its data, as AWS does: what is still buffered is not delivered."""
    delivery = _delivery(call)
    if delivery.status == "CREATING":
        raise _in_use(delivery)
    delivery.delete()


def _remove(key: Key, listener: _Listener) -> None:
    """Forget a stream that has been deleted."""
    from moto.firehose.models import firehose_backends

    delivery = _deliveries.pop(key)
    _destinations.pop(key)
    if delivery.source:
        event_sources.ignore(delivery.source, listener)
    firehose_backends[account.ACCOUNT_ID][key[0]].delete_delivery_stream(key[1])


@handles("firehose", "UpdateDestination")
def update(call: Call) -> dict[str, Any]:
    """Merge changes into the destination; what is buffered goes where it was to go."""
    key = (call.region, call.params["DeliveryStreamName"])
    delivery = _delivery(call)
    if delivery.status != "ACTIVE":
        raise _in_use(delivery)
    _refuse_others(call.params, "Update")
    changes = call.params.get("ExtendedS3DestinationUpdate")
    changes = changes or call.params.get("S3DestinationUpdate")
    if not changes:
        message = "Exactly one destination configuration is supported for a Firehose."
        raise AWSError("InvalidArgumentException", message)
    before = _destinations[key]
    after = _merged(before, changes)
    if settings.is_partitioned(after) != settings.is_partitioned(before):
        message = "Dynamic partitioning can only be enabled when a stream is created, for good."
        raise AWSError("InvalidArgumentException", message)
    if before.get("S3BackupMode") == "Enabled" != after.get("S3BackupMode"):
        message = "S3BackupMode cannot be disabled once it is enabled."
        raise AWSError("InvalidArgumentException", message)
    read = settings.read(after)
    answer = call.forward()
    _destinations[key] = after
    delivery.update(read, int(_kept(key).version_id))
    return answer


def _merged(destination: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    changes = dict(changes)
    backup = changes.pop("S3BackupUpdate", None)
    merged = {**destination, **changes}
    if backup:
        merged["S3BackupConfiguration"] = {**merged.get("S3BackupConfiguration", {}), **backup}
    return merged


# ── encryption ───────────────────────────────────────────────────────────────────────────────────


@handles("firehose", "StartDeliveryStreamEncryption")
def start_encryption(call: Call) -> dict[str, Any]:
    """Say that records are encrypted; they lie in memory."""
    _direct(call, "StartDeliveryStreamEncryption")
    given = call.params.get("DeliveryStreamEncryptionConfigurationInput")
    default = {"KeyType": "AWS_OWNED_CMK"}
    return call.forward(
        {**call.params, "DeliveryStreamEncryptionConfigurationInput": given or default}
    )


@handles("firehose", "StopDeliveryStreamEncryption")
def stop_encryption(call: Call) -> None:
    """Say that records are not encrypted any more."""
    delivery = _direct(call, "StopDeliveryStreamEncryption")
    _kept((call.region, delivery.stream)).delivery_stream_encryption_configuration = {
        "Status": "DISABLED"
    }


# ── records ──────────────────────────────────────────────────────────────────────────────────────


@handles("firehose", "PutRecord")
def put_record(call: Call) -> dict[str, Any]:
    """Take one record."""
    _receiving(call).accept([_record(call.params["Record"]["Data"])])
    return {"RecordId": _record_id(), "Encrypted": _is_encrypted(call)}


@handles("firehose", "PutRecordBatch")
def put_records(call: Call) -> dict[str, Any]:
    """Take up to 500 records of 4 MiB together."""
    delivery = _receiving(call)
    records = [_record(each["Data"]) for each in call.params["Records"]]
    size = sum(len(record.data) for record in records)
    if size > _BATCH_BYTES:
        message = f"Records size exceeds 4 MB limit for a single PutRecordBatch request: {size}"
        raise AWSError("InvalidArgumentException", message)
    delivery.accept(records)
    answers = [{"RecordId": _record_id()} for _ in records]
    return {
        "FailedPutCount": 0,
        "Encrypted": _is_encrypted(call),
        "RequestResponses": answers,
    }


def accept(arn: str, data: bytes) -> None:
    """Take a record that another service sends, if the stream is there.

    Args:
        arn: of the delivery stream.
        data: of the record.
    """
    delivery = _deliveries.get((arn.split(":")[3], arn.rpartition("/")[2]))
    if delivery and not delivery.source and delivery.status == "ACTIVE":
        delivery.accept([_record(data)])


def _record(data: bytes) -> Record:
    return Record(data, account.now(), data)


def _record_id() -> str:
    return account.new_id().replace("-", "") * 3


def _receiving(call: Call) -> Delivery:
    """The stream that a record is put to."""
    delivery = _direct(call, "This operation")
    if delivery.status != "ACTIVE":
        raise delivery.not_found()
    if delivery.settings.unpacking.decompresses:
        message = (
            "Only requests from CloudWatch Logs are supported when CloudWatch Logs decompression "
            "is enabled."
        )
        raise AWSError("InvalidSourceException", message)
    return delivery


def _direct(call: Call, what: str) -> Delivery:
    delivery = _delivery(call)
    if delivery.source:
        raise _only_for_direct_put(delivery.stream, what)
    return delivery


def _only_for_direct_put(name: str, what: str = "Server-side encryption") -> AWSError:
    message = f"{what} is not permitted on KinesisStreamAsSource delivery stream type: {name}"
    return AWSError("InvalidArgumentException", message)


def _in_use(delivery: Delivery) -> AWSError:
    message = f"Firehose {delivery.stream} is in the state {delivery.status}; it has to be ACTIVE."
    return AWSError("ResourceInUseException", message)


def _is_encrypted(call: Call) -> bool:
    kept = _kept((call.region, call.params["DeliveryStreamName"]))
    return (kept.delivery_stream_encryption_configuration or {}).get("Status") == "ENABLED"


def _kept(key: Key) -> Any:
    """moto's stream."""
    from moto.firehose.models import firehose_backends

    return firehose_backends[account.ACCOUNT_ID][key[0]].delivery_streams[key[1]]


def _delivery(call: Call) -> Delivery:
    name = call.params["DeliveryStreamName"]
    delivery = _deliveries.get((call.region, name))
    if delivery is None:
        message = f"Firehose {name} under account {account.ACCOUNT_ID} not found."
        raise AWSError("ResourceNotFoundException", message)
    return delivery
