"""A model server in a process of its own, and the connections to it."""

from __future__ import annotations

import contextlib
import http.client
import queue
import secrets
import socket
import tarfile
import threading
from collections.abc import Callable
from typing import Any

from ... import account, containers, processes, storage
from ...containers.opt_ml import OptMl, unpack
from ...containers.serving import KEY_HEADER, KEY_VARIABLE, READY
from ...gateway import AWSError
from ...storage import S3Location
from . import inputs, models, runner

_SECONDS_TO_START = 120.0
_SECONDS_TO_ANSWER = 60.0
_KEPT_CONNECTIONS = 16


class ModelServer:
    """The server of one container of a model.

    Args:
        container: its definition, as CreateModel had it.
        region, name: for whom it calls AWS.
        on_line: gets what it prints.
    """

    def __init__(
        self,
        container: dict[str, Any],
        region: str,
        name: str,
        on_line: Callable[[str], None],
    ) -> None:
        self._container, self._region, self._name = container, region, name
        self._on_line = on_line
        self._key = secrets.token_urlsafe(24)
        self._closing = contextlib.ExitStack()
        self._ready = threading.Event()
        self._port = 0
        self._process: processes.Running | None = None
        self._idle: queue.LifoQueue[http.client.HTTPConnection] = queue.LifoQueue()
        self.ml: OptMl | None = None

    def start(self, stop: threading.Event) -> bool:
        """Fetch the artifact, start the server and wait for `/ping`. Whether it answers.

        Raises:
            AWSError: the artifact is not there or is no archive.
        """
        folder = self._closing.enter_context(processes.temporary_directory(f"model-{self._name}"))
        self.ml = ml = OptMl(folder)
        (ml.path / "model").mkdir()
        self._fetch_artifact(ml)
        image = containers.resolve(self._container.get("Image", ""))
        given = {key: value for key, value in self._container.get("Environment", {}).items()}
        self._fetch_code(ml, given)
        variables = runner.job_variables(ml, self._region, self._name, given)
        variables[KEY_VARIABLE] = self._key
        access_key = variables["AWS_ACCESS_KEY_ID"]
        self._closing.callback(account.remove_access_key, access_key)
        self._process = processes.start(
            [*image.serve_command(), str(ml.path), image.framework],
            folder=ml.root,
            environ=variables,
            on_line=self._read_line,
        )
        waited = 0.0
        while not self._ready.wait(0.05):
            waited += 0.05
            if not self._process.alive or stop.is_set() or waited > _SECONDS_TO_START:
                return False
        status, _, _ = self.request("GET", "/ping", b"", {})
        return status == 200

    def stop(self) -> None:
        """End the server and remove its files."""
        if self._process:
            self._process.stop()
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                break
        self._closing.close()

    def request(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, bytes, str]:
        """Send one request. Returns status, body and content type of the answer.

        Raises:
            OSError: the server does not answer; TimeoutError if it does not in a minute.
        """
        headers = headers | {KEY_HEADER: self._key}
        connection, is_fresh = self._connection()
        try:
            answer = self._exchange(connection, method, path, body, headers)
        except TimeoutError:
            connection.close()
            raise
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            if is_fresh:
                raise OSError(str(error)) from error
            connection = self._connect()  # The kept connection had been closed; this one is new.
            answer = self._exchange(connection, method, path, body, headers)
        if self._idle.qsize() < _KEPT_CONNECTIONS:
            self._idle.put(connection)
        else:
            connection.close()
        return answer

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes,
        headers: dict[str, str],
    ) -> tuple[int, bytes, str]:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read(), response.getheader("Content-Type", "")

    def _connection(self) -> tuple[http.client.HTTPConnection, bool]:
        try:
            return self._idle.get_nowait(), False
        except queue.Empty:
            return self._connect(), True

    def _connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_SECONDS_TO_ANSWER)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _read_line(self, line: str) -> None:
        if line.startswith(READY):
            self._port = int(line.removeprefix(READY))
            self._ready.set()
        else:
            self._on_line(self.ml.outward(line) if self.ml else line)

    def _fetch_artifact(self, ml: OptMl) -> None:
        uri = models.artifact_uri(self._container)
        if uri is None:
            return
        folder = ml.path / "model"
        source = self._container.get("ModelDataSource", {}).get("S3DataSource", {})
        try:
            if source.get("CompressionType") == "None":
                count = inputs.download("S3Prefix", uri, folder, self._name)
                if count == 0:
                    raise AWSError("ClientError", f"No objects under {uri}")
            else:
                unpack(storage.read(S3Location.parse(uri), self._name), folder)
        except AWSError as error:
            raise AWSError(
                "ClientError",
                f'Failed to download model data for container "container_1" from URL: "{uri}". '
                "Please ensure that there is an object located at the URL and that the role "
                "passed to CreateModel has permissions to download the model.",
            ) from error
        except tarfile.TarError as error:
            raise AWSError(
                "ClientError",
                f"Failed to extract model data archive from URL {uri}. "
                f"The model data archive is invalid or corrupt: {error}",
            ) from error
        code = folder / "code"
        if code.is_dir():
            ml.adopt_code(code)

    def _fetch_code(self, ml: OptMl, given: dict[str, str]) -> None:
        """Unpack the archive with the script, if the model names one in S3."""
        uri = given.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
        if not uri.startswith("s3://"):
            return
        code = ml.path / "code"
        try:
            unpack(storage.read(S3Location.parse(uri), self._name), code)
        except (AWSError, tarfile.TarError) as error:
            raise AWSError(
                "ClientError", f"SAGEMAKER_SUBMIT_DIRECTORY {uri} is not an archive: {error}"
            ) from error
        ml.adopt_code(code)
