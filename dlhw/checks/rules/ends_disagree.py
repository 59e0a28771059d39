"""Numbers at alpha 0 and 1 that are not those of the two nets."""

from __future__ import annotations

import numpy as np

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.repeats import repeated
from dlhw.checks.rule import Rule
from dlhw.checks.tables import Table
from dlhw.checks.written_precision import half_unit
from dlhw.present.numbers import format_number

ENDS = (("first", 0.0), ("second", 1.0))
RELATIVE, ABSOLUTE = {"train_loss": 0.1, "test_accuracy": 0.0}, {"train_loss": 0.0, "test_accuracy": 0.01}
"""By how much evaluations of one net on the same examples may differ, beyond rounding: generous."""
ON_GRID = 1e-6


def apply(table: Table) -> Mark | Lacking | None:
    """Mark an end whose value is neither that of its net nor a rounding of it."""
    pairs = [] if repeated(table) else _pairs(table)
    if not pairs:
        return Lacking(
            "needs the losses or accuracies of the two nets, evaluated on their own, and rows at alpha 0 and 1"
        )
    off = [(name, net, stated, on) for name, net, stated, on in pairs if not _agree(table, name, stated, on)]
    if not off:
        return None
    name, net, stated, on = off[0]
    words = name.replace("_", " ")
    place = 0 if net == "first" else 1
    reason = f"At alpha {place} the {words} is {format_number(on)}, and that of the {net} net {format_number(stated)}. "
    if _swapped(table, pairs):
        return Mark(reason + "The ends are swapped: each has the value of the other net.")
    return Mark(reason + f"At alpha {place} the line is that net, so both are the same number.")


def _pairs(table: Table) -> list[tuple[str, str, float, float]]:
    """Return column, net, stated value and value on the line, where all are known."""
    pairs = []
    for name in RELATIVE:
        for net, place in ENDS:
            fact = f"{net}_{name}"
            rows = np.flatnonzero(np.abs(table["alpha"] - place) < ON_GRID)
            if table.has(name, fact) and len(rows):
                pairs.append((name, net, _stated(table, fact), float(table[name][rows[0]])))
    return pairs


def _stated(table: Table, fact: str) -> float:
    value = table.number(fact)
    return value / 100 if "accuracy" in fact and value > 1 else value


def _agree(table: Table, name: str, stated: float, on: float) -> bool:
    written = [_stated(table, f) for f in table.facts if f.endswith(name)]
    rounding = half_unit(written) + half_unit(table[name])
    return abs(stated - on) <= 1.01 * rounding + ABSOLUTE[name] + RELATIVE[name] * max(stated, on)


def _swapped(table: Table, pairs: list[tuple[str, str, float, float]]) -> bool:
    by_name: dict[str, list[tuple[float, float]]] = {}
    for name, _, stated, on in pairs:
        by_name.setdefault(name, []).append((stated, on))
    both = [(name, ends) for name, ends in by_name.items() if len(ends) == len(ENDS)]
    crossed = [_agree(table, name, a[0], b[1]) and _agree(table, name, b[0], a[1]) for name, (a, b) in both]
    return bool(crossed) and all(crossed)


RULE = Rule(
    code="ends-disagree",
    items=("interpolation",),
    kind="impossible",
    title="ends of the line that are not the two nets",
    remedy="Load the weights of both nets again, and check that the loss at alpha 0 and 1 is what evaluating them "
    "gives, on the same examples and in inference mode.",
    apply=apply,
)
