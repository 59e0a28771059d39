"""Hidden widths of an MLP: names, parsing, counting, and nets with equal parameter counts. No TensorFlow."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from dlhw.errors import UserError, require

NETS: dict[str, tuple[int, ...]] = {
    "deep": (5, 10, 10, 10, 10, 10, 5),
    "middle": (10, 18, 15, 4),
    "shallow": (190,),
}
"""The three nets of the report: 571, 572 and 571 parameters from 1 input to 1 output."""


def parse(net: str) -> tuple[int, ...]:
    """Hidden widths of `net`: a name of :data:`NETS`, or widths joined by hyphens such as "10-18-15-4"."""
    if net in NETS:
        return NETS[net]
    if not re.fullmatch(r"[0-9]+(-[0-9]+)*", net):
        raise UserError(f"net {net!r} is unknown; use {', '.join(NETS)}, or widths such as 10-18-15-4")
    widths = tuple(int(w) for w in net.split("-"))
    require(all(1 <= w <= 65536 for w in widths), f"net {net!r}: every width must lie in 1..65536")
    require(len(widths) <= 64, f"net {net!r} has {len(widths)} hidden layers; at most 64 are allowed")
    return widths


def count(widths: Sequence[int], inputs: int = 1, outputs: int = 1) -> int:
    """Number of parameters, sum over layers of (fan_in + 1) fan_out: weights and biases."""
    sizes = (inputs, *widths, outputs)
    return sum((a + 1) * b for a, b in itertools.pairwise(sizes))


@dataclass(frozen=True)
class Design:
    """Hidden widths whose parameter count meets a budget."""

    widths: tuple[int, ...]
    parameters: int
    error: float  # (parameters - budget) / budget, dimensionless

    @property
    def net(self) -> str:
        """The net as `--models` takes it, such as "10-18-15-4"."""
        return "-".join(str(w) for w in self.widths)


def design(params: int, layers: int, inputs: int = 1, outputs: int = 1, tolerance: float = 0.002) -> Design:
    """The most even MLP with `layers` weight layers whose parameter count is within `tolerance` of `params`.

    `layers` counts weight layers, so 2 means one hidden layer. Widths start equal, the largest even net within the
    budget; the remainder is spent by an exhaustive search over nets near it, in which inner layers are one unit
    wider and the first and the last hidden layer differ by up to 40. Even means a small max(widths) - min(widths).

    Raises UserError if the best net misses the budget by more than `tolerance` (relative).
    """
    require(params >= 1, f"--params {params} must be positive")
    require(2 <= layers <= 64, f"--layers {layers} must lie in 2..64: one hidden layer makes two layers")
    hidden = layers - 1
    low, high = (
        1,
        params + 1,
    )  # invariant: count(low) <= params < count(high), if the smallest net fits at all
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count((middle,) * hidden, inputs, outputs) <= params else (low, middle)
    nets = _around(low, hidden)
    off = {net: abs(count(net, inputs, outputs) - params) for net in nets}
    within = [net for net in nets if off[net] <= tolerance * params]
    if within:
        best = min(within, key=lambda net: (max(net) - min(net), off[net], net))
    else:
        best = min(nets, key=lambda net: (off[net], max(net) - min(net), net))
    total = count(best, inputs, outputs)
    found = Design(best, total, (total - params) / params)
    require(
        abs(found.error) <= tolerance,
        f"no net of {layers} layers within {tolerance:.1%} of {params} parameters; the closest, {found.net}, "
        f"has {total}: use fewer layers or more parameters",
    )
    return found


def _around(width: int, hidden: int) -> list[tuple[int, ...]]:
    """Nets near the even one: k inner layers one wider, the first and last moved by up to 40."""
    if hidden == 1:
        return [(w,) for w in (width, width + 1)]
    reach = range(-min(40, width - 1), 41)
    nets = []
    for wider in range(hidden - 1):
        inner = (width + 1,) * wider + (width,) * (hidden - 2 - wider) if hidden > 2 else ()
        nets += [(width + a, *inner, width + b) for a in reach for b in reach]
    return nets
