"""A record on its way, the buffers it waits in, and what is said of one that did not make it."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ... import account


@dataclass
class Record:
    """A record as it stands at a stage of the delivery.

    Attributes:
        data: what is to be delivered.
        arrived: when Firehose got it (for a Kinesis stream: when the stream got it); aware.
        raw: what it was at first.
        source: what Kinesis says of it; None for a record that was put directly.
        query_keys, function_keys: partition keys, by where they come from.
        since: when it came to this server (monotonic seconds).
    """

    data: bytes
    arrived: datetime
    raw: bytes
    source: dict[str, Any] | None = None
    query_keys: dict[str, str] = field(default_factory=dict)
    function_keys: dict[str, str] = field(default_factory=dict)
    since: float = field(default_factory=time.monotonic)


@dataclass
class Buffer:
    """Records on the way to the same place. `since` is when the first came (monotonic seconds)."""

    records: list[Record] = field(default_factory=list)
    size: int = 0
    since: float = field(default_factory=time.monotonic)

    def add(self, record: Record) -> None:
        """Put a record behind the others."""
        if not self.records:
            self.since = time.monotonic()
        self.records.append(record)
        self.size += len(record.data)

    def take(self, size: float) -> list[Record]:
        """Take out the first records that are not larger than `size` bytes together; at least one.

        What stays is as old as the first record of it.
        """
        count, total = 0, 0
        for record in self.records:
            total += len(record.data)
            if count and total > size:
                total -= len(record.data)
                break
            count += 1
        taken, self.records = self.records[:count], self.records[count:]
        self.size -= total
        if self.records:
            self.since = self.records[0].since
        return taken

    @property
    def arrived(self) -> datetime:
        """When the oldest record arrived."""
        return min(record.arrived for record in self.records)


@dataclass
class Failure:
    """A record that goes to the error prefix, with the reason.

    `kind` is the error output type, such as `processing-failed`.
    """

    kind: str
    record: Record
    code: str
    message: str
    attempts: int = 1
    details: dict[str, Any] = field(default_factory=dict)

    def as_record(self) -> Record:
        """The line of JSON that stands for it in an object of the error prefix."""
        last = self.kind == "format-conversion-failed"
        content = {
            "attemptsMade": self.attempts,
            "arrivalTimestamp": milliseconds(self.record.arrived),
            "lastErrorCode" if last else "errorCode": self.code,
            "lastErrorMessage" if last else "errorMessage": self.message,
            "attemptEndingTimestamp": milliseconds(account.now()),
            "rawData": base64.b64encode(self.record.raw).decode(),
            **self.details,
        }
        line = json.dumps(content).encode() + b"\n"
        return Record(line, self.record.arrived, self.record.raw)


def milliseconds(moment: datetime) -> int:
    """A moment as the services write it in JSON."""
    return int(moment.timestamp() * 1000)


def reason(error: BaseException) -> str:
    """What went wrong with a record, in a line."""
    return str(error) or type(error).__name__
