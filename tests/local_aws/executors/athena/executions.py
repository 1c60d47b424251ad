"""Query executions: how they start, end, and give their results."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any

from ... import account, journal, storage
from ...gateway import AWSError, Call, handles
from ...jobs import Job
from ...storage import S3Location
from . import results
from .catalog import Catalog
from .engine import Run
from .errors import Cancelled, MalformedQuery, QueryError
from .statements import Context, Outcome, Statement, parse
from .workgroups import PREPARED, paged, work_group

_ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")
# A short query is done when StartQueryExecution answers, so that no client has to wait for its
# next look; a longer one is then RUNNING.
_SECONDS_AT_START = 0.2
_MOST_ROWS = 1000
_ENGINE = {
    "SelectedEngineVersion": "AUTO",
    "EffectiveEngineVersion": "Athena engine version 3",
}

EXECUTIONS: dict[str, Execution] = account.table()
_tokens: dict[str, tuple[str, dict[str, Any]]] = account.table()


class Execution(Job):
    """One query execution."""

    def __init__(self, call: Call, statement: Statement) -> None:
        super().__init__(account.new_id(), call.region, status="QUEUED", failed="FAILED")
        self.params, self.caller, self.statement = call.params, call.caller, statement
        self.work_group = call.params.get("WorkGroup") or "primary"
        settings = work_group(call.region, self.work_group).configuration
        managed = settings.get("ManagedQueryResultsConfiguration") or {}
        self.result_configuration = {} if managed.get("Enabled") else _results_to(call, settings)
        self.catalog = Catalog(call.region, call.caller)
        self.run = Run(self.name, self.catalog, settings.get("BytesScannedCutoffPerQuery"))
        self.outcome = Outcome()
        self.reused: Execution | None = None
        self.error: dict[str, Any] | None = None
        self.scanned_bytes = self.rows_read = self.output_bytes = 0

    @property
    def output(self) -> str:
        """Where the results go, without a slash at the end."""
        return self.result_configuration.get("OutputLocation", "").rstrip("/")

    @property
    def result_uri(self) -> str:
        """The result file; empty where Athena manages the results itself."""
        if self.reused:
            return self.reused.result_uri
        if not self.output:
            return ""
        folder = "/tables" if self._makes_its_own_location() else ""
        return f"{self.output}{folder}/{self.name}{self.statement.suffix}"

    def _makes_its_own_location(self) -> bool:
        written = self.statement.detail == "CREATE_TABLE_AS_SELECT"
        return written and "external_location" not in self.params["QueryString"].lower()

    def stop(self) -> None:
        super().stop()
        self.run.interrupt("Query cancelled by user")

    def carry_out(self, job: Job) -> None:
        """What the worker thread does."""
        self.status = "RUNNING"
        try:
            self.outcome = self._execute()
            self._write_results()
            self.ended = account.now()
            self.status = "SUCCEEDED"
        except Cancelled as reason:
            self._end("CANCELLED", str(reason))
        except QueryError as error:
            self.error = error.as_athena_error()
            self._end("FAILED", str(error))
        except MalformedQuery as error:
            self._end("FAILED", f"SYNTAX_ERROR: {error}")
        except AWSError as error:
            self._end("FAILED", f"{error.message} (Service: Amazon S3; Error Code: {error.code})")

    def _execute(self) -> Outcome:
        if self.reused:
            return self.reused.outcome
        context = Context(
            query_id=self.name,
            catalog=self.catalog,
            database=self.database,
            workgroup=self.work_group,
            output=self.output,
            parameters=list(self.params.get("ExecutionParameters") or []),
            run=self.run,
            prepared=PREPARED,
        )
        try:
            return self.statement.run(context)
        finally:
            self.scanned_bytes = sum(answer.scanned_bytes for answer in context.answers)
            self.rows_read = sum(answer.rows_read for answer in context.answers)

    def _write_results(self) -> None:
        self.output_bytes = len(self.outcome.content)
        if self.reused or not self.output:
            return
        target = S3Location.parse(self.result_uri)
        if self.outcome.manifest is not None:
            manifest = S3Location.parse(self.manifest_uri)
            storage.write(manifest, "\n".join(self.outcome.manifest).encode(), self.caller)
        else:
            storage.write(target, self.outcome.content, self.caller)
            self.outcome.content = b""
        described = S3Location(target.bucket, f"{target.key}.metadata")
        storage.write(described, results.metadata(self.outcome.columns), self.caller)

    def _end(self, status: str, reason: str) -> None:
        self.failure_reason, self.ended = reason, account.now()
        self.status = status

    @property
    def manifest_uri(self) -> str:
        return f"{self.result_uri}-manifest.csv"

    @property
    def database(self) -> str:
        context = self.params.get("QueryExecutionContext") or {}
        return context.get("Database", "default").strip('`"').lower()

    def describe(self) -> dict[str, Any]:
        """The execution as GetQueryExecution gives it."""
        status = {"State": self.status, "SubmissionDateTime": self.created}
        if self.status in _ENDED:
            status["CompletionDateTime"] = self.ended
        if self.failure_reason:
            status["StateChangeReason"] = self.failure_reason
        if self.error:
            status["AthenaError"] = self.error
        reuse = {"ResultReuseByAgeConfiguration": {"Enabled": False}}
        description = {
            "QueryExecutionId": self.name,
            "Query": self.params["QueryString"],
            "StatementType": self.statement.kind,
            "SubstatementType": self.statement.detail,
            "ResultReuseConfiguration": self.params.get("ResultReuseConfiguration") or reuse,
            "QueryExecutionContext": self.params.get("QueryExecutionContext") or {},
            "Status": status,
            "Statistics": self._statistics(),
            "WorkGroup": self.work_group,
            "EngineVersion": _ENGINE,
        }
        if self.output:
            placed = {**self.result_configuration, "OutputLocation": self.result_uri}
            description["ResultConfiguration"] = placed
        if self.params.get("ExecutionParameters"):
            description["ExecutionParameters"] = self.params["ExecutionParameters"]
        return description

    def timeline(self) -> dict[str, int]:
        """How long the parts took, in milliseconds."""
        started, ended = self.started or self.created, self.ended or account.now()
        queued, ran = started - self.created, ended - started
        return {
            "QueryQueueTimeInMillis": _milliseconds(queued),
            "EngineExecutionTimeInMillis": _milliseconds(ran),
            "QueryPlanningTimeInMillis": 0,
            "ServicePreProcessingTimeInMillis": 0,
            "ServiceProcessingTimeInMillis": 0,
            "TotalExecutionTimeInMillis": _milliseconds(queued + ran),
        }

    def _statistics(self) -> dict[str, Any]:
        reused = self.reused is not None
        statistics: dict[str, Any] = {
            **self.timeline(),
            "DataScannedInBytes": self.scanned_bytes,
            "ResultReuseInformation": {"ReusedPreviousResult": reused},
        }
        if self.status == "SUCCEEDED" and self.outcome.manifest is not None and self.output:
            statistics["DataManifestLocation"] = self.manifest_uri
        return statistics


def _milliseconds(span: timedelta) -> int:
    return round(span.total_seconds() * 1000)


def _results_to(call: Call, settings: dict[str, Any]) -> dict[str, Any]:
    """The client's result configuration, or the workgroup's where that is enforced or alone."""
    own = call.params.get("ResultConfiguration") or {}
    common = settings.get("ResultConfiguration") or {}
    if settings.get("EnforceWorkGroupConfiguration") and common.get("OutputLocation"):
        chosen = common
    else:
        chosen = {**common, **own}
    if not chosen.get("OutputLocation"):
        raise invalid(
            "No output location provided. An output location is required either through the "
            "Workgroup result configuration setting or as an API input."
        )
    return dict(chosen)


def invalid(message: str, code: str = "INVALID_INPUT") -> AWSError:
    """The error for a request that Athena refuses."""
    return AWSError("InvalidRequestException", message, AthenaErrorCode=code)


# ── operations ───────────────────────────────────────────────────────────────────────────────────


@handles("athena", "StartQueryExecution")
def start(call: Call) -> dict[str, Any]:
    token = call.params.get("ClientRequestToken")
    if token in _tokens:
        name, params = _tokens[token]
        if params != call.params:
            raise invalid("Idempotent parameters do not match")
        return {"QueryExecutionId": name}
    group = work_group(call.region, call.params.get("WorkGroup") or "primary")
    if group.state != "ENABLED":
        raise invalid(f"WorkGroup {group.name} is disabled.")
    try:
        statement = parse(call.params["QueryString"])
    except MalformedQuery as error:
        raise invalid(str(error), "MALFORMED_QUERY") from None
    execution = Execution(call, statement)
    _check_output(execution)
    execution.reused = _reusable(execution)
    EXECUTIONS[execution.name] = execution
    if token:
        _tokens[token] = execution.name, copy.deepcopy(call.params)
    execution.start(execution.carry_out)
    execution.join(_SECONDS_AT_START)
    return {"QueryExecutionId": execution.name}


def _check_output(execution: Execution) -> None:
    if not execution.output:
        return
    if not execution.output.startswith("s3://"):
        raise invalid("outputLocation is not a valid S3 path.")
    from moto.s3.models import s3_backends

    bucket = S3Location.parse(execution.output).bucket
    journal.note("s3", "GetBucketLocation", {"Bucket": bucket}, execution.region, execution.caller)
    if bucket not in s3_backends[account.ACCOUNT_ID]["aws"].buckets:
        raise invalid(f"Unable to verify/create output bucket {bucket}")


def _reusable(execution: Execution) -> Execution | None:
    """An earlier execution of the same query whose result is young enough to be given again."""
    wanted = execution.params.get("ResultReuseConfiguration") or {}
    by_age = wanted.get("ResultReuseByAgeConfiguration") or {}
    if not by_age.get("Enabled") or execution.statement.detail != "SELECT":
        return None
    oldest = account.now() - timedelta(minutes=by_age.get("MaxAgeInMinutes", 60))
    same = ("QueryString", "QueryExecutionContext", "ExecutionParameters")
    for earlier in reversed(EXECUTIONS.values()):
        fits = earlier.status == "SUCCEEDED" and earlier.ended and earlier.ended >= oldest
        fits = fits and earlier.reused is None and earlier.work_group == execution.work_group
        if fits and all(earlier.params.get(n) == execution.params.get(n) for n in same):
            return earlier
    return None


@handles("athena", "StopQueryExecution")
def stop(call: Call) -> None:
    execution = _execution(call)
    if execution.status not in _ENDED:
        execution.stop()
        execution.join(_SECONDS_AT_START)


@handles("athena", "GetQueryExecution")
def get(call: Call) -> dict[str, Any]:
    return {"QueryExecution": _execution(call).describe()}


@handles("athena", "BatchGetQueryExecution")
def batch_get(call: Call) -> dict[str, Any]:
    names = call.params["QueryExecutionIds"]
    missing = [
        {
            "QueryExecutionId": name,
            "ErrorCode": "INVALID_INPUT",
            "ErrorMessage": f"QueryExecution {name} was not found",
        }
        for name in names
        if name not in EXECUTIONS
    ]
    found = [EXECUTIONS[name].describe() for name in names if name in EXECUTIONS]
    return {"QueryExecutions": found, "UnprocessedQueryExecutionIds": missing}


@handles("athena", "ListQueryExecutions")
def list_executions(call: Call) -> dict[str, Any]:
    group = call.params.get("WorkGroup") or "primary"
    work_group(call.region, group)
    newest_first = [
        execution.name
        for execution in reversed(EXECUTIONS.values())
        if execution.work_group == group and execution.region == call.region
    ]
    return paged(call, "QueryExecutionIds", newest_first, 50)


@handles("athena", "GetQueryResults")
def get_results(call: Call) -> dict[str, Any]:
    execution = _execution(call)
    if execution.status in ("QUEUED", "RUNNING"):
        message = f"Query has not yet finished. Current state: {execution.status}"
        raise invalid(message, "INVALID_QUERY_EXECUTION_STATE")
    if execution.status != "SUCCEEDED":
        message = f"Query did not finish successfully. Final query state: {execution.status}"
        raise invalid(message, "INVALID_QUERY_EXECUTION_STATE")
    data, start = _content(execution), int(call.params.get("NextToken") or 0)
    count = min(call.params.get("MaxResults") or _MOST_ROWS, _MOST_ROWS)
    if execution.outcome.is_table:
        rows, total = results.rows_of(data, start, count), results.count_rows(data)
    else:
        every = [[line] for line in data.decode().splitlines()]
        rows, total = every[start : start + count], len(every)
    answer: dict[str, Any] = {
        "UpdateCount": execution.outcome.update_count,
        "ResultSet": {
            "Rows": results.as_rows(rows),
            "ResultSetMetadata": {"ColumnInfo": execution.outcome.columns},
        },
    }
    if start + count < total:
        answer["NextToken"] = str(start + count)
    return answer


def _content(execution: Execution) -> bytes:
    """The result file, read with the caller's rights, as on AWS."""
    source = execution.reused or execution
    if source.outcome.manifest is not None or not source.output:
        return source.outcome.content
    try:
        return storage.read(S3Location.parse(source.result_uri), execution.caller)
    except AWSError:
        message = f"Could not find results. The file {source.result_uri} is gone."
        raise invalid(message) from None


@handles("athena", "GetQueryRuntimeStatistics")
def runtime_statistics(call: Call) -> dict[str, Any]:
    execution = _execution(call)
    rows = {
        "InputRows": execution.rows_read,
        "InputBytes": execution.scanned_bytes,
        "OutputRows": execution.outcome.rows,
        "OutputBytes": execution.output_bytes,
    }
    return {"QueryRuntimeStatistics": {"Timeline": execution.timeline(), "Rows": rows}}


def _execution(call: Call) -> Execution:
    name = call.params["QueryExecutionId"]
    if name not in EXECUTIONS:
        raise invalid(f"QueryExecution {name} was not found")
    return EXECUTIONS[name]
