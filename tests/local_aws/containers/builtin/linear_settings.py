"""The hyperparameters of Linear Learner, and what labels go with them.

Source: "Linear Learner Hyperparameters",
https://docs.aws.amazon.com/sagemaker/latest/dg/ll_hyperparameters.html. Where AWS says only `auto`,
the values of `_AUTO` are used, which jobs of AWS's report in their logs or which are usual.
"""

from __future__ import annotations

from typing import Any

from .channels import Data
from .common import ClientError
from .hyperparameters import (
    Parameter,
    choice,
    flag,
    integer,
    invalid_hyperparameter,
    real,
    validate,
)

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


def read(given: dict[str, str]) -> dict[str, Any]:
    """The hyperparameters, `auto` replaced where one value takes its place.

    Raises:
        ClientError: the first thing that is wrong.
    """
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


def check_labels(channel: str, data: Data, settings: dict[str, Any]) -> None:
    """Refuse labels that the type of predictor cannot have. Raises ClientError."""
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
