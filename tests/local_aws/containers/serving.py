"""The model server: answers `/ping` and `/invocations`, as SageMaker asks of every container.

It listens on a loopback port of the system's choice, which it prints when the model is loaded, and
answers only who sends the key that it was started with.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import threading
import traceback
import types
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from . import builtin
from .inference import JSON, Answer, Defaults, Model, RequestError, UserModel, load_module
from .pytorch import PyTorchDefaults
from .sklearn import SklearnDefaults

KEY_VARIABLE = "LOCAL_AWS_SERVING_KEY"
KEY_HEADER = "X-Local-AWS-Key"
READY = "# model server listens on port "
_REASONS = {200: "OK", 204: "No Content"}


def main(arguments: list[str]) -> int:
    """Serve the model in an `/opt/ml`. Returns the exit status if the model cannot be loaded.

    Args:
        arguments: the folder that stands for `/opt/ml`, and the framework of the image.
    """
    ml, framework = Path(arguments[0]), arguments[1]
    key = os.environ.pop(KEY_VARIABLE)
    try:
        model = load_model(ml, framework)
    except Exception:
        traceback.print_exc()
        return 1
    # AWS's images run one worker per processor, and each answers one request at a time: a user's
    # code need not be safe in threads. XGBoost's prediction is.
    lock = threading.Lock() if isinstance(model, UserModel) else contextlib.nullcontext()
    server = _Server(("127.0.0.1", 0), _Handler)
    server.model, server.key, server.lock = model, key, lock
    print(f"{READY}{server.server_port}", flush=True)
    server.serve_forever()
    return 0


def load_model(ml: Path, framework: str) -> Model:
    """The model of an image, by the user's script if there is one.

    Raises:
        Exception: whatever loading the model raises.
    """
    program = _program(ml, framework)
    if framework == "tensorflow":
        from .tensorflow import TensorFlowModel

        return TensorFlowModel(ml / "model", load_module(program) if program else None)
    if program is not None:
        defaults = _defaults(framework)
        accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", JSON)
        return UserModel(load_module(program), defaults, ml / "model", accept)
    if framework == "xgboost":
        from .xgboost_serving import XGBoostModel

        return XGBoostModel(ml / "model")
    if framework in builtin.ALGORITHMS:
        return builtin.load(framework, ml / "model")
    if framework == "pytorch":
        module = types.ModuleType("inference")  # a user's script that defines nothing
        return UserModel(module, _defaults(framework), ml / "model", JSON)
    raise FileNotFoundError(
        "There is no script that loads the model. Set SAGEMAKER_PROGRAM (and "
        "SAGEMAKER_SUBMIT_DIRECTORY) in the environment of the model."
    )


def _program(ml: Path, framework: str) -> Path | None:
    """The user's script; None if none is named."""
    named = os.environ.get("SAGEMAKER_PROGRAM")
    folders = [ml / "code", ml / "model" / "code"]
    submitted = os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    if submitted and not submitted.startswith("s3://"):
        folders.insert(0, Path(submitted))
    if not named:
        found = ml / "model" / "code" / "inference.py"
        default = framework not in ("xgboost", "sklearn") and found.is_file()
        return found if default else None
    for folder in folders:
        for name in (named, f"{named}.py"):
            if (folder / name).is_file():
                return folder / name
    raise FileNotFoundError(
        f"SAGEMAKER_PROGRAM is {named}, but that is not in {' or '.join(map(str, folders))}."
    )


def _defaults(framework: str) -> Defaults:
    if framework == "xgboost":
        from .xgboost_serving import XGBoostDefaults

        return XGBoostDefaults()
    if framework == "pytorch":
        return PyTorchDefaults()
    return SklearnDefaults() if framework == "sklearn" else Defaults()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    model: Model
    key: str
    lock: contextlib.AbstractContextManager


class _Handler(BaseHTTPRequestHandler):
    # Connections stay open, and an answer goes out in one packet.
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        """Answer `/ping`."""
        if self._is_allowed():
            self._send(Answer(b"", JSON, 200 if self.path == "/ping" else 404))

    def do_POST(self) -> None:
        """Answer `/invocations`."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self._is_allowed():
            return
        if self.path != "/invocations":
            self._send(Answer(b"", JSON, 404))
            return
        content_type, accept = self.headers.get("Content-Type"), self.headers.get("Accept")
        try:
            with self.server.lock:
                answer = self.server.model.invoke(body, content_type, accept)
        except RequestError as error:
            print(f"{error.status} {error.message}", flush=True)
            answer = Answer(error.message.encode(), "text/plain; charset=utf-8", error.status)
        except Exception as error:
            trace = traceback.format_exc()
            print(trace, end="", flush=True)
            text = f"{error}\n{trace}"
            answer = Answer(text.encode(), "text/plain; charset=utf-8", 500)
        self._send(answer)

    def log_message(self, *arguments: object) -> None:
        """Log nothing: the log is the model's."""

    def _is_allowed(self) -> bool:
        if hmac.compare_digest(self.headers.get(KEY_HEADER, ""), self.server.key):
            return True
        self._send(Answer(b"", JSON, 403))
        return False

    def _send(self, answer: Answer) -> None:
        head = (
            f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, '-')}\r\n"
            f"Content-Type: {answer.content_type}\r\nContent-Length: {len(answer.body)}\r\n\r\n"
        )
        self.wfile.write(head.encode("latin-1") + answer.body)
