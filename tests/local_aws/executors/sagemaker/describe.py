"""Descriptions of what moto keeps, without the empty structures that moto puts into them."""

from __future__ import annotations

from typing import Any

from moto.core.utils import get_service_model

from ...gateway import Call, handles
from .common import without_empty


def describe(call: Call) -> dict[str, Any]:
    """moto's answer, cleaned."""
    return without_empty(call.forward())


# Registered first, so that this package's own descriptions replace it.
handles(
    "sagemaker",
    *(
        name
        for name in get_service_model("sagemaker").operation_names
        if name.startswith("Describe")
    ),
)(describe)
