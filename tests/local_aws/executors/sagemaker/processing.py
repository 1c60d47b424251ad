"""Processing jobs: inputs come from S3, a program runs on them, its outputs go to S3."""

from __future__ import annotations

import copy
import json
import threading
import time
from typing import Any

from ... import account, containers, processes, storage
from ...containers import script_mode
from ...containers.opt_ml import OptMl
from ...gateway import AWSError, Call, handles
from ...jobs import Job
from ...logs import LogStream
from ...storage import S3Location
from . import inputs, runner
from .common import TAGS, arn, only_here, page, require_role, set_tags, without_empty

LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
_DAY = 86_400
_LONGEST_REASON = 1024
_ENDED = ("Completed", "Failed", "Stopped")
# Inputs by which the SDK sends programs.
_CODE_INPUTS = ("code", "entrypoint", "aux")

# (region, name) -> ProcessingJob
JOBS = account.table()


@handles("sagemaker", "CreateProcessingJob")
def create(call: Call) -> dict[str, Any]:
    """Start a processing job."""
    name = call.params["ProcessingJobName"]
    resource = arn(call, "processing-job", name)
    if (call.region, name) in JOBS:
        raise AWSError(
            "ResourceInUse",
            "Processing job names must be unique within an AWS account and region, and a "
            f"processing job with this name already exists ({resource})",
        )
    _check(call)
    job = ProcessingJob(call, resource)
    set_tags(resource, call.params.get("Tags"))
    JOBS[call.region, name] = job
    job.start()
    return {"ProcessingJobArn": resource}


@handles("sagemaker", "DescribeProcessingJob")
def describe(call: Call) -> dict[str, Any]:
    """The job as it stands."""
    return _get(call).describe()


@handles("sagemaker", "ListProcessingJobs")
def list_(call: Call) -> dict[str, Any]:
    """The jobs, newest first."""
    members = (
        "ProcessingJobName",
        "ProcessingJobArn",
        "CreationTime",
        "ProcessingEndTime",
        "LastModifiedTime",
        "ProcessingJobStatus",
        "FailureReason",
        "ExitMessage",
    )
    summaries = []
    for (region, _), job in list(JOBS.items()):
        if region == call.region:
            described = job.describe()
            summaries.append({each: described[each] for each in members if each in described})
    return page(
        call,
        "ProcessingJobSummaries",
        summaries,
        name="ProcessingJobName",
        status="ProcessingJobStatus",
    )


@handles("sagemaker", "StopProcessingJob")
def stop(call: Call) -> dict[str, Any]:
    """Ask a running job to end."""
    _get(call).stop()
    return {}


@handles("sagemaker", "DeleteProcessingJob")
def delete(call: Call) -> dict[str, Any]:
    """Forget a job that has ended."""
    described = _get(call).describe()
    if described["ProcessingJobStatus"] not in _ENDED:
        raise AWSError(
            "ResourceInUse",
            "The request was rejected because the processing job is in status "
            f"{described['ProcessingJobStatus']}.",
        )
    del JOBS[call.region, described["ProcessingJobName"]]
    TAGS.pop(described["ProcessingJobArn"], None)
    return {}


def _get(call: Call) -> ProcessingJob:
    name = call.params["ProcessingJobName"]
    job = JOBS.get((call.region, name))
    if job is None:
        raise AWSError("ValidationException", f"Could not find requested job with name: {name}")
    return job


def _check(call: Call) -> None:
    """Refuse what SageMaker finds wrong with a request on sight, and what cannot be done here."""
    params = call.params
    require_role(params["RoleArn"])
    cluster = params["ProcessingResources"]["ClusterConfig"]
    if cluster["InstanceCount"] > 1:
        raise only_here("processing on more than one instance")
    names = [each["InputName"] for each in params.get("ProcessingInputs", [])]
    outputs = params.get("ProcessingOutputConfig", {}).get("Outputs", [])
    for kind, given in (("Input", names), ("Output", [each["OutputName"] for each in outputs])):
        twice = sorted({name for name in given if given.count(name) > 1})
        if twice:
            raise AWSError(
                "ValidationException", f"{kind} names must be unique within a job: {twice}."
            )
    for each in params.get("ProcessingInputs", []):
        if "S3Input" not in each:
            raise only_here("processing inputs other than S3Input")
        if not each["S3Input"].get("LocalPath"):
            message = f"The input {each['InputName']} needs a LocalPath."
            raise AWSError("ValidationException", message)
        if each["S3Input"].get("S3InputMode", "File") == "Pipe":
            raise only_here("the processing input mode Pipe; use File")
    for each in outputs:
        if "S3Output" not in each:
            raise only_here("processing outputs other than S3Output")


class ProcessingJob:
    """One processing job, from its inputs to its outputs."""

    def __init__(self, call: Call, resource: str) -> None:
        params = call.params
        self.name = params["ProcessingJobName"]
        self.region, self.role = call.region, params["RoleArn"]
        self._lock = threading.Lock()
        self._job = Job(self.name, self.region, status="InProgress", failed="Failed")
        request = {key: value for key, value in params.items() if key != "Tags"}
        self._state: dict[str, Any] = without_empty(request) | {
            "ProcessingJobArn": resource,
            "ProcessingJobStatus": "InProgress",
            "CreationTime": self._job.created,
            "LastModifiedTime": self._job.created,
        }
        self._state.setdefault("StoppingCondition", {}).setdefault("MaxRuntimeInSeconds", _DAY)

    def start(self) -> None:
        """Start the work."""
        self._job.start(lambda _: self._run())

    def stop(self) -> None:
        """Ask the job to end. Raises ValidationException if it has ended already."""
        with self._lock:
            status = self._state["ProcessingJobStatus"]
            if status in _ENDED:
                raise AWSError(
                    "ValidationException",
                    f"The request was rejected because the processing job is in status {status}.",
                )
            self._state |= {
                "ProcessingJobStatus": "Stopping",
                "LastModifiedTime": account.now(),
            }
        self._job.stop()

    def describe(self) -> dict[str, Any]:
        """What DescribeProcessingJob says."""
        with self._lock:
            return copy.deepcopy(self._state)

    @property
    def _outputs(self) -> list[dict[str, Any]]:
        outputs = self._state.get("ProcessingOutputConfig", {}).get("Outputs", [])
        return [each["S3Output"] for each in outputs]

    # ── the work ─────────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        try:
            with processes.temporary_directory(f"processing-{self.name}") as folder:
                self._process(OptMl(folder))
        except AWSError as error:
            self._end("Failed", f"{error.code}: {error.message}")
        except Exception as error:
            self._end("Failed", f"InternalServerError: {type(error).__name__}: {error}")
            raise

    def _process(self, ml: OptMl) -> None:
        stream = LogStream(
            self.region, LOG_GROUP, f"{self.name}/algo-1-{int(time.time())}", self.name
        )
        log = runner.JobLog(ml, stream)
        with self._lock:
            self._state["ProcessingStartTime"] = account.now()
        self._prepare(ml)
        outcome = runner.run(
            ml,
            self._command(ml),
            folder=ml.root,
            variables=self._variables(ml),
            log=log,
            timeout=self._seconds_left(),
            stop=self._job.stop_requested,
        )
        message = ml.path / "output" / "message"
        exit_message = message.read_text(errors="replace") if message.is_file() else None
        stopped = outcome.timed_out or self._job.stop_requested.is_set()
        if outcome.returncode == 0 or stopped:
            self._upload(ml, only_continuous=False)
            self._end("Stopped" if stopped else "Completed", exit_message=exit_message)
            return
        self._upload(ml, only_continuous=True)
        # SageMaker points to the log; the program's last words are added, so that a reader need
        # not look there.
        said = script_mode.error_message(log.lines)[-600:]
        reason = (
            "AlgorithmError: See job logs for more information"
            f'\nErrorMessage "{said}", exit code: {outcome.returncode}'
        )
        self._end("Failed", reason, exit_message)

    def _prepare(self, ml: OptMl) -> None:
        """Bring the inputs, and make the folders that the program expects."""
        for each in self._state.get("ProcessingInputs", []):
            source = each["S3Input"]
            folder = self._folder(ml, source["LocalPath"])
            count = inputs.download(source["S3DataType"], source["S3Uri"], folder, self.name)
            if count == 0:
                message = inputs.objects_missing(source["S3Uri"], self.region, self.role)
                raise AWSError("ClientError", f"Failed to download data. {message}")
            if each["InputName"] in _CODE_INPUTS:
                ml.adopt_code(folder)
        for output in self._outputs:
            self._folder(ml, output["LocalPath"]).mkdir(parents=True, exist_ok=True)
        configuration = ml.path / "config"
        configuration.mkdir(exist_ok=True)
        (ml.path / "output").mkdir(exist_ok=True)
        cluster = self._state["ProcessingResources"]["ClusterConfig"]
        resources = {
            "current_host": script_mode.HOST,
            "hosts": [script_mode.HOST],
            "current_instance_type": cluster["InstanceType"],
        }
        (configuration / "resourceconfig.json").write_text(json.dumps(resources))
        described = json.dumps(self.describe(), default=str)
        (configuration / "processingjobconfig.json").write_text(ml.inward(described))

    def _folder(self, ml: OptMl, path: str) -> Any:
        try:
            return ml.locate(path)
        except ValueError as error:
            raise AWSError("ClientError", str(error)) from error

    def _command(self, ml: OptMl) -> list[str]:
        application = self._state["AppSpecification"]
        entrypoint = application.get("ContainerEntrypoint")
        if not entrypoint:
            image = containers.resolve(application["ImageUri"])
            raise AWSError(
                "ClientError",
                f"The image {image.image_uri} brings no program for processing that the offline "
                "AWS knows; name one in ContainerEntrypoint, or use a ScriptProcessor.",
            )
        words = (*entrypoint, *application.get("ContainerArguments", []))
        return [ml.inward(word) for word in words]

    def _variables(self, ml: OptMl) -> dict[str, str]:
        given = {
            "PROCESSING_JOB_NAME": self.name,
            "PROCESSING_JOB_ARN": self._state["ProcessingJobArn"],
        } | self._state.get("Environment", {})
        isolated = self._state.get("NetworkConfig", {}).get("EnableNetworkIsolation", False)
        return runner.job_variables(ml, self.region, self.name, given, network=not isolated)

    def _seconds_left(self) -> float:
        limit = self._state["StoppingCondition"]["MaxRuntimeInSeconds"]
        spent = account.now() - self._state["ProcessingStartTime"]
        return limit - spent.total_seconds()

    def _upload(self, ml: OptMl, *, only_continuous: bool) -> None:
        """Send the outputs to S3. Those of the mode Continuous are there whatever has happened."""
        for output in self._outputs:
            if only_continuous and output["S3UploadMode"] != "Continuous":
                continue
            target = S3Location.parse(output["S3Uri"])
            try:
                storage.upload(self._folder(ml, output["LocalPath"]), target, self.name)
            except AWSError as error:
                raise AWSError(
                    "ClientError", f"Failed to upload output to {target}: {error.message}"
                ) from error

    def _end(self, status: str, reason: str | None = None, exit_message: str | None = None) -> None:
        if status == "Failed" and self._job.stop_requested.is_set():
            status, reason = "Stopped", None
        with self._lock:
            now = account.now()
            self._state |= {"ProcessingEndTime": now, "LastModifiedTime": now}
            if reason:
                self._state["FailureReason"] = reason[:_LONGEST_REASON]
            if exit_message:
                self._state["ExitMessage"] = exit_message[:_LONGEST_REASON]
            self._state["ProcessingJobStatus"] = status
