"""The outputs of a Jupyter notebook; no cell is executed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dlhw.checks.readers import html_tables, printed
from dlhw.checks.readers.json_files import parsed
from dlhw.checks.readers.raw import Raw
from dlhw.errors import require


def read(path: Path) -> list[Raw]:
    """Read the outputs of a notebook.

    Raises:
        UserError: if it is no notebook, or its outputs hold no numbers.
    """
    notebook = parsed(path)
    require(isinstance(notebook, dict), f"{path} is no notebook")
    cells = notebook.get("cells")
    if cells is None and isinstance(notebook.get("worksheets"), list):  # format 3
        cells = [cell for sheet in notebook["worksheets"] for cell in sheet.get("cells", [])]
    require(isinstance(cells, list), f"{path} is no notebook: it has no cells")
    code = [(k + 1, cell) for k, cell in enumerate(cells) if isinstance(cell, dict) and cell.get("outputs")]
    require(bool(code), f"{path} has no outputs; run its cells, save it, and check it again")
    raws = [raw for k, cell in code for raw in _numbered(_of_cell(cell, f"{path}, cell {k}"))]
    require(bool(raws), f"{path}: no output is a table, a list or lines of numbers")
    return raws


def _of_cell(cell: dict[str, Any], source: str) -> list[Raw]:
    raws: list[Raw] = []
    stream = ""
    outputs = cell["outputs"] if isinstance(cell["outputs"], list) else []
    for output in outputs:
        text, html = _texts(output)
        if isinstance(output, dict) and output.get("output_type") == "stream":
            stream += text  # a progress bar comes in pieces
        elif html and (tables := html_tables.tables_in(html, source)):
            raws += tables
        elif text:
            raws += printed.tables_in(text, source)
    return (printed.tables_in(stream, source) if stream else []) + raws


def _texts(output: Any) -> tuple[str, str]:
    """Return the plain text and the HTML of an output; "" where there is none."""
    if not isinstance(output, dict) or output.get("output_type") not in (
        "stream",
        "execute_result",
        "display_data",
        "pyout",
    ):
        return "", ""
    if output.get("name") == "stderr":
        return "", ""
    data = output["data"] if isinstance(output.get("data"), dict) else output
    plain = output.get("text") if "text" in output else data.get("text/plain")
    return _joined(plain), _joined(data.get("text/html", data.get("html")))


def _joined(text: Any) -> str:
    return "".join(map(str, text)) if isinstance(text, list) else text if isinstance(text, str) else ""


def _numbered(raws: list[Raw]) -> Iterator[Raw]:
    """Number the tables of a cell that has several."""
    for k, raw in enumerate(raws):
        yield dataclasses.replace(raw, source=f"{raw.source}, table {k + 1}") if len(raws) > 1 else raw
