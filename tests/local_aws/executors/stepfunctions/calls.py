"""A call of a Task state: through boto3, with the role of the execution, in and out as JSON."""

from __future__ import annotations

import base64
import fnmatch
import json
import os
import threading
from datetime import UTC, datetime
from typing import Any

from botocore.model import Shape, StructureShape

from ... import account, identity
from .catalog import Integration

# (region, service, role) -> boto3 client and its access key, for as long as the account lives
_clients: dict[tuple[str, str, str], tuple[Any, str]] = account.table()
_lock = threading.Lock()
_SESSION = "StepFunctions"


def client(service: str, region: str, role_arn: str) -> Any:
    """A boto3 client that signs with a session of the role and tries each call once.

    Raises:
        RuntimeError: the role is gone.
    """
    with _lock:
        known = _clients.get((region, service, role_arn))
        # A client takes a moment to make; if the account was reset meanwhile, its key is void.
        if known is None or account.caller_of(known[1]) is None:
            known = _clients[region, service, role_arn] = _new_client(service, region, role_arn)
        return known[0]


def _new_client(service: str, region: str, role_arn: str) -> tuple[Any, str]:
    import boto3
    from botocore.config import Config

    role = identity.find_role(role_arn)
    if role is None:
        raise RuntimeError(f"Step Functions could not assume the role {role_arn}.")
    key = account.add_access_key(f"state machine with role {role.name}")
    identity.open_session(key, role, _SESSION)
    config = Config(
        parameter_validation=False,
        retries={"total_max_attempts": 1},
        read_timeout=900,
        max_pool_connections=40,
    )
    made = boto3.Session().client(
        service,
        region_name=region,
        endpoint_url=f"http://127.0.0.1:{os.environ['MOTO_PORT']}",
        aws_access_key_id=key,
        aws_secret_access_key="offline",
        aws_session_token="offline",
        config=config,
    )
    return made, key


# What a right is called, where it is not called as the operation.
_RIGHTS = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:ListObjects": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:CopyObject": "s3:PutObject",
}


def refuse_if_not_allowed(integration: Integration, role_arn: str) -> None:
    """Refuse what no policy of the role allows on anything; resources are not looked at.

    Raises:
        ClientError: AccessDeniedException, as the service would answer.
    """
    from botocore.exceptions import ClientError

    operation = integration.operation.name
    name = f"{integration.operation.service_model.signing_name}:{operation}"
    right = _RIGHTS.get(name, name)
    role = identity.find_role(role_arn)
    if role is None or any(_allows(each.content, right) for each in identity.statements_of(role)):
        return
    who = f"arn:aws:sts::{account.ACCOUNT_ID}:assumed-role/{role.name}/{_SESSION}"
    message = f"User: {who} is not authorized to perform: {right} "
    message += f"because no identity-based policy allows the {right} action"
    error = {"Code": "AccessDeniedException", "Message": message}
    answer = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400, "RequestId": ""}}
    raise ClientError(answer, operation)


def _allows(statement: dict[str, Any], right: str) -> bool:
    actions = statement.get("Action", [])
    listed = [actions] if isinstance(actions, str) else actions
    allowed = any(fnmatch.fnmatch(right.lower(), pattern.lower()) for pattern in listed)
    return allowed and statement.get("Effect") == "Allow"


# ── the request ──────────────────────────────────────────────────────────────────────────────────


def request_of(integration: Integration, parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters as boto3 takes them: names as in the service's model, texts as texts."""
    shape = integration.operation.input_shape
    if integration.optimized == "lambda":
        return {**parameters, "Payload": _as_json(parameters.get("Payload", {})).encode()}
    request = _to_shape(parameters, shape, integration) if shape else {}
    if integration.optimized == "dynamodb" or integration.service != "bedrock-runtime":
        return request
    body = parameters.get("Body")
    return {**request, "body": _as_json(body).encode(), "contentType": "application/json"}


def _to_shape(value: Any, shape: Shape, integration: Integration, name: str = "") -> Any:
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        members = {member_key(member): member for member in shape.members}
        found = {}
        for given, content in value.items():
            member = members.get(given, given)
            inner = shape.members.get(member)
            found[member] = (
                content if inner is None else _to_shape(content, inner, integration, given)
            )
        return found
    if kind == "list" and isinstance(value, list):
        return [_to_shape(item, shape.member, integration, name) for item in value]
    if kind == "map" and isinstance(value, dict):
        return {key: _to_shape(item, shape.value, integration, name) for key, item in value.items()}
    if kind == "blob":
        # A value in the state's data is JSON; as such it becomes the content.
        return _as_json(value).encode()
    if kind == "string" and not isinstance(value, str) and value is not None:
        return _as_json(value)
    return value


def _as_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def member_key(member: str) -> str:
    """The name of a member in a state machine: in PascalCase, whatever the service's own is."""
    return member[:1].upper() + member[1:]


# ── the response ─────────────────────────────────────────────────────────────────────────────────


def response_of(integration: Integration, response: dict[str, Any]) -> Any:
    """The answer as the state sees it: JSON, names in PascalCase, times and bytes as text."""
    metadata = response.pop("ResponseMetadata", {})
    shape = integration.operation.output_shape
    result = from_shape(response, shape, integration) if shape else {}
    if integration.optimized == "lambda":
        result["Payload"] = _payload(result.get("Payload"))
    if integration.service == "bedrock-runtime" and integration.optimized:
        result["Body"] = _payload(result.get("Body"))
    if integration.optimized in ("lambda", "dynamodb", "sqs", "sns", "events"):
        result |= _sdk_metadata(metadata)
    return result


def from_shape(value: Any, shape: Shape | None, integration: Integration) -> Any:
    """One value of an answer as JSON."""
    if value is None or shape is None:
        return value
    kind = shape.type_name
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        return {
            member_key(name): from_shape(content, shape.members.get(name), integration)
            for name, content in value.items()
        }
    if kind == "list":
        return [from_shape(item, shape.member, integration) for item in value]
    if kind == "map":
        return {name: from_shape(item, shape.value, integration) for name, item in value.items()}
    if isinstance(value, datetime):
        return _moment(value, integration)
    if hasattr(value, "read"):
        value = value.read()
    if isinstance(value, bytes):
        return _as_text(value)
    return value


def _moment(value: datetime, integration: Integration) -> Any:
    """Milliseconds in an optimized integration, ISO 8601 in one of the AWS SDK."""
    if integration.optimized:
        return int(value.timestamp() * 1000)
    text = value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return text.replace(".000Z", "Z")


def _as_text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()


def _payload(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _sdk_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    headers = metadata.get("HTTPHeaders", {})
    status, request_id = metadata.get("HTTPStatusCode", 200), metadata.get("RequestId", "")
    return {
        "SdkHttpMetadata": {
            "AllHttpHeaders": {name: [value] for name, value in headers.items()},
            "HttpHeaders": dict(headers),
            "HttpStatusCode": status,
        },
        "SdkResponseMetadata": {"RequestId": request_id},
    }
