"""The list of healthy trainings, filled by a decorator, and what many of them share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from benchmarks.doctor.program import Criterion, Program, Training

HEALTHY: list[Program] = []


def healthy(
    kind: str, metric: str, bound: float, choices: Mapping[str, Any], at_least: bool | None = None
) -> Callable[..., Any]:
    """Add one program for every choice to HEALTHY: the decorated function is called with a seed and the choice.

    Args:
        kind: of net and data.
        metric: the column of `evaluate` on held-out data that decides.
        bound: what it must reach; a loss must stay at or under it.
        choices: names and values of the second argument; each gets a seed of its own.
        at_least: whether the bound is a lower one; None: unless the metric is a loss or error.
    """
    lower = at_least if at_least is not None else metric not in ("loss", "mae", "mse")

    def add(build: Callable[[int, Any], Training]) -> Callable[[int, Any], Training]:
        family = build.__name__.replace("_", "-")
        for number, (name, choice) in enumerate(choices.items()):
            HEALTHY.append(
                Program(
                    f"{family}-{name}",
                    lambda seed, choice=choice: build(seed, choice),
                    criterion=Criterion(metric, bound, lower),
                    kind=kind,
                    family=family,
                    seed=number,
                )
            )
        return build

    return add


def stack(shape: tuple[int, ...], *layers: Any) -> Any:
    return keras.Sequential([keras.Input(shape), *layers])


def hidden(count: int, units: int, activation: str, **options: Any) -> list[Any]:
    return [keras.layers.Dense(units, activation, **options) for _ in range(count)]


def optimizer(name: str) -> Any:
    """Return an optimizer with a rate that works for small nets on scaled inputs."""
    every = keras.optimizers
    return {
        "sgd": lambda: every.SGD(0.1),
        "heavy-ball": lambda: every.SGD(0.02, momentum=0.9),
        "nesterov": lambda: every.SGD(0.02, momentum=0.9, nesterov=True),
        "adam": lambda: every.Adam(1e-3),
        "adam-fast": lambda: every.Adam(5e-3),
        "adamw": lambda: every.AdamW(2e-3, weight_decay=1e-3),
        "rmsprop": lambda: every.RMSprop(1e-3),
        "nadam": lambda: every.Nadam(1e-3),
    }[name]()


def named(*names: str) -> dict[str, str]:
    """Return choices whose values are their names."""
    return {name: name for name in names}
