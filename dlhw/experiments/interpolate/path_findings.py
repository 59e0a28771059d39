"""What alignment and curves say of the barriers: which part of them was an order of hidden units."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlhw.experiments.interpolate.spec import Result, Settings, words
from dlhw.measure.barriers import barrier_over_chord, barrier_over_mean
from dlhw.present.curves import CURVES
from dlhw.present.findings import Finding
from dlhw.present.numbers import format_median_range, format_percent

Array = NDArray[np.floating]
CLEAR = 0.05
"""Nats: a barrier over the chord below this counts as none, above it in every seed as one."""
UNTRAINED = "a net that has learned nothing is no end of a path between trained nets, so nothing can be concluded"
"""In place of a verdict, where the training accuracy of an end is that of guessing."""
PAIRED_BY = {
    "weights": "closest in their weights",
    "activations": "closest in their activations",
    "correlation": "most correlated in their activations",
}
LABELS = {"line": "line", "aligned": "line after alignment", "curve": "curve"}


def curves_of(result: Result, path: str) -> tuple[Array, dict[str, Array]] | None:
    """Return positions and the losses and accuracies (R, S, positions) of "line", "aligned" or "curve", if measured."""
    prefix = {"line": "", "aligned": "aligned_", "curve": "curve_"}[path]
    values = {name: getattr(result, prefix + name) for name in CURVES}
    positions = result.curve_positions if path == "curve" else result.alphas
    return None if values["train_loss"] is None or positions is None else (positions, values)


def barriers(alphas: Array, values: dict[str, Array]) -> dict[str, Array]:
    """Return both kinds of barrier, the lowest test accuracy in between, and what the ends have, each (seeds,).

    Args:
        alphas: positions, (G,).
        values: losses and accuracies of a pair, (S, G).
    """
    train, test = values["train_loss"].astype(float), values["test_loss"].astype(float)
    accuracy, inside = values["test_accuracy"], (alphas >= 0) & (alphas <= 1)
    numbers = {
        "train_barrier_over_mean": barrier_over_mean(alphas, train),
        "train_barrier_over_chord": barrier_over_chord(alphas, train),
        "test_barrier_over_mean": barrier_over_mean(alphas, test),
        "test_barrier_over_chord": barrier_over_chord(alphas, test),
        "test_error_barrier_over_mean": barrier_over_mean(alphas, 1 - accuracy.astype(float)),
        "lowest_test_accuracy_between": accuracy[:, inside].min(axis=1),
    }
    for alpha, side in ((0.0, "a"), (1.0, "b")):
        k = int(np.flatnonzero(alphas == alpha)[0])
        numbers |= {f"{name}_at_{side}": values[name][:, k] for name in CURVES}
    return numbers


def measures(result: Result, r: int) -> dict[str, dict[str, Array]]:
    """Return the numbers of pair r on the other ways, "aligned" and "curve", where they were measured."""
    numbers = {}
    for path in ("aligned", "curve"):
        measured = curves_of(result, path)
        if measured is not None:
            numbers[path] = barriers(measured[0], {name: v[r] for name, v in measured[1].items()})
    if "aligned" in numbers and result.aligned_distance is not None and result.moved_units is not None:
        numbers["aligned"] |= {"distance": result.aligned_distance[r], "moved_units": result.moved_units[r]}
        naive = barrier_over_chord(result.alphas, result.train_loss[r].astype(float))
        remaining = numbers["aligned"]["train_barrier_over_chord"]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(naive > CLEAR, (naive - remaining) / naive, np.nan)
        numbers["aligned"]["share_of_permutation"] = share
    return numbers


def other_ways(
    settings: Settings, text: str, naive: dict[str, Any], others: dict[str, dict[str, Array]], trained: bool
) -> list[Finding]:
    """State what alignment and the curve leave of the barrier of the line; nothing where they were not measured.

    trained: whether both nets have learned something; else the heights come without a verdict.
    """
    height = naive["train_barrier_over_chord"]
    if not np.isfinite(height).any():
        return []
    findings = []
    if "aligned" in others:
        findings.append(_permutation(settings, words(text), height, others["aligned"], trained))
    if "curve" in others:
        findings.append(_curved(settings, words(text), height, others["curve"]["train_barrier_over_chord"], trained))
    return findings


def _permutation(settings: Settings, text: str, naive: Array, aligned: dict[str, Array], trained: bool) -> Finding:
    """Which part of the barrier was permutation; at least that part, since a better permutation may exist."""
    remaining, share = aligned["train_barrier_over_chord"], aligned["share_of_permutation"]
    finite = np.isfinite(naive)
    heights = f"from {format_median_range(naive[finite])} to {format_median_range(remaining[finite])} nats"
    how = f"with the hidden units of B in the order in which they are {PAIRED_BY[settings.matching]} to those of A"
    moved = f"{format_percent(aligned['moved_units'], ' %')} of the units changed their place"
    start = "" if settings.own_start else "; A and B start from the same weights, in which units correspond"
    if finite.sum() == 1:
        verdict = "with one seed, nothing can be concluded"
    elif not trained:
        verdict = UNTRAINED
    elif (naive[finite] <= CLEAR).all():
        verdict = f"there was no barrier above {CLEAR:g} nats to explain"
    elif (naive[finite] <= CLEAR).any():
        verdict = "only some seeds have a barrier, so no part of it is named"
    elif (remaining[finite] >= naive[finite]).all():
        verdict = "none of the barrier was shown to be permutation"
    elif (remaining[finite] < naive[finite]).all():
        whole = (remaining[finite] < CLEAR).all()
        part = "all of it, as far as 0.05 nats show," if whole else format_percent(share[finite], " %") + " of it"
        verdict = f"{part} was permutation"
        verdict += (
            "" if whole else "; at least that, since the matching is a local optimum. The remainder is not shown "
        )
        verdict += "" if whole else "to belong to the nets"
    else:
        verdict = "it falls in some seeds and rises in others, so no part of it is shown to be permutation"
    text = f"{text}: {how}, the barrier of the training loss over the chord goes {heights}: {verdict}. {moved}{start}."
    return Finding("permutation", text)


def _curved(settings: Settings, text: str, naive: Array, curve: Array, trained: bool) -> Finding:
    """Whether a curve of low loss joins the nets."""
    finite = np.isfinite(naive) & np.isfinite(curve)
    heights = (
        f"{format_median_range(curve[finite])} nats above the chord, the line {format_median_range(naive[finite])}"
    )
    if finite.sum() < 2:
        verdict = "with one seed, nothing can be concluded"
    elif not trained:
        verdict = UNTRAINED
    elif (curve[finite] < CLEAR).all():
        verdict = "so the two nets are joined by a path without a barrier in every seed"
        verdict += ", which says nothing of the straight line" if (naive[finite] > CLEAR).all() else ""
    elif (curve[finite] < naive[finite]).all():
        verdict = "lower than the line in every seed, but not without a barrier"
    else:
        verdict = "not lower than the line in every seed; more `curve_epochs` may lower it"
    how = f"on a quadratic Bezier curve whose bend was trained for {settings.curve_epochs} epochs"
    return Finding("curved-path", f"{text}: {how}, the training loss rises at most {heights}: {verdict}.")
