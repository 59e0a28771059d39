"""Moving statistics of batch normalization, taken anew from data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import keras
import numpy as np

from dlhw._tf.inputs import chunks, input_tensors, length, take
from dlhw._tf.types import Data, Tensor
from dlhw.errors import check_numbers, require
from dlhw.measure.objective import BATCH
from dlhw.models.forward import Forward
from dlhw.models.probe import Probe, probe
from dlhw.models.state import intercepted, layers_of, restore_weights

BatchNorm = Literal["interpolate", "recompute"]


def with_batch_statistics(layer: keras.layers.Layer, call: Callable[..., Any]) -> Callable[..., Tensor]:
    """Return the call of a layer in training mode, in which it uses statistics of its batch; see `intercepted`."""
    return lambda *args, **kwargs: call(*args, **{**kwargs, "training": True})


def check_batch_norm(choice: str) -> None:
    """Raise UserError for another value of `batch_norm`."""
    require(choice in ("interpolate", "recompute"), f"`batch_norm` {choice!r} is unknown; use interpolate or recompute")


@check_numbers
def reset_batch_norm(model: keras.Model, x: Data, *, batch_size: int = BATCH) -> None:
    """Set the moving statistics of batch normalization to those of the data, at the weights that the model holds.

    Weights that were not trained, such as a mean of those of two nets, have other activations than the moving
    statistics say: the variance of averaged activations is smaller, and every layer shrinks them further. Jordan et al.
    2023, REPAIR: renormalizing permuted activations for interpolation repair, section 3; for nets with batch
    normalization REPAIR is this reset. Mean and variance are those over all of x, of which a mask excludes what it
    excludes in training; with several such layers, what enters the later ones is normalized chunk by chunk, as in
    training. Frozen layers (`trainable=False`) keep theirs, which they use in training too.

    Args:
        model: any built Keras model.
        x: inputs, (n, ...), as the model is trained on.
        batch_size: examples per chunk.

    Returns:
        Nothing; the moving means and variances of the model are changed, and nothing else.

    Raises:
        UserError: for data that do not fit the model, and layers of batch normalization that are called more than once
            or renormalize.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> from dlhw import measure
        >>> net = keras.Sequential([keras.Input((2,)), keras.layers.BatchNormalization(), keras.layers.Dense(1)])
        >>> measure.reset_batch_norm(net, np.array([[1.0, 5.0], [3.0, 5.0]]))
        >>> net.layers[0].moving_mean.numpy().tolist(), net.layers[0].moving_variance.numpy().tolist()
        ([2.0, 5.0], [1.0, 0.0])
    """
    require(batch_size >= 1, f"`batch_size` {batch_size} must be positive")
    data = input_tensors(model, x)
    length(data)
    BatchStatistics(model, data, probe(model, None, data), batch_size).recompute()


class BatchStatistics:
    """Moving statistics of batch normalization, taken anew over all of the data at the weights of the moment."""

    def __init__(self, model: keras.Model, x: Tensor, probe: Probe, batch_size: int) -> None:
        self.model, self.x, self.n, self.moving, self.batch_size = model, x, length(x), probe.moving, batch_size
        # A frozen layer has the same statistics in training, so there are no others to take.
        norms = [la for la in layers_of(self.model) if isinstance(la, keras.layers.BatchNormalization)]
        self.layers = [layer for layer in norms if layer.trainable]
        renormalizing = next((layer.name for layer in self.layers if getattr(layer, "renorm", False)), "")
        require(
            not renormalizing,
            f"layer {renormalizing} uses batch renormalization, whose statistics cannot be taken anew; on lines and "
            'curves use batch_norm="interpolate"',
        )
        counts = dict.fromkeys((layer.name for layer in self.layers), 0)

        def counted(layer: keras.layers.Layer, call: Callable[..., Any]) -> Callable[..., Tensor]:
            def counting(*args: Any, **kwargs: Any) -> Tensor:
                counts[layer.name] += 1
                return call(*args, **kwargs)

            return counting

        with restore_weights(self.model), intercepted(self.layers, counted):
            Forward(self.model)(take(x, np.arange(1 if probe.separable else self.n)))
        often = [name for name, count in counts.items() if count > 1]
        require(
            not often,
            f"layer {often[0] if often else ''} is called more than once, so its statistics cannot be taken anew; on "
            'lines and curves use batch_norm="interpolate"',
        )

    def recompute(self) -> None:
        """Set those of each layer to mean and variance of its inputs over all examples, not a mean over batches."""
        sums = [np.zeros((2, *layer.moving_mean.shape)) for layer in self.layers]
        weights, counts = np.zeros(len(self.layers)), np.zeros(len(self.layers))
        places = {id(layer): k for k, layer in enumerate(self.layers)}

        def counted(layer: keras.layers.Layer, call: Callable[..., Any]) -> Callable[..., Tensor]:
            in_training = with_batch_statistics(layer, call)

            def counting(inputs: Tensor, *args: Any, **kwargs: Any) -> Tensor:
                mask = kwargs.get("mask")
                counts[places[id(layer)]] = length(inputs) if mask is None else np.count_nonzero(mask)
                return in_training(inputs, *args, **kwargs)

            return counting

        momenta = [layer.momentum for layer in self.layers]
        still = [v.numpy() for v in self.moving]
        try:
            for layer in self.layers:
                layer.momentum = 0.0  # a batch leaves its own statistics
            for x in chunks(self.x, self.batch_size) if self.layers else ():
                with intercepted(self.layers, counted):
                    self.model(x, training=False)
                for variable, value in zip(self.moving, still, strict=True):
                    variable.assign(value)
                weights += counts
                for total, layer, count in zip(sums, self.layers, counts, strict=True):
                    mean, variance = (v.numpy().astype(np.float64) for v in (layer.moving_mean, layer.moving_variance))
                    total += count * np.stack([mean, variance + mean**2])
        finally:
            for layer, momentum in zip(self.layers, momenta, strict=True):
                layer.momentum = momentum
        require(bool((weights > 0).all()), "the mask excludes every example from a batch normalization")
        for total, layer, weight in zip(sums, self.layers, weights, strict=True):
            mean, square = total / weight
            layer.moving_mean.assign(mean)
            layer.moving_variance.assign(square - mean**2)
