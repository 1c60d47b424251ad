"""STS: who the caller is, and the keys of other roles."""

from __future__ import annotations

import datetime
import re
from typing import Any, NoReturn
from urllib.parse import parse_qs

from .. import account, identity
from ..errors import AWSError, not_implemented
from ..gateway import Call, handles
from ..policies import ALLOWED, evaluate, parse


@handles("sts", "GetCallerIdentity")
def get_caller_identity(call: Call) -> dict[str, Any]:
    """The assumed role (or the user) that the request's access key belongs to."""
    session = identity.session_of(_access_key(call))
    return {"UserId": session.user_id, "Account": account.ACCOUNT_ID, "Arn": session.arn}


@handles("sts", "AssumeRole")
def assume_role(call: Call) -> dict[str, Any]:
    """Keys of a role, if it exists and its trust policy lets the caller assume it."""
    caller = identity.session_of(_access_key(call))
    arn, name = call.params["RoleArn"], call.params["RoleSessionName"]
    role = identity.find_role(arn) if arn.startswith("arn:") else None
    if role is None or not _trusts(role, caller.principal, call.params):
        message = (
            f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}"
        )
        raise AWSError("AccessDenied", message, status=403)
    seconds = call.params.get("DurationSeconds") or 3600
    if seconds > int(role.max_session_duration or 3600):
        message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        raise AWSError("ValidationError", message)
    key = account.add_access_key(f"{role.name}/{name}")
    session = identity.open_session(key, role, name)
    return {
        "Credentials": {
            "AccessKeyId": key,
            "SecretAccessKey": "offline",
            "SessionToken": "offline",
            "Expiration": account.now() + datetime.timedelta(seconds=seconds),
        },
        "AssumedRoleUser": {"AssumedRoleId": session.user_id, "Arn": session.arn},
    }


@handles("sts", "GetSessionToken", "GetFederationToken")
def refuse_session(call: Call) -> NoReturn:
    """A role, which is what notebooks run under, cannot ask for these."""
    message = f"Cannot call {call.operation} with session credentials"
    raise AWSError("AccessDenied", message, status=403)


@handles("sts", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity")
def refuse_federation(call: Call) -> NoReturn:
    """No identity provider can be asked here."""
    raise not_implemented(call.service, call.operation)


def _trusts(role: Any, principal: str, params: dict[str, Any]) -> bool:
    statements = parse(role.assume_role_policy_document, "trust policy")
    context = {"sts:rolesessionname": [params["RoleSessionName"]]}
    if params.get("ExternalId"):
        context["sts:externalid"] = [params["ExternalId"]]
    decision = evaluate(statements, "sts:AssumeRole", role.arn, context, principal)
    return decision.result == ALLOWED


def _access_key(call: Call) -> str:
    header = call.environ.get("HTTP_AUTHORIZATION", "")
    found = re.search(r"Credential=([^/,\s]+)", header)
    if found:
        return found[1]
    query = parse_qs(call.environ.get("QUERY_STRING", ""))
    return query.get("X-Amz-Credential", [""])[0].partition("/")[0]
