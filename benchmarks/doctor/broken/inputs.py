"""Inputs or targets do not have the scale that the net needs."""

from __future__ import annotations

import keras
import numpy as np

from benchmarks.doctor import data
from benchmarks.doctor.broken.register import DEEP_FD, DEEP_LOCALIZE, UMLAUT, broken, dense
from benchmarks.doctor.program import Training

SCALE = "scale of inputs"
TARGETS = "scale of targets"


@broken(
    SCALE,
    "Columns of a table in their units: the largest is a thousand times the smallest.",
    "inputs-unscaled",
    "data",
    DEEP_LOCALIZE.format(47724077),
)
def raw_table(seed: int) -> Training:
    d = data.one_hot(data.wine(scale=False), 3)
    model = dense(13, (21,), 3, "softmax")
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 50, 32, d.validation)


@broken(
    SCALE,
    "Three columns in units of thousands, in a small net for two classes.",
    "inputs-unscaled",
    "data",
    DEEP_LOCALIZE.format(39525358),
)
def raw_columns(seed: int) -> Training:
    rng = np.random.default_rng(0)
    x = rng.normal([2000, 45000, 30], [400, 12000, 9], (500, 3))
    d = data.split(x, ((x - [2000, 45000, 30]) / [400, 12000, 9]) @ [1, -1, 0.5] > 0, scale=False)
    model = dense(3, (12, 3), 1, "sigmoid", kernel_initializer=keras.initializers.RandomUniform(seed=seed))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 30, 10)


@broken(SCALE, "Images of 0..255 in a convolutional net.", "inputs-unscaled", "data", DEEP_LOCALIZE.format(48594888))
def raw_images(seed: int) -> Training:
    d = data.one_hot(data.images(scale=False), 10)
    layers = keras.layers
    model = keras.Sequential([keras.Input((8, 8, 1))])
    model.add(layers.Conv2D(16, 3, activation="relu", kernel_initializer="he_normal", name="conv_1"))
    model.add(layers.Conv2D(32, 3, activation="relu", kernel_initializer="he_normal", name="conv_2"))
    model.add(layers.Flatten())
    model.add(layers.Dense(64, "relu", name="dense_1"))
    model.add(layers.Dropout(0.3))
    model.add(layers.Dense(10, "softmax", name="output"))
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 5, 100, d.validation)


@broken(
    SCALE,
    "Images of 0..255 into sigmoids, and a sigmoid for every one of ten classes.",
    "inputs-unscaled saturated-units output-and-loss",
    "data output dense_1",
    DEEP_LOCALIZE.format(55328966),
)
def raw_images_into_sigmoids(seed: int) -> Training:
    d = data.digits(scale=False)
    model = dense(64, (64,), 10, "sigmoid", hidden="sigmoid")
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 10, 32, d.validation)


@broken(
    SCALE,
    "Images of 0..255 in a net with dropout that is otherwise right.",
    "inputs-unscaled",
    "data",
    UMLAUT.format("A3"),
)
def raw_digits(seed: int) -> Training:
    d = data.digits(scale=False)
    model = dense(64, (128, 64), 10, "softmax")
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 10, 32, d.validation)


@broken(
    SCALE,
    "The training inputs are standardized and the validation inputs are not.",
    "probe-differs",
    "data",
    "Preprocessing, a kind of fault of DeepFD",
)
def validation_not_scaled(seed: int) -> Training:
    d, raw = data.breast_cancer(), data.breast_cancer(scale=False)
    model = dense(30, (32,), 1, "sigmoid")
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    probe = raw.x_val, d.y_val
    return Training(model, d.x, d.y, probe, 15, 32, {"validation_data": probe})


@broken(
    SCALE,
    "The training images are divided by 255 and the validation images are not.",
    "probe-differs",
    "data",
    "Preprocessing, a kind of fault of DeepFD",
)
def validation_of_bytes(seed: int) -> Training:
    d, probe = data.images(), data.images(scale=False).probe
    layers = keras.layers
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(16, 3, activation="relu", name="conv_1")])
    model.add(layers.Flatten())
    model.add(layers.Dense(10, "softmax", name="output"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, probe, 8, 32, {"validation_data": probe})


@broken(
    TARGETS,
    "x to the fourth for x up to 100: neither inputs nor targets are scaled.",
    "targets-unscaled inputs-unscaled saturated-units",
    "data",
    DEEP_LOCALIZE.format(52800582),
)
def fourth_power(seed: int) -> Training:
    x = np.arange(-100, 100, 0.5)[:, None]
    d = data.split(x, x**4, scale=False, classes=False)
    layers = keras.layers
    model = keras.Sequential([keras.Input((1,)), layers.Dense(50, "sigmoid", name="dense_1")])
    model.add(layers.Dense(50, "elu", name="dense_2"))
    model.add(layers.Dense(1, name="output"))
    model.compile("adam", "mse")
    return Training(model, d.x, d.y, d.probe, 100, 300)


@broken(
    TARGETS,
    "Plain descent on inputs and targets in the hundreds: the loss overflows.",
    "loss-not-finite inputs-unscaled targets-unscaled gradient-explodes rate-above-edge update-ratio-high",
    "data optimizer",
    DEEP_FD.format(46642627),
)
def raw_regression(seed: int) -> Training:
    x = np.linspace(0, 300, 400)[:, None]
    d = data.split(x, 3 * x + 20, scale=False, classes=False)
    model = dense(1, (16, 16), 1, None)
    model.compile(keras.optimizers.SGD(0.01), "mse")
    return Training(model, d.x, d.y, d.probe, 10, 32)


@broken(
    TARGETS,
    "Prices in dollars as targets of a tanh net.",
    "targets-unscaled saturated-units",
    "data",
    "yetanotherdeveloper/kaggle-melbourne_properties (DeepLocalize, GitHub 7)",
)
def prices_in_dollars(seed: int) -> Training:
    d = data.houses(scale_targets=False)
    model = dense(8, (20, 20), 1, None, hidden="tanh", kernel_initializer="glorot_normal")
    model.compile("adam", "mae")
    return Training(model, d.x, d.y, d.probe, 20, 32, d.validation)


@broken(
    TARGETS,
    "Neither the columns of houses nor their prices are scaled.",
    "targets-unscaled inputs-unscaled",
    "data",
    DEEP_FD.format(47932589),
)
def houses_as_they_come(seed: int) -> Training:
    d = data.houses(scale=False, scale_targets=False)
    model = dense(8, (32, 32), 1, None)
    model.compile("rmsprop", "mse")
    return Training(model, d.x, d.y, d.probe, 20, 32, d.validation)
