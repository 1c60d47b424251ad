"""What a data lake on S3 is made of: policies, lifecycle rules, and what storage costs.

Each function returns a plain structure or number, ready to hand to boto3 or to plot.
"""

from __future__ import annotations

import json
from typing import Any

ZONES = ("raw", "curated", "features")

# List prices of S3 in us-east-1, dollars per GB and month, read on 2026-11-22 from
# https://aws.amazon.com/s3/pricing/. Retrieval and requests are extra.
PRICES = {
    "STANDARD": 0.023,
    "STANDARD_IA": 0.0125,
    "GLACIER_IR": 0.004,
    "DEEP_ARCHIVE": 0.00099,
}


def create_bucket(s3: Any, bucket: str, region: str, tags: dict[str, str]) -> None:
    """Create a bucket with tags, without public access, that answers over TLS only.

    Args:
        s3: a boto3 client of S3.
        bucket: a name that nobody in the world has.
        region: where.
        tags: of the bucket.
    """
    s3.create_bucket(Bucket=bucket, **location(region))
    blocks = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(blocks, True)
    )
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(tls_only_policy(bucket)))
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tag_set(tags)})


def location(region: str) -> dict[str, Any]:
    """The parameters of `create_bucket` for a region; `us-east-1` is the one not to be named."""
    if region == "us-east-1":
        return {}
    return {"CreateBucketConfiguration": {"LocationConstraint": region}}


def objects_under(s3: Any, bucket: str, prefix: str) -> list[dict[str, Any]]:
    """The objects whose keys start with the prefix, as S3 lists them; no earlier versions."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [each for page in pages for each in page.get("Contents", [])]


def megabytes(objects: list[dict[str, Any]]) -> float:
    """The size of listed objects in MB (a million bytes)."""
    return sum(each["Size"] for each in objects) / 1e6


def column_types(glue: Any, database: str, table: str) -> dict[str, str]:
    """The columns of a table in the Data Catalog with their types; no partition keys."""
    found = glue.get_table(DatabaseName=database, Name=table)["Table"]
    return {each["Name"]: each["Type"] for each in found["StorageDescriptor"]["Columns"]}


def tag_set(tags: dict[str, str]) -> list[dict[str, str]]:
    """Tags in the form that most services take."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def reading_policy(bucket: str) -> dict[str, Any]:
    """An IAM policy for who reads the whole lake, such as a crawler."""
    resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    actions = ["s3:GetObject", "s3:ListBucket"]
    statement = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return {"Version": "2012-10-17", "Statement": [statement]}


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


def analyst_policy(bucket: str) -> dict[str, Any]:
    """An IAM policy for who analyses: read the curated zone and the features, nothing else."""
    readable = ["curated", "features"]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "ListReadableZones",
                "Effect": "Allow",
                "Action": "s3:ListBucket",
                "Resource": f"arn:aws:s3:::{bucket}",
                "Condition": {"StringLike": {"s3:prefix": [f"{zone}/*" for zone in readable]}},
            },
            {
                "Sid": "ReadReadableZones",
                "Effect": "Allow",
                "Action": "s3:GetObject",
                "Resource": [f"arn:aws:s3:::{bucket}/{zone}/*" for zone in readable],
            },
        ],
    }


def trust_policy(principal: dict[str, str]) -> dict[str, Any]:
    """Who may take on a role: `{"Service": "glue.amazonaws.com"}`, `{"AWS": "arn:…:root"}`."""
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def lifecycle_rules() -> list[dict[str, Any]]:
    """Rules that let raw data grow cold, and remove what nobody will ask for.

    Objects below 128 KB stay where they are: S3 does not move them by default, since a move costs
    more than it saves.
    """
    return [
        {
            "ID": "raw-grows-cold",
            "Status": "Enabled",
            "Filter": {"Prefix": "raw/"},
            "Transitions": [
                {"Days": 30, "StorageClass": "STANDARD_IA"},
                {"Days": 90, "StorageClass": "GLACIER_IR"},
                {"Days": 365, "StorageClass": "DEEP_ARCHIVE"},
            ],
        },
        {
            "ID": "old-versions-expire",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
    ]


def storage_class_at(days: int, rules: list[dict[str, Any]]) -> str:
    """The storage class of an object of this age in days, under the transitions of the rules."""
    transitions = [each for rule in rules for each in rule.get("Transitions", [])]
    reached = [each for each in transitions if each["Days"] <= days]
    if not reached:
        return "STANDARD"
    return max(reached, key=lambda each: each["Days"])["StorageClass"]


def monthly_cost(month: int, gigabytes_a_month: float, rules: list[dict[str, Any]]) -> float:
    """Dollars for storage in a month, counted from 0, of a lake that grows by as much each month.

    What landed k months ago is 30 k days old. Storage alone: no requests, no retrieval.

    Raises:
        ValueError: for a negative month or growth.
    """
    if month < 0 or gigabytes_a_month < 0:
        raise ValueError(
            f"month and gigabytes_a_month must not be negative, got {month} and {gigabytes_a_month}"
        )
    ages = (30 * age for age in range(month + 1))
    return sum(gigabytes_a_month * PRICES[storage_class_at(days, rules)] for days in ages)
