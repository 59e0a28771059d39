"""The loss of an objective is what `model.evaluate` gives: losses x models x policies.

Oracle: Keras's own evaluation of all examples as one batch, uncompiled. Keras casts everything to float32 unless
floatx says otherwise, so float64 is compared to seven digits. What it would miss: a mistake that Keras and we
share.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import dlhw  # noqa: F401  (sets KERAS_BACKEND)
from dlhw import measure
from dlhw.errors import UserError
from dlhw.training import Trainer, optimizer

import keras  # isort: skip

L = keras.layers
EXAMPLES, STEPS, CLASSES = 9, 4, 3


def rng():
    return np.random.default_rng(4)


def labels(shape):
    return rng().integers(0, CLASSES, shape)


def one_hot(shape):
    return np.eye(CLASSES, dtype="float32")[labels(shape)]


def smooth(shape):
    return rng().dirichlet(np.ones(CLASSES), shape).astype("float32")


class Pinball(keras.losses.Loss):
    def call(self, y_true, y_pred):
        e = y_true - y_pred
        return keras.ops.mean(keras.ops.maximum(0.3 * e, -0.7 * e), axis=-1)


def squares(y_true, y_pred):
    return keras.ops.square(y_true - y_pred)


K = keras.losses
LOGITS = {"from_logits": True}
LOSSES = {  # name: (loss, targets of a shape, activation of the outputs)
    "mse": ("mse", smooth, None),
    "mae object": (K.MeanAbsoluteError(), smooth, None),
    "huber": (K.Huber(0.3), smooth, None),
    "log cosh": ("log_cosh", smooth, None),
    "msle": ("mean_squared_logarithmic_error", smooth, "softplus"),
    "poisson": ("poisson", smooth, "softplus"),
    "kl": (K.KLDivergence(), smooth, "softmax"),
    "cosine": (K.CosineSimilarity(), smooth, None),
    "hinge": ("hinge", one_hot, None),
    "categorical hinge": ("categorical_hinge", one_hot, None),
    "binary": (K.BinaryCrossentropy(from_logits=True), one_hot, None),
    "binary probabilities": ("binary_crossentropy", one_hot, "sigmoid"),
    "focal": (K.BinaryFocalCrossentropy(from_logits=True), one_hot, None),
    "categorical": (K.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1), one_hot, None),
    "categorical probabilities": ("categorical_crossentropy", one_hot, "softmax"),
    "sparse": (K.SparseCategoricalCrossentropy(from_logits=True), labels, None),
    "sparse probabilities": ("sparse_categorical_crossentropy", labels, "softmax"),
    "ignored class": (K.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0), labels, None),
    "sum": (K.MeanSquaredError(reduction="sum"), smooth, None),
    "sum of sparse": (K.SparseCategoricalCrossentropy(from_logits=True, reduction="sum"), labels, None),
    "mean with weights": (K.MeanSquaredError(reduction="mean_with_sample_weight"), smooth, None),
    "own class": (Pinball(), smooth, None),
    "own function": (squares, smooth, None),
}
TOLERANCE = {
    "float32": 1e-5,
    "float64": 1e-6,
    "mixed_bfloat16": 4e-3,
    "mixed_float16": 5e-4,
}  # rounding


def dense(activation, policy):
    inputs = keras.Input((2,))
    # Keras itself cannot add a float64 regularizer to its float32 loss.
    regularizer = None if policy == "float64" else "l2"
    outputs = L.Dense(CLASSES, activation=activation, kernel_regularizer=regularizer, dtype=policy)(inputs)
    return keras.Model(inputs, outputs), rng().normal(size=(EXAMPLES, 2)).astype("float32"), (EXAMPLES,)


def sequence(activation, policy):
    inputs = keras.Input((STEPS, 2))
    outputs = L.Dense(CLASSES, activation=activation, dtype=policy)(L.SimpleRNN(3, return_sequences=True)(inputs))
    return keras.Model(inputs, outputs), rng().normal(size=(EXAMPLES, STEPS, 2)).astype("float32"), (EXAMPLES, STEPS)


def masked(activation, policy):
    model, x, shape = sequence(activation, policy)
    inputs = keras.Input((STEPS, 2))
    h = inputs
    for layer in (L.Masking(), *model.layers[1:]):
        h = layer(h)
    for row, length in enumerate([1, 2, 3, 4, 2, 3, 1, 4, 2]):
        x[row, length:] = 0
    return keras.Model(inputs, h), x, shape


FAST = {(dense, "float32"), (masked, "float32")}
KINDS = [
    pytest.param(make, policy, id=f"{make.__name__}-{policy}", marks=[] if (make, policy) in FAST else pytest.mark.slow)
    for make, policies in ((dense, TOLERANCE), (sequence, ("float32",)), (masked, ("float32", "mixed_bfloat16")))
    for policy in policies
]


@pytest.mark.parametrize(("make", "policy"), KINDS)
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.usefixtures("uncompiled")
def test_the_loss_is_that_of_evaluate(make, policy, name):
    if make is masked and name == "own function":
        pytest.skip("Keras cannot mask losses of more axes than the mask has; we refuse them")
    loss, targets, activation = LOSSES[name]
    model, x, shape = make(activation, policy)
    y = targets(shape)
    model.compile(loss=loss, run_eagerly=True)
    expected = model.evaluate(x, y, batch_size=EXAMPLES, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the sums
        value = measure.Objective(model, loss, x, y, batch_size=4).value().loss
    assert value == pytest.approx(expected, rel=TOLERANCE[policy], abs=1e-7)


def test_losses_of_more_axes_than_their_mask_are_refused():
    model, x, shape = masked(None, "float32")
    with pytest.raises(UserError, match=r"the mask has the shape \(n, 4\), the losses \(n, 4, 3\)"):
        measure.Objective(model, squares, x, smooth(shape))


@pytest.mark.parametrize("make", [dense, masked])
@pytest.mark.parametrize("name", ["sparse", "ignored class", "sum", "own class"])
def test_the_trainer_measures_the_same(make, name):
    """Regularizers are left out of the curves."""
    loss, targets, activation = LOSSES[name]
    model, x, shape = make(activation, "float32")
    y = targets(shape)
    trainer = Trainer(model, batch_size=4, optimizer=optimizer("sgd", 0.1), loss=loss, compiled=False)
    model.compile(loss=loss, run_eagerly=True)
    added = float(sum(model.losses)) if model.losses else 0.0
    expected = model.evaluate(x, y, batch_size=EXAMPLES, verbose=0) - added
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert trainer.measure(x, y)[0] == pytest.approx(expected, rel=1e-5)
