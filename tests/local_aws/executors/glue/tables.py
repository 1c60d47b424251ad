"""From the files below a path to tables and partitions, by the rules of a Glue crawler.

Folders whose files look alike are the partitions of one table, named after the folder above them;
folders whose files differ are tables of their own.
https://docs.aws.amazon.com/glue/latest/dg/crawler-s3-folder-table-partition.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from ... import account, identity
from ...errors import AWSError
from ...storage import S3Location, S3Object, list_objects, open_object, refuse_if_denied
from .classify import FileSchema, classify, merge


@dataclass(frozen=True)
class Scanned:
    """A file and what it holds."""

    object: S3Object
    schema: FileSchema


@dataclass
class Partition:
    """The files of one partition: all that lie in one folder."""

    location: str
    values: tuple[str, ...]
    files: list[Scanned]

    @cached_property
    def schema(self) -> FileSchema:
        """What the files hold together."""
        return merge([file.schema for file in self.files])


@dataclass
class Crawled:
    """A table that was found. `partitions` has one entry, without values, if it has no keys."""

    name: str
    location: str
    keys: list[str]
    partitions: list[Partition]

    @cached_property
    def schema(self) -> FileSchema:
        """What all files of the table hold together."""
        return merge([partition.schema for partition in self.partitions])

    @property
    def files(self) -> list[Scanned]:
        """All files of the table."""
        return [file for partition in self.partitions for file in partition.files]

    @property
    def folders(self) -> list[str]:
        """Where the files lie."""
        return [partition.location for partition in self.partitions]


@dataclass
class _Folder:
    """A folder of S3, by the prefix of its keys (which ends in `/`, or is empty)."""

    bucket: str
    prefix: str
    files: list[Scanned] = field(default_factory=list)
    children: dict[str, _Folder] = field(default_factory=dict)

    @property
    def location(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    @property
    def level(self) -> int:
        """1 for the bucket itself, 2 for the folders in it: as `TableLevelConfiguration` counts."""
        return 1 + self.prefix.count("/")

    def leaves(self) -> list[_Folder]:
        """The folders at the ends that hold files; empty if one further up holds files too."""
        if not self.children:
            return [self]
        if self.files:
            return []
        found = []
        for child in self.children.values():
            below = child.leaves()
            if not below:
                return []
            found += below
        return found


def list_target(
    target: dict[str, Any], role: str, caller: str
) -> tuple[S3Location, list[S3Object]]:
    """The objects of an S3 target that are to be classified.

    Left out are the target's Exclusions, folders, empty objects and what begins with `_` or `.`,
    as Hive does; of each folder at most SampleSize objects.

    Raises:
        AWSError: NoSuchBucket or AccessDenied, in the words of a crawler's error message.
    """
    path = target["Path"]
    location = S3Location.parse(path if "://" in path else f"s3://{path}")
    _check_access(location, role)
    try:
        objects = list_objects(location, caller)
    except AWSError as error:
        raise _service_error(error.message, error.status, error.code) from None
    root = location.key if location.key.endswith("/") else f"{location.key}/"
    excluded = [_glob(pattern) for pattern in target.get("Exclusions") or []]
    chosen: list[S3Object] = []
    in_folder: dict[str, int] = {}
    for found in objects:
        key = found.location.key
        if key != location.key and location.key and not key.startswith(root):
            continue
        relative = key[len(root) :] if key.startswith(root) else key[len(location.key) :]
        names = relative.split("/") if relative else [key.rpartition("/")[2]]
        if found.size == 0 or key.endswith("/") or any(name[:1] in ("_", ".") for name in names):
            continue
        if any(pattern.fullmatch(relative) for pattern in excluded):
            continue
        folder = key.rpartition("/")[0]
        in_folder[folder] = in_folder.get(folder, 0) + 1
        if in_folder[folder] <= (target.get("SampleSize") or len(objects)):
            chosen.append(found)
    return location, chosen


def _check_access(location: S3Location, role: str) -> None:
    """Refuse a bucket whose policy denies the crawler's role what a crawler does."""
    found = identity.find_role(role.rpartition("/")[2])
    principal = found.arn if found else f"arn:aws:iam::{account.ACCOUNT_ID}:role/{role}"
    bucket = S3Location(location.bucket)
    for action, place in (
        ("s3:ListBucket", bucket),
        ("s3:GetObject", S3Location(location.bucket, f"{location.key}*")),
    ):
        try:
            refuse_if_denied(place, action, principal)
        except AWSError as error:
            raise _service_error(error.message, error.status, error.code) from None


def _service_error(message: str, status: int, code: str) -> AWSError:
    text = f"{message} (Service: Amazon S3; Status Code: {status}; Error Code: {code})"
    return AWSError(code, text, status)


def _glob(pattern: str) -> re.Pattern[str]:
    """An exclude pattern: `*` stays within a folder, `**` does not; `?`, `[…]`, `{a,b}`."""
    parts, position, braces = [], 0, 0
    while position < len(pattern):
        character = pattern[position]
        if pattern.startswith("**", position):
            parts.append(".*")
            position += 1
        elif character == "*":
            parts.append("[^/]*")
        elif character == "?":
            parts.append("[^/]")
        elif character == "[" and "]" in pattern[position + 1 :]:
            end = pattern.index("]", position + 1)
            inside = pattern[position + 1 : end].replace("\\", "\\\\")
            parts.append(f"[{'^' + inside[1:] if inside[:1] == '!' else inside}]")
            position = end
        elif character == "{":
            parts.append("(?:")
            braces += 1
        elif character == "}" and braces:
            parts.append(")")
            braces -= 1
        elif character == "," and braces:
            parts.append("|")
        else:
            parts.append(re.escape(character))
        position += 1
    return re.compile("".join(parts))


def find_tables(
    location: S3Location,
    objects: list[S3Object],
    *,
    table_level: int | None,
    prefix: str,
    caller: str,
    warn: Callable[[str], None],
    go_on: Callable[[], None],
) -> list[Crawled]:
    """Classify the objects and group them to tables.

    Args:
        location: the path that is crawled.
        table_level: the level of folders that are tables, 1 being the bucket; None to find out.
        prefix: put in front of each table's name.
        caller: who reads, for the journal.
        warn: told of files that no classifier recognises.
        go_on: called before each file; raises if the crawl is to stop.
    """
    files = []
    for found in objects:
        go_on()
        with open_object(found.location, caller) as source:
            schema = classify(source, found.size)
        if schema is None:
            warn(f"No classifier recognised {found.location}; it is in no table")
        else:
            files.append(Scanned(found, schema))
    if len(files) == 1 and files[0].object.location.key == location.key:
        tables = [_table_of_file(files[0])]
    else:
        key = location.key if location.key.endswith("/") or not location.key else f"{location.key}/"
        tables = _tables(_tree(S3Location(location.bucket, key), files), table_level)
    for table in tables:
        table.name = prefix + table.name
    return tables


def _tree(root: S3Location, files: list[Scanned]) -> _Folder:
    top = _Folder(root.bucket, root.key)
    for file in files:
        folder = top
        for name in file.object.location.key[len(root.key) :].split("/")[:-1]:
            deeper = _Folder(root.bucket, f"{folder.prefix}{name}/")
            folder = folder.children.setdefault(name, deeper)
        folder.files.append(file)
    return top


def _tables(folder: _Folder, table_level: int | None) -> list[Crawled]:
    if table_level is None or folder.level >= table_level:
        table = _one_table(folder)
        if table:
            return [table]
    separate = [_table_of_file(file) for file in folder.files]
    for child in folder.children.values():
        separate += _tables(child, table_level)
    return separate


def _one_table(folder: _Folder) -> Crawled | None:
    """The whole folder as one table; None if its parts do not look alike or lie unevenly."""
    leaves = [leaf for leaf in folder.leaves() if leaf.files]
    if not leaves:
        return None
    paths = [leaf.prefix[len(folder.prefix) :].split("/")[:-1] for leaf in leaves]
    if len({len(path) for path in paths}) != 1:
        return None
    files = [file for leaf in leaves for file in leaf.files]
    widest = max((file.schema for file in files), key=lambda schema: len(schema.columns))
    if not all(widest.resembles(file.schema) for file in files):
        return None
    levels = list(zip(*paths, strict=True))
    keys = [_partition_key(names, position) for position, names in enumerate(levels)]
    partitions = []
    for leaf, path in zip(leaves, paths, strict=True):
        values = tuple(_partition_value(n, k) for n, k in zip(path, keys, strict=True))
        partitions.append(Partition(leaf.location, values, leaf.files))
    name = folder.prefix.rstrip("/").rpartition("/")[2] or folder.bucket
    return Crawled(table_name(name), folder.location, [key.lower() for key in keys], partitions)


def _table_of_file(file: Scanned) -> Crawled:
    location = str(file.object.location)
    name = table_name(file.object.location.name)
    return Crawled(name, location, [], [Partition(location, (), [file])])


def _partition_key(names: tuple[str, ...], position: int) -> str:
    """The key of `key=value` folders; `partition_0` and so on for folders with other names."""
    keys = {name.partition("=")[0] for name in names if "=" in name}
    if len(keys) == 1 and all("=" in name for name in names):
        return keys.pop()
    return f"partition_{position}"


def _partition_value(name: str, key: str) -> str:
    return unquote(name.partition("=")[2]) if name.startswith(f"{key}=") else name


def table_name(name: str) -> str:
    """The name that a crawler gives the table of a folder or file: lower case, `_` for the rest."""
    return re.sub(r"[^a-z0-9_]", "_", name.lower())
