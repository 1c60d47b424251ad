"""Programs that the offline AWS runs, each in a process group and an environment of its own.

Every program carries a variable that names the server it belongs to, and every file it gets lies
under that server's folder. So whatever a killed server has left behind can be found, and is removed
when the next one starts (`sweep`).
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from . import account, environment

_MARKER = "LOCAL_AWS_RUN"
_OWNER_FILE = "owner.json"
_GRACE_SECONDS = 2.0

_home = Path(tempfile.gettempdir()) / f"local-aws-{getpass.getuser()}"
_root: Path | None = None
_endpoint = ""


@dataclass(frozen=True)
class Outcome:
    """How a program ended. `returncode` is negative for a signal, as in `subprocess`."""

    returncode: int
    timed_out: bool
    stopped: bool


# ── the server's own folder ──────────────────────────────────────────────────────────────────────


def open_root(endpoint: str) -> Path:
    """Make this server's folder; jobs will reach the server at `endpoint`."""
    global _root, _endpoint
    _home.mkdir(mode=0o700, parents=True, exist_ok=True)
    _endpoint = endpoint
    _root = Path(tempfile.mkdtemp(prefix="run-", dir=_home))
    this = psutil.Process()
    owner = {"pid": this.pid, "created": this.create_time()}
    (_root / _OWNER_FILE).write_text(json.dumps(owner))
    return _root


def close_root() -> None:
    """Kill whatever still runs for this server and remove its folder."""
    global _root
    if _root is not None:
        _kill_marked({_root.name})
        shutil.rmtree(_root, ignore_errors=True)
        _root = None


def sweep() -> None:
    """Kill the programs and remove the folders of servers that are no more."""
    if not _home.is_dir():
        return
    abandoned = [folder for folder in _home.glob("run-*") if not _has_owner(folder)]
    _kill_marked({folder.name for folder in abandoned})
    for folder in abandoned:
        shutil.rmtree(folder, ignore_errors=True)


def _has_owner(folder: Path) -> bool:
    try:
        owner = json.loads((folder / _OWNER_FILE).read_text())
        return psutil.Process(owner["pid"]).create_time() == owner["created"]
    except FileNotFoundError:
        # Between mkdtemp and the owner file there is a moment; an old folder without one is dead.
        return folder.exists() and account.now().timestamp() - folder.stat().st_mtime < 10
    except (ValueError, KeyError, psutil.NoSuchProcess):
        return False


def _kill_marked(runs: set[str]) -> None:
    if not runs:
        return
    doomed = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(_MARKER) in runs:
                process.kill()
                doomed.append(process)
    psutil.wait_procs(doomed, timeout=5)


@contextlib.contextmanager
def temporary_directory(prefix: str) -> Iterator[Path]:
    """A folder for one job, below the server's own, removed at the end."""
    assert _root is not None, "the server has not started"
    folder = Path(tempfile.mkdtemp(prefix=f"{prefix[:40]}-", dir=_root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# ── running a program ────────────────────────────────────────────────────────────────────────────


def job_environment(region: str, name: str) -> dict[str, str]:
    """What code that runs as an AWS job or function needs to call AWS; journaled as `name`."""
    return environment.variables(_endpoint, account.add_access_key(name), region)


def minimal_environment(folder: Path) -> dict[str, str]:
    """The variables that every program gets; nothing of the reader's environment is among them."""
    path = [str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]
    variables = {
        "PATH": os.pathsep.join(path),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if _root is not None:
        variables[_MARKER] = _root.name
    if os.name == "nt":  # Python does not start on Windows without it
        variables["SYSTEMROOT"] = os.environ.get("SYSTEMROOT", r"C:\Windows")
    return variables


def run(
    command: list[str],
    *,
    folder: Path,
    environ: Mapping[str, str],
    on_line: Callable[[str], None],
    timeout: float | None = None,
    stop: threading.Event | None = None,
    stdin: bytes | None = None,
) -> Outcome:
    """Run a program to its end, handing over each line of its output as it comes.

    It gets `minimal_environment` and `environ`. After `timeout` seconds, or once `stop` is set,
    it is ended: SIGTERM first, SIGKILL two seconds later. What it started ends with it.
    """
    running = Running(command, folder=folder, environ=environ, on_line=on_line, stdin=stdin)
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        running.stop()

    timer = threading.Timer(timeout, expire) if timeout is not None else None
    if timer:
        timer.daemon = True
        timer.start()
    if stop:
        threading.Thread(target=running.stop_when, args=(stop,), daemon=True).start()
    returncode = running.wait()
    if timer:
        timer.cancel()
    stopped = bool(stop and stop.is_set()) and returncode != 0
    return Outcome(returncode, timed_out=expired.is_set(), stopped=stopped)


class Running:
    """A program that runs until it ends or is stopped; its output goes to `on_line`."""

    def __init__(
        self,
        command: list[str],
        *,
        folder: Path,
        environ: Mapping[str, str],
        on_line: Callable[[str], None],
        stdin: bytes | None = None,
    ) -> None:
        with tempfile.TemporaryFile() as given:
            given.write(stdin or b"")
            given.seek(0)
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={**minimal_environment(folder), **environ},
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._on_line = on_line
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def alive(self) -> bool:
        """Whether the program still runs."""
        return self._process.poll() is None

    def wait(self) -> int:
        """Wait for the end of the program and of its output; the return code."""
        returncode = self._process.wait()
        self._kill_group()
        self._reader.join(timeout=5)
        return returncode

    def stop(self) -> None:
        """Ask it to end, and end it and all it has started if it does not."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_SECONDS)
        self._kill_group()

    def stop_when(self, stop: threading.Event) -> None:
        """Stop once the event is set; returns when the program has ended."""
        while self.alive:
            if stop.wait(0.2):
                self.stop()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                self._on_line(line.decode("utf-8", "replace").rstrip("\r\n"))

    def _kill_group(self) -> None:
        if os.name == "posix":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            return
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(self._process.pid).children(recursive=True):
                child.kill()
        self._process.kill()


def start(
    command: list[str],
    *,
    folder: Path,
    environ: Mapping[str, str],
    on_line: Callable[[str], None],
) -> Running:
    """Start a program that goes on running, such as a model server."""
    return Running(command, folder=folder, environ=environ, on_line=on_line)
