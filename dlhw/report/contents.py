"""The contents of a report: what its page shows, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlhw.present.findings import Finding
from dlhw.present.tables import Summary

TITLE = "How deep networks learn, measured"
LIMITS = ("at-chance", "diverged", "nothing-learned", "one-seed")
"""Codes of findings that limit an answer, and are none themselves."""


LONG = 200
"""Characters of a finding that is shortened where it answers a question."""


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

    @property
    def anchor(self) -> str:
        """The name of the figure within the page."""
        return Path(self.file).stem


@dataclass(frozen=True)
class SettingRow:
    """A row of the settings table."""

    name: str
    value: str
    default: str  # "" where the value is the default
    meaning: str
    fixed: bool = False  # whether the course assignment fixes it at this value


@dataclass(frozen=True)
class ReportRun:
    """The part of a section that shows one run."""

    anchor: str
    heading: str  # what tells it from the other runs of its section; "" where there is one run
    command: str
    pictures: tuple[Picture, ...]
    table: Summary
    findings: tuple[Finding, ...]
    settings: tuple[SettingRow, ...]
    duration: str
    numbers: dict[str, Any]
    all_diverged: bool
    path: Path | None = None  # of the run folder
    main: bool = False  # whether every preset has the run

    @property
    def fixed(self) -> tuple[str, ...]:
        """The names of the settings at values that the course assignment fixes."""
        return tuple(row.name for row in self.settings if row.fixed)

    @property
    def changed(self) -> tuple[SettingRow, ...]:
        """The settings that differ from their defaults."""
        return tuple(row for row in self.settings if row.default)


@dataclass(frozen=True)
class Comment:
    """What the author writes on a section."""

    markdown: str  # text that is safe in a Markdown file
    html: str  # safe in a page


@dataclass(frozen=True)
class ReportSection:
    """The section of one experiment."""

    anchor: str
    name: str  # of the experiment
    order: str
    title: str
    question: str
    runs: tuple[ReportRun, ...]
    pitfalls: tuple[str, ...]
    comment: Comment | None = None
    thumbnail: str = ""  # URI of the first picture, small
    answered_by: str = ""  # code of the findings of which the last answers the question

    @property
    def answer(self) -> str:
        """The finding that answers the question; of a long one, what stands before its first semicolon."""
        main = [run for run in self.runs if run.main]
        if len(main) < 2:
            return self._answer_of(self.runs[:1]) or self._answer_of(self.runs)
        return " ".join(f"{run.heading}: {self._answer_of([run])}" for run in main)

    def _answer_of(self, runs: Sequence[ReportRun]) -> str:
        findings = [finding for run in runs for finding in run.findings]
        if not findings:
            return ""
        answers = [f for f in findings if f.code == self.answered_by][-1:]
        answers += [f for f in findings if f.code not in LIMITS]
        chosen = next(iter(answers), findings[0])
        text = chosen.text if chosen.code == "not-separated" or len(chosen.text) <= LONG else _clause(chosen.text)
        return text[0].upper() + text[1:]

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The pictures of all runs."""
        return tuple(picture for run in self.runs for picture in run.pictures)

    @property
    def all_diverged(self) -> bool:
        """Whether every training of one of the runs diverged."""
        return any(run.all_diverged for run in self.runs)


@dataclass(frozen=True)
class Report:
    """The contents of a report."""

    title: str
    author: str
    course: str
    reduced: bool
    version: str
    made_with: tuple[tuple[str, str], ...]
    sections: tuple[ReportSection, ...]
    comments: str = ""  # Markdown, as the author wrote it
    introduction: Comment | None = None  # the comment before the first section
    left_out: tuple[str, ...] = ()  # runs of the preset that this machine cannot make, with the reason


def _clause(text: str) -> str:
    return text.partition("; ")[0].rstrip(".") + "."
