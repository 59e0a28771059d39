"""Sequential, nested, subclassed, shared, several inputs and outputs, frozen, not built."""

from __future__ import annotations

import keras

from tests.zoo.kinds import L, add, chain, classes


@add("sequential", "structures")
def _():
    return keras.Sequential([keras.Input((3,)), L.Dense(4, activation="tanh"), L.Dense(1)])


@add("logistic regression", "structures", loss="binary_crossentropy", targets=lambda s: classes((*s[:-1], 2)))
def _():
    return chain(L.Dense(1), L.Activation("sigmoid"))


@add("nested", "structures")
def _():
    inner = chain(L.Dense(4, activation="tanh"), L.LayerNormalization())
    return chain(inner, L.Dense(1))


class Subclassed(keras.Model):
    """A subclassed model."""

    unbuilt = False

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = L.Dense(4, activation="tanh"), L.LayerNormalization(), L.Dense(1)

    def call(self, x):
        return self.last(self.norm(self.first(x)))


@add("subclassed", "structures")
def _():
    model = Subclassed()
    model(keras.ops.ones((1, 3)))
    return model


@add("subclassed, not built", "structures")
def _():
    model = Subclassed()
    object.__setattr__(model, "unbuilt", True)
    return model


@add("sequential, not built", "structures")
def _():
    model = keras.Sequential([L.Dense(4, activation="tanh"), L.Dense(1)])
    object.__setattr__(model, "unbuilt", True)
    return model


@add("shared layer", "structures")
def _():
    twice = L.Dense(3, activation="tanh")
    return chain(twice, twice, L.Dense(1))


@add("residual", "structures")
def _():
    return chain(lambda h: L.Add()([h, L.Dense(3, activation="tanh")(h)]), L.Dense(1))


@add("several inputs", "structures", shape=[(2,), (3,)])
def _():
    a, b = keras.Input((2,)), keras.Input((3,))
    return keras.Model([a, b], L.Dense(1)(L.Dense(4, activation="tanh")(L.Concatenate()([a, b]))))


@add("inputs by name", "structures", shape={"a": (2,), "b": (3,)})
def _():
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    return keras.Model({"a": a, "b": b}, L.Dense(1)(L.Dense(4, activation="tanh")(L.Concatenate()([a, b]))))


@add("several outputs", "structures")
def _():
    inputs = keras.Input((3,))
    return keras.Model(inputs, [L.Dense(1)(inputs), L.Dense(2)(inputs)])


@add("partly frozen", "structures")
def _():
    model = chain(L.Dense(4, activation="tanh"), L.Dense(1))
    model.layers[1].trainable = False
    return model


@add("all frozen", "structures")
def _():
    model = chain(L.Dense(4, activation="tanh"), L.Dense(1))
    model.trainable = False
    return model


@add("lambda", "structures")
def _():
    return chain(L.Lambda(lambda x: x * 2), L.Dense(4, activation="tanh"), L.Dense(1))


class Scale(L.Layer):
    """A layer with weights of its own."""

    def build(self, shape):
        self.factor = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x):
        return keras.ops.tanh(x * self.factor)


@add("custom layer", "structures")
def _():
    return chain(L.Dense(4), Scale(), L.Dense(1))


@add("softmax by an op", "structures", loss="sparse_categorical_crossentropy", targets=classes)
def _():
    return chain(L.Dense(3), keras.ops.softmax)


@add("softmax in a nested model", "structures", loss="sparse_categorical_crossentropy", targets=classes)
def _():
    return chain(chain(L.Dense(3, activation="softmax")))
