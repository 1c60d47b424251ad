"""The data of a training job: channels with rows of CSV or records.

Source: "Common Data Formats for Training",
https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-training.html. The wording of the messages is
that of AWS's own toolkit, https://github.com/aws/sagemaker-rl-container (folder `src/vw-serving`,
modules `sagemaker.exceptions` and `sagemaker.validation`; Apache License 2.0).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from . import recordio
from .common import ClientError

CSV = "text/csv"


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
    # An empty cell is a missing value.
    texts = [str(value).strip() or "nan" for value in column.to_pylist()]
    for row, value in enumerate(texts, start=1):
        try:
            float(value)
        except ValueError:
            hint = "; the data must have no header" if row == 1 else ""
            raise ValueError(
                f"the value '{value}' in row {row}, column {position + 1} is not a number{hint}"
            ) from None
    return numpy.array([float(text) for text in texts])
