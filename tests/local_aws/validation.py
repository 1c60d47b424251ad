"""Hold a request against the service model: what AWS rejects is rejected here, in AWS's words.

botocore checks on the client's side only what is required, the types and the minimums. Patterns,
enumerations and maximums are checked by the service, so they are checked here.
"""

from __future__ import annotations

import functools
from typing import Any

import regex
from botocore.model import OperationModel, Shape

from .errors import AWSError

# The code which a service answers with when a value breaks a constraint of its model. Services that
# speak the query protocol say ValidationError, the others ValidationException unless listed.
_CODES = {
    "athena": "InvalidRequestException",
    "glue": "InvalidInputException",
    "firehose": "InvalidArgumentException",
    "logs": "InvalidParameterException",
    "rekognition": "InvalidParameterException",
    "textract": "InvalidParameterException",
    "sqs": "InvalidParameterValue",
    "sagemaker-featurestore-runtime": "ValidationError",
}

# S3 checks its own parameters, with codes of its own, and its model is looser than the service.
_NOT_CHECKED = {"s3", "s3control"}

# The one character range in the models that no Python engine accepts: UTF-16 surrogates. Python's
# strings hold whole code points, so the range stands for everything beyond the first plane.
_SURROGATES = (r"\uD800\uDC00-\uDBFF\uDFFF", "\\U00010000-\\U0010FFFF")


def validate(service: str, operation: OperationModel, params: dict[str, Any]) -> None:
    """Check parsed parameters against the model of the operation.

    Raises:
        AWSError: with the service's validation code and a message that names every parameter at
            fault, its value and the constraint.
    """
    if service in _NOT_CHECKED or operation.input_shape is None:
        return
    problems: list[str] = []
    _check(operation.input_shape, params, "", problems)
    if problems:
        plural = "s" if len(problems) > 1 else ""
        message = f"{len(problems)} validation error{plural} detected: " + "; ".join(problems)
        raise AWSError(_code(service, operation), message)


def _code(service: str, operation: OperationModel) -> str:
    if service in _CODES:
        return _CODES[service]
    is_query = operation.service_model.protocol in ("query", "ec2")
    return "ValidationError" if is_query else "ValidationException"


def _check(shape: Shape, value: Any, path: str, problems: list[str]) -> None:
    if value is None:
        return
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        for name in shape.required_members:
            if value.get(name) is None:
                problems.append(_problem("null", _member(path, name), "Member must not be null"))
        for name, member in shape.members.items():
            _check(member, value.get(name), _member(path, name), problems)
    elif kind == "list" and isinstance(value, list):
        _check_size(shape, len(value), value, path, "length", problems)
        for position, item in enumerate(value, start=1):
            _check(shape.member, item, f"{path}.{position}.member", problems)
    elif kind == "map" and isinstance(value, dict):
        _check_size(shape, len(value), value, path, "length", problems)
        for key, item in value.items():
            _check(shape.key, key, f"{path}.{key}.key", problems)
            _check(shape.value, item, f"{path}.{key}.member", problems)
    elif kind == "string" and isinstance(value, str):
        _check_string(shape, value, path, problems)
    elif kind in ("integer", "long", "float", "double") and isinstance(value, int | float):
        _check_size(shape, value, value, path, "value", problems)
    elif kind == "blob" and isinstance(value, bytes | str):
        _check_size(shape, len(value), "java.nio.HeapByteBuffer", path, "length", problems)


def _check_string(shape: Shape, value: str, path: str, problems: list[str]) -> None:
    _check_size(shape, len(value), value, path, "length", problems)
    allowed = shape.metadata.get("enum")
    if allowed and value not in allowed:
        constraint = f"Member must satisfy enum value set: [{', '.join(allowed)}]"
        problems.append(_problem(value, path, constraint))
    pattern = shape.metadata.get("pattern")
    compiled = _compiled(pattern) if pattern else None
    if compiled and not compiled.fullmatch(value):
        constraint = f"Member must satisfy regular expression pattern: {pattern}"
        problems.append(_problem(value, path, constraint))


def _check_size(
    shape: Shape, size: float, value: Any, path: str, what: str, problems: list[str]
) -> None:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    verb = "have length" if what == "length" else "have value"
    if low is not None and size < low:
        constraint = f"Member must {verb} greater than or equal to {low}"
        problems.append(_problem(value, path, constraint))
    if high is not None and size > high:
        constraint = f"Member must {verb} less than or equal to {high}"
        problems.append(_problem(value, path, constraint))


@functools.cache
def _compiled(pattern: str) -> regex.Pattern[str] | None:
    """The compiled pattern; None for one that is not a valid expression even so."""
    try:
        return regex.compile(pattern.replace(*_SURROGATES))
    except regex.error:
        return None


def _member(path: str, name: str) -> str:
    """The path of a member as AWS writes it: lower camel case, parts joined by dots."""
    name = name[:1].lower() + name[1:]
    return f"{path}.{name}" if path else name


def _problem(value: Any, path: str, constraint: str) -> str:
    shown = str(value)
    shown = shown if len(shown) <= 200 else shown[:200] + "…"
    quoted = shown if shown == "null" else f"'{shown}'"
    return f"Value {quoted} at '{path}' failed to satisfy constraint: {constraint}"
