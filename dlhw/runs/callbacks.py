"""What is measured of a net while it trains: callbacks of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dlhw import datasets

if TYPE_CHECKING:
    import keras


def gap_error(model: keras.Model, data: datasets.Data) -> np.ndarray:
    """Return the standard error of the generalization gap, over the examples on which both losses are evaluated."""
    from dlhw import measure
    from dlhw.training import cross_entropy

    rows = datasets.fixed_sample(len(data.x_train), datasets.EVALUATED)
    train, test = (data.x_train[rows], data.y_train[rows]), (data.x_test, data.y_test)
    return np.array(measure.gap_standard_error(model, cross_entropy, train, test))


def gap_error_after(last: int, epoch: int, model: keras.Model, data: datasets.Data) -> dict[str, np.ndarray]:
    """Measure the standard error of the generalization gap after epoch `last`."""
    return {"gap_error": gap_error(model, data)} if epoch == last else {}
