"""CloudWatch Logs: moto keeps the lines, metric filters count what they look for."""

from __future__ import annotations

from .. import metric_filters, triggers
from ..errors import AWSError
from ..gateway import Call, Relayed, handles

triggers.install("logs")


@handles("logs", "PutMetricFilter")
def put_metric_filter(call: Call) -> Relayed:
    """Keep a filter with a pattern that is understood here; moto lets others match every line."""
    from moto.logs.models import logs_backends

    backend, params = logs_backends[call.account][call.region], call.params
    if params["logGroupName"] not in backend.groups:
        message = "The specified log group does not exist."
        raise AWSError("ResourceNotFoundException", message)
    metric_filters.matcher(params["filterPattern"])
    # A filter of the same name is replaced; moto would have both.
    backend.filters.delete_filter(params["filterName"], params["logGroupName"])
    return call.relay()
