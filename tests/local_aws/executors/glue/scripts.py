"""The script of a job run: fetched from S3, run in a process of its own, its words put in the logs.

https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-glue-arguments.html
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement

from ... import processes, storage
from ...errors import AWSError
from ...logs import LogStream
from ...storage import S3Location
from . import launcher
from .spark import Staging

if TYPE_CHECKING:
    from .runs import JobRun

LOG_GROUPS = {"glueetl": "/aws-glue/jobs", "pythonshell": "/aws-glue/python-jobs"}
# Glue versions whose scripts run on the Spark at hand (3.5).
WITH_SPARK_3 = ("4.0", "5.0", "5.1")
_NOT_CARRIED_OUT = {
    "--enable-glue-datacatalog": "the Data Catalog as Spark's metastore",
    "--datalake-formats": "data lake formats",
    "--extra-jars": "jars of one's own",
}
_LONGEST_MESSAGE = 1024
# What Hadoop says of a bucket that is not there.
_WITHOUT_BUCKET = re.compile(
    r"Could not initialize target File System for URI : s3a?://([^/\s]+)/?(?=\s|$)"
)


class Failed(Exception):
    """The script could not be started; the message is the ErrorMessage of the run."""


def run(run: JobRun, folder: Path, begun: Callable[[], None]) -> tuple[str, str | None]:
    """Run the script of a job run to its end.

    Args:
        folder: for its files.
        begun: called when the script is about to start.

    Returns:
        The final state and, unless it succeeded or was stopped, the ErrorMessage.

    Raises:
        Failed: if it cannot start; with the ErrorMessage.
    """
    _refuse_what_is_not_run(run)
    command = run.definition["Command"]
    script = _script(run, folder / "script")
    work = folder / "work"
    work.mkdir()
    environ = processes.job_environment(run.region, run.caller)
    environ["PYTHONPATH"] = os.pathsep.join(_libraries(run, folder))
    for uri in _listed(run.arguments.get("--extra-files")):
        _fetch(run, uri, work)
    staging = None
    if command["Name"] == "glueetl":
        texts = [script.read_text(errors="replace"), *run.arguments.values()]
        staging = Staging(folder / "s3", texts, run.caller)
        staging.fill()
        environ |= staging.environment(folder, run.arguments.get("--conf"))
    output = LogStream(run.region, f"{LOG_GROUPS[command['Name']]}/output", run.id, run.caller)
    begun()
    outcome = processes.run(
        [sys.executable, launcher.__file__, str(folder), command["Name"], str(script), *words(run)],
        folder=work,
        environ=environ,
        on_line=output.write,
        timeout=run.minutes * 60,
        stop=run.stop_requested,
    )
    # What a script has written before it failed stays where it is, as on AWS.
    if staging:
        staging.send_back()
    _log_errors(run, folder)
    if run.stop_requested.is_set():
        return "STOPPED", None
    if outcome.timed_out:
        return "TIMEOUT", "Job run exceeded its Timeout."
    if outcome.returncode:
        return "FAILED", _why(folder, outcome.returncode, staging)
    return "SUCCEEDED", None


def words(run: JobRun) -> list[str]:
    """The command line that Glue gives a script, for `getResolvedOptions`."""
    words = [word for pair in run.arguments.items() for word in pair]
    words += ["--JOB_ID", f"j_{hashlib.sha256(run.name.encode()).hexdigest()}"]
    words += ["--JOB_RUN_ID", run.id, "--JOB_NAME", run.name]
    if run.workflow:
        words += ["--WORKFLOW_NAME", run.workflow, "--WORKFLOW_RUN_ID", run.workflow_run or ""]
    return words


def _refuse_what_is_not_run(run: JobRun) -> None:
    command = run.definition["Command"]["Name"]
    if command not in LOG_GROUPS:
        raise _not_run(f"{command} jobs; glueetl and pythonshell are")
    if command == "pythonshell":
        return
    version = run.definition["GlueVersion"]
    if version not in WITH_SPARK_3:
        raise _not_run(f"scripts of Glue {version}; set GlueVersion to {', '.join(WITH_SPARK_3)}")
    if run.arguments.get("--job-language", "python").lower() != "python":
        raise _not_run("scripts in Scala; write Python")
    for argument, what in _NOT_CARRIED_OUT.items():
        if run.arguments.get(argument, "false").lower() not in ("false", ""):
            raise _not_run(f"{argument} ({what})")


def _not_run(what: str) -> Failed:
    return Failed(f"NotImplemented: The offline AWS does not run {what}.")


# ── what it is given ─────────────────────────────────────────────────────────────────────────────


def _script(run: JobRun, folder: Path) -> Path:
    uri = run.definition["Command"]["ScriptLocation"]
    try:
        return _fetch(run, uri, folder)
    except AWSError as error:
        location = S3Location.parse(uri)
        raise Failed(
            f"LAUNCH ERROR | Error downloading from S3 for bucket: {location.bucket}, "
            f"key: {location.key}. {error.message} (Service: Amazon S3; Error Code: {error.code})"
        ) from None


def _fetch(run: JobRun, uri: str, folder: Path) -> Path:
    location = S3Location.parse(uri)
    path = folder / location.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(storage.read(location, run.caller))
    return path


def _libraries(run: JobRun, folder: Path) -> list[str]:
    """Where the modules are that come from S3. The others must be installed."""
    from_s3 = _listed(run.arguments.get("--extra-py-files"))
    for module in _listed(run.arguments.get("--additional-python-modules")):
        if module.startswith("s3://"):
            from_s3.append(module)
        else:
            _check_installed(module)
    found = []
    for number, uri in enumerate(from_s3):
        path = _fetch(run, uri, folder / "libraries" / str(number))
        found.append(str(path if path.suffix in (".zip", ".egg", ".whl") else path.parent))
    return found


def _check_installed(module: str) -> None:
    try:
        wanted = Requirement(module)
        installed = importlib.metadata.version(wanted.name)
    except InvalidRequirement:
        raise Failed(f"--additional-python-modules: '{module}' names no module.") from None
    except importlib.metadata.PackageNotFoundError:
        installed = None
    if installed is None or not wanted.specifier.contains(installed, prereleases=True):
        there = f"but version {installed} is" if installed else "which is not"
        raise Failed(
            f"--additional-python-modules names {module}, {there} installed here; "
            "the offline AWS installs nothing."
        )


def _listed(text: str | None) -> list[str]:
    return [each.strip() for each in (text or "").split(",") if each.strip()]


# ── how it ended ─────────────────────────────────────────────────────────────────────────────────


def _log_errors(run: JobRun, folder: Path) -> None:
    path = folder / "stderr"
    if path.is_file():
        group = f"{LOG_GROUPS[run.definition['Command']['Name']]}/error"
        lines = path.read_text(errors="replace").splitlines()
        LogStream(run.region, group, run.id, run.caller).write_lines(lines)


def _why(folder: Path, returncode: int, staging: Staging | None) -> str:
    path = folder / "error"
    if not path.is_file():
        return f"Command failed with exit code {returncode}"
    text = path.read_text()
    without = re.search(
        r"Could not initialize target File System for URI : s3[an]?://([^/]+)/", text
    )
    if staging and without:
        text = text.replace(without[0], staging.why_absent(without[1]))
    return text[:_LONGEST_MESSAGE]
