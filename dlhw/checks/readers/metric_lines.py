"""Lines that training loops print: `epoch 3, loss 0.4, acc 0.88`, also over several lines an epoch."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from dlhw.checks.readers.raw import Cell

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_SEPARATOR = r"\s*(?:[:=]\s*|\s-+\s+|\s)"
_TIMES = r"epochs?|iter(?:ation)?s?|steps?"
_COUNTERS = tuple(
    re.compile(rf"\b({names})\b{_SEPARATOR}?[#\[(]*\s*({_NUMBER})\s*(?:/\s*\d+)?\s*[\])]?", re.IGNORECASE)
    for names in (_TIMES, r"batch(?:[ _]?size)?|alpha|params?|parameters")
)
"""What tells the lines of a table apart: the time, or else what is varied."""
_QUOTIENT = re.compile(r"([:=]\s*)\(?(\d+)/(\d+)\s*(?:\(\s*\d+\.?\d*\s*%\s*\))?\)?")
_PROGRESS = re.compile(r"\[\s*\d+/\d+\s*(\(\s*\d+\.?\d*\s*%\s*\))?\s*\]")
_THOUSANDS = re.compile(r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?![\w,])")
_NAME = r"[A-Za-z∇‖|α][\w ./‖|∇-]*?"
_WRAPPER = r"(?:tensor\(|np\.float64\()?"
_PAIR = re.compile(
    rf"({_NAME})(?:\s*\([a-z%]+\))?{_SEPARATOR}{_WRAPPER}\s*({_NUMBER}|nan|inf)\s*(%)?(?![\w.]*[A-Za-z])"
)
_SET = re.compile(r"\b(train|training|test|testing|val|valid|validation|eval)", re.IGNORECASE)
_NO_MEASUREMENT = re.compile(r"improved from|did not improve|saving model|stopping|ReduceLR", re.IGNORECASE)
_MOST_WORDS, _MOST_CHARACTERS = 4, 500
_BATCHES = "iteration"
"""Counter of lines that come several times an epoch: `Train Epoch: 1 [640/60000 (1%)]`."""

Columns = dict[str, tuple[Cell, ...]]
Pairs = dict[str, float]


@dataclass
class _Record:
    """A line with a counter, and the numbers in the lines below it."""

    counter: str
    pairs: Pairs  # the counter first
    below: Pairs = field(default_factory=dict)


def tables_in(lines: Sequence[str]) -> list[Columns]:
    """Return the tables of lines that name the same quantities, where a counter begins anew a new one."""
    records: list[_Record] = []
    for line in lines:
        if len(line) > _MOST_CHARACTERS or _NO_MEASUREMENT.search(line):
            continue
        record = _record(line)
        if record is not None:
            records.append(record)
        elif records:
            pairs = _pairs(_plain(line)) or {}
            records[-1].below |= {n: v for n, v in pairs.items() if n not in records[-1].below}
    groups: dict[tuple[str, ...], list[_Record]] = {}
    for record in records:
        groups.setdefault(tuple(record.pairs), []).append(record)
    return _joined([columns for group in groups.values() for columns in _tables(group)])


def _plain(line: str) -> str:
    """Return a line with single spaces, over which the patterns need not walk again and again."""
    return _THOUSANDS.sub(lambda match: match[0].replace(",", ""), " ".join(line.split()))


def _record(line: str) -> _Record | None:
    """Return the numbers of a line with a counter, or None."""
    line = _plain(line)
    counter = next((match for pattern in _COUNTERS if (match := pattern.search(line))), None)
    if counter is None:
        return None
    others, batches = _PROGRESS.subn(" ", line[: counter.start()] + " , " + line[counter.end() :])
    pairs = _pairs(others)
    name = _BATCHES if batches else counter[1].lower()
    return None if pairs is None or name in pairs else _Record(name, {name: float(counter[2])} | pairs)


def _pairs(line: str) -> Pairs | None:
    """Return the numbers of a line by their names; None where it is no list of names and numbers."""
    line = _QUOTIENT.sub(lambda m: f"{m[1]}{int(m[2]) / max(1, int(m[3])):.6f}", line)
    listed = [(" ".join(n.replace("|", " ").split()).strip(" -."), v, p) for n, v, p in _PAIR.findall(line)]
    times = Counter(name for name, *_ in listed)
    pairs: Pairs = {}
    last = ""
    for name, number, percent in listed:
        last = of_set[1].lower() if (of_set := _SET.search(name)) else last
        # "train loss 1.2 acc 58 % | test loss 1.3 acc 57 %": the second word is of the set of the first.
        word = f"{last} {name}".strip() if times[name] > 1 else name
        if not word or len(word.split()) > _MOST_WORDS or word in pairs:
            return None
        pairs[word] = float(number) / (100 if percent else 1)
    return pairs


def _tables(group: Sequence[_Record]) -> list[Columns]:
    """Return the tables of records with the same names in their own lines."""
    below = Counter(name for record in group for name in record.below if name not in record.pairs)
    names = [*group[0].pairs, *(name for name, n in below.items() if n > 1 and 2 * n >= len(group))]
    parts: list[list[_Record]] = [[]]
    for record in group:
        if parts[-1] and _begins(record, parts[-1]):
            parts.append([])
        parts[-1].append(record)
    tables: list[Columns] = [
        {name: tuple(record.pairs.get(name, record.below.get(name)) for record in part) for name in names}
        for part in parts
        if len(part) > 1 and len(names) > 1
    ]
    for table in tables:
        if _BATCHES in table and len(set(table[_BATCHES])) < len(table[_BATCHES]):
            table[_BATCHES] = tuple(k + 1.0 for k in range(len(table[_BATCHES])))
    return tables


def _begins(record: _Record, earlier: Sequence[_Record]) -> bool:
    """Whether a counter begins anew; one that only falls, such as the last epoch of many trainings, does not."""
    if not re.fullmatch(_TIMES, record.counter):
        return False
    value, first, last = (r.pairs[record.counter] for r in (record, earlier[0], earlier[-1]))
    return value < last and value <= max(1, first) and (value <= 1 or 2 * first <= last)


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
