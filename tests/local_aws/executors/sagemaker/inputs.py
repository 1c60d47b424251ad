"""Input data: from S3 into the folders of a job."""

from __future__ import annotations

import json
from pathlib import Path

from ... import storage
from ...gateway import AWSError
from ...storage import S3Location


def objects_missing(uri: str, region: str, role: str) -> str:
    """What SageMaker says of an input without objects."""
    bucket = S3Location.parse(uri).bucket
    return (
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that '
        f"the bucket exists in the selected region ({region}), that objects exist under that S3 "
        f'prefix, and that the role "{role}" has "s3:ListBucket" permissions on bucket "{bucket}".'
    )


def exists(uri: str, caller: str) -> bool:
    """Whether there is an object under an S3 URI."""
    try:
        return bool(storage.list_objects(S3Location.parse(uri), caller))
    except AWSError:
        return False


def objects(kind: str, uri: str, caller: str) -> list[tuple[S3Location, Path]]:
    """The objects of an input, each with the path at which a job finds it.

    Args:
        kind: `S3Prefix`, or `ManifestFile`: a list of objects with a common prefix.
        caller: the job, in whose name S3 is read.

    Raises:
        AWSError: ClientError, saying what is missing.
    """
    location = S3Location.parse(uri)
    try:
        if kind == "ManifestFile":
            return _listed(location, caller)
        return storage.below(location, caller)
    except AWSError as error:
        raise AWSError("ClientError", f"Data download failed:{error.message} ({uri})") from error


def fetch(location: S3Location, folder: Path, path: Path, caller: str) -> None:
    """Copy one object of an input into the folder of a channel.

    Raises:
        AWSError: ClientError, saying what is missing.
    """
    try:
        storage.fetch(location, folder, path, caller)
    except AWSError as error:
        message = f"Data download failed:{error.message} ({location})"
        raise AWSError("ClientError", message) from error


def download(kind: str, uri: str, folder: Path, caller: str) -> int:
    """Copy input data into a folder. Returns the number of files. Raises as `objects` does."""
    folder.mkdir(parents=True, exist_ok=True)
    found = objects(kind, uri, caller)
    for location, path in found:
        fetch(location, folder, path, caller)
    return len(found)


def _listed(manifest: S3Location, caller: str) -> list[tuple[S3Location, Path]]:
    """The objects of a manifest: `[{"prefix": "s3://bucket/prefix/"}, "part-0", …]`."""
    try:
        first, *names = json.loads(storage.read(manifest, caller))
        prefix = first["prefix"]
    except (ValueError, TypeError, KeyError) as error:
        raise AWSError(
            "ClientError",
            f"The manifest {manifest} is not a JSON list that starts with "
            '{"prefix": "s3://bucket/prefix/"}',
        ) from error
    return [(S3Location.parse(prefix + name), Path(name)) for name in names]
