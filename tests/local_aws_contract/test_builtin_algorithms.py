"""The built-in algorithms as a client sees them: jobs, artifacts, endpoints, refusals.

Every result is held against scikit-learn's on the same data. Written from the pages of each
algorithm in https://docs.aws.amazon.com/sagemaker/latest/dg/algos.html
"""

from __future__ import annotations

import io
import json
import zipfile

import numpy
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.local_aws.containers.builtin import ndarray, recordio

from .sagemaker_help import XGBOOST, SageMaker, as_csv, channel, json_lines, unpacked

LINEAR_LEARNER, K_MEANS, PRINCIPAL, FOREST = (
    f"382416733822.dkr.ecr.us-east-1.amazonaws.com/{name}:1"
    for name in ("linear-learner", "kmeans", "pca", "randomcutforest")
)
GROUP = "/aws/sagemaker/TrainingJobs"
UNLABELLED = "text/csv;label_size=0"


class BuiltIn(SageMaker):
    """Jobs of one image whose channels are arrays."""

    def fit(self, name, image, hyperparameters, data, content_types=None, distribution=None):
        """Put arrays as CSV, or bytes as they are, and train; the job's description."""
        channels = []
        for each, rows in data.items():
            body = as_csv(rows) if isinstance(rows, numpy.ndarray) else rows
            uri = self.put(f"{name}/{each}/part-0", body)
            content_type = (content_types or {}).get(each, "text/csv")
            made = channel(each, uri, content_type)
            if distribution:
                source = made["DataSource"]["S3DataSource"]
                source["S3DataDistributionType"] = distribution[each]
            channels.append(made)
        specification = {"TrainingImage": image, "TrainingInputMode": "File"}
        return self.train(
            name,
            {key: str(value) for key, value in hyperparameters.items()},
            AlgorithmSpecification=specification,
            InputDataConfig=channels,
        )

    def artifact(self, job) -> bytes:
        """The `model_algo-1` of a job that has succeeded."""
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        return unpacked(self.read(job["ModelArtifacts"]["S3ModelArtifacts"]))["model_algo-1"]

    def serve(self, job, image) -> str:
        """Deploy what a job has made; the endpoint's name."""
        name = job["TrainingJobName"]
        endpoint = self.deploy(name, job["ModelArtifacts"]["S3ModelArtifacts"], image)
        assert endpoint["EndpointStatus"] == "InService"
        return name

    def predictions(self, endpoint, rows, list_name="predictions"):
        """The answers to rows of CSV."""
        return json.loads(self.invoke(endpoint, as_csv(rows)))[list_name]


@pytest.fixture
def sagemaker(aws):
    return BuiltIn(aws)


def metrics_of(job) -> dict[str, float]:
    """The last values of a job's metrics."""
    return {each["MetricName"]: each["Value"] for each in job["FinalMetricDataList"]}


def labelled(load) -> numpy.ndarray:
    """A bundled data set, label first, in random order."""
    features, labels = load(return_X_y=True)
    rows = numpy.column_stack([labels, features])
    return numpy.random.default_rng(0).permutation(rows)


def anomalies() -> numpy.ndarray:
    """Breast tumours: 0 for 357 benign ones, 1 for 18 malignant ones; six measurements."""
    rows = labelled(load_breast_cancer)
    benign, malignant = rows[rows[:, 0] == 1], rows[rows[:, 0] == 0][:18]
    both = numpy.concatenate([benign, malignant])[:, :7]
    both[:, 0] = 1 - both[:, 0]
    both[:, 1:] /= both[:, 1:].std(axis=0)
    return numpy.random.default_rng(1).permutation(both)


class TestLinearLearner:
    def test_classifies_as_well_as_logistic_regression(self, sagemaker):
        rows = labelled(load_breast_cancer)
        train, validation, test = rows[:340], rows[340:420], rows[420:]
        job = sagemaker.fit(
            "tumours",
            LINEAR_LEARNER,
            {"predictor_type": "binary_classifier", "mini_batch_size": 40, "epochs": 30},
            {"train": train, "validation": validation, "test": test},
        )
        metrics = metrics_of(job)
        peer = make_pipeline(StandardScaler(), LogisticRegression())
        peer.fit(train[:, 1:], train[:, 0])
        area = roc_auc_score(test[:, 0], peer.predict_proba(test[:, 1:])[:, 1])
        assert metrics["test:roc_auc_score"] == pytest.approx(area, abs=0.01)
        assert metrics["test:binary_classification_accuracy"] > 0.93
        assert metrics["train:progress"] <= 100

        endpoint = sagemaker.serve(job, LINEAR_LEARNER)
        answers = sagemaker.predictions(endpoint, test[:, 1:])
        scores = [each["score"] for each in answers]
        assert roc_auc_score(test[:, 0], scores) == pytest.approx(metrics["test:roc_auc_score"])
        found = numpy.array([each["predicted_label"] for each in answers])
        accuracy = metrics["test:binary_classification_accuracy"]
        assert (found == test[:, 0]).mean() == pytest.approx(accuracy, abs=0.01)

    def test_artifact_opens_as_a_module_of_mxnet(self, sagemaker):
        rows = labelled(load_diabetes)
        job = sagemaker.fit(
            "diabetes",
            LINEAR_LEARNER,
            {"predictor_type": "regressor", "mini_batch_size": 40, "epochs": 60, "wd": 0, "l1": 0},
            {"train": rows[:340], "test": rows[340:]},
        )
        with zipfile.ZipFile(io.BytesIO(sagemaker.artifact(job))) as archive:
            assert sorted(archive.namelist()) == [
                "additional-params.json",
                "manifest.json",
                "mx-mod-0000.params",
                "mx-mod-symbol.json",
            ]
            arrays = ndarray.load(archive.read("mx-mod-0000.params"))
            symbol = json.loads(archive.read("mx-mod-symbol.json"))
        assert {node["name"] for node in symbol["nodes"]} >= {"data", "fc0_weight", "fc0"}
        predicted = rows[340:, 1:] @ arrays["arg:fc0_weight"][0] + arrays["arg:fc0_bias"][0]
        error = ((predicted - rows[340:, 0]) ** 2).mean()
        metrics = metrics_of(job)
        assert metrics["test:mse"] == pytest.approx(error, rel=1e-3)
        peer = LinearRegression().fit(rows[:340, 1:], rows[:340, 0])
        best = ((peer.predict(rows[340:, 1:]) - rows[340:, 0]) ** 2).mean()
        assert error < 1.1 * best
        answers = sagemaker.predictions(sagemaker.serve(job, LINEAR_LEARNER), rows[340:350, 1:])
        assert [each["score"] for each in answers] == pytest.approx(predicted[:10], rel=1e-4)
        assert "predicted_label" not in answers[0]

    def test_several_classes(self, sagemaker):
        rows = labelled(load_digits)
        job = sagemaker.fit(
            "digits",
            LINEAR_LEARNER,
            {
                "predictor_type": "multiclass_classifier",
                "num_classes": 10,
                "mini_batch_size": 100,
                "feature_dim": 64,
                "num_models": 8,
            },
            {"train": rows[:1200], "validation": rows[1200:1500], "test": rows[1500:]},
        )
        metrics = metrics_of(job)
        peer = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
        peer.fit(rows[:1200, 1:], rows[:1200, 0])
        accuracy = peer.score(rows[1500:, 1:], rows[1500:, 0])
        assert metrics["test:multiclass_accuracy"] == pytest.approx(accuracy, abs=0.04)
        assert metrics["test:multiclass_top_k_accuracy"] >= metrics["test:multiclass_accuracy"]
        answers = sagemaker.predictions(sagemaker.serve(job, LINEAR_LEARNER), rows[1500:, 1:])
        assert sum(answers[0]["score"]) == pytest.approx(1, abs=1e-5)
        found = numpy.array([each["predicted_label"] for each in answers])
        assert (found == rows[1500:, 0]).mean() == pytest.approx(
            metrics["test:multiclass_accuracy"], abs=0.01
        )

    def test_holds_recall_at_the_target(self, sagemaker):
        rows = labelled(load_breast_cancer)
        settings = {
            "predictor_type": "binary_classifier",
            "mini_batch_size": 50,
            "binary_classifier_model_selection_criteria": "precision_at_target_recall",
            "target_recall": 0.6,
        }
        data = {"train": rows[:300], "validation": rows[300:]}
        metrics = metrics_of(sagemaker.fit("recall", LINEAR_LEARNER, settings, data))
        assert metrics["validation:recall"] >= 0.6
        assert metrics["validation:precision"] == 1
        settings["target_recall"] = 0.999
        metrics = metrics_of(sagemaker.fit("more-recall", LINEAR_LEARNER, settings, data))
        assert metrics["validation:recall"] == 1
        assert metrics["validation:precision"] < 1

    def test_log_and_metric_definitions(self, sagemaker):
        rows = labelled(load_breast_cancer)
        job = sagemaker.fit(
            "logged",
            LINEAR_LEARNER,
            {
                "predictor_type": "binary_classifier",
                "mini_batch_size": 100,
                "epochs": 4,
                "early_stopping_patience": 5,
            },
            {"train": rows[:400], "validation": rows[400:]},
        )
        lines = sagemaker.log(GROUP, "logged/algo-1")
        objective = "binary_classification_cross_entropy_objective <loss>="
        epochs = [line for line in lines if f"epoch=3, validation {objective}" in line]
        assert len(epochs) == 1
        assert any(
            f"#quality_metric: host=algo-1, validation {objective}" in each for each in lines
        )
        assert any("#progress_metric: host=algo-1, completed 100 % of epochs" in e for e in lines)
        definitions = {
            each["Name"]: each["Regex"]
            for each in job["AlgorithmSpecification"]["MetricDefinitions"]
        }
        assert (
            definitions["validation:objective_loss"]
            == r"#quality_metric: host=\S+, epoch=\S+, validation \S+_objective <loss>=(\S+)"
        )
        reported = float(epochs[0].rpartition("=")[2])
        assert metrics_of(job)["validation:objective_loss"] == pytest.approx(reported)

    def test_stops_early(self, sagemaker):
        rows = labelled(load_breast_cancer)
        job = sagemaker.fit(
            "patient",
            LINEAR_LEARNER,
            {
                "predictor_type": "binary_classifier",
                "mini_batch_size": 100,
                "epochs": 400,
                "early_stopping_patience": 2,
                "early_stopping_tolerance": 0.01,
            },
            {"train": rows[:400], "validation": rows[400:]},
        )
        assert metrics_of(job)["train:progress"] < 50


class TestKMeans:
    def test_finds_clusters_as_tight_as_lloyds(self, sagemaker):
        rows = load_iris().data
        job = sagemaker.fit(
            "flowers",
            K_MEANS,
            {"feature_dim": 4, "k": 3, "epochs": 3, "eval_metrics": '["msd", "ssd"]'},
            {"train": rows, "test": rows},
            {"train": UNLABELLED, "test": UNLABELLED},
        )
        peer = KMeans(3, n_init=10, random_state=0).fit(rows)
        metrics = metrics_of(job)
        assert metrics["test:ssd"] == pytest.approx(peer.inertia_, rel=0.1)
        assert metrics["test:msd"] == pytest.approx(metrics["test:ssd"] / 150, rel=1e-4)
        assert metrics["train:msd"] == pytest.approx(metrics["test:msd"], rel=1e-4)
        (centers,) = ndarray.load(sagemaker.artifact(job))
        assert centers.shape == (3, 4)

        answers = sagemaker.predictions(sagemaker.serve(job, K_MEANS), rows)
        nearest = numpy.linalg.norm(rows[:, None] - centers[None], axis=2)
        assert [each["closest_cluster"] for each in answers] == nearest.argmin(axis=1).tolist()
        distances = [each["distance_to_cluster"] for each in answers]
        assert distances == pytest.approx(nearest.min(axis=1), rel=1e-4)

    def test_kmeans_plus_plus_and_extra_centers(self, sagemaker):
        rows = load_digits().data
        job = sagemaker.fit(
            "numerals",
            K_MEANS,
            {
                "feature_dim": 64,
                "k": 10,
                "init_method": "kmeans++",
                "extra_center_factor": 5,
                "mini_batch_size": 600,
                "half_life_time_size": 5000,
            },
            {"train": rows},
            {"train": UNLABELLED},
        )
        peer = KMeans(10, n_init=5, random_state=0).fit(rows)
        assert metrics_of(job)["train:msd"] == pytest.approx(peer.inertia_ / len(rows), rel=0.1)
        assert any("shrinking 50 centers into 10" in e for e in sagemaker.log(GROUP, "numerals"))

    @pytest.mark.parametrize("mode", ["Pipe", "FastFile"])
    def test_reports_what_a_tuning_job_goes_by(self, sagemaker, mode):
        rows = load_iris().data
        uri = sagemaker.put("iris/part-0", recordio.write(rows))
        channels = [channel(name, uri, recordio.CONTENT_TYPE) for name in ("train", "test")]
        job = sagemaker.train(
            f"tuned-{mode}",
            {"feature_dim": "4", "k": "3", "_tuning_objective_metric": "test:ssd"},
            AlgorithmSpecification={"TrainingImage": K_MEANS, "TrainingInputMode": mode},
            InputDataConfig=channels,
        )
        metrics = metrics_of(job)
        assert metrics["test:ssd"] == pytest.approx(150 * metrics["test:msd"], rel=1e-4)

    def test_answers_in_every_form(self, sagemaker):
        rows = load_iris().data.astype(numpy.float32)
        job = sagemaker.fit(
            "forms", K_MEANS, {"feature_dim": 4, "k": 3}, {"train": rows}, {"train": UNLABELLED}
        )
        endpoint = sagemaker.serve(job, K_MEANS)
        plain = sagemaker.predictions(endpoint, rows[:3])
        instances = {"instances": [{"features": row.tolist()} for row in rows[:3]]}
        full = {"instances": [{"data": {"features": {"values": row.tolist()}}} for row in rows[:3]]}
        for request in (instances, full):
            body = json.dumps(request)
            answer = json.loads(sagemaker.invoke(endpoint, body, ContentType="application/json"))
            assert [each["closest_cluster"] for each in answer["predictions"]] == [
                each["closest_cluster"] for each in plain
            ]
        lines = sagemaker.invoke(endpoint, as_csv(rows[:3]), Accept="application/jsonlines")
        assert json_lines(lines) == plain
        table = sagemaker.invoke(endpoint, as_csv(rows[:3]), Accept="text/csv").decode()
        assert table.splitlines()[0].startswith(f"{plain[0]['closest_cluster']},")
        records = sagemaker.invoke(
            endpoint,
            recordio.write(rows[:3]),
            ContentType=recordio.CONTENT_TYPE,
            Accept=recordio.CONTENT_TYPE,
        )
        labels = []
        for payload in recordio.frames(records):
            record = recordio.record_class()()
            record.ParseFromString(payload)
            labels.append(record.label["closest_cluster"].float32_tensor.values[0])
        assert labels == [each["closest_cluster"] for each in plain]
        sparse = {"data": {"features": {"keys": [1, 3], "shape": [4], "values": [3, 0.2]}}}
        answer = sagemaker.invoke(
            endpoint, json.dumps(sparse) + "\n", ContentType="application/jsonlines"
        )
        assert len(json.loads(answer)["predictions"]) == 1


class TestPCA:
    @pytest.mark.parametrize("mode", ["regular", "randomized"])
    def test_keeps_as_much_variance(self, sagemaker, mode):
        rows = load_digits().data
        name = f"components-{mode}"
        job = sagemaker.fit(
            name,
            PRINCIPAL,
            {
                "feature_dim": 64,
                "num_components": 6,
                "mini_batch_size": 200,
                "algorithm_mode": mode,
                "extra_components": 40,
            },
            {"train": recordio.write(rows)},
            {"train": recordio.CONTENT_TYPE},
        )
        arrays = ndarray.load(sagemaker.artifact(job))
        assert arrays["v"].shape == (64, 6)
        assert arrays["mean"].shape == (1, 64)
        peer = PCA(6).fit(rows)
        assert arrays["mean"][0] == pytest.approx(peer.mean_, rel=1e-4, abs=1e-6)
        assert arrays["v"].T @ arrays["v"] == pytest.approx(numpy.eye(6), abs=1e-4)
        answers = sagemaker.predictions(sagemaker.serve(job, PRINCIPAL), rows, "projections")
        projected = numpy.array([each["projection"] for each in answers])
        kept = projected.var(axis=0).sum() / rows.var(axis=0).sum()
        expected = peer.explained_variance_ratio_.sum()
        if mode == "regular":
            assert kept == pytest.approx(expected, rel=1e-4)
            # The largest component comes last, in the artifact as in a projection.
            assert arrays["s"][::-1] == pytest.approx(peer.singular_values_, rel=1e-4)
            assert numpy.abs(projected[:, ::-1]) == pytest.approx(
                numpy.abs(peer.transform(rows)), abs=0.02
            )
        else:
            assert 0.85 * expected < kept <= expected + 1e-6

    def test_without_mean(self, sagemaker):
        rows = load_iris().data
        job = sagemaker.fit(
            "raw",
            PRINCIPAL,
            {
                "feature_dim": 4,
                "num_components": 2,
                "mini_batch_size": 50,
                "subtract_mean": "False",
            },
            {"train": rows},
            {"train": UNLABELLED},
        )
        arrays = ndarray.load(sagemaker.artifact(job))
        assert "mean" not in arrays
        assert arrays["s"][-1] == pytest.approx(numpy.linalg.svd(rows)[1][0], rel=1e-4)


class TestRandomCutForest:
    SHARDED = {"train": "ShardedByS3Key", "test": "FullyReplicated"}

    def test_ranks_known_anomalies_high(self, sagemaker):
        rows = anomalies()
        job = sagemaker.fit(
            "tumours-forest",
            FOREST,
            {"feature_dim": 6, "num_trees": 50, "num_samples_per_tree": 256},
            {"train": rows[:, 1:], "test": rows},
            {"train": UNLABELLED, "test": "text/csv;label_size=1"},
            self.SHARDED,
        )
        metrics = metrics_of(job)
        assert metrics["test:accuracy"] > 0.9
        answers = sagemaker.predictions(sagemaker.serve(job, FOREST), rows[:, 1:], "scores")
        scores = numpy.array([each["score"] for each in answers])
        peer = IsolationForest(random_state=0).fit(rows[:, 1:])
        area = roc_auc_score(rows[:, 0], -peer.score_samples(rows[:, 1:]))
        assert roc_auc_score(rows[:, 0], scores) > area - 0.02
        found = scores > scores.mean() + 3 * scores.std()
        assert (found == (rows[:, 0] == 1)).mean() == pytest.approx(
            metrics["test:accuracy"], abs=0.01
        )

    def test_a_far_point_scores_more_than_a_near_one(self, sagemaker):
        rows = numpy.random.default_rng(0).normal(size=(2000, 2))
        job = sagemaker.fit(
            "distance",
            FOREST,
            {"feature_dim": 2},
            {"train": rows},
            {"train": UNLABELLED},
            {"train": "ShardedByS3Key"},
        )
        points = numpy.array([[0.0, 0.0], [2.5, 0.0], [5.0, 0.0], [50.0, 0.0]])
        endpoint = sagemaker.serve(job, FOREST)
        scores = [e["score"] for e in sagemaker.predictions(endpoint, points, "scores")]
        assert scores == sorted(scores)
        assert scores[0] < 1 < scores[2]
        assert scores[3] > 3


class TestRefusals:
    def fail(self, sagemaker, image, hyperparameters, data, *rest) -> str:
        job = sagemaker.fit("wrong", image, hyperparameters, data, *rest)
        assert job["TrainingJobStatus"] == "Failed"
        reason = job["FailureReason"]
        assert reason.startswith("ClientError: ")
        assert reason.endswith(", exit code: 2")
        return reason

    @pytest.mark.parametrize(
        ("hyperparameters", "message"),
        [
            (
                {"epochs": 0},
                "The value '0' is not valid for the 'epochs' hyperparameter which expects an "
                "integer of at least 1 (caused by ValidationError)",
            ),
            (
                {"learning_rate": "fast"},
                "The value 'fast' is not valid for the 'learning_rate' hyperparameter which "
                "expects one of the following: the string 'auto'; or a number greater than 0",
            ),
            (
                {"target_recall": 1.5},
                "The value '1.5' is not valid for the 'target_recall' hyperparameter which "
                "expects a number between 0 and 1 (both excluded)",
            ),
            (
                {"optimizer": "lbfgs"},
                "The value 'lbfgs' is not valid for the 'optimizer' hyperparameter which accepts "
                "one of the following: 'auto', 'sgd', 'adam', 'rmsprop'",
            ),
            (
                {"max_depth": 5},
                "Additional hyperparameters are not allowed ('max_depth' was unexpected)",
            ),
            (
                {"loss": "huber_loss"},
                "The value 'huber_loss' is not valid for the 'loss' hyperparameter; with "
                "predictor_type 'binary_classifier'",
            ),
            (
                {"predictor_type": "multiclass_classifier"},
                "The value '1' is not valid for the 'num_classes' hyperparameter",
            ),
            (
                {"feature_dim": 31},
                "The value of feature_dim hyperparameter '31' doesn't match train data "
                "dimensionality '30'. Please set feature_dim to the number of features",
            ),
            ({"mini_batch_size": 500}, "the mini-batch size is less than the number of records"),
        ],
    )
    def test_hyperparameters_of_linear_learner(self, sagemaker, hyperparameters, message):
        settings = {"predictor_type": "binary_classifier", "mini_batch_size": 20}
        data = {"train": labelled(load_breast_cancer)[:100]}
        assert message in self.fail(sagemaker, LINEAR_LEARNER, settings | hyperparameters, data)

    @pytest.mark.parametrize(
        ("image", "hyperparameters", "message"),
        [
            (LINEAR_LEARNER, {}, "No value(s) were specified for 'predictor_type'"),
            (K_MEANS, {"k": 3}, "No value(s) were specified for 'feature_dim' which are required"),
            (K_MEANS, {"feature_dim": 4, "k": 151}, "larger than the number of records"),
            (
                K_MEANS,
                {"feature_dim": 4, "k": 3, "extra_center_factor": 60},
                "k * extra_center_factor = 180",
            ),
            (PRINCIPAL, {"feature_dim": 4, "num_components": 2}, "'mini_batch_size'"),
            (
                PRINCIPAL,
                {"feature_dim": 4, "num_components": 5, "mini_batch_size": 9},
                "no more components than features",
            ),
            (FOREST, {"feature_dim": 4, "num_trees": 10}, "an integer between 50 and 1000"),
            (FOREST, {"feature_dim": 4, "num_samples_per_tree": 4096}, "between 1 and 2048"),
            (
                FOREST,
                {"feature_dim": 4},
                "Failed to validate input data configuration. (caused by ValidationError)\n\n"
                "Caused by: 'FullyReplicated' is not one of ['ShardedByS3Key']",
            ),
        ],
    )
    def test_hyperparameters_of_the_others(self, sagemaker, image, hyperparameters, message):
        data, kinds = {"train": load_iris().data}, {"train": UNLABELLED}
        assert message in self.fail(sagemaker, image, hyperparameters, data, kinds)

    @pytest.mark.parametrize(
        ("body", "content_type", "message"),
        [
            ("\n", "text/csv", "No training data processed. Either the training channel is empty"),
            ("1,2\n0,nan\n", "text/csv", "Found missing (NaN) values. Please remove any missing"),
            ("1,2\nnan,3\n", "text/csv", "(NaN) in the label of row 2"),
            ("1,2\n0,inf\n", "text/csv", "Found infinite floating point values"),
            ("y,x\n1,2\n", "text/csv", "the value 'y' in row 1, column 1 is not a number"),
            ("1,2\n0,2,3\n", "text/csv", "Expected 2 columns, got 3"),
            ("1,2\n3,2\n", "text/csv", "must be 0 or 1 for predictor_type 'binary_classifier'"),
            ("1,2\n0,3\n", UNLABELLED, "Labeled train data required with label size equal 1"),
            ("1,2\n0,3\n", "text/libsvm", "Content-type 'text/libsvm' is not supported"),
            ("1,2\n0,3\n", recordio.CONTENT_TYPE, "does not start with a valid magic number"),
            (
                recordio.write(numpy.ones((4, 2))),
                recordio.CONTENT_TYPE,
                "Label size on train dataset found to be 0",
            ),
        ],
    )
    def test_data(self, sagemaker, body, content_type, message):
        settings = {"predictor_type": "binary_classifier", "mini_batch_size": 1}
        reason = self.fail(
            sagemaker, LINEAR_LEARNER, settings, {"train": body}, {"train": content_type}
        )
        assert message in reason

    def test_channels(self, sagemaker):
        settings = {"feature_dim": 4, "k": 3}
        rows = load_iris().data
        reason = self.fail(sagemaker, K_MEANS, settings, {"validation": rows})
        assert "Caused by: 'train' is a required property" in reason
        sagemaker.client.delete_training_job(TrainingJobName="wrong")
        data = {"train": rows, "validation": rows}
        reason = self.fail(sagemaker, K_MEANS, settings, data, dict.fromkeys(data, UNLABELLED))
        assert "Additional properties are not allowed ('validation' was unexpected)" in reason

    def test_requests(self, sagemaker):
        rows = load_iris().data
        job = sagemaker.fit(
            "asked", K_MEANS, {"feature_dim": 4, "k": 3}, {"train": rows}, {"train": UNLABELLED}
        )
        endpoint = sagemaker.serve(job, K_MEANS)
        for body, request, status, message in (
            ("1,2", {}, 400, "the rows have 2 features, the model was trained with 4"),
            ("a,b,c,d", {}, 400, "the value 'a' in row 1, column 1 is not a number"),
            ("1,2,3,nan", {}, 400, "a feature is missing or infinite"),
            ("{}", {"ContentType": "application/json"}, 400, '{"instances": [{"features"'),
            ("1,2,3,4", {"ContentType": "image/png"}, 415, "content-type image/png not supported"),
            ("1,2,3,4", {"Accept": "image/png"}, 406, "Accept type 'image/png'"),
        ):
            with pytest.raises(sagemaker.runtime.exceptions.ModelError) as refused:
                sagemaker.invoke(endpoint, body, **request)
            assert refused.value.response["OriginalStatusCode"] == status
            assert message in refused.value.response["OriginalMessage"]

    def test_several_instances(self, sagemaker):
        uri = sagemaker.put("iris/part-0", as_csv(load_iris().data))
        job = sagemaker.train(
            "wide",
            {"feature_dim": "4", "k": "3"},
            AlgorithmSpecification={"TrainingImage": K_MEANS, "TrainingInputMode": "File"},
            InputDataConfig=[channel("train", uri, UNLABELLED)],
            ResourceConfig={
                "InstanceType": "ml.m5.large",
                "InstanceCount": 2,
                "VolumeSizeInGB": 5,
            },
        )
        assert "set InstanceCount to 1" in job["FailureReason"]


class TestXGBoost:
    def test_reads_records(self, sagemaker):
        rows = labelled(load_breast_cancer)
        train = recordio.write(rows[:400, 1:], rows[:400, 0])
        validation = recordio.write(rows[400:, 1:], rows[400:, 0])
        job = sagemaker.fit(
            "boosted",
            XGBOOST,
            {"num_round": 20, "objective": "binary:logistic", "eval_metric": "auc"},
            {"train": train, "validation": validation},
            dict.fromkeys(("train", "validation"), recordio.CONTENT_TYPE),
        )
        assert metrics_of(job)["validation:auc"] > 0.98
        endpoint = sagemaker.serve(job, XGBOOST)
        table = sagemaker.invoke(endpoint, as_csv(rows[400:, 1:])).decode().split()
        records = sagemaker.invoke(
            endpoint, recordio.write(rows[400:, 1:]), ContentType=recordio.CONTENT_TYPE
        )
        scores = [float(each) for each in records.decode().split()]
        assert scores == pytest.approx([float(each) for each in table], abs=1e-3)
        area = roc_auc_score(rows[400:, 0], scores)
        assert area == pytest.approx(metrics_of(job)["validation:auc"], abs=1e-3)

    def test_refuses_what_are_no_records(self, sagemaker):
        job = sagemaker.fit(
            "no-records",
            XGBOOST,
            {"num_round": 2},
            {"train": "1,2\n0,3\n"},
            {"train": recordio.CONTENT_TYPE},
        )
        assert "does not start with a valid magic number" in job["FailureReason"]
