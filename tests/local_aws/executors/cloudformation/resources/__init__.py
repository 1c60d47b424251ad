"""Resource types: how each is made, changed and removed, by calls to its service.

A type is a class with three functions. `aws` gives the boto3 client of a service.

    create(aws, name, properties) -> (physical id, attributes for Fn::GetAtt)
    update(aws, physical_id, old, new)      left out where every change needs a replacement
    delete(aws, physical_id, properties)

`name` is the one that CloudFormation would choose; a property that names the resource wins.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, TypeVar

from ....errors import AWSError

_handlers: dict[str, type] = {}
_Type = TypeVar("_Type", bound=type)


def resource(type_name: str) -> Callable[[_Type], _Type]:
    """Decorator: this class carries out a resource type."""

    def register(handler: _Type) -> _Type:
        _handlers[type_name] = handler
        return handler

    return register


def handler_of(type_name: str) -> Any:
    """The class that carries out a type.

    Raises:
        AWSError: NotImplemented for a type that AWS has and the offline AWS does not make.
    """
    if not _handlers:
        for module in pkgutil.iter_modules(__path__):
            importlib.import_module(f"{__name__}.{module.name}")
    if type_name not in _handlers:
        raise AWSError(
            "NotImplemented",
            f"The offline AWS does not make {type_name} from a template. Deploy it on AWS, or add "
            "the type to tests/local_aws/executors/cloudformation/resources.",
            status=501,
        )
    return _handlers[type_name]


def without(properties: dict[str, Any], *names: str) -> dict[str, Any]:
    """The properties that go to the service as they are."""
    return {key: value for key, value in properties.items() if key not in names}


def lower_first(value: Any) -> Any:
    """The same structure with keys as services such as Step Functions spell them."""
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: lower_first(item) for key, item in value.items()}
    return [lower_first(item) for item in value] if isinstance(value, list) else value


def as_mapping(tags: list[dict[str, str]] | None) -> dict[str, str]:
    """A list of tags in the other form that services take."""
    return {tag["Key"]: tag["Value"] for tag in tags or []}
