"""SageMaker's Linear Learner: linear models by stochastic gradient descent, the best of several.

Sources: "Linear Learner Hyperparameters", "How Linear Learner Works" and "Linear Learner Response
Formats", https://docs.aws.amazon.com/sagemaker/latest/dg/linear-learner.html. Where AWS says only
`auto`, the values of `_AUTO` are used, which jobs of AWS's report in their logs or which are usual.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy

from . import linear_artifact, linear_scores
from .common import (
    HOST,
    Channel,
    ClientError,
    Data,
    Parameter,
    check_width,
    choice,
    flag,
    integer,
    invalid_hyperparameter,
    log,
    log_configuration,
    log_progress,
    log_quality,
    log_scores,
    log_throughput,
    no_data,
    read_channels,
    real,
    validate,
)
from .linear_artifact import LinearModel
from .linear_models import Array, Models, Variant, make_loss
from .linear_scores import Scores
from .serving import BuiltInModel, Row

BINARY, MULTICLASS, REGRESSOR = "binary_classifier", "multiclass_classifier", "regressor"
_REGRESSION_LOSSES = (
    "squared_loss", "absolute_loss", "eps_insensitive_squared_loss",
    "eps_insensitive_absolute_loss", "quantile_loss", "huber_loss",
)  # fmt: skip
# What `loss` may be for each type of predictor; the first is what `auto` stands for.
_LOSSES = {
    BINARY: ("logistic", "hinge_loss"),
    MULTICLASS: ("softmax_loss",),
    REGRESSOR: _REGRESSION_LOSSES,
}
# How a log names the losses.
_OBJECTIVES = {
    "logistic": "binary_classification_cross_entropy",
    "softmax_loss": "multiclass_cross_entropy",
    "squared_loss": "mse",
}
_NUMBER_OF_MODELS = 32
_AUTO = {
    "optimizer": "adam",
    "beta_1": 0.9,
    "beta_2": 0.999,
    "momentum": 0.9,
    "bias_lr_mult": 1.0,
    "bias_wd_mult": 0.0,
    "lr_scheduler_step": 100,
    "lr_scheduler_factor": 0.99,
    "lr_scheduler_minimum_lr": 1e-5,
    "num_calibration_samples": 10_000_000,
}
_LEARNING_RATES = {"adam": (0.1, 0.005), "rmsprop": (0.05, 0.005), "sgd": (0.05, 0.005)}
# Pairs of wd and l1 that are tried where both are `auto`.
_PENALTIES = ((1e-4, 0.0), (1e-2, 0.0), (1e-4, 1e-2), (1e-4, 1e-1))

PARAMETERS = {
    "predictor_type": choice(BINARY, MULTICLASS, REGRESSOR, required=True),
    "feature_dim": integer(1, default="auto", auto=True),
    "num_classes": integer(1, 1_000_000, default=1),
    "accuracy_top_k": integer(1, 1_000_000, default=3),
    "balance_multiclass_weights": flag(False),
    "beta_1": real(0, 1, default="auto", auto=True),
    "beta_2": real(0, 1, default="auto", auto=True),
    "bias_lr_mult": real(0, default="auto", auto=True, open_ends=True),
    "bias_wd_mult": real(0, default="auto", auto=True),
    "binary_classifier_model_selection_criteria": choice(
        "accuracy",
        "f1",
        "f_beta",
        "precision_at_target_recall",
        "recall_at_target_precision",
        "cross_entropy_loss",
        "loss_function",
        default="accuracy",
    ),
    "early_stopping_patience": integer(1, default=3),
    "early_stopping_tolerance": real(0, default=0.001, open_ends=True),
    "epochs": integer(1, default=15),
    "f_beta": real(0, default=1.0, open_ends=True),
    "huber_delta": real(0, default=1.0, open_ends=True),
    "init_bias": real(default=0.0),
    "init_method": choice("uniform", "normal", default="uniform"),
    "init_scale": real(0, default=0.07, open_ends=True),
    "init_sigma": real(0, default=0.01, open_ends=True),
    "l1": real(0, default="auto", auto=True),
    "learning_rate": real(0, default="auto", auto=True, open_ends=True),
    "loss": choice(
        "auto", "logistic", "hinge_loss", "softmax_loss", *_REGRESSION_LOSSES, default="auto"
    ),  # fmt: skip
    "loss_insensitivity": real(0, default=0.01, open_ends=True),
    "lr_scheduler_factor": real(0, 1, default="auto", auto=True, open_ends=True),
    "lr_scheduler_minimum_lr": real(0, default="auto", auto=True, open_ends=True),
    "lr_scheduler_step": integer(1, default="auto", auto=True),
    "margin": real(0, default=1.0, open_ends=True),
    "mini_batch_size": integer(1, default=1000),
    "momentum": real(0, 1, default="auto", auto=True),
    "normalize_data": flag("auto"),
    "normalize_label": flag("auto"),
    "num_calibration_samples": integer(1, default="auto", auto=True),
    "num_models": integer(1, default="auto", auto=True),
    "num_point_for_scaler": integer(1, default=10_000),
    "optimizer": choice("auto", "sgd", "adam", "rmsprop", default="auto"),
    "positive_example_weight_mult": Parameter(
        lambda text: text if text in ("auto", "balanced") else float(text),
        "one of the following: the string 'auto'; the string 'balanced'; or a number greater than "
        "0",
        default=1.0,
        allowed=lambda value: isinstance(value, str) or 0 < value < float("inf"),
    ),
    "quantile": real(0, 1, default=0.5, open_ends=True),
    "target_precision": real(0, 1, default=0.8, open_ends=True),
    "target_recall": real(0, 1, default=0.8, open_ends=True),
    "unbias_data": flag("auto"),
    "unbias_label": flag("auto"),
    "use_bias": flag(True),
    "use_lr_scheduler": flag(True),
    "wd": real(0, default="auto", auto=True),
}
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
    settings = _settings(given)
    data = read_channels(ml, CHANNELS)
    width = check_width(data, settings["feature_dim"])
    for name, each in data.items():
        _check_labels(name, each, settings)
    if len(data["train"].features) < settings["mini_batch_size"]:
        raise no_data("train")
    scaler = _Scaler(data["train"], settings)
    job = _Job(settings, scaler, data, width)
    job.train()
    model, description = job.best()
    log(f"Best model found for hyperparameters: {json.dumps(description)}")
    (ml / "model").mkdir(exist_ok=True)
    linear_artifact.save(model, ml / "model")
    if "test" in data:
        log_scores("test", job.final_scores(model, data["test"]))
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


# ── settings and data ────────────────────────────────────────────────────────────────────────────


def _settings(given: dict[str, str]) -> dict[str, Any]:
    """The hyperparameters, `auto` replaced where one value takes its place."""
    settings = validate(given, PARAMETERS)
    kind = settings["predictor_type"]
    if kind == MULTICLASS and settings["num_classes"] < 3:
        raise invalid_hyperparameter(
            f"The value '{settings['num_classes']}' is not valid for the 'num_classes' "
            "hyperparameter, which is required for predictor_type 'multiclass_classifier' and "
            "expects an integer between 3 and 1000000"
        )
    if settings["loss"] == "auto":
        settings["loss"] = _LOSSES[kind][0]
    if settings["loss"] not in _LOSSES[kind]:
        valid = ", ".join(f"'{name}'" for name in ("auto", *_LOSSES[kind]))
        raise invalid_hyperparameter(
            f"The value '{settings['loss']}' is not valid for the 'loss' hyperparameter; with "
            f"predictor_type '{kind}' it accepts one of the following: {valid}"
        )
    for name, value in _AUTO.items():
        if settings[name] == "auto":
            settings[name] = value
    if given.get("_tuning_objective_metric"):
        # A tuning job tries the values itself.
        settings["num_models"] = 1
    elif settings["num_models"] == "auto":
        settings["num_models"] = _NUMBER_OF_MODELS
    return settings


def _check_labels(channel: str, data: Data, settings: dict[str, Any]) -> None:
    """Refuse labels that the type of predictor cannot have."""
    kind = settings["predictor_type"]
    if kind == REGRESSOR:
        return
    assert data.labels is not None
    count = 2 if kind == BINARY else settings["num_classes"]
    valid = (data.labels >= 0) & (data.labels < count) & (data.labels % 1 == 0)
    if not valid.all():
        wrong = float(data.labels[~valid][0])
        expected = "0 or 1" if kind == BINARY else f"integers from 0 to {count - 1} (num_classes-1)"
        raise ClientError(
            f"The labels in channel '{channel}' must be {expected} for predictor_type '{kind}', "
            f"but there is {wrong:g}. In text/csv, the label is the first column."
        )


class _Scaler:
    """Shifts and scales features and labels, and takes that back in the weights of a model.

    The means and deviations are those of the first `num_point_for_scaler` rows.
    """

    def __init__(self, data: Data, settings: dict[str, Any]) -> None:
        count = settings["num_point_for_scaler"]
        rows = data.features[:count].astype(numpy.float64)
        assert data.labels is not None
        labels = data.labels[:count].astype(numpy.float64)
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

    def features(self, data: Data) -> Array:
        """The features as the models see them."""
        return (data.features.astype(numpy.float64) - self.mean) / self.deviation

    def labels(self, data: Data) -> Array:
        """The labels as the models see them."""
        assert data.labels is not None
        return (data.labels.astype(numpy.float64) - self.label_mean) / self.label_deviation

    def fold(self, weights: Array, biases: Array) -> tuple[Array, Array]:
        """Weights (c, d) and biases (c,) that do the same to features and labels as they are."""
        weights = weights / self.deviation
        biases = (biases - weights @ self.mean) * self.label_deviation + self.label_mean
        return weights * self.label_deviation, biases


def _deviation(rows: Array) -> Array:
    """Standard deviations; 1 for a column that is constant."""
    deviation = rows.std(axis=0)
    return numpy.where(deviation > 1e-12 * (1 + numpy.abs(rows).max(axis=0)), deviation, 1.0)


# ── training ─────────────────────────────────────────────────────────────────────────────────────


class _Job:
    """The training of all models, and the choice among them."""

    def __init__(
        self, settings: dict[str, Any], scaler: _Scaler, data: dict[str, Data], width: int
    ) -> None:
        self._settings, self._scaler, self._data = settings, scaler, data
        self._kind = settings["predictor_type"]
        self._rows, self._targets = scaler.features(data["train"]), scaler.labels(data["train"])
        self._variants = _variants(settings, self._targets)
        outputs = settings["num_classes"] if self._kind == MULTICLASS else 1
        self._models = Models(width, outputs, self._variants, settings)
        self._loss = make_loss(settings["loss"], settings)
        self._objective = _OBJECTIVES.get(settings["loss"], settings["loss"]) + "_objective"
        self._weights = _example_weights(settings, self._targets, self._variants)
        # What models are compared on: the validation data; without, the training data.
        self._judged_on = "validation" if "validation" in data else "train"
        judged = data[self._judged_on]
        count = settings["num_calibration_samples"]
        self._calibration = Data(judged.features[:count], judged.labels[:count])  # type: ignore[index]

    def train(self) -> None:
        """Go over the data until the epochs are over, or nothing gets better any more."""
        settings = self._settings
        best, reference, patience = -numpy.inf, -numpy.inf, settings["early_stopping_patience"]
        kept = self._models.copy()
        waited = 0
        for epoch in range(settings["epochs"]):
            started = time.monotonic()
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
        assert data.labels is not None
        losses, _ = self._loss(outputs, data.labels.astype(numpy.float64))
        scores: Scores = {self._objective: ("loss", float(losses.mean()))}
        values = model.scores(data.features)
        if self._kind == REGRESSOR:
            return scores | linear_scores.regression(values, data.labels)
        if self._kind == BINARY:
            beta = settings["f_beta"]
            return scores | linear_scores.binary(values, data.labels, model.threshold, beta)
        top_k, beta = settings["accuracy_top_k"], settings["f_beta"]
        return scores | linear_scores.multiclass(values, data.labels, top_k, beta)

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
        outputs = self._models.outputs(self._scaler.features(data))
        outputs = outputs * self._scaler.label_deviation + self._scaler.label_mean
        assert data.labels is not None
        losses, _ = self._loss(outputs, data.labels.astype(numpy.float64))
        return numpy.nan_to_num(losses.mean(axis=0), nan=numpy.inf)

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
            assert self._calibration.labels is not None
            scores = model.scores(self._calibration.features)
            if not numpy.isfinite(scores).all():
                return model, -numpy.inf
            threshold, goodness = linear_scores.best_threshold(
                scores, self._calibration.labels, settings
            )
            return model.with_threshold(threshold), goodness
        outputs = model.outputs(self._calibration.features)[:, None, :]
        assert self._calibration.labels is not None
        losses, _ = self._loss(outputs, self._calibration.labels.astype(numpy.float64))
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
