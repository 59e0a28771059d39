"""The item that the columns of a table belong to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dlhw.checks import spelling
from dlhw.checks.catalogue.headers import CURVES
from dlhw.checks.items import Column, Item, items
from dlhw.checks.readers.raw import Values

Assignment = dict[str, tuple[str, ...]]
Columns = Mapping[str, Values]
CURVE_NAMES = tuple(column.name for column in CURVES)
COUNTERS = ("epoch", "iteration")
"""First columns of items that number the rows where they are not given."""
_GENERIC = {"value", "values", "ratio", "variance", "size", "parameter", "a", "i", "k", "index", "norm", "error"}
"""Headers that alone do not tell what was measured."""
_SAYS_NOTHING = {"time", "seconds", "duration", "index", "walltime"}
_RATES = {"lr", "learningrate"}
"""Of a schedule, in the history of Keras, or what a sweep varies."""
_NEVER = ("random-labels", "equal-parameters")
"""Items whose columns are those of another one; only who measured knows."""
_WIDTHS = {"widths", "hidden"}
"""Headers of nets whose names may be numbers: one hidden layer of so many units."""
_GRID = 5
"""Least points of a grid on a line between nets."""


def is_numeric(column: Values) -> bool:
    """Whether the first cell that is not empty is a number."""
    return isinstance(next((cell for cell in column if cell is not None), None), float)


def candidates(columns: Columns, chosen: Mapping[str, str]) -> dict[str, Assignment]:
    """Return the most specific items that a table may belong to, with the headers of their columns.

    Args:
        columns: of the table.
        chosen: header of the columns that the user named.
    """
    scores: dict[str, tuple[int, int]] = {}
    assignments: dict[str, Assignment] = {}
    for name, item in items().items():
        if name in _NEVER or any(all(c.name != n for c in item.columns) for n in chosen):
            continue
        assignment = assign(item, columns, chosen)
        if _is_candidate(item, assignment, columns, chosen):
            assignments[name] = assignment
            required = sum(column.required for column in item.columns)
            scores[name] = (required, sum(map(len, assignment.values())))
    best = max(scores.values(), default=None)
    return {name: assignments[name] for name in scores if scores[name] == best}


def assign(item: Item, columns: Columns, chosen: Mapping[str, str]) -> Assignment:
    """Return the headers of the columns of an item, among those of the right kind: numbers, or words."""
    assignment = spelling.assign(item, columns, chosen)
    return {
        name: headers
        for name, headers in assignment.items()
        if name in chosen or all(is_of_kind(item.column(name), header, columns[header]) for header in headers)
    }


def is_of_kind(column: Column, header: str, values: Values) -> bool:
    """Whether cells are numbers, or words where the item has words; `model 1` is the number of a model, and no name."""
    return is_numeric(values) != column.text or (column.text and spelling.normalized(header) in _WIDTHS)


def _is_candidate(item: Item, assignment: Assignment, columns: Columns, chosen: Mapping[str, str]) -> bool:
    curves = [name for name in CURVE_NAMES if name in assignment]
    missing = [c.name for c in item.columns if c.required and c.name not in assignment]
    if item.name == "loss-curve":
        # History of Keras has no epochs; of another table the columns must say what x is.
        if missing and not (len(curves) > 1 and _are_all_curves(columns, assignment)):
            return False
        return len(curves) > 1 or (len(curves) == 1 and curves[0] != "train_loss")
    if missing or (item.name == "interpolation" and not curves):
        return False
    if item.name == "parameters" and not curves and "net" not in assignment:
        return False
    if item.name == "loss" and not _is_series(assignment, columns):
        return False
    return _is_specific(item, assignment, chosen) and _is_plausible(item, assignment, columns)


def _is_series(assignment: Assignment, columns: Columns) -> bool:
    """Whether a loss goes with a step, or with nothing; what goes with another number may be many trainings."""
    others = [header for header in columns if header not in assignment["value"] and is_numeric(columns[header])]
    if set(CURVE_NAMES[1:]) & set(spelling.assign(items()["loss-curve"], columns, {})):
        return False
    return "step" in assignment or all(spelling.normalized(header) in _SAYS_NOTHING for header in others)


def _are_all_curves(columns: Columns, assignment: Assignment) -> bool:
    used = {header for headers in assignment.values() for header in headers}
    others = [header for header in columns if header not in used]
    return all(_is_beside(header, columns[header]) for header in others)


def _is_beside(header: str, column: Values) -> bool:
    """Whether a column may stand beside the curves of one training."""
    key = spelling.normalized(header)
    is_schedule = key in _RATES and len(set(column)) < len(column)
    return is_schedule or key in _SAYS_NOTHING or _means_curve(header)


def _means_curve(header: str) -> bool:
    return any(key in spelling.spellings(column) for column in CURVES for key in spelling.keys(header))


def _is_specific(item: Item, assignment: Assignment, chosen: Mapping[str, str]) -> bool:
    """Whether a required column has a header, or the user a word, that says what it is."""
    headers = [header for column in item.columns if column.required for header in assignment[column.name]]
    if item.name == "interpolation" and spelling.normalized(headers[0]) == "ratio":
        return True  # a grid tells it
    return bool(chosen) or any(spelling.normalized(header) not in _GENERIC for header in headers)


def _is_plausible(item: Item, assignment: Assignment, columns: Columns) -> bool:
    """Whether shares lie in 0 to 1; a ratio on a grid is a place on a line."""
    if item.name not in ("minimal-ratio", "interpolation", "pca-path"):
        return True
    name = {"minimal-ratio": "ratio", "interpolation": "alpha", "pca-path": "share"}[item.name]
    header = assignment[name][0]
    values = np.array([cell for cell in columns[header] if isinstance(cell, float)])
    steps = np.diff(np.unique(values))
    is_grid = len(steps) >= _GRID - 1 and np.allclose(steps, steps[0], rtol=1e-3)
    if item.name == "interpolation":
        return bool(is_grid or "ratio" not in spelling.normalized(header) or "interp" in spelling.normalized(header))
    if item.name == "minimal-ratio" and is_grid and len(steps) + 1 == len(values):
        return False
    return bool(len(values)) and bool((values >= 0).all() and (values <= 100).all())
