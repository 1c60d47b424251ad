"""SageMaker's built-in XGBoost algorithm: the training program of its container.

It reads what the real one reads (hyperparameters, channels `train` and `validation`), trains with
the installed `xgboost`, prints one line per round, and leaves `xgboost-model`.
"""

from __future__ import annotations

import contextlib
import csv
import importlib
import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from .xgboost_hyperparameters import MAXIMIZED, MINIMIZED, UserError, validate

MODEL_FILE = "xgboost-model"
CHANNELS = ("train", "validation")
CONTENT_TYPES = (
    "csv", "libsvm", "parquet", "recordio-protobuf", "text/csv", "text/libsvm", "text/x-libsvm",
    "application/x-parquet", "application/x-recordio-protobuf",
)  # fmt: skip
_THREADS = 1
# Metrics of the container's own, computed from labels; the others are XGBoost's.
_COMPUTED = {
    "accuracy", "balanced_accuracy", "f1", "f1_binary", "f1_macro", "mse", "precision",
    "precision_macro", "precision_micro", "r2", "recall", "recall_macro", "recall_micro",
}  # fmt: skip
# Errors of XGBoost's that the data or the settings cause, not the program.
_CAUSED_BY_USER = (
    "label must be in [0,1]",
    "label must be in [0, num_class)",
    "feature_names mismatch",
    "Check failed: preds.size() == info.labels",
    "the dataset only contains pos or neg samples",
    "base_score must be in (0,1)",
    "label must be nonnegative",
    "Parameter reg_lambda should be greater equal to 0",
)


class AlgorithmError(Exception):
    """A failure of the algorithm itself."""


def metric_definitions() -> list[dict[str, str]]:
    """What SageMaker reads from this algorithm's log, as DescribeTrainingJob shows it."""
    number = r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)"
    return [
        {
            "Name": f"{channel}:{metric}",
            "Regex": rf".*\[[0-9]+\].*#011{channel}-{metric}:{number}.*",
        }
        for channel in CHANNELS
        for metric in sorted((*MAXIMIZED, *MINIMIZED))
    ]


def main(arguments: list[str]) -> int:
    """Train in the `/opt/ml` at the path given. Returns the exit status."""
    ml = Path(arguments[0])
    try:
        train(ml)
    except (UserError, AlgorithmError) as error:
        kind = f"sagemaker_algorithm_toolkit.exceptions.{type(error).__name__}"
        failure = f"framework error: \n{kind}: {error}"
        (ml / "output").mkdir(exist_ok=True)
        (ml / "output" / "failure").write_text(failure)
        _log(failure, "ERROR")
        return 1
    return 0


def train(ml: Path) -> None:
    """Train the model of a job and leave it in the folder `model`.

    Args:
        ml: the folder that stands for `/opt/ml`.

    Raises:
        UserError: hyperparameters, channels or data that the algorithm does not take.
        AlgorithmError: XGBoost failed for another reason.
    """
    _log("Imported framework sagemaker_xgboost_container.training")
    _log("No GPUs detected (normal if no gpus installed)")
    _log("Running XGBoost Sagemaker in algorithm mode")
    configuration = ml / "input" / "config"
    settings = validate(json.loads((configuration / "hyperparameters.json").read_text()))
    channels = json.loads((configuration / "inputdataconfig.json").read_text())
    content_type = _check_channels(channels)
    weighted = settings.pop("csv_weights", 0) == 1
    if settings.pop("use_dask_gpu_training", "false") == "true":
        raise UserError("use_dask_gpu_training needs GPUs; the instance has none.")
    _log("Determined 0 GPU(s) available on the instance.")
    data = {}
    for channel in CHANNELS:
        if channel in channels:
            folder = ml / "input" / "data" / channel
            data[channel] = load(folder, channel, content_type, weighted)
    _log("Single node training.")
    rows, columns = data["train"].num_row(), data["train"].num_col()
    _log(f"Train matrix has {rows} rows and {columns} columns")
    if "validation" in data:
        _log(f"Validation matrix has {data['validation'].num_row()} rows")
    for channel, matrix in data.items():
        _check_labels(settings, channel, matrix)
    booster = _boost(settings, data, ml / "model")
    _save(booster, ml / "model")


def library() -> ModuleType:
    """The `xgboost` library, imported without scikit-learn.

    `xgboost` imports scikit-learn for its estimator classes, which are not used here, and that
    takes twice as long as everything else: one and a half seconds for each job and endpoint.
    """
    name = "sklearn"
    if "xgboost" not in sys.modules and name not in sys.modules:
        sys.modules[name] = None  # type: ignore[assignment]  # Python's way to forbid an import
        try:
            return importlib.import_module("xgboost")
        finally:
            del sys.modules[name]
    return importlib.import_module("xgboost")


def load(folder: Path, channel: str, content_type: str, weighted: bool = False) -> Any:
    """Read the files of a channel as an `xgboost.DMatrix`.

    Args:
        folder: where the channel's files lie, at any depth.
        channel: its name, for messages.
        content_type: `csv`, `libsvm`, `parquet` or `recordio-protobuf`; in tables the label comes
            first, and there is no header.
        weighted: whether the second column of CSV files is the weight of the row.

    Raises:
        UserError: no files, or files that do not hold what the content type says.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    if any(path.name.startswith(".") for path in files):
        raise UserError("Hidden file found in the data path! Remove that before training.")
    files = [path for path in files if not path.name.startswith("_")]
    if sum(path.stat().st_size for path in files) == 0:
        kind = "training" if channel == "train" else channel
        raise UserError(f"No data in {kind} channel path /opt/ml/input/data/{channel}")
    readers = {
        "csv": _read_csv,
        "libsvm": _read_libsvm,
        "parquet": _read_parquet,
        "recordio-protobuf": _read_recordio,
    }
    try:
        matrix = readers[content_type](files, weighted)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"Failed to load {content_type} data with exception:\n{error}") from error
    if matrix.get_label().size == 0:
        raise UserError("Got input data without labels. Please check the input data set.")
    return matrix


def content_type_of(text: str | None) -> str:
    """`csv`, `libsvm`, `parquet` or `recordio-protobuf`; libsvm where nothing is said.

    Raises:
        UserError: a content type that the algorithm does not take.
    """
    if not text:
        return "libsvm"
    kind, *parameters = (part.strip() for part in text.lower().split(";"))
    if kind not in CONTENT_TYPES:
        raise UserError(f"{text} is not an accepted ContentType: {', '.join(CONTENT_TYPES)}.")
    short = kind.removeprefix("text/").removeprefix("application/").removeprefix("x-")
    sizes = [each for each in parameters if each.replace(" ", "").startswith("label_size=")]
    if short == "csv" and any(each.replace(" ", "") != "label_size=1" for each in sizes):
        raise UserError(
            f"{text} is not an accepted csv ContentType. "
            "Optional parameter label_size must be equal to 1"
        )
    return short


def _check_channels(channels: dict[str, dict[str, str]]) -> str:
    """The content type of the data. Raises UserError for a channel too many or too few."""
    if "train" not in channels:
        raise UserError("Missing required channel: train")
    for name, channel in channels.items():
        if name not in (*CHANNELS, "code"):
            raise UserError(f"Extraneous channel found: {name}")
        content_type_of(channel.get("ContentType"))
    return content_type_of(channels["train"].get("ContentType"))


def _check_labels(settings: dict[str, Any], channel: str, matrix: Any) -> None:
    """Refuse labels that the objective cannot have.

    XGBoost refuses them too, but what it names is a value that it has computed from them.
    """
    labels = matrix.get_label()
    objective = settings.get("objective", "")
    low, high = float(labels.min()), float(labels.max())
    if objective in ("binary:logistic", "binary:logitraw", "reg:logistic"):
        problem = "label must be in [0,1] for logistic regression"
        wrong = low < 0 or high > 1
    elif objective.startswith("multi:"):
        problem = f"label must be in [0, num_class), num_class is {settings['num_class']}"
        wrong = low < 0 or high >= settings["num_class"]
    else:
        return
    if wrong:
        raise UserError(f"{problem}; the labels in channel {channel} go from {low:g} to {high:g}")


def _read_csv(files: list[Path], weighted: bool) -> Any:
    import numpy
    import pyarrow.csv

    xgboost = library()

    delimiter = _delimiter(files[0])
    parts = []
    for path in files:
        if path.stat().st_size == 0:
            continue
        try:
            table = pyarrow.csv.read_csv(
                path,
                read_options=pyarrow.csv.ReadOptions(autogenerate_column_names=True),
                parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter),
                convert_options=pyarrow.csv.ConvertOptions(
                    null_values=["", "nan", "NaN", "NA", "null", "NULL"]
                ),
            )
        except pyarrow.ArrowInvalid as error:
            raise ValueError(f"{path.name}: {error}") from error
        parts.append(_as_numbers(table, path.name))
    widths = {part.shape[1] for part in parts}
    if len(widths) > 1:
        raise ValueError(f"The files have different numbers of columns: {sorted(widths)}")
    values = numpy.concatenate(parts)
    first = 2 if weighted else 1
    if values.shape[1] <= first:
        raise ValueError(f"{values.shape[1]} column(s) leave no feature beside the label")
    weight = values[:, 1] if weighted else None
    label = values[:, 0]
    return xgboost.DMatrix(values[:, first:], label=label, weight=weight, nthread=_THREADS)


def _as_numbers(table: Any, name: str) -> Any:
    """The table as an array of float32. Raises ValueError that names the first text in it."""
    import numpy
    import pyarrow
    from pyarrow import compute

    columns = []
    for position, column in enumerate(table.columns):
        if pyarrow.types.is_boolean(column.type) or pyarrow.types.is_null(column.type):
            column = column.cast(pyarrow.float32())
        if not (pyarrow.types.is_integer(column.type) or pyarrow.types.is_floating(column.type)):
            _refuse_text(column, position, name)
        numbers = compute.cast(column, pyarrow.float64(), safe=False)
        columns.append(numbers.to_numpy().astype(numpy.float32))
    return numpy.column_stack(columns)


def _refuse_text(column: Any, position: int, name: str) -> None:
    for row, value in enumerate(column.to_pylist(), start=1):
        try:
            float(value if value is not None else "nan")
        except (TypeError, ValueError):
            hint = ". The data must have no header." if row == 1 else ""
            raise ValueError(
                f"could not convert string to float: {str(value)!r} "
                f"({name}, row {row}, column {position + 1}){hint}"
            ) from None
    raise ValueError(f"column {position + 1} of {name} does not hold numbers")


def _delimiter(path: Path) -> str:
    with path.open(errors="ignore") as lines:
        line = lines.readline()
    try:
        delimiter = csv.Sniffer().sniff(line).delimiter
    except csv.Error as error:
        raise UserError(f"Could not determine delimiter on line {line[:50]}:\n{error}") from error
    # A line such as `0.5` or `1e5` makes the sniffer take a part of a number for the delimiter.
    delimiter = "," if delimiter.isalnum() or delimiter in ".-+" else delimiter
    _log(f"Determined delimiter of CSV input is '{delimiter}'")
    return delimiter


def _read_parquet(files: list[Path], weighted: bool) -> Any:
    import numpy
    import pyarrow.parquet

    xgboost = library()

    tables = [pyarrow.parquet.read_table(path) for path in files]
    values = numpy.concatenate(
        [_as_numbers(table, path.name) for table, path in zip(tables, files, strict=True)]
    )
    return xgboost.DMatrix(values[:, 1:], label=values[:, 0], nthread=_THREADS)


def _read_recordio(files: list[Path], weighted: bool) -> Any:
    """Records with the label and the features; what a sparse record leaves out is missing."""
    import numpy

    from .builtin import recordio

    content = b"".join(path.read_bytes() for path in files)
    features, labels = recordio.read(content, absent=numpy.nan)
    return library().DMatrix(features, label=labels, nthread=_THREADS)


def _read_libsvm(files: list[Path], weighted: bool) -> Any:
    """Lines `label[:weight] index:value …`; indices count from 0, as XGBoost reads them."""
    import numpy
    import scipy.sparse

    xgboost = library()

    labels, weights, values, indices, starts = [], [], [], [], [0]
    for path in files:
        with path.open(errors="replace") as lines:
            for number, line in enumerate(lines, start=1):
                words = line.partition("#")[0].split()
                if not words:
                    continue
                try:
                    label, _, weight = words[0].partition(":")
                    labels.append(float(label))
                    weights.append(float(weight or 1))
                    for index, separator, value in (word.partition(":") for word in words[1:]):
                        if not separator:
                            raise ValueError(index)
                        if index != "qid":
                            indices.append(int(index))
                            values.append(float(value))
                except ValueError:
                    raise UserError(
                        f"First line '{line.strip()[:50]}...' of file '{path.name}' is not "
                        "'LIBSVM' format. Please ensure the file is in 'LIBSVM' format."
                        if number == 1
                        else f"Line {number} '{line.strip()[:50]}...' of file '{path.name}' is "
                        "not 'LIBSVM' format."
                    ) from None
                starts.append(len(indices))
    features = scipy.sparse.csr_matrix(
        (numpy.array(values, numpy.float32), numpy.array(indices, numpy.int32), starts)
    )
    return xgboost.DMatrix(features, label=labels, weight=weights, nthread=_THREADS)


def _boost(settings: dict[str, Any], data: dict[str, Any], model: Path) -> Any:
    xgboost = library()

    settings = dict(settings)
    rounds = settings.pop("num_round")
    patience = settings.pop("early_stopping_rounds", None)
    keep_on_stop = settings.pop("save_model_on_termination", "false") == "true"
    asked = settings.pop("eval_metric", [])
    objective = settings.pop("_tuning_objective_metric", None)
    if objective:
        asked = sorted({*asked, objective.partition(":")[2]})
    own = [name for name in asked if name not in _COMPUTED]
    computed = [name for name in asked if name in _COMPUTED]
    parameters = {name: _parameter(value) for name, value in settings.items()}
    parameters = {"nthread": _THREADS} | parameters
    if own:
        parameters["eval_metric"] = own
    elif computed:
        parameters["disable_default_eval_metric"] = True
    # First in the list: whoever ends the training ends the round for those behind it.
    callbacks: list[Any] = [xgboost.callback.EvaluationMonitor()]
    if patience:
        metric = asked[-1] if asked else None
        name = "validation" if "validation" in data else "train"
        maximize = metric.partition("@")[0] in MAXIMIZED if metric else None
        callbacks.append(
            xgboost.callback.EarlyStopping(
                rounds=patience,
                metric_name=metric,
                data_name=name,
                maximize=maximize,
                save_best=True,
            )
        )
    if keep_on_stop:
        callbacks.append(_keep_model(model))
    try:
        return xgboost.train(
            parameters,
            data["train"],
            num_boost_round=rounds,
            evals=[(matrix, name) for name, matrix in data.items()],
            custom_metric=_Computed(computed, settings) if computed else None,
            callbacks=callbacks,
            verbose_eval=False,
        )
    except Exception as error:
        text = _first_line(error)
        if any(cause in str(error) for cause in _CAUSED_BY_USER):
            raise UserError(text) from error
        raise AlgorithmError(f"XGB train call failed with exception:\n {text}") from error


def _parameter(value: Any) -> Any:
    """A validated hyperparameter as XGBoost takes it."""
    if isinstance(value, tuple):
        return f"({','.join(map(str, value))})"
    if isinstance(value, list):
        return str(value) if value and isinstance(value[0], list) else ",".join(map(str, value))
    return value


class _Computed:
    """The container's own metrics, of labels and predictions, with scikit-learn's functions."""

    def __init__(self, names: list[str], settings: dict[str, Any]) -> None:
        self._names = names
        self._objective = settings.get("objective", "reg:squarederror")

    def __call__(self, predictions: Any, matrix: Any) -> list[tuple[str, float]]:
        from sklearn import metrics

        truth = matrix.get_label()
        scores = {"mse": metrics.mean_squared_error, "r2": metrics.r2_score}
        labels = self._labels(predictions)
        found = []
        for name in self._names:
            if name in scores:
                value = scores[name](truth, predictions)
            elif name in ("accuracy", "balanced_accuracy"):
                value = getattr(metrics, f"{name}_score")(truth, labels)
            else:
                kind, _, average = name.partition("_")
                default = "macro" if self._is_multiclass or kind == "f1" else "binary"
                function = getattr(metrics, f"{kind}_score")
                value = function(truth, labels, average=average or default, zero_division=0)
            found.append((name, float(value)))
        return found

    @property
    def _is_multiclass(self) -> bool:
        return self._objective.startswith("multi:")

    def _labels(self, predictions: Any) -> Any:
        if getattr(predictions, "ndim", 1) > 1:
            return predictions.argmax(axis=1)
        if self._objective == "multi:softmax":
            return predictions
        boundary = 0.0 if self._objective == "binary:logitraw" else 0.5
        return (predictions > boundary).astype(int)


def _keep_model(folder: Path) -> Any:
    """A callback that keeps the model of each round, so that a job that is stopped leaves one."""
    xgboost = library()

    class KeepModel(xgboost.callback.TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: dict) -> bool:
            _save(model, folder)
            return False

    return KeepModel()


def _save(booster: Any, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f".{MODEL_FILE}"
    new.write_bytes(booster.save_raw("ubj"))
    os.replace(new, folder / MODEL_FILE)


def _first_line(error: Exception) -> str:
    """The message of an error of XGBoost's without the time and the stack trace."""
    lines: Iterable[str] = str(error).splitlines()
    kept = []
    for line in lines:
        if line.startswith("Stack trace"):
            break
        kept.append(line)
    text = "\n".join(kept).strip()
    with contextlib.suppress(ValueError):
        stamp, rest = text.split("] ", 1)
        if stamp.startswith("[") and stamp.count(":") == 2:
            return rest
    return text


def _log(message: str, level: str = "INFO") -> None:
    stamp = time.strftime("%Y-%m-%d:%H:%M:%S", time.gmtime())
    print(f"[{stamp}:{level}] {message}", flush=True)
