"""All programs, and which half each belongs to."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from benchmarks.doctor.broken import inputs, labels, layers, losses, outputs, rates
from benchmarks.doctor.broken.register import BROKEN
from benchmarks.doctor.healthy import HEALTHY
from benchmarks.doctor.program import Program

FILLED_BY = (outputs, losses, rates, inputs, labels, layers)
HALVES = ("tuning", "reporting")


def programs() -> list[Program]:
    return [*BROKEN, *HEALTHY]


def halves(every: Sequence[Program]) -> dict[str, str]:
    """Return the half of every program by its name: thresholds are chosen on one and reported on the other.

    Families are ordered by kind and then by a hash of their names, and go to the halves in turn.
    """
    families = {(p.truth is None, p.kind, hashlib.sha256(p.family.encode()).hexdigest(), p.family) for p in every}
    of_family = {key[-1]: HALVES[k % 2] for k, key in enumerate(sorted(families))}
    return {p.name: of_family[p.family] for p in every}
