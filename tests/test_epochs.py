"""Training in mini-batches against independent oracles.

- The plain uncompiled step in float64 (relative 1e-9), dense (XLA) and convolutional (no XLA), with a remainder batch:
  would miss an error in the step itself.
- The pure rules and `train_step` of the full-batch loop in float64 (1e-9): would miss one in how batches are drawn.
- keras.optimizers and `train_on_batch` on the same weights and batches: would miss an error that Keras shares.
- Keras's `evaluate` for loss and accuracy: would miss a wrong choice of examples.
"""

from __future__ import annotations

import numpy as np
import pytest

from dlhw.choices import WITH_MOMENTUM
from dlhw.errors import UserError
from dlhw.measure import gradient_norm
from dlhw.models import image_net
from dlhw.runs import tasks
from dlhw.training import OPTIMIZERS, Stopped, Trainer, cross_entropy, every, fit, optimizer
from dlhw.training.steps import Updates

keras = pytest.importorskip("keras")
RNG = np.random.default_rng(0)
X = RNG.random((50, 8, 8, 1))
Y = RNG.integers(0, 3, 50).astype(np.int32)
TEST = X[:20], Y[:20]
NETS = {"dense": "6-5", "conv": "3c3-p2-5"}


def net(kind, dtype="float64", seed=3, **more):
    return image_net(NETS[kind], (8, 8, 1), 3, seed=seed, dtype=dtype, activation="tanh", **more)


def awkward():
    """Batch normalization, dropout and a regularizer."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    h = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(inputs))
    h = keras.layers.Dropout(0.5, seed=1)(keras.layers.Flatten()(keras.layers.ReLU()(h)))
    return keras.Model(inputs, keras.layers.Dense(3, kernel_regularizer="l2")(h))


def rule(name="sgd", rate=0.05, momentum=0.9):
    return optimizer(
        name, rate / 50 if name in ("adam", "rmsprop") else rate, momentum if name in WITH_MOMENTUM else 0.0
    )


def weights_of(model):
    return np.concatenate([w.ravel() for w in model.get_weights()])


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("kind", NETS)
def test_the_compiled_epoch_equals_plain_steps_in_float64(kind, name):
    found = []
    for compiled in (True, False):
        model = net(kind)
        trainer = Trainer(model, batch_size=16, optimizer=rule(name), compiled=compiled)
        found.append((trainer.fit((X, Y), TEST, epochs=3, seed=1), weights_of(model)))
    (a, w), (b, v) = found
    np.testing.assert_allclose(a.train_loss, b.train_loss, rtol=1e-9)
    np.testing.assert_allclose(a.test_loss, b.test_loss, rtol=1e-9)
    np.testing.assert_array_equal(a.test_accuracy, b.test_accuracy)
    np.testing.assert_allclose(w, v, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fused_kernels_equal_the_pure_rule_in_float64(name):
    """One batch an epoch is the full-batch step of `fit`, whose rule is pure and whose loop is plain Python."""
    one, other = net("conv"), net("conv")
    curves = Trainer(one, batch_size=50, optimizer=rule(name)).fit((X, Y), TEST, epochs=6, train_eval_examples=None)
    history = fit(other, X, Y, steps=6, optimizer=rule(name), loss=cross_entropy, compiled=False)
    np.testing.assert_allclose(curves.train_loss, history.loss, rtol=1e-9)
    np.testing.assert_allclose(weights_of(one), weights_of(other), rtol=1e-8, atol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "sam"])
def test_the_same_batches_in_keras_give_the_same_weights(name, keras_optimizer):
    ours, reference = net("conv", "float32"), net("conv", "float32")
    curves = Trainer(ours, batch_size=16, optimizer=rule(name)).fit((X, Y), TEST, epochs=2, seed=7)
    theirs = keras_optimizer(name, rule(name).learning_rate)
    reference.compile(theirs, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    order = np.random.default_rng([7, 2])
    for _ in range(2):
        shuffled = order.permutation(50)
        for start in range(0, 50, 16):
            rows = shuffled[start : start + 16]
            reference.train_on_batch(X[rows], Y[rows])
    np.testing.assert_allclose(weights_of(ours), weights_of(reference), rtol=1e-3, atol=2e-6)
    loss, accuracy = reference.evaluate(*TEST, verbose=0)
    assert curves.test_loss[-1] == pytest.approx(loss, rel=1e-4)
    assert curves.test_accuracy[-1] == pytest.approx(accuracy)


def test_the_start_is_measured_and_the_measured_examples_are_fixed():
    model = net("dense")
    trainer = Trainer(model, batch_size=25, optimizer=rule())
    whole = trainer.measure(X, Y)
    curves = trainer.fit((X, Y), TEST, epochs=2, train_eval_examples=None)
    assert curves.train_loss[0] == pytest.approx(whole[0], rel=1e-12)
    assert curves.train_loss[2] == pytest.approx(trainer.measure(X, Y)[0], rel=1e-12)
    logits = np.asarray(model(X))
    by_hand = np.log(np.exp(logits).sum(1)) - logits[np.arange(50), Y]
    assert curves.train_loss[2] == pytest.approx(by_hand.mean(), rel=1e-10)
    assert curves.train_accuracy[2] == np.mean(logits.argmax(1) == Y)
    np.testing.assert_allclose(cross_entropy(Y, logits), by_hand, rtol=1e-10)


@pytest.mark.slow
def test_another_fit_from_the_same_weights_is_the_same_fit():
    model = net("dense")
    start = model.get_weights()
    trainer = Trainer(model, batch_size=16, optimizer=rule("adam"))
    first = trainer.fit((X, Y), TEST, epochs=2, seed=4)
    model.set_weights(start)
    again = trainer.fit((X, Y), TEST, epochs=2, seed=4)
    np.testing.assert_array_equal(first.test_loss, again.test_loss)
    model.set_weights(start)
    assert not np.array_equal(trainer.fit((X, Y), TEST, epochs=2, seed=5).test_loss, first.test_loss)


@pytest.mark.slow
def test_batch_normalization_and_dropout_of_a_users_model_work():
    y = X[:, :6].reshape(50, 3, -1).mean(2).argmax(1).astype(np.int32)  # which band of the image is brightest
    model = awkward()
    moving = model.layers[2].moving_variance.numpy().copy()
    trainer = Trainer(model, batch_size=16, optimizer=rule())
    curves = trainer.fit((X, y), (X[:20], y[:20]), epochs=40)
    assert curves.train_accuracy[-1] > 0.8 > curves.train_accuracy[0]
    assert not np.allclose(model.layers[2].moving_variance.numpy(), moving)
    assert trainer.measure(X, Y) == trainer.measure(X, Y)  # no dropout in inference mode
    draws = {float(np.asarray(model(X[:1], training=True))[0, 0]) for _ in range(5)}
    assert len(draws) > 1


def test_hooks_come_every_k_epochs_and_a_stop_is_obeyed():
    seen = []
    trainer = Trainer(net("dense"), batch_size=50, optimizer=rule())
    hook = every(2, lambda epoch, model: seen.append((epoch, weights_of(model)[0])))
    trainer.fit((X, Y), TEST, epochs=5, hooks=[hook])
    assert [e for e, _ in seen] == [0, 2, 4]
    assert len({w for _, w in seen}) == 3
    with pytest.raises(Stopped):
        trainer.fit((X, Y), TEST, epochs=5, should_stop=lambda: True)


@pytest.mark.parametrize("updates", [3, 4, 6])
def test_a_training_ends_after_so_many_updates(updates, monkeypatch):
    """Four steps an epoch, the last of two examples: as many updates as asked for, compiled or not."""
    taken, update = [], Updates.train_step
    monkeypatch.setattr(Updates, "train_step", lambda self, *a: (taken.append(a[-1].shape[0]), update(self, *a))[1])
    ends = []
    for compiled in (False, True):
        taken.clear()
        model = net("dense")
        Trainer(model, batch_size=16, optimizer=rule(), compiled=compiled).fit(
            (X, Y), TEST, epochs=-(-updates // 4), updates=updates
        )
        if not compiled:
            assert taken == ([16, 16, 16, 2] * 2)[:updates]
        ends.append(model.get_weights())
    for a, b in zip(*ends, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
def test_loss_and_gradient_norm_of_every_update_are_those_of_its_batch(compiled, monkeypatch):
    """The first update's by the instrument itself; the last batch of an epoch is smaller and is recorded too."""
    batches, update = [], Updates.train_step
    monkeypatch.setattr(Updates, "train_step", lambda self, *a: (batches.append(a[-1]), update(self, *a))[1])
    model = net("conv")
    start = model.get_weights()
    trainer = Trainer(model, batch_size=16, optimizer=rule(), record=True, compiled=compiled)
    curves = trainer.fit((X, Y), TEST, epochs=2, updates=7, seed=4)
    assert curves.gradient_norm.shape == (7,)
    assert np.isfinite(curves.step_loss).all()
    np.testing.assert_allclose(np.sum(curves.layer_gradient_norms**2, axis=1), curves.gradient_norm**2, rtol=1e-10)
    order = np.random.default_rng([4, 2]).permutation(50)[:16]  # the stream of the order of examples
    model.set_weights(start)
    total, layers = gradient_norm(model, cross_entropy, X[order], Y[order])
    np.testing.assert_allclose([curves.gradient_norm[0], *curves.layer_gradient_norms[0]], [total, *layers], rtol=1e-9)
    assert curves.step_loss[0] == pytest.approx(trainer.measure(X[order], Y[order])[0], rel=1e-9)
    if not compiled:
        assert [len(rows) for rows in batches] == [16, 16, 16, 2, 16, 16, 16]


def test_a_training_that_diverges_ends_and_is_named():
    curves = Trainer(net("dense"), batch_size=16, optimizer=rule(rate=1e9)).fit((X, Y), TEST, epochs=4)
    assert curves.diverged_at is not None
    assert np.isfinite(curves.train_loss[: curves.diverged_at]).all()
    assert np.isnan(curves.test_loss[curves.diverged_at :]).all()


def test_updates_that_do_not_end_within_the_last_epoch_are_refused():
    for updates in (4, 9):
        with pytest.raises(UserError, match=f"{updates} updates do not end within epoch 2 of 4 steps"):
            Trainer(net("dense"), batch_size=16, optimizer=rule(), compiled=False).fit(
                (X, Y), TEST, epochs=2, updates=updates
            )


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(UserError, match="`batch_size` 64 exceeds the 50"):
        Trainer(net("dense"), batch_size=64, optimizer=rule()).fit((X, Y), TEST, epochs=1)


def test_regression_has_no_accuracy():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    y = X.mean((1, 2))
    curves = Trainer(model, batch_size=10, optimizer=rule(), loss="mse").fit((X, y), (X, y), epochs=3)
    assert np.isnan(curves.test_accuracy).all()
    assert curves.test_loss[-1] < curves.test_loss[0]


def test_parts_that_ended_are_kept_when_another_fails_and_only_the_rest_is_done_again():
    from dlhw.checkpoints import MemoryCheckpoints
    from dlhw.runs.context import Context
    from dlhw.runs.executors import Threads

    parts, tried = MemoryCheckpoints(), []

    def work(part):
        tried.append(part.name)
        if part.name == "b" and tried.count("b") == 1:
            raise ValueError("b broke")
        part.report(1, 0.5)
        return {"value": np.array(len(part.name))}

    context = Context(checkpoints=parts, jobs=1)
    epochs = dict.fromkeys("abc", 1)
    with pytest.raises(ValueError, match="b broke"):
        tasks.run_tasks(epochs, work, context, Threads(1))
    assert "a" in parts
    assert "b" not in parts
    kept = set(parts)
    tried.append("again")
    found = tasks.run_tasks(epochs, work, context, Threads(1))
    assert list(found) == ["a", "b", "c"]
    assert set(tried[tried.index("again") + 1 :]) == {"a", "b", "c"} - kept


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["conv", "batch norm and dropout"])
def test_a_training_taken_up_at_an_epoch_ends_as_if_it_had_not_been_broken_off(kind):
    """Byte for byte, with a record, momentum, moving statistics and the states of dropout."""
    ends, states, seen = [], [], []
    for start in (None, 2):
        model = net(kind) if kind in NETS else awkward()
        trainer = Trainer(model, batch_size=16, optimizer=rule("adam"), record=True)
        more = {"checkpoint": lambda state, now: states.append((state(), now))} if start is None else {}
        more["hooks"] = [lambda epoch, _: seen.append(epoch)]
        more["initial_state"] = None if start is None else states[start][0]
        ends.append((trainer.fit((X, Y), TEST, epochs=5, seed=3, **more), [v.numpy() for v in model.variables]))
    (whole, a), (rest, b) = ends
    assert seen == [0, 1, 2, 3, 4, 5, 3, 4, 5]
    assert [now for _, now in states] == [False] * 5
    for name in ("train_loss", "test_accuracy", "step_loss", "layer_gradient_norms"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(rest, name))
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)
