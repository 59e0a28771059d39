"""The table of `interpolate`, and what its numbers support."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlhw.experiments.interpolate import path_findings
from dlhw.experiments.interpolate.path_findings import CLEAR, UNTRAINED
from dlhw.experiments.interpolate.spec import Result, Settings, words
from dlhw.present import findings
from dlhw.present.curves import CURVES
from dlhw.present.findings import Finding
from dlhw.present.numbers import NONE, format_median_range, format_percent
from dlhw.present.tables import Summary, statistic_of_tables, statistics
from dlhw.runs.settings import described

Array = NDArray[np.floating]
PERCENTS = {
    "test_accuracy_at_a": "test accuracy A, %",
    "test_accuracy_at_b": "B, %",
    "lowest_test_accuracy_between": "lowest between, %",
}
COLUMNS = {
    "train_barrier_over_mean": "train barrier over the mean of the ends",
    "train_barrier_over_chord": "over the chord",
    "test_barrier_over_chord": "test barrier over the chord",
    "curvature_at_a": "curvature at A",
    "curvature_at_b": "at B",
    "distance": "|A − B|",
}


def summary(settings: Settings, result: Result) -> Summary:
    """Return the table, one row per pair: ends, barrier by both definitions, curvature at both ends."""
    numbers: dict[str, Any] = {"parameters": settings.parameters(settings.net)}
    rows: list[tuple[str, ...]] = []
    all_findings: list[Finding] = []
    curvatures: list[Finding] = []
    for r, text in enumerate(settings.by):
        values = _measures(result, r)
        diverged = int((result.diverged_at[r] >= 0).sum())
        numbers[text] = {**{k: statistics(v) for k, v in values.items()}, "diverged": diverged}
        others = path_findings.measures(result, r)
        for way, row in {"": values, **others}.items():
            name = f"{text}, {path_findings.LABELS[way]}" if way else text
            cells = [format_percent(row[k]) for k in PERCENTS]
            cells += [format_median_range(row[k]) if k in row else NONE for k in COLUMNS]
            rows.append((name, *cells, f"{diverged} of {settings.seeds}"))
        numbers[text] |= {way: {k: statistics(v) for k, v in row.items()} for way, row in others.items()}
        accuracies = (values[f"train_accuracy_at_{end}"] for end in "ab")
        trained = not any(findings.is_at_chance(row, settings.info.classes) for row in accuracies)
        all_findings += _barrier(words(text), values, trained)
        all_findings += path_findings.other_ways(settings, text, values, others, trained)
        curvatures += _curvature(settings, words(text), values)
    numbers["seconds"] = statistics(np.array(result.seconds))
    numbers["line_seconds"] = statistics(np.array(result.line_seconds))
    starts = "from initial weights of their own" if settings.own_start else "from the same initial weights"
    title = f"interpolate on {settings.where()}: after {settings.epochs} epochs, A and B {starts}, "
    all_findings += curvatures + findings.one_seed(settings.seeds, "pair of trainings")
    ends = result.train_accuracy[:, :, np.isin(result.alphas, (0.0, 1.0))]
    ends = np.moveaxis(ends, -1, 1).reshape(-1, settings.seeds)  # a row for each end of each pair
    names = [f"{end} of {text}" for text in settings.by for end in "AB"]
    all_findings += findings.at_chance(names, ends, settings.info.classes)
    all_findings = findings.nothing_learned(ends, settings.info.classes) or all_findings
    all_findings += findings.diverged([f"one of the two nets of {text}" for text in settings.by], result.diverged_at)
    columns = ("A, B", *PERCENTS.values(), *COLUMNS.values(), "diverged")
    title += statistic_of_tables(settings.seeds)
    return Summary(title, columns, tuple(rows), tuple(all_findings), numbers, described(settings))


def _measures(result: Result, r: int) -> dict[str, Array]:
    """Return the numbers of pair r, each (seeds,)."""
    values = path_findings.barriers(result.alphas, {name: getattr(result, name)[r] for name in CURVES})
    return values | {
        "curvature_at_a": result.curvature[r, :, 0],
        "curvature_at_b": result.curvature[r, :, 1],
        "distance": result.distance[r],
    }


def _barrier(text: str, values: dict[str, Array], trained: bool) -> list[Finding]:
    """Whether there is a barrier in every seed, in none, or in some; nothing of it unless both nets are trained."""
    height = values["train_barrier_over_chord"]
    height = height[np.isfinite(height)]
    if not len(height):
        return [Finding("diverged", f"{text}: no line, because in every pair a training diverged.")]
    if len(height) == 1:
        verdict, follows = "one seed only, so nothing can be concluded", ""
    elif not trained:
        verdict, follows = UNTRAINED, ""
    elif (height > CLEAR).all():
        verdict = "there is a barrier in every seed"
        follows = " So no straight valley joins the two nets; a curved path between them may still have no barrier."
    elif (height < CLEAR).all():
        verdict = f"there is no barrier above {CLEAR:g} nats in any seed"
        follows = " This is one line: it does not show that all weights between the two nets are good."
    else:
        verdict, follows = "the seeds disagree on a barrier", " So neither is shown."
    worse = np.minimum(values["test_accuracy_at_a"], values["test_accuracy_at_b"])
    drop = 100 * (worse - values["lowest_test_accuracy_between"])
    falls = f"falls {format_median_range(drop)} points below that of the worse net"
    falls = falls if np.nanmax(drop) > 0 else "does not fall below that of the worse net"
    text = (
        f"{text}: {verdict}; on the line from net A (first value) to net B (second) the training loss rises "
        f"{format_median_range(height)} nats above the chord, the straight line between the losses of A and B "
        f"(guessing among ten classes costs 2.3 nats), and test accuracy {falls}.{follows}"
    )
    return [Finding("barrier", text)]


def _curvature(settings: Settings, text: str, values: dict[str, Array]) -> list[Finding]:
    """State the curvature along the line at both ends, and what it does not show."""
    a, b = values["curvature_at_a"], values["curvature_at_b"]
    if not (np.isfinite(a).any() or np.isfinite(b).any()):
        return []
    return [
        Finding(
            "line-curvature",
            f"{text}: curvature along the line (second derivative of the training loss by the position on it, 0 at A "
            f"and 1 at B) is {format_median_range(a)} at A and {format_median_range(b)} at B: one direction among "
            f"{settings.parameters(settings.net):,}, whose scale is the distance of the nets, and not a measure of "
            "flatness.",
        )
    ]
