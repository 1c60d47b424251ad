"""What the built-in algorithms share when they train: hyperparameters, data, log and failure.

The wording of the messages is that of AWS's own toolkit for such algorithms, of which it has
published a copy: https://github.com/aws/sagemaker-rl-container (folder `src/vw-serving`, modules
`sagemaker.integration`, `sagemaker.exceptions` and `sagemaker.validation`; Apache License 2.0).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from . import recordio

HOST = "algo-1"
MODEL_FILE = "model_algo-1"
CSV = "text/csv"
# The status of a program that fails because of what it was given; SageMaker calls that ClientError.
CLIENT_ERROR_STATUS = 2
# Settings of the machinery, which the SDK or a tuning job may send along.
_INTERNAL = (
    "_disable_wait_to_read", "_enable_profiler", "_ftp_port", "_kvstore", "_log_level",
    "_num_gpus", "_num_kv_servers", "_num_slices", "_tuning_objective_metric", "force_dense",
)  # fmt: skip


class ClientError(Exception):
    """Something that whoever started the job can put right."""


# ── hyperparameters ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Parameter:
    """One hyperparameter, as its page in the documentation describes it.

    Attributes:
        read: turns the text into a value. Raises ValueError.
        expects: what the documentation says of the values, for the message.
        default: the value if none is given.
        required: whether a value must be given.
        allowed: whether a value that could be read is one of the valid ones.
    """

    read: Callable[[str], Any]
    expects: str
    default: Any = None
    required: bool = False
    allowed: Callable[[Any], bool] = lambda value: True


def integer(
    low: int, high: int | None = None, *, default: Any = None, auto: bool = False, **options: Any
) -> Parameter:
    """A whole number between two ends, both included; `auto` if the algorithm may choose."""
    between = f"between {low} and {high}" if high is not None else f"of at least {low}"
    return _number(int, f"an integer {between}", low, high, default, auto, **options)


def real(
    low: float | None = None,
    high: float | None = None,
    *,
    default: Any = None,
    auto: bool = False,
    open_ends: bool = False,
) -> Parameter:
    """A number between two ends; `open_ends` leaves the ends themselves out."""
    if low is None and high is None:
        between = ""
    elif high is None:
        between = f" greater than {low:g}" if open_ends else f" of at least {low:g}"
    else:
        between = f" between {low:g} and {high:g}" + (" (both excluded)" if open_ends else "")
    return _number(float, f"a number{between}", low, high, default, auto, open_ends=open_ends)


def choice(*values: str, default: Any = None, required: bool = False) -> Parameter:
    """One of a few words."""
    shown = ", ".join(f"'{value}'" for value in values)
    return Parameter(
        str, f"accepts one of the following: {shown}", default, required, lambda v: v in values
    )


def flag(default: bool | str) -> Parameter:
    """`true` or `false`; `auto` too if that is the default."""
    words: dict[str, Any] = {"true": True, "false": False}
    if default == "auto":
        words["auto"] = "auto"
    shown = ", ".join(f"'{word}'" for word in words)
    return Parameter(
        lambda text: words.get(text.lower(), text),
        f"accepts one of the following: {shown}",
        default,
        allowed=lambda value: value in words.values(),
    )


def words(*values: str, default: tuple[str, ...]) -> Parameter:
    """A list of a few words, as JSON (`["msd", "ssd"]`) or with commas."""

    def read(text: str) -> tuple[str, ...]:
        stripped = text.strip().strip("[]()")
        return tuple(word.strip().strip("'\"") for word in stripped.split(",") if word.strip())

    shown = ", ".join(f"'{value}'" for value in values)
    return Parameter(
        read,
        f"accepts a list of the following: {shown}",
        default,
        allowed=lambda given: bool(given) and all(word in values for word in given),
    )


def validate(given: Mapping[str, str], parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """The values of all hyperparameters, typed, the defaults among them.

    Raises:
        ClientError: the first thing that is wrong, with the name and the value.
    """
    missing = [name for name, each in parameters.items() if each.required and name not in given]
    if missing:
        shown = ", ".join(f"'{name}'" for name in missing)
        raise invalid_hyperparameter(
            f"No value(s) were specified for {shown} which are required hyperparameter(s)"
        )
    unknown = sorted(name for name in given if name not in parameters and name not in _INTERNAL)
    if unknown:
        shown = ", ".join(f"'{name}'" for name in unknown)
        verb = "was" if len(unknown) == 1 else "were"
        raise invalid_hyperparameter(
            f"Additional hyperparameters are not allowed ({shown} {verb} unexpected)"
        )
    values = {name: each.default for name, each in parameters.items()}
    for name, text in given.items():
        if name in parameters:
            values[name] = _read(name, text, parameters[name])
    return values


def invalid_hyperparameter(message: str) -> ClientError:
    """The refusal of hyperparameters, as SageMaker shows it."""
    return ClientError(f"{message} (caused by ValidationError)")


def _read(name: str, text: str, parameter: Parameter) -> Any:
    try:
        value = parameter.read(text)
        is_valid = parameter.allowed(value)
    except ValueError:
        is_valid = False
    if is_valid:
        return value
    expects = parameter.expects
    verb = "which" if expects.startswith("accepts") else "which expects"
    raise invalid_hyperparameter(
        f"The value '{text}' is not valid for the '{name}' hyperparameter {verb} {expects}"
    )


def _number(
    kind: type,
    expects: str,
    low: float | None,
    high: float | None,
    default: Any,
    auto: bool,
    *,
    required: bool = False,
    open_ends: bool = False,
) -> Parameter:
    def allowed(value: Any) -> bool:
        if value == "auto":
            return auto
        inside = numpy.isfinite(value)
        if low is not None:
            inside = inside and (value > low if open_ends else value >= low)
        if high is not None:
            inside = inside and (value < high if open_ends else value <= high)
        return bool(inside)

    if auto:
        expects = f"one of the following: the string 'auto'; or {expects}"
    return Parameter(
        lambda text: "auto" if text == "auto" else kind(text), expects, default, required, allowed
    )


# ── data ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Data:
    """The rows of a channel.

    Attributes:
        features: float32, shape (rows, columns).
        labels: float32, shape (rows,); None if the rows have none.
    """

    features: numpy.ndarray
    labels: numpy.ndarray | None


@dataclass(frozen=True)
class Channel:
    """What an algorithm takes as a channel.

    Attributes:
        required: whether a job must have it.
        needs_label: whether its rows must have labels.
        distribution: the only S3DataDistributionType that is taken; None for any.
    """

    required: bool = False
    needs_label: bool = False
    distribution: str | None = None


def read_channels(ml: Path, channels: Mapping[str, Channel]) -> dict[str, Data]:
    """The data of a job, by channel.

    Args:
        ml: the folder that stands for `/opt/ml`.
        channels: what the algorithm takes.

    Raises:
        ClientError: a channel too many or too few, or data that cannot be read.
    """
    path = ml / "input" / "config" / "inputdataconfig.json"
    configuration = json.loads(path.read_text())
    _check_channels(configuration, channels)
    data = {}
    for name, channel in channels.items():
        if name in configuration:
            content_type = configuration[name].get("ContentType") or recordio.CONTENT_TYPE
            data[name] = _read_channel(ml, name, content_type, channel)
    return data


def check_width(data: Mapping[str, Data], expected: int | str) -> int:
    """The number of features, the same in all channels.

    Args:
        expected: the hyperparameter `feature_dim`.

    Raises:
        ClientError: the data have another number of features.
    """
    width = data["train"].features.shape[1] if expected == "auto" else int(expected)
    for name, each in data.items():
        found = each.features.shape[1]
        if found != width:
            raise ClientError(
                f"Incorrect configuration or {name} dataset provided. The value of feature_dim "
                f"hyperparameter '{width}' doesn't match {name} data dimensionality '{found}'. "
                f"Please set feature_dim to the number of features in {name} dataset. (The first "
                "column of text/csv is the label, unless it is text/csv;label_size=0.)"
            )
    return width


def parse_content_type(text: str) -> tuple[str, int]:
    """The content type, and how many columns of CSV are labels: 1 unless it says otherwise.

    Raises:
        ClientError: a content type that the algorithms do not take.
    """
    kind, *options = (part.strip() for part in text.split(";"))
    label_size = 1
    for option in options:
        name, _, value = option.partition("=")
        if name.strip().lower() == "label_size":
            if value.strip() not in ("0", "1"):
                raise ClientError(f"The label_size in '{text}' must be 0 or 1")
            label_size = int(value)
    if kind.lower() not in (CSV, recordio.CONTENT_TYPE):
        raise ClientError(
            f"Content-type '{text}' is not supported. Supported content-types are "
            f"'{recordio.CONTENT_TYPE}' and '{CSV}'"
        )
    return kind.lower(), label_size


def read_csv(content: bytes, label_size: int = 0) -> Data:
    """Rows of CSV without a header.

    Raises:
        ValueError: the text is not a table of numbers; the message says where.
    """
    import pyarrow
    import pyarrow.csv

    try:
        table = pyarrow.csv.read_csv(
            pyarrow.BufferReader(content + b"\n"),  # one row without an end would be overlooked
            read_options=pyarrow.csv.ReadOptions(autogenerate_column_names=True),
            convert_options=pyarrow.csv.ConvertOptions(null_values=[], strings_can_be_null=False),
        )
    except pyarrow.ArrowInvalid as error:
        raise ValueError(str(error)) from error
    columns = [_as_floats(column, number) for number, column in enumerate(table.columns)]
    values = numpy.column_stack(columns).astype(numpy.float32)
    if values.shape[1] <= label_size:
        raise ValueError(f"{values.shape[1]} column(s) leave no feature beside the label")
    labels = values[:, 0] if label_size else None
    return Data(numpy.ascontiguousarray(values[:, label_size:]), labels)


def read_files(files: list[Path], content_type: str) -> Data:
    """All rows of a channel's files.

    Raises:
        ClientError: a content type that the algorithms do not take.
        ValueError: a file that does not hold what the content type says.
    """
    kind, label_size = parse_content_type(content_type)
    parts = []
    for path in files:
        content = path.read_bytes()
        if not content.strip():
            continue
        try:
            if kind == CSV:
                parts.append(read_csv(content, label_size))
            else:
                parts.append(Data(*recordio.read(content)))
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from error
    if not parts:
        return Data(numpy.empty((0, 0), numpy.float32), None)
    widths = sorted({part.features.shape[1] for part in parts})
    if len(widths) > 1:
        raise ValueError(f"the files have different numbers of features: {widths}")
    labelled = [part.labels for part in parts if part.labels is not None]
    if labelled and len(labelled) != len(parts):
        raise ValueError("some files have labels, others have not")
    features = numpy.concatenate([part.features for part in parts])
    return Data(features, numpy.concatenate(labelled) if labelled else None)


def _check_channels(given: Mapping[str, Any], channels: Mapping[str, Channel]) -> None:
    missing = [name for name, each in channels.items() if each.required and name not in given]
    unknown = sorted(name for name in given if name not in channels)
    cause = None
    if missing:
        cause = f"'{missing[0]}' is a required property"
    elif unknown:
        shown = ", ".join(f"'{name}'" for name in unknown)
        verb = "was" if len(unknown) == 1 else "were"
        taken = ", ".join(f"'{name}'" for name in channels)
        cause = (
            f"Additional properties are not allowed ({shown} {verb} unexpected); "
            f"the channels of this algorithm are {taken}"
        )
    for name, channel in channels.items():
        found = given.get(name, {}).get("S3DistributionType", channel.distribution)
        if cause is None and name in given and channel.distribution not in (None, found):
            cause = (
                f"'{found}' is not one of ['{channel.distribution}']\n\n"
                f"On instance['{name}']['S3DistributionType']"
            )
    if cause is not None:
        raise ClientError(
            "Unable to initialize the algorithm. Failed to validate input data configuration. "
            f"(caused by ValidationError)\n\nCaused by: {cause}"
        )


def _read_channel(ml: Path, name: str, content_type: str, channel: Channel) -> Data:
    folder = ml / "input" / "data" / name
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    parse_content_type(content_type)
    try:
        data = read_files(files, content_type)
    except ValueError as error:
        raise _unreadable(name, content_type, str(error)) from error
    if not data.features.shape[0]:
        raise no_data(name)
    if channel.needs_label and data.labels is None:
        raise ClientError(
            f"Labeled {name} data required with label size equal 1. Label size on {name} dataset "
            f"found to be 0. Please provide a properly labeled {name} dataset."
        )
    for kind, values in (("features", data.features), ("label", data.labels)):
        if values is not None:
            _require_finite(name, kind, values)
    return data


def _require_finite(channel: str, kind: str, values: numpy.ndarray) -> None:
    """Refuse missing and infinite values, with the first row that has one."""
    is_missing = numpy.isnan(values)
    is_wrong = is_missing | numpy.isinf(values)
    if not is_wrong.any():
        return
    row = int(numpy.argwhere(is_wrong)[0][0]) + 1
    if is_missing.any():
        found, removed = "missing (NaN) values", "any missing (NaN) values"
        cause = "NaN"
    else:
        found = "infinite floating point values"
        removed, cause = f"any {found}", "Inf"
    raise ClientError(
        f"Unable to read data channel '{channel}'. Found {found}. Please remove {removed} in the "
        f"input data. (caused by MXNetError)\n\nCaused by: (Input Error) ({cause}) in the {kind} "
        f"of row {row}"
    )


def no_data(channel: str) -> ClientError:
    """The refusal of a channel without a single full mini-batch."""
    kind = "training" if channel == "train" else channel
    return ClientError(
        f"No {kind} data processed. Either the {kind} channel is empty or the mini-batch size is "
        f"too high. Verify that {kind} data contains non-empty files and the mini-batch size is "
        "less than the number of records per training host."
    )


def _unreadable(channel: str, content_type: str, cause: str) -> ClientError:
    return ClientError(
        f"Unable to read data channel '{channel}'. Requested content-type is '{content_type}'. "
        "Please verify the data matches the requested content-type. (caused by MXNetError)\n\n"
        f"Caused by: (Input Error) {cause}"
    )


def _as_floats(column: Any, position: int) -> numpy.ndarray:
    import pyarrow

    if pyarrow.types.is_integer(column.type) or pyarrow.types.is_floating(column.type):
        return column.to_numpy().astype(numpy.float64)
    for row, value in enumerate(column.to_pylist(), start=1):
        try:
            float(str(value))
        except ValueError:
            hint = "; the data must have no header" if row == 1 else ""
            raise ValueError(
                f"the value '{value}' in row {row}, column {position + 1} is not a number{hint}"
            ) from None
    return numpy.array([float(str(value)) for value in column.to_pylist()])


# ── log ──────────────────────────────────────────────────────────────────────────────────────────


def log(message: str, level: str = "INFO") -> None:
    """Write a line as the algorithms do: time, level, thread."""
    stamp = time.strftime("%m/%d/%Y %H:%M:%S", time.gmtime())
    print(f"[{stamp} {level} {threading.get_ident()}] {message}", flush=True)


def log_configuration(given: Mapping[str, str], parameters: Mapping[str, Parameter]) -> None:
    """Say what the job was given and what the defaults make of it."""
    defaults = {
        name: str(each.default) for name, each in parameters.items() if each.default is not None
    }
    log(
        "Reading default configuration from /opt/amazon/lib/python3.8/site-packages/algorithm/"
        f"resources/default-input.json: {defaults}"
    )
    log(
        "Merging with provided configuration from /opt/ml/input/config/hyperparameters.json: "
        f"{dict(given)}"
    )
    log(f"Final configuration: {defaults | dict(given)}")


def log_progress(completed: int, total: int) -> None:
    """Say what share of the epochs is done."""
    log(f"#progress_metric: host={HOST}, completed {100 * completed / total:.0f} % of epochs")


def log_throughput(records: int, seconds: float) -> None:
    """Say how many records a second were read."""
    rate = records / max(seconds, 1e-9)
    log(f"#throughput_metric: host={HOST}, train throughput={rate} records/second")


def log_quality(
    channel: str, metric: str, kind: str, value: float, epoch: int | None = None
) -> None:
    """Report a metric in the form that SageMaker reads.

    Args:
        channel: `train`, `validation` or `test`.
        metric: the name that the algorithm has for it.
        kind: `loss` if less is better, `score` if more is.
        epoch: from 0; None for the final model.
    """
    at = "" if epoch is None else f" epoch={epoch},"
    log(f"#quality_metric: host={HOST},{at} {channel} {metric} <{kind}>={value}")


def log_scores(channel: str, scores: Mapping[str, tuple[str, float]]) -> None:
    """Report the final model's metrics, each `(kind, value)` by its name."""
    for metric, (_, value) in scores.items():
        log(f"#{channel}_score ({HOST}) : ('{metric}', {value})")
    for metric, (kind, value) in scores.items():
        log_quality(channel, metric, kind, value)


# ── a job ────────────────────────────────────────────────────────────────────────────────────────


def run(ml: Path, train: Callable[[Path, dict[str, str]], None]) -> int:
    """Run a training job. Returns the exit status, 2 for a fault of the request.

    Args:
        ml: the folder that stands for `/opt/ml`.
        train: the algorithm; it gets the folder and the hyperparameters as they were given.
    """
    print("Docker entrypoint called with argument(s): train", flush=True)
    print("Running default environment configuration script", flush=True)
    configuration = ml / "input" / "config"
    given = json.loads((configuration / "hyperparameters.json").read_text())
    try:
        _require_one_host(configuration / "resourceconfig.json")
        train(ml, given)
    except ClientError as error:
        log(f"Customer Error: {error}", "ERROR")
        _write_failure(ml, str(error))
        return CLIENT_ERROR_STATUS
    except Exception as error:
        log(f"Algorithm Error: {type(error).__name__}: {error}", "ERROR")
        _write_failure(ml, f"{type(error).__name__}: {error}")
        raise
    return 0


def _require_one_host(path: Path) -> None:
    hosts = json.loads(path.read_text())["hosts"] if path.exists() else [HOST]
    if len(hosts) > 1:
        raise ClientError(
            f"The job has {len(hosts)} instances. The offline AWS trains its built-in algorithms "
            "on one: set InstanceCount to 1."
        )


def _write_failure(ml: Path, message: str) -> None:
    (ml / "output").mkdir(exist_ok=True)
    (ml / "output" / "failure").write_text(message)
