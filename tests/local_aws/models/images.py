"""A picture as a service gets it: in the request or in S3, a JPEG or a PNG, the right way up."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import storage
from ..errors import AWSError, not_implemented

_LARGEST_SIDE = 10_000


@dataclass(frozen=True)
class Service:
    """What a service accepts, and how it says no. Sizes in bytes, sides in pixels."""

    name: str
    formats: tuple[str, ...]
    largest_in_request: int
    largest_in_s3: int
    smallest_side: int
    wrong_format: str
    broken: str
    too_large: str


def content_of(service: Service, document: dict[str, Any], operation: str, caller: str) -> bytes:
    """The bytes of a picture that a request holds, or names in S3.

    Args:
        service: whose errors are to be raised.
        document: with `Bytes` or `S3Object`.
        operation: for the message where an object's version is named.
        caller: who reads the object.

    Raises:
        AWSError: InvalidParameterException, InvalidS3ObjectException, or that it is too large.
    """
    content, place = document.get("Bytes"), document.get("S3Object")
    if (content is None) == (place is None):
        raise AWSError("InvalidParameterException", "Name either Bytes or S3Object.")
    if content is not None:
        _check_size(service, len(content), service.largest_in_request)
        return content
    if not place.get("Bucket") or not place.get("Name"):
        raise AWSError("InvalidParameterException", "S3Object needs a Bucket and a Name.")
    if "Version" in place:
        raise not_implemented(service.name, f"{operation} with S3Object.Version")
    location = storage.S3Location(place["Bucket"], place["Name"])
    try:
        _check_size(service, storage.head(location, caller).size, service.largest_in_s3)
        return storage.read(location, caller)
    except AWSError as error:
        if error.code not in ("NoSuchBucket", "NoSuchKey"):
            raise
        raise AWSError(
            "InvalidS3ObjectException",
            "Unable to get object metadata from S3. Check object key, region and/or access "
            f"permissions. There is no {location}.",
        ) from None


def pixels_of(service: Service, content: bytes) -> np.ndarray:
    """The picture as (height, width, 3) of uint8 in RGB, turned as its Exif data says.

    Raises:
        AWSError: the service's error for another format, a broken file, or a wrong size.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content)) as picture:
            if picture.format not in service.formats:
                raise _refuse_format(service, f"a {picture.format} file")
            if max(picture.size) > _LARGEST_SIDE:
                width, height = picture.size
                raise AWSError(
                    service.too_large,
                    f"Input image dimensions {width} x {height} exceed maximum dimension size of "
                    f"{_LARGEST_SIDE} pixels.",
                )
            if min(picture.size) < service.smallest_side:
                width, height = picture.size
                raise AWSError(
                    "InvalidParameterException",
                    f"Request has invalid parameters: the image has {width} x {height} pixels, "
                    f"and each side needs {service.smallest_side} at least.",
                )
            turned = ImageOps.exif_transpose(picture)
            if "A" in turned.getbands() or "transparency" in turned.info:
                turned = turned.convert("RGBA")
                white = Image.new("RGBA", turned.size, "white")
                turned = Image.alpha_composite(white, turned)
            return np.asarray(turned.convert("RGB"))
    except (UnidentifiedImageError, Image.DecompressionBombError):
        raise _refuse_format(service, "no image") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise AWSError(service.broken, f"The image cannot be read: {error}.") from None


def _check_size(service: Service, size: int, limit: int) -> None:
    if size > limit:
        raise AWSError(
            service.too_large, f"The image has {size} bytes; {limit} bytes are the most here."
        )


def _refuse_format(service: Service, what: str) -> AWSError:
    formats = " or ".join(service.formats)
    message = f"Request has invalid image format: this is {what}, and {formats} is accepted."
    return AWSError(service.wrong_format, message)
