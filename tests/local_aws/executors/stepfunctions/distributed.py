"""Distributed Map: an execution of its own for each item or batch, fed from S3, written to S3.

https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html
"""

from __future__ import annotations

import copy
import csv
import io
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError
from moto.stepfunctions.parser.api import (
    HistoryEventType,
    MapRunFailedEventDetails,
    MapRunStartedEventDetails,
    MapRunStatus,
)
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import (
    ErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

from ... import account
from . import calls, runs

FIELDS = ("ItemReader", "ItemBatcher", "ResultWriter")
INPUT_TYPES = ("CSV", "JSON", "JSONL", "MANIFEST")
_DELIMITERS = {"COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "SPACE": " ", "TAB": "\t"}
_MOST_AT_A_TIME = 40  # AWS runs up to 10,000; threads of this process are fewer
_MOST_BYTES = 256 * 1024


def plain(state: dict[str, Any]) -> dict[str, Any]:
    """A Distributed Map as moto's grammar has it: without readers, with a share as a float."""
    processor = state["ItemProcessor"]
    config = {**processor["ProcessorConfig"], "ExecutionType": "STANDARD"}
    kept = {key: value for key, value in state.items() if key not in FIELDS}
    share = kept.get("ToleratedFailurePercentage")
    if isinstance(share, int):
        kept["ToleratedFailurePercentage"] = float(share)
    return {**kept, "ItemProcessor": {**processor, "ProcessorConfig": config}}


class _Settings:
    """What the definition says of a Distributed Map, with its templates ready to be filled."""

    def __init__(self, state: dict[str, Any], language: str) -> None:
        processor = state["ItemProcessor"]
        self.definition = {
            "QueryLanguage": language,
            **{key: value for key, value in processor.items() if key != "ProcessorConfig"},
        }
        self.type = processor["ProcessorConfig"].get("ExecutionType", "STANDARD")
        self.by_count = any(name.startswith("ToleratedFailureCount") for name in state)
        self.by_share = any(name.startswith("ToleratedFailurePercentage") for name in state)
        reader, writer = state.get("ItemReader") or {}, state.get("ResultWriter") or {}
        self.reads = (reader.get("Resource") or "").rpartition(":")[2]
        self.where = _template(reader.get("Parameters") or reader.get("Arguments"), language)
        self.reader = _template(reader.get("ReaderConfig"), language)
        self.batcher = _template(state.get("ItemBatcher"), language)
        self.writes = "Resource" in writer
        self.target = _template(writer.get("Parameters") or writer.get("Arguments"), language)
        self.writer = writer.get("WriterConfig") or {}


def _template(value: dict[str, Any] | None, language: str) -> Any:
    """A component of moto's that fills in a template; None for no template."""
    if value is None:
        return None
    if language == "JSONPath":
        # `MaxItemsPath` says where the value is, as `MaxItems.$` does in a template.
        value = {
            (f"{name[:-4]}.$" if name.endswith("Path") else name): item
            for name, item in value.items()
        }
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters" if language == "JSONPath" else "Arguments": value,
        "End": True,
    }
    definition = {"QueryLanguage": language, "StartAt": "Template", "States": {"Template": task}}
    program, _ = AmazonStateLanguageParser.parse(json.dumps(definition))
    return program.states.states["Template"].parargs


def attach(component: Any, state: dict[str, Any], language: str) -> None:
    """Give moto's Map state what its grammar left out."""
    settings = _Settings(state, language)
    component.iteration_component.local_aws = settings
    if settings.reads:
        component.item_reader = settings


def run(iteration: Any, env: Any) -> None:
    """Run all items, in the place of DistributedIterationComponent._eval_body."""
    given = env.stack.pop()
    settings, record = iteration.local_aws, given.map_run_record
    _note(
        env,
        HistoryEventType.MapRunStarted,
        mapRunStartedEventDetails=MapRunStartedEventDetails(mapRunArn=record.map_run_arn),
    )
    try:
        output = _MapRun(env, given, settings).output()
    except FailureEventException as failure:
        error, cause = failure.extract_error_cause_pair() or (None, None)
        details = MapRunFailedEventDetails(error=error, cause=cause)
        _note(env, HistoryEventType.MapRunFailed, mapRunFailedEventDetails=details)
        record.set_stop(status=MapRunStatus.FAILED)
        raise
    except Exception:
        record.set_stop(status=MapRunStatus.FAILED)
        raise
    if not env.is_running():
        record.set_stop(status=MapRunStatus.ABORTED)
    else:
        _note(env, HistoryEventType.MapRunSucceeded)
        record.set_stop(status=MapRunStatus.SUCCEEDED)
    env.stack.append(output)


def _note(env: Any, event_type: Any, **details: Any) -> None:
    env.event_manager.add_event(
        context=env.event_history_context,
        event_type=event_type,
        event_details=EventDetails(**details) if details else None,
    )


class _MapRun:
    """One run of a Distributed Map."""

    def __init__(self, env: Any, given: Any, settings: _Settings) -> None:
        self.env, self.given, self.settings = env, given, settings
        self.record = given.map_run_record
        context = env.states.context_object.context_object_data
        self.parent_arn = context["Execution"]["Id"]
        self.machine = runs.machine_of(self.parent_arn)
        self.label = given.label or self.record.map_run_arn.split("/")[1].partition(":")[0]

    def output(self) -> Any:
        """Run everything; the result of the Map state."""
        items = self._items()
        inputs = list(self._inputs(items))
        self.record.item_counter.total.offset(len(items))
        self.record.item_counter.pending.offset(len(items))
        self.record.execution_counter.total.offset(len(inputs))
        self.record.execution_counter.pending.offset(len(inputs))
        children, exceeded = self._run_all(inputs)
        done = [child for child in children if child is not None]
        result = self._write(done, inputs[len(done) :]) if self.settings.writes else None
        if exceeded:
            self._fail(
                "States.ExceedToleratedFailureThreshold",
                "The specified tolerated failure threshold was exceeded",
            )
        if result is not None:
            return result
        return _transformed(done, self.settings.writer.get("Transformation", "COMPACT"))

    def _filled(self, template: Any, item: dict[str, Any] | None = None) -> dict[str, Any]:
        """A template with the values of the state's input, and of an item if there is one."""
        if template is None:
            return {}
        frame = self.env.open_inner_frame()
        try:
            frame.states.reset(self.env.states.get_input())
            frame.stack = [copy.deepcopy(self.env.stack[-1])] if self.env.stack else []
            if not frame.stack:
                frame.stack.append(frame.states.get_input())
            if item is not None:
                frame.states.context_object.context_object_data["Map"] = {"Item": item}
            template.eval(env=frame)
            return frame.stack.pop()
        finally:
            self.env.delete_frame(frame)

    # ── items ────────────────────────────────────────────────────────────────────────────────────

    def _items(self) -> list[Any]:
        if not self.settings.reads:
            return list(self.given.input_items)
        reader = self._filled(self.settings.reader)
        where = self._filled(self.settings.where)
        role = self.env.aws_execution_details.role_arn
        s3 = calls.client("s3", self.machine.arn.split(":")[3], role)
        try:
            if self.settings.reads == "listObjectsV2":
                items = _listed(s3, where)
            else:
                body = s3.get_object(**where)["Body"].read()
                items = _read(body, reader, s3, where)
        except (ClientError, ValueError, KeyError) as error:
            self._fail("States.ItemReaderFailed", str(error))
        most = int(reader.get("MaxItems") or 0)
        return items[:most] if most else items

    def _inputs(self, items: list[Any]) -> Iterator[Any]:
        """The inputs of the executions: selected, and batched."""
        selected = []
        for index, value in enumerate(items):
            if self.given.item_selector is None and self.given.parameters is None:
                selected.append(value)
                continue
            item = {"Index": index, "Value": value}
            template = self.given.item_selector or self.given.parameters
            selected.append(self._filled(template, item))
        if self.settings.batcher is None:
            yield from selected
            return
        batcher = self._filled(self.settings.batcher)
        most = int(batcher.get("MaxItemsPerBatch") or len(selected) or 1)
        size = int(batcher.get("MaxInputBytesPerBatch") or _MOST_BYTES)
        extra = {"BatchInput": batcher["BatchInput"]} if "BatchInput" in batcher else {}
        batch: list[Any] = []
        for item in selected:
            larger = len(json.dumps({**extra, "Items": [*batch, item]}).encode()) > size
            if batch and (larger or len(batch) == most):
                yield {**extra, "Items": batch}
                batch = []
            batch.append(item)
        if batch:
            yield {**extra, "Items": batch}

    # ── executions ───────────────────────────────────────────────────────────────────────────────

    def _run_all(self, inputs: list[Any]) -> tuple[list[Any], bool]:
        """Run the children, at most so many at a time. Ends early when too many have failed."""
        workers = self.record.max_concurrency or _MOST_AT_A_TIME
        children: list[Any] = []
        failed = 0
        with ThreadPoolExecutor(max_workers=min(workers, _MOST_AT_A_TIME)) as pool:
            waiting = [(index, value) for index, value in enumerate(inputs)]
            waiting.reverse()
            running: list[tuple[Any, Any]] = []
            finished: dict[int, Any] = {}
            exceeded = False
            while (waiting or running) and self.env.is_running() and not exceeded:
                while waiting and len(running) < min(workers, _MOST_AT_A_TIME):
                    index, value = waiting.pop()
                    child = self._child(value)
                    running.append((index, (child, pool.submit(self._start, child))))
                for entry in [entry for entry in running if entry[1][1].done()]:
                    running.remove(entry)
                    index, (child, _) = entry
                    finished[index] = child
                    failed += self._count(child)
                    exceeded = exceeded or self._is_exceeded(failed)
                if running:
                    time.sleep(0.005)
            for index, (child, _) in running:
                child.stop_now("States.Aborted", "The Map Run has ended.")
                finished[index] = child
        children = [finished[index] for index in sorted(finished)]
        return children, exceeded

    def _child(self, value: Any) -> Any:
        name = account.new_id()
        base = self.machine.arn.replace(":stateMachine:", ":execution:")
        machine = copy.copy(self.machine)
        machine.definition = json.dumps(self.settings.definition)
        machine.arn = f"{self.machine.arn}/{self.label}"
        return runs.Child(
            machine=machine,
            name=name,
            arn=f"{base}/{self.label}:{name}",
            given=json.dumps(value),
            type=self.settings.type,
            map_run_arn=self.record.map_run_arn,
        )

    def _start(self, child: Any) -> None:
        for counter in (self.record.execution_counter, self.record.item_counter):
            counter.pending.offset(-_size(counter, self.record, child))
            counter.running.offset(_size(counter, self.record, child))
        child.start()

    def _count(self, child: Any) -> int:
        """Count a child that has ended; the number of items that have failed with it."""
        name = {"SUCCEEDED": "succeeded", "TIMED_OUT": "timed_out", "ABORTED": "aborted"}.get(
            child.status, "failed"
        )
        for counter in (self.record.execution_counter, self.record.item_counter):
            size = _size(counter, self.record, child)
            counter.running.offset(-size)
            getattr(counter, name).offset(size)
            if name == "succeeded" and self.settings.writes:
                counter.results_written.offset(size)
        return 0 if name == "succeeded" else _items_in(child)

    def _is_exceeded(self, failed: int) -> bool:
        total = self.record.item_counter.total.get()
        count, share = self.record.tolerated_failure_count, self.record.tolerated_failure_percentage
        too_many = failed > count
        too_large = total > 0 and 100 * failed / total > share
        if self.settings.by_count and self.settings.by_share:
            return too_many or too_large
        return too_large if self.settings.by_share else too_many

    # ── results ──────────────────────────────────────────────────────────────────────────────────

    def _write(self, done: list[Any], pending: list[Any]) -> dict[str, Any]:
        """Write the results by status, and the manifest. Returns where it is."""
        target = self._filled(self.settings.target)
        bucket, prefix = target.get("Bucket"), target.get("Prefix") or ""
        prefix = f"{prefix.rstrip('/')}/" if prefix else ""
        folder = f"{prefix}{self.record.map_run_arn.rpartition(':')[2]}"
        role = self.env.aws_execution_details.role_arn
        s3 = calls.client("s3", self.machine.arn.split(":")[3], role)
        kind = self.settings.writer.get("Transformation", "NONE")
        lines = self.settings.writer.get("OutputType") == "JSONL"
        files: dict[str, list[dict[str, Any]]] = {"FAILED": [], "PENDING": [], "SUCCEEDED": []}
        groups = {
            "FAILED": [child.details() for child in done if child.status != "SUCCEEDED"],
            "SUCCEEDED": _transformed([c for c in done if c.status == "SUCCEEDED"], kind),
            "PENDING": [{"Input": json.dumps(value), "Status": "PENDING"} for value in pending],
        }
        try:
            for status, results in groups.items():
                if not results:
                    continue
                key = f"{folder}/{status}_0.{'jsonl' if lines else 'json'}"
                texts = [json.dumps(result, separators=(",", ":")) for result in results]
                body = ("\n".join(texts) if lines else f"[{','.join(texts)}]").encode()
                s3.put_object(Bucket=bucket, Key=key, Body=body)
                files[status].append({"Key": key, "Size": len(body)})
            manifest = {
                "DestinationBucket": bucket,
                "MapRunArn": self.record.map_run_arn,
                "ResultFiles": files,
            }
            key = f"{folder}/manifest.json"
            s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(manifest).encode())
        except ClientError as error:
            self._fail("States.ResultWriterFailed", str(error))
        details = {"Bucket": bucket, "Key": key}
        return {"MapRunArn": self.record.map_run_arn, "ResultWriterDetails": details}

    def _fail(self, error: str, cause: str) -> None:
        details = MapRunFailedEventDetails(error=error, cause=cause)
        raise FailureEventException(
            FailureEvent(
                env=self.env,
                error_name=ErrorName(error_name=error),
                event_type=HistoryEventType.MapRunFailed,
                event_details=EventDetails(mapRunFailedEventDetails=details),
            )
        )


def _transformed(children: list[Any], kind: str) -> list[Any]:
    """What the executions gave; one that has failed is shown with all that is known of it."""
    results: list[Any] = []
    for child in children:
        if kind == "NONE" or child.status != "SUCCEEDED":
            results.append(child.details())
        elif kind == "FLATTEN" and isinstance(child.output, list):
            results += child.output
        else:
            results.append(child.output)
    return results


def _items_in(child: Any) -> int:
    value = child.input_data
    batched = isinstance(value, dict) and isinstance(value.get("Items"), list)
    return len(value["Items"]) if batched else 1


def _size(counter: Any, record: Any, child: Any) -> int:
    return 1 if counter is record.execution_counter else _items_in(child)


# ── reading items ────────────────────────────────────────────────────────────────────────────────


def _listed(s3: Any, where: dict[str, Any]) -> list[Any]:
    """All objects under a prefix, as ListObjectsV2 describes them."""
    from . import catalog

    integration = catalog.parse("arn:aws:states:::aws-sdk:s3:listObjectsV2")
    shape = integration.operation.output_shape.members["Contents"].member
    items = []
    for page in s3.get_paginator("list_objects_v2").paginate(**where):
        items += [calls.from_shape(item, shape, integration) for item in page.get("Contents", [])]
    return items


def _read(body: bytes, reader: dict[str, Any], s3: Any, where: dict[str, Any]) -> list[Any]:
    """The items in an object. Raises ValueError for one that is not what it is said to be."""
    kind = reader.get("InputType", "JSON")
    text = body.decode("utf-8-sig")
    if kind == "CSV":
        return _read_csv(text, reader)
    if kind == "JSONL":
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    if kind == "MANIFEST":
        return _read_manifest(json.loads(text), s3, where)
    items = json.loads(text)
    if not isinstance(items, list):
        raise ValueError("Attempting to map over non-iterable node.")
    return items


def _read_csv(text: str, reader: dict[str, Any]) -> list[dict[str, str]]:
    delimiter = _DELIMITERS[reader.get("CSVDelimiter", "COMMA")]
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]
    if reader.get("CSVHeaderLocation", "FIRST_ROW") == "GIVEN":
        headers = reader["CSVHeaders"]
    else:
        headers, rows = (rows[0], rows[1:]) if rows else ([], [])
    if len(set(headers)) < len(headers):
        raise ValueError("CSV headers cannot contain duplicates.")
    return [
        {name: row[place] if place < len(row) else "" for place, name in enumerate(headers)}
        for row in rows
    ]


def _read_manifest(manifest: dict[str, Any], s3: Any, where: dict[str, Any]) -> list[Any]:
    """The rows of an S3 inventory in CSV."""
    if manifest.get("fileFormat") != "CSV":
        raise ValueError(f"An inventory of the format {manifest.get('fileFormat')!r} is not read.")
    import gzip

    headers = [name.strip() for name in manifest["fileSchema"].split(",")]
    bucket = manifest["destinationBucket"].rpartition(":")[2] or where["Bucket"]
    items = []
    for file in manifest["files"]:
        body = s3.get_object(Bucket=bucket, Key=file["key"])["Body"].read()
        text = (gzip.decompress(body) if file["key"].endswith(".gz") else body).decode()
        items += _read_csv(text, {"CSVHeaderLocation": "GIVEN", "CSVHeaders": headers})
    return items
