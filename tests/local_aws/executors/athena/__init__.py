"""Athena: DuckDB over the Glue Data Catalog and the objects of S3."""

from . import executions, workgroups

__all__ = ["executions", "workgroups"]
