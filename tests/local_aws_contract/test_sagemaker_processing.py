"""Processing jobs as a client sees them: inputs, a program, outputs, ends."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from .sagemaker_help import BUCKET, SKLEARN, SageMaker, archive, s3_input, s3_outputs

GROUP = "/aws/sagemaker/ProcessingJobs"
IN, OUT = "/opt/ml/processing/input/data", "/opt/ml/processing/output"
COPY = f"""
import json, os, sys
from pathlib import Path
for path in sorted(Path("{IN}").rglob("*.txt")):
    text = path.read_text()
    Path("{OUT}", path.name).write_text(text.upper())
    print("read", path, "with", os.environ.get("GREETING"), sys.argv[1:])
print(json.load(open("/opt/ml/config/resourceconfig.json"))["hosts"])
"""


@pytest.fixture
def sagemaker(aws):
    return SageMaker(aws)


def test_brings_inputs_and_takes_outputs(sagemaker):
    uri = sagemaker.put("texts/a.txt", "one").removesuffix("a.txt")
    sagemaker.put("texts/deep/b.txt", "two")
    job = sagemaker.process(
        "copies",
        COPY,
        ProcessingInputs=[s3_input("data", uri, IN)],
        ProcessingOutputConfig=s3_outputs(OUT, "copied"),
        Environment={"GREETING": "hello"},
        AppSpecification={
            "ImageUri": SKLEARN,
            "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/script.py"],
            "ContainerArguments": ["--from", IN],
        },
    )
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    assert sagemaker.keys("copied") == ["copied/a.txt", "copied/b.txt"]
    assert sagemaker.read(f"s3://{BUCKET}/copied/b.txt") == b"TWO"
    assert sagemaker.log(GROUP, "copies/algo-1-") == [
        f"read {IN}/a.txt with hello ['--from', '{IN}']",
        f"read {IN}/deep/b.txt with hello ['--from', '{IN}']",
        "['algo-1']",
    ]


def test_describes_what_was_asked_for(sagemaker):
    job = sagemaker.process("described", "print('done')", Environment={"A": "b"})
    assert job["ProcessingResources"]["ClusterConfig"]["InstanceType"] == "ml.m5.large"
    assert job["AppSpecification"]["ImageUri"] == SKLEARN
    assert job["Environment"] == {"A": "b"}
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}
    times = ("CreationTime", "ProcessingStartTime", "ProcessingEndTime")
    assert sorted(times, key=lambda name: job[name]) == list(times)
    assert "NetworkConfig" not in job and "FailureReason" not in job


@pytest.mark.parametrize(
    ("script", "reason", "code"),
    [
        ("raise ValueError('no column fare')", "ValueError: no column fare", 1),
        ("import sys; print('giving up'); sys.exit(9)", "giving up", 9),
    ],
)
def test_says_why_a_script_failed(sagemaker, script, reason, code):
    outputs = s3_outputs(OUT, "partial")
    write = f"open('{OUT}/x', 'w').write('x')\n"
    job = sagemaker.process("fails", write + script, ProcessingOutputConfig=outputs)
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: See job logs for more information")
    assert reason in job["FailureReason"]
    assert job["FailureReason"].endswith(f"exit code: {code}")
    assert sagemaker.keys("partial") == []


def test_keeps_continuous_outputs_of_a_job_that_fails(sagemaker):
    outputs = s3_outputs(OUT, "partial", "Continuous")
    script = f"open('{OUT}/x', 'w').write('x')\nraise SystemExit(1)"
    sagemaker.process("continuous", script, ProcessingOutputConfig=outputs)
    assert sagemaker.keys("partial") == ["partial/x"]


def test_hands_on_the_exit_message(sagemaker):
    script = "open('/opt/ml/output/message', 'w').write('3 of 5 rows kept')"
    assert sagemaker.process("message", script)["ExitMessage"] == "3 of 5 rows kept"


def test_stops_when_asked_to(sagemaker):
    sagemaker.start_processing("long", "import time; print('up'); time.sleep(60)")
    sagemaker.log_has(GROUP, "long/", "up")
    assert sagemaker.processing("long", ("InProgress",))
    sagemaker.client.stop_processing_job(ProcessingJobName="long")
    job = sagemaker.processing("long")
    assert job["ProcessingJobStatus"] == "Stopped" and "FailureReason" not in job
    with pytest.raises(ClientError, match="is in status Stopped"):
        sagemaker.client.stop_processing_job(ProcessingJobName="long")
    sagemaker.client.delete_processing_job(ProcessingJobName="long")
    assert sagemaker.client.list_processing_jobs()["ProcessingJobSummaries"] == []


def test_stops_at_its_time_limit(sagemaker):
    condition = {"MaxRuntimeInSeconds": 1}
    script = "import time; time.sleep(60)"
    job = sagemaker.process("limited", script, StoppingCondition=condition)
    assert job["ProcessingJobStatus"] == "Stopped"


def test_rewrites_paths_in_archives_of_code(sagemaker):
    inner = f"open('{OUT}/x', 'w').write(open('{IN}/a.txt').read())"
    uri = sagemaker.put("bundle/sourcedir.tar.gz", archive({"inner.py": inner.encode()}))
    data = sagemaker.put("texts/a.txt", "one")
    script = (
        "import os, tarfile, runpy\n"
        "os.chdir('/opt/ml/processing/input/aux')\n"
        "tarfile.open('sourcedir.tar.gz').extractall(filter='data')\n"
        "runpy.run_path('inner.py')\n"
    )
    job = sagemaker.process(
        "bundle",
        script,
        ProcessingInputs=[
            s3_input("aux", uri, "/opt/ml/processing/input/aux"),
            s3_input("data", data, IN),
        ],
        ProcessingOutputConfig=s3_outputs(OUT, "bundled"),
    )
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    assert sagemaker.read(f"s3://{BUCKET}/bundled/x") == b"one"


def test_says_which_input_is_missing(sagemaker):
    missing = f"s3://{BUCKET}/nothing/"
    job = sagemaker.process("missing", COPY, ProcessingInputs=[s3_input("data", missing, IN)])
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Failed to download data.")
    assert missing in job["FailureReason"]


def test_does_not_leave_the_container(sagemaker):
    data = sagemaker.put("texts/a.txt", "one")
    inputs = [s3_input("data", data, "/opt/ml/../../../../etc")]
    job = sagemaker.process("leaves", COPY, ProcessingInputs=inputs)
    assert "is not a path inside the container" in job["FailureReason"]


def test_names_a_program_that_is_not_there(sagemaker):
    application = {"ImageUri": SKLEARN, "ContainerEntrypoint": ["no-such-program"]}
    job = sagemaker.process("program", COPY, AppSpecification=application)
    assert "no-such-program" in job["FailureReason"]
    application = {"ImageUri": SKLEARN}
    job = sagemaker.process("no-program", COPY, AppSpecification=application)
    assert "ContainerEntrypoint" in job["FailureReason"]


def test_refuses_a_name_twice_and_does_not_know_others(sagemaker):
    sagemaker.process("twice", "print()")
    with pytest.raises(ClientError) as refused:
        sagemaker.start_processing("twice", "print()")
    assert refused.value.response["Error"]["Code"] == "ResourceInUse"
    with pytest.raises(ClientError, match="Could not find requested job with name: other"):
        sagemaker.client.describe_processing_job(ProcessingJobName="other")


def test_reads_s3_in_its_own_name(sagemaker):
    uri = sagemaker.put("texts/a.txt", "one")
    sagemaker.process(
        "reads",
        COPY,
        ProcessingInputs=[s3_input("data", uri, IN)],
        ProcessingOutputConfig=s3_outputs(OUT, "copied"),
    )
    calls = {
        (each["operation"], each["params"].get("Key"))
        for each in sagemaker.aws.journal()
        if each["caller"] == "reads"
    }
    assert {("GetObject", "texts/a.txt"), ("PutObject", "copied/a.txt")} <= calls


def test_lists_by_status(sagemaker):
    sagemaker.process("good", "print()")
    sagemaker.process("bad", "raise SystemExit(1)")
    failed = sagemaker.client.list_processing_jobs(StatusEquals="Failed")["ProcessingJobSummaries"]
    assert [(job["ProcessingJobName"], job["ProcessingJobStatus"]) for job in failed] == [
        ("bad", "Failed")
    ]
    listed = sagemaker.client.list_processing_jobs(MaxResults=1)
    assert [job["ProcessingJobName"] for job in listed["ProcessingJobSummaries"]] == ["bad"]
    more = sagemaker.client.list_processing_jobs(MaxResults=1, NextToken=listed["NextToken"])
    assert [job["ProcessingJobName"] for job in more["ProcessingJobSummaries"]] == ["good"]
