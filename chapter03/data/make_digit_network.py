"""Make `digit_network.npz`: a small network that has learned to tell the digits 0 to 6 apart.

    python make_digit_network.py

It lays a window of 6 × 6 pixels on every place of the picture, asks the same two layers about each
window, and keeps the strongest answer of each of 128 outputs: a convolutional network with one
convolution, whose answer does not depend on the place. These outputs are the learned embedding of
notebook 3. The network has seen no 7, 8 or 9, and no digit that is not in the middle.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import image_features

HERE = Path(__file__).resolve().parent
OUTPUT = HERE / "digit_network.npz"
LEARNED = 7  # digits 0 … 6
HIDDEN, OUTPUTS = 64, 128
EPOCHS, BATCH, DROPPED = 30, 64, 0.3
STEP, MOMENTUM, SCALING = 2e-3, 0.9, 0.999  # of Adam (Kingma and Ba, 2015)

Weights = dict[str, np.ndarray]


def first_weights(random: np.random.Generator) -> Weights:
    """Random weights, the smaller the more inputs they add up (He et al., 2015); biases of 0."""
    sizes = [image_features.WINDOW**2, HIDDEN, OUTPUTS, LEARNED]
    weights = {}
    for number, (inputs, outputs) in enumerate(zip(sizes[:-1], sizes[1:], strict=True), 1):
        weights[f"w{number}"] = random.normal(0, np.sqrt(2 / inputs), (inputs, outputs))
        weights[f"b{number}"] = np.zeros(outputs)
    return weights


def gradients(windows: np.ndarray, truth: np.ndarray, kept: np.ndarray, w: Weights) -> Weights:
    """How the mean cross-entropy of a batch changes with each weight.

    Args:
        windows: batch × places × pixels of a window.
        truth: the digits.
        kept: batch × OUTPUTS, 0 where an output is dropped.
        w: the weights.
    """
    hidden = np.maximum(windows @ w["w1"] + w["b1"], 0)
    answers = np.maximum(hidden @ w["w2"] + w["b2"], 0)
    place = answers.argmax(axis=1)[:, None]
    strongest = np.take_along_axis(answers, place, 1)[:, 0]
    used = strongest * kept
    scores = used @ w["w3"] + w["b3"]
    likely = np.exp(scores - scores.max(axis=1, keepdims=True))
    d_scores = likely / likely.sum(axis=1, keepdims=True)
    d_scores[np.arange(len(truth)), truth] -= 1
    d_scores /= len(truth)
    # Only the place of the strongest answer has had a say, so only it is corrected.
    d_answers = np.zeros_like(answers)
    d_strongest = (d_scores @ w["w3"].T) * kept * (strongest > 0)
    np.put_along_axis(d_answers, place, d_strongest[:, None], 1)
    d_answers, hidden = d_answers.reshape(-1, OUTPUTS), hidden.reshape(-1, HIDDEN)
    d_hidden = (d_answers @ w["w2"].T) * (hidden > 0)
    return {
        "w3": used.T @ d_scores,
        "b3": d_scores.sum(axis=0),
        "w2": hidden.T @ d_answers,
        "b2": d_answers.sum(axis=0),
        "w1": windows.reshape(len(hidden), -1).T @ d_hidden,
        "b1": d_hidden.sum(axis=0),
    }


def train(epochs: int = EPOCHS) -> Weights:
    """The weights after so many passes over the digits 0 to 6."""
    random = np.random.default_rng(0)
    pictures, labels = load_digits(return_X_y=True)
    known = labels < LEARNED
    digits = image_features.on_canvas(pictures[known].reshape(-1, 8, 8) / 16)
    windows, truth = image_features.windows_of(digits), labels[known]
    weights = first_weights(random)
    mean = {name: np.zeros_like(value) for name, value in weights.items()}
    square = {name: np.zeros_like(value) for name, value in weights.items()}
    steps = 0
    for _ in range(epochs):
        order = random.permutation(len(truth))
        for batch in np.split(order, range(BATCH, len(order), BATCH)):
            kept = (random.random((len(batch), OUTPUTS)) >= DROPPED) / (1 - DROPPED)
            found = gradients(windows[batch], truth[batch], kept, weights)
            steps += 1
            for name, gradient in found.items():
                mean[name] = MOMENTUM * mean[name] + (1 - MOMENTUM) * gradient
                square[name] = SCALING * square[name] + (1 - SCALING) * gradient**2
                direction = mean[name] / (1 - MOMENTUM**steps)
                size = np.sqrt(square[name] / (1 - SCALING**steps)) + 1e-8
                weights[name] = weights[name] - STEP * direction / size
    return weights


if __name__ == "__main__":
    np.savez_compressed(OUTPUT, **{name: v.astype("float16") for name, v in train().items()})
