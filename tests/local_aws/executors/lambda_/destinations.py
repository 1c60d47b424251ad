"""Where the outcome of an asynchronous invocation goes: a queue, a topic or another function."""

from __future__ import annotations

import json
from typing import Any

from ... import account
from ...errors import AWSError


def send(arn: str, content: Any, attributes: dict[str, Any] | None = None) -> bool:
    """Send the content as JSON. Whether the target is there; one that is not is no error."""
    service, region, name = arn.split(":")[2], arn.split(":")[3], arn.rpartition(":")[2]
    body = json.dumps(content)
    if service == "sqs":
        from moto.sqs.models import sqs_backends

        queues = sqs_backends[account.ACCOUNT_ID][region]
        if name not in queues.queues:
            return False
        queues.send_message(name, body, message_attributes=attributes)
    elif service == "sns":
        from moto.sns.models import sns_backends

        topics = sns_backends[account.ACCOUNT_ID][region]
        if arn not in topics.topics:
            return False
        topics.publish(message=body, arn=arn)
    elif service == "lambda":
        from . import find
        from .later import invoke_later

        try:
            invoke_later(find(region, arn), content)
        except AWSError:
            return False
    return True
