"""Amazon Data Firehose in trouble: whatever comes in, the stream lives on and no record is lost."""

from __future__ import annotations

import base64
import time
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from tests.local_aws.environment import LocalAWS

from .test_firehose import (
    ACCOUNT,
    PARTITIONED,
    ROLE,
    calling,
    create,
    deploy,
    extracting,
    firehose,
    lines,
    make_table,
    objects,
    parquet_rows,
    put,
    stream,
    wait_for,
)

__all__ = ["firehose", "stream"]

AT_ONCE = {"SizeInMBs": 1, "IntervalInSeconds": 0}
CONVERTED = {"SizeInMBs": 64, "IntervalInSeconds": 0}


def by_day(query: str = "{day}") -> dict[str, Any]:
    return {
        "Prefix": "raw/day=!{partitionKeyFromQuery:day}/",
        "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/",
        "BufferingHints": PARTITIONED,
        "DynamicPartitioningConfiguration": {"Enabled": True},
        "ProcessingConfiguration": extracting(query),
    }


def test_the_error_names_the_function_as_documented(firehose: Any, aws: LocalAWS) -> None:
    create(firehose, ErrorOutputPrefix="errors/", ProcessingConfiguration=calling(deploy(aws)))
    put(firehose, b"no JSON")
    (failed,) = wait_for(lambda: lines(objects(aws, "errors/")))
    assert failed["lambdaArn"].endswith(":function:transform")


def test_a_partition_is_not_followed_by_the_hour(firehose: Any, aws: LocalAWS) -> None:
    create(firehose, **by_day())
    put(firehose, {"day": "1"})
    (key,) = wait_for(lambda: objects(aws))
    assert key.startswith("raw/day=1/events-1-")


@pytest.mark.parametrize("query", ["empty", ".day | error"])
def test_a_query_that_gives_nothing(firehose: Any, aws: LocalAWS, query: str) -> None:
    create(firehose, **by_day(query))
    put(firehose, {"day": "1"})
    wait_for(lambda: len(lines(objects(aws, "errors/processing-failed/"))) == 1, 8)


def test_a_record_nested_too_deeply(firehose: Any, aws: LocalAWS) -> None:
    create(firehose, **by_day())
    put(firehose, b"[" * 100_000, {"day": "1"})
    wait_for(lambda: len(lines(objects(aws))) == 2, 8)


def test_a_key_is_a_value_and_no_expression(firehose: Any, aws: LocalAWS) -> None:
    create(firehose, **by_day())
    put(firehose, {"day": "!{timestamp:yyyy}"}, {"day": "x" * 2000})
    wait_for(lambda: len(lines(objects(aws))) == 2, 8)
    assert objects(aws, "raw/day=!{timestamp:yyyy}/")


@pytest.mark.parametrize(
    "answer",
    [
        "{'records': [{}, {'recordId': ['x']}]}",
        "{'records': [{**given, 'result': 'Ok', 'metadata': {'partitionKeys': ['day']}}]}",
        "{'records': [{**given, 'result': 'Ok', 'metadata': 'none'}]}",
        "{'records': [{'recordId': given['recordId'], 'result': 'Ok'}]}",
        "{'records': [{'recordId': 'unknown', 'result': 'Ok', 'data': ''}]}",
    ],
)
def test_an_answer_in_another_form(firehose: Any, aws: LocalAWS, answer: str) -> None:
    code = f"def handler(event, context):\n    given = event['records'][0]\n    return {answer}\n"
    create(
        firehose,
        ErrorOutputPrefix="errors/",
        BufferingHints=AT_ONCE,
        ProcessingConfiguration=calling(deploy(aws, code), NumberOfRetries=0),
    )
    put(firehose, {"n": 1})
    (failed,) = wait_for(lambda: lines(objects(aws, "errors/")), 8)
    assert base64.b64decode(failed["rawData"]) == b'{"n": 1}\n'


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("decimal(4,2)", 12345.6),
        ("string", "\ud800"),
        ("binary", 7),
        ("float", 1e300),
        ("array<struct<a:decimal(3,1),b:string>>", [{"a": 1, "b": "\ud800"}]),
        ("timestamp", "tomorrow"),
    ],
)
def test_a_value_that_does_not_fit(firehose: Any, aws: LocalAWS, kind: str, value: Any) -> None:
    conversion = make_table(aws, id="string", value=kind)
    create(
        firehose,
        Prefix="raw/",
        ErrorOutputPrefix="errors/",
        BufferingHints=CONVERTED,
        DataFormatConversionConfiguration=conversion,
    )
    put(firehose, {"id": "good"}, {"id": "bad", "value": value})
    wait_for(lambda: len(lines(objects(aws, "errors/format-conversion-failed/"))) == 1, 8)
    assert [row["id"] for row in parquet_rows(objects(aws, "raw/"))] == ["good"]


def test_the_version_of_the_table_that_is_asked_for(firehose: Any, aws: LocalAWS) -> None:
    conversion = make_table(aws, id="string")
    columns = [{"Name": "id", "Type": "string"}, {"Name": "more", "Type": "int"}]
    table = {"Name": "events", "StorageDescriptor": {"Columns": columns}}
    aws.client("glue").update_table(DatabaseName="db", TableInput=table)
    conversion["SchemaConfiguration"]["VersionId"] = "1"
    create(
        firehose,
        Prefix="raw/",
        BufferingHints=CONVERTED,
        DataFormatConversionConfiguration=conversion,
    )
    put(firehose, {"id": "a", "more": 1})
    wait_for(lambda: objects(aws, "raw/"))
    assert parquet_rows(objects(aws, "raw/")) == [{"id": "a"}]


def test_a_stream_that_is_made_again_reads_its_source_once(
    firehose: Any, aws: LocalAWS, stream: str
) -> None:
    create(firehose, source=stream, BufferingHints=AT_ONCE)
    firehose.delete_delivery_stream(DeliveryStreamName="events")
    wait_for(lambda: not firehose.list_delivery_streams()["DeliveryStreamNames"])
    create(firehose, source=stream, BufferingHints=AT_ONCE)
    aws.client("kinesis").put_record(StreamName="source", Data=b'{"n": 1}\n', PartitionKey="k")
    wait_for(lambda: objects(aws))
    time.sleep(0.5)
    assert lines(objects(aws)) == [{"n": 1}]


@pytest.mark.parametrize("prefix", ["a/!{timestamp:yyyy/", "a/!{timestamp:yyyy-q}/"])
def test_a_prefix_that_cannot_be_evaluated_is_refused(firehose: Any, prefix: str) -> None:
    with pytest.raises(firehose.exceptions.InvalidArgumentException):
        create(firehose, Prefix=prefix, ErrorOutputPrefix="e/")


def test_an_update_of_the_backup_is_an_update(firehose: Any, aws: LocalAWS) -> None:
    backup = {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::lake", "Prefix": "old/"}
    create(
        firehose,
        BufferingHints=AT_ONCE,
        S3BackupMode="Enabled",
        S3BackupConfiguration={**backup, "BufferingHints": AT_ONCE},
    )
    firehose.update_destination(
        DeliveryStreamName="events",
        CurrentDeliveryStreamVersionId="1",
        DestinationId="destinationId-000000000001",
        ExtendedS3DestinationUpdate={"S3BackupUpdate": {"Prefix": "new/"}},
    )
    put(firehose, {"n": 1})
    wait_for(lambda: objects(aws, "new/"), 8)


def test_encryption_is_started_stopped_and_told(firehose: Any) -> None:
    create(firehose)
    firehose.stop_delivery_stream_encryption(DeliveryStreamName="events")
    firehose.start_delivery_stream_encryption(DeliveryStreamName="events")
    answer = firehose.put_record(DeliveryStreamName="events", Record={"Data": b"x"})
    assert answer["Encrypted"] is True


def test_a_description_has_what_was_not_configured(firehose: Any) -> None:
    create(firehose)
    described = firehose.describe_delivery_stream(DeliveryStreamName="events")
    (found,) = described["DeliveryStreamDescription"]["Destinations"]
    assert found["ExtendedS3DestinationDescription"]["CompressionFormat"] == "UNCOMPRESSED"
    assert found["ExtendedS3DestinationDescription"]["S3BackupMode"] == "Disabled"


def test_a_log_group_passes_the_buffer(firehose: Any, aws: LocalAWS) -> None:
    logs = aws.client("logs")
    logs.create_log_group(logGroupName="/app")
    logs.create_log_stream(logGroupName="/app", logStreamName="one")
    kinds = ("Decompression", "CloudWatchLogProcessing")
    processing = {"Enabled": True, "Processors": [{"Type": kind} for kind in kinds]}
    create(firehose, BufferingHints=AT_ONCE, ProcessingConfiguration=processing)
    logs.put_subscription_filter(
        logGroupName="/app",
        filterName="all",
        filterPattern="",
        destinationArn=f"arn:aws:firehose:us-east-1:{ACCOUNT}:deliverystream/events",
        roleArn=ROLE,
    )
    events = [{"timestamp": int(1000 * time.time()), "message": m} for m in ("first", "second")]
    logs.put_log_events(logGroupName="/app", logStreamName="one", logEvents=events)
    wait_for(lambda: b"first\nsecond\n" in objects(aws).values(), 8)
    with pytest.raises(firehose.exceptions.InvalidSourceException):
        firehose.put_record(DeliveryStreamName="events", Record={"Data": b"x"})


def test_records_that_hold_several_are_taken_apart(firehose: Any, aws: LocalAWS) -> None:
    settings = by_day()
    given = [{"ParameterName": "SubRecordType", "ParameterValue": "JSON"}]
    apart = {"Type": "RecordDeAggregation", "Parameters": given}
    settings["ProcessingConfiguration"]["Processors"].insert(0, apart)
    create(firehose, **settings)
    put(firehose, b'{"day": "1"}{"day": "2"}\n{"day": "3"}', b'{"day": "1"}, x', b"[1]")
    wait_for(lambda: len(objects(aws, "raw/")) == 3, 8)
    failed = wait_for(lambda: lines(objects(aws, "errors/processing-failed/")), 8)
    assert {base64.b64decode(each["rawData"]) for each in failed} == {b'{"day": "1"}, x', b"[1]"}


def test_every_record_of_a_bad_day_is_in_one_place(firehose: Any, aws: LocalAWS) -> None:
    create(
        firehose,
        Prefix="raw/",
        ErrorOutputPrefix="errors/",
        BufferingHints=CONVERTED,
        ProcessingConfiguration=calling(deploy(aws), BufferIntervalInSeconds=1),
        DataFormatConversionConfiguration=make_table(aws, n="int"),
    )
    bad = [b"no JSON", {"drop": 1}, {"forget": 1}, {"twice": 1}, {"n": "late"}, b"\xff"]
    rows = [{"n": n} if n % 10 else bad[n // 10 % len(bad)] for n in range(1000)]
    put(firehose, *rows)
    dropped = rows.count({"drop": 1})

    def found() -> int:
        return len(parquet_rows(objects(aws, "raw/"))) + len(lines(objects(aws, "errors/")))

    wait_for(lambda: found() >= len(rows) - dropped)
    time.sleep(0.5)
    assert found() == len(rows) - dropped
    kept = [row["n"] for row in parquet_rows(objects(aws, "raw/"))]
    assert kept == [n for n in range(1000) if n % 10]


def test_ten_names_are_listed_unless_more_are_asked_for(firehose: Any, aws: LocalAWS) -> None:
    destination = {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::lake"}
    for number in range(11):
        firehose.create_delivery_stream(
            DeliveryStreamName=f"s{number:02}", S3DestinationConfiguration=destination
        )
    listed = firehose.list_delivery_streams()
    assert (len(listed["DeliveryStreamNames"]), listed["HasMoreDeliveryStreams"]) == (10, True)
    with pytest.raises(ClientError):
        firehose.describe_delivery_stream(DeliveryStreamName="s99")


def test_a_reset_with_full_buffers_leaves_no_thread(firehose: Any, aws: LocalAWS) -> None:
    before = psutil.Process(aws.pid).num_threads()
    destination = {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::nowhere"}
    for number in range(20):
        firehose.create_delivery_stream(
            DeliveryStreamName=f"s{number}", S3DestinationConfiguration=destination
        )
    create(firehose, BucketARN="arn:aws:s3:::nowhere", BufferingHints=AT_ONCE)
    put(firehose, {"n": 1})
    assert psutil.Process(aws.pid).num_threads() >= before + 20
    aws.reset()
    wait_for(lambda: psutil.Process(aws.pid).num_threads() < before + 10)
