"""Chapter 2's stream: what is sent arrives once each key's order is kept, or is named as lost."""

from __future__ import annotations

import base64
import json
import random
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pandas as pd
import pytest

from tests.chapters.loading import load
from tests.local_aws.environment import LocalAWS

_CHAPTER = Path(__file__).parents[2] / "chapter02"


producer = load("chapter02", "producer")
consumer = load("chapter02", "consumer")
transform = load("chapter02", "firehose_transform")
streaming = load("chapter02", "streaming")

STREAM = "departures"


@pytest.fixture(scope="module")
def events() -> list[dict[str, Any]]:
    """The departures of three days."""
    flights = pd.read_parquet(_CHAPTER / "data" / "flights.parquet")
    return producer.departures(flights[(flights["month"] == 6) & flights["day"].between(24, 26)])


@pytest.fixture
def session(aws: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    for name, value in aws.environ.items():
        monkeypatch.setenv(name, value)
    return boto3.Session()


@pytest.fixture
def kinesis(session: boto3.Session) -> Any:
    client = session.client("kinesis")
    client.create_stream(StreamName=STREAM, ShardCount=2)
    client.get_waiter("stream_exists").wait(StreamName=STREAM)
    return client


class Moody:
    """A stream that takes each record with a chance, and says of the others what Kinesis says."""

    def __init__(self, takes: float) -> None:
        self.takes, self.taken, self.chance = takes, [], random.Random(7)

    def put_records(self, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:
        results = []
        for record in Records:
            if self.chance.random() < self.takes:
                self.taken.append(record)
                results.append({"SequenceNumber": str(len(self.taken)), "ShardId": "s"})
            else:
                error = "ProvisionedThroughputExceededException"
                results.append({"ErrorCode": error, "ErrorMessage": "Rate exceeded for shard s"})
        failed = sum("ErrorCode" in each for each in results)
        return {"FailedRecordCount": failed, "Records": results}


def records_of(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [producer.to_record(event, event["tailnum"]) for event in events]


# ── events ───────────────────────────────────────────────────────────────────────────────────────


def test_departures_come_in_the_order_in_which_they_happened(events: list[dict[str, Any]]) -> None:
    times = [event["event_time"] for event in events]
    assert times == sorted(times)
    assert len({event["event_id"] for event in events}) == len(events) == 2788
    assert set(events[0]) == {*transform.COLUMNS, "event_time"}


def test_a_delay_moves_the_departure() -> None:
    flights = pd.read_parquet(_CHAPTER / "data" / "flights.parquet").head(1)
    (event,) = producer.departures(flights)
    # Scheduled at 5:15 in New York, which is 10:15 UTC in January, and two minutes late.
    assert event["event_time"] == "2013-01-01T10:17:00Z"
    assert event["dep_delay"] == 2


# ── sending ──────────────────────────────────────────────────────────────────────────────────────


def test_no_request_holds_a_key_twice_or_too_many_records(events: list[dict[str, Any]]) -> None:
    records = records_of(events)
    batches = list(producer.batches(records))
    assert [record for batch in batches for record in batch] == records
    for batch in batches:
        assert len(batch) <= 500
        assert len({record["PartitionKey"] for record in batch}) == len(batch)


def test_a_request_stays_below_its_size() -> None:
    records = [producer.to_record("x" * 1_000_000, f"k{number}") for number in range(12)]
    assert [len(batch) for batch in producer.batches(records)] == [5, 5, 2]


def test_a_record_that_fits_nowhere_is_refused() -> None:
    with pytest.raises(ValueError, match="a record of 6,000,001 bytes is too long"):
        list(producer.batches([producer.to_record("x" * 6_000_000, "k")]))


def test_what_was_not_taken_is_sent_again_and_nothing_else(events: list[dict[str, Any]]) -> None:
    stream, pauses = Moody(takes=0.6), []
    records = records_of(events)
    sent = producer.send(stream, STREAM, records, attempts=50, sleep=pauses.append)
    assert sent == len(records)
    assert Counter(r["Data"] for r in stream.taken) == Counter(r["Data"] for r in records)
    assert pauses
    assert max(pauses) <= 5


def test_each_key_keeps_its_order_whatever_fails(events: list[dict[str, Any]]) -> None:
    stream, records = Moody(takes=0.5), records_of(events)
    producer.send(stream, STREAM, records, attempts=50, sleep=lambda _: None)
    by_key: dict[str, list[bytes]] = defaultdict(list)
    for record in records:
        by_key[record["PartitionKey"]].append(record["Data"])
    arrived: dict[str, list[bytes]] = defaultdict(list)
    for record in stream.taken:
        arrived[record["PartitionKey"]].append(record["Data"])
    assert arrived == by_key


def test_who_gives_up_says_what_is_missing(events: list[dict[str, Any]]) -> None:
    records = records_of(events[:50])
    with pytest.raises(producer.NotSent, match="Rate exceeded for shard s") as failed:
        producer.send(Moody(takes=0), STREAM, records, attempts=3, sleep=lambda _: None)
    first = next(producer.batches(records))
    assert failed.value.records == first


def test_a_stream_at_its_limit_still_gets_everything(
    kinesis: Any, events: list[dict[str, Any]]
) -> None:
    records = [producer.to_record(event, event["event_id"]) for event in events]
    assert producer.send(kinesis, STREAM, records) == len(events)
    seen: list[dict[str, Any]] = []
    consumer.consume(kinesis, STREAM, lambda shard: Nowhere(), seen.append, batch=10_000)
    assert len(seen) == len(events)


def test_the_shard_of_a_key_can_be_told_beforehand(
    kinesis: Any, events: list[dict[str, Any]]
) -> None:
    keys = sorted({event["tailnum"] for event in events})[:200]
    records = [producer.to_record("x", key) for key in keys]
    answer = kinesis.put_records(StreamName=STREAM, Records=records)
    shards = [int(result["ShardId"].removeprefix("shardId-")) for result in answer["Records"]]
    assert [producer.shard_of(key, 2) for key in keys] == shards
    assert 60 < sum(shards) < 140


def test_the_command_line_says_when_there_is_nothing_to_send(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = str(_CHAPTER / "data" / "flights.parquet")
    assert producer.main([STREAM, path, "2014-01-01", "2014-01-02"]) == 1
    assert "no departure from 2014-01-01" in capsys.readouterr().err


# ── consuming ────────────────────────────────────────────────────────────────────────────────────


class Nowhere:
    """A checkpoint that is never kept."""

    def load(self) -> str | None:
        return None

    def save(self, sequence_number: str) -> None:
        pass


class Crash(Exception):
    """The consumer dies."""


def test_after_a_crash_it_goes_on_behind_the_last_checkpoint(
    kinesis: Any, session: boto3.Session, events: list[dict[str, Any]]
) -> None:
    s3 = session.client("s3")
    s3.create_bucket(Bucket="places")
    producer.send(kinesis, STREAM, records_of(events[:1200]))
    seen: list[str] = []

    def handle(record: dict[str, Any]) -> None:
        if len(seen) == 430:
            raise Crash
        seen.append(json.loads(record["Data"])["event_id"])

    def place(shard: str) -> Any:
        return consumer.Checkpoint(s3, "places", f"{shard}.json")

    with pytest.raises(Crash):
        consumer.consume(kinesis, STREAM, place, handle, batch=100)
    before = list(seen)
    seen.clear()
    seen_again: list[str] = []

    def handle_again(record: dict[str, Any]) -> None:
        seen_again.append(json.loads(record["Data"])["event_id"])

    consumer.consume(kinesis, STREAM, place, handle_again, batch=100)
    assert set(before) | set(seen_again) == {event["event_id"] for event in events[:1200]}
    twice = set(before) & set(seen_again)
    assert 0 < len(twice) < 100
    assert consumer.consume(kinesis, STREAM, place, handle_again, batch=100) == 0


def test_each_plane_is_read_in_its_order(kinesis: Any, events: list[dict[str, Any]]) -> None:
    producer.send(kinesis, STREAM, records_of(events))
    read: dict[str, list[str]] = defaultdict(list)

    def handle(record: dict[str, Any]) -> None:
        event = json.loads(record["Data"])
        read[event["tailnum"]].append(event["event_time"])

    consumer.consume(kinesis, STREAM, lambda shard: Nowhere(), handle, batch=1000)
    assert sum(map(len, read.values())) == len(events)
    assert all(times == sorted(times) for times in read.values())


# ── transforming ─────────────────────────────────────────────────────────────────────────────────

ARRIVED = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
GOOD = {
    "event_id": "20130624-UA-1-EWR",
    "event_time": "2013-06-25T02:30:00Z",
    "carrier": "UA",
    "flight": 1,
    "tailnum": "N1",
    "origin": "EWR",
    "dest": "IAH",
    "dep_delay": -3,
}


def call(*payloads: bytes) -> list[dict[str, Any]]:
    """Let the handler transform records that arrived at noon."""
    records = [
        {
            "recordId": str(number),
            "approximateArrivalTimestamp": int(ARRIVED.timestamp() * 1000),
            "data": base64.b64encode(payload).decode(),
        }
        for number, payload in enumerate(payloads)
    ]
    return transform.handler({"records": records})["records"]


def test_an_event_becomes_a_row_of_its_day_in_new_york() -> None:
    (answer,) = call(json.dumps(GOOD).encode())
    assert answer["result"] == "Ok"
    assert answer["metadata"] == {"partitionKeys": {"day": "2013-06-24"}}
    row = json.loads(base64.b64decode(answer["data"]))
    assert set(row) == set(streaming.COLUMNS)
    assert row["event_time"] == "2013-06-25 02:30:00"
    assert row["arrived_at"] == "2026-11-23 12:00:00"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"departed!", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b'["a", "list"]', "no JSON object"),
        (json.dumps({**GOOD, "event_time": "2113-06-24T00:00:00Z"}).encode(), "ahead of"),
        (json.dumps({**GOOD, "event_time": "2026-11-23T12:06:00Z"}).encode(), "ahead of"),
        (json.dumps({**GOOD, "event_time": "2013-06-24T00:00:00"}).encode(), "time zone"),
        (json.dumps({**GOOD, "event_time": "yesterday"}).encode(), "no time"),
        (json.dumps({**GOOD, "flight": "1"}).encode(), "flight is '1', no int"),
        (json.dumps({**GOOD, "dep_delay": True}).encode(), "dep_delay is True, no int"),
        (json.dumps({k: v for k, v in GOOD.items() if k != "dest"}).encode(), "no dest"),
    ],
)
def test_what_cannot_be_used_is_given_back_with_the_reason_in_the_log(
    payload: bytes, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = call(json.dumps(GOOD).encode(), payload)
    assert good["result"] == "Ok"
    assert bad["result"] == "ProcessingFailed"
    assert base64.b64decode(bad["data"]) == payload
    assert reason in capsys.readouterr().out


def test_a_clock_may_be_a_little_ahead() -> None:
    (answer,) = call(json.dumps({**GOOD, "event_time": "2026-11-23T12:04:00Z"}).encode())
    assert answer["result"] == "Ok"


def test_every_record_is_answered_for_once_and_in_order() -> None:
    answers = call(*([json.dumps(GOOD).encode(), b"poison"] * 50))
    assert [answer["recordId"] for answer in answers] == [str(number) for number in range(100)]


# ── trouble ──────────────────────────────────────────────────────────────────────────────────────


def test_a_bad_day_is_counted_as_it_is(events: list[dict[str, Any]]) -> None:
    sent, counts = streaming.troubled(events)
    assert len(sent) == counts["good"] + counts["duplicates"] + counts["useless"]
    answers = call(*(producer.to_record(each, "k")["Data"] for each in sent))
    results = Counter(answer["result"] for answer in answers)
    assert results == {"Ok": counts["good"] + counts["duplicates"], "ProcessingFailed": 6}
    assert sent[-1]["event_time"] < sent[0]["event_time"] or counts["late"]
