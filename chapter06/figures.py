"""The pictures of this chapter. Each function draws one figure for the notebook to show.

Colours mean the same everywhere: blue is the model, orange the baseline, grey what needs no
model, vermilion what to look at.
"""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator, PercentFormatter, StrMethodFormatter
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

MODEL, BASELINE, NEITHER, NOTE = "#0072B2", "#E69F00", "#8C8C8C", "#D55E00"
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
DOLLARS = StrMethodFormatter("${x:.0f}")
# Fewer flights say little about a carrier: a dozen late ones more or less move the cost by dollars.
ENOUGH_FLIGHTS = 500


def late_share_by_month(parts: Mapping[str, pd.DataFrame]) -> None:
    """Draw how many flights of each month came late, in the colour of the part they belong to.

    `parts` are tables with the columns `month` (1 to 12) and `late` (0 or 1), by name: at most
    three.
    """
    _, axes = plt.subplots()
    shares = {}
    for (name, part), colour in zip(parts.items(), (MODEL, BASELINE, NOTE), strict=False):
        by_month = part.groupby("month")["late"].mean()
        bars = axes.bar(by_month.index, by_month, color=colour, label=name)
        axes.bar_label(bars, [f"{share:.0%}" for share in by_month], padding=2, fontsize=9)
        shares |= by_month.to_dict()
    best, worst = min(shares, key=shares.get), max(shares, key=shares.get)
    axes.set_title(
        f"How many flights come late depends on the season: {shares[best]:.0%} in "
        f"{MONTHS[best - 1]}, {shares[worst]:.0%} in {MONTHS[worst - 1]}"
    )
    axes.set_xticks(range(1, 13), MONTHS)
    axes.set(xlabel="month of 2013", ylabel="late flights")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(axis="x", visible=False)
    axes.legend(loc="upper left", ncols=len(parts))
    axes.set_ylim(0, 1.25 * max(shares.values()))


def learning_curve(rounds: pd.DataFrame) -> None:
    """Draw the loss over the boosting rounds, for training and validation, and mark the best.

    `rounds` has the columns `train-logloss` and `validation-logloss`, indexed by round.
    """
    train, validation = rounds["train-logloss"], rounds["validation-logloss"]
    best = int(validation.idxmin())
    _, axes = plt.subplots()
    axes.plot(train, color=NEITHER)
    axes.plot(validation, color=MODEL)
    axes.plot(best, validation[best], "o", color=NOTE)
    axes.annotate(
        f"round {best}: {validation[best]:.3f}",
        (best, validation[best]),
        xytext=(0, 12),
        textcoords="offset points",
        ha="center",
        color=NOTE,
    )
    last = rounds.index[-1]
    for name, curve, colour in (
        ("training", train, NEITHER),
        ("validation", validation, MODEL),
    ):
        axes.annotate(
            name, (last, curve.iloc[-1]), xytext=(6, 0), textcoords="offset points",
            va="center", color=colour,
        )  # fmt: skip
    axes.set_title(f"After round {best}, more trees only learn the training months by heart")
    axes.set(xlabel="boosting round (trees)", ylabel="log loss (lower is better)")
    axes.set_xlim(0, 1.12 * last)


def roc_and_precision_recall(predictions: pd.DataFrame, threshold: float) -> None:
    """Draw both curves of the model and the baseline, with the model's point at `threshold`.

    `predictions` has the columns `late` (0 or 1), `probability` and `baseline` (0 to 1).
    """
    late = predictions["late"]
    _, (roc, precision_recall) = plt.subplots(1, 2, figsize=(7.2, 3.6))
    for name, column, colour in (
        ("baseline", "baseline", BASELINE),
        ("model", "probability", MODEL),
    ):
        scores = predictions[column]
        false_rates, true_rates, _ = roc_curve(late, scores)
        auc = roc_auc_score(late, scores)
        roc.plot(false_rates, true_rates, color=colour, label=f"{name} (area {auc:.2f})")
        precisions, recalls, _ = precision_recall_curve(late, scores)
        # Of the highest scores alone there are too few for a precision to mean much.
        steady = recalls >= 0.005
        precision_recall.plot(recalls[steady], precisions[steady], color=colour, label=name)
    roc.plot([0, 1], [0, 1], ":", color=NEITHER, label="chance")
    precision_recall.axhline(late.mean(), linestyle=":", color=NEITHER, label="chance")

    warned = predictions["probability"] >= threshold
    recall = warned[late == 1].mean()
    roc.plot(warned[late == 0].mean(), recall, "o", color=NOTE)
    precision_recall.plot(
        recall, late[warned].mean(), "o", color=NOTE, label=f"warn from {threshold:.0%} on"
    )
    roc.set(xlabel="on-time flights warned", ylabel="late flights warned", title="ROC")
    precision_recall.set(
        xlabel="late flights warned (recall)",
        ylabel="warned flights that are late",
        title="Precision and recall",
        ylim=(0, 1),
    )
    for axes in (roc, precision_recall):
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.legend(loc="lower right" if axes is roc else "upper right")
    roc.figure.suptitle(
        "The model ranks flights better than the baseline, and not only at one threshold",
        x=0.01, ha="left", weight="bold", size=11,
    )  # fmt: skip


def calibration(groups: pd.DataFrame) -> None:
    """Draw what the model said against what happened, one point per group of flights.

    `groups` has the columns `mean_probability` and `late_share`, one row per group.
    """
    _, axes = plt.subplots(figsize=(4.6, 3.8))
    said, happened = groups["mean_probability"], groups["late_share"]
    end = 1.08 * max(said.max(), happened.max())
    axes.plot([0, end], [0, end], ":", color=NEITHER)
    axes.annotate(
        "said = happened", (0.80 * end, 0.80 * end), xytext=(6, -12), textcoords="offset points",
        color=NEITHER,
    )  # fmt: skip
    axes.plot(said, happened, "o-", color=MODEL)
    axes.set_title("A flight that is given 25 % is late\nabout that often")
    axes.set(xlabel="probability the model gave", ylabel="flights that came late")
    axes.set(xlim=(0, end), ylim=(0, end))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))


def cost_curve(curve: pd.DataFrame, threshold: float) -> None:
    """Draw the cost per flight over the threshold for model and baseline, and mark the choice.

    `curve` has the columns `threshold` (0 to 1), `cost_per_flight` and
    `baseline_cost_per_flight` (dollars); `threshold` is one of its thresholds.
    """
    _, axes = plt.subplots()
    axes.plot(curve["threshold"], curve["baseline_cost_per_flight"], color=BASELINE)
    axes.plot(curve["threshold"], curve["cost_per_flight"], color=MODEL)
    chosen = curve["threshold"].sub(threshold).abs().idxmin()
    cost = curve.loc[chosen, "cost_per_flight"]
    never = curve["cost_per_flight"].iloc[-1]
    axes.axhline(never, linestyle=":", color=NEITHER)
    axes.plot(threshold, cost, "o", color=NOTE)
    axes.annotate(
        f"warn from {threshold:.0%} on:\n${cost:.2f} a flight", (threshold, cost),
        xytext=(4, -6), textcoords="offset points", va="top", color=NOTE,
    )  # fmt: skip
    axes.text(0.99, never, "never warn", ha="right", va="bottom", color=NEITHER)
    middle = curve["threshold"].sub(0.12).abs().idxmin()
    axes.annotate(
        "baseline", (curve.loc[middle, "threshold"], curve.loc[middle, "baseline_cost_per_flight"]),
        xytext=(4, 4), textcoords="offset points", color=BASELINE,
    )  # fmt: skip
    axes.annotate(
        "model", (curve.loc[middle, "threshold"], curve.loc[middle, "cost_per_flight"]),
        xytext=(-6, -6), textcoords="offset points", ha="right", color=MODEL,
    )  # fmt: skip
    axes.set_title("The threshold that the costs ask for lies at the bottom of the valley")
    axes.set(xlabel="threshold: warn from this probability on", ylabel="cost per flight")
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.yaxis.set_major_formatter(DOLLARS)
    axes.set_ylim(bottom=cost - 0.3 * (never - cost) - 4)
    axes.set_xlim(0, 1)


def policy_costs(costs: Mapping[str, float]) -> None:
    """Draw what a flight costs under each policy, as bars.

    `costs` are dollars per flight under the keys of `evaluate.policy_costs`.
    """
    rows = {
        "never warn": (costs["never_warn"], NEITHER),
        "always warn": (costs["always_warn"], NEITHER),
        "baseline: carrier and hour": (costs["baseline"], BASELINE),
        "model": (costs["model"], MODEL),
        "perfect foresight": (costs["perfect"], NEITHER),
    }
    _, axes = plt.subplots(figsize=(7.2, 2.6))
    values = [cost for cost, _ in rows.values()]
    bars = axes.barh(list(rows), values, color=[colour for _, colour in rows.values()])
    axes.bar_label(bars, [f"${value:.2f}" for value in values], padding=4)
    saved = costs["baseline"] - costs["model"]
    axes.set_title(f"The model saves ${saved:.2f} a flight against the baseline")
    axes.set_xlabel("cost per flight, November and December")
    axes.xaxis.set_major_formatter(DOLLARS)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlim(0, 1.15 * max(values))


def slices(table: pd.DataFrame) -> None:
    """Draw what the model saves against the baseline, by carrier, hour and month.

    `table` has the columns `column`, `level`, `flights`, `cost_per_flight` and
    `baseline_cost_per_flight` (dollars). Carriers with few flights are left out.
    """
    table = table.assign(saved=table["baseline_cost_per_flight"] - table["cost_per_flight"])
    _, panels = plt.subplots(
        1, 3, figsize=(7.2, 3.4), sharey=True, gridspec_kw={"width_ratios": [11, 18, 3]}
    )
    carriers = table[(table["column"] == "carrier") & (table["flights"] >= ENOUGH_FLIGHTS)]
    _saved_bars(panels[0], carriers.sort_values("saved"), "by carrier")
    hours = table[table["column"] == "hour"]
    hours = hours.assign(level=hours["level"].astype(int)).sort_values("level")
    _saved_bars(panels[1], hours, "by scheduled hour")
    months = table[table["column"] == "month"]
    months = months.assign(level=[MONTHS[int(level) - 1] for level in months["level"]])
    _saved_bars(panels[2], months, "by month")
    panels[0].set_ylabel("saved per flight")
    panels[0].yaxis.set_major_locator(MultipleLocator(5))
    panels[0].yaxis.set_major_formatter(DOLLARS)
    panels[0].figure.suptitle(
        "The model saves most in the evening, and nothing at dawn",
        x=0.01, ha="left", weight="bold", size=11,
    )  # fmt: skip


def _saved_bars(axes: Axes, rows: pd.DataFrame, title: str) -> None:
    """Draw the column `saved` by `level`; what is about nothing, or a loss, stands out."""
    colours = [MODEL if saved >= 1 else NOTE for saved in rows["saved"]]
    levels = [str(level) for level in rows["level"]]
    axes.bar(levels, rows["saved"], color=colours)
    axes.axhline(0, color="#888888", linewidth=0.8)
    axes.set_title(title, weight="normal", size=10)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", visible=False)
