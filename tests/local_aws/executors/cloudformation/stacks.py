"""A stack: resources made in order, changed, removed in reverse, and undone if one fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ... import account, processes
from ...errors import AWSError
from . import schemas, templates
from .resources import handler_of


@dataclass
class Resource:
    """One resource of a stack, as the functions of a template see it."""

    logical_id: str
    type: str
    properties: dict[str, Any]
    schema: dict[str, Any]
    physical_resource_id: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    status: str = "CREATE_IN_PROGRESS"
    reason: str | None = None
    updated: datetime = field(default_factory=account.now)
    retained: bool = False

    def get_cfn_attribute(self, name: str) -> Any:
        """What `Fn::GetAtt` returns.

        Raises:
            AWSError: ValidationError for an attribute that the type does not have.
        """
        if name in self.attributes:
            return self.attributes[name]
        if name in self.properties and name in schemas.readable(self.schema):
            return self.properties[name]
        message = f"Requested attribute {name} does not exist in schema for {self.type}"
        raise templates.invalid(f"Template error: {message}")


@dataclass
class Event:
    """One line of a stack's history."""

    logical_id: str
    physical_id: str
    type: str
    status: str
    reason: str | None
    properties: dict[str, Any] | None
    id: str = field(default_factory=account.new_id)
    time: datetime = field(default_factory=account.now)


class Aborted(Exception):
    """A resource could not be made, changed or removed; its event says why."""


@dataclass
class Stack:
    """A stack and what it holds.

    Attributes:
        caller: whose rights its calls to the services need: the role's, or those of who asked.
        on_failure: ROLLBACK, DELETE or DO_NOTHING.
    """

    id: str
    name: str
    region: str
    body: str
    parameters: dict[str, str]
    tags: dict[str, str]
    caller: str
    on_failure: str = "ROLLBACK"
    role_arn: str | None = None
    termination_protection: bool = False
    capabilities: list[str] = field(default_factory=list)
    notification_arns: list[str] = field(default_factory=list)
    status: str = "CREATE_IN_PROGRESS"
    reason: str | None = None
    created: datetime = field(default_factory=account.now)
    updated: datetime | None = None
    deleted: datetime | None = None
    resources: dict[str, Resource] = field(default_factory=dict)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    # ── what is written down ─────────────────────────────────────────────────────────────────────

    def enter(self, status: str, reason: str | None = None) -> None:
        """The stack reaches a status; the event is written before the status can be seen."""
        self.events.append(
            Event(self.name, self.id, "AWS::CloudFormation::Stack", status, reason, None)
        )
        self.status, self.reason = status, reason

    def _note(self, resource: Resource, status: str, reason: str | None = None) -> None:
        resource.status, resource.reason, resource.updated = status, reason, account.now()
        self.events.append(
            Event(
                resource.logical_id,
                resource.physical_resource_id,
                resource.type,
                status,
                reason,
                resource.properties,
            )
        )

    # ── the three things that happen to a stack ──────────────────────────────────────────────────

    def create(self, template: dict[str, Any], exports: dict[str, Any]) -> None:
        """Make every resource in order; undo what was made if one fails."""
        try:
            scope = self._apply(template, exports)
            self.outputs = self._outputs(template, scope)
        except Aborted as failure:
            self._undo_creation(str(failure))
        else:
            self.enter("CREATE_COMPLETE")

    def _undo_creation(self, reason: str) -> None:
        if self.on_failure == "DO_NOTHING":
            self.enter("CREATE_FAILED", reason)
        elif self.on_failure == "DELETE":
            self.delete()
        else:
            self.enter("ROLLBACK_IN_PROGRESS", f"{reason} Rollback requested by user.")
            done = self._remove(list(self.resources))
            self.enter("ROLLBACK_COMPLETE" if done else "ROLLBACK_FAILED")

    def update(
        self, body: str, parameters: dict[str, str], tags: dict[str, str], exports: dict[str, Any]
    ) -> None:
        """Make the stack what a new template says; go back to the old one if that fails."""
        before = (self.body, self.parameters, self.tags)
        try:
            self._become(body, parameters, tags, exports, "UPDATE")
        except Aborted as failure:
            self.enter("UPDATE_ROLLBACK_IN_PROGRESS", str(failure))
            try:
                self._become(*before, exports, "UPDATE_ROLLBACK")
            except Aborted as second:
                self.enter("UPDATE_ROLLBACK_FAILED", str(second))

    def _become(
        self,
        body: str,
        parameters: dict[str, str],
        tags: dict[str, str],
        exports: dict[str, Any],
        kind: str,
    ) -> None:
        self.body, self.parameters, self.tags = body, parameters, tags
        template = templates.parse(body)
        scope = self._apply(template, exports)
        self.outputs = self._outputs(template, scope)
        self.enter(f"{kind}_COMPLETE_CLEANUP_IN_PROGRESS")
        self._remove([name for name in self.resources if name not in scope.resources])
        self.updated = account.now()
        self.enter(f"{kind}_COMPLETE")

    def delete(self, retained: list[str] | None = None) -> None:
        """Remove the resources in reverse order, but for those that are to be retained."""
        self.enter("DELETE_IN_PROGRESS", "User Initiated")
        for name in retained or []:
            self.resources[name].retained = True
        if self._remove(list(self.resources)):
            self.deleted = account.now()
            self.enter("DELETE_COMPLETE")
        else:
            failed = [r.logical_id for r in self.resources.values() if "FAILED" in r.status]
            self.enter(
                "DELETE_FAILED",
                f"The following resource(s) failed to delete: [{', '.join(failed)}]. ",
            )

    # ── resources ────────────────────────────────────────────────────────────────────────────────

    def _apply(self, template: dict[str, Any], exports: dict[str, Any]) -> templates.Scope:
        scope = templates.Scope(
            self.id, self.name, self.region, account.ACCOUNT_ID, template, self.parameters, exports
        )
        bodies = template["Resources"]
        for name in templates.in_order(bodies):
            if scope.holds(bodies[name].get("Condition")):
                scope.resources[name] = self._reach(name, bodies[name], scope)
        return scope

    def _reach(self, name: str, body: dict[str, Any], scope: templates.Scope) -> Resource:
        """Bring one resource to what the template says."""
        schema = schemas.schema_of(body["Type"], self.region) or {}
        wanted = Resource(name, body["Type"], {}, schema)
        wanted.retained = body.get("DeletionPolicy") in ("Retain", "RetainExceptOnCreate")
        existing = self.resources.get(name)
        try:
            properties = scope.evaluate(body.get("Properties") or {})
            properties = schemas.coerced(properties, schema, schema)
            wanted.properties = schemas.with_tags(properties, self.tags, schema)
            wrong = schemas.problems(properties, schema)
            if wrong:
                raise AWSError(
                    "InvalidRequest",
                    f"Properties validation failed for resource {name} with message:\n"
                    + "\n".join(wrong),
                )
            if existing is None:
                return self._make(wanted)
            if existing.type == wanted.type and existing.properties == wanted.properties:
                return existing
            return self._change(existing, wanted)
        except (ClientError, BotoCoreError, AWSError) as error:
            status = "CREATE_FAILED" if existing is None else "UPDATE_FAILED"
            failed = existing or wanted
            self.resources.setdefault(name, failed)
            self._note(failed, status, _in_words(error, failed))
            verb = "create" if existing is None else "update"
            message = f"The following resource(s) failed to {verb}: [{name}]."
            raise Aborted(message) from error

    def _make(self, wanted: Resource) -> Resource:
        self._note(wanted, "CREATE_IN_PROGRESS")
        handler = handler_of(wanted.type)
        made = handler.create(self._services(), self._name_for(wanted), wanted.properties)
        wanted.physical_resource_id, wanted.attributes = made
        self.resources[wanted.logical_id] = wanted
        self._note(wanted, "CREATE_COMPLETE")
        return wanted

    def _change(self, existing: Resource, wanted: Resource) -> Resource:
        handler = handler_of(wanted.type)
        different_type = existing.type != wanted.type
        if (
            different_type
            or not hasattr(handler, "update")
            or schemas.needs_replacement(existing.properties, wanted.properties, wanted.schema)
        ):
            self._note(
                existing,
                "UPDATE_IN_PROGRESS",
                "Requested update requires the creation of "
                "a new physical resource; hence creating one.",
            )
            made = handler.create(self._services(), self._name_for(wanted), wanted.properties)
            handler_of(existing.type).delete(
                self._services(), existing.physical_resource_id, existing.properties
            )
            wanted.physical_resource_id, wanted.attributes = made
        else:
            self._note(existing, "UPDATE_IN_PROGRESS")
            wanted.physical_resource_id = existing.physical_resource_id
            wanted.attributes = existing.attributes
            handler.update(
                self._services(),
                existing.physical_resource_id,
                existing.properties,
                wanted.properties,
            )
        self.resources[wanted.logical_id] = wanted
        self._note(wanted, "UPDATE_COMPLETE")
        return wanted

    def _remove(self, names: list[str]) -> bool:
        """Remove resources, the youngest first. Whether all could be."""
        complete = True
        for name in reversed(names):
            resource = self.resources[name]
            if resource.status == "DELETE_COMPLETE":
                continue
            if resource.retained or not resource.physical_resource_id:
                self._note(resource, "DELETE_SKIPPED" if resource.retained else "DELETE_COMPLETE")
                continue
            self._note(resource, "DELETE_IN_PROGRESS")
            try:
                handler_of(resource.type).delete(
                    self._services(), resource.physical_resource_id, resource.properties
                )
            except (ClientError, BotoCoreError) as error:
                if not _is_gone(error):
                    complete = False
                    self._note(resource, "DELETE_FAILED", _in_words(error, resource))
                    continue
            self._note(resource, "DELETE_COMPLETE")
        if complete:
            for name in names:
                del self.resources[name]
        return complete

    def _name_for(self, resource: Resource) -> str:
        """The name that CloudFormation gives what the template does not name."""
        name = f"{self.name}-{resource.logical_id}-{account.new_id()[:12].replace('-', '')}"
        return name.lower() if resource.type == "AWS::S3::Bucket" else name[:64]

    def _outputs(self, template: dict[str, Any], scope: templates.Scope) -> list[dict[str, Any]]:
        found = []
        for key, body in (template.get("Outputs") or {}).items():
            if not scope.holds(body.get("Condition")):
                continue
            output = {"OutputKey": key, "OutputValue": str(scope.evaluate(body["Value"]))}
            if "Description" in body:
                output["Description"] = body["Description"]
            if "Export" in body:
                output["ExportName"] = scope.evaluate(body["Export"]["Name"])
            found.append(output)
        return found

    def _services(self) -> Callable[[str], Any]:
        """Gives boto3 clients that call as the stack's role, or as who asked for the stack."""
        environ = processes.job_environment(self.region, self.caller)

        def client(service: str) -> Any:
            return boto3.client(
                service,
                region_name=self.region,
                endpoint_url=environ["AWS_ENDPOINT_URL"],
                aws_access_key_id=environ["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=environ["AWS_SECRET_ACCESS_KEY"],
                aws_session_token=environ["AWS_SESSION_TOKEN"],
                config=Config(retries={"mode": "standard", "total_max_attempts": 5}),
            )

        return client


def _is_gone(error: Exception) -> bool:
    """Whether what was to be deleted is not there any more, which is what was wanted."""
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
    return "NotFound" in code or code.startswith("NoSuch") or "NonExistent" in code


def _in_words(error: Exception, resource: Resource) -> str:
    """A failure as an event of CloudFormation tells it."""
    if isinstance(error, ClientError):
        service = resource.type.split("::")[1]
        status = error.response["ResponseMetadata"].get("HTTPStatusCode", 400)
        found = error.response["Error"]
        return f"{found['Message']} (Service: {service}, Status Code: {status}, {found['Code']})"
    return error.message if isinstance(error, AWSError) else str(error)
