"""EventBridge as a client sees it: patterns, targets and who lets them in, dead letters."""

from __future__ import annotations

import json
import urllib.error

import pytest
from botocore.exceptions import ClientError

from tests.local_aws import inventory

from .test_cloudwatch import ago, messages, total
from .test_lambda import KEEP, ROLE, kept, let_in, make, wait_for

ACCOUNT = "123456789012"
RULE = f"arn:aws:events:us-east-1:{ACCOUNT}:rule/orders"
ENTRY = {
    "Source": "shop",
    "DetailType": "order",
    "Detail": json.dumps({"id": 7, "kind": "book", "items": [{"price": 5}, {"price": 50}]}),
}


def refused(code):
    return pytest.raises(ClientError, match=rf"\({code}\)")


def allow(service, action, resource, source=RULE):
    """A resource policy that lets the service in, on behalf of the rule."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": action,
        "Resource": resource,
        "Condition": {"ArnEquals": {"aws:SourceArn": source}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def open_queue(aws, name="orders", **attributes):
    """URL and ARN of a queue that the rule may send to."""
    arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"
    policy = allow("events.amazonaws.com", "sqs:SendMessage", arn)
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=name, Attributes={"Policy": policy, **attributes})
    return url["QueueUrl"], arn


def role(aws, action, resource, trusted="events.amazonaws.com"):
    """The ARN of a role that the service may assume, and that may do this."""
    iam = aws.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": trusted}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = iam.create_role(RoleName="sender", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName="sender", PolicyName="send", PolicyDocument=document)
    return arn


def send_to(aws, *targets, pattern=None):
    """Make the rule, with these targets, and send it an order."""
    events = aws.client("events")
    pattern = json.dumps(pattern or {"source": ["shop"]})
    assert events.put_rule(Name="orders", EventPattern=pattern)["RuleArn"] == RULE
    listed = [{"Id": str(number), **target} for number, target in enumerate(targets)]
    assert events.put_targets(Rule="orders", Targets=listed)["FailedEntryCount"] == 0
    assert events.put_events(Entries=[ENTRY])["FailedEntryCount"] == 0


def dead_letters(aws, target, count=1):
    """Send an order to a target that does not take it; the attributes of the dead letter."""
    url, arn = open_queue(aws, "dead")
    send_to(aws, {**target, "DeadLetterConfig": {"Arn": arn}})
    sqs = aws.client("sqs")

    def receive():
        return sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages")

    (message,) = wait_for(receive)
    assert json.loads(message["Body"])["detail"]["id"] == 7
    attributes = message["MessageAttributes"]
    found = {name: value["StringValue"] for name, value in attributes.items()}
    assert (found["RULE_ARN"], found["TARGET_ARN"]) == (RULE, target["Arn"])
    return found


# ── patterns ─────────────────────────────────────────────────────────────────────────────────────

EVENT = {
    "id": "1",
    "account": ACCOUNT,
    "source": "shop",
    "time": "2026-11-23T12:00:00Z",
    "region": "us-east-1",
    "resources": ["arn:aws:s3:::one", "arn:aws:s3:::two"],
    "detail-type": "order",
    "detail": {
        "id": 7,
        "price": 9.5,
        "name": "Moby Dick.PDF",
        "address": "10.1.2.3",
        "gift": True,
        "note": None,
        "empty": "",
        "tags": ["new", "paper"],
        "items": [{"sku": "a"}, {"sku": "b"}],
    },
}


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ({"id": [7]}, True),
        ({"id": [8, 7]}, True),
        ({"id": ["7"]}, False),
        ({"gift": [True]}, True),
        ({"note": [None]}, True),
        ({"empty": [""]}, True),
        ({"tags": ["paper"]}, True),
        ({"items": {"sku": ["b"]}}, True),
        ({"items": {"sku": ["c"]}}, False),
        ({"name": [{"prefix": "Moby"}]}, True),
        ({"name": [{"prefix": {"equals-ignore-case": "moby"}}]}, True),
        ({"name": [{"suffix": ".pdf"}]}, False),
        ({"name": [{"suffix": {"equals-ignore-case": ".pdf"}}]}, True),
        ({"name": [{"equals-ignore-case": "moby dick.pdf"}]}, True),
        ({"name": [{"wildcard": "M*Dick*"}]}, True),
        ({"name": [{"wildcard": "M*Duck*"}]}, False),
        ({"id": [{"numeric": [">", 0, "<=", 7]}]}, True),
        ({"price": [{"numeric": ["=", 9.5]}]}, True),
        ({"price": [{"numeric": [">", 9.5]}]}, False),
        ({"name": [{"numeric": ["=", 1]}]}, False),
        ({"id": [{"exists": True}]}, True),
        ({"other": [{"exists": False}]}, True),
        ({"id": [{"exists": False}]}, False),
        ({"id": [{"anything-but": 8}]}, True),
        ({"id": [{"anything-but": [7, 8]}]}, False),
        ({"other": [{"anything-but": "x"}]}, False),
        ({"name": [{"anything-but": {"prefix": "Moby"}}]}, False),
        ({"name": [{"anything-but": {"suffix": ".txt"}}]}, True),
        ({"name": [{"anything-but": {"equals-ignore-case": "MOBY DICK.PDF"}}]}, False),
        ({"name": [{"anything-but": {"wildcard": "*Dick*"}}]}, False),
        ({"address": [{"cidr": "10.1.0.0/16"}]}, True),
        ({"address": [{"cidr": "10.2.0.0/16"}]}, False),
        ({"$or": [{"id": [8]}, {"price": [{"numeric": ["<", 10]}]}]}, True),
        ({"$or": [{"id": [8]}, {"price": [10]}]}, False),
        ({"id": [7], "price": [10]}, False),
    ],
)
def test_pattern(aws, detail, expected):
    pattern = json.dumps({"source": ["shop"], "detail": detail})
    answer = aws.client("events").test_event_pattern(EventPattern=pattern, Event=json.dumps(EVENT))
    assert answer["Result"] is expected


@pytest.mark.parametrize(
    "pattern",
    [
        "{",
        "{}",
        "[]",
        '{"source": "shop"}',
        '{"source": []}',
        '{"detail": {}}',
        '{"source": [{"begins": "s"}]}',
        '{"source": [{"prefix": 5}]}',
        '{"detail": {"id": [{"numeric": ["about", 5]}]}}',
        '{"detail": {"id": [{"numeric": [">", "5"]}]}}',
        '{"detail": {"id": [{"exists": "yes"}]}}',
        '{"detail": {"ip": [{"cidr": "10.0.0.0/99"}]}}',
        '{"detail": {"id": [{"anything-but": {"numeric": ["=", 1]}}]}}',
        '{"detail": {"$or": [{"id": [1]}]}}',
    ],
)
def test_patterns_that_are_refused(aws, pattern):
    events = aws.client("events")
    with refused("InvalidEventPatternException"):
        events.test_event_pattern(EventPattern=pattern, Event=json.dumps(EVENT))
    with refused("InvalidEventPatternException"):
        events.put_rule(Name="orders", EventPattern=pattern)


def test_an_event_to_test_must_be_whole(aws):
    with pytest.raises(ClientError, match="detail-type"):
        aws.client("events").test_event_pattern(
            EventPattern='{"source": ["shop"]}', Event='{"source": "shop"}'
        )


# ── targets ──────────────────────────────────────────────────────────────────────────────────────


def test_queue(aws):
    url, arn = open_queue(aws)
    send_to(aws, {"Arn": arn})
    (event,) = messages(aws, url)
    assert (event["source"], event["detail-type"]) == ("shop", "order")
    assert event["detail"]["id"] == 7
    assert (event["account"], event["region"]) == (ACCOUNT, "us-east-1")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"Input": '{"constant": true}'}, {"constant": True}),
        ({"InputPath": "$.detail.kind"}, "book"),
        (
            {
                "InputTransformer": {
                    "InputPathsMap": {"id": "$.detail.id", "kind": "$.detail.kind"},
                    "InputTemplate": '{"id": <id>, "kind": <kind>, "text": "a <kind>: <id>"}',
                }
            },
            {"id": 7, "kind": "book", "text": "a book: 7"},
        ),
        (
            {
                "InputTransformer": {
                    "InputPathsMap": {"id": "$.detail.id", "all": "$.detail.items"},
                    "InputTemplate": '{"text": "<id>", "all": <all>, "say": "\\"<all>\\""}',
                }
            },
            {
                "text": "7",
                "all": [{"price": 5}, {"price": 50}],
                "say": '"[{"price": 5}, {"price": 50}]"',
            },
        ),
        (
            {
                "InputTransformer": {
                    "InputPathsMap": {"id": "$.detail.id"},
                    "InputTemplate": '"order <id>"',
                }
            },
            "order 7",
        ),
    ],
)
def test_input(aws, settings, expected):
    url, arn = open_queue(aws)
    send_to(aws, {"Arn": arn, **settings})
    assert messages(aws, url) == [expected]


def test_fifo_queue(aws):
    fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    url, arn = open_queue(aws, "orders.fifo", **fifo)
    with refused("ValidationException"):
        send_to(aws, {"Arn": arn})
    send_to(aws, {"Arn": arn, "SqsParameters": {"MessageGroupId": "shop"}})
    sqs = aws.client("sqs")
    (message,) = sqs.receive_message(QueueUrl=url, MessageSystemAttributeNames=["MessageGroupId"])[
        "Messages"
    ]
    assert message["Attributes"]["MessageGroupId"] == "shop"


def test_fifo_queue_without_deduplication(aws):
    _, arn = open_queue(aws, "orders.fifo", FifoQueue="true")
    target = {"Arn": arn, "SqsParameters": {"MessageGroupId": "shop"}}
    assert dead_letters(aws, target)["ERROR_CODE"] == "INVALID_PARAMETER"


def test_topic(aws):
    url, queue = open_queue(aws)
    sns = aws.client("sns")
    topic = sns.create_topic(Name="orders")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    policy = allow("events.amazonaws.com", "sns:Publish", topic)
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    send_to(aws, {"Arn": topic})
    (message,) = messages(aws, url)
    assert json.loads(message["Message"])["detail"]["id"] == 7


def test_a_topic_with_its_default_policy_is_closed(aws):
    topic = aws.client("sns").create_topic(Name="orders")["TopicArn"]
    assert dead_letters(aws, {"Arn": topic})["ERROR_CODE"] == "NO_PERMISSIONS"


def test_function(aws):
    aws.client("s3").create_bucket(Bucket="kept")
    arn = make(aws, KEEP, name="keeper", Timeout=30)["FunctionArn"]
    let_in(aws, "events.amazonaws.com", RULE)
    send_to(aws, {"Arn": arn})
    (event,) = kept(aws)
    assert event["detail"]["id"] == 7


def test_a_function_without_a_permission(aws):
    arn = make(aws, KEEP, name="keeper")["FunctionArn"]
    found = dead_letters(aws, {"Arn": arn})
    assert found["ERROR_CODE"] == "NO_PERMISSIONS"
    assert total(aws, "AWS/Events", "FailedInvocations", RuleName="orders") == 1
    assert total(aws, "AWS/Events", "InvocationsSentToDlq", RuleName="orders") == 1


def test_log_group(aws):
    logs = aws.client("logs")
    logs.create_log_group(logGroupName="/aws/events/orders")
    arn = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/aws/events/orders"
    assert dead_letters(aws, {"Arn": arn})["ERROR_CODE"] == "NO_PERMISSIONS"
    policy = allow("events.amazonaws.com", "logs:PutLogEvents", f"{arn}:*")
    logs.put_resource_policy(policyName="events", policyDocument=policy)
    aws.client("events").put_events(Entries=[ENTRY])
    (line,) = logs.filter_log_events(logGroupName="/aws/events/orders")["events"]
    assert json.loads(line["message"])["detail"]["id"] == 7


MACHINE = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}


def machine(aws):
    return aws.client("stepfunctions").create_state_machine(
        name="orders", definition=json.dumps(MACHINE), roleArn=ROLE
    )["stateMachineArn"]


def test_state_machine(aws):
    arn, states = machine(aws), aws.client("stepfunctions")
    send_to(aws, {"Arn": arn, "RoleArn": role(aws, "states:StartExecution", arn)})
    (execution,) = wait_for(lambda: states.list_executions(stateMachineArn=arn)["executions"])
    found = states.describe_execution(executionArn=execution["executionArn"])
    assert json.loads(found["input"])["detail"]["id"] == 7


@pytest.mark.parametrize(
    ("action", "trusted", "code"),
    [
        ("states:StopExecution", "events.amazonaws.com", "NO_PERMISSIONS"),
        ("states:StartExecution", "lambda.amazonaws.com", "FAILED_TO_ASSUME_ROLE"),
    ],
)
def test_a_role_that_may_not(aws, action, trusted, code):
    arn = machine(aws)
    target = {"Arn": arn, "RoleArn": role(aws, action, arn, trusted)}
    assert dead_letters(aws, target)["ERROR_CODE"] == code


def test_stream(aws):
    kinesis = aws.client("kinesis")
    kinesis.create_stream(StreamName="orders", ShardCount=1)
    arn = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/orders"
    path = {"PartitionKeyPath": "$.detail.kind"}
    sender = role(aws, "kinesis:PutRecord", arn)
    send_to(aws, {"Arn": arn, "RoleArn": sender, "KinesisParameters": path})

    def read():
        iterator = kinesis.get_shard_iterator(
            StreamName="orders",
            ShardId="shardId-000000000000",
            ShardIteratorType="TRIM_HORIZON",
        )["ShardIterator"]
        return kinesis.get_records(ShardIterator=iterator)["Records"]

    (record,) = wait_for(read)
    assert record["PartitionKey"] == "book"
    assert json.loads(record["Data"])["detail"]["id"] == 7


def test_a_stream_that_is_gone(aws):
    arn = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/orders"
    found = dead_letters(aws, {"Arn": arn, "RoleArn": role(aws, "kinesis:PutRecord", arn)})
    assert found["ERROR_CODE"] == "NO_RESOURCE"
    assert "RETRY_ATTEMPTS" not in found


def delivery_status(firehose, name):
    described = firehose.describe_delivery_stream(DeliveryStreamName=name)
    return described["DeliveryStreamDescription"]["DeliveryStreamStatus"]


def test_delivery_stream(aws):
    s3, firehose = aws.client("s3"), aws.client("firehose")
    s3.create_bucket(Bucket="lake")
    writer = ROLE
    arn = firehose.create_delivery_stream(
        DeliveryStreamName="orders",
        ExtendedS3DestinationConfiguration={
            "RoleARN": writer,
            "BucketARN": "arn:aws:s3:::lake",
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0},
        },
    )["DeliveryStreamARN"]
    wait_for(lambda: delivery_status(firehose, "orders") == "ACTIVE")
    send_to(aws, {"Arn": arn, "RoleArn": role(aws, "firehose:PutRecord", arn)})
    (item,) = wait_for(lambda: s3.list_objects_v2(Bucket="lake").get("Contents"))
    body = s3.get_object(Bucket="lake", Key=item["Key"])["Body"].read()
    assert json.loads(body)["detail"]["id"] == 7


def test_nobody_hears_of_a_failure_without_a_dead_letter_queue(aws):
    arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:gone"
    send_to(aws, {"Arn": arn})
    assert total(aws, "AWS/Events", "FailedInvocations", RuleName="orders") == 1
    assert total(aws, "AWS/Events", "InvocationsSentToDlq", RuleName="orders") is None


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ({"Arn": f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:x"}, "ValidationException"),
        ({"Arn": "orders"}, "ValidationException"),
        ({"Arn": f"arn:aws:ecs:us-east-1:{ACCOUNT}:cluster/x"}, "NotImplemented"),
        ({"Arn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:x", "Input": "{"}, "ValidationException"),
        (
            {"Arn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:x", "Input": "{}", "InputPath": "$.id"},
            "ValidationException",
        ),
    ],
)
def test_targets_that_are_refused(aws, target, code):
    with refused(code):
        send_to(aws, target)


def test_no_more_than_five_targets(aws):
    _, arn = open_queue(aws)
    with refused("LimitExceededException"):
        send_to(aws, *[{"Arn": arn}] * 6)


# ── events, schedules, archives ──────────────────────────────────────────────────────────────────


def test_entries_that_are_no_events(aws):
    entries = [
        ENTRY,
        {**ENTRY, "Detail": "{"},
        {key: value for key, value in ENTRY.items() if key != "DetailType"},
    ]
    answer = aws.client("events").put_events(Entries=entries)
    assert answer["FailedEntryCount"] == 2
    codes = [entry.get("ErrorCode") for entry in answer["Entries"]]
    assert codes == [None, "MalformedDetail", "InvalidArgument"]


def test_measured(aws):
    _, arn = open_queue(aws)
    send_to(aws, {"Arn": arn})
    for name in ("Invocations", "MatchedEvents", "TriggeredRules"):
        assert total(aws, "AWS/Events", name, RuleName="orders") == 1
    assert total(aws, "AWS/Events", "FailedInvocations", RuleName="orders") is None


def test_schedule(aws):
    url, arn = open_queue(aws)
    events = aws.client("events")
    events.put_rule(Name="orders", ScheduleExpression="rate(5 minutes)")
    events.put_targets(Rule="orders", Targets=[{"Id": "1", "Arn": arn}])
    events.put_events(Entries=[ENTRY])  # a rule without a pattern matches nothing
    aws.fire("orders")
    (event,) = messages(aws, url)
    assert (event["source"], event["detail-type"]) == ("aws.events", "Scheduled Event")
    assert event["resources"] == [RULE]
    events.disable_rule(Name="orders")
    aws.fire("orders")
    assert total(aws, "AWS/Events", "Invocations", RuleName="orders") == 1


def test_only_a_schedule_comes_round(aws):
    aws.client("events").put_rule(Name="orders", EventPattern='{"source": ["shop"]}')
    for name in ("orders", "none"):
        with pytest.raises(urllib.error.HTTPError, match="400"):
            aws.fire(name)


@pytest.mark.parametrize(
    "schedule",
    ["rate(1 minutes)", "rate(5 minute)", "rate(0 minutes)", "cron(0 12 * * *)", "every hour",
     "cron(0 12 * * * *)"],
)  # fmt: skip
def test_schedules_that_are_refused(aws, schedule):
    events = aws.client("events")
    with refused("ValidationException"):
        events.put_rule(Name="orders", ScheduleExpression=schedule)
    events.put_rule(Name="orders", ScheduleExpression="cron(0 12 ? * MON-FRI *)")


def test_alarm_on_the_bus(aws):
    url, arn = open_queue(aws)
    events, cloudwatch = aws.client("events"), aws.client("cloudwatch")
    pattern = {
        "source": ["aws.cloudwatch"],
        "detail-type": ["CloudWatch Alarm State Change"],
        "detail": {"state": {"value": ["ALARM"]}},
    }
    events.put_rule(Name="orders", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="orders", Targets=[{"Id": "1", "Arn": arn}])
    cloudwatch.put_metric_alarm(
        AlarmName="few",
        Namespace="Shop",
        MetricName="Orders",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="LessThanThreshold",
    )
    cloudwatch.put_metric_data(Namespace="Shop", MetricData=[{"MetricName": "Orders", "Value": 0}])
    (event,) = messages(aws, url)
    assert event["resources"] == [f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:few"]
    detail = event["detail"]
    assert detail["alarmName"] == "few"
    assert detail["previousState"]["value"] == "INSUFFICIENT_DATA"
    assert json.loads(detail["state"]["reasonData"])["recentDatapoints"] == [0.0]


def test_bucket(aws):
    url, arn = open_queue(aws)
    events, s3 = aws.client("events"), aws.client("s3")
    pattern = {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": ["lake"]}, "object": {"key": [{"prefix": "raw/"}]}},
    }
    events.put_rule(Name="orders", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="orders", Targets=[{"Id": "1", "Arn": arn}])
    s3.create_bucket(Bucket="lake")
    s3.put_bucket_notification_configuration(
        Bucket="lake", NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    s3.put_object(Bucket="lake", Key="curated/a.csv", Body=b"a")
    s3.put_object(Bucket="lake", Key="raw/a.csv", Body=b"a")
    (event,) = messages(aws, url)
    assert event["detail"]["object"]["key"] == "raw/a.csv"


def test_archive_and_replay(aws):
    url, arn = open_queue(aws)
    events = aws.client("events")
    bus = f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/default"
    archive = events.create_archive(ArchiveName="kept", EventSourceArn=bus)["ArchiveArn"]
    send_to(aws, {"Arn": arn})
    assert len(messages(aws, url)) == 1
    assert events.describe_archive(ArchiveName="kept")["EventCount"] == 1
    events.start_replay(
        ReplayName="again",
        EventSourceArn=archive,
        EventStartTime=ago(60),
        EventEndTime=ago(-60),
        Destination={"Arn": bus},
    )
    (event,) = messages(aws, url)
    assert (event["detail"]["id"], event["replay-name"]) == (7, "again")


def test_another_bus(aws):
    url, arn = open_queue(aws)
    events = aws.client("events")
    bus = events.create_event_bus(Name="shop")["EventBusArn"]
    events.put_rule(Name="there", EventBusName="shop", EventPattern='{"source": ["shop"]}')
    queue = aws.client("sqs")
    policy = allow("events.amazonaws.com", "sqs:SendMessage", arn, f"{RULE[:-6]}shop/there")
    queue.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    events.put_targets(Rule="there", EventBusName="shop", Targets=[{"Id": "1", "Arn": arn}])
    send_to(aws, {"Arn": bus, "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/any"})
    (event,) = messages(aws, url)
    assert event["detail"]["id"] == 7


def test_a_rule_that_is_left_behind_is_seen(aws):
    aws.client("events").put_rule(Name="orders", EventPattern='{"source": ["shop"]}')
    assert inventory.take(aws.client, ["events"])["events list_rules"] == ["orders"]
