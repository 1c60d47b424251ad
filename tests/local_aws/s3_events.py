"""What S3 does besides storing: the bucket policy's word on a caller, and event notifications.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote_plus

from . import account, identity
from .policies import Decision, evaluate, parse

_Invoke = Callable[[str, dict[str, Any], str], None]


def bucket_decision(
    bucket: Any, action: str, resource: str, principal: str | None = None
) -> Decision:
    """What a bucket's policy says of an action.

    Args:
        bucket: a bucket of moto's that has a policy.
        action, resource: as a policy names them.
        principal: the ARN of the caller; None for that of the request that is being answered.
    """
    statements = parse(bucket.policy.decode(), "bucket policy")
    headers, query = _request()
    if principal is None:
        principal = _principal(headers, query)
    context = {
        "aws:securetransport": ["true"],  # the loopback stands for TLS
        "aws:principalarn": [principal],
        "aws:principalaccount": [account.ACCOUNT_ID],
        "aws:requestedregion": [bucket.region_name],
    }
    for name, value in headers.items():
        if name.lower().startswith("x-amz-"):
            context[f"s3:{name.lower()}"] = [value]
    for name in ("prefix", "delimiter", "max-keys"):
        if name in query:
            context[f"s3:{name}"] = query[name]
    return evaluate(statements, action, resource, context, principal)


def _request() -> tuple[dict[str, str], dict[str, list[str]]]:
    """Headers and query of the request that is being answered; empty outside of one."""
    from flask import has_request_context, request

    if not has_request_context():
        return {}, {}
    query = parse_qs(request.query_string.decode(), keep_blank_values=True)
    return dict(request.headers), query


def _principal(headers: dict[str, str], query: dict[str, list[str]]) -> str:
    key = access_key(headers.get("Authorization", ""), query)
    return identity.session_of(key).principal if key else "anonymous"


def session(environ: dict[str, Any]) -> identity.Session:
    """Who sent a request, by its WSGI environment."""
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    return identity.session_of(access_key(environ.get("HTTP_AUTHORIZATION", ""), query))


def access_key(authorization: str, query: dict[str, list[str]]) -> str:
    """The access key of a signed request or URL; empty for one that is not signed."""
    found = re.search(r"Credential=([^/,\s]+)", authorization)
    if found:
        return found[1]
    if "AWSAccessKeyId" in query:
        return query["AWSAccessKeyId"][0]
    return query.get("X-Amz-Credential", [""])[0].partition("/")[0]


# ── notifications ────────────────────────────────────────────────────────────────────────────────


def notify(event_name: Any, bucket: Any, key: Any, invoke: _Invoke) -> None:
    """Send an event to every queue, topic and function that the bucket's configuration names.

    Args:
        event_name: moto's name of the event, such as `s3:ObjectCreated:Put`.
        bucket, key: of moto's.
        invoke: how a function is invoked: its ARN, the event, the ARN of the bucket.
    """
    from moto.s3.notifications import _send_sns_message, _send_sqs_message

    headers, query = _request()
    if "ObjectTagging" in event_name and headers and "tagging" not in query:
        return  # moto tags each object that it stores
    if event_name == "s3:ObjectCreated:Put" and "uploadId" in query:
        return  # and puts the object that an upload in parts makes, before it completes it
    configuration = bucket.notification_configuration
    for wanted in configuration.cloud_function:
        if wanted.matches(event_name, key.name):
            event = {"Records": [record(event_name, bucket, key, wanted.id)]}
            invoke(wanted.arn, event, bucket.arn)
    for wanted in configuration.queue:
        if wanted.matches(event_name, key.name):
            event = {"Records": [record(event_name, bucket, key, wanted.id)]}
            parts = wanted.arn.split(":")
            _send_sqs_message(account.ACCOUNT_ID, event, parts[-1], parts[3])
    for wanted in configuration.topic:
        if wanted.matches(event_name, key.name):
            event = {"Records": [record(event_name, bucket, key, wanted.id)]}
            _send_sns_message(account.ACCOUNT_ID, event, wanted.arn, wanted.arn.split(":")[3])
    if configuration.event_bridge is not None:
        _send_to_event_bridge(event_name, bucket, key)


def record(event_name: str, bucket: Any, key: Any, configuration_id: str) -> dict[str, Any]:
    """One record of a notification, as S3 sends it. The key is URL-encoded, but for its slashes."""
    name = event_name.removeprefix("s3:")
    request_id = account.new_id().replace("-", "")[:16].upper()
    who = identity.session_of("")
    headers, query = _request()
    if headers:
        who = identity.session_of(access_key(headers.get("Authorization", ""), query))
    about: dict[str, Any] = {"key": quote_plus(key.name, safe="/*")}
    if not name.startswith("ObjectRemoved"):
        about["size"] = key.size
        about["eTag"] = key.etag.strip('"')
    if bucket.is_versioned:
        about["versionId"] = str(key.version_id)
    about["sequencer"] = _sequencer()
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": bucket.region_name,
        "eventTime": account.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "eventName": name,
        "userIdentity": {"principalId": f"AWS:{who.user_id}"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {
            "x-amz-request-id": request_id,
            "x-amz-id-2": account.new_id().replace("-", ""),
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": configuration_id,
            "bucket": {
                "name": bucket.name,
                "ownerIdentity": {"principalId": account.ACCOUNT_ID},
                "arn": bucket.arn,
            },
            "object": about,
        },
    }


def _sequencer() -> str:
    """Grows from event to event, so that two events on one key can be put in order."""
    return f"{round(account.now().timestamp() * 1_000_000):018X}"


def _send_to_event_bridge(event_name: str, bucket: Any, key: Any) -> None:
    from moto.events.models import events_backends
    from moto.s3.notifications import _detail_type

    from . import triggers

    triggers.install("events")
    removed = "ObjectRemoved" in event_name
    about = {"key": key.name, "sequencer": _sequencer()}
    if not removed:
        about |= {"size": key.size, "etag": key.etag.strip('"')}
    if bucket.is_versioned:
        about["version-id"] = str(key.version_id)
    reasons = {"Put": "PutObject", "Post": "POST Object", "Copy": "CopyObject"}
    last = event_name.rpartition(":")[2]
    detail = {
        "version": "0",
        "bucket": {"name": bucket.name},
        "object": about,
        "request-id": account.new_id().replace("-", "")[:16].upper(),
        "requester": account.ACCOUNT_ID,
        "source-ip-address": "127.0.0.1",
        "reason": "DeleteObject" if removed else reasons.get(last, last),
    }
    if removed:
        detail["deletion-type"] = (
            "Delete Marker Created" if last == "DeleteMarkerCreated" else "Permanently Deleted"
        )
    event = {
        "version": "0",
        "id": account.new_id(),
        "detail-type": _detail_type(event_name),
        "source": "aws.s3",
        "account": account.ACCOUNT_ID,
        "time": account.now().timestamp(),
        "region": bucket.region_name,
        "resources": [bucket.arn],
        "detail": json.loads(json.dumps(detail)),
    }
    backend = events_backends[account.ACCOUNT_ID][bucket.region_name]
    for rule in list(backend.event_buses["default"].rules.values()):
        rule.send_to_targets(event)
