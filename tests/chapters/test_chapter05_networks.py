"""Chapter 5.3: the training scripts in PyTorch and Keras, what they share, the pictures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from tests.chapters.loading import load

matplotlib.use("Agg")
CHAPTER = Path(__file__).parents[2] / "chapter05"
network_data = load("chapter05", "network_data")
train_torch = load("chapter05", "train_torch")
figures = load("chapter05", "figures_networks")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def folders(tmp_path) -> Path:
    """Flights of January to September and of October, every hundredth, in two channels."""
    table = pd.read_parquet(CHAPTER / "data" / "flights.parquet").iloc[::50]
    table = table[["late", "departure_minute", "distance", "origin_overdue"]].astype("float32")
    for name, part in (("train", table[:1500]), ("validation", table[1500:])):
        (tmp_path / name).mkdir()
        part.to_parquet(tmp_path / name / "part.parquet", index=False)
    return tmp_path


def run(script: str, folder: Path, *extra: str) -> subprocess.CompletedProcess[str]:
    """Run a script as a job does, in a process of its own."""
    places = [f"--{name}={folder / name}" for name in ("train", "validation")]
    command = [sys.executable, str(CHAPTER / script), *places, f"--model-dir={folder / 'model'}"]
    return subprocess.run([*command, "--epochs=3", *extra], capture_output=True, text=True)


def test_torch_learns_and_leaves_what_it_says(folders):
    done = run("train_torch.py", folders)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3 and lines[0].startswith("epoch=1")
    history = json.loads((folders / "model" / "metrics.json").read_text())
    assert [each["epoch"] for each in history] == [1, 2, 3]
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    weights = torch.load(folders / "model" / "model.pt", weights_only=True)
    network = train_torch.build(3, (64, 32), 0.2)
    network.load_state_dict(weights)
    scale = json.loads((folders / "model" / "scale.json").read_text())
    assert len(scale["mean"]) == len(scale["deviation"]) == 3


def test_keras_leaves_the_same_files(folders):
    done = run("train_keras.py", folders)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("epoch=")]
    assert len(lines) == 3 and "validation_auc=" in lines[-1]
    names = {path.name for path in (folders / "model").iterdir()}
    assert names == {"model.keras", "scale.json", "metrics.json"}


@pytest.mark.parametrize("script", ["train_torch.py", "train_keras.py"])
def test_a_missing_label_is_named(folders, script):
    path = folders / "train" / "part.parquet"
    pd.read_parquet(path).drop(columns="late").to_parquet(path)
    done = run(script, folders)
    assert done.returncode == 1 and "has no column 'late'" in done.stderr
    assert not (folders / "model").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.assign(late=table["late"].where(table.index != 7)), "label of row 7"),
        (lambda table: table.assign(late=table["late"] + 1), "must be 0 or 1"),
        (lambda table: table.assign(distance=np.nan), "values are missing in distance"),
    ],
)
def test_data_that_cannot_be_learned_are_refused(folders, change, message):
    path = folders / "train" / "part.parquet"
    change(pd.read_parquet(path)).to_parquet(path)
    with pytest.raises(network_data.DataError, match=message):
        network_data.read_channel(path.parent)


def test_an_empty_channel_is_refused(tmp_path):
    with pytest.raises(network_data.DataError, match="holds no Parquet file"):
        network_data.read_channel(tmp_path)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("--hidden=many", "give widths"),
        ("--dropout=1", "less than 1"),
        ("--epochs=0", "at least 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(capsys, extra, message):
    with pytest.raises(SystemExit) as ended:
        train_torch.main([extra])
    assert ended.value.code == 2 and message in capsys.readouterr().err


def rows(count: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(count)
    features = random.normal(size=(count, 4)).astype("float32")
    return features, (features[:, 0] + random.normal(size=count) > 0).astype("float32")


def test_a_seed_repeats_a_run_and_another_does_not():
    def weights(seed):
        trained = train_torch.train(rows(400), rows(200), epochs=2, seed=seed, say=lambda _: None)
        return torch.cat([each.flatten() for each in trained.network.state_dict().values()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_training_ends_when_nothing_is_gained():
    settings = {"epochs": 60, "patience": 3, "learning_rate": 0.05, "say": lambda _: None}
    trained = train_torch.train(rows(100), rows(200), **settings)
    losses = [each["validation_loss"] for each in trained.history]
    assert len(losses) < 60 and len(losses) - 1 - int(np.argmin(losses)) == 3
    answers = train_torch.probability(trained.network, rows(200)[0])
    truth = rows(200)[1]
    kept = -np.log(np.where(truth == 1, answers, 1 - answers)).mean()
    assert kept == pytest.approx(min(losses), rel=1e-4), "the weights are those of the best epoch"


def test_the_area_is_scikit_learns_with_ties_too():
    random = np.random.default_rng(0)
    labels, scores = random.integers(0, 2, 300), random.integers(0, 20, 300)
    expected = roc_auc_score(labels, scores)
    assert network_data.area_under_curve(labels, scores) == pytest.approx(expected)
    with pytest.raises(network_data.DataError, match="all alike"):
        network_data.area_under_curve(np.ones(3), np.arange(3))


def test_a_constant_column_has_a_scale():
    scale = network_data.learn_scale(np.array([[1.0, 5.0], [3.0, 5.0]], "float32"))
    assert scale.apply(np.array([[2.0, 5.0]], "float32")).tolist() == [[0, 0]]


def test_pictures_show_what_they_are_given():
    history = [
        {"epoch": n, "train_loss": 1 / n, "validation_loss": 1 / n, "validation_auc": 0.6}
        for n in (1, 2, 3)
    ]
    figures.compare_scales({"a run": history}, "a finding")
    assert "a run" in [text.get_text() for text in plt.gca().texts]
    figures.learning_curves({"one": history, "two": history}, "a finding")
    assert [axes.get_title() for axes in plt.gcf().axes] == ["one", "two"]
    figures.contestants({"a": [0.5], "b": [0.6, 0.7]}, "share", "a finding")
    assert [label.get_text() for label in plt.gca().get_yticklabels()] == ["b", "a"]
    pictures = np.zeros((3, 8, 8))
    figures.wrong_pictures(pictures, np.array([1, 2, 3]), np.array([1, 7, 3]), "a finding")
    assert plt.gcf().axes[0].get_title() == "2, read as 7"
