"""The one idea of a job: a name, a state, a worker thread, a log stream, a failure reason, a stop.

Training, processing, crawling, querying: each service has its own words for the states, so a job
is given the words it uses; what it does is the function it is started with.
"""

from __future__ import annotations

import contextlib
import threading
import traceback
from collections.abc import Callable
from datetime import datetime

from . import account
from .errors import AWSError
from .logs import LogStream

_running: set[Job] = set()
_lock = threading.Lock()
_SECONDS_TO_STOP = 10.0


class Job:
    """Something that AWS does on its own after a request has been answered.

    Attributes:
        status: the state in the service's own words.
        failure_reason: why it failed; None unless it did.
        created, started, ended: aware times in UTC; None before they are reached.
        stop_requested: set when a client, or a reset, asks the job to end.
        log: its CloudWatch log stream; None for a job that writes none.
    """

    def __init__(
        self, name: str, region: str, *, status: str, failed: str, log: LogStream | None = None
    ) -> None:
        self.name, self.region, self.log = name, region, log
        self.status, self._failed = status, failed
        self.failure_reason: str | None = None
        self.created: datetime = account.now()
        self.started: datetime | None = None
        self.ended: datetime | None = None
        self.stop_requested = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, target: Callable[[Job], None]) -> None:
        """Run `target(job)` in a thread of its own. `target` sets the final status.

        An AWSError that it raises becomes the failure reason as it reads; any other exception is
        a fault of the offline AWS, and is reported as AWS reports its own (`InternalServerError`).
        """
        self._thread = threading.Thread(
            target=self._run, args=(target,), name=f"job-{self.name}", daemon=True
        )
        with _lock:
            _running.add(self)
        self._thread.start()

    def fail(self, reason: str) -> None:
        """End the job as failed, with the reason in its description and in its log."""
        self.failure_reason = reason[:1024]
        self.ended = account.now()
        if self.log:
            with contextlib.suppress(Exception):
                self.log.write(reason)
        self.status = self._failed

    def stop(self) -> None:
        """Ask the job to end."""
        self.stop_requested.set()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end of the job, at most `timeout` seconds. Whether it has ended."""
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return not (self._thread and self._thread.is_alive())

    def _run(self, target: Callable[[Job], None]) -> None:
        self.started = account.now()
        try:
            target(self)
        except AWSError as error:
            self.fail(f"{error.code}: {error.message}")
        except Exception as error:
            traceback.print_exc()
            self.fail(f"InternalServerError: {type(error).__name__}: {error}")
        finally:
            self.ended = self.ended or account.now()
            with _lock:
                _running.discard(self)


def running() -> list[Job]:
    """The jobs that have been started and have not ended."""
    with _lock:
        return list(_running)


@account.on_reset
def stop_all() -> None:
    """Stop every running job and wait until it has ended."""
    jobs = running()
    for job in jobs:
        job.stop()
    for job in jobs:
        job.join(_SECONDS_TO_STOP)
