"""Train a small network in PyTorch as a SageMaker training job in script mode.

    python train_torch.py --train DIR --validation DIR --model-dir DIR --epochs 12

After every epoch one line of metrics is printed, which SageMaker reads. The weights of the best
epoch are kept: `model.pt` (a state dict), the scale of the columns and `metrics.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

import network_data


class Trained(NamedTuple):
    """A network at its best epoch, and what it did after each."""

    network: nn.Module
    history: list[dict[str, float]]


def build(columns: int, hidden: tuple[int, ...], dropout: float) -> nn.Sequential:
    """The network: layers of ReLUs with dropout, and one output, the log odds."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip((columns, *hidden), hidden, strict=False):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(hidden[-1], 1))


def train(
    train_rows: tuple[np.ndarray, np.ndarray],
    validation_rows: tuple[np.ndarray, np.ndarray],
    *,
    epochs: int = 12,
    hidden: tuple[int, ...] = (64, 32),
    dropout: float = 0.2,
    weight_decay: float = 1e-4,
    learning_rate: float = 1e-3,
    batch_size: int = 512,
    patience: int = 4,
    seed: int = 0,
    say: Any = print,
) -> Trained:
    """Train by Adam on the cross-entropy, until the validation loss has not fallen for a while.

    Args:
        train_rows, validation_rows: features (rows, columns) on one scale, labels (rows,).
        patience: epochs without gain after which training ends.
        say: is given the line of each epoch.
    """
    seed_everything(seed)
    features, labels = (torch.from_numpy(each) for each in train_rows)
    held_out, truth = torch.from_numpy(validation_rows[0]), torch.from_numpy(validation_rows[1])
    network = build(features.shape[1], hidden, dropout)
    loss_of = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=weight_decay)
    history: list[dict[str, float]] = []
    best, best_epoch = {}, 0
    for epoch in range(1, epochs + 1):
        network.train()
        total = 0.0
        for rows in torch.randperm(len(features)).split(batch_size):
            loss = loss_of(network(features[rows]).squeeze(1), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        network.eval()
        with torch.no_grad():
            logits = network(held_out).squeeze(1)
        history.append(
            {
                "epoch": epoch,
                "train_loss": total / len(features),
                "validation_loss": float(loss_of(logits, truth)),
                "validation_auc": network_data.area_under_curve(truth.numpy(), logits.numpy()),
            }
        )
        say(" ".join(f"{name}={value:.5f}" for name, value in history[-1].items()))
        if history[-1]["validation_loss"] <= min(each["validation_loss"] for each in history):
            best = {name: each.clone() for name, each in network.state_dict().items()}
            best_epoch = epoch
        elif epoch - best_epoch >= patience:
            break
    network.load_state_dict(best)
    return Trained(network, history)


def seed_everything(seed: int) -> None:
    """Make a run repeatable: every source of chance begins at the seed, and no shortcut is free."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    # Layers this small are not worth dividing among processors: one thread is the fastest.
    torch.set_num_threads(1)
    # Moments of dead units fade into numbers too small for a processor to add quickly.
    torch.set_flush_denormal(True)


def probability(network: nn.Module, features: np.ndarray) -> np.ndarray:
    """What the network says of rows on its scale, (rows,)."""
    network.eval()
    with torch.no_grad():
        return torch.sigmoid(network(torch.from_numpy(features)).squeeze(1)).numpy()


def parse(arguments: list[str] | None, doc: str) -> argparse.Namespace:
    """The command line. The folders' defaults are a training job's.

    Raises:
        SystemExit: with 2 and a message, for a value that cannot be.
    """
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    for channel in ("train", "validation"):
        place = os.environ.get(f"SM_CHANNEL_{channel.upper()}", f"/opt/ml/input/data/{channel}")
        parser.add_argument(f"--{channel}", type=Path, default=Path(place))
    place = os.environ.get("SM_MODEL_DIR", "/opt/ml/model")
    parser.add_argument("--model-dir", type=Path, default=Path(place))
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--hidden", default="64,32")
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--patience", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    try:
        options.hidden = tuple(int(width) for width in options.hidden.split(","))
    except ValueError:
        parser.error(f"--hidden {options.hidden}: give widths such as 64,32")
    if options.epochs < 1 or min(options.hidden) < 1 or options.batch_size < 1:
        parser.error("--epochs, --hidden and --batch-size must be at least 1")
    if not 0 <= options.dropout < 1:
        parser.error(f"--dropout {options.dropout}: must be at least 0 and less than 1")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    options = parse(arguments, __doc__)
    try:
        train_table = network_data.read_channel(options.train)
        validation = network_data.read_channel(options.validation)
    except network_data.DataError as error:
        print(f"train_torch: {error}", file=sys.stderr)
        return 1
    scale = network_data.learn_scale(train_table.features)
    trained = train(
        (scale.apply(train_table.features), train_table.labels),
        (scale.apply(validation.features), validation.labels),
        epochs=options.epochs,
        hidden=options.hidden,
        dropout=options.dropout,
        learning_rate=options.learning_rate,
        batch_size=options.batch_size,
        patience=options.patience,
        seed=options.seed,
    )
    options.model_dir.mkdir(parents=True, exist_ok=True)
    torch.save(trained.network.state_dict(), options.model_dir / "model.pt")
    scale.save(options.model_dir / "scale.json")
    (options.model_dir / "metrics.json").write_text(json.dumps(trained.history))
    return 0


if __name__ == "__main__":
    sys.exit(main())
