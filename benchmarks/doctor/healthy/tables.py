"""Classifiers of vectors by dense nets."""

from __future__ import annotations

import keras
import numpy as np
from sklearn import datasets

from benchmarks.doctor import data
from benchmarks.doctor.healthy.register import healthy, hidden, named, optimizer, stack
from benchmarks.doctor.program import Training

KIND = "dense net, classes"
SPARSE = "sparse_categorical_crossentropy"
Dense = keras.layers.Dense


@healthy(KIND, "accuracy", 0.94, named("sgd", "heavy-ball", "nesterov", "adam", "adamw", "rmsprop"))
def digits_relu(seed, choice):
    d = data.digits()
    model = stack((64,), *hidden(2, 64, "relu"), Dense(10, "softmax"))
    model.compile(optimizer(choice), SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 20, 32, d.validation)


@healthy(KIND, "accuracy", 0.94, named("sgd", "heavy-ball", "adam"))
def digits_tanh(seed, choice):
    d = data.digits()
    model = stack((64,), *hidden(2, 48, "tanh"), Dense(10, "softmax"))
    model.compile(optimizer(choice), SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 20, 32, d.validation)


@healthy(KIND, "accuracy", 0.94, {"gelu": "gelu", "silu": "silu", "elu": "elu", "leaky": "leaky_relu"})
def digits_smooth(seed, choice):
    d = data.digits()
    model = stack((64,), *hidden(2, 64, choice, kernel_initializer="he_normal"), Dense(10, "softmax"))
    model.compile("adam", SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 18, 32, d.validation)


@healthy(KIND, "accuracy", 0.94, named("sgd", "adam"))
def digits_selu(seed, choice):
    d = data.digits()
    layers = hidden(4, 48, "selu", kernel_initializer="lecun_normal")
    model = stack((64,), *layers, keras.layers.AlphaDropout(0.05), Dense(10, "softmax"))
    model.compile(optimizer(choice), SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 18, 32, d.validation)


@healthy(KIND, "accuracy", 0.93, named("adam", "rmsprop"))
def digits_sigmoid(seed, choice):
    d = data.digits()
    model = stack((64,), Dense(64, "sigmoid"), Dense(10, "softmax"))
    model.compile(optimizer(choice), SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 40, 32, d.validation)


@healthy(KIND, "accuracy", 0.92, named("heavy-ball", "adam-fast"))
def softmax_regression(seed, choice):
    d = data.digits()
    model = stack((64,), Dense(10, "softmax"))
    model.compile(optimizer(choice), SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 25, 32, d.validation)


@healthy(KIND, "accuracy", 0.89, {"relu": ("relu", 16), "tanh": ("tanh", 8), "small": ("tanh", 4)})
def iris(seed, choice):
    d = data.iris()
    activation, units = choice
    model = stack((4,), Dense(units, activation), Dense(3, "softmax"))
    model.compile(keras.optimizers.Adam(0.01), SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 60, 16, d.validation)


@healthy(KIND, "accuracy", 0.93, named("sgd", "adam-fast", "nesterov"))
def wine(seed, choice):
    d = data.one_hot(data.wine(), 3)
    model = stack((13,), Dense(16, "relu"), Dense(3, "softmax"))
    model.compile(optimizer(choice), "categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 30, 16, d.validation)


@healthy(KIND, "accuracy", 0.93, named("sgd", "heavy-ball", "adam", "rmsprop"))
def breast_cancer(seed, choice):
    d = data.breast_cancer()
    model = stack((30,), Dense(16, "relu"), Dense(8, "relu"), Dense(1, "sigmoid"))
    model.compile(optimizer(choice), "binary_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 25, 32, d.validation)


@healthy(KIND, "accuracy", 0.93, named("sgd", "adamw"))
def breast_cancer_logit(seed, choice):
    d = data.breast_cancer()
    model = stack((30,), Dense(16, "tanh"), Dense(1))
    accuracy = keras.metrics.BinaryAccuracy("accuracy", threshold=0.0)
    model.compile(optimizer(choice), keras.losses.BinaryCrossentropy(from_logits=True), metrics=[accuracy])
    return Training(model, d.x, d.y, d.probe, 20, 32, d.validation)


@healthy(KIND, "accuracy", 0.93, named("heavy-ball", "adam-fast"))
def logistic_regression(seed, choice):
    d = data.breast_cancer()
    model = stack((30,), Dense(1, "sigmoid"))
    model.compile(optimizer(choice), "binary_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 25, 32, d.validation)


@healthy(KIND, "accuracy", 0.95, named("heavy-ball", "adam-fast", "nesterov"))
def moons(seed, choice):
    d = data.moons()
    model = stack((2,), *hidden(2, 16, "relu"), Dense(1, "sigmoid"))
    model.compile(optimizer(choice), "binary_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 40, 32, d.validation)


@healthy(KIND, "accuracy", 0.95, {"tanh": "tanh", "relu": "relu"})
def circles(seed, choice):
    d = data.circles()
    model = stack((2,), *hidden(2, 24, choice), Dense(2, "softmax"))
    model.compile(keras.optimizers.Adam(5e-3), SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 30, 32, d.validation)


@healthy(KIND, "accuracy", 0.95, {"four": 4, "eight": 8})
def xor(seed, choice):
    d = data.xor(150)
    model = stack((2,), Dense(choice, "tanh"), Dense(1, "sigmoid"))
    model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy", metrics=["accuracy"])
    return Training(
        model, d.x - 0.5, d.y, (d.x_val - 0.5, d.y_val), 40, 16, {"validation_data": (d.x_val - 0.5, d.y_val)}
    )


@healthy(KIND, "accuracy", 0.85, {"two": 2, "three": 3})
def table_of_classes(seed, choice):
    d = data.table(classes=choice)
    model = stack((20,), Dense(32, "relu"), keras.layers.Dropout(0.2), Dense(choice, "softmax"))
    model.compile("adam", SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 20, 32, d.validation)


@healthy(KIND, "accuracy", 0.9, {"sgd": 3, "adam": 5})
def blobs(seed, choice):
    d = data.blobs(choice)
    model = stack((8,), *hidden(1, 24, "relu"), Dense(choice, "softmax"))
    model.compile("sgd" if choice == 3 else "adam", SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 25, 32, d.validation)


@healthy(KIND, "accuracy", 0.86, {"plain": None, "weighted": {0: 0.7, 1: 1.8}})
def few_of_one_class(seed, choice):
    x, y = datasets.make_classification(1200, 12, n_informative=6, weights=[0.75], class_sep=1.5, random_state=1)
    d = data.split(x, y)
    model = stack((12,), *hidden(2, 24, "relu"), Dense(1, "sigmoid"))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 20, 32, {"class_weight": choice, **d.validation})


@healthy(KIND, "binary_accuracy", 0.9, named("adam-fast", "heavy-ball"))
def several_labels(seed, choice):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(1000, 12))
    d = data.split(x, (x @ rng.normal(size=(12, 4)) > 0.5).astype("float32"), scale=False, classes=False)
    model = stack((12,), Dense(32, "relu"), Dense(4, "sigmoid"))
    model.compile(optimizer(choice), "binary_crossentropy", metrics=["binary_accuracy"])
    return Training(model, d.x, d.y, d.probe, 25, 32, d.validation)
