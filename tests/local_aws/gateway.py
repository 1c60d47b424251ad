"""The front of the offline AWS: one WSGI application before moto's own.

For each request it finds service and operation, refuses what AWS refuses, records the call, and
lets an executor answer it, or moto where no executor is registered. It knows no service.
"""

from __future__ import annotations

import gzip
import importlib
import importlib.util
import io
import json
import random
import re
import time
import traceback
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

from botocore.parsers import create_parser
from botocore.session import get_session
from moto.core.exceptions import ServiceException
from moto.core.model import OperationModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import determine_request_protocol
from moto.core.routing import NotFound, get_service_router
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model
from moto.moto_server.werkzeug_app import (
    BackendRequest,
    DomainDispatcherApplication,
    create_backend_app,
)

from . import account, journal
from .errors import AWSError, not_implemented
from .retired import refuse_if_retired
from .validation import validate

__all__ = ["AWSError", "Call", "Gateway", "Passage", "Relayed", "controls", "handles", "passes"]

# The name that requests are signed with, where it is not the name of the one service behind it.
_SIGNED_AS = {
    "sagemaker": [
        "sagemaker",
        "sagemaker-runtime",
        "sagemaker-featurestore-runtime",
        "sagemaker-metrics",
        "sagemaker-a2i-runtime",
    ],
    "s3": ["s3", "s3control"],
    "states": ["stepfunctions"],
    "monitoring": ["cloudwatch"],
    "servicequotas": ["service-quotas"],
    "dynamodb": ["dynamodb", "dynamodbstreams"],
    "lex": ["lexv2-models", "lexv2-runtime", "lex-models", "lex-runtime"],
    "bedrock": ["bedrock", "bedrock-runtime", "bedrock-agent", "bedrock-agent-runtime"],
    "forecast": ["forecast", "forecastquery"],
    "personalize": ["personalize", "personalize-runtime", "personalize-events"],
    "elasticmapreduce": ["emr"],
    "tagging": ["resourcegroupstaggingapi"],
    "mturk-requester": ["mturk"],
}

# How a service says that it has had too many requests, for the fault injection.
_THROTTLING = {
    "s3": ("SlowDown", "Please reduce your request rate.", 503),
    "lambda": ("TooManyRequestsException", "Rate Exceeded.", 429),
    "athena": ("TooManyRequestsException", "Rate exceeded", 400),
    "iam": ("Throttling", "Rate exceeded", 400),
    "sts": ("Throttling", "Rate exceeded", 400),
}

# What is no operation of a service's model: a header, and the service it is a request to.
_PASSED = {
    "HTTP_X_SM_MLFLOW_APP_ARN": "sagemaker",
    "HTTP_X_MLFLOW_SM_TRACKING_SERVER_ARN": "sagemaker",
}

Handler = Callable[["Call"], Any]
Start = Callable[[str, list[tuple[str, str]]], Any]
_handlers: dict[tuple[str, str], Handler] = {}
_controls: dict[str, Callable[[dict[str, str]], Any]] = {}
_passages: dict[str, Callable[[Passage], Relayed]] = {}
_known_services = frozenset(get_session().get_available_services())
_looked_for: set[str] = set()


def handles(service: str, *operations: str) -> Callable[[Handler], Handler]:
    """Decorator: this function answers these operations of the service.

    It gets a `Call` and returns the output structure (None for an empty one), or what
    `Call.relay` returned; it raises `AWSError` to refuse.
    """

    def register(function: Handler) -> Handler:
        for operation in operations:
            _handlers[service, operation] = function
        return function

    return register


def controls(path: str) -> Callable[[Handler], Handler]:
    """Decorator: this function answers `/local-aws/<path>`, for what AWS does by itself in time.

    It gets the query as a dictionary and returns what JSON can hold, or raises `AWSError`.
    """

    def register(function: Handler) -> Handler:
        _controls[f"/local-aws/{path}"] = function
        return function

    return register


def passes(header: str) -> Callable[[Handler], Handler]:
    """Decorator: this function answers the requests with a header (`HTTP_…`, one of `_PASSED`).

    It gets a `Passage`, returns the whole response and writes the journal.
    """

    def register(function: Handler) -> Handler:
        _passages[header] = function
        return function

    return register


def _handler_of(service: str, operation: str) -> Handler | None:
    """The registered executor; the service's module is imported when it is first asked for."""
    if service not in _looked_for:
        name = service.replace("-", "_")
        name = (
            f"{__package__}.executors.{name}_"
            if name == "lambda"
            else (f"{__package__}.executors.{name}")
        )
        if importlib.util.find_spec(name):
            importlib.import_module(name)
        _looked_for.add(service)
    return _handlers.get((service, operation))


@dataclass
class Relayed:
    """A response of moto's as it came."""

    status: int
    headers: list[tuple[str, str]]
    body: Iterable[bytes]


@dataclass
class Passage:
    """A signed request that is no operation of a service's model."""

    region: str
    caller: str
    environ: dict[str, Any]
    body: bytes


@dataclass
class Call:
    """One request: which operation of which service, with what parameters, by whom."""

    service: str
    operation: str
    region: str
    account: str
    caller: str
    params: dict[str, Any]
    environ: dict[str, Any]
    model: OperationModel
    app: DomainDispatcherApplication
    body: bytes | None = None

    def relay(self) -> Relayed:
        """Let moto answer the request unchanged."""
        if self.body is not None:
            self.environ["wsgi.input"] = io.BytesIO(self.body)
        answer: dict[str, Any] = {}

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            answer.update(status=int(status.split()[0]), headers=list(headers))

        try:
            application = self.app.get_application(self.environ)
        except AttributeError:  # moto does not know the service
            raise not_implemented(self.service, self.operation) from None
        try:
            body = application(self.environ, start)
        except NotImplementedError:
            raise not_implemented(self.service, self.operation) from None
        kind = dict(answer["headers"]).get("Content-Type", "")
        # moto has no such path: werkzeug's own page says so, in HTML.
        if answer["status"] in (404, 405) and kind.startswith("text/html"):
            first = b"".join(body)
            if b"<!doctype html>" in first.lower():
                raise not_implemented(self.service, self.operation)
            body = [first]
        return Relayed(answer["status"], answer["headers"], body)

    def forward(self, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Let moto answer, and return the output structure.

        `params` replaces the parameters of the request (services that speak JSON only).

        Raises:
            AWSError: what moto refused, with its code and message.
        """
        if params is not None:
            self.body = json.dumps(params).encode()
            self.environ["CONTENT_LENGTH"] = str(len(self.body))
        relayed = self.relay()
        parser = create_parser(_protocol(self.model, self.environ))
        response = {
            "status_code": relayed.status,
            "headers": {name.lower(): value for name, value in relayed.headers},
            "body": b"".join(relayed.body),
            "context": {"operation_name": self.operation},
        }
        parsed = parser.parse(response, self.model.output_shape)
        if relayed.status >= 300 and "Error" in parsed:
            error = parsed["Error"]
            raise AWSError(error.get("Code", ""), error.get("Message", ""), relayed.status)
        parsed.pop("ResponseMetadata", None)
        return parsed


@dataclass(frozen=True)
class Faults:
    """Shares of all calls, between 0 and 1, that are answered with an error instead."""

    throttle: float = 0.0
    error: float = 0.0


class Gateway:
    """The WSGI application.

    Args:
        port: where it listens; a request that names another host is refused.
        control_key: the secret that `/local-aws/…` and `/moto-api/…` ask for.
        faults: shares of calls to answer with throttling or an internal error.
    """

    def __init__(self, port: int, control_key: str, faults: Faults | None = None) -> None:
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._control_key = control_key
        self._faults = faults or Faults()
        self._fault_dice = random.Random(20260101)
        self._moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        # A web page can make a browser send requests here, but not without naming its origin, nor
        # under a host name that is ours.
        if environ.get("HTTP_HOST") not in self._hosts or "HTTP_ORIGIN" in environ:
            return _plain(start_response, "403 Forbidden", "Only local AWS clients are served.")
        if environ["PATH_INFO"].startswith(("/local-aws/", "/moto-api/")):
            return self._control(environ, start_response)
        region, signing_name, access_key = _credential_scope(environ)
        caller = account.caller_of(access_key)
        if caller is None:
            message = "The AWS Access Key Id you provided does not exist in our records."
            return _refuse(environ, start_response, signing_name, message)
        for header, service in _PASSED.items():
            if header in environ:
                _handler_of(service, "")  # imports the executor
                relayed = _passages[header](Passage(region, caller, environ, _read_body(environ)))
                start_response(f"{relayed.status} ", relayed.headers)
                return relayed.body
        return self._answer(environ, start_response, region, signing_name, caller)

    def _answer(
        self,
        environ: dict[str, Any],
        start_response: Start,
        region: str,
        signing_name: str,
        caller: str,
    ) -> Iterable[bytes]:
        started = time.perf_counter()
        found = _identify(environ, signing_name)
        if found is None:
            return self._moto(environ, start_response)
        service, model, uri_params = found
        body = None
        if not _is_streaming(model):
            body = _read_body(environ)
            if model.request_compression and environ.get("HTTP_CONTENT_ENCODING") == "gzip":
                body = _unpacked(environ, body)
        call = Call(
            service,
            model.name,
            region,
            account.ACCOUNT_ID,
            caller,
            _parse(environ, model, uri_params, body),
            environ,
            model,
            self._moto,
            body,
        )
        error: ServiceException | None = None
        try:
            self._inject_fault(service)
            refuse_if_retired(service, model.name)
            validate(service, model, call.params)
            handler = _handler_of(service, model.name)
            result = handler(call) if handler else call.relay()
            response = result if isinstance(result, Relayed) else _serialize(call, result or {})
        except ServiceException as refused:
            error = refused
            response = _serialize(call, refused)
        except Exception as fault:
            traceback.print_exc()
            error = AWSError("InternalFailure", f"{type(fault).__name__}: {fault}", status=500)
            response = _serialize(call, error)
        code = error.code if error else None
        if error is None and response.status >= 400:
            code, response = _error_code(response)
        journal.note(
            service,
            model.name,
            call.params,
            region,
            caller,
            status=response.status,
            error=code,
            milliseconds=1000 * (time.perf_counter() - started),
        )
        start_response(f"{response.status} ", response.headers)
        return response.body

    def _inject_fault(self, service: str) -> None:
        dice = self._fault_dice.random()
        if dice < self._faults.throttle:
            throttled = ("ThrottlingException", "Rate exceeded", 400)
            code, message, status = _THROTTLING.get(service, throttled)
            raise AWSError(code, message, status)
        if dice < self._faults.throttle + self._faults.error:
            message = "We encountered an internal error. Please try again."
            raise AWSError("InternalError", message, status=500)

    def _control(self, environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        if environ.get("HTTP_X_LOCAL_AWS_KEY") != self._control_key:
            return _plain(start_response, "403 Forbidden", "The X-Local-AWS-Key is wrong.")
        path = environ["PATH_INFO"]
        if path in ("/local-aws/reset", "/moto-api/reset"):
            account.reset()
            journal.clear()
            self._fault_dice.seed(20260101)
            return _plain(start_response, "200 OK", '{"status": "ok"}')
        if path == "/local-aws/journal":
            return _plain(start_response, "200 OK", json.dumps(journal.entries()))
        if path.startswith("/moto-api/"):
            return self._moto(environ, start_response)
        if path in _controls:
            query = {k: v[0] for k, v in parse_qs(environ.get("QUERY_STRING", "")).items()}
            try:
                return _plain(start_response, "200 OK", json.dumps(_controls[path](query)))
            except AWSError as error:
                return _plain(start_response, "400 Bad Request", str(error.message))
        return _plain(start_response, "404 Not Found", f"There is no {path}.")


def _credential_scope(environ: dict[str, Any]) -> tuple[str, str, str]:
    """Region, signing name and access key of a request that is signed with Signature Version 4."""
    header = re.search(r"Credential=([^,\s]+)", environ.get("HTTP_AUTHORIZATION", ""))
    if header:
        scope = header[1]
    else:
        query = parse_qs(environ.get("QUERY_STRING", ""))
        if "AWSAccessKeyId" in query:  # a presigned URL as boto3 makes it by default
            return "us-east-1", "s3", query["AWSAccessKeyId"][0]
        scope = unquote(query.get("X-Amz-Credential", [""])[0])
    parts = scope.split("/")
    if len(parts) < 5:
        return "us-east-1", "", ""
    return parts[-3], parts[-2].lower(), "/".join(parts[:-4])


def _identify(
    environ: dict[str, Any], signing_name: str
) -> tuple[str, OperationModel, dict[str, Any]] | None:
    """The service, the operation and the parameters in the path; None if no model has it."""
    request = BackendRequest(environ)
    target = environ.get("HTTP_X_AMZ_TARGET")
    candidates = _SIGNED_AS.get(signing_name, [signing_name])
    for service in candidates:
        if service not in _known_services:
            continue
        model = get_service_model(service)
        if target and model.metadata.get("targetPrefix") != target.rpartition(".")[0]:
            continue
        try:
            if not target and model.protocol in ("query", "ec2"):
                _read_form(environ, request)
            operation, uri_params = get_service_router(service).match(request)
        except (NotFound, NotImplementedError):
            continue
        return service, operation, uri_params
    return None


def _read_form(environ: dict[str, Any], request: BackendRequest) -> None:
    """Parse the form that names the operation, and leave the input as if it had not been read."""
    body = _read_body(environ)
    environ["wsgi.input"] = io.BytesIO(body)
    _ = request.values
    environ["wsgi.input"] = io.BytesIO(body)


def _is_streaming(model: OperationModel) -> bool:
    """Whether the body is a payload of any size (an object's content), which is never held here."""
    return model.service_model.service_name == "s3" and model.has_streaming_input


def _read_body(environ: dict[str, Any]) -> bytes:
    stream = environ["wsgi.input"]
    length = environ.get("CONTENT_LENGTH")
    if length:
        body = stream.read(int(length))
    else:
        body = stream.read() if environ.get("wsgi.input_terminated") else b""
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _unpacked(environ: dict[str, Any], body: bytes) -> bytes:
    """A body that the client has compressed for the way, as boto3 does with large metric data."""
    del environ["HTTP_CONTENT_ENCODING"]
    body = gzip.decompress(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _protocol(model: OperationModel, environ: dict[str, Any]) -> str:
    return determine_request_protocol(model.service_model, environ.get("CONTENT_TYPE"))


def _parse(
    environ: dict[str, Any], model: OperationModel, uri_params: dict[str, Any], body: bytes | None
) -> dict[str, Any]:
    copy = dict(environ)
    copy["wsgi.input"] = io.BytesIO(body or b"")
    if body is None:
        copy["CONTENT_LENGTH"] = "0"
    request = BackendRequest(copy)
    parser = PROTOCOL_PARSERS[_protocol(model, environ)](model)
    parts = {
        "method": request.method,
        "values": request.values,
        "headers": request.headers,
        "body": request.data,
        "url_path": request.path,
        "url_params": uri_params,
    }
    params = parser.parse(parts) or {}
    members = model.input_shape.members if model.input_shape else {}
    for name, shape in members.items():
        # moto reads a list that a query string does not name as an empty one.
        if shape.serialization.get("location") == "querystring" and params.get(name) == []:
            del params[name]
    return params


def _serialize(call: Call, result: Any) -> Relayed:
    """The response for an output structure, or for an error, in the protocol of the request."""
    protocol = _protocol(call.model, call.environ)
    serializer = get_serializer_class(call.service, protocol)(operation_model=call.model)
    response = serializer.serialize(result)
    body = response["body"]
    body = body.encode() if isinstance(body, str) else body
    if call.environ["REQUEST_METHOD"] == "HEAD":
        body = b""
    status = response["status_code"]
    if isinstance(result, AWSError) and result.status != 400:
        status = result.status
    headers = {name: str(value) for name, value in response["headers"].items()}
    headers["x-amzn-RequestId"] = headers["x-amz-request-id"] = str(uuid.uuid4())
    headers["Content-Length"] = str(len(body))
    return Relayed(status, list(headers.items()), [body])


def _error_code(response: Relayed) -> tuple[str, Relayed]:
    """The code in an error of moto's, and the response with its body held for sending."""
    body = b"".join(response.body)
    found = re.search(rb'<Code>([^<]+)|"(?:__type|code|Code)":\s*"([^"]+)"', body)
    header = {name.lower(): value for name, value in response.headers}.get("x-amzn-errortype")
    code = header or (found and (found[1] or found[2]).decode()) or str(response.status)
    code = code.rpartition("#")[2].partition(":")[0]
    return code, Relayed(response.status, response.headers, [body])


def _refuse(
    environ: dict[str, Any], start_response: Start, signing_name: str, message: str
) -> Iterable[bytes]:
    """Refuse a request whose access key is not ours, in the form its service would use."""
    if signing_name in ("s3", "", "iam", "sts"):
        code = "InvalidAccessKeyId" if signing_name in ("s3", "") else "InvalidClientTokenId"
        error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        wrapped = (
            error if code == "InvalidAccessKeyId" else f"<ErrorResponse>{error}</ErrorResponse>"
        )
        return _plain(start_response, "403 Forbidden", wrapped, "application/xml")
    body = json.dumps({"__type": "UnrecognizedClientException", "message": message})
    return _plain(start_response, "403 Forbidden", body, "application/x-amz-json-1.1")


def _plain(
    start_response: Start, status: str, text: str, kind: str = "application/json"
) -> Iterable[bytes]:
    body = text.encode()
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]
