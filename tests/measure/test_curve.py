"""`curve`: quadratic Bezier curves of low loss between two nets.

Oracles: the losses of the two ends by `Objective`; the gradient of the bend by hand in NumPy, for a linear net with
squared errors, and Adam's formula; the line, which an untrained curve is; a loss that is convex, along which
nothing is to be gained over a known minimum.
"""

from __future__ import annotations

import numpy as np
import pytest

import dlhw  # noqa: F401  (sets KERAS_BACKEND)
from dlhw import measure, models
from dlhw.errors import UserError
from dlhw.training import cross_entropy

import keras  # isort: skip

K = keras.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4)).astype("float32")
Y = (X[:, 0] * X[:, 1] > 0).astype("int64")


def trained(seed, norm=False, epochs=15):
    keras.utils.set_random_seed(seed)
    layers = [K.Dense(16, activation="relu"), *([K.BatchNormalization()] if norm else []), K.Dense(2)]
    net = keras.Sequential([keras.Input((4,)), *layers])
    net.compile(keras.optimizers.Adam(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    net.fit(X, Y, epochs=epochs, batch_size=20, verbose=0)
    return net


@pytest.fixture(scope="module")
def ends():
    return trained(0), trained(1)


def loss_of(model, weights):
    with measure.restore_weights(model):
        model.set_weights(weights)
        return measure.Objective(model, cross_entropy, X, Y).value()


def test_the_ends_are_the_ends_and_every_point_is_on_the_curve(ends):
    a, b = ends
    bezier = measure.curve(a, b, cross_entropy, X, Y, epochs=3, ts=[0.25, 0.5])
    assert bezier.ts.tolist() == [0.0, 0.25, 0.5, 1.0]
    for k, net in ((0, a), (-1, b)):
        value = measure.Objective(net, cross_entropy, X, Y).value()
        assert bezier.loss[k] == pytest.approx(value.loss, rel=1e-6)
        assert bezier.accuracy[k] == value.accuracy
        for mine, theirs in zip(bezier.at(float(bezier.ts[k])), net.get_weights(), strict=True):
            np.testing.assert_array_equal(mine.astype("float32"), theirs)
    p, w, q = (np.concatenate([v.ravel() for v in u]) for u in (bezier.start, bezier.bend, bezier.end))
    at = np.concatenate([v.ravel() for v in bezier.at(0.25)])
    np.testing.assert_allclose(at, 0.5625 * p + 0.375 * w + 0.0625 * q, atol=1e-6)
    assert bezier.loss[1] == pytest.approx(loss_of(a, bezier.at(0.25)).loss, rel=1e-5)


def test_training_the_bend_lowers_the_barrier_of_the_line(ends):
    a, b = ends
    line = measure.line(a, a, b, cross_entropy, X, Y, np.linspace(0, 1, 21))
    bezier = measure.curve(a, b, cross_entropy, X, Y, epochs=40, learning_rate=0.03, examples=40)
    naive, curved = (measure.barrier_over_chord(x, v) for x, v in ((line.alphas, line.loss), (bezier.ts, bezier.loss)))
    assert naive > 0.1
    assert curved < 0.3 * naive
    assert bezier.history.shape == (40,)
    assert bezier.history[-1] < bezier.history[0]


def test_without_training_it_is_the_line(ends):
    a, b = ends
    line = measure.line(a, a, b, cross_entropy, X, Y, [0.3, 0.5])
    bezier = measure.curve(a, b, cross_entropy, X, Y, epochs=0, ts=[0.3, 0.5])
    np.testing.assert_allclose(bezier.loss, line.loss, rtol=1e-5)
    assert bezier.history.shape == (0,)


def test_steps_equal_adam_on_the_gradient_by_hand():
    """A linear net, squared error: the gradient 2 t (1 - t) 2/n X^T (X phi(t) - y), in Adam as its authors write it."""
    x, y = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 1))

    def linear(seed):
        net = keras.Sequential([keras.Input((3,), dtype="float64"), K.Dense(1, use_bias=False, dtype="float64")])
        net.dtype_policy = keras.DTypePolicy("float64")
        net.set_weights([np.random.default_rng(seed).normal(size=(3, 1))])
        return net

    a, b = linear(0), linear(1)
    bezier = measure.curve(a, b, "mse", x, y, epochs=7, learning_rate=0.05, examples=6, seed=3)
    p, q = a.get_weights()[0], b.get_weights()[0]
    bend, mean, square, rng = 0.5 * (p + q), 0.0, 0.0, np.random.default_rng(3)
    for step in range(7):
        rng.permutation(6)
        t = rng.uniform()
        phi = (1 - t) ** 2 * p + 2 * t * (1 - t) * bend + t**2 * q
        gradient = 2 * t * (1 - t) * 2 / 6 * x.T @ (x @ phi - y)
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        rate = 0.05 * 0.5 * (1 + np.cos(np.pi * step / 7))
        bend = bend - rate * (mean / (1 - 0.9 ** (step + 1))) / (np.sqrt(square / (1 - 0.999 ** (step + 1))) + 1e-7)
    np.testing.assert_allclose(bezier.bend[0], bend, rtol=1e-9)


def test_a_convex_loss_is_bent_towards_its_minimum():
    """For least squares between two nets that miss the minimum, the best bend lies beyond the mean of the ends."""
    x = RNG.normal(size=(50, 3)).astype("float32")
    truth = np.array([[1.0], [-2.0], [0.5]])
    y = x @ truth
    nets = []
    for offset in (2.0, 1.0):
        net = keras.Sequential([keras.Input((3,)), K.Dense(1, use_bias=False)])
        net.set_weights([truth + offset])
        nets.append(net)
    bezier = measure.curve(*nets, "mse", x, y, epochs=200, learning_rate=0.1, examples=50)
    # E_t |2 offsets of phi|^2 is least for the bend m with E[(2t(1-t))^2] m = -E[2t(1-t) ((1-t)^2 2 + t^2 1)]
    t = np.linspace(0, 1, 100001)
    s = 2 * t * (1 - t)
    best = -np.mean(s * ((1 - t) ** 2 * 2.0 + t**2)) / np.mean(s**2)
    np.testing.assert_allclose(bezier.bend[0] - truth, best, atol=0.25)


@pytest.mark.parametrize("kind", ["plain", "batch-innermost"])
def test_layouts_agree(kind):
    nets = [models.image_net("3c3-p2-8", (8, 8, 1), 3, seed=s) for s in (0, 1)]
    x, y = RNG.uniform(size=(60, 8, 8, 1)).astype("float32"), RNG.integers(0, 3, 60)
    results = []
    for layout in ("plain", kind):
        with models.layout(layout):
            results.append(measure.curve(*nets, cross_entropy, x, y, epochs=3, examples=20, ts=[0.5]))
    np.testing.assert_allclose(results[0].loss, results[1].loss, rtol=1e-4)


def test_batch_norm_regularizers_and_random_layers():
    """The statistics are taken anew at every point; the model is left as it was; penalties belong to the loss."""
    a, b = trained(2, norm=True, epochs=2), trained(3, norm=True, epochs=2)
    before = [v.numpy() for v in a.variables]
    bezier = measure.curve(a, b, cross_entropy, X, Y, epochs=2, ts=[0.5])
    for variable, value in zip(a.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    with measure.restore_weights(a):
        a.set_weights(bezier.at(0.5))
        measure.reset_batch_norm(a, X)
        assert bezier.loss[1] == pytest.approx(measure.Objective(a, cross_entropy, X, Y).value().loss, rel=1e-5)
    layers = [K.Dense(4, kernel_regularizer=keras.regularizers.L2(10.0)), K.Dropout(0.5), K.Dense(2)]
    heavy = keras.Sequential([keras.Input((4,)), *layers])
    other = models.copied(heavy)
    other.set_weights([w + 1 for w in heavy.get_weights()])
    penalized, again, third = (
        measure.curve(heavy, other, cross_entropy, X, Y, epochs=10, learning_rate=0.05, ts=[0.5], seed=seed)
        for seed in (0, 0, 1)
    )
    line = measure.line(heavy, heavy, other, cross_entropy, X, Y, [0.5])
    assert line.loss[1] > 10  # mostly the penalty
    assert penalized.loss[1] < 0.8 * line.loss[1]
    np.testing.assert_array_equal(penalized.loss, again.loss)
    assert penalized.loss[1] != third.loss[1]


def test_wrong_arguments_are_refused_in_one_line(ends):
    a, b = ends
    for options, why in (
        ({"epochs": -1}, "`epochs` -1"),
        ({"examples": 0}, "`examples` 0"),
        ({"learning_rate": 0.0}, "`learning_rate` 0.0"),
        ({"ts": [1.5]}, "`ts` contain 1.5"),
        ({"ts": [np.nan]}, "`ts` contain nan"),
        ({"batch_norm": "no"}, "`batch_norm` 'no'"),
        ({"learning_rate": 1e30, "epochs": 3}, "lower `learning_rate`"),
    ):
        with pytest.raises(UserError, match=why) as caught:
            measure.curve(a, b, cross_entropy, X, Y, **options)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="weights of shapes"):
        measure.curve(a, b.get_weights()[:-1], cross_entropy, X, Y)
    with pytest.raises(UserError, match="must lie in"):
        measure.curve(a, b, cross_entropy, X, Y, epochs=0, ts=[]).at(2)
