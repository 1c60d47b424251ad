"""How hyperparameter tuning chooses: the next values to try, and which jobs to give up.

The four strategies are Optuna's samplers and pruners behind AWS's names; the ranges and their
scales are AWS's.
Source: https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-how-it-works.html
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import optuna

from ...gateway import AWSError

optuna.logging.set_verbosity(optuna.logging.ERROR)

# Of the first proposals of the Bayesian strategy so many are random.
_RANDOM_FIRST = 4
_REDUCTION = 3
# Auto takes a logarithmic scale for a range that spans at least so many powers of ten.
_WIDE = 100


@dataclass(frozen=True)
class Range:
    """The values that a hyperparameter may take.

    Attributes:
        kind: `Integer`, `Continuous` or `Categorical`.
        values: smallest and largest; for `Categorical` all of them.
        scaling: `Linear`, `Logarithmic` or `ReverseLogarithmic`.
    """

    name: str
    kind: str
    values: tuple[Any, ...]
    scaling: str = "Linear"

    def distribution(self) -> optuna.distributions.BaseDistribution:
        """The range as Optuna samples from it."""
        if self.kind == "Categorical":
            return optuna.distributions.CategoricalDistribution(self.values)
        low, high = self.values
        if self.scaling == "ReverseLogarithmic":  # fine steps near 1: 1 - x is on a log scale
            return optuna.distributions.FloatDistribution(1 - high, 1 - low, log=True)
        log = self.scaling == "Logarithmic"
        if self.kind == "Integer":
            return optuna.distributions.IntDistribution(low, high, log=log)
        return optuna.distributions.FloatDistribution(low, high, log=log)

    def as_text(self, sampled: Any) -> str:
        """The value as a training job gets it."""
        if self.scaling == "ReverseLogarithmic":
            sampled = 1 - sampled
        return str(sampled)

    def sampled(self, text: str) -> Any:
        """What Optuna would have had to sample for a value. Raises ValueError outside the range."""
        if self.kind == "Categorical":
            if text not in self.values:
                raise ValueError(f"{text} is not one of {self.values}")
            return text
        value = int(text) if self.kind == "Integer" else float(text)
        low, high = self.values
        if not low <= value <= high:
            raise ValueError(f"{text} is not between {low} and {high}")
        return 1 - value if self.scaling == "ReverseLogarithmic" else value


def read_ranges(ranges: dict[str, list[dict[str, Any]]]) -> list[Range]:
    """The ranges of a request, in its order.

    Raises:
        AWSError: ValidationException for a range that is none, or one that a scale cannot have.
    """
    if ranges.get("AutoParameters"):
        raise AWSError(
            "NotImplemented",
            "The offline AWS does not choose ranges itself (AutoParameters).",
            status=501,
        )
    integers, reals, categories = (
        ranges.get(f"{kind}ParameterRanges", [])
        for kind in ("Integer", "Continuous", "Categorical")
    )
    found = [
        *(_numbers(each, "Integer", int) for each in integers),
        *(_numbers(each, "Continuous", float) for each in reals),
        *(Range(each["Name"], "Categorical", tuple(each["Values"])) for each in categories),
    ]
    names = [each.name for each in found]
    for name in names:
        if names.count(name) > 1:
            raise _invalid(f"The hyperparameter {name} has more than one range.")
    if not found:
        raise _invalid("At least one hyperparameter range is required.")
    return found


def _numbers(given: dict[str, str], kind: str, number: type) -> Range:
    name = given["Name"]
    try:
        low, high = number(given["MinValue"]), number(given["MaxValue"])
    except ValueError as error:
        raise _invalid(
            f"The range of {name} must have a MinValue and a MaxValue that are numbers of type "
            f"{kind}: {error}"
        ) from error
    if not low < high:
        raise _invalid(
            f"The MinValue {given['MinValue']} of {name} must be less than its MaxValue "
            f"{given['MaxValue']}."
        )
    scaling = given.get("ScalingType", "Auto")
    if scaling == "Auto":
        scaling = "Logarithmic" if low > 0 and high / low >= _WIDE else "Linear"
    if scaling == "Logarithmic" and low <= 0:
        raise _invalid(f"Logarithmic scaling of {name} needs values greater than 0, not {low}.")
    if scaling == "ReverseLogarithmic" and (kind == "Integer" or low < 0 or high >= 1):
        raise _invalid(
            f"ReverseLogarithmic scaling of {name} needs a continuous range of values in [0, 1)."
        )
    return Range(name, kind, (low, high), scaling)


class Strategy:
    """Proposes hyperparameters, learns how good they were, and gives up hopeless jobs.

    Proposal n is made with the results that have been told so far, in the order of the proposals:
    who tells them in the same order gets the same proposals.
    """

    def __init__(
        self, name: str, ranges: list[Range], *, maximize: bool, seed: int | None, rungs: Rungs
    ) -> None:
        self._ranges, self._maximize = ranges, maximize
        self._grid: Iterator[tuple[str, ...]] | None = None
        if name == "Grid":
            self._grid = itertools.product(*(each.values for each in ranges))
        sampler: optuna.samplers.BaseSampler = optuna.samplers.RandomSampler(seed=seed)
        if name == "Bayesian":
            sampler = optuna.samplers.TPESampler(
                n_startup_trials=_RANDOM_FIRST, constant_liar=True, seed=seed
            )
        self._study = optuna.create_study(
            direction="maximize" if maximize else "minimize", sampler=sampler
        )
        self._trials: list[optuna.Trial] = []
        self.rungs = rungs if name == "Hyperband" else None

    def propose(self) -> dict[str, str]:
        """The next values, by name."""
        if self._grid is not None:
            values = next(self._grid)
            return {each.name: value for each, value in zip(self._ranges, values, strict=True)}
        trial = self._study.ask({each.name: each.distribution() for each in self._ranges})
        self._trials.append(trial)
        return {each.name: each.as_text(trial.params[each.name]) for each in self._ranges}

    def tell(self, number: int, objective: float | None) -> None:
        """How proposal `number`, from 0, has turned out; None if it gave no value."""
        if self._grid is not None:
            return
        failed = optuna.trial.TrialState.FAIL
        if objective is None or math.isnan(objective):
            self._study.tell(self._trials[number], state=failed)
        else:
            self._study.tell(self._trials[number], objective)

    def learn(self, values: dict[str, str], objective: float) -> None:
        """Take over what an earlier tuning job has found out, if it lies in the ranges."""
        if self._grid is not None:
            return
        try:
            params = {each.name: each.sampled(values[each.name]) for each in self._ranges}
        except (KeyError, ValueError):
            return
        self._study.add_trial(
            optuna.trial.create_trial(
                params=params,
                distributions={each.name: each.distribution() for each in self._ranges},
                value=objective,
            )
        )


class Rungs:
    """Hyperband's successive halving: at each rung the better third goes on.

    The resource is the number of values of the objective metric that a job has reported. A job
    that comes to a rung goes on if it is in the better third of those that have come there.
    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020
    """

    def __init__(self, least: int, most: int, *, maximize: bool) -> None:
        self._sign = 1 if maximize else -1
        self._reached: dict[int, list[float]] = {}
        step = least
        while step < most:
            self._reached[step] = []
            step *= _REDUCTION

    def gives_up(self, step: int, value: float) -> bool:
        """Whether a job that has this value after so many steps should end."""
        if step not in self._reached:
            return False
        reached = self._reached[step]
        reached.append(self._sign * value)
        if len(reached) < _REDUCTION:  # nothing to compare with yet
            return False
        kept = len(reached) // _REDUCTION
        return self._sign * value < sorted(reached, reverse=True)[kept - 1]


def falls_behind(values: list[float], others: list[list[float]], *, maximize: bool) -> bool:
    """Whether a job should end early by the median rule of `TrainingJobEarlyStoppingType` Auto.

    Its value at the present epoch is compared with the median of the running averages that the
    jobs before it had up to the same epoch.

    Args:
        values: what the job has reported, an item for an epoch.
        others: the same of the jobs that have ended.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-early-stopping.html
    """
    epoch = len(values)
    averages = [statistics.fmean(each[:epoch]) for each in others if len(each) >= epoch]
    if not averages:
        return False
    median = statistics.median(averages)
    return values[-1] < median if maximize else values[-1] > median


def _invalid(message: str) -> AWSError:
    return AWSError("ValidationException", message)
