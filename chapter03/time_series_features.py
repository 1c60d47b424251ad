"""Features of an hourly series that are known when the forecast is made, and their judges.

A forecast is made at an *origin*, the first hour that nobody has seen yet, for the hours from it
on. The `horizon` is how many hours ahead the last of them lies: with a horizon of 24, a feature of
an hour may use what was measured 24 hours before it and earlier, and nothing later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.base import RegressorMixin, clone
from threadpoolctl import threadpool_limits

HOUR = pd.Timedelta(hours=1)
DAY, WEEK = 24, 168  # hours
YEAR = 8766  # hours, with a leap day every four years
# A Monday at midnight: Fourier terms of a week start there.
MONDAY = pd.Timestamp("2016-01-04")

Builder = Callable[[pd.Series], pd.DataFrame]


class SeriesError(ValueError):
    """The series cannot be used as it is; the message names the value and the remedy."""


# ------------------------------------------------------------------------------- a regular series


def regular_hours(rows: pd.DataFrame, time: str, value: str) -> pd.Series:
    """One value for each hour from the first to the last; NaN where nothing was measured.

    `rows` has the columns `time` (full hours, without a time zone) and `value` (a number). Rows
    that repeat an hour with the same value are one row.

    Raises:
        SeriesError: if there is no row, a time is missing, has a zone or is not a full hour, or
            if one hour has two different values.
    """
    if rows.empty:
        raise SeriesError("the series is empty; check the filter or the partition that was read")
    times = pd.DatetimeIndex(rows[time])
    if times.tz is not None:
        raise SeriesError(f"the times have the zone {times.tz}; convert them by `wall_clock` first")
    if times.hasnans:
        raise SeriesError(f"{times.isna().sum()} rows have no time; drop or repair them first")
    odd = times[times != times.floor("h")]
    if len(odd):
        raise SeriesError(f"{odd[0]} is not a full hour; resample the rows to hours first")
    once = pd.DataFrame({value: rows[value].to_numpy()}, index=times).reset_index(names=time)
    once = once.drop_duplicates()
    twice = once[once[time].duplicated(keep=False)]
    if len(twice):
        values = ", ".join(str(each) for each in twice[value].head(2))
        raise SeriesError(
            f"{twice[time].iloc[0]} has more than one value ({values}); decide which is right, "
            "or aggregate, before making features"
        )
    return once.set_index(time)[value].astype("float64").sort_index().asfreq("h")


def wall_clock(series: pd.Series, zone: str) -> pd.Series:
    """The series by the clock on the wall in `zone`, from one in UTC.

    People follow that clock, and so should "the same hour yesterday". The hour that a clock skips
    in spring becomes a gap, the one that it shows twice in autumn the mean of both.

    Raises:
        SeriesError: if the times have no zone: 7:00 of where?
    """
    if series.index.tz is None:
        raise SeriesError("the times have no zone; say which by tz_localize first")
    local = series.index.tz_convert(zone).tz_localize(None)
    return series.groupby(local).mean().asfreq("h")


# --------------------------------------------------------------------------------------- features


def lags(series: pd.Series, hours: Iterable[int], horizon: int) -> pd.DataFrame:
    """What was measured so many hours before.

    Raises:
        SeriesError: if a lag is shorter than the horizon, so not known when it is needed.
    """
    hours = list(hours)
    short = [lag for lag in hours if lag < horizon]
    if short:
        raise SeriesError(
            f"a lag of {short[0]} hours is not known {horizon} hours ahead; use {horizon} or more"
        )
    return pd.DataFrame({f"lag_{lag}": series.shift(lag) for lag in hours})


def rolling(series: pd.Series, windows: Iterable[int], horizon: int) -> pd.DataFrame:
    """Mean and standard deviation of the last so many hours that are known `horizon` ahead.

    A window with a gap counts what is in it, if that is half of it at least.
    """
    known = series.shift(horizon)
    columns = {}
    for window in windows:
        last = known.rolling(window, min_periods=window // 2)
        columns[f"mean_{window}"] = last.mean()
        columns[f"std_{window}"] = last.std()
    return pd.DataFrame(columns)


def expanding(series: pd.Series, horizon: int) -> pd.DataFrame:
    """Mean of this hour of the week over all earlier weeks: a climate rather than the weather.

    Raises:
        SeriesError: if the horizon is longer than a week.
    """
    if horizon > WEEK:
        raise SeriesError(f"last week's hour is not known {horizon} hours ahead; at most {WEEK}")
    hours = hour_of_week(series.index)
    # Sums up to an hour less its own value: what its earlier weeks add up to.
    values, measured = series.fillna(0), series.notna().astype(int)
    total = values.groupby(hours).cumsum() - values
    count = measured.groupby(hours).cumsum() - measured
    return pd.DataFrame({"mean_of_hour": total / count.where(count > 0)})


def calendar(index: pd.DatetimeIndex, holidays: Iterable[pd.Timestamp]) -> pd.DataFrame:
    """Hour, weekday, month, and whether it is a public holiday or a day beside one.

    Known years ahead. `holidays` are dates.
    """
    days = pd.DatetimeIndex(list(holidays))
    date = index.normalize()
    return pd.DataFrame(
        {
            "hour": index.hour,
            "weekday": index.day_of_week,
            "month": index.month,
            "holiday": date.isin(days).astype(int),
            "day_before": date.isin(days - pd.Timedelta(days=1)).astype(int),
            "day_after": date.isin(days + pd.Timedelta(days=1)).astype(int),
        },
        index=index,
    )


def fourier(index: pd.DatetimeIndex, period: int, order: int) -> pd.DataFrame:
    """Sine and cosine of 1 to `order` turns a period (hours): a smooth season for linear models.

    Raises:
        SeriesError: if the order is so high that a turn is shorter than two hours.
    """
    if not 1 <= order <= period // 2:
        raise SeriesError(f"{order} turns in {period} hours; choose 1 to {period // 2}")
    turns = ((index - MONDAY) / HOUR).to_numpy() / period
    columns = {}
    for k in range(1, order + 1):
        columns[f"sin_{period}_{k}"] = np.sin(2 * np.pi * k * turns)
        columns[f"cos_{period}_{k}"] = np.cos(2 * np.pi * k * turns)
    return pd.DataFrame(columns, index=index)


def hour_of_week(index: pd.DatetimeIndex) -> np.ndarray:
    """0 for Monday at midnight to 167."""
    return np.asarray(index.day_of_week * DAY + index.hour)


# ------------------------------------------------------------------------------------------ leaks


def as_known_at(series: pd.Series, origin: pd.Timestamp, horizon: int) -> pd.Series:
    """The series as it is at the origin: what comes from there on is not there yet.

    It goes on, empty, to the last hour of the forecast, so that features can be asked for it.
    """
    past = series[series.index < origin]
    if past.empty:
        raise SeriesError(f"nothing is known before {origin}; the series starts {series.index[0]}")
    end = origin + (horizon - 1) * HOUR
    return past.reindex(pd.date_range(series.index[0], end, freq="h", name=series.index.name))


def live(build: Builder, series: pd.Series, origins: Iterable, horizon: int) -> pd.DataFrame:
    """The features as production would have computed them: at each origin, from its past alone."""
    rows = []
    for origin in pd.DatetimeIndex(list(origins)):
        rows.append(build(as_known_at(series, origin, horizon)).loc[origin:])
    return pd.concat(rows)


def find_leaks(
    build: Builder, series: pd.Series, origins: Iterable, horizon: int
) -> dict[str, float]:
    """The features that change when the future is cut off, with the share of values that do.

    Whatever `build` computes from the series passes through here, so that a centred window, a
    short lag and a scaling by the mean of all years are found alike. What enters by another way,
    such as weather that was measured and not forecast, is not.

    Raises:
        SeriesError: if no origin lies within the series.
    """
    origins = [each for each in pd.DatetimeIndex(list(origins)) if each in series.index]
    if not origins:
        raise SeriesError("no origin lies within the series, so there is nothing to cut off")
    then = live(build, series, origins, horizon)
    then = then[then.index <= series.index[-1]]
    later = build(series).loc[then.index]
    same = np.isclose(then.to_numpy(float), later.to_numpy(float), rtol=1e-9, equal_nan=True)
    changed = pd.Series((~same).mean(axis=0), index=then.columns)
    return changed[changed > 0].to_dict()


# --------------------------------------------------------------------------------------- backtest


@dataclass(frozen=True)
class Fold:
    """Learn from what lies before `origin`, forecast from there until before `end`."""

    origin: pd.Timestamp
    end: pd.Timestamp


def rolling_origins(end: pd.Timestamp, count: int, weeks: int) -> list[Fold]:
    """`count` folds of so many weeks, one after the other, the last up to `end`."""
    length = pd.Timedelta(weeks=weeks)
    starts = [end - (count - each) * length for each in range(count)]
    return [Fold(start, start + length) for start in starts]


def wape(actual: np.ndarray, forecast: np.ndarray) -> float:
    """Weighted absolute percentage error: sum of |error| / sum of |actual|, where both exist.

    Raises:
        SeriesError: if there is no hour with both, or the actual values sum to 0.
    """
    actual, forecast = np.asarray(actual, float), np.asarray(forecast, float)
    both = ~np.isnan(actual) & ~np.isnan(forecast)
    total = np.abs(actual[both]).sum()
    if total == 0:
        raise SeriesError("the actual values sum to 0 or are missing; use MASE instead")
    return float(np.abs(actual - forecast)[both].sum() / total)


def mase(actual: np.ndarray, forecast: np.ndarray, past: pd.Series, season: int = WEEK) -> float:
    """Mean absolute error over that of the seasonal naive forecast on the past.

    Below 1 is better than repeating the last season. Hyndman and Koehler (2006), "Another look at
    measures of forecast accuracy".

    Raises:
        SeriesError: if the past is shorter than two seasons, or repeats itself exactly.
    """
    scale = past.diff(season).abs().mean()
    if not scale > 0:
        raise SeriesError(f"{len(past)} hours of past give no seasonal error to compare with")
    errors = np.abs(np.asarray(actual, float) - np.asarray(forecast, float))
    return float(np.nanmean(errors) / scale)


def seasonal_naive(series: pd.Series) -> pd.Series:
    """The same hour a week ago; where that is a gap, two weeks ago."""
    return series.shift(WEEK).fillna(series.shift(2 * WEEK))


def forecast(
    model: RegressorMixin, features: pd.DataFrame, series: pd.Series, fold: Fold
) -> pd.Series:
    """What the model, fitted on the hours before the fold, says for the hours of the fold.

    Raises:
        SeriesError: if nothing was measured before the fold.
    """
    past = series[series.index < fold.origin].dropna()
    if past.empty:
        raise SeriesError(f"nothing was measured before {fold.origin}; start the folds later")
    ahead = features[(features.index >= fold.origin) & (features.index < fold.end)]
    return pd.Series(_fit_predict(model, features.loc[past.index], past, ahead), ahead.index)


def _fit_predict(
    model: RegressorMixin, features: pd.DataFrame, past: pd.Series, ahead: pd.DataFrame
) -> np.ndarray:
    """Predictions of a fresh model; in one thread, since tables this small gain nothing by more."""
    with threadpool_limits(limits=1):
        return clone(model).fit(features, past).predict(ahead)


def backtest(
    model: RegressorMixin, features: pd.DataFrame, series: pd.Series, folds: Sequence[Fold]
) -> pd.DataFrame:
    """WAPE and MASE of each fold, by its origin."""
    rows = []
    for fold in folds:
        said = forecast(model, features, series, fold)
        rows.append(judge(said, series, fold))
    return pd.DataFrame(rows).set_index("origin")


def judge(said: pd.Series, series: pd.Series, fold: Fold) -> dict[str, object]:
    """The errors of one fold's forecast."""
    actual = series.loc[said.index]
    past = series[series.index < fold.origin]
    return {"origin": fold.origin, "wape": wape(actual, said), "mase": mase(actual, said, past)}


def compare(
    model: RegressorMixin,
    tables: Mapping[str, pd.DataFrame],
    series: pd.Series,
    folds: Sequence[Fold],
) -> pd.DataFrame:
    """WAPE of the same model on several tables of features: a row a fold, a column a table."""
    return pd.DataFrame(
        {name: backtest(model, table, series, folds)["wape"] for name, table in tables.items()}
    )


def judge_folds(said: pd.Series, series: pd.Series, folds: Sequence[Fold]) -> pd.DataFrame:
    """WAPE and MASE of a forecast that needs no fitting, in each fold, by its origin."""
    rows = [
        judge(said[(said.index >= fold.origin) & (said.index < fold.end)], series, fold)
        for fold in folds
    ]
    return pd.DataFrame(rows).set_index("origin")


def promised_and_live(
    model: RegressorMixin, build: Builder, series: pd.Series, fold: Fold, horizon: int
) -> tuple[float, float]:
    """WAPE with features made from the whole history, and with those that each day really had.

    The second forecasts `horizon` hours at a time, as production does; the model is the same.
    """
    features = build(series).astype(float)
    promised = judge(forecast(model, features, series, fold), series, fold)["wape"]
    origins = pd.date_range(fold.origin, fold.end, freq=horizon * HOUR, inclusive="left")
    then = live(build, series, origins, horizon)
    features.loc[then.index.intersection(features.index)] = then
    return promised, judge(forecast(model, features, series, fold), series, fold)["wape"]


def random_split_promises(
    model: RegressorMixin,
    features: pd.DataFrame,
    series: pd.Series,
    folds: Sequence[Fold],
    seed: int = 0,
) -> pd.Series:
    """The WAPE that a tenth of the past, drawn at random, would have promised at each origin."""
    random = np.random.default_rng(seed)
    promises = {}
    for fold in folds:
        past = series[series.index < fold.origin].dropna()
        drawn = random.random(len(past)) < 0.1
        learned, held_out = past[~drawn], past[drawn]
        ahead = features.loc[held_out.index]
        said = _fit_predict(model, features.loc[learned.index], learned, ahead)
        promises[fold.origin] = wape(held_out, said)
    return pd.Series(promises, name="wape")


# ------------------------------------------------------------------------- one model an hour ahead


def direct_errors(
    model: RegressorMixin, known: pd.DataFrame, series: pd.Series, fold: Fold, hours: Iterable[int]
) -> pd.Series:
    """WAPE by hours ahead, of a model each: `known` columns and the last two counts that it has."""
    errors = {}
    for ahead in hours:
        last = lags(series, sorted({ahead, ahead + 1, DAY, WEEK}), ahead)
        said = forecast(model, known.join(last), series, fold)
        errors[ahead] = judge(said, series, fold)["wape"]
    return pd.Series(errors)


def stale_errors(
    model: RegressorMixin, known: pd.DataFrame, series: pd.Series, fold: Fold, hours: Iterable[int]
) -> pd.Series:
    """WAPE by hours ahead, of one model that learned from the hour before.

    So many hours ahead, that hour is not there yet: it gets the last one that is.
    """
    past = series[series.index < fold.origin].dropna()
    with threadpool_limits(limits=1):
        fitted = clone(model).fit(known.assign(last=series.shift(1)).loc[past.index], past)
    test = known[(known.index >= fold.origin) & (known.index < fold.end)]
    errors = {}
    for ahead in hours:
        said = fitted.predict(test.assign(last=series.shift(ahead)))
        errors[ahead] = wape(series.loc[test.index], said)
    return pd.Series(errors)
