"""The bucket that a notebook of this chapter works in: made with safe defaults, removed whole."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

import boto3

_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


def create_private_bucket(bucket: str, region: str, tags: Mapping[str, str]) -> None:
    """Create a bucket that is never public and refuses requests without TLS; encrypted by S3.

    A bucket of this name that is the caller's own, left by an interrupted run, is used again.

    Raises:
        botocore.exceptions.ClientError: if it cannot be had, as when the name is somebody else's.
    """
    s3 = boto3.client("s3", region_name=region)
    # us-east-1 is the one region that must not be named.
    place = {"CreateBucketConfiguration": {"LocationConstraint": region}}
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):  # of an interrupted run
        s3.create_bucket(Bucket=bucket, **({} if region == "us-east-1" else place))
    s3.put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(_BLOCKS, True)
    )
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(tls_only_policy(bucket)))
    tag_set = [{"Key": key, "Value": value} for key, value in tags.items()]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tag_set})


def tls_only_policy(bucket: str) -> dict[str, Any]:
    """A bucket policy that denies every request which does not come over TLS."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }


def delete_bucket(bucket: str) -> None:
    """Delete a bucket with all that is in it. A bucket that is not there is passed over."""
    s3 = boto3.resource("s3")
    there = s3.Bucket(bucket)
    try:
        there.objects.delete()
        there.delete()
    except s3.meta.client.exceptions.NoSuchBucket:
        return
    there.wait_until_not_exists()


def folder_size(bucket: str, prefix: str) -> int:
    """The bytes of all objects whose keys start with the prefix."""
    return sum(
        each.size for each in boto3.resource("s3").Bucket(bucket).objects.filter(Prefix=prefix)
    )
