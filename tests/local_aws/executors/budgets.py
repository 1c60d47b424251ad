"""AWS Budgets: budgets, who hears of them, their tags. Nothing here costs anything.

What is spent offline is nothing, and that is what CalculatedSpend says; no notification is ever
sent. moto's budgets have no subscribers, no tags and no limits, so that they are kept here.
https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_Operations_AWS_Budgets.html
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .. import account
from ..errors import AWSError
from ..gateway import Call, handles
from ..policies import lets_service

# https://docs.aws.amazon.com/cost-management/latest/userguide/management-limits.html
_MOST_BUDGETS = 20_000
_MOST_NOTIFICATIONS = 10
_MOST_EMAILS, _MOST_TOPICS = 10, 1
_MOST_TAGS = 200
_END = datetime(2087, 6, 15, tzinfo=UTC)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_TOPIC = re.compile(r"arn:aws:sns:[a-z0-9-]+:\d{12}:[\w-]{1,256}")
_COST_TYPES = {
    "IncludeTax": True,
    "IncludeSubscription": True,
    "UseBlended": False,
    "IncludeRefund": True,
    "IncludeCredit": True,
    "IncludeUpfront": True,
    "IncludeRecurring": True,
    "IncludeOtherSubscription": True,
    "IncludeSupport": True,
    "IncludeDiscount": True,
    "UseAmortized": False,
}


@dataclass
class Notification:
    """When somebody is told, and who."""

    content: dict[str, Any]
    subscribers: list[dict[str, str]]


@dataclass
class Budget:
    """A budget as it was asked for, with what AWS fills in."""

    content: dict[str, Any]
    notifications: list[Notification] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name."""
        return self.content["BudgetName"]

    def described(self) -> dict[str, Any]:
        """As DescribeBudget shows it. Offline, nothing has been spent."""
        content = copy.deepcopy(self.content)
        unit = (content.get("BudgetLimit") or {}).get("Unit", "USD")
        content["CalculatedSpend"] = {"ActualSpend": {"Amount": "0.0", "Unit": unit}}
        return content


_budgets: dict[str, Budget] = account.table()


# ── budgets ──────────────────────────────────────────────────────────────────────────────────────


@handles("budgets", "CreateBudget")
def create(call: Call) -> dict[str, Any]:
    """Make a budget with its notifications: all of it, or, if one is refused, nothing."""
    _check_account(call)
    content = call.params["Budget"]
    name = content["BudgetName"]
    if name in _budgets:
        message = f"Error creating budget: {name} - the budget already exists."
        raise AWSError("DuplicateRecordException", message)
    if len(_budgets) >= _MOST_BUDGETS:
        raise _limit(f"Unable to create budget: the account has {_MOST_BUDGETS} budgets.")
    budget = Budget(_completed(content, None))
    for item in call.params.get("NotificationsWithSubscribers") or []:
        _add_notification(budget, item["Notification"], item["Subscribers"])
    _add_tags(budget, call.params.get("ResourceTags") or [])
    _budgets[name] = budget
    return {}


@handles("budgets", "UpdateBudget")
def update(call: Call) -> dict[str, Any]:
    """Change a budget; its notifications stay. Its kind and its time unit cannot be changed."""
    _check_account(call)
    content = call.params["NewBudget"]
    budget = _find(content["BudgetName"], "update")
    if content["BudgetType"] != budget.content["BudgetType"]:
        message = "Unable to update budget - the budget type cannot be changed."
        raise AWSError("InvalidParameterException", message)
    budget.content = _completed(content, budget.content)
    return {}


def _completed(content: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    """The budget with AWS's defaults, once its limit and its period are seen to make sense."""
    content = copy.deepcopy(content)
    content.pop("CalculatedSpend", None)
    limits = [
        name for name in ("BudgetLimit", "PlannedBudgetLimits", "AutoAdjustData") if name in content
    ]
    if not limits:
        message = (
            "Unable to create/update budget - please provide one of the followings: "
            "Budget Limit/ Planned Budget Limit/ Auto Adjust Data"
        )
        raise AWSError("InvalidParameterException", message)
    if "BudgetLimit" in content and len(limits) > 1:
        message = (
            "Unable to create/update budget - only one of Budget Limit, Planned Budget Limit and "
            f"Auto Adjust Data can be given, not {', '.join(limits)}"
        )
        raise AWSError("InvalidParameterException", message)
    limit = content.get("BudgetLimit")
    if limit:
        _check_limit(content, limit)
    period = content.setdefault("TimePeriod", dict(before["TimePeriod"]) if before else {})
    period.setdefault("Start", _start_of_period(content["TimeUnit"]))
    period.setdefault("End", _END)
    start, end = _aware(period["Start"]), _aware(period["End"])
    if start >= end:
        message = "Unable to create/update budget - the start of a budget must be before its end."
        raise AWSError("InvalidParameterException", message)
    if content["BudgetType"] == "COST" and not {"Metrics", "FilterExpression"} & content.keys():
        content["CostTypes"] = _COST_TYPES | (content.get("CostTypes") or {})
        content.setdefault("CostFilters", {})
    content["LastUpdatedTime"] = account.now()
    content["HealthStatus"] = {"Status": "HEALTHY", "LastUpdatedTime": account.now()}
    return content


def _check_limit(content: dict[str, Any], limit: dict[str, str]) -> None:
    if float(limit["Amount"]) <= 0:
        message = (
            "Unable to create/update budget - the amount of a budget limit must be greater than "
            f"0, not {limit['Amount']}"
        )
        raise AWSError("InvalidParameterException", message)
    if content["BudgetType"] == "COST" and not re.fullmatch(r"[A-Z]{3}", limit["Unit"]):
        message = (
            "Unable to create/update budget - the unit of a cost budget is a currency such as "
            f"USD, not {limit['Unit']}"
        )
        raise AWSError("InvalidParameterException", message)


def _start_of_period(unit: str) -> datetime:
    today = account.now().replace(hour=0, minute=0, second=0, microsecond=0)
    if unit == "DAILY":
        return today
    if unit == "QUARTERLY":
        return today.replace(month=(today.month - 1) // 3 * 3 + 1, day=1)
    return today.replace(month=1, day=1) if unit == "ANNUALLY" else today.replace(day=1)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@handles("budgets", "DescribeBudget")
def describe(call: Call) -> dict[str, Any]:
    """One budget."""
    _check_account(call)
    return {"Budget": _find(call.params["BudgetName"], "get").described()}


@handles("budgets", "DescribeBudgets")
def describe_all(call: Call) -> dict[str, Any]:
    """All budgets, in the order of their names."""
    _check_account(call)
    budgets = [_budgets[name].described() for name in sorted(_budgets)]
    return _page(call, "Budgets", budgets)


@handles("budgets", "DeleteBudget")
def delete(call: Call) -> dict[str, Any]:
    """Delete a budget, and with it its notifications and subscribers."""
    _check_account(call)
    name = _find(call.params["BudgetName"], "delete").name
    del _budgets[name]
    return {}


def _find(name: str, verb: str) -> Budget:
    if name not in _budgets:
        message = f"Unable to {verb} budget: {name} - the budget doesn't exist."
        if verb == "delete":
            message += " Try creating it first."
        raise AWSError("NotFoundException", message)
    return _budgets[name]


def _check_account(call: Call) -> None:
    asked = call.params["AccountId"]
    if asked != call.account:
        message = f"User: {call.account} is not authorized to access the budgets of account {asked}"
        raise AWSError("AccessDeniedException", message)


def _limit(message: str) -> AWSError:
    return AWSError("CreationLimitExceededException", message)


def _page(call: Call, name: str, items: list[Any]) -> dict[str, Any]:
    """A page of a list. The token is the number of the first item of the next one."""
    start = _token(call)
    size = int(call.params.get("MaxResults") or 100)
    answer: dict[str, Any] = {name: items[start : start + size]}
    if start + size < len(items):
        answer["NextToken"] = str(start + size)
    return answer


def _token(call: Call) -> int:
    token = call.params.get("NextToken") or "0"
    if not token.isdigit():
        raise AWSError("InvalidNextTokenException", f"The NextToken {token} is invalid.")
    return int(token)


# ── notifications ────────────────────────────────────────────────────────────────────────────────


@handles("budgets", "CreateNotification")
def create_notification(call: Call) -> dict[str, Any]:
    """Add a notification with at least one subscriber."""
    _check_account(call)
    params = call.params
    budget = _find(params["BudgetName"], "get")
    _add_notification(budget, params["Notification"], params["Subscribers"])
    return {}


@handles("budgets", "UpdateNotification")
def update_notification(call: Call) -> dict[str, Any]:
    """Replace a notification by another; its subscribers stay."""
    _check_account(call)
    params = call.params
    budget = _find(params["BudgetName"], "get")
    notification = _notification(budget, params["OldNotification"])
    _check_new(budget, params["NewNotification"])
    notification.content = _whole(params["NewNotification"])
    return {}


@handles("budgets", "DeleteNotification")
def delete_notification(call: Call) -> dict[str, Any]:
    """Remove a notification and its subscribers."""
    _check_account(call)
    budget = _find(call.params["BudgetName"], "get")
    budget.notifications.remove(_notification(budget, call.params["Notification"]))
    return {}


@handles("budgets", "DescribeNotificationsForBudget")
def describe_notifications(call: Call) -> dict[str, Any]:
    """The notifications of a budget. None of them is in ALARM, since nothing is spent."""
    _check_account(call)
    budget = _find(call.params["BudgetName"], "get")
    found = [item.content | {"NotificationState": "OK"} for item in budget.notifications]
    return _page(call, "Notifications", found)


@handles("budgets", "DescribeBudgetNotificationsForAccount")
def describe_notifications_of_account(call: Call) -> dict[str, Any]:
    """The notifications of all budgets that have some."""
    _check_account(call)
    found = [
        {"BudgetName": name, "Notifications": [item.content for item in budget.notifications]}
        for name, budget in sorted(_budgets.items())
        if budget.notifications
    ]
    return _page(call, "BudgetNotificationsForAccount", found)


def _add_notification(
    budget: Budget, content: dict[str, Any], subscribers: list[dict[str, str]]
) -> None:
    _check_new(budget, content)
    if len(budget.notifications) >= _MOST_NOTIFICATIONS:
        raise _limit(
            f"Unable to create notification: the budget {budget.name} has "
            f"{_MOST_NOTIFICATIONS} notifications."
        )
    notification = Notification(_whole(content), [])
    for subscriber in subscribers:
        _add_subscriber(notification, subscriber)
    budget.notifications.append(notification)


def _whole(content: dict[str, Any]) -> dict[str, Any]:
    """The notification as it is told from others: percent by default, and without a state."""
    whole = {"ThresholdType": "PERCENTAGE"} | content
    whole.pop("NotificationState", None)
    whole["Threshold"] = float(whole["Threshold"])
    return whole


def _check_new(budget: Budget, content: dict[str, Any]) -> None:
    if float(content["Threshold"]) <= 0:
        message = f"The threshold must be greater than 0, not {content['Threshold']}"
        raise AWSError("InvalidParameterException", message)
    if any(item.content == _whole(content) for item in budget.notifications):
        message = (
            "Unable to create notification - a notification with the same type, comparison, "
            "threshold and threshold type already exists."
        )
        raise AWSError("DuplicateRecordException", message)


def _notification(budget: Budget, content: dict[str, Any]) -> Notification:
    for item in budget.notifications:
        if item.content == _whole(content):
            return item
    message = f"Unable to get notification - the budget {budget.name} has no such notification."
    raise AWSError("NotFoundException", message)


# ── subscribers ──────────────────────────────────────────────────────────────────────────────────


@handles("budgets", "CreateSubscriber")
def create_subscriber(call: Call) -> dict[str, Any]:
    """Add somebody who is told."""
    _check_account(call)
    budget = _find(call.params["BudgetName"], "get")
    _add_subscriber(_notification(budget, call.params["Notification"]), call.params["Subscriber"])
    return {}


@handles("budgets", "UpdateSubscriber")
def update_subscriber(call: Call) -> dict[str, Any]:
    """Replace somebody who is told."""
    _check_account(call)
    params = call.params
    notification = _notification(_find(params["BudgetName"], "get"), params["Notification"])
    old = _subscriber(notification, params["OldSubscriber"])
    others = Notification(notification.content, [s for s in notification.subscribers if s != old])
    _add_subscriber(others, params["NewSubscriber"])
    notification.subscribers = others.subscribers
    return {}


@handles("budgets", "DeleteSubscriber")
def delete_subscriber(call: Call) -> dict[str, Any]:
    """Remove somebody who is told. With the last one the notification goes, too."""
    _check_account(call)
    budget = _find(call.params["BudgetName"], "get")
    notification = _notification(budget, call.params["Notification"])
    notification.subscribers.remove(_subscriber(notification, call.params["Subscriber"]))
    if not notification.subscribers:
        budget.notifications.remove(notification)
    return {}


@handles("budgets", "DescribeSubscribersForNotification")
def describe_subscribers(call: Call) -> dict[str, Any]:
    """Who is told."""
    _check_account(call)
    budget = _find(call.params["BudgetName"], "get")
    notification = _notification(budget, call.params["Notification"])
    return _page(call, "Subscribers", notification.subscribers)


def _subscriber(notification: Notification, wanted: dict[str, str]) -> dict[str, str]:
    if wanted not in notification.subscribers:
        message = f"Unable to get subscriber - {wanted['Address']} is not subscribed."
        raise AWSError("NotFoundException", message)
    return wanted


def _add_subscriber(notification: Notification, subscriber: dict[str, str]) -> None:
    address, kind = subscriber["Address"], subscriber["SubscriptionType"]
    if subscriber in notification.subscribers:
        message = f"Unable to create subscriber - {address} is already subscribed."
        raise AWSError("DuplicateRecordException", message)
    same = [item for item in notification.subscribers if item["SubscriptionType"] == kind]
    most = _MOST_EMAILS if kind == "EMAIL" else _MOST_TOPICS
    if len(same) >= most:
        raise _limit(f"A notification can have {most} subscribers of the type {kind}.")
    if kind == "EMAIL":
        if not _EMAIL.fullmatch(address):
            message = f"Email address: {address} is invalid. Please provide a valid email address."
            raise AWSError("InvalidParameterException", message)
    else:
        _check_topic(address)
    notification.subscribers.append(dict(subscriber))


def _check_topic(arn: str) -> None:
    """The topic must be there, and its policy must let AWS Budgets publish."""
    from moto.sns.models import sns_backends

    if not _TOPIC.fullmatch(arn):
        message = f"Invalid SNS topic: {arn}. Please comply with the ARN format of a topic."
        raise AWSError("InvalidParameterException", message)
    topic = sns_backends[account.ACCOUNT_ID][arn.split(":")[3]].topics.get(arn)
    budgets = f"arn:aws:budgets::{account.ACCOUNT_ID}:*"
    if topic is None or not lets_service(
        topic.policy, "budgets.amazonaws.com", "SNS:Publish", arn, budgets
    ):
        message = (
            f"Unable to publish to the SNS topic {arn}. Please check that it exists, and that its "
            "policy lets budgets.amazonaws.com perform SNS:Publish."
        )
        raise AWSError("InvalidParameterException", message)


# ── tags ─────────────────────────────────────────────────────────────────────────────────────────


@handles("budgets", "TagResource")
def tag(call: Call) -> dict[str, Any]:
    """Add tags to a budget, or change them."""
    _add_tags(_tagged(call.params["ResourceARN"]), call.params["ResourceTags"])
    return {}


@handles("budgets", "UntagResource")
def untag(call: Call) -> dict[str, Any]:
    """Remove tags from a budget."""
    budget = _tagged(call.params["ResourceARN"])
    for key in call.params["ResourceTagKeys"]:
        budget.tags.pop(key, None)
    return {}


@handles("budgets", "ListTagsForResource")
def list_tags(call: Call) -> dict[str, Any]:
    """The tags of a budget."""
    tags = _tagged(call.params["ResourceARN"]).tags
    return {"ResourceTags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def _tagged(arn: str) -> Budget:
    found = re.fullmatch(rf"arn:aws:budgets::{account.ACCOUNT_ID}:budget/(.+)", arn)
    if found is None or found[1] not in _budgets:
        raise AWSError("NotFoundException", f"The resource {arn} does not exist.")
    return _budgets[found[1]]


def _add_tags(budget: Budget, tags: list[dict[str, str]]) -> None:
    merged = budget.tags | {tag["Key"]: tag["Value"] for tag in tags}
    reserved = sorted(key for key in merged if key.lower().startswith("aws:"))
    if reserved:
        message = f"Tag keys that begin with aws: are reserved: {', '.join(reserved)}"
        raise AWSError("InvalidParameterException", message)
    if len(merged) > _MOST_TAGS:
        message = f"A budget can have {_MOST_TAGS} tags."
        raise AWSError("ServiceQuotaExceededException", message)
    budget.tags = merged
