"""Glue workflows: triggers, jobs and crawlers that run as one.

https://docs.aws.amazon.com/glue/latest/dg/workflows_overview.html
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ... import account
from ...errors import AWSError
from ...gateway import Call, handles
from . import runs, tagging
from .pages import page
from .runs import JobRun

_BEGINNINGS = ("ON_DEMAND", "SCHEDULED", "EVENT")
_FAILED = {
    "FAILED": "FailedActions",
    "STOPPED": "StoppedActions",
    "CANCELLED": "StoppedActions",
    "TIMEOUT": "TimeoutActions",
}


@dataclass
class WorkflowRun:
    """One run of a workflow.

    Attributes:
        crawls: the crawlers it has started, with their last state.
        errors: how many actions named what is not there, or could not begin.
        batch: with how many events it began.
        firing: how many triggers are at work; it is not over before they are done.
    """

    region: str
    workflow: str
    properties: dict[str, str]
    previous: str | None
    id: str
    status: str = "RUNNING"
    started: datetime = field(default_factory=account.now)
    completed: datetime | None = None
    crawls: dict[str, str] = field(default_factory=dict)
    errors: int = 0
    batch: int | None = None
    firing: int = 0

    @property
    def jobs(self) -> list[JobRun]:
        """The job runs that belong to it, the repeated ones included."""
        return runs.of_workflow_run(self.id)

    @property
    def statistics(self) -> dict[str, int]:
        """How many of the actions are in which state."""
        states = [run.state for run in self.jobs] + list(self.crawls.values())
        counts = dict.fromkeys(
            ("TimeoutActions", "FailedActions", "StoppedActions", "SucceededActions"), 0
        )
        counts |= {"RunningActions": 0, "ErroredActions": self.errors, "WaitingActions": 0}
        for state in states:
            done = "SucceededActions" if state == "SUCCEEDED" else "RunningActions"
            counts[_FAILED.get(state, done)] += 1
        return {"TotalActions": len(states) + self.errors, **counts}

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
            "StartingEventBatchCondition": self.batch and {"BatchSize": self.batch},
        }
        return {key: value for key, value in found.items() if value is not None}


# (region, name) -> definition, in the members of Glue's Workflow
_workflows: dict[tuple[str, str], dict[str, Any]] = account.table()
# run id -> run, the oldest first
_workflow_runs: dict[str, WorkflowRun] = account.table()
_lock = threading.RLock()


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
    tagging.tag(call.region, "workflow", name, call.params.get("Tags"))
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
    return page(call, "Workflows", [name for where, name in _workflows if where == call.region])


@handles("glue", "DeleteWorkflow")
def delete(call: Call) -> dict[str, Any]:
    """Forget a workflow with its triggers; its jobs and crawlers stay."""
    from . import triggers

    name = call.params["Name"]
    for trigger in triggers.of_workflow(call.region, name):
        triggers.forget(call.region, trigger.name)
    if _workflows.pop((call.region, name), None):
        tagging.forget(call.region, "workflow", name)
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
        if trigger.definition["Type"] in _BEGINNINGS
    ]
    if not first:
        raise AWSError("InvalidInputException", f"Workflow {name} has no start trigger.")
    return {"RunId": begin(call.region, name, first, call.params.get("RunProperties")).id}


def begin(
    region: str,
    name: str,
    first: list[Any],
    properties: dict[str, str] | None = None,
    batch: int | None = None,
) -> WorkflowRun:
    """Start a run of a workflow.

    Args:
        first: the triggers it begins with.
        properties: over the workflow's own.
        batch: with how many events it begins.

    Raises:
        AWSError: EntityNotFoundException, ConcurrentRunsExceededException.
    """
    workflow = get_workflow(region, name)
    with _lock:
        earlier = _of_workflow(region, name)
        active = [run for run in earlier if run.status in ("RUNNING", "STOPPING")]
        if len(active) >= workflow.get("MaxConcurrentRuns", len(active) + 1):
            message = f"Concurrent runs exceeded for {name}"
            raise AWSError("ConcurrentRunsExceededException", message)
        run = WorkflowRun(
            region,
            name,
            {**workflow.get("DefaultRunProperties", {}), **(properties or {})},
            earlier[-1].id if earlier else None,
            f"wr_{hashlib.sha256(account.new_id().encode()).hexdigest()}",
            batch=batch,
        )
        _workflow_runs[run.id] = run
    with held(run.id):
        for trigger in first:
            trigger.fire_alone(run.id)
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
    answers = []
    for run in reversed(found):
        answer = run.describe()
        if call.params.get("IncludeGraph"):
            answer["Graph"] = _graph(run.region, run.workflow, run)
        answers.append(answer)
    return page(call, "Runs", answers)


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


# ── what becomes of a run ────────────────────────────────────────────────────────────────────────


@contextmanager
def held(workflow_run: str | None) -> Iterator[None]:
    """While triggers are at work, a run is not over."""
    run = _workflow_runs.get(workflow_run or "")
    if run:
        with _lock:
            run.firing += 1
    try:
        yield
    finally:
        if run:
            with _lock:
                run.firing -= 1
            look_again(run.id)


@contextmanager
def noted_crawl(workflow_run: str | None, crawler: str) -> Iterator[None]:
    """A trigger of the workflow run starts a crawler."""
    run = _workflow_runs.get(workflow_run or "")
    if run:
        run.crawls[crawler] = "RUNNING"
    try:
        yield
    except AWSError:
        if run:
            del run.crawls[crawler]
        raise


def note_error(workflow_run: str | None) -> None:
    """A trigger of the workflow run could not start what it names."""
    if workflow_run in _workflow_runs:
        _workflow_runs[workflow_run].errors += 1


def waiting_for_crawl(region: str, crawler: str) -> WorkflowRun | None:
    """The workflow run that has started the crawler."""
    for run in list(_workflow_runs.values()):
        if run.region == region and run.crawls.get(crawler) == "RUNNING":
            return run
    return None


def is_over(workflow_run: str | None) -> bool:
    """Whether no trigger of the run may fire any more."""
    run = _workflow_runs.get(workflow_run or "")
    return run is not None and run.status != "RUNNING"


def look_again(workflow_run: str | None) -> None:
    """See whether a workflow run is over: nothing runs, and what could follow has been fired."""
    run = _workflow_runs.get(workflow_run or "")
    if run is None:
        return
    with _lock:
        works = run.firing or run.statistics["RunningActions"]
        if run.completed or works or not all(job.settled for job in run.jobs):
            return
        run.completed = account.now()
        run.status = "STOPPED" if run.status == "STOPPING" else "COMPLETED"


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
        for crawler, state in run.crawls.items():
            crawls = {"Crawls": [{"State": state}]}
            nodes[("CRAWLER", crawler)]["CrawlerDetails"] = crawls
        for job in run.jobs:
            entry = nodes.get(("JOB", job.name))
            if entry is not None:
                entry.setdefault("JobDetails", {"JobRuns": []})["JobRuns"].append(job.describe())
    return {"Nodes": list(nodes.values()), "Edges": edges}


def _target(action: dict[str, Any]) -> tuple[str, str]:
    if "JobName" in action:
        return "JOB", action["JobName"]
    return "CRAWLER", action["CrawlerName"]
