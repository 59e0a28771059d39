"""Tables that were printed: by pandas, between bars, or in columns of equal width."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from dlhw.checks.readers import cells, grid
from dlhw.checks.readers.raw import Raw
from dlhw.errors import UserError

_RULE = re.compile(r"[\s|+=:─━┼│┃╇-]+")
_BARS = re.compile(r"[|│┃]")
_CUT = {"...", ".."}
"""What pandas prints in place of rows."""


def tables_in(lines: Sequence[str], source: str) -> list[Raw]:
    """Return the tables in lines of text."""
    block: list[str] = []
    raws: list[Raw] = []
    for line in [*lines, ""]:
        if _RULE.fullmatch(line) and re.search(r"[-=─━]{3}", line):
            continue
        if line and _continues(block, line):
            block.append(line)
            continue
        raws += _table(block, source)
        # The last words before a row are its header, whatever stands above them.
        block = [line] if line else []
    return raws


def _continues(block: Sequence[str], line: str) -> bool:
    """Whether a line belongs to the table: a row after rows or a header, or the name of an index below a header."""
    rows = any(map(_is_row, block))
    return bool(block) and (_is_row(line) or (not rows and len(block) == 1 and _is_index(line)))


def _words(line: str) -> list[str]:
    """Return the words of a row: between bars, or else spaces."""
    if len(_BARS.findall(line)) > 1 or re.search(r"\S\s+[|│]\s+\S", line):
        return [word.strip() for word in _BARS.split(line.strip().strip("|│┃"))]
    return line.split()


def _is_row(line: str) -> bool:
    """Whether a line is a row of numbers, with at most one word before them."""
    words = _words(line)
    return len(words) > 1 and all(map(_is_number, words[1:]))


def _is_number(word: str) -> bool:
    try:
        return isinstance(cells.parse(word, ""), float) or word in _CUT
    except UserError:
        return False


def _is_index(line: str) -> bool:
    """Whether a line is the name of the index, which pandas prints below the header."""
    return len(line.split()) == 1 and not _is_number(line.strip())


def _table(block: Sequence[str], source: str) -> list[Raw]:
    """Return the table of a block of lines, if it is one of two rows or more."""
    body = [_words(line) for line in block if _is_row(line)]
    header = [line for line in block if not _is_row(line)]
    if len(body) < 2 or not header or any(len(row) != len(body[0]) for row in body):
        return []
    index = header[1].strip() if len(header) > 1 else ""
    names = _names(header[0], len(body[0]))
    if not names:
        return []
    cut = any(set(row) & _CUT for row in body)
    try:
        raw = grid.table(body, source, header=[index, *names] if len(names) < len(body[0]) else names)
    except UserError:
        return []
    return [dataclasses.replace(raw, cut=cut)]


def _names(line: str, length: int) -> list[str]:
    """Return a header with one name per column, or one less where the first is an index; [] if it has others."""
    wide = re.split(r"\s{2,}|\t", line.strip())
    return next((words for words in (_words(line), wide) if length - 1 <= len(words) <= length), [])
