"""CloudWatch as a client sees it: data and statistics, alarms that evaluate and act."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from tests.local_aws import inventory

from .test_lambda import ECHO, KEEP, invoke, kept, let_in, make, wait_for

ACCOUNT = "123456789012"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:alarms"


def refused(code):
    return pytest.raises(ClientError, match=rf"\({code}\)")


def ago(minutes=0.0, **other):
    return datetime.now(UTC) - timedelta(minutes=minutes, **other)


def put(aws, *values, name="Errors", minutes=0.0, **more):
    data = [{"MetricName": name, "Value": value, "Timestamp": ago(minutes)} for value in values]
    data = [{**item, **more} for item in data]
    aws.client("cloudwatch").put_metric_data(Namespace="Shop", MetricData=data)


def put_alarm(aws, name="errors", **changes):
    settings = {
        "Namespace": "Shop",
        "MetricName": "Errors",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    }
    settings |= changes
    settings = {key: value for key, value in settings.items() if value is not None}
    aws.client("cloudwatch").put_metric_alarm(AlarmName=name, **settings)


def alarm(aws, name="errors"):
    answer = aws.client("cloudwatch").describe_alarms(
        AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    (found,) = answer["MetricAlarms"] + answer["CompositeAlarms"]
    return found


def state(aws, name="errors"):
    return alarm(aws, name)["StateValue"]


def queue(aws, name="heard"):
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    return url, f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"


def messages(aws, url, count=1):
    """The bodies of messages; waits until there are this many."""
    sqs, found = aws.client("sqs"), []

    def enough():
        got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        found.extend(json.loads(message["Body"]) for message in got)
        return len(found) >= count

    wait_for(enough)
    return found


def listen(aws):
    """A topic and a queue that hears it; the URL of the queue."""
    sns = aws.client("sns")
    assert sns.create_topic(Name="alarms")["TopicArn"] == TOPIC
    url, arn = queue(aws)
    sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=arn)
    return url


# ── data ─────────────────────────────────────────────────────────────────────────────────────────


def statistics(aws, *names, extended=(), period=300, start=None, end=None, **more):
    more.setdefault("MetricName", "Errors")
    return aws.client("cloudwatch").get_metric_statistics(
        Namespace="Shop",
        StartTime=start or ago(30),
        EndTime=end or ago(-1),
        Period=period,
        **({"Statistics": list(names)} if names else {}),
        **({"ExtendedStatistics": list(extended)} if extended else {}),
        **more,
    )


def test_statistics_of_an_hour(aws):
    put(aws, 1, 2, 3, 10, Unit="Count")
    names = ("SampleCount", "Sum", "Average", "Minimum", "Maximum")
    answer = statistics(aws, *names, period=3600, start=ago(7200), end=ago(-60))
    assert answer["Label"] == "Errors"
    points = answer["Datapoints"]
    assert sum(point["SampleCount"] for point in points) == 4
    assert sum(point["Sum"] for point in points) == 16
    assert max(point["Maximum"] for point in points) == 10
    assert min(point["Minimum"] for point in points) == 1
    assert {point["Unit"] for point in points} == {"Count"}


def test_periods_begin_at_their_multiples(aws):
    put(aws, 1, minutes=10)
    put(aws, 1, minutes=4)
    points = statistics(aws, "Sum", period=60)["Datapoints"]
    assert [point["Sum"] for point in points] == [1, 1]
    assert all(point["Timestamp"].second == 0 for point in points)
    assert points[1]["Timestamp"] - points[0]["Timestamp"] == timedelta(minutes=6)


def test_percentiles(aws):
    at = ago(5)
    data = [{"MetricName": "Latency", "Values": [float(n) for n in range(1, 102)], "Timestamp": at}]
    aws.client("cloudwatch").put_metric_data(Namespace="Shop", MetricData=data)
    answer = statistics(aws, extended=("p50", "p99"), MetricName="Latency", period=60)
    (point,) = answer["Datapoints"]
    assert point["ExtendedStatistics"] == {"p50": 51.0, "p99": 100.0}


def test_values_with_counts_and_statistic_sets(aws):
    at = ago(5)
    data = [
        {"MetricName": "Errors", "Values": [2.0, 4.0], "Counts": [3.0, 1.0], "Timestamp": at},
        {
            "MetricName": "Errors",
            "StatisticValues": {"SampleCount": 2, "Sum": 20, "Minimum": 9, "Maximum": 11},
            "Timestamp": at,
        },
    ]
    aws.client("cloudwatch").put_metric_data(Namespace="Shop", MetricData=data)
    names = ("SampleCount", "Sum", "Average", "Maximum")
    (point,) = statistics(aws, *names, period=60)["Datapoints"]
    found = (point["SampleCount"], point["Sum"], point["Average"], point["Maximum"])
    assert found == (6, 30, 5, 11)


def test_dimensions_must_be_the_same(aws):
    one = [{"Name": "Region", "Value": "north"}]
    put(aws, 5, Dimensions=one)
    put(aws, 7, Dimensions=[*one, {"Name": "Shop", "Value": "a"}])
    put(aws, 9)
    assert [p["Sum"] for p in statistics(aws, "Sum", Dimensions=one)["Datapoints"]] == [5]
    assert [p["Sum"] for p in statistics(aws, "Sum")["Datapoints"]] == [9]


def get_data(aws, *queries, **more):
    return aws.client("cloudwatch").get_metric_data(
        StartTime=more.pop("StartTime", ago(30)),
        EndTime=more.pop("EndTime", ago(-1)),
        MetricDataQueries=list(queries),
        **more,
    )["MetricDataResults"]


def query(name, metric, stat="Sum", **more):
    content = {"Namespace": "Shop", "MetricName": metric}
    return {"Id": name, "MetricStat": {"Metric": content, "Period": 60, "Stat": stat}, **more}


def test_metric_math(aws):
    for minutes, orders, errors in ((6, 10, 1), (3, 20, None)):
        put(aws, orders, name="Orders", minutes=minutes)
        if errors:
            put(aws, errors, minutes=minutes)
    hidden = {"ReturnData": False}
    queries = [query("m1", "Errors", **hidden), query("m2", "Orders", **hidden)]
    results = get_data(
        aws,
        *queries,
        {"Id": "rate", "Expression": "100 * m1 / m2", "Label": "Error rate"},
        {"Id": "all", "Expression": "SUM([m1, m2])"},
        {"Id": "filled", "Expression": "FILL(m1, 0) / m2"},
        {"Id": "bad", "Expression": "IF(rate > 5, 1, 0)"},
        ScanBy="TimestampAscending",
    )
    found = {item["Id"]: item["Values"] for item in results}
    assert found == {"rate": [10], "all": [11, 20], "filled": [0.1, 0], "bad": [1]}
    assert results[0]["Label"] == "Error rate"


def test_metric_data_comes_newest_first(aws):
    put(aws, 1, minutes=6)
    put(aws, 2, minutes=3)
    (result,) = get_data(aws, query("m1", "Errors"))
    assert result["Values"] == [2, 1]
    assert result["Label"] == "Errors"


@pytest.mark.parametrize("expression", ["SELECT SUM(Errors) FROM Shop", "RATE(m1)", "m1[0]"])
def test_what_is_not_carried_out_is_refused(aws, expression):
    with refused("NotImplemented"):
        get_data(aws, query("m1", "Errors"), {"Id": "e1", "Expression": expression})


def test_data_of_aws_or_of_another_time_are_refused(aws):
    client = aws.client("cloudwatch")
    datum = {"MetricName": "Errors", "Value": 1.0}
    with refused("InvalidParameterValue"):
        client.put_metric_data(Namespace="AWS/Lambda", MetricData=[datum])
    for at in (ago(15 * 24 * 60), ago(-180)):
        with refused("InvalidParameterValue"):
            client.put_metric_data(Namespace="Shop", MetricData=[{**datum, "Timestamp": at}])


def test_too_many_datapoints(aws):
    with refused("InvalidParameterCombination"):
        statistics(aws, "Sum", period=60, start=ago(1500))


# ── states ───────────────────────────────────────────────────────────────────────────────────────


def test_a_new_alarm_has_insufficient_data(aws):
    put_alarm(aws)
    found = alarm(aws)
    assert found["StateValue"] == "INSUFFICIENT_DATA"
    assert found["StateReason"] == "Unchecked: Initial alarm creation"
    assert found["AlarmArn"] == f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:errors"
    aws.client("cloudwatch").get_waiter("alarm_exists").wait(AlarmNames=["errors"])


def test_alarm_and_ok(aws):
    put_alarm(aws, Statistic="Maximum")
    put(aws, 0)
    assert state(aws) == "OK"
    put(aws, 5)
    found = alarm(aws)
    assert found["StateValue"] == "ALARM"
    reason = found["StateReason"]
    assert reason.startswith("Threshold Crossed: 1 out of the last 1 datapoints [5.0 (")
    assert reason.endswith(
        ")] was greater than or equal to the threshold (1.0) "
        "(minimum 1 datapoint for OK -> ALARM transition)."
    )
    data = json.loads(found["StateReasonData"])
    assert data["recentDatapoints"] == [5.0]
    assert (data["threshold"], data["period"], data["statistic"]) == (1.0, 60, "Maximum")


def test_data_that_came_before_the_alarm_count(aws):
    put(aws, 3)
    put_alarm(aws)
    assert state(aws) == "ALARM"


@pytest.mark.parametrize(
    ("comparison", "values"),
    [
        ("GreaterThanThreshold", ["OK", "OK", "ALARM"]),
        ("GreaterThanOrEqualToThreshold", ["OK", "ALARM", "ALARM"]),
        ("LessThanThreshold", ["ALARM", "OK", "OK"]),
        ("LessThanOrEqualToThreshold", ["ALARM", "ALARM", "OK"]),
    ],
)
def test_comparisons(aws, comparison, values):
    found = []
    for value in (1, 2, 3):
        put(aws, value, name=f"Value{value}")
        put_alarm(
            aws, str(value), MetricName=f"Value{value}", Threshold=2.0,
            ComparisonOperator=comparison,
        )  # fmt: skip
        found.append(state(aws, str(value)))
    assert found == values


@pytest.mark.parametrize(
    ("treatment", "expected", "words"),
    [
        ("missing", "INSUFFICIENT_DATA", "Unchecked"),
        ("ignore", "INSUFFICIENT_DATA", "Unchecked"),
        ("breaching", "ALARM", "1 missing datapoint was treated as [Breaching]"),
        ("notBreaching", "OK", "1 missing datapoint was treated as [NonBreaching]"),
    ],
)
def test_no_data(aws, treatment, expected, words):
    put_alarm(aws, TreatMissingData=treatment)
    found = alarm(aws)
    assert found["StateValue"] == expected
    assert words in found["StateReason"]


def test_data_that_are_long_past(aws):
    put(aws, 5, minutes=30)
    put_alarm(aws, TreatMissingData="notBreaching")
    assert state(aws) == "OK"
    put_alarm(aws, "silent", TreatMissingData="breaching")
    assert state(aws, "silent") == "ALARM"


def test_m_out_of_n(aws):
    put_alarm(aws, EvaluationPeriods=3, DatapointsToAlarm=2)
    put(aws, 0, minutes=2)
    put(aws, 5, minutes=1)
    assert state(aws) == "OK"
    put(aws, 7)
    found = alarm(aws)
    assert found["StateValue"] == "ALARM"
    assert found["StateReason"].startswith(
        "Threshold Crossed: 2 out of the last 3 datapoints [7.0 ("
    )
    assert "minimum 2 datapoints for OK -> ALARM transition" in found["StateReason"]


def test_all_periods_must_breach_by_default(aws):
    put_alarm(aws, EvaluationPeriods=2)
    put(aws, 5, minutes=1)
    put(aws, 0)
    assert state(aws) == "OK"
    put(aws, 5)
    assert state(aws) == "ALARM"


def test_one_breaching_datum_of_three_is_not_yet_an_alarm(aws):
    put_alarm(aws, EvaluationPeriods=3)
    put(aws, 5)
    assert state(aws) == "INSUFFICIENT_DATA"
    put_alarm(aws, "gaps", EvaluationPeriods=3, MetricName="Gaps")
    put(aws, 5, minutes=2, name="Gaps")
    assert state(aws, "gaps") == "ALARM"  # as old as three periods, and nothing since


def test_percentile_and_dimensions(aws):
    dimensions = [{"Name": "Page", "Value": "start"}]
    put_alarm(
        aws, MetricName="Latency", Statistic=None, ExtendedStatistic="p90", Threshold=80.0,
        Dimensions=dimensions,
    )  # fmt: skip
    put(aws, *range(0, 101), name="Latency")
    assert state(aws) == "INSUFFICIENT_DATA"  # that was the metric without dimensions
    put(aws, *range(0, 101), name="Latency", Dimensions=dimensions)
    assert state(aws) == "ALARM"


def test_alarm_on_an_error_rate(aws):
    hidden = {"ReturnData": False}
    metrics = [
        query("m1", "Errors", **hidden),
        query("m2", "Orders", **hidden),
        {"Id": "rate", "Expression": "FILL(m1, 0) / m2", "Label": "Error rate"},
    ]
    keep = {"Threshold": 0.1, "TreatMissingData": "notBreaching"}
    without = dict.fromkeys(("Namespace", "MetricName", "Statistic", "Period"))
    put_alarm(aws, "rate", Metrics=metrics, **keep, **without)
    put(aws, 100, name="Orders")
    assert state(aws, "rate") == "OK"
    put(aws, 20)
    assert state(aws, "rate") == "ALARM"
    without_data = {**metrics[2], "Expression": "ANOMALY_DETECTION_BAND(m1, 2)"}
    with refused("NotImplemented"):
        put_alarm(aws, "band", Metrics=[*metrics[:2], without_data], **keep, **without)


def test_changing_an_alarm_keeps_its_state(aws):
    put(aws, 5)
    put_alarm(aws)
    assert state(aws) == "ALARM"
    put_alarm(aws, MetricName="Other", TreatMissingData="ignore")
    assert state(aws) == "ALARM"


def test_state_set_by_hand_stands_until_new_data(aws):
    put_alarm(aws)
    put(aws, 0)
    client = aws.client("cloudwatch")
    client.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="a try")
    found = alarm(aws)
    assert (found["StateValue"], found["StateReason"]) == ("ALARM", "a try")
    put(aws, 0)
    assert state(aws) == "OK"
    with refused("ResourceNotFound"):
        client.set_alarm_state(AlarmName="none", StateValue="OK", StateReason="a try")


# ── actions ──────────────────────────────────────────────────────────────────────────────────────


def test_message_to_a_topic(aws):
    url = listen(aws)
    put_alarm(
        aws, AlarmActions=[TOPIC], OKActions=[TOPIC], AlarmDescription="Orders that failed",
        Dimensions=[{"Name": "Page", "Value": "start"}], TreatMissingData="notBreaching",
    )  # fmt: skip
    (first,) = messages(aws, url)
    assert json.loads(first["Message"])["NewStateValue"] == "OK"
    put(aws, 2, Dimensions=[{"Name": "Page", "Value": "start"}])
    (sent,) = messages(aws, url)
    assert sent["Subject"] == 'ALARM: "errors" in US East (N. Virginia)'
    message = json.loads(sent["Message"])
    assert message["AlarmName"] == "errors"
    assert message["AlarmDescription"] == "Orders that failed"
    assert (message["OldStateValue"], message["NewStateValue"]) == ("OK", "ALARM")
    assert message["AWSAccountId"] == ACCOUNT
    assert message["Region"] == "US East (N. Virginia)"
    assert message["NewStateReason"] == alarm(aws)["StateReason"]
    trigger = message["Trigger"]
    assert trigger["Dimensions"] == [{"value": "start", "name": "Page"}]
    assert (trigger["MetricName"], trigger["Namespace"]) == ("Errors", "Shop")
    assert (trigger["Statistic"], trigger["Period"], trigger["Threshold"]) == ("SUM", 60, 1.0)


def test_no_message_while_the_state_stays(aws):
    url = listen(aws)
    put_alarm(aws, AlarmActions=[TOPIC])
    put(aws, 2)
    put(aws, 3)
    put_alarm(aws, "other", MetricName="Other", AlarmActions=[TOPIC])
    put(aws, 2, name="Other")
    names = [json.loads(item["Message"])["AlarmName"] for item in messages(aws, url, 2)]
    assert sorted(names) == ["errors", "other"]


def history(aws, kind):
    items = aws.client("cloudwatch").describe_alarm_history(
        AlarmName="errors", HistoryItemType=kind
    )["AlarmHistoryItems"]
    return [item["HistorySummary"] for item in items]


def test_history(aws):
    listen(aws)
    put_alarm(aws, AlarmActions=[TOPIC])
    put(aws, 0)
    put(aws, 4)
    assert history(aws, "StateUpdate") == [
        "Alarm updated from OK to ALARM",
        "Alarm updated from INSUFFICIENT_DATA to OK",
    ]
    assert history(aws, "ConfigurationUpdate") == ['Alarm "errors" created']
    assert wait_for(lambda: history(aws, "Action")) == [
        f"Successfully executed action {TOPIC}",
    ]


def test_actions_that_are_switched_off(aws):
    listen(aws)
    put_alarm(aws, AlarmActions=[TOPIC], ActionsEnabled=False)
    put(aws, 4)
    assert state(aws) == "ALARM"
    client = aws.client("cloudwatch")
    client.enable_alarm_actions(AlarmNames=["errors"])
    assert alarm(aws)["ActionsEnabled"] is True
    client.set_alarm_state(AlarmName="errors", StateValue="OK", StateReason="a try")
    client.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="a try")
    wait_for(lambda: history(aws, "Action"))
    assert history(aws, "Action") == [f"Successfully executed action {TOPIC}"]


def test_a_topic_that_is_gone_or_closed(aws):
    put_alarm(aws, AlarmActions=[TOPIC])
    put(aws, 4)
    failed = f"Failed to execute action {TOPIC}"
    assert wait_for(lambda: history(aws, "Action")) == [failed]
    listen(aws)
    only = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}}
    policy = {"Version": "2012-10-17", "Statement": [{**only, "Action": "*", "Resource": TOPIC}]}
    aws.client("sns").set_topic_attributes(
        TopicArn=TOPIC, AttributeName="Policy", AttributeValue=json.dumps(policy)
    )
    client = aws.client("cloudwatch")
    for value in ("OK", "ALARM"):
        client.set_alarm_state(AlarmName="errors", StateValue=value, StateReason="a try")
    wait_for(lambda: len(history(aws, "Action")) == 2)
    assert history(aws, "Action") == [failed, failed]


def test_function_as_action(aws):
    aws.client("s3").create_bucket(Bucket="kept")
    arn = make(aws, KEEP, name="keeper", Timeout=30)["FunctionArn"]
    source = f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:errors"
    let_in(aws, "lambda.alarms.cloudwatch.amazonaws.com", source)
    put_alarm(aws, AlarmActions=[arn])
    put(aws, 4)
    (event,) = kept(aws)
    assert event["source"] == "aws.cloudwatch"
    assert event["alarmArn"] == source
    assert event["alarmData"]["alarmName"] == "errors"
    assert event["alarmData"]["state"]["value"] == "ALARM"
    (metric,) = event["alarmData"]["configuration"]["metrics"]
    assert metric["metricStat"]["metric"]["name"] == "Errors"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Period": 45}, "ValidationError"),
        ({"Statistic": None}, "InvalidParameterCombination"),
        ({"ExtendedStatistic": "p99"}, "InvalidParameterCombination"),
        ({"MetricName": None}, "ValidationError"),
        ({"Threshold": None}, "ValidationError"),
        ({"EvaluationPeriods": 2, "DatapointsToAlarm": 3}, "ValidationError"),
        ({"EvaluationPeriods": 25, "Period": 3600 * 24}, "ValidationError"),
        ({"TreatMissingData": "zero"}, "ValidationError"),
        ({"AlarmActions": ["alarms"]}, "ValidationError"),
        ({"AlarmActions": ["arn:aws:automate:us-east-1:ec2:stop"]}, "NotImplemented"),
        ({"ComparisonOperator": "LessThanLowerThreshold"}, "NotImplemented"),
    ],
)
def test_alarms_that_are_refused(aws, changes, code):
    with refused(code):
        put_alarm(aws, **changes)
    assert aws.client("cloudwatch").describe_alarms()["MetricAlarms"] == []


# ── composite alarms, lists, tags ────────────────────────────────────────────────────────────────


def test_composite_alarm(aws):
    client, url = aws.client("cloudwatch"), listen(aws)
    put_alarm(aws, "a", MetricName="A", TreatMissingData="notBreaching")
    put_alarm(aws, "b", MetricName="B", TreatMissingData="notBreaching")
    rule = 'ALARM("a") AND NOT OK(b)'
    client.put_composite_alarm(AlarmName="both", AlarmRule=rule, AlarmActions=[TOPIC])
    assert state(aws, "both") == "OK"
    put(aws, 1, name="A")
    assert state(aws, "both") == "OK"
    put(aws, 1, name="B")
    assert state(aws, "both") == "ALARM"
    (sent,) = messages(aws, url)
    assert json.loads(sent["Message"])["AlarmRule"] == rule
    with refused("ValidationError"):
        client.delete_alarms(AlarmNames=["a"])
    assert [a["AlarmName"] for a in client.describe_alarms()["MetricAlarms"]] == ["a", "b"]
    assert client.describe_alarms()["CompositeAlarms"] == []  # only when asked for
    client.delete_alarms(AlarmNames=["both"])
    client.delete_alarms(AlarmNames=["a", "b"])


@pytest.mark.parametrize("rule", ["ALARM(none)", "ALARM(a) AND", "BROKEN(a)"])
def test_composite_rules_that_are_refused(aws, rule):
    put_alarm(aws, "a")
    with refused("ValidationError"):
        aws.client("cloudwatch").put_composite_alarm(AlarmName="both", AlarmRule=rule)


def test_finding_alarms(aws):
    client = aws.client("cloudwatch")
    put_alarm(aws, "shop-errors", AlarmActions=[TOPIC])
    put_alarm(aws, "shop-orders", MetricName="Orders", TreatMissingData="notBreaching")
    put_alarm(aws, "other", MetricName="Other")

    def names(**filters):
        return [item["AlarmName"] for item in client.describe_alarms(**filters)["MetricAlarms"]]

    assert names(AlarmNamePrefix="shop-") == ["shop-errors", "shop-orders"]
    assert names(StateValue="OK") == ["shop-orders"]
    assert names(ActionPrefix="arn:aws:sns") == ["shop-errors"]
    pages = client.get_paginator("describe_alarms").paginate(PaginationConfig={"PageSize": 2})
    assert [len(page["MetricAlarms"]) for page in pages] == [2, 1]
    found = client.describe_alarms_for_metric(Namespace="Shop", MetricName="Orders")
    assert [item["AlarmName"] for item in found["MetricAlarms"]] == ["shop-orders"]


def test_tags_of_an_alarm(aws):
    client = aws.client("cloudwatch")
    put_alarm(aws, Tags=[{"Key": "book", "Value": "ml"}])
    arn = alarm(aws)["AlarmArn"]
    client.tag_resource(ResourceARN=arn, Tags=[{"Key": "chapter", "Value": "2"}])
    tags = client.list_tags_for_resource(ResourceARN=arn)["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"book": "ml", "chapter": "2"}


def test_an_alarm_that_is_left_behind_is_seen(aws):
    put_alarm(aws)
    aws.client("cloudwatch").put_composite_alarm(AlarmName="both", AlarmRule="ALARM(errors)")
    # The composite alarm keeps the other one from being deleted before it.
    found = inventory.take(aws.client, ["cloudwatch"])
    assert found["cloudwatch describe_alarms"] == ["errors"]


# ── what the services measure themselves ─────────────────────────────────────────────────────────


def total(aws, namespace, name, stat="Sum", **dimensions):
    """A statistic of the last hours; None if there are no data."""
    points = aws.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=ago(600),
        EndTime=ago(-600),
        Period=86_400,
        Statistics=[stat],
    )["Datapoints"]
    values = [point[stat] for point in points]
    if not values:
        return None
    return sum(values) if stat in ("Sum", "SampleCount") else max(values)


def test_invocations_of_a_function(aws):
    make(aws, "def handler(event, context):\n    return 1 / event['by']\n")
    for by in (1, 2, 0):
        invoke(aws, {"by": by})

    def of_function(name, stat="Sum"):
        return total(aws, "AWS/Lambda", name, stat, FunctionName="function")

    assert (of_function("Invocations"), of_function("Errors")) == (3, 1)
    assert (of_function("Throttles"), of_function("ConcurrentExecutions", "Maximum")) == (0, 1)
    assert of_function("Duration", "SampleCount") == 3
    assert of_function("Duration", "Minimum") > 0
    assert total(aws, "AWS/Lambda", "Invocations") == 3  # over all functions
    found = aws.client("cloudwatch").list_metrics(Namespace="AWS/Lambda", MetricName="Errors")
    dimensions = [metric["Dimensions"] for metric in found["Metrics"]]
    assert [{"Name": "FunctionName", "Value": "function"}] in dimensions


def test_alarm_on_the_errors_of_a_function(aws):
    url = listen(aws)
    make(aws, "def handler(event, context):\n    raise ValueError(event)\n")
    put_alarm(
        aws, Namespace="AWS/Lambda", Dimensions=[{"Name": "FunctionName", "Value": "function"}],
        AlarmActions=[TOPIC],
    )  # fmt: skip
    invoke(aws, InvocationType="Event")
    (sent,) = messages(aws, url)
    assert json.loads(sent["Message"])["NewStateValue"] == "ALARM"


def test_events_that_a_function_could_not_do(aws):
    _, dead = queue(aws, "dead")
    make(aws, "def handler(event, context):\n    1 / 0\n", DeadLetterConfig={"TargetArn": dead})
    config = {"FunctionName": "function", "MaximumRetryAttempts": 0}
    aws.client("lambda").put_function_event_invoke_config(**config)
    invoke(aws, InvocationType="Event")
    names = {"FunctionName": "function"}
    wait_for(lambda: total(aws, "AWS/Lambda", "AsyncEventsDropped", **names))
    assert total(aws, "AWS/Lambda", "AsyncEventsReceived", **names) == 1
    assert total(aws, "AWS/Lambda", "DeadLetterErrors", **names) is None
    assert total(aws, "AWS/SQS", "NumberOfMessagesSent", QueueName="dead") == 1


def test_alarm_on_a_dead_letter_queue(aws):
    url, _ = queue(aws, "dead")
    put_alarm(
        aws, Namespace="AWS/SQS", MetricName="ApproximateNumberOfMessagesVisible",
        Statistic="Maximum", Dimensions=[{"Name": "QueueName", "Value": "dead"}],
    )  # fmt: skip
    assert state(aws) == "OK"
    sqs = aws.client("sqs")
    sqs.send_message(QueueUrl=url, MessageBody="poison")
    assert state(aws) == "ALARM"
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert state(aws) == "OK"
    for name in ("Sent", "Received", "Deleted"):
        assert total(aws, "AWS/SQS", f"NumberOfMessages{name}", QueueName="dead") == 1
    age = total(aws, "AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", QueueName="dead")
    assert age == 0


def test_records_of_a_stream(aws):
    kinesis = aws.client("kinesis")
    kinesis.create_stream(StreamName="clicks", ShardCount=1)
    records = [{"Data": b"four", "PartitionKey": "k"}] * 3
    kinesis.put_records(StreamName="clicks", Records=records)
    (shard,) = kinesis.list_shards(StreamName="clicks")["Shards"]
    iterator = kinesis.get_shard_iterator(
        StreamName="clicks", ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    aws.client("cloudwatch").list_metrics()
    kinesis.get_records(ShardIterator=iterator)
    assert total(aws, "AWS/Kinesis", "IncomingRecords", StreamName="clicks") == 3
    assert total(aws, "AWS/Kinesis", "GetRecords.Records", StreamName="clicks") == 3
    assert total(aws, "AWS/Kinesis", "GetRecords.Bytes", StreamName="clicks") == 12


def test_age_of_the_records_that_a_function_reads(aws):
    kinesis = aws.client("kinesis")
    kinesis.create_stream(StreamName="clicks", ShardCount=1)
    make(aws, ECHO)
    arn = kinesis.describe_stream_summary(StreamName="clicks")["StreamDescriptionSummary"]
    aws.client("lambda").create_event_source_mapping(
        EventSourceArn=arn["StreamARN"], FunctionName="function", StartingPosition="TRIM_HORIZON"
    )
    kinesis.put_record(StreamName="clicks", Data=b"one", PartitionKey="k")
    age = ("AWS/Lambda", "IteratorAge", "Maximum")
    found = wait_for(lambda: total(aws, *age, FunctionName="function") is not None)
    assert found


def test_messages_of_a_topic(aws):
    listen(aws)
    for _ in range(2):
        aws.client("sns").publish(TopicArn=TOPIC, Message="hello")
    assert total(aws, "AWS/SNS", "NumberOfMessagesPublished", TopicName="alarms") == 2
    assert total(aws, "AWS/SNS", "PublishSize", "Average", TopicName="alarms") == 5


def write(aws, *lines):
    at = int(datetime.now(UTC).timestamp() * 1000)
    events = [{"timestamp": at, "message": line} for line in lines]
    aws.client("logs").put_log_events(logGroupName="app", logStreamName="one", logEvents=events)


def count_lines(aws, pattern, value="1", **more):
    logs = aws.client("logs")
    logs.create_log_group(logGroupName="app")
    logs.create_log_stream(logGroupName="app", logStreamName="one")
    transformation = {"metricName": "Lines", "metricNamespace": "App", "metricValue": value, **more}
    logs.put_metric_filter(
        logGroupName="app",
        filterName="lines",
        filterPattern=pattern,
        metricTransformations=[transformation],
    )


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("ERROR", 2),
        ('"ERROR disk"', 1),
        ("ERROR -disk", 1),
        ("?ERROR ?WARN", 3),
        ("", 4),
        ('{ $.level = "info" }', 1),
        ("{ $.took > 10 }", 1),
    ],
)
def test_metric_filter(aws, pattern, expected):
    count_lines(aws, pattern)
    line = json.dumps({"level": "info", "took": 12.5})
    write(aws, "ERROR disk full", "ERROR: no order", "WARN disk", line)
    assert total(aws, "App", "Lines") == expected


def test_metric_filter_with_a_value_and_a_default(aws):
    count_lines(aws, "{ $.took > 0 }", "$.took", defaultValue=0.0, unit="Milliseconds")
    write(aws, json.dumps({"took": 12.5}), "no JSON")
    assert total(aws, "App", "Lines", "SampleCount") == 2
    assert total(aws, "App", "Lines", "Maximum") == 12.5


def test_metric_filter_patterns_that_are_not_understood(aws):
    for pattern in ("[ip, user, status = 5*]", "%regular%", '{ $.a = "x" && $.b = 1 }'):
        with refused("NotImplemented"):
            count_lines(aws, pattern)
        aws.client("logs").delete_log_group(logGroupName="app")


def test_alarm_on_lines_in_the_log_of_a_function(aws):
    make(aws, "def handler(event, context):\n    print('ERROR', event)\n")
    invoke(aws)
    aws.client("logs").put_metric_filter(
        logGroupName="/aws/lambda/function",
        filterName="errors",
        filterPattern="ERROR",
        metricTransformations=[
            {"metricName": "Errors", "metricNamespace": "Shop", "metricValue": "1"}
        ],
    )
    put_alarm(aws, TreatMissingData="notBreaching")
    assert state(aws) == "OK"
    invoke(aws)
    assert state(aws) == "ALARM"


def test_rules_that_nothing_would_look_at_are_refused(aws):
    with refused("NotImplemented"):
        aws.client("cloudwatch").put_insight_rule(RuleName="rule", RuleDefinition="{}")
