"""Eight algorithms in a dozen lines each, to be read beside notebook 1.

They are written to be understood: NumPy only, no special cases, nothing that scikit-learn does
better. Rows are `x` (rows, columns) floats, what is to be predicted `y` (rows,).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy import ndarray

Gradient = Callable[[ndarray], ndarray]
Tree = float | tuple[int, float, "Tree", "Tree"]


def gradient_descent(gradient: Gradient, start: ndarray, step: float, steps: int) -> ndarray:
    """All points (steps + 1, weights) of a walk against the gradient.

    Raises:
        ValueError: the walk left the numbers, because the step is too long.
    """
    path = [start]
    for _ in range(steps):
        path.append(path[-1] - step * gradient(path[-1]))
    if not np.isfinite(path[-1]).all():
        raise ValueError(f"the walk diverged; try a step shorter than {step:g}, or scale x")
    return np.array(path)


def with_ones(x: ndarray) -> ndarray:
    """`x` with a first column of ones, whose weight is the intercept."""
    return np.column_stack([np.ones(len(x)), x])


def squared_error(x: ndarray, y: ndarray) -> tuple[Callable[[ndarray], float], Gradient, float]:
    """The mean squared error of a line, its gradient, and the longest step that converges.

    Source: S. Boyd and L. Vandenberghe, Convex Optimization, section 9.3: on a quadratic loss
    descent converges for steps shorter than 2 over the largest eigenvalue of its curvature.
    """
    X = with_ones(x)
    curvature = 2 / len(y) * X.T @ X
    return (
        lambda w: float(np.mean((X @ w - y) ** 2)),
        lambda w: 2 / len(y) * X.T @ (X @ w - y),
        2 / np.linalg.eigvalsh(curvature).max(),
    )


def sigmoid(z: ndarray) -> ndarray:
    """1 / (1 + exp(-z)), written so that no large z overflows."""
    return 0.5 * (1 + np.tanh(z / 2))


def logistic_gradient(x: ndarray, y: ndarray, penalty: float) -> Gradient:
    """The gradient of the cross-entropy of classes 0 and 1, the intercept free of the penalty."""
    X = with_ones(x)
    pulled = np.r_[0, np.ones(x.shape[1])]
    return lambda w: X.T @ (sigmoid(X @ w) - y) / len(y) + penalty * pulled * w


def k_nearest(x: ndarray, y: ndarray, questions: ndarray, k: int) -> ndarray:
    """The majority, 0 or 1, among the k rows nearest to each question.

    Raises:
        ValueError: there are fewer than k rows.
    """
    if not 1 <= k <= len(x):
        raise ValueError(f"k is {k}; choose from 1 to the {len(x)} rows there are")
    distance = ((questions[:, None, :] - x) ** 2).sum(axis=2)
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :k]
    return (y[nearest].mean(axis=1) > 0.5).astype(int)


def best_split(x: ndarray, y: ndarray) -> tuple[int, float] | None:
    """The column and the threshold that leave the least squared error; None if all rows agree."""
    best, found = -np.inf, None
    count = np.arange(1, len(y))
    for column in range(x.shape[1]):
        order = np.argsort(x[:, column], kind="stable")
        value, left = x[order, column], np.cumsum(y[order])[:-1]
        gain = left**2 / count + (y.sum() - left) ** 2 / count[::-1]
        gain[value[1:] == value[:-1]] = -np.inf  # equal values cannot be parted
        if len(gain) and gain.max() > best:
            place = int(gain.argmax())
            best, found = gain[place], (column, (value[place] + value[place + 1]) / 2)
    return found


def grow(x: ndarray, y: ndarray, depth: int) -> Tree:
    """A tree: a number, or (column, threshold, tree below, tree above)."""
    split = best_split(x, y) if depth and np.ptp(y) else None
    if split is None:
        return float(y.mean())
    low = x[:, split[0]] <= split[1]
    return *split, grow(x[low], y[low], depth - 1), grow(x[~low], y[~low], depth - 1)


def ask(tree: Tree, x: ndarray) -> ndarray:
    """What a tree says for each row."""
    if not isinstance(tree, tuple):
        return np.full(len(x), tree)
    column, threshold, low, high = tree
    return np.where(x[:, column] <= threshold, ask(low, x), ask(high, x))


def boost(x: ndarray, y: ndarray, trees: int, rate: float, depth: int) -> list[Tree]:
    """Trees, each grown on what those before it left over.

    Source: J. Friedman, "Greedy function approximation", Annals of Statistics 29, 2001, for the
    squared error.
    """
    model, prediction = [], np.full(len(y), y.mean())
    for _ in range(trees):
        model.append(grow(x, y - prediction, depth))
        prediction = prediction + rate * ask(model[-1], x)
    return model


def staged(model: list[Tree], start: float, rate: float, x: ndarray) -> ndarray:
    """Predictions (trees, rows) of a boosted model after each tree; `start` is the mean of y."""
    return start + rate * np.cumsum([ask(tree, x) for tree in model], axis=0)


def k_means(x: ndarray, centres: ndarray) -> tuple[ndarray, float]:
    """Centres (k, columns) that no longer move, and the sum of squared distances to them.

    Source: S. Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information
    Theory 28, 1982.

    Raises:
        ValueError: a centre lost its last row.
    """
    while True:
        distance = ((x[:, None] - centres) ** 2).sum(axis=2)
        groups = [x[distance.argmin(axis=1) == each] for each in range(len(centres))]
        if not all(map(len, groups)):
            raise ValueError("a centre has no rows left; start from other rows")
        moved = np.array([group.mean(axis=0) for group in groups])
        if np.array_equal(moved, centres):
            return centres, float(distance.min(axis=1).sum())
        centres = moved


def principal_components(x: ndarray) -> tuple[ndarray, ndarray, ndarray]:
    """The mean, the components (one a row) and the share of the variance along each."""
    mean = x.mean(axis=0)
    _, singular, components = np.linalg.svd(x - mean, full_matrices=False)
    return mean, components, singular**2 / np.sum(singular**2)


def random_weights(inputs: int, hidden: int, classes: int, seed: int) -> list[ndarray]:
    """W1, b1, W2, b2, uniform within a bound that keeps the signal's size from layer to layer.

    Source: X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward
    neural networks", AISTATS 2010. The order of drawing is that of scikit-learn.
    """
    random = np.random.RandomState(seed)
    weights = []
    for above, below in ((inputs, hidden), (hidden, classes)):
        bound = np.sqrt(6 / (above + below))
        weights += [random.uniform(-bound, bound, shape) for shape in ((above, below), below)]
    return weights


def forward(weights: list[ndarray], x: ndarray) -> tuple[ndarray, ndarray]:
    """The hidden layer (rows, hidden) and the probabilities (rows, classes)."""
    W1, b1, W2, b2 = weights
    hidden = np.maximum(x @ W1 + b1, 0)
    z = hidden @ W2 + b2
    scores = np.exp(z - z.max(axis=1, keepdims=True))  # the largest is 1: no overflow
    return hidden, scores / scores.sum(axis=1, keepdims=True)


def cross_entropy(weights: list[ndarray], x: ndarray, y: ndarray) -> float:
    """The mean of -log p of the class that was true."""
    return float(-np.mean(np.log(forward(weights, x)[1][np.arange(len(y)), y])))


def back_propagate(weights: list[ndarray], x: ndarray, y: ndarray) -> list[ndarray]:
    """The gradient of the cross-entropy, in the shapes of the weights."""
    hidden, p = forward(weights, x)
    at_scores = (p - np.eye(p.shape[1])[y]) / len(y)
    at_hidden = at_scores @ weights[2].T * (hidden > 0)
    return [x.T @ at_hidden, at_hidden.sum(0), hidden.T @ at_scores, at_scores.sum(0)]


def train_network(
    weights: list[ndarray], x: ndarray, y: ndarray, step: float, steps: int
) -> list[list[ndarray]]:
    """The weights after each step, the first as given; all rows take part in every step."""
    path = [weights]
    for _ in range(steps):
        gradient = back_propagate(path[-1], x, y)
        path.append([w - step * slope for w, slope in zip(path[-1], gradient, strict=True)])
    return path


def gradient_error(
    gradient: list[ndarray], weights: list[ndarray], x: ndarray, y: ndarray, nudge: float = 1e-6
) -> float:
    """How far a gradient is, at most, from the slope seen when a weight is nudged both ways."""
    worst = 0.0
    for values, promised in zip(weights, gradient, strict=True):
        for place in np.ndindex(values.shape):
            kept = values[place]
            values[place] = kept + nudge
            above = cross_entropy(weights, x, y)
            values[place] = kept - nudge
            below = cross_entropy(weights, x, y)
            values[place] = kept
            worst = max(worst, abs((above - below) / (2 * nudge) - promised[place]))
    return worst
