"""Read a Kinesis data stream, and go on where the last run stopped.

How far each shard has been read is kept in an object on S3. The Kinesis Client Library does the
same with a DynamoDB table, and shares the shards between many workers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

# A shard can be read five times a second, by all its readers together.
PAUSE_SECONDS = 0.25


@dataclass(frozen=True)
class Checkpoint:
    """Where the reading of a shard has got to: the sequence number of the last record done with."""

    s3: Any
    bucket: str
    key: str

    def load(self) -> str | None:
        """The sequence number; None if nothing was read yet."""
        try:
            body = self.s3.get_object(Bucket=self.bucket, Key=self.key)["Body"].read()
        except self.s3.exceptions.NoSuchKey:
            return None
        return json.loads(body)["sequence_number"]

    def save(self, sequence_number: str) -> None:
        """Remember that everything up to this record is done."""
        body = json.dumps({"sequence_number": sequence_number}).encode()
        self.s3.put_object(Bucket=self.bucket, Key=self.key, Body=body)


def places(s3: Any, bucket: str, prefix: str) -> Callable[[str], Checkpoint]:
    """A function that gives the checkpoint of a shard, an object under the prefix."""
    return lambda shard: Checkpoint(s3, bucket, f"{prefix}/{shard}.json")


def consume(
    kinesis: Any,
    stream: str,
    checkpoint: Callable[[str], Checkpoint],
    handle: Callable[[dict[str, Any]], None],
    *,
    batch: int = 200,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Give every record that is in the stream now to `handle`, shard by shard, in order.

    The checkpoint is saved after each batch, so a record may be handled twice: when `handle` fails
    (or the machine does), the next run begins again behind the last batch that was done. None is
    left out.

    Args:
        kinesis: a boto3 client of Kinesis.
        stream: its name.
        checkpoint: gives the checkpoint of a shard.
        handle: what to do with a record; what it raises ends the run.
        batch: records between two checkpoints.
        sleep: how to wait between two reads.

    Returns:
        How many records were handled.
    """
    handled = 0
    for shard in _shards(kinesis, stream):
        place = checkpoint(shard)
        for records in _batches(kinesis, stream, shard, place.load(), batch, sleep):
            for record in records:
                handle(record)
                handled += 1
            place.save(records[-1]["SequenceNumber"])
    return handled


def _shards(kinesis: Any, stream: str) -> list[str]:
    pages = kinesis.get_paginator("list_shards").paginate(StreamName=stream)
    return sorted(shard["ShardId"] for page in pages for shard in page["Shards"])


def _batches(
    kinesis: Any,
    stream: str,
    shard: str,
    after: str | None,
    limit: int,
    sleep: Callable[[float], None],
) -> Iterator[list[dict[str, Any]]]:
    """The records of a shard behind a sequence number, until there are no more for now."""
    start = {"ShardIteratorType": "TRIM_HORIZON"}
    if after:
        start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": after}
    answer = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, **start)
    iterator = answer["ShardIterator"]
    while iterator:  # a shard that was split or merged has an end
        answer = kinesis.get_records(ShardIterator=iterator, Limit=limit)
        if answer["Records"]:
            yield answer["Records"]
        if not answer["MillisBehindLatest"]:
            return
        iterator = answer.get("NextShardIterator")
        sleep(PAUSE_SECONDS)
