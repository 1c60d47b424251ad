"""What outlives notebook 2: features, models, costs, a prediction, a measure of drift."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

CODES = ["origin", "carrier", "dest"]
SCHEDULE = ["weekday", "hour", "distance"]
WEATHER = ["temp", "humid", "wind_speed", "precip", "pressure", "visib"]
FEATURES = [*CODES, *SCHEDULE, *WEATHER]

# What a flight costs in dollars: to prepare for its late arrival, and to be caught by it.
PREPARE, CAUGHT = 100, 300
THRESHOLD = PREPARE / CAUGHT

# What a request has to hold: the least and the most that a value can be.
LIMITS = {
    "weekday": (1, 7),
    "hour": (0, 23),
    "distance": (1, 12_000),
    "temp": (-60, 140),
    "humid": (0, 100),
    "wind_speed": (0, 100),
    "precip": (0, 20),
    "pressure": (850, 1_090),
    "visib": (0, 10),
}


# ── models ───────────────────────────────────────────────────────────────────────────────────────


def boosting(columns: list[str]) -> Pipeline:
    """Gradient boosting on these columns; codes as categories, what is missing stays missing."""
    codes = [name for name in columns if name in CODES]
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    others = [name for name in columns if name not in CODES]
    model = HistGradientBoostingClassifier(
        categorical_features=list(range(len(codes))),
        learning_rate=0.1,
        max_iter=100,
        early_stopping=False,
        random_state=0,
    )
    return make_pipeline(make_column_transformer((encoder, codes), ("passthrough", others)), model)


def logistic(columns: list[str]) -> Pipeline:
    """Logistic regression on these columns; codes, weekday and hour one-hot, numbers scaled."""
    codes = [name for name in columns if name in [*CODES, "weekday", "hour"]]
    numbers = [name for name in columns if name not in codes]
    encoder = OneHotEncoder(handle_unknown="ignore", min_frequency=50)
    scaler = make_pipeline(SimpleImputer(), StandardScaler())
    return make_pipeline(
        make_column_transformer((encoder, codes), (scaler, numbers)),
        LogisticRegression(max_iter=300),
    )


def hour_rule(train: pd.DataFrame, flights: pd.DataFrame) -> np.ndarray:
    """The baseline: the share of late flights at the same hour in the training data."""
    share = train.groupby("hour")["late"].mean()
    return flights["hour"].map(share).fillna(train["late"].mean()).to_numpy()


def cost(late: pd.Series, probability: np.ndarray, threshold: float = THRESHOLD) -> float:
    """Dollars a flight, if one prepares for each flight whose probability reaches the threshold."""
    prepared = probability >= threshold
    caught = ~prepared & late.to_numpy(bool)
    return float(np.mean(prepared * PREPARE + caught * CAUGHT))


# ── deployment ───────────────────────────────────────────────────────────────────────────────────


class BadRequest(ValueError):
    """A request that cannot be answered; the message says what is wrong with it."""


def load_model(path: Path) -> Pipeline:
    """A model that was saved with joblib.

    The file holds pickled Python: loading runs code. Load only what you have saved yourself.
    """
    return joblib.load(path)


def predict(model: Pipeline, request: dict[str, Any]) -> dict[str, Any]:
    """Answer a request: the probability that the flight comes late, and what to do.

    Args:
        model: fitted on FEATURES.
        request: a value for each of FEATURES; weather may be None where the station was silent.

    Raises:
        BadRequest: naming the feature and the remedy.
    """
    missing = [name for name in FEATURES if name not in request]
    unknown = sorted(set(request) - set(FEATURES))
    if missing or unknown:
        raise BadRequest(f"missing: {missing}, unknown: {unknown}; give exactly {FEATURES}")
    for name, value in request.items():
        _check(name, value)
    row = pd.DataFrame([request], columns=FEATURES)
    row[list(LIMITS)] = row[list(LIMITS)].astype(float)
    probability = float(model.predict_proba(row)[0, 1])
    return {"late": round(probability, 3), "prepare": probability >= THRESHOLD}


def _check(name: str, value: Any) -> None:
    if name in CODES:
        if not (isinstance(value, str) and value.isalnum() and value.isupper()):
            raise BadRequest(f"{name} is {value!r}; give a code such as 'JFK' or 'UA'")
        return
    if value is None and name in WEATHER:
        return
    least, most = LIMITS[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRequest(f"{name} is {value!r}; give a number")
    if not least <= value <= most:
        raise BadRequest(f"{name} is {value}; give a number from {least} to {most}")


# ── monitoring ───────────────────────────────────────────────────────────────────────────────────


def psi(expected: pd.Series, observed: pd.Series, bins: int = 10) -> float:
    """Population stability index: how far a feature's distribution has moved. 0 means not at all.

    The sum over bins of (o - e) ln(o / e), where e and o are the shares of the expected and the
    observed values in a bin; bins hold equal shares of the expected ones. By a rule of thumb of
    credit scoring, 0.1 is little and 0.25 is much (Siddiqi, Credit Risk Scorecards, Wiley 2006).

    Raises:
        ValueError: if one of the two has no values.
    """
    expected, observed = expected.dropna(), observed.dropna()
    if expected.empty or observed.empty:
        raise ValueError(f"{len(expected)} expected and {len(observed)} observed values: need both")
    edges = np.unique(np.quantile(expected, np.linspace(0, 1, bins + 1)))
    # At least one value lies in each outer bin, however far it is outside.
    inner = edges[1:-1] if len(edges) > 2 else edges[:1]
    e = np.bincount(np.digitize(expected, inner), minlength=len(inner) + 1) / len(expected)
    o = np.bincount(np.digitize(observed, inner), minlength=len(inner) + 1) / len(observed)
    e, o = np.clip(e, 1e-4, None), np.clip(o, 1e-4, None)
    return float(np.sum((o - e) * np.log(o / e)))
