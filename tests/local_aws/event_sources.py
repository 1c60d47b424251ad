"""What functions are fed from: queues and streams, read in batches, and the targets of EventBridge.

A mapping of an event source is read by a job of its own, as AWS's pollers do, so that whoever sends
a message or a record does not wait for a function. The job ends when there is nothing left to read.
https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html
"""

from __future__ import annotations

import base64
import importlib
import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from . import account, metrics
from .errors import AWSError
from .jobs import Job
from .logs import LogStream

# A batch waits this long for more records if the mapping has no window of its own.
_GATHER_SECONDS = 0.05
_LONGEST_WAIT_BETWEEN_RETRIES = 30.0

# (mapping's uuid, shard) -> its feed
_feeds: dict[tuple[str, str], Feed] = account.table()
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
    mappings = _mappings_of(stream.arn)
    if mappings:
        record = _kinesis_record(stream, shard_id, stream.shards[shard_id].records[sequence_number])
        for mapping in mappings:
            _feed(mapping, shard_id).add(record)


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


# ── targets of EventBridge ───────────────────────────────────────────────────────────────────────


def target_input(target: dict[str, Any], event: dict[str, Any]) -> Any:
    """What a target receives: its constant input, a part of the event, a template, or the event."""
    event = {name: value for name, value in event.items() if name != "ingestion-time"}
    if isinstance(event.get("time"), int | float):
        moment = datetime.fromtimestamp(event["time"], account.now().tzinfo)
        event["time"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    if target.get("Input") is not None:
        return json.loads(target["Input"])
    if target.get("InputPath"):
        return _at(event, target["InputPath"])
    transformer = target.get("InputTransformer")
    if transformer:
        return _filled_template(transformer, event)
    return event


def _at(event: Any, path: str) -> Any:
    """The part of the event at a path such as `$.detail.bucket.name` or `$.resources[0]`."""
    for name, index in re.findall(r"\.([\w-]+)|\[(\d+)\]", path):
        try:
            event = event[int(index)] if index else event[name]
        except (KeyError, IndexError, TypeError):
            return None
    return event


def _filled_template(transformer: dict[str, Any], event: dict[str, Any]) -> Any:
    """The template with its `<variables>` replaced: quoted ones by text, others by JSON."""
    values = {name: _at(event, path) for name, path in transformer.get("InputPathsMap", {}).items()}
    values["aws.events.event"] = event
    text = transformer["InputTemplate"]
    for name, value in values.items():
        plain = value if isinstance(value, str) else json.dumps(value)
        text = text.replace(f'"<{name}>"', json.dumps(plain) if isinstance(value, str) else plain)
        inside = json.dumps(plain)[1:-1]
        text = re.sub(
            rf'("[^"\n]*)<{re.escape(name)}>',
            lambda found, inside=inside: found[1] + inside,
            text,
        )
        text = text.replace(f"<{name}>", json.dumps(value))
    return _as_json(text)


_Invoke = Callable[[Any, str, str], None]


def _to_log_group(target: dict[str, Any], content: Any, rule: Any, _: _Invoke) -> None:
    from moto.logs.models import logs_backends

    region, name = target["Arn"].split(":")[3], target["Arn"].split(":log-group:")[1]
    name = name.removesuffix(":*")
    if name in logs_backends[account.ACCOUNT_ID][region].groups:
        LogStream(region, name, account.new_id(), f"rule {rule.name}").write(json.dumps(content))


def _to_queue(target: dict[str, Any], content: Any, rule: Any, _: _Invoke) -> None:
    from moto.sqs.models import sqs_backends

    region, name = target["Arn"].split(":")[3], target["Arn"].rpartition(":")[2]
    backend = sqs_backends[account.ACCOUNT_ID][region]
    group = (target.get("SqsParameters") or {}).get("MessageGroupId")
    if name in backend.queues:
        backend.send_message(name, json.dumps(content), group_id=group)


def _to_function(target: dict[str, Any], content: Any, rule: Any, invoke: _Invoke) -> None:
    invoke(content, "events.amazonaws.com", rule.arn)


def _through_client(
    service: str, call: Callable[[Any, dict[str, Any], str], None]
) -> Callable[..., None]:
    """A target that is reached as any client would reach it, in the background."""

    def deliver(target: dict[str, Any], content: Any, rule: Any, _: _Invoke) -> None:
        name = f"rule {rule.name}"
        region = target["Arn"].split(":")[3] or rule.region_name
        job = Job(name, region, status="RUNNING", failed="FAILED")
        body = content if isinstance(content, str) else json.dumps(content)
        job.start(lambda _: call(_client(service, region, name), target, body))

    return deliver


def _client(service: str, region: str, caller: str) -> Any:
    import boto3

    from . import processes

    environ = processes.job_environment(region, caller)
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=environ["AWS_ENDPOINT_URL"],
        aws_access_key_id=environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environ["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=environ["AWS_SESSION_TOKEN"],
    )


def _start_execution(client: Any, target: dict[str, Any], body: str) -> None:
    client.start_execution(stateMachineArn=target["Arn"], input=body)


def _publish(client: Any, target: dict[str, Any], body: str) -> None:
    client.publish(TopicArn=target["Arn"], Message=body)


def _put_to_stream(client: Any, target: dict[str, Any], body: str) -> None:
    path = (target.get("KinesisParameters") or {}).get("PartitionKeyPath")
    key = _at(json.loads(body), path) if path else account.new_id()
    client.put_record(StreamARN=target["Arn"], Data=body.encode(), PartitionKey=str(key))


def _put_to_firehose(client: Any, target: dict[str, Any], body: str) -> None:
    name = target["Arn"].rpartition("/")[2]
    client.put_record(DeliveryStreamName=name, Record={"Data": body.encode()})


def _start_pipeline(client: Any, target: dict[str, Any], body: str) -> None:
    given = (target.get("SageMakerPipelineParameters") or {}).get("PipelineParameterList") or []
    client.start_pipeline_execution(
        PipelineName=target["Arn"].rpartition("/")[2],
        PipelineParameters=[{"Name": item["Name"], "Value": item["Value"]} for item in given],
    )


def _start_code_pipeline(client: Any, target: dict[str, Any], body: str) -> None:
    client.start_pipeline_execution(name=target["Arn"].rpartition(":")[2])


def _start_build(client: Any, target: dict[str, Any], body: str) -> None:
    client.start_build(projectName=target["Arn"].rpartition("/")[2])


TARGETS: dict[str, Callable[..., None]] = {
    "lambda": _to_function,
    "logs": _to_log_group,
    "sqs": _to_queue,
    "states": _through_client("stepfunctions", _start_execution),
    "sns": _through_client("sns", _publish),
    "kinesis": _through_client("kinesis", _put_to_stream),
    "firehose": _through_client("firehose", _put_to_firehose),
    "sagemaker": _through_client("sagemaker", _start_pipeline),
    "codepipeline": _through_client("codepipeline", _start_code_pipeline),
    "codebuild": _through_client("codebuild", _start_build),
}
