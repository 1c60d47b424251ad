"""Kinesis Data Streams: order, positions, and what a shard can take and give.

https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html
"""

from __future__ import annotations

from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.local_aws.environment import LocalAWS


@pytest.fixture
def kinesis(aws: LocalAWS) -> Any:
    """A client, and a stream `trips` of one shard."""
    client = aws.client("kinesis", config=Config(retries={"total_max_attempts": 1}))
    client.create_stream(StreamName="trips", ShardCount=1)
    client.get_waiter("stream_exists").wait(StreamName="trips")
    return client


def batch(start: int, count: int, size: int = 3) -> list[dict[str, Any]]:
    return [
        {"Data": str(number).zfill(size).encode(), "PartitionKey": f"k{number % 7}"}
        for number in range(start, start + count)
    ]


def read_all(kinesis: Any, **position: Any) -> list[bytes]:
    shard = kinesis.list_shards(StreamName="trips")["Shards"][0]["ShardId"]
    iterator = kinesis.get_shard_iterator(StreamName="trips", ShardId=shard, **position)
    answer = kinesis.get_records(ShardIterator=iterator["ShardIterator"])
    return [record["Data"] for record in answer["Records"]]


def test_records_come_out_as_they_went_in(kinesis: Any) -> None:
    answer = kinesis.put_records(StreamName="trips", Records=batch(0, 100))
    assert answer["FailedRecordCount"] == 0
    assert answer["Records"][0]["ShardId"] == "shardId-000000000000"
    numbers = [int(record["SequenceNumber"]) for record in answer["Records"]]
    assert numbers == sorted(set(numbers))
    expected = [record["Data"] for record in batch(0, 100)]
    assert read_all(kinesis, ShardIteratorType="TRIM_HORIZON") == expected
    after = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER"}
    after["StartingSequenceNumber"] = answer["Records"][97]["SequenceNumber"]
    assert read_all(kinesis, **after) == [b"098", b"099"]


def test_bytes_are_kept_as_they_are(kinesis: Any) -> None:
    data = bytes(range(256))
    answer = kinesis.put_record(StreamName="trips", Data=data, PartitionKey="k")
    assert answer["ShardId"] == "shardId-000000000000"
    assert read_all(kinesis, ShardIteratorType="TRIM_HORIZON") == [data]


def test_a_shard_takes_a_thousand_records_a_second(kinesis: Any) -> None:
    answers = [kinesis.put_records(StreamName="trips", Records=batch(n, 500)) for n in range(6)]
    failed = [result for answer in answers for result in answer["Records"] if "ErrorCode" in result]
    assert failed
    assert len(failed) == sum(answer["FailedRecordCount"] for answer in answers)
    assert failed[0]["ErrorCode"] == "ProvisionedThroughputExceededException"
    assert failed[0]["ErrorMessage"].startswith("Rate exceeded for shard shardId-000000000000")
    assert "SequenceNumber" not in failed[0]
    assert len(read_all(kinesis, ShardIteratorType="TRIM_HORIZON")) == 3_000 - len(failed)


def test_a_shard_takes_a_megabyte_a_second(kinesis: Any) -> None:
    answer = kinesis.put_records(StreamName="trips", Records=batch(0, 15, size=100_000))
    assert 0 < answer["FailedRecordCount"] <= 5


def test_one_record_too_many_is_refused(kinesis: Any) -> None:
    kinesis.put_records(StreamName="trips", Records=batch(0, 10, size=104_857))
    with pytest.raises(kinesis.exceptions.ProvisionedThroughputExceededException):
        kinesis.put_record(StreamName="trips", Data=b"x" * 100_000, PartitionKey="k")


def test_a_request_of_more_than_ten_megabytes_is_refused(kinesis: Any) -> None:
    with pytest.raises(kinesis.exceptions.InvalidArgumentException):
        kinesis.put_records(StreamName="trips", Records=batch(0, 11, size=1_000_000))


def test_a_shard_is_read_five_times_a_second(kinesis: Any) -> None:
    shard = kinesis.list_shards(StreamName="trips")["Shards"][0]["ShardId"]
    iterator = kinesis.get_shard_iterator(
        StreamName="trips", ShardId=shard, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    with pytest.raises(ClientError) as refused:
        for _ in range(200):
            iterator = kinesis.get_records(ShardIterator=iterator)["NextShardIterator"]
    assert refused.value.response["Error"]["Code"] == "ProvisionedThroughputExceededException"


def test_a_stream_that_is_not_there_is_named(kinesis: Any) -> None:
    with pytest.raises(kinesis.exceptions.ResourceNotFoundException, match="Stream nowhere"):
        kinesis.put_records(StreamName="nowhere", Records=batch(0, 1))
