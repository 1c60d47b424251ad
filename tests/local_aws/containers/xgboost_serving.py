"""How SageMaker's XGBoost image serves a model, with and without a user's script.

Without one (algorithm mode) it takes CSV and libsvm, one row per line and no label, and records. It
answers with one prediction per row; the variable SAGEMAKER_INFERENCE_OUTPUT of the model asks for
more than the prediction. Source: https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost.html and
https://github.com/aws/sagemaker-xgboost-container
"""

from __future__ import annotations

import csv
import json
import os
import pickle
from pathlib import Path
from typing import Any

from .inference import CSV, JSON, Answer, Defaults, RequestError
from .xgboost import content_type_of, library
from .xgboost_hyperparameters import UserError

JSON_LINES = "application/jsonlines"
_PROBABILITIES = ("probability", "probabilities")
_LABELS = ("predicted_label", "labels")
_SCORES = ("raw_score", "raw_scores")
# What can be asked for with SAGEMAKER_INFERENCE_OUTPUT, by objective.
_SELECTABLE = {
    "reg:squarederror": ("predicted_score",),
    "reg:logistic": ("predicted_score",),
    "reg:gamma": ("predicted_score",),
    "reg:tweedie": ("predicted_score",),
    "binary:logistic": (*_LABELS, *_PROBABILITIES, *_SCORES),
    "binary:logitraw": (*_LABELS, *_SCORES),
    "binary:hinge": (*_LABELS, *_SCORES),
    "multi:softmax": (*_LABELS, *_SCORES),
    "multi:softprob": (*_LABELS, *_PROBABILITIES, *_SCORES),
}


class XGBoostModel:
    """An artifact of the built-in algorithm, ready to answer."""

    def __init__(self, folder: Path) -> None:
        self._boosters = load_boosters(folder)
        self._features = self._boosters[0].num_features()
        configuration = json.loads(self._boosters[0].save_config())["learner"]
        self._objective = configuration["objective"]["name"]
        self._classes = int(configuration["learner_model_param"].get("num_class", 0))
        self._is_linear = configuration["learner_train_param"]["booster"] == "gblinear"

    def invoke(self, body: bytes, content_type: str | None, accept: str | None) -> Answer:
        """Answer one request.

        Raises:
            RequestError: 415 for a content type or a body that cannot be read, 400 for rows of the
                wrong width, 406 for an answer in a form that there is not.
        """
        if not body:
            return Answer(b"", "text/html; charset=utf-8", 204)
        rows, kind = _read(body, content_type)
        width = rows.shape[1]
        if kind != "libsvm" and width != self._features:
            raise RequestError(
                400,
                f"Unable to evaluate payload provided: Feature size of {kind} inference data "
                f"{width} is not consistent with feature size of trained model {self._features}.",
            )
        if width > self._features:
            raise RequestError(
                400,
                f"Unable to evaluate payload provided: Feature size of {kind} inference data "
                f"{width} is larger than feature size of trained model {self._features}.",
            )
        if width < self._features:  # Only libsvm leaves out what is zero.
            rows.resize(rows.shape[0], self._features)
        try:
            predictions = self._predict(rows)
        except Exception as error:
            message = str(error).partition("\nStack trace")[0]
            raise RequestError(400, f"Unable to evaluate payload provided: {message}") from error
        return self._answer(predictions, _accepted(accept))

    def _predict(self, rows: Any) -> Any:
        total = None
        for booster in self._boosters:
            if self._is_linear:
                values = booster.predict(library().DMatrix(rows), validate_features=False)
            else:
                values = booster.inplace_predict(rows, validate_features=False)
            total = values if total is None else total + values
        return total / len(self._boosters)

    def _answer(self, predictions: Any, accept: str) -> Answer:
        selected = os.environ.get("SAGEMAKER_INFERENCE_OUTPUT", "").replace(" ", "").lower()
        if selected:
            return self._answer_selected(predictions, selected.split(","), accept)
        values = predictions.tolist()
        if accept == JSON:
            text = json.dumps({"predictions": [{"score": value} for value in values]})
        elif accept == JSON_LINES:
            text = "".join(json.dumps({"score": value}) + "\n" for value in values)
        else:
            text = "".join(f"{value}\n" for value in values)
        return Answer(text.encode(), _mime(accept))

    def _answer_selected(self, predictions: Any, keys: list[str], accept: str) -> Answer:
        possible = _SELECTABLE.get(self._objective)
        if possible is None:
            raise RequestError(
                500,
                f"Objective `{self._objective}` unsupported for selectable inference predictions.",
            )
        rows = [
            {key: self._value(key, each) if key in possible else float("nan") for key in keys}
            for each in predictions
        ]
        if accept == JSON:
            text = json.dumps({"predictions": rows})
        elif accept == JSON_LINES:
            text = "".join(json.dumps(row) + "\n" for row in rows)
        else:
            quoted = [
                ",".join(f'"{item}"' if isinstance(item, list) else str(item) for item in values)
                for values in (row.values() for row in rows)
            ]
            text = "\n".join(quoted)
        return Answer(text.encode(), _mime(accept))

    def _value(self, key: str, prediction: Any) -> Any:
        """One piece of what a prediction says: `prediction` is a number, or one per class."""
        per_class = prediction.tolist()
        several = isinstance(per_class, list)
        if key == "labels":
            return [0, 1] if self._objective.startswith("binary:") else list(range(self._classes))
        if key == "predicted_label":
            if several:
                return int(prediction.argmax())
            if self._objective in ("binary:logistic", "binary:logitraw"):
                return int(per_class > (0.5 if self._objective == "binary:logistic" else 0.0))
            return per_class
        if key in ("probability", "raw_score", "predicted_score"):
            return max(per_class) if several else per_class
        return per_class if several else [1.0 - per_class, per_class]


class XGBoostDefaults(Defaults):
    """The functions of the image for a user's `inference.py`: rows become a `DMatrix`."""

    def input_fn(self, body: str | bytes, content_type: str) -> Any:
        """The rows as an `xgboost.DMatrix`."""
        import xgboost

        content = body.encode() if isinstance(body, str) else body
        return xgboost.DMatrix(_read(content, content_type)[0])

    def predict_fn(self, data: Any, model: Any) -> Any:
        """The booster's prediction."""
        return model.predict(data, validate_features=False)


def load_boosters(folder: Path) -> list[Any]:
    """The models in a folder: all files, written by `save_model` or pickled.

    Raises:
        RuntimeError: there is none, or one is neither.
    """
    xgboost = library()

    boosters = []
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        content = path.read_bytes()
        try:
            # The format of earlier images was a pickle. It runs code, which is the user's own.
            booster = pickle.loads(content)
        except Exception as not_pickled:
            booster = xgboost.Booster()
            try:
                booster.load_model(bytearray(content))
            except xgboost.core.XGBoostError as error:
                raise RuntimeError(
                    f"Model at {path} cannot be loaded:\n{not_pickled}\n{error}"
                ) from None
        booster.set_param({"nthread": 1})
        boosters.append(booster)
    if not boosters:
        raise RuntimeError(f"No model found in {folder}")
    return boosters


def _read(body: bytes, content_type: str | None) -> tuple[Any, str]:
    """The rows of a request, and `csv`, `libsvm` or `recordio-protobuf`."""
    try:
        kind = content_type_of(content_type)
    except UserError as error:
        raise RequestError(415, str(error)) from error
    if kind == "parquet":
        raise RequestError(415, f"Content-type {content_type} is not supported.")
    try:
        if kind == "recordio-protobuf":
            return _rows_of_records(body), kind
        text = body.strip().decode("utf-8")
        return (_rows_of_csv(text) if kind == "csv" else _rows_of_libsvm(text)), kind
    except Exception as error:
        raise RequestError(
            415,
            f"Loading {kind} data failed with Exception, please ensure data is in {kind} format:\n"
            f" {type(error)}\n {error}",
        ) from error


def _rows_of_records(body: bytes) -> Any:
    import numpy

    from .builtin import recordio

    return recordio.read(body, absent=numpy.nan)[0]


def _rows_of_csv(text: str) -> Any:
    import numpy

    lines = text.splitlines()
    delimiter = "," if "," in lines[0] else _other_delimiter(lines[0])
    cells = [line.split(delimiter) for line in lines]
    try:
        return numpy.array(cells, dtype=numpy.float32)
    except ValueError:
        # An empty cell is a missing value.
        return numpy.array(
            [[cell.strip() or "nan" for cell in row] for row in cells], dtype=numpy.float32
        )


def _other_delimiter(line: str) -> str:
    try:
        delimiter = csv.Sniffer().sniff(line[:512]).delimiter
    except csv.Error:
        return ","
    return "," if delimiter.isalnum() or delimiter in ".-+" else delimiter


def _rows_of_libsvm(text: str) -> Any:
    import numpy
    import scipy.sparse

    values, columns, starts = [], [], [0]
    for line in text.splitlines():
        for item in line.split():
            column, separator, value = item.partition(":")
            if separator:
                columns.append(int(column))
                values.append(float(value))
        starts.append(len(columns))
    return scipy.sparse.csr_matrix(
        (numpy.array(values, numpy.float32), numpy.array(columns, numpy.int32), starts)
    )


def _accepted(accept: str | None) -> str:
    """The content type of the answer. Raises RequestError 406 for one that there is not."""
    kind = (accept or "").partition(";")[0].strip().lower()
    if kind in ("", "*/*"):
        kind = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", CSV)
    if kind not in (JSON, JSON_LINES, CSV):
        raise RequestError(
            406,
            f"Accept type {accept} is not supported. "
            f"Please use supported accept types: {[JSON, JSON_LINES, CSV]}.",
        )
    return kind


def _mime(kind: str) -> str:
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
