"""Seventy years of learning machines in NumPy: each idea in about a dozen lines, none imported.

Arrays hold one example a row. Labels are 0 and 1, classes 0 to 9.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray
Parameters = dict[str, Array]


def listing(function: Callable[..., Any]) -> str:
    """The code of a function as it stands here, without its docstring."""
    head, _, rest = inspect.getsource(function).partition('    """')
    return head + rest.partition('"""\n')[2].rstrip()


# ── 1958: the perceptron ─────────────────────────────────────────────────────────────────────────


def perceptron(x: Array, y: Array, epochs: int) -> tuple[Array, list[int]]:
    """Learn a line by correcting mistakes (Rosenblatt 1958).

    Args:
        x: examples, shape (n, d).
        y: labels 0 or 1, shape (n,).
        epochs: how often to go through all examples.

    Returns:
        Weights of shape (d + 1,), the last one the bias, and the mistakes made in each epoch.
    """
    x = np.column_stack([x, np.ones(len(x))])
    weights, mistakes = np.zeros(x.shape[1]), []
    for _ in range(epochs):
        wrong = 0
        for row, label in zip(x, y, strict=True):
            error = label - (row @ weights > 0)
            weights += error * row
            wrong += error != 0
        mistakes.append(int(wrong))
    return weights, mistakes


# ── 1986: backpropagation ────────────────────────────────────────────────────────────────────────


def network(sizes: tuple[int, int, int], seed: int) -> Parameters:
    """Weights of a network with one hidden layer: inputs, hidden units, outputs."""
    chance = np.random.default_rng(seed)
    inputs, hidden, outputs = sizes
    return {
        "w1": chance.normal(size=(inputs, hidden)) / np.sqrt(inputs),
        "b1": np.zeros(hidden),
        "w2": chance.normal(size=(hidden, outputs)) / np.sqrt(hidden),
        "b2": np.zeros(outputs),
    }


def forward(net: Parameters, x: Array) -> tuple[Array, Array]:
    """The hidden layer and the probability of label 1, for each example."""
    hidden = np.tanh(x @ net["w1"] + net["b1"])
    return hidden, 1 / (1 + np.exp(-(hidden @ net["w2"] + net["b2"])[:, 0]))


def loss(net: Parameters, x: Array, y: Array) -> float:
    """Mean cross-entropy of the predicted probabilities."""
    p = np.clip(forward(net, x)[1], 1e-12, 1 - 1e-12)
    return float(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)))


def backward(net: Parameters, x: Array, y: Array) -> Parameters:
    """The gradient of the loss by the chain rule, from the output back to the input.

    Rumelhart, Hinton, Williams: Learning representations by back-propagating errors, 1986.
    """
    hidden, p = forward(net, x)
    at_output = ((p - y) / len(y))[:, None]
    at_hidden = (at_output @ net["w2"].T) * (1 - hidden**2)
    return {
        "w1": x.T @ at_hidden,
        "b1": at_hidden.sum(axis=0),
        "w2": hidden.T @ at_output,
        "b2": at_output.sum(axis=0),
    }


def descend(net: Parameters, x: Array, y: Array, rate: float, steps: int) -> list[float]:
    """Gradient descent in place; the loss before each step."""
    losses = []
    for _ in range(steps):
        losses.append(loss(net, x, y))
        for name, gradient in backward(net, x, y).items():
            net[name] -= rate * gradient
    return losses


def gradient_error(parameters: Parameters, gradient: Parameters, f: Callable[[], float]) -> float:
    """The largest relative difference between a gradient and central finite differences.

    Args:
        parameters: changed a little and set back, one number at a time.
        gradient: of `f`, by the same names.
        f: the loss at the present parameters.
    """
    step, worst = 1e-5, 0.0
    for name, values in parameters.items():
        for place in np.ndindex(values.shape):
            kept = values[place]
            values[place] = kept + step
            above = f()
            values[place] = kept - step
            slope = (above - f()) / (2 * step)
            values[place] = kept
            size = max(abs(slope) + abs(gradient[name][place]), 1e-3)
            worst = max(worst, abs(slope - gradient[name][place]) / size)
    return worst


# ── 1984 and 2001: trees and boosting ────────────────────────────────────────────────────────────

Tree = tuple[int, float, Any, Any] | float


def grow(x: Array, y: Array, depth: int) -> Tree:
    """A regression tree: ask the best question, then grow on both sides (Breiman et al. 1984).

    Returns:
        The mean of y in a leaf, or (feature, threshold, tree below it, tree above it).
    """
    question = best_question(x, y) if depth else None
    if question is None:
        return float(y.mean())
    feature, threshold = question
    low = x[:, feature] <= threshold
    return (*question, grow(x[low], y[low], depth - 1), grow(x[~low], y[~low], depth - 1))


def best_question(x: Array, y: Array, leaf: int = 5) -> tuple[int, float] | None:
    """The feature and threshold after which the squared error within both groups is least.

    Least error within the groups is most sum² / size over them, and running sums give that for
    all thresholds of all features at once.

    Args:
        x: examples, shape (n, d).
        y: what to predict, shape (n,).
        leaf: the fewest examples that a group may have.

    Returns:
        None if no question makes two groups that are large enough and differ.
    """
    order = np.argsort(x, axis=0, kind="stable")
    values, sums = np.take_along_axis(x, order, axis=0), np.cumsum(y[order], axis=0)
    below = np.arange(1, len(y))[:, None]
    score = sums[:-1] ** 2 / below + (sums[-1] - sums[:-1]) ** 2 / (len(y) - below)
    allowed = (np.diff(values, axis=0) > 0) & (below >= leaf) & (len(y) - below >= leaf)
    score = np.where(allowed, score, -np.inf)
    if not allowed.any() or score.max() <= y.sum() ** 2 / len(y) + 1e-9:
        return None
    feature, place = divmod(int(score.T.argmax()), len(score))
    return feature, float(values[place : place + 2, feature].mean())


def drop_through(tree: Tree, x: Array) -> Array:
    """The leaf that each example falls into, as its value."""
    if isinstance(tree, float):
        return np.full(len(x), tree)
    feature, threshold, below, above = tree
    low = x[:, feature] <= threshold
    return np.where(low, drop_through(below, x), drop_through(above, x))


def boost(x: Array, y: Array, rounds: int, rate: float, depth: int) -> list[Tree]:
    """Trees that each predict what the ones before got wrong (Friedman 2001)."""
    trees: list[Tree] = []
    predicted = np.full(len(y), y.mean())
    for _ in range(rounds):
        tree = grow(x, y - predicted, depth)
        predicted = predicted + rate * drop_through(tree, x)
        trees.append(tree)
    return trees


def rmse(y: Array, predicted: Array | float) -> float:
    """The root mean squared error, in the unit of y."""
    return float(np.sqrt(np.mean((y - predicted) ** 2)))


def boosting_curve(trees: list[Tree], start: float, rate: float, x: Array, y: Array) -> Array:
    """The root mean squared error after each tree."""
    predicted, errors = np.full(len(y), start), []
    for tree in trees:
        predicted = predicted + rate * drop_through(tree, x)
        errors.append(rmse(y, predicted))
    return np.array(errors)


@dataclass(frozen=True)
class Trial:
    """One random division into data to learn from, to choose by, and to judge by.

    Attributes:
        seen: error of boosting after each tree on the data that it learned from.
        unseen: the same on the data to choose by.
        trees: the number of trees with the least error there.
        test: error of each method on the data to judge by, which chose nothing.
    """

    seen: Array
    unseen: Array
    trees: int
    test: dict[str, float]


def trial(x: Array, y: Array, seed: int, rounds: int, rate: float = 0.1, depth: int = 2) -> Trial:
    """Boosting against one tree, a straight line and the mean, each fitted to the same data.

    How many trees, and how deep the one tree: the data to choose by decides. A quarter of the
    examples is kept to choose by, a quarter to judge by.
    """
    order = np.random.default_rng(seed).permutation(len(y))
    learn, choose, judge = np.split(order, [len(y) // 2, len(y) * 3 // 4])
    start = y[learn].mean()
    trees = boost(x[learn], y[learn], rounds, rate, depth)
    seen, unseen, judged = (
        boosting_curve(trees, start, rate, x[rows], y[rows]) for rows in (learn, choose, judge)
    )
    best = int(unseen.argmin())
    single = min(
        (grow(x[learn], y[learn], levels) for levels in range(1, 7)),
        key=lambda tree: rmse(y[choose], drop_through(tree, x[choose])),
    )
    line, *_ = np.linalg.lstsq(np.column_stack([x, np.ones(len(x))])[learn], y[learn], rcond=None)
    test = {
        "the mean": rmse(y[judge], start),
        "one tree": rmse(y[judge], drop_through(single, x[judge])),
        "boosted trees": float(judged[best]),
        "straight line": rmse(y[judge], x[judge] @ line[:-1] + line[-1]),
    }
    return Trial(seen, unseen, best + 1, test)


# ── 1989: convolution ────────────────────────────────────────────────────────────────────────────


def windows(images: Array, size: int) -> Array:
    """Every window of every image as a row: (n, h, w) to (n, h - size + 1, w - size + 1, size²)."""
    found = np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(1, 2))
    return found.reshape(*found.shape[:3], size * size)


def convolve(image: Array, kernel: Array) -> Array:
    """One kernel slid over one image: the same weights at every place."""
    return (windows(image[None], len(kernel)) @ kernel.ravel())[0]


def convolutional(filters: int, seed: int, shared: bool = True) -> Parameters:
    """Weights of a small network for images of 8 x 8: filters of 3 x 3, pooling, ten classes.

    With `shared` the filters are the same at each of the 6 x 6 places: "k" has the shape
    (9, filters). Without it each place has its own: (6, 6, 9, filters).
    """
    chance = np.random.default_rng(seed)
    return {
        "k": chance.normal(size=(9, filters) if shared else (6, 6, 9, filters)) / 3,
        "c": np.full(filters, 0.1),
        "w": chance.normal(size=(4 * filters, 10)) / np.sqrt(4 * filters),
        "b": np.zeros(10),
    }


def see(net: Parameters, images: Array) -> tuple[Array, Array, Array]:
    """Filter, keep the strongest answer in each quarter of the image, and judge (LeCun 1989).

    Returns:
        Answers of the filters by quarter, shape (n, 2, 3, 2, 3, filters), their maxima, shape
        (n, 2, 2, filters), and the probability of each class.
    """
    filters = np.broadcast_to(net["k"], (6, 6, *net["k"].shape[-2:]))
    filtered = np.einsum("nhwk,hwkf->nhwf", windows(images, 3), filters)
    quarters = np.maximum(filtered + net["c"], 0).reshape(len(images), 2, 3, 2, 3, -1)
    strongest = quarters.max(axis=(2, 4))
    return quarters, strongest, softmax(strongest.reshape(len(images), -1) @ net["w"] + net["b"])


def see_backward(net: Parameters, images: Array, classes: Array) -> Parameters:
    """The gradient of the mean cross-entropy: what a filter did wrong, summed over its places."""
    quarters, strongest, p = see(net, images)
    at_output = (p - np.eye(10)[classes]) / len(images)
    at_strongest = (at_output @ net["w"].T).reshape(strongest.shape)
    chosen = quarters == strongest[:, :, None, :, None, :]
    chosen = chosen / chosen.sum(axis=(2, 4), keepdims=True)
    at_filtered = chosen * at_strongest[:, :, None, :, None, :] * (quarters > 0)
    at_filtered = at_filtered.reshape(len(images), 6, 6, -1)
    by_place = np.einsum("nhwk,nhwf->hwkf", windows(images, 3), at_filtered)
    return {
        "k": by_place if net["k"].ndim == 4 else by_place.sum(axis=(0, 1)),
        "c": at_filtered.sum(axis=(0, 1, 2)),
        "w": strongest.reshape(len(images), -1).T @ at_output,
        "b": at_output.sum(axis=0),
    }


def shift(images: Array, right: int, down: int) -> Array:
    """Images moved by so many pixels; what leaves is lost, what comes in is empty."""
    height, width = images.shape[1:]
    moved = np.zeros_like(images)
    rows = slice(max(down, 0), height + min(down, 0)), slice(max(-down, 0), height + min(-down, 0))
    columns = (
        slice(max(right, 0), width + min(right, 0)),
        slice(max(-right, 0), width + min(-right, 0)),
    )
    moved[:, rows[0], columns[0]] = images[:, rows[1], columns[1]]
    return moved


def dense(hidden: int, seed: int) -> Parameters:
    """Weights of a network that sees 64 pixels without knowing which are neighbours."""
    return network((64, hidden, 10), seed)


def look(net: Parameters, images: Array) -> tuple[Array, Array]:
    """The hidden layer and the probability of each class."""
    hidden = np.maximum(images.reshape(len(images), -1) @ net["w1"] + net["b1"], 0)
    return hidden, softmax(hidden @ net["w2"] + net["b2"])


def look_backward(net: Parameters, images: Array, classes: Array) -> Parameters:
    """The gradient of the mean cross-entropy."""
    hidden, p = look(net, images)
    at_output = (p - np.eye(10)[classes]) / len(images)
    at_hidden = (at_output @ net["w2"].T) * (hidden > 0)
    flat = images.reshape(len(images), -1)
    return {
        "w1": flat.T @ at_hidden,
        "b1": at_hidden.sum(axis=0),
        "w2": hidden.T @ at_output,
        "b2": at_output.sum(axis=0),
    }


def train(
    net: Parameters,
    gradient: Callable[[Parameters, Array, Array], Parameters],
    images: Array,
    classes: Array,
    epochs: int,
    rate: float = 0.1,
) -> None:
    """Stochastic gradient descent in place: batches of 32, momentum 0.9, always the same order."""
    chance = np.random.default_rng(0)
    speed = {name: np.zeros_like(values) for name, values in net.items()}
    for _ in range(epochs):
        for batch in np.array_split(chance.permutation(len(images)), len(images) // 32):
            for name, slope in gradient(net, images[batch], classes[batch]).items():
                speed[name] = 0.9 * speed[name] - rate * slope
                net[name] += speed[name]


def surprise(probabilities: Array, classes: Array) -> float:
    """The mean cross-entropy of the predicted probabilities with the true classes."""
    return float(-np.mean(np.log(probabilities[np.arange(len(classes)), classes])))


def accuracy(probabilities: Array, classes: Array) -> float:
    """The share of examples whose most probable class is the true one."""
    return float(np.mean(probabilities.argmax(axis=1) == classes))


def count(net: Parameters) -> int:
    """How many weights a network has."""
    return sum(values.size for values in net.values())


def softmax(scores: Array) -> Array:
    """Scores as probabilities, along the last axis."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


# ── 2017: attention ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Lookups:
    """A task: sequences of pairs of a key and a value; asked for a key, tell its value.

    Attributes:
        keys: shape (n, length), whole numbers; no key twice in a sequence.
        values: shape (n, length).
        asked: the key that is asked for, shape (n,).
        answers: its value, shape (n,).
    """

    keys: Array
    values: Array
    asked: Array
    answers: Array


def lookups(n: int, length: int, vocabulary: int, seed: int) -> Lookups:
    """Random sequences of the task, keys in random order."""
    chance = np.random.default_rng(seed)
    keys = chance.permuted(np.tile(np.arange(vocabulary), (n, 1)), axis=1)[:, :length]
    values = chance.normal(size=(n, length))
    place = chance.integers(length, size=n)
    rows = np.arange(n)
    return Lookups(keys, values, keys[rows, place], values[rows, place])


def attention(vocabulary: int, width: int, seed: int) -> Parameters:
    """A query vector and a key vector for each key of the vocabulary."""
    chance = np.random.default_rng(seed)
    shape = (vocabulary, width)
    return {"query": chance.normal(size=shape), "key": chance.normal(size=shape)}


def attend(net: Parameters, task: Lookups) -> tuple[Array, Array]:
    """Scaled dot-product attention (Vaswani et al. 2017): weights on the places, and the answer."""
    query, keys = net["query"][task.asked], net["key"][task.keys]
    scores = np.einsum("nd,nld->nl", query, keys) / np.sqrt(query.shape[1])
    weights = softmax(scores)
    return weights, (weights * task.values).sum(axis=1)


def attend_backward(net: Parameters, task: Lookups) -> Parameters:
    """The gradient of the mean squared error."""
    weights, answers = attend(net, task)
    at_answer = (2 * (answers - task.answers) / len(answers))[:, None]
    at_scores = weights * (task.values - answers[:, None]) * at_answer
    at_scores /= np.sqrt(net["query"].shape[1])
    query, keys = net["query"][task.asked], net["key"][task.keys]
    gradient = {name: np.zeros_like(values) for name, values in net.items()}
    np.add.at(gradient["query"], task.asked, np.einsum("nl,nld->nd", at_scores, keys))
    np.add.at(gradient["key"], task.keys, at_scores[:, :, None] * query[:, None, :])
    return gradient


def attend_loss(net: Parameters, task: Lookups) -> float:
    """The mean squared error of the answers."""
    return float(np.mean((attend(net, task)[1] - task.answers) ** 2))
