"""Norms of kernels, the path norm and margins.

Oracles: the matrix of a convolution, column by column from the layer itself, and NumPy's singular values; every path of
a small net written out; NumPy's order of the outputs. Would miss: a path norm that is wrong for max pooling, of which
the definition is a convention.
"""

from __future__ import annotations

import itertools
import tracemalloc
import warnings

import numpy as np
import pytest

import dlhw  # noqa: F401  (sets KERAS_BACKEND)
from dlhw import measure, models
from dlhw.errors import DlhwWarning, UserError
from dlhw.measure.lanczos import largest_eigenvalue

import keras  # isort: skip

SHAPE = (6, 5, 2)


def matrix_of(layer, shape):
    """The matrix of a linear layer: its outputs for every unit vector, without the bias."""
    size = int(np.prod(shape))
    units = np.eye(size, dtype=np.float32).reshape(size, *shape)
    return (layer(units).numpy() - layer(0 * units).numpy()).reshape(size, -1)


@pytest.mark.parametrize(
    "how",
    [{}, {"padding": "same"}, {"strides": 2}, {"padding": "same", "strides": (2, 1)}, {"dilation_rate": 2}],
    ids=str,
)
def test_the_spectral_norm_of_a_convolution_is_that_of_its_matrix(how):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input(SHAPE), keras.layers.Conv2D(3, 2, bias_initializer="ones", **how)])
    norms, layer = measure.kernel_norms(model), model.layers[0]
    expected = np.linalg.norm(matrix_of(layer, SHAPE), 2)
    assert norms.spectral[0] == pytest.approx(expected, rel=1e-5)
    kernel = layer.kernel.numpy()
    assert norms.frobenius[0] == pytest.approx(np.linalg.norm(kernel), rel=1e-6)
    if not how:
        reshaped = np.linalg.norm(kernel.reshape(-1, 3), 2)
        assert abs(reshaped / expected - 1) > 0.1  # the usual mistake is another number


def differences(length):
    """A net of one convolution that takes differences of neighbours: its A A' is tridiagonal (-1, 2, -1)."""
    net = keras.Sequential([keras.Input((length, 1)), keras.layers.Conv1D(1, 2, use_bias=False, name="differences")])
    net.set_weights([np.array([-1.0, 1.0]).reshape(2, 1, 1)])
    return net, 2 * np.cos(np.pi / (2 * length))


def test_a_spectral_norm_that_has_not_converged_is_a_warning():
    """The closed form of differences; those of 20000 neighbours lie closer together than 500 steps can tell."""
    short, exact = differences(40)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DlhwWarning)
        assert measure.kernel_norms(short).spectral[0] == pytest.approx(exact, rel=1e-9)
    long, exact = differences(20_000)
    with pytest.warns(DlhwWarning, match="'differences' has not converged in 500 products") as caught:
        norm = measure.kernel_norms(long).spectral[0]
    assert "\n" not in str(caught[0].message)
    assert exact * (1 - 1e-3) < norm <= exact * (1 + 1e-12)
    zero = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Conv2D(2, 2, kernel_initializer="zeros")])
    assert measure.kernel_norms(zero).spectral.tolist() == [0.0]
    short.set_weights([np.full((2, 1, 1), np.nan)])
    with pytest.raises(UserError, match="'differences' has weights that are not finite"):
        measure.kernel_norms(short)


@pytest.mark.parametrize("size", [1, 2, 30, 300])
def test_the_largest_eigenvalue_is_that_of_numpy(size):
    rng = np.random.default_rng(size)
    a = rng.normal(size=(size, size))
    a = a + a.T
    top = largest_eigenvalue(lambda v: a @ v, size, steps=400, tolerance=1e-9)
    assert top.converged
    assert top.value == pytest.approx(np.linalg.eigvalsh(a)[-1], rel=1e-12)


def test_the_largest_eigenvalue_takes_a_few_vectors_of_memory():
    size = 200_000
    values = np.sqrt(np.arange(1, size + 1))
    tracemalloc.start()
    top = largest_eigenvalue(lambda v: values * v, size, steps=120, tolerance=1e-9)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert top.steps == 120
    assert peak < 10 * values.nbytes  # the basis would be 120 of them
    assert values[-1] - 2 * top.residual < top.value <= values[-1]


def test_norms_are_those_of_all_layers_in_order():
    net = models.image_net("3c2-p2-4", SHAPE, 3, seed=2)
    norms = measure.kernel_norms(net)
    assert norms.layers == ("conv_1", "dense_3", "dense_4")
    for k, name in enumerate(norms.layers[1:], start=1):
        assert norms.spectral[k] == pytest.approx(np.linalg.norm(net.get_layer(name).kernel.numpy(), 2), rel=1e-6)
    assert (norms.spectral[1:] <= norms.frobenius[1:]).all()


@pytest.mark.parametrize("kind", ["BatchNormalization", "GroupNormalization", "LayerNormalization", "RMSNormalization"])
def test_weights_of_normalizations_have_no_part(kind):
    how = {"GroupNormalization": {"groups": 1}, "LayerNormalization": {"axis": [1, 2]},
           "RMSNormalization": {"axis": [1, 2]}}.get(kind, {})  # fmt: skip
    layers = keras.layers.Conv2D(3, 2, name="conv"), getattr(keras.layers, kind)(**how)
    model = keras.Sequential([keras.Input(SHAPE), *layers])
    assert layers[1].trainable_variables
    norms = measure.kernel_norms(model)
    assert norms.layers == ("conv",)
    assert norms.frobenius == pytest.approx([np.linalg.norm(layers[0].kernel.numpy())], rel=1e-6)


def test_the_path_norm_is_the_sum_over_all_paths():
    net = models.mlp((3, 2), inputs=2, outputs=2, seed=4)
    w1, b1, w2, b2, w3, b3 = (w.astype(np.float64) ** 2 for w in net.get_weights())
    sizes = (2, 3, 2, 2)
    total = b3.sum()
    for i, h, k, o in itertools.product(*map(range, sizes)):
        total += w1[i, h] * w2[h, k] * w3[k, o]
    total += sum(b1[h] * w2[h, k] * w3[k, o] for h, k, o in itertools.product(*map(range, sizes[1:])))
    total += sum(b2[k] * w3[k, o] for k, o in itertools.product(*map(range, sizes[2:])))
    assert measure.path_norm(net) == pytest.approx(np.sqrt(total), rel=1e-12)


def test_the_path_norm_of_a_convolution_is_that_of_its_matrix():
    keras.utils.set_random_seed(3)
    layers = [keras.layers.Conv2D(3, 2, activation="relu", use_bias=False), keras.layers.Flatten()]
    model = keras.Sequential([keras.Input(SHAPE), *layers, keras.layers.Dense(2, use_bias=False)])
    matrix, last = matrix_of(layers[0], SHAPE) ** 2, model.layers[-1].kernel.numpy() ** 2
    # The convolution has no activation in its matrix; squares of its entries are what paths take.
    linear = keras.Sequential([keras.Input(SHAPE), keras.layers.Conv2D(3, 2, use_bias=False)])
    linear.set_weights([layers[0].kernel.numpy()])
    matrix = matrix_of(linear.layers[0], SHAPE) ** 2
    assert measure.path_norm(model) == pytest.approx(np.sqrt((matrix @ last).sum()), rel=1e-5)


def test_rescaling_a_relu_unit_changes_norms_and_not_the_path_norm():
    net = models.mlp((4,), inputs=3, seed=1)
    before, sizes = measure.path_norm(net), measure.kernel_norms(net).frobenius
    w, a, v, b = net.get_weights()
    net.set_weights([10 * w, 10 * a, v / 10, b])
    assert measure.path_norm(net) == pytest.approx(before, rel=1e-6)
    np.testing.assert_allclose(measure.kernel_norms(net).frobenius, sizes * [10, 0.1], rtol=1e-6)


def test_a_residual_net_has_the_paths_of_both_branches():
    x = keras.Input((2,))
    h = keras.layers.Dense(2, activation="relu", use_bias=False)(x)
    model = keras.Model(x, keras.layers.Add()([x, h]))
    kernel = np.array([[1.0, -2.0], [0.5, 3.0]], np.float32)
    model.set_weights([kernel])
    assert measure.path_norm(model) == pytest.approx(np.sqrt(2 + (kernel**2).sum()))


def test_margins_are_those_of_the_sorted_outputs():
    rng = np.random.default_rng(0)
    net = models.mlp((5,), inputs=3, outputs=4, seed=0)
    x, y = rng.normal(size=(30, 3)), rng.integers(0, 4, 30)
    z = net(x).numpy()
    expected = [row[label] - np.sort(np.delete(row, label))[-1] for row, label in zip(z, y, strict=True)]
    result = measure.margins(net, x, y, batch_size=7)
    np.testing.assert_allclose(result.values, expected, rtol=1e-5, atol=1e-6)
    assert ((result.values > 0) == (z.argmax(axis=1) == y)).all()
    assert result.percentile(10) == pytest.approx(np.percentile(expected, 10), rel=1e-5)


def test_the_margin_of_one_logit_is_that_of_two():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(9, 3)), rng.integers(0, 2, 9)
    net = models.mlp((4,), inputs=3, seed=0)
    z = net(x).numpy()[:, 0]
    np.testing.assert_allclose(measure.margins(net, x, y).values, np.where(y, z, -z), rtol=1e-6)


def test_margins_of_a_sigmoid_are_refused_however_it_is_written():
    """The margin of a probability p would be p or -p: positive for every example of class 1."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 3)), rng.integers(0, 2, 20)
    layers, inputs = keras.layers, keras.Input((3,))

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.last = layers.Dense(1)

        def call(self, inputs):
            return keras.ops.sigmoid(self.last(inputs))

    own = Own()
    own(x)
    ends = layers.Dense(1, "sigmoid")(inputs), layers.Activation("sigmoid")(layers.Dense(1)(inputs))
    ends += (keras.ops.sigmoid(layers.Dense(1)(inputs)), layers.Dense(3, "sigmoid")(inputs))
    ends += (keras.Sequential([layers.Dense(1, "sigmoid")])(inputs),)
    for model in (own, *(keras.Model(inputs, end) for end in ends)):
        with pytest.raises(UserError, match="probabilities"):
            measure.margins(model, x, y)
    small = keras.Sequential([inputs, layers.Dense(1, kernel_initializer="zeros", bias_initializer="ones")])
    np.testing.assert_array_equal(measure.margins(small, x, y).values, np.where(y, 1.0, -1.0))  # logits, by chance


def test_what_cannot_be_measured_is_named():
    normalized = keras.Sequential(
        [keras.Input((3,)), keras.layers.BatchNormalization(name="bn"), keras.layers.Dense(2)]
    )
    with pytest.raises(UserError, match="'bn'"):
        measure.path_norm(normalized)
    inputs = keras.Input((3,))
    one, other = (keras.layers.Dense(3)(inputs) for _ in range(2))
    for end, words in (
        (one + other, r"keras\.ops\.add .* use keras\.layers\.Add\(\)"),
        (keras.ops.relu(one), r"keras\.ops\.relu .* use keras\.layers\.ReLU\(\)"),
        (one * other, r"keras\.ops\.multiply .* use a layer"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            measure.path_norm(keras.Model(inputs, end))
        assert "\n" not in str(caught.value)
    embedded = keras.Sequential([keras.Input((3,)), keras.layers.Embedding(5, 2, name="words")])
    with pytest.raises(UserError, match="'words'"):
        measure.kernel_norms(embedded)
    anywhere = keras.Sequential([keras.Input((None, None, 1)), keras.layers.Conv2D(2, 2, name="free")])
    with pytest.raises(UserError, match="'free'"):
        measure.kernel_norms(anywhere)
    with pytest.raises(UserError, match="not fixed"):
        measure.path_norm(anywhere)
    softmax = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")])
    x = np.random.default_rng(0).normal(size=(5, 3))
    with pytest.raises(UserError, match="probabilities"):
        measure.margins(softmax, x, np.zeros(5, int))
    net = models.mlp((4,), inputs=3, outputs=2)
    with pytest.raises(UserError, match="label 2"):
        measure.margins(net, x, np.full(5, 2))
    with pytest.raises(UserError, match="class labels"):
        measure.margins(net, x, np.full(5, 0.5))
