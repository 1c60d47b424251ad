"""Train the network of `train_image.py` in Keras on TensorFlow, in script mode.

    python train_image_keras.py --train DIR --validation DIR --model-dir DIR

The pictures, their order and the lines of metrics are the same; the model is `model.keras`. What
TensorBoard draws goes where SageMaker sends it to S3 from.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # must be set before TensorFlow is imported

import keras
import tensorflow as tf

import image_data


def build(classes: int) -> keras.Model:
    """Two convolutions that find strokes, and one layer that reads digits from them."""
    return keras.Sequential(
        [
            keras.Input((image_data.SIDE, image_data.SIDE, 1)),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
            keras.layers.MaxPool2D(2),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(classes),
        ]
    )


def accuracy(network: keras.Model, pictures: image_data.Pictures) -> float:
    """The share of pictures that the network reads."""
    said = network(pictures.images[..., None]).numpy().argmax(axis=1)
    return float((said == pictures.labels).mean())


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    options = parse(arguments)
    try:
        pictures = image_data.read_channel(options.train)
        validation = image_data.read_channel(options.validation)
    except image_data.DataError as error:
        print(f"train_image_keras: {error}", file=sys.stderr)
        return 1
    keras.utils.set_random_seed(options.seed)
    network = build(int(max(pictures.labels.max(), validation.labels.max())) + 1)
    network.compile(
        optimizer=keras.optimizers.Adam(options.learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    board, history = tf.summary.create_file_writer(str(options.board)), []
    for number in range(1, options.epochs + 1):
        part = image_data.epoch(pictures, options.seed, number, augment=True)
        network.fit(
            part.images[..., None], part.labels,
            batch_size=options.batch_size, shuffle=False, verbose=0,
        )  # fmt: skip
        history.append({"epoch": number})
        for name, judged in (("train", pictures), ("validation", validation)):
            share = history[-1][f"{name}_accuracy"] = accuracy(network, judged)
            with board.as_default(step=number):
                tf.summary.scalar(f"{name}_accuracy", share)
        print(" ".join(f"{name}={value:.4f}" for name, value in history[-1].items()), flush=True)
    options.model_dir.mkdir(parents=True, exist_ok=True)
    network.save(options.model_dir / "model.keras")
    (options.model_dir / "metrics.json").write_text(json.dumps(history))
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line; the folders' defaults are a training job's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for channel in ("train", "validation"):
        place = os.environ.get(f"SM_CHANNEL_{channel.upper()}", f"/opt/ml/input/data/{channel}")
        parser.add_argument(f"--{channel}", type=Path, default=Path(place))
    place = os.environ.get("SM_MODEL_DIR", "/opt/ml/model")
    parser.add_argument("--model-dir", type=Path, default=Path(place))
    parser.add_argument("--board", type=Path, default=Path("/opt/ml/output/tensorboard"))
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.epochs < 1 or options.batch_size < 1:
        parser.error("--epochs and --batch-size must be at least 1")
    return options


if __name__ == "__main__":
    sys.exit(main())
