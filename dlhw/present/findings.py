"""Findings: sentences that numbers support, by rules that all experiments share.

A rule takes numbers and returns the findings that they support, none where they support nothing. The code of a finding
is the heading in docs/measures.md that explains it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlhw.present.numbers import format_median_range, format_number
from dlhw.present.statistics import Interval

Array = NDArray[np.floating]

RESOLVED = 2.0
"""A difference counts as resolved where it exceeds so many standard errors."""
CHANCE = 2.0
"""A net has learned something if its training accuracy is so many times that of guessing."""
FITTED = 0.99
"""Training accuracy at which a net counts as having fitted its training set."""


@dataclass(frozen=True)
class Finding:
    """One sentence, and the code of the rule that gave it."""

    code: str  # heading in docs/measures.md
    text: str

    def __str__(self) -> str:
        return self.text


def one_seed(seeds: int, what: str = "training") -> list[Finding]:
    """State that one seed shows nothing; no finding with several."""
    if seeds > 1:
        return []
    return [Finding("one-seed", f"One {what} only: with one seed, nothing can be concluded.")]


def nothing_learned(accuracy: Array, classes: int) -> list[Finding]:
    """State that no net is clearly better than chance; the finding takes the place of all comparisons.

    Args:
        accuracy: training accuracy at the end, (rows, seeds); nan where a training diverged.
        classes: of the data set; guessing has an accuracy of 1 / classes.
    """
    medians = [float(np.median(row[np.isfinite(row)])) for row in accuracy if np.isfinite(row).any()]
    if not medians or max(medians) >= CHANCE / classes:
        return []
    text = (
        f"No net is clearly better than chance (twice {100 / classes:.3g} %): the highest median training accuracy is "
        f"{100 * max(medians):.1f} %. There is nothing to compare yet; raise `learning_rate` or `epochs`, or lower "
        "`learning_rate` if the loss has grown."
    )
    return [Finding("nothing-learned", text)]


def at_chance(names: Sequence[str], accuracy: Array, classes: int) -> list[Finding]:
    """State which of several rows are not clearly better than chance, where others are: they have learned nothing.

    Args:
        names: of the rows.
        accuracy: training accuracy at the end, (rows, seeds); nan where a training diverged.
        classes: of the data set.
    """
    low = []
    for name, row in zip(names, accuracy, strict=True):
        finite = row[np.isfinite(row)]
        if len(finite) and float(np.median(finite)) < CHANCE / classes:
            low.append(f"{name} ({100 * float(np.median(finite)):.1f} %)")
    if not low or nothing_learned(accuracy, classes):
        return []
    verb = "is" if len(low) == 1 else "are"
    text = (
        f"{', '.join(low)} {verb} not clearly better than chance (twice {100 / classes:.3g} %) on the training images: "
        "what follows compares nets that have learned with nets that have not."
    )
    return [Finding("at-chance", text)]


def diverged(names: Sequence[str], diverged_at: NDArray[np.integer]) -> list[Finding]:
    """State which trainings diverged; diverged_at: (rows, seeds), -1 where a training did not."""
    seeds = diverged_at.shape[1]
    return [
        Finding("diverged", f"{n} of {seeds} trainings of {name} diverged and are excluded from all numbers.")
        for name, n in zip(names, (diverged_at >= 0).sum(axis=1), strict=True)
        if n
    ]


def lowest(
    names: Sequence[str], values: Array, quantity: str, *, standard_errors: Sequence[float] | None = None
) -> list[Finding]:
    """State which of `names` has the lowest `quantity`, and whether the seeds separate it from the others.

    It counts as separated only where no training diverged, the whole range of the first lies below that of every
    other, and the medians differ by more than :data:`RESOLVED` standard errors. With one seed nothing is claimed.

    Args:
        names: of the rows.
        values: (rows, seeds); nan where a training diverged.
        quantity: what the values are.
        standard_errors: of each row, where the quantity is measured on finitely many images, which all seeds share.
    """
    finite = [(name, v[np.isfinite(v)]) for name, v in zip(names, values, strict=True)]
    ranked = sorted((item for item in finite if len(item[1])), key=lambda item: float(np.median(item[1])))
    if not ranked:
        return [Finding("diverged", f"No net has a finite {quantity}.")]
    seeds, (best, mine) = values.shape[1], ranked[0]
    count = f", {len(mine)} seeds" if seeds > 1 else ""
    if len(ranked) < 2:
        return [Finding("not-separated", f"The {quantity} of {best} is {format_median_range(mine)}{count}.")]
    claim = f"{best} has the lowest {quantity}, {format_median_range(mine)}{count}"
    if seeds == 1:
        return [Finding("one-seed", f"In this run, {claim}; with one seed, nothing can be concluded.")]
    reason = _not_separated(finite, ranked, seeds, standard_errors, names)
    if reason:
        return [Finding("not-separated", f"By the median, {claim}; {reason}: not separated.")]
    return [Finding("separated", f"{claim[0].upper()}{claim[1:]}; all of its seeds lie below all seeds of the others.")]


def _not_separated(
    finite: Sequence[tuple[str, Array]],
    ranked: Sequence[tuple[str, Array]],
    seeds: int,
    standard_errors: Sequence[float] | None,
    names: Sequence[str],
) -> str:
    """Return why the first of the ranking is not separated from the others; "" if it is."""
    best, mine = ranked[0]
    if any(len(v) < seeds for _, v in finite):
        return "some trainings diverged"
    overlapping = [name for name, v in ranked[1:] if float(v.min()) <= float(mine.max())]
    if overlapping:
        return f"its range overlaps that of {' and '.join(overlapping)}"
    errors = dict(zip(names, standard_errors if standard_errors is not None else [0.0] * len(names), strict=True))
    gaps = {name: float(np.median(v) - np.median(mine)) for name, v in ranked[1:]}
    combined = {name: float(np.hypot(errors[name], errors[best])) for name in gaps}
    close = [name for name in gaps if gaps[name] <= RESOLVED * combined[name]]
    if not close:
        return ""
    gap, error = format_number(gaps[close[0]]), format_number(combined[close[0]])
    return (
        f"the difference to {' and '.join(close)} is {gap}, and its standard error over the evaluated images is {error}"
    )


def rank_correlation(
    a: str, b: str, interval: Interval, n: int, unit: str, *, seeds: int = 2, higher: str = "", lower: str = ""
) -> list[Finding]:
    """State Spearman's rank correlation of `a` and `b` over n units (trainings, nets), and what its interval supports.

    Args:
        a: name of one quantity.
        b: name of the other.
        interval: estimate, and lower and upper end of the 95 % interval; nan where it could not be computed.
        n: number of pairs.
        unit: what they are, in the plural.
        seeds: with one seed per net nothing is claimed.
        higher: what a positive correlation means; default: more a goes with more b.
        lower: what a negative one means.
    """
    rho, low, high = interval
    if not np.isfinite(rho):
        return []
    text = f"Spearman correlation of {a} and {b} over {n} {unit}: {rho:.2f}"
    if not np.isfinite(low):
        return [Finding("rank-correlation", f"{text}; too few for an interval.")]
    meaning = (
        (higher or f"larger {a} goes with larger {b}") if rho > 0 else (lower or f"larger {a} goes with smaller {b}")
    )
    verdict = "the interval includes zero" if low <= 0 <= high else meaning
    caveat = ", but with one seed per net nothing can be concluded" if seeds == 1 else ""
    bounds = f"95 % interval {low:.2f} to {high:.2f} by bootstrap"
    return [Finding("rank-correlation", f"{text} ({bounds}); {verdict}{caveat}.")]


def generalization_gap(gap: Array, standard_error: Array | None) -> tuple[bool, list[Finding]]:
    """Whether the generalization gaps (rows, seeds) are resolved, and a finding on their size.

    Args:
        gap: test loss minus training loss.
        standard_error: of every gap over the images on which the losses are evaluated; None: not stored. The spread
            over the seeds is no substitute, since all of them are evaluated on the same images.
    """
    if not np.isfinite(gap).any():
        return False, []
    text = f"The generalization gap (test loss − training loss) is {format_median_range(gap[np.isfinite(gap)])}"
    if standard_error is None:
        text += "; its standard error over the images is not stored, so correlations with it are not evidence."
        return False, [Finding("generalization-gap", text)]
    known = np.isfinite(gap) & np.isfinite(standard_error)
    if known.any():
        text += f", its standard error over the images {format_median_range(standard_error[known])}"
        size, error = float(np.median(np.abs(gap[known]))), float(np.median(standard_error[known]))
        if size > RESOLVED * error:
            return True, [Finding("generalization-gap", f"{text}.")]
    return False, [Finding("generalization-gap", f"{text}: not resolved, so correlations with it are not evidence.")]


def not_converged(count: int, what: str, consequence: str) -> list[Finding]:
    """State how many iterations ended before they converged, and what this means for the numbers."""
    return [Finding("not-converged", f"{count} {what} did not converge: {consequence}.")] if count else []


def not_fitted(best_accuracy: float, epochs: int) -> list[Finding]:
    """State that no net fits its training set, so that speed of learning is compared and not capacity."""
    if not best_accuracy < FITTED:
        return []
    return [
        Finding(
            "not-fitted",
            f"No net reaches {100 * FITTED:g} % training accuracy in {epochs} epochs (highest median "
            f"{100 * best_accuracy:.1f} %): the comparison is of how fast the nets learn, not of what they can fit.",
        )
    ]
