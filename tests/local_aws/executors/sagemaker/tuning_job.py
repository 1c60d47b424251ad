"""One tuning job: training jobs in turn, each with values that the results so far suggest."""

from __future__ import annotations

import copy
import dataclasses
import secrets
import threading
import time
from typing import Any

from ... import account
from ...gateway import AWSError, Call
from ...jobs import Job
from . import training
from .common import without_empty
from .training_job import ENDED as TRAINING_ENDED
from .training_job import TrainingJob
from .tuning_strategies import Range, Rungs, Strategy, falls_behind

ENDED = ("Completed", "Failed", "Stopped")
_POLL_SECONDS = 0.02
# After so many jobs without one that succeeded, tuning ends.
_ATTEMPTS = 5
_USUAL_MOST_RESOURCE = 81
_COPIED = (
    "AlgorithmSpecification", "CheckpointConfig", "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining", "EnableNetworkIsolation", "Environment", "InputDataConfig",
    "OutputDataConfig", "ResourceConfig", "RetryStrategy", "RoleArn", "StoppingCondition",
    "VpcConfig",
)  # fmt: skip


class Trial:
    """One training job of a tuning job, and what it has reported of the objective."""

    def __init__(self, number: int, values: dict[str, str]) -> None:
        self.number, self.values = number, values
        self.job: TrainingJob | None = None
        self.failure: str | None = None
        # The objective is what had been reported when the job was given up, if it was.
        self.given_up_after: int | None = None
        self.judged = 0

    def series(self, metric: str) -> list[float]:
        """The values of the objective so far."""
        values = (
            [each.value for each in self.job.metrics.series.get(metric, [])] if self.job else []
        )
        return values[: self.given_up_after]

    @property
    def status(self) -> str:
        """Of the training job."""
        return self.job.describe()["TrainingJobStatus"] if self.job else "Failed"

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.status in TRAINING_ENDED


class TuningJob:
    """A hyperparameter tuning job, from the request to the best training job."""

    def __init__(
        self, call: Call, resource: str, ranges: list[Range], parents: list[TuningJob]
    ) -> None:
        params = call.params
        self._call, self._ranges, self._parents = call, ranges, parents
        self.name, self.region = params["HyperParameterTuningJobName"], call.region
        self._configuration = params["HyperParameterTuningJobConfig"]
        objective = self._configuration["HyperParameterTuningJobObjective"]
        self.metric, self.maximize = objective["MetricName"], objective["Type"] == "Maximize"
        self.trials: list[Trial] = []
        self._lock = threading.Lock()
        self._job = Job(self.name, self.region, status="InProgress", failed="Failed")
        now = self._job.created
        request = {key: value for key, value in params.items() if key != "Tags"}
        self._state: dict[str, Any] = without_empty(copy.deepcopy(request)) | {
            "HyperParameterTuningJobArn": resource,
            "HyperParameterTuningJobStatus": "InProgress",
            "CreationTime": now,
            "LastModifiedTime": now,
        }
        self._strategy = self._make_strategy()

    def start(self) -> None:
        """Start the work."""
        self._job.start(lambda _: self._run())

    def stop(self) -> None:
        """Ask the job to end. Raises ValidationException if it has ended already."""
        with self._lock:
            status = self._state["HyperParameterTuningJobStatus"]
            if status in ENDED:
                raise AWSError(
                    "ValidationException",
                    f"The request was rejected because the tuning job is in status {status}.",
                )
            self._state["HyperParameterTuningJobStatus"] = "Stopping"
        self._job.stop()

    def describe(self) -> dict[str, Any]:
        """What DescribeHyperParameterTuningJob says."""
        with self._lock:
            answer = without_empty(copy.deepcopy(self._state))
        answer["TrainingJobStatusCounters"] = self._status_counters()
        answer["ObjectiveStatusCounters"] = self._objective_counters()
        best = self.best()
        if best is not None:
            answer["BestTrainingJob"] = self._summary(best) | {"ObjectiveStatus": "Succeeded"}
        if self._parents:
            answer["OverallBestTrainingJob"] = self._overall_best()
        end = answer.get("HyperParameterTuningEndTime", account.now())
        seconds = (end - answer["CreationTime"]).total_seconds()
        answer["ConsumedResources"] = {"RuntimeInSeconds": round(seconds)}
        answer["TuningJobCompletionDetails"] = {
            "NumberOfTrainingJobsObjectiveNotImproving": self._not_improving()
        }
        return answer

    def summaries(self) -> list[dict[str, Any]]:
        """What ListTrainingJobsForHyperParameterTuningJob says of each training job."""
        return [self._summary(trial) for trial in list(self.trials) if trial.job]

    def objective(self, trial: Trial) -> float | None:
        """The last value that a job has reported; None if it has none, or failed."""
        if trial.status == "Failed":
            return None
        series = trial.series(self.metric)
        return series[-1] if series else None

    def best(self) -> Trial | None:
        """The job with the best objective so far."""
        scored = [(self.objective(trial), trial) for trial in list(self.trials) if trial.ended]
        known = [(value, trial) for value, trial in scored if value is not None]
        if not known:
            return None
        return (max if self.maximize else min)(known, key=lambda pair: pair[0])[1]

    # ── the work ─────────────────────────────────────────────────────────────────────────────────

    def _make_strategy(self) -> Strategy:
        band = self._configuration.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
        strategy = Strategy(
            self._configuration["Strategy"],
            self._ranges,
            maximize=self.maximize,
            seed=self._configuration.get("RandomSeed"),
            rungs=Rungs(
                int(band.get("MinResource", 1)),
                int(band.get("MaxResource", _USUAL_MOST_RESOURCE)),
                maximize=self.maximize,
            ),
        )
        for parent in self._parents:
            for trial in parent.trials:
                value = parent.objective(trial)
                if value is not None:
                    strategy.learn(trial.values, value)
        return strategy

    def _run(self) -> None:
        try:
            reason = self._tune()
        except Exception as error:
            self._end("Failed", f"InternalServerError: {type(error).__name__}: {error}")
            raise
        if self._job.stop_requested.is_set():
            self._end("Stopped")
        elif reason:
            self._end("Failed", reason)
        else:
            self._end("Completed")

    def _tune(self) -> str | None:
        """Run the training jobs. Returns why tuning has failed, if it has."""
        limits = self._configuration["ResourceLimits"]
        parallel, most = limits["MaxParallelTrainingJobs"], self._most()
        until = time.monotonic() + limits.get("MaxRuntimeInSeconds", float("inf"))
        told = 0
        for number in range(most):
            # Job n starts when job n - parallel has ended, and is proposed with the results up to
            # that one: so the proposals do not depend on which of the running jobs is faster.
            while told <= number - parallel:
                self._wait_for(self.trials[told], until)
                self._tell(told)
                told += 1
            if self._is_over(until, told):
                break
            self._launch(number)
        for trial in self.trials[told:]:
            self._wait_for(trial, until)
            self._tell(trial.number)
        return self._failure(len(self.trials))

    def _most(self) -> int:
        if self._configuration["Strategy"] == "Grid":
            size = 1
            for each in self._ranges:
                size *= len(each.values)
            return size
        return self._configuration["ResourceLimits"]["MaxNumberOfTrainingJobs"]

    def _launch(self, number: int) -> None:
        values = self._strategy.propose()
        trial = Trial(number, values)
        definition = self._call.params["TrainingJobDefinition"]
        name = f"{self.name}-{number + 1:03d}-{secrets.token_hex(4)}"
        hyperparameters = definition.get("StaticHyperParameters", {}) | values
        request = {each: copy.deepcopy(definition[each]) for each in _COPIED if each in definition}
        request |= {
            "TrainingJobName": name,
            "HyperParameters": hyperparameters | {"_tuning_objective_metric": self.metric},
            "Tags": self._call.params.get("Tags", []),
        }
        call = dataclasses.replace(self._call, operation="CreateTrainingJob", params=request)
        try:
            trial.job = training.launch(call, tuning_job=self._state["HyperParameterTuningJobArn"])
        except AWSError as error:
            trial.failure = f"{error.code}: {error.message}"
        self.trials.append(trial)

    def _wait_for(self, trial: Trial, until: float) -> None:
        """Wait until a job has ended; meanwhile give up those that fall behind."""
        while not trial.ended:
            if self._job.stop_requested.is_set() or time.monotonic() > until:
                self._stop_all()
            for each in self.trials:
                if not each.ended and self._gives_up(each):
                    _stop(each)
            time.sleep(_POLL_SECONDS)

    def _gives_up(self, trial: Trial) -> bool:
        """Whether a running job is hopeless, by Hyperband's rungs or by the median rule."""
        if trial.given_up_after is not None:
            return False
        rungs = self._strategy.rungs
        by_median = self._configuration.get("TrainingJobEarlyStoppingType") == "Auto"
        if rungs is None and not by_median:
            return False
        series = trial.series(self.metric)
        judged, trial.judged = trial.judged, len(series)
        others = [
            each.series(self.metric)
            for each in self.trials[: trial.number]
            if each.ended and each.status == "Completed"
        ]
        for step in range(judged + 1, len(series) + 1):
            if (rungs and rungs.gives_up(step, series[step - 1])) or (
                by_median and falls_behind(series[:step], others, maximize=self.maximize)
            ):
                trial.given_up_after = step
                return True
        return False

    def _tell(self, number: int) -> None:
        self._strategy.tell(number, self.objective(self.trials[number]))

    def _is_over(self, until: float, told: int) -> bool:
        """Whether no further job should start."""
        if self._job.stop_requested.is_set() or time.monotonic() > until:
            return True
        if self._failure(told):
            return True
        criteria = self._configuration.get("TuningJobCompletionCriteria", {})
        best = self.best()
        target = criteria.get("TargetObjectiveMetricValue")
        if target is not None and best is not None:
            value = self.objective(best)
            if value is not None and (value >= target if self.maximize else value <= target):
                return True
        patience = criteria.get("BestObjectiveNotImproving", {}).get(
            "MaxNumberOfTrainingJobsNotImproving"
        )
        return patience is not None and self._not_improving() >= patience

    def _not_improving(self) -> int:
        """How many jobs have ended since the best one."""
        best = self.best()
        if best is None:
            return 0
        return sum(trial.ended for trial in self.trials[best.number + 1 :])

    def _failure(self, ended: int) -> str | None:
        """Why there is nothing to choose from among the first jobs, if there is nothing."""
        trials = self.trials[:ended]
        if not trials or self._job.stop_requested.is_set():
            return None
        if len(trials) < min(_ATTEMPTS, self._most()):
            return None
        attempts = min(len(trials), _ATTEMPTS)
        if all(trial.status == "Failed" for trial in trials):
            return (
                f"No training job succeeded after {attempts} attempts. For additional details, "
                "please take a look at the training job failures by listing training jobs for the "
                "hyperparameter tuning job."
            )
        if all(self.objective(trial) is None for trial in trials):
            return (
                f"No objective metrics found after running {attempts} training jobs. Please "
                "ensure that the custom algorithm is emitting the objective metric as defined by "
                "the regular expression provided."
            )
        return None

    def _stop_all(self) -> None:
        for trial in self.trials:
            if not trial.ended:
                _stop(trial)

    def _end(self, status: str, reason: str | None = None) -> None:
        with self._lock:
            now = account.now()
            self._state |= {"HyperParameterTuningEndTime": now, "LastModifiedTime": now}
            if reason:
                self._state["FailureReason"] = reason[:1024]
            self._state["HyperParameterTuningJobStatus"] = status

    # ── what is said of it ───────────────────────────────────────────────────────────────────────

    def _summary(self, trial: Trial) -> dict[str, Any]:
        assert trial.job is not None
        described = trial.job.describe()
        members = (
            "TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingStartTime",
            "TrainingEndTime", "TrainingJobStatus", "FailureReason",
        )  # fmt: skip
        summary = {each: described[each] for each in members if each in described}
        summary["TunedHyperParameters"] = dict(trial.values)
        value = self.objective(trial)
        if value is not None:
            summary["FinalHyperParameterTuningJobObjectiveMetric"] = {
                "MetricName": self.metric,
                "Value": value,
            }
        summary["ObjectiveStatus"] = self._objective_status(trial)
        return summary

    def _objective_status(self, trial: Trial) -> str:
        if not trial.ended:
            return "Pending"
        return "Failed" if self.objective(trial) is None else "Succeeded"

    def _status_counters(self) -> dict[str, int]:
        counters = dict.fromkeys(
            ("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped"), 0
        )
        names = {"Failed": "NonRetryableError", "Stopping": "InProgress"}
        for trial in list(self.trials):
            counters[names.get(trial.status, trial.status)] += 1
        return counters

    def _objective_counters(self) -> dict[str, int]:
        counters = dict.fromkeys(("Succeeded", "Pending", "Failed"), 0)
        for trial in list(self.trials):
            counters[self._objective_status(trial)] += 1
        return counters

    def _overall_best(self) -> dict[str, Any]:
        """The best job of this tuning job and of those that it learned from."""
        candidates = []
        for job in (self, *self._parents):
            best = job.best()
            if best is not None:
                candidates.append((job.objective(best), job, best))
        if not candidates:
            return {}
        choose = max if self.maximize else min
        _, job, best = choose(candidates, key=lambda candidate: candidate[0])
        return job._summary(best) | {"TuningJobName": job.name}


def _stop(trial: Trial) -> None:
    if trial.job and trial.status == "InProgress":
        try:
            trial.job.stop()
        except AWSError:
            return  # it has ended in this moment
