"""Training of the bend of a curve: steps on batches, each at a random position of the curve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlhw._tf.compiled import Compiled
from dlhw._tf.inputs import take
from dlhw._tf.losses import added_losses
from dlhw._tf.types import Tensor
from dlhw.errors import require
from dlhw.measure.batch_statistics import with_batch_statistics
from dlhw.measure.objective import Objective
from dlhw.models.forward import Forward, forward_function
from dlhw.models.state import intercepted, layers_of

Array = NDArray[np.floating]

DECAYS = 0.9, 0.999
"""Of Adam's means of gradients and of their squares."""
_EPSILON = 1e-7


class BendTraining:
    """The bend of the curve between two sets of weights, trained by Adam (Kingma and Ba 2015) on the loss at random t.

    Everything is computed with the weights of the model of `objective`, which are those of the curve meanwhile.
    """

    def __init__(self, objective: Objective, ends: Sequence[Sequence[Array]], batch_statistics: bool) -> None:
        """batch_statistics: whether batch normalization uses the statistics of a batch."""
        self.objective, self.model = objective, objective.model
        self.middle = [p if p.dtype.kind in "iub" else 0.5 * p + 0.5 * q for p, q in zip(*ends, strict=True)]
        self.places = {id(v): k for k, v in enumerate(self.model.weights)}
        self.variables = list(self.model.trainable_variables)
        at = [self.places[id(v)] for v in self.variables]
        kinds = [v.dtype for v in self.variables]
        self.ends = [[tf.constant(w[k], kind) for k, kind in zip(at, kinds, strict=True)] for w in ends]
        self.bends = [tf.Variable(self.middle[k], dtype=kind) for k, kind in zip(at, kinds, strict=True)]
        self.moments = [[tf.Variable(tf.zeros_like(v)) for v in self.bends] for _ in DECAYS]
        norms = [la for la in layers_of(self.model) if isinstance(la, keras.layers.BatchNormalization)]
        self.norms = norms if batch_statistics else []

    def bend(self) -> list[Array]:
        """Return all weights of the bend; those that do not train are the mean of the ends."""
        weights = list(self.middle)
        for variable, bend in zip(self.variables, self.bends, strict=True):
            weights[self.places[id(variable)]] = bend.numpy()
        return weights

    def fit(
        self,
        epochs: int,
        rate: float,
        examples: int,
        rng: np.random.Generator,
        progress: Callable[[int, float], None] | None,
    ) -> Array:
        """Train the bend, and return the mean loss of the batches of every epoch.

        Args:
            epochs: passes over the examples.
            rate: of the first step; it falls to 0 by half a cosine.
            examples: of a step.
            rng: of the order of the examples, and of t.
            progress: called after every epoch.
        """
        objective, n = self.objective, self.objective.n
        size = n if objective.probe.at_once else min(examples, n)
        starts = range(0, n, size)
        forward = self._forward(epochs * n)
        step = Compiled(lambda *arguments: self._step(forward, *arguments), xla=forward.xla)
        history = []
        before = [v.numpy() for v in objective.probe.moving]
        for epoch in range(epochs):
            order, losses = rng.permutation(n), []
            for k, start in enumerate(starts):
                count = epoch * len(starts) + k
                now = 0.5 * rate * (1 + np.cos(np.pi * count / (epochs * len(starts))))
                x, y = take(objective.data, order[start : start + size])
                scalars = tf.constant([rng.uniform(), now, count + 1], tf.float64)
                with intercepted(self.norms, with_batch_statistics) if self.norms else nullcontext():
                    losses.append(float(step(x, y, scalars)))
                for variable, value in zip(objective.probe.moving, before, strict=True):
                    variable.assign(value)
            history.append(float(np.mean(losses)))
            require(np.isfinite(history[-1]), f"the loss along the curve is {history[-1]} in epoch {epoch + 1}; lower "
                    "`learning_rate`")  # fmt: skip
            if progress is not None:
                progress(epoch + 1, history[-1])
        return np.array(history)

    def _forward(self, examples: int) -> Forward:
        probe = self.objective.probe
        if self.norms or probe.moving or probe.added or probe.at_once:
            return Forward(self.model)
        return forward_function(self.model, "auto", "training", examples, self.objective.data[0])

    def _step(self, forward: Forward, x: Tensor, y: Tensor, scalars: Tensor) -> Tensor:
        """Update the bend on one batch; scalars: t, learning rate, and number of the step. Return the loss."""
        t, rate, count = tf.unstack(scalars)
        for variable, a, m, b in zip(self.variables, self.ends[0], self.bends, self.ends[1], strict=True):
            u = tf.cast(t, m.dtype)
            variable.assign((1 - u) ** 2 * a + 2 * u * (1 - u) * m + u**2 * b)
        tensors = [v.value for v in self.variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(tensors)
            value = tf.cast(self.objective.loss.value(y, forward(x)), self.objective.dtype)
            value += sum(added_losses(self.model, self.objective.dtype), tf.zeros([], self.objective.dtype))
        gradients = tape.gradient(value, tensors, unconnected_gradients="zero")
        for k, gradient in enumerate(gradients):
            dense = tf.convert_to_tensor(gradient)
            self._adam(k, dense * tf.cast(2 * t * (1 - t), dense.dtype), rate, count)
        return value

    def _adam(self, k: int, gradient: Tensor, rate: Tensor, count: Tensor) -> None:
        corrected = []
        for decay, moments, power in zip(DECAYS, self.moments, (1, 2), strict=True):
            mean = moments[k].assign(decay * moments[k] + (1 - decay) * gradient**power)
            corrected.append(mean / tf.cast(1 - tf.constant(decay, tf.float64) ** count, gradient.dtype))
        change = tf.cast(rate, gradient.dtype) * corrected[0] / (tf.sqrt(corrected[1]) + _EPSILON)
        self.bends[k].assign_sub(change)
