"""The default event bus, for events of the services themselves."""

from __future__ import annotations

import importlib
from typing import Any

from . import account


def emit(
    region: str, source: str, detail_type: str, resources: list[str], detail: dict[str, Any]
) -> None:
    """Send an event of a service to the rules of the default bus.

    Args:
        source: such as `aws.cloudwatch`.
        detail_type: such as `CloudWatch Alarm State Change`.
        resources: ARNs of what the event is about.
    """
    from moto.events.models import events_backends

    # Rules deliver once the executor for EventBridge is in place.
    importlib.import_module(f"{__package__}.executors.events")
    event = {
        "version": "0",
        "id": account.new_id(),
        "detail-type": detail_type,
        "source": source,
        "account": account.ACCOUNT_ID,
        "time": account.now().timestamp(),
        "region": region,
        "resources": resources,
        "detail": detail,
    }
    backend = events_backends[account.ACCOUNT_ID][region]
    for rule in list(backend.event_buses["default"].rules.values()):
        rule.send_to_targets(event)
