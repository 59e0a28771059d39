"""The loss does not fit the outputs or the targets."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from benchmarks.doctor import data
from benchmarks.doctor.broken.register import DEEP_FD, DEEP_LOCALIZE, UMLAUT, broken, dense
from benchmarks.doctor.program import Training

KIND = "loss"
FIT = "output-and-loss"


@broken(
    KIND,
    "A squared error of linear outputs for ten classes, at rate 3 and with weights of deviation 1.",
    "output-and-loss loss-not-finite rate-above-edge gradient-explodes update-ratio-high",
    "output optimizer loss",
    DEEP_LOCALIZE.format(48385830),
)
def digits_by_squares(seed: int) -> Training:
    d = data.one_hot(data.digits(), 10)
    normal = {"kernel_initializer": keras.initializers.RandomNormal(stddev=1, seed=seed)}
    model = dense(64, (30,), 10, None, hidden=None, **normal)
    model.compile(keras.optimizers.SGD(3.0), "mse", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 5, 10)


@broken(
    KIND,
    "A softmax and a squared error, although every example may have several labels.",
    FIT,
    "output loss",
    DEEP_LOCALIZE.format(38648195),
)
def several_labels_with_softmax(seed: int) -> Training:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(900, 20))
    d = data.split(x, (x @ rng.normal(size=(20, 3)) > -1).astype("float32"), scale=False, classes=False)
    model = dense(20, (20, 20), 3, "softmax")
    model.compile("sgd", "mse", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 15, 20, d.validation)


@broken(
    KIND,
    "A squared error of a softmax, inputs that are not scaled and saturate tanh, and a high rate.",
    "output-and-loss inputs-unscaled saturated-units rate-above-edge",
    "loss data output dense_1",
    DEEP_LOCALIZE.format(34673164),
)
def squares_of_softmax(seed: int) -> Training:
    d = data.one_hot(data.breast_cancer(scale=False), 2)
    layers = keras.layers
    model = keras.Sequential([keras.Input((30,)), layers.Dense(64, "tanh", name="dense_1"), layers.Dropout(0.5)])
    model.add(layers.Dense(64, "tanh", name="dense_2"))
    model.add(layers.Dropout(0.5))
    model.add(layers.Dense(2, "softmax", name="output"))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True), "mse", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 20, 16, d.validation)


@broken(KIND, "A binary cross-entropy of a softmax over ten classes.", FIT, "loss output", DEEP_FD.format(41327601))
def binary_loss_of_ten_classes(seed: int) -> Training:
    d = data.one_hot(data.digits(), 10)
    model = dense(64, (32, 32), 10, "softmax")
    model.compile("adamax", "binary_crossentropy", metrics=["categorical_accuracy"])
    return Training(model, d.x, d.y, d.probe, 10, 32, d.validation)


@broken(
    KIND,
    "No softmax before a cross-entropy that takes probabilities.",
    f"{FIT} loss-not-finite",
    "output loss",
    UMLAUT.format("A1"),
)
def logits_as_probabilities(seed: int) -> Training:
    d = data.digits()
    model = dense(64, (64,), 10, None)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(), metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 10, 32, d.validation)


@broken(
    KIND,
    "No sigmoid before a binary cross-entropy that takes probabilities.",
    f"{FIT} loss-not-finite",
    "output loss",
    "Missing output activation, a check of UMLAUT",
)
def logit_as_probability(seed: int) -> Training:
    d = data.breast_cancer()
    model = dense(30, (16,), 1, None)
    model.compile(keras.optimizers.SGD(0.05), "binary_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 20, 32, d.validation)


@broken(
    KIND,
    "A softmax whose probabilities the loss takes as logits; Keras on TensorFlow undoes it, and warns.",
    FIT,
    "loss output",
    "https://stackabuse.com/what-is-fromlogitstrue-in-keras-tensorflow-loss-functions",
)
def probabilities_as_logits(seed: int) -> Training:
    d = data.images()
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(12, 3, activation="relu", name="conv_1"),
            keras.layers.Flatten(),
            keras.layers.Dense(10, "softmax", name="output"),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 8, 32, d.validation)


@broken(
    KIND,
    "A sigmoid whose probability the loss takes as a logit; Keras on TensorFlow undoes it, and warns.",
    FIT,
    "loss output",
    "https://stackabuse.com/what-is-fromlogitstrue-in-keras-tensorflow-loss-functions",
)
def probability_as_logit(seed: int) -> Training:
    d = data.moons()
    model = dense(2, (16, 16), 1, "sigmoid", hidden="tanh")
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True), metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 20, 32, d.validation)


class Squares(keras.losses.Loss):
    """A squared error that takes targets and outputs as they come, unlike the losses of Keras."""

    def call(self, y_true, y_pred):
        return ops.mean(ops.square(y_true - y_pred))


@broken(
    KIND,
    "Targets of shape (n,) against outputs of shape (n, 1): the loss compares every pair.",
    "broadcast-targets nothing-learned",
    "loss data",
    "Keras issue 14627",
)
def every_pair(seed: int) -> Training:
    d = data.curve("sine")
    model = dense(1, (32, 32), 1, None, hidden="tanh")
    model.compile("adam", Squares())
    y, y_val = d.y.ravel(), d.y_val.ravel()
    return Training(model, d.x, y, (d.x_val, y_val), 30, 32, {"validation_data": (d.x_val, y_val)})


def naive_entropy(y_true, y_pred):
    return -ops.mean(y_true * ops.log(y_pred) + (1 - y_true) * ops.log(1 - y_pred), axis=-1)


@broken(
    KIND,
    "A cross-entropy written as the formula says: log(0) where an output is 0 or 1.",
    "loss-not-finite",
    "loss",
    "Stack Overflow 48951109",
)
def logarithm_of_zero(seed: int) -> Training:
    d = data.breast_cancer()
    model = dense(30, (64, 64), 1, "sigmoid")
    model.compile(keras.optimizers.Adam(0.02), naive_entropy, metrics=["accuracy"])
    y, y_val = d.y[:, None].astype("float32"), d.y_val[:, None].astype("float32")
    return Training(model, d.x, y, (d.x_val, y_val), 40, 16)


@broken(
    KIND,
    "A categorical loss of one unit is 0 whatever the output.",
    "output-and-loss nothing-learned no-gradient",
    "loss output",
    "Loss that does not fit the output, a kind of fault of DeepFD",
)
def categorical_loss_of_one_unit(seed: int) -> Training:
    d = data.moons()
    model = dense(2, (16,), 1, "sigmoid")
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    y, y_val = d.y[:, None].astype("float32"), d.y_val[:, None].astype("float32")
    return Training(model, d.x, y, (d.x_val, y_val), 10, 32)


@broken(
    KIND,
    "The mean absolute error of a tiny net on XOR, by a rate with which it stays at the median.",
    "nothing-learned rate-below-edge update-ratio-low output-and-loss",
    "loss optimizer",
    DEEP_LOCALIZE.format(31556268),
)
def xor_by_absolute_error(seed: int) -> Training:
    d = data.xor(25)
    model = dense(2, (2,), 1, "sigmoid", hidden="sigmoid")
    model.compile(keras.optimizers.SGD(0.05, momentum=0.11, nesterov=True), "mae")
    return Training(model, d.x, d.y, d.probe, 60, 4)
