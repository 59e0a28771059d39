"""Minimal ratios: at critical points, and with the usual mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.checking.corpus import Case, Family
from benchmarks.checking.families.spectra import data

TABLE = 11
"""Points of a table."""


@dataclass(frozen=True)
class Search:
    """Settings of `dlhw minimal-ratio`."""

    func: str
    net: str
    activation: str
    seeds: int = 36
    epochs: int = 3000


SEARCHES = (
    Search("sinc", "3", "tanh"),
    Search("square", "4", "tanh"),
    Search("damped", "5", "sigmoid"),
    Search("runge", "3", "softplus"),
    Search("sin", "2-2", "tanh"),
)


def critical(search: Search) -> Iterator[Case]:
    import dlhw
    from dlhw.experiments.minimal_ratio.spec import ratios

    first = 100 * SEARCHES.index(search)
    task = {"task": "digits"} if search.func == "digits" else {"func": search.func, "points": 100}
    run = dlhw.run(
        "minimal-ratio",
        net=search.net,
        activation=search.activation,
        epochs=search.epochs,
        seeds=search.seeds,
        seed=first,
        hessians=220,
        **task,
    )
    r = run.result
    rows = np.flatnonzero(r.arrived)
    facts = {"parameters": run.settings.parameters, "activation": search.activation, "precision": "float64"}
    ratio = ratios(run.settings, r.eigenvalues)
    for k, part in enumerate(np.array_split(rows, max(1, len(rows) // TABLE))):
        if len(part) < 5:
            continue
        columns = {"loss": r.loss[part], "ratio": ratio[part], "gradient_norm": r.gradient_norm[part]}
        shown = columns if k % 2 == 0 else {name: columns[name] for name in ("loss", "ratio")}
        given = facts if k % 3 < 2 else {}
        yield Case("minimal-ratio", shown, given, seed=first + k, variant="critical points")


@dataclass(frozen=True)
class Training:
    """Nets that are trained, and looked at where they are then."""

    func: str
    widths: tuple[int, ...]
    activation: str
    steps: int
    optimizer: str = "adam"
    nets: int = 30

    @property
    def name(self) -> str:
        return f"{self.func}-{'-'.join(map(str, self.widths))}-{self.activation}"


FLAT = (
    Training("sinc", (10, 18, 15, 4), "selu", 1500),
    Training("sin", (5, 10, 10, 10, 10, 10, 5), "elu", 1500, nets=20),
    Training("runge", (190,), "tanh", 1500, nets=10),
    Training("damped", (20, 20), "tanh", 1500),
)


def at_one_half(training: Training) -> Iterator[Case]:
    """Every eigenvalue above 0 of a float32 Hessian of a net with many flat directions."""
    objective, thetas, _ = _trained(training, "float32", (training.steps,))
    losses, signs, norms = [], [], []
    for theta in thetas[0]:
        (loss,), (gradient,), (matrix,) = objective.hessian(theta[None])
        losses.append(loss)
        norms.append(np.linalg.norm(gradient))
        signs.append(float((np.linalg.eigvalsh(matrix) > 0).mean()))
    facts = {"parameters": objective.size, "activation": training.activation, "precision": "float32"}
    columns = {"loss": losses, "ratio": signs, "gradient_norm": norms}
    yield from _tables(columns, facts, "ratios-at-one-half", "float32, strictly above 0")


STOPPED = (
    (Training("sinc", (3,), "tanh", 6000, "sgd"), 0.4),
    (Training("square", (10, 10), "tanh", 4000, "sgd"), 0.5),
    (Training("damped", (6,), "sigmoid", 6000, "sgd"), 0.4),
    (Training("runge", (8,), "tanh", 5000, "sgd"), 0.5),
)
EVERY = 5
"""Steps between two looks at the norm."""


def stopped(training: Training, share: float) -> Iterator[Case]:
    """Train until the gradient norm is under a threshold, and take the signs there; most nets stop just under it."""
    from dlhw.measure import inertia

    steps = range(0, training.steps + 1, EVERY)
    objective, paths, norms = _trained(training, "float64", tuple(steps))
    norms = norms[:, [min(s, training.steps - 1) for s in steps]]
    threshold = float(f"{np.quantile(norms[:, -1], 0.9) / share:.1g}")
    losses, ratio, at = [], [], []
    for s in range(len(norms)):
        under = np.flatnonzero(norms[s] < threshold)
        if not len(under):
            continue
        (loss,), (gradient,), (matrix,) = objective.hessian(paths[under[0]][s][None])
        signs = inertia(np.linalg.eigvalsh(matrix)[None])
        losses.append(loss)
        ratio.append(float(signs.minimal_ratio[0]))
        at.append(float(np.linalg.norm(gradient)))
    facts = {"parameters": objective.size, "activation": training.activation, "precision": "float64"}
    columns = {"loss": losses, "ratio": ratio, "gradient_norm": at}
    yield from _tables(columns, facts, "stopped-at-a-norm", f"first norm under {threshold:g}")


KINKED = (
    Training("sinc", (10, 10), "relu", 3000),
    Training("square", (12,), "relu", 2000),
    Training("damped", (8, 6), "relu", 3000),
    Training("runge", (20,), "relu", 2000),
)


def kinked(training: Training) -> Iterator[Case]:
    """The Hessian of a ReLU net, which has no derivative where it bends."""
    from dlhw.measure import inertia

    objective, thetas, _ = _trained(training, "float64", (training.steps,))
    losses, ratio, norms = [], [], []
    for theta in thetas[0]:
        (loss,), (gradient,), (matrix,) = objective.hessian(theta[None])
        losses.append(loss)
        norms.append(float(np.linalg.norm(gradient)))
        ratio.append(float(inertia(np.linalg.eigvalsh(matrix)[None]).minimal_ratio[0]))
    facts = {"parameters": objective.size, "activation": "relu"}
    columns = {"loss": losses, "ratio": ratio, "gradient_norm": norms}
    yield from _tables(columns, facts, "relu-hessian", "ReLU net where its training ended")


def _trained(training: Training, dtype: str, keep: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """Train the nets; return their objective, the weights after the steps to keep, (steps, nets, P), and norms."""
    from dlhw import measure, models
    from dlhw.training import fit_many, optimizer

    x, y = data(training.func)
    seeds = range(1000, 1000 + training.nets)
    nets = [models.mlp(training.widths, activation=training.activation, seed=s, dtype=dtype) for s in seeds]
    rate = 0.003 if training.optimizer == "adam" else 0.05
    rule = optimizer(training.optimizer, rate, 0.0)
    histories = fit_many(nets, x, y, steps=training.steps, optimizer=rule, gradient_norm=True, keep=keep, workers=1)
    objective = measure.StackedObjective(nets, x, y, block=1)
    weights = np.stack([h.weights for h in histories], axis=1)
    return objective, weights, np.stack([h.gradient_norm for h in histories])


def _tables(columns: dict[str, Any], facts: dict[str, Any], mistake: str, variant: str) -> Iterator[Case]:
    """Yield tables of some ten points each."""
    count = len(columns["loss"])
    for k, part in enumerate(np.array_split(np.arange(count), max(1, count // 10))):
        table = {name: np.asarray(column)[part] for name, column in columns.items()}
        yield Case("minimal-ratio", table, facts, mistake=mistake, seed=k, variant=variant)


FAMILIES = (
    *(Family(f"critical/{s.func}-{s.net}-{s.activation}", partial(critical, s)) for s in SEARCHES),
    *(Family(f"flat/{t.name}", partial(at_one_half, t)) for t in FLAT),
    *(Family(f"stopped/{t.name}", partial(stopped, t, share)) for t, share in STOPPED),
    *(Family(f"kinked/{t.name}", partial(kinked, t)) for t in KINKED),
)
