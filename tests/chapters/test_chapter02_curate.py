"""Chapter 2.5: what lands is curated or quarantined, each row once; splits that do not leak."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from tests.chapters.loading import load
from tests.local_aws.environment import LocalAWS

_CHAPTER = Path(__file__).parents[2] / "chapter02"


curate_lambda = load("chapter02", "curate_lambda")
curating = load("chapter02", "curating")
deploying = load("chapter02", "deploying")
splitting = load("chapter02", "splitting")
figures = load("chapter02", "figures_curate")

KEY = "raw/flights/year=2013/month=01/flights.csv"
LANDED = datetime(2026, 11, 23, tzinfo=UTC)
BUCKET = "a-lake"


@pytest.fixture(scope="module")
def january() -> pd.DataFrame:
    """The first 200 flights of the year."""
    path = _CHAPTER / "data" / "flights.parquet"
    return pd.read_parquet(path, dtype_backend="numpy_nullable").head(200)


@pytest.fixture(scope="module")
def lines(january: pd.DataFrame) -> list[str]:
    """Its CSV file, line by line; the first is the header."""
    return january.to_csv(index=False).splitlines()


def file_of(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def judge(content: bytes, key: str = KEY, announced: str | None = None) -> Any:
    """The verdict on a file, with the books balanced: what came in is somewhere, once."""
    judged = curate_lambda.judge(content, key, LANDED, announced)
    receipt = curate_lambda.receipt(key, judged)
    assert receipt["rows"] == receipt["curated"] + receipt["quarantined"]
    write, _ = curate_lambda.outputs(key, content, judged)
    stored = sum(
        pq.read_metadata(io.BytesIO(body)).num_rows
        if name.endswith(".parquet")
        else len(body.splitlines())
        for name, body in write.items()
        if name.endswith((".parquet", ".rows.jsonl"))
    )
    if judged.rejected:
        assert write["quarantine/" + key.removeprefix("raw/")] == content
        assert stored == 0
    else:
        assert stored == receipt["rows"] == content.count(b"\n") - 1
    return judged


def changed(lines: list[str], number: int, **values: str) -> list[str]:
    """The file with other values in one line; lines are counted from 1, as editors do."""
    fields = dict(zip(lines[0].split(","), lines[number - 1].split(","), strict=True))
    return [*lines[: number - 1], ",".join({**fields, **values}.values()), *lines[number:]]


# ── rows ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_month_as_it_was_sent_is_accepted_whole() -> None:
    flights = pd.read_parquet(_CHAPTER / "data" / "flights.parquet", dtype_backend="numpy_nullable")
    # November: the month in which New York's clocks went back
    rows = flights[flights["month"] == 11]
    key = "raw/flights/year=2013/month=11/flights.csv"
    judged = judge(rows.to_csv(index=False).encode(), key, announced=str(len(rows)))
    assert (judged.rejected, judged.bad) == (None, [])
    table = pq.read_table(io.BytesIO(curate_lambda.to_parquet(judged.good)))
    assert table.column_names == [name for name in rows if name not in ("year", "month")]
    assert table.schema.field("time_hour").type == pa.timestamp("ms")
    assert table.schema.field("dep_delay").type == pa.int32()
    pd.testing.assert_series_equal(
        table.to_pandas(types_mapper={pa.int32(): pd.Int32Dtype()}.get)["arr_delay"],
        rows["arr_delay"].reset_index(drop=True),
    )


@pytest.mark.parametrize(
    ("values", "rule", "reason"),
    [
        ({"distance": "-1400"}, "value", "distance is -1400, not between 1 and 12000"),
        ({"distance": "14OO"}, "type", "distance is '14OO', no whole number"),
        ({"distance": "1_400"}, "type", "distance is '1_400', no whole number"),
        ({"distance": "9999999999"}, "value", "not between 1 and 12000"),
        ({"distance": "9" * 5000}, "value", "distance has 5000 digits"),
        ({"distance": ""}, "missing", "distance is empty"),
        ({"distance": "1400.0"}, "type", "distance is '1400.0', no whole number"),
        ({"sched_dep_time": "2561"}, "value", "sched_dep_time is 2561, no time of day"),
        ({"sched_dep_time": "1275"}, "value", "sched_dep_time is 1275, no time of day"),
        ({"dep_delay": "late"}, "type", "dep_delay is 'late', no whole number"),
        ({"carrier": ""}, "missing", "carrier is empty"),
        ({"carrier": '"UA'}, "type", "carrier is '\"UA', no code"),
        ({"time_hour": "yesterday"}, "type", "time_hour is 'yesterday', no date and time"),
        ({"time_hour": "2013-01-01 10:00:00Z"}, "type", "names no zone"),
        ({"time_hour": "2113-01-01 10:00:00"}, "future", "after the file landed"),
        ({"time_hour": "2013-01-01 19:00:00"}, "clock_skew", "14:00:00 ahead"),
        ({"time_hour": "2013-01-01 05:00:00"}, "clock_skew", "not 4 or 5 h"),
        ({"month": "2"}, "month", "2013-02 is not the month of the file"),
        ({"year": "2012"}, "month", "2012-01 is not the month of the file"),
        ({"day": "0"}, "value", "day is 0"),
        ({"tailnum": "N142,28"}, "fields", "20 fields instead of 19"),
    ],
)
def test_a_bad_row_goes_to_quarantine_alone(
    lines: list[str], values: dict[str, str], rule: str, reason: str
) -> None:
    sent = changed(lines, 7, **values)
    judged = judge(file_of(sent))
    (bad,) = judged.bad
    assert (bad["line"], bad["rule"], bad["text"]) == (7, rule, sent[6])
    assert reason in bad["reason"]
    assert len(judged.good) == 199


def test_a_day_that_the_month_has_not(january: pd.DataFrame) -> None:
    rows = january.assign(month=2, day=[30, *[1] * 199])
    hours = pd.to_timedelta(rows["hour"] + 5, unit="h")
    rows["time_hour"] = pd.Timestamp("2013-02-01") + hours
    judged = judge(rows.to_csv(index=False).encode(), KEY.replace("month=01", "month=02"))
    assert [each["reason"] for each in judged.bad] == ["there is no day 30 in the month"]


def test_midnight_is_2400_and_what_did_not_happen_is_empty(lines: list[str]) -> None:
    empty = dict.fromkeys(["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"], "")
    sent = changed(changed(lines, 3, arr_time="2400"), 5, tailnum="", **empty)
    judged = judge(file_of(sent))
    assert judged.bad == []
    assert judged.good[1]["arr_time"] == 2400
    assert judged.good[3]["arr_delay"] is None


def test_a_flight_that_comes_twice_is_kept_once(lines: list[str]) -> None:
    judged = judge(file_of([*lines, lines[4]]))
    (bad,) = judged.bad
    assert (bad["line"], bad["rule"]) == (202, "duplicate")
    assert bad["reason"] == "the flight of line 5 again"


def test_a_stray_quote_spoils_its_own_line_only(lines: list[str]) -> None:
    judged = judge(file_of(changed(lines, 2, tailnum='"N14228')))
    assert [each["line"] for each in judged.bad] == [2]


def test_lines_may_end_as_windows_ends_them(lines: list[str]) -> None:
    judged = judge("".join(f"{line}\r\n" for line in lines).encode())
    assert (judged.rejected, judged.bad, len(judged.good)) == (None, [], 200)


def test_an_empty_line_is_a_bad_row(lines: list[str]) -> None:
    judged = judge(file_of([*lines[:9], "", *lines[9:]]))
    assert [(each["line"], each["rule"]) for each in judged.bad] == [(10, "fields")]


# ── files ────────────────────────────────────────────────────────────────────────────────────────


def rejected(content: bytes, **options: Any) -> tuple[str, str]:
    judged = judge(content, **options)
    assert judged.rejected, "the file was accepted"
    assert (judged.good, judged.bad) == ([], [])
    return judged.rejected.rule, judged.rejected.reason


def test_a_renamed_column(lines: list[str]) -> None:
    header = lines[0].replace("dep_delay", "departure_delay")
    rule, reason = rejected(file_of([header, *lines[1:]]))
    assert rule == "schema"
    assert "missing: ['dep_delay'], unknown: ['departure_delay']" in reason


def test_a_column_more(january: pd.DataFrame) -> None:
    rule, reason = rejected(january.assign(gate="A1").to_csv(index=False).encode())
    assert (rule, "unknown: ['gate']" in reason) == ("schema", True)


def test_columns_in_another_order(january: pd.DataFrame) -> None:
    rule, reason = rejected(january[sorted(january)].to_csv(index=False).encode())
    assert (rule, "another order" in reason) == ("schema", True)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.999])
def test_a_file_that_was_cut_short(lines: list[str], share: float) -> None:
    content = file_of(lines)
    rule, reason = rejected(content[: int(share * len(content))])
    assert (rule, "does not end" in reason) == ("truncated", True)


def test_a_file_that_was_cut_between_two_lines(lines: list[str]) -> None:
    rule, reason = rejected(file_of(lines[:150]), announced="200")
    assert (rule, reason) == ("truncated", "200 rows are announced, 149 came")


@pytest.mark.parametrize("content", [b"", b"\n", b"year,month"])
def test_a_file_without_a_header(content: bytes) -> None:
    assert rejected(content)[0] == "schema"


def test_a_file_without_rows(lines: list[str]) -> None:
    assert rejected(file_of(lines[:1]))[0] == "empty"


def test_a_file_that_is_not_text(lines: list[str]) -> None:
    rule, reason = rejected(file_of(lines).replace(b"UA", b"\xff\xfe", 1))
    assert (rule, "is not UTF-8" in reason) == ("not_text", True)


def test_a_key_that_does_not_say_the_month(lines: list[str]) -> None:
    rule, reason = rejected(file_of(lines), key="raw/flights/january.csv")
    assert (rule, "raw/flights/january.csv" in reason) == ("place", True)


def test_a_file_with_many_bad_rows_is_bad_as_a_whole(january: pd.DataFrame) -> None:
    def with_bad(count: int) -> bytes:
        rows = january.astype({"distance": object})
        rows.iloc[:count, rows.columns.get_loc("distance")] = -1
        return rows.to_csv(index=False).encode()

    assert len(judge(with_bad(20)).bad) == 20
    rule, reason = rejected(with_bad(21))
    assert rule == "too_many_bad_rows"
    assert reason == "21 of 200 rows are bad, mostly: value"


# ── in the lake ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def s3(aws: LocalAWS) -> Any:
    client = aws.client("s3")
    client.create_bucket(Bucket=BUCKET)
    return client


def balanced(s3: Any) -> pd.Series:
    """The stock of the one raw file, whose rows are all somewhere."""
    (stock,) = curating.stocktake(s3, BUCKET).itertuples()
    assert stock.raw == stock.curated + stock.quarantined
    return stock


def test_the_same_file_twice_changes_nothing(s3: Any, january: pd.DataFrame) -> None:
    rows = january.astype({"distance": object})
    rows.iloc[3, rows.columns.get_loc("distance")] = -1
    curating.land(s3, BUCKET, 1, rows)
    first = curate_lambda.curate(s3, BUCKET, KEY)
    before = curating.fingerprints(s3, BUCKET)
    assert len(before) == 2
    curating.land(s3, BUCKET, 1, rows)
    assert curate_lambda.curate(s3, BUCKET, KEY) == first
    assert curating.fingerprints(s3, BUCKET) == before
    stock = balanced(s3)
    assert (stock.curated, stock.reasons) == (199, {"value": 1})


def test_a_good_file_takes_the_place_of_a_bad_one(s3: Any, january: pd.DataFrame) -> None:
    curating.land(s3, BUCKET, 1, january, sent=0.5)
    assert curate_lambda.curate(s3, BUCKET, KEY)["curated"] == 0
    stock = balanced(s3)
    assert list(stock.reasons) == ["truncated"]
    assert stock.quarantined > 90
    curating.land(s3, BUCKET, 1, january)
    curate_lambda.curate(s3, BUCKET, KEY)
    assert list(curating.fingerprints(s3, BUCKET)) == [curating.place("curated", 1, ".parquet")]
    assert balanced(s3).curated == 200


def test_a_bad_file_leaves_what_an_earlier_one_gave(s3: Any, january: pd.DataFrame) -> None:
    curating.land(s3, BUCKET, 1, january)
    curate_lambda.curate(s3, BUCKET, KEY)
    before = curating.fingerprints(s3, BUCKET)
    curating.land(s3, BUCKET, 1, january.rename(columns={"dest": "destination"}))
    receipt = curate_lambda.curate(s3, BUCKET, KEY)
    assert (receipt["curated"], receipt["reasons"]) == (0, {"schema": 200})
    after = curating.fingerprints(s3, BUCKET)
    assert after.items() > before.items()
    assert set(after) - set(before) == {
        curating.place("quarantine", 1, ".csv"),
        curating.place("quarantine", 1, ".reason.json"),
    }


def test_a_policy_that_forbids_the_write_loses_nothing(s3: Any, january: pd.DataFrame) -> None:
    everybody = curating.writing_denied(BUCKET, "curated/", "*")
    policy = {"Version": "2012-10-17", "Statement": [everybody]}
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))
    curating.land(s3, BUCKET, 1, january)
    with pytest.raises(ClientError, match="AccessDenied"):
        curate_lambda.curate(s3, BUCKET, KEY)
    assert curating.stocktake(s3, BUCKET)["raw"].tolist() == [200]
    assert curating.fingerprints(s3, BUCKET) == {}
    s3.delete_bucket_policy(Bucket=BUCKET)
    curate_lambda.curate(s3, BUCKET, KEY)
    assert balanced(s3).curated == 200


def test_an_object_that_is_gone_fails_the_invocation(
    s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curate_lambda, "_s3", lambda: s3)
    with pytest.raises(ClientError, match="NoSuchKey"):
        curate_lambda.handler(curating.upload_event(BUCKET, KEY))


def test_the_handler_decodes_the_key(
    s3: Any, january: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curate_lambda, "_s3", lambda: s3)
    key = "raw/new york+/year=2013/month=01/flights é.csv"
    s3.put_object(Bucket=BUCKET, Key=key, Body=january.to_csv(index=False).encode())
    event = curating.upload_event(BUCKET, key)
    assert event["Records"][0]["s3"]["object"]["key"].startswith("raw%2Fnew+york%2B")
    (receipt,) = curate_lambda.handler(event)
    assert (receipt["key"], receipt["curated"]) == (key, 200)


def test_an_event_that_is_not_from_s3_fails() -> None:
    with pytest.raises(KeyError, match="Records"):
        curate_lambda.handler({"detail": {}})


# ── around the function ──────────────────────────────────────────────────────────────────────────


def test_the_function_may_not_write_where_it_listens() -> None:
    statements = curating.function_policy(BUCKET, "queue", "group")["Statement"]
    allowed = {each["Action"]: each["Resource"] for each in statements}
    (subscribed,) = curating.subscription("function")["LambdaFunctionConfigurations"]
    rules = {each["Name"]: each["Value"] for each in subscribed["Filter"]["Key"]["FilterRules"]}
    assert rules == {"prefix": "raw/", "suffix": ".csv"}
    assert allowed["s3:GetObject"] == f"arn:aws:s3:::{BUCKET}/raw/*"
    assert not any("/raw/" in each for each in allowed["s3:PutObject"])
    assert all("*" not in action for action in allowed)


def test_the_same_script_gives_the_same_archive(tmp_path: Path) -> None:
    first = deploying.zip_of(_CHAPTER / "curate_lambda.py")
    copy = tmp_path / "curate_lambda.py"
    copy.write_bytes((_CHAPTER / "curate_lambda.py").read_bytes())
    assert deploying.zip_of(copy) == first
    (entry,) = zipfile.ZipFile(io.BytesIO(first)).infolist()
    assert (entry.filename, oct(entry.external_attr >> 16)) == ("curate_lambda.py", "0o644")


@pytest.mark.parametrize(
    ("message", "tries"),
    [
        ("The role defined for the function cannot be assumed by Lambda.", 2),
        ("The provided execution role does not have permissions to call SendMessage on SQS", 2),
        ("Unzipped size must be smaller than 262144000 bytes", 1),
    ],
)
def test_a_role_that_is_too_new_is_given_time_and_a_mistake_is_not(
    message: str, tries: int
) -> None:
    content = {"Code": "InvalidParameterValueException", "Message": message}
    error = ClientError({"Error": content}, "CreateFunction")
    answers: list[Any] = [error, "made"]
    asked: list[str] = []

    def call(name: str) -> str:
        asked.append(name)
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    if tries == 1:
        with pytest.raises(ClientError, match="Unzipped size"):
            deploying.once_the_role_works(call, poll_seconds=0, name="f")
    else:
        assert deploying.once_the_role_works(call, poll_seconds=0, name="f") == "made"
    assert asked == ["f"] * tries


def test_a_role_that_stays_unusable_is_an_error_in_the_end() -> None:
    def call() -> None:
        content = {"Error": {"Code": "Invalid", "Message": "role cannot be assumed"}}
        raise ClientError(content, "CreateFunction")

    with pytest.raises(ClientError, match="cannot be assumed"):
        deploying.once_the_role_works(call, poll_seconds=0, timeout_seconds=0)


def test_a_queue_that_stays_empty_is_not_waited_for_for_ever(aws: LocalAWS) -> None:
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName="empty")["QueueUrl"]
    with pytest.raises(TimeoutError, match="no message in .*empty after 0 seconds"):
        curating.next_message(sqs, url, timeout_seconds=0)
    sqs.send_message(QueueUrl=url, MessageBody="x")
    assert curating.next_message(sqs, url)["Body"] == "x"
    curating.delete_queue(sqs, url)
    assert "QueueUrls" not in sqs.list_queues()


# ── splitting ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """The labelled flights of January to March, with the column that gives the answer away."""
    flights = pd.read_parquet(_CHAPTER / "data" / "flights.parquet")
    return splitting.labelled(flights[flights["month"] <= 3], also=["dep_delay"])


def cut(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return splitting.split_by_time(
        table, "date", validation_from="2013-02-01", test_from="2013-03-01"
    )


def test_labels_and_features_are_those_of_flights_that_arrived(table: pd.DataFrame) -> None:
    flights = pd.read_parquet(_CHAPTER / "data" / "flights.parquet")
    arrived = flights[(flights["month"] <= 3) & flights["arr_delay"].notna()]
    assert len(table) == len(arrived)
    assert table["late"].sum() == (arrived["arr_delay"] > 15).sum()
    assert table["from_jfk"].sum() == (arrived["origin"] == "JFK").sum()
    assert table.loc[0, "weekday"] == 1  # New Year's Day 2013 was a Tuesday
    assert not table.isna().any().any()


def test_parts_follow_each_other_and_lose_no_row(table: pd.DataFrame) -> None:
    parts = cut(table.sample(frac=1, random_state=1))
    assert [rows["date"].dt.month.unique().tolist() for rows in parts.values()] == [[1], [2], [3]]
    assert sum(len(rows) for rows in parts.values()) == len(table)


@pytest.mark.parametrize(
    ("starts", "reason"),
    [
        (("2013-03-01", "2013-02-01"), "must be before"),
        (("2013-02-01", "2013-02-01"), "must be before"),
        (("2013-01-01", "2013-03-01"), "no rows for train"),
        (("2013-02-01", "2014-01-01"), "no rows for test"),
    ],
)
def test_cuts_that_make_no_sense(table: pd.DataFrame, starts: tuple[str, str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        splitting.split_by_time(table, "date", validation_from=starts[0], test_from=starts[1])


def test_a_row_without_a_date_is_refused(table: pd.DataFrame) -> None:
    undated = table.assign(date=table["date"].where(table.index > 2))
    with pytest.raises(ValueError, match="3 rows have no date"):
        cut(undated)


def test_an_honest_split_passes(table: pd.DataFrame) -> None:
    parts = cut(table.drop(columns="dep_delay"))
    splitting.check_for_leakage(parts, "date", splitting.KNOWN_LATER)


def _later_column(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return cut(table)


def _same_day(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    parts = cut(table.drop(columns="dep_delay"))
    return {**parts, "train": pd.concat([parts["train"], parts["validation"].head(1)])}


def _out_of_order(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    parts = cut(table.drop(columns="dep_delay"))
    return {"train": parts["test"], "validation": parts["validation"], "test": parts["train"]}


def _shuffled(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    mixed = table.drop(columns="dep_delay").sample(frac=1, random_state=0)
    return {name: mixed[place::3] for place, name in enumerate(("train", "validation", "test"))}


@pytest.mark.parametrize(
    ("leak", "reason"),
    [
        (_later_column, "test has the column dep_delay, which is known only later"),
        (_same_day, "train and validation share 1 days, the first is 2013-02-01"),
        (_out_of_order, "rows from after test begins"),
        (_shuffled, "validation and test share 90 days"),
    ],
)
def test_leakage_is_refused(
    table: pd.DataFrame, leak: Callable[[pd.DataFrame], dict[str, pd.DataFrame]], reason: str
) -> None:
    with pytest.raises(splitting.LeakageError, match=reason):
        splitting.check_for_leakage(leak(table), "date", splitting.KNOWN_LATER)


def test_hours_of_one_day_count_as_the_same_day() -> None:
    morning, evening = (
        pd.DataFrame({"at": pd.to_datetime([f"2013-01-01 {hour}:00"])}) for hour in ("08", "20")
    )
    with pytest.raises(splitting.LeakageError, match="share 1 days"):
        splitting.check_for_leakage({"train": morning, "test": evening}, "at", ())


def test_training_csv_has_the_label_first_and_only_numbers(table: pd.DataFrame) -> None:
    content = splitting.training_csv(table, "late", splitting.FEATURES)
    back = pd.read_csv(io.BytesIO(content), header=None)
    expected = table[["late", *splitting.FEATURES]]
    assert back.to_numpy().tolist() == expected.to_numpy().tolist()


def test_json_lines_hold_the_features_in_their_order(table: pd.DataFrame) -> None:
    content = splitting.inference_json_lines(table.head(50), splitting.FEATURES)
    rows = [json.loads(line) for line in content.splitlines()]
    assert [list(row) for row in rows] == [["features"]] * 50
    expected = table.head(50)[list(splitting.FEATURES)].to_numpy().tolist()
    assert [row["features"] for row in rows] == expected


def test_true_and_false_are_written_as_numbers() -> None:
    rows = pd.DataFrame({"late": [True, False], "share": [0.5, 1.25]})
    assert splitting.training_csv(rows, "late", ["share"]) == b"1,0.5\n0,1.25\n"
    assert splitting.inference_json_lines(rows, ["late", "share"]).splitlines()[0] == (
        b'{"features": [1, 0.5]}'
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"hour": "six"}, "hour: no numbers; encode them first"),
        ({"hour": None}, "hour: "),
        ({"hour": float("nan")}, "hour: values are missing"),
    ],
)
def test_what_is_no_number_is_not_written(
    table: pd.DataFrame, change: dict[str, Any], reason: str
) -> None:
    for write in (
        lambda rows: splitting.training_csv(rows, "late", splitting.FEATURES),
        lambda rows: splitting.inference_json_lines(rows, splitting.FEATURES),
    ):
        with pytest.raises(ValueError, match=reason):
            write(table.assign(**change))
        with pytest.raises(ValueError, match="no rows"):
            write(table.head(0))


def test_the_label_is_no_feature(table: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="the label late is among the features"):
        splitting.training_csv(table, "late", ["hour", "late"])


# ── figures ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def axes() -> Iterator[Callable[[], list[plt.Axes]]]:
    """The axes of the figure that was drawn."""
    yield lambda: plt.gcf().axes
    plt.close("all")


def test_the_figure_counts_bad_rows_and_names_bad_files(axes: Any) -> None:
    stock = pd.DataFrame(
        {
            "curated": [98, 99, 0],
            "quarantined": [2, 1, 50],
            "reasons": [{"type": 1, "value": 1}, {"value": 1}, {"truncated": 50}],
        },
        index=["month=01", "month=02", "month=03"],
    )
    figures.where_rows_went(stock, "title")
    left, right = axes()
    assert [text.get_text() for text in left.texts] == ["", "", "truncated: whole file"]
    assert [bar.get_width() for bar in right.patches] == [2, 1]
    assert [tick.get_text() for tick in right.get_yticklabels()] == ["value", "type"]


def test_a_figure_without_bad_rows(axes: Any) -> None:
    stock = pd.DataFrame({"curated": [9], "quarantined": [0], "reasons": [{}]}, index=["month=01"])
    figures.where_rows_went(stock, "title")
    assert list(axes()[1].patches) == []


def test_the_shares_of_months_are_those_of_the_rows(table: pd.DataFrame, axes: Any) -> None:
    figures.late_share(cut(table), "date", "late", "title")
    (drawn,) = axes()
    heights = [bar.get_height() for bar in drawn.patches]
    assert heights == table.groupby(table["date"].dt.month)["late"].mean().tolist()
