"""The items: kinds of measurements with the columns and facts that their rules read.

A column is a list with one number per row of the table; a fact is one value for the whole table, such as the number of
classes. The first column of an item is its x.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dlhw.errors import UserError


@dataclass(frozen=True)
class Column:
    """A column of an item."""

    name: str
    meaning: str
    spellings: tuple[str, ...] = ()  # other headers that mean the same; compared without case, spaces and punctuation
    required: bool = False
    many: bool = False  # several columns may stand for it, such as one a layer
    text: bool = False  # words, such as the names of nets
    fraction: bool = False  # from 0 to 1; given in per cent, it is divided by 100


@dataclass(frozen=True)
class Fact:
    """One value that holds for the whole table."""

    name: str
    meaning: str
    kind: type[int] | type[float] | type[str] = float
    choices: tuple[str, ...] = ()
    least: float | None = None  # smallest that is possible


@dataclass(frozen=True)
class Item:
    """A kind of measurement."""

    name: str
    title: str
    columns: tuple[Column, ...]  # x first
    facts: tuple[Fact, ...] = ()
    experiment: str = ""  # command that measures it right
    log_x: bool = False
    log_y: bool = False
    drawn: tuple[str, ...] = ()  # columns of the figure; (): every column but x

    def column(self, name: str) -> Column:
        """Return a column by its name."""
        return next(column for column in self.columns if column.name == name)


_MODULES = ("sensitivity", "gradient", "critical", "lines", "labels", "sizes", "curves", "paths", "spectra")


def items() -> Mapping[str, Item]:
    """Return every item by its name."""
    named: dict[str, Item] = {}
    for module in _MODULES:
        for item in importlib.import_module(f"dlhw.checks.catalogue.{module}").ITEMS:
            named[item.name] = item
    return MappingProxyType(named)


def item(name: str) -> Item:
    """Return an item.

    Raises:
        UserError: if there is none of that name; the message names the nearest.
    """
    known = items()
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=2, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"use {', '.join(known)}"
        raise UserError(f"`item` {name!r} is unknown; {hint}")
    return known[name]
