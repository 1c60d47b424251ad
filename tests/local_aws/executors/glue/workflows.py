"""Glue workflows: triggers, jobs and crawlers that run as one.

https://docs.aws.amazon.com/glue/latest/dg/workflows_overview.html
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ... import account
from ...errors import AWSError
from ...gateway import Call, handles
from . import runs
from .runs import JobRun

_FAILED = {"FAILED": "FailedActions", "STOPPED": "StoppedActions", "TIMEOUT": "TimeoutActions"}


@dataclass
class WorkflowRun:
    """One run of a workflow. `crawls` are the crawlers it has started, with their last state."""

    region: str
    workflow: str
    properties: dict[str, str]
    previous: str | None
    id: str
    status: str = "RUNNING"
    started: datetime = field(default_factory=account.now)
    completed: datetime | None = None
    jobs: list[JobRun] = field(default_factory=list)
    crawls: dict[str, str] = field(default_factory=dict)

    @property
    def statistics(self) -> dict[str, int]:
        """How many of the actions are in which state."""
        states = [run.state for run in self.jobs] + list(self.crawls.values())
        counts = dict.fromkeys(
            ("TimeoutActions", "FailedActions", "StoppedActions", "SucceededActions"), 0
        )
        counts |= {"RunningActions": 0, "ErroredActions": 0, "WaitingActions": 0}
        for state in states:
            done = "SucceededActions" if state == "SUCCEEDED" else "RunningActions"
            counts[_FAILED.get(state, done)] += 1
        return {"TotalActions": len(states), **counts}

    def describe(self) -> dict[str, Any]:
        """What GetWorkflowRun says, without the graph."""
        found = {
            "Name": self.workflow,
            "WorkflowRunId": self.id,
            "PreviousRunId": self.previous,
            "WorkflowRunProperties": self.properties,
            "StartedOn": self.started,
            "CompletedOn": self.completed,
            "Status": self.status,
            "Statistics": self.statistics,
        }
        return {key: value for key, value in found.items() if value is not None}


# (region, name) -> definition, in the members of Glue's Workflow
_workflows: dict[tuple[str, str], dict[str, Any]] = account.table()
# run id -> run, the oldest first
_workflow_runs: dict[str, WorkflowRun] = account.table()


# ── definitions ──────────────────────────────────────────────────────────────────────────────────


@handles("glue", "CreateWorkflow")
def create(call: Call) -> dict[str, Any]:
    """Define a workflow; its triggers are those that name it."""
    name = call.params["Name"]
    if (call.region, name) in _workflows:
        raise AWSError("AlreadyExistsException", f"Workflow {name} already exists")
    now = account.now()
    given = {key: value for key, value in call.params.items() if key != "Tags"}
    _workflows[call.region, name] = {**given, "CreatedOn": now, "LastModifiedOn": now}
    return {"Name": name}


@handles("glue", "UpdateWorkflow")
def update(call: Call) -> dict[str, Any]:
    """Change what is given."""
    workflow = get_workflow(call.region, call.params["Name"])
    workflow |= call.params
    workflow["LastModifiedOn"] = account.now()
    return {"Name": workflow["Name"]}


@handles("glue", "GetWorkflow")
def get(call: Call) -> dict[str, Any]:
    """A workflow with its last run, and its graph if asked for."""
    workflow = get_workflow(call.region, call.params["Name"])
    return {"Workflow": _described(call.region, workflow, call.params.get("IncludeGraph", False))}


@handles("glue", "BatchGetWorkflows")
def batch_get(call: Call) -> dict[str, Any]:
    """Workflows by name, and the names that are none."""
    graph = call.params.get("IncludeGraph", False)
    names = call.params["Names"]
    found = [name for name in names if (call.region, name) in _workflows]
    return {
        "Workflows": [_described(call.region, _workflows[call.region, n], graph) for n in found],
        "MissingWorkflows": [name for name in names if name not in found],
    }


@handles("glue", "ListWorkflows")
def list_(call: Call) -> dict[str, Any]:
    """The names of the workflows."""
    return {"Workflows": [name for region, name in _workflows if region == call.region]}


@handles("glue", "DeleteWorkflow")
def delete(call: Call) -> dict[str, Any]:
    """Forget a workflow with its triggers; its jobs and crawlers stay."""
    from . import triggers

    name = call.params["Name"]
    for trigger in triggers.of_workflow(call.region, name):
        triggers._triggers.pop((call.region, trigger.name), None)
    _workflows.pop((call.region, name), None)
    return {"Name": name}


# ── runs ─────────────────────────────────────────────────────────────────────────────────────────


@handles("glue", "StartWorkflowRun")
def start_run(call: Call) -> dict[str, Any]:
    """Fire the triggers that the workflow begins with."""
    from . import triggers

    name = call.params["Name"]
    get_workflow(call.region, name)
    first = [
        trigger
        for trigger in triggers.of_workflow(call.region, name)
        if trigger.definition["Type"] in ("ON_DEMAND", "SCHEDULED")
    ]
    if not first:
        raise AWSError("InvalidInputException", f"Workflow {name} has no start trigger.")
    return {"RunId": begin(call.region, name, first, call.params.get("RunProperties")).id}


def begin(
    region: str, name: str, first: list[Any], properties: dict[str, str] | None = None
) -> WorkflowRun:
    """Start a run of a workflow with the triggers it begins with.

    Raises:
        AWSError: ConcurrentRunsExceededException.
    """
    workflow = get_workflow(region, name)
    earlier = _of_workflow(region, name)
    active = [run for run in earlier if run.status in ("RUNNING", "STOPPING")]
    if len(active) >= workflow.get("MaxConcurrentRuns", len(active) + 1):
        raise AWSError("ConcurrentRunsExceededException", f"Concurrent runs exceeded for {name}")
    run = WorkflowRun(
        region,
        name,
        {**workflow.get("DefaultRunProperties", {}), **(properties or {})},
        earlier[-1].id if earlier else None,
        f"wr_{hashlib.sha256(account.new_id().encode()).hexdigest()}",
    )
    _workflow_runs[run.id] = run
    for trigger in first:
        trigger.fire(run.id)
    return run


@handles("glue", "GetWorkflowRun")
def get_run(call: Call) -> dict[str, Any]:
    """One run, with the graph if asked for."""
    run = _run(call)
    answer = run.describe()
    if call.params.get("IncludeGraph"):
        answer["Graph"] = _graph(run.region, run.workflow, run)
    return {"Run": answer}


@handles("glue", "GetWorkflowRuns")
def get_runs(call: Call) -> dict[str, Any]:
    """The runs of a workflow, the newest first."""
    get_workflow(call.region, call.params["Name"])
    found = _of_workflow(call.region, call.params["Name"])
    return {"Runs": [run.describe() for run in reversed(found)]}


@handles("glue", "GetWorkflowRunProperties")
def get_properties(call: Call) -> dict[str, Any]:
    """What the jobs of a run tell each other."""
    return {"RunProperties": _run(call).properties}


@handles("glue", "PutWorkflowRunProperties")
def put_properties(call: Call) -> None:
    """Add to what the jobs of a run tell each other."""
    _run(call).properties |= call.params["RunProperties"]


@handles("glue", "StopWorkflowRun")
def stop_run(call: Call) -> None:
    """Ask the jobs of a run to end, and let no trigger follow."""
    run = _run(call)
    if run.status != "RUNNING":
        raise AWSError("IllegalWorkflowStateException", f"The run is in state {run.status}.")
    run.status = "STOPPING"
    for job in run.jobs:
        job.stop()
    look_again(run.id)


def note_run(workflow_run: str | None, run: JobRun) -> None:
    """A trigger of the workflow run has started a job."""
    if workflow_run in _workflow_runs:
        _workflow_runs[workflow_run].jobs.append(run)


def note_crawl(region: str, workflow_run: str | None, crawler: str) -> None:
    """A trigger of the workflow run has started a crawler."""
    if workflow_run in _workflow_runs:
        _workflow_runs[workflow_run].crawls[crawler] = "RUNNING"


def waiting_for_crawl(region: str, crawler: str, state: str) -> WorkflowRun | None:
    """The workflow run that has started the crawler; its state is noted."""
    for run in _workflow_runs.values():
        if run.region == region and run.crawls.get(crawler) == "RUNNING":
            run.crawls[crawler] = state
            return run
    return None


def look_again(workflow_run: str | None) -> None:
    """See whether a workflow run is over: nothing runs, and what could follow has been fired."""
    run = _workflow_runs.get(workflow_run or "")
    if run is None or run.completed:
        return
    # A failed job that is tried again is one more run, which no trigger has started.
    run.jobs += [job for job in runs_of(run) if job not in run.jobs]
    if run.statistics["RunningActions"] == 0:
        run.completed = account.now()
        run.status = "STOPPED" if run.status == "STOPPING" else "COMPLETED"


def runs_of(run: WorkflowRun) -> list[JobRun]:
    """The job runs that belong to a workflow run, the repeated ones included."""
    names = {job.name for job in run.jobs}
    return [
        each
        for name in names
        for each in runs.of_job(run.region, name)
        if each.workflow_run == run.id
    ]


# ── what the operations share ────────────────────────────────────────────────────────────────────


def get_workflow(region: str, name: str) -> dict[str, Any]:
    """A workflow's definition. Raises EntityNotFoundException."""
    if (region, name) not in _workflows:
        raise AWSError("EntityNotFoundException", f"Workflow {name} not found.")
    return _workflows[region, name]


def _of_workflow(region: str, name: str) -> list[WorkflowRun]:
    found = _workflow_runs.values()
    return [run for run in found if (run.region, run.workflow) == (region, name)]


def _run(call: Call) -> WorkflowRun:
    run = _workflow_runs.get(call.params["RunId"])
    if run is None or run.workflow != call.params["Name"]:
        message = f"Workflow run {call.params['RunId']} not found."
        raise AWSError("EntityNotFoundException", message)
    return run


def _described(region: str, workflow: dict[str, Any], graph: bool) -> dict[str, Any]:
    found = _of_workflow(region, workflow["Name"])
    answer = dict(workflow)
    if found:
        answer["LastRun"] = found[-1].describe()
    if graph:
        answer["Graph"] = _graph(region, workflow["Name"], found[-1] if found else None)
    return answer


def _graph(region: str, name: str, run: WorkflowRun | None) -> dict[str, Any]:
    """The triggers with what they start, as nodes and edges; with a run, what came of it."""
    from . import triggers

    nodes: dict[tuple[str, str], dict[str, Any]] = {}
    edges = []

    def node(kind: str, called: str, **details: Any) -> str:
        entry = {"Type": kind, "Name": called, "UniqueId": f"{kind.lower()}_{called}", **details}
        return nodes.setdefault((kind, called), entry)["UniqueId"]

    for trigger in triggers.of_workflow(region, name):
        here = node("TRIGGER", trigger.name, TriggerDetails={"Trigger": trigger.describe()})
        for action in trigger.definition["Actions"]:
            edges.append({"SourceId": here, "DestinationId": node(*_target(action))})
        for condition in (trigger.definition.get("Predicate") or {}).get("Conditions", []):
            edges.append({"SourceId": node(*_target(condition)), "DestinationId": here})
    if run:
        for job in run.jobs:
            entry = nodes.get(("JOB", job.name))
            if entry is not None:
                entry.setdefault("JobDetails", {"JobRuns": []})["JobRuns"].append(job.describe())
    return {"Nodes": list(nodes.values()), "Edges": edges}


def _target(action: dict[str, Any]) -> tuple[str, str]:
    if "JobName" in action:
        return "JOB", action["JobName"]
    return "CRAWLER", action["CrawlerName"]
