"""The ideas that executors share: S3 locations, jobs, programs, the client's environment."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import boto3
import moto
import pytest

from tests.local_aws import environment, jobs, processes, storage, validation
from tests.local_aws.errors import AWSError
from tests.local_aws.storage import S3Location

_ME = "a test"


@pytest.fixture
def bucket() -> Iterator[str]:
    """A bucket of moto's in this process, as executors see it."""
    with moto.mock_aws():
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="core")
        yield "core"


# ── S3 ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("uri", ["", "bucket/key", "https://bucket/key", "s3://", "s3:///key"])
def test_what_is_no_s3_location_is_named(uri: str) -> None:
    with pytest.raises(AWSError, match="write s3://bucket/prefix"):
        S3Location.parse(uri)


def test_a_location_reads_and_writes_as_a_uri() -> None:
    location = S3Location.parse("s3://bucket/some/prefix/")
    assert str(location / "file") == "s3://bucket/some/prefix/file"
    assert str(S3Location("bucket") / "file") == "s3://bucket/file"
    assert location.name == "prefix"


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("data/", ["a.csv", "deep/b.csv"]),
        ("data/a.csv", ["a.csv"]),
        ("data", ["a.csv", "data-2/c.csv", "deep/b.csv"]),
    ],
)
def test_a_download_keeps_what_follows_the_prefix(
    bucket: str, tmp_path: Path, prefix: str, expected: list[str]
) -> None:
    for key in ("data/a.csv", "data/deep/b.csv", "data-2/c.csv"):
        storage.write(S3Location(bucket, key), key.encode(), _ME)
    storage.download(S3Location(bucket, prefix), tmp_path, _ME)
    found = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    assert found == expected


def test_a_key_that_leads_out_of_the_folder_is_refused(bucket: str, tmp_path: Path) -> None:
    storage.write(S3Location(bucket, "data/../../escaped"), b"x", _ME)
    with pytest.raises(AWSError, match="leaves its folder"):
        storage.download(S3Location(bucket, "data/"), tmp_path / "in", _ME)
    assert not (tmp_path / "escaped").exists()


def test_an_object_is_read_in_pieces(bucket: str) -> None:
    storage.write(S3Location(bucket, "k"), b"0123456789", _ME)
    with storage.open_object(S3Location(bucket, "k"), _ME) as file:
        assert file.seek(-3, 2) == 7
        assert file.read(2) == b"78"
        assert file.seek(0) == 0
        assert file.read() == b"0123456789"


def test_what_is_missing_is_said_as_s3_says_it(bucket: str) -> None:
    with pytest.raises(AWSError) as missing:
        storage.read(S3Location(bucket, "nothing"), _ME)
    assert (missing.value.code, missing.value.status) == ("NoSuchKey", 404)
    with pytest.raises(AWSError) as missing:
        storage.list_objects(S3Location("no-such-bucket"), _ME)
    assert missing.value.code == "NoSuchBucket"


# ── jobs ─────────────────────────────────────────────────────────────────────────────────────────


def _job() -> jobs.Job:
    return jobs.Job("a-job", "us-east-1", status="RUNNING", failed="FAILED")


def test_the_error_of_a_job_becomes_its_failure_reason() -> None:
    def target(_: jobs.Job) -> None:
        raise AWSError("ClientError", "no data under s3://nowhere")

    job = _job()
    job.start(target)
    assert job.join(5)
    assert (job.status, job.failure_reason) == ("FAILED", "ClientError: no data under s3://nowhere")


def test_a_fault_of_ours_is_not_blamed_on_the_user(capsys: pytest.CaptureFixture[str]) -> None:
    job = _job()
    job.start(lambda _: 1 / 0)
    assert job.join(5)
    assert job.failure_reason == "InternalServerError: ZeroDivisionError: division by zero"
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_stopping_all_jobs_waits_for_their_end() -> None:
    job = _job()
    job.start(lambda job: job.stop_requested.wait(30))
    jobs.stop_all()
    assert job.ended is not None
    assert job not in jobs.running()


# ── programs ─────────────────────────────────────────────────────────────────────────────────────


def _run(script: str, folder: Path, **options: object) -> tuple[processes.Outcome, list[str]]:
    lines: list[str] = []
    outcome = processes.run(
        [sys.executable, "-c", script],
        folder=folder,
        environ={"GIVEN": "yes"},
        on_line=lines.append,
        **options,  # type: ignore[arg-type]
    )
    return outcome, lines


def test_a_program_sees_nothing_of_the_readers_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SECRET", "hush")
    _, lines = _run("import json, os; print(json.dumps(dict(os.environ)))", tmp_path)
    seen = json.loads(lines[0])
    assert seen["GIVEN"] == "yes"
    assert "MY_SECRET" not in seen
    assert seen["HOME"] == str(tmp_path)


def test_output_and_errors_come_line_by_line_in_order(tmp_path: Path) -> None:
    script = "import sys; print('one'); print('two', file=sys.stderr); print('three'); exit(4)"
    outcome, lines = _run(script, tmp_path)
    assert (outcome.returncode, lines) == (4, ["one", "two", "three"])


def test_a_program_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    outcome, _ = _run("import time; time.sleep(60)", tmp_path, timeout=0.3)
    assert outcome.timed_out
    assert not outcome.stopped


def test_a_program_that_ignores_sigterm_is_ended_all_the_same(tmp_path: Path) -> None:
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('ready', flush=True); time.sleep(60)"
    )
    stop = threading.Event()
    outcome = processes.run(
        [sys.executable, "-c", script],
        folder=tmp_path,
        environ={},
        on_line=lambda _: stop.set(),
        stop=stop,
    )
    assert outcome.stopped


def test_a_program_reads_what_it_is_given(tmp_path: Path) -> None:
    _, lines = _run("print(len(input()))", tmp_path, stdin=b"x" * 200_000 + b"\n")
    assert lines == ["200000"]


# ── the client's environment ─────────────────────────────────────────────────────────────────────


def test_waiters_look_sooner_and_wait_as_long(tmp_path: Path) -> None:
    environment.write_waiters(tmp_path)
    path = tmp_path / "sagemaker" / "2017-07-24" / "waiters-2.json"
    waiter = json.loads(path.read_text())["waiters"]["TrainingJobCompletedOrStopped"]
    assert waiter["delay"] < 1
    assert waiter["delay"] * waiter["maxAttempts"] == pytest.approx(120 * 180)


def _python(script: str, endpoint: str) -> str:
    variables = environment.variables(endpoint, "ASIAKEY", "us-east-1")
    done = subprocess.run(
        [sys.executable, "-c", script], env=variables, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


_HAND_BUILT = (
    "import boto3; print(boto3.client('sts',"
    " endpoint_url='https://sts.us-east-1.amazonaws.com').meta.endpoint_url)"
)
_POLL = (
    "import time; started = time.perf_counter(); exec('import time; time.sleep(0.6)',"
    " {{'__name__': '{module}'}}); print(time.perf_counter() - started < 0.5)"
)


def test_an_address_built_by_hand_leads_to_the_offline_aws() -> None:
    assert _python(_HAND_BUILT, "http://127.0.0.1:1") == "http://127.0.0.1:1"


def test_an_address_built_by_hand_is_left_alone_elsewhere() -> None:
    assert _python(_HAND_BUILT, "https://example.com") == "https://sts.us-east-1.amazonaws.com"


@pytest.mark.parametrize(("module", "is_shorter"), [("sagemaker.core.x", True), ("mine", False)])
def test_only_the_sagemaker_sdk_polls_sooner(module: str, is_shorter: bool) -> None:
    assert _python(_POLL.format(module=module), "http://127.0.0.1:1") == str(is_shorter)


def test_python_path_of_the_caller_stays_on_it() -> None:
    merged = environment.merged({"PYTHONPATH": "offline"}, {"PYTHONPATH": "mine", "HOME": "/h"})
    assert merged["PYTHONPATH"].endswith("mine")
    assert merged["HOME"] == "/h"


# ── validation ───────────────────────────────────────────────────────────────────────────────────


def _validate(service: str, operation: str, params: dict[str, object]) -> None:
    from moto.core.utils import get_service_model

    validation.validate(service, get_service_model(service).operation_model(operation), params)


def test_what_the_model_allows_passes() -> None:
    _validate("sagemaker", "DeleteModel", {"ModelName": "a-model"})


@pytest.mark.parametrize(
    ("service", "operation", "params", "code", "words"),
    [
        ("sagemaker", "DeleteModel", {}, "ValidationException", "Member must not be null"),
        ("iam", "GetRole", {"RoleName": "no spaces"}, "ValidationError", "regular expression"),
        (
            "kinesis",
            "CreateStream",
            {"StreamName": "x" * 129},
            "ValidationException",
            "length less than or equal to 128",
        ),
        (
            "lambda",
            "Invoke",
            {"FunctionName": "f", "InvocationType": "Sometimes"},
            "ValidationException",
            "enum value set: [Event, RequestResponse, DryRun]",
        ),
        ("athena", "GetWorkGroup", {"WorkGroup": "a b"}, "InvalidRequestException", "'a b'"),
    ],
)
def test_what_the_model_forbids_is_refused_in_the_code_of_the_service(
    service: str, operation: str, params: dict[str, object], code: str, words: str
) -> None:
    with pytest.raises(AWSError, match=".") as refused:
        _validate(service, operation, params)
    assert refused.value.code == code
    assert words in refused.value.message


def test_most_patterns_of_the_models_can_be_checked() -> None:
    from moto.core.utils import get_service_model

    patterns = set()
    for service in ("sagemaker", "glue", "athena", "lambda", "kinesis", "iam", "logs", "events"):
        model = get_service_model(service)
        for name in model.shape_names:
            patterns.add(model.shape_for(name).metadata.get("pattern"))
    patterns.discard(None)
    uncheckable = [pattern for pattern in patterns if validation._compiled(pattern) is None]
    assert len(uncheckable) <= 0.01 * len(patterns), uncheckable
