"""Chapter 4's feature store: one definition of a feature, for the past and for the stream."""

from __future__ import annotations

import base64
import json
import math
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import matplotlib
import numpy as np
import pandas as pd
import pytest

from tests.chapters.loading import load
from tests.local_aws.account import EXECUTION_ROLE_ARN
from tests.local_aws.environment import LocalAWS
from tests.local_aws.inventory import take

matplotlib.use("Agg")
_DATA = Path(__file__).parents[2] / "chapter04" / "data"

store = load("chapter04", "feature_store")
figures = load("chapter04", "figures_feature_store")
ingest = store.ingest_lambda
GROUP = "airports"


@pytest.fixture(scope="module")
def departures() -> pd.DataFrame:
    return pd.read_parquet(_DATA / "departures.parquet")


@pytest.fixture(scope="module")
def states(departures: pd.DataFrame) -> list[Any]:
    return store.history(departures)


def departure(minute: float, delay: float, origin: str = "JFK") -> dict[str, Any]:
    moment = datetime(2013, 5, 11, 20, tzinfo=UTC) + timedelta(minutes=minute)
    return {"origin": origin, "left_at": ingest.iso(moment), "delay": delay}


# ── the definition ───────────────────────────────────────────────────────────────────────────────


def test_a_departure_counts_half_after_an_hour():
    first = ingest.update(None, departure(0, 30))
    assert (first.delay_now, first.departures_now) == (30, 1)
    second = ingest.update(first, departure(60, 0))
    assert second.departures_now == pytest.approx(1.5)
    assert second.delay_now == pytest.approx(10)


def test_the_mean_is_that_of_pandas(departures):
    rows = departures[departures["origin"] == "LGA"].head(400)
    state = None
    for event in store.events(rows):
        state = ingest.update(state, event)
    times = rows["left_at"].astype("datetime64[ns]")
    expected = rows["delay"].astype(float).ewm(halflife="1h", times=times).mean().iloc[-1]
    assert state.delay_now == pytest.approx(expected)


def test_what_is_not_newer_changes_nothing():
    state = ingest.update(ingest.update(None, departure(0, 30)), departure(10, 5))
    assert ingest.update(state, departure(10, 99)) is state
    assert ingest.update(state, departure(5, 99)) is state


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"origin": "JFK"}, "KeyError"),
        ({**departure(0, 1), "delay": "much"}, "is no departure"),
        ({**departure(0, 1), "delay": None}, "is no departure"),
        ({**departure(0, 1), "left_at": "yesterday"}, "is no departure"),
        ({**departure(0, 1), "left_at": "2013-05-11T20:00:00"}, "has no zone"),
        ([1, 2], "is no departure"),
    ],
)
def test_says_what_is_wrong_with_a_departure(wrong, said):
    with pytest.raises(ValueError, match=said):
        ingest.update(None, wrong)


def test_an_airport_does_not_change_another():
    with pytest.raises(ValueError, match="from LGA does not change the state of JFK"):
        ingest.update(ingest.update(None, departure(0, 1)), departure(1, 1, "LGA"))


# ── the function ─────────────────────────────────────────────────────────────────────────────────


class Online:
    """An online store that keeps what is newest, in memory."""

    def __init__(self, refuses: int = 0) -> None:
        self.records: dict[str, list[dict[str, str]]] = {}
        self.refuses = refuses

    def get_record(self, FeatureGroupName: str, RecordIdentifierValueAsString: str) -> Any:
        found = self.records.get(RecordIdentifierValueAsString)
        return {"Record": found} if found else {}

    def put_record(self, FeatureGroupName: str, Record: list[dict[str, str]]) -> None:
        self.refuses -= 1
        if self.refuses >= 0:
            raise ConnectionError("the store does not answer")
        self.records[Record[0]["ValueAsString"]] = Record


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> Online:
    fake = Online()
    monkeypatch.setenv("FEATURE_GROUP", GROUP)
    monkeypatch.setattr(ingest, "_runtime", lambda: fake)
    return fake


def batch(messages: list[Any]) -> dict[str, Any]:
    texts = [each if isinstance(each, str) else json.dumps(each) for each in messages]
    data = [base64.b64encode(text.encode()).decode() for text in texts]
    return {"Records": [{"kinesis": {"data": each}} for each in data]}


def test_batches_of_any_size_give_the_same_state(online, departures):
    messages = store.events(departures.iloc[:300])
    dice = random.Random(4)
    start = 0
    while start < len(messages):
        size = dice.randint(1, 40)
        ingest.handler(batch(messages[start : start + size]))
        start += size
    for origin, state in store.fold(messages).items():
        assert ingest.load(online, GROUP, origin) == state


def test_a_batch_that_comes_again_counts_once(online):
    first = batch([departure(0, 10), departure(5, 20), departure(6, 7, "LGA")])
    assert ingest.handler(first) == {"useless": 0, "used": 3, "passed_over": 0}
    before = dict(online.records)
    assert ingest.handler(first) == {"useless": 0, "used": 0, "passed_over": 3}
    assert online.records == before


def test_a_refusal_of_the_store_loses_nothing(online):
    online.refuses = 1
    first = batch([departure(0, 10), departure(5, 20)])
    with pytest.raises(ConnectionError):
        ingest.handler(first)
    assert ingest.handler(first)["used"] == 2


def test_useless_messages_do_not_hold_up_the_others(online, capsys):
    counts = ingest.handler(batch(["departed!", {"origin": "JFK"}, "[]", departure(0, 10)]))
    assert counts == {"useless": 3, "used": 1, "passed_over": 0}
    assert "is no departure" in capsys.readouterr().out


def test_a_batch_of_nothing_is_no_error(online):
    assert ingest.handler({"Records": []}) == {"useless": 0, "used": 0, "passed_over": 0}
    assert online.records == {}


# ── history and joins ────────────────────────────────────────────────────────────────────────────


def test_history_has_the_last_state_of_each_hour(departures, states):
    last = departures.groupby(["origin", departures["left_at"].dt.floor("h")])["left_at"].max()
    assert sorted(state.event_time.replace(tzinfo=None) for state in states) == sorted(last)
    final = {state.origin: state for state in states}
    assert final == store.fold(store.events(departures))


def test_the_join_takes_the_newest_state_that_was_known(departures, states):
    questions = store.questions(departures)
    joined = store.as_of(questions, states).set_index("flight_id")
    for row in questions.sample(200, random_state=1).itertuples():
        asked = datetime.fromisoformat(row.asked_at)
        oldest = datetime.fromisoformat(row.not_before)
        known = [s for s in states if s.origin == row.origin and oldest <= s.event_time <= asked]
        found = joined.at[row.flight_id, "delay_now"]
        assert math.isnan(found) if not known else found == known[-1].delay_now


def test_questions_leave_out_what_never_arrived(departures):
    questions = store.questions(departures)
    assert len(questions) == departures["arrival_delay"].notna().sum()
    assert set(questions["late"].unique()) == {0, 1}


def test_picks_names_the_join_that_finds_nothing(states):
    table = pd.DataFrame([vars(state) for state in states if state.origin == "JFK"])
    flight = pd.Series({"flight_id": "x", "asked_at": "2012-01-01T00:00:00Z"})
    flight["scheduled_at"] = "2012-01-01T02:00:00Z"
    with pytest.raises(ValueError, match="no state for the join 'as of' of x"):
        store.picks(table, flight)


def test_a_split_goes_by_the_day_of_the_question(departures):
    before, after = store.split(store.questions(departures), "2013-05-06")
    assert before["asked_at"].max() < "2013-05-06" <= after["asked_at"].min()


def test_the_model_reads_a_flight_without_a_state(departures, states):
    rows = store.as_of(store.questions(departures.head(3000)), states)
    model = store.train(rows)
    empty = rows.head(3).assign(delay_now=np.nan, departures_now=np.nan)
    assert np.isfinite(store.scores(model, empty)).all()


def test_the_second_program_differs_only_in_its_clock(departures):
    punctual = departures.assign(left_at=departures["scheduled_at"]).drop_duplicates(
        ["origin", "scheduled_at"]
    )
    first, second = store.history(punctual), store.from_the_table(punctual)
    assert len(first) == len(second)
    order = {(state.origin, state.event_time): state for state in first}
    for state in second:
        same = order[state.origin, state.event_time]
        assert state.delay_now == pytest.approx(same.delay_now)
        assert state.departures_now == pytest.approx(same.departures_now)


def test_june_gains_nothing(monkeypatch):
    make = load("chapter04/data", "make_departures")
    monkeypatch.setattr(make, "FIRST", pd.Timestamp("2013-06-03"))
    rows = make.departures(pd.read_parquet(make.SOURCE))
    joined = store.as_of(store.questions(rows), store.history(rows))
    before, week = store.split(joined, "2013-06-24")
    gain = store.auc(store.train(before), week) - store.auc(store.train(before, ()), week, ())
    assert gain < 0.005


# ── skew ─────────────────────────────────────────────────────────────────────────────────────────


def test_differing_counts_rows():
    one, two = pd.Series([1.0, 2.0, np.nan, 4.0]), pd.Series([1.0, 2.5, np.nan, np.nan])
    assert store.differing(one, two) == 0.5
    with pytest.raises(ValueError, match="4 rows cannot be compared with 3"):
        store.differing(one, two[:3])


def test_psi_is_zero_for_the_same_and_grows_with_the_shift():
    values = pd.Series(np.random.default_rng(0).normal(size=5000))
    assert store.psi(values, values) == 0
    assert 0 < store.psi(values, values + 0.2) < 0.1 < store.psi(values, values + 1)
    assert store.psi(values, values.where(values > 0)) > 0.25
    with pytest.raises(ValueError, match="rows on both sides"):
        store.psi(values, values[:0])


# ── the store itself ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def session(aws: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    for name, value in aws.environ.items():
        monkeypatch.setenv(name, value)
    boto3.setup_default_session()
    boto3.client("s3").create_bucket(Bucket="features")
    return boto3.Session()


def test_a_group_goes_with_all_that_aws_leaves_behind(session, aws, states):
    created = store.create_group(GROUP, "s3://features/offline", EXECUTION_ROLE_ARN, [])
    assert created["OnlineStoreConfig"]["TtlDuration"] == store.TIME_TO_LIVE
    store.ingest(GROUP, states[:20])
    store.delete_group(GROUP)
    store.delete_group(GROUP)  # one that is not there is passed over
    left = session.client("s3").list_objects_v2(Bucket="features")
    assert left["KeyCount"] == 0
    assert set(take(aws.client, ["glue", "s3", "sagemaker"])) == {"s3 list_buckets"}


def test_a_group_that_fails_says_why(session):
    with pytest.raises(RuntimeError, match="CreateFailed.*NoSuchBucket"):
        store.create_group(GROUP, "s3://nowhere-to-be-found/x", EXECUTION_ROLE_ARN, [])


def test_a_stream_that_takes_not_all_is_an_error(monkeypatch):
    class Full:
        def put_records(self, **_: Any) -> dict[str, int]:
            return {"FailedRecordCount": 2}

    monkeypatch.setattr(store.boto3, "client", lambda _: Full())
    with pytest.raises(RuntimeError, match="airports did not take 2 of 3 records"):
        store.send(GROUP, [departure(n, 1) for n in range(3)])


def test_waiting_has_an_end():
    with pytest.raises(TimeoutError, match="for the moon"):
        store.wait_until(lambda: False, "the moon", poll_seconds=0, timeout_seconds=0)


def test_a_replay_says_what_is_good(departures):
    evening = store.replay(departures, "2013-05-11T20:00:00Z", "2013-05-12T00:00:00Z")
    messages, good = evening["messages"], evening["good"]
    sent = [each for each in messages if isinstance(each, dict) and each["origin"] != "EWR"]
    texts = [json.dumps(each) for each in sent]
    assert len(texts) - len(set(texts)) == 20
    assert len(set(texts)) - len(good) == 10
    newest = max(each["left_at"] for each in good)
    assert all(each["left_at"] < newest for each in messages[-10:])
    with pytest.raises(ValueError, match="too few to replay"):
        store.replay(departures, "2013-05-11T20:00:00Z", "2013-05-11T20:30:00Z")


# ── data and pictures ────────────────────────────────────────────────────────────────────────────


def test_the_data_are_made_again(departures):
    make = load("chapter04/data", "make_departures")
    again = make.departures(pd.read_parquet(make.SOURCE))
    pd.testing.assert_frame_equal(again, departures)
    assert not departures.duplicated(["origin", "left_at"]).any()
    assert departures["flight_id"].is_unique


def test_pictures_show_what_they_are_given(states, monkeypatch):
    monkeypatch.setattr(figures.plt, "show", lambda: None)
    table = store.between(states, "JFK", "2013-05-01T00:00:00Z", "2013-05-13T00:00:00Z")
    flight = pd.Series({"flight_id": "x", "asked_at": "2013-05-11T21:05:00Z"})
    flight["scheduled_at"] = "2013-05-11T23:05:00Z"
    figures.timeline(table, flight, store.picks(table, flight), "a title")
    axes = figures.plt.gcf().axes[0]
    assert "a title" in (axes.get_title(), axes.get_title(loc="left"))
    texts = [text.get_text() for text in axes.texts]
    assert {"as of", "same hour", "latest →"} <= set(texts)
    with pytest.raises(ValueError, match="no states between"):
        figures.timeline(table.head(3), flight, {}, "nothing")
    scores = pd.DataFrame({"validation": [0.7, 0.8], "serving": [0.7, 0.6]}, index=["a", "b"])
    figures.claims(scores, 0.65, "a title")
    assert [t.get_text() for t in figures.plt.gcf().axes[0].get_yticklabels()] == ["a", "b"]
    one, two = pd.Series([1.0, np.nan]), pd.Series([2.0, 3.0])
    figures.skew({"training": table, "serving": table}, one, two, "a title")
    assert len(figures.plt.gcf().axes) == 2
    figures.plt.close("all")
