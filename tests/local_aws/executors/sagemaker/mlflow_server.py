"""MLflow's own tracking server in a process of its own: the program, run by `mlflow_tracking`.

It is the Flask application of `mlflow.server` with a SQLite file behind it, which is all that the
REST API needs. `mlflow server` would load FastAPI, the AI gateway and a second process besides.
The port is the system's choice and printed when requests are answered; only who sends the key that
the program was started with is heard.

This file is run by its path and imports nothing of this repository.
"""

from __future__ import annotations

import hmac
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

KEY_VARIABLE = "LOCAL_AWS_SERVING_KEY"
KEY_HEADER = "X-Local-AWS-Key"
READY = "# MLflow listens on port "

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def main(arguments: list[str]) -> None:
    """Serve until the process is ended.

    Args:
        arguments: the URI of the store (`sqlite:///…`) and where artifacts go (`s3://…`).
    """
    store, artifacts = arguments
    key = os.environ.pop(KEY_VARIABLE)
    from mlflow.server import app, handlers
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log_request(self, *_: object) -> None:
            """Nothing: the journal has every request."""

    handlers.initialize_backend_stores(store, store, artifacts)
    guarded = _guard(app, key)
    server = make_server("127.0.0.1", 0, guarded, threaded=True, request_handler=Quiet)
    print(f"{READY}{server.server_port}", flush=True)
    server.serve_forever()


def _guard(application: Application, key: str) -> Application:
    """The application for those alone who send the key."""
    variable = "HTTP_" + KEY_HEADER.upper().replace("-", "_")

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not hmac.compare_digest(environ.get(variable, ""), key):
            start_response("403 Forbidden", [("Content-Length", "0")])
            return [b""]
        return application(environ, start_response)

    return guarded


if __name__ == "__main__":
    main(sys.argv[1:])
