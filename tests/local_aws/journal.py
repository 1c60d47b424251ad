"""The record of every call: what was asked, of which service, by whom, and how it went.

From it the checks learn which IAM actions a chapter needs and which requests were refused.
"""

from __future__ import annotations

import threading
import time
from typing import Any

_entries: list[dict[str, Any]] = []
_lock = threading.Lock()
_LONGEST_VALUE = 2_000


def note(
    service: str,
    operation: str,
    params: dict[str, Any],
    region: str,
    caller: str,
    *,
    status: int = 200,
    error: str | None = None,
    milliseconds: float = 0.0,
) -> None:
    """Record one call.

    Executors use this for what AWS does on the caller's behalf without a request of its own, such
    as Athena reading objects with the rights of whoever started the query.
    """
    entry = {
        "service": service,
        "operation": operation,
        "params": _brief(params),
        "region": region,
        "caller": caller,
        "status": status,
        "error": error,
        "time": time.time(),
        "milliseconds": round(milliseconds, 2),
    }
    with _lock:
        _entries.append(entry)


def entries() -> list[dict[str, Any]]:
    """All calls since the account was made, oldest first; values that JSON can hold."""
    with _lock:
        return list(_entries)


def clear() -> None:
    """Forget all calls."""
    with _lock:
        _entries.clear()


def _brief(value: Any) -> Any:
    """The value without payloads: bytes become their length, long texts are cut."""
    if isinstance(value, dict):
        return {str(key): _brief(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_brief(item) for item in value[:100]]
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_VALUE else value[:_LONGEST_VALUE] + "…"
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)
