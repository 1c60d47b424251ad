"""SageMaker's PCA: the top singular vectors of the data, exactly or from a random sketch.

Sources: "PCA Hyperparameters", "How PCA Works" and "PCA Response Formats",
https://docs.aws.amazon.com/sagemaker/latest/dg/pca.html. The artifact holds `mean`, shape
(1, feature_dim), if there is one, `v`, shape (feature_dim, num_components), and the singular values
`s`; the largest component comes last, and so it does in a projection.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy

from . import ndarray
from .channels import Channel, check_width, read_channels
from .common import MODEL_FILE, ClientError, log, log_configuration, log_progress, log_throughput
from .hyperparameters import choice, flag, integer, validate
from .serving import BuiltInModel, Row

PARAMETERS = {
    "feature_dim": integer(1, required=True),
    "mini_batch_size": integer(1, required=True),
    "num_components": integer(1, required=True),
    "algorithm_mode": choice("regular", "randomized", default="regular"),
    "subtract_mean": flag(True),
    "extra_components": integer(-1, default=-1),
}
CHANNELS = {"train": Channel(required=True), "test": Channel()}


def train(ml: Path, given: dict[str, str]) -> None:
    """Find the components of a job's data and leave them in the folder `model`.

    Raises:
        ClientError: hyperparameters, channels or data that the algorithm does not take.
    """
    log_configuration(given, PARAMETERS)
    settings = validate(given, PARAMETERS)
    count, width = settings["num_components"], settings["feature_dim"]
    if count > width:
        raise ClientError(
            f"The hyperparameter 'num_components' is {count}, but there are no more components "
            f"than features: 'feature_dim' is {width}"
        )
    data = read_channels(ml, CHANNELS)
    check_width(data, width)
    rows = data["train"].features.astype(numpy.float64)
    if count > len(rows):
        raise ClientError(
            f"The hyperparameter 'num_components' is {count}, but the training data has only "
            f"{len(rows)} records"
        )
    started = time.monotonic()
    summarise = _exact if settings["algorithm_mode"] == "regular" else _sketch
    matrix, mean = summarise(rows, settings)
    log_progress(1, 1)
    log_throughput(len(rows), time.monotonic() - started)
    arrays = _components(matrix, count) | ({} if mean is None else {"mean": mean[None, :]})
    arrays = {name: array.astype(numpy.float32) for name, array in arrays.items()}
    (ml / "model").mkdir(exist_ok=True)
    (ml / "model" / MODEL_FILE).write_bytes(ndarray.dump(arrays))
    if "test" in data:
        _log_test(data["test"].features, arrays)
    else:
        log("Test data is not provided.")


def load(folder: Path) -> PCAModel:
    """The model in an unpacked artifact."""
    return PCAModel(folder)


class PCAModel(BuiltInModel):
    """Projects rows on the components."""

    list_name = "projections"

    def __init__(self, folder: Path) -> None:
        arrays = ndarray.load((folder / MODEL_FILE).read_bytes())
        assert isinstance(arrays, dict)
        self._arrays = arrays
        super().__init__(arrays["v"].shape[0])

    def predict(self, rows: numpy.ndarray) -> Iterator[Row]:
        """One value for each component, the largest component last."""
        for projection in _project(rows, self._arrays):
            yield {"projection": projection.tolist()}


# ── training ─────────────────────────────────────────────────────────────────────────────────────

# Each way of summing up goes over the mini-batches once. It gives a matrix whose right singular
# vectors are the components, and the mean; None if the mean is not subtracted.
_Summary = tuple[numpy.ndarray, numpy.ndarray | None]


def _exact(rows: numpy.ndarray, settings: dict[str, Any]) -> _Summary:
    """Mode `regular`: the rows, centered.

    AWS sums up their products, since the data lie on several machines. The singular vectors are the
    same, and the small ones more exact.
    """
    if not settings["subtract_mean"]:
        return rows, None
    mean = rows.mean(axis=0)
    return rows - mean, mean


def _sketch(rows: numpy.ndarray, settings: dict[str, Any]) -> _Summary:
    """Mode `randomized`: B = sum of H·X over the mini-batches X, with random signs H.

    C = B - h·s/n takes the mean out afterwards; h is the sum of the columns of all H, s that of all
    rows. Divided by the square root of the number of rows of B, it has the scale of the data.
    """
    count = settings["num_components"]
    extra = settings["extra_components"]
    height = count + (max(10, count) if extra == -1 else extra)
    random = numpy.random.default_rng(0)
    batch = settings["mini_batch_size"]
    products = numpy.zeros((height, rows.shape[1]))
    signs_sum = numpy.zeros(height)
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        signs = random.choice([-1.0, 1.0], size=(height, len(part)))
        products += signs @ part
        signs_sum += signs.sum(axis=1)
    mean = rows.mean(axis=0)
    if settings["subtract_mean"]:
        products -= numpy.outer(signs_sum, mean)
    return products / numpy.sqrt(height), mean if settings["subtract_mean"] else None


def _components(matrix: numpy.ndarray, count: int) -> dict[str, numpy.ndarray]:
    """The top right singular vectors as columns, and the singular values; the largest last."""
    _, values, vectors = numpy.linalg.svd(matrix, full_matrices=False)
    vectors = vectors[:count]
    # The sign of a vector is free; the largest weight is positive, so that it is always the same.
    largest = numpy.abs(vectors).argmax(axis=1)
    vectors = vectors * numpy.sign(vectors[numpy.arange(len(vectors)), largest])[:, None]
    return {"s": values[:count][::-1], "v": vectors[::-1].T}


def _project(rows: numpy.ndarray, arrays: dict[str, numpy.ndarray]) -> numpy.ndarray:
    centered = rows - arrays["mean"] if "mean" in arrays else rows
    return centered @ arrays["v"]


def _log_test(rows: numpy.ndarray, arrays: dict[str, numpy.ndarray]) -> None:
    """Score the test data by the share of their variance that the components keep.

    AWS says that test data are scored, but not how; SageMaker reads no metric of PCA's from a log.
    """
    centered = rows - arrays["mean"] if "mean" in arrays else rows
    total = float((centered**2).sum())
    kept = float((_project(rows, arrays) ** 2).sum())
    share = kept / total if total else 1.0
    log(f"#test_score (algo-1) : ('explained_variance_ratio', {share})")
