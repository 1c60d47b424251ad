"""Glue Data Quality: rulesets, the runs that propose them and the runs that evaluate them.

https://docs.aws.amazon.com/glue/latest/dg/glue-data-quality.html
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .... import account, identity, metrics, storage
from ....errors import AWSError, not_implemented
from ....gateway import Call, handles
from ....jobs import Job
from ....lake import Lake
from ....storage import S3Location
from . import dqdl
from .evaluation import Evaluator, Outcome
from .recommendation import recommend

_DEFAULTS = {"NumberOfWorkers": 5, "Timeout": 2880}
_PAGE = 100

# (region, name) -> a ruleset as GetDataQualityRuleset describes it
_rulesets: dict[tuple[str, str], dict[str, Any]] = account.table()
# (region, run id) -> a run
_runs: dict[tuple[str, str], Run] = account.table()
# (region, result id) -> a result as GetDataQualityResult describes it
_results: dict[tuple[str, str], dict[str, Any]] = account.table()


@dataclass
class Run:
    """A run that proposes rules (`kind` "recommendation") or evaluates them ("evaluation")."""

    kind: str
    params: dict[str, Any]
    job: Job
    ruleset: str | None = None
    results: list[str] = field(default_factory=list)

    @property
    def table(self) -> tuple[str, str]:
        """Database and name of the table that it is about."""
        return _table_of(self.params["DataSource"])

    def described(self) -> dict[str, Any]:
        """What both kinds of run say of themselves."""
        found = {
            "RunId": self.job.name,
            "DataSource": self.params["DataSource"],
            "Role": self.params["Role"],
            "NumberOfWorkers": self.params["NumberOfWorkers"],
            "Timeout": self.params["Timeout"],
            "Status": self.job.status,
            "StartedOn": self.job.created,
            "LastModifiedOn": self.job.ended or self.job.started or self.job.created,
            "ExecutionTime": int(_seconds(self.job)),
        }
        if self.job.ended:
            found["CompletedOn"] = self.job.ended
        if self.job.failure_reason:
            found["ErrorString"] = self.job.failure_reason
        return found


def _seconds(job: Job) -> float:
    return ((job.ended or account.now()) - job.created).total_seconds()


# ── rulesets ─────────────────────────────────────────────────────────────────────────────────────


@handles("glue", "CreateDataQualityRuleset")
def create_ruleset(call: Call) -> dict[str, Any]:
    """Keep a ruleset that reads as DQDL."""
    params = call.params
    key = (call.region, params["Name"])
    if key in _rulesets:
        message = f"A ruleset named {params['Name']} already exists."
        raise AWSError("AlreadyExistsException", message)
    dqdl.parse(params["Ruleset"])
    _keep_ruleset(call.region, params)
    return {"Name": params["Name"]}


def _keep_ruleset(region: str, params: dict[str, Any], run_id: str | None = None) -> None:
    kept = ("Name", "Description", "Ruleset", "TargetTable", "DataQualitySecurityConfiguration")
    ruleset = {name: params[name] for name in kept if name in params}
    ruleset |= {"CreatedOn": account.now(), "LastModifiedOn": account.now()}
    if run_id:
        ruleset["RecommendationRunId"] = run_id
    _rulesets[region, params["Name"]] = ruleset
    if params.get("Tags"):
        _glue(region).tag_resource(ruleset_arn(region, params["Name"]), params["Tags"])


def ruleset_arn(region: str, name: str) -> str:
    """The ARN that a ruleset is tagged by."""
    return f"arn:aws:glue:{region}:{account.ACCOUNT_ID}:dataQualityRuleset/{name}"


def _glue(region: str) -> Any:
    from moto.glue.models import glue_backends

    return glue_backends[account.ACCOUNT_ID][region]


@handles("glue", "GetDataQualityRuleset")
def get_ruleset(call: Call) -> dict[str, Any]:
    """A ruleset as it was created or updated."""
    return _ruleset(call.region, call.params["Name"])


def _ruleset(region: str, name: str) -> dict[str, Any]:
    if (region, name) not in _rulesets:
        raise AWSError("EntityNotFoundException", f"Ruleset {name} not found.")
    return _rulesets[region, name]


@handles("glue", "UpdateDataQualityRuleset")
def update_ruleset(call: Call) -> dict[str, Any]:
    """Replace description or rules."""
    ruleset = _ruleset(call.region, call.params["Name"])
    if "Ruleset" in call.params:
        dqdl.parse(call.params["Ruleset"])
    changes = {n: call.params[n] for n in ("Description", "Ruleset") if n in call.params}
    ruleset |= changes | {"LastModifiedOn": account.now()}
    return {n: ruleset[n] for n in ("Name", "Description", "Ruleset") if n in ruleset}


@handles("glue", "DeleteDataQualityRuleset")
def delete_ruleset(call: Call) -> dict[str, Any]:
    """Delete a ruleset; the results of its runs stay."""
    _ruleset(call.region, call.params["Name"])
    del _rulesets[call.region, call.params["Name"]]
    return {}


@handles("glue", "ListDataQualityRulesets")
def list_rulesets(call: Call) -> dict[str, Any]:
    """Rulesets by name, those that the filter and the tags name."""
    wanted = call.params.get("Filter") or {}
    tags = (call.params.get("Tags") or {}).items()
    rows = []
    for (region, name), ruleset in sorted(_rulesets.items()):
        if region != call.region or not _passes(ruleset, wanted):
            continue
        if tags and not tags <= _glue(region).get_tags(ruleset_arn(region, name)).items():
            continue
        row = {n: v for n, v in ruleset.items() if n not in ("Ruleset",) and "Security" not in n}
        rows.append({**row, "RuleCount": len(dqdl.parse(ruleset["Ruleset"]).rules)})
    return _paged(call, "Rulesets", rows)


def _passes(ruleset: dict[str, Any], wanted: dict[str, Any]) -> bool:
    table = wanted.get("TargetTable")
    times = {"Created": "CreatedOn", "LastModified": "LastModifiedOn"}
    for word, name in times.items():
        if wanted.get(f"{word}Before") and ruleset[name] >= wanted[f"{word}Before"]:
            return False
        if wanted.get(f"{word}After") and ruleset[name] <= wanted[f"{word}After"]:
            return False
    return (
        wanted.get("Name", ruleset["Name"]) == ruleset["Name"]
        and wanted.get("Description", "") in ruleset.get("Description", "")
        and (not table or (ruleset.get("TargetTable") or {}).items() >= table.items())
    )


def _paged(call: Call, name: str, rows: list[Any]) -> dict[str, Any]:
    start = int(call.params.get("NextToken") or 0)
    size = call.params.get("MaxResults") or _PAGE
    answer: dict[str, Any] = {name: rows[start : start + size]}
    if start + size < len(rows):
        answer["NextToken"] = str(start + size)
    return answer


# ── runs ─────────────────────────────────────────────────────────────────────────────────────────


@handles("glue", "StartDataQualityRuleRecommendationRun")
def start_recommendation(call: Call) -> dict[str, Any]:
    """Begin to propose rules for a table."""
    name = call.params.get("CreatedRulesetName")
    if name and (call.region, name) in _rulesets:
        raise AWSError("AlreadyExistsException", f"A ruleset named {name} already exists.")
    return _start(call, "recommendation", _recommend)


def _recommend(run: Run, lake: Lake) -> None:
    database, table = run.table
    run.ruleset = recommend(lake, database, table)
    name = run.params.get("CreatedRulesetName")
    if name:
        target = {"DatabaseName": database, "TableName": table}
        created = {"Name": name, "Ruleset": run.ruleset, "TargetTable": target}
        _keep_ruleset(run.job.region, created, run.job.name)


@handles("glue", "StartDataQualityRulesetEvaluationRun")
def start_evaluation(call: Call) -> dict[str, Any]:
    """Begin to evaluate rulesets on a table."""
    for name in call.params["RulesetNames"]:
        _ruleset(call.region, name)
    options = call.params.get("AdditionalRunOptions") or {}
    unknown = set(options) - {
        "CloudWatchMetricsEnabled",
        "ResultsS3Prefix",
        "CompositeRuleEvaluationMethod",
    }
    if unknown or options.get("CompositeRuleEvaluationMethod") == "ROW":
        what = ", ".join(sorted(unknown)) or "CompositeRuleEvaluationMethod ROW"
        raise not_implemented("glue", f"data quality runs with {what}")
    return _start(call, "evaluation", _evaluate)


def _evaluate(run: Run, lake: Lake) -> None:
    database, table = run.table
    others = run.params.get("AdditionalDataSources") or {}
    tables = {alias: _table_of(source) for alias, source in others.items()}
    evaluator = Evaluator(lake, {"primary": (database, table), **tables})
    for name in run.params["RulesetNames"]:
        ruleset = dqdl.parse(_ruleset(run.job.region, name)["Ruleset"])
        started = account.now()
        outcomes = [(rule, evaluator.evaluate(rule)) for rule in ruleset.rules]
        analyses = [(rule, evaluator.evaluate(_measured(rule))) for rule in ruleset.analyzers]
        result = _result(run, name, outcomes, analyses)
        result |= {"StartedOn": started, "CompletedOn": account.now()}
        _results[run.job.region, result["ResultId"]] = result
        run.results.append(result["ResultId"])
        _publish(run, result)


def _measured(rule: dqdl.Rule) -> dqdl.Rule:
    """An analyzer: the rule's metric, which nothing is asked of."""
    anything = dqdl.Condition("!=", (None,))
    return dqdl.Rule(rule.kind, rule.parameters, rule.condition or anything, rule.where)


def _result(
    run: Run,
    ruleset: str,
    outcomes: list[tuple[dqdl.Rule | dqdl.Composite, Outcome]],
    analyses: list[tuple[dqdl.Rule, Outcome]],
) -> dict[str, Any]:
    rules = []
    for number, (rule, outcome) in enumerate(outcomes, 1):
        described = {
            "Name": f"Rule_{number}",
            "Description": rule.text,
            "EvaluatedRule": rule.text,
            "Result": outcome.result,
            "EvaluatedMetrics": outcome.metrics,
        }
        if outcome.message:
            described["EvaluationMessage"] = outcome.message
        if isinstance(rule, dqdl.Rule) and rule.labels:
            described["Labels"] = rule.labels
        rules.append(described)
    passed = sum(rule["Result"] == "PASS" for rule in rules)
    found: dict[str, Any] = {
        "ResultId": f"dqresult-{account.new_id()}",
        "Score": passed / len(rules) if rules else 0.0,
        "DataSource": run.params["DataSource"],
        "RulesetName": ruleset,
        "RulesetEvaluationRunId": run.job.name,
        "RuleResults": rules,
        "AggregatedMetrics": {
            "TotalRulesProcessed": float(len(rules)),
            "TotalRulesPassed": float(passed),
            "TotalRulesFailed": float(len(rules) - passed),
        },
    }
    if analyses:
        found["AnalyzerResults"] = [
            {
                "Name": f"Analyzer_{number}",
                "Description": rule.text,
                "EvaluatedMetrics": outcome.metrics,
            }
            for number, (rule, outcome) in enumerate(analyses, 1)
        ]
    return found


def _publish(run: Run, result: dict[str, Any]) -> None:
    """Tell CloudWatch and S3 what the run asks to be told."""
    options = run.params.get("AdditionalRunOptions") or {}
    database, table = run.table
    if options.get("CloudWatchMetricsEnabled"):
        of = {"Database": database, "Table": table, "RulesetName": result["RulesetName"]}
        counts = result["AggregatedMetrics"]
        for name in ("Passed", "Failed"):
            metrics.put(
                "Glue Data Quality",
                f"glue.data.quality.rules.{name.lower()}",
                counts[f"TotalRules{name}"],
                "Count",
                of,
                run.job.region,
            )
    prefix = options.get("ResultsS3Prefix")
    if prefix:
        location = S3Location.parse(f"{prefix.rstrip('/')}/{result['ResultId']}.json")
        body = json.dumps(result, default=str).encode()
        storage.write(location, body, _session(run.params["Role"], run.job.name))


def _start(call: Call, kind: str, work: Callable[[Run, Lake], None]) -> dict[str, Any]:
    params = {**_DEFAULTS, **call.params}
    role = identity.find_role(params["Role"])
    if role is None or "glue.amazonaws.com" not in json.dumps(role.assume_role_policy_document):
        message = f"Service is unable to assume provided role {params['Role']}. Please verify."
        raise AWSError("InvalidInputException", message)
    database, table = _table_of(params["DataSource"])
    Lake(call.region, call.caller).table(database, table)
    run_id = f"dqrun-{account.new_id()}"
    run = Run(kind, params, Job(run_id, call.region, status="STARTING", failed="FAILED"))
    _runs[call.region, run_id] = run
    lake = Lake(call.region, _session(params["Role"], run_id))

    def target(job: Job) -> None:
        job.status = "RUNNING"
        if not job.stop_requested.is_set():
            work(run, lake)
        job.ended = account.now()
        job.status = "STOPPED" if job.stop_requested.is_set() else "SUCCEEDED"

    run.job.start(target)
    return {"RunId": run_id}


def _session(role: str, run_id: str) -> str:
    """The caller that the run's own requests are journaled under."""
    return f"{role.rpartition('/')[2]}/{run_id}"


def _table_of(source: dict[str, Any]) -> tuple[str, str]:
    table = source.get("GlueTable") or source.get("DataQualityGlueTable")
    if not table:
        raise AWSError("InvalidInputException", "The data source names no table of the catalog.")
    if table.get("AdditionalOptions") or table.get("PreProcessingQuery"):
        raise not_implemented("glue", "data quality runs with AdditionalOptions or a query")
    return table["DatabaseName"], table["TableName"]


@handles("glue", "GetDataQualityRuleRecommendationRun")
def get_recommendation(call: Call) -> dict[str, Any]:
    """A run, and the rules that it proposes when it is done."""
    run = _run(call, "recommendation")
    found = run.described()
    if run.ruleset:
        found["RecommendedRuleset"] = run.ruleset
    if run.params.get("CreatedRulesetName"):
        found["CreatedRulesetName"] = run.params["CreatedRulesetName"]
    return found


@handles("glue", "GetDataQualityRulesetEvaluationRun")
def get_evaluation(call: Call) -> dict[str, Any]:
    """A run, and the ids of its results when it is done."""
    return _evaluation(_run(call, "evaluation"))


def _evaluation(run: Run) -> dict[str, Any]:
    found = {**run.described(), "RulesetNames": run.params["RulesetNames"]}
    if run.results:
        found["ResultIds"] = run.results
    for name in ("AdditionalRunOptions", "AdditionalDataSources"):
        if name in run.params:
            found[name] = run.params[name]
    return found


@handles("glue", "BatchGetDataQualityRulesetEvaluationRun")
def get_evaluations(call: Call) -> dict[str, Any]:
    """Several runs at once, and the ids that are none."""
    ids = call.params["RunIds"]
    found = {run_id: _runs.get((call.region, run_id)) for run_id in ids}
    runs = [_evaluation(run) for run in found.values() if run and run.kind == "evaluation"]
    known = {run["RunId"] for run in runs}
    return {"Runs": runs, "RunsNotFound": [run_id for run_id in ids if run_id not in known]}


@handles("glue", "ListDataQualityRuleRecommendationRuns", "ListDataQualityRulesetEvaluationRuns")
def list_runs(call: Call) -> dict[str, Any]:
    """Runs, the newest first."""
    kind = "recommendation" if "Recommendation" in call.operation else "evaluation"
    wanted = call.params.get("Filter") or {}
    rows = []
    for (region, _), run in reversed(_runs.items()):
        started = run.job.created
        if (
            region != call.region
            or run.kind != kind
            or (wanted.get("DataSource") and _table_of(wanted["DataSource"]) != run.table)
            or (wanted.get("StartedBefore") and started >= wanted["StartedBefore"])
            or (wanted.get("StartedAfter") and started <= wanted["StartedAfter"])
            or wanted.get("RulesetName", "") not in ["", *run.params.get("RulesetNames", [])]
        ):
            continue
        row = run.described()
        rows.append({n: row[n] for n in ("RunId", "Status", "StartedOn", "DataSource")})
    return _paged(call, "Runs", rows)


@handles("glue", "CancelDataQualityRuleRecommendationRun", "CancelDataQualityRulesetEvaluationRun")
def cancel(call: Call) -> dict[str, Any]:
    """Ask a run to stop."""
    kind = "recommendation" if "Recommendation" in call.operation else "evaluation"
    run = _run(call, kind)
    if run.job.ended:
        message = f"The run {run.job.name} is {run.job.status} and cannot be cancelled."
        raise AWSError("InvalidInputException", message)
    run.job.status = "STOPPING"
    run.job.stop()
    return {}


def _run(call: Call, kind: str) -> Run:
    run = _runs.get((call.region, call.params["RunId"]))
    if run is None or run.kind != kind:
        raise AWSError("EntityNotFoundException", f"Run {call.params['RunId']} not found.")
    return run


# ── results ──────────────────────────────────────────────────────────────────────────────────────


@handles("glue", "GetDataQualityResult")
def get_result(call: Call) -> dict[str, Any]:
    """How the rules of a ruleset came out in one run."""
    result_id = call.params["ResultId"]
    if (call.region, result_id) not in _results:
        raise AWSError("EntityNotFoundException", f"Result {result_id} not found.")
    return _results[call.region, result_id]


@handles("glue", "BatchGetDataQualityResult")
def get_results(call: Call) -> dict[str, Any]:
    """Several results at once, and the ids that are none."""
    ids = call.params["ResultIds"]
    found = {result_id: _results.get((call.region, result_id)) for result_id in ids}
    return {
        "Results": [result for result in found.values() if result],
        "ResultsNotFound": [result_id for result_id, result in found.items() if not result],
    }


@handles("glue", "ListDataQualityResults")
def list_results(call: Call) -> dict[str, Any]:
    """Results, the newest first."""
    wanted = call.params.get("Filter") or {}
    rows = []
    for (region, _), result in reversed(_results.items()):
        started = result["StartedOn"]
        if (
            region != call.region
            or wanted.get("JobName")
            or wanted.get("JobRunId")
            or (
                wanted.get("DataSource")
                and _table_of(wanted["DataSource"]) != _table_of(result["DataSource"])
            )
            or (wanted.get("StartedBefore") and started >= wanted["StartedBefore"])
            or (wanted.get("StartedAfter") and started <= wanted["StartedAfter"])
        ):
            continue
        rows.append({n: result[n] for n in ("ResultId", "DataSource", "StartedOn")})
    return _paged(call, "Results", rows)
