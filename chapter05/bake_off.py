"""A bake-off on one table: seven ways to say how likely a flight is to be late, on equal terms.

Everything here works on the table of `data/flights.parquet`. Each contestant gets the columns in
the form that it needs, learns from January to September on one core, and is judged on days that
it has never seen. `train_sklearn.py` trains one of them as a SageMaker job with this same module.

The settings of each contestant are the best of three or four tried on October. Chapter 6.2 says
how to look for them properly.
"""

from __future__ import annotations

import pickle
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import calibration_curve
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.inspection import permutation_importance
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from threadpoolctl import threadpool_limits

LABEL = "late"
CATEGORICAL = ["carrier", "dest"]
NUMERIC = [
    "day_of_week",
    "departure_minute",
    "scheduled_departures",
    "distance",
    "plane_age",
    "temperature",
    "wind_speed",
    "precipitation",
    "pressure",
    "visibility",
    "origin_late_share_3h",
    "carrier_late_share_3h",
    "dest_late_share_6h",
    "carrier_late_share_7d",
    "dest_late_share_7d",
    "origin_overdue",
    "carrier_overdue",
]
FEATURES = NUMERIC + CATEGORICAL
SPLITS = {
    "train": ("2013-01-01", "2013-09-30"),
    "october": ("2013-10-01", "2013-10-31"),
    "test": ("2013-11-01", "2013-12-31"),
}
SMOOTHING_FLIGHTS = 50
# Probabilities are held this far from 0 and 1 when a logarithm is taken: k-NN does say "never".
SMALLEST = 1e-3


class BakeOffError(Exception):
    """Something cannot be compared as it is."""


# ── the table ───────────────────────────────────────────────────────────────────────────────────


def read_flights(path: Path) -> pd.DataFrame:
    """Read a table of flights, Parquet or CSV, and check it.

    Raises BakeOffError, naming the fault, if it is not there, lacks a column, or has a label that
    is not 0 or 1.
    """
    if not path.is_file():
        raise BakeOffError(f"{path} does not exist; make it with data/make_flights.py")
    flights = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    missing = [name for name in ("date", LABEL, *FEATURES) if name not in flights]
    if missing:
        raise BakeOffError(f"{path} lacks the columns {', '.join(missing)}")
    strange = flights.loc[~flights[LABEL].isin([0, 1]), LABEL]
    if flights.empty or len(strange):
        raise BakeOffError(f"'{LABEL}' in {path} must be 0 or 1, found {list(strange[:3])}")
    flights["date"] = pd.to_datetime(flights["date"])
    return flights


def split_by_time(flights: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the flights of each period in SPLITS. Raises BakeOffError if one has none."""
    parts = {name: flights[flights["date"].between(*days)] for name, days in SPLITS.items()}
    for name, part in parts.items():
        if part.empty:
            raise BakeOffError(f"no flight between {' and '.join(SPLITS[name])} for '{name}'")
    return parts


# ── the contestants ─────────────────────────────────────────────────────────────────────────────


class RuleOfThumb(ClassifierMixin, BaseEstimator):
    """What a clerk knows: how often this carrier was late at this hour, smoothed."""

    def fit(self, X: pd.DataFrame, y: pd.Series) -> RuleOfThumb:
        """Count the late flights of each carrier and hour."""
        self.classes_ = np.array([0, 1])
        self.overall_ = float(np.mean(y))
        counts = pd.Series(np.asarray(y), index=self._groups(X)).groupby(level=[0, 1])
        late = counts.sum() + SMOOTHING_FLIGHTS * self.overall_
        self.shares_ = late / (counts.size() + SMOOTHING_FLIGHTS)
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Return the shares of flights on time and late, shape (n, 2)."""
        late = self.shares_.reindex(self._groups(X)).fillna(self.overall_).to_numpy()
        return np.column_stack([1 - late, late])

    @staticmethod
    def _groups(X: pd.DataFrame) -> pd.MultiIndex:
        return pd.MultiIndex.from_arrays([X["carrier"], X["departure_minute"] // 60])


class LateShareEncoder(TargetEncoder):
    """A category becomes the smoothed late share of its training flights.

    scikit-learn's own `fit_transform` encodes the training rows out of folds that it draws at
    random. With thousands of flights to a level that changes nothing, and this gives the same
    numbers on every run.
    """

    def fit_transform(self, X: pd.DataFrame, y: pd.Series) -> np.ndarray:
        """Fit, then encode the same rows like any others."""
        return self.fit(X, y).transform(X)


def _shares() -> ColumnTransformer:
    encoder = LateShareEncoder(target_type="binary", smooth=SMOOTHING_FLIGHTS)
    return ColumnTransformer([("number", "passthrough", NUMERIC), ("share", encoder, CATEGORICAL)])


def _filled() -> Pipeline:
    return make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())


def _linear_columns() -> ColumnTransformer:
    """Filled and scaled numbers, a smooth curve over the time of day, one column per category."""
    straight = [name for name in NUMERIC if name != "departure_minute"]
    levels = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=100)
    return ColumnTransformer(
        [
            ("number", _filled(), straight),
            ("curve", SplineTransformer(n_knots=5), ["departure_minute"]),
            ("level", levels, CATEGORICAL),
        ]
    )


def _as_categories(table: pd.DataFrame) -> pd.DataFrame:
    return table[FEATURES].astype(dict.fromkeys(CATEGORICAL, "category"))


def _single_precision(values: np.ndarray) -> np.ndarray:
    return values.astype("float32")


def _logistic(**settings: object) -> Pipeline:
    return make_pipeline(_linear_columns(), LogisticRegression(C=0.01, max_iter=500, **settings))


def _nearest_neighbours() -> Pipeline:
    nearest = KNeighborsClassifier(200, algorithm="brute")
    return make_pipeline(_shares(), _filled(), FunctionTransformer(_single_precision), nearest)


def _random_forest() -> Pipeline:
    forest = RandomForestClassifier(60, min_samples_leaf=25, max_samples=0.25, random_state=0)
    return make_pipeline(_shares(), forest)


def _histogram_boosting() -> Pipeline:
    boosting = HistGradientBoostingClassifier(
        categorical_features="from_dtype",
        max_iter=60,
        learning_rate=0.1,
        max_leaf_nodes=16,
        min_samples_leaf=500,
        l2_regularization=100,
        early_stopping=False,
        random_state=0,
    )
    return make_pipeline(FunctionTransformer(_as_categories), boosting)


def _xgboost() -> Pipeline:
    from xgboost import XGBClassifier  # not in AWS's scikit-learn image, which reads this module

    boosting = XGBClassifier(
        n_estimators=100,
        learning_rate=0.05,
        max_depth=8,
        min_child_weight=100,
        subsample=0.5,
        colsample_bytree=0.4,
        random_state=0,
        n_jobs=1,
    )
    return make_pipeline(_shares(), boosting)


def _network() -> Pipeline:
    network = MLPClassifier((32, 16), alpha=1, batch_size=256, max_iter=8, random_state=0)
    return make_pipeline(_shares(), _filled(), network)


CONTESTANTS: dict[str, Callable[[], BaseEstimator]] = {
    "rule of thumb": RuleOfThumb,
    "logistic regression": _logistic,
    "k-NN": _nearest_neighbours,
    "random forest": _random_forest,
    "HistGradientBoosting": _histogram_boosting,
    "XGBoost": _xgboost,
    "MLP": _network,
}
# What k-NN remembers it must search for each answer: with one flight in eight, nearly as good.
EVERY = {"k-NN": 8}


def make(name: str, **settings: object) -> BaseEstimator:
    """Return a contestant that has learnt nothing yet. Raises BakeOffError for an unknown name."""
    if name not in CONTESTANTS:
        raise BakeOffError(f"no contestant is called {name!r}; there are {', '.join(CONTESTANTS)}")
    return CONTESTANTS[name](**settings)


@dataclass(frozen=True)
class Trained:
    """A contestant that has learnt, and how many seconds it took on one core."""

    model: BaseEstimator
    seconds: float

    def probability(self, flights: pd.DataFrame) -> np.ndarray:
        """How likely each flight is to be late, shape (n,)."""
        with threadpool_limits(1):
            return self.model.predict_proba(flights)[:, 1].astype("float64")


def train(name: str, flights: pd.DataFrame, **settings: object) -> Trained:
    """Let a contestant learn from the flights, on one core.

    Raises BakeOffError if `name` is unknown or all flights have the same label.
    """
    model = make(name, **settings)
    if flights[LABEL].nunique() < 2:
        raise BakeOffError("all flights have the same label; give some that were late, some not")
    rows = flights.iloc[:: EVERY.get(name, 1)]
    started = time.perf_counter()
    with threadpool_limits(1), warnings.catch_warnings():
        # The network stops after eight rounds on purpose: more of them learn the weather by heart.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(rows, rows[LABEL])
    return Trained(model, time.perf_counter() - started)


# ── scores, and how sure they are ───────────────────────────────────────────────────────────────


class DayBootstrap:
    """Scores of many imagined test periods, each made of days drawn with replacement.

    Whole days are drawn, because flights of one day share its weather. Every score comes as one
    value per imagined period, in the same order of periods for all models: subtract two of them,
    and what the periods have in common falls away.
    """

    def __init__(self, days: pd.Series, late: pd.Series, draws: int = 2000, seed: int = 0) -> None:
        """Draw the periods. `days` and `late` (0 or 1) have one value per flight, shape (n,).

        Raises BakeOffError if there are fewer than two days or only one kind of flight.
        """
        self._day, names = pd.factorize(np.asarray(days))
        self._late = np.asarray(late).astype(bool)
        self._days = len(names)
        if self._days < 2 or self._late.all() or not self._late.any():
            raise BakeOffError("resampling needs two days or more, with flights late and on time")
        random = np.random.default_rng(seed)
        chances = np.full(self._days, 1 / self._days)
        # How often each day is in each period; the first row is the period as it was.
        drawn = random.multinomial(self._days, chances, size=draws)
        self._times = np.vstack([np.ones(self._days), drawn])

    def _per_day(self, values: np.ndarray) -> np.ndarray:
        return np.bincount(self._day, values, minlength=self._days)

    def _mean(self, values: np.ndarray) -> np.ndarray:
        flights = self._times @ self._per_day(np.ones(len(values)))
        return self._times @ self._per_day(values) / flights

    def log_loss(self, probability: np.ndarray) -> np.ndarray:
        """The mean of -log(probability of what happened), shape (draws + 1,)."""
        sure = np.clip(probability, SMALLEST, 1 - SMALLEST)
        return self._mean(-np.log(np.where(self._late, sure, 1 - sure)))

    def brier(self, probability: np.ndarray) -> np.ndarray:
        """The mean squared distance of the probability from what happened, shape (draws + 1,)."""
        return self._mean((probability - self._late) ** 2)

    def auc(self, probability: np.ndarray) -> np.ndarray:
        """The share of pairs (late, on time) that are in the right order, shape (draws + 1,).

        The pairs are counted once, for each day of the late flight and each day of the other.
        A day that is drawn twice counts its pairs twice, so each period is a weighted sum.
        """
        right = self._right_pairs(probability)
        late = self._times @ self._per_day(self._late)
        on_time = self._times @ self._per_day(~self._late)
        return np.einsum("pi,ij,pj->p", self._times, right, self._times, optimize=True) / (
            late * on_time
        )

    def _right_pairs(self, probability: np.ndarray) -> np.ndarray:
        right = np.empty((self._days, self._days))
        late, day_of_late = probability[self._late], self._day[self._late]
        for day in range(self._days):
            others = np.sort(probability[(self._day == day) & ~self._late])
            below = np.searchsorted(others, late, "left") + np.searchsorted(others, late, "right")
            right[:, day] = np.bincount(day_of_late, below / 2, minlength=self._days)
        return right


def interval(scores: np.ndarray) -> dict[str, float]:
    """The score as it was, and between which bounds 95 % of the imagined periods have theirs."""
    low, high = np.percentile(scores[1:], [2.5, 97.5])
    return {"score": float(scores[0]), "low": float(low), "high": float(high)}


def compare(scores: Mapping[str, np.ndarray], reference: str | None = None) -> pd.DataFrame:
    """Return `interval` of each contestant's scores, or of their distance from one contestant's.

    Raises BakeOffError if there is no such reference.
    """
    if reference is not None and reference not in scores:
        raise BakeOffError(f"no scores of {reference!r}; there are {', '.join(scores)}")
    base = 0 if reference is None else scores[reference]
    rows = {name: interval(values - base) for name, values in scores.items() if name != reference}
    return pd.DataFrame.from_dict(rows, orient="index")


# ── calibration ─────────────────────────────────────────────────────────────────────────────────


def log_odds(probability: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)), with p held away from 0 and 1."""
    held = np.clip(probability, SMALLEST, 1 - SMALLEST)
    return np.log(held / (1 - held))


def recalibrate(method: str, said: np.ndarray, happened: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Correct the probabilities `new` by what happened (0 or 1) when a model had `said` others.

    `sigmoid` is Platt's scaling, a logistic regression on the log odds; `isotonic` the best
    curve that never falls. Raises BakeOffError for any other method.
    """
    if method == "sigmoid":
        scaling = LogisticRegression(C=np.inf).fit(log_odds(said)[:, None], happened)
        return scaling.predict_proba(log_odds(new)[:, None])[:, 1]
    if method == "isotonic":
        return IsotonicRegression(out_of_bounds="clip").fit(said, happened).predict(new)
    raise BakeOffError(f"method must be 'sigmoid' or 'isotonic', got {method!r}")


def calibration_table(
    days: DayBootstrap,
    said_before: Mapping[str, np.ndarray],
    late_before: pd.Series,
    said: Mapping[str, np.ndarray],
) -> pd.DataFrame:
    """Return the Brier score of each contestant as it is and after both kinds of calibration.

    The corrections are learnt from what was said before and what happened then; `days` and `said`
    belong to the flights that are judged.
    """
    rows = {}
    for name, probability in said.items():
        rows[name] = {"as it is": days.brier(probability)[0]}
        for method in ("sigmoid", "isotonic"):
            corrected = recalibrate(method, said_before[name], late_before, probability)
            rows[name][method] = days.brier(corrected)[0]
    return pd.DataFrame.from_dict(rows, orient="index")


def reliability(probability: np.ndarray, late: pd.Series, groups: int = 10) -> pd.DataFrame:
    """Return what was `said` and what `happened` in groups of flights of equal size."""
    happened, said = calibration_curve(late, probability, n_bins=groups, strategy="quantile")
    return pd.DataFrame({"said": said, "happened": happened})


# ── time, size and money ────────────────────────────────────────────────────────────────────────


def measure(trained: Trained, flights: pd.DataFrame, single_calls: int = 15) -> dict[str, float]:
    """Return what a contestant takes: seconds to train, to answer one row and a thousand, bytes.

    One row: the median of `single_calls` calls. A thousand: one call with all the flights given.
    """
    singles = []
    for row in range(single_calls):
        one = flights.iloc[[row]]
        started = time.perf_counter()
        trained.probability(one)
        singles.append(time.perf_counter() - started)
    started = time.perf_counter()
    trained.probability(flights)
    batch = time.perf_counter() - started
    return {
        "train_seconds": trained.seconds,
        "one_row_seconds": float(np.median(singles)),
        "thousand_rows_seconds": 1000 * batch / len(flights),
        "bytes": float(len(pickle.dumps(trained.model))),
    }


def training_cost(seconds: float, dollars_per_hour: float, instances: int = 1) -> float:
    """What a training job is billed, in dollars: instances x seconds x price of a second.

    Raises BakeOffError for a negative number of seconds or dollars, or no instance.
    """
    if seconds < 0 or dollars_per_hour < 0 or instances < 1:
        raise BakeOffError(
            f"cannot price {seconds} s on {instances} instances at {dollars_per_hour} dollars"
        )
    return instances * seconds * dollars_per_hour / 3600


# ── explanation ─────────────────────────────────────────────────────────────────────────────────


def tree_contributions(trained: Trained, flights: pd.DataFrame) -> pd.DataFrame:
    """Return what each feature adds to the log odds of each flight: exact TreeSHAP of XGBoost.

    One row per flight, one column per feature and `base`; a row sums to the model's log odds.
    Lundberg et al., "From local explanations to global understanding with explainable AI for
    trees" (2020).
    """
    from xgboost import DMatrix

    columns, boosting = trained.model[:-1], trained.model[-1]
    matrix = DMatrix(columns.transform(flights))
    values = boosting.get_booster().predict(matrix, pred_contribs=True)
    return pd.DataFrame(values, columns=[*FEATURES, "base"], index=flights.index)


def linear_contributions(
    trained: Trained, flights: pd.DataFrame, background: pd.DataFrame
) -> pd.DataFrame:
    """Return the same for the logistic regression: coefficient x distance from the average flight.

    `background` are the flights of that average. Columns made of one feature (the levels of a
    category, the pieces of a curve) are added up.
    """
    columns, regression = trained.model[0], trained.model[-1]
    mean = np.asarray(columns.transform(background).mean(axis=0)).ravel()
    rows = columns.transform(flights)
    rows = rows.toarray() if hasattr(rows, "toarray") else rows
    values = (rows - mean) * regression.coef_[0]
    feature_of = [_feature_of(name) for name in columns.get_feature_names_out()]
    summed = pd.DataFrame(values, columns=feature_of, index=flights.index).T.groupby(level=0).sum()
    base = regression.intercept_[0] + regression.coef_[0] @ mean
    return summed.T[FEATURES].assign(base=base)


def _feature_of(column: str) -> str:
    """The feature that a column of `_linear_columns` was made of, by the name of the column."""
    kind, _, rest = column.partition("__")
    if kind == "number":
        return rest.removeprefix("missingindicator_")
    return "departure_minute" if kind == "curve" else rest.partition("_")[0]


def shuffling_cost(trained: Trained, flights: pd.DataFrame, repeats: int = 3) -> pd.Series:
    """Return how much the log loss rises when a feature is shuffled among the flights."""
    result = permutation_importance(
        trained.model,
        flights[FEATURES],
        flights[LABEL],
        scoring="neg_log_loss",
        n_repeats=repeats,
        random_state=0,
    )
    return pd.Series(result.importances_mean, FEATURES)


# ── the scorecard ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Scale:
    """What of a quantity is worth nothing (grade 0) and what is as good as you can use (grade 1).

    With `in_tens`, each tenth or tenfold counts the same, as suits times, sizes and money.
    """

    worthless: float
    enough: float
    in_tens: bool = False

    def grade(self, values: pd.Series) -> pd.Series:
        """Return grades between 0 and 1. Raises BakeOffError if both ends are the same."""
        if self.worthless == self.enough:
            raise BakeOffError(f"a scale from {self.worthless} to itself cannot grade anything")
        bend = np.log10 if self.in_tens else np.positive
        low, high = bend(self.worthless), bend(self.enough)
        return ((bend(values) - low) / (high - low)).clip(0, 1)


def scorecard(
    facts: pd.DataFrame, scales: Mapping[str, Scale], weights: Mapping[str, Mapping[str, float]]
) -> pd.DataFrame:
    """Return the grade of each contestant (row) for each reader (column), between 0 and 1.

    `facts` has a column for each scale; `weights` say for each reader what counts how much.
    Raises BakeOffError if a reader's weights name something else or do not sum to 1.
    """
    grades = pd.DataFrame({name: scale.grade(facts[name]) for name, scale in scales.items()})
    totals = {}
    for reader, parts in weights.items():
        unknown = sorted(set(parts) - set(scales))
        if unknown:
            raise BakeOffError(f"the weights of {reader!r} name {unknown}, which has no scale")
        if not np.isclose(sum(parts.values()), 1):
            raise BakeOffError(f"the weights of {reader!r} sum to {sum(parts.values()):.2f}, not 1")
        totals[reader] = sum(weight * grades[name] for name, weight in parts.items())
    return pd.DataFrame(totals)
