"""The optimizer's rate, momentum or the strength of a penalty is far off."""

from __future__ import annotations

import keras
import numpy as np

from benchmarks.doctor import data
from benchmarks.doctor.broken.register import AUTOTRAINER, DEEP_FD, DEEP_LOCALIZE, UMLAUT, broken, dense
from benchmarks.doctor.program import Training

KIND = "learning rate"
HIGH = "rate-above-edge update-ratio-high loss-not-finite gradient-explodes dead-units"
"""What a rate far too high does; which of them comes first depends on the net."""
LOW = "rate-below-edge update-ratio-low nothing-learned"


@broken(
    KIND,
    "A rate of 0.1 for squares of numbers up to 125: the weights fly off and the ReLUs die.",
    HIGH,
    "optimizer",
    DEEP_LOCALIZE.format(48934338),
)
def square_at_a_high_rate(seed: int) -> Training:
    rng = np.random.default_rng(0)
    x = np.arange(0, 5, 0.02)[:, None]
    d = data.split(x, 5 * x**2 + rng.normal(size=x.shape) ** 3, scale=False, classes=False)
    model = dense(1, (50, 30), 1, None)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return Training(model, d.x, d.y, d.probe, 40, 32)


@broken(KIND, "A convolutional net at rate 0.3 with momentum 0.9.", HIGH, "optimizer", DEEP_FD.format(37624102))
def convolutions_at_a_high_rate(seed: int) -> Training:
    d = data.one_hot(data.images(), 10)
    layers = keras.layers
    model = keras.Sequential([keras.Input((8, 8, 1))])
    for k in (1, 2, 3):
        model.add(layers.Conv2D(24, 3, padding="same", activation="relu", name=f"conv_{k}"))
    model.add(layers.Flatten())
    model.add(layers.Dense(128, "relu", name="dense_1"))
    model.add(layers.Dense(10, "softmax", name="output"))
    model.compile(
        keras.optimizers.SGD(0.3, momentum=0.9, nesterov=True), "categorical_crossentropy", metrics=["accuracy"]
    )
    return Training(model, d.x, d.y, d.probe, 6, 32, d.validation)


@broken(
    KIND,
    "Adam with a rate of 0.3 in a regression by a deep net.",
    HIGH,
    "optimizer",
    "ShyamPoovaiah/FacialKeypointsDetection (DeepLocalize, GitHub 3)",
)
def adam_at_a_high_rate(seed: int) -> Training:
    d = data.diabetes()
    model = dense(10, (100, 100, 100), 1, None)
    model.compile(keras.optimizers.Adam(0.3), "mse")
    return Training(model, d.x, d.y, d.probe, 30, 32, d.validation)


@broken(
    KIND, "A rate of minus one thousand.", f"{HIGH} nothing-learned saturated-units", "optimizer", UMLAUT.format("B2")
)
def negative_rate(seed: int) -> Training:
    d = data.digits()
    model = dense(64, (64,), 10, None)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(-1e3), loss, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 6, 64, d.validation)


@broken(
    KIND,
    "Full-batch steps beyond the edge: the loss swings and does not fall.",
    HIGH,
    "optimizer",
    AUTOTRAINER.format("oscillating loss"),
)
def swinging_loss(seed: int) -> Training:
    d = data.circles()
    model = dense(2, (32, 32), 1, "sigmoid", hidden="tanh")
    model.compile(keras.optimizers.SGD(12.0), "binary_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 80, 600)


@broken(KIND, "A rate of one millionth for Adam.", LOW, "optimizer", AUTOTRAINER.format("slow convergence"))
def adam_at_a_low_rate(seed: int) -> Training:
    d = data.digits()
    model = dense(64, (64, 32), 10, "softmax")
    model.compile(keras.optimizers.Adam(1e-6), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 10, 32, d.validation)


@broken(KIND, "A rate so low that twenty epochs change nothing.", LOW, "optimizer", DEEP_FD.format(44998910))
def descent_at_a_low_rate(seed: int) -> Training:
    d = data.curve("sinc")
    model = dense(1, (20, 20), 1, None, hidden="tanh")
    model.compile(keras.optimizers.SGD(1e-5), "mse")
    return Training(model, d.x, d.y, d.probe, 20, 32, d.validation)


@broken(
    KIND,
    "RMSprop's own rate for a line through targets in the hundreds: it would take thousands of epochs.",
    f"{LOW} targets-unscaled inputs-unscaled",
    "optimizer data",
    DEEP_FD.format(51181393),
)
def line_at_a_low_rate(seed: int) -> Training:
    x = np.linspace(10, 20, 500)[:, None]
    d = data.split(x, 30 * x - 15, scale=False, classes=False)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, name="output")])
    model.compile("rmsprop", "mse")
    return Training(model, d.x, d.y, d.probe, 20, 32)


@broken(
    KIND,
    "Momentum of 0.999 with a rate for plain descent: the weights run away.",
    HIGH,
    "optimizer",
    "Hyperparameter of the optimizer, a kind of fault of DeepFD",
)
def too_much_momentum(seed: int) -> Training:
    d = data.digits()
    model = dense(64, (64,), 10, "softmax")
    model.compile(keras.optimizers.SGD(0.5, momentum=0.999), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 10, 32, d.validation)


@broken(
    KIND,
    "A high rate kills the ReLUs of a deep net in the first steps.",
    f"{HIGH} no-gradient nothing-learned",
    "optimizer dense_1 dense_2 dense_3 dense_4",
    AUTOTRAINER.format("dying ReLU"),
)
def units_killed_by_the_rate(seed: int) -> Training:
    d = data.blobs(4)
    model = dense(8, (32, 32, 32, 32), 4, "softmax", kernel_initializer="he_normal")
    model.compile(keras.optimizers.SGD(3.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 12, 32, d.validation)


@broken(
    "regularization",
    "A penalty so strong that the weights shrink to nothing.",
    "nothing-learned gradient-vanishes no-gradient",
    "dense_1 dense_2 output",
    "Regularization, a kind of fault of AUTOTRAINER's repairs",
)
def too_much_decay(seed: int) -> Training:
    d = data.digits()
    model = dense(64, (64, 32), 10, "softmax", kernel_regularizer=keras.regularizers.L2(1.0))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 20, 32, d.validation)


@broken(
    "batch",
    "Batches of one example with a rate that suits batches of sixty.",
    f"noise-scale {HIGH}",
    "batch optimizer",
    "ronnyworm/keras_catsdogs (DeepLocalize, GitHub 4)",
)
def batches_of_one(seed: int) -> Training:
    d = data.table(classes=3, features=16)
    model = dense(16, (32,), 3, "softmax")
    model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x[:400], d.y[:400], d.probe, 3, 1, d.validation)


@broken(
    "batch",
    "Batch normalization over batches of one example, whose outputs are all 0.",
    "nothing-learned noise-scale no-gradient gradient-vanishes",
    "batch dense_1 norm_1 norm_2 dense_2",
    "Stack Overflow 67856852",
)
def normalization_of_one(seed: int) -> Training:
    d = data.blobs()
    layers = keras.layers
    model = keras.Sequential([keras.Input((8,))])
    for k in (1, 2):
        model.add(layers.Dense(32, name=f"dense_{k}"))
        model.add(layers.BatchNormalization(name=f"norm_{k}"))
        model.add(layers.ReLU(name=f"relu_{k}"))
    model.add(layers.Dense(3, "softmax", name="output"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x[:300], d.y[:300], d.probe, 4, 1, d.validation)
