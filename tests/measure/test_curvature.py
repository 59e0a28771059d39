"""Gauss-Newton, Fisher, tangent kernel, blocks and diagonals against explicit Jacobians, Hessians and loops in float64.

Oracles: the definition written out with one backward pass per output or example (`tape.jacobian`, loops), closed forms
of linear models, central differences of the gradient, slices of the whole Hessian, NumPy's eigenvalues. Would miss: a
first derivative of TensorFlow that is wrong, which the definitions share; tests/zoo holds those against Keras.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import tensorflow as tf

from dlhw import measure
from dlhw.errors import DlhwWarning, UserError
from dlhw.models import mlp
from dlhw.training import cross_entropy

import keras  # isort: skip

pytestmark = pytest.mark.usefixtures("uncompiled")  # a single product takes less time than compiling it
RNG = np.random.default_rng(0)
N = 7


def whole(operator):
    return np.asarray(operator @ np.eye(operator.shape[0]), np.float64)


def jacobian(model, x):
    """Rows of d z / d theta, (n C, P), one output of one example at a time."""
    rows = []
    for i in range(len(x)):
        with tf.GradientTape(persistent=True) as tape:
            z = tf.unstack(tf.reshape(model(x[i : i + 1], training=False), [-1]))
        variables = [v.value for v in model.trainable_variables]
        for number in z:
            parts = tape.gradient(number, variables, unconnected_gradients="zero")
            rows.append(np.concatenate([np.ravel(tf.convert_to_tensor(p)) for p in parts]))
    return np.array(rows)


def example_gradients(model, loss, x, y):
    """The gradient of the loss of each example, (n, P), one example at a time."""
    rows = []
    for i in range(len(x)):
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(loss(y[i : i + 1], model(x[i : i + 1], training=False)))
        parts = tape.gradient(value, [v.value for v in model.trainable_variables], unconnected_gradients="zero")
        rows.append(np.concatenate([np.ravel(tf.convert_to_tensor(p)) for p in parts]))
    return np.array(rows)


@pytest.fixture(scope="module")
def classifier():
    """A net with a hidden layer, three classes, and its predicted probabilities."""
    model = mlp((4,), inputs=3, outputs=3, activation="tanh", seed=2, dtype="float64")
    x, y = RNG.normal(size=(N, 3)), RNG.integers(0, 3, N)
    return model, x, y, np.asarray(tf.nn.softmax(model(x)))


@pytest.fixture(scope="module")
def regression():
    model = mlp((4,), inputs=3, outputs=2, activation="tanh", seed=1, dtype="float64")
    return model, RNG.normal(size=(N, 3)), RNG.normal(size=(N, 2))


def test_ggn_and_fisher_of_a_classifier_are_those_of_the_definition(classifier):
    model, x, y, p = classifier
    j = jacobian(model, x).reshape(N, 3, -1)
    middle = np.array([np.diag(q) - np.outer(q, q) for q in p])
    exact = np.einsum("icp,icd,idq->pq", j, middle, j) / N
    np.testing.assert_allclose(whole(measure.ggn(model, cross_entropy, x, y, batch_size=3)), exact, atol=1e-14)
    np.testing.assert_allclose(whole(measure.fisher(model, cross_entropy, x, y)), exact, atol=1e-14)
    # E[s s'] over labels drawn from the predicted probabilities, label by label.
    drawn = sum(
        np.einsum("i,ip,iq->pq", p[:, k], g, g) / N
        for k in range(3)
        for g in [example_gradients(model, cross_entropy, x, np.full(N, k))]
    )
    np.testing.assert_allclose(drawn, exact, atol=1e-14)


def test_the_true_fisher_of_probabilities_and_of_bits_is_the_expectation_over_labels(classifier):
    model, x, y, _ = classifier
    ending = keras.Model(model.inputs, keras.layers.Softmax(dtype="float64")(model.outputs[0]))
    ending.dtype_policy = keras.DTypePolicy("float64")
    loss = keras.losses.SparseCategoricalCrossentropy()
    same = whole(measure.fisher(model, cross_entropy, x, y))
    np.testing.assert_allclose(whole(measure.fisher(ending, loss, x, y)), same, atol=1e-13)
    assert np.abs(whole(measure.ggn(ending, loss, x, y)) - same).max() > 1e-3  # of the outputs it has
    bits = keras.losses.BinaryCrossentropy(from_logits=True)
    single = [[0.0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1], [1, 0, 0], [1, 0, 1], [1, 1, 0], [1, 1, 1]]
    chance = np.asarray(tf.sigmoid(model(x)))
    expected = 0.0
    for row in np.array(single):
        weight = np.prod(np.where(row == 1, chance, 1 - chance), axis=1)
        g = example_gradients(model, bits.call, x, np.tile(row, (N, 1)))
        expected = expected + np.einsum("i,ip,iq->pq", weight, g, g) / N
    # The mean over 3 bits: the loss is a third of the negative log likelihood, and F three times E[s s'].
    found = whole(measure.fisher(model, bits, x, np.ones((N, 3))))
    np.testing.assert_allclose(found, 3 * expected, atol=1e-13)
    np.testing.assert_allclose(found, whole(measure.ggn(model, bits, x, np.ones((N, 3)))), atol=1e-13)


def test_squares_ggn_fisher_and_kernel(regression):
    model, x, y = regression
    j = jacobian(model, x)
    exact = 2 / (N * 2) * j.T @ j
    ggn = whole(measure.ggn(model, "mse", x, y, batch_size=2))
    np.testing.assert_allclose(ggn, exact, atol=1e-14)
    np.testing.assert_allclose(whole(measure.fisher(model, "mse", x, y)), exact, atol=1e-14)
    kernel = measure.ntk(model, x)
    np.testing.assert_allclose(kernel.matrix, j @ j.T, atol=1e-13)
    np.testing.assert_allclose(kernel.by_examples, (j @ j.T).reshape(N, 2, N, 2).trace(axis1=1, axis2=3) / 2)
    values = np.linalg.eigvalsh(kernel)[::-1]
    np.testing.assert_allclose(values[:14], N * 2 / 2 * np.linalg.eigvalsh(ggn)[::-1][:14], atol=1e-12)
    assert values[13] > 1e-6  # all of them are compared
    h = measure.hessian_matrix(model, "mse", x, y)
    fitted = measure.hessian_matrix(model, "mse", x, np.asarray(model(x)))
    assert np.abs(h - ggn).max() > 1e-3
    np.testing.assert_allclose(fitted, ggn, atol=1e-13)  # where all residuals vanish


@pytest.mark.parametrize(("loss", "outputs"), [("mse", 2), (cross_entropy, 3)])
def test_the_hessian_of_a_linear_net_is_its_ggn(loss, outputs):
    model = mlp((), inputs=4, outputs=outputs, seed=0, dtype="float64")
    x = RNG.normal(size=(N, 4))
    y = RNG.normal(size=(N, 2)) if loss == "mse" else RNG.integers(0, 3, N)
    h = measure.hessian_matrix(model, loss, x, y)
    np.testing.assert_allclose(whole(measure.ggn(model, loss, x, y)), h, atol=1e-14)
    wide = np.hstack([x, np.ones((N, 1))])
    if loss == "mse":
        np.testing.assert_allclose(h, np.kron(wide.T @ wide, np.eye(2)) / N, atol=1e-14)


def test_the_empirical_fisher_is_the_mean_of_outer_products(classifier):
    model, x, y, _ = classifier
    g = example_gradients(model, cross_entropy, x, y)
    found = whole(measure.fisher(model, cross_entropy, x, y, kind="empirical", batch_size=4))
    np.testing.assert_allclose(found, g.T @ g / N, atol=1e-14)
    assert np.linalg.matrix_rank(found) <= N


def test_masks_and_sequences():
    """Losses of the entries that no mask excludes, in J' L J too."""
    inputs = keras.Input((4, 2), dtype="float64")
    h = keras.layers.Masking(dtype="float64")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3, dtype="float64")(h))
    model.dtype_policy = keras.DTypePolicy("float64")
    x, y = RNG.normal(size=(5, 4, 2)), RNG.integers(0, 3, (5, 4))
    x[0, 1:] = x[2, 3:] = 0.0
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    h = measure.hessian_matrix(model, loss, x, y)
    np.testing.assert_allclose(whole(measure.ggn(model, loss, x, y, batch_size=2)), h, atol=1e-14)
    np.testing.assert_allclose(whole(measure.fisher(model, loss, x, y)), h, atol=1e-14)


def test_the_scales_of_both_fishers_differ_by_the_number_of_positions():
    """Over all labelings of 2 positions: the expectation of the empirical one is the true one divided by 2."""
    inputs = keras.Input((2, 2), dtype="float64")
    model = keras.Model(inputs, keras.layers.Dense(3, dtype="float64")(inputs))
    model.dtype_policy = keras.DTypePolicy("float64")
    x, loss = RNG.normal(size=(1, 2, 2)), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    p = np.asarray(tf.nn.softmax(model(x)))[0]
    expected = sum(
        p[0, a] * p[1, b] * whole(measure.fisher(model, loss, x, np.array([[a, b]]), kind="empirical", check=False))
        for a in range(3)
        for b in range(3)
    )
    true = whole(measure.fisher(model, loss, x, np.array([[0, 0]])))
    np.testing.assert_allclose(expected, true / 2, atol=1e-14)
    kernel = np.array([np.kron(np.outer(w, w), np.diag(q) - np.outer(q, q)) for w, q in zip(
        np.hstack([x[0], np.ones((2, 1))]), p, strict=True)])  # fmt: skip
    np.testing.assert_allclose(true, kernel.sum(0) / 2, atol=1e-14)  # of the likelihood of both, divided by 2


def test_the_compiled_loss_is_checked_as_the_same_loss_by_name():
    """The check runs on a float64 copy, which is not compiled; in float32, kinks of ReLU would be a warning."""
    x, y = np.random.default_rng(5).normal(size=(40, 3)), np.random.default_rng(6).integers(0, 4, 40)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = mlp((30, 20), inputs=3, outputs=4, activation="relu", seed=3)
    model.compile("sgd", loss)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DlhwWarning)
        compiled = measure.eigenpairs(measure.hessian(model, None, x, y), k=2)
    named = measure.eigenpairs(measure.hessian(model, loss, x, y), k=2)
    np.testing.assert_array_equal(compiled.values, named.values)


def layered(kind):
    """A small net of a kind of layer, with data."""
    build = keras.layers
    middle = {
        "dense": [build.Dense(4, activation="tanh")],
        "batch normalization": [build.Dense(4, activation="tanh"), build.BatchNormalization()],
        "layer normalization": [build.Dense(4, activation="softplus"), build.LayerNormalization()],
        "convolution": [build.Reshape((6, 1)), build.Conv1D(2, 3, activation="silu"), build.Flatten()],
        "recurrent": [build.Reshape((3, 2)), build.GRU(3)],
        "attention": [build.Reshape((3, 2)), lambda h: build.MultiHeadAttention(2, 2)(h, h), build.Flatten()],
    }[kind]
    inputs = keras.Input((6,))
    h = inputs
    for layer in (*middle, build.Dense(2)):
        h = layer(h)
    return keras.Model(inputs, h)


KINDS = ["dense", "batch normalization", "layer normalization", "convolution", "recurrent", "attention"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_layer_against_differences_and_definition(kind):
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        keras.utils.set_random_seed(1)
        model = layered(kind)
        x, y = RNG.normal(size=(5, 6)), RNG.normal(size=(5, 2))
        operator, step = measure.hessian(model, "mse", x, y), 1e-5
        v = RNG.normal(size=operator.shape[0])
        theta, gradients = measure.flat(model), []
        for sign in (1, -1):
            measure.assign(model, theta + sign * step * v)
            gradients.append(example_gradients(model, keras.losses.mean_squared_error, x, y).mean(0))
        measure.assign(model, theta)
        difference = (gradients[0] - gradients[1]) / (2 * step)
        np.testing.assert_allclose(operator @ v, difference, atol=1e-7 * np.abs(difference).max())
        j = jacobian(model, x)
        exact = 2 / 10 * j.T @ (j @ v)
        np.testing.assert_allclose(measure.ggn(model, "mse", x, y) @ v, exact, atol=1e-10 * np.abs(exact).max())
        np.testing.assert_allclose(measure.ntk(model, x).matrix, j @ j.T, atol=1e-10 * np.abs(j @ j.T).max())
        g = example_gradients(model, keras.losses.mean_squared_error, x, y)
        empirical = measure.fisher(model, "mse", x, y, kind="empirical", check=False) @ v
        np.testing.assert_allclose(empirical, g.T @ (g @ v) / 5, atol=1e-10 * np.abs(exact).max())
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


def test_blocks_of_layers_are_slices_of_the_whole(classifier):
    model, x, y, _ = classifier
    parts = measure.layer_parts(model)
    operators = {
        "hessian": measure.hessian,
        "ggn": measure.ggn,
        "fisher": measure.fisher,
        "empirical": lambda *args, **more: measure.fisher(*args, kind="empirical", **more),
    }
    for name, make in operators.items():
        matrix = whole(make(model, cross_entropy, x, y))
        for layer, span in parts.items():
            block = whole(make(model, cross_entropy, x, y, layers=layer))
            np.testing.assert_allclose(block, matrix[span, span], atol=1e-14, err_msg=f"{name} {layer}")
    both = measure.hessian_matrix(model, cross_entropy, x, y, layers=list(parts)[::-1])
    np.testing.assert_allclose(both, measure.hessian_matrix(model, cross_entropy, x, y), atol=1e-14)
    kernels = [measure.ntk(model, x, layers=layer).matrix for layer in parts]
    np.testing.assert_allclose(sum(kernels), measure.ntk(model, x).matrix, atol=1e-13)
    traces = [measure.trace(measure.hessian(model, cross_entropy, x, y, layers=layer)).value for layer in parts]
    assert sum(traces) == pytest.approx(np.trace(both), rel=1e-9)


def test_layers_of_gradient_norm_sam_and_directions(classifier):
    model, x, y, _ = classifier
    parts, theta = measure.layer_parts(model), measure.flat(model)
    norm = measure.gradient_norm(model, cross_entropy, x, y)
    total, layers = norm
    assert (total, norm.names) == (norm.total, tuple(parts))
    g = example_gradients(model, cross_entropy, x, y).mean(0)
    np.testing.assert_allclose(layers, [np.linalg.norm(g[span]) for span in parts.values()], rtol=1e-10)
    last, span = list(parts.items())[-1]
    one = measure.gradient_norm(model, cross_entropy, x, y, layers=last)
    assert (one.names, one.total) == ((last,), pytest.approx(layers[-1], rel=1e-10))
    moved = np.zeros_like(theta)
    moved[span] = 0.1 * g[span] / np.linalg.norm(g[span])
    rise = measure.sam(model, cross_entropy, x, y, rho=0.1, layers=last)
    with measure.restore_weights(model):
        measure.assign(model, theta + moved)
        assert rise.largest == pytest.approx(measure.Objective(model, cross_entropy, x, y).value().loss, rel=1e-12)
    direction = measure.random_direction(theta, model, layers=last)
    np.testing.assert_array_equal(direction[span], measure.random_direction(theta, model)[span])
    assert not direction[: span.start].any()
    plane = measure.random_plane(theta, model, layers=[last])
    assert not np.any([plane.first[: span.start], plane.second[: span.start]])
    with pytest.raises(UserError, match="needs the model"):
        measure.random_plane(theta, [v.shape for v in model.trainable_variables], layers=last)


def test_names_of_layers_that_are_nested_wrong_or_empty(classifier):
    model, x, y, _ = classifier
    inner = mlp((4,), inputs=3, outputs=3, activation="tanh", seed=2, dtype="float64")
    inputs = keras.Input((3,), dtype="float64")
    outer = keras.Model(inputs, inner(inputs))
    outer.dtype_policy = keras.DTypePolicy("float64")
    matrix = whole(measure.hessian(model, cross_entropy, x, y, layers="dense_2"))
    np.testing.assert_allclose(whole(measure.hessian(outer, cross_entropy, x, y, layers="dense_2")), matrix, atol=1e-14)
    for layers, words in ((("dense",), "'dense': the model has 0 layers"), ((), "`layers` is empty")):
        with pytest.raises(UserError, match=words):
            measure.hessian(model, cross_entropy, x, y, layers=layers)


def test_wrong_uses_are_refused_in_one_line(classifier):
    model, x, y, _ = classifier
    with pytest.raises(UserError, match="distribution of the targets") as caught:
        measure.fisher(model, "mae", x, np.ones((N, 3)))
    assert "\n" not in str(caught.value)
    one_hot, smoothed = np.eye(3)[y], keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    with pytest.raises(UserError, match=r"label_smoothing 0\.1 is not the negative log likelihood") as caught:
        measure.fisher(model, smoothed, x, one_hot)
    assert "\n" not in str(caught.value)
    measure.fisher(model, smoothed, x, one_hot, kind="empirical")
    with pytest.raises(UserError, match="`kind` 'sampled' is unknown"):
        measure.fisher(model, cross_entropy, x, y, kind="sampled")
    with pytest.raises(UserError, match=r"21003 rows \(at most 20000\)"):
        measure.ntk(model, np.ones((7001, 3)))


class Counter(keras.layers.Layer):
    """Counts its calls."""

    def build(self, shape):
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x):
        self.calls.assign_add(1.0)
        return x


def test_a_model_whose_passes_change_it_has_no_kernel():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2)(Counter()(inputs)))
    with pytest.raises(UserError, match="changes its states"):
        measure.ntk(model, np.ones((4, 3)))


@tf.custom_gradient
def _stopped(z):
    """The square, whose gradient is right and whose derivative of the gradient along dy is not."""
    return z**2, lambda dy: 2 * z * tf.stop_gradient(dy)


class Stopped(keras.layers.Layer):
    def call(self, x):
        return _stopped(x)


def test_a_layer_whose_derivatives_are_wrong_is_named():
    inputs = keras.Input((3,), dtype="float64")
    h = keras.layers.Dense(4, activation="tanh", dtype="float64")(inputs)
    h = Stopped(name="stopped", dtype="float64")(h)
    model = keras.Model(inputs, keras.layers.Dense(1, dtype="float64")(h))
    model.dtype_policy = keras.DTypePolicy("float64")
    with pytest.raises(UserError, match="do not match differences"):
        measure.ggn(model, "mse", RNG.normal(size=(5, 3)), np.ones((5, 1)))
