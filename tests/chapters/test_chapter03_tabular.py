"""Chapter 3.1: the encoders, the judge, the table and the pictures; with bad input."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, TargetEncoder

from tests.benchmarks import tabular as benchmark
from tests.chapters.loading import ROOT, load

DATA = ROOT / "chapter03" / "data"

encoders = load("chapter03", "tabular_features")
judging = load("chapter03", "judging")
figures = load("chapter03", "figures_tabular")
make_table = load("chapter03/data", "make_flight_departures")


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    """Every tenth flight of the table, in its order."""
    return pd.read_parquet(DATA / "flight_departures.parquet").iloc[::10].reset_index(drop=True)


@pytest.fixture(params=["frequency", "target"])
def encoder(request):
    """Both encoders, unfitted."""
    if request.param == "frequency":
        return encoders.FrequencyEncoder()
    return encoders.OutOfFoldTargetEncoder(smoothing=2, folds=2)


# -------------------------------------------------------------------------------------- table


def test_the_table_is_what_its_script_makes(tmp_path):
    again = tmp_path / "again.parquet"
    assert make_table.main(["--output", str(again)]) == 0
    assert pq.read_table(again).equals(pq.read_table(DATA / "flight_departures.parquet"))


def test_the_table_is_ordered_and_its_weather_was_known(flights):
    assert flights["date"].is_monotonic_increasing
    weather = pd.read_parquet(ROOT / "chapter02/data/weather.parquet")
    row = flights[(flights["month"] == 7) & flights["pressure"].notna()].iloc[50]
    hour = pd.Timestamp(row["date"]) + pd.Timedelta(hours=row["departure_minute"] // 60)
    before = hour - pd.Timedelta(hours=3)
    date = (weather["month"] == before.month) & (weather["day"] == before.day)
    seen = weather[date & (weather["hour"] == before.hour) & (weather["origin"] == row["origin"])]
    assert seen["temp"].tolist() == [row["temp"]]
    assert seen["pressure"].tolist() == [row["pressure"]]


def test_the_script_names_what_it_misses(tmp_path, capsys):
    assert make_table.main(["--tables", str(tmp_path)]) == 1
    assert "flights.parquet is missing; name the folder" in capsys.readouterr().err
    pd.DataFrame({"month": [1]}).to_parquet(tmp_path / "flights.parquet")
    assert make_table.main(["--tables", str(tmp_path)]) == 1
    assert "flights.parquet lacks the columns arr_delay, carrier" in capsys.readouterr().err


# ----------------------------------------------------------------------------------- encoders


def test_frequency_is_the_share_of_the_training_rows():
    train = pd.DataFrame({"plane": ["a", "a", "b", None]})
    new = pd.DataFrame({"plane": ["a", "b", None, "never seen"]}, index=[7, 8, 9, 10])
    encoded = encoders.FrequencyEncoder().fit(train).transform(new)
    assert encoded["plane"].tolist() == [0.5, 0.25, 0.25, 0.0]
    assert encoded.index.tolist() == [7, 8, 9, 10]


def test_target_encoding_agrees_with_scikit_learn(flights):
    columns, label = ["dest", "carrier"], flights["late"]
    ours = encoders.OutOfFoldTargetEncoder(smoothing=15).fit(flights[columns], label)
    theirs = TargetEncoder(smooth=15).fit(flights[columns], label)
    np.testing.assert_allclose(
        ours.transform(flights[columns]), theirs.transform(flights[columns]), rtol=1e-12
    )


def test_a_row_never_sees_its_own_label(flights):
    part, label = flights[["tailnum"]].iloc[:500], flights["late"].iloc[:500]
    encoder = encoders.OutOfFoldTargetEncoder(smoothing=5, folds=5)
    before = encoder.fit_transform(part, label)
    flipped = label.copy()
    flipped.iloc[:100] = 1 - flipped.iloc[:100]
    after = clone(encoder).fit_transform(part, flipped)
    pd.testing.assert_frame_equal(before.iloc[:100], after.iloc[:100])
    assert not before.iloc[100:].equals(after.iloc[100:])


def test_without_folds_it_leaks():
    train = pd.DataFrame({"plane": [str(number) for number in range(100)]})
    label = pd.Series([0, 1] * 50)
    leaky = encoders.OutOfFoldTargetEncoder(smoothing=0, folds=None)
    assert roc_auc_score(label, leaky.fit_transform(train, label)["plane"]) == 1
    cured = encoders.OutOfFoldTargetEncoder(smoothing=0, folds=5)
    assert roc_auc_score(label, cured.fit_transform(train, label)["plane"]) == 0.5


def test_an_unseen_category_gets_a_defined_value():
    train = pd.DataFrame({"plane": ["a", "a", "b", "b"]})
    label = pd.Series([1, 1, 0, 0])
    encoder = encoders.OutOfFoldTargetEncoder(smoothing=2, folds=2).fit(train, label)
    encoded = encoder.transform(pd.DataFrame({"plane": ["a", "zzz", None]}))
    assert encoded["plane"].tolist() == [0.75, 0.5, 0.5]


@pytest.mark.parametrize("value", [None, "constant"])
def test_an_all_missing_or_constant_column_becomes_a_constant(encoder, value):
    frame = pd.DataFrame({"plane": [value] * 6}, dtype=object)
    encoded = encoder.fit(frame, pd.Series([0, 1] * 3)).transform(frame)
    assert encoded["plane"].nunique() == 1
    assert encoded["plane"].notna().all()
    assert encoder.fit_transform(frame, pd.Series([0, 1] * 3)).notna().all(axis=None)


def test_an_empty_frame_is_refused_and_transformed_to_nothing(encoder):
    with pytest.raises(ValueError, match="no rows or no columns to learn from"):
        encoder.fit(pd.DataFrame({"plane": []}), pd.Series([], dtype=float))
    fitted = encoder.fit(pd.DataFrame({"plane": ["a", "b"]}), pd.Series([0, 1]))
    assert fitted.transform(pd.DataFrame({"plane": pd.Series([], dtype=object)})).shape == (0, 1)


def test_encoders_name_what_is_wrong(encoder):
    frame, label = pd.DataFrame({"plane": ["a", "b"]}), pd.Series([0, 1])
    with pytest.raises(TypeError, match="expected a data frame, got ndarray"):
        encoder.fit(frame.to_numpy(), label)
    with pytest.raises(ValueError, match="the table lacks the columns plane"):
        encoder.fit(frame, label).transform(pd.DataFrame({"other": ["a"]}))
    target = encoders.OutOfFoldTargetEncoder
    with pytest.raises(ValueError, match="1 labels for 2 rows"):
        target().fit(frame, [1])
    with pytest.raises(ValueError, match="1 rows have no label"):
        target().fit(frame, [1, np.nan])
    with pytest.raises(ValueError, match="folds=5 must be at least 2 and at most"):
        target(folds=5).fit_transform(frame, label)


def test_crosses_join_levels_and_name_gaps():
    frame = pd.DataFrame({"origin": ["JFK", None], "hour": [17, 6]})
    crosser = encoders.ColumnCrosser([("origin", "hour")]).fit(frame)
    assert crosser.transform(frame)["origin|hour"].tolist() == ["JFK|17", "missing|6"]
    assert crosser.get_feature_names_out().tolist() == ["origin|hour"]
    with pytest.raises(ValueError, match="the table lacks the columns carrier"):
        encoders.ColumnCrosser([("origin", "carrier")]).fit(frame)


def test_a_cycle_closes():
    around = encoders.cyclic(pd.DataFrame({"hour": [0, 6, 24]}), period=24)
    np.testing.assert_allclose(around, [[0, 1], [1, 0], [0, 1]], atol=1e-12)
    with pytest.raises(ValueError, match="the period must be positive, not 0"):
        encoders.cyclic(pd.DataFrame({"hour": [1]}), period=0)


def test_steps_hold_equally_many_rows_and_leave_gaps():
    rows = np.column_stack([np.arange(100.0), np.full(100, 7.0), np.full(100, np.nan)])
    steps = encoders.QuantileSteps(4).fit(rows)
    made = steps.transform(rows)
    assert np.bincount(made[:, 0].astype(int)).tolist() == [25, 25, 25, 25]
    assert np.unique(made[:, 1]).tolist() == [0]
    assert np.isnan(made[:, 2]).all()
    assert steps.transform([[-5, 900, np.nan]])[0, :2].tolist() == [0, 1]


def test_steps_do_not_mind_the_scale(flights):
    rows = flights[["distance", "humid"]].to_numpy(dtype=float)
    made = encoders.QuantileSteps(10).fit_transform(rows)
    np.testing.assert_array_equal(made, encoders.QuantileSteps(10).fit_transform(rows * 8))


def test_steps_name_what_is_wrong():
    with pytest.raises(ValueError, match="no rows or no columns to learn from"):
        encoders.QuantileSteps().fit(np.empty((0, 2)))
    with pytest.raises(ValueError, match="steps=1 must be at least 2"):
        encoders.QuantileSteps(1).fit(np.ones((3, 1)))
    with pytest.raises(ValueError, match="1 columns, learned from 2"):
        encoders.QuantileSteps().fit(np.ones((3, 2))).transform(np.ones((3, 1)))


def test_encoders_work_in_a_pipeline_with_names(flights):
    columns = ["dest", "tailnum"]
    steps = [
        ("frequency", encoders.FrequencyEncoder(), columns),
        ("target", encoders.OutOfFoldTargetEncoder(), columns),
        ("cross", make_pipeline(encoders.ColumnCrosser([columns]), encoders.FrequencyEncoder()),
         columns),
    ]  # fmt: skip
    table = ColumnTransformer(steps).set_output(transform="pandas")
    made = table.fit_transform(flights, flights["late"])
    assert list(made) == [
        "frequency__dest",
        "frequency__tailnum",
        "target__dest",
        "target__tailnum",
        "cross__dest|tailnum",
    ]
    assert made.index.equals(flights.index)
    assert made.notna().all(axis=None)


def test_the_benchmark_compares_like_with_like(flights):
    frame, label = flights[["tailnum"]], flights["late"]
    ours = encoders.FrequencyEncoder().fit_transform(frame)["tailnum"]
    np.testing.assert_allclose(ours, benchmark.naive_frequency(frame))
    ours = encoders.OutOfFoldTargetEncoder(20, None).fit_transform(frame, label)["tailnum"]
    np.testing.assert_allclose(ours, benchmark.naive_target(frame, label, 20))


# -------------------------------------------------------------------------------------- judge


def test_the_drawn_aucs_are_those_of_the_drawn_days():
    random = np.random.default_rng(3)
    label = random.integers(0, 2, 400)
    scores = np.round(random.random(400) + 0.2 * label, 2)
    days = random.integers(0, 9, 400)
    drawn = judging.bootstrapped_aucs(label, scores, days)
    weights = np.random.default_rng(0).multinomial(9, np.full(9, 1 / 9), size=judging.DRAWS)
    for sample in range(5):
        expected = roc_auc_score(label, scores, sample_weight=weights[sample][days])
        assert drawn[sample] == pytest.approx(expected, abs=1e-12)


def test_days_are_surer_than_flights_only_if_flights_are_alone():
    random = np.random.default_rng(1)
    days = np.repeat(np.arange(40), 50)
    storm = np.repeat(random.normal(size=40), 50)
    label = (random.normal(size=2000) + storm > 0).astype(int)
    scores = storm + random.normal(size=2000)
    by_day = judging.bootstrapped_aucs(label, scores, days).std()
    by_flight = judging.bootstrapped_aucs(label, scores, np.arange(2000) % 400).std()
    assert by_day > 1.5 * by_flight


def test_the_judge_tells_gain_from_noise(flights):
    train, validation = flights[flights["month"] <= 8], flights[flights["month"] > 8]
    judge = judging.Judge(train, validation, {"logistic": LogisticRegression()})
    median = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    for step, columns in {
        "distance": ["distance"],
        "again": ["distance"],
        "hour": ["distance", "departure_minute"],
    }.items():
        judge.trial(step, ColumnTransformer([("numbers", median, columns)]))
    assert judge.compare("hour", "distance")["verdict"].tolist() == ["better"]
    assert judge.compare("distance", "hour")["verdict"].tolist() == ["worse"]
    same = judge.compare("again", "distance").iloc[0]
    assert (same["difference"], same["verdict"]) == (0, "noise")
    with pytest.raises(KeyError, match="tried: distance, again, hour"):
        judge.compare("hour", "nothing")


def test_a_difference_that_is_sure_but_negligible_is_noise():
    assert judging.verdict(low=0.0001, high=0.0002) == "noise"
    assert judging.verdict(low=-0.002, high=-0.0006) == "worse"


def test_the_judge_refuses_tables_it_cannot_judge(flights):
    with pytest.raises(ValueError, match="the validation table lacks the columns date"):
        judging.Judge(flights, flights.drop(columns="date"), {})
    with pytest.raises(ValueError, match="the training table needs rows of both classes"):
        judging.Judge(flights[flights["late"] == 1], flights, {})
    with pytest.raises(ValueError, match="at least two groups"):
        judging.bootstrapped_aucs(np.array([0, 1]), np.array([0.1, 0.2]), np.array([1, 1]))
    with pytest.raises(ValueError, match="2 labels, 3 scores, 2 groups"):
        judging.bootstrapped_aucs(np.array([0, 1]), np.zeros(3), np.array([1, 2]))


def test_the_solver_arrives_only_on_scaled_columns(flights):
    columns = ["pressure", "precip", "departure_minute", "distance", "humid"]
    median = SimpleImputer(strategy="median")
    model = LogisticRegression(max_iter=30)
    raw = ColumnTransformer([("numbers", median, columns)])
    scaled = ColumnTransformer([("numbers", make_pipeline(median, StandardScaler()), columns)])
    assert not judging.converges(model, raw, flights)
    assert judging.converges(model, scaled, flights)


# ------------------------------------------------------------------------------------ figures


def test_the_pictures_show_what_they_are_given(flights):
    figures.missing_and_late(flights, ["pressure", "wind_gust"], "title")
    assert "wind_gust\n(78.1% missing)" in plt.gca().get_yticklabels()[0].get_text()
    figures.permutation(pd.DataFrame({"a": [0.1, 0.2], "b": [0.0, 0.0]}), ["a"], "title")
    assert [tick.get_text() for tick in plt.gca().get_yticklabels()] == ["b", "a"]
    row = {"step": "bins", "model": "trees", "difference": 0, "low": -1, "high": 1}
    figures.steps(pd.DataFrame([{**row, "verdict": "noise"}]), "title")
    assert plt.gca().lines[1].get_markerfacecolor() == "white"
    figures.components(pd.DataFrame({"variance": [0.5], "auc": [0.6]}, index=[3]), 0.7, "title")
    value = pd.Series([0.2, 0.8])
    figures.encodings(value, value, pd.Series([0, 1]), 0.5, "title")
    assert plt.gcf().get_suptitle() == "title"
    plt.close("all")


def test_a_complete_column_has_no_gaps_to_draw(flights):
    with pytest.raises(ValueError, match="no value is missing in distance"):
        figures.missing_and_late(flights, ["distance"], "title")


def test_a_model_fitted_once_takes_what_it_never_saw(flights):
    """Unseen levels, a column without any value and a constant one go through the steps."""
    train = flights.assign(seats=np.nan, distance=1)
    numbers = SimpleImputer(strategy="median", keep_empty_features=True)
    steps = [
        ("numbers", make_pipeline(numbers, StandardScaler()), ["seats", "distance", "humid"]),
        ("target", encoders.OutOfFoldTargetEncoder(), ["tailnum"]),
    ]
    model = make_pipeline(ColumnTransformer(steps), LogisticRegression())
    model.fit(train, train["late"])
    strange = train.iloc[:2].assign(tailnum=["never seen", None], humid=np.nan)
    assert np.isfinite(model.predict_proba(strange)).all()
