"""The schemas of resource types, as AWS publishes them in CloudFormation's registry.

cfn-lint carries a copy of all of them; CloudFormation checks a resource's properties against the
same schemas before it calls the service.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any

from jsonschema import Draft7Validator

_SCHEMAS = "cfnlint.data.schemas"


@functools.cache
def _index(region: str) -> dict[str, str]:
    file = resources.files(_SCHEMAS) / "providers" / f"{region}.json"
    return json.loads(file.read_text()) if file.is_file() else _index("us-east-1")


@functools.cache
def schema_of(type_name: str, region: str) -> dict[str, Any] | None:
    """The registry's schema of a resource type; None if AWS has no such type in the region."""
    name = _index(region).get(type_name)
    if name is None:
        return None
    return json.loads((resources.files(_SCHEMAS) / "resources" / f"{name}.json").read_text())


def problems(properties: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    """What is wrong with a resource's properties, in CloudFormation's words; [] if nothing is."""
    found = []
    for error in Draft7Validator(schema).iter_errors(properties):
        pointer = "#" + "".join(f"/{part}" for part in error.absolute_path)
        if error.validator == "additionalProperties":
            known = set(error.schema.get("properties", {}))
            extra = ", ".join(sorted(set(error.instance) - known))
            found.append(f"{pointer}: extraneous key [{extra}] is not permitted")
        elif error.validator == "required":
            missing = [key for key in error.validator_value if key not in error.instance]
            found.append(f"{pointer}: required key [{missing[0]}] not found")
        else:
            found.append(f"{pointer}: {error.message}")
    return sorted(set(found))


def coerced(value: Any, part: dict[str, Any], schema: dict[str, Any]) -> Any:
    """The value in the type that the schema asks for: templates may write numbers as text."""
    while "$ref" in part:
        part = functools.reduce(lambda at, key: at[key], part["$ref"][2:].split("/"), schema)
    kinds = part.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if isinstance(value, dict):
        inner = part.get("properties", {})
        rest = next(iter(part.get("patternProperties", {}).values()), {})
        return {key: coerced(item, inner.get(key, rest), schema) for key, item in value.items()}
    if isinstance(value, list):
        return [coerced(item, part.get("items", {}), schema) for item in value]
    if isinstance(value, str) and "string" not in kinds:
        return _from_text(value, kinds)
    if isinstance(value, int | float) and kinds == ["string"]:
        return str(value).lower() if isinstance(value, bool) else str(value)
    return value


def _from_text(text: str, kinds: list[Any]) -> Any:
    if "boolean" in kinds and text.lower() in ("true", "false"):
        return text.lower() == "true"
    for name, kind in (("integer", int), ("number", float)):
        if name in kinds:
            try:
                return kind(text)
            except ValueError:
                continue
    return text


def readable(schema: dict[str, Any]) -> set[str]:
    """The attributes that `Fn::GetAtt` may ask of a type."""
    return {
        pointer.removeprefix("/properties/").replace("/", ".")
        for pointer in schema.get("readOnlyProperties", [])
    }


def needs_replacement(old: dict[str, Any], new: dict[str, Any], schema: dict[str, Any]) -> bool:
    """Whether what differs cannot be changed in place: one of the type's create-only properties."""
    for pointer in schema.get("createOnlyProperties", []):
        path = pointer.removeprefix("/properties/").split("/")
        if _at(old, path) != _at(new, path):
            return True
    return False


def _at(value: Any, path: list[str]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def with_tags(
    properties: dict[str, Any], tags: dict[str, str], schema: dict[str, Any]
) -> dict[str, Any]:
    """The properties with the stack's tags, where the type can be tagged; its own tags win."""
    tagging = schema.get("tagging", {})
    if not tags or not tagging.get("taggable", False):
        return properties
    name = tagging.get("tagProperty", "/properties/Tags").removeprefix("/properties/")
    own = properties.get(name)
    part = schema["properties"].get(name, {})
    if part.get("type") == "array":
        own = {tag["Key"]: tag["Value"] for tag in own or []}
        merged: Any = [{"Key": key, "Value": value} for key, value in {**tags, **own}.items()]
    else:
        merged = {**tags, **(own or {})}
    return {**properties, name: merged}
