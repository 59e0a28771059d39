"""The loss of a model as Keras minimizes it: masks, ignored classes, reduction, weights of a compiled loss."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from dlhw._tf.inputs import check_labels, first_line, wide_dtype
from dlhw._tf.types import Tensor
from dlhw.errors import UserError, require, warn

Loss: TypeAlias = str | keras.losses.Loss | Callable[[Any, Any], Any] | None
"""A Keras name, a Keras loss object, a function (y_true, y_pred) -> losses of the examples, (n,) or (n, ...), or None
for the loss that the model was compiled with."""

_MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", None, "none")
_SPARSE = keras.losses.sparse_categorical_crossentropy
_CATEGORICAL = keras.losses.categorical_crossentropy
_BINARY = keras.losses.binary_crossentropy


def cross_entropy(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return the cross entropy of every example: log Σ_k exp(z_k) − z_y, in nats.

    Args:
        y_true: integer labels, (n,).
        y_pred: logits z, (n, classes).

    Returns:
        The losses, (n,).

    Example:
        >>> import numpy as np
        >>> from dlhw.training import cross_entropy
        >>> losses = cross_entropy(np.array([0, 1]), np.zeros((2, 4), "float32"))
        >>> bool(np.allclose(losses, np.log(4)))
        True
    """
    return _SPARSE(y_true, y_pred, from_logits=True)


class ExampleLoss:
    """A loss, taken apart into the losses of examples and the way in which Keras puts them together.

    `sums` gives numerator and denominator of what `keras.Model.evaluate` reports for all examples as one batch: the
    mean over the losses that no mask excludes, or their sum for a loss object with `reduction="sum"`. Outputs in half
    precision are widened to float32 first, as Keras does; float64 stays float64. Weights of examples and classes given
    to `fit` are not part of a loss, and not used.
    """

    def __init__(self, loss: Loss, model: keras.Model | None = None) -> None:
        """Resolve `loss`; `model` is needed where it is None.

        Raises:
            UserError: for a name that Keras does not know, a model without a compiled loss or with several.
        """
        self.weight = 1.0
        if loss is None:
            loss, self.weight = _compiled_loss(model)
        self.given = loss
        try:
            resolved = keras.losses.get(loss)
        except (ValueError, TypeError):
            raise UserError(f"loss {loss!r} is unknown; use a name of keras.losses, or a function") from None
        require(
            callable(resolved), f"loss {loss!r} is not a loss; use a name of keras.losses, a loss object or a function"
        )
        is_object = isinstance(resolved, keras.losses.Loss)
        self.reduction = resolved.reduction if is_object else "sum_over_batch_size"
        self.function: Callable[[Any, Any], Any] = resolved.call if is_object else resolved
        self.base = getattr(resolved, "fn", resolved)
        self.arguments = dict(getattr(resolved, "_fn_kwargs", {}))
        self.is_sum = self.reduction == "sum"
        require(
            self.is_sum or self.reduction in _MEANS,
            f"the loss has the reduction {self.reduction!r}; use sum_over_batch_size or sum",
        )

    @property
    def key(self) -> tuple[object, ...]:
        """What two objects share that compute the same: the name of the loss, or the identity of its function."""
        return self.given if isinstance(self.given, str) else id(self.given), self.weight

    @property
    def is_sparse(self) -> bool:
        """Whether targets are class labels, known from the loss itself."""
        return self.base in (_SPARSE, cross_entropy)

    @property
    def from_logits(self) -> bool | None:
        """Whether outputs are taken for logits; None for other losses than Keras's cross entropies."""
        if self.base is cross_entropy:
            return True
        if self.base not in (_SPARSE, _CATEGORICAL, _BINARY):
            return None
        usual = inspect.signature(self.base).parameters["from_logits"].default
        return bool(self.arguments.get("from_logits", usual))

    def __call__(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each example, (n,): the value that `evaluate` gives for that example alone."""
        losses, mask = self.terms(y_true, y_pred)
        rows = tf.reshape(losses, [tf.shape(losses)[0], -1])
        if mask is not None:
            weights = tf.reshape(tf.cast(mask, losses.dtype), [tf.shape(losses)[0], -1])
            total = tf.reduce_sum(rows * weights, 1)
            return total if self.is_sum else tf.math.divide_no_nan(total, tf.reduce_sum(weights, 1))
        return tf.reduce_sum(rows, 1) if self.is_sum else tf.reduce_mean(rows, 1)

    def sums(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
        """Return numerator and denominator of the loss over these examples; both add up over chunks."""
        losses, mask = self.terms(y_true, y_pred)
        if mask is None:
            return tf.reduce_sum(losses), tf.cast(tf.size(losses), losses.dtype)
        weights = tf.cast(mask, losses.dtype)
        return tf.reduce_sum(losses * weights), tf.reduce_sum(weights)

    def value(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of one batch, a scalar, as Keras minimizes it, without what layers add."""
        losses, mask = self.terms(y_true, y_pred)
        if mask is None:
            return tf.reduce_sum(losses) if self.is_sum else tf.reduce_mean(losses)
        weights = tf.cast(mask, losses.dtype)
        total = tf.reduce_sum(losses * weights)
        return total if self.is_sum else tf.math.divide_no_nan(total, tf.reduce_sum(weights))

    def terms(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
        """Return all losses, (n,) or (n, ...), and the mask of those that count, of the same shape, or None.

        Raises:
            UserError: unless the loss gives at least one value per example; a loss that takes its own mean does not.
        """
        mask = getattr(y_pred, "_keras_mask", None)
        require(y_pred.dtype.is_floating, f"the model returns outputs of type {y_pred.dtype.name}; a loss needs floats")
        z = tf.cast(y_pred, wide_dtype(y_pred.dtype))
        raw = self.function(self._targets(y_true, z), z)
        losses = tf.convert_to_tensor(raw)
        shape, wanted = losses.shape.as_list(), z.shape.as_list()
        require(
            len(shape) > 0 and shape == wanted[: len(shape)],
            f"the loss returns an array of shape {_shape(shape)} for outputs of shape {_shape(wanted)}; it must return "
            "one loss per example, (n,) or (n, ...), without taking the mean",
        )
        own = getattr(raw, "_keras_mask", None)
        mask = own if mask is None else mask if own is None else mask & own
        if mask is not None and mask.shape.rank == len(shape) + 1 and mask.shape[-1] == 1:
            mask = tf.squeeze(mask, -1)
        require(
            mask is None or mask.shape.as_list() == shape,
            f"the mask has the shape {_shape([] if mask is None else mask.shape.as_list())}, the losses "
            f"{_shape(shape)}; they must be the same",
        )
        return (losses * tf.cast(self.weight, losses.dtype) if self.weight != 1 else losses), mask

    def _targets(self, y: Tensor, z: Tensor) -> Tensor:
        """Return targets with the rank of the outputs, and as floats unless they are class labels."""
        if not hasattr(y, "shape"):
            return y
        labels = y.dtype.is_integer and (self.is_sparse or (y.shape.rank < z.shape.rank and z.shape[-1] != 1))
        y = y if labels else tf.cast(y, z.dtype)
        # (n,) would meet (n, 1) as (n, n), without a word.
        if y.shape.rank == z.shape.rank - 1 and z.shape[-1] == 1 and not self.is_sparse:
            return tf.expand_dims(y, -1)
        if y.shape.rank == z.shape.rank + 1 and y.shape[-1] == 1:
            return tf.squeeze(y, -1)
        return y

    def check(self, y: Tensor, z: Tensor) -> None:
        """Refuse targets that do not go with outputs like `z` (of any examples); warn of what is rarely meant.

        Raises:
            UserError: for class labels outside the classes.
        """
        if self.is_sparse and self.arguments.get("axis", -1) in (-1, len(z.shape) - 1):
            check_labels(y, int(z.shape[-1]), ignored=self.arguments.get("ignore_class"))
        if self.is_sum:
            warn('the loss is a sum (reduction="sum"): its value and gradient grow with the number of examples')
        self._check_probabilities(np.asarray(tf.cast(z, tf.float32)), 1e-2 if z.dtype.size == 2 else 1e-4)

    def _check_probabilities(self, z: np.ndarray, tolerance: float) -> None:
        name = getattr(self.base, "__name__", "the loss")
        if not np.isfinite(z).all():  # of a net that diverged
            return
        if self.from_logits is False:
            whole = self.base is _BINARY or are_probabilities(z, tolerance)
            if z.min() < 0 or z.max() > 1 + tolerance or not whole:
                warn(f"{name} expects probabilities, and the outputs are not; use from_logits=True")
        elif self.from_logits and self.base is not _BINARY and are_probabilities(z, tolerance):
            warn(f"{name} expects logits, and the outputs are probabilities; use from_logits=False")


def are_probabilities(z: np.ndarray, tolerance: float = 1e-4) -> bool:
    """Whether outputs (n, ..., C) of several classes are non-negative and sum to one, as after a softmax."""
    if z.ndim < 2 or z.shape[-1] < 2 or not np.isfinite(z).all():
        return False
    return bool(z.min() >= 0 and np.allclose(z.sum(axis=-1), 1, atol=tolerance))


def _shape(shape: list[int]) -> str:
    """Format a shape whose first axis is that of the examples."""
    return f"({', '.join(['n', *map(str, shape[1:])])}{',' if len(shape) == 1 else ''})" if shape else "()"


def added_losses(model: keras.Model, dtype: tf.DType) -> list[Tensor]:
    """Return what the layers of `model` added in its last call, regularizers among them, as scalars of `dtype`."""
    return [tf.reduce_sum(tf.cast(a, dtype)) for a in model.losses]


def _compiled_loss(model: keras.Model | None) -> tuple[Any, float]:
    """Return the loss that `model` was compiled with and its weight."""
    compiled = model is not None and getattr(model, "compiled", False)
    loss = getattr(model, "loss", None) if compiled else None
    require(loss is not None, "loss=None means the loss that the model was compiled with, and it has none; name one")
    try:
        weight = (model.get_compile_config() or {}).get("loss_weights")  # type: ignore[union-attr]
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"the compiled loss cannot be read ({first_line(error)}); name the loss") from None
    losses, weights = (
        list(v.values()) if isinstance(v, dict) else list(v) if isinstance(v, (list, tuple)) else [v]
        for v in (loss, weight)
    )
    require(
        len(losses) == 1 and len(weights) == 1,
        f"the model was compiled with {len(losses)} losses; give a model of one output and its loss",
    )
    return losses[0], 1.0 if weights[0] is None else float(weights[0])


def correct_predictions(y: Tensor, z: Tensor) -> Tensor | None:
    """Whether the largest output is that of the class, (n,); None where targets are not class labels.

    Class labels are whole numbers, (n,) or (n, 1), for outputs (n, C) of two classes or more.
    """
    if not tf.is_tensor(y) or not y.dtype.is_integer or len(z.shape) != 2 or z.shape[-1] < 2:
        return None
    if y.shape.as_list() not in ([z.shape[0]], [z.shape[0], 1]):
        return None
    return tf.equal(tf.argmax(z, -1, y.dtype), tf.reshape(y, [z.shape[0]]))
