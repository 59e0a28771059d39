"""What a program of the benchmark is, and what is true of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

CODES = (
    "gradient-vanishes",
    "gradient-explodes",
    "dead-units",
    "saturated-units",
    "update-ratio-high",
    "update-ratio-low",
    "loss-not-finite",
    "rate-above-edge",
    "rate-below-edge",
    "nothing-learned",
    "output-and-loss",
    "broadcast-targets",
    "inputs-unscaled",
    "targets-unscaled",
    "constant-weights",
    "overfitting",
    "running-mean",
    "noise-scale",
    "dropout-extreme",
    "probe-differs",
    "no-gradient",
)
"""Codes of findings that a truth may accept."""
PLACES = ("data", "loss", "optimizer", "batch", "dropout", "generalization")
"""Where a fault may be, beside in a layer."""


@dataclass(frozen=True)
class Training:
    """A compiled model and what `fit` is called with."""

    model: Any  # a compiled keras.Model
    x: Any
    y: Any
    probe: tuple[Any, Any]  # held-out inputs and targets, as the author of the program has them
    epochs: int
    batch_size: int = 32
    fit: Mapping[str, Any] = field(default_factory=dict)  # further arguments of `fit`


@dataclass(frozen=True)
class Truth:
    """What is wrong with a broken program."""

    kind: str  # of fault
    wrong: str  # one sentence
    codes: tuple[str, ...]  # findings that are true of it
    places: tuple[str, ...]  # where the fault is: names of layers, or loss, optimizer, data, batch, dropout
    source: str  # where such a program is described


@dataclass(frozen=True)
class Criterion:
    """When a training counts as healthy: a score on held-out data, which no rule of a finding knows."""

    metric: str  # a column of evaluate: accuracy, loss, ...
    bound: float
    at_least: bool = True  # False: at most

    def holds(self, scores: Mapping[str, float]) -> bool:
        value = scores.get(self.metric, float("nan"))
        return bool(value >= self.bound if self.at_least else value <= self.bound)


@dataclass(frozen=True)
class Program:
    """A training that is judged: broken if it has a truth, healthy if it has a criterion."""

    name: str
    build: Callable[[int], Training]
    truth: Truth | None = None
    criterion: Criterion | None = None
    kind: str = ""  # of net and data, of a healthy one
    family: str = ""  # trainings of one family stay in one half
    seed: int = 0
