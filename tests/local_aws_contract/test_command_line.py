"""What the command line promises: an exit status, an environment, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.local_aws.environment import LocalAWS, _read_exports

_REPOSITORY = Path(__file__).parents[2]
_COMMAND = [sys.executable, "-m", "tests.local_aws"]


def _exec(*command: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*_COMMAND, "exec", *options, "--", *command],
        cwd=_REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
    )


def _eventually(condition: Callable[[], bool], seconds: float = 15) -> bool:
    """Wait for a condition, at most so many seconds; whether it came true."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("status", [0, 3])
def test_exec_returns_the_exit_status_of_the_command(status: int) -> None:
    assert _exec(sys.executable, "-c", f"raise SystemExit({status})").returncode == status


def test_exec_says_when_there_is_no_such_command() -> None:
    done = _exec("no-such-command")
    assert done.returncode == 127
    assert "no-such-command: No such file" in done.stderr


def test_exec_serves_a_command_in_account_and_region_asked_for() -> None:
    script = (
        "import boto3; s3 = boto3.client('s3'); print(s3.meta.region_name);"
        "print(boto3.client('sts').get_caller_identity()['Account'])"
    )
    options = ("--account", "210987654321", "--region", "eu-west-1")
    done = _exec(sys.executable, "-c", script, options=options)
    assert done.stdout.split() == ["eu-west-1", "210987654321"], done.stderr


def test_nothing_of_the_readers_aws_configuration_reaches_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text("[profile mine]\nendpoint_url = https://example.com\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://example.com")
    script = "import boto3; print(boto3.client('s3').meta.endpoint_url)"
    assert _exec(sys.executable, "-c", script).stdout.startswith("http://127.0.0.1:")


@pytest.mark.parametrize("faults", ["throttle=lots", "rain=0.1", "throttle"])
def test_faults_that_are_not_understood_are_refused(faults: str) -> None:
    done = _exec(sys.executable, "-c", "", options=("--faults", faults))
    assert done.returncode != 0
    assert "write throttle=0.05,error=0.02" in done.stderr


def test_serve_prints_the_environment_and_stops_at_sigterm() -> None:
    with subprocess.Popen(
        [*_COMMAND, "serve"], cwd=_REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as server:
        values = _read_exports(server.stdout)
        assert values["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
        assert len(values["AWS_ACCESS_KEY_ID"]) == 20
        run_folder = Path(values["AWS_DATA_PATH"]).parent
        assert run_folder.is_dir()
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=10) == 0
        assert not run_folder.exists()


def test_a_port_that_is_taken_is_named(aws: LocalAWS) -> None:
    port = aws.environ["AWS_ENDPOINT_URL"].rpartition(":")[2]
    done = subprocess.run(
        [*_COMMAND, "serve", "--port", port], cwd=_REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert f"Port {port} is taken" in done.stderr


def test_access_keys_differ_between_servers() -> None:
    with LocalAWS() as one, LocalAWS() as other:
        assert one.environ["AWS_ACCESS_KEY_ID"] != other.environ["AWS_ACCESS_KEY_ID"]


# A program that starts another, which leaves its process group: the hardest to find again.
_JOB = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("up", flush=True)
time.sleep(600)
"""

# A server in the middle of such a job. It prints its folder first.
_SERVER_WITH_JOB = f"""
import sys
from tests.local_aws import jobs, processes
from tests.local_aws.server import serve

def work(job):
    with processes.temporary_directory("job") as folder:
        command = [sys.executable, "-c", {_JOB!r}]
        say = lambda line: print(line, flush=True)
        processes.run(command, folder=folder, environ={{}}, on_line=say, stop=job.stop_requested)

def announce(lines):
    print(processes._root, flush=True)
    jobs.Job("sleeper", "us-east-1", status="InProgress", failed="Failed").start(work)

serve(port=0, region="us-east-1", faults="", until_stdin_closes=False, announce=announce)
"""


def _processes_of(run_folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("LOCAL_AWS_RUN") == run_folder.name:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_server_that_ends_in_the_middle_of_a_job_leaves_nothing_behind(
    how: signal.Signals,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _SERVER_WITH_JOB],
        cwd=_REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        run_folder = Path(server.stdout.readline().strip())
        assert server.stdout.readline().strip() == "up"
        assert _eventually(lambda: len(_processes_of(run_folder)) == 2)
        server.send_signal(how)
        server.wait(timeout=15)
        server.stdout.close()
    if how == signal.SIGKILL:
        assert run_folder.exists()
        with LocalAWS():
            pass
    assert _processes_of(run_folder) == []
    assert not run_folder.exists()


def test_the_server_ends_with_whoever_started_it() -> None:
    script = (
        "import os; from tests.local_aws.environment import LocalAWS\n"
        "with LocalAWS() as aws: print(aws.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=_REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        server = int(starter.stdout.readline())
    assert _eventually(lambda: not psutil.pid_exists(server))


def test_folders_of_living_servers_are_left_alone(aws: LocalAWS) -> None:
    folder = Path(aws.environ["AWS_DATA_PATH"])
    with LocalAWS():
        pass
    assert folder.is_dir()
    assert folder.is_relative_to(tempfile.gettempdir())
    assert os.stat(folder.parents[1]).st_mode & 0o077 == 0
