"""Training on several instances, through pipes, with checkpoints, on spot instances, in warm pools.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/ model-managed-spot-training.html,
model-checkpoints.html, train-warm-pools.html, your-algorithms-training-algo-running-container.html
"""

from __future__ import annotations

import json
import struct
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from .sagemaker_help import BUCKET, ROLE, SKLEARN, SageMaker, channel, unpacked, wait_for

GROUP = "/aws/sagemaker/TrainingJobs"
SPOT = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900},
}

# Reports where it runs and what it was given.
REPORT = """
import json, os, pathlib
config = json.loads(pathlib.Path("/opt/ml/input/config/resourceconfig.json").read_text())
data = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"])
host = config["current_host"]
report = {"hosts": config["hosts"], "rank": config["hosts"].index(host),
          "files": sorted(path.name for path in data.iterdir())}
out = pathlib.Path(os.environ["SM_MODEL_DIR"], f"report-{report['rank']}.json")
out.write_text(json.dumps(report))
pathlib.Path(os.environ["SM_MODEL_DIR"], "common.txt").write_text(str(report["rank"]))
print("rank", report["rank"], "is done")
"""

# Counts to six, remembers how far it came, and says where it began.
COUNT = """
import os, pathlib, time
kept = pathlib.Path("/opt/ml/checkpoints/count.txt")
start = int(kept.read_text()) if kept.exists() else 0
print(f"resumed from {start}" if start else "begins anew", flush=True)
for number in range(start + 1, 7):
    part = kept.with_suffix(".part")
    part.write_text(str(number))
    part.replace(kept)
    print(f"count={number};", flush=True)
    time.sleep(PAUSE)
pathlib.Path("/opt/ml/model/count.txt").write_text(kept.read_text())
"""


@pytest.fixture
def sagemaker(aws):
    return SageMaker(aws)


def scripted(sagemaker, script, **request):
    """Hyperparameters and request of a job that runs a script by the toolkit's protocol."""
    uri = sagemaker.put_code({"train.py": script})
    sagemaker.put("data/train/part-0", "x")
    hyperparameters = {"sagemaker_program": "train.py", "sagemaker_submit_directory": uri}
    specification = {"TrainingImage": SKLEARN, "TrainingInputMode": "File"}
    usual = {"AlgorithmSpecification": specification, "InputDataConfig": [channel("train")]}
    return hyperparameters, usual | request


def resources(**members):
    return {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5} | members


def checkpointed(sagemaker, pause, **request):
    kept = {"S3Uri": f"s3://{BUCKET}/checkpoints/"}
    script = COUNT.replace("PAUSE", str(pause))
    return scripted(sagemaker, script, CheckpointConfig=kept, **request)


class TestSeveralInstances:
    def test_each_knows_the_others_and_sees_all_data(self, sagemaker):
        for number in range(4):
            sagemaker.put(f"data/train/part-{number}", "x")
        hyperparameters, request = scripted(
            sagemaker, REPORT, ResourceConfig=resources(InstanceCount=2),
            InputDataConfig=[channel("train")],
        )  # fmt: skip
        job = sagemaker.train("two", hyperparameters, **request)
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        files = unpacked(sagemaker.read(job["ModelArtifacts"]["S3ModelArtifacts"]))
        first, second = (json.loads(files[f"report-{rank}.json"]) for rank in (0, 1))
        assert first["hosts"] == second["hosts"] and len(set(first["hosts"])) == 2
        assert (first["rank"], second["rank"]) == (0, 1)
        assert first["files"] == second["files"] == [f"part-{number}" for number in range(4)]
        # Where both wrote the same file, the first instance's is kept.
        assert files["common.txt"] == b"0"

    def test_each_has_a_log_of_its_own(self, sagemaker):
        hyperparameters, request = scripted(
            sagemaker, REPORT, ResourceConfig=resources(InstanceCount=2),
            InputDataConfig=[channel("train")],
        )  # fmt: skip
        sagemaker.train("logs", hyperparameters, **request)
        for rank in (0, 1):
            assert f"rank {rank} is done" in sagemaker.log(GROUP, f"logs/algo-{rank + 1}-")

    def test_sharded_data_is_divided(self, sagemaker):
        for number in range(5):
            sagemaker.put(f"data/train/part-{number}", "x")
        data = channel("train")
        data["DataSource"]["S3DataSource"]["S3DataDistributionType"] = "ShardedByS3Key"
        hyperparameters, request = scripted(
            sagemaker, REPORT, ResourceConfig=resources(InstanceCount=2), InputDataConfig=[data]
        )
        job = sagemaker.train("sharded", hyperparameters, **request)
        files = unpacked(sagemaker.read(job["ModelArtifacts"]["S3ModelArtifacts"]))
        shards = [json.loads(files[f"report-{rank}.json"])["files"] for rank in (0, 1)]
        assert sorted(sum(shards, [])) == [f"part-{number}" for number in range(5)]
        assert all(shards)

    def test_one_that_fails_ends_all(self, sagemaker):
        script = """
import json, time
config = json.load(open("/opt/ml/input/config/resourceconfig.json"))
if config["current_host"] == config["hosts"][1]:
    raise RuntimeError("the second one gives up")
time.sleep(60)
"""
        hyperparameters, request = scripted(
            sagemaker, script, ResourceConfig=resources(InstanceCount=2)
        )
        job = sagemaker.train("fails", hyperparameters, **request)
        assert job["TrainingJobStatus"] == "Failed"
        assert "RuntimeError: the second one gives up" in job["FailureReason"]
        assert job["TrainingTimeInSeconds"] < 50


class TestPipe:
    PASSES = """
import pathlib
passes = []
for number in range(2):
    with open(f"/opt/ml/input/data/train_{number}", "rb") as pipe:
        passes.append(pipe.read())
assert passes[0] == passes[1]
assert not pathlib.Path("/opt/ml/input/data/train").exists()
pathlib.Path("/opt/ml/model/read").write_bytes(passes[0])
"""

    def run(self, sagemaker, **members):
        sagemaker.put("data/piped/a", b"first;")
        sagemaker.put("data/piped/b", b"second;" * 50_000)
        data = channel("train", f"s3://{BUCKET}/data/piped/") | {"InputMode": "Pipe"} | members
        hyperparameters, request = scripted(sagemaker, self.PASSES, InputDataConfig=[data])
        job = sagemaker.train("pipes", hyperparameters, **request)
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        return unpacked(sagemaker.read(job["ModelArtifacts"]["S3ModelArtifacts"]))["read"]

    def test_brings_the_objects_one_after_the_other_for_each_pass(self, sagemaker):
        assert self.run(sagemaker) == b"first;" + b"second;" * 50_000

    def test_wraps_objects_into_records(self, sagemaker):
        content = self.run(sagemaker, RecordWrapperType="RecordIO")
        magic, length = struct.unpack("<II", content[:8])
        assert (magic, length) == (0xCED7230A, 6)
        assert content[8:16] == b"first;\0\0"

    def test_a_pipe_that_nobody_reads_does_not_hold_the_job(self, sagemaker):
        data = channel("train") | {"InputMode": "Pipe"}
        hyperparameters, request = scripted(sagemaker, "print('no')", InputDataConfig=[data])
        job = sagemaker.train("unread", hyperparameters, **request)
        assert job["TrainingJobStatus"] == "Completed"

    def test_fast_file_looks_like_files(self, sagemaker):
        data = channel("train") | {"InputMode": "FastFile"}
        hyperparameters, request = scripted(sagemaker, REPORT, InputDataConfig=[data])
        job = sagemaker.train("fast", hyperparameters, **request)
        files = unpacked(sagemaker.read(job["ModelArtifacts"]["S3ModelArtifacts"]))
        assert json.loads(files["report-0.json"])["files"] == ["part-0"]


class TestCheckpoints:
    def test_reach_s3_while_the_job_runs_and_serve_the_next_job(self, sagemaker):
        hyperparameters, request = checkpointed(sagemaker, 0.5)
        sagemaker.start_training("first", hyperparameters, **request)
        wait_for(lambda: sagemaker.keys("checkpoints/"), lambda keys: bool(keys))
        sagemaker.client.stop_training_job(TrainingJobName="first")
        assert sagemaker.training("first")["TrainingJobStatus"] == "Stopped"
        reached = int(sagemaker.read(f"s3://{BUCKET}/checkpoints/count.txt"))
        assert 1 <= reached < 6
        hyperparameters, request = checkpointed(sagemaker, 0)
        assert sagemaker.train("second", hyperparameters, **request)["TrainingJobStatus"] == (
            "Completed"
        )
        assert f"resumed from {reached}" in sagemaker.log(GROUP, "second/")

    def test_are_kept_when_the_script_fails(self, sagemaker):
        script = """
import pathlib
pathlib.Path("/opt/ml/checkpoints/last").write_text("here")
raise ValueError("lost")
"""
        kept = {"S3Uri": f"s3://{BUCKET}/checkpoints/"}
        hyperparameters, request = scripted(sagemaker, script, CheckpointConfig=kept)
        assert sagemaker.train("fails", hyperparameters, **request)["TrainingJobStatus"] == "Failed"
        assert sagemaker.keys("checkpoints/") == ["checkpoints/last"]


class TestTensorBoard:
    def test_files_go_to_the_jobs_own_place(self, sagemaker):
        script = """
import pathlib
folder = pathlib.Path("/opt/ml/output/tensorboard/run")
folder.mkdir(parents=True)
(folder / "events.out.tfevents.1").write_bytes(b"events")
"""
        kept = {"S3OutputPath": f"s3://{BUCKET}/board"}
        hyperparameters, request = scripted(sagemaker, script, TensorBoardOutputConfig=kept)
        job = sagemaker.train("drawn", hyperparameters, **request)
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        key = "board/drawn/tensorboard-output/run/events.out.tfevents.1"
        assert sagemaker.keys("board/") == [key]
        assert sagemaker.read(f"s3://{BUCKET}/{key}") == b"events"


class TestWithoutAModel:
    def test_completes_and_leaves_nothing_to_deploy(self, sagemaker):
        hyperparameters, request = scripted(sagemaker, "print('forgot to save')")
        job = sagemaker.train("forgetful", hyperparameters, **request)
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        artifact = job["ModelArtifacts"]["S3ModelArtifacts"]
        assert artifact.endswith("forgetful/output/model.tar.gz")
        with pytest.raises(ClientError, match=f"Could not find model data at {artifact}"):
            sagemaker.client.create_model(
                ModelName="m",
                PrimaryContainer={"Image": SKLEARN, "ModelDataUrl": artifact},
                ExecutionRoleArn=ROLE,
            )


class TestManagedSpot:
    def test_is_interrupted_once_and_goes_on_from_its_checkpoint(self, sagemaker):
        hyperparameters, request = checkpointed(sagemaker, 0.5, **SPOT)
        job = sagemaker.train("spot", hyperparameters, **request)
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        run = ["Starting", "Downloading", "Training"]
        statuses = [each["Status"] for each in job["SecondaryStatusTransitions"]]
        assert statuses == [*run, "Interrupted", *run, "Uploading", "Completed"]
        log = sagemaker.log(GROUP, "spot/")
        assert log.count("begins anew") == 1
        assert sum(line.startswith("resumed from") for line in log) == 1
        files = unpacked(sagemaker.read(job["ModelArtifacts"]["S3ModelArtifacts"]))
        assert files["count.txt"] == b"6"

    def test_without_checkpoints_is_left_alone(self, sagemaker):
        hyperparameters, request = scripted(sagemaker, "print('done')", **SPOT)
        job = sagemaker.train("left", hyperparameters, **request)
        assert "Interrupted" not in [each["Status"] for each in job["SecondaryStatusTransitions"]]

    def test_needs_a_longest_wait(self, sagemaker):
        hyperparameters, request = scripted(
            sagemaker, "print('done')", EnableManagedSpotTraining=True
        )
        with pytest.raises(ClientError, match="MaxWaitTimeInSeconds"):
            sagemaker.start_training("none", hyperparameters, **request)


class TestWarmPools:
    def quick(self, sagemaker, name, **members):
        hyperparameters, request = scripted(
            sagemaker, "print('done')", ResourceConfig=resources(**members)
        )
        return sagemaker.train(name, hyperparameters, **request)

    def pool(self, sagemaker, name):
        return sagemaker.client.describe_training_job(TrainingJobName=name).get("WarmPoolStatus")

    def test_waits_and_moves_to_a_matching_job(self, sagemaker):
        job = self.quick(sagemaker, "one", KeepAlivePeriodInSeconds=600)
        assert job["WarmPoolStatus"]["Status"] == "Available"
        self.quick(sagemaker, "two", KeepAlivePeriodInSeconds=600)
        first = self.pool(sagemaker, "one")
        assert (first["Status"], first["ReusedByJob"]) == ("Reused", "two")
        assert self.pool(sagemaker, "two")["Status"] == "Available"
        listed = sagemaker.client.list_training_jobs(WarmPoolStatusEquals="Available")
        assert [each["TrainingJobName"] for each in listed["TrainingJobSummaries"]] == ["two"]

    def test_does_not_move_to_another_kind_of_job(self, sagemaker):
        self.quick(sagemaker, "one", KeepAlivePeriodInSeconds=600)
        self.quick(sagemaker, "two", InstanceType="ml.m5.xlarge")
        assert self.pool(sagemaker, "one")["Status"] == "Available"
        assert self.pool(sagemaker, "two") is None

    def test_ends_when_told_to(self, sagemaker):
        self.quick(sagemaker, "one", KeepAlivePeriodInSeconds=600)
        keep = {"KeepAlivePeriodInSeconds": 0}
        sagemaker.client.update_training_job(TrainingJobName="one", ResourceConfig=keep)
        assert self.pool(sagemaker, "one")["Status"] == "Terminated"
        with pytest.raises(ClientError, match="Available"):
            sagemaker.client.update_training_job(TrainingJobName="one", ResourceConfig=keep)


def test_metrics_reach_cloudwatch_as_a_series(sagemaker, aws):
    script = "for value in (3, 2, 1): print(f'loss={value};')"
    hyperparameters, request = scripted(sagemaker, script)
    request["AlgorithmSpecification"]["MetricDefinitions"] = [
        {"Name": "train:loss", "Regex": "loss=([0-9.]+);"},
        {"Name": "never", "Regex": "accuracy=([0-9.]+);"},
    ]
    job = sagemaker.train("series", hyperparameters, **request)
    assert [(each["MetricName"], each["Value"]) for each in job["FinalMetricDataList"]] == [
        ("train:loss", 1)
    ]
    now = datetime.now(UTC)
    found = aws.client("cloudwatch").get_metric_statistics(
        Namespace="/aws/sagemaker/TrainingJobs",
        MetricName="train:loss",
        Dimensions=[{"Name": "TrainingJobName", "Value": "series"}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=3600,
        Statistics=["SampleCount", "Minimum", "Maximum"],
    )["Datapoints"]
    assert sum(each["SampleCount"] for each in found) == 3
    assert min(each["Minimum"] for each in found) == 1
    assert max(each["Maximum"] for each in found) == 3
