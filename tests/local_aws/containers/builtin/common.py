"""What the built-in algorithms share when they train: the log, and how a job ends.

The form of the log is that of AWS's jobs, as its examples show it:
https://github.com/aws/amazon-sagemaker-examples/tree/main/introduction_to_amazon_algorithms
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from .hyperparameters import Parameter

HOST = "algo-1"
MODEL_FILE = "model_algo-1"
# The status of a program that fails because of what it was given; SageMaker calls that ClientError.
CLIENT_ERROR_STATUS = 2


class ClientError(Exception):
    """Something that whoever started the job can put right."""


# ── log ──────────────────────────────────────────────────────────────────────────────────────────


def log(message: str, level: str = "INFO") -> None:
    """Write a line as the algorithms do: time, level, thread."""
    stamp = time.strftime("%m/%d/%Y %H:%M:%S", time.gmtime())
    print(f"[{stamp} {level} {threading.get_ident()}] {message}", flush=True)


def log_configuration(given: Mapping[str, str], parameters: Mapping[str, Parameter]) -> None:
    """Say what the job was given and what the defaults make of it."""
    defaults = {
        name: str(each.default) for name, each in parameters.items() if each.default is not None
    }
    log(
        "Reading default configuration from /opt/amazon/lib/python3.8/site-packages/algorithm/"
        f"resources/default-input.json: {defaults}"
    )
    log(
        "Merging with provided configuration from /opt/ml/input/config/hyperparameters.json: "
        f"{dict(given)}"
    )
    log(f"Final configuration: {defaults | dict(given)}")


def log_progress(completed: int, total: int) -> None:
    """Say what share of the epochs is done."""
    log(f"#progress_metric: host={HOST}, completed {100 * completed / total:.0f} % of epochs")


def log_throughput(records: int, seconds: float) -> None:
    """Say how many records a second were read."""
    rate = records / max(seconds, 1e-9)
    log(f"#throughput_metric: host={HOST}, train throughput={rate} records/second")


def log_quality(
    channel: str, metric: str, kind: str, value: float, epoch: int | None = None
) -> None:
    """Report a metric in the form that SageMaker reads.

    Args:
        channel: `train`, `validation` or `test`.
        metric: the name that the algorithm has for it.
        kind: `loss` if less is better, `score` if more is.
        epoch: from 0; None for the final model.
    """
    at = "" if epoch is None else f" epoch={epoch},"
    log(f"#quality_metric: host={HOST},{at} {channel} {metric} <{kind}>={value}")


def log_scores(channel: str, scores: Mapping[str, tuple[str, float]]) -> None:
    """Report the final model's metrics, each `(kind, value)` by its name."""
    for metric, (_, value) in scores.items():
        log(f"#{channel}_score ({HOST}) : ('{metric}', {value})")
    for metric, (kind, value) in scores.items():
        log_quality(channel, metric, kind, value)


# ── a job ────────────────────────────────────────────────────────────────────────────────────────


def run(ml: Path, train: Callable[[Path, dict[str, str]], None]) -> int:
    """Run a training job. Returns the exit status, 2 for a fault of the request.

    Args:
        ml: the folder that stands for `/opt/ml`.
        train: the algorithm; it gets the folder and the hyperparameters as they were given.
    """
    print("Docker entrypoint called with argument(s): train", flush=True)
    print("Running default environment configuration script", flush=True)
    configuration = ml / "input" / "config"
    given = json.loads((configuration / "hyperparameters.json").read_text())
    try:
        _require_one_host(configuration / "resourceconfig.json")
        # Matrices as small as a mini-batch are slower with several threads that wait for another.
        with threadpool_limits(limits=1, user_api="blas"):
            train(ml, given)
    except ClientError as error:
        log(f"Customer Error: {error}", "ERROR")
        _write_failure(ml, str(error))
        return CLIENT_ERROR_STATUS
    except Exception as error:
        log(f"Algorithm Error: {type(error).__name__}: {error}", "ERROR")
        _write_failure(ml, f"{type(error).__name__}: {error}")
        raise
    return 0


def _require_one_host(path: Path) -> None:
    hosts = json.loads(path.read_text())["hosts"] if path.exists() else [HOST]
    if len(hosts) > 1:
        raise ClientError(
            f"The job has {len(hosts)} instances. The offline AWS trains its built-in algorithms "
            "on one: set InstanceCount to 1."
        )


def _write_failure(ml: Path, message: str) -> None:
    (ml / "output").mkdir(exist_ok=True)
    (ml / "output" / "failure").write_text(message)
