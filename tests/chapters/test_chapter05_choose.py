"""Chapter 5.4's helpers: the table, the bake-off, the training script, the figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import joblib
import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from tests.chapters.loading import ROOT, load

CHAPTER = ROOT / "chapter05"
TABLE = CHAPTER / "data" / "flights.parquet"
SOURCE = ROOT / "chapter06" / "data" / "flight_features.parquet"

bake_off = load("chapter05", "bake_off")
figures = load("chapter05", "figures_choose")
make_flights = load("chapter05/data", "make_flights")


@pytest.fixture(scope="module")
def parts() -> dict[str, pd.DataFrame]:
    """The three periods, of the training months every fifth flight."""
    found = bake_off.split_by_time(bake_off.read_flights(TABLE))
    return found | {"train": found["train"][::5], "test": found["test"][::4]}


@pytest.fixture(scope="module")
def models(parts: dict[str, pd.DataFrame]) -> dict[str, bake_off.Trained]:
    """All contestants, trained."""
    return {name: bake_off.train(name, parts["train"]) for name in bake_off.CONTESTANTS}


@pytest.fixture(scope="module")
def said(models: dict, parts: dict[str, pd.DataFrame]) -> dict[str, np.ndarray]:
    """What each of them says of the test flights."""
    return {name: model.probability(parts["test"]) for name, model in models.items()}


# ── make_flights.py ─────────────────────────────────────────────────────────────────────────────


def test_table_is_derived_again(tmp_path: Path) -> None:
    again = tmp_path / "again.parquet"
    assert make_flights.main(["--table", str(SOURCE), "--output", str(again)]) == 0
    assert pq.read_table(TABLE).equals(pq.read_table(again))
    if pq.read_metadata(TABLE).created_by == pq.read_metadata(again).created_by:
        assert TABLE.read_bytes() == again.read_bytes()
    assert TABLE.stat().st_size < 1_000_000


def test_days_are_whole() -> None:
    source = pd.read_parquet(SOURCE, columns=["date", "origin", "late"])
    there = source[source["origin"] == "LGA"].groupby("date")["late"].agg(["size", "sum"])
    here = pd.read_parquet(TABLE).groupby("date")["late"].agg(["size", "sum"])
    assert len(here) == 365
    assert (there == here).all(axis=None)


def test_bad_sources_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    absent, text, other = (tmp_path / name for name in ("a.parquet", "b.parquet", "c.parquet"))
    text.write_text("date,late\n")
    pd.DataFrame({"origin": ["LGA"], "date": ["2013-01-01"]}).to_parquet(other)
    for path, complaint in (
        (absent, "does not exist; give chapter 6's flight_features.parquet"),
        (text, "is not a Parquet file"),
        (other, "lacks the columns carrier, dest, late"),
    ):
        output = tmp_path / "out.parquet"
        assert make_flights.main(["--table", str(path), "--output", str(output)]) == 1
        assert complaint in capsys.readouterr().err
        assert not output.exists()
    elsewhere = make_flights.read_flights(SOURCE).assign(origin="EWR")
    with pytest.raises(make_flights.SourceError, match="no flight from LGA"):
        make_flights.choose(elsewhere)


# ── the table and the contestants ───────────────────────────────────────────────────────────────


def test_csv_reads_like_parquet(tmp_path: Path) -> None:
    flights = bake_off.read_flights(TABLE)[:500]
    flights.to_csv(tmp_path / "flights.csv", index=False)
    again = bake_off.read_flights(tmp_path / "flights.csv")
    pd.testing.assert_frame_equal(flights, again, check_dtype=False)


def test_bad_tables_are_refused(tmp_path: Path) -> None:
    flights = bake_off.read_flights(TABLE)[:50]
    path = tmp_path / "flights.csv"
    with pytest.raises(bake_off.BakeOffError, match="does not exist; make it with"):
        bake_off.read_flights(path)
    flights.drop(columns=["late", "pressure"]).to_csv(path, index=False)
    with pytest.raises(bake_off.BakeOffError, match="lacks the columns late, pressure"):
        bake_off.read_flights(path)
    for wrong in (2, np.nan):
        flights.assign(late=[wrong] * 50).to_csv(path, index=False)
        with pytest.raises(bake_off.BakeOffError, match="must be 0 or 1, found"):
            bake_off.read_flights(path)
    with pytest.raises(bake_off.BakeOffError, match="'october'"):
        bake_off.split_by_time(flights)


def test_nobody_trains_on_what_comes_later() -> None:
    parts = bake_off.split_by_time(bake_off.read_flights(TABLE))
    assert parts["train"]["date"].max() < parts["october"]["date"].min()
    assert parts["october"]["date"].max() < parts["test"]["date"].min()
    assert {"date", "late", "month"}.isdisjoint(bake_off.FEATURES)


def test_all_learn_something(said: dict, parts: dict[str, pd.DataFrame]) -> None:
    late = parts["test"]["late"]
    scores = {name: roc_auc_score(late, probability) for name, probability in said.items()}
    assert all(values.min() >= 0 and values.max() <= 1 for values in said.values())
    assert 0.55 < scores.pop("rule of thumb") < min(scores.values())
    assert min(scores.values()) > 0.66


def test_answers_do_not_depend_on_the_rest_of_the_batch(
    models: dict, said: dict, parts: dict[str, pd.DataFrame]
) -> None:
    some = parts["test"].iloc[[7, 1500, 3000]]
    for name, model in models.items():
        assert model.probability(some) == pytest.approx(said[name][[7, 1500, 3000]], abs=1e-5)


def test_training_again_gives_the_same(said: dict, parts: dict[str, pd.DataFrame]) -> None:
    for name in ("random forest", "MLP", "XGBoost"):
        again = bake_off.train(name, parts["train"]).probability(parts["test"])
        assert again == pytest.approx(said[name], abs=1e-6)


def test_unknown_levels_and_gaps_are_answered(models: dict, parts: dict[str, pd.DataFrame]) -> None:
    strange = parts["test"][:20].assign(carrier="ZZ", dest="XXX", plane_age=np.nan, pressure=np.nan)
    for name, model in models.items():
        assert np.isfinite(model.probability(strange)).all(), name


def test_what_cannot_be_trained_is_refused(parts: dict[str, pd.DataFrame]) -> None:
    with pytest.raises(bake_off.BakeOffError, match="no contestant is called 'oracle'; there are"):
        bake_off.train("oracle", parts["train"])
    with pytest.raises(bake_off.BakeOffError, match="all flights have the same label"):
        bake_off.train("MLP", parts["train"].assign(late=1))


# ── scores, and how sure they are ───────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def days(parts: dict[str, pd.DataFrame]) -> bake_off.DayBootstrap:
    """Two hundred test periods."""
    return bake_off.DayBootstrap(parts["test"]["date"], parts["test"]["late"], draws=200)


def test_first_score_is_scikit_learns(
    days: bake_off.DayBootstrap, said: dict, parts: dict[str, pd.DataFrame]
) -> None:
    late = parts["test"]["late"]
    for name in ("rule of thumb", "logistic regression", "random forest"):  # the first has ties
        probability = said[name]
        assert days.auc(probability)[0] == pytest.approx(roc_auc_score(late, probability))
        assert days.brier(probability)[0] == pytest.approx(brier_score_loss(late, probability))
        held = probability.clip(1e-3, 1 - 1e-3)
        assert days.log_loss(probability)[0] == pytest.approx(log_loss(late, held))


def test_drawn_periods_are_those_of_repeated_rows() -> None:
    """Every way to draw three of three days, scored row by row, is among the drawn periods."""
    random = np.random.default_rng(1)
    date, late = np.repeat([10, 11, 12], 8), random.integers(2, size=24)
    probability = random.random(24).round(1)
    drawn = bake_off.DayBootstrap(date, late, draws=400).auc(probability)
    naive = {
        round(roc_auc_score(late[rows], probability[rows]), 9)
        for choice in product((10, 11, 12), repeat=3)
        for rows in [np.concatenate([np.flatnonzero(date == day) for day in choice])]
    }
    assert {round(score, 9) for score in drawn} == naive


def test_days_that_fail_together_widen_the_interval() -> None:
    random = np.random.default_rng(0)
    date = np.repeat(np.arange(40), 50)
    surprise = random.normal(size=40)[date]
    late = (surprise + random.normal(size=2000) > 1).astype(int)
    probability = np.full(2000, 0.25)
    by_day = bake_off.interval(bake_off.DayBootstrap(date, late).log_loss(probability))
    rows = bake_off.DayBootstrap(random.permutation(date), late)
    by_row = bake_off.interval(rows.log_loss(probability))
    width = (by_day["high"] - by_day["low"]) / (by_row["high"] - by_row["low"])
    assert by_day["score"] == by_row["score"]
    assert width > 2


def test_paired_differences_are_surer_than_scores(days: bake_off.DayBootstrap, said: dict) -> None:
    losses = {name: days.log_loss(probability) for name, probability in said.items()}
    alone = bake_off.compare(losses)
    paired = bake_off.compare(losses, "logistic regression")
    assert "logistic regression" not in paired.index
    assert (paired["high"] - paired["low"])["XGBoost"] < 0.5 * (alone["high"] - alone["low"])[
        "XGBoost"
    ]
    with pytest.raises(bake_off.BakeOffError, match="no scores of 'oracle'"):
        bake_off.compare(losses, "oracle")


@pytest.mark.parametrize(("date", "late"), [([1, 1], [0, 1]), ([1, 2], [1, 1]), ([1, 2], [0, 0])])
def test_periods_that_prove_nothing_are_refused(date: list[int], late: list[int]) -> None:
    with pytest.raises(bake_off.BakeOffError, match="two days or more, with flights late and on"):
        bake_off.DayBootstrap(date, late)


# ── calibration ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration_finds_a_known_distortion(method: str) -> None:
    random = np.random.default_rng(0)
    truth = random.uniform(0.05, 0.6, 40_000)
    late = (random.random(40_000) < truth).astype(int)
    odds = 2.5 * truth / (1 - truth)  # what too many late flights in training make of it
    said = odds / (1 + odds)
    first, second = slice(None, 20_000), slice(20_000, None)
    corrected = bake_off.recalibrate(method, said[first], late[first], said[second])
    assert np.abs(said[second] - truth[second]).mean() > 0.15
    assert np.abs(corrected - truth[second]).mean() < 0.02
    assert (np.diff(corrected[np.argsort(said[second])]) >= 0).all()


def test_unknown_calibration_is_refused() -> None:
    with pytest.raises(bake_off.BakeOffError, match="'sigmoid' or 'isotonic', got 'magic'"):
        bake_off.recalibrate("magic", np.array([0.1]), np.array([1]), np.array([0.2]))


def test_calibration_table_and_reliability(
    days: bake_off.DayBootstrap, models: dict, said: dict, parts: dict[str, pd.DataFrame]
) -> None:
    names = ["k-NN", "MLP"]
    before = {name: models[name].probability(parts["october"]) for name in names}
    table = bake_off.calibration_table(
        days, before, parts["october"]["late"], {name: said[name] for name in names}
    )
    assert list(table.index) == names
    assert list(table.columns) == ["as it is", "sigmoid", "isotonic"]
    assert table["as it is"]["MLP"] == pytest.approx(days.brier(said["MLP"])[0])
    groups = bake_off.reliability(said["MLP"], parts["test"]["late"])
    assert len(groups) == 10
    assert groups["happened"].mean() == pytest.approx(parts["test"]["late"].mean(), abs=0.01)


# ── time, size and money ────────────────────────────────────────────────────────────────────────


def test_measure_weighs_a_model(models: dict, parts: dict[str, pd.DataFrame]) -> None:
    found = {
        name: bake_off.measure(models[name], parts["test"][:50], single_calls=2)
        for name in ("logistic regression", "k-NN")
    }
    assert all(value > 0 for facts in found.values() for value in facts.values())
    assert found["logistic regression"]["bytes"] < 20_000 < found["k-NN"]["bytes"]


def test_training_cost_is_the_bill() -> None:
    assert bake_off.training_cost(3600, 0.115) == pytest.approx(0.115)
    assert bake_off.training_cost(90, 0.2, instances=2) == pytest.approx(0.01)
    for wrong in ({"seconds": -1}, {"dollars_per_hour": -0.1}, {"instances": 0}):
        with pytest.raises(bake_off.BakeOffError, match="cannot price"):
            bake_off.training_cost(**{"seconds": 1, "dollars_per_hour": 1} | wrong)


# ── explanation ─────────────────────────────────────────────────────────────────────────────────


def test_parts_sum_to_the_answer(models: dict, said: dict, parts: dict[str, pd.DataFrame]) -> None:
    some = parts["test"][:200]
    tree = bake_off.tree_contributions(models["XGBoost"], some)
    line = bake_off.linear_contributions(models["logistic regression"], some, parts["train"])
    for name, found in {"XGBoost": tree, "logistic regression": line}.items():
        assert list(found.columns) == [*bake_off.FEATURES, "base"]
        assert found.index.equals(some.index)
        assert found.sum(axis=1).to_numpy() == pytest.approx(
            bake_off.log_odds(said[name][:200]), abs=1e-3
        )


def test_average_flight_gets_no_parts(models: dict, parts: dict[str, pd.DataFrame]) -> None:
    line = bake_off.linear_contributions(
        models["logistic regression"], parts["train"], parts["train"]
    )
    assert line[bake_off.FEATURES].mean().to_numpy() == pytest.approx(0, abs=1e-9)


def test_a_feature_that_is_changed_changes_its_own_part(
    models: dict, parts: dict[str, pd.DataFrame]
) -> None:
    one = parts["test"][:1]
    other = one.assign(carrier="MQ" if one["carrier"].iloc[0] != "MQ" else "DL")
    before, after = (
        bake_off.linear_contributions(models["logistic regression"], flight, parts["train"]).iloc[0]
        for flight in (one, other)
    )
    assert (before - after).abs().sort_values().index[-1] == "carrier"
    assert (before - after).drop("carrier").to_numpy() == pytest.approx(0, abs=1e-12)


def test_shuffling_costs_most_where_it_matters(
    models: dict, parts: dict[str, pd.DataFrame]
) -> None:
    cost = bake_off.shuffling_cost(models["XGBoost"], parts["test"], repeats=2)
    assert list(cost.index) == bake_off.FEATURES
    assert cost["origin_late_share_3h"] > 0.005 > cost["plane_age"]


# ── the scorecard ───────────────────────────────────────────────────────────────────────────────


def test_scorecard_by_hand() -> None:
    facts = pd.DataFrame({"loss": [0.0, 0.015, 0.05], "bytes": [1e3, 1e6, 1e9]}, list("abc"))
    scales = {
        "loss": bake_off.Scale(worthless=0.03, enough=0),
        "bytes": bake_off.Scale(worthless=1e8, enough=1e4, in_tens=True),
    }
    weights = {"both": {"loss": 0.5, "bytes": 0.5}, "one": {"loss": 1}}
    totals = bake_off.scorecard(facts, scales, weights)
    assert totals["both"].to_dict() == pytest.approx({"a": 1, "b": 0.5, "c": 0})
    assert totals["one"].to_dict() == pytest.approx({"a": 1, "b": 0.5, "c": 0})


def test_bad_weights_and_scales_are_refused() -> None:
    facts = pd.DataFrame({"loss": [0.1, 0.2]})
    scales = {"loss": bake_off.Scale(1, 0)}
    with pytest.raises(bake_off.BakeOffError, match="'desk' sum to 0.90, not 1"):
        bake_off.scorecard(facts, scales, {"desk": {"loss": 0.9}})
    with pytest.raises(bake_off.BakeOffError, match=r"'desk' name \['speed'\]"):
        bake_off.scorecard(facts, scales, {"desk": {"loss": 0.5, "speed": 0.5}})
    with pytest.raises(bake_off.BakeOffError, match="scale from 2 to itself"):
        bake_off.scorecard(facts, {"loss": bake_off.Scale(2, 2)}, {"desk": {"loss": 1}})


# ── train_sklearn.py ────────────────────────────────────────────────────────────────────────────


def run_script(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run the training script as the container does: channels by variables, settings as options."""
    variables = {f"SM_CHANNEL_{name.upper()}": str(folder / name) for name in ("train", "test")}
    return subprocess.run(
        [sys.executable, str(CHAPTER / "train_sklearn.py"), *arguments],
        env=os.environ | variables | {"SM_MODEL_DIR": str(folder / "model")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_script_trains_and_scores(
    tmp_path: Path, said: dict, parts: dict[str, pd.DataFrame]
) -> None:
    for name in ("train", "test"):
        (tmp_path / name).mkdir()
        parts[name].to_csv(tmp_path / name / f"{name}.csv", index=False)
    done = run_script(tmp_path, "--algorithm", "logistic regression")
    assert done.returncode == 0, done.stderr
    found = dict(line.split("=") for line in done.stdout.split())
    late, probability = parts["test"]["late"], said["logistic regression"]
    assert float(found["test:auc"]) == pytest.approx(roc_auc_score(late, probability), abs=1e-4)
    assert float(found["test:logloss"]) == pytest.approx(log_loss(late, probability), abs=1e-4)
    sys.modules["bake_off"] = bake_off
    try:
        model = joblib.load(tmp_path / "model" / "model.joblib")
    finally:
        del sys.modules["bake_off"]
    assert model.predict_proba(parts["test"])[:, 1] == pytest.approx(probability, abs=1e-4)


def test_script_says_what_is_wrong(tmp_path: Path, parts: dict[str, pd.DataFrame]) -> None:
    for name in ("train", "test"):
        (tmp_path / name).mkdir()
    done = run_script(tmp_path)
    assert done.returncode == 1
    assert "must hold one CSV file, found 0" in done.stderr
    parts["train"][:100].to_csv(tmp_path / "train" / "flights.csv", index=False)
    done = run_script(tmp_path, "--algorithm", "oracle")
    assert done.returncode == 1
    assert "no contestant is called 'oracle'" in done.stderr
    assert not (tmp_path / "model").exists()


def test_script_needs_nothing_that_the_image_lacks(tmp_path: Path) -> None:
    """AWS's scikit-learn image has no XGBoost: importing the script must not need it."""
    code = "import sys; sys.modules['xgboost'] = None; import train_sklearn"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHAPTER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# ── the figures ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def book() -> Iterator[None]:
    """Draw in the book's look, and close what was drawn."""
    with plt.style.context(CHAPTER / "book.mplstyle"):
        yield
    plt.close("all")


def scores_table(values: dict[str, float]) -> pd.DataFrame:
    """Scores with intervals of 0.02 to either side."""
    score = pd.Series(values)
    return pd.DataFrame({"score": score, "low": score - 0.02, "high": score + 0.02})


@pytest.mark.usefixtures("book")
def test_titles_state_what_the_tables_hold() -> None:
    first, second = scores_table({"a": 0.8, "b": 0.7}), scores_table({"a": 0.6, "b": 0.75})
    figures.two_periods(first, second)
    assert "Who leads October (a)" in plt.gcf().get_suptitle()
    figures.differences(scores_table({"a": 0.01, "b": 0.05}), second, "c")
    assert plt.gca().get_title(loc="left").endswith(":\na")
    figures.scorecard(pd.DataFrame({"x": {"a": 0.4, "b": 0.9}, "y": {"a": 0.5, "b": 0.2}}))
    assert plt.gcf().get_suptitle() == "On the scorecards: b and a first"


@pytest.mark.usefixtures("book")
def test_bars_are_the_numbers() -> None:
    table = pd.DataFrame(
        {"p": [1.0, 3.0, 2.0], "q": [0.1, 0.2, 0.3], "r": [5.0, 0, -1]}, list("uvw")
    )
    figures.importances(table, most=2)
    panels = plt.gcf().axes
    assert [bar.get_width() for bar in panels[0].patches] == [1.0, 3.0]  # r makes u the first
    parts = pd.DataFrame({"m": [0.5, -2.0, 0.1], "n": [0.4, 1.0, 0.2]}, list("uvw"))
    figures.one_flight(parts, {"m": 0.3, "n": 0.8}, most=2)
    assert [bar.get_width() for bar in plt.gca().patches] == [-2.0, 0.5, 1.0, 0.4]
    assert "they disagree about v" in plt.gca().get_title(loc="left")


@pytest.mark.usefixtures("book")
def test_calibration_has_a_panel_for_each_model() -> None:
    line = pd.DataFrame({"said": [0.1, 0.5], "happened": [0.2, 0.4]})
    figures.calibration({"a": {"as it is": line, "sigmoid": line}, "b": {"as it is": line}})
    panels = plt.gcf().axes
    assert [axes.get_title() or axes.get_title(loc="left") for axes in panels] == ["a", "b"]
    assert [len(axes.lines) for axes in panels] == [3, 2]


# ── the notebook ────────────────────────────────────────────────────────────────────────────────


def test_notebook_ships_what_the_job_imports() -> None:
    notebook = json.loads((CHAPTER / "04_choose_an_algorithm.ipynb").read_text())
    source = "".join("".join(cell["source"]) for cell in notebook["cells"])
    assert '("train_sklearn.py", "bake_off.py")' in source
