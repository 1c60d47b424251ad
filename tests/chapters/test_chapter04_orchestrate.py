"""The scripts of chapter 4.3: the data, the function, the two processing scripts, the helpers."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.neighbors import KNeighborsClassifier

from tests.chapters.loading import ROOT, load

CHAPTER = ROOT / "chapter04"
ITEMS = CHAPTER / "data/items"

admit = load("chapter04", "admit_lambda")
judging = load("chapter04", "judging")
pipelines = load("chapter04", "pipelines")
figures = load("chapter04", "figures_pipelines")
preprocess_text = load("chapter04", "preprocess_text")
preprocess_images = load("chapter04", "preprocess_images")


def _make_items():
    path = CHAPTER / "data/make_items.py"
    spec = importlib.util.spec_from_file_location("chapter04_make_items", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


make_items = _make_items()


def files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# ── the data ─────────────────────────────────────────────────────────────────────────────────────


def test_the_items_are_what_the_script_makes(tmp_path):
    make_items.make(tmp_path / "items")
    made, kept = files(tmp_path / "items"), files(ITEMS)
    assert made.keys() == kept.keys()
    # Pictures depend on the version of the library that writes JPEG.
    assert all(made[name] == kept[name] for name in kept if not name.startswith("pictures/"))
    for name in (name for name in kept if name.startswith("pictures/") and "not-a" not in name):
        with Image.open(tmp_path / "items" / name) as one, Image.open(ITEMS / name) as other:
            difference = np.asarray(one, float) - np.asarray(other, float)
        assert np.abs(difference).mean() < 2, name


def test_the_items_say_what_is_missing(tmp_path, capsys):
    arguments = ["--opinions", str(tmp_path / "none.parquet"), "--output", str(tmp_path / "items")]
    assert make_items.main(arguments) == 1
    assert "none.parquet is missing" in capsys.readouterr().err
    one = {"source": "amazon", "text": "x" * 80, "score": 2.0, "label": "positive"}
    few = pd.DataFrame([one])
    with pytest.raises(make_items.SourceError, match="only 1 positive"):
        make_items.choose(few)


# ── the function ─────────────────────────────────────────────────────────────────────────────────


def ask(monkeypatch, key, attempt=0, **entries):
    register = json.dumps(entries).encode()

    class Client:
        def get_object(self, Bucket, Key):
            content = register if Key == "register.json" else (ITEMS / Key).read_bytes()
            return {"Body": type("Body", (), {"read": staticmethod(lambda: content)})}

    monkeypatch.setattr(admit.boto3, "client", lambda service: Client())
    return admit.handler({"bucket": "b", "key": key, "attempt": attempt}, None)


def test_the_register_admits(monkeypatch):
    name = "documents/review-02.txt"
    answer = ask(monkeypatch, name, **{name: {"licence": "MIT"}})
    assert answer == {"licence": "MIT", "text": (ITEMS / name).read_text().strip()}
    picture = "pictures/coffee.jpg"
    assert ask(monkeypatch, picture, **{picture: {"licence": "CC0"}})["text"] == ""


def test_a_busy_register_answers_the_third_time(monkeypatch):
    name = "documents/review-02.txt"
    entry = {name: {"licence": "MIT", "busy": 2}}
    for attempt in (0, 1):
        with pytest.raises(admit.Throttled, match="too many callers"):
            ask(monkeypatch, name, attempt, **entry)
    assert ask(monkeypatch, name, 2, **entry)["licence"] == "MIT"


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("documents/empty.txt", "EmptyDocument", "has no text"),
        ("documents/not-utf8.txt", "UnreadableDocument", "is not UTF-8"),
    ],
)
def test_what_cannot_be_read_is_not_admitted(monkeypatch, name, error, says):
    with pytest.raises(getattr(admit, error), match=says):
        ask(monkeypatch, name, **{name: {"licence": "CC0"}})


def test_what_is_not_in_the_register_is_not_admitted(monkeypatch):
    with pytest.raises(admit.NoRights, match="not in the register"):
        ask(monkeypatch, "documents/no-rights.txt")
    with pytest.raises(admit.UnreadableDocument, match="more than 5,000 bytes"):
        admit.read_text("long.txt", b"word " * 2000)


# ── texts ────────────────────────────────────────────────────────────────────────────────────────

SCORES = {"Positive": 0.7, "Negative": 0.1, "Neutral": 0.1, "Mixed": 0.1}


def enriched(folder: Path, *keys: str, **more: object) -> Path:
    path = folder / "enriched.json"
    found = {"scores": SCORES, "sentiment": "POSITIVE", "entities": ["Apex"]}
    found |= {"labels": [], "lines": []}
    kept = [{"key": key, "status": "kept", **found, **more} for key in keys]
    aside = {"key": "documents/empty.txt", "status": "quarantined", "reason": "EmptyDocument"}
    path.write_text(json.dumps({"documents": [*kept, aside], "pictures": [*kept, aside]}))
    return path


def prepare(module, data, path, output):
    options = ["--data", str(data), "--enriched", str(path), "--output", str(output)]
    return module.main(options)


def test_texts_are_cleaned_and_tokenised():
    raw = "It&#39;s <b>3.5</b>  stars,\n see http://a.b/c or me@b.org \u2014 don\u2019t!"
    text = preprocess_text.clean(raw)
    assert text == "It's 3.5 stars, see or \u2014 don't!"
    assert preprocess_text.tokens(text) == ["it's", "3.5", "stars", "see", "or", "don't"]
    described = preprocess_text.describe(text)
    assert (described["n_tokens"], described["negations"], described["exclamations"]) == (6, 1, 1)
    assert preprocess_text.describe("")["mean_length"] == 0


def test_the_text_table_has_a_row_for_each_kept_document(tmp_path, capsys):
    keys = ["documents/review-02.txt", "documents/review-01.txt"]
    path = enriched(tmp_path, *keys)
    assert prepare(preprocess_text, ITEMS / "documents", path, tmp_path / "out") == 0
    table = pd.read_parquet(tmp_path / "out/text.parquet")
    assert list(table["key"]) == sorted(keys)
    assert list(table["positive"]) == [0.7, 0.7]
    assert list(table["n_entities"]) == [1, 1]
    assert "2 documents" in capsys.readouterr().out


@pytest.mark.parametrize("module", [preprocess_text, preprocess_images])
def test_the_scripts_say_what_they_miss(tmp_path, capsys, module):
    assert prepare(module, ITEMS, tmp_path / "none.json", tmp_path) == 1
    assert "none.json" in capsys.readouterr().err
    assert prepare(module, ITEMS, enriched(tmp_path, "documents/none.txt"), tmp_path) == 1
    assert "none.txt" in capsys.readouterr().err
    assert prepare(module, ITEMS, enriched(tmp_path), tmp_path) == 1
    assert "was kept" in capsys.readouterr().err


# ── pictures ─────────────────────────────────────────────────────────────────────────────────────


def test_a_picture_is_squared_resized_and_cut(tmp_path):
    wide = np.zeros((100, 300, 3), np.uint8)
    wide[:, 100:200] = (255, 128, 0)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    pixels = preprocess_images.load(tmp_path / "wide.png")
    assert pixels.shape == (256, 256, 3)
    assert pixels.mean(axis=(0, 1)) == pytest.approx([1, 128 / 255, 0], abs=0.01)
    cut = preprocess_images.tiles(pixels)
    assert cut.shape == (4, 4, 64, 64, 3)
    assert np.array_equal(cut[1, 2], pixels[64:128, 128:192])
    with pytest.raises(preprocess_images.InputError, match="is no picture"):
        preprocess_images.load(ITEMS / "pictures/not-a-picture.jpg")


def test_a_tile_is_described_by_colour_and_edges():
    stripes = np.zeros((64, 64, 3))
    stripes[:, ::8] = 1
    across = dict(zip(preprocess_images.FEATURES, preprocess_images.describe(stripes), strict=True))
    turned = stripes.swapaxes(0, 1)
    along = dict(zip(preprocess_images.FEATURES, preprocess_images.describe(turned), strict=True))
    assert across["mean_r"] == along["mean_r"] == pytest.approx(1 / 8)
    edges = [across[f"edge_{n}"] for n in range(8)], [along[f"edge_{n}"] for n in range(8)]
    assert np.argmax(edges[0]) == 0
    assert np.argmax(edges[1]) == 4
    dark = preprocess_images.describe(0.5 * stripes)
    assert dark[-8:] == pytest.approx(np.array(edges[0]), rel=1e-3)
    assert not np.isnan(preprocess_images.describe(np.zeros((64, 64, 3)))).any()


def test_the_picture_tables(tmp_path):
    key = "pictures/coffee.jpg"
    path = enriched(tmp_path, key, labels=["Cup"], lines=[])
    assert prepare(preprocess_images, ITEMS / "pictures", path, tmp_path / "out") == 0
    tiles = pd.read_parquet(tmp_path / "out/tiles.parquet")
    assert tiles.shape == (16, 3 + len(preprocess_images.FEATURES))
    pictures = pd.read_parquet(tmp_path / "out/pictures.parquet")
    assert list(pictures["labels"].iloc[0]) == ["Cup"]


# ── the definition and the history ───────────────────────────────────────────────────────────────

VALUES = ("AdmitFunction", "Bucket", "Image", "InstanceType", "ProcessingRole")


def test_the_definition_is_filled_in():
    values = {name: f"x-{name}" for name in VALUES}
    definition = json.loads(pipelines.load_definition(CHAPTER / "pipeline.asl.json", **values))
    assert definition["StartAt"] == "Enrich"
    assert "${" not in json.dumps(definition)
    assert "$$.Map.Item.Value" in json.dumps(definition)
    with pytest.raises(pipelines.DefinitionError, match=r"no value for \$\{"):
        pipelines.load_definition(CHAPTER / "pipeline.asl.json", Bucket="b")


def test_the_states_are_named_in_the_order_of_the_definition():
    names = pipelines.state_names((CHAPTER / "pipeline.asl.json").read_text())
    assert names[:4] == ["Enrich", "List documents", "Each document", "Admit document"]
    assert names[-1] == "Report"
    assert len(names) == len(set(names)) == 28


def test_a_definition_that_is_no_json_says_where(tmp_path):
    (tmp_path / "bad.json").write_text('{"a": }')
    with pytest.raises(pipelines.DefinitionError, match="bad.json: .*column 7"):
        pipelines.load_definition(tmp_path / "bad.json")


def test_the_policy_allows_what_the_states_call():
    text = (CHAPTER / "pipeline.asl.json").read_text()
    allowed = {
        action.lower()
        for statement in pipelines.role_policy("b", "f", "r")["Statement"]
        for action in statement["Action"]
    }
    for service in ("comprehend", "rekognition", "textract"):
        for part in text.split(f":aws-sdk:{service}:")[1:]:
            assert f"{service}:{part.split(chr(34))[0]}".lower() in allowed


def event(number, kind, previous, seconds, **details):
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return {"id": number, "type": kind, "previousEventId": previous, "timestamp": moment, **details}


def entered(number, name, previous, seconds, kind="Task"):
    details = {"stateEnteredEventDetails": {"name": name}}
    return event(number, f"{kind}StateEntered", previous, seconds, **details)


def left(number, name, previous, seconds, kind="Task"):
    details = {"stateExitedEventDetails": {"name": name}}
    return event(number, f"{kind}StateExited", previous, seconds, **details)


HISTORY = [
    event(1, "ExecutionStarted", 0, 0),
    entered(2, "A", 0, 1),
    entered(3, "A", 0, 1),  # the same state, for another item
    event(4, "TaskFailed", 2, 2, taskFailedEventDetails={"error": "Throttled"}),
    event(5, "TaskSucceeded", 3, 2),
    left(6, "A", 5, 3),
    event(7, "TaskScheduled", 4, 3),
    event(8, "TaskSucceeded", 7, 4),
    left(9, "A", 8, 5),
    event(10, "ExecutionSucceeded", 9, 6),
]


def test_the_times_of_states_are_read_from_the_history():
    times = pipelines.state_times(HISTORY)
    assert list(times["begin"]) == [1, 1]
    assert list(times["end"]) == [5, 3]
    assert pipelines.errors(HISTORY) == {"Throttled": 1}
    assert pipelines.retries(HISTORY) == 1
    assert pipelines.transitions(HISTORY) == 3  # two states, one of them tried twice


class Client:
    def __init__(self, *answers):
        self.answers = list(answers)

    def start_execution(self, **_):
        return {"executionArn": "arn"}

    def describe_execution(self, **_):
        return self.answers.pop(0)


def test_a_run_that_fails_says_why():
    running, done = {"status": "RUNNING"}, {"status": "SUCCEEDED", "output": "[1]"}
    assert pipelines.run(Client(running, done), "m", {}, poll_seconds=0) == "arn"
    assert pipelines.output(Client(done), "arn") == [1]
    failed = {"status": "FAILED", "error": "E", "cause": "because"}
    with pytest.raises(pipelines.ExecutionFailed, match="FAILED: E: because"):
        pipelines.run(Client(failed), "m", {}, poll_seconds=0)


def test_the_upload_keeps_the_paths(tmp_path):
    sent = []
    s3 = type("S3", (), {"upload_file": staticmethod(lambda *given: sent.append(given[1:]))})
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b.txt").write_text("")
    assert pipelines.upload(s3, tmp_path, "bucket") == 1
    assert sent == [("bucket", "a/b.txt")]


# ── judging ──────────────────────────────────────────────────────────────────────────────────────


def test_a_tile_finds_its_own_picture():
    rows = [
        {"key": key, "row": 0, "column": column, "colour": colour + column / 10, "noise": 5.0}
        for key, colour in (("a", 0.0), ("b", 1.0))
        for column in range(4)
    ]
    found = judging.search(pd.DataFrame(rows), ["colour", "noise"])
    assert list(found["key"]) == ["a", "a", "b", "b"]
    assert found["right"].all()
    assert list(found["found_column"]) == [1, 1, 1, 1]
    with pytest.raises(ValueError, match="two columns of tiles"):
        judging.search(pd.DataFrame(rows)[lambda table: table["column"] == 0], ["colour"])


def test_one_is_left_out():
    target = pd.Series(["x"] * 5 + ["y"] * 5)
    features = pd.DataFrame({"a": [0.0, 0.1, 0.2, 0.1, 0.0, 1.0, 1.1, 0.9, 1.0, 0.0]})
    assert judging.leave_one_out(KNeighborsClassifier(1), features, target) == 0.9


# ── figures ──────────────────────────────────────────────────────────────────────────────────────


def test_the_figures_are_drawn():
    figures.contact_sheet(ITEMS / "pictures")
    figures.timeline(pipelines.state_times(HISTORY), ["A", "never ran"], "A finding")
    table = pd.DataFrame({"positive": [0.9, 0.1], "negative": [0.1, 0.9]})
    figures.scores(table.assign(opinion=["positive", "negative"]))
    key = "pictures/coffee.jpg"
    query = {"key": key, "row": 0, "column": 3, "found_key": key, "found_row": 0, "found_column": 1}
    figures.search_results(ITEMS, pd.DataFrame([query, query]))
    plt.close("all")
