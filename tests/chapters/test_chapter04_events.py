"""Chapter 4.1: the function that looks at files, the job that makes features, the template."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cfnlint.api
import matplotlib
import pandas as pd
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from tests.chapters.loading import load
from tests.local_aws.environment import LocalAWS

matplotlib.use("Agg")
CHAPTER = Path(__file__).parents[2] / "chapter04"
LAKE = "a-lake"
KEY = "raw/day=2010-12-01/invoices.csv"

daily_features_job = load("chapter04", "daily_features_job")
figures_events = load("chapter04", "figures_events")


@pytest.fixture(scope="module")
def lines() -> pd.DataFrame:
    """The first 300 lines of the week."""
    return pd.read_parquet(CHAPTER / "data" / "invoices.parquet").head(300)


def csv(lines: pd.DataFrame) -> bytes:
    return lines.to_csv(index=False).encode()


# ── the function ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def intake(aws: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The function's module, as it runs in a function; its job starts nothing here."""
    for name, value in aws.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("JOB", "no-such-job")
    aws.client("s3").create_bucket(Bucket=LAKE)
    yield load("chapter04", "intake_lambda")


def event(aws: LocalAWS, key: str, body: bytes) -> dict[str, Any]:
    """Put an object and tell of it as EventBridge does."""
    etag = aws.client("s3").put_object(Bucket=LAKE, Key=key, Body=body)["ETag"].strip('"')
    return {"detail": {"bucket": {"name": LAKE}, "object": {"key": key, "etag": etag}}}


@pytest.mark.parametrize(
    ("key", "change", "reason"),
    [
        ("raw/invoices.csv", lambda lines: csv(lines), "the key is not raw/day=YYYY-MM-DD"),
        (KEY, lambda lines: csv(lines.drop(columns="price")), "the header lacks price"),
        (KEY, lambda lines: b"", "the file is empty"),
        (KEY, lambda lines: b"\x89PNG\r\n\x1a\n" * 50, "the header lacks invoice"),
    ],
)
def test_a_wrong_file_is_quarantined_with_its_reason(aws, intake, lines, key, change, reason):
    body = change(lines)
    answer = intake.handler(event(aws, key, body), None)
    assert answer["status"] == "quarantined" and answer["reason"].startswith(reason)
    s3 = aws.client("s3")
    assert s3.get_object(Bucket=LAKE, Key=f"quarantine/{key}")["Body"].read() == body
    kept = s3.get_object(Bucket=LAKE, Key=f"quarantine/{key}.reason.txt")["Body"].read()
    assert kept.decode() == answer["reason"]


def test_a_file_that_is_done_starts_nothing(aws, intake, lines):
    arrived = event(aws, KEY, csv(lines))
    manifest = {"etag": arrived["detail"]["object"]["etag"]}
    aws.client("s3").put_object(
        Bucket=LAKE, Key="features/day=2010-12-01/manifest.json", Body=json.dumps(manifest)
    )
    assert intake.handler(arrived, None)["status"] == "unchanged"


def test_what_glue_refuses_is_raised_so_that_lambda_tries_again(aws, intake, lines):
    with pytest.raises(ClientError, match="EntityNotFoundException"):
        intake.handler(event(aws, KEY, csv(lines)), None)


# ── the job ──────────────────────────────────────────────────────────────────────────────────────


def test_features_of_a_customer_by_hand():
    body = (
        b"invoice,stock_code,description,quantity,invoice_date,price,customer_id,country\n"
        b"1,A,a,2,2010-12-01 08:00:00,1.50,7,UK\n"
        b"1,B,b,1,2010-12-01 08:00:00,4.00,7,UK\n"
        b"C2,A,a,-1,2010-12-01 15:30:00,1.50,7,UK\n"
    )
    table = daily_features_job.features_of(daily_features_job.read(body))
    assert table.to_dict("records") == [
        {
            "customer_id": 7,
            "lines": 3,
            "products": 2,
            "invoices": 2,
            "bought": 3,
            "returned": 1,
            "revenue": 5.5,
            "first_hour": 8,
            "last_hour": 15,
        }
    ]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("quantity", "twelve", "line 4: quantity 'twelve' is not a whole number"),
        ("quantity", "1.5", "line 4: quantity '1.5' is not a whole number"),
        ("price", "", "line 4: price '' is not a number"),
    ],
)
def test_a_cell_that_cannot_be_used_is_named(lines, column, value, message):
    broken = lines.astype({column: "object"})
    broken.iloc[2, broken.columns.get_loc(column)] = value
    with pytest.raises(ValueError, match=message):
        daily_features_job.read(csv(broken))


def test_the_job_counts_every_line(aws, lines):
    s3, glue, iam = (aws.client(name) for name in ("s3", "glue", "iam"))
    s3.create_bucket(Bucket=LAKE)
    s3.put_object(Bucket=LAKE, Key="job.py", Body=(CHAPTER / "daily_features_job.py").read_bytes())
    doubled = pd.concat([lines, lines.head(50)])
    doubled.iloc[:20, doubled.columns.get_loc("customer_id")] = pd.NA
    s3.put_object(Bucket=LAKE, Key=KEY, Body=csv(doubled))
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "glue.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    role = iam.create_role(RoleName="job", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    command = {"Name": "pythonshell", "ScriptLocation": f"s3://{LAKE}/job.py"}
    arguments = {"--lake": LAKE, "--key": KEY, "--day": "2010-12-01", "--etag": "e"}
    glue.create_job(Name="job", Role=role, Command=command, DefaultArguments=arguments)
    event_pipeline = load("chapter04", "event_pipeline")
    fingerprints = []
    for _ in range(2):
        run_id = glue.start_job_run(JobName="job")["JobRunId"]

        def ended(run_id: str = run_id) -> Any:
            run = glue.get_job_run(JobName="job", RunId=run_id)["JobRun"]
            return run if run["JobRunState"] in ("SUCCEEDED", "FAILED") else None

        run = event_pipeline.wait_until(ended, "the job still runs", poll_seconds=0.1)
        assert run.get("ErrorMessage") is None
        listed = s3.list_objects_v2(Bucket=LAKE, Prefix="features/")["Contents"]
        fingerprints.append({each["Key"]: each["ETag"] for each in listed})
    assert fingerprints[0] == fingerprints[1]
    body = s3.get_object(Bucket=LAKE, Key="features/day=2010-12-01/manifest.json")["Body"]
    manifest = json.loads(body.read())
    parts = manifest["used"] + manifest["without_customer"] + manifest["duplicates"]
    assert manifest["lines"] == parts == 350
    body = s3.get_object(Bucket=LAKE, Key="features/day=2010-12-01/customers.parquet")["Body"]
    assert len(pd.read_parquet(io.BytesIO(body.read()))) == manifest["customers"]


# ── the template and the rest ────────────────────────────────────────────────────────────────────


def test_the_template_has_nothing_that_cfn_lint_would_warn_of():
    found = cfnlint.api.lint_all((CHAPTER / "event_pipeline.yaml").read_text())
    assert [str(match) for match in found if match.rule.severity != "informational"] == []


def test_waiting_ends_with_words():
    event_pipeline = load("chapter04", "event_pipeline")
    with pytest.raises(event_pipeline.TookTooLong, match="nothing came after 0 seconds"):
        event_pipeline.wait_until(lambda: [], "nothing came", poll_seconds=0, timeout_seconds=0)


def test_the_bars_add_up_to_the_file():
    counts = pd.DataFrame(
        {"used": [3], "without_customer": [2], "duplicates": [1]}, index=["2010-12-01"]
    )
    axes = figures_events.fate_of_lines(counts, "a finding")
    assert sum(bar.get_width() for bar in axes.patches) == 6


def test_the_curve_marks_the_biggest_fifth():
    table = pd.DataFrame({"revenue": [60.0, 10, 10, 10, 10, -5]})
    axes = figures_events.revenue_curve(table, "a finding")
    assert "60 % of the revenue" in axes.texts[0].get_text()


def test_the_week_is_what_the_script_makes():
    sys.path.insert(0, str(CHAPTER / "data"))
    try:
        import make_invoices
    finally:
        sys.path.pop(0)
    assert make_invoices.make().equals(pq.read_table(CHAPTER / "data" / "invoices.parquet"))
    with pytest.raises(FileNotFoundError, match="make_retail.py"):
        make_invoices.make(Path("nowhere.parquet"))
