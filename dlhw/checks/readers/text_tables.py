"""Tables that were printed: by pandas, between bars, or in columns of equal width."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dlhw.checks.readers import cells, grid
from dlhw.checks.readers.raw import Raw
from dlhw.errors import UserError

_RULE = re.compile(r"[\s|+=:─━┼│┃╇-]+")
_BARS = re.compile(r"[|│┃]")
_SIZE = re.compile(r"\[\d+ rows x \d+ columns\]")


def tables_in(lines: Sequence[str], source: str) -> list[Raw]:
    """Return the tables in lines of text."""
    block: list[str] = []
    raws: list[Raw] = []
    for line in [*lines, ""]:
        if _RULE.fullmatch(line) and re.search(r"[-=─━]{3}", line):
            continue
        if _words(line) and (not block or _fits(block, line)):
            block.append(line)
            continue
        raws += _table(block, source)
        block = [line] if _words(line) else []
    return raws


def _words(line: str) -> list[str]:
    if len(_BARS.findall(line)) > 1 or re.search(r"\S\s+[|│]\s+\S", line):
        return [word.strip() for word in _BARS.split(line.strip().strip("|│┃"))]
    wide = re.split(r"\s{2,}|\t", line.strip())
    return wide if len(wide) > 1 else line.split()


def _is_row(words: Sequence[str]) -> bool:
    """Whether a line is a row of numbers, with at most one word before them."""
    return len(words) > 1 and all(_number(word) for word in words[1:])


def _number(word: str) -> bool:
    try:
        return isinstance(cells.parse(word, ""), float) or word in ("...", "..")
    except UserError:
        return False


def _fits(block: Sequence[str], line: str) -> bool:
    """Whether a line continues a table: a row after rows, or after a header and perhaps the name of the index."""
    if _is_row(line.split()):
        return True
    return (not any(_is_row(row.split()) for row in block) and len(block) < 2 and _is_row(_words(line))) or _index(line)


def _index(line: str) -> bool:
    """Whether a line is the name of the index, which pandas prints below the header."""
    return len(line.split()) == 1 and not _number(line.strip())


def _table(block: Sequence[str], source: str) -> list[Raw]:
    """Return the table of a block of lines, if it is one of two rows or more."""
    rows = [_words(line) if _is_row(_words(line)) else line.split() for line in block]
    first = next((k for k, row in enumerate(rows) if _is_row(row)), len(rows))
    body = rows[first:]
    length = len(body[0]) if body else 0
    if len(body) < 2 or first == 0 or any(len(row) != length for row in body):
        return []
    header, index = _header(block[:first], length)
    if not header:
        return []
    cut = any(set(row) & {"...", ".."} for row in body)
    try:
        raw = grid.table(body, source, header=[index, *header] if len(header) == length - 1 else header)
    except UserError:
        return []
    return [Raw(raw.source, raw.columns, cut=cut)]


def _header(lines: Sequence[str], length: int) -> tuple[list[str], str]:
    """Return the header with one name per column, or one less where the first is an index; and the name of that."""
    index = lines[-1].strip() if len(lines) > 1 and _index(lines[-1]) else ""
    line = lines[-2] if index else lines[-1]
    for words in (_words(line), line.split()):
        if len(words) == length or len(words) == length - 1:
            return words, index
    return [], ""
