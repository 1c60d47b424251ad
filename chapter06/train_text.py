"""Train the opinion network as a script-mode job: the entry script of notebook 3.

    python train_text.py --train DIR --validation DIR --model_dir DIR --checkpoint_dir DIR

Each folder of data holds `opinions.jsonl`, one opinion a line: `text`, `label`, `shares` (of the
raters who call it negative, neutral and positive) and `strength` (0 to 4 points). After every
epoch the job prints one line of metrics and keeps a checkpoint; a job that finds one goes on from
there, and ends with the same weights as one that was never interrupted. The model folder gets
weights, tokenizer and settings of the best epoch, and in `code` what serves them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from text_model import LABELS, OpinionModel, OpinionNetwork, Settings, Tokenizer, as_batch

DATA, CHECKPOINT = "opinions.jsonl", "last.pt"
SERVING_CODE = ("inference.py", "text_model.py")
# Texts of about the same length are trained together, so that little of a batch is padding.
CHUNK = 10  # batches that are sorted by length at a time
HIDDEN = 0.1  # share of tokens that training replaces by "unknown": no word may decide alone


class DataError(Exception):
    """A channel without opinions, or with a line that is none."""


class CheckpointError(Exception):
    """A checkpoint that cannot be read, or that another job has left."""


# ------------------------------------------------------------------------------------ data


@dataclass(frozen=True)
class Opinions:
    """Texts as token numbers, and of each its class (n,), its raters' shares (n, 3) and strength
    (n,). A class is a position in LABELS."""

    rows: list[list[int]]
    classes: Tensor
    shares: Tensor
    strengths: Tensor

    def truth(self, chosen: Tensor | slice) -> tuple[Tensor, Tensor, Tensor]:
        """Classes, shares and strengths of the chosen texts."""
        return self.classes[chosen], self.shares[chosen], self.strengths[chosen]


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """The opinions in a channel's folder. Raises DataError, naming file and line."""
    path = folder / DATA
    if not path.is_file():
        raise DataError(f"the channel {folder.name!r} has no file {DATA}")
    opinions = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            opinion = json.loads(line)
            shares, strength = opinion["shares"], float(opinion["strength"])
            if not isinstance(opinion["text"], str):
                raise ValueError(f"text is {opinion['text']!r}, not a string")
            if opinion["label"] not in LABELS:
                raise ValueError(f"label must be one of {LABELS}, got {opinion['label']!r}")
            if len(shares) != len(LABELS) or not math.isclose(sum(shares), 1, abs_tol=1e-3):
                raise ValueError(f"shares must be {len(LABELS)} numbers that sum to 1: {shares}")
            if not 0 <= strength <= 4:
                raise ValueError(f"strength must be between 0 and 4, got {strength}")
        except (ValueError, KeyError, TypeError) as error:
            kind = type(error).__name__
            raise DataError(f"{folder.name}/{DATA}, line {number}: {kind}: {error}") from error
        opinions.append(opinion)
    if not opinions:
        raise DataError(f"{folder.name}/{DATA} is empty")
    return opinions


def encode(opinions: list[dict[str, Any]], tokenizer: Tokenizer, longest: int) -> Opinions:
    """The opinions as the network takes them."""
    return Opinions(
        [tokenizer.encode(each["text"], longest) for each in opinions],
        torch.tensor([LABELS.index(each["label"]) for each in opinions]),
        torch.tensor([each["shares"] for each in opinions], dtype=torch.float32),
        torch.tensor([each["strength"] for each in opinions], dtype=torch.float32),
    )


def batches(rows: list[list[int]], size: int) -> list[Tensor]:
    """Shuffled positions of the texts in batches of `size`, alike in length within a batch."""
    shuffled = torch.randperm(len(rows))
    lengths = torch.tensor([len(row) for row in rows])
    found: list[Tensor] = []
    for chunk in shuffled.split(size * CHUNK):
        found += chunk[lengths[chunk].argsort(stable=True)].split(size)
    return [found[place] for place in torch.randperm(len(found)).tolist()]


# -------------------------------------------------------------------------------- learning


def class_weights(classes: Tensor) -> Tensor:
    """For each class n / (k · its count), so that together all classes weigh the same.

    Raises:
        DataError: a class does not occur; a macro F1 would not mean anything.
    """
    counts = torch.bincount(classes, minlength=len(LABELS))
    if not counts.all():
        raise DataError(f"no text is {LABELS[int(counts.argmin())]}; training needs all {LABELS}")
    return counts.sum() / (len(LABELS) * counts)


def loss_of(
    answer: tuple[Tensor, Tensor], truth: tuple[Tensor, ...], weights: Tensor, part: float
) -> Tensor:
    """Cross-entropy against the raters' shares, weighted by class, plus `part` times the
    squared error of the strength."""
    (scores, strengths), (classes, shares, true_strengths) = answer, truth
    entropy = -(shares * scores.log_softmax(dim=-1)).sum(dim=-1)
    weight = weights[classes]
    polarity = (weight * entropy).sum() / weight.sum()
    return polarity + part * nn.functional.mse_loss(strengths, true_strengths)


def macro_f1(truth: Tensor, guess: Tensor) -> float:
    """The mean of the classes' F1; a class that is neither there nor guessed counts as 0."""
    scores = []
    for label in range(len(LABELS)):
        hits = int(((truth == label) & (guess == label)).sum())
        both = int((truth == label).sum()) + int((guess == label).sum())
        scores.append(2 * hits / both if both else 0.0)
    return sum(scores) / len(scores)


def train_epoch(
    network: OpinionNetwork, optimizer: Any, data: Opinions, weights: Tensor, options: Any
) -> float:
    """One pass over the training texts; returns the mean loss."""
    network.train()
    total = 0.0
    for chosen in batches(data.rows, options.batch_size):
        numbers = as_batch([data.rows[place] for place in chosen.tolist()])
        hidden = (torch.rand(numbers.shape) < HIDDEN) & (numbers > 0)
        answer = network(numbers.masked_fill(hidden, 1))
        loss = loss_of(answer, data.truth(chosen), weights, options.strength_weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(chosen)
    return total / len(data.rows)


def evaluate(
    network: OpinionNetwork, data: Opinions, weights: Tensor, options: Any
) -> dict[str, float]:
    """Loss, macro F1 and mean absolute error of the strength (points) on texts unseen so far."""
    network.eval()
    with torch.inference_mode():
        answers = [
            network(as_batch(data.rows[start : start + 512]))
            for start in range(0, len(data.rows), 512)
        ]
    scores, strengths = (torch.cat(part) for part in zip(*answers, strict=True))
    truth = data.truth(slice(None))
    loss = loss_of((scores, strengths), truth, weights, options.strength_weight)
    return {
        "validation_loss": float(loss),
        "validation_f1": macro_f1(data.classes, scores.argmax(dim=1)),
        "validation_error": float((strengths - data.strengths).abs().mean()),
    }


# ----------------------------------------------------------------------------- checkpoints


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write the checkpoint so that it is always whole: under another name first, then renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{CHECKPOINT}.partial"
    torch.save(state, partial)
    os.replace(partial, folder / CHECKPOINT)


def load_checkpoint(folder: Path, job: dict[str, Any]) -> dict[str, Any] | None:
    """The checkpoint in the folder, None if there is none.

    `job` is what must be the same for training to go on: settings and data.

    Raises:
        CheckpointError: it cannot be read, or was left by a job with other settings or data.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    remedy = "Delete it to start anew, or name another S3Uri in CheckpointConfig."
    try:
        # weights_only: what was written by somebody else must not run code here.
        state = torch.load(path, map_location="cpu", weights_only=True)
        left_by = state["job"]
    except Exception as error:  # torch has no common class for what a broken file raises
        raise CheckpointError(
            f"the checkpoint {CHECKPOINT} ({path.stat().st_size} bytes) cannot be read "
            f"({type(error).__name__}). {remedy}"
        ) from error
    for name, value in job.items():
        if left_by.get(name) != value:
            raise CheckpointError(
                f"the checkpoint {CHECKPOINT} is of a job with {name}={left_by.get(name)!r}, "
                f"this one has {name}={value!r}. {remedy}"
            )
    return state


# ------------------------------------------------------------------------------------- job


def train(options: argparse.Namespace) -> OpinionModel:
    """Train until the epochs are over or patience is, and return the model of the best epoch.

    Raises:
        DataError: a channel is missing or holds something else.
        CheckpointError: there is a checkpoint, and training cannot go on from it.
    """
    lines = {name: read_lines(getattr(options, name)) for name in ("train", "validation")}
    job = _fingerprint(options)
    state = load_checkpoint(options.checkpoint_dir, job)  # a broken one costs no more time

    tokenizer = Tokenizer.train((each["text"] for each in lines["train"]), options.vocabulary)
    settings = Settings(len(tokenizer.tokens), width=options.width, dropout=options.dropout)
    data = {name: encode(each, tokenizer, settings.longest) for name, each in lines.items()}
    balanced = class_weights(data["train"].classes)
    weights = balanced if options.class_weights == "balanced" else torch.ones(len(LABELS))

    torch.manual_seed(options.seed)
    network = OpinionNetwork(settings)
    optimizer = torch.optim.AdamW(network.parameters(), lr=options.learning_rate)
    if state is None:
        state = {"job": job, "epoch": 0, "best_f1": -1.0, "best_epoch": 0, "best": {}}
        print(f"a new start: {len(data['train'].rows)} texts, {settings.vocabulary} tokens")
    else:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        print(f"resumed after epoch {state['epoch']}", flush=True)

    while state["epoch"] < options.epochs:
        if state["epoch"] - state["best_epoch"] >= options.patience:
            print(f"stopped early: nothing gained in {options.patience} epochs")
            break
        state["epoch"] += 1
        # Each epoch draws its own numbers, so one that follows a checkpoint draws the same.
        torch.manual_seed(options.seed * 1000 + state["epoch"])
        loss = train_epoch(network, optimizer, data["train"], weights, options)
        metrics = evaluate(network, data["validation"], weights, options)
        shown = " ".join(f"{name}={value:.4f}" for name, value in metrics.items())
        print(f"epoch={state['epoch']} train_loss={loss:.4f} {shown}", flush=True)
        if metrics["validation_f1"] > state["best_f1"]:
            weights_now = {name: each.clone() for name, each in network.state_dict().items()}
            state |= {"best_f1": metrics["validation_f1"], "best_epoch": state["epoch"]}
            state["best"] = weights_now
        state |= {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
        save_checkpoint(options.checkpoint_dir, state)

    network.load_state_dict(state["best"])
    print(f"the best epoch was {state['best_epoch']}: best_f1={state['best_f1']:.4f}")
    return OpinionModel(tokenizer, settings, network)


def _fingerprint(options: argparse.Namespace) -> dict[str, Any]:
    """What a checkpoint depends on: data and settings, but not how long to train."""
    names = (
        "batch_size", "class_weights", "dropout", "learning_rate", "seed", "strength_weight",
        "vocabulary", "width",
    )  # fmt: skip
    data = (options.train / DATA).read_bytes() + (options.validation / DATA).read_bytes()
    return {name: getattr(options, name) for name in names} | {
        "data": hashlib.sha256(data).hexdigest()[:16]
    }


def save_for_serving(model: OpinionModel, folder: Path) -> None:
    """Write the model, and beside it the code that serves it: what was trained is deployed."""
    model.save(folder)
    (folder / "code").mkdir(exist_ok=True)
    for name in SERVING_CODE:
        shutil.copy(Path(__file__).resolve().parent / name, folder / "code" / name)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; its defaults are where a training job finds its folders."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--patience", type=int, default=4, help="epochs without gain")
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--learning_rate", type=float, default=0.002)
    parser.add_argument("--vocabulary", type=int, default=2000, help="tokens")
    parser.add_argument("--width", type=int, default=64, help="numbers that stand for a token")
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--strength_weight", type=float, default=0.2)
    parser.add_argument("--class_weights", choices=("balanced", "none"), default="balanced")
    parser.add_argument("--seed", type=int, default=0)
    for name in ("train", "validation"):
        given = os.environ.get(f"SM_CHANNEL_{name.upper()}", f"/opt/ml/input/data/{name}")
        parser.add_argument(f"--{name}", type=Path, default=Path(given))
    model_dir = Path(os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
    parser.add_argument("--model_dir", type=Path, default=model_dir)
    parser.add_argument("--checkpoint_dir", type=Path, default=Path("/opt/ml/checkpoints"))
    options = parser.parse_args(arguments)
    for name in ("epochs", "patience", "batch_size"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be 1 or more, got {getattr(options, name)}")
    return options


def main(arguments: list[str] | None = None) -> None:
    """Run the job. What goes wrong is raised: SageMaker shows it as the FailureReason."""
    options = parse(arguments)
    # One thread: such small products gain nothing from more, and always sum in the same order.
    torch.set_num_threads(1)
    save_for_serving(train(options), options.model_dir)


if __name__ == "__main__":
    main()
