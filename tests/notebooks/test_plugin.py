"""The plugin on small notebooks, in a pytest of their own: each keeps or breaks one promise."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from nbformat.v4 import new_output

from .form import REPOSITORY
from .plugin import Account
from .tiny import code, text, write

# By its name, each test's outcome and what it says; and what pytest printed.
Outcome = tuple[str, str]
Run = tuple[dict[str, Outcome], str]

BUCKET = "tiny-cloud-native-ml"
MAKE = f'import boto3\ns3 = boto3.client("s3")\n_ = s3.create_bucket(Bucket="{BUCKET}")'
REMOVE = f'_ = s3.delete_bucket(Bucket="{BUCKET}")'
ASK_UNKNOWN = """import boto3
try:
    boto3.client("lightsail").get_instances()
except Exception as error:
    print(type(error).__name__)"""
BREAK_A_RULE = """import boto3
try:
    boto3.client("sagemaker").list_models(MaxResults=1000)
except Exception as error:
    print(type(error).__name__)"""
REDRAW = """from IPython.display import clear_output, display
from ipywidgets import IntProgress, Output
print("gone")
clear_output()
shown = display("first", display_id=True)
shown.update("last")
display(IntProgress())
panel = Output()
display(panel)
with panel:
    print("inside the widget")"""
WHERE = """import os
print(os.path.basename(os.getcwd()), hash("seed") % 1000, os.environ["TZ"])
print("PYTEST_CURRENT_TEST" in os.environ)
"hidden";"""
# The hash of a text under PYTHONHASHSEED=0, asked of another interpreter.
HASH = subprocess.run(
    [sys.executable, "-c", 'print(hash("seed") % 1000)'],
    env={**os.environ, "PYTHONHASHSEED": "0"},
    capture_output=True,
    text=True,
).stdout.strip()

ALLOWED = {
    "Sid": "Bucket",
    "Effect": "Allow",
    "Action": ["s3:CreateBucket", "s3:DeleteBucket"],
    "Resource": "arn:aws:s3:::tiny-*",
}


def _write_notebooks(root: Path) -> None:
    write(
        root / "chapter01/01_keep_all.ipynb",
        text("# Chapter 1.1 Tiny"),
        code(MAKE),
        code("import uuid\nprint(uuid.uuid4(), 42)", "0a1b2c3d-0000-4000-8000-0123456789ab 42\n"),
        code(WHERE, f"chapter01 {HASH} UTC\nFalse\n"),
        code(REMOVE),
    )
    redraw = code(REDRAW)
    redraw.outputs = [new_output("display_data", data={"text/plain": "'last'"})]
    write(root / "chapter01/02_redraw.ipynb", redraw)
    write(root / "chapter02/01_leave_a_bucket.ipynb", code(MAKE))
    write(root / "chapter03/01_save_nothing.ipynb", code("print(1)", None))
    write(root / "chapter04/01_differ.ipynb", code("print(41)", "42\n"), code("print(1)", "1\n"))
    write(root / "chapter05/01_ask_unknown.ipynb", code(ASK_UNKNOWN, "ClientError\n"))
    write(root / "chapter06/01_raise.ipynb", code("1 / 0"), code("print(1)", "1\n"))
    write(
        root / "chapter07/01_show_a_refusal.ipynb",
        code(BREAK_A_RULE, "ClientError\n", tags=("shows-refusal",)),
    )
    write(root / "chapter08/01_break_a_rule.ipynb", code(BREAK_A_RULE, "ClientError\n"))
    for chapter in ("chapter01", "chapter02"):
        policy = {"Version": "2012-10-17", "Statement": [ALLOWED]}
        (root / chapter / "iam-policy.json").write_text(json.dumps(policy))


def _run_pytest(root: Path, *arguments: str, environ: dict[str, str] | None = None) -> Run:
    """Run pytest on the folder; what became of each test, and what was printed."""
    report = root / "report.xml"
    options = ["--nbval", "--nbval-current-env", "-p", "tests.notebooks.plugin"]
    options += ["--nbval-sanitize-with", str(Path(__file__).with_name("sanitize.cfg"))]
    options += [f"--rootdir={root}", f"--junitxml={report}", "-c", os.devnull, "--color=no"]
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *arguments, str(root)],
        env={**own, "PYTHONPATH": str(REPOSITORY), **(environ or {})},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    outcomes = {}
    for case in ET.parse(report).iter("testcase"):
        kind = next((part for part in case if part.tag in ("failure", "error", "skipped")), None)
        name = f"{case.get('classname')}::{case.get('name')}"
        outcomes[name] = ("passed", "") if kind is None else (kind.tag, kind.text or "")
    return outcomes, result.stdout + result.stderr


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of chapters."""
    root = tmp_path_factory.mktemp("book")
    _write_notebooks(root)
    return root


@pytest.fixture(scope="module")
def ran(book: Path) -> tuple[dict[str, Outcome], str]:
    """All of them, run once."""
    return _run_pytest(book)


@pytest.mark.parametrize(
    "name",
    [
        "01_keep_all.ipynb::Cell 0",
        "01_keep_all.ipynb::Cell 1",
        "01_keep_all.ipynb::Cell 2",
        "01_keep_all.ipynb::Cell 3",
        "01_keep_all.ipynb::the account is empty",
        "01_keep_all.ipynb::no request was refused",
        "02_redraw.ipynb::Cell 0",
        "iam-policy.json::equals the calls made",
    ],
)
def test_a_notebook_that_keeps_every_promise_passes(ran: Run, name: str) -> None:
    """Ids differ and are no finding; folder, hash seed and time zone are always the same; what was
    cleared, updated or drawn in a widget is compared as it is saved."""
    assert ran[0][f"chapter01.{name}"] == ("passed", "")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "chapter02.01_leave_a_bucket.ipynb::the account is empty",
            f"s3: '{BUCKET}' is still there (list_buckets); remove it in the cells under "
            "'## Clean up'",
        ),
        (
            "chapter02.iam-policy.json::equals the calls made",
            "Statement Bucket: no call needs s3:DeleteBucket on these resources; remove it.",
        ),
        ("chapter03.01_save_nothing.ipynb::Cell 0", "The cell has no saved outputs"),
        ("chapter04.01_differ.ipynb::Cell 0", "Cell outputs differ"),
        (
            "chapter05.01_ask_unknown.ipynb::no request was refused",
            "Cell 0: lightsail:GetInstances by notebook was refused with NotImplemented",
        ),
        ("chapter06.01_raise.ipynb::Cell 0", "ZeroDivisionError"),
        (
            "chapter08.01_break_a_rule.ipynb::no request was refused",
            "sagemaker:ListModels by notebook was refused with ValidationException",
        ),
    ],
)
def test_a_broken_promise_fails_with_its_remedy(ran: Run, name: str, message: str) -> None:
    outcome, details = ran[0][name]
    assert outcome == "failure"
    assert message in details


def test_nothing_else_fails(ran: Run) -> None:
    failed = [name for name, (outcome, _) in ran[0].items() if outcome in ("failure", "error")]
    assert len(failed) == 7


def test_cells_after_one_that_raised_are_skipped_and_after_one_that_differs_are_run(
    ran: Run,
) -> None:
    assert ran[0]["chapter06.01_raise.ipynb::Cell 1"][0] == "skipped"
    assert ran[0]["chapter06.01_raise.ipynb::the account is empty"][0] == "skipped"
    assert ran[0]["chapter04.01_differ.ipynb::Cell 1"][0] == "passed"


def test_a_refusal_in_a_tagged_cell_is_part_of_the_story(ran: Run) -> None:
    assert ran[0]["chapter07.01_show_a_refusal.ipynb::no request was refused"][0] == "passed"


def test_the_summary_lists_each_notebook_with_its_calls(ran: Run) -> None:
    lines = [line.split() for line in ran[1].splitlines()]
    calls = {words[0]: words[2] for words in lines if len(words) == 3}
    assert calls["notebook"] == "calls"
    assert calls["chapter01/01_keep_all.ipynb"] == "2"
    assert calls["chapter04/01_differ.ipynb"] == "0"


def test_live_runs_the_cells_in_the_environment_as_it_is(tmp_path: Path) -> None:
    """No server is started, nothing is compared, and after a failure the clean-up still runs."""
    show = 'import os\nprint(os.environ.get("AWS_ENDPOINT_URL"), os.environ["AWS_REGION"])'
    write(tmp_path / "chapter01/01_live.ipynb", code(show), code("1 / 0"), code("print(2)", "1\n"))
    (tmp_path / "chapter01/iam-policy.json").write_text("{}")
    environ = {"AWS_REGION": "eu-central-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    outcomes, _ = _run_pytest(tmp_path, "-m", "live", environ=environ)
    assert {name: outcome for name, (outcome, _) in outcomes.items()} == {
        "chapter01.01_live.ipynb::Cell 0": "passed",
        "chapter01.01_live.ipynb::Cell 1": "failure",
        "chapter01.01_live.ipynb::Cell 2": "passed",
    }


def test_a_chapter_stays_on_one_worker_with_its_policy_last(tmp_path: Path) -> None:
    """The policy needs the calls of both notebooks, one of which sorts behind its file."""
    policy = {"Version": "2012-10-17", "Statement": [ALLOWED]}
    for chapter in ("chapter01", "chapter02"):
        write(tmp_path / chapter / "01_make.ipynb", code(f"{MAKE}\n{REMOVE}"))
        write(tmp_path / chapter / "zz_last.ipynb", code("1 + 1;"))
        (tmp_path / chapter / "iam-policy.json").write_text(json.dumps(policy))
    outcomes, _ = _run_pytest(tmp_path, "-n", "2")
    assert {outcome for outcome, _ in outcomes.values()} == {"passed"}
    assert len(outcomes) == 14


def test_a_server_that_died_is_replaced_for_the_next_notebook() -> None:
    account = Account()
    try:
        first = account.fresh()
        os.kill(first.pid, signal.SIGKILL)
        second = account.fresh()
        second.client("s3").create_bucket(Bucket=BUCKET)
        assert account.fresh() is second
        assert second.client("s3").list_buckets()["Buckets"] == []
    finally:
        account.close()
