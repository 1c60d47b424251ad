"""A record on its way, and one that did not make it."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ... import account


@dataclass
class Record:
    """A record as it stands at a stage of the delivery.

    Attributes:
        data: what is to be delivered.
        arrived: when Firehose got it.
        raw: what it was at first.
        source: what Kinesis says of it; None for a record that was put directly.
        query_keys, function_keys: partition keys, by where they come from.
    """

    data: bytes
    arrived: datetime
    raw: bytes
    source: dict[str, Any] | None = None
    query_keys: dict[str, str] = field(default_factory=dict)
    function_keys: dict[str, str] = field(default_factory=dict)


@dataclass
class Failure:
    """A record that goes to the error prefix, with the reason.

    `kind` is the error output type: `processing-failed` or `format-conversion-failed`.
    """

    kind: str
    record: Record
    code: str
    message: str
    attempts: int = 1
    details: dict[str, Any] = field(default_factory=dict)

    def line(self) -> bytes:
        """The line of JSON that stands for it in an object of the error prefix."""
        prefix = "lastE" if self.kind == "format-conversion-failed" else "e"
        content = {
            "attemptsMade": self.attempts,
            "arrivalTimestamp": milliseconds(self.record.arrived),
            f"{prefix}rrorCode": self.code,
            f"{prefix}rrorMessage": self.message,
            "attemptEndingTimestamp": milliseconds(account.now()),
            "rawData": base64.b64encode(self.record.raw).decode(),
            **self.details,
        }
        return json.dumps(content).encode() + b"\n"


def milliseconds(moment: datetime) -> int:
    """A moment as the services write it in JSON."""
    return int(moment.timestamp() * 1000)
