"""Chapter 1's ideas in NumPy: gradients hold, and each does what it was invented for."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits
from sklearn.tree import DecisionTreeRegressor

from tests.chapters.loading import load

timeline = load("chapter01", "timeline")
figures = load("chapter01", "figures_timeline")

CASES = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float)
AND, XOR = np.array([0, 0, 0, 1]), np.array([0, 1, 1, 0])


def test_a_listing_is_the_code_without_the_docstring() -> None:
    lines = timeline.listing(timeline.softmax).splitlines()
    assert lines[0] == "def softmax(scores: Array) -> Array:"
    assert lines[1].startswith("    powers = ")
    assert len(lines) == 3


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


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_tree_is_the_librarys(depth: int) -> None:
    data = load_diabetes()
    x, y = data.data[:200], data.target[:200]
    ours = timeline.drop_through(timeline.grow(x, y, depth), x)
    theirs = DecisionTreeRegressor(max_depth=depth, min_samples_leaf=5).fit(x, y).predict(x)
    assert ours == pytest.approx(theirs)


def test_equal_values_stay_together() -> None:
    x = np.array([0.0] * 7 + [1.0] * 7)[:, None]
    y = np.array([0.0] * 6 + [1.0] * 8)
    assert timeline.best_question(x, y) == (0, 0.5)
    assert timeline.best_question(np.ones((14, 1)), y) is None
    assert timeline.best_question(x[:1], y[:1]) is None


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


def test_what_judges_a_trial_chooses_nothing_in_it() -> None:
    data = load_diabetes()
    trial = timeline.trial(data.data, data.target, seed=1, rounds=40)
    assert len(trial.seen) == len(trial.unseen) == 40
    assert trial.trees == trial.unseen.argmin() + 1
    assert trial.test["the mean"] > trial.test["one tree"] > trial.test["boosted trees"]
    judge = np.random.default_rng(1).permutation(442)[442 * 3 // 4 :]
    target = data.target.copy()
    target[judge] += 1_000
    other = timeline.trial(data.data, target, seed=1, rounds=40)
    assert (other.unseen == trial.unseen).all()
    assert all(other.test[name] > 900 > error for name, error in trial.test.items())


def test_a_straight_line_is_found_where_there_is_one() -> None:
    x = np.random.default_rng(0).normal(size=(80, 2))
    test = timeline.trial(x, x @ [3.0, -2.0] + 5, seed=0, rounds=5).test
    assert test["straight line"] == pytest.approx(0, abs=1e-9)
    assert test["boosted trees"] > 0.5


# ── convolution ──────────────────────────────────────────────────────────────────────────────────


def test_a_kernel_answers_where_the_edge_is() -> None:
    image = np.zeros((6, 6))
    image[:, 3:] = 1
    answer = timeline.convolve(image, np.array([[-1, 0, 1]] * 3))
    assert answer.shape == (4, 4)
    assert (answer[:, 1:3] == 3).all()
    assert (answer[:, [0, 3]] == 0).all()


@pytest.mark.parametrize("kind", ["shared", "own", "dense"])
def test_gradients_of_the_networks_agree_with_finite_differences(kind: str) -> None:
    digits = load_digits()
    images, classes = digits.images[:3] / 16, digits.target[:3]
    if kind == "dense":
        net, see, back = timeline.dense(3, 0), timeline.look, timeline.look_backward
        net["b1"] += 0.05  # away from the bend of the rectifier, where there is no slope
    else:
        net, see, back = timeline.convolutional(2, 0, kind == "shared"), timeline.see, None
        back = timeline.see_backward
        net["c"] += 0.05
    error = timeline.gradient_error(
        net,
        back(net, images, classes),
        lambda: timeline.surprise(see(net, images)[-1], classes),
    )
    assert error < 1e-6


def test_filters_that_are_equal_at_every_place_see_what_shared_ones_see() -> None:
    images = load_digits().images[:5] / 16
    shared = timeline.convolutional(3, 0)
    own = shared | {"k": np.broadcast_to(shared["k"], (6, 6, 9, 3)).copy()}
    assert timeline.see(own, images)[-1] == pytest.approx(timeline.see(shared, images)[-1])
    by_place = timeline.see_backward(own, images, np.arange(5))["k"]
    summed = timeline.see_backward(shared, images, np.arange(5))["k"]
    assert by_place.sum(axis=(0, 1)) == pytest.approx(summed)


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


def test_attention_knows_no_order() -> None:
    net, task = timeline.attention(16, 4, seed=0), timeline.lookups(5, 8, 16, seed=0)
    turned = timeline.Lookups(task.keys[:, ::-1], task.values[:, ::-1], task.asked, task.answers)
    assert timeline.attend(net, turned)[1] == pytest.approx(timeline.attend(net, task)[1])


def test_softmax_does_not_overflow() -> None:
    assert timeline.softmax(np.array([1_000.0, 0.0])) == pytest.approx([1.0, 0.0])


# ── figures ──────────────────────────────────────────────────────────────────────────────────────


def test_figures_show_what_they_are_given() -> None:
    panel: Any = (CASES, AND, np.array([1.0, 1.0, -1.5]))
    upright: Any = (CASES, AND, np.array([1.0, 0.0, -0.5]))
    figures.lines([("a", *panel), ("b", *upright)], "A title")
    assert [len(axes.lines) for axes in plt.gcf().axes] == [1, 1]
    figures.boosting(np.array([[2.0, 1]]), np.array([[2.0, 3]]), {"one tree": 2.4}, "kg", "T")
    left, right = plt.gcf().axes
    assert any("least: 1 trees" in text.get_text() for text in left.texts)
    assert {text.get_text() for text in right.texts} == {"2"}
    figures.shifted({"a": {"x": 0.5}, "b": {"x": 0.9}, "c": {"x": 1.0}}, "T")
    assert {text.get_text() for text in plt.gca().texts} == {"50%", "90%", "100%"}
    figures.attention(np.eye(3), [4, 5, 6], "T")
    figures.years([(1958, "one", "networks"), (2017, "two", "trees")], "T")
    assert "2017\ntwo" in {text.get_text() for text in plt.gca().texts}
    figures.bend(CASES, AND, lambda x: x[:, 0].clip(0, 1), [1.0, 0.5], "T")
    figures.edges(np.zeros((4, 4)), {"one": np.zeros((2, 2))}, "T")
    plt.close("all")
