"""Read the log of a training job, and of the XGBoost algorithm its boosting rounds."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

import boto3
import pandas as pd

# [12]#011train-auc:0.75780#011train-logloss:0.46741#011validation-auc:0.69047 …
# (#011 is the tab between them: CloudWatch has it so.)
_ROUND = re.compile(r"\[(\d+)\](?:#011|\t)(\S.*)")
_METRIC = re.compile(r"(?:#011|\t|^)([^:#\t]+):([-+.\deE]+|nan|inf)")


def quiet_sdk() -> None:
    """Show of the SageMaker SDK's log only errors; what a job prints is read from its own log."""
    for name in ("sagemaker", "sagemaker.config", "sagemaker.core.resources"):
        logging.getLogger(name).setLevel(logging.ERROR)


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
