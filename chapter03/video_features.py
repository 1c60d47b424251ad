"""Frames of a clip, chosen by where its scenes begin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

LEVELS = 6  # of each colour, in a histogram


def frames(path: str | Path) -> Iterator[np.ndarray]:
    """The frames of a clip, one after the other, as height × width × 3 in RGB.

    Raises:
        ValueError: if there is none: no film, or one that is cut off.
    """
    capture = cv2.VideoCapture(str(path))
    try:
        count = 0
        while True:
            there, frame = capture.read()
            if not there:
                break
            count += 1
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        if not count:
            raise ValueError(f"{path} holds no frame that can be read")
    finally:
        capture.release()


def colours(frame: np.ndarray) -> np.ndarray:
    """Which share of the pixels has which colour: 216 numbers that sum to 1."""
    levels = (frame.astype(np.uint16) * LEVELS) // 256
    number = (levels[..., 0] * LEVELS + levels[..., 1]) * LEVELS + levels[..., 2]
    return np.bincount(number.ravel(), minlength=LEVELS**3) / number.size


def changes(histograms: np.ndarray) -> np.ndarray:
    """The share of pixels whose colour differs from the frame before; 0 for the first frame.

    Half the sum of absolute differences of two histograms, between 0 and 1.
    """
    steps = np.abs(np.diff(histograms, axis=0)).sum(axis=1) / 2
    return np.concatenate([[0.0], steps])


def scene_starts(change: np.ndarray, threshold: float) -> np.ndarray:
    """The frames at which a scene begins: the first, and where more than the threshold changes."""
    return np.concatenate([[0], np.flatnonzero(change > threshold)])


def middles(starts: np.ndarray, count: int) -> np.ndarray:
    """The middle frame of each scene of a clip with so many frames."""
    ends = np.append(starts[1:], count)
    return (starts + ends) // 2


def evenly(count: int, wanted: int) -> np.ndarray:
    """So many frames at equal distances, each in the middle of its part of the clip."""
    return ((np.arange(wanted) + 0.5) * count / wanted).astype(int)
