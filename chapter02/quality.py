"""Runs of Glue Data Quality, waited for, with their results as a table. boto3 has no waiter."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pandas as pd

import deploying


class RunFailed(Exception):
    """A run did not succeed; the message says why."""


def catalog_statement(region: str, account: str, database: str) -> dict[str, Any]:
    """What a run needs of the Data Catalog: to look up the tables of a database."""
    catalog = f"arn:aws:glue:{region}:{account}"
    return {
        "Effect": "Allow",
        "Action": ["glue:GetDatabase", "glue:GetTable", "glue:GetPartitions"],
        "Resource": [
            f"{catalog}:catalog",
            f"{catalog}:database/{database}",
            f"{catalog}:table/{database}/*",
        ],
    }


def recommend(glue: Any, database: str, table: str, role: str) -> list[str]:
    """The rules that Glue proposes for a table, in DQDL.

    Raises:
        RunFailed: with Glue's reason.
    """
    started = deploying.once_the_role_works(
        glue.start_data_quality_rule_recommendation_run,
        DataSource=_source(database, table),
        Role=role,
        NumberOfWorkers=5,
    )
    run = _wait(glue.get_data_quality_rule_recommendation_run, started["RunId"])
    # One rule a line; the first and the last line hold the brackets.
    lines = run["RecommendedRuleset"].strip().splitlines()[1:-1]
    return [line.strip().rstrip(",") for line in lines]


def evaluate(
    glue: Any, database: str, table: str, ruleset: str, role: str, others: dict[str, str]
) -> pd.DataFrame:
    """Evaluate a ruleset on a table.

    Args:
        glue: a boto3 client of AWS Glue.
        database, table: what to look at.
        ruleset: its name.
        role: the ARN of the role that the run reads with.
        others: further tables of the database that the rules refer to, by alias.

    Returns:
        A row for each rule: `rule`, `passed`, and `message`, empty for a rule that passed.

    Raises:
        RunFailed: with Glue's reason.
    """
    started = deploying.once_the_role_works(
        glue.start_data_quality_ruleset_evaluation_run,
        DataSource=_source(database, table),
        Role=role,
        NumberOfWorkers=5,
        RulesetNames=[ruleset],
        AdditionalDataSources={alias: _source(database, name) for alias, name in others.items()},
    )
    run = _wait(glue.get_data_quality_ruleset_evaluation_run, started["RunId"])
    result = glue.get_data_quality_result(ResultId=run["ResultIds"][0])
    return pd.DataFrame(
        {
            "rule": each["Description"],
            "passed": each["Result"] == "PASS",
            "message": each.get("EvaluationMessage", ""),
        }
        for each in result["RuleResults"]
    )


def _source(database: str, table: str) -> dict[str, Any]:
    return {"GlueTable": {"DatabaseName": database, "TableName": table}}


def _wait(
    get: Callable[..., dict[str, Any]],
    run_id: str,
    *,
    poll_seconds: float = 2.0,
    timeout_seconds: float = 1800,
) -> dict[str, Any]:
    until = time.monotonic() + timeout_seconds
    while (run := get(RunId=run_id))["Status"] in ("STARTING", "RUNNING"):
        if time.monotonic() > until:
            raise RunFailed(f"{run_id} is still {run['Status']} after {timeout_seconds} seconds")
        time.sleep(poll_seconds)
    if run["Status"] != "SUCCEEDED":
        raise RunFailed(f"{run_id} is {run['Status']}: {run.get('ErrorString', 'no reason given')}")
    return run
