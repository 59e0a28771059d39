"""The contents of a report -> report.html (self-contained), report.md with its figures beside it, report.json."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dlhw.errors import UserError, require
from dlhw.present.templates import load_template
from dlhw.report import interactive
from dlhw.report import pdf as pdf_
from dlhw.report.contents import Report, ReportRun, ReportSection
from dlhw.runs import store
from dlhw.storage import files, publish

WAIT = 60.0
"""Seconds to wait for another process that writes the same report."""
RECORD = "report.json"
"""Written last: it says which runs and figures belong to the report."""
PDF = "report.pdf"
WORDS = ("title", "author", "course", "comments")
"""What the author gives, and later builds keep."""
TEMPLATES = Path(__file__).parent / "templates"


def html(report: Report) -> str:
    """Return the page: one file, no request to any network."""
    return load_template(TEMPLATES, "report.html", check_rules=interactive.check_rules()).render(report=report)


def prepare(folder: Path) -> None:
    """Finish the writing of a report that was interrupted, and find out whether files can be written; leaves none.

    Raises:
        UserError: if they cannot, or another process writes there.
    """
    with locked(folder):
        pass


def complete(folder: Path) -> None:
    """Finish the writing of a report that was interrupted, in a folder whose lock the caller holds."""
    publish.complete(folder, RECORD)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Context manager: no other process writes the report in `folder`, and none is half written.

    Raises:
        UserError: if another process writes there.
    """
    with store.locked(folder, WAIT):
        complete(folder)
        yield


def write(report: Report, folder: Path, *, pdf: bool = False) -> list[Path]:
    """Write report.html, report.md with its figures, and report.json into `folder`; return their paths.

    Until all of them are written the folder holds the report that it held. Figures that it had, and this one does not
    have, are deleted, and so is an older report.pdf.

    Args:
        report: the contents.
        folder: where the files are written.
        pdf: also write report.pdf.

    Raises:
        UserError: if another process writes there.
        RunError: if the folder cannot be written.
    """
    with store.locked(folder, WAIT):
        return replace(report, folder, pdf=pdf)


def replace(report: Report, folder: Path, *, pdf: bool = False) -> list[Path]:
    """As :func:`write`, in a folder whose lock the caller holds."""
    page = html(report)
    printed = pdf_.render(page) if pdf else None
    markdown = load_template(TEMPLATES, "report.md").render(report=report)
    with publish.replacing(folder, RECORD, [PDF, *_figures_in(folder)]) as new:
        for picture in (picture for section in report.sections for picture in section.pictures):
            files.write_bytes(new / picture.file, picture.png)
        files.write_bytes(new / "report.md", (re.sub(r"\n{3,}", "\n\n", markdown).rstrip() + "\n").encode())
        files.write_bytes(new / "report.html", page.encode())
        if printed is not None:
            files.write_bytes(new / PDF, printed)
        files.write_json(new / RECORD, as_json(report, folder))
    return [folder / name for name in ("report.html", "report.md", RECORD, *([PDF] if pdf else []))]


def words_of(folder: Path) -> dict[str, str]:
    """Return title, author, course and comments of the report in `folder`, those that it has.

    Raises:
        UserError: if report.json is damaged.
    """
    record = _record_of(folder)
    return {name: record[name] for name in WORDS if isinstance(record.get(name), str) and record[name]}


def _record_of(folder: Path) -> Mapping[str, Any]:
    """Return what report.json of the report in `folder` holds; nothing where there is no report.

    Raises:
        UserError: if the file is damaged.
    """
    file = publish.current(folder, RECORD)
    if not file.exists():
        return {}
    try:
        record = files.read_json(file)
        fits = isinstance(record, dict) and all(isinstance(part, dict) for part in record["parts"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} cannot be read ({error}); use `overwrite` to leave out what it holds") from None
    require(fits, f"{file} is not that of a report; use `overwrite` to replace it")
    return dict(record)


def _parts_of(folder: Path) -> list[Mapping[str, Any]]:
    """Return the runs in report.json of the report in `folder`; none where there is no report."""
    return list(_record_of(folder).get("parts", []))


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
    parts = [_part(section, run, folder) for section in report.sections for run in section.runs]
    return {
        **{name: getattr(report, name) for name in WORDS},
        "reduced": report.reduced,
        "made with": dict(report.made_with),
        "left out": list(report.left_out),
        "parts": parts,
    }


def _part(section: ReportSection, run: ReportRun, folder: Path | None) -> dict[str, Any]:
    return {
        "experiment": section.name,
        "run": None if run.path is None or folder is None else _relative(run.path, folder),
        "place": section.order,
        "title": section.title,
        "heading": run.heading,
        "question": section.question,
        "command": run.command,
        "figures": {p.file: p.caption for p in run.pictures},
        "findings": [finding.text for finding in run.findings],
        "codes": [finding.code for finding in run.findings],
        "settings": {s.name: {"value": s.value, **({"default": s.default} if s.default else {})} for s in run.settings},
        "fixed by the assignment": list(run.fixed),
        "numbers": _rounded(run.numbers),
    }


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder.resolve())).as_posix()


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(v) for v in value]
    return float(f"{value:.10g}") if isinstance(value, float) else value
