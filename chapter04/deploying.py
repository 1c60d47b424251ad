"""Roles and functions, made and removed; and the patience that a new role needs.

A role exists as soon as IAM says so, but the other services hear of it some seconds later. Until
then they refuse it, which looks like a mistake and is none.
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

RUNTIME = "python3.13"
# How services say that they do not know the role yet.
_TOO_NEW = (
    "cannot be assumed",
    "unable to assume",
    "could not assume role",  # SageMaker
    "is not authorized",
    "authorized to assume",  # Step Functions: neither of its principals is
    "permissions on role",
    "role does not have permissions",  # to send to a function's destination
)


def zip_of(path: str | Path) -> bytes:
    """A zip archive of one script. The same script gives the same bytes: it carries no date."""
    path = Path(path)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo(path.name, date_time=(1980, 1, 1, 0, 0, 0))
        entry.external_attr = 0o644 << 16  # readable for the user that Lambda runs as
        archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def create_role(
    iam: Any, name: str, service: str, policy: dict[str, Any], tags: dict[str, str]
) -> str:
    """Create a role with one policy that a service of AWS may take on; return its ARN.

    Args:
        iam: a boto3 client of IAM.
        name: of the role, and of its policy.
        service: such as `lambda` or `firehose`.
        policy: what the role may do.
        tags: of the role.
    """
    principal = {"Service": f"{service}.amazonaws.com"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    trust = {"Version": "2012-10-17", "Statement": [statement]}
    role = iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=json.dumps(trust),
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )
    iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=json.dumps(policy))
    return role["Role"]["Arn"]


def delete_role(iam: Any, name: str) -> None:
    """Delete a role that `create_role` has made."""
    iam.delete_role_policy(RoleName=name, PolicyName=name)
    iam.delete_role(RoleName=name)


def create_function(
    lambda_: Any, name: str, script: str, role: str, tags: dict[str, str], **settings: Any
) -> str:
    """Deploy a script whose entry is called `handler`; return the function's ARN when it is active.

    Args:
        lambda_: a boto3 client of Lambda.
        name: of the function.
        script: the path of the script.
        role: the ARN of the role that the function runs with.
        tags: of the function.
        settings: more parameters of `create_function`.
    """
    function = once_the_role_works(
        lambda_.create_function,
        FunctionName=name,
        Role=role,
        Runtime=RUNTIME,
        Handler=f"{Path(script).stem}.handler",
        Code={"ZipFile": zip_of(script)},
        Tags=tags,
        **settings,
    )
    lambda_.get_waiter("function_active_v2").wait(FunctionName=name)
    return function["FunctionArn"]


def once_the_role_works(
    call: Callable[..., Any],
    *,
    poll_seconds: float = 2.0,
    timeout_seconds: float = 60,
    **params: Any,
) -> Any:
    """Make a call; try again while the role in it is too new for the service.

    Args:
        call: such as `lambda_.create_function`.
        poll_seconds: how long to wait between two tries.
        timeout_seconds: how long to go on trying.
        params: of the call.

    Raises:
        botocore.exceptions.ClientError: what the service refuses for another reason, or too long.
    """
    until = time.monotonic() + timeout_seconds
    while True:
        try:
            return call(**params)
        except ClientError as error:
            too_new = any(words in str(error).lower() for words in _TOO_NEW)
            if not too_new or time.monotonic() > until:
                raise
        time.sleep(poll_seconds)
