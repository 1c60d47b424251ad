"""Amazon Rekognition: what a picture shows, and the text in it.

What is not carried out here is refused, also where moto has an answer: it has the same one for
every picture.
"""

from __future__ import annotations

from ...errors import not_implemented
from ...gateway import Call, handles
from . import labels, text

__all__ = ["labels", "refuse", "text"]


@handles(
    "rekognition",
    "CompareFaces",
    "DetectCustomLabels",
    "GetFaceSearch",
    "GetTextDetection",
    "StartFaceSearch",
    "StartTextDetection",
)
def refuse(call: Call) -> None:
    """Say so where moto would answer for a picture that it has not looked at."""
    raise not_implemented(call.service, call.operation)
