"""How much of a data set does training need? Sizes, samples, and what they are worth.

A *customer* is the unit of everything here: samples draw customers with all their lines, never
lines, since a customer of whom half the lines are missing is another customer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from sklearn.base import ClassifierMixin, clone
from sklearn.cluster import KMeans
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

LABEL = "buys_again"
AHEAD = pd.Timedelta(days=90)
# Athena: us-east-1, 2026-11-23. https://aws.amazon.com/athena/pricing/
DOLLARS_PER_TERABYTE = 5
LEAST_BYTES = 10_000_000


class SampleError(ValueError):
    """The sample that was asked for cannot be drawn; the message names the remedy."""


# ------------------------------------------------------------------------------------------ sizes


def query_price(scanned_bytes: float) -> float:
    """What Athena charges for a query, in dollars: by the byte, but 10 MB at least."""
    return max(scanned_bytes, LEAST_BYTES) / 1e12 * DOLLARS_PER_TERABYTE


def row_groups(metadata: pq.FileMetaData, column: str) -> pd.DataFrame:
    """Least and greatest value of a column in each row group, its rows, and its bytes in all.

    A group in which the column is empty has neither.

    Raises:
        KeyError: if the file has no such column.
        ValueError: if the file keeps no statistics of it, so that no reader can skip anything.
    """
    names = metadata.schema.names
    if column not in names:
        raise KeyError(f"the file has no column {column!r}, only {', '.join(names)}")
    place = names.index(column)
    rows = []
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        statistics = group.column(place).statistics
        empty = statistics is not None and statistics.null_count == group.num_rows
        if not empty and (statistics is None or not statistics.has_min_max):
            raise ValueError(f"row group {number} has no statistics of {column!r}")
        stored = sum(group.column(each).total_compressed_size for each in range(len(names)))
        bounds = (None, None) if empty else (statistics.min, statistics.max)
        rows.append((*bounds, group.num_rows, stored))
    return pd.DataFrame(rows, columns=["min", "max", "rows", "bytes"])


def may_hold(groups: pd.DataFrame, low: Any, high: Any) -> pd.Series:
    """Which row groups may hold a value from `low` to `high`; the others need not be read."""
    return (groups["max"] >= low) & (groups["min"] <= high)


# ----------------------------------------------------------------------------- what is to be learnt


def customer_features(lines: pd.DataFrame, at: pd.Timestamp) -> pd.DataFrame:
    """What is known of each customer at a moment, from the lines before it.

    The label says whether the customer buys in the 90 days from then on. Lines without a customer
    say nothing; a cancelled invoice (its number starts with C) is no purchase.

    Raises:
        SampleError: if nobody has bought before, or the lines do not reach 90 days on.
    """
    named = lines.dropna(subset="customer_id")
    bought = named[~named["invoice"].str.startswith("C")]
    past = bought[bought["invoice_date"] < at]
    if past.empty:
        raise SampleError(f"nobody bought anything before {at}; choose a later moment")
    if lines["invoice_date"].max() < at + AHEAD - pd.Timedelta(days=1):
        raise SampleError(f"the lines end less than 90 days after {at}; choose an earlier moment")

    orders = past.assign(spend=past["quantity"] * past["price"]).groupby(["customer_id", "invoice"])
    orders = orders.agg(at=("invoice_date", "min"), spend=("spend", "sum"), lines=("spend", "size"))
    orders = orders.reset_index()
    recent = orders[orders["at"] >= at - AHEAD].groupby("customer_id")
    customers = orders.groupby("customer_id")
    day = pd.Timedelta(days=1)
    table = pd.DataFrame(
        {
            "days_since_last": (at - customers["at"].max()) / day,
            "days_since_first": (at - customers["at"].min()) / day,
            "orders": customers.size(),
            "spend": customers["spend"].sum(),
            "lines": customers["lines"].sum(),
        }
    )
    table["recent_orders"] = recent.size().reindex(table.index, fill_value=0)
    table["recent_spend"] = recent["spend"].sum().reindex(table.index, fill_value=0)
    cancelled = named[(named["invoice_date"] < at) & named["invoice"].str.startswith("C")]
    returns = cancelled.groupby("customer_id")["invoice"].nunique()
    table["returns"] = returns.reindex(table.index, fill_value=0)
    later = bought[bought["invoice_date"].between(at, at + AHEAD, inclusive="left")]
    table[LABEL] = table.index.isin(later["customer_id"].unique()).astype(int)
    return table


def snapshots(lines: pd.DataFrame, moments: Iterable[pd.Timestamp]) -> pd.DataFrame:
    """`customer_features` at several moments, one below the other; indexed by customer."""
    return pd.concat([customer_features(lines, at).assign(at=at) for at in moments])


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """The features for a linear model: amounts and counts on a logarithmic scale."""
    features = table.drop(columns=[LABEL, "at"], errors="ignore").astype(float)
    return np.log1p(features.clip(lower=0))


# ---------------------------------------------------------------------------------------- samples


def random_sample(table: pd.DataFrame, size: int, random: np.random.Generator) -> pd.Series:
    """So many customers, each as likely as any other, with their weights: all the same.

    Raises:
        SampleError: if the table has fewer, or fewer than one is asked for.
    """
    _check_size(table, size)
    chosen = random.choice(len(table), size=size, replace=False)
    return pd.Series(len(table) / size, index=table.index[np.sort(chosen)])


def stratified_sample(
    table: pd.DataFrame,
    size: int,
    random: np.random.Generator,
    strata: pd.Series,
    spread: pd.Series | None = None,
) -> pd.Series:
    """So many customers, from each stratum its share, and one from the smallest at least.

    A weight says how many customers one stands for. `strata` has the index of the table. With
    `spread`, a value by customer, strata in which it varies more get more: in proportion to their
    size times its standard deviation (Neyman, 1934). Where it is missing, nothing is known.

    Raises:
        SampleError: if a customer has no stratum, there are more strata than customers asked for,
            or fewer customers than that.
    """
    _check_size(table, size)
    strata = strata.reindex(table.index)
    if strata.isna().any():
        raise SampleError(f"{strata.isna().sum()} customers have no stratum; give them one")
    counts = strata.value_counts().sort_index()
    if len(counts) > size:
        raise SampleError(f"{len(counts)} strata need as many customers, not {size}; merge strata")
    importance = counts.astype(float)
    if spread is not None:
        importance *= _deviations(spread.reindex(table.index), strata, counts)
    quotas = _quotas(counts, importance, size)
    positions = pd.Series(np.arange(len(table)))
    drawn = []
    for stratum, members in positions.groupby(strata.to_numpy()):
        chosen = random.choice(members.to_numpy(), size=quotas[stratum], replace=False)
        weight = len(members) / quotas[stratum]
        drawn.append(pd.Series(weight, index=table.index[np.sort(chosen)]))
    return pd.concat(drawn)


def cluster_sample(
    features: pd.DataFrame, size: int, random: np.random.Generator, clusters: int = 20
) -> pd.Series:
    """Customers out of clusters of like ones, each cluster by its share.

    Clusters are strata that nobody had to define: `KMeans` on standardised features.
    """
    labels = cluster_labels(features, min(clusters, size), int(random.integers(2**31)))
    return stratified_sample(features, size, random, labels)


def representatives(features: pd.DataFrame, size: int, seed: int = 0) -> pd.Series:
    """The customer nearest to the centre of each of so many clusters, weighted by its cluster.

    Raises:
        SampleError: if there are fewer different customers than that.
    """
    _check_size(features, size)
    scaled = StandardScaler().fit_transform(features)
    if len(np.unique(scaled, axis=0)) < size:
        raise SampleError(f"fewer than {size} customers differ from each other; ask for fewer")
    with threadpool_limits(limits=1):
        means = KMeans(size, n_init=1, random_state=seed).fit(scaled)
    distance = np.linalg.norm(scaled - means.cluster_centers_[means.labels_], axis=1)
    members = pd.DataFrame({"cluster": means.labels_, "distance": distance})
    nearest = members.groupby("cluster")["distance"].idxmin()
    return pd.Series(members.groupby("cluster").size().to_numpy(float), features.index[nearest])


def cluster_labels(features: pd.DataFrame, clusters: int, seed: int) -> pd.Series:
    """The cluster of each customer."""
    scaled = StandardScaler().fit_transform(features)
    with threadpool_limits(limits=1):
        labels = KMeans(clusters, n_init=1, random_state=seed).fit_predict(scaled)
    return pd.Series(labels, index=features.index)


def _deviations(spread: pd.Series, strata: pd.Series, counts: pd.Series) -> pd.Series:
    """The standard deviation in each stratum; of all, where too little is known of one.

    A stratum of one customer has none: drawn whole, it leaves nothing to chance.
    """
    deviations = spread.groupby(strata).std()
    return deviations.fillna(spread.std()).where(counts > 1, 0)


def _quotas(counts: pd.Series, importance: pd.Series, size: int) -> dict[Any, int]:
    """How many to draw from each stratum: by importance, but one at least and all at most."""
    exact = importance / importance.sum() * size
    quotas = np.minimum(np.maximum(np.floor(exact), 1), counts).astype(int)
    # What rounding and full strata left goes to the largest remainders, and the other way round.
    while quotas.sum() < size:
        quotas[(exact - quotas).where(quotas < counts).idxmax()] += 1
    while quotas.sum() > size:
        quotas[(quotas - exact).where(quotas > 1).idxmax()] -= 1
    return quotas.to_dict()


def _check_size(table: pd.DataFrame, size: int) -> None:
    if size < 1:
        raise SampleError(f"a sample of {size} customers says nothing; ask for 1 at least")
    if size > len(table):
        raise SampleError(f"a sample of {size} customers out of {len(table)}; ask for fewer")


# ---------------------------------------------------------------------------------- what they tell


def weighted_mean(values: pd.Series, sample: pd.Series) -> float:
    """The mean that a sample (weights by customer) estimates for all customers."""
    return float(np.average(values.loc[sample.index], weights=sample))


def error_of_estimates(truth: float, estimates: Sequence[float]) -> float:
    """Root mean square error, relative to the truth."""
    return float(np.sqrt(np.mean((np.asarray(estimates) / truth - 1) ** 2)))


def estimate_errors(
    table: pd.DataFrame,
    columns: Mapping[str, str],
    ways: Mapping[str, Callable[..., pd.Series]],
    sizes: Iterable[int],
    draws: int = 30,
) -> dict[str, pd.DataFrame]:
    """The relative error of estimated means, over so many draws.

    `columns` maps a title to a column of the table; for each title the result has a table, a row a
    size and a column a way to sample.
    """
    rows: dict[str, dict[int, dict[str, float]]] = {title: {} for title in columns}
    for size in sizes:
        for name, way in ways.items():
            samples = [way(table, size, np.random.default_rng(seed)) for seed in range(draws)]
            for title, column in columns.items():
                said = [weighted_mean(table[column], sample) for sample in samples]
                error = error_of_estimates(table[column].mean(), said)
                rows[title].setdefault(size, {})[name] = error
    return {title: pd.DataFrame(each).T for title, each in rows.items()}


def score(
    model: ClassifierMixin,
    train: pd.DataFrame,
    test: pd.DataFrame,
    weights: pd.Series | None = None,
) -> float:
    """Area under the ROC curve on the test table, of a model fitted on the train table.

    `weights` are by customer. A sample in which all buy, or none, cannot be learnt from.

    Raises:
        SampleError: if there is only one class to learn.
    """
    if train[LABEL].nunique() < 2:
        raise SampleError(f"all {len(train)} rows of the sample have the same label; draw more")
    each = None if weights is None else weights.loc[train.index].to_numpy()
    keywords = {} if each is None else {f"{model.steps[-1][0]}__sample_weight": each}
    with threadpool_limits(limits=1):  # tables this small gain nothing from more
        fitted = clone(model).fit(numbers(train), train[LABEL], **keywords)
        probabilities = fitted.predict_proba(numbers(test))[:, 1]
    return float(roc_auc_score(test[LABEL], probabilities))


def enough(curve: pd.DataFrame, tolerance: float) -> int:
    """The smallest size from which on the mean score stays within `tolerance` of the last one.

    `curve` has a row a draw, with the columns `size` and `score`.
    """
    means = curve.groupby("size")["score"].mean()
    close = means >= means.iloc[-1] - tolerance
    steady = close[::-1].cummin()[::-1].astype(bool)
    return int(steady.index[steady][0])


def learning_curve(
    model: ClassifierMixin,
    train: pd.DataFrame,
    test: pd.DataFrame,
    sizes: Iterable[int],
    draw: Callable[[int, np.random.Generator], pd.Series],
    draws: int = 5,
) -> pd.DataFrame:
    """Scores of a model that learned from samples: a row a draw, with `size` and `score`.

    `draw` gives the customers of a sample with their weights. All rows of a customer come with it.
    """
    rows = []
    for size in sizes:
        for seed in range(draws):
            sample = draw(size, np.random.default_rng(seed))
            part = train[train.index.isin(sample.index)]
            rows.append((size, score(model, part, test, sample)))
    return pd.DataFrame(rows, columns=["size", "score"])
