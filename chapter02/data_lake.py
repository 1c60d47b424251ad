"""What a data lake on S3 is made of: policies, lifecycle rules, and what storage costs.

Each function returns a plain structure or number, ready to hand to boto3 or to plot.
"""

from __future__ import annotations

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


def trust_policy(account: str) -> dict[str, Any]:
    """Who may take on a role: identities of this account that are allowed to."""
    principal = {"AWS": f"arn:aws:iam::{account}:root"}
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
