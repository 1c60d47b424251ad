"""What the built-in algorithms share when they answer: the formats of requests and of answers.

Source: "Common Data Formats for Inference",
https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-inference.html, and the page "Response Formats"
of each algorithm.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy

from ..inference import CSV, JSON, Answer, RequestError
from . import recordio
from .channels import parse_content_type, read_csv
from .common import ClientError

JSON_LINES = "application/jsonlines"
# The answer for one row: numbers, or lists of numbers, by name.
Row = dict[str, Any]


class BuiltInModel:
    """An artifact of a built-in algorithm, ready to answer.

    Attributes:
        width: the number of features that a row must have.
        list_name: what the list of answers is called in JSON.
        csv_columns: the order of the values in CSV; empty if the algorithm has no such answer.
    """

    list_name = "predictions"
    csv_columns: tuple[str, ...] = ()

    def __init__(self, width: int) -> None:
        self.width = width

    def predict(self, rows: numpy.ndarray) -> Iterable[Row]:
        """The answers for rows of float32, shape (rows, width)."""
        raise NotImplementedError

    def invoke(self, body: bytes, content_type: str | None, accept: str | None) -> Answer:
        """Answer one request.

        Raises:
            RequestError: 415 for a content type that there is not, 406 for such an answer, 400 for
                a body that cannot be read or has another number of features.
        """
        if not body:
            return Answer(b"", JSON, 204)
        wanted = self._accepted(accept)
        rows = read_rows(body, content_type)
        if rows.shape[1] != self.width:
            raise _bad_payload(
                f"the rows have {rows.shape[1]} features, the model was trained with {self.width}"
            )
        if not numpy.isfinite(rows).all():
            raise _bad_payload("a feature is missing or infinite")
        return self._encode(list(self.predict(rows)), wanted)

    def _accepted(self, accept: str | None) -> str:
        known = [JSON, JSON_LINES, recordio.CONTENT_TYPE, *([CSV] if self.csv_columns else [])]
        # A client may name several, the one that it likes best first.
        for part in (accept or "*/*").split(","):
            kind = part.partition(";")[0].strip().lower()
            if kind in ("", "*/*", "application/*"):
                return JSON
            if kind in known:
                return kind
        raise RequestError(
            406, f"Accept type '{accept}' is not supported. Supported are {', '.join(known)}."
        )

    def _encode(self, rows: list[Row], kind: str) -> Answer:
        if kind == JSON:
            content = json.dumps({self.list_name: rows}).encode()
        elif kind == JSON_LINES:
            content = "".join(json.dumps(row) + "\n" for row in rows).encode()
        elif kind == CSV:
            lines = (",".join(str(row[name]) for name in self.csv_columns) for row in rows)
            content = "".join(line + "\n" for line in lines).encode()
        else:
            content = recordio.write_labels(
                {name: _as_list(value) for name, value in row.items()} for row in rows
            )
        return Answer(content, kind)


def read_rows(body: bytes, content_type: str | None) -> numpy.ndarray:
    """The features in a request, float32, shape (rows, features).

    Raises:
        RequestError: 415 for a content type that there is not, 400 for a body that is not of it.
    """
    kind = (content_type or JSON).partition(";")[0].strip().lower()
    try:
        if kind == JSON:
            rows = _rows_of_json(json.loads(body))
        elif kind == JSON_LINES:
            rows = _stack([_features(json.loads(line)) for line in body.splitlines() if line])
        elif kind == recordio.CONTENT_TYPE:
            rows, _ = recordio.read(body)
        elif kind == CSV:
            # A request has no labels unless its content type says so.
            _, label_size = parse_content_type(content_type or CSV)
            has_labels = "label_size" in (content_type or "").lower() and label_size
            rows = read_csv(body, int(bool(has_labels))).features
        else:
            raise RequestError(
                415,
                f"content-type {kind} not supported; supported are {JSON}, {JSON_LINES}, "
                f"{recordio.CONTENT_TYPE} and {CSV}",
            )
    except (ClientError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _bad_payload(_described(error)) from error
    if not rows.size:
        raise _bad_payload("there are no rows in it")
    return rows


def _rows_of_json(request: Any) -> numpy.ndarray:
    if not isinstance(request, dict) or not isinstance(request.get("instances"), list):
        raise ValueError('the JSON is not an object like {"instances": [{"features": [1.5, 16]}]}')
    return _stack([_features(instance) for instance in request["instances"]])


def _features(instance: Any) -> numpy.ndarray:
    """The features of one instance: dense or sparse, in short or in full."""
    data = instance.get("data", instance)
    features = data["features"]
    if isinstance(features, list):
        return numpy.array(features, numpy.float32)
    values = numpy.array(features["values"], numpy.float32)
    keys = features.get("keys")
    if not keys:
        return values
    dense = numpy.zeros(int(numpy.prod(features["shape"])), numpy.float32)
    try:
        dense[numpy.array(keys)] = values
    except IndexError as error:
        raise ValueError(str(error)) from error
    return dense


def _stack(rows: list[numpy.ndarray]) -> numpy.ndarray:
    if any(row.ndim != 1 for row in rows):
        raise ValueError("the features of an instance must be a list of numbers")
    widths = sorted({row.size for row in rows})
    if len(widths) > 1:
        raise ValueError(f"the instances have different numbers of features: {widths}")
    return numpy.vstack(rows) if rows else numpy.empty((0, 0), numpy.float32)


def _described(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return str(error)


def _bad_payload(cause: str) -> RequestError:
    return RequestError(400, f"unable to evaluate payload provided: {cause}")


def _as_list(value: Any) -> list[float]:
    return [float(each) for each in value] if isinstance(value, list) else [float(value)]
