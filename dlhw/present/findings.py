"""Findings: sentences that numbers support, by rules that all experiments share.

A rule takes numbers and returns the findings that they support, none where they support nothing. The code of a finding
is the heading in docs/measures.md that explains it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlhw.present.numbers import format_median_range, format_number, format_percent
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
    text = f"One {what} only: another seed may give other numbers, so with one seed, nothing can be concluded."
    return [Finding("one-seed", text)]


def cross_entropy(classes: int) -> str:
    """Return what a loss on images is, with a number to compare it with."""
    return f"cross entropy, in nats; guessing among {classes} classes gives {math.log(classes):.3g}"


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
        f"No net has learned anything yet: none is clearly better than chance (twice {100 / classes:.3g} %, which "
        "guessing "
        f"gets right), and the highest median training accuracy is {100 * max(medians):.1f} %. There is nothing to "
        "compare; raise `learning_rate` or `epochs`, or lower `learning_rate` if the loss has grown."
    )
    return [Finding("nothing-learned", text)]


def is_at_chance(accuracy: Array, classes: int) -> bool:
    """Whether the median of training accuracies (seeds,), nan where one diverged, is not clearly better than chance."""
    finite = accuracy[np.isfinite(accuracy)]
    return len(finite) > 0 and float(np.median(finite)) < CHANCE / classes


def at_chance(names: Sequence[str], accuracy: Array, classes: int) -> list[Finding]:
    """State which of several rows are not clearly better than chance, where others are: they have learned nothing.

    Args:
        names: of the rows.
        accuracy: training accuracy at the end, (rows, seeds); nan where a training diverged.
        classes: of the data set.
    """
    rows = zip(names, accuracy, strict=True)
    low = [f"{name} with {format_percent(row, ' %')}" for name, row in rows if is_at_chance(row, classes)]
    if not low or nothing_learned(accuracy, classes):
        return []
    verb, has, them = ("is", "has", "it") if len(low) == 1 else ("are", "have", "them")
    text = (
        f"{', '.join(low)} {verb} not clearly better than chance (twice {100 / classes:.3g} %) on the training images "
        "and "
        f"{has} learned nothing: a difference to {them} is a difference to an untrained net."
    )
    return [Finding("at-chance", text)]


def diverged(names: Sequence[str], diverged_at: NDArray[np.integer]) -> list[Finding]:
    """State which trainings diverged; diverged_at: (rows, seeds), -1 where a training did not."""
    seeds, why = diverged_at.shape[1], ": their loss grew without bound"
    return [
        Finding("diverged", f"{n} of {seeds} trainings of {name} diverged and are excluded from all numbers{why}.")
        for name, n in zip(names, (diverged_at >= 0).sum(axis=1), strict=True)
        if n
    ]


def lowest(
    names: Sequence[str],
    values: Array,
    quantity: str,
    *,
    standard_errors: Sequence[float] | None = None,
    answers: tuple[str, str] = ("", ""),
) -> list[Finding]:
    """State which of `names` has the lowest `quantity`, and whether the seeds separate it from the others.

    It counts as separated only where no training diverged, the whole range of the first lies below that of every
    other, and the medians differ by more than :data:`RESOLVED` standard errors. With one seed nothing is claimed.

    Args:
        names: of the rows.
        values: (rows, seeds); nan where a training diverged.
        quantity: what the values are.
        standard_errors: of each row, where the quantity is measured on finitely many images, which all seeds share.
        answers: to the question behind the comparison, such as "{best} learns best": one for names that are separated
            and one for those that are not. It begins the sentence.
    """
    finite = [(name, v[np.isfinite(v)]) for name, v in zip(names, values, strict=True)]
    ranked = sorted((item for item in finite if len(item[1])), key=lambda item: float(np.median(item[1])))
    if not ranked:
        return [Finding("diverged", f"No net has a finite {quantity}.")]
    seeds, (best, mine) = values.shape[1], ranked[0]
    count = f", {len(mine)} seeds" if seeds > 1 else ""
    if len(ranked) < 2:
        return [Finding("not-separated", f"The {quantity} of {best} is {format_median_range(mine)}{count}.")]
    yes, no = (f"{text.format(best=best)}: " if text else "" for text in answers)
    claim = f"{best} has the lowest {quantity}, {format_median_range(mine)}{count}"
    second = f"next is {ranked[1][0]} with {format_median_range(ranked[1][1])}"
    if seeds == 1:
        text = f"{no}{'in' if no else 'In'} this run, {claim}; {second}; with one seed, nothing can be concluded."
        return [Finding("one-seed", text)]
    reason = _not_separated(finite, ranked, seeds, standard_errors, names)
    if reason:
        text = f"{no}{'by' if no else 'By'} the median, {claim}; {second}; {reason}: not separated, so it may be "
        text += "chance."
        return [Finding("not-separated", text)]
    text = f"{yes}{claim}; {second}; all of its seeds lie below all seeds of the others, so it is not the luck of a "
    text += "seed."
    return [Finding("separated", text[0].upper() + text[1:])]


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
        return f"the range of {best} overlaps that of {' and '.join(overlapping)}"
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
    scale = "1: both always rise together, −1: one falls as the other rises"
    if not np.isfinite(low):
        return [Finding("rank-correlation", f"{text} ({scale}); too few for an interval, so nothing follows from it.")]
    meaning = (
        (higher or f"larger {a} goes with larger {b}") if rho > 0 else (lower or f"larger {a} goes with smaller {b}")
    )
    nothing = "the interval includes zero, so neither direction is shown"
    verdict = nothing if low <= 0 <= high else f"{meaning}, which does not show that one causes the other"
    caveat = ", but with one seed per net nothing can be concluded" if seeds == 1 else ""
    bounds = f"95 % interval {low:.2f} to {high:.2f} by bootstrap, which draws the pairs again at random"
    return [Finding("rank-correlation", f"{text} ({scale}; {bounds}); {verdict}{caveat}.")]


def generalization_gap(gap: Array, standard_error: Array | None) -> tuple[bool, list[Finding]]:
    """Whether the generalization gaps (rows, seeds) are resolved, and a finding on their size.

    Args:
        gap: test loss minus training loss.
        standard_error: of every gap over the images on which the losses are evaluated; None: not stored. The spread
            over the seeds is no substitute, since all of them are evaluated on the same images.
    """
    if not np.isfinite(gap).any():
        return False, []
    text = "The generalization gap (test loss − training loss: how much worse a net is on new images) is "
    text += format_median_range(gap[np.isfinite(gap)])
    if standard_error is None:
        text += "; its standard error over the images is not stored, so correlations with it are not evidence."
        return False, [Finding("generalization-gap", text)]
    known = np.isfinite(gap) & np.isfinite(standard_error)
    if known.any():
        text += f" over all trainings, its standard error over the images {format_median_range(standard_error[known])}"
        size, error = float(np.median(np.abs(gap[known]))), float(np.median(standard_error[known]))
        if size > RESOLVED * error:
            return True, [Finding("generalization-gap", f"{text}: more than twice that error, so it is resolved.")]
    text += ": with so few images it is not resolved, so correlations with it are not evidence."
    return False, [Finding("generalization-gap", text)]


def not_converged(count: int, what: str, consequence: str) -> list[Finding]:
    """State how many iterations ended before they converged, and what this means for the numbers."""
    return (
        [Finding("not-converged", f"{count} {what} did not converge (stopped early): {consequence}.")] if count else []
    )
