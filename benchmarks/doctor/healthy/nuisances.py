"""Trainings that look odd in one respect and are well: noise, few epochs, rare classes, binary inputs, swings."""

from __future__ import annotations

import keras
import numpy as np

from benchmarks.doctor import data
from benchmarks.doctor.healthy.register import healthy, hidden, named, optimizer, stack
from benchmarks.doctor.program import Training

KIND = "nuisances"
SPARSE = "sparse_categorical_crossentropy"
L = keras.layers


@healthy(KIND, "accuracy", 0.93, {"tanh": ("tanh", 0.5), "relu": ("relu", 0.3)})
def edge_of_stability(seed, choice):
    """Full-batch descent at a rate at which the loss swings and falls (Cohen et al. 2021)."""
    d = data.digits()
    activation, rate = choice
    model = stack((64,), *hidden(2, 48, activation), L.Dense(10, "softmax"))
    model.compile(keras.optimizers.SGD(rate), SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 250, 2000, {"validation_freq": 25, **d.validation})


@healthy(KIND, "accuracy", 0.93, {"wide": 64, "narrow": 24})
def more_epochs_than_needed(seed, choice):
    d = data.breast_cancer()
    model = stack((30,), *hidden(2, choice, "relu"), L.Dense(1, "sigmoid"))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 40, 32, d.validation)


@healthy(KIND, "accuracy", 0.9, {"relu": "relu", "tanh": "tanh"})
def iris_in_centimetres(seed, choice):
    d = data.iris(scale=False)
    model = stack((4,), L.Dense(16, choice), L.Dense(3, "softmax"))
    model.compile(keras.optimizers.Adam(0.01), SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 80, 16, d.validation)


@healthy(KIND, "loss", 0.5, named("adam-fast", "rmsprop"))
def targets_up_to_ten(seed, choice):
    rng = np.random.default_rng(6)
    x = rng.normal(size=(900, 6))
    d = data.split(x, 5 + 2 * np.sin(x[:, :1]) + x[:, 1:2], scale=False, classes=False)
    model = stack((6,), *hidden(2, 32, "relu"), L.Dense(1))
    model.compile(optimizer(choice), "mse")
    return Training(model, d.x, d.y, d.probe, 40, 32, d.validation)


@healthy(KIND, "accuracy", 0.92, {"four": 4, "two": 2})
def tiny_batches(seed, choice):
    d = data.digits()
    model = stack((64,), L.Dense(32, "relu"), L.Dense(10, "softmax"))
    model.compile(keras.optimizers.SGD(0.005 * choice), SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 6 if choice == 4 else 5, choice, d.validation)


@healthy(KIND, "accuracy", 0.92, {"relu": "relu", "tanh": "tanh"})
def eight_layers(seed, choice):
    d = data.digits()
    start = "he_normal" if choice == "relu" else "glorot_uniform"
    model = stack((64,), *hidden(8, 32, choice, kernel_initializer=start), L.Dense(10, "softmax"))
    model.compile("adam", SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 20, 32, d.validation)


@healthy(KIND, "auc", 0.9, {"tenth": 0.9, "twentieth": 0.95})
def rare_class(seed, choice):
    rng = np.random.default_rng(7)
    x = rng.normal(size=(1500, 8))
    score = x @ rng.normal(size=8)
    d = data.split(x, score > np.quantile(score, choice), scale=False)
    model = stack((8,), L.Dense(24, "relu"), L.Dense(1, "sigmoid"))
    model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy", metrics=[keras.metrics.AUC(name="auc")])
    return Training(model, d.x, d.y, d.probe, 20, 32, d.validation)


@healthy(KIND, "accuracy", 0.9, {"tenth": 0.1, "fifth": 0.2})
def wrong_labels(seed, choice):
    """A share of the training labels is wrong; those of the held-out data are right."""
    d = data.digits()
    rng = np.random.default_rng(8)
    y = np.where(rng.uniform(size=len(d.y)) < choice, rng.integers(0, 10, len(d.y)), d.y).astype("int32")
    weak = keras.regularizers.L2(1e-3)
    model = stack((64,), L.Dense(32, "relu", kernel_regularizer=weak), L.Dropout(0.2), L.Dense(10, "softmax"))
    model.compile("adam", SPARSE, metrics=["accuracy"])
    return Training(model, d.x, y, d.probe, 15, 32, d.validation)


@healthy(KIND, "accuracy", 0.9, {"sgd": 0.01, "adam": 2e-4})
def patient(seed, choice):
    """A low rate, and enough epochs for it."""
    d = data.digits()
    model = stack((64,), *hidden(2, 64, "relu"), L.Dense(10, "softmax"))
    rate = keras.optimizers.SGD(choice) if choice == 0.01 else keras.optimizers.Adam(choice)
    model.compile(rate, SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 50, 32, d.validation)


@healthy(KIND, "accuracy", 0.9, {"two": 2, "three": 3})
def few_epochs(seed, choice):
    d = data.blobs(4, spread=1.5)
    model = stack((8,), L.Dense(32, "relu"), L.Dense(4, "softmax"))
    model.compile(keras.optimizers.Adam(0.01), SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, choice, 16, d.validation)


@healthy(KIND, "accuracy", 0.85, {"wide": 64, "narrow": 16})
def binary_columns(seed, choice):
    """Inputs of zeros and ones, most of them zero."""
    rng = np.random.default_rng(9)
    x = (rng.uniform(size=(1200, 30)) < 0.15).astype("float32")
    d = data.split(x, x @ rng.normal(size=30) > 0, scale=False)
    model = stack((30,), L.Dense(choice, "relu"), L.Dense(1, "sigmoid"))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 25, 32, d.validation)


@healthy(KIND, "loss", 0.8, {"linear": 0, "hidden": 12})
def mostly_noise(seed, choice):
    """Half of the variance of the targets is noise, so that no net gets below it."""
    rng = np.random.default_rng(10)
    x = rng.normal(size=(1200, 4))
    w = np.array([[0.5], [-0.4], [0.3], [0.0]])
    d = data.split(x, x @ w + 0.7 * rng.normal(size=(1200, 1)), scale=False, classes=False)
    model = stack((4,), *hidden(1 if choice else 0, max(choice, 1), "relu"), L.Dense(1))
    model.compile(keras.optimizers.Adam(3e-3), "mse")
    return Training(model, d.x, d.y, d.probe, 20, 32, d.validation)


@healthy(KIND, "accuracy", 0.94, {"adam": "adam", "sgd": "sgd"})
def continued(seed, choice):
    """A second `fit` of a model that is trained already."""
    d = data.digits()
    model = stack((64,), *hidden(2, 64, "relu"), L.Dense(10, "softmax"))
    model.compile(optimizer(choice), SPARSE, metrics=["accuracy"])
    model.fit(d.x, d.y, epochs=8, batch_size=32, verbose=0)
    return Training(model, d.x, d.y, d.probe, 10, 32, d.validation)


@healthy(KIND, "loss", 0.2, {"hinge": "hinge", "squared": "squared_hinge"})
def signs_as_targets(seed, choice):
    """A margin loss of a tanh, with targets of minus and plus one."""
    d = data.breast_cancer()
    y, y_val = 2 * d.y[:, None] - 1.0, 2 * d.y_val[:, None] - 1.0
    model = stack((30,), L.Dense(16, "relu"), L.Dense(1, "tanh"))
    model.compile(keras.optimizers.Adam(3e-3), choice)
    return Training(model, d.x, y, (d.x_val, y_val), 20, 32, {"validation_data": (d.x_val, y_val)})


@healthy(KIND, "digit_accuracy", 0.92, {"equal": [1.0, 1.0], "weighted": [1.0, 0.3]})
def two_outputs(seed, choice):
    d = data.digits()
    inputs = keras.Input((64,))
    x = L.Dense(64, "relu")(inputs)
    model = keras.Model(inputs, [L.Dense(10, "softmax", name="digit")(x), L.Dense(1, "sigmoid", name="odd")(x)])
    losses, metrics = [SPARSE, "binary_crossentropy"], [["accuracy"], ["accuracy"]]
    model.compile("adam", losses, loss_weights=choice, metrics=metrics)
    y, y_val = [d.y, d.y[:, None] % 2], [d.y_val, d.y_val[:, None] % 2]
    return Training(model, d.x, y, (d.x_val, y_val), 18, 32, {"validation_data": (d.x_val, y_val)})
