"""The contents of a report -> report.html (self-contained), report.md with its figures beside it, report.json."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from dlhw import files
from dlhw.errors import UserError
from dlhw.present.templates import load_template
from dlhw.report.contents import Report

TEMPLATES = Path(__file__).parent / "templates"


def html(report: Report) -> str:
    """Return the page: one file, no request to any network."""
    return load_template(TEMPLATES, "report.html").render(report=report)


def check_folder(folder: Path) -> None:
    """Raise UserError if a report cannot be written there; makes the folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        Path(tempfile.mkdtemp(dir=folder)).rmdir()
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}); choose another `out`") from None


def write(report: Report, folder: Path) -> list[Path]:
    """Write report.html, report.md with its figures, and report.json into `folder`; return their paths.

    Figures that an earlier report left there, and this one does not have, are deleted.

    Raises:
        UserError: if the folder cannot be written.
    """
    page = html(report)
    markdown = load_template(TEMPLATES, "report.md").render(report=report)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in _figures_in(folder):
            (folder / old).unlink(missing_ok=True)
        for picture in (picture for section in report.sections for picture in section.pictures):
            files.write_bytes(folder / picture.file, picture.png)
        files.write_bytes(folder / "report.md", (re.sub(r"\n{3,}", "\n\n", markdown).rstrip() + "\n").encode())
        files.write_json(folder / "report.json", as_json(report, folder))
        files.write_bytes(folder / "report.html", page.encode())
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}); choose another `out`") from None
    return [folder / name for name in ("report.html", "report.md", "report.json")]


def _figures_in(folder: Path) -> list[str]:
    """Return the names of the figures of the report in `folder`."""
    try:
        parts = json.loads((folder / "report.json").read_text())["parts"]
        return [Path(name).name for part in parts for name in part["figures"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def runs_of(folder: Path) -> list[tuple[str, Path]]:
    """Return experiment and run folder of every section of the report in `folder`; none where there is no report."""
    try:
        parts = json.loads((folder / "report.json").read_text())["parts"]
        return [(part["experiment"], (folder / part["run"]).resolve()) for part in parts if part.get("run")]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


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
