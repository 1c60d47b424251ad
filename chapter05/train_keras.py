"""Train the same small network in Keras on TensorFlow, as a SageMaker training job in script mode.

    python train_keras.py --train DIR --validation DIR --model-dir DIR --epochs 12

The lines of metrics and the files are those of `train_torch.py`; the model is `model.keras`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # must be set before TensorFlow is imported

import keras

import network_data


def build(columns: int, hidden: tuple[int, ...], dropout: float) -> keras.Model:
    """The network: layers of ReLUs with dropout, and one output, the log odds."""
    layers: list[keras.layers.Layer] = [keras.Input((columns,))]
    for width in hidden:
        layers += [keras.layers.Dense(width, activation="relu"), keras.layers.Dropout(dropout)]
    return keras.Sequential([*layers, keras.layers.Dense(1)])


class Report(keras.callbacks.Callback):
    """Prints the metrics of each epoch in one line, as SageMaker reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.history: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Take over what Keras has computed."""
        given = logs or {}
        self.history.append(
            {
                "epoch": epoch + 1,
                "train_loss": float(given["loss"]),
                "validation_loss": float(given["val_loss"]),
                "validation_auc": float(given["val_auc"]),
            }
        )
        print(" ".join(f"{name}={value:.5f}" for name, value in self.history[-1].items()))


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line; the folders' defaults are a training job's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for channel in ("train", "validation"):
        place = os.environ.get(f"SM_CHANNEL_{channel.upper()}", f"/opt/ml/input/data/{channel}")
        parser.add_argument(f"--{channel}", type=Path, default=Path(place))
    place = os.environ.get("SM_MODEL_DIR", "/opt/ml/model")
    parser.add_argument("--model-dir", type=Path, default=Path(place))
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.epochs < 1 or not 0 <= options.dropout < 1:
        parser.error("--epochs must be at least 1, --dropout at least 0 and less than 1")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    options = parse(arguments)
    try:
        train = network_data.read_channel(options.train)
        validation = network_data.read_channel(options.validation)
    except network_data.DataError as error:
        print(f"train_keras: {error}", file=sys.stderr)
        return 1
    keras.utils.set_random_seed(options.seed)
    scale = network_data.learn_scale(train.features)
    network = build(train.features.shape[1], (64, 32), options.dropout)
    network.compile(
        optimizer=keras.optimizers.AdamW(learning_rate=1e-3, weight_decay=1e-4),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.AUC(from_logits=True, name="auc")],
    )
    report = Report()
    stop = keras.callbacks.EarlyStopping("val_loss", patience=4, restore_best_weights=True)
    network.fit(
        scale.apply(train.features),
        train.labels,
        validation_data=(scale.apply(validation.features), validation.labels),
        epochs=options.epochs,
        batch_size=512,
        verbose=0,
        callbacks=[report, stop],
    )
    options.model_dir.mkdir(parents=True, exist_ok=True)
    network.save(options.model_dir / "model.keras")
    scale.save(options.model_dir / "scale.json")
    (options.model_dir / "metrics.json").write_text(json.dumps(report.history))
    return 0


if __name__ == "__main__":
    sys.exit(main())
