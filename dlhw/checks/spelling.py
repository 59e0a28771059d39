"""Headers of columns, compared without case, spaces, punctuation and units in brackets."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from dlhw.checks.items import Column, Item
from dlhw.checks.readers.raw import MOST_COLUMNS

_GREEK = {"α": "alpha", "λ": "lambda", "η": "eta", "β": "beta"}
_SIGNS = {"‖∇‖": "grad norm", "|∇|": "grad norm", "∇": "grad", "#": "number "}
_BRACKETS = re.compile(r"\([^)]*\)|\[[^\]]*\]|\{[^}]*\}")
_SET = re.compile(r"train|test|val|eval", re.IGNORECASE)
_COUNT = re.compile(r"^(numberof|numof|noof|nrof|number|num|nr|no)")


def normalized(header: str) -> str:
    """Return a header in small letters and digits; Greek letters by their names."""
    for letter, name in (_GREEK | _SIGNS).items():
        header = header.replace(letter, name)
    return "".join(c for c in unicodedata.normalize("NFKC", header).lower() if c.isalnum())


def keys(header: str) -> tuple[str, ...]:
    """Return the forms under which a header is looked up: whole, without units in brackets, without `number of`."""
    forms = [normalized(header)]
    units = [part for part in _BRACKETS.findall(header) if not _SET.search(part)]  # "loss (test)" is no loss in tests
    plain = header
    for part in units:
        plain = plain.replace(part, " ")
    forms.append(normalized(plain))
    forms += [_COUNT.sub("", form) for form in forms]
    return tuple(dict.fromkeys(form for form in forms if form))


def spellings(column: Column) -> tuple[str, ...]:
    """Return the headers that mean a column, normalized, its name first."""
    return tuple(dict.fromkeys(map(normalized, (column.name, *column.spellings))))


def assign(item: Item, headers: Iterable[str], chosen: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the headers of the columns of an item: one each, or several where many stand for one column.

    Args:
        item: what was measured.
        headers: of the file.
        chosen: header of the columns that the user named.
    """
    free = [header for header in headers if header not in chosen.values()]
    assigned: dict[str, tuple[str, ...]] = {name: (header,) for name, header in chosen.items()}
    for column in item.columns:
        if column.name in assigned:
            continue
        if column.many:
            several = tuple(header for header in free if _is_one_of_many(column, header))[:MOST_COLUMNS]
            if several:
                assigned[column.name] = several
            continue
        ranks = {header: rank for header in free if (rank := _rank(column, header)) is not None}
        if ranks:
            best = min(ranks, key=lambda header: ranks[header])
            assigned[column.name] = (best,)
            free.remove(best)
    return assigned


def _rank(column: Column, header: str) -> int | None:
    """Return the place of a header among the spellings of a column; None if it is none of them."""
    known = spellings(column)
    places = [known.index(key) for key in keys(header) if key in known]
    return min(places) if places else None


def _is_one_of_many(column: Column, header: str) -> bool:
    """Whether a header is a spelling with a number: `layer 3`, `layer3 norm`."""
    return any(re.search(r"\d", key) and re.sub(r"\d+", "", key) in spellings(column) for key in keys(header))
