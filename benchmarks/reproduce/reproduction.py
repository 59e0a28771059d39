"""A published number, and how it is measured here."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Values = Mapping[str, float]
"""One number of every repeat, by its name: of a seed, or of a setting."""


@dataclass(frozen=True)
class Reproduction:
    """One published number.

    `low` and `high` are the range in which every repeat must lie to be counted as agreeing. They are chosen from what
    the paper states, before the measurement, and are shown.
    """

    name: str
    source: str  # authors, year, title
    place: str  # the table, figure or equation
    claim: str  # what the paper states
    published: str  # its number
    quantity: str  # what our number is
    setting: str  # net, data and training
    low: float
    high: float
    measure: Callable[[], Values]
    remark: str = ""  # why ours differs, or what the comparison does not show
    command: str = ""  # of dlhw, where one gives the number

    def agrees(self, values: Values) -> bool:
        """Return whether every repeat lies in the range."""
        return all(self.low <= value <= self.high for value in values.values())

    def row(self, values: Values) -> str:
        """Return a line of the table, in Markdown."""
        numbers = list(values.values())
        shown = f"{statistics.median(numbers):.3g}"
        shown += f" ({min(numbers):.3g} to {max(numbers):.3g}, n = {len(numbers)})" if len(numbers) > 1 else ""
        verdict = "agrees" if self.agrees(values) else "**differs**"
        cells = (
            f"[{self.name}](#{self.name})",
            f"{self.source.split(':')[0]}, {self.place}",
            self.published,
            shown,
            verdict,
        )
        return f"| {' | '.join(cells)} |"

    def section(self, values: Values) -> str:
        """Return what is compared, and how, in Markdown."""
        command = self.command or f"python -m benchmarks.reproduce {self.name}"
        limits = f"at least {self.low:g}" if self.high == float("inf") else f"{self.low:g} to {self.high:g}"
        limits = f"at most {self.high:g}" if self.low == float("-inf") else limits
        lines = [
            f"### {self.name}",
            "",
            f"- *Source.* {self.source}; {self.place}.",
            f"- *Claim.* {self.claim}",
            f"- *Ours.* {self.quantity}; {self.setting}. `{command}`",
            f"- *Values.* {', '.join(f'{name}: {value:.4g}' for name, value in values.items())}. Counted as agreeing: "
            f"{limits}, in every repeat.",
        ]
        return "\n".join([*lines, f"- *Remark.* {self.remark}"] if self.remark else lines)
