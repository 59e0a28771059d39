"""The table of `trajectory`, and what its numbers support."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlhw.experiments.trajectory.spec import Result, Settings
from dlhw.measure.principal_components import random_walk_shares
from dlhw.present import findings
from dlhw.present.findings import Finding
from dlhw.present.numbers import NONE, format_median_range, format_number
from dlhw.present.tables import Summary, statistic_of_tables, statistics
from dlhw.runs.settings import described

COLUMNS = (
    "",
    "variance in 2 own components",
    "in 2 pooled components",
    "length of the path",
    "start to end",
    "between ends",
    "between starts",
)


def summary(settings: Settings, result: Result) -> Summary:
    """Return the table, one row for the model and one for the layer: fractions of variance, lengths, distances."""
    pairs = ~np.eye(settings.seeds, dtype=bool)
    numbers: dict[str, Any] = {"parameters": settings.parameters(settings.net)}
    numbers["diverged"] = int((result.diverged_at >= 0).sum())
    rows = []
    for p, part in enumerate(settings.parts()):
        two = result.own_explained[p][:, :2].sum(axis=1)
        apart, before = result.apart[p][pairs], result.apart_at_start[p][pairs]
        numbers[part] = {
            "pooled_explained": result.pooled_explained[p].tolist(),
            "own_explained_by_two": statistics(two),
            "travelled": statistics(result.travelled[p]),
            "moved": statistics(result.moved[p]),
            "apart": statistics(apart),
            "apart_at_start": statistics(before),
        }
        pooled = float(result.pooled_explained[p][:2].sum())
        cells = [format_median_range(100 * two, " %"), f"{100 * pooled:.1f} %" if np.isfinite(pooled) else NONE]
        lengths = (result.travelled[p], result.moved[p], apart, before)
        rows.append((part, *cells, *(format_median_range(v) for v in lengths)))
    numbers["test_accuracy"] = statistics(np.where(result.diverged_at < 0, result.test_accuracy[:, -1], np.nan))
    numbers["seconds"] = statistics(np.array(result.seconds))
    paths = [_path(settings, result, p, part) for p, part in enumerate(settings.parts())]
    paths += findings.one_seed(settings.seeds)
    accuracy = np.where(result.diverged_at < 0, result.train_accuracy[:, -1], np.nan)
    all_findings = [
        *(findings.nothing_learned(accuracy[None], settings.info.classes) or paths),
        *_tsne(settings, result),
        *findings.diverged([settings.net], result.diverged_at[None]),
    ]
    title = f"trajectory of {settings.net} on {settings.where()}: {settings.epochs} epochs, "
    title += statistic_of_tables(settings.seeds)
    return Summary(title, COLUMNS, tuple(rows), tuple(all_findings), numbers, described(settings))


def _path(settings: Settings, result: Result, p: int, part: str) -> Finding:
    """State how much variance two components hold compared with a random walk, and how straight the paths are."""
    two, moved = result.own_explained[p][:, :2].sum(axis=1), result.moved[p]
    if not np.isfinite(two).any():
        return Finding("path-of-the-weights", f"{part}: there is no path.")
    points = len(settings.recorded_epochs)
    if points <= 3:
        text = f"{part}: a path of {points} points lies in a plane, so its variance in two components says nothing; "
        text += "raise `epochs` or lower `every`."
        return Finding("path-of-the-weights", text)
    with np.errstate(invalid="ignore", divide="ignore"):  # a training that never moved
        bent = result.travelled[p] / moved
    null = 100 * random_walk_shares(points)[:2].sum()
    text = f"{part}: the path of training is {format_median_range(bent)} times as long as the straight line from start "
    text += "to "
    text += f"end; a plane through it (two principal components) holds {format_median_range(100 * two, ' %')} of the "
    text += "variance "
    text += f"of its {points} points (a random walk of as many points: {null:.0f} %)"
    apart = result.apart[p][~np.eye(settings.seeds, dtype=bool)]
    if np.isfinite(apart).any():
        ratio = format_number(float(np.nanmedian(apart) / np.nanmedian(moved)))
        text += f"; the ends of two trainings are {ratio} times as far apart as one training moves"
        before = result.apart_at_start[p][~np.eye(settings.seeds, dtype=bool)]
        text += f" ({format_median_range(apart)} at the end, {format_median_range(before)} at the start)"
    text += ". That few directions hold most of a path is true of any smooth path, and does not show that training is "
    text += "simple."
    return Finding("path-of-the-weights", text)


def _tsne(settings: Settings, result: Result) -> list[Finding]:
    """State with what the picture by t-SNE was made, and what it does not show."""
    if settings.reduce != "tsne":
        return []
    if result.perplexity is None:
        return [
            Finding("tsne-distances", "There is no picture by t-SNE: the trainings that did not diverge are too few.")
        ]
    n = int((result.diverged_at < 0).sum()) * len(result.epochs)
    text = (
        f"The picture by t-SNE places {n} points with perplexity {result.perplexity:.3g} and seed {settings.seed}. "
        "Distances in it, sizes of clusters and gaps between them mean nothing, and another perplexity gives another "
        "picture; only near neighbours are kept. All distances in the table are Euclidean, between the weights."
    )
    return [Finding("tsne-distances", text)]
