"""The line between two nets: right, on a grid without the nets, mixed in place, and beside numbers of other nets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.checking.corpus import Case, Family
from benchmarks.checking.images import CURVES, Array, Lab, Setting, Weights, evaluate


@dataclass(frozen=True)
class Pair:
    """Two trainings of one net that differ in one setting."""

    setting: Setting
    what: str  # batch, rate, momentum, epochs
    values: tuple[float, float]

    @property
    def name(self) -> str:
        return f"{self.setting.name}-{self.what}-{self.values[0]:g}-{self.values[1]:g}"


PAIRS = (
    Pair(Setting("digits", "8c3-p2-30", rate=0.01), "batch", (32, 256)),
    Pair(Setting("digits", "30", rate=0.01), "rate", (0.01, 0.1)),
    Pair(Setting("digits", "60-30", "adam", 0.001), "batch", (16, 512)),
    Pair(Setting("digits", "20-20", "adam", 0.001, epochs=20), "rate", (0.0005, 0.005)),
    Pair(Setting("digits", "100", rate=0.05, examples=400, epochs=25), "epochs", (5, 25)),
    Pair(Setting("blobs", "50", "adam", 0.002), "batch", (16, 200)),
    Pair(Setting("blobs", "30-30", rate=0.02), "momentum", (0.0, 0.9)),
    Pair(Setting("mnist-5k", "40-20", rate=0.02, epochs=6, examples=2000), "batch", (32, 256)),
    Pair(Setting("mnist-5k", "6c5-p2-30", rate=0.02, epochs=5, examples=1500), "rate", (0.01, 0.05)),
    Pair(Setting("fashion-mnist", "50-20", "adam", 0.001, epochs=6, examples=2000), "batch", (32, 512)),
)
GRIDS = (
    np.round(np.arange(-1, 2.0001, 0.1), 10),
    np.linspace(0, 1, 21),
    np.linspace(-0.5, 1.5, 41),
    np.arange(0, 1.01, 0.1),  # the last is 1 + 2e-16
    np.linspace(-1, 2, 61),
    np.linspace(0, 1, 11),
)
MISSING = (np.linspace(-1, 2, 50), np.linspace(-1, 2, 30), np.linspace(-0.5, 1.5, 30), np.linspace(-1, 2, 20))


def measured(lab: Lab, weights: Weights) -> dict[str, float]:
    """Return loss and accuracy of one net on the training and the test set."""
    d = lab.data
    (a, b), (c, e) = (evaluate(lab.logits(weights, x), y) for x, y in ((d.x, d.y), (d.x_test, d.y_test)))
    return {"train_loss": a, "test_loss": c, "train_accuracy": b, "test_accuracy": e}


def table(alphas: Array, points: Sequence[dict[str, float]], names: Sequence[str] = CURVES) -> dict[str, Array]:
    return {"alpha": alphas, **{name: np.array([p[name] for p in points]) for name in names}}


def mixed(a: Weights, b: Weights, alpha: float) -> Weights:
    return [(1 - alpha) * p + alpha * q for p, q in zip(a, b, strict=True)]


def in_place(a: Weights, b: Weights, alphas: Array) -> Iterator[Weights]:
    """Yield what the weights of the first net become when every alpha mixes what the one before it left."""
    p = [w.copy() for w in a]
    for alpha in alphas:
        p = mixed(p, b, alpha)
        yield p


def right_line(lab: Lab, a: Weights, b: Weights, alphas: Array) -> dict[str, Array]:
    """Return the line by `dlhw.measure.line`, which takes 0 and 1 into the grid."""
    from dlhw import measure, training

    d = lab.data
    on_train, on_test = (
        measure.line(lab.model, a, b, training.cross_entropy, x, y, alphas)
        for x, y in ((d.x, d.y), (d.x_test, d.y_test))
    )
    losses = {"train_loss": on_train.loss, "test_loss": on_test.loss}
    return {"alpha": on_train.alphas, **losses, "train_accuracy": on_train.accuracy, "test_accuracy": on_test.accuracy}


def facts_of(first: dict[str, float], second: dict[str, float], shared: bool) -> dict[str, Any]:
    return {
        "first_train_loss": first["train_loss"],
        "second_train_loss": second["train_loss"],
        "first_test_accuracy": first["test_accuracy"],
        "second_test_accuracy": second["test_accuracy"],
        "shared_start": "yes" if shared else "no",
    }


def lines(pair: Pair) -> Iterator[Case]:
    lab, first_seed = Lab(pair.setting), 50 * PAIRS.index(pair)

    before: list[dict[str, float]] = []  # the ends of the seed before
    for s in range(4):
        seed, shared, ends = first_seed + s, s % 2 == 1, []
        early: list[dict[str, float]] = []
        for k, value in enumerate(pair.values):
            change: dict[str, Any] = {pair.what: int(value) if pair.what in ("batch", "epochs") else value}

            def on_the_way(
                epoch: int,
                model: Any,
                at: int = max(1, int(change.get("epochs", pair.setting.epochs)) // 3),
                into: list[dict[str, float]] = early,
            ) -> None:
                if epoch == at:
                    into.append(measured(lab, model.get_weights()))

            init = seed if shared or k == 0 else seed + 10_000
            lab.train(seed + 20_000 * k, init_seed=init, hook=on_the_way, **change)
            ends.append(lab.weights())
        a, b = ends
        first, second = measured(lab, a), measured(lab, b)
        yield from _of_pair(lab, a, b, first, second, shared, seed, s)
        line = right_line(lab, a, b, GRIDS[s])
        stated = {"one third of the way": early, "nets of another seed": before, "ends swapped": [second, first]}
        for variant, nets in stated.items():
            if len(nets) == 2 and _differ(nets, (first, second)):
                facts = facts_of(nets[0], nets[1], shared)
                yield Case("interpolation", line, facts, mistake="ends-disagree", seed=seed, variant=variant)
        before = [first, second]


def _of_pair(
    lab: Lab,
    a: Weights,
    b: Weights,
    first: dict[str, float],
    second: dict[str, float],
    shared: bool,
    seed: int,
    s: int,
) -> Iterator[Case]:
    """Yield the right tables of a pair, and those with a wrong grid or mixed in place."""
    facts = facts_of(first, second, shared)
    bare: dict[str, Any] = {"shared_start": facts["shared_start"]}
    start = "one start" if shared else "starts of their own"
    for k in (s, s + 2):
        line = right_line(lab, a, b, GRIDS[k % len(GRIDS)])
        given = facts if k == s else ({} if s % 2 else bare)
        names = CURVES if k == s else ("alpha", *CURVES[:2])
        shown = line if k == s else {name: line[name] for name in names}
        yield Case("interpolation", shown, given, seed=seed, variant=start)
    grid = MISSING[s]
    points = [measured(lab, mixed(a, b, alpha)) for alpha in grid]
    yield Case(
        "interpolation",
        table(grid, points),
        facts if s % 2 else {},
        mistake="grid-misses-the-nets",
        seed=seed,
        variant=f"{len(grid)} points from {grid[0]:g} to {grid[-1]:g}",
    )
    for grid in (GRIDS[1], GRIDS[5] if s % 2 else GRIDS[0]):
        points = [measured(lab, p) for p in in_place(a, b, grid)]
        variant = f"{len(grid)} points from {grid[0]:g} to {grid[-1]:g}"
        case = Case("interpolation", table(grid, points), bare, mistake="in-place-mixing", seed=seed, variant=variant)
        if max(p["train_loss"] for p in points) < 1e6:
            yield case


def _differ(stated: Sequence[dict[str, float]], true: Sequence[dict[str, float]]) -> bool:
    """Whether stated numbers are others than the true ones: a fifth of a training loss, five points of accuracy."""
    losses = (abs(np.log(p["train_loss"] / q["train_loss"])) for p, q in zip(stated, true, strict=True))
    accuracies = (abs(p["test_accuracy"] - q["test_accuracy"]) for p, q in zip(stated, true, strict=True))
    return max(losses) > np.log(1.2) or max(accuracies) > 0.05


FAMILIES = tuple(Family(f"lines/{p.name}", partial(lines, p)) for p in PAIRS)
