"""The targets of EventBridge rules: what they are sent, who lets it in, and what if nobody does.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-targets.html
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from . import account, identity, metrics
from .errors import AWSError
from .jobs import Job
from .logs import LogStream
from .policies import ALLOWED, evaluate, lets_service, parse

_SERVICE = "events.amazonaws.com"
_RETRIES = 185  # over 24 hours, by default
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 2.0
# What EventBridge calls an error of a target in the dead-letter queue, and whether it tries again.
_THROTTLED = ("Throttl", "TooManyRequests", "LimitExceeded", "ProvisionedThroughputExceeded")
_MISSING = ("NotFound", "DoesNotExist", "NonExistent")


class Refused(Exception):
    """A target has not taken the event. `code` is one of EventBridge's."""

    def __init__(self, code: str, message: str, again: bool = False) -> None:
        super().__init__(message)
        self.code, self.message, self.again = code, message, again


# ── what a target is sent ────────────────────────────────────────────────────────────────────────


def as_sent(event: dict[str, Any]) -> dict[str, Any]:
    """The event as targets see it; moto holds the time as a number, and adds one of its own."""
    event = {name: value for name, value in event.items() if name != "ingestion-time"}
    if isinstance(event.get("time"), int | float):
        moment = datetime.fromtimestamp(event["time"], UTC)
        event["time"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return event


def target_input(target: dict[str, Any], event: dict[str, Any]) -> Any:
    """What a target receives: its constant input, a part of the event, a template, or the event."""
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


# A JSON string, or a variable outside of any.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|<[^<>"]+>')
_VARIABLE = re.compile(r"<([^<>]+)>")


def _filled_template(transformer: dict[str, Any], event: dict[str, Any]) -> Any:
    """The template with its `<variables>` replaced: within quotes by text, else by JSON."""
    values = {name: _at(event, path) for name, path in transformer.get("InputPathsMap", {}).items()}
    values["aws.events.event"] = values["aws.events.event.json"] = event
    text = _STRING.sub(lambda found: _filled_string(found[0], values), transformer["InputTemplate"])
    try:
        return json.loads(text)
    except ValueError:
        return text


def _filled_string(text: str, values: dict[str, Any]) -> str:
    whole = _VARIABLE.fullmatch(text.strip('"'))
    if whole and whole[1] in values:
        value = values[whole[1]]
        if not text.startswith('"') or isinstance(value, dict | list):
            return json.dumps(value)

    def inside(found: re.Match[str]) -> str:
        if found[1] not in values:
            return found[0]
        value = values[found[1]]
        return json.dumps(value if isinstance(value, str) else json.dumps(value))[1:-1]

    return _VARIABLE.sub(inside, text)


# ── delivery ─────────────────────────────────────────────────────────────────────────────────────


def deliver(target: dict[str, Any], event: dict[str, Any], rule: Any) -> None:
    """Send the event to a target, in the background where another service answers for it.

    Args:
        event: as the rule has matched it.
        rule: moto's.
    """
    event = as_sent(event)
    content = target_input(target, event)
    kind = _KINDS[target["Arn"].split(":")[2]]
    if kind.action is None:
        _attempt(target, event, rule, lambda: kind.send(target, content, rule), None)
        return
    job = Job(f"rule {rule.name}", rule.region_name, status="RUNNING", failed="FAILED")

    def send() -> None:
        _check_role(target, kind.action)
        kind.send(target, content, rule)

    job.start(lambda job: _attempt(target, event, rule, send, job))


def _attempt(
    target: dict[str, Any],
    event: dict[str, Any],
    rule: Any,
    send: Callable[[], None],
    job: Job | None,
) -> None:
    """Send; after an error that may pass, again, as often as the target's retry policy says."""
    policy = target.get("RetryPolicy") or {}
    retries = policy.get("MaximumRetryAttempts")
    retries = _RETRIES if retries is None else int(retries)
    attempts, wait = 0, _FIRST_WAIT
    while True:
        try:
            send()
        except Refused as refused:
            stopped = job is None or job.stop_requested.is_set()
            if refused.again and attempts < retries and not stopped:
                attempts += 1
                job.stop_requested.wait(wait)
                wait = min(2 * wait, _LONGEST_WAIT)
                continue
            _measure(rule, "FailedInvocations")
            _to_dead_letters(target, event, rule, refused, attempts)
            return
        _measure(rule, "Invocations")
        return


def _measure(rule: Any, name: str) -> None:
    for dimensions in ({"RuleName": rule.name}, {}):
        metrics.put("AWS/Events", name, 1, "Count", dimensions, rule.region_name)


def matched(rule: Any) -> None:
    """Count an event that a rule has matched."""
    _measure(rule, "MatchedEvents")
    _measure(rule, "TriggeredRules")


def _to_dead_letters(
    target: dict[str, Any], event: dict[str, Any], rule: Any, refused: Refused, attempts: int
) -> None:
    arn = (target.get("DeadLetterConfig") or {}).get("Arn")
    if not arn:
        return
    about = {
        "RULE_ARN": rule.arn,
        "TARGET_ARN": target["Arn"],
        "ERROR_CODE": refused.code,
        "ERROR_MESSAGE": refused.message,
    }
    if refused.again:
        about["EXHAUSTED_RETRY_CONDITION"] = "MaximumRetryAttempts"
        about["RETRY_ATTEMPTS"] = str(attempts)
    attributes = {
        name: {"DataType": "String", "StringValue": value} for name, value in about.items()
    }
    try:
        _send_message(arn, json.dumps(event), rule, attributes=attributes)
    except Refused:
        _measure(rule, "InvocationsFailedToBeSentToDlq")
    else:
        _measure(rule, "InvocationsSentToDlq")


# ── targets with a policy of their own ───────────────────────────────────────────────────────────


def _send_message(
    arn: str,
    body: str,
    rule: Any,
    group: str | None = None,
    attributes: dict[str, Any] | None = None,
) -> None:
    from moto.sqs.models import sqs_backends

    backend = sqs_backends[account.ACCOUNT_ID][arn.split(":")[3]]
    queue = backend.queues.get(arn.rpartition(":")[2])
    if queue is None:
        raise Refused("NO_RESOURCE", f"The queue {arn} does not exist.")
    if not lets_service(queue.policy, _SERVICE, "sqs:SendMessage", arn, rule.arn):
        raise Refused("NO_PERMISSIONS", f"The policy of {arn} does not let the rule send messages.")
    if queue.fifo_queue and not queue.content_based_deduplication:
        raise Refused("INVALID_PARAMETER", f"{arn} has no content-based deduplication.")
    backend.send_message(queue.name, body, group_id=group, message_attributes=attributes)


def _to_queue(target: dict[str, Any], content: Any, rule: Any) -> None:
    group = (target.get("SqsParameters") or {}).get("MessageGroupId")
    _send_message(target["Arn"], json.dumps(content), rule, group)


def _to_topic(target: dict[str, Any], content: Any, rule: Any) -> None:
    from moto.sns.models import sns_backends

    arn = target["Arn"]
    backend = sns_backends[account.ACCOUNT_ID][arn.split(":")[3]]
    topic = backend.topics.get(arn)
    if topic is None:
        raise Refused("NO_RESOURCE", f"The topic {arn} does not exist.")
    if not lets_service(topic.policy, _SERVICE, "sns:Publish", arn, rule.arn):
        raise Refused("NO_PERMISSIONS", f"The policy of {arn} does not let the rule publish.")
    backend.publish(message=_text(content), arn=arn)


def _to_function(target: dict[str, Any], content: Any, rule: Any) -> None:
    functions = importlib.import_module(f"{__package__}.executors.lambda_")
    arn = target["Arn"]
    try:
        function = functions.find("", arn)
    except AWSError as error:
        raise Refused("NO_RESOURCE", error.message) from None
    if not functions.may_invoke(function, _SERVICE, rule.arn):
        raise Refused("NO_PERMISSIONS", f"The policy of {arn} does not let the rule invoke it.")
    functions.invoke_later(function, content)


def _to_log_group(target: dict[str, Any], content: Any, rule: Any) -> None:
    from moto.logs.models import logs_backends

    arn = target["Arn"].removesuffix(":*")
    region, name = arn.split(":")[3], arn.split(":log-group:")[1]
    backend = logs_backends[account.ACCOUNT_ID][region]
    if name not in backend.groups:
        raise Refused("NO_RESOURCE", f"The log group {name} does not exist.")
    stream = f"{arn}:log-stream:rule"
    policies = [policy.policy_document for policy in backend.resource_policies.values()]
    if not any(
        lets_service(document, _SERVICE, "logs:PutLogEvents", stream, rule.arn)
        for document in policies
    ):
        message = f"No resource policy of CloudWatch Logs lets the rule write to {name}."
        raise Refused("NO_PERMISSIONS", message)
    LogStream(region, name, account.new_id(), f"rule {rule.name}").write(_text(content))


def _text(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content)


# ── targets that a role is needed for ────────────────────────────────────────────────────────────


def _check_role(target: dict[str, Any], action: str) -> None:
    """The target's role must trust EventBridge and be allowed the action."""
    arn, resource = target.get("RoleArn", ""), target["Arn"]
    role = identity.find_role(arn)
    if role is None:
        raise Refused("FAILED_TO_ASSUME_ROLE", f"The role {arn} does not exist.")
    trust = parse(role.assume_role_policy_document, "trust policy")
    if evaluate(trust, "sts:AssumeRole", arn, {}, _SERVICE).result != ALLOWED:
        raise Refused("FAILED_TO_ASSUME_ROLE", f"The role {arn} does not trust {_SERVICE}.")
    if evaluate(identity.statements_of(role), action, resource).result != ALLOWED:
        raise Refused("NO_PERMISSIONS", f"{arn} is not allowed {action} on {resource}.")


def _client(service: str, target: dict[str, Any], rule: Any) -> Any:
    import boto3
    from botocore.config import Config

    from . import processes

    region = target["Arn"].split(":")[3] or rule.region_name
    environ = processes.job_environment(region, f"rule {rule.name}")
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=environ["AWS_ENDPOINT_URL"],
        aws_access_key_id=environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environ["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=environ["AWS_SESSION_TOKEN"],
        # The target's retry policy says how often, not the client.
        config=Config(retries={"total_max_attempts": 1}),
    )


def _through_client(
    service: str, call: Callable[[Any, dict[str, Any], Any], None]
) -> Callable[[dict[str, Any], Any, Any], None]:
    """A target that is reached as any client would reach it."""

    def send(target: dict[str, Any], content: Any, rule: Any) -> None:
        from botocore.exceptions import ClientError

        try:
            call(_client(service, target, rule), target, content)
        except ClientError as error:
            code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if any(word in code for word in _MISSING):
                raise Refused("NO_RESOURCE", message) from None
            if any(word in code for word in _THROTTLED):
                raise Refused("THROTTLING", message, again=True) from None
            again = status >= 500 and status != 501
            raise Refused("ERROR_FROM_TARGET", f"{code}: {message}", again) from None

    return send


def _to_workflow(target: dict[str, Any], content: Any, rule: Any) -> None:
    triggers = importlib.import_module(f"{__package__}.executors.glue.triggers")
    arn = target["Arn"]
    event_id = content.get("id") if isinstance(content, dict) else None
    try:
        triggers.notify(arn.split(":")[3], arn.rpartition("/")[2], event_id or account.new_id())
    except AWSError as error:
        missing = "NotFound" in error.code
        raise Refused("NO_RESOURCE" if missing else "ERROR_FROM_TARGET", error.message) from None


def _start_execution(client: Any, target: dict[str, Any], content: Any) -> None:
    client.start_execution(stateMachineArn=target["Arn"], input=json.dumps(content))


def _put_to_stream(client: Any, target: dict[str, Any], content: Any) -> None:
    path = (target.get("KinesisParameters") or {}).get("PartitionKeyPath")
    key = _at(content, path) if path else account.new_id()
    data = _text(content).encode()
    client.put_record(StreamARN=target["Arn"], Data=data, PartitionKey=str(key))


def _put_to_firehose(client: Any, target: dict[str, Any], content: Any) -> None:
    name = target["Arn"].rpartition("/")[2]
    client.put_record(DeliveryStreamName=name, Record={"Data": _text(content).encode()})


def _start_pipeline(client: Any, target: dict[str, Any], content: Any) -> None:
    given = (target.get("SageMakerPipelineParameters") or {}).get("PipelineParameterList") or []
    client.start_pipeline_execution(
        PipelineName=target["Arn"].rpartition("/")[2],
        PipelineParameters=[{"Name": item["Name"], "Value": item["Value"]} for item in given],
    )


def _start_code_pipeline(client: Any, target: dict[str, Any], content: Any) -> None:
    client.start_pipeline_execution(name=target["Arn"].rpartition(":")[2])


def _start_build(client: Any, target: dict[str, Any], content: Any) -> None:
    client.start_build(projectName=target["Arn"].rpartition("/")[2])


class Kind:
    """A kind of target: how it is sent to, and what its role must be allowed, if it has one."""

    def __init__(
        self, send: Callable[[dict[str, Any], Any, Any], None], action: str | None = None
    ) -> None:
        self.send, self.action = send, action


# By the service in the target's ARN.
_KINDS: dict[str, Kind] = {
    "lambda": Kind(_to_function),
    "logs": Kind(_to_log_group),
    "sqs": Kind(_to_queue),
    "sns": Kind(_to_topic),
    "glue": Kind(_to_workflow, "glue:notifyEvent"),
    "states": Kind(_through_client("stepfunctions", _start_execution), "states:StartExecution"),
    "kinesis": Kind(_through_client("kinesis", _put_to_stream), "kinesis:PutRecord"),
    "firehose": Kind(_through_client("firehose", _put_to_firehose), "firehose:PutRecord"),
    "sagemaker": Kind(
        _through_client("sagemaker", _start_pipeline), "sagemaker:StartPipelineExecution"
    ),
    "codepipeline": Kind(
        _through_client("codepipeline", _start_code_pipeline), "codepipeline:StartPipelineExecution"
    ),
    "codebuild": Kind(_through_client("codebuild", _start_build), "codebuild:StartBuild"),
}


def is_carried_out(arn: str) -> bool:
    """Whether a target of this service is delivered to by this module."""
    return arn.split(":")[2] in _KINDS


def needs_role(arn: str) -> bool:
    """Whether such a target is reached with a role."""
    kind = _KINDS.get(arn.split(":")[2])
    return kind is not None and kind.action is not None
