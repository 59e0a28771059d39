"""A rule: one mistake, how it shows in numbers, and how often right numbers would show it."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dlhw.checks.answers import Kind, Lacking, Mark
from dlhw.checks.tables import Table

FOLDER = Path(__file__).parent / "rules"


@dataclass(frozen=True)
class Rule:
    """One mistake in one or several items."""

    code: str  # heading in docs/checks.md
    items: tuple[str, ...]
    kind: Kind  # impossible: no measurement gives this; mistake: a known mistake does, and right ones hardly ever
    title: str  # the mistake, as a noun phrase
    remedy: str  # what to do, one sentence
    apply: Callable[[Table], Mark | Lacking | None]  # None: the numbers do not carry the mark
    false_alarm_rate: float = 0.0  # at most, over right tables: an upper 95 % limit if measured; 0: none
    basis: str = "arithmetic"  # of the rate: "arithmetic", a bound with its name, or "measured"


@functools.cache
def rules() -> tuple[Rule, ...]:
    """Return every rule: that of each module in the folder, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules([str(FOLDER)]))
    return tuple(importlib.import_module(f"dlhw.checks.rules.{name}").RULE for name in names)


def rules_of(item: str) -> tuple[Rule, ...]:
    """Return the rules that look at an item, those for impossible numbers first."""
    chosen = [entry for entry in rules() if item in entry.items]
    return tuple(sorted(chosen, key=lambda entry: entry.kind != "impossible"))
