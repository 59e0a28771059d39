"""Whole spectra of Hessians of small nets, and eigenvalues of blocks in their place."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.checking.corpus import Case, Family

# task, hidden widths, activation, steps of training
SETTINGS: tuple[tuple[str, tuple[int, ...], str, int], ...] = (
    ("sinc", (10, 10), "tanh", 3000),
    ("square", (12, 6), "tanh", 2000),
    ("damped", (24,), "softplus", 2000),
    ("runge", (8, 8, 8), "tanh", 3000),
    ("sin", (16, 10), "sigmoid", 1000),
    ("sinc", (10, 18, 15, 4), "relu", 2000),
    ("digits", (6,), "tanh", 1000),
    ("digits", (4, 4), "gelu", 1000),
)


def data(task: str) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and targets: a function of x, or digits of 4x4 pixels with one-hot targets."""
    from dlhw.datasets import functions
    from dlhw.experiments.minimal_ratio import examples

    if task == "digits":
        return examples.digits()
    x = np.linspace(-1, 1, 100)
    return x[:, None], functions.sample(task, x, "unit", (-1.0, 1.0))[:, None]


def spectra(setting: tuple[Any, ...]) -> Iterator[Case]:
    from dlhw import measure, models, training

    task, widths, activation, steps = setting
    x, y = data(task)
    first = 10 * SETTINGS.index(setting)
    shape = {"inputs": x.shape[1], "outputs": y.shape[1]}
    nets = [models.mlp(widths, activation=activation, seed=first + s, dtype="float64", **shape) for s in range(4)]
    training.fit_many(nets, x, y, steps=steps, optimizer="adam", workers=1)
    objective = measure.StackedObjective(nets, x, y, block=1)
    sizes = [int(np.prod(w.shape)) for w in nets[0].get_weights()]
    for s, theta in enumerate(objective.stack(nets)):
        _, _, (matrix,) = objective.hessian(theta[None])
        values, seed, P = np.linalg.eigvalsh(matrix), first + s, len(theta)
        whole = {"parameters": P, "complete": "yes"}
        yield case(values, whole if s % 2 == 0 else {"parameters": P}, seed, "whole")
        yield case(values[::-1][:10], {"parameters": P, "complete": "no"}, seed, "ten largest")
        for variant, wrong in in_blocks(matrix, sizes).items():
            if len(wrong) != P:
                yield case(wrong, whole, seed, variant, "blocks-for-the-hessian")


def in_blocks(matrix: np.ndarray, sizes: list[int]) -> dict[str, np.ndarray]:
    """Return the eigenvalues of blocks: those of kernels alone, of one tensor, and of every square block of a pair."""
    ends = np.cumsum([0, *sizes])
    spans = [slice(a, b) for a, b in itertools.pairwise(ends)]
    kernels = spans[::2]
    largest = max(spans, key=lambda span: span.stop - span.start)
    square = [matrix[p, q] for p in spans for q in spans if p.stop - p.start == q.stop - q.start]
    return {
        "kernels": np.sort(np.concatenate([np.linalg.eigvalsh(matrix[k, k]) for k in kernels])),
        "one tensor": np.linalg.eigvalsh(matrix[largest, largest]),
        "square blocks": np.sort(np.concatenate([np.linalg.eigvals(block).real for block in square])),
    }


def case(values: np.ndarray, facts: dict[str, Any], seed: int, variant: str, mistake: str | None = None) -> Case:
    columns = {"rank": np.arange(1, len(values) + 1), "eigenvalue": values}
    return Case("hessian", columns, facts, mistake=mistake, seed=seed, variant=variant)


FAMILIES = tuple(
    Family(f"spectra/{task}-{'-'.join(map(str, widths))}-{activation}", partial(spectra, s))
    for s in SETTINGS
    for task, widths, activation, _ in [s]
)
