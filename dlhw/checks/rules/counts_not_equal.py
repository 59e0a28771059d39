"""Nets that were to be equal in parameters and are not."""

from __future__ import annotations

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.rule import Rule
from dlhw.checks.tables import Table
from dlhw.checks.widths import count, counted, widths_of

TOLERANCE = 0.01
"""Relative, to either side of the middle."""
WHOLE = 2
"""Small nets cannot come nearer to a budget than this many parameters."""


def apply(table: Table) -> Mark | Lacking | None:
    """Mark counts further than 1 % from their middle; counts are those of the widths where these are known."""
    counts = _counts(table)
    if len(counts) < 2:
        return Lacking("needs the parameters of two nets")
    low, high = min(counts), max(counts)
    middle = (low + high) / 2
    if high - middle <= max(TOLERANCE * middle, WHOLE):
        return None
    return Mark(
        f"The nets have {low:,.0f} to {high:,.0f} parameters: they differ by {100 * (high - low) / low:.1f} %. "
        "What is compared between them is then depth and size together."
    )


def _counts(table: Table) -> list[float]:
    given = [float(n) for n in table["parameters"]]
    nets = table.words.get("net", ())
    if not table.has("inputs", "outputs") or len(nets) != len(given):
        return given
    inputs, outputs = int(table.number("inputs")), int(table.number("outputs"))
    widths = [widths_of(net) for net in nets]
    return [n if w is None else count(counted(w, inputs, outputs, n)) for w, n in zip(widths, given, strict=True)]


RULE = Rule(
    code="counts-not-equal",
    items=("equal-parameters",),
    kind="mistake",
    title="nets of unequal size",
    remedy="Choose widths by their counts, biases included; `dlhw design` finds nets of a number of parameters.",
    apply=apply,
)
