"""MLflow apps: MLflow's own tracking server for each, from Creating until it is deleted.

Experiments, runs, parameters and metrics lie in the server's database; artifacts go to S3, where
the client writes them itself, as on AWS. The client (package sagemaker-mlflow) names the app in a
header of every request and signs it; `answer` hands it to the server of that app.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import http.client
import json
import sys
import threading
import time
import uuid
from dataclasses import replace
from importlib import metadata
from typing import Any
from urllib.parse import quote

from ... import account, journal, processes, storage
from ...gateway import AWSError, Call, Passage, Relayed, handles, passes
from ...jobs import Job
from ...storage import S3Location
from .common import TAGS, arn, only_here, page, require_role, set_tags, without_empty
from .mlflow_tracking import TrackingServer

# ARN -> App
APPS = account.table()

_SETTINGS = ("ModelRegistrationMode", "AccountDefaultStatus", "WeeklyMaintenanceWindowStart")
_DEFAULTS = {
    "ModelRegistrationMode": "AutoModelRegistrationDisabled",
    "AccountDefaultStatus": "DISABLED",
}


@handles("sagemaker", "CreateMlflowApp")
def create(call: Call) -> dict[str, Any]:
    """Start MLflow; the app is Creating until it answers. The name must be free in the region."""
    params = call.params
    _check_settings(params)
    require_role(params["RoleArn"])
    _refuse_taken_name(call, params["Name"])
    app = App(call, arn(call, "mlflow-app", f"app-{_new_id()}"))
    set_tags(app.arn, params.get("Tags"))
    APPS[app.arn] = app
    app.deploy(app.artifacts, "Creating", "Created", "CreateFailed")
    return {"Arn": app.arn}


@handles("sagemaker", "DescribeMlflowApp")
def describe(call: Call) -> dict[str, Any]:
    """The app as it stands."""
    return _get(call).describe()


@handles("sagemaker", "ListMlflowApps")
def list_(call: Call) -> dict[str, Any]:
    """The apps, newest first."""
    params = call.params
    members = ("Arn", "Name", "Status", "CreationTime", "LastModifiedTime", "MlflowVersion")
    wanted = {
        name: params[name] for name in ("MlflowVersion", "AccountDefaultStatus") if name in params
    }
    summaries = []
    for app in list(APPS.values()):
        described = app.describe()
        is_wanted = all(described[name] == value for name, value in wanted.items())
        if app.region == call.region and is_wanted and "DefaultForDomainId" not in params:
            summaries.append({member: described[member] for member in members})
    # This operation has names of its own for the filters that all listings share.
    renamed = {
        "StatusEquals": params.get("Status"),
        "CreationTimeAfter": params.get("CreatedAfter"),
        "CreationTimeBefore": params.get("CreatedBefore"),
    }
    given = {name: value for name, value in renamed.items() if value is not None}
    asked = replace(call, params=params | given)
    return page(asked, "Summaries", summaries, name="Name", status="Status")


@handles("sagemaker", "UpdateMlflowApp")
def update(call: Call) -> dict[str, Any]:
    """Change the app; MLflow is started anew if artifacts are to go elsewhere."""
    app, params = _get(call), call.params
    app.require("Created", "Updated", "UpdateFailed")
    _check_settings(params)
    if params.get("Name", app.name) != app.name:
        _refuse_taken_name(call, params["Name"])
    app.update({name: params[name] for name in ("Name", *_SETTINGS) if name in params})
    if params.get("ArtifactStoreUri", app.artifacts) != app.artifacts:
        app.deploy(params["ArtifactStoreUri"], "Updating", "Updated", "UpdateFailed")
    return {"Arn": app.arn}


@handles("sagemaker", "DeleteMlflowApp")
def delete(call: Call) -> dict[str, Any]:
    """End MLflow and forget its experiments; the artifacts in S3 stay."""
    app = _get(call)
    APPS.pop(app.arn, None)
    TAGS.pop(app.arn, None)
    app.close()
    return {"Arn": app.arn}


@passes("HTTP_X_SM_MLFLOW_APP_ARN")
def answer(passage: Passage) -> Relayed:
    """Let the app's MLflow answer a request of its REST API.

    One IAM action covers all of the API: `sagemaker:CallMlflowAppApi` on the app.
    """
    started = time.perf_counter()
    resource = passage.environ["HTTP_X_SM_MLFLOW_APP_ARN"]
    method, path = passage.environ["REQUEST_METHOD"], passage.environ["PATH_INFO"]
    app = APPS.get(resource)
    refusal = None
    if app is None or app.region != passage.region:
        refusal = f"There is no MLflow app {resource} in {passage.region}."
    elif not app.answers:
        refusal = f"The MLflow app {resource} is {app.status}; wait until it is Created."
    relayed = _refused(refusal) if refusal else app.request(passage)
    journal.note(
        "sagemaker",
        "CallMlflowAppApi",
        {"Arn": resource, "Method": method, "Path": path},
        passage.region,
        passage.caller,
        status=relayed.status,
        error="AccessDeniedException" if refusal else None,
        milliseconds=1000 * (time.perf_counter() - started),
    )
    return relayed


@passes("HTTP_X_MLFLOW_SM_TRACKING_SERVER_ARN")
def answer_for_server(passage: Passage) -> Relayed:
    """Refuse: there are no tracking servers (CreateMlflowTrackingServer answers 501), only apps."""
    resource = passage.environ["HTTP_X_MLFLOW_SM_TRACKING_SERVER_ARN"]
    return _refused(f"There is no {resource}: the offline AWS has MLflow apps only.")


@account.on_reset
def close_all() -> None:
    """End all of MLflow."""
    for app in list(APPS.values()):
        app.close()


def _new_id() -> str:
    """Twelve capital letters and digits, as AWS names apps."""
    return base64.b32encode(uuid.UUID(account.new_id()).bytes).decode()[:12]


def _get(call: Call) -> App:
    app = APPS.get(call.params["Arn"])
    if app is None or app.region != call.region:
        raise AWSError("ResourceNotFound", f"MlflowApp {call.params['Arn']} does not exist.")
    return app


def _refuse_taken_name(call: Call, name: str) -> None:
    for app in list(APPS.values()):
        if app.region == call.region and app.name == name:
            message = f"MlflowApp with name {name} already exists: {app.arn}."
            raise AWSError("ResourceInUse", message)


def _check_settings(params: dict[str, Any]) -> None:
    """Refuse a bucket that is not there, and what would only be written down."""
    if "ArtifactStoreUri" in params:
        bucket = S3Location.parse(params["ArtifactStoreUri"]).bucket
        if bucket not in storage.bucket_names():
            raise AWSError(
                "ValidationException",
                f"The bucket {bucket} of ArtifactStoreUri does not exist. Create it first.",
            )
    if params.get("ModelRegistrationMode") == "AutoModelRegistrationEnabled":
        raise only_here("automatic registration of models (ModelRegistrationMode)")
    if params.get("DefaultDomainIdList"):
        raise only_here("SageMaker domains (DefaultDomainIdList)")


def _refused(reason: str, code: str = "PERMISSION_DENIED") -> Relayed:
    # MLflow's client reports this status at once; it would repeat a request after a 5xx.
    body = json.dumps({"error_code": code, "message": reason}).encode()
    kind = "application/json"
    headers = [("Content-Type", kind), ("Content-Length", str(len(body)))]
    return Relayed(403, headers, [body])


class App:
    """One app, and the tracking server that answers for it."""

    def __init__(self, call: Call, resource: str) -> None:
        params = call.params
        self.region, self.arn = call.region, resource
        self.artifacts: str = params["ArtifactStoreUri"]
        self._lock = threading.Lock()
        self._closing = contextlib.ExitStack()
        self._store = self._closing.enter_context(processes.temporary_directory("mlflow-store"))
        self._server: TrackingServer | None = None
        self._job: Job | None = None
        self._is_closed = False
        now = account.now()
        kept = ("Name", "RoleArn", "KmsKeyId", *_SETTINGS)
        self._state: dict[str, Any] = _DEFAULTS | {
            "Arn": resource,
            "MlflowVersion": metadata.version("mlflow"),
            "Status": "Creating",
            "CreationTime": now,
            "LastModifiedTime": now,
        }
        self._state |= {name: params[name] for name in kept if name in params}

    @property
    def name(self) -> str:
        """The name that it was given."""
        return self._state["Name"]

    @property
    def status(self) -> str:
        """The app's status in SageMaker's words."""
        return self._state["Status"]

    @property
    def answers(self) -> bool:
        """Whether there is a server: also while an update starts the next one."""
        return self._server is not None

    def describe(self) -> dict[str, Any]:
        """What DescribeMlflowApp says."""
        with self._lock:
            described = copy.deepcopy(self._state) | {"ArtifactStoreUri": self.artifacts}
        return without_empty(described)

    def require(self, *statuses: str) -> None:
        """Raise ConflictException unless the app has one of these statuses."""
        if self.status not in statuses:
            message = f"MlflowApp {self.arn} cannot be updated while it is {self.status}."
            raise AWSError("ConflictException", message)

    def update(self, settings: dict[str, Any]) -> None:
        """Take over settings that need no other server."""
        with self._lock:
            self._state |= settings | {"Status": "Updated", "LastModifiedTime": account.now()}

    def deploy(self, artifacts: str, during: str, after: str, failed: str) -> None:
        """Start a server and let it take over; the statuses during, after, and if it fails.

        Args:
            artifacts: where experiments that are made from now on put theirs.
        """
        self._settle(during)
        self._job = Job(self.name, self.region, status=during, failed=failed)
        self._job.start(lambda job: self._deploy(job, artifacts, after, failed))

    def request(self, passage: Passage) -> Relayed:
        """Hand a request to the server."""
        server, environ = self._server, passage.environ
        path = quote(environ["PATH_INFO"].encode("latin-1"))
        if environ.get("QUERY_STRING"):
            path = f"{path}?{environ['QUERY_STRING']}"
        headers = {"Content-Type": environ.get("CONTENT_TYPE", "")}
        headers["Accept"] = environ.get("HTTP_ACCEPT", "")
        if server is None:
            return _refused(f"The MLflow app {self.arn} is {self.status}.")
        try:
            return server.request(environ["REQUEST_METHOD"], path, passage.body, headers)
        except (OSError, http.client.HTTPException) as error:
            reason = f"MLflow of {self.arn} does not answer ({error}); delete the app and make it"
            return _refused(
                f"{reason} anew. The last it wrote: {server.last_line}", "INTERNAL_ERROR"
            )

    def close(self) -> None:
        """End the server, also one that is starting, and remove the experiments."""
        with self._lock:
            self._is_closed = True
            self._state["Status"] = "Deleting"
            server, self._server = self._server, None
        if self._job:
            self._job.stop()
            self._job.join(10)
        if server:
            server.stop()
        self._closing.close()

    def _deploy(self, job: Job, artifacts: str, after: str, failed: str) -> None:
        database = self._store / "mlflow.db"
        server = TrackingServer(self.region, self.name, database, artifacts)
        is_up = False
        try:
            is_up = server.start(job.stop_requested)
        finally:
            replaced: TrackingServer | None = server
            with self._lock:
                if is_up and not self._is_closed:
                    replaced, self._server = self._server, server
                    self.artifacts = artifacts
            if replaced:
                replaced.stop()
            self._settle(after if is_up else failed)
        if not is_up and not job.stop_requested.is_set():
            print(f"MLflow of {self.arn} did not start: {server.last_line}", file=sys.stderr)

    def _settle(self, status: str) -> None:
        with self._lock:
            if not self._is_closed:
                self._state |= {"Status": status, "LastModifiedTime": account.now()}
