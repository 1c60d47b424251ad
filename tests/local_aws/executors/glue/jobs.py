"""Glue jobs: what is defined, and what has been asked to run.

https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-jobs-job.html
https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-jobs-runs.html
"""

from __future__ import annotations

import threading
from typing import Any

from ... import account, identity
from ...errors import AWSError
from ...gateway import Call, handles
from . import runs, tagging
from .pages import page
from .runs import ENDED, JobRun

_ENDED_VERSIONS = ("0.9", "1.0", "2.0")
_VERSIONS = ("3.0", "4.0", "5.0", "5.1", "6.0")
_SPARK_MINUTES, _SHELL_MINUTES, _LONGEST_MINUTES = 480, 2880, 7 * 24 * 60
_COMMANDS = ("glueetl", "gluestreaming", "glueray", "pythonshell")
_MOST_RETRIES = 10
_CAPACITY = ("WorkerType", "NumberOfWorkers", "MaxCapacity")

# (region, name) -> definition, in the members of Glue's Job
_jobs: dict[tuple[str, str], dict[str, Any]] = account.table()
_starting = threading.Lock()


# ── definitions ──────────────────────────────────────────────────────────────────────────────────


@handles("glue", "CreateJob")
def create(call: Call) -> dict[str, Any]:
    """Define a job. Asked for twice with the same settings, it is there."""
    given = {key: value for key, value in call.params.items() if key != "Tags"}
    name = given["Name"]
    job = _completed(given)
    existing = _jobs.get((call.region, name))
    if existing:
        if {key: existing.get(key) for key in job} != job:
            raise AWSError(
                "IdempotentParameterMismatchException",
                f"Idempotency token mismatch: {name} already submitted with different "
                "configuration",
            )
        return {"Name": name}
    _check(call, job)
    now = account.now()
    _jobs[call.region, name] = {**job, "CreatedOn": now, "LastModifiedOn": now}
    tagging.tag(call.region, "job", name, call.params.get("Tags"))
    return {"Name": name}


@handles("glue", "UpdateJob")
def update(call: Call) -> dict[str, Any]:
    """Put a new definition in the place of the old one, whole."""
    name = call.params["JobName"]
    old = get_job(call.region, name)
    job = _completed({"Name": name, **call.params["JobUpdate"]})
    if "Command" not in job or "Role" not in job:
        raise _invalid("Command and Role must be given: an update replaces the definition whole.")
    _check(call, job)
    _jobs[call.region, name] = {
        **job,
        "CreatedOn": old["CreatedOn"],
        "LastModifiedOn": account.now(),
    }
    return {"JobName": name}


@handles("glue", "GetJob")
def get(call: Call) -> dict[str, Any]:
    """One job."""
    return {"Job": get_job(call.region, call.params["JobName"])}


@handles("glue", "GetJobs")
def get_many(call: Call) -> dict[str, Any]:
    """All jobs."""
    return page(call, "Jobs", _of_region(call.region))


@handles("glue", "ListJobs")
def list_(call: Call) -> dict[str, Any]:
    """The names of the jobs; with `Tags`, of those that carry them."""
    names = [job["Name"] for job in _of_region(call.region)]
    tags = call.params.get("Tags")
    return page(
        call, "JobNames", [name for name in names if tagging.has(call.region, "job", name, tags)]
    )


@handles("glue", "BatchGetJobs")
def batch_get(call: Call) -> dict[str, Any]:
    """Jobs by name, and the names that are none."""
    names = call.params["JobNames"]
    found = [_jobs[call.region, name] for name in names if (call.region, name) in _jobs]
    return {
        "Jobs": found,
        "JobsNotFound": [name for name in names if (call.region, name) not in _jobs],
    }


@handles("glue", "DeleteJob")
def delete(call: Call) -> dict[str, Any]:
    """Forget a job and its runs. A job that is not there is none to complain about."""
    name = call.params["JobName"]
    if _jobs.pop((call.region, name), None):
        for run in runs.of_job(call.region, name):
            run.stop()
        runs.forget(call.region, name)
        tagging.forget(call.region, "job", name)
    return {"JobName": name}


# ── runs ─────────────────────────────────────────────────────────────────────────────────────────


@handles("glue", "StartJobRun")
def start_run(call: Call) -> dict[str, Any]:
    """Start a run, or the failed one named by JobRunId again."""
    params = {key: value for key, value in call.params.items() if key != "JobName"}
    job = get_job(call.region, call.params["JobName"])
    _check_run(job, params)
    again = params.pop("JobRunId", None)
    if again:
        previous = runs.find(call.region, job["Name"], again)
        if previous is None:
            raise _unknown("JobRun", again)
        params = {**previous.params, **params}
    return {"JobRunId": begin(call.region, job["Name"], params, previous=again).id}


def begin(
    region: str, name: str, params: dict[str, Any], *, previous: str | None = None, **origin: Any
) -> JobRun:
    """Start a run of a job.

    Args:
        params: of StartJobRun, such as `Arguments` and `Timeout`.
        previous: the id of a failed run that is run again.
        origin: `trigger`, `workflow`, `workflow_run` of the JobRun.

    Raises:
        AWSError: EntityNotFoundException, or ConcurrentRunsExceededException.
    """
    job = get_job(region, name)
    run = JobRun(region, job, params, previous=previous, **origin)
    with _starting:
        active = [each for each in runs.of_job(region, name) if each.state not in ENDED]
        if len(active) >= job["ExecutionProperty"]["MaxConcurrentRuns"]:
            message = f"Concurrent runs exceeded for {name}"
            raise AWSError("ConcurrentRunsExceededException", message)
        runs.add(run)
    run.start()
    return run


def begin_failed(region: str, name: str, params: dict[str, Any], why: str, **origin: Any) -> None:
    """Show a run that could not begin, and that nobody waits for, as failed."""
    run = JobRun(region, get_job(region, name), params, **origin)
    runs.add(run)
    run.fail(why)


@handles("glue", "GetJobRun")
def get_run(call: Call) -> dict[str, Any]:
    """One run."""
    run = runs.find(call.region, call.params["JobName"], call.params["RunId"])
    if run is None:
        raise _unknown("JobRun", call.params["RunId"])
    return {"JobRun": run.describe()}


@handles("glue", "GetJobRuns")
def get_runs(call: Call) -> dict[str, Any]:
    """The runs of a job, the newest first."""
    get_job(call.region, call.params["JobName"])
    found = runs.of_job(call.region, call.params["JobName"])
    return page(call, "JobRuns", [run.describe() for run in reversed(found)])


@handles("glue", "BatchStopJobRun")
def batch_stop(call: Call) -> dict[str, Any]:
    """Ask runs to end; those that have ended are errors."""
    name = call.params["JobName"]
    stopped, errors = [], []
    for run_id in call.params["JobRunIds"]:
        run = runs.find(call.region, name, run_id)
        if run is None or run.state in ENDED:
            code = "EntityNotFoundException" if run is None else "InvalidInputException"
            message = "Job run not found" if run is None else f"Job run is in state {run.state}"
            detail = {"ErrorCode": code, "ErrorMessage": message}
            errors.append({"JobName": name, "JobRunId": run_id, "ErrorDetail": detail})
            continue
        run.stop()
        stopped.append({"JobName": name, "JobRunId": run_id})
    return {"SuccessfulSubmissions": stopped, "Errors": errors}


# ── what is refused ──────────────────────────────────────────────────────────────────────────────


def _check(call: Call, job: dict[str, Any]) -> None:
    role = identity.find_role(job["Role"])
    if role is None or not identity.trusts(role.arn, "glue.amazonaws.com"):
        raise _invalid(
            f"Role {job['Role']} should be given assume role permissions for Glue Service."
        )
    command = job["Command"]
    if command["Name"] not in _COMMANDS:
        raise _invalid(f"Command {command['Name']} is none of {', '.join(_COMMANDS)}.")
    if not command.get("ScriptLocation", "").startswith("s3://"):
        raise _invalid("The ScriptLocation of a job's command must be in S3.")
    if command["Name"] in ("glueetl", "gluestreaming"):
        if job["GlueVersion"] in _ENDED_VERSIONS:
            raise _invalid(f"Glue version {job['GlueVersion']} has reached its end of life.")
        if job["GlueVersion"] not in _VERSIONS:
            raise _invalid(f"Glue version {job['GlueVersion']} is none of {', '.join(_VERSIONS)}.")
    if job["MaxRetries"] < 0 or job["MaxRetries"] > _MOST_RETRIES:
        raise _invalid(f"MaxRetries must be from 0 to {_MOST_RETRIES}, not {job['MaxRetries']}.")
    _check_timeout(job)
    _check_capacity(job)


def _check_run(job: dict[str, Any], params: dict[str, Any]) -> None:
    """What a run asks for, with what it leaves to the job."""
    _check_timeout(params)
    asked = {key: params[key] for key in _CAPACITY if key in params}
    if "MaxCapacity" not in asked:
        asked = {**{key: job[key] for key in _CAPACITY[:2] if key in job}, **asked}
    if asked:
        _check_capacity({"Command": job["Command"], **asked})


def _check_timeout(settings: dict[str, Any]) -> None:
    minutes = settings.get("Timeout", 1)
    if minutes > _LONGEST_MINUTES:
        raise _invalid(f"Timeout must be at most {_LONGEST_MINUTES} minutes, not {minutes}.")


def _check_capacity(settings: dict[str, Any]) -> None:
    workers = "WorkerType" in settings or "NumberOfWorkers" in settings
    if workers and "MaxCapacity" in settings:
        raise _invalid("Please do not set Max Capacity if using Worker Type and Number of Workers.")
    is_shell = settings["Command"]["Name"] == "pythonshell"
    if is_shell:
        if workers or settings.get("MaxCapacity") not in (0.0625, 1.0):
            raise _invalid("A Python shell job has a MaxCapacity of 0.0625 or 1, and no workers.")
        return
    if not workers:
        if settings.get("MaxCapacity", 2) < 2:
            raise _invalid("MaxCapacity of a Spark job must be at least 2.")
        return
    if not ("WorkerType" in settings and "NumberOfWorkers" in settings):
        raise _invalid("Worker Type and Number of Workers must be set together.")
    if settings["NumberOfWorkers"] < 2:
        raise _invalid("Number of Workers must be at least 2.")


# ── what the operations share ────────────────────────────────────────────────────────────────────


def get_job(region: str, name: str) -> dict[str, Any]:
    """A job's definition. Raises EntityNotFoundException."""
    if (region, name) not in _jobs:
        raise _unknown("Job", name)
    return _jobs[region, name]


def _of_region(region: str) -> list[dict[str, Any]]:
    return [job for (where, _), job in _jobs.items() if where == region]


def _completed(given: dict[str, Any]) -> dict[str, Any]:
    """A definition with what Glue fills in."""
    command = {"PythonVersion": "3", **given.get("Command", {})}
    shell = command.get("Name") == "pythonshell"
    job = {
        "MaxRetries": 0,
        "Timeout": _SHELL_MINUTES if shell else _SPARK_MINUTES,
        "ExecutionProperty": {"MaxConcurrentRuns": 1},
        "GlueVersion": "3.0" if shell else _VERSIONS[-1],
        **given,
        "Command": command,
    }
    if "ExecutionClass" not in job and not shell:
        job["ExecutionClass"] = "STANDARD"
    if "WorkerType" not in job and "NumberOfWorkers" not in job:
        job.setdefault("MaxCapacity", 0.0625 if shell else 10.0)
    return job


def _invalid(message: str) -> AWSError:
    return AWSError("InvalidInputException", message)


def _unknown(kind: str, name: str) -> AWSError:
    return AWSError("EntityNotFoundException", f"{kind} {name} not found.")
