"""Nets of MNIST and what lies between two of them."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from benchmarks.reproduce.reproduction import Reproduction, Values

SEEDS = range(3)
LENET, EPOCHS, BATCH, RATE = "300-100", 24, 60, 1.2e-3


@functools.lru_cache(maxsize=1)
def mnist() -> Any:
    """Return MNIST."""
    from dlhw import datasets

    return datasets.load("mnist")


@functools.cache
def lenet_pair(seed: int) -> tuple[Any, Any, Any, Any]:
    """Return LeNet-300-100, its initial weights, and those after two orders of the training data."""
    from dlhw import models, training

    data = mnist()
    net = models.image_net(LENET, data.shape, data.classes, init="keras", seed=seed)
    start = net.get_weights()
    trainer = training.Trainer(net, batch_size=BATCH, optimizer=training.optimizer("adam", RATE))
    ends = []
    for order in (2 * seed, 2 * seed + 1):
        net.set_weights(start)
        trainer.fit((data.x_train, data.y_train), (data.x_test, data.y_test), epochs=EPOCHS, seed=order)
        ends.append(net.get_weights())
    return net, start, *ends


def shared_start() -> Values:
    """Return the barrier of the test error between two trainings from one start, by seed."""
    from dlhw import measure, training

    data = mnist()
    values = {}
    for seed in SEEDS:
        net, _, a, b = lenet_pair(seed)
        profile = measure.line(
            net, a, b, training.cross_entropy, data.x_test, data.y_test, tuple(np.linspace(0, 1, 11))
        )
        values[f"seed {seed}"] = float(measure.barrier_over_mean(profile.alphas, 1 - profile.accuracy))
    return values


def start_to_end() -> Values:
    """Return the largest rise of the training loss between neighbouring points from the start to the end, by seed."""
    from dlhw import measure, training

    data = mnist()
    x, y = data.x_train[:10_000], data.y_train[:10_000]
    values = {}
    for seed in SEEDS:
        net, start, end, _ = lenet_pair(seed)
        profile = measure.line(net, start, end, training.cross_entropy, x, y, tuple(np.linspace(0, 1, 21)))
        values[f"seed {seed}"] = float(np.diff(profile.loss).max())
    return values


REPRODUCTIONS = (
    Reproduction(
        "shared-start",
        "Frankle et al. 2020: Linear mode connectivity and the lottery ticket hypothesis",
        "section 3, figure 2",
        "LeNet on MNIST is stable to the noise of SGD from its initial weights on: two trainings that differ in the "
        "order of their batches end in nets without a barrier between them (less than 2 points of error).",
        "below 0.02",
        "Largest test error on the line minus the mean of the ends",
        "LeNet-300-100 on MNIST, Adam at 0.0012, batch 60, 24 epochs (24,000 steps), as in the paper",
        float("-inf"),
        0.02,
        shared_start,
    ),
    Reproduction(
        "start-to-end",
        "Goodfellow, Vinyals and Saxe 2015: Qualitatively characterizing neural network optimization problems",
        "section 3",
        "On the line from the initial to the trained weights, the training loss falls monotonically.",
        "no rise",
        "Largest rise of the loss between neighbours of 21 points, in nats (negative: it falls everywhere)",
        "the nets of shared-start, 10,000 training images",
        float("-inf"),
        1e-3,
        start_to_end,
        "Their nets are trained by SGD. Lucas et al. 2021 (Analyzing monotonic linear interpolation in neural network "
        "loss landscapes) find that Adam breaks the property more often.",
    ),
)
