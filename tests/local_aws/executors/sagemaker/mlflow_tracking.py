"""The tracking server behind one MLflow app: started, asked, ended."""

from __future__ import annotations

import contextlib
import http.client
import secrets
import sys
import threading
from collections import deque
from pathlib import Path

from ... import account, processes
from ...gateway import Relayed
from .mlflow_server import KEY_HEADER, KEY_VARIABLE, READY

_PROGRAM = Path(__file__).with_name("mlflow_server.py")
_SECONDS_TO_START = 180.0
_SECONDS_TO_ANSWER = 60.0
_KEPT_LINES = 20
_PASSED_HEADERS = ("Content-Type", "Accept")


class TrackingServer:
    """One process of MLflow's.

    Args:
        region, name: for whom it calls S3.
        store: the SQLite file with experiments and runs; made if it is not there.
        artifacts: the S3 URI below which artifacts go.
    """

    def __init__(self, region: str, name: str, store: Path, artifacts: str) -> None:
        self._region, self._name = region, name
        self._store, self._artifacts = store, artifacts
        self._key = secrets.token_urlsafe(24)
        self._ready = threading.Event()
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._closing = contextlib.ExitStack()
        self._process: processes.Running | None = None
        self._port = 0

    @property
    def last_line(self) -> str:
        """The last line that the process has written, which says why it has ended."""
        return self._lines[-1] if self._lines else "it wrote nothing"

    def start(self, stop: threading.Event) -> bool:
        """Start the process and wait for it. Whether it answers; False also if `stop` was set."""
        folder = self._closing.enter_context(processes.temporary_directory("mlflow"))
        variables = processes.job_environment(self._region, self._name)
        self._closing.callback(account.remove_access_key, variables["AWS_ACCESS_KEY_ID"])
        # -P: the folder of the program has modules with the names of packages, MLflow's among them.
        command = [sys.executable, "-P", str(_PROGRAM), f"sqlite:///{self._store}", self._artifacts]
        self._process = processes.start(
            command,
            folder=folder,
            environ=variables | {KEY_VARIABLE: self._key},
            on_line=self._read_line,
        )
        waited = 0.0
        while not self._ready.wait(0.05):
            waited += 0.05
            if not self._process.alive or stop.is_set() or waited > _SECONDS_TO_START:
                return False
        return True

    def stop(self) -> None:
        """End the process."""
        if self._process:
            self._process.stop()
        self._closing.close()

    def request(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Relayed:
        """Send one request of a client's and return MLflow's answer.

        Raises:
            OSError: the server does not answer; TimeoutError if it does not in a minute.
        """
        passed = {name: headers[name] for name in _PASSED_HEADERS if headers.get(name)}
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_SECONDS_TO_ANSWER)
        with contextlib.closing(connection):
            connection.request(method, path, body, passed | {KEY_HEADER: self._key})
            response = connection.getresponse()
            content = response.read()
        kind = response.getheader("Content-Type", "application/json")
        answer = [("Content-Type", kind), ("Content-Length", str(len(content)))]
        return Relayed(response.status, answer, [content])

    def _read_line(self, line: str) -> None:
        if line.startswith(READY):
            self._port = int(line.removeprefix(READY))
            self._ready.set()
        elif line:
            self._lines.append(line)
