"""The engine against independent oracles.

- NumPy, one step and fifty, gradients written by hand: would miss an error in nets deeper than two layers.
- keras.optimizers and model.fit on the same weights: would miss an error that Keras shares.
- The uncompiled step against every compiled path in float64 (relative 1e-9): would miss an error in the step itself.
- Central finite differences in float64: error bound h^2 |f'''|/6 + eps |f|/h; would miss errors under 1e-6.
"""

from __future__ import annotations

import re
import threading

import numpy as np
import pytest

from dlhw.checkpoints import MemoryCheckpoints
from dlhw.choices import WITH_MOMENTUM
from dlhw.datasets.functions import sample
from dlhw.errors import UserError
from dlhw.measure import gradient_norm
from dlhw.models import initial_weights, mlp
from dlhw.models.architectures import parse
from dlhw.training import OPTIMIZERS, Trainer, as_optimizer, fit, fit_many, optimizer, use_xla
from dlhw.training.full_batch import ChunkSize

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")
X = np.linspace(-1, 1, 40)[:, None]
IN_KERAS = [name for name in OPTIMIZERS if name != "sam"]
Y = sample("sinc", X[:, 0])[:, None]


def rule(name="sgd", rate=0.01, momentum=0.9):
    # rmsprop moves every weight by about the rate, however small the gradient: at 0.01 it jumps to and fro over the
    # minimum, and rounding grows tenfold in ten steps.
    used = momentum if name in WITH_MOMENTUM else 0.0
    return optimizer(name, rate / 10 if name == "rmsprop" else rate, used)


def weights_of(model):
    return np.concatenate([w.ravel() for w in model.get_weights()])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "activation"), [*((name, "tanh") for name in OPTIMIZERS), ("sgd", "relu")])
def test_every_compiled_path_equals_the_plain_step_in_float64(name, activation):
    nets = [mlp((7, 5), activation=activation, seed=3, dtype="float64") for _ in range(3)]
    plain = fit(nets[0], X, Y, steps=60, optimizer=rule(name), compiled=False)
    single = fit(nets[1], X, Y, steps=60, optimizer=rule(name), chunk=25)
    (many,) = fit_many([nets[2]], X, Y, steps=60, optimizer=rule(name), gradient_norm=True, chunk=25)
    # From three nets on the products of a stack are others.
    stack = [mlp((7, 5), activation=activation, seed=s, dtype="float64") for s in (9, 3, 8)]
    _, among, _ = fit_many(stack, X, Y, steps=60, optimizer=rule(name), gradient_norm=True, chunk=25, workers=1)
    for other, net in [(single, nets[1]), (many, nets[2]), (among, stack[1])]:
        np.testing.assert_allclose(other.loss, plain.loss, rtol=1e-9)
        np.testing.assert_allclose(other.gradient_norm, plain.gradient_norm, rtol=1e-9)
        np.testing.assert_allclose(other.layer_gradient_norms, plain.layer_gradient_norms, rtol=1e-9)
        np.testing.assert_allclose(weights_of(net), weights_of(nets[0]), rtol=1e-9, atol=1e-12)


def test_the_stack_is_close_to_the_plain_step_in_float32():
    nets = [mlp((7, 5), seed=3) for _ in range(2)]
    plain = fit(nets[0], X, Y, steps=60, optimizer=rule(), compiled=False)
    (many,) = fit_many([nets[1]], X, Y, steps=60, optimizer=rule(), gradient_norm=True)
    np.testing.assert_allclose(many.loss, plain.loss, rtol=1e-4)
    np.testing.assert_allclose(many.gradient_norm, plain.gradient_norm, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_KERAS)
def test_the_optimizers_equal_those_of_keras_for_fifty_steps_of_model_fit(name, keras_optimizer):
    ours, reference = (mlp((6, 4), activation="tanh", seed=1) for _ in range(2))
    (history,) = fit_many([ours], X, Y, steps=50, optimizer=rule(name))
    reference.compile(keras_optimizer(name, rule(name).learning_rate), "mse")
    fitted = reference.fit(X, Y, batch_size=len(X), epochs=50, shuffle=False, verbose=0)
    np.testing.assert_allclose(history.loss[:-1], fitted.history["loss"], rtol=2e-4)
    np.testing.assert_allclose(weights_of(ours), weights_of(reference), rtol=2e-3, atol=2e-5)


def test_one_hidden_layer_by_hand_in_numpy():
    w1, b1, w2, b2 = (w.astype(np.float64) for w in initial_weights((1, 6, 1), init="torch", seed=5))
    model = mlp((6,), activation="tanh", seed=5, dtype="float64")
    (history,) = fit_many([model], X, Y, steps=50, optimizer=rule(), gradient_norm=True)
    velocity = [np.zeros_like(w) for w in (w1, b1, w2, b2)]
    for k in range(50):
        h = np.tanh(X @ w1 + b1)
        error = h @ w2 + b2 - Y
        assert history.loss[k] == pytest.approx(np.mean(error**2), rel=1e-9)
        d = 2 * error / len(X)
        back = d @ w2.T * (1 - h**2)
        gradients = [X.T @ back, back.sum(0), h.T @ d, d.sum(0)]
        squares = [np.sum(g**2) for g in gradients]
        assert history.gradient_norm[k] == pytest.approx(np.sqrt(sum(squares)), rel=1e-9)
        layers = np.sqrt([squares[0] + squares[1], squares[2] + squares[3]])
        np.testing.assert_allclose(history.layer_gradient_norms[k], layers, rtol=1e-9)
        velocity = [0.9 * v - 0.01 * g for v, g in zip(velocity, gradients, strict=True)]
        w1, b1, w2, b2 = (w + v for w, v in zip((w1, b1, w2, b2), velocity, strict=True))
    np.testing.assert_allclose(weights_of(model), np.concatenate([w.ravel() for w in (w1, b1, w2, b2)]), rtol=1e-9)


def test_the_gradient_of_a_linear_net_is_the_closed_form():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 3)).astype("f"), rng.normal(size=(20, 1)).astype("f")
    w, b = model.get_weights()
    error = x @ w + b - y
    expected = np.sqrt(np.sum((2 * x.T @ error / 20) ** 2) + np.sum((2 * error.mean(0)) ** 2))
    total, layers = gradient_norm(model, "mse", x, y)
    assert total == pytest.approx(expected, rel=1e-5)
    assert np.sum(layers**2) == pytest.approx(total**2, rel=1e-5)


def test_the_gradient_norm_agrees_with_central_differences_in_float64():
    model = mlp((4, 3), activation="tanh", seed=2, dtype="float64")
    total, _ = gradient_norm(model, "mse", X, Y)
    weights, h, slopes = model.get_weights(), 1e-5, []

    def loss():
        return float(np.mean((np.asarray(model(X)) - Y) ** 2))

    for tensor in weights:
        for at in np.ndindex(tensor.shape):
            start, ends = tensor[at], []
            for step in (h, -h):
                tensor[at] = start + step
                model.set_weights(weights)
                ends.append(loss())
            tensor[at] = start
            slopes.append((ends[0] - ends[1]) / (2 * h))
    assert total == pytest.approx(np.linalg.norm(slopes), rel=1e-7)


@pytest.mark.slow
def test_a_net_is_the_same_alone_and_in_a_stack_of_others():
    def train(seeds, workers):
        nets = [mlp((8, 4), seed=s) for s in seeds]
        return fit_many(nets, X, Y, steps=120, optimizer=rule(), chunk=50, workers=workers)

    together = train([0, 1, 2, 3, 4], 1)
    split = train([0, 1, 2, 3, 4], 2)
    for s in range(5):
        (alone,) = train([s], 1)
        np.testing.assert_allclose(together[s].loss, alone.loss, rtol=1e-4)
        np.testing.assert_allclose(split[s].loss, alone.loss, rtol=1e-4)
    assert not np.allclose(together[0].loss, together[1].loss)


def test_nets_of_different_shapes_come_back_in_order_with_their_own_weights():
    widths = [(3,), (5, 2), (3,), (4,)]
    nets = [mlp(w, seed=k) for k, w in enumerate(widths)]
    histories = fit_many(nets, X, Y, steps=30, optimizer=rule())
    for net, history in zip(nets, histories, strict=True):
        assert history.steps == 30
        assert float(np.mean((np.asarray(net(X.astype("f"))) - Y) ** 2)) == pytest.approx(history.loss[-1], rel=1e-4)


def test_a_net_that_diverges_is_named_and_disturbs_no_other():
    calm, wild, alone = (mlp((5,), seed=s, activation="linear") for s in (0, 1, 0))
    wild.set_weights([w * 10 for w in wild.get_weights()])  # a product of two such layers explodes at this rate
    good, bad = fit_many([calm, wild], X, Y, steps=40, optimizer=rule(rate=0.05), workers=1, gradient_norm=True)
    (reference,) = fit_many([alone], X, Y, steps=40, optimizer=rule(rate=0.05), workers=1)
    assert bad.diverged_at is not None
    assert 0 < bad.diverged_at < 40
    assert np.isfinite(bad.loss[: bad.diverged_at]).all()
    assert np.isnan(bad.loss[bad.diverged_at :]).all()
    assert np.isnan(bad.gradient_norm[bad.diverged_at :]).all()
    assert bad.seconds > 0
    assert bad.compile_seconds > 0
    assert good.diverged_at is None
    np.testing.assert_allclose(good.loss, reference.loss, rtol=1e-5)


class BrokenOffError(Exception):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_a_training_broken_off_goes_on_where_it_stood_and_ends_with_the_same_bytes(name):
    def train(parts, progress=None):
        nets = [mlp(w, seed=s) for w in [(4, 3), (6,)] for s in range(3)]
        histories = fit_many(
            nets,
            X,
            Y,
            steps=90,
            optimizer=rule(name),
            gradient_norm=True,
            chunk=20,
            checkpoints=parts,
            progress=progress,
        )
        return nets, histories

    def stop(done, total, _):
        if done >= total / 2:
            raise BrokenOffError

    parts, seen = MemoryCheckpoints(), []
    with pytest.raises(BrokenOffError):
        train(parts, stop)
    kept = sum(int(state["done"]) for state in parts.values())
    assert kept >= 90
    resumed, histories = train(parts, lambda done, *_: seen.append(done))
    assert kept < seen[0] <= kept + 20
    whole, references = train(None)
    for one, other in zip(histories, references, strict=True):
        np.testing.assert_array_equal(one.loss, other.loss)
        np.testing.assert_array_equal(one.layer_gradient_norms, other.layer_gradient_norms)
    for one, other in zip(resumed, whole, strict=True):
        np.testing.assert_array_equal(weights_of(one), weights_of(other))


@pytest.mark.slow
def test_what_was_kept_of_another_training_is_not_taken_up():
    parts = MemoryCheckpoints()
    fit_many([mlp((4,), seed=0)], X, Y, steps=20, optimizer=rule(), checkpoints=parts)
    for seed, x, rate in [(1, X, 0.01), (0, X + 1e-3, 0.01), (0, X, 0.02)]:
        calls: list[tuple] = []

        def report(*a, calls=calls):
            calls.append(a)

        nets = [mlp((4,), seed=seed)]
        fit_many(nets, x, Y, steps=20, optimizer=rule(rate=rate), checkpoints=parts, progress=report)
        assert calls, (seed, rate)


def test_long_trainings_are_kept_on_the_way(monkeypatch):
    monkeypatch.setattr("dlhw.training.stacked_fit.CHECKPOINT_SECONDS", 0.0)
    puts = []

    class Counting(MemoryCheckpoints):
        def put(self, name, arrays):
            puts.append(int(arrays["done"]))
            super().put(name, arrays)

    fit_many([mlp((4,), seed=0)], X, Y, steps=5000, optimizer=rule(), chunk=100, checkpoints=Counting())
    assert len(puts) > 1
    assert puts == sorted(set(puts))
    assert puts[-1] == 5000


def test_the_pace_follows_the_clock():
    chunk_size = ChunkSize(1000)
    chunk_size.update(chunk_size.steps, 16 * 0.1)
    assert chunk_size.steps == 5
    chunk_size.update(5, 50.0)
    assert chunk_size.steps == 1
    chunk_size.update(1, 1e-9)
    assert chunk_size.steps == 1000


def test_progress_counts_every_step_of_every_stack():
    calls = []
    nets = [mlp((2,), seed=0), mlp((3,), seed=0)]
    fit_many(nets, X, Y, steps=25, optimizer=rule(), chunk=10, progress=lambda *a: calls.append(a))
    assert calls[-1][:2] == (50, 50)
    assert [c[0] for c in calls] == sorted(c[0] for c in calls)


def test_what_fit_many_cannot_stack_is_refused():
    inputs = keras.Input((1,))
    hidden = keras.layers.Dense(3)(inputs)
    branch = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Concatenate()([hidden, inputs])))
    softmax = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2, activation="softmax")])
    extras = ({"trainable": False}, {"kernel_regularizer": "l2"})
    frozen, regularized = (keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, **k)]) for k in extras)
    for model in (branch, softmax, frozen, regularized):
        with pytest.raises(UserError, match="fit_many"):
            fit_many([model], X, Y, steps=1, optimizer=rule())


def test_fit_trains_any_functional_model_and_chooses_xla_by_its_layers():
    inputs = keras.Input((8, 8, 1))
    h = keras.layers.MaxPooling2D(2)(keras.layers.Conv2D(2, 3, activation="relu")(inputs))
    conv = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(h)))
    assert not use_xla(conv)
    assert use_xla(mlp((3,)))
    assert use_xla(mlp((3,)), steps=5000)
    assert not use_xla(mlp((3,)), steps=4999)  # compiling would take longer than it saves
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 8, 8, 1)), rng.integers(0, 3, 30)
    history = fit(conv, x, y, steps=30, optimizer=rule("adam"), loss="sparse_categorical_crossentropy")
    assert history.loss[-1] < 0.9 * history.loss[0]
    total, _ = gradient_norm(conv, "sparse_categorical_crossentropy", x.astype("f"), y)
    assert total > 0


def test_fit_minimizes_regularizers_too():
    layer = keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L2(0.5))
    model = keras.Sequential([keras.Input((1,)), layer])
    w = float(model.get_weights()[0][0, 0])
    history = fit(model, X, Y, steps=1, optimizer=rule(), loss="mse")
    plain = np.mean((X * w - Y) ** 2)
    assert history.loss[0] == pytest.approx(plain + 0.5 * w**2, rel=1e-5)


def test_worker_threads_use_the_device_that_was_asked_for(monkeypatch):
    import tensorflow as tf

    asked, device = [], tf.device
    monkeypatch.setattr(tf, "device", lambda name: asked.append(threading.current_thread().name) or device(name))
    fit_many([mlp((2,))], X, Y, steps=2, optimizer=rule(), device="/CPU:0")
    assert any(name.startswith("dlhw") for name in asked)


def test_initial_weights_follow_pytorch_and_keras():
    kernel, bias, *_ = initial_weights((100, 400, 1), init="torch", seed=0)
    assert np.abs(kernel).max() <= 0.1
    assert np.abs(bias).max() <= 0.1
    assert kernel.std() == pytest.approx(0.1 / np.sqrt(3), rel=0.02)
    assert np.abs(bias).max() > 0.05
    kernel, bias, *_ = initial_weights((100, 400, 1), init="keras", seed=0)
    assert kernel.std() == pytest.approx(np.sqrt(2 / 500), rel=0.02)
    assert not bias.any()


def test_wrong_rates_are_refused():
    for bad in [("sgd", 0.0, 0.9), ("sgd", -1.0, 0.9), ("sgd", 0.1, 1.0), ("sgd", 0.1, -0.1), ("sdg", 0.1, 0.0)]:
        with pytest.raises(UserError):
            optimizer(*bad)


def test_the_nets_of_the_report_start_from_the_same_weights_in_both_precisions():
    low, high = (mlp(parse("middle"), seed=4, dtype=d) for d in ("float32", "float64"))
    np.testing.assert_array_equal(weights_of(low), weights_of(high).astype("f"))


@pytest.mark.parametrize(
    "theirs",
    [
        lambda: keras.optimizers.SGD(0.1),
        lambda: keras.optimizers.SGD(0.1, momentum=0.9),
        lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
        lambda: keras.optimizers.Adam(0.01, beta_1=0.8, beta_2=0.99, epsilon=1e-4),
        lambda: keras.optimizers.RMSprop(0.01, rho=0.8, epsilon=1e-4),
        lambda: keras.optimizers.SGD(0.1, weight_decay=0.5),
        lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.5),
        lambda: keras.optimizers.Adam(0.01, weight_decay=2.0),
        lambda: keras.optimizers.AdamW(0.01, weight_decay=2.0),
        lambda: keras.optimizers.RMSprop(0.01, weight_decay=2.0),
        lambda: "adam",
        lambda: "rmsprop",
    ],
)
def test_a_keras_optimizer_means_its_own_rule(theirs):
    x, y = np.linspace(-1, 1, 8, dtype="float32")[:, None], np.linspace(-1, 1, 8, dtype="float32")[:, None] ** 2
    ours, keras_s = mlp((4,), activation="tanh", seed=1), mlp((4,), activation="tanh", seed=1)
    keras_s.compile(optimizer=theirs(), loss="mse", jit_compile=False)
    for _ in range(4):
        keras_s.train_on_batch(x, y)
    fit(ours, x, y, steps=4, optimizer=theirs(), compiled=False)
    for a, b in zip(ours.get_weights(), keras_s.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", IN_KERAS)
@pytest.mark.parametrize("way", ["step", "apply"])
def test_l2_decay_is_that_of_a_keras_regularizer_and_decoupled_decay_that_of_keras(name, way, keras_optimizer):
    """w/2 |p|^2 as Keras's L2 regularizer, and `weight_decay` of Keras's own optimizer, over ten updates."""
    w, rate = 0.7, rule(name).learning_rate
    start = np.linspace(-1, 2, 6)
    for decay in ("l2", "decoupled"):
        theirs = keras.Variable(start, dtype="float64")
        their_optimizer = keras_optimizer(name, rate)
        their_optimizer.weight_decay = w if decay == "decoupled" else None
        their_optimizer.build([theirs])
        ours = optimizer(name, rate, rule(name).momentum, w, decay)
        variable = tf.Variable(start)
        slots = ours.slots([variable])
        memory = tuple([tf.Variable(s) for s in group] for group in slots)
        for count in range(1, 11):
            with tf.GradientTape() as tape:
                value = tf.reduce_sum(tf.sin(3 * theirs.value))
                value += keras.regularizers.L2(w / 2)(theirs) if decay == "l2" else 0.0
            their_optimizer.apply_gradients([(tape.gradient(value, theirs.value), theirs)])
            gradient = 3 * tf.cos(3 * tf.convert_to_tensor(variable))
            if way == "apply":
                ours.apply(tf.constant(count), [variable], [gradient], memory)
            else:
                (moved,), slots = ours.step(tf.constant(count), [tf.convert_to_tensor(variable)], [gradient], slots)
                variable.assign(moved)
        np.testing.assert_allclose(
            variable.numpy(), theirs.numpy(), rtol=1e-5, atol=2e-6, err_msg=decay
        )  # theirs: rates in float32


def test_weight_decay_out_of_range_and_excluded_variables_are_refused():
    for bad in (-0.1, 100.0, float("nan")):
        with pytest.raises(UserError, match="weight_decay"):
            optimizer("sgd", 0.01, 0.9, bad)
    with pytest.raises(UserError, match="`decay` 'L2' is unknown; use decoupled, l2"):
        optimizer("sgd", 0.01, 0.9, 0.1, "L2")
    excluding = keras.optimizers.AdamW()
    excluding.exclude_from_weight_decay(var_names=["bias"])
    with pytest.raises(UserError, match="excludes variables from weight decay"):
        as_optimizer(excluding)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (lambda: keras.optimizers.SGD(0.1, clipnorm=1.0), "clipnorm=1.0"),
        (lambda: keras.optimizers.Adam(amsgrad=True), "amsgrad=True"),
        (lambda: keras.optimizers.RMSprop(0.1, momentum=0.5), "momentum=0.5"),
        (lambda: keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)), "schedule"),
        (lambda: keras.optimizers.Adagrad(), "optimizer Adagrad is unknown"),
        (lambda: "adamw", "'adamw' is unknown"),
        (lambda: 0.1, "optimizer float is unknown"),
    ],
)
def test_optimizers_that_no_rule_equals_are_refused(value, words):
    for call in (
        lambda rule: fit(mlp((2,)), [[1.0]], [[1.0]], steps=1, optimizer=rule),
        lambda rule: fit_many([mlp((2,))], [[1.0]], [[1.0]], steps=1, optimizer=rule),
        lambda rule: Trainer(mlp((2,)), batch_size=1, optimizer=rule),
    ):
        with pytest.raises(UserError, match=re.escape(words)):
            call(value())
