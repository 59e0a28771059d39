"""Instruments against numbers that are known.

- Linear and softmax regression in closed form (NumPy): gradients, Hessians, input gradients, Jacobians. Would miss what
  only deep nets have: several layers, pools, piecewise activations.
- Central finite differences in float64 on a small convolutional net, error about h^2: fills that gap for first and
  second derivatives. Would miss an error of relative size under 1e-6.
- Known matrices through the operator seam and `numpy.linalg.eigh`: Lanczos, trace, density. Would miss a wrong Hessian.
- A quadratic bowl with diagonal Hessian: sharpness, ball, trace, line and barrier are known. Would miss what
  a search does where the loss is not convex: then the number is a lower bound, which no test can tell from the maximum.
- Invariances (batch size, sum over layers, sign, scale): would miss an error that all share.
"""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import numpy as np
import pytest

from dlhw.errors import UserError

keras = pytest.importorskip("keras")

import tensorflow as tf  # noqa: E402

from dlhw import measure  # noqa: E402
from dlhw.measure import alpha_grid  # noqa: E402
from dlhw.models import image_net, mlp  # noqa: E402
from dlhw.training import cross_entropy  # noqa: E402

RNG = np.random.default_rng(0)
MATRIX = (lambda q: q @ np.diag([9.0, 5.0, 2.0, 2.0, 1.0, 0.0, -1.0, -4.0]) @ q.T)(
    np.linalg.qr(RNG.normal(size=(8, 8)))[0]
)


@pytest.fixture(scope="module")
def net():
    """A small convolutional net in float64 with smooth activations, and data for it."""
    model = image_net("3c3-p2-6", (8, 8, 1), 4, activation="tanh", seed=1, dtype="float64")
    return model, RNG.normal(size=(13, 8, 8, 1)), RNG.integers(0, 4, 13)


@pytest.fixture(scope="module")
def softmax():
    """Softmax regression: model, x, y, probabilities (n, 3), kernel (4, 3)."""
    model = mlp((), inputs=4, outputs=3, seed=2, dtype="float64")
    x, y = RNG.normal(size=(11, 4)), RNG.integers(0, 3, 11)
    kernel, bias = model.get_weights()
    z = np.exp(x @ kernel + bias)
    return model, x, y, z / z.sum(1, keepdims=True), kernel


def bowl(scales=(1.0, 2.0, 3.0), at=(0.3, -0.2, 0.1)):
    """f(theta) = sum of s_i^2 (theta_i - c_i)^2 / n, standing at its minimum: model, x, y, and the diagonal of H."""
    s = np.array(scales)
    inputs = keras.Input((len(s),), dtype="float64")
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, dtype="float64")(inputs))
    model.dtype_policy = keras.DTypePolicy("float64")
    model.set_weights([np.array(at)[:, None]])
    return model, np.diag(s), (s * at)[:, None], 2 * s**2 / len(s)


def test_gradient_and_hessian_of_linear_regression():
    model = mlp((), inputs=3, seed=0, dtype="float64")
    x, y = RNG.normal(size=(20, 3)), RNG.normal(size=(20, 1))
    wide = np.hstack([x, np.ones((20, 1))])
    gradient = 2 / 20 * wide.T @ (wide @ measure.flat(model) - y[:, 0])
    total, layers = measure.gradient_norm(model, "mse", x, y, batch_size=6)
    np.testing.assert_allclose([total, *layers], [np.linalg.norm(gradient)] * 2, rtol=1e-12)
    exact = 2 / 20 * wide.T @ wide
    np.testing.assert_allclose(measure.hessian_matrix(model, "mse", x, y, batch_size=6), exact, rtol=1e-12)
    operator = measure.hessian(model, "mse", x, y, batch_size=6)
    np.testing.assert_allclose(operator @ np.eye(4), exact, rtol=1e-12)
    found = measure.eigenpairs(operator, 2, which="both")
    np.testing.assert_allclose(found.values, np.linalg.eigvalsh(exact)[[3, 2, 1, 0]], rtol=1e-9)


def test_softmax_regression_in_closed_form(softmax):
    model, x, y, p, kernel = softmax
    hot = np.eye(3)[y]
    losses = -np.log(p[np.arange(11), y])
    assert measure.Objective(model, cross_entropy, x, y).value().loss == pytest.approx(losses.mean(), rel=1e-12)
    by_inputs = np.linalg.norm((p - hot) @ kernel.T, axis=1)
    found = measure.sensitivity(model, cross_entropy, x, y)
    np.testing.assert_allclose(found.each, by_inputs, rtol=1e-10)
    assert found.mean == pytest.approx(by_inputs.mean())
    assert found.standard_error == pytest.approx(by_inputs.std(ddof=1) / np.sqrt(11))
    curve = np.array([np.diag(q) - np.outer(q, q) for q in p])
    np.testing.assert_allclose(
        measure.jacobian_norm(model, x).each, [np.linalg.norm(c @ kernel.T) for c in curve], rtol=1e-10
    )
    np.testing.assert_allclose(measure.jacobian_norm(model, x, of="output").each, np.linalg.norm(kernel), rtol=1e-10)
    wide = np.hstack([x, np.ones((11, 1))])
    exact = np.mean([np.kron(np.outer(a, a), c) for a, c in zip(wide, curve, strict=True)], axis=0)
    np.testing.assert_allclose(measure.hessian_matrix(model, cross_entropy, x, y), exact, atol=1e-12)


def test_finite_differences_of_a_convolutional_net(net):
    model, x, y = net
    objective = measure.Objective(model, cross_entropy, x, y, batch_size=5)
    theta, v, h = objective.theta, RNG.normal(size=objective.size), 1e-5
    _, gradient = objective.gradient()
    product = objective.product(v)
    with measure.restore_weights(model):
        objective.move(theta + h * v)
        up = objective.gradient()
        objective.move(theta - h * v)
        down = objective.gradient()
    assert (up[0] - down[0]) / (2 * h) == pytest.approx(gradient @ v, rel=1e-7)
    np.testing.assert_allclose((up[1] - down[1]) / (2 * h), product, atol=1e-7 * np.abs(product).max())
    np.testing.assert_array_equal(objective.theta, theta)
    pixel = np.zeros_like(x)
    pixel[:, 2, 3] = h
    values = [
        np.asarray(cross_entropy(y, model(x + s * pixel, training=False))) for s in (1, -1)
    ]  # along one pixel of every image
    with tf.GradientTape() as tape:
        inputs = tf.constant(x)
        tape.watch(inputs)
        loss = tf.reduce_sum(cross_entropy(y, model(inputs, training=False)))
    gradient = tape.gradient(loss, inputs).numpy()
    np.testing.assert_allclose((values[0] - values[1]) / (2 * h), gradient[:, 2, 3, 0], atol=1e-8)
    each = np.linalg.norm(gradient.reshape(13, -1), axis=1)
    np.testing.assert_allclose(measure.sensitivity(model, cross_entropy, x, y).each, each, rtol=1e-10)


def test_the_hessian_as_matrix_and_as_operator(net):
    model, x, y = net
    matrix = measure.hessian_matrix(model, cross_entropy, x, y, batch_size=5)
    operator = measure.hessian(model, cross_entropy, x, y, batch_size=4)
    some = RNG.integers(0, len(matrix), 6)
    np.testing.assert_allclose(operator @ np.eye(len(matrix))[:, some], matrix[:, some], atol=1e-13)
    found = measure.eigenpairs(operator, 3, which="both", steps=len(matrix), tolerance=1e-8)
    values = np.linalg.eigvalsh(matrix)
    assert found.converged.all()
    np.testing.assert_allclose(found.values, values[[-1, -2, -3, 2, 1, 0]], atol=1e-8 * values.max())


def test_nothing_depends_on_the_batch_size(net):
    model, x, y = net
    for size in (1, 7, 13, 100):
        for found, whole in [
            (measure.jacobian_norm(model, x, batch_size=size).each, measure.jacobian_norm(model, x).each),
            (
                measure.sensitivity(model, cross_entropy, x, y, batch_size=size).each,
                measure.sensitivity(model, cross_entropy, x, y).each,
            ),
            (
                measure.gradient_norm(model, cross_entropy, x, y, batch_size=size)[1],
                measure.gradient_norm(model, cross_entropy, x, y)[1],
            ),
        ]:
            np.testing.assert_allclose(found, whole, rtol=1e-11)


def test_the_popular_mistake_is_the_sensitivity_over_the_batch_size(net):
    model, x, y = net
    true = measure.sensitivity(model, cross_entropy, x, y).each
    for size in (1, 4, 13):
        wrong = measure.batch_mean_sensitivity(model, cross_entropy, x, y, batch_size=size).each
        last = 13 // size * size
        np.testing.assert_allclose(wrong[:last], true[:last] / size, rtol=1e-10)
        np.testing.assert_allclose(wrong[last:], true[last:] / max(13 - last, 1), rtol=1e-10)


def test_every_kind_of_keras_loss_gives_one_loss_an_example(softmax):
    model, x, y, _, _ = softmax
    hot = np.eye(3)[y]
    values = [
        measure.Objective(model, loss, x, t).value().loss
        for loss, t in [
            (cross_entropy, y),
            (keras.losses.SparseCategoricalCrossentropy(from_logits=True), y),
            (keras.losses.CategoricalCrossentropy(from_logits=True), hot),
            (lambda a, b: keras.losses.categorical_crossentropy(a, b, from_logits=True), hot),
        ]
    ]
    np.testing.assert_allclose(values, values[0], rtol=1e-9)
    with pytest.warns(UserWarning, match="the loss is a sum"):
        whole = measure.Objective(
            model, keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum"), x, y, batch_size=3
        ).value()
    assert whole.loss == pytest.approx(len(x) * values[0], rel=1e-9)  # Keras minimizes the sum
    with pytest.raises(UserError, match=r"shape \(\) for outputs of shape \(n, 3\)"):
        measure.sensitivity(model, lambda a, b: tf.reduce_mean(cross_entropy(a, b)), x, y)


def test_targets_meet_outputs_of_one_number_as_in_keras():
    """(n,) against (n, 1) would broadcast to (n, n); the mean of the losses is that of `evaluate`."""
    model = mlp((3,), inputs=2, seed=1)
    x, y = RNG.normal(size=(9, 2)).astype("float32"), np.sign(RNG.normal(size=9)).astype("float32")
    for name in ("hinge", "squared_hinge", "mse", "binary_crossentropy"):
        model.compile(loss=name)
        expected = model.evaluate(x, y, verbose=0)
        assert measure.Objective(model, name, x, y).value().loss == pytest.approx(expected, rel=1e-5), name
    assert measure.Objective(model, lambda a, b: (a - b) ** 2, x, y).value().loss == pytest.approx(
        measure.Objective(model, "mse", x, y).value().loss, rel=1e-6
    )
    with pytest.raises(UserError, match="'hing' is unknown"):
        measure.Objective(model, "hing", x, y)


def test_whole_numbers_that_are_no_classes_have_no_accuracy():
    one, many = mlp((3,), inputs=2), mlp((3,), inputs=2, outputs=3)
    x = RNG.normal(size=(9, 2))
    for model, y, loss in [
        (one, RNG.integers(0, 2, 9), "mse"),
        (one, RNG.integers(0, 9, (9, 1)), "mse"),
        (many, np.eye(3, dtype=int)[RNG.integers(0, 3, 9)], "mse"),
    ]:
        assert np.isnan(measure.Objective(model, loss, x, y).value().accuracy)
    assert 0 <= measure.Objective(many, cross_entropy, x, RNG.integers(0, 3, (9, 1))).value().accuracy <= 1


def test_models_of_several_inputs_and_mixed_precision():
    a, b = keras.Input((2,)), keras.Input((3,))
    model = keras.Model([a, b], keras.layers.Dense(1)(keras.layers.concatenate([a, b])))
    x, y = [RNG.normal(size=(6, 2)), RNG.normal(size=(6, 3))], RNG.normal(size=(6, 1))
    wide = np.hstack([*x, np.ones((6, 1))])
    np.testing.assert_allclose(
        measure.hessian_matrix(model, "mse", x, y, batch_size=4), 2 / 6 * wide.T @ wide, rtol=1e-4, atol=1e-6
    )
    with pytest.raises(UserError, match="several inputs"):
        measure.sensitivity(model, "mse", x, y)
    with pytest.raises(UserError, match="several outputs"):
        measure.Objective(keras.Model(a, [a, keras.layers.Dense(1)(a)]), "mse", x[0], y).value()
    c = keras.Input((2,))
    half = keras.Model(c, keras.layers.Dense(1, dtype="mixed_bfloat16")(c))
    rows = np.hstack([x[0], np.ones((6, 1))])
    found = measure.eigenpairs(measure.hessian(half, "mse", x[0], y), tolerance=0.05)
    assert found.values[0] == pytest.approx(np.linalg.eigvalsh(2 / 6 * rows.T @ rows)[-1], rel=0.05)


def test_weights_of_no_layer_count():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(1, use_bias=False)
            self.scale = self.add_weight(shape=(1,), initializer="ones")

        def call(self, x, training=False):
            return self.dense(x) * self.scale

    model = Own()
    x, y = RNG.normal(size=(5, 2)).astype("float32"), RNG.normal(size=(5, 1)).astype("float32")
    model(x)
    with tf.GradientTape() as tape:
        value = tf.reduce_mean((model(x) - y) ** 2)
    parts = [np.linalg.norm(g) for g in tape.gradient(value, [v.value for v in model.trainable_variables])]
    total, layers = measure.gradient_norm(model, "mse", x, y)
    assert total == pytest.approx(np.linalg.norm(parts), rel=1e-5)
    np.testing.assert_allclose(sorted(layers), sorted(parts), rtol=1e-5)


def test_accuracy_and_regularizers():
    inputs = keras.Input((2,))
    outputs = keras.layers.Dense(2, kernel_regularizer=keras.regularizers.L2(0.5), use_bias=False)(inputs)
    model = keras.Model(inputs, outputs)
    model.set_weights([np.eye(2, dtype="float32")])
    x, y = np.array([[3.0, 0], [0, 2.0], [1.0, 0]]), np.array([0, 1, 1])
    found = measure.Objective(model, cross_entropy, x, y, batch_size=2).value()
    data = np.mean(np.log1p(np.exp([-3.0, -2.0, 1.0])))
    assert found.loss == pytest.approx(data + 0.5 * 2, rel=1e-6)
    assert found.accuracy == pytest.approx(2 / 3)
    total, _ = measure.gradient_norm(model, lambda a, b: 0 * b[:, 0], x, y, batch_size=2)
    assert total == pytest.approx(np.sqrt(2), rel=1e-6)  # of 0.5 |W|^2: W


def test_models_in_float64():
    one = image_net("2c3-5", (8, 8, 1), 3)
    other = measure.as_float64(one)
    x = RNG.normal(size=(4, 8, 8, 1))
    exact = image_net("2c3-5", (8, 8, 1), 3, dtype="float64")  # the same weights, built so from the start
    np.testing.assert_allclose(np.asarray(other(x)), np.asarray(exact(x)), rtol=1e-12)
    np.testing.assert_array_equal(measure.flat(one), measure.flat(other))


def test_nested_models_become_float64_throughout():
    inputs, sequence = keras.Input((4,)), keras.Input((5, 4))
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="tanh")])
    recurrent = keras.layers.Bidirectional(keras.layers.LSTM(2))(keras.layers.TimeDistributed(inner)(sequence))
    for model, x in [
        (keras.Model(inputs, keras.layers.Dense(2)(inner(inputs))), RNG.normal(size=(3, 4))),
        (keras.Model(sequence, recurrent), RNG.normal(size=(3, 5, 4))),
        (keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]), RNG.normal(size=(3, 4))),
    ]:
        wide = measure.as_float64(model)
        assert {v.dtype for v in wide.weights} == {"float64"}
        tiny = 1e-10 * RNG.normal(size=x.shape)  # under the rounding of float32: any narrow layer would swallow it
        assert np.abs(np.asarray(wide(x + tiny) - wide(x))).max() > 0
    np.testing.assert_allclose(
        np.asarray(wide(x)), x @ model.weights[0].numpy().astype(float) + model.weights[1].numpy(), rtol=1e-12
    )

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    own = Own()
    own(np.ones((1, 3), "float32"))
    with pytest.raises(UserError, match="functional"):
        measure.as_float64(own)


def test_lanczos_on_known_matrices():
    values, vectors = np.linalg.eigh(MATRIX)
    for which, at in [("largest", [7, 6]), ("smallest", [1, 0]), ("both", [7, 6, 1, 0])]:
        found = measure.eigenpairs(MATRIX, 2, which=which, tolerance=1e-10)
        np.testing.assert_allclose(found.values, values[at], atol=1e-9)
        assert found.converged.all()
        np.testing.assert_allclose(np.abs(found.vectors @ vectors[:, at]), np.eye(len(at)), atol=1e-6)
        np.testing.assert_allclose(
            found.residuals,
            np.linalg.norm(found.vectors @ MATRIX - found.values[:, None] * found.vectors, axis=1),
            atol=1e-12,
        )
    many = measure.eigenpairs(np.diag(np.repeat([5.0, 4, 3, 2, 1], 20)), 4, tolerance=1e-9)  # multiplicities
    np.testing.assert_allclose(many.values, [5, 5, 5, 5], atol=1e-9)
    np.testing.assert_allclose(many.vectors @ many.vectors.T, np.eye(4), atol=1e-9)
    np.testing.assert_allclose(measure.eigenpairs([[1, 2], [2, 1]], 2).values, [3, -1])


def test_what_has_not_converged_says_so():
    wide = np.diag(np.linspace(0, 1, 400))
    short = measure.eigenpairs(wide, 1, steps=5, tolerance=1e-8)
    assert not short.converged.any()
    assert np.min(np.abs(np.diag(wide) - short.values[0])) <= short.residuals[0]
    assert measure.eigenpairs(wide, 1, steps=400, tolerance=1e-8).converged.all()
    with pytest.raises(UserError, match=r"`k` 9 .* exceeds the operator's size 8"):
        measure.eigenpairs(MATRIX, 9)
    with pytest.raises(UserError, match="square"):
        measure.eigenpairs(np.ones((2, 3)))


def test_traces_and_their_standard_errors():
    for method in ("hutchinson", "hutch++"):
        found = [measure.trace(MATRIX, products=12, method=method, seed=s) for s in range(300)]
        values = np.array([f.value for f in found])
        assert abs(values.mean() - np.trace(MATRIX)) < 4 * values.std() / np.sqrt(300)
        claimed = np.sqrt(np.mean([f.standard_error**2 for f in found]))
        assert claimed == pytest.approx(values.std(), rel=0.25)
        assert {f.products for f in found} == {12}
    low = np.outer(MATRIX[0], MATRIX[0]) + np.outer(MATRIX[1], MATRIX[1])  # rank two: Hutch++ is exact
    assert measure.trace(low, products=9).value == pytest.approx(np.trace(low), rel=1e-9)
    with pytest.raises(UserError, match="`products` 3"):
        measure.trace(MATRIX, products=3)


def test_spectral_density_counts_eigenvalues():
    # 30 eigenvalues 4 among 300: a tenth of the mass. Weights from any row but the first would not give a tenth.
    found = measure.spectral_density(np.diag([4.0] * 30 + [0.0] * 270), steps=10, probes=40, width=0.05)
    assert found.weights.sum() == pytest.approx(1)
    assert found.weights[found.nodes > 2].sum() == pytest.approx(0.1, rel=0.15)
    assert np.trapezoid(found.density, found.grid) == pytest.approx(1, abs=1e-3)
    whole = measure.spectral_density(MATRIX, steps=8, probes=400)
    assert whole.weights @ whole.nodes == pytest.approx(np.trace(MATRIX) / 8, abs=0.35)
    np.testing.assert_allclose(
        np.unique(whole.nodes[whole.weights > 1e-9].round(6)), [-4, -1, 0, 1, 2, 5, 9], atol=1e-5
    )


def test_a_density_finer_than_its_grid_is_refused():
    with pytest.raises(UserError, match="`width` 1e-05 is below the grid step"):
        measure.spectral_density(MATRIX, width=1e-5)


def test_keskar_is_never_negative():
    """At the top of a peak every other point is lower: the maximum over the box is where it starts."""
    model, x, y, _ = bowl()
    found = measure.keskar(model, lambda a, b: keras.ops.exp(-1e6 * (a - b) ** 2), x, y, epsilon=0.1)
    assert found.loss == pytest.approx(1)
    assert found.value == pytest.approx(0, abs=1e-9)
    with pytest.raises(UserError, match="divides by 1"):
        measure.keskar(model, lambda a, b: (a - b) ** 2 - 2, x, y)
    measure.assign(model, measure.flat(model) * np.nan)
    assert np.isnan(measure.keskar(model, "mse", x, y).value)


@pytest.mark.parametrize("epsilon", [1e-3, 0.1])
def test_keskar_on_a_bowl(epsilon):
    model, x, y, diagonal = bowl()
    box = epsilon * (np.abs(measure.flat(model)) + 1)
    before = measure.flat(model)
    found = measure.keskar(model, "mse", x, y, epsilon=epsilon)
    assert found.loss == pytest.approx(0, abs=1e-15)
    assert found.value == pytest.approx(100 * np.sum(diagonal / 2 * box**2), rel=1e-6)
    np.testing.assert_array_equal(measure.flat(model), before)
    # In a subspace the box lies about A^T theta; its corners are few enough to try them all.
    a = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 2)))[0]
    half = epsilon * (np.abs(a.T @ before) + 1)
    corners = [a @ (half * np.array([i, j])) for i in (-1, 1) for j in (-1, 1)]
    best = max(np.sum(diagonal / 2 * c**2) for c in corners)
    some = measure.keskar(model, "mse", x, y, epsilon=epsilon, subspace=2, seed=3).value
    assert min(np.sum(diagonal / 2 * c**2) for c in corners) * 100 * (1 - 1e-6) <= some <= 100 * best * (1 + 1e-6)
    with pytest.raises(UserError, match=r"`epsilon` 0 must lie in \(0, 1\]"):
        measure.keskar(model, "mse", x, y, epsilon=0)


def test_keskar_in_a_tiny_box_is_the_corner_of_the_gradient(net):
    """To first order the maximum over the box is sum |g_i| box_i, which the search has to reach in many dimensions."""
    model, x, y = net
    objective = measure.Objective(model, cross_entropy, x, y)
    loss, gradient = objective.gradient()
    for epsilon in (1e-6, 1e-4):
        rise = epsilon * np.abs(gradient) @ (np.abs(objective.theta) + 1)
        found = measure.keskar(model, cross_entropy, x, y, epsilon=epsilon)
        assert found.value == pytest.approx(100 * rise / (1 + loss), rel=0.01)


def quadratic(size=7):
    """A linear net under squared error: f is convex and quadratic in the weights, H = 2/n X'X with a column of ones."""
    model = keras.Sequential([keras.Input((size - 1,), dtype="float64"), keras.layers.Dense(1, dtype="float64")])
    model.dtype_policy = keras.DTypePolicy("float64")
    rng = np.random.default_rng(5)  # its own: a search may miss the best corner of another draw
    x, y = rng.normal(size=(30, size - 1)) @ np.diag(np.arange(1.0, size)), rng.normal(3, 1, size=(30, 1))
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    wide = np.concatenate([x, np.ones((30, 1))], 1)
    return model, x, y, 2 / 30 * wide.T @ wide


def test_keskar_finds_the_best_corner_of_a_convex_loss():
    """A convex function has its maximum over a box at a corner; of 2^7 corners all are tried here."""
    model, x, y, h = quadratic()
    theta = measure.flat(model)
    _, g = measure.Objective(model, "mse", x, y).gradient()
    half = 0.3 * (np.abs(theta) + 1)
    corners = half * np.array(np.meshgrid(*[[-1, 1]] * 7)).reshape(7, -1).T
    rises = corners @ g + np.einsum("ij,jk,ik->i", corners, h, corners) / 2
    result = measure.keskar(model, "mse", x, y, epsilon=0.3, starts=6)
    best = 100 * rises.max() / (1 + result.loss)
    assert result.value == pytest.approx(best, rel=1e-6)
    assert (result.searches <= best * (1 + 1e-9)).all()  # no search can exceed the box
    assert len(result.searches) == 7
    assert result.value == result.searches.max()
    assert result.settled
    assert result.spread == pytest.approx(1 - result.searches.min() / result.value)
    same = measure.keskar(model, "mse", x, y, epsilon=0.3, starts=6)
    np.testing.assert_array_equal(same.searches, result.searches)


def test_a_search_that_its_cap_ends_has_not_settled(net):
    model, x, y = net
    capped = measure.keskar(model, cross_entropy, x, y, epsilon=0.5, iterations=1)
    free = measure.keskar(model, cross_entropy, x, y, epsilon=0.5)
    assert not capped.settled
    assert free.settled
    assert free.value > capped.value


def test_opposite_points_of_a_ball_cancel_the_gradient():
    model, x, y, h = quadratic()
    measure.assign(model, measure.flat(model) + 5)  # far from the minimum
    _, g = measure.Objective(model, "mse", x, y).gradient()
    assert np.linalg.norm(g) > 50
    ball = measure.random_ball(model, "mse", x, y, radius=0.01, samples=400, seed=3)
    draws = np.random.default_rng(3)
    u = np.stack([v / np.linalg.norm(v) for v in (draws.normal(size=7) for _ in range(200))])
    np.testing.assert_allclose(ball.pairs, 1e-4 / 2 * np.einsum("ij,jk,ik->i", u, h, u), rtol=1e-5)
    np.testing.assert_allclose(ball.rises[::2] - ball.rises[1::2], 0.02 * u @ g, rtol=1e-6)
    assert abs(ball.mean - 1e-4 * np.trace(h) / 14) < 4 * ball.standard_error
    assert ball.standard_error < 0.02 * ball.rises.std() / np.sqrt(400)  # what independent points would have
    for odd in (2, 5):
        with pytest.raises(UserError, match="must be even"):
            measure.random_ball(model, "mse", x, y, radius=0.1, samples=odd)


def test_sam_and_ball_on_a_bowl():
    model, x, y, diagonal = bowl()
    assert measure.sam(model, "mse", x, y).value == pytest.approx(0, abs=1e-15)
    theta = measure.flat(model)
    measure.assign(model, theta + np.array([0.1, 0, 0]))
    g = diagonal * [0.1, 0, 0]
    rise = g[0] * 0.05 + diagonal[0] / 2 * 0.05**2
    assert measure.sam(model, "mse", x, y, rho=0.05).value == pytest.approx(rise, rel=1e-9)
    # adaptive: one coordinate alone, so e = rho |theta_1|
    step = 0.05 * abs(theta[0] + 0.1)
    assert measure.sam(model, "mse", x, y, rho=0.05, adaptive=True).value == pytest.approx(
        g[0] * step + diagonal[0] / 2 * step**2, rel=1e-9
    )
    measure.assign(model, theta)
    ball = measure.random_ball(model, "mse", x, y, radius=0.3, samples=400)
    assert abs(ball.mean - 0.09 * diagonal.sum() / 6) < 4 * ball.standard_error
    assert diagonal.min() / 2 * 0.09 <= ball.rises.min() <= ball.largest <= diagonal.max() / 2 * 0.09 + 1e-12
    np.testing.assert_array_equal(measure.flat(model), theta)


def test_adaptive_sharpness_does_not_change_when_relu_layers_are_rescaled():
    model = mlp((6,), inputs=2, seed=4, dtype="float64")
    x, y = RNG.normal(size=(30, 2)), RNG.normal(size=(30, 1))
    first = measure.sam(model, "mse", x, y, rho=0.1, adaptive=True).value
    plain = measure.sam(model, "mse", x, y, rho=0.1).value
    k, b, m, c = model.get_weights()
    model.set_weights([3 * k, 3 * b, m / 3, c])
    assert measure.sam(model, "mse", x, y, rho=0.1, adaptive=True).value == pytest.approx(first, rel=1e-9)
    assert measure.sam(model, "mse", x, y, rho=0.1).value != pytest.approx(plain, rel=0.01)


def test_the_line_through_a_bowl_is_a_parabola():
    model, x, y, diagonal = bowl()
    here = measure.flat(model)
    a, b = [(here + np.array([1, 0, 0]))[:, None]], [(here - np.array([0, 2, 0]))[:, None]]
    found = measure.line(model, a, b, "mse", x, y, np.linspace(-1, 2, 50))
    assert {0.0, 1.0} <= set(found.alphas)
    expected = [
        np.sum(diagonal / 2 * ((1 - t) * np.array([1, 0, 0]) + t * np.array([0, -2, 0])) ** 2) for t in found.alphas
    ]
    np.testing.assert_allclose(found.loss, expected, rtol=1e-12, atol=1e-15)
    assert np.isnan(found.accuracy).all()
    np.testing.assert_array_equal(measure.flat(model), here)
    vectors = measure.line(model, a[0].ravel(), b[0].ravel(), "mse", x, y, np.linspace(-1, 2, 50))
    np.testing.assert_array_equal(vectors.loss, found.loss)
    second = diagonal @ np.array([1, 4, 0])
    np.testing.assert_allclose(measure.line_curvature(model, a, b, "mse", x, y), [second, second], rtol=1e-12)
    assert measure.barrier_over_chord(found.alphas, found.loss) == pytest.approx(0, abs=1e-12)
    ends = diagonal / 2 * [1, 4, 0]
    assert measure.barrier_over_mean(found.alphas, found.loss) == pytest.approx(ends.max() - ends[:2].mean())


def test_barriers_that_are_known():
    alphas = np.array([-1.0, 0.0, 0.5, 1.0, 2.0])
    values = np.array([[100.0, 1.0, 5.0, 2.0, 100.0], [0.0, 1.0, 1.0, 2.0, 9.0]])
    np.testing.assert_allclose(measure.barrier_over_mean(alphas, values), [3.5, 0.5])
    np.testing.assert_allclose(measure.barrier_over_chord(alphas, values), [3.5, 0.0])
    with pytest.raises(UserError, match="`alphas` do not contain 0"):
        measure.barrier_over_mean(np.array([0.5, 1.0]), np.ones(2))
    for wrong in (np.nan, np.inf):
        with pytest.raises(UserError, match="finite"):
            alpha_grid([0.0, wrong])
    np.testing.assert_array_equal(alpha_grid([0.5, 1, 1, -1]), [-1, 0, 0.5, 1])


def test_models_are_put_back_when_something_raises(net):
    model, x, y = net
    before = [w.copy() for w in model.get_weights()]

    def stop(done, loss):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        measure.line(model, before, [0 * w for w in before], cross_entropy, x, y, [0.5], progress=stop)
    for w, v in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(w, v)
    with pytest.raises(UserError, match="shapes"):
        measure.line(model, before[:1], before, cross_entropy, x, y, [0.5])


def test_batch_statistics_of_a_line():
    inputs = keras.Input((3,))
    h = keras.layers.Dense(4, name="inner")(inputs)
    h = keras.layers.BatchNormalization(name="norm")(h)
    outputs = keras.layers.Dense(2)(keras.layers.GaussianNoise(1.0)(keras.layers.Dropout(0.5)(h)))
    model = keras.Model(inputs, outputs)
    x, y = RNG.normal(size=(40, 3)).astype("float32"), RNG.integers(0, 2, 40)
    a = [RNG.uniform(0.1, 1, w.shape) for w in model.get_weights()]
    b = [RNG.uniform(0.1, 1, w.shape) for w in model.get_weights()]
    seen = []

    def look(done, loss):
        seen.append([v.numpy() for v in model.get_layer("norm").non_trainable_variables])

    for how in ("interpolate", "recompute"):
        measure.line(model, a, b, cross_entropy, x, y, [0.25], batch_norm=how, batch_size=39, progress=look)
    np.testing.assert_allclose(seen[1], [0.75 * p + 0.25 * q for p, q in zip(a[4:6], b[4:6], strict=True)], rtol=1e-6)
    kernel, bias = (0.75 * p + 0.25 * q for p, q in zip(a[:2], b[:2], strict=True))
    enters = x @ kernel + bias  # the last chunk holds one example, whose own variance is 0
    np.testing.assert_allclose(seen[4], [enters.mean(0), enters.var(0)], rtol=1e-4)
    assert model.get_layer("norm").momentum == 0.99
    twice = [
        measure.line(model, a, b, cross_entropy, x, y, [0.25], batch_norm="recompute").loss for _ in range(2)
    ]  # dropout and noise are silent
    np.testing.assert_array_equal(*twice)
    chain = keras.Sequential([keras.Input((3,)), *model.layers[1:]])
    np.testing.assert_array_equal(
        measure.line(chain, a, b, cross_entropy, x, y, [0.25], batch_norm="recompute").loss, twice[0]
    )
    again = keras.Model(inputs, model(inputs))
    np.testing.assert_allclose(
        measure.line(again, a, b, cross_entropy, x, y, [0.25], batch_norm="recompute").loss, twice[0], rtol=1e-6
    )
    norm = model.get_layer("norm")
    tied = keras.Model(inputs, keras.layers.Dense(2)(norm(norm(model.get_layer("inner")(inputs)))))
    with pytest.raises(UserError, match="norm is called more than once"):
        measure.line(tied, tied, tied, cross_entropy, x, y, [0.5], batch_norm="recompute")


def test_no_module_takes_the_place_of_a_function():
    for path in Path(measure.__file__).parent.glob("*.py"):
        importlib.import_module(f"dlhw.measure.{path.stem}")
    for name in measure.__all__:
        assert not inspect.ismodule(getattr(measure, name)), name


def test_layers_of_a_flat_vector():
    model = mlp((4, 3), inputs=2)
    parts = measure.layer_parts(model)
    assert list(parts.values()) == [slice(0, 12), slice(12, 27), slice(27, 31)]
    kernel, bias = model.layers[2].get_weights()
    np.testing.assert_array_equal(measure.flat(model)[parts["dense_2"]], np.concatenate([kernel.ravel(), bias]))


def test_inputs_that_have_no_gradient_are_refused(softmax):
    model, x, y, _, _ = softmax
    with pytest.raises(UserError, match="floats"):
        measure.sensitivity(model, cross_entropy, x.astype(int), y)
    ends = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    with pytest.raises(UserError, match="already outputs probabilities"):
        measure.jacobian_norm(ends, x)
    with pytest.raises(UserError, match="the same number"):
        measure.Objective(model, cross_entropy, x[:4], y)
