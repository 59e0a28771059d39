"""Findings on a quantity against the setting that a sweep varies; see :mod:`dlhw.present.findings`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dlhw.present.findings import FITTED, Finding
from dlhw.present.numbers import format_median_range, format_number

Array = NDArray[np.floating]


def range_of_ends(name: str, values: Array, labels: Sequence[object], what: str) -> list[Finding]:
    """Compare a quantity at the first and the last row of a sweep: separated, or with overlapping ranges.

    Args:
        name: of the quantity.
        values: (2, seeds) at both ends of the sweep.
        labels: of both ends.
        what: the setting that is swept.
    """
    low, high = (v[np.isfinite(v)] for v in values)
    if not len(low) or not len(high):
        return []
    side = "lower" if high.max() < low.min() else "higher" if high.min() > low.max() else ""
    apart = f"all seeds {side} at {labels[1]}, so it is not the luck of a seed"
    verdict = apart if side else "the ranges overlap, so the seeds do not show a difference"
    verdict = verdict if values.shape[1] > 1 else "one seed only, so nothing can be concluded"
    a, b = (format_median_range(v) for v in values)
    return [Finding("range-of-ends", f"{name}: {a} at {what} {labels[0]}, {b} at {labels[1]}; {verdict}.")]


def not_monotone(
    values: Array, labels: Sequence[object], first: int, last: int, name: str = "The relation"
) -> list[Finding]:
    """State whether a quantity (rows, seeds) has its largest or smallest median between the ends of a sweep."""
    finite = np.asarray(np.isfinite(values).any(axis=1))
    if not finite.any():
        return []
    medians = np.array(
        [np.median(row[np.isfinite(row)]) if ok else np.nan for row, ok in zip(values, finite, strict=True)]
    )
    findings = []
    for k, word, sign in ((int(np.nanargmax(medians)), "largest", 1), (int(np.nanargmin(medians)), "smallest", -1)):
        if k in (first, last):
            continue
        inner, *ends = (sign * values[j][np.isfinite(values[j])] for j in (k, first, last))
        what = f"its {word} median, {format_number(medians[k])}, is at {labels[k]}"
        if values.shape[1] == 1:
            text = f"{name} is not monotone in this one seed: {what}; nothing can be concluded from it."
        elif all(len(end) and inner.min() > end.max() for end in ends):
            text = f"{name} is not monotone: {what}, with all seeds beyond those at both ends. The ends alone mislead."
        else:
            subject = name[0].lower() + name[1:]
            text = f"The seeds do not show whether {subject} is monotone: {what}, within the range of an end."
        findings.append(Finding("not-monotone", text))
    return findings


def not_fitted(best_accuracy: float, epochs: int) -> list[Finding]:
    """State that no net fits its training set, so that speed of learning is compared and not capacity."""
    if not best_accuracy < FITTED:
        return []
    return [
        Finding(
            "not-fitted",
            f"No net has fitted its training set: none reaches {100 * FITTED:g} % training accuracy in {epochs} epochs "
            f"(highest median {100 * best_accuracy:.1f} %). So the comparison is of how fast the nets learn, not of "
            "what they can fit.",
        )
    ]
