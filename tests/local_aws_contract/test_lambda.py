"""Lambda as a client sees it: functions that run, fail, time out, and what sets them off."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import time
import zipfile

import pytest
from botocore.exceptions import ClientError

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service-role/AmazonSageMaker-ExecutionRole-20260101T000000"

ECHO = "def handler(event, context):\n    return event\n"
# Keeps what it is sent in a bucket, one object an invocation.
KEEP = """
import json, boto3
def handler(event, context):
    key = f"{context.aws_request_id}.json"
    boto3.client("s3").put_object(Bucket="kept", Key=key, Body=json.dumps(event))
"""


def archive(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, text in files.items():
            packed.writestr(name.replace("__", "/") + ".py", text)
    return buffer.getvalue()


def make(aws, code=ECHO, name="function", **settings):
    settings.setdefault("Runtime", "python3.13")
    settings.setdefault("Handler", "main.handler")
    settings.setdefault("Role", ROLE)
    settings.setdefault("MemorySize", 256)
    content = code if isinstance(code, dict) else {"ZipFile": archive(main=code)}
    return aws.client("lambda").create_function(FunctionName=name, Code=content, **settings)


def invoke(aws, event=None, name="function", **options):
    payload = json.dumps({} if event is None else event).encode()
    answer = aws.client("lambda").invoke(FunctionName=name, Payload=payload, **options)
    body = answer.pop("Payload").read()
    return answer, json.loads(body) if body else None


def failure(aws, code, **settings):
    make(aws, code, **settings)
    answer, payload = invoke(aws)
    assert answer["StatusCode"] == 200
    assert answer["FunctionError"] == "Unhandled"
    return payload


def log(aws, name="function"):
    logs, group = aws.client("logs"), f"/aws/lambda/{name}"
    events = logs.filter_log_events(logGroupName=group)["events"]
    return [event["message"] for event in events]


def wait_for(condition, seconds=20.0):
    """Wait until the condition gives something, and return it."""
    for _ in range(int(seconds / 0.1)):
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("It has not happened.")


def kept(aws, count=1):
    """The events that a KEEP function has got; waits until there are this many."""
    s3 = aws.client("s3")

    def find():
        keys = [item["Key"] for item in s3.list_objects_v2(Bucket="kept").get("Contents", [])]
        return keys if len(keys) >= count else None

    return [
        json.loads(s3.get_object(Bucket="kept", Key=key)["Body"].read()) for key in wait_for(find)
    ]


@pytest.fixture
def keeper(aws):
    """The ARN of a function that keeps its events in the bucket `kept`."""
    aws.client("s3").create_bucket(Bucket="kept")
    return make(aws, KEEP, name="keeper", Timeout=30)["FunctionArn"]


def let_in(aws, service, source, name="keeper"):
    aws.client("lambda").add_permission(
        FunctionName=name,
        StatementId=re.sub(r"\W", "-", service),
        Action="lambda:InvokeFunction",
        Principal=service,
        SourceArn=source,
    )


def refused(code):
    return pytest.raises(ClientError, match=rf"\({code}\)")


# ── invocations ──────────────────────────────────────────────────────────────────────────────────


def test_result(aws):
    make(aws)
    answer, payload = invoke(aws, {"a": [1, None, "ü"]})
    assert payload == {"a": [1, None, "ü"]}
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert "FunctionError" not in answer
    assert "LogResult" not in answer


def test_function_is_active(aws):
    make(aws)
    client = aws.client("lambda")
    client.get_waiter("function_active_v2").wait(FunctionName="function")
    client.get_waiter("function_updated_v2").wait(FunctionName="function")
    config = client.get_function(FunctionName="function")["Configuration"]
    assert (config["State"], config["LastUpdateStatus"]) == ("Active", "Successful")


def test_context_and_variables(aws):
    code = """
import os
def handler(event, context):
    names = ("AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_REGION",
             "_HANDLER", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_VERSION", "MINE", "LAB_SECRET")
    found = {name: os.environ.get(name) for name in names}
    here = os.path.join(os.environ["LAMBDA_TASK_ROOT"], "main.py")
    return found | {
        "memory": context.memory_limit_in_mb, "arn": context.invoked_function_arn,
        "group": context.log_group_name, "stream": context.log_stream_name,
        "request": context.aws_request_id, "left": context.get_remaining_time_in_millis(),
        "own_file": os.path.exists(here),
    }
"""
    make(aws, code, Timeout=7, MemorySize=512, Environment={"Variables": {"MINE": "yes"}})
    answer, found = invoke(aws)
    assert found["AWS_LAMBDA_FUNCTION_NAME"] == "function"
    assert found["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == found["memory"] == "512"
    assert found["AWS_REGION"] == "us-east-1"
    assert found["_HANDLER"] == "main.handler"
    assert found["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.13"
    assert found["AWS_LAMBDA_FUNCTION_VERSION"] == "$LATEST"
    assert found["MINE"] == "yes"
    assert found["LAB_SECRET"] is None
    assert found["arn"] == f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:function"
    assert found["group"] == "/aws/lambda/function"
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", found["stream"])
    assert found["request"] == answer["ResponseMetadata"]["RequestId"]
    assert 6000 < found["left"] <= 7000
    assert found["own_file"] is True


def test_function_calls_aws_as_its_role(aws):
    code = """
import boto3
def handler(event, context):
    return boto3.client("sts").get_caller_identity()["Arn"]
"""
    make(aws, code)
    _, arn = invoke(aws)
    assert arn.endswith("assumed-role/AmazonSageMaker-ExecutionRole-20260101T000000/function")
    assert {call["caller"] for call in aws.journal() if call["service"] == "sts"} == {
        "function function"
    }


def test_environment_is_kept_for_the_next_event(aws):
    code = "count = 0\ndef handler(event, context):\n    global count\n    count += 1\n"
    make(aws, code + "    return count\n")
    assert [invoke(aws)[1] for _ in range(3)] == [1, 2, 3]
    assert sum(line.startswith("INIT_START") for line in log(aws)) == 1


def test_new_code_and_new_configuration_take_effect(aws):
    client = aws.client("lambda")
    make(aws, "import os\ndef handler(event, context): return os.environ.get('MINE', 1)\n")
    assert invoke(aws)[1] == 1
    client.update_function_configuration(
        FunctionName="function", Environment={"Variables": {"MINE": "two"}}
    )
    assert invoke(aws)[1] == "two"
    client.update_function_code(
        FunctionName="function", ZipFile=archive(main="def handler(event, context): return 3\n")
    )
    assert invoke(aws)[1] == 3


def test_code_from_s3_with_a_package(aws):
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="code")
    files = {
        "app__handlers": "from helper import double\ndef run(e, c): return double(e['n'])\n",
        "helper": "def double(n): return 2 * n\n",
    }
    s3.put_object(Bucket="code", Key="f.zip", Body=archive(**files))
    make(aws, {"S3Bucket": "code", "S3Key": "f.zip"}, Handler="app/handlers.run")
    assert invoke(aws, {"n": 21})[1] == 42


def test_versions_and_aliases(aws):
    client = aws.client("lambda")
    make(aws, "def handler(event, context): return context.function_version\n")
    version = client.publish_version(FunctionName="function")["Version"]
    client.create_alias(FunctionName="function", Name="live", FunctionVersion=version)
    assert invoke(aws)[1] == "$LATEST"
    assert invoke(aws, Qualifier=version)[1] == version
    assert invoke(aws, Qualifier="live")[1] == version
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:function:live"
    assert invoke(aws, name=arn)[1] == version


def test_layer(aws):
    client = aws.client("lambda")
    content = archive(python__shared="def greet(): return 'from the layer'\n")
    layer = client.publish_layer_version(
        LayerName="shared", Content={"ZipFile": content}, CompatibleRuntimes=["python3.13"]
    )
    code = "from shared import greet\ndef handler(event, context): return greet()\n"
    make(aws, code, Layers=[layer["LayerVersionArn"]])
    assert invoke(aws)[1] == "from the layer"


def test_only_what_lambda_has_can_be_imported(aws):
    code = "import pandas\ndef handler(event, context): return pandas.Series([1, 2]).sum().item()\n"
    payload = failure(aws, code, MemorySize=1024, Timeout=30)
    assert payload["errorType"] == "Runtime.ImportModuleError"
    assert "No module named 'pandas'" in payload["errorMessage"]
    layer = "arn:aws:lambda:us-east-1:336392948345:layer:AWSSDKPandas-Python313:5"
    make(aws, code, name="layered", MemorySize=1024, Timeout=30, Layers=[layer])
    assert invoke(aws, name="layered")[1] == 3


def test_concurrent_events_have_environments_of_their_own(aws):
    from concurrent.futures import ThreadPoolExecutor

    code = (
        "import os, time\ndef handler(event, context):\n    time.sleep(1)\n    return os.getpid()\n"
    )
    make(aws, code, Timeout=20)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: invoke(aws)[1], range(3)))
    assert len(set(found)) == 3


def test_reserved_concurrency(aws):
    client = aws.client("lambda", config=_no_retries())
    make(aws)
    client.put_function_concurrency(FunctionName="function", ReservedConcurrentExecutions=0)
    with refused("TooManyRequestsException"):
        client.invoke(FunctionName="function")


def _no_retries():
    from botocore.config import Config

    return Config(retries={"total_max_attempts": 1})


# ── log ──────────────────────────────────────────────────────────────────────────────────────────


def test_log(aws):
    code = """
import logging
logging.getLogger().setLevel(logging.INFO)
def handler(event, context):
    print("printed")
    logging.info("logged %s", 1)
    logging.debug("not logged")
"""
    make(aws, code)
    answer, _ = invoke(aws, LogType="Tail")
    request_id = answer["ResponseMetadata"]["RequestId"]
    lines = log(aws)
    assert lines[0].startswith("INIT_START Runtime Version: python:3.13")
    assert lines[1] == f"START RequestId: {request_id} Version: $LATEST"
    assert lines[2] == "printed"
    assert re.fullmatch(rf"\[INFO\]\t[\d-]+T[\d:.]+Z\t{request_id}\tlogged 1", lines[3])
    assert lines[4] == f"END RequestId: {request_id}"
    report = re.fullmatch(
        rf"REPORT RequestId: {request_id}\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms"
        r"\tMemory Size: 256 MB\tMax Memory Used: (\d+) MB\tInit Duration: [\d.]+ ms",
        lines[5],
    )
    assert report and 5 < int(report[1]) < 256
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert tail.splitlines() == lines[1:]


# ── errors ───────────────────────────────────────────────────────────────────────────────────────


def test_exception(aws):
    code = "def handler(event, context):\n    inner(event)\n\ndef inner(event):\n    event['x']\n"
    payload = failure(aws, code)
    assert payload["errorType"] == "KeyError"
    assert payload["errorMessage"] == "'x'"
    outer, inner = payload["stackTrace"]
    assert outer.startswith('  File "/var/task/main.py", line 2, in handler\n    inner(event)\n')
    assert inner.startswith("  File \"/var/task/main.py\", line 5, in inner\n    event['x']\n")
    assert re.fullmatch(r"[0-9a-f-]{36}", payload["requestId"])
    assert any(
        line.startswith("[ERROR] KeyError: 'x'\nTraceback (most recent call last):")
        for line in log(aws)
    )


@pytest.mark.parametrize(
    ("handler", "code", "kind", "message"),
    [
        (
            "missing.handler",
            ECHO,
            "Runtime.ImportModuleError",
            "Unable to import module 'missing': No module named 'missing'",
        ),
        (
            "main.missing",
            ECHO,
            "Runtime.HandlerNotFound",
            "Handler 'missing' missing on module 'main'",
        ),
        (
            "main",
            ECHO,
            "Runtime.MalformedHandlerName",
            "Bad handler 'main': not enough values to unpack (expected 2, got 1)",
        ),
        ("main.handler", "def handler(:\n", "Runtime.UserCodeSyntaxError", "Syntax error in"),
        ("main.handler", "raise OSError('no')\n", "OSError", "no"),
        (
            "main.handler",
            "def handler(event, context): return {1, 2}\n",
            "Runtime.MarshalError",
            "Unable to marshal response: Object of type set is not JSON serializable",
        ),
        (
            "main.handler",
            "import os\ndef handler(event, context): os._exit(3)\n",
            "Runtime.ExitError",
            "Runtime exited with error: exit status 3",
        ),
        (
            "main.handler",
            "import sys\ndef handler(event, context): sys.exit(0)\n",
            "Runtime.ExitError",
            "Runtime exited without providing a reason",
        ),
        (
            "main.handler",
            "def handler(event, context): return 'x' * 7_000_000\n",
            "Function.ResponseSizeTooLarge",
            "6291556 bytes",
        ),
    ],
)
def test_failures(aws, handler, code, kind, message):
    payload = failure(aws, code, Handler=handler)
    assert payload["errorType"] == kind
    assert message in payload["errorMessage"]


def test_timeout(aws):
    code = "import time\ndef handler(event, context):\n    print('before')\n    time.sleep(60)\n"
    payload = failure(aws, code, Timeout=1)
    assert payload["errorType"] == "Sandbox.Timedout"
    assert re.fullmatch(
        r"RequestId: [0-9a-f-]{36} Error: Task timed out after 1.00 seconds",
        payload["errorMessage"],
    )
    lines = log(aws)
    assert "before" in lines
    assert any(line.endswith("Task timed out after 1.00 seconds") for line in lines)
    assert lines[-1].endswith("Status: timeout")


def test_memory_is_a_limit(aws):
    code = "def handler(event, context):\n    return len(bytearray(300 << 20))\n"
    payload = failure(aws, code, MemorySize=128)
    assert payload["errorType"] == "Runtime.OutOfMemory"
    assert "Max Memory Used: 128 MB" in log(aws)[-1]


# ── kinds of invocation ──────────────────────────────────────────────────────────────────────────


def test_event_is_answered_at_once_and_done_later(aws, keeper):
    answer, payload = invoke(aws, {"n": 1}, name="keeper", InvocationType="Event")
    assert (answer["StatusCode"], payload) == (202, None)
    assert kept(aws) == [{"n": 1}]


def test_event_that_fails_is_tried_three_times(aws):
    queue = aws.client("sqs").create_queue(QueueName="failures")["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:failures"
    make(aws, "def handler(event, context): raise ValueError('no')\n")
    aws.client("lambda").put_function_event_invoke_config(
        FunctionName="function", DestinationConfig={"OnFailure": {"Destination": arn}}
    )
    invoke(aws, {"n": 1}, InvocationType="Event")

    def receive():
        return aws.client("sqs").receive_message(QueueUrl=queue).get("Messages")

    record = json.loads(wait_for(receive)[0]["Body"])
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["requestPayload"] == {"n": 1}
    assert record["responsePayload"]["errorMessage"] == "no"
    assert sum(line.startswith("START") for line in log(aws)) == 3


def test_dead_letter_queue(aws):
    queue = aws.client("sqs").create_queue(QueueName="dead")["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:dead"
    make(
        aws,
        "def handler(event, context): raise ValueError('no')\n",
        DeadLetterConfig={"TargetArn": arn},
    )
    aws.client("lambda").put_function_event_invoke_config(
        FunctionName="function", MaximumRetryAttempts=0
    )
    invoke(aws, {"n": 7}, InvocationType="Event")

    def receive():
        return (
            aws.client("sqs")
            .receive_message(QueueUrl=queue, MessageAttributeNames=["All"])
            .get("Messages")
        )

    message = wait_for(receive)[0]
    assert json.loads(message["Body"]) == {"n": 7}
    assert message["MessageAttributes"]["ErrorMessage"]["StringValue"] == "no"


def test_dry_run(aws, keeper):
    answer, _ = invoke(aws, name="keeper", InvocationType="DryRun")
    assert answer["StatusCode"] == 204
    assert aws.client("s3").list_objects_v2(Bucket="kept")["KeyCount"] == 0


def test_reset_ends_a_function_that_runs(aws):
    code = "import time\ndef handler(event, context): time.sleep(600)\n"
    make(aws, code, Timeout=900)
    invoke(aws, InvocationType="Event")
    started = time.monotonic()
    aws.reset()
    assert time.monotonic() - started < 60
    assert aws.client("lambda").list_functions()["Functions"] == []


# ── bad input ────────────────────────────────────────────────────────────────────────────────────


def test_unknown_function(aws):
    with refused("ResourceNotFoundException"):
        aws.client("lambda").invoke(FunctionName="nobody")


def test_payload_that_is_not_json(aws):
    make(aws)
    with refused("InvalidRequestContentException"):
        aws.client("lambda").invoke(FunctionName="function", Payload=b"{")


@pytest.mark.parametrize(
    ("settings", "code", "message"),
    [
        ({"Runtime": "python3.9"}, ECHO, "no longer supported"),
        ({}, {"ZipFile": b"no archive"}, "Could not unzip"),
        ({}, {"S3Bucket": "nobody-has-this", "S3Key": "x"}, "NoSuchBucket"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, ECHO, "AWS_REGION"),
        ({"Environment": {"Variables": {"MINE": "x" * 5000}}}, ECHO, "4KB"),
        ({"Role": f"arn:aws:iam::{ACCOUNT}:role/nobody"}, ECHO, "cannot be assumed by Lambda"),
    ],
)
def test_refused_at_creation(aws, settings, code, message):
    with pytest.raises(ClientError, match=message) as caught:
        make(aws, code, **settings)
    assert caught.value.response["Error"]["Code"] == "InvalidParameterValueException"


def test_role_must_trust_lambda(aws):
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "glue.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    role = aws.client("iam").create_role(RoleName="glue", AssumeRolePolicyDocument=document)
    with refused("InvalidParameterValueException"):
        make(aws, Role=role["Role"]["Arn"])


def test_archive_that_leads_out_of_its_folder(aws):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("../../escaped.py", "x = 1")
    with refused("InvalidParameterValueException"):
        make(aws, {"ZipFile": buffer.getvalue()})


def test_other_languages_say_that_they_do_not_run(aws):
    make(aws, Runtime="nodejs22.x", Handler="index.handler")
    with refused("NotImplemented"):
        aws.client("lambda").invoke(FunctionName="function")


# ── triggers ─────────────────────────────────────────────────────────────────────────────────────


def test_s3_notification(aws, keeper):
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="inbox")
    configuration = {
        "LambdaFunctionConfigurations": [
            {
                "Id": "new-data",
                "LambdaFunctionArn": keeper,
                "Events": ["s3:ObjectCreated:*"],
                "Filter": {"Key": {"FilterRules": [{"Name": "suffix", "Value": ".csv"}]}},
            }
        ]
    }
    with refused("InvalidArgument"):
        s3.put_bucket_notification_configuration(
            Bucket="inbox", NotificationConfiguration=configuration
        )
    let_in(aws, "s3.amazonaws.com", "arn:aws:s3:::inbox")
    s3.put_bucket_notification_configuration(
        Bucket="inbox", NotificationConfiguration=configuration
    )
    s3.put_object(Bucket="inbox", Key="other.txt", Body=b"x")
    s3.put_object(Bucket="inbox", Key="new data/a+b.csv", Body=b"hello")
    events = kept(aws)
    assert len(events) == 1
    (record,) = events[0]["Records"]
    assert record["eventName"] == "ObjectCreated:Put"
    assert record["s3"]["configurationId"] == "new-data"
    assert record["s3"]["object"]["key"] == "new+data/a%2Bb.csv"
    assert record["s3"]["object"]["size"] == 5


def test_sns(aws, keeper):
    sns = aws.client("sns")
    topic = sns.create_topic(Name="news")["TopicArn"]
    let_in(aws, "sns.amazonaws.com", topic)
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=keeper)
    attribute = {"kind": {"DataType": "String", "StringValue": "x"}}
    sent = sns.publish(TopicArn=topic, Subject="Hear", Message="ye", MessageAttributes=attribute)
    (record,) = kept(aws)[0]["Records"]
    assert record["EventSource"] == "aws:sns"
    assert record["Sns"]["TopicArn"] == topic
    assert record["Sns"]["MessageId"] == sent["MessageId"]
    assert (record["Sns"]["Subject"], record["Sns"]["Message"]) == ("Hear", "ye")
    assert record["Sns"]["MessageAttributes"] == {"kind": {"Type": "String", "Value": "x"}}


def test_without_permission_nothing_is_invoked(aws, keeper):
    sns = aws.client("sns")
    topic = sns.create_topic(Name="news")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=keeper)
    sns.publish(TopicArn=topic, Message="ye")
    let_in(aws, "sns.amazonaws.com", topic)
    sns.publish(TopicArn=topic, Message="now")
    assert [event["Records"][0]["Sns"]["Message"] for event in kept(aws)] == ["now"]


def test_sqs(aws, keeper):
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName="work")["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:work"
    sqs.send_message(QueueUrl=url, MessageBody="before")
    aws.client("lambda").create_event_source_mapping(
        EventSourceArn=arn, FunctionName="keeper", BatchSize=10
    )
    entries = [{"Id": str(number), "MessageBody": f"m{number}"} for number in range(5)]
    sqs.send_message_batch(QueueUrl=url, Entries=entries)

    def bodies():
        events = kept(aws)
        found = {record["body"] for event in events for record in event["Records"]}
        return found if len(found) == 6 else None

    assert wait_for(bodies) == {"before", "m0", "m1", "m2", "m3", "m4"}
    record = kept(aws)[0]["Records"][0]
    assert (record["eventSource"], record["eventSourceARN"]) == ("aws:sqs", arn)

    def emptied():
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return attributes["ApproximateNumberOfMessages"] == "0" and (
            attributes["ApproximateNumberOfMessagesNotVisible"] == "0"
        )

    assert wait_for(emptied)


def test_sqs_message_comes_back_after_a_failure(aws):
    code = """
def handler(event, context):
    if event["Records"][0]["attributes"]["ApproximateReceiveCount"] == "1":
        raise ValueError("first time")
    print("second time")
"""
    make(aws, code)
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName="work", Attributes={"VisibilityTimeout": "1"})["QueueUrl"]
    aws.client("lambda").create_event_source_mapping(
        EventSourceArn=f"arn:aws:sqs:us-east-1:{ACCOUNT}:work", FunctionName="function"
    )
    sqs.send_message(QueueUrl=url, MessageBody="x")
    wait_for(lambda: "second time" in _log_or_nothing(aws))


def _log_or_nothing(aws):
    try:
        return log(aws)
    except ClientError:
        return []


def test_kinesis_batches(aws, keeper):
    kinesis = aws.client("kinesis")
    kinesis.create_stream(StreamName="clicks", ShardCount=1)
    arn = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/clicks"
    pattern = json.dumps({"data": {"kind": ["sale"]}})
    aws.client("lambda").create_event_source_mapping(
        EventSourceArn=arn,
        FunctionName="keeper",
        StartingPosition="LATEST",
        BatchSize=100,
        MaximumBatchingWindowInSeconds=1,
        FilterCriteria={"Filters": [{"Pattern": pattern}]},
    )
    records = [
        {"Data": json.dumps({"kind": kind, "n": number}).encode(), "PartitionKey": "a"}
        for number in range(20)
        for kind in ("sale", "view")
    ]
    kinesis.put_records(StreamName="clicks", Records=records)
    events = kept(aws)
    assert len(events) == 1
    found = [json.loads(base64.b64decode(r["kinesis"]["data"])) for r in events[0]["Records"]]
    assert [item["n"] for item in found] == list(range(20))
    assert {item["kind"] for item in found} == {"sale"}
    assert events[0]["Records"][0]["eventSourceARN"] == arn


def test_kinesis_gives_up_after_its_retries(aws):
    aws.client("sqs").create_queue(QueueName="failures")
    url = aws.client("sqs").get_queue_url(QueueName="failures")["QueueUrl"]
    make(aws, "def handler(event, context): raise ValueError('no')\n")
    kinesis = aws.client("kinesis")
    kinesis.create_stream(StreamName="clicks", ShardCount=1)
    kinesis.put_record(StreamName="clicks", Data=b"x", PartitionKey="a")
    aws.client("lambda").create_event_source_mapping(
        EventSourceArn=f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/clicks",
        FunctionName="function",
        StartingPosition="TRIM_HORIZON",
        MaximumRetryAttempts=1,
        DestinationConfig={
            "OnFailure": {"Destination": f"arn:aws:sqs:us-east-1:{ACCOUNT}:failures"}
        },
    )

    def receive():
        return aws.client("sqs").receive_message(QueueUrl=url).get("Messages")

    record = json.loads(wait_for(receive)[0]["Body"])
    assert record["KinesisBatchInfo"]["batchSize"] == 1
    assert record["requestContext"]["approximateInvokeCount"] == 2


def test_dynamodb_stream(aws, keeper):
    table = aws.client("dynamodb").create_table(
        TableName="flights",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )["TableDescription"]
    aws.client("lambda").create_event_source_mapping(
        EventSourceArn=table["LatestStreamArn"], FunctionName="keeper", StartingPosition="LATEST"
    )
    items = aws.client("dynamodb")
    items.put_item(TableName="flights", Item={"id": {"S": "a"}, "n": {"N": "1"}})
    items.delete_item(TableName="flights", Key={"id": {"S": "a"}})

    def changes():
        found = [record for event in kept(aws) for record in event["Records"]]
        return found if len(found) == 2 else None

    found = wait_for(changes)
    assert sorted(change["eventName"] for change in found) == ["INSERT", "REMOVE"]
    insert = next(change for change in found if change["eventName"] == "INSERT")
    assert insert["dynamodb"]["NewImage"] == {"id": {"S": "a"}, "n": {"N": "1"}}


def test_log_subscription(aws, keeper):
    logs = aws.client("logs")
    logs.create_log_group(logGroupName="/app")
    logs.create_log_stream(logGroupName="/app", logStreamName="one")
    let_in(aws, "logs.amazonaws.com", f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/app:*")
    logs.put_subscription_filter(
        logGroupName="/app", filterName="all", filterPattern="", destinationArn=keeper
    )
    line = {"timestamp": int(time.time() * 1000), "message": "something"}
    logs.put_log_events(logGroupName="/app", logStreamName="one", logEvents=[line])
    packed = kept(aws)[0]["awslogs"]["data"]
    data = json.loads(gzip.decompress(base64.b64decode(packed)))
    assert data["logGroup"] == "/app"
    assert data["logEvents"][0]["message"] == "something"


def test_event_bridge(aws, keeper):
    events = aws.client("events")
    rule = events.put_rule(Name="orders", EventPattern=json.dumps({"source": ["shop"]}))["RuleArn"]
    let_in(aws, "events.amazonaws.com", rule)
    transformer = {
        "InputPathsMap": {"id": "$.detail.id", "kind": "$.detail-type"},
        "InputTemplate": '{"order": <id>, "text": "a <kind> came"}',
    }
    events.put_targets(
        Rule="orders",
        Targets=[
            {"Id": "whole", "Arn": keeper},
            {"Id": "part", "Arn": keeper, "InputTransformer": transformer},
        ],
    )
    entry = {"Source": "shop", "DetailType": "order", "Detail": json.dumps({"id": 7})}
    answer = events.put_events(Entries=[entry, {**entry, "Source": "other"}])
    assert answer["FailedEntryCount"] == 0
    found = kept(aws, count=2)
    assert {"order": 7, "text": "a order came"} in found
    whole = next(event for event in found if "detail" in event)
    assert (whole["source"], whole["detail"]) == ("shop", {"id": 7})
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", whole["time"])
    events.disable_rule(Name="orders")
    events.put_events(Entries=[entry])
    assert len(kept(aws, count=2)) == 2


# ── the hooks into moto ──────────────────────────────────────────────────────────────────────────


def test_the_choke_points_are_where_they_were():
    from tests.local_aws import triggers

    triggers.check()


def test_a_moved_choke_point_is_named(monkeypatch):
    import moto.s3.notifications

    from tests.local_aws import triggers

    monkeypatch.delattr(moto.s3.notifications, "send_event")
    with pytest.raises(RuntimeError, match="moto.s3.notifications.send_event is gone"):
        triggers.check("s3")
