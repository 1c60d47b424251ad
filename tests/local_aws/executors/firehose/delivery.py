"""A delivery stream at work: records are gathered, transformed, sorted by partition, and written.

One worker for each stream, so that records keep their order. A record is at any time in exactly
one place: incoming, waiting for the function, in the buffer of its partition, sealed in an object
that is still to be written, delivered, or on its way to the error prefix. The worker sleeps until
the next of them is due.
"""

from __future__ import annotations

import gzip
import io
import json
import threading
import time
import traceback
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ... import account, metrics, storage
from ...errors import AWSError
from ...jobs import Job
from ...logs import LogStream
from ...storage import S3Location
from . import prefixes
from .records import Buffer, Failure, Record, reason
from .settings import Buffering, Place, Settings
from .transform import Transformed

_ACTIVE_PARTITIONS = 500
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0
# How long a stream stays in a state that on AWS it stays in for minutes.
_SECONDS_TO_CREATE = _SECONDS_TO_DELETE = 0.2
_DELIVERED, _ERRORS, _BACKUP = "DeliveryToS3", "", "BackupToS3"

# Values of the partition keys, in the order of the prefix.
Partition = tuple[str, ...]


@dataclass
class Sealed:
    """An object to be written. After a failure it waits until `retry_at` (monotonic seconds)."""

    location: S3Location
    body: bytes
    arrived: datetime
    count: int
    metric: str
    retry_at: float = 0.0
    pause: float = _FIRST_PAUSE


class Delivery(Job):
    """The worker of a delivery stream, and with it the stream's status."""

    def __init__(self, name: str, region: str, settings: Settings) -> None:
        super().__init__(f"firehose-{name}", region, status="CREATING", failed="DELETING")
        self.stream, self.settings, self.version = name, settings, 1
        self.arn = f"arn:aws:firehose:{region}:{account.ACCOUNT_ID}:deliverystream/{name}"
        self.source: str | None = None
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._incoming: list[Record] = []
        self._waiting = Buffer()
        self._partitions: dict[Partition, Buffer] = {}
        self._errors: dict[str, Buffer] = {}
        self._backup = Buffer()
        self._sealed: list[Sealed] = []
        self._updated: tuple[Settings, int] | None = None

    def accept(self, records: list[Record]) -> None:
        """Take records that came in; the worker goes on with them.

        Raises:
            AWSError: ResourceNotFoundException if the stream is being deleted.
        """
        with self._lock:
            if self.status == "DELETING":
                raise self.not_found()
            self._incoming += records
        self._wake.set()

    def not_found(self) -> AWSError:
        """The answer to a request that the stream, as it stands, cannot take."""
        message = f"Firehose {self.stream} under account {account.ACCOUNT_ID} not found."
        return AWSError("ResourceNotFoundException", message)

    def update(self, settings: Settings, version: int) -> None:
        """Go by other settings from now on."""
        with self._lock:
            self._updated = settings, version
        self._wake.set()

    def delete(self) -> None:
        """End with all data that are not delivered yet, as AWS does."""
        with self._lock:
            self.status = "DELETING"
        self.stop()

    def stop(self) -> None:
        """End at once."""
        super().stop()
        self._wake.set()

    def work(self, removed: Callable[[], None]) -> None:
        """Deliver until the stream is deleted, and call `removed` when it is."""
        self.stop_requested.wait(_SECONDS_TO_CREATE)
        with self._lock:
            if self.status == "CREATING":
                self.status = "ACTIVE"
        while not self.stop_requested.is_set():
            try:
                self._pass_on()
            except Exception as error:
                # A fault of this program: it is told, and the stream goes on without the batch.
                traceback.print_exc()
                self._log("InternalError", reason(error))
            soonest = self._soonest()
            self._wake.wait(None if soonest is None else max(soonest - time.monotonic(), 0.0))
            self._wake.clear()
        if self.status == "DELETING":
            time.sleep(_SECONDS_TO_DELETE)
            removed()

    def _pass_on(self) -> None:
        """Pass on what is due, from stage to stage."""
        self._adopt()
        self._receive()
        self._transform()
        self._seal_what_is_due()
        self._write()

    def _adopt(self) -> None:
        """Take over changed settings; what is buffered already goes where it was to go."""
        with self._lock:
            updated, self._updated = self._updated, None
        if updated:
            self._seal_what_is_due(everything=True)
            self.settings, self.version = updated

    def _soonest(self) -> float | None:
        """When something is due again (monotonic seconds); None if there is nothing at all."""
        settings, function = self.settings, self.settings.function
        moments = [sealed.retry_at for sealed in self._sealed]
        buffers = [*self._partitions.values(), *self._errors.values()]
        moments += [buffer.since + settings.buffering.seconds for buffer in buffers]
        if function and self._waiting.records:
            moments.append(self._waiting.since + function.seconds)
        if settings.backup and self._backup.records:
            moments.append(self._backup.since + settings.backup[1].seconds)
        return min(moments, default=None)

    # ── stages ───────────────────────────────────────────────────────────────────────────────────

    def _receive(self) -> None:
        """Take what came in, keep a copy if that is wanted, and take apart what holds several."""
        with self._lock:
            records, self._incoming = self._incoming, []
        if not records:
            return
        size = sum(len(record.data) for record in records)
        names = "DataReadFromKinesisStream." if self.source else "Incoming"
        self._count(f"{names}Records", len(records), "Count")
        self._count(f"{names}Bytes", size, "Bytes")
        if self.settings.backup:
            for record in records:
                self._backup.add(record)
        unpacked, failures = self.settings.unpacking.unpack(records)
        self._fail(failures)
        for record in unpacked:
            self._waiting.add(record)

    def _transform(self) -> None:
        """Let the function have the batches that are full or have waited, and sort the records."""
        function = self.settings.function
        while self._waiting.records and not self.stop_requested.is_set():
            if function is None:
                batch, self._waiting = self._waiting.records, Buffer()
            else:
                # The limit is on the request, in which the data are base64.
                limit = function.size * 3 / 4
                age = time.monotonic() - self._waiting.since
                if self._waiting.size < limit and age < function.seconds:
                    return
                batch = self._called(self._waiting.take(limit))
            for record in batch:
                self._place(record)

    def _called(self, batch: list[Record]) -> list[Record]:
        """What the function makes of a batch."""
        assert self.settings.function
        stream = {"deliveryStreamArn": self.arn, "region": self.region}
        if self.source:
            stream["sourceKinesisStreamArn"] = self.source
        started = time.monotonic()
        try:
            found = self.settings.function.transform(batch, stream, self.stop_requested)
        except Exception as error:  # a fault of this program must not cost a record
            traceback.print_exc()
            found = Transformed([], _failures(batch, "processing-failed", error), answered=False)
        milliseconds = 1000 * (time.monotonic() - started)
        self._count("ExecuteProcessing.Duration", milliseconds, "Milliseconds")
        self._count("ExecuteProcessing.Success", int(found.answered), "None")
        self._count("SucceedProcessing.Records", len(found.records) + found.dropped, "Count")
        self._fail(found.failures)
        return found.records

    def _place(self, record: Record) -> None:
        """Put a record into the buffer of its partition."""
        try:
            partition = self._partition(record)
        except (ValueError, AWSError) as error:
            message = error.message if isinstance(error, AWSError) else reason(error)
            code = "DynamicPartitioning.MetadataExtractionFailed"
            self._fail([Failure("processing-failed", record, code, message)])
            return
        buffer = self._partitions.get(partition)
        if buffer is None:
            if len(self._partitions) >= _ACTIVE_PARTITIONS:
                message = f"The stream has {_ACTIVE_PARTITIONS} active partitions already."
                code = "DynamicPartitioning.ActivePartitionsLimitExceeded"
                self._fail([Failure("processing-failed", record, code, message)])
                return
            buffer = self._partitions[partition] = Buffer()
        buffer.add(record)
        if buffer.size >= self.settings.buffering.size:
            self._seal(partition, self._partitions.pop(partition))

    def _partition(self, record: Record) -> Partition:
        settings = self.settings
        if not settings.keys:
            return ()
        if settings.query:
            record.query_keys = settings.query.keys(record.data)
        keys = list(settings.keys)
        values = prefixes.partition_of(keys, record.query_keys, record.function_keys)
        partition = tuple(values[key] for key in keys)
        if partition not in self._partitions:  # refuses what comes out too long
            prefixes.evaluate(settings.place.prefix, record.arrived, settings.zone, keys=values)
        return partition

    def _fail(self, failures: list[Failure]) -> None:
        for failure in failures:
            self._log(failure.code, failure.message)
            self._errors.setdefault(failure.kind, Buffer()).add(failure.as_record())

    def _seal_what_is_due(self, *, everything: bool = False) -> None:
        """Make objects of the buffers that are full or old enough."""
        settings, now = self.settings, time.monotonic()

        def is_due(buffer: Buffer, buffering: Buffering) -> bool:
            is_full = everything or buffer.size >= buffering.size
            return bool(buffer.records) and (is_full or now >= buffer.since + buffering.seconds)

        for partition, buffer in list(self._partitions.items()):
            if is_due(buffer, settings.buffering):
                self._seal(partition, self._partitions.pop(partition))
        for kind, buffer in list(self._errors.items()):
            if is_due(buffer, settings.buffering):
                self._seal_as(settings.errors, self._errors.pop(kind), _ERRORS, error_type=kind)
        if settings.backup and is_due(self._backup, settings.backup[1]):
            buffer, self._backup = self._backup, Buffer()
            self._seal_as(settings.backup[0], buffer, _BACKUP)

    def _seal(self, partition: Partition, buffer: Buffer) -> None:
        settings = self.settings
        keys = dict(zip(settings.keys, partition, strict=False))
        if not settings.conversion:
            self._seal_as(settings.place, buffer, _DELIVERED, keys=keys)
            return
        try:
            body, failures = settings.conversion.convert(buffer.records, self.region, self._caller)
        except Exception as error:  # as above
            traceback.print_exc()
            body, failures = None, _failures(buffer.records, "format-conversion-failed", error)
        self._fail(failures)
        count = len(buffer.records) - len(failures)
        self._count("SucceedConversion.Records", count, "Count")
        self._count("FailedConversion.Records", len(failures), "Count")
        if body is not None:
            self._seal_body(settings.place, body, buffer.arrived, count, _DELIVERED, keys=keys)

    def _seal_as(self, place: Place, buffer: Buffer, metric: str, **naming: Any) -> None:
        """Seal the records of a buffer as they are, behind each other."""
        delimiter = self.settings.delimiter if metric == _DELIVERED else b""
        raw = metric == _BACKUP
        parts = [(record.raw if raw else record.data) + delimiter for record in buffer.records]
        body = _compressed(b"".join(parts), place.compression)
        self._seal_body(place, body, buffer.arrived, len(parts), metric, **naming)

    def _seal_body(
        self, place: Place, body: bytes, arrived: datetime, count: int, metric: str, **naming: Any
    ) -> None:
        zone = self.settings.zone
        prefix = prefixes.evaluate(place.prefix, arrived, zone, **naming)
        name = prefixes.object_name(self.stream, str(self.version), arrived, zone, place.suffix)
        location = S3Location(place.bucket, prefix + name)
        self._sealed.append(Sealed(location, body, arrived, count, metric))

    def _write(self) -> None:
        """Write the sealed objects. What S3 refuses is kept and tried again."""
        kept = []
        for sealed in self._sealed:
            if sealed.retry_at > time.monotonic():
                kept.append(sealed)
                continue
            written = self._put(sealed)
            self._measure(sealed, written=written)
            if not written:
                sealed.retry_at = time.monotonic() + sealed.pause
                sealed.pause = min(2 * sealed.pause, _LONGEST_PAUSE)
                kept.append(sealed)
        self._sealed = kept

    def _put(self, sealed: Sealed) -> bool:
        """Write an object with the role of the delivery. Whether S3 took it."""
        try:
            storage.refuse_if_denied(sealed.location, "s3:PutObject", self.settings.role)
            storage.write(sealed.location, sealed.body, self._caller)
        except AWSError as error:
            self._log(f"S3.{error.code}", f"{error.message} (bucket {sealed.location.bucket})")
            return False
        return True

    # ── telling ──────────────────────────────────────────────────────────────────────────────────

    @property
    def _caller(self) -> str:
        """Whom the requests of the delivery are journaled under."""
        return f"{self.settings.role.rpartition('/')[2]}/firehose-{self.stream}"

    def _measure(self, sealed: Sealed, *, written: bool) -> None:
        if sealed.metric == _ERRORS:
            return
        age = (account.now() - sealed.arrived).total_seconds()
        self._count(f"{sealed.metric}.Success", int(written), "None")
        self._count(f"{sealed.metric}.DataFreshness", age, "Seconds")
        if written:
            self._count(f"{sealed.metric}.Records", sealed.count, "Count")
            self._count(f"{sealed.metric}.Bytes", len(sealed.body), "Bytes")

    def _count(self, name: str, value: float, unit: str) -> None:
        of = {"DeliveryStreamName": self.stream}
        metrics.put("AWS/Firehose", name, value, unit, of, self.region)

    def _log(self, code: str, message: str) -> None:
        if self.settings.log:
            group, stream = self.settings.log
            content: dict[str, Any] = {
                "deliveryStreamARN": self.arn,
                "destination": f"arn:aws:s3:::{self.settings.place.bucket}",
                "deliveryStreamVersionId": self.version,
                "message": message,
                "errorCode": code,
            }
            LogStream(self.region, group, stream).write(json.dumps(content))


def _failures(records: list[Record], kind: str, error: Exception) -> list[Failure]:
    return [Failure(kind, record, "InternalError", reason(error)) for record in records]


def _compressed(body: bytes, how: str) -> bytes:
    if how == "GZIP":
        return gzip.compress(body, mtime=0)
    if how == "ZIP":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo("data"), body)
        return packed.getvalue()
    return body
