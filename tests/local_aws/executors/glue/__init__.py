"""AWS Glue: moto keeps the Data Catalog, crawlers crawl, rules of data quality are evaluated.

What would run something and is not carried out here is refused; moto would report it as done.
"""

from __future__ import annotations

from typing import NoReturn

from ...errors import not_implemented
from ...gateway import Call, handles
from . import crawlers, quality

__all__ = ["crawlers", "quality"]

# moto answers these as if the run had succeeded, or would some day.
_NOT_RUN = (
    "StartJobRun",
    "StartTrigger",
    "StartWorkflowRun",
    "StopWorkflowRun",
    "CreateSession",
    "CreateDevEndpoint",
    "CreateMLTransform",
)


@handles("glue", *_NOT_RUN)
def refuse(call: Call) -> NoReturn:
    """Nothing runs, so nothing may seem to have run."""
    raise not_implemented(call.service, call.operation)
