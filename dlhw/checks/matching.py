"""Tables with any headers -> tables of items."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlhw.checks import inference, spelling, splitting
from dlhw.checks.examination import table_of
from dlhw.checks.inference import Assignment
from dlhw.checks.items import Item
from dlhw.checks.items import item as item_of
from dlhw.checks.readers.raw import Raw, column_name
from dlhw.checks.tables import Table
from dlhw.errors import UserError, require

_NO_MEASUREMENT = (*inference.COUNTERS, "alpha")
"""First columns that need another one beside them."""


@dataclass(frozen=True)
class Matched:
    """The tables of items among those of a file."""

    tables: tuple[Table, ...]
    unrecognized: int = 0  # tables whose columns are those of no item
    notes: tuple[str, ...] = ()  # what was left out, one line each


class _UnrecognizedError(UserError):
    """The columns are those of no item."""


def match(
    raws: Sequence[Raw],
    item: str = "",
    columns: Mapping[str, str] | None = None,
    given: Mapping[str, Any] | None = None,
) -> Matched:
    """Return the tables of items among those of a file.

    Args:
        raws: the tables of the file.
        item: what was measured; "": inferred from the columns of every table.
        columns: headers by the names of the columns that they mean, such as {"value": "my header"}.
        given: facts, such as {"classes": 10}.

    Raises:
        UserError: if no table is recognized, a name is unknown, or numbers are missing or not finite. Where a file has
            several tables, those that cannot be used are left out, and notes say why.
    """
    chosen, facts, wanted = dict(columns or {}), dict(given or {}), item_of(item) if item else None
    _check_names(wanted, raws, chosen, facts)
    tables: list[Table] = []
    problems: list[UserError] = []
    notes: list[str] = []
    for raw in raws:
        if (raw.on_request or raw.item) and item not in (raw.item, *([] if raw.on_request else [""])):
            continue
        if raw.cut:
            problems.append(_UnrecognizedError(f"{raw.source}: the table was cut off with ... when it was printed"))
            continue
        for part in splitting.by_words(raw, wanted):
            try:
                table, note = _table(part, wanted, chosen, facts)
                tables.append(table)
                notes += note
            except UserError as error:
                problems.append(error)
    if not tables:
        # Of several tables, one that is almost an item says more than one that is none.
        known = [error for error in problems if not isinstance(error, _UnrecognizedError)]
        raise next(iter([*known, *problems]), UserError(f"there are no numbers of {item or 'an item'}"))
    unused = [name for name in facts if not any(name in table.facts for table in tables)]
    _refuse_facts(unused, list({table.item.name: table.item for table in tables}.values()))
    unrecognized = sum(isinstance(error, _UnrecognizedError) for error in problems)
    notes += [str(error) for error in problems if not isinstance(error, _UnrecognizedError)]
    return Matched(tuple(tables), unrecognized, tuple(notes))


def _check_names(item: Item | None, raws: Sequence[Raw], chosen: Mapping[str, str], facts: Mapping[str, Any]) -> None:
    headers = list(dict.fromkeys(header for raw in raws for header in raw.columns))
    for name, header in chosen.items():
        if item is not None:
            known = [column.name for column in item.columns]
            require(name in known, f"`columns` {name!r} is no column of {item.name}; use {', '.join(known)}")
        there = any(_is_header(header, other) for other in headers)
        require(there, f"`columns` {name}={header}: there is no header {header!r}; there are {_few(headers)}")
    if item is not None:
        _refuse_facts([name for name in facts if name not in {fact.name for fact in item.facts}], [item])


def _refuse_facts(unknown: Sequence[str], items: Sequence[Item]) -> None:
    """Raise UserError, with the facts that there are, if any are unknown."""
    names = dict.fromkeys(fact.name for item in items for fact in item.facts)
    listed = f"use {', '.join(names)}" if names else "it has none"
    where = ", ".join(item.name for item in items)
    require(not unknown, f"`given` {', '.join(unknown)} is no fact of {where}; {listed}")


def _few(headers: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(header or "(none)" for header in headers[:most])
    return f"{shown} and {len(headers) - most} more" if len(headers) > most else shown


def _is_header(wanted: str, header: str) -> bool:
    return header == wanted or (spelling.normalized(wanted) == spelling.normalized(header) != "")


def _table(
    raw: Raw, wanted: Item | None, chosen: Mapping[str, str], facts: Mapping[str, Any]
) -> tuple[Table, list[str]]:
    """Return the table of a part of a file, and what to note on it."""
    named = {n: h for n, wish in chosen.items() if (h := _resolved(raw, wish)) is not None}
    if wanted is None and not raw.item:
        possible = inference.candidates(raw.columns, named)
        if not possible:
            raise _UnrecognizedError(
                f"{raw.source}: no item has the columns {_few([*raw.columns])}; say `item` and `columns`"
            )
        names = " or ".join(possible)
        require(len(possible) == 1, f"{raw.source}: {_few([*raw.columns])} may be {names}; say `item`")
        (name, assignment), *_ = possible.items()
        item = item_of(name)
    else:
        item = wanted or item_of(raw.item)
        assignment = _assigned(item, raw, named)
    own = {f.name: raw.facts[f.name] for f in item.facts if f.name in raw.facts and _is_valid(item, raw, f.name)}
    given = own | {name: value for name, value in facts.items() if name in {f.name for f in item.facts}}
    values, numbers, note = splitting.complete_rows(item, raw, assignment)
    table = table_of(item, values | given, source=raw.source, numbers=numbers)
    headers = {name: ", ".join(headers) for name, headers in assignment.items()}
    return dataclasses.replace(table, headers=headers), note


def _resolved(raw: Raw, wanted: str) -> str | None:
    if wanted in raw.columns:
        return wanted
    return next((header for header in raw.columns if _is_header(wanted, header)), None)


def _is_valid(item: Item, raw: Raw, name: str) -> bool:
    """Whether a single value of a file is a fact of the item, and no other thing of that name."""
    fact = next(f for f in item.facts if f.name == name)
    try:
        value = fact.kind(raw.facts[name])
    except (TypeError, ValueError):
        return False
    above = fact.least is None or isinstance(value, str) or value >= fact.least
    return above and (not fact.choices or value in fact.choices)


def _assigned(item: Item, raw: Raw, named: Mapping[str, str]) -> Assignment:
    """Return the headers of the columns of an item that the user or the file names.

    Raises:
        UserError: if a required column is missing.
    """
    assignment = spelling.assign(item, raw.columns, named)
    required = [column.name for column in item.columns if column.required]
    needed = [name for name in required if name not in inference.COUNTERS]
    anonymous = [header for header in raw.columns if header not in named.values()]
    if all(header == column_name(k) for k, header in enumerate(raw.columns)):
        open_ = [name for name in required if name not in assignment]
        for names in (open_, [name for name in open_ if name in needed], [item.columns[0].name, *open_]):
            if names and len(names) == len(anonymous):
                assignment |= {name: (header,) for name, header in zip(names, anonymous, strict=True)}
                break
    for column in item.columns:
        headers = assignment.get(column.name, ())
        if column.text and not all(inference.is_of_kind(column, h, raw.columns[h]) for h in headers):
            assignment = {n: h for n, h in assignment.items() if n != column.name or n in named}
    missing = [name for name in needed if name not in assignment]
    x = item.columns[0].name
    if not missing and x in _NO_MEASUREMENT and not set(assignment) - {x}:
        missing = [item.columns[1].name]
    if missing:
        meaning = item.column(missing[0]).meaning
        example = f"`columns` {missing[0]}=HEADER"
        raise _UnrecognizedError(
            f"{raw.source}: {item.name} needs {' and '.join(missing)} ({meaning}), and the headers are "
            f"{_few([*raw.columns])}; name it by {example}"
        )
    return assignment
