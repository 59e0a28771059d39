"""Losses and targets that are not those of the other kinds; tests/test_losses.py has the table of Keras's own."""

from __future__ import annotations

import keras
import numpy as np

from tests.zoo.kinds import KINDS, Kind, L, chain, classes, one_hot


def net(outputs=3, activation=None):
    return lambda: chain(L.Dense(4, activation="tanh"), L.Dense(outputs, activation=activation))


def squares(y_true, y_pred):
    return keras.ops.square(y_true - y_pred)


class Quantile(keras.losses.Loss):
    def call(self, y_true, y_pred):
        e = y_true - y_pred
        return keras.ops.mean(keras.ops.logaddexp(0.3 * e, -0.7 * e), axis=-1)


K = keras.losses
LOSSES = {
    "huber": (net(1), K.Huber(0.5), None),
    "mean absolute error": (net(1), "mae", None),
    "label smoothing": (net(), K.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1), one_hot),
    "sum reduction": (net(), K.MeanSquaredError(reduction="sum"), None),
    "ignored class": (net(), K.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0), classes),
    "kl divergence": (net(activation="softmax"), K.KLDivergence(), one_hot),
    "cosine similarity": (net(), K.CosineSimilarity(), None),
    "circle": (net(), K.Circle(), classes),
    "function": (net(1), squares, None),
    "loss class": (net(1), Quantile(), None),
    "targets (n,) for outputs (n, 1)": (net(1), "mse", lambda s: np.linspace(-1, 1, s[0])),
    "targets (n,) for outputs (n, n)": (net(9), "mse", lambda s: np.linspace(-1, 1, s[0])),
    "whole numbers as targets": (net(1), "mse", lambda s: np.arange(s[0])),
    "labels outside the classes": (net(), K.SparseCategoricalCrossentropy(from_logits=True), lambda s: np.arange(s[0])),
}
for _name, (_make, _loss, _targets) in LOSSES.items():
    KINDS[_name] = Kind("losses", _make, (3,), _loss, _targets)
