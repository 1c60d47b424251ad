"""Is this a state machine? The definition is held against the language, as CreateStateMachine does.

Each finding says what is wrong and where, in AWS's words where they are known.
https://docs.aws.amazon.com/step-functions/latest/dg/concepts-amazon-states-language.html
https://docs.aws.amazon.com/step-functions/latest/apireference/API_ValidateStateMachineDefinition.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...errors import AWSError, not_implemented
from . import calls, catalog, distributed, interpreter

_COMMON = {"Type", "Comment", "QueryLanguage", "Assign"}
_PATHS = {"InputPath", "OutputPath", "ResultPath", "Parameters", "ResultSelector"}
_FLOW = {"Next", "End"}
_ERRORS = {"Retry", "Catch"}
_FIELDS: dict[str, set[str]] = {
    "Task": {
        "Resource",
        "Arguments",
        "Credentials",
        "TimeoutSeconds",
        "TimeoutSecondsPath",
        "HeartbeatSeconds",
        "HeartbeatSecondsPath",
        "Output",
        *_PATHS,
        *_FLOW,
        *_ERRORS,
    },
    "Pass": {"Result", "Output", *_PATHS, *_FLOW},
    "Choice": {"Choices", "Default", "InputPath", "OutputPath", "Output"},
    "Wait": {
        "Seconds",
        "Timestamp",
        "SecondsPath",
        "TimestampPath",
        "InputPath",
        "OutputPath",
        "Output",
        *_FLOW,
    },
    "Succeed": {"InputPath", "OutputPath", "Output"},
    "Fail": {"Error", "Cause", "ErrorPath", "CausePath"},
    "Parallel": {"Branches", "Arguments", "Output", *_PATHS, *_FLOW, *_ERRORS},
    "Map": {
        "ItemProcessor",
        "Iterator",
        "Items",
        "ItemsPath",
        "ItemSelector",
        "ItemReader",
        "ItemBatcher",
        "ResultWriter",
        "MaxConcurrency",
        "MaxConcurrencyPath",
        "ToleratedFailureCount",
        "ToleratedFailureCountPath",
        "ToleratedFailurePercentage",
        "ToleratedFailurePercentagePath",
        "Label",
        "Output",
        *_PATHS,
        *_FLOW,
        *_ERRORS,
    },
}
_REQUIRED = {"Task": ("Resource",), "Choice": ("Choices",), "Parallel": ("Branches",)}
_ONLY_DISTRIBUTED = ("ItemReader", "ItemBatcher", "ResultWriter", "ToleratedFailure", "Label")
_ONLY_JSONPATH = {*_PATHS, "ItemsPath", "SecondsPath", "TimestampPath", "ErrorPath", "CausePath"}
_ONLY_JSONATA = {"Arguments", "Output", "Items"}


@dataclass(frozen=True)
class Finding:
    """Something that is wrong. `location` is a path such as `/States/Enrich/Next`."""

    code: str
    message: str
    location: str | None = None

    def __str__(self) -> str:
        place = f" at {self.location}" if self.location is not None else ""
        return f"{self.code}: {self.message}{place}"


def check(definition: str, kind: str = "STANDARD") -> None:
    """Refuse what is not a state machine.

    Raises:
        AWSError: InvalidDefinition with all findings, or 501 for what is not carried out here.
    """
    findings = find(definition, kind)
    if findings:
        listed = ", ".join(str(finding) for finding in findings[:10])
        raise AWSError("InvalidDefinition", f"Invalid State Machine Definition: '{listed}'")


def check_state(state: dict[str, Any]) -> None:
    """Refuse what is not a state, as TestState does. Where it leads to is left open.

    Raises:
        AWSError: as `check` does.
    """
    findings = list(_state(state, "", state.get("QueryLanguage", "JSONPath"), "STANDARD"))
    if findings:
        listed = ", ".join(str(finding) for finding in findings[:10])
        raise AWSError("InvalidDefinition", f"Invalid State Machine Definition: '{listed}'")


def find(definition: str, kind: str = "STANDARD") -> list[Finding]:
    """What is wrong with a definition, in the order of the definition."""
    try:
        document = json.loads(definition)
    except ValueError as error:
        return [Finding("INVALID_JSON_DESCRIPTION", f"Invalid JSON description: {error}")]
    if not isinstance(document, dict):
        return [_schema("The definition must be a JSON object", "")]
    findings = list(_machine(document, "", "JSONPath", kind))
    if not findings:
        findings = _read_by_moto(definition)
    return findings


def _schema(message: str, location: str) -> Finding:
    return Finding("SCHEMA_VALIDATION_FAILED", message, location)


def _read_by_moto(definition: str) -> list[Finding]:
    """What moto's parser, which runs it, says of it in the end."""
    from moto.stepfunctions.parser.asl.parse.asl_parser import (
        AmazonStateLanguageParser,
        ASLParserException,
    )

    try:
        AmazonStateLanguageParser.parse(definition)
    except ASLParserException as error:
        return [_schema(str(error), "")]
    except Exception as error:
        return [_schema(f"{type(error).__name__}: {error}", "")]
    return []


# ── machines: the whole, a branch, an item processor ─────────────────────────────────────────────


def _machine(node: dict[str, Any], place: str, language: str, kind: str) -> Iterator[Finding]:
    states = node.get("States")
    missing = [name for name in ("StartAt", "States") if name not in node]
    if missing:
        yield _schema(f"These fields are required: [{', '.join(missing)}]", place or "/")
        return
    if not isinstance(states, dict) or not states:
        yield _schema("The field 'States' must be a non-empty object", f"{place}/States")
        return
    language = node.get("QueryLanguage", language)
    if language not in ("JSONPath", "JSONata"):
        yield _schema(f"Unknown query language {language!r}", f"{place}/QueryLanguage")
        return
    if node["StartAt"] not in states:
        message = f"Missing 'Next' target: {node['StartAt']}"
        yield Finding("MISSING_TRANSITION_TARGET", message, f"{place}/StartAt")
    well_formed = True
    for name, state in states.items():
        where = f"{place}/States/{name}"
        if not isinstance(state, dict):
            well_formed = False
            yield _schema("A state must be an object", where)
            continue
        yield from _state(state, where, language, kind)
    if well_formed:
        yield from _transitions(node["StartAt"], states, place)


def _transitions(start: str, states: dict[str, Any], place: str) -> Iterator[Finding]:
    """Whether every transition leads somewhere, every state is reached, and one is the last."""
    targets = {name: list(_targets(state)) for name, state in states.items()}
    for name, found in targets.items():
        for target, field in found:
            if target not in states:
                where = f"{place}/States/{name}/{field}"
                message = f"Missing 'Next' target: {target}"
                yield Finding("MISSING_TRANSITION_TARGET", message, where)
    last = ("Succeed", "Fail")
    if not any(state.get("End") or state.get("Type") in last for state in states.values()):
        yield Finding("MISSING_END_STATE", "Workflow has no terminal state")
        return
    reached, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name in reached or name not in states:
            continue
        reached.add(name)
        waiting += [target for target, _ in targets[name]]
    for name in states:
        if name not in reached and start in states:
            message = f'State "{name}" is not reachable.'
            yield Finding("MISSING_TRANSITION_TARGET", message, f"{place}/States/{name}")


def _targets(state: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for field in ("Next", "Default"):
        if isinstance(state.get(field), str):
            yield state[field], field
    for field in ("Choices", "Catch"):
        for place, item in enumerate(state.get(field) or []):
            if isinstance(item, dict) and isinstance(item.get("Next"), str):
                yield item["Next"], f"{field}[{place}]/Next"


# ── states ───────────────────────────────────────────────────────────────────────────────────────


def _state(state: dict[str, Any], where: str, language: str, kind: str) -> Iterator[Finding]:
    type_ = state.get("Type")
    if type_ not in _FIELDS:
        shown = "These fields are required: [Type]" if type_ is None else f"Unknown type: {type_}"
        yield _schema(shown, f"{where}/Type" if type_ else where)
        return
    language = state.get("QueryLanguage", language)
    if language == "JSONata" and not interpreter.has_jsonata():
        raise not_implemented("stepfunctions", "JSONata without the package jsonata-python")
    other = _ONLY_JSONPATH if language == "JSONata" else _ONLY_JSONATA
    for field in state:
        if field not in _FIELDS[type_] | _COMMON:
            yield _schema(f"Field '{field}' is not supported", where)
        elif field in other:
            message = f"The field '{field}' is not supported with query language {language}"
            yield _schema(message, f"{where}/{field}")
    missing = [name for name in _REQUIRED.get(type_, ()) if name not in state]
    if missing:
        yield _schema(f"These fields are required: [{', '.join(missing)}]", where)
    if _FIELDS[type_] >= _FLOW and ("Next" in state) == bool(state.get("End")):
        yield _schema("A state must have either 'Next' or 'End'", where)
    for field in _ERRORS & set(state):
        yield from _handlers(state[field], field, where)
    if type_ == "Task":
        yield from _task(state, where, kind)
    elif type_ == "Choice":
        yield from _choices(state.get("Choices"), where)
    elif type_ == "Parallel":
        for place, branch in enumerate(state.get("Branches") or []):
            yield from _machine(branch, f"{where}/Branches[{place}]", language, kind)
    elif type_ == "Map":
        yield from _map(state, where, language, kind)


def _choices(choices: Any, where: str) -> Iterator[Finding]:
    if not isinstance(choices, list) or not choices:
        yield _schema("The field 'Choices' must be a non-empty array", f"{where}/Choices")
        return
    for place, choice in enumerate(choices):
        if not isinstance(choice, dict) or "Next" not in choice:
            yield _schema("These fields are required: [Next]", f"{where}/Choices[{place}]")


def _handlers(handlers: Any, field: str, where: str) -> Iterator[Finding]:
    """Retriers and catchers: who is caught, and that `States.ALL` stands alone and last."""
    needed = ("ErrorEquals", "Next") if field == "Catch" else ("ErrorEquals",)
    for place, handler in enumerate(handlers if isinstance(handlers, list) else []):
        at = f"{where}/{field}[{place}]"
        missing = [name for name in needed if name not in handler]
        if missing:
            yield _schema(f"These fields are required: [{', '.join(missing)}]", at)
            continue
        names = handler["ErrorEquals"]
        if not isinstance(names, list) or not names:
            yield _schema("The field 'ErrorEquals' must be a non-empty array", f"{at}/ErrorEquals")
        elif "States.ALL" in names and (len(names) > 1 or place < len(handlers) - 1):
            message = "'States.ALL' must appear alone and in the last element"
            yield _schema(message, f"{at}/ErrorEquals")
    if not isinstance(handlers, list):
        yield _schema(f"The field '{field}' must be an array", f"{where}/{field}")


def _task(state: dict[str, Any], where: str, kind: str) -> Iterator[Finding]:
    resource = state.get("Resource")
    if not isinstance(resource, str):
        return
    if resource.startswith("arn:aws:lambda:"):
        return
    if ":activity:" in resource:
        raise not_implemented("stepfunctions", f"a Task of an activity ({resource})")
    try:
        integration = catalog.parse(resource)
    except catalog.NotCarriedOut:
        raise not_implemented("stepfunctions", f"the integration {resource}") from None
    except catalog.Unknown:
        message = (
            f"The resource provided {resource} is not recognized. The value is not a valid "
            "resource ARN, or the resource is not available in this region."
        )
        yield _schema(message, f"{where}/Resource")
        return
    if integration.pattern and kind == "EXPRESS":
        message = (
            f"Express state machine does not support '.{integration.pattern}' service integration"
        )
        yield _schema(message, f"{where}/Resource")
    parameters = state.get("Parameters") or state.get("Arguments") or {}
    field = "Arguments" if "Arguments" in state else "Parameters"
    shape = integration.operation.input_shape
    if not isinstance(parameters, dict) or shape is None:
        return
    known = {calls.member_key(name) for name in shape.members}
    known |= {"Body", "Input", "Payload"} if integration.optimized else set()
    for name in parameters:
        if name.removesuffix(".$") not in known:
            message = f'The field "{name}" is not supported by Step Functions'
            yield _schema(message, f"{where}/{field}")
    given = {name.removesuffix(".$") for name in parameters}
    for name in shape.required_members:
        if calls.member_key(name) not in given and integration.optimized != "bedrock":
            message = f'The field "{calls.member_key(name)}" is required but was missing'
            yield _schema(message, f"{where}/{field}")


def _map(state: dict[str, Any], where: str, language: str, kind: str) -> Iterator[Finding]:
    processors = [name for name in ("ItemProcessor", "Iterator") if name in state]
    if len(processors) != 1:
        yield _schema("These fields are required: [ItemProcessor]", where)
        return
    processor = state[processors[0]]
    spread = interpreter.is_distributed(state)
    inner = (processor.get("ProcessorConfig") or {}).get("ExecutionType", "STANDARD")
    yield from _machine(processor, f"{where}/{processors[0]}", language, inner if spread else kind)
    if not spread:
        for field in state:
            if field.startswith(_ONLY_DISTRIBUTED):
                message = f"The field '{field}' is only supported in DISTRIBUTED mode"
                yield _schema(message, f"{where}/{field}")
        return
    if kind == "EXPRESS":
        message = "Express state machine does not support Map state of DISTRIBUTED mode"
        yield _schema(message, where)
    reader = state.get("ItemReader") or {}
    allowed = tuple(f"arn:aws:states:::s3:{name}" for name in ("getObject", "listObjectsV2"))
    if reader and reader.get("Resource") not in allowed:
        message = f"The resource provided {reader.get('Resource')} is not recognized."
        yield _schema(message, f"{where}/ItemReader/Resource")
    read = reader.get("ReaderConfig") or {}
    if read.get("InputType", "JSON") not in distributed.INPUT_TYPES or "Transformation" in read:
        what = read.get("InputType") if "Transformation" not in read else "Transformation"
        raise not_implemented("stepfunctions", f"an ItemReader with {what}")
