"""The online store of a feature group: of each record the latest, until it expires.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_feature_store_PutRecord.html
https://docs.aws.amazon.com/sagemaker/latest/dg/feature-store-time-to-live.html
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from .feature_values import Record, Value


@dataclass
class Entry:
    """What is kept of a record identifier; `values` are empty after a soft delete."""

    event_time: datetime
    values: dict[str, Value]
    expires_at: datetime | None = None

    @property
    def is_deleted(self) -> bool:
        """Whether only the mark of a soft delete is left."""
        return not self.values


def expiry(event_time: datetime, ttl: timedelta | None) -> datetime | None:
    """`ExpiresAt = EventTime + TtlDuration`; None for a record that stays, or outlives the year
    9999.
    """
    if ttl is None:
        return None
    try:
        return event_time + ttl
    except OverflowError:
        return None


class OnlineStore:
    """Record identifier -> entry. Whoever uses it holds the lock of the feature group."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    def put(self, record: Record, ttl: timedelta | None) -> bool:
        """Keep the record if its event time is greater than that of what is there."""
        found = self._entries.get(record.identifier)
        if found and record.event_time <= found.event_time:
            return False
        expires_at = expiry(record.event_time, ttl)
        self._entries[record.identifier] = Entry(record.event_time, record.values, expires_at)
        return True

    def replace(self, identifier: str, entry: Entry) -> None:
        """Keep this entry, whatever is there."""
        self._entries[identifier] = entry

    def get(self, identifier: str) -> Entry | None:
        """The record; None if there is none or it has been deleted."""
        found = self._entries.get(identifier)
        return None if found is None or found.is_deleted else found

    def delete(self, identifier: str, event_time: datetime, *, hard: bool) -> bool:
        """Remove the record, or leave the mark of its deletion. Whether it was older than that."""
        found = self._entries.get(identifier)
        if found and event_time <= found.event_time:
            return False
        if hard:
            self._entries.pop(identifier, None)
        else:
            self._entries[identifier] = Entry(event_time, {})
        return True

    def expire(self, now: datetime) -> list[tuple[str, datetime]]:
        """Remove what has expired: identifiers, and since when."""
        over = [
            (identifier, entry.expires_at)
            for identifier, entry in self._entries.items()
            if entry.expires_at is not None and entry.expires_at <= now
        ]
        for identifier, _ in over:
            del self._entries[identifier]
        return over

    def next_expiry(self) -> datetime | None:
        """When the next record expires; None if none will."""
        moments = [e.expires_at for e in self._entries.values() if e.expires_at is not None]
        return min(moments, default=None)

    def identifiers(self, *, with_deleted: bool) -> list[str]:
        """The identifiers of all records, in their order as text."""
        return sorted(i for i, e in self._entries.items() if with_deleted or not e.is_deleted)

    def size(self) -> int:
        """The bytes of names and values."""
        return sum(
            len(name.encode()) + len("".join(value).encode())
            for entry in self._entries.values()
            for name, value in entry.values.items()
        )

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
