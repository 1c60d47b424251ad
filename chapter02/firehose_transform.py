"""A Lambda function that Amazon Data Firehose calls with what it is about to deliver.

Each record is checked and flattened for the raw zone's table, and told by the day of its event
which partition it belongs to. What cannot be used is given back as `ProcessingFailed`: Firehose
writes it to the error prefix, so every record that came in lies in one place or the other.
https://docs.aws.amazon.com/firehose/latest/dev/data-transformation.html
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from dateutil import tz

# Clocks differ by seconds. An event from further ahead than this has a wrong one.
TOLERANCE = timedelta(minutes=5)
# A day of flights is a day in New York, where they leave.
# (dateutil comes with boto3, and brings its own time zones where the system has none.)
ZONE = tz.gettz("America/New_York")

COLUMNS: dict[str, type] = {
    "event_id": str,
    "carrier": str,
    "flight": int,
    "tailnum": str,
    "origin": str,
    "dest": str,
    "dep_delay": int,
}


class Unusable(ValueError):
    """A record that does not belong into the table; the message says why."""


def handler(event: dict[str, Any], context: Any = None) -> dict[str, Any]:
    """Answer for every record that Firehose sent, by its id, in the same order."""
    return {"records": [_transform(record) for record in event["records"]]}


def _transform(record: dict[str, Any]) -> dict[str, Any]:
    arrived = datetime.fromtimestamp(record["approximateArrivalTimestamp"] / 1000, UTC)
    try:
        row, day = to_row(base64.b64decode(record["data"]), arrived)
    except Unusable as reason:
        # Firehose keeps the record, the log keeps the reason.
        print(json.dumps({"recordId": record["recordId"], "reason": str(reason)}))
        return {
            "recordId": record["recordId"],
            "result": "ProcessingFailed",
            "data": record["data"],
        }
    return {
        "recordId": record["recordId"],
        "result": "Ok",
        "data": base64.b64encode(json.dumps(row).encode()).decode(),
        "metadata": {"partitionKeys": {"day": day}},
    }


def to_row(data: bytes, arrived: datetime) -> tuple[dict[str, Any], str]:
    """The row of the table and the day of its partition.

    Args:
        data: an event as JSON.
        arrived: when Firehose got it, with its time zone.

    Raises:
        Unusable: for what is no event, lacks something, or comes from the future.
    """
    try:
        event = json.loads(data)
    except ValueError:
        raise Unusable(f"no JSON: {data[:60]!r}") from None
    if not isinstance(event, dict):
        raise Unusable(f"no JSON object: {data[:60]!r}")
    moment = _moment(event.get("event_time"))
    if moment > arrived + TOLERANCE:
        raise Unusable(f"event_time {event['event_time']} is ahead of its arrival {arrived:%FT%TZ}")
    row = {name: _value(event, name, kind) for name, kind in COLUMNS.items()}
    row["event_time"] = f"{moment:%Y-%m-%d %H:%M:%S}"
    row["arrived_at"] = f"{arrived:%Y-%m-%d %H:%M:%S}"
    return row, f"{moment.astimezone(ZONE):%Y-%m-%d}"


def _moment(text: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise Unusable(f"event_time is {text!r}, no time") from None
    if moment.tzinfo is None:
        raise Unusable(f"event_time is {text!r}, without a time zone")
    return moment.astimezone(UTC)


def _value(event: dict[str, Any], name: str, kind: type) -> Any:
    if name not in event:
        raise Unusable(f"there is no {name}")
    value = event[name]
    # True is an int to Python, and 7.5 minutes are none of the table's.
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Unusable(f"{name} is {value!r}, no {kind.__name__}")
    return value
