"""Automatic model tuning: what a client may ask, and what is refused before anything starts."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from ... import account, containers
from ...containers.script_mode import TrainingSettings
from ...containers.xgboost_hyperparameters import MAXIMIZED
from ...gateway import AWSError, Call, handles
from .common import TAGS, arn, only_here, page, require_role, set_tags
from .tuning_job import ENDED, TuningJob
from .tuning_strategies import Range, read_ranges

# (region, name) -> TuningJob
JOBS = account.table()

_SUMMARY = (
    "HyperParameterTuningJobName",
    "HyperParameterTuningJobArn",
    "HyperParameterTuningJobStatus",
    "CreationTime",
    "HyperParameterTuningEndTime",
    "LastModifiedTime",
    "TrainingJobStatusCounters",
    "ObjectiveStatusCounters",
)


@handles("sagemaker", "CreateHyperParameterTuningJob")
def create(call: Call) -> dict[str, Any]:
    """Start a tuning job. Refuses what SageMaker refuses before it starts anything."""
    name = call.params["HyperParameterTuningJobName"]
    resource = arn(call, "hyper-parameter-tuning-job", name)
    if (call.region, name) in JOBS:
        raise AWSError(
            "ResourceInUse",
            "Hyperparameter tuning job names must be unique within an AWS account and region, and "
            f"a tuning job with this name already exists ({resource})",
        )
    ranges = _check(call)
    parents = _parents(call)
    job = TuningJob(call, resource, ranges, parents)
    set_tags(resource, call.params.get("Tags"))
    JOBS[call.region, name] = job
    job.start()
    return {"HyperParameterTuningJobArn": resource}


@handles("sagemaker", "DescribeHyperParameterTuningJob")
def describe(call: Call) -> dict[str, Any]:
    """The job as it stands."""
    return _get(call).describe()


@handles("sagemaker", "ListHyperParameterTuningJobs")
def list_(call: Call) -> dict[str, Any]:
    """The jobs, by default sorted by name."""
    summaries = []
    for (region, _), job in list(JOBS.items()):
        if region == call.region:
            described = job.describe()
            configuration = described["HyperParameterTuningJobConfig"]
            summaries.append(
                {each: described[each] for each in _SUMMARY if each in described}
                | {each: configuration[each] for each in ("Strategy", "ResourceLimits")}
            )
    return page(
        call,
        "HyperParameterTuningJobSummaries",
        summaries,
        name="HyperParameterTuningJobName",
        status="HyperParameterTuningJobStatus",
        usual_sort="Name",
        usual_order="Ascending",
    )


@handles("sagemaker", "ListTrainingJobsForHyperParameterTuningJob")
def list_training_jobs(call: Call) -> dict[str, Any]:
    """The training jobs of a tuning job."""
    summaries = _get(call).summaries()
    if call.params.get("SortBy") != "FinalObjectiveMetricValue":
        return page(
            call,
            "TrainingJobSummaries",
            summaries,
            name="TrainingJobName",
            status="TrainingJobStatus",
            usual_sort="Name",
            usual_order="Ascending",
        )
    metric = "FinalHyperParameterTuningJobObjectiveMetric"
    for summary in summaries:
        summary["_value"] = summary.get(metric, {}).get("Value", -math.inf)
    answer = page(
        dataclasses.replace(call, params=call.params | {"SortBy": "_value"}),
        "TrainingJobSummaries",
        summaries,
        name="TrainingJobName",
        status="TrainingJobStatus",
        usual_order="Ascending",
    )
    for summary in answer["TrainingJobSummaries"]:
        del summary["_value"]
    return answer


@handles("sagemaker", "StopHyperParameterTuningJob")
def stop(call: Call) -> dict[str, Any]:
    """Ask a running job and its training jobs to end."""
    _get(call).stop()
    return {}


@handles("sagemaker", "DeleteHyperParameterTuningJob")
def delete(call: Call) -> dict[str, Any]:
    """Forget a job that has ended; its training jobs stay."""
    job = JOBS.get((call.region, call.params["HyperParameterTuningJobName"]))
    if job is None:
        return {}
    described = job.describe()
    status = described["HyperParameterTuningJobStatus"]
    if status not in ENDED:
        raise AWSError(
            "ValidationException",
            f"The request was rejected because the tuning job is in status {status}.",
        )
    del JOBS[call.region, described["HyperParameterTuningJobName"]]
    TAGS.pop(described["HyperParameterTuningJobArn"], None)
    return {}


def _get(call: Call) -> TuningJob:
    name = call.params["HyperParameterTuningJobName"]
    job = JOBS.get((call.region, name))
    if job is None:
        raise AWSError(
            "ResourceNotFound",
            f"Amazon SageMaker can't find a tuning job with the name {name}. Ensure that the "
            "name is correct.",
        )
    return job


# ── what is refused ──────────────────────────────────────────────────────────────────────────────


def _check(call: Call) -> list[Range]:
    """Refuse what SageMaker finds wrong on sight, and what cannot be done here. The ranges."""
    params = call.params
    if params.get("TrainingJobDefinitions"):
        raise only_here("tuning of several training job definitions")
    if params.get("Autotune"):
        raise only_here("Autotune")
    definition = params.get("TrainingJobDefinition")
    if not definition:
        raise _invalid("Either TrainingJobDefinition or TrainingJobDefinitions is required.")
    require_role(definition["RoleArn"])
    configuration = params["HyperParameterTuningJobConfig"]
    objective = configuration.get("HyperParameterTuningJobObjective")
    if not objective:
        raise _invalid("HyperParameterTuningJobObjective is required.")
    ranges = read_ranges(configuration.get("ParameterRanges", {}))
    _check_names(definition, ranges)
    _check_objective(definition, objective)
    _check_strategy(configuration, ranges)
    criteria = configuration.get("TuningJobCompletionCriteria", {})
    if criteria.get("ConvergenceDetected", {}).get("CompleteOnConvergence") == "Enabled":
        raise only_here("the completion criterion ConvergenceDetected")
    return ranges


def _check_names(definition: dict[str, Any], ranges: list[Range]) -> None:
    both = {each.name for each in ranges} & set(definition.get("StaticHyperParameters", {}))
    if both:
        raise _invalid(
            f"The hyperparameter(s) {sorted(both)} are both static and tuned; give each a range or "
            "a value."
        )


def _check_objective(definition: dict[str, Any], objective: dict[str, str]) -> None:
    """The objective must be a metric that the training jobs report."""
    specification, metric = definition["AlgorithmSpecification"], objective["MetricName"]
    if not specification.get("TrainingImage"):
        raise only_here("algorithms from the AWS Marketplace (AlgorithmName)")
    container = containers.resolve(specification["TrainingImage"])
    settings = TrainingSettings("", "", definition.get("StaticHyperParameters", {}))
    given = [each["Name"] for each in specification.get("MetricDefinitions", [])]
    if metric in given:
        return
    if not container.has_algorithm or settings.program:
        raise _invalid(
            f"The objective metric [{metric}] for the hyperparameter tuning job isn't among the "
            f"metric definitions {given}. Provide a definition of it in MetricDefinitions."
        )
    image = specification["TrainingImage"]
    known = [each["Name"] for each in container.metric_definitions()]
    if metric not in known:
        raise _invalid(
            f"The objective metric for the hyperparameter tuning job, [{metric}], isn't valid for "
            f"the [{image}] algorithm. Choose a valid objective metric."
        )
    if container.framework == "xgboost":
        wanted = "Maximize" if metric.partition(":")[2] in MAXIMIZED else "Minimize"
        if objective["Type"] != wanted:
            raise _invalid(
                f"The objective metric type, [{objective['Type']}], that you specified for "
                f"objective metric, [{metric}], isn't valid for the [{image}] algorithm. Choose a "
                "valid objective metric type."
            )


def _check_strategy(configuration: dict[str, Any], ranges: list[Range]) -> None:
    strategy, limits = configuration["Strategy"], configuration["ResourceLimits"]
    most = limits.get("MaxNumberOfTrainingJobs")
    if strategy == "Grid":
        if any(each.kind != "Categorical" for each in ranges):
            raise _invalid("The strategy Grid takes only CategoricalParameterRanges.")
        size = math.prod(len(each.values) for each in ranges)
        if most is not None and most != size:
            raise _invalid(
                f"MaxNumberOfTrainingJobs {most} is not the size of the grid, {size}; leave it out."
            )
    elif most is None:
        raise _invalid(f"MaxNumberOfTrainingJobs is required for the strategy {strategy}.")
    early = configuration.get("TrainingJobEarlyStoppingType", "Off")
    if strategy == "Hyperband":
        if early == "Auto":
            raise _invalid(
                "TrainingJobEarlyStoppingType must be Off for the strategy Hyperband, which ends "
                "training jobs early by a rule of its own."
            )
        band = configuration.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
        least, largest = band.get("MinResource", 1), band.get("MaxResource")
        if largest is not None and least >= largest:
            raise _invalid(f"MinResource {least} must be less than MaxResource {largest}.")
    elif configuration.get("StrategyConfig"):
        raise _invalid(f"StrategyConfig is for the strategy Hyperband, not for {strategy}.")


def _parents(call: Call) -> list[TuningJob]:
    """The tuning jobs that a warm start learns from."""
    warm = call.params.get("WarmStartConfig")
    if not warm:
        return []
    found = []
    for parent in warm["ParentHyperParameterTuningJobs"]:
        name = parent.get("HyperParameterTuningJobName", "")
        job = JOBS.get((call.region, name))
        if job is None:
            raise _invalid(f"The parent hyperparameter tuning job {name} does not exist.")
        if job.describe()["HyperParameterTuningJobStatus"] not in ENDED:
            raise _invalid(
                f"The parent hyperparameter tuning job {name} has not ended; wait until it has."
            )
        if warm["WarmStartType"] == "IdenticalDataAndAlgorithm":
            _check_identical(call.params, job, name)
        found.append(job)
    return found


def _check_identical(params: dict[str, Any], parent: TuningJob, name: str) -> None:
    """Data and algorithm must be the parent's; only ranges and limits may change."""
    old, new = parent.describe()["TrainingJobDefinition"], params["TrainingJobDefinition"]
    for member in ("AlgorithmSpecification", "InputDataConfig"):
        if old.get(member) != new.get(member):
            raise _invalid(
                f"{member} differs from the one of the parent hyperparameter tuning job {name}. "
                "With IdenticalDataAndAlgorithm it must be the same; use TransferLearning."
            )


def _invalid(message: str) -> AWSError:
    return AWSError("ValidationException", message)
