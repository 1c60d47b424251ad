"""AWS Glue: moto keeps the Data Catalog; crawlers crawl, jobs run, data quality is evaluated.

What would run something and is not carried out here is refused; moto would report it as done.
"""

from __future__ import annotations

from typing import NoReturn

from ...errors import not_implemented
from ...gateway import Call, handles
from . import crawlers, jobs, quality, triggers, workflows

__all__ = ["crawlers", "jobs", "quality", "triggers", "workflows"]

# moto answers these as if the run had succeeded, or would some day.
_NOT_RUN = (
    "CreateSession",
    "CreateDevEndpoint",
    "CreateMLTransform",
)


@handles("glue", *_NOT_RUN)
def refuse(call: Call) -> NoReturn:
    """Nothing runs, so nothing may seem to have run."""
    raise not_implemented(call.service, call.operation)
