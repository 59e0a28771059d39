"""Files of numbers -> tables of items."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlhw.checks.matching import Matched, match
from dlhw.checks.readers import opening


def read_tables(
    path: str | Path, item: str = "", columns: Mapping[str, str] | None = None, given: Mapping[str, Any] | None = None
) -> Matched:
    """Return the tables of items in a file, a run folder, or a folder of runs.

    Args:
        path: of a file that docs/checks.md lists.
        item: what was measured; "": inferred from the columns.
        columns: headers by the names of the columns that they mean, such as {"value": "my header"}.
        given: facts, such as {"classes": 10}.

    Raises:
        UserError: if the file cannot be read, no table is recognized, or a name or number is not valid.
    """
    return match(opening.read(Path(path)), item, columns, given)
