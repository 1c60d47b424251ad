"""SageMaker's Random Cut Forest: points that a random cut soon isolates are anomalous.

Sources: "RCF Hyperparameters", "How RCF Works" and "RCF Response Formats",
https://docs.aws.amazon.com/sagemaker/latest/dg/randomcutforest.html; S. Guha, N. Mishra, G. Roy and
O. Schrijvers, "Robust Random Cut Forest Based Anomaly Detection on Streams", ICML 2016; and for the
score https://github.com/aws/random-cut-forest-by-aws (`AnomalyScoreVisitor`), by the same authors.
The format of AWS's own artifact is not public; this one is a file of arrays, see `ndarray`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy

from . import ndarray
from .channels import Channel, Data, check_width, read_channels
from .common import (
    MODEL_FILE,
    ClientError,
    log,
    log_configuration,
    log_progress,
    log_scores,
    log_throughput,
)
from .hyperparameters import integer, validate, words
from .serving import BuiltInModel, Row

PARAMETERS = {
    "feature_dim": integer(1, 10_000, required=True),
    "num_trees": integer(50, 1000, default=100),
    "num_samples_per_tree": integer(1, 2048, default=256),
    "eval_metrics": words(
        "accuracy", "precision_recall_fscore", default=("accuracy", "precision_recall_fscore")
    ),
    "mini_batch_size": integer(1, default=1000),
    "epochs": integer(1, 1, default=1),
}
CHANNELS = {
    "train": Channel(required=True, distribution="ShardedByS3Key"),
    "test": Channel(needs_label=True, distribution="FullyReplicated"),
}
# Rows are scored in parts: so many values of boxes are looked at in one go.
_CHUNK = 2_000_000


def train(ml: Path, given: dict[str, str]) -> None:
    """Build the forest of a job and leave it in the folder `model`.

    Raises:
        ClientError: hyperparameters, channels or data that the algorithm does not take.
    """
    log_configuration(given, PARAMETERS)
    log("Verifying hyperparamemters...")
    settings = validate(given, PARAMETERS)
    log("Hyperparameters are correct.")
    data = read_channels(ml, CHANNELS)
    log("Validating that feature_dim agrees with dimensions in training data...")
    check_width(data, settings["feature_dim"])
    log("feature_dim is correct.")
    if "test" in data:
        _check_labels(data["test"])
    started = time.monotonic()
    random = numpy.random.default_rng(0)
    trees, size = settings["num_trees"], settings["num_samples_per_tree"]
    samples = _sample(data["train"].features, trees, size, random)
    log_progress(1, 1)
    log_throughput(len(data["train"].features), time.monotonic() - started)
    log("Building Random Cut Forest...")
    forest = build(samples, random)
    log(
        f"Random Cut Forest built: ForestInfo{{num_trees: {trees}, num_samples_in_forest: "
        f"{samples.shape[0] * samples.shape[1]}, num_samples_per_tree: {samples.shape[1]}, "
        f"sample_dim: {samples.shape[2]}}}"
    )
    (ml / "model").mkdir(exist_ok=True)
    (ml / "model" / MODEL_FILE).write_bytes(ndarray.dump(forest.arrays()))
    if "test" in data:
        log_scores("test", _evaluate(forest, data["test"], settings["eval_metrics"]))
    else:
        log("Test data is not provided.")


def load(folder: Path) -> RandomCutForestModel:
    """The model in an unpacked artifact."""
    return RandomCutForestModel(folder)


class RandomCutForestModel(BuiltInModel):
    """Scores rows: about 1 for a usual one, more for an anomaly."""

    list_name = "scores"

    def __init__(self, folder: Path) -> None:
        arrays = ndarray.load((folder / MODEL_FILE).read_bytes())
        assert isinstance(arrays, dict)
        self._forest = Forest(**arrays)
        super().__init__(self._forest.lows.shape[1])

    def predict(self, rows: numpy.ndarray) -> Iterator[Row]:
        """The anomaly score of each row."""
        for score in self._forest.score(rows):
            yield {"score": float(score)}


# ── the forest ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Forest:
    """Random cut trees, the nodes of all trees in one table.

    A node without children is a leaf: one point, or several equal ones.

    Attributes:
        roots: the root of each tree.
        lows, highs: the bounding box of the points in a node, shape (nodes, features).
        cut_features, cut_values: where a node is cut; what is not above the value is on the left.
        lefts, rights: the children of a node; -1 for a leaf.
        masses: the number of points in a node.
    """

    roots: numpy.ndarray
    lows: numpy.ndarray
    highs: numpy.ndarray
    cut_features: numpy.ndarray
    cut_values: numpy.ndarray
    lefts: numpy.ndarray
    rights: numpy.ndarray
    masses: numpy.ndarray

    def arrays(self) -> dict[str, numpy.ndarray]:
        """The table, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def score(self, rows: numpy.ndarray) -> numpy.ndarray:
        """The anomaly score of each row: the mean over the trees.

        A tree's score is the expectation over the cuts that inserting the point would have made:
        at a node of depth t, a cut separates the point from the node's box with the probability
        p = (growth of the box) / (extent of the grown box), summed over the features, which scores
        1 / (t + 1); otherwise the point goes on to the child on its side. A point that equals a
        leaf scores 1 / (t + log2(1 + mass)), damped by the leaf's share of the tree. All is scaled
        by log2(1 + size of the tree), so that trees of different sizes can be compared.
        """
        rows = rows.astype(numpy.float32)
        step = max(1, _CHUNK // (len(self.roots) * self.lows.shape[1]))
        parts = [self._score(rows[start : start + step]) for start in range(0, len(rows), step)]
        return numpy.concatenate(parts) if parts else numpy.empty(0)

    def _score(self, rows: numpy.ndarray) -> numpy.ndarray:
        trees = len(self.roots)
        pair_rows = numpy.repeat(numpy.arange(len(rows)), trees)
        nodes = numpy.tile(self.roots, len(rows))
        tree_masses = self.masses[nodes].astype(numpy.float64)
        scores = numpy.zeros(len(nodes))
        reached = numpy.ones(len(nodes))  # the probability of getting as far as the node
        active = numpy.arange(len(nodes))
        depth = 0
        while active.size:
            here, points = nodes[active], rows[pair_rows[active]]
            lows, highs = self.lows[here], self.highs[here]
            growth = numpy.maximum(lows - points, 0) + numpy.maximum(points - highs, 0)
            grown = growth.sum(axis=1, dtype=numpy.float64)
            extent = (highs - lows).sum(axis=1, dtype=numpy.float64) + grown
            is_leaf = self.lefts[here] < 0
            is_seen = is_leaf & (grown == 0)
            apart = numpy.divide(grown, extent, out=numpy.zeros_like(grown), where=extent > 0)
            leaf_masses = self.masses[here]
            damped = 1 - leaf_masses / (2 * tree_masses[active])
            seen = damped / numpy.maximum(depth + numpy.log2(1 + leaf_masses), 1e-12)
            scored = numpy.where(is_seen, seen, apart / (depth + 1))
            scores[active] += reached[active] * scored
            reached[active] *= 1 - apart
            active = active[~is_leaf & (reached[active] > 1e-9)]
            below = nodes[active]
            values = rows[pair_rows[active], self.cut_features[below]]
            goes_left = values <= self.cut_values[below]
            nodes[active] = numpy.where(goes_left, self.lefts[below], self.rights[below])
            depth += 1
        scaled = scores * numpy.log2(1 + tree_masses)
        return scaled.reshape(len(rows), trees).mean(axis=1)


def build(samples: numpy.ndarray, random: numpy.random.Generator) -> Forest:
    """Random cut trees of samples, one for each; all trees grow by one level at a time.

    A node is cut in a feature chosen with a probability proportional to the extent of the box of
    its points, at a uniformly random place within it, until all points of a node are equal
    (Guha et al. 2016, Definition 1).

    Args:
        samples: shape (trees, points, features).
    """
    trees, size, width = samples.shape
    points = samples.reshape(-1, width).astype(numpy.float32)
    nodes = numpy.repeat(numpy.arange(trees), size)  # the node in which each point is
    order = numpy.arange(len(points))  # the points of unfinished nodes, those of a node together
    levels = []
    first, count = 0, trees
    while count:
        starts = numpy.flatnonzero(numpy.diff(nodes[order], prepend=-1))
        lows = numpy.minimum.reduceat(points[order], starts)
        highs = numpy.maximum.reduceat(points[order], starts)
        masses = numpy.diff(starts, append=len(order))
        extents = (highs - lows).astype(numpy.float64)
        is_split = extents.sum(axis=1) > 0
        features, values = _cut(lows, highs, extents, random)
        children = first + count + 2 * (numpy.cumsum(is_split) - 1)
        lefts = numpy.where(is_split, children, -1)
        rights = numpy.where(is_split, children + 1, -1)
        levels.append((lows, highs, features, values, lefts, rights, masses))
        local = nodes[order] - first
        order = order[is_split[local]]
        local = nodes[order] - first
        goes_left = points[order, features[local]] <= values[local]
        nodes[order] = numpy.where(goes_left, lefts[local], rights[local])
        order = order[numpy.argsort(nodes[order], kind="stable")]
        first, count = first + count, 2 * int(is_split.sum())
    lows, highs, features, values, lefts, rights, masses = (
        numpy.concatenate(each) for each in zip(*levels, strict=True)
    )
    return Forest(
        numpy.arange(trees, dtype=numpy.int32),
        lows,
        highs,
        features.astype(numpy.int32),
        values,
        lefts.astype(numpy.int32),
        rights.astype(numpy.int32),
        masses.astype(numpy.int32),
    )


def _cut(
    lows: numpy.ndarray,
    highs: numpy.ndarray,
    extents: numpy.ndarray,
    random: numpy.random.Generator,
) -> tuple[numpy.ndarray, numpy.ndarray]:
    """A feature and a value in it for each node. A point uniform in the sum of the extents."""
    upto = extents.cumsum(axis=1)
    drawn = random.random(len(lows)) * upto[:, -1]
    features = numpy.minimum((upto <= drawn[:, None]).sum(axis=1), extents.shape[1] - 1)
    nodes = numpy.arange(len(lows))
    before = upto[nodes, features] - extents[nodes, features]
    low, high = lows[nodes, features], highs[nodes, features]
    values = (low + (drawn - before)).astype(numpy.float32)
    # Rounded to float32, a cut could leave all points on one side.
    return features, numpy.clip(values, low, numpy.nextafter(high, low))


def _sample(
    rows: numpy.ndarray, trees: int, size: int, random: numpy.random.Generator
) -> numpy.ndarray:
    """A random sample without replacement, in equal parts for the trees.

    Of fewer rows than asked for each tree gets an equal share, as AWS's algorithm does.

    Raises:
        ClientError: there are fewer rows than trees.
    """
    if len(rows) < trees:
        raise ClientError(
            f"The training data has {len(rows)} records, fewer than one for each of the "
            f"{trees} trees. Give more data, or lower 'num_trees' (to 50 at the least)."
        )
    wanted = min(trees * size, len(rows))
    log(f"{wanted} samples gathered")
    share = wanted // trees
    chosen = random.choice(len(rows), trees * share, replace=False)
    return rows[chosen].reshape(trees, share, rows.shape[1])


# ── evaluation ───────────────────────────────────────────────────────────────────────────────────


def _check_labels(data: Data) -> None:
    assert data.labels is not None
    wrong = sorted(set(numpy.unique(data.labels).tolist()) - {0.0, 1.0})
    if wrong:
        raise ClientError(
            f"The labels in channel 'test' must be 1 for an anomalous data point and 0 for a "
            f"normal one, but there is {wrong[0]:g}"
        )


def _evaluate(forest: Forest, data: Data, metrics: tuple[str, ...]) -> dict[str, tuple[str, float]]:
    """The metrics of labelled data: what scores above mean + 3 standard deviations is anomalous."""
    scores = forest.score(data.features)
    found = scores > scores.mean() + 3 * scores.std()
    truth = data.labels == 1
    results = {}
    if "accuracy" in metrics:
        results["accuracy"] = float((found == truth).mean())
    if "precision_recall_fscore" in metrics:
        hits = float((found & truth).sum())
        precision = hits / max(float(found.sum()), 1.0)
        recall = hits / max(float(truth.sum()), 1.0)
        both = precision + recall
        f1 = 2 * precision * recall / both if both else 0.0
        results |= {"precision": precision, "recall": recall, "f1": f1}
    return {name: ("score", value) for name, value in results.items()}
