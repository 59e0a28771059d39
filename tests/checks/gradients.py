"""Gradients of small nets of tanh units in NumPy, written out by the chain rule: the oracle of the rules.

`hessian` differentiates `gradient` by central differences; `test_rules_hessian.py` compares nothing finer than those.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np


def weights(widths, seed):
    """Kernels and biases of a net, uniform in ±1/sqrt(inputs)."""
    rng = np.random.default_rng(seed)
    shapes = [s for a, b in pairwise(widths) for s in ((a, b), (b,))]
    scales = [a**-0.5 for a in widths[:-1] for _ in range(2)]
    return [rng.uniform(-s, s, shape) for s, shape in zip(scales, shapes, strict=True)]


def forward(tensors, x):
    """Activations of every layer; the last is linear."""
    layers = [x]
    for k in range(0, len(tensors), 2):
        z = layers[-1] @ tensors[k] + tensors[k + 1]
        layers.append(np.tanh(z) if k < len(tensors) - 2 else z)
    return layers


def backward(tensors, layers, delta):
    """Gradients of every tensor and of the inputs, from that of the outputs."""
    gradients = [None] * len(tensors)
    for k in range(len(tensors) - 2, -1, -2):
        h = layers[k // 2]
        gradients[k], gradients[k + 1] = h.T @ delta, delta.sum(0)
        delta = delta @ tensors[k].T
        if k:
            delta = delta * (1 - h**2)
    return gradients, delta


def squared(tensors, x, y):
    """Mean squared error and the gradient of every tensor."""
    layers = forward(tensors, x)
    error = layers[-1] - y
    return float((error**2).mean()), backward(tensors, layers, 2 * error / error.size)[0]


def entropy(tensors, x, labels, *, mean):
    """Cross entropy, gradients, and those of the inputs, of the mean loss of the batch or of the sum."""
    layers = forward(tensors, x)
    z = layers[-1] - layers[-1].max(1, keepdims=True)
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    rows = np.arange(len(x))
    loss = float(-np.log(p[rows, labels]).mean())
    p[rows, labels] -= 1
    gradients, of_inputs = backward(tensors, layers, p / len(x) if mean else p)
    return loss, gradients, of_inputs


def split(vector, like):
    """A vector cut into tensors of the shapes of others."""
    ends = np.cumsum([t.size for t in like])
    return [part.reshape(t.shape) for part, t in zip(np.split(vector, ends[:-1]), like, strict=True)]


def hessian(tensors, x, y, step=1e-5):
    """The Hessian of the squared error, by central differences of the gradient."""
    center = np.concatenate([t.ravel() for t in tensors])

    def gradient(vector):
        return np.concatenate([g.ravel() for g in squared(split(vector, tensors), x, y)[1]])

    columns = [gradient(center + step * e) - gradient(center - step * e) for e in np.eye(len(center))]
    matrix = np.array(columns) / (2 * step)
    return (matrix + matrix.T) / 2
