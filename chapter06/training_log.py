"""Read the log of a training job of the XGBoost algorithm: while it runs, and afterwards."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable

import boto3
import pandas as pd

# [12]#011train-auc:0.75780#011train-logloss:0.46741#011validation-auc:0.69047 …
# (#011 is the tab between them: CloudWatch has it so.)
_ROUND = re.compile(r"\[(\d+)\](?:#011|\t)(\S.*)")
_METRIC = re.compile(r"(?:#011|\t|^)([^:#\t]+):([-+.\deE]+|nan|inf)")


class RoundPrinter(logging.Handler):
    """Prints every `every`-th boosting round of what the SDK passes on of a job's log."""

    def __init__(self, every: int) -> None:
        super().__init__(logging.INFO)
        self._every = every
        # Kept, because the SDK's progress display replaces sys.stdout for as long as it is shown.
        self._output = sys.stdout

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record if it is the line of such a round."""
        found = _ROUND.search(record.getMessage())
        if found and int(found[1]) % self._every == 0:
            values = _METRIC.findall(found[2])
            metrics = "  ".join(f"{name} {float(value):.3f}" for name, value in values)
            print(f"round {found[1]:>3}  {metrics}", file=self._output, flush=True)


def show_rounds(every: int = 10) -> None:
    """Show every `every`-th round of the training jobs to come, and of the rest only errors.

    The SDK logs each step that it takes and each line of a job; both are of use when something
    goes wrong, and a distraction else. Raises ValueError unless `every` is positive.
    """
    if every < 1:
        raise ValueError(f"every must be 1 or more, got {every}")
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("sagemaker").setLevel(logging.ERROR)
    logging.getLogger("sagemaker.config").setLevel(logging.ERROR)
    followed = logging.getLogger("sagemaker.core.resources")
    followed.setLevel(logging.INFO)
    followed.propagate = False
    followed.handlers = [RoundPrinter(every)]


def read_rounds(lines: Iterable[str]) -> pd.DataFrame:
    """Return the metrics of each round: one column per metric, indexed by `round` from 0.

    Lines that are not of a round are passed over. Raises ValueError if none is.
    """
    rounds = {
        int(found[1]): {name: float(value) for name, value in _METRIC.findall(found[2])}
        for found in map(_ROUND.search, lines)
        if found
    }
    if not rounds:
        raise ValueError("the log holds no boosting round; did the job get as far as training?")
    return pd.DataFrame.from_dict(rounds, orient="index").rename_axis("round").sort_index()


def read_messages(job_name: str) -> list[str]:
    """Return the lines of a training job's log in CloudWatch, in order."""
    paginator = boto3.client("logs").get_paginator("filter_log_events")
    pages = paginator.paginate(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{job_name}/"
    )
    return list(pages.search("events[].message"))
