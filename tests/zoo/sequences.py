"""Recurrent layers, attention, embeddings, masks, texts."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tests.zoo.kinds import EXAMPLES, KINDS, Kind, L, add, chain, classes, floats, generator

STEPS = (4, 2)
RECURRENT = {
    "simple rnn": lambda: L.SimpleRNN(3),
    "lstm": lambda: L.LSTM(3),
    "gru": lambda: L.GRU(3),
    "bidirectional": lambda: L.Bidirectional(L.GRU(2)),
    "time distributed": lambda: L.TimeDistributed(L.Dense(3, activation="tanh")),
}
for _name, _make in RECURRENT.items():
    KINDS[_name] = Kind("sequences", lambda make=_make: chain(make(), L.Flatten(), L.Dense(1), shape=STEPS), STEPS)


@add("conv lstm", "sequences", shape=(3, 4, 4, 1))
def _():
    return chain(L.ConvLSTM2D(2, 2), L.Flatten(), L.Dense(1), shape=(3, 4, 4, 1))


@add("attention", "sequences", shape=STEPS)
def _():
    return chain(lambda h: L.MultiHeadAttention(2, 2)(h, h), L.Flatten(), L.Dense(1), shape=STEPS)


@add("transformer block", "sequences", shape=STEPS)
def _():
    inputs = keras.Input(STEPS)
    h = L.Dense(4)(inputs)
    h = L.LayerNormalization()(h + L.MultiHeadAttention(2, 2)(h, h))
    h = L.LayerNormalization()(h + L.Dense(4)(L.Dense(6, activation="gelu")(h)))
    return keras.Model(inputs, L.Dense(1)(L.GlobalAveragePooling1D()(h)))


def padded():
    x = floats(STEPS)
    for row, length in enumerate([1, 2, 3, 4, 2, 3, 1, 4, 2]):
        x[row, length:] = 0
    return x


def ids():
    return generator(6).integers(0, 4, (EXAMPLES, 4))


@add("masking", "masks", shape=padded)
def _():
    return chain(L.Masking(), L.LSTM(3, return_sequences=True), L.Dense(1), shape=STEPS)


@add("embedding", "masks", shape=ids)
def _():
    return chain(L.Embedding(5, 3), L.Flatten(), L.Dense(1), shape=(4,), dtype="int32")


@add("embedding mask_zero", "masks", shape=ids, loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
     targets=classes)  # fmt: skip
def _():
    return chain(L.Embedding(5, 3, mask_zero=True), L.Dense(3), shape=(4,), dtype="int32")


@add("ids as floats", "masks", shape=lambda: ids().astype("float32"))
def _():
    return chain(L.Embedding(5, 3), L.Flatten(), L.Dense(1), shape=(4,))


@add("string lookup", "states", shape=lambda: tf.constant([["a", "b"], ["c", "?"], ["a", "a"]] * 3))
def _():
    lookup = L.StringLookup()
    lookup.adapt(np.array(["a", "b", "c", "a"]))
    return chain(lookup, L.Embedding(6, 3), L.Flatten(), L.Dense(1), shape=(2,), dtype="string")


@add("text vectorization", "states", shape=lambda: tf.constant([["a b"], ["b c c"], ["a"]] * 3))
def _():
    texts = L.TextVectorization(output_sequence_length=3)
    texts.adapt(np.array(["a b", "b c"]))
    return chain(texts, L.Embedding(6, 3), L.Flatten(), L.Dense(1), shape=(1,), dtype="string")
