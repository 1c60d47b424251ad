"""DuckDB over the objects of S3: what a table's files hold, what a query reads of them.

DuckDB opens objects through a file system of ours, in process, and without a copy. A file's path
there carries the values of its partition (`athena://<query>/<n>/year=2024/<uri>`) wherever the
object really lies, so that DuckDB itself leaves out the files of other partitions.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import Any, BinaryIO
from urllib.parse import quote

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.spec import AbstractFileSystem

from ... import account, storage
from ...errors import AWSError
from ...storage import S3Location, S3Object
from . import functions
from .catalog import (
    Catalog,
    Table,
    columns_of,
    keys_of,
    location_of,
    projected_partitions,
    serde_of,
)
from .datatypes import quoted, text_literal
from .errors import Cancelled, QueryError
from .sql import Translation, trino_type

if int(duckdb.__version__.split(".")[0]) < 2:
    raise RuntimeError(f"Athena needs duckdb 2.0 or newer; this is {duckdb.__version__}.")

_footers: dict[Any, Any] = account.table()


# ── files ────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Scan:
    """One table in one query: its files by the path that DuckDB knows them under."""

    table: Table
    files: dict[str, S3Object] = field(default_factory=dict)
    reads: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))

    @property
    def is_parquet(self) -> bool:
        return "parquet" in serde_of(self.table)[0].lower()


def open_scan(table: Table, catalog: Catalog, prefix: str) -> Scan:
    """Find the files of a table. `prefix` is the path's beginning, `athena://<query>/<n>/`."""
    scan = Scan(table)
    keys = list(keys_of(table))
    if not keys:
        for found in _data_objects(_listed(location_of(table), catalog)):
            scan.files[prefix + quote(str(found.location), safe="")] = found
        return scan
    locations = projected_partitions(table)
    if locations is None:
        partitions = catalog.partitions(table)
        locations = {tuple(p["Values"]): location_of(p) for p in partitions}
    for values, found in _by_partition(table, locations, catalog):
        folders = zip(keys, values, strict=True)
        path = "".join(f"{key}={quote(value, safe='')}/" for key, value in folders)
        scan.files[prefix + path + quote(str(found.location), safe="")] = found
    return scan


def _by_partition(table: Table, locations: dict[tuple[str, ...], str], catalog: Catalog) -> Any:
    """The objects of each partition. One listing serves all that lie under the table."""
    root = location_of(table)
    by_folder: dict[str, list[S3Object]] = defaultdict(list)
    if any(location.startswith(root) for location in locations.values()):
        for found in _listed(root, catalog):
            by_folder[str(found.location).rpartition("/")[0] + "/"].append(found)
    folders = sorted(by_folder)
    for values, location in locations.items():
        if location.startswith(root):
            first = bisect_left(folders, location)
            inside = takewhile(lambda folder, at=location: folder.startswith(at), folders[first:])
            objects = [found for folder in inside for found in by_folder[folder]]
        else:
            objects = _listed(location, catalog)
        for found in _data_objects(objects):
            yield values, found


def _listed(location: str, catalog: Catalog) -> list[S3Object]:
    try:
        return storage.list_objects(S3Location.parse(location), catalog.caller)
    except AWSError as error:
        raise QueryError("HIVE_FILESYSTEM_ERROR", f"{error.message}: {location}") from None


def _data_objects(objects: list[S3Object]) -> list[S3Object]:
    """Without empty objects and those that Hive hides: a name with `_` or `.` at its beginning."""
    return [o for o in objects if o.size and not o.location.name.startswith(("_", "."))]


# ── relations ────────────────────────────────────────────────────────────────────────────────────


def relation(scan: Scan, *, with_path: bool) -> str:
    """A SELECT in DuckDB's SQL that gives the table's columns in the catalog's names and types."""
    table = scan.table
    columns, keys = columns_of(table), keys_of(table)
    serde, parameters = serde_of(table)
    if (table.get("Parameters") or {}).get("table_type", "").upper() == "ICEBERG":
        raise QueryError("NOT_SUPPORTED", "Iceberg tables are not carried out offline")
    pseudo = {'"$path"': "VARCHAR"} if with_path else {}
    if not scan.files:
        every = {quoted(n): t for n, t in {**columns, **keys}.items()} | pseudo
        nothing = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in every.items())
        return f"SELECT {nothing} WHERE false"
    name = serde.lower()
    if scan.is_parquet:
        source, items = _parquet(scan, columns)
    elif "json" in name:
        source, items = _json(scan, columns, parameters)
    elif "opencsv" in name:
        source, items = _open_csv(scan, columns, parameters)
    elif "lazysimple" in name:
        source, items = _delimited(scan, columns, parameters)
    else:
        raise QueryError("NOT_SUPPORTED", f"The SerDe '{serde}' is not carried out offline")
    if keys:
        kinds = ", ".join(f"{text_literal(key)}: {kind}" for key, kind in keys.items())
        source += f", hive_partitioning=true, hive_types={{{kinds}}}"
        items += [quoted(key) for key in keys]
    else:
        source += ", hive_partitioning=false"
    if with_path:
        items.append('url_decode(parse_filename(filename, false)) AS "$path"')
        source += ", filename=true"
    return f"SELECT {', '.join(items)} FROM {source})"


def _paths(scan: Scan) -> str:
    return "[" + ", ".join(map(text_literal, scan.files)) + "]"


def _parquet(scan: Scan, columns: dict[str, str]) -> tuple[str, list[str]]:
    """By name, whatever the order in the file; a column that no file has is NULL."""
    layouts = {tuple(footer_of(found).columns) for found in scan.files.values()}
    present = {name for layout in layouts for name in layout}
    items = [
        f"CAST({quoted(name)} AS {kind}) AS {quoted(name)}"
        if name in present
        else f"CAST(NULL AS {kind}) AS {quoted(name)}"
        for name, kind in columns.items()
    ]
    union = ", union_by_name=true" if len(layouts) > 1 else ""
    return f"read_parquet({_paths(scan)}{union}", items


def _json(scan: Scan, columns: dict[str, str], parameters: dict) -> tuple[str, list[str]]:
    """One object a line. Keys match columns whatever their case, as the SerDe has it."""
    mapped = {
        key[len("mapping.") :].lower(): value
        for key, value in parameters.items()
        if key.startswith("mapping.")
    }
    spelled = _keys_as_spelled(next(iter(scan.files.values())))
    keys = {name: mapped.get(name) or spelled.get(name, name) for name in columns}
    kinds = {
        keys[name]: re.sub(r'"(\w+)"', lambda field: quoted(spelled.get(field[1], field[1])), kind)
        for name, kind in columns.items()
    }
    listed = ", ".join(f"{text_literal(key)}: {text_literal(k)}" for key, k in kinds.items())
    ignored = str(parameters.get("ignore.malformed.json", "")).lower() == "true"
    source = f"read_json({_paths(scan)}, format='newline_delimited', columns={{{listed}}}"
    items = [f"CAST({quoted(keys[n])} AS {kind}) AS {quoted(n)}" for n, kind in columns.items()]
    return f"{source}, ignore_errors={str(ignored).lower()}", items


def _keys_as_spelled(first: S3Object) -> dict[str, str]:
    """The keys in the beginning of an object, at any depth, by their lower-case form."""
    with storage.open_object(first.location, None) as source:
        if first.location.key.endswith(".gz"):
            source = gzip.GzipFile(fileobj=source)
        head = source.read(1 << 16).decode("utf-8", "replace")
    return {key.lower(): key for key in re.findall(r'"([^"\\]+)"\s*:', head)}


def _open_csv(scan: Scan, columns: dict[str, str], parameters: dict) -> tuple[str, list[str]]:
    """Quoted fields; dates are days, and timestamps milliseconds, since 1970."""
    escape = parameters.get("escapeChar", "\\")
    quote_char = parameters.get("quoteChar", '"')
    # DuckDB knows a doubled quotation mark as an escape or the backslash; the SerDe knows both.
    options = {
        "delim": parameters.get("separatorChar", ","),
        "quote": quote_char,
        "escape": quote_char if escape == "\\" else escape,
        "nullstr": "\x01no null\x01",
    }
    read_as = {
        "DATE": "DATE '1970-01-01' + TRY_CAST({} AS INTEGER)",
        "TIMESTAMP": "make_timestamp(TRY_CAST({} AS BIGINT) * 1000)",
    }
    items = []
    for number, (name, kind) in enumerate(columns.items()):
        parsed = read_as.get(kind, f"TRY_CAST({{}} AS {kind})").format(quoted(name))
        items.append(f"athena_field({quoted(name)}, {parsed}, {number}) AS {quoted(name)}")
    return _csv(scan, columns, options), items


def _delimited(scan: Scan, columns: dict[str, str], parameters: dict) -> tuple[str, list[str]]:
    """Fields without quotation; what is no value of the column's type is NULL."""
    delimiter = parameters.get("field.delim") or parameters.get("serialization.format") or "\x01"
    options = {
        "delim": "\x01" if delimiter == "1" else delimiter.replace("\\t", "\t"),
        "quote": "",
        "escape": "",
        "nullstr": parameters.get("serialization.null.format", "\\N"),
    }
    # A bare TRY_CAST would be pushed into the reader, where it is a CAST.
    items = [
        quoted(name)
        if kind == "VARCHAR"
        else f"TRY_CAST(nullif({quoted(name)}, '') AS {kind}) AS {quoted(name)}"
        for name, kind in columns.items()
    ]
    return _csv(scan, columns, options), items


def _csv(scan: Scan, columns: dict[str, str], options: dict[str, str]) -> str:
    names = ", ".join(f"{text_literal(name)}: 'VARCHAR'" for name in columns)
    skipped = int((scan.table.get("Parameters") or {}).get("skip.header.line.count", 0))
    given = ", ".join(f"{name}={text_literal(value)}" for name, value in options.items())
    return (
        f"read_csv({_paths(scan)}, columns={{{names}}}, auto_detect=false, header=false, "
        f"skip={skipped}, null_padding=true, strict_mode=false, {given}"
    )


@dataclass(frozen=True)
class Chunk:
    """A column chunk of a Parquet object: where its bytes begin, and how many they are."""

    column: str
    start: int
    size: int


@dataclass(frozen=True)
class Footer:
    """What the footer of a Parquet object says: its columns' types, and its row groups."""

    columns: dict[str, str]
    row_groups: list[list[Chunk]]


def footer_of(found: S3Object) -> Footer:
    """The footer of a Parquet object; read once for each version of it."""
    key = (str(found.location), found.etag)
    if key not in _footers:
        with storage.open_object(found.location, None) as source:
            try:
                metadata = pq.read_metadata(pa.PythonFile(source, mode="r"))
            except pa.ArrowInvalid:
                message = f"{found.location} is not a valid Parquet File"
                raise QueryError("HIVE_BAD_DATA", message) from None
        groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
        columns = {
            field.name.lower(): str(field.type) for field in metadata.schema.to_arrow_schema()
        }
        _footers[key] = Footer(columns, [_chunks(group) for group in groups])
    return _footers[key]


def _chunks(group: Any) -> list[Chunk]:
    chunks = []
    for index in range(group.num_columns):
        chunk = group.column(index)
        pages = (chunk.dictionary_page_offset, chunk.data_page_offset)
        start = min(offset for offset in pages if offset is not None)
        column = chunk.path_in_schema.partition(".")[0].lower()
        chunks.append(Chunk(column, start, chunk.total_compressed_size))
    return chunks


# ── the file system ──────────────────────────────────────────────────────────────────────────────


class _ObjectSystem(AbstractFileSystem):
    """The files of the running queries' scans, as DuckDB asks for them."""

    protocol = "athena"
    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.scans: dict[str, tuple[Scan, Callable[[int], None]]] = {}

    def _find(self, path: str) -> tuple[S3Object, str, Scan, Callable[[int], None]]:
        path = path if path.startswith("athena://") else f"athena://{path}"
        prefix = "/".join(path.split("/", 4)[:4]) + "/"
        if prefix not in self.scans or path not in self.scans[prefix][0].files:
            raise FileNotFoundError(path)
        scan, count = self.scans[prefix]
        return scan.files[path], path, scan, count

    def open(self, path: str, mode: str = "rb", **_: Any) -> BinaryIO:
        found, path, scan, count = self._find(path)
        return _CountedFile(storage.open_object(found.location, None), scan.reads[path], count)

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        found, path, _, _ = self._find(path)
        return {"name": path, "size": found.size, "type": "file"}

    def exists(self, path: str, **_: Any) -> bool:
        try:
            self._find(path)
        except FileNotFoundError:
            return False
        return True

    def modified(self, path: str) -> datetime:
        return self._find(path)[0].last_modified

    def glob(self, path: str, **_: Any) -> list[str]:
        return [path] if self.exists(path) else []


class _CountedFile(io.RawIOBase):
    """An object that remembers which ranges of it were read.

    DuckDB's threads share it. One that seeks reads next what it sought, whatever the others do in
    between; one that does not goes on where the last reading ended.
    """

    def __init__(self, source: BinaryIO, reads: list, count: Callable[[int], None]) -> None:
        self._source, self._reads, self._count = source, reads, count
        self._lock, self._sought = threading.Lock(), threading.local()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with self._lock:
            self._sought.position = self._source.seek(offset, whence)
            return self._sought.position

    def tell(self) -> int:
        return self._source.tell()

    def read(self, size: int = -1) -> bytes:
        with self._lock:
            if hasattr(self._sought, "position"):
                self._source.seek(self._sought.position)
                del self._sought.position
            start = self._source.tell()
            data = self._source.read(size)
        self._reads.append((start, len(data)))
        self._count(len(data))
        return data


# ── running ──────────────────────────────────────────────────────────────────────────────────────

_SETTINGS = {
    "integer_division": "true",
    "TimeZone": "'UTC'",
    # Athena reads a column for its minimum or maximum, and does not tell it from the footer.
    "disabled_optimizers": "'statistics_propagation'",
    # No object is read twice under the same path.
    "enable_external_file_cache": "false",
}
_IN_ORDER = {"read_ahead_depth": "0"}

_lock = threading.Lock()
_databases: dict[int, Any] = {}
_idle: dict[int, list[Any]] = defaultdict(list)
_objects = _ObjectSystem()


@contextmanager
def _connection(threads: int) -> Iterator[Any]:
    """A connection for one query, to a database that holds nothing but macros."""
    with _lock:
        if threads not in _databases:
            _databases[threads] = _new_database(threads)
        idle = _idle[threads]
        connection = idle.pop() if idle else _databases[threads].cursor()
    try:
        yield connection
    finally:
        _idle[threads].append(connection)


def _new_database(threads: int) -> Any:
    database = duckdb.connect(config={"threads": threads} if threads else {})
    for setting, value in _SETTINGS.items() | (_IN_ORDER.items() if threads == 1 else set()):
        database.execute(f"SET GLOBAL {setting} = {value}")
    database.register_filesystem(_objects)
    functions.define(database)
    # A query sees the objects of its tables and nothing of this machine.
    database.execute("SET allowed_directories = ['athena://']")
    database.execute("SET enable_external_access = false")
    return database


@dataclass
class Answer:
    """What a query gave, and what it read for that."""

    table: pa.Table
    kinds: list[Any]
    names: list[str]
    scanned_bytes: int = 0
    rows_read: int = 0


class Run:
    """One query in DuckDB. `interrupt` ends it from another thread."""

    def __init__(self, query_id: str, catalog: Catalog, cutoff: int | None) -> None:
        self._id, self._catalog, self._cutoff = query_id, catalog, cutoff
        self._connection: Any = None
        self._read = 0
        self._stop_reason = ""

    def interrupt(self, reason: str) -> None:
        """End the query as cancelled."""
        self._stop_reason = self._stop_reason or reason
        if self._connection is not None:
            self._connection.interrupt()

    def execute(self, translation: Translation, template: str = "{}") -> Answer:
        """Run a translated query, put into the template: `EXPLAIN {}` reads nothing.

        Raises:
            Cancelled: it was interrupted, or read more than the workgroup allows.
            duckdb.Error: DuckDB refused it, or failed on the data.
        """
        if self._stop_reason:
            raise Cancelled(self._stop_reason)
        scans = {
            f"athena://{self._id}/{number}/": source.scan
            for number, source in enumerate(translation.sources)
            if isinstance(source.scan, Scan)
        }
        _objects.scans.update({prefix: (scan, self._count) for prefix, scan in scans.items()})
        sql = template.format(_with_sources(translation))
        # One thread where a LIMIT ends the reading, so that it reads the same each time.
        try:
            with _connection(1 if translation.stops_early else 0) as self._connection:
                self._connection.execute("PRAGMA enable_profiling = 'no_output'")
                relation = self._connection.sql(sql)
                answer = Answer(relation.to_arrow_table(), relation.types, relation.columns)
                profile = json.loads(self._connection.get_profiling_information(format="json"))
        except duckdb.Error:
            if self._stop_reason:
                raise Cancelled(self._stop_reason) from None
            raise
        finally:
            self._connection = None
            for prefix in scans:
                del _objects.scans[prefix]
        if template == "{}":
            self._measure(answer, scans, profile)
        return answer

    def _count(self, size: int) -> None:
        self._read += size
        if self._cutoff is not None and self._read > self._cutoff:
            self.interrupt("Bytes scanned limit was exceeded")

    def _measure(self, answer: Answer, scans: dict[str, Scan], profile: dict[str, Any]) -> None:
        nodes = [node for root in profile.get("operator", []) for node in _scan_nodes(root)]
        answer.rows_read = sum(node.get("rows_scanned", 0) for node in nodes)
        for prefix, scan in scans.items():
            mine = [n for n in nodes if prefix in str(n["extra_info"].get("Filename(s)", ""))]
            for path in _touched(scan, mine):
                storage.open_object(scan.files[path].location, self._catalog.caller).close()
                answer.scanned_bytes += _bytes_of(scan, path, mine)
        if self._cutoff is not None and answer.scanned_bytes > self._cutoff:
            raise Cancelled("Bytes scanned limit was exceeded")


def _with_sources(translation: Translation) -> str:
    def source(match: re.Match[str]) -> str:
        scan = translation.sources[int(match[1])].scan
        text = scan if isinstance(scan, str) else relation(scan, with_path=translation.reads_path)
        return f"({text})"

    return re.sub(r"@scan(\d+)@", source, translation.sql)


def _scan_nodes(node: dict[str, Any]) -> list[dict[str, Any]]:
    own = [node] if str(node.get("extra_info", {}).get("Function", "")).startswith("READ_") else []
    return own + [found for child in node.get("children", []) for found in _scan_nodes(child)]


def _touched(scan: Scan, nodes: list[dict[str, Any]]) -> list[str]:
    """The files that the query read, in the order of their listing.

    The plan tells how many there are. DuckDB reads the first one's footer just to learn the types,
    so that it is one of them only if more of it was read, or if there are not enough others.
    """
    counted = sum(int(node["extra_info"].get("Total Files Read", 0)) for node in nodes)
    read = [path for path in scan.files if scan.reads.get(path)]
    first = next(iter(scan.files), None)
    others = [path for path in read if path != first]
    with_data = first in read and bool(_data_reads(scan, first))
    return read if with_data or counted > len(others) else others


def _data_reads(scan: Scan, path: str) -> list[tuple[int, int]]:
    """The ranges read of a file but for its end, where the footer of a Parquet file is."""
    reads = scan.reads[path]
    if not scan.is_parquet:
        return reads
    return [(start, size) for start, size in reads if start + size < scan.files[path].size]


def _bytes_of(scan: Scan, path: str, nodes: list[dict[str, Any]]) -> int:
    """What the query read of an object.

    Of a Parquet object: the compressed column chunks, as its footer tells their size, of the
    columns that the plan needs, in the row groups that the statistics did not rule out. The footer
    itself is not counted. Of any other: all of it.
    """
    found = scan.files[path]
    if not scan.is_parquet:
        return found.size
    needed = {name for node in nodes for name in _columns_of_scan(node, columns_of(scan.table))}
    _check_types(found, needed, columns_of(scan.table))
    reads = _data_reads(scan, path)
    return sum(
        chunk.size
        for group in footer_of(found).row_groups
        if any(_overlaps(chunk, reads) for chunk in group)
        for chunk in group
        if chunk.column in needed
    )


def _check_types(found: S3Object, needed: set[str], columns: dict[str, str]) -> None:
    """Refuse text where the table has something else, and the other way round, as Athena does."""
    for name, kind in footer_of(found).columns.items():
        if name in needed and ("string" in kind) != (columns[name] == "VARCHAR"):
            if "<" in kind or "binary" in kind or "dictionary" in kind:
                continue
            message = (
                f"Field {name}'s type {kind.upper()} in parquet file {found.location} is "
                f"incompatible with type {trino_type(columns[name])} defined in table schema"
            )
            raise QueryError("HIVE_BAD_DATA", message)


def _overlaps(chunk: Chunk, reads: list[tuple[int, int]]) -> bool:
    end = chunk.start + chunk.size
    return any(start < end and chunk.start < start + length for start, length in reads)


def _columns_of_scan(node: dict[str, Any], columns: dict[str, str]) -> set[str]:
    """The table's columns that a scan of the plan reads, to give them on or to filter by them."""
    details = node["extra_info"]
    projected = details.get("Projections") or []
    projected = [projected] if isinstance(projected, str) else projected
    names = {name.strip('"').partition(".")[0].lower() for name in projected}
    filters = " ".join(str(details.get(kind, "")) for kind in ("Filters", "Dynamic Filters"))
    words = set(re.findall(r"[\w$]+", re.sub(r"'(?:[^']|'')*'", "", filters).lower()))
    return {name for name in columns if name in names or set(name.split()) <= words}


def arrow_types(types: dict[str, str]) -> pa.Schema:
    """Arrow's types for DuckDB's, by column."""
    nothing = ", ".join(f"CAST(NULL AS {kind}) AS {quoted(name)}" for name, kind in types.items())
    with _connection(0) as connection:
        return connection.sql(f"SELECT {nothing} LIMIT 0").to_arrow_table().schema
