"""Are the features good for anything? Two simple tests: predict an opinion, find a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

PLACE = ["key", "row", "column"]


def leave_one_out(model: Any, features: Any, target: pd.Series) -> float:
    """The share of rows that the model gets right when it has learnt from all the others.

    Args:
        model: of scikit-learn, not fitted.
        features: a table for numbers, a series for texts.
        target: the class of each row.
    """
    return float(cross_val_score(model, features, target, cv=LeaveOneOut()).mean())


def search(tiles: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Ask with the tiles of the right halves of all pictures among those of the left halves.

    Args:
        tiles: as preprocess_images.py writes them.
        columns: the features that count; each is standardised on the left halves.

    Returns:
        `key`, `row` and `column` of each tile that was asked for, the same of the nearest tile
        (`found_key` …), and whether both are of one picture (`right`).
    """
    middle = (tiles["column"].max() + 1) // 2
    shelf, asked = tiles[tiles["column"] < middle], tiles[tiles["column"] >= middle]
    if shelf.empty or asked.empty:
        raise ValueError("pictures need two columns of tiles or more to search one half in another")
    scale = StandardScaler().fit(shelf[list(columns)])
    index = NearestNeighbors(n_neighbors=1).fit(scale.transform(shelf[list(columns)]))
    nearest = index.kneighbors(scale.transform(asked[list(columns)]), return_distance=False)[:, 0]
    found = shelf.iloc[nearest][PLACE].add_prefix("found_").reset_index(drop=True)
    result = asked[PLACE].reset_index(drop=True).join(found)
    return result.assign(right=result["key"] == result["found_key"])
