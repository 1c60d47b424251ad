"""Glue triggers: what starts jobs and crawlers, on demand, by the clock, or after one another.

Schedules do not come round by themselves here; `LocalAWS.fire_trigger` lets one come round.
https://docs.aws.amazon.com/glue/latest/dg/about-triggers.html
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import Any

from ... import account
from ...errors import AWSError, not_implemented
from ...gateway import Call, controls, handles
from . import crawlers, jobs, runs, workflows
from .runs import JobRun

_SCHEDULE = re.compile(r"cron\(\S+ \S+ \S+ \S+ \S+ \S+\)")


@dataclass
class Trigger:
    """A trigger. `met` are the conditions that have been met since it last fired."""

    region: str
    definition: dict[str, Any]
    state: str
    met: dict[str | None, set[int]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The trigger's name."""
        return self.definition["Name"]

    @property
    def workflow(self) -> str | None:
        """The workflow it belongs to, if any."""
        return self.definition.get("WorkflowName")

    def describe(self) -> dict[str, Any]:
        """What GetTrigger says."""
        hidden = ("Tags", "StartOnCreation")
        shown = {key: value for key, value in self.definition.items() if key not in hidden}
        return {**shown, "Id": self.name, "State": self.state}

    def fire(self, workflow_run: str | None = None) -> None:
        """Start what the trigger is to start."""
        for action in self.definition["Actions"]:
            if "CrawlerName" in action:
                crawlers.begin(self.region, action["CrawlerName"])
                workflows.note_crawl(self.region, workflow_run, action["CrawlerName"])
                continue
            params = {key: action[key] for key in ("Arguments", "Timeout") if key in action}
            run = jobs.begin(
                self.region,
                action["JobName"],
                params,
                trigger=self.name,
                workflow=self.workflow,
                workflow_run=workflow_run,
            )
            workflows.note_run(workflow_run, run)


# (region, name) -> trigger
_triggers: dict[tuple[str, str], Trigger] = account.table()
_lock = threading.RLock()


@handles("glue", "CreateTrigger")
def create(call: Call) -> dict[str, Any]:
    """Define a trigger; with StartOnCreation it is active at once."""
    params = call.params
    if (call.region, params["Name"]) in _triggers:
        raise AWSError("AlreadyExistsException", f"Trigger {params['Name']} already exists")
    _check(call.region, params)
    state = "CREATED"
    if params.get("StartOnCreation") and params["Type"] != "ON_DEMAND":
        state = "ACTIVATED"
    _triggers[call.region, params["Name"]] = Trigger(call.region, params, state)
    return {"Name": params["Name"]}


@handles("glue", "UpdateTrigger")
def update(call: Call) -> dict[str, Any]:
    """Change a trigger: what is given replaces what was there."""
    trigger = _get(call)
    changed = {**trigger.definition, **call.params["TriggerUpdate"], "Name": trigger.name}
    _check(call.region, changed)
    trigger.definition = changed
    return {"Trigger": trigger.describe()}


@handles("glue", "GetTrigger")
def get(call: Call) -> dict[str, Any]:
    """One trigger."""
    return {"Trigger": _get(call).describe()}


@handles("glue", "GetTriggers", "BatchGetTriggers")
def get_many(call: Call) -> dict[str, Any]:
    """Triggers: all, those that start a job, or those that are named."""
    names = call.params.get("TriggerNames")
    job = call.params.get("DependentJobName")
    found = [
        trigger.describe()
        for trigger in of_region(call.region)
        if names is None or trigger.name in names
        if job is None or any(a.get("JobName") == job for a in trigger.definition["Actions"])
    ]
    answer: dict[str, Any] = {"Triggers": found}
    if names is not None:
        there = {trigger["Name"] for trigger in found}
        answer["TriggersNotFound"] = [name for name in names if name not in there]
    return answer


@handles("glue", "ListTriggers")
def list_(call: Call) -> dict[str, Any]:
    """The names of the triggers."""
    return {"TriggerNames": [trigger.name for trigger in of_region(call.region)]}


@handles("glue", "DeleteTrigger")
def delete(call: Call) -> dict[str, Any]:
    """Forget a trigger. One that is not there is none to complain about."""
    _triggers.pop((call.region, call.params["Name"]), None)
    return {"Name": call.params["Name"]}


@handles("glue", "StartTrigger")
def start(call: Call) -> dict[str, Any]:
    """Fire an on-demand trigger; let another one wait for its time or its conditions."""
    trigger = _get(call)
    if trigger.definition["Type"] == "ON_DEMAND":
        if trigger.workflow:
            raise _invalid("A trigger of a workflow is started by starting the workflow.")
        trigger.fire()
    else:
        trigger.state, trigger.met = "ACTIVATED", {}
    return {"Name": trigger.name}


@handles("glue", "StopTrigger")
def stop(call: Call) -> dict[str, Any]:
    """Let a trigger wait no longer."""
    trigger = _get(call)
    trigger.state = "DEACTIVATED"
    return {"Name": trigger.name}


@controls("fire-trigger")
def fire(query: dict[str, str]) -> dict[str, Any]:
    """Let the schedule of a trigger come round once. The query names `trigger` and `region`."""
    key = (query.get("region", "us-east-1"), query.get("trigger", ""))
    if key not in _triggers:
        raise _unknown(key[1])
    trigger = _triggers[key]
    if trigger.definition["Type"] != "SCHEDULED":
        raise _invalid(f"The trigger {trigger.name} has no schedule.")
    if trigger.state != "ACTIVATED":
        return {"fired": False}
    if trigger.workflow:
        workflows.begin(trigger.region, trigger.workflow, [trigger])
    else:
        trigger.fire()
    return {"fired": True}


# ── conditions ───────────────────────────────────────────────────────────────────────────────────


def _ended(
    region: str, member: str, name: str, state: str, workflow: str | None, workflow_run: str | None
) -> None:
    """A job or crawler has ended: fire the triggers whose conditions this meets."""
    ready = []
    with _lock:
        for trigger in of_region(region):
            waits = trigger.definition["Type"] == "CONDITIONAL" and trigger.state == "ACTIVATED"
            # A trigger of a workflow looks at the runs of that workflow only.
            if not waits or trigger.workflow != workflow:
                continue
            predicate = trigger.definition["Predicate"]
            conditions = predicate["Conditions"]
            met = trigger.met.setdefault(workflow_run, set())
            wanted = "State" if member == "JobName" else "CrawlState"
            for number, condition in enumerate(conditions):
                if condition.get(member) == name and condition.get(wanted) == state:
                    met.add(number)
            enough = len(conditions) if predicate.get("Logical", "AND") == "AND" else 1
            if len(met) >= enough:
                trigger.met[workflow_run] = set()
                ready.append(trigger)
    for trigger in ready:
        trigger.fire(workflow_run)


def _job_ended(run: JobRun) -> None:
    _ended(run.region, "JobName", run.name, run.state, run.workflow, run.workflow_run)
    workflows.look_again(run.workflow_run)


def _crawler_ended(region: str, name: str, state: str) -> None:
    run = workflows.waiting_for_crawl(region, name, state)
    _ended(region, "CrawlerName", name, state, run.workflow if run else None, run and run.id)
    workflows.look_again(run and run.id)


runs.on_end.append(_job_ended)
crawlers.on_end.append(_crawler_ended)


# ── what the operations share ────────────────────────────────────────────────────────────────────


def of_region(region: str) -> list[Trigger]:
    """The triggers of a region."""
    return [trigger for (where, _), trigger in list(_triggers.items()) if where == region]


def of_workflow(region: str, name: str) -> list[Trigger]:
    """The triggers of a workflow."""
    return [trigger for trigger in of_region(region) if trigger.workflow == name]


def _check(region: str, params: dict[str, Any]) -> None:
    kind = params["Type"]
    if kind == "EVENT":
        raise not_implemented("glue", "triggers that wait for an event")
    if kind == "SCHEDULED" and not _SCHEDULE.fullmatch(params.get("Schedule", "")):
        raise _invalid(
            f"Schedule expression is not valid: {params.get('Schedule')}; write "
            "cron(Minutes Hours Day-of-month Month Day-of-week Year)."
        )
    if kind == "CONDITIONAL" and not (params.get("Predicate") or {}).get("Conditions"):
        raise _invalid("A conditional trigger needs a Predicate with Conditions.")
    if "WorkflowName" in params:
        workflows.get_workflow(region, params["WorkflowName"])
    for action in params["Actions"]:
        if ("JobName" in action) == ("CrawlerName" in action):
            raise _invalid("An action names either a job or a crawler.")
        if "JobName" in action:
            jobs.get_job(region, action["JobName"])


def _get(call: Call) -> Trigger:
    name = call.params["Name"]
    if (call.region, name) not in _triggers:
        raise _unknown(name)
    return _triggers[call.region, name]


def _invalid(message: str) -> AWSError:
    return AWSError("InvalidInputException", message)


def _unknown(name: str) -> AWSError:
    return AWSError("EntityNotFoundException", f"Trigger {name} not found.")
