"""The list of broken programs, filled by a decorator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from benchmarks.doctor.program import Program, Training, Truth

BROKEN: list[Program] = []

DEEP_LOCALIZE = "Stack Overflow {} (DeepLocalize, DeepDiagnosis)"
DEEP_FD = "Stack Overflow {} (DeepFD)"
UMLAUT = "UMLAUT, user study, fault {}"
AUTOTRAINER = "AUTOTRAINER, {}"


def broken(kind: str, wrong: str, codes: str, places: str, source: str) -> Callable[..., Any]:
    """Add the decorated function, whose name with hyphens is the program's, to BROKEN.

    Args:
        kind: of the fault.
        wrong: one sentence.
        codes: findings that are true of it, separated by spaces.
        places: where the fault is, separated by spaces: names of layers, or loss, optimizer, data, batch, ...
        source: where such a program is described.
    """

    def add(build: Callable[[int], Training]) -> Callable[[int], Training]:
        name = build.__name__.replace("_", "-")
        truth = Truth(kind, wrong, tuple(codes.split()), tuple(places.split()), source)
        BROKEN.append(Program(name, build, truth=truth, kind=kind, family=name))
        return build

    return add


def dense(
    features: int, widths: tuple[int, ...], outputs: int, last: str | None, hidden: str | None = "relu", **options: Any
) -> Any:
    """Return a plain net with layers dense_1, dense_2, ... and output; `options` go to all hidden layers."""
    layers = [keras.layers.Dense(n, hidden, name=f"dense_{k + 1}", **options) for k, n in enumerate(widths)]
    return keras.Sequential(
        [keras.Input((features,)), *layers, keras.layers.Dense(outputs, activation=last, name="output")]
    )
