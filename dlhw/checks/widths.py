"""Nets written as widths, and their numbers of parameters."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence


def widths_of(net: str) -> tuple[int, ...] | None:
    """Return the widths in `64-32`, `64, 32`, `[64, 32]` or `64x32`; None for any other net."""
    text = net.strip().strip("()[]").rstrip(", ")
    if not re.fullmatch(r"\d+(\s*[-,x/ ]\s*\d+)*", text):
        return None
    widths = tuple(map(int, re.findall(r"\d+", text)))
    return widths if all(widths) else None


def count(sizes: Sequence[int]) -> int:
    """Return the weights and biases of dense layers from sizes[0] to sizes[-1] units."""
    return sum((a + 1) * b for a, b in itertools.pairwise(sizes))


def counted(widths: Sequence[int], inputs: int, outputs: int, given: float) -> tuple[int, ...]:
    """Return the sizes of all layers; `widths` may already hold inputs and outputs, if the given count says so."""
    written_out = len(widths) > 2 and widths[0] == inputs and widths[-1] == outputs
    if written_out and count(widths) == given:
        return tuple(widths)
    return (inputs, *widths, outputs)
