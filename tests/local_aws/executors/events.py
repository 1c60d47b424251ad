"""EventBridge: moto matches the events, the targets that moto lacks are in `event_sources`."""

from __future__ import annotations

from .. import triggers

triggers.install("events")
