"""CloudWatch log streams as a job or a function writes them."""

from __future__ import annotations

import time

from . import account, journal


class LogStream:
    """A log stream; the group and the stream come into being with the first line.

    Writing is journaled as the writer's own calls, since on AWS its role needs the rights to them.
    """

    def __init__(
        self, region: str, group: str, stream: str, caller: str = account.NOTEBOOK
    ) -> None:
        self.region, self.group, self.stream, self.caller = region, group, stream, caller
        self._is_open = False

    def write(self, line: str) -> None:
        """Append one line, with the present time."""
        self.write_lines([line])

    def write_lines(self, lines: list[str]) -> None:
        """Append lines in one call, with the present time. CloudWatch takes no empty message."""
        if not lines:
            return
        backend = self._backend()
        self.open()
        milliseconds = int(time.time() * 1000)
        events = [{"timestamp": milliseconds, "message": line or " "} for line in lines]
        backend.put_log_events(self.group, self.stream, events)

    def open(self) -> None:
        """Make the group and the stream, if they are not there yet."""
        if self._is_open:
            return
        backend = self._backend()
        if self.group not in backend.groups:
            backend.create_log_group(self.group, {})
            self._note("CreateLogGroup", logGroupName=self.group)
        if self.stream not in backend.groups[self.group].streams:
            backend.create_log_stream(self.group, self.stream)
            self._note("CreateLogStream", logGroupName=self.group, logStreamName=self.stream)
        self._note("PutLogEvents", logGroupName=self.group, logStreamName=self.stream)
        self._is_open = True

    def _backend(self):  # noqa: ANN202 (a private class of moto)
        from moto.logs.models import logs_backends

        return logs_backends[account.ACCOUNT_ID][self.region]

    def _note(self, operation: str, **params: str) -> None:
        journal.note("logs", operation, params, self.region, self.caller)
