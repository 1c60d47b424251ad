"""Job runs: a script from S3, run as Glue runs it (see `scripts`), with its states and its bill.

Spark scripts run on real Spark (see `spark`), Python shell scripts in a process of their own. Both
get the arguments that Glue gives, and call AWS in the name of the job's role.
https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-jobs-runs.html
"""

from __future__ import annotations

import hashlib
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ... import account, event_bus, identity, processes
from ...errors import AWSError
from ...jobs import Job
from . import scripts

ENDED = ("SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT")
# DPUs of one worker: https://docs.aws.amazon.com/glue/latest/dg/worker-types.html
DPUS = {
    "Standard": 1.0,
    "G.025X": 0.25,
    "G.1X": 1.0,
    "G.2X": 2.0,
    "G.4X": 4.0,
    "G.8X": 8.0,
    "Z.2X": 2.0,
}
_SEVERITIES = {"SUCCEEDED": "INFO", "STOPPED": "INFO", "TIMEOUT": "WARN", "FAILED": "ERROR"}

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
        settled: whether all who wait for its end have been told.
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
    settled: bool = False

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
    def stop_requested(self) -> threading.Event:
        """Set when the run is to end."""
        return self._job.stop_requested

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
        if "MaxCapacity" in self.params and name in ("WorkerType", "NumberOfWorkers"):
            return None
        return self.params.get(name, self.definition.get(name))

    @property
    def capacity(self) -> float:
        """The DPUs of the run."""
        worker = self.setting("WorkerType")
        if worker and self.setting("NumberOfWorkers"):
            return DPUS[worker] * self.setting("NumberOfWorkers")
        return self.setting("MaxCapacity")

    def describe(self) -> dict[str, Any]:
        """What GetJobRun says."""
        until = self.completed or account.now()
        seconds = (until - self.running_since).total_seconds() if self.running_since else 0
        scales = self.arguments.get("--enable-auto-scaling", "false").lower() == "true"
        metered = scales or self.setting("ExecutionClass") == "FLEX"
        group = scripts.LOG_GROUPS.get(self.definition["Command"]["Name"], "/aws-glue/jobs")
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
            "LogGroupName": group,
            "GlueVersion": self.definition["GlueVersion"],
            "DPUSeconds": self.capacity * seconds if metered and self.completed else None,
            "ExecutionClass": self.setting("ExecutionClass"),
            "NotificationProperty": self.setting("NotificationProperty"),
            "SecurityConfiguration": self.setting("SecurityConfiguration"),
        }
        return {key: value for key, value in found.items() if value is not None}

    # ── the work ─────────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        self._end(*self._outcome())

    def _outcome(self) -> tuple[str, str | None]:
        try:
            if not identity.trusts(self._role_arn(), "glue.amazonaws.com"):
                raise AWSError("AccessDenied", f"Glue cannot assume the role {self._role_arn()}.")
            with processes.temporary_directory(f"glue-{self.name}") as folder:
                return scripts.run(self, folder, self._begun)
        except scripts.Failed as failure:
            return "FAILED", str(failure)
        except AWSError as error:
            return "FAILED", f"{error.code}: {error.message}"
        except Exception as error:
            traceback.print_exc()
            return "FAILED", f"InternalServiceError: {type(error).__name__}: {error}"

    def _role_arn(self) -> str:
        role = identity.find_role(self.definition["Role"])
        return role.arn if role else self.definition["Role"]

    def _begun(self) -> None:
        with self._lock:
            if self.state == "STARTING":
                self.state, self.running_since = "RUNNING", account.now()

    def fail(self, error: str) -> None:
        """Let a run that cannot start be seen as failed."""
        self._end("FAILED", error, may_retry=False)

    def _end(self, state: str, error: str | None, *, may_retry: bool = True) -> None:
        with self._lock:
            if self.stop_requested.is_set():
                state, error = "STOPPED", None
            self.error, self.completed = error, account.now()
            self.running_since = self.running_since or self.started
            self._job.status = self.state = state
        retry = None
        may_retry = may_retry and state == "FAILED"
        if may_retry and self.attempt < self.definition.get("MaxRetries", 0):
            # It is there before anybody hears of the failure: what it belongs to is not over.
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
            add(retry)
        self._tell()
        for listener in on_end:
            listener(self)
        if retry:
            retry.start()

    def _tell(self) -> None:
        detail = {
            "jobName": self.name,
            "severity": _SEVERITIES[self.state],
            "state": self.state,
            "jobRunId": self.id,
            "message": self.error or f"Job run {self.state.lower()}",
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


def of_workflow_run(workflow_run: str) -> list[JobRun]:
    """The runs that belong to a run of a workflow."""
    return [
        run for found in list(_runs.values()) for run in found if run.workflow_run == workflow_run
    ]


def find(region: str, name: str, run_id: str) -> JobRun | None:
    """A run by its id."""
    return next((run for run in of_job(region, name) if run.id == run_id), None)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
