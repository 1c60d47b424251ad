"""A Lambda function that keeps the state of each airport up to date in the online store.

Kinesis calls it with departures in the order of their airport. It reads the state that the store
has, lets the departures change it, and puts it back. `update` is the one definition of the
features: the history that models train on is made by the same lines (`feature_store.history`).

Deploy this one file as a zip, runtime python3.13. It reads FEATURE_GROUP from its environment.
"""

from __future__ import annotations

import base64
import functools
import json
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3

# After an hour a delay counts half as much as a new one.
HALF_LIFE_SECONDS = 3600.0
FEATURES = ("delay_now", "departures_now")

Departure = dict[str, Any]


@dataclass(frozen=True)
class State:
    """What is known of an airport after one of its departures.

    Attributes:
        origin: the airport's code.
        event_time: when that plane left, in UTC.
        delay_now: the mean delay in minutes; each departure counts half as much after an hour.
        departures_now: the departures behind that mean, with the same weights.
    """

    origin: str
    event_time: datetime
    delay_now: float
    departures_now: float


# ── the features ─────────────────────────────────────────────────────────────────────────────────


def update(state: State | None, departure: Departure) -> State:
    """The state after a departure.

    One that is not newer than the state changes nothing: it has been counted, or comes too late.

    Args:
        state: before the departure; None for the first one.
        departure: `origin`, `left_at` (ISO 8601 with its zone) and `delay` (minutes).

    Raises:
        ValueError: for a departure that lacks something, or of another airport than the state.
    """
    origin, left_at, delay = read(departure)
    if state is None:
        return State(origin, left_at, delay, 1.0)
    if state.origin != origin:
        raise ValueError(f"A departure from {origin} does not change the state of {state.origin}.")
    seconds = (left_at - state.event_time).total_seconds()
    if seconds <= 0:
        return state
    old = state.departures_now * 0.5 ** (seconds / HALF_LIFE_SECONDS)
    return State(origin, left_at, (old * state.delay_now + delay) / (old + 1.0), old + 1.0)


def read(departure: Departure) -> tuple[str, datetime, float]:
    """Airport, moment and delay of a departure. Raises ValueError naming what is wrong."""
    try:
        origin, delay = str(departure["origin"]), float(departure["delay"])
        left_at = datetime.fromisoformat(departure["left_at"])
    except (KeyError, TypeError, ValueError) as error:
        message = f"{departure!r} is no departure: {type(error).__name__} {error}"
        raise ValueError(message) from error
    if left_at.tzinfo is None:
        raise ValueError(f"The time {departure['left_at']} has no zone; write …Z for UTC.")
    return origin, left_at, delay


# ── the store ────────────────────────────────────────────────────────────────────────────────────


def iso(moment: datetime) -> str:
    """A time in the form that Feature Store takes, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def to_record(state: State) -> list[dict[str, str]]:
    """The state as `PutRecord` takes it."""
    values = {
        "origin": state.origin,
        "event_time": iso(state.event_time),
        "delay_now": repr(state.delay_now),
        "departures_now": repr(state.departures_now),
    }
    return [{"FeatureName": name, "ValueAsString": value} for name, value in values.items()]


def load(runtime: Any, group: str, origin: str) -> State | None:
    """The state of an airport in the online store; None if it has none, or not any more."""
    answer = runtime.get_record(FeatureGroupName=group, RecordIdentifierValueAsString=origin)
    if not answer.get("Record"):
        return None
    found = {each["FeatureName"]: each["ValueAsString"] for each in answer["Record"]}
    moment = datetime.fromisoformat(found["event_time"])
    return State(origin, moment, float(found["delay_now"]), float(found["departures_now"]))


# ── the entry ────────────────────────────────────────────────────────────────────────────────────


def handler(event: dict[str, Any], context: Any = None) -> dict[str, int]:
    """Take a batch from Kinesis; the counts are logged and returned.

    What cannot be read is logged and passed over, or it would hold up its shard for a day. If the
    store refuses, the invocation fails and the batch comes again: what has been counted already
    is not newer than its state, so it does not count twice.
    """
    departures, useless = parse(event["Records"])
    group, runtime = os.environ["FEATURE_GROUP"], _runtime()
    counts = {"useless": useless, "used": 0, "passed_over": 0}
    for origin, batch in departures.items():
        before = state = load(runtime, group, origin)
        for departure in batch:
            after = update(state, departure)
            counts["passed_over" if after is state else "used"] += 1
            state = after
        if state is not None and state is not before:
            runtime.put_record(FeatureGroupName=group, Record=to_record(state))
    print(json.dumps(counts))
    return counts


def parse(records: Iterable[dict[str, Any]]) -> tuple[dict[str, list[Departure]], int]:
    """The departures of a batch by airport, in their order, and how many records are none."""
    departures: dict[str, list[Departure]] = defaultdict(list)
    useless = 0
    for record in records:
        data = base64.b64decode(record["kinesis"]["data"])
        try:
            departure = json.loads(data)
            departures[read(departure)[0]].append(departure)
        except ValueError as error:
            useless += 1
            print(json.dumps({"useless": str(error)}))
    return dict(departures), useless


@functools.cache
def _runtime() -> Any:
    """One client for all batches that this environment answers."""
    return boto3.client("sagemaker-featurestore-runtime")
