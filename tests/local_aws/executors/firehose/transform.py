"""The function that a delivery calls, and the keys that jq finds in a record.

https://docs.aws.amazon.com/firehose/latest/dev/data-transformation.html
"""

from __future__ import annotations

import base64
import importlib
import json
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any

import jq

from ... import account
from ...errors import AWSError
from .records import Failure, Record, milliseconds, reason

_RESULTS = ("Ok", "Dropped", "ProcessingFailed")


def _functions() -> Any:
    return importlib.import_module(f"{__package__.rpartition('.')[0]}.lambda_")


@dataclass
class Transformed:
    """What came of a batch: records to deliver, records that failed, and how many were dropped.

    `answered` is false if the function gave no answer that can be read.
    """

    records: list[Record]
    failures: list[Failure]
    dropped: int = 0
    answered: bool = True


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
            return Transformed([], failures, answered=False)
        return self._sort(dict(zip(ids, records, strict=True)), answer, attempts)

    def _call(
        self, event: dict[str, Any], stop: threading.Event
    ) -> tuple[str, str, list[Any] | None]:
        """Error code and message, or the records of the answer."""
        functions = _functions()
        region = self.arn.split(":")[3]
        try:
            function = functions.find(region, self.arn)
            invocation = functions.invoke(function, event, account.new_id(), stop=stop)
        except AWSError as error:
            missing = error.code == "ResourceNotFoundException"
            return f"Lambda.{'ResourceNotFound' if missing else error.code}", error.message, None
        if invocation.failed:
            message = "The Lambda function was successfully invoked but it returned an error result"
            return "Lambda.FunctionError", f"{message}: {invocation.payload[:500]}", None
        answer = json.loads(invocation.payload)
        if not isinstance(answer, dict) or not isinstance(answer.get("records"), list):
            message = "The answer of the function has no list of records."
            return "Lambda.JsonProcessingException", message, None
        return "", "", answer["records"]

    def _sort(self, waiting: dict[str, Record], answer: list[Any], attempts: int) -> Transformed:
        """Every record that waits goes one way: delivered, dropped, or failed with a reason.

        What is returned under an id that was not sent belongs to no record and is passed over.
        """
        found = Transformed([], [])
        answered = [each for each in answer if isinstance(each, dict)]
        ids = [each["recordId"] for each in answered if isinstance(each.get("recordId"), str)]
        twice = {record_id for record_id, count in Counter(ids).items() if count > 1}
        for each in answered:
            record_id = each.get("recordId")
            record = waiting.pop(record_id, None) if isinstance(record_id, str) else None
            if record is None:
                continue
            if record_id in twice:
                message = "Multiple records were returned with the same record ID."
                failure = "Lambda.DuplicatedRecordId", message
            elif each.get("result") == "Dropped":
                found.dropped += 1
                continue
            else:
                failure = _accepted(record, each)
            if failure:
                found.failures.append(self._failure(record, *failure, attempts))
            else:
                found.records.append(record)
        message = "The function did not return all record IDs."
        found.failures += [
            self._failure(record, "Lambda.MissingRecordId", message, attempts)
            for record in waiting.values()
        ]
        return found

    def _failure(self, record: Record, code: str, message: str, attempts: int) -> Failure:
        details = {"lambdaArn": self.arn}
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


def _accepted(record: Record, answer: dict[str, Any]) -> tuple[str, str] | None:
    """Take over what the function made of a record; code and message if that cannot be done."""
    code = "Lambda.JsonProcessingException"
    if answer.get("result") == "ProcessingFailed":
        return "Lambda.ProcessingFailedStatus", "ProcessingFailed status set for record"
    if answer.get("result") != "Ok":
        return code, f"The result {answer.get('result')!r} is not one of {', '.join(_RESULTS)}."
    metadata = answer.get("metadata") or {}
    keys = (metadata.get("partitionKeys") or {}) if isinstance(metadata, dict) else None
    if not isinstance(keys, dict):
        return code, "The metadata of the transformed record have no map of partitionKeys."
    if not isinstance(answer.get("data"), str):
        return code, "The transformed record has no data."
    try:
        record.data = base64.b64decode(answer["data"], validate=True)
    except ValueError:
        return code, "The data of the transformed record are not base64."
    record.function_keys = {name: str(value) for name, value in keys.items()}
    return None


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
        try:
            found = self._program.input_value(json.loads(data)).first()
        except (StopIteration, RecursionError) as error:
            raise ValueError(f"the query gives nothing: {reason(error)}") from None
        if not isinstance(found, dict):
            raise ValueError(f"the query gives {found!r}, no object")
        return {name: _text(value) for name, value in found.items() if value is not None}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
