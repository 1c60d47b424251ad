"""What functions are fed from: queues and streams, read in batches.

A mapping of an event source is read by a job of its own, as AWS's pollers do, so that whoever sends
a message or a record does not wait for a function. The job ends when there is nothing left to read.
https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html
"""

from __future__ import annotations

import base64
import importlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from . import account, metrics
from .errors import AWSError
from .jobs import Job

# A batch waits this long for more records if the mapping has no window of its own.
_GATHER_SECONDS = 0.05
_LONGEST_WAIT_BETWEEN_RETRIES = 30.0

# (mapping's uuid, shard) -> its feed
_feeds: dict[tuple[str, str], Feed] = account.table()
# stream's ARN -> who else reads it
_listeners: dict[str, list[Callable[[Any, str, int], None]]] = account.table()
_lock = threading.Lock()


def _functions() -> Any:
    return importlib.import_module(f"{__package__}.executors.lambda_")


def take_over(mapping: Any) -> None:
    """Let this module read the source of a mapping, and not moto; begin with what is in it."""
    source = _source(mapping)
    for mappings in [source.lambda_event_source_mappings] if source else []:
        for key in [key for key, value in mappings.items() if value is mapping]:
            del mappings[key]
    service = mapping.event_source_arn.split(":")[2]
    if service == "sqs":
        _feed(mapping, "").wake()
    elif mapping.starting_position != "LATEST":
        for shard, records in _backlog(source, service):
            feed = _feed(mapping, shard)
            for record in records:
                feed.add(record)


def _source(mapping: Any) -> Any:
    """moto's queue, stream or table that the mapping reads; None if it is gone."""
    arn = mapping.event_source_arn
    _, _, service, region, *_ = arn.split(":")
    if service == "sqs":
        from moto.sqs.models import sqs_backends

        return sqs_backends[account.ACCOUNT_ID][region].queues.get(arn.rpartition(":")[2])
    if service == "kinesis":
        from moto.kinesis.models import kinesis_backends

        return kinesis_backends[account.ACCOUNT_ID][region].streams.get(arn.rpartition("/")[2])
    from moto.dynamodb.models import dynamodb_backends

    return dynamodb_backends[account.ACCOUNT_ID][region].tables.get(arn.split("/")[1])


def _backlog(source: Any, service: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    if service == "kinesis":
        for shard in source.shards.values():
            records = [_kinesis_record(source, shard.shard_id, r) for r in shard.records.values()]
            yield shard.shard_id, records
    elif source is not None and source.stream_shard:
        shard = source.stream_shard
        yield shard.id, [_change_record(shard, item) for item in shard.items]


def _mappings_of(arn: str) -> list[Any]:
    """The enabled mappings of a source, in whatever region."""
    from moto.awslambda.models import lambda_backends

    backend = lambda_backends[account.ACCOUNT_ID][arn.split(":")[3]]
    mappings = list(backend._event_source_mappings.values())
    return [item for item in mappings if item.event_source_arn == arn and item.enabled]


def queue_has_messages(arn: str) -> None:
    """A message was sent to the queue."""
    for mapping in _mappings_of(arn):
        _feed(mapping, "").wake()


def stream_has_record(stream: Any, shard_id: str, sequence_number: int) -> None:
    """A record was put into a shard of a Kinesis stream."""
    for listener in list(_listeners.get(stream.arn, [])):
        listener(stream, shard_id, sequence_number)
    mappings = _mappings_of(stream.arn)
    if mappings:
        record = _kinesis_record(stream, shard_id, stream.shards[shard_id].records[sequence_number])
        for mapping in mappings:
            _feed(mapping, shard_id).add(record)


def listen(stream_arn: str, listener: Callable[[Any, str, int], None]) -> None:
    """Call a function with stream, shard and sequence number of each record put from now on."""
    _listeners.setdefault(stream_arn, []).append(listener)


def ignore(stream_arn: str, listener: Callable[[Any, str, int], None]) -> None:
    """Do not call the function any more."""
    listeners = _listeners.get(stream_arn, [])
    if listener in listeners:
        listeners.remove(listener)


def table_has_change(shard: Any) -> None:
    """A change was added to the stream of a DynamoDB table."""
    for mapping in _mappings_of(_stream_arn(shard)):
        _feed(mapping, shard.id).add(_change_record(shard, shard.items[-1]))


def _feed(mapping: Any, shard: str) -> Feed:
    is_queue = mapping.event_source_arn.split(":")[2] == "sqs"
    with _lock:
        kind = QueueFeed if is_queue else StreamFeed
        return _feeds.setdefault((mapping.uuid, shard), kind(mapping))


# ── records ──────────────────────────────────────────────────────────────────────────────────────


def _kinesis_record(stream: Any, shard_id: str, record: Any) -> dict[str, Any]:
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record.partition_key,
            "sequenceNumber": str(record.sequence_number),
            "data": record.data,
            "approximateArrivalTimestamp": round(record.created_at, 3),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard_id}:{record.sequence_number}",
        "eventName": "aws:kinesis:record",
        "awsRegion": stream.arn.split(":")[3],
        "eventSourceARN": stream.arn,
    }


def _change_record(shard: Any, item: Any) -> dict[str, Any]:
    change = item.to_json()
    content = dict(change["dynamodb"])
    created = content.get("ApproximateCreationDateTime")
    if isinstance(created, datetime):
        content["ApproximateCreationDateTime"] = int(created.timestamp())
    arn = _stream_arn(shard)
    return {
        "eventID": change["eventID"],
        "eventName": change["eventName"],
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": arn.split(":")[3],
        "dynamodb": content,
        "eventSourceARN": arn,
    }


def _stream_arn(shard: Any) -> str:
    return f"{shard.table.table_arn}/stream/{shard.table.latest_stream_label}"


def _queue_record(arn: str, message: Any) -> dict[str, Any]:
    attributes = {
        "ApproximateReceiveCount": str(message.approximate_receive_count),
        "SentTimestamp": str(message.sent_timestamp),
        "SenderId": message.sender_id,
        "ApproximateFirstReceiveTimestamp": str(message.approximate_first_receive_timestamp),
    }
    if arn.endswith(".fifo"):
        attributes["MessageGroupId"] = message.group_id
        attributes["MessageDeduplicationId"] = message.deduplication_id
        attributes["SequenceNumber"] = message.sequence_number
    return {
        "messageId": message.id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": attributes,
        "messageAttributes": {
            name: {
                "stringValue": value.get("StringValue") or value.get("string_value"),
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": value.get("DataType") or value.get("data_type"),
            }
            for name, value in message.message_attributes.items()
        },
        "md5OfBody": message.body_md5,
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": arn.split(":")[3],
    }


def _passes(mapping: Any, record: dict[str, Any]) -> bool:
    """Whether the record matches one of the mapping's filters; all do if there are none."""
    from moto.events.models import EventPattern

    filters = (mapping.filter_criteria or {}).get("Filters") or []
    if not filters:
        return True
    seen = dict(record)
    if "body" in seen:
        seen["body"] = _as_json(seen["body"])
    if "kinesis" in seen:
        seen = {**seen["kinesis"], **seen}
        seen["data"] = _as_json(base64.b64decode(record["kinesis"]["data"]))
    return any(EventPattern.load(item["Pattern"]).matches_event(seen) for item in filters)


def _as_json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.decode("utf-8", "replace") if isinstance(text, bytes) else text


# ── feeds ────────────────────────────────────────────────────────────────────────────────────────


class Feed:
    """Reads a source for one mapping, in a job that runs while there is something to read."""

    def __init__(self, mapping: Any) -> None:
        self.mapping = mapping
        self._more = False
        self._job: Job | None = None
        self._guard = threading.Lock()

    def wake(self) -> None:
        """There is something to read."""
        with self._guard:
            self._more = True
            if self._job is None:
                region = self.mapping.event_source_arn.split(":")[3]
                self._job = Job(
                    f"mapping-{self.mapping.uuid}", region, status="RUNNING", failed="FAILED"
                )
                self._job.start(self._run)

    def _run(self, job: Job) -> None:
        window = max(float(self.mapping.max_batch_window or 0), _GATHER_SECONDS)
        while not job.stop_requested.wait(window):
            with self._guard:
                self._more = False
            while self._is_wanted(job) and self.read_batch(job):
                pass
            with self._guard:
                if not self._more or not self._is_wanted(job):
                    self._job = None
                    return

    def _is_wanted(self, job: Job) -> bool:
        mapping = self.mapping
        return not job.stop_requested.is_set() and mapping in _mappings_of(mapping.event_source_arn)

    def read_batch(self, job: Job) -> bool:
        """Read one batch and invoke the function. Whether there was anything."""
        raise NotImplementedError

    def invoke(self, records: list[dict[str, Any]], job: Job) -> tuple[bool, set[str]]:
        """Whether the function failed, and the records that it says it could not do."""
        functions = _functions()
        try:
            function = functions.find("", self.mapping.function_arn)
        except AWSError:
            return True, set()
        for record in records:
            if "kinesis" in record:
                record["invokeIdentityArn"] = function.role
        _measure_age(function, records)
        invocation = functions.invoke(
            function, {"Records": records}, account.new_id(), stop=job.stop_requested
        )
        if invocation.failed:
            return True, set()
        failed: set[str] = set()
        if "ReportBatchItemFailures" in (self.mapping.function_response_types or []):
            answer = json.loads(invocation.payload) or {}
            failed = {item["itemIdentifier"] for item in answer.get("batchItemFailures") or []}
        return False, failed


class QueueFeed(Feed):
    """Reads an SQS queue: what the function has done is deleted, the rest comes back later."""

    def read_batch(self, job: Job) -> bool:
        """Receive, invoke, delete."""
        from moto.sqs.models import sqs_backends

        arn = self.mapping.event_source_arn
        name, region = arn.rpartition(":")[2], arn.split(":")[3]
        backend = sqs_backends[account.ACCOUNT_ID][region]
        queue = backend.queues.get(name)
        if queue is None:
            return False
        size = min(int(self.mapping.batch_size), 10_000)
        timeout = int(queue.visibility_timeout)
        messages = backend.receive_message(name, size, 0, timeout)
        if not messages:
            return self._wait_for_hidden(queue, job)
        records = [(message, _queue_record(arn, message)) for message in messages]
        passing = [(m, record) for m, record in records if _passes(self.mapping, record)]
        failed, items = (
            self.invoke([record for _, record in passing], job) if passing else (False, set())
        )
        for message, record in records:
            dropped = record not in [r for _, r in passing]
            if dropped or not (failed or message.id in items):
                backend.delete_message(name, message.receipt_handle)
        return True

    @staticmethod
    def _wait_for_hidden(queue: Any, job: Job) -> bool:
        """Wait until a message that a failed invocation had becomes visible again."""
        hidden = [m.visible_at for m in queue._messages if not m.visible]
        delayed = [m.delayed_until for m in queue._messages if m.delayed]
        waiting = hidden + delayed
        if not waiting:
            return False
        milliseconds = min(waiting) - time.time() * 1000
        job.stop_requested.wait(min(max(milliseconds / 1000, 0.05), 1.0))
        return True


class StreamFeed(Feed):
    """Reads a shard in order: a batch that fails is tried again before the next one is read."""

    def __init__(self, mapping: Any) -> None:
        super().__init__(mapping)
        self._records: deque[dict[str, Any]] = deque()

    def add(self, record: dict[str, Any]) -> None:
        """A record has come into the shard."""
        if _passes(self.mapping, record):
            self._records.append(record)
            self.wake()

    def read_batch(self, job: Job) -> bool:
        """Take a batch and invoke until it is done or given up."""
        size = min(int(self.mapping.batch_size), len(self._records))
        if not size:
            return False
        batch = [self._records.popleft() for _ in range(size)]
        self._deliver(batch, job)
        return True

    def _deliver(self, batch: list[dict[str, Any]], job: Job) -> None:
        retries = self.mapping.max_retry_attempts
        attempts, wait = 0, 0.2
        while self._is_wanted(job):
            failed, items = self.invoke(batch, job)
            attempts += 1
            if items:
                first = min(
                    (n for n, record in enumerate(batch) if _sequence(record) in items),
                    default=0,
                )
                batch = batch[first:]
            if not failed and not items:
                return
            if retries is not None and 0 <= int(retries) < attempts:
                self._give_up(batch, attempts)
                return
            if self.mapping.bisect_on_error and len(batch) > 1:
                middle = len(batch) // 2
                self._deliver(batch[:middle], job)
                self._deliver(batch[middle:], job)
                return
            job.stop_requested.wait(wait)
            wait = min(2 * wait, _LONGEST_WAIT_BETWEEN_RETRIES)

    def _give_up(self, batch: list[dict[str, Any]], attempts: int) -> None:
        """Send where the failed records are, not what they hold, to the mapping's destination."""
        config = (self.mapping.destination_config or {}).get("OnFailure") or {}
        if not config.get("Destination"):
            return
        destinations = importlib.import_module(f"{__package__}.executors.lambda_.destinations")
        info = {
            "batchSize": len(batch),
            "startSequenceNumber": _sequence(batch[0]),
            "endSequenceNumber": _sequence(batch[-1]),
            "streamArn": self.mapping.event_source_arn,
        }
        is_kinesis = "kinesis" in batch[0]
        record = {
            "requestContext": {
                "functionArn": self.mapping.function_arn,
                "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": attempts,
            },
            "version": "1.0",
            "timestamp": account.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            ("KinesisBatchInfo" if is_kinesis else "DDBStreamBatchInfo"): info,
        }
        destinations.send(config["Destination"], record)


def _measure_age(function: Any, records: list[dict[str, Any]]) -> None:
    """How long the last record of a stream has waited for the function."""
    last = records[-1]
    if "kinesis" in last:
        arrived = last["kinesis"]["approximateArrivalTimestamp"]
    elif "dynamodb" in last:
        arrived = last["dynamodb"].get("ApproximateCreationDateTime") or time.time()
    else:
        return
    milliseconds = 1000 * max(time.time() - float(arrived), 0.0)
    dimensions = {"FunctionName": function.function_name}
    metrics.put(
        "AWS/Lambda", "IteratorAge", milliseconds, "Milliseconds", dimensions, function.region
    )


def _sequence(record: dict[str, Any]) -> str:
    if "kinesis" in record:
        return record["kinesis"]["sequenceNumber"]
    return record["dynamodb"]["SequenceNumber"]
