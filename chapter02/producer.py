"""Send records to a Kinesis data stream so that none is lost and each key keeps its order.

    python producer.py STREAM data/flights.parquet 2013-06-24 2013-06-26

sends the departures of these days as events, in the order in which they happened.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import boto3
import pandas as pd

# What one PutRecords request takes: https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
RECORDS, BYTES = 500, 5 * 1024 * 1024

Event = dict[str, Any]


class NotSent(Exception):
    """Records that the stream did not take; `records` holds them, in their order."""

    def __init__(self, message: str, records: list[dict[str, Any]]) -> None:
        super().__init__(message)
        self.records = records


def departures(flights: pd.DataFrame) -> list[Event]:
    """Flights as events in the order in which they left; cancelled ones never do.

    Args:
        flights: rows of the table of flights: dates and HHMM times of New York, delays in minutes.

    Returns:
        One event per departure: `event_id`, `event_time` (UTC, ISO 8601), what left, where from,
        where to, and `dep_delay` in minutes.
    """
    left = flights.dropna(subset=["dep_delay", "tailnum"])
    scheduled = left["time_hour"] + pd.to_timedelta(left["minute"], unit="min")
    moment = scheduled + pd.to_timedelta(left["dep_delay"], unit="min")
    date = pd.to_datetime(left[["year", "month", "day"]])
    left = left.assign(date=date, event_time=moment).sort_values(
        ["event_time", "carrier", "flight"]
    )
    return [
        {
            "event_id": f"{row.date:%Y%m%d}-{row.carrier}-{row.flight}-{row.origin}",
            "event_time": f"{row.event_time:%Y-%m-%dT%H:%M:%SZ}",
            "carrier": row.carrier,
            "flight": int(row.flight),
            "tailnum": row.tailnum,
            "origin": row.origin,
            "dest": row.dest,
            "dep_delay": int(row.dep_delay),
        }
        for row in left.itertuples()
    ]


def to_record(event: Event | str, key: str) -> dict[str, Any]:
    """A record as PutRecords takes it: the event as JSON (text stays as it is) and its key."""
    text = event if isinstance(event, str) else json.dumps(event)
    return {"Data": text.encode(), "PartitionKey": key}


def shard_of(key: str, shards: int) -> int:
    """The shard that a partition key belongs to, counted from 0; in a stream never resharded.

    The MD5 digest of the key, as a number of 128 bits, falls into one of as many equal ranges:
    https://docs.aws.amazon.com/streams/latest/dev/key-concepts.html#partition-key
    """
    digest = hashlib.md5(key.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest, "big") * shards >> 128


def batches(records: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Cut records into requests, in order, with no key twice in a request.

    A request may be taken in part. If it held two records of a key, the first could fail and the
    second get in, and sending the first again would put it behind.

    Raises:
        ValueError: for a record that fits into no request.
    """
    batch: list[dict[str, Any]] = []
    keys: set[str] = set()
    size = 0
    for record in records:
        key, length = record["PartitionKey"], len(record["Data"]) + len(record["PartitionKey"])
        if length > BYTES:
            raise ValueError(f"a record of {length:,} bytes is too long: at most {BYTES:,}")
        if batch and (len(batch) == RECORDS or key in keys or size + length > BYTES):
            yield batch
            batch, keys, size = [], set(), 0
        batch.append(record)
        keys.add(key)
        size += length
    if batch:
        yield batch


def send(
    kinesis: Any,
    stream: str,
    records: Iterable[dict[str, Any]],
    *,
    attempts: int = 10,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Send all records; send again those, and only those, that the stream did not take.

    A batch is finished before the next begins: what belongs to one key arrives in its order.

    Args:
        kinesis: a boto3 client of Kinesis.
        stream: its name.
        records: as `to_record` makes them.
        attempts: how often to try a batch.
        sleep: how to wait between two tries.

    Returns:
        How many records were sent.

    Raises:
        NotSent: if some were not taken in so many attempts. They are in the exception; the
            batches before are in the stream, the batches after were not sent.
    """
    sent = 0
    for batch in batches(records):
        waiting = batch
        for attempt in range(attempts):
            answer = kinesis.put_records(StreamName=stream, Records=waiting)
            results = answer["Records"]
            errors = [each for each in results if "ErrorCode" in each]
            waiting = [
                record
                for record, result in zip(waiting, results, strict=True)
                if "ErrorCode" in result
            ]
            if not waiting:
                break
            # Twice the time after each failure; by chance, so that producers do not march in step.
            sleep(random.uniform(0, min(0.1 * 2**attempt, 5)))
        if waiting:
            reason = errors[-1].get("ErrorMessage", errors[-1]["ErrorCode"])
            raise NotSent(f"{len(waiting)} records after {attempts} attempts: {reason}", waiting)
        sent += len(batch)
    return sent


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stream")
    parser.add_argument("flights", help="Parquet file with the table of flights")
    parser.add_argument("first", type=pd.Timestamp, help="first day, such as 2013-06-24")
    parser.add_argument("last", type=pd.Timestamp, help="last day, included")
    options = parser.parse_args(arguments)
    flights = pd.read_parquet(options.flights)
    day = pd.to_datetime(flights[["year", "month", "day"]])
    events = departures(flights[day.between(options.first, options.last)])
    if not events:
        print(f"no departure from {options.first:%F} to {options.last:%F}", file=sys.stderr)
        return 1
    records = (to_record(event, event["tailnum"]) for event in events)
    try:
        print(send(boto3.client("kinesis"), options.stream, records), "records sent")
    except NotSent as error:
        print(f"not all were sent: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
