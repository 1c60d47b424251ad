"""What a tuning job has found: its jobs in order, the surface behind them, the gain on new data."""

from __future__ import annotations

import tempfile
import time
import warnings
from pathlib import Path

import boto3
import numpy as np
import pandas as pd
import xgboost as xgb
from sagemaker.core import shapes
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.metrics import log_loss

import evaluate
import prepare_features

LOGGED = ("eta", "min_child_weight")
_ENDED = ("Completed", "Failed", "Stopped")


def thin_training(flights: pd.DataFrame, rows: int, first_month: int = 10) -> pd.DataFrame:
    """Keep so many of the flights before a month, drawn at random, and all that follow.

    Raises:
        ValueError: there are fewer.
    """
    early = flights["month"] < first_month
    if rows > early.sum():
        raise ValueError(
            f"{rows:,} flights wanted, only {early.sum():,} before month {first_month}"
        )
    kept = flights[early].sample(rows, random_state=0).index
    return flights[~early | flights.index.isin(kept)]


def wait(name: str, poll: float = 15.0) -> dict:
    """Wait until a tuning job has ended; its description.

    Args:
        poll: seconds between two looks; the first ones follow faster.

    Raises:
        RuntimeError: it failed or was stopped, with the reason that SageMaker gives.
    """
    client, pause = boto3.client("sagemaker"), 0.5
    while True:
        job = client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        status = job["HyperParameterTuningJobStatus"]
        if status in _ENDED:
            break
        time.sleep(pause)
        pause = min(1.3 * pause, poll)
    if status != "Completed":
        raise RuntimeError(f"{name}: {status}: {job.get('FailureReason', 'no reason given')}")
    return job


def warm_start(parent: str) -> shapes.HyperParameterTuningJobWarmStartConfig:
    """Let a tuning job begin with what another one has found on the same data and algorithm."""
    return shapes.HyperParameterTuningJobWarmStartConfig(
        parent_hyper_parameter_tuning_jobs=[
            shapes.ParentHyperParameterTuningJob(hyper_parameter_tuning_job_name=parent)
        ],
        warm_start_type="IdenticalDataAndAlgorithm",
    )


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """The jobs of an analytics frame in the order of their numbers, with the best value so far.

    Args:
        frame: of `HyperparameterTuner.analytics()`, for an objective that is minimised.
    """
    if not frame["FinalObjectiveValue"].notna().any():
        raise ValueError("no job of the frame has a value of the objective")
    number = frame["TrainingJobName"].str.extract(r"-(\d{3})-[0-9a-f]{8}$", expand=False)
    ordered = frame.assign(job=number.astype(int)).sort_values("job").reset_index(drop=True)
    return ordered.assign(best=ordered["FinalObjectiveValue"].cummin())


def surface(jobs: pd.DataFrame, x: str, y: str, steps: int = 40) -> tuple[np.ndarray, ...]:
    """What a Gaussian process believes of the objective over two hyperparameters.

    Args:
        jobs: one row a job, with `FinalObjectiveValue`; those without a value are left out.
        x, y: columns; those in `LOGGED` are taken in powers of ten.

    Returns:
        x values (steps,), y values (steps,), expected objective (steps, steps), y by x.

    Source: C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning", 2006
    """
    known = jobs.dropna(subset=["FinalObjectiveValue"])
    points = np.column_stack([_scaled(known[name], name) for name in (x, y)])
    low, high = points.min(axis=0), points.max(axis=0)
    unit = (points - low) / (high - low)
    values = known["FinalObjectiveValue"].to_numpy()
    kernel = ConstantKernel(1.0) * RBF([0.5, 0.5], (0.2, 5)) + WhiteKernel(0.1, (1e-3, 1))
    process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
    with warnings.catch_warnings():
        # So few points may leave a parameter of the kernel at its bound, which is no failure.
        warnings.simplefilter("ignore", ConvergenceWarning)
        process.fit(unit, values)
    axis = np.linspace(0, 1, steps)
    grid = np.column_stack([each.ravel() for each in np.meshgrid(axis, axis)])
    expected = process.predict(grid).reshape(steps, steps)
    return *(_unscaled(low[i] + axis * (high - low)[i], (x, y)[i]) for i in (0, 1)), expected


def seed_spread(folder: Path, settings: dict, seeds: range) -> pd.Series:
    """The validation log loss of the same settings under several seeds, trained here.

    Args:
        folder: with `train/train.csv` and `validation/validation.csv`.
        settings: hyperparameters of XGBoost, with `num_round`.
    """
    matrices = {name: read_matrix(folder, name) for name in ("train", "validation")}
    truth = matrices["validation"].get_label()
    losses = {}
    given = {key: value for key, value in settings.items() if key != "num_round"}
    for seed in seeds:
        own = given | {"seed": seed, "nthread": 2}
        booster = xgb.train(own, matrices["train"], settings["num_round"])
        losses[seed] = log_loss(truth, booster.predict(matrices["validation"]))
    return pd.Series(losses, name="log loss")


def read_matrix(folder: Path, name: str) -> xgb.DMatrix:
    """The prepared rows of one part, such as `validation/validation.csv` of a folder."""
    features, labels = evaluate.read_labelled(folder / name / f"{name}.csv")
    return xgb.DMatrix(features, label=labels, nthread=2)


def matrices_of_all(flights: pd.DataFrame) -> tuple[xgb.DMatrix, xgb.DMatrix]:
    """All flights of the training months and of the test months, prepared as for the jobs."""
    parts = prepare_features.split_by_time(flights)
    encoding = prepare_features.learn_encoding(parts["train"])
    train, test = (
        xgb.DMatrix(
            prepare_features.encode(parts[name], encoding).to_numpy("float32"),
            label=parts[name]["late"],
            nthread=2,
        )
        for name in ("train", "test")
    )
    return train, test


def fetch_model(training_job: str) -> xgb.Booster:
    """The model that a training job left in S3."""
    job = boto3.client("sagemaker").describe_training_job(TrainingJobName=training_job)
    bucket, _, key = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix("s3://").partition("/")
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "model.tar.gz"
        boto3.client("s3").download_file(bucket, key, str(archive))
        return evaluate.load_model(archive)


def gain_by_day(
    labels: np.ndarray, old: np.ndarray, new: np.ndarray, days: pd.Series, draws: int = 1000
) -> tuple[float, float, float]:
    """How much smaller the log loss has become, with a 95 % interval.

    Flights of one day share their weather, so days are drawn with replacement, not flights.

    Args:
        labels: 0 or 1, (flights,).
        old, new: probabilities, (flights,).
        days: the date of each flight, (flights,).

    Returns:
        The mean gain, and the lower and upper end of its interval.
    """
    losses = [-np.log(np.where(labels == 1, each, 1 - each).clip(1e-7)) for each in (old, new)]
    by_day = pd.DataFrame({"gain": losses[0] - losses[1], "n": 1}).groupby(np.asarray(days)).sum()
    random = np.random.default_rng(0)
    chosen = random.integers(len(by_day), size=(draws, len(by_day)))
    gains = by_day["gain"].to_numpy()[chosen].sum(1) / by_day["n"].to_numpy()[chosen].sum(1)
    low, high = np.quantile(gains, [0.025, 0.975])
    return float(by_day["gain"].sum() / by_day["n"].sum()), float(low), float(high)


def delete_tuning_jobs(prefix: str) -> None:
    """Take the tuning jobs whose name begins with the prefix out of SageMaker's list."""
    client = boto3.client("sagemaker")
    for name in list_tuning_jobs(prefix):
        client.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)


def list_tuning_jobs(prefix: str) -> list[str]:
    """The names of the tuning jobs that begin with the prefix."""
    pages = boto3.client("sagemaker").get_paginator("list_hyper_parameter_tuning_jobs")
    found = pages.paginate(NameContains=prefix).search(
        "HyperParameterTuningJobSummaries[].HyperParameterTuningJobName"
    )
    return [name for name in found if name.startswith(prefix)]


def _scaled(values: pd.Series, name: str) -> np.ndarray:
    return np.log10(values.to_numpy(float)) if name in LOGGED else values.to_numpy(float)


def _unscaled(values: np.ndarray, name: str) -> np.ndarray:
    return 10**values if name in LOGGED else values
