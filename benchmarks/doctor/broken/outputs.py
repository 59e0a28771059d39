"""The activation of the output does not fit the targets or the loss."""

from __future__ import annotations

import keras
import numpy as np

from benchmarks.doctor import data
from benchmarks.doctor.broken.register import DEEP_FD, DEEP_LOCALIZE, broken, dense
from benchmarks.doctor.program import Training

KIND = "activation of the output"
CONSTANT = "output-and-loss nothing-learned no-gradient"
"""True of a softmax over one unit: it is 1 whatever the input, and no gradient passes.

Keras on TensorFlow takes the logits below it in a binary cross-entropy, so that the loss falls; the output stays 1.
"""


@broken(KIND, "Softmax over one unit is 1 for every input.", CONSTANT, "output", DEEP_LOCALIZE.format(34311586))
def xor_with_softmax(seed: int) -> Training:
    d = data.xor()
    model = dense(2, (2, 3), 1, "softmax", hidden="sigmoid")
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True), "mse", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 20, 4)


@broken(KIND, "Softmax over one unit in a classifier of two.", CONSTANT, "output", DEEP_LOCALIZE.format(31880720))
def two_classes_with_softmax(seed: int) -> Training:
    d = data.table()
    model = keras.Sequential(
        [
            keras.Input((20,)),
            keras.layers.Dense(64, "relu", name="dense_1"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(50, "relu", name="dense_2"),
            keras.layers.Dense(1, "softmax", name="output"),
        ]
    )
    model.compile("rmsprop", "binary_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 12, 32, d.validation)


@broken(KIND, "Softmax over one unit in a regression.", CONSTANT, "output", DEEP_LOCALIZE.format(33969059))
def regression_with_softmax(seed: int) -> Training:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (600, 3))
    d = data.split(x, 2.2 + x @ [2.0, 1.0, 0.5], scale=False, classes=False)
    model = dense(3, (3, 2), 1, "softmax", hidden="tanh")
    model.compile("sgd", "mse")
    return Training(model, d.x, d.y, d.probe, 15, 32)


@broken(KIND, "Softmax over one unit, and a mean absolute error.", CONSTANT, "output", DEEP_LOCALIZE.format(45442843))
def absolute_error_of_softmax(seed: int) -> Training:
    d = data.table(features=12)
    model = dense(12, (20,), 1, "softmax")
    model.compile("rmsprop", "mae", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 15, 50, d.validation)


@broken(
    KIND,
    "Softmax over one unit; the targets are any numbers in 0..1.",
    CONSTANT,
    "output",
    DEEP_LOCALIZE.format(45337371),
)
def softmax_of_every_step(seed: int) -> Training:
    rng = np.random.default_rng(0)
    d = data.split(rng.uniform(size=(400, 10, 1)), rng.uniform(size=(400, 10, 1)), scale=False, classes=False)
    layers = [
        keras.layers.Dense(60, "relu", name="dense_1"),
        keras.layers.Dense(50, "relu", name="dense_2"),
        keras.layers.Dense(1, "softmax", name="output"),
    ]
    model = keras.Sequential([keras.Input((10, 1)), *layers])
    model.compile("adam", "binary_crossentropy")
    return Training(model, d.x, d.y, d.probe, 6, 8)


@broken(KIND, "Softmax over one unit after a recurrent layer.", CONSTANT, "output", DEEP_FD.format(42800203))
def recurrent_with_softmax(seed: int) -> Training:
    d = data.texts()
    model = keras.Sequential(
        [
            keras.Input((20,), dtype="int32"),
            keras.layers.Embedding(200, 16, name="embedding"),
            keras.layers.LSTM(16, name="lstm"),
            keras.layers.Dense(1, "softmax", name="output"),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 4, 32, d.validation)


@broken(
    KIND,
    "A ReLU as the output of a classifier of two, whose inputs are not scaled either.",
    "output-and-loss dead-units inputs-unscaled no-gradient loss-not-finite",
    "output data",
    DEEP_LOCALIZE.format(44066044),
)
def two_classes_with_relu(seed: int) -> Training:
    d = data.wine(scale=False)
    model = dense(13, (12, 12), 1, "relu", kernel_initializer=keras.initializers.RandomNormal(stddev=0.05))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y == 0, (d.x_val, d.y_val == 0), 40, 5)


@broken(
    KIND,
    "A ReLU as the output of a classifier of ten.",
    "output-and-loss dead-units loss-not-finite no-gradient",
    "output",
    DEEP_LOCALIZE.format(47352366),
)
def ten_classes_with_relu(seed: int) -> Training:
    d = data.one_hot(data.images(), 10)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, activation="relu", name="conv_1"),
            keras.layers.Conv2D(16, 3, activation="relu", name="conv_2"),
            keras.layers.Flatten(),
            keras.layers.Dense(64, "relu", name="dense_1"),
            keras.layers.Dense(10, "relu", name="output"),
        ]
    )
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 5, 50, d.validation)


@broken(
    KIND,
    "A ReLU as the output of a regression with negative targets.",
    "output-and-loss dead-units no-gradient",
    "output",
    DEEP_LOCALIZE.format(48251943),
)
def regression_with_relu(seed: int) -> Training:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 2))
    d = data.split(x, np.tanh(x @ [1.0, -1.0]) - 0.4, scale=False, classes=False)
    model = dense(2, (4,), 1, "relu")
    model.compile("sgd", "mse")
    return Training(model, d.x, d.y, d.probe, 30, 10, d.validation)


@broken(
    KIND,
    "A sigmoid as the output of a regression with targets up to 200, which are not scaled.",
    "output-and-loss targets-unscaled",
    "output data",
    DEEP_LOCALIZE.format(48221692),
)
def line_with_sigmoid(seed: int) -> Training:
    x = np.linspace(0, 100, 400)[:, None]
    d = data.split(x, 2 * x + 1, scale=False, classes=False)
    model = dense(1, (5,), 1, "sigmoid", hidden="sigmoid")
    model.compile("sgd", "mse")
    return Training(model, d.x, d.y, d.probe, 200, 300)


@broken(
    KIND,
    "One sigmoid for each of three classes that exclude each other.",
    "output-and-loss",
    "output",
    DEEP_LOCALIZE.format(51930566),
)
def iris_with_sigmoid(seed: int) -> Training:
    d = data.one_hot(data.iris(), 3)
    model = dense(4, (4,), 3, "sigmoid")
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 50, 5, d.validation)


@broken(
    KIND,
    "One sigmoid for each of three classes, and inputs in centimetres, in four small hidden units.",
    "output-and-loss inputs-unscaled",
    "output data",
    DEEP_LOCALIZE.format(59278771),
)
def raw_iris_with_sigmoid(seed: int) -> Training:
    d = data.one_hot(data.iris(scale=False), 3)
    model = dense(4, (4,), 3, "sigmoid", kernel_initializer=keras.initializers.RandomNormal(stddev=0.05))
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 50, 5)


@broken(
    KIND,
    "One sigmoid unit and a binary loss for three classes numbered 0, 1, 2.",
    "output-and-loss",
    "output loss",
    DEEP_LOCALIZE.format(50079585),
)
def three_classes_in_one_unit(seed: int) -> Training:
    d = data.blobs()
    model = dense(8, (32, 16), 1, "sigmoid")
    model.compile("rmsprop", "binary_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 15, 32, d.validation)


@broken(
    KIND,
    "A tanh as the output under a binary cross-entropy, which takes probabilities.",
    "output-and-loss loss-not-finite",
    "output",
    "Output of the wrong range, a symptom of DeepDiagnosis",
)
def two_classes_with_tanh(seed: int) -> Training:
    d = data.breast_cancer()
    model = dense(30, (16,), 1, "tanh")
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 20, 32, d.validation)


@broken(
    KIND,
    "Two softmaxes after each other: the probabilities stay near equal.",
    "output-and-loss nothing-learned",
    "output probabilities",
    "Redundant layer, a kind of fault of DeepFD",
)
def softmax_twice(seed: int) -> Training:
    d = data.digits()
    model = dense(64, (32,), 10, "softmax")
    model.add(keras.layers.Softmax(name="probabilities"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 15, 32, d.validation)
