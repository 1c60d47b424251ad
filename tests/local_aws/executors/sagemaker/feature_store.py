"""A feature group at work: its status, its online store, and the way to its offline store.

One worker for each group. What is put goes into the online store at once; for the offline store it
is gathered for a moment (on AWS up to fifteen minutes) and written by the hour of its event time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from ... import account
from ...errors import AWSError
from ...gateway import Call, controls
from ...jobs import Job
from .feature_values import Record, duration, invalid, iso
from .offline_store import OfflineStore, Row, tombstone
from .online_store import Entry, OnlineStore

# (region, name) -> FeatureGroup
GROUPS = account.table()

# How long records wait to share an object, and how long the store waits after S3 refused one.
_SECONDS_TO_GATHER = 1.0
_SECONDS_TO_RETRY = 1.0
# How long a group stays in a state that on AWS it stays in for half a minute.
_SECONDS_TO_CREATE = _SECONDS_TO_DELETE = 0.2


class FeatureGroup(Job):
    """A feature group.

    Attributes:
        description: what DescribeFeatureGroup answers, but for what changes by itself.
        metadata: feature -> its description, parameters and time of change.
        online: the online store; None if the group has none.
        offline: the offline store; None if the group has none.
    """

    def __init__(self, description: dict[str, Any], region: str, caller: str) -> None:
        name = description["FeatureGroupName"]
        super().__init__(f"feature-group-{name}", region, status="Creating", failed="CreateFailed")
        self.group, self.description = name, description
        self.metadata: dict[str, dict[str, Any]] = {}
        config = description.get("OnlineStoreConfig") or {}
        self.online = OnlineStore() if config.get("EnableOnlineStore") else None
        self.offline: OfflineStore | None = None
        if description.get("OfflineStoreConfig"):
            self.offline = OfflineStore(description, region, caller)
        self.lock = threading.RLock()
        self._wake = threading.Event()
        self._writing = threading.Lock()
        self._rows: list[Row] = []
        self._due: datetime | None = None
        self._blocked: str | None = None

    # ── what it is ───────────────────────────────────────────────────────────────────────────────

    def describe(self) -> dict[str, Any]:
        """The group as it stands."""
        with self.lock:
            found = self.description | {"FeatureGroupStatus": self.status}
            if self.failure_reason:
                found["FailureReason"] = self.failure_reason
            if self.offline:
                found["OfflineStoreStatus"] = self.offline_status()
            if self.online:
                self._expire()
                found["OnlineStoreTotalSizeBytes"] = self.online.size()
            return found

    def offline_status(self) -> dict[str, str]:
        """Whether the data get to S3, and if not, why."""
        if self._blocked:
            return {"Status": "Blocked", "BlockedReason": self._blocked[:1024]}
        return {"Status": "Active"}

    @property
    def ttl(self) -> timedelta | None:
        """How long records stay in the online store unless they say otherwise."""
        return duration((self.description.get("OnlineStoreConfig") or {}).get("TtlDuration"))

    # ── records ──────────────────────────────────────────────────────────────────────────────────

    def put(self, record: Record, stores: set[str], ttl: timedelta | None) -> None:
        """Put a record into these stores; one that is not the latest goes offline only."""
        with self.lock:
            self._expire()
            if "OnlineStore" in stores and self.online:
                self.online.put(record, ttl or self.ttl)
                self._wake.set()
            if "OfflineStore" in stores:
                self._gather(Row(record, account.now()))

    def update(self, record: Record, stores: set[str], entry: Entry) -> None:
        """Replace the record that is there by one with other values of some features."""
        with self.lock:
            if "OnlineStore" in stores and self.online:
                self.online.replace(record.identifier, entry)
            if "OfflineStore" in stores:
                self._gather(Row(record, account.now()))

    def get(self, identifier: str) -> Entry | None:
        """The record in the online store; None if there is none."""
        with self.lock:
            self._expire()
            return self.online.get(identifier) if self.online else None

    def delete_record(
        self, identifier: str, event_time: datetime, text: str, stores: set[str], *, hard: bool
    ) -> None:
        """Delete a record, and leave its mark in the offline store.

        Raises:
            AWSError: ValidationError for a hard delete that is older than the record.
        """
        with self.lock:
            self._expire()
            if "OnlineStore" in stores and self.online:
                removed = self.online.delete(identifier, event_time, hard=hard)
                if hard and not removed:
                    raise invalid(
                        f"The EventTime '{text}' is not later than that of the record "
                        f"'{identifier}'; nothing was deleted."
                    )
            if "OfflineStore" in stores:
                self._gather(tombstone(self.description, identifier, event_time, text))

    def identifiers(self, *, with_deleted: bool) -> list[str]:
        """The record identifiers in the online store."""
        with self.lock:
            self._expire()
            return self.online.identifiers(with_deleted=with_deleted) if self.online else []

    def _expire(self) -> None:
        """Hard delete what has outlived its time; the offline store gets a mark of each."""
        if not self.online:
            return
        for identifier, since in self.online.expire(account.now()):
            if self.offline:
                self._gather(tombstone(self.description, identifier, since))

    def _gather(self, row: Row) -> None:
        if not self._rows:
            self._due = account.now() + timedelta(seconds=_SECONDS_TO_GATHER)
            self._wake.set()
        self._rows.append(row)

    # ── the worker ───────────────────────────────────────────────────────────────────────────────

    def work(self, removed: Callable[[], None]) -> None:
        """Create the group, pass its records on until it is deleted, and call `removed` then."""
        self.stop_requested.wait(_SECONDS_TO_CREATE)
        if self.offline and not self.stop_requested.is_set():
            self.offline.create()
        with self.lock:
            if self.status == "Creating":
                self.status = "Created"
        while not self.stop_requested.is_set():
            with self.lock:
                self._expire()
            if self._due and self._due <= account.now():
                self.flush()
            self._wake.wait(self._seconds_to_wait())
            self._wake.clear()
        if self.status == "Deleting":
            self.flush()
            threading.Event().wait(_SECONDS_TO_DELETE)
            removed()

    def _seconds_to_wait(self) -> float | None:
        with self.lock:
            moments = [self._due, self.online.next_expiry() if self.online else None]
        soonest = min((moment for moment in moments if moment), default=None)
        if soonest is None:
            return None
        # A wait takes no more than a month on some systems.
        return min(max((soonest - account.now()).total_seconds(), 0.0), 86_400.0)

    def flush(self) -> None:
        """Write to S3 what waits for it. What S3 refuses waits on, and the store is Blocked."""
        if not self.offline:
            return
        with self._writing:
            with self.lock:
                rows, self._rows, self._due = self._rows, [], None
            if not rows:
                return
            written: list[Row] = []
            try:
                self.offline.write(rows, written.append)
                self._blocked = None
            except AWSError as error:
                done = {id(row) for row in written}
                with self.lock:
                    self._blocked = f"{error.code}: {error.message}"
                    self._rows = [row for row in rows if id(row) not in done] + self._rows
                    self._due = account.now() + timedelta(seconds=_SECONDS_TO_RETRY)
                self._wake.set()

    def delete(self) -> None:
        """Forget the online store at once, write what waits for the offline store, and end."""
        with self.lock:
            self.status = "Deleting"
            if self.online:
                self.online.clear()
        self.stop()

    def stop(self) -> None:
        """End at once."""
        super().stop()
        self._wake.set()


def find(call: Call, name_or_arn: str) -> FeatureGroup | None:
    """The feature group of the caller's region by its name or ARN; None if there is none."""
    return GROUPS.get((call.region, name_or_arn.rpartition("/")[2]))


def not_found(name_or_arn: str) -> str:
    """What is said of a feature group that is not there."""
    name = name_or_arn.rpartition("/")[2]
    return f"Resource Not Found: Amazon SageMaker can't find a FeatureGroup with name {name}"


def expires_at(entry: Entry) -> dict[str, str]:
    """The member `ExpiresAt` of an answer, if the record expires."""
    return {"ExpiresAt": iso(entry.expires_at)} if entry.expires_at else {}


@controls("flush-feature-store")
def flush(_: dict[str, str]) -> dict[str, Any]:
    """Write to S3 now what would be written in a moment."""
    for group in list(GROUPS.values()):
        group.flush()
    return {"status": "ok"}
