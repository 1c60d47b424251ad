"""Step Functions as a client sees it: definitions that are refused, executions that really run."""

from __future__ import annotations

import hashlib
import json

import pytest
from botocore.exceptions import ClientError

from tests.local_aws import account, identity
from tests.local_aws.executors.stepfunctions import calls

from .test_lambda import ROLE, make, wait_for

ACCOUNT = "123456789012"


def refused(code, text=""):
    return pytest.raises(ClientError, match=rf"\({code}\).*{text}")


def machine(aws, states, name="machine", start=None, **settings):
    """Create a state machine of these states, which start with the first; its ARN."""
    settings.setdefault("roleArn", ROLE)
    top = settings.pop("top", {})
    definition = {"StartAt": start or next(iter(states)), "States": states, **top}
    client = aws.client("stepfunctions")
    answer = client.create_state_machine(name=name, definition=json.dumps(definition), **settings)
    return answer["stateMachineArn"]


def execute(aws, arn, given=None, seconds=20):
    """Run an execution to its end; its description."""
    client = aws.client("stepfunctions")
    started = client.start_execution(stateMachineArn=arn, input=json.dumps(given or {}))
    return ended(aws, started["executionArn"], seconds)


def ended(aws, arn, seconds=20):
    client = aws.client("stepfunctions")

    def found():
        described = client.describe_execution(executionArn=arn)
        return described if described["status"] != "RUNNING" else None

    return wait_for(found, seconds)


def run(aws, states, given=None, **settings):
    """Create, run and read: the output of these states."""
    found = execute(aws, machine(aws, states, **settings), given)
    assert found["status"] == "SUCCEEDED", (found.get("error"), found.get("cause"))
    return json.loads(found["output"])


def history(aws, arn):
    pages = aws.client("stepfunctions").get_paginator("get_execution_history")
    return [event for page in pages.paginate(executionArn=arn) for event in page["events"]]


def task(resource, parameters, **more):
    return {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True, **more}


INVOKE = "arn:aws:states:::lambda:invoke"

# ── the language ─────────────────────────────────────────────────────────────────────────────────


def test_a_pass_state_shapes_its_input(aws):
    states = {
        "Shape": {
            "Type": "Pass",
            "Parameters": {
                "name.$": "States.Format('{}-{}', $.first, $.last)",
                "count.$": "States.ArrayLength($.items)",
                "execution.$": "$$.Execution.Name",
                "state.$": "$$.State.Name",
            },
            "ResultPath": "$.shaped",
            "Next": "Choose",
        },
        "Choose": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.shaped.count", "NumericGreaterThan": 2, "Next": "Many"},
            ],
            "Default": "Few",
        },
        "Many": {"Type": "Pass", "Result": "many", "ResultPath": "$.size", "End": True},
        "Few": {"Type": "Pass", "Result": "few", "ResultPath": "$.size", "End": True},
    }
    output = run(aws, states, {"first": "a", "last": "b", "items": [1, 2, 3]})
    assert output["size"] == "many"
    assert output["shaped"]["name"] == "a-b"
    assert output["shaped"]["state"] == "Shape"
    assert len(output["shaped"]["execution"]) == 36


def test_branches_run_beside_each_other(aws):
    branch = {"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": 1, "End": True}}}
    other = {"StartAt": "Q", "States": {"Q": {"Type": "Succeed"}}}
    both = {"Both": {"Type": "Parallel", "Branches": [branch, other], "End": True}}
    assert run(aws, both, {"a": 2}) == [1, {"a": 2}]


def test_a_choice_without_a_match_fails_by_name(aws):
    rule = {"Variable": "$.a", "NumericEquals": 1, "Next": "B"}
    states = {"A": {"Type": "Choice", "Choices": [rule]}, "B": {"Type": "Succeed"}}
    found = execute(aws, machine(aws, states), {"a": 2})
    assert (found["status"], found["error"]) == ("FAILED", "States.NoChoiceMatched")
    assert "'A'" in found["cause"]


def test_intrinsic_functions_and_nested_maps(aws):
    inner = {"Type": "Map", "ItemsPath": "$.xs", "End": True}
    inner["ItemProcessor"] = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
    outer = {"Type": "Map", "ItemsPath": "$.rows", "ResultPath": "$.all", "Next": "Shape"}
    outer["ItemProcessor"] = {"StartAt": "In", "States": {"In": inner}}
    functions = {
        "pairs.$": "States.ArrayPartition($.all[0], 1)",
        "sum.$": "States.MathAdd($.rows[0].xs[1], 40)",
        "hash.$": "States.Hash('x', 'SHA-256')",
        "text.$": "States.JsonToString($.rows[1])",
        "second.$": "States.ArrayGetItem($.rows[0].xs, 1)",
    }
    states = {"Out": outer, "Shape": {"Type": "Pass", "Parameters": functions, "End": True}}
    output = run(aws, states, {"rows": [{"xs": [1, 2]}, {"xs": [3]}]})
    assert output["pairs"] == [[1], [2]]
    assert (output["sum"], output["second"]) == (42, 2)
    assert output["hash"] == hashlib.sha256(b"x").hexdigest()
    assert json.loads(output["text"]) == {"xs": [3]}


def test_a_branch_that_fails_is_caught_around_all(aws):
    def branch(state):
        return {"StartAt": "X", "States": {"X": state}}

    catch = {"ErrorEquals": ["E"], "ResultPath": "$.why", "Next": "Sorry"}
    both = [branch({"Type": "Fail", "Error": "E", "Cause": "c"}), branch({"Type": "Succeed"})]
    states = {
        "Both": {"Type": "Parallel", "Branches": both, "Catch": [catch], "End": True},
        "Sorry": {"Type": "Succeed"},
    }
    assert run(aws, states, {"a": 1}) == {"a": 1, "why": {"Error": "E", "Cause": "c"}}


def test_an_output_that_is_too_large_fails(aws):
    three = {name: "$.a" for name in ("a.$", "b.$", "c.$")}
    states = {"Blow up": {"Type": "Pass", "Parameters": three, "End": True}}
    found = execute(aws, machine(aws, states), {"a": "x" * 100_000})
    assert found["error"] == "States.DataLimitExceeded"


def test_a_fail_state_names_error_and_cause(aws):
    found = execute(aws, machine(aws, {"No": {"Type": "Fail", "Error": "E", "Cause": "because"}}))
    assert (found["status"], found["error"], found["cause"]) == ("FAILED", "E", "because")
    assert "output" not in found


def test_history_tells_what_happened_in_order(aws):
    arn = machine(aws, {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Succeed"}})
    found = execute(aws, arn, {"x": 1})
    events = history(aws, found["executionArn"])
    assert [event["type"] for event in events] == [
        "ExecutionStarted",
        "PassStateEntered",
        "PassStateExited",
        "SucceedStateEntered",
        "SucceedStateExited",
        "ExecutionSucceeded",
    ]
    assert [event["id"] for event in events] == [1, 2, 3, 4, 5, 6]
    assert events[1]["stateEnteredEventDetails"] | {"inputDetails": None} == {
        "name": "A",
        "input": '{"x":1}',
        "inputDetails": None,
    }
    client = aws.client("stepfunctions")
    newest = client.get_execution_history(
        executionArn=found["executionArn"],
        reverseOrder=True,
        maxResults=1,
        includeExecutionData=False,
    )
    assert [event["type"] for event in newest["events"]] == ["ExecutionSucceeded"]
    assert "output" not in newest["events"][0]["executionSucceededEventDetails"]


def test_an_execution_is_known_by_name_and_input(aws):
    client = aws.client("stepfunctions")
    arn = machine(aws, {"Wait": {"Type": "Wait", "Seconds": 30, "End": True}})
    first = client.start_execution(stateMachineArn=arn, name="one", input='{"a": 1}')
    again = client.start_execution(stateMachineArn=arn, name="one", input='{"a":1}')
    assert first["executionArn"] == again["executionArn"]
    assert first["executionArn"] == f"arn:aws:states:us-east-1:{ACCOUNT}:execution:machine:one"
    with refused("ExecutionAlreadyExists"):
        client.start_execution(stateMachineArn=arn, name="one", input='{"a": 2}')
    client.stop_execution(executionArn=first["executionArn"], error="Enough", cause="Lunch")
    found = client.describe_execution(executionArn=first["executionArn"])
    assert (found["status"], found["error"], found["cause"]) == ("ABORTED", "Enough", "Lunch")
    assert history(aws, first["executionArn"])[-1]["type"] == "ExecutionAborted"
    listed = client.list_executions(stateMachineArn=arn, statusFilter="ABORTED")["executions"]
    assert [item["name"] for item in listed] == ["one"]
    with refused("InvalidExecutionInput"):
        client.start_execution(stateMachineArn=arn, input="{")


def test_an_execution_times_out(aws):
    states = {"Wait": {"Type": "Wait", "Seconds": 30, "End": True}}
    found = execute(aws, machine(aws, states, top={"TimeoutSeconds": 1}))
    assert found["status"] == "TIMED_OUT"
    assert history(aws, found["executionArn"])[-1]["type"] == "ExecutionTimedOut"


def test_jsonata_states_run(aws):
    pytest.importorskip("jsonata")
    states = {
        "Sum": {
            "Type": "Pass",
            "Assign": {"total": "{% $sum($states.input.prices) %}"},
            "Output": {"text": "{% 'It is ' & $states.input.name & '.' %}"},
            "Next": "Judge",
        },
        "Judge": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $total > 5 %}", "Next": "Dear"}],
            "Default": "Cheap",
        },
        "Dear": {
            "Type": "Succeed",
            "Output": {"total": "{% $total %}", "text": "{% $states.input.text %}"},
        },
        "Cheap": {"Type": "Fail", "Error": "Cheap"},
    }
    output = run(
        aws, states, {"prices": [1, 2, 3.5], "name": 'a "b"\n'}, top={"QueryLanguage": "JSONata"}
    )
    assert output == {"total": 6.5, "text": 'It is a "b"\n.'}


def test_a_wrong_jsonata_expression_fails_the_execution(aws):
    pytest.importorskip("jsonata")
    states = {"No": {"Type": "Pass", "Output": "{% $sum('a' + 1) %}", "End": True}}
    found = execute(aws, machine(aws, states, top={"QueryLanguage": "JSONata"}))
    assert (found["status"], found["error"]) == ("FAILED", "States.QueryEvaluationError")


# ── what is not a state machine ──────────────────────────────────────────────────────────────────

PASS = {"Type": "Pass", "End": True}
WRONG = [
    ({"A": {"Type": "Pass", "Next": "B"}}, "Missing 'Next' target: B at /States/A/Next"),
    ({"A": PASS, "B": PASS}, 'State "B" is not reachable. at /States/B'),
    ({"A": {"Type": "Pass", "Next": "A"}}, "MISSING_END_STATE"),
    ({"A": {"Type": "Pas", "End": True}}, "Unknown type: Pas at /States/A/Type"),
    ({"A": {**PASS, "Nxt": "B"}}, "Field 'Nxt' is not supported at /States/A"),
    ({"A": {"Type": "Task", "End": True}}, r"required: \[Resource\] at /States/A"),
    ({"A": task("arn:aws:states:::lamda:invoke", {})}, "not recognized.* at /States/A/Resource"),
    ({"A": task("arn:aws:states:::aws-sdk:s3:fetch", {})}, "not recognized"),
    ({"A": task("arn:aws:states:::sqs:sendMessage.sync", {})}, "not recognized"),
    (
        {"A": task("arn:aws:states:::aws-sdk:s3:getObject", {"Buckt": "b", "Key": "k"})},
        'field "Buckt" is not supported',
    ),
    (
        {"A": task("arn:aws:states:::aws-sdk:s3:getObject", {"Bucket": "b"})},
        'field "Key" is required',
    ),
    (
        {"A": {**PASS, "Type": "Parallel", "Branches": [{"StartAt": "X", "States": {"Y": PASS}}]}},
        r"Missing 'Next' target: X at /States/A/Branches\[0\]/StartAt",
    ),
    ({"A": {**PASS, "Arguments": {}}}, "not supported"),
    (
        {
            "A": task(
                INVOKE,
                {"FunctionName": "f"},
                Retry=[{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["E"]}],
            )
        },
        "must appear alone and in the last element",
    ),
]


@pytest.mark.parametrize(("states", "says"), WRONG)
def test_what_is_no_state_machine_is_refused(aws, states, says):
    with refused("InvalidDefinition", f"Invalid State Machine Definition: '.*{says}"):
        machine(aws, states)
    definition = json.dumps({"StartAt": "A", "States": states})
    client = aws.client("stepfunctions")
    answer = client.validate_state_machine_definition(definition=definition)
    assert answer["result"] == "FAIL"
    assert all(item["severity"] == "ERROR" for item in answer["diagnostics"])


def test_a_definition_that_is_none_is_refused(aws):
    client = aws.client("stepfunctions")
    with refused("InvalidDefinition", "INVALID_JSON_DESCRIPTION"):
        client.create_state_machine(name="m", definition="{", roleArn=ROLE)
    definition = json.dumps({"StartAt": "A", "States": {"A": PASS}})
    answer = client.validate_state_machine_definition(definition=definition)
    assert (answer["result"], answer["diagnostics"]) == ("OK", [])


def test_the_role_must_trust_step_functions(aws):
    with refused("AccessDeniedException", "authorized to assume"):
        machine(aws, {"A": PASS}, roleArn=f"arn:aws:iam::{ACCOUNT}:role/nobody")
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}
    trust = {"Version": "2012-10-17", "Statement": [{**trust, "Action": "sts:AssumeRole"}]}
    made = aws.client("iam").create_role(
        RoleName="other", AssumeRolePolicyDocument=json.dumps(trust)
    )
    with refused("AccessDeniedException"):
        machine(aws, {"A": PASS}, roleArn=made["Role"]["Arn"])


def test_creating_again_is_the_same_unless_it_differs(aws):
    assert machine(aws, {"A": PASS}) == machine(aws, {"A": PASS})
    with refused("StateMachineAlreadyExists"):
        machine(aws, {"B": PASS})


def test_what_is_not_carried_out_says_so(aws):
    client = aws.client("stepfunctions")
    with refused("NotImplemented", "ecs:runTask"):
        machine(aws, {"A": task("arn:aws:states:::ecs:runTask.sync", {"TaskDefinition": "t"})})
    with refused("NotImplemented", "CreateActivity"):
        client.create_activity(name="a")


# ── Lambda, retries and catchers ─────────────────────────────────────────────────────────────────

# Fails as often as it is told to, and counts in a bucket how often it has been called.
FLAKY = """
import boto3
class Throttled(Exception):
    pass
def handler(event, context):
    s3 = boto3.client("s3")
    calls = s3.list_objects_v2(Bucket="calls").get("KeyCount", 0)
    s3.put_object(Bucket="calls", Key=str(calls), Body=b"")
    if calls < event["failures"]:
        raise Throttled(f"call {calls + 1}")
    return {"calls": calls + 1}
"""


def flaky(aws, retry, failures, **more):
    aws.client("s3").create_bucket(Bucket="calls")
    make(aws, FLAKY, name="flaky")
    parameters = {"FunctionName": "flaky", "Payload": {"failures": failures}}
    return task(
        INVOKE, parameters, Retry=[retry], ResultSelector={"calls.$": "$.Payload.calls"}, **more
    )


def test_a_function_that_fails_twice_is_tried_again(aws):
    retry = {"ErrorEquals": ["Throttled"], "IntervalSeconds": 1, "MaxAttempts": 3, "BackoffRate": 1}
    arn = machine(aws, {"Flaky": flaky(aws, retry, 2)})
    found = execute(aws, arn)
    assert json.loads(found["output"]) == {"calls": 3}
    types = [event["type"] for event in history(aws, found["executionArn"])]
    assert types.count("TaskFailed") == 2
    assert types.count("TaskSucceeded") == 1


def test_a_function_that_goes_on_failing_is_caught(aws):
    retry = {
        "ErrorEquals": ["Throttled"],
        "IntervalSeconds": 1,
        "MaxAttempts": 1,
        "JitterStrategy": "FULL",
    }
    catch = [{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.why", "Next": "Sorry"}]
    states = {"Flaky": flaky(aws, retry, 9, Catch=catch), "Sorry": {"Type": "Succeed"}}
    output = run(aws, states, {"item": 4})
    assert output["item"] == 4
    assert output["why"]["Error"] == "Throttled"
    assert json.loads(output["why"]["Cause"])["errorMessage"] == "call 2"


def test_a_function_is_named_by_its_arn_or_not_at_all(aws):
    make(aws, name="echo")
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:echo"
    assert run(aws, {"Echo": {"Type": "Task", "Resource": arn, "End": True}}, {"a": 1}) == {"a": 1}
    states = {"None": task(INVOKE, {"FunctionName": "nobody", "Payload": {}})}
    found = execute(aws, machine(aws, states, name="other"))
    assert (found["status"], found["error"]) == ("FAILED", "Lambda.ResourceNotFoundException")


def test_an_execution_is_stopped_while_a_function_runs(aws):
    make(aws, "import time\ndef handler(event, context):\n    time.sleep(20)", Timeout=30)
    states = {"Slow": task(INVOKE, {"FunctionName": "function", "Payload": {}})}
    client, arn = aws.client("stepfunctions"), machine(aws, states)
    started = client.start_execution(stateMachineArn=arn)["executionArn"]
    wait_for(lambda: any(event["type"] == "TaskStarted" for event in history(aws, started)))
    client.stop_execution(executionArn=started)
    assert client.describe_execution(executionArn=started)["status"] == "ABORTED"
    assert history(aws, started)[-1]["type"] == "ExecutionAborted"


def test_a_client_that_a_reset_overtook_is_not_used_again(monkeypatch):
    monkeypatch.setenv("MOTO_PORT", "1")
    monkeypatch.setattr(calls, "_clients", {})
    made = calls._new_client

    def overtaken(*asked):
        client = made(*asked)
        identity.close_all()
        return client

    with monkeypatch.context() as patched:
        patched.setattr(calls, "_new_client", overtaken)
        void = calls.client("lambda", "us-east-1", account.EXECUTION_ROLE_ARN)
    valid = calls.client("lambda", "us-east-1", account.EXECUTION_ROLE_ARN)
    assert valid is not void
    assert valid is calls.client("lambda", "us-east-1", account.EXECUTION_ROLE_ARN)


def test_a_task_times_out(aws):
    make(aws, "import time\ndef handler(event, context):\n    time.sleep(20)", Timeout=30)
    states = {
        "Slow": task(
            INVOKE,
            {"FunctionName": "function", "Payload": {}},
            TimeoutSeconds=1,
            Catch=[{"ErrorEquals": ["States.Timeout"], "Next": "Late"}],
        ),
        "Late": {"Type": "Pass", "Result": "late", "End": True},
    }
    assert run(aws, states) == "late"
