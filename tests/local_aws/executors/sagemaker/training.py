"""Training jobs: data comes from S3, a container's program runs on it, the artifact goes to S3."""

from __future__ import annotations

import copy
import re
import tarfile
import threading
import time
from datetime import datetime
from typing import Any

from ... import account, containers, processes, storage
from ...containers import script_mode
from ...containers.opt_ml import OptMl, pack, unpack
from ...containers.script_mode import TrainingSettings
from ...containers.xgboost import metric_definitions
from ...gateway import AWSError, Call, handles
from ...jobs import Job
from ...logs import LogStream
from ...processes import Outcome
from ...storage import S3Location
from . import inputs, runner
from .common import TAGS, arn, only_here, page, require_role, set_tags, without_empty

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
_DAY = 86_400
_LONGEST_REASON = 1024
_MESSAGES = {
    "Starting": "Starting the training job",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "Failed": "Training job failed",
}
_ENDED = ("Completed", "Failed", "Stopped")
# Channels in which the SDK sends programs, not data.
_CODE_CHANNELS = ("code", "sm_drivers")

# (region, name) -> TrainingJob
JOBS = account.table()


@handles("sagemaker", "CreateTrainingJob")
def create(call: Call) -> dict[str, Any]:
    """Start a training job. Refuses what SageMaker refuses before it starts anything."""
    name = call.params["TrainingJobName"]
    resource = arn(call, "training-job", name)
    if (call.region, name) in JOBS:
        raise AWSError(
            "ResourceInUse",
            "Training job names must be unique within an AWS account and region, and a training "
            f"job with this name already exists ({resource})",
        )
    _check(call)
    training_job = TrainingJob(call, resource)
    set_tags(resource, call.params.get("Tags"))
    JOBS[call.region, name] = training_job
    training_job.start()
    return {"TrainingJobArn": resource}


@handles("sagemaker", "DescribeTrainingJob")
def describe(call: Call) -> dict[str, Any]:
    """The job as it stands."""
    return _get(call).describe()


@handles("sagemaker", "ListTrainingJobs")
def list_(call: Call) -> dict[str, Any]:
    """The jobs, newest first."""
    members = (
        "TrainingJobName",
        "TrainingJobArn",
        "CreationTime",
        "TrainingEndTime",
        "LastModifiedTime",
        "TrainingJobStatus",
        "SecondaryStatus",
    )
    summaries = []
    for (region, _), job in list(JOBS.items()):
        if region == call.region:
            described = job.describe()
            summaries.append({each: described[each] for each in members if each in described})
    return page(
        call, "TrainingJobSummaries", summaries, name="TrainingJobName", status="TrainingJobStatus"
    )


@handles("sagemaker", "StopTrainingJob")
def stop(call: Call) -> dict[str, Any]:
    """Ask a running job to end; what it has made so far is kept."""
    _get(call).stop()
    return {}


@handles("sagemaker", "DeleteTrainingJob")
def delete(call: Call) -> dict[str, Any]:
    """Forget a job that has ended."""
    job = _get(call)
    described = job.describe()
    if described["TrainingJobStatus"] not in _ENDED:
        raise AWSError(
            "ResourceInUse",
            "The request was rejected because the training job is in status "
            f"{described['TrainingJobStatus']}.",
        )
    del JOBS[call.region, described["TrainingJobName"]]
    TAGS.pop(described["TrainingJobArn"], None)
    return {}


def _get(call: Call) -> TrainingJob:
    job = JOBS.get((call.region, call.params["TrainingJobName"]))
    if job is None:
        raise AWSError("ValidationException", "Requested resource not found.")
    return job


def _check(call: Call) -> None:
    """Refuse what SageMaker finds wrong with a request on sight, and what cannot be done here."""
    params = call.params
    algorithm = params.get("AlgorithmSpecification")
    if params.get("ServerlessJobConfig"):
        raise only_here("serverless training jobs")
    if not algorithm or not params.get("ResourceConfig"):
        raise AWSError(
            "ValidationException",
            "AlgorithmSpecification, ResourceConfig and StoppingCondition are required.",
        )
    require_role(params["RoleArn"])
    if algorithm.get("AlgorithmName"):
        raise only_here("algorithms from the AWS Marketplace (AlgorithmName)")
    if not algorithm.get("TrainingImage"):
        raise AWSError("ValidationException", "Either TrainingImage or AlgorithmName is required.")
    resources = params["ResourceConfig"]
    if resources.get("InstanceGroups") or resources.get("InstanceCount", 1) > 1:
        raise only_here("training on more than one instance")
    for definition in algorithm.get("MetricDefinitions", []):
        _compiled(definition)
    stopping = params.get("StoppingCondition", {})
    if params.get("EnableManagedSpotTraining") and stopping.get(
        "MaxWaitTimeInSeconds", 0
    ) < stopping.get("MaxRuntimeInSeconds", _DAY):
        raise AWSError(
            "ValidationException",
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
            "MaxRuntimeInSeconds",
        )
    for channel in params.get("InputDataConfig", []):
        _check_channel(call, channel)


def _check_channel(call: Call, channel: dict[str, Any]) -> None:
    params = call.params
    mode = channel.get("InputMode") or params["AlgorithmSpecification"].get("TrainingInputMode")
    if mode == "Pipe":
        raise only_here("the training input mode Pipe; use File or FastFile")
    source = channel["DataSource"].get("S3DataSource")
    if source is None:
        raise only_here("training data from a file system (FileSystemDataSource)")
    if source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise only_here(f"training data of the type {source['S3DataType']}")
    if not inputs.exists(source["S3Uri"], params["TrainingJobName"]):
        message = inputs.objects_missing(source["S3Uri"], call.region, params["RoleArn"])
        raise AWSError("ValidationException", message)


def _compiled(definition: dict[str, str]) -> re.Pattern[str]:
    try:
        return re.compile(definition["Regex"])
    except re.error as error:
        raise AWSError(
            "ValidationException",
            f"The regular expression {definition['Regex']!r} of metric {definition['Name']} is "
            f"not valid: {error}",
        ) from error


class TrainingJob:
    """One training job, from the request to the artifact."""

    def __init__(self, call: Call, resource: str) -> None:
        params = call.params
        self.name, self.region, self.role = (
            params["TrainingJobName"],
            call.region,
            params["RoleArn"],
        )
        self._container = containers.resolve(params["AlgorithmSpecification"]["TrainingImage"])
        self._lock = threading.Lock()
        self._job = Job(self.name, self.region, status="InProgress", failed="Failed")
        now = self._job.created
        request = {key: value for key, value in params.items() if key != "Tags"}
        self._state: dict[str, Any] = without_empty(request) | {
            "TrainingJobArn": resource,
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
        self._state.setdefault("StoppingCondition", {}).setdefault("MaxRuntimeInSeconds", _DAY)
        self._state["AlgorithmSpecification"] = copy.deepcopy(params["AlgorithmSpecification"])
        self._settings = TrainingSettings(
            self.name,
            params["ResourceConfig"].get("InstanceType", "ml.m5.xlarge"),
            params.get("HyperParameters", {}),
            {
                channel["ChannelName"]: self._channel_configuration(channel)
                for channel in params.get("InputDataConfig", [])
            },
        )
        if self._is_algorithm:
            definitions = self._state["AlgorithmSpecification"].get("MetricDefinitions", [])
            self._state["AlgorithmSpecification"]["MetricDefinitions"] = [
                *definitions,
                *metric_definitions(),
            ]

    def start(self) -> None:
        """Start the work."""
        self._job.start(lambda _: self._run())

    def stop(self) -> None:
        """Ask the job to end. Raises ValidationException if it has ended already."""
        with self._lock:
            status = self._state["TrainingJobStatus"]
            if status in _ENDED:
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
            return without_empty(copy.deepcopy(self._state))

    @property
    def _is_algorithm(self) -> bool:
        """Whether a built-in algorithm runs, and no script of the user's."""
        has_script = self._specification.get("ContainerEntrypoint") or self._settings.program
        return self._container.has_algorithm and not has_script

    @property
    def _specification(self) -> dict[str, Any]:
        return self._state["AlgorithmSpecification"]

    @property
    def _output(self) -> S3Location:
        path = S3Location.parse(self._state["OutputDataConfig"]["S3OutputPath"])
        return path / self.name / "output"

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

    # ── the work ─────────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        try:
            with processes.temporary_directory(f"training-{self.name}") as folder:
                self._train(OptMl(folder))
        except AWSError as error:
            self._fail(f"{error.code}: {error.message}")
        except Exception as error:
            self._fail(f"InternalServerError: {type(error).__name__}: {error}")
            raise

    def _train(self, ml: OptMl) -> None:
        stream = LogStream(
            self.region, LOG_GROUP, f"{self.name}/algo-1-{int(time.time())}", self.name
        )
        log = runner.JobLog(ml, stream, escape=True)
        self._enter("Downloading", TrainingStartTime=account.now())
        self._download(ml)
        if not self._job.stop_requested.is_set():
            self._enter("Training")
            command, outcome = self._execute(ml, log)
            self._read_metrics(log.lines)
            ended_early = outcome.timed_out or self._job.stop_requested.is_set()
            if outcome.returncode and not ended_early:
                self._upload_output(ml)
                raise AWSError("AlgorithmError", self._reason(ml, command, outcome, log.lines))
            timed_out = outcome.timed_out
        else:
            timed_out = False
        if not self._job.stop_requested.is_set():
            self._enter("Uploading")
        self._upload_model(ml)
        self._upload_output(ml)
        if timed_out:
            self._end("Stopped", "MaxRuntimeExceeded")
        elif self._job.stop_requested.is_set():
            self._end("Stopped", "Stopped")
        else:
            self._end("Completed", "Completed")

    def _download(self, ml: OptMl) -> None:
        script_mode.write_configuration(ml, self._settings)
        for channel in self._state.get("InputDataConfig", []):
            source = channel["DataSource"]["S3DataSource"]
            folder = ml.path / "input" / "data" / channel["ChannelName"]
            count = inputs.download(source["S3DataType"], source["S3Uri"], folder, self.name)
            if count == 0:
                message = inputs.objects_missing(source["S3Uri"], self.region, self.role)
                raise AWSError("ClientError", f"Data download failed:{message}")
            if channel["ChannelName"] in _CODE_CHANNELS:
                ml.adopt_code(folder)
        checkpoints = self._state.get("CheckpointConfig")
        if checkpoints:
            folder = ml.locate(checkpoints.get("LocalPath", "/opt/ml/checkpoints"))
            inputs.download("S3Prefix", checkpoints["S3Uri"], folder, self.name)
        if self._settings.program is not None:
            self._fetch_script(ml)

    def _fetch_script(self, ml: OptMl) -> None:
        """Unpack what the toolkit's protocol names as the folder of the script."""
        uri = self._settings.submit_directory or ""
        code = ml.path / "code"
        if not uri.startswith("s3://"):
            folder = ml.locate(uri) if uri else ml.path / "input" / "data" / "code"
            if folder.is_dir() and folder != code:
                code.rmdir()
                code.symlink_to(folder, target_is_directory=True)
            return
        try:
            unpack(storage.read(S3Location.parse(uri), self.name), code)
        except (AWSError, tarfile.TarError) as error:
            raise AWSError(
                "ClientError", f"Data download failed:{uri} is not an archive: {error}"
            ) from error
        ml.adopt_code(code)

    def _execute(self, ml: OptMl, log: runner.JobLog) -> tuple[list[str], Outcome]:
        """Run the container's program. Returns the command as the log shows it, and its end."""
        given = {
            "TRAINING_JOB_NAME": self.name,
            "TRAINING_JOB_ARN": self._state["TrainingJobArn"],
        } | self._state.get("Environment", {})
        entrypoint = self._specification.get("ContainerEntrypoint")
        folder = ml.path / "code"
        if entrypoint:
            arguments = self._specification.get("ContainerArguments", [])
            command = [ml.inward(word) for word in (*entrypoint, *arguments)]
        elif self._settings.program is not None:
            command = self._prepare_script(ml, log)
            given = script_mode.toolkit_environment(ml, self._settings) | given
        elif self._container.has_algorithm:
            command = [*self._container.train_command(), str(ml.path)]
        else:
            raise AWSError(
                "ClientError",
                f"The image {self._container.image_uri} brings no program that the offline AWS "
                "knows; give a script (SourceCode), or use the XGBoost image.",
            )
        variables = runner.job_variables(
            ml, self.region, self.name, given, network=not self._state["EnableNetworkIsolation"]
        )
        started = self._state["TrainingStartTime"]
        limit = self._state["StoppingCondition"]["MaxRuntimeInSeconds"]
        outcome = runner.run(
            ml,
            command,
            folder=folder,
            variables=variables,
            log=log,
            timeout=limit - (account.now() - started).total_seconds(),
            stop=self._job.stop_requested,
        )
        return [ml.outward(word) for word in command], outcome

    def _prepare_script(self, ml: OptMl, log: runner.JobLog) -> list[str]:
        """The command of the toolkit's protocol, announced as the toolkit does."""
        command = script_mode.toolkit_command(ml, self._settings, runner.python())
        stamp = time.strftime("%Y-%m-%d %H:%M:%S,000", time.gmtime())
        prefix = f"{stamp} sagemaker-training-toolkit INFO    "
        if (ml.path / "code" / "requirements.txt").is_file():
            log.write(f"{prefix} Installing dependencies from requirements.txt")
            install = ["-m", "pip", "install", "-r", "requirements.txt"]
            outcome = runner.run(
                ml,
                [runner.python(), *install],
                folder=ml.path / "code",
                variables=runner.job_variables(ml, self.region, self.name, {}),
                log=log,
                timeout=self._state["StoppingCondition"]["MaxRuntimeInSeconds"],
                stop=self._job.stop_requested,
            )
            if outcome.returncode:
                message = script_mode.error_message(log.lines)
                raise AWSError(
                    "AlgorithmError",
                    f"InstallRequirementsError:\nExitCode {outcome.returncode}\n"
                    f'ErrorMessage "{message}", exit code: {outcome.returncode}',
                )
        log.write(f"{prefix} Invoking user script")
        log.write("Invoking script with the following command:")
        log.write(" ".join(command))
        return command

    def _reason(self, ml: OptMl, command: list[str], outcome: Outcome, lines: list[str]) -> str:
        """Why the program failed: what it wrote into `/opt/ml/output/failure`, and its status.

        A container that writes nothing gives no reason on AWS, and the drivers of the SDK write
        only that the script failed. So that a reader sees the cause, the script's exception is
        added, which on AWS stands in the log alone.
        """
        code = outcome.returncode
        written = ml.outward(script_mode.failure_file(ml))
        if self._settings.program is not None and not written:
            written = script_mode.script_error(command, code, lines)
        ending = f", exit code: {code}"
        message = "" if self._is_algorithm else script_mode.error_message(lines)
        if message and message not in written:
            ending = f'\nErrorMessage "{message[-400:]}"{ending}'
        room = _LONGEST_REASON - len("AlgorithmError: ") - len(ending)
        return written[:room] + ending

    def _read_metrics(self, lines: list[str]) -> None:
        """Take the last value of each metric from the log."""
        text = "\n".join(lines)
        metrics = []
        for definition in self._specification.get("MetricDefinitions", []):
            # Of the algorithm's 66 metrics a job reports a few; the others need no search.
            if self._is_algorithm and definition["Name"].replace(":", "-") not in text:
                continue
            pattern = _compiled(definition)
            found = next(
                (match for line in reversed(lines) if (match := pattern.search(line))), None
            )
            try:
                value = float(found[1]) if found and found.groups() else None
            except ValueError:
                value = None
            if value is not None:
                metrics.append(
                    {"MetricName": definition["Name"], "Value": value, "Timestamp": account.now()}
                )
        with self._lock:
            self._state["FinalMetricDataList"] = metrics

    def _upload_model(self, ml: OptMl) -> None:
        """Send the model and the checkpoints to S3. An empty model folder gives no artifact."""
        model = ml.path / "model"
        compressed = self._state["OutputDataConfig"].get("CompressionType", "GZIP") == "GZIP"
        target = self._output / ("model.tar.gz" if compressed else "model/")
        try:
            if any(model.iterdir()) and compressed:
                storage.write(target, pack(model), self.name)
            elif any(model.iterdir()):
                storage.upload(model, target, self.name)
            checkpoints = self._state.get("CheckpointConfig")
            if checkpoints:
                folder = ml.locate(checkpoints.get("LocalPath", "/opt/ml/checkpoints"))
                if folder.is_dir():
                    location = S3Location.parse(checkpoints["S3Uri"])
                    storage.upload(folder, location, self.name)
        except AWSError as error:
            raise AWSError(
                "ClientError", f"Artifact upload failed:{error.message} ({target})"
            ) from error
        with self._lock:
            self._state["ModelArtifacts"] = {"S3ModelArtifacts": str(target)}

    def _upload_output(self, ml: OptMl) -> None:
        """Send what else the program wrote into `/opt/ml/output/data` to S3."""
        data = ml.path / "output" / "data"
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
        with self._lock:
            self._step(secondary)
            now = self._state["LastModifiedTime"]
            self._state["SecondaryStatusTransitions"][-1]["EndTime"] = now
            started = self._state.get("TrainingStartTime")
            if started:
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
        if self._job.stop_requested.is_set():
            self._end("Stopped", "Stopped")
        else:
            self._end("Failed", "Failed", reason)


def _transition(status: str, time: datetime) -> dict[str, Any]:
    return {"Status": status, "StartTime": time, "StatusMessage": _MESSAGES[status]}
