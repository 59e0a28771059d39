"""What the numbers of `gradient-norm` support, in sentences."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dlhw.experiments.gradient_norm.spec import BLOCK, Result, Settings
from dlhw.present import findings
from dlhw.present.findings import Finding
from dlhw.present.numbers import format_median_range

Array = NDArray[np.floating]


def sentences(settings: Settings, result: Result, start: Array, late: Array) -> list[Finding]:
    """Return the findings of a run; start, late: norm at the start and over the last 5 % of the iterations, (S,)."""
    correlation = result.correlation
    n = int(np.isfinite(correlation[:, 0]).sum())
    sign = _sign(correlation) if settings.seeds > 1 and n == settings.seeds else []
    follows = "; it follows the loss" if sign and (correlation[:, 1] > 0).all() else ""
    all_findings = _size(start, late, follows) + sign
    if n:
        interval = (
            f"its 95 % intervals are from a bootstrap of blocks of {BLOCK} iterations and too narrow for slower trends"
            if np.isfinite(correlation[:, 1:]).any()
            else f"it has no interval, which needs at least {10 * BLOCK} iterations"
        )
        text = (
            "Spearman correlation of gradient norm and loss (1: both always rise and fall together, 0: no relation) "
            "over "
            f"{settings.epochs} iterations: {format_median_range(correlation[:, 0])}, {n} seed{'s' * (n > 1)}; "
            f"{interval}."
        )
        all_findings.append(Finding("rank-correlation", text))
    all_findings += findings.one_seed(settings.seeds)
    return all_findings + findings.diverged(["this net"], result.diverged_at[None])


def _size(start: Array, late: Array, follows: str) -> list[Finding]:
    """State the norm at the start and over the last 5 % of the iterations, each (S,), nan where a training diverged.

    follows: the clause that it follows the loss, where every seed shows it.
    """
    known = np.isfinite(start) & np.isfinite(late)
    if not known.any():
        return []
    start, late = start[known], late[known]
    falls, rises = bool((late < start).all()), bool((late > start).all())
    change = "falls" if falls else "rises" if rises else "neither falls nor rises in every seed"
    if len(start) == 1:
        change += " in this one seed"
    elif falls or rises:
        change += " in every seed"
    text = (
        f"The gradient norm (length of the vector of all derivatives of the loss) {change} while the net learns: "
        f"{format_median_range(start)} at the start, {format_median_range(late)} over the last 5 % of the "
        f"iterations{follows}."
    )
    return [Finding("size-of-the-gradient", text)]


def _sign(correlation: Array) -> list[Finding]:
    """Whether the seeds agree on the sign of the correlation, (S, 3)."""
    if (correlation[:, 1] > 0).all():
        text = "In every seed, the norm is larger where the loss is larger: the two fall and rise together. A common "
        text += "trend is enough for that; it does not show that one predicts the next change of the other."
    elif (correlation[:, 2] < 0).all():
        text = "In every seed, the norm is larger where the loss is smaller: it does not follow the loss. Opposite "
        text += "trends "
        text += "are enough for that; it does not show that one drives the other."
    elif np.isfinite(correlation).all():
        text = "The seeds do not agree on a sign of the relation of norm and loss (an interval includes zero, or the "
        text += "signs "
        text += "differ): they do not show that the norm follows the loss."
    else:
        return []
    return [Finding("rank-correlation", text)]
