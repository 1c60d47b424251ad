"""The AWS stack as the SDK knows it, and as `service_status.yaml` says that it is.

The SDK ships a description of every service, its *service model*: operations, their documentation,
and a flag on those that are deprecated. All of it is read without a call to AWS. Whether a service
accepts a new customer is not in it; that is what the YAML file is for. `check_status` holds the
file against what the SDK does know.
"""

from __future__ import annotations

import datetime
import html
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import boto3
import pandas as pd
import yaml
from botocore.exceptions import UnknownServiceError
from botocore.model import OperationModel, ServiceModel

Entry = dict[str, Any]

LAYERS = ("AI services", "ML services", "Frameworks and infrastructure")
OPEN, CLOSED, ENDED, RENAMED = "open", "closed to new customers", "ended", "renamed"
STATUSES = (OPEN, RENAMED, CLOSED, ENDED)
NO_NOTICE = "no notice found"
CHAPTERS = range(1, 13)
_REQUIRED = (
    *("service", "client", "used_for", "layer", "book_chapters", "status", "since", "source"),
    "now",
)
_OPTIONAL = ("was", "operations", "ends", "note")
_NOTICE = re.compile(
    r"no longer (?:be )?(?:open|available) to new customers"
    r"|AWS (?:will )?(?:discontinued?|end(?:ed)?) support",
    re.IGNORECASE,
)


# ── what the SDK says ────────────────────────────────────────────────────────────────────────────


def service_model(session: boto3.Session, client: str) -> ServiceModel | None:
    """The model of a service; None if this SDK has no client of that name."""
    try:
        # boto3 has no public way to a model without making a client, which needs a region.
        return session._session.get_service_model(client)
    except UnknownServiceError:
        return None


def deprecated_operations(session: boto3.Session, client: str) -> list[str]:
    """The operations that the model flags as deprecated; empty for a client that is not there."""
    return [each.name for each in _operations(service_model(session, client)) if each.deprecated]


def measure(session: boto3.Session, clients: Iterable[str]) -> pd.DataFrame:
    """Size and spread of services, one row a client in the order given.

    Columns: `operations`, `deprecated` (of these), `regions` (of the partition `aws` in which the
    SDK lists an endpoint; 0 if it keeps no list). All are 0 for a client that is not there.
    """
    rows = {}
    for client in clients:
        operations = list(_operations(service_model(session, client)))
        rows[client] = {
            "operations": len(operations),
            "deprecated": sum(each.deprecated for each in operations),
            "regions": len(session.get_available_regions(client)) if operations else 0,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("client")


def notice(session: boto3.Session, client: str, operation: str | None = None) -> str | None:
    """The sentence in the SDK's own documentation which says that the doors are closed.

    Looks in the description of one operation, or without one in that of the whole service. None
    where nothing is said, which is the rule.
    """
    model = service_model(session, client)
    if model is None or (operation and operation not in model.operation_names):
        return None
    source = model.operation_model(operation) if operation else model
    text = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", source.documentation)))
    sentences = re.split(r"(?<=[.!?]) +", text)
    return next((each.strip() for each in sentences if _NOTICE.search(each)), None)


def signals(session: boto3.Session, clients: Iterable[str]) -> pd.DataFrame:
    """What the SDK lets one know about a closing, one row a client.

    Columns: `client exists`, `flagged deprecated` (share of its operations, 0 to 1) and `notice in
    the text` (of the service's description).
    """
    rows = {}
    for client in clients:
        size = measure(session, [client]).loc[client]
        rows[client] = {
            "client exists": bool(size["operations"]),
            "flagged deprecated": size["deprecated"] / max(size["operations"], 1),
            "notice in the text": notice(session, client) is not None,
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def published_regions(ssm: Any, service: str) -> list[str]:
    """The regions in which AWS says that it offers a service, from its public parameters.

    Only those of the partition `aws`, as `boto3.Session.get_available_regions` gives them too.
    https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-public-parameters-global-infrastructure.html
    """
    path = f"/aws/service/global-infrastructure/services/{service}/regions"
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=path)
    found = [each["Value"] for page in pages for each in page["Parameters"]]
    return sorted(name for name in found if not name.startswith(("cn-", "us-gov-", "us-iso")))


def machine(description: dict[str, Any]) -> dict[str, Any]:
    """What counts for machine learning in an item of EC2's DescribeInstanceTypes.

    Memory and accelerator memory in GiB; the latter is that of all accelerators together.
    """
    gpu = description.get("GpuInfo", {})
    neuron = description.get("NeuronInfo", {})
    devices = [*gpu.get("Gpus", []), *neuron.get("NeuronDevices", [])]
    on_devices = gpu.get("TotalGpuMemoryInMiB", 0) + neuron.get("TotalNeuronDeviceMemoryInMiB", 0)
    return {
        "instance type": description["InstanceType"],
        "vCPU": description["VCpuInfo"]["DefaultVCpus"],
        "memory": round(description["MemoryInfo"]["SizeInMiB"] / 1024),
        "accelerators": ", ".join(f"{each['Count']} × {each['Name']}" for each in devices)
        or "none",
        "on accelerators": round(on_devices / 1024),
    }


def _operations(model: ServiceModel | None) -> Iterator[OperationModel]:
    if model is not None:
        yield from (model.operation_model(name) for name in model.operation_names)


class CallLog:
    """Remembers which operations are called through a session, from now on.

    >>> log = CallLog(session)
    >>> session.client("sts").get_caller_identity()
    >>> log.calls
    ['sts:GetCallerIdentity']
    """

    def __init__(self, session: boto3.Session) -> None:
        self.calls: list[str] = []
        session.events.register("before-call.*.*", self._note)

    def _note(self, model: OperationModel, **_: Any) -> None:
        self.calls.append(f"{model.service_model.service_name}:{model.name}")

    def changes(self) -> list[str]:
        """The calls whose names do not say that they only read."""
        reading = ("Describe", "Get", "List")
        return [call for call in self.calls if not call.partition(":")[2].startswith(reading)]


# ── what the file says ───────────────────────────────────────────────────────────────────────────


def load_status(path: str | Path) -> list[Entry]:
    """Read the entries of a status file.

    Raises:
        ValueError: the file is not a list of entries.
    """
    entries = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise ValueError(f"{path} is not a list of entries; begin each with '- service: …'.")
    return entries


def as_table(entries: Sequence[Entry]) -> pd.DataFrame:
    """The entries as a table, one row each, a column for every field; days as timestamps."""
    table = pd.DataFrame(entries).reindex(columns=[*_REQUIRED, *_OPTIONAL])
    return table.assign(**{name: pd.to_datetime(table[name]) for name in ("since", "ends")})


def evidence(entry: Entry) -> str:
    """How well the status is known: read on a page or in the SDK of AWS, quoted, or not denied."""
    if entry["source"] == NO_NOTICE:
        return NO_NOTICE
    return "quoted by others" if entry["source"].get("quoted") else "read at AWS"


def clients_of(entries: Iterable[Entry], layer: str) -> list[str]:
    """The clients of a layer's open services, each once, in the order of the file."""
    open_ones = [e for e in entries if e["layer"] == layer and e["status"] in (OPEN, RENAMED)]
    return list(dict.fromkeys(e["client"] for e in open_ones if e["client"]))


def for_chapter(entries: Iterable[Entry], chapter: int) -> list[Entry]:
    """The entries that a chapter of the book uses and that a new account finds shut."""
    shut = (CLOSED, ENDED)
    return [e for e in entries if chapter in e["book_chapters"] and e["status"] in shut]


# ── the one held against the other ───────────────────────────────────────────────────────────────


def check_status(entries: Iterable[Entry], session: boto3.Session) -> list[str]:
    """What in the entries is incomplete, or contradicts this SDK: one line each, none if all holds.

    An open or renamed service has its client, not all of whose operations are flagged deprecated,
    and none of the operations named. A client that has vanished is listed as ended. What is shut
    has a source and says what to use now. A service is not open whose own description in the SDK
    says that it is closed.
    """
    problems: list[str] = []
    for entry in entries:
        found = _incomplete(entry) or [*_unsourced(entry), *_contradicted(entry, session)]
        problems += [f"{entry.get('service', 'an entry without a name')}: {each}" for each in found]
    return problems


def betrayed(entries: Iterable[Entry], session: boto3.Session) -> list[str]:
    """The services listed as shut of which this SDK lets one know: they could not pass as open."""
    shut = [each for each in entries if each["status"] in (CLOSED, ENDED)]
    return [e["service"] for e in shut if check_status([{**e, "status": OPEN}], session)]


def _incomplete(entry: Entry) -> list[str]:
    missing = [name for name in _REQUIRED if name not in entry]
    if missing:
        return [f"has no {', '.join(missing)}; write null where there is none"]
    problems = []
    if entry["status"] not in STATUSES:
        problems.append(f"status {entry['status']!r} is none of {', '.join(STATUSES)}")
    if entry["layer"] not in LAYERS:
        problems.append(f"layer {entry['layer']!r} is none of {', '.join(LAYERS)}")
    chapters = entry["book_chapters"]
    if not chapters or not set(chapters) <= set(CHAPTERS):
        problems.append(f"book_chapters {chapters} are not chapters 1 to {CHAPTERS[-1]}")
    for name in ("since", "ends"):
        day = entry.get(name)
        if day is not None and type(day) is not datetime.date:
            problems.append(f"{name} {day!r} is not a date; write it as 2026-07-30")
    return problems


def _unsourced(entry: Entry) -> list[str]:
    source = entry["source"]
    has_source = (
        isinstance(source, dict)
        and bool(source.get("title"))
        and str(source.get("link")).startswith("https://")
    )
    problems = []
    if not has_source and source != NO_NOTICE:
        problems.append(f"source {source!r} is neither title and link nor {NO_NOTICE!r}")
    if not has_source and (entry["since"] or entry.get("ends")):
        problems.append("has a date and no source; cite the page that names the date")
    if entry["status"] != OPEN and not has_source:
        problems.append(f"is {entry['status']} and has no source; cite AWS's page")
    if entry["status"] != OPEN and not entry["now"]:
        problems.append(f"is {entry['status']} and does not say what to use now")
    return problems


def _contradicted(entry: Entry, session: boto3.Session) -> list[str]:
    client, status = entry["client"], entry["status"]
    if client is None or status == ENDED:
        return []
    model = service_model(session, client)
    if model is None:
        return [f"boto3 {boto3.__version__} has no client {client!r}; list it as {ENDED}"]
    named = entry.get("operations") or []
    unknown = [name for name in named if name not in model.operation_names]
    problems = [f"{client} has no operation {name}" for name in unknown]
    if status == CLOSED:
        return problems
    flagged = deprecated_operations(session, client)
    if len(flagged) == len(model.operation_names):
        problems.append(f"is {status}, and all operations of {client} are flagged deprecated")
    else:
        problems += [f"is {status}, and {n} is flagged deprecated" for n in named if n in flagged]
    for operation in named or [None]:
        said = notice(session, client, operation)
        if said:
            problems.append(f"is {status}, and the SDK says of {operation or client}: {said}")
    return problems
