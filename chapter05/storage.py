"""Make the bucket that this chapter's notebooks work in, with the defaults that a bucket needs."""

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
    Raises botocore's ClientError otherwise, as when the name belongs to somebody else.
    """
    s3 = boto3.client("s3", region_name=region)
    # S3 wants the region named, except for the one that it was born in.
    location = {"CreateBucketConfiguration": {"LocationConstraint": region}}
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=bucket, **({} if region == "us-east-1" else location))
    # S3 blocks public access and encrypts by default; a default may have been changed.
    s3.put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(_BLOCKS, True)
    )
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(tls_only_policy(bucket)))
    tag_set = [{"Key": key, "Value": value} for key, value in tags.items()]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tag_set})


def tls_only_policy(bucket: str) -> dict[str, Any]:
    """Return the bucket policy that refuses every request that does not come over TLS."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "RefuseRequestsWithoutTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }
