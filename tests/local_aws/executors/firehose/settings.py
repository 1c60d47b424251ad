"""What a delivery stream was told, checked and read once."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from ... import identity
from ...errors import AWSError, not_implemented
from ...storage import S3Location
from . import prefixes
from .conversion import Conversion
from .transform import Function, Query
from .unpacking import Unpacking

MB = 1024 * 1024
# Firehose takes its values for hints, and so may the offline AWS: nobody waits longer than this.
# https://docs.aws.amazon.com/firehose/latest/APIReference/API_BufferingHints.html
LONGEST_INTERVAL = 2.0
_LARGEST_MB = 128
_LEAST_MB = 64  # with dynamic partitioning or format conversion
# The processors, with the parameter that each cannot do without.
_PROCESSORS = {
    "Decompression": None,
    "CloudWatchLogProcessing": None,
    "RecordDeAggregation": "SubRecordType",
    "Lambda": "LambdaArn",
    "MetadataExtraction": "MetadataExtractionQuery",
    "AppendDelimiterToRecord": None,
}


@dataclass(frozen=True)
class Buffering:
    """How much is gathered before it goes on: bytes, and seconds since the first of it came."""

    size: int
    seconds: float


@dataclass(frozen=True)
class Place:
    """Where objects go: `prefix` is not evaluated yet, `suffix` ends each name."""

    bucket: str
    prefix: str
    compression: str = "UNCOMPRESSED"
    suffix: str = ""


@dataclass(frozen=True)
class Settings:
    """The destination of a delivery stream, and what happens on the way.

    Attributes:
        role: the ARN of the role that delivers.
        place: where delivered objects go.
        errors: where records go that could not be used.
        buffering: of objects; of records before the function in `function`.
        unpacking: what is done with a record first.
        zone: that timestamps in names are told in.
        delimiter: put behind each record.
        keys: the partition keys in the prefix, by namespace and name; none without partitioning.
        backup: where records go as they came, and how they are buffered there; None for nowhere.
        log: group and stream of the error log; None if there is none.
    """

    role: str
    place: Place
    errors: Place
    buffering: Buffering
    unpacking: Unpacking
    zone: tzinfo = UTC
    delimiter: bytes = b""
    keys: tuple[prefixes.Key, ...] = ()
    function: Function | None = None
    query: Query | None = None
    conversion: Conversion | None = None
    backup: tuple[Place, Buffering] | None = None
    log: tuple[str, str] | None = None


def read(destination: dict[str, Any]) -> Settings:
    """Read an `ExtendedS3DestinationConfiguration` (or the simpler one for S3).

    Raises:
        AWSError: InvalidArgumentException as Firehose refuses it; NotImplemented for what is not
            carried out offline.
    """
    check_role(destination["RoleARN"])
    converts, partitions = converts_format(destination), is_partitioned(destination)
    processors = _processors(destination.get("ProcessingConfiguration") or {})
    prefix = destination.get("Prefix") or ""
    error_prefix = destination.get("ErrorOutputPrefix") or ""
    prefixes.check(prefix, error_prefix, dynamic=partitions)
    _check_partitioning(processors, partitions, {space for space, _ in prefixes.keys_of(prefix)})
    conversion = None
    if converts:
        conversion = Conversion.of(destination["DataFormatConversionConfiguration"])
        check_role(conversion.schema["RoleARN"])
    extraction = processors.get("MetadataExtraction")
    place = _place(destination, prefixes.completed(prefix), conversion)
    return Settings(
        role=destination["RoleARN"],
        place=place,
        errors=Place(place.bucket, prefixes.completed_for_errors(prefix, error_prefix)),
        buffering=_buffering(
            destination.get("BufferingHints"), convert=converts, dynamic=partitions
        ),
        unpacking=Unpacking(processors),
        zone=_zone(destination.get("CustomTimeZone") or "UTC"),
        delimiter=_delimiter(processors),
        keys=tuple(prefixes.keys_of(prefix)),
        function=_function(processors.get("Lambda")),
        query=Query(extraction["MetadataExtractionQuery"]) if extraction else None,
        conversion=conversion,
        backup=_backup(destination),
        log=_log(destination.get("CloudWatchLoggingOptions") or {}),
    )


def is_partitioned(destination: dict[str, Any]) -> bool:
    """Whether dynamic partitioning is enabled."""
    return bool((destination.get("DynamicPartitioningConfiguration") or {}).get("Enabled"))


def converts_format(destination: dict[str, Any]) -> bool:
    """Whether records become Parquet or ORC."""
    conversion = destination.get("DataFormatConversionConfiguration") or {}
    return bool(conversion) and conversion.get("Enabled", True)


def check_role(arn: str) -> None:
    """Refuse a role that Firehose cannot take on. Raises InvalidArgumentException."""
    role = identity.find_role(arn)
    trust = "" if role is None else json.dumps(role.assume_role_policy_document)
    if "firehose.amazonaws.com" not in trust:
        message = f"Firehose is unable to assume role {arn}. Please check the role provided."
        raise _invalid(message)


def _invalid(message: str) -> AWSError:
    return AWSError("InvalidArgumentException", message)


def _place(destination: dict[str, Any], prefix: str, conversion: Conversion | None) -> Place:
    compression = destination.get("CompressionFormat") or "UNCOMPRESSED"
    if compression in ("Snappy", "HADOOP_SNAPPY"):
        raise not_implemented("firehose", f"delivery with {compression}")
    if conversion and compression != "UNCOMPRESSED":
        message = "CompressionFormat must be UNCOMPRESSED when data format conversion is enabled."
        raise _invalid(message)
    bucket = S3Location.parse("s3://" + destination["BucketARN"].rpartition(":")[2]).bucket
    suffix = {"GZIP": ".gz", "ZIP": ".zip"}.get(compression, "")
    suffix = f".{conversion.form}" if conversion else suffix
    return Place(bucket, prefix, compression, destination.get("FileExtension") or suffix)


def _check_partitioning(
    processors: dict[str, dict[str, str]], partitions: bool, spaces: set[str]
) -> None:
    """A prefix and the processors that give it its partition keys belong together."""
    sources = {"partitionKeyFromQuery": "MetadataExtraction", "partitionKeyFromLambda": "Lambda"}
    for space in sorted(spaces):
        if sources[space] not in processors:
            raise _invalid(f"Prefix expressions with {space} need a {sources[space]} processor.")
    for kind in ("MetadataExtraction", "RecordDeAggregation"):
        if kind in processors and not partitions:
            message = f"{kind} processor can only be present when Dynamic Partitioning is enabled."
            raise _invalid(message)


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    if name not in available_timezones():
        raise _invalid(f"CustomTimeZone {name} is not known.")
    return ZoneInfo(name)


def _buffering(hints: dict[str, int] | None, *, convert: bool, dynamic: bool) -> Buffering:
    hints = hints or {}
    if len(hints) == 1:
        message = "SizeInMBs and IntervalInSeconds are given together or not at all."
        raise _invalid(message)
    size = hints.get("SizeInMBs", 128 if convert else 64 if dynamic else 5)
    seconds = hints.get("IntervalInSeconds", 300)
    what = "data format conversion" if convert else "dynamic partitioning"
    if size > _LARGEST_MB:
        raise _invalid(f"BufferingHints.SizeInMBs is {size}; at most {_LARGEST_MB} are possible.")
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
    found: dict[str, dict[str, str]] = {}
    for processor in settings.get("Processors") or []:
        kind = processor["Type"]
        if kind in found:
            raise _invalid(f"There is more than one {kind} processor.")
        parameters = processor.get("Parameters") or []
        found[kind] = {each["ParameterName"]: each["ParameterValue"] for each in parameters}
        needed = _PROCESSORS[kind]
        if needed and needed not in found[kind]:
            raise _invalid(f"The processor {kind} needs the parameter {needed}.")
    return found


def _function(parameters: dict[str, str] | None) -> Function | None:
    if parameters is None:
        return None
    try:
        size = float(parameters.get("BufferSizeInMBs", 1))
        seconds = float(parameters.get("BufferIntervalInSeconds", 60))
        retries = int(parameters.get("NumberOfRetries", 3))
    except ValueError as error:
        raise _invalid(f"A parameter of the Lambda processor is no number: {error}") from None
    if not 0.2 <= size <= 3 or not 0 <= seconds <= 900 or not 0 <= retries <= 300:
        message = (
            "A Lambda processor takes a BufferSizeInMBs from 0.2 to 3, a BufferIntervalInSeconds "
            f"from 0 to 900 and a NumberOfRetries from 0 to 300, not {size}, {seconds}, {retries}."
        )
        raise _invalid(message)
    arn = parameters["LambdaArn"]
    if not re.fullmatch(r"arn:aws:lambda:[a-z0-9-]+:\d{12}:function:[^:]+(:[^:]+)?", arn):
        raise _invalid(f"The LambdaArn {arn} is not the ARN of a function.")
    return Function(arn, int(size * MB), min(seconds, LONGEST_INTERVAL), retries)


def _delimiter(processors: dict[str, dict[str, str]]) -> bytes:
    if "AppendDelimiterToRecord" not in processors:
        return b""
    text = processors["AppendDelimiterToRecord"].get("Delimiter", "\\n")
    return re.sub(r"\\n", "\n", text).encode()


def _backup(destination: dict[str, Any]) -> tuple[Place, Buffering] | None:
    if destination.get("S3BackupMode", "Disabled") == "Disabled":
        return None
    to = destination.get("S3BackupConfiguration")
    if not to:
        raise _invalid("S3BackupConfiguration is required when S3BackupMode is Enabled.")
    check_role(to["RoleARN"])
    prefix = to.get("Prefix") or ""
    prefixes.check(prefix, to.get("ErrorOutputPrefix") or "", dynamic=False)
    buffering = _buffering(to.get("BufferingHints"), convert=False, dynamic=False)
    return _place(to, prefixes.completed(prefix), None), buffering


def _log(options: dict[str, Any]) -> tuple[str, str] | None:
    if not options.get("Enabled"):
        return None
    if not options.get("LogGroupName") or not options.get("LogStreamName"):
        raise _invalid("LogGroupName and LogStreamName are required when logging is enabled.")
    return options["LogGroupName"], options["LogStreamName"]
