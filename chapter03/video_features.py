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


def changes(histograms: np.ndarray, distance: int = 1) -> np.ndarray:
    """The share of pixels whose colour differs from that of `distance` frames before.

    Half the sum of absolute differences of two histograms, between 0 and 1; 0 for the first
    frames, which have nothing before them.

    Raises:
        ValueError: if the distance is less than 1.
    """
    if distance < 1:
        raise ValueError(f"frames are compared with earlier ones, not at a distance of {distance}")
    steps = np.abs(histograms[distance:] - histograms[:-distance]).sum(axis=1) / 2
    return np.concatenate([np.zeros(min(distance, len(histograms))), steps])


def scene_starts(change: np.ndarray, threshold: float) -> np.ndarray:
    """The frames at which a scene begins: the first, and where change rises above the threshold."""
    above = change > threshold
    rises = np.flatnonzero(above[1:] & ~above[:-1]) + 1
    return np.concatenate([[0], rises])


def compare_with_truth(starts: np.ndarray, truth: list[int], tolerance: int) -> dict[str, int]:
    """How many true starts were `found`, and how many `false` ones came with them.

    Args:
        starts: frames at which scenes were said to begin; the first frame does not count.
        truth: frames at which they do begin.
        tolerance: so many frames late is still right.
    """
    late = starts[1:, None] - np.asarray(truth)[None]
    right = (late >= 0) & (late <= tolerance)
    return {"found": int(right.any(axis=0).sum()), "false": int((~right.any(axis=1)).sum())}


def scenes_seen(chosen: np.ndarray, starts: np.ndarray) -> int:
    """In how many of the scenes that begin at `starts` at least one of the chosen frames lies."""
    return len(np.unique(np.searchsorted(starts, chosen, side="right")))


def middles(starts: np.ndarray, count: int) -> np.ndarray:
    """The middle frame of each scene of a clip with so many frames."""
    ends = np.append(starts[1:], count)
    return (starts + ends) // 2


def evenly(count: int, wanted: int) -> np.ndarray:
    """So many frames at equal distances, each in the middle of its part of the clip."""
    return ((np.arange(wanted) + 0.5) * count / wanted).astype(int)
