"""`align`: the order of hidden units of one net, given to another.

Oracles: a net whose units were shuffled by index arithmetic written here; all permutations, enumerated, for groups of
up to 7 units; `b(x)` itself for what a permutation must not change. The shuffled copies would miss an objective that is
wrong where two nets really differ; the enumeration covers that.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import dlhw  # noqa: F401  (sets KERAS_BACKEND)
from dlhw import measure, models
from dlhw.errors import UserError
from dlhw.measure.alignment import METHODS
from dlhw.measure.objective import BATCH
from dlhw.measure.weight_matching import WeightMatching
from dlhw.models.channels import channels_of

import keras  # isort: skip

K = keras.layers
RNG = np.random.default_rng(0)
SIZE = 8


def random_weights(model, seed):
    """Weights far from any symmetry; moving variances are positive."""
    rng = np.random.default_rng(seed)
    weights = [
        rng.uniform(0.5, 2, v.shape) if "variance" in v.path else rng.normal(0, 0.4, v.shape) for v in model.weights
    ]
    model.set_weights(weights)
    return model


def dense(kind="functional", widths=(7, 6), seed=0):
    layers = [K.Dense(w, activation="tanh", name=f"d{k}") for k, w in enumerate(widths)] + [K.Dense(3, name="last")]
    model = keras.Sequential([keras.Input((5,)), *layers]) if kind == "sequential" else _chained((5,), layers)
    return random_weights(model, seed)


def _chained(shape, layers):
    h = inputs = keras.Input(shape)
    for layer in layers:
        h = layer(h)
    return keras.Model(inputs, h)


def convolutional(seed=0):
    layers = [
        K.Conv2D(6, 3, padding="same", name="c0"),
        K.BatchNormalization(name="n0"),
        K.ReLU(),
        K.MaxPooling2D(),
        K.DepthwiseConv2D(3, padding="same", activation="tanh"),
        K.Conv2D(5, 3, activation="tanh", name="c1"),
        K.SpatialDropout2D(0.3),
        K.AveragePooling2D(2),
        K.Flatten(),
        K.Dense(7, activation="tanh", name="d0"),
        K.LayerNormalization(),
        K.Dropout(0.5),
        K.Dense(3, name="last"),
    ]
    return random_weights(_chained((12, 12, 2), layers), seed)


def residual(seed=0, width=6, projected=False):
    inputs = keras.Input((8, 8, 2))
    h = K.Conv2D(width, 3, padding="same", name="stem")(inputs)
    for k in range(2):
        branch = K.Conv2D(width, 3, padding="same", use_bias=False, name=f"a{k}")(h)
        branch = K.Activation("tanh")(K.BatchNormalization(name=f"n{k}")(branch))
        branch = K.Conv2D(width, 3, padding="same", name=f"b{k}")(branch)
        shortcut = K.Conv2D(width, 1, name=f"p{k}")(h) if projected else h
        h = K.Add()([shortcut, branch]) if k else keras.ops.tanh(shortcut + branch)
    h = K.GlobalAveragePooling2D()(h)
    return random_weights(keras.Model(inputs, K.Dense(3, name="last")(h)), seed)


def concatenated(seed=0):
    inputs = keras.Input((5,))
    one, other = K.Dense(4, activation="tanh", name="one")(inputs), K.Dense(6, activation="relu", name="other")(inputs)
    h = K.Dense(5, activation="selu", name="both")(K.Concatenate()([one, other]))
    return random_weights(keras.Model(inputs, K.Dense(3, name="last")(K.Concatenate()([h, one]))), seed)


def shared(seed=0):
    inputs = keras.Input((5,))
    twice = K.Dense(6, activation="tanh", name="twice")
    h = twice(K.Dense(6, activation="tanh", name="first")(inputs))
    return random_weights(keras.Model(inputs, K.Dense(3, name="last")(twice(h))), seed)


def nested(seed=0):
    inner = _chained((6,), [K.Dense(5, activation="tanh", name="d0"), K.Dense(4, name="d1")])
    inputs = keras.Input((5,))
    h = inner(K.Dense(6, activation="tanh", name="d0")(inputs))
    return random_weights(keras.Model(inputs, K.Dense(3, name="last")(h)), seed)


def rare(seed=0):
    """Layers with axes in another order, several groups on one axis, and a gate that ties a group to itself."""
    inputs = keras.Input((8, 8, 2))
    separable = K.SeparableConv2D(4, 3, activation="tanh", name="separable")(K.Rescaling(0.5)(inputs))
    h = K.Concatenate()([separable, K.Conv2D(3, 3, activation="tanh", name="conv")(inputs)])
    h = K.Conv2DTranspose(5, 2, strides=2, activation="tanh", name="transposed")(K.PReLU()(h))
    gate = K.Dense(5, activation="sigmoid", name="gate")(K.GlobalAveragePooling2D(keepdims=True)(h))
    h = K.MaxPooling2D(4)(K.Multiply()([h, gate]))
    h = K.Flatten()(K.Concatenate()([h, K.Reshape((3, 3, 5))(h)]))
    return random_weights(keras.Model(inputs, K.Dense(3, name="last")(h)), seed)


NETS = {
    "rare": rare,
    "dense": dense,
    "sequential": lambda seed=0: dense("sequential", seed=seed),
    "convolutional": convolutional,
    "residual": residual,
    "projected": lambda seed=0: residual(seed, projected=True),
    "concatenated": concatenated,
    "shared": shared,
    "nested": nested,
}
GROUPS = {"dense": 2, "sequential": 2, "convolutional": 3, "residual": 3, "projected": 5, "concatenated": 3,
          "shared": 1, "nested": 3, "rare": 3}  # fmt: skip


def inputs_of(model, n=20):
    return np.random.default_rng(9).normal(size=(n, *model.input_shape[1:])).astype("float32")


def shuffled(model, seed=1):
    """A copy of a net with its units in random order, and the permutations of its groups."""
    channels, rng = channels_of(model), np.random.default_rng(seed)
    orders = channels.identity() | {g: rng.permutation(channels.sizes[g]) for g in channels.free}
    copy = models.copied(model)
    copy.set_weights(channels.permuted(model.get_weights(), orders))
    return copy, orders


@pytest.mark.parametrize("name", NETS)
def test_a_permuted_copy_computes_the_same_and_gives_back_its_permutation(name):
    net = NETS[name]()
    other, orders = shuffled(net)
    x = inputs_of(net)
    assert len(channels_of(net).free) == GROUPS[name]
    wide = measure.as_float64(net), measure.as_float64(other)
    np.testing.assert_allclose(*(model(x).numpy() for model in wide), rtol=1e-9, atol=1e-9)
    alignment = measure.align(net, other)
    assert alignment.converged
    assert alignment.distances[0] > 0.1
    assert alignment.distances[-1] < 1e-6
    assert alignment.moved > 0.5
    for mine, theirs in zip(net.get_weights(), alignment.weights, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    groups = channels_of(other).layers
    for layer, permutation in alignment.permutations.items():  # the inverse: unit order[k] stood at place k
        np.testing.assert_array_equal(orders[groups[layer]][permutation], np.arange(len(permutation)))


def test_a_permuted_copy_in_independent_arithmetic():
    """Nothing of the library's index arithmetic is used: kernels and statistics are shuffled here, by hand."""
    net = _chained((4, 4, 2), [K.Conv2D(5, 3, padding="same", activation="tanh"), K.Flatten(), K.Dense(6), K.ReLU(),
                               K.BatchNormalization(), K.Dense(3)])  # fmt: skip
    random_weights(net, 0)
    c, cb, d, db, gamma, beta, mean, var, e, eb = net.get_weights()
    p, q = np.random.default_rng(2).permutation(5), np.random.default_rng(3).permutation(6)
    rows = d.reshape(16, 5, 6)[:, p].reshape(80, 6)
    other = models.copied(net)
    other.set_weights([c[..., p], cb[p], rows[:, q], db[q], gamma[q], beta[q], mean[q], var[q], e[q], eb])
    x = inputs_of(net)
    np.testing.assert_allclose(net(x), other(x), atol=2e-6)
    for method in METHODS:
        alignment = measure.align(net, other, method=method, x=x)
        first, second = alignment.permutations.values()
        np.testing.assert_array_equal(p[first], np.arange(5))
        np.testing.assert_array_equal(q[second], np.arange(6))
        y = np.argmax(net(x), axis=1)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        profile = measure.line(net, net, alignment.model, loss, x, y, np.linspace(0, 1, 5))
        assert measure.barrier_over_chord(profile.alphas, profile.loss) < 1e-6
        unaligned = measure.line(net, net, other, loss, x, y, np.linspace(0, 1, 5))
        assert measure.barrier_over_chord(unaligned.alphas, unaligned.loss) > 1e-3


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("method", METHODS)
def test_outputs_stay_and_the_models_are_left_as_they_were(name, method):
    a, b = NETS[name](0), NETS[name](1)
    before = [w for model in (a, b) for w in model.get_weights()]
    x = inputs_of(a)
    alignment = measure.align(a, b, method=method, x=x)
    np.testing.assert_allclose(alignment.model(x), b(x), atol=1e-6 * float(np.abs(b(x)).max()) + 1e-6)
    for old, new in zip(before, [w for model in (a, b) for w in model.get_weights()], strict=True):
        np.testing.assert_array_equal(old, new)
    assert alignment.model is not b


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("seed", range(3))
def test_the_distance_never_grows_and_is_that_of_the_weights(name, seed):
    a, b = NETS[name](2 * seed), NETS[name](2 * seed + 1)
    alignment = measure.align(a, b, seed=seed)
    assert (np.diff(alignment.distances) <= 1e-9).all()
    assert alignment.distances[0] == pytest.approx(np.linalg.norm(measure.flat(a) - measure.flat(b)), rel=1e-5)
    after = np.linalg.norm(measure.flat(a) - measure.flat(alignment.model))
    assert alignment.distances[-1] == pytest.approx(after, rel=1e-5)


def every_distance(a, b, group):
    """|a - P(b)| for all permutations of one group, by index arithmetic on the flat weights of permuted copies."""
    channels = channels_of(b)
    trained = {id(v) for v in b.trainable_variables}
    which = [k for k, v in enumerate(b.weights) if id(v) in trained]
    target, weights = a.get_weights(), b.get_weights()
    for order in itertools.permutations(range(channels.sizes[group])):
        moved = channels.permuted(weights, channels.identity() | {group: np.array(order)})
        yield float(np.sqrt(sum(np.sum((target[k] - moved[k]) ** 2, dtype=np.float64) for k in which)))


@pytest.mark.parametrize("width", [2, 5, 7])
def test_one_hidden_layer_reaches_the_least_of_all_permutations(width):
    a, b = (dense(widths=(width,), seed=seed) for seed in (0, 1))
    alignment = measure.align(a, b)
    best = min(every_distance(a, b, channels_of(b).free[0]))
    assert alignment.distances[-1] == pytest.approx(best, rel=1e-6)


def test_two_hidden_layers_reach_the_least_of_all_pairs_of_permutations():
    for seed in range(3):
        a, b = (dense(widths=(4, 5), seed=s) for s in (2 * seed, 2 * seed + 1))
        w, v = a.get_weights(), b.get_weights()
        best = np.inf
        for p, q in itertools.product(itertools.permutations(range(4)), itertools.permutations(range(5))):
            p, q = list(p), list(q)
            other = [v[0][:, p], v[1][p], v[2][p][:, q], v[3][q], v[4][q], v[5]]
            best = min(best, sum(float(np.sum((m - n) ** 2)) for m, n in zip(w, other, strict=True)))
        found = measure.align(a, b, starts=50).distances[-1]
        assert found == pytest.approx(np.sqrt(best), rel=1e-5)


def test_no_permutation_of_one_group_improves_a_converged_chain():
    a, b = convolutional(0), convolutional(1)
    aligned = measure.align(a, b)
    assert aligned.converged
    for group in channels_of(b).free:
        best = min(every_distance(a, aligned.model, group))
        assert best >= aligned.distances[-1] - 1e-5


def test_a_residual_stream_of_few_units_reaches_the_least_of_all_permutations():
    """The stream is on both axes of kernels: a quadratic assignment, which a linear one alone may miss."""
    hits = 0
    for seed in range(4):
        inputs = keras.Input((5,))
        nets = []
        for s in (2 * seed, 2 * seed + 1):
            h = K.Dense(5)(inputs)
            h = K.Add()([h, K.Dense(5, activation="tanh")(h)])
            nets.append(random_weights(keras.Model(inputs, K.Dense(2)(h)), s))
        (group,) = channels_of(nets[1]).free
        best = min(every_distance(*nets, group))
        assert measure.align(*nets, starts=30).distances[-1] == pytest.approx(best, rel=1e-6)
        hits += measure.align(*nets).distances[-1] <= best * (1 + 1e-6)
    assert hits >= 1


def test_more_starts_are_never_worse():
    a, b = dense(seed=3), dense(seed=4)
    distances = [measure.align(a, b, starts=n).distances[-1] for n in (1, 5, 25)]
    assert distances == sorted(distances, reverse=True)


def test_matching_in_random_weights_agrees_with_plain_arithmetic():
    """The products of one layer are W_a W_b^T + the bias + what leaves it: written out."""
    a, b = dense(seed=0, widths=(6,)), dense(seed=1, widths=(6,))
    channels = channels_of(b)
    matching = WeightMatching(channels, a.get_weights(), b.get_weights(), [True] * 4)
    (w, c, v, _), (w2, c2, v2, _) = a.get_weights(), b.get_weights()
    expected = w.T @ w2 + np.outer(c, c2) + v @ v2.T
    np.testing.assert_allclose(matching._products(channels.free[0], channels.identity()), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (lambda: K.LSTM(4, name="memory"), "memory"),
        (lambda: K.Lambda(lambda x: x[..., ::-1], name="reversed"), "reversed"),
        (lambda: K.Conv1D(4, 2, groups=2, name="grouped"), "grouped"),
        (lambda: K.Dense(4, activation=lambda x: x * np.arange(int(x.shape[-1])), name="ramp"), "ramp"),
        (lambda: K.GroupNormalization(2, name="groups"), "groups"),
        (lambda: K.Reshape((4, 3), name="cut"), "cut"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_a_layer_that_cannot_be_followed_is_named_in_one_line(layer, name):
    inputs = keras.Input((3, 2))
    h = layer()(K.Dense(4, name="before")(inputs))
    net = keras.Model(inputs, K.Dense(2)(h))
    with pytest.raises(UserError, match=f"layer '{name}' cannot be aligned") as caught:
        measure.align(net, net)
    assert "\n" not in str(caught.value)


def test_other_models_and_wrong_arguments_are_refused():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.layer = K.Dense(2)

        def call(self, x):
            return self.layer(x)

    own = Own()
    own(np.zeros((1, 3), "float32"))
    net = dense()
    for arguments, options, why in (
        ((own, own), {}, "code of its own"),
        ((net, dense(widths=(7, 5))), {}, "differ in layers, wiring or shapes"),
        ((net, net), {"method": "guess"}, "`method` 'guess' is unknown"),
        ((net, net), {"method": "activations"}, "`x` is missing"),
        ((net, net), {"method": "activations", "x": np.zeros((3, 4))}, "cannot be called on x"),
        ((net, net), {"starts": 0}, "`starts` 0 must be positive"),
        ((net, net), {"sweeps": 0}, "`sweeps` 0 must be positive"),
    ):
        with pytest.raises(UserError, match=why) as caught:
            measure.align(*arguments, **options)
        assert "\n" not in str(caught.value)


def test_channels_that_are_not_permuted():
    """Inputs, outputs, and what a sum ties to them, keep their order."""
    inputs = keras.Input((5,))
    tied = K.Add()([inputs, K.Dense(5, name="tied")(inputs)])
    net = random_weights(keras.Model(inputs, K.Dense(3)(tied)), 0)
    assert channels_of(net).free == ()
    alignment = measure.align(net, random_weights(models.copied(net), 1))
    assert alignment.permutations == {}
    assert np.isnan(alignment.moved)
    whitened = K.Normalization(mean=[0.0] * 4, variance=[1.0, 2, 3, 4], name="constants")
    net = _chained((5,), [K.Dense(4, name="fixed"), whitened, K.Dense(4, name="free", activation="relu"), K.Dense(2)])
    assert list(channels_of(net).layers) == ["free"]


def test_units_of_other_scale_are_matched_by_correlation_not_by_distance():
    """ReLU units can be rescaled: correlation does not see the scale, inner products do."""
    a = random_weights(_chained((5,), [K.Dense(6, activation="relu", name="h"), K.Dense(3)]), 0)
    w, c, v, d = a.get_weights()
    scale = np.array([30.0, 0.01, 1.0, 5.0, 0.1, 12.0])
    order = np.array([3, 1, 5, 0, 2, 4])
    b = models.copied(a)
    b.set_weights([(w * scale)[:, order], (c * scale)[order], (v / scale[:, None])[order], d])
    x = inputs_of(a, 200)
    found = measure.align(a, b, method="correlation", x=x).permutations["h"]
    np.testing.assert_array_equal(order[found], np.arange(6))


@pytest.mark.parametrize("method", ["activations", "correlation"])
def test_chunks_are_as_large_as_activations_allow_and_keep_their_precision(method, monkeypatch):
    """With room for the activations of 20 examples of two nets, not a gigabyte; the permutations are the same."""
    from dlhw.measure import activation_matching
    from dlhw.models import activations

    a, b, sizes = convolutional(), convolutional(1), []
    x = inputs_of(a, 64)
    expected = measure.align(a, b, method=method, x=x).permutations
    monkeypatch.setattr(activations, "_BUDGET", 2 * 20 * activations.activation_bytes(b))
    monkeypatch.setattr(activation_matching, "BLOCK", 100)
    seen = activation_matching._inputs

    def watched(model, readers, chunk):
        held = seen(model, readers, chunk)
        assert all(z.dtype == np.float32 for z in held)
        assert sum(z.nbytes for z in held) <= len(chunk) * activations.activation_bytes(b)
        sizes.append(len(chunk))
        return held

    monkeypatch.setattr(activation_matching, "_inputs", watched)
    for batch_size, wanted in ((BATCH, {16}), (64, {64})):
        sizes.clear()
        found = measure.align(a, b, method=method, x=x, batch_size=batch_size).permutations
        assert set(sizes) == wanted
        assert found.keys() == expected.keys()
        for name, order in found.items():
            np.testing.assert_array_equal(order, expected[name])


def test_batch_norm_is_reset_on_data():
    """Mean and variance of what enters the layer, by NumPy; and the interpolated net is then normalized."""
    x = RNG.normal(2.0, 3.0, size=(60, 5)).astype("float32")
    net = random_weights(_chained((5,), [K.Dense(4), K.BatchNormalization(name="norm"), K.Dense(2)]), 0)
    before = net.get_weights()
    measure.reset_batch_norm(net, x, batch_size=17)
    after = net.get_weights()
    enters = x @ before[0] + before[1]
    norm = net.get_layer("norm")
    np.testing.assert_allclose(norm.moving_mean, enters.mean(0), rtol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, enters.var(0), rtol=1e-4)
    for variable, old, new in zip(net.weights, before, after, strict=True):
        if "moving" not in variable.path:
            np.testing.assert_array_equal(old, new)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    y = RNG.integers(0, 2, 60)
    value = measure.Objective(net, loss, x, y).value().loss
    profile = measure.line(net, net, before, loss, x, y, [0.5], batch_norm="recompute", batch_size=60)
    np.testing.assert_allclose(profile.loss, value, rtol=1e-4)


@pytest.mark.parametrize("batch_size", [5, 64])
def test_batch_norm_is_reset_on_what_a_mask_lets_through(batch_size):
    """Sequences of unequal length, those of the last chunk all short: NumPy over the steps that count."""
    rng = np.random.default_rng(3)
    x = rng.normal(2.0, 1.0, size=(12, 4, 2)).astype("float32")
    lengths = np.array([4, 4, 4, 3, 4, 2, 1, 1, 2, 1, 1, 1])
    x *= (1 + np.arange(12))[:, None, None]  # short ones are large
    x[np.arange(4) >= lengths[:, None]] = 0
    norm = K.BatchNormalization()
    net = keras.Sequential([keras.Input((4, 2)), K.Masking(), norm, K.Dense(1)])
    measure.reset_batch_norm(net, x, batch_size=batch_size)
    steps = x[np.arange(4) < lengths[:, None]]
    np.testing.assert_allclose(norm.moving_mean, steps.mean(0), rtol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, steps.var(0), rtol=1e-4)
    with pytest.raises(UserError, match="mask excludes every example"):
        measure.reset_batch_norm(net, 0 * x)


def test_frozen_batch_norm_keeps_its_statistics():
    """As in training, where Keras runs it in inference mode; a layer behind it is reset on what it lets through."""
    frozen, other = K.BatchNormalization(trainable=False), K.BatchNormalization()
    net = keras.Sequential([keras.Input((2,)), frozen, other, K.Dense(1)])
    frozen.moving_mean.assign([1.0, 2.0])
    frozen.moving_variance.assign([4.0, 9.0])
    x = np.random.default_rng(0).normal(size=(30, 2))
    measure.reset_batch_norm(net, x, batch_size=7)
    np.testing.assert_array_equal(frozen.moving_mean, [1.0, 2.0])
    np.testing.assert_array_equal(frozen.moving_variance, [4.0, 9.0])
    enters = (x - [1.0, 2.0]) / np.sqrt([4.001, 9.001])
    np.testing.assert_allclose(other.moving_mean, enters.mean(0), rtol=1e-4)
    np.testing.assert_allclose(other.moving_variance, enters.var(0), rtol=1e-4)


def test_weights_that_are_not_finite_are_refused():
    a, b = dense(), dense(seed=1)
    b.layers[-1].bias.assign(np.full(3, np.nan))
    with pytest.raises(UserError, match="weights that are not finite"):
        measure.align(a, b)
