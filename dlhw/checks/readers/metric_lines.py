"""Lines that training loops print: `epoch 3, loss 0.4, acc 0.88`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dlhw.checks.readers.raw import Cell

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_COUNTERS = r"epochs?|iter(?:ation)?s?|steps?|batch(?:[ _]?size)?|alpha"
_COUNTER = re.compile(rf"\b({_COUNTERS})\b\s*[:=#\[(]*\s*({_NUMBER})\s*(?:/\s*\d+)?\s*[\])]?", re.IGNORECASE)
_QUOTIENT = re.compile(r"([:=]\s*)\(?(\d+)/(\d+)\s*(?:\(\s*\d+\.?\d*\s*%\s*\))?\)?")
_PROGRESS = re.compile(r"\[\s*\d+/\d+\s*(\(\s*\d+\.?\d*\s*%\s*\))?\s*\]")
_NAME = r"[A-Za-z∇‖|α][\w ./‖|∇-]*?"
_WRAPPER = r"(?:tensor\(|np\.float64\()?"
_PAIR = re.compile(
    rf"({_NAME})(?:\s*\([a-z%]+\))?\s*(?:[:=]\s*|\s+){_WRAPPER}\s*({_NUMBER}|nan|inf)\s*(%)?(?![\w.]*[A-Za-z])"
)
_NO_MEASUREMENT = re.compile(r"improved from|did not improve|saving model|stopping|ReduceLR", re.IGNORECASE)
_MOST_WORDS, _MOST_CHARACTERS = 4, 500
_BATCHES = "iteration"
"""Counter of lines that come several times an epoch: `Train Epoch: 1 [640/60000 (1%)]`."""

Columns = dict[str, tuple[Cell, ...]]
Row = tuple[tuple[str, ...], tuple[float, ...]]


def tables_in(lines: Sequence[str]) -> list[Columns]:
    """Return the tables of lines that name the same quantities, where a counter begins anew a new one."""
    groups: dict[tuple[str, ...], list[list[tuple[float, ...]]]] = {}
    for line in lines:
        row = _row(line)
        if row is None:
            continue
        names, values = row
        tables = groups.setdefault(names, [[]])
        if tables[-1] and _is_counter(names[0]) and values[0] < tables[-1][-1][0]:
            tables.append([])
        tables[-1].append(values)
    whole = [_columns(names, rows) for names, tables in groups.items() for rows in tables if len(rows) > 1]
    return _joined(whole)


def _row(line: str) -> Row | None:
    """Return names and numbers of a line with a counter and a quantity, or None."""
    counter = _COUNTER.search(line)
    if counter is None or len(line) > _MOST_CHARACTERS or _NO_MEASUREMENT.search(line):
        return None
    others, batches = _PROGRESS.subn(" ", line[: counter.start()] + " , " + line[counter.end() :])
    others = _QUOTIENT.sub(lambda m: f"{m[1]}{int(m[2]) / max(1, int(m[3])):.6f}", others)
    names, values = [_BATCHES if batches else counter[1].lower()], [float(counter[2])]
    for name, number, percent in _PAIR.findall(others):
        word = " ".join(name.replace("|", " ").split()).strip(" -.")
        if not word or len(word.split()) > _MOST_WORDS or word in names:
            return None
        names.append(word)
        values.append(float(number) / (100 if percent else 1))
    return (tuple(names), tuple(values)) if len(names) > 1 else None


def _is_counter(name: str) -> bool:
    return name.startswith(("epoch", "iter", "step"))


def _columns(names: tuple[str, ...], rows: Sequence[tuple[float, ...]]) -> Columns:
    columns: Columns = {name: tuple(row[k] for row in rows) for k, name in enumerate(names)}
    if names[0] == _BATCHES and len(set(columns[_BATCHES])) < len(rows):
        columns[_BATCHES] = tuple(k + 1.0 for k in range(len(rows)))
    return columns


def _joined(tables: list[Columns]) -> list[Columns]:
    """Join tables of one counter, such as the lines of training and those of the test."""
    joined: list[Columns] = []
    for table in tables:
        counter = next(iter(table))
        for other in joined:
            if other.get(counter) == table[counter] and not (set(other) & set(table)) - {counter}:
                other |= table
                break
        else:
            joined.append(dict(table))
    return joined
