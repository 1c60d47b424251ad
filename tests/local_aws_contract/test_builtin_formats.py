"""The formats and the mathematics behind the built-in algorithms, against other ways to them."""

from __future__ import annotations

import struct

import numpy
import pytest
import scipy.sparse
from sklearn import metrics

from tests.local_aws.containers.builtin import (
    linear_models,
    linear_scores,
    ndarray,
    random_cut_forest,
    recordio,
)

MAGIC = struct.pack("<I", 0xCED7230A)


class TestRecords:
    def test_bytes_are_those_of_the_definition(self):
        written = recordio.write(numpy.array([[1.0, 2.0]]), [0.0])
        # Each nested message by its field number and length: Record.features["values"]
        # .float32_tensor.values, then the same under Record.label.
        features = b"\n\x08" + struct.pack("<ff", 1, 2)
        labels = b"\n\x04" + struct.pack("<f", 0)
        record = (
            b"\n\x16\n\x06values\x12\x0c\x12\x0a" + features
            + b"\x12\x12\n\x06values\x12\x08\x12\x06" + labels
        )  # fmt: skip
        assert written[:4] == MAGIC
        (length,) = struct.unpack_from("<I", written, 4)
        assert length == len(record)
        assert written[8 : 8 + length] == record
        assert len(written) % 4 == 0

    def test_comes_back_as_it_was(self):
        random = numpy.random.default_rng(0)
        rows = random.normal(size=(20, 7)).astype(numpy.float32)
        features, labels = recordio.read(recordio.write(rows, numpy.arange(20)))
        assert (features == rows).all()
        assert labels is not None
        assert labels.tolist() == list(range(20))
        assert recordio.read(recordio.write(rows))[1] is None

    def test_sparse_rows(self):
        rows = scipy.sparse.csr_matrix([[0, 0, 3.0], [0, 0, 0], [1.5, 0, 0]])
        written = recordio.write(rows)
        assert recordio.read(written)[0].tolist() == rows.toarray().tolist()
        assert numpy.isnan(recordio.read(written, absent=numpy.nan)[0]).sum() == 7

    @pytest.mark.parametrize("kind", ["float64_tensor", "int32_tensor"])
    def test_other_tensors(self, kind):
        record = recordio.record_class()()
        getattr(record.features["values"], kind).values.extend([4, 5])
        assert recordio.read(recordio.frame(record.SerializeToString()))[0].tolist() == [[4, 5]]

    def test_a_payload_that_holds_the_magic_number(self):
        payload = b"abcd" + MAGIC + MAGIC + b"xyz"
        framed = recordio.frame(payload)
        flags = struct.unpack_from("<I", framed, 4)[0] >> 29
        assert flags == 1
        assert list(recordio.frames(framed)) == [payload]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"1,2,3,4\n", "position 0 does not start with a valid magic number"),
            (MAGIC, "ends within its header"),
            (MAGIC + struct.pack("<I", 99) + b"short", "is cut off"),
            (MAGIC + struct.pack("<I", 1 << 29 | 4) + b"abcd", "has no end"),
            (recordio.frame(b"\xff\xff"), "is not a Record message"),
            (recordio.frame(b""), "has no features named 'values'"),
            (
                recordio.write(numpy.ones((1, 2))) + recordio.write(numpy.ones((1, 3))),
                r"different numbers of features: \[2, 3\]",
            ),
            (
                recordio.write(numpy.ones((1, 2)), [1]) + recordio.write(numpy.ones((1, 2))),
                "1 of 2 records have no label",
            ),
        ],
    )
    def test_refuses(self, content, message):
        with pytest.raises(recordio.FormatError, match=message):
            recordio.read(content)

    def test_refuses_keys_beyond_the_shape(self):
        record = recordio.record_class()()
        tensor = record.features["values"].float32_tensor
        tensor.values.append(1)
        tensor.keys.append(5)
        tensor.shape.append(3)
        with pytest.raises(recordio.FormatError, match="keys up to 5"):
            recordio.read(recordio.frame(record.SerializeToString()))


class TestArrays:
    def test_bytes_are_those_of_mxnet(self):
        content = ndarray.dump({"w": numpy.array([[1.0, 2.0]], numpy.float32)})
        header = struct.pack("<QQQ", 0x112, 0, 1)
        # Version 2, dense, two dimensions, their sizes, processor 0, float32.
        array = struct.pack("<IiIqqiii", 0xF993FAC9, 0, 2, 1, 2, 1, 0, 0)
        values = struct.pack("<ff", 1, 2)
        names = struct.pack("<QQ", 1, 1) + b"w"
        assert content == header + array + values + names

    def test_comes_back_as_it_was(self):
        arrays = {
            "float": numpy.ones((2, 3)),
            "integer": numpy.arange(4),
            "half": numpy.zeros(1, numpy.float16),
            "none": numpy.empty((0, 3), numpy.float32),
        }
        loaded = ndarray.load(ndarray.dump(arrays))
        assert isinstance(loaded, dict)
        assert list(loaded) == list(arrays)
        for name, array in arrays.items():
            assert loaded[name].dtype == array.dtype
            assert loaded[name].tolist() == array.tolist()
        assert ndarray.load(ndarray.dump([arrays["float"]]))[0].tolist() == [[1] * 3] * 2

    @pytest.mark.parametrize("content", [b"", b"PK\3\4" * 20, ndarray.dump([numpy.ones(3)])[:-12]])
    def test_refuses(self, content):
        with pytest.raises(ndarray.FormatError, match="Invalid NDArray file format"):
            ndarray.load(content)

    def test_refuses_text(self):
        with pytest.raises(ValueError, match="MXNet has no arrays of"):
            ndarray.dump([numpy.array(["a"])])


SETTINGS = {
    "margin": 1.0,
    "loss_insensitivity": 0.1,
    "quantile": 0.3,
    "huber_delta": 0.7,
    "f_beta": 2.0,
    "target_recall": 0.7,
    "target_precision": 0.8,
}


class TestLosses:
    @pytest.mark.parametrize(
        "name",
        [
            "logistic", "hinge_loss", "squared_loss", "absolute_loss", "quantile_loss",
            "eps_insensitive_squared_loss", "eps_insensitive_absolute_loss", "huber_loss",
            "softmax_loss",
        ],
    )  # fmt: skip
    def test_derivatives(self, name):
        random = numpy.random.default_rng(0)
        classes = 3 if name == "softmax_loss" else 1
        outputs = random.normal(size=(50, 2, classes))
        is_class = name in ("logistic", "hinge_loss", "softmax_loss")
        high = max(classes, 2)
        targets = random.integers(0, high, 50) if is_class else random.normal(size=50)
        loss = linear_models.make_loss(name, SETTINGS)
        _, slopes = loss(outputs, targets)
        step = 1e-6
        for place in range(classes):
            moved = outputs.copy()
            moved[:, :, place] += step
            above, _ = loss(moved, targets)
            moved[:, :, place] -= 2 * step
            below, _ = loss(moved, targets)
            assert slopes[:, :, place] == pytest.approx((above - below) / (2 * step), abs=1e-4)

    def test_quantile_is_that_of_the_documentation(self):
        """The label is greater than the best constant with the probability q."""
        labels = numpy.random.default_rng(0).exponential(size=2001)
        loss = linear_models.make_loss("quantile_loss", SETTINGS)
        constants = numpy.linspace(0, 4, 401)
        losses, _ = loss(numpy.tile(constants, (2001, 1))[:, :, None], labels)
        best = constants[losses.mean(axis=0).argmin()]
        assert (labels > best).mean() == pytest.approx(0.3, abs=0.01)


class TestThresholds:
    @pytest.mark.parametrize(
        "criterion",
        ["accuracy", "f1", "f_beta", "precision_at_target_recall", "recall_at_target_precision"],
    )
    def test_is_the_best_of_all(self, criterion):
        random = numpy.random.default_rng(3)
        labels = random.integers(0, 2, 60).astype(float)
        scores = numpy.round(labels * 0.3 + random.random(60), 1)  # with ties
        settings = SETTINGS | {"binary_classifier_model_selection_criteria": criterion}
        threshold, found = linear_scores.best_threshold(scores, labels, settings)

        def value(at: float) -> float:
            called = scores >= at
            hits = float((called & (labels == 1)).sum())
            precision, recall = hits / max(called.sum(), 1), hits / labels.sum()
            if criterion == "accuracy":
                return float((called == (labels == 1)).mean())
            if criterion == "precision_at_target_recall":
                return precision if recall >= 0.7 else -1
            if criterion == "recall_at_target_precision":
                return recall if precision >= 0.8 and called.any() else -1
            square = 1 if criterion == "f1" else 4
            both = square * precision + recall
            return (1 + square) * precision * recall / both if both else 0.0

        best = max(value(at) for at in [*numpy.unique(scores), numpy.inf])
        assert value(threshold) == pytest.approx(best)
        assert found == pytest.approx(best)


class TestScores:
    def test_of_two_classes_are_scikit_learns(self):
        random = numpy.random.default_rng(4)
        labels = random.integers(0, 2, 200).astype(float)
        scores = numpy.round(0.4 * labels + random.random(200), 1)
        found = linear_scores.binary(scores, labels, 0.8, 2.0)
        called = (scores >= 0.8).astype(int)
        assert {name: value for name, (_, value) in found.items()} == pytest.approx(
            {
                "binary_classification_accuracy": metrics.accuracy_score(labels, called),
                "binary_f_2.000": metrics.fbeta_score(labels, called, beta=2),
                "precision": metrics.precision_score(labels, called),
                "recall": metrics.recall_score(labels, called),
                "roc_auc_score": metrics.roc_auc_score(labels, scores),
            }
        )

    def test_of_one_class_have_no_curve(self):
        found = linear_scores.binary(numpy.ones(3), numpy.zeros(3), 2.0, 1.0)
        assert "roc_auc_score" not in found
        assert found["binary_f_1.000"] == ("score", 0.0)

    def test_of_several_classes_are_scikit_learns(self):
        random = numpy.random.default_rng(5)
        labels = random.integers(0, 4, 150).astype(float)  # of the fifth class there is no row
        scores = random.random((150, 5)) + 0.5 * numpy.eye(5)[labels.astype(int)]
        found = linear_scores.multiclass(scores, labels, 2, 1.0)
        called = scores.argmax(axis=1)
        options = {"average": "macro", "zero_division": 0}
        assert {name: value for name, (_, value) in found.items()} == pytest.approx(
            {
                "multiclass_accuracy": metrics.accuracy_score(labels, called),
                "multiclass_top_k_accuracy_2": metrics.top_k_accuracy_score(
                    labels, scores, k=2, labels=range(5)
                ),
                "dcg": metrics.dcg_score(numpy.eye(5)[labels.astype(int)], scores),
                "macro_recall": metrics.recall_score(labels, called, **options),
                "macro_precision": metrics.precision_score(labels, called, **options),
                "macro_f_1.000": metrics.f1_score(labels, called, **options),
            }
        )


class TestForest:
    def test_every_cut_parts_the_points_of_its_node(self):
        random = numpy.random.default_rng(0)
        samples = random.integers(0, 4, size=(30, 64, 3)).astype(numpy.float32)  # many are equal
        forest = random_cut_forest.build(samples, random)
        inner = numpy.flatnonzero(forest.lefts >= 0)
        children = forest.lefts[inner], forest.rights[inner]
        masses = forest.masses[children[0]] + forest.masses[children[1]]
        assert (masses == forest.masses[inner]).all()
        features, values = forest.cut_features[inner], forest.cut_values[inner]
        assert (forest.highs[children[0], features] <= values).all()
        assert (forest.lows[children[1], features] > values).all()
        leaves = forest.lefts < 0
        assert (forest.lows[leaves] == forest.highs[leaves]).all()
        assert forest.masses[leaves].sum() == 30 * 64

    def test_features_are_cut_by_their_extent(self):
        random = numpy.random.default_rng(0)
        samples = random.random((4000, 8, 2)).astype(numpy.float32)
        samples[:, 0], samples[:, 1] = 0, 1
        samples[:, :, 1] *= 3
        forest = random_cut_forest.build(samples, random)
        share = (forest.cut_features[forest.roots] == 1).mean()
        assert share == pytest.approx(0.75, abs=0.03)

    def test_score_is_the_mean_over_random_insertions(self):
        """Of one tree, by inserting the point many times as Guha et al. (Algorithm 2) insert it."""
        random = numpy.random.default_rng(1)
        samples = random.normal(size=(1, 32, 2)).astype(numpy.float32)
        forest = random_cut_forest.build(samples, random)
        point = numpy.array([1.7, -0.4], numpy.float32)

        def inserted() -> float:
            node, depth = 0, 0
            while True:
                low = numpy.minimum(forest.lows[node], point)
                high = numpy.maximum(forest.highs[node], point)
                place = random.random() * (high - low).sum()
                feature = 0 if place < (high - low)[0] else 1
                cut = low[feature] + place - (high - low)[:feature].sum()
                below, above = forest.lows[node][feature], forest.highs[node][feature]
                if cut < below or cut >= above:
                    return 1 / (depth + 1)
                at = forest.cut_features[node]
                goes_left = point[at] <= forest.cut_values[node]
                node = forest.lefts[node] if goes_left else forest.rights[node]
                depth += 1

        mean = numpy.mean([inserted() for _ in range(4000)]) * numpy.log2(33)
        assert forest.score(point[None])[0] == pytest.approx(mean, rel=0.05)

    def test_a_known_point_scores_less_than_a_new_one(self):
        random = numpy.random.default_rng(2)
        samples = random.normal(size=(50, 64, 2)).astype(numpy.float32)
        forest = random_cut_forest.build(samples, random)
        known, new = forest.score(samples[0, :1]), forest.score(samples[0, :1] + 20)
        assert known[0] < new[0]
        assert forest.score(numpy.empty((0, 2))).size == 0
