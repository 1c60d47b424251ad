"""What all SageMaker operations share: ARNs, listings, tags at creation, answers without holes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from ... import account, identity
from ...gateway import AWSError, Call

# ARN -> its tags, in the order they were set.
TAGS = account.table()

_LARGEST_PAGE = 100
_USUAL_PAGE = 10


def arn(call: Call, kind: str, name: str) -> str:
    """The ARN of a resource of the caller's region."""
    return f"arn:aws:sagemaker:{call.region}:{call.account}:{kind}/{name}"


def set_tags(resource: str, tags: Iterable[dict[str, str]] | None) -> None:
    """Remember the tags that a resource is created with."""
    TAGS[resource] = {tag["Key"]: tag["Value"] for tag in tags or ()}


def require_role(role_arn: str) -> None:
    """Refuse a role that is not there or that SageMaker may not assume."""
    if identity.trusts(role_arn, "sagemaker.amazonaws.com"):
        return
    raise AWSError(
        "ValidationException",
        f"Could not assume role {role_arn}. Please ensure that the role exists and allows "
        "principal 'sagemaker.amazonaws.com' to assume the role.",
    )


def without_empty(value: Any) -> Any:
    """The answer without empty structures, lists, strings and nulls, at any depth.

    SageMaker leaves out what is not set. The SDK's classes rely on it: an empty `VpcConfig` has
    none of the members that they require.
    """
    if isinstance(value, dict):
        kept = {name: without_empty(item) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item not in (None, {}, [], "")}
    if isinstance(value, list):
        return [without_empty(item) for item in value]
    return value


def page(
    call: Call,
    key: str,
    items: Iterable[dict[str, Any]],
    *,
    name: str,
    status: str | None = None,
    usual_sort: str = "CreationTime",
    usual_order: str = "Descending",
) -> dict[str, Any]:
    """Answer a List operation: filter, sort and cut into pages, as all of SageMaker's do.

    Args:
        key: the member of the answer that holds the items.
        items: summaries with the members that may be asked for.
        name: the member that is the item's name; `status`: the one that is its status.
        usual_sort, usual_order: what the operation sorts by if the caller does not say.
    """
    params = call.params
    kept = [item for item in items if _is_wanted(item, params, name, status)]
    by = params.get("SortBy", usual_sort)
    members = {"Name": name, "Status": status or name, "CreationTime": "CreationTime"}
    member = members.get(by, by)
    descending = params.get("SortOrder", usual_order) == "Descending"
    kept.sort(key=lambda item: item[name])
    kept.sort(key=lambda item: item.get(member) or "", reverse=descending)
    start = _read_token(params.get("NextToken"))
    size = min(int(params.get("MaxResults", _USUAL_PAGE)), _LARGEST_PAGE)
    answer: dict[str, Any] = {key: [without_empty(item) for item in kept[start : start + size]]}
    if start + size < len(kept):
        answer["NextToken"] = base64.b64encode(json.dumps(start + size).encode()).decode()
    return answer


def _is_wanted(item: dict[str, Any], params: dict[str, Any], name: str, status: str | None) -> bool:
    if params.get("NameContains", "").lower() not in item[name].lower():
        return False
    if status and params.get("StatusEquals") and item[status] != params["StatusEquals"]:
        return False
    for member in ("CreationTime", "LastModifiedTime"):
        value = item.get(member)
        after, before = params.get(f"{member}After"), params.get(f"{member}Before")
        if value and after and value <= _as_time(after):
            return False
        if value and before and value >= _as_time(before):
            return False
    return True


def _as_time(value: Any) -> datetime:
    """A time in a request: moto's parser leaves epoch seconds as a number."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime.fromtimestamp(float(value), UTC)


def _read_token(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(json.loads(base64.b64decode(token)))
    except ValueError:
        raise AWSError(
            "ValidationException", f"The NextToken '{token}' is not one that was given out."
        ) from None


def only_here(what: str) -> AWSError:
    """The refusal of something that AWS does and the offline AWS does not."""
    return AWSError("NotImplemented", f"The offline AWS does not carry out {what}.", status=501)
