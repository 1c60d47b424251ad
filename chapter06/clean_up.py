"""Remove what a notebook has made: everything whose name begins with its prefix, and its bucket.

The notebooks call `delete_all` in their last section. After an interruption, run it by hand:

    python clean_up.py PREFIX BUCKET

Training and processing jobs stay in SageMaker's history, which costs nothing.
"""

from __future__ import annotations

import argparse
import sys

import boto3
from botocore.exceptions import ClientError

ENDPOINT_LOGS = "/aws/sagemaker/Endpoints/"
# All jobs of an account share these two groups: only the streams of the prefix's jobs go.
JOB_LOGS = ("/aws/sagemaker/TrainingJobs", "/aws/sagemaker/ProcessingJobs")


def delete_all(prefix: str, bucket: str) -> None:
    """Delete endpoints, their configurations, models, logs and the bucket with its objects.

    Endpoints go first: they are what costs money. Returns when all is gone. What does not exist
    is passed over, so that an interrupted clean-up can be repeated.
    """
    sagemaker, logs = boto3.client("sagemaker"), boto3.client("logs")
    for name in list_endpoints(prefix):
        sagemaker.delete_endpoint(EndpointName=name)
        sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name)
    for name in list_endpoint_configs(prefix):
        sagemaker.delete_endpoint_config(EndpointConfigName=name)
    for name in list_models(prefix):
        sagemaker.delete_model(ModelName=name)
    for name in list_log_groups(prefix):
        logs.delete_log_group(logGroupName=name)
    for group in JOB_LOGS:
        for stream in list_log_streams(group, prefix):
            logs.delete_log_stream(logGroupName=group, logStreamName=stream)
    if bucket_exists(bucket):
        storage = boto3.resource("s3").Bucket(bucket)
        storage.objects.delete()
        storage.delete()
        storage.wait_until_not_exists()


def list_all(prefix: str, bucket: str) -> dict[str, list[str]]:
    """Return the names of what `delete_all` would delete, by kind."""
    return {
        "endpoints": list_endpoints(prefix),
        "endpoint configurations": list_endpoint_configs(prefix),
        "models": list_models(prefix),
        "log groups": list_log_groups(prefix),
        "log streams": [name for group in JOB_LOGS for name in list_log_streams(group, prefix)],
        "buckets": [bucket] if bucket_exists(bucket) else [],
    }


def list_endpoints(prefix: str) -> list[str]:
    """Return the endpoints whose names begin with `prefix`."""
    return _list_sagemaker("list_endpoints", "Endpoints[].EndpointName", prefix)


def list_endpoint_configs(prefix: str) -> list[str]:
    """Return the endpoint configurations whose names begin with `prefix`."""
    expression = "EndpointConfigs[].EndpointConfigName"
    return _list_sagemaker("list_endpoint_configs", expression, prefix)


def list_models(prefix: str) -> list[str]:
    """Return the models whose names begin with `prefix`."""
    return _list_sagemaker("list_models", "Models[].ModelName", prefix)


def _list_sagemaker(operation: str, expression: str, prefix: str) -> list[str]:
    # SageMaker only searches for a part of a name.
    pages = boto3.client("sagemaker").get_paginator(operation).paginate(NameContains=prefix)
    return [name for name in pages.search(expression) if name.startswith(prefix)]


def list_log_groups(prefix: str) -> list[str]:
    """Return the log groups of the endpoints whose names begin with `prefix`."""
    paginator = boto3.client("logs").get_paginator("describe_log_groups")
    pages = paginator.paginate(logGroupNamePrefix=ENDPOINT_LOGS + prefix)
    return list(pages.search("logGroups[].logGroupName"))


def list_log_streams(group: str, prefix: str) -> list[str]:
    """Return the streams of a log group whose names begin with `prefix`; [] without the group."""
    logs = boto3.client("logs")
    pages = logs.get_paginator("describe_log_streams").paginate(
        logGroupName=group, logStreamNamePrefix=prefix
    )
    try:
        return list(pages.search("logStreams[].logStreamName"))
    except logs.exceptions.ResourceNotFoundException:
        return []


def bucket_exists(bucket: str) -> bool:
    """Return whether there is such a bucket. Raises ClientError if it is somebody else's."""
    try:
        boto3.client("s3").head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] == "404":
            return False
        raise
    return True


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prefix", help="what the names begin with, at least 8 characters")
    parser.add_argument("bucket", help="the bucket that the notebook printed")
    parser.add_argument("--dry-run", action="store_true", help="only list what is there")
    options = parser.parse_args(arguments)
    if len(options.prefix) < 8:
        parser.error(f"the prefix {options.prefix!r} is too short to be safe")
    for kind, names in list_all(options.prefix, options.bucket).items():
        print(f"{kind}: {', '.join(names) or 'none'}")
    if not options.dry_run:
        delete_all(options.prefix, options.bucket)
    return 0


if __name__ == "__main__":
    sys.exit(main())
