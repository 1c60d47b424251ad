"""The scripts of chapter 6.3, on real opinions: what they compute and how they refuse."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import f1_score

from tests.chapters.loading import ROOT, load

matplotlib.use("agg")
torch = pytest.importorskip("torch")

DATA = ROOT / "chapter06" / "data"
make = load("chapter06/data", "make_rated_opinions")
text_model = load("chapter06", "text_model")
train_text = load("chapter06", "train_text")
inference = load("chapter06", "inference")
jo = load("chapter06", "judge_opinions")
text_job = load("chapter06", "text_job")
figures = load("chapter06", "figures_text_model")


@pytest.fixture(scope="module")
def opinions() -> pd.DataFrame:
    return pd.read_parquet(DATA / "rated_opinions.parquet")


@pytest.fixture(scope="module")
def channels(tmp_path_factory, opinions) -> dict[str, Path]:
    """600 texts to train on and 200 to validate, as a job finds them."""
    folders = {}
    for name, count in (("train", 600), ("validation", 200)):
        folders[name] = tmp_path_factory.mktemp("data") / name
        folders[name].mkdir()
        rows = opinions[opinions["split"] == name].iloc[:: 2 if name == "train" else 1][:count]
        (folders[name] / "opinions.jsonl").write_text(jo.to_lines(rows), encoding="utf-8")
    return folders


@pytest.fixture
def run(channels, tmp_path):
    """Runs the training script on the small channels; returns the folder of the model."""

    def call(name: str = "model", checkpoints: str = "checkpoints", **options) -> Path:
        settings = {"vocabulary": 400, "width": 16, "epochs": 2, "batch_size": 32} | options
        arguments = [f"--{key}={value}" for key, value in settings.items()]
        for channel, folder in channels.items():
            arguments.append(f"--{channel}={folder}")
        arguments.append(f"--checkpoint_dir={tmp_path / checkpoints}")
        train_text.main([*arguments, f"--model_dir={tmp_path / name}"])
        return tmp_path / name

    return call


# ------------------------------------------------------------------- make_rated_opinions.py


class TestData:
    def test_the_shipped_table_is_what_the_script_makes(self, tmp_path):
        made = tmp_path / "made.parquet"
        assert make.main(["--output", str(made)]) == 0
        assert pq.read_table(made).equals(pq.read_table(DATA / "rated_opinions.parquet"))

    def test_label_and_strength_are_the_raters(self, opinions):
        for row in opinions.sample(200, random_state=0).itertuples():
            signs = np.sign(row.ratings.astype(int))
            counts = [(signs == sign).sum() for sign in (-1, 0, 1)]
            assert counts[text_model.LABELS.index(row.label)] == max(counts)
            assert row.strength == pytest.approx(np.abs(row.ratings.astype(int)).mean())
            assert np.allclose(row.shares, np.array(counts) / len(signs))

    def test_no_text_is_on_two_sides(self, opinions):
        plain = opinions["text"].str.lower().str.split().str.join(" ")
        assert opinions.groupby(plain)["split"].nunique().max() == 1
        shares = opinions["split"].value_counts(normalize=True)
        assert shares["train"] == pytest.approx(0.7, abs=0.02)

    @pytest.mark.parametrize(
        ("shares", "label"),
        [
            ([0.5, 0.1, 0.4], "negative"),
            ([0.4, 0.2, 0.4], "negative"),
            ([0.5, 0.5, 0.0], "neutral"),
            ([0.2, 0.3, 0.5], "positive"),
        ],
    )
    def test_label_of_shares(self, shares, label):
        assert make.label(shares) == label

    def test_a_source_that_is_missing_or_another(self, tmp_path, capsys):
        assert make.main(["--opinions", str(tmp_path / "none.parquet")]) == 1
        assert "none.parquet does not exist" in capsys.readouterr().err
        other = tmp_path / "other.parquet"
        pd.DataFrame({"source": ["a"], "id": ["1"], "text": ["b"]}).to_parquet(other)
        assert make.main(["--opinions", str(other)]) == 1
        assert "has no column ratings" in capsys.readouterr().err
        pd.DataFrame({"source": ["a"], "id": ["7"], "text": ["b"], "ratings": [[]]}).to_parquet(
            other
        )
        assert make.main(["--opinions", str(other)]) == 1
        assert "nobody rated text 7 of a" in capsys.readouterr().err


# --------------------------------------------------------------------------- text_model.py


class TestTokenizer:
    TEXTS = ("low lower lowest", "new newer newest", "low new")

    def test_joins_the_most_frequent_pair_first(self):
        # Of the pairs that occur four times, the first in the alphabet: a space precedes letters.
        merges = text_model.Tokenizer.train(self.TEXTS, size=100).merges
        assert merges[0] == (" l", "o")
        assert (" lo", "w") in merges

    def test_gives_back_every_word(self, opinions):
        texts = opinions["text"][:300]
        tokenizer = text_model.Tokenizer.train(texts, size=600)
        assert len(tokenizer.tokens) == 600
        for text in texts:
            assert "".join(tokenizer.pieces(text)).split() == text_model.words(text)

    def test_words_keep_what_carries_a_tone(self):
        found = text_model.words("@me: I DON'T like it!!! :( &lt;3 http://x.co")
        assert found == ["@user", ":", "i", "don't", "like", "it", "!!!", ":(", "<3", "url"]

    def test_unknown_characters_and_empty_texts(self):
        tokenizer = text_model.Tokenizer.train(self.TEXTS, size=100)
        assert tokenizer.encode("", 10) == [1]
        assert tokenizer.encode("😀", 10) == [1]
        assert len(tokenizer.encode("low " * 50, 10)) == 10
        assert 0 not in tokenizer.encode("low lower", 10)

    def test_too_small_a_vocabulary(self):
        with pytest.raises(ValueError, match="vocabulary of 5 tokens is too small"):
            text_model.Tokenizer.train(self.TEXTS, size=5)

    def test_comes_back_from_its_file(self, tmp_path):
        tokenizer = text_model.Tokenizer.train(self.TEXTS, size=100)
        tokenizer.save(tmp_path / "tokenizer.json")
        again = text_model.Tokenizer.load(tmp_path / "tokenizer.json")
        assert again.tokens == tokenizer.tokens
        assert again.encode("lowest new", 9) == tokenizer.encode("lowest new", 9)
        (tmp_path / "tokenizer.json").write_text('{"alphabet": []}')
        with pytest.raises(text_model.ModelError, match=r"tokenizer.json is no tokenizer"):
            text_model.Tokenizer.load(tmp_path / "tokenizer.json")


class TestNetwork:
    def network(self):
        torch.manual_seed(0)
        return text_model.OpinionNetwork(text_model.Settings(vocabulary=50, width=16)).eval()

    def test_attention_is_that_of_pytorch(self):
        torch.manual_seed(0)
        ours = text_model.Attention(16, 2)
        theirs = torch.nn.MultiheadAttention(16, 2, batch_first=True)
        theirs.load_state_dict(
            {
                "in_proj_weight": ours.project.weight,
                "in_proj_bias": ours.project.bias,
                "out_proj.weight": ours.combine.weight,
                "out_proj.bias": ours.combine.bias,
            }
        )
        tokens, padding = torch.randn(3, 5, 16), torch.zeros(3, 5, dtype=torch.bool)
        padding[1, 3:] = True
        mixed, weights = ours(tokens, padding)
        expected, expected_weights = theirs(tokens, tokens, tokens, key_padding_mask=padding)
        assert torch.allclose(mixed, expected, atol=1e-6)
        assert torch.allclose(weights.mean(dim=1), expected_weights, atol=1e-6)

    def test_padding_changes_nothing(self):
        network, rows = self.network(), [[5, 6, 7], [8, 9, 10, 11, 12]]
        with torch.inference_mode():
            together = network(text_model.as_batch(rows))[0][0]
            alone = network(text_model.as_batch(rows[:1]))[0][0]
        assert torch.allclose(together, alone, atol=1e-6)

    def test_order_matters(self):
        network = self.network()
        with torch.inference_mode():
            scores, strengths = network(text_model.as_batch([[5, 6, 7], [7, 6, 5]]))
        assert not torch.allclose(scores[0], scores[1], atol=1e-6)
        assert ((strengths > 0) & (strengths < 4)).all()


# --------------------------------------------------------------------------- train_text.py


class TestTraining:
    def test_learns_and_saves_what_serves_it(self, run, opinions):
        folder = run(epochs=8, learning_rate=0.01)
        assert sorted(path.name for path in (folder / "code").iterdir()) == [
            "inference.py",
            "text_model.py",
        ]
        test = opinions[opinions["split"] == "test"]
        model = text_model.OpinionModel.load(folder)
        answers = jo.as_table(model.predict(test["text"].tolist()))
        constant = jo.macro_f1(test["label"], ["positive"] * len(test))
        assert jo.macro_f1(test["label"], answers["label"]) > constant + 0.1
        assert np.allclose(answers[jo.LABELS].sum(axis=1), 1, atol=1e-5)

    def test_resumed_is_the_same_as_never_interrupted(self, run, capsys):
        run("first", "parts", epochs=1)
        parts = run("second", "parts", epochs=3)
        assert "resumed after epoch 1" in capsys.readouterr().out
        whole = run("third", "whole", epochs=3)
        states = [torch.load(each / "weights.pt", weights_only=True) for each in (parts, whole)]
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])

    def test_stops_early_and_stays_stopped(self, run, capsys):
        run(epochs=30, patience=2, learning_rate=0.02)
        said = capsys.readouterr().out
        assert "stopped early: nothing gained in 2 epochs" in said
        epochs = jo.read_epochs(said.splitlines())
        best = epochs["validation_f1"].idxmax()
        assert len(epochs) == best + 2
        assert f"the best epoch was {best}:" in said
        run("again", epochs=30, patience=2, learning_rate=0.02)
        assert "epoch=" not in capsys.readouterr().out

    def test_a_broken_checkpoint_is_refused(self, run, tmp_path):
        folder = tmp_path / "checkpoints"
        folder.mkdir()
        (folder / "last.pt").write_bytes(b"half a checkpoint")
        with pytest.raises(train_text.CheckpointError, match=r"\(17 bytes\) cannot be read .*Dele"):
            run()
        run("whole", "other")
        whole = (tmp_path / "other" / "last.pt").read_bytes()
        (folder / "last.pt").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(train_text.CheckpointError, match="cannot be read"):
            run()

    def test_a_checkpoint_with_code_in_it_is_refused(self, run, tmp_path):
        folder = tmp_path / "checkpoints"
        folder.mkdir()
        torch.save({"job": {}, "epoch": Path("/")}, folder / "last.pt")  # an object, not weights
        with pytest.raises(train_text.CheckpointError, match="cannot be read"):
            run()

    def test_a_checkpoint_of_another_job_is_refused(self, run):
        run()
        with pytest.raises(train_text.CheckpointError, match="width=16, this one has width=32"):
            run(width=32)
        with pytest.raises(train_text.CheckpointError, match="seed=0, this one has seed=1"):
            run(seed=1)

    def test_a_half_written_checkpoint_is_not_taken(self, run, tmp_path, capsys):
        run(epochs=1)
        (tmp_path / "checkpoints" / "last.pt.partial").write_bytes(b"cut off")
        run(epochs=2)
        assert "resumed after epoch 1" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("no json", "line 2: JSONDecodeError"),
            ('{"text": "a", "label": "good", "shares": [1, 0, 0], "strength": 1}', "got 'good'"),
            ('{"text": 5, "label": "neutral", "shares": [0, 1, 0], "strength": 1}', "text is 5"),
            ('{"text": "a", "label": "neutral", "shares": [0, 1], "strength": 1}', "sum to 1"),
            ('{"text": "a", "label": "neutral", "shares": [0, 1, 0], "strength": 9}', "got 9.0"),
            ('{"text": "a", "label": "neutral", "shares": [0, 1, 0]}', "KeyError: 'strength'"),
            ('{"text": "a", "label": "neutral", "shares": [0, NaN, 0], "strength": 1}', "sum to 1"),
        ],
    )
    def test_a_line_that_is_no_opinion(self, channels, tmp_path, line, message):
        good = (channels["train"] / "opinions.jsonl").read_text().splitlines()[0]
        (tmp_path / "opinions.jsonl").write_text(f"{good}\n{line}\n")
        with pytest.raises(train_text.DataError, match="line 2") as refused:
            train_text.read_lines(tmp_path)
        assert message in str(refused.value)

    def test_a_channel_without_opinions(self, tmp_path):
        with pytest.raises(train_text.DataError, match=r"has no file opinions.jsonl"):
            train_text.read_lines(tmp_path)
        (tmp_path / "opinions.jsonl").write_text("")
        with pytest.raises(train_text.DataError, match="is empty"):
            train_text.read_lines(tmp_path)

    def test_a_class_that_is_missing(self):
        with pytest.raises(train_text.DataError, match="no text is neutral"):
            train_text.class_weights(torch.tensor([0, 0, 2, 2]))

    def test_class_weights_give_each_class_the_same(self):
        classes = torch.tensor([0, 1, 1, 2, 2, 2])
        weights = train_text.class_weights(classes)
        sums = [float(weights[classes[classes == label]].sum()) for label in range(3)]
        assert sums == pytest.approx([2, 2, 2])

    def test_macro_f1_is_that_of_scikit_learn(self):
        random = np.random.default_rng(0)
        truth, guess = random.integers(3, size=(2, 100))
        ours = train_text.macro_f1(torch.tensor(truth), torch.tensor(guess))
        assert ours == pytest.approx(f1_score(truth, guess, average="macro"))

    def test_batches_hold_each_text_once(self):
        torch.manual_seed(0)
        rows = [[2] * (1 + number % 9) for number in range(101)]
        found = train_text.batches(rows, 8)
        assert sorted(torch.cat(found).tolist()) == list(range(101))

    @pytest.mark.parametrize("argument", ["--epochs=0", "--patience=-1", "--class_weights=some"])
    def test_an_option_out_of_range(self, argument, capsys):
        with pytest.raises(SystemExit):
            train_text.parse([argument])
        assert argument.partition("=")[0] in capsys.readouterr().err


# ---------------------------------------------------------------------------- inference.py


class TestInference:
    @pytest.fixture
    def folder(self, run) -> Path:
        return run(epochs=1)

    def test_answers_as_the_model_does(self, folder):
        served = inference.model_fn(str(folder))
        texts = inference.input_fn(
            b'{"texts": ["Great :)", "", "\xf0\x9f\x98\x80"]}', "application/json"
        )
        answers = inference.predict_fn(texts, served)
        assert json.loads(inference.output_fn(answers, "application/json")) == answers
        assert [set(each) for each in answers] == [{"label", "probabilities", "strength"}] * 3
        # Batches are padded, so a text alone differs in the last digits only.
        alone = text_model.OpinionModel.load(folder).predict(["Great :)"])[0]
        assert answers[0]["strength"] == pytest.approx(alone["strength"], abs=1e-5)
        assert served.predict([]) == []

    def test_plain_text_is_one_text(self):
        assert inference.input_fn("good\nbad", "text/plain; charset=utf-8") == ["good\nbad"]

    @pytest.mark.parametrize(
        ("body", "kind", "message"),
        [
            ("a,b", "text/csv", "'text/csv' is not supported"),
            ("{", "application/json", "must be JSON"),
            ('{"text": "a"}', "application/json", "must be JSON"),
            ('{"texts": "a"}', "application/json", "list of strings, got str"),
            ('{"texts": ["a", null]}', "application/json", "text 1 is None"),
            (json.dumps({"texts": ["a"] * 1001}), "application/json", "1001 texts"),
        ],
    )
    def test_a_request_that_is_none(self, body, kind, message):
        with pytest.raises(ValueError, match=message):
            inference.input_fn(body, kind)

    def test_another_answer_than_json(self):
        with pytest.raises(ValueError, match="not 'text/csv'"):
            inference.output_fn([], "text/csv")

    def test_files_that_do_not_belong_together(self, folder):
        (folder / "weights.pt").rename(folder / "kept")
        with pytest.raises(text_model.ModelError, match=r"has no weights.pt"):
            text_model.OpinionModel.load(folder)
        (folder / "weights.pt").write_bytes(b"nothing")
        with pytest.raises(text_model.ModelError, match="make no network"):
            text_model.OpinionModel.load(folder)
        (folder / "kept").replace(folder / "weights.pt")
        text_model.Tokenizer.train(TestTokenizer.TEXTS, 50).save(folder / "tokenizer.json")
        with pytest.raises(text_model.ModelError, match="take both from the same job"):
            text_model.OpinionModel.load(folder)


# ------------------------------------------------------- judge_opinions.py and text_job.py


class TestJudging:
    def test_one_rater_is_compared_with_the_others(self):
        drawn, others = jo.one_rater([[3, -1, -2], [2, 2, 2]], seed=0)
        assert drawn[1] == others[1] == "positive"
        # Whoever is drawn of the first panel, the others are two.
        assert (drawn[0], others[0]) in {("positive", "negative"), ("negative", "negative")}

    def test_a_panel_of_one(self):
        with pytest.raises(ValueError, match="text 1 has 1 raters"):
            jo.one_rater([[1, 2], [3]])
        with pytest.raises(ValueError, match="text 0 has 0 raters"):
            jo.half_panels([[]])

    def test_interval_holds_the_score(self, opinions):
        test = opinions[opinions["split"] == "test"]
        rater, others = jo.one_rater(test["ratings"])
        score, low, high = jo.interval(others, rater)
        assert low < score < high
        assert score == pytest.approx(f1_score(others, rater, average="macro"))

    def test_gains_compare_on_the_same_texts(self):
        labels = ["negative", "neutral", "positive"] * 20
        assert not jo.gains(labels, labels, labels).any()
        worse = ["negative", "neutral", "neutral"] * 20
        assert (jo.gains(labels, worse, labels) > 0).all()

    def test_drawn_scores_are_those_of_scikit_learn(self):
        random = np.random.default_rng(1)
        labels, said = np.array(jo.LABELS)[random.integers(3, size=(2, 50))]
        rows = np.random.default_rng(0).integers(50, size=50)
        expected = f1_score(labels[rows], said[rows], average="macro")
        assert jo._drawn_f1(labels, said, 1, 0)[0] == pytest.approx(expected)

    def test_lines_without_a_column_or_a_row(self, opinions):
        with pytest.raises(ValueError, match="no column strength"):
            jo.to_lines(opinions.drop(columns="strength"))
        with pytest.raises(ValueError, match="no opinion"):
            jo.to_lines(opinions[:0])

    def test_a_log_without_epochs(self):
        with pytest.raises(ValueError, match="no epoch"):
            jo.read_epochs(["the best epoch was 3"])

    def test_asks_in_batches(self):
        sizes = []

        def invoke(body, content_type, accept):
            texts = json.loads(body)["texts"]
            sizes.append(len(texts))
            answer = {"label": "neutral", "strength": 1.0}
            answer["probabilities"] = dict(zip(jo.LABELS, (0.1, 0.8, 0.1), strict=True))
            return SimpleNamespace(body=io.BytesIO(json.dumps([answer] * len(texts)).encode()))

        answers = jo.ask(SimpleNamespace(invoke=invoke), ["a"] * 1100)
        assert sizes == [500, 500, 100]
        assert list(answers.columns) == ["label", "strength", *jo.LABELS]
        assert len(answers) == 1100

    def test_hidden_tokens(self, run):
        model = text_model.OpinionModel.load(run(epochs=1))
        tokens, weights = model.attention("not bad at all")
        assert weights.shape == (len(tokens), len(tokens))
        assert torch.allclose(weights.sum(dim=1), torch.ones(len(tokens)), atol=1e-5)
        assert jo.hide_each_token(model, "not bad at all", "negative").shape == (len(tokens),)

    def test_an_address_that_is_none(self):
        assert text_job.split_uri("s3://bucket/a/b") == ("bucket", "a/b")
        for uri in ("s3://bucket", "https://bucket/a"):
            with pytest.raises(ValueError, match="is no S3 URI"):
                text_job.split_uri(uri)

    def test_an_archive_that_leaves_its_folder(self, tmp_path, monkeypatch):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            tar.addfile(tarfile.TarInfo("../out"), io.BytesIO())
        client = SimpleNamespace(
            download_fileobj=lambda bucket, key, file: file.write(packed.getvalue())
        )
        monkeypatch.setattr(text_job.boto3, "client", lambda name: client)
        with pytest.raises(tarfile.OutsideDestinationError):
            text_job.unpack_model("s3://bucket/model.tar.gz", tmp_path / "model")

    def test_copies_only_what_a_job_needs(self, tmp_path):
        folder = text_job.copy_scripts(tmp_path / "source")
        assert {path.name for path in folder.iterdir()} == set(text_job.SCRIPTS)
        assert set(train_text.SERVING_CODE) < set(text_job.SCRIPTS)


class TestFigures:
    def test_each_is_drawn(self, opinions):
        epochs = jo.read_epochs(
            f"epoch={n} train_loss={1 / n} validation_loss=0.9 validation_f1={0.6 - n / 99}"
            for n in (1, 2, 3)
        )
        weights = np.array([0.5, 0.5])
        right = {name: np.array([True, False]) for name in ("network", "baseline", "one rater")}
        figures.agreement(opinions[:50], "a")
        figures.learning_curve(epochs, 1, "b")
        figures.scores({"network": (0.6, 0.5, 0.7)}, {"one rater": 0.8}, "c")
        figures.accuracy_by_agreement(np.array([0.5, 1.0]), right, "d")
        figures.attention([([" a", "b"], weights, -weights)] * 2, "negative", "e")
        for number in plt.get_fignums():
            plt.figure(number).canvas.draw()
        assert len(plt.get_fignums()) == 5
        plt.close("all")
