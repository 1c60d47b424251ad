"""Records that hold others: compressed by CloudWatch Logs, or put together by their sender.

https://docs.aws.amazon.com/firehose/latest/dev/writing-with-cloudwatch-logs-decompression.html
https://docs.aws.amazon.com/firehose/latest/dev/dynamic-partitioning-multirecord-deaggergation.html
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from ...errors import AWSError, not_implemented
from .records import Failure, Record, reason

# One record is taken apart into so many at most; beyond that it stays whole.
_LARGEST_COUNT = 500
_SPACE = re.compile(r"\s*")


class Unpacking:
    """What is done with a record before anything else.

    Attributes:
        decompresses: whether records are gzip, as CloudWatch Logs sends them.
        extracts: whether only the messages of the log events are kept, a line for each.
        separate: takes the content of a record apart; None if a record is one.
    """

    def __init__(self, processors: dict[str, dict[str, str]]) -> None:
        """Read the parameters of the processors by type. Raises AWSError."""
        self.decompresses = "Decompression" in processors
        self.extracts = "CloudWatchLogProcessing" in processors
        self.separate = _separator(processors.get("RecordDeAggregation"))
        form = processors.get("Decompression", {}).get("CompressionFormat", "GZIP")
        if form != "GZIP":
            raise not_implemented("firehose", f"decompression of {form}")
        if self.extracts and not self.decompresses:
            message = "The processor CloudWatchLogProcessing needs the processor Decompression."
            raise AWSError("InvalidArgumentException", message)

    def unpack(self, records: list[Record]) -> tuple[list[Record], list[Failure]]:
        """The records that are in these records, and those that could not be read."""
        if not (self.decompresses or self.separate):
            return records, []
        found: list[Record] = []
        failures = []
        for record in records:
            kind, code = "decompression-failed", "DataDecompression.InvalidData"
            try:
                if self.decompresses:
                    record = replace(record, data=self._decompressed(record.data))
                kind, code = "processing-failed", "DataDeAggregation.MalformedData"
                found += self._separated(record)
            except (ValueError, OSError, EOFError, KeyError, TypeError, RecursionError) as error:
                failures.append(Failure(kind, record, code, reason(error)))
        return found, failures

    def _decompressed(self, data: bytes) -> bytes:
        content = gzip.decompress(data)
        if not self.extracts:
            return content
        events = json.loads(content)["logEvents"]
        return "".join(f"{event['message']}\n" for event in events).encode()

    def _separated(self, record: Record) -> list[Record]:
        if self.separate is None:
            return [record]
        parts = list(self.separate(record.data))
        if len(parts) > _LARGEST_COUNT:
            return [record]
        return [replace(record, data=part, raw=part) for part in parts]


def _separator(parameters: dict[str, str] | None) -> Callable[[bytes], Iterator[bytes]] | None:
    if parameters is None:
        return None
    if parameters.get("SubRecordType") == "JSON":
        return _json_objects
    if parameters.get("SubRecordType") != "DELIMITED" or not parameters.get("Delimiter"):
        message = (
            "The processor RecordDeAggregation needs the SubRecordType JSON, or DELIMITED with a "
            "Delimiter."
        )
        raise AWSError("InvalidArgumentException", message)
    try:
        delimiter = base64.b64decode(parameters["Delimiter"], validate=True)
    except binascii.Error:
        message = f"The Delimiter {parameters['Delimiter']!r} is not base64."
        raise AWSError("InvalidArgumentException", message) from None
    return lambda data: (part for part in data.split(delimiter) if part)


def _json_objects(data: bytes) -> Iterator[bytes]:
    text = data.decode("utf-8")
    for start, end, _ in json_objects(text):
        yield text[start:end].encode()


def json_objects(text: str) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """The JSON objects that stand behind each other in a text: start, end and value of each.

    Raises:
        ValueError: if there is anything else than objects, or nothing.
    """
    decoder, position, end = json.JSONDecoder(), 0, len(text.rstrip())
    if not end:
        raise ValueError("the record is empty")
    while position < end:
        start = _SPACE.match(text, position).end()  # type: ignore[union-attr]
        value, position = decoder.raw_decode(text, start)
        if not isinstance(value, dict):
            raise ValueError(f"expected a JSON object, not {text[start : start + 40]!r}")
        yield start, position, value
