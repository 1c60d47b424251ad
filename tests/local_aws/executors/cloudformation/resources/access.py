"""AWS IAM: who may do what."""

from __future__ import annotations

import json
from typing import Any

from . import resource

_Aws = Any
_Properties = dict[str, Any]


@resource("AWS::IAM::Role")
class Role:
    """A role with its trust, its own policies and those it shares with others."""

    @staticmethod
    def create(aws: _Aws, name: str, properties: _Properties) -> tuple[str, _Properties]:
        optional = {
            key: properties[key]
            for key in ("Path", "Description", "MaxSessionDuration", "PermissionsBoundary", "Tags")
            if key in properties
        }
        made = aws("iam").create_role(
            RoleName=properties.get("RoleName", name),
            AssumeRolePolicyDocument=json.dumps(properties["AssumeRolePolicyDocument"]),
            **optional,
        )["Role"]
        Role._put(aws, made["RoleName"], {}, properties)
        return made["RoleName"], {"Arn": made["Arn"], "RoleId": made["RoleId"]}

    @staticmethod
    def update(aws: _Aws, role: str, old: _Properties, new: _Properties) -> None:
        if old["AssumeRolePolicyDocument"] != new["AssumeRolePolicyDocument"]:
            trust = json.dumps(new["AssumeRolePolicyDocument"])
            aws("iam").update_assume_role_policy(RoleName=role, PolicyDocument=trust)
        Role._put(aws, role, old, new)

    @staticmethod
    def _put(aws: _Aws, role: str, old: _Properties, new: _Properties) -> None:
        iam = aws("iam")
        before = {policy["PolicyName"]: policy for policy in old.get("Policies", [])}
        wanted = {policy["PolicyName"]: policy for policy in new.get("Policies", [])}
        for name, policy in wanted.items():
            if before.get(name) != policy:
                document = json.dumps(policy["PolicyDocument"])
                iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document)
        for name in before.keys() - wanted.keys():
            iam.delete_role_policy(RoleName=role, PolicyName=name)
        attached, shared = (set(p.get("ManagedPolicyArns", [])) for p in (old, new))
        for arn in sorted(shared - attached):
            iam.attach_role_policy(RoleName=role, PolicyArn=arn)
        for arn in sorted(attached - shared):
            iam.detach_role_policy(RoleName=role, PolicyArn=arn)

    @staticmethod
    def delete(aws: _Aws, role: str, properties: _Properties) -> None:
        Role._put(aws, role, properties, {})
        aws("iam").delete_role(RoleName=role)


@resource("AWS::IAM::Policy")
class Policy:
    """A policy that is written into roles which stand elsewhere in the template."""

    @staticmethod
    def create(aws: _Aws, name: str, properties: _Properties) -> tuple[str, _Properties]:
        Policy.update(aws, name, {}, properties)
        return properties["PolicyName"], {}

    @staticmethod
    def update(aws: _Aws, physical_id: str, old: _Properties, new: _Properties) -> None:
        for role in new.get("Roles", []):
            aws("iam").put_role_policy(
                RoleName=role,
                PolicyName=new["PolicyName"],
                PolicyDocument=json.dumps(new["PolicyDocument"]),
            )
        for role in set(old.get("Roles", [])) - set(new.get("Roles", [])):
            aws("iam").delete_role_policy(RoleName=role, PolicyName=old["PolicyName"])

    @staticmethod
    def delete(aws: _Aws, physical_id: str, properties: _Properties) -> None:
        for role in properties.get("Roles", []):
            aws("iam").delete_role_policy(RoleName=role, PolicyName=properties["PolicyName"])
