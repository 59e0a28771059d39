"""The lines that `model.fit` of Keras prints: `Epoch 1/10`, then a bar with the metrics."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dlhw.checks.readers.raw import Cell

_EPOCH = re.compile(r"Epoch (\d+)(?:/(\d+))?:?")
_METRIC = re.compile(
    r"(?:^|\s-\s+|\s–\s+)([A-Za-z_]\w*(?: \w+)?): ([-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|nan|inf))(?=\s|$)"
)

Columns = dict[str, tuple[Cell, ...]]


def tables_in(lines: Sequence[str]) -> tuple[list[Columns], list[str]]:
    """Return one table per call of `fit`, and the lines that belong to none."""
    tables: list[Columns] = []
    rows: list[dict[str, float]] = []
    others: list[str] = []
    inside, marker = False, 0
    for line in lines:
        if epoch := _EPOCH.fullmatch(line.strip()):
            number = float(epoch[1])
            if rows and number <= rows[-1]["epoch"]:
                tables += _table(rows)
                rows = []
            rows.append({"epoch": number})
            inside, marker = True, len(others)
            others.append(line)  # of another program, unless a bar follows
            continue
        metrics = {name: float(value) for name, value in _METRIC.findall(line)} if inside else {}
        if metrics and _is_bar(line):
            rows[-1] |= metrics
            others[marker] = ""
        elif not (inside and _is_bar(line)):
            others.append(line)
    return [*tables, *_table(rows)], others


def _is_bar(line: str) -> bool:
    """Whether a line shows progress: `32/32 [====] - 1s - loss: 0.3`, or its end."""
    return re.match(r"\s*(\d+/(\d+|Unknown)\b|\d+it |[\[=.━> ]+\]? ?-|- )", line) is not None


def _table(rows: Sequence[dict[str, float]]) -> list[Columns]:
    """Return the table of the epochs that were finished; none where there is one or none."""
    finished = [row for row in rows if len(row) > 1]
    if not finished:
        return []
    complete = max(len(row) for row in finished)
    if len(finished[-1]) < complete:  # it was interrupted
        finished = finished[:-1]
    names = list(dict.fromkeys(name for row in finished for name in row))
    return [{name: tuple(row.get(name) for row in finished) for name in names}] if len(finished) > 1 else []
