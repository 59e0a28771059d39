"""What a terminal would show of a text: without colours, after carriage returns and backspaces."""

from __future__ import annotations

import re

_ANSI = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])")
_REWRITTEN = re.compile(r"\r+|\x08+")


def lines(text: str) -> list[str]:
    """Return the lines of a text; a line that was written again and again is several lines, in order.

    A progress bar erases what it wrote before; all of its states are returned, so that the last with all numbers is
    among them whatever follows.
    """
    plain = _ANSI.sub("", text).replace("\r\n", "\n")
    return [part.rstrip() for line in plain.split("\n") for part in _REWRITTEN.split(line) if part.strip()]
