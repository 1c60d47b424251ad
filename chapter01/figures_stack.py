"""The pictures of the tour: how big the services are, where they run, and when doors closed."""

from __future__ import annotations

import datetime
import re
import textwrap
from collections.abc import Sequence

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#8C8C8C"
_LAYER_COLOURS = (BLUE, ORANGE, GREEN)
_STATUS_COLOURS = {
    "open": BLUE,
    "renamed": "#56B4E9",
    "closed to new customers": ORANGE,
    "ended": "#555555",
}
_LABEL_WIDTH = 62  # characters in a line of a label in the timeline


def size_and_spread(table: pd.DataFrame, title: str) -> None:
    """Draw operations and regions of each service, coloured by layer.

    `table` is indexed by client and has the columns `layer`, `operations` and `regions`.
    """
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(7.2, 1.2 + 0.21 * len(table)), sharey=True, width_ratios=(3, 2)
    )
    layers = list(dict.fromkeys(table["layer"]))
    colours = table["layer"].map(dict(zip(layers, _LAYER_COLOURS, strict=False)))
    places = range(len(table))
    left.barh(places, table["operations"], color=colours)
    left.set(xlabel="operations (logarithmic scale)", xscale="log", xlim=(1, 1500))
    right.barh(places, table["regions"], color=colours)
    right.set(xlabel="regions in the SDK's list")
    for place, regions in zip(places, table["regions"], strict=True):
        if not regions:
            right.text(0.4, place, "no list", va="center", color="#555555", fontsize=8)
    left.set_yticks(places, table.index, fontsize=9)
    left.invert_yaxis()
    for axes in (left, right):
        axes.grid(axis="y", visible=False)
        axes.margins(y=0.01)
    handles = [
        plt.Rectangle((0, 0), 1, 1, color=colour)
        for colour, _ in zip(_LAYER_COLOURS, layers, strict=False)
    ]
    figure.legend(handles, layers, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)


def status_by_layer(table: pd.DataFrame, title: str) -> None:
    """Draw how many services of each layer have which status, as stacked bars with numbers.

    `table` has the columns `layer` and `status`, one row a service.
    """
    _, axes = plt.subplots(figsize=(7.2, 2.6))
    layers = list(dict.fromkeys(table["layer"]))
    start = pd.Series(0, index=layers)
    for status, colour in _STATUS_COLOURS.items():
        count = table[table["status"] == status].groupby("layer").size().reindex(layers).fillna(0)
        bars = axes.barh(layers, count, left=start, color=colour, label=status)
        ink = "black" if status in ("renamed", "closed to new customers") else "white"
        axes.bar_label(
            bars, [f"{n:.0f}" if n else "" for n in count], label_type="center", color=ink
        )
        start = start + count
    axes.set(title=title, xlabel="services and features that the book uses")
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.28), ncols=4)


def closings(table: pd.DataFrame, today: datetime.date, title: str) -> None:
    """Draw a timeline of closings: a row for each day, with the names of what closed on it.

    `table` has the columns `service`, `status` (closed to new customers or ended), `since` and
    `ends`; a day in `ends` is drawn as announced, with a hollow mark.
    """
    days = _days(table)
    labels = [textwrap.wrap(", ".join(names), _LABEL_WIDTH) for _, _, names in days]
    heights = [0.5 + 0.5 * len(lines) for lines in labels]
    _, axes = plt.subplots(figsize=(7.2, 1.1 + 0.27 * sum(heights)))
    axes.axvline(pd.Timestamp(today), color=GREY, linestyle="--", linewidth=1)
    place = 0.0
    for (day, kind, names), lines, height in zip(days, labels, heights, strict=True):
        _event(axes, day, place + height / 2, kind, len(names), lines)
        place += height
    axes.set_ylim(place, -0.9)
    axes.text(pd.Timestamp(today), -0.35, f" checked {today:%d %b %Y}", color="#555555", fontsize=8)
    # Room on the left, where the labels of all days but the first ones stand.
    axes.set_xlim(pd.Timestamp("2023-01-01"), pd.Timestamp("2027-12-31"))
    axes.xaxis.set_major_locator(mdates.YearLocator())
    axes.xaxis.set_major_formatter(mdates.DateFormatter("%Y"))
    axes.set(title=title, xlabel="day of closing", yticks=[])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", visible=False)
    handles = [
        Line2D([], [], marker="o", linestyle="", color=_STATUS_COLOURS["closed to new customers"]),
        Line2D([], [], marker="o", linestyle="", color=_STATUS_COLOURS["ended"]),
        Line2D([], [], marker="o", linestyle="", color=_STATUS_COLOURS["ended"], fillstyle="none"),
    ]
    names = ("closed to new customers", "ended", "end announced")
    axes.legend(handles, names, loc="lower left", frameon=True, facecolor="white", edgecolor="none")


def short_name(service: str) -> str:
    """A service's name without the company's, so that a picture has room for it; in one piece."""
    return re.sub(r"^(Amazon|AWS) ", "", service).replace(" ", "\N{NO-BREAK SPACE}")


def _days(table: pd.DataFrame) -> list[tuple[pd.Timestamp, str, list[str]]]:
    """Day, kind and names of each group of closings, in order of time."""
    groups: dict[tuple[pd.Timestamp, str], list[str]] = {}
    for row in table.itertuples():
        if pd.notna(row.since):
            groups.setdefault((row.since, row.status), []).append(short_name(row.service))
        if pd.notna(row.ends):
            groups.setdefault((row.ends, "announced"), []).append(short_name(row.service))
    return [(day, kind, names) for (day, kind), names in sorted(groups.items())]


def _event(
    axes: Axes, day: pd.Timestamp, place: float, kind: str, count: int, lines: Sequence[str]
) -> None:
    """One row: a mark whose area grows with the number of names, and the names beside it."""
    announced = kind == "announced"
    colour = _STATUS_COLOURS["ended" if announced else kind]
    face = "white" if announced else colour
    axes.scatter(day, place, s=25 + 18 * count, facecolor=face, edgecolor=colour, zorder=3)
    early = day < pd.Timestamp("2025-01-01")
    date = f"{day.day} {day:%b %Y}"
    axes.annotate(
        f"{date}  " + "\n".join(lines) if early else "\n".join(lines) + f"  {date}",
        (day, place),
        xytext=(11 if early else -13, 0),
        textcoords="offset points",
        ha="left" if early else "right",
        va="center",
        fontsize=8,
        # Labels of announced days reach across the line of today.
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1} if announced else None,
    )
