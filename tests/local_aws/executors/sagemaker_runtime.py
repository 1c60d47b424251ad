"""Requests to endpoints: to the model server of a variant and back."""

from __future__ import annotations

import base64
import json
import threading
import uuid

from .. import account, storage
from ..gateway import AWSError, Call, Relayed, handles
from ..storage import S3Location
from .sagemaker import endpoints
from .sagemaker.endpoints import LOG_GROUP, Endpoint

_USUAL_CONTENT_TYPE = "application/octet-stream"
# How data capture names what it writes, by content type; everything else is BASE64.
_CAPTURED_AS = {"text/csv": "CSV", "application/json": "JSON"}

_captured = account.table()
_lock = threading.Lock()


@handles("sagemaker-runtime", "InvokeEndpoint")
def invoke(call: Call) -> Relayed:
    """Send the body to a variant's model server and answer with what it says.

    Raises:
        AWSError: ValidationError for an endpoint that is not there or not in service, ModelError
            with status and message for whatever the model server refuses.
    """
    params = call.params
    endpoint = _find(call)
    variant = endpoint.choose(params.get("TargetVariant"))
    body = params.get("Body") or b""
    body = body.encode() if isinstance(body, str) else body
    content_type, accept = params.get("ContentType"), params.get("Accept")
    headers = {
        "Content-Type": content_type,
        "Accept": accept,
        "X-Amzn-SageMaker-Custom-Attributes": params.get("CustomAttributes"),
    }
    server = variant.server
    if server is None:
        raise AWSError("ServiceUnavailable", "The endpoint is being replaced.", status=503)
    try:
        status, answer, answered_as = server.request(
            "POST",
            "/invocations",
            body,
            {name: value for name, value in headers.items() if value is not None},
        )
    except TimeoutError as error:
        message = "Your invocation timed out while waiting for a response from container primary."
        raise _model_error(call, endpoint, 0, message) from error
    except OSError as error:
        message = "The container primary does not answer; see the log of the endpoint."
        raise _model_error(call, endpoint, 0, message) from error
    if status >= 300:
        text = answer.decode("utf-8", "replace")
        raise _model_error(call, endpoint, status, server.ml.outward(text) if server.ml else text)
    if endpoint.capture:
        _capture(endpoint, variant.name, (body, content_type), (answer, answered_as))
    return _answer(answer, answered_as or _USUAL_CONTENT_TYPE, variant.name)


def _answer(body: bytes, content_type: str, variant: str) -> Relayed:
    """The response as it goes out: the model's own content type is not for the gateway to set."""
    headers = {
        "Content-Type": content_type,
        "Content-Length": str(len(body)),
        "x-Amzn-Invoked-Production-Variant": variant,
        "x-amzn-RequestId": str(uuid.uuid4()),
    }
    return Relayed(200, list(headers.items()), [body])


def _find(call: Call) -> Endpoint:
    name = call.params["EndpointName"]
    endpoint = endpoints.find(call.region, name)
    if endpoint is None or endpoint.status not in ("InService", "Updating"):
        raise AWSError("ValidationError", f"Endpoint {name} of account {call.account} not found.")
    return endpoint


def _model_error(call: Call, endpoint: Endpoint, status: int, message: str) -> AWSError:
    if not status:
        said = f'Received server error (0) from primary with message "{message}".'
    else:
        side = "client" if status < 500 else "server"
        said = f'Received {side} error ({status}) from primary with message "{message}".'
    group = f"{LOG_GROUP}/{endpoint.name}"
    url = (
        f"https://{call.region}.console.aws.amazon.com/cloudwatch/home?region={call.region}"
        f"#logEventViewer:group={group}"
    )
    return AWSError(
        "ModelError",
        f"{said} See {url} in account {call.account} for more information.",
        status=424,
        OriginalStatusCode=status or 500,
        OriginalMessage=message,
        LogStreamArn=f"arn:aws:logs:{call.region}:{call.account}:log-group:{group}",
    )


def _capture(
    endpoint: Endpoint,
    variant: str,
    request: tuple[bytes, str | None],
    answer: tuple[bytes, str],
) -> None:
    """Write a request and its answer to S3, if it belongs to the share that is captured.

    SageMaker collects several in one file; here each has its own.
    """
    settings = endpoint.capture
    if settings is None:
        return
    with _lock:
        seen = _captured[endpoint.arn] = _captured.get(endpoint.arn, 0) + 1
    share = settings["InitialSamplingPercentage"]
    if seen * share // 100 == (seen - 1) * share // 100:
        return
    wanted = [option["CaptureMode"] for option in settings["CaptureOptions"]]
    parts = {"Input": ("endpointInput", *request), "Output": ("endpointOutput", *answer)}
    captured = {}
    for mode, (member, data, content_type) in parts.items():
        if mode in wanted or "InputAndOutput" in wanted:
            captured[member] = _capture_part(data, content_type, mode.upper())
    now = account.now()
    event = {"eventId": account.new_id(), "inferenceTime": now.strftime("%Y-%m-%dT%H:%M:%SZ")}
    line = {"captureData": captured, "eventMetadata": event, "eventVersion": "0"}
    name = now.strftime("%Y/%m/%d/%H/%M-%S-%f")[:-3] + f"-{event['eventId']}.jsonl"
    target = S3Location.parse(settings["DestinationS3Uri"]) / endpoint.name / variant / name
    storage.write(target, json.dumps(line).encode() + b"\n", endpoint.name)


def _capture_part(data: bytes, content_type: str | None, mode: str) -> dict[str, str]:
    kind = (content_type or "").partition(";")[0].strip()
    encoding = _CAPTURED_AS.get(kind, "BASE64")
    text = base64.b64encode(data) if encoding == "BASE64" else data
    return {
        "observedContentType": content_type or "",
        "mode": mode,
        "data": text.decode("utf-8", "replace"),
        "encoding": encoding,
    }
