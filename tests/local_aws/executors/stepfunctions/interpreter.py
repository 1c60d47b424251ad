"""moto's interpreter of the Amazon States Language, with what it lacks.

`triggers` puts these functions in the place of moto's own. moto's grammar knows neither
`ItemBatcher` nor some readers and writers of Distributed Map: those fields are taken out of a
definition before it is read, and given to the Map state afterwards (`distributed`).
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from . import calls, distributed, tasks

_MOST_INLINE = 40  # iterations of an inline Map that run at a time, on AWS


def parse(definition: str, original: Callable[[str], tuple[Any, Any]]) -> tuple[Any, Any]:
    """Read a definition with moto's parser; Distributed Maps are given what they need."""
    document = json.loads(definition)
    program, tree = original(json.dumps(_plain(document)))
    language = document.get("QueryLanguage", "JSONPath")
    _attach(program.states.states, document.get("States", {}), language)
    return program, tree


def _plain(node: Any) -> Any:
    """The definition without what moto's grammar does not know."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("Type") == "Map" and ("ItemProcessor" in node or "Iterator" in node):
        if is_distributed(node):
            node = distributed.plain(node)
        elif not node.get("MaxConcurrency") and "MaxConcurrencyPath" not in node:
            node = {**node, "MaxConcurrency": _MOST_INLINE}
    return {key: _plain(value) for key, value in node.items()}


def is_distributed(state: dict[str, Any]) -> bool:
    """Whether a Map state starts an execution for each item or batch."""
    processor = state.get("ItemProcessor") or {}
    return (processor.get("ProcessorConfig") or {}).get("Mode") == "DISTRIBUTED"


def _attach(components: dict[str, Any], states: dict[str, Any], language: str) -> None:
    for name, state in states.items():
        component = components[name]
        if state["Type"] == "Map":
            inner = state.get("ItemProcessor") or state.get("Iterator")
            if is_distributed(state):
                distributed.attach(component, state, state.get("QueryLanguage", language))
            else:
                _attach(component.iteration_component._states.states, inner["States"], language)
        elif state["Type"] == "Parallel":
            for program, branch in zip(component.branches.programs, state["Branches"], strict=True):
                _attach(program.states.states, branch["States"], language)


def task_for(service_name: str) -> tasks.ServiceTask:
    """The Task state for a service."""
    return tasks.ServiceTask()


def client_for(region: str, service: str, state_credentials: Any = None) -> Any:
    """The client of a Task state that names a function directly."""
    return calls.client(service, region, state_credentials.role_arn)


def choose(state: Any, env: Any, original: Callable[[Any, Any], None]) -> None:
    """Evaluate the rules of a Choice state; that none holds is an error with a name."""
    from moto.stepfunctions.parser.api import ExecutionFailedEventDetails, HistoryEventType
    from moto.stepfunctions.parser.asl.component.common.error_name import (
        error_name,
        failure_event,
    )
    from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails

    try:
        original(state, env)
    except RuntimeError as fault:
        if not str(fault.args[0]).startswith("No branching option"):
            raise
        name = "States.NoChoiceMatched"
        cause = f"No choice rule of the state '{state.name}' matched, and it has no Default."
        details = ExecutionFailedEventDetails(error=name, cause=cause)
        event = failure_event.FailureEvent(
            env=env,
            error_name=error_name.ErrorName(error_name=name),
            event_type=HistoryEventType.ExecutionFailed,
            event_details=EventDetails(executionFailedEventDetails=details),
        )
        raise failure_event.FailureEventException(event) from None


# ── JSONPath ─────────────────────────────────────────────────────────────────────────────────────

_INDEFINITE = re.compile(r"\.\.|\*|\?\(|\[[^\]'\"]*[:,][^\]]*\]")
_path_lock = threading.Lock()


@lru_cache(maxsize=512)
def _parsed(path: str) -> Any:
    from jsonpath_ng.ext import parse as parse_path

    with _path_lock:
        return parse_path(path)


def extract(path: str, data: Any) -> Any:
    """What is at a path: the one value of a definite path, the list of any other.

    Raises:
        NoSuchJsonPathError: a definite path leads nowhere.
    """
    from moto.stepfunctions.parser.asl.utils.json_path import NoSuchJsonPathError

    found = [match.value for match in _parsed(path).find(data)]
    if _INDEFINITE.search(path):
        return found
    if not found:
        raise NoSuchJsonPathError(json_path=path, data=data)
    return found[0]


# ── JSONata ──────────────────────────────────────────────────────────────────────────────────────


def has_jsonata() -> bool:
    """Whether the package that evaluates JSONata is installed."""
    try:
        import jsonata  # noqa: F401
    except ImportError:
        return False
    return True


def evaluate(expression: str) -> Any:
    """The value of a JSONata expression that declares all its variables itself.

    Raises:
        JSONataException: as moto's interpreter expects it.
    """
    import jsonata
    from moto.stepfunctions.parser.asl.jsonata.jsonata import JSONataException

    try:
        return _as_json(jsonata.Jsonata(expression).evaluate(None))
    except jsonata.JException as error:
        raise JSONataException("UNKNOWN", str(error)) from None


def evaluate_string(component: Any, env: Any, original: Callable[[Any, Any], None]) -> None:
    """Evaluate an expression of a state; one that cannot be is the state's error."""
    from moto.stepfunctions.parser.api import EvaluationFailedEventDetails, HistoryEventType
    from moto.stepfunctions.parser.asl.component.common.error_name import failure_event
    from moto.stepfunctions.parser.asl.component.common.error_name.error_name import (
        ErrorName,
    )
    from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
    from moto.stepfunctions.parser.asl.jsonata.jsonata import JSONataException

    try:
        original(component, env)
    except JSONataException as error:
        name = "States.QueryEvaluationError"
        cause = f"The JSONata expression '{component.expression}' threw an error. {error.details}"
        details = EvaluationFailedEventDetails(
            error=name, cause=cause, state=env.next_state_name, location=env.next_field_name
        )
        event = failure_event.FailureEvent(
            env=env,
            error_name=ErrorName(error_name=name),
            event_type=HistoryEventType.EvaluationFailed,
            event_details=EventDetails(evaluationFailedEventDetails=details),
        )
        raise failure_event.FailureEventException(event) from None


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def declarations(bindings: dict[str, Any]) -> str:
    """Variables as assignments; moto leaves quotes and line breaks in a text as they are."""
    from moto.stepfunctions.parser.asl.utils.encoding import to_json_str

    return "".join(f"{name}:={to_json_str(value)};" for name, value in bindings.items())
