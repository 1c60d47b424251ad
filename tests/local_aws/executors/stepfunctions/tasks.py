"""Task states that call a service: one class for all of them, in the place of moto's own.

moto's classes know a few actions of a few services; this one reads the service's model, and waits
for jobs (`.sync`) and for callbacks (`.waitForTaskToken`).
https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from typing import Any

import jmespath
from botocore.exceptions import ClientError, ParamValidationError
from moto.stepfunctions.parser.api import (
    HistoryEventExecutionDataDetails,
    HistoryEventType,
    TaskFailedEventDetails,
    TaskSubmittedEventDetails,
)
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import (
    ErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service as base,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task import StateTask
from moto.stepfunctions.parser.asl.eval.callback.callback import (
    CallbackOutcomeFailure,
    CallbackOutcomeSuccess,
)
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str

from . import calls, catalog

_FIRST_LOOK, _LONGEST_LOOK = 0.05, 0.4


class ServiceTask(base.StateTaskService):
    """A Task state whose resource is a service integration."""

    integration: catalog.Integration
    # Time spent on waiting is bounded by `TimeoutSeconds`; moto's own code sees to that.

    def _validate_service_integration_is_supported(self) -> None:
        self.integration = catalog.parse(self.resource.resource_arn)

    def _get_supported_parameters(self) -> None:
        return None

    def _get_sfn_resource(self) -> str:
        pattern = self.integration.pattern
        return f"{self.integration.action}.{pattern}" if pattern else self.integration.action

    def _get_sfn_resource_type(self) -> str:
        if self.integration.optimized:
            return self.integration.optimized
        return f"aws-sdk:{self.resource.api_name}"

    def _eval_body(self, env: Any) -> None:
        if self.integration.pattern == catalog.CALLBACK:
            env.callback_pool_manager.add(env.states.context_object.update_task_token())
        super()._eval_body(env=env)
        env.states.context_object.context_object_data.pop("Task", None)

    def _eval_service_task(
        self,
        env: Any,
        resource_runtime_part: Any,
        normalised_parameters: dict[str, Any],
        state_credentials: Any,
    ) -> None:
        """Make the call and leave its answer on the stack."""
        integration = self.integration
        client = calls.client(
            integration.service, resource_runtime_part.region, state_credentials.role_arn
        )
        calls.refuse_if_not_allowed(integration, state_credentials.role_arn)
        asked = calls.request_of(integration, normalised_parameters)
        answered = _call(client, integration.operation.name, asked)
        if integration.optimized == "lambda" and answered.get("FunctionError"):
            self._fail_as_function(env, answered["Payload"].read().decode())
        result = calls.response_of(integration, answered)
        if integration.optimized == "events" and result.get("FailedEntryCount"):
            self._fail(env, "EventBridge.FailedEntry", to_json_str(result))
        if integration.optimized == "glue":
            result = {**result, "JobName": normalised_parameters.get("JobName")}
        if integration.pattern:
            self._note_submitted(env, result)
        if integration.pattern == catalog.CALLBACK:
            result = self._await_callback(env)
        elif integration.pattern and integration.service == "stepfunctions":
            result = self._await_execution(env, client, result["ExecutionArn"])
        elif integration.pattern:
            result = self._await_job(env, client, normalised_parameters, result)
        env.stack.append(result)

    def _after_eval_execution(self, env: Any, *arguments: Any, **named: Any) -> None:
        # Of an execution that has been stopped, nothing is told any more.
        if env.is_running():
            super()._after_eval_execution(env, *arguments, **named)

    # ── what a call waits for ────────────────────────────────────────────────────────────────────

    def _await_job(self, env: Any, client: Any, request: Any, response: Any) -> Any:
        """Look at the job until it has ended. Stops it when nobody waits any more."""
        poll = self.integration.poll
        if poll is None:
            raise RuntimeError(f"{self.resource.resource_arn} is not carried out.")
        shape = client.meta.service_model.operation_model(poll.describe).output_shape
        keys = catalog.filled(poll.keys, request, response)
        for _ in _looks(env):
            answered = _call(client, poll.describe, keys)
            answered.pop("ResponseMetadata", None)
            result = calls.from_shape(answered, shape, self.integration)
            inner = jmespath.search(_cased(poll.root), result)
            state = jmespath.search(_cased(poll.state), inner)
            if state in poll.good:
                return inner
            if state in poll.bad:
                self._fail(env, "States.TaskFailed", to_json_str(inner))
        if poll.stop:
            stop_keys = catalog.filled(poll.stop_keys or poll.keys, request, response)
            with contextlib.suppress(ClientError):  # it may have ended in the meantime
                _call(client, poll.stop, stop_keys)
        return None

    def _await_execution(self, env: Any, client: Any, arn: str) -> Any:
        """Wait for another state machine; `.sync:2` gives its output as JSON, `.sync` as text."""
        shape = client.meta.service_model.operation_model("DescribeExecution").output_shape
        for _ in _looks(env):
            answered = client.describe_execution(executionArn=arn)
            answered.pop("ResponseMetadata", None)
            if answered["status"] == "RUNNING":
                continue
            result = calls.from_shape(answered, shape, self.integration)
            if self.integration.pattern == catalog.SYNC_2:
                for name in ("Input", "Output"):
                    if isinstance(result.get(name), str):
                        result[name] = json.loads(result[name])
            if answered["status"] == "SUCCEEDED":
                return result
            self._fail(env, "States.TaskFailed", to_json_str(result))
        with contextlib.suppress(ClientError):
            client.stop_execution(executionArn=arn)
        return None

    def _await_callback(self, env: Any) -> Any:
        """Wait for SendTaskSuccess or SendTaskFailure; a heartbeat that is late ends the wait."""
        token = env.states.context_object.context_object_data["Task"]["Token"]
        endpoint = env.callback_pool_manager.get(token)
        heartbeat = None
        if self.heartbeat:
            self.heartbeat.eval(env=env)
            heartbeat = env.stack.pop()
            beats = endpoint.setup_heartbeat_endpoint(heartbeat_seconds=heartbeat)
        last = time.monotonic()
        while env.is_running():
            outcome = endpoint.wait(timeout=0.1)
            if isinstance(outcome, CallbackOutcomeSuccess):
                return json.loads(outcome.output)
            if isinstance(outcome, CallbackOutcomeFailure):
                self._fail(env, outcome.error or "", outcome.cause or "")
            if heartbeat is not None:
                if beats._next_heartbeat_event.is_set():
                    beats._next_heartbeat_event.clear()
                    last = time.monotonic()
                elif time.monotonic() - last > heartbeat:
                    raise TimeoutError
        return None

    # ── how a call fails ─────────────────────────────────────────────────────────────────────────

    def _from_error(self, env: Any, ex: Exception) -> FailureEvent:
        if isinstance(ex, ClientError):
            error = ex.response["Error"]
            name = self.integration.error_name(error.get("Code", ""))
            return self._failure(env, name, self._cause_of(ex))
        if isinstance(ex, ParamValidationError | RuntimeError):
            return self._failure(env, "States.Runtime", str(ex))
        return StateTask._from_error(self, env=env, ex=ex)

    def _cause_of(self, error: ClientError) -> str:
        said, metadata = error.response["Error"], error.response.get("ResponseMetadata", {})
        status, request_id = metadata.get("HTTPStatusCode"), metadata.get("RequestId", "")
        service = catalog.pascal(self.integration.service)
        if self.integration.optimized:
            return (
                f"{said.get('Message', '')} (Service: {service}; Status Code: {status}; "
                f"Error Code: {said.get('Code', '')}; Request ID: {request_id}; Proxy: null)"
            )
        return (
            f"{said.get('Message', '')} (Service: {service}, Status Code: {status}, "
            f"Request ID: {request_id})"
        )

    def _fail_as_function(self, env: Any, payload: str) -> None:
        try:
            error = json.loads(payload)["errorType"]
        except (ValueError, KeyError, TypeError):
            error = "Exception"
        self._fail(env, error, payload)

    def _fail(self, env: Any, error: str, cause: str) -> None:
        raise FailureEventException(self._failure(env, error, cause))

    def _failure(self, env: Any, error: str, cause: str) -> FailureEvent:
        details = TaskFailedEventDetails(
            resource=self._get_sfn_resource(),
            resourceType=self._get_sfn_resource_type(),
            error=error,
            cause=cause[:32768],
        )
        return FailureEvent(
            env=env,
            error_name=ErrorName(error_name=error),
            event_type=HistoryEventType.TaskFailed,
            event_details=EventDetails(taskFailedEventDetails=details),
        )

    def _note_submitted(self, env: Any, result: Any) -> None:
        details = TaskSubmittedEventDetails(
            resource=self._get_sfn_resource(),
            resourceType=self._get_sfn_resource_type(),
            output=to_json_str(result),
            outputDetails=HistoryEventExecutionDataDetails(truncated=False),
        )
        env.event_manager.add_event(
            context=env.event_history_context,
            event_type=HistoryEventType.TaskSubmitted,
            event_details=EventDetails(taskSubmittedEventDetails=details),
        )


def _call(client: Any, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Call an operation by the name of its model."""
    methods = {name: method for method, name in client.meta.method_to_api_mapping.items()}
    return getattr(client, methods[operation])(**parameters) or {}


def _looks(env: Any) -> Any:
    """Yield whenever it is time to look again, until the state is not waited for any more."""
    pause = _FIRST_LOOK
    while env.is_running():
        yield
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_LOOK)


def _cased(path: str) -> str:
    """A JMESPath with its names in PascalCase, as results of states have them."""
    return re.sub(r"(?<![\w'])[a-z]\w*", lambda found: found[0][0].upper() + found[0][1:], path)
