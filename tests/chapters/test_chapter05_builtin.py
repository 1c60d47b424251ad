"""Chapter 5.2: the RecordIO format, the artifacts, the tables, the endpoint that is asked."""

from __future__ import annotations

import io
import struct
import sys
import tarfile
import zipfile
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xgboost

from tests.chapters.loading import load
from tests.local_aws.containers.builtin import ndarray, recordio
from tests.local_aws.environment import LocalAWS
from tests.local_aws_contract.sagemaker_help import ROLE, XGBOOST, SageMaker

matplotlib.use("Agg")
CHAPTER = Path(__file__).parents[2] / "chapter05"
protobuf_io = load("chapter05", "protobuf_io")
artifacts = load("chapter05", "artifacts")
builtin_data = load("chapter05", "builtin_data")
builtin_jobs = load("chapter05", "builtin_jobs")
figures = load("chapter05", "figures_builtin")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


# ── the format ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("columns", [1, 3, 200])
def test_rows_come_back_as_they_went(columns):
    rows = np.random.default_rng(0).normal(size=(7, columns)).astype("float32")
    labels = np.arange(7, dtype="float32")
    features, read = protobuf_io.read(protobuf_io.write(rows, labels))
    np.testing.assert_array_equal(features, rows)
    np.testing.assert_array_equal(read, labels)
    assert protobuf_io.read(protobuf_io.write(rows))[1] is None


def test_the_bytes_are_those_of_the_protobuf_library():
    rows = np.random.default_rng(1).normal(size=(5, 4)).astype("float32")
    labels = np.array([0, 1, 0, 1, 1], "float32")
    assert protobuf_io.write(rows, labels) == recordio.write(rows, labels)
    features, read = protobuf_io.read(recordio.write(rows, labels))
    np.testing.assert_array_equal(features, rows)
    np.testing.assert_array_equal(read, labels)


def test_sparse_rows_are_read_as_dense_ones():
    content = protobuf_io.write_sparse([np.array([0, 300])], [np.array([2.0, 3.0])], 400)
    for features in (protobuf_io.read(content)[0], recordio.read(content)[0]):
        assert features.shape == (1, 400)
        assert features[0, [0, 300]].tolist() == [2, 3] and features.sum() == 5


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        ([1.0, 2.0], None, "give rows and columns"),
        ([[1.0, np.nan]], None, "row 0 holds a value that is not finite"),
        ([[1.0, 2.0]], [1.0, 0.0], "1 rows have labels of shape"),
    ],
)
def test_what_is_no_table_is_not_written(features, labels, message):
    with pytest.raises(ValueError, match=message):
        protobuf_io.write(features, labels)


def test_a_column_outside_the_width_is_not_written():
    with pytest.raises(ValueError, match="the width is 3"):
        protobuf_io.write_sparse([np.array([5])], [np.array([1.0])], 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"label,a,b\n1,2,3\n", "no record begins at byte 0"),
        (b"\n\x23", "cut off"),
        (struct.pack("<II", 0xCED7230A, 100) + b"short", "cut off: 5 of 100"),
    ],
)
def test_what_is_no_record_is_not_read(content, message):
    with pytest.raises(ValueError, match=message):
        protobuf_io.read(content)


# ── the artifacts ────────────────────────────────────────────────────────────────────────────────


def archive(files: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return raw.getvalue()


def test_the_arrays_of_an_artifact_are_read():
    centroids = np.random.default_rng(0).normal(size=(3, 2)).astype("float32")
    files = artifacts.unpack(archive({"model_algo-1": ndarray.dump([centroids])}))
    np.testing.assert_array_equal(artifacts.kmeans(files), centroids)
    named = {"mean": np.ones((1, 4), "f4"), "v": np.eye(4, 2, dtype="f4"), "s": np.ones(2, "f4")}
    mean, components, singular = artifacts.pca({"model_algo-1": ndarray.dump(named)})
    assert (mean.shape, components.shape, singular.shape) == ((4,), (4, 2), (2,))


def test_the_weights_of_a_linear_learner_are_read():
    arrays = {"arg:fc0_weight": np.ones((1, 3), "f4"), "arg:fc0_bias": np.zeros(1, "f4")}
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as zipped:
        zipped.writestr("mx-mod-0000.params", ndarray.dump(arrays))
    weights, biases = artifacts.linear_learner({"model_algo-1": raw.getvalue()})
    assert weights.tolist() == [[1, 1, 1]] and biases.tolist() == [0]


def test_what_is_no_artifact_is_refused():
    with pytest.raises(ValueError, match="not a model.tar.gz"):
        artifacts.unpack(b"nothing")
    with pytest.raises(ValueError, match=r"holds \['xgboost-model'\] but no model_algo-1"):
        artifacts.kmeans({"xgboost-model": b""})
    with pytest.raises(ValueError, match="not a file of MXNet arrays"):
        artifacts.kmeans({"model_algo-1": b"0123456789" * 10})
    cut = ndarray.dump([np.ones((3, 3), "f4")])[:60]
    with pytest.raises(ValueError, match="cut off"):
        artifacts.kmeans({"model_algo-1": cut})


# ── the tables ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def make_tables():
    sys.path.insert(0, str(CHAPTER / "data"))
    try:
        import make_tables
    finally:
        sys.path.pop(0)
    return make_tables


def test_the_tables_are_what_the_script_makes(make_tables, tmp_path):
    shipped = pd.read_parquet(CHAPTER / "data" / "customers.parquet")
    retail = pd.read_parquet(CHAPTER.parent / "chapter04" / "data" / "retail.parquet")
    pd.testing.assert_frame_equal(make_tables.customers(retail), shipped, check_dtype=False)
    hours = pd.read_parquet(CHAPTER.parent / "chapter03" / "data" / "traffic.parquet")
    made = make_tables.traffic_days(hours)
    made.to_parquet(tmp_path / "days.parquet", index=False)
    shipped = pd.read_parquet(CHAPTER / "data" / "traffic_days.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "days.parquet"), shipped)


def test_a_table_without_its_columns_is_refused(make_tables):
    with pytest.raises(ValueError, match="lacks the columns holiday"):
        make_tables.traffic_days(
            pd.DataFrame({"date_time": [], "traffic_volume": [], "weather_main": []})
        )


def test_flights_are_numbers_by_time():
    parts = builtin_data.flights()
    assert {name: len(part.labels) for name, part in parts.items()} == {
        "train": 74_214, "validation": 9_516, "test": 17_410,
    }  # fmt: skip
    for part in parts.values():
        assert np.isfinite(part.features.to_numpy()).all()
        assert set(np.unique(part.labels)) == {0, 1}
    again = builtin_data.shuffled(parts["validation"])
    assert sorted(again.features.index) == sorted(parts["validation"].features.index)
    assert (again.labels == again.table["late"]).all()


def test_the_rule_of_thumb_is_a_share_of_the_training_flights():
    train = pd.DataFrame({"carrier": ["A", "A", "B"], "departure_minute": [60, 70, 60]})
    train["late"] = [1, 0, 1]
    asked = pd.DataFrame({"carrier": ["A", "C"], "departure_minute": [65, 65]})
    assert builtin_data.late_share_by_hour(train, asked).tolist() == pytest.approx([0.5, 2 / 3])


def test_habits_have_one_scale_and_days_are_working_days():
    table, habits = builtin_data.customers()
    np.testing.assert_allclose(habits.mean(), 0, atol=1e-9)
    np.testing.assert_allclose(habits.std(), 1)
    assert len(table) == len(habits) == 5878
    days, traffic = builtin_data.working_days()
    assert traffic.shape == (581, 24) and (days["date"].dt.day_of_week < 5).all()


# ── asking ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def sagemaker(aws: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> SageMaker:
    for name, value in aws.environ.items():
        monkeypatch.setenv(name, value)
    return SageMaker(aws)


def test_an_endpoint_is_asked_and_gone(sagemaker):
    rows = np.random.default_rng(0).random((50, 3)).astype("float32")
    data = xgboost.DMatrix(rows, label=rows[:, 0] > 0.5)
    booster = xgboost.train({"objective": "binary:logistic"}, data, 5)
    content = archive({"xgboost-model": bytes(booster.save_raw("ubj"))})
    uri = sagemaker.put("model.tar.gz", content)
    answers = builtin_jobs.ask("asked", XGBOOST, uri, rows, ROLE, "ml.m5.large", {"a": "b"})
    scores = [answer["score"] for answer in answers]
    np.testing.assert_allclose(scores, booster.predict(data), rtol=1e-5)
    assert sagemaker.client.list_endpoints()["Endpoints"] == []
    assert sagemaker.client.list_models()["Models"] == []
    builtin_jobs.delete_jobs("asked")
    groups = sagemaker.logs.describe_log_groups(logGroupNamePrefix="/aws/sagemaker/Endpoints/asked")
    assert groups["logGroups"] == []
    fetched = artifacts.xgboost(artifacts.fetch(uri))
    np.testing.assert_allclose(fetched.predict(data), booster.predict(data))


def test_an_endpoint_that_fails_is_gone_too(sagemaker):
    uri = sagemaker.put("model.tar.gz", archive({"xgboost-model": b"broken"}))
    with pytest.raises(Exception, match="Failed"):
        builtin_jobs.ask("broken", XGBOOST, uri, np.ones((1, 3)), ROLE, "ml.m5.large", {})
    assert sagemaker.client.list_endpoints()["Endpoints"] == []


# ── the pictures ─────────────────────────────────────────────────────────────────────────────────


def test_pictures_show_what_they_are_given():
    figures.scores({"rule": 0.6, "model": 0.7}, "a finding")
    assert [text.get_text() for text in plt.gca().texts] == ["0.600", "0.700"]
    figures.effects(pd.Series({"a": 1.0, "b": -2.0}), "a finding")
    assert [label.get_text() for label in plt.gca().get_yticklabels()] == ["a", "b"]
    figures.elbow(pd.Series({2: 3.0, 3: 2.0}), 3, "a finding")
    table, _ = builtin_data.customers()
    figures.segments(table, np.zeros(len(table), int), ["all"], "a finding")
    assert "all (5,878)" in plt.gca().get_legend().get_texts()[0].get_text()
    figures.shapes_of_days(np.ones(24), np.eye(24, 2), np.array([0.5, 0.2]), "a finding")
    days, traffic = builtin_data.working_days()
    figures.anomalies(days, traffic.sum(axis=1), 5, "a finding")
    assert plt.gca().get_title() == "a finding"
