"""Judge steps of feature engineering by a validation score, and say how sure the judgement is.

Flights of one day share weather and congestion: 11,000 flights of two months are nearer to 61
independent observations than to 11,000. So the uncertainty of a score, and of the difference
between two, comes from drawing whole days with replacement (a cluster bootstrap).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

DRAWS = 2_000
# A change of the AUC that nobody would notice: one pair of flights in two thousand.
NEGLIGIBLE = 0.0005


@dataclass(frozen=True)
class Trial:
    """What one model made of one set of features. AUCs between 0 and 1."""

    step: str
    model: str
    columns: int
    train_auc: float
    validation_auc: float
    drawn_aucs: np.ndarray = field(repr=False)  # of DRAWS samples of whole days, see below


@dataclass
class Judge:
    """Fits each model on the features of a step, and compares the step with an earlier one.

    `train` and `validation` are tables with the columns `label` (0 or 1) and `day`.
    """

    train: pd.DataFrame
    validation: pd.DataFrame
    models: Mapping[str, Any]
    label: str = "late"
    day: str = "date"
    trials: dict[tuple[str, str], Trial] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for name, table in (("training", self.train), ("validation", self.validation)):
            missing = [column for column in (self.label, self.day) if column not in table]
            if missing:
                raise ValueError(f"the {name} table lacks the columns {', '.join(missing)}")
            if table[self.label].nunique() != 2:
                raise ValueError(f"the {name} table needs rows of both classes of {self.label!r}")

    def trial(self, step: str, features: Any, models: Mapping[str, Any] | None = None) -> None:
        """Fit `features` (a transformer) on the training rows, each model on what it makes.

        Everything runs in one thread: sums come out the same on every machine.
        """
        with threadpool_limits(limits=1):
            learned = clone(features)
            inputs = learned.fit_transform(self.train, self.train[self.label])
            held_out = learned.transform(self.validation)
            for name, model in (models or self.models).items():
                fitted = clone(model).fit(np.asarray(inputs), self.train[self.label])
                seen, unseen = (
                    fitted.predict_proba(np.asarray(rows))[:, 1] for rows in (inputs, held_out)
                )
                self.trials[step, name] = Trial(
                    step,
                    name,
                    inputs.shape[1],
                    roc_auc_score(self.train[self.label], seen),
                    roc_auc_score(self.validation[self.label], unseen),
                    bootstrapped_aucs(
                        self.validation[self.label], unseen, self.validation[self.day]
                    ),
                )

    def compare(self, step: str, against: str) -> pd.DataFrame:
        """A row for each model: AUC, its difference to another step with a 95 % interval, verdict.

        Raises:
            KeyError: if a step was not tried.
        """
        rows = []
        for name in dict.fromkeys(model for _, model in self.trials):
            if (step, name) not in self.trials or (against, name) not in self.trials:
                continue
            new, old = self.trials[step, name], self.trials[against, name]
            low, high = np.quantile(new.drawn_aucs - old.drawn_aucs, [0.025, 0.975])
            rows.append(
                {
                    "step": step,
                    "model": name,
                    "columns": new.columns,
                    "auc": new.validation_auc,
                    "difference": new.validation_auc - old.validation_auc,
                    "low": low,
                    "high": high,
                    "verdict": verdict(low, high),
                }
            )
        if not rows:
            known = ", ".join(dict.fromkeys(tried for tried, _ in self.trials))
            raise KeyError(f"no model tried both {step!r} and {against!r}; tried: {known}")
        return pd.DataFrame(rows)


def converges(model: Any, features: Any, train: pd.DataFrame, label: str = "late") -> bool:
    """Whether a model's solver arrives within its iterations, on what `features` makes."""
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            make_pipeline(clone(features), clone(model)).fit(train, train[label])
        except ConvergenceWarning:
            return False
    return True


def verdict(low: float, high: float) -> str:
    """`better` or `worse` if all of a difference's interval is, and by more than NEGLIGIBLE."""
    if low > NEGLIGIBLE:
        return "better"
    return "worse" if high < -NEGLIGIBLE else "noise"


def bootstrapped_aucs(
    label: pd.Series | np.ndarray, scores: np.ndarray, group: pd.Series | np.ndarray
) -> np.ndarray:
    """The AUC in each of DRAWS samples of whole groups, drawn with replacement, shape (DRAWS,).

    The same groups are drawn in every call with the same groups, so that the AUCs of two models
    can be subtracted. No sample is sorted: with W the pairs of groups (i, j) in which a
    positive of i stands above a negative of j, an AUC is a ratio of two sums over pairs of groups,
    weighted by how often each was drawn.

    Raises:
        ValueError: if lengths differ, or there are fewer than two groups or one class.
    """
    label, scores = np.asarray(label), np.asarray(scores, dtype=float)
    codes, groups = pd.factorize(np.asarray(group), sort=True)
    if not len(label) == len(scores) == len(codes):
        raise ValueError(f"{len(label)} labels, {len(scores)} scores, {len(codes)} groups")
    if len(groups) < 2 or len(np.unique(label)) != 2:
        raise ValueError("needs rows of two classes in at least two groups")
    wins = _wins_by_group(label == 1, scores, codes, len(groups))
    positives = np.bincount(codes[label == 1], minlength=len(groups))
    negatives = np.bincount(codes[label == 0], minlength=len(groups))
    drawn = np.random.default_rng(0).multinomial(
        len(groups), np.full(len(groups), 1 / len(groups)), size=DRAWS
    )
    won = np.einsum("di,ij,dj->d", drawn, wins, drawn, optimize=True)
    return won / ((drawn @ positives) * (drawn @ negatives))


def _wins_by_group(
    positive: np.ndarray, scores: np.ndarray, codes: np.ndarray, groups: int
) -> np.ndarray:
    """How many negatives of group j lie below the positives of group i; a tie counts half."""
    _, ranks = np.unique(scores, return_inverse=True)
    levels = ranks.max() + 1
    cells = ranks[~positive] * groups + codes[~positive]
    negatives = np.bincount(cells, minlength=levels * groups).reshape(levels, groups)
    below = np.cumsum(negatives, axis=0) - negatives / 2
    ranks_of = [ranks[positive & (codes == group)] for group in range(groups)]
    return np.array([below[found].sum(axis=0) for found in ranks_of])
