"""Weights mixed in place: every alpha mixes what the alpha before it left.

After p <- (1 - a) p + a q for the alphas of a grid, the first net remains with the product of all (1 - a), which soon
is nothing: from there on the curve is that of the second net, constant. Where a right curve is flat near its end, it
still changes by more than half a per cent there.
"""

from __future__ import annotations

import numpy as np

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.repeats import mean_rows
from dlhw.checks.rule import Rule
from dlhw.checks.tables import Array, Table
from dlhw.checks.written_precision import half_unit
from dlhw.present.numbers import format_number

LOSSES = ("train_loss", "test_loss")
REMAINS = 1e-3
"""Part of the first net from which on the curve must be constant, if weights are mixed in place."""
CONSTANT = 0.004
"""Change over that stretch, relative to the loss or to the range of the curve. Right curves: 0.0053 and more; curves
mixed in place: 0.003 and less."""
SHORTEST = 0.0999
"""Length in alpha of the stretch: on a shorter one a right curve hardly changes either."""


def apply(table: Table) -> Mark | Lacking | None:
    """Mark curves that are constant where a mixture in place has arrived at one net."""
    names = [name for name in LOSSES if name in table.columns]
    if not names:
        return Lacking("needs a loss: accuracies may be constant on the line between two nets")
    alphas, *losses = mean_rows(table, *names)
    second, first = (_arrival(alphas, factors) for factors in (1 - alphas, alphas))
    for start in (second, first):
        changes = [] if start is None else [_change(values, start) for values in losses]
        if start is not None and max(map(max, changes)) <= CONSTANT:
            rows = np.flatnonzero(table.x >= alphas[start])
            return Mark(_reason(alphas, losses[0], names[0], start), tuple(map(int, rows)))
    if second is None:
        return Lacking("needs a finer grid, or one that goes beyond 1")
    if max(change for change, _ in (_change(values, second) for values in losses)) <= CONSTANT:
        return Lacking("needs more digits of the losses, which are constant as far as they are written down")
    return None


def _arrival(alphas: Array, factors: Array) -> int | None:
    """Return the row from which on nothing remains of a net; None if the stretch after it is too short to tell."""
    rows = np.flatnonzero(np.abs(np.cumprod(factors)) <= REMAINS)
    return int(rows[0]) if len(rows) and alphas[-1] - alphas[rows[0]] >= SHORTEST else None


def _change(values: Array, start: int) -> tuple[float, float]:
    """Return the change from a row on, less rounding, and the last digit, relative to the smaller of loss and range."""
    scale = min(float(np.ptp(values)), abs(float(values[-1])))
    unit = 2 * half_unit(values)
    if scale <= unit:
        return (np.inf, 0.0) if np.ptp(values[start:]) > unit or np.ptp(values) == 0 else (0.0, np.inf)
    return max(0.0, float(np.ptp(values[start:])) - unit) / scale, unit / scale


def _reason(alphas: Array, loss: Array, name: str, start: int) -> str:
    return (
        f"From alpha {format_number(float(alphas[start]))} to {format_number(float(alphas[-1]))} {name} stays at "
        f"{format_number(float(loss[-1]))}, and varies by {format_number(float(np.ptp(loss)))} over the whole curve. "
        "This is what repeated mixing in place gives: after a few steps nothing of one net remains. On the line "
        "between two nets the loss changes at every alpha."
    )


RULE = Rule(
    code="in-place-mixing",
    items=("interpolation",),
    kind="mistake",
    title="weights mixed in place",
    remedy="Compute (1 - alpha) A + alpha B from copies of both nets for every alpha, and leave A and B as they are.",
    apply=apply,
    false_alarm_rate=0.01,
    basis="measured",
)
