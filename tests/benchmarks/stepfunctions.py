"""What a state costs: a chain of Pass states, and a Lambda task against the call it makes."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator
from typing import Any

from tests.local_aws.account import EXECUTION_ROLE_ARN
from tests.local_aws.environment import LocalAWS

from .measure import compare

_STATES, _ITEMS = 100, 40


def report() -> Iterator[str]:
    """Lines of a Markdown table: times in milliseconds."""
    with LocalAWS() as aws:
        long, short = _chain(aws, "long", _STATES), _chain(aws, "short", 1)
        ours, other = compare(lambda: _run(aws, long), lambda: _run(aws, short), 5)
        each = (ours - other) / (_STATES - 1)
        yield _line(f"Step Functions, {_STATES} Pass states against 1", ours, other, f"{each:.4f}")
        _make_function(aws)
        task = _create(aws, "task", {"Invoke": _invoke("$")})
        functions = aws.client("lambda")
        ours, other = compare(
            lambda: _run(aws, task), lambda: functions.invoke(FunctionName="f", Payload=b"{}"), 10
        )
        yield _line("Step Functions, a Lambda task against invoke", ours, other)
        states = {"Item": {"Type": "Pass", "End": True}}
        one = {"ItemProcessor": {"StartAt": "Item", "States": states}, "ItemsPath": "$.items"}
        inline = _create(aws, "inline", {"Map": {"Type": "Map", **one, "End": True}})
        mode = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
        one["ItemProcessor"] = {"ProcessorConfig": mode, **one["ItemProcessor"]}
        spread = _create(aws, "spread", {"Map": {"Type": "Map", **one, "End": True}})
        ours, other = compare(lambda: _run(aws, spread), lambda: _run(aws, inline), 3)
        yield _line(f"Distributed Map of {_ITEMS} items against inline", ours, other)


def _line(what: str, ours: float, other: float, each: str | None = None) -> str:
    shown = f"{float(each) * 1e3:.1f} ms a state" if each else ""
    return f"| {what} | {ours * 1e3:,.1f} | {other * 1e3:,.1f} | {ours / other:.2f} | {shown} |"


def _chain(aws: LocalAWS, name: str, count: int) -> str:
    states = {
        f"P{n}": {"Type": "Pass", **({"Next": f"P{n + 1}"} if n + 1 < count else {"End": True})}
        for n in range(count)
    }
    return _create(aws, name, states)


def _create(aws: LocalAWS, name: str, states: dict[str, Any]) -> str:
    definition = json.dumps({"StartAt": next(iter(states)), "States": states})
    answer = aws.client("stepfunctions").create_state_machine(
        name=name, definition=definition, roleArn=EXECUTION_ROLE_ARN
    )
    return answer["stateMachineArn"]


def _run(aws: LocalAWS, arn: str) -> None:
    client = aws.client("stepfunctions")
    given = json.dumps({"items": list(range(_ITEMS))})
    started = client.start_execution(stateMachineArn=arn, input=given)["executionArn"]
    while (found := client.describe_execution(executionArn=started))["status"] == "RUNNING":
        time.sleep(0.005)
    assert found["status"] == "SUCCEEDED", found


def _invoke(payload: str) -> dict[str, Any]:
    parameters = {"FunctionName": "f", "Payload.$": payload}
    resource = "arn:aws:states:::lambda:invoke"
    return {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True}


def _make_function(aws: LocalAWS) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("main.py", "def handler(event, context):\n    return 1\n")
    aws.client("lambda").create_function(
        FunctionName="f",
        Runtime="python3.13",
        Handler="main.handler",
        Role=EXECUTION_ROLE_ARN,
        Code={"ZipFile": packed.getvalue()},
    )
