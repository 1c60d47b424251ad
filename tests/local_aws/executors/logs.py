"""CloudWatch Logs: moto keeps the lines, metric filters count what they look for."""

from __future__ import annotations

from typing import Any

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


@handles("logs", "FilterLogEvents")
def filter_log_events(call: Call) -> Relayed | dict[str, Any]:
    """Look only into the streams whose names begin so; moto overlooks `logStreamNamePrefix`."""
    from moto.logs.models import logs_backends

    prefix = call.params.get("logStreamNamePrefix")
    group = logs_backends[call.account][call.region].groups.get(call.params.get("logGroupName"))
    if prefix is None or group is None:
        return call.relay()
    if "logStreamNames" in call.params:
        message = "logStreamNames and logStreamNamePrefix may not be given together."
        raise AWSError("InvalidParameterException", message)
    names = [name for name in group.streams if name.startswith(prefix)]
    if not names:
        return {"events": [], "searchedLogStreams": []}
    params = {key: value for key, value in call.params.items() if key != "logStreamNamePrefix"}
    return call.forward(params | {"logStreamNames": names})
