"""Several processes that train one net together: what they must agree on, and what happens when one is lost."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from dlhw._tf.types import Tensor
from dlhw.checkpoints import CheckpointStore
from dlhw.errors import RunError
from dlhw.training.distributed.plan import Plan, first_line

_OF_OTHERS = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.InternalError,
    tf.errors.DeadlineExceededError,
)


class SharedCheckpoints:
    """Checkpoints of several workers: the chief reads and writes them, and broadcasts what it reads.

    Every worker must ask for the same names in the same order, because a broadcast is a sum over all workers.
    """

    def __init__(self, store: CheckpointStore, strategy: Any, chief: bool) -> None:
        self.store, self.strategy, self.chief = store, strategy, chief

    def get(self, name: str) -> dict[str, np.ndarray] | None:
        """Return, on every worker, the arrays that the chief stored under `name`; None if there are none."""
        arrays = self.store.get(name) if self.chief else None
        buffer = io.BytesIO()
        if arrays is not None:
            np.savez(buffer, **arrays)  # type: ignore[arg-type]
        raw = buffer.getvalue()
        numbers = np.frombuffer(raw + bytes(-len(raw) % 4), np.int32)
        length = int(self._broadcast(np.array([len(numbers)], np.int32))[0])
        if not length:
            return None
        numbers = self._broadcast(numbers if self.chief else np.zeros(length, np.int32))
        with np.load(io.BytesIO(numbers.tobytes()), allow_pickle=False) as stored:
            return {k: stored[k] for k in stored.files}

    def put(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Store arrays under `name`, if this is the chief."""
        if self.chief:
            self.store.put(name, arrays)

    def drop(self, name: str) -> None:
        """Delete what is stored under `name`, if this is the chief."""
        if self.chief:
            self.store.drop(name)

    def _broadcast(self, numbers: np.ndarray) -> np.ndarray:
        """Broadcast arrays of the chief: a sum over all replicas, where all but the chief's first contribute zeros."""

        def one(replica: Any) -> Tensor:
            return tf.constant(numbers if replica.replica_id_in_sync_group == 0 else np.zeros_like(numbers))

        values = self.strategy.experimental_distribute_values_from_function(one)
        return self.strategy.reduce("SUM", values, axis=None).numpy()


@contextmanager
def one_line_errors(plan: Plan) -> Iterator[None]:
    """Turn an error of TensorFlow into one line, where another worker may be its cause.

    Raises RunError.
    """
    try:
        yield
    except tf.errors.OpError as error:
        lost = isinstance(error, _OF_OTHERS)
        if plan.workers == 1 or not lost:
            raise
        reason = first_line(error).split(". ")[0]
        raise RunError(
            f"worker {plan.index} of {plan.workers} lost the connection to another ({reason}); finished trainings are "
            "stored, and the same command on all workers resumes from them"
        ) from None
