"""References: bands of right measurements, from kept runs and from the right tables of the corpus."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.checking.corpus import Stored, read
from dlhw.checks import references
from dlhw.checks.items import item as item_of
from dlhw.checks.readers import run_folders
from dlhw.runs.run import load

KEPT = Path("artifacts/kept")
POINTS = 14
FEWEST = 3
"""Tables that a band needs at a point."""
MOST = 20
"""Tables taken of one kept run, lest its setting outweigh the others."""
QUANTILES = (0.1, 0.5, 0.9)

Columns = Mapping[str, Any]


@dataclass(frozen=True)
class Right:
    """A right measurement, with what chooses its reference."""

    columns: Columns
    data: str  # data set, or the functions
    facts: Mapping[str, Any]


def write(corpus: Path) -> None:
    tables = [case for case in read(corpus) if case.mistake is None]
    for name, groups in GROUPS.items():
        measured = [Right(t.columns, data_of(t), t.facts) for t in tables if t.item == name] + list(kept(name))
        entries = []
        for setting, belongs, what in groups:
            chosen = [m for m in measured if belongs(m)]
            if len(chosen) < FEWEST:
                continue
            bands = {column: band for column in columns_of(name) if (band := band_of(name, column, chosen))}
            data = sorted({m.data for m in chosen if m.data})
            source = f"{len(chosen)} right measurements: {what or ', '.join(data)}"
            if bands:
                entries.append({"setting": setting, "source": source, "tables": len(chosen), "bands": bands})
        if entries:
            text = json.dumps(entries, separators=(",", ":"))
            (references.FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    sizes = {path.name: path.stat().st_size for path in sorted(references.FOLDER.glob("*.json"))}
    print(f"{sum(sizes.values())} bytes: {sizes}")


def data_of(case: Stored) -> str:
    """Return the data set of a table: a family is named after it."""
    setting = case.family.split("/")[1]
    known = ("digits", "blobs", "fashion-mnist", "mnist")
    return next((name for name in known if setting.startswith(name)), "functions of x")


def columns_of(name: str) -> list[str]:
    item = item_of(name)
    return [c.name for c in item.columns[1:] if not c.text and not c.many]


def abscissa(name: str, columns: Columns) -> np.ndarray:
    """Return x of a table; eigenvalues are placed by their share of the net, from the largest to the smallest."""
    if name == "hessian":
        n = len(columns["eigenvalue"])
        return (np.arange(n) + 0.5) / n
    return np.asarray(columns[item_of(name).columns[0].name], float)


def ordinate(name: str, column: str, columns: Columns) -> np.ndarray:
    values = np.asarray(columns[column], float)
    return np.sort(values)[::-1] / np.abs(values).max() if name == "hessian" else values


def band_of(name: str, column: str, measured: Sequence[Right]) -> dict[str, list[float]] | None:
    """Return the quantiles of a column over a grid on which at least three tables have values."""
    pairs = [(abscissa(name, m.columns), ordinate(name, column, m.columns)) for m in measured if column in m.columns]
    if len(pairs) < FEWEST:
        return None
    scatter = name == "minimal-ratio"
    log = item_of(name).log_x or name in ("gradient-norm", "loss", "minimal-ratio")
    ends = np.array([(x.min(), x.max()) for x, _ in pairs])
    low, high = np.sort(ends[:, 0])[FEWEST - 1], np.sort(ends[:, 1])[-FEWEST]
    if scatter:
        return _of_scatter(np.concatenate([x for x, _ in pairs]), np.concatenate([y for _, y in pairs]))
    if not low < high:
        return None
    grid = np.geomspace(max(low, 1e-9), high, POINTS) if log and low > 0 else np.linspace(low, high, POINTS)
    if name == "pca-path":
        grid = np.arange(1, min(high, POINTS) + 1)
    if name == "interpolation":
        grid = np.array([0.0, 1.0, *np.linspace(-1, 2, 31)])
        grid = np.unique(grid.round(6))
    rows = np.full((len(pairs), len(grid)), np.nan)
    for k, (x, y) in enumerate(pairs):
        inside = (grid >= x.min()) & (grid <= x.max())
        order = np.argsort(x)
        rows[k, inside] = np.interp(grid[inside], x[order], y[order])
    enough = np.isfinite(rows).sum(0) >= FEWEST
    values = np.nanquantile(rows[:, enough], QUANTILES, axis=0)
    return _band(grid[enough], values)


def _of_scatter(x: np.ndarray, y: np.ndarray) -> dict[str, list[float]]:
    """Return quantiles of y in groups of equally many points by x."""
    order = np.argsort(x)
    parts = [part for part in np.array_split(order, max(2, min(8, len(x) // 12))) if len(part) >= FEWEST]
    groups: dict[str, list[np.ndarray]] = {}
    for part in parts:  # many points may have one loss
        groups.setdefault(f"{np.median(x[part]):.2g}", []).append(part)
    joined = [np.concatenate(group) for group in groups.values()]
    values = np.array([np.quantile(y[part], QUANTILES) for part in joined]).T
    return _band(np.array([np.median(x[part]) for part in joined]), values)


def _band(x: np.ndarray, values: np.ndarray) -> dict[str, list[float]]:
    numbers = zip(("x", "low", "median", "high"), (x, *values), strict=True)
    return {key: [float(f"{v:.3g}") for v in row] for key, row in numbers}


def kept(name: str) -> Iterator[Right]:
    """Yield the right measurements of kept runs, as `dlhw check` reads them."""
    for path in RUNS.get(name, ()):
        settings = load(KEPT / path).settings
        data = getattr(settings, "task", getattr(settings, "data", ""))
        measured = [raw for raw in run_folders.read(KEPT / path) if raw.item == name]
        for raw in measured[:MOST]:
            yield Right(raw.columns, data if data != "function" else "functions of x", raw.facts)


RUNS: dict[str, tuple[str, ...]] = {
    "sensitivity": ("sweep-batch/default",),
    "gradient-norm": ("gradient-norm/default",),
    "minimal-ratio": ("minimal-ratio/default", "minimal-ratio/task=digits"),
    "interpolation": ("interpolate/default", "interpolate/by=optimizer=sgd,adam,weight-decay=0,0.1_data=digits"),
    "random-labels": ("random-labels/default",),
    "parameters": ("sweep-params/default",),
    "loss-curve": ("classify/default", "classify/data=digits"),
    "pca-path": ("trajectory/default",),
    "hessian": ("minimal-ratio/default",),
}
Group = tuple[dict[str, Any], Callable[[Right], bool], str]


def _everything(right: Right) -> bool:
    return True


def _of_data(*names: str) -> Callable[[Right], bool]:
    return lambda right: right.data in names


def _with(**facts: Any) -> Callable[[Right], bool]:
    return lambda right: all(right.facts.get(name) == value for name, value in facts.items())


GROUPS: dict[str, list[Group]] = {
    "sensitivity": [
        *(({"data": name}, _of_data(name), "") for name in ("mnist", "fashion-mnist", "digits")),
        ({}, _everything, ""),
    ],
    "gradient-norm": [({}, _everything, "functions of x and several optimizers")],
    "minimal-ratio": [({}, _everything, "small nets at critical points")],
    "interpolation": [
        ({"shared_start": "yes"}, _with(shared_start="yes"), "nets from one start"),
        ({"shared_start": "no"}, _with(shared_start="no"), "nets from starts of their own"),
        ({}, _everything, "nets from one start and from starts of their own"),
    ],
    "random-labels": [
        ({"classes": 5}, _with(classes=5), ""),
        ({}, lambda r: r.facts.get("classes", 10) == 10, ""),
    ],
    "parameters": [
        ({"inputs": 784}, _of_data("mnist", "fashion-mnist"), ""),
        ({"inputs": 64}, _of_data("digits"), ""),
        ({}, _everything, ""),
    ],
    "loss-curve": [({}, lambda r: r.facts.get("classes", 10) == 10, "")],
    "loss": [
        ({"kind": "mse"}, _with(kind="mse"), "functions of x, targets up to 1"),
        ({"kind": "cross-entropy"}, _with(kind="cross-entropy"), "classifiers"),
    ],
    "pca-path": [({}, lambda r: "component" in r.columns, "paths of single trainings, and of four together")],
    "hessian": [({}, lambda r: "parameters" not in r.facts or r.facts.get("complete") != "no", "small nets")],
}
