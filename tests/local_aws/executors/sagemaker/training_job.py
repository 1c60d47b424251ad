"""One training job: its states, its instances side by side, what it leaves in S3."""

from __future__ import annotations

import copy
import shutil
import threading
from concurrent import futures
from datetime import datetime
from pathlib import Path
from typing import Any

from ... import account, containers, processes, storage
from ...containers.opt_ml import pack
from ...containers.script_mode import TrainingSettings
from ...gateway import AWSError, Call
from ...jobs import Job
from ...processes import Outcome
from ...storage import S3Location
from . import warm_pools
from .common import without_empty
from .training_instance import Instance
from .training_metrics import MetricReader

DAY = 86_400
ENDED = ("Completed", "Failed", "Stopped")
_LONGEST_REASON = 1024
_POLL_SECONDS = 0.2
_MESSAGES = {
    "Starting": "Starting the training job",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Interrupted": "Training job interrupted",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "Failed": "Training job failed",
}


class TrainingJob:
    """A training job, from the request to the artifact.

    Attributes:
        name, region: whose it is.
        metrics: what its log says of the training, as it goes.
    """

    def __init__(self, call: Call, resource: str, tuning_job: str | None = None) -> None:
        """`resource` is its ARN; `tuning_job` that of the tuning job to which it belongs."""
        params = call.params
        self.name, self.region = params["TrainingJobName"], call.region
        self._lock = threading.Lock()
        self._job = Job(self.name, self.region, status="InProgress", failed="Failed")
        now = self._job.created
        request = {key: value for key, value in params.items() if key != "Tags"}
        self._state: dict[str, Any] = without_empty(request) | {
            "TrainingJobArn": resource,
            "TuningJobArn": tuning_job,
            "TrainingJobStatus": "InProgress",
            "SecondaryStatus": "Starting",
            "CreationTime": now,
            "LastModifiedTime": now,
            "SecondaryStatusTransitions": [_transition("Starting", now)],
            "EnableNetworkIsolation": params.get("EnableNetworkIsolation", False),
            "EnableManagedSpotTraining": params.get("EnableManagedSpotTraining", False),
            "EnableInterContainerTrafficEncryption": params.get(
                "EnableInterContainerTrafficEncryption", False
            ),
            "ProfilingStatus": "Disabled",
        }
        self._state.setdefault("StoppingCondition", {}).setdefault("MaxRuntimeInSeconds", DAY)
        specification = copy.deepcopy(params["AlgorithmSpecification"])
        self._state["AlgorithmSpecification"] = specification
        container = containers.resolve(specification["TrainingImage"])
        if container.has_algorithm and not self._has_script(params):
            given = specification.get("MetricDefinitions", [])
            specification["MetricDefinitions"] = [*given, *container.metric_definitions()]
        definitions = specification.get("MetricDefinitions", [])
        self.metrics = MetricReader(self.name, self.region, definitions)
        warm_pools.open_pool(self.region, self.name, self._state)

    def start(self) -> None:
        """Start the work."""
        self._job.start(lambda _: self._run())

    def stop(self) -> None:
        """Ask the job to end. Raises ValidationException if it has ended already."""
        with self._lock:
            status = self._state["TrainingJobStatus"]
            if status in ENDED:
                raise AWSError(
                    "ValidationException",
                    f"The request was rejected because the training job is in status {status}.",
                )
            self._step("Stopping")
            self._state["TrainingJobStatus"] = "Stopping"
        self._job.stop()

    def describe(self) -> dict[str, Any]:
        """What DescribeTrainingJob says."""
        with self._lock:
            answer = copy.deepcopy(self._state)
        answer["WarmPoolStatus"] = warm_pools.describe(self.region, self.name)
        return without_empty(answer)

    @staticmethod
    def _has_script(params: dict[str, Any]) -> bool:
        specification = params["AlgorithmSpecification"]
        settings = TrainingSettings("", "", params.get("HyperParameters", {}))
        return bool(specification.get("ContainerEntrypoint") or settings.program)

    @property
    def _stopping(self) -> bool:
        return self._job.stop_requested.is_set()

    @property
    def _output(self) -> S3Location:
        path = S3Location.parse(self._state["OutputDataConfig"]["S3OutputPath"])
        return path / self.name / "output"

    # ── the work ─────────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        try:
            with processes.temporary_directory(f"training-{self.name}") as folder:
                self._train(folder)
        except AWSError as error:
            self._fail(f"{error.code}: {error.message}")
        except Exception as error:
            self._fail(f"InternalServerError: {type(error).__name__}: {error}")
            raise

    def _train(self, folder: Path) -> None:
        self._enter("Downloading", TrainingStartTime=account.now())
        # A managed spot job that keeps checkpoints loses its instances once, as soon as the first
        # checkpoint is safe: what happens on AWS now and then must happen here to be seen at all.
        spot = self._state["EnableManagedSpotTraining"] and "CheckpointConfig" in self._state
        attempt = self._attempt(folder / "1", interrupted_once=bool(spot))
        if attempt.interrupted:
            self._enter("Interrupted")
            self._enter("Starting")
            self._enter("Downloading")
            attempt = self._attempt(folder / "2")
        if not self._stopping:
            self._enter("Uploading")
        self._upload_model(attempt.instances, folder)
        self._upload_output(attempt.instances, folder)
        if attempt.timed_out:
            self._end("Stopped", "MaxRuntimeExceeded")
        elif self._stopping:
            self._end("Stopped", "Stopped")
        else:
            self._end("Completed", "Completed")

    def _attempt(self, folder: Path, *, interrupted_once: bool = False) -> _Attempt:
        """Run the program on all instances at once.

        Raises:
            AWSError: AlgorithmError if the program fails on one of them.
        """
        count = self._state["ResourceConfig"].get("InstanceCount", 1)
        instances = [
            Instance(
                folder / f"algo-{rank + 1}",
                self._state,
                self._settings(count, rank),
                self.region,
                self.metrics,
            )
            for rank in range(count)
        ]
        attempt = _Attempt(instances)
        for instance in instances:
            instance.download()
        if self._stopping:
            return attempt
        self._enter("Training")
        try:
            outcomes = self._run_all(attempt, interrupted_once)
        finally:
            with self._lock:
                self._state["FinalMetricDataList"] = self.metrics.final()
        attempt.timed_out = any(outcome.timed_out for outcome in outcomes)
        if attempt.timed_out or attempt.interrupted or self._stopping:
            return attempt
        for instance, outcome in zip(instances, outcomes, strict=True):
            if outcome.returncode and not outcome.stopped:
                self._upload_output(instances, folder)
                # The algorithms of AWS end with 2 for a fault of the request.
                is_fault = instance.is_algorithm and outcome.returncode == 2
                code = "ClientError" if is_fault else "AlgorithmError"
                raise AWSError(code, instance.failure(outcome))
        return attempt

    def _run_all(self, attempt: _Attempt, interrupted_once: bool) -> list[Outcome]:
        """Watch over the instances until all have ended; one that fails ends the others."""
        halt = threading.Event()
        limit = self._state["StoppingCondition"]["MaxRuntimeInSeconds"]
        seconds = limit - (account.now() - self._state["TrainingStartTime"]).total_seconds()
        with futures.ThreadPoolExecutor(len(attempt.instances)) as pool:
            running = [pool.submit(each.run, seconds, halt) for each in attempt.instances]
            while futures.wait(running, _POLL_SECONDS, futures.FIRST_EXCEPTION).not_done:
                attempt.send_files()
                if interrupted_once and attempt.checkpoints_sent:
                    attempt.interrupted = True
                failed = any(each.done() and _went_wrong(each) for each in running)
                if failed or attempt.interrupted or self._stopping:
                    halt.set()
        attempt.send_files(settled=False)
        return [each.result() for each in running]

    def _settings(self, count: int, rank: int) -> TrainingSettings:
        return TrainingSettings(
            self.name,
            self._state["ResourceConfig"].get("InstanceType", "ml.m5.xlarge"),
            self._state.get("HyperParameters", {}),
            {
                channel["ChannelName"]: self._channel_configuration(channel)
                for channel in self._state.get("InputDataConfig", [])
            },
            instances=count,
            rank=rank,
        )

    def _channel_configuration(self, channel: dict[str, Any]) -> dict[str, str]:
        specified = self._state["AlgorithmSpecification"]
        source = channel["DataSource"]["S3DataSource"]
        configuration = {
            "TrainingInputMode": channel.get("InputMode") or specified["TrainingInputMode"],
            "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        }
        if channel.get("ContentType"):
            configuration["ContentType"] = channel["ContentType"]
        return configuration

    # ── what it leaves ───────────────────────────────────────────────────────────────────────────

    def _upload_model(self, instances: list[Instance], folder: Path) -> None:
        """Send the model to S3. An empty model folder gives no artifact."""
        model = _merged(instances, "model", folder)
        compressed = self._state["OutputDataConfig"].get("CompressionType", "GZIP") == "GZIP"
        target = self._output / ("model.tar.gz" if compressed else "model/")
        try:
            if any(model.iterdir()) and compressed:
                storage.write(target, pack(model), self.name)
            elif any(model.iterdir()):
                storage.upload(model, target, self.name)
        except AWSError as error:
            raise AWSError(
                "ClientError", f"Artifact upload failed:{error.message} ({target})"
            ) from error
        with self._lock:
            self._state["ModelArtifacts"] = {"S3ModelArtifacts": str(target)}

    def _upload_output(self, instances: list[Instance], folder: Path) -> None:
        """Send what else the program wrote into `/opt/ml/output/data` to S3."""
        data = _merged(instances, "output/data", folder)
        if data.is_dir() and any(data.iterdir()):
            storage.write(self._output / "output.tar.gz", pack(data), self.name)

    # ── the states ───────────────────────────────────────────────────────────────────────────────

    def _enter(self, secondary: str, **members: Any) -> None:
        """Go on to the next secondary status, unless the job is being stopped."""
        with self._lock:
            if self._state["TrainingJobStatus"] == "InProgress":
                self._step(secondary)
            self._state.update(members)

    def _step(self, secondary: str) -> None:
        now = account.now()
        transitions = self._state["SecondaryStatusTransitions"]
        transitions[-1]["EndTime"] = now
        transitions.append(_transition(secondary, now))
        self._state["SecondaryStatus"] = secondary
        self._state["LastModifiedTime"] = now

    def _end(self, status: str, secondary: str, reason: str | None = None) -> None:
        if status == "Completed":
            warm_pools.keep(self.region, self.name)
        else:
            warm_pools.drop(self.region, self.name)
        with self._lock:
            self._step(secondary)
            now = self._state["LastModifiedTime"]
            self._state["SecondaryStatusTransitions"][-1]["EndTime"] = now
            started = self._state.get("TrainingStartTime")
            if started:
                # There is no market for spot instances here, hence no discount.
                seconds = max(1, round((now - started).total_seconds()))
                self._state["TrainingEndTime"] = now
                self._state["TrainingTimeInSeconds"] = seconds
                self._state["BillableTimeInSeconds"] = seconds
            if reason:
                self._state["FailureReason"] = reason[:_LONGEST_REASON]
                self._state["SecondaryStatusTransitions"][-1]["StatusMessage"] = reason[
                    :_LONGEST_REASON
                ]
            self._state["TrainingJobStatus"] = status

    def _fail(self, reason: str) -> None:
        if self._stopping:
            self._end("Stopped", "Stopped")
        else:
            self._end("Failed", "Failed", reason)


class _Attempt:
    """The instances of a job from their start to their end, or to their interruption."""

    def __init__(self, instances: list[Instance]) -> None:
        self.instances = instances
        self.interrupted = self.timed_out = False

    @property
    def checkpoints_sent(self) -> int:
        """How many files have gone to S3."""
        return sum(each.checkpoints.saved for each in self.instances if each.checkpoints)

    def send_files(self, *, settled: bool = True) -> None:
        """Copy what the instances have newly written."""
        for instance in self.instances:
            for folder in instance.mirrored:
                folder.send(settled=settled)


def _went_wrong(run: futures.Future[Outcome]) -> bool:
    return run.exception() is not None or run.result().returncode != 0


def _merged(instances: list[Instance], path: str, folder: Path) -> Path:
    """What all instances have written; where two wrote the same file, the first instance's."""
    if len(instances) == 1:
        return instances[0].ml.path / path
    merged = folder / "merged" / path
    for instance in reversed(instances):
        shutil.copytree(instance.ml.path / path, merged, dirs_exist_ok=True)
    return merged


def _transition(status: str, time: datetime) -> dict[str, Any]:
    return {"Status": status, "StartTime": time, "StatusMessage": _MESSAGES[status]}
