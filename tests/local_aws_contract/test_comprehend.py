"""Amazon Comprehend: the shape of its answers, its limits and its errors.

https://docs.aws.amazon.com/comprehend/latest/dg/guidelines-and-limits.html
https://docs.aws.amazon.com/comprehend/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_aws.environment import LocalAWS

SAMPLE = "It is raining today in Seattle. Jeff Bezos founded Amazon there in July 1994."
SINGLE = ["detect_sentiment", "detect_key_phrases", "detect_entities", "detect_syntax"]
BATCH = [f"batch_{name}" for name in SINGLE]


@pytest.fixture
def comprehend(aws: LocalAWS) -> Any:
    """A client."""
    return aws.client("comprehend")


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Code"]


def assert_located(text: str, items: list[dict[str, Any]]) -> None:
    """Each item is where it says to be, in characters, with a probability."""
    assert items
    for item in items:
        assert text[item["BeginOffset"] : item["EndOffset"]] == item["Text"]
        assert 0 < item.get("Score", 1.0) <= 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I love this phone, it is wonderful.", "POSITIVE"),
        ("The worst purchase ever: it broke after two days.", "NEGATIVE"),
        ("The train leaves at nine.", "NEUTRAL"),
        ("The food was wonderful but the service was terrible.", "MIXED"),
    ],
)
def test_sentiment_has_four_scores_that_sum_to_one(
    comprehend: Any, text: str, expected: str
) -> None:
    answer = comprehend.detect_sentiment(Text=text, LanguageCode="en")
    scores = answer["SentimentScore"]
    assert answer["Sentiment"] == expected
    assert set(scores) == {"Positive", "Negative", "Neutral", "Mixed"}
    assert sum(scores.values()) == pytest.approx(1, abs=1e-5)
    assert max(scores, key=scores.get).upper() == expected


def test_entities_have_comprehends_types_and_offsets_in_characters(comprehend: Any) -> None:
    text = "Zoë’s naïve café – " + SAMPLE  # more bytes than characters
    entities = comprehend.detect_entities(Text=text, LanguageCode="en")["Entities"]
    assert_located(text, entities)
    found = {entity["Text"]: entity["Type"] for entity in entities}
    assert found["Seattle"] == "LOCATION"
    assert found["Jeff Bezos"] == "PERSON"
    assert found["Amazon"] == "ORGANIZATION"
    assert found["July 1994"] == found["today"] == "DATE"


def test_an_amount_of_money_keeps_its_sign(comprehend: Any) -> None:
    text = "The minimum payment is $24.53."
    (amount,) = comprehend.detect_entities(Text=text, LanguageCode="en")["Entities"]
    assert (amount["Text"], amount["Type"]) == ("$24.53", "QUANTITY")


def test_key_phrases_are_noun_phrases_without_lone_pronouns(comprehend: Any) -> None:
    phrases = comprehend.detect_key_phrases(Text=SAMPLE, LanguageCode="en")["KeyPhrases"]
    assert_located(SAMPLE, phrases)
    texts = [phrase["Text"] for phrase in phrases]
    assert texts == ["today", "Seattle", "Jeff Bezos", "Amazon", "July 1994"]


def test_syntax_numbers_its_tokens(comprehend: Any) -> None:
    text = "It is raining today in Seattle."
    tokens = comprehend.detect_syntax(Text=text, LanguageCode="en")["SyntaxTokens"]
    assert_located(text, tokens)
    assert [token["TokenId"] for token in tokens] == list(range(1, 8))
    tags = [token["PartOfSpeech"]["Tag"] for token in tokens]
    assert tags == ["PRON", "AUX", "VERB", "NOUN", "ADP", "PROPN", "PUNCT"]
    assert all(0.5 < token["PartOfSpeech"]["Score"] <= 1 for token in tokens)


def test_languages_come_in_the_order_of_their_scores(comprehend: Any) -> None:
    text = "Il pleut aujourd'hui à Seattle."
    languages = comprehend.detect_dominant_language(Text=text)["Languages"]
    assert languages[0]["LanguageCode"] == "fr"
    scores = [language["Score"] for language in languages]
    assert scores == sorted(scores, reverse=True)
    assert 0 < sum(scores) <= 1.00001


def test_personal_data_is_found_with_its_place(comprehend: Any) -> None:
    text = (
        "I am John Miller, card 1111-0000-1111-0008, PIN 4242, account number 1234567890. Write "
        "to john@example.com or call 206-555-0100. I live at 123 Any Street, Anytown, WA 98109."
    )
    entities = comprehend.detect_pii_entities(Text=text, LanguageCode="en")["Entities"]
    found = {text[one["BeginOffset"] : one["EndOffset"]]: one["Type"] for one in entities}
    assert found == {
        "John Miller": "NAME",
        "1111-0000-1111-0008": "CREDIT_DEBIT_NUMBER",
        "4242": "PIN",
        "1234567890": "BANK_ACCOUNT_NUMBER",
        "john@example.com": "EMAIL",
        "206-555-0100": "PHONE",
        "123 Any Street, Anytown, WA 98109": "ADDRESS",
    }
    labels = comprehend.contains_pii_entities(Text=text, LanguageCode="en")["Labels"]
    assert {label["Name"] for label in labels} == set(found.values())


def test_a_number_that_fails_its_check_digit_is_no_card(comprehend: Any) -> None:
    text = "The serial number is 1111-0000-1111-0009."
    entities = comprehend.detect_pii_entities(Text=text, LanguageCode="en")["Entities"]
    assert "CREDIT_DEBIT_NUMBER" not in {entity["Type"] for entity in entities}


@pytest.mark.parametrize("operation", BATCH)
def test_a_batch_answers_as_one_text_at_a_time(comprehend: Any, operation: str) -> None:
    texts = [SAMPLE, "Not good, not bad.", "The cat sleeps."]
    answer = getattr(comprehend, operation)(TextList=texts, LanguageCode="en")
    assert answer["ErrorList"] == []
    assert [result["Index"] for result in answer["ResultList"]] == [0, 1, 2]
    alone = getattr(comprehend, operation.removeprefix("batch_"))
    for text, result in zip(texts, answer["ResultList"], strict=True):
        single = alone(Text=text, LanguageCode="en")
        del single["ResponseMetadata"], result["Index"]
        assert result == single


def test_a_batch_names_the_text_that_is_too_long(comprehend: Any) -> None:
    texts = ["short", "x" * 5_001, "é" * 2_500]
    answer = comprehend.batch_detect_dominant_language(TextList=texts)
    assert [result["Index"] for result in answer["ResultList"]] == [0, 2]
    (error,) = answer["ErrorList"]
    assert error["Index"] == 1
    assert "5001 bytes" in error["ErrorMessage"]


@pytest.mark.parametrize("operation", BATCH)
def test_a_batch_has_25_documents_at_most(comprehend: Any, operation: str) -> None:
    call = getattr(comprehend, operation)
    with pytest.raises(ClientError) as error:
        call(TextList=["a text"] * 26, LanguageCode="en")
    assert code_of(error) == "BatchSizeLimitExceededException"


@pytest.mark.parametrize(
    ("operation", "limit"),
    [("detect_sentiment", 5_000), ("detect_syntax", 5_000), ("detect_entities", 100_000)],
)
def test_a_text_has_a_size_limit_in_bytes(comprehend: Any, operation: str, limit: int) -> None:
    with pytest.raises(ClientError) as error:
        getattr(comprehend, operation)(Text="é" * (limit // 2 + 1), LanguageCode="en")
    assert code_of(error) == "TextSizeLimitExceededException"
    assert f"{limit + 2} bytes" in str(error.value)


@pytest.mark.parametrize("operation", SINGLE)
def test_an_empty_text_is_refused_by_the_service_too(aws: LocalAWS, operation: str) -> None:
    from botocore.config import Config

    client = aws.client("comprehend", config=Config(parameter_validation=False))
    with pytest.raises(ClientError) as error:
        getattr(client, operation)(Text="", LanguageCode="en")
    assert code_of(error) == "ValidationException"


@pytest.mark.parametrize("operation", SINGLE)
def test_white_space_has_an_answer(comprehend: Any, operation: str) -> None:
    answer = getattr(comprehend, operation)(Text=" \n ", LanguageCode="en")
    for items in ("KeyPhrases", "Entities", "SyntaxTokens"):
        assert not answer.get(items)


def test_a_language_that_comprehend_does_not_know_is_refused(comprehend: Any) -> None:
    with pytest.raises(ClientError) as error:
        comprehend.detect_sentiment(Text="Dobrý den", LanguageCode="cs")
    assert code_of(error) == "ValidationException"


@pytest.mark.parametrize("operation", SINGLE)
def test_another_language_is_said_to_be_missing_offline(comprehend: Any, operation: str) -> None:
    with pytest.raises(ClientError, match="for English alone, not for LanguageCode 'es'") as error:
        getattr(comprehend, operation)(Text="Hola, ¿cómo estás?", LanguageCode="es")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_what_would_pretend_to_succeed_is_refused(comprehend: Any) -> None:
    role = "arn:aws:iam::123456789012:role/Comprehend"
    with pytest.raises(ClientError, match="comprehend:StartSentimentDetectionJob") as error:
        comprehend.start_sentiment_detection_job(
            InputDataConfig={"S3Uri": "s3://texts/in"},
            OutputDataConfig={"S3Uri": "s3://texts/out"},
            DataAccessRoleArn=role,
            LanguageCode="en",
        )
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert comprehend.list_sentiment_detection_jobs()["SentimentDetectionJobPropertiesList"] == []
    with pytest.raises(ClientError, match="comprehend:DetectToxicContent"):
        comprehend.detect_toxic_content(TextSegments=[{"Text": "Go away."}], LanguageCode="en")


def test_there_is_no_custom_model_to_tag(comprehend: Any) -> None:
    arn = "arn:aws:comprehend:us-east-1:123456789012:document-classifier/reviews"
    with pytest.raises(ClientError) as error:
        comprehend.tag_resource(ResourceArn=arn, Tags=[{"Key": "team", "Value": "reviews"}])
    assert code_of(error) == "ResourceNotFoundException"
