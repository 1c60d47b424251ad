"""Amazon Textract: the text of a page.

Tables, forms, expenses and jobs are not carried out: moto would answer with no blocks at all, and
call it a success.
https://docs.aws.amazon.com/textract/latest/dg/text-location.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import account
from ..errors import AWSError, not_implemented
from ..gateway import Call, handles
from ..models.images import Service, content_of, pixels_of
from ..models.reading import Point, Word, box_of, lines_in

# https://docs.aws.amazon.com/textract/latest/dg/limits-document.html
_TEXTRACT = Service(
    name="textract",
    formats=("JPEG", "PNG", "TIFF"),
    largest_in_request=10 * 1024**2,
    largest_in_s3=10 * 1024**2,
    smallest_side=1,
    wrong_format="UnsupportedDocumentException",
    broken="BadDocumentException",
    too_large="DocumentTooLargeException",
)
_MODEL_VERSION = "1.0"
_WHOLE_PAGE: tuple[Point, ...] = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


@handles("textract", "DetectDocumentText")
def detect_document_text(call: Call) -> dict[str, Any]:
    """The page, its lines and their words, each a block that names the blocks below it.

    Raises:
        AWSError: that the document cannot be had or read; UnsupportedDocumentException for a PDF,
            too, which Textract reads and no local package does.
    """
    content = content_of(_TEXTRACT, call.params["Document"], call.operation, call.caller)
    if content.startswith(b"%PDF"):
        raise AWSError(
            "UnsupportedDocumentException",
            "Request has unsupported document format: the offline AWS does not read PDF files. "
            "Send the page as PNG or JPEG, or run this call on AWS.",
        )
    lines = lines_in(pixels_of(_TEXTRACT, content))
    line_blocks, word_blocks = [], []
    for line in lines:
        below = [_block("WORD", word) | {"TextType": "PRINTED"} for word in line.words]
        word_blocks += below
        line_blocks.append(_block("LINE", line) | _children(below))
    page = {
        "BlockType": "PAGE",
        "Geometry": _geometry(_WHOLE_PAGE),
        "Id": account.new_id(),
    } | _children(line_blocks)
    return {
        "DocumentMetadata": {"Pages": 1},
        "Blocks": [page, *line_blocks, *word_blocks],
        "DetectDocumentTextModelVersion": _MODEL_VERSION,
    }


@handles(
    "textract",
    "GetDocumentAnalysis",
    "GetDocumentTextDetection",
    "StartDocumentAnalysis",
    "StartDocumentTextDetection",
)
def refuse(call: Call) -> None:
    """Say so where moto would name a job that has read nothing."""
    raise not_implemented(call.service, call.operation)


def _block(kind: str, word: Word) -> dict[str, Any]:
    return {
        "BlockType": kind,
        "Confidence": 100 * word.score,
        "Text": word.text,
        "Geometry": _geometry(word.corners),
        "Id": account.new_id(),
    }


def _geometry(corners: Iterable[Point]) -> dict[str, Any]:
    points = list(corners)
    return {"BoundingBox": box_of(points), "Polygon": [{"X": x, "Y": y} for x, y in points]}


def _children(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    """The relationship to the blocks below; none where there are none."""
    if not blocks:
        return {}
    return {"Relationships": [{"Type": "CHILD", "Ids": [block["Id"] for block in blocks]}]}
