"""Map states: inline, and distributed with readers, batches, tolerated failures and writers."""

from __future__ import annotations

import json

import pytest

from .test_lambda import make, wait_for
from .test_stepfunctions import INVOKE, execute, history, machine, refused, run, task

GET, LIST = "arn:aws:states:::s3:getObject", "arn:aws:states:::s3:listObjectsV2"
PUT = "arn:aws:states:::s3:putObject"
ITEM = {"StartAt": "Item", "States": {"Item": {"Type": "Pass", "End": True}}}
# Fails for an odd number.
PICKY = """
class Odd(Exception):
    pass
def handler(event, context):
    if event["n"] % 2:
        raise Odd(f"{event['n']} is odd")
    return event["n"]
"""


def inline(processor=ITEM, **more):
    return {"Map": {"Type": "Map", "ItemProcessor": processor, "End": True, **more}}


def distributed(processor=ITEM, kind="STANDARD", **more):
    mode = {"Mode": "DISTRIBUTED", "ExecutionType": kind}
    return inline({"ProcessorConfig": mode, **processor}, **more)


def picky(aws, **more):
    """An item processor that fails for odd numbers."""
    make(aws, PICKY, name="picky")
    parameters = {"FunctionName": "picky", "Payload": {"n.$": "$.n"}}
    states = {"Item": task(INVOKE, parameters, ResultSelector={"n.$": "$.Payload"}, **more)}
    if "Catch" in more:
        states["Aside"] = {"Type": "Pass", "Result": "aside", "ResultPath": "$.as", "End": True}
    return {"StartAt": "Item", "States": states}


def numbers(count):
    return [{"n": n} for n in range(count)]


# ── inline ───────────────────────────────────────────────────────────────────────────────────────


def test_items_are_processed_in_order_and_may_be_selected(aws):
    states = inline(
        ItemsPath="$.all",
        MaxConcurrency=2,
        ItemSelector={
            "place.$": "$$.Map.Item.Index",
            "value.$": "$$.Map.Item.Value",
            "of.$": "$.name",
        },
        ResultPath="$.done",
    )
    output = run(aws, states, {"all": ["a", "b", "c"], "name": "x"})
    assert output["done"] == [{"place": i, "value": v, "of": "x"} for i, v in enumerate("abc")]


def test_more_items_than_run_at_a_time(aws):
    output = run(aws, inline(ItemsPath="$.n"), {"n": list(range(150))})
    assert output == list(range(150))


def test_an_item_that_fails_is_retried_and_then_goes_aside(aws):
    retry = [{"ErrorEquals": ["Odd"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    catch = [{"ErrorEquals": ["Odd"], "ResultPath": "$.why", "Next": "Aside"}]
    arn = machine(aws, inline(picky(aws, Retry=retry, Catch=catch), ItemsPath="$.items"))
    found = execute(aws, arn, {"items": numbers(4)})
    output = json.loads(found["output"])
    assert [item.get("as") for item in output] == [None, "aside", None, "aside"]
    assert "3 is odd" in output[3]["why"]["Cause"]
    assert [item["n"] for item in output] == [0, 1, 2, 3]
    types = [event["type"] for event in history(aws, found["executionArn"])]
    assert types.count("TaskFailed") == 4
    assert types.count("MapIterationSucceeded") == 4


def test_an_item_that_is_not_caught_fails_the_map(aws):
    states = inline(picky(aws), ItemsPath="$.items")
    states["Map"]["Catch"] = [{"ErrorEquals": ["States.ALL"], "Next": "Sorry"}]
    states["Sorry"] = {"Type": "Pass", "End": True}
    assert run(aws, states, {"items": numbers(2)})["Error"] == "Odd"


def test_what_only_a_distributed_map_has_is_refused(aws):
    with refused("InvalidDefinition", "only supported in DISTRIBUTED mode"):
        machine(aws, inline(ItemBatcher={"MaxItemsPerBatch": 2}))
    with refused("InvalidDefinition", "required"):
        machine(aws, {"Map": {"Type": "Map", "End": True}})


# ── distributed ──────────────────────────────────────────────────────────────────────────────────


def test_each_item_is_an_execution(aws):
    client = aws.client("stepfunctions")
    arn = machine(aws, distributed(ItemsPath="$.items", Label="Items"))
    found = execute(aws, arn, {"items": numbers(3)})
    assert json.loads(found["output"]) == numbers(3)
    (listed,) = client.list_map_runs(executionArn=found["executionArn"])["mapRuns"]
    assert "/Items:" in listed["mapRunArn"]
    described = client.describe_map_run(mapRunArn=listed["mapRunArn"])
    assert described["status"] == "SUCCEEDED"
    assert described["itemCounts"] | {"total": 3, "succeeded": 3} == described["itemCounts"]
    assert described["executionCounts"]["running"] == described["executionCounts"]["pending"] == 0
    children = client.list_executions(mapRunArn=listed["mapRunArn"])["executions"]
    assert {child["status"] for child in children} == {"SUCCEEDED"}
    assert len(children) == 3
    child = client.describe_execution(executionArn=children[0]["executionArn"])
    assert "/Items:" in child["executionArn"]
    assert json.loads(child["output"]) in numbers(3)
    types = [event["type"] for event in history(aws, found["executionArn"])]
    assert types[2:6] == [
        "MapStateStarted",
        "MapRunStarted",
        "MapRunSucceeded",
        "MapStateSucceeded",
    ]


def data(aws, **objects):
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="data")
    for name, body in objects.items():
        s3.put_object(Bucket="data", Key=name.replace("__", ".").replace("_", "/"), Body=body)


def reader(key, kind, **config):
    parameters = {"Bucket": "data", "Key": key}
    return {
        "Resource": GET,
        "ReaderConfig": {"InputType": kind, **config},
        "Parameters": parameters,
    }


def test_items_come_from_files(aws):
    rows = "name,n\na,1\nb,2\nc,3\n"
    data(
        aws, rows__csv=rows, list__json='[{"n": 1}, {"n": 2}]', lines__jsonl='{"n": 1}\n{"n": 2}\n'
    )
    csv = distributed(ItemReader=reader("rows.csv", "CSV", CSVHeaderLocation="FIRST_ROW"))
    assert run(aws, csv, name="a")[2] == {"name": "c", "n": "3"}
    given = {"CSVHeaderLocation": "GIVEN", "CSVHeaders": ["x", "y"], "MaxItems": 2}
    csv = distributed(ItemReader=reader("rows.csv", "CSV", **given))
    assert run(aws, csv, name="b") == [{"x": "name", "y": "n"}, {"x": "a", "y": "1"}]
    json_ = distributed(ItemReader=reader("list.json", "JSON", MaxItemsPath="$.most"))
    assert run(aws, json_, {"most": 1}, name="c") == [{"n": 1}]
    lines = distributed(ItemReader=reader("lines.jsonl", "JSONL"))
    assert run(aws, lines, name="d") == [{"n": 1}, {"n": 2}]


def test_items_are_the_objects_of_a_bucket(aws):
    data(aws, in_a__txt="1", in_b__txt="22", out_c__txt="3")
    states = distributed(
        ItemReader={"Resource": LIST, "Parameters": {"Bucket": "data", "Prefix.$": "$.folder"}},
        ItemSelector={"key.$": "$$.Map.Item.Value.Key", "size.$": "$$.Map.Item.Value.Size"},
    )
    output = run(aws, states, {"folder": "in/"})
    assert output == [{"key": "in/a.txt", "size": 1}, {"key": "in/b.txt", "size": 2}]


def test_a_file_that_is_not_there_fails_the_reader(aws):
    data(aws)
    found = execute(aws, machine(aws, distributed(ItemReader=reader("none.json", "JSON"))))
    assert found["error"] == "States.ItemReaderFailed"
    with refused("NotImplemented", "ItemReader with PARQUET"):
        machine(aws, distributed(ItemReader=reader("none", "PARQUET")), name="other")


def test_items_are_batched(aws):
    states = distributed(
        ItemsPath="$.items",
        ItemBatcher={"MaxItemsPerBatch": 2, "BatchInput": {"of.$": "$.name"}},
    )
    output = run(aws, states, {"items": [1, 2, 3], "name": "x"})
    assert output == [
        {"BatchInput": {"of": "x"}, "Items": [1, 2]},
        {"BatchInput": {"of": "x"}, "Items": [3]},
    ]


@pytest.mark.parametrize(
    ("tolerated", "status"),
    [
        ({}, "FAILED"),
        ({"ToleratedFailureCount": 1}, "FAILED"),
        ({"ToleratedFailureCount": 2}, "SUCCEEDED"),
        ({"ToleratedFailurePercentage": 49}, "FAILED"),
        ({"ToleratedFailurePercentage": 50}, "SUCCEEDED"),
        ({"ToleratedFailurePercentagePath": "$.share"}, "SUCCEEDED"),
    ],
)
def test_failures_are_tolerated_up_to_a_threshold(aws, tolerated, status):
    states = distributed(picky(aws), ItemsPath="$.items", **tolerated)
    found = execute(aws, machine(aws, states), {"items": numbers(4), "share": 60})
    assert found["status"] == status
    if status == "FAILED":
        assert found["error"] == "States.ExceedToleratedFailureThreshold"
    else:
        assert [item.get("Error") for item in json.loads(found["output"])][1] == "Odd"


def test_results_are_written_by_status(aws):
    data(aws)
    states = distributed(
        picky(aws),
        ItemsPath="$.items",
        ToleratedFailurePercentage=100,
        ResultWriter={"Resource": PUT, "Parameters": {"Bucket": "data", "Prefix": "results"}},
    )
    output = run(aws, states, {"items": numbers(4)})
    where = output["ResultWriterDetails"]
    assert where["Key"] == f"results/{output['MapRunArn'].rpartition(':')[2]}/manifest.json"
    s3 = aws.client("s3")

    def read(key):
        return json.loads(s3.get_object(Bucket="data", Key=key)["Body"].read())

    manifest = read(where["Key"])
    assert manifest["DestinationBucket"] == "data"
    files = {
        status: [file["Key"] for file in found] for status, found in manifest["ResultFiles"].items()
    }
    assert files["PENDING"] == []
    succeeded = read(files["SUCCEEDED"][0])
    assert [json.loads(item["Output"]) for item in succeeded] == [{"n": 0}, {"n": 2}]
    assert files["SUCCEEDED"][0].endswith("/SUCCEEDED_0.json")
    failed = read(files["FAILED"][0])
    assert {item["Error"] for item in failed} == {"Odd"}
    assert json.loads(failed[0]["Input"]) == {"n": 1}
    described = aws.client("stepfunctions").describe_map_run(mapRunArn=output["MapRunArn"])
    counts = described["itemCounts"]
    assert (counts["succeeded"], counts["failed"], counts["resultsWritten"]) == (2, 2, 2)


def test_results_may_be_flat_lines(aws):
    data(aws)
    inner = {"Item": {"Type": "Pass", "Result": [1, 2], "End": True}}
    states = distributed(
        {"StartAt": "Item", "States": inner},
        kind="EXPRESS",
        ItemsPath="$.items",
        ResultWriter={
            "Resource": PUT,
            "Parameters": {"Bucket": "data", "Prefix": "flat"},
            "WriterConfig": {"Transformation": "FLATTEN", "OutputType": "JSONL"},
        },
    )
    output = run(aws, states, {"items": numbers(2)})
    folder = output["ResultWriterDetails"]["Key"].rpartition("/")[0]
    found = aws.client("s3").get_object(Bucket="data", Key=f"{folder}/SUCCEEDED_0.jsonl")
    assert found["Body"].read().split() == [b"1", b"2", b"1", b"2"]


def test_a_distributed_map_in_jsonata(aws):
    pytest.importorskip("jsonata")
    inner = {"Item": {"Type": "Pass", "Output": "{% $states.input.n * 2 %}", "End": True}}
    states = distributed(
        {"StartAt": "Item", "States": inner},
        Items="{% $states.input.items %}",
        ItemSelector={"n": "{% $states.context.Map.Item.Value.n + $states.input.more %}"},
        MaxConcurrency=3,
    )
    top = {"QueryLanguage": "JSONata"}
    assert run(aws, states, {"items": numbers(3), "more": 1}, top=top) == [2, 4, 6]


def test_a_stopped_execution_stops_its_items(aws):
    client = aws.client("stepfunctions")
    inner = {"Item": {"Type": "Wait", "Seconds": 60, "End": True}}
    arn = machine(aws, distributed({"StartAt": "Item", "States": inner}, ItemsPath="$.items"))
    given = json.dumps({"items": numbers(2)})
    started = client.start_execution(stateMachineArn=arn, input=given)["executionArn"]

    def children():
        runs = client.list_map_runs(executionArn=started)["mapRuns"]
        found = [client.list_executions(mapRunArn=run["mapRunArn"]) for run in runs]
        return [child for page in found for child in page["executions"]]

    wait_for(lambda: len(children()) == 2)
    client.stop_execution(executionArn=started)
    wait_for(lambda: {child["status"] for child in children()} == {"ABORTED"})
