"""Tables of HTML, as pandas shows them in a notebook."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser

from dlhw.checks.readers import grid
from dlhw.checks.readers.raw import Raw
from dlhw.errors import UserError

_MOST_SPAN = 100


class _Tables(HTMLParser):
    """The cells of every table; a cell over several columns is repeated."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[tuple[list[list[str]], list[list[str]]]] = []  # rows of the header, rows of the body
        self._row: list[tuple[str, str]] | None = None  # tag and text of every cell
        self._cell: list[str] | None = None
        self._tag, self._span = "", 1

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables.append(([], []))
        elif tag == "tr" and self.tables:
            self._row = []
        elif tag in ("td", "th") and self._row is not None:
            span = dict(attrs).get("colspan") or "1"
            self._cell, self._tag = [], tag
            self._span = min(int(span), _MOST_SPAN) if span.isdecimal() else 1

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self._cell is not None and self._row is not None:
            self._row += [(self._tag, " ".join("".join(self._cell).split()))] * self._span
            self._cell = None
        elif tag == "tr" and self._row:
            header, body = self.tables[-1]
            words = [text for _, text in self._row]
            (header if not body and all(tag == "th" for tag, _ in self._row) else body).append(words)
            self._row = None


def tables_in(text: str, source: str) -> list[Raw]:
    """Return the tables of an HTML text that have two rows or more."""
    parser = _Tables()
    parser.feed(text)
    raws = []
    for header, body in parser.tables:
        length = max((len(row) for row in body), default=0)
        if len(body) < 2 or any(len(row) != length for row in body):
            continue
        header = [row for row in header if len(row) == length]
        names = [" ".join(filter(None, words)) for words in zip(*header, strict=True)]
        try:
            raw = grid.table(body, source, header=names)
        except UserError:
            continue
        cut = any(set(row) & {"...", "…"} for row in body)
        raws.append(dataclasses.replace(raw, cut=cut))
    return raws
