"""Glue triggers: what starts jobs and crawlers, on demand, by the clock, or after one another.

Schedules do not come round by themselves here; `LocalAWS.fire_trigger` lets one come round. A
trigger that waits for an event begins a workflow that is the target of an EventBridge rule.
https://docs.aws.amazon.com/glue/latest/dg/about-triggers.html
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from typing import Any

from ... import account
from ...errors import AWSError
from ...gateway import Call, controls, handles
from ...jobs import Job
from . import crawlers, jobs, runs, tagging, workflows
from .pages import page
from .runs import JobRun

_KEPT = ("Name", "Type", "WorkflowName", "Tags")
_CRAWL_ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")
_BATCH_WINDOW = 900  # seconds
_SCHEDULE = re.compile(r"cron\(\S+ \S+ \S+ \S+ \S+ \S+\)")


@dataclass
class Trigger:
    """A trigger.

    Attributes:
        met: the conditions that have been met since it last fired, for each run of its workflow.
        events: the ids of the events that have come since it last fired.
    """

    region: str
    definition: dict[str, Any]
    state: str
    met: dict[str | None, set[int]] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)

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
        """Start what the trigger is to start.

        Raises:
            AWSError: what the first action that cannot be started says.
        """
        for action in self.definition["Actions"]:
            self._start(action, workflow_run)

    def fire_alone(self, workflow_run: str | None = None) -> None:
        """Start what can be started; nobody is there to hear of the rest.

        A job with too many runs has one more that has failed; what is not there any more counts as
        an action in error.
        """
        with workflows.held(workflow_run):
            for action in self.definition["Actions"]:
                try:
                    self._start(action, workflow_run)
                except AWSError as error:
                    if error.code == "ConcurrentRunsExceededException":
                        self._show_failed(action, workflow_run)
                    else:
                        workflows.note_error(workflow_run)

    def _start(self, action: dict[str, Any], workflow_run: str | None) -> None:
        if "CrawlerName" in action:
            with workflows.noted_crawl(workflow_run, action["CrawlerName"]):
                crawlers.begin(self.region, action["CrawlerName"])
            return
        origin = self._origin(workflow_run)
        jobs.begin(self.region, action["JobName"], _params(action), **origin)

    def _show_failed(self, action: dict[str, Any], workflow_run: str | None) -> None:
        origin = self._origin(workflow_run)
        why = "Max concurrent runs exceeded"
        jobs.begin_failed(self.region, action["JobName"], _params(action), why, **origin)

    def _origin(self, workflow_run: str | None) -> dict[str, str | None]:
        return {"trigger": self.name, "workflow": self.workflow, "workflow_run": workflow_run}


def _params(action: dict[str, Any]) -> dict[str, Any]:
    """What an action says of a run, in the words of StartJobRun."""
    members = ("Arguments", "Timeout", "NotificationProperty", "SecurityConfiguration")
    return {key: action[key] for key in members if key in action}


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
    if params.get("StartOnCreation"):
        if params["Type"] == "ON_DEMAND":
            raise _invalid("StartOnCreation is not supported for a trigger of type ON_DEMAND.")
        state = "ACTIVATED"
    _triggers[call.region, params["Name"]] = Trigger(call.region, params, state)
    tagging.tag(call.region, "trigger", params["Name"], params.get("Tags"))
    return {"Name": params["Name"]}


@handles("glue", "UpdateTrigger")
def update(call: Call) -> dict[str, Any]:
    """Put a new definition in the place of the old one, whole; type and workflow stay."""
    trigger = _get(call)
    kept = {key: trigger.definition[key] for key in _KEPT if key in trigger.definition}
    changed = {**call.params["TriggerUpdate"], **kept}
    if not changed.get("Actions"):
        raise _invalid("Actions must be given: an update replaces the definition whole.")
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
    if names is None:
        return page(call, "Triggers", found)
    there = {trigger["Name"] for trigger in found}
    return {"Triggers": found, "TriggersNotFound": [name for name in names if name not in there]}


@handles("glue", "ListTriggers")
def list_(call: Call) -> dict[str, Any]:
    """The names of the triggers; those that start a job, or that carry tags."""
    job, tags = call.params.get("DependentJobName"), call.params.get("Tags")
    names = [
        trigger.name
        for trigger in of_region(call.region)
        if job is None or any(a.get("JobName") == job for a in trigger.definition["Actions"])
        if tagging.has(call.region, "trigger", trigger.name, tags)
    ]
    return page(call, "TriggerNames", names)


@handles("glue", "DeleteTrigger")
def delete(call: Call) -> dict[str, Any]:
    """Forget a trigger. One that is not there is none to complain about."""
    forget(call.region, call.params["Name"])
    return {"Name": call.params["Name"]}


@handles("glue", "StartTrigger")
def start(call: Call) -> dict[str, Any]:
    """Fire an on-demand trigger; let another one wait for its time or its conditions."""
    trigger = _get(call)
    if trigger.definition["Type"] == "ON_DEMAND":
        if trigger.workflow:
            workflows.begin(call.region, trigger.workflow, [trigger])
        else:
            trigger.fire()
    else:
        trigger.state, trigger.met, trigger.events = "ACTIVATED", {}, []
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
        trigger.fire_alone()
    return {"fired": True}


# ── events ───────────────────────────────────────────────────────────────────────────────────────


def notify(region: str, workflow: str, event_id: str) -> None:
    """An event has come for a workflow: begin it, once there are as many as its trigger waits for.

    https://docs.aws.amazon.com/glue/latest/dg/starting-workflow-eventbridge.html

    Raises:
        AWSError: EntityNotFoundException, or InvalidInputException if no trigger waits for events.
    """
    workflows.get_workflow(region, workflow)
    waiting = [
        trigger
        for trigger in of_workflow(region, workflow)
        if trigger.definition["Type"] == "EVENT" and trigger.state != "DEACTIVATED"
    ]
    if not waiting:
        raise _invalid(f"Workflow {workflow} has no trigger that waits for an event.")
    for trigger in waiting:
        with _lock:
            trigger.events.append(event_id)
            batch = trigger.definition.get("EventBatchingCondition") or {"BatchSize": 1}
            full = len(trigger.events) >= batch["BatchSize"]
            is_first = len(trigger.events) == 1
        if full:
            _begin_batch(trigger)
        elif is_first:
            _begin_after(trigger, batch.get("BatchWindow", _BATCH_WINDOW), event_id)


def _begin_after(trigger: Trigger, seconds: float, first_event: str) -> None:
    """Begin the workflow when the time is over, unless its batch was full before."""

    def wait(job: Job) -> None:
        if not job.stop_requested.wait(seconds) and first_event in trigger.events:
            _begin_batch(trigger)

    name = f"events of {trigger.name}"
    Job(name, trigger.region, status="RUNNING", failed="FAILED").start(wait)


def _begin_batch(trigger: Trigger) -> None:
    with _lock:
        events, trigger.events = trigger.events, []
    if events:
        properties = {"aws:eventIds": json.dumps(events)}
        workflows.begin(trigger.region, trigger.workflow, [trigger], properties, len(events))


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
            if not waits or trigger.workflow != workflow or workflows.is_over(workflow_run):
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
        trigger.fire_alone(workflow_run)


def _job_ended(run: JobRun) -> None:
    _ended(run.region, "JobName", run.name, run.state, run.workflow, run.workflow_run)
    run.settled = True
    workflows.look_again(run.workflow_run)


def _crawler_ended(region: str, name: str, state: str) -> None:
    run = workflows.waiting_for_crawl(region, name)
    with workflows.held(run and run.id):
        if run:
            run.crawls[name] = state
        _ended(region, "CrawlerName", name, state, run.workflow if run else None, run and run.id)


runs.on_end.append(_job_ended)
crawlers.on_end.append(_crawler_ended)


# ── what the operations share ────────────────────────────────────────────────────────────────────


def of_region(region: str) -> list[Trigger]:
    """The triggers of a region."""
    return [trigger for (where, _), trigger in list(_triggers.items()) if where == region]


def of_workflow(region: str, name: str) -> list[Trigger]:
    """The triggers of a workflow."""
    return [trigger for trigger in of_region(region) if trigger.workflow == name]


def forget(region: str, name: str) -> None:
    """Drop a trigger, if there is one."""
    if _triggers.pop((region, name), None):
        tagging.forget(region, "trigger", name)


def _check(region: str, params: dict[str, Any]) -> None:
    kind = params["Type"]
    if kind == "EVENT" and "WorkflowName" not in params:
        raise _invalid("A trigger of type EVENT begins a workflow: give WorkflowName.")
    if kind == "SCHEDULED" and not _SCHEDULE.fullmatch(params.get("Schedule", "")):
        raise _invalid(
            f"Schedule expression is not valid: {params.get('Schedule')}; write "
            "cron(Minutes Hours Day-of-month Month Day-of-week Year)."
        )
    if kind == "CONDITIONAL":
        _check_predicate(region, params.get("Predicate") or {})
    if "WorkflowName" in params:
        workflows.get_workflow(region, params["WorkflowName"])
    for action in params["Actions"]:
        if ("JobName" in action) == ("CrawlerName" in action):
            raise _invalid("An action names either a job or a crawler.")
        if "JobName" in action:
            jobs.get_job(region, action["JobName"])


def _check_predicate(region: str, predicate: dict[str, Any]) -> None:
    conditions = predicate.get("Conditions") or []
    if not conditions:
        raise _invalid("A conditional trigger needs a Predicate with Conditions.")
    if len(conditions) > 1 and "Logical" not in predicate:
        raise _invalid("A Predicate with several Conditions needs Logical: AND or ANY.")
    for condition in conditions:
        if "JobName" in condition:
            jobs.get_job(region, condition["JobName"])
        states = runs.ENDED if "JobName" in condition else _CRAWL_ENDED
        state = condition.get("State" if "JobName" in condition else "CrawlState")
        if state not in states:
            raise _invalid(f"A condition waits for one of {', '.join(states)}, not {state}.")


def _get(call: Call) -> Trigger:
    name = call.params["Name"]
    if (call.region, name) not in _triggers:
        raise _unknown(name)
    return _triggers[call.region, name]


def _invalid(message: str) -> AWSError:
    return AWSError("InvalidInputException", message)


def _unknown(name: str) -> AWSError:
    return AWSError("EntityNotFoundException", f"Trigger {name} not found.")
