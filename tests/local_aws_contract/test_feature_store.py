"""Feature Store through boto3, as AWS documents it.

https://docs.aws.amazon.com/sagemaker/latest/dg/feature-store.html
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from tests.local_aws.environment import LocalAWS

from .sagemaker_help import ROLE, wait_for

BUCKET = "feature-store-tests"
FEATURES = {
    "airport": "String",
    "event_time": "String",
    "flights": "Integral",
    "late": "Fractional",
}
NOON = "2013-03-01T12:00:00Z"


def definitions(features: dict[str, str]) -> list[dict[str, str]]:
    return [{"FeatureName": name, "FeatureType": kind} for name, kind in features.items()]


def record(**values: Any) -> list[dict[str, str]]:
    return [{"FeatureName": name, "ValueAsString": str(v)} for name, v in values.items()]


def as_dict(answer: dict[str, Any]) -> dict[str, str]:
    return {each["FeatureName"]: each["ValueAsString"] for each in answer["Record"]}


class Store:
    """An account with a bucket, and short ways to say what the tests say often."""

    def __init__(self, aws: LocalAWS) -> None:
        self.aws = aws
        self.client, self.runtime = (
            aws.client("sagemaker"),
            aws.client("sagemaker-featurestore-runtime"),
        )
        self.s3, self.glue, self.athena = (
            aws.client("s3"),
            aws.client("glue"),
            aws.client("athena"),
        )
        self.s3.create_bucket(Bucket=BUCKET)

    def request(self, name: str, **changes: Any) -> dict[str, Any]:
        usual = {
            "FeatureGroupName": name,
            "RecordIdentifierFeatureName": "airport",
            "EventTimeFeatureName": "event_time",
            "FeatureDefinitions": definitions(FEATURES),
            "OnlineStoreConfig": {"EnableOnlineStore": True},
            "OfflineStoreConfig": {"S3StorageConfig": {"S3Uri": f"s3://{BUCKET}/store/"}},
            "RoleArn": ROLE,
        }
        return {key: value for key, value in (usual | changes).items() if value is not None}

    def create(self, name: str = "delays", **changes: Any) -> dict[str, Any]:
        self.client.create_feature_group(**self.request(name, **changes))
        return self.group(name)

    def group(self, name: str = "delays") -> dict[str, Any]:
        """The description once the group is neither being made nor deleted."""
        return wait_for(
            lambda: self.client.describe_feature_group(FeatureGroupName=name),
            lambda group: group["FeatureGroupStatus"] != "Creating",
        )

    def put(self, name: str = "delays", request: dict[str, Any] | None = None, **v: Any) -> None:
        self.runtime.put_record(FeatureGroupName=name, Record=record(**v), **(request or {}))

    def get(self, identifier: str, name: str = "delays", **request: Any) -> dict[str, Any]:
        return self.runtime.get_record(
            FeatureGroupName=name, RecordIdentifierValueAsString=identifier, **request
        )

    def delete(self, identifier: str, event_time: str, name: str = "delays", **more: Any) -> None:
        self.runtime.delete_record(
            FeatureGroupName=name,
            RecordIdentifierValueAsString=identifier,
            EventTime=event_time,
            **more,
        )

    def rows(self, name: str = "delays") -> list[dict[str, Any]]:
        """What is in the offline store, by event time, once all is written."""
        self.aws._control("flush-feature-store")
        rows = []
        for key in self.keys():
            if f"/{name}-" in key:
                body = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
                rows += pq.read_table(io.BytesIO(body)).to_pylist()
        return sorted(rows, key=lambda row: (row["event_time"], row["is_deleted"]))

    def keys(self) -> list[str]:
        listed = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="store/")
        return [each["Key"] for part in listed for each in part.get("Contents", [])]

    def query(self, text: str) -> list[list[str | None]]:
        started = self.athena.start_query_execution(
            QueryString=text,
            QueryExecutionContext={"Database": "sagemaker_featurestore"},
            ResultConfiguration={"OutputLocation": f"s3://{BUCKET}/athena/"},
        )
        query_id = started["QueryExecutionId"]
        status = wait_for(
            lambda: self.athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"],
            lambda query: query["Status"]["State"] in ("SUCCEEDED", "FAILED"),
        )["Status"]
        assert status["State"] == "SUCCEEDED", status
        found = self.athena.get_query_results(QueryExecutionId=query_id)["ResultSet"]["Rows"]
        return [[cell.get("VarCharValue") for cell in row["Data"]] for row in found[1:]]


@pytest.fixture
def store(aws):
    return Store(aws)


def refused(call: Any, *args: Any, **kwargs: Any) -> tuple[str, str]:
    """Code and message of the error that a call is refused with."""
    with pytest.raises(ClientError) as error:
        call(*args, **kwargs)
    said = error.value.response["Error"]
    return said["Code"], said["Message"]


class TestCreate:
    def test_becomes_what_was_asked_for(self, store):
        created = store.client.create_feature_group(
            **store.request(
                "delays", Description="by hour", Tags=[{"Key": "chapter", "Value": "4"}]
            )
        )
        arn = created["FeatureGroupArn"]
        assert arn == "arn:aws:sagemaker:us-east-1:123456789012:feature-group/delays"
        assert (
            store.client.describe_feature_group(FeatureGroupName=arn)["FeatureGroupStatus"]
            == "Creating"
        )
        group = store.group()
        assert group["FeatureGroupStatus"] == "Created"
        assert group["FeatureDefinitions"] == definitions(FEATURES)
        assert group["OfflineStoreStatus"] == {"Status": "Active"}
        assert group["Description"] == "by hour"
        assert store.client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "chapter", "Value": "4"}]
        seconds = int(group["CreationTime"].timestamp())
        offline = group["OfflineStoreConfig"]
        assert offline["S3StorageConfig"] == {
            "S3Uri": f"s3://{BUCKET}/store/",
            "ResolvedOutputS3Uri": (
                f"s3://{BUCKET}/store/123456789012/sagemaker/us-east-1/offline-store/"
                f"delays-{seconds}/data"
            ),
        }
        assert offline["DataCatalogConfig"] == {
            "TableName": f"delays_{seconds}",
            "Catalog": "AwsDataCatalog",
            "Database": "sagemaker_featurestore",
        }

    def test_makes_a_glue_table_over_all_hours(self, store):
        catalog = store.create("Flight-Delays")["OfflineStoreConfig"]["DataCatalogConfig"]
        assert catalog["TableName"].startswith("flight_delays_")
        table = store.glue.get_table(
            DatabaseName="sagemaker_featurestore", Name=catalog["TableName"]
        )["Table"]
        columns = {c["Name"]: c["Type"] for c in table["StorageDescriptor"]["Columns"]}
        assert columns == {
            "airport": "string",
            "event_time": "string",
            "flights": "bigint",
            "late": "double",
            "write_time": "timestamp",
            "api_invocation_time": "timestamp",
            "is_deleted": "boolean",
        }
        assert not table.get("PartitionKeys")

    def test_uses_names_that_are_given(self, store):
        config = {"Database": "features", "TableName": "delays", "Catalog": "AwsDataCatalog"}
        offline = {"S3StorageConfig": {"S3Uri": f"s3://{BUCKET}/a"}, "DataCatalogConfig": config}
        assert store.create("one", OfflineStoreConfig=offline)["FeatureGroupStatus"] == "Created"
        assert store.glue.get_table(DatabaseName="features", Name="delays")
        again = store.create("two", OfflineStoreConfig=offline)
        assert again["FeatureGroupStatus"] == "CreateFailed"
        assert "already exists" in again["FailureReason"]
        no_table = offline | {"DisableGlueTableCreation": True}
        three = store.create("three", OfflineStoreConfig=no_table)
        assert three["OfflineStoreConfig"]["DataCatalogConfig"] == config

    def test_makes_no_table_if_told_so(self, store):
        offline = {
            "S3StorageConfig": {"S3Uri": f"s3://{BUCKET}/store"},
            "DisableGlueTableCreation": True,
        }
        assert (
            "DataCatalogConfig"
            not in store.create(OfflineStoreConfig=offline)["OfflineStoreConfig"]
        )
        assert store.glue.get_databases()["DatabaseList"] == []

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"RecordIdentifierFeatureName": "plane"}, "'plane' is not among"),
            ({"RecordIdentifierFeatureName": "late"}, "must be of the type String or Integral"),
            ({"EventTimeFeatureName": "flights"}, "must be of the type String or Fractional"),
            (
                {"FeatureDefinitions": definitions(FEATURES | {"write_time": "String"})},
                "'write_time' is a reserved name",
            ),
            (
                {"FeatureDefinitions": definitions(FEATURES | {"Late": "String"})},
                "'late' is defined more than once",
            ),
            ({"OnlineStoreConfig": None, "OfflineStoreConfig": None}, "Turn on the OnlineStore"),
            ({"RoleArn": None}, "needs a RoleArn"),
            ({"RoleArn": "arn:aws:iam::123456789012:role/nobody"}, "Could not assume role"),
            (
                {"OnlineStoreConfig": {"EnableOnlineStore": True, "TtlDuration": {"Value": 1}}},
                "needs a Unit and a Value",
            ),
            (
                {"OnlineStoreConfig": {"EnableOnlineStore": True, "StorageType": "InMemory"}},
                "in memory cannot have an OfflineStore",
            ),
            (
                {
                    "OfflineStoreConfig": {
                        "S3StorageConfig": {"S3Uri": f"s3://{BUCKET}/x"},
                        "DataCatalogConfig": {
                            "Catalog": "AwsDataCatalog",
                            "Database": "my-features",
                            "TableName": "t",
                        },
                    }
                },
                "'my-features' may have lower-case letters",
            ),
        ],
    )
    def test_refuses_what_cannot_work(self, store, changes, said):
        request = store.request("delays", **changes)
        code, message = refused(store.client.create_feature_group, **request)
        assert code == "ValidationException" and said in message
        assert store.client.list_feature_groups()["FeatureGroupSummaries"] == []

    def test_refuses_a_name_twice_and_a_name_that_is_none(self, store):
        store.create()
        code, message = refused(store.client.create_feature_group, **store.request("delays"))
        assert code == "ResourceInUse" and "already exists" in message
        code, message = refused(store.client.create_feature_group, **store.request("late flights"))
        assert code == "ValidationException" and "late flights" in message

    def test_does_not_pretend_to_have_iceberg(self, store):
        offline = {"S3StorageConfig": {"S3Uri": f"s3://{BUCKET}/x"}, "TableFormat": "Iceberg"}
        code, message = refused(
            store.client.create_feature_group, **store.request("a", OfflineStoreConfig=offline)
        )
        assert code == "NotImplemented" and "Iceberg" in message

    def test_fails_without_the_bucket(self, store):
        offline = {"S3StorageConfig": {"S3Uri": "s3://no-such-bucket-here/x"}}
        group = store.create(OfflineStoreConfig=offline)
        assert group["FeatureGroupStatus"] == "CreateFailed"
        assert "NoSuchBucket" in group["FailureReason"]
        store.client.delete_feature_group(FeatureGroupName="delays")
        assert store.client.list_feature_groups()["FeatureGroupSummaries"] == []

    def test_fails_if_the_role_may_not_write(self, store):
        iam = store.aws.client("iam")
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "sagemaker.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
        role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(trust))
        group = store.create(RoleArn=role["Role"]["Arn"])
        assert group["FeatureGroupStatus"] == "CreateFailed"
        assert "is not authorized to perform: s3:GetBucketAcl" in group["FailureReason"]

    def test_fails_without_the_key(self, store):
        storage = {"S3Uri": f"s3://{BUCKET}/x", "KmsKeyId": "arn:aws:kms:us-east-1:1:key/none"}
        group = store.create(OfflineStoreConfig={"S3StorageConfig": storage})
        assert group["FeatureGroupStatus"] == "CreateFailed"
        assert "KMS key" in group["FailureReason"]
        key = store.aws.client("kms").create_key()["KeyMetadata"]["Arn"]
        storage = storage | {"KmsKeyId": key}
        storage["S3Uri"] = f"s3://{BUCKET}/store"
        group = store.create("other", OfflineStoreConfig={"S3StorageConfig": storage})
        assert group["FeatureGroupStatus"] == "Created"
        store.put("other", airport="JFK", event_time=NOON)
        store.rows("other")
        written = store.s3.head_object(Bucket=BUCKET, Key=store.keys()[0])
        assert (written["ServerSideEncryption"], written["SSEKMSKeyId"]) == ("aws:kms", key)


class TestKeep:
    def test_lists(self, store):
        store.create("a-first")
        store.create("b-second", OfflineStoreConfig=None)
        by_name = store.client.list_feature_groups(SortBy="Name", SortOrder="Ascending")
        names = [each["FeatureGroupName"] for each in by_name["FeatureGroupSummaries"]]
        assert names == ["a-first", "b-second"]
        active = store.client.list_feature_groups(OfflineStoreStatusEquals="Active")
        (summary,) = active["FeatureGroupSummaries"]
        assert summary["FeatureGroupName"] == "a-first"
        assert summary["OfflineStoreStatus"] == {"Status": "Active"}
        found = store.client.list_feature_groups(NameContains="sec")["FeatureGroupSummaries"]
        assert [each["FeatureGroupName"] for each in found] == ["b-second"]
        page = store.client.list_feature_groups(MaxResults=1)
        rest = store.client.list_feature_groups(MaxResults=1, NextToken=page["NextToken"])
        assert len(rest["FeatureGroupSummaries"]) == 1 and "NextToken" not in rest

    def test_adds_features(self, store):
        table = store.create()["OfflineStoreConfig"]["DataCatalogConfig"]["TableName"]
        store.put(airport="JFK", event_time=NOON, flights=1, late=0.5)
        store.client.update_feature_group(
            FeatureGroupName="delays", FeatureAdditions=definitions({"wind": "Fractional"})
        )
        group = store.group()
        assert group["FeatureDefinitions"] == definitions(FEATURES | {"wind": "Fractional"})
        assert group["LastUpdateStatus"] == {"Status": "Successful"}
        store.put(airport="LGA", event_time=NOON, wind=9.5)
        assert as_dict(store.get("LGA"))["wind"] == "9.5"
        store.aws._control("flush-feature-store")
        rows = store.query(f"SELECT airport, flights, wind FROM {table} ORDER BY airport")
        assert rows == [["JFK", "1", None], ["LGA", None, "9.5"]]
        for additions in ({"wind": "String"}, {"is_deleted": "String"}):
            code, _ = refused(
                store.client.update_feature_group,
                FeatureGroupName="delays",
                FeatureAdditions=definitions(additions),
            )
            assert code == "ValidationException"

    def test_changes_one_thing_at_a_time(self, store):
        store.create()
        ttl = {"TtlDuration": {"Unit": "Days", "Value": 2}}
        code, message = refused(
            store.client.update_feature_group,
            FeatureGroupName="delays",
            FeatureAdditions=definitions({"wind": "Fractional"}),
            OnlineStoreConfig=ttl,
        )
        assert code == "ValidationException" and "at a time" in message
        store.client.update_feature_group(FeatureGroupName="delays", OnlineStoreConfig=ttl)
        online = {"EnableOnlineStore": True} | ttl
        assert store.group()["OnlineStoreConfig"] == online

    def test_describes_features(self, store):
        store.create()
        feature = {"FeatureGroupName": "delays", "FeatureName": "late"}
        store.client.update_feature_metadata(
            **feature,
            Description="share of late flights",
            ParameterAdditions=[{"Key": "unit", "Value": "share"}, {"Key": "old", "Value": "1"}],
        )
        store.client.update_feature_metadata(**feature, ParameterRemovals=["old"])
        found = store.client.describe_feature_metadata(**feature)
        assert found["Description"] == "share of late flights"
        assert found["FeatureType"] == "Fractional"
        assert found["Parameters"] == [{"Key": "unit", "Value": "share"}]
        code, message = refused(
            store.client.describe_feature_metadata, **(feature | {"FeatureName": "wind"})
        )
        assert code == "ResourceNotFound" and "wind" in message

    @pytest.mark.parametrize("operation", ["describe_feature_group", "delete_feature_group"])
    def test_says_that_a_group_is_not_there(self, store, operation):
        code, message = refused(getattr(store.client, operation), FeatureGroupName="nothing")
        assert code == "ResourceNotFound"
        assert message.endswith("can't find a FeatureGroup with name nothing")

    def test_leaves_data_and_table_behind(self, store):
        table = store.create()["OfflineStoreConfig"]["DataCatalogConfig"]["TableName"]
        store.put(airport="JFK", event_time=NOON, flights=3)
        store.client.delete_feature_group(FeatureGroupName="delays")
        code, _ = refused(store.get, "JFK")
        assert code in ("ValidationError", "ResourceNotFound")
        wait_for(
            lambda: store.client.list_feature_groups()["FeatureGroupSummaries"],
            lambda groups: not groups,
        )
        assert len(store.keys()) == 1
        assert store.query(f"SELECT flights FROM {table}") == [["3"]]
        assert "glue get_databases" in store.aws.inventory()
        store.create()  # the name is free again


class TestPut:
    def test_serves_the_latest_and_keeps_all(self, store):
        store.create()
        store.put(airport="JFK", event_time=NOON, flights=10, late=0.25)
        store.put(airport="JFK", event_time="2013-03-01T13:00:00Z", flights=12, late=0.5)
        assert as_dict(store.get("JFK")) == {
            "airport": "JFK",
            "event_time": "2013-03-01T13:00:00Z",
            "flights": "12",
            "late": "0.5",
        }
        assert [row["flights"] for row in store.rows()] == [10, 12]

    def test_late_and_duplicate_records_go_offline_only(self, store):
        store.create()
        store.put(airport="JFK", event_time=NOON, flights=10)
        store.put(airport="JFK", event_time="2013-03-01T11:00:00Z", flights=9)
        store.put(airport="JFK", event_time=NOON, flights=11)
        assert as_dict(store.get("JFK"))["flights"] == "10"
        assert sorted(row["flights"] for row in store.rows()) == [9, 10, 11]

    def test_overwrites_the_whole_record(self, store):
        store.create()
        store.put(airport="JFK", event_time=NOON, flights=10, late=0.25)
        store.put(airport="JFK", event_time="2013-03-01T12:00:00.500Z", late=0.5)
        assert "flights" not in as_dict(store.get("JFK"))

    def test_goes_to_the_stores_that_are_named(self, store):
        store.create()
        for target, hour in (("OnlineStore", 10), ("OfflineStore", 11)):
            moment = f"2013-03-01T{hour}:00:00Z"
            request = {"TargetStores": [target]}
            store.put(airport="JFK", event_time=moment, flights=hour, request=request)
        assert as_dict(store.get("JFK"))["flights"] == "10"
        assert [row["flights"] for row in store.rows()] == [11]

    def test_has_no_store_that_was_not_made(self, store):
        store.create("on", OfflineStoreConfig=None)
        store.create("off", OnlineStoreConfig=None)
        store.put("on", airport="JFK", event_time=NOON)
        assert as_dict(store.get("JFK", "on"))["airport"] == "JFK"
        for name, target in (("on", "OfflineStore"), ("off", "OnlineStore")):
            request = {"TargetStores": [target]}
            code, message = refused(
                store.put, name, airport="JFK", event_time=NOON, request=request
            )
            assert code == "ValidationError" and f"has no {target}" in message
        assert refused(store.get, "JFK", "off")[0] == "ValidationError"

    @pytest.mark.parametrize(
        ("values", "said"),
        [
            ({"airport": "JFK"}, "no value for its EventTime feature 'event_time'"),
            ({"event_time": NOON}, "no value for its RecordIdentifier feature 'airport'"),
            ({"airport": "", "event_time": NOON}, "no value for its RecordIdentifier"),
            ({"airport": "JFK", "event_time": NOON, "wind": 1}, "'wind' is no feature of delays"),
            ({"airport": "JFK", "event_time": NOON, "flights": 1.5}, "is Integral; '1.5'"),
            ({"airport": "JFK", "event_time": NOON, "flights": 2**63}, "is Integral"),
            ({"airport": "JFK", "event_time": NOON, "late": "much"}, "is Fractional; 'much'"),
            ({"airport": "JFK", "event_time": "2013-03-01"}, "yyyy-MM-dd'T'HH:mm:ssZ"),
            ({"airport": "JFK", "event_time": "2013-03-01T12:00:00+01:00"}, "is not of the form"),
            ({"airport": "JFK", "event_time": "2013-02-30T12:00:00Z"}, "is not of the form"),
            ({"airport": "x" * 358400, "event_time": NOON}, "bytes"),
        ],
    )
    def test_refuses_records_that_do_not_fit(self, store, values, said):
        store.create()
        code, message = refused(store.put, **values)
        assert code == "ValidationError" and said in message
        assert store.rows() == []

    def test_refuses_a_feature_twice_and_a_list_for_a_scalar(self, store):
        store.create()
        twice = record(airport="JFK", event_time=NOON) + record(airport="LGA")
        put = store.runtime.put_record
        assert "more than once" in refused(put, FeatureGroupName="delays", Record=twice)[1]
        many = record(airport="JFK", event_time=NOON)
        many.append({"FeatureName": "late", "ValueAsStringList": ["1"]})
        code, message = refused(put, FeatureGroupName="delays", Record=many)
        assert code == "ValidationError" and "needs ValueAsString" in message

    def test_knows_no_group_of_that_name(self, store):
        code, message = refused(store.put, "nothing", airport="JFK", event_time=NOON)
        assert code == "ValidationError"
        assert message.endswith("can't find a FeatureGroup with name nothing")

    def test_takes_seconds_since_1970(self, store):
        features = FEATURES | {"event_time": "Fractional"}
        store.create(FeatureDefinitions=definitions(features))
        store.put(airport="JFK", event_time=1362139200.0, flights=1)
        store.put(airport="JFK", event_time="1362139200.5", flights=2)
        assert as_dict(store.get("JFK"))["flights"] == "2"
        assert [row["event_time"] for row in store.rows()] == [1362139200.0, 1362139200.5]
        code, message = refused(store.put, airport="JFK", event_time=NOON)
        assert code == "ValidationError" and "is Fractional" in message

    def test_keeps_collections_in_memory(self, store):
        features = definitions(FEATURES)
        features += [
            {
                "FeatureName": "embedding",
                "FeatureType": "Fractional",
                "CollectionType": "Vector",
                "CollectionConfig": {"VectorConfig": {"Dimension": 2}},
            },
            {"FeatureName": "carriers", "FeatureType": "String", "CollectionType": "Set"},
        ]
        memory = {"EnableOnlineStore": True, "StorageType": "InMemory"}
        standard = store.request("standard", FeatureDefinitions=features)
        assert "InMemory" in refused(store.client.create_feature_group, **standard)[1]
        store.create(FeatureDefinitions=features, OnlineStoreConfig=memory, OfflineStoreConfig=None)
        given = record(airport="JFK", event_time=NOON)
        given.append({"FeatureName": "embedding", "ValueAsStringList": ["0.5", "1"]})
        given.append({"FeatureName": "carriers", "ValueAsStringList": ["UA", "AA", "UA"]})
        store.runtime.put_record(FeatureGroupName="delays", Record=given)
        found = {each["FeatureName"]: each for each in store.get("JFK")["Record"]}
        assert found["embedding"]["ValueAsStringList"] == ["0.5", "1"]
        assert found["carriers"]["ValueAsStringList"] == ["UA", "AA"]
        given[2]["ValueAsStringList"] = ["0.5"]
        code, message = refused(store.runtime.put_record, FeatureGroupName="delays", Record=given)
        assert code == "ValidationError" and "has 2 elements, not 1" in message

    def test_writes_many_at_once_and_says_which_it_refused(self, store):
        store.create()
        entries = [
            {"FeatureGroupName": "delays", "Record": record(airport=a, event_time=NOON, flights=n)}
            for a, n in (("JFK", 1), ("LGA", "two"), ("EWR", 3))
        ]
        answer = store.runtime.batch_write_record(Entries=entries)
        (error,) = answer["Errors"]
        assert error["Entry"]["Record"][0]["ValueAsString"] == "LGA"
        assert error["ErrorCode"] == "ValidationError" and "'two'" in error["ErrorMessage"]
        assert answer["UnprocessedEntries"] == []
        listed = store.runtime.list_records(FeatureGroupName="delays")
        assert listed["RecordIdentifiers"] == ["EWR", "JFK"]


class TestGet:
    def test_is_empty_where_nothing_is(self, store):
        store.create()
        assert "Record" not in store.get("JFK")

    def test_gives_the_features_that_are_asked_for(self, store):
        store.create()
        store.put(airport="JFK", event_time=NOON, flights=10)
        found = store.get("JFK", FeatureNames=["late", "flights"])
        assert as_dict(found) == {"flights": "10"}
        code, message = refused(store.get, "JFK", FeatureNames=["wind"])
        assert code == "ValidationError" and "'wind'" in message
        assert refused(store.get, "JFK", "nothing")[0] == "ResourceNotFound"

    def test_gets_many_of_several_groups(self, store):
        arn = store.create()["FeatureGroupArn"]
        store.put(airport="JFK", event_time=NOON, flights=10)
        store.put(airport="LGA", event_time=NOON, flights=7)
        answer = store.runtime.batch_get_record(
            Identifiers=[
                {
                    "FeatureGroupName": arn,
                    "RecordIdentifiersValueAsString": ["JFK", "LGA", "EWR"],
                    "FeatureNames": ["flights"],
                },
                {"FeatureGroupName": "nothing", "RecordIdentifiersValueAsString": ["x"]},
            ]
        )
        found = {r["RecordIdentifierValueAsString"]: as_dict(r) for r in answer["Records"]}
        assert found == {"JFK": {"flights": "10"}, "LGA": {"flights": "7"}}
        (error,) = answer["Errors"]
        assert error["FeatureGroupName"] == "nothing"
        assert error["ErrorCode"] == "ResourceNotFound"
        assert answer["UnprocessedIdentifiers"] == []

    def test_lists_page_by_page(self, store):
        store.create()
        for airport in ("LGA", "EWR", "JFK"):
            store.put(airport=airport, event_time=NOON)
        store.delete("LGA", "2013-03-01T13:00:00Z")
        ask = store.runtime.list_records
        first = ask(FeatureGroupName="delays", MaxResults=1)
        rest = ask(FeatureGroupName="delays", NextToken=first["NextToken"])
        assert first["RecordIdentifiers"] + rest["RecordIdentifiers"] == ["EWR", "JFK"]
        every = ask(FeatureGroupName="delays", IncludeSoftDeletedRecords=True)
        assert every["RecordIdentifiers"] == ["EWR", "JFK", "LGA"]


class TestExpire:
    def moment(self, seconds_ago: float) -> str:
        moment = datetime.now(UTC) - timedelta(seconds=seconds_ago)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def test_ends_after_event_time_and_duration(self, store):
        ttl = {"Unit": "Hours", "Value": 1}
        store.create(OnlineStoreConfig={"EnableOnlineStore": True, "TtlDuration": ttl})
        fresh, stale = self.moment(10), self.moment(3700)
        store.put(airport="JFK", event_time=fresh, flights=1)
        store.put(airport="LGA", event_time=stale, flights=2)
        found = store.get("JFK", ExpirationTimeResponse="Enabled")
        expires = datetime.fromisoformat(found["ExpiresAt"])
        assert expires - datetime.fromisoformat(fresh) == timedelta(hours=1)
        assert "ExpiresAt" not in store.get("JFK")
        assert "Record" not in store.get("LGA")

    def test_leaves_its_mark_in_the_offline_store(self, store):
        store.create()
        stale = self.moment(120)
        ttl = {"TtlDuration": {"Unit": "Minutes", "Value": 1}}
        store.put(airport="JFK", event_time=stale, flights=1, request=ttl)
        assert "Record" not in store.get("JFK")
        kept, mark = store.rows()
        assert (kept["flights"], kept["is_deleted"]) == (1, False)
        assert (mark["airport"], mark["flights"], mark["is_deleted"]) == ("JFK", None, True)
        # What was hard deleted is gone without a trace: an older record can come in.
        store.put(airport="JFK", event_time=NOON, flights=3)
        assert as_dict(store.get("JFK"))["flights"] == "3"

    def test_a_record_can_have_its_own_duration(self, store):
        ttl = {"Unit": "Minutes", "Value": 1}
        store.create(OnlineStoreConfig={"EnableOnlineStore": True, "TtlDuration": ttl})
        own = {"TtlDuration": {"Unit": "Weeks", "Value": 1}}
        store.put(airport="JFK", event_time=self.moment(120), request=own)
        assert as_dict(store.get("JFK"))["airport"] == "JFK"

    def test_expires_while_nobody_looks(self, store):
        store.create()
        ttl = {"TtlDuration": {"Unit": "Seconds", "Value": 1}}
        store.put(airport="JFK", event_time=self.moment(0), flights=1, request=ttl)
        wait_for(store.rows, lambda rows: any(row["is_deleted"] for row in rows))
        assert "Record" not in store.get("JFK")


class TestDelete:
    def test_softly_by_default(self, store):
        store.create()
        store.put(airport="JFK", event_time=NOON, flights=10)
        store.delete("JFK", "2013-03-01T13:00:00Z")
        assert "Record" not in store.get("JFK")
        kept, mark = store.rows()
        assert kept["flights"] == 10 and not kept["is_deleted"]
        assert mark["event_time"] == "2013-03-01T13:00:00Z" and mark["is_deleted"]
        assert mark["flights"] is None
        # The mark keeps out what happened before the deletion.
        store.put(airport="JFK", event_time="2013-03-01T12:30:00Z", flights=11)
        assert "Record" not in store.get("JFK")
        store.put(airport="JFK", event_time="2013-03-01T14:00:00Z", flights=12)
        assert as_dict(store.get("JFK"))["flights"] == "12"

    def test_a_deletion_of_the_past_changes_nothing_online(self, store):
        store.create()
        store.put(airport="JFK", event_time=NOON, flights=10)
        store.delete("JFK", "2013-03-01T11:00:00Z")
        assert as_dict(store.get("JFK"))["flights"] == "10"
        assert [row["is_deleted"] for row in store.rows()] == [True, False]
        code, message = refused(
            store.delete, "JFK", "2013-03-01T11:00:00Z", DeletionMode="HardDelete"
        )
        assert code == "ValidationError" and "EventTime" in message
        assert len(store.rows()) == 2

    def test_hard(self, store):
        store.create()
        store.put(airport="JFK", event_time=NOON, flights=10)
        store.delete("JFK", "2013-03-01T13:00:00Z", DeletionMode="HardDelete")
        listed = store.runtime.list_records(
            FeatureGroupName="delays", IncludeSoftDeletedRecords=True
        )
        assert listed["RecordIdentifiers"] == []
        store.put(airport="JFK", event_time=NOON, flights=11)
        assert as_dict(store.get("JFK"))["flights"] == "11"
        assert [row["is_deleted"] for row in store.rows()] == [False, False, True]

    def test_only_where_it_is_told(self, store):
        store.create()
        store.put(airport="JFK", event_time=NOON, flights=10)
        store.delete("JFK", "2013-03-01T13:00:00Z", TargetStores=["OnlineStore"])
        assert "Record" not in store.get("JFK")
        assert len(store.rows()) == 1


class TestUpdateRecord:
    def test_changes_some_features(self, store):
        online = {"EnableOnlineStore": True, "StorageType": "Standard_V2"}
        store.create(OnlineStoreConfig=online)
        store.put(airport="JFK", event_time=NOON, flights=10, late=0.25)
        update = store.runtime.update_record
        request = {"FeatureGroupName": "delays", "RecordIdentifierValueAsString": "JFK"}
        update(**request, Features=record(late=0.5))
        assert as_dict(store.get("JFK"))["late"] == "0.5"
        assert as_dict(store.get("JFK"))["flights"] == "10"
        old = record(event_time="2013-03-01T11:00:00Z", late=0.1)
        assert refused(update, **request, Features=old)[0] == "ConflictException"
        nobody = request | {"RecordIdentifierValueAsString": "LGA"}
        assert refused(update, **nobody, Features=record(late=1))[0] == "ResourceNotFound"
        ttl = {"Unit": "Days", "Value": 1}
        code, message = refused(update, **request, Features=record(late=1), TtlDuration=ttl)
        assert code == "ValidationError" and "event_time" in message
        assert sorted(row["late"] for row in store.rows()) == [0.25, 0.5]

    def test_needs_a_store_that_can(self, store):
        store.create()
        store.put(airport="JFK", event_time=NOON, flights=10)
        code, message = refused(
            store.runtime.update_record,
            FeatureGroupName="delays",
            RecordIdentifierValueAsString="JFK",
            Features=record(late=1),
        )
        assert code == "ValidationError" and "Standard_V2" in message


class TestOfflineStore:
    def test_lies_by_the_hour_of_the_event(self, store):
        group = store.create()
        store.put(airport="JFK", event_time="2013-03-01T12:10:00Z")
        store.put(airport="LGA", event_time="2013-03-01T12:50:00Z")
        store.put(airport="JFK", event_time="2013-03-02T00:00:00Z")
        store.rows()
        place = group["OfflineStoreConfig"]["S3StorageConfig"]["ResolvedOutputS3Uri"]
        prefix = place.removeprefix(f"s3://{BUCKET}/")
        folders, names = zip(*(key.rsplit("/", 1) for key in sorted(store.keys())), strict=True)
        assert folders == (
            f"{prefix}/year=2013/month=03/day=01/hour=12",
            f"{prefix}/year=2013/month=03/day=02/hour=00",
        )
        latest, unique = names[0].removesuffix(".parquet").split("_")
        assert latest == "20130301T125000Z" and len(unique) == 16

    def test_is_written_without_being_asked(self, store):
        store.create()
        store.put(airport="JFK", event_time=NOON)
        wait_for(store.keys, lambda keys: len(keys) == 1, seconds=20)

    def test_is_asked_through_athena(self, store):
        table = store.create()["OfflineStoreConfig"]["DataCatalogConfig"]["TableName"]
        assert store.query(f"SELECT count(*) FROM {table}") == [["0"]]
        for hour in (10, 11, 12):
            moment = f"2013-03-01T{hour}:00:00Z"
            store.put(airport="JFK", event_time=moment, flights=hour, late=hour / 4)
        store.delete("JFK", "2013-03-01T13:00:00Z")
        store.rows()
        latest = f"""
            SELECT flights, late FROM (
                SELECT *, row_number() OVER (
                    PARTITION BY airport ORDER BY event_time DESC, write_time DESC) AS newest
                FROM {table} WHERE NOT is_deleted AND event_time <= '2013-03-01T11:30:00Z')
            WHERE newest = 1"""
        assert store.query(latest) == [["11", "2.75"]]
        assert store.query(
            f"SELECT count(*) FROM {table} WHERE is_deleted AND write_time >= api_invocation_time"
        ) == [["1"]]

    def test_says_when_it_is_blocked_and_goes_on_when_it_is_not(self, store):
        store.create()
        deny = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:PutObject",
                    "Resource": f"arn:aws:s3:::{BUCKET}/*",
                }
            ],
        }
        store.s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(deny))
        store.put(airport="JFK", event_time=NOON, flights=1)
        assert store.rows() == []
        status = store.group()["OfflineStoreStatus"]
        assert status["Status"] == "Blocked" and "AccessDenied" in status["BlockedReason"]
        assert as_dict(store.get("JFK"))["flights"] == "1"
        store.s3.delete_bucket_policy(Bucket=BUCKET)
        assert [row["flights"] for row in store.rows()] == [1]
        assert store.group()["OfflineStoreStatus"]["Status"] == "Active"


def test_belongs_to_the_inventory(store):
    store.create()
    assert store.aws.inventory()["sagemaker list_feature_groups"] == ["delays"]


def test_serves_the_sdk(aws, tmp_path):
    flow = Path(__file__).with_name("feature_store_flow.py")
    finished = subprocess.run(
        [sys.executable, str(flow), str(tmp_path / "found.json")],
        cwd=tmp_path,
        env=aws.environ,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stderr[-4000:]
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["status"] == "Created" and found["groups"] == ["sdk-delays"]
    assert (found["online"]["flights"], found["online"]["late"]) == ("11", "0.75")
    assert [(row["airport"], row["flights"], row["late"]) for row in found["rows"]] == [
        ("EWR", 12, None),
        ("JFK", 10, 0.25),
        ("LGA", 7, 0.5),
        ("JFK", 11, 0.75),
    ]
    # JFK's second record happened after the time that the base table asks for.
    joined = [(row["airport"], row["label"], row["flights.1"]) for row in found["dataset"]]
    assert joined == [("JFK", 0, 10), ("LGA", 1, 7)]
    unknown = [each for each in aws.journal() if each["status"] >= 500]
    assert unknown == []
