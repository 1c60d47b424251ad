"""The picture of a request to Rekognition.

https://docs.aws.amazon.com/rekognition/latest/dg/limits.html
"""

from __future__ import annotations

import numpy as np

from ...gateway import Call
from ...models.images import Service, content_of, pixels_of

_REKOGNITION = Service(
    name="rekognition",
    formats=("JPEG", "PNG"),
    largest_in_request=5 * 1024**2,
    largest_in_s3=15 * 1024**2,
    smallest_side=80,
    wrong_format="InvalidImageFormatException",
    broken="InvalidImageFormatException",
    too_large="ImageTooLargeException",
)


def picture_of(call: Call) -> np.ndarray:
    """The pixels that a request's Image stands for: (height, width, 3) of uint8 in RGB."""
    content = content_of(_REKOGNITION, call.params["Image"], call.operation, call.caller)
    return pixels_of(_REKOGNITION, content)
