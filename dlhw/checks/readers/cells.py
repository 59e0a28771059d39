"""Texts of cells -> numbers, with decimal points or commas; thousands separators are refused."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dlhw.checks.readers.raw import Cell
from dlhw.errors import require

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
_EMPTY = {"", "na", "n/a", "none", "null", "-", "--", "<na>", "nat"}
_SPACES = "\u00a0\u202f\u2009 "
_THOUSANDS = re.compile(
    rf"[+-]?\d{{1,3}}(([,'’{_SPACES}]\d{{3}})+(\.\d+)?|([.'’{_SPACES}]\d{{3}})+,\d+|(\.\d{{3}}){{2,}})"
)
_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?%?")
_COMMA_OR_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_POINT_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")
_WRAPPED = re.compile(
    r"(?:np|numpy|torch|tf|jnp)?\.?(?:tensor|array|float16|float32|float64|int32|int64)\(([^(),]+)[^()]*\)"
)


def parse(text: str, source: str, *, comma: bool = False) -> Cell:
    """Return the number of a cell; its text, if it is none; None if it is empty.

    Args:
        text: the cell.
        source: file, for the message.
        comma: whether numbers have decimal commas.

    Raises:
        UserError: if the number has thousands separators.
    """
    word = text.strip().strip(_SPACES)
    if word.lower() in _EMPTY:
        return None
    if wrapped := _WRAPPED.fullmatch(word):
        word = wrapped[1].strip()
    word = word.replace("−", "-")
    if comma and _COMMA.fullmatch(word):
        word = word.replace(",", ".")
    elif _THOUSANDS.fullmatch(word) or (comma and _POINT_THOUSANDS.fullmatch(word)):
        require(False, f"{source}: {text.strip()} has a thousands separator; write numbers without, such as 1234.5")
    if _NUMBER.fullmatch(word) or _NOT_FINITE.fullmatch(word):
        return float(word)
    if word.endswith("%") and _NUMBER.fullmatch(share := word[:-1].rstrip()):
        return float(share) / 100
    return text.strip()


def has_decimal_commas(cells: Sequence[str], source: str) -> bool:
    """Return whether the cells of a file, which commas do not separate, have decimal commas.

    Raises:
        UserError: if its commas can be thousands separators as well.
    """
    commas = [cell.strip() for cell in cells if _COMMA.fullmatch(cell.strip())]
    if not commas:
        return False
    certain = [cell for cell in commas if not _COMMA_OR_THOUSANDS.fullmatch(cell)]
    require(bool(certain), f"{source}: {commas[0]} may be a decimal or a thousands separator; write decimal points")
    return True
