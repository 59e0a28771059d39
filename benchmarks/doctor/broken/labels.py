"""The labels do not belong to the inputs, or the data have an order or entries that they must not have."""

from __future__ import annotations

import keras
import numpy as np

from benchmarks.doctor import data
from benchmarks.doctor.broken.register import DEEP_LOCALIZE, broken, dense
from benchmarks.doctor.program import Training

LABELS = "labels and order"


@broken(
    LABELS,
    "The labels are divided by 255 instead of the images, and are all 0 as integers.",
    "inputs-unscaled output-and-loss",
    "data",
    DEEP_LOCALIZE.format(59325381),
)
def labels_divided(seed: int) -> Training:
    d = data.images(scale=False)
    layers = keras.layers
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(16, 3, activation="relu", name="conv_1")])
    model.add(layers.Flatten())
    model.add(layers.Dense(10, "softmax", name="output"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y / np.float32(255), (d.x_val, d.y_val), 6, 32)


@broken(
    LABELS,
    "The labels were shuffled apart from the inputs.",
    "nothing-learned overfitting",
    "data",
    "Zhang et al. 2017, Understanding deep learning requires rethinking generalization",
)
def labels_shuffled(seed: int) -> Training:
    d = data.digits()
    y = np.random.default_rng(0).permutation(d.y)
    model = dense(64, (64, 64), 10, "softmax")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, y, d.probe, 25, 32, d.validation)


@broken(
    LABELS,
    "A reshape with the axes in the wrong order mixes the pixels of different images.",
    "nothing-learned overfitting",
    "data",
    "Wrong shape of image data, a check of UMLAUT",
)
def images_mixed(seed: int) -> Training:
    d = data.images()
    layers = keras.layers
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(16, 3, activation="relu", name="conv_1")])
    model.add(layers.Flatten())
    model.add(layers.Dense(64, "relu", name="dense_1"))
    model.add(layers.Dense(10, "softmax", name="output"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, x_val = (np.moveaxis(part[..., 0], 0, -1).reshape(part.shape) for part in (d.x, d.x_val))
    return Training(model, x, d.y, (x_val, d.y_val), 12, 32, {"validation_data": (x_val, d.y_val)})


@broken(
    LABELS,
    "The examples are sorted by class and are not shuffled: every batch has one class.",
    "running-mean nothing-learned overfitting noise-scale",
    "data",
    "Order of data, a kind of fault of DeepFD",
)
def sorted_by_class(seed: int) -> Training:
    d = data.digits()
    order = np.argsort(d.y, kind="stable")
    model = dense(64, (64,), 10, "softmax")
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x[order], d.y[order], d.probe, 10, 32, {"shuffle": False, **d.validation})


@broken(
    LABELS,
    "A column of the inputs contains a missing value.",
    "loss-not-finite",
    "data",
    "Not a number in the input, a check of UMLAUT",
)
def missing_value(seed: int) -> Training:
    d = data.breast_cancer()
    x = d.x.copy()
    x[17, 3] = np.nan
    model = dense(30, (32,), 1, "sigmoid")
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return Training(model, x, d.y, d.probe, 10, 32, d.validation)
