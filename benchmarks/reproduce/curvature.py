"""The largest eigenvalues of the Hessian, and the gradient in their space."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from benchmarks.reproduce.reproduction import Reproduction, Values

SEEDS, EXAMPLES, CLASSES, PAIRS = range(3), 2000, 10, 15


@functools.cache
def leading(seed: int) -> tuple[Any, Any]:
    """Return the gradient, and the leading eigenpairs of the Hessian, of a CNN after two epochs on 2000 images."""
    from dlhw import measure, models, training
    from dlhw.datasets import load

    data = load("mnist")
    x, y = data.x_train[:EXAMPLES], data.y_train[:EXAMPLES]
    net = models.image_net("10c5-p2-20c5-p2-50", data.shape, data.classes, seed=seed)
    trainer = training.Trainer(net, batch_size=64, optimizer=training.optimizer("sgd", 0.05))
    trainer.fit((x, y), (data.x_test[:1000], data.y_test[:1000]), epochs=10, seed=seed)
    objective = measure.Objective(net, training.cross_entropy, x, y)
    pairs = measure.eigenpairs(measure.hessian(net, training.cross_entropy, x, y), k=PAIRS, steps=100)
    return objective.gradient()[1], pairs


def gradient_in_subspace() -> Values:
    """Return the share of the squared gradient in the space of the ten leading eigenvectors, by seed."""
    values = {}
    for seed in SEEDS:
        gradient, pairs = leading(seed)
        inside = pairs.vectors[:CLASSES] @ gradient
        values[f"seed {seed}"] = float((inside**2).sum() / (gradient**2).sum())
    return values


def outliers() -> Values:
    """Return after how many eigenvalues the largest drop of their logarithm comes, by seed."""
    values = {}
    for seed in SEEDS:
        _, pairs = leading(seed)
        drops = pairs.values[2:-1] / pairs.values[3:]  # the drop after the first or second is not that of the bulk
        values[f"seed {seed}"] = float(np.argmax(drops) + 3)
    return values


REPRODUCTIONS = (
    Reproduction(
        "gradient-in-subspace",
        "Gur-Ari, Roberts and Dyer 2018: Gradient descent happens in a tiny subspace",
        "figure 1",
        "After a short time of training, most of the gradient lies in the space of as many leading eigenvectors of "
        "the Hessian as there are classes.",
        "most of it",
        "Share of the squared norm of the gradient in the space of ten eigenvectors",
        "CNN of 21,840 weights, 2000 images of MNIST, ten epochs of SGD at 0.05; gradient and Hessian of all images",
        0.5,
        1.0,
        gradient_in_subspace,
        "A random direction has a share of 10 / 21,840.",
    ),
    Reproduction(
        "outliers",
        "Sagun et al. 2018: Empirical analysis of the Hessian of over-parametrized neural networks",
        "spectra after training",
        "The Hessian has a bulk near zero and about as many outliers as there are classes.",
        "about 10",
        "Number of eigenvalues before the largest ratio of neighbours, of those after the second",
        "the nets of gradient-in-subspace",
        8,
        11,
        outliers,
        "Where the bulk begins is read from fifteen eigenvalues, which is a rule of ours; the paper counts by eye.",
    ),
)
