"""The hidden layers: activations, initial weights, dropout, gradients that do not pass; and too large a net."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from benchmarks.doctor import data
from benchmarks.doctor.broken.register import AUTOTRAINER, DEEP_LOCALIZE, UMLAUT, broken, dense
from benchmarks.doctor.program import Training

KIND = "hidden layers"
START = "initial weights"


@broken(
    KIND,
    "Three layers of sigmoids with small weights learn to sort: no gradient reaches the first.",
    "gradient-vanishes nothing-learned saturated-units",
    "dense_1 dense_2 dense_3",
    DEEP_LOCALIZE.format(39217567),
)
def sorting_by_sigmoids(seed: int) -> Training:
    x = np.random.default_rng(0).uniform(size=(600, 10))
    d = data.split(x, np.sort(x, axis=1), scale=False, classes=False)
    normal = keras.initializers.RandomNormal(stddev=0.05, seed=seed)
    model = dense(10, (10, 10, 10), 10, None, hidden="sigmoid", kernel_initializer=normal)
    model.compile("sgd", "mse")
    return Training(model, d.x, d.y, d.probe, 20, 50)


@broken(
    KIND,
    "Ten layers of sigmoids.",
    "gradient-vanishes nothing-learned",
    "dense_1 dense_2 dense_3 dense_4 dense_5",
    AUTOTRAINER.format("vanishing gradient"),
)
def ten_layers_of_sigmoids(seed: int) -> Training:
    d = data.blobs()
    model = dense(8, (16,) * 10, 3, "softmax", hidden="sigmoid")
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 15, 32, d.validation)


@broken(
    KIND,
    "Wide initial weights drive the tanh units of a deep net into saturation.",
    "saturated-units gradient-explodes gradient-vanishes",
    "dense_1 dense_2 dense_3 dense_4 dense_5",
    "Saturated activation, a symptom of DeepDiagnosis",
)
def saturated_tanh(seed: int) -> Training:
    d = data.digits()
    normal = keras.initializers.RandomNormal(stddev=2, seed=seed)
    model = dense(64, (32, 32, 32, 32, 32), 10, "softmax", hidden="tanh", kernel_initializer=normal)
    model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 12, 32, d.validation)


@broken(
    KIND,
    "Weights of deviation 1 in a deep ReLU net: outputs and gradients explode.",
    "gradient-explodes loss-not-finite update-ratio-high rate-above-edge dead-units",
    "dense_1 dense_2 dense_3 dense_4 dense_5 output optimizer",
    AUTOTRAINER.format("exploding gradient"),
)
def exploding_relu(seed: int) -> Training:
    d = data.blobs(4)
    normal = keras.initializers.RandomNormal(stddev=1, seed=seed)
    model = dense(8, (32,) * 5, 4, "softmax", kernel_initializer=normal)
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 10, 32, d.validation)


@broken(
    KIND,
    "A recurrent layer of ReLUs with wide recurrent weights: the state explodes over the steps.",
    "gradient-explodes loss-not-finite update-ratio-high rate-above-edge",
    "recurrent optimizer",
    AUTOTRAINER.format("exploding gradient"),
)
def exploding_recurrence(seed: int) -> Training:
    d = data.waves()
    normal = keras.initializers.RandomNormal(stddev=0.6, seed=seed)
    recurrent = keras.layers.SimpleRNN(24, "relu", recurrent_initializer=normal, name="recurrent")
    model = keras.Sequential([keras.Input((24, 1)), recurrent, keras.layers.Dense(3, "softmax", name="output")])
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 5, 32, d.validation)


@broken(
    KIND,
    "No activation in the hidden layers: the net is linear, and the classes are not.",
    "nothing-learned",
    "dense_1 dense_2 dense_3",
    UMLAUT.format("B1"),
)
def no_activation(seed: int) -> Training:
    d = data.circles()
    model = dense(2, (32, 32, 32), 1, "sigmoid", hidden=None)
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 20, 32, d.validation)


@broken(
    KIND,
    "Dropout of 0.8 three times.",
    "dropout-extreme nothing-learned",
    "dropout dropout_1 dropout_2 dropout_3",
    UMLAUT.format("A2"),
)
def heavy_dropout(seed: int) -> Training:
    d = data.images()
    layers = keras.layers
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(16, 3, activation="relu", name="conv_1")])
    model.add(layers.Dropout(0.8, name="dropout_1"))
    model.add(layers.Conv2D(16, 3, activation="relu", name="conv_2"))
    model.add(layers.Dropout(0.8, name="dropout_2"))
    model.add(layers.Flatten())
    model.add(layers.Dense(32, "relu", name="dense_1"))
    model.add(layers.Dropout(0.8, name="dropout_3"))
    model.add(layers.Dense(10, "softmax", name="output"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 6, 64, d.validation)


@broken(
    START,
    "Initial biases of -10: every unit of the layer is dead from the start.",
    "dead-units no-gradient nothing-learned",
    "dense_2",
    AUTOTRAINER.format("dying ReLU"),
)
def dead_from_the_start(seed: int) -> Training:
    d = data.digits()
    layers = keras.layers
    model = keras.Sequential([keras.Input((64,)), layers.Dense(32, "relu", name="dense_1")])
    model.add(layers.Dense(32, "relu", bias_initializer=keras.initializers.Constant(-10), name="dense_2"))
    model.add(layers.Dense(10, "softmax", name="output"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 12, 32, d.validation)


@broken(
    START,
    "All weights start at 0: the units of a layer stay equal, or get no gradient at all.",
    "constant-weights nothing-learned no-gradient dead-units",
    "dense_1 dense_2 output",
    "CS231n, Neural networks part 2: Pitfall, all zero initialization",
)
def zero_weights(seed: int) -> Training:
    d = data.digits()
    model = dense(64, (32, 32), 10, "softmax", kernel_initializer="zeros")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 12, 32, d.validation)


@broken(
    START,
    "All weights of the hidden layers start at the same constant: their units stay copies of each other.",
    "constant-weights",
    "dense_1 dense_2",
    "CS231n, Neural networks part 2: Pitfall, all zero initialization",
)
def equal_weights(seed: int) -> Training:
    d = data.moons()
    model = dense(2, (16, 16), 1, "sigmoid", hidden="tanh", kernel_initializer=keras.initializers.Constant(0.1))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 20, 32, d.validation)


class Rounded(keras.layers.Layer):
    """Rounds what passes; its derivative is 0."""

    def call(self, inputs):
        return ops.round(inputs)


@broken(
    KIND,
    "A layer that rounds has derivative 0, so that the layers before it are never trained.",
    "no-gradient gradient-vanishes",
    "rounded dense_1 dense_2",
    "Missing gradient, a symptom of DeepDiagnosis",
)
def rounded_activations(seed: int) -> Training:
    d = data.digits()
    layers = keras.layers
    model = keras.Sequential([keras.Input((64,)), layers.Dense(32, "tanh", name="dense_1")])
    model.add(layers.Dense(32, "tanh", name="dense_2"))
    model.add(Rounded(name="rounded"))
    model.add(layers.Dense(10, "softmax", name="output"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 12, 32, d.validation)


@broken(
    "size of net and data",
    "A net of 71,000 weights, sixty-four noisy examples and sixty epochs.",
    "overfitting",
    "generalization",
    "Overfitting, a check of UMLAUT",
)
def learnt_by_heart(seed: int) -> Training:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(160, 20))
    d = data.split(x, x[:, 0] + 1.5 * rng.normal(size=160) > 0, scale=False, share=0.6)
    model = dense(20, (256, 256), 1, "sigmoid")
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 60, 16, d.validation)
