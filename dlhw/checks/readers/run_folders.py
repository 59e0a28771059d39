"""Runs of dlhw -> the tables of the items that they measure, one for every seed and net."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlhw.checks.readers.raw import Raw, arrays
from dlhw.checks.tables import Fact
from dlhw.errors import require
from dlhw.measure.eigenvalue_signs import inertia
from dlhw.models import architectures
from dlhw.runs.run import Run, load

CURVES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
_CROSS_ENTROPY = "cross-entropy"


def read(path: Path) -> list[Raw]:
    """Read a run folder; there is no table where every training diverged, or what varies is no batch size.

    Raises:
        UserError: if it holds no run of an experiment that measures an item.
    """
    run = load(path)
    require(
        run.experiment in _TABLES,
        f"{path} is a run of {run.experiment}, which measures no item; known are {', '.join(_TABLES)}",
    )
    raws = [raw for raw in _TABLES[run.experiment](run) if len(next(iter(raw.columns.values()), ()))]
    return [dataclasses.replace(raw, source=f"{path}, {raw.source}") for raw in raws]


def experiments() -> tuple[str, ...]:
    """Return the names of the experiments that measure an item."""
    return tuple(_TABLES)


def _raw(item: str, label: str, values: Mapping[str, Any], **facts: Fact) -> Raw:
    """Return a table up to its first row that is not finite, where the training diverged or stopped."""
    columns = {name: np.asarray(value) for name, value in values.items()}
    finite = np.ones(len(next(iter(columns.values()))), bool)
    for column in columns.values():
        if column.dtype.kind == "f":
            finite &= np.isfinite(column).reshape(len(column), -1).all(axis=1)
    if item in _OVER_TIME:
        finite = np.logical_and.accumulate(finite)
    return Raw(label, arrays({name: column[finite] for name, column in columns.items()}), item, facts)


_OVER_TIME = ("loss", "loss-curve", "random-labels", "gradient-norm")


def _seeds(run: Run) -> Iterator[tuple[int, str]]:
    for k, seed in enumerate(run.settings.seed_range):
        yield k, f"seed {seed}"


def _sensitivity(run: Run) -> Iterator[Raw]:
    result, settings = run.result, run.settings
    if not settings.of_batch_size:
        return
    for s, label in _seeds(run):
        values = {"batch": np.array(settings.points, float), "value": result.sensitivity[:, s]}
        curves = {name: getattr(result, name)[:, s] for name in CURVES}
        yield _raw("sensitivity", label, values | curves, data=settings.data)


def _gradient_norm(run: Run) -> Iterator[Raw]:
    result, settings = run.result, run.settings
    plain = settings.data == "function" and settings.optimizer == "sgd" and settings.weight_decay == 0
    facts: dict[str, Fact] = {"learning_rate": settings.learning_rate, "momentum": settings.momentum} if plain else {}
    for s, label in _seeds(run):
        values = {
            "iteration": np.arange(result.loss.shape[1]) + 1.0,
            "norm": result.gradient_norm[s],
            "loss": result.loss[s],
            "layer": result.layer_gradient_norms[s],
        }
        yield _raw("gradient-norm", label, values, **facts)


def _minimal_ratio(run: Run) -> Iterator[Raw]:
    result, settings = run.result, run.settings
    arrived = np.asarray(result.arrived) & np.isfinite(result.eigenvalues).all(axis=1)
    signs = inertia(result.eigenvalues[arrived], 0.0 if settings.strict else None) if arrived.any() else None
    number = result.eigenvalues.shape[1]
    values = {
        "loss": result.loss[arrived],
        "ratio": np.zeros(0) if signs is None else signs.minimal_ratio,
        "gradient_norm": result.gradient_norm[arrived],
    }
    facts = {"parameters": number, "activation": settings.activation, "precision": settings.precision}
    yield _raw("minimal-ratio", "all nets", values, **facts)
    for s, label in _seeds(run):
        raw = _raw("hessian", label, {"eigenvalue": result.eigenvalues[s]}, parameters=number, complete="yes")
        yield dataclasses.replace(raw, on_request=True)


def _interpolation(run: Run) -> Iterator[Raw]:
    result, settings = run.result, run.settings
    for r, pair in enumerate(settings.by):
        for s, label in _seeds(run):
            values = {name: getattr(result, name)[r, s] for name in CURVES}
            shared = "no" if settings.own_start else "yes"
            yield _raw("interpolation", f"{pair}, {label}", {"alpha": result.alphas} | values, shared_start=shared)


def _curves(item: str, result: Any, r: int, s: int, label: str, **facts: Fact) -> Raw:
    values = {name: getattr(result, name)[r, s] for name in CURVES}
    epochs = np.arange(result.train_loss.shape[-1], dtype=float)
    return _raw(item, label, {"epoch": epochs} | values, **facts)


def _random_labels(run: Run) -> Iterator[Raw]:
    settings, info = run.settings, run.settings.info
    sizes: dict[str, Fact] = {"examples": settings.training_examples, "test_examples": info.test}
    for r, noise in enumerate(settings.noise):
        for s, label in _seeds(run):
            if noise == 1:
                yield _curves("random-labels", run.result, r, s, label, classes=info.classes, **sizes)
            elif noise == 0:  # a mixture is neither
                facts: dict[str, Fact] = {"kind": _CROSS_ENTROPY, "classes": info.classes}
                yield _curves("loss-curve", run.result, r, s, f"true labels, {label}", **facts)


def _parameters(run: Run) -> Iterator[Raw]:
    result, settings = run.result, run.settings
    for s, label in _seeds(run):
        finals = {name: np.array([_last(curve) for curve in getattr(result, name)[:, s]]) for name in CURVES}
        values = {"parameters": result.parameters.astype(float), "net": np.array(settings.nets)} | finals
        inputs, outputs = int(np.prod(settings.info.shape)), settings.info.classes
        yield _raw("parameters", label, values, inputs=inputs, outputs=outputs)


def _last(curve: NDArray[np.floating]) -> float:
    """Return the last value of a curve; nan where the training diverged."""
    return float(curve[-1])


def _classify(run: Run) -> Iterator[Raw]:
    facts: dict[str, Fact] = {"kind": _CROSS_ENTROPY, "classes": run.settings.info.classes}
    for r, net in enumerate(run.settings.models):
        for s, label in _seeds(run):
            yield _curves("loss-curve", run.result, r, s, f"{net}, {label}", **facts)


def _simulate(run: Run) -> Iterator[Raw]:
    result, nets = run.result, run.settings.models
    steps = np.arange(result.loss.shape[-1], dtype=float)
    for n, net in enumerate(nets):
        for s, label in _seeds(run):
            yield _raw("loss", f"{net}, {label}", {"step": steps, "value": result.loss[n, s]}, kind="mse")
    if len(nets) > 1 and set(nets) <= set(architectures.NETS):  # other nets need not be equal
        widths = [architectures.parse(net) for net in nets]
        counts = np.array([architectures.count(w) for w in widths], float)
        names = np.array(["-".join(map(str, w)) for w in widths])
        yield _raw("equal-parameters", "nets", {"parameters": counts, "net": names}, inputs=1, outputs=1)


def _trajectory(run: Run) -> Iterator[Raw]:
    result = run.result
    for s, label in _seeds(run):
        shares = result.own_explained[0, s]
        values = {"component": np.arange(len(shares)) + 1.0, "share": shares}
        weights = run.settings.parameters(run.settings.net)
        yield _raw("pca-path", label, values, points=len(result.epochs), weights=weights)
        curves = {name: getattr(result, name)[s] for name in CURVES}
        epochs = np.arange(result.train_loss.shape[-1], dtype=float)
        facts: dict[str, Fact] = {"kind": _CROSS_ENTROPY, "classes": run.settings.info.classes}
        yield _raw("loss-curve", label, {"epoch": epochs} | curves, **facts)


def _watched(run: Run) -> Iterator[Raw]:
    result = run.result
    if len(result.optimizers) == 1:
        norms = result.gradient_norm
        whole = np.sqrt((norms**2).sum(axis=1))
        values = {"iteration": result.step + 1.0, "norm": whole, "loss": result.loss, "layer": norms}
        yield _raw("gradient-norm", "all steps", values)


_TABLES: dict[str, Callable[[Run], Iterator[Raw]]] = {
    "sweep-batch": _sensitivity,
    "sweep": _sensitivity,
    "gradient-norm": _gradient_norm,
    "minimal-ratio": _minimal_ratio,
    "interpolate": _interpolation,
    "random-labels": _random_labels,
    "sweep-params": _parameters,
    "classify": _classify,
    "simulate": _simulate,
    "trajectory": _trajectory,
    "watch": _watched,
}
