"""Amazon Data Firehose: every record that goes in comes out in one place, once.

https://docs.aws.amazon.com/firehose/latest/dev/what-is-this-service.html
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import time
import zipfile
from collections import Counter
from typing import Any

import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from tests.local_aws.environment import LocalAWS

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/delivery"
QUICK = {"SizeInMBs": 1, "IntervalInSeconds": 1}
PARTITIONED = {"SizeInMBs": 64, "IntervalInSeconds": 1}

TRANSFORM = """
import base64, json
def handler(event, context):
    answers = []
    for record in event["records"]:
        answer = {"recordId": record["recordId"], "result": "Ok", "data": record["data"]}
        try:
            row = json.loads(base64.b64decode(record["data"]))
        except ValueError:
            answers.append({**answer, "result": "ProcessingFailed"})
            continue
        if row.get("poison"):
            raise RuntimeError("poison")
        if row.get("drop"):
            answers.append({**answer, "result": "Dropped"})
            continue
        if row.get("forget"):
            continue
        if row.get("twice"):
            answers.append(answer)
        if "day" in row:
            answer["metadata"] = {"partitionKeys": {"day": row["day"]}}
        answers.append(answer)
    return {"records": answers}
"""


@pytest.fixture
def firehose(aws: LocalAWS) -> Any:
    """A client; the bucket `lake`; the role `delivery`."""
    aws.client("s3").create_bucket(Bucket="lake")
    trust = {"Effect": "Allow", "Principal": {"Service": "firehose.amazonaws.com"}}
    document = {"Version": "2012-10-17", "Statement": [{**trust, "Action": "sts:AssumeRole"}]}
    aws.client("iam").create_role(
        RoleName="delivery", AssumeRolePolicyDocument=json.dumps(document)
    )
    return aws.client("firehose")


def create(firehose: Any, *, source: str | None = None, **settings: Any) -> None:
    """A delivery stream `events` with these settings of its destination, when it is active."""
    destination = {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::lake", "BufferingHints": QUICK}
    kind: dict[str, Any] = {"DeliveryStreamType": "DirectPut"}
    if source:
        kind = {
            "DeliveryStreamType": "KinesisStreamAsSource",
            "KinesisStreamSourceConfiguration": {"KinesisStreamARN": source, "RoleARN": ROLE},
        }
    firehose.create_delivery_stream(
        DeliveryStreamName="events",
        ExtendedS3DestinationConfiguration={**destination, **settings},
        **kind,
    )
    wait_for(lambda: status(firehose) == "ACTIVE")


def status(firehose: Any, name: str = "events") -> str | None:
    """The status of a delivery stream; None if there is none."""
    try:
        described = firehose.describe_delivery_stream(DeliveryStreamName=name)
    except firehose.exceptions.ResourceNotFoundException:
        return None
    return described["DeliveryStreamDescription"]["DeliveryStreamStatus"]


def delete(firehose: Any) -> None:
    """Delete `events`, and wait until it is gone."""
    firehose.delete_delivery_stream(DeliveryStreamName="events")
    wait_for(lambda: status(firehose) is None)


def put(firehose: Any, *rows: Any) -> None:
    """Put rows as JSON lines; bytes as they are."""
    data = [row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows]
    for start in range(0, len(data), 500):
        records = [{"Data": each} for each in data[start : start + 500]]
        answer = firehose.put_record_batch(DeliveryStreamName="events", Records=records)
        assert answer["FailedPutCount"] == 0
        assert len(answer["RequestResponses"]) == len(records)


def objects(aws: LocalAWS, prefix: str = "") -> dict[str, bytes]:
    s3 = aws.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="lake", Prefix=prefix)
    keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
    return {key: s3.get_object(Bucket="lake", Key=key)["Body"].read() for key in keys}


def wait_for(condition: Any, seconds: float = 20.0) -> Any:
    """What the condition gives as soon as it is true."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("It has not happened.")


def lines(found: dict[str, bytes]) -> list[Any]:
    return [json.loads(line) for body in found.values() for line in body.splitlines()]


def deploy(aws: LocalAWS, code: str = TRANSFORM) -> str:
    """The function `transform`; its ARN."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("main.py", code)
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}
    document = {"Version": "2012-10-17", "Statement": [{**trust, "Action": "sts:AssumeRole"}]}
    aws.client("iam").create_role(
        RoleName="function", AssumeRolePolicyDocument=json.dumps(document)
    )
    made = aws.client("lambda").create_function(
        FunctionName="transform",
        Runtime="python3.13",
        Handler="main.handler",
        Role=f"arn:aws:iam::{ACCOUNT}:role/function",
        MemorySize=256,
        Code={"ZipFile": packed.getvalue()},
    )
    return made["FunctionArn"]


def calling(arn: str, **parameters: Any) -> dict[str, Any]:
    given = {"LambdaArn": arn, "BufferIntervalInSeconds": "0", "NumberOfRetries": "1"}
    given |= {name: str(value) for name, value in parameters.items()}
    listed = [{"ParameterName": n, "ParameterValue": v} for n, v in given.items()]
    return {"Enabled": True, "Processors": [{"Type": "Lambda", "Parameters": listed}]}


# ── buffering ────────────────────────────────────────────────────────────────────────────────────


def test_records_are_gathered_into_one_object(firehose: Any, aws: LocalAWS) -> None:
    create(firehose)
    for number in range(10):
        put(firehose, {"n": number})
    assert objects(aws) == {}
    found = wait_for(lambda: objects(aws))
    assert [row["n"] for row in lines(found)] == list(range(10))
    (key,) = found
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\d\d/events-1-\d{4}(-\d\d){5}-[0-9a-f-]{36}", key)


def test_a_full_buffer_does_not_wait(firehose: Any, aws: LocalAWS) -> None:
    create(firehose, BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 900})
    put(firehose, *([b"x" * 300_000] * 9))
    found = wait_for(lambda: objects(aws))
    assert max(len(body) for body in found.values()) >= 1024 * 1024
    wait_for(lambda: sum(len(body) for body in objects(aws).values()) == 2_700_000)


def test_records_are_not_separated_unless_asked(firehose: Any, aws: LocalAWS) -> None:
    create(firehose)
    put(firehose, b"one", b"two")
    assert list(wait_for(lambda: objects(aws)).values()) == [b"onetwo"]


def test_a_delimiter_is_put_behind_each_record(firehose: Any, aws: LocalAWS) -> None:
    processors = [{"Type": "AppendDelimiterToRecord"}]
    create(firehose, ProcessingConfiguration={"Enabled": True, "Processors": processors})
    put(firehose, b"one", b"two")
    assert list(wait_for(lambda: objects(aws)).values()) == [b"one\ntwo\n"]


def test_objects_are_compressed_and_named_so(firehose: Any, aws: LocalAWS) -> None:
    create(firehose, CompressionFormat="GZIP", Prefix="raw/")
    put(firehose, {"n": 1})
    ((key, body),) = wait_for(lambda: objects(aws)).items()
    assert key.startswith("raw/20")
    assert key.endswith(".gz")
    assert json.loads(gzip.decompress(body)) == {"n": 1}


def test_a_stream_goes_with_its_data(firehose: Any, aws: LocalAWS) -> None:
    create(firehose, BufferingHints={"SizeInMBs": 5, "IntervalInSeconds": 900})
    put(firehose, {"n": 1})
    firehose.delete_delivery_stream(DeliveryStreamName="events")
    assert status(firehose) == "DELETING"
    with pytest.raises(firehose.exceptions.ResourceNotFoundException):
        firehose.put_record(DeliveryStreamName="events", Record={"Data": b"x"})
    wait_for(lambda: status(firehose) is None)
    create(firehose)
    put(firehose, {"n": 2})
    assert lines(wait_for(lambda: objects(aws))) == [{"n": 2}]


def test_a_stream_that_is_not_there_yet_takes_nothing(firehose: Any) -> None:
    firehose.create_delivery_stream(
        DeliveryStreamName="events",
        S3DestinationConfiguration={"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::lake"},
    )
    assert status(firehose) == "CREATING"
    with pytest.raises(firehose.exceptions.ResourceNotFoundException):
        firehose.put_record(DeliveryStreamName="events", Record={"Data": b"x"})
    with pytest.raises(firehose.exceptions.ResourceInUseException):
        firehose.delete_delivery_stream(DeliveryStreamName="events")
    wait_for(lambda: status(firehose) == "ACTIVE")
    firehose.put_record(DeliveryStreamName="events", Record={"Data": b"x"})


def test_a_reset_with_a_full_buffer_leaves_nothing_behind(firehose: Any, aws: LocalAWS) -> None:
    create(firehose, BufferingHints={"SizeInMBs": 5, "IntervalInSeconds": 900})
    put(firehose, {"n": 1})
    aws.reset()
    assert firehose.list_delivery_streams()["DeliveryStreamNames"] == []
    aws.client("s3").create_bucket(Bucket="lake")
    time.sleep(2.5)
    assert objects(aws) == {}


# ── prefixes ─────────────────────────────────────────────────────────────────────────────────────


def test_a_prefix_tells_the_time_of_arrival(firehose: Any, aws: LocalAWS) -> None:
    create(
        firehose,
        Prefix="raw/year=!{timestamp:yyyy}/at=!{timestamp:MM-dd'T'HH}/r=!{firehose:random-string}/",
        ErrorOutputPrefix="errors/!{firehose:error-output-type}/",
        FileExtension=".jsonl",
    )
    put(firehose, {"n": 1})
    (key,) = wait_for(lambda: objects(aws))
    pattern = r"raw/year=20\d\d/at=\d\d-\d\dT\d\d/r=[0-9a-f-]{11}/events-1-.*\.jsonl"
    assert re.fullmatch(pattern, key)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"Prefix": "a/!{timestamp:yyyy}/"}, "ErrorOutputPrefix cannot be null"),
        (
            {"Prefix": "a/!{timestamp:yyyy}/", "ErrorOutputPrefix": "e/!{timestamp:yyyy}/"},
            "must contain !{firehose:error-output-type}",
        ),
        ({"Prefix": "!{moon:phase}/", "ErrorOutputPrefix": "e/"}, "namespace moon"),
        (
            {"Prefix": "!{partitionKeyFromLambda:day}/", "ErrorOutputPrefix": "e/"},
            "dynamic partitioning is not enabled",
        ),
        ({"BufferingHints": {"SizeInMBs": 5}}, "together or not at all"),
        ({"RoleARN": f"arn:aws:iam::{ACCOUNT}:role/nobody"}, "unable to assume role"),
        ({"DynamicPartitioningConfiguration": {"Enabled": True}}, "partition key expression"),
        ({"S3BackupMode": "Enabled"}, "S3BackupConfiguration is required"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    firehose: Any, settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(firehose.exceptions.InvalidArgumentException, match=re.escape(reason)):
        create(firehose, **settings)
    assert firehose.list_delivery_streams()["DeliveryStreamNames"] == []


def test_partitioning_needs_large_buffers(firehose: Any) -> None:
    settings = {
        "Prefix": "day=!{partitionKeyFromQuery:day}/",
        "ErrorOutputPrefix": "errors/",
        "DynamicPartitioningConfiguration": {"Enabled": True},
        "ProcessingConfiguration": extracting("{day}"),
    }
    with pytest.raises(ClientError, match="at least 64"):
        create(firehose, **settings)
    hints = {"SizeInMBs": 64, "IntervalInSeconds": 0}
    with pytest.raises(ClientError, match="Zero buffering"):
        create(firehose, **settings, BufferingHints=hints)


def extracting(query: str) -> dict[str, Any]:
    given = {"MetadataExtractionQuery": query, "JsonParsingEngine": "JQ-1.6"}
    listed = [{"ParameterName": n, "ParameterValue": v} for n, v in given.items()]
    return {"Enabled": True, "Processors": [{"Type": "MetadataExtraction", "Parameters": listed}]}


def test_partitions_come_from_the_record(firehose: Any, aws: LocalAWS) -> None:
    create(
        firehose,
        Prefix="raw/day=!{partitionKeyFromQuery:day}/!{timestamp:yyyy}/",
        ErrorOutputPrefix="errors/!{firehose:error-output-type}/",
        BufferingHints=PARTITIONED,
        DynamicPartitioningConfiguration={"Enabled": True},
        ProcessingConfiguration=extracting("{day: .at[0:10]}"),
    )
    days = ["2013-06-24", "2013-06-25", "2013-06-24"]
    put(firehose, *({"at": f"{day}T12:00", "n": n} for n, day in enumerate(days)))
    put(firehose, b"no JSON", {"at": None})
    wait_for(lambda: len(lines(objects(aws, "raw/"))) == 3 and objects(aws, "errors/"))
    assert [row["n"] for row in lines(objects(aws, "raw/day=2013-06-24/"))] == [0, 2]
    assert [row["n"] for row in lines(objects(aws, "raw/day=2013-06-25/"))] == [1]
    failed = lines(objects(aws, "errors/processing-failed/"))
    assert {base64.b64decode(each["rawData"]) for each in failed} == {b"no JSON", b'{"at": null}\n'}


# ── the function ─────────────────────────────────────────────────────────────────────────────────


def test_a_function_sorts_records_and_none_is_lost(firehose: Any, aws: LocalAWS) -> None:
    create(
        firehose,
        Prefix="raw/",
        ErrorOutputPrefix="errors/",
        ProcessingConfiguration=calling(deploy(aws), BufferIntervalInSeconds=1),
    )
    good = [{"n": number} for number in range(20)]
    put(firehose, *good, {"drop": 1}, {"drop": 2}, b"no JSON", {"forget": 1}, {"twice": 1})
    wait_for(lambda: len(lines(objects(aws, "raw/"))) == 20)
    failed = wait_for(lambda: lines(objects(aws, "errors/")))
    assert [row["n"] for row in lines(objects(aws, "raw/"))] == list(range(20))
    assert Counter(each["errorCode"] for each in failed) == {
        "Lambda.ProcessingFailedStatus": 1,
        "Lambda.MissingRecordId": 1,
        "Lambda.DuplicatedRecordId": 1,
    }
    assert len(good) + 5 == 20 + 2 + len(failed)
    (bad,) = [each for each in failed if each["errorCode"] == "Lambda.ProcessingFailedStatus"]
    assert base64.b64decode(bad["rawData"]) == b"no JSON"
    assert bad["lambdaArn"].endswith(":function:transform")
    assert list(objects(aws, "errors/"))[0].startswith("errors/processing-failed/20")


def test_a_poison_record_takes_its_batch_to_the_error_prefix(firehose: Any, aws: LocalAWS) -> None:
    create(firehose, ErrorOutputPrefix="errors/", ProcessingConfiguration=calling(deploy(aws)))
    put(firehose, {"n": 1}, {"poison": True}, {"n": 2})
    failed = wait_for(lambda: lines(objects(aws, "errors/")))
    assert len(failed) == 3
    assert {each["errorCode"] for each in failed} == {"Lambda.FunctionError"}
    assert {each["attemptsMade"] for each in failed} == {2}
    assert "poison" in failed[0]["errorMessage"]
    assert list(objects(aws)) == list(objects(aws, "errors/"))


def test_an_answer_that_is_none_is_a_failure(firehose: Any, aws: LocalAWS) -> None:
    arn = deploy(aws, "def handler(event, context):\n    return 'done'\n")
    create(firehose, ErrorOutputPrefix="errors/", ProcessingConfiguration=calling(arn))
    put(firehose, {"n": 1})
    (failed,) = wait_for(lambda: lines(objects(aws, "errors/")))
    assert failed["errorCode"] == "Lambda.JsonProcessingException"


def test_a_function_is_told_what_aws_tells_it(firehose: Any, aws: LocalAWS) -> None:
    code = """
import base64, json
def handler(event, context):
    told = {k: v for k, v in event.items() if k != "records"}
    told["record"] = {k: v for k, v in event["records"][0].items() if k != "data"}
    data = base64.b64encode(json.dumps(told).encode()).decode()
    return {"records": [{"recordId": r["recordId"], "result": "Ok", "data": data}
                        for r in event["records"]]}
"""
    create(firehose, ProcessingConfiguration=calling(deploy(aws, code)))
    put(firehose, {"n": 1})
    (told,) = lines(wait_for(lambda: objects(aws)))
    assert set(told) == {"invocationId", "deliveryStreamArn", "region", "record"}
    assert told["deliveryStreamArn"].endswith(":deliverystream/events")
    assert set(told["record"]) == {"recordId", "approximateArrivalTimestamp"}


def test_a_function_names_the_partition_by_the_event_not_the_arrival(
    firehose: Any, aws: LocalAWS
) -> None:
    create(
        firehose,
        Prefix="raw/day=!{partitionKeyFromLambda:day}/",
        ErrorOutputPrefix="errors/!{firehose:error-output-type}/",
        BufferingHints=PARTITIONED,
        DynamicPartitioningConfiguration={"Enabled": True},
        ProcessingConfiguration=calling(deploy(aws)),
    )
    put(firehose, {"n": 1, "day": "2013-06-25"}, {"n": 2, "day": "2013-06-24"}, {"n": 3})
    wait_for(lambda: len(lines(objects(aws))) == 3)
    assert lines(objects(aws, "raw/day=2013-06-24/"))[0]["n"] == 2
    (failed,) = lines(objects(aws, "errors/"))
    assert failed["errorCode"] == "DynamicPartitioning.MetadataExtractionFailed"
    assert "day" in failed["errorMessage"]


# ── Parquet ──────────────────────────────────────────────────────────────────────────────────────


def make_table(aws: LocalAWS, **columns: str) -> dict[str, Any]:
    """A table with these columns, and the conversion to it."""
    glue = aws.client("glue")
    glue.create_database(DatabaseInput={"Name": "db"})
    listed = [{"Name": name, "Type": kind} for name, kind in columns.items()]
    descriptor = {"Columns": listed, "Location": "s3://lake/raw/"}
    glue.create_table(
        DatabaseName="db", TableInput={"Name": "events", "StorageDescriptor": descriptor}
    )
    return {
        "Enabled": True,
        "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
        "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {}}},
        "SchemaConfiguration": {"RoleARN": ROLE, "DatabaseName": "db", "TableName": "events"},
    }


def parquet_rows(found: dict[str, bytes]) -> list[dict[str, Any]]:
    return [row for body in found.values() for row in pq.read_table(io.BytesIO(body)).to_pylist()]


def test_rows_become_parquet_with_the_columns_of_the_table(firehose: Any, aws: LocalAWS) -> None:
    conversion = make_table(
        aws, id="string", at="timestamp", delay="int", price="decimal(8,2)", tags="array<string>"
    )
    create(
        firehose,
        Prefix="raw/",
        ErrorOutputPrefix="errors/",
        BufferingHints=PARTITIONED,
        DataFormatConversionConfiguration=conversion,
    )
    put(
        firehose,
        {
            "id": "a",
            "at": "2013-06-24 10:00:00",
            "delay": 5,
            "price": 1.5,
            "tags": ["x"],
            "more": 1,
        },
        {"ID": "b", "at": "2013-06-24T10:00:00Z", "delay": None},
        {"id": "c", "delay": "late"},
        b"no JSON",
        b"[1, 2]",
    )
    wait_for(lambda: objects(aws, "raw/") and len(lines(objects(aws, "errors/"))) == 3)
    rows = parquet_rows(objects(aws, "raw/"))
    assert [row["id"] for row in rows] == ["a", "b"]
    assert list(rows[0]) == ["id", "at", "delay", "price", "tags"]
    assert str(rows[0]["price"]) == "1.50"
    assert rows[0]["at"] == rows[1]["at"]
    failed = lines(objects(aws, "errors/format-conversion-failed/"))
    assert {each["lastErrorCode"] for each in failed} == {"DataFormatConversion.MalformedData"}
    assert any("late" in each["lastErrorMessage"] for each in failed)
    assert failed[0]["dataCatalogTable"]["tableName"] == "events"


def test_a_schema_that_changed_costs_no_record(firehose: Any, aws: LocalAWS) -> None:
    conversion = make_table(aws, id="string", delay="int")
    create(
        firehose,
        Prefix="raw/",
        ErrorOutputPrefix="errors/",
        BufferingHints=PARTITIONED,
        DataFormatConversionConfiguration=conversion,
    )
    put(firehose, {"id": "a", "delay": 1})
    wait_for(lambda: objects(aws, "raw/"))
    aws.client("glue").delete_table(DatabaseName="db", Name="events")
    put(firehose, {"id": "b", "delay": 2})
    (failed,) = wait_for(lambda: lines(objects(aws, "errors/")))
    assert failed["lastErrorCode"] == "DataFormatConversion.EntityNotFound"
    assert json.loads(base64.b64decode(failed["rawData"])) == {"id": "b", "delay": 2}


def test_parquet_is_not_compressed_twice(firehose: Any, aws: LocalAWS) -> None:
    conversion = make_table(aws, id="string")
    with pytest.raises(ClientError, match="UNCOMPRESSED"):
        create(
            firehose,
            BufferingHints=PARTITIONED,
            CompressionFormat="GZIP",
            DataFormatConversionConfiguration=conversion,
        )


# ── Kinesis as the source ────────────────────────────────────────────────────────────────────────


@pytest.fixture
def stream(aws: LocalAWS) -> str:
    """The ARN of a stream of two shards, with a record in it."""
    kinesis = aws.client("kinesis")
    kinesis.create_stream(StreamName="source", ShardCount=2)
    kinesis.put_record(StreamName="source", Data=b'{"n": -1}', PartitionKey="early")
    described = kinesis.describe_stream_summary(StreamName="source")
    return described["StreamDescriptionSummary"]["StreamARN"]


def test_a_stream_is_read_from_now_on_and_each_key_in_order(
    firehose: Any, aws: LocalAWS, stream: str
) -> None:
    create(firehose, source=stream)
    records = [
        {"Data": json.dumps({"n": n}).encode() + b"\n", "PartitionKey": f"k{n % 5}"}
        for n in range(200)
    ]
    aws.client("kinesis").put_records(StreamName="source", Records=records)
    rows = wait_for(lambda: len(lines(objects(aws))) == 200 and lines(objects(aws)))
    for key in range(5):
        own = [row["n"] for row in rows if row["n"] % 5 == key]
        assert own == sorted(own)


def test_a_stream_that_is_read_takes_no_records_itself(firehose: Any, stream: str) -> None:
    create(firehose, source=stream)
    with pytest.raises(firehose.exceptions.InvalidArgumentException, match="not permitted"):
        firehose.put_record(DeliveryStreamName="events", Record={"Data": b"x"})


def test_a_source_that_is_not_there_is_refused(firehose: Any, stream: str) -> None:
    with pytest.raises(firehose.exceptions.ResourceNotFoundException):
        create(firehose, source=stream.replace("source", "nothing"))


# ── trouble ──────────────────────────────────────────────────────────────────────────────────────


def test_what_may_not_be_written_is_kept_until_it_may(firehose: Any, aws: LocalAWS) -> None:
    s3 = aws.client("s3")
    statement = {"Effect": "Deny", "Principal": {"AWS": ROLE}, "Action": "s3:PutObject"}
    document = {
        "Version": "2012-10-17",
        "Statement": [{**statement, "Resource": "arn:aws:s3:::lake/*"}],
    }
    s3.put_bucket_policy(Bucket="lake", Policy=json.dumps(document))
    log = {"Enabled": True, "LogGroupName": "/firehose", "LogStreamName": "s3"}
    create(firehose, CloudWatchLoggingOptions=log)
    put(firehose, {"n": 1})

    def logged() -> list[str]:
        try:
            found = aws.client("logs").filter_log_events(logGroupName="/firehose")
        except ClientError:
            return []
        return [event["message"] for event in found["events"]]

    message = json.loads(wait_for(logged)[0])
    assert message["errorCode"] == "S3.AccessDenied"
    put(firehose, {"n": 2})
    assert objects(aws) == {}
    s3.delete_bucket_policy(Bucket="lake")
    wait_for(lambda: len(lines(objects(aws))) == 2)
    assert [row["n"] for row in lines(objects(aws))] == [1, 2]


def test_a_bucket_that_comes_late_gets_everything(firehose: Any, aws: LocalAWS) -> None:
    create(firehose, BucketARN="arn:aws:s3:::later")
    put(firehose, {"n": 1})
    time.sleep(1.5)
    aws.client("s3").create_bucket(Bucket="later")
    wait_for(lambda: aws.client("s3").list_objects_v2(Bucket="later").get("KeyCount"))


def test_records_are_backed_up_as_they_came(firehose: Any, aws: LocalAWS) -> None:
    backup = {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::lake", "Prefix": "backup/"}
    create(
        firehose,
        Prefix="raw/",
        ErrorOutputPrefix="errors/",
        S3BackupMode="Enabled",
        S3BackupConfiguration=backup,
        ProcessingConfiguration=calling(deploy(aws)),
    )
    put(firehose, {"n": 1}, {"drop": 1})
    wait_for(lambda: len(lines(objects(aws, "backup/"))) == 2)
    assert lines(objects(aws, "raw/")) == [{"n": 1}]


def test_too_much_at_once_is_refused(firehose: Any) -> None:
    create(firehose)
    records = [{"Data": b"x" * 900_000}] * 5
    with pytest.raises(firehose.exceptions.InvalidArgumentException, match="4 MB"):
        firehose.put_record_batch(DeliveryStreamName="events", Records=records)
    with pytest.raises(ClientError):
        firehose.put_record(DeliveryStreamName="events", Record={"Data": b"x" * 1_024_001})


def test_other_destinations_say_that_they_are_not_carried_out(firehose: Any) -> None:
    endpoint = {
        "EndpointConfiguration": {"Url": "https://example.com"},
        "S3Configuration": {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::lake"},
    }
    with pytest.raises(ClientError, match="HttpEndpoint"):
        firehose.create_delivery_stream(
            DeliveryStreamName="events", HttpEndpointDestinationConfiguration=endpoint
        )


# ── describing ───────────────────────────────────────────────────────────────────────────────────


def test_a_stream_is_described_updated_and_measured(firehose: Any, aws: LocalAWS) -> None:
    create(firehose)
    described = firehose.describe_delivery_stream(DeliveryStreamName="events")
    found = described["DeliveryStreamDescription"]
    assert found["DeliveryStreamStatus"] == "ACTIVE"
    assert found["DeliveryStreamType"] == "DirectPut"
    firehose.update_destination(
        DeliveryStreamName="events",
        CurrentDeliveryStreamVersionId=found["VersionId"],
        DestinationId=found["Destinations"][0]["DestinationId"],
        ExtendedS3DestinationUpdate={"Prefix": "new/", "BufferingHints": QUICK},
    )
    put(firehose, {"n": 1})
    (key,) = wait_for(lambda: objects(aws))
    assert key.startswith("new/")
    assert "/events-2-" in key
    listed = aws.client("cloudwatch").list_metrics(Namespace="AWS/Firehose")["Metrics"]
    names = {each["MetricName"] for each in listed}
    assert {"IncomingRecords", "DeliveryToS3.Records", "DeliveryToS3.Success"} <= names
