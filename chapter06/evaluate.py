"""Judge a trained XGBoost model on flights it has not seen: a SageMaker processing job.

Reads (defaults are the paths of the job's inputs)

    /opt/ml/processing/input/model/model.tar.gz          holds the file `xgboost-model`
    /opt/ml/processing/input/validation/validation.csv   label first, no header
    /opt/ml/processing/input/test/test.csv               the same
    /opt/ml/processing/input/keys/validation.csv, test.csv   which flight each line is

and writes to /opt/ml/processing/output

    evaluation.json   the test metrics in the shape of SageMaker's model quality report,
                      which the model registry displays, plus what the decision costs
    predictions.csv   flight by flight; slices.csv, calibration.csv, cost_curve.csv: for plots

The threshold comes from the costs, not from the test data: `Costs.threshold`.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tarfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xgboost as xgb
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    log_loss,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

MODEL_FILE = "xgboost-model"
KEYS = ["date", "carrier", "flight", "origin", "dest", "month", "hour"]
SLICE_BY = ["carrier", "origin", "hour", "month"]
CURVE_POINTS = 201
# As SageMaker Model Monitor does it: five samples of 80 %, from 200 rows on.
DEVIATION_SAMPLES = 5
DEVIATION_SHARE = 0.8
DEVIATION_MIN_ROWS = 200


class EvaluationError(Exception):
    """An input of the evaluation is missing or cannot be used."""


@dataclass(frozen=True)
class Costs:
    """What each outcome costs, in dollars per flight; positive means late (or warned).

    The defaults are this chapter's assumption: protecting a flight's connections takes $50 of
    work and of seats held back. A late flight that nobody prepared for costs $250, a prepared
    one $50 more than the preparation.
    """

    true_negative: float = 0.0
    false_positive: float = 50.0
    false_negative: float = 250.0
    true_positive: float = 100.0

    def __post_init__(self) -> None:
        if self.false_positive <= self.true_negative or self.false_negative <= self.true_positive:
            raise ValueError(
                "a wrong call must cost more than the right one: false_positive > true_negative "
                f"and false_negative > true_positive, got {asdict(self)}"
            )

    @property
    def threshold(self) -> float:
        """The probability of being late from which a warning is the cheaper choice.

        Equation (2) of Elkan, "The foundations of cost-sensitive learning" (IJCAI 2001); right
        as far as the probabilities are.
        """
        needless = self.false_positive - self.true_negative
        missed = self.false_negative - self.true_positive
        return needless / (needless + missed)


# ---------------------------------------------------------------------------------- inputs


def load_model(archive: Path) -> xgb.Booster:
    """Return the booster in a `model.tar.gz` as the XGBoost algorithm leaves it.

    Only the model file is read; nothing is unpacked to disk. Raises EvaluationError if the
    archive or the file in it is not there or not a model.
    """
    if not archive.is_file():
        raise EvaluationError(f"{archive} does not exist; give the training job's model artifact")
    try:
        with tarfile.open(archive) as tar:
            files = {Path(member.name).name: member for member in tar if member.isfile()}
            if MODEL_FILE not in files:
                raise EvaluationError(
                    f"{archive} holds {sorted(files)} but no file named {MODEL_FILE}"
                )
            content = tar.extractfile(files[MODEL_FILE]).read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise EvaluationError(f"{archive} cannot be read as a tar archive: {error}") from error
    booster = xgb.Booster()
    try:
        booster.load_model(bytearray(content))
    except xgb.core.XGBoostError as error:
        reason = str(error).splitlines()[0]
        raise EvaluationError(
            f"{MODEL_FILE} in {archive} is not a model that XGBoost {xgb.__version__} "
            f"can load: {reason}"
        ) from error
    return booster


def read_labelled(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return features (n, k) and labels (n,) of a CSV file without header, label first.

    Raises EvaluationError if the file is missing, empty, not all numbers, or a label is not
    0 or 1.
    """
    if not path.is_file():
        raise EvaluationError(f"{path} does not exist")
    try:
        table = pd.read_csv(path, header=None)
    except pd.errors.EmptyDataError:
        raise EvaluationError(f"{path} is empty") from None
    text = [position for position in table if not pd.api.types.is_numeric_dtype(table[position])]
    if text:
        example = table[text[0]].iloc[0]
        raise EvaluationError(
            f"{path}: column {text[0] + 1} is not numeric (it begins with {example!r}); "
            "the file must have numbers only and no header"
        )
    labels = table[0]
    if not labels.isin([0, 1]).all():
        row = int(np.flatnonzero(~labels.isin([0, 1]))[0])
        raise EvaluationError(
            f"{path}: the label (first column) must be 0 or 1, line {row + 1} has {labels[row]}"
        )
    return table.drop(columns=0).to_numpy("float32"), labels.to_numpy("int64")


def read_keys(path: Path, rows: int) -> pd.DataFrame:
    """Return the table that says which flight each line is, with the column `baseline`.

    Raises EvaluationError if a column is missing or it has another number of rows.
    """
    if not path.is_file():
        raise EvaluationError(f"{path} does not exist")
    keys = pd.read_csv(path)
    missing = [name for name in [*KEYS, "baseline"] if name not in keys]
    if missing:
        raise EvaluationError(f"{path} lacks the columns {', '.join(missing)}")
    if len(keys) != rows:
        raise EvaluationError(f"{path} has {len(keys)} rows, the data has {rows}")
    return keys


def predict(booster: xgb.Booster, features: np.ndarray) -> np.ndarray:
    """Return the probability of being late for each row of `features`, shape (n,).

    Raises EvaluationError if the model was trained on another number of columns.
    """
    if features.shape[1] != booster.num_features():
        raise EvaluationError(
            f"the model was trained on {booster.num_features()} columns, "
            f"the data has {features.shape[1]}"
        )
    return booster.predict(xgb.DMatrix(features)).astype("float64")


# ------------------------------------------------------------------------------- decisions


def flight_costs(
    labels: np.ndarray, probabilities: np.ndarray, threshold: float, costs: Costs
) -> np.ndarray:
    """Return what each flight costs, in dollars, if a warning goes out from `threshold` on."""
    warned = probabilities >= threshold
    when_late = np.where(warned, costs.true_positive, costs.false_negative)
    when_on_time = np.where(warned, costs.false_positive, costs.true_negative)
    return np.where(labels == 1, when_late, when_on_time)


def policy_costs(
    labels: np.ndarray,
    probabilities: np.ndarray,
    baseline: np.ndarray,
    threshold: float,
    costs: Costs,
) -> dict[str, float]:
    """Return the mean cost per flight, in dollars, of the model and of what it competes with.

    `perfect` is the cost with hindsight: what nobody can get below.
    """
    answers = {
        "never_warn": np.zeros(len(labels)),
        "always_warn": np.ones(len(labels)),
        "baseline": baseline,
        "model": probabilities,
    }
    means = {
        name: float(flight_costs(labels, answer, threshold, costs).mean())
        for name, answer in answers.items()
    }
    return means | {"perfect": float(flight_costs(labels, labels, 0.5, costs).mean())}


def cost_curve(
    labels: np.ndarray, probabilities: np.ndarray, costs: Costs, points: int = 101
) -> pd.DataFrame:
    """Return the cost per flight at evenly spaced thresholds between 0 and 1.

    Columns: threshold, cost_per_flight (dollars), warned_share, precision, recall.
    """
    thresholds = np.linspace(0, 1, points).round(6)
    rows = []
    for threshold in thresholds:
        warned = probabilities >= threshold
        rows.append(
            {
                "threshold": threshold,
                "cost_per_flight": flight_costs(labels, probabilities, threshold, costs).mean(),
                "warned_share": warned.mean(),
                "precision": labels[warned].mean() if warned.any() else math.nan,
                "recall": ratio((warned & (labels == 1)).sum(), (labels == 1).sum()),
            }
        )
    return pd.DataFrame(rows)


def best_threshold(curve: pd.DataFrame) -> float:
    """Return the threshold with the lowest cost of a `cost_curve` (the lowest of equals)."""
    return float(curve.loc[curve["cost_per_flight"].idxmin(), "threshold"])


# --------------------------------------------------------------------------------- metrics


def ratio(part: float, whole: float) -> float:
    """Return part / whole, NaN where there is no whole."""
    return float(part) / float(whole) if whole else math.nan


def f_score(precision: float, recall: float, beta: float) -> float:
    """Return the F score, in which recall counts `beta` times as much as precision."""
    weight = beta**2
    return ratio((1 + weight) * precision * recall, weight * precision + recall)


def roc_auc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the area under the ROC curve; NaN if all labels are the same."""
    if labels.min() == labels.max():
        return math.nan
    return float(roc_auc_score(labels, probabilities))


def confusion(labels: np.ndarray, warned: np.ndarray) -> dict[str, dict[str, int]]:
    """Return the counts by label, then by call: confusion["1"]["0"] are the missed ones."""
    return {
        str(label): {
            str(call): int(((labels == label) & (warned == call)).sum()) for call in (0, 1)
        }
        for label in (0, 1)
    }


def scalar_metrics(
    labels: np.ndarray, probabilities: np.ndarray, threshold: float
) -> dict[str, float]:
    """Return every metric that is one number, by the names of SageMaker's report.

    The `_best_constant_classifier` is the one that always warns, as in SageMaker's reports.
    """
    warned = probabilities >= threshold
    counts = confusion(labels, warned)
    positive, negative = int((labels == 1).sum()), int((labels == 0).sum())
    recall = ratio(counts["1"]["1"], positive)
    precision = ratio(counts["1"]["1"], int(warned.sum()))
    base_rate = ratio(positive, len(labels))
    return {
        "recall": recall,
        "precision": precision,
        "accuracy": ratio(counts["0"]["0"] + counts["1"]["1"], len(labels)),
        "true_positive_rate": recall,
        "true_negative_rate": ratio(counts["0"]["0"], negative),
        "false_positive_rate": ratio(counts["0"]["1"], negative),
        "false_negative_rate": ratio(counts["1"]["0"], positive),
        "auc": roc_auc(labels, probabilities),
        "average_precision": (
            float(average_precision_score(labels, probabilities)) if positive else math.nan
        ),
        "log_loss": float(log_loss(labels, probabilities, labels=[0, 1])),
        "brier_score": float(brier_score_loss(labels, probabilities, pos_label=1)),
        "f0_5": f_score(precision, recall, 0.5),
        "f1": f_score(precision, recall, 1),
        "f2": f_score(precision, recall, 2),
        "recall_best_constant_classifier": 1.0,
        "precision_best_constant_classifier": base_rate,
        "accuracy_best_constant_classifier": base_rate,
        "f0_5_best_constant_classifier": f_score(base_rate, 1.0, 0.5),
        "f1_best_constant_classifier": f_score(base_rate, 1.0, 1),
        "f2_best_constant_classifier": f_score(base_rate, 1.0, 2),
    }


def standard_deviations(
    metrics: Callable[[np.ndarray, np.ndarray], dict[str, float]],
    labels: np.ndarray,
    probabilities: np.ndarray,
    seed: int,
) -> dict[str, float]:
    """Return how much each metric varies over five random samples of 80 % of the rows.

    That says how noisy the number is on this data, not how far it moves in another month.
    Empty below 200 rows.
    """
    if len(labels) < DEVIATION_MIN_ROWS:
        return {}
    generator = np.random.default_rng(seed)
    size = int(len(labels) * DEVIATION_SHARE)
    samples = []
    for _ in range(DEVIATION_SAMPLES):
        rows = generator.choice(len(labels), size, replace=False)
        samples.append(metrics(labels[rows], probabilities[rows]))
    return {name: float(np.std([sample[name] for sample in samples])) for name in samples[0]}


def thin(values: np.ndarray, points: int = CURVE_POINTS) -> list[float]:
    """Return at most `points` of the values, first and last included, rounded for JSON."""
    chosen = np.unique(np.linspace(0, len(values) - 1, points).round().astype(int))
    return [round(float(value), 6) for value in values[chosen]]


def binary_metrics(
    labels: np.ndarray, probabilities: np.ndarray, threshold: float, seed: int = 0
) -> dict:
    """Return the group `binary_classification_metrics` of a SageMaker model quality report.

    A number that is not defined is the string "NaN", as in SageMaker's reports (JSON has none).
    """

    def at_threshold(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
        return scalar_metrics(labels, probabilities, threshold)

    deviations = standard_deviations(at_threshold, labels, probabilities, seed)
    group: dict = {"confusion_matrix": confusion(labels, probabilities >= threshold)}
    for name, value in at_threshold(labels, probabilities).items():
        group[name] = {
            "value": json_number(value),
            "standard_deviation": json_number(deviations.get(name, math.nan)),
        }
    if 0 < labels.sum() < len(labels):
        false_rates, true_rates, _ = roc_curve(labels, probabilities)
        group["receiver_operating_characteristic_curve"] = {
            "false_positive_rates": thin(false_rates),
            "true_positive_rates": thin(true_rates),
        }
        precisions, recalls, _ = precision_recall_curve(labels, probabilities)
        group["precision_recall_curve"] = {
            "precisions": thin(precisions[::-1]),
            "recalls": thin(recalls[::-1]),
        }
    return group


def json_number(value: float) -> float | str:
    """Return `value` with six decimals, or "NaN"."""
    return "NaN" if math.isnan(value) else round(value, 6)


def calibration(labels: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> pd.DataFrame:
    """Return, for equally large groups of rising probability, what was said and what happened.

    Columns: flights, mean_probability, late_share. Well calibrated: the two shares are alike.
    """
    groups = np.array_split(np.argsort(probabilities, kind="stable"), min(bins, len(labels)))
    return pd.DataFrame(
        {
            "flights": [len(rows) for rows in groups],
            "mean_probability": [probabilities[rows].mean() for rows in groups],
            "late_share": [labels[rows].mean() for rows in groups],
        }
    )


def slices(
    keys: pd.DataFrame,
    labels: np.ndarray,
    probabilities: np.ndarray,
    threshold: float,
    costs: Costs,
    by: list[str] = SLICE_BY,
) -> pd.DataFrame:
    """Return the errors for every level of each column of `by`, one row per level.

    Columns: column, level, flights, late_share, mean_probability, warned_share, precision,
    recall, auc, cost_per_flight and baseline_cost_per_flight (dollars).
    """
    flights = pd.DataFrame(
        {
            "label": labels,
            "probability": probabilities,
            "warned": probabilities >= threshold,
            "cost": flight_costs(labels, probabilities, threshold, costs),
            "baseline_cost": flight_costs(labels, keys["baseline"].to_numpy(), threshold, costs),
        }
    )
    rows = []
    for column in by:
        for level, group in flights.groupby(keys[column].to_numpy()):
            warned_late = int((group["warned"] & (group["label"] == 1)).sum())
            rows.append(
                {
                    "column": column,
                    "level": level,
                    "flights": len(group),
                    "late_share": group["label"].mean(),
                    "mean_probability": group["probability"].mean(),
                    "warned_share": group["warned"].mean(),
                    "precision": ratio(warned_late, group["warned"].sum()),
                    "recall": ratio(warned_late, group["label"].sum()),
                    "auc": roc_auc(group["label"].to_numpy(), group["probability"].to_numpy()),
                    "cost_per_flight": group["cost"].mean(),
                    "baseline_cost_per_flight": group["baseline_cost"].mean(),
                }
            )
    return pd.DataFrame(rows)


# ------------------------------------------------------------------------------------- job


@dataclass(frozen=True)
class Judged:
    """One split with the model's answers: keys as a table, the others of shape (n,)."""

    keys: pd.DataFrame
    labels: np.ndarray
    probabilities: np.ndarray

    @property
    def baseline(self) -> np.ndarray:
        """The answers of the baseline, shape (n,)."""
        return self.keys["baseline"].to_numpy()


def judge(booster: xgb.Booster, data: Path, keys: Path) -> Judged:
    """Read one split and let the model answer it."""
    features, labels = read_labelled(data)
    return Judged(read_keys(keys, len(labels)), labels, predict(booster, features))


def report(splits: dict[str, Judged], threshold: float, costs: Costs, seed: int = 0) -> dict:
    """Return what goes into evaluation.json; the metrics are those of the split `test`."""
    test = splits["test"]
    curve = cost_curve(splits["validation"].labels, splits["validation"].probabilities, costs)
    return {
        "version": 0.0,
        "dataset": {"item_count": len(test.labels)},
        "binary_classification_metrics": binary_metrics(
            test.labels, test.probabilities, threshold, seed
        ),
        "decision": {
            "threshold": threshold,
            "best_threshold_on_validation": best_threshold(curve),
            "costs": asdict(costs),
            "cost_per_flight": {
                name: {
                    policy: round(cost, 4)
                    for policy, cost in policy_costs(
                        split.labels, split.probabilities, split.baseline, threshold, costs
                    ).items()
                }
                for name, split in splits.items()
            },
        },
    }


def write_results(splits: dict[str, Judged], threshold: float, costs: Costs, output: Path) -> dict:
    """Write the five files named at the top of this module to `output`; return the report."""
    output.mkdir(parents=True, exist_ok=True)
    result = report(splits, threshold, costs)
    (output / "evaluation.json").write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")

    tables: dict[str, dict[str, pd.DataFrame]] = {
        "predictions": {}, "slices": {}, "calibration": {}, "cost_curve": {},
    }  # fmt: skip
    for name, split in splits.items():
        labels, probabilities = split.labels, split.probabilities
        tables["predictions"][name] = split.keys.assign(
            late=labels, probability=probabilities, warned=(probabilities >= threshold).astype(int)
        )
        tables["slices"][name] = slices(split.keys, labels, probabilities, threshold, costs)
        tables["calibration"][name] = calibration(labels, probabilities)
        of_baseline = cost_curve(labels, split.baseline, costs)["cost_per_flight"]
        tables["cost_curve"][name] = cost_curve(labels, probabilities, costs).assign(
            baseline_cost_per_flight=of_baseline
        )
    for name, parts in tables.items():
        table = pd.concat(parts, names=["split", None]).reset_index(level="split")
        table.to_csv(output / f"{name}.csv", index=False, float_format="%.6g")
    return result


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status. The defaults are a processing job's."""
    folder = Path("/opt/ml/processing")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=folder / "input/model/model.tar.gz")
    parser.add_argument("--validation", type=Path, default=folder / "input/validation")
    parser.add_argument("--test", type=Path, default=folder / "input/test")
    parser.add_argument("--keys", type=Path, default=folder / "input/keys")
    parser.add_argument("--output", type=Path, default=folder / "output")
    parser.add_argument("--threshold", type=float, help="default: the one the costs ask for")
    for name, value in asdict(Costs()).items():
        option = "--cost-" + name.replace("_", "-")
        parser.add_argument(option, dest=name, type=float, default=value, metavar="DOLLARS")
    options = parser.parse_args(arguments)
    try:
        costs = Costs(**{name: getattr(options, name) for name in asdict(Costs())})
        threshold = costs.threshold if options.threshold is None else options.threshold
        if not 0 <= threshold <= 1:
            raise ValueError(f"--threshold must be between 0 and 1, got {threshold}")
        booster = load_model(options.model)
        splits = {
            name: judge(booster, data / f"{name}.csv", options.keys / f"{name}.csv")
            for name, data in (("validation", options.validation), ("test", options.test))
        }
    except (EvaluationError, ValueError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 1
    result = write_results(splits, threshold, costs, options.output)
    metrics, decision = result["binary_classification_metrics"], result["decision"]
    print(f"test: {result['dataset']['item_count']:,} flights, threshold {threshold:.3f}")
    for name in ("auc", "average_precision", "log_loss", "precision", "recall"):
        print(f"{name:<18}{metrics[name]['value']:.4f}")
    for policy, cost in decision["cost_per_flight"]["test"].items():
        print(f"{policy:<18}${cost:.2f} a flight")
    return 0


if __name__ == "__main__":
    sys.exit(main())
