"""JSON: a dict of lists, a list of records, several of either by name, and what pandas and Keras write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlhw.checks.readers.delimited import text_of
from dlhw.checks.readers.long import widened
from dlhw.checks.readers.raw import Cell, Raw, as_cells, column_name
from dlhw.checks.tables import Fact
from dlhw.errors import UserError, require


def read(path: Path) -> list[Raw]:
    """Read a JSON file.

    Raises:
        UserError: if it is broken, or holds no lists of numbers.
    """
    raws = tables_in(parsed(path), str(path))
    require(bool(raws), f"{path}: there are no lists of numbers; write a dict of lists, or a list of records")
    return raws


def parsed(path: Path) -> Any:
    """Return the value of a JSON file; NaN and Infinity, which Python writes, are numbers.

    Raises:
        UserError: if it is broken.
    """
    try:
        return json.loads(text_of(path))
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is no JSON: {error.msg} in line {error.lineno}") from None
    except (RecursionError, ValueError):
        raise UserError(f"{path} is no JSON that can be read") from None


def tables_in(value: Any, source: str, level: int = 0) -> list[Raw]:
    """Return the tables of a value of JSON or of a Python literal; level: how deep it is nested."""
    if isinstance(value, list):
        return _of_list(value, source)
    if not isinstance(value, dict):
        return []
    if set(value) >= {"columns", "data"} and isinstance(value["data"], list):  # pandas, orient="split"
        return _of_list([value["columns"], *value["data"]], source)
    columns = {str(name): column for name, entry in value.items() if (column := _column(entry)) is not None}
    facts = {str(name): fact for name, entry in value.items() if (fact := as_fact(entry)) != ""}
    raws = [widened(Raw(source, columns, facts=facts))] if columns else []
    if level < 2:
        inner = [(name, entry) for name, entry in value.items() if str(name) not in columns]
        raws += [raw for name, entry in inner for raw in tables_in(entry, f"{source}, {name}", level + 1)]
    return raws


def as_fact(value: Any) -> Fact:
    """Return a single value as a fact; "" if it is none."""
    return value if isinstance(value, (int, float, str)) and not isinstance(value, bool) else ""


def _of_list(value: list[Any], source: str) -> list[Raw]:
    if value and all(isinstance(row, dict) for row in value):
        names = list(dict.fromkeys(name for row in value for name in row))
        columns = {str(n): column for n in names if (column := _cells([row.get(n) for row in value])) is not None}
        return [widened(Raw(source, columns))] if columns else []
    if value and all(isinstance(row, list) and len(row) == len(value[0]) for row in value):
        names = [str(name) for name in value[0]] if all(isinstance(name, str) for name in value[0]) else []
        rows = value[1:] if names else value
        named = enumerate(names) if names else enumerate(map(column_name, range(len(value[0]))))
        columns = {n: column for k, n in named if (column := _cells([row[k] for row in rows])) is not None}
        return [Raw(source, columns)] if columns else []
    column = _cells(value)
    return [Raw(source, {column_name(0): column})] if column is not None else []


def _column(value: Any) -> tuple[Cell, ...] | None:
    """Return a column of a dict: a list, or the entries by row that pandas writes."""
    if isinstance(value, Mapping) and value and all(str(key).isdecimal() for key in value):
        return _cells(list(value.values()))
    return _cells(value) if isinstance(value, (list, tuple)) else None


def _cells(values: list[Any] | tuple[Any, ...]) -> tuple[Cell, ...] | None:
    """Return values as cells; None if they are no single numbers or words, or there are none."""
    if not values or not all(v is None or isinstance(v, (bool, int, float, str)) for v in values):
        return None
    return as_cells(values)
