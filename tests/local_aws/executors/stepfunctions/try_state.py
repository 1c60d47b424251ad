"""TestState: one state, run as it is written, before it is part of anything.

https://docs.aws.amazon.com/step-functions/latest/dg/test-state-isolation.html
"""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from moto.stepfunctions.parser.backend.test_state.execution import TestStateExecution

from ... import account
from ...errors import AWSError, not_implemented
from ...gateway import Call, handles
from . import definition, machines, runs

_STATES = ("Task", "Pass", "Wait", "Choice", "Succeed", "Fail")
_NEVER_BY_ALL = ("States.DataLimitExceeded", "States.Runtime")


@handles("stepfunctions", "TestState")
def try_state(call: Call) -> dict[str, Any]:
    """Run one state with an input; what it would do next is said, not done.

    An error that a retrier names is `RETRIABLE`, one that a catcher names `CAUGHT_ERROR`.
    """
    params = call.params
    for name in ("mock", "stateConfiguration", "context", "stateName"):
        if params.get(name) is not None:
            raise not_implemented(call.service, f"TestState with {name}")
    state = _state(params["definition"])
    if params.get("roleArn"):
        machines.check_role(params["roleArn"])
    elif state["Type"] == "Task":
        message = "A role is required to test a Task state: give its ARN in roleArn."
        raise AWSError("ValidationException", message)
    given = params.get("input") or "{}"
    try:
        json.loads(given)
    except ValueError as error:
        raise AWSError("InvalidExecutionInput", f"Invalid input: '{error}'") from None
    execution = _run(call, state, given)
    answer = _answer(execution, state, given)
    if params.get("inspectionLevel", "INFO") != "INFO":
        answer["inspectionData"] = _inspected(execution)
    return answer


def _state(text: str) -> dict[str, Any]:
    """The state, if it is one that can be tried. Raises InvalidDefinition."""
    try:
        state = json.loads(text)
    except ValueError as error:
        message = f"Invalid State Machine Definition: 'INVALID_JSON_DESCRIPTION: {error}'"
        raise AWSError("InvalidDefinition", message) from None
    if "States" in state or state.get("Type") in ("Map", "Parallel"):
        raise not_implemented(
            "stepfunctions", "TestState with a Map, a Parallel or a whole machine"
        )
    if state.get("Type") not in _STATES:
        message = "Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: These fields are "
        message += f"required: [Type] at /', got {state.get('Type')!r}"
        raise AWSError("InvalidDefinition", message)
    definition.check_state(state)
    return state


def _run(call: Call, state: dict[str, Any], given: str) -> Any:
    bare = {key: value for key, value in state.items() if key not in ("Retry", "Catch", "Next")}
    if "Next" in state:
        bare["End"] = True
    name = account.new_id()
    arn = f"arn:aws:states:{call.region}:{call.account}:stateMachine:TestState-{name}"
    machine = SimpleNamespace(arn=arn, name=name, definition=json.dumps(bare), sm_type="STANDARD")
    execution = TestStateExecution(
        name=name,
        role_arn=call.params.get("roleArn"),
        exec_arn=arn.replace(":stateMachine:", ":execution:"),
        account_id=call.account,
        region_name=call.region,
        state_machine=machine,
        start_date=datetime.now(UTC),
        activity_store={},
        input_data=given,
    )
    execution.start()
    return execution


def _answer(execution: Any, state: dict[str, Any], given: str) -> dict[str, Any]:
    status = getattr(execution.exec_status, "value", execution.exec_status)
    if status == "SUCCEEDED":
        answer = {"status": "SUCCEEDED", "output": runs.as_text(execution.output)}
        following = execution.next_state or state.get("Next")
        return answer | ({"nextState": following} if following else {})
    error = execution.error or ("States.Timeout" if status == "TIMED_OUT" else "States.Runtime")
    cause = execution.cause or ""
    failed = {"error": error, "cause": cause}
    for retrier in state.get("Retry") or []:
        if _names(retrier["ErrorEquals"], error) and retrier.get("MaxAttempts", 3) > 0:
            return {"status": "RETRIABLE", **failed}
    for catcher in state.get("Catch") or []:
        if _names(catcher["ErrorEquals"], error):
            output = _caught(catcher, json.loads(given), {"Error": error, "Cause": cause})
            found = {"output": json.dumps(output), "nextState": catcher["Next"]}
            return {"status": "CAUGHT_ERROR", **failed, **found}
    return {"status": "FAILED", **failed}


def _names(names: list[str], error: str) -> bool:
    if error in names:
        return True
    if "States.TaskFailed" in names and error not in ("States.Timeout", *_NEVER_BY_ALL):
        return True
    return "States.ALL" in names and error not in _NEVER_BY_ALL


def _caught(catcher: dict[str, Any], given: Any, error: dict[str, str]) -> Any:
    """The output of a catcher: the error, put where its ResultPath says."""
    path = catcher.get("ResultPath", "$")
    if path is None:
        return given
    if path == "$":
        return error
    output = copy.deepcopy(given) if isinstance(given, dict) else {}
    node = output
    *outer, last = path.removeprefix("$.").split(".")
    for name in outer:
        node = node.setdefault(name, {})
    node[last] = error
    return output


def _inspected(execution: Any) -> dict[str, Any]:
    data = execution.exec_worker.env.inspection_data
    return {name: value for name, value in dict(data).items() if value is not None}
