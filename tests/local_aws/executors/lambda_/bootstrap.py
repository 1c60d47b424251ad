"""What runs in a function's process: the runtime that loads the handler and hands it the events.

It is started as a script of its own and imports nothing of the offline AWS. It connects back to
the server, says how the initialisation went, and then answers one event after the other, each with
a line of JSON. Error texts and types are those of AWS's Python runtime.
"""

from __future__ import annotations

import decimal
import importlib
import importlib.abc
import importlib.machinery
import json
import logging
import os
import socket
import sys
import time
import traceback
from types import ModuleType

# What the Python runtime of Lambda comes with, besides the standard library.
_RUNTIME_PACKAGES = frozenset(
    ["boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3"]
)
# What AWS's public layer "AWS SDK for pandas" adds.
_PANDAS_LAYER_PACKAGES = frozenset(
    [
        "awswrangler",
        "numpy",
        "pandas",
        "pyarrow",
        "pytz",
        "tzdata",
        "packaging",
        "typing_extensions",
    ]
)
_END_OF_LOG = "\x00end"


class Failure(Exception):
    """An error with the type that the runtime reports for it."""

    def __init__(self, kind: str, message: str, trace: list[str] | None = None) -> None:
        super().__init__(message)
        self.answer = {"errorMessage": message, "errorType": kind, "stackTrace": trace or []}


class Context:
    """The second argument of a handler."""

    def __init__(self, settings: dict, deadline: float) -> None:
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.invoked_function_arn = settings["arn"]
        self.aws_request_id = settings["request_id"]
        self.client_context = _client_context(settings.get("client_context"))
        self.identity = _Bag(cognito_identity_id=None, cognito_identity_pool_id=None)
        self._deadline = deadline

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function's timeout."""
        return max(int(1000 * (self._deadline - time.monotonic())), 0)

    def log(self, message: object) -> None:
        """Write to the function's log."""
        print(message)


class _Bag:
    def __init__(self, **values: object) -> None:
        self.__dict__.update(values)


def _client_context(content: dict | None) -> _Bag | None:
    if content is None:
        return None
    return _Bag(client=content.get("client"), custom=content.get("custom"), env=content.get("env"))


class _RuntimePackages(importlib.abc.MetaPathFinder):
    """Finds the packages that Lambda has, where this Python keeps them, and no others.

    A function that imports more than its archive and its layers bring fails here as on AWS.
    """

    def __init__(self, names: frozenset[str], folders: list[str]) -> None:
        self._names, self._folders = names, folders

    def find_spec(
        self, name: str, path: object = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if path is None and name in self._names:
            return importlib.machinery.PathFinder.find_spec(name, self._folders)
        return None


class _LogHandler(logging.Handler):
    """Log records in the format of the runtime."""

    request_id = ""

    def emit(self, record: logging.LogRecord) -> None:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        text = self.format(record)
        parts = (f"[{record.levelname}]", f"{at}.{int(record.msecs):03d}Z", self.request_id, text)
        print("\t".join(parts))


def main() -> None:
    """Serve events until the server hangs up."""
    settings = json.loads(sys.stdin.readline())
    connection = socket.create_connection(("127.0.0.1", settings["port"]))
    stream = connection.makefile("rw", encoding="utf-8", newline="\n")
    _send(stream, {"token": settings["token"]})
    _arrange_paths(settings)
    log = _LogHandler()
    logging.getLogger().addHandler(log)
    started = time.perf_counter()
    try:
        handler = _load(os.environ["_HANDLER"])
    except Failure as failure:
        _send(stream, {"failure": failure.answer})
        return
    _send(stream, {"seconds": time.perf_counter() - started})
    for line in stream:
        request = json.loads(line)
        log.request_id = request["request_id"]
        answer = _answer(handler, request)
        print(_END_OF_LOG, flush=True)
        _send(stream, answer | {"memory": _memory()})


def _send(stream, message: dict) -> None:  # noqa: ANN001
    stream.write(json.dumps(message) + "\n")
    stream.flush()


def _arrange_paths(settings: dict) -> None:
    """The function's folder first, then its layers, then the standard library."""
    names = _RUNTIME_PACKAGES
    if settings["has_pandas"]:
        names |= _PANDAS_LAYER_PACKAGES
    installed = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    own = os.path.dirname(os.path.abspath(__file__))
    kept = [path for path in sys.path if path not in installed and path != own]
    sys.path[:] = [settings["task"], *settings["layers"], *kept]
    sys.meta_path.append(_RuntimePackages(names, installed))


def _load(name: str):  # noqa: ANN202
    """The handler that `module.function` names, with the failures that AWS reports."""
    parts = name.rsplit(".", 1)
    if len(parts) != 2:
        reason = "not enough values to unpack (expected 2, got 1)"
        raise Failure("Runtime.MalformedHandlerName", f"Bad handler '{name}': {reason}")
    module_name, function_name = parts
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        message = f"Unable to import module '{module_name}': {error}"
        raise Failure("Runtime.ImportModuleError", message) from None
    except SyntaxError as error:
        trace = [f'  File "{error.filename}" Line {error.lineno}\n    {error.text}']
        message = f"Syntax error in module '{module_name}': {error}"
        raise Failure("Runtime.UserCodeSyntaxError", message, trace) from None
    except Exception as error:
        raise Failure(type(error).__name__, str(error), _trace(error)) from None
    if not hasattr(module, function_name):
        message = f"Handler '{function_name}' missing on module '{module_name}'"
        raise Failure("Runtime.HandlerNotFound", message)
    return getattr(module, function_name)


def _answer(handler, request: dict) -> dict:  # noqa: ANN001
    deadline = time.monotonic() + request["seconds"]
    context = Context(request, deadline)
    started = time.perf_counter()
    try:
        result = handler(request["event"], context)
        try:
            answer = {"result": json.dumps(result, default=_plain, ensure_ascii=False)}
        except (TypeError, ValueError) as error:
            message = f"Unable to marshal response: {error}"
            raise Failure("Runtime.MarshalError", message) from None
    except Failure as failure:
        answer = {"failure": failure.answer}
    except Exception as error:
        kind, message = type(error).__name__, str(error)
        answer = {"failure": Failure(kind, message, _trace(error)).answer}
    return answer | {"seconds": time.perf_counter() - started}


def _plain(value: object) -> object:
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _trace(error: BaseException) -> list[str]:
    """The stack from the function's own code on."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame
        for frame in frames
        if frame.filename != __file__ and "importlib" not in frame.filename
    ]
    return traceback.format_list(own)


def _memory() -> float:
    """The most memory that this process has held, in MB; 0 where the system does not tell."""
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("VmHWM"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


if __name__ == "__main__":
    main()
