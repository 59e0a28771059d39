"""The table of the scoreboard, and what its numbers support."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlhw.experiments.scoreboard.measures import TOLERANCE
from dlhw.experiments.scoreboard.ranking import (
    CONFIDENCE,
    CORRECTED,
    Row,
    gaps,
    included,
    ranking,
    signed,
    with_interval,
)
from dlhw.experiments.scoreboard.spec import Result, Settings
from dlhw.experiments.scoreboard.statistics import Estimate
from dlhw.experiments.scoreboard.verdict import answer, caution, controls, loss_or_error, over_all_nets, over_axes
from dlhw.present import findings
from dlhw.present.findings import Finding
from dlhw.present.numbers import NONE, format_median_range, format_number
from dlhw.present.tables import Summary, statistics
from dlhw.runs.settings import described

NAMED = 6
"""Nets that a finding names at most; the others are counted."""


def summary(settings: Settings, result: Result) -> Summary:
    """Return the table, one row per measure, and which measures follow the generalization gap."""
    rows, (gap, error_gap) = ranking(settings, result), gaps(settings, result)
    resolved, of_gap = findings.generalization_gap(gap, np.where(np.isfinite(gap), result.gap_error, np.nan))
    comparisons = [
        *answer(settings, rows, resolved, int(np.isfinite(gap).sum())),
        *over_all_nets(rows),
        *over_axes(settings, rows),
        *loss_or_error(rows),
        *controls(rows),
        *caution(settings, rows),
        *_fewer_nets(rows, int(np.isfinite(gap).sum())),
        *_loss_at_the_stop(settings, result),
        *of_gap,
        *_instruments(result),
        *findings.one_seed(settings.seeds, "training per configuration"),
    ]
    all_findings = [
        *(findings.nothing_learned(result.train_accuracy, settings.info.classes) or comparisons),
        *_not_reached(settings, result),
        *findings.diverged(["all configurations"], result.diverged_at.reshape(1, -1)),
    ]
    nets = f"{int(included(settings, result).sum())} of {gap.size} nets"
    title = f"scoreboard on {settings.where()}: {nets} trained to a loss of {settings.target_loss:g}"
    numbers = {row.measure.key: _numbers(settings, row) for row in rows}
    numbers |= {"gap": statistics(gap), "gap of the error": statistics(error_gap), "nets": _nets(settings, result, gap)}
    columns = (
        "measure",
        "tau with the gap (95 %)",
        "granulated (95 %)",
        "lowest along",
        "tau with the gap of the error (95 %)",
        "verdict",
    )
    table = tuple(_cells(settings, row, int(np.isfinite(gap).sum())) for row in rows)
    return Summary(title, columns, table, tuple(all_findings), numbers, described(settings))


def _cells(settings: Settings, row: Row, nets: int) -> tuple[str, ...]:
    """Return the row of a measure; nets: those that are ranked, of which it may be defined for fewer."""
    values = [e.value for e in row.granulated.axes]
    lowest = NONE
    if np.isfinite(values).any():
        k = int(np.nanargmin(values))
        lowest = f"{settings.axes[k].name}: {signed(values[k])}"
    taus = with_interval(row.tau), with_interval(row.granulated.total)
    name = row.name if row.nets == nets else f"{row.name} ({row.nets} of {nets} nets)"
    return name, *taus, lowest, with_interval(row.error_tau), _verdict(row)


def _verdict(row: Row) -> str:
    """Return what the intervals say of a measure, in two or three words."""
    if row.is_control:
        return "control"
    if row.tau.sign() <= 0:
        return "opposite" if row.tau.sign() < 0 else "not shown"
    if not all(len(e.draws) for e in row.granulated.axes):
        return "over all nets"
    return "follows the gap" if row.wins() else "over all nets only"


def _numbers(settings: Settings, row: Row) -> dict[str, Any]:
    """Return every number of a measure."""

    def of(estimate: Estimate) -> dict[str, float]:
        low, high = estimate.interval(CONFIDENCE)
        return {"tau": estimate.value, "low": low, "high": high}

    axes = zip(settings.axes, row.granulated.axes, strict=True)
    return {
        "gap": of(row.tau) | {"n": row.nets},
        "gap of the error": of(row.error_tau),
        "granulated": of(row.granulated.total),
        **{f"along {axis.name}": of(estimate) for axis, estimate in axes},
        "wins": row.wins(),
        "wins after correction": row.wins(CORRECTED),
        "values": statistics(row.values),
    }


def _nets(settings: Settings, result: Result, gap: np.ndarray) -> dict[str, Any]:
    """Return epochs, losses and gap of every configuration."""
    reached = included(settings, result)
    return {
        str(configuration): {
            "parameters": settings.parameters(configuration.net(settings)),
            "reached": int(reached[k].sum()),
            **{name: statistics(v[k]) for name, v in _of_nets(result, gap).items()},
        }
        for k, configuration in enumerate(settings.configurations)
    }


def _of_nets(result: Result, gap: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "epochs": result.epochs,
        "train_loss": result.train_loss,
        "test_loss": result.test_loss,
        "test_accuracy": result.test_accuracy,
        "gap": gap,
    }


def _not_reached(settings: Settings, result: Result) -> list[Finding]:
    """Name the nets that are left out."""
    missed = [(k, s) for k, s in np.argwhere(~included(settings, result))]
    if not missed:
        return []
    names = [f"{settings.configurations[k]}, seed {settings.seed + s}" for k, s in missed]
    more = f"; and {len(names) - NAMED} more" if len(names) > NAMED else ""
    text = (
        f"{len(names)} of {result.train_loss.size} trainings have not reached a training loss of "
        f"{settings.target_loss:g} in {settings.epochs} epochs and are left out of all numbers: "
        f"{'; '.join(names[:NAMED])}{more}."
    )
    return [Finding("target-not-reached", text)]


def _fewer_nets(rows: list[Row], nets: int) -> list[Finding]:
    """Name the measures that are not defined for all nets, whose tau is over the others."""
    fewer = [f"{row.name} on {row.nets}" for row in rows if row.nets < nets]
    if not fewer:
        return []
    text = (
        f"Ranked on fewer than the {nets} nets, those for which they are defined: {', '.join(fewer)}. The inverse of a "
        "margin is not defined for a net whose 10th percentile of the margins is not positive. Such a tau is over "
        "other nets than those of the other measures, and not to be compared with them as it is."
    )
    return [Finding("ranked-on-fewer-nets", text)]


def _loss_at_the_stop(settings: Settings, result: Result) -> list[Finding]:
    """State how equal the training losses are."""
    reached = included(settings, result)
    losses, epochs = result.train_loss[reached], result.epochs[reached]
    if not len(losses):
        return []
    text = (
        f"Every training stops after the first epoch whose training loss is at most {settings.target_loss:g}; where "
        f"they stop, it is {format_median_range(losses)}, after {format_median_range(epochs)} epochs. What differs "
        "there is compared as a control."
    )
    return [Finding("loss-at-the-stop", text)]


def _instruments(result: Result) -> list[Finding]:
    """State which numbers are bounds, and how exact estimates are."""
    known = np.isfinite(result.keskar)
    capped = int((known & (result.keskar_settled < 1)).sum())
    loose = int((result.eigenvalue_residual > TOLERANCE * np.abs(result.eigenvalue)).sum())
    return [
        *findings.not_converged(
            capped, f"of {int(known.sum())} searches for Keskar's maximum", "they ended at their limit while increasing"
        ),
        *findings.not_converged(loose, "of the largest eigenvalues", "they are lower bounds"),
        *_estimates(result),
    ]


def _estimates(result: Result) -> list[Finding]:
    pairs = {
        "the trace": (result.trace_error, result.trace),
        "the rise on the ball": (result.random_ball_error, result.random_ball),
    }
    parts = []
    for name, (error, value) in pairs.items():
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = 100 * error / np.abs(value)
        if np.isfinite(shares).any():
            parts.append(f"{format_number(float(np.median(shares[np.isfinite(shares)])))} % of {name}")
    if not parts:
        return []
    text = f"Two measures are estimates from random directions; the median standard error is {' and '.join(parts)}."
    return [Finding("estimated-measures", f"{text} Noise in a measure lowers its tau.")]
