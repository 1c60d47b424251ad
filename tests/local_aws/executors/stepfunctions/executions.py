"""Executions as their owner starts, watches and stops them."""

from __future__ import annotations

import copy
import json
from typing import Any

from ... import account
from ...errors import AWSError
from ...gateway import Call, handles
from . import runs
from .machines import backend

_MOST_INPUT = 256 * 1024
_PAGE = 100


@handles("stepfunctions", "StartExecution")
def start(call: Call) -> dict[str, Any]:
    """Start an execution; the same name with the same input is the same execution."""
    machine = _machine(call)
    given, name = _input(call), call.params.get("name")
    arn = _arn(machine, name or account.new_id())
    if name and (known := runs.find(arn)) is not None:
        if known.status == "RUNNING" and json.loads(given) == known.input_data:
            return {"executionArn": arn, "startDate": known.start_date}
        raise AWSError("ExecutionAlreadyExists", f"Execution Already Exists: '{arn}'")
    run = runs.Run(
        machine=machine,
        name=arn.split(":")[7],
        arn=arn,
        given=given,
        type=machine.type,
    )
    _owner(call.region, machine).executions.append(run)
    run.start()
    return {"executionArn": arn, "startDate": run.start_date}


@handles("stepfunctions", "StartSyncExecution")
def start_sync(call: Call) -> dict[str, Any]:
    """Run an Express workflow while the caller waits."""
    machine = _machine(call)
    if machine.type != "EXPRESS":
        raise _wrong_type(machine)
    name = call.params.get("name") or account.new_id()
    run = runs.SyncRun(
        machine=machine,
        name=name,
        arn=_arn(machine, name),
        given=_input(call),
        type="EXPRESS",
    )
    run.start()
    milliseconds = int(1000 * (run.stop_date - run.start_date).total_seconds())
    billed = {"billedMemoryUsedInMB": 64, "billedDurationInMilliseconds": -(-milliseconds // 100)}
    billed["billedDurationInMilliseconds"] *= 100
    return {**_described(run), "billingDetails": billed}


@handles("stepfunctions", "DescribeExecution")
def describe(call: Call) -> dict[str, Any]:
    """Everything about one execution."""
    return _described(_run(call.params["executionArn"]))


@handles("stepfunctions", "ListExecutions")
def list_executions(call: Call) -> dict[str, Any]:
    """The executions of a state machine, or of a map run, newest first."""
    params = call.params
    if params.get("mapRunArn"):
        found: list[Any] = runs.of_map_run(params["mapRunArn"])
    else:
        machine = _machine(call)
        if machine.type == "EXPRESS":
            raise _wrong_type(machine)
        found = list(_owner(call.region, machine).executions)
    wanted = params.get("statusFilter")
    found = [run for run in found if wanted in (None, run.status)]
    found.sort(key=lambda run: run.start_date, reverse=True)
    page, token = _page(found, params)
    return {"executions": [_listed(run) for run in page], "nextToken": token}


@handles("stepfunctions", "StopExecution")
def stop(call: Call) -> dict[str, Any]:
    """Abort an execution; one that has ended stays as it is."""
    run = _run(call.params["executionArn"])
    if run.status == "RUNNING":
        run.stop_now(call.params.get("error"), call.params.get("cause"))
    return {"stopDate": run.stop_date or account.now()}


@handles("stepfunctions", "GetExecutionHistory")
def history(call: Call) -> dict[str, Any]:
    """What has happened in an execution, event by event."""
    params = call.params
    events = _run(params["executionArn"]).history()
    if params.get("reverseOrder"):
        events.reverse()
    if params.get("includeExecutionData") is False:
        events = [_without_data(event) for event in events]
    page, token = _page(events, params)
    return {"events": page, "nextToken": token}


@handles("stepfunctions", "DescribeStateMachineForExecution")
def machine_of(call: Call) -> dict[str, Any]:
    """The state machine as it was when the execution began."""
    machine = _run(call.params["executionArn"]).state_machine
    return {
        "stateMachineArn": machine.arn,
        "name": machine.name,
        "definition": machine.definition,
        "roleArn": machine.roleArn,
        "updateDate": machine.update_date,
        "loggingConfiguration": machine.loggingConfiguration,
        "tracingConfiguration": machine.tracingConfiguration,
    }


# ── callbacks ────────────────────────────────────────────────────────────────────────────────────


@handles("stepfunctions", "SendTaskSuccess", "SendTaskFailure", "SendTaskHeartbeat")
def send_task(call: Call) -> dict[str, Any]:
    """Tell a task that waits for its token how it went, or that it goes on."""
    from moto.stepfunctions.parser.asl.eval.callback.callback import (
        CallbackOutcomeFailure,
        CallbackOutcomeSuccess,
    )

    params = call.params
    token = params["taskToken"]
    pool = next((pool for pool in _pools() if pool.get(token) is not None), None)
    if pool is None:
        raise AWSError("InvalidToken", f"Invalid Token: '{token}'")
    if pool.get(token).get_outcome() is not None:
        raise AWSError("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
    if call.operation == "SendTaskHeartbeat":
        pool.heartbeat(token)
    elif call.operation == "SendTaskFailure":
        outcome = CallbackOutcomeFailure(token, params.get("error"), params.get("cause"))
        pool.notify(token, outcome)
    else:
        try:
            json.loads(params["output"])
        except ValueError as error:
            raise AWSError("InvalidOutput", f"Invalid Output: '{error}'") from None
        pool.notify(token, CallbackOutcomeSuccess(token, params["output"]))
    return {}


def _pools() -> list[Any]:
    running = [run for run in runs.all_runs() if run.status == "RUNNING" and run.exec_worker]
    return [run.exec_worker.env.callback_pool_manager for run in running if run.exec_worker.env]


# ── map runs ─────────────────────────────────────────────────────────────────────────────────────


@handles("stepfunctions", "ListMapRuns")
def list_map_runs(call: Call) -> dict[str, Any]:
    """The map runs of an execution."""
    records = _records(_run(call.params["executionArn"]))
    page, token = _page([record.list_item() for record in records], call.params)
    return {"mapRuns": page, "nextToken": token}


@handles("stepfunctions", "DescribeMapRun")
def describe_map_run(call: Call) -> dict[str, Any]:
    """How far a map run has come."""
    arn = call.params["mapRunArn"]
    for run in runs.all_runs():
        for record in _records(run):
            if record.map_run_arn == arn:
                return record.describe()
    raise AWSError("ResourceNotFound", f"Resource not found: '{arn}'")


def _records(run: Any) -> list[Any]:
    env = run.exec_worker.env if run.exec_worker else None
    return env.map_run_record_pool_manager.get_all() if env else []


# ── shared ───────────────────────────────────────────────────────────────────────────────────────


def _machine(call: Call) -> Any:
    """A copy of the state machine, or of the version that an alias leads to."""
    arn = call.params["stateMachineArn"]
    keeper = backend(call.region)
    parts = arn.split(":")
    if len(parts) == 8 and not parts[7].isdigit():
        alias = keeper.describe_state_machine_alias(arn)
        arn = alias.routing_configuration[0]["stateMachineVersionArn"]
    return copy.copy(keeper.describe_state_machine(arn))


def _wrong_type(machine: Any) -> AWSError:
    message = f"This operation is not supported by this type of state machine: {machine.arn}"
    return AWSError("StateMachineTypeNotSupported", message)


def _owner(region: str, machine: Any) -> Any:
    """The state machine that keeps the executions; a version keeps none."""
    arn = getattr(machine, "source_arn", machine.arn)
    return backend(region).describe_state_machine(arn)


def _arn(machine: Any, name: str) -> str:
    base = getattr(machine, "source_arn", machine.arn)
    if machine.type == "EXPRESS":
        return f"{base.replace(':stateMachine:', ':express:')}:{name}:{account.new_id()}"
    return f"{base.replace(':stateMachine:', ':execution:')}:{name}"


def _input(call: Call) -> str:
    text = call.params.get("input") or "{}"
    try:
        json.loads(text)
    except ValueError as error:
        message = f"Invalid State Machine Execution Input: '{error}'"
        raise AWSError("InvalidExecutionInput", message) from None
    if len(text.encode()) > _MOST_INPUT:
        raise AWSError("ValidationException", "The input is larger than 262144 bytes.")
    return text


def _run(arn: str) -> Any:
    if ":express:" in arn:
        raise AWSError(
            "InvalidArn", f"Invalid Arn: 'Resource type not valid in this context: {arn}'"
        )
    run = runs.find(arn)
    if run is None:
        raise AWSError("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
    return run


def _described(run: Any) -> dict[str, Any]:
    described = {
        **_listed(run),
        "input": run.execution_input,
        "inputDetails": {"included": True},
        "error": run.error,
        "cause": run.cause,
    }
    if run.status == "SUCCEEDED":
        described["output"] = runs.as_text(run.output)
        described["outputDetails"] = {"included": True}
    if run.sm_type == "EXPRESS":
        described["status"] = {"ABORTED": "FAILED"}.get(run.status, run.status)
    return {name: value for name, value in described.items() if value is not None}


def _listed(run: Any) -> dict[str, Any]:
    machine = run.state_machine
    listed = {
        "executionArn": run.exec_arn,
        "stateMachineArn": getattr(machine, "source_arn", machine.arn),
        "name": run.name,
        "status": run.status,
        "startDate": run.start_date,
        "stopDate": run.stop_date,
        "mapRunArn": getattr(run, "map_run_arn", None),
        "stateMachineVersionArn": machine.arn if hasattr(machine, "source_arn") else None,
    }
    return {name: value for name, value in listed.items() if value is not None}


def _without_data(event: dict[str, Any]) -> dict[str, Any]:
    """An event without what the states were given and gave."""
    hidden = ("input", "output", "parameters")
    return {
        name: {key: item for key, item in value.items() if key not in hidden}
        if isinstance(value, dict)
        else value
        for name, value in event.items()
    }


def _page(items: list[Any], params: dict[str, Any]) -> tuple[list[Any], str | None]:
    """The part that is asked for. A token is where the next one begins."""
    size = params.get("maxResults") or _PAGE
    try:
        begin = int(params.get("nextToken") or 0)
    except ValueError:
        token = params.get("nextToken")
        raise AWSError("InvalidToken", f"Invalid Token: '{token}'") from None
    end = begin + size
    return items[begin:end], str(end) if end < len(items) else None
