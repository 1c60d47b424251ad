"""Training jobs: what a client may ask, and what is refused before anything starts."""

from __future__ import annotations

from typing import Any

from ... import account
from ...gateway import AWSError, Call, handles
from . import inputs, warm_pools
from .common import TAGS, arn, only_here, page, require_role, set_tags
from .training_job import DAY, ENDED, TrainingJob
from .training_metrics import compiled

# Each is a process of this machine.
_MOST_INSTANCES = 8

# (region, name) -> TrainingJob
JOBS = account.table()


@handles("sagemaker", "CreateTrainingJob")
def create(call: Call) -> dict[str, Any]:
    """Start a training job. Refuses what SageMaker refuses before it starts anything."""
    launch(call)
    return {"TrainingJobArn": arn(call, "training-job", call.params["TrainingJobName"])}


def launch(call: Call, tuning_job: str | None = None) -> TrainingJob:
    """Start a training job for a client, or for the tuning job with this ARN.

    Raises:
        AWSError: what SageMaker refuses before it starts anything.
    """
    name = call.params["TrainingJobName"]
    resource = arn(call, "training-job", name)
    if (call.region, name) in JOBS:
        raise AWSError(
            "ResourceInUse",
            "Training job names must be unique within an AWS account and region, and a training "
            f"job with this name already exists ({resource})",
        )
    _check(call)
    training_job = TrainingJob(call, resource, tuning_job)
    set_tags(resource, call.params.get("Tags"))
    JOBS[call.region, name] = training_job
    training_job.start()
    return training_job


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
        "WarmPoolStatus",
    )
    wanted = call.params.get("WarmPoolStatusEquals")
    summaries = []
    for (region, _), job in list(JOBS.items()):
        if region == call.region:
            described = job.describe()
            if wanted and described.get("WarmPoolStatus", {}).get("Status") != wanted:
                continue
            summaries.append({each: described[each] for each in members if each in described})
    return page(
        call, "TrainingJobSummaries", summaries, name="TrainingJobName", status="TrainingJobStatus"
    )


@handles("sagemaker", "UpdateTrainingJob")
def update(call: Call) -> dict[str, Any]:
    """Keep the instances of a job that has ended for a longer or a shorter time."""
    job = _get(call)
    beside = set(call.params) - {"TrainingJobName", "ResourceConfig"}
    if beside:
        raise only_here(f"the update of {', '.join(sorted(beside))} of a training job")
    seconds = call.params.get("ResourceConfig", {}).get("KeepAlivePeriodInSeconds")
    if seconds is not None:
        warm_pools.update(call.region, call.params["TrainingJobName"], int(seconds))
    return {"TrainingJobArn": job.describe()["TrainingJobArn"]}


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
    if described["TrainingJobStatus"] not in ENDED:
        raise AWSError(
            "ResourceInUse",
            "The request was rejected because the training job is in status "
            f"{described['TrainingJobStatus']}.",
        )
    del JOBS[call.region, described["TrainingJobName"]]
    warm_pools.drop(call.region, described["TrainingJobName"])
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
    if resources.get("InstanceGroups"):
        raise only_here("training on instances of several types (InstanceGroups)")
    if resources.get("InstanceCount", 1) > _MOST_INSTANCES:
        raise only_here(f"training on more than {_MOST_INSTANCES} instances")
    for definition in algorithm.get("MetricDefinitions", []):
        compiled(definition)
    stopping = params.get("StoppingCondition", {})
    if params.get("EnableManagedSpotTraining") and stopping.get(
        "MaxWaitTimeInSeconds", 0
    ) < stopping.get("MaxRuntimeInSeconds", DAY):
        raise AWSError(
            "ValidationException",
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
            "MaxRuntimeInSeconds",
        )
    for channel in params.get("InputDataConfig", []):
        _check_channel(call, channel)


def _check_channel(call: Call, channel: dict[str, Any]) -> None:
    params = call.params
    source = channel["DataSource"].get("S3DataSource")
    if source is None:
        raise only_here("training data from a file system (FileSystemDataSource)")
    if source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise only_here(f"training data of the type {source['S3DataType']}")
    if not inputs.exists(source["S3Uri"], params["TrainingJobName"]):
        message = inputs.objects_missing(source["S3Uri"], call.region, params["RoleArn"])
        raise AWSError("ValidationException", message)
