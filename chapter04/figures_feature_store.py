"""The pictures of notebook 4. Each function draws one figure for the notebook to show."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#8C8C8C"
_NEW_YORK = "America/New_York"


def timeline(
    states: pd.DataFrame, flight: Mapping[str, str], picks: Mapping[str, pd.Series], title: str
) -> None:
    """Draw the states of one airport over a day, a flight's two moments, and what joins pick.

    Args:
        states: `event_time` (UTC) and `delay_now` (minutes), one airport, oldest first.
        flight: `asked_at` and `scheduled_at`, ISO 8601.
        picks: name of a join -> the row of `states` that it takes; one that lies outside of the
            picture is shown at its right edge. Drawn in the order as of, same hour, latest.
        title: what there is to see.

    Raises:
        ValueError: if no state lies on the flight's day.
    """
    asked, leaves = (pd.Timestamp(flight[name]) for name in ("asked_at", "scheduled_at"))
    begin, end = asked - pd.Timedelta(hours=9), leaves + pd.Timedelta(hours=4)
    seen = states[(states["event_time"] >= begin) & (states["event_time"] <= end)]
    if seen.empty:
        raise ValueError(f"There are no states between {begin} and {end}.")
    figure, axes = plt.subplots(figsize=(7.2, 3.8))
    axes.axvspan(asked, end, color="#F2F2F2", zorder=0)
    axes.step(seen["event_time"], seen["delay_now"], where="post", color=GREY, lw=1.2)
    axes.plot(seen["event_time"], seen["delay_now"], "o", color=GREY, ms=5)
    top = 1.35 * max(seen["delay_now"].max(), 1)
    for moment, text in ((asked, "asked"), (leaves, "should leave")):
        axes.axvline(moment, color="black", lw=1, ls="--")
        axes.annotate(f" {text}", (moment, top), va="top", fontsize=9)
    for (name, row), color, marker in zip(
        picks.items(), (GREEN, RED, ORANGE), ("o", "s", "D"), strict=False
    ):
        inside = row["event_time"] <= end
        at = row["event_time"] if inside else end
        value = min(row["delay_now"], top)
        axes.plot(at, value, marker, ms=12, mfc="none", mec=color, mew=2.5, clip_on=False)
        label = name if inside else f"{name} →"
        known = row["event_time"] <= asked
        shift, align = ((8, 10), "left") if inside and not known else ((-10, 10), "right")
        axes.annotate(
            label, (at, value), shift, textcoords="offset points", ha=align, color=color,
            fontweight="bold", fontsize=9,
        )  # fmt: skip
    axes.annotate("not known yet", (end, 0), (-4, 4), textcoords="offset points", ha="right",
                  fontsize=9, color="#666666")  # fmt: skip
    axes.xaxis.set_major_formatter(mdates.DateFormatter("%H:%M", tz=_NEW_YORK))
    axes.set(
        xlabel=f"{leaves.tz_convert(_NEW_YORK):%A, %d %B %Y}, New York time",
        ylabel="delay_now (minutes)",
        title=title,
        xlim=(begin, end),
        ylim=(min(0.0, 1.1 * seen["delay_now"].min()), top),
    )
    axes.grid(axis="x", visible=False)
    plt.show()


def claims(scores: pd.DataFrame, baseline: float, title: str) -> None:
    """Draw what the validation says of each join, and what the model does when it serves.

    Args:
        scores: `validation` and `serving`, areas under the ROC curve; the index names the join.
        baseline: the area without the features of the store.
        title: what there is to see.
    """
    figure, axes = plt.subplots(figsize=(7.2, 0.9 + 0.55 * len(scores)))
    places = np.arange(len(scores))[::-1]
    axes.hlines(places, scores["serving"], scores["validation"], color="#BBBBBB", lw=3, zorder=1)
    axes.plot(scores["validation"], places, "o", ms=10, mfc="white", mec=ORANGE, mew=2.5,
              label="validation says")  # fmt: skip
    axes.plot(scores["serving"], places, "o", ms=7, color=BLUE, label="serving gets")
    axes.axvline(baseline, color="black", lw=1, ls="--")
    axes.annotate(f" schedule only {baseline:.2f}", (baseline, len(scores) - 0.45), fontsize=9)
    for place, (_, row) in zip(places, scores.iterrows(), strict=True):
        for value in {round(row["validation"], 2), round(row["serving"], 2)}:
            aside = 16 if abs(value - baseline) < 0.005 else 0
            axes.annotate(f"{value:.2f}", (value, place), (aside, -16), textcoords="offset points",
                          ha="center", fontsize=9)  # fmt: skip
    axes.set_yticks(places, scores.index)
    axes.set(xlabel="area under the ROC curve, 6 to 12 May", ylim=(-0.7, len(scores) - 0.15))
    axes.set_xlim(scores.min().min() - 0.02, scores.max().max() + 0.02)
    axes.grid(axis="y", visible=False)
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)
    axes.legend(loc="lower right")
    plt.show()


def skew(
    evening: Mapping[str, pd.DataFrame], training: pd.Series, serving: pd.Series, title: str
) -> None:
    """Draw one feature computed in two places: over an evening, and flight by flight.

    Args:
        evening: name of the place -> `event_time` (UTC) and `delay_now` (minutes) of one airport.
        training, serving: the feature for the same flights, in the same order.
        title: what there is to see.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.5), width_ratios=(1.4, 1))
    for (name, states), color in zip(evening.items(), (ORANGE, BLUE), strict=False):
        left.plot(states["event_time"], states["delay_now"], color=color, marker="o", ms=4)
        row = states.loc[states["delay_now"].idxmax()]
        left.annotate(name, (row["event_time"], row["delay_now"]), (0, 7), ha="center",
                      textcoords="offset points", color=color, fontweight="bold",
                      fontsize=9)  # fmt: skip
    first = next(iter(evening.values()))["event_time"].iloc[0].tz_convert(_NEW_YORK)
    left.xaxis.set_major_formatter(mdates.DateFormatter("%H", tz=_NEW_YORK))
    left.set(xlabel=f"hour of {first:%d %B}, New York time", ylabel="delay_now (minutes)")
    left.margins(y=0.15)
    low, high = -15.0, float(np.nanmax([training.max(), serving.max()]))
    right.plot([low, high], [low, high], color="black", lw=1, ls="--")
    right.plot(training, serving, ".", ms=2, color=GREY, rasterized=True)
    right.set(xlabel="training (minutes)", ylabel="serving (minutes)")
    right.set(aspect="equal", xlim=(low - 5, high + 5), ylim=(low - 5, high + 5))
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)
    plt.show()
