"""The helper scripts of chapter 6, on real flights: what they compute and how they refuse."""

from __future__ import annotations

import csv
import importlib.util
import json
import sys
import tarfile
from io import BytesIO
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import xgboost as xgb
from sklearn.metrics import roc_auc_score

ROOT = Path(__file__).resolve().parents[2]
CHAPTER = ROOT / "chapter06"
TABLE = CHAPTER / "data" / "flight_features.parquet"
FLIGHTS = ROOT / "chapter02" / "data"
KEY = ["date", "carrier", "flight", "origin"]


def load(path: Path) -> ModuleType:
    """Import the script at `path` under a name of its own."""
    name = f"chapter06_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


make_features = load(CHAPTER / "data" / "make_features.py")
prepare_features = load(CHAPTER / "prepare_features.py")
evaluate = load(CHAPTER / "evaluate.py")


# ------------------------------------------------------------------------- make_features.py


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    """Chapter 2's flights, weather and planes."""
    return make_features.read_tables(FLIGHTS)


@pytest.fixture(scope="module")
def fortnight(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The same tables with the flights of 24 January to 6 February only."""
    flights = tables["flights"]
    days = flights["month"] * 100 + flights["day"]
    return tables | {"flights": flights[days.between(124, 206)].reset_index(drop=True)}


def test_shipped_table_is_what_the_script_makes(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    again = tmp_path / "again.parquet"
    assert make_features.main(["--tables", str(FLIGHTS), "--output", str(again)]) == 0
    assert "327,346 flights" in capsys.readouterr().out
    assert pq.read_table(TABLE).equals(pq.read_table(again))
    if pq.read_metadata(TABLE).created_by == pq.read_metadata(again).created_by:
        assert TABLE.read_bytes() == again.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["again.parquet"]


@pytest.mark.parametrize("at", ["2013-01-30 14:00", "2013-01-31 21:30", "2013-02-03 09:15"])
def test_nothing_that_happens_after_the_decision_is_in_a_feature(
    fortnight: dict[str, pd.DataFrame], at: str
) -> None:
    """Rewrite the future from one moment on: what was decided until then must not notice."""
    moment = int(pd.Timestamp(at, tz="UTC").timestamp())
    before = make_features.build_features(**fortnight)

    flights = fortnight["flights"].copy()
    scheduled = make_features.scheduled_departure(flights)
    departed = scheduled + flights["dep_delay"].to_numpy("float64") * 60
    later = ~(departed < moment)
    generator = np.random.default_rng(6)
    earliest = np.ceil((moment - scheduled) / 60)
    invented = np.maximum(earliest, -20) + generator.integers(0, 400, len(flights))
    flights.loc[later, "dep_delay"] = np.where(
        generator.random(later.sum()) < 0.2, np.nan, invented[later]
    )
    flights["arr_delay"] = generator.integers(-30, 300, len(flights)).astype("float64")
    weather = fortnight["weather"].copy()
    hour_ends = weather["time_hour"] + pd.Timedelta(hours=1)
    unseen = (hour_ends > pd.Timestamp(at)).to_numpy()
    for column in make_features.WEATHER_COLUMNS:
        weather[column] = weather[column].astype("float64").mask(unseen, 1)
    after = make_features.build_features(flights, weather, fortnight["planes"])

    known = [name for name in before if name not in (*KEY, "late")]
    both = before.merge(after, on=KEY, suffixes=("", "_after"), validate="1:1")
    local_midnight = pd.to_datetime(both["date"]).dt.tz_localize("America/New_York")
    leaves = local_midnight + pd.to_timedelta(both["departure_minute"], unit="min")
    decided = (leaves - pd.Timedelta(hours=2) <= pd.Timestamp(at, tz="UTC")).to_numpy()
    assert decided.sum() > 4_000
    assert (~decided).sum() > 2_000
    moved = {
        name
        for name in known
        if not both.loc[decided, name].equals(
            both.loc[decided, f"{name}_after"].astype(both[name].dtype).rename(name)
        )
    }
    assert moved == set()
    # The change is one that later flights do notice, or the test would prove nothing.
    for name in ("origin_late_share_3h", "dest_late_share_7d", "origin_overdue", "temperature"):
        assert not both.loc[~decided, name].equals(both.loc[~decided, f"{name}_after"]), name


def test_no_column_is_known_only_after_departure() -> None:
    names = set(pq.read_schema(TABLE).names)
    assert not names & {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"}
    assert not set(prepare_features.FEATURES) & {"late", "month", "date", "flight"}
    assert names == {*prepare_features.KEYS, *prepare_features.FEATURES, "late"}


def test_target_and_left_out_flights(tables: dict[str, pd.DataFrame]) -> None:
    flights = tables["flights"]
    table = pd.read_parquet(TABLE, columns=["late", "month"])
    arrived = flights[flights["arr_delay"].notna()]
    assert len(table) == len(arrived) == len(flights) - 8_255 - 1_175
    assert table["late"].sum() == (arrived["arr_delay"] > 15).sum()
    assert table["late"].groupby(table["month"]).mean().round(3).loc[[9, 12]].tolist() == [
        0.132,
        0.326,
    ]


def test_data_md_is_true() -> None:
    table = pd.read_parquet(TABLE)
    lines = (CHAPTER / "data" / "DATA.md").read_text().splitlines()
    rows = [line.strip("|").split("|") for line in lines if line.startswith("| ")]
    missing = {
        name: int(row[3].replace(",", "").strip() or 0)
        for row in rows
        if len(row) == 4
        for name in row[0].replace("`", "").replace("*", "").replace(" ", "").split(",")
        if name in table
    }
    assert missing == table.isna().sum().to_dict()
    parts = prepare_features.split_by_time(table)
    for name, part in parts.items():
        wanted = f"| {len(part):,} | {100 * part['late'].mean():.1f} % |"
        assert any(line.startswith(f"| {name}:") and line.endswith(wanted) for line in lines), name


def test_history_is_what_counting_by_hand_gives(fortnight: dict[str, pd.DataFrame]) -> None:
    flights = fortnight["flights"]
    features = make_features.build_features(**fortnight)
    scheduled = pd.Series(make_features.scheduled_departure(flights))
    departed = scheduled + flights["dep_delay"] * 60
    for row in features.sample(25, random_state=3).itertuples():
        mine = (flights["flight"] == row.flight) & (flights["carrier"] == row.carrier)
        mine &= (flights["day"] == row.date.day) & (flights["origin"] == row.origin)
        now = scheduled[mine].item() - 7_200
        here = flights["origin"] == row.origin
        left = here & (departed < now) & (departed >= now - 3 * 3_600)
        share = (flights.loc[left, "dep_delay"] > 15).mean()
        assert row.origin_late_share_3h == pytest.approx(share, abs=5e-4, nan_ok=True)
        waiting = here & (scheduled + 900 < now) & (scheduled + 3 * 3_600 >= now)
        waiting &= ~(departed < now)
        assert row.origin_overdue == waiting.sum()


def test_weather_is_three_hours_old_and_the_impossible_wind_is_gone(
    tables: dict[str, pd.DataFrame],
) -> None:
    table = pd.read_parquet(TABLE)
    assert table["wind_speed"].max() < 45
    weather = tables["weather"]
    noon = table[(table["hour"] == 12) & (table["month"] == 7) & (table["origin"] == "JFK")]
    for row in noon.iloc[::200].itertuples():
        utc = pd.Timestamp(row.date) + pd.Timedelta(hours=9 + 4)
        seen = weather[(weather["origin"] == "JFK") & (weather["time_hour"] == utc)]
        assert row.temperature == seen["temp"].item()


def test_missing_source_tables_and_columns_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture, tables: dict[str, pd.DataFrame]
) -> None:
    assert make_features.main(["--tables", str(tmp_path)]) == 1
    assert "flights.parquet does not exist" in capsys.readouterr().err
    poorer = tables["flights"].head(5).drop(columns=["tailnum", "dep_delay"])
    poorer.to_parquet(tmp_path / "flights.parquet")
    with pytest.raises(make_features.SourceError, match="lacks the columns dep_delay, tailnum"):
        make_features.read_tables(tmp_path)


# ---------------------------------------------------------------------- prepare_features.py


@pytest.fixture(scope="module")
def sample() -> pd.DataFrame:
    """Every fortieth flight of the shipped table."""
    return prepare_features.read_table(TABLE).iloc[::40].reset_index(drop=True)


@pytest.fixture(scope="module")
def prepared(sample: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `prepare` writes for the sample."""
    folder = tmp_path_factory.mktemp("prepared")
    prepare_features.prepare(sample, folder)
    return folder


def test_split_is_by_time_and_complete(sample: pd.DataFrame) -> None:
    parts = prepare_features.split_by_time(sample)
    assert sum(len(part) for part in parts.values()) == len(sample)
    assert parts["train"]["date"].max() < parts["validation"]["date"].min()
    assert parts["validation"]["date"].max() < parts["test"]["date"].min()
    assert {name: sorted(set(part["month"])) for name, part in parts.items()} == {
        "train": list(range(1, 10)),
        "validation": [10],
        "test": [11, 12],
    }


def test_files_are_what_the_algorithm_reads(sample: pd.DataFrame, prepared: Path) -> None:
    parts = prepare_features.split_by_time(sample)
    for name, part in parts.items():
        file = prepared / name / f"{name}.csv"
        assert [path.name for path in file.parent.iterdir()] == [file.name]
        first = file.read_text().splitlines()[0]
        assert csv.Sniffer().sniff(first).delimiter == ","
        data = xgb.DMatrix(f"{file}?format=csv&label_column=0")
        assert (data.num_row(), data.num_col()) == (len(part), 25)
        assert np.array_equal(data.get_label(), part["late"])
        encoded = prepare_features.encode(part, prepare_features.Encoding.load(
            prepared / "encoding.json"
        ))  # fmt: skip
        assert data.num_nonmissing() == encoded.notna().to_numpy().sum()
        assert encoded.isna().to_numpy().any()


def test_keys_follow_the_lines(sample: pd.DataFrame, prepared: Path) -> None:
    test = prepare_features.split_by_time(sample)["test"]
    keys = pd.read_csv(prepared / "keys" / "test.csv")
    assert keys["flight"].tolist() == test["flight"].tolist()
    assert keys["baseline"].between(0, 1).all()
    assert {path.name for path in (prepared / "keys").iterdir()} == {"validation.csv", "test.csv"}


def test_later_months_teach_nothing(sample: pd.DataFrame) -> None:
    turned = sample.assign(late=sample["late"].where(sample["month"] <= 9, 1 - sample["late"]))
    learned = [
        prepare_features.learn_encoding(prepare_features.split_by_time(table)["train"])
        for table in (sample, turned)
    ]
    assert learned[0] == learned[1]


def test_encoding_is_the_smoothed_late_share(sample: pd.DataFrame) -> None:
    train = prepare_features.split_by_time(sample)["train"]
    encoding = prepare_features.learn_encoding(train)
    delta = train.loc[train["carrier"] == "DL", "late"]
    by_hand = (delta.sum() + 50 * train["late"].mean()) / (len(delta) + 50)
    assert encoding.shares["carrier"]["DL"] == pytest.approx(by_hand, abs=1e-6)
    rare = encoding.shares["dest"][train["dest"].value_counts().index[-1]]
    assert abs(rare - encoding.overall) < 0.05


def test_unknown_carrier_gets_the_overall_share(sample: pd.DataFrame) -> None:
    encoding = prepare_features.learn_encoding(sample)
    flight = sample.head(2).assign(carrier=["ZZ", "UA"], manufacturer=None)
    encoded = prepare_features.encode(flight.drop(columns="late"), encoding)
    assert encoded["carrier"].tolist() == [encoding.overall, encoding.shares["carrier"]["UA"]]
    assert encoded["manufacturer"].isna().all()
    assert prepare_features.unknown_levels(flight, encoding) == {"carrier": ["ZZ"]}
    answer = prepare_features.baseline(sample, flight)
    assert answer.iloc[0] == pytest.approx(sample["late"].mean())


def test_request_body_has_no_label_and_empty_fields(sample: pd.DataFrame) -> None:
    encoding = prepare_features.learn_encoding(sample)
    flight = sample[sample["seats"].isna()].head(1)
    body = prepare_features.to_csv(prepare_features.encode(flight, encoding)).decode()
    fields = body.rstrip("\n").split(",")
    assert len(fields) == 25
    assert fields[prepare_features.FEATURES.index("seats")] == ""
    assert float(fields[prepare_features.FEATURES.index("distance")]) == flight["distance"].item()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda table: table.drop(columns=["carrier", "seats"]),
            "lacks the columns carrier, seats",
        ),
        (lambda table: table.head(0), "no rows"),
        (lambda table: table.assign(late=table["late"].where(table.index > 2)), "3 rows have no"),
        (lambda table: table.assign(late=table["late"] * 2), r"must be 0 or 1, found \[2\]"),
        (lambda table: table.assign(seats="many"), "seats must be numbers"),
        (lambda table: table[table["month"] != 10], "2013-10-01 and 2013-10-31 for 'validation'"),
    ],
)
def test_unusable_table_is_refused_before_anything_is_written(
    sample: pd.DataFrame, tmp_path: Path, spoil, message: str
) -> None:
    with pytest.raises(prepare_features.DataError, match=message):
        prepare_features.prepare(spoil(sample), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_unreadable_input_is_named(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    def refusal(path: Path) -> str:
        assert prepare_features.main(["--input", str(path), "--output", str(tmp_path)]) == 1
        return capsys.readouterr().err

    assert "does not exist" in refusal(tmp_path / "nothing.parquet")
    assert "holds no .parquet file" in refusal(tmp_path)
    (tmp_path / "empty.parquet").touch()
    assert "is empty (0 bytes)" in refusal(tmp_path / "empty.parquet")


# ------------------------------------------------------------------------------ evaluate.py


def artifact(folder: Path, name: str, content: bytes) -> Path:
    """Write a model.tar.gz that holds `content` under `name`."""
    path = folder / "model.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        tar.addfile(entry, BytesIO(content))
    return path


@pytest.fixture(scope="module")
def booster(prepared: Path) -> xgb.Booster:
    """A small model trained on the sample, as the algorithm trains it."""
    data = xgb.DMatrix(f"{prepared / 'train' / 'train.csv'}?format=csv&label_column=0")
    parameters = {"objective": "binary:logistic", "max_depth": 4, "eta": 0.2, "nthread": 1}
    return xgb.train(parameters, data, 20)


@pytest.fixture(scope="module")
def arguments(
    booster: xgb.Booster, prepared: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The options of evaluate.py for the small model, but for --output."""
    folder = tmp_path_factory.mktemp("model")
    return {
        "--model": artifact(folder, "xgboost-model", bytes(booster.save_raw("ubj"))),
        "--validation": prepared / "validation",
        "--test": prepared / "test",
        "--keys": prepared / "keys",
    }


def run(options: dict[str, object]) -> int:
    """Run evaluate.py's command line with these options."""
    return evaluate.main([str(part) for pair in options.items() for part in pair])


@pytest.fixture(scope="module")
def evaluated(arguments: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the evaluation of the small model writes."""
    output = tmp_path_factory.mktemp("evaluation")
    assert run(arguments | {"--output": output}) == 0
    return output


def strict_json(path: Path) -> dict:
    """Read JSON as a standard parser does: NaN is not a number there."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


def test_report_agrees_with_the_predictions(evaluated: Path) -> None:
    report = strict_json(evaluated / "evaluation.json")
    metrics, decision = report["binary_classification_metrics"], report["decision"]
    flights = pd.read_csv(evaluated / "predictions.csv")
    test = flights[flights["split"] == "test"]
    assert report["dataset"]["item_count"] == len(test)
    auc = roc_auc_score(test["late"], test["probability"])
    assert metrics["auc"]["value"] == pytest.approx(auc, abs=1e-4)
    assert 0.6 < auc < 0.8
    assert metrics["confusion_matrix"]["1"]["1"] == (test["late"] & test["warned"]).sum()
    assert metrics["recall"]["value"] == pytest.approx(
        (test["late"] & test["warned"]).sum() / test["late"].sum(), abs=1e-6
    )
    assert 0 < metrics["auc"]["standard_deviation"] < 0.05
    assert decision["threshold"] == pytest.approx(0.25)
    late = test["late"].mean()
    costs = decision["cost_per_flight"]["test"]
    assert costs["never_warn"] == pytest.approx(250 * late, abs=1e-3)
    assert costs["always_warn"] == pytest.approx(50 + 50 * late, abs=1e-3)
    assert costs["perfect"] == pytest.approx(100 * late, abs=1e-3)
    assert costs["perfect"] < costs["model"] < costs["never_warn"]


def test_curves_are_whole(evaluated: Path) -> None:
    metrics = strict_json(evaluated / "evaluation.json")["binary_classification_metrics"]
    roc = metrics["receiver_operating_characteristic_curve"]
    for rates in (roc["false_positive_rates"], roc["true_positive_rates"]):
        assert (rates[0], rates[-1]) == (0, 1)
        assert rates == sorted(rates)
        assert 50 < len(rates) <= 201
    recalls = metrics["precision_recall_curve"]["recalls"]
    assert (recalls[0], recalls[-1]) == (0, 1)
    assert len(recalls) == len(metrics["precision_recall_curve"]["precisions"])


def test_slices_add_up(evaluated: Path) -> None:
    table = pd.read_csv(evaluated / "slices.csv")
    flights = pd.read_csv(evaluated / "predictions.csv")
    test = table[table["split"] == "test"]
    assert set(test["column"]) == {"carrier", "origin", "hour", "month"}
    total = (flights["split"] == "test").sum()
    assert (test.groupby("column")["flights"].sum() == total).all()
    report = strict_json(evaluated / "evaluation.json")
    mean = report["decision"]["cost_per_flight"]["test"]["model"]
    for _, group in test.groupby("column"):
        assert np.average(group["cost_per_flight"], weights=group["flights"]) == pytest.approx(
            mean, abs=0.01
        )
    december = flights[(flights["split"] == "test") & (flights["month"] == 12)]
    row = test[(test["column"] == "month") & (test["level"] == "12")]
    assert row["late_share"].item() == pytest.approx(december["late"].mean(), abs=1e-5)


def test_documented_example_of_the_report() -> None:
    """The numbers of the example in AWS's page on model quality metrics."""
    labels, answers = np.array([0, 0, 0, 1]), np.array([0.1, 0.6, 0.7, 0.9])
    metrics = evaluate.binary_metrics(labels, answers, 0.5)
    assert metrics["confusion_matrix"] == {"0": {"0": 1, "1": 2}, "1": {"0": 0, "1": 1}}
    expected = {
        "recall": 1.0, "precision": 1 / 3, "accuracy": 0.5, "true_negative_rate": 1 / 3,
        "false_positive_rate": 2 / 3, "false_negative_rate": 0.0, "auc": 1.0,
        "f0_5": 0.384615, "f1": 0.5, "f2": 0.714286,
        "accuracy_best_constant_classifier": 0.25, "f0_5_best_constant_classifier": 0.294118,
        "f1_best_constant_classifier": 0.4, "f2_best_constant_classifier": 0.625,
    }  # fmt: skip
    for name, value in expected.items():
        assert metrics[name]["value"] == pytest.approx(value, abs=1e-6), name
        assert metrics[name]["standard_deviation"] == "NaN"


def test_one_class_only_gives_nan_not_an_error() -> None:
    metrics = evaluate.binary_metrics(np.zeros(5, int), np.linspace(0.1, 0.9, 5), 0.95)
    assert metrics["auc"]["value"] == metrics["precision"]["value"] == "NaN"
    assert "receiver_operating_characteristic_curve" not in metrics
    json.dumps(metrics, allow_nan=False)


def test_threshold_of_the_costs_is_the_cheapest_for_true_probabilities() -> None:
    generator = np.random.default_rng(1)
    truth = generator.beta(2, 5, 200_000)
    labels = (generator.random(len(truth)) < truth).astype(int)
    for costs in (
        evaluate.Costs(),
        evaluate.Costs(0, 20, 250, 100),
        evaluate.Costs(5, 90, 200, 60),
    ):
        curve = evaluate.cost_curve(labels, truth, costs)
        cheapest = curve["cost_per_flight"].min()
        at_theirs = evaluate.flight_costs(labels, truth, costs.threshold, costs).mean()
        assert at_theirs == pytest.approx(cheapest, rel=0.002)
        assert abs(evaluate.best_threshold(curve) - costs.threshold) < 0.05


def test_costs_that_reward_mistakes_are_refused() -> None:
    with pytest.raises(ValueError, match="must cost more than the right one"):
        evaluate.Costs(true_positive=300)


def test_calibration_groups_cover_all(evaluated: Path) -> None:
    table = pd.read_csv(evaluated / "calibration.csv")
    flights = pd.read_csv(evaluated / "predictions.csv")
    for name, group in table.groupby("split"):
        of_split = flights[flights["split"] == name]
        assert len(group) == 10
        assert group["flights"].sum() == len(of_split)
        assert group["mean_probability"].is_monotonic_increasing
        late = np.average(group["late_share"], weights=group["flights"])
        assert late == pytest.approx(of_split["late"].mean(), abs=1e-5)


def test_threshold_and_costs_can_be_given(arguments: dict[str, Path], tmp_path: Path) -> None:
    assert run(arguments | {"--output": tmp_path, "--cost-false-positive": 150}) == 0
    assert strict_json(tmp_path / "evaluation.json")["decision"]["threshold"] == 0.5
    assert run(arguments | {"--output": tmp_path, "--threshold": 0.4}) == 0
    assert strict_json(tmp_path / "evaluation.json")["decision"]["threshold"] == 0.4


@pytest.mark.parametrize("text", ["", "late,distance\n0,3\n", ",5\n1,6\n", "2,5\n", "nan,5\n"])
def test_unusable_data_is_refused(
    arguments: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture, text: str
) -> None:
    (tmp_path / "test.csv").write_text(text)
    assert run(arguments | {"--test": tmp_path, "--output": tmp_path / "output"}) == 1
    error = capsys.readouterr().err
    assert "test.csv" in error
    assert any(part in error for part in ("empty", "no header", "must be 0 or 1"))
    assert not (tmp_path / "output").exists()


def test_model_that_is_no_model_is_refused(tmp_path: Path, booster: xgb.Booster) -> None:
    with pytest.raises(evaluate.EvaluationError, match="does not exist"):
        evaluate.load_model(tmp_path / "model.tar.gz")
    with pytest.raises(evaluate.EvaluationError, match="no file named xgboost-model"):
        evaluate.load_model(artifact(tmp_path, "model.pkl", b"x"))
    with pytest.raises(evaluate.EvaluationError, match="is not a model that XGBoost"):
        evaluate.load_model(artifact(tmp_path, "xgboost-model", b"not a model"))
    path = artifact(tmp_path, "./xgboost-model", bytes(booster.save_raw("json")))
    assert evaluate.load_model(path).num_features() == 25
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(evaluate.EvaluationError, match="cannot be read as a tar archive"):
        evaluate.load_model(path)


def test_data_of_another_shape_is_refused(
    arguments: dict[str, Path], prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    data = pd.read_csv(prepared / "test" / "test.csv", header=None)
    data.iloc[:, :-1].to_csv(tmp_path / "test.csv", header=False, index=False)
    options = {"--test": tmp_path, "--output": tmp_path / "output"}
    assert run(arguments | options) == 1
    assert "trained on 25 columns, the data has 24" in capsys.readouterr().err
    data.head(10).to_csv(tmp_path / "test.csv", header=False, index=False)
    assert run(arguments | options) == 1
    assert "the data has 10" in capsys.readouterr().err


def test_keys_without_a_column_are_refused(prepared: Path, tmp_path: Path) -> None:
    keys = pd.read_csv(prepared / "keys" / "test.csv").drop(columns=["carrier", "baseline"])
    keys.to_csv(tmp_path / "test.csv", index=False)
    with pytest.raises(evaluate.EvaluationError, match="lacks the columns carrier, baseline"):
        evaluate.read_keys(tmp_path / "test.csv", len(keys))
