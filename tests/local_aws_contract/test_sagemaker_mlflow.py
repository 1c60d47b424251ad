"""MLflow apps as a client sees them: made with boto3, used with mlflow, unchanged from AWS.

Track experiments using MLflow: https://docs.aws.amazon.com/sagemaker/latest/dg/mlflow.html
CreateMlflowApp: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateMlflowApp.html
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib import metadata
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from tests.local_aws.environment import LocalAWS

from .sagemaker_help import BUCKET, ROLE, SageMaker, wait_for

APP = "arn:aws:sagemaker:us-east-1:123456789012:mlflow-app/app-A"
STORE = f"s3://{BUCKET}/experiments"
_VARIABLES = ("AWS_", "SAGEMAKER_", "MLFLOW_", "NO_PROXY", "no_proxy")

# What a training job of a reader's would do: it knows the ARN, and nothing else.
_SCRIPT = """
import sys, mlflow
mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment(experiment_id=sys.argv[2])
with mlflow.start_run(run_name="script"):
    mlflow.log_metric("loss", 0.05)
"""


def create(client: Any, name: str = "tracking", **request: Any) -> str:
    """Make an app; its ARN."""
    usual = {"Name": name, "ArtifactStoreUri": STORE, "RoleArn": ROLE}
    return client.create_mlflow_app(**(usual | request))["Arn"]


def settled(client: Any, arn: str) -> dict[str, Any]:
    """The description of an app once it is neither being made nor being changed."""
    return wait_for(
        lambda: client.describe_mlflow_app(Arn=arn),
        lambda app: app["Status"] not in ("Creating", "Updating"),
    )


def servers(aws: LocalAWS) -> set[int]:
    """The process ids of the tracking servers that run for the account."""
    found = set()
    for process in psutil.Process(aws.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if any("mlflow_server.py" in word for word in process.cmdline()):
                found.add(process.pid)
    return found


@pytest.fixture(scope="module")
def client_environment(aws_server: LocalAWS) -> Iterator[None]:
    """This process, set up as a notebook of the reader's is."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in aws_server.environ.items():
            if name.startswith(_VARIABLES):
                patch.setenv(name, value)
        yield
        import_mlflow().set_tracking_uri(None)


def import_mlflow() -> Any:
    """The package, which reads its environment and takes seconds to import."""
    import mlflow

    return mlflow


@pytest.fixture(scope="class")
def tracked(aws_server: LocalAWS, client_environment) -> SimpleNamespace:
    """An app with two runs of one experiment in it."""
    aws_server.reset()
    sagemaker = SageMaker(aws_server)
    tags = [{"Key": "chapter", "Value": "6"}]
    arn = create(sagemaker.client, Tags=tags)
    created = sagemaker.client.describe_mlflow_app(Arn=arn)["Status"]
    mlflow = import_mlflow()
    app = settled(sagemaker.client, arn)
    mlflow.set_tracking_uri(arn)
    experiment = mlflow.create_experiment("depth")
    for depth in (3, 6):
        with mlflow.start_run(experiment_id=experiment, run_name=f"depth {depth}"):
            mlflow.log_params({"depth": depth, "eta": 0.3})
            for step in range(5):
                mlflow.log_metric("loss", depth / (step + 1), step=step)
            mlflow.log_text(f"trees of depth {depth}", "notes/about.txt")
    return SimpleNamespace(
        sagemaker=sagemaker, client=sagemaker.client, mlflow=mlflow,
        arn=arn, created=created, app=app, experiment=experiment,
    )  # fmt: skip


class TestTracking:
    def test_an_app_is_created_after_a_while(self, tracked):
        assert tracked.created == "Creating"
        app = tracked.app
        assert app["Status"] == "Created"
        assert app["Arn"].startswith("arn:aws:sagemaker:us-east-1:123456789012:mlflow-app/app-")
        assert (app["Name"], app["ArtifactStoreUri"]) == ("tracking", STORE)
        assert app["MlflowVersion"] == metadata.version("mlflow")
        listed = tracked.client.list_mlflow_apps(Status="Created")["Summaries"]
        assert [each["Arn"] for each in listed] == [tracked.arn]
        assert tracked.client.list_mlflow_apps(Status="Deleting")["Summaries"] == []
        tags = tracked.client.list_tags(ResourceArn=tracked.arn)["Tags"]
        assert tags == [{"Key": "chapter", "Value": "6"}]

    def test_runs_are_found_in_the_order_of_a_metric(self, tracked):
        runs = tracked.mlflow.search_runs([tracked.experiment], order_by=["metrics.loss DESC"])
        assert list(runs["params.depth"]) == ["6", "3"]
        assert list(runs["metrics.loss"]) == pytest.approx([6 / 5, 3 / 5])
        few = tracked.mlflow.search_runs([tracked.experiment], "metrics.loss < 1")
        assert list(few["tags.mlflow.runName"]) == ["depth 3"]

    def test_a_metric_has_its_history(self, tracked):
        run = tracked.mlflow.search_runs([tracked.experiment], "params.depth = '6'")["run_id"][0]
        history = tracked.mlflow.MlflowClient().get_metric_history(run, "loss")
        assert [(each.step, each.value) for each in history] == [
            (step, pytest.approx(6 / (step + 1))) for step in range(5)
        ]

    def test_artifacts_lie_in_the_bucket(self, tracked):
        keys = tracked.sagemaker.keys("experiments/")
        runs = tracked.mlflow.search_runs([tracked.experiment])
        assert sorted(keys) == sorted(
            f"experiments/{tracked.experiment}/{run}/artifacts/notes/about.txt"
            for run in runs["run_id"]
        )
        uri = runs["artifact_uri"][0] + "/notes/about.txt"
        assert tracked.sagemaker.read(uri).decode() == f"trees of depth {runs['params.depth'][0]}"
        run = runs["run_id"][0]
        paths = tracked.mlflow.artifacts.list_artifacts(run_id=run, artifact_path="notes")
        assert [each.path for each in paths] == ["notes/about.txt"]

    def test_mlflow_refuses_in_its_own_words(self, tracked):
        with pytest.raises(tracked.mlflow.MlflowException, match="name=depth. already exists"):
            tracked.mlflow.create_experiment("depth")
        with pytest.raises(tracked.mlflow.MlflowException, match="Invalid clause"):
            tracked.mlflow.search_runs([tracked.experiment], "loss under 1")

    def test_the_journal_names_the_action_and_the_app(self, tracked):
        calls = [
            entry
            for entry in tracked.sagemaker.aws.journal()
            if entry["operation"] == "CallMlflowAppApi"
        ]
        assert {entry["service"] for entry in calls} == {"sagemaker"}
        assert {entry["params"]["Arn"] for entry in calls} == {tracked.arn}
        assert "/api/2.0/mlflow/runs/create" in {entry["params"]["Path"] for entry in calls}

    def test_the_server_itself_hears_nobody_but_the_gateway(self, tracked):
        (pid,) = servers(tracked.sagemaker.aws)
        (listening,) = psutil.Process(pid).net_connections("tcp")
        assert listening.laddr.ip == "127.0.0.1"
        url = f"http://127.0.0.1:{listening.laddr.port}/version"
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(url, timeout=10)

    def test_an_update_keeps_the_runs_and_moves_what_comes(self, tracked):
        tracked.client.update_mlflow_app(
            Arn=tracked.arn, Name="renamed", ArtifactStoreUri=f"s3://{BUCKET}/moved"
        )
        with pytest.raises(ClientError, match="ConflictException"):
            tracked.client.update_mlflow_app(Arn=tracked.arn, Name="again")
        # Meanwhile it answers, and not this process alone.
        command = [sys.executable, "-c", _SCRIPT, tracked.arn, tracked.experiment]
        subprocess.run(command, env=tracked.sagemaker.aws.environ, check=True, timeout=60)
        app = settled(tracked.client, tracked.arn)
        assert (app["Status"], app["Name"]) == ("Updated", "renamed")
        assert app["ArtifactStoreUri"] == f"s3://{BUCKET}/moved"
        runs = tracked.mlflow.search_runs([tracked.experiment], order_by=["metrics.loss"])
        assert list(runs["tags.mlflow.runName"]) == ["script", "depth 3", "depth 6"]
        later = tracked.mlflow.get_experiment(tracked.mlflow.create_experiment("later"))
        assert later.artifact_location == f"s3://{BUCKET}/moved/{later.experiment_id}"

    def test_a_deleted_app_answers_no_more(self, tracked):
        before = tracked.sagemaker.keys("experiments/")
        aws = tracked.sagemaker.aws
        assert len(servers(aws)) == 1
        assert tracked.client.delete_mlflow_app(Arn=tracked.arn)["Arn"] == tracked.arn
        assert not servers(aws)
        with pytest.raises(
            tracked.mlflow.MlflowException, match="PERMISSION_DENIED: There is no MLflow app"
        ):
            tracked.mlflow.search_runs([tracked.experiment])
        for operation in ("describe", "update", "delete"):
            with pytest.raises(ClientError, match="ResourceNotFound"):
                getattr(tracked.client, f"{operation}_mlflow_app")(Arn=tracked.arn)
        assert tracked.client.list_mlflow_apps()["Summaries"] == []
        assert tracked.sagemaker.keys("experiments/") == before


class TestRefusals:
    @pytest.fixture
    def client(self, aws) -> Any:
        return SageMaker(aws).client

    @pytest.mark.parametrize(
        ("request_", "code", "words"),
        [
            ({"ArtifactStoreUri": "s3://no-bucket/x"}, "ValidationException", "no-bucket"),
            ({"ArtifactStoreUri": "https://a.org/x"}, "ValidationException", "s3://bucket"),
            ({"RoleArn": ROLE + "x"}, "ValidationException", "Could not assume role"),
            ({"name": "two words"}, "ValidationException", "regular expression"),
            (
                {"ModelRegistrationMode": "AutoModelRegistrationEnabled"},
                "NotImplemented",
                "automatic registration",
            ),
        ],
    )
    def test_what_cannot_be(self, client, request_, code, words):
        with pytest.raises(ClientError, match=words) as refusal:
            create(client, **request_)
        assert refusal.value.response["Error"]["Code"] == code
        assert client.list_mlflow_apps()["Summaries"] == []

    def test_a_name_that_is_taken(self, client):
        arn = create(client)
        with pytest.raises(ClientError, match="tracking already exists") as refusal:
            create(client)
        assert refusal.value.response["Error"]["Code"] == "ResourceInUse"
        with pytest.raises(ClientError, match="while it is Creating"):
            client.update_mlflow_app(Arn=arn, Name="other")
        client.delete_mlflow_app(Arn=arn)

    @pytest.mark.parametrize(
        ("operation", "request_"),
        [
            ("create_presigned_mlflow_app_url", {"Arn": APP}),
            (
                "create_mlflow_tracking_server",
                {"TrackingServerName": "a", "ArtifactStoreUri": STORE, "RoleArn": ROLE},
            ),
        ],
    )
    def test_what_is_not_carried_out(self, client, operation, request_):
        with pytest.raises(ClientError) as refusal:
            getattr(client, operation)(**request_)
        assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501

    @pytest.mark.parametrize("kind", ["mlflow-app/app-A", "mlflow-tracking-server/a"])
    def test_an_app_that_never_was(self, aws, client_environment, kind):
        mlflow = import_mlflow()
        mlflow.set_tracking_uri(f"arn:aws:sagemaker:us-east-1:123456789012:{kind}")
        with pytest.raises(mlflow.MlflowException, match=f"There is no .*{kind}"):
            mlflow.search_experiments()

    def test_an_app_whose_server_dies_at_its_start(self, aws, client, client_environment):
        arn = create(client)
        for pid in wait_for(lambda: servers(aws), bool):
            psutil.Process(pid).kill()
        assert settled(client, arn)["Status"] == "CreateFailed"
        mlflow = import_mlflow()
        mlflow.set_tracking_uri(arn)
        with pytest.raises(mlflow.MlflowException, match="is CreateFailed"):
            mlflow.search_experiments()
        client.delete_mlflow_app(Arn=arn)

    def test_a_reset_ends_mlflow(self, aws, client):
        create(client)
        wait_for(lambda: servers(aws), bool)
        aws.reset()
        assert not servers(aws)
        assert client.list_mlflow_apps()["Summaries"] == []
