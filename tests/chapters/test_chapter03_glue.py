"""The Glue job of chapter 3 and what surrounds it: against pandas, and with bad input."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest

from tests.chapters.loading import load

matplotlib.use("Agg")
CHAPTER = Path(__file__).parents[2] / "chapter03"
BUCKET = "features-of-flights"
ARGUMENTS = {
    "--raw": f"s3://{BUCKET}/raw",
    "--features": f"s3://{BUCKET}/features",
    "--year": "2013",
    "--smoothing": "20",
}

flight_features = load("chapter03", "flight_features")
figures_glue = load("chapter03", "figures_glue")
glue_jobs = load("chapter03", "glue_jobs")


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    """Every tenth flight of the first three months."""
    table = pd.read_parquet(CHAPTER / "data" / "flight_schedule.parquet")
    return table[table["month"] <= 3].iloc[::10].reset_index(drop=True)


def land(aws, flights, month):
    """Put a month into the raw zone."""
    part = flights[flights["month"] == month].drop(columns=["year", "month"])
    body = io.BytesIO()
    part.to_parquet(body, index=False)
    key = f"raw/year=2013/month={month}/flights.parquet"
    aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body.getvalue())


@pytest.fixture
def job(aws):
    """The job, deployed as the notebook deploys it."""
    aws.client("s3").create_bucket(Bucket=BUCKET)
    script = (CHAPTER / "flight_features_job.py").read_bytes()
    aws.client("s3").put_object(Bucket=BUCKET, Key="job.py", Body=script)
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "glue.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    role = aws.client("iam").create_role(RoleName="job", AssumeRolePolicyDocument=trust)
    aws.client("glue").create_job(
        Name="features",
        Role=role["Role"]["Arn"],
        Command={"Name": "glueetl", "ScriptLocation": f"s3://{BUCKET}/job.py"},
        GlueVersion="5.1",
        WorkerType="G.1X",
        NumberOfWorkers=2,
        DefaultArguments=ARGUMENTS,
    )
    return lambda **more: glue_jobs.run_job(aws.client("glue"), "features", more)


def written(aws, month):
    """What the job has written for a month, in the order of the reference."""
    prefix = f"features/year=2013/month={month}/"
    found = aws.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]
    (key,) = [each["Key"] for each in found if each["Key"].endswith(".parquet")]
    body = aws.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return key, pd.read_parquet(io.BytesIO(body)).assign(year=2013, month=month)


def assert_agrees(made, flights, month):
    expected = flight_features.features_of(flights, month, smoothing=20)
    order = flight_features.KEYS
    made = made.sort_values(order).reset_index(drop=True)[expected.columns]
    expected = expected.sort_values(order).reset_index(drop=True)
    pd.testing.assert_frame_equal(made, expected, check_dtype=False, rtol=1e-12, atol=1e-12)


def test_the_job_agrees_with_pandas_and_does_only_what_is_new(aws, job, flights):
    for month in (1, 2):
        land(aws, flights, month)
    first = job()
    assert first.get("ErrorMessage") is None
    key, made = written(aws, 2)
    assert_agrees(made, flights, 2)

    land(aws, flights, 3)
    second = job()
    assert glue_jobs.output_of(aws.client("logs"), second["Id"]) == ["month 3: 2,883 flights"]
    assert written(aws, 2)[0] == key
    assert_agrees(written(aws, 3)[1], flights, 3)

    third = job()
    assert glue_jobs.output_of(aws.client("logs"), third["Id"]) == ["nothing new"]


def test_a_month_without_a_column_or_a_flight_fails_by_name(aws, job, flights):
    land(aws, flights, 1)
    land(aws, flights.drop(columns="arr_delay"), 2)
    run = job()
    assert run["JobRunState"] == "FAILED"
    assert run["ErrorMessage"].endswith("ValueError: month 2 lacks the columns arr_delay")
    empty = flights[flights["month"] == 1].assign(month=2).iloc[:0]
    land(aws, pd.concat([flights[flights["month"] == 1], empty]), 2)
    assert job()["ErrorMessage"].endswith("ValueError: month 2 holds no flight")


def test_a_month_that_cannot_be_is_refused(aws, job, flights):
    land(aws, flights, 1)
    run = job(**{"--months": "1"})
    assert "ValueError: no features can be made for months [1]" in run["ErrorMessage"]


# ── the reference ────────────────────────────────────────────────────────────────────────────────


def test_rates_come_from_the_past_only(flights):
    table = flight_features.features_of(flights, 2)
    changed = flights.copy()
    changed.loc[changed["month"] == 2, "arr_delay"] = 500
    again = flight_features.features_of(changed, 2)
    rates = [f"{name}_late_rate" for name in flight_features.ENCODED]
    pd.testing.assert_frame_equal(table[rates], again[rates])
    early = table["day"] <= 2
    assert (table.loc[early, "origin_late_7d"] == again.loc[early, "origin_late_7d"]).all()
    assert not table["origin_late_7d"].equals(again["origin_late_7d"])


def test_an_unseen_plane_has_the_overall_rate(flights):
    changed = flights.copy()
    changed.loc[changed["month"] == 2, "tailnum"] = "N00000"
    table = flight_features.features_of(changed, 2)
    past = flights[(flights["month"] == 1) & flights["arr_delay"].notna()]
    prior = (past["arr_delay"] > 15).mean()
    assert np.allclose(table["tailnum_late_rate"], prior)


def test_a_rate_by_hand():
    past = pd.DataFrame({"plane": ["a", "a", "b"], "late": [1.0, 1.0, np.nan]})
    rates = flight_features.encoded(past, ["plane"], prior=0.25, smoothing=2)
    assert rates["a"] == pytest.approx((2 + 0.5) / 4)
    assert rates["b"] == pytest.approx(0.25)


def test_a_past_without_arrivals_is_refused(flights):
    changed = flights.copy()
    changed.loc[changed["month"] == 1, "arr_delay"] = np.nan
    with pytest.raises(ValueError, match="no flight before month 2 has an arrival time"):
        flight_features.features_of(changed, 2)
    with pytest.raises(ValueError, match="month 9 holds no flight"):
        flight_features.features_of(flights, 9)


def test_the_bill_of_a_run():
    run = {"Id": "jr", "JobRunState": "SUCCEEDED", "MaxCapacity": 2.0, "ExecutionTime": 7}
    assert glue_jobs.dollars(run) == pytest.approx(2 * 60 / 3600 * 0.44)
    assert glue_jobs.dollars({**run, "ExecutionTime": 3600}) == pytest.approx(0.88)
    with pytest.raises(ValueError, match="still RUNNING"):
        glue_jobs.dollars({**run, "JobRunState": "RUNNING"})


def test_the_shipped_table_is_what_the_script_makes(tmp_path):
    sys.path.insert(0, str(CHAPTER / "data"))
    try:
        import make_flight_schedule
    finally:
        sys.path.pop(0)
    shipped = pd.read_parquet(CHAPTER / "data" / "flight_schedule.parquet")
    made = make_flight_schedule.make(make_flight_schedule.TABLES).to_pandas()
    pd.testing.assert_frame_equal(made, shipped)
    with pytest.raises(FileNotFoundError, match="--tables"):
        make_flight_schedule.make(tmp_path)


# ── the pictures ─────────────────────────────────────────────────────────────────────────────────


def test_the_picture_of_scores_marks_each_set():
    table = pd.DataFrame(
        {"training": [0.7, 0.8], "validation": [0.65, 0.55]}, index=["schedule", "+ week"]
    )
    axes = figures_glue.scores(table, "a finding")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["schedule", "+ week"]
    assert sorted(text.get_text() for text in axes.texts) == ["0.55", "0.65"]


def test_the_picture_by_tenth_shows_the_share_in_each():
    table = pd.DataFrame({"rate": range(100), "late": [0.0] * 90 + [1.0] * 10})
    axes = figures_glue.by_tenth(table, {"rate": "known"}, "a finding")
    assert list(axes.lines[0].get_ydata()) == [0] * 9 + [100]
    with pytest.raises(KeyError):
        figures_glue.by_tenth(table, {"other": "unknown"}, "a finding")


def test_a_score_needs_what_it_learns_from(flights):
    table = flight_features.features_of(flights, 2).dropna(subset="late")
    found = flight_features.score(table, table, ["weekday", "distance"])
    assert found["training"] == found["validation"] > 0.5
    with pytest.raises(KeyError, match="colour"):
        flight_features.score(table, table, ["colour"])
