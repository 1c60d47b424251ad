"""Execution environments: the processes that a function's code runs in.

As on AWS an environment is made when an event finds none free, runs the module's top level once,
answers one event at a time, and is kept for the next one.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import secrets
import select
import socket
import sys
import threading
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import psutil

from ... import account, identity, processes
from ...errors import AWSError, not_implemented
from ...logs import LogStream
from . import measured

PANDAS_LAYER = ":layer:AWSSDKPandas-"
LARGEST_UNZIPPED = 262_144_000
_LARGEST_ANSWER = 6_291_556
_BOOTSTRAP = Path(__file__).with_name("bootstrap.py")
_END_OF_LOG = "\x00end"
_SECONDS_TO_CONNECT = 30.0
_SECONDS_TO_INITIALISE = 10.0
_KEPT_PER_FUNCTION = 4
_KEPT_SECONDS = 120.0
_TAIL_BYTES = 4096

_lock = threading.Lock()
# what a function is made of -> its free environments
_free: dict[str, list[Environment]] = {}
_all: set[Environment] = set()
# digest of an archive -> the folder that it was unpacked to
_unpacked: dict[str, Path] = {}
_folders = contextlib.ExitStack()


@dataclass
class Invocation:
    """How an event was answered. `payload` is JSON; `failed` says that it describes an error."""

    payload: str
    failed: bool
    log: list[str] = field(default_factory=list)

    @property
    def tail(self) -> str:
        """The last 4 KB of the log."""
        return "".join(f"{line}\n" for line in self.log)[-_TAIL_BYTES:]


class Ended(Exception):
    """The process ended, or was ended, in the middle of something."""


# ── archives ─────────────────────────────────────────────────────────────────────────────────────


def check_archive(content: bytes) -> None:
    """Refuse what Lambda refuses: no archive, too large an archive, paths that lead out of it."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
    except zipfile.BadZipFile:
        message = "Could not unzip uploaded file. Please check your file, then try to upload again."
        raise AWSError("InvalidParameterValueException", message) from None
    if not members:
        message = "Uploaded file must be a non-empty zip"
        raise AWSError("InvalidParameterValueException", message)
    if sum(member.file_size for member in members) > LARGEST_UNZIPPED:
        message = f"Unzipped size must be smaller than {LARGEST_UNZIPPED} bytes"
        raise AWSError("InvalidParameterValueException", message)
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
            message = f"The archive holds '{member.filename}', which leads out of its folder."
            raise AWSError("InvalidParameterValueException", message)


def _unpack(content: bytes) -> Path:
    """The folder with the archive's content; each archive is unpacked once."""
    digest = hashlib.sha256(content).hexdigest()
    with _lock:
        if digest not in _unpacked:
            check_archive(content)
            folder = _folders.enter_context(processes.temporary_directory("function"))
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                archive.extractall(folder)
            _unpacked[digest] = folder
        return _unpacked[digest]


# ── environments ─────────────────────────────────────────────────────────────────────────────────


class Environment:
    """One process of a function."""

    def __init__(self, function: Any, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self.idle_since = 0.0
        self.lines: list[str] = []
        self._stack = contextlib.ExitStack()
        self._log_ended = threading.Event()
        self.whose = (function.region, function.function_name)
        self._timeout = float(function.timeout)
        self._task = _unpack(function.code_bytes)
        self._layers = [_unpack(layer) for layer in _layer_archives(function)]
        stream = account.now().strftime("%Y/%m/%d/") + (
            f"[{function.version}]{account.new_id().replace('-', '')}"
        )
        group = f"/aws/lambda/{function.function_name}"
        caller = f"function {function.function_name}"
        self.stream = LogStream(function.region, group, stream, caller)
        self._access_key = ""
        with _lock:
            _all.add(self)
        try:
            self._start(function, caller)
        except BaseException:
            self.close()
            raise

    def _start(self, function: Any, caller: str) -> None:
        folder = self._stack.enter_context(processes.temporary_directory("lambda"))
        listener = self._stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.settimeout(_SECONDS_TO_CONNECT)
        token = secrets.token_hex(16)
        settings = {
            "port": listener.getsockname()[1],
            "token": token,
            "task": str(self._task),
            "layers": [str(folder / "python") for folder in self._layers],
            "has_pandas": any(PANDAS_LAYER in layer["Arn"] for layer in function.layers),
        }
        self._running = processes.Running(
            [sys.executable, str(_BOOTSTRAP)],
            folder=self._task,
            environ=self._variables(function, caller, folder),
            on_line=self._on_line,
            stdin=json.dumps(settings).encode() + b"\n",
        )
        self._stack.callback(self._running.stop)
        self._connection = self._accept(listener, token)

    def _accept(self, listener: socket.socket, token: str) -> socket.socket:
        """The connection of the process that was started, and of no other."""
        while True:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                raise Ended from None
            connection.settimeout(_SECONDS_TO_CONNECT)
            self._input = connection.makefile("r", encoding="utf-8", newline="\n")
            if self._receive(_SECONDS_TO_CONNECT, connection).get("token") == token:
                return self._stack.enter_context(connection)
            connection.close()

    def _variables(self, function: Any, caller: str, folder: Path) -> dict[str, str]:
        values = processes.job_environment(function.region, caller)
        self._access_key = values["AWS_ACCESS_KEY_ID"]
        role = identity.find_role(function.role)
        if role is not None:
            identity.open_session(self._access_key, role, function.function_name)
        given = {str(k): str(v) for k, v in (function.environment_vars or {}).items()}
        reserved = {
            "_HANDLER": function.handler,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.run_time}",
            "AWS_LAMBDA_FUNCTION_NAME": function.function_name,
            "AWS_LAMBDA_FUNCTION_VERSION": str(function.version),
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": self.stream.group,
            "AWS_LAMBDA_LOG_STREAM_NAME": self.stream.stream,
            "LAMBDA_TASK_ROOT": str(self._task),
            "LAMBDA_RUNTIME_DIR": str(_BOOTSTRAP.parent),
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "TZ": ":UTC",
        }
        return {**given, **values, **reserved}

    def initialise(self) -> tuple[float, dict[str, Any] | None]:
        """Wait until the module is loaded. Returns the seconds it took, and a failure if any."""
        started = time.perf_counter()
        answer = self._receive(_SECONDS_TO_INITIALISE + self._timeout)
        failure = answer.get("failure")
        return answer.get("seconds", time.perf_counter() - started), failure

    def answer(
        self, request: dict[str, Any], seconds: float, stop: threading.Event | None
    ) -> dict[str, Any]:
        """Hand over an event and wait for the answer.

        Raises:
            TimeoutError: after `seconds`.
            Ended: if the process ended instead, or `stop` was set.
        """
        self._log_ended.clear()
        try:
            self._connection.sendall(json.dumps(request).encode() + b"\n")
        except OSError:
            raise Ended from None
        if stop is not None:
            self._wait(seconds, stop)
        answer = self._receive(seconds)
        self._log_ended.wait(5)
        return answer

    def _receive(self, seconds: float, connection: socket.socket | None = None) -> dict[str, Any]:
        (connection or self._connection).settimeout(seconds)
        try:
            line = self._input.readline()
        except TimeoutError:
            raise
        except OSError:
            raise Ended from None
        if not line:
            raise Ended
        return json.loads(line)

    def _wait(self, seconds: float, stop: threading.Event) -> None:
        """Wait until there is something to receive; end the process if `stop` is set before."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if select.select([self._connection], [], [], 0.2)[0]:
                return
            if stop.is_set():
                self._running.stop()
                raise Ended
        raise TimeoutError

    def hidden(self, text: str) -> str:
        """The text with the folders of this machine under the names they have on AWS."""
        text = text.replace(str(self._task), "/var/task")
        for folder in self._layers:
            text = text.replace(str(folder), "/opt")
        return text

    def _on_line(self, line: str) -> None:
        if line.endswith(_END_OF_LOG):
            line = line.removesuffix(_END_OF_LOG)
            if line:
                self.lines.append(self.hidden(line))
            self._log_ended.set()
        else:
            self.lines.append(self.hidden(line))

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._running.alive

    def memory(self) -> float:
        """The memory that the process holds now, in MB."""
        with contextlib.suppress(psutil.Error):
            return psutil.Process(self._running._process.pid).memory_info().rss / 2**20
        return 0.0

    def exit_reason(self) -> str:
        """How the process ended, in the words of Lambda."""
        returncode = self._running.wait()
        if returncode < 0:
            return f"Runtime exited with error: signal: {_signal_name(-returncode)}"
        if returncode == 0:
            return "Runtime exited without providing a reason"
        return f"Runtime exited with error: exit status {returncode}"

    def close(self) -> None:
        """End the process and remove its folder."""
        with _lock:
            _all.discard(self)
        with contextlib.suppress(OSError):
            self._stack.close()
        if self._access_key:
            identity.close(self._access_key)


def _signal_name(number: int) -> str:
    return {9: "killed", 11: "segmentation fault", 15: "terminated"}.get(number, str(number))


def _layer_archives(function: Any) -> list[bytes]:
    from moto.awslambda.models import lambda_backends

    backend = lambda_backends[account.ACCOUNT_ID][function.region]
    archives = []
    for layer in function.layers:
        if PANDAS_LAYER not in layer["Arn"]:
            archives.append(backend.layers_versions_by_arn(layer["Arn"]).code_bytes)
    return archives


def _fingerprint(function: Any) -> str:
    """What an environment is made of: a change of any of it makes new environments."""
    parts = [
        function.function_arn,
        function.version,
        function.code_sha_256,
        function.handler,
        function.run_time,
        function.memory_size,
        function.timeout,
        function.role,
        sorted((function.environment_vars or {}).items()),
        [layer["Arn"] for layer in function.layers],
    ]
    return repr(parts)


def _take(fingerprint: str) -> Environment | None:
    with _lock:
        free = _free.get(fingerprint, [])
        while free:
            environment = free.pop()
            if environment.alive:
                return environment
    return None


def _give_back(environment: Environment) -> None:
    """Keep the environment for the next event; close those that nobody has asked for."""
    environment.idle_since = time.monotonic()
    with _lock:
        outdated = [
            other
            for free in _free.values()
            for other in free
            if time.monotonic() - other.idle_since > _KEPT_SECONDS
        ]
        free = _free.setdefault(environment.fingerprint, [])
        free.append(environment)
        outdated += free[:-_KEPT_PER_FUNCTION]
        for other in outdated:
            with contextlib.suppress(ValueError):
                _free[other.fingerprint].remove(other)
    for other in outdated:
        other.close()


def close_function(function: Any) -> None:
    """End the free environments of a function that has changed or is gone."""
    whose = (function.region, function.function_name)
    with _lock:
        doomed = [e for free in _free.values() for e in free if e.whose == whose]
        for environment in doomed:
            _free[environment.fingerprint].remove(environment)
    for environment in doomed:
        environment.close()


@account.on_reset
def close_all() -> None:
    """End all environments, busy ones too, and forget the archives."""
    with _lock:
        doomed = list(_all)
        _free.clear()
        _unpacked.clear()
    for environment in doomed:
        environment.close()
    _folders.close()


# ── invocations ──────────────────────────────────────────────────────────────────────────────────


def invoke(
    function: Any,
    event: Any,
    request_id: str,
    client_context: dict[str, Any] | None = None,
    stop: threading.Event | None = None,
) -> Invocation:
    """Run the function on an event, in a free environment or a new one.

    Args:
        function: a function of moto's.
        event: what JSON can hold.
        request_id: of the invocation.
        client_context: what the caller sent as `ClientContext`.
        stop: ends the function when it is set.

    Raises:
        AWSError: 501 for a runtime that is not Python.
    """
    if function.package_type != "Zip" or not str(function.run_time).startswith("python"):
        what = function.run_time or "container images"
        raise not_implemented("lambda", f"Invoke of a function with {what}")
    with measured.running(function):
        return _invoke(function, event, _Run(function, request_id), client_context, stop)


def _invoke(
    function: Any,
    event: Any,
    run: _Run,
    client_context: dict[str, Any] | None,
    stop: threading.Event | None,
) -> Invocation:
    fingerprint = _fingerprint(function)
    environment = _take(fingerprint)
    if environment is None:
        environment = Environment(function, fingerprint)
        run.environment = environment
        if not run.initialised():
            environment.close()
            return run.finished()
    run.environment = environment
    if run.handled(event, client_context, stop):
        _give_back(environment)
    else:
        environment.close()
    return run.finished()


class _Run:
    """One invocation: the log lines around it, its answer, its figures."""

    def __init__(self, function: Any, request_id: str) -> None:
        self.function, self.request_id = function, request_id
        self.environment: Environment
        self.init_seconds: float | None = None
        self.seconds = 0.0
        self.memory = 0.0
        self.status = ""
        self.payload: dict[str, Any] | None = None
        self.result = "null"

    def initialised(self) -> bool:
        """Whether the module could be loaded; if not, that is the answer."""
        environment = self.environment
        try:
            self.init_seconds, failure = environment.initialise()
        except TimeoutError:
            self._time_out()
            return False
        except Ended:
            self._exit(environment.exit_reason())
            return False
        if failure:
            self._fail(failure)
        self.memory = environment.memory()
        return failure is None

    def handled(
        self, event: Any, client_context: dict[str, Any] | None, stop: threading.Event | None
    ) -> bool:
        """Whether the environment can be used again after this event."""
        environment = self.environment
        seconds = float(self.function.timeout)
        request = {
            "request_id": self.request_id,
            "arn": self.function.function_arn,
            "seconds": seconds,
            "event": event,
            "client_context": client_context,
        }
        try:
            answer = environment.answer(request, seconds, stop)
        except TimeoutError:
            self._time_out()
            return False
        except Ended:
            self._exit(environment.exit_reason())
            return False
        self.seconds = answer["seconds"]
        self.memory = answer["memory"] or environment.memory()
        if self.memory > self.function.memory_size:
            self.memory = self.function.memory_size
            self._exit("Runtime exited with error: signal: killed", "Runtime.OutOfMemory")
            return False
        if "failure" in answer:
            self._fail(answer["failure"])
        elif len(answer["result"].encode()) > _LARGEST_ANSWER:
            message = (
                "Response payload size exceeded maximum allowed payload size "
                f"({_LARGEST_ANSWER} bytes)."
            )
            kind = "Function.ResponseSizeTooLarge"
            self.payload = {"errorMessage": message, "errorType": kind}
        else:
            self.result = answer["result"]
        return True

    def finished(self) -> Invocation:
        """Write the log and give the answer."""
        environment = self.environment
        version = self.function.version
        lines = [
            f"START RequestId: {self.request_id} Version: {version}",
            *environment.lines,
            f"END RequestId: {self.request_id}",
            self._report(),
        ]
        environment.lines.clear()
        if self.init_seconds is not None:
            lines.insert(0, f"INIT_START Runtime Version: {_runtime_version(self.function)}")
        environment.stream.write_lines(lines)
        measured.invocation(self.function, self.payload is not None, self.seconds)
        tail = lines[1:] if self.init_seconds is not None else lines
        if self.payload is None:
            return Invocation(self.result, False, tail)
        return Invocation(json.dumps(self.payload), True, tail)

    def _fail(self, failure: dict[str, Any]) -> None:
        hidden = self.environment.hidden
        trace = [hidden(entry) for entry in failure["stackTrace"]]
        message, kind = hidden(failure["errorMessage"]), failure["errorType"]
        self.payload = {
            "errorMessage": message,
            "errorType": kind,
            "requestId": self.request_id,
            "stackTrace": trace,
        }
        lines = [f"[ERROR] {kind}: {message}", "Traceback (most recent call last):", *trace]
        self.environment.lines.append("\n".join(line.rstrip("\n") for line in lines))

    def _time_out(self) -> None:
        self.seconds = float(self.function.timeout)
        self.memory = self.environment.memory()
        self.status = "timeout"
        text = f"Task timed out after {self.function.timeout:.2f} seconds"
        at = account.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        self.environment.lines.append(f"{at} {self.request_id} {text}")
        message = f"RequestId: {self.request_id} Error: {text}"
        self.payload = {"errorType": "Sandbox.Timedout", "errorMessage": message}

    def _exit(self, reason: str, kind: str = "Runtime.ExitError") -> None:
        self.status = "error"
        self.environment.lines.append(f"RequestId: {self.request_id} Error: {reason}\n{kind}")
        message = f"RequestId: {self.request_id} Error: {reason}"
        self.payload = {"errorType": kind, "errorMessage": message}

    def _report(self) -> str:
        milliseconds = 1000 * self.seconds
        billed = -(-(milliseconds + 1000 * (self.init_seconds or 0)) // 1)
        parts = [
            f"REPORT RequestId: {self.request_id}",
            f"Duration: {milliseconds:.2f} ms",
            f"Billed Duration: {billed:.0f} ms",
            f"Memory Size: {self.function.memory_size} MB",
            f"Max Memory Used: {self.memory:.0f} MB",
        ]
        if self.init_seconds is not None:
            parts.append(f"Init Duration: {1000 * self.init_seconds:.2f} ms")
        if self.status:
            parts.append(f"Status: {self.status}")
        return "\t".join(parts)


def _runtime_version(function: Any) -> str:
    return f"{str(function.run_time).replace('python', 'python:')}.offline"
