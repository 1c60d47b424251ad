"""Executions: moto's own, which start at once, end in every case, and are told of.

Told of: CloudWatch (`AWS/States`), the default event bus, and the log group of the state machine.
"""

from __future__ import annotations

import threading
import time
import traceback
from datetime import UTC, datetime
from typing import Any

from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.asl.eval.program_state import ProgramError
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str
from moto.stepfunctions.parser.backend.execution import (
    BaseExecutionWorkerCommunication,
    Execution,
)
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

from ... import account, event_bus, metrics
from ...logs import LogStream

# execution ARN -> execution, for all that this package has started
_runs: dict[str, Run] = account.table()
_ENDED = threading.Condition()
_SECONDS_TO_STOP = 1.0
_FAILURES = ("Failed", "TimedOut", "Aborted")


def find(arn: str) -> Run | None:
    """The execution of this ARN."""
    return _runs.get(arn)


def of_map_run(arn: str) -> list[Run]:
    """The executions that a map run has started."""
    return [run for run in _runs.values() if isinstance(run, Child) and run.map_run_arn == arn]


def all_runs() -> list[Run]:
    """All executions that have been started, oldest first."""
    return list(_runs.values())


def machine_of(execution_arn: str) -> Any:
    """The state machine that an execution runs."""
    return _runs[execution_arn].state_machine


class _Worker(ExecutionWorker):
    """Ends the execution even if the interpreter itself fails."""

    def _execution_logic(self) -> None:
        try:
            super()._execution_logic()
        except Exception as error:
            run = self._execution_communication.execution
            if run.status == "RUNNING":
                run.error, run.cause = "States.Runtime", f"{type(error).__name__}: {error}"
                run.end(ExecutionStatus.FAILED)
            traceback.print_exc()


class _Communication(BaseExecutionWorkerCommunication):
    def terminated(self) -> None:
        run = self.execution
        state = run.exec_worker.env.program_state()
        if isinstance(state, ProgramError) and state.error is None:
            run.end(ExecutionStatus.FAILED)
            return
        status = run.exec_status
        self._reflect_execution_status()
        final, run.exec_status = run.exec_status, status
        run.end(final)


class Run(Execution):
    """One execution of a state machine.

    Args:
        machine: a copy of moto's state machine, which nobody changes.
        given: the input as JSON.
        type: `STANDARD` or `EXPRESS`.
    """

    def __init__(self, *, machine: Any, name: str, arn: str, given: str, type: str) -> None:
        super().__init__(
            name=name,
            sm_type=type,
            role_arn=machine.roleArn,
            exec_arn=arn,
            account_id=account.ACCOUNT_ID,
            region_name=machine.arn.split(":")[3],
            state_machine=machine,
            start_date=datetime.now(UTC),
            cloud_watch_logging_session=None,
            activity_store={},
            input_data=given,
        )
        self._stopped: tuple[str | None, str | None] = (None, None)
        self._has_ended = threading.Lock()  # taken by the first who ends it
        _runs[arn] = self

    # What moto calls while it starts an execution.

    def get_start_execution_details(self) -> Any:
        details = super().get_start_execution_details()
        details.start_time = timestamp(self.start_date)
        return details

    def _get_start_execution_worker_comm(self) -> Any:
        return _Communication(self)

    def _get_start_execution_worker(self) -> Any:
        worker = super()._get_start_execution_worker()
        worker.__class__ = _Worker
        return worker

    def start(self) -> None:
        """Start it in a thread of its own."""
        self._tell("ExecutionsStarted", 1)
        self._emit("RUNNING")
        super().start()

    def end(self, status: Any) -> None:
        """Set the final state, once, and tell of it."""
        if not self._has_ended.acquire(blocking=False):
            return
        self.stop_date = datetime.now(UTC)
        if status == ExecutionStatus.ABORTED:
            self.error, self.cause = self._stopped
        try:
            self._log()
        finally:
            with _ENDED:
                self.exec_status = status
                _ENDED.notify_all()
        names = {"SUCCEEDED": "Succeeded", "TIMED_OUT": "TimedOut", "ABORTED": "Aborted"}
        self._tell(f"Executions{names.get(self.status, 'Failed')}", 1)
        milliseconds = 1000 * (self.stop_date - self.start_date).total_seconds()
        self._tell("ExecutionTime", milliseconds, "Milliseconds")
        self._emit(self.status)

    def stop_now(self, error: str | None, cause: str | None) -> None:
        """Abort it. A state that is busy is not waited for: what it still does is not looked at."""
        self._stopped = (error, cause)
        while self.status == "RUNNING" and self.exec_worker.env is None:
            time.sleep(0.005)
        self.stop(stop_date=datetime.now(UTC), error=error, cause=cause)
        if not self.wait(_SECONDS_TO_STOP):
            self.end(ExecutionStatus.ABORTED)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it has ended; whether it has."""
        with _ENDED:
            return _ENDED.wait_for(lambda: self.status != "RUNNING", timeout=seconds)

    def history(self) -> list[dict[str, Any]]:
        """The events so far; those of failures have no member that is None."""
        env = self.exec_worker.env if self.exec_worker else None
        events = env.event_manager.get_event_history() if env else []
        found = [{**_without_none(event), "type": str(event["type"].value)} for event in events]
        if self.status == "ABORTED" and not any(e["type"] == "ExecutionAborted" for e in found):
            found.append(self._aborted(len(found) + 1))
        return found

    def _aborted(self, number: int) -> dict[str, Any]:
        """The last event of an execution whose state was still busy when it was stopped."""
        return {
            "type": "ExecutionAborted",
            "id": number,
            "previousEventId": 0,
            "timestamp": self.stop_date.isoformat(),
            "executionAbortedEventDetails": _without_none(
                {"error": self.error, "cause": self.cause}
            ),
        }

    # How it tells of itself.

    def _tell(self, name: str, value: float, unit: str = "Count") -> None:
        dimensions = {"StateMachineArn": self.state_machine.arn.partition("/")[0]}
        metrics.put("AWS/States", name, value, unit, dimensions, self.region_name)

    def _emit(self, status: str) -> None:
        if self.sm_type == "EXPRESS":
            return
        detail = {
            "executionArn": self.exec_arn,
            "stateMachineArn": self.state_machine.arn,
            "name": self.name,
            "status": status,
            "startDate": _milliseconds(self.start_date),
            "stopDate": _milliseconds(self.stop_date),
            "input": self.execution_input,
            "output": as_text(self.output) if status == "SUCCEEDED" else None,
        }
        event_bus.emit(
            self.region_name,
            "aws.states",
            "Step Functions Execution Status Change",
            [self.exec_arn],
            detail,
        )

    def _log(self) -> None:
        """Write the history to the log group that the state machine names, at its level."""
        configuration = self.state_machine.loggingConfiguration or {}
        level = configuration.get("level", "OFF")
        destinations = configuration.get("destinations") or []
        if level == "OFF" or not destinations:
            return
        arn = destinations[0]["cloudWatchLogsLogGroup"]["logGroupArn"]
        group = arn.removesuffix(":*").partition(":log-group:")[2]
        name = self.state_machine.name
        stream = f"states/{name}/{self.start_date:%Y-%m-%d-%H-%M}/{self.name[:8]}"
        lines = [
            as_text(self._log_line(event, configuration.get("includeExecutionData", False)))
            for event in self.history()
            if _is_logged(event["type"], level)
        ]
        LogStream(self.region_name, group, stream, f"state machine {name}").write_lines(lines)

    def _log_line(self, event: dict[str, Any], with_data: bool) -> dict[str, Any]:
        details = next((item for key, item in event.items() if key.endswith("Details")), {})
        hidden = () if with_data else ("input", "output", "parameters", "cause")
        return {
            "id": str(event["id"]),
            "type": event["type"],
            "details": {key: item for key, item in details.items() if key not in hidden},
            "previous_event_id": str(event.get("previousEventId", 0)),
            "event_timestamp": str(_milliseconds(datetime.fromisoformat(event["timestamp"]))),
            "execution_arn": self.exec_arn,
        }


class SyncRun(Run):
    """An execution that the caller waits for."""

    def start(self) -> None:
        """Run it to its end."""
        super().start()
        self.wait()


class Child(SyncRun):
    """An execution that a Distributed Map has started."""

    def __init__(self, *, map_run_arn: str, **arguments: Any) -> None:
        self.map_run_arn = map_run_arn
        super().__init__(**arguments)

    def details(self) -> dict[str, Any]:
        """What the results of a map run say of it."""
        details = {
            "ExecutionArn": self.exec_arn,
            "Input": self.execution_input,
            "InputDetails": {"Included": True},
            "Name": self.name,
            "StartDate": timestamp(self.start_date),
            "StateMachineArn": self.state_machine.arn,
            "Status": self.status,
            "StopDate": timestamp(self.stop_date or datetime.now(UTC)),
        }
        if self.status == "SUCCEEDED":
            details |= {"Output": as_text(self.output), "OutputDetails": {"Included": True}}
        else:
            details |= {"Error": self.error, "Cause": self.cause}
        return details


def timestamp(moment: datetime) -> str:
    """A time as the context object and results have it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_text(value: Any) -> str:
    """A value of the interpreter's as compact JSON."""
    return to_json_str(value, separators=(",", ":"))


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)


def _is_logged(event_type: str, level: str) -> bool:
    if level == "ALL":
        return True
    if level == "FATAL":
        return event_type.startswith("Execution") and event_type.endswith(_FAILURES)
    return event_type.endswith(_FAILURES)


def _without_none(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_none(value) for key, value in node.items() if value is not None}
    return node


@account.on_reset
def stop_all() -> None:
    """Stop what runs; nothing of the account outlives it."""
    for run in list(_runs.values()):
        if run.exec_worker is not None and run.status == "RUNNING":
            run.stop_now(None, None)
