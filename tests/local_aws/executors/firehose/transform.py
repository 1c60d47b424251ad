"""The function that a delivery calls, and the keys that jq finds in a record.

https://docs.aws.amazon.com/firehose/latest/dev/data-transformation.html
"""

from __future__ import annotations

import base64
import binascii
import importlib
import json
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any

import jq

from ... import account
from ...errors import AWSError
from .records import Failure, Record, milliseconds

_RESULTS = ("Ok", "Dropped", "ProcessingFailed")


def _functions() -> Any:
    return importlib.import_module(f"{__package__.rpartition('.')[0]}.lambda_")


@dataclass
class Transformed:
    """What came of a batch: records to deliver, records that failed, and how many were dropped."""

    records: list[Record]
    failures: list[Failure]
    dropped: int = 0


@dataclass(frozen=True)
class Function:
    """A function that transforms batches of records.

    Attributes:
        arn: of the function, with its version or without.
        size: of a batch in bytes, after base64.
        seconds: how long a batch may wait for more.
        retries: how often a failed invocation is tried again.
    """

    arn: str
    size: int
    seconds: float
    retries: int

    def transform(
        self, records: list[Record], stream: dict[str, Any], stop: threading.Event
    ) -> Transformed:
        """Call the function with a batch, again if it fails, and sort what it answers.

        Args:
            records: the batch.
            stream: what the event says of the delivery stream.
            stop: set when the account is reset.
        """
        ids = [f"{account.new_id().replace('-', '')}{place:024}" for place in range(len(records))]
        event = {"invocationId": account.new_id(), **stream}
        event["records"] = [
            _sent(record_id, record) for record_id, record in zip(ids, records, strict=True)
        ]
        code, message, answer = "", "", None
        attempts = 0
        while answer is None and attempts <= self.retries and not stop.is_set():
            attempts += 1
            code, message, answer = self._call(event, stop)
        if answer is None:
            failures = [self._failure(record, code, message, attempts) for record in records]
            return Transformed([], failures)
        return self._sort(dict(zip(ids, records, strict=True)), answer, attempts)

    def _call(
        self, event: dict[str, Any], stop: threading.Event
    ) -> tuple[str, str, list[Any] | None]:
        """Error code and message, or the records of the answer."""
        functions = _functions()
        region = self.arn.split(":")[3]
        try:
            function = functions.find(region, self.arn)
        except AWSError as error:
            return "Lambda.ResourceNotFound", error.message, None
        invocation = functions.invoke(function, event, account.new_id(), stop=stop)
        if invocation.failed:
            message = "The Lambda function was successfully invoked but it returned an error result"
            return "Lambda.FunctionError", f"{message}: {invocation.payload[:500]}", None
        answer = json.loads(invocation.payload)
        if not isinstance(answer, dict) or not isinstance(answer.get("records"), list):
            message = "The answer of the function has no list of records."
            return "Lambda.JsonProcessingException", message, None
        return "", "", answer["records"]

    def _sort(self, waiting: dict[str, Record], answer: list[Any], attempts: int) -> Transformed:
        found = Transformed([], [])
        answered = [each for each in answer if isinstance(each, dict)]
        twice = Counter(each.get("recordId") for each in answered)
        for each in answered:
            record = waiting.pop(each.get("recordId"), None)
            if record is None:
                continue
            if twice[each["recordId"]] > 1:
                message = "Multiple records were returned with the same record ID."
                found.failures.append(
                    self._failure(record, "Lambda.DuplicatedRecordId", message, attempts)
                )
            elif each.get("result") == "Dropped":
                found.dropped += 1
            elif each.get("result") == "Ok":
                self._accept(record, each, found, attempts)
            else:
                code, message = _why_not(each)
                found.failures.append(self._failure(record, code, message, attempts))
        message = "The function did not return all record IDs."
        found.failures += [
            self._failure(record, "Lambda.MissingRecordId", message, attempts)
            for record in waiting.values()
        ]
        return found

    def _accept(
        self, record: Record, answer: dict[str, Any], found: Transformed, attempts: int
    ) -> None:
        try:
            record.data = base64.b64decode(answer.get("data") or "", validate=True)
        except (binascii.Error, TypeError, ValueError):
            message = "The data of the transformed record is not base64."
            code = "Lambda.JsonProcessingException"
            found.failures.append(self._failure(record, code, message, attempts))
            return
        keys = (answer.get("metadata") or {}).get("partitionKeys") or {}
        record.function_keys = {name: str(value) for name, value in keys.items()}
        found.records.append(record)

    def _failure(self, record: Record, code: str, message: str, attempts: int) -> Failure:
        details = {"lambdaARN": self.arn}
        return Failure("processing-failed", record, code, message, attempts, details)


def _sent(record_id: str, record: Record) -> dict[str, Any]:
    sent = {
        "recordId": record_id,
        "approximateArrivalTimestamp": milliseconds(record.arrived),
        "data": base64.b64encode(record.data).decode(),
    }
    if record.source:
        sent["kinesisRecordMetadata"] = record.source
    return sent


def _why_not(answer: dict[str, Any]) -> tuple[str, str]:
    if answer.get("result") in _RESULTS:
        message = "ProcessingFailed status set for record"
        return "Lambda.ProcessingFailedStatus", message
    message = f"The result {answer.get('result')!r} is not one of {', '.join(_RESULTS)}."
    return "Lambda.JsonProcessingException", message


class Query:
    """A jq program that finds partition keys in a record."""

    def __init__(self, text: str) -> None:
        """Compile the program. Raises InvalidArgumentException."""
        try:
            self._program = jq.compile(text)
        except ValueError as error:
            message = f"The metadata extraction query {text!r} is no jq: {error}"
            raise AWSError("InvalidArgumentException", message) from None

    def keys(self, data: bytes) -> dict[str, str]:
        """The keys of a record. Raises ValueError with the reason."""
        found = self._program.input_value(json.loads(data)).first()
        if not isinstance(found, dict):
            raise ValueError(f"the query gives {found!r}, no object")
        return {name: value for name, value in found.items() if value is not None}
