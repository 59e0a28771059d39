"""The gradient noise scale.

Oracles: gradients of single examples of a net of two layers written out in NumPy, and the trace of their sample
covariance; the mean over all splits of a few examples; a linear model whose population is known. Would miss: a noise
scale that is right and useless, because neighbours are not drawn at random.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import dlhw  # noqa: F401  (sets KERAS_BACKEND)
from dlhw import measure, models
from dlhw.errors import UserError

import keras  # isort: skip

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(24, 3)), RNG.normal(size=(24, 1))


@pytest.fixture(scope="module")
def net():
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((3,), dtype="float64"),
            keras.layers.Dense(4, "tanh", dtype="float64"),
            keras.layers.Dense(1, dtype="float64"),
        ]
    )
    model.dtype_policy = keras.DTypePolicy("float64")
    model.set_weights([RNG.normal(size=w.shape) for w in model.get_weights()])
    return model


def example_gradients(model, x, y):
    """The gradient of the squared error of every example, (n, P), by hand."""
    w, b, v, c = model.get_weights()
    h = np.tanh(x @ w + b)
    slope = 2 * (h @ v + c - y)  # (n, 1)
    back = slope * v[:, 0] * (1 - h**2)  # (n, hidden)
    parts = [x[:, :, None] * back[:, None, :], back, h * slope, slope]
    return np.concatenate([p.reshape(len(x), -1) for p in parts], axis=1)


def test_single_examples_give_the_trace_of_their_covariance(net):
    gradients = example_gradients(net, X, Y)
    trace = np.trace(np.cov(gradients, rowvar=False))
    result = measure.gradient_noise_scale(net, "mse", X, Y, small=1)
    assert result.trace == pytest.approx(trace, rel=1e-10)
    norm = np.sum(gradients.mean(0) ** 2) - trace / len(X)
    assert result.squared_norm == pytest.approx(norm, rel=1e-9)
    assert result.value == pytest.approx(trace / norm, rel=1e-9)
    assert (result.small, result.large) == (1, 24)


@pytest.mark.parametrize("small", [3, 7, 12])
def test_the_estimates_are_those_of_the_paper(net, small):
    """McCandlish et al. 2018, equations A.2 and A.3, with the squared norm of the small batches averaged."""
    k = len(X) // small
    gradients = example_gradients(net, X, Y)[: k * small]
    low = np.mean(np.sum(gradients.reshape(k, small, -1).mean(1) ** 2, axis=1))
    high = np.sum(gradients.mean(0) ** 2)
    large = k * small
    result = measure.gradient_noise_scale(net, "mse", X, Y, small=small)
    assert result.squared_norm == pytest.approx((large * high - small * low) / (large - small), rel=1e-9)
    assert result.trace == pytest.approx((low - high) / (1 / small - 1 / large), rel=1e-9)


def test_both_parts_have_no_bias_over_all_splits(net):
    """Over all ways to cut six examples into two halves, the trace is on average that of the covariance."""
    x, y = X[:6], Y[:6]
    gradients = example_gradients(net, x, y)
    trace = np.trace(np.cov(gradients, rowvar=False))
    halves = [(0, *pair) for pair in itertools.combinations(range(1, 6), 2)]
    splits = [[*half, *(k for k in range(6) if k not in half)] for half in halves]
    results = [measure.gradient_noise_scale(net, "mse", x[split], y[split], small=3) for split in splits]
    assert len(results) == 10
    assert np.mean([r.trace for r in results]) == pytest.approx(trace, rel=1e-9)
    norm = np.sum(gradients.mean(0) ** 2) - trace / 6
    assert np.mean([r.squared_norm for r in results]) == pytest.approx(norm, rel=1e-9, abs=1e-12)


def linear(weights):
    model = keras.Sequential(
        [keras.Input((2,), dtype="float64"), keras.layers.Dense(1, use_bias=False, dtype="float64")]
    )
    model.dtype_policy = keras.DTypePolicy("float64")
    model.set_weights([np.reshape(weights, (2, 1))])
    return model


def test_the_standard_error_is_that_of_repeated_draws():
    """y = 0, x standard normal: g = 2 (x.w) x, G = 2 w, tr Sigma = 4 (|w|^2 (2 + 2) - |w|^2) = 12 |w|^2; B = 3."""
    model, rng = linear([1.0, -2.0]), np.random.default_rng(3)
    results = []
    for _ in range(40):
        x = rng.normal(size=(640, 2))
        results.append(measure.gradient_noise_scale(model, "mse", x, np.zeros((640, 1)), small=10))
    for values, truth in (
        ([r.trace for r in results], 60.0),
        ([r.squared_norm for r in results], 20.0),
    ):
        assert abs(np.mean(values) - truth) < 4 * np.std(values) / np.sqrt(40)
    values = [r.value for r in results]
    assert np.mean(values) == pytest.approx(3, rel=0.1)
    assert np.median([r.standard_error for r in results]) == pytest.approx(np.std(values, ddof=1), rel=0.35)


def test_the_default_is_a_32nd(net):
    x = np.concatenate([X] * 6)[:130]
    y = np.concatenate([Y] * 6)[:130]
    result = measure.gradient_noise_scale(net, "mse", x, y)
    assert (result.small, result.large) == (4, 128)


def test_a_gradient_that_noise_hides_has_no_finite_scale():
    """At the minimum of a linear model the mean gradient is 0, and the unbiased estimate of |G|^2 negative."""
    x, y = RNG.normal(size=(40, 2)), RNG.normal(size=(40, 1))
    result = measure.gradient_noise_scale(linear(np.linalg.lstsq(x, y, rcond=None)[0]), "mse", x, y, small=1)
    assert result.squared_norm == pytest.approx(-result.trace / 40, rel=1e-9)
    assert result.value == np.inf
    assert np.isnan(result.standard_error)
    flat = measure.gradient_noise_scale(linear([0.0, 0.0]), "mse", x, np.zeros((40, 1)), small=1)
    assert (flat.trace, flat.squared_norm) == (0, 0)
    assert np.isnan(flat.value)


def test_a_regularizer_moves_the_gradient_and_not_the_noise():
    x, y = RNG.normal(size=(32, 2)), RNG.normal(size=(32, 1))
    plain, decayed = (
        keras.Sequential(
            [
                keras.Input((2,), dtype="float64"),
                keras.layers.Dense(1, use_bias=False, kernel_regularizer=r, dtype="float64"),
            ]
        )
        for r in (None, keras.regularizers.L2(0.1))
    )
    w = np.array([[0.3], [-0.8]])
    for model in (plain, decayed):
        model.set_weights([w])
    a, b = (measure.gradient_noise_scale(m, "mse", x, y, small=2, batch_size=5) for m in (plain, decayed))
    assert b.trace == pytest.approx(a.trace, rel=1e-6)
    mean = np.mean(2 * (x @ w - y) * x, axis=0)
    moved = np.sum((mean + 0.2 * w[:, 0]) ** 2) - np.sum(mean**2)
    assert b.squared_norm - a.squared_norm == pytest.approx(moved, rel=1e-5)


def test_convolutions_in_the_other_layout_agree():
    x, y = RNG.normal(size=(64, 8, 8, 1)), RNG.integers(0, 3, 64)
    model = models.image_net("2c3-p2-4", (8, 8, 1), 3)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    values = []
    for layout in ("plain", "batch-innermost"):
        with models.layout(layout):
            result = measure.gradient_noise_scale(model, loss, x, y, small=8)
        values.append([result.trace, result.squared_norm, result.standard_error])
    np.testing.assert_allclose(*values, rtol=1e-3)


def test_what_makes_no_sense_is_refused(net):
    for small in (0, 13, 24, -1):
        with pytest.raises(UserError, match="`small`"):
            measure.gradient_noise_scale(net, "mse", X, Y, small=small)
    with pytest.raises(UserError, match="two small batches"):
        measure.gradient_noise_scale(net, "mse", X[:1], Y[:1])
