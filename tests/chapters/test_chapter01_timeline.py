"""Chapter 1's ideas in NumPy: gradients hold, and each does what it was invented for."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.tree import DecisionTreeRegressor

from tests.chapters.loading import load

timeline = load("chapter01", "timeline")
figures = load("chapter01", "figures_timeline")

CASES = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float)
AND, XOR = np.array([0, 0, 0, 1]), np.array([0, 1, 1, 0])


# ── perceptron and backpropagation ───────────────────────────────────────────────────────────────


def test_a_perceptron_learns_and_but_not_xor() -> None:
    weights, mistakes = timeline.perceptron(CASES, AND, epochs=20)
    assert mistakes[-1] == 0
    assert ((CASES @ weights[:2] + weights[2] > 0) == AND).all()
    _, mistakes = timeline.perceptron(CASES, XOR, epochs=200)
    assert min(mistakes) > 0


def test_gradients_of_the_network_agree_with_finite_differences() -> None:
    net = timeline.network((2, 3, 1), seed=0)
    gradient = timeline.backward(net, CASES, XOR)
    assert timeline.gradient_error(net, gradient, lambda: timeline.loss(net, CASES, XOR)) < 1e-6


def test_the_check_notices_a_wrong_gradient() -> None:
    net = timeline.network((2, 3, 1), seed=0)
    gradient = timeline.backward(net, CASES, XOR)
    gradient["w1"] = gradient["w1"] * 1.01
    assert timeline.gradient_error(net, gradient, lambda: timeline.loss(net, CASES, XOR)) > 1e-3


def test_the_check_leaves_the_weights_as_they_were() -> None:
    net = timeline.network((2, 3, 1), seed=0)
    before = {name: values.copy() for name, values in net.items()}
    gradient = timeline.backward(net, CASES, XOR)
    timeline.gradient_error(net, gradient, lambda: timeline.loss(net, CASES, XOR))
    assert all((net[name] == before[name]).all() for name in net)


def test_two_layers_learn_xor() -> None:
    net = timeline.network((2, 4, 1), seed=1)
    losses = timeline.descend(net, CASES, XOR, rate=1.0, steps=500)
    assert losses[-1] < 0.05 < losses[0]
    assert (timeline.forward(net, CASES)[1].round() == XOR).all()


# ── trees ────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def steps() -> tuple[np.ndarray, np.ndarray]:
    """A step in the first of two columns, with noise."""
    chance = np.random.default_rng(0)
    x = chance.uniform(size=(200, 2))
    return x, np.where(x[:, 0] > 0.5, 10.0, 0.0) + chance.normal(scale=0.1, size=200)


def test_a_tree_finds_the_step(steps: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = steps
    feature, threshold, below, above = timeline.grow(x, y, depth=1)
    assert feature == 0
    assert threshold == pytest.approx(0.5, abs=0.05)
    assert below == pytest.approx(0, abs=0.6)
    assert above == pytest.approx(10, abs=0.6)


def test_a_tree_is_nearly_as_good_as_the_librarys(steps: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = steps
    ours = timeline.drop_through(timeline.grow(x, y, depth=2), x)
    theirs = DecisionTreeRegressor(max_depth=2, min_samples_leaf=5).fit(x, y).predict(x)
    # Ours tries nineteen thresholds for each column, the library all.
    assert np.mean((y - theirs) ** 2) <= np.mean((y - ours) ** 2) < 0.03 * y.var()


def test_few_examples_make_a_leaf() -> None:
    assert timeline.grow(np.arange(4.0)[:, None], np.arange(4.0), depth=3) == 1.5


def test_boosting_lowers_the_error_on_what_it_has_seen(
    steps: tuple[np.ndarray, np.ndarray],
) -> None:
    x, y = steps
    trees = timeline.boost(x, y, rounds=10, rate=0.5, depth=1)
    curve = timeline.boosting_curve(trees, y.mean(), 0.5, x, y)
    assert len(curve) == 10
    assert (np.diff(curve) <= 1e-9).all()


# ── convolution ──────────────────────────────────────────────────────────────────────────────────


def test_a_kernel_answers_where_the_edge_is() -> None:
    image = np.zeros((6, 6))
    image[:, 3:] = 1
    answer = timeline.convolve(image, np.array([[-1, 0, 1]] * 3))
    assert answer.shape == (4, 4)
    assert (answer[:, 1:3] == 3).all()
    assert (answer[:, [0, 3]] == 0).all()


@pytest.mark.parametrize("kind", ["convolutional", "dense"])
def test_gradients_of_both_networks_agree_with_finite_differences(kind: str) -> None:
    digits = load_digits()
    images, classes = digits.images[:4] / 16, digits.target[:4]
    if kind == "convolutional":
        net, see, back = timeline.convolutional(2, 0), timeline.see, timeline.see_backward
    else:
        net, see, back = timeline.dense(3, 0), timeline.look, timeline.look_backward
        net["b1"] += 0.05  # away from the bend of the rectifier, where there is no slope

    def loss() -> float:
        return float(-np.mean(np.log(see(net, images)[-1][np.arange(4), classes])))

    assert timeline.gradient_error(net, back(net, images, classes), loss) < 1e-4


@pytest.mark.parametrize(("right", "down"), [(1, 0), (-1, 0), (0, 2), (-1, 1), (0, 0)])
def test_a_shift_moves_and_does_not_wrap(right: int, down: int) -> None:
    image = np.zeros((1, 5, 5))
    image[0, 2, 2] = 1
    moved = timeline.shift(image, right, down)
    assert moved[0, 2 + down, 2 + right] == 1
    assert moved.sum() == 1
    assert timeline.shift(np.ones((1, 5, 5)), 1, 0)[0, :, 0].sum() == 0


def test_networks_learn_digits_with_as_many_weights() -> None:
    digits = load_digits()
    images, classes = digits.images / 16, digits.target
    conv, dense = timeline.convolutional(16, 0), timeline.dense(11, 0)
    assert abs(timeline.count(conv) - timeline.count(dense)) < 50
    timeline.train(conv, timeline.see_backward, images[:1000], classes[:1000], epochs=5)
    assert timeline.accuracy(timeline.see(conv, images[1000:])[-1], classes[1000:]) > 0.8


# ── attention ────────────────────────────────────────────────────────────────────────────────────


def test_a_lookup_has_an_answer() -> None:
    task = timeline.lookups(50, 8, 16, seed=3)
    for keys, values, asked, answer in zip(
        task.keys, task.values, task.asked, task.answers, strict=True
    ):
        assert len(set(keys)) == 8
        assert values[list(keys).index(asked)] == answer


def test_gradients_of_attention_agree_with_finite_differences() -> None:
    net, task = timeline.attention(16, 4, seed=0), timeline.lookups(5, 8, 16, seed=0)
    gradient = timeline.attend_backward(net, task)
    assert timeline.gradient_error(net, gradient, lambda: timeline.attend_loss(net, task)) < 1e-6


def test_attention_is_a_weighted_average() -> None:
    net, task = timeline.attention(16, 4, seed=0), timeline.lookups(5, 8, 16, seed=0)
    weights, answers = timeline.attend(net, task)
    assert weights.sum(axis=1) == pytest.approx(np.ones(5))
    assert (answers >= task.values.min(axis=1)).all()
    assert (answers <= task.values.max(axis=1)).all()


def test_softmax_does_not_overflow() -> None:
    assert timeline.softmax(np.array([1_000.0, 0.0])) == pytest.approx([1.0, 0.0])


# ── figures ──────────────────────────────────────────────────────────────────────────────────────


def test_figures_show_what_they_are_given() -> None:
    panel: Any = (CASES, AND, np.array([1.0, 1.0, -1.5]))
    upright: Any = (CASES, AND, np.array([1.0, 0.0, -0.5]))
    figures.lines([("a", *panel), ("b", *upright)], "A title")
    assert [len(axes.lines) for axes in plt.gcf().axes] == [1, 1]
    figures.boosting({"seen": np.array([2.0, 1.0]), "unseen": np.array([2.0, 3.0])}, 2.5, "T")
    assert any("best: 1 trees" in text.get_text() for text in plt.gca().texts)
    figures.shifted({"a": {"x": 0.5}, "b": {"x": 0.9}}, "T")
    assert {text.get_text() for text in plt.gca().texts} == {"50%", "90%"}
    figures.attention(np.eye(3), [4, 5, 6], "T")
    figures.years([(1958, "one"), (2017, "two")], "T")
    assert "2017\ntwo" in {text.get_text() for text in plt.gca().texts}
    figures.bend(CASES, AND, lambda x: x[:, 0].clip(0, 1), [1.0, 0.5], "T")
    figures.edges(np.zeros((4, 4)), {"one": np.zeros((2, 2))}, "T")
    plt.close("all")
