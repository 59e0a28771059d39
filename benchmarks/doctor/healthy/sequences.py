"""Recurrent nets, embeddings, attention and convolutions over sequences."""

from __future__ import annotations

import keras

from benchmarks.doctor import data
from benchmarks.doctor.healthy.register import healthy, named, optimizer, stack
from benchmarks.doctor.program import Training

KIND = "sequences"
SPARSE = "sparse_categorical_crossentropy"
L = keras.layers


@healthy(KIND, "accuracy", 0.9, {"lstm": L.LSTM, "gru": L.GRU})
def waves_by_recurrence(seed, choice):
    d = data.waves()
    model = stack((24, 1), choice(24), L.Dense(3, "softmax"))
    model.compile(keras.optimizers.Adam(0.01, clipnorm=1.0), SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 20, 32, d.validation)


@healthy(KIND, "accuracy", 0.9, named("adam-fast", "rmsprop"))
def waves_by_convolution(seed, choice):
    d = data.waves()
    model = stack(
        (24, 1),
        L.Conv1D(24, 5, activation="relu"),
        L.MaxPooling1D(),
        L.Conv1D(24, 3, activation="relu"),
        L.GlobalMaxPooling1D(),
        L.Dense(3, "softmax"),
    )
    model.compile(optimizer(choice), SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 25, 32, d.validation)


@healthy(KIND, "accuracy", 0.85, {"forward": False, "both": True})
def texts_by_recurrence(seed, choice):
    d = data.texts()
    layer = L.Bidirectional(L.LSTM(12)) if choice else L.GRU(16, dropout=0.1)
    model = keras.Sequential([keras.Input((20,), dtype="int32"), L.Embedding(200, 16), layer, L.Dense(1, "sigmoid")])
    model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 6, 32, d.validation)


@healthy(KIND, "accuracy", 0.88, named("adam-fast", "rmsprop", "adamw"))
def texts_by_pooling(seed, choice):
    d = data.texts()
    model = keras.Sequential([keras.Input((20,), dtype="int32"), L.Embedding(200, 16), L.GlobalAveragePooling1D()])
    model.add(L.Dense(16, "relu"))
    model.add(L.Dense(1, "sigmoid"))
    model.compile(optimizer(choice), "binary_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 15, 32, d.validation)


@healthy(KIND, "accuracy", 0.85, {"two-heads": 2, "four-heads": 4})
def texts_by_attention(seed, choice):
    d = data.texts()
    inputs = keras.Input((20,), dtype="int32")
    x = L.Embedding(200, 16)(inputs)
    x = L.LayerNormalization()(x + L.MultiHeadAttention(choice, 8)(x, x))
    x = L.LayerNormalization()(x + L.Dense(16)(L.Dense(32, "gelu")(x)))
    model = keras.Model(inputs, L.Dense(1, "sigmoid")(L.Dropout(0.1)(L.GlobalAveragePooling1D()(x))))
    model.compile(keras.optimizers.AdamW(2e-3), "binary_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 8, 32, d.validation)


@healthy(KIND, "loss", 0.02, {"lstm": L.LSTM, "gru": L.GRU, "simple": L.SimpleRNN})
def forecast(seed, choice):
    d = data.forecast()
    model = stack((20, 1), choice(20), L.Dense(1))
    model.compile(keras.optimizers.Adam(5e-3), "mse")
    return Training(model, d.x, d.y, d.probe, 20, 32, d.validation)


@healthy(KIND, "loss", 0.02, {"dense": "relu", "tanh": "tanh"})
def forecast_by_window(seed, choice):
    d = data.forecast()
    model = stack((20, 1), L.Flatten(), L.Dense(32, choice), L.Dense(16, choice), L.Dense(1))
    model.compile("adam", "mse", metrics=["mae"])
    return Training(model, d.x, d.y, d.probe, 25, 32, d.validation)
