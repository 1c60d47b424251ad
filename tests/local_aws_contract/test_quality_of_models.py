"""How good the local models are that answer for AI services: a floor for each.

The numbers behind the floors are what was measured when they were set; a floor is a little lower,
so that it falls when a model does and not when a library rounds otherwise.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.local_aws.environment import LocalAWS

from .pictures import encoded, page, photograph

DATA = Path(__file__).with_name("data")
OPINIONS = Path(__file__).parents[2] / "chapter03" / "data" / "opinions.parquet"
BATCH = 25

PAGE = """The harbour office opens at seven in the morning and closes when the last ferry has left,
which in winter is seldom after nine. A ticket for one passage costs 12.50 dollars, a book of ten
costs 98.00, and children under six travel free of charge if somebody older holds their hand.
Bicycles, prams and wheelchairs go on the lower deck; large dogs stay outside. In fog, the captain
alone decides whether the boat sails, and no complaint has ever changed his mind. Passengers who
arrive late may wait in the hall, where there is a stove, a kettle and a shelf of books (most of
them in French). Lost property is kept for 30 days at desk no. 4, telephone 206-555-0147, or write
to lost@harbour.example."""
SCAN = """Region-based segmentation Let us first determine markers of the coins and the background.
These markers are pixels that we can label unambiguously as either object or background. Here, the
markers are found at the two extreme parts of the histogram of grey values:
>>> markers = np.zeros_like(coins)"""


@pytest.fixture(scope="module")
def sentiments(aws_server: LocalAWS) -> pd.DataFrame:
    """Every tenth tweet and sentence of a product review, as people and as Comprehend see it.

    Hutto, C.J. & Gilbert, E. (2014), VADER: A Parsimonious Rule-based Model for Sentiment Analysis
    of Social Media Text, ICWSM-14. The sentiment model was trained on other texts of that study.
    """
    opinions = pd.read_parquet(OPINIONS)
    sample = opinions[opinions["text"].str.strip() != ""].iloc[::10].reset_index(drop=True)
    comprehend, answers = aws_server.client("comprehend"), []
    for start in range(0, len(sample), BATCH):
        texts = sample["text"].iloc[start : start + BATCH].tolist()
        answer = comprehend.batch_detect_sentiment(TextList=texts, LanguageCode="en")
        assert answer["ErrorList"] == []
        answers += answer["ResultList"]
    scores = pd.DataFrame([answer["SentimentScore"] for answer in answers])
    said = [answer["Sentiment"].lower() for answer in answers]
    return pd.concat([sample, scores], axis=1).assign(said=said)


@pytest.mark.parametrize(("source", "floor"), [("tweets", 0.70), ("amazon", 0.55)])
def test_sentiment_is_right_on_texts_of_another_kind(
    sentiments: pd.DataFrame, source: str, floor: float
) -> None:
    part = sentiments[sentiments["source"] == source]
    assert len(part) > 300
    assert np.mean(part["said"] == part["label"]) >= floor


def test_a_sentiment_that_is_sure_is_right_more_often(sentiments: pd.DataFrame) -> None:
    highest = sentiments[["Positive", "Negative", "Neutral", "Mixed"]].max(axis=1)
    right = sentiments["said"] == sentiments["label"]
    sure, unsure = right[highest >= 0.7], right[highest < 0.5]
    assert min(len(sure), len(unsure)) > 50
    assert sure.mean() >= 0.8
    assert unsure.mean() < sure.mean() - 0.2


def test_a_sentiments_score_orders_texts_and_does_not_boast(sentiments: pd.DataFrame) -> None:
    for name in ("Positive", "Negative"):
        bins = pd.cut(sentiments[name], [0, 0.25, 0.5, 1])
        is_so = sentiments["label"] == name.lower()
        scores = sentiments[name].groupby(bins, observed=True).mean()
        shares = is_so.groupby(bins, observed=True).mean()
        assert shares.is_monotonic_increasing
        # Tweets are plainer than what the model has learned from: it is too modest on them.
        assert (shares[scores > 0.5] > scores[scores > 0.5]).all()
        assert (shares[scores < 0.25] < 0.3).all()


def test_entities_of_labelled_sentences_are_found(aws_server: LocalAWS) -> None:
    comprehend = aws_server.client("comprehend")
    found: set[Any] = set()
    expected: set[Any] = set()
    scores: dict[Any, float] = {}
    for number, line in enumerate((DATA / "entities.txt").read_text().splitlines()):
        text = re.sub(r"\[([^]]+)\]\([A-Z_]+\)", r"\1", line)
        labelled = re.findall(r"\[([^]]+)\]\(([A-Z_]+)\)", line)
        expected |= {(number, part.removeprefix("The "), kind) for part, kind in labelled}
        for one in comprehend.detect_entities(Text=text, LanguageCode="en")["Entities"]:
            name = re.sub("^(The|the|Dr.) ", "", one["Text"])
            scores[number, name, one["Type"]] = one["Score"]
    expected = {(number, part.removeprefix("Dr. "), kind) for number, part, kind in expected}
    found = set(scores)
    right = found & expected
    f_score = 2 * len(right) / (len(found) + len(expected))
    assert f_score >= 0.85, (found - expected, expected - found)
    wrong = [scores[one] for one in found - expected]
    assert np.mean([scores[one] for one in right]) > np.mean([*wrong, 0.0])


def test_languages_of_short_texts_are_told(aws_server: LocalAWS) -> None:
    comprehend = aws_server.client("comprehend")
    texts = {
        "en": "Where is the nearest station, please?",
        "de": "Der Zug nach Hamburg fährt heute nicht.",
        "fr": "Je voudrais une chambre pour deux nuits.",
        "es": "La reunión empieza a las nueve y media.",
        "it": "Il treno è partito in ritardo.",
        "nl": "Het regent al de hele dag in Utrecht.",
        "ja": "明日の会議は何時からですか。",
        "ru": "Поезд прибывает на второй путь.",
    }
    answer = comprehend.batch_detect_dominant_language(TextList=list(texts.values()))
    said = [result["Languages"][0]["LanguageCode"] for result in answer["ResultList"]]
    assert sum(one == other for one, other in zip(said, texts, strict=True)) >= 7, said


@pytest.mark.parametrize(
    ("name", "expected", "boxes"),
    [
        ("chelsea.png", {"Cat", "Animal"}, 1),
        ("coffee.png", {"Cup", "Coffee", "Dining Table"}, 1),
        ("astronaut.png", {"Person"}, 1),
        ("motorcycle_left.png", {"Motorcycle", "Vehicle"}, 1),
        ("rocket.jpg", {"Rocket"}, 0),
        ("horse.png", {"Horse", "Animal"}, 1),
    ],
)
def test_photographs_have_the_right_labels(
    aws_server: LocalAWS, name: str, expected: set[str], boxes: int
) -> None:
    rekognition = aws_server.client("rekognition")
    labels = rekognition.detect_labels(Image={"Bytes": photograph(name)})["Labels"]
    found = {label["Name"]: len(label["Instances"]) for label in labels}
    assert expected <= set(found), found
    assert max(found.values()) >= boxes


@pytest.mark.parametrize("name", ["page.png", "brick.png", "gravel.png"])
def test_a_picture_of_no_known_thing_has_no_sure_label(aws_server: LocalAWS, name: str) -> None:
    rekognition = aws_server.client("rekognition")
    labels = rekognition.detect_labels(Image={"Bytes": photograph(name)}, MinConfidence=80)
    assert labels["Labels"] == []


def test_a_printed_page_is_read(aws_server: LocalAWS) -> None:
    picture = encoded(page(PAGE.splitlines(), size=24, width=1500))
    textract, rekognition = aws_server.client("textract"), aws_server.client("rekognition")
    blocks = textract.detect_document_text(Document={"Bytes": picture})["Blocks"]
    words = [block["Text"] for block in blocks if block["BlockType"] == "WORD"]
    assert recall(words, PAGE) >= 0.98
    detections = rekognition.detect_text(Image={"Bytes": picture})["TextDetections"]
    words = [one["DetectedText"] for one in detections if one["Type"] == "WORD"]
    first_hundred = " ".join(PAGE.split()[:100])
    assert recall(words, first_hundred) >= 0.95


def test_a_scanned_page_is_read(aws_server: LocalAWS) -> None:
    textract = aws_server.client("textract")
    blocks = textract.detect_document_text(Document={"Bytes": photograph("page.png")})["Blocks"]
    words = [block["Text"] for block in blocks if block["BlockType"] == "WORD"]
    assert recall(words, SCAN) >= 0.95


def recall(words: list[str], text: str) -> float:
    """The share of a text's words that were read as they are."""
    wanted, read = Counter(text.split()), Counter(" ".join(words).split())
    return (wanted & read).total() / wanted.total()
