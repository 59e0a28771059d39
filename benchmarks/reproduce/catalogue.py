"""All reproductions, in the order of the page."""

from __future__ import annotations

from benchmarks.reproduce import arithmetic, curvature, labels, lines, permutation, stored
from benchmarks.reproduce.reproduction import Reproduction

MODULES = (arithmetic, labels, lines, permutation, curvature, stored)


def reproductions() -> dict[str, Reproduction]:
    """Return all reproductions by name."""
    return {entry.name: entry for module in MODULES for entry in module.REPRODUCTIONS}
