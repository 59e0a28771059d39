"""What is read from a model, its loss and a probe before training.

Oracle: models whose layers, losses and data are written here, and NumPy. Would miss: a layer of the user's that is an
activation under a name of its own.
"""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import dlhw  # noqa: F401  (sets KERAS_BACKEND)
from dlhw.watch.probes import facts
from dlhw.watch.probes.probe import Prober

import keras  # isort: skip

L = keras.layers
RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(2, 3, size=(60, 5)).astype("f"), np.repeat([0, 1, 2], [30, 20, 10])


def net(*layers, shape=(5,)):
    return keras.Sequential([keras.Input(shape), *layers])


class Own(keras.Model):
    """Layers that are called otherwise than they were created, and a function at the end."""

    def __init__(self, end):
        super().__init__()
        self.last, self.first, self.end = L.Dense(3), L.Dense(4, "relu"), end

    def call(self, x):
        return self.end(self.last(self.first(x)))


def nested():
    inputs = keras.Input((5,))
    return keras.Model(inputs, net(L.Dense(4, "relu"), L.Dense(3), L.Softmax())(inputs))


@pytest.mark.parametrize(
    ("make", "activation", "layer"),
    [
        (lambda: net(L.Dense(4, "relu"), L.Dense(3, "softmax")), "softmax", "dense_1"),
        (lambda: net(L.Dense(4, "relu"), L.Dense(1)), "linear", "dense_1"),
        (lambda: net(L.Dense(4, "relu"), L.Dense(1, "sigmoid"), L.Reshape((1, 1))), "sigmoid", "dense_1"),
        (lambda: net(L.Dense(3), L.Dropout(0.1), L.Activation("softmax")), "softmax", "dense"),
        (lambda: net(L.Dense(3), L.ReLU()), "relu", "dense"),
        (lambda: net(L.Dense(3, "tanh"), L.Rescaling(3.0)), "", "dense"),
        (nested, "softmax", "dense_1"),
        (lambda: Own(lambda z: z), "linear", "last"),
        (lambda: Own(tf.nn.softmax), "softmax", "last"),
        (lambda: Own(lambda z: 2 * z), "", "last"),
        (lambda: net(L.Dense(3), L.LeakyReLU()), "leaky_relu", "dense"),
    ],
)
def test_the_output(make, activation, layer):
    keras.backend.clear_session()
    model = make()
    model(X)
    read = facts.of_model(model, (X, LABELS))
    assert read.output_activation == activation
    path = model.last.kernel.path.removesuffix("/kernel") if layer == "last" else layer
    assert read.output_layer.endswith(path)
    assert read.output_shape == (-1, *model(X).shape[1:])
    if not isinstance(model, Own):
        assert facts.of_model(model).output_activation == activation  # on random inputs


@pytest.mark.parametrize(
    ("loss", "name", "from_logits"),
    [
        ("mse", "mean_squared_error", ""),
        ("sparse_categorical_crossentropy", "sparse_categorical_crossentropy", "no"),
        (keras.losses.SparseCategoricalCrossentropy(True), "sparse_categorical_crossentropy", "yes"),
        (keras.losses.CategoricalCrossentropy(), "categorical_crossentropy", "no"),
        (keras.losses.BinaryCrossentropy(from_logits=True), "binary_crossentropy", "yes"),
        (keras.losses.BinaryFocalCrossentropy(from_logits=True), "binary_focal_crossentropy", "yes"),
        (keras.losses.Huber(), "huber", ""),
        (None, "", ""),
    ],
)
def test_the_loss(loss, name, from_logits):
    model = net(L.Dense(3))
    model.compile("sgd", loss)
    read = facts.of_model(model)
    assert (read.loss, read.from_logits) == (name, from_logits)


def test_layers_and_what_they_hold():
    model = net(
        L.Rescaling(0.1), L.Dense(4, "relu", kernel_initializer="zeros", kernel_regularizer=keras.regularizers.L2(0.5)),
        L.BatchNormalization(), L.Dropout(0.3), L.Dense(6, "tanh", kernel_regularizer=keras.regularizers.L1(2.0)),
        L.AlphaDropout(0.9), L.Dense(3, kernel_initializer="ones"),
    )  # fmt: skip
    model.compile("sgd", "mse")
    read = facts.of_model(model, (X, np.zeros((60, 3))))
    name = model.name
    assert read.constant_layers == (f"{name}/{model.layers[1].name}", f"{name}/{model.layers[6].name}")
    assert read.dropout == (0.3, 0.9)
    assert read.layer_kinds == ("Dense", "BatchNormalization", "Dense", "Dense")
    assert read.layer_sizes == (24, 8, 30, 21)
    assert read.first_layers == ("Rescaling",)
    assert read.hidden_activations == ("relu", "tanh")
    assert read.penalty == pytest.approx(2 * np.abs(model.layers[4].kernel.numpy()).sum(), rel=1e-5)
    prober = Prober(model, X, np.zeros((60, 3)), ("units",), {}, lambda note: None)
    prober.check()
    assert len(prober.unit_layers) == len(read.hidden_activations)


def test_constant_embeddings_count_and_single_entries_and_biases_do_not():
    model = net(L.Embedding(9, 4, embeddings_initializer="ones"), L.GRU(3), L.Dense(1), shape=(6,))
    read = facts.of_model(model, (RNG.integers(0, 9, (8, 6)), np.zeros(8)))
    assert [name.split("/")[-1] for name in read.constant_layers] == [model.layers[0].name]
    assert read.layer_kinds == ("Embedding", "GRU", "Dense")
    assert read.first_layers == ("Embedding",)
    assert facts.of_model(net(L.Dense(1), shape=(1,))).constant_layers == ()


def test_the_probe():
    model = net(L.Dense(3, "softmax"))
    model.compile("sgd", "sparse_categorical_crossentropy")
    for y in (LABELS, LABELS[:, None], LABELS.astype("f")):
        read = facts.of_model(model, (X, y))
        assert read.probe_label_shares == pytest.approx((1 / 2, 1 / 3, 1 / 6))
        assert np.isnan(read.probe_target_variance)
    values = (read.probe_low, read.probe_high, read.probe_mean, read.probe_std)
    assert values == pytest.approx((X.min(), X.max(), X.mean(), X.std()), rel=1e-5)
    model.compile("sgd", "categorical_crossentropy")
    assert facts.of_model(model, (X, np.eye(3)[LABELS])).probe_label_shares == pytest.approx((1 / 2, 1 / 3, 1 / 6))
    binary = net(L.Dense(1, "sigmoid"))
    binary.compile("sgd", "binary_crossentropy")
    assert facts.of_model(binary, (X, LABELS > 1)).probe_label_shares == pytest.approx((5 / 6, 1 / 6))
    numbers = net(L.Dense(2))
    numbers.compile("sgd", "mse")
    y = RNG.normal(size=(60, 2)) * [1, 4]
    read = facts.of_model(numbers, (X, y))
    assert read.probe_target_variance == pytest.approx(y.var(0).mean(), rel=1e-5)
    assert read.probe_label_shares == ()


def test_classes_that_the_probe_lacks_have_share_0():
    model = net(L.Dense(5, "softmax"))
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert facts.of_model(model, (X, LABELS)).probe_label_shares == pytest.approx((1 / 2, 1 / 3, 1 / 6, 0, 0))


def test_models_that_cannot_be_called_have_few_facts():
    class Pair(keras.Model):
        def __init__(self):
            super().__init__()
            self.one = L.Dense(2)

    model = Pair()
    model.compile("adam", "mse")
    read = facts.of_model(model, (X, LABELS))
    assert (read.output_activation, read.output_layer, read.output_shape) == ("", "", ())
    assert read.loss == "mean_squared_error"
    two = keras.Input((5,))
    several = keras.Model(two, [L.Dense(1)(two), L.Dense(2, "softmax")(two)])
    assert facts.of_model(several, (X, None)).output_activation == ""


def test_reading_changes_nothing():
    model = net(L.Dense(4, "relu"), L.Dropout(0.5), L.BatchNormalization(), L.Dense(3, "softmax"))
    model.compile("adam", "sparse_categorical_crossentropy")
    before = [v.numpy() for v in model.variables]
    facts.of_model(model, (X, LABELS))
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    assert all("call" not in vars(layer) for layer in model.layers)
