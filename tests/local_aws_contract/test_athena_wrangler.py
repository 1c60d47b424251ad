"""Athena and the catalog as awswrangler uses them."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import awswrangler as wr
import boto3
import pandas as pd
import pytest
from awswrangler.athena import _cache

BUCKET = "lake"
OUTPUT = {"s3_output": f"s3://{BUCKET}/results/"}


@pytest.fixture(autouse=True)
def environment(aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """awswrangler finds the offline AWS as any client does: in its environment."""
    for name, value in aws.environ.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    # One session for all clients: awswrangler would make one for each call otherwise.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", boto3.Session())
    # It remembers executions by id, and each new account gives the same ids again.
    _cache._cache_manager.__init__()
    aws.client("s3").create_bucket(Bucket=BUCKET)
    wr.catalog.create_database("db")


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": [1, 2, 3],
            "name": ["a", None, "c"],
            "value": [1.5, 2.5, None],
            "day": [datetime.date(2024, 1, 1)] * 3,
            "at": pd.to_datetime(["2024-01-01 10:00:00.123"] * 3),
            "yes": [True, False, None],
            "price": [Decimal("1.20")] * 3,
            "part": ["x", "y", "y"],
        }
    )


@pytest.fixture
def table(frame: pd.DataFrame) -> str:
    """The frame as a table partitioned by `part`."""
    path = f"s3://{BUCKET}/table/"
    wr.s3.to_parquet(
        frame, path=path, dataset=True, database="db", table="rows", partition_cols=["part"]
    )
    return "rows"


def read(sql: str, **options: Any) -> pd.DataFrame:
    settings = {"ctas_approach": False, **OUTPUT, **options}
    return wr.athena.read_sql_query(sql, database="db", **settings)


def values(column: pd.Series) -> list[Any]:
    return [None if pd.isna(value) else value for value in column]


@pytest.mark.parametrize(
    "approach",
    [
        {"ctas_approach": True},
        {"ctas_approach": False},
        {"unload_approach": True, "s3_output": f"s3://{BUCKET}/unload/"},
    ],
    ids=["ctas", "no ctas", "unload"],
)
def test_a_table_comes_back_as_it_was(frame, table, approach):
    found = read(f"SELECT * FROM {table} ORDER BY id", **approach)
    assert list(found.columns) == list(frame.columns)
    for column in frame.columns:
        assert values(found[column]) == values(frame[column]), column
    # The temporary table is gone.
    assert [described["Name"] for described in wr.catalog.get_tables(database="db")] == [table]


def test_results_can_be_read_in_chunks(table):
    sql = f"SELECT * FROM {table}"
    assert [len(chunk) for chunk in read(sql, chunksize=2)] == [2, 1]
    assert sum(len(chunk) for chunk in read(sql, chunksize=2, ctas_approach=True)) == 3


def test_a_whole_table_can_be_read(table):
    assert wr.athena.read_sql_table(table, database="db", **OUTPUT).shape == (3, 8)


@pytest.mark.parametrize("ctas", [True, False])
def test_an_empty_result_keeps_its_columns(table, ctas):
    empty = read(f"SELECT id, name FROM {table} WHERE id > 99", ctas_approach=ctas)
    assert list(empty.columns) == ["id", "name"] and empty.empty


@pytest.mark.parametrize("ctas", [True, False])
def test_parameters_of_both_styles(table, ctas):
    named = read(
        f"SELECT id FROM {table} WHERE part = :part AND id > :id",
        params={"part": "y", "id": 2},
        ctas_approach=ctas,
    )
    marked = read(
        f"SELECT id FROM {table} WHERE part = ? AND id > ?",
        params=["'y'", "2"],
        paramstyle="qmark",
        ctas_approach=ctas,
    )
    assert named.id.tolist() == marked.id.tolist() == [3]


@pytest.mark.parametrize("ctas", [True, False])
def test_a_cached_result_is_found_again(table, ctas):
    settings = {"athena_cache_settings": {"max_cache_seconds": 900}, "ctas_approach": ctas}
    first = read(f"SELECT id FROM {table}", keep_files=True, **settings)
    second = read(f"SELECT id FROM {table}", **settings)
    names = [found.query_metadata["QueryExecutionId"] for found in (first, second)]
    assert names[0] == names[1]
    assert sorted(second.id) == [1, 2, 3]


def test_ctas_by_hand(table):
    made = wr.athena.create_ctas_table(
        f"SELECT id, part FROM {table}",
        database="db",
        ctas_table="copy",
        partitioning_info=["part"],
        write_compression="snappy",
        wait=True,
        **OUTPUT,
    )
    assert made["ctas_table"] == "copy"
    assert read("SELECT * FROM copy ORDER BY id").values.tolist() == [[1, "x"], [2, "y"], [3, "y"]]
    assert sorted(wr.catalog.get_partitions("db", "copy").values()) == [["x"], ["y"]]
    schema_only = {"ctas_table": "shell", "schema_only": True, "wait": True, **OUTPUT}
    wr.athena.create_ctas_table(f"SELECT id FROM {table}", database="db", **schema_only)
    assert read("SELECT * FROM shell").empty


def test_unload_by_hand(table):
    path = f"s3://{BUCKET}/unloaded/"
    wr.athena.unload(
        f"SELECT id, part FROM {table}", path=path, database="db", partitioned_by=["part"]
    )
    files = [file for file in wr.s3.list_objects(path) if "/part=" in file]
    assert sorted(wr.s3.read_parquet(files).id) == [1, 2, 3]


def test_repair_finds_new_partitions(aws, table):
    source = wr.s3.list_objects(f"s3://{BUCKET}/table/part=x/")[0].removeprefix(f"s3://{BUCKET}/")
    aws.client("s3").copy_object(
        Bucket=BUCKET,
        Key="table/part=z/new.parquet",
        CopySource={"Bucket": BUCKET, "Key": source},
    )
    assert wr.athena.repair_table(table, database="db", **OUTPUT) == "SUCCEEDED"
    assert read(f"SELECT id FROM {table} WHERE part = 'z'").id.tolist() == [1]


def test_tables_are_described(table):
    rows = wr.athena.describe_table(table, database="db", **OUTPUT).set_index("Column Name")
    assert rows.Type.to_dict() == {
        "id": "bigint",
        "name": "string",
        "value": "double",
        "day": "date",
        "at": "timestamp",
        "yes": "boolean",
        "price": "decimal(3,2)",
        "part": "string",
    }
    assert [name for name, flag in rows.Partition.items() if flag] == ["part"]
    shown = wr.athena.show_create_table(table, database="db", **OUTPUT)
    assert shown.startswith("CREATE EXTERNAL TABLE `db.rows`( `id` bigint, `name` string,")
    generated = wr.athena.generate_create_query(table, database="db")
    assert generated.startswith("CREATE EXTERNAL TABLE `rows`(")


def test_executions_by_hand(table):
    name = wr.athena.start_query_execution(
        f"SELECT count(*) AS n FROM {table}", database="db", **OUTPUT
    )
    assert wr.athena.wait_query(name)["Status"]["State"] == "SUCCEEDED"
    assert wr.athena.get_query_execution(name)["QueryExecutionId"] == name
    assert wr.athena.get_query_results(name).n.tolist() == [3]
    assert wr.athena.get_query_columns_types(name) == {"n": "bigint"}
    assert name in wr.athena.list_query_executions()
    assert wr.athena.get_query_executions([name]).QueryExecutionId.tolist() == [name]


def test_errors_reach_the_reader(table):
    with pytest.raises(wr.exceptions.QueryFailed, match="COLUMN_NOT_FOUND.*'nope'"):
        read(f"SELECT nope FROM {table}")
    with pytest.raises(wr.exceptions.InvalidArgumentValue, match="define all columns names"):
        read(f"SELECT count(*) FROM {table}", ctas_approach=True)


@pytest.mark.filterwarnings("ignore:No `s3_output` was provided")
def test_the_default_bucket_is_made(aws):
    found = wr.athena.read_sql_query("SELECT 1 AS one", database="db", ctas_approach=False)
    assert found.one.tolist() == [1]
    buckets = [bucket["Name"] for bucket in aws.client("s3").list_buckets()["Buckets"]]
    assert "aws-athena-query-results-123456789012-us-east-1" in buckets


def test_prepared_statements(table):
    sql = f"SELECT id FROM {table} WHERE id > ? ORDER BY id"
    wr.athena.create_prepared_statement("SELECT 1 AS one", "mine")
    wr.athena.create_prepared_statement(sql, "mine")
    listed = wr.athena.list_prepared_statements()
    assert [statement["StatementName"] for statement in listed] == ["mine"]
    assert read("EXECUTE mine USING 1").id.tolist() == [2, 3]
    assert read("EXECUTE mine", params=["2"], paramstyle="qmark").id.tolist() == [3]
    wr.athena.delete_prepared_statement("mine")
    assert wr.athena.list_prepared_statements() == []


@pytest.mark.parametrize("form", ["csv", "json"])
def test_datasets_of_text_can_be_queried(frame, form):
    columns = ["id", "name", "value", "yes"]
    path, place = f"s3://{BUCKET}/{form}/", {"database": "db", "table": form, "dataset": True}
    if form == "csv":
        wr.s3.to_csv(frame[columns], path=path, index=False, **place)
    else:
        wr.s3.to_json(frame[columns], path=path, orient="records", lines=True, index=False, **place)
    found = read(f"SELECT id, value, yes FROM {form} ORDER BY id")
    assert found.id.tolist() == [1, 2, 3]
    assert values(found.value) == [1.5, 2.5, None]
    assert values(found.yes) == [True, False, None]


def test_the_catalog(table):
    assert wr.catalog.databases().Database.tolist() == ["db"]
    assert wr.catalog.tables(database="db").Table.tolist() == [table]
    assert wr.catalog.does_table_exist("db", table)
    assert wr.catalog.get_table_location("db", table) == f"s3://{BUCKET}/table/"
    assert wr.catalog.get_table_types("db", table)["price"] == "decimal(3,2)"
    partition = f"s3://{BUCKET}/table/part=x/"
    found = wr.catalog.get_parquet_partitions("db", table, expression="part = 'x'")
    assert found == {partition: ["x"]}
    wr.catalog.delete_partitions(table=table, database="db", partitions_values=[["x"]])
    assert read(f"SELECT id FROM {table} ORDER BY id").id.tolist() == [2, 3]
    wr.catalog.add_parquet_partitions("db", table, {partition: ["x"]})
    assert read(f"SELECT id FROM {table} ORDER BY id").id.tolist() == [1, 2, 3]
    assert wr.catalog.delete_table_if_exists("db", table)
    with pytest.raises(wr.exceptions.QueryFailed, match="TABLE_NOT_FOUND"):
        read(f"SELECT * FROM {table}")
