"""A multilayer perceptron in NumPy, as people write one: full-batch descent, gradients of parts of the batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Array = np.ndarray

ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array, Array], Array]]] = {
    "relu": (lambda z: np.maximum(z, 0), lambda z, a: (z > 0).astype(float)),
    "tanh": (np.tanh, lambda z, a: 1 - a**2),
}


class Net:
    """Weights and the gradients of the mean squared error; kernel and bias of a layer in turn, as in Keras."""

    def __init__(self, weights: Sequence[Array], activation: str = "relu") -> None:
        self.weights = [np.asarray(w, float) for w in weights]
        self.act, self.slope = ACTIVATIONS[activation]

    def forward(self, x: Array) -> tuple[Array, list[tuple[Array, Array, Array]]]:
        steps, h, last = [], x, len(self.weights) // 2 - 1
        for k in range(last + 1):
            z = h @ self.weights[2 * k] + self.weights[2 * k + 1]
            a = z if k == last else self.act(z)
            steps.append((h, z, a))
            h = a
        return h, steps

    def gradient(self, x: Array, y: Array) -> tuple[float, list[Array]]:
        """Return the mean squared error and its gradient."""
        out, steps = self.forward(x)
        error = out - y
        gradients: list[Array] = []
        delta = 2 * error / error.size
        for k in reversed(range(len(steps))):
            h, z, a = steps[k]
            if k < len(steps) - 1:
                delta = delta * self.slope(z, a)
            gradients = [h.T @ delta, delta.sum(0), *gradients]
            delta = delta @ self.weights[2 * k].T
        return float((error**2).mean()), gradients

    def descend(self, gradients: Sequence[Array], rate: float) -> None:
        for w, g in zip(self.weights, gradients, strict=True):
            w -= rate * g


def norm(gradients: Sequence[Array]) -> float:
    return float(np.sqrt(sum((g**2).sum() for g in gradients)))


def layer_norms(gradients: Sequence[Array]) -> list[float]:
    return [norm(gradients[k : k + 2]) for k in range(0, len(gradients), 2)]
