"""Job runs: a script from S3, run as Glue runs it, with its states, its logs and its bill.

Spark scripts run on real Spark (see `spark`), Python shell scripts in a process of their own. Both
get the arguments that Glue gives, and call AWS in the name of the job's role.
https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-glue-arguments.html
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ... import account, event_bus, identity, processes, storage
from ...errors import AWSError
from ...jobs import Job
from ...logs import LogStream
from ...storage import S3Location
from . import launcher
from .spark import Staging

LOG_GROUP = "/aws-glue/jobs"
ENDED = ("SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT")
# DPUs of one worker: https://docs.aws.amazon.com/glue/latest/dg/add-job.html
DPUS = {"Standard": 1.0, "G.025X": 0.25, "G.1X": 1.0, "G.2X": 2.0, "G.4X": 4.0, "G.8X": 8.0}
_LONGEST_MESSAGE = 1024

# Called with each run that has ended: triggers and workflows wait for them.
on_end: list[Callable[[JobRun], None]] = []


@dataclass
class JobRun:
    """One run of a job.

    Attributes:
        definition: the job as it was when the run began.
        params: what StartJobRun was given.
        trigger: the name of the trigger that started it; None if a client did.
        workflow_run: the id of the workflow run that it belongs to, if any.
    """

    region: str
    definition: dict[str, Any]
    params: dict[str, Any]
    trigger: str | None = None
    workflow_run: str | None = None
    workflow: str | None = None
    attempt: int = 0
    previous: str | None = None
    id: str = field(default_factory=lambda: f"jr_{_digest(account.new_id())}")
    state: str = "STARTING"
    error: str | None = None
    started: datetime = field(default_factory=account.now)
    running_since: datetime | None = None
    completed: datetime | None = None

    def __post_init__(self) -> None:
        self.name: str = self.definition["Name"]
        self.caller = self.definition["Role"].rpartition("/")[2] + "/GlueJobRunnerSession"
        self._job = Job(self.name, self.region, status="STARTING", failed="FAILED")
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin; returns at once."""
        self._job.start(lambda _: self._run())

    def stop(self) -> None:
        """Ask the run to end."""
        with self._lock:
            if self.state in ENDED:
                return
            self.state = "STOPPING"
        self._job.stop()

    def join(self) -> None:
        """Wait for the end."""
        self._job.join()

    @property
    def arguments(self) -> dict[str, str]:
        """The job's default arguments with the run's over them."""
        fixed = self.definition.get("NonOverridableArguments", {})
        given = self.params.get("Arguments", {})
        return {**self.definition.get("DefaultArguments", {}), **given, **fixed}

    @property
    def minutes(self) -> float:
        """After how long the run is ended."""
        return self.params.get("Timeout") or self.definition["Timeout"]

    def setting(self, name: str) -> Any:
        """A setting of the run, or else of the job."""
        return self.params.get(name, self.definition.get(name))

    @property
    def capacity(self) -> float:
        """The DPUs of the run."""
        worker = self.setting("WorkerType")
        if worker in DPUS and self.setting("NumberOfWorkers"):
            return DPUS[worker] * self.setting("NumberOfWorkers")
        return self.setting("MaxCapacity")

    def describe(self) -> dict[str, Any]:
        """What GetJobRun says."""
        until = self.completed or account.now()
        seconds = (until - self.running_since).total_seconds() if self.running_since else 0
        found = {
            "Id": self.id,
            "Attempt": self.attempt,
            "PreviousRunId": self.previous,
            "TriggerName": self.trigger,
            "JobName": self.name,
            "JobMode": "SCRIPT",
            "StartedOn": self.started,
            "LastModifiedOn": self.completed or self.running_since or self.started,
            "CompletedOn": self.completed,
            "JobRunState": self.state,
            "Arguments": self.params.get("Arguments"),
            "ErrorMessage": self.error,
            "PredecessorRuns": [],
            "AllocatedCapacity": int(self.capacity),
            "ExecutionTime": int(seconds) if self.state in ENDED else 0,
            "Timeout": int(self.minutes),
            "MaxCapacity": float(self.capacity),
            "WorkerType": self.setting("WorkerType"),
            "NumberOfWorkers": self.setting("NumberOfWorkers"),
            "LogGroupName": LOG_GROUP,
            "GlueVersion": self.definition["GlueVersion"],
            "ExecutionClass": self.setting("ExecutionClass"),
        }
        return {key: value for key, value in found.items() if value is not None}

    # ── the work ─────────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        try:
            if not identity.trusts(self._role_arn(), "glue.amazonaws.com"):
                raise AWSError("AccessDenied", f"Glue cannot assume the role {self._role_arn()}.")
            with processes.temporary_directory(f"glue-{self.name}") as folder:
                self._run_script(folder)
        except AWSError as error:
            self._end("FAILED", f"{error.code}: {error.message}")
        except Exception as error:
            self._end("FAILED", f"InternalServiceError: {type(error).__name__}: {error}")
            raise

    def _role_arn(self) -> str:
        role = identity.find_role(self.definition["Role"])
        return role.arn if role else self.definition["Role"]

    def _run_script(self, folder: Path) -> None:
        command = self.definition["Command"]
        script = self._fetch(command["ScriptLocation"], folder / "script")
        environ = processes.job_environment(self.region, self.caller)
        environ["PYTHONPATH"] = os.pathsep.join(self._libraries(folder))
        staging = None
        if command["Name"] == "glueetl":
            texts = [script.read_text(errors="replace"), *self.arguments.values()]
            staging = Staging(folder / "s3", texts, self.caller)
            staging.fill()
            environ |= staging.environment(folder, self.arguments.get("--conf"))
        output = LogStream(self.region, f"{LOG_GROUP}/output", self.id, self.caller)
        with self._lock:
            if self.state == "STARTING":
                self.state, self.running_since = "RUNNING", account.now()
        outcome = processes.run(
            [sys.executable, launcher.__file__, str(folder), str(script), *self._words()],
            folder=folder,
            environ=environ,
            on_line=output.write,
            timeout=self.minutes * 60,
            stop=self._job.stop_requested,
        )
        # What a script has written before it failed stays where it is, as on AWS.
        if staging:
            staging.send_back()
        self._log_errors(folder)
        if self._job.stop_requested.is_set():
            self._end("STOPPED")
        elif outcome.timed_out:
            self._end("TIMEOUT", "Job run exceeded its Timeout.")
        elif outcome.returncode:
            self._end("FAILED", self._said(folder, outcome.returncode))
        else:
            self._end("SUCCEEDED")

    def _fetch(self, uri: str, folder: Path) -> Path:
        location = S3Location.parse(uri)
        path = folder / location.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(storage.read(location, self.caller))
        return path

    def _libraries(self, folder: Path) -> list[str]:
        """Where the modules of `--extra-py-files` are, and that the others are installed."""
        wanted = self.arguments.get("--additional-python-modules", "")
        for module in filter(None, (each.strip() for each in wanted.split(","))):
            name = re.split(r"[=<>!~\[ ]", module)[0]
            try:
                importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                raise AWSError(
                    "CommandFailedException",
                    f"--additional-python-modules names {module}, which is not installed here; "
                    "the offline AWS installs nothing.",
                ) from None
        found = []
        for number, uri in enumerate(self.arguments.get("--extra-py-files", "").split(",")):
            if uri.strip():
                path = self._fetch(uri.strip(), folder / "libraries" / str(number))
                found.append(str(path if path.suffix in (".zip", ".egg", ".whl") else path.parent))
        return found

    def _words(self) -> list[str]:
        """The command line that Glue gives a script, for `getResolvedOptions`."""
        words = []
        for key, value in self.arguments.items():
            words += [key, value]
        words += ["--JOB_ID", f"j_{_digest(self.name)}", "--JOB_RUN_ID", self.id]
        words += ["--JOB_NAME", self.name]
        if self.workflow:
            words += [
                "--WORKFLOW_NAME",
                self.workflow,
                "--WORKFLOW_RUN_ID",
                self.workflow_run or "",
            ]
        return words

    def _log_errors(self, folder: Path) -> None:
        path = folder / "stderr"
        if path.is_file():
            lines = path.read_text(errors="replace").splitlines()
            LogStream(self.region, f"{LOG_GROUP}/error", self.id, self.caller).write_lines(lines)

    def _said(self, folder: Path, returncode: int) -> str:
        path = folder / "error"
        if path.is_file():
            return path.read_text()[:_LONGEST_MESSAGE]
        return f"Command failed with exit code {returncode}"

    def _end(self, state: str, error: str | None = None) -> None:
        self.error, self.completed = error, account.now()
        self.running_since = self.running_since or self.started
        self._job.status = self.state = state
        retry = None
        if state == "FAILED" and self.attempt < self.definition.get("MaxRetries", 0):
            retry = JobRun(
                self.region,
                self.definition,
                self.params,
                self.trigger,
                self.workflow_run,
                self.workflow,
                attempt=self.attempt + 1,
                previous=self.id,
            )
        self._tell()
        for listener in on_end:
            listener(self)
        if retry:
            add(retry)
            retry.start()

    def _tell(self) -> None:
        severity = "INFO" if self.state == "SUCCEEDED" else "ERROR"
        detail = {
            "jobName": self.name,
            "severity": severity,
            "state": self.state,
            "jobRunId": self.id,
            "message": self.error or "Job run succeeded",
        }
        event_bus.emit(self.region, "aws.glue", "Glue Job State Change", [], detail)


# (region, job name) -> its runs, oldest first
_runs: dict[tuple[str, str], list[JobRun]] = account.table()


def add(run: JobRun) -> None:
    """Remember a run."""
    _runs.setdefault((run.region, run.name), []).append(run)


def of_job(region: str, name: str) -> list[JobRun]:
    """The runs of a job, oldest first."""
    return list(_runs.get((region, name), []))


def forget(region: str, name: str) -> None:
    """Drop the record of a job's runs."""
    _runs.pop((region, name), None)


def find(region: str, name: str, run_id: str) -> JobRun | None:
    """A run by its id."""
    return next((run for run in of_job(region, name) if run.id == run_id), None)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
