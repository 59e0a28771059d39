"""A classifier in NumPy on the digits of scikit-learn: an oracle for the curves of right and wrong measurements."""

from __future__ import annotations

import functools
import itertools

import numpy as np
from sklearn.datasets import load_digits

from dlhw.checks.examination import examine, table_of
from dlhw.checks.items import item

CLASSES = 10


def codes(name, **values):
    """Return the codes that the rules of an item detect."""
    return {detection.code for detection in examine(table_of(item(name), values)).detections}


def lacking(name, code, **values):
    """Return why a rule could not decide, or None."""
    return dict(examine(table_of(item(name), values)).undecided).get(code)


def reason(name, code, **values):
    """Return the reason of a detection."""
    return next(d.text for d in examine(table_of(item(name), values)).detections if d.code == code)


@functools.cache
def digits():
    """Return 1200 training and 597 test images."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    x, y = x[order] / 16, y[order]
    return x[:1200], y[:1200], x[1200:], y[1200:]


def start(seed, *widths):
    """Return kernels and biases of a net, uniform in +-1/sqrt(fan in)."""
    rng, sizes = np.random.default_rng(seed), (64, *widths, CLASSES)
    draws = ((a, rng.uniform(-1, 1, (a, b)), rng.uniform(-1, 1, b)) for a, b in itertools.pairwise(sizes))
    return [w / np.sqrt(a) for a, kernel, bias in draws for w in (kernel, bias)]


def forward(weights, x):
    """Return the outputs of all layers, the input first."""
    layers = [x]
    for k in range(0, len(weights), 2):
        z = layers[-1] @ weights[k] + weights[k + 1]
        layers.append(z if k == len(weights) - 2 else np.maximum(z, 0))
    return layers


def log_softmax(z):
    z = z - z.max(1, keepdims=True)
    return z - np.log(np.exp(z).sum(1, keepdims=True))


def evaluate(weights, x, y):
    """Return cross entropy and accuracy."""
    z = forward(weights, x)[-1]
    return float(-log_softmax(z)[np.arange(len(y)), y].mean()), float((z.argmax(1) == y).mean())


def epoch(weights, x, y, rng, rate=0.1, batch=32):
    """Train for one epoch in place; return the mean of the losses and accuracies of the batches, before their steps."""
    order, sums = rng.permutation(len(y)), np.zeros(2)
    for rows in np.split(order, range(batch, len(y), batch)):
        layers, ones = forward(weights, x[rows]), np.eye(CLASSES)[y[rows]]
        sums += np.array(evaluate(weights, x[rows], y[rows])) * len(rows)
        delta = (np.exp(log_softmax(layers[-1])) - ones) / len(rows)
        for k in reversed(range(0, len(weights), 2)):
            before = layers[k // 2]
            gradients = before.T @ delta, delta.sum(0)
            delta = (delta @ weights[k].T) * (before > 0)
            weights[k] -= rate * gradients[0]
            weights[k + 1] -= rate * gradients[1]
    return sums / len(y)


def columns(rows, first=1, name="epoch"):
    """Return the columns of a table from rows of training loss, training accuracy, test loss and test accuracy."""
    names = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
    return {name: np.arange(first, first + len(rows)), **dict(zip(names, np.array(rows).T, strict=True))}


@functools.cache
def curves(seed, epochs=8, widths=(30,), rate=0.1):
    """Return the rows of a training evaluated after the epochs, from the start, and the running means."""
    x, y, x_test, y_test = digits()
    weights, rng = start(seed, *widths), np.random.default_rng(100 + seed)
    after, running = [(*evaluate(weights, x, y), *evaluate(weights, x_test, y_test))], []
    for _ in range(epochs):
        running.append(epoch(weights, x, y, rng, rate))
        after.append((*evaluate(weights, x, y), *evaluate(weights, x_test, y_test)))
    return after, [(*mean, *row[2:]) for mean, row in zip(running, after[1:], strict=True)]


@functools.cache
def trained(seed, epochs=8, widths=(30,), rate=0.1):
    """Return the weights after a training."""
    x, y, *_ = digits()
    weights, rng = start(seed, *widths), np.random.default_rng(100 + seed)
    for _ in range(epochs):
        epoch(weights, x, y, rng, rate)
    return weights
