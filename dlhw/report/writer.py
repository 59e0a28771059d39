"""The contents of a report -> report.html (self-contained), report.md with its figures beside it, report.json."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlhw.errors import UserError, require
from dlhw.present.templates import load_template
from dlhw.report.contents import Report
from dlhw.runs import store
from dlhw.storage import files, publish

WAIT = 60.0
"""Seconds to wait for another process that writes the same report."""
RECORD = "report.json"
"""Written last: it says which runs and figures belong to the report."""
TEMPLATES = Path(__file__).parent / "templates"


def html(report: Report) -> str:
    """Return the page: one file, no request to any network."""
    return load_template(TEMPLATES, "report.html").render(report=report)


def prepare(folder: Path) -> None:
    """Finish the writing of a report that was interrupted, and find out whether files can be written; leaves none.

    Raises:
        UserError: if they cannot, or another process writes there.
    """
    with store.locked(folder, WAIT):
        complete(folder)


def complete(folder: Path) -> None:
    """Finish the writing of a report that was interrupted, in a folder whose lock the caller holds."""
    publish.complete(folder, RECORD)


def write(report: Report, folder: Path) -> list[Path]:
    """Write report.html, report.md with its figures, and report.json into `folder`; return their paths.

    Until all of them are written the folder holds the report that it held. Figures that it had, and this one does not
    have, are deleted.

    Raises:
        UserError: if another process writes there.
        RunError: if the folder cannot be written.
    """
    with store.locked(folder, WAIT):
        return replace(report, folder)


def replace(report: Report, folder: Path) -> list[Path]:
    """As :func:`write`, in a folder whose lock the caller holds."""
    page = html(report)
    markdown = load_template(TEMPLATES, "report.md").render(report=report)
    with publish.replacing(folder, RECORD, _figures_in(folder)) as new:
        for picture in (picture for section in report.sections for picture in section.pictures):
            files.write_bytes(new / picture.file, picture.png)
        files.write_bytes(new / "report.md", (re.sub(r"\n{3,}", "\n\n", markdown).rstrip() + "\n").encode())
        files.write_bytes(new / "report.html", page.encode())
        files.write_json(new / RECORD, as_json(report, folder))
    return [folder / name for name in ("report.html", "report.md", RECORD)]


def _parts_of(folder: Path) -> list[Mapping[str, Any]]:
    """Return the sections in report.json of the report in `folder`; none where there is no report.

    Raises:
        UserError: if the file is damaged.
    """
    file = publish.current(folder, RECORD)
    if not file.exists():
        return []
    try:
        parts = files.read_json(file)["parts"]
        fits = all(isinstance(part, dict) for part in parts)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} cannot be read ({error}); use `overwrite` to leave out what it holds") from None
    require(fits, f"{file} is not that of a report; use `overwrite` to replace it")
    return list(parts)


def _figures_in(folder: Path) -> list[str]:
    """Return the names of the figures of the report in `folder`."""
    try:
        figures = [part.get("figures") for part in _parts_of(folder)]
    except UserError:
        return []
    names = [str(name) for of_part in figures if isinstance(of_part, dict) for name in of_part]
    return [name for name in names if name.endswith(".png") and name == Path(name).name]


def runs_of(folder: Path) -> list[tuple[str, Path]]:
    """Return experiment and run folder of every section of the report in `folder`; none where there is no report."""
    paths = [(part.get("experiment"), part.get("run")) for part in _parts_of(folder)]
    return [(str(name), (folder / path).resolve()) for name, path in paths if isinstance(path, str) and path]


def as_json(report: Report, folder: Path | None = None) -> dict[str, Any]:
    """Return the contents of the page as plain values; paths of runs are relative to `folder`.

    Numbers have ten digits: the last digits of a sum depend on the processor.
    """
    parts = [
        {
            "experiment": section.name,
            "run": None if section.path is None or folder is None else _relative(section.path, folder),
            "place": section.order,
            "title": section.title,
            "question": section.question,
            "command": section.command,
            "figures": {p.file: p.caption for p in section.pictures},
            "findings": [finding.text for finding in section.findings],
            "codes": [finding.code for finding in section.findings],
            "settings": {s.name: {"value": s.value, "set by": s.set_by} for s in section.settings},
            "numbers": _rounded(section.numbers),
        }
        for section in report.sections
    ]
    return {"title": report.title, "reduced": report.reduced, "made with": dict(report.made_with), "parts": parts}


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder.resolve())).as_posix()


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(v) for v in value]
    return float(f"{value:.10g}") if isinstance(value, float) else value
