"""A delivery stream at work: records are gathered, transformed, sorted by partition, and written.

One worker for each stream, so that records keep their order. A record is at any time in exactly
one place: waiting for the function, in the buffer of its partition, sealed in an object that is
still to be written, delivered, or in the error prefix.
"""

from __future__ import annotations

import gzip
import io
import json
import threading
import time
import zipfile
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ... import account, metrics, storage
from ...errors import AWSError
from ...jobs import Job
from ...logs import LogStream
from ...storage import S3Location
from . import prefixes
from .records import Failure, Record
from .settings import Settings

_ACTIVE_PARTITIONS = 500
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0
_NEVER = float("inf")


@dataclass
class Buffer:
    """Records on the way to the same place. `since` is when the first came (monotonic seconds)."""

    records: list[Record] = field(default_factory=list)
    size: int = 0
    since: float = field(default_factory=time.monotonic)

    def add(self, record: Record) -> None:
        """Put a record behind the others."""
        self.records.append(record)
        self.size += len(record.data)


@dataclass
class Sealed:
    """An object to be written. After a failure it waits until `retry_at` (monotonic seconds)."""

    bucket: str
    prefix: str
    suffix: str
    body: bytes
    arrived: datetime
    count: int
    error_type: str = ""
    retry_at: float = 0.0
    pause: float = _FIRST_PAUSE


class Delivery(Job):
    """The worker of a delivery stream."""

    def __init__(self, name: str, region: str, settings: Settings, version: str = "1") -> None:
        super().__init__(f"firehose-{name}", region, status="ACTIVE", failed="ACTIVE")
        self.stream, self.settings, self.version = name, settings, version
        self.arn = f"arn:aws:firehose:{region}:{account.ACCOUNT_ID}:deliverystream/{name}"
        self.source: str | None = None
        self.closing = False
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._incoming = Buffer()
        self._partitions: dict[str, Buffer] = {}
        self._failures: list[Failure] = []
        self._sealed: list[Sealed] = []

    def accept(self, records: list[Record]) -> None:
        """Take records that came in; the worker goes on with them."""
        size = sum(len(record.data) for record in records)
        self._count("IncomingRecords", len(records), "Count")
        self._count("IncomingBytes", size, "Bytes")
        with self._lock:
            if not self._incoming.records:
                self._incoming.since = time.monotonic()
            for record in records:
                self._incoming.add(record)
        self._wake.set()

    def close(self) -> None:
        """Deliver what there is, and end."""
        self.closing = True
        self._wake.set()

    def stop(self) -> None:
        """End at once."""
        super().stop()
        self._wake.set()

    def work(self, _: Job) -> None:
        """Deliver until the stream is closed: the target of the job."""
        while not self.stop_requested.is_set():
            self._gather()
            self._seal()
            self._write()
            if self.closing and not self._incoming.records:
                return
            wait = self._until_something_is_due()
            self._wake.wait(None if wait == _NEVER else max(wait, 0.0))
            self._wake.clear()

    def _until_something_is_due(self) -> float:
        settings, moments = self.settings, [_NEVER]
        with self._lock:
            if self._incoming.records:
                function = settings.function
                moments.append(self._incoming.since + (function.seconds if function else 0))
        moments += [b.since + settings.buffering.seconds for b in self._partitions.values()]
        moments += [sealed.retry_at for sealed in self._sealed]
        soonest = min(moments)
        return soonest if soonest == _NEVER else soonest - time.monotonic()

    # ── stages ───────────────────────────────────────────────────────────────────────────────────

    def _gather(self) -> None:
        """Take what is due out of the incoming records, transform it, and sort it."""
        function = self.settings.function
        while batch := self._due_batch():
            if self.settings.backup:
                self._back_up(batch)
            if function:
                told = {"deliveryStreamArn": self.arn, "region": self.region}
                if self.source:
                    told["sourceKinesisStreamArn"] = self.source
                found = function.transform(batch, told, self.stop_requested)
                self._fail(found.failures)
                batch = found.records
            for record in batch:
                self._place(record)

    def _due_batch(self) -> list[Record]:
        """A batch for the function, if it is full or has waited long enough; all without one."""
        function = self.settings.function
        with self._lock:
            waiting = self._incoming
            if not waiting.records:
                return []
            if function is None:
                self._incoming = Buffer()
                return waiting.records
            age = time.monotonic() - waiting.since
            # The limit is on the request, in which the data are base64.
            full = waiting.size * 4 / 3 >= function.size
            if not (full or age >= function.seconds or self.closing):
                return []
            batch, size = [], 0.0
            for record in waiting.records:
                size += len(record.data) * 4 / 3
                if batch and size > function.size:
                    break
                batch.append(record)
            rest = Buffer(since=waiting.since)
            for record in waiting.records[len(batch) :]:
                rest.add(record)
            self._incoming = rest
            return batch

    def _place(self, record: Record) -> None:
        """Put a record into the buffer of its partition."""
        settings = self.settings
        prefix = settings.prefix
        if settings.dynamic:
            try:
                if settings.query:
                    record.query_keys = settings.query.keys(record.data)
                prefix = prefixes.partition_of(prefix, record.query_keys, record.function_keys)
            except ValueError as error:
                code = "DynamicPartitioning.MetadataExtractionFailed"
                self._fail([Failure("processing-failed", record, code, str(error))])
                return
            if prefix not in self._partitions and len(self._partitions) >= _ACTIVE_PARTITIONS:
                message = f"The stream has {_ACTIVE_PARTITIONS} active partitions already."
                code = "DynamicPartitioning.ActivePartitionsLimitExceeded"
                self._fail([Failure("processing-failed", record, code, message)])
                return
        buffer = self._partitions.setdefault(prefix, Buffer())
        buffer.add(record)
        if buffer.size >= settings.buffering.size:
            self._seal_buffer(prefix, self._partitions.pop(prefix))

    def _fail(self, failures: list[Failure]) -> None:
        for failure in failures:
            self._log(failure.code, failure.message)
        self._failures += failures

    def _seal(self) -> None:
        """Make objects of the buffers that are due."""
        now, seconds = time.monotonic(), self.settings.buffering.seconds
        for prefix, buffer in list(self._partitions.items()):
            if self.closing or now - buffer.since >= seconds:
                self._seal_buffer(prefix, self._partitions.pop(prefix))
        by_kind: dict[str, list[Failure]] = {}
        for failure in self._failures:
            by_kind.setdefault(failure.kind, []).append(failure)
        self._failures = []
        for kind, failures in by_kind.items():
            body = b"".join(failure.line() for failure in failures)
            arrived = min(failure.record.arrived for failure in failures)
            prefix = self.settings.error_prefix or self.settings.prefix
            to = self.settings.bucket
            self._sealed.append(Sealed(to, prefix, "", body, arrived, len(failures), kind))

    def _seal_buffer(self, prefix: str, buffer: Buffer) -> None:
        settings = self.settings
        arrived = min(record.arrived for record in buffer.records)
        if settings.conversion:
            converted = settings.conversion.convert(buffer.records, self.region, self._caller)
            body, failures = converted
            self._fail(failures)
            if body is None:
                return
            count = len(buffer.records) - len(failures)
        else:
            body = b"".join(record.data + settings.delimiter for record in buffer.records)
            body, count = _compressed(body, settings.compression), len(buffer.records)
        sealed = Sealed(settings.bucket, prefix, settings.suffix, body, arrived, count)
        self._sealed.append(sealed)

    def _back_up(self, batch: list[Record]) -> None:
        backup = self.settings.backup
        assert backup is not None
        body = b"".join(record.raw for record in batch)
        arrived = min(record.arrived for record in batch)
        self._sealed.append(Sealed(backup.bucket, backup.prefix, "", body, arrived, len(batch)))

    def _write(self) -> None:
        """Write the sealed objects. What S3 refuses is kept and tried again."""
        kept = []
        for sealed in self._sealed:
            if sealed.retry_at > time.monotonic() and not self.closing:
                kept.append(sealed)
                continue
            try:
                self._put(sealed)
            except AWSError as error:
                self._count("DeliveryToS3.Success", 0, "None")
                self._log(f"S3.{error.code}", f"{error.message} (bucket {sealed.bucket})")
                sealed.retry_at = time.monotonic() + sealed.pause
                sealed.pause = min(2 * sealed.pause, _LONGEST_PAUSE)
                kept.append(sealed)
        # AWS promises nothing for what is not delivered when its stream is deleted.
        self._sealed = [] if self.closing else kept

    def _put(self, sealed: Sealed) -> None:
        zone = self.settings.zone
        prefix = prefixes.evaluate(sealed.prefix, sealed.arrived, zone, sealed.error_type)
        name = prefixes.object_name(self.stream, self.version, sealed.arrived, zone, sealed.suffix)
        location = S3Location(sealed.bucket, prefix + name)
        storage.refuse_if_denied(location, "s3:PutObject", self.settings.role)
        storage.write(location, sealed.body, self._caller)
        if not sealed.error_type:
            self._count("DeliveryToS3.Records", sealed.count, "Count")
            self._count("DeliveryToS3.Bytes", len(sealed.body), "Bytes")
            self._count("DeliveryToS3.Success", 1, "None")

    # ── telling ──────────────────────────────────────────────────────────────────────────────────

    @property
    def _caller(self) -> str:
        """Whom the requests of the delivery are journaled under."""
        return f"{self.settings.role.rpartition('/')[2]}/firehose-{self.stream}"

    def _count(self, name: str, value: float, unit: str) -> None:
        of = {"DeliveryStreamName": self.stream}
        metrics.put("AWS/Firehose", name, value, unit, of, self.region)

    def _log(self, code: str, message: str) -> None:
        if self.settings.log:
            group, stream = self.settings.log
            content: dict[str, Any] = {
                "deliveryStreamARN": self.arn,
                "destination": f"arn:aws:s3:::{self.settings.bucket}",
                "deliveryStreamVersionId": int(self.version),
                "message": message,
                "errorCode": code,
            }
            LogStream(self.region, group, stream).write(json.dumps(content))


def _compressed(body: bytes, how: str) -> bytes:
    if how == "GZIP":
        return gzip.compress(body, mtime=0)
    if how == "ZIP":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo("data"), body)
        return packed.getvalue()
    return body
