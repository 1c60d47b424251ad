"""Kinesis Data Streams: moto keeps the records; here a shard takes and gives no more than it can.

https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html
"""

from __future__ import annotations

import base64
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from .. import account, metrics, triggers
from ..errors import AWSError
from ..gateway import Call, Relayed, handles

triggers.install("lambda")

# What a shard takes in a second, and how often it may be read in one.
_RECORDS, _BYTES, _READS = 1_000, 1024 * 1024, 5
_REQUEST_BYTES = 10 * 1024 * 1024
# Why a record of a batch was not taken, beside why a request was refused.
_EXCEEDED = "ProvisionedThroughputExceededException"


@dataclass
class Allowance:
    """What a shard can still do: it refills continuously, to what a second allows at most."""

    records: float = _RECORDS
    size: float = _BYTES
    reads: float = _READS
    refilled: float = field(default_factory=time.monotonic)

    def refill(self) -> None:
        """Add what the time since the last call has brought."""
        now = time.monotonic()
        seconds, self.refilled = now - self.refilled, now
        self.records = min(_RECORDS, self.records + seconds * _RECORDS)
        self.size = min(_BYTES, self.size + seconds * _BYTES)
        self.reads = min(_READS, self.reads + seconds * _READS)

    def takes(self, size: int) -> bool:
        """Use up one record of this many bytes; False if there is not enough left."""
        self.refill()
        # A record larger than a second's worth is taken when nothing else has been.
        if self.records < 1 or self.size < min(size, _BYTES):
            return False
        self.records -= 1
        self.size -= size
        return True

    def gives(self) -> bool:
        """Use up one read; False if there have been too many."""
        self.refill()
        if self.reads < 1:
            return False
        self.reads -= 1
        return True


# (stream's ARN, shard) -> what it can still do
_allowances: dict[tuple[str, str], Allowance] = account.table()
# moto numbers the records of a shard without holding others off.
_lock = threading.Lock()


@handles("kinesis", "PutRecords")
def put_records(call: Call) -> dict[str, Any]:
    """Take what the shards can take; say of each other record that it was not taken."""
    stream = _stream(call)
    records = call.params["Records"]
    if sum(_size(record) for record in records) > _REQUEST_BYTES:
        raise AWSError(
            "InvalidArgumentException",
            "Records size exceeds 10 MiB limit for a single PutRecords request.",
        )
    results = [_put(stream, record) for record in records]
    failed = sum("ErrorCode" in result for result in results)
    taken = [record for record, result in zip(records, results, strict=True) if "ShardId" in result]
    _count(call.region, stream, taken, failed)
    return {
        "FailedRecordCount": failed,
        "Records": results,
        "EncryptionType": stream.encryption_type,
    }


@handles("kinesis", "PutRecord")
def put_record(call: Call) -> dict[str, Any]:
    """Take a record, or refuse it if its shard has taken all it can in this second."""
    stream = _stream(call)
    result = _put(stream, call.params)
    if "ErrorCode" in result:
        raise AWSError(result["ErrorCode"], result["ErrorMessage"])
    _count(call.region, stream, [call.params], 0)
    return {**result, "EncryptionType": stream.encryption_type}


@handles("kinesis", "GetRecords")
def get_records(call: Call) -> Relayed:
    """Let moto read, unless the shard has been read five times in this second."""
    from moto.kinesis.utils import decompose_shard_iterator

    name, shard, _ = decompose_shard_iterator(call.params["ShardIterator"])
    stream = _streams(call.region).get(name)
    if stream is not None and shard in stream.shards:
        with _lock:
            if not _allowance(stream, shard).gives():
                raise AWSError(_EXCEEDED, _exceeded(stream, shard))
    return call.relay()


def _put(stream: Any, record: dict[str, Any]) -> dict[str, Any]:
    """Put one record, parameters as in a request; what PutRecords answers for it."""
    key, hash_key = record["PartitionKey"], record.get("ExplicitHashKey") or ""
    with _lock:
        shard = stream.get_shard_for_key(key, hash_key).shard_id
        if not _allowance(stream, shard).takes(_size(record)):
            return {"ErrorCode": _EXCEEDED, "ErrorMessage": _exceeded(stream, shard)}
        data = base64.b64encode(record["Data"]).decode()
        number, shard = stream.put_record(key, hash_key, data)
    return {"SequenceNumber": number, "ShardId": shard}


def _allowance(stream: Any, shard: str) -> Allowance:
    return _allowances.setdefault((stream.arn, shard), Allowance())


def _exceeded(stream: Any, shard: str) -> str:
    name, owner = stream.stream_name, account.ACCOUNT_ID
    return f"Rate exceeded for shard {shard} in stream {name} under account {owner}."


def _size(record: dict[str, Any]) -> int:
    return len(record["Data"]) + len(record["PartitionKey"].encode())


def _streams(region: str) -> dict[str, Any]:
    from moto.kinesis.models import kinesis_backends

    return kinesis_backends[account.ACCOUNT_ID][region].streams


def _stream(call: Call) -> Any:
    """The stream that a request names.

    Raises:
        AWSError: ResourceNotFoundException.
    """
    name = call.params.get("StreamName") or call.params.get("StreamARN", "").rpartition("/")[2]
    stream = _streams(call.region).get(name)
    if stream is None:
        message = f"Stream {name} under account {account.ACCOUNT_ID} not found."
        raise AWSError("ResourceNotFoundException", message)
    return stream


def _count(region: str, stream: Any, taken: list[dict[str, Any]], failed: int) -> None:
    """Tell CloudWatch what has come in, and what was sent away."""
    of = {"StreamName": stream.stream_name}
    size = sum(_size(record) for record in taken)
    metrics.put("AWS/Kinesis", "IncomingRecords", len(taken), "Count", of, region)
    metrics.put("AWS/Kinesis", "IncomingBytes", size, "Bytes", of, region)
    if failed:
        metrics.put(
            "AWS/Kinesis", "WriteProvisionedThroughputExceeded", failed, "Count", of, region
        )
