"""SageMaker: training, processing, models and endpoints that do what they say.

What is kept here is kept whole; moto's own records of models and endpoint configurations leave out
half of the fields and know no instance type younger than 2021. What neither this package nor moto
carries out is refused, and so is what moto would only pretend to do (`refused`).
"""

from . import (
    describe,
    endpoint_configs,
    endpoints,
    feature_groups,
    mlflow,
    models,
    processing,
    refused,
    tags,
    training,
    tuning,
)

__all__ = [
    "describe",
    "endpoint_configs",
    "endpoints",
    "feature_groups",
    "mlflow",
    "models",
    "processing",
    "refused",
    "tags",
    "training",
    "tuning",
]
