"""A Lambda function that curates flights: raw CSV in, checked and typed Parquet out.

An object that lands under `raw/` sets it off. Rows that can be used go to `curated/`; rows that
cannot, and files that cannot, go to `quarantine/` with the reason. Every line of a file ends in
exactly one of the two, and the same file always gives the same objects under the same keys.

Deploy this one file as a zip, runtime python3.13, with AWS's public layer AWSSDKPandas (pyarrow).
"""

from __future__ import annotations

import functools
import io
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus

import boto3
import pyarrow as pa
import pyarrow.parquet as pq

# A file in which more rows than this share are bad is wrong as a whole: a shifted column, a
# changed unit. Better to ask its sender than to keep what happens to pass.
MOST_BAD_ROWS = 0.1

Row = dict[str, Any]


class Rejected(Exception):
    """A row or a file that cannot be used. `rule` is a short name to count by."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule, self.reason = rule, reason


@dataclass
class Judged:
    """What became of a file: the good rows, the bad ones, or why it is bad as a whole.

    Attributes:
        lines: data lines that the file holds.
        good: rows by column.
        bad: line number, rule, reason and text of each bad line.
        rejected: why no row is used; then `good` and `bad` are empty.
    """

    lines: int
    good: list[Row] = field(default_factory=list)
    bad: list[Row] = field(default_factory=list)
    rejected: Rejected | None = None


# ── the entry ────────────────────────────────────────────────────────────────────────────────────


def handler(event: dict[str, Any], context: Any = None) -> list[dict[str, Any]]:
    """Curate each object that the S3 event names; the receipt of each is logged and returned.

    What it does not expect (no such object, access denied) it does not catch: the invocation
    fails, Lambda tries again, and in the end the event goes to the dead-letter queue.
    """
    receipts = []
    for record in event["Records"]:
        bucket = record["s3"]["bucket"]["name"]
        key = unquote_plus(record["s3"]["object"]["key"])  # S3 URL-encodes keys in events
        receipts.append(curate(_s3(), bucket, key))
        print(json.dumps(receipts[-1]))
    return receipts


@functools.cache
def _s3() -> Any:
    """One client for all events that this environment answers."""
    return boto3.client("s3")


def curate(s3: Any, bucket: str, key: str) -> dict[str, Any]:
    """Judge one raw object and store what comes of it; returns the receipt for its rows.

    A rejected file leaves what an earlier, good file under the same key has given. A good file
    removes what is in quarantine from an earlier, bad one.
    """
    found = s3.get_object(Bucket=bucket, Key=key)
    content = found["Body"].read()
    judged = judge(content, key, found["LastModified"], found["Metadata"].get("rows"))
    write, remove = outputs(key, content, judged)
    described = {"source-etag": found["ETag"].strip('"'), "rows": str(judged.lines)}
    for name in remove:
        s3.delete_object(Bucket=bucket, Key=name)
    for name, body in write.items():
        s3.put_object(Bucket=bucket, Key=name, Body=body, Metadata=described)
    return receipt(key, judged)


def outputs(key: str, content: bytes, judged: Judged) -> tuple[dict[str, bytes], list[str]]:
    """The objects to write, what others wait for last, and the keys to remove if they exist."""
    place = key.removeprefix("raw/").removesuffix(".csv")
    rows, file = f"quarantine/{place}.rows.jsonl", f"quarantine/{place}.csv"
    reason, curated = f"quarantine/{place}.reason.json", f"curated/{place}.parquet"
    if judged.rejected:
        why = {"rule": judged.rejected.rule, "reason": judged.rejected.reason}
        return {file: content, reason: json.dumps({**why, "lines": judged.lines}).encode()}, []
    lines = "".join(json.dumps(each) + "\n" for each in judged.bad).encode()
    write = {rows: lines} if judged.bad else {}
    remove = [file, reason] if judged.bad else [file, reason, rows]
    return {**write, curated: to_parquet(judged.good)}, remove


def receipt(key: str, judged: Judged) -> dict[str, Any]:
    """How many rows came in, and where they went. `rows = curated + quarantined`, always."""
    if judged.rejected:
        reasons = {judged.rejected.rule: judged.lines}
    else:
        reasons = dict(sorted(Counter(each["rule"] for each in judged.bad).items()))
    return {
        "key": key,
        "rows": judged.lines,
        "curated": len(judged.good),
        "quarantined": sum(reasons.values()),
        "reasons": reasons,
    }


# ── the file ─────────────────────────────────────────────────────────────────────────────────────


def judge(content: bytes, key: str, landed: datetime, announced: str | None = None) -> Judged:
    """Check a file and each of its rows.

    Args:
        content: CSV in UTF-8 without quoting, so that a line is a row, whatever it holds.
        key: of the object; its partition `year=…/month=…` says which rows belong there.
        landed: when the file came, with its time zone.
        announced: the number of rows that the sender says the file has, if it says so.
    """
    lines = content.decode("utf-8", errors="replace").split("\n")
    count = len(lines) - 1 - (lines[-1] == "")
    try:
        month = _month_of(key)
        _check_file(content, lines, announced)
        judged = Judged(count)
        _sort_rows(lines[1:-1], month, landed.astimezone(UTC).replace(tzinfo=None), judged)
        if len(judged.bad) > MOST_BAD_ROWS * count:
            worst, _ = Counter(each["rule"] for each in judged.bad).most_common(1)[0]
            raise Rejected(
                "too_many_bad_rows", f"{len(judged.bad)} of {count} rows are bad, mostly: {worst}"
            )
        return judged
    except Rejected as rejected:
        return Judged(max(count, 0), rejected=rejected)


def _month_of(key: str) -> tuple[int, int]:
    found = re.search(r"/year=(\d{4})/month=(\d{1,2})/", key)
    if not found:
        raise Rejected("place", f"the key {key} has no /year=…/month=…/")
    return int(found[1]), int(found[2])


def _check_file(content: bytes, lines: list[str], announced: str | None) -> None:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Rejected("not_text", f"byte {error.start} is not UTF-8") from None
    header = lines[0].rstrip("\r").split(",")
    missing = [name for name in COLUMNS if name not in header]
    unknown = [name for name in header if name not in COLUMNS]
    if missing or unknown:
        raise Rejected("schema", f"columns missing: {missing}, unknown: {unknown}")
    if header != list(COLUMNS):
        raise Rejected("schema", f"the columns come in another order: {header}")
    if lines[-1]:
        raise Rejected("truncated", f"the last line does not end: {lines[-1][:60]!r}")
    if len(lines) == 2:
        raise Rejected("empty", "there is a header, but no row")
    if announced and announced != str(len(lines) - 2):
        raise Rejected("truncated", f"{announced} rows are announced, {len(lines) - 2} came")


# ── the rows ─────────────────────────────────────────────────────────────────────────────────────


def _sort_rows(lines: list[str], month: tuple[int, int], landed: datetime, judged: Judged) -> None:
    first_seen: dict[tuple[Any, ...], int] = {}
    for number, line in enumerate(lines, start=2):
        try:
            row = check_row(line.rstrip("\r").split(","), month, landed)
            flight = tuple(row[name] for name in KEY)
            if first_seen.setdefault(flight, number) != number:
                raise Rejected("duplicate", f"the flight of line {first_seen[flight]} again")
            judged.good.append(row)
        except Rejected as rejected:
            why = {"rule": rejected.rule, "reason": rejected.reason}
            judged.bad.append({"line": number, **why, "text": line})


def check_row(values: list[str], month: tuple[int, int], landed: datetime) -> Row:
    """The values of a line with their types.

    Raises:
        Rejected: naming the first rule that the row breaks, the column and the value.
    """
    if len(values) != len(COLUMNS):
        raise Rejected("fields", f"{len(values)} fields instead of {len(COLUMNS)}")
    row = {}
    for (name, (parse, required, _)), text in zip(COLUMNS.items(), values, strict=True):
        if text:
            row[name] = parse(name, text)
        elif required:
            raise Rejected("missing", f"{name} is empty")
        else:
            row[name] = None
    _check_times(row, month, landed)
    return row


def _check_times(row: Row, month: tuple[int, int], landed: datetime) -> None:
    if row["time_hour"] > landed:
        raise Rejected("future", f"time_hour {row['time_hour']} is after the file landed")
    if (row["year"], row["month"]) != month:
        raise Rejected("month", f"{row['year']}-{row['month']:02} is not the month of the file")
    try:
        day = date(row["year"], row["month"], row["day"])
    except ValueError:
        raise Rejected("value", f"there is no day {row['day']} in the month") from None
    # New York is four hours behind UTC in summer and five in winter.
    local = datetime(day.year, day.month, day.day, row["hour"])
    offset = row["time_hour"] - local
    if offset not in (timedelta(hours=4), timedelta(hours=5)):
        raise Rejected("clock_skew", f"time_hour is {offset} ahead of the schedule, not 4 or 5 h")


# ── the columns ──────────────────────────────────────────────────────────────────────────────────


def _whole(name: str, text: str, least: int = -(2**31), most: int = 2**31 - 1) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):  # int() would take "1_000" and " 7 "
        raise Rejected("type", f"{name} is {text!r}, no whole number")
    if len(digits) > 10:  # more than any column has, and int() refuses thousands of them
        raise Rejected("value", f"{name} has {len(digits)} digits")
    if not least <= int(text) <= most:
        raise Rejected("value", f"{name} is {text}, not between {least} and {most}")
    return int(text)


def _between(least: int, most: int) -> Callable[[str, str], int]:
    return functools.partial(_whole, least=least, most=most)


def _clock(name: str, text: str) -> int:
    """Local time as HHMM; the source writes midnight as 2400."""
    value = _whole(name, text)
    if not 0 <= value <= 2400 or value % 100 > 59:
        raise Rejected("value", f"{name} is {text}, no time of day")
    return value


def _code(name: str, text: str) -> str:
    if not (text.isascii() and text.isalnum() and len(text) <= 8):
        raise Rejected("type", f"{name} is {text!r}, no code")
    return text


def _instant(name: str, text: str) -> datetime:
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise Rejected("type", f"{name} is {text!r}, no date and time") from None
    if value.tzinfo:
        raise Rejected("type", f"{name} is {text!r}; it is UTC and names no zone")
    return value


# column -> how to read it, whether it must be there, its type in Parquet
_INT, _TEXT = pa.int32(), pa.string()
COLUMNS: dict[str, tuple[Callable[[str, str], Any], bool, pa.DataType]] = {
    "year": (_between(1900, 9999), True, _INT),
    "month": (_between(1, 12), True, _INT),
    "day": (_between(1, 31), True, _INT),
    "dep_time": (_clock, False, _INT),
    "sched_dep_time": (_clock, True, _INT),
    "dep_delay": (_between(-180, 4320), False, _INT),
    "arr_time": (_clock, False, _INT),
    "sched_arr_time": (_clock, True, _INT),
    "arr_delay": (_between(-180, 4320), False, _INT),
    "carrier": (_code, True, _TEXT),
    "flight": (_between(1, 9999), True, _INT),
    "tailnum": (_code, False, _TEXT),
    "origin": (_code, True, _TEXT),
    "dest": (_code, True, _TEXT),
    "air_time": (_between(1, 1440), False, _INT),
    "distance": (_between(1, 12000), True, _INT),
    "hour": (_between(0, 23), True, _INT),
    "minute": (_between(0, 59), True, _INT),
    "time_hour": (_instant, True, pa.timestamp("ms")),
}
KEY = ("year", "month", "day", "carrier", "flight", "origin")
# The folder's name says year and month; a table that had them in its files too would be ambiguous.
PARTITION = ("year", "month")


def to_parquet(rows: list[Row]) -> bytes:
    """The rows as Parquet (zstd), in their order, without the columns of the partition."""
    stored = {name: kind for name, (_, _, kind) in COLUMNS.items() if name not in PARTITION}
    columns = [pa.array([row[name] for row in rows], kind) for name, kind in stored.items()]
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns, names=list(stored)), buffer, compression="zstd")
    return buffer.getvalue()
