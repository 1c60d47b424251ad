"""The pictures of notebook 5. Each function draws one figure for the notebook to show."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.ticker import MultipleLocator, PercentFormatter, StrMethodFormatter

BLUE, ORANGE, GREY = "#0072B2", "#E69F00", "#8C8C8C"


def where_rows_went(receipts: pd.DataFrame, title: str) -> None:
    """Draw, left, the rows of each file by where they are now; right, the bad rows by reason.

    `receipts` has the columns `curated`, `quarantined` and `reasons` (rule -> rows), indexed by
    file. Reasons of files that are in quarantine as a whole stand in their bars, not on the right.
    """
    whole = receipts["curated"] == 0
    rules: dict[str, int] = {}
    for reasons in receipts.loc[~whole, "reasons"]:
        for rule, rows in reasons.items():
            rules[rule] = rules.get(rule, 0) + rows
    rules = dict(sorted(rules.items(), key=lambda each: -each[1]))
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(7.2, 1.1 + 0.3 * len(receipts)), width_ratios=(2, 1)
    )
    left.barh(receipts.index, receipts["curated"], color=BLUE, label="curated")
    bars = left.barh(
        receipts.index,
        receipts["quarantined"],
        left=receipts["curated"],
        color=ORANGE,
        label="quarantined",
    )
    names = [
        f"{next(iter(row.reasons))}: whole file" if not row.curated else ""
        for row in receipts.itertuples()
    ]
    left.bar_label(bars, names, label_type="center", fontsize=9)
    most = (receipts["curated"] + receipts["quarantined"]).max()
    left.set(xlabel="rows of the file", xlim=(0, 1.04 * most))
    left.xaxis.set_major_locator(MultipleLocator(10_000))
    left.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    left.invert_yaxis()
    left.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    bars = right.barh(list(rules), list(rules.values()), color=ORANGE)
    right.bar_label(bars, padding=3)
    right.set(xlabel="bad rows in good files", xlim=(0, 1.3 * max(rules.values(), default=1)))
    right.xaxis.get_major_locator().set_params(integer=True)
    right.invert_yaxis()
    for axes in (left, right):
        axes.grid(axis="y", visible=False)
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)


def late_share(parts: Mapping[str, pd.DataFrame], time: str, label: str, title: str) -> None:
    """Draw the share of rows with the label in each month, coloured by the part it belongs to.

    Each part has a column `time` of dates and a column `label` of 0 and 1.
    """
    _, axes = plt.subplots(figsize=(7.2, 3))
    for (name, rows), colour in zip(parts.items(), (GREY, BLUE, ORANGE), strict=True):
        shares = rows.groupby(rows[time].dt.to_period("M"))[label].mean()
        labels = [month.strftime("%b") for month in shares.index]
        bars = axes.bar(labels, shares, color=colour, label=name)
        axes.bar_label(bars, [f"{share:.0%}" for share in shares], padding=2)
    axes.set(title=title, ylabel="late flights", xlabel="month of 2013")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_ylim(0, 1.25 * max(rows[label].mean() for rows in parts.values()))
    axes.legend(ncols=3, loc="upper left")
    axes.grid(axis="x", visible=False)
