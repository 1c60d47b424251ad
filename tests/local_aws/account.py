"""The one account that the offline AWS holds: its state, its ids, its access keys.

Executors keep their state in dictionaries from `table()`. A reset empties all of them, and with
them the account, so that no executor needs a reset of its own unless it runs something.
"""

from __future__ import annotations

import os
import random
import secrets
import string
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

ACCOUNT_ID = os.environ.get("MOTO_ACCOUNT_ID", "123456789012")
EXECUTION_ROLE_NAME = "AmazonSageMaker-ExecutionRole-20260101T000000"
EXECUTION_ROLE_ARN = f"arn:aws:iam::{ACCOUNT_ID}:role/service-role/{EXECUTION_ROLE_NAME}"
NOTEBOOK = "notebook"

_SEED = 20260101
_tables: list[dict[Any, Any]] = []
_on_reset: list[Callable[[], None]] = []
_on_seed: list[Callable[[], None]] = []
_random = random.Random(_SEED)
_lock = threading.Lock()
_callers: dict[str, str] = {}


def table() -> dict[Any, Any]:
    """A dictionary that lives as long as the account: a reset empties it."""
    _tables.append({})
    return _tables[-1]


def on_reset(function: Callable[[], None]) -> Callable[[], None]:
    """Decorator: call `function` at a reset, before the state is emptied (to stop what runs)."""
    _on_reset.append(function)
    return function


def on_seed(function: Callable[[], None]) -> Callable[[], None]:
    """Decorator: call `function` whenever the account is new (to make what every account has)."""
    _on_seed.append(function)
    return function


def new_id() -> str:
    """An id in the form of a UUID; the sequence is the same for every fresh account."""
    with _lock:
        return str(uuid.UUID(int=_random.getrandbits(128), version=4))


def now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


def add_access_key(caller: str, key: str | None = None) -> str:
    """Make an access key that requests are accepted with; the journal shows them as `caller`."""
    if key is None:
        key = "ASIA" + "".join(secrets.choice(string.ascii_uppercase + "234567") for _ in range(16))
    _callers[key] = caller
    return key


def remove_access_key(key: str) -> None:
    """Refuse requests with this key from now on."""
    _callers.pop(key, None)


def caller_of(key: str) -> str | None:
    """Who was given this access key; None for a key that was not made here."""
    return _callers.get(key)


def seed() -> None:
    """Make what every new account has."""
    from moto.moto_api._internal import mock_random

    _random.seed(_SEED)
    mock_random.seed(_SEED)
    for function in _on_seed:
        function()


def reset() -> None:
    """Empty the account: stop what runs, forget what executors and moto know, seed it anew."""
    from moto.moto_api._internal.models import moto_api_backend

    for function in _on_reset:
        function()
    for state in _tables:
        state.clear()
    moto_api_backend.reset()
    seed()
