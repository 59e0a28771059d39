"""Margins: how far the output of the true class lies above those of the others."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlhw._tf.inputs import check_labels, chunks, input_tensors, length
from dlhw._tf.types import Data
from dlhw.errors import check_numbers, require
from dlhw.measure.objective import BATCH
from dlhw.models.forward import forward_function
from dlhw.models.probe import EXAMPLES, probe
from dlhw.models.state import restore_weights

Array = NDArray[np.floating]

PROBABILITIES = "the model outputs probabilities; margins are those of its logits"
_SIGMOIDS = (keras.activations.sigmoid, keras.activations.hard_sigmoid)


@dataclass(frozen=True)
class Margins:
    """The margin of every example."""

    values: Array  # (n,) output of the true class minus the largest of the others; negative where the net is wrong

    @check_numbers
    def percentile(self, share: float = 10.0) -> float:
        """Return the margin below which so many per cent of the examples lie.

        Args:
            share: in per cent; Jiang et al. 2020 take 10 in place of the smallest margin, which one example decides.

        Returns:
            The percentile, in units of the outputs.
        """
        return float(np.percentile(self.values, share))


@check_numbers
def margins(model: keras.Model, x: Data, y: Data, *, batch_size: int = BATCH) -> Margins:
    """Return the output margin of every example: f(x)_y - max over other classes j of f(x)_j, of the logits f.

    For a model of one output, the logit of class 1, the logit of class 0 is 0, so that the margin is f or -f.

    Args:
        model: any built Keras model of one output tensor (n, classes) or (n, 1), of logits.
        x: inputs, (n, ...).
        y: class labels, (n,) or (n, 1), whole numbers from 0.
        batch_size: examples per chunk; it changes rounding and memory only.

    Returns:
        The margins in units of the outputs. They grow with the scale of the last layer; divided by a norm of the
        weights they are comparable between nets.

    Raises:
        UserError: for a model that outputs probabilities, outputs of another shape, labels that are not classes, and
            outputs that depend on other examples.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> net = models.mlp((4,), inputs=2, outputs=3, seed=0)
        >>> x, y = np.eye(2), np.array([0, 2])
        >>> z = net(x).numpy()
        >>> bool(np.isclose(measure.margins(net, x, y).values[0], z[0, 0] - max(z[0, 1], z[0, 2])))
        True
    """
    require(batch_size >= 1, f"`batch_size` {batch_size} must be positive")
    inputs = input_tensors(model, x)
    labels = _labels(y)
    n = length((inputs, labels))
    behaviour = probe(model, None, inputs)
    require(behaviour.separable, "an output depends on the other examples of its batch, so it has no margin of its own")
    require(not (behaviour.probabilities or _ends_in_sigmoid(model)), PROBABILITIES)
    classes = max(behaviour.classes, 2)
    check_labels(labels, classes)
    outputs = forward_function(model, "plain", "value", n, inputs)
    rows = []
    before = [v.numpy() for v in behaviour.moving]
    with restore_weights(model):
        for part in chunks(inputs, batch_size):
            for variable, value in zip(behaviour.moving, before, strict=True):
                variable.assign(value)
            z = tf.cast(outputs(part), tf.float64).numpy()
            require(z.ndim == 2, f"outputs {('n', *z.shape[1:])} must be (n, classes): one output for every class")
            rows.append(z)
    z = np.concatenate(rows)
    # Code of its own may end in a sigmoid as well; that all logits of many examples lie in [0, 1] is no chance.
    is_code = not getattr(model, "outputs", None)
    in_range = is_code and z.shape[1] == 1 and n >= EXAMPLES and bool(((z >= 0) & (z <= 1)).all())
    require(not in_range, PROBABILITIES)
    return Margins(_margins(z, labels.numpy()))


def _ends_in_sigmoid(model: keras.Model) -> bool:
    """Whether the layer that makes the output of a functional or Sequential model ends in a sigmoid."""
    outputs = getattr(model, "outputs", None)
    if not outputs:
        return False
    operation = outputs[0]._keras_history.operation
    if isinstance(operation, keras.Model):
        return _ends_in_sigmoid(operation)
    return getattr(operation, "activation", None) in _SIGMOIDS or type(operation).__name__ in ("Sigmoid", "HardSigmoid")


def _labels(y: Data) -> tf.Tensor:
    """Return class labels as a tensor of whole numbers, (n,)."""
    labels = np.asarray(y)
    require(
        labels.ndim == 1 or (labels.ndim == 2 and labels.shape[1] == 1),
        f"`y` {labels.shape} must be (n,) or (n, 1): one class label for every example",
    )
    whole = labels.dtype.kind in "iub" or (labels.dtype.kind == "f" and bool(np.all(labels == np.round(labels))))
    require(whole, "`y` must hold class labels, whole numbers from 0")
    return tf.constant(labels.ravel().astype(np.int64))


def _margins(z: Array, y: NDArray[np.integer]) -> Array:
    if z.shape[1] == 1:
        return np.where(y == 1, z[:, 0], -z[:, 0])
    rows = np.arange(len(z))
    others = z.copy()
    others[rows, y] = -np.inf
    return z[rows, y] - others.max(axis=1)
