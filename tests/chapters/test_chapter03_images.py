"""Chapter 3.3: the steps on pictures, the frames of a clip, and files that are neither."""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.chapters.loading import load

matplotlib.use("Agg")
DATA = Path(__file__).parents[2] / "chapter03" / "data"

images = load("chapter03", "image_features")
video = load("chapter03", "video_features")
figures = load("chapter03", "figures_images")


def script(name: str) -> Any:
    sys.path.insert(0, str(DATA))
    try:
        return __import__(name)
    finally:
        sys.path.remove(str(DATA))


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    body = io.BytesIO()
    picture.save(body, kind, **options)
    return body.getvalue()


@pytest.fixture(scope="module")
def cat() -> np.ndarray:
    return images.read_picture(DATA / "pictures" / "cat.jpg")


@pytest.fixture
def small() -> Image.Image:
    """Three columns, two rows; the pixel at the upper left is red."""
    picture = Image.new("RGB", (3, 2), "blue")
    picture.putpixel((0, 0), (255, 0, 0))
    return picture


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("body", [b"", b"not a picture", b"\xff\xd8\xff\xe0 cut off"])
def test_what_is_no_picture_is_refused_by_name(body):
    with pytest.raises(ValueError, match=rf"{len(body)} bytes: no picture"):
        images.read_picture(body)


def test_a_picture_that_is_cut_off_is_refused(cat):
    whole = images.as_jpeg(cat)
    with pytest.raises(ValueError, match="no picture that can be read"):
        images.read_picture(whole[: len(whole) // 2])


def test_a_missing_file_is_missing():
    with pytest.raises(FileNotFoundError):
        images.read_picture(DATA / "pictures" / "nobody.jpg")


def test_a_picture_is_turned_as_the_camera_was_held(small):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    read = images.read_picture(encoded(small, "PNG", exif=exif))
    assert read.shape == (3, 2, 3)
    assert read[0, 1].tolist() == [255, 0, 0]


def test_grey_and_transparent_pictures_have_three_colours(small):
    grey = images.read_picture(encoded(small.convert("L"), "PNG"))
    assert grey.shape == (2, 3, 3) and (grey[..., 0] == grey[..., 2]).all()
    clear = Image.new("RGBA", (3, 2), (0, 0, 0, 0))
    assert (images.read_picture(encoded(clear, "PNG")) == 255).all()


# ── steps ────────────────────────────────────────────────────────────────────────────────────────


def test_both_ways_to_grey_agree(cat):
    part = cat[:40, :50]
    assert (images.to_grey(part) == images.to_grey_by_loop(part)).all()
    assert images.to_grey(np.full((1, 1, 3), 255, np.uint8)).item() == 255


def test_resizing_keeps_proportions(cat):
    assert images.resize(cat, 100).shape == (67, 100, 3)


def test_the_square_is_in_the_middle(cat):
    square = images.crop_square(cat)
    assert (square == cat[:, 75:375]).all()


def test_tiles_are_the_picture_cut_up(cat):
    cut = images.tiles(cat, 3, 4)
    assert cut.shape == (12, 100, 112, 3)
    assert (cut[5] == cat[100:200, 112:224]).all()
    with pytest.raises(ValueError, match="do not fit"):
        images.tiles(cat, 1000, 1)


def test_a_normalised_picture_has_mean_0_and_deviation_1(cat):
    values = images.normalise(cat)
    assert np.allclose(values.mean((0, 1)), 0, atol=1e-3)
    assert np.allclose(values.std((0, 1)), 1, atol=1e-3)
    assert np.isfinite(images.normalise(np.zeros((4, 4, 3), np.uint8))).all()


def test_a_turned_picture_keeps_its_size(cat):
    assert images.rotate(cat, 15).shape == cat.shape
    half = images.rotate(images.crop_square(cat), 180)
    assert (half == images.crop_square(cat)[::-1, ::-1]).all()


# ── copies, features, judge ──────────────────────────────────────────────────────────────────────


def test_moved_copies_keep_every_pixel():
    digit = images.on_canvas(np.random.default_rng(0).random((5, 8, 8)))
    copies = images.moved_copies(digit, 3, seed=1)
    assert copies.shape == (15, 16, 16)
    assert np.allclose(copies.sum((1, 2)), np.tile(digit.sum((1, 2)), 3))
    assert not np.allclose(copies[:5], copies[5:10])
    assert (copies == images.moved_copies(digit, 3, seed=1)).all()


def test_an_embedding_by_hand():
    """One hidden unit adds up two pixels of the window, the other never answers."""
    first = np.zeros((36, 2))
    first[:2, 0] = 1
    weights = {"w1": first, "b1": np.array([0, -99.0]), "w2": np.ones((2, 1)), "b2": 1}
    picture = np.zeros((1, 16, 16))
    picture[0, 7, 4:6] = 3, 5
    assert images.as_embedding(picture, weights).tolist() == [[9.0]]


def test_a_window_goes_to_every_place_where_it_touches_the_picture():
    windows = images.windows_of(np.ones((2, 16, 16)))
    assert windows.shape == (2, 21 * 21, 36)
    assert windows[0].sum(axis=1).min() == 1 and windows[0].sum() == 16 * 16 * 36


def test_the_embedding_does_not_depend_on_the_place():
    weights = dict(np.load(DATA / "digit_network.npz"))
    digit = images.on_canvas(np.random.default_rng(0).random((4, 8, 8)))
    moved = images.moved_copies(digit, 1, seed=3)
    assert np.abs(moved - digit).max() > 0.1
    same = images.as_embedding(digit, weights), images.as_embedding(moved, weights)
    assert np.allclose(*same)


def test_centring_undoes_moving():
    digit = images.on_canvas(np.random.default_rng(0).random((4, 8, 8)))
    assert (images.centred(images.moved_copies(digit, 1, seed=3)) == digit).all()
    assert (images.centred(np.zeros((1, 16, 16))) == 0).all()


def test_the_judge_tells_good_features_from_noise():
    labels = np.repeat([0, 1, 2], 40)
    noise = np.random.default_rng(0).random((120, 4))
    assert images.score_with_few_labels(labels[:, None] * 9.0 + noise, labels)[0] > 0.99
    assert images.score_with_few_labels(noise, labels)[0] < 0.5
    with pytest.raises(ValueError, match="a class has only 40 pictures, 40 are to be labelled"):
        images.score_with_few_labels(noise, labels, shots=40)


@pytest.mark.parametrize(("cell", "numbers"), [(4, 128), (16, 8)])
def test_gradients_see_the_direction_of_edges(cell, numbers):
    upright = np.zeros((1, 16, 16))
    upright[0, :, 8:] = 1
    one, other = (images.as_gradients(each, cell) for each in (upright, upright.swapaxes(1, 2)))
    assert one.shape == (1, numbers) and not np.allclose(one, other)


# ── manifests and labels ─────────────────────────────────────────────────────────────────────────

MADE = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
FOUND = [{"Name": "Cat", "Confidence": 93.21}, {"Name": "Bed", "Confidence": 28.0}]


def line(**changes: Any) -> str:
    return json.dumps(
        images.manifest_line("s3://b/cat.jpg", ["dog", "cat"], "cat", [], MADE) | changes
    )


def test_a_manifest_is_read_as_it_was_written():
    written = images.manifest_line("s3://b/cat.jpg", ["dog", "cat"], "cat", FOUND, MADE)
    assert written["subject-metadata"] == {
        "class-name": "cat",
        "confidence": 1,
        "type": "groundtruth/image-classification",
        "job-name": "labeling-job/by-hand",
        "human-annotated": "yes",
        "creation-date": "2026-11-23T08:00:00+00:00",
    }
    assert written["rekognition"] == {"Cat": 0.932, "Bed": 0.28}
    read = images.read_manifest(json.dumps(written))
    row = {"picture": "s3://b/cat.jpg", "subject": 1, "name": "cat", "labels_found": 2}
    assert read.to_dict("records") == [row]


def test_a_subject_without_a_class_is_refused():
    with pytest.raises(ValueError, match="'cow' is none of the classes dog, cat"):
        images.manifest_line("s3://b/cow.jpg", ["dog", "cat"], "cow", [], MADE)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("{broken", "line 2 is not JSON"),
        ('{"source-ref": "s3://b/a.jpg", "subject": 1}', "line 2 lacks subject-metadata"),
        (line(**{"source-ref": "a.jpg"}), "line 2: 'a.jpg' is no place in S3"),
        (line(**{"subject-metadata": {"class-name": "dog"}}), "line 2: 1 is 'dog', and 'cat'"),
    ],
)
def test_a_wrong_line_of_a_manifest_is_named(second, message):
    with pytest.raises(ValueError, match=message):
        images.read_manifest(f"{line()}\n{second}")


def test_labels_become_columns():
    table = images.label_features({7: FOUND, 8: [], 9: [FOUND[1]]}, least=20)
    assert table.index.tolist() == [7, 8, 9]
    assert table.to_dict("list") == {"Cat": [pytest.approx(0.9321), 0, 0], "Bed": [0.28, 0, 0.28]}
    assert images.label_features({7: FOUND}, least=50).columns.tolist() == ["Cat"]


def test_labels_are_counted_at_each_confidence():
    counts = images.right_and_wrong({"cat": FOUND}, {"cat": ["Cat"]}, range(20, 100, 60))
    assert counts.to_dict("index") == {
        20: {"right": 1, "wrong": 1},
        80: {"right": 1, "wrong": 0},
    }


def test_somebody_has_looked_at_each_picture():
    shown = json.loads((DATA / "labels_by_hand.json").read_text())
    assert set(shown) == set(script("make_pictures").SOURCES)
    assert all(names and len(set(names)) == len(names) for names in shown.values())


# ── clips ────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_without_frames_is_refused(tmp_path):
    empty = tmp_path / "empty.mp4"
    empty.write_bytes(b"")
    for path in (empty, DATA / "DATA.md", tmp_path / "nothing.mp4"):
        with pytest.raises(ValueError, match="holds no frame"):
            list(video.frames(path))


@pytest.fixture(scope="module")
def histograms() -> np.ndarray:
    return np.array([video.colours(frame) for frame in video.frames(DATA / "clip.mp4")])


@pytest.fixture(scope="module")
def truth() -> list[int]:
    lengths = [length for _, length in script("make_pictures").SCENES]
    return np.cumsum(lengths)[:-1].tolist()


def test_the_scenes_of_the_clip_are_found(histograms, truth):
    made = script("make_pictures")
    assert len(histograms) == sum(length for _, length in made.SCENES)
    assert np.allclose(histograms.sum(axis=1), 1)
    starts = video.scene_starts(video.changes(histograms, distance=6), threshold=0.5)
    found = video.compare_with_truth(starts, truth, tolerance=made.FADE[1])
    assert found == {"found": 5, "false": 0}
    assert starts[:-1].tolist() == [0, *truth[:-1]]


def test_from_frame_to_frame_a_fade_is_missed_and_a_lamp_is_a_scene(histograms, truth):
    near = video.changes(histograms)
    assert video.scene_starts(near, 0.5).tolist() == [0, *truth[:-1]]
    assert 150 in video.scene_starts(near, 0.2)


def test_finds_and_false_alarms_are_counted():
    starts = np.array([0, 11, 12, 40])
    assert video.compare_with_truth(starts, [10, 30], 2) == {"found": 1, "false": 1}
    assert video.compare_with_truth(starts[:1], [10], 2) == {"found": 0, "false": 0}


def test_scenes_are_counted_once():
    assert video.scenes_seen(np.array([0, 5, 9, 25]), np.array([0, 10, 20])) == 2


def test_middles_and_equal_distances():
    assert video.middles(np.array([0, 10]), 14).tolist() == [5, 12]
    assert video.evenly(10, 2).tolist() == [2, 7]


def test_a_clip_of_one_colour_has_one_scene():
    plain = np.zeros((6, 8, 3), np.uint8)
    histograms = np.array([video.colours(plain)] * 4)
    assert video.scene_starts(video.changes(histograms), 0.1).tolist() == [0]
    assert video.changes(histograms[:1]).tolist() == [0]
    assert video.changes(histograms, distance=9).tolist() == [0] * 4


def test_frames_are_compared_with_earlier_ones():
    with pytest.raises(ValueError, match="not at a distance of 0"):
        video.changes(np.ones((3, 216)), distance=0)


# ── data and pictures ────────────────────────────────────────────────────────────────────────────


def test_the_pictures_are_what_the_script_makes():
    made = script("make_pictures")
    for name in made.SOURCES:
        shipped = images.read_picture(DATA / "pictures" / f"{name}.jpg").astype(int)
        expected = np.asarray(made.make_picture(name)).astype(int)
        assert shipped.shape == expected.shape
        assert np.abs(shipped - expected).mean() < 6  # JPEG loses a little


def test_the_film_shows_what_the_script_shows():
    made = script("make_pictures")
    pictures = {n: images.read_picture(DATA / "pictures" / f"{n}.jpg") for n in made.SOURCES}
    expected = made.film(pictures)
    shipped = list(video.frames(DATA / "clip.mp4"))
    assert len(shipped) == len(expected)
    for number in (60, 174):  # in a scene, in the fade
        assert np.abs(shipped[number].astype(int) - expected[number]).mean() < 10


def test_the_network_tells_apart_what_it_has_learned():
    from sklearn.datasets import load_digits

    small, labels = load_digits(return_X_y=True)
    known = labels < 7
    digits = images.on_canvas(small[known].reshape(-1, 8, 8) / 16)
    weights = dict(np.load(DATA / "digit_network.npz"))
    first, second = (
        images.as_embedding(images.moved_copies(digits, 1, seed), weights) for seed in (100, 101)
    )
    half = known.sum() // 2
    names = labels[known]
    score = images.nearest_neighbours(first[:half], names[:half], second[half:], names[half:])
    assert score > 0.9


def test_the_gradients_of_the_network_are_right():
    """Against differences of the cross-entropy, for one weight of each kind."""
    made = script("make_digit_network")
    random = np.random.default_rng(0)
    weights = made.first_weights(random)
    windows, truth = random.random((5, 9, 36)), np.array([0, 1, 2, 3, 6])
    kept = (random.random((5, made.OUTPUTS)) >= 0.3) / 0.7

    def loss() -> float:
        hidden = np.maximum(windows @ weights["w1"] + weights["b1"], 0)
        strongest = np.maximum(hidden @ weights["w2"] + weights["b2"], 0).max(axis=1) * kept
        scores = strongest @ weights["w3"] + weights["b3"]
        return float(np.mean(np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(5), truth]))

    found = made.gradients(windows, truth, kept, weights)
    for name, value in weights.items():
        place = np.unravel_index(np.abs(found[name]).argmax(), value.shape)
        before, step = value[place], 1e-6
        value[place] = before + step
        above = loss()
        value[place] = before - step
        below = loss()
        value[place] = before
        assert found[name][place] == pytest.approx((above - below) / (2 * step), rel=1e-4)


def test_the_drawings_show_what_they_are_given(cat):
    sheet = figures.sheet({"one": cat, "two": cat[..., 0]}, 2, "a finding", rows_named=("row",))
    assert [place.get_title() for place in sheet.flat] == ["one", "two"]
    assert sheet[0, 0].get_ylabel() == "row"
    box = {"Left": 0.5, "Top": 0.5, "Width": 0.25, "Height": 0.25}
    label = {"Name": "Cat", "Instances": [{"BoundingBox": box, "Confidence": 91.6}]}
    axes = figures.boxes(cat, [label], "a finding")
    assert axes.texts[0].get_text().strip() == "Cat 92 %"
    assert axes.patches[0].get_width() == pytest.approx(0.25 * 451)
    bars = figures.augmentation(pd.Series({0: 0.2, 9: 0.5}), 0.4, 0.6, "a finding")
    assert [text.get_text() for text in bars.texts][:4] == ["20 %", "50 %", "40 %", "60 %"]
    counts = pd.DataFrame({"right": [3, 0], "wrong": [1, 0]}, index=[10, 50])
    assert [text.get_text() for text in figures.thresholds(counts, "t").texts] == ["75%"]
    table = pd.DataFrame({"Cat": [0.5, 0], "Bed": [0, 0.25]})
    assert [text.get_text() for text in figures.features(table, "t").texts] == ["0.50", "0.25"]
    curve = pd.DataFrame({"mean": [0.4], "deviation": [0.01]}, index=[2])
    figures.by_dimensions({"pixels": curve}, {"gradients": 0.39}, 1 / 3, "a finding")
    figures.cuts({"near": np.array([0, 0.9])}, [1], 0.5, "a finding")
    figures.digits({"row": np.zeros((2, 16, 16))}, "a finding")
    plt.close("all")


def test_opencv_reads_the_clip_in_colour():
    first = next(video.frames(DATA / "clip.mp4"))
    capture = cv2.VideoCapture(str(DATA / "clip.mp4"))
    _, raw = capture.read()
    capture.release()
    assert (first == raw[..., ::-1]).all()
