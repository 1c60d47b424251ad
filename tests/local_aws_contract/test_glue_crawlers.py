"""Glue crawlers as a client sees them."""

from __future__ import annotations

import gzip
import io
import json
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

BUCKET = "flights-lake"
ROLE = "arn:aws:iam::123456789012:role/service-role/AWSGlueServiceRole"

CSV = b"carrier,delay,distance,cancelled\nAA,5,733.5,false\nUA,-3,1024.0,true\nDL,,12,false\n"


@pytest.fixture
def lake(aws):
    """A bucket and a database."""
    aws.client("s3").create_bucket(Bucket=BUCKET)
    aws.client("glue").create_database(DatabaseInput={"Name": "lake"})
    return aws


def put(aws, key, body):
    aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)


def parquet(**columns):
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def make(aws, path="flights/", name="crawler", **settings):
    settings.setdefault("Targets", {"S3Targets": [{"Path": f"s3://{BUCKET}/{path}"}]})
    aws.client("glue").create_crawler(Name=name, Role=ROLE, DatabaseName="lake", **settings)
    return name


def run(aws, name="crawler"):
    """Start a crawl, wait for its end, return the crawler."""
    glue = aws.client("glue")
    glue.start_crawler(Name=name)
    for _ in range(400):
        crawler = glue.get_crawler(Name=name)["Crawler"]
        if crawler["State"] == "READY":
            return crawler
        assert crawler["State"] in ("RUNNING", "STOPPING")
        time.sleep(0.05)
    raise AssertionError("The crawler does not end.")


def crawl(aws, *arguments, **settings):
    crawler = run(aws, make(aws, *arguments, **settings))
    assert crawler["LastCrawl"]["Status"] == "SUCCEEDED", crawler["LastCrawl"]
    return tables(aws)


def tables(aws):
    listed = aws.client("glue").get_tables(DatabaseName="lake")["TableList"]
    return {table["Name"]: table for table in listed}


def columns(table):
    return {c["Name"]: c["Type"] for c in table["StorageDescriptor"]["Columns"]}


def partitions(aws, table, **options):
    found = aws.client("glue").get_partitions(DatabaseName="lake", TableName=table, **options)
    return {tuple(item["Values"]): item for item in found["Partitions"]}


def log(aws, name="crawler"):
    events = aws.client("logs").get_log_events(
        logGroupName="/aws-glue/crawlers", logStreamName=name
    )["events"]
    return [event["message"] for event in events]


def refused(code):
    return pytest.raises(ClientError, match=rf"\({code}\)")


# ── formats ──────────────────────────────────────────────────────────────────────────────────────


def test_csv_with_header(lake):
    put(lake, "flights/part-1.csv", CSV)
    table = crawl(lake)["flights"]
    assert columns(table) == {
        "carrier": "string",
        "delay": "bigint",
        "distance": "double",
        "cancelled": "boolean",
    }
    parameters = table["Parameters"]
    assert parameters["classification"] == "csv"
    assert parameters["skip.header.line.count"] == "1"
    assert parameters["delimiter"] == ","
    assert parameters["recordCount"] == "3"
    assert parameters["objectCount"] == "1"
    assert parameters["sizeKey"] == str(len(CSV))
    assert parameters["compressionType"] == "none"
    assert parameters["typeOfData"] == "file"
    assert parameters["UPDATED_BY_CRAWLER"] == "crawler"
    assert parameters["CrawlerSchemaSerializerVersion"] == "1.0"
    assert table["TableType"] == "EXTERNAL_TABLE"
    descriptor = table["StorageDescriptor"]
    assert descriptor["Location"] == f"s3://{BUCKET}/flights/"
    assert descriptor["SerdeInfo"]["SerializationLibrary"].endswith("LazySimpleSerDe")
    assert descriptor["SerdeInfo"]["Parameters"] == {"field.delim": ","}
    assert table["PartitionKeys"] == []


@pytest.mark.parametrize("delimiter", ["|", "\t", ";", "\u0001"])
def test_csv_with_another_delimiter(lake, delimiter):
    put(lake, "flights/a.txt", CSV.replace(b",", delimiter.encode()))
    table = crawl(lake)["flights"]
    assert list(columns(table)) == ["carrier", "delay", "distance", "cancelled"]
    assert table["Parameters"]["delimiter"] == delimiter


def test_csv_without_header(lake):
    put(lake, "flights/a.csv", b"1,AA\n2,UA\n")
    table = crawl(lake)["flights"]
    assert columns(table) == {"col0": "bigint", "col1": "string"}
    assert "skip.header.line.count" not in table["Parameters"]


def test_csv_of_text_only_has_no_header_that_could_be_seen(lake):
    put(lake, "airports/a.csv", b"iata,city\nJFK,New York\nLAX,Los Angeles\n")
    assert columns(crawl(lake, "airports/")["airports"]) == {"col0": "string", "col1": "string"}


def test_csv_compressed(lake):
    put(lake, "flights/a.csv.gz", gzip.compress(CSV))
    table = crawl(lake)["flights"]
    assert table["Parameters"]["compressionType"] == "gzip"
    assert table["StorageDescriptor"]["Compressed"] is True
    assert columns(table)["delay"] == "bigint"


def test_a_large_csv_is_counted_by_its_first_part(lake):
    rows = b"".join(b"%d,%d.5,AA\n" % (number, number) for number in range(200_000))
    put(lake, "flights/a.csv", b"id,delay,carrier\n" + rows)
    table = crawl(lake)["flights"]
    count = int(table["Parameters"]["recordCount"])
    assert 150_000 < count < 300_000
    assert columns(table) == {"id": "bigint", "delay": "double", "carrier": "string"}


def test_json_lines(lake):
    records = [
        {"Flight": "AA1", "delay": 3, "crew": {"pilot": "x", "hours": 2.5}, "stops": ["JFK"]},
        {"Flight": "AA2", "delay": 3_000_000_000, "crew": {"pilot": None}, "stops": [], "x": None},
    ]
    put(lake, "flights/a.json", "\n".join(map(json.dumps, records)).encode())
    table = crawl(lake)["flights"]
    assert columns(table) == {
        "flight": "string",
        "delay": "bigint",
        "crew": "struct<pilot:string,hours:double>",
        "stops": "array<string>",
        "x": "string",
    }
    assert table["Parameters"]["classification"] == "json"
    assert table["Parameters"]["recordCount"] == "2"
    serde = table["StorageDescriptor"]["SerdeInfo"]
    assert serde["SerializationLibrary"] == "org.openx.data.jsonserde.JsonSerDe"
    assert serde["Parameters"]["paths"] == "Flight,crew,delay,stops,x"


def test_json_array_becomes_one_column(lake):
    put(lake, "flights/a.json", json.dumps([{"a": 1}, {"a": 2, "b": "x"}]).encode())
    assert columns(crawl(lake)["flights"]) == {"array": "array<struct<a:int,b:string>>"}


def test_parquet_types(lake):
    body = parquet(
        Id=pa.array([1, 2], pa.int64()),
        small=pa.array([1, 2], pa.int32()),
        name=pa.array(["a", "b"]).dictionary_encode(),
        price=pa.array([1, 2], pa.decimal128(9, 2)),
        at=pa.array([0, 1], pa.timestamp("us")),
        day=pa.array([0, 1], pa.date32()),
        ok=pa.array([True, False]),
        tags=pa.array([["x"], []], pa.list_(pa.string())),
        place=pa.array([{"lat": 1.0}, None]),
        raw=pa.array([b"x", b"y"]),
    )
    put(lake, "flights/a.parquet", body)
    table = crawl(lake)["flights"]
    assert columns(table) == {
        "id": "bigint",
        "small": "int",
        "name": "string",
        "price": "decimal(9,2)",
        "at": "timestamp",
        "day": "date",
        "ok": "boolean",
        "tags": "array<string>",
        "place": "struct<lat:double>",
        "raw": "binary",
    }
    assert table["Parameters"]["recordCount"] == "2"
    assert table["Parameters"]["averageRecordSize"] == str(round(len(body) / 2))
    assert "ParquetHiveSerDe" in table["StorageDescriptor"]["SerdeInfo"]["SerializationLibrary"]


def test_unknown_file_is_in_no_table_and_the_log_says_so(lake):
    put(lake, "flights/picture.bin", bytes(range(256)))
    assert crawl(lake) == {}
    assert any("No classifier recognised" in line for line in log(lake))


# ── folders ──────────────────────────────────────────────────────────────────────────────────────


def test_hive_partitions(lake):
    for year, month in ((2015, 1), (2015, 2), (2016, 1)):
        put(lake, f"flights/year={year}/month={month}/a.parquet", parquet(delay=[1, 2]))
    table = crawl(lake)["flights"]
    assert table["PartitionKeys"] == [
        {"Name": "year", "Type": "string"},
        {"Name": "month", "Type": "string"},
    ]
    assert table["Parameters"]["objectCount"] == "3"
    assert table["Parameters"]["recordCount"] == "6"
    found = partitions(lake, "flights")
    assert set(found) == {("2015", "1"), ("2015", "2"), ("2016", "1")}
    location = found["2016", "1"]["StorageDescriptor"]["Location"]
    assert location == f"s3://{BUCKET}/flights/year=2016/month=1/"
    assert found["2016", "1"]["Parameters"]["recordCount"] == "2"
    assert len(partitions(lake, "flights", Expression="year = '2015'")) == 2


def test_folders_without_keys_are_numbered(lake):
    for folder in ("a/1", "b/1"):
        put(lake, f"flights/{folder}/x.csv", CSV)
    table = crawl(lake)["flights"]
    assert [key["Name"] for key in table["PartitionKeys"]] == ["partition_0", "partition_1"]
    assert set(partitions(lake, "flights")) == {("a", "1"), ("b", "1")}


def test_escaped_partition_value(lake):
    put(lake, "flights/at=2015-01-01 00%3A00/x.csv", CSV)
    crawl(lake)
    assert set(partitions(lake, "flights")) == {("2015-01-01 00:00",)}


def test_folders_that_differ_are_tables_of_their_own(lake):
    put(lake, "raw/Flights-2015/a.csv", CSV)
    put(lake, "raw/airports/a.parquet", parquet(iata=["JFK"]))
    found = crawl(lake, "raw/", TablePrefix="raw_")
    assert set(found) == {"raw_flights_2015", "raw_airports"}
    location = found["raw_airports"]["StorageDescriptor"]["Location"]
    assert location == f"s3://{BUCKET}/raw/airports/"


def test_files_that_differ_in_one_folder_are_tables_of_their_own(lake):
    put(lake, "raw/flights.csv", CSV)
    put(lake, "raw/airports.parquet", parquet(iata=["JFK"]))
    assert set(crawl(lake, "raw/")) == {"flights_csv", "airports_parquet"}


def test_a_path_without_slash_is_that_folder_only(lake):
    put(lake, "flights/a.csv", CSV)
    put(lake, "flights-old/a.csv", CSV)
    table = crawl(lake, "flights")["flights"]
    assert table["Parameters"]["objectCount"] == "1"


def test_one_file_as_the_path(lake):
    put(lake, "raw/flights.csv", CSV)
    table = crawl(lake, "raw/flights.csv")["flights_csv"]
    assert table["StorageDescriptor"]["Location"] == f"s3://{BUCKET}/raw/flights.csv"


def test_bucket_gives_the_name_at_the_top(lake):
    put(lake, "a.csv", CSV)
    assert set(crawl(lake, "")) == {"flights_lake"}


def test_exclusions_and_hidden_files(lake):
    put(lake, "flights/a.csv", CSV)
    put(lake, "flights/deep/b.csv", CSV)
    put(lake, "flights/_SUCCESS", b"x,1\ny,2\n")
    put(lake, "flights/.part.crc", b"x,1\ny,2\n")
    put(lake, "flights/readme.txt", b"just words")
    target = {"Path": f"s3://{BUCKET}/flights/", "Exclusions": ["deep/**", "*.{txt,md}"]}
    table = crawl(lake, Targets={"S3Targets": [target]})["flights"]
    assert table["Parameters"]["objectCount"] == "1"
    assert not any("No classifier" in line for line in log(lake))


def test_table_level_makes_separate_tables(lake):
    put(lake, "raw/a/x.csv", CSV)
    put(lake, "raw/b/x.csv", CSV)
    configuration = {"Version": 1.0, "Grouping": {"TableLevelConfiguration": 3}}
    assert set(crawl(lake, "raw/", Configuration=json.dumps(configuration))) == {"a", "b"}


# ── crawling again ───────────────────────────────────────────────────────────────────────────────


def test_new_partition_and_new_column(lake):
    put(lake, "flights/year=2015/a.parquet", parquet(delay=[1]))
    crawl(lake)
    put(lake, "flights/year=2016/a.parquet", parquet(delay=[1.5], carrier=["AA"]))
    run(lake)
    table = tables(lake)["flights"]
    assert columns(table) == {"delay": "double", "carrier": "string"}
    found = partitions(lake, "flights")
    assert columns(found[("2015",)]) == {"delay": "bigint"}
    assert columns(found[("2016",)]) == {"delay": "double", "carrier": "string"}
    versions = lake.client("glue").get_table_versions(DatabaseName="lake", TableName="flights")
    assert len(versions["TableVersions"]) == 2


def test_nothing_new_makes_no_new_version(lake):
    put(lake, "flights/a.csv", CSV)
    before = crawl(lake)["flights"]
    put(lake, "flights/b.csv", CSV)
    run(lake)
    after = tables(lake)["flights"]
    assert after["VersionId"] == before["VersionId"]
    assert after["Parameters"]["objectCount"] == "2"


def test_partitions_inherit_the_schema_of_the_table(lake):
    output = {"Partitions": {"AddOrUpdateBehavior": "InheritFromTable"}}
    configuration = json.dumps({"Version": 1.0, "CrawlerOutput": output})
    put(lake, "flights/year=2015/a.parquet", parquet(delay=[1]))
    put(lake, "flights/year=2016/a.parquet", parquet(delay=[1], carrier=["AA"]))
    crawl(lake, Configuration=configuration)
    assert columns(partitions(lake, "flights")[("2015",)]) == {
        "delay": "bigint",
        "carrier": "string",
    }


def test_update_behavior_log_leaves_the_table(lake):
    put(lake, "flights/a.parquet", parquet(delay=[1]))
    policy = {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"}
    crawl(lake, SchemaChangePolicy=policy)
    put(lake, "flights/a.parquet", parquet(delay=[1], carrier=["AA"]))
    run(lake)
    assert columns(tables(lake)["flights"]) == {"delay": "bigint"}
    assert any("has changed" in line for line in log(lake))


@pytest.mark.parametrize(
    ("behavior", "remains", "deprecated"),
    [
        ("DEPRECATE_IN_DATABASE", True, True),
        ("DELETE_FROM_DATABASE", False, False),
        ("LOG", True, False),
    ],
)
def test_delete_behavior(lake, behavior, remains, deprecated):
    put(lake, "raw/flights/a.csv", CSV)
    put(lake, "raw/airports/a.parquet", parquet(iata=["JFK"]))
    policy = {"UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": behavior}
    crawl(lake, "raw/", SchemaChangePolicy=policy)
    lake.client("s3").delete_object(Bucket=BUCKET, Key="raw/airports/a.parquet")
    put(lake, "raw/carriers/a.json", b'{"code": "AA"}')
    run(lake)
    found = tables(lake)
    assert ("airports" in found) == remains
    if remains:
        assert ("DEPRECATED_BY_CRAWLER" in found["airports"]["Parameters"]) == deprecated
    assert "DEPRECATED_BY_CRAWLER" not in found["flights"]["Parameters"]


def test_a_deleted_partition_is_deleted_from_the_table(lake):
    for year in (2015, 2016):
        put(lake, f"flights/year={year}/a.csv", CSV)
    policy = {
        "UpdateBehavior": "UPDATE_IN_DATABASE",
        "DeleteBehavior": "DELETE_FROM_DATABASE",
    }
    crawl(lake, SchemaChangePolicy=policy)
    lake.client("s3").delete_object(Bucket=BUCKET, Key="flights/year=2015/a.csv")
    run(lake)
    assert set(partitions(lake, "flights")) == {("2016",)}


def test_crawl_new_folders_only(lake):
    policy = {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"}
    put(lake, "flights/year=2015/a.csv", CSV)
    crawl(
        lake,
        SchemaChangePolicy=policy,
        RecrawlPolicy={"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"},
    )
    put(lake, "flights/year=2015/b.csv", CSV)
    put(lake, "flights/year=2016/a.csv", CSV)
    run(lake)
    found = partitions(lake, "flights")
    assert set(found) == {("2015",), ("2016",)}
    assert found[("2015",)]["Parameters"]["objectCount"] == "1"


def test_new_folders_only_wants_the_log_policies(lake):
    with refused("InvalidInputException"):
        make(lake, RecrawlPolicy={"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"})


def test_a_table_of_another_location_is_not_touched(lake):
    put(lake, "one/flights/a.csv", CSV)
    put(lake, "two/flights/a.parquet", parquet(delay=[1]))
    crawl(lake, "one/flights/")
    found = crawl(lake, "two/flights/", name="second")
    assert len(found) == 2
    assert found["flights"]["Parameters"]["classification"] == "csv"


# ── crawls and their ends ────────────────────────────────────────────────────────────────────────


def test_log_and_last_crawl(lake):
    put(lake, "flights/a.csv", CSV)
    crawler = run(lake, make(lake))
    last = crawler["LastCrawl"]
    assert last["LogGroup"] == "/aws-glue/crawlers"
    assert last["LogStream"] == "crawler"
    lines = log(lake)
    assert all(line.startswith(f"[{last['MessagePrefix']}] ") for line in lines)
    text = "\n".join(lines)
    for expected in (
        "BENCHMARK : Running Start Crawl for Crawler crawler",
        "BENCHMARK : Classification complete, writing results to database lake",
        "INFO : Created table flights in database lake",
        "INFO : ADD: 1",
        "BENCHMARK : Crawler has finished running and is in state READY",
    ):
        assert expected in text


def test_empty_prefix_succeeds_without_a_table(lake):
    assert crawl(lake, "nothing/") == {}
    assert any(" WARN : " in line for line in log(lake))


def test_missing_bucket_fails_with_the_reason(lake):
    make(lake, Targets={"S3Targets": [{"Path": "s3://no-such-bucket-here/x/"}]})
    last = run(lake)["LastCrawl"]
    assert last["Status"] == "FAILED"
    assert "NoSuchBucket" in last["ErrorMessage"]


def test_forbidden_bucket_fails_with_the_reason(lake):
    put(lake, "flights/a.csv", CSV)
    make(lake)
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    lake.client("s3").put_bucket_policy(Bucket=BUCKET, Policy=policy)
    last = run(lake)["LastCrawl"]
    assert last["Status"] == "FAILED"
    assert "Access Denied" in last["ErrorMessage"]


def test_missing_database_fails_with_the_reason(lake):
    put(lake, "flights/a.csv", CSV)
    make(lake)
    lake.client("glue").delete_database(Name="lake")
    last = run(lake)["LastCrawl"]
    assert last["Status"] == "FAILED"
    assert "lake" in last["ErrorMessage"]


def test_start_twice_and_stop(lake):
    for number in range(200):
        put(lake, f"flights/year={number}/a.csv", CSV * 50)
    glue = lake.client("glue")
    make(lake)
    glue.start_crawler(Name="crawler")
    with refused("CrawlerRunningException"):
        glue.start_crawler(Name="crawler")
    with refused("CrawlerRunningException"):
        glue.delete_crawler(Name="crawler")
    glue.stop_crawler(Name="crawler")
    crawler = glue.get_crawler(Name="crawler")["Crawler"]
    while crawler["State"] != "READY":
        time.sleep(0.05)
        crawler = glue.get_crawler(Name="crawler")["Crawler"]
    assert crawler["LastCrawl"]["Status"] == "CANCELLED"
    with refused("CrawlerNotRunningException"):
        glue.stop_crawler(Name="crawler")


def test_names(lake):
    glue = lake.client("glue")
    make(lake)
    with refused("AlreadyExistsException"):
        make(lake)
    for call in (glue.start_crawler, glue.stop_crawler, glue.get_crawler, glue.delete_crawler):
        with refused("EntityNotFoundException"):
            call(Name="nobody")
    with refused("EntityNotFoundException"):
        glue.update_crawler(Name="nobody", TablePrefix="x")
    glue.delete_crawler(Name="crawler")
    with refused("EntityNotFoundException"):
        glue.get_crawler(Name="crawler")


def test_update_changes_what_is_given(lake):
    glue = lake.client("glue")
    make(lake, Description="first")
    glue.update_crawler(Name="crawler", TablePrefix="new_")
    crawler = glue.get_crawler(Name="crawler")["Crawler"]
    assert (crawler["TablePrefix"], crawler["Description"]) == ("new_", "first")
    assert crawler["Version"] == 2
    assert crawler["State"] == "READY"
    assert "LastCrawl" not in crawler
    assert crawler["SchemaChangePolicy"] == {
        "UpdateBehavior": "UPDATE_IN_DATABASE",
        "DeleteBehavior": "DEPRECATE_IN_DATABASE",
    }


def test_history_and_metrics(lake):
    glue = lake.client("glue")
    put(lake, "flights/year=1/a.csv", CSV)
    crawl(lake)
    run(lake)
    crawls = glue.list_crawls(CrawlerName="crawler")["Crawls"]
    assert [entry["State"] for entry in crawls] == ["COMPLETED", "COMPLETED"]
    assert crawls[0]["StartTime"] >= crawls[1]["StartTime"]
    assert json.loads(crawls[0]["Summary"]) == {}
    added = json.loads(json.loads(crawls[1]["Summary"])["TABLE"])
    assert json.loads(added["ADD"])["Count"] == 1
    one = glue.list_crawls(
        CrawlerName="crawler",
        Filters=[
            {"FieldName": "CRAWL_ID", "FilterOperator": "EQ", "FieldValue": crawls[0]["CrawlId"]}
        ],
    )["Crawls"]
    assert [entry["CrawlId"] for entry in one] == [crawls[0]["CrawlId"]]
    metrics = glue.get_crawler_metrics(CrawlerNameList=["crawler"])["CrawlerMetricsList"][0]
    assert metrics["TablesCreated"] == 1
    assert metrics["LastRuntimeSeconds"] > 0


def test_what_is_not_crawled_says_so(lake):
    with refused("NotImplemented"):
        make(lake, Targets={"DynamoDBTargets": [{"Path": "table"}]})
    with refused("InvalidInputException"):
        make(lake, Targets={})


def test_sessions_that_nothing_carries_out_are_refused(lake):
    with refused("NotImplemented"):
        lake.client("glue").create_session(
            Id="session", Role=ROLE, Command={"Name": "glueetl", "PythonVersion": "3"}
        )


def test_reset_while_crawling(lake):
    for number in range(100):
        put(lake, f"flights/year={number}/a.csv", CSV * 50)
    make(lake)
    lake.client("glue").start_crawler(Name="crawler")
    lake.reset()
    assert lake.client("glue").get_crawlers()["Crawlers"] == []
