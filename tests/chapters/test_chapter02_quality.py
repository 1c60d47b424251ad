"""Chapter 2: runs of Data Quality; the pictures of notebooks 2.2, 2.4 and 1.4."""

from __future__ import annotations

import json
from typing import Any

import boto3
import matplotlib.pyplot as plt
import pandas as pd
import pytest

from tests.chapters.loading import ROOT, load
from tests.local_aws.environment import LocalAWS

quality = load("chapter02", "quality")
deploying = load("chapter02", "deploying")
explore = load("chapter02", "figures_explore")
streams = load("chapter02", "figures_streams")
account = load("chapter01", "figures_account")


@pytest.fixture
def glue(aws: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client, and the table of airlines in the database `db`."""
    for name, value in aws.environ.items():
        monkeypatch.setenv(name, value)
    session = boto3.Session()
    session.client("s3").create_bucket(Bucket="lake")
    client = session.client("glue")
    client.create_database(DatabaseInput={"Name": "db"})
    data = (ROOT / "chapter02" / "data" / "airlines.parquet").read_bytes()
    session.client("s3").put_object(Bucket="lake", Key="airlines/a.parquet", Body=data)
    serde = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
    descriptor = {
        "Columns": [{"Name": name, "Type": "string"} for name in ("carrier", "name")],
        "Location": "s3://lake/airlines/",
        "SerdeInfo": {"SerializationLibrary": serde},
    }
    table = {"Name": "airlines", "StorageDescriptor": descriptor}
    client.create_table(DatabaseName="db", TableInput=table)
    return client


@pytest.fixture
def role(glue: Any) -> str:
    statement = quality.catalog_statement("us-east-1", "123456789012", "db")
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    return deploying.create_role(boto3.client("iam"), "quality", "glue", policy, {"a": "b"})


def test_rules_are_proposed_one_a_line(glue: Any, role: str) -> None:
    proposed = quality.recommend(glue, "db", "airlines", role)
    assert proposed[0] == "RowCount between 8 and 32"
    assert 'ColumnLength "carrier" = 2' in proposed
    assert not any(rule.endswith(",") for rule in proposed)


def test_results_say_which_rule_failed_and_why(glue: Any, role: str) -> None:
    rules = 'Rules = [ RowCount = 16, ReferentialIntegrity "carrier" "others.name" > 0.5 ]'
    glue.create_data_quality_ruleset(Name="r", Ruleset=rules)
    results = quality.evaluate(glue, "db", "airlines", "r", role, {"others": "airlines"})
    assert list(results["passed"]) == [True, False]
    assert results["message"][0] == ""
    assert results["message"][1].startswith("Value: 0.0 does not meet")


def test_a_run_that_fails_says_so() -> None:
    answer = {"Status": "FAILED", "ErrorString": "the table is gone"}
    with pytest.raises(quality.RunFailed, match="dqrun-1 is FAILED: the table is gone"):
        quality._wait(lambda **_: answer, "dqrun-1")


def test_a_run_that_never_ends_is_given_up() -> None:
    with pytest.raises(quality.RunFailed, match="still RUNNING after 0 seconds"):
        quality._wait(lambda **_: {"Status": "RUNNING"}, "dqrun-1", timeout_seconds=0)


def test_what_a_run_may_look_up_is_one_database() -> None:
    statement = quality.catalog_statement("us-east-1", "123456789012", "db")
    assert all("/db" in arn or arn.endswith(":catalog") for arn in statement["Resource"])
    assert json.dumps(statement)


# ── figures ──────────────────────────────────────────────────────────────────────────────────────


def drawn() -> plt.Axes:
    """The axes of the last figure."""
    return plt.gca()


def texts() -> set[str]:
    return {text.get_text().strip() for axes in plt.gcf().axes for text in axes.texts}


@pytest.fixture(autouse=True)
def _closed() -> Any:
    yield
    plt.close("all")


def test_figures_of_the_exploration_show_their_numbers() -> None:
    counts = pd.DataFrame({"minutes": [-5, 0, 15], "flights": [3000, 2000, 1000]})
    explore.delays(counts, -5.0, 7.0, "T")
    assert {"median -5", "mean +7"} <= texts()
    days = pd.Series([0.1, 0.5], index=pd.to_datetime(["2013-02-08", "2013-02-09"]))
    explore.cancelled_days(days, {"2013-02-09": "storm"}, "T")
    assert "storm" in texts()
    table = pd.DataFrame({"late": [0.4], "cancelled": [0.1], "flights": [1200]}, index=["fog"])
    explore.by_bins(table, "visibility", "T")
    assert {"40%", "10%"} <= texts()
    explore.unmatched(pd.Series({"MQ": 0.96, "UA": 0.03}), 0.16, "T")
    assert {"96%", "3%", "all flights: 16%"} <= texts()
    explore.rules(pd.DataFrame({"rule": ["RowCount > 1"], "passed": [False]}), "T")
    assert {"FAIL", "RowCount > 1"} <= texts()
    explore.carriers(pd.DataFrame({"late": [0.3], "expected": [0.2]}, index=["F9"]), "T")
    assert [label.get_text() for label in drawn().get_yticklabels()] == ["F9"]
    explore.hours_and_months(pd.DataFrame([[0.1, 0.2]], index=[6], columns=[8, 9]), "T")
    assert plt.gcf().axes[0].get_yticklabels()[0].get_text() == "Jun"


def test_figures_of_the_stream_show_their_numbers() -> None:
    shares = pd.DataFrame({"shard 0": [0.25], "shard 1": [0.75]}, index=["key"])
    streams.shard_shares(shares, "T")
    assert {"25%", "75%"} <= texts()
    rows = pd.DataFrame({"in time": [861], "late": [19]}, index=["2013-06-24"])
    streams.partitions(rows, "T")
    assert "861 + 19" in texts()
    kinds = ["departures", "doubles", "useless"]
    stages = pd.DataFrame([[2788, 56, 6], [2788, 0, 0]], index=["sent", "read"], columns=kinds)
    streams.accounts(stages, "T")
    assert {"2,788 + 56 + 6", "2,788"} <= texts()
    streams.reading_order({"a": pd.Series([1.0, 2.0]), "b": pd.Series([2.0, 1.0])}, "T")
    assert [axes.get_title() for axes in plt.gcf().axes] == ["a", "b"]


def test_figures_of_the_account_show_their_numbers() -> None:
    account.forgotten({"endpoint": 84.0, "data": 2.0}, 20, "T")
    assert {"84", "2", "budget: 20"} <= texts()
    account.permissions(pd.DataFrame({"role": [True, False]}, index=["a", "b"]), "T")
    assert {"allowed", "denied"} <= texts()
    account.quotas(["one", "two"], [4.0, 0.0], [1.0, 1.0])
    assert drawn().get_title() == "Ask for more of 1 of 2"
    assert {"1 of 4", "1 of 0"} <= texts()
