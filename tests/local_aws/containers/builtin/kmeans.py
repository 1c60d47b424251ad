"""SageMaker's K-Means: mini-batches move K = k·x centers, which are then reduced to k.

Sources: "K-Means Hyperparameters", "How K-Means Clustering Works" and "K-Means Response Formats",
https://docs.aws.amazon.com/sagemaker/latest/dg/k-means.html. The artifact is one array without a
name, the centers, shape (k, feature_dim).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy

from . import ndarray
from .channels import Channel, check_width, read_channels
from .common import (
    MODEL_FILE,
    ClientError,
    log,
    log_configuration,
    log_progress,
    log_scores,
    log_throughput,
)
from .hyperparameters import choice, integer, real, validate, words
from .serving import BuiltInModel, Row

PARAMETERS = {
    "feature_dim": integer(1, required=True),
    "k": integer(1, required=True),
    "mini_batch_size": integer(1, default=5000),
    "init_method": choice("random", "kmeans++", default="random"),
    "extra_center_factor": integer(1, default="auto", auto=True),
    "local_lloyd_max_iter": integer(1, default=300),
    "local_lloyd_tol": real(0, 1, default=0.0001),
    "local_lloyd_init_method": choice("random", "kmeans++", default="kmeans++"),
    "local_lloyd_num_trials": integer(1, default="auto", auto=True),
    "half_life_time_size": integer(0, default=0),
    "epochs": integer(1, default=1),
    "eval_metrics": words("msd", "ssd", default=("msd",)),
}
CHANNELS = {"train": Channel(required=True), "test": Channel()}
# What `auto` stands for, as the log of a job says.
_AUTO_FACTOR = 10
_AUTO_TRIALS = 10
# Distances are computed for this many rows at a time.
_CHUNK = 4096


def train(ml: Path, given: dict[str, str]) -> None:
    """Train the centers of a job and leave them in the folder `model`.

    Raises:
        ClientError: hyperparameters, channels or data that the algorithm does not take.
    """
    log_configuration(given, PARAMETERS)
    settings = validate(given, PARAMETERS)
    data = read_channels(ml, CHANNELS)
    check_width(data, settings["feature_dim"])
    rows = data["train"].features.astype(numpy.float64)
    random = numpy.random.default_rng(0)
    started = time.monotonic()
    centers, sizes = _stream(rows, settings, random)
    log_throughput(len(rows) * settings["epochs"], time.monotonic() - started)
    centers = _shrink(rows, centers, sizes, settings)
    # A tuning job names the metric that it goes by, `test:ssd`.
    asked = given.get("_tuning_objective_metric", "").rpartition(":")[2]
    metrics = tuple(
        name for name in ("msd", "ssd") if name == asked or name in settings["eval_metrics"]
    )
    log_scores("train", _scores(rows, centers, metrics))
    (ml / "model").mkdir(exist_ok=True)
    content = ndarray.dump([centers.astype(numpy.float32)])
    (ml / "model" / MODEL_FILE).write_bytes(content)
    if "test" in data:
        log_scores("test", _scores(data["test"].features, centers, metrics))
    else:
        log("Test data is not provided.")


def load(folder: Path) -> KMeansModel:
    """The model in an unpacked artifact."""
    return KMeansModel(folder)


class KMeansModel(BuiltInModel):
    """Finds the closest center: Euclidean distance, in the units of the features."""

    csv_columns = ("closest_cluster", "distance_to_cluster")

    def __init__(self, folder: Path) -> None:
        (self._centers,) = ndarray.load((folder / MODEL_FILE).read_bytes())
        super().__init__(self._centers.shape[1])

    def predict(self, rows: numpy.ndarray) -> Iterator[Row]:
        """The number of the closest center, from 0, and the distance to it."""
        closest, squared = _assign(rows, self._centers)
        for cluster, distance in zip(closest, numpy.sqrt(squared), strict=True):
            yield {"closest_cluster": float(cluster), "distance_to_cluster": float(distance)}


# ── training ─────────────────────────────────────────────────────────────────────────────────────


def _stream(
    rows: numpy.ndarray, settings: dict[str, Any], random: numpy.random.Generator
) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Let mini-batches move K centers. Returns the centers and the weights of their points."""
    k, batch = settings["k"], settings["mini_batch_size"]
    if batch > len(rows):
        log(
            f"Batch size {batch} is bigger than the first batch data. Effective batch size used to "
            f"initialize is {len(rows)}",
            "WARNING",
        )
    first = rows[:batch]
    count = _number_of_centers(k, settings["extra_center_factor"], len(first))
    if settings["init_method"] == "random":
        centers = first[random.choice(len(first), count, replace=False)]
    else:
        from sklearn.cluster import kmeans_plusplus

        seed = int(random.integers(2**31))
        centers, _ = kmeans_plusplus(first, count, random_state=seed)
    centers = centers.copy()
    sizes = numpy.zeros(count)
    half_life = settings["half_life_time_size"]
    for epoch in range(settings["epochs"]):
        order = random.permutation(len(rows))
        for start in range(0, len(rows), batch):
            points = rows[order[start : start + batch]]
            if half_life:
                sizes *= 0.5 ** (len(points) / half_life)
            _move(centers, sizes, points)
        log(f"processed a total of {len(rows)} examples")
        log_progress(epoch + 1, settings["epochs"])
    return centers, sizes


def _number_of_centers(k: int, factor: int | str, available: int) -> int:
    """K = k·x, of which the first mini-batch must hold as many points."""
    if factor == "auto":
        if k > available:
            raise _too_many(k, "", available)
        factor = min(_AUTO_FACTOR, available // k)
        log(f"'extra_center_factor' was set to 'auto', evaluated to {factor}.")
    if k * factor > available:
        raise _too_many(k * factor, " * extra_center_factor", available)
    return k * factor


def _too_many(count: int, factor: str, available: int) -> ClientError:
    return ClientError(
        f"The number of initial centers k{factor} = {count} is larger than the number of records "
        f"in the first mini-batch, {available}. Give more data, or lower k or extra_center_factor; "
        "or raise mini_batch_size."
    )


def _move(centers: numpy.ndarray, sizes: numpy.ndarray, points: numpy.ndarray) -> None:
    """Move each center towards the mean of its new points, by their share of all its points."""
    closest, _ = _assign(points, centers)
    added = numpy.bincount(closest, minlength=len(centers))
    sums = numpy.zeros_like(centers)
    numpy.add.at(sums, closest, points)
    hit = added > 0
    means = sums[hit] / added[hit, None]
    share = (added[hit] / (sizes[hit] + added[hit]))[:, None]
    centers[hit] = (1 - share) * centers[hit] + share * means
    sizes += added


def _shrink(
    rows: numpy.ndarray, centers: numpy.ndarray, sizes: numpy.ndarray, settings: dict[str, Any]
) -> numpy.ndarray:
    """Reduce the centers to k with Lloyd's method, several times; the best result is taken.

    What counts as best is the mean squared distance of the training data.
    """
    from sklearn.cluster import KMeans

    k = settings["k"]
    used = sizes > 0
    if used.sum() < k:  # Fewer distinct points than clusters: keep centers that nobody is near.
        used[:] = True
    log(f"shrinking {len(centers)} centers into {k}")
    method = settings["local_lloyd_init_method"]
    trials = settings["local_lloyd_num_trials"]
    best, best_msd = None, numpy.inf
    for attempt in range(_AUTO_TRIALS if trials == "auto" else trials):
        lloyd = KMeans(
            k,
            init="k-means++" if method == "kmeans++" else "random",
            n_init=1,
            max_iter=settings["local_lloyd_max_iter"],
            tol=settings["local_lloyd_tol"],
            random_state=attempt,
        ).fit(centers[used], sample_weight=numpy.maximum(sizes[used], 1e-12))
        msd = float(_assign(rows, lloyd.cluster_centers_)[1].mean())
        log(f"local kmeans attempt #{attempt}. Current mean square distance {msd:.6f}")
        if best is None or msd < best_msd:
            best, best_msd = lloyd.cluster_centers_, msd
    log(f"finished shrinking process. Mean Square Distance = {best_msd:.6f}")
    assert best is not None
    return best


def _assign(rows: numpy.ndarray, centers: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The closest center of each row, and the squared distance to it."""
    centers = centers.astype(numpy.float64)
    closest, squared = [], []
    for start in range(0, len(rows), _CHUNK):
        part = rows[start : start + _CHUNK].astype(numpy.float64)
        products = (centers**2).sum(axis=1) - 2 * part @ centers.T
        nearest = products.argmin(axis=1)
        closest.append(nearest)
        # The difference itself: the expanded square loses digits far from the origin.
        squared.append(((part - centers[nearest]) ** 2).sum(axis=1))
    return numpy.concatenate(closest), numpy.concatenate(squared)


def _scores(
    rows: numpy.ndarray, centers: numpy.ndarray, metrics: tuple[str, ...]
) -> dict[str, tuple[str, float]]:
    squared = _assign(rows, centers)[1]
    values = {"msd": float(squared.mean()), "ssd": float(squared.sum())}
    return {metric: ("loss", values[metric]) for metric in metrics}
