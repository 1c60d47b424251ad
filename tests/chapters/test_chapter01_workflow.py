"""Notebook 2 of chapter 1: its table, its models, the deployed function, the measure of drift."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import matplotlib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline

from tests.chapters.loading import ROOT, load

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 (after the backend is chosen)

TABLE = ROOT / "chapter01" / "data" / "flights.parquet"
SOURCES = ROOT / "chapter02" / "data"
workflow = load("chapter01", "workflow")
figures = load("chapter01", "figures_workflow")


@pytest.fixture(scope="module")
def make_flights() -> ModuleType:
    return load("chapter01/data", "make_flights")


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    return pd.read_parquet(TABLE)


@pytest.fixture(scope="module")
def winter(flights: pd.DataFrame) -> pd.DataFrame:
    """Every fourth flight of January and February: enough to learn from, quick to fit."""
    return flights[flights["month"] <= 2].iloc[::4]


@pytest.fixture(scope="module")
def model(winter: pd.DataFrame) -> Pipeline:
    return workflow.boosting(workflow.FEATURES).fit(winter[workflow.FEATURES], winter["late"])


@pytest.fixture
def request_() -> dict[str, Any]:
    return {
        "origin": "JFK", "carrier": "B6", "dest": "MCO", "weekday": 5, "hour": 18,
        "distance": 944, "temp": 68.0, "humid": 80.0, "wind_speed": 12.7, "precip": 0.0,
        "pressure": 1012.5, "visib": 10.0,
    }  # fmt: skip


# ── the table ────────────────────────────────────────────────────────────────────────────────────


def test_shipped_table_is_what_the_script_makes(make_flights: ModuleType, tmp_path: Path) -> None:
    again = tmp_path / "flights.parquet"
    assert make_flights.main(["--tables", str(SOURCES), "--output", str(again)]) == 0
    assert pq.read_table(TABLE).equals(pq.read_table(again))
    if pq.read_metadata(TABLE).created_by == pq.read_metadata(again).created_by:
        assert TABLE.read_bytes() == again.read_bytes()
    assert list(tmp_path.iterdir()) == [again]


def test_table_is_small_and_as_described(flights: pd.DataFrame) -> None:
    assert TABLE.stat().st_size < 3_000_000
    assert len(flights) == 327_346
    assert set(flights["late"]) == {0, 1}
    assert round(flights["late"].mean(), 3) == 0.237
    missing = flights.isna().sum()
    assert set(missing[missing > 0].index) == set(workflow.WEATHER)
    described = (TABLE.parent / "DATA.md").read_text()
    assert f"pressure {missing['pressure']:,}, others below 1,300" in described
    assert missing.drop("pressure").max() < 1_300
    assert all(f"`{column}`" in described for column in flights)


def test_each_row_agrees_with_the_sources(flights: pd.DataFrame) -> None:
    source = pd.read_parquet(SOURCES / "flights.parquet").dropna(subset=["arr_delay"])
    source = source.sort_values(["month", "day", "hour", "minute", "carrier", "flight", "origin"])
    assert (flights["late"].to_numpy() == (source["arr_delay"] > 15)).all()
    for column in ("month", "hour", "origin", "dest", "carrier", "distance", "dep_delay"):
        assert (flights[column].to_numpy() == source[column]).all(), column
    assert (flights["weekday"] == pd.to_datetime(flights["date"]).dt.day_of_week + 1).all()


def test_weather_is_the_one_of_three_hours_before(flights: pd.DataFrame) -> None:
    weather = pd.read_parquet(SOURCES / "weather.parquet")
    noon = flights[(flights["date"].astype(str) == "2013-07-04") & (flights["hour"] == 12)]
    assert len(noon) > 20
    for origin, group in noon.groupby("origin"):
        nine = weather[(weather["month"] == 7) & (weather["day"] == 4) & (weather["hour"] == 9)]
        row = nine[nine["origin"] == origin]
        assert np.allclose(group["temp"], row["temp"].item())
        assert np.allclose(group["humid"], row["humid"].item())


def test_table_is_refused_without_its_sources(
    make_flights: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "made.parquet"
    arguments = ["--tables", str(tmp_path), "--output", str(output)]
    assert make_flights.main(arguments) == 1
    assert "flights.parquet; give the folder of chapter 2's tables" in capsys.readouterr().err
    shutil.copy(SOURCES / "flights.parquet", tmp_path)
    weather = pq.read_table(SOURCES / "weather.parquet").drop_columns(["visib"])
    pq.write_table(weather, tmp_path / "weather.parquet")
    assert make_flights.main(arguments) == 1
    assert "weather.parquet has no column visib" in capsys.readouterr().err
    assert not output.exists()


def test_failed_write_leaves_the_old_table(
    make_flights: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: Any, **__: Any) -> None:
        raise OSError("no space left")

    path = tmp_path / "flights.parquet"
    path.write_bytes(b"old")
    monkeypatch.setattr(make_flights.pq, "write_table", full_disk)
    with pytest.raises(OSError, match="no space left"):
        make_flights.write(pa.table({"a": [1]}), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


# ── models ───────────────────────────────────────────────────────────────────────────────────────


def test_no_feature_looks_past_the_decision() -> None:
    late_knowledge = {"dep_delay", "late", "month", "date"}
    assert not late_knowledge & set(workflow.FEATURES)


@pytest.mark.parametrize("kind", ["boosting", "logistic"])
def test_model_beats_the_rule_of_hours(
    kind: str, flights: pd.DataFrame, winter: pd.DataFrame
) -> None:
    march = flights[flights["month"] == 3].iloc[::4]
    fitted = getattr(workflow, kind)(workflow.FEATURES)
    fitted.fit(winter[workflow.FEATURES], winter["late"])
    probability = fitted.predict_proba(march[workflow.FEATURES])[:, 1]
    rule = workflow.hour_rule(winter, march)
    assert roc_auc_score(march["late"], probability) > roc_auc_score(march["late"], rule)
    assert roc_auc_score(march["late"], probability) < 0.8


def test_leak_is_betrayed_by_its_score(flights: pd.DataFrame, winter: pd.DataFrame) -> None:
    march = flights[flights["month"] == 3].iloc[::4]
    columns = [*workflow.FEATURES, "dep_delay"]
    leaking = workflow.boosting(columns).fit(winter[columns], winter["late"])
    assert roc_auc_score(march["late"], leaking.predict_proba(march[columns])[:, 1]) > 0.88


def test_models_take_codes_they_have_not_seen(winter: pd.DataFrame) -> None:
    for build in (workflow.boosting, workflow.logistic):
        fitted = build(workflow.FEATURES).fit(winter[workflow.FEATURES], winter["late"])
        strange = winter[workflow.FEATURES].head(3).assign(dest="XXX", carrier="ZZ")
        assert np.isfinite(fitted.predict_proba(strange)).all()


def test_rule_of_hours_is_the_share_by_hour() -> None:
    train = pd.DataFrame({"hour": [6, 6, 18, 18], "late": [0, 0, 1, 0]})
    answers = workflow.hour_rule(train, pd.DataFrame({"hour": [18, 6, 3]}))
    assert answers.tolist() == [0.5, 0.0, 0.25]


def test_cost_counts_preparations_and_surprises() -> None:
    late = pd.Series([1, 0, 1, 0])
    prepared_first_two = np.array([0.9, 0.9, 0.1, 0.1])
    assert workflow.cost(late, prepared_first_two) == (100 + 100 + 300 + 0) / 4
    assert workflow.cost(late, prepared_first_two, threshold=1) == 150
    assert workflow.cost(late, prepared_first_two, threshold=0) == 100
    assert workflow.cost(late, np.full(4, workflow.THRESHOLD)) == 100


def test_threshold_of_the_costs_is_the_cheapest_for_true_probabilities() -> None:
    generator = np.random.default_rng(1)
    truth = generator.beta(2, 5, 200_000)
    late = pd.Series((generator.random(len(truth)) < truth).astype(int))
    grid = np.arange(0.05, 0.9, 0.01)
    cheapest = min(workflow.cost(late, truth, each) for each in grid)
    assert workflow.cost(late, truth) == pytest.approx(cheapest, rel=0.003)


# ── the deployed function ────────────────────────────────────────────────────────────────────────


def test_prediction_is_the_models(model: Pipeline, winter: pd.DataFrame) -> None:
    for row in (0, 500, 2_000):
        flight = winter[workflow.FEATURES].iloc[[row]]
        answer = workflow.predict(model, flight.astype(object).iloc[0].to_dict())
        expected = model.predict_proba(flight)[0, 1]
        assert answer["late"] == pytest.approx(expected, abs=6e-4)
        assert answer["prepare"] is bool(expected >= workflow.THRESHOLD)


def test_order_of_the_request_does_not_matter(model: Pipeline, request_: dict[str, Any]) -> None:
    turned = dict(reversed(request_.items()))
    assert workflow.predict(model, turned) == workflow.predict(model, request_)


def test_silent_weather_station_is_no_reason_to_refuse(
    model: Pipeline, request_: dict[str, Any]
) -> None:
    silent = request_ | dict.fromkeys(workflow.WEATHER)
    assert 0 < workflow.predict(model, silent)["late"] < 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"hour": 25}, "hour is 25; give a number from 0 to 23"),
        ({"hour": "18"}, "hour is '18'; give a number"),
        ({"hour": True}, "hour is True; give a number"),
        ({"hour": None}, "hour is None; give a number"),
        ({"hour": math.nan}, "hour is nan; give a number from 0 to 23"),
        ({"weekday": 0}, "weekday is 0; give a number from 1 to 7"),
        ({"visib": -1}, "visib is -1; give a number from 0 to 10"),
        ({"temp": math.inf}, "temp is inf; give a number from -60 to 140"),
        ({"origin": "jfk airport"}, "origin is 'jfk airport'; give a code"),
        ({"carrier": None}, "carrier is None; give a code"),
        ({"dep_delay": 12}, r"unknown: \['dep_delay'\]"),
    ],
)
def test_wrong_request_is_refused(
    model: Pipeline, request_: dict[str, Any], wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(workflow.BadRequest, match=message):
        workflow.predict(model, request_ | wrong)


def test_missing_feature_is_named(model: Pipeline, request_: dict[str, Any]) -> None:
    del request_["precip"]
    with pytest.raises(workflow.BadRequest, match=r"missing: \['precip'\]"):
        workflow.predict(model, request_)


def test_saved_model_answers_alike(
    model: Pipeline, request_: dict[str, Any], tmp_path: Path
) -> None:
    joblib.dump(model, tmp_path / "model.joblib")
    loaded = workflow.load_model(tmp_path / "model.joblib")
    assert workflow.predict(loaded, request_) == workflow.predict(model, request_)


def test_model_that_is_not_there_or_not_fitted(request_: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        workflow.load_model(tmp_path / "model.joblib")
    with pytest.raises(NotFittedError):
        workflow.predict(workflow.boosting(workflow.FEATURES), request_)


# ── drift ────────────────────────────────────────────────────────────────────────────────────────


def test_psi_of_the_same_is_nothing_and_grows_with_the_shift() -> None:
    values = pd.Series(np.random.default_rng(0).normal(size=5_000))
    assert workflow.psi(values, values) == 0
    shifts = [workflow.psi(values, values + shift) for shift in (0.1, 0.5, 1, 3)]
    assert shifts == sorted(shifts)
    assert shifts[0] < 0.1 < 0.25 < shifts[2]


def test_psi_by_hand() -> None:
    expected, observed = pd.Series([1, 1, 2, 2]), pd.Series([1, 2, 2, 2])
    by_hand = (0.25 - 0.5) * math.log(0.25 / 0.5) + (0.75 - 0.5) * math.log(0.75 / 0.5)
    assert workflow.psi(expected, observed, bins=2) == pytest.approx(by_hand)


def test_psi_is_finite_where_a_bin_is_empty() -> None:
    few, far = pd.Series(np.arange(100.0)), pd.Series(np.full(50, 1_000.0))
    assert 1 < workflow.psi(few, far) < 20


def test_psi_does_not_count_what_is_missing() -> None:
    values = pd.Series([1.0, 2.0, 3.0, 4.0])
    assert workflow.psi(values, pd.concat([values, pd.Series([math.nan] * 4)])) == 0
    with pytest.raises(ValueError, match="4 expected and 0 observed values: need both"):
        workflow.psi(values, pd.Series([math.nan]))


# ── figures ──────────────────────────────────────────────────────────────────────────────────────


def test_roc_names_the_area_of_each_score() -> None:
    late = pd.Series([0, 0, 1, 1])
    figures.roc(late, {"right": np.array([0.1, 0.2, 0.8, 0.9])}, "A title")
    axes = plt.gca()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["right: AUC 1.00"]
    plt.close()


def test_costs_draw_a_line_for_each_column() -> None:
    curves = pd.DataFrame({"a": [80.0, 70, 75], "b": [85.0, 84, 83]}, index=[0.2, 0.4, 0.6])
    figures.costs(curves, 1 / 3, 90, "A title")
    drawn = {line.get_label(): line.get_ydata() for line in plt.gca().get_lines()}
    assert list(drawn["a"]) == [80, 70, 75]
    assert list(drawn["b"]) == [85, 84, 83]
    plt.close()


def test_monitor_draws_drift_quality_and_outcome() -> None:
    names = ["Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    months = pd.DataFrame(
        {"AUC": 0.7, "baseline": 0.6, "predicted": 0.2, "observed": 0.3}, index=names
    )
    drift = pd.DataFrame({"temp": 2.0, "visib": 0.1}, index=names)
    figures.monitor(months, drift, "A title")
    drawn = [{line.get_label() for line in axes.get_lines()} for axes in plt.gcf().axes]
    assert {"temp", "visib"} <= drawn[0]
    assert drawn[1] == {"model", "hour of departure"}
    assert {"predicted", "observed"} <= drawn[2]
    plt.close()
