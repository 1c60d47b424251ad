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


def download(kind: str, uri: str, folder: Path, caller: str) -> int:
    """Copy input data into a folder. Returns the number of files.

    Args:
        kind: `S3Prefix`, or `ManifestFile`: a list of objects with a common prefix.
        caller: the job, in whose name S3 is read.

    Raises:
        AWSError: ClientError, saying what is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    location = S3Location.parse(uri)
    try:
        if kind == "ManifestFile":
            return _download_listed(location, folder, caller)
        return len(storage.download(location, folder, caller))
    except AWSError as error:
        raise AWSError("ClientError", f"Data download failed:{error.message} ({uri})") from error


def _download_listed(manifest: S3Location, folder: Path, caller: str) -> int:
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
    for name in names:
        target = (folder / name).resolve()
        if not target.is_relative_to(folder.resolve()):
            raise AWSError("ClientError", f"The entry '{name}' of {manifest} leaves its folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(storage.read(S3Location.parse(prefix + name), caller))
    return len(names)
