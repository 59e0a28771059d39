"""Models that draw, count, or keep states in a forward pass."""

from __future__ import annotations

import keras
import tensorflow as tf

from tests.zoo.kinds import EXAMPLES, L, add, chain


class Sampling(L.Layer):
    """The sampling layer of a variational autoencoder, its noise from a seed that the layer holds."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed = keras.random.SeedGenerator(3)

    def call(self, x):
        return x + keras.random.normal(keras.ops.shape(x), dtype=x.dtype, seed=self.seed)


class Unseeded(L.Layer):
    def call(self, x):
        return x + tf.random.normal(tf.shape(x), dtype=x.dtype)


class Counter(L.Layer):
    """Counts its calls, and computes with the count."""

    def build(self, shape):
        self.calls = self.add_weight(shape=(), trainable=False, initializer="ones")

    def call(self, x):
        self.calls.assign(self.calls + 1.0)
        return x * keras.ops.cast(self.calls, x.dtype)


class OwnVariable(L.Layer):
    """A variable that Keras does not list."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.total = tf.Variable(0.0, trainable=False)

    def call(self, x):
        self.total.assign_add(1.0)
        return x * (1 + tf.cast(self.total, x.dtype))


@add("vae sampling", "states")
def _():
    return chain(L.Dense(2), Sampling(), L.Dense(3))


class MonteCarloDropout(L.Dropout):
    def call(self, x, training=None):
        return super().call(x, training=True)


@add("monte carlo dropout", "states")
def _():
    return chain(L.Dense(6, activation="tanh"), MonteCarloDropout(0.5, seed=2), L.Dense(1))


@add("unseeded noise", "states")
def _():
    return chain(Unseeded(), L.Dense(1))


@add("counter", "states")
def _():
    return chain(L.Dense(3, activation="tanh"), Counter(), L.Dense(1))


@add("variable of its own", "states")
def _():
    return chain(L.Dense(3, activation="tanh"), OwnVariable(), L.Dense(1))


@add("stateful lstm", "states", shape=(4, 2))
def _():
    inputs = keras.Input(batch_shape=(EXAMPLES, 4, 2))
    return keras.Model(inputs, L.Dense(1)(L.LSTM(3, stateful=True)(inputs)))
