"""S3 as executors see it: the objects that moto keeps, read and written within the process.

Every access is journaled as a call of `caller`, because on AWS the service makes it with the
caller's role; and it fails with the error that S3 would answer with.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from . import account, journal
from .errors import AWSError


@dataclass(frozen=True)
class S3Location:
    """A bucket and a key, or the prefix of keys."""

    bucket: str
    key: str = ""

    @classmethod
    def parse(cls, uri: str) -> S3Location:
        """Read `s3://bucket/key`. Raises ValidationException for anything else."""
        scheme, separator, rest = uri.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme not in ("s3", "s3a", "s3n") or not separator or not bucket:
            raise AWSError(
                "ValidationException", f"'{uri}' is not an S3 location; write s3://bucket/prefix."
            )
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def __truediv__(self, name: str) -> S3Location:
        key = f"{self.key.rstrip('/')}/{name}" if self.key else name
        return S3Location(self.bucket, key)

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rstrip("/").rpartition("/")[2]


@dataclass(frozen=True)
class S3Object:
    """What a listing says of an object. `size` is in bytes."""

    location: S3Location
    size: int
    etag: str
    last_modified: datetime


def list_objects(location: S3Location, caller: str | None) -> list[S3Object]:
    """The objects whose key starts with the location's key, by key.

    Without a caller nothing is journaled: for a look that AWS would not take.
    """
    bucket = _bucket(location.bucket)
    if caller is not None:
        _note("ListObjectsV2", caller, Bucket=location.bucket, Prefix=location.key)
    return [
        S3Object(S3Location(location.bucket, name), key.size, key.etag, key.last_modified)
        for name, key in sorted(bucket.keys.items())
        if name.startswith(location.key) and hasattr(key, "size")
    ]


def head(location: S3Location, caller: str) -> S3Object:
    """What S3 knows of one object. Raises NoSuchBucket or NoSuchKey."""
    key = _object(location)
    _note("HeadObject", caller, Bucket=location.bucket, Key=location.key)
    return S3Object(location, key.size, key.etag, key.last_modified)


def read(location: S3Location, caller: str) -> bytes:
    """The content of an object. Raises NoSuchBucket or NoSuchKey."""
    key = _object(location)
    _note("GetObject", caller, Bucket=location.bucket, Key=location.key)
    return key.value


def open_object(location: S3Location, caller: str | None) -> BinaryIO:
    """The content of an object as a file that can seek; reads only what is asked for.

    Without a caller nothing is journaled: for a look that AWS would not take.
    """
    key = _object(location)
    if caller is not None:
        _note("GetObject", caller, Bucket=location.bucket, Key=location.key)
    return _ObjectFile(key)


def write(location: S3Location, data: bytes, caller: str, kms_key: str | None = None) -> None:
    """Put an object, encrypted with a KMS key if there is one (else as the bucket says).

    Notifications of the bucket fire as for any other put.
    """
    from moto.s3.models import s3_backends

    _bucket(location.bucket)
    _note("PutObject", caller, Bucket=location.bucket, Key=location.key)
    encryption = {"encryption": "aws:kms", "kms_key_id": kms_key} if kms_key else {}
    backend = s3_backends[account.ACCOUNT_ID]["aws"]
    backend.put_object(location.bucket, location.key, data, **encryption)


def refuse_if_denied(location: S3Location, action: str, principal: str) -> None:
    """Refuse what the bucket's policy denies to a role that a service acts with.

    Args:
        location: of the object, or of the bucket.
        action: such as `s3:PutObject`.
        principal: the ARN of the role.

    Raises:
        AWSError: NoSuchBucket or AccessDenied.
    """
    from .policies import EXPLICIT_DENY
    from .s3_events import bucket_decision

    bucket = _bucket(location.bucket)
    resource = f"{bucket.arn}/{location.key}" if location.key else bucket.arn
    if bucket.policy is None:
        return
    if bucket_decision(bucket, action, resource, principal).result == EXPLICIT_DENY:
        raise AWSError("AccessDenied", "Access Denied", status=403)


def delete(location: S3Location, caller: str) -> None:
    """Delete an object; deleting what is not there is no error, as in S3."""
    from moto.s3.models import s3_backends

    _bucket(location.bucket)
    _note("DeleteObject", caller, Bucket=location.bucket, Key=location.key)
    s3_backends[account.ACCOUNT_ID]["aws"].delete_object(location.bucket, location.key)


def below(location: S3Location, caller: str | None) -> list[tuple[S3Location, Path]]:
    """The objects under a prefix, each with the path that it has below it.

    A location that is the key of one object gives its name. Keys that stand for folders are left
    out. Raises NoSuchBucket.
    """
    return [
        (found.location, Path(_relative_path(found.location.key, location.key)))
        for found in list_objects(location, caller)
        if not found.location.key.endswith("/")
    ]


def fetch(location: S3Location, folder: Path, path: Path, caller: str | None) -> Path:
    """Copy one object to a path below a folder. Returns where it is.

    A path that would lead out of the folder (`..`) is refused.
    """
    target = (folder / path).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise AWSError("ValidationException", f"The key '{location}' leaves its folder.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with open_object(location, caller) as source, target.open("wb") as written:
        while chunk := source.read(1 << 20):
            written.write(chunk)
    return target


def download(location: S3Location, folder: Path, caller: str | None) -> list[Path]:
    """Copy the objects under a prefix into a folder. Returns the files; there may be none."""
    return [fetch(found, folder, path, caller) for found, path in below(location, caller)]


def upload(folder: Path, location: S3Location, caller: str) -> list[S3Location]:
    """Put every file below a folder under a prefix. Returns where they are."""
    locations = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        target = location / path.relative_to(folder).as_posix()
        write(target, path.read_bytes(), caller)
        locations.append(target)
    return locations


def bucket_names() -> list[str]:
    """The names of the account's buckets."""
    from moto.s3.models import s3_backends

    return list(s3_backends[account.ACCOUNT_ID]["aws"].buckets)


def _relative_path(key: str, prefix: str) -> str:
    if key == prefix:
        return key.rpartition("/")[2]
    if prefix.endswith("/") or not prefix:
        return key[len(prefix) :]
    # `s3://bucket/data` also lists `data/part-0` and `data-2/part-0`: paths start below `data`'s
    # parent, but the folder itself is not repeated.
    folder = prefix if key.startswith(prefix + "/") else prefix.rpartition("/")[0]
    return key[len(folder) :].lstrip("/")


def _bucket(name: str) -> Any:
    from moto.s3.models import s3_backends

    buckets = s3_backends[account.ACCOUNT_ID]["aws"].buckets
    if name not in buckets:
        raise AWSError(
            "NoSuchBucket", "The specified bucket does not exist", status=404, BucketName=name
        )
    return buckets[name]


def _object(location: S3Location) -> Any:
    key = _bucket(location.bucket).keys.get(location.key)
    if key is None or not hasattr(key, "size"):
        message = f"The specified key does not exist: {location}"
        raise AWSError("NoSuchKey", message, status=404, Key=location.key)
    return key


def _note(operation: str, caller: str, **params: str) -> None:
    journal.note("s3", operation, params, "us-east-1", caller)


class _ObjectFile(io.RawIOBase):
    """An object of moto's as a file that reads and seeks, without a copy of the whole."""

    def __init__(self, key: Any) -> None:
        self._key, self._position = key, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._key.size}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        with self._reading() as source:
            count = source.readinto(buffer)
        self._position += count
        return count

    def read(self, size: int = -1) -> bytes:
        with self._reading() as source:
            data = source.read(size)
        self._position += len(data)
        return data

    @contextmanager
    def _reading(self):  # noqa: ANN202
        # moto keeps one file object per key; its position is shared, hence the lock.
        with self._key.lock:
            self._key._value_buffer.seek(self._position)
            yield self._key._value_buffer
