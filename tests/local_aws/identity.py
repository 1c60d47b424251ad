"""Who calls: the execution role of the notebooks, the roles that are assumed, and their policies.

The execution role exists in every account from the start. Whatever looks at roles within the server
gets them from `iam_backend()`, which sees to that, and not from moto directly.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from . import account
from .errors import AWSError
from .policies import ALLOWED, Statement, evaluate, parse

_SERVICES = ("sagemaker", "lambda", "glue", "states", "firehose", "events", "scheduler")
_NOTEBOOK_SESSION = "SageMaker"

_seeded: dict[str, bool] = account.table()
# access key -> who it was given to
_sessions: dict[str, Session] = account.table()


@dataclass(frozen=True)
class Session:
    """What GetCallerIdentity says of a caller. `principal` is the ARN that policies name."""

    arn: str
    user_id: str
    principal: str


def iam_backend() -> Any:
    """moto's IAM of this account, with the execution role in it."""
    from moto.iam.models import iam_backends

    backend = iam_backends[account.ACCOUNT_ID]["aws"]
    if not _seeded.get("role"):
        _seeded["role"] = True
        _create_execution_role(backend)
    return backend


def _create_execution_role(backend: Any) -> None:
    """As the SageMaker console makes it: trusted by the services, allowed everything here."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": [f"{service}.amazonaws.com" for service in _SERVICES]},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    role = backend.create_role(
        role_name=account.EXECUTION_ROLE_NAME,
        assume_role_policy_document=json.dumps(trust),
        path="/service-role/",
        permissions_boundary=None,
        description="SageMaker execution role",
        tags=[],
        max_session_duration="43200",
    )
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [everything]}
    role.put_policy("AllowEverything", json.dumps(document))


def find_role(name_or_arn: str) -> Any:
    """moto's role of this name or ARN; None if there is none."""
    for role in iam_backend().roles.values():
        if name_or_arn in (role.arn, role.name):
            return role
    return None


def trusts(role_arn: str, service: str) -> bool:
    """Whether there is such a role and its trust policy lets the service (`x.amazonaws.com`) in."""
    role = find_role(role_arn)
    if role is None:
        return False
    statements = parse(role.assume_role_policy_document, "trust policy")
    return evaluate(statements, "sts:AssumeRole", role_arn, {}, service).result == ALLOWED


def open_session(access_key: str, role: Any, name: str) -> Session:
    """Remember that this access key belongs to a session of the role."""
    arn = f"arn:aws:sts::{account.ACCOUNT_ID}:assumed-role/{role.name}/{name}"
    session = Session(arn, f"{role.id}:{name}", role.arn)
    _sessions[access_key] = session
    return session


def open_user(access_key: str, user: Any) -> Session:
    """Remember that this access key is a user's own."""
    session = Session(user.arn, user.id, user.arn)
    _sessions[access_key] = session
    return session


def close(access_key: str) -> None:
    """Refuse this access key from now on."""
    _sessions.pop(access_key, None)
    account.remove_access_key(access_key)


def session_of(access_key: str) -> Session:
    """Who calls with this access key: the execution role unless it was made for somebody else."""
    known = _sessions.get(access_key)
    if known:
        return known
    role = find_role(account.EXECUTION_ROLE_ARN)
    if role is None:  # the reader has deleted it: its sessions live on
        arn = f"arn:aws:sts::{account.ACCOUNT_ID}:assumed-role/{account.EXECUTION_ROLE_NAME}"
        return Session(
            f"{arn}/{_NOTEBOOK_SESSION}",
            f"AROA0000000000000000:{_NOTEBOOK_SESSION}",
            account.EXECUTION_ROLE_ARN,
        )
    return open_session(access_key, role, _NOTEBOOK_SESSION)


@account.on_reset
def close_all() -> None:
    """With the account go the keys that were handed out in it."""
    for access_key, session in list(_sessions.items()):
        if not session.arn.endswith(f"{account.EXECUTION_ROLE_NAME}/{_NOTEBOOK_SESSION}"):
            account.remove_access_key(access_key)


def statements_of(principal: Any) -> list[Statement]:
    """The statements of all inline and attached policies of a moto role, user or group."""
    statements = []
    for name, document in principal.policies.items():
        statements += parse(document, name)
    for policy in principal.managed_policies.values():
        statements += parse(_default_document(policy), policy.name)
    return statements


def policy_document(arn: str) -> str:
    """The default version of a managed policy. Raises NoSuchEntity."""
    policy = iam_backend().managed_policies.get(arn)
    if policy is None:
        raise AWSError("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.", 404)
    return _default_document(policy)


def _default_document(policy: Any) -> str:
    return next(version.document for version in policy.versions if version.is_default)
