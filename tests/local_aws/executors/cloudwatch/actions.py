"""What an alarm does when its state changes: messages, functions, an event on the bus.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-actions.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
"""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any

from botocore.session import get_session

from ... import account, event_bus
from ...errors import AWSError
from ...policies import lets_service
from .evaluation import timestamp

if TYPE_CHECKING:
    from .alarms import Alarm, State

_MEMBERS = {"ALARM": "AlarmActions", "OK": "OKActions"}
_SERVICES = ("sns", "lambda")


def wanted(alarm: Alarm) -> list[str]:
    """The ARNs of the actions for the alarm's present state; none if they are switched off."""
    if alarm.params.get("ActionsEnabled") is False:
        return []
    member = _MEMBERS.get(alarm.state.value, "InsufficientDataActions")
    return list(alarm.params.get(member) or [])


def run(alarm: Alarm, before: State, after: State, arn: str) -> str | None:
    """Carry out one action. Returns why it failed; None if it did not."""
    try:
        if arn.split(":")[2] == "sns":
            _publish(alarm, before, after, arn)
        else:
            _invoke(alarm, before, after, arn)
    except AWSError as error:
        return f"{error.code}: {error.message}"
    return None


def _publish(alarm: Alarm, before: State, after: State, arn: str) -> None:
    from moto.sns.models import sns_backends

    backend = sns_backends[account.ACCOUNT_ID][arn.split(":")[3]]
    topic = backend.topics.get(arn)
    if topic is None:
        raise AWSError("NotFound", "Topic does not exist", status=404)
    service = "cloudwatch.amazonaws.com"
    if not lets_service(topic.policy, service, "SNS:Publish", arn, alarm.arn, as_owner=True):
        message = f"CloudWatch Alarms is not authorized to perform: SNS:Publish on resource: {arn}"
        raise AWSError("AuthorizationError", message, status=403)
    subject = f'{after.value}: "{alarm.name}" in {region_name(alarm.region)}'
    backend.publish(message=json.dumps(_message(alarm, before, after)), arn=arn, subject=subject)


def _message(alarm: Alarm, before: State, after: State) -> dict[str, Any]:
    params = alarm.params
    message = {
        "AlarmName": alarm.name,
        "AlarmDescription": params.get("AlarmDescription"),
        "AWSAccountId": account.ACCOUNT_ID,
        "AlarmConfigurationUpdatedTimestamp": timestamp(alarm.configured),
        "NewStateValue": after.value,
        "NewStateReason": after.reason,
        "StateChangeTime": timestamp(after.since),
        "Region": region_name(alarm.region),
        "AlarmArn": alarm.arn,
        "OldStateValue": before.value,
        "OKActions": params.get("OKActions") or [],
        "AlarmActions": params.get("AlarmActions") or [],
        "InsufficientDataActions": params.get("InsufficientDataActions") or [],
    }
    if "AlarmRule" in params:
        return message | {"AlarmRule": params["AlarmRule"]}
    return message | {"Trigger": _trigger(params)}


def _trigger(params: dict[str, Any]) -> dict[str, Any]:
    if params.get("Metrics"):
        what: dict[str, Any] = {"Metrics": [_query(query) for query in params["Metrics"]]}
    else:
        plain = params.get("Statistic")
        what = {
            "MetricName": params["MetricName"],
            "Namespace": params["Namespace"],
            "StatisticType": "Statistic" if plain else "ExtendedStatistic",
            **({"Statistic": plain.upper()} if plain else {}),
            **({} if plain else {"ExtendedStatistic": params["ExtendedStatistic"]}),
            "Unit": params.get("Unit"),
            "Dimensions": _pairs(params.get("Dimensions")),
        }
    return what | {
        "Period": int(params.get("Period") or 0),
        "EvaluationPeriods": int(params["EvaluationPeriods"]),
        **(
            {"DatapointsToAlarm": int(params["DatapointsToAlarm"])}
            if params.get("DatapointsToAlarm")
            else {}
        ),
        "ComparisonOperator": params["ComparisonOperator"],
        "Threshold": float(params["Threshold"]),
        "TreatMissingData": params.get("TreatMissingData") or "missing",
        "EvaluateLowSampleCountPercentile": params.get("EvaluateLowSampleCountPercentile") or "",
    }


def _pairs(dimensions: list[dict[str, str]] | None) -> list[dict[str, str]]:
    return [{"value": item["Value"], "name": item["Name"]} for item in dimensions or []]


def _query(query: dict[str, Any]) -> dict[str, Any]:
    content = {key: value for key, value in query.items() if key in ("Id", "Label", "Expression")}
    content["ReturnData"] = query.get("ReturnData", True)
    if "MetricStat" in query:
        stat = query["MetricStat"]
        metric = stat["Metric"]
        content["MetricStat"] = {
            "Metric": {
                "Dimensions": _pairs(metric.get("Dimensions")),
                "MetricName": metric["MetricName"],
                "Namespace": metric["Namespace"],
            },
            "Period": int(stat["Period"]),
            "Stat": stat["Stat"],
        }
    return content


def _invoke(alarm: Alarm, before: State, after: State, arn: str) -> None:
    functions = importlib.import_module("..lambda_", __package__)
    function = functions.find(alarm.region, arn)
    if not functions.may_invoke(function, "lambda.alarms.cloudwatch.amazonaws.com", alarm.arn):
        message = (
            "CloudWatch Alarms is not authorized to perform: lambda:InvokeFunction on the "
            f"resource: {arn} because no resource-based policy allows the "
            "lambda:InvokeFunction action"
        )
        raise AWSError("AccessDeniedException", message, status=403)
    event = {
        "source": "aws.cloudwatch",
        "alarmArn": alarm.arn,
        "accountId": account.ACCOUNT_ID,
        "time": timestamp(after.since),
        "region": alarm.region,
        "alarmData": _detail(alarm, before, after),
    }
    functions.invoke_later(function, event)


def announce(alarm: Alarm, before: State, after: State) -> None:
    """Put the change on the default event bus, whether actions are enabled or not."""
    event_bus.emit(
        alarm.region,
        "aws.cloudwatch",
        "CloudWatch Alarm State Change",
        [alarm.arn],
        _detail(alarm, before, after),
    )


def _detail(alarm: Alarm, before: State, after: State) -> dict[str, Any]:
    def told(state: State) -> dict[str, Any]:
        content = {"value": state.value, "reason": state.reason}
        if state.data:
            content["reasonData"] = state.data
        return content | {"timestamp": timestamp(state.since)}

    params = alarm.params
    configuration: dict[str, Any] = {}
    if params.get("AlarmDescription"):
        configuration["description"] = params["AlarmDescription"]
    if "AlarmRule" in params:
        configuration["alarmRule"] = params["AlarmRule"]
    else:
        configuration["metrics"] = _metrics(params)
    return {
        "alarmName": alarm.name,
        "state": told(after),
        "previousState": told(before),
        "configuration": configuration,
    }


def _metrics(params: dict[str, Any]) -> list[dict[str, Any]]:
    if not params.get("Metrics"):
        stat = params.get("Statistic") or params.get("ExtendedStatistic")
        metric = {key: params.get(key) for key in ("Namespace", "MetricName", "Dimensions")}
        content = {"Metric": metric, "Period": params["Period"], "Stat": stat}
        queries = [{"Id": "m1", "MetricStat": content}]
    else:
        queries = params["Metrics"]
    found = []
    for query in queries:
        item: dict[str, Any] = {"id": query["Id"], "returnData": query.get("ReturnData", True)}
        if "Expression" in query:
            item["expression"] = query["Expression"]
        if "MetricStat" in query:
            stat = query["MetricStat"]
            metric = stat["Metric"]
            named = {each["Name"]: each["Value"] for each in metric.get("Dimensions") or []}
            item["metricStat"] = {
                "metric": {
                    "namespace": metric["Namespace"],
                    "name": metric["MetricName"],
                    "dimensions": named,
                },
                "period": int(stat["Period"]),
                "stat": stat["Stat"],
            }
        found.append(item)
    return found


def check(arns: list[str]) -> None:
    """Refuse an action that is no ARN, or of a service that is not reached from here."""
    for arn in arns:
        parts = arn.split(":")
        if len(parts) < 6 or parts[0] != "arn":
            raise AWSError("ValidationError", f"Invalid arn syntax: {arn}")
        if parts[2] not in _SERVICES:
            from ...errors import not_implemented

            raise not_implemented("cloudwatch", f"the alarm action {arn}")


def region_name(region: str) -> str:
    """The name of a region as messages show it, such as `US East (N. Virginia)`."""
    for partition in get_session().get_data("endpoints")["partitions"]:
        if region in partition["regions"]:
            return partition["regions"][region]["description"]
    return region
