"""SageMaker's Linear Learner: linear models by stochastic gradient descent, the best of several.

Sources: "Linear Learner Algorithm" and "Linear Learner Response Formats",
https://docs.aws.amazon.com/sagemaker/latest/dg/linear-learner.html. The modules `linear_…` are its
parts: the hyperparameters, the models, their training, their scores, and the artifact.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy

from . import linear_artifact, linear_settings
from .channels import Channel, check_width, no_data, read_channels
from .common import log, log_configuration, log_scores
from .linear_settings import PARAMETERS, REGRESSOR
from .linear_training import Training
from .serving import BuiltInModel, Row

CHANNELS = {
    "train": Channel(required=True, needs_label=True),
    "validation": Channel(needs_label=True),
    "test": Channel(needs_label=True),
}


def train(ml: Path, given: dict[str, str]) -> None:
    """Train the models of a job and leave the best one in the folder `model`.

    Raises:
        ClientError: hyperparameters, channels or data that the algorithm does not take.
    """
    log_configuration(given, PARAMETERS)
    settings = linear_settings.read(given)
    data = read_channels(ml, CHANNELS)
    check_width(data, settings["feature_dim"])
    for name, each in data.items():
        linear_settings.check_labels(name, each, settings)
    if len(data["train"].features) < settings["mini_batch_size"]:
        raise no_data("train")
    training = Training(settings, data)
    training.run()
    model, description = training.best()
    log(f"Best model found for hyperparameters: {json.dumps(description)}")
    (ml / "model").mkdir(exist_ok=True)
    linear_artifact.save(model, ml / "model")
    if "test" in data:
        log_scores("test", training.final_scores(model, data["test"]))
    else:
        log("Test data is not provided.")


def load(folder: Path) -> LinearLearnerModel:
    """The model in an unpacked artifact."""
    return LinearLearnerModel(folder)


class LinearLearnerModel(BuiltInModel):
    """A score for each row, and the label that follows from it in classification."""

    def __init__(self, folder: Path) -> None:
        self._model = linear_artifact.load(folder)
        super().__init__(self._model.weights.shape[1])

    def predict(self, rows: numpy.ndarray) -> Iterator[Row]:
        """`score`, and `predicted_label` unless it is a regression."""
        scores = self._model.scores(rows).astype(numpy.float32)
        if self._model.predictor_type == REGRESSOR:
            yield from ({"score": float(score)} for score in scores)
            return
        labels = self._model.labels(scores)
        for score, label in zip(scores.tolist(), labels.tolist(), strict=True):
            yield {"score": score, "predicted_label": int(label)}
