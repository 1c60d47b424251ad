"""The SageMaker SDK against the offline AWS: what notebooks do with it, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

_FLOWS = Path(__file__).with_name("sagemaker_sdk_flows.py")


@pytest.fixture(scope="module")
def flows(aws_server, tmp_path_factory):
    """What came out of each flow; the flows run once, in an empty account."""
    aws_server.reset()
    folder = tmp_path_factory.mktemp("sdk")
    finished = subprocess.run(
        [sys.executable, str(_FLOWS), str(folder / "results.json")],
        cwd=folder,
        env=aws_server.environ,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stderr[-4000:]
    results = json.loads((folder / "results.json").read_text())
    results["inventory"] = aws_server.inventory()
    results["journal"] = aws_server.journal()
    return results


def outcome(flows, name):
    result = flows[name]
    if isinstance(result, dict) and "failed" in result:
        pytest.fail(result["failed"])
    return result


def test_knows_the_execution_role(flows):
    identity = outcome(flows, "identity")
    assert identity["role"].startswith("arn:aws:iam::123456789012:role/service-role/")
    assert identity["bucket"] == "sagemaker-us-east-1-123456789012"


def test_trains_the_built_in_algorithm(flows):
    result = outcome(flows, "builtin_training")
    assert result["status"] == "Completed"
    assert result["metrics"]["validation:auc"] > 0.9
    assert "#011validation-auc:" in result["log"]


def test_deploys_the_trained_model(flows):
    result = outcome(flows, "builtin_endpoint")
    assert result["status"] == "InService"
    assert [round(score) for score in result["scores"]] == result["labels"]


def test_trains_by_a_script(flows):
    result = outcome(flows, "script_training")
    assert result["status"] == "Completed"
    assert result["metrics"]["validation:auc"] > 0.9
    log = result["log"]
    assert "Executing command: /miniconda3/bin/python3 train.py --strength 0.5 --kind l1" in log
    assert "Requirement already satisfied: scikit-learn" in log
    assert "kind is l1" in log


@pytest.mark.parametrize("flow", ["script_training", "script_processor", "framework_processor"])
def test_shows_nothing_of_this_machine_in_logs(flows, flow):
    log = outcome(flows, flow)["log"]
    for private in (sys.prefix, str(Path(__file__).parents[2]), "127.0.0.1", "local-aws-"):
        assert private not in log


def test_deploys_the_model_of_the_script(flows):
    result = outcome(flows, "script_endpoint")
    assert [round(score) for score in result["scores"]] == result["labels"]


def test_says_why_a_script_failed(flows):
    result = outcome(flows, "failing_script")
    assert result["error"] == "FailedStatusError"
    assert "AlgorithmError" in result["message"]
    assert "ValueError: no such column: fare" in result["message"]
    assert "exit code: 1" in result["message"]


def test_has_resource_classes(flows):
    result = outcome(flows, "resources")
    assert result["score"] > 0.5 and result["models"] == []


@pytest.mark.parametrize(
    ("flow", "keys"),
    [
        ("script_processor", ["script-output/train.csv"]),
        ("framework_processor", ["framework-output/note.txt", "framework-output/train.csv"]),
    ],
)
def test_processes(flows, flow, keys):
    result = outcome(flows, flow)
    assert result["keys"] == keys
    assert "kept 10 of 300 lines of /opt/ml/processing/input/data/train.csv" in result["log"]


def test_calls_nobody_else(flows):
    assert flows["lookups"] == []


def test_leaves_nothing_that_costs(flows):
    left = {name for name in flows["inventory"] if name.startswith("sagemaker")}
    assert left == set()


def test_asks_for_nothing_that_is_not_there(flows):
    refused = [
        (each["operation"], each["error"])
        for each in flows["journal"]
        if each["status"] >= 500 or each["error"] == "ValidationException"
    ]
    # The SDK learns from the refusal that an endpoint has been deleted.
    assert [each for each in refused if each[0] != "DescribeEndpoint"] == []
