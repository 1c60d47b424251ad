"""What the journal of a notebook says against it: calls that AWS refuses, things left behind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.local_aws.environment import LocalAWS
from tests.local_aws.inventory import take

Entry = dict[str, Any]
Inventory = dict[str, list[str]]

# Codes that say that a request was wrong, not that something is absent, present or busy, which a
# notebook may well find out by asking.
_WRONG = (
    "Validation",
    "InvalidParameter",
    "InvalidArgument",
    "InvalidInput",
    "InvalidRequest",
    "MissingParameter",
    "MalformedPolicy",
    "MalformedXML",
    "Serialization",
    "UnknownOperation",
    "UnsupportedOperation",
    "AccessDenied",
    "Unauthorized",
    "UnrecognizedClient",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "NotImplemented",
    "InternalFailure",
)
# What to do about it, by the beginning of the code.
_REMEDIES = {
    "NotImplemented": "add an executor for it to tests/local_aws/executors, or leave the call out",
    "AccessDenied": "the feature is retired, or a policy denies it; use what replaced it",
    "InternalFailure": "the offline AWS failed; its traceback is in the output of the test run",
}
_CORRECT_IT = "correct the request"


@dataclass(frozen=True)
class CellRun:
    """When a cell ran, in seconds since the epoch, and whether it shows a refusal on purpose."""

    name: str
    started: float
    ended: float
    shows_refusal: bool


def refused(journal: Iterable[Entry], cells: list[CellRun]) -> list[str]:
    """One line for each call that was refused and is not in a cell that is tagged for it."""
    problems = []
    for entry in journal:
        code = entry["error"] or ""
        if not code.startswith(_WRONG) or _says_absent(entry):
            continue
        cell = _cell_at(entry["time"], cells)
        if cell and cell.shows_refusal:
            continue
        remedy = next((text for key, text in _REMEDIES.items() if code.startswith(key)), None)
        problems.append(
            f"{cell.name if cell else 'no cell'}: {entry['service']}:{entry['operation']} "
            f"by {entry['caller']} was refused with {code}; {remedy or _CORRECT_IT}."
        )
    return list(dict.fromkeys(problems))


def _says_absent(entry: Entry) -> bool:
    """SageMaker and CloudFormation say ValidationException for what is not there (any more)."""
    return (
        entry["service"] in ("sagemaker", "cloudformation")
        and entry["error"].startswith("Validation")
        and entry["operation"].startswith(("Describe", "Delete"))
    )


def _cell_at(time: float, cells: list[CellRun]) -> CellRun | None:
    """The cell that was running at a time, or the last one before it."""
    begun = [cell for cell in cells if cell.started <= time]
    return begun[-1] if begun else None


def holdings(aws: LocalAWS, used: set[tuple[str, str]]) -> Inventory:
    """What the account holds in the given (region, service) pairs."""
    found: Inventory = {}
    for region in sorted({region for region, _ in used}):
        services = [service for where, service in used if where == region]
        options = {} if region == aws.region else {"region_name": region}

        def client(service: str, options: dict[str, str] = options) -> Any:
            return aws.client(service, **options)

        for listing, names in take(client, services).items():
            found.setdefault(listing, [])
            found[listing] = sorted({*found[listing], *names})
    return found


def services_used(journal: Iterable[Entry]) -> set[tuple[str, str]]:
    """The (region, service) pairs of the calls."""
    return {(entry["region"], entry["service"]) for entry in journal}


def difference(before: Inventory, after: Inventory) -> list[str]:
    """One line for each thing that a notebook left behind, or removed without having made it."""
    problems = []
    for listing in sorted({*before, *after}):
        service, _, operation = listing.partition(" ")
        left = set(after.get(listing, [])) - set(before.get(listing, []))
        gone = set(before.get(listing, [])) - set(after.get(listing, []))
        problems += [
            f"{service}: {name!r} is still there ({operation}); remove it in the cells under "
            "'## Clean up', or in the cell that made it."
            for name in sorted(left)
        ]
        problems += [
            f"{service}: {name!r} belongs to the account and is gone ({operation}); "
            "remove only what the notebook made."
            for name in sorted(gone)
        ]
    return problems
