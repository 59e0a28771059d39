"""What inputs and targets are like, in a few numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

Array = NDArray[np.generic]

MOST_CLASSES = 1000
"""Above it, the shares of the classes are not stored."""
ROWS = 4096


def input_facts(x: Any) -> tuple[float, float, float, float]:
    """Return lowest, highest, mean and standard deviation of the first input of floats.

    Args:
        x: inputs, (n, ...), or a structure of several.

    Returns:
        Four numbers; nan where no input holds floats.
    """
    floats = [a for a in tf.nest.flatten(x) if a is not None and tf.as_dtype(a.dtype).is_floating]
    if not floats or 0 in floats[0].shape:
        return (float("nan"),) * 4
    array = floats[0]
    low, high, total, count = np.inf, -np.inf, 0.0, 0
    for part in _parts(array):
        low, high = min(low, float(part.min())), max(high, float(part.max()))
        total, count = total + float(part.sum()), count + part.size
    mean = total / count
    squares = sum(float(np.sum(np.square(part - mean))) for part in _parts(array))
    return low, high, mean, float(np.sqrt(squares / count))


def label_shares(y: Array, loss: str, classes: int) -> tuple[float, ...]:
    """Return the share of every class among targets; () where they are not classes.

    Args:
        y: targets, (n,), (n, 1), or one column a class.
        loss: name of the loss, which says whether numbers are classes.
        classes: units of the output; 1 for two classes.

    Returns:
        One share a class.
    """
    labels = _labels(np.asarray(y), loss)
    if labels is None or not len(labels):
        return ()
    least = 2 if loss.startswith("binary") else classes
    whole = labels == np.floor(labels)
    if not whole.all() or labels.min() < 0 or labels.max() >= MOST_CLASSES:
        return ()
    counts = np.bincount(labels.astype(np.int64), minlength=min(max(least, 1), MOST_CLASSES))
    return tuple(float(share) for share in counts / counts.sum())


def _labels(y: Array, loss: str) -> Array | None:
    """Return targets as numbers of classes."""
    one_each = y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1)
    if loss == "sparse_categorical_crossentropy":  # of sequences and images too
        return np.asarray(y, np.float64).ravel()
    if loss.startswith("binary") and one_each:
        flat = np.asarray(y, np.float64).ravel()
        return flat if np.isin(flat, (0, 1)).all() else None
    if loss.startswith(("categorical", "binary")) and y.ndim >= 2:
        rows = np.asarray(y, np.float64).reshape(-1, y.shape[-1])
        is_one_hot = np.isin(rows, (0, 1)).all() and (rows.sum(1) == 1).all()
        return rows.argmax(1).astype(np.float64) if is_one_hot and loss.startswith("categorical") else None
    return None


def target_variance(y: Array, loss: str) -> float:
    """Return the squared error of the best constant: the variance of every target over the examples, averaged.

    Args:
        y: targets, (n, ...).
        loss: name of the loss; the cross entropies have no such constant.

    Returns:
        The variance; nan for targets of a cross entropy.
    """
    if "crossentropy" in loss or not np.issubdtype(y.dtype, np.number):
        return float("nan")
    return float(np.mean(np.var(np.asarray(y, np.float64), axis=0)))


def _parts(array: Any) -> Any:
    """Yield an array in float64, some rows at a time."""
    for start in range(0, int(array.shape[0]), ROWS):
        yield np.asarray(array[start : start + ROWS], np.float64)
