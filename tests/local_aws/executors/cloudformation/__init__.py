"""AWS CloudFormation: stacks that are really made, by calls to the services as their caller.

`templates` reads what a template says, `schemas` what a resource type allows, `resources` carries
out the types, `stacks` makes, changes and removes them in order. moto evaluates the functions of
templates; its own stacks, which reach past the services' checks, are not used.
"""

from __future__ import annotations

import json
from typing import Any

from moto.cloudformation.models import Export
from moto.cloudformation.responses import CloudFormationResponse

from ... import account, identity, storage
from ...errors import AWSError, not_implemented
from ...gateway import Call, handles
from ...jobs import Job
from . import schemas, templates
from .resources import handler_of
from .stacks import Event, Resource, Stack

_stacks: dict[str, Stack] = account.table()  # by id; the oldest first

_IAM_TYPES = {
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::Policy": None,
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::User": "UserName",
    "AWS::IAM::Group": "GroupName",
}


# ── making, changing, removing ───────────────────────────────────────────────────────────────────


@handles("cloudformation", "CreateStack")
def create_stack(call: Call) -> dict[str, Any]:
    """Start to make a stack; what is wrong with the template itself is said at once."""
    params = call.params
    name = params["StackName"]
    if _living(name, call.region):
        raise AWSError("AlreadyExistsException", f"Stack [{name}] already exists")
    if "OnFailure" in params and "DisableRollback" in params:
        raise templates.invalid("Only one of DisableRollback and OnFailure can be specified.")
    body = _body(call)
    template = templates.parse(body)
    _check_types(template, params.get("Capabilities", []), call.region)
    on_failure = "DO_NOTHING" if params.get("DisableRollback") else "ROLLBACK"
    arn = f"arn:aws:cloudformation:{call.region}:{call.account}:stack/{name}/{account.new_id()}"
    stack = Stack(
        id=arn,
        name=name,
        region=call.region,
        body=body,
        parameters=templates.parameters_of(template, _given(params, {})),
        tags=_tags(params),
        caller=_acting(call),
        on_failure=params.get("OnFailure", on_failure),
        role_arn=params.get("RoleARN"),
        termination_protection=params.get("EnableTerminationProtection", False),
        capabilities=params.get("Capabilities", []),
        notification_arns=params.get("NotificationARNs", []),
    )
    _stacks[stack.id] = stack
    stack.enter("CREATE_IN_PROGRESS", "User Initiated")
    _in_background(stack, lambda: stack.create(template, _exports(call.region)))
    return {"StackId": stack.id}


@handles("cloudformation", "UpdateStack")
def update_stack(call: Call) -> dict[str, Any]:
    """Start to bring a stack to another template or other parameters."""
    params = call.params
    stack = _find(params["StackName"], call.region)
    if not stack.status.endswith("_COMPLETE") or stack.status in (
        "ROLLBACK_COMPLETE",
        "DELETE_COMPLETE",
    ):
        raise templates.invalid(
            f"Stack:{stack.id} is in {stack.status} state and can not be updated."
        )
    body = stack.body if params.get("UsePreviousTemplate") else _body(call)
    template = templates.parse(body)
    _check_types(template, params.get("Capabilities", []), call.region)
    parameters = templates.parameters_of(template, _given(params, stack.parameters))
    tags = _tags(params) if "Tags" in params else stack.tags
    if (body, parameters, tags) == (stack.body, stack.parameters, stack.tags):
        raise templates.invalid("No updates are to be performed.")
    stack.caller = _acting(call)
    stack.enter("UPDATE_IN_PROGRESS", "User Initiated")
    _in_background(stack, lambda: stack.update(body, parameters, tags, _exports(call.region)))
    return {"StackId": stack.id}


@handles("cloudformation", "DeleteStack")
def delete_stack(call: Call) -> None:
    """Start to remove a stack. A stack that does not exist is none to complain about."""
    try:
        stack = _find(call.params["StackName"], call.region)
    except AWSError:
        return
    if stack.status == "DELETE_COMPLETE":
        return
    if stack.termination_protection:
        raise templates.invalid(
            f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled"
        )
    retained = call.params.get("RetainResources", [])
    if retained and stack.status != "DELETE_FAILED":
        raise templates.invalid(
            "Invalid operation on stack. RetainResources can be specified only for a stack in the "
            "DELETE_FAILED state."
        )
    used = _importers(stack)
    if used:
        raise templates.invalid(f"Export {used[0]} cannot be deleted as it is in use by {used[1]}")
    stack.caller = _acting(call)
    stack.status = "DELETE_IN_PROGRESS"
    _in_background(stack, lambda: stack.delete(retained))


@handles("cloudformation", "UpdateTerminationProtection")
def update_termination_protection(call: Call) -> dict[str, Any]:
    """Protect a stack from being deleted, or not."""
    stack = _find(call.params["StackName"], call.region)
    stack.termination_protection = call.params["EnableTerminationProtection"]
    return {"StackId": stack.id}


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


@handles("cloudformation", "DescribeStacks")
def describe_stacks(call: Call) -> dict[str, Any]:
    """One stack, also a deleted one by its id, or all that there are."""
    if "StackName" in call.params:
        return {"Stacks": [_description(_find(call.params["StackName"], call.region))]}
    living = [s for s in _of_region(call.region) if s.status != "DELETE_COMPLETE"]
    return {"Stacks": [_description(stack) for stack in reversed(living)]}


@handles("cloudformation", "ListStacks")
def list_stacks(call: Call) -> dict[str, Any]:
    """Summaries of all stacks, deleted ones included, the newest first."""
    wanted = call.params.get("StackStatusFilter")
    found = [s for s in _of_region(call.region) if not wanted or s.status in wanted]
    return {"StackSummaries": [_summary(stack) for stack in reversed(found)]}


@handles("cloudformation", "DescribeStackEvents")
def describe_stack_events(call: Call) -> dict[str, Any]:
    """What has happened to a stack, the newest first."""
    stack = _find(call.params["StackName"], call.region)
    return {"StackEvents": [_event(stack, event) for event in reversed(stack.events)]}


@handles("cloudformation", "DescribeStackResource")
def describe_stack_resource(call: Call) -> dict[str, Any]:
    """One resource of a stack."""
    stack = _find(call.params["StackName"], call.region)
    name = call.params["LogicalResourceId"]
    if name not in stack.resources:
        raise templates.invalid(f"Resource {name} does not exist for stack {stack.name}")
    found = _resource(stack, stack.resources[name])
    found["LastUpdatedTimestamp"] = found.pop("Timestamp")
    return {"StackResourceDetail": found}


@handles("cloudformation", "DescribeStackResources")
def describe_stack_resources(call: Call) -> dict[str, Any]:
    """The resources of a stack, or the one that is asked for."""
    stack = _find(call.params.get("StackName", ""), call.region)
    only = call.params.get("LogicalResourceId")
    found = [r for name, r in stack.resources.items() if only in (None, name)]
    return {"StackResources": [_resource(stack, each) for each in found]}


@handles("cloudformation", "ListStackResources")
def list_stack_resources(call: Call) -> dict[str, Any]:
    """Summaries of a stack's resources."""
    stack = _find(call.params["StackName"], call.region)
    found = []
    for each in stack.resources.values():
        summary = _resource(stack, each)
        summary["LastUpdatedTimestamp"] = summary.pop("Timestamp")
        del summary["StackId"], summary["StackName"]
        found.append(summary)
    return {"StackResourceSummaries": found}


@handles("cloudformation", "GetTemplate")
def get_template(call: Call) -> dict[str, Any]:
    """The template of a stack as it was given."""
    stack = _find(call.params["StackName"], call.region)
    return {"TemplateBody": stack.body, "StagesAvailable": ["Original", "Processed"]}


@handles("cloudformation", "ValidateTemplate")
def validate_template(call: Call) -> dict[str, Any]:
    """What a template declares. Only its form is looked at, as AWS does."""
    template = templates.parse(_body(call))
    declared = template.get("Parameters") or {}
    capabilities = _capabilities(template)
    answer = {
        "Parameters": [
            {
                "ParameterKey": name,
                "NoEcho": bool(spec.get("NoEcho", False)),
                **({"DefaultValue": str(spec["Default"])} if "Default" in spec else {}),
                **({"Description": spec["Description"]} if "Description" in spec else {}),
            }
            for name, spec in declared.items()
        ],
        "Capabilities": capabilities,
    }
    if "Description" in template:
        answer["Description"] = template["Description"]
    if capabilities:
        names = sorted(_iam_resources(template))
        answer["CapabilitiesReason"] = (
            f"The following resource(s) require capabilities: [{', '.join(names)}]"
        )
    return answer


@handles("cloudformation", "ListExports")
def list_exports(call: Call) -> dict[str, Any]:
    """What stacks export to others."""
    found = [
        {
            "ExportingStackId": stack.id,
            "Name": output["ExportName"],
            "Value": output["OutputValue"],
        }
        for stack in _of_region(call.region)
        for output in stack.outputs
        if "ExportName" in output and stack.status != "DELETE_COMPLETE"
    ]
    return {"Exports": found}


def _refuse(call: Call) -> dict[str, Any]:
    raise not_implemented(call.service, call.operation)


# What moto would do to stacks of its own, which nothing here makes.
_carried_out = {
    "create_stack",
    "update_stack",
    "delete_stack",
    "describe_stacks",
    "list_stacks",
    "describe_stack_events",
    "describe_stack_resource",
    "describe_stack_resources",
    "list_stack_resources",
    "get_template",
    "validate_template",
    "list_exports",
}
for _name, _method in vars(CloudFormationResponse).items():
    if callable(_method) and not _name.startswith("_") and _name not in _carried_out:
        handles("cloudformation", "".join(part.title() for part in _name.split("_")))(_refuse)


# ── what the operations share ────────────────────────────────────────────────────────────────────


def _in_background(stack: Stack, work: Any) -> None:
    """Do what takes time after the request has been answered."""
    job = Job(stack.name, stack.region, status="RUNNING", failed="FAILED")

    def run(job: Job) -> None:
        try:
            work()
        except Exception as error:
            # Whatever it was, a stack must not stay in progress for ever.
            kind = stack.status.partition("_")[0]
            stack.enter(f"{kind}_FAILED", str(getattr(error, "message", error)))
            raise

    job.start(run)


def _acting(call: Call) -> str:
    """Whose rights the calls need: the service role's, or those of who asks.

    Raises:
        AWSError: ValidationError if the role does not exist or does not trust CloudFormation.
    """
    arn = call.params.get("RoleARN")
    if arn is None:
        return call.caller
    if not identity.trusts(arn, "cloudformation.amazonaws.com"):
        raise templates.invalid(f"Role {arn} is invalid or cannot be assumed")
    return f"{arn.rpartition('/')[2]}/AWSCloudFormation"


def _body(call: Call) -> str:
    params = call.params
    if ("TemplateBody" in params) == ("TemplateURL" in params):
        raise templates.invalid("Either Template URL or Template Body must be specified.")
    if "TemplateBody" in params:
        return params["TemplateBody"]
    try:
        location = storage.S3Location.parse(_as_s3(params["TemplateURL"]))
        return storage.read(location, call.caller).decode()
    except (AWSError, ValueError) as error:
        raise templates.invalid(f"S3 error: {error}") from None


def _as_s3(url: str) -> str:
    """`https://bucket.s3.region.amazonaws.com/key` or `https://s3.region…/bucket/key` as s3://."""
    host, _, path = url.removeprefix("https://").partition("/")
    bucket, dot, rest = host.partition(".s3")
    return f"s3://{bucket}/{path}" if dot and rest else f"s3://{path}"


def _given(params: dict[str, Any], previous: dict[str, str]) -> dict[str, str]:
    given = {}
    for each in params.get("Parameters", []):
        name = each["ParameterKey"]
        if each.get("UsePreviousValue"):
            if name not in previous:
                raise templates.invalid(f"Parameters: [{name}] must have values")
            given[name] = previous[name]
        else:
            given[name] = each.get("ParameterValue", "")
    return given


def _tags(params: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in params.get("Tags", [])}


def _check_types(template: dict[str, Any], given: list[str], region: str) -> None:
    """Refuse types that AWS does not have, or that are not made here; ask for capabilities."""
    types = {body["Type"] for body in template["Resources"].values()}
    unknown = sorted(t for t in types if schemas.schema_of(t, region) is None)
    if unknown:
        raise templates.invalid(
            f"Template format error: Unrecognized resource types: [{', '.join(unknown)}]"
        )
    for each in sorted(types):
        handler_of(each)
    needed = _capabilities(template)
    if needed == ["CAPABILITY_IAM"]:
        needed = [] if "CAPABILITY_NAMED_IAM" in given else needed
    if missing := [each for each in needed if each not in given]:
        raise AWSError(
            "InsufficientCapabilitiesException", f"Requires capabilities : [{', '.join(missing)}]"
        )


def _iam_resources(template: dict[str, Any]) -> list[str]:
    return [name for name, body in template["Resources"].items() if body["Type"] in _IAM_TYPES]


def _capabilities(template: dict[str, Any]) -> list[str]:
    """What the caller must acknowledge: that the template makes identities, with names or not."""
    names = _iam_resources(template)
    if not names:
        return []
    for name in names:
        body = template["Resources"][name]
        if _IAM_TYPES[body["Type"]] in (body.get("Properties") or {}):
            return ["CAPABILITY_NAMED_IAM"]
    return ["CAPABILITY_IAM"]


def _of_region(region: str) -> list[Stack]:
    return [stack for stack in _stacks.values() if stack.region == region]


def _living(name: str, region: str) -> Stack | None:
    for stack in _of_region(region):
        if stack.name == name and stack.status != "DELETE_COMPLETE":
            return stack
    return None


def _find(name: str, region: str) -> Stack:
    """A stack by its name, or by its id even when it is deleted."""
    stack = _stacks.get(name) or _living(name, region)
    if stack is None:
        raise templates.invalid(f"Stack with id {name} does not exist")
    return stack


def _exports(region: str) -> dict[str, Export]:
    return {
        output["ExportName"]: Export(stack.id, output["ExportName"], output["OutputValue"])
        for stack in _of_region(region)
        for output in stack.outputs
        if "ExportName" in output and stack.status != "DELETE_COMPLETE"
    }


def _importers(stack: Stack) -> tuple[str, str] | None:
    """An export of the stack that another one uses, and that other one."""
    exported = [output["ExportName"] for output in stack.outputs if "ExportName" in output]
    for other in _of_region(stack.region):
        if other is not stack and other.status != "DELETE_COMPLETE":
            for name in exported:
                if "ImportValue" in other.body and name in other.body:
                    return name, other.name
    return None


def _description(stack: Stack) -> dict[str, Any]:
    template = templates.parse(stack.body)
    found = {
        "StackId": stack.id,
        "StackName": stack.name,
        "Description": template.get("Description"),
        "Parameters": [
            {
                "ParameterKey": name,
                "ParameterValue": "****" if _is_secret(template, name) else value,
            }
            for name, value in stack.parameters.items()
        ],
        "CreationTime": stack.created,
        "LastUpdatedTime": stack.updated,
        "DeletionTime": stack.deleted,
        "StackStatus": stack.status,
        "StackStatusReason": stack.reason,
        "DisableRollback": stack.on_failure == "DO_NOTHING",
        "NotificationARNs": stack.notification_arns,
        "Capabilities": stack.capabilities,
        "Outputs": stack.outputs,
        "RoleARN": stack.role_arn,
        "Tags": [{"Key": key, "Value": value} for key, value in stack.tags.items()],
        "EnableTerminationProtection": stack.termination_protection,
        "RollbackConfiguration": {},
        "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
    }
    return {key: value for key, value in found.items() if value is not None}


def _is_secret(template: dict[str, Any], parameter: str) -> bool:
    return bool(template.get("Parameters", {}).get(parameter, {}).get("NoEcho"))


def _summary(stack: Stack) -> dict[str, Any]:
    keys = (
        "StackId",
        "StackName",
        "CreationTime",
        "LastUpdatedTime",
        "DeletionTime",
        "StackStatus",
        "StackStatusReason",
        "DriftInformation",
    )
    description = _description(stack)
    return {key: description[key] for key in keys if key in description}


def _resource(stack: Stack, each: Resource) -> dict[str, Any]:
    found = {
        "StackId": stack.id,
        "StackName": stack.name,
        "LogicalResourceId": each.logical_id,
        "PhysicalResourceId": each.physical_resource_id,
        "ResourceType": each.type,
        "Timestamp": each.updated,
        "ResourceStatus": each.status,
        "ResourceStatusReason": each.reason,
        "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
    }
    return {key: value for key, value in found.items() if value is not None}


def _event(stack: Stack, event: Event) -> dict[str, Any]:
    found = {
        "StackId": stack.id,
        "EventId": event.id,
        "StackName": stack.name,
        "LogicalResourceId": event.logical_id,
        "PhysicalResourceId": event.physical_id,
        "ResourceType": event.type,
        "Timestamp": event.time,
        "ResourceStatus": event.status,
        "ResourceStatusReason": event.reason,
        "ResourceProperties": json.dumps(event.properties) if event.properties else None,
    }
    return {key: value for key, value in found.items() if value is not None}
