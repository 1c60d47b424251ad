"""The one module that changes moto: where moto itself triggers something, or answers wrongly.

Each function below takes the place of one in moto, at a choke point that is named with it. `check`
sees that every choke point is where it was, with the parameters it had; it is called before a
group is put in place, so that an upgrade of moto that has moved one is noticed at once.
"""

from __future__ import annotations

import base64
import binascii
import copy
import gzip
import hashlib
import importlib
import inspect
import json
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import account, event_sources, event_targets, metric_filters, metrics, s3_events
from .errors import AWSError
from .policies import ALLOWED, EXPLICIT_DENY


@dataclass(frozen=True)
class ChokePoint:
    """A function of moto's and what takes its place."""

    module: str
    name: str
    parameters: tuple[str, ...]
    replacement: Callable[..., Any]


_choke_points: dict[str, list[ChokePoint]] = {}
_originals: dict[str, Callable[..., Any]] = {}
_installed: set[str] = set()
_lock = threading.Lock()


def _replaces(group: str, module: str, name: str, *parameters: str) -> Callable[..., Any]:
    """Decorator: this function takes the place of `name` (`Class.method`) in the moto module."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        point = ChokePoint(f"moto.{module}", name, parameters, function)
        _choke_points.setdefault(group, []).append(point)
        return function

    return register


def check(*groups: str) -> None:
    """See that the choke points of these groups (of all, if none is named) are where they were.

    Raises:
        RuntimeError: naming each one that is not, and what to do.
    """
    problems = []
    for group in groups or _choke_points:
        for point in _choke_points[group]:
            found = _original(point)
            if found is None:
                problems.append(f"{point.module}.{point.name} is gone")
                continue
            actual = tuple(inspect.signature(found).parameters)
            if actual != point.parameters:
                problems.append(
                    f"{point.module}.{point.name} takes {actual}, expected {point.parameters}"
                )
    if problems:
        version = importlib.import_module("moto").__version__
        raise RuntimeError(
            f"moto {version} has moved what tests/local_aws/triggers.py hooks into: "
            + "; ".join(problems)
            + ". Install the version that tests/constraints.txt pins, or mend triggers.py."
        )


def install(*groups: str) -> None:
    """Put the replacements of these groups in place, once."""
    with _lock:
        for group in groups:
            if group in _installed:
                continue
            check(group)
            for point in _choke_points[group]:
                _originals[f"{point.module}.{point.name}"] = _original(point)
                holder, attribute = _holder(point)
                setattr(holder, attribute, point.replacement)
            _installed.add(group)


def _holder(point: ChokePoint) -> tuple[Any, str]:
    holder: Any = importlib.import_module(point.module)
    *outer, attribute = point.name.split(".")
    for name in outer:
        holder = getattr(holder, name)
    return holder, attribute


def _original(point: ChokePoint) -> Callable[..., Any] | None:
    known = _originals.get(f"{point.module}.{point.name}")
    if known is not None:
        return known
    try:
        holder, attribute = _holder(point)
        return getattr(holder, attribute)
    except (ImportError, AttributeError):
        return None


def _moto(name: str) -> Callable[..., Any]:
    return _originals[f"moto.{name}"]


def _functions() -> Any:
    """The executor for Lambda, imported when something is triggered for the first time."""
    return importlib.import_module(f"{__package__}.executors.lambda_")


# ── S3: checksums ────────────────────────────────────────────────────────────────────────────────


def _crc32c(body: bytes) -> bytes | None:
    try:
        from awscrt import checksums
    except ImportError:
        return None
    return checksums.crc32c(body).to_bytes(4, "big")


def _crc64nvme(body: bytes) -> bytes | None:
    try:
        from awscrt import checksums
    except ImportError:
        return None
    return checksums.crc64nvme(body).to_bytes(8, "big")


# What cannot be computed here (None) is taken as the client has sent it.
_DIGESTS: dict[str, Callable[[bytes], bytes | None]] = {
    "crc32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
    "crc32c": _crc32c,
    "crc64nvme": _crc64nvme,
    "sha1": lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    "sha256": lambda body: hashlib.sha256(body).digest(),
}


@_replaces("s3", "s3.responses", "S3Response._get_checksum", "self", "response_headers")
def get_checksum(self: Any, response_headers: dict[str, Any]) -> tuple[str, str | None]:
    """Hold the body against the digests that came with it; moto believes them.

    Raises:
        AWSError: BadDigest or InvalidDigest, before anything is stored.
    """
    algorithm, value = _verified(self)
    if value:
        response_headers[f"x-amz-checksum-{algorithm.lower()}"] = value
    return algorithm, value


@_replaces("s3", "s3.responses", "S3Response.upload_part", "self")
def upload_part(self: Any) -> Any:
    """moto looks at the checksum of a part when it has stored it already."""
    _verified(self)
    return _moto("s3.responses.S3Response.upload_part")(self)


def _verified(response: Any) -> tuple[str, str | None]:
    """Algorithm (upper case) and checksum of the body; computed once for each request."""
    known = getattr(response, "_local_aws_checksum", None)
    if known is None:
        body = response.body or b""
        body = body.encode() if isinstance(body, str) else body
        _verify_md5(response.headers.get("Content-MD5"), body)
        known = response._local_aws_checksum = _verify_checksum(response, body)
    return known


def _verify_md5(given: str | None, body: bytes) -> None:
    if given is None:
        return
    try:
        digest = base64.b64decode(given, validate=True)
    except binascii.Error:
        digest = b""
    if len(digest) != 16:
        raise AWSError("InvalidDigest", "The Content-MD5 you specified was invalid.")
    if hashlib.md5(body, usedforsecurity=False).digest() != digest:
        message = "The Content-MD5 you specified did not match what we received."
        raise AWSError("BadDigest", message)


def _verify_checksum(response: Any, body: bytes) -> tuple[str, str | None]:
    headers = response.headers
    algorithm = headers.get("x-amz-sdk-checksum-algorithm", "").lower()
    trailer = (headers.get("x-amz-trailer") or "").lower()
    for name in _DIGESTS:
        if f"x-amz-checksum-{name}" in headers or trailer == f"x-amz-checksum-{name}":
            algorithm = name
    given = headers.get(f"x-amz-checksum-{algorithm}") if algorithm else None
    if trailer and not given:
        given = _from_trailer(response.raw_body, trailer)
    if not algorithm:
        return "", None
    digest = _DIGESTS.get(algorithm, lambda _: None)(body)
    computed = base64.b64encode(digest).decode() if digest is not None else given
    if given and computed != given:
        shown = algorithm.upper()
        message = f"The {shown} you specified did not match the calculated checksum."
        raise AWSError("BadDigest", message)
    return algorithm.upper(), computed


def _from_trailer(raw: bytes, name: str) -> str | None:
    """A checksum that follows the body instead of preceding it."""
    tail = raw[-512:]
    start = tail.rfind(name.encode() + b":")
    if start < 0:
        return None
    return tail[start + len(name) + 1 :].partition(b"\r\n")[0].decode().strip()


# ── S3: buckets ──────────────────────────────────────────────────────────────────────────────────


@_replaces(
    "s3",
    "s3.models",
    "S3Backend.create_bucket",
    *("self", "bucket_name", "region_name", "bucket_namespace"),
)
def create_bucket(
    self: Any, bucket_name: str, region_name: str, bucket_namespace: str | None = None
) -> Any:
    """A new bucket is encrypted, private and without ACLs, as all are since April 2023."""
    from moto.s3.models import PublicAccessBlock

    original = _moto("s3.models.S3Backend.create_bucket")
    bucket = original(self, bucket_name, region_name, bucket_namespace=bucket_namespace)
    bucket.encryption = copy.deepcopy(_DEFAULT_ENCRYPTION)
    bucket.public_access_block = PublicAccessBlock("true", "true", "true", "true")
    bucket.ownership_rule = "BucketOwnerEnforced"
    return bucket


_DEFAULT_ENCRYPTION = {
    "Rule": {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
        "BucketKeyEnabled": "false",
    }
}


@_replaces("s3", "s3.models", "S3Backend.delete_bucket_encryption", "self", "bucket_name")
def delete_bucket_encryption(self: Any, bucket_name: str) -> None:
    """A bucket falls back to the keys of S3; none is unencrypted."""
    self.get_bucket(bucket_name).encryption = copy.deepcopy(_DEFAULT_ENCRYPTION)


@_replaces("s3", "s3.models", "FakeBucket.get_permission", "self", "action", "resource")
def get_permission(self: Any, action: str, resource: str) -> Any:
    """What the bucket's policy says to the caller of the request that is being answered.

    moto ignores principals, and takes every deny with a condition for a deny.
    """
    from moto.iam.access_control import PermissionResult

    if self.policy is None:
        return PermissionResult.NEUTRAL
    action = {"s3:HeadObject": "s3:GetObject", "s3:PostObject": "s3:PutObject"}.get(action, action)
    decision = s3_events.bucket_decision(self, action, resource)
    if decision.result == EXPLICIT_DENY:
        raise AWSError("AccessDenied", "Access Denied", status=403)
    return PermissionResult.PERMITTED if decision.result == ALLOWED else PermissionResult.NEUTRAL


@_replaces("s3", "s3.notifications", "send_event", "account_id", "event_name", "bucket", "key")
def send_event(account_id: str, event_name: Any, bucket: Any, key: Any) -> None:
    """Tell the bucket's subscribers, after the request: nobody waits for them."""
    if bucket.notification_configuration is not None:
        s3_events.notify(event_name, bucket, key, _invoke_for_s3)


def _invoke_for_s3(arn: str, event: dict[str, Any], bucket_arn: str) -> None:
    _invoke_later(arn, event, "s3.amazonaws.com", bucket_arn)


def _invoke_later(arn: str, event: Any, service: str, source_arn: str) -> None:
    """Invoke a function if it is there and its policy lets the service do so; else nothing."""
    functions = _functions()
    try:
        function = functions.find("", arn)
    except AWSError:
        return
    if functions.may_invoke(function, service, source_arn):
        functions.invoke_later(function, event)


# ── Lambda ───────────────────────────────────────────────────────────────────────────────────────


@_replaces("lambda", "awslambda.models", "LambdaFunction._invoke_lambda", "self", "event")
def invoke_lambda(self: Any, event: Any = None) -> tuple[str, bool, str]:
    """Run the function; moto would look for Docker. Returns payload, whether it failed, log."""
    event = json.loads(event) if isinstance(event, str) else event
    invocation = _functions().invoke(self, event, account.new_id())
    return invocation.payload, invocation.failed, invocation.tail


@_replaces(
    "lambda",
    "awslambda.models",
    "LambdaBackend.send_log_event",
    *("self", "function_arn", "filter_name", "log_group_name", "log_stream_name", "log_events"),
)
def send_log_event(
    self: Any,
    function_arn: str,
    filter_name: str,
    log_group_name: str,
    log_stream_name: str,
    log_events: Any,
) -> None:
    """A subscription of a log group: whoever writes the log does not wait for the function."""
    data = _subscribed(filter_name, log_group_name, log_stream_name, log_events)
    packed = base64.b64encode(data).decode()
    arn = f"arn:aws:logs:{self.region_name}:{account.ACCOUNT_ID}:log-group:{log_group_name}:*"
    event = {"awslogs": {"data": packed}}
    _invoke_later(function_arn, event, "logs.amazonaws.com", arn)


@_replaces(
    "lambda", "awslambda.models", "LambdaBackend.create_event_source_mapping", "self", "spec"
)
def create_event_source_mapping(self: Any, spec: dict[str, Any]) -> Any:
    """Read the source in batches, in the background; moto invokes for each record at once."""
    original = _moto("awslambda.models.LambdaBackend.create_event_source_mapping")
    mapping = original(self, spec)
    event_sources.take_over(mapping)
    return mapping


@_replaces("sqs", "sqs.models", "Queue.add_message", "self", "message")
def add_message(self: Any, message: Any) -> None:
    """Wake the functions that read the queue."""
    _moto("sqs.models.Queue.add_message")(self, message)
    _measure_queue(self, NumberOfMessagesSent=1)
    event_sources.queue_has_messages(self.queue_arn)


@_replaces(
    "sqs",
    "sqs.models",
    "SQSBackend.receive_message",
    *("self", "queue_name", "count", "wait_seconds_timeout", "visibility_timeout"),
    "message_attribute_names",
)
def receive_message(
    self: Any,
    queue_name: str,
    count: int,
    wait_seconds_timeout: int,
    visibility_timeout: int,
    message_attribute_names: list[str] | None = None,
) -> list[Any]:
    """Count the messages that are received."""
    messages = _moto("sqs.models.SQSBackend.receive_message")(
        self, queue_name, count, wait_seconds_timeout, visibility_timeout, message_attribute_names
    )
    name = "NumberOfMessagesReceived" if messages else "NumberOfEmptyReceives"
    _measure_queue(self.get_queue(queue_name), **{name: len(messages) or 1})
    return messages


@_replaces("sqs", "sqs.models", "Queue.delete_message", "self", "receipt_handle")
def delete_message(self: Any, receipt_handle: str) -> None:
    """Count the messages that are deleted."""
    _moto("sqs.models.Queue.delete_message")(self, receipt_handle)
    _measure_queue(self, NumberOfMessagesDeleted=1)


def _measure_queue(queue: Any, **counts: int) -> None:
    for name, value in counts.items():
        metrics.put("AWS/SQS", name, value, "Count", {"QueueName": queue.name}, queue.region)
    # The levels have changed with it; they are measured when somebody looks.
    for name in _QUEUE_LEVELS:
        metrics.announce(queue.region, "AWS/SQS", name)


_QUEUE_LEVELS = (
    "ApproximateNumberOfMessagesVisible",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateAgeOfOldestMessage",
)


def queue_levels(queue: Any) -> list[metrics.Level]:
    """How full a queue is. `queue` is one of moto's."""
    dimensions = {"QueueName": queue.name}
    now = account.now().timestamp() * 1000
    # moto asks for the time at each message, which is long for a long queue.
    messages = list(queue._messages)
    delayed = sum(message.delayed_until > now for message in messages)
    hidden = sum(message.visible_at > now for message in messages)
    sent = [message.sent_timestamp for message in messages if message.delayed_until <= now]
    age = max(now - min(sent), 0) / 1000 if sent else 0
    values = (len(messages) - delayed - hidden, hidden, delayed, int(age))
    units = ("Count", "Count", "Count", "Seconds")
    return [
        metrics.Level(name, value, unit, dimensions)
        for name, value, unit in zip(_QUEUE_LEVELS, values, units, strict=True)
    ]


@metrics.levels("AWS/SQS")
def _queues_of(region: str) -> list[metrics.Level]:
    from moto.sqs.models import sqs_backends

    queues = list(sqs_backends[account.ACCOUNT_ID][region].queues.values())
    return [level for queue in queues for level in queue_levels(queue)]


@_replaces(
    "kinesis",
    "kinesis.models",
    "KinesisBackend.get_records",
    *("self", "stream_arn", "shard_iterator", "limit"),
)
def get_records(
    self: Any, stream_arn: str | None, shard_iterator: str, limit: int | None
) -> tuple[str, list[Any], int]:
    """Count the records that are read, and how long they have waited."""
    from moto.kinesis.utils import decompose_shard_iterator

    original = _moto("kinesis.models.KinesisBackend.get_records")
    following, records, behind = original(self, stream_arn, shard_iterator, limit)
    dimensions = {"StreamName": decompose_shard_iterator(shard_iterator)[0]}
    size = sum(len(base64.b64decode(record.data)) for record in records)
    age = account.now().timestamp() - records[-1].created_at if records else 0.0
    for name, value, unit in (
        ("Records", len(records), "Count"),
        ("Bytes", size, "Bytes"),
        ("IteratorAgeMilliseconds", 1000 * max(age, 0.0), "Milliseconds"),
        ("Success", 1, "Count"),
    ):
        metrics.put("AWS/Kinesis", f"GetRecords.{name}", value, unit, dimensions, self.region_name)
    return following, records, behind


@_replaces(
    "kinesis",
    "kinesis.models",
    "Stream.put_record",
    *("self", "partition_key", "explicit_hash_key", "data"),
)
def put_record(self: Any, partition_key: str, explicit_hash_key: str, data: str) -> tuple[str, str]:
    """Hand the record to the functions that read the stream."""
    original = _moto("kinesis.models.Stream.put_record")
    sequence_number, shard_id = original(self, partition_key, explicit_hash_key, data)
    event_sources.stream_has_record(self, shard_id, int(sequence_number))
    return sequence_number, shard_id


@_replaces("dynamodb", "dynamodb.models.table", "StreamShard.add", "self", "old", "new")
def add_change(self: Any, old: Any, new: Any) -> None:
    """Hand the change to the functions that read the table's stream."""
    _moto("dynamodb.models.table.StreamShard.add")(self, old, new)
    event_sources.table_has_change(self)


# ── logs ─────────────────────────────────────────────────────────────────────────────────────────


@_replaces(
    "logs",
    "logs.models",
    "LogsBackend.put_log_events",
    *("self", "log_group_name", "log_stream_name", "log_events"),
)
def put_log_events(
    self: Any, log_group_name: str, log_stream_name: str, log_events: list[dict[str, Any]]
) -> tuple[str, dict[str, Any]]:
    """Let the metric filters of the log group count what they look for."""
    original = _moto("logs.models.LogsBackend.put_log_events")
    answer = original(self, log_group_name, log_stream_name, log_events)
    filters = self.filters.get_matching_filters(log_group_name=log_group_name)
    metric_filters.count(filters, log_events, self.region_name)
    return answer


@_replaces(
    "firehose",
    "firehose.models",
    "FirehoseBackend.send_log_event",
    *("self", "delivery_stream_arn", "filter_name", "log_group_name", "log_stream_name"),
    "log_events",
)
def send_log_event_to_firehose(
    self: Any,
    delivery_stream_arn: str,
    filter_name: str,
    log_group_name: str,
    log_stream_name: str,
    log_events: Any,
) -> None:
    """A subscription of a log group: Firehose buffers it like any record; moto writes at once."""
    firehose = importlib.import_module(f"{__package__}.executors.firehose")
    data = _subscribed(filter_name, log_group_name, log_stream_name, log_events)
    firehose.accept(delivery_stream_arn, data)


def _subscribed(filter_name: str, group: str, stream: str, events: Any) -> bytes:
    """What a subscription of a log group sends: gzip of JSON."""
    data = {
        "messageType": "DATA_MESSAGE",
        "owner": account.ACCOUNT_ID,
        "logGroup": group,
        "logStream": stream,
        "subscriptionFilters": [filter_name],
        "logEvents": events,
    }
    return gzip.compress(json.dumps(data).encode())


# ── SNS ──────────────────────────────────────────────────────────────────────────────────────────


@_replaces(
    "sns",
    "sns.models",
    "Topic.publish",
    *("self", "message", "subject", "message_attributes", "group_id", "deduplication_id"),
    "message_structure",
)
def publish_to_topic(self: Any, message: str, *arguments: Any, **named: Any) -> str:
    """Count the messages that are published."""
    message_id = _moto("sns.models.Topic.publish")(self, message, *arguments, **named)
    region, dimensions = self.arn.split(":")[3], {"TopicName": self.name}
    metrics.put("AWS/SNS", "NumberOfMessagesPublished", 1, "Count", dimensions, region)
    metrics.put("AWS/SNS", "PublishSize", len(message.encode()), "Bytes", dimensions, region)
    return message_id


@_replaces(
    "sns",
    "sns.models",
    "Subscription.publish",
    "self",
    "message",
    "message_id",
    "subject",
    "message_attributes",
    "group_id",
    "deduplication_id",
    "message_structure",
)
def publish(
    self: Any,
    message: str,
    message_id: str,
    subject: str | None = None,
    message_attributes: dict[str, Any] | None = None,
    group_id: str | None = None,
    deduplication_id: str | None = None,
    message_structure: str | None = None,
) -> None:
    """Invoke a subscribed function with the message; moto's event is made of examples."""
    if self.protocol != "lambda":
        original = _moto("sns.models.Subscription.publish")
        original(
            self,
            message,
            message_id,
            subject=subject,
            message_attributes=message_attributes,
            group_id=group_id,
            deduplication_id=deduplication_id,
            message_structure=message_structure,
        )
        return
    matcher = self._filter_policy_matcher
    if matcher is not None and not matcher.matches(message_attributes, message):
        return
    if message_structure == "json":
        message = self._parse_message_structure(message, self.protocol)
    base = f"https://sns.{self.topic.arn.split(':')[3]}.amazonaws.com"
    notification = {
        "Type": "Notification",
        "MessageId": message_id,
        "TopicArn": self.topic.arn,
        "Subject": subject,
        "Message": message,
        "Timestamp": account.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "SignatureVersion": "1",
        "Signature": "offline",
        "SigningCertUrl": f"{base}/SimpleNotificationService.pem",
        "UnsubscribeUrl": f"{base}/?Action=Unsubscribe&SubscriptionArn={self.arn}",
        "MessageAttributes": message_attributes or {},
    }
    record = {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": self.arn,
        "Sns": notification,
    }
    _invoke_later(self.endpoint, {"Records": [record]}, "sns.amazonaws.com", self.topic.arn)


# ── EventBridge ──────────────────────────────────────────────────────────────────────────────────


@_replaces(
    "events", "events.models", "Rule.send_to_targets", "self", "original_event", "transform_input"
)
def send_to_targets(self: Any, original_event: Any, transform_input: bool = True) -> None:
    """Send a matching event to the targets of an enabled rule, to those that moto lacks too.

    A rule with a schedule alone matches no event; to moto it matches all.
    """
    if self.state == "DISABLED" or self.event_pattern.dump() is None:
        return
    if not self.event_pattern.matches_event(event_targets.as_sent(original_event)):
        return
    event_targets.matched(self)
    for target in list(self.targets):
        if event_targets.is_carried_out(target["Arn"]):
            event_targets.deliver(target, original_event, self)
        else:
            alone = copy.copy(self)
            alone.targets = [target]
            event = {"ingestion-time": original_event["time"], **original_event}
            _moto("events.models.Rule.send_to_targets")(alone, event, transform_input)


@_replaces("events", "events.models", "EventPattern.matches_event", "self", "event")
def matches_event(self: Any, event: Any) -> bool:
    """Whether an event matches; moto does not look into arrays of objects."""
    if not self.get_pattern():
        return True
    flat = _flat(json.loads(json.dumps(event)), "")
    return self._does_event_match(flat, self.get_pattern())


def _flat(node: dict[str, Any], prefix: str) -> dict[str, Any]:
    """The values of an event by their path; those within an array of objects as one array."""
    found: dict[str, Any] = {}
    for name, value in node.items():
        path = f"{prefix}.{name}" if prefix else name
        if isinstance(value, dict) and value:
            found |= _flat(value, path)
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            for item in value:
                for inner, inside in _flat({name: item}, prefix).items():
                    known = found.setdefault(inner, [])
                    known.extend(inside if isinstance(inside, list) else [inside])
        else:
            found[path] = value
    return found


# ── Step Functions ───────────────────────────────────────────────────────────────────────────────
# What these do is in executors/stepfunctions/: it completes the interpreter that moto has.

_ASL = "stepfunctions.parser.asl"
_TASKS = f"{_ASL}.component.state.exec.state_task"
_ITERATION = f"{_ASL}.component.state.exec.state_map.iteration"


def _states(module: str) -> Any:
    return importlib.import_module(f"{__package__}.executors.stepfunctions.{module}")


@_replaces(
    "stepfunctions",
    f"{_ASL}.parse.asl_parser",
    "AmazonStateLanguageParser.parse",
    "definition",
)
def parse_states_language(definition: str) -> tuple[Any, Any]:
    """Read the fields of a Distributed Map that moto's grammar lacks."""
    original = _moto(f"{_ASL}.parse.asl_parser.AmazonStateLanguageParser.parse")
    return _states("interpreter").parse(definition, original)


@_replaces(
    "stepfunctions",
    f"{_TASKS}.state_task_factory",
    "state_task_service_for",
    "service_name",
)
def state_task_service_for(service_name: str) -> Any:
    """One class for the Task states of all services; moto's know a few actions each."""
    return _states("interpreter").task_for(service_name)


@_replaces(
    "stepfunctions",
    f"{_TASKS}.lambda_eval_utils",
    "boto_client_for",
    *("region", "service", "state_credentials"),
)
def boto_client_for(region: str, service: str, state_credentials: Any = None) -> Any:
    """A client with a session of the state machine's role; moto's has keys nobody has made."""
    return _states("interpreter").client_for(region, service, state_credentials)


@_replaces(
    "stepfunctions",
    f"{_ITERATION}.distributed_iteration_component",
    "DistributedIterationComponent._eval_body",
    *("self", "env"),
)
def run_distributed_map(self: Any, env: Any) -> None:
    """Run a Distributed Map with batches, tolerated failures and results in S3."""
    _states("distributed").run(self, env)


@_replaces(
    "stepfunctions",
    f"{_ASL}.component.state.choice.state_choice",
    "StateChoice._eval_state",
    *("self", "env"),
)
def choose(self: Any, env: Any) -> None:
    """Fail with States.NoChoiceMatched where moto ends in a fault of its own."""
    name = f"{_ASL}.component.state.choice.state_choice.StateChoice._eval_state"
    _states("interpreter").choose(self, env, _moto(name))


@_replaces(
    "stepfunctions",
    f"{_ASL}.component.common.string.string_expression",
    "StringJSONata._eval_body",
    *("self", "env"),
)
def evaluate_jsonata_string(self: Any, env: Any) -> None:
    """Fail with States.QueryEvaluationError where moto ends in a fault of its own."""
    name = f"{_ASL}.component.common.string.string_expression.StringJSONata._eval_body"
    _states("interpreter").evaluate_string(self, env, _moto(name))


@_replaces("stepfunctions", f"{_ASL}.eval.environment", "Environment.set_error", "self", "error")
def set_execution_error(self: Any, error: Any) -> None:
    """An execution that was stopped stays so, whatever becomes of the state it was in."""
    if type(self._program_state).__name__ not in ("ProgramStopped", "ProgramTimedOut"):
        _moto(f"{_ASL}.eval.environment.Environment.set_error")(self, error)


def _evaluate_jsonata(jsonata_expression: str) -> Any:
    """Evaluate JSONata; moto has lost the Java library that did."""
    return _states("interpreter").evaluate(jsonata_expression)


def _declare_jsonata(bindings: dict[str, Any]) -> str:
    """Declare variables for JSONata, with quotes and line breaks in texts escaped."""
    return _states("interpreter").declarations(bindings)


def _extract_json(path: str, data: Any) -> Any:
    """Read a JSONPath; moto makes a list of what a path to one place has found."""
    return _states("interpreter").extract(path, data)


_OPERATORS = "component.state.choice.comparison.operator.implementations"
for _module in (
    "component.common.string.string_expression",
    "component.intrinsic.argument.argument",
    *(f"{_OPERATORS}.{_name}" for _name in ("boolean_equals", "numeric", "string_operators")),
    f"{_OPERATORS}.timestamp_operators",
    "eval.states",
):
    _replaces("stepfunctions", f"{_ASL}.{_module}", "extract_json", "path", "data")(_extract_json)
for _module in ("component.common.string.string_expression", "jsonata.validations"):
    _replaces(
        "stepfunctions", f"{_ASL}.{_module}", "eval_jsonata_expression", "jsonata_expression"
    )(_evaluate_jsonata)
for _module in ("eval.states", "eval.variable_store"):
    _replaces(
        "stepfunctions",
        f"{_ASL}.{_module}",
        "encode_jsonata_variable_declarations",
        "bindings",
    )(_declare_jsonata)
