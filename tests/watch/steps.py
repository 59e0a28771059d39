"""Kinds whose `train_step` is the user's, with one optimizer or two."""

from __future__ import annotations

import dlhw  # noqa: F401  (sets KERAS_BACKEND)
from tests.watch.kinds import CROSS_ENTROPY, Case, L, add, floats, labels, softmax
from tests.watch.oracle import Call

import keras  # isort: skip
import tensorflow as tf  # isort: skip


class OwnTape(keras.Sequential):
    """A step that knows nothing of Keras's losses."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self(x, training=True) - y) ** 2)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


class OwnStep(keras.Sequential):
    """The step of Keras's guide: own tape, `compute_loss`, `optimizer.apply`."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            outputs = self(x, training=True)
            loss = self.compute_loss(x=x, y=y, y_pred=outputs)
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}


RADIUS = 0.05


def whole_norm(gradients):
    return tf.sqrt(tf.add_n([tf.reduce_sum(g**2) for g in gradients]))


class Sam(keras.Sequential):
    """Sharpness-aware minimization: the gradient where the loss is highest nearby."""

    def train_step(self, data):
        x, y = data
        variables = self.trainable_variables
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x=x, y=y, y_pred=self(x, training=True))
        first = tape.gradient(loss, variables)
        ascent = [RADIUS * g / whole_norm(first) for g in first]
        before = [tf.identity(v.value) for v in variables]
        for variable, step in zip(variables, ascent, strict=True):
            variable.assign_add(step)
        with tf.GradientTape() as tape:
            second = self.compute_loss(x=x, y=y, y_pred=self(x, training=True))
        gradients = tape.gradient(second, variables)
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return {"loss": loss}


def tape_of(model, x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
    return loss, tape.gradient(loss, model.trainable_variables)


def plain_calls(case, model, x, y, weight):
    loss, gradients = tape_of(model, x, y)
    yield Call(loss, model.trainable_variables, [gradients])


def sam_calls(case, model, x, y, weight):
    loss, first = tape_of(model, x, y)
    before = [v.numpy() for v in model.trainable_variables]
    for variable, gradient in zip(model.trainable_variables, first, strict=True):
        variable.assign(variable.numpy() + RADIUS * gradient.numpy() / whole_norm(first).numpy())
    _, second = tape_of(model, x, y)
    for variable, value in zip(model.trainable_variables, before, strict=True):
        variable.assign(value)
    yield Call(loss, model.trainable_variables, [second])


def small(model_class):
    return model_class([keras.Input((4,)), L.Dense(6, "tanh"), L.Dense(2)])


@add("train_step with a tape of its own")
def own_tape():
    return Case(small(OwnTape), floats(4), floats(2, seed=1), calls=plain_calls, loss_known=False)


@add("train_step with compute_loss")
def own_step():
    return Case(small(OwnStep), floats(4), floats(2, seed=1), calls=plain_calls)


@add("SAM")
def sam():
    return Case(small(Sam), floats(4), floats(2, seed=1), calls=sam_calls)


class Gan(keras.Model):
    """Two nets with an optimizer each, as in Keras's guide; the noise comes with the data."""

    def __init__(self):
        super().__init__()
        self.critic = keras.Sequential(
            [keras.Input((2,)), L.Dense(5, "tanh", name="a"), L.Dense(1, name="b")], name="critic"
        )
        self.maker = keras.Sequential(
            [keras.Input((3,)), L.Dense(4, "tanh", name="a"), L.Dense(2, name="b")], name="maker"
        )
        self.built = True

    def compile(self, optimizer, critic_optimizer, **more):
        super().compile(optimizer=optimizer, **more)
        self.critic_optimizer = critic_optimizer

    def call(self, x):
        return self.critic(self.maker(x))

    def losses_of(self, real, noise):
        return [
            hinge(self.critic(real), 1.0) + hinge(self.critic(self.maker(noise)), -1.0),
            -tf.reduce_mean(self(noise)),
        ]

    def train_step(self, data):
        real, noise = data
        logs = {}
        for k, (name, net, optimizer) in enumerate(
            [("critic", self.critic, self.critic_optimizer), ("maker", self.maker, self.optimizer)]
        ):
            with tf.GradientTape() as tape:
                loss = self.losses_of(real, noise)[k]
            optimizer.apply_gradients(
                zip(tape.gradient(loss, net.trainable_weights), net.trainable_weights, strict=True)
            )
            logs[name] = loss
        return logs


def hinge(outputs, sign):
    return tf.reduce_mean(tf.nn.relu(1.0 - sign * outputs))


def gan_calls(case, model, real, noise, weight):
    for k, net in ((1, model.critic), (0, model.maker)):
        with tf.GradientTape() as tape:
            loss = model.losses_of(real, noise)[1 - k]
        yield Call(loss, net.trainable_weights, [tape.gradient(loss, net.trainable_weights)], rule=k)


@add("GAN with two optimizers")
def gan():
    return Case(Gan(), floats(2), floats(3, seed=1), None, calls=gan_calls, rules=2, loss_known=False)


class Noisy(keras.Sequential):
    """Noise of TensorFlow's own generators, drawn before the update and after it."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x=x, y=y, y_pred=self(x + tf.random.normal(tf.shape(x)), training=True))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss, "noise": tf.reduce_mean(tf.random.uniform([3]))}


@add("train_step that draws noise")
def noisy():
    return Case(small(Noisy), floats(4), floats(2, seed=1), random=True)


@add("seeded layers that draw")
def noise_layers():
    layers = L.GaussianNoise(0.3, seed=1), L.Dense(6, "relu"), L.AlphaDropout(0.2), softmax()
    return Case(keras.Sequential([keras.Input((4,)), *layers]), floats(4), labels(), CROSS_ENTROPY, random=True)
