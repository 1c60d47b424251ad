"""A linear model and its artifact: `model_algo-1`, a zip of what MXNet calls a module.

It holds `mx-mod-symbol.json`, the network, `mx-mod-0000.params`, its arrays `fc0_weight`, shape
(outputs, features), and `fc0_bias`, and what the network cannot say in `additional-params.json`.
AWS does not document the last one and `manifest.json`; their content here is for this package.
"""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from . import ndarray
from .common import MODEL_FILE
from .linear_models import Array, sigmoid, softmax

_ACTIVATIONS = {"logistic": "sigmoid", "softmax_loss": "softmax"}
# A fixed date, so that the same model gives the same file.
_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class LinearModel:
    """A model that works on features as they are.

    Attributes:
        predictor_type, loss: as the hyperparameters name them.
        weights: shape (outputs, features).
        biases: shape (outputs,).
        threshold: the least score that binary classification calls 1.
    """

    predictor_type: str
    loss: str
    weights: Array
    biases: Array
    threshold: float = dataclasses.field(default=float("nan"))

    def __post_init__(self) -> None:
        if numpy.isnan(self.threshold):
            usual = 0.0 if self.loss == "hinge_loss" else 0.5
            object.__setattr__(self, "threshold", usual)

    def with_threshold(self, threshold: float) -> LinearModel:
        """The same model with another threshold."""
        return dataclasses.replace(self, threshold=threshold)

    def outputs(self, rows: Array) -> Array:
        """The linear functions of rows, shape (rows, outputs)."""
        return rows.astype(numpy.float64) @ self.weights.T + self.biases

    def scores(self, rows: Array) -> Array:
        """Probabilities where the loss has them, else the outputs; a column for each class."""
        outputs = self.outputs(rows)
        if self.loss == "softmax_loss":
            return softmax(outputs)
        return sigmoid(outputs[:, 0]) if self.loss == "logistic" else outputs[:, 0]

    def labels(self, scores: Array) -> Array:
        """The classes that follow from scores."""
        if scores.ndim == 2:
            return scores.argmax(axis=1)
        return (scores >= numpy.float32(self.threshold)).astype(int)


def save(model: LinearModel, folder: Path) -> None:
    """Write the artifact into a folder."""
    arrays = {
        "arg:fc0_weight": model.weights.astype(numpy.float32),
        "arg:fc0_bias": model.biases.astype(numpy.float32),
    }
    additional = {
        "predictor_type": model.predictor_type,
        "loss": model.loss,
        "threshold": model.threshold,
    }
    manifest = {
        "symbol": "mx-mod-symbol.json",
        "parameters": "mx-mod-0000.params",
        "additional_parameters": "additional-params.json",
    }
    files = {
        "additional-params.json": json.dumps(additional).encode(),
        "manifest.json": json.dumps(manifest).encode(),
        "mx-mod-symbol.json": json.dumps(_symbol(model), indent=2).encode(),
        "mx-mod-0000.params": ndarray.dump(arrays),
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, part in files.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), part)
    (folder / MODEL_FILE).write_bytes(content.getvalue())


def load(folder: Path) -> LinearModel:
    """The model of an artifact in a folder."""
    with zipfile.ZipFile(folder / MODEL_FILE) as archive:
        additional = json.loads(archive.read("additional-params.json"))
        arrays = ndarray.load(archive.read("mx-mod-0000.params"))
    assert isinstance(arrays, dict)
    return LinearModel(
        additional["predictor_type"],
        additional["loss"],
        arrays["arg:fc0_weight"].astype(numpy.float64),
        arrays["arg:fc0_bias"].astype(numpy.float64),
        additional["threshold"],
    )


def _symbol(model: LinearModel) -> dict[str, Any]:
    """The network in MXNet's JSON: a fully connected layer, and what makes a score of it."""
    nodes: list[dict[str, Any]] = [
        {"op": "null", "name": name, "inputs": []} for name in ("data", "fc0_weight", "fc0_bias")
    ]
    nodes.append(
        {
            "op": "FullyConnected",
            "name": "fc0",
            "attrs": {"num_hidden": str(len(model.biases))},
            "inputs": [[0, 0, 0], [1, 0, 0], [2, 0, 0]],
        }
    )
    activation = _ACTIVATIONS.get(model.loss)
    if activation:
        nodes.append({"op": activation, "name": f"{activation}0", "inputs": [[3, 0, 0]]})
    return {
        "nodes": nodes,
        "arg_nodes": [0, 1, 2],
        "node_row_ptr": list(range(len(nodes) + 1)),
        "heads": [[len(nodes) - 1, 0, 0]],
        "attrs": {"mxnet_version": ["int", 10301]},
    }
