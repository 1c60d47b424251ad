"""Chapter 3.3: the steps on pictures, the frames of a clip, and files that are neither."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import matplotlib
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
    weights = {"w1": np.eye(256)[:, :2], "b1": np.array([0, -9.0]), "w2": np.ones((2, 1)), "b2": 1}
    picture = np.zeros((1, 16, 16))
    picture[0, 0, :2] = 3, 5
    assert images.as_embedding(picture, weights).tolist() == [[4.0]]


def test_the_judge_tells_good_features_from_noise():
    labels = np.repeat([0, 1, 2], 40)
    noise = np.random.default_rng(0).random((120, 4))
    assert images.score_with_few_labels(labels[:, None] * 9.0 + noise, labels)[0] > 0.99
    assert images.score_with_few_labels(noise, labels)[0] < 0.5
    with pytest.raises(ValueError, match="a class has only 40 pictures, 40 are to be labelled"):
        images.score_with_few_labels(noise, labels, shots=40)


def test_gradients_see_the_direction_of_edges():
    upright = np.zeros((1, 16, 16))
    upright[0, :, 8:] = 1
    lying = upright.swapaxes(1, 2)
    one, other = images.as_gradients(upright), images.as_gradients(lying)
    assert one.shape == (1, 128) and not np.allclose(one, other)


# ── manifests ────────────────────────────────────────────────────────────────────────────────────


def test_a_manifest_is_read_as_it_was_written():
    found = [{"Name": "Cat", "Confidence": 93.21}]
    line = images.manifest_line("s3://b/cat.jpg", "subject", "cat", found)
    assert line["subject-metadata"]["rekognition"] == {"Cat": 0.932}
    read = images.read_manifest(json.dumps(line), "subject")
    assert read.to_dict("records") == [
        {"picture": "s3://b/cat.jpg", "label": "cat", "labels_found": 1}
    ]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("{broken", "line 2 is not JSON"),
        ('{"source-ref": "s3://b/a.jpg", "subject": "cat"}', "line 2 lacks subject-metadata"),
        ('{"source-ref": "a.jpg", "subject": 1, "subject-metadata": {}}', "no place in S3"),
    ],
)
def test_a_wrong_line_of_a_manifest_is_named(second, message):
    first = json.dumps(images.manifest_line("s3://b/cat.jpg", "subject", "cat", []))
    with pytest.raises(ValueError, match=message):
        images.read_manifest(f"{first}\n{second}", "subject")


# ── clips ────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_without_frames_is_refused(tmp_path):
    empty = tmp_path / "empty.mp4"
    empty.write_bytes(b"")
    for path in (empty, DATA / "DATA.md", tmp_path / "nothing.mp4"):
        with pytest.raises(ValueError, match="holds no frame"):
            list(video.frames(path))


def test_the_scenes_of_the_clip_are_found():
    made = script("make_pictures")
    histograms = np.array([video.colours(frame) for frame in video.frames(DATA / "clip.mp4")])
    lengths = [length for _, length in made.SCENES]
    assert len(histograms) == sum(lengths)
    assert np.allclose(histograms.sum(axis=1), 1)
    starts = video.scene_starts(video.changes(histograms), threshold=0.5)
    assert starts.tolist() == np.cumsum([0, *lengths[:-1]]).tolist()
    nervous = video.scene_starts(video.changes(histograms), threshold=0.2)
    assert set(nervous) - set(starts) == {150}


def test_middles_and_equal_distances():
    assert video.middles(np.array([0, 10]), 14).tolist() == [5, 12]
    assert video.evenly(10, 2).tolist() == [2, 7]


def test_a_clip_of_one_colour_has_one_scene():
    plain = np.zeros((6, 8, 3), np.uint8)
    histograms = np.array([video.colours(plain)] * 4)
    assert video.scene_starts(video.changes(histograms), 0.1).tolist() == [0]
    assert video.changes(histograms[:1]).tolist() == [0]


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
    assert np.abs(shipped[60].astype(int) - expected[60]).mean() < 10


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


def test_the_drawings_show_what_they_are_given(cat):
    sheet = figures.sheet({"one": cat, "two": cat[..., 0]}, 2, "a finding")
    assert [place.get_title() for place in sheet.flat] == ["one", "two"]
    box = {"Left": 0.5, "Top": 0.5, "Width": 0.25, "Height": 0.25}
    label = {"Name": "Cat", "Instances": [{"BoundingBox": box, "Confidence": 91.6}]}
    axes = figures.boxes(cat, [label], "a finding")
    assert axes.texts[0].get_text() == "Cat 92 %"
    assert axes.patches[0].get_width() == pytest.approx(0.25 * 451)
    bars = figures.augmentation(pd.Series({0: 0.2, 1: 0.5}), 0.4, 0.6, "a finding")
    assert [text.get_text() for text in bars.texts] == ["20 %", "50 %", "40 %", "60 %"]
    curve = pd.DataFrame({"mean": [0.4], "deviation": [0.01]}, index=[2])
    figures.by_dimensions({"pixels": curve}, {"gradients": 0.39}, 1 / 3, "a finding")
    figures.cuts(np.array([0, 0.9]), np.array([0, 1]), 0.5, "a finding")
    figures.digits({"row": np.zeros((2, 16, 16))}, "a finding")


def test_opencv_reads_the_clip_in_colour():
    first = next(video.frames(DATA / "clip.mp4"))
    capture = cv2.VideoCapture(str(DATA / "clip.mp4"))
    _, raw = capture.read()
    capture.release()
    assert (first == raw[..., ::-1]).all()
