"""What a delivery stream was told, checked and read once."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any

from dateutil import tz

from ... import identity
from ...errors import AWSError, not_implemented
from ...storage import S3Location
from . import prefixes
from .conversion import Conversion
from .transform import Function, Query

MB = 1024 * 1024
# Firehose takes its values for hints, and so may the offline AWS: nobody waits longer than this.
# https://docs.aws.amazon.com/firehose/latest/APIReference/API_BufferingHints.html
LONGEST_INTERVAL = 2.0
_LEAST_MB = 64  # with dynamic partitioning or format conversion


@dataclass(frozen=True)
class Buffering:
    """How much is gathered before it goes on: bytes, and seconds since the first of it came."""

    size: int
    seconds: float


@dataclass(frozen=True)
class Backup:
    """Where records go as they came, beside the delivery."""

    bucket: str
    prefix: str
    error_prefix: str


@dataclass(frozen=True)
class Settings:
    """The destination of a delivery stream, and what happens on the way.

    Attributes:
        role: the ARN of the role that delivers.
        bucket, prefix, error_prefix: where objects go; expressions not evaluated.
        buffering: of objects; of records before the function in `before_function`.
        compression: `UNCOMPRESSED`, `GZIP` or `ZIP`.
        extension: of the objects' names; None for the compression's own.
        zone: that timestamps in names are told in.
        delimiter: put behind each record.
        log: group and stream of the error log; None if there is none.
    """

    role: str
    bucket: str
    prefix: str
    error_prefix: str
    buffering: Buffering
    compression: str = "UNCOMPRESSED"
    extension: str | None = None
    zone: tzinfo = UTC
    delimiter: bytes = b""
    dynamic: bool = False
    function: Function | None = None
    query: Query | None = None
    conversion: Conversion | None = None
    backup: Backup | None = None
    log: tuple[str, str] | None = None

    @property
    def suffix(self) -> str:
        """What the names of the objects end with."""
        if self.extension is not None:
            return self.extension
        if self.conversion:
            return ".parquet"
        return {"GZIP": ".gz", "ZIP": ".zip"}.get(self.compression, "")


def read(destination: dict[str, Any]) -> Settings:
    """Read an `ExtendedS3DestinationConfiguration` (or the simpler one for S3).

    Raises:
        AWSError: InvalidArgumentException as Firehose refuses it; NotImplemented for what is not
            carried out offline.
    """
    check_role(destination["RoleARN"])
    conversion = destination.get("DataFormatConversionConfiguration") or {}
    convert = bool(conversion) and conversion.get("Enabled", True)
    dynamic = bool((destination.get("DynamicPartitioningConfiguration") or {}).get("Enabled"))
    processors = _processors(destination.get("ProcessingConfiguration") or {})
    prefix = destination.get("Prefix", "")
    error_prefix = destination.get("ErrorOutputPrefix", "")
    prefixes.check(prefix, error_prefix, dynamic=dynamic)
    compression = destination.get("CompressionFormat") or "UNCOMPRESSED"
    if compression in ("Snappy", "HADOOP_SNAPPY"):
        raise not_implemented("firehose", f"delivery with {compression}")
    if convert and compression != "UNCOMPRESSED":
        message = "CompressionFormat must be UNCOMPRESSED when data format conversion is enabled."
        raise _invalid(message)
    extraction = processors.get("MetadataExtraction")
    if dynamic and not extraction and "Lambda" not in processors:
        message = "Dynamic partitioning needs a MetadataExtraction or a Lambda processor."
        raise _invalid(message)
    zone = tz.gettz(destination["CustomTimeZone"]) if destination.get("CustomTimeZone") else UTC
    if zone is None:
        raise _invalid(f"CustomTimeZone {destination['CustomTimeZone']} is not known.")
    return Settings(
        role=destination["RoleARN"],
        bucket=_bucket(destination),
        prefix=prefix,
        error_prefix=error_prefix,
        buffering=_buffering(destination.get("BufferingHints"), convert=convert, dynamic=dynamic),
        compression=compression,
        extension=destination.get("FileExtension"),
        zone=zone,
        delimiter=_delimiter(processors),
        dynamic=dynamic,
        function=_function(processors.get("Lambda")),
        query=Query(extraction["MetadataExtractionQuery"]) if extraction else None,
        conversion=Conversion.of(conversion) if convert else None,
        backup=_backup(destination),
        log=_log(destination.get("CloudWatchLoggingOptions") or {}),
    )


def check_role(arn: str) -> None:
    """Refuse a role that Firehose cannot take on. Raises InvalidArgumentException."""
    role = identity.find_role(arn)
    trust = "" if role is None else json.dumps(role.assume_role_policy_document)
    if "firehose.amazonaws.com" not in trust:
        message = f"Firehose is unable to assume role {arn}. Please check the role provided."
        raise _invalid(message)


def _invalid(message: str) -> AWSError:
    return AWSError("InvalidArgumentException", message)


def _bucket(destination: dict[str, Any]) -> str:
    return S3Location.parse("s3://" + destination["BucketARN"].rpartition(":")[2]).bucket


def _buffering(hints: dict[str, int] | None, *, convert: bool, dynamic: bool) -> Buffering:
    hints = hints or {}
    if len(hints) == 1:
        message = "SizeInMBs and IntervalInSeconds are given together or not at all."
        raise _invalid(message)
    size = hints.get("SizeInMBs", 128 if convert else 64 if dynamic else 5)
    seconds = hints.get("IntervalInSeconds", 300)
    what = "data format conversion" if convert else "dynamic partitioning"
    if (convert or dynamic) and size < _LEAST_MB:
        message = f"BufferingHints.SizeInMBs must be at least {_LEAST_MB} when {what} is enabled."
        raise _invalid(message)
    if dynamic and seconds == 0:
        raise _invalid("Zero buffering is not available for dynamic partitioning.")
    return Buffering(size * MB, min(seconds, LONGEST_INTERVAL))


def _processors(settings: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The parameters of the processors by type."""
    if not settings.get("Enabled"):
        return {}
    found = {}
    for processor in settings.get("Processors") or []:
        kind = processor["Type"]
        if kind not in ("Lambda", "MetadataExtraction", "AppendDelimiterToRecord"):
            raise not_implemented("firehose", f"the processor {kind}")
        parameters = processor.get("Parameters") or []
        found[kind] = {each["ParameterName"]: each["ParameterValue"] for each in parameters}
        needed = {"Lambda": "LambdaArn", "MetadataExtraction": "MetadataExtractionQuery"}
        if kind in needed and needed[kind] not in found[kind]:
            raise _invalid(f"The processor {kind} needs the parameter {needed[kind]}.")
    return found


def _function(parameters: dict[str, str] | None) -> Function | None:
    if parameters is None:
        return None
    size = float(parameters.get("BufferSizeInMBs", 1))
    seconds = float(parameters.get("BufferIntervalInSeconds", 60))
    retries = int(parameters.get("NumberOfRetries", 3))
    if not 0.2 <= size <= 3 or not 0 <= seconds <= 900 or not 0 <= retries <= 300:
        message = (
            "A Lambda processor takes a BufferSizeInMBs from 0.2 to 3, a BufferIntervalInSeconds "
            f"from 0 to 900 and a NumberOfRetries from 0 to 300, not {size}, {seconds}, {retries}."
        )
        raise _invalid(message)
    arn = parameters["LambdaArn"]
    return Function(arn, int(size * MB), min(seconds, LONGEST_INTERVAL), retries)


def _delimiter(processors: dict[str, dict[str, str]]) -> bytes:
    if "AppendDelimiterToRecord" not in processors:
        return b""
    text = processors["AppendDelimiterToRecord"].get("Delimiter", "\\n")
    return re.sub(r"\\n", "\n", text).encode()


def _backup(destination: dict[str, Any]) -> Backup | None:
    if destination.get("S3BackupMode", "Disabled") == "Disabled":
        return None
    to = destination.get("S3BackupConfiguration")
    if not to:
        raise _invalid("S3BackupConfiguration is required when S3BackupMode is Enabled.")
    return Backup(_bucket(to), to.get("Prefix", ""), to.get("ErrorOutputPrefix", ""))


def _log(options: dict[str, Any]) -> tuple[str, str] | None:
    if not options.get("Enabled"):
        return None
    if not options.get("LogGroupName") or not options.get("LogStreamName"):
        raise _invalid("LogGroupName and LogStreamName are required when logging is enabled.")
    return options["LogGroupName"], options["LogStreamName"]
