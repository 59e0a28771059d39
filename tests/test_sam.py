"""Sharpness-aware minimization against independent oracles.

- NumPy, gradients written by hand, fifty steps: would miss an error in nets with batch normalization or dropout.
- A plain loop of two gradients in TensorFlow, weights moved and put back by hand, the optimizer Keras's: would miss an
  error that lies in the loss itself.
- The uncompiled step against every compiled path in float64: would miss an error in the step.
- rho -> 0 is the base optimizer, with a difference that shrinks as rho.
"""

from __future__ import annotations

import numpy as np
import pytest

import dlhw
from dlhw.errors import UserError
from dlhw.models import image_net, initial_weights, mlp
from dlhw.training import Trainer, as_optimizer, fit, fit_many, optimizer
from dlhw.training.distributed import plan

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

X = np.linspace(-1, 1, 40)[:, None]
Y = np.sin(5 * X)
RATE, MOMENTUM, RHO = 0.0625, 0.875, 0.125  # exact in float32, in which Keras holds its rates
RULE = optimizer("sam", RATE, MOMENTUM, rho=RHO)
OTHERS = ("nesterov", "adam", "rmsprop")
RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.random((48, 8, 8, 1)), RNG.integers(0, 3, 48)


def weights_of(model):
    return np.concatenate([np.asarray(w, np.float64).ravel() for w in model.get_weights()])


def net(seed=3, dtype="float64"):
    return mlp((7, 5), activation="tanh", seed=seed, dtype=dtype)


def awkward(dtype="float64", rate=0.3):
    """Batch normalization, dropout and a regularizer."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1), dtype=dtype)
    h = keras.layers.Conv2D(4, 3, dtype=dtype)(inputs)
    h = keras.layers.ReLU(dtype=dtype)(keras.layers.BatchNormalization(dtype=dtype)(h))
    h = keras.layers.Dropout(rate, seed=1, dtype=dtype)(keras.layers.Flatten(dtype=dtype)(h))
    return keras.Model(inputs, keras.layers.Dense(3, kernel_regularizer="l2", dtype=dtype)(h))


def two_gradient_loop(model, theirs, loss, batches, rho=RHO):
    """Do the steps of the paper, one operation after the other; the optimizer is one of Keras."""
    losses = []
    for x, y in batches:
        states = [v.numpy() for v in model.non_trainable_variables]
        with tf.GradientTape() as tape:
            value = tf.add_n([loss(y, model(x, training=True)), *model.losses])
        first = [tf.convert_to_tensor(g) for g in tape.gradient(value, model.trainable_variables)]
        norm = tf.sqrt(sum(tf.reduce_sum(g**2) for g in first))
        weights = [v.numpy() for v in model.trainable_variables]
        after = [v.numpy() for v in model.non_trainable_variables]
        for v, g in zip(model.trainable_variables, first, strict=True):
            v.assign_add(rho * g / norm)
        for v, old in zip(model.non_trainable_variables, states, strict=True):
            v.assign(old)
        with tf.GradientTape() as tape:
            again = tf.add_n([loss(y, model(x, training=True)), *model.losses])
        second = tape.gradient(again, model.trainable_variables)
        for v, old in zip(model.trainable_variables + model.non_trainable_variables, weights + after, strict=True):
            v.assign(old)
        theirs.apply_gradients(zip(second, model.trainable_variables, strict=True))
        losses.append(float(value))
    return np.array(losses)


def sparse(y, z):
    return tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, z, from_logits=True))


def squared(y, z):
    return tf.reduce_mean(tf.square(tf.cast(y, z.dtype) - z))


def sgd():
    return keras.optimizers.SGD(RATE, momentum=MOMENTUM)


def set_precision(dtype):
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)


@pytest.fixture
def float64():
    """Keras holds the state of its optimizers and losses in float64."""
    set_precision("float64")
    yield
    set_precision("float32")


# The project's own loops.


def test_one_hidden_layer_by_hand_in_numpy():
    w = [a.astype(np.float64) for a in initial_weights((1, 6, 1), init="torch", seed=5)]
    model = mlp((6,), activation="tanh", seed=5, dtype="float64")
    (history,) = fit_many([model], X, Y, steps=50, optimizer=RULE, gradient_norm=True)

    def gradient(w1, b1, w2, b2):
        h = np.tanh(X @ w1 + b1)
        error = h @ w2 + b2 - Y
        d = 2 * error / len(X)
        back = d @ w2.T * (1 - h**2)
        return np.mean(error**2), [X.T @ back, back.sum(0), h.T @ d, d.sum(0)]

    velocity = [np.zeros_like(a) for a in w]
    for k in range(50):
        value, g = gradient(*w)
        norm = np.sqrt(sum(np.sum(a**2) for a in g))
        assert history.loss[k] == pytest.approx(value, rel=1e-9)
        assert history.gradient_norm[k] == pytest.approx(norm, rel=1e-9)  # that of the loss at the weights
        _, g = gradient(*(a + RHO * b / norm for a, b in zip(w, g, strict=True)))
        velocity = [MOMENTUM * v - RATE * a for v, a in zip(velocity, g, strict=True)]
        w = [a + v for a, v in zip(w, velocity, strict=True)]
    np.testing.assert_allclose(weights_of(model), np.concatenate([a.ravel() for a in w]), rtol=1e-8)  # of XLA


@pytest.mark.parametrize("base", ["sgd", *(pytest.param(b, marks=pytest.mark.slow) for b in OTHERS)])
def test_every_loop_equals_the_plain_step(base):
    rule = optimizer("sam", 0.001, 0.9 if base in ("sgd", "nesterov") else 0.0, 0.01, rho=RHO, base=base)
    nets = [net() for _ in range(4)]
    plain = fit(nets[0], X, Y, steps=30, optimizer=rule, compiled=False)
    compiled = fit(nets[1], X, Y, steps=30, optimizer=rule, chunk=20)
    among = [net(9), nets[2], net(8)]
    _, stacked, _ = fit_many(among, X, Y, steps=30, optimizer=rule, gradient_norm=True, workers=1, chunk=20)
    trainer = Trainer(nets[3], batch_size=len(X), optimizer=rule, loss="mse", record=True)
    curves = trainer.fit((X, Y), (X, Y), epochs=30, train_eval_examples=None)
    for losses, norms in (
        (compiled.loss, compiled.gradient_norm),
        (stacked.loss, stacked.gradient_norm),
        (curves.train_loss, curves.gradient_norm),
    ):
        np.testing.assert_allclose(losses, plain.loss, rtol=1e-10)
        np.testing.assert_allclose(norms, plain.gradient_norm, rtol=1e-9)
    for other in nets[1:]:
        np.testing.assert_allclose(weights_of(other), weights_of(nets[0]), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("compiled", [True, False])
def test_the_trainer_equals_a_plain_loop_with_batch_normalization_and_dropout(compiled, float64):
    ours, theirs = awkward(), awkward()
    curves = Trainer(ours, batch_size=16, optimizer=RULE, compiled=compiled, record="all").fit(
        (IMAGES, LABELS), (IMAGES, LABELS), epochs=2, seed=4
    )
    order, batches = np.random.default_rng([4, 2]), []
    for _ in range(2):
        shuffled = order.permutation(48)
        batches += [(IMAGES[shuffled[k : k + 16]], LABELS[shuffled[k : k + 16]]) for k in (0, 16, 32)]
    losses = two_gradient_loop(theirs, sgd(), sparse, batches)
    np.testing.assert_allclose(curves.step_loss, losses, rtol=1e-11)
    np.testing.assert_allclose(weights_of(ours), weights_of(theirs), rtol=1e-9, atol=1e-12)
    s = curves.statistics
    assert not np.allclose(s.applied_norm, s.gradient_norm, rtol=1e-3)  # the second gradient is another one


@pytest.mark.slow
def test_the_batch_innermost_layout_gives_the_same_training():
    ends = []
    for layout in ("plain", "batch-innermost"):
        model = image_net("3c3-p2-5", (8, 8, 1), 3, seed=1, dtype="float64")
        trainer = Trainer(model, batch_size=16, optimizer=RULE, layout=layout)
        trainer.fit((IMAGES, LABELS), (IMAGES, LABELS), epochs=2)
        assert trainer.layout == layout
        ends.append(weights_of(model))
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("loop", [pytest.param("fit", marks=pytest.mark.slow), "fit_many"])
def test_a_small_rho_is_the_base_optimizer(loop):
    def end(rule):
        model = net()
        if loop == "fit":
            fit(model, X, Y, steps=20, optimizer=rule)
        else:
            fit_many([model], X, Y, steps=20, optimizer=rule)
        return weights_of(model)

    base = end(optimizer("sgd", RATE, MOMENTUM))
    coarse, fine = (np.abs(end(optimizer("sam", RATE, MOMENTUM, rho=rho)) - base).max() for rho in (1e-4, 1e-6))
    assert fine < 1e-5
    assert coarse / fine == pytest.approx(100, rel=0.05)


@pytest.mark.parametrize("loop", ["fit", "fit_many", "SAM"])
def test_a_vanishing_gradient_moves_nothing(loop):
    model = mlp((3,), activation="tanh", seed=0)
    model.set_weights([0 * w for w in model.get_weights()])
    if loop == "fit":
        fit(model, X, 0 * Y, steps=3, optimizer=RULE)
    elif loop == "fit_many":
        fit_many([model], X, 0 * Y, steps=3, optimizer=RULE)
    else:
        sam = dlhw.SAM(model)
        sam.compile(sgd(), "mse")
        sam.fit(X, 0 * Y, epochs=3, verbose=0)
    np.testing.assert_array_equal(weights_of(model), 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rho": 0.0}, "`rho` 0 must be positive"),
        ({"rho": float("nan")}, "`rho` nan must be positive"),
        ({"base": "sam"}, "`base` 'sam' is unknown"),
        ({"base": "adam", "momentum": 0.9}, "`momentum` applies to sgd, nesterov and sam, not to adam"),
        ({"name": "sgd", "rho": 0.1}, "`rho` and `base` apply to sam, not to sgd"),
    ],
)
def test_wrong_settings_are_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        optimizer(**{"name": "sam", "learning_rate": 0.1} | arguments)


def test_the_default_is_that_of_the_paper():
    assert as_optimizer("sam").radius == 0.05
    assert as_optimizer("sam").name == "sgd"


# `model.fit`.


@pytest.mark.parametrize("way", ["graph", "jit", "eager", "several steps"])
def test_fit_equals_a_plain_loop(way):
    ours, theirs = (mlp((7, 5), activation="tanh", seed=3) for _ in range(2))
    sam = dlhw.SAM(ours, rho=RHO)
    more = {"jit": {"jit_compile": True}, "eager": {"run_eagerly": True}, "several steps": {"steps_per_execution": 4}}
    sam.compile(sgd(), "mse", **{"jit_compile": False} | more.get(way, {}))
    x, y = X.astype("f"), Y.astype("f")
    history = sam.fit(x, y, batch_size=10, epochs=5, shuffle=False, verbose=0)
    batches = [(x[k : k + 10], y[k : k + 10]) for k in range(0, 40, 10)] * 5
    losses = two_gradient_loop(theirs, sgd(), squared, batches)
    np.testing.assert_allclose(weights_of(ours), weights_of(theirs), rtol=1e-5, atol=2e-6)
    np.testing.assert_allclose(history.history["loss"], losses.reshape(5, 4).mean(1), rtol=1e-5)


def test_one_step_of_fit_equals_two_gradients_to_rounding():
    for dtype, tolerance in (("float32", 1e-6), ("float64", 1e-12)):
        set_precision(dtype)
        try:
            ours, theirs = net(dtype=dtype), net(dtype=dtype)
            sam, x, y = dlhw.SAM(ours, rho=RHO), X.astype(dtype), Y.astype(dtype)
            sam.compile(sgd(), "mse", jit_compile=False)
            for _ in range(3):
                theirs.set_weights(ours.get_weights())
                before = weights_of(ours)
                sam.compile(sgd(), "mse", jit_compile=False)
                sam.train_on_batch(x, y)
                two_gradient_loop(theirs, sgd(), squared, [(x, y)])
                moved, expected = weights_of(ours) - before, weights_of(theirs) - before
                assert np.abs(moved - expected).max() < tolerance * np.abs(weights_of(theirs)).max()
        finally:
            set_precision("float32")


def test_batch_normalization_is_updated_once_and_both_passes_drop_the_same_units(float64):
    ours, theirs = awkward(), awkward()
    sam = dlhw.SAM(ours, rho=RHO)
    sam.compile(sgd(), keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    batches = [(IMAGES[k : k + 16], LABELS[k : k + 16]) for k in (0, 16, 32)]
    for x, y in batches:
        sam.train_on_batch(x, y)
    two_gradient_loop(theirs, sgd(), sparse, batches)
    np.testing.assert_allclose(weights_of(ours), weights_of(theirs), rtol=1e-10, atol=1e-13)  # moving statistics too
    seeds = [[v.numpy() for v in m.non_trainable_variables] for m in (ours, theirs)]
    assert all(np.allclose(a, b) for a, b in zip(*seeds, strict=True))


@pytest.mark.slow
def test_a_small_rho_in_fit_is_plain_fit(float64):
    ends = []
    for wrap in (lambda m: m, lambda m: dlhw.SAM(m, rho=1e-9)):
        model = net()
        wrapped = wrap(model)
        wrapped.compile(keras.optimizers.Adam(0.01, clipnorm=0.1, weight_decay=0.01), "mse", jit_compile=False)
        wrapped.fit(X, Y, sample_weight=np.linspace(0, 1, 40), batch_size=16, epochs=3, shuffle=False, verbose=0)
        ends.append(weights_of(model))
    np.testing.assert_allclose(ends[1], ends[0], atol=1e-7)


class Counted(keras.layers.Layer):
    """Adds a loss of its outputs."""

    def call(self, x):
        self.add_loss(0.1 * keras.ops.mean(x**2))
        return x


def test_embeddings_added_losses_and_unused_weights(float64):
    ids, y = RNG.integers(0, 5, (24, 3)), RNG.normal(size=(24, 1))

    def build():
        keras.utils.set_random_seed(1)
        inputs = keras.Input((3,), dtype="int32")
        h = Counted()(keras.layers.Flatten()(keras.layers.Embedding(5, 4)(inputs)))
        return keras.Model(inputs, keras.layers.Dense(1)(h))

    ours, theirs = build(), build()
    sam = dlhw.SAM(ours, rho=RHO)
    sam.compile(sgd(), "mse", jit_compile=False)
    for _ in range(3):
        sam.train_on_batch(ids, y)
    two_gradient_loop(theirs, sgd(), squared, [(ids, y)] * 3)
    np.testing.assert_allclose(weights_of(ours), weights_of(theirs), rtol=1e-10, atol=1e-13)


def test_several_outputs_and_metrics():
    inputs = keras.Input((1,))
    h = keras.layers.Dense(4, "tanh")(inputs)
    model = keras.Model(inputs, {"a": keras.layers.Dense(1, name="a")(h), "b": keras.layers.Dense(1, name="b")(h)})
    sam, y = dlhw.SAM(model), {"a": Y, "b": X}
    sam.compile("adam", {"a": "mse", "b": "mae"}, metrics={"b": ["mse"]})
    history = sam.fit(X, y, epochs=2, batch_size=40, verbose=0, validation_data=(X, y))
    assert {"loss", "a_loss", "b_loss", "b_mse", "val_loss", "val_b_mse"} <= set(history.history)
    # The loss of an epoch of one batch is that before its step, and the second pass adds nothing to it.
    assert history.history["loss"][1] == pytest.approx(history.history["val_loss"][0], rel=1e-5)
    assert history.history["b_loss"][1] == pytest.approx(history.history["val_b_loss"][0], rel=1e-5)


def test_a_saved_model_is_the_plain_one(tmp_path):
    model = mlp((4,), activation="tanh", seed=0)
    sam, file = dlhw.SAM(model), tmp_path / "model.keras"
    sam.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    checkpoint = keras.callbacks.ModelCheckpoint(file)
    sam.fit(X, Y, epochs=3, verbose=0, callbacks=[checkpoint])
    loaded = keras.saving.load_model(file)
    assert type(loaded) is type(model)
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    assert loaded.evaluate(X, Y, verbose=0) == pytest.approx(sam.evaluate(X, Y, verbose=0), rel=1e-6)
    assert int(loaded.optimizer.iterations) == 6
    np.testing.assert_allclose(
        np.concatenate([v.numpy().ravel() for v in loaded.optimizer.variables]),
        np.concatenate([v.numpy().ravel() for v in sam.optimizer.variables]),
    )
    sam.save_weights(tmp_path / "w.weights.h5")
    other = mlp((4,), activation="tanh", seed=1)
    other.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_array_equal(weights_of(other), weights_of(model))


def test_mixed_precision_skips_a_step_that_overflows_and_keeps_the_weights():
    inputs = keras.Input((1,))
    h = keras.layers.Dense(4, dtype="mixed_float16")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, dtype="mixed_float16")(h))
    model.dtype_policy = keras.DTypePolicy("mixed_float16")
    sam = dlhw.SAM(model)
    sam.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=2.0**120), "mse")
    before = weights_of(model)
    sam.train_on_batch(X, Y)
    np.testing.assert_array_equal(weights_of(model), before)
    sam.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=8.0), "mse")
    sam.train_on_batch(X, Y)
    assert 0 < np.abs(weights_of(model) - before).max() < 1


def test_watch_records_a_training_by_sam_without_changing_it():
    ends = []
    for watched in (False, True):
        model = mlp((4,), activation="tanh", seed=0)
        sam, watch = dlhw.SAM(model, rho=RHO), dlhw.Watch(probe=(X, Y), measures=("loss",))
        sam.compile(sgd(), "mse")
        history = sam.fit(X, Y, batch_size=40, epochs=3, verbose=0, callbacks=[watch] if watched else [])
        ends.append(weights_of(model))
    np.testing.assert_array_equal(ends[0], ends[1])
    np.testing.assert_allclose(watch.result.loss, history.history["loss"], rtol=1e-6)


@pytest.mark.slow
def test_every_replica_of_a_strategy_has_its_own_perturbation(float64):
    strategy = plan.strategy(plan.make_plan("cpu", "mirrored", 2))
    start = net()
    with strategy.scope():
        ours = keras.models.clone_model(start)
        ours.set_weights(start.get_weights())
        sam = dlhw.SAM(ours, rho=RHO)
        sam.compile(sgd(), "mse", jit_compile=False)
    history = sam.fit(X, Y, batch_size=40, shuffle=False, verbose=0)
    gradients, losses = [], []
    for half in (slice(0, 20), slice(20, 40)):
        model = keras.models.clone_model(start)
        model.set_weights(start.get_weights())
        losses += list(two_gradient_loop(model, keras.optimizers.SGD(1.0), squared, [(X[half], Y[half])]))
        gradients.append(weights_of(start) - weights_of(model))
    assert history.history["loss"][0] == pytest.approx(np.mean(losses), rel=1e-12)
    np.testing.assert_allclose(weights_of(ours), weights_of(start) - RATE * np.mean(gradients, 0), rtol=1e-11)


def test_models_that_sam_cannot_step_are_refused():
    class Own(keras.Sequential):
        def train_step(self, data):
            return {}

    with pytest.raises(UserError, match="has train_step of its own"):
        dlhw.SAM(Own([keras.Input((1,)), keras.layers.Dense(1)]))
    model = mlp((2,))
    for rho in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(UserError, match="`rho`"):
            dlhw.SAM(model, rho=rho)
    with pytest.raises(UserError, match="train_step of its own"):
        dlhw.SAM(dlhw.SAM(model))
    with pytest.raises(UserError, match="wraps a Keras model"):
        dlhw.SAM("adam")


@pytest.mark.parametrize("eager", [False, True])
def test_a_model_without_input_is_built_by_its_first_batch(eager):
    """As plain `fit` does: the same steps as of a model that was built before."""

    def of(*first):
        kernels = [keras.initializers.GlorotUniform(seed=s) for s in (1, 2)]
        layers = [
            keras.layers.Dense(4, "tanh", kernel_initializer=kernels[0]),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(1, kernel_initializer=kernels[1]),
        ]
        return keras.Sequential([*first, *layers])

    x, y = X.astype("f"), Y.astype("f")
    late, early = of(), of(keras.Input(x.shape[1:]))
    for model in (late, early):
        sam = dlhw.SAM(model, rho=RHO)
        sam.compile(sgd(), "mse", run_eagerly=eager)
        sam.fit(x, y, batch_size=20, epochs=2, shuffle=False, verbose=0)
    assert len(late.trainable_variables) == 6
    np.testing.assert_allclose(weights_of(late), weights_of(early), rtol=1e-5, atol=1e-6)
