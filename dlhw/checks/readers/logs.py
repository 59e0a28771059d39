"""Text files that are a table, or the printed lines of a training."""

from __future__ import annotations

from pathlib import Path

from dlhw.checks.readers import delimited, printed
from dlhw.checks.readers.raw import Raw
from dlhw.errors import UserError


def read(path: Path) -> list[Raw]:
    """Read a text file.

    Raises:
        UserError: if it is neither.
    """
    text = delimited.text_of(path)
    try:
        table = delimited.parse(text, str(path))
        if any(isinstance(cell, float) for column in table.columns.values() for cell in column):
            return [table]
        reason = f"{path}: there are no numbers"
    except UserError as error:
        reason = str(error)
    raws = printed.tables_in(text, str(path))
    if not raws:
        raise UserError(reason)
    return raws
