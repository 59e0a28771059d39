"""Apply the rules of an item to a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dlhw.checks.answers import Answer, Detection, Lacking
from dlhw.checks.items import Column, Item
from dlhw.checks.items import item as item_of
from dlhw.checks.rule import rules_of
from dlhw.checks.tables import PERCENT, SHARE, Array, Fact, Table
from dlhw.errors import UserError, require


def examine(table: Table) -> Answer:
    """Return what the rules of its item say of a table."""
    detections, undecided, decided = [], [], []
    for entry in rules_of(table.item.name):
        outcome = entry.apply(table)
        if outcome is None:
            decided.append(entry.code)
        elif isinstance(outcome, Lacking):
            undecided.append((entry.code, outcome.reason))
        else:
            details = (entry.kind, entry.title, entry.remedy, entry.false_alarm_rate, outcome.at)
            detections.append(Detection(entry.code, outcome.reason, *details))
    return Answer(table.item.name, tuple(detections), tuple(undecided), tuple(decided), table.source)


def check(item: str, **values: Any) -> Answer:
    """Check numbers of an item, as an assertion: works in pytest, otter and nbgrader.

    Args:
        item: what was measured: `sensitivity`, `gradient-norm`, `minimal-ratio`, `interpolation`, `random-labels`,
            `parameters`, `loss-curve`, `pca-path`, `equal-parameters`, `hessian` or `loss`.
        **values: the columns of the item, sequences of equal length, such as `batch=[64, 128, 256], value=[...]`, and
            its facts, single values, such as `classes=10`. docs/checks.md lists both for every item.

    Returns:
        The answer, consistent or undecided; `undecided` names what the rules would need.

    Raises:
        AssertionError: if the numbers are impossible or carry the mark of a mistake; the message gives the reason, what
            to do, and the section of docs/checks.md.
        UserError: if the item is unknown, a column is missing or unknown, columns differ in length, or a number is not
            finite.

    Example:
        >>> import dlhw
        >>> dlhw.check("sensitivity", batch=[64, 128, 256, 512, 1024], value=[0.31, 0.24, 0.2, 0.22, 0.25]).verdict
        'consistent'
    """
    answer = examine(table_of(item_of(item), values))
    if answer.detections:
        raise AssertionError("\n".join([f"{item}: {answer.text}", *(d.explanation for d in answer.detections)]))
    return answer


def table_of(item: Item, values: Mapping[str, Any], *, source: str = "", numbers: Sequence[int] = ()) -> Table:
    """Return the table of an item from columns and facts by their names.

    Args:
        item: what was measured.
        values: columns, sequences of equal length, and facts, single values.
        source: where they come from, for messages.
        numbers: of the rows in the file, from 1; (): they are all of its rows.

    Raises:
        UserError: as :func:`check`.
    """
    facts_of, columns_of = {f.name: f for f in item.facts}, {c.name: c for c in item.columns}
    unknown = [name for name in values if name not in facts_of and name not in columns_of]
    known = ", ".join([*columns_of, *facts_of])
    require(not unknown, f"{item.name} has no {', '.join(map(repr, unknown))}; it has {known}")
    columns = {n: _numbers(c, item, values[n]) for n, c in columns_of.items() if n in values and not c.text}
    words = {n: tuple(map(str, values[n])) for n in columns_of if n in values and columns_of[n].text}
    missing = [c.name for c in item.columns if c.required and c.name not in columns and c.name not in words]
    require(not missing, f"{item.name} needs {' and '.join(missing)}: {_meanings(item, missing)}")
    lengths = {n: len(v) for n, v in columns.items()} | {n: len(v) for n, v in words.items()}
    require(
        len(set(lengths.values())) <= 1,
        f"columns differ in length: {', '.join(f'{n} has {k}' for n, k in lengths.items())}; give one value a row",
    )
    require(any(lengths.values()), f"{item.name}: there are no numbers")
    facts = {name: _fact(item, name, values[name]) for name in facts_of if values.get(name) is not None}
    x, places = item.columns[0], tuple(numbers)
    if x.name in columns and (np.diff(columns[x.name]) < 0).any():
        order = np.argsort(columns[x.name], kind="stable")
        columns = {name: column[order] for name, column in columns.items()}
        words = {name: tuple(column[i] for i in order) for name, column in words.items()}
        places = tuple(places[i] if places else int(i) + 1 for i in order)
    return Table(item, columns, facts, words, source=source, numbers=places)


def _meanings(item: Item, names: Sequence[str]) -> str:
    return "; ".join(f"{name} is {item.column(name).meaning}" for name in names)


def _numbers(column: Column, item: Item, values: Any) -> Array:
    name = column.name
    try:
        array = np.asarray(values, float)
    except (TypeError, ValueError):
        raise UserError(f"{item.name}: {name} {values!r:.60} is not a list of numbers") from None
    if column.many and array.ndim == 1:
        array = array[:, None]
    shape = "(rows, columns)" if column.many else "(rows,)"
    require(array.ndim == 1 + column.many, f"{item.name}: {name} has shape {array.shape}, and not {shape}")
    wrong = np.flatnonzero(~np.isfinite(array).reshape(len(array), array[:1].size).all(axis=1))
    if len(wrong):
        where = f"is {array[wrong[0]]} in row {wrong[0] + 1}"
        raise UserError(f"{item.name}: {name} {where}; leave out the rows of a training that diverged")
    percent = column.fraction and array.size > 0 and SHARE < array.max() <= PERCENT
    return array / PERCENT if percent else array


def _fact(item: Item, name: str, value: Any) -> Fact:
    fact = next(f for f in item.facts if f.name == name)
    wanted = {int: "a whole number", float: "a finite number", str: "a word"}[fact.kind]
    refusal = f"{item.name}: {name} {value!r} must be {wanted}: {fact.meaning}"
    try:
        converted: Fact = fact.kind(value)
        whole = isinstance(value, str) or converted == value
    except (TypeError, ValueError, OverflowError):
        raise UserError(refusal) from None
    if not isinstance(converted, str):
        require(whole and np.isfinite(converted), refusal)
        require(fact.least is None or converted >= fact.least, f"{item.name}: {name} {value} is below {fact.least}")
    elif fact.choices:
        converted = converted.strip().lower()
    require(
        not fact.choices or converted in fact.choices,
        f"{item.name}: {name} {value!r} is unknown; use {', '.join(fact.choices)}",
    )
    return converted
