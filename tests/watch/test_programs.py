"""What programs do around `fit`: data of unknown length, further calls of `compile`, hooks of their own.

Would miss: what a program does to a model from another thread.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import dlhw
from dlhw.errors import UserError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 4)).astype(np.float32)
Y = RNG.normal(size=(64, 1)).astype(np.float32)


def net(optimizer=None, **compiled):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(8, "relu", name="a"), keras.layers.Dense(1, name="b")]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile(optimizer or keras.optimizers.SGD(0.01), "mse", **compiled)
    return model


OTHERS = [{"jit_compile": True}, {"run_eagerly": True}, {"steps_per_execution": 2}]


@pytest.mark.parametrize("compiled", [{}, *(pytest.param(kind, marks=pytest.mark.slow) for kind in OTHERS)])
def test_data_of_unknown_length(compiled):
    """Keras looks for another batch after the last; in graphs, what does not depend on it runs all the same."""

    def batches():
        yield from ((X[:16], Y[:16]) for _ in range(3))

    signature = (tf.TensorSpec((None, 4)), tf.TensorSpec((None, 1)))
    watch = dlhw.Watch()
    data = tf.data.Dataset.from_generator(batches, output_signature=signature)
    net(**compiled).fit(data, epochs=2, verbose=0, callbacks=[watch])
    result = watch.result
    assert result.step.tolist() == [0, 1, 2, 3, 4, 5]
    assert result.epoch_step.tolist() == [3, 6]
    np.testing.assert_array_equal(result.examples, 16)
    assert (result.loss > 0).all()


@pytest.mark.slow
def test_many_steps_in_one_call_are_all_read():
    watch = dlhw.Watch(steps_per_read=16)
    x, y = np.tile(X, (20, 1)), np.tile(Y, (20, 1))
    net(steps_per_execution=64).fit(x, y, batch_size=1, epochs=1, verbose=0, callbacks=[watch])
    assert watch.result.step.tolist() == list(range(1280))


class ManyUpdates(keras.Sequential):
    def train_step(self, data):
        x, y = data
        for _ in range(10):
            with tf.GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x))
            self.optimizer.apply(tape.gradient(loss, self.trainable_weights), self.trainable_weights)
        return {"loss": loss}


@pytest.mark.slow
def test_many_updates_in_one_step_are_read_once_that_is_known():
    watch = dlhw.Watch(steps_per_read=32)
    keras.utils.set_random_seed(0)
    model = ManyUpdates([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X, Y, batch_size=1, epochs=2, verbose=0, callbacks=[watch])
    assert watch.result.updates.tolist() == [1280]
    assert len(watch.result.step) == 1280
    assert not watch.notes


@pytest.mark.slow
def test_layers_that_are_frozen_and_trained_later():
    model, watch = net(), dlhw.Watch()
    for trained in ("a", "b", "both"):
        for layer in model.layers:
            layer.trainable = trained in (layer.name, "both")
        model.compile(keras.optimizers.Adam(0.01), "mae")
        model.fit(X, Y, epochs=1, batch_size=32, verbose=0, callbacks=[watch])
    result = watch.result
    assert result.layers == ("optimizer: a", "optimizer 2: b", "optimizer 3: a", "optimizer 3: b")
    assert not watch.notes
    known = np.isfinite(result.gradient_norm)
    assert known.sum(axis=1).tolist() == [1, 1, 1, 1, 2, 2]
    assert watch.settings.optimizer.startswith("Adam")
    assert watch.settings.loss == "mae" or "absolute" in watch.settings.loss


class Warmup(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return 0.01 * (1 + tf.cast(step, tf.float32))


def test_a_schedule_without_a_configuration():
    watch = dlhw.Watch()
    net(keras.optimizers.SGD(Warmup())).fit(X, Y, batch_size=32, verbose=0, callbacks=[watch])
    np.testing.assert_allclose(watch.result.learning_rate, [0.01, 0.02], rtol=1e-6)


def test_logs_that_are_no_numbers():
    odd = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(best="yes", none=None))
    watch = dlhw.Watch()
    net().fit(X, Y, verbose=0, callbacks=[odd, watch])
    assert watch.result.history_names == ("loss",)


class WithLoss(keras.optimizers.SGD):
    def apply(self, grads, trainable_variables=None, loss=None):
        super().apply(grads, trainable_variables)
        return loss


class Returning(keras.Sequential):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x))
        gradients = tape.gradient(loss, self.trainable_weights)
        return {"returned": self.optimizer.apply(gradients, self.trainable_weights, loss=loss)}


def test_an_optimizer_whose_apply_takes_and_returns_more():
    model, watch = Returning([keras.Input((4,)), keras.layers.Dense(1)]), dlhw.Watch()
    model.compile(WithLoss(0.01), "mse")
    history = model.fit(X, Y, batch_size=64, verbose=0, callbacks=[watch]).history
    np.testing.assert_allclose(watch.result.loss, history["returned"], rtol=1e-6)


def test_methods_that_a_user_has_replaced_come_back():
    model = net()
    own = model.optimizer.apply
    calls = []

    def signs(gradients, variables=None):
        calls.append(1)
        return own([tf.sign(g) for g in gradients], variables)

    model.optimizer.apply = signs
    model.fit(X, Y, verbose=0, callbacks=[dlhw.Watch()])
    assert model.optimizer.apply is signs
    assert calls


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", [{"clipnorm": 100.0}, {"gradient_accumulation_steps": 1 + 1}])
def test_gradients_of_tensorflow_variables_are_known_where_they_are_clipped(optimizer):
    class Plain(keras.Sequential):
        def train_step(self, data):
            x, y = data
            variables = [v.value for v in self.trainable_weights]
            with tf.GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x))
            self.optimizer.apply(tape.gradient(loss, variables), variables)
            return {"loss": loss}

    model, watch = Plain([keras.Input((4,)), keras.layers.Dense(1)]), dlhw.Watch()
    model.compile(keras.optimizers.SGD(0.0, **optimizer), "mse")
    model.fit(X, Y, batch_size=64, epochs=2, shuffle=False, verbose=0, callbacks=[watch])
    result = watch.result
    assert not watch.notes
    np.testing.assert_allclose(result.applied_norm[-1], result.gradient_norm[-1], rtol=1e-5)


@pytest.mark.slow
def test_sparse_inputs_are_counted():
    model = keras.Sequential([keras.Input((4,), sparse=True), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    watch = dlhw.Watch()
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(16).map(lambda x, y: (tf.sparse.from_dense(x), y))
    model.fit(data, verbose=0, callbacks=[watch])
    assert watch.result.step.tolist() == [0, 1, 2, 3]


def test_two_watches_leave_nothing_behind():
    model, first, second = net(), dlhw.Watch(), dlhw.Watch()
    model.fit(X, Y, verbose=0, callbacks=[first, second])
    batches = first.session.step.batch_count()
    assert any("another Watch" in note for note in second.notes)
    model.fit(X, Y, verbose=0)
    assert first.session.step.batch_count() == batches
    assert not {"train_step", "compute_loss", "make_train_function"} & set(model.__dict__)


def test_functions_are_checked_before_training():
    with pytest.raises(UserError, match="two are called <lambda>"):
        dlhw.Watch(functions=[lambda m, p: 1.0, lambda m, p: 2.0])
    with pytest.raises(UserError, match="loss is 3, no function"):
        dlhw.Watch(functions={"loss": 3})
    for name in ("steps_per_read", "update_every"):
        with pytest.raises(UserError, match=f"`{name}` 2.5 must be a whole number"):
            dlhw.Watch(**{name: 2.5})
