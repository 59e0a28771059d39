"""`SAM`: sharpness-aware minimization inside of `model.fit`."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from dlhw._tf.types import Data, Tensor
from dlhw.errors import check_numbers, require
from dlhw.training.optimizers import optimizer

OWN = ("train_step", "compute_loss", "compute_metrics")
"""Methods that are not called on a wrapped model."""


class SAM(keras.Model):  # type: ignore[misc]
    """A model that trains another one by sharpness-aware minimization; compile and fit it in place of the other.

    The gradient g1 of a batch is taken at the weights w, and the gradient of the same batch at w + rho g1/|g1| is what
    the optimizer applies, whichever it is (Foret et al. 2021, algorithm 1; `tf.keras` 2 had it as
    SharpnessAwareMinimization). The norm is over all trainable weights. Both passes have the same dropout; moving
    statistics of batch normalizations, loss and metrics are those of the pass at w. Clipping, weight decay, loss
    scaling and gradient accumulation of the optimizer act on the second gradient. With `tf.distribute` each replica
    has a perturbation of its own, as in the paper.

    The weights are those of the wrapped model, which is what `save`, `save_weights` and callbacks such as
    `ModelCheckpoint` write, compiled as this one is: such a file needs neither this class nor dlhw.

    Example:
        >>> import keras, numpy as np, dlhw
        >>> x = np.linspace(-1, 1, 64)[:, None]
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
        >>> sam = dlhw.SAM(model, rho=0.05)
        >>> sam.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
        >>> history = sam.fit(x, np.sin(3 * x), epochs=3, verbose=0)
        >>> history.history["loss"][-1] < history.history["loss"][0]
        True
    """

    @check_numbers
    def __init__(self, model: keras.Model, rho: float = 0.05, name: str | None = None) -> None:
        """Wrap a model.

        Args:
            model: any Keras model that trains by Keras's own `train_step`.
            rho: distance at which the second gradient is taken; 0.05 is the default of the paper.
            name: of this model.

        Raises:
            UserError: unless `rho` is positive and finite, and for a model that overrides its training step, loss or
                metrics.
        """
        require(isinstance(model, keras.Model), f"SAM wraps a Keras model, not {type(model).__name__}")
        own = [n for n in OWN if getattr(type(model), n) is not getattr(keras.Model, n)]
        require(
            not own and not isinstance(model, SAM),
            f"model {model.name!r} has {own[0] if own else 'train_step'} of its own, which SAM does not call; wrap a "
            "model that trains by Keras's",
        )
        self._ascent = optimizer("sam", 1.0, rho=rho)
        super().__init__(name=name or f"sam_{model.name}")
        self.model, self.rho = model, float(rho)
        if hasattr(model, "output_names"):
            self.output_names = model.output_names

    def call(self, inputs: Data) -> Tensor:
        """Return the outputs of the wrapped model, in the mode of this call.

        Args:
            inputs: those of the wrapped model.
        """
        return self.model(inputs)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile this model, and the wrapped one with the same optimizer, loss and metrics.

        Args:
            *args: those of `keras.Model.compile`.
            **kwargs: those of `keras.Model.compile`.
        """
        super().compile(*args, **kwargs)
        given = inspect.signature(keras.Model.compile).bind(self.model, *args, **kwargs).arguments
        given.pop("self")
        # In mixed precision this optimizer scales the loss already.
        self.model.compile(**given | {"optimizer": self.optimizer, "auto_scale_loss": False})

    def train_step(self, data: Any) -> Any:
        """Return the metrics after one step on a batch.

        Args:
            data: the batch, as `fit` hands it over.
        """
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if not all(layer.built for layer in self.model._flatten_layers()):
            self(x, training=False)  # the first call makes the weights
        weights, states = self.model.trainable_variables, self.model.non_trainable_variables
        require(len(weights) > 0, f"model {self.model.name!r} has no trainable weights")
        before = [tf.identity(v.value) for v in states]
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred, sample_weight, training=True)
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, weights)
        known = [k for k, g in enumerate(gradients) if g is not None]
        parts = [tf.convert_to_tensor(gradients[k]) for k in known]  # those of embeddings are sparse
        ascended = self._ascent.ascended([weights[k].value for k in known], parts)
        at = list(zip((weights[k] for k in known), ascended, strict=True))
        # Keras's scope holds the weights of the second pass; what the pass assigns to variables is dropped.
        with (
            tf.GradientTape(watch_accessed_variables=False) as tape,
            keras.StatelessScope([*at, *zip(states, before, strict=True)], collect_losses=True),
        ):
            tape.watch(ascended)
            again = self.compute_loss(x, y, self(x, training=True), sample_weight, training=True)
            again = self.optimizer.scale_loss(again)
        second = dict(zip(known, tape.gradient(again, ascended), strict=True))
        self.optimizer.apply_gradients([(second.get(k), v) for k, v in enumerate(weights)])
        first = next(a for a in keras.tree.flatten(x) if a is not None)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync  # `compute_loss` returns a share of the loss
        self._loss_tracker.update_state(loss * tf.cast(replicas, loss.dtype), sample_weight=tf.shape(first)[0])
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def save(self, filepath: str | Path, *args: Any, **kwargs: Any) -> None:
        """Save the wrapped model.

        Args:
            filepath: of the file or folder.
            *args: those of `keras.Model.save`.
            **kwargs: those of `keras.Model.save`.
        """
        self.model.save(filepath, *args, **kwargs)

    def save_weights(self, filepath: str | Path, *args: Any, **kwargs: Any) -> None:
        """Save the weights of the wrapped model.

        Args:
            filepath: of the file or folder.
            *args: those of `keras.Model.save_weights`.
            **kwargs: those of `keras.Model.save_weights`.
        """
        self.model.save_weights(filepath, *args, **kwargs)

    def load_weights(self, filepath: str | Path, *args: Any, **kwargs: Any) -> None:
        """Load the weights of the wrapped model.

        Args:
            filepath: of the file or folder.
            *args: those of `keras.Model.load_weights`.
            **kwargs: those of `keras.Model.load_weights`.
        """
        self.model.load_weights(filepath, *args, **kwargs)

    def export(self, filepath: str | Path, *args: Any, **kwargs: Any) -> Any:
        """Return what exporting the wrapped model returns.

        Args:
            filepath: of the file or folder.
            *args: those of `keras.Model.export`.
            **kwargs: those of `keras.Model.export`.
        """
        return self.model.export(filepath, *args, **kwargs)
