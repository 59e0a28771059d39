"""Runs -> the contents of a report."""

from __future__ import annotations

import base64
import dataclasses
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlhw.present import render
from dlhw.present.findings import Finding
from dlhw.present.layout import transposed_if_narrower, without_empty_counts
from dlhw.present.numbers import format_duration
from dlhw.present.section import Section
from dlhw.present.tables import Summary
from dlhw.report import interactive
from dlhw.runs.flags import is_pair, label, option_words, with_flags
from dlhw.runs.run import Run
from dlhw.runs.settings import changed, default_values, text
from dlhw.version import __version__

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dlhw.present.interactive import InteractiveFigure

TITLE = "How deep networks learn, measured"
LAST = "9"
"""Order of sections that the assignment does not have."""


@dataclass(frozen=True)
class Picture:
    """A figure, in the page and beside it."""

    file: str  # name of the PNG beside report.md
    png: bytes
    data: str  # URI of the smaller of PNG and SVG
    caption: str
    alt: str
    width: int
    height: int
    chart: str = ""  # JSON of the interactive figure, "" where there is none
    code: tuple[str, str] = ("", "")  # key and HTML of the page that the figure opens, as JSON


@dataclass(frozen=True)
class SettingRow:
    """A row of the settings table."""

    name: str
    value: str
    set_by: str  # the assignment's report, this library, or the command
    meaning: str


@dataclass(frozen=True)
class ReportSection:
    """The section of one run."""

    anchor: str
    name: str  # of the experiment
    order: str
    title: str
    question: str
    command: str
    pictures: tuple[Picture, ...]
    table: Summary
    findings: tuple[Finding, ...]
    pitfalls: tuple[str, ...]
    settings: tuple[SettingRow, ...]
    duration: str
    numbers: dict[str, Any]
    all_diverged: bool
    path: Path | None = None  # of the run folder


@dataclass(frozen=True)
class Report:
    """The contents of a report."""

    title: str
    reduced: bool
    version: str
    made_with: tuple[tuple[str, str], ...]
    sections: tuple[ReportSection, ...]


def compose(
    runs: Sequence[Run], paths: Sequence[Path | None] = (), *, reduced: bool = False, title: str = TITLE
) -> Report:
    """Return the report of some runs, in the order given; paths: their run folders."""
    names = [run.experiment for run in runs]
    sections = []
    for k, run in enumerate(runs):
        several = names.count(run.experiment) > 1
        anchor = run.experiment + (f"-{names[: k + 1].count(run.experiment)}" if several else "")
        section = _section(run, anchor, _distinction(run) if several else "")
        sections.append(dataclasses.replace(section, path=paths[k] if k < len(paths) else None))
    return Report(title, reduced, __version__, tuple(_made_with(runs)), tuple(sections))


def _distinction(run: Run) -> str:
    """Return what tells this run from others of its experiment, for its heading."""
    settings = [f"{name.replace('_', ' ')} {text(value, ', ')}" for name, value in changed(run.settings).items()]
    return ": " + (", ".join(settings) or "default settings")


def _section(run: Run, anchor: str, distinction: str) -> ReportSection:
    experiment, summary = run.definition, run.summary()
    section = experiment.section
    charts = run.interactive()
    pictures = [_picture(section, anchor, name, fig, charts.get(name)) for name, fig in run.figures().items()]
    return ReportSection(
        anchor=anchor,
        name=run.experiment,
        order=section.order if section.order != LAST else "",
        title=section.title + distinction,
        question=experiment.question,
        command=command(run),
        pictures=tuple(pictures),
        table=transposed_if_narrower(without_empty_counts(summary)),
        findings=tuple(dataclasses.replace(f, text=with_flags(f.text)) for f in summary.findings),
        pitfalls=section.pitfalls,
        settings=tuple(_settings(run, section)),
        duration=_duration(run),
        numbers=summary.numbers,
        all_diverged=run.all_diverged,
    )


def _picture(section: Section, anchor: str, name: str, fig: Figure, chart: InteractiveFigure | None) -> Picture:
    png, svg = (render.render(fig, form) for form in ("png", "svg"))
    kind, data = min((("png", png), ("svg+xml", svg)), key=lambda pair: len(pair[1]))
    caption = section.captions.get(name, name)
    title = next((axes.get_title("left") for axes in fig.axes if axes.get_title("left")), "")
    width, height = (round(96 * inches) for inches in fig.get_size_inches())
    uri = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    alt = f"{caption} {title}".strip()
    return Picture(f"{anchor}-{name}.png", png, uri, caption, alt, width, height, *interactive.as_json(chart, anchor))


def command(run: Run) -> str:
    """Return the command line that gives the run."""
    return shlex.join(["dlhw", run.experiment, *option_words(run.settings, changed(run.settings))])


def _settings(run: Run, section: Section) -> list[SettingRow]:
    rows = []
    defaults = default_values(run.settings)
    for field in dataclasses.fields(run.settings):
        value, default = getattr(run.settings, field.name), defaults[field.name]
        set_by = "the assignment's report" if field.name in section.assignment_settings else "dlhw"
        if default != field.default:
            set_by = f"dlhw, for {run.settings.data}"
        if value != default:
            set_by = f"this run ({set_by}: {text(default, ', ')})"
        between = " " if is_pair(run.settings, field.name) else ", "
        rows.append(SettingRow(label(field), text(value, between), set_by, with_flags(field.metadata["help"])))
    return rows


def _made_with(runs: Sequence[Run]) -> list[tuple[str, str]]:
    def all_of(key: Callable[[Run], str]) -> str:
        return "; ".join(dict.fromkeys(key(run) for run in runs))

    total = format_duration(sum(run.wall_seconds for run in runs))
    return [
        ("versions", all_of(lambda run: ", ".join(f"{k} {v}" for k, v in run.environment["versions"].items()))),
        ("device", all_of(lambda run: f"{run.environment['device']} ({run.environment.get('machine', '')})")),
        ("data", all_of(lambda run: run.definition.dataset(run.settings) or "function")),
        ("seeds", ", ".join(f"{run.experiment} {_seeds(run.settings)}" for run in runs)),
        ("wall time", f"{total} in all: " + ", ".join(f"{run.experiment} {_duration(run)}" for run in runs)),
    ]


def _duration(run: Run) -> str:
    """Return how long a run took; about, where only the times of its trainings are stored."""
    return ("" if "wall_seconds" in run.environment else "about ") + format_duration(run.wall_seconds)


def _seeds(settings: Any) -> str:
    first, n = settings.seed, settings.seeds
    return str(first) if n == 1 else f"{first} to {first + n - 1}"
