"""Make `digit_network.npz`: a small network that has learned to tell the digits 0 to 6 apart.

    python make_digit_network.py

It has seen each of them in many places of the picture, and none of 7, 8 and 9. The outputs of its
second hidden layer are the learned embedding of notebook 3.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import image_features

HERE = Path(__file__).resolve().parent
OUTPUT = HERE / "digit_network.npz"
LEARNED = 7  # digits 0 … 6
COPIES, EPOCHS = 20, 12


def train() -> dict[str, np.ndarray]:
    """The weights of the two hidden layers: `w1` (256 × 128), `b1`, `w2` (128 × 32), `b2`."""
    pictures, labels = load_digits(return_X_y=True)
    known = labels < LEARNED
    digits = image_features.on_canvas(pictures[known].reshape(-1, 8, 8) / 16)
    moved = image_features.moved_copies(digits, COPIES, seed=0)
    network = MLPClassifier((128, 32), max_iter=EPOCHS, batch_size=256, alpha=1e-3, random_state=0)
    with warnings.catch_warnings():
        # It is stopped early on purpose.
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(moved.reshape(len(moved), -1), np.tile(labels[known], COPIES))
    (w1, w2, _), (b1, b2, _) = network.coefs_, network.intercepts_
    return {
        name: value.astype("float16")
        for name, value in zip(("w1", "b1", "w2", "b2"), (w1, b1, w2, b2), strict=True)
    }


if __name__ == "__main__":
    np.savez_compressed(OUTPUT, **train())
