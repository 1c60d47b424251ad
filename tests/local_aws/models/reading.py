"""The text in a picture, line by line and word by word: PP-OCRv6 (Apache-2.0), run by RapidOCR."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import OnDemand, file_in

_FINDER = "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f"
_READER = "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884"
# A small picture is read better at twice its size: an underscore needs more than one pixel.
_SMALL_SIDE = 1_000
# Lines are found on a picture of this size, and read on one of 2,000 pixels.
_LARGEST_SIDE = 1_500
# Two threads wait for each other whenever something else runs on a machine of two cores.
_THREADS = 1

Point = tuple[float, float]


@dataclass(frozen=True)
class Word:
    """A word with its probability; its four corners, clockwise from the upper left, in shares."""

    text: str
    score: float
    corners: tuple[Point, Point, Point, Point]


@dataclass(frozen=True)
class Line(Word):
    """A line, and the words in it."""

    words: tuple[Word, ...]


def lines_in(pixels: np.ndarray) -> list[Line]:
    """The lines in a picture of (height, width, 3) uint8 in RGB, from top to bottom.

    A line's score is the mean over its characters of the probability of each, a word's the same
    over its own. What is on one height is read from left to right.
    """
    import cv2

    height, width = pixels.shape[:2]
    if max(height, width) <= _SMALL_SIDE:
        pixels = cv2.resize(pixels, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        height, width = pixels.shape[:2]
    with _model.use() as model:
        read = model(np.ascontiguousarray(pixels[:, :, ::-1]))
    if read.txts is None:
        return []
    size = (width, height)
    lines = []
    for text, score, corners, parts in zip(
        read.txts, read.scores, read.boxes, read.word_results, strict=True
    ):
        words = [_word(*part, size) for part in parts if part[0].strip()]
        whole = _word(text, score, corners, size)
        if whole.text and words:
            lines.append(Line(whole.text, whole.score, whole.corners, tuple(words)))
    return lines


def box_of(corners: Iterable[Point]) -> dict[str, float]:
    """The upright box around some points, as Rekognition and Textract have it."""
    across, down = zip(*corners, strict=True)
    left, top = min(across), min(down)
    return {"Width": max(across) - left, "Height": max(down) - top, "Left": left, "Top": top}


def _word(text: str, score: float, corners: Iterable[Iterable[float]], size: Any) -> Word:
    shares = np.clip(np.asarray(corners, dtype=float) / size, 0, 1)
    points = tuple((float(x), float(y)) for x, y in shares)
    return Word(text.strip(), float(score), points)


def _load() -> Any:
    finder = file_in("rapidocr", "models/PP-OCRv6_det_small.onnx", _FINDER)
    reader = file_in("rapidocr", "models/PP-OCRv6_rec_small.onnx", _READER)
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            "Global.log_level": "error",
            "Global.return_word_box": True,
            # Its classifier turns lines upside down that are not.
            "Global.use_cls": False,
            "Det.model_path": str(finder),
            # As it is set by default, a low wide picture would be blown up to 736 pixels of height.
            "Det.limit_type": "max",
            "Det.limit_side_len": _LARGEST_SIDE,
            "Rec.model_path": str(reader),
            "EngineConfig.onnxruntime.intra_op_num_threads": _THREADS,
        }
    )


_model = OnDemand(_load)
