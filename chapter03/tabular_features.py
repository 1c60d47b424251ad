"""Encoders for tables: by frequency, by target without the leak, crosses, cycles.

The encoders are scikit-learn transformers for data frames. What they learn, they learn in `fit`,
from training rows alone; a level that training never had gets a defined value, and a missing
value is a level of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted


class _FrameTransformer(TransformerMixin, BaseEstimator):
    """What the encoders share: they take data frames and know the columns they were fitted on."""

    def _learn_columns(self, frame: pd.DataFrame) -> None:
        if not isinstance(frame, pd.DataFrame):
            raise TypeError(f"expected a data frame, got {type(frame).__name__}")
        if frame.empty:
            raise ValueError("no rows or no columns to learn from")
        self.feature_names_in_ = np.asarray(frame.columns, dtype=object)
        self.n_features_in_ = len(frame.columns)

    def _check_columns(self, frame: pd.DataFrame) -> None:
        check_is_fitted(self)
        missing = [name for name in self.feature_names_in_ if name not in frame]
        if missing:
            raise ValueError(f"the table lacks the columns {', '.join(missing)}")


class FrequencyEncoder(OneToOneFeatureMixin, _FrameTransformer):
    """Replace each level by its share of the training rows; 0 for a level they never had."""

    def fit(self, frame: pd.DataFrame, label: object = None) -> FrequencyEncoder:
        """Count the levels of each column.

        Raises:
            TypeError: if `frame` is no data frame.
            ValueError: if it has no rows or no columns.
        """
        self._learn_columns(frame)
        self.shares_ = {
            name: frame[name].value_counts(normalize=True, dropna=False) for name in frame
        }
        return self

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The shares, between 0 and 1, shape (n, columns).

        Raises:
            ValueError: if a column of the training rows is not there.
        """
        self._check_columns(frame)
        encoded = {
            name: _look_up(frame[name], shares, otherwise=0.0)
            for name, shares in self.shares_.items()
        }
        return pd.DataFrame(encoded, index=frame.index)


class OutOfFoldTargetEncoder(OneToOneFeatureMixin, _FrameTransformer):
    """Replace each level by the mean label of its training rows, without showing a row its own.

    `fit_transform` encodes each fold of the training rows with what the others say. The folds are
    blocks of consecutive rows: in a table ordered by time, one day's flights stay together.
    `transform` encodes other rows with what all training rows say. With `folds=None`
    `fit_transform` does so with the training rows, too: that is the leak.

    A level with n rows of mean m gets (n m + s M) / (n + s), with s = `smoothing` and M the mean of
    all: the additive form of Micci-Barreca, "A preprocessing scheme for high-cardinality
    categorical attributes in classification and prediction problems" (2001). An unknown level
    gets M.
    """

    def __init__(self, smoothing: float = 20, folds: int | None = 5) -> None:
        self.smoothing = smoothing
        self.folds = folds

    def fit(self, frame: pd.DataFrame, label: pd.Series) -> OutOfFoldTargetEncoder:
        """Learn the means from all rows.

        Raises:
            TypeError: if `frame` is no data frame.
            ValueError: if it is empty, or the label has gaps or another length.
        """
        self._learn_columns(frame)
        label = _checked_label(frame, label)
        self.overall_ = float(label.mean())
        self.means_ = {
            name: _smoothed_means(frame[name], label, self.overall_, self.smoothing)
            for name in frame
        }
        return self

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The means that `fit` has learned, shape (n, columns).

        Raises:
            ValueError: if a column of the training rows is not there.
        """
        self._check_columns(frame)
        encoded = {
            name: _look_up(frame[name], means, otherwise=self.overall_)
            for name, means in self.means_.items()
        }
        return pd.DataFrame(encoded, index=frame.index)

    def fit_transform(self, frame: pd.DataFrame, label: pd.Series) -> pd.DataFrame:
        """Learn from all rows, and encode each fold with the means of the others.

        Raises:
            ValueError: as `fit`, and if there are fewer rows than folds or fewer than two folds.
        """
        self.fit(frame, label)
        if self.folds is None:
            return self.transform(frame)
        if not 2 <= self.folds <= len(frame):
            raise ValueError(
                f"folds={self.folds} must be at least 2 and at most the number of rows, "
                f"{len(frame)}"
            )
        label = _checked_label(frame, label)
        fold = np.arange(len(frame)) * self.folds // len(frame)
        parts = []
        for number in range(self.folds):
            inside = fold == number
            others = clone(self).fit(frame[~inside], label[~inside])
            parts.append(others.transform(frame[inside]))
        return pd.concat(parts)


class ColumnCrosser(_FrameTransformer):
    """Join columns into one whose levels are the combinations: `origin` and `hour` to `JFK|17`."""

    def __init__(self, crosses: Sequence[Sequence[str]] = ()) -> None:
        self.crosses = crosses

    def fit(self, frame: pd.DataFrame, label: object = None) -> ColumnCrosser:
        """Check that the columns are there; nothing is learned.

        Raises:
            ValueError: if a column is not there or the frame is empty.
        """
        self._learn_columns(frame)
        unknown = sorted({name for cross in self.crosses for name in cross} - set(frame.columns))
        if unknown:
            raise ValueError(f"the table lacks the columns {', '.join(unknown)}")
        return self

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        """One column of text for each cross; a missing value becomes the word `missing`."""
        self._check_columns(frame)
        text = {
            name: frame[name].astype(object).where(frame[name].notna(), "missing").astype(str)
            for name in {name for cross in self.crosses for name in cross}
        }
        joined = {}
        for first, *others in self.crosses:
            values = text[first]
            for other in others:
                values = values + "|" + text[other]
            joined["|".join([first, *others])] = values
        return pd.DataFrame(joined, index=frame.index)

    def get_feature_names_out(self, names: object = None) -> np.ndarray:
        """The names of the columns that `transform` returns."""
        return np.asarray(["|".join(cross) for cross in self.crosses], dtype=object)


class QuantileSteps(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Replace each number by the step it lies on, of at most `steps` with about equally many rows.

    Before `HistGradientBoostingClassifier`, which bins numbers itself: scikit-learn 1.9 puts the
    edges of its bins elsewhere than 1.7 did, which moves an AUC by up to 0.004. At most as many
    steps as the model has bins, and every version grows the same trees. A gap stays a gap.
    """

    def __init__(self, steps: int = 60) -> None:
        self.steps = steps

    def fit(self, rows: np.ndarray, label: object = None) -> QuantileSteps:
        """Learn the edges, shape (rows, columns); a column without any value has none.

        Raises:
            ValueError: if there are no rows, or fewer than two steps.
        """
        if self.steps < 2:
            raise ValueError(f"steps={self.steps} must be at least 2")
        rows = _as_float32(rows)
        if not rows.size:
            raise ValueError("no rows or no columns to learn from")
        shares = np.arange(1, self.steps) / self.steps
        self.n_features_in_ = rows.shape[1]
        self.edges_ = []
        for column in rows.T:
            values = column[~np.isnan(column)]
            # An edge is a value of the column, not between two: nothing to compute differently.
            edges = np.quantile(values, shares, method="inverted_cdf") if len(values) else values
            self.edges_.append(np.unique(edges))
        return self

    def transform(self, rows: np.ndarray) -> np.ndarray:
        """The number of the step, from 0, shape (rows, columns).

        Raises:
            ValueError: if there are more or fewer columns than in `fit`.
        """
        check_is_fitted(self)
        rows = _as_float32(rows)
        if rows.shape[1] != self.n_features_in_:
            raise ValueError(f"{rows.shape[1]} columns, learned from {self.n_features_in_}")
        found = [
            np.searchsorted(edges, column).astype(float)
            for edges, column in zip(self.edges_, rows.T, strict=True)
        ]
        return np.where(np.isnan(rows), np.nan, np.column_stack(found))


def cyclic(values: pd.DataFrame, period: float) -> np.ndarray:
    """Sine and cosine of values that begin again after a period, shape (n, 2 × columns).

    Raises:
        ValueError: if the period is not positive.
    """
    if period <= 0:
        raise ValueError(f"the period must be positive, not {period}")
    angle = 2 * np.pi * np.asarray(values, dtype=float) / period
    return np.column_stack([np.sin(angle), np.cos(angle)])


def _as_float32(rows: np.ndarray | pd.DataFrame) -> np.ndarray:
    # The last digits of a double depend on the library that did the sums.
    return np.asarray(rows, dtype="float32")


def _look_up(column: pd.Series, table: pd.Series, otherwise: float) -> np.ndarray:
    """The value that the table has for each level, found once a level instead of once a row."""
    codes, levels = pd.factorize(column, use_na_sentinel=False)
    return table.reindex(levels).fillna(otherwise).to_numpy(dtype=float)[codes]


def _smoothed_means(
    column: pd.Series, label: np.ndarray, overall: float, smoothing: float
) -> pd.Series:
    codes, levels = pd.factorize(column, use_na_sentinel=False)
    rows = np.bincount(codes, minlength=len(levels))
    sums = np.bincount(codes, weights=label, minlength=len(levels))
    return pd.Series((sums + smoothing * overall) / (rows + smoothing), index=pd.Index(levels))


def _checked_label(frame: pd.DataFrame, label: pd.Series | np.ndarray) -> np.ndarray:
    values = np.asarray(label, dtype=float)
    if len(values) != len(frame):
        raise ValueError(f"{len(values)} labels for {len(frame)} rows")
    if np.isnan(values).any():
        raise ValueError(f"{int(np.isnan(values).sum())} rows have no label; leave them out")
    return values
