"""Lists and dicts of numbers that Python has printed; they are read as literals, never evaluated."""

from __future__ import annotations

import ast
import re
from typing import Any

from dlhw.checks.readers.json_files import tables_in as tables_of
from dlhw.checks.readers.raw import Raw

_WRAPPER = re.compile(r"\b(?:np\.|numpy\.|torch\.)?(?:array|tensor|float16|float32|float64|int32|int64|defaultdict)\(")
_ENDS = re.compile(r",?\s{0,40}(?:dtype=[\w.']+|device='[^']*'|requires_grad=\w+|grad_fn=<\w+>)")
_NAMED = re.compile(r"(?:^|\n)[ \t]*([A-Za-z][\w ()./-]{0,40}?)[ \t]{0,8}[:=][ \t]{0,8}(?=[\[(]|array\(|tensor\()")
_MOST = 2_000_000


def tables_in(text: str, source: str) -> list[Raw]:
    """Return what printed dicts hold, and the named lists of a text, those of one length as one table."""
    plain = _ENDS.sub("", _WRAPPER.sub("(", text)) if len(text) < _MOST else ""
    whole = _literal(plain.strip())
    if isinstance(whole, (dict, list)):
        return tables_of(_listed(whole), source)
    ends = _ends_of_brackets(plain)

    def literal(start: int) -> Any:
        return _literal(plain[start : ends[start] + 1]) if start in ends else None

    dicts = [value for start in _starts(plain) if isinstance(value := literal(start), dict)]
    raws = [raw for value in dicts for raw in tables_of(_listed(value), source)]
    columns: dict[int, dict[str, Any]] = {}
    for match in _NAMED.finditer(plain):
        values = _listed(literal(match.end()))
        if isinstance(values, list) and len(values) > 1 and all(isinstance(v, (int, float)) for v in values):
            columns.setdefault(len(values), {})[match[1].strip()] = values
    return raws + [raw for named in columns.values() for raw in tables_of(named, source)]


def _starts(text: str) -> list[int]:
    """Return where lines begin with a dict, or a name and a dict."""
    return [match.end() - 1 for match in re.finditer(r"(?:^|\n)[^\n{}\[\]]{0,60}\{", text)]


def _ends_of_brackets(text: str) -> dict[int, int]:
    """Return the place of the closing bracket by that of the opening one, in one pass."""
    ends: dict[int, int] = {}
    opened: list[int] = []
    for match in re.finditer(r"[\[({\])}]", text):
        if match[0] in "[({":
            opened.append(match.start())
        elif opened:
            ends[opened.pop()] = match.start()
    return ends


def _literal(text: str) -> Any:
    """Return a literal; lists that NumPy prints without commas get them."""
    if not text or text[0] not in "[({":
        return None
    for form in (text, re.sub(r"(?<=[\d.])\s+(?=[-+\d.])", ", ", text)):
        try:
            return ast.literal_eval(form)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            continue
    return None


def _listed(value: Any) -> Any:
    """Return tuples as lists, as JSON has them."""
    if isinstance(value, dict):
        return {str(name): _listed(entry) for name, entry in value.items()}
    return [_listed(entry) for entry in value] if isinstance(value, (list, tuple)) else value
