"""The pictures of notebook 4. Each function draws one figure for the notebook to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.ticker import StrMethodFormatter

BLUE, ORANGE, GREY = "#0072B2", "#E69F00", "#8C8C8C"


def forgotten(dollars: Mapping[str, float], budget: float, title: str) -> None:
    """Draw what each forgotten thing costs in a month, and the budget as a line."""
    _, axes = plt.subplots(figsize=(7.2, 1.2 + 0.42 * len(dollars)))
    values = list(dollars.values())
    colours = [ORANGE if value > budget else BLUE for value in values]
    bars = axes.barh(list(dollars), values, color=colours)
    axes.bar_label(bars, [f"{value:,.0f}" for value in values], padding=4)
    axes.axvline(budget, color=GREY, linestyle="--")
    axes.text(budget, -0.62, f" budget: {budget:.0f}", color="#555555")
    axes.set(title=title, xlabel="dollars a month (logarithmic scale)", xscale="log")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_xlim(1, 4 * max(values))
    axes.set_ylim(len(values) - 0.5, -0.95)
    axes.grid(axis="y", visible=False)


def permissions(allowed: pd.DataFrame, title: str) -> None:
    """Draw a table of what is allowed (True) and what is not, with a word in each field."""
    _, axes = plt.subplots(figsize=(7.2, 0.9 + 0.42 * len(allowed)))
    for row, values in enumerate(allowed.to_numpy()):
        for column, value in enumerate(values):
            colour = BLUE if value else "#EFEFEF"
            axes.add_patch(plt.Rectangle((column, row), 0.96, 0.9, color=colour))
            ink = "white" if value else "#555555"
            word = "allowed" if value else "denied"
            axes.text(column + 0.48, row + 0.45, word, ha="center", va="center", color=ink)
    axes.set_xlim(0, len(allowed.columns))
    axes.set_ylim(len(allowed), 0)
    axes.set_xticks([each + 0.48 for each in range(len(allowed.columns))], allowed.columns)
    axes.set_yticks([each + 0.45 for each in range(len(allowed))], allowed.index)
    axes.tick_params(length=0)
    axes.xaxis.tick_top()
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_title(title)


def quotas(names: Sequence[str], values: Sequence[float], needed: Sequence[float]) -> None:
    """Draw what is needed of each quota as a share of what the account has.

    A quota of 0 with a need shows as a full bar in the colour of a warning.
    """
    shares = [
        min(need / value, 1.0) if value else 1.0 for value, need in zip(values, needed, strict=True)
    ]
    enough = [value >= need for value, need in zip(values, needed, strict=True)]
    _, axes = plt.subplots(figsize=(7.2, 1.0 + 0.42 * len(names)))
    axes.barh(names, [1.0] * len(names), color="#EFEFEF")
    axes.barh(names, shares, color=[BLUE if each else ORANGE for each in enough])
    for row, (value, need) in enumerate(zip(values, needed, strict=True)):
        axes.text(1.02, row, f"{need:,.0f} of {value:,.0f}", va="center")
    lacking = enough.count(False)
    title = "Enough of every quota" if not lacking else f"Ask for more of {lacking} of {len(names)}"
    axes.set(title=title, xlabel="share of the quota that the book needs", xlim=(0, 1.2))
    axes.set_xticks([0, 0.5, 1], ["0", "half", "all"])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False)
