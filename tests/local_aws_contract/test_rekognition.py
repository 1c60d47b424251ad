"""Amazon Rekognition: the shape of its answers, its limits and its errors.

https://docs.aws.amazon.com/rekognition/latest/dg/labels-detect-labels-image.html
https://docs.aws.amazon.com/rekognition/latest/dg/limits.html
"""

from __future__ import annotations

import io
from typing import Any

import pytest
from botocore.exceptions import ClientError
from PIL import Image

from tests.local_aws.environment import LocalAWS

from .pictures import encoded, page, photograph

BUCKET = "pictures-123456789012"


@pytest.fixture
def rekognition(aws: LocalAWS) -> Any:
    """A client, and a bucket of pictures."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="cat.png", Body=photograph("chelsea.png"))
    s3.put_object(Bucket=BUCKET, Key="no-picture.jpg", Body=b"a text by the name of a picture")
    return aws.client("rekognition")


def in_s3(key: str) -> dict[str, Any]:
    return {"S3Object": {"Bucket": BUCKET, "Name": key}}


def labels_of(rekognition: Any, image: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    answer = rekognition.detect_labels(Image=image, **parameters)
    return {label["Name"]: label for label in answer["Labels"]}


def refusal(call: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        call(**parameters)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


def test_a_label_has_a_box_parents_and_a_category(rekognition: Any) -> None:
    answer = rekognition.detect_labels(Image=in_s3("cat.png"))
    confidences = [label["Confidence"] for label in answer["Labels"]]
    assert confidences == sorted(confidences, reverse=True)
    assert all(55 <= confidence <= 100 for confidence in confidences)
    cat = next(label for label in answer["Labels"] if label["Name"] == "Cat")
    (instance,) = cat["Instances"]
    box = instance["BoundingBox"]
    assert box["Width"] > 0.5 and box["Height"] > 0.5
    assert box["Left"] >= 0 and box["Left"] + box["Width"] <= 1.001
    assert [parent["Name"] for parent in cat["Parents"]] == ["Animal", "Mammal", "Pet"]
    assert cat["Categories"] == [{"Name": "Animals and Pets"}]
    assert {"Name": "Kitten"} in cat["Aliases"]


def test_a_parent_is_a_label_and_as_sure_as_its_child(rekognition: Any) -> None:
    labels = labels_of(rekognition, in_s3("cat.png"))
    for label in labels.values():
        for parent in label["Parents"]:
            assert labels[parent["Name"]]["Confidence"] >= label["Confidence"]


def test_the_bytes_of_a_picture_answer_as_its_object(rekognition: Any) -> None:
    by_bytes = rekognition.detect_labels(Image={"Bytes": photograph("chelsea.png")})["Labels"]
    assert by_bytes == rekognition.detect_labels(Image=in_s3("cat.png"))["Labels"]


def test_confidence_and_number_of_labels_can_be_limited(rekognition: Any) -> None:
    everything = labels_of(rekognition, in_s3("cat.png"), MinConfidence=5)
    sure = labels_of(rekognition, in_s3("cat.png"), MinConfidence=90)
    assert set(sure) < set(everything)
    assert all(label["Confidence"] >= 90 for label in sure.values())
    three = labels_of(rekognition, in_s3("cat.png"), MinConfidence=5, MaxLabels=3)
    assert list(three) == list(everything)[:3]


def test_filters_choose_labels_and_categories(rekognition: Any) -> None:
    image = {"Bytes": photograph("coffee.png")}

    def filtered(**filters: list[str]) -> set[str]:
        return set(labels_of(rekognition, image, Settings={"GeneralLabels": filters}))

    everything = filtered()
    assert {"Cup", "Furniture", "Dining Table"} <= everything
    assert filtered(LabelInclusionFilters=["Cup"]) == {"Cup"}
    assert filtered(LabelExclusionFilters=["Cup"]) == everything - {"Cup"}
    furniture = filtered(LabelCategoryInclusionFilters=["Furniture and Furnishings"])
    assert furniture == {"Furniture", "Table", "Dining Table"}
    assert filtered(LabelCategoryExclusionFilters=["Furniture and Furnishings"]) == (
        everything - furniture
    )


def test_a_picture_is_turned_as_its_exif_data_says(rekognition: Any) -> None:
    picture = Image.open(io.BytesIO(photograph("chelsea.png"))).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    buffer = io.BytesIO()
    picture.rotate(90, expand=True).save(buffer, "JPEG", exif=exif, quality=95)
    labels = labels_of(rekognition, {"Bytes": buffer.getvalue()})
    box = labels["Cat"]["Instances"][0]["BoundingBox"]
    upright = labels_of(rekognition, in_s3("cat.png"))["Cat"]["Instances"][0]["BoundingBox"]
    assert box == pytest.approx(upright, abs=0.05)


@pytest.mark.parametrize(
    "content",
    [b"a text", encoded(Image.new("RGB", (100, 100)), "GIF"), photograph("chelsea.png")[:5_000]],
    ids=["text", "GIF", "cut off"],
)
@pytest.mark.parametrize("operation", ["detect_labels", "detect_text"])
def test_what_is_no_jpeg_or_png_is_refused(
    rekognition: Any, operation: str, content: bytes
) -> None:
    code, _ = refusal(getattr(rekognition, operation), Image={"Bytes": content})
    assert code == "InvalidImageFormatException"


def test_an_object_that_is_no_picture_is_refused(rekognition: Any) -> None:
    code, _ = refusal(rekognition.detect_labels, Image=in_s3("no-picture.jpg"))
    assert code == "InvalidImageFormatException"


@pytest.mark.parametrize(
    "place", [{"Bucket": BUCKET, "Name": "none.png"}, {"Bucket": "no-such-bucket", "Name": "a.png"}]
)
def test_an_object_that_is_not_there_is_refused(rekognition: Any, place: dict[str, str]) -> None:
    code, message = refusal(rekognition.detect_labels, Image={"S3Object": place})
    assert code == "InvalidS3ObjectException"
    assert f"s3://{place['Bucket']}/{place['Name']}" in message


def test_a_picture_can_be_too_large_or_too_small(aws: LocalAWS, rekognition: Any) -> None:
    large = photograph("chelsea.png") + bytes(5 * 1024**2)
    code, _ = refusal(rekognition.detect_labels, Image={"Bytes": large})
    assert code == "InvalidParameterException"  # the service model bounds Bytes
    aws.client("s3").put_object(Bucket=BUCKET, Key="large.png", Body=bytes(15 * 1024**2 + 1))
    code, message = refusal(rekognition.detect_labels, Image=in_s3("large.png"))
    assert code == "ImageTooLargeException" and "15728641" in message
    small = encoded(Image.new("RGB", (200, 79)))
    code, message = refusal(rekognition.detect_labels, Image={"Bytes": small})
    assert code == "InvalidParameterException" and "200 x 79" in message


def test_a_request_names_one_picture(rekognition: Any) -> None:
    both = in_s3("cat.png") | {"Bytes": photograph("chelsea.png")}
    assert refusal(rekognition.detect_labels, Image=both)[0] == "InvalidParameterException"
    assert refusal(rekognition.detect_labels, Image={})[0] == "InvalidParameterException"


def test_what_is_not_carried_out_says_so(rekognition: Any) -> None:
    image = in_s3("cat.png")
    code, message = refusal(
        rekognition.detect_labels, Image=image, Features=["GENERAL_LABELS", "IMAGE_PROPERTIES"]
    )
    assert code == "NotImplemented" and "IMAGE_PROPERTIES" in message
    code, message = refusal(rekognition.compare_faces, SourceImage=image, TargetImage=image)
    assert code == "NotImplemented" and "rekognition:CompareFaces" in message
    code, _ = refusal(rekognition.get_text_detection, JobId="a" * 64)
    assert code == "NotImplemented"


SIGN = ["Platform 9", "Trains to Seattle leave at 10:45"]


@pytest.fixture(scope="module")
def sign() -> bytes:
    """A picture of two lines."""
    return encoded(page(SIGN, size=40))


def test_text_has_lines_and_the_words_in_them(rekognition: Any, sign: bytes) -> None:
    answer = rekognition.detect_text(Image={"Bytes": sign})["TextDetections"]
    lines = [one for one in answer if one["Type"] == "LINE"]
    words = [one for one in answer if one["Type"] == "WORD"]
    assert [line["DetectedText"] for line in lines] == SIGN
    assert [one["Id"] for one in answer] == list(range(len(answer)))
    assert not any("ParentId" in line for line in lines)
    for line in lines:
        inside = [word for word in words if word["ParentId"] == line["Id"]]
        assert " ".join(word["DetectedText"] for word in inside) == line["DetectedText"]
        lefts = [word["Geometry"]["BoundingBox"]["Left"] for word in inside]
        assert lefts == sorted(lefts)
    assert all(90 < one["Confidence"] <= 100 for one in answer)


def test_text_is_where_its_geometry_says(rekognition: Any, sign: bytes) -> None:
    first, second = rekognition.detect_text(Image={"Bytes": sign})["TextDetections"][:2]
    box = first["Geometry"]["BoundingBox"]
    assert box["Left"] == pytest.approx(80 / 1240, abs=0.01)
    assert box["Top"] + box["Height"] <= second["Geometry"]["BoundingBox"]["Top"] + 0.05
    corners = [(point["X"], point["Y"]) for point in first["Geometry"]["Polygon"]]
    assert len(corners) == 4
    assert min(x for x, _ in corners) == pytest.approx(box["Left"])
    assert max(y for _, y in corners) == pytest.approx(box["Top"] + box["Height"])


def test_text_can_be_filtered_by_place_and_size(rekognition: Any, sign: bytes) -> None:
    def lines(**filters: Any) -> list[str]:
        answer = rekognition.detect_text(Image={"Bytes": sign}, Filters=filters)
        return [one["DetectedText"] for one in answer["TextDetections"] if one["Type"] == "LINE"]

    upper = {"BoundingBox": {"Left": 0.0, "Top": 0.0, "Width": 1.0, "Height": 0.5}}
    assert lines(RegionsOfInterest=[upper]) == SIGN[:1]
    assert lines(WordFilter={"MinBoundingBoxWidth": 0.11}) == ["Platform", "Seattle"]
    assert lines(WordFilter={"MinBoundingBoxHeight": 0.9}) == []


def test_a_region_of_interest_has_one_form(rekognition: Any, sign: bytes) -> None:
    filters = {"RegionsOfInterest": [{}]}
    code, _ = refusal(rekognition.detect_text, Image={"Bytes": sign}, Filters=filters)
    assert code == "InvalidParameterException"


def test_a_picture_without_text_has_none(rekognition: Any) -> None:
    plain = encoded(Image.new("RGB", (200, 200), "white"), "JPEG")
    assert rekognition.detect_text(Image={"Bytes": plain})["TextDetections"] == []
