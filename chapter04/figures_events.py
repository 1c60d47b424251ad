"""The pictures of notebook 1."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

PARTS = {
    "used": ("became features", "#0072B2"),
    "without_customer": ("without a customer", "#E69F00"),
    "duplicates": ("duplicates", "#D55E00"),
}


def fate_of_lines(manifests: pd.DataFrame, title: str) -> Axes:
    """What became of the lines of each day, as bars that add up to the file.

    Args:
        manifests: a row for each day, with the columns of `PARTS`.
        title: what there is to see.
    """
    _, axes = plt.subplots()
    start = np.zeros(len(manifests))
    for column, (label, color) in PARTS.items():
        axes.barh(manifests.index, manifests[column], left=start, color=color, label=label)
        start += manifests[column].to_numpy()
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("lines of the file")
    axes.set_title(title, pad=28)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(PARTS))
    return axes


def revenue_curve(table: pd.DataFrame, title: str) -> Axes:
    """The share of revenue that the biggest customers bring.

    Args:
        table: with `revenue`, a row for each customer; those who only sent back are left out.
        title: what there is to see.
    """
    revenue = table.loc[table["revenue"] > 0, "revenue"].sort_values(ascending=False)
    share = 100 * revenue.cumsum() / revenue.sum()
    customers = 100 * np.arange(1, len(share) + 1) / len(share)
    _, axes = plt.subplots()
    axes.plot(customers, share)
    axes.plot([0, 100], [0, 100], color="#888888", linewidth=1, linestyle="--")
    at = int(np.searchsorted(customers, 20))
    axes.plot(customers[at], share.iloc[at], "o", color="#D55E00")
    axes.annotate(
        f"a fifth of the customers:\n{share.iloc[at]:.0f} % of the revenue",
        (customers[at], share.iloc[at]),
        xytext=(14, -30),
        textcoords="offset points",
    )
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 103)
    axes.set_xlabel("customers, biggest first (%)")
    axes.set_ylabel("revenue (%)")
    axes.set_title(title)
    return axes
