"""Rows that a compiled step writes and that the host reads now and then: a variable used as a ring."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlhw._tf.types import Tensor


class Ring:
    """The last `size` rows of `width` numbers, with the number of the batch of every row.

    On several replicas every one writes into variables of its own, and those of the first are read.
    """

    def __init__(self, size: int, width: int, dtype: tf.DType, strategy: tf.distribute.Strategy) -> None:
        self.size = size
        self.count_read = 0  # rows that the host has read
        with tf.init_scope(), strategy.scope():
            self.rows = local_variable(np.zeros((size, width), dtype.as_numpy_dtype))
            self.batches = local_variable(np.zeros(size, np.int64))
            self.count = local_variable(np.int64(0))

    def write(self, row: Tensor, batch: Tensor) -> None:
        """Write a row, inside of a step."""
        count = read(self.count)
        at = tf.cast(tf.math.floormod(count, self.size), tf.int32)[None]
        tf.raw_ops.ResourceScatterUpdate(resource=self.rows.handle, indices=at, updates=row[None])
        tf.raw_ops.ResourceScatterUpdate(resource=self.batches.handle, indices=at, updates=batch[None])
        with tf.control_dependencies([row]):  # where data run out, no row is written
            tf.raw_ops.AssignVariableOp(resource=self.count.handle, value=count + 1)

    def read_new(self) -> tuple[NDArray[np.integer], NDArray[np.floating], int]:
        """Return the batches and rows that were written since the last call, and how many were overwritten unread."""
        count = int(first_replica(self.count).numpy())
        lost = max(0, count - self.count_read - self.size)
        at = np.arange(self.count_read + lost, count) % self.size
        self.count_read = count
        if not len(at):
            return np.zeros(0, np.int64), np.zeros((0, self.rows.shape[1]), np.float32), lost
        return first_replica(self.batches).numpy()[at], first_replica(self.rows).numpy()[at], lost


def local_variable(value: NDArray[np.generic] | np.generic) -> tf.Variable:
    """Return a variable of which every replica has one of its own."""
    own = {
        "synchronization": tf.VariableSynchronization.ON_READ,
        "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA,
    }
    return tf.Variable(value, trainable=False, **(own if tf.distribute.has_strategy() else {}))


def read(variable: tf.Variable) -> Tensor:
    """Return the value of the variable of this replica, inside of a step."""
    return tf.raw_ops.ReadVariableOp(resource=variable.handle, dtype=variable.dtype)


def first_replica(variable: tf.Variable) -> tf.Variable:
    """Return the variable of the first replica of this worker, outside of a step."""
    values = getattr(variable, "values", None)
    return variable if values is None else values[0]
