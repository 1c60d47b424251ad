"""The pictures of notebook 4. Each function draws one figure for the notebook to show.

Blue is what keeps its promise, orange the baseline, grey the past, vermilion what to look at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.dates import ConciseDateFormatter, DateFormatter, DayLocator
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

GOOD, BASELINE, PAST, NOTE = "#0072B2", "#E69F00", "#8C8C8C", "#D55E00"
PERCENT = PercentFormatter(1, decimals=0)


def two_weeks(series: pd.Series, start: str, title: str) -> None:
    """Draw the fortnight from `start` on, and in grey the two weeks before it, shifted."""
    first = pd.Timestamp(start)
    last = first + pd.Timedelta(weeks=2)
    if not series.index[0] <= first < last <= series.index[-1]:
        raise ValueError(f"the fortnight from {start} does not lie within the series")
    shown = series[first:last]
    _, axes = plt.subplots()
    axes.plot(series.shift(168).loc[shown.index], color=PAST, linewidth=1.2, label="a week before")
    axes.plot(shown, color=NOTE, linewidth=1.6, label="this hour")
    axes.xaxis.set_major_locator(DayLocator(interval=2))
    axes.xaxis.set_major_formatter(DateFormatter("%a %d"))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set(title=title, xlabel=f"day of {first:%B %Y}", ylabel="vehicles an hour")
    axes.set_ylim(0, 1.2 * shown.max())
    axes.legend(loc="upper right", ncols=2)


def promise_and_truth(rows: Mapping[str, tuple[float, float]], title: str) -> None:
    """Draw for each model the error that validation promised and the one that came, as dumbbells.

    `rows` maps a name to (promised, came), both WAPE.
    """
    _, axes = plt.subplots(figsize=(7.2, 0.9 + 0.55 * len(rows)))
    for place, (promised, came) in enumerate(rows.values()):
        axes.plot([promised, came], [place, place], color=PAST, linewidth=1.5, zorder=1)
        axes.plot(came, place, "o", color=NOTE, markersize=9, label="live" if not place else None)
        label = "promised" if not place else None
        axes.plot(promised, place, "o", color=GOOD, markersize=6, label=label)
        axes.annotate(
            f"{promised:.1%} → {came:.1%}", (max(promised, came), place), xytext=(10, 0),
            textcoords="offset points", va="center", fontsize=9,
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, 1.25 * max(max(pair) for pair in rows.values()))
    axes.xaxis.set_major_formatter(PERCENT)
    axes.grid(axis="y", visible=False)
    axes.set(title=title, xlabel="error (WAPE; left is better)")
    axes.legend(loc="lower right")


def backtest(
    series: pd.Series, folds: Sequence, errors: Mapping[str, pd.Series], title: str
) -> None:
    """Draw what each fold learns from and forecasts, and below the errors over the same time.

    `errors` are series of WAPE by origin.
    """
    _, (bars, lines) = plt.subplots(2, sharex=True, figsize=(7.2, 5), height_ratios=[1.1, 1])
    for place, fold in enumerate(folds):
        past, test = fold.origin - series.index[0], fold.end - fold.origin
        learn = bars.barh(place, past, left=series.index[0], height=0.6, color="#CFCFCF")
        ahead = bars.barh(place, test, left=fold.origin, height=0.6, color=GOOD)
    # What all folds have learned from is cut short, so that there is room for where they differ.
    bars.set_xlim(folds[0].origin - pd.Timedelta(weeks=26), folds[-1].end + pd.Timedelta(weeks=1))
    bars.legend(
        [learn, ahead],
        [f"learns (from {series.index[0]:%B %Y} on)", "forecasts"],
        loc="upper right",
        ncols=2,
    )
    bars.set_ylim(len(folds) - 0.4, -2.2)
    bars.set_yticks(range(len(folds)), [str(each + 1) for each in range(len(folds))])
    bars.set(title=title, ylabel="fold")
    bars.grid(axis="y", visible=False)
    middle = [fold.origin + (fold.end - fold.origin) / 2 for fold in folds]
    for (name, wapes), colour in zip(errors.items(), (BASELINE, GOOD, PAST), strict=False):
        lines.plot(middle, wapes, "o-", color=colour, label=name, markersize=5)
    lines.yaxis.set_major_formatter(PERCENT)
    lines.set_ylim(0, 1.1 * max(wapes.max() for wapes in errors.values()))
    lines.xaxis.set_major_formatter(ConciseDateFormatter(lines.xaxis.get_major_locator()))
    lines.set(xlabel="date", ylabel="error (WAPE)")
    lines.legend(loc="lower left")


def families(errors: Mapping[str, pd.DataFrame], baseline: pd.Series, title: str) -> None:
    """Draw the error of each set of features in every fold as a dot, their mean as a bar.

    `errors` maps a model's name to WAPE, one column a set of features, one row a fold.
    """
    _, panels = plt.subplots(1, len(errors), figsize=(7.2, 3.8), sharey=True, squeeze=False)
    for axes, (name, table) in zip(panels[0], errors.items(), strict=True):
        for place, column in enumerate(table):
            if table[column].isna().all():
                axes.annotate("left out", (0.01, place), color=PAST, va="center", fontsize=9)
            axes.plot(table[column], [place] * len(table), "o", color=GOOD, alpha=0.35)
            axes.plot(table[column].mean(), place, "|", color=GOOD, markersize=20, mew=3)
        axes.axvline(baseline.mean(), color=BASELINE, linestyle="--", zorder=0)
        axes.annotate(
            "seasonal naive", (baseline.mean(), -0.55), xytext=(4, 0), color="#8A5F00",
            textcoords="offset points", fontsize=8, va="center",
        )  # fmt: skip
        axes.set_yticks(range(table.shape[1]), list(table))
        axes.set_ylim(table.shape[1] - 0.5, -0.8)
        axes.set_xlim(0, None)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(PERCENT)
        axes.set(xlabel="error (WAPE)")
        axes.set_title(name, fontweight="normal", fontsize=10)
    plt.gcf().suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")


def by_horizon(errors: pd.DataFrame, title: str) -> None:
    """Draw the error over the hours ahead (the index): a line a column, at most three."""
    _, axes = plt.subplots()
    last = errors.iloc[-1].rank()
    for name, colour in zip(errors, (GOOD, NOTE, "#8A5F00"), strict=False):
        axes.plot(errors[name], "o-", color=colour, markersize=5)
        # The lowest name stands a little below its line, the others above theirs.
        lift = -5 if last[name] == 1 else 4
        axes.annotate(
            name, (errors.index[-1], errors[name].iloc[-1]), xytext=(8, lift),
            textcoords="offset points", va="center", color=colour, fontsize=9,
        )  # fmt: skip
    axes.set_xticks(errors.index)
    axes.set_xlim(0, 1.36 * errors.index[-1])
    axes.set_ylim(0, None)
    axes.yaxis.set_major_formatter(PERCENT)
    axes.set(title=title, xlabel="hours ahead", ylabel="error (WAPE)")
