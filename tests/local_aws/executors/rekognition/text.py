"""DetectText: the lines and words in a picture.

https://docs.aws.amazon.com/rekognition/latest/APIReference/API_DetectText.html
"""

from __future__ import annotations

from typing import Any

from ...errors import AWSError
from ...gateway import Call, handles
from ...models.reading import Word, box_of, lines_in
from .pictures import picture_of

_MODEL_VERSION = "3.0"
_MOST_WORDS = 100
_SIDES = ("Width", "Height", "Left", "Top")


@handles("rekognition", "DetectText")
def detect_text(call: Call) -> dict[str, Any]:
    """Lines first, then their words; at most 100 words, as on AWS.

    Raises:
        AWSError: that the picture cannot be had or read; InvalidParameterException for a region
            that is no region.
    """
    filters = call.params.get("Filters", {})
    regions = [_region(region) for region in filters.get("RegionsOfInterest", [])]
    lines, words = [], []
    for line in lines_in(picture_of(call)):
        kept = [word for word in line.words if _wanted(word, filters.get("WordFilter", {}))]
        kept = [word for word in kept if _within(word, regions)][: _MOST_WORDS - len(words)]
        if not kept:
            continue
        words += [(word, len(lines)) for word in kept]
        whole = len(kept) == len(line.words)
        lines.append(_shown(line, "LINE", len(lines), line.text if whole else _joined(kept)))
    numbered = enumerate(words, start=len(lines))
    parts = [
        _shown(word, "WORD", number, word.text) | {"ParentId": parent}
        for number, (word, parent) in numbered
    ]
    return {"TextDetections": lines + parts, "TextModelVersion": _MODEL_VERSION}


def _wanted(word: Word, word_filter: dict[str, float]) -> bool:
    box = box_of(word.corners)
    return (
        100 * word.score >= word_filter.get("MinConfidence", 0)
        and box["Height"] >= word_filter.get("MinBoundingBoxHeight", 0)
        and box["Width"] >= word_filter.get("MinBoundingBoxWidth", 0)
    )


def _region(region: dict[str, Any]) -> dict[str, float]:
    """The box of a region of interest; of a polygon the box around it."""
    if ("BoundingBox" in region) == ("Polygon" in region):
        raise AWSError(
            "InvalidParameterException", "A region of interest has a BoundingBox or a Polygon."
        )
    if "BoundingBox" in region:
        box = {name: region["BoundingBox"].get(name, 0.0) for name in _SIDES}
    else:
        box = box_of([(point.get("X", 0.0), point.get("Y", 0.0)) for point in region["Polygon"]])
    if box["Width"] <= 0 or box["Height"] <= 0:
        raise AWSError("InvalidParameterException", f"The region of interest {box} is empty.")
    return box


def _within(word: Word, regions: list[dict[str, float]]) -> bool:
    """Whether the middle of a word is in one of the regions, if there are any."""
    box = box_of(word.corners)
    x, y = box["Left"] + box["Width"] / 2, box["Top"] + box["Height"] / 2
    return not regions or any(
        region["Left"] <= x <= region["Left"] + region["Width"]
        and region["Top"] <= y <= region["Top"] + region["Height"]
        for region in regions
    )


def _joined(words: list[Word]) -> str:
    return " ".join(word.text for word in words)


def _shown(word: Word, kind: str, number: int, text: str) -> dict[str, Any]:
    return {
        "DetectedText": text,
        "Type": kind,
        "Id": number,
        "Confidence": 100 * word.score,
        "Geometry": {
            "BoundingBox": box_of(word.corners),
            "Polygon": [{"X": x, "Y": y} for x, y in word.corners],
        },
    }
