"""Train one contestant of the bake-off as a SageMaker training job in script mode, and score it.

    python train_sklearn.py --algorithm "logistic regression" --train DIR --test DIR --model-dir DIR

Each channel holds one CSV file as `bake_off.read_flights` takes it. The job writes `model.joblib`,
which the same version of scikit-learn can load, and prints the scores that SageMaker picks from
its log. It runs in AWS's scikit-learn image, and so trains what needs nothing else: not XGBoost.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import joblib
import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score

import bake_off


def read_channel(folder: Path) -> pd.DataFrame:
    """Return the flights of a channel. Raises BakeOffError unless it has exactly one CSV file."""
    files = sorted(folder.glob("*.csv"))
    if len(files) != 1:
        raise bake_off.BakeOffError(f"{folder} must hold one CSV file, found {len(files)}")
    return bake_off.read_flights(files[0])


def scores(late: pd.Series, probability: pd.Series) -> dict[str, float]:
    """Return AUC and log loss of what was said of the test flights."""
    return {"auc": roc_auc_score(late, probability), "logloss": log_loss(late, probability)}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status. The defaults are a training job's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--algorithm", default="logistic regression")
    for channel in ("train", "test"):
        place = os.environ.get(f"SM_CHANNEL_{channel.upper()}", f"/opt/ml/input/data/{channel}")
        parser.add_argument(f"--{channel}", type=Path, default=Path(place))
    place = os.environ.get("SM_MODEL_DIR", "/opt/ml/model")
    parser.add_argument("--model-dir", type=Path, default=Path(place))
    options = parser.parse_args(arguments)
    try:
        trained = bake_off.train(options.algorithm, read_channel(options.train))
        test = read_channel(options.test)
    except bake_off.BakeOffError as error:
        print(f"train_sklearn: {error}", file=sys.stderr)
        return 1
    for name, value in scores(test[bake_off.LABEL], trained.probability(test)).items():
        print(f"test:{name}={value:.6f}")
    options.model_dir.mkdir(parents=True, exist_ok=True)
    joblib.dump(trained.model, options.model_dir / "model.joblib")
    return 0


if __name__ == "__main__":
    sys.exit(main())
