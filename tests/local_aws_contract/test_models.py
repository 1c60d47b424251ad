"""The local models: found without an import, checked, loaded once, and not before they are used."""

from __future__ import annotations

import hashlib
import sys
import threading
from pathlib import Path

import psutil
import pytest

from tests.local_aws.environment import LocalAWS
from tests.local_aws.errors import AWSError
from tests.local_aws.models import OnDemand, file_in, folder_in, train_sentiment
from tests.local_aws.models.pii import personal_data
from tests.local_aws.models.sentiment import COEFFICIENTS, clauses, sentiment_of, words


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with a model, which fails to import."""
    folder = tmp_path / "package_of_a_model"
    (folder / "weights").mkdir(parents=True)
    (folder / "__init__.py").write_text("import a_module_that_is_gone")
    (folder / "weights" / "model.bin").write_bytes(b"weights")
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder.name


def test_a_model_is_found_in_a_package_that_cannot_be_imported(package: str) -> None:
    path = file_in(package, "weights/model.bin", hashlib.sha256(b"weights").hexdigest())
    assert path.read_bytes() == b"weights"
    assert package not in sys.modules


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("weights/model.bin", "has the SHA-256"),
        ("weights/other.bin", "is not in the package"),
    ],
)
def test_another_model_is_refused_with_the_remedy(package: str, name: str, reason: str) -> None:
    with pytest.raises(AWSError, match=reason) as error:
        file_in(package, name, "0" * 64)
    assert error.value.status == 501
    assert "tests/requirements.txt" in error.value.message


def test_a_folder_has_the_hash_of_what_is_in_it(package: str) -> None:
    with pytest.raises(AWSError) as error:
        folder_in(package, "weights", "0" * 64)
    sha256 = error.value.message.split("SHA-256 ")[1].split()[0]
    folder = folder_in(package, "weights", sha256)
    (folder / "model.bin").write_bytes(b"other weights")
    with pytest.raises(AWSError, match="has the SHA-256"):
        folder_in(package, "weights", sha256)


def test_a_package_that_is_not_installed_is_named() -> None:
    with pytest.raises(AWSError, match="no_such_package is not installed"):
        file_in("no_such_package", "model.bin", "0" * 64)


def test_a_model_is_loaded_once_and_used_by_one_at_a_time() -> None:
    loads: list[int] = []
    inside: list[int] = []

    def load() -> str:
        loads.append(1)
        return "a model"

    def use() -> None:
        with model.use() as loaded:
            inside.append(1)
            assert loaded == "a model" and len(inside) == 1
            inside.pop()

    model = OnDemand(load)
    assert not model.loaded
    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1 and model.loaded and not inside


def test_an_engine_that_is_missing_is_named() -> None:
    def load() -> None:
        import an_engine_that_is_not_installed  # noqa: F401

    with pytest.raises(AWSError, match="an_engine_that_is_not_installed"), OnDemand(load).use():
        pass


def test_a_server_loads_no_model_before_it_is_asked() -> None:
    # Every shared library of an engine shows in the memory map of the process.
    with LocalAWS() as aws:
        aws.client("comprehend").list_sentiment_detection_jobs()
        aws.client("s3").list_buckets()
        server = psutil.Process(aws.pid)
        assert not _engines_of(server)
        aws.client("comprehend").detect_entities(Text="Paris", LanguageCode="en")
        assert _engines_of(server) == {"spacy"}


def _engines_of(process: psutil.Process) -> set[str]:
    paths = [Path(entry.path).parts for entry in process.memory_maps()]
    engines = {"spacy", "cv2", "onnxruntime", "ai_edge_litert"}
    return {part for parts in paths for part in parts if part in engines}


def test_words_under_a_negation_are_marked() -> None:
    assert words("It isn't good, but fine.") == ["it", "isn't", "not_good", "but", "fine"]
    assert clauses("Good. Bad, but cheap!") == ["Good.", "Bad", "but cheap!"]


@pytest.mark.parametrize("text", ["", " ", "🙂", "?!", "x" * 5_000])
def test_any_text_has_a_sentiment(text: str) -> None:
    found = sentiment_of(text)
    scores = [found.positive, found.negative, found.neutral, found.mixed]
    assert sum(scores) == pytest.approx(1)
    assert min(scores) >= 0


def test_personal_data_needs_its_check_digits() -> None:
    kinds = {span.kind for span in personal_data("IBAN DE89 3704 0044 0532 0130 00")}
    assert "INTERNATIONAL_BANK_ACCOUNT_NUMBER" in kinds
    kinds = {span.kind for span in personal_data("IBAN DE89 3704 0044 0532 0130 01")}
    assert "INTERNATIONAL_BANK_ACCOUNT_NUMBER" not in kinds


def test_training_wants_the_package_that_it_knows(tmp_path: Path) -> None:
    other = tmp_path / "vaderSentiment-3.3.2.tar.gz"
    with pytest.raises(train_sentiment.SourceError, match="pip download"):
        train_sentiment.read_package(other)
    other.write_bytes(b"something else")
    with pytest.raises(train_sentiment.SourceError, match="get version 3.3.2"):
        train_sentiment.read_package(other)


def test_training_learns_from_votes() -> None:
    import numpy as np

    good, bad = "a splendid harbour", "a dreary harbour"
    votes = np.array([[0.1, 0.1, 0.8]] * 20 + [[0.8, 0.1, 0.1]] * 20)
    texts = [good] * 20 + [bad] * 20
    learned = train_sentiment.train([(texts, np.zeros(40), votes)])
    vocabulary = str(learned["vocabulary"]).split("\n")
    positive = learned["of_words"][2]
    assert positive[vocabulary.index("splendid")] > 0 > positive[vocabulary.index("dreary")]


def test_the_coefficients_are_small() -> None:
    assert COEFFICIENTS.stat().st_size < 3 * 1024**2
