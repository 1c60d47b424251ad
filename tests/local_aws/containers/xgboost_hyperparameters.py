"""The hyperparameters of SageMaker's XGBoost algorithm: names, types, ranges and dependencies.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost_hyperparameters.html and the checks
of the container, https://github.com/aws/sagemaker-xgboost-container (Apache License 2.0), whose
messages are kept, because they are what a reader sees when a job fails.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Metrics in whose case more is better; of the rest, less.
MAXIMIZED = (
    "accuracy", "auc", "aucpr", "balanced_accuracy", "f1", "f1_binary", "f1_macro", "map", "ndcg",
    "precision", "r2", "recall", "precision_macro", "precision_micro", "recall_macro",
    "recall_micro",
)  # fmt: skip
MINIMIZED = (
    "aft-nloglik", "cox-nloglik", "error", "gamma-deviance", "gamma-nloglik",
    "interval-regression-accuracy", "logloss", "mae", "mape", "merror", "mlogloss", "mphe", "mse",
    "poisson-nloglik", "rmse", "rmsle", "tweedie-nloglik",
)  # fmt: skip
_WITH_THRESHOLD = ("error", "ndcg", "map")
_OBJECTIVES = (
    "binary:logistic", "binary:logitraw", "binary:hinge", "count:poisson", "multi:softmax",
    "multi:softprob", "rank:pairwise", "rank:ndcg", "rank:map", "reg:linear", "reg:squarederror",
    "reg:logistic", "reg:gamma", "reg:pseudohubererror", "reg:squaredlogerror", "reg:tweedie",
    "survival:aft", "survival:cox",
)  # fmt: skip
_GROWING = ("grow_colmaker", "distcol", "grow_histmaker", "grow_local_histmaker",
            "grow_quantile_histmaker")  # fmt: skip
_TREE_UPDATERS = (*_GROWING, "grow_skmaker", "sync", "refresh", "prune")
_LINEAR_UPDATERS = ("shotgun", "coord_descent")
_UPDATING = ("refresh", "prune")
_ALIASES = {
    "learning_rate": "eta",
    "min_split_loss": "gamma",
    "reg_lambda": "lambda",
    "reg_alpha": "alpha",
}


class UserError(Exception):
    """Something that whoever started the job can put right."""


@dataclass(frozen=True)
class Interval:
    """The numbers between two ends, each of which belongs to them or not."""

    low: float | None = None
    high: float | None = None
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, value: float) -> bool:
        above = self.low is None or value > self.low or (value == self.low and not self.low_open)
        below = (
            self.high is None or value < self.high or (value == self.high and not self.high_open)
        )
        return above and below

    def __str__(self) -> str:
        left = "(-inf" if self.low is None else f"{'(' if self.low_open else '['}{self.low}"
        right = "+inf)" if self.high is None else f"{self.high}{')' if self.high_open else ']'}"
        return f"{left}, {right}"


@dataclass(frozen=True)
class Hyperparameter:
    """How one hyperparameter is read, and what it may be."""

    read: Callable[[str], Any]
    allowed: Any
    is_list: bool = False

    def check(self, name: str, value: Any) -> None:
        """Raise UserError unless the value is allowed."""
        if not self.is_list:
            if value not in self.allowed:
                shown = self.allowed if isinstance(self.allowed, Interval) else list(self.allowed)
                raise UserError(f"Hyperparameter {name}: {value} is not in {shown}")
        elif any(item not in self.allowed for item in _flat(value)):
            shown = self.allowed if isinstance(self.allowed, Interval) else list(self.allowed)
            raise UserError(f"Hyperparameter {name}: value {value} not in range {shown}")


class _Metrics:
    """The metrics that may be asked for, some with a threshold behind an @."""

    def __contains__(self, metric: str) -> bool:
        if "@" not in metric:
            return metric in MAXIMIZED or metric in MINIMIZED
        name, _, threshold = (part.strip() for part in metric.partition("@"))
        if name not in _WITH_THRESHOLD:
            raise UserError(
                f"Metric '{metric}' is not supported. Parameter 'eval_metric' with customized "
                "threshold should be one of these options: 'error', 'ndcg', 'map'."
            )
        try:
            float(threshold)
        except ValueError:
            raise UserError(f"Threshold value 't' in '{name}@t' expects float input.") from None
        return True

    def __iter__(self):  # noqa: ANN204
        return iter((*MAXIMIZED, *MINIMIZED))


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, TypeError) as error:
        raise ValueError(text) from error


def _integer(low: float | None = None, high: float | None = None) -> Hyperparameter:
    return Hyperparameter(int, Interval(low, high))


def _number(
    low: float | None = None,
    high: float | None = None,
    *,
    low_open: bool = False,
    high_open: bool = False,
) -> Hyperparameter:
    return Hyperparameter(float, Interval(low, high, low_open, high_open))


def _choice(*values: str) -> Hyperparameter:
    return Hyperparameter(str, values)


_TABLE = {
    "num_round": _integer(1),
    "num_class": _integer(2),
    "alpha": _number(0),
    "base_score": _number(0),
    "booster": _choice("gbtree", "gblinear", "dart"),
    "colsample_bylevel": _number(0, 1, low_open=True),
    "colsample_bynode": _number(0, 1, low_open=True),
    "colsample_bytree": _number(0, 1, low_open=True),
    "csv_weights": _integer(0, 1),
    "deterministic_histogram": _choice("true", "false"),
    "dsplit": _choice("row", "col"),
    "early_stopping_rounds": _integer(1),
    "eta": _number(0, 1),
    "eval_metric": Hyperparameter(lambda text: text.split(","), _Metrics(), is_list=True),
    "gamma": _number(0),
    "grow_policy": _choice("depthwise", "lossguide"),
    "interaction_constraints": Hyperparameter(_literal, Interval(0), is_list=True),
    "lambda": _number(0),
    "lambda_bias": _number(0, 1),
    "max_bin": _integer(0),
    "max_delta_step": _number(0),
    "max_depth": _integer(0),
    "max_leaves": _integer(0),
    "min_child_weight": _number(0),
    "monotone_constraints": Hyperparameter(_literal, (-1, 0, 1), is_list=True),
    "normalize_type": _choice("tree", "forest"),
    "nthread": _integer(1),
    "num_parallel_tree": _integer(1),
    "objective": _choice(*_OBJECTIVES),
    "one_drop": _integer(0, 1),
    "predictor": _choice("auto", "cpu_predictor", "gpu_predictor"),
    "prob_buffer_row": Hyperparameter(float, Interval(1, None, low_open=True)),
    "process_type": _choice("default", "update"),
    "rate_drop": _number(0, 1),
    "refresh_leaf": _integer(0, 1),
    "sample_type": _choice("uniform", "weighted"),
    "sampling_method": _choice("uniform", "gradient_based"),
    "save_model_on_termination": _choice("true", "false"),
    "scale_pos_weight": _number(0, low_open=True),
    "seed": _integer(-(2**31), 2**31 - 1),
    "single_precision_histogram": _choice("true", "false"),
    "sketch_eps": _number(0, 1, low_open=True, high_open=True),
    "skip_drop": _number(0, 1),
    "subsample": _number(0, 1, low_open=True),
    "tree_method": _choice("auto", "exact", "approx", "hist", "gpu_hist"),
    "tweedie_variance_power": _number(1, 2, low_open=True, high_open=True),
    "updater": Hyperparameter(
        lambda text: text.split(","), (*_TREE_UPDATERS, *_LINEAR_UPDATERS), is_list=True
    ),
    "use_dask_gpu_training": _choice("true", "false"),
    "verbosity": _integer(0, 3),
    "aft_loss_distribution": _choice("normal", "logistic", "extreme"),
    "aft_loss_distribution_scale": _number(0),
    # Set by a tuning job: the metric it optimises, which the algorithm must report.
    "_tuning_objective_metric": Hyperparameter(
        str, tuple(f"validation:{name}" for name in (*MAXIMIZED, *MINIMIZED))
    ),
}


def validate(given: dict[str, str]) -> dict[str, Any]:
    """The hyperparameters with their types, once they are known to fit together.

    Raises:
        UserError: the first thing that is wrong, with the name and the value.
    """
    if "num_round" not in given:
        raise UserError("Missing required hyperparameter: num_round")
    values: dict[str, Any] = {}
    for alias, text in given.items():
        name = _ALIASES.get(alias, alias)
        if name not in _TABLE:
            raise UserError(f"Extraneous hyperparameter found: {name}")
        try:
            values[name] = _TABLE[name].read(text)
        except ValueError:
            # The container's message leaves the value out; a reader needs it.
            message = f"Hyperparameter {name}: could not parse value {text!r}"
            raise UserError(f"{message} (caused by ValueError)") from None
    for name, value in values.items():
        _TABLE[name].check(name, value)
    _check_objective(values)
    _check_metrics(values)
    _check_updater(values)
    _check_constraints(values)
    return values


def _check_objective(values: dict[str, Any]) -> None:
    objective = values.get("objective")
    if objective in ("multi:softmax", "multi:softprob") and "num_class" not in values:
        raise UserError("Require input for parameter 'num_class' for multi-classification")
    if objective is None and "num_class" in values:
        raise UserError(
            "Do not need to setup parameter 'num_class' for learning task other than "
            "multi-classification."
        )


def _check_metrics(values: dict[str, Any]) -> None:
    metrics = values.get("eval_metric", [])
    objective = values.get("objective", "reg:squarederror")
    if "auc" in metrics and not objective.startswith(("binary:", "multi:", "rank:")):
        raise UserError("Metric 'auc' can only be applied for classification and ranking problems.")
    if "aft-nloglik" in metrics and objective != "survival:aft":
        raise UserError("Metric 'aft-nloglik' can only be applied for 'survival:aft' objective.")


def _check_updater(values: dict[str, Any]) -> None:
    updaters = values.get("updater")
    if updaters is None:
        return
    if values.get("booster") == "gblinear":
        if len(updaters) != 1 or updaters[0] not in _LINEAR_UPDATERS:
            options = ", ".join(f"'{name}'" for name in _LINEAR_UPDATERS)
            raise UserError(f"Linear updater should be one of these options: {options}.")
    elif values.get("process_type") == "update":
        if any(name not in _UPDATING for name in updaters):
            raise UserError(
                "process_type 'update' can only be used with updater 'refresh' and 'prune'"
            )
    elif any(name not in _TREE_UPDATERS for name in updaters):
        options = ", ".join(f"'{name}'" for name in _TREE_UPDATERS)
        raise UserError(f"Tree updater should be selected from these options: {options}.")
    elif sum(name in _GROWING for name in updaters) > 1:
        options = ", ".join(f"'{name}'" for name in _GROWING)
        raise UserError(f"Only one tree grow plugin can be selected. Choose one from: {options}")


def _check_constraints(values: dict[str, Any]) -> None:
    method = values.get("tree_method")
    if "monotone_constraints" in values and method not in ("exact", "hist"):
        raise UserError(
            "monotone_constraints can be used only when the tree_method parameter is set to "
            "either 'exact' or 'hist'."
        )
    if "interaction_constraints" in values and method not in ("exact", "hist", "approx"):
        raise UserError(
            "interaction_constraints can be used only when the tree_method parameter is set to "
            "either 'exact', 'hist' or 'approx'."
        )


def _flat(value: Any) -> list[Any]:
    """The values in a list, in a list of lists, or the value itself."""
    if not isinstance(value, list | tuple):
        return [value]
    return [item for each in value for item in _flat(each)]
