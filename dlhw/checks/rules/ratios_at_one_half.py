"""Ratios that crowd at one half: the signs of rounding errors around eigenvalues that are zero.

Of P eigenvalues of a large net most are zero at a critical point. Rounding makes half of them positive, with a standard
deviation of at most 1 / (2 sqrt(P)) in the ratio, and the few that are truly positive add a little.
"""

from __future__ import annotations

import numpy as np

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.rule import Rule
from dlhw.checks.tables import Table
from dlhw.present.numbers import format_number

ROWS = 8
PARAMETERS, ROUNDED = 300, 80
"""Fewest weights; the second where float32 or a tolerance of 0 is stated. In smaller nets few eigenvalues are zero."""
BELOW, ABOVE, POSITIVE = 0.035, 0.06, 10
"""The median lies from 0.5 - BELOW to 0.5 + ABOVE, or + POSITIVE / P: 20 positive eigenvalues add 10 / P."""
SPREAD = 1.5
"""Half the range of the middle 68 % of the ratios, over 1 / (2 sqrt(P))."""


def apply(table: Table) -> Mark | Lacking | None:
    """Mark ratios whose center and spread are those of random signs."""
    if table.has("tolerance") and table.number("tolerance") > 0:
        return None
    if not table.has("parameters"):
        return Lacking("needs `parameters`: in small nets right ratios lie near one half too")
    parameters, ratio = table.number("parameters"), table["ratio"]
    if table.facts.get("precision") == "float64" and not table.has("tolerance"):
        return Lacking("needs `tolerance`, up to which eigenvalues counted as zero")
    rounded = table.facts.get("precision") == "float32" or table.has("tolerance")
    fewest = ROUNDED if rounded else PARAMETERS
    if parameters < fewest:
        more = "" if rounded else "; give `precision` and `tolerance`"
        return Lacking(f"nets of fewer than {fewest} parameters have right ratios near one half too{more}")
    if len(ratio) < ROWS:
        return Lacking(f"needs at least {ROWS} trainings")
    low, middle, high = (float(q) for q in np.quantile(ratio, (0.16, 0.5, 0.84)))
    chance = 0.5 / float(np.sqrt(parameters))
    highest = 0.5 + max(ABOVE, POSITIVE / parameters)
    if not 0.5 - BELOW <= middle <= highest or (high - low) / 2 > SPREAD * chance:
        return None
    return Mark(
        f"The median ratio is {middle:.3f}, and the middle 68 % lie from {low:.3f} to {high:.3f}. Random signs of "
        f"{parameters:.0f} eigenvalues give 0.5 ± {format_number(chance)}, a little above with those truly positive; "
        "right ratios of such nets vary more, and mostly lie elsewhere."
    )


RULE = Rule(
    code="ratios-at-one-half",
    items=("minimal-ratio",),
    kind="mistake",
    title="the signs of rounding errors counted",
    remedy="Compute the Hessian in float64, and count an eigenvalue as positive above a tolerance such as eps P "
    "max|lambda|; give that as `tolerance`.",
    apply=apply,
    false_alarm_rate=0.12,
    basis="assumed: right medians of large nets are spread evenly from 0.2 to 1",
)
