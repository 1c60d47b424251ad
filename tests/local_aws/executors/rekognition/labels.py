"""DetectLabels: the things and scenes in a picture.

https://docs.aws.amazon.com/rekognition/latest/APIReference/API_DetectLabels.html
A detector's score is the confidence of a thing with a box. A label for the whole picture has the
probability of its class; what is above it in the taxonomy has the sum over all classes below, so
that a picture between church, castle and palace is a building for sure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import not_implemented
from ...gateway import Call, handles
from ...models.seeing import Thing, scene_names, scenes_of, things_in
from .pictures import picture_of
from .taxonomy import LABELS, OF_COCO, Label, of_imagenet

_MODEL_VERSION = "3.0"
_DEFAULT_MIN_CONFIDENCE = 55.0
_DEFAULT_MAX_LABELS = 1_000
# What is less likely is noise of the networks, whatever MinConfidence a request names.
_LEAST_SCORE = 0.05


@dataclass
class _Found:
    """A label of a picture. `score` is between 0 and 1."""

    label: Label
    score: float = 0.0
    things: list[Thing] = field(default_factory=list)


@handles("rekognition", "DetectLabels")
def detect_labels(call: Call) -> dict[str, Any]:
    """Labels of a picture, the surest first.

    Raises:
        AWSError: that the picture cannot be had or read; NotImplemented for image properties.
    """
    if "IMAGE_PROPERTIES" in call.params.get("Features", []):
        raise not_implemented("rekognition", "DetectLabels with the feature IMAGE_PROPERTIES")
    lowest = call.params.get("MinConfidence", _DEFAULT_MIN_CONFIDENCE) / 100
    most = call.params.get("MaxLabels", _DEFAULT_MAX_LABELS)
    settings = call.params.get("Settings", {}).get("GeneralLabels", {})
    found = [one for one in _labels_of(picture_of(call)) if one.score >= lowest]
    wanted = [one for one in found if _wanted(one.label, settings)]
    wanted.sort(key=lambda one: (-one.score, one.label.name))
    return {
        "Labels": [_shown(one, lowest) for one in wanted[:most]],
        "LabelModelVersion": _MODEL_VERSION,
    }


def _labels_of(pixels: np.ndarray) -> list[_Found]:
    found: dict[str, _Found] = {}
    for thing in things_in(pixels):
        if thing.kind in OF_COCO and thing.score >= _LEAST_SCORE:
            one = _entry(found, LABELS[OF_COCO[thing.kind]])
            one.things.append(thing)
            one.score = max(one.score, thing.score)
    sums: dict[str, float] = {}
    labels: dict[str, Label] = {}
    for number, (name, score) in enumerate(zip(scene_names(), scenes_of(pixels), strict=True)):
        label = of_imagenet(number, name)
        for each in (label, *(LABELS[ancestor] for ancestor in label.ancestors)):
            labels[each.name] = each
            sums[each.name] = sums.get(each.name, 0.0) + float(score)
    for name, score in sums.items():
        if score >= _LEAST_SCORE:
            one = _entry(found, labels[name])
            one.score = max(one.score, min(score, 1.0))
    # What is a cat is an animal at least as surely.
    for one in list(found.values()):
        for ancestor in one.label.ancestors:
            above = _entry(found, LABELS[ancestor])
            above.score = max(above.score, one.score)
    return list(found.values())


def _entry(found: dict[str, _Found], label: Label) -> _Found:
    return found.setdefault(label.name, _Found(label))


def _wanted(label: Label, settings: dict[str, list[str]]) -> bool:
    """Whether the filters leave a label: named by an inclusion, if any, and by no exclusion."""
    names = settings.get("LabelInclusionFilters", [])
    categories = settings.get("LabelCategoryInclusionFilters", [])
    if label.name in settings.get("LabelExclusionFilters", []):
        return False
    if label.category in settings.get("LabelCategoryExclusionFilters", []):
        return False
    return not (names or categories) or label.name in names or label.category in categories


def _shown(found: _Found, lowest: float) -> dict[str, Any]:
    label = found.label
    return {
        "Name": label.name,
        "Confidence": 100 * found.score,
        "Instances": [_instance(thing) for thing in found.things if thing.score >= lowest],
        "Parents": [{"Name": name} for name in label.ancestors],
        "Aliases": [{"Name": name} for name in label.aliases],
        "Categories": [{"Name": label.category}],
    }


def _instance(thing: Thing) -> dict[str, Any]:
    box = {
        "Width": thing.width,
        "Height": thing.height,
        "Left": thing.left,
        "Top": thing.top,
    }
    return {"BoundingBox": box, "Confidence": 100 * thing.score}
