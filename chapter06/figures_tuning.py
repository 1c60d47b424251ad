"""The pictures of notebook 2. Each function draws one figure for the notebook to show."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

COLOURS = {"random": "#0072B2", "Bayesian": "#D55E00", "Hyperband": "#009E73", "grid": "#CC79A7"}
_GREY = "#8C8C8C"
_PLAIN = FuncFormatter(lambda value, _: f"{value:g}")


def spread(losses: pd.Series, title: str) -> None:
    """Draw the log losses of the same settings under several seeds as points on a line."""
    _, axes = plt.subplots(figsize=(7, 1.8))
    axes.plot(losses, np.zeros(len(losses)), "o", color=_GREY, alpha=0.7, markersize=9)
    axes.set(yticks=[], ylim=(-1, 1), xlabel="log loss in October", title=title)


def tried(frames: Mapping[str, pd.DataFrame], title: str) -> None:
    """Draw the pairs of eta and max_depth that each strategy has tried; the best one is marked.

    `frames` have the columns `eta`, `max_depth` and `FinalObjectiveValue`, by strategy.
    """
    figure, panels = plt.subplots(1, len(frames), figsize=(9, 3.2), sharex=True, sharey=True)
    for axes, (name, frame) in zip(np.atleast_1d(panels), frames.items(), strict=True):
        axes.scatter(frame["eta"], frame["max_depth"], s=45, color=COLOURS[name], alpha=0.7)
        best = frame.loc[frame["FinalObjectiveValue"].idxmin()]
        axes.scatter(best["eta"], best["max_depth"], s=170, facecolors="none", edgecolors="black")
        axes.set(xlabel="eta", title=name)
        _logarithmic(axes)
    np.atleast_1d(panels)[0].set_ylabel("max_depth")
    figure.suptitle(title)


def response(
    x: np.ndarray, y: np.ndarray, expected: np.ndarray, jobs: pd.DataFrame, title: str
) -> None:
    """Draw the expected log loss over eta and max_depth, and the jobs that it was learned from.

    Args:
        x, y: the grid's values of eta (n,) and max_depth (m,); `expected`: (m, n).
    """
    _, axes = plt.subplots()
    filled = axes.contourf(x, y, expected, levels=12, cmap="cividis_r")
    axes.scatter(jobs["eta"], jobs["max_depth"], color="white", edgecolors="black", s=30)
    axes.set(xlabel="eta", ylabel="max_depth", title=title)
    _logarithmic(axes)
    plt.colorbar(filled, ax=axes, label="expected log loss in October")


def best_so_far(
    frames: Mapping[str, pd.DataFrame], yardstick: Mapping[str, float], noise: float, title: str
) -> None:
    """Draw how the best log loss falls with the number of jobs.

    Args:
        frames: with the columns `job` and `best`, by strategy.
        yardstick: levels to compare with, by name.
        noise: what a seed changes, drawn as a band around the lowest level.
    """
    _, axes = plt.subplots()
    for name, frame in frames.items():
        axes.step(frame["job"], frame["best"], where="post", color=COLOURS[name], label=name)
    for name, level in yardstick.items():
        axes.axhline(level, color=_GREY, linestyle="--", linewidth=1)
        axes.text(0.99, level, name, transform=axes.get_yaxis_transform(), ha="right", va="bottom")
    low = min(frame["best"].min() for frame in frames.values())
    axes.axhspan(low, low + noise, color=_GREY, alpha=0.25, label="what a seed changes")
    axes.set(xlabel="training jobs", ylabel="best log loss in October", title=title)
    axes.legend(loc="upper right")


def promise_and_truth(jobs: pd.DataFrame, title: str) -> None:
    """Draw the log loss of each job in October against the one in the test months.

    `jobs` have the columns `strategy`, `FinalObjectiveValue` and `test`.
    """
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.6))
    middle = jobs["FinalObjectiveValue"].median()
    for axes, shown, name in (
        (panels[0], jobs, "all jobs"),
        (panels[1], jobs[jobs["FinalObjectiveValue"] <= middle], "the better half"),
    ):
        for strategy, group in shown.groupby("strategy", sort=False):
            axes.scatter(
                group["FinalObjectiveValue"], group["test"], color=COLOURS[strategy], label=strategy
            )
        chosen = shown.loc[shown["FinalObjectiveValue"].idxmin()]
        axes.scatter(
            chosen["FinalObjectiveValue"], chosen["test"], s=170, facecolors="none",
            edgecolors="black", label="chosen",
        )  # fmt: skip
        axes.set(xlabel="log loss in October", title=name)
    panels[0].set_ylabel("log loss in November, December")
    panels[0].legend(loc="upper left")
    figure.suptitle(title)


def gains(rows: pd.DataFrame, title: str) -> None:
    """Draw gains in log loss with their intervals, one bar a row.

    `rows` have the columns `gain`, `low` and `high`; the index names them.
    """
    _, axes = plt.subplots(figsize=(7, 2.8))
    places = np.arange(len(rows))[::-1]
    errors = [rows["gain"] - rows["low"], rows["high"] - rows["gain"]]
    axes.barh(places, rows["gain"], xerr=errors, color="#0072B2", alpha=0.85, capsize=4)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(places, rows.index)
    axes.set(xlabel="log loss gained on the test months, 95 % interval", title=title)


def _logarithmic(axes: Axes) -> None:
    """Label the powers of ten of a logarithmic x axis as plain numbers."""
    axes.set_xscale("log")
    axes.set_xticks([0.01, 0.03, 0.1, 0.3])
    axes.xaxis.set_major_formatter(_PLAIN)
    axes.xaxis.set_minor_formatter(NullFormatter())
