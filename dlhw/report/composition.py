"""Runs -> the contents of a report."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path

from dlhw.present.layout import transposed_if_narrower, without_empty_counts
from dlhw.report import presets
from dlhw.report.comments import comments_of
from dlhw.report.contents import TITLE, Comment, Report, ReportRun, ReportSection
from dlhw.report.pictures import picture, thumbnail
from dlhw.report.provenance import made_with, sum_of_durations
from dlhw.report.settings_table import rows
from dlhw.runs.flags import option_words
from dlhw.runs.run import Run
from dlhw.runs.settings import changed
from dlhw.version import __version__

LAST = "9"
"""Order of sections that the assignment does not have."""


def compose(
    runs: Sequence[Run],
    paths: Sequence[Path | None] = (),
    *,
    reduced: bool = False,
    title: str = TITLE,
    author: str = "",
    course: str = "",
    comments: str = "",
    left_out: Sequence[str] = (),
) -> Report:
    """Return the report of some runs: a section for every experiment, sections and runs in the order given.

    Args:
        runs: the runs.
        paths: their run folders.
        reduced: whether some of them have reduced settings.
        title: of the page.
        author: who made the report.
        course: for which it was made.
        comments: Markdown whose headings name sections; see :mod:`dlhw.report.comments`.
        left_out: runs that are missing, with the reason.

    Raises:
        UserError: for comments on a section that no report has.
    """
    written = comments_of(comments)
    where = dict(enumerate(paths))
    sections = []
    for name in dict.fromkeys(run.experiment for run in runs):
        own = [(run, where.get(k)) for k, run in enumerate(runs) if run.experiment == name]
        sections.append(_section(own, written.get(name)))
    return Report(
        title=title,
        author=author,
        course=course,
        reduced=reduced,
        version=__version__,
        made_with=tuple(made_with(runs)),
        sections=tuple(sections),
        comments=comments,
        introduction=written.get(""),
        left_out=tuple(left_out),
    )


def section_of(run: Run) -> ReportSection:
    """Return the section of one run."""
    return _section([(run, None)], None)


def _section(runs: Sequence[tuple[Run, Path | None]], comment: Comment | None) -> ReportSection:
    experiment = runs[0][0].definition
    section, name = experiment.section, experiment.name
    parts = []
    for k, (run, path) in enumerate(runs, start=1):
        several = len(runs) > 1
        words = path.name if path is not None and experiment.recorded else presets.heading(run)
        parts.append(_part(run, f"{name}-{k}" if several else name, words if several else "", path))
    pictures = [one for part in parts for one in part.pictures]
    return ReportSection(
        anchor=name,
        name=name,
        order=section.order if section.order != LAST else "",
        title=section.title,
        question=experiment.question,
        runs=tuple(parts),
        pitfalls=section.pitfalls,
        comment=comment,
        answered_by=section.answer,
        thumbnail=thumbnail(pictures[0].png) if pictures else "",
    )


def _part(run: Run, anchor: str, heading: str, path: Path | None) -> ReportRun:
    section, summary, charts = run.definition.section, run.summary(), run.interactive()
    figures = run.figures().items()
    return ReportRun(
        anchor=anchor,
        heading=heading,
        command=command(run, path),
        pictures=tuple(picture(section, anchor, name, fig, charts.get(name)) for name, fig in figures),
        table=transposed_if_narrower(without_empty_counts(summary)),
        findings=tuple(dataclasses.replace(f, text=run.definition.spelled(f.text)) for f in summary.findings),
        settings=tuple(rows(run)),
        duration=sum_of_durations([run]),
        numbers=summary.numbers,
        all_diverged=run.all_diverged,
        path=path,
        main=presets.in_every_preset(run),
    )


def command(run: Run, path: Path | None = None) -> str:
    """Return the command line that gives the run, or shows it where it was recorded from a program of a user.

    Args:
        run: the run.
        path: of its folder.
    """
    if run.definition.recorded:
        return shlex.join(["dlhw", run.experiment, "FOLDER" if path is None else path.name])
    return shlex.join(["dlhw", run.experiment, *option_words(run.settings, changed(run.settings))])
