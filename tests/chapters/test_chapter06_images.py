"""Chapter 6.4: pictures and how they are moved, both training scripts, the pictures drawn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from tests.chapters.loading import load

matplotlib.use("Agg")
CHAPTER = Path(__file__).parents[2] / "chapter06"
# The script's own, so that its pictures and errors are the same classes here.
train_image = load("chapter06", "train_image")
image_data = train_image.image_data
figures = load("chapter06", "figures_image_model")
DIGITS = load_digits()
PICTURES = image_data.Pictures((DIGITS.images / 16).astype("float32"), DIGITS.target)
QUICK = train_image.Settings(epochs=3)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def folders(tmp_path) -> Path:
    """Two channels of digits."""
    for name, ends in (("train", (0, 200)), ("validation", (200, 300))):
        (tmp_path / name).mkdir()
        PICTURES.of(range(*ends)).save(tmp_path / name / "part.npz")
    return tmp_path


def arguments(folder: Path, *extra: str) -> list[str]:
    names = ("train", "validation", "model-dir", "checkpoints")
    return [*(f"--{name}={folder / name}" for name in names), "--epochs=3", *extra]


# ── pictures ─────────────────────────────────────────────────────────────────────────────────────


def test_a_channel_gives_back_what_was_saved(folders):
    found = image_data.read_channel(folders / "train")
    assert np.array_equal(found.images, PICTURES.images[:200])
    assert found.images.dtype == np.float32 and found.labels.dtype == np.int64


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros((2, 8, 8))}, "lacks the arrays labels"),
        ({"images": np.zeros((2, 9, 9)), "labels": [0, 1]}, r"shape \(2, 9, 9\) and 2 labels"),
        ({"images": np.zeros((3, 8, 8)), "labels": [0, 1]}, r"shape \(3, 8, 8\) and 2 labels"),
        ({"images": np.zeros((0, 8, 8)), "labels": []}, "0 labels"),
        ({"images": np.full((2, 8, 8), np.nan), "labels": [0, 1]}, "picture 0 has a value"),
        ({"images": np.zeros((2, 8, 8)), "labels": [0, -1]}, "label -1 is negative"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "part.npz", **arrays)
    with pytest.raises(image_data.DataError, match=message):
        image_data.read_channel(tmp_path)


def test_a_channel_holds_one_file(tmp_path):
    with pytest.raises(image_data.DataError, match="holds 0 .npz files"):
        image_data.read_channel(tmp_path)


def test_a_few_of_each_class_are_drawn_by_seed():
    few = PICTURES.few(3, seed=1)
    assert np.bincount(few.labels).tolist() == [3] * 10
    assert not np.array_equal(few.images, PICTURES.few(3, seed=2).images)
    with pytest.raises(image_data.DataError, match="class 8 has 174 pictures, not 175"):
        PICTURES.few(175, seed=0)


@pytest.mark.parametrize("reach", [1, 3])
def test_moving_loses_only_what_leaves_the_picture(reach):
    images = np.zeros((200, 8, 8), "float32")
    images[:, 4, 4] = 1
    places = np.argwhere(image_data.moved(images, np.random.default_rng(0), reach))[:, 1:] - 4
    assert len(places) == 200
    assert (places.min(axis=0) == -reach).all() and (places.max(axis=0) == reach).all()


def test_an_epoch_depends_on_seed_and_number_alone():
    first = image_data.epoch(PICTURES, 0, 1, augment=True)
    again = image_data.epoch(PICTURES, 0, 1, augment=True)
    assert np.array_equal(first.images, again.images)
    assert not np.array_equal(first.images, image_data.epoch(PICTURES, 0, 2, True).images)
    still = image_data.epoch(PICTURES, 0, 1, augment=False)
    assert np.array_equal(still.labels, first.labels)
    assert np.array_equal(np.sort(still.images.ravel()), np.sort(PICTURES.images.ravel()))


# ── PyTorch ──────────────────────────────────────────────────────────────────────────────────────


def test_torch_learns_and_leaves_what_it_prints(folders, capsys):
    assert train_image.main(arguments(folders)) == 0
    lines = capsys.readouterr().out.splitlines()
    history = json.loads((folders / "model-dir" / "metrics.json").read_text())
    assert [each["epoch"] for each in history] == [1, 2, 3]
    assert history[-1]["train_accuracy"] > 0.4
    assert lines[-1].endswith(f"validation_accuracy={history[-1]['validation_accuracy']:.4f}")
    network = train_image.build(10)
    weights = torch.load(folders / "model-dir" / "model.pt", weights_only=True)
    network.load_state_dict(weights)
    held_out = image_data.read_channel(folders / "validation")
    assert train_image.accuracy(network, held_out) == history[-1]["validation_accuracy"]


def test_an_interrupted_run_ends_as_one_that_was_not(folders, capsys):
    whole = train_image.train(PICTURES.of(range(200)), PICTURES.of(range(200, 300)), QUICK)[1]
    assert train_image.main([*arguments(folders), "--epochs=2"]) == 0
    assert train_image.main(arguments(folders)) == 0
    assert "resumed after epoch 2" in capsys.readouterr().out
    assert json.loads((folders / "model-dir" / "metrics.json").read_text()) == whole


def test_a_broken_checkpoint_is_named_and_no_model_left(folders, capsys):
    (folders / "checkpoints").mkdir()
    (folders / "checkpoints" / "last.pt").write_bytes(b"half a checkpoint")
    assert train_image.main(arguments(folders)) == 1
    said = capsys.readouterr().err
    assert "checkpoints/last.pt is no checkpoint of this network" in said
    assert "delete it in S3 to begin anew" in said
    assert not (folders / "model-dir").exists()


def test_a_checkpoint_of_another_network_is_refused(folders, capsys):
    (folders / "checkpoints").mkdir()
    other = {"network": train_image.build(3).state_dict(), "optimizer": {}, "history": [{}]}
    torch.save(other, folders / "checkpoints" / "last.pt")
    assert train_image.main(arguments(folders)) == 1
    assert "is no checkpoint of this network" in capsys.readouterr().err


def test_bad_pictures_end_the_job_with_their_reason(folders, capsys):
    np.savez(folders / "train" / "part.npz", images=np.zeros((2, 9, 9)), labels=[0, 1])
    assert train_image.main(arguments(folders)) == 1
    assert "give n pictures of 8 × 8" in capsys.readouterr().err


@pytest.mark.parametrize("extra", ["--epochs=0", "--batch-size=0"])
def test_impossible_settings_are_refused(folders, extra):
    with pytest.raises(SystemExit):
        train_image.main(arguments(folders, extra))


def test_frozen_layers_keep_their_weights():
    known = train_image.build(5).state_dict()
    few = PICTURES.of(range(100))
    network, _ = train_image.train(few, few, QUICK, begin_with=known)
    after = network.state_dict()
    assert torch.equal(after["0.weight"], known["0.weight"])
    assert torch.equal(after["3.bias"], known["3.bias"])
    assert after["6.weight"].shape == (10, 512)


def test_two_instances_make_the_steps_of_one(folders):
    whole = train_image.train(PICTURES.of(range(200)), PICTURES.of(range(200, 300)), QUICK)[1]
    running = []
    for host in ("127.0.0.1", "127.0.0.2"):
        environ = {
            "SM_HOSTS": '["127.0.0.1", "127.0.0.2"]', "SM_CURRENT_HOST": host,
            "SM_NETWORK_INTERFACE_NAME": "lo",
        }  # fmt: skip
        command = [sys.executable, str(CHAPTER / "train_image.py"), *arguments(folders)]
        running.append(subprocess.Popen(command, env=os.environ | environ))
    assert [each.wait(timeout=120) for each in running] == [0, 0]
    history = json.loads((folders / "model-dir" / "metrics.json").read_text())
    for one, two in zip(whole, history, strict=True):
        assert one["train_accuracy"] == pytest.approx(two["train_accuracy"], abs=0.02)


# ── Keras ────────────────────────────────────────────────────────────────────────────────────────


def run_keras(folders: Path, *extra: str) -> subprocess.CompletedProcess[str]:
    places = [
        f"--{name}={folders / name}" for name in ("train", "validation", "model-dir", "board")
    ]
    command = [sys.executable, str(CHAPTER / "train_image_keras.py"), *places, "--epochs=3", *extra]
    return subprocess.run(command, capture_output=True, text=True)


def test_keras_learns_and_writes_what_tensorboard_draws(folders):
    done = run_keras(folders)
    assert done.returncode == 0, done.stderr
    history = json.loads((folders / "model-dir" / "metrics.json").read_text())
    assert history[-1]["train_accuracy"] > 0.4
    assert done.stdout.splitlines()[-1].startswith("epoch=3")
    check = f"""
import keras, numpy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray
events = EventAccumulator({str(folders / "board")!r}).Reload().Tensors("validation_accuracy")
print([round(float(make_ndarray(each.tensor_proto)), 4) for each in events])
print(keras.models.load_model({str(folders / "model-dir" / "model.keras")!r}).output_shape)
"""
    read = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    drawn, shape = read.stdout.splitlines()
    assert json.loads(drawn) == [round(each["validation_accuracy"], 4) for each in history]
    assert shape == "(None, 10)"


def test_keras_names_what_is_wrong(folders):
    (folders / "train" / "part.npz").unlink()
    done = run_keras(folders)
    assert done.returncode == 1 and "give each channel exactly one" in done.stderr


# ── the pictures ─────────────────────────────────────────────────────────────────────────────────


def test_moved_copies_stand_below_their_digit():
    figures.augmentation(PICTURES.images[:8], [PICTURES.images[8:16]], "Moved")
    panels = plt.gcf().axes
    assert len(panels) == 16
    assert np.array_equal(panels[8].images[0].get_array(), PICTURES.images[8])


def test_every_seed_is_a_point():
    figures.seeds({"moved": [0.93, 0.95], "still": [0.9, 0.91]}, 0.92, "Seeds")
    still, moved, baseline = plt.gca().lines
    assert list(moved.get_xdata()) == [0.93, 0.95] and list(still.get_xdata()) == [0.9, 0.91]
    assert list(baseline.get_xdata()) == [0.92, 0.92]


def test_curves_follow_the_epochs():
    history = [{"epoch": 1, "validation_accuracy": 0.5}, {"epoch": 2, "validation_accuracy": 0.7}]
    figures.curves({"PyTorch": history}, "Curves", 0.6)
    assert plt.gca().lines[0].get_xydata().tolist() == [[1, 0.5], [2, 0.7]]


def test_only_misread_digits_are_shown():
    truth, said = np.array([0, 1, 2]), np.array([0, 7, 2])
    figures.misread(PICTURES.images[:3], truth, said, "Misread")
    shown = [axes for axes in plt.gcf().axes if axes.images]
    assert [axes.get_title() for axes in shown] == ["1, not 7"]


def test_transfer_draws_seeds_and_their_mean():
    figures.transfer({"frozen": {3: [0.8, 0.9], 10: [0.9, 1.0]}}, "Transfer")
    three, _, mean = plt.gca().lines
    assert list(three.get_ydata()) == [0.8, 0.9]
    assert mean.get_ydata() == pytest.approx([0.85, 0.95])
