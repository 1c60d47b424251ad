"""Tasks of Step Functions that call other services, wait for jobs and for callbacks."""

from __future__ import annotations

import json
import time

import pytest

from .sagemaker_help import BUCKET, SKLEARN, SageMaker
from .test_glue_jobs import BUCKET as LAKE
from .test_glue_jobs import shell
from .test_lambda import ROLE, make, wait_for
from .test_stepfunctions import ended, execute, history, machine, refused, run, task

SDK = "arn:aws:states:::aws-sdk"
OPTIMIZED = "arn:aws:states:::"


def in_order(*states):
    """States of a chain, named by the letters."""
    names = "ABCDEFGH"[: len(states)]
    chain = {}
    for place, (name, state) in enumerate(zip(names, states, strict=True)):
        if place + 1 < len(states):
            state = {key: value for key, value in state.items() if key != "End"}
            state["Next"] = names[place + 1]
        chain[name] = state
    return chain


# ── the AWS SDK ──────────────────────────────────────────────────────────────────────────────────


def test_objects_are_json_and_times_are_texts(aws):
    aws.client("s3").create_bucket(Bucket="data")
    put = task(
        f"{SDK}:s3:putObject",
        {"Bucket": "data", "Key": "a.json", "Body.$": "$"},
        ResultPath=None,
    )
    listed = task(f"{SDK}:s3:listObjectsV2", {"Bucket": "data"}, ResultPath="$.list")
    read = task(
        f"{SDK}:s3:getObject",
        {"Bucket": "data", "Key.$": "$.list.Contents[0].Key"},
        ResultSelector={"body.$": "States.StringToJson($.Body)", "type.$": "$.ContentType"},
        ResultPath="$.read",
    )
    output = run(aws, in_order(put, listed, read), {"a": [1, {"b": "ü"}]})
    assert output["read"]["body"] == {"a": [1, {"b": "ü"}]}
    entry = output["list"]["Contents"][0]
    assert (entry["Key"], entry["Size"]) == ("a.json", len('{"a":[1,{"b":"ü"}]}'.encode()))
    assert entry["LastModified"].endswith("Z")
    assert "ResponseMetadata" not in output["list"]


def test_names_are_in_pascal_case_whatever_the_service_calls_them(aws):
    arn = machine(aws, {"A": {"Type": "Succeed"}}, name="other")
    states = {"A": task(f"{SDK}:sfn:describeStateMachine", {"StateMachineArn": arn})}
    output = run(aws, states)
    assert (output["Name"], output["StateMachineArn"]) == ("other", arn)
    assert output["CreationDate"].endswith("Z")


@pytest.mark.parametrize(
    ("action", "parameters", "error"),
    [
        ("s3:getObject", {"Bucket": "data", "Key": "none"}, "S3.NoSuchKeyException"),
        ("dynamodb:getItem", {"TableName": "t", "Key": {}}, "DynamoDb.ResourceNotFoundException"),
        (
            "sfn:describeStateMachine",
            {"StateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:none"},
            "Sfn.StateMachineDoesNotExistException",
        ),
    ],
)
def test_errors_are_named_by_service_and_exception(aws, action, parameters, error):
    aws.client("s3").create_bucket(Bucket="data")
    found = execute(aws, machine(aws, {"A": task(f"{SDK}:{action}", parameters)}))
    assert (found["status"], found["error"]) == ("FAILED", error)
    assert "Status Code: 40" in found["cause"]


def test_the_role_must_be_allowed_to_make_the_call(aws):
    allow = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}
    trust = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}}
    iam = aws.client("iam")
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust | {"Action": "sts:*"}]})
    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=document)["Role"]
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_role_policy(RoleName="reader", PolicyName="read", PolicyDocument=document)
    aws.client("s3").create_bucket(Bucket="data")
    states = {"A": task(f"{SDK}:s3:putObject", {"Bucket": "data", "Key": "k", "Body": "x"})}
    found = execute(aws, machine(aws, states, roleArn=role["Arn"]))
    assert found["error"] == "S3.S3Exception"
    assert "not authorized to perform: s3:PutObject" in found["cause"]


# ── optimized integrations ───────────────────────────────────────────────────────────────────────


def test_messages_are_sent_and_events_put(aws):
    sqs, sns = aws.client("sqs"), aws.client("sns")
    url = sqs.create_queue(QueueName="inbox")["QueueUrl"]
    topic = sns.create_topic(Name="news")["TopicArn"]
    entry = {
        "Source": "states",
        "DetailType": "done",
        "Detail": {"a": 1},
        "EventBusName": "default",
    }
    states = in_order(
        task(
            f"{OPTIMIZED}sqs:sendMessage",
            {"QueueUrl": url, "MessageBody": {"n.$": "$.n"}},
            ResultPath="$.sqs",
        ),
        task(f"{OPTIMIZED}sns:publish", {"TopicArn": topic, "Message": "hi"}, ResultPath="$.sns"),
        task(f"{OPTIMIZED}events:putEvents", {"Entries": [entry]}, ResultPath="$.events"),
    )
    output = run(aws, states, {"n": 3})
    message = sqs.receive_message(QueueUrl=url)["Messages"][0]
    assert json.loads(message["Body"]) == {"n": 3}
    assert message["MessageId"] == output["sqs"]["MessageId"]
    assert output["sns"]["SdkHttpMetadata"]["HttpStatusCode"] == 200
    assert output["events"]["FailedEntryCount"] == 0


def test_items_are_kept_in_a_table(aws):
    aws.client("dynamodb").create_table(
        TableName="t",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    item = {"id": {"S.$": "$.id"}, "n": {"N": "4"}}
    key = {"id": {"S.$": "$.id"}}
    states = in_order(
        task(f"{OPTIMIZED}dynamodb:putItem", {"TableName": "t", "Item": item}, ResultPath=None),
        task(f"{OPTIMIZED}dynamodb:getItem", {"TableName": "t", "Key": key}),
    )
    assert run(aws, states, {"id": "x"})["Item"] == {"id": {"S": "x"}, "n": {"N": "4"}}


def test_a_task_waits_for_its_token(aws):
    sqs, client = aws.client("sqs"), aws.client("stepfunctions")
    url = sqs.create_queue(QueueName="inbox")["QueueUrl"]
    ask = task(
        f"{OPTIMIZED}sqs:sendMessage.waitForTaskToken",
        {"QueueUrl": url, "MessageBody": {"token.$": "$$.Task.Token"}},
        Catch=[{"ErrorEquals": ["Refused"], "Next": "No"}],
    )
    arn = machine(aws, {"Ask": ask, "No": {"Type": "Pass", "End": True}})
    for answer in ("yes", "no"):
        started = client.start_execution(stateMachineArn=arn)["executionArn"]
        messages = wait_for(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
        token = json.loads(messages[0]["Body"])["token"]
        if answer == "yes":
            client.send_task_success(taskToken=token, output='{"said": "yes"}')
            assert json.loads(ended(aws, started)["output"]) == {"said": "yes"}
        else:
            client.send_task_failure(taskToken=token, error="Refused", cause="No time")
            output = json.loads(ended(aws, started)["output"])
            assert output == {"Error": "Refused", "Cause": "No time"}
    with refused("InvalidToken"):
        client.send_task_success(taskToken="nothing", output="{}")


def test_a_heartbeat_that_does_not_come_ends_the_wait(aws):
    url = aws.client("sqs").create_queue(QueueName="inbox")["QueueUrl"]
    ask = task(
        f"{OPTIMIZED}sqs:sendMessage.waitForTaskToken",
        {"QueueUrl": url, "MessageBody": {"token.$": "$$.Task.Token"}},
        HeartbeatSeconds=1,
        TimeoutSeconds=60,
    )
    found = execute(aws, machine(aws, {"Ask": ask}))
    assert (found["status"], found["error"]) == ("FAILED", "States.Timeout")


def test_a_state_machine_runs_another(aws):
    inner = machine(aws, {"A": {"Type": "Pass", "Result": {"b": 2}, "End": True}}, name="inner")
    broken = machine(aws, {"A": {"Type": "Fail", "Error": "E"}}, name="broken")
    asked = {"StateMachineArn": inner, "Input": {"x": 1}}
    second = run(aws, {"A": task(f"{OPTIMIZED}states:startExecution.sync:2", asked)}, name="two")
    assert (second["Output"], second["Input"]) == ({"b": 2}, {"x": 1})
    first = run(aws, {"A": task(f"{OPTIMIZED}states:startExecution.sync", asked)}, name="one")
    assert first["Output"] == '{"b":2}'
    states = {"A": task(f"{OPTIMIZED}states:startExecution.sync:2", {"StateMachineArn": broken})}
    found = execute(aws, machine(aws, states, name="outer"))
    assert found["error"] == "States.TaskFailed"
    assert json.loads(found["cause"])["Error"] == "E"


# ── jobs ─────────────────────────────────────────────────────────────────────────────────────────


def athena(query, **more):
    parameters = {
        "QueryString": query,
        "ResultConfiguration": {"OutputLocation": f"s3://{BUCKET}/athena/"},
    }
    return task(f"{OPTIMIZED}athena:startQueryExecution.sync", parameters, **more)


def test_a_query_is_waited_for(aws):
    aws.client("s3").create_bucket(Bucket=BUCKET)
    states = in_order(
        athena("SELECT 1 AS one"),
        task(
            f"{OPTIMIZED}athena:getQueryResults",
            {"QueryExecutionId.$": "$.QueryExecution.QueryExecutionId"},
        ),
    )
    output = run(aws, states)
    assert output["ResultSet"]["Rows"][1]["Data"] == [{"VarCharValue": "1"}]


def test_a_query_that_fails_says_why(aws):
    aws.client("s3").create_bucket(Bucket=BUCKET)
    found = execute(aws, machine(aws, {"A": athena("SELECT nothing FROM nowhere")}))
    assert found["error"] == "States.TaskFailed"
    why = json.loads(found["cause"])["QueryExecution"]["Status"]
    assert why["State"] == "FAILED"
    assert "SCHEMA_NOT_FOUND" in why["StateChangeReason"]


def processing(script, name="job", **more):
    parameters = {
        "ProcessingJobName": name,
        "RoleArn": ROLE,
        "AppSpecification": {
            "ImageUri": SKLEARN,
            "ContainerEntrypoint": ["python3", "-c", script],
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 5,
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    return task(f"{OPTIMIZED}sagemaker:createProcessingJob.sync", parameters, **more)


def test_a_processing_job_is_waited_for(aws):
    SageMaker(aws)
    output = run(aws, {"A": processing("print('done')")})
    assert output["ProcessingJobStatus"] == "Completed"
    assert isinstance(output["ProcessingEndTime"], int)


def test_a_processing_job_that_fails_is_caught(aws):
    SageMaker(aws)
    states = {
        "A": processing(
            "raise SystemExit('no data')",
            Catch=[{"ErrorEquals": ["States.TaskFailed"], "Next": "B"}],
        ),
        "B": {"Type": "Succeed"},
    }
    cause = json.loads(run(aws, states)["Cause"])
    assert cause["ProcessingJobStatus"] == "Failed"


def test_a_job_ends_with_the_execution_that_waits_for_it(aws):
    sagemaker = SageMaker(aws)
    arn = machine(aws, {"A": processing("import time; time.sleep(60)")})
    client = aws.client("stepfunctions")
    started = client.start_execution(stateMachineArn=arn)["executionArn"]
    wait_for(lambda: any(e["type"] == "TaskSubmitted" for e in history(aws, started)))
    time.sleep(0.5)
    client.stop_execution(executionArn=started)
    assert ended(aws, started)["status"] == "ABORTED"
    job = sagemaker.processing("job")
    assert job["ProcessingJobStatus"] == "Stopped"


def glue_job(aws, script, **more):
    """A task that runs a Python shell job and waits for it."""
    aws.client("s3").create_bucket(Bucket=LAKE)
    name = shell(aws, script)
    parameters = {"JobName": name, "Arguments": {"--day.$": "$.day"}}
    return task(f"{OPTIMIZED}glue:startJobRun.sync", parameters, **more)


def test_a_glue_job_is_waited_for(aws):
    output = run(aws, {"A": glue_job(aws, "import sys; print(sys.argv[1:])")}, {"day": "monday"})
    assert (output["JobName"], output["JobRunState"]) == ("shell", "SUCCEEDED")
    assert output["Arguments"]["--day"] == "monday"
    assert isinstance(output["CompletedOn"], int)


def test_a_glue_job_that_fails_is_caught(aws):
    catch = [{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.why", "Next": "B"}]
    states = {
        "A": glue_job(aws, "raise ValueError('no flights')", Catch=catch),
        "B": {"Type": "Succeed"},
    }
    cause = json.loads(run(aws, states, {"day": "monday"})["why"]["Cause"])
    assert cause["JobRunState"] == "FAILED"
    assert "no flights" in cause["ErrorMessage"]


# ── Express workflows, and one state alone ───────────────────────────────────────────────────────


def test_an_express_workflow_answers_at_once(aws):
    client = aws.client("stepfunctions")
    make(aws, name="echo")
    echo = task(f"{OPTIMIZED}lambda:invoke", {"FunctionName": "echo", "Payload.$": "$"})
    arn = machine(aws, {"A": {**echo, "OutputPath": "$.Payload"}}, type="EXPRESS")
    answer = client.start_sync_execution(stateMachineArn=arn, input='{"a": 1}')
    assert (answer["status"], json.loads(answer["output"])) == ("SUCCEEDED", {"a": 1})
    assert ":express:machine:" in answer["executionArn"]
    assert answer["billingDetails"]["billedMemoryUsedInMB"] == 64
    with refused("StateMachineTypeNotSupported"):
        client.list_executions(stateMachineArn=arn)
    with refused("InvalidArn"):
        client.describe_execution(executionArn=answer["executionArn"])
    with refused("StateMachineTypeNotSupported"):
        standard = machine(aws, {"A": {"Type": "Succeed"}}, name="standard")
        client.start_sync_execution(stateMachineArn=standard)
    with refused("InvalidDefinition", "Express state machine does not support"):
        machine(aws, {"A": processing("pass")}, name="no", type="EXPRESS")


def test_an_express_workflow_that_fails_says_why(aws):
    arn = machine(aws, {"A": {"Type": "Fail", "Error": "E", "Cause": "c"}}, type="EXPRESS")
    answer = aws.client("stepfunctions").start_sync_execution(stateMachineArn=arn)
    assert (answer["status"], answer["error"], answer["cause"]) == ("FAILED", "E", "c")


def test_the_history_goes_to_the_log_group_that_is_named(aws):
    logs = aws.client("logs")
    logs.create_log_group(logGroupName="/aws/vendedlogs/states/m")
    group = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/vendedlogs/states/m:*"
    arn = machine(
        aws,
        {"A": {"Type": "Succeed"}},
        type="EXPRESS",
        loggingConfiguration={
            "level": "ALL",
            "includeExecutionData": True,
            "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": group}}],
        },
    )
    aws.client("stepfunctions").start_sync_execution(stateMachineArn=arn, input='{"a": 1}')
    events = logs.filter_log_events(logGroupName="/aws/vendedlogs/states/m")["events"]
    lines = [json.loads(event["message"]) for event in events]
    assert [line["type"] for line in lines] == [
        "ExecutionStarted",
        "SucceedStateEntered",
        "SucceedStateExited",
        "ExecutionSucceeded",
    ]
    assert lines[0]["details"]["input"] == '{"a": 1}'


def attempt(aws, state, given=None, **options):
    return aws.client("stepfunctions").test_state(
        definition=json.dumps(state), roleArn=ROLE, input=json.dumps(given or {}), **options
    )


def test_one_state_is_tried_alone(aws):
    shape = {"Type": "Pass", "Parameters": {"b.$": "$.a"}, "ResultPath": "$.c", "Next": "Later"}
    answer = attempt(aws, shape, {"a": 1}, inspectionLevel="DEBUG")
    assert answer["status"] == "SUCCEEDED"
    assert json.loads(answer["output"]) == {"a": 1, "c": {"b": 1}}
    assert answer["nextState"] == "Later"
    assert json.loads(answer["inspectionData"]["afterParameters"]) == {"b": 1}
    assert "inspectionData" not in attempt(aws, shape, {"a": 1})
    choice = {
        "Type": "Choice",
        "Choices": [{"Variable": "$.a", "NumericEquals": 1, "Next": "One"}],
        "Default": "Other",
    }
    assert attempt(aws, choice, {"a": 1})["nextState"] == "One"
    assert attempt(aws, choice, {"a": 2})["nextState"] == "Other"


def test_a_state_that_fails_alone_says_what_would_follow(aws):
    missing = {
        "Type": "Task",
        "Resource": f"{OPTIMIZED}lambda:invoke",
        "Parameters": {"FunctionName": "nobody", "Payload": {}},
        "End": True,
    }
    error = "Lambda.ResourceNotFoundException"
    answer = attempt(aws, missing)
    assert (answer["status"], answer["error"]) == ("FAILED", error)
    again = {**missing, "Retry": [{"ErrorEquals": [error], "MaxAttempts": 2}]}
    assert attempt(aws, again)["status"] == "RETRIABLE"
    catch = {"ErrorEquals": ["States.ALL"], "ResultPath": "$.e", "Next": "N"}
    answer = attempt(aws, {**missing, "Catch": [catch]}, {"a": 1})
    assert (answer["status"], answer["nextState"]) == ("CAUGHT_ERROR", "N")
    output = json.loads(answer["output"])
    assert (output["a"], output["e"]["Error"]) == (1, error)
    with refused("InvalidDefinition"):
        attempt(aws, {"Type": "Task", "End": True})
    with refused("NotImplemented"):
        attempt(aws, {"Type": "Map", "End": True})
