"""What notebook 3 hands to its training jobs, and takes back from them."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from pathlib import Path

import boto3

HERE = Path(__file__).resolve().parent
SCRIPTS = ("train_text.py", "text_model.py", "inference.py")


def copy_scripts(folder: Path) -> Path:
    """Copy what a job needs, and nothing else of this chapter, into a new folder; return it."""
    folder.mkdir(parents=True)
    for name in SCRIPTS:
        shutil.copy(HERE / name, folder)
    return folder


def split_uri(uri: str) -> tuple[str, str]:
    """The bucket and the key of an S3 URI. Raises ValueError if it has no key."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not key:
        raise ValueError(f"{uri!r} is no S3 URI of an object, as s3://bucket/key")
    return bucket, key


def unpack_model(uri: str, folder: Path) -> list[str]:
    """Unpack the `model.tar.gz` at an S3 URI into a folder; return the names of its files.

    Raises:
        ValueError: the URI is not that of an object.
        tarfile.ReadError: the object is no archive.
    """
    bucket, key = split_uri(uri)
    with tempfile.TemporaryFile() as archive:
        boto3.client("s3").download_fileobj(bucket, key, archive)
        archive.seek(0)
        # `data` refuses whatever would leave the folder.
        with tarfile.open(fileobj=archive, mode="r:gz") as tar:
            tar.extractall(folder, filter="data")
            return sorted(member.name for member in tar if member.isfile())


def list_jobs(prefix: str) -> list[str]:
    """The training jobs whose names begin with `prefix`."""
    # SageMaker only searches for a part of a name.
    pages = boto3.client("sagemaker").get_paginator("list_training_jobs")
    names = pages.paginate(NameContains=prefix).search("TrainingJobSummaries[].TrainingJobName")
    return [name for name in names if name.startswith(prefix)]


def delete_jobs(prefix: str) -> None:
    """Delete the training jobs whose names begin with `prefix`; they must have ended."""
    for name in list_jobs(prefix):
        boto3.client("sagemaker").delete_training_job(TrainingJobName=name)
