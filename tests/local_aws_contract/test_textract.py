"""Amazon Textract: blocks of a page, and what is no page.

https://docs.aws.amazon.com/textract/latest/dg/how-it-works-lines-words.html
https://docs.aws.amazon.com/textract/latest/dg/limits-document.html
"""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from PIL import Image

from tests.local_aws.environment import LocalAWS

from .pictures import encoded, page

BUCKET = "documents-123456789012"
LINES = ["Invoice 2026-117", "Two reams of paper", "Total due: 24.53 EUR"]


@pytest.fixture
def textract(aws: LocalAWS) -> Any:
    """A client, and a bucket of documents."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="invoice.png", Body=encoded(page(LINES)))
    return aws.client("textract")


def in_s3(key: str) -> dict[str, Any]:
    return {"S3Object": {"Bucket": BUCKET, "Name": key}}


def code_of(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**parameters)
    return error.value.response["Error"]["Code"]


def test_a_page_has_lines_that_have_words(textract: Any) -> None:
    answer = textract.detect_document_text(Document=in_s3("invoice.png"))
    assert answer["DocumentMetadata"] == {"Pages": 1}
    blocks = {block["Id"]: block for block in answer["Blocks"]}
    assert len(blocks) == len(answer["Blocks"])
    page_block = answer["Blocks"][0]
    assert page_block["BlockType"] == "PAGE"
    lines = below(page_block, blocks)
    assert [line["Text"] for line in lines] == LINES
    assert {line["BlockType"] for line in lines} == {"LINE"}
    for line in lines:
        words = below(line, blocks)
        assert {(word["BlockType"], word["TextType"]) for word in words} == {("WORD", "PRINTED")}
        assert " ".join(word["Text"] for word in words) == line["Text"]
        assert all(80 < block["Confidence"] <= 100 for block in (line, *words))


def below(block: dict[str, Any], blocks: dict[str, Any]) -> list[dict[str, Any]]:
    (children,) = block["Relationships"]
    assert children["Type"] == "CHILD"
    return [blocks[number] for number in children["Ids"]]


def test_bytes_are_read_as_an_object_is(textract: Any) -> None:
    def texts(document: dict[str, Any]) -> list[str]:
        blocks = textract.detect_document_text(Document=document)["Blocks"]
        return [block["Text"] for block in blocks[1:]]

    by_bytes = texts({"Bytes": encoded(page(LINES), "JPEG")})
    assert by_bytes == texts(in_s3("invoice.png"))
    assert by_bytes == texts({"Bytes": encoded(page(LINES), "TIFF")})


def test_an_empty_page_is_a_page(textract: Any) -> None:
    blank = encoded(Image.new("RGB", (300, 300), "white"))
    (block,) = textract.detect_document_text(Document={"Bytes": blank})["Blocks"]
    assert block["BlockType"] == "PAGE" and "Relationships" not in block


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"a text", "UnsupportedDocumentException"),
        (b"%PDF-1.7\n%a page", "UnsupportedDocumentException"),
        (encoded(Image.new("RGB", (100, 100)), "GIF"), "UnsupportedDocumentException"),
        (encoded(page(LINES))[:3_000], "BadDocumentException"),
    ],
    ids=["text", "PDF", "GIF", "cut off"],
)
def test_what_is_no_document_is_refused(textract: Any, content: bytes, code: str) -> None:
    assert code_of(textract.detect_document_text, Document={"Bytes": content}) == code


def test_a_document_that_is_not_there_or_too_large_is_refused(aws: LocalAWS, textract: Any) -> None:
    missing = code_of(textract.detect_document_text, Document=in_s3("none.png"))
    assert missing == "InvalidS3ObjectException"
    aws.client("s3").put_object(Bucket=BUCKET, Key="large.png", Body=bytes(10 * 1024**2 + 1))
    large = code_of(textract.detect_document_text, Document=in_s3("large.png"))
    assert large == "DocumentTooLargeException"
    assert code_of(textract.detect_document_text, Document={}) == "InvalidParameterException"


def test_jobs_and_forms_say_that_they_are_not_carried_out(textract: Any) -> None:
    start = textract.start_document_text_detection
    assert code_of(start, DocumentLocation=in_s3("invoice.png")) == "NotImplemented"
    analyze = textract.analyze_document
    code = code_of(analyze, Document=in_s3("invoice.png"), FeatureTypes=["FORMS"])
    assert code == "NotImplemented"
