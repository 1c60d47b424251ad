"""Prepare an AWS account for this book: a role, a bucket, a budget that warns, all tagged.

    python setup_account.py --dry-run          show what would change
    python setup_account.py --chapters 2 6     the role may do what these chapters need

Run it with the rights of an administrator, as often as you like: it compares what is there with
what should be and changes only what differs. `cleanup.py` removes it all again.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

BOOK = Path(__file__).resolve().parents[1]
# What IAM takes at most: characters of a managed policy without white space, policies on a role.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
POLICY_SIZE, POLICIES_PER_ROLE, POLICY_VERSIONS = 6_144, 10, 5
_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
_NOT_THERE = ("NoSuchEntity", "NoSuchBucket", "404", "NotFound", "NotFoundException")

Document = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What to prepare.

    Attributes:
        account: the twelve digits of the AWS account.
        region: where the bucket and the topic are.
        project: what every name begins with and the tag `project` says.
        policies: what the role may do, by chapter, as IAM policy documents.
        monthly_dollars: the spend that the budget allows in a month.
        email: who hears of it; nobody but the topic if empty.
    """

    account: str
    region: str
    project: str
    policies: dict[str, Document]
    monthly_dollars: int = 20
    email: str = ""

    @property
    def role(self) -> str:
        """Named as SageMaker's own execution roles are: the policies of the chapters name those."""
        return f"AmazonSageMaker-ExecutionRole-{self.project}"

    @property
    def bucket(self) -> str:
        """Bucket names are unique in the world: the account makes this one yours."""
        return f"{self.project}-{self.account}-{self.region}"

    @property
    def topic(self) -> str:
        """The ARN of the topic that the budget sends its warnings to."""
        return f"arn:aws:sns:{self.region}:{self.account}:{self.project}-budget"

    @property
    def tags(self) -> list[dict[str, str]]:
        """The tags of everything that is made."""
        return [{"Key": "project", "Value": self.project}, {"Key": "chapter", "Value": "01"}]

    def policy_arn(self, name: str) -> str:
        """The ARN of a policy of this account."""
        return f"arn:aws:iam::{self.account}:policy/{name}"


@dataclass(frozen=True)
class Change:
    """One thing that is not as it should be, and the call that mends it."""

    what: str
    apply: Callable[[], Any]


def changes(session: Any, settings: Settings) -> list[Change]:
    """Compare the account with the settings; return what differs, in the order to apply it.

    Reads only. An account that is as it should be gives an empty list.

    Raises:
        ValueError: if the policies do not fit on one role.
        botocore.exceptions.ClientError: what AWS refuses, for example a bucket of another account.
    """
    found: list[Change] = []
    for look in (_bucket_changes, _role_changes, _policy_changes, _topic_changes, _budget_changes):
        found += look(session, settings)
    return found


# ── the bucket ───────────────────────────────────────────────────────────────────────────────────


def _bucket_changes(session: Any, settings: Settings) -> Iterator[Change]:
    s3, bucket = session.client("s3", region_name=settings.region), settings.bucket
    exists = _get(lambda: s3.head_bucket(Bucket=bucket)) is not None
    if not exists:
        # us-east-1 is the one region that must not be named.
        place = {"CreateBucketConfiguration": {"LocationConstraint": settings.region}}
        parameters = {} if settings.region == "us-east-1" else place
        yield Change(
            f"create the bucket {bucket}", lambda: s3.create_bucket(Bucket=bucket, **parameters)
        )
    for what, name, parameter, wanted in _bucket_settings(settings):
        get = functools.partial(getattr(s3, f"get_{name}"), Bucket=bucket)
        answer = _get(get) if exists else None
        # Some settings are answered as they were sent, some without their outermost name.
        if not answer or not _contains(answer.get(parameter, answer), wanted):
            sent = json.dumps(wanted) if parameter == "Policy" else wanted
            put = functools.partial(getattr(s3, f"put_{name}"), Bucket=bucket, **{parameter: sent})
            yield Change(what, put)


def _bucket_settings(settings: Settings) -> list[tuple[str, str, str, Document]]:
    """What it is for, the operation after `get_` and `put_`, the parameter and its value."""
    encryption = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    return [
        (
            "block public access to it",
            "public_access_block",
            "PublicAccessBlockConfiguration",
            dict.fromkeys(_BLOCKS, True),
        ),
        (
            "encrypt what is stored in it",
            "bucket_encryption",
            "ServerSideEncryptionConfiguration",
            {"Rules": [encryption]},
        ),
        ("refuse requests without TLS", "bucket_policy", "Policy", tls_only(settings.bucket)),
        ("keep versions", "bucket_versioning", "VersioningConfiguration", {"Status": "Enabled"}),
        (
            "let old versions and broken uploads expire",
            "bucket_lifecycle_configuration",
            "LifecycleConfiguration",
            {"Rules": [_EXPIRY]},
        ),
        ("tag it", "bucket_tagging", "Tagging", {"TagSet": settings.tags}),
    ]


_EXPIRY = {
    "ID": "leftovers-expire",
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
}


def tls_only(bucket: str) -> Document:
    """A bucket policy that denies every request which does not come over TLS."""
    statement = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


# ── the role ─────────────────────────────────────────────────────────────────────────────────────


def trust(account: str) -> Document:
    """Who may take the role on: SageMaker AI, and only on behalf of this account.

    Without the condition another account could ask SageMaker to use your role for its job, the
    "confused deputy" of https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html.
    """
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _role_changes(session: Any, settings: Settings) -> Iterator[Change]:
    iam, name, wanted = session.client("iam"), settings.role, trust(settings.account)
    role = _get(lambda: iam.get_role(RoleName=name))
    if role is None:
        parameters = {
            "RoleName": name,
            "Path": "/service-role/",
            "AssumeRolePolicyDocument": json.dumps(wanted),
            "Description": "Runs the notebooks and jobs of Cloud Native AI and Machine Learning",
            "Tags": settings.tags,
        }
        yield Change(f"create the role {name}", lambda: iam.create_role(**parameters))
        return
    if role["Role"]["AssumeRolePolicyDocument"] != wanted:
        document = json.dumps(wanted)
        yield Change(
            "let SageMaker AI alone take the role on",
            lambda: iam.update_assume_role_policy(RoleName=name, PolicyDocument=document),
        )
    if not _contains(role["Role"].get("Tags", []), settings.tags):
        yield Change("tag the role", lambda: iam.tag_role(RoleName=name, Tags=settings.tags))


# ── what the role may do ─────────────────────────────────────────────────────────────────────────


def managed_policies(settings: Settings) -> dict[str, Document]:
    """The policies to attach by name: one per chapter, more where a chapter does not fit in one.

    Raises:
        ValueError: if there are more than a role can hold, or one statement is too long.
    """
    found = {}
    for chapter, document in settings.policies.items():
        for number, statements in enumerate(_packed(document["Statement"]), 1):
            name = f"{settings.project}-{chapter}-{number}"
            found[name] = {"Version": "2012-10-17", "Statement": statements}
    if len(found) > POLICIES_PER_ROLE:
        raise ValueError(
            f"{len(found)} policies do not fit on one role, IAM allows {POLICIES_PER_ROLE}: "
            "name fewer chapters, the ones you are reading, after --chapters"
        )
    return found


def _packed(statements: list[Document]) -> Iterator[list[Document]]:
    """Statements in as few lists as fit into a policy each."""
    pack: list[Document] = []
    for statement in statements:
        if _size([statement]) > POLICY_SIZE:
            raise ValueError(f"the statement {statement.get('Sid')} is longer than a policy may be")
        if pack and _size([*pack, statement]) > POLICY_SIZE:
            yield pack
            pack = []
        pack = [*pack, statement]
    if pack:
        yield pack


def _size(statements: list[Document]) -> int:
    document = {"Version": "2012-10-17", "Statement": statements}
    return len(json.dumps(document, separators=(",", ":")))


def _policy_changes(session: Any, settings: Settings) -> Iterator[Change]:
    iam, role = session.client("iam"), settings.role
    attached = _attached(iam, role)
    wanted = managed_policies(settings)
    for name, document in wanted.items():
        yield from _one_policy(iam, settings, name, document)
        arn = settings.policy_arn(name)
        if name not in attached:
            yield Change(
                f"attach {name} to the role",
                lambda arn=arn: iam.attach_role_policy(RoleName=role, PolicyArn=arn),
            )
    for name in sorted(attached - set(wanted)):
        arn = settings.policy_arn(name)
        yield Change(
            f"detach {name}: the role no longer needs it",
            lambda arn=arn: iam.detach_role_policy(RoleName=role, PolicyArn=arn),
        )


def _one_policy(iam: Any, settings: Settings, name: str, document: Document) -> Iterator[Change]:
    arn, text = settings.policy_arn(name), json.dumps(document)
    policy = _get(lambda: iam.get_policy(PolicyArn=arn))
    if policy is None:
        parameters = {"PolicyName": name, "PolicyDocument": text, "Tags": settings.tags}
        yield Change(f"create the policy {name}", lambda: iam.create_policy(**parameters))
        return
    default = policy["Policy"]["DefaultVersionId"]
    version = iam.get_policy_version(PolicyArn=arn, VersionId=default)["PolicyVersion"]
    if version["Document"] != document:
        yield Change(f"update the policy {name}", lambda: _new_version(iam, arn, text))


def _new_version(iam: Any, arn: str, document: str) -> None:
    """Make the document the default version; the oldest goes, where there are five already."""
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    if len(versions) >= POLICY_VERSIONS:
        oldest = min(
            (each for each in versions if not each["IsDefaultVersion"]),
            key=lambda each: each["CreateDate"],
        )
        iam.delete_policy_version(PolicyArn=arn, VersionId=oldest["VersionId"])
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=document, SetAsDefault=True)


def _attached(iam: Any, role: str) -> set[str]:
    pages = iam.get_paginator("list_attached_role_policies").paginate(RoleName=role)
    names = _get(
        lambda: [each["PolicyName"] for page in pages for each in page["AttachedPolicies"]]
    )
    return set(names or [])


# ── the budget and who hears of it ───────────────────────────────────────────────────────────────


def _topic_changes(session: Any, settings: Settings) -> Iterator[Change]:
    sns, arn = session.client("sns", region_name=settings.region), settings.topic
    attributes = _get(lambda: sns.get_topic_attributes(TopicArn=arn))
    if attributes is None:
        name = arn.rpartition(":")[2]
        yield Change(
            f"create the topic {name}", lambda: sns.create_topic(Name=name, Tags=settings.tags)
        )
    policy = json.dumps(may_publish(arn, settings.account))
    if attributes is None or json.loads(attributes["Attributes"]["Policy"]) != json.loads(policy):
        yield Change(
            "let AWS Budgets publish to it",
            lambda: sns.set_topic_attributes(
                TopicArn=arn, AttributeName="Policy", AttributeValue=policy
            ),
        )
    if settings.email and settings.email not in _subscribers(sns, arn):
        yield Change(
            f"subscribe {settings.email} (confirm by the link in the message)",
            lambda: sns.subscribe(TopicArn=arn, Protocol="email", Endpoint=settings.email),
        )


def may_publish(topic: str, account: str) -> Document:
    """A topic policy that lets AWS Budgets send what concerns this account."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "budgets.amazonaws.com"},
        "Action": "SNS:Publish",
        "Resource": topic,
        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _subscribers(sns: Any, topic: str) -> set[str]:
    pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
    found = _get(lambda: [each["Endpoint"] for page in pages for each in page["Subscriptions"]])
    return set(found or [])


def notifications() -> list[Document]:
    """When the budget speaks up: at 80 % of it spent, and when the month is heading beyond it."""
    return [
        {
            "NotificationType": kind,
            "ComparisonOperator": "GREATER_THAN",
            "Threshold": threshold,
            "ThresholdType": "PERCENTAGE",
        }
        for kind, threshold in (("ACTUAL", 80.0), ("FORECASTED", 100.0))
    ]


def _budget_changes(session: Any, settings: Settings) -> Iterator[Change]:
    budgets, account = session.client("budgets", region_name="us-east-1"), settings.account
    limit = {"Amount": str(settings.monthly_dollars), "Unit": "USD"}
    budget = {
        "BudgetName": settings.project,
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": limit,
    }
    found = _get(lambda: budgets.describe_budget(AccountId=account, BudgetName=settings.project))
    if found is None:
        subscriber = {"SubscriptionType": "SNS", "Address": settings.topic}
        warnings = [{"Notification": each, "Subscribers": [subscriber]} for each in notifications()]
        yield Change(
            f"create a budget of {settings.monthly_dollars} dollars a month that warns twice",
            lambda: budgets.create_budget(
                AccountId=account,
                Budget=budget,
                NotificationsWithSubscribers=warnings,
                ResourceTags=settings.tags,
            ),
        )
    elif float(found["Budget"]["BudgetLimit"]["Amount"]) != settings.monthly_dollars:
        yield Change(
            f"change the budget to {settings.monthly_dollars} dollars a month",
            lambda: budgets.update_budget(AccountId=account, NewBudget=budget),
        )


# ── comparing ────────────────────────────────────────────────────────────────────────────────────


def _get(look: Callable[[], Any]) -> Any:
    """What the look-up returns; None if the thing is not there."""
    try:
        return look()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _NOT_THERE or code.startswith("NoSuch") or code.endswith("NotFoundError"):
            return None
        raise


def _contains(current: Any, wanted: Any) -> bool:
    """Whether `current` says what `wanted` says; AWS answers with more than it was told."""
    if isinstance(current, str) and isinstance(wanted, dict):
        current = json.loads(current)
    if isinstance(wanted, dict):
        return isinstance(current, dict) and all(
            key in current and _contains(current[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(current, list) and all(
            any(_contains(has, needs) for has in current) for needs in wanted
        )
    return current == wanted


# ── the chapters, the quotas, the command line ───────────────────────────────────────────────────


def chapter_policies(chapters: list[int] | None = None, book: Path = BOOK) -> dict[str, Document]:
    """The policy of each chapter, from its `iam-policy.json`; of all that have one by default.

    Raises:
        ValueError: for a chapter without a policy.
    """
    found = {path.parent.name: path for path in sorted(book.glob("chapter*/iam-policy.json"))}
    names = sorted(found) if chapters is None else [f"chapter{each:02}" for each in chapters]
    # The policy of this chapter is for who prepares the account, not for the role.
    names = [name for name in names if name != "chapter01"]
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"no iam-policy.json in {', '.join(missing)}; there is {', '.join(found)}")
    return {name: json.loads(found[name].read_text()) for name in names}


@dataclass(frozen=True)
class Quota:
    """A limit of the account that the book comes near to.

    Attributes:
        service: its code in Service Quotas.
        name: of the quota, as the console shows it.
        needed: by the most demanding notebook.
        value: that the account has; None if the service knows no quota of this name.
    """

    service: str
    name: str
    needed: float
    value: float | None = None

    @property
    def enough(self) -> bool:
        """Whether the notebooks can run."""
        return self.value is not None and self.value >= self.needed


NEEDED = (
    Quota("sagemaker", "ml.m5.large for training job usage", 1),
    Quota("sagemaker", "ml.m5.large for processing job usage", 1),
    Quota("sagemaker", "ml.m5.large for endpoint usage", 1),
    Quota("lambda", "Concurrent executions", 10),
    Quota("kinesis", "Shards per Region", 2),
)


def quotas(session: Any, needed: tuple[Quota, ...] = NEEDED) -> list[Quota]:
    """The quotas with the values that the account has in its region, in the same order."""
    client = session.client("service-quotas")
    values: dict[tuple[str, str], float] = {}
    for service in dict.fromkeys(each.service for each in needed):
        # Quotas that were never changed for this account are listed as defaults only.
        for operation in ("list_aws_default_service_quotas", "list_service_quotas"):
            for page in client.get_paginator(operation).paginate(ServiceCode=service):
                for each in page["Quotas"]:
                    values[service, each["QuotaName"]] = each["Value"]
    return [
        Quota(each.service, each.name, each.needed, values.get((each.service, each.name)))
        for each in needed
    ]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry-run", action="store_true", help="only show what would change")
    parser.add_argument("--chapters", type=int, nargs="+", help="that the role is for; default all")
    parser.add_argument("--project", default="cloud-native-ml", help="what names begin with")
    parser.add_argument("--monthly-dollars", type=int, default=20, help="the budget")
    parser.add_argument("--email", default=os.environ.get("BUDGET_EMAIL", ""), help="who is warned")
    options = parser.parse_args(arguments)
    if not re.fullmatch(r"[a-z][a-z0-9-]{2,25}", options.project):
        parser.error(f"the project {options.project!r} is not 3 to 26 of a-z, 0-9 and -")
    if options.monthly_dollars <= 0:
        parser.error(f"a budget of {options.monthly_dollars} dollars is none; give 1 or more")
    session = boto3.Session()
    try:
        settings = Settings(
            account=session.client("sts").get_caller_identity()["Account"],
            region=session.region_name,
            project=options.project,
            policies=chapter_policies(options.chapters),
            monthly_dollars=options.monthly_dollars,
            email=options.email,
        )
        found = changes(session, settings)
        for change in found:
            print(change.what)
            if not options.dry_run:
                change.apply()
    except (ClientError, ValueError) as error:
        print(f"stopped: {error}", file=sys.stderr)
        return 1
    print(f"{len(found)} changes {'needed' if options.dry_run else 'made'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
