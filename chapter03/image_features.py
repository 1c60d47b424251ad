"""Steps that turn pictures into features. A picture is an array, height × width × 3, of uint8."""

from __future__ import annotations

import io
import json
import timeit
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageOps, UnidentifiedImageError
from skimage.feature import hog
from sklearn.neighbors import KNeighborsClassifier

# How bright red, green and blue look: ITU-R Recommendation BT.601.
LUMA = np.array([0.299, 0.587, 0.114])
CANVAS, DIGIT = 16, 8
FARTHEST = 3  # pixels that a digit is moved
WINDOW = 6  # pixels on each side of what the small network sees at once


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


def read_picture(source: str | Path | bytes) -> np.ndarray:
    """A picture from a file or from bytes, upright and in three colours.

    Cameras save a picture as it was held and note in EXIF how to turn it; grey pictures get three
    equal channels; what is transparent becomes white.

    Raises:
        ValueError: if it is no picture, or one that is cut off.
    """
    name = f"{len(source)} bytes" if isinstance(source, bytes) else str(source)
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as opened:
            picture = ImageOps.exif_transpose(opened)
            if picture.has_transparency_data:
                picture = picture.convert("RGBA")
                white = Image.new("RGBA", picture.size, "white")
                picture = Image.alpha_composite(white, picture)
            return np.asarray(picture.convert("RGB"))
    except (UnidentifiedImageError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{name}: no picture that can be read ({error})") from None


def as_jpeg(picture: np.ndarray) -> bytes:
    """The picture as a JPEG file, as Rekognition takes it."""
    body = io.BytesIO()
    Image.fromarray(picture).save(body, "JPEG", quality=90)
    return body.getvalue()


# ── steps ────────────────────────────────────────────────────────────────────────────────────────


def to_grey(picture: np.ndarray) -> np.ndarray:
    """How bright each pixel looks: height × width, uint8."""
    return (picture @ LUMA).round().astype(np.uint8)


def to_grey_by_loop(picture: np.ndarray) -> np.ndarray:
    """The same as `to_grey`, one pixel after the other, for comparison."""
    height, width, _ = picture.shape
    grey = np.empty((height, width), np.uint8)
    for y in range(height):
        for x in range(width):
            red, green, blue = picture[y, x]
            grey[y, x] = round(LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)
    return grey


def resize(picture: np.ndarray, longer_side: int) -> np.ndarray:
    """The picture with its longer side of so many pixels, its proportions kept."""
    image = Image.fromarray(picture)
    scale = longer_side / max(image.size)
    size = tuple(max(1, round(side * scale)) for side in image.size)
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS))


def crop_square(picture: np.ndarray) -> np.ndarray:
    """The largest square in the middle."""
    side = min(picture.shape[:2])
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    return picture[top : top + side, left : left + side]


def tiles(picture: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The picture cut into tiles: rows·columns × height × width × 3; a rest at the edge is lost.

    Raises:
        ValueError: if the picture has fewer pixels than tiles.
    """
    height, width = picture.shape[0] // rows, picture.shape[1] // columns
    if not (height and width):
        raise ValueError(f"{rows} × {columns} tiles do not fit into {picture.shape[:2]} pixels")
    whole = picture[: height * rows, : width * columns]
    cut = whole.reshape(rows, height, columns, width, -1).swapaxes(1, 2)
    return cut.reshape(rows * columns, height, width, -1)


def rotate(picture: np.ndarray, degrees: float) -> np.ndarray:
    """The picture turned anticlockwise; what was outside is black."""
    turned = Image.fromarray(picture).rotate(degrees, Image.Resampling.BILINEAR)
    return np.asarray(turned)


def normalise(picture: np.ndarray) -> np.ndarray:
    """Each channel with mean 0 and standard deviation 1, as networks like it; floats."""
    values = picture.astype("float32")
    return (values - values.mean((0, 1))) / (values.std((0, 1)) + 1e-6)


# ── digits that move ─────────────────────────────────────────────────────────────────────────────


def on_canvas(digits: np.ndarray) -> np.ndarray:
    """Digits of 8 × 8 pixels in the middle of 16 × 16."""
    edge = (CANVAS - DIGIT) // 2
    return np.pad(digits, ((0, 0), (edge, edge), (edge, edge)))


def moved_copies(pictures: np.ndarray, copies: int, seed: int) -> np.ndarray:
    """So many copies of each picture, each moved by up to 3 pixels, copy after copy.

    Args:
        pictures: count × 16 × 16.
        copies: at least 1.
        seed: of the random numbers.

    Returns:
        copies·count × 16 × 16.
    """
    random = np.random.default_rng(seed)
    count, height, width = pictures.shape
    padded = np.pad(pictures, ((0, 0), (FARTHEST, FARTHEST), (FARTHEST, FARTHEST)))
    rows, columns = np.arange(height)[:, None], np.arange(width)
    found = []
    for _ in range(copies):
        down, right = random.integers(0, 2 * FARTHEST + 1, (2, count, 1, 1))
        found.append(padded[np.arange(count)[:, None, None], rows + down, columns + right])
    return np.concatenate(found)


# ── features and their judge ─────────────────────────────────────────────────────────────────────


def as_pixels(pictures: np.ndarray) -> np.ndarray:
    """All pixels in a row: count × height·width."""
    return pictures.reshape(len(pictures), -1)


def as_gradients(pictures: np.ndarray, cell: int) -> np.ndarray:
    """Histograms of oriented gradients: 8 directions in each cell of `cell` × `cell` pixels.

    Source: N. Dalal and B. Triggs (2005), Histograms of oriented gradients for human detection.
    """
    settings = {"orientations": 8, "pixels_per_cell": (cell, cell), "cells_per_block": (1, 1)}
    return np.array([hog(picture, **settings) for picture in pictures])


def windows_of(pictures: np.ndarray) -> np.ndarray:
    """What a window of 6 × 6 pixels sees at each place where it touches the picture.

    Returns:
        count × places × 36; what is outside of the picture is 0.
    """
    edge = WINDOW - 1
    padded = np.pad(pictures, ((0, 0), (edge, edge), (edge, edge)))
    seen = np.lib.stride_tricks.sliding_window_view(padded, (WINDOW, WINDOW), axis=(1, 2))
    return seen.reshape(len(pictures), -1, WINDOW**2)


def as_embedding(pictures: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    """The inner layer of the network in `data/digit_network.npz`: count × 128.

    Two layers answer for each window; of each answer the strongest counts, wherever it was.
    """
    found = []
    for windows in windows_of(pictures):  # one by one, since all answers together are large
        hidden = np.maximum(windows @ weights["w1"] + weights["b1"], 0)
        found.append(np.maximum(hidden @ weights["w2"] + weights["b2"], 0).max(axis=0))
    return np.array(found)


def centred(pictures: np.ndarray) -> np.ndarray:
    """Digits moved so that what is drawn stands in the middle; empty pictures stay as they are."""
    found = np.zeros_like(pictures)
    for number, picture in enumerate(pictures):
        shifts = []
        for axis in (1, 0):
            drawn = np.flatnonzero(picture.any(axis=axis))
            shifts.append((len(picture) - drawn[0] - drawn[-1]) // 2 if len(drawn) else 0)
        found[number] = np.roll(picture, shifts, axis=(0, 1))
    return found


def nearest_neighbours(
    features: np.ndarray, labels: np.ndarray, others: np.ndarray, truth: np.ndarray
) -> float:
    """The share of `others` that their three nearest neighbours name rightly."""
    return KNeighborsClassifier(3).fit(features, labels).score(others, truth)


def score_with_few_labels(
    features: np.ndarray, labels: np.ndarray, shots: int = 10, draws: int = 10
) -> tuple[float, float]:
    """Mean and standard deviation of the accuracy when only `shots` of each class are labelled.

    Raises:
        ValueError: if a class has no more pictures than that.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() <= shots:
        raise ValueError(f"a class has only {counts.min()} pictures, {shots} are to be labelled")
    scores = []
    for draw in range(draws):
        random = np.random.default_rng(draw)
        chosen = np.concatenate(
            [random.choice(np.flatnonzero(labels == c), shots, replace=False) for c in classes]
        )
        rest = np.setdiff1d(np.arange(len(labels)), chosen)
        scores.append(
            nearest_neighbours(features[chosen], labels[chosen], features[rest], labels[rest])
        )
    return float(np.mean(scores)), float(np.std(scores))


# ── manifests ────────────────────────────────────────────────────────────────────────────────────


def manifest_line(
    uri: str, classes: list[str], subject: str, found: list[dict[str, Any]], made: datetime
) -> dict[str, Any]:
    """One line of an augmented manifest for image classification, in the form of Ground Truth.

    Args:
        uri: where the picture lies, s3://…
        classes: the names of all classes; the label is the place of the subject among them.
        subject: what the picture shows, said by a person.
        found: labels of Rekognition, kept as an attribute of their own.
        made: when the subject was said.

    Raises:
        ValueError: if the subject is none of the classes.
    """
    if subject not in classes:
        raise ValueError(f"{subject!r} is none of the classes {', '.join(classes)}")
    metadata = {
        "class-name": subject,
        "confidence": 1,
        "type": "groundtruth/image-classification",
        "job-name": "labeling-job/by-hand",
        "human-annotated": "yes",
        "creation-date": made.isoformat(timespec="seconds"),
    }
    confidences = {each["Name"]: round(each["Confidence"] / 100, 3) for each in found}
    return {
        "source-ref": uri,
        "subject": classes.index(subject),
        "subject-metadata": metadata,
        "rekognition": confidences,
    }


def read_manifest(text: str) -> pd.DataFrame:
    """The lines of an augmented manifest: `picture`, `subject`, `name`, `labels_found`.

    Raises:
        ValueError: naming the first line that is no JSON, lacks picture, label or metadata, has a
            place that is not in S3, or a label that goes by another name elsewhere.
    """
    rows, names = [], {}
    for number, line in enumerate(text.splitlines(), 1):
        try:
            entry = json.loads(line)
        except ValueError:
            raise ValueError(f"line {number} is not JSON: {line[:60]!r}") from None
        needed = ("source-ref", "subject", "subject-metadata")
        missing = [key for key in needed if key not in entry]
        if missing:
            raise ValueError(f"line {number} lacks {', '.join(missing)}")
        picture, subject = entry["source-ref"], entry["subject"]
        if not picture.startswith("s3://"):
            raise ValueError(f"line {number}: {picture!r} is no place in S3")
        name = entry["subject-metadata"].get("class-name")
        if names.setdefault(subject, name) != name:
            raise ValueError(f"line {number}: {subject} is {name!r}, and {names[subject]!r} before")
        rows.append((picture, subject, name, len(entry.get("rekognition", {}))))
    return pd.DataFrame(rows, columns=["picture", "subject", "name", "labels_found"])


# ── labels of Rekognition ────────────────────────────────────────────────────────────────────────


def label_features(found: dict[Any, list[dict[str, Any]]], least: float) -> pd.DataFrame:
    """A row for each picture, a column for each label, its confidence between 0 and 1; 0 if absent.

    Args:
        found: picture → labels as DetectLabels returns them.
        least: confidence in percent below which a label is left out.
    """
    rows = {
        picture: {
            each["Name"]: each["Confidence"] / 100 for each in labels if each["Confidence"] >= least
        }
        for picture, labels in found.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").reindex(list(rows)).fillna(0.0)


def right_and_wrong(
    found: dict[str, list[dict[str, Any]]], shown: dict[str, list[str]], levels: range
) -> pd.DataFrame:
    """How many labels are `right` and `wrong` at each least confidence.

    Args:
        found: picture → labels as DetectLabels returns them.
        shown: picture → names of labels that a person finds right.
        levels: least confidences in percent.
    """
    judged = [
        (each["Confidence"], each["Name"] in shown[picture])
        for picture, labels in found.items()
        for each in labels
    ]
    rows = {
        level: {
            "right": sum(right for confidence, right in judged if confidence >= level),
            "wrong": sum(not right for confidence, right in judged if confidence >= level),
        }
        for level in levels
    }
    return pd.DataFrame.from_dict(rows, orient="index")


# ── timing ───────────────────────────────────────────────────────────────────────────────────────


def times_faster(slow: Callable[[], object], fast: Callable[[], object]) -> float:
    """How many times as long the slow call takes; the best of three runs of each."""
    return min(timeit.repeat(slow, number=1, repeat=3)) / min(
        timeit.repeat(fast, number=1, repeat=3)
    )
