"""What an instrument must give, computed plainly: `model.evaluate`, an eager GradientTape, differences.

They share no code with the library but Keras itself. What they would miss: a mistake in the definition that Keras's own
`evaluate` makes too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf


def variables_of(model: Any) -> list[Any]:
    """Every variable, those of layers that Keras does not list too."""
    found = {id(v): v for v in model.variables}
    for layer in model._flatten_layers():
        for value in vars(layer).values():
            for v in value if isinstance(value, (list, tuple)) else [value]:
                if isinstance(v, (tf.Variable, keras.Variable)):
                    found[id(v)] = v
    return list(found.values())


@contextmanager
def restored(model: Any) -> Iterator[None]:
    before = [(v, v.numpy()) for v in variables_of(model)]
    try:
        yield
    finally:
        for variable, value in before:
            variable.assign(value)


def evaluate(model: Any, loss: Any, x: Any, y: Any) -> float:
    """What Keras reports for all examples as one batch."""
    with restored(model):
        model.compile(loss=loss, run_eagerly=True)
        return float(model.evaluate(x, y, batch_size=len(y), verbose=0))


def flat(model: Any) -> np.ndarray:
    return np.concatenate([np.ravel(v.numpy()) for v in model.trainable_variables])


def place(model: Any, theta: np.ndarray) -> None:
    at = 0
    for v in model.trainable_variables:
        size = int(np.prod(v.shape))
        v.assign(theta[at : at + size].reshape(v.shape))
        at += size


def gradient(model: Any, loss: Any, x: Any, y: Any) -> np.ndarray:
    """Gradient of what Keras minimizes, in inference mode."""
    with restored(model):
        model.compile(loss=loss)
        with tf.GradientTape() as tape:
            z = model(x, training=False)
            value = model.compute_loss(x=x, y=tf.convert_to_tensor(y), y_pred=z)
        variables = [v.value for v in model.trainable_variables]
        parts = tape.gradient(value, variables, unconnected_gradients="zero")
    return np.concatenate([np.ravel(tf.convert_to_tensor(p)) for p in parts]).astype(np.float64)


def product(model: Any, loss: Any, x: Any, y: Any, v: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Hessian times v, by central differences of the gradient with Richardson's extrapolation."""
    theta = flat(model)

    def at(t: np.ndarray) -> np.ndarray:
        place(model, t)
        return gradient(model, loss, x, y)

    one, two = ((at(theta + k * step * v) - at(theta - k * step * v)) / (2 * k * step) for k in (1, 2))
    place(model, theta)
    return (4 * one - two) / 3


def gauss_newton_product(model: Any, loss: Any, x: Any, y: Any, v: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """J' times the derivative along v of the gradient of the loss in the outputs, by central differences; J stays."""
    theta, variables = flat(model), [w.value for w in model.trainable_variables]

    def slope(t: np.ndarray) -> Any:
        with restored(model):
            model.compile(loss=loss)
            place(model, t)
            z = model(x, training=False)
            mask = getattr(z, "_keras_mask", None)
            with tf.GradientTape() as tape:
                copy = tf.identity(z)
                tape.watch(copy)
                if mask is not None:
                    copy._keras_mask = mask
                value = model._compile_loss(tf.convert_to_tensor(y), copy)
            return tape.gradient(value, copy, unconnected_gradients="zero")

    along = (slope(theta + step * v) - slope(theta - step * v)) / (2 * step)
    with restored(model), tf.GradientTape() as tape:
        z = model(x, training=False)
    parts = tape.gradient(z, variables, output_gradients=tf.cast(along, z.dtype), unconnected_gradients="zero")
    return np.concatenate([np.ravel(tf.convert_to_tensor(p)) for p in parts]).astype(np.float64)


def output_gradient(model: Any, x: Any, k: int) -> np.ndarray:
    """Gradient of output k, all outputs of all examples in one row, with respect to the weights."""
    with restored(model), tf.GradientTape() as tape:
        number = tf.reshape(model(x, training=False), [-1])[k]
    variables = [w.value for w in model.trainable_variables]
    parts = tape.gradient(number, variables, unconnected_gradients="zero")
    return np.concatenate([np.ravel(tf.convert_to_tensor(p)) for p in parts]).astype(np.float64)


def sensitivities(model: Any, loss: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """|d loss_i / d x_i|, example by example, what layers add left out."""
    model.compile(loss=loss)
    norms = []
    for i in range(len(y)):
        with restored(model), tf.GradientTape() as tape:
            one = tf.constant(x[i : i + 1])
            tape.watch(one)
            z = model(one, training=False)
            value = model._compile_loss(tf.convert_to_tensor(y[i : i + 1]), z)
        norms.append(float(tf.norm(tf.cast(tape.gradient(value, one), tf.float64))))
    return np.array(norms)


def jacobians(model: Any, x: np.ndarray, of: str) -> np.ndarray:
    """|d f(x_i) / d x_i|, example by example."""
    norms = []
    for i in range(len(x)):
        with restored(model), tf.GradientTape(persistent=True) as tape:
            one = tf.constant(x[i : i + 1])
            tape.watch(one)
            z = model(one, training=False)
            f = tf.unstack(tf.reshape(tf.nn.softmax(z) if of == "softmax" else z, [-1]))
        rows = [tape.gradient(number, one) for number in f]
        norms.append(float(tf.norm(tf.stack([tf.cast(row, tf.float64) for row in rows if row is not None]))))
    return np.array(norms)


def trained(model: Any, loss: Any, x: Any, y: Any, orders: list[np.ndarray], rate: float) -> list[np.ndarray]:
    """The trainable weights after steps of Keras on the whole batch, one for every order of the examples."""
    with restored(model):
        model.compile(optimizer=keras.optimizers.SGD(rate), loss=loss, run_eagerly=True)
        for order in orders:
            rows = keras.tree.map_structure(lambda a: tf.gather(a, order), x)  # noqa: B023
            model.train_on_batch(rows, y[order])
        return [v.numpy() for v in model.trainable_variables]
