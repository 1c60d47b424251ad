"""Tags of the resources that this package keeps; moto keeps those of its own."""

from __future__ import annotations

from typing import Any

from ...gateway import Call, handles
from .common import TAGS


@handles("sagemaker", "AddTags")
def add(call: Call) -> Any:
    """Add tags, or change the values of those that are there. Answers with all tags given."""
    tags = TAGS.get(call.params["ResourceArn"])
    if tags is None:
        return call.relay()
    for tag in call.params["Tags"]:
        tags[tag["Key"]] = tag["Value"]
    return {"Tags": call.params["Tags"]}


@handles("sagemaker", "ListTags")
def list_(call: Call) -> Any:
    """All tags, on one page: there are at most fifty."""
    tags = TAGS.get(call.params["ResourceArn"])
    if tags is None:
        return call.relay()
    return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


@handles("sagemaker", "DeleteTags")
def delete(call: Call) -> Any:
    """Remove tags by their keys; keys that are not there are no error."""
    tags = TAGS.get(call.params["ResourceArn"])
    if tags is None:
        return call.relay()
    for key in call.params["TagKeys"]:
        tags.pop(key, None)
    return {}
