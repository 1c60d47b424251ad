"""State machines: created if their definition is one and Step Functions may assume the role."""

from __future__ import annotations

from typing import Any

from ... import identity
from ...errors import AWSError, not_implemented
from ...gateway import Call, handles
from . import definition

_SERVICE = "states.amazonaws.com"


@handles("stepfunctions", "CreateStateMachine")
def create(call: Call) -> dict[str, Any]:
    """Keep a state machine. Creating it again as it is gives the one that is there."""
    params = call.params
    kind = params.get("type", "STANDARD")
    definition.check(params["definition"], kind)
    check_role(params["roleArn"])
    _check_logging(params.get("loggingConfiguration"))
    arn = f"arn:aws:states:{call.region}:{call.account}:stateMachine:{params['name']}"
    known = next((item for item in backend(call.region).state_machines if item.arn == arn), None)
    if known is not None and (known.definition, known.roleArn, known.type) != (
        params["definition"],
        params["roleArn"],
        kind,
    ):
        raise AWSError("StateMachineAlreadyExists", f"State Machine Already Exists: '{arn}'")
    return call.forward()


@handles("stepfunctions", "UpdateStateMachine")
def update(call: Call) -> dict[str, Any]:
    """Change definition, role or settings; executions that run go on as they began."""
    params = call.params
    machine = backend(call.region).describe_state_machine(params["stateMachineArn"])
    if params.get("definition"):
        definition.check(params["definition"], machine.type)
    if params.get("roleArn"):
        check_role(params["roleArn"])
    _check_logging(params.get("loggingConfiguration"))
    return call.forward()


@handles("stepfunctions", "ValidateStateMachineDefinition")
def validate(call: Call) -> dict[str, Any]:
    """Say what is wrong with a definition, and where."""
    findings = definition.find(call.params["definition"], call.params.get("type", "STANDARD"))
    most = call.params.get("maxResults") or 100
    diagnostics = []
    for finding in findings[:most]:
        diagnostic = {"severity": "ERROR", "code": finding.code, "message": finding.message}
        if finding.location is not None:
            diagnostic["location"] = finding.location
        diagnostics.append(diagnostic)
    return {
        "result": "FAIL" if findings else "OK",
        "diagnostics": diagnostics,
        "truncated": len(findings) > most,
    }


@handles(
    "stepfunctions",
    "CreateActivity",
    "GetActivityTask",
    "RedriveExecution",
    "PublishStateMachineVersion",
    "ListStateMachineVersions",
    "DeleteStateMachineVersion",
    "UpdateMapRun",
)
def refuse(call: Call) -> dict[str, Any]:
    """What is not carried out, though moto answers some of it."""
    raise not_implemented(call.service, call.operation)


def backend(region: str) -> Any:
    """moto's state of Step Functions, with its interpreter."""
    from moto.stepfunctions.parser.models import stepfunctions_parser_backends

    from ... import account

    return stepfunctions_parser_backends[account.ACCOUNT_ID][region]


def check_role(arn: str) -> None:
    """The role must exist and trust Step Functions."""
    if not identity.trusts(arn, _SERVICE):
        message = f"Neither the global service principal {_SERVICE}, nor the regional one is "
        message += f"authorized to assume the provided role {arn}."
        raise AWSError("AccessDeniedException", message)


def _check_logging(configuration: dict[str, Any] | None) -> None:
    """A log group that is named must be one."""
    for destination in (configuration or {}).get("destinations") or []:
        arn = (destination.get("cloudWatchLogsLogGroup") or {}).get("logGroupArn", "")
        if ":log-group:" not in arn or not arn.endswith(":*"):
            message = f"Invalid Logging Configuration: the log group's ARN must end in ':*': {arn}"
            raise AWSError("InvalidLoggingConfiguration", message)
