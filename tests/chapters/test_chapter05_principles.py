"""Chapter 5.1: the algorithms against scikit-learn and by hand, the tables, the pictures."""

from __future__ import annotations

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import make_classification, make_regression
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from tests.chapters.loading import load

matplotlib.use("Agg")
fp = load("chapter05", "first_principles")
tables = load("chapter05", "classic_tables")
figures = load("chapter05", "figures_principles")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


# ── walking downhill ─────────────────────────────────────────────────────────────────────────────


def test_the_line_is_that_of_the_normal_equations():
    x, y = make_regression(80, 4, noise=5, random_state=0)
    _, gradient, longest = fp.squared_error(x, y)
    found = fp.gradient_descent(gradient, np.zeros(5), 0.5 * longest, 500)[-1]
    library = LinearRegression().fit(x, y)
    assert np.allclose(found, np.r_[library.intercept_, library.coef_])


@pytest.mark.parametrize(("share", "falls"), [(0.99, True), (1.01, False)])
def test_the_longest_step_is_the_border_between_falling_and_climbing(share, falls):
    x, y = make_regression(80, 4, noise=5, random_state=0)
    loss, gradient, longest = fp.squared_error(x, y)
    walk = fp.gradient_descent(gradient, np.zeros(5), share * longest, 400)
    assert (loss(walk[-1]) < loss(walk[0])) is falls


def test_a_walk_that_leaves_the_numbers_names_its_step():
    with pytest.raises(ValueError, match="shorter than 10, or scale"):
        fp.gradient_descent(lambda w: w**3, np.array([2.0]), 10, 20)


@pytest.mark.parametrize("penalty", [0.01, 0.5])
def test_logistic_regression_is_scikit_learns(penalty):
    x, y = make_classification(200, 5, random_state=0)
    gradient = fp.logistic_gradient(x, y, penalty)
    found = fp.gradient_descent(gradient, np.zeros(6), 0.5, 5000)[-1]
    library = LogisticRegression(C=1 / (penalty * 200), tol=1e-10).fit(x, y)
    assert np.allclose(found, np.r_[library.intercept_, library.coef_[0]], atol=1e-5)


def test_the_sigmoid_does_not_overflow():
    with np.errstate(all="raise"):
        assert fp.sigmoid(np.array([-1e6, 0, 1e6])).tolist() == [0, 0.5, 1]


# ── neighbours and trees ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("k", [1, 5, 21])
def test_neighbours_vote_as_scikit_learns_do(k):
    x, y = make_classification(200, 5, random_state=0)
    said = fp.k_nearest(x[:150], y[:150], x[150:], k)
    assert np.array_equal(said, KNeighborsClassifier(k).fit(x[:150], y[:150]).predict(x[150:]))


@pytest.mark.parametrize("k", [0, 4])
def test_more_neighbours_than_rows_are_refused(k):
    with pytest.raises(ValueError, match=f"k is {k}; choose from 1 to the 3 rows"):
        fp.k_nearest(np.zeros((3, 2)), np.zeros(3), np.zeros((1, 2)), k)


def test_the_best_split_parts_what_differs():
    x = np.array([[5.0, 1], [5, 2], [5, 8], [5, 9]])
    assert fp.best_split(x, np.array([0.0, 0, 1, 1])) == (1, 5.0)
    assert fp.best_split(x[:, :1], np.array([0.0, 0, 1, 1])) is None


@pytest.mark.parametrize("depth", [1, 3, 6])
def test_a_tree_is_scikit_learns(depth):
    x, y = make_regression(150, 4, noise=5, random_state=0)
    said = fp.ask(fp.grow(x, y, depth), x)
    assert np.allclose(said, DecisionTreeRegressor(max_depth=depth).fit(x, y).predict(x))


def test_the_same_tree_serves_two_classes():
    x, y = make_classification(150, 4, random_state=0)
    library = DecisionTreeClassifier(max_depth=2).fit(x, y)
    assert np.allclose(fp.ask(fp.grow(x, y, 2), x), library.predict_proba(x)[:, 1])


def test_a_tree_on_rows_that_cannot_be_parted_says_their_mean():
    tree = fp.grow(np.ones((4, 2)), np.array([0.0, 1, 1, 0]), 5)
    assert tree == 0.5 and fp.ask(tree, np.zeros((2, 2))).tolist() == [0.5, 0.5]


def test_boosting_is_scikit_learns_after_every_tree():
    x, y = make_regression(150, 4, noise=5, random_state=0)
    said = fp.staged(fp.boost(x, y, 20, 0.1, 2), y.mean(), 0.1, x)
    library = GradientBoostingRegressor(n_estimators=20, max_depth=2).fit(x, y)
    assert np.allclose(said, list(library.staged_predict(x)))


# ── without labels ───────────────────────────────────────────────────────────────────────────────


def test_k_means_is_scikit_learns():
    x = np.random.default_rng(0).normal(size=(200, 3))
    centres, reached = fp.k_means(x, x[:4])
    library = KMeans(4, init=x[:4], n_init=1, tol=0).fit(x)
    assert np.allclose(centres, library.cluster_centers_)
    assert np.isclose(reached, library.inertia_)


def test_a_centre_without_rows_is_told():
    with pytest.raises(ValueError, match="a centre has no rows left"):
        fp.k_means(np.zeros((3, 2)), np.array([[0.0, 0], [9, 9]]))


def test_components_are_scikit_learns():
    x = np.random.default_rng(0).normal(size=(100, 5)) @ np.diag([5, 3, 2, 1, 0.5])
    mean, components, share = fp.principal_components(x)
    library = PCA().fit(x)
    assert np.allclose(mean, library.mean_)
    assert np.allclose(share, library.explained_variance_ratio_)
    assert np.allclose(np.abs(np.sum(components * library.components_, axis=1)), 1)


# ── the network ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def small():
    """Weights of a small network, 30 rows and their classes."""
    random = np.random.default_rng(0)
    return (
        fp.random_weights(6, 5, 3, seed=1),
        random.normal(size=(30, 6)),
        random.integers(3, size=30),
    )


def test_back_propagation_is_the_slope_of_the_loss(small):
    assert fp.gradient_error(fp.back_propagate(*small), *small) < 1e-8


@pytest.mark.parametrize("part", range(4))
def test_the_check_finds_a_wrong_gradient(small, part):
    gradient = fp.back_propagate(*small)
    gradient[part] = 1.01 * gradient[part] + 1e-3
    assert fp.gradient_error(gradient, *small) > 5e-4


def test_the_check_leaves_the_weights_as_they_were(small):
    before = [each.copy() for each in small[0]]
    fp.gradient_error(fp.back_propagate(*small), *small)
    assert all(np.array_equal(*pair) for pair in zip(before, small[0], strict=True))


def test_training_lowers_the_loss_and_keeps_the_start(small):
    walk = fp.train_network(*small, step=0.5, steps=50)
    losses = [fp.cross_entropy(weights, *small[1:]) for weights in walk]
    assert len(walk) == 51 and losses[-1] < 0.5 * losses[0]
    assert np.array_equal(walk[0][0], fp.random_weights(6, 5, 3, seed=1)[0])


def test_zeros_never_learn_but_their_last_intercepts(small):
    weights, x, y = small
    W1, b1, W2, b2 = fp.train_network([0 * each for each in weights], x, y, 0.5, 50)[-1]
    assert not W1.any() and not b1.any() and not W2.any() and b2.any()


def test_probabilities_survive_large_scores(small):
    weights, x, _ = small
    _, p = fp.forward([1e4 * each for each in weights], x)
    assert np.isfinite(p).all() and np.allclose(p.sum(axis=1), 1)


# ── the tables ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "rows", "columns"), [("patients", 442, 10), ("tumours", 569, 30), ("digits", 1797, 64)]
)
def test_every_row_is_learned_from_or_held_out(name, rows, columns):
    table = getattr(tables, name)()
    assert len(table.x) + len(table.x_held_out) == rows
    assert table.x.shape[1] == table.x_held_out.shape[1] == len(table.columns) == columns
    assert len(table.x) == len(table.y) and len(table.x_held_out) == len(table.y_held_out)


def test_hours_keep_their_day():
    road = tables.road_hours()
    days = pd.read_parquet(tables.HERE / "data" / "traffic_days.parquet")
    first = days[pd.to_datetime(days["date"]).dt.year == 2018].iloc[0]
    assert road.y_held_out[:24].tolist() == first[tables.HOURS].tolist()
    assert road.x_held_out[:24, 0].tolist() == list(range(24))
    day = pd.Timestamp(first["date"])
    expected = [day.day_of_week, float(pd.notna(first["holiday"])), day.day_of_year]
    assert road.x_held_out[5, 1:].tolist() == expected


def test_scaling_knows_nothing_of_held_out_rows():
    scaled = tables.patients().scaled()
    assert np.allclose(scaled.x.mean(axis=0), 0) and np.allclose(scaled.x.std(axis=0), 1)
    assert np.abs(scaled.x_held_out.mean(axis=0)).max() > 0.01


def test_a_constant_column_is_named():
    table = tables.patients()
    table.x[:, 3] = 7
    with pytest.raises(ValueError, match=f"column '{table.columns[3]}' is constant"):
        table.scaled()


def test_an_unknown_column_is_named():
    assert tables.patients().only("bmi").x.shape[1] == 1
    with pytest.raises(ValueError, match="no column 'weight'; there are age, sex, bmi"):
        tables.patients().only("bmi", "weight")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda days: days.drop(columns="h07"), "no column 'h07'"),
        (lambda days: days[days["date"].astype(str) < "2018"], "no day of 2018"),
    ],
)
def test_a_broken_table_of_days_is_refused(tmp_path, change, message):
    days = pd.read_parquet(tables.HERE / "data" / "traffic_days.parquet")
    change(days).to_parquet(tmp_path / "days.parquet")
    with pytest.raises(ValueError, match=message):
        tables.road_hours(tmp_path / "days.parquet")


# ── the pictures ─────────────────────────────────────────────────────────────────────────────────


def test_the_walk_and_the_lowest_point_are_drawn():
    x, y = make_regression(50, 1, bias=100, random_state=0)
    loss, gradient, longest = fp.squared_error(x, y)
    walk = fp.gradient_descent(gradient, np.zeros(2), 0.3 * longest, 20)
    figures.loss_surfaces({"scaled": loss}, {"scaled": walk}, "A bowl")
    path, star = plt.gcf().axes[0].lines
    assert np.allclose(path.get_xydata(), walk)
    assert np.allclose(
        star.get_xydata()[0], [100, LinearRegression().fit(x, y).coef_[0]], atol=0.01
    )


def test_each_tumour_is_a_tick_of_its_class():
    lengths = {"free": np.arange(9.0), "held": np.ones(9)}
    figures.probabilities(np.array([-2.0, 1, 3]), np.array([0, 0, 1]), lengths, "Ticks")
    _, malignant, benign = plt.gcf().axes[0].lines
    assert malignant.get_xdata().tolist() == [-2, 1] and benign.get_xdata().tolist() == [3]


def test_scores_are_drawn_by_number_of_neighbours():
    figures.neighbours({"raw": {1: 0.5, 9: 0.6}, "scaled": {1: 0.7, 9: 0.8}}, "Scale")
    assert [line.get_ydata().tolist() for line in plt.gca().lines] == [[0.5, 0.6], [0.7, 0.8]]


def test_stairs_are_what_the_tree_says_of_a_tuesday():
    road = tables.road_hours()
    figures.staircases(road, {1: (0, 11.5, 10.0, 20.0)}, "Stairs")
    *tuesdays, stairs = plt.gcf().axes[0].lines
    assert stairs.get_ydata().tolist() == [10.0] * 12 + [20.0] * 12
    assert len(tuesdays) == (road.x_held_out[:, 1] == 1).sum() / 24


def test_the_least_error_is_marked():
    figures.errors_by_tree({"road": ([5, 3, 1], [5, 4, 6])}, "Errors")
    *_, best = plt.gcf().axes[0].lines
    assert best.get_xydata().tolist() == [[1, 4]]


def test_centres_are_shown_beside_their_sum():
    figures.centres([(np.zeros((10, 64)), 3004.4), (np.ones((10, 64)), 3252.7)], "Starts")
    panels = plt.gcf().axes
    assert len(panels) == 20 and panels[10].get_ylabel() == "sum 3,253"


def test_a_digit_is_rebuilt_and_a_network_drawn():
    digits = tables.digits()
    mean, components, _ = fp.principal_components(digits.x)
    figures.plane_and_pictures(digits, mean, components, "Plane")
    *_, thirty, picture = (axes.images[0].get_array() for axes in plt.gcf().axes[1:])
    assert np.abs(thirty - picture).mean() < 0.1
    figures.network_learns({"a": [1, 0.5], "b": [1, 0.7]}, np.eye(64, 32), "Strokes")
    assert len(plt.gcf().axes) == 17
