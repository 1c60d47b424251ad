"""Linear models trained by stochastic gradient descent, many at once.

Linear Learner trains models with different learning rates and penalties side by side and keeps the
best; here their weights are the columns of one matrix. Shapes: n rows, d features, m models, c
outputs of a model (1, or one for each class).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy

Array = numpy.ndarray
# Of outputs (n, m, c) and targets (n,): the losses (n, m), and their derivatives (n, m, c).
Loss = Callable[[Array, Array], tuple[Array, Array]]


# ── losses ───────────────────────────────────────────────────────────────────────────────────────


def make_loss(name: str, settings: dict[str, Any]) -> Loss:
    """The loss function of that name; "Linear Learner Hyperparameters" lists them."""
    if name == "softmax_loss":
        return _softmax_loss
    of_one_output = {
        "logistic": _logistic,
        "hinge_loss": lambda f, y: _hinge(f, y, settings["margin"]),
        "squared_loss": lambda f, y: ((f - y) ** 2, 2 * (f - y)),
        "absolute_loss": lambda f, y: (numpy.abs(f - y), numpy.sign(f - y)),
        "eps_insensitive_squared_loss": lambda f, y: _insensitive(
            f - y, settings["loss_insensitivity"], squared=True
        ),
        "eps_insensitive_absolute_loss": lambda f, y: _insensitive(
            f - y, settings["loss_insensitivity"], squared=False
        ),
        "quantile_loss": lambda f, y: _quantile(f - y, settings["quantile"]),
        "huber_loss": lambda f, y: _huber(f - y, settings["huber_delta"]),
    }[name]

    def loss(outputs: Array, targets: Array) -> tuple[Array, Array]:
        losses, slopes = of_one_output(outputs[:, :, 0], targets[:, None])
        return losses, slopes[:, :, None]

    return loss


def sigmoid(outputs: Array) -> Array:
    """The probability of class 1."""
    return 0.5 * (1 + numpy.tanh(0.5 * outputs))


def softmax(outputs: Array) -> Array:
    """The probabilities of the classes, along the last axis."""
    shifted = numpy.exp(outputs - outputs.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def _logistic(outputs: Array, targets: Array) -> tuple[Array, Array]:
    return numpy.logaddexp(0, outputs) - targets * outputs, sigmoid(outputs) - targets


def _hinge(outputs: Array, targets: Array, margin: float) -> tuple[Array, Array]:
    signs = 2 * targets - 1
    short = margin - signs * outputs
    return numpy.maximum(short, 0), numpy.where(short > 0, -signs, 0.0)


def _insensitive(errors: Array, width: float, *, squared: bool) -> tuple[Array, Array]:
    beyond = numpy.maximum(numpy.abs(errors) - width, 0)
    if squared:
        return beyond**2, 2 * beyond * numpy.sign(errors)
    return beyond, numpy.where(beyond > 0, numpy.sign(errors), 0.0)


def _quantile(errors: Array, quantile: float) -> tuple[Array, Array]:
    # As AWS defines it, the label is greater than the prediction with probability q.
    losses = numpy.where(errors > 0, quantile * errors, (quantile - 1) * errors)
    return losses, numpy.where(errors > 0, quantile, quantile - 1)


def _huber(errors: Array, delta: float) -> tuple[Array, Array]:
    size = numpy.abs(errors)
    losses = numpy.where(size <= delta, 0.5 * errors**2, delta * (size - 0.5 * delta))
    return losses, numpy.clip(errors, -delta, delta)


def _softmax_loss(outputs: Array, targets: Array) -> tuple[Array, Array]:
    classes = targets.astype(int)
    rows = numpy.arange(len(classes))
    slopes = softmax(outputs)
    losses = -numpy.log(numpy.maximum(slopes[rows, :, classes], 1e-30))
    slopes[rows, :, classes] -= 1
    return losses, slopes


# ── models ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Variant:
    """The settings in which the models differ.

    Attributes:
        wd, l1: the weights of the L2 and the L1 penalty.
        positive_weight: the weight of positive examples in binary classification.
    """

    learning_rate: float
    wd: float
    l1: float
    positive_weight: float = 1.0


class Models:
    """The weights of m models and the state of their optimizer.

    Attributes:
        weights: shape (d, m, c).
        biases: shape (m, c).
    """

    def __init__(
        self, width: int, outputs: int, variants: list[Variant], settings: dict[str, Any]
    ) -> None:
        """`settings` are Linear Learner's hyperparameters, without `auto`."""
        random = numpy.random.default_rng(0)
        shape = (width, len(variants), outputs)
        if settings["init_method"] == "uniform":
            scale = settings["init_scale"]
            self.weights = random.uniform(-scale, scale, shape)
        else:
            self.weights = random.normal(0, settings["init_sigma"], shape)
        initial = settings["init_bias"] if settings["use_bias"] else 0.0
        self.biases = numpy.full(shape[1:], initial)
        self._settings = settings

        def column(name: str) -> Array:
            return numpy.array([getattr(each, name) for each in variants])[:, None]

        self._rates, self._wd, self._l1 = (column(name) for name in ("learning_rate", "wd", "l1"))
        self._steps = 0
        self._weight_step = _optimizer(settings, shape)
        self._bias_step = _optimizer(settings, shape[1:])

    def outputs(self, rows: Array) -> Array:
        """What the models make of rows, shape (n, m, c)."""
        width, models, outputs = self.weights.shape
        flat = rows @ self.weights.reshape(width, models * outputs)
        return flat.reshape(len(rows), models, outputs) + self.biases

    def update(self, rows: Array, slopes: Array) -> None:
        """One step against the gradient.

        Args:
            slopes: the derivatives of the losses in the outputs, weighted, shape (n, m, c).
        """
        settings = self._settings
        count, models, outputs = slopes.shape
        flat = rows.T @ slopes.reshape(count, models * outputs) / count
        gradient = flat.reshape(self.weights.shape)
        gradient += self._wd * self.weights + self._l1 * numpy.sign(self.weights)
        rates = self._scheduled_rates()
        self._steps += 1
        self.weights -= rates * self._weight_step(gradient, self._steps)
        if settings["use_bias"]:
            slope = slopes.mean(axis=0) + self._wd * settings["bias_wd_mult"] * self.biases
            step = self._bias_step(slope, self._steps)
            self.biases -= rates * settings["bias_lr_mult"] * step

    def copy(self) -> tuple[Array, Array]:
        """The weights and the biases as they are."""
        return self.weights.copy(), self.biases.copy()

    def restore(self, state: tuple[Array, Array]) -> None:
        """Go back to weights and biases of `copy`."""
        self.weights, self.biases = state

    def _scheduled_rates(self) -> Array:
        settings = self._settings
        if not settings["use_lr_scheduler"]:
            return self._rates
        decreases = self._steps // settings["lr_scheduler_step"]
        lowered = self._rates * settings["lr_scheduler_factor"] ** decreases
        lowest = numpy.minimum(settings["lr_scheduler_minimum_lr"], self._rates)
        return numpy.maximum(lowered, lowest)


def _optimizer(settings: dict[str, Any], shape: tuple[int, ...]) -> Callable[[Array, int], Array]:
    """The direction of a step: of the gradient and the number of the step, from 1."""
    first, second = numpy.zeros(shape), numpy.zeros(shape)
    beta_1, beta_2 = settings["beta_1"], settings["beta_2"]
    momentum, tiny = settings["momentum"], 1e-8

    def sgd(gradient: Array, _: int) -> Array:
        first[...] = momentum * first + gradient
        return first

    def rmsprop(gradient: Array, _: int) -> Array:
        second[...] = 0.9 * second + 0.1 * gradient**2
        return gradient / (numpy.sqrt(second) + tiny)

    def adam(gradient: Array, step: int) -> Array:
        first[...] = beta_1 * first + (1 - beta_1) * gradient
        second[...] = beta_2 * second + (1 - beta_2) * gradient**2
        mean, square = first / (1 - beta_1**step), second / (1 - beta_2**step)
        return mean / (numpy.sqrt(square) + tiny)

    return {"sgd": sgd, "rmsprop": rmsprop, "adam": adam}[settings["optimizer"]]
