"""What the numbers of a run say: a table, plain sentences, and the numbers themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Summary:
    """A table of text cells, the sentences that the numbers support, and every scalar by name."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    sentences: tuple[str, ...]
    numbers: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        cells = [self.columns, *self.rows]
        widths = [max(len(row[k]) for row in cells) for k in range(len(self.columns))]
        lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells]
        return "\n".join([self.title, *lines, "", *self.sentences])


def turned(summary: Summary) -> Summary:
    """The same, its table stood on its side where that makes it narrower."""
    if len(summary.columns) <= len(summary.rows) + 1:
        return summary
    columns, *rows = zip(summary.columns, *summary.rows, strict=True)
    return replace(summary, columns=columns, rows=tuple(rows))


def number(value: float) -> str:
    """Three significant digits; a dash for nan."""
    return "–" if not np.isfinite(value) else f"{value:.3g}"


def spread(values: NDArray[np.floating], unit: str = "") -> str:
    """Median with min and max over the finite values, as text: `0.0021 (0.0014 to 0.0074)`."""
    good = values[np.isfinite(values)]
    if not len(good):
        return "–"
    middle = number(float(np.median(good))) + unit
    return middle if len(values) == 1 else f"{middle} ({number(float(good.min()))} to {number(float(good.max()))})"


def statistics(values: NDArray[np.floating]) -> dict[str, float | int]:
    """Median, min, max, mean, standard deviation (n - 1) and n of the finite values."""
    good = np.asarray(values, dtype=np.float64)[np.isfinite(values)]
    if not len(good):
        return {"median": np.nan, "min": np.nan, "max": np.nan, "mean": np.nan, "std": np.nan, "n": 0}
    std = float(good.std(ddof=1)) if len(good) > 1 else np.nan
    ends = {"median": float(np.median(good)), "min": float(good.min()), "max": float(good.max())}
    return {**ends, "mean": float(good.mean()), "std": std, "n": len(good)}


def lowest(
    names: Sequence[str], values: NDArray[np.floating], quantity: str, *, error: Sequence[float] | None = None
) -> str:
    """Which of `names` has the lowest `quantity`, values (names, seeds), and whether the seeds bear it out.

    A ranking is claimed only where no training diverged and the whole range of the first lies under that of every
    other, by more than twice the standard error of their difference where `error`, the standard error of each, is given
    (that of a measurement on finitely many images, which all seeds share). With one seed nothing is claimed. Values
    that are not finite (diverged nets) are left out and must be named elsewhere.
    """
    kept = [(n, v[np.isfinite(v)]) for n, v in zip(names, values, strict=True)]
    errors = dict(zip(names, error if error is not None else [0.0] * len(names), strict=True))
    order = sorted((item for item in kept if len(item[1])), key=lambda item: float(np.median(item[1])))
    if not order:
        return f"No net has a finite {quantity}."
    seeds = values.shape[1]
    best, mine = order[0]
    what = f"{best} has the lowest {quantity}, {spread(mine)}" + (f", {len(mine)} seeds" if seeds > 1 else "")
    if len(order) < 2:
        return f"{best} has a {quantity} of {spread(mine)}" + (f", {len(mine)} seeds." if seeds > 1 else ".")
    if seeds == 1:
        return f"In this run {what}; one seed decides nothing."
    if any(len(v) < seeds for _, v in kept):
        return f"By the median of the trainings that did not diverge {what}: not separated here."
    overlap = [n for n, v in order[1:] if float(v.min()) <= float(mine.max())]
    if overlap:
        return f"By the median {what}; its range overlaps that of {' and '.join(overlap)}: not separated here."
    gaps = {n: float(np.median(v) - np.median(mine)) for n, v in order[1:]}
    noises = {n: float(np.hypot(errors[n], errors[best])) for n in gaps}
    near = [n for n in gaps if gaps[n] <= 2 * noises[n]]
    if near:
        gap, noise = gaps[near[0]], noises[near[0]]
        return (
            f"By the median {what}; {number(gap)} under {' and '.join(near)}, where the images measured leave a "
            f"standard error of {number(noise)}: not separated here."
        )
    return f"{what[0].upper()}{what[1:]}; every seed of it lies under every seed of the others."
