"""What is measured on the probe of a watched training.

Oracles: `model.evaluate`, activations written out in NumPy, layers whose units are dead or saturated by construction,
the Hessian of a linear model, the instruments of `dlhw.measure`; and the same model untouched: every variable and every
generator of random numbers bit for bit, and the training that follows. Would miss: what a GPU does otherwise.
"""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import dlhw  # noqa: F401  (sets KERAS_BACKEND)
from dlhw import measure
from dlhw.errors import UserError
from dlhw.watch.probes.nonfinite import nonfinite_layer
from dlhw.watch.probes.probe import Prober
from dlhw.watch.spec import MEASURES

import keras  # isort: skip

L = keras.layers
RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(150, 5)).astype("f"), RNG.integers(0, 3, 150)
IMAGES = RNG.normal(size=(150, 6, 6, 2)).astype("f")
TOKENS = RNG.integers(0, 20, (150, 7))


def compiled(model, loss="sparse_categorical_crossentropy", **more):
    model.compile("adam", loss, **more)
    return model


def prober(model, x=X, y=LABELS, measures=MEASURES, functions=None):
    notes = []
    probe = Prober(model, x, y, measures, functions or {}, notes.append)
    probe.check()
    probe.notes = notes
    return probe


def noisy():
    """Layers that draw random numbers, or hold statistics, in training."""
    keras.utils.set_random_seed(0)
    return compiled(
        keras.Sequential(
            [
                keras.Input((5,)),
                L.Dense(8, "relu"),
                L.BatchNormalization(),
                L.Dropout(0.5),
                L.GaussianNoise(0.3),
                L.Dense(6, "tanh", kernel_regularizer="l2"),
                L.Dense(3, "softmax"),
            ]
        ),
        metrics=["accuracy"],
    )


def bits(model):
    """Everything that a measurement could change."""
    keras.random.SeedGenerator()  # draws from Python's generator, as layers do when they are made
    variables = [v.numpy().tobytes() for v in (*model.variables, *model.optimizer.variables, *model.metrics_variables)]
    return variables


def generators():
    keras_state = keras.src.backend.common.global_state.get_global_attribute("global_seed_generator")
    return (
        random.getstate(),
        [np.asarray(part).tobytes() for part in np.random.get_state()],
        tf.random.get_global_generator().state.numpy().tobytes(),
        None if keras_state is None else keras_state.state.numpy().tobytes(),
    )


def test_nothing_is_changed_bit_for_bit():
    def disturb(model, probe):
        random.random()
        np.random.random()
        keras.random.normal(())
        tf.random.get_global_generator().normal(())
        model.evaluate(*probe, verbose=0)  # resets the metrics
        model.layers[0].kernel.assign(model.layers[0].kernel * 2)
        return tf.random.normal(())

    model = noisy()
    model.fit(X, LABELS, epochs=1, verbose=0)
    keras.random.normal(())  # there is a global generator
    probe = prober(model, functions={"disturb": disturb})
    before, numbers = bits(model), generators()
    probe = prober(model, functions={"disturb": disturb})
    numbers = generators()
    row = probe.measure()
    assert generators() == numbers
    assert bits(model) == before
    assert np.isfinite(row.functions).all()
    assert nonfinite_layer(model, X) == ""
    assert bits(model) == before
    assert all("call" not in vars(layer) for layer in model.layers)


def test_the_training_that_follows_is_the_same():
    def train(measured):
        model = noisy()
        tf.random.set_seed(5)
        history = []
        for _ in range(3):
            if measured:
                prober(model).measure()
            history.append(model.fit(X, LABELS, epochs=1, batch_size=32, verbose=0).history)
            history.append(tf.random.normal((2,)).numpy().tolist())  # the eager seeds of TensorFlow
        return history, [w.tobytes() for w in model.get_weights()]

    assert train(True) == train(False)


def test_loss_and_accuracy_are_those_of_evaluate():
    model = noisy()
    row = prober(model, measures=("loss",)).measure()
    loss, accuracy = model.evaluate(X, LABELS, batch_size=150, verbose=0)
    assert row.loss == pytest.approx(loss, rel=1e-5)
    assert row.accuracy == pytest.approx(accuracy, rel=1e-6)
    assert np.isnan([row.sensitivity, row.sharpness, row.noise_scale]).all()
    assert row.weights is None


@pytest.mark.parametrize(
    ("last", "loss", "y", "metric"),
    [
        (L.Dense(1, "sigmoid"), "binary_crossentropy", LABELS > 0, "binary_accuracy"),
        (L.Dense(1), keras.losses.BinaryCrossentropy(from_logits=True), (LABELS > 0) * 1, None),
        (L.Dense(3, "softmax"), "categorical_crossentropy", np.eye(3)[LABELS], "categorical_accuracy"),
        (L.Dense(3), keras.losses.SparseCategoricalCrossentropy(True), LABELS * 1.0, "sparse_categorical_accuracy"),
        (L.Dense(1), "mse", RNG.normal(size=(150, 1)), None),
        (L.Dense(1), "mse", LABELS[:, None], None),
    ],
)
def test_accuracy_where_targets_are_classes(last, loss, y, metric):
    model = compiled(keras.Sequential([keras.Input((5,)), last]), loss, metrics=[metric] if metric else [])
    row = prober(model, y=y, measures=("loss",)).measure()
    values = model.evaluate(X, y, batch_size=150, verbose=0, return_dict=True)
    assert row.loss == pytest.approx(values["loss"], rel=1e-5)
    if metric:
        assert row.accuracy == pytest.approx(values[metric], rel=1e-6)
    elif "inary" in str(loss):
        assert row.accuracy == pytest.approx(np.mean((model.predict(X, verbose=0)[:, 0] > 0) == y))
    else:
        assert np.isnan(row.accuracy)


def test_several_inputs_and_outputs_have_the_loss_of_evaluate_and_the_others_are_noted():
    a, b = keras.Input((5,), name="a"), keras.Input((5,), name="b")
    h = L.Dense(4, "relu", name="h")(L.Concatenate()([a, b]))
    model = keras.Model([a, b], [L.Dense(3, "softmax", name="p")(h), L.Dense(1, "sigmoid", name="q")(h)])
    compiled(model, ["sparse_categorical_crossentropy", "binary_crossentropy"], loss_weights=[1.0, 0.3])
    y = [LABELS, (LABELS > 1) * 1]
    probe = prober(model, [X, 2 * X], y)
    row = probe.measure()
    assert row.loss == pytest.approx(model.evaluate([X, 2 * X], y, batch_size=150, verbose=0)[0], rel=1e-5)
    assert probe.unit_layers[0] == "h"
    assert set(probe.unit_layers) == {"h", "p", "q"}
    assert row.dead[0] == np.mean((np.maximum(np.hstack([X, 2 * X]) @ h_kernel(model), 0) == 0).all(0))
    assert np.isnan(row.saturated).all()  # q is an output
    assert np.isnan([row.sensitivity, row.sharpness, row.noise_scale]).all()
    assert sorted(note.split(": ")[1].split(",")[0] for note in probe.notes) == ["noise", "sensitivity", "sharpness"]
    count = len(probe.notes)
    probe.measure()
    assert len(probe.notes) == count  # once


def h_kernel(model):
    return model.get_layer("h").get_weights()[0]


def test_a_loss_of_the_users_is_measured_by_it():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = L.Dense(3)

        def call(self, x):
            return self.dense(x)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return tf.reduce_mean(tf.square(y_pred)) + 1.0

    model = Own()
    model(X)
    compiled(model)
    row = prober(model, measures=("loss",)).measure()
    assert row.loss == pytest.approx(np.mean(model.predict(X, verbose=0) ** 2) + 1, rel=1e-5)


def dead_net(activation):
    """Of eight units two are off, two always on, four both; of the next layer half are saturated."""
    model = keras.Sequential([keras.Input((5,)), L.Dense(8, activation, name="one"), L.Dense(4, "tanh", name="two")])
    model.add(L.Dense(3, "softmax", name="three"))
    w, b = RNG.normal(size=(5, 8)), np.zeros(8)
    w[:, :2], b[:2] = 0, -3.0
    w[:, 2:4], b[2:4] = 0.001 * w[:, 2:4], 5.0
    scale = np.array([100.0, 100.0, 0.001, 0.001])
    second = RNG.uniform(0.5, 1, (8, 4)) * scale
    model.set_weights([w, b, second, np.zeros(4), RNG.normal(size=(4, 3)), np.zeros(3)])
    return compiled(model)


def test_dead_and_saturated_units_are_those_of_the_construction():
    model = dead_net("relu")
    probe = prober(model, measures=("units",))
    row = probe.measure()
    assert probe.unit_layers == tuple(f"{model.name}/{n}" for n in ("one", "two", "three"))
    assert probe.unit_counts == (8, 4, 3)
    np.testing.assert_array_equal(row.dead, [0.25, np.nan, np.nan])
    h = np.maximum(X @ model.get_weights()[0] + model.get_weights()[1], 0)
    a = np.tanh(h @ model.get_weights()[2])
    np.testing.assert_array_equal(row.saturated, [np.nan, np.mean(np.abs(a) > 0.99), np.nan])
    assert row.saturated[1] == pytest.approx(0.5, abs=0.01)
    assert np.isnan(row.loss)


@pytest.mark.parametrize("activation", ["gelu", "silu", "elu", "leaky_relu", "relu6", "selu"])
def test_units_of_smooth_activations_are_dead_where_their_output_is_constant(activation):
    row = prober(dead_net(activation), measures=("units",)).measure()
    assert row.dead[0] == pytest.approx(0.25)  # the two whose weights are 0


def test_one_example_tells_nothing_of_constant_outputs():
    row = prober(dead_net("gelu"), X[:1], LABELS[:1], measures=("units",)).measure()
    assert np.isnan(row.dead[0])


class Block(L.Layer):
    """A layer of layers, and an activation that it calls as a function."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = L.Dense(4, "relu", name="inner")
        self.outer = L.Dense(4, name="outer")

    def call(self, x):
        return tf.nn.tanh(self.outer(self.inner(x)))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.block = Block(name="block")
        self.act = L.Activation("sigmoid", name="act")
        self.head = L.Dense(3, name="head")

    def call(self, x):
        return tf.nn.softmax(self.head(self.act(self.block(x))))


def test_layers_of_a_subclassed_model_are_seen_and_named_like_their_weights():
    model = Subclassed()
    model(X)
    probe = prober(compiled(model), measures=("units", "loss"))
    row = probe.measure()
    inner = next(v.path for v in model.trainable_variables if "inner/kernel" in v.path).removesuffix("/kernel")
    assert probe.unit_layers[0] == inner
    assert probe.unit_layers[1].endswith("act")
    assert row.loss == pytest.approx(model.evaluate(X, LABELS, batch_size=150, verbose=0), rel=1e-5)


def test_a_shared_layer_is_dead_only_where_it_is_in_all_calls():
    a, b = keras.Input((2,)), keras.Input((2,))
    shared = L.Dense(2, "relu", name="shared")
    model = keras.Model([a, b], L.Dense(1)(L.Add()([shared(a), shared(b)])))
    shared.set_weights([np.diag([1.0, -1.0]), np.zeros(2)])
    x = np.abs(RNG.normal(size=(20, 2)))
    both = prober(compiled(model, "mse"), [x, x], np.zeros(20), measures=("units",)).measure()
    other = prober(model, [x, -x], np.zeros(20), measures=("units",)).measure()
    assert both.dead[0] == 0.5
    assert other.dead[0] == 0


def test_channels_are_units_and_nested_models_and_wrappers_are_seen():
    inner = keras.Sequential([keras.Input((6, 6, 2)), L.Conv2D(4, 3, name="conv"), L.ReLU(name="act")], name="inner")
    inputs = keras.Input((6, 6, 2))
    h = L.Reshape((4, 16))(inner(inputs))
    h = L.TimeDistributed(L.Dense(5, "sigmoid", name="dense"))(h)
    h = L.SimpleRNN(3, "relu", name="rnn")(L.LSTM(4, return_sequences=True)(h))
    model = compiled(
        keras.Model(inputs, L.Dense(3)(keras.ops.relu(h))), keras.losses.SparseCategoricalCrossentropy(True)
    )
    kernel, bias = inner.get_layer("conv").get_weights()
    kernel[..., 1], bias[1] = 0, -1
    inner.get_layer("conv").set_weights([kernel, bias])
    probe = prober(model, IMAGES, measures=("units", "loss"))
    row = probe.measure()
    names = [name.rsplit("/", 1)[-1] for name in probe.unit_layers]
    assert names[:2] == ["act", "dense"]
    assert "rnn" in probe.unit_layers[2]
    assert len(names) == 4  # and the operation; no gates
    assert probe.unit_counts == (4, 5, 3, 3)
    assert row.dead[0] == 0.25
    assert np.isnan(row.dead[1])
    hidden = keras.Model(inputs, model.get_layer("rnn").output).predict(IMAGES, verbose=0)
    np.testing.assert_allclose(row.dead[2:], np.mean((hidden == 0).all(0)))


def test_sharpness_is_the_largest_eigenvalue_of_the_hessian():
    """Of a linear model with the squared error: 2 / n X^T X."""
    model = compiled(keras.Sequential([keras.Input((5,)), L.Dense(1, use_bias=False)]), "mse")
    row = prober(model, y=LABELS[:, None], measures=("sharpness",)).measure()
    exact = np.linalg.eigvalsh(2 * X.T.astype(float) @ X / len(X))[-1]
    assert row.sharpness == pytest.approx(exact, rel=1e-3)


def test_instruments_give_their_numbers_at_the_weights_of_the_time():
    model = noisy()
    probe = prober(model, measures=("sensitivity", "noise", "weights"))
    for _ in range(2):
        row = probe.measure()
        loss = "sparse_categorical_crossentropy"
        assert row.sensitivity == pytest.approx(measure.sensitivity(model, loss, X, LABELS).mean, rel=1e-5)
        order = np.random.default_rng(0).permutation(150)
        scale = measure.gradient_noise_scale(model, None, X[order], LABELS[order])
        assert row.noise_scale == pytest.approx(scale.value, rel=1e-4)
        np.testing.assert_array_equal(row.weights, measure.flat(model))
        measure.assign(model, measure.flat(model) * 1.3)


def test_what_is_refused_is_nan_and_noted_once():
    inputs = keras.Input((7,), dtype="int32")
    model = keras.Model(inputs, L.Dense(3, "softmax")(L.LSTM(4)(L.Embedding(20, 5)(inputs))))
    probe = prober(compiled(model), TOKENS, functions={"broken": lambda m, p: 1 / 0, "array": lambda m, p: X})
    rows = [probe.measure() for _ in range(2)]
    for row in rows:
        assert np.isnan([row.sensitivity, *row.functions]).all()
        assert np.isfinite([row.loss, row.noise_scale, row.accuracy]).all()
    assert len(probe.notes) == len(set(probe.notes))
    assert any("floats" in note for note in probe.notes)
    assert any("ZeroDivisionError" in note for note in probe.notes)
    assert all("\n" not in note for note in probe.notes)


def test_a_layer_that_fails_is_left_as_it_was():
    class Failing(L.Layer):
        broken = False

        def call(self, x):
            if self.broken:
                raise RuntimeError("no")
            return x

    layer = Failing()
    model = compiled(keras.Sequential([keras.Input((5,)), L.Dense(4, "relu"), layer, L.Dense(3, "softmax")]))
    probe = prober(model)
    Failing.broken = True
    row = probe.measure()
    assert np.isnan([row.loss, row.sharpness, *row.dead]).all()
    assert row.dead.shape == row.saturated.shape == (2,)
    assert all("call" not in vars(one) for one in model.layers)


def test_layers_in_a_function_that_the_model_compiles_are_noted():
    class Compiled(keras.Model):
        def __init__(self):
            super().__init__()
            self.one, self.two = L.Dense(4, "relu"), L.Dense(3, "softmax")

        @tf.function
        def call(self, x):
            return self.two(self.one(x))

    model = Compiled()
    model(X)
    probe = prober(compiled(model), measures=("loss", "units"))
    assert probe.unit_layers == ()
    assert len(probe.notes) == 2
    assert all("compiles itself" in note for note in probe.notes)
    loss = model.evaluate(X, LABELS, batch_size=150, verbose=0)
    assert probe.measure().loss == pytest.approx(loss, rel=1e-5)


def test_whole_numbers_are_taken_as_the_model_takes_them():
    model = noisy()
    x = RNG.integers(0, 9, (150, 5)).astype("uint8")
    row = prober(model, x, measures=("sensitivity",)).measure()
    loss = "sparse_categorical_crossentropy"
    assert row.sensitivity == pytest.approx(measure.sensitivity(model, loss, x.astype("f"), LABELS).mean, rel=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_other_precisions(policy):
    dtype = keras.DTypePolicy(policy)
    inputs = keras.Input((5,), dtype="float64" if policy == "float64" else "float32")
    model = keras.Model(inputs, L.Dense(3, "softmax", dtype=dtype)(L.Dense(8, "relu", dtype=dtype)(inputs)))
    compiled(model)
    before = [w.tobytes() for w in model.get_weights()]
    probe = prober(model)
    row = probe.measure()
    assert row.loss == pytest.approx(model.evaluate(X, LABELS, batch_size=150, verbose=0), rel=2e-3)
    kernel, bias = (np.asarray(w, float) for w in model.get_weights()[:2])
    h = np.maximum(X @ kernel + bias, 0)
    assert row.dead[0] == np.mean((h == 0).all(0))
    assert [w.tobytes() for w in model.get_weights()] == before
    assert np.isfinite(row.sharpness) or any("sharpness" in note for note in probe.notes)


@pytest.mark.slow
def test_replicas_are_measured_and_train_on_as_before():
    """In a process of its own: the number of devices is set before TensorFlow starts."""
    done = subprocess.run([sys.executable, "-c", REPLICAS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["same", "finite"]


REPLICAS = """
import dlhw, keras, numpy as np, tensorflow as tf
devices = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
from dlhw.watch.probes.probe import Prober
from dlhw.watch.spec import MEASURES
rng = np.random.default_rng(0)
x, y = rng.normal(size=(64, 5)).astype("f"), rng.integers(0, 3, 64)
class Measure(keras.callbacks.Callback):
    rows, notes = [], []
    def on_epoch_end(self, epoch, logs=None):
        prober = Prober(self.model, x, y, MEASURES, {}, self.notes.append)
        prober.check()
        self.rows.append(prober.measure())
results = []
for callbacks in ([], [Measure()]):
    keras.utils.set_random_seed(0)
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        layers = keras.layers
        parts = [layers.Dense(8, "relu"), layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(3, "softmax")]
        model = keras.Sequential([keras.Input((5,)), *parts])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, epochs=2, batch_size=16, verbose=0, callbacks=callbacks).history
    results.append((history, [w.tobytes() for w in model.get_weights()]))
print("same" if results[0] == results[1] else "other")
row = Measure.rows[-1]
numbers = [row.loss, row.accuracy, row.sensitivity, row.sharpness, row.noise_scale, row.dead[0]]
print("finite" if np.isfinite(numbers).all() and not Measure.notes else Measure.notes)
"""


def test_weights_of_large_models_are_not_stored():
    model = compiled(
        keras.Sequential([keras.Input((5,)), L.Embedding(1, 1), L.Flatten(), L.Dense(200_001, "relu")]), "mse"
    )
    x = np.zeros((4, 5), int)
    probe = prober(model, x, np.zeros((4, 200_001)), measures=("weights",))
    assert probe.measure().weights is None
    assert "1,000,000" in probe.notes[0]


def test_no_probe_measures_nothing():
    probe = prober(noisy(), None, None)
    row = probe.measure()
    assert np.isnan([row.loss, row.sharpness, row.noise_scale]).all()
    assert (probe.examples, probe.unit_layers, row.dead.shape, probe.notes) == (0, (), (0,), [])


@pytest.mark.parametrize(
    ("x", "y", "text"),
    [
        (X[:, :3], LABELS, "cannot be called on the inputs of the probe"),
        (X, LABELS[:20], "150 inputs and 20 targets"),
        (X[:0], LABELS[:0], "at least one"),
        (np.where(X > 2, np.nan, X), LABELS, "not finite"),
        (X, np.eye(4)[LABELS], "do not go with the outputs"),
        (None, LABELS, "no inputs"),
        ("x", LABELS, "inputs of the probe"),
    ],
)
def test_a_probe_that_does_not_fit_is_refused_in_one_line(x, y, text):
    with pytest.raises(UserError, match=text) as caught:
        prober(noisy(), x, y)
    assert "\n" not in str(caught.value)


def test_names_of_functions_are_checked():
    for functions in ({"": len}, {"loss": len}, {"f": 3}, {2: len}):
        with pytest.raises(UserError, match="`functions`"):
            prober(noisy(), functions=functions)
    with pytest.raises(UserError, match="`measures`"):
        prober(noisy(), measures=("loss", "speed"))


def test_a_model_that_is_not_called_measures_functions_only():
    class Pair(keras.Model):
        def __init__(self):
            super().__init__()
            self.one = L.Dense(2)
            self.built = True

    model = Pair()
    model.one.build((None, 5))
    model.compile("adam")
    probe = prober(model, functions={"size": lambda m, p: len(p[0])})
    row = probe.measure()
    assert row.functions.tolist() == [150]
    assert np.isnan(row.loss)
    assert "cannot be called" in probe.notes[0]


def test_the_first_layer_that_is_not_finite_is_named():
    model = noisy()
    assert nonfinite_layer(model, X) == ""
    weights = model.get_weights()
    dense = model.layers[4]
    dense.kernel.assign(dense.kernel * np.float32(1e30))
    dense.kernel.assign(dense.kernel * np.float32(1e30))  # inf
    assert nonfinite_layer(model, X) == dense.kernel.path.removesuffix("/kernel")
    model.set_weights(weights)
    inner = Subclassed()
    inner(X)
    kernel = inner.block.outer.kernel
    kernel.assign(kernel * np.nan)
    assert nonfinite_layer(inner, X) == kernel.path.removesuffix("/kernel")
    assert nonfinite_layer(inner, X[:, :2]) == ""
