"""A template: its sections, parameters, conditions, references, and the order they ask for.

The intrinsic functions are evaluated by moto, which knows them all; what it is given here are the
resources as this package has made them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from moto.cloudformation.exceptions import MissingParameterError, UnsupportedAttribute
from moto.cloudformation.exceptions import ValidationError as MotoValidationError
from moto.cloudformation.models import Stack
from moto.cloudformation.parsing import ResourceMap, clean_json

from ...errors import AWSError

_SECTIONS = {
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Rules",
    "Mappings",
    "Conditions",
    "Transform",
    "Resources",
    "Outputs",
    "Hooks",
}
_MOST_BYTES = 51_200  # of a TemplateBody
_PSEUDO = "AWS::"


def invalid(message: str) -> AWSError:
    """The error that CloudFormation answers nearly everything with."""
    return AWSError("ValidationError", message)


def parse(body: str) -> dict[str, Any]:
    """The template in a text, YAML or JSON.

    Raises:
        AWSError: ValidationError, as CloudFormation words it.
    """
    if len(body.encode()) > _MOST_BYTES:
        raise invalid(
            "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: "
            f"Member must have length less than or equal to {_MOST_BYTES}"
        )
    try:
        template = Stack.parse_template(body)
    except ValueError as error:
        raise invalid(f"Template format error: {error}") from None
    if not isinstance(template, dict):
        raise invalid("Template format error: unsupported structure.")
    unknown = sorted(set(template) - _SECTIONS)
    if unknown:
        raise invalid(f"Invalid template property or properties [{', '.join(unknown)}]")
    if template.get("Transform"):
        raise AWSError(
            "NotImplemented",
            "The offline AWS does not carry out macros (Transform) of CloudFormation.",
            status=501,
        )
    if not template.get("Resources"):
        raise invalid("Template format error: At least one Resources member must be defined.")
    for name, resource in template["Resources"].items():
        if not isinstance(resource, dict) or "Type" not in resource:
            raise invalid(
                f"Template format error: [/Resources/{name}] Every Resources object must "
                "contain a Type member."
            )
    _check_references(template)
    in_order(template["Resources"])
    return template


def _check_references(template: dict[str, Any]) -> None:
    known = set(template["Resources"]) | set(template.get("Parameters") or {})
    for section in ("Resources", "Outputs"):
        missing = {
            name
            for name in _references(template.get(section) or {})
            if name not in known and not name.startswith(_PSEUDO)
        }
        if missing:
            raise invalid(
                f"Template format error: Unresolved resource dependencies "
                f"[{', '.join(sorted(missing))}] in the {section} block of the template"
            )


def _references(value: Any) -> Iterator[str]:
    """The logical names that a part of a template refers to."""
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        if key == "Ref":
            yield item
        elif key == "Fn::GetAtt":
            yield item[0] if isinstance(item, list) else item.partition(".")[0]
        elif key == "Fn::Sub":
            text, given = (item, {}) if isinstance(item, str) else item
            names = re.findall(r"\$\{([^!}][^}]*)\}", text)
            yield from (n for n in (x.partition(".")[0] for x in names) if n not in given)
            yield from _references(list(given.values()))
        elif key == "DependsOn":
            yield from [item] if isinstance(item, str) else item
        else:
            yield from _references(item)


def in_order(resources: dict[str, Any]) -> list[str]:
    """The logical names, each after those that it refers to.

    Raises:
        AWSError: ValidationError if they refer to each other in a circle.
    """
    waiting = {name: set(_references(body)) & set(resources) for name, body in resources.items()}
    order: list[str] = []
    while waiting:
        ready = [name for name, needs in waiting.items() if not needs - set(order)]
        if not ready:
            raise invalid(f"Circular dependency between resources: [{', '.join(sorted(waiting))}]")
        order += ready
        for name in ready:
            del waiting[name]
    return order


def parameters_of(template: dict[str, Any], given: dict[str, str]) -> dict[str, str]:
    """The values of all parameters: given or default.

    Raises:
        AWSError: ValidationError if one is missing, unknown, or breaks its constraints.
    """
    declared = template.get("Parameters") or {}
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise invalid(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    values = {name: given.get(name, spec.get("Default")) for name, spec in declared.items()}
    missing = [name for name, value in values.items() if value is None]
    if missing:
        raise invalid(f"Parameters: [{', '.join(missing)}] must have values")
    for name, value in values.items():
        _check_parameter(name, str(value), declared[name])
    return {name: str(value) for name, value in values.items()}


def _check_parameter(name: str, value: str, spec: dict[str, Any]) -> None:
    allowed = spec.get("AllowedValues")
    if allowed and value not in map(str, allowed):
        raise invalid(
            f"Template error: Parameter '{name}' must be one of AllowedValues"
            if "ConstraintDescription" not in spec
            else f"Parameter '{name}' failed to satisfy constraint: {spec['ConstraintDescription']}"
        )
    pattern = spec.get("AllowedPattern")
    if pattern and not re.fullmatch(pattern, value):
        reason = spec.get("ConstraintDescription", f"must match pattern {pattern}")
        raise invalid(f"Parameter '{name}' failed to satisfy constraint: {reason}")
    for limit, wrong in (
        ("MinLength", lambda most: len(value) < most),
        ("MaxLength", lambda most: len(value) > most),
        ("MinValue", lambda most: float(value) < most),
        ("MaxValue", lambda most: float(value) > most),
    ):
        if limit in spec and wrong(float(spec[limit])):
            raise invalid(
                f"Template error: Parameter '{name}' breaks its {limit} of {spec[limit]}: {value}"
            )


class Scope(Mapping[str, Any]):
    """What a template's functions see: parameters, mappings, pseudo parameters, resources.

    Args:
        stack_id, stack_name, region, account_id: for the pseudo parameters.
        template: a parsed template.
        parameters: the values of its parameters.
        exports: of other stacks, as moto's `Export`, by name.
    """

    def __init__(
        self,
        stack_id: str,
        stack_name: str,
        region: str,
        account_id: str,
        template: dict[str, Any],
        parameters: dict[str, str],
        exports: dict[str, Any],
    ) -> None:
        self.cross_stack_resources = exports
        self.resources: dict[str, Any] = {}
        self._parsed = ResourceMap(
            stack_id, stack_name, parameters, {}, region, account_id, template, exports
        )
        try:
            self._parsed.load_mapping()
            self._parsed.load_parameters()
            self._parsed.load_conditions()
        except (MotoValidationError, MissingParameterError, UnsupportedAttribute) as error:
            raise invalid(error.description) from None
        self.lazy_condition_map = self._parsed.lazy_condition_map

    def __getitem__(self, name: str) -> Any:
        if name in self.resources:
            return self.resources[name]
        return self._parsed._parsed_resources[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.resources)

    def __len__(self) -> int:
        return len(self.resources)

    def holds(self, condition: str | None) -> bool:
        """Whether a condition of the template is met; True where there is none."""
        return condition is None or self.lazy_condition_map[condition]

    def evaluate(self, value: Any) -> Any:
        """A part of the template with its functions carried out."""
        return clean_json(value, self)
