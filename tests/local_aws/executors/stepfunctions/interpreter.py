"""moto's interpreter of the Amazon States Language, with what it lacks.

`triggers` puts these functions in the place of moto's own. moto's grammar knows neither
`ItemBatcher` nor some readers and writers of Distributed Map: those fields are taken out of a
definition before it is read, and given to the Map state afterwards (`distributed`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
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
            node = {key: value for key, value in node.items() if key not in distributed.FIELDS}
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
