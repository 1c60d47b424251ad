"""EventBridge, SQS, SNS, Kinesis and CloudWatch alarms: what services tell each other."""

from __future__ import annotations

import json
from typing import Any

from . import as_mapping, resource, without

_Aws = Any
_Properties = dict[str, Any]

# What a queue has that nothing is said of; a property that a template drops goes back to it.
_QUEUE_DEFAULTS = {
    "DelaySeconds": "0",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "RedrivePolicy": "",
    "VisibilityTimeout": "30",
}


@resource("AWS::Events::Rule")
class Rule:
    """A rule with its targets."""

    @staticmethod
    def create(aws: _Aws, name: str, properties: _Properties) -> tuple[str, _Properties]:
        rule = properties.get("Name", name)
        arn = Rule._put(aws, rule, properties)
        return rule, {"Arn": arn}

    @staticmethod
    def _put(aws: _Aws, rule: str, properties: _Properties) -> str:
        settings = without(properties, "Name", "Targets", "EventPattern")
        if "EventPattern" in properties:
            settings["EventPattern"] = json.dumps(properties["EventPattern"])
        arn = aws("events").put_rule(Name=rule, **settings)["RuleArn"]
        if properties.get("Targets"):
            aws("events").put_targets(
                Rule=rule, Targets=properties["Targets"], **Rule._bus(properties)
            )
        return arn

    @staticmethod
    def _bus(properties: _Properties) -> _Properties:
        return {key: properties[key] for key in ("EventBusName",) if key in properties}

    @staticmethod
    def update(aws: _Aws, rule: str, old: _Properties, new: _Properties) -> None:
        Rule._put(aws, rule, new)
        kept = {target["Id"] for target in new.get("Targets", [])}
        gone = [target["Id"] for target in old.get("Targets", []) if target["Id"] not in kept]
        if gone:
            aws("events").remove_targets(Rule=rule, Ids=gone, **Rule._bus(new))

    @staticmethod
    def delete(aws: _Aws, rule: str, properties: _Properties) -> None:
        targets = [target["Id"] for target in properties.get("Targets", [])]
        if targets:
            aws("events").remove_targets(Rule=rule, Ids=targets, **Rule._bus(properties))
        aws("events").delete_rule(Name=rule, **Rule._bus(properties))


@resource("AWS::SQS::Queue")
class Queue:
    """A queue. Its URL is its id."""

    @staticmethod
    def create(aws: _Aws, name: str, properties: _Properties) -> tuple[str, _Properties]:
        queue = properties.get("QueueName", name)
        url = aws("sqs").create_queue(
            QueueName=queue,
            Attributes=Queue._attributes(properties),
            tags=as_mapping(properties.get("Tags")),
        )["QueueUrl"]
        found = aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        arn = found["Attributes"]["QueueArn"]
        return url, {"Arn": arn, "QueueName": queue, "QueueUrl": url}

    @staticmethod
    def _attributes(properties: _Properties) -> dict[str, str]:
        settings = without(properties, "QueueName", "Tags")
        return {
            key: json.dumps(value) if isinstance(value, dict | bool) else str(value)
            for key, value in settings.items()
        }

    @staticmethod
    def update(aws: _Aws, url: str, old: _Properties, new: _Properties) -> None:
        dropped = {
            key: _QUEUE_DEFAULTS[key] for key in _QUEUE_DEFAULTS if key in old and key not in new
        }
        attributes = {**dropped, **Queue._attributes(new)}
        aws("sqs").set_queue_attributes(QueueUrl=url, Attributes=attributes)

    @staticmethod
    def delete(aws: _Aws, url: str, properties: _Properties) -> None:
        aws("sqs").delete_queue(QueueUrl=url)


@resource("AWS::SQS::QueuePolicy")
class QueuePolicy:
    """Who may send to queues."""

    @staticmethod
    def create(aws: _Aws, name: str, properties: _Properties) -> tuple[str, _Properties]:
        QueuePolicy.update(aws, name, {}, properties)
        return name, {"Id": name}

    @staticmethod
    def update(aws: _Aws, physical_id: str, old: _Properties, new: _Properties) -> None:
        for url in new["Queues"]:
            policy = {"Policy": json.dumps(new["PolicyDocument"])}
            aws("sqs").set_queue_attributes(QueueUrl=url, Attributes=policy)

    @staticmethod
    def delete(aws: _Aws, physical_id: str, properties: _Properties) -> None:
        for url in properties["Queues"]:
            aws("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})


@resource("AWS::SNS::Topic")
class Topic:
    """A topic with the subscriptions that are written into it. Its ARN is its id."""

    @staticmethod
    def create(aws: _Aws, name: str, properties: _Properties) -> tuple[str, _Properties]:
        topic = properties.get("TopicName", name)
        attributes = {
            key: str(properties[key])
            for key in ("DisplayName", "KmsMasterKeyId")
            if key in properties
        }
        arn = aws("sns").create_topic(
            Name=topic, Attributes=attributes, Tags=properties.get("Tags", [])
        )["TopicArn"]
        for each in properties.get("Subscription", []):
            aws("sns").subscribe(TopicArn=arn, Protocol=each["Protocol"], Endpoint=each["Endpoint"])
        return arn, {"TopicArn": arn, "TopicName": topic}

    @staticmethod
    def delete(aws: _Aws, arn: str, properties: _Properties) -> None:
        pages = aws("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
        for subscription in pages.search("Subscriptions[].SubscriptionArn"):
            aws("sns").unsubscribe(SubscriptionArn=subscription)
        aws("sns").delete_topic(TopicArn=arn)


@resource("AWS::SNS::Subscription")
class Subscription:
    """Who hears of what is published. Its ARN is its id."""

    @staticmethod
    def create(aws: _Aws, name: str, properties: _Properties) -> tuple[str, _Properties]:
        attributes = {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in without(properties, "TopicArn", "Protocol", "Endpoint").items()
        }
        arn = aws("sns").subscribe(
            TopicArn=properties["TopicArn"],
            Protocol=properties["Protocol"],
            Endpoint=properties["Endpoint"],
            Attributes=attributes,
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]
        return arn, {"Arn": arn}

    @staticmethod
    def delete(aws: _Aws, arn: str, properties: _Properties) -> None:
        aws("sns").unsubscribe(SubscriptionArn=arn)


@resource("AWS::SNS::TopicPolicy")
class TopicPolicy:
    """Who may publish to topics."""

    @staticmethod
    def create(aws: _Aws, name: str, properties: _Properties) -> tuple[str, _Properties]:
        TopicPolicy.update(aws, name, {}, properties)
        return name, {"Id": name}

    @staticmethod
    def update(aws: _Aws, physical_id: str, old: _Properties, new: _Properties) -> None:
        for arn in new["Topics"]:
            aws("sns").set_topic_attributes(
                TopicArn=arn,
                AttributeName="Policy",
                AttributeValue=json.dumps(new["PolicyDocument"]),
            )

    @staticmethod
    def delete(aws: _Aws, physical_id: str, properties: _Properties) -> None:
        """The topic goes back to letting its owner publish, as AWS does; nothing to remove."""


@resource("AWS::Kinesis::Stream")
class Stream:
    """A data stream."""

    @staticmethod
    def create(aws: _Aws, name: str, properties: _Properties) -> tuple[str, _Properties]:
        kinesis = aws("kinesis")
        stream = properties.get("Name", name)
        settings = {
            key: properties[key] for key in ("ShardCount", "StreamModeDetails") if key in properties
        }
        kinesis.create_stream(
            StreamName=stream, Tags=as_mapping(properties.get("Tags")), **settings
        )
        kinesis.get_waiter("stream_exists").wait(StreamName=stream)
        found = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
        return stream, {"Arn": found["StreamARN"]}

    @staticmethod
    def delete(aws: _Aws, stream: str, properties: _Properties) -> None:
        aws("kinesis").delete_stream(StreamName=stream)


@resource("AWS::CloudWatch::Alarm")
class Alarm:
    """An alarm on a metric."""

    @staticmethod
    def create(aws: _Aws, name: str, properties: _Properties) -> tuple[str, _Properties]:
        alarm = properties.get("AlarmName", name)
        Alarm.update(aws, alarm, {}, properties)
        found = aws("cloudwatch").describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
        return alarm, {"Arn": found[0]["AlarmArn"]}

    @staticmethod
    def update(aws: _Aws, alarm: str, old: _Properties, new: _Properties) -> None:
        aws("cloudwatch").put_metric_alarm(AlarmName=alarm, **without(new, "AlarmName"))

    @staticmethod
    def delete(aws: _Aws, alarm: str, properties: _Properties) -> None:
        aws("cloudwatch").delete_alarms(AlarmNames=[alarm])
