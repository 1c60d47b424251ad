"""Warm pools: instances that stay for the next job when a training job has ended.

Here nothing has to be started anew, so a warm pool saves no time; its states and the seconds it
would be billed are those of AWS.
Source: https://docs.aws.amazon.com/sagemaker/latest/dg/train-warm-pools.html
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

from ... import account
from ...gateway import AWSError

_MATCHING_RESOURCES = ("InstanceCount", "InstanceType", "VolumeKmsKeyId", "VolumeSizeInGB")
_MATCHING = ("EnableInterContainerTrafficEncryption", "EnableNetworkIsolation", "VpcConfig")

# (region, name of the training job) -> WarmPool
_POOLS = account.table()
_lock = threading.Lock()


class WarmPool:
    """What a training job with `KeepAlivePeriodInSeconds` leaves behind."""

    def __init__(self, request: dict[str, Any]) -> None:
        resources = request["ResourceConfig"]
        self.period = timedelta(seconds=resources["KeepAlivePeriodInSeconds"])
        self.key = _key(request)
        self.kept_from: datetime | None = None
        self.kept_until: datetime | None = None
        self.reused_by: str | None = None

    @property
    def status(self) -> str:
        """`InUse` while the job runs, then `Available`, at last `Reused` or `Terminated`."""
        if self.reused_by:
            return "Reused"
        if self.kept_from is None:
            return "InUse"
        over = self.kept_until or self.kept_from + self.period
        return "Terminated" if account.now() >= over else "Available"

    def describe(self) -> dict[str, Any]:
        """The member `WarmPoolStatus` of DescribeTrainingJob."""
        answer: dict[str, Any] = {"Status": self.status}
        if self.kept_from is not None:
            over = self.kept_until or self.kept_from + self.period
            kept = min(account.now(), over) - self.kept_from
            answer["ResourceRetainedBillableTimeInSeconds"] = round(kept.total_seconds())
        if self.reused_by:
            answer["ReusedByJob"] = self.reused_by
        return answer


def open_pool(region: str, job: str, request: dict[str, Any]) -> None:
    """A job starts: it takes the instances of a matching pool, and gets a pool if it wants one."""
    key = _key(request)
    with _lock:
        for (where, _), pool in _POOLS.items():
            if where == region and pool.key == key and pool.status == "Available":
                pool.kept_until, pool.reused_by = account.now(), job
                break
        if request["ResourceConfig"].get("KeepAlivePeriodInSeconds"):
            _POOLS[region, job] = WarmPool(request)


def keep(region: str, job: str) -> None:
    """A job has completed: from now on its instances wait."""
    pool = _POOLS.get((region, job))
    if pool:
        pool.kept_from = account.now()


def drop(region: str, job: str) -> None:
    """A job has failed or was stopped, or is deleted: nothing is kept."""
    _POOLS.pop((region, job), None)


def describe(region: str, job: str) -> dict[str, Any] | None:
    """What DescribeTrainingJob says of the job's pool; None if it has none."""
    pool = _POOLS.get((region, job))
    return pool.describe() if pool else None


def update(region: str, job: str, seconds: int) -> None:
    """Keep a waiting pool so many seconds from the end of its job; 0 ends it.

    Raises:
        AWSError: ValidationException if no pool waits.
    """
    pool = _POOLS.get((region, job))
    if pool is None or pool.status != "Available":
        status = pool.status if pool else "none"
        raise AWSError(
            "ValidationException",
            "KeepAlivePeriodInSeconds can be updated only while the warm pool of the training job "
            f"is Available; its status is {status}.",
        )
    pool.period = timedelta(seconds=seconds)
    if not seconds:
        pool.kept_until = account.now()


def _key(request: dict[str, Any]) -> tuple[str, ...]:
    """What two jobs must have in common to use the same instances."""
    resources = request["ResourceConfig"]
    parts = [request["RoleArn"]]
    parts += [str(resources.get(name) or "") for name in _MATCHING_RESOURCES]
    parts += [str(request.get(name) or "") for name in _MATCHING]
    return tuple(parts)
