"""Athena: DuckDB over the Glue Data Catalog and the objects of S3.

    executions   the life of a query, and its results
    workgroups   workgroups, prepared statements, named queries, the catalog through Athena's API
    statements   what a statement does: queries, CTAS, INSERT, UNLOAD; `ddl`: the rest
    sql          Athena's SQL into DuckDB's; `functions`: what DuckDB has not
    catalog      the Glue Data Catalog
    engine       DuckDB, the files it reads, and how many bytes of them
    writing      the files that a statement writes; `results`: the file with a query's result

Not carried out: Iceberg, ORC and Avro, bucketing, Spark, federated catalogs. `approx_percentile` is
exact. `DataScannedInBytes` is the size of the column chunks (Parquet) or objects (text) that were
read; Athena may read some more or less of the same columns.
"""

from . import executions, workgroups

__all__ = ["executions", "workgroups"]
