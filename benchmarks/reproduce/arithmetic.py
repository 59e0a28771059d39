"""Numbers that need no training of a net, or hardly any."""

from __future__ import annotations

import numpy as np

from benchmarks.reproduce.reproduction import Reproduction, Values


def random_walk() -> Values:
    """Return the share of the first principal component of random walks, by seed."""
    from dlhw import measure

    def share(seed: int) -> float:
        steps = np.random.default_rng(seed).normal(size=(500, 5000))
        return float(measure.pca(np.cumsum(steps, axis=0)).explained[0])

    return {f"seed {seed}": share(seed) for seed in range(5)}


def filter_normalization() -> Values:
    """Return by how much the surface of a net and that of a rescaled copy differ, relative to its range."""
    from dlhw import datasets, measure, models, training

    data = datasets.load("digits")
    test = data.x_test, data.y_test
    grid = np.linspace(-1, 1, 7)
    values = {}
    for seed in range(3):
        net = models.image_net("8c3-p2-30", data.shape, data.classes, seed=seed)
        trainer = training.Trainer(net, batch_size=32, optimizer=training.optimizer("sgd", 0.02, 0.9))
        trainer.fit((data.x_train, data.y_train), test, epochs=5, seed=seed)
        surfaces = []
        for factor in (1.0, 10.0):
            layers = [layer for layer in net.layers if layer.trainable_variables]
            first, second = layers[0], layers[1]
            kernel, bias = first.get_weights()
            first.set_weights([factor * kernel, factor * bias])
            kernel, bias = second.get_weights()
            second.set_weights([kernel / factor, bias])
            plane = measure.random_plane(measure.flat(net), net, norm="filter", seed=seed)
            surfaces.append(measure.surface(net, plane, training.cross_entropy, *test, grid, grid).loss)
        values[f"seed {seed}"] = float(np.abs(surfaces[1] - surfaces[0]).max() / np.ptp(surfaces[0]))
    return values


REPRODUCTIONS = (
    Reproduction(
        "random-walk",
        "Antognini and Sohl-Dickstein 2018: PCA of high dimensional random walks with comparison to neural network "
        "training",
        "section 2",
        "The principal components of a random walk in many dimensions explain 6 / (pi k)^2 of its variance, so the "
        "first 61 %.",
        "0.608",
        "Fraction of the variance along the first component",
        "walks of 500 normal steps in 5000 dimensions",
        0.58,
        0.63,
        random_walk,
        "A path of weights with 61 % and 15 % in its first components is therefore no sign of a direction.",
    ),
    Reproduction(
        "filter-normalization",
        "Li et al. 2018: Visualizing the loss landscape of neural nets",
        "section 4",
        "Filter-normalized surfaces do not change if the weights of a ReLU net are rescaled without changing the net.",
        "0",
        "Largest difference of the surfaces of a net and of its copy with the first layer times 10 and the second by "
        "10, relative to the range of the loss",
        "8c3-p2-30 on digits, 7 x 7 points from -1 to 1",
        0,
        1e-3,
        filter_normalization,
        "Biases do not move in filter-normalized directions, so that the invariance is exact but for rounding.",
    ),
)
