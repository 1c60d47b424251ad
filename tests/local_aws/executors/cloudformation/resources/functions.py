"""AWS Lambda and AWS Step Functions: code that runs when something happens."""

from __future__ import annotations

import io
import json
import re
import zipfile
from typing import Any

from . import as_mapping, lower_first, resource, without

_Aws = Any
_Properties = dict[str, Any]


def _code(properties: _Properties) -> _Properties:
    """Where the code comes from; code in the template itself becomes a file `index`."""
    code = properties["Code"]
    if "ZipFile" not in code:
        return code
    suffix = "py" if properties.get("Runtime", "").startswith("python") else "js"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"index.{suffix}", code["ZipFile"])
    return {"ZipFile": buffer.getvalue()}


@resource("AWS::Lambda::Function")
class Function:
    """A function, from code in the template or from an archive in S3."""

    @staticmethod
    def create(aws: _Aws, name: str, properties: _Properties) -> tuple[str, _Properties]:
        lambda_ = aws("lambda")
        function = properties.get("FunctionName", name)
        made = lambda_.create_function(
            FunctionName=function,
            Code=_code(properties),
            Tags=as_mapping(properties.get("Tags")),
            **without(properties, "FunctionName", "Code", "Tags", "ReservedConcurrentExecutions"),
        )
        lambda_.get_waiter("function_active_v2").wait(FunctionName=function)
        Function._reserve(lambda_, function, properties)
        return function, {"Arn": made["FunctionArn"]}

    @staticmethod
    def update(aws: _Aws, function: str, old: _Properties, new: _Properties) -> None:
        lambda_ = aws("lambda")
        if old["Code"] != new["Code"]:
            lambda_.update_function_code(FunctionName=function, **_code(new))
            lambda_.get_waiter("function_updated_v2").wait(FunctionName=function)
        settings = without(
            new, "FunctionName", "Code", "Tags", "ReservedConcurrentExecutions", "Architectures"
        )
        lambda_.update_function_configuration(FunctionName=function, **settings)
        lambda_.get_waiter("function_updated_v2").wait(FunctionName=function)
        Function._reserve(lambda_, function, new)

    @staticmethod
    def _reserve(lambda_: Any, function: str, properties: _Properties) -> None:
        if "ReservedConcurrentExecutions" in properties:
            lambda_.put_function_concurrency(
                FunctionName=function,
                ReservedConcurrentExecutions=properties["ReservedConcurrentExecutions"],
            )

    @staticmethod
    def delete(aws: _Aws, function: str, properties: _Properties) -> None:
        aws("lambda").delete_function(FunctionName=function)


def _name_of(function: str) -> str:
    """A function may be named by its name or its ARN."""
    return re.sub(r"^arn:aws:lambda:[^:]*:[^:]*:function:", "", function)


@resource("AWS::Lambda::Permission")
class Permission:
    """The right of a service to invoke a function."""

    @staticmethod
    def create(aws: _Aws, name: str, properties: _Properties) -> tuple[str, _Properties]:
        aws("lambda").add_permission(StatementId=name, **properties)
        return name, {"Id": name}

    @staticmethod
    def delete(aws: _Aws, statement: str, properties: _Properties) -> None:
        function = properties["FunctionName"]
        aws("lambda").remove_permission(FunctionName=function, StatementId=statement)


@resource("AWS::Lambda::EventInvokeConfig")
class EventInvokeConfig:
    """How often an asynchronous call is tried again, and where it goes when that is over."""

    @staticmethod
    def create(aws: _Aws, name: str, properties: _Properties) -> tuple[str, _Properties]:
        EventInvokeConfig.update(aws, name, {}, properties)
        return name, {}

    @staticmethod
    def update(aws: _Aws, physical_id: str, old: _Properties, new: _Properties) -> None:
        aws("lambda").put_function_event_invoke_config(**new)

    @staticmethod
    def delete(aws: _Aws, physical_id: str, properties: _Properties) -> None:
        aws("lambda").delete_function_event_invoke_config(
            FunctionName=properties["FunctionName"], Qualifier=properties["Qualifier"]
        )


@resource("AWS::Lambda::EventSourceMapping")
class EventSourceMapping:
    """A queue or stream that feeds a function."""

    @staticmethod
    def create(aws: _Aws, name: str, properties: _Properties) -> tuple[str, _Properties]:
        made = aws("lambda").create_event_source_mapping(
            **without(properties, "Tags"), **_tags(properties)
        )
        return made["UUID"], {"Id": made["UUID"]}

    @staticmethod
    def delete(aws: _Aws, mapping: str, properties: _Properties) -> None:
        aws("lambda").delete_event_source_mapping(UUID=mapping)


def _tags(properties: _Properties) -> _Properties:
    tags = as_mapping(properties.get("Tags"))
    return {"Tags": tags} if tags else {}


@resource("AWS::StepFunctions::StateMachine")
class StateMachine:
    """A state machine; `DefinitionSubstitutions` are put in first."""

    @staticmethod
    def create(aws: _Aws, name: str, properties: _Properties) -> tuple[str, _Properties]:
        called = properties.get("StateMachineName", name)
        made = aws("stepfunctions").create_state_machine(
            name=called, **StateMachine._settings(properties, "StateMachineType", "Tags")
        )
        arn = made["stateMachineArn"]
        return arn, {"Arn": arn, "Name": called}

    @staticmethod
    def _settings(properties: _Properties, *more: str) -> _Properties:
        definition = properties.get("DefinitionString") or json.dumps(properties["Definition"])
        for key, value in properties.get("DefinitionSubstitutions", {}).items():
            definition = definition.replace("${" + key + "}", str(value))
        settings = {
            "definition": definition,
            "roleArn": properties["RoleArn"],
        }
        for key in ("LoggingConfiguration", "TracingConfiguration", *more):
            if key in properties:
                sent = "type" if key == "StateMachineType" else key[0].lower() + key[1:]
                settings[sent] = lower_first(properties[key])
        return settings

    @staticmethod
    def update(aws: _Aws, arn: str, old: _Properties, new: _Properties) -> None:
        settings = StateMachine._settings(new)
        aws("stepfunctions").update_state_machine(stateMachineArn=arn, **settings)

    @staticmethod
    def delete(aws: _Aws, arn: str, properties: _Properties) -> None:
        aws("stepfunctions").delete_state_machine(stateMachineArn=arn)
