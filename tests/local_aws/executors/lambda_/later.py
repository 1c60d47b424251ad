"""Asynchronous invocations: tried again after an error, and what became of them reported.

AWS waits a minute before the second attempt and two before the third; here it is moments.
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

from __future__ import annotations

import json
from typing import Any

from ... import account
from ...jobs import Job
from . import measured
from .environments import Invocation, invoke

_SECONDS_BEFORE_RETRY = (0.2, 0.4)


def invoke_later(function: Any, event: Any, request_id: str | None = None) -> str:
    """Invoke the function in the background. Returns the id of the request."""
    request_id = request_id or account.new_id()
    measured.put(function, "AsyncEventsReceived", 1)
    name = f"{function.function_name}-{request_id}"
    job = Job(name, function.region, status="RUNNING", failed="FAILED")
    job.start(lambda job: _run(job, function, event, request_id))
    return request_id


def _run(job: Job, function: Any, event: Any, request_id: str) -> None:
    config = function.event_invoke_config[-1].config if function.event_invoke_config else {}
    retries = config.get("MaximumRetryAttempts")
    retries = len(_SECONDS_BEFORE_RETRY) if retries is None else retries
    attempt = 0
    while True:
        invocation = invoke(function, event, request_id, stop=job.stop_requested)
        attempt += 1
        if not invocation.failed or attempt > retries or job.stop_requested.is_set():
            break
        if job.stop_requested.wait(_SECONDS_BEFORE_RETRY[attempt - 1]):
            break
    job.status = "FAILED" if invocation.failed else "COMPLETED"
    if not job.stop_requested.is_set():
        _report(function, config, event, request_id, invocation, attempt)


def _report(
    function: Any,
    config: dict[str, Any],
    event: Any,
    request_id: str,
    invocation: Invocation,
    attempts: int,
) -> None:
    """Send the outcome to the destination, and a failed event to the dead-letter queue."""
    from .destinations import send

    kind = "OnFailure" if invocation.failed else "OnSuccess"
    target = ((config.get("DestinationConfig") or {}).get(kind) or {}).get("Destination")
    if target:
        record = {
            "version": "1.0",
            "timestamp": account.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "requestContext": {
                "requestId": request_id,
                "functionArn": f"{function.function_arn}:{function.version}",
                "condition": "RetriesExhausted" if invocation.failed else "Success",
                "approximateInvokeCount": attempts,
            },
            "requestPayload": event,
            "responseContext": {"statusCode": 200, "executedVersion": str(function.version)},
            "responsePayload": json.loads(invocation.payload),
        }
        if invocation.failed:
            record["responseContext"]["functionError"] = "Unhandled"
        if not send(target, record):
            measured.put(function, "DestinationDeliveryFailures", 1)
    dead_letters = getattr(function, "dead_letter_arn", None)
    if dead_letters and invocation.failed:
        message = json.loads(invocation.payload).get("errorMessage", "")
        attributes = {
            "RequestID": {"DataType": "String", "StringValue": request_id},
            "ErrorCode": {"DataType": "Number", "StringValue": "200"},
            "ErrorMessage": {"DataType": "String", "StringValue": message[:1024]},
        }
        if not send(dead_letters, event, attributes):
            measured.put(function, "DeadLetterErrors", 1)
    if invocation.failed:
        measured.put(function, "AsyncEventsDropped", 1)
