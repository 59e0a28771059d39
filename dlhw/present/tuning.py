"""Tuned learning rates: what was chosen, at which scores, and what it gained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dlhw.present import plot, scales, style
from dlhw.present.findings import Finding
from dlhw.present.numbers import format_median_range

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Tuning:
    """N nets, G rates, K seeds on which they were tuned, S seeds that are reported."""

    names: Sequence[str]  # of the nets
    rates: Sequence[float]  # of the grid, ascending
    chosen: Array  # (N,)
    scores: Array  # (N, G, K); nan where a training diverged
    untuned_rate: float
    tuned: Array  # (N, S) `quantity` at the chosen rate; nan where a training diverged
    untuned: Array  # (N, S) the same at the untuned rate
    quantity: str
    score: str  # what the scores are


def tuning_findings(tuning: Tuning) -> list[Finding]:
    """State the rates of all nets, what tuning gained, and which rates are at the edge of the grid."""
    t = tuning
    grid = f"{len(t.rates)} learning rates from {t.rates[0]:g} to {t.rates[-1]:g}"
    pairs = ", ".join(f"{name} {rate:g}" for name, rate in zip(t.names, t.chosen, strict=True))
    text = f"Of {grid}, tuning chose {pairs}, by the lowest median {t.score}, on {t.scores.shape[-1]} "
    text += f"seed{'s' * (t.scores.shape[-1] > 1)} that are not reported"
    diverged = np.asarray(np.isnan(t.scores).any(axis=-1))
    lost = [
        f"{name} {', '.join(f'{rate:g}' for rate, bad in zip(t.rates, row, strict=True) if bad)}"
        for name, row in zip(t.names, diverged, strict=True)
        if row.any()
    ]
    text += f"; rates at which a training diverged are not chosen ({'; '.join(lost)})." if lost else "."
    sentences = [Finding("tuned", text), Finding("tuned", _gains(t))]
    alike = [name for name, row in zip(t.names, t.scores, strict=True) if _decides_nothing(row)]
    if alike:
        text = f"{' and '.join(alike)}: every rate has a median {t.score} within 1 % of the others, so that the choice "
        text += "says nothing; raise `tune_seeds`, or train for longer."
        sentences.append(Finding("tuned", text))
    edges = [
        f"{name} has the {'lowest' if rate == t.rates[0] else 'highest'}, {rate:g}"
        for name, rate in zip(t.names, t.chosen, strict=True)
        if rate in (t.rates[0], t.rates[-1])
    ]
    if edges:
        text = f"At the edge of the grid: {'; '.join(edges)}. A better rate may lie beyond; widen `tune_rates`."
        sentences.append(Finding("tuned-at-the-edge", text))
    return sentences


def _decides_nothing(scores: Array) -> bool:
    """Return whether the medians of all rates that did not diverge are alike; scores: (G, K)."""
    medians = np.median(scores[np.isfinite(scores).all(axis=-1)], axis=-1)
    return len(medians) > 1 and bool(medians.max() <= 1.01 * medians.min())


def _gains(t: Tuning) -> str:
    """Compare tuned with untuned nets, on the same seeds."""
    parts = []
    for k, name in enumerate(t.names):
        tuned, untuned = t.tuned[k], t.untuned[k]
        if t.chosen[k] == t.untuned_rate:
            parts.append(f"{name}: the untuned rate is the best of the grid")
            continue
        values = f"{format_median_range(tuned)} against {format_median_range(untuned)}"
        parts.append(f"{name}: {values}, {_verdict(tuned, untuned)}")
    what = f"{t.quantity[0].upper()}{t.quantity[1:]}"
    return f"{what}, tuned against untuned (learning rate {t.untuned_rate:g}): {'; '.join(parts)}."


def _verdict(tuned: Array, untuned: Array) -> str:
    if not (np.isfinite(tuned).all() and np.isfinite(untuned).all()):
        counts = int((~np.isfinite(tuned)).sum()), int((~np.isfinite(untuned)).sum())
        return f"where {counts[0]} tuned and {counts[1]} untuned trainings diverged"
    if len(tuned) == 1:
        return "one seed, which shows nothing"
    if tuned.max() < untuned.min():
        return "lower in every seed"
    return "higher in every seed" if tuned.min() > untuned.max() else "ranges overlap"


def tuning_figure(tuning: Tuning, title: str) -> Figure:
    """Draw the scores against the learning rate, and the chosen rates."""
    t = tuning
    fig, (axes,) = plot.figure(height=4.1, head=plot.header_height(len(t.names)))
    x = np.array(t.rates)
    for k, name in enumerate(t.names):
        plot.scatter_with_median(axes, x, t.scores[k], f"{name}: {t.chosen[k]:g}", k)
        best = int(np.flatnonzero(x == t.chosen[k])[0])
        marks: dict[str, Any] = {"markersize": 11, "markerfacecolor": "none", "markeredgecolor": style.TRUTH}
        axes.plot(x[best], np.median(t.scores[k, best]), marker=style.MARKERS[k % len(style.MARKERS)], **marks)
    scales.at_values([axes], x, log=True)
    scales.positive_log(axes, 1e-12)
    plot.labelled_vline(axes, t.untuned_rate, "untuned")
    axes.set(xlabel="learning rate", ylabel=t.score)
    note = f"dots: {t.scores.shape[-1]} seeds that are not reported; line: median; outlined: chosen; gaps: diverged"
    plot.header(fig, title, note, (axes,))
    return fig
