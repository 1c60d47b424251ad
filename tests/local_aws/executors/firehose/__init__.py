"""Amazon Data Firehose: moto keeps the descriptions, deliveries deliver.

https://docs.aws.amazon.com/firehose/latest/dev/what-is-this-service.html
"""

from __future__ import annotations

import base64
from typing import Any

from ... import account, event_sources, triggers
from ...errors import AWSError, not_implemented
from ...gateway import Call, handles
from . import settings
from .delivery import Delivery
from .records import Record

triggers.install("lambda")

_BATCH_BYTES = 4 * 1024 * 1024
_OTHER_DESTINATIONS = (
    "AmazonOpenSearchServerlessDestinationConfiguration",
    "AmazonopensearchserviceDestinationConfiguration",
    "ElasticsearchDestinationConfiguration",
    "HttpEndpointDestinationConfiguration",
    "IcebergDestinationConfiguration",
    "RedshiftDestinationConfiguration",
    "SnowflakeDestinationConfiguration",
    "SplunkDestinationConfiguration",
)

# (region, name) -> its worker
_deliveries: dict[tuple[str, str], Delivery] = account.table()
# (region, name) -> the destination as it was configured
_destinations: dict[tuple[str, str], dict[str, Any]] = account.table()


@handles("firehose", "CreateDeliveryStream")
def create(call: Call) -> dict[str, Any]:
    """Begin to deliver to S3 what is put, or what comes into a Kinesis stream from now on."""
    params = call.params
    other = [name for name in _OTHER_DESTINATIONS if params.get(name)]
    kind = params.get("DeliveryStreamType") or "DirectPut"
    if other or kind not in ("DirectPut", "KinesisStreamAsSource"):
        raise not_implemented("firehose", other[0] if other else f"a source of type {kind}")
    key = (call.region, params["DeliveryStreamName"])
    destination = params.get("ExtendedS3DestinationConfiguration")
    destination = destination or params.get("S3DestinationConfiguration")
    if not destination:
        message = "Exactly one destination configuration is supported for a Firehose."
        raise AWSError("InvalidArgumentException", message)
    source = _source(call, kind)
    delivery = Delivery(key[1], call.region, settings.read(destination))
    answer = call.forward()
    delivery.source = source
    _deliveries[key], _destinations[key] = delivery, destination
    if source:
        event_sources.listen(
            source, lambda stream, shard, number: _take(key, stream, shard, number)
        )
    delivery.start(delivery.work)
    return answer


def _source(call: Call, kind: str) -> str | None:
    """The ARN of the Kinesis stream to read; None for records that are put."""
    if kind == "DirectPut":
        return None
    given = call.params.get("KinesisStreamSourceConfiguration")
    if not given:
        message = "KinesisStreamSourceConfiguration is required for KinesisStreamAsSource."
        raise AWSError("InvalidArgumentException", message)
    settings.check_role(given["RoleARN"])
    arn = given["KinesisStreamARN"]
    from moto.kinesis.models import kinesis_backends

    if arn.rpartition("/")[2] not in kinesis_backends[account.ACCOUNT_ID][call.region].streams:
        message = f"Kinesis stream {arn} does not exist."
        raise AWSError("ResourceNotFoundException", message)
    return arn


def _take(key: tuple[str, str], stream: Any, shard: str, number: int) -> None:
    """A record came into the stream that a delivery reads."""
    delivery = _deliveries.get(key)
    if delivery is None or delivery.closing:
        return
    found = stream.shards[shard].records[number]
    data, arrived = base64.b64decode(found.data), account.now()
    described = {
        "sequenceNumber": str(found.sequence_number),
        "subsequenceNumber": 0,
        "partitionKey": found.partition_key,
        "shardId": shard,
        "approximateArrivalTimestamp": int(arrived.timestamp() * 1000),
    }
    delivery.accept([Record(data, arrived, data, described)])


@handles("firehose", "DescribeDeliveryStream")
def describe(call: Call) -> dict[str, Any]:
    """The stream as moto describes it, with the status of its delivery."""
    answer = call.forward()
    described = answer["DeliveryStreamDescription"]
    delivery = _deliveries.get((call.region, described["DeliveryStreamName"]))
    if delivery and delivery.closing:
        described["DeliveryStreamStatus"] = "DELETING"
    return answer


@handles("firehose", "DeleteDeliveryStream")
def delete(call: Call) -> dict[str, Any]:
    """Deliver what is buffered, and remove the stream when that is done."""
    key = (call.region, call.params["DeliveryStreamName"])
    delivery = _delivery(call)
    delivery.close()
    delivery.join(30)
    _deliveries.pop(key, None)
    _destinations.pop(key, None)
    return call.forward()


@handles("firehose", "UpdateDestination")
def update(call: Call) -> dict[str, Any]:
    """Change the destination; what is buffered goes by the new settings."""
    key = (call.region, call.params["DeliveryStreamName"])
    delivery = _delivery(call)
    changes = call.params.get("ExtendedS3DestinationUpdate")
    changes = changes or call.params.get("S3DestinationUpdate")
    if not changes:
        raise not_implemented("firehose", "an update to another destination than S3")
    destination = {**_destinations[key], **changes}
    read = settings.read(destination)
    answer = call.forward()
    delivery.settings, _destinations[key] = read, destination
    delivery.version = str(int(delivery.version) + 1)
    return answer


@handles("firehose", "PutRecord")
def put_record(call: Call) -> dict[str, Any]:
    """Take one record."""
    _direct(call).accept([_record(call.params["Record"])])
    return {"RecordId": _record_id(), "Encrypted": False}


@handles("firehose", "PutRecordBatch")
def put_records(call: Call) -> dict[str, Any]:
    """Take up to 500 records of 4 MiB together."""
    delivery = _direct(call)
    records = [_record(each) for each in call.params["Records"]]
    size = sum(len(record.data) for record in records)
    if size > _BATCH_BYTES:
        message = f"Records size exceeds 4 MB limit for a single PutRecordBatch request: {size}"
        raise AWSError("InvalidArgumentException", message)
    delivery.accept(records)
    answers = [{"RecordId": _record_id()} for _ in records]
    return {"FailedPutCount": 0, "Encrypted": False, "RequestResponses": answers}


def _record(given: dict[str, Any]) -> Record:
    data = given["Data"]
    return Record(data, account.now(), data)


def _record_id() -> str:
    return account.new_id().replace("-", "") * 3


def _direct(call: Call) -> Delivery:
    delivery = _delivery(call)
    if delivery.source:
        message = (
            f"This operation is not permitted on KinesisStreamAsSource delivery stream type: "
            f"{delivery.stream}"
        )
        raise AWSError("InvalidArgumentException", message)
    return delivery


def _delivery(call: Call) -> Delivery:
    name = call.params["DeliveryStreamName"]
    delivery = _deliveries.get((call.region, name))
    if delivery is None or delivery.closing:
        message = f"Firehose {name} under account {account.ACCOUNT_ID} not found."
        raise AWSError("ResourceNotFoundException", message)
    return delivery
