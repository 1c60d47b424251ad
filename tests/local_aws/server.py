"""The server process: the gateway on a loopback port, from the first request to the last."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

from cheroot.server import HeaderReader, HTTPConnection, HTTPRequest
from cheroot.wsgi import Gateway_10, Server

# Requests that wait for another request (a query for its objects, a function for its data) hold a
# thread each, so there are more threads than a machine has use for; an idle one costs nothing.
_THREADS = 48


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
        raise SystemExit(0)

    # moto warns of every error code that a service's model does not list; AWS sends many of those.
    warnings.filterwarnings("ignore", module="moto.core.serialize")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    processes.sweep()
    control_key = secrets.token_urlsafe(24)
    server = _listen(port)
    port = server.bind_addr[1]
    endpoint = f"http://127.0.0.1:{port}"
    # moto's Step Functions interpreter and its Lambda environment ask for this variable.
    os.environ["MOTO_PORT"] = str(port)
    root = processes.open_root(endpoint)
    try:
        environment.write_waiters(root / "waiters")
        server.wsgi_app = Gateway(port, control_key, _read_faults(faults))
        account.seed()
        key = account.add_access_key(account.NOTEBOOK)
        attempts = 8 if faults else None
        values = environment.variables(endpoint, key, region, attempts)
        announce(environment.as_exports(values | {"LOCAL_AWS_KEY": control_key}))
        if until_stdin_closes:
            threading.Thread(target=_stop_after_stdin, daemon=True).start()
        server.serve()
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        processes.close_root()
        # Requests that are still being answered belong to clients that are told to stop: no wait.
        sys.stdout.flush()
        os._exit(0)


def _listen(port: int) -> Server:
    """A server on the loopback address, bound and ready to serve."""
    server = Server(
        ("127.0.0.1", port), _not_ready, numthreads=_THREADS, timeout=3600, request_queue_size=128
    )
    server.ConnectionClass = _Connection
    server.gateway = _WSGIGateway
    try:
        server.prepare()
    except OSError:
        sys.exit(f"Port {port} is taken or not allowed; leave --port out to use a free one.")
    return server


class _WSGIGateway(Gateway_10):
    """Hands over the names of S3 metadata as they were sent: WSGI alone would turn _ into -."""

    def get_environ(self) -> dict[str, Any]:
        from moto.core.request import (
            PRESERVED_HEADER_NAMES_ENVIRON_KEY,
            environ_key_for_header,
            should_preserve_original_header_name,
        )

        environ = super().get_environ()
        names = [name.decode("latin-1") for name in self.req.inheaders]
        environ[PRESERVED_HEADER_NAMES_ENVIRON_KEY] = {
            environ_key_for_header(name): name.lower()
            for name in names
            if should_preserve_original_header_name(name)
        }
        return environ


class _Request(HTTPRequest):
    header_reader = HeaderReader()  # cheroot's own choice drops names with an underscore


class _Connection(HTTPConnection):
    RequestHandlerClass = _Request

    def __init__(self, server: Server, sock: socket.socket, *arguments: Any) -> None:
        # Without this the last packet of an answer may wait for the client's acknowledgement.
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().__init__(server, sock, *arguments)


def _not_ready(environ: object, start_response: Callable[..., object]) -> list[bytes]:
    start_response("503 Service Unavailable", [("Content-Length", "0")])
    return [b""]


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
