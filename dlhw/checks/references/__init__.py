"""What right measurements look like: bands over seeds and settings, from runs of this project.

Made by `python -m benchmarks.check --references`; one JSON file an item, with several settings where they differ.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlhw.checks.tables import Fact

FOLDER = Path(__file__).parent
CLOSE = 0.02
"""Relative difference within which a number of the setting counts as the same."""


@dataclass(frozen=True)
class Band:
    """Quantiles of right measurements over a grid of x."""

    x: NDArray[np.float64]  # (n,), ascending
    low: NDArray[np.float64]  # (n,), the lowest tenth lies below
    median: NDArray[np.float64]  # (n,)
    high: NDArray[np.float64]  # (n,), the highest tenth lies above


@dataclass(frozen=True)
class Reference:
    """Right measurements of one item in one setting."""

    item: str
    setting: Mapping[str, Fact]  # facts that choose it; none: of all settings
    source: str  # what was measured, in words
    tables: int  # number of measurements
    bands: Mapping[str, Band]  # by column


@functools.cache
def references(item: str) -> tuple[Reference, ...]:
    """Return every reference of an item, those of the narrowest settings first."""
    path = FOLDER / f"{item}.json"
    if not path.is_file():
        return ()
    read = [_reference(item, entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    return tuple(sorted(read, key=lambda entry: -len(entry.setting)))


def reference(item: str, facts: Mapping[str, Fact]) -> Reference | None:
    """Return the reference that belongs to the facts of a table: the narrowest whose setting they share.

    Args:
        item: name of the item.
        facts: of the table.

    Returns:
        The reference, or None if no right measurements of such a setting are stored.
    """
    return next((entry for entry in references(item) if _fits(entry.setting, facts)), None)


def _fits(setting: Mapping[str, Fact], facts: Mapping[str, Fact]) -> bool:
    return all(name in facts and _same(value, facts[name]) for name, value in setting.items())


def _same(one: Fact, other: Fact) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return str(one).lower() == str(other).lower()
    return abs(one - other) <= CLOSE * max(abs(one), abs(other))


def _reference(item: str, entry: Mapping[str, Any]) -> Reference:
    bands = {name: Band(*(np.array(band[key], float) for key in _KEYS)) for name, band in entry["bands"].items()}
    return Reference(item, entry["setting"], entry["source"], entry["tables"], bands)


_KEYS = ("x", "low", "median", "high")
