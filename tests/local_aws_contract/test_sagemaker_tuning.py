"""Automatic model tuning as a client sees it: strategies, limits, early ends, warm starts.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/ automatic-model-tuning.html and the pages
below it, https://docs.aws.amazon.com/sagemaker/latest/APIReference/ for the operations
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .sagemaker_help import BUCKET, ROLE, SKLEARN, XGBOOST, SageMaker, channel, wait_for

# The objective is best at place = 0.3; one value for each epoch, better with each.
SCRIPT = """
import argparse, time
parser = argparse.ArgumentParser()
parser.add_argument("--place", type=float, default=0.0)
parser.add_argument("--kind", default="a")
parser.add_argument("--epochs", type=int, default=1)
parser.add_argument("--pause", type=float, default=0.0)
given = parser.parse_args()
for epoch in range(1, given.epochs + 1):
    score = 1 - (given.place - 0.3) ** 2 - 0.5 / (epoch + 1) + (0.01 if given.kind == "b" else 0)
    print(f"score={score:.6f};", flush=True)
    time.sleep(given.pause)
"""
UNUSED = f"s3://{BUCKET}/data/unused/"
SCORE = [{"Name": "score", "Regex": "score=([-0-9.]+);"}]


class Tuning:
    """Short ways to tune a script with one number, its place."""

    def __init__(self, sagemaker: SageMaker) -> None:
        self.sagemaker, self.client = sagemaker, sagemaker.client
        self.sagemaker.put("data/unused/part-0", "x")

    def definition(self, script: str = SCRIPT, **static: str) -> dict[str, Any]:
        uri = self.sagemaker.put_code({"train.py": script})
        static |= {"sagemaker_program": "train.py", "sagemaker_submit_directory": uri}
        return {
            "AlgorithmSpecification": {
                "TrainingImage": SKLEARN,
                "TrainingInputMode": "File",
                "MetricDefinitions": SCORE,
            },
            "StaticHyperParameters": static,
            "RoleArn": ROLE,
            "InputDataConfig": [channel("train", UNUSED)],
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/output"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 5,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        }

    def configuration(self, strategy: str, jobs: int | None, parallel: int = 2, **members: Any):
        limits = {"MaxParallelTrainingJobs": parallel}
        if jobs is not None:
            limits["MaxNumberOfTrainingJobs"] = jobs
        usual = {
            "Strategy": strategy,
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "score"},
            "ResourceLimits": limits,
            "ParameterRanges": {"ContinuousParameterRanges": [continuous("place", 0, 1)]},
            "RandomSeed": 7,
        }
        return usual | members

    def start(self, name: str, configuration: Any, definition: Any = None, **request: Any) -> None:
        self.client.create_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name,
            HyperParameterTuningJobConfig=configuration,
            TrainingJobDefinition=definition or self.definition(),
            **request,
        )

    def run(self, name: str, *arguments: Any, **request: Any) -> dict[str, Any]:
        """Tune to the end; the description."""
        self.start(name, *arguments, **request)
        return self.ended(name)

    def ended(self, name: str) -> dict[str, Any]:
        return wait_for(
            lambda: self.client.describe_hyper_parameter_tuning_job(
                HyperParameterTuningJobName=name
            ),
            lambda job: job["HyperParameterTuningJobStatus"] in ("Completed", "Failed", "Stopped"),
        )

    def jobs(self, name: str, **request: Any) -> list[dict[str, Any]]:
        listed = self.client.list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name, MaxResults=100, **request
        )
        return listed["TrainingJobSummaries"]


@pytest.fixture
def tuning(aws):
    return Tuning(SageMaker(aws))


def continuous(name, low, high, **members):
    return {"Name": name, "MinValue": str(low), "MaxValue": str(high)} | members


def values(jobs, name="place"):
    return [float(job["TunedHyperParameters"][name]) for job in jobs]


def objective(job):
    return job["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]


class TestRandom:
    def test_tries_what_it_may_and_names_the_best(self, tuning):
        job = tuning.run("random", tuning.configuration("Random", 5))
        assert job["HyperParameterTuningJobStatus"] == "Completed", tuning.jobs("random")
        assert job["TrainingJobStatusCounters"]["Completed"] == 5
        assert job["ObjectiveStatusCounters"] == {"Succeeded": 5, "Pending": 0, "Failed": 0}
        jobs = tuning.jobs("random")
        assert all(0 <= value <= 1 for value in values(jobs))
        for each in jobs:
            x = float(each["TunedHyperParameters"]["place"])
            assert math.isclose(objective(each), 0.75 - (x - 0.3) ** 2, abs_tol=1e-5)
        best = max(jobs, key=objective)
        assert job["BestTrainingJob"]["TrainingJobName"] == best["TrainingJobName"]
        assert objective(job["BestTrainingJob"]) == objective(best)

    def test_training_jobs_are_ordinary_ones(self, tuning):
        tuning.run("plain", tuning.configuration("Random", 1), Tags=[{"Key": "a", "Value": "b"}])
        (summary,) = tuning.jobs("plain")
        name = summary["TrainingJobName"]
        assert name.startswith("plain-001-") and len(name) == len("plain-001-") + 8
        job = tuning.client.describe_training_job(TrainingJobName=name)
        assert job["TuningJobArn"].endswith(":hyper-parameter-tuning-job/plain")
        assert job["HyperParameters"]["_tuning_objective_metric"] == "score"
        assert job["HyperParameters"]["place"] == summary["TunedHyperParameters"]["place"]
        tags = tuning.client.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
        assert tags == [{"Key": "a", "Value": "b"}]

    def test_a_seed_repeats_the_proposals(self, tuning):
        for name, seed in (("one", 3), ("same", 3), ("other", 4)):
            tuning.run(name, tuning.configuration("Random", 3, RandomSeed=seed))
        assert values(tuning.jobs("one")) == values(tuning.jobs("same"))
        assert values(tuning.jobs("one")) != values(tuning.jobs("other"))

    def test_all_kinds_of_ranges_and_scales(self, tuning):
        ranges = {
            "IntegerParameterRanges": [continuous("epochs", 1, 3)],
            "ContinuousParameterRanges": [
                continuous("place", 0.0001, 1, ScalingType="Logarithmic"),
                continuous("pause", 0.9, 0.999, ScalingType="ReverseLogarithmic"),
            ],
            "CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b"]}],
        }
        script = SCRIPT.replace("time.sleep(given.pause)", "assert 0.9 <= given.pause <= 0.999")
        job = tuning.run(
            "kinds",
            tuning.configuration("Random", 6, ParameterRanges=ranges),
            tuning.definition(script),
        )
        assert job["TrainingJobStatusCounters"]["Completed"] == 6, job
        jobs = tuning.jobs("kinds")
        assert {job["TunedHyperParameters"]["kind"] for job in jobs} <= {"a", "b"}
        assert {job["TunedHyperParameters"]["epochs"] for job in jobs} <= {"1", "2", "3"}
        assert min(values(jobs)) < 0.05, "a logarithmic scale reaches small values"


class TestBayesian:
    def test_searches_where_it_was_good(self, tuning):
        tuning.run("bayes", tuning.configuration("Bayesian", 14))
        tried = values(tuning.jobs("bayes", SortBy="CreationTime", SortOrder="Ascending"))
        early = sum(abs(value - 0.3) for value in tried[:4]) / 4
        late = sum(abs(value - 0.3) for value in tried[-4:]) / 4
        assert late < early

    def test_is_repeatable_in_parallel(self, tuning):
        for name in ("one", "two"):
            tuning.run(name, tuning.configuration("Bayesian", 7, parallel=3))
        assert values(tuning.jobs("one")) == values(tuning.jobs("two"))


class TestGrid:
    RANGES = {
        "CategoricalParameterRanges": [
            {"Name": "place", "Values": ["0.1", "0.3"]},
            {"Name": "kind", "Values": ["a", "b"]},
        ]
    }

    def test_tries_every_combination(self, tuning):
        configuration = tuning.configuration("Grid", None, ParameterRanges=self.RANGES)
        job = tuning.run("grid", configuration)
        tried = {
            tuple(sorted(each["TunedHyperParameters"].items())) for each in tuning.jobs("grid")
        }
        assert len(tried) == job["TrainingJobStatusCounters"]["Completed"] == 4
        assert job["BestTrainingJob"]["TunedHyperParameters"] == {"place": "0.3", "kind": "b"}

    def test_takes_categories_only(self, tuning):
        with pytest.raises(ClientError, match="only CategoricalParameterRanges"):
            tuning.start("grid", tuning.configuration("Grid", None))


class TestHyperband:
    def test_ends_the_worse_jobs_early(self, tuning):
        band = {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 9}}
        job = tuning.run(
            "band",
            tuning.configuration("Hyperband", 6, StrategyConfig=band),
            tuning.definition(epochs="9", pause="0.3"),
        )
        counters = job["TrainingJobStatusCounters"]
        assert counters["Stopped"] >= 1 and counters["Completed"] >= 1
        assert job["BestTrainingJob"]["TrainingJobStatus"] == "Completed"

    def test_has_a_rule_of_its_own_for_early_ends(self, tuning):
        with pytest.raises(ClientError, match="must be Off"):
            tuning.start(
                "band", tuning.configuration("Hyperband", 3, TrainingJobEarlyStoppingType="Auto")
            )


class TestEnds:
    def test_early_stopping_ends_what_falls_behind_the_median(self, tuning):
        ranges = {"CategoricalParameterRanges": [{"Name": "place", "Values": ["0.3", "0.9"]}]}
        configuration = tuning.configuration(
            "Grid", None, parallel=1, ParameterRanges=ranges, TrainingJobEarlyStoppingType="Auto"
        )
        tuning.run("early", configuration, tuning.definition(epochs="6", pause="0.4"))
        statuses = {
            each["TunedHyperParameters"]["place"]: each["TrainingJobStatus"]
            for each in tuning.jobs("early")
        }
        assert statuses == {"0.3": "Completed", "0.9": "Stopped"}

    def test_never_more_at_once_than_allowed(self, tuning):
        tuning.run(
            "parallel",
            tuning.configuration("Random", 5, parallel=2),
            tuning.definition(pause="0.3"),
        )
        events: list[tuple[datetime, int]] = []
        for job in tuning.jobs("parallel"):
            events += [(job["CreationTime"], 1), (job["TrainingEndTime"], -1)]
        running, most = 0, 0
        for _, change in sorted(events):
            running += change
            most = max(most, running)
        assert most <= 2

    def test_a_target_is_enough(self, tuning):
        criteria = {"TargetObjectiveMetricValue": 0.1}
        job = tuning.run(
            "target", tuning.configuration("Random", 9, 1, TuningJobCompletionCriteria=criteria)
        )
        assert job["HyperParameterTuningJobStatus"] == "Completed"
        assert len(tuning.jobs("target")) < 9

    def test_stops_with_its_jobs(self, tuning):
        tuning.start("stopped", tuning.configuration("Random", 4), tuning.definition(pause="30"))
        wait_for(lambda: tuning.jobs("stopped"), lambda jobs: len(jobs) == 2)
        tuning.client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="stopped")
        assert tuning.ended("stopped")["HyperParameterTuningJobStatus"] == "Stopped"
        assert {job["TrainingJobStatus"] for job in tuning.jobs("stopped")} == {"Stopped"}
        tuning.client.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName="stopped")
        with pytest.raises(ClientError, match="can't find"):
            tuning.jobs("stopped")


class TestWarmStart:
    def warm(self, parent, kind="IdenticalDataAndAlgorithm"):
        parents = [{"HyperParameterTuningJobName": parent}]
        return {"ParentHyperParameterTuningJobs": parents, "WarmStartType": kind}

    def test_learns_from_its_parent(self, tuning):
        definition = tuning.definition()
        parent = tuning.run("parent", tuning.configuration("Bayesian", 12), definition)
        child = tuning.run(
            "child", tuning.configuration("Bayesian", 4), definition,
            WarmStartConfig=self.warm("parent"),
        )  # fmt: skip
        cold = values(tuning.jobs("parent"))[:4]
        warm = values(tuning.jobs("child"))
        assert sum(abs(x - 0.3) for x in warm) < sum(abs(x - 0.3) for x in cold)
        overall = child["OverallBestTrainingJob"]
        assert objective(overall) == max(
            objective(parent["BestTrainingJob"]), objective(child["BestTrainingJob"])
        )

    def test_refuses_other_data_as_identical(self, tuning):
        definition = tuning.definition()
        tuning.run("parent", tuning.configuration("Random", 1), definition)
        other = definition | {"InputDataConfig": [channel("other", UNUSED)]}
        with pytest.raises(ClientError, match="InputDataConfig differs"):
            tuning.start(
                "child", tuning.configuration("Random", 1), other,
                WarmStartConfig=self.warm("parent"),
            )  # fmt: skip
        child = tuning.run(
            "child", tuning.configuration("Random", 1), other,
            WarmStartConfig=self.warm("parent", "TransferLearning"),
        )  # fmt: skip
        assert child["HyperParameterTuningJobStatus"] == "Completed"

    def test_needs_a_parent_that_is_there(self, tuning):
        with pytest.raises(ClientError, match="does not exist"):
            tuning.start(
                "child", tuning.configuration("Random", 1), WarmStartConfig=self.warm("nobody")
            )


class TestFailures:
    def test_fails_when_every_job_fails(self, tuning):
        job = tuning.run(
            "failing", tuning.configuration("Random", 8), tuning.definition("raise ValueError('x')")
        )
        assert job["HyperParameterTuningJobStatus"] == "Failed"
        assert "No training job succeeded after 5 attempts" in job["FailureReason"]
        assert all("ValueError: x" in each["FailureReason"] for each in tuning.jobs("failing"))
        assert "BestTrainingJob" not in job

    def test_fails_when_the_metric_never_appears(self, tuning):
        job = tuning.run(
            "silent", tuning.configuration("Random", 2), tuning.definition("print('nothing')")
        )
        assert job["HyperParameterTuningJobStatus"] == "Failed"
        assert "No objective metrics found after running 2" in job["FailureReason"]
        assert job["ObjectiveStatusCounters"]["Failed"] == 2

    def test_one_failure_does_not_end_it(self, tuning):
        script = SCRIPT + "\nassert given.kind == 'a', 'kind b fails'"
        ranges = {"CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b"]}]}
        job = tuning.run(
            "half",
            tuning.configuration("Grid", None, ParameterRanges=ranges),
            tuning.definition(script),
        )
        assert job["HyperParameterTuningJobStatus"] == "Completed"
        assert job["TrainingJobStatusCounters"]["NonRetryableError"] == 1
        assert job["BestTrainingJob"]["TunedHyperParameters"] == {"kind": "a"}

    @pytest.mark.parametrize(
        ("ranges", "message"),
        [
            ({}, "At least one"),
            ({"ContinuousParameterRanges": [continuous("place", 1, 0)]}, "must be less than"),
            ({"ContinuousParameterRanges": [continuous("place", "a", 1)]}, "numbers"),
            (
                {
                    "ContinuousParameterRanges": [
                        continuous("place", 0, 1, ScalingType="Logarithmic")
                    ]
                },
                "greater than 0",
            ),
            ({"ContinuousParameterRanges": [continuous("epochs", 1, 2)]}, "both static and tuned"),
        ],
    )
    def test_refuses_ranges_that_are_none(self, tuning, ranges, message):
        with pytest.raises(ClientError, match=message):
            tuning.start(
                "no",
                tuning.configuration("Random", 1, ParameterRanges=ranges),
                tuning.definition(epochs="1"),
            )

    def test_refuses_a_metric_without_a_definition(self, tuning):
        objective_ = {"Type": "Maximize", "MetricName": "accuracy"}
        with pytest.raises(ClientError, match="accuracy"):
            tuning.start(
                "no",
                tuning.configuration("Random", 1, HyperParameterTuningJobObjective=objective_),
            )

    def test_refuses_names_that_are_too_long(self, tuning):
        with pytest.raises(ClientError, match="32"):
            tuning.start("a" * 33, tuning.configuration("Random", 1))


class TestBuiltInAlgorithm:
    def definition(self, tuning):
        definition = tuning.definition()
        definition["AlgorithmSpecification"] = {
            "TrainingImage": XGBOOST,
            "TrainingInputMode": "File",
        }
        static = {"objective": "binary:logistic", "num_round": "10"}
        inputs = [channel("train"), channel("validation")]
        return definition | {"StaticHyperParameters": static, "InputDataConfig": inputs}

    def configuration(self, tuning, kind="Maximize", metric="validation:auc"):
        return tuning.configuration(
            "Random",
            3,
            HyperParameterTuningJobObjective={"Type": kind, "MetricName": metric},
            ParameterRanges={"ContinuousParameterRanges": [continuous("eta", 0.05, 0.5)]},
        )

    def test_reports_the_objective_unasked(self, tuning):
        tuning.sagemaker.put_data()
        job = tuning.run("builtin", self.configuration(tuning), self.definition(tuning))
        assert job["HyperParameterTuningJobStatus"] == "Completed", job.get("FailureReason")
        assert objective(job["BestTrainingJob"]) > 0.9

    @pytest.mark.parametrize(
        ("kind", "metric", "message"),
        [
            ("Minimize", "validation:auc", "objective metric type"),
            ("Maximize", "validation:happiness", "valid objective metric"),
        ],
    )
    def test_refuses_an_objective_that_it_does_not_have(self, tuning, kind, metric, message):
        with pytest.raises(ClientError, match=message):
            tuning.start("no", self.configuration(tuning, kind, metric), self.definition(tuning))
