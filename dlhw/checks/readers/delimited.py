"""Text files of a table: values between commas, semicolons, tabs or spaces."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from dlhw.checks.readers import cells, grid
from dlhw.checks.readers.raw import Raw
from dlhw.errors import UserError, require

_DELIMITERS = ("\t", ";", ",", "|")
_CONTROL = {chr(k) for k in range(32)} - set("\t\n\r\f\x08\x1b")


def text_of(path: Path) -> str:
    """Return the text of a file: UTF-8, UTF-16 with its mark, or what Windows writes in western Europe.

    Raises:
        UserError: if it is empty or no text.
    """
    data = path.read_bytes()
    require(bool(data.strip()), f"{path} is empty")
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    require(not _CONTROL & set(text), f"{path} is no text; save the numbers as CSV, JSON or .npy")
    return text


def read(path: Path) -> list[Raw]:
    """Read a text file of a table.

    Raises:
        UserError: if rows differ in length, or numbers have thousands separators.
    """
    return [parse(text_of(path), str(path))]


def parse(text: str, source: str) -> Raw:
    """Return the table of a text.

    Raises:
        UserError: as :func:`read`.
    """
    lines = [(k + 1, line) for k, line in enumerate(text.splitlines()) if line.strip()]
    comments = [line for _, line in lines if line.lstrip().startswith("#")]
    # A header may begin with # too: "#params,loss".
    numbered = [(k, line) for k, line in lines if not line.lstrip().startswith("#")]
    require(bool(numbered), f"{source}: there are no numbers")
    delimiter = _delimiter([line for _, line in numbered])
    rows = [(k, _split(line, delimiter)) for k, line in numbered]
    rows = [(k, row) for k, row in rows if any(cell.strip() for cell in row)]
    length = len(rows[0][1])
    for k, row in rows:
        hint = "; thousands separators are not read" if delimiter == "," and len(row) > length else ""
        require(len(row) == length, f"{source}: line {k} has {len(row)} cells, and the first {length}{hint}")
    every = [cell for _, row in rows for cell in row]
    comma = delimiter in ("\t", ";", "|") and cells.has_decimal_commas(every, source)
    header = _header_in_comments(comments, delimiter, [row for _, row in rows], source)
    return grid.table([row for _, row in rows], source, comma=comma, header=header)


def _delimiter(lines: list[str]) -> str:
    """Return the delimiter that is in every line; " " if none is, but spaces are."""
    for delimiter in _DELIMITERS:
        if all(delimiter in line for line in lines):
            return delimiter
    frequent = [d for d in _DELIMITERS if sum(d in line for line in lines) > len(lines) / 2]
    if frequent:
        return frequent[0]
    counts = {len(line.split()) for line in lines}
    return " " if len(counts) == 1 and counts != {1} else ","


def _split(line: str, delimiter: str) -> list[str]:
    if delimiter == " ":
        return line.split()
    try:
        row = next(csv.reader(io.StringIO(line), delimiter=delimiter, skipinitialspace=True))
    except csv.Error as error:
        raise UserError(f"{line[:40]!r} is no line of a table ({error})") from None
    return row


def _header_in_comments(comments: list[str], delimiter: str, rows: list[list[str]], source: str) -> list[str]:
    """Return the header that NumPy writes as a comment, if the first row has none."""
    if not comments or any(isinstance(cells.parse(cell, source), str) for cell in rows[0]):
        return []
    names = _split(comments[-1].lstrip().lstrip("#").strip(), delimiter)
    return names if len(names) == len(rows[0]) and not all(_is_number(n, source) for n in names) else []


def _is_number(word: str, source: str) -> bool:
    return isinstance(cells.parse(word, source), float)
