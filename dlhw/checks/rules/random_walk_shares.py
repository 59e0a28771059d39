"""Shares of variance that every random walk has.

In many dimensions the principal components of a random walk of n points have the shares
1 / sin²(pi k / 2n) / sum, close to 6 / (pi k)² (Antognini and Sohl-Dickstein 2018).
"""

from __future__ import annotations

import numpy as np

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.rule import Rule
from dlhw.checks.tables import Array, Table
from dlhw.present.numbers import format_number

COMPONENTS = 3, 5
"""Fewest and most that are compared."""
CLOSE, WIDEST = 0.25, 0.35
"""Largest |log(share / that of a walk)|: of a walk in 300 dimensions in 95 % of cases, and the most that is allowed."""
IN_DIMENSIONS = 4.0
"""The largest of five deviations of a walk in D dimensions is below this over sqrt(D) in 95 % of cases."""
MANY = 200
"""Points from which the shares are as of endlessly many."""


def apply(table: Table) -> Mark | Lacking | None:
    """Mark shares that do not differ from those of a random walk."""
    share = table["share"]
    if "component" in table.columns and len(np.unique(table["component"])) < len(share):
        return Lacking("the table holds several paths; give one")
    fewest, most = COMPONENTS
    if len(share) < fewest or (share[:fewest] <= 0).any():
        return Lacking(f"needs the shares of the first {fewest} components, above zero")
    room = CLOSE
    if table.has("weights"):
        room = float(np.clip(IN_DIMENSIONS / np.sqrt(table.number("weights")), CLOSE, WIDEST))
    first = share[share > 0][:most]
    walks = [walk_shares(n)[: len(first)] for n in _points(table)]
    distances = [float(np.abs(np.log(first / walk)).max()) for walk in walks if len(walk) == len(first)]
    if not distances or min(distances) > room:
        return None
    numbers = ", ".join(format_number(100 * float(v)) for v in first)
    nearest = ", ".join(format_number(100 * float(v)) for v in walks[int(np.argmin(distances))])
    return Mark(
        f"The shares are {numbers} %, and those of a random walk {nearest} %. "
        "They show no direction of the training: steps in random directions have the same."
    )


def walk_shares(points: int) -> Array:
    """Return the shares of the components of a random walk of so many points in many dimensions."""
    k = np.arange(1, points)
    inverse = 1 / np.sin(np.pi * k / (2 * points)) ** 2
    return np.asarray(inverse / inverse.sum())


def _points(table: Table) -> list[int]:
    """Return the numbers of points to compare with: the given one, or those that have so many components."""
    if table.has("points"):
        return [int(table.number("points"))]
    return [n for n in range(len(table["share"]) + 1, MANY + 1) if n <= 20 or n % 10 == 0]


RULE = Rule(
    code="random-walk-shares",
    items=("pca-path",),
    kind="mistake",
    title="the shares of a random walk",
    remedy="Show the shares beside those of a random walk, and take a path whose steps have a direction: weights of "
    "one training in order, not samples around a point, and not of its noise at the end alone.",
    apply=apply,
    false_alarm_rate=0.04,
    basis="measured",
)
