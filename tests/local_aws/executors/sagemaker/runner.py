"""Running a container's program for a job: its environment, its log, what it said at the end."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from ... import account, containers, environment, processes
from ...containers.opt_ml import OptMl
from ...gateway import AWSError
from ...logs import LogStream
from ...processes import Outcome

_PIP_STUB = Path(containers.__file__).parent / "pip_stub"
# The same number of threads everywhere, since sums of floats depend on it; and one, since jobs
# share the machine: threads of several jobs that wait for each other cost more than they bring.
_FIXED = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# Variables that a process has here and a container on AWS has not. The SDK's start script prints
# all variables; these lines are left out of the log.
_OFFLINE_ONLY = {
    *environment.variables("", "", ""),
    *processes.minimal_environment(Path()),
    *_FIXED,
    "AWS_DATA_PATH",
    "LOCAL_AWS_RUN",
    "LOCAL_AWS_SERVING_KEY",
    "_",
    "SHLVL",
    "PWD",
    "OLDPWD",
} - {"AWS_REGION", "AWS_DEFAULT_REGION", "HOME", "PATH"}
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=")


class JobLog:
    """The log of one job: its lines as AWS shows them, in CloudWatch and for the job itself.

    Attributes:
        lines: everything written so far.
    """

    def __init__(
        self,
        ml: OptMl,
        stream: LogStream,
        *,
        escape: bool = False,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        """`escape`: write control characters as training jobs do; `on_line` is told each line."""
        self.lines: list[str] = []
        self._ml, self._stream, self._escape, self._on_line = ml, stream, escape, on_line

    def write(self, line: str) -> None:
        """Write one line of the program's output."""
        line = self._ml.outward(line)
        assignment = _ASSIGNMENT.match(line)
        if assignment and assignment[1] in _OFFLINE_ONLY:
            return
        if self._escape:
            # The agent that collects the log of a training job writes control characters so.
            line = line.replace("\t", "#011").replace("\r", "#015")
        self.lines.append(line)
        self._stream.write(line)
        if self._on_line:
            self._on_line(line)


def job_variables(
    ml: OptMl, region: str, name: str, given: Mapping[str, str], *, network: bool = True
) -> dict[str, str]:
    """The environment of a job's program.

    Args:
        ml: the job's file system.
        name: whose calls of AWS they are.
        given: what the request sets.
        network: whether the program may call AWS.
    """
    client = processes.job_environment(region, name) if network else {"AWS_REGION": region}
    variables = client | _FIXED | ml.environment()
    path = processes.minimal_environment(ml.root)["PATH"]
    variables["PATH"] = os.pathsep.join([str(ml.root / "bin"), path])
    variables |= {key: ml.inward(value) for key, value in given.items()}
    import_paths = [str(_PIP_STUB), client.get("PYTHONPATH"), given.get("PYTHONPATH")]
    variables["PYTHONPATH"] = os.pathsep.join(ml.inward(path) for path in import_paths if path)
    return variables


def run(
    ml: OptMl,
    command: list[str],
    *,
    folder: Path,
    variables: dict[str, str],
    log: JobLog,
    timeout: float,
    stop: threading.Event,
) -> Outcome:
    """Run the program to its end.

    Raises:
        AWSError: ClientError if there is no such program.
    """
    try:
        return processes.run(
            command,
            folder=folder,
            environ=variables,
            on_line=log.write,
            timeout=max(timeout, 0.001),
            stop=stop,
        )
    except OSError as error:
        reason = f"exec: {command[0]!r}: {error.strerror or error}"
        raise AWSError("ClientError", ml.outward(reason)) from error
    finally:
        key = variables.get("AWS_ACCESS_KEY_ID")
        if key:
            account.remove_access_key(key)


def python() -> str:
    """The Python that scripts run in."""
    return sys.executable
