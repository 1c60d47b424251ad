"""Chapter 6.2: what is read out of tuning jobs, and the pictures of it."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from tests.chapters.loading import load
from tests.local_aws.environment import LocalAWS

matplotlib.use("Agg")
prepare_features = load("chapter06", "prepare_features")
results = load("chapter06", "tuning_results")
figures = load("chapter06", "figures_tuning")


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    """Every fortieth flight of the year."""
    data = Path(__file__).parents[2] / "chapter06" / "data" / "flight_features.parquet"
    return prepare_features.read_table(data).iloc[::40]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def frame(values: list[float | None], name: str = "a-tuning-job") -> pd.DataFrame:
    """An analytics frame, its jobs in the wrong order."""
    rows = pd.DataFrame(
        {
            "TrainingJobName": [f"{name}-{n + 1:03d}-0123abcd" for n in range(len(values))],
            "FinalObjectiveValue": values,
            "eta": np.geomspace(0.01, 0.5, len(values)),
            "max_depth": np.arange(len(values)) % 9 + 2.0,
        }
    )
    return rows.iloc[::-1]


def test_thinning_leaves_the_later_months_alone(flights):
    thin = results.thin_training(flights, 1000)
    assert (thin["month"] < 10).sum() == 1000
    later = flights[flights["month"] >= 10]
    pd.testing.assert_frame_equal(thin[thin["month"] >= 10], later)


def test_thinning_says_when_there_are_not_enough(flights):
    with pytest.raises(ValueError, match=r"1,000,000 flights wanted, only [\d,]+ before month 10"):
        results.thin_training(flights, 1_000_000)


def test_jobs_come_in_order_with_the_best_so_far():
    ordered = results.in_order(frame([0.5, 0.4, None, 0.45, 0.3]))
    assert list(ordered["job"]) == [1, 2, 3, 4, 5]
    assert list(ordered["best"].dropna()) == [0.5, 0.4, 0.4, 0.3]


def test_a_frame_without_values_is_refused():
    with pytest.raises(ValueError, match="no job"):
        results.in_order(frame([None, None]))


def test_the_surface_has_its_valley_where_the_jobs_were_good():
    random = np.random.default_rng(0)
    jobs = pd.DataFrame(
        {"eta": 10 ** random.uniform(-2, 0, 40), "max_depth": random.uniform(2, 10, 40)}
    )
    jobs["FinalObjectiveValue"] = (np.log10(jobs["eta"]) + 1) ** 2 + (
        jobs["max_depth"] / 10 - 0.5
    ) ** 2
    eta, depth, expected = results.surface(jobs, "eta", "max_depth", steps=30)
    assert expected.shape == (30, 30)
    row, column = np.unravel_index(expected.argmin(), expected.shape)
    assert 0.06 < eta[column] < 0.16
    assert 3.5 < depth[row] < 6.5
    figures.response(eta, depth, expected, jobs, "a finding")


def test_a_gain_that_is_there_has_an_interval_above_zero():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 4000)
    days = pd.Series(np.repeat(np.arange(40), 100))
    blind, seeing = np.full(4000, 0.5), np.where(labels == 1, 0.7, 0.3)
    gain, low, high = results.gain_by_day(labels, blind, seeing, days)
    assert np.isclose(gain, np.log(0.7 / 0.5)) and 0 < low <= gain <= high
    none = results.gain_by_day(labels, blind, blind, days)
    assert none == (0, 0, 0)


def test_the_seeds_differ_and_the_same_seed_does_not(flights, tmp_path):
    prepare_features.prepare(flights, tmp_path)
    settings = {"objective": "binary:logistic", "num_round": 5, "subsample": 0.5}
    losses = results.seed_spread(tmp_path, settings, range(3))
    assert losses.nunique() == 3 and 0.2 < losses.mean() < 0.7
    again = results.seed_spread(tmp_path, settings, range(3))
    pd.testing.assert_series_equal(losses, again)


def test_all_flights_are_prepared_as_for_the_jobs(flights, tmp_path):
    prepare_features.prepare(flights, tmp_path)
    train, _ = results.matrices_of_all(flights)
    read = results.read_matrix(tmp_path, "train")
    np.testing.assert_array_equal(train.get_label(), read.get_label())
    np.testing.assert_allclose(
        train.get_data().toarray(), read.get_data().toarray(), rtol=1e-4, equal_nan=True
    )


def test_pictures_show_what_they_are_given():
    frames = {name: results.in_order(frame([0.5, 0.4, 0.3])) for name in ("random", "grid")}
    figures.tried(frames, "a finding")
    assert [axes.get_title() for axes in plt.gcf().axes] == ["random", "grid"]
    figures.best_so_far(frames, {"default": 0.45}, 0.01, "a finding")
    assert "default" in [text.get_text() for text in plt.gca().texts]
    jobs = pd.concat([each.assign(strategy=name, test=0.5) for name, each in frames.items()])
    figures.promise_and_truth(jobs.reset_index(drop=True), "a finding")
    figures.spread(pd.Series([0.1, 0.2]), "a finding")
    figures.gains(
        pd.DataFrame({"gain": [1.0], "low": [0.5], "high": [1.5]}, index=["x"]), "a finding"
    )
    assert plt.gca().get_title() == "a finding"


def test_waiting_for_a_failed_job_says_why(aws: LocalAWS, monkeypatch):
    for name, value in aws.environ.items():
        monkeypatch.setenv(name, value)
    from tests.local_aws_contract.sagemaker_help import SageMaker
    from tests.local_aws_contract.test_sagemaker_tuning import Tuning

    tuning = Tuning(SageMaker(aws))
    definition = tuning.definition("raise ValueError('no luck')")
    tuning.start("failing-job", tuning.configuration("Random", 1), definition)
    with pytest.raises(RuntimeError, match="failing-job: Failed: No training job succeeded"):
        results.wait("failing-job")
    assert results.list_tuning_jobs("failing") == ["failing-job"]
    results.delete_tuning_jobs("failing")
    assert results.list_tuning_jobs("failing") == []
