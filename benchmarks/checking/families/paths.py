"""Principal components of paths of weights in training, and of random walks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.checking.corpus import Case, Family

# data, net, epochs, points every so many epochs, learning rate, optimizer, examples, batch size
SETTINGS: tuple[tuple[str, str, int, int, float, str, int, int], ...] = (
    ("digits", "50-9", 24, 1, 0.02, "sgd", 0, 64),
    ("digits", "30", 40, 2, 0.05, "sgd", 0, 32),
    ("digits", "100-20", 30, 3, 0.001, "adam", 0, 32),
    ("digits", "8c3-p2-30", 20, 1, 0.01, "sgd", 600, 32),
    ("digits", "20-20-20", 30, 2, 0.002, "adam", 0, 128),
    ("mnist-5k", "40-9", 12, 1, 0.02, "sgd", 1500, 64),
    ("mnist-5k", "100-9", 24, 3, 0.01, "sgd", 2000, 64),
    ("fashion-mnist", "50", 10, 1, 0.001, "adam", 2000, 64),
)
# points, weights, standard deviation of a step relative to the start
WALKS: tuple[tuple[int, int], ...] = ((9, 3000), (25, 5000), (13, 20000), (40, 2000), (100, 4000), (60, 10000))


def trained(setting: tuple[Any, ...]) -> Iterator[Case]:
    import dlhw

    data, net, epochs, every, rate, optimizer, examples, size = setting
    seed = 10 * SETTINGS.index(setting)
    run = dlhw.run(
        "trajectory",
        dlhw.Context(xla="off", layout="plain", jobs=1),
        data=data.removesuffix("-5k"),
        net=net,
        epochs=epochs,
        every=every,
        learning_rate=rate,
        optimizer=optimizer,
        examples=examples or (4000 if data == "mnist-5k" else 0),
        batch_size=size,
        seed=seed,
        seeds=4,
    )
    shares = run.result.own_explained
    points, weights = len(run.result.epochs), run.settings.parameters(net)
    for s in range(4):
        facts = {"points": points, "weights": weights}
        yield case(shares[0, s], facts if s % 2 == 0 else {"points": points}, seed + s, "whole model")
        if s < 2:
            yield case(shares[1, s, :10], facts if s else {}, seed + s, "first layer, ten components")
    pooled = run.result.pooled_explained[0]
    yield case(pooled, {"weights": weights}, seed, "four trainings together")


def walks(setting: tuple[int, int]) -> Iterator[Case]:
    """Points that a random walk visits: nothing was learned between them."""
    from dlhw.measure import pca

    points, weights = setting
    for seed in range(6):
        rng = np.random.default_rng([points, seed])
        size = rng.uniform(0.2, 3, weights) if seed % 2 else 1.0  # tensors may differ in scale
        path = np.cumsum(rng.normal(0, 1, (points, weights)) * size, axis=0)
        shares = pca(path).explained
        shown = shares if seed % 3 else shares[:10]
        yield case(shown, {"points": points, "weights": weights}, seed, "random walk", "random-walk-shares")


def case(shares: np.ndarray, facts: dict[str, Any], seed: int, variant: str, mistake: str | None = None) -> Case:
    columns = {"component": np.arange(1, len(shares) + 1), "share": shares}
    return Case("pca-path", columns, facts, mistake=mistake, seed=seed, variant=variant)


FAMILIES = (
    *(Family(f"walks/{points}-{weights}", partial(walks, s)) for s in WALKS for points, weights in [s]),
    *(Family(f"paths/{s[0]}-{s[1]}-{s[5]}-{s[7]}", partial(trained, s)) for s in SETTINGS),
)
