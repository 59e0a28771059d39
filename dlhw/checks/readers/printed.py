"""Tables in a text that a program has printed."""

from __future__ import annotations

from dlhw.checks.readers import keras_lines, literals, metric_lines, terminal, text_tables
from dlhw.checks.readers.raw import Raw


def tables_in(text: str, source: str) -> list[Raw]:
    """Return the tables of a text: lines of Keras and of training loops, printed tables, lists and dicts."""
    lines = terminal.lines(text)
    of_keras, others = keras_lines.tables_in(lines)
    raws = [Raw(source, columns) for columns in of_keras]
    rest_of_text = "\n".join(others)
    raws += [Raw(source, columns) for columns in metric_lines.tables_in(others)]
    raws += text_tables.tables_in(others, source)
    return raws + literals.tables_in(rest_of_text, source)
