"""AWS Lambda: moto keeps the functions, here they run.

Every way to a function ends in `invoke` or `invoke_later`: the Invoke operations below, and what
triggers functions from within moto, which `triggers` sends here.
"""

from __future__ import annotations

import base64
import copy
import datetime
import json
import re
import threading
from collections import Counter
from typing import Any, NoReturn

from ... import account, identity, triggers
from ...errors import AWSError, not_implemented
from ...gateway import Call, Relayed, handles
from ...policies import ALLOWED, Statement, evaluate
from . import environments, measured
from .environments import PANDAS_LAYER, invoke
from .later import invoke_later

__all__ = ["find", "invoke", "invoke_later", "may_invoke"]

triggers.install("lambda", "sns", "sqs", "kinesis", "dynamodb")

_LARGEST_EVENT = 6_291_456
_LARGEST_LATER_EVENT = 1_048_576
_LARGEST_VARIABLES = 4_096
# Runtimes of Python that no new function may use, from the day given.
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
_BLOCKED = {
    "python2.7": datetime.date(2022, 5, 30),
    "python3.6": datetime.date(2022, 7, 18),
    "python3.7": datetime.date(2023, 12, 4),
    "python3.8": datetime.date(2024, 10, 14),
    "python3.9": datetime.date(2026, 1, 15),
    "python3.10": datetime.date(2026, 11, 30),
}
_RESERVED = frozenset(
    [
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SECRET_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
        "TZ",
    ]
)

_running: Counter[str] = Counter()
_lock = threading.Lock()


# ── functions ────────────────────────────────────────────────────────────────────────────────────


@handles("lambda", "CreateFunction")
def create(call: Call) -> dict[str, Any]:
    """Create a function, once runtime, handler, role, archive and variables are checked."""
    params = call.params
    if params.get("PackageType") == "Image" or "ImageUri" in params["Code"]:
        raise not_implemented("lambda", "CreateFunction of a container image")
    if not params.get("Runtime") or not params.get("Handler"):
        message = (
            "Runtime and Handler are mandatory parameters for functions created with deployment "
            "packages."
        )
        raise AWSError("InvalidParameterValueException", message)
    _check_runtime(params["Runtime"])
    _check_variables(params)
    _check_role(params["Role"])
    _check_code(params["Code"])
    return _kept(call)


@handles("lambda", "UpdateFunctionConfiguration")
def update_configuration(call: Call) -> dict[str, Any]:
    """Change the configuration; running environments end, new ones have it."""
    function = find(call.region, call.params["FunctionName"])
    if call.params.get("Runtime"):
        _check_runtime(call.params["Runtime"])
    if call.params.get("Role"):
        _check_role(call.params["Role"])
    _check_variables(call.params)
    answer = _kept(call)
    environments.close_function(function)
    return answer


@handles("lambda", "UpdateFunctionCode")
def update_code(call: Call) -> dict[str, Any]:
    """Change the code; running environments end, new ones have it."""
    function = find(call.region, call.params["FunctionName"])
    _check_code(call.params)
    answer = call.forward()
    environments.close_function(function)
    return answer


@handles("lambda", "DeleteFunction")
def delete(call: Call) -> dict[str, Any]:
    """Delete a function and end its environments."""
    function = find(call.region, call.params["FunctionName"], call.params.get("Qualifier"))
    answer = call.forward()
    environments.close_function(function)
    return answer


def _check_runtime(runtime: str) -> None:
    blocked = _BLOCKED.get(runtime)
    if blocked and account.now().date() >= blocked:
        message = (
            f"The runtime parameter of {runtime} is no longer supported for creating or updating "
            "AWS Lambda functions. We recommend you use a supported runtime while creating or "
            "updating functions."
        )
        raise AWSError("InvalidParameterValueException", message)


def _check_variables(params: dict[str, Any]) -> None:
    variables = (params.get("Environment") or {}).get("Variables") or {}
    reserved = sorted(_RESERVED & variables.keys())
    if reserved:
        message = (
            "Lambda was unable to configure your environment variables because the environment "
            "variables you have provided contains reserved keys that are currently not supported "
            f"for modification. Reserved keys used in this request: {', '.join(reserved)}"
        )
        raise AWSError("InvalidParameterValueException", message)
    if len(json.dumps(variables, separators=(",", ":"))) > _LARGEST_VARIABLES:
        message = (
            "Lambda was unable to configure your environment variables because the environment "
            "variables you have provided exceeded the 4KB limit."
        )
        raise AWSError("InvalidParameterValueException", message)


def _check_role(arn: str) -> None:
    """The role must exist and trust Lambda."""
    if arn.startswith("arn:") and identity.trusts(arn, "lambda.amazonaws.com"):
        return
    message = "The role defined for the function cannot be assumed by Lambda."
    raise AWSError("InvalidParameterValueException", message)


def _check_code(code: dict[str, Any]) -> None:
    if code.get("ZipFile"):
        content = code["ZipFile"]
        environments.check_archive(_decoded(content))
    elif code.get("S3Bucket"):
        from ...storage import S3Location, read

        location = S3Location(code["S3Bucket"], code.get("S3Key") or "")
        try:
            content = read(location, "lambda")
        except AWSError as error:
            message = (
                f"Error occurred while GetObject. S3 Error Code: {error.code}. "
                f"S3 Error Message: {error.message}"
            )
            raise AWSError("InvalidParameterValueException", message) from None
        environments.check_archive(content)


def _decoded(content: bytes | str) -> bytes:
    """The archive, whether the request's parser has decoded it or not."""
    if isinstance(content, bytes) and content[:2] == b"PK":
        return content
    try:
        return base64.b64decode(content, validate=True)
    except ValueError:
        return content if isinstance(content, bytes) else content.encode()


def _kept(call: Call) -> dict[str, Any]:
    """moto's answer, with what moto does not keep: AWS's layer for pandas, a dead-letter queue."""
    layers = call.params.get("Layers") or []
    public = [arn for arn in layers if PANDAS_LAYER in arn]
    if public:
        # The body is changed, not the parsed parameters: in those the archive is decoded.
        body = json.loads(call.body or b"{}")
        answer = call.forward({**body, "Layers": [arn for arn in layers if arn not in public]})
    else:
        answer = call.forward()
    function = find(call.region, answer["FunctionName"])
    if public:
        function.layers += [{"Arn": arn, "CodeSize": 0} for arn in public]
        answer["Layers"] = copy.deepcopy(function.layers)
    if "DeadLetterConfig" in call.params:
        function.dead_letter_arn = call.params["DeadLetterConfig"].get("TargetArn")
    if getattr(function, "dead_letter_arn", None):
        answer["DeadLetterConfig"] = {"TargetArn": function.dead_letter_arn}
    return answer


def find(region: str, name: str, qualifier: str | None = None) -> Any:
    """moto's function of this name, partial ARN or ARN, in this version or alias.

    Raises:
        AWSError: ResourceNotFoundException.
    """
    from moto.awslambda.models import lambda_backends

    arn = re.fullmatch(r"arn:aws:lambda:([a-z0-9-]+):\d+:function:([^:]+)(?::(.+))?", name)
    short = re.fullmatch(r"(?:\d+:)?(?:function:)?([^:]+)(?::(.+))?", name)
    if arn:
        region, name, found = arn.groups()
    elif short:
        name, found = short.groups()
    else:
        found = None
    qualifier = qualifier or found
    backend = lambda_backends[account.ACCOUNT_ID][region]
    full = f"arn:aws:lambda:{region}:{account.ACCOUNT_ID}:function:{name}"
    try:
        return backend.get_function(name, qualifier)
    except Exception:
        shown = f"{full}:{qualifier}" if qualifier else full
        message = f"Function not found: {shown}"
        raise AWSError("ResourceNotFoundException", message, status=404, Type="User") from None


def may_invoke(function: Any, service: str, source_arn: str) -> bool:
    """Whether the function's own policy lets a service invoke it on behalf of a source."""
    none = (1, 1)
    statements = [
        Statement(content, "policy", none, none) for content in function.policy.statements
    ]
    context = {"aws:sourcearn": [source_arn], "aws:sourceaccount": [account.ACCOUNT_ID]}
    arn = function.function_arn
    decision = evaluate(statements, "lambda:InvokeFunction", arn, context, service)
    return decision.result == ALLOWED


# ── invocations ──────────────────────────────────────────────────────────────────────────────────


@handles("lambda", "Invoke")
def invoke_function(call: Call) -> Relayed:
    """Run a function: and wait for its answer, or not, or only see whether it could be run."""
    params = call.params
    function = find(call.region, params["FunctionName"], params.get("Qualifier"))
    kind = params.get("InvocationType") or "RequestResponse"
    payload = call.body or b""
    limit = _LARGEST_LATER_EVENT if kind == "Event" else _LARGEST_EVENT
    if len(payload) > limit:
        message = f"Request must be smaller than {limit} bytes for the InvokeFunction operation"
        raise AWSError("RequestTooLargeException", message, status=413, Type="User")
    event = _event(payload)
    version = {"X-Amz-Executed-Version": str(function.version)}
    if kind == "DryRun":
        return _answered(204, version, b"")
    if function.reserved_concurrency is not None:
        _refuse_if_busy(function)
    if kind == "Event":
        return _answered(202, {"x-amzn-RequestId": invoke_later(function, event)}, b"")
    request_id = account.new_id()
    with _lock:
        _running[function.function_name] += 1
    try:
        context = params.get("ClientContext")
        decoded = json.loads(base64.b64decode(context)) if context else None
        invocation = invoke(function, event, request_id, decoded)
    finally:
        with _lock:
            _running[function.function_name] -= 1
    headers = version | {"x-amzn-RequestId": request_id}
    if invocation.failed:
        headers["X-Amz-Function-Error"] = "Unhandled"
    if params.get("LogType") == "Tail":
        headers["X-Amz-Log-Result"] = base64.b64encode(invocation.tail.encode()).decode()
    return _answered(200, headers, invocation.payload.encode())


@handles("lambda", "CreateFunctionUrlConfig")
def refuse_url(call: Call) -> NoReturn:
    """A function's URL would be an address that nothing answers at."""
    raise not_implemented(call.service, call.operation)


@handles("lambda", "InvokeAsync")
def invoke_async(call: Call) -> Relayed:
    """The old form of an invocation that is not waited for."""
    function = find(call.region, call.params["FunctionName"])
    invoke_later(function, _event(call.body or b""))
    return _answered(202, {}, b"")


def _event(payload: bytes) -> Any:
    if not payload:
        return {}
    try:
        return json.loads(payload)
    except ValueError as error:
        message = (
            f"Could not parse request body into json: Could not parse payload into json: {error}"
        )
        raise AWSError("InvalidRequestContentException", message, Type="User") from None


def _refuse_if_busy(function: Any) -> None:
    if _running[function.function_name] >= int(function.reserved_concurrency):
        measured.put(function, "Throttles", 1)
        reason = "ReservedFunctionConcurrentInvocationLimitExceeded"
        raise AWSError(
            "TooManyRequestsException", "Rate Exceeded.", 429, Reason=reason, Type="User"
        )


def _answered(status: int, headers: dict[str, str], body: bytes) -> Relayed:
    named = {"Content-Type": "application/json", **headers, "Content-Length": str(len(body))}
    return Relayed(status, list(named.items()), [body])
