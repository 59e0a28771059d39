"""What the numbers of a run say: a table, findings, and the numbers themselves."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlhw.present.findings import Finding

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Summary:
    """A table of text cells, the findings that the numbers support, and every scalar by name."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    findings: tuple[Finding, ...] = ()
    numbers: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # lines below the table, such as what its nets are

    @property
    def sentences(self) -> tuple[str, ...]:
        """The texts of the findings."""
        return tuple(finding.text for finding in self.findings)

    def __str__(self) -> str:
        cells = [self.columns, *self.rows]
        widths = [max(len(row[k]) for row in cells) for k in range(len(self.columns))]
        lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells]
        return "\n".join([self.title, *lines, *self.notes, "", *self.sentences])


def to_csv(summary: Summary) -> str:
    """Return the table of a summary as comma-separated values with a heading."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows([summary.columns, *summary.rows])
    return file.getvalue()


def statistics(values: Array) -> dict[str, float | int]:
    """Return median, min, max, mean, standard deviation (n - 1) and n of the finite values."""
    finite = np.asarray(values, dtype=np.float64)[np.isfinite(values)]
    if not len(finite):
        return {"median": np.nan, "min": np.nan, "max": np.nan, "mean": np.nan, "std": np.nan, "n": 0}
    std = float(finite.std(ddof=1)) if len(finite) > 1 else np.nan
    ends = {"median": float(np.median(finite)), "min": float(finite.min()), "max": float(finite.max())}
    return {**ends, "mean": float(finite.mean()), "std": std, "n": len(finite)}


def row_medians(values: Array) -> Array:
    """Return the median of the finite values of every row; nan where there are none."""
    return np.array([np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else np.nan for row in values])


def statistic_of_tables(seeds: int) -> str:
    """Return what the numbers of a table are, for its title."""
    return f"median (min to max) over {seeds} seeds" if seeds > 1 else "one seed"


def statistic_of_figures(seeds: int) -> str:
    """Return what the lines of a figure are, for its note."""
    return f"median of {seeds} seeds, band from min to max" if seeds > 1 else "one seed"
