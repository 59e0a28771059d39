"""Kinds by their layers and their precision."""

from __future__ import annotations

import numpy as np

import dlhw  # noqa: F401  (sets KERAS_BACKEND)
from tests.watch.kinds import CROSS_ENTROPY, Case, L, add, chain, floats, labels, softmax

import keras  # isort: skip


@add("convolutions and batch norm")
def batch_norm():
    # A bias before batch norm has no gradient but rounding.
    layers = L.Conv2D(3, 3, use_bias=False), L.BatchNormalization(), L.ReLU(), L.Flatten()
    return Case(chain(*layers, softmax(), shape=(5, 5, 1)), floats(5, 5, 1), labels(), CROSS_ENTROPY)


@add("layer norm")
def layer_norm():
    return Case(chain(L.Dense(6, "tanh"), L.LayerNormalization(), L.Dense(2)), floats(4), floats(2, seed=1))


@add("group norm")
def group_norm():
    layers = L.Conv2D(4, 2, use_bias=False), L.GroupNormalization(2), L.ReLU(), L.GlobalAveragePooling2D()
    return Case(chain(*layers, softmax(), shape=(4, 4, 1)), floats(4, 4, 1), labels(), CROSS_ENTROPY)


@add("dropout")
def dropout():
    return Case(chain(L.Dense(8, "relu"), L.Dropout(0.4), softmax()), floats(4), labels(), CROSS_ENTROPY, random=True)


@add("LSTM")
def lstm():
    return Case(chain(L.LSTM(3), softmax(), shape=(4, 2)), floats(4, 2), labels(), CROSS_ENTROPY)


@add("GRU")
def gru():
    return Case(chain(L.GRU(3, unroll=True), softmax(), shape=(3, 2)), floats(3, 2), labels(), CROSS_ENTROPY)


@add("embedding")
def embedding():
    layers = L.Embedding(9, 4), L.GlobalAveragePooling1D(), softmax()
    return Case(chain(*layers, shape=(5,), dtype="int32"), labels(9, 5), labels(), CROSS_ENTROPY)


class Tied(L.Layer):
    """Logits over the words of an embedding, by its matrix."""

    def __init__(self, embedding):
        super().__init__()
        self.embedding = embedding

    def build(self, shape):
        self.bias = self.add_weight(shape=(self.embedding.input_dim,), initializer="zeros", name="bias")

    def call(self, x):
        return keras.ops.softmax(keras.ops.matmul(x, keras.ops.transpose(self.embedding.embeddings)) + self.bias)


@add("tied embeddings")
def tied():
    inputs, table = keras.Input((5,), dtype="int32"), L.Embedding(7, 4)
    return Case(keras.Model(inputs, Tied(table)(table(inputs))), labels(7, 5), labels(7, 5, seed=2), CROSS_ENTROPY)


@add("attention")
def attention():
    inputs = keras.Input((4, 6))
    h = L.Add()([inputs, L.MultiHeadAttention(2, 3, use_bias=False)(inputs, inputs)])
    return Case(keras.Model(inputs, softmax()(L.GlobalAveragePooling1D()(h))), floats(4, 6), labels(), CROSS_ENTROPY)


@add("regularizers")
def regularizers():
    layers = L.Dense(6, "tanh", kernel_regularizer="l2"), L.Dense(5, activity_regularizer="l1"), L.Dense(2)
    return Case(chain(*layers), floats(4), floats(2, seed=1))


@add("constraint")
def constraint():
    return Case(
        chain(L.Dense(6, "tanh", kernel_constraint=keras.constraints.MaxNorm(0.5)), L.Dense(2)),
        floats(4),
        floats(2, seed=1),
    )


class TwoWeights(L.Layer):
    def build(self, shape):
        self.slope = self.add_weight(shape=(shape[-1],), initializer="ones", name="slope")
        self.shift = self.add_weight(shape=(shape[-1],), initializer="zeros", name="shift")

    def call(self, x):
        return x * self.slope + self.shift


@add("layer of the user's")
def own_layer():
    return Case(chain(L.Dense(5, "tanh"), TwoWeights(), L.Dense(2)), floats(4), floats(2, seed=1))


@add("float64")
def float64():
    model = chain(L.Dense(6, "tanh", dtype="float64"), L.Dense(2, dtype="float64"), dtype="float64")
    loss = keras.losses.MeanSquaredError(dtype="float64")
    x, y = floats(4).astype(np.float64), floats(2, seed=1).astype(np.float64)
    return Case(model, x, y, loss, tolerance=1e-6)  # a record holds float32


def mixed(policy, **fields):
    keras.config.set_dtype_policy(policy)
    try:
        model = chain(L.Dense(8, "tanh"), L.Dense(8, "relu"), softmax(dtype="float32"))
        model.dtype_policy = policy  # by which `compile` decides on loss scaling
    finally:
        keras.config.set_dtype_policy("float32")
    return Case(model, floats(4), labels(), CROSS_ENTROPY, **fields)


@add("mixed_float16")
def float16():
    return mixed("mixed_float16", scaled=True, tolerance=2e-2)


@add("mixed_bfloat16")
def bfloat16():
    return mixed("mixed_bfloat16", tolerance=1e-1)
