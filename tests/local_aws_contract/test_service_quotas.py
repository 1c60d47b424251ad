"""Service Quotas as a client sees it: what an account may have, and asking for more."""

from __future__ import annotations

import re

import pytest
from botocore.exceptions import ClientError

TRAINING = {"ServiceCode": "sagemaker", "QuotaCode": "L-611FA074"}
ARN = "arn:aws:servicequotas:us-east-1:123456789012:sagemaker/L-611FA074"


def refused(code):
    return pytest.raises(ClientError, match=rf"\({code}\)")


@pytest.fixture
def quotas(aws):
    return aws.client("service-quotas")


def by_name(quotas, operation, service):
    pages = quotas.get_paginator(operation).paginate(ServiceCode=service)
    return {item["QuotaName"]: item["Value"] for page in pages for item in page["Quotas"]}


def test_services(quotas):
    services = quotas.list_services()["Services"]
    names = {item["ServiceCode"]: item["ServiceName"] for item in services}
    assert names["sagemaker"] == "Amazon SageMaker"
    assert {"athena", "firehose", "glue", "kinesis", "lambda", "s3"} <= names.keys()


def test_every_quota_of_every_service_can_be_asked_for(quotas):
    seen = set()
    for service in quotas.list_services()["Services"]:
        listed = quotas.list_aws_default_service_quotas(ServiceCode=service["ServiceCode"])
        for item in listed["Quotas"]:
            assert re.fullmatch(r"L-[0-9A-F]{8}", item["QuotaCode"])
            assert item["QuotaCode"] not in seen
            seen.add(item["QuotaCode"])
            which = {key: item[key] for key in ("ServiceCode", "QuotaCode")}
            assert quotas.get_aws_default_service_quota(**which)["Quota"] == item
            applied = quotas.get_service_quota(**which)["Quota"]
            assert applied["Value"] <= item["Value"]
    assert len(seen) > 25


def test_a_quota(quotas):
    assert quotas.get_service_quota(**TRAINING)["Quota"] == {
        "ServiceCode": "sagemaker",
        "ServiceName": "Amazon SageMaker",
        "QuotaArn": ARN,
        "QuotaCode": "L-611FA074",
        "QuotaName": "ml.m5.large for training job usage",
        "Value": 0.0,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
        "QuotaAppliedAtLevel": "ACCOUNT",
    }


def test_a_new_account_has_less_than_the_default(quotas):
    published = by_name(quotas, "list_aws_default_service_quotas", "sagemaker")
    applied = by_name(quotas, "list_service_quotas", "sagemaker")
    assert published.keys() == applied.keys()
    training = "ml.m5.large for training job usage"
    assert (published[training], applied[training]) == (30, 0)
    assert all(value == 0 for name, value in applied.items() if name.startswith("ml.g"))
    assert by_name(quotas, "list_service_quotas", "lambda") == {"Concurrent executions": 10}
    assert by_name(quotas, "list_service_quotas", "s3") == {"General purpose buckets": 10_000}


def test_pages(quotas):
    pages = quotas.get_paginator("list_service_quotas").paginate(
        ServiceCode="sagemaker", PaginationConfig={"PageSize": 10}
    )
    found = [item["QuotaCode"] for page in pages for item in page["Quotas"]]
    whole = quotas.list_service_quotas(ServiceCode="sagemaker", MaxResults=100)["Quotas"]
    assert found == [item["QuotaCode"] for item in whole]
    with refused("InvalidPaginationTokenException"):
        quotas.list_service_quotas(ServiceCode="sagemaker", NextToken="next")


@pytest.mark.parametrize(
    "which",
    [
        {"ServiceCode": "sagemaker", "QuotaCode": "L-00000000"},
        {"ServiceCode": "lambda", "QuotaCode": "L-611FA074"},
        {"ServiceCode": "nothing", "QuotaCode": "L-611FA074"},
    ],
)
def test_quotas_that_do_not_exist(quotas, which):
    for operation in ("get_service_quota", "get_aws_default_service_quota"):
        with refused("NoSuchResourceException"):
            getattr(quotas, operation)(**which)
    with refused("NoSuchResourceException"):
        quotas.request_service_quota_increase(**which, DesiredValue=1.0)


def test_asking_for_more(quotas):
    request = quotas.request_service_quota_increase(**TRAINING, DesiredValue=2.0)["RequestedQuota"]
    assert (request["Status"], request["DesiredValue"]) == ("PENDING", 2.0)
    assert (request["QuotaArn"], request["QuotaName"]) == (
        ARN,
        "ml.m5.large for training job usage",
    )
    found = quotas.get_requested_service_quota_change(RequestId=request["Id"])["RequestedQuota"]
    assert found == request
    # Asking is not having.
    assert quotas.get_service_quota(**TRAINING)["Quota"]["Value"] == 0
    with refused("ResourceAlreadyExistsException"):
        quotas.request_service_quota_increase(**TRAINING, DesiredValue=3.0)
    with refused("NoSuchResourceException"):
        quotas.get_requested_service_quota_change(RequestId="none")


def test_asking_for_what_one_has(quotas):
    with refused("IllegalArgumentException"):
        quotas.request_service_quota_increase(
            ServiceCode="s3", QuotaCode="L-DC2B2D3D", DesiredValue=10_000.0
        )


def test_history(aws, quotas):
    quotas.request_service_quota_increase(**TRAINING, DesiredValue=2.0)
    quotas.request_service_quota_increase(
        ServiceCode="lambda", QuotaCode="L-B99A9384", DesiredValue=1_000.0
    )

    def codes(operation="list_requested_service_quota_change_history", client=quotas, **filters):
        return [
            item["QuotaCode"] for item in getattr(client, operation)(**filters)["RequestedQuotas"]
        ]

    assert codes() == ["L-611FA074", "L-B99A9384"]
    assert codes(ServiceCode="lambda") == ["L-B99A9384"]
    assert codes(Status="APPROVED") == []
    by_quota = "list_requested_service_quota_change_history_by_quota"
    assert codes(by_quota, **TRAINING) == ["L-611FA074"]
    elsewhere = aws.client("service-quotas", region_name="eu-central-1")
    assert codes(client=elsewhere) == []


def test_what_is_not_carried_out_is_refused(quotas):
    with refused("NotImplemented"):
        quotas.list_service_quota_increase_requests_in_template()
