"""AWS Budgets as a client sees it: budgets, who hears of them, what is refused."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from tests.local_aws import inventory

ACCOUNT = "123456789012"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:spending"
ARN = f"arn:aws:budgets::{ACCOUNT}:budget/monthly"
BUDGET = {
    "BudgetName": "monthly",
    "BudgetType": "COST",
    "TimeUnit": "MONTHLY",
    "BudgetLimit": {"Amount": "20", "Unit": "USD"},
}
AT_80 = {
    "NotificationType": "ACTUAL",
    "ComparisonOperator": "GREATER_THAN",
    "Threshold": 80.0,
    "ThresholdType": "PERCENTAGE",
}
EMAIL = {"SubscriptionType": "EMAIL", "Address": "reader@example.com"}
MESSAGE = {"SubscriptionType": "SNS", "Address": TOPIC}


def refused(code):
    return pytest.raises(ClientError, match=rf"\({code}\)")


@pytest.fixture
def budgets(aws):
    return aws.client("budgets")


def create(budgets, *subscribers, notification=AT_80, tags=None, **changes):
    content = {key: value for key, value in (BUDGET | changes).items() if value is not None}
    more = {}
    if subscribers:
        listed = [{"Notification": notification, "Subscribers": list(subscribers)}]
        more["NotificationsWithSubscribers"] = listed
    if tags:
        more["ResourceTags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
    budgets.create_budget(AccountId=ACCOUNT, Budget=content, **more)


def named(name="monthly"):
    return {"AccountId": ACCOUNT, "BudgetName": name}


def notifications(budgets):
    return budgets.describe_notifications_for_budget(**named())["Notifications"]


def subscribers(budgets, notification=AT_80):
    answer = budgets.describe_subscribers_for_notification(**named(), Notification=notification)
    return answer["Subscribers"]


def topic(aws, *, is_open=True):
    sns = aws.client("sns")
    sns.create_topic(Name="spending")
    if is_open:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "budgets.amazonaws.com"},
            "Action": "SNS:Publish",
            "Resource": TOPIC,
            "Condition": {
                "StringEquals": {"aws:SourceAccount": ACCOUNT},
                "ArnLike": {"aws:SourceArn": f"arn:aws:budgets::{ACCOUNT}:*"},
            },
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        sns.set_topic_attributes(TopicArn=TOPIC, AttributeName="Policy", AttributeValue=policy)


# ── budgets ──────────────────────────────────────────────────────────────────────────────────────


def test_a_budget_of_which_nothing_is_spent(budgets):
    create(budgets)
    found = budgets.describe_budget(**named())["Budget"]
    assert found["BudgetLimit"] == {"Amount": "20", "Unit": "USD"}
    assert found["CalculatedSpend"]["ActualSpend"] == {"Amount": "0.0", "Unit": "USD"}
    assert "ForecastedSpend" not in found["CalculatedSpend"]
    assert found["CostTypes"]["IncludeTax"] is True
    start, end = found["TimePeriod"]["Start"], found["TimePeriod"]["End"]
    assert (start.day, start.hour, end.year) == (1, 0, 2087)


def test_changing_a_budget_keeps_its_notifications(budgets):
    create(budgets, EMAIL)
    before = budgets.describe_budget(**named())["Budget"]["TimePeriod"]
    limit = {"Amount": "50", "Unit": "USD"}
    budgets.update_budget(AccountId=ACCOUNT, NewBudget=BUDGET | {"BudgetLimit": limit})
    found = budgets.describe_budget(**named())["Budget"]
    assert (found["BudgetLimit"], found["TimePeriod"]) == (limit, before)
    assert subscribers(budgets) == [EMAIL]


def test_list_and_pages(budgets):
    for number in range(5):
        create(budgets, BudgetName=f"budget-{number}")
    pages = budgets.get_paginator("describe_budgets").paginate(
        AccountId=ACCOUNT, PaginationConfig={"PageSize": 2}
    )
    names = [[item["BudgetName"] for item in page["Budgets"]] for page in pages]
    assert names == [["budget-0", "budget-1"], ["budget-2", "budget-3"], ["budget-4"]]


def test_deleting_a_budget(budgets):
    create(budgets, EMAIL)
    budgets.delete_budget(**named())
    for operation in ("describe_budget", "delete_budget", "describe_notifications_for_budget"):
        with refused("NotFoundException"):
            getattr(budgets, operation)(**named())
    create(budgets)
    assert notifications(budgets) == []


def test_a_name_is_used_once(budgets):
    create(budgets)
    with refused("DuplicateRecordException"):
        create(budgets)


@pytest.mark.parametrize(
    "changes",
    [
        {"BudgetLimit": None},
        {"BudgetLimit": {"Amount": "0", "Unit": "USD"}},
        {"BudgetLimit": {"Amount": "20", "Unit": "dollars"}},
        {"TimePeriod": {"Start": 1_800_000_000, "End": 1_700_000_000}},
        {"AutoAdjustData": {"AutoAdjustType": "FORECAST"}},
        {"TimeUnit": "WEEKLY"},
        {"BudgetName": "a:b"},
    ],
)
def test_budgets_that_are_refused(budgets, changes):
    with pytest.raises(ClientError):
        create(budgets, **changes)
    assert budgets.describe_budgets(AccountId=ACCOUNT)["Budgets"] == []


def test_what_cannot_be_changed(budgets):
    with refused("NotFoundException"):
        budgets.update_budget(AccountId=ACCOUNT, NewBudget=BUDGET)
    create(budgets)
    usage = {"BudgetType": "USAGE", "BudgetLimit": {"Amount": "5", "Unit": "GB"}}
    with refused("InvalidParameterException"):
        budgets.update_budget(AccountId=ACCOUNT, NewBudget=BUDGET | usage)


def test_another_account(budgets):
    with refused("AccessDeniedException"):
        budgets.describe_budgets(AccountId="210987654321")


def test_a_budget_is_the_same_in_all_regions(aws, budgets):
    create(budgets)
    there = aws.client("budgets", region_name="eu-central-1")
    assert there.describe_budget(**named())["Budget"]["BudgetName"] == "monthly"


# ── who hears of it ──────────────────────────────────────────────────────────────────────────────


def test_topic_and_email(aws, budgets):
    topic(aws)
    create(budgets, MESSAGE, EMAIL)
    assert notifications(budgets) == [AT_80 | {"NotificationState": "OK"}]
    assert subscribers(budgets) == [MESSAGE, EMAIL]
    answer = budgets.describe_budget_notifications_for_account(AccountId=ACCOUNT)
    (found,) = answer["BudgetNotificationsForAccount"]
    assert (found["BudgetName"], found["Notifications"]) == ("monthly", [AT_80])


@pytest.mark.parametrize("is_open", [True, False])
def test_a_topic_must_let_budgets_publish(aws, budgets, is_open):
    with refused("InvalidParameterException"):
        create(budgets, MESSAGE)  # there is no topic yet
    topic(aws, is_open=is_open)
    if is_open:
        create(budgets, MESSAGE)
        return
    with pytest.raises(ClientError, match=r"budgets\.amazonaws\.com"):
        create(budgets, MESSAGE)
    # What is refused in part is not made at all.
    assert budgets.describe_budgets(AccountId=ACCOUNT)["Budgets"] == []


@pytest.mark.parametrize(
    "subscriber",
    [
        {"SubscriptionType": "EMAIL", "Address": "reader"},
        {"SubscriptionType": "EMAIL", "Address": "reader@example"},
        {"SubscriptionType": "SNS", "Address": "spending"},
    ],
)
def test_addresses_that_are_refused(budgets, subscriber):
    with refused("InvalidParameterException"):
        create(budgets, subscriber)


def test_adding_and_removing_notifications(budgets):
    create(budgets, EMAIL)
    forecast = AT_80 | {"NotificationType": "FORECASTED", "Threshold": 100.0}
    budgets.create_notification(**named(), Notification=forecast, Subscribers=[EMAIL])
    assert [item["NotificationType"] for item in notifications(budgets)] == ["ACTUAL", "FORECASTED"]
    with refused("DuplicateRecordException"):
        budgets.create_notification(**named(), Notification=forecast, Subscribers=[EMAIL])
    later = AT_80 | {"Threshold": 90.0}
    budgets.update_notification(**named(), OldNotification=AT_80, NewNotification=later)
    assert subscribers(budgets, later) == [EMAIL]
    budgets.delete_notification(**named(), Notification=later)
    with refused("NotFoundException"):
        budgets.delete_notification(**named(), Notification=later)
    assert len(notifications(budgets)) == 1


def test_percent_is_what_a_threshold_is_by_default(budgets):
    plain = {key: value for key, value in AT_80.items() if key != "ThresholdType"}
    create(budgets, EMAIL, notification=plain)
    assert subscribers(budgets, AT_80) == [EMAIL]


def test_adding_and_removing_subscribers(budgets):
    create(budgets, EMAIL)
    other = {"SubscriptionType": "EMAIL", "Address": "other@example.com"}
    which = {**named(), "Notification": AT_80}
    budgets.create_subscriber(**which, Subscriber=other)
    with refused("DuplicateRecordException"):
        budgets.create_subscriber(**which, Subscriber=other)
    third = {"SubscriptionType": "EMAIL", "Address": "third@example.com"}
    budgets.update_subscriber(**which, OldSubscriber=other, NewSubscriber=third)
    assert subscribers(budgets) == [EMAIL, third]
    with refused("NotFoundException"):
        budgets.delete_subscriber(**which, Subscriber=other)
    for subscriber in (third, EMAIL):
        budgets.delete_subscriber(**which, Subscriber=subscriber)
    assert notifications(budgets) == []  # nobody is left to hear of it


def test_limits_of_a_budget(aws, budgets):
    create(budgets)
    emails = [{"SubscriptionType": "EMAIL", "Address": f"r{n}@example.com"} for n in range(11)]
    with refused("CreationLimitExceededException"):
        budgets.create_notification(**named(), Notification=AT_80, Subscribers=emails)
    for threshold in range(1, 11):
        content = AT_80 | {"Threshold": float(threshold)}
        budgets.create_notification(**named(), Notification=content, Subscribers=[EMAIL])
    with refused("CreationLimitExceededException"):
        budgets.create_notification(**named(), Notification=AT_80, Subscribers=[EMAIL])


# ── tags and traces ──────────────────────────────────────────────────────────────────────────────


def test_tags(budgets):
    create(budgets, tags={"book": "ml"})
    budgets.tag_resource(ResourceARN=ARN, ResourceTags=[{"Key": "chapter", "Value": "1"}])
    budgets.untag_resource(ResourceARN=ARN, ResourceTagKeys=["book"])
    found = budgets.list_tags_for_resource(ResourceARN=ARN)["ResourceTags"]
    assert found == [{"Key": "chapter", "Value": "1"}]
    with refused("NotFoundException"):
        budgets.list_tags_for_resource(ResourceARN=f"{ARN}-2")


@pytest.mark.parametrize("operation", ["DescribeBudgetPerformanceHistory", "CreateBudgetAction"])
def test_what_is_not_carried_out_is_refused(budgets, operation):
    calls = {
        "DescribeBudgetPerformanceHistory": lambda: budgets.describe_budget_performance_history(
            **named()
        ),
        "CreateBudgetAction": lambda: budgets.describe_budget_actions_for_budget(**named()),
    }
    create(budgets)
    with refused("NotImplemented"):
        calls[operation]()


def test_a_budget_that_is_left_behind_is_seen(aws, budgets):
    create(budgets)
    found = inventory.take(aws.client, ["budgets"])
    assert found == {"budgets describe_budgets": ["monthly"]}
