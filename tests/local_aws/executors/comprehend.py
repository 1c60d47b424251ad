"""Amazon Comprehend: sentiment, key phrases, entities, syntax, languages and personal data.

Local models answer, for English; the language of a text is told for any. Custom models and jobs on
S3 are not carried out: moto would say that they succeed, and nothing would have happened.
https://docs.aws.amazon.com/comprehend/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import AWSError, not_implemented
from ..gateway import Call, handles
from ..models import english, languages, pii
from ..models.sentiment import sentiment_of

# https://docs.aws.amazon.com/comprehend/latest/dg/guidelines-and-limits.html
_SHORT, _LONG = 5_000, 100_000
_LARGEST_BATCH = 25
_PII_LANGUAGES = ("en", "es")

_ENTITY_TYPES = {
    "PERSON": "PERSON",
    "ORG": "ORGANIZATION",
    "GPE": "LOCATION",
    "LOC": "LOCATION",
    "FAC": "LOCATION",
    "PRODUCT": "COMMERCIAL_ITEM",
    "EVENT": "EVENT",
    "WORK_OF_ART": "TITLE",
    "DATE": "DATE",
    "TIME": "DATE",
    "CARDINAL": "QUANTITY",
    "MONEY": "QUANTITY",
    "ORDINAL": "QUANTITY",
    "PERCENT": "QUANTITY",
    "QUANTITY": "QUANTITY",
}
_PARTS_OF_SPEECH = {"X": "O"}

Answer = Callable[[str], dict[str, Any]]


def detect_sentiment(text: str) -> dict[str, Any]:
    """The prevailing sentiment, and the score of each."""
    found = sentiment_of(text)
    scores = {
        "Positive": found.positive,
        "Negative": found.negative,
        "Neutral": found.neutral,
        "Mixed": found.mixed,
    }
    return {"Sentiment": found.prevailing, "SentimentScore": scores}


def detect_key_phrases(text: str) -> dict[str, Any]:
    """Noun phrases, in their order."""
    return {"KeyPhrases": [_shown(text, span) for span in english.noun_phrases(text)]}


def detect_entities(text: str) -> dict[str, Any]:
    """Names, dates and amounts, in their order, with Comprehend's types."""
    found = english.entities(text)
    types = [_ENTITY_TYPES.get(span.kind, "OTHER") for span in found]
    return {
        "Entities": [
            _shown(text, span) | {"Type": kind} for span, kind in zip(found, types, strict=True)
        ]
    }


def detect_syntax(text: str) -> dict[str, Any]:
    """Words and signs, numbered from 1, with their parts of speech."""
    tokens = []
    for number, span in enumerate(english.parts_of_speech(text), start=1):
        token = _shown(text, span)
        tag = _PARTS_OF_SPEECH.get(span.kind, span.kind)
        token["PartOfSpeech"] = {"Tag": tag, "Score": token.pop("Score")}
        tokens.append({"TokenId": number} | token)
    return {"SyntaxTokens": tokens}


def detect_dominant_language(text: str) -> dict[str, Any]:
    """Languages that the text may be in, the likeliest first."""
    found = languages.languages_of(text)
    return {"Languages": [{"LanguageCode": code, "Score": score} for code, score in found]}


_DETECTORS: dict[str, tuple[Answer, int]] = {
    "Sentiment": (detect_sentiment, _SHORT),
    "KeyPhrases": (detect_key_phrases, _LONG),
    "Entities": (detect_entities, _LONG),
    "Syntax": (detect_syntax, _SHORT),
    "DominantLanguage": (detect_dominant_language, _LONG),
}


@handles("comprehend", *(f"Detect{name}" for name in _DETECTORS))
def detect(call: Call) -> dict[str, Any]:
    """Answer for one text.

    Raises:
        AWSError: TextSizeLimitExceededException; NotImplemented for a language but English, for a
            custom model, and for a file in place of a text.
    """
    answer, limit = _DETECTORS[call.operation.removeprefix("Detect")]
    for name in ("EndpointArn", "Bytes", "DocumentReaderConfig"):
        if name in call.params:
            raise not_implemented("comprehend", f"{call.operation} with {name}")
    if call.params.get("Text") is None:
        raise AWSError("InvalidRequestException", "Name a Text.")
    _check_language(call)
    _check_size(call.params["Text"], limit)
    return answer(call.params["Text"])


@handles("comprehend", *(f"BatchDetect{name}" for name in _DETECTORS))
def batch_detect(call: Call) -> dict[str, Any]:
    """Answer for up to 25 texts; one that is too long has its place in ErrorList.

    Raises:
        AWSError: BatchSizeLimitExceededException; NotImplemented for a language but English.
    """
    answer, _ = _DETECTORS[call.operation.removeprefix("BatchDetect")]
    texts = call.params["TextList"]
    if len(texts) > _LARGEST_BATCH:
        raise AWSError(
            "BatchSizeLimitExceededException",
            f"Input number of documents exceeds limit. Max number of documents allowed is "
            f"{_LARGEST_BATCH} while in this request the number of documents is {len(texts)}.",
        )
    _check_language(call)
    results, errors = [], []
    for index, text in enumerate(texts):
        try:
            _check_size(text, _SHORT)
        except AWSError as error:
            code = "TEXT_SIZE_LIMIT_EXCEEDED"
            errors.append({"Index": index, "ErrorCode": code, "ErrorMessage": error.message})
            continue
        results.append({"Index": index} | answer(text))
    return {"ResultList": results, "ErrorList": errors}


@handles("comprehend", "DetectPiiEntities")
def detect_pii_entities(call: Call) -> dict[str, Any]:
    """Personal data in a text, in its order."""
    spans = _personal_data(call)
    return {"Entities": [_located(span) | {"Type": span.kind} for span in spans]}


@handles("comprehend", "ContainsPiiEntities")
def contains_pii_entities(call: Call) -> dict[str, Any]:
    """The kinds of personal data in a text, each with its highest score."""
    scores: dict[str, float] = {}
    for span in _personal_data(call):
        scores[span.kind] = max(span.score, scores.get(span.kind, 0.0))
    return {"Labels": [{"Name": kind, "Score": score} for kind, score in scores.items()]}


@handles(
    "comprehend",
    "BatchDetectTargetedSentiment",
    "ClassifyDocument",
    "CreateDataset",
    "CreateDocumentClassifier",
    "CreateEndpoint",
    "CreateEntityRecognizer",
    "CreateFlywheel",
    "DetectTargetedSentiment",
    "DetectToxicContent",
    "ImportModel",
    "StartDocumentClassificationJob",
    "StartDominantLanguageDetectionJob",
    "StartEntitiesDetectionJob",
    "StartEventsDetectionJob",
    "StartFlywheelIteration",
    "StartKeyPhrasesDetectionJob",
    "StartPiiEntitiesDetectionJob",
    "StartSentimentDetectionJob",
    "StartTargetedSentimentDetectionJob",
    "StartTopicsDetectionJob",
)
def refuse(call: Call) -> None:
    """Say so where moto would train nothing and call it trained, or start what never ends."""
    raise not_implemented(call.service, call.operation)


@handles("comprehend", "PutResourcePolicy", "TagResource", "UntagResource")
def find_none(call: Call) -> None:
    """Custom models are not made here, so there is none to give a policy or a tag to."""
    arn = call.params["ResourceArn"]
    message = f"RESOURCE_NOT_FOUND: Could not find specified resource: {arn}."
    raise AWSError("ResourceNotFoundException", message)


def _personal_data(call: Call) -> list[english.Span]:
    language, text = call.params["LanguageCode"], call.params["Text"]
    if language not in _PII_LANGUAGES:
        raise AWSError(
            "ValidationException",
            f"Value '{language}' at 'languageCode' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(_PII_LANGUAGES)}]",
        )
    _check_language(call)
    _check_size(text, _LONG)
    return pii.personal_data(text)


def _check_language(call: Call) -> None:
    language = call.params.get("LanguageCode", "en")
    if language != "en":
        raise AWSError(
            "NotImplemented",
            f"The offline AWS answers comprehend:{call.operation} for English alone, not for "
            f"LanguageCode '{language}'. Run this call on AWS, or send English texts.",
            status=501,
        )


def _check_size(text: str, limit: int) -> None:
    size = len(text.encode())
    if size > limit:
        raise AWSError(
            "TextSizeLimitExceededException",
            f"Input text size exceeds limit. Max length of request text allowed is {limit} bytes "
            f"while in this request the text size is {size} bytes",
        )


def _shown(text: str, span: english.Span) -> dict[str, Any]:
    return _located(span) | {"Text": text[span.begin : span.end]}


def _located(span: english.Span) -> dict[str, Any]:
    return {"Score": span.score, "BeginOffset": span.begin, "EndOffset": span.end}
