"""Amazon CloudWatch: moto keeps the data, here statistics are computed and alarms evaluated.

An alarm is evaluated when it is put, when its metric gets data, and when someone looks at it. On
AWS a period begins at a full minute and is evaluated when it has ended. Here the newest period
ends at the moment of the evaluation, so that nobody waits for it, and so that it makes no
difference whether a minute ends between two data.
"""

from __future__ import annotations

from typing import NoReturn

from ... import triggers
from ...errors import not_implemented
from ...gateway import Call, handles
from . import alarms, data

__all__ = ["alarms", "data"]

# What these services measure is counted from now on, if it has not been before.
triggers.install("sqs", "sns", "kinesis", "logs")


@handles("cloudwatch", "PutInsightRule", "EnableInsightRules")
def refuse(call: Call) -> NoReturn:
    """moto would keep such a rule, and nothing would look at the logs for it."""
    raise not_implemented(call.service, call.operation)
