"""What the offline Athena promises, asked through boto3."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

BUCKET = "lake"
OUTPUT = f"s3://{BUCKET}/results/"
MONTHS = {1: ("AA", "BB", "AA"), 2: ("BB", "CC", "AA"), 3: ("CC", "CC", "CC")}

# A trillion rows: it does not end while a test waits.
ENDLESS = (
    "SELECT count(*) FROM unnest(sequence(1, 10000)) a(x) CROSS JOIN "
    "unnest(sequence(1, 10000)) b(y) CROSS JOIN unnest(sequence(1, 10000)) c(z) "
    "WHERE x * y % 7 + z = -1"
)

Query = Callable[..., dict[str, Any]]


def parquet(table: pa.Table, **options: Any) -> bytes:
    target = io.BytesIO()
    pq.write_table(table, target, **options)
    return target.getvalue()


def month_of_flights(month: int) -> pa.Table:
    """Three flights: carrier, delay in minutes, distance in miles (one unknown)."""
    return pa.table(
        {
            "carrier": list(MONTHS[month]),
            "delay": pa.array([month, 10 * month, 100 * month], pa.int32()),
            "distance": [1.5, None, 1e7],
        }
    )


def column_bytes(data: bytes, *columns: str) -> int:
    """The compressed size of columns, as the footer of a Parquet file tells it."""
    footer = pq.read_metadata(io.BytesIO(data))
    chunks = [
        footer.row_group(group).column(column)
        for group in range(footer.num_row_groups)
        for column in range(footer.num_columns)
    ]
    return sum(c.total_compressed_size for c in chunks if c.path_in_schema in columns)


@pytest.fixture
def query(aws) -> Query:
    """Run a statement in the database `db` to its end; the execution, with its rows as `rows`."""
    athena = aws.client("athena")
    aws.client("s3").create_bucket(Bucket=BUCKET)
    aws.client("glue").create_database(DatabaseInput={"Name": "db"})

    def run(sql: str, **params: Any) -> dict[str, Any]:
        settings = {
            "QueryExecutionContext": {"Database": "db"},
            "ResultConfiguration": {"OutputLocation": OUTPUT},
        }
        started = athena.start_query_execution(QueryString=sql, **{**settings, **params})
        execution = finished(athena, started["QueryExecutionId"])
        if execution["Status"]["State"] == "SUCCEEDED":
            found = athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])
            execution["rows"] = texts(found)
            execution["columns"] = found["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
            execution["update_count"] = found["UpdateCount"]
        return execution

    return run


def finished(athena: Any, name: str) -> dict[str, Any]:
    while True:
        execution = athena.get_query_execution(QueryExecutionId=name)["QueryExecution"]
        if execution["Status"]["State"] not in ("QUEUED", "RUNNING"):
            return execution
        time.sleep(0.05)


def texts(results: dict[str, Any]) -> list[list[str | None]]:
    rows = results["ResultSet"]["Rows"]
    return [[datum.get("VarCharValue") for datum in row["Data"]] for row in rows]


@pytest.fixture
def flights(aws, query: Query) -> dict[int, bytes]:
    """The table `flights`, partitioned by year and month; the content of its files by month."""
    files = {month: parquet(month_of_flights(month)) for month in MONTHS}
    for month, content in files.items():
        key = f"flights/year=2024/month={month}/part-0.parquet"
        aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=content)
    query(
        f"""CREATE EXTERNAL TABLE IF NOT EXISTS db.flights (
            `carrier` string COMMENT 'IATA code', -- who flies
            delay int,
            distance double)
        PARTITIONED BY (year int, `month` string)
        STORED AS PARQUET
        LOCATION 's3://{BUCKET}/flights/'
        TBLPROPERTIES ('parquet.compression'='SNAPPY')"""
    )
    query("MSCK REPAIR TABLE flights")
    return files


def value(query: Query, expression: str) -> str | None:
    """The text of an expression's value."""
    execution = query(f"SELECT {expression}")
    assert "rows" in execution, execution["Status"]
    return execution["rows"][1][0]


def reason(query: Query, sql: str) -> str:
    execution = query(sql)
    assert execution["Status"]["State"] == "FAILED", execution
    return execution["Status"]["StateChangeReason"]


# ── life cycle and results ───────────────────────────────────────────────────────────────────────


def test_a_query_gives_its_rows_as_text_with_the_types_of_its_columns(query, flights):
    execution = query(
        "SELECT Carrier AS TheCarrier, sum(delay) AS total, avg(distance), count(*) "
        "FROM flights WHERE month <> '3' GROUP BY carrier ORDER BY 1"
    )
    assert execution["rows"] == [
        ["TheCarrier", "total", "_col2", "_col3"],
        ["AA", "301", "6666667.166666667", "3"],
        ["BB", "12", "1.5", "2"],
        ["CC", "20", None, "1"],
    ]
    types = [(c["Name"], c["Type"], c["Precision"]) for c in execution["columns"]]
    assert types[0] == ("TheCarrier", "varchar", 2147483647)
    assert [kind for _, kind, _ in types] == ["varchar", "bigint", "double", "bigint"]


def test_an_execution_is_described_as_aws_does(query, flights):
    execution = query("SELECT 1 AS one")
    name = execution["QueryExecutionId"]
    assert (execution["StatementType"], execution["SubstatementType"]) == ("DML", "SELECT")
    assert execution["ResultConfiguration"]["OutputLocation"] == f"{OUTPUT}{name}.csv"
    assert execution["WorkGroup"] == "primary"
    assert execution["EngineVersion"]["EffectiveEngineVersion"] == "Athena engine version 3"
    status = execution["Status"]
    assert status["SubmissionDateTime"] <= status["CompletionDateTime"]
    assert execution["Statistics"]["TotalExecutionTimeInMillis"] >= 0


def test_the_result_file_quotes_every_value_and_leaves_nulls_empty(aws, query):
    sql = "SELECT * FROM (VALUES (1, 'say \"hi\"'), (2, ''), (3, NULL)) AS t(id, word) ORDER BY id"
    execution = query(sql)
    s3, key = aws.client("s3"), f"results/{execution['QueryExecutionId']}.csv"
    content = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()
    assert content == '"id","word"\n"1","say ""hi"""\n"2",""\n"3",\n'
    assert s3.head_object(Bucket=BUCKET, Key=f"{key}.metadata")["ContentLength"] > 0
    assert execution["rows"][1:] == [["1", 'say "hi"'], ["2", ""], ["3", None]]


def test_results_come_in_pages_and_the_header_is_the_first_row(aws, query):
    execution = query("SELECT n FROM unnest(sequence(1, 2500)) AS t(n) ORDER BY n")
    paginator = aws.client("athena").get_paginator("get_query_results")
    pages = list(paginator.paginate(QueryExecutionId=execution["QueryExecutionId"]))
    assert [len(texts(page)) for page in pages] == [1000, 1000, 501]
    assert texts(pages[0])[:2] == [["n"], ["1"]]
    assert texts(pages[2])[-1] == ["2500"]


def test_values_are_written_as_athena_writes_them(query):
    written = {
        "TIMESTAMP '2024-05-06 07:08:09.123'": "2024-05-06 07:08:09.123",
        "DATE '2024-05-06'": "2024-05-06",
        "1e10": "1.0E10",
        "CAST(0.5 AS double)": "0.5",
        "CAST(1.1 AS real)": "1.1",
        "1.50": "1.50",
        "true": "true",
        "ARRAY['a', 'b']": "[a, b]",
        "ARRAY[1, NULL]": "[1, null]",
        "MAP(ARRAY['k'], ARRAY[1])": "{k=1}",
        "CAST(ROW(1, 'x') AS ROW(a integer, b varchar))": "{a=1, b=x}",
        "to_utf8('hi')": "68 69",
        "from_unixtime(0)": "1970-01-01 00:00:00.000 UTC",
    }
    assert {sql: value(query, sql) for sql in written} == written


def test_stop_interrupts_a_running_query(aws, query):
    athena = aws.client("athena")
    name = athena.start_query_execution(
        QueryString=ENDLESS, ResultConfiguration={"OutputLocation": OUTPUT}
    )["QueryExecutionId"]
    assert finished_or_running(athena, name) == "RUNNING"
    with pytest.raises(ClientError, match="not yet finished. Current state: RUNNING"):
        athena.get_query_results(QueryExecutionId=name)
    athena.stop_query_execution(QueryExecutionId=name)
    assert finished(athena, name)["Status"]["State"] == "CANCELLED"
    assert query("SELECT 1")["Status"]["State"] == "SUCCEEDED"


def finished_or_running(athena: Any, name: str) -> str:
    execution = athena.get_query_execution(QueryExecutionId=name)["QueryExecution"]
    return execution["Status"]["State"]


def test_a_reset_ends_what_runs(aws, query):
    athena = aws.client("athena")
    athena.start_query_execution(
        QueryString=ENDLESS, ResultConfiguration={"OutputLocation": OUTPUT}
    )
    aws.reset()
    assert athena.list_query_executions()["QueryExecutionIds"] == []
    assert athena.list_databases(CatalogName="AwsDataCatalog")["DatabaseList"] == []


def test_executions_are_listed_newest_first_and_got_in_batches(aws, query):
    athena = aws.client("athena")
    names = [query(f"SELECT {n}")["QueryExecutionId"] for n in range(3)]
    assert athena.list_query_executions()["QueryExecutionIds"] == names[::-1]
    absent = "11111111-2222-4333-8444-555555555555"
    batch = athena.batch_get_query_execution(QueryExecutionIds=[names[0], absent])
    assert [e["Query"] for e in batch["QueryExecutions"]] == ["SELECT 0"]
    assert batch["UnprocessedQueryExecutionIds"][0]["QueryExecutionId"] == absent
    with pytest.raises(ClientError, match="was not found"):
        athena.get_query_execution(QueryExecutionId=absent)


def test_a_request_is_idempotent_by_its_token(aws, query):
    athena, token = aws.client("athena"), "t" * 32
    request = {"ClientRequestToken": token, "ResultConfiguration": {"OutputLocation": OUTPUT}}
    first = athena.start_query_execution(QueryString="SELECT 1", **request)
    again = athena.start_query_execution(QueryString="SELECT 1", **request)
    assert first["QueryExecutionId"] == again["QueryExecutionId"]
    with pytest.raises(ClientError, match="Idempotent parameters do not match"):
        athena.start_query_execution(QueryString="SELECT 2", **request)


def test_a_result_is_reused_when_asked_for(query, flights):
    sql = "SELECT sum(delay) FROM flights"
    reuse = {"ResultReuseByAgeConfiguration": {"Enabled": True, "MaxAgeInMinutes": 10}}
    first = query(sql, ResultReuseConfiguration=reuse)
    second = query(sql, ResultReuseConfiguration=reuse)
    third = query(sql)
    reused = [
        e["Statistics"]["ResultReuseInformation"]["ReusedPreviousResult"]
        for e in (first, second, third)
    ]
    assert reused == [False, True, False]
    assert second["rows"] == first["rows"]
    assert second["Statistics"]["DataScannedInBytes"] == 0


def test_runtime_statistics_tell_rows_and_bytes(aws, query, flights):
    execution = query("SELECT delay FROM flights WHERE month = '2'")
    statistics = aws.client("athena").get_query_runtime_statistics(
        QueryExecutionId=execution["QueryExecutionId"]
    )["QueryRuntimeStatistics"]
    assert (statistics["Rows"]["InputRows"], statistics["Rows"]["OutputRows"]) == (3, 3)
    scanned = execution["Statistics"]["DataScannedInBytes"]
    assert statistics["Rows"]["InputBytes"] == scanned > 0


# ── what is read ─────────────────────────────────────────────────────────────────────────────────


def scanned(execution: dict[str, Any]) -> int:
    assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
    return execution["Statistics"]["DataScannedInBytes"]


def test_scanned_bytes_are_those_of_the_columns_and_partitions_read(query, flights):
    assert scanned(query("SELECT sum(delay) FROM flights")) == sum(
        column_bytes(content, "delay") for content in flights.values()
    )
    assert scanned(query("SELECT carrier, delay FROM flights WHERE month = '2'")) == column_bytes(
        flights[2], "carrier", "delay"
    )
    filtered = query(
        "SELECT delay FROM flights WHERE year = 2024 AND month IN ('1','3') AND carrier = 'CC'"
    )
    # The statistics of January's file say that it holds no CC: nothing of it is read.
    assert scanned(filtered) == column_bytes(flights[3], "carrier", "delay")
    assert scanned(query("SELECT count(*) FROM flights")) == 0
    everything = sum(
        column_bytes(content, "carrier", "delay", "distance") for content in flights.values()
    )
    assert scanned(query("SELECT * FROM flights")) == everything


def test_row_groups_without_matching_rows_are_not_counted(aws, query):
    content = parquet(pa.table({"n": pa.array(range(40_000), pa.int64())}), row_group_size=10_000)
    aws.client("s3").put_object(Bucket=BUCKET, Key="numbers/n.parquet", Body=content)
    location = f"s3://{BUCKET}/numbers/"
    query(f"CREATE EXTERNAL TABLE numbers (n bigint) STORED AS PARQUET LOCATION '{location}'")
    last_group = pq.read_metadata(io.BytesIO(content)).row_group(3).column(0)
    execution = query("SELECT count(*), max(n) FROM numbers WHERE n >= 30000")
    assert execution["rows"][1] == ["10000", "39999"]
    assert scanned(execution) == last_group.total_compressed_size


def test_text_files_are_read_whole(aws, query):
    content = b"1,a\n2,b\n"
    aws.client("s3").put_object(Bucket=BUCKET, Key="csv/a.csv", Body=content)
    query(
        "CREATE EXTERNAL TABLE texts (id int, word string) ROW FORMAT DELIMITED "
        f"FIELDS TERMINATED BY ',' LOCATION 's3://{BUCKET}/csv/'"
    )
    assert scanned(query("SELECT id FROM texts")) == len(content)


def test_only_matching_partitions_are_fetched_with_the_callers_rights(aws, query, flights):
    before = len(aws.journal())
    query("SELECT sum(delay) FROM flights WHERE month = '2'")
    calls = [(c["service"], c["operation"], c["params"]) for c in aws.journal()[before:]]
    fetched = [p["Key"] for s, o, p in calls if (s, o) == ("s3", "GetObject")]
    assert [key for key in fetched if key.startswith("flights/")] == [
        "flights/year=2024/month=2/part-0.parquet"
    ]
    operations = {f"{service}:{operation}" for service, operation, _ in calls}
    assert operations >= {
        "glue:GetDatabase",
        "glue:GetTable",
        "glue:GetPartitions",
        "s3:ListObjectsV2",
        "s3:GetBucketLocation",
        "s3:PutObject",
    }


def test_a_limit_reads_the_same_each_time(aws, query):
    for number in range(6):
        content = parquet(pa.table({"n": pa.array(range(5_000), pa.int64())}))
        aws.client("s3").put_object(Bucket=BUCKET, Key=f"many/{number}.parquet", Body=content)
    location = f"s3://{BUCKET}/many/"
    query(f"CREATE EXTERNAL TABLE many (n bigint) STORED AS PARQUET LOCATION '{location}'")
    counts = {scanned(query("SELECT n FROM many LIMIT 10")) for _ in range(5)}
    assert len(counts) == 1 and counts.pop() < scanned(query("SELECT n FROM many"))


def test_a_workgroup_cancels_a_query_that_reads_too_much(aws, query):
    athena = aws.client("athena")
    athena.create_work_group(
        Name="frugal",
        Configuration={
            "BytesScannedCutoffPerQuery": 10_000_000,
            "ResultConfiguration": {"OutputLocation": OUTPUT},
        },
    )
    numbers = pa.table({"n": pa.array(range(1_500_000), pa.int64())})
    content = parquet(numbers, compression="none", use_dictionary=False)
    aws.client("s3").put_object(Bucket=BUCKET, Key="wide/n.parquet", Body=content)
    location = f"s3://{BUCKET}/wide/"
    query(f"CREATE EXTERNAL TABLE wide (n bigint) STORED AS PARQUET LOCATION '{location}'")
    execution = query("SELECT sum(n) FROM wide", WorkGroup="frugal")
    assert execution["Status"]["State"] == "CANCELLED"
    assert "Bytes scanned limit" in execution["Status"]["StateChangeReason"]
    assert query("SELECT count(*) FROM wide", WorkGroup="frugal")["rows"][1] == ["1500000"]


# ── SQL as Athena has it ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("7 / 2", "3"),
        ("-7 / 2", "-3"),
        ("7.0 / 2", "3.5"),
        ("1.0 / 3", "0.3"),
        ("avg(if(x > 1, 1.0, 0.0)) FROM (VALUES 1, 2, 3) AS t(x)", "0.7"),
        ("avg(if(x > 1, 1e0, 0e0)) FROM (VALUES 1, 2, 4, 0) AS t(x)", "0.5"),
        ("avg(CAST(x AS decimal(4,2))) OVER () FROM (VALUES 1, 2) AS t(x)", "1.50"),
        ("avg(x) FROM (VALUES 1, 2) AS t(x)", "1.5"),
        ("100.0 * count(*) / 3 FROM (VALUES 1) AS t(x)", "33.3"),
        ("CAST(7 AS double) / 2", "3.5"),
        ("1e0 / 0", "Infinity"),
        ("CAST(1e10 AS varchar)", "1.0E10"),
        ("CAST('abcdef' AS varchar(3))", "abc"),
        ("CAST(2.5e0 AS integer)", "3"),
        ("try_cast('x' AS integer)", None),
        ("try(1 / 0)", None),
        ("date_diff('month', DATE '2024-01-31', DATE '2024-02-28')", "0"),
        ("date_diff('day', DATE '2024-01-31', DATE '2024-02-28')", "28"),
        ("date_add('month', 1, DATE '2024-01-31')", "2024-02-29"),
        ("DATE '2024-01-01' + INTERVAL '1' DAY", "2024-01-02"),
        ("date_trunc('month', DATE '2024-02-29')", "2024-02-01"),
        (
            "date_format(TIMESTAMP '2024-01-02 03:04:05', '%Y-%m-%d %H:%i:%s')",
            "2024-01-02 03:04:05",
        ),
        ("date_parse('02/01/2024', '%d/%m/%Y')", "2024-01-02 00:00:00.000"),
        (
            "format_datetime(TIMESTAMP '2024-01-02 03:04:05', 'yyyy/MM/dd HH:mm')",
            "2024/01/02 03:04",
        ),
        ("day_of_week(DATE '2024-01-07')", "7"),
        ("cardinality(ARRAY[1, 2])", "2"),
        ("cardinality(MAP(ARRAY['a'], ARRAY[1]))", "1"),
        ("element_at(ARRAY[1, 2], 5)", None),
        ("element_at(MAP(ARRAY['a'], ARRAY[1]), 'b')", None),
        ("ARRAY[10, 20][2]", "20"),
        ("split('a,b', ',')[2]", "b"),
        ("transform(ARRAY[1, 2], x -> x * 10)", "[10, 20]"),
        ("any_match(ARRAY[1, 2], x -> x > 1)", "true"),
        ("greatest(1, NULL)", None),
        ("'a' || NULL", None),
        ("json_extract_scalar('{\"a\": {\"b\": 7}}', '$.a.b')", "7"),
        ("json_extract_scalar('{\"a\": {\"b\": 7}}', '$.a')", None),
        ("json_extract('{\"a\": {\"b\": 7}}', '$.a')", '{"b":7}'),
        ("regexp_like('abc', 'b')", "true"),
        ("regexp_extract('abc', 'x(.)', 1)", None),
        ("regexp_extract('abc', 'b(.)', 1)", "c"),
        ("regexp_replace('a1b2', '([0-9])', '<$1>')", "a<1>b<2>"),
        ("approx_percentile(x, 0.5) FROM (VALUES 1, 2, 3) AS t(x)", "2"),
        ("count_if(x > 1) FROM (VALUES 1, 2, 3) AS t(x)", "2"),
        ("approx_distinct(x) FROM (VALUES 1, 2, 2) AS t(x)", "2"),
        ("max_by(y, x) FROM (VALUES (1, 'a'), (2, 'b')) AS t(x, y)", "b"),
        ("url_extract_host('https://a.example/x?y=1')", "a.example"),
        (
            "sequence(DATE '2024-01-01', DATE '2024-01-02', INTERVAL '1' DAY)",
            "[2024-01-01, 2024-01-02]",
        ),
        ("width_bucket(5, 1, 10, 3)", "2"),
    ],
)
def test_expressions_mean_what_they_mean_in_athena(query, expression, expected):
    assert value(query, expression) == expected


def test_unnest(query):
    sql = (
        "SELECT id, k, v, n FROM (VALUES (1, MAP(ARRAY['a','b'], ARRAY[10, 20]))) AS t(id, m) "
        "CROSS JOIN UNNEST(m) WITH ORDINALITY AS u(k, v, n) ORDER BY n"
    )
    assert query(sql)["rows"][1:] == [["1", "a", "10", "1"], ["1", "b", "20", "2"]]
    padded = "SELECT x, y FROM UNNEST(ARRAY[1, 2], ARRAY['a']) AS t(x, y) ORDER BY x"
    assert query(padded)["rows"][1:] == [["1", "a"], ["2", None]]


def test_names_are_found_whatever_their_case(query, flights):
    rows = query("SELECT f.\"CARRIER\", F.Delay FROM DB.Flights AS f WHERE MONTH = '1' LIMIT 1")
    assert rows["rows"][0] == ["CARRIER", "Delay"]


def test_path_names_the_object_of_a_row(query, flights):
    rows = query("SELECT DISTINCT \"$path\" FROM flights WHERE month = '3'")["rows"]
    assert rows[1:] == [[f"s3://{BUCKET}/flights/year=2024/month=3/part-0.parquet"]]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1 / 0", "DIVISION_BY_ZERO: Division by zero"),
        ("SELECT 2147483647 + 1", "NUMERIC_VALUE_OUT_OF_RANGE: addition overflow: 2147483647 + 1"),
        (
            "SELECT * FROM nope",
            "TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.db.nope' does not exist",
        ),
        ("SELECT * FROM no.flights", "SCHEMA_NOT_FOUND: Schema 'no' does not exist"),
        (
            "SELECT nope FROM flights",
            "COLUMN_NOT_FOUND: line 1:8: Column 'nope' cannot be resolved or requester is not "
            "authorized to access requested resources",
        ),
        (
            "SELECT delay AS d FROM flights WHERE d > 1",
            "COLUMN_NOT_FOUND: line 1:38: Column 'd' cannot be resolved or requester is not "
            "authorized to access requested resources",
        ),
        (
            "SELECT 1 FROM flights WHERE month = 2",
            "TYPE_MISMATCH: line 1:35: Cannot apply operator: varchar = integer",
        ),
        (
            "SELECT carrier + 1 FROM flights",
            "TYPE_MISMATCH: line 1:16: Cannot apply operator: varchar + integer",
        ),
        (
            "SELECT nope(delay) FROM flights",
            "FUNCTION_NOT_FOUND: line 1:8: Function 'nope' not registered",
        ),
        (
            "SELECT list_aggregate(ARRAY[1], 'sum')",
            "FUNCTION_NOT_FOUND: line 1:8: Function 'list_aggregate' not registered",
        ),
        (
            "SELECT carrier, count(*) FROM flights",
            "EXPRESSION_NOT_AGGREGATE: line 1:8: 'carrier' must be an aggregate expression or "
            "appear in GROUP BY clause",
        ),
        (
            "SELECT crc32(to_utf8('a'))",
            "NOT_SUPPORTED: line 1:8: Function 'crc32' is not carried out offline",
        ),
        ("SELECT CAST('x' AS date)", "INVALID_CAST_ARGUMENT: Value cannot be cast to date: x"),
        (
            "SELECT ARRAY[1][2]",
            "INVALID_FUNCTION_ARGUMENT: Array subscript must be less than or equal to array "
            "length: 2 > 1",
        ),
    ],
)
def test_a_failed_query_tells_the_reason_as_athena_words_it(query, flights, sql, expected):
    execution = query(sql)
    assert execution["Status"]["State"] == "FAILED"
    assert execution["Status"]["StateChangeReason"] == expected
    error = execution["Status"]["AthenaError"]
    assert (error["ErrorCategory"], error["ErrorMessage"]) == (2, expected)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELEC 1", "line 1:1: mismatched input 'SELEC'"),
        ("SELECT a FROM", "mismatched input"),
        ("SELECT 1::integer", "line 1:9: mismatched input '::'"),
        ("SELECT 1; SELECT 2", "Only one sql statement is allowed"),
        ("CREATE EXTERNAL TABLE t (a int)", "Location must be specified"),
        ("PRAGMA database_list", "mismatched input 'PRAGMA'"),
        ("ATTACH 'x.db'", "mismatched input 'ATTACH'"),
    ],
)
def test_a_malformed_statement_is_refused_at_once(query, sql, expected):
    with pytest.raises(ClientError) as refused:
        query(sql)
    assert refused.value.response["Error"]["Code"] == "InvalidRequestException"
    assert expected in refused.value.response["Error"]["Message"]
    assert refused.value.response["AthenaErrorCode"] == "MALFORMED_QUERY"


def test_a_query_sees_nothing_of_the_machine(query):
    assert "FUNCTION_NOT_FOUND" in reason(query, "SELECT * FROM read_csv('/etc/passwd')")
    assert "FUNCTION_NOT_FOUND" in reason(query, "SELECT getenv('HOME')")
    assert "TABLE_NOT_FOUND" in reason(query, 'SELECT * FROM "/etc/passwd"')
    assert "NOT_FOUND" in reason(query, "SELECT * FROM duckdb_settings")


# ── formats ──────────────────────────────────────────────────────────────────────────────────────


def test_open_csv(aws, query):
    content = b'id,name,seen,at\n1,"Doe, ""J""",19723,1704067200123\n2,,19724,1704067200000\n'
    aws.client("s3").put_object(Bucket=BUCKET, Key="people/p.csv", Body=content)
    query(
        "CREATE EXTERNAL TABLE people (id int, name string, seen date, at timestamp) "
        "ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde' "
        "WITH SERDEPROPERTIES ('separatorChar'=',', 'quoteChar'='\"') "
        f"LOCATION 's3://{BUCKET}/people/' TBLPROPERTIES ('skip.header.line.count'='1')"
    )
    assert query("SELECT * FROM people ORDER BY id")["rows"][1:] == [
        ["1", 'Doe, "J"', "2024-01-01", "2024-01-01 00:00:00.123"],
        ["2", "", "2024-01-02", "2024-01-01 00:00:00.000"],
    ]
    aws.client("s3").put_object(Bucket=BUCKET, Key="people/q.csv", Body=b"h\nx,y,1,1\n")
    failed = reason(query, "SELECT sum(id) FROM people")
    assert failed == "HIVE_BAD_DATA: Error parsing field value 'x' for field 0"


def test_delimited_text_reads_what_is_no_value_as_null(aws, query):
    content = b'1\tsay "x"\t1.5\nbad\t\\N\t\n3\tshort\n'
    aws.client("s3").put_object(Bucket=BUCKET, Key="tabs/t.tsv", Body=content)
    query(
        "CREATE EXTERNAL TABLE tabs (id int, word string, v double) ROW FORMAT DELIMITED "
        f"FIELDS TERMINATED BY '\\t' STORED AS TEXTFILE LOCATION 's3://{BUCKET}/tabs/'"
    )
    assert query("SELECT * FROM tabs")["rows"][1:] == [
        ["1", 'say "x"', "1.5"],
        [None, None, None],
        ["3", "short", None],
    ]


def test_json_keys_match_columns_whatever_their_case(aws, query):
    content = b'{"Id": 1, "Tags": ["a"], "Place": {"City": "X"}}\n{"Id": 2, "Tags": null}\n'
    aws.client("s3").put_object(Bucket=BUCKET, Key="json/j.json", Body=content)
    query(
        "CREATE EXTERNAL TABLE things (id int, tags array<string>, place struct<city:string>) "
        "ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe' "
        f"LOCATION 's3://{BUCKET}/json/'"
    )
    rows = query("SELECT id, tags, place.city FROM things ORDER BY id")["rows"]
    assert rows[1:] == [["1", "[a]", "X"], ["2", None, None]]
    aws.client("s3").put_object(Bucket=BUCKET, Key="json/k.json", Body=b"no json\n")
    assert reason(query, "SELECT * FROM things").startswith("HIVE_CURSOR_ERROR: Malformed JSON")


def test_parquet_columns_are_found_by_name_and_may_be_missing_in_a_file(aws, query):
    s3 = aws.client("s3")
    s3.put_object(Bucket=BUCKET, Key="grown/a", Body=parquet(pa.table({"A": [1], "x": ["p"]})))
    s3.put_object(Bucket=BUCKET, Key="grown/b", Body=parquet(pa.table({"b": [2.5], "a": [2]})))
    s3.put_object(Bucket=BUCKET, Key="grown/_SUCCESS", Body=b"")
    query(
        "CREATE EXTERNAL TABLE grown (a bigint, b double, c string) STORED AS PARQUET "
        f"LOCATION 's3://{BUCKET}/grown/'"
    )
    rows = query("SELECT * FROM grown ORDER BY a")["rows"]
    assert rows == [["a", "b", "c"], ["1", None, None], ["2", "2.5", None]]


def test_a_file_that_is_no_parquet_is_named(aws, query):
    aws.client("s3").put_object(Bucket=BUCKET, Key="broken/a.parquet", Body=b"not parquet")
    location = f"s3://{BUCKET}/broken/"
    query(f"CREATE EXTERNAL TABLE broken (a int) STORED AS PARQUET LOCATION '{location}'")
    expected = f"HIVE_BAD_DATA: {location}a.parquet is not a valid Parquet File"
    assert reason(query, "SELECT * FROM broken") == expected


def test_a_column_of_another_type_than_the_tables_is_bad_data(aws, query):
    content = parquet(pa.table({"year": [2024], "n": [1]}))
    aws.client("s3").put_object(Bucket=BUCKET, Key="years/a.parquet", Body=content)
    query(
        "CREATE EXTERNAL TABLE years (year string, n int) STORED AS PARQUET "
        f"LOCATION 's3://{BUCKET}/years/'"
    )
    assert query("SELECT n FROM years")["rows"][1] == ["1"]
    assert reason(query, "SELECT year FROM years") == (
        f"HIVE_BAD_DATA: Field year's type INT64 in parquet file s3://{BUCKET}/years/a.parquet is "
        "incompatible with type varchar defined in table schema"
    )


def test_partition_projection(aws, query):
    for day, kind in (("2024-01-01", "a"), ("2024-01-03", "b"), ("2024-02-01", "a")):
        key = f"events/{day}/{kind}/e.parquet"
        body = parquet(pa.table({"n": [1]}))
        aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)
    query(
        "CREATE EXTERNAL TABLE events (n int) PARTITIONED BY (day string, kind string) "
        f"STORED AS PARQUET LOCATION 's3://{BUCKET}/events/' TBLPROPERTIES ("
        "'projection.enabled'='true', 'projection.day.type'='date', "
        "'projection.day.range'='2024-01-01,2024-01-31', 'projection.day.format'='yyyy-MM-dd', "
        "'projection.kind.type'='enum', 'projection.kind.values'='a,b', "
        f"'storage.location.template'='s3://{BUCKET}/events/${{day}}/${{kind}}/')"
    )
    rows = query("SELECT day, kind FROM events ORDER BY day")["rows"]
    assert rows[1:] == [["2024-01-01", "a"], ["2024-01-03", "b"]]


# ── DDL ──────────────────────────────────────────────────────────────────────────────────────────


def test_create_external_table_writes_what_glue_holds(aws, query, flights):
    table = aws.client("glue").get_table(DatabaseName="db", Name="flights")["Table"]
    assert table["TableType"] == "EXTERNAL_TABLE"
    assert table["StorageDescriptor"]["Columns"][0] == {
        "Name": "carrier",
        "Type": "string",
        "Comment": "IATA code",
    }
    assert [key["Name"] for key in table["PartitionKeys"]] == ["year", "month"]
    assert table["Parameters"]["parquet.compression"] == "SNAPPY"
    serde = table["StorageDescriptor"]["SerdeInfo"]["SerializationLibrary"]
    assert serde == "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
    create = f"CREATE EXTERNAL TABLE flights (a int) LOCATION 's3://{BUCKET}/x/'"
    assert "Table flights already exists" in reason(query, create)


def test_partitions_are_added_shown_and_dropped(aws, query, flights):
    repaired = ["year=2024/month=1", "year=2024/month=2", "year=2024/month=3"]
    assert [row[0] for row in query("SHOW PARTITIONS flights")["rows"]] == repaired
    elsewhere = parquet(month_of_flights(1))
    aws.client("s3").put_object(Bucket=BUCKET, Key="elsewhere/f.parquet", Body=elsewhere)
    query(
        "ALTER TABLE flights ADD IF NOT EXISTS PARTITION (year=2024, month='1') "
        f"PARTITION (year=2023, month='12') LOCATION 's3://{BUCKET}/elsewhere/'"
    )
    assert query("SELECT count(*) FROM flights WHERE year = 2023")["rows"][1] == ["3"]
    query("ALTER TABLE flights DROP PARTITION (year=2023, month='12')")
    assert [row[0] for row in query("SHOW PARTITIONS flights")["rows"]] == repaired
    exists = "ALTER TABLE flights ADD PARTITION (year=2024, month='1')"
    assert "Partition already exists" in reason(query, exists)


def test_a_table_grows_by_columns(query, flights):
    query("ALTER TABLE flights ADD COLUMNS (origin string)")
    row = query("SELECT * FROM flights WHERE month = '1' AND delay = 1")["rows"]
    assert row == [
        ["carrier", "delay", "distance", "origin", "year", "month"],
        ["AA", "1", "1.5", None, "2024", "1"],
    ]
    query("ALTER TABLE flights SET TBLPROPERTIES ('owner'='me')")
    shown = query("SHOW TBLPROPERTIES flights")["rows"]
    assert ["owner\tme"] in shown


def test_show_and_describe_answer_in_lines(aws, query, flights):
    query("CREATE VIEW late AS SELECT * FROM flights WHERE delay > 15")
    assert query("SHOW TABLES")["rows"] == [["flights"], ["late"]]
    assert query("SHOW TABLES IN db 'fl*'")["rows"] == [["flights"]]
    assert query("SHOW VIEWS")["rows"] == [["late"]]
    assert ["db"] in query("SHOW DATABASES")["rows"]
    columns = [row[0].strip() for row in query("SHOW COLUMNS IN flights")["rows"]]
    assert columns == ["carrier", "delay", "distance", "year", "month"]
    execution = query("DESCRIBE flights")
    assert (execution["StatementType"], execution["SubstatementType"]) == (
        "UTILITY",
        "DESCRIBE_TABLE",
    )
    assert [c["Name"] for c in execution["columns"]] == ["col_name", "data_type", "comment"]
    key = f"results/{execution['QueryExecutionId']}.txt"
    text = aws.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()
    assert [part.strip() for part in text.splitlines()[0].split("\t")] == [
        "carrier",
        "string",
        "IATA code",
    ]
    assert "# Partition Information\t \t " in text.splitlines()


def test_show_create_table_can_be_run_again(query, flights):
    statement = "\n".join(row[0] for row in query("SHOW CREATE TABLE flights")["rows"])
    query("DROP TABLE flights")
    assert query(statement.replace("`db.flights`", "db.flights"))["Status"]["State"] == "SUCCEEDED"
    query("MSCK REPAIR TABLE flights")
    assert query("SELECT count(*) FROM flights")["rows"][1] == ["9"]


def test_databases_and_tables_come_and_go(aws, query, flights):
    query("CREATE DATABASE IF NOT EXISTS other COMMENT 'more'")
    query("CREATE SCHEMA IF NOT EXISTS other")
    found = aws.client("glue").get_database(Name="other")["Database"]
    assert found["Description"] == "more"
    assert "not empty" in reason(query, "DROP DATABASE db")
    query("DROP TABLE flights")
    assert "Table not found flights" in reason(query, "DROP TABLE flights")
    assert query("DROP TABLE IF EXISTS flights")["Status"]["State"] == "SUCCEEDED"
    query("DROP DATABASE other")
    assert "other" not in [row[0] for row in query("SHOW DATABASES")["rows"]]


def test_a_view_lies_in_glue_as_aws_stores_it(aws, query, flights):
    query(
        "CREATE OR REPLACE VIEW late AS SELECT carrier, delay * 2 AS twice FROM flights "
        "WHERE delay > 15"
    )
    table = aws.client("glue").get_table(DatabaseName="db", Name="late")["Table"]
    assert table["TableType"] == "VIRTUAL_VIEW"
    assert table["ViewOriginalText"].startswith("/* Presto View: ")
    assert table["Parameters"]["presto_view"] == "true"
    assert [c["Type"] for c in table["StorageDescriptor"]["Columns"]] == ["string", "int"]
    assert query("SELECT max(twice) FROM late WHERE carrier = 'AA'")["rows"][1] == ["400"]
    shown = [row[0] for row in query("SHOW CREATE VIEW late")["rows"]]
    assert shown[0] == "CREATE VIEW db.late AS"
    assert "already exists" in reason(query, "CREATE VIEW late AS SELECT 1 AS one")
    query("DROP VIEW late")
    assert "TABLE_NOT_FOUND" in reason(query, "SELECT * FROM late")


# ── CTAS, INSERT, UNLOAD ─────────────────────────────────────────────────────────────────────────


def test_ctas_writes_partitioned_parquet_and_a_manifest(aws, query, flights):
    execution = query(
        "CREATE TABLE totals WITH (format = 'PARQUET', write_compression = 'SNAPPY', "
        f"partitioned_by = ARRAY['month'], external_location = 's3://{BUCKET}/totals/') AS "
        "SELECT carrier, sum(delay) AS total, month FROM flights GROUP BY carrier, month"
    )
    assert execution["SubstatementType"] == "CREATE_TABLE_AS_SELECT"
    manifest = execution["Statistics"]["DataManifestLocation"]
    assert manifest == f"{OUTPUT}{execution['QueryExecutionId']}-manifest.csv"
    key = manifest.removeprefix(f"s3://{BUCKET}/")
    s3 = aws.client("s3")
    files = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode().splitlines()
    assert len(files) == 3 and all(f"s3://{BUCKET}/totals/month=" in file for file in files)
    table = aws.client("glue").get_table(DatabaseName="db", Name="totals")["Table"]
    assert [c["Type"] for c in table["StorageDescriptor"]["Columns"]] == ["string", "bigint"]
    rows = query("SELECT carrier, total FROM totals WHERE month = '2' ORDER BY 1")["rows"]
    assert rows[1:] == [["AA", "200"], ["BB", "2"], ["CC", "20"]]
    assert [row[0] for row in query("SHOW PARTITIONS totals")["rows"]] == [
        "month=1",
        "month=2",
        "month=3",
    ]


@pytest.mark.parametrize(
    "properties",
    ["format = 'JSON'", "format = 'TEXTFILE', field_delimiter = '|'", "format = 'PARQUET'"],
)
def test_ctas_in_each_format_can_be_read_and_inserted_into(query, properties):
    query(
        f"CREATE TABLE copy WITH ({properties}) AS SELECT * FROM (VALUES (1, 'a', 1.5e0, "
        "DATE '2024-01-01', true), (2, NULL, NULL, NULL, false)) AS t(id, word, v, day, yes)"
    )
    query("INSERT INTO copy (id, word) VALUES (3, 'c')")
    assert query("SELECT * FROM copy ORDER BY id")["rows"] == [
        ["id", "word", "v", "day", "yes"],
        ["1", "a", "1.5", "2024-01-01", "true"],
        ["2", None, None, None, "false"],
        ["3", "c", None, None, None],
    ]


def test_ctas_refuses_what_aws_refuses(query, flights):
    location = f"external_location = 's3://{BUCKET}/flights/'"
    occupied = f"CREATE TABLE c WITH ({location}) AS SELECT 1 AS one"
    assert reason(query, occupied).startswith("HIVE_PATH_ALREADY_EXISTS")
    assert "Column name not specified" in reason(query, "CREATE TABLE c AS SELECT 1")
    assert "Column type is unknown: x" in reason(query, "CREATE TABLE c AS SELECT NULL AS x")
    twice = "CREATE TABLE c AS SELECT 1 AS x, 2 AS x"
    assert "Column name 'x' specified more than once" in reason(query, twice)
    order = "CREATE TABLE c WITH (partitioned_by = ARRAY['a']) AS SELECT 1 AS a, 2 AS b"
    assert reason(query, order).startswith("HIVE_COLUMN_ORDER_MISMATCH")
    many = (
        "CREATE TABLE c WITH (partitioned_by = ARRAY['p']) AS "
        "SELECT 1 AS a, n AS p FROM unnest(sequence(1, 101)) AS t(n)"
    )
    assert "Exceeded limit of 100 open writers" in reason(query, many)
    with pytest.raises(ClientError, match="bucketed_by"):
        query("CREATE TABLE c WITH (bucketed_by = ARRAY['x'], bucket_count = 2) AS SELECT 1 AS x")


def test_insert_adds_rows_and_partitions(aws, query, flights):
    execution = query("INSERT INTO flights SELECT 'ZZ', 5, 2.5, 2025, '1'")
    assert (execution["SubstatementType"], execution["update_count"]) == ("INSERT", 1)
    assert query("SELECT carrier, delay FROM flights WHERE year = 2025")["rows"][1:] == [
        ["ZZ", "5"]
    ]
    keys = aws.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="flights/year=2025/month=1/")
    assert keys["KeyCount"] == 1
    mismatch = reason(query, "INSERT INTO flights SELECT 1, 5, 2.5, 2025, '1'")
    assert mismatch.startswith("TYPE_MISMATCH: line 1:1: Insert query has mismatched column types")


def test_unload_writes_files_and_a_manifest(aws, query, flights):
    execution = query(
        "UNLOAD (SELECT carrier, delay FROM flights WHERE month = '1') "
        f"TO 's3://{BUCKET}/unloaded/' WITH (format = 'PARQUET', compression = 'SNAPPY')"
    )
    assert execution["SubstatementType"] == "UNLOAD"
    key = execution["Statistics"]["DataManifestLocation"].removeprefix(f"s3://{BUCKET}/")
    s3 = aws.client("s3")
    manifest = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode().splitlines()
    file = manifest[0].removeprefix(f"s3://{BUCKET}/")
    table = pq.read_table(io.BytesIO(s3.get_object(Bucket=BUCKET, Key=file)["Body"].read()))
    assert table.to_pydict() == {"carrier": ["AA", "BB", "AA"], "delay": [1, 10, 100]}


# ── parameters and prepared statements ───────────────────────────────────────────────────────────


def test_execution_parameters_are_literals_in_the_order_of_the_text(query, flights):
    sql = "SELECT sum(delay) + ? FROM flights WHERE carrier = ? AND month = ?"
    execution = query(sql, ExecutionParameters=["1000", "'AA'", "'1'"])
    assert execution["rows"][1] == ["1101"]
    assert execution["ExecutionParameters"] == ["1000", "'AA'", "'1'"]
    assert "expected 3 but found 0" in reason(query, sql)


def test_statements_are_prepared_by_api_and_by_sql(aws, query, flights):
    athena, group = aws.client("athena"), {"WorkGroup": "primary"}
    sql = "SELECT count(*) FROM flights WHERE carrier = ? AND delay > ?"
    athena.create_prepared_statement(StatementName="by_api", QueryStatement=sql, **group)
    query(f"PREPARE by_sql FROM {sql}")
    listed = athena.list_prepared_statements(**group)["PreparedStatements"]
    assert [s["StatementName"] for s in listed] == ["by_api", "by_sql"]
    assert query("EXECUTE by_api USING 'AA', 50")["rows"][1] == ["2"]
    assert query("EXECUTE by_sql", ExecutionParameters=["'AA'", "50"])["rows"][1] == ["2"]
    changed = "SELECT 'changed' AS word"
    athena.update_prepared_statement(StatementName="by_api", QueryStatement=changed, **group)
    found = athena.get_prepared_statement(StatementName="by_api", **group)["PreparedStatement"]
    assert found["QueryStatement"] == changed
    assert query("EXECUTE by_api")["rows"][1] == ["changed"]
    query("DEALLOCATE PREPARE by_sql")
    athena.delete_prepared_statement(StatementName="by_api", **group)
    assert athena.list_prepared_statements(**group)["PreparedStatements"] == []
    with pytest.raises(athena.exceptions.ResourceNotFoundException):
        athena.get_prepared_statement(StatementName="by_api", **group)


# ── workgroups ───────────────────────────────────────────────────────────────────────────────────


def test_an_output_location_is_required_and_its_bucket_must_exist(aws, query):
    athena = aws.client("athena")
    with pytest.raises(ClientError, match="No output location provided"):
        athena.start_query_execution(QueryString="SELECT 1")
    with pytest.raises(ClientError, match="Unable to verify/create output bucket nowhere"):
        query("SELECT 1", ResultConfiguration={"OutputLocation": "s3://nowhere/x/"})


def test_a_workgroup_enforces_its_settings(aws, query):
    athena, own = aws.client("athena"), f"s3://{BUCKET}/group/"
    athena.create_work_group(
        Name="team", Configuration={"ResultConfiguration": {"OutputLocation": own}}
    )
    enforced = query("SELECT 1", WorkGroup="team")
    assert enforced["ResultConfiguration"]["OutputLocation"].startswith(own)
    athena.update_work_group(
        WorkGroup="team",
        Description="relaxed",
        ConfigurationUpdates={"EnforceWorkGroupConfiguration": False},
    )
    relaxed = query("SELECT 1", WorkGroup="team")
    assert relaxed["ResultConfiguration"]["OutputLocation"].startswith(OUTPUT)
    group = athena.get_work_group(WorkGroup="team")["WorkGroup"]
    assert group["Description"] == "relaxed"
    assert group["Configuration"]["ResultConfiguration"]["OutputLocation"] == own
    athena.update_work_group(WorkGroup="team", State="DISABLED")
    with pytest.raises(ClientError, match="disabled"):
        query("SELECT 1", WorkGroup="team")
    with pytest.raises(ClientError, match="WorkGroup nobody is not found"):
        query("SELECT 1", WorkGroup="nobody")


def test_managed_results_need_no_bucket(aws, query):
    athena = aws.client("athena")
    athena.create_work_group(
        Name="managed", Configuration={"ManagedQueryResultsConfiguration": {"Enabled": True}}
    )
    started = athena.start_query_execution(QueryString="SELECT 1 AS one", WorkGroup="managed")
    execution = finished(athena, started["QueryExecutionId"])
    assert execution["Status"]["State"] == "SUCCEEDED"
    assert "OutputLocation" not in execution.get("ResultConfiguration", {})
    found = athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])
    assert texts(found) == [["one"], ["1"]]


# ── the catalog through Athena's API ─────────────────────────────────────────────────────────────


def test_the_catalog_is_glues(aws, query, flights):
    athena, catalog = aws.client("athena"), {"CatalogName": "AwsDataCatalog"}
    databases = athena.list_databases(**catalog)["DatabaseList"]
    assert [database["Name"] for database in databases] == ["db"]
    assert athena.get_database(DatabaseName="db", **catalog)["Database"]["Name"] == "db"
    tables = athena.list_table_metadata(DatabaseName="db", **catalog)["TableMetadataList"]
    assert [table["Name"] for table in tables] == ["flights"]
    table = athena.get_table_metadata(DatabaseName="db", TableName="flights", **catalog)
    columns = [(c["Name"], c["Type"]) for c in table["TableMetadata"]["Columns"]]
    assert columns == [("carrier", "string"), ("delay", "int"), ("distance", "double")]
    with pytest.raises(athena.exceptions.MetadataException, match="Table nope not found"):
        athena.get_table_metadata(DatabaseName="db", TableName="nope", **catalog)
    with pytest.raises(athena.exceptions.MetadataException, match="Database nope not found"):
        athena.get_database(DatabaseName="nope", **catalog)
    summaries = athena.list_data_catalogs()["DataCatalogsSummary"]
    assert summaries[0] == {"CatalogName": "AwsDataCatalog", "Type": "GLUE"}


def test_information_schema_and_partitions_can_be_queried(query, flights):
    sql = (
        "SELECT column_name, data_type FROM information_schema.columns "
        "WHERE table_schema = 'db' AND table_name = 'flights' ORDER BY ordinal_position LIMIT 2"
    )
    assert query(sql)["rows"][1:] == [["carrier", "varchar"], ["delay", "integer"]]
    rows = query('SELECT * FROM "flights$partitions" ORDER BY month')["rows"]
    assert rows == [["year", "month"], ["2024", "1"], ["2024", "2"], ["2024", "3"]]


def test_explain_tells_the_plan_and_reads_nothing(query, flights):
    execution = query("EXPLAIN SELECT sum(delay) FROM flights WHERE month = '1'")
    plan = "\n".join(row[0] for row in execution["rows"])
    assert "delay" in plan and scanned(execution) == 0
