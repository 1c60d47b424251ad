"""What moto would answer for SageMaker without doing it: refused instead.

moto reports these as done at once, with results it made up or none at all, and a reader would
believe them. Whoever writes an executor for one removes it here.
"""

from __future__ import annotations

from typing import Any

from ...errors import not_implemented
from ...gateway import Call, handles
from .common import only_here

PRETENDED = {
    "sagemaker": [
        "CreateAutoMLJobV2",
        "CreateCluster",
        "CreateCompilationJob",
        "CreateDomain",
        "CreateNotebookInstance",
        "CreateTransformJob",
        "StartNotebookInstance",
        "StartPipelineExecution",
    ],
    "sagemaker-runtime": ["InvokeEndpointAsync"],
}

_KEPT_HERE = (
    "Endpoint", "FeatureGroup", "FeatureMetadata", "HyperParameterTuningJob", "Model",
    "TrainingJob",
)  # fmt: skip


def refuse(call: Call) -> Any:
    """Answer 501 and name the operation."""
    raise not_implemented(call.service, call.operation)


@handles("sagemaker", "Search")
def search(call: Call) -> Any:
    """Let moto search what it keeps; what is kept here it would not find."""
    if call.params["Resource"] in _KEPT_HERE:
        raise only_here(f"Search for the resource {call.params['Resource']}")
    return call.relay()


for _service, _operations in PRETENDED.items():
    handles(_service, *_operations)(refuse)
