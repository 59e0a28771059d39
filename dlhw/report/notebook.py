"""A run as a notebook shows it: the section that it has in a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlhw.present.templates import load_template
from dlhw.report import interactive
from dlhw.report.composition import section_of
from dlhw.report.writer import TEMPLATES

if TYPE_CHECKING:
    from dlhw.runs.run import Run


def html(run: Run) -> str:
    """Return the section of a run as a piece of HTML, with styles that leave the page around it as it is."""
    return load_template(TEMPLATES, "notebook.html", check_rules=interactive.check_rules()).render(part=section_of(run))
