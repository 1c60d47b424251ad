"""Chapter 1's status of AWS services: the file against the SDK, and the helpers that read both."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import matplotlib
import moto
import pandas as pd
import pytest
import yaml

from tests.chapters.loading import load
from tests.local_aws.errors import AWSError
from tests.local_aws.retired import refuse_if_retired

_CHAPTER = Path(__file__).parents[2] / "chapter01"
_FILE = _CHAPTER / "service_status.yaml"

Entry = dict[str, Any]


matplotlib.use("Agg")
stack = load("chapter01", "stack")
figures_stack = load("chapter01", "figures_stack")


@pytest.fixture(scope="module")
def session() -> boto3.Session:
    return boto3.Session(region_name="us-east-1")


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    return stack.load_status(_FILE)


def _entry(**changed: Any) -> Entry:
    """An entry that holds, with changes."""
    return {
        "service": "Amazon Polly",
        "client": "polly",
        "used_for": "text to speech",
        "layer": "AI services",
        "book_chapters": [10],
        "status": "open",
        "since": None,
        "source": "no notice found",
        "now": None,
        **changed,
    }


# ── the file ─────────────────────────────────────────────────────────────────────────────────────


def test_the_file_agrees_with_this_sdk(entries: list[Entry], session: boto3.Session) -> None:
    assert stack.check_status(entries, session) == []


def test_each_service_stands_in_the_file_once(entries: list[Entry]) -> None:
    names = [entry["service"] for entry in entries]
    assert sorted(set(names)) == sorted(names)


def test_every_chapter_and_layer_has_entries(entries: list[Entry]) -> None:
    assert {chapter for entry in entries for chapter in entry["book_chapters"]} == {*range(1, 13)}
    assert {entry["layer"] for entry in entries} == {*stack.LAYERS}


def test_no_status_begins_after_the_day_on_which_the_file_was_checked(
    entries: list[Entry],
) -> None:
    head = _FILE.read_text(encoding="utf-8").partition("\n- ")[0]
    checked = next(line for line in head.splitlines() if line.startswith("# Checked on "))
    day = datetime.date.fromisoformat(checked.removeprefix("# Checked on ").rstrip("."))
    assert all(entry["since"] <= day for entry in entries if entry["since"])
    assert all(entry["ends"] > day for entry in entries if entry.get("ends"))


def test_fields_are_known(entries: list[Entry]) -> None:
    """A misspelt optional field would be lost without a word."""
    known = {*stack.as_table(entries[:1]).columns}
    assert {name for entry in entries for name in entry} <= known


def test_the_offline_aws_refuses_with_the_dates_of_the_file(entries: list[Entry]) -> None:
    refused = 0
    for entry in entries:
        for operation in entry.get("operations") or ["AnyOperation"]:
            try:
                refuse_if_retired(entry["client"], operation)
            except AWSError as error:
                refused += 1
                assert entry["status"] in (stack.CLOSED, stack.ENDED), error.message
                assert str(entry["since"]) in error.message
    assert refused > 10


# ── negative controls: a forged file is caught ───────────────────────────────────────────────────


def _forge(service: str, **changed: Any) -> Callable[[list[Entry]], None]:
    def forge(entries: list[Entry]) -> None:
        [entry] = [each for each in entries if each["service"] == service]
        entry.update(changed)

    return forge


@pytest.mark.parametrize(
    ("forge", "complaint"),
    [
        (_forge("Amazon Lookout for Vision", status="open"), "has no client 'lookoutvision'"),
        (_forge("AWS Panorama", status="closed to new customers"), "list it as ended"),
        (_forge("Amazon Lex V1", status="open"), "all operations of lex-models are flagged"),
        (_forge("Amazon Lex V1", status="renamed"), "all operations of lex-models are flagged"),
        (_forge("Amazon S3", operations=["PutBucketLifecycle"]), "PutBucketLifecycle is flagged"),
        (_forge("Amazon S3", operations=["PutBuckets"]), "no operation PutBuckets"),
        (_forge("AWS Cloud9", status="open"), "Cloud9 is no longer available to new customers"),
        (_forge("Amazon Forecast", source="no notice found", since=None), "has no source"),
        (_forge("Amazon Forecast", source={"title": "A page", "link": "here"}), "neither title"),
        (_forge("Amazon Forecast", now=None), "does not say what to use now"),
        (_forge("Amazon Polly", since=datetime.date(2020, 1, 1)), "a date and no source"),
        (_forge("Amazon Polly", status="closed"), "status 'closed' is none of"),
        (_forge("Amazon Polly", layer="AI"), "layer 'AI' is none of"),
        (_forge("Amazon Polly", book_chapters=[13]), "are not chapters 1 to 12"),
        (_forge("Amazon Kendra", since="July 2026"), "'July 2026' is not a date"),
    ],
)
def test_a_forged_file_is_caught(
    entries: list[Entry],
    session: boto3.Session,
    forge: Callable[[list[Entry]], None],
    complaint: str,
) -> None:
    forged = copy.deepcopy(entries)
    forge(forged)
    problems = stack.check_status(forged, session)
    assert any(complaint in problem for problem in problems), problems


def test_an_entry_without_fields_is_named(session: boto3.Session) -> None:
    [problem] = stack.check_status([{"service": "Amazon Connect"}], session)
    assert problem.startswith("Amazon Connect: has no client, used_for")
    [nameless] = stack.check_status([{}], session)
    assert nameless.startswith("an entry without a name")


def test_an_ended_service_may_still_have_its_client(session: boto3.Session) -> None:
    page = {"title": "A page", "link": "https://docs.aws.amazon.com/"}
    ended = _entry(client="sagemaker-edge", status="ended", source=page, now="another")
    assert stack.check_status([ended], session) == []


def test_a_service_without_a_client_may_be_open(session: boto3.Session) -> None:
    assert stack.check_status([_entry(client=None)], session) == []


def test_the_sdk_betrays_some_closings_and_not_others(
    entries: list[Entry], session: boto3.Session
) -> None:
    betrayed = stack.betrayed(entries, session)
    assert {"Amazon Lex V1", "Amazon Lookout for Vision", "AWS Cloud9"} <= {*betrayed}
    assert "Amazon Polly" not in betrayed


@pytest.mark.parametrize("text", ["service: Amazon S3\n", "- Amazon S3\n", ""])
def test_a_file_that_is_no_list_of_entries_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "status.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="is not a list of entries; begin each with"):
        stack.load_status(path)


# ── reading the SDK ──────────────────────────────────────────────────────────────────────────────


def test_a_service_is_measured_from_its_model(session: boto3.Session) -> None:
    table = stack.measure(session, ["lex-models", "sts", "lookoutvision"])
    assert list(table.index) == ["lex-models", "sts", "lookoutvision"]
    assert table.loc["lex-models", "operations"] == table.loc["lex-models", "deprecated"] > 0
    assert table.loc["sts", "operations"] > table.loc["sts", "deprecated"]
    assert table.loc["sts", "regions"] > 25
    assert table.loc["lookoutvision"].tolist() == [0, 0, 0]


def test_the_model_flags_single_operations(session: boto3.Session) -> None:
    assert "PutBucketLifecycle" in stack.deprecated_operations(session, "s3")
    assert "PutObject" not in stack.deprecated_operations(session, "s3")
    assert stack.deprecated_operations(session, "lookoutvision") == []


def test_a_notice_is_one_sentence_without_markup(session: boto3.Session) -> None:
    said = stack.notice(session, "cloud9")
    assert said == "Cloud9 is no longer available to new customers."
    assert "People Pathing" in stack.notice(session, "rekognition", "StartPersonTracking")
    assert stack.notice(session, "rekognition") is None
    assert stack.notice(session, "rekognition", "NoSuchOperation") is None
    assert stack.notice(session, "lookoutvision") is None


def test_signals_tell_three_ways_of_leaving_apart(session: boto3.Session) -> None:
    table = stack.signals(session, ["lookoutvision", "lex-models", "cloud9", "polly"])
    assert table["client exists"].tolist() == [False, True, True, True]
    assert table["flagged deprecated"].tolist() == [0, 1, 0, 0]
    assert table["notice in the text"].tolist() == [False, False, True, False]


def test_published_regions_are_those_of_the_partition_aws() -> None:
    with moto.mock_aws():
        regions = stack.published_regions(boto3.client("ssm", region_name="us-east-1"), "ec2")
        nowhere = stack.published_regions(boto3.client("ssm", region_name="us-east-1"), "none")
    assert {"us-east-1", "eu-west-1"} <= {*regions}
    assert not [name for name in regions if name.startswith(("cn-", "us-gov-", "us-iso"))]
    assert regions == sorted(set(regions))
    assert nowhere == []


def test_the_log_tells_reading_from_changing() -> None:
    session = boto3.Session(region_name="us-east-1")
    log = stack.CallLog(session)
    with moto.mock_aws():
        sqs = session.client("sqs")
        sqs.list_queues()
        assert log.changes() == []
        sqs.create_queue(QueueName="a-queue")
    assert log.calls == ["sqs:ListQueues", "sqs:CreateQueue"]
    assert log.changes() == ["sqs:CreateQueue"]


@pytest.mark.parametrize(
    ("kind", "accelerators", "gigabytes"),
    [
        ("m5.large", "none", 0),
        ("p5.48xlarge", "8 × H100", 640),
        ("trn1.2xlarge", "1 × Trainium", 32),
    ],
)
def test_a_machine_is_described_with_its_accelerators(
    kind: str, accelerators: str, gigabytes: int
) -> None:
    with moto.mock_aws():
        ec2 = boto3.client("ec2", region_name="us-east-1")
        [described] = ec2.describe_instance_types(InstanceTypes=[kind])["InstanceTypes"]
    found = stack.machine(described)
    assert (found["instance type"], found["accelerators"]) == (kind, accelerators)
    assert found["on accelerators"] == gigabytes


# ── reading the file ─────────────────────────────────────────────────────────────────────────────


def test_the_table_has_dates_and_all_columns(entries: list[Entry]) -> None:
    table = stack.as_table([_entry(), _entry(since=datetime.date(2026, 7, 30))])
    assert table["since"].tolist()[1] == pd.Timestamp("2026-07-30")
    assert table["ends"].isna().all()
    assert len(stack.as_table(entries)) == len(entries)


def test_shut_services_of_a_chapter_are_found(entries: list[Entry]) -> None:
    names = [entry["service"] for entry in stack.for_chapter(entries, 11)]
    assert "Amazon Lookout for Equipment" in names
    assert "AWS IoT SiteWise" not in names
    assert stack.for_chapter([_entry()], 10) == []


def test_clients_of_a_layer_are_open_ones_each_once(entries: list[Entry]) -> None:
    clients = stack.clients_of(entries, "AI services")
    assert clients.count("rekognition") == 1
    assert "forecast" not in clients


def test_evidence_is_graded() -> None:
    page = {"title": "A page", "link": "https://docs.aws.amazon.com/"}
    assert stack.evidence(_entry()) == "no notice found"
    assert stack.evidence(_entry(source=page)) == "read at AWS"
    assert stack.evidence(_entry(source={**page, "quoted": True})) == "quoted by others"


# ── figures ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def pyplot() -> Iterator[Any]:
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def test_the_timeline_names_every_closing(entries: list[Entry], pyplot: Any) -> None:
    table = stack.as_table(entries)
    shut = table[table["status"].isin([stack.CLOSED, stack.ENDED])]
    figures_stack.closings(shut, datetime.date(2026, 11, 23), "A title")
    drawn = " ".join(text.get_text() for text in pyplot.gca().texts)
    for service in shut.dropna(subset="since")["service"]:
        assert figures_stack.short_name(service) in drawn
    assert "30 Sep 2027" in drawn


def test_bars_count_every_entry(entries: list[Entry], pyplot: Any) -> None:
    figures_stack.status_by_layer(stack.as_table(entries), "A title")
    assert sum(bar.get_width() for bar in pyplot.gca().patches) == len(entries)


def test_an_empty_list_of_regions_is_named(pyplot: Any) -> None:
    table = pd.DataFrame(
        {"layer": ["AI services"] * 2, "operations": [10, 11], "regions": [24, 0]},
        index=["polly", "bedrock-runtime"],
    )
    figures_stack.size_and_spread(table, "A title")
    _, right = pyplot.gcf().axes
    assert [text.get_text() for text in right.texts] == ["no list"]


def test_the_file_can_be_written_back(entries: list[Entry]) -> None:
    """Dates are dates and names are text, so that a tool may edit the file."""
    assert yaml.safe_load(yaml.safe_dump(entries)) == entries
