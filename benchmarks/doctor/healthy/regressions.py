"""Regressions by dense nets."""

from __future__ import annotations

import keras
import numpy as np

from benchmarks.doctor import data
from benchmarks.doctor.healthy.register import healthy, hidden, named, optimizer, stack
from benchmarks.doctor.program import Training

KIND = "dense net, regression"
Dense = keras.layers.Dense


@healthy(KIND, "loss", 0.01, named("adam-fast", "heavy-ball"))
def sinc(seed, choice):
    d = data.curve("sinc")
    model = stack((1,), *hidden(2, 32, "tanh"), Dense(1))
    model.compile(optimizer(choice), "mse")
    return Training(model, d.x, d.y, d.probe, 120 if choice == "heavy-ball" else 60, 32, d.validation)


@healthy(KIND, "loss", 0.01, named("adam-fast", "sgd", "nesterov"))
def sine(seed, choice):
    d = data.curve("sine")
    model = stack((1,), *hidden(2, 24, "tanh"), Dense(1))
    model.compile(optimizer(choice), "mse")
    return Training(model, d.x, d.y, d.probe, 60, 32, d.validation)


@healthy(KIND, "loss", 0.12, {"relu": "relu", "tanh": "tanh"})
def sign_of_sine(seed, choice):
    d = data.curve("sign")
    model = stack((1,), *hidden(3, 24, choice), Dense(1))
    model.compile(keras.optimizers.Adam(5e-3), "mse")
    return Training(model, d.x, d.y, d.probe, 80, 32, d.validation)


@healthy(KIND, "loss", 0.005, {"relu": "relu", "softplus": "softplus"})
def square(seed, choice):
    d = data.curve("square")
    model = stack((1,), Dense(16, choice), Dense(16, choice), Dense(1))
    model.compile(keras.optimizers.Adam(5e-3), "mse")
    return Training(model, d.x, d.y, d.probe, 40, 32, d.validation)


@healthy(KIND, "loss", 0.62, named("sgd", "adam", "early-stopping"))
def diabetes(seed, choice):
    d = data.diabetes()
    rate = keras.optimizers.SGD(0.01) if choice == "sgd" else keras.optimizers.Adam(3e-3)
    model = stack((10,), keras.layers.Normalization(), Dense(16, "relu"), Dense(1))
    model.layers[0].adapt(d.x)
    model.compile(rate, "mse", metrics=["mae"])
    stop = [keras.callbacks.EarlyStopping(patience=4, restore_best_weights=True)] if choice == "early-stopping" else []
    epochs = 60 if stop else 12
    return Training(model, d.x, d.y, d.probe, epochs, 32, {"callbacks": stop, **d.validation})


@healthy(KIND, "loss", 0.2, named("adam-fast", "heavy-ball", "rmsprop"))
def houses(seed, choice):
    d = data.houses()
    model = stack((8,), *hidden(2, 32, "relu"), Dense(1))
    model.compile(optimizer(choice), "mse")
    return Training(model, d.x, d.y, d.probe, 30, 32, d.validation)


@healthy(KIND, "mae", 0.4, {"huber": "huber", "mae": "mae"})
def houses_by_robust_loss(seed, choice):
    d = data.houses()
    model = stack((8,), *hidden(2, 32, "relu", kernel_initializer="he_normal"), Dense(1))
    model.compile(keras.optimizers.Adam(3e-3), choice, metrics=["mae"])
    return Training(model, d.x, d.y, d.probe, 30, 32, d.validation)


@healthy(KIND, "loss", 0.25, {"relu": "relu", "gelu": "gelu"})
def normalized_inside(seed, choice):
    d = data.houses(scale=False)
    model = stack((8,), keras.layers.Normalization(), *hidden(2, 24, choice), Dense(1))
    model.layers[0].adapt(d.x)
    model.compile(keras.optimizers.Adam(3e-3), "mse")
    return Training(model, d.x, d.y, d.probe, 30, 32, d.validation)


@healthy(KIND, "loss", 0.1, {"sgd": 0.05, "small-batches": 0.02})
def line(seed, choice):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(600, 5))
    d = data.split(x, x @ rng.normal(size=(5, 1)) + 0.2 * rng.normal(size=(600, 1)), scale=False, classes=False)
    model = stack((5,), Dense(1))
    model.compile(keras.optimizers.SGD(choice), "mse")
    return Training(model, d.x, d.y, d.probe, 15, 32 if choice == 0.05 else 8, d.validation)


@healthy(KIND, "mae", 1.6, {"exponential": "exponential", "softplus": "softplus"})
def counts(seed, choice):
    rng = np.random.default_rng(4)
    x = rng.uniform(-1, 1, (900, 4))
    d = data.split(x, rng.poisson(np.exp(1 + x[:, :1] - x[:, 1:2] * x[:, 2:3])), scale=False, classes=False)
    model = stack((4,), *hidden(2, 24, "relu"), Dense(1, choice))
    model.compile(keras.optimizers.Adam(3e-3), "poisson", metrics=["mae"])
    return Training(model, d.x, d.y, d.probe, 25, 32, d.validation)


@healthy(KIND, "loss", 0.02, {"sigmoid": "sigmoid", "linear": None})
def shares(seed, choice):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(900, 4))
    target = 1 / (1 + np.exp(-x[:, :1] + x[:, 1:2] * 0.5))
    d = data.split(x, target + rng.normal(0, 0.02, target.shape), scale=False, classes=False)
    model = stack((4,), Dense(24, "relu"), Dense(1, choice))
    model.compile(keras.optimizers.Adam(5e-3), "mse")
    return Training(model, d.x, d.y, d.probe, 20, 32, d.validation)
