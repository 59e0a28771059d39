"""The setting `until`: train for all epochs, or stop every training where it has converged."""

from __future__ import annotations

from dlhw.choices import Until
from dlhw.errors import require

HELP = "converged: stop every training where its smoothed loss no longer falls; `epochs` is then the most."


def check_until(until: Until, epochs: int, least: int) -> bool:
    """Return whether trainings stop where they have converged.

    Args:
        until: the setting.
        epochs: the limit.
        least: epochs before which no training stops.

    Raises:
        UserError: if the limit comes before any training could stop.
    """
    if until == "converged":
        require(epochs > least, f"`until` converged: no training stops before epoch {least}; raise `epochs` {epochs}")
    return until == "converged"
