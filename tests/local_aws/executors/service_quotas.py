"""Service Quotas: the quotas that a reader of this book meets, as a new account has them.

moto knows the quotas of Amazon VPC only, which the book does not use.
https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_Operations.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .. import account
from ..errors import AWSError
from ..gateway import Call, handles

_SERVICES = {
    "athena": "Amazon Athena",
    "firehose": "Amazon Data Firehose",
    "glue": "AWS Glue",
    "kinesis": "Amazon Kinesis Data Streams",
    "lambda": "AWS Lambda",
    "s3": "Amazon Simple Storage Service (Amazon S3)",
    "sagemaker": "Amazon SageMaker",
}


@dataclass(frozen=True)
class Quota:
    """A quota.

    Attributes:
        default: the value that AWS publishes for all accounts of us-east-1.
        new: the value of a new account; None where it is the default.
    """

    service: str
    code: str
    name: str
    default: float
    new: float | None = None
    is_global: bool = False

    @property
    def applied(self) -> float:
        """The value that a new account has."""
        return self.default if self.new is None else self.new


def _sagemaker(name: str, code: str, default: float, new: float) -> Quota:
    return Quota("sagemaker", code, name, default, new)


# Codes and defaults as ListAWSDefaultServiceQuotas gives them, which AWS also publishes as the
# tables "… endpoints and quotas" of the AWS General Reference. Taken on 2026-11-23 from copies of
# that list in public repositories, some of 2024, not from the pages themselves; what a new account
# has is a typical pattern that readers report, and no number of AWS's:
# https://docs.aws.amazon.com/general/latest/gr/sagemaker.html
# https://docs.aws.amazon.com/general/latest/gr/lambda-service.html
# https://docs.aws.amazon.com/general/latest/gr/s3.html
# https://docs.aws.amazon.com/general/latest/gr/ak.html
# https://docs.aws.amazon.com/general/latest/gr/glue.html
# https://docs.aws.amazon.com/general/latest/gr/athena.html
# https://docs.aws.amazon.com/general/latest/gr/fh.html
#
# A new account has less than that. Which value it starts with differs from account to account;
# those of SageMaker below are what new accounts typically report: nothing of what has a GPU, no
# training on m5, a few instances elsewhere. Lambda starts at 10 concurrent executions:
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_QUOTAS = (
    Quota("athena", "L-FC5F6546", "Active DML queries", 200),
    Quota("athena", "L-3CE0BBA0", "Active DDL queries", 20),
    Quota("firehose", "L-14BB0BE7", "Delivery streams", 5_000),
    Quota("glue", "L-5E4153CA", "Max concurrent job runs per account", 2_000),
    Quota("kinesis", "L-0918CF54", "Shards per Region", 20_000),
    Quota("lambda", "L-B99A9384", "Concurrent executions", 1_000, 10),
    Quota("s3", "L-DC2B2D3D", "General purpose buckets", 10_000, is_global=True),
    _sagemaker("Number of instances across all training jobs", "L-00C91CB5", 30, 4),
    _sagemaker("Number of instances across all processing jobs", "L-F311B08F", 75, 4),
    _sagemaker("Number of instances across all transform jobs", "L-60D2A6F0", 20, 4),
    _sagemaker("Number of instances across active endpoints", "L-7A3DF611", 200, 4),
    _sagemaker("Total number of notebook instances", "L-04CE2E67", 30, 2),
    _sagemaker("ml.m5.large for training job usage", "L-611FA074", 30, 0),
    _sagemaker("ml.m5.xlarge for training job usage", "L-CCE2AFA6", 30, 0),
    _sagemaker("ml.g4dn.xlarge for training job usage", "L-3F53BF0F", 1, 0),
    _sagemaker("ml.g5.xlarge for training job usage", "L-B6D80D9C", 1, 0),
    # The only default here that was not seen: taken to be that of the next size.
    _sagemaker("ml.m5.large for processing job usage", "L-8541302D", 16, 0),
    _sagemaker("ml.m5.xlarge for processing job usage", "L-0307F515", 16, 1),
    _sagemaker("ml.g4dn.xlarge for processing job usage", "L-2F1EB012", 0, 0),
    _sagemaker("ml.m5.large for transform job usage", "L-236AE59F", 16, 0),
    _sagemaker("ml.m5.xlarge for transform job usage", "L-7939E4EC", 8, 0),
    _sagemaker("ml.g4dn.xlarge for transform job usage", "L-4C5C5CA8", 1, 0),
    _sagemaker("ml.m5.large for endpoint usage", "L-614B09FD", 16, 4),
    _sagemaker("ml.m5.xlarge for endpoint usage", "L-2F737F8D", 16, 0),
    _sagemaker("ml.g4dn.xlarge for endpoint usage", "L-B67CFA0C", 4, 0),
    _sagemaker("ml.g5.xlarge for endpoint usage", "L-1928E07B", 4, 0),
    _sagemaker("ml.m5.xlarge for notebook instance usage", "L-76AB2C05", 11, 1),
    _sagemaker("ml.g5.xlarge for notebook instance usage", "L-E8917BB7", 5, 0),
)

# A request that AWS has not decided about; nobody decides here.
_OPEN = ("PENDING", "CASE_OPENED")
# id of the request -> the request, in the order they were made
_requests: dict[str, dict[str, Any]] = account.table()


# ── quotas ───────────────────────────────────────────────────────────────────────────────────────


@handles("service-quotas", "ListServices")
def list_services(call: Call) -> dict[str, Any]:
    """The services whose quotas are known here."""
    services = [{"ServiceCode": code, "ServiceName": name} for code, name in _SERVICES.items()]
    return _page(call, "Services", services)


@handles("service-quotas", "ListServiceQuotas")
def list_quotas(call: Call) -> dict[str, Any]:
    """The quotas of a service with the values of this account."""
    found = _of_service(call.params["ServiceCode"])
    code = call.params.get("QuotaCode")
    if code:
        found = [_find(call.params["ServiceCode"], code)]
    return _page(call, "Quotas", [_applied(call, quota) for quota in found])


@handles("service-quotas", "ListAWSDefaultServiceQuotas")
def list_defaults(call: Call) -> dict[str, Any]:
    """The quotas of a service with the values that AWS publishes for all accounts."""
    found = _of_service(call.params["ServiceCode"])
    return _page(call, "Quotas", [_described(call, quota, quota.default) for quota in found])


@handles("service-quotas", "GetServiceQuota")
def get_quota(call: Call) -> dict[str, Any]:
    """One quota with the value of this account."""
    quota = _find(call.params["ServiceCode"], call.params["QuotaCode"])
    return {"Quota": _applied(call, quota)}


@handles("service-quotas", "GetAWSDefaultServiceQuota")
def get_default(call: Call) -> dict[str, Any]:
    """One quota with the value that AWS publishes for all accounts."""
    quota = _find(call.params["ServiceCode"], call.params["QuotaCode"])
    return {"Quota": _described(call, quota, quota.default)}


def _of_service(code: str) -> list[Quota]:
    if code not in _SERVICES:
        message = (
            "The request failed because the specified service does not exist, or its quotas are "
            f"not known to the offline AWS: {code}. It knows {', '.join(_SERVICES)}."
        )
        raise AWSError("NoSuchResourceException", message)
    return [quota for quota in _QUOTAS if quota.service == code]


def _find(service: str, code: str) -> Quota:
    for quota in _of_service(service):
        if quota.code == code:
            return quota
    message = (
        f"The request failed because the specified service quota does not exist: {service} {code}"
    )
    raise AWSError("NoSuchResourceException", message)


def _arn(call: Call, quota: Quota, owner: str) -> str:
    region = "" if quota.is_global else call.region
    return f"arn:aws:servicequotas:{region}:{owner}:{quota.service}/{quota.code}"


def _described(call: Call, quota: Quota, value: float, owner: str = "") -> dict[str, Any]:
    """A quota with a value; the default belongs to no account."""
    return {
        "ServiceCode": quota.service,
        "ServiceName": _SERVICES[quota.service],
        "QuotaArn": _arn(call, quota, owner),
        "QuotaCode": quota.code,
        "QuotaName": quota.name,
        "Value": float(value),
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": quota.is_global,
        "QuotaAppliedAtLevel": "ACCOUNT",
    }


def _applied(call: Call, quota: Quota) -> dict[str, Any]:
    return _described(call, quota, quota.applied, call.account)


def _page(call: Call, name: str, items: list[Any]) -> dict[str, Any]:
    """A page of a list. The token is the number of the first item of the next one."""
    token = call.params.get("NextToken") or "0"
    if not token.isdigit():
        raise AWSError("InvalidPaginationTokenException", "Invalid pagination token provided.")
    start, size = int(token), int(call.params.get("MaxResults") or 100)
    answer: dict[str, Any] = {name: items[start : start + size]}
    if start + size < len(items):
        answer["NextToken"] = str(start + size)
    return answer


# ── requests ─────────────────────────────────────────────────────────────────────────────────────


@handles("service-quotas", "RequestServiceQuotaIncrease")
def request_increase(call: Call) -> dict[str, Any]:
    """Ask for more. The request stays open: nobody at AWS reads it."""
    params = call.params
    quota = _find(params["ServiceCode"], params["QuotaCode"])
    wanted = float(params["DesiredValue"])
    if wanted <= quota.applied:
        message = (
            "You must provide a quota value greater than the current quota value: "
            f"{wanted:g} is not greater than {quota.applied:g}."
        )
        raise AWSError("IllegalArgumentException", message)
    arn = _arn(call, quota, call.account)
    for known in _requests.values():
        if known["QuotaArn"] == arn and known["Status"] in _OPEN:
            message = (
                "Only one open service quota increase request is allowed per quota: "
                f"{quota.name} has the request {known['Id']}."
            )
            raise AWSError("ResourceAlreadyExistsException", message)
    now = account.now()
    request = {
        "Id": account.new_id().replace("-", "") + account.new_id()[:8],
        "ServiceCode": quota.service,
        "ServiceName": _SERVICES[quota.service],
        "QuotaCode": quota.code,
        "QuotaName": quota.name,
        "DesiredValue": wanted,
        "Status": "PENDING",
        "Created": now,
        "LastUpdated": now,
        "Requester": f'{{"accountId":"{call.account}","callerArn":"{_caller(call)}"}}',
        "QuotaArn": arn,
        "GlobalQuota": quota.is_global,
        "Unit": "None",
        "QuotaRequestedAtLevel": "ACCOUNT",
    }
    _requests[request["Id"]] = request
    return {"RequestedQuota": request}


def _caller(call: Call) -> str:
    from ..s3_events import session

    return session(call.environ).arn


@handles("service-quotas", "GetRequestedServiceQuotaChange")
def get_request(call: Call) -> dict[str, Any]:
    """One request."""
    request = _requests.get(call.params["RequestId"])
    if request is None:
        message = f"The request {call.params['RequestId']} does not exist."
        raise AWSError("NoSuchResourceException", message)
    return {"RequestedQuota": request}


@handles(
    "service-quotas",
    "ListRequestedServiceQuotaChangeHistory",
    "ListRequestedServiceQuotaChangeHistoryByQuota",
)
def list_requests(call: Call) -> dict[str, Any]:
    """The requests of this region, of one service, of one quota or of one status."""
    params = call.params
    if params.get("QuotaCode"):
        _find(params["ServiceCode"], params["QuotaCode"])
    elif params.get("ServiceCode"):
        _of_service(params["ServiceCode"])
    found = [
        request
        for request in _requests.values()
        if request["QuotaArn"].split(":")[3] in ("", call.region)
        and params.get("ServiceCode") in (None, request["ServiceCode"])
        and params.get("QuotaCode") in (None, request["QuotaCode"])
        and params.get("Status") in (None, request["Status"])
    ]
    return _page(call, "RequestedQuotas", found)
