"""The training of Linear Learner: scaling, the models side by side, the choice among them.

Source: "How Linear Learner Works",
https://docs.aws.amazon.com/sagemaker/latest/dg/ll_how-it-works.html
"""

from __future__ import annotations

import time
from typing import Any

import numpy

from . import linear_scores
from .channels import Data
from .common import HOST, ClientError, log, log_progress, log_quality, log_scores, log_throughput
from .linear_artifact import LinearModel
from .linear_models import Array, Models, Variant, make_loss
from .linear_scores import Scores
from .linear_settings import BINARY, MULTICLASS, REGRESSOR

# How a log names the losses.
_OBJECTIVES = {
    "logistic": "binary_classification_cross_entropy",
    "softmax_loss": "multiclass_cross_entropy",
    "squared_loss": "mse",
}
_LEARNING_RATES = {"adam": (0.1, 0.005), "rmsprop": (0.05, 0.005), "sgd": (0.05, 0.005)}
# Pairs of wd and l1 that are tried where both are `auto`.
_PENALTIES = ((1e-4, 0.0), (1e-2, 0.0), (1e-4, 1e-2), (1e-4, 1e-1))

# The losses of all models are computed for this many rows at a time.
_CHUNK = 4096


class Training:
    """The training of all models, and the choice among them."""

    def __init__(self, settings: dict[str, Any], data: dict[str, Data]) -> None:
        """`settings` are Linear Learner's hyperparameters, `data` the channels."""
        scaler = _Scaler(data["train"], settings)
        self._settings, self._scaler, self._data = settings, scaler, data
        self._kind = settings["predictor_type"]
        self._rows = scaler.features(data["train"].features)
        self._targets = scaler.labels(_labels_of(data["train"]))
        self._variants = _variants(settings, self._targets)
        outputs = settings["num_classes"] if self._kind == MULTICLASS else 1
        self._models = Models(self._rows.shape[1], outputs, self._variants, settings)
        self._loss = make_loss(settings["loss"], settings)
        self._objective = _OBJECTIVES.get(settings["loss"], settings["loss"]) + "_objective"
        self._weights = _example_weights(settings, self._targets, self._variants)
        # What models are compared on: the validation data; without, the training data.
        self._judged_on = "validation" if "validation" in data else "train"
        judged = data[self._judged_on]
        count = settings["num_calibration_samples"]
        self._calibration = Data(judged.features[:count], _labels_of(judged)[:count])

    def run(self) -> None:
        """Go over the data until the epochs are over, or nothing gets better any more."""
        settings = self._settings
        best, reference, patience = -numpy.inf, -numpy.inf, settings["early_stopping_patience"]
        kept = self._models.copy()
        waited = 0
        for epoch in range(settings["epochs"]):
            started = time.monotonic()
            # A model that diverges among others is left behind.
            with numpy.errstate(over="ignore", invalid="ignore"):
                loss = self._run_epoch()
            log_quality("train", self._objective, "loss", float(loss[0]), epoch)
            if "validation" in self._data:
                losses = self._mean_losses(self._data["validation"])
                log_quality("validation", self._objective, "loss", float(losses[0]), epoch)
            name, value, goodness = self._criterion(loss)
            log(
                f"#early_stopping_criteria_metric: host={HOST}, epoch={epoch}, criteria={name}, "
                f"value={value}"
            )
            if goodness > best:
                log(f"Epoch {epoch}: Loss improved. Updating best model")
                best, kept = goodness, self._models.copy()
            tolerance = settings["early_stopping_tolerance"] * abs(reference)
            if numpy.isinf(reference) or goodness > reference + tolerance:
                reference, waited = goodness, 0
            else:
                waited += 1
            log_progress(epoch + 1, settings["epochs"])
            log_throughput(len(self._rows), time.monotonic() - started)
            if waited >= patience:
                log("Early stop condition met. Stopping training.")
                break
        self._models.restore(kept)

    def best(self) -> tuple[LinearModel, dict[str, Any]]:
        """The best model and the hyperparameters in which it differs from the others."""
        candidates = [self._candidate(number) for number in range(len(self._variants))]
        judged = self._data[self._judged_on]
        losses = self._mean_losses(judged)
        # Of equally good models the one with the smaller loss.
        order = [(goodness, -loss) for (_, goodness), loss in zip(candidates, losses, strict=True)]
        number = max(range(len(order)), key=order.__getitem__)
        model, _ = candidates[number]
        log_scores(self._judged_on, self.final_scores(model, judged))
        variant, settings = self._variants[number], self._settings
        description = {
            "optimizer": settings["optimizer"],
            "learning_rate": variant.learning_rate,
            "l1": variant.l1,
            "wd": variant.wd,
            "lr_scheduler_step": settings["lr_scheduler_step"],
            "lr_scheduler_factor": settings["lr_scheduler_factor"],
            "lr_scheduler_minimum_lr": settings["lr_scheduler_minimum_lr"],
        }
        return model, description

    def final_scores(self, model: LinearModel, data: Data) -> Scores:
        """The metrics of a model, with its objective's loss first."""
        settings = self._settings
        outputs = model.outputs(data.features)[:, None, :]
        labels = _labels_of(data)
        losses, _ = self._loss(outputs, labels)
        scores: Scores = {self._objective: ("loss", float(losses.mean()))}
        values = model.scores(data.features)
        if self._kind == REGRESSOR:
            return scores | linear_scores.regression(values, labels)
        if self._kind == BINARY:
            beta = settings["f_beta"]
            return scores | linear_scores.binary(values, labels, model.threshold, beta)
        top_k, beta = settings["accuracy_top_k"], settings["f_beta"]
        return scores | linear_scores.multiclass(values, labels, top_k, beta)

    def _run_epoch(self) -> Array:
        """One pass over the data, in the order in which they lie. The mean losses, shape (m,)."""
        batch = self._settings["mini_batch_size"]
        total = numpy.zeros(len(self._variants))
        for start in range(0, len(self._rows), batch):
            part = slice(start, start + batch)
            losses, slopes = self._loss(self._models.outputs(self._rows[part]), self._targets[part])
            total += losses.sum(axis=0)
            self._models.update(self._rows[part], slopes * self._weights[part, :, None])
        if not numpy.isfinite(total).any():
            raise ClientError(
                "All models have diverged: the loss is not a finite number. Lower learning_rate, "
                "or set normalize_data to true."
            )
        return total / len(self._rows)

    def _mean_losses(self, data: Data) -> Array:
        """The losses of all models in the units of the data, shape (m,)."""
        scaler = self._scaler
        total = numpy.zeros(len(self._variants))
        for start in range(0, len(data.features), _CHUNK):
            part = slice(start, start + _CHUNK)
            outputs = self._models.outputs(scaler.features(data.features[part]))
            outputs = outputs * scaler.label_deviation + scaler.label_mean
            losses, _ = self._loss(outputs, _labels_of(data)[part])
            total += losses.sum(axis=0)
        return numpy.nan_to_num(total / len(data.features), nan=numpy.inf)

    def _criterion(self, train_loss: Array) -> tuple[str, float, float]:
        """What early stopping goes by: name, value, and the same so that more is better."""
        settings = self._settings
        if self._judged_on == "train":
            value = float(numpy.nanmin(train_loss))
            return self._objective, value, -value
        if self._kind == BINARY and not _selects_by_loss(settings):
            goodness = max(self._candidate(each)[1] for each in range(len(self._variants)))
            name = settings["binary_classifier_model_selection_criteria"]
            return f"sampled_{name}", goodness, goodness
        value = float(self._mean_losses(self._calibration).min())
        return self._objective, value, -value

    def _candidate(self, number: int) -> tuple[LinearModel, float]:
        """A model as it stands, with its best threshold, and how good it is; more is better."""
        settings = self._settings
        weights, biases = self._scaler.fold(
            self._models.weights[:, number].T, self._models.biases[number]
        )
        model = LinearModel(self._kind, settings["loss"], weights, biases)
        if self._kind == BINARY and not _selects_by_loss(settings):
            scores = model.scores(self._calibration.features)
            if not numpy.isfinite(scores).all():
                return model, -numpy.inf
            threshold, goodness = linear_scores.best_threshold(
                scores, _labels_of(self._calibration), settings
            )
            return model.with_threshold(threshold), goodness
        outputs = model.outputs(self._calibration.features)[:, None, :]
        losses, _ = self._loss(outputs, _labels_of(self._calibration))
        return model, -float(numpy.nan_to_num(losses.mean(), nan=numpy.inf))


def _selects_by_loss(settings: dict[str, Any]) -> bool:
    criterion = settings["binary_classifier_model_selection_criteria"]
    return criterion in ("loss_function", "cross_entropy_loss")


def _variants(settings: dict[str, Any], targets: Array) -> list[Variant]:
    """The settings of the models: the first as given, the others near by or, for `auto`, usual."""
    rate, wd, l1 = (settings[name] for name in ("learning_rate", "wd", "l1"))
    rates = _LEARNING_RATES[settings["optimizer"]] if rate == "auto" else (rate, rate / 2)
    penalties = [
        (auto_wd if wd == "auto" else wd, auto_l1 if l1 == "auto" else l1)
        for auto_wd, auto_l1 in _PENALTIES
    ]
    weights = _positive_weights(settings, targets)
    return [
        Variant(
            rates[number // len(weights) % 2],
            *penalties[number // (2 * len(weights)) % len(penalties)],
            weights[number % len(weights)],
        )
        for number in range(settings["num_models"])
    ]


def _positive_weights(settings: dict[str, Any], targets: Array) -> list[float]:
    """The weights of positive examples that are tried; several for `auto`."""
    given = settings["positive_example_weight_mult"]
    if settings["predictor_type"] != BINARY:
        return [1.0]
    positives = float(targets.sum())
    balanced = (len(targets) - positives) / max(positives, 1.0)
    if given == "balanced":
        return [balanced]
    return [1.0, balanced] if given == "auto" else [float(given)]


def _example_weights(
    settings: dict[str, Any], targets: Array, variants: list[Variant]
) -> numpy.ndarray:
    """The weight of each row for each model, shape (n, m)."""
    kind = settings["predictor_type"]
    if kind == BINARY:
        positive = numpy.array([variant.positive_weight for variant in variants])
        return numpy.where(targets[:, None] == 1, positive, 1.0)
    weights = numpy.ones(len(targets))
    if kind == MULTICLASS and settings["balance_multiclass_weights"]:
        counts = numpy.bincount(targets.astype(int), minlength=settings["num_classes"])
        weights = (len(targets) / (len(counts) * numpy.maximum(counts, 1)))[targets.astype(int)]
    return numpy.repeat(weights[:, None], len(variants), axis=1)


class _Scaler:
    """Shifts and scales features and labels, and takes that back in the weights of a model.

    The means and deviations are those of the first `num_point_for_scaler` rows.
    """

    def __init__(self, data: Data, settings: dict[str, Any]) -> None:
        count = settings["num_point_for_scaler"]
        rows = data.features[:count].astype(numpy.float64)
        labels = _labels_of(data)[:count]
        use_bias = settings["use_bias"]
        normalize = settings["normalize_data"] is not False
        unbias = use_bias if settings["unbias_data"] == "auto" else settings["unbias_data"]
        # A shift needs a bias to take it back.
        shifts = unbias and use_bias
        self.mean = rows.mean(axis=0) if shifts else numpy.zeros(rows.shape[1])
        self.deviation = _deviation(rows) if normalize else numpy.ones(rows.shape[1])
        is_regression = settings["predictor_type"] == REGRESSOR
        normalize = is_regression and settings["normalize_label"] is not False
        unbias = use_bias if settings["unbias_label"] == "auto" else settings["unbias_label"]
        self.label_mean = float(labels.mean()) if is_regression and unbias and use_bias else 0.0
        self.label_deviation = float(_deviation(labels[:, None])[0]) if normalize else 1.0

    def features(self, features: Array) -> Array:
        """The features as the models see them."""
        return (features.astype(numpy.float64) - self.mean) / self.deviation

    def labels(self, labels: Array) -> Array:
        """The labels as the models see them."""
        return (labels - self.label_mean) / self.label_deviation

    def fold(self, weights: Array, biases: Array) -> tuple[Array, Array]:
        """Weights (c, d) and biases (c,) that do the same to features and labels as they are."""
        weights = weights / self.deviation
        biases = (biases - weights @ self.mean) * self.label_deviation + self.label_mean
        return weights * self.label_deviation, biases


def _labels_of(data: Data) -> Array:
    """The labels of data that have some."""
    assert data.labels is not None
    return data.labels.astype(numpy.float64)


def _deviation(rows: Array) -> Array:
    """Standard deviations; 1 for a column that is constant."""
    deviation = rows.std(axis=0)
    return numpy.where(deviation > 1e-12 * (1 + numpy.abs(rows).max(axis=0)), deviation, 1.0)
