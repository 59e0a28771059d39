"""The loss that a model trains on and its accuracy, as Keras takes them of a batch, for models of any kind."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlhw._tf.inputs import length
from dlhw._tf.losses import ExampleLoss
from dlhw._tf.types import Tensor
from dlhw.errors import UserError


def is_standard(model: keras.Model) -> bool:
    """Whether Keras takes the compiled loss of the outputs itself: no train_step or compute_loss of the user's."""
    kind = type(model)
    own = kind.train_step is not keras.Model.train_step or kind.compute_loss is not keras.Model.compute_loss
    return bool(model.compiled) and model.loss is not None and not own


def compute_loss(model: keras.Model, x: Any, y: Any, outputs: Any) -> Tensor:
    """Return the loss of a batch, a scalar; weights of examples and classes do not count."""
    return tf.cast(model._compute_loss(x, y, outputs, None, training=False), tf.float64)


class BatchLosses:
    """The mean over chunks of the loss that the model takes of a batch, and its accuracy.

    Args:
        model: any compiled Keras model.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.total = 0.0
        self.examples = 0
        self.right: float | None = 0.0
        self.failure: Exception | None = None
        try:
            loss = ExampleLoss(None, model)
            self.from_logits = loss.from_logits
            self.name = getattr(loss.base, "__name__", "")
        except UserError:
            self.from_logits, self.name = None, ""

    def add(self, chunk: tuple[Any, Any], outputs: Any) -> None:
        """Count a chunk (x, y) and its outputs."""
        x, y = chunk
        n = length(x)
        self.examples += n
        right = None if self.right is None or y is None else self._right(y, outputs)
        self.right = None if right is None or self.right is None else self.right + right
        if self.failure is None:
            try:
                self.total += n * float(compute_loss(self.model, x, y, outputs))
            except Exception as error:
                self.failure = error

    @property
    def loss(self) -> float:
        """Mean loss; nan where it could not be computed."""
        return float("nan") if self.failure is not None or not self.examples else self.total / self.examples

    @property
    def accuracy(self) -> float:
        """Share of examples whose class was right; nan where targets are not classes."""
        return float("nan") if self.right is None or not self.examples else self.right / self.examples

    def _right(self, y: Any, outputs: Any) -> float | None:
        """Return the number of examples whose class is right; None where targets are not classes."""
        if not tf.is_tensor(y) or not tf.is_tensor(outputs) or len(outputs.shape) != 2:
            return None
        z, labels = np.asarray(tf.cast(outputs, tf.float64)), np.asarray(tf.cast(y, tf.float64))
        if labels.size == len(z) and z.shape[1] == 1:
            if self.name not in ("binary_crossentropy", "binary_focal_crossentropy"):
                return None
            threshold = 0.0 if self.from_logits else 0.5
            return float(np.sum((z[:, 0] > threshold) == (labels.ravel() > 0.5)))
        if labels.size == len(z) and (y.dtype.is_integer or self.name == "sparse_categorical_crossentropy"):
            return float(np.sum(z.argmax(1) == labels.ravel()))
        if labels.shape == z.shape and self.name in ("categorical_crossentropy", "categorical_focal_crossentropy"):
            return float(np.sum(z.argmax(1) == labels.argmax(1)))
        return None
