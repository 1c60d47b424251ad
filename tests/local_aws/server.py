"""The server process: the gateway on a loopback port, from the first request to the last."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.exceptions import ClientDisconnected
from werkzeug.serving import ThreadedWSGIServer
from werkzeug.wsgi import LimitedStream


def serve(
    *,
    port: int,
    region: str,
    faults: str,
    until_stdin_closes: bool,
    announce: Callable[[list[str]], None],
) -> None:
    """Serve until SIGTERM, Ctrl-C or, if asked for, the end of standard input.

    Args:
        port: 0 for any free one.
        region: the default region of clients.
        faults: `throttle=0.05,error=0.02`; empty for none.
        announce: called once with the environment as lines for a shell, when requests are answered.
    """
    from . import account, environment, processes
    from .gateway import Gateway

    def stop(*_: object) -> None:
        raise SystemExit

    # moto warns of every error code that a service's model does not list; AWS sends many of those.
    warnings.filterwarnings("ignore", module="moto.core.serialize")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    shares = _read_faults(faults)
    processes.sweep()
    control_key = secrets.token_urlsafe(24)
    server = _listen(port)
    endpoint = f"http://127.0.0.1:{server.server_port}"
    # moto's Step Functions interpreter and its Lambda environment ask for this variable.
    os.environ["MOTO_PORT"] = str(server.server_port)
    root = processes.open_root(endpoint)
    try:
        environment.write_waiters(root / "waiters")
        server.app = Gateway(server.server_port, control_key, shares)
        account.seed()
        key = account.add_access_key(account.NOTEBOOK)
        values = environment.variables(endpoint, key, region, max_attempts=8 if faults else None)
        announce(environment.as_exports(values | {"LOCAL_AWS_KEY": control_key}))
        if until_stdin_closes:
            threading.Thread(target=_stop_after_stdin, daemon=True).start()
        server.serve_forever()
    except SystemExit:
        pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        processes.close_root()
    # Requests that are still being answered belong to clients that are told to stop: no wait.
    sys.stdout.flush()
    os._exit(0)


def _listen(port: int) -> ThreadedWSGIServer:
    """A server on the loopback address; it answers 503 until it is given its application."""
    try:
        return ThreadedWSGIServer("127.0.0.1", port, _not_ready, handler=_Handler)
    except (OSError, SystemExit):
        sys.exit(f"Port {port} is taken or not allowed; leave --port out to use a free one.")


def _not_ready(environ: object, start_response: Callable[..., object]) -> list[bytes]:
    start_response("503 Service Unavailable", [])
    return [b""]


class _Handler(MotoRequestHandler):
    """Keeps a connection for the client's next request.

    werkzeug's own handler closes it after each, and waits before it does, which costs a client like
    boto3 more than most answers take.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rbufsize = wbufsize = 1 << 16

    def handle_expect_100(self) -> bool:
        """Tell the client at once to go on with the body; it waits for that."""
        go_on = super().handle_expect_100()
        self.wfile.flush()
        return go_on

    def run_wsgi(self) -> None:
        """Answer one request, and read what the application has left of its body."""
        environ = self.make_environ()
        body = environ["wsgi.input"]
        if not environ.get("wsgi.input_terminated"):
            body = LimitedStream(self.rfile, int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = body
        answer: dict[str, Any] = {}

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
            answer.update(status=status, headers=headers)

        chunks = self.server.app(environ, start_response)
        try:
            while body.read(1 << 20):
                pass
        except ClientDisconnected:
            self.close_connection = True
            return
        self._send(answer["status"], answer["headers"], chunks)

    def _send(self, status: str, headers: list[tuple[str, str]], chunks: Iterable[bytes]) -> None:
        code, _, reason = status.partition(" ")
        content = b"".join(chunks)
        self.send_response(int(code), reason or None)
        names = set()
        for name, value in headers:
            self.send_header(name, value)
            names.add(name.lower())
        if "content-length" not in names:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        self.wfile.flush()

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Nothing: the journal has every request."""


def _stop_after_stdin() -> None:
    """End the server when whoever started it is gone, however it went."""
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


def _read_faults(text: str):  # noqa: ANN202
    """Read `throttle=0.05,error=0.02`. Raises SystemExit with a remedy for anything else."""
    from .gateway import Faults

    try:
        pairs = (part.split("=") for part in text.split(",") if part)
        return Faults(**{name.strip(): float(value) for name, value in pairs})
    except (TypeError, ValueError):
        sys.exit(f"--faults {text!r} is not understood; write throttle=0.05,error=0.02.")
