"""Handwritten digits as training scripts read them, and the ways in which they may be moved.

It runs in AWS's PyTorch and TensorFlow images as well, and so needs nothing but NumPy.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

SIDE = 8


class DataError(ValueError):
    """Pictures from which nothing can be learned, with what to do about it."""


class Pictures(NamedTuple):
    """Pictures (n, 8, 8), float32 from 0 to 1, and what they show (n,), int64."""

    images: np.ndarray
    labels: np.ndarray

    def of(self, wanted: np.ndarray) -> Pictures:
        """Those at the places, or where the mask is true."""
        return Pictures(self.images[wanted], self.labels[wanted])

    def few(self, count: int, seed: int) -> Pictures:
        """So many of each class, drawn at random.

        Raises:
            DataError: a class has fewer.
        """
        random, places = np.random.default_rng(seed), []
        for label in np.unique(self.labels):
            own = np.flatnonzero(self.labels == label)
            if len(own) < count:
                raise DataError(f"class {label} has {len(own)} pictures, not {count}; ask for less")
            places.append(random.permutation(own)[:count])
        return self.of(np.concatenate(places))

    def save(self, path: Path) -> None:
        """Write them as one `.npz` file, as a channel holds them."""
        np.savez_compressed(path, images=self.images, labels=self.labels)


def read_channel(folder: Path) -> Pictures:
    """The pictures in the one `.npz` file of a channel.

    Raises:
        DataError: there is no such file, an array is missing, or shapes and values do not fit.
    """
    files = sorted(folder.glob("*.npz"))
    if len(files) != 1:
        raise DataError(f"{folder} holds {len(files)} .npz files; give each channel exactly one")
    name = files[0].name
    with np.load(files[0]) as arrays:
        missing = {"images", "labels"} - set(arrays)
        if missing:
            raise DataError(f"{name} lacks the arrays {', '.join(sorted(missing))}")
        images, labels = arrays["images"].astype("float32"), arrays["labels"].astype("int64")
    if images.shape != (len(labels), SIDE, SIDE) or not len(labels):
        raise DataError(
            f"{name} holds pictures of shape {images.shape} and {len(labels)} labels; give n "
            f"pictures of {SIDE} × {SIDE} and n labels"
        )
    if not np.isfinite(images).all():
        place = int(np.flatnonzero(~np.isfinite(images).all(axis=(1, 2)))[0])
        raise DataError(f"{name}: picture {place} has a value that is not finite; leave it out")
    if labels.min() < 0:
        raise DataError(f"{name}: label {labels.min()} is negative; count classes from 0")
    return Pictures(images, labels)


def moved(images: np.ndarray, random: np.random.Generator, reach: int = 1) -> np.ndarray:
    """Pictures (n, 8, 8), each shifted by up to `reach` pixels both ways; the margin is empty."""
    steps = random.integers(-reach, reach + 1, size=(len(images), 2))
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach)))
    inner = np.arange(SIDE) + reach
    return padded[
        np.arange(len(images))[:, None, None],
        (inner + steps[:, :1])[:, :, None],
        (inner + steps[:, 1:])[:, None, :],
    ]


def epoch(pictures: Pictures, seed: int, number: int, augment: bool) -> Pictures:
    """The pictures of one epoch in a new order, moved anew if `augment`.

    Chance depends on seed and epoch alone: not on interruptions, nor on the number of instances,
    nor on the framework.
    """
    random = np.random.default_rng([seed, number])
    order = random.permutation(len(pictures.labels))
    images = moved(pictures.images, random) if augment else pictures.images
    return Pictures(images[order], pictures.labels[order])
