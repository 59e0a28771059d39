"""Statistics of single updates in `Trainer`, against a plain loop, and against those of `Watch` in `fit`.

Would miss: a layout of the training step in which gradients are computed piece by piece; test_batch_innermost has it.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import dlhw
from dlhw._tf.step_statistics import Gradient, as_gradient, gradient_statistics
from dlhw.seeds import Stream, generator
from dlhw.training import Trainer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 5)).astype(np.float32)
Y = RNG.integers(0, 3, 40)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def net():
    keras.utils.set_random_seed(3)
    layers = [keras.layers.Dense(6, "relu", name="hidden"), keras.layers.Dense(3, name="out")]
    model = keras.Sequential([keras.Input((5,)), *layers], name="net")
    layers[0].bias.assign([-100.0, 0, 0, 0, 0, 0])  # a unit that is off for every batch
    return model


def plain_loop(optimizer, order, size):
    """Return loss (U,) and the six statistics (6, U, 2), by NumPy from a loop without anything of dlhw."""
    model, losses, table = net(), [], []
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        before = model.get_weights()
        with tf.GradientTape() as tape:
            loss = LOSS(Y[rows], model(X[rows]))
        gradients = [g.numpy() for g in tape.gradient(loss, model.trainable_weights)]
        optimizer.apply(gradients, model.trainable_weights)
        moved = [b - a for a, b in zip(before, model.get_weights(), strict=True)]

        def norms(parts):
            return [np.sqrt(sum(np.sum(np.square(p, dtype=np.float64)) for p in parts[k : k + 2])) for k in (0, 2)]

        zeros = [np.mean(np.concatenate([g.ravel() for g in gradients[k : k + 2]]) == 0) for k in (0, 2)]
        table.append([norms(gradients), norms(gradients), norms(moved), norms(before), zeros, [0.0, 0.0]])
        losses.append(float(loss))
    return np.array(losses), np.moveaxis(np.array(table), 1, 0)


@pytest.mark.parametrize("compiled", [True, False])
def test_all_statistics_equal_those_of_a_plain_loop(compiled):
    order = generator(7, Stream.BATCHES).permutation(40)
    loss, table = plain_loop(keras.optimizers.SGD(0.1, momentum=0.9), order, 16)
    sgd = keras.optimizers.SGD(0.1, momentum=0.9)
    trainer = Trainer(net(), batch_size=16, optimizer=sgd, loss=LOSS, record="all", compiled=compiled)
    curves = trainer.fit((X, Y), (X, Y), epochs=1, seed=7)
    statistics = curves.statistics
    assert statistics.layers == ("net/hidden", "net/out")
    np.testing.assert_allclose(curves.step_loss, loss, rtol=1e-5)
    names = ("gradient_norm", "applied_norm", "update_norm", "weight_norm", "zero_share", "nonfinite_share")
    for name, expected in zip(names, table, strict=True):
        np.testing.assert_allclose(getattr(statistics, name), expected, rtol=2e-5, err_msg=name)
    assert statistics.zero_share[:, 0].max() > 0
    np.testing.assert_allclose(curves.gradient_norm, np.hypot(*table[0].T), rtol=1e-5)


def test_the_same_numbers_as_in_fit():
    """Whole batches, whose order plays no part."""
    model, watch = net(), dlhw.Watch()
    model.compile(keras.optimizers.Adam(0.01), LOSS)
    model.fit(X, Y, batch_size=40, epochs=5, shuffle=False, verbose=0, callbacks=[watch])
    trainer = Trainer(net(), batch_size=40, optimizer=keras.optimizers.Adam(0.01), loss=LOSS, record="all")
    statistics = trainer.fit((X, Y), (X, Y), epochs=5).statistics
    assert statistics.layers == ("net/hidden", "net/out")
    assert watch.result.layers == ("hidden", "out")
    for name in ("gradient_norm", "applied_norm", "update_norm", "weight_norm", "zero_share", "nonfinite_share"):
        np.testing.assert_allclose(getattr(watch.result, name), getattr(statistics, name), rtol=2e-4, err_msg=name)


def test_recording_changes_no_weight():
    weights = []
    for record in (False, "all"):
        model = net()
        Trainer(model, batch_size=16, optimizer="adam", loss=LOSS, record=record).fit((X, Y), (X, Y), epochs=3)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1.0, 1e18, 1e25])
@pytest.mark.parametrize("xla", [False, True])
def test_norms_of_gradients_that_vanish_or_explode(scale, xla):
    """Squares of the entries leave the range of float32, their norm does not."""
    a = (RNG.normal(size=(3, 4)) * scale).astype(np.float32)
    b = np.ones(5, np.float32)
    b[0] = 0

    def statistics(a, b):
        return gradient_statistics([Gradient(a, 12), None, Gradient(b, 5)], tf.float32)

    norms, nonzero, nonfinite = tf.function(statistics, jit_compile=xla)(tf.constant(a), tf.constant(b))
    np.testing.assert_allclose(norms, [np.linalg.norm(a.astype(np.float64)), 0, 2], rtol=1e-6)
    np.testing.assert_array_equal(nonzero, [12, 0, 4])
    np.testing.assert_array_equal(nonfinite, [0, 0, 0])


def test_entries_that_are_not_finite_are_counted():
    a = tf.constant([[np.nan, np.inf, 0.0], [1.0, -np.inf, 2.0]])
    norms, nonzero, nonfinite = gradient_statistics([Gradient(a, 6), Gradient(tf.ones([2]), 2)], tf.float32)
    assert not np.isfinite(norms[0])
    np.testing.assert_allclose(norms[1], np.sqrt(2), rtol=1e-6)
    np.testing.assert_array_equal(nonzero, [5, 2])
    np.testing.assert_array_equal(nonfinite, [3, 0])


def test_rows_of_an_embedding_that_occur_twice_add_up():
    slices = tf.IndexedSlices(tf.constant([[1.0, 2.0], [3.0, -2.0], [0.0, 5.0]]), tf.constant([4, 4, 1]), (7, 2))
    for static in (False, True):
        gradient = as_gradient(slices, (7, 2), tf.float32, static=static)
        norms, nonzero, _ = gradient_statistics([gradient], tf.float32)
        np.testing.assert_allclose(norms, [np.sqrt(16 + 25)], rtol=1e-6)
        assert gradient.size == 14
        np.testing.assert_array_equal(nonzero, [2])
