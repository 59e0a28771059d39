"""Kinds by how a model is put together, and by how its data come."""

from __future__ import annotations

import numpy as np

import dlhw  # noqa: F401  (sets KERAS_BACKEND)
from tests.watch.kinds import CROSS_ENTROPY, Case, L, add, chain, floats, labels, softmax

import keras  # isort: skip


@add("sequential")
def sequential():
    model = keras.Sequential([keras.Input((4,)), L.Dense(6, "relu"), softmax()])
    return Case(model, floats(4), labels(), CROSS_ENTROPY)


@add("sequential, not built")
def not_built():
    return Case(keras.Sequential([L.Dense(6, "tanh"), softmax()]), floats(4), labels(), CROSS_ENTROPY)


@add("functional")
def functional():
    return Case(chain(L.Dense(6, "tanh"), L.Dense(5, "relu"), softmax()), floats(4), labels(), CROSS_ENTROPY)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.outputs_of = L.Dense(6, "tanh"), L.Dense(2)
        self.scale = self.add_weight(shape=(2,), initializer="ones", name="scale")

    def call(self, x):
        return self.outputs_of(self.hidden(x)) * self.scale


@add("subclassed")
def subclassed():
    return Case(Subclassed(), floats(4), floats(2, seed=1))


@add("nested")
def nested():
    inner = keras.Sequential([keras.Input((4,)), L.Dense(5, "tanh", name="first"), L.Dense(4, name="second")])
    other = keras.Sequential([keras.Input((4,)), L.Dense(5, "tanh", name="first"), L.Dense(3, name="second")])
    return Case(chain(inner, other, L.Softmax()), floats(4), labels(), CROSS_ENTROPY)


@add("shared layer")
def shared():
    inputs, layer = keras.Input((4,)), L.Dense(4, "tanh")
    return Case(keras.Model(inputs, L.Dense(2)(layer(layer(inputs)))), floats(4), floats(2, seed=1))


@add("several inputs")
def several_inputs():
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    model = keras.Model({"a": a, "b": b}, softmax()(L.Concatenate()([L.Dense(3, "relu")(a), L.Dense(2, "tanh")(b)])))
    return Case(model, {"a": floats(4), "b": floats(3, seed=3)}, labels(), CROSS_ENTROPY)


@add("several outputs")
def several_outputs():
    inputs = keras.Input((4,))
    h = L.Dense(5, "tanh")(inputs)
    model = keras.Model(inputs, [softmax(name="label")(h), L.Dense(2, name="value")(h)])
    losses, targets = [CROSS_ENTROPY, "mse"], [labels(), floats(2, seed=1)]
    return Case(model, floats(4), targets, losses, loss_weights=[1.0, 0.3])


@add("residual")
def residual():
    inputs = keras.Input((4,))
    h = L.Dense(4, "relu")(inputs)
    return Case(keras.Model(inputs, L.Dense(2)(L.Add()([inputs, h]))), floats(4), floats(2, seed=1))


@add("frozen layer")
def frozen():
    model = chain(L.Dense(6, "tanh"), L.Dense(5, "tanh", name="frozen"), softmax())
    model.get_layer("frozen").trainable = False
    return Case(model, floats(4), labels(), CROSS_ENTROPY)


@add("layer without gradient")
def unconnected():
    inputs = keras.Input((4,))
    h, unused = L.Dense(5, "tanh")(inputs), L.Dense(2, name="unused")(inputs)
    return Case(keras.Model(inputs, [L.Dense(2)(h), unused]), floats(4), [floats(2, seed=1), None], ["mse", None])


@add("class weights")
def class_weights():
    case = functional()
    case.class_weight = {0: 1.0, 1: 3.0, 2: 0.5}
    return case


@add("sample weights")
def sample_weights():
    case = functional()
    case.sample_weight = np.linspace(0.0, 2.0, len(case.x)).astype(np.float32)
    return case


@add("tf.data of unknown length")
def dataset():
    case = functional()
    case.feed = "dataset"
    return case


@add("generator")
def generator():
    case = functional()
    case.feed = "generator"
    return case


@add("PyDataset")
def py_dataset():
    case = functional()
    case.feed = "sequence"
    return case


@add("uneven last batch")
def uneven():
    case = functional()
    case.x, case.y = case.x[:21], case.y[:21]
    return case


@add("loss of the user's")
def own_loss():
    def quartic(y, outputs):
        return keras.ops.mean((y - outputs) ** 4, -1)

    return Case(chain(L.Dense(6, "tanh"), L.Dense(1)), floats(4), floats(1, seed=1), quartic)
