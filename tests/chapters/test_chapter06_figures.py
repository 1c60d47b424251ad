"""Chapter 6's helpers that show, store and clean up: figures, training log, bucket, clean-up."""

from __future__ import annotations

import importlib.util
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import boto3
import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from moto import mock_aws

CHAPTER = Path(__file__).resolve().parents[2] / "chapter06"
PREFIX = "cloud-native-ml-ch06-01"
BUCKET = f"{PREFIX}-123456789012-us-east-1"
SDK_LOGGERS = ("sagemaker", "sagemaker.config", "sagemaker.core.resources")


def load(name: str) -> ModuleType:
    """Import a script of the chapter under a name of its own."""
    spec = importlib.util.spec_from_file_location(f"chapter06_{name}", CHAPTER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


clean_up = load("clean_up")
figures = load("figures")
storage = load("storage")
training_log = load("training_log")


# -------------------------------------------------------------------------------------- figures


@pytest.fixture(autouse=True)
def no_figure_stays_open() -> Iterator[None]:
    """Draw in the book's look, and close what was drawn."""
    with plt.style.context(CHAPTER / "book.mplstyle"):
        yield
    plt.close("all")


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    """A tenth of the flights, with the columns that are drawn."""
    columns = ["date", "carrier", "month", "hour", "late"]
    return pd.read_parquet(CHAPTER / "data" / "flight_features.parquet", columns=columns)[::10]


@pytest.fixture(scope="module")
def predictions(flights: pd.DataFrame) -> pd.DataFrame:
    """Flights with answers: a baseline by hour, and a model that sees the truth through noise."""
    by_hour = flights["hour"].map(flights.groupby("hour")["late"].mean())
    noise = np.random.default_rng(0).normal(0, 0.2, len(flights))
    seen = (0.3 * flights["late"] + 0.2 + noise).clip(0, 1)
    return flights.assign(baseline=by_hour, probability=seen)


def heights(axes: plt.Axes) -> list[float]:
    """The heights of the bars, from left to right."""
    return [bar.get_height() for bar in axes.patches]


def dot(axes: plt.Axes) -> tuple[float, float]:
    """Where the one dot in the colour of a note is."""
    (line,) = [
        line
        for line in axes.lines
        if line.get_marker() == "o" and to_hex(line.get_color()).upper() == figures.NOTE
    ]
    return float(line.get_xdata()[0]), float(line.get_ydata()[0])


def test_months_are_drawn_as_they_were(flights: pd.DataFrame) -> None:
    parts = {
        "train": flights[flights["month"] <= 9],
        "validation": flights[flights["month"] == 10],
        "test": flights[flights["month"] >= 11],
    }
    figures.late_share_by_month(parts)
    axes = plt.gca()
    shares = flights.groupby("month")["late"].mean()
    assert heights(axes) == pytest.approx(shares.tolist())
    assert f"{shares.min():.0%} in Sep" in axes.get_title(loc="left")
    assert f"{shares.max():.0%} in Dec" in axes.get_title(loc="left")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == list(parts)


def test_learning_curve_marks_the_best_round() -> None:
    rounds = pd.DataFrame(
        {"train-logloss": [0.6, 0.5, 0.4, 0.3], "validation-logloss": [0.6, 0.5, 0.45, 0.47]}
    )
    figures.learning_curve(rounds)
    assert dot(plt.gca()) == (2, 0.45)
    assert "round 2" in plt.gca().get_title(loc="left")


def test_curves_pass_through_the_chosen_threshold(predictions: pd.DataFrame) -> None:
    figures.roc_and_precision_recall(predictions, 0.4)
    roc, precision_recall = plt.gcf().axes
    warned = predictions["probability"] >= 0.4
    late = predictions["late"] == 1
    recall = (warned & late).sum() / late.sum()
    assert dot(roc) == pytest.approx(((warned & ~late).sum() / (~late).sum(), recall))
    assert dot(precision_recall) == pytest.approx((recall, (warned & late).sum() / warned.sum()))
    for axes in (roc, precision_recall):
        model = next(line for line in axes.lines if line.get_label().startswith("model"))
        x, y = dot(axes)
        nearest = np.hypot(model.get_xdata() - x, model.get_ydata() - y).min()
        assert nearest < 0.01, "the dot lies beside the curve"


def test_areas_in_the_legend_are_those_of_the_predictions(predictions: pd.DataFrame) -> None:
    figures.roc_and_precision_recall(predictions, 0.4)
    labels = [text.get_text() for text in plt.gcf().axes[0].get_legend().get_texts()]
    pairs = predictions[predictions["late"] == 1]["probability"].to_numpy()
    others = np.sort(predictions[predictions["late"] == 0]["probability"].to_numpy())
    below = np.searchsorted(others, pairs, "left") + np.searchsorted(others, pairs, "right")
    area = below.mean() / 2 / len(others)  # the share of pairs in the right order, ties by half
    assert f"model (area {area:.2f})" in labels


def test_calibration_keeps_both_scales_alike() -> None:
    groups = pd.DataFrame({"mean_probability": [0.1, 0.5], "late_share": [0.2, 0.6]})
    figures.calibration(groups)
    axes = plt.gca()
    assert axes.get_xlim() == axes.get_ylim()
    assert axes.get_ylim()[1] > 0.6


def test_cost_curve_marks_the_cost_at_the_threshold() -> None:
    curve = pd.DataFrame({"threshold": np.linspace(0, 1, 101).round(2)})
    curve["cost_per_flight"] = 30 + 50 * (curve["threshold"] - 0.3) ** 2
    curve["baseline_cost_per_flight"] = 60.0
    figures.cost_curve(curve.set_index(curve.index + 101), 0.25)  # the second part of a table
    assert dot(plt.gca()) == pytest.approx((0.25, 30 + 50 * 0.05**2))
    assert any("$30.12" in text.get_text() for text in plt.gca().texts)


def test_policy_costs_are_bars_with_their_dollars() -> None:
    costs = {
        "never_warn": 62.47, "always_warn": 62.49, "baseline": 56.17, "model": 50.41,
        "perfect": 24.99,
    }  # fmt: skip
    figures.policy_costs(costs)
    axes = plt.gca()
    assert [bar.get_width() for bar in axes.patches] == list(costs.values())
    assert "$5.76" in axes.get_title(loc="left")
    assert "$50.41" in [text.get_text() for text in axes.texts]


def test_slices_leave_out_small_carriers_and_mark_what_is_not_served() -> None:
    rows = [
        ("carrier", "B6", 900, 50.0, 57.0),
        ("carrier", "HA", 50, 10.0, 90.0),
        ("carrier", "VX", 600, 53.5, 54.0),
        ("hour", "22", 400, 50.0, 60.0),
        ("hour", "6", 4000, 35.0, 34.0),
        ("month", "11", 9000, 40.0, 45.0),
    ]
    columns = ["column", "level", "flights", "cost_per_flight", "baseline_cost_per_flight"]
    figures.slices(pd.DataFrame(rows, columns=columns))
    carriers, hours, months = plt.gcf().axes
    assert heights(carriers) == pytest.approx([0.5, 7.0])
    assert heights(hours) == pytest.approx([-1.0, 10.0]), "hours must be in order of the day"
    assert [label.get_text() for label in months.get_xticklabels()] == ["Nov"]
    colours = [to_hex(bar.get_facecolor()).upper() for bar in carriers.patches]
    assert colours == [figures.NOTE, figures.MODEL]


# --------------------------------------------------------------------------------- training_log

LINES = [
    "[2026-11-22:10:00:00:INFO] Running XGBoost Sagemaker in algorithm mode",
    "[10]#011train-auc:0.75497#011train-logloss:0.47019#011validation-auc:0.68871",
    "[2]#011train-auc:0.73886#011train-logloss:5.0e-01#011validation-auc:0.67988",
    "[2026-11-22:10:00:09:INFO] Done",
]


def test_rounds_are_read_in_order_with_all_metrics() -> None:
    rounds = training_log.read_rounds(LINES)
    assert rounds.index.tolist() == [2, 10]
    assert rounds.loc[2].to_dict() == {
        "train-auc": 0.73886,
        "train-logloss": 0.5,
        "validation-auc": 0.67988,
    }


def test_metrics_with_a_parameter_in_their_name_are_read() -> None:
    rounds = training_log.read_rounds(["[0]\ttrain-error@0.3:0.25\tvalidation-logloss:nan"])
    assert rounds["train-error@0.3"].tolist() == [0.25]
    assert rounds["validation-logloss"].isna().all()


def test_log_without_rounds_is_refused() -> None:
    with pytest.raises(ValueError, match="no boosting round"):
        training_log.read_rounds(LINES[:1])


@pytest.fixture
def levels() -> Iterator[None]:
    """Put back what `quiet_sdk` changes."""
    known = [logging.getLogger(name) for name in SDK_LOGGERS]
    before = [each.level for each in known]
    yield
    for each, level in zip(known, before, strict=True):
        each.setLevel(level)


def test_of_the_sdk_only_errors_are_shown(levels: None, caplog: pytest.LogCaptureFixture) -> None:
    training_log.quiet_sdk()
    for name in SDK_LOGGERS:
        logging.getLogger(name).info("a step")
        logging.getLogger(name).error("a failure")
    assert caplog.messages == ["a failure"] * len(SDK_LOGGERS)


# -------------------------------------------------------------------------- storage and clean_up


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account in this process, that keeps what it is given."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        yield


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_bucket_is_private_and_refuses_requests_without_tls(account: None, region: str) -> None:
    bucket = f"{PREFIX}-123456789012-{region}"
    storage.create_private_bucket(bucket, region, {"project": "cloud-native-ml"})
    s3 = boto3.client("s3", region_name=region)
    assert (s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] or "us-east-1") == region
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert len(block) == 4 and all(block.values())
    (statement,) = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    assert statement["Effect"] == "Deny" and statement["Principal"] == "*"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    tags = s3.get_bucket_tagging(Bucket=bucket)["TagSet"]
    assert tags == [{"Key": "project", "Value": "cloud-native-ml"}]


def put_object(key: str) -> None:
    """Put an object into the bucket, whose policy moto takes to refuse everything."""
    boto3.client("s3").delete_bucket_policy(Bucket=BUCKET)
    boto3.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"1")


def test_own_bucket_left_by_an_interrupted_run_is_used_again(account: None) -> None:
    storage.create_private_bucket(BUCKET, "eu-central-1", {})
    put_object("kept")
    storage.create_private_bucket(BUCKET, "eu-central-1", {})
    boto3.client("s3").delete_bucket_policy(Bucket=BUCKET)
    assert boto3.client("s3").list_objects_v2(Bucket=BUCKET)["KeyCount"] == 1


def deploy(name: str) -> None:
    """Make a model, a configuration, an endpoint, and the logs of it and of a job."""
    sagemaker, logs = boto3.client("sagemaker"), boto3.client("logs")
    role = "arn:aws:iam::123456789012:role/service-role/AmazonSageMaker-ExecutionRole-1"
    image = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"
    sagemaker.create_model(ModelName=name, PrimaryContainer={"Image": image}, ExecutionRoleArn=role)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    logs.create_log_group(logGroupName=f"/aws/sagemaker/Endpoints/{name}")
    group = "/aws/sagemaker/TrainingJobs"
    if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
        logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName=f"{name}/algo-1-1")


def test_clean_up_removes_its_own_and_nothing_else(account: None) -> None:
    storage.create_private_bucket(BUCKET, "us-east-1", {})
    put_object("models/model.tar.gz")
    names = [f"{PREFIX}-20261122-101500", f"mine-{PREFIX}", "cloud-native-ml-ch06-02-x"]
    for name in names:
        deploy(name)
    found = clean_up.list_all(PREFIX, BUCKET)
    assert {kind: len(names) for kind, names in found.items()} == dict.fromkeys(found, 1)
    assert clean_up.main([PREFIX, BUCKET, "--dry-run"]) == 0
    assert clean_up.list_all(PREFIX, BUCKET) == found

    clean_up.delete_all(PREFIX, BUCKET)
    assert not any(clean_up.list_all(PREFIX, BUCKET).values())
    others = clean_up.list_all("mine-cloud", "no-such-bucket")
    assert others["endpoints"] == [names[1]] and others["log streams"] == [f"{names[1]}/algo-1-1"]
    assert clean_up.list_endpoints("cloud-native-ml-ch06-02") == [names[2]]


def test_clean_up_of_an_empty_account_can_be_repeated(account: None) -> None:
    for _ in range(2):
        clean_up.delete_all(PREFIX, BUCKET)


def test_clean_up_by_hand_refuses_a_prefix_that_could_be_anybodys(
    account: None, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit):
        clean_up.main(["a", BUCKET])
    assert "'a' is too short" in capsys.readouterr().err
