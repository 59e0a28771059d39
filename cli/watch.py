"""`dlhw watch`: what a training recorded that was watched, findings first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Json
from dlhw.errors import require

if TYPE_CHECKING:
    from dlhw.watch.diagnosis import Diagnosis

STYLES = {"severe": "bold red", "warning": "bold yellow", "note": "bold blue"}

Folder = Annotated[
    Path,
    typer.Argument(metavar="FOLDER", help="Folder that dlhw.Watch was given, or one with several of them."),
]


def watch(folder: Folder, json: Json = False) -> None:
    """The findings on a training that dlhw.Watch recorded; also writes watch.html into its folder.

    The exit status is 1 if a finding is severe.
    """
    from dlhw.runs.run import load
    from dlhw.storage import files
    from dlhw.watch.display import page

    runs = {path: load(path) for path in _watched(folder)}
    if json:
        values = [page.as_json(run, path) for path, run in runs.items()]
        print(files.to_json(values[0] if [*runs] == [folder] else values, indent=None))
    severe = False
    for path, run in runs.items():
        findings = page.diagnoses(run)
        severe = severe or any(finding.severity == "severe" for finding in findings)
        if not json:
            _print(path, findings, whole=[*runs] == [folder])
        written = page.write(run, path)
        if not json and [*runs] == [folder]:
            print(written)
    raise typer.Exit(int(severe))


def _watched(folder: Path) -> list[Path]:
    """Return the watched trainings in a folder, or the folder itself."""
    from dlhw.runs import store
    from dlhw.runs.experiment import RECORDED
    from dlhw.runs.record_file import read_record

    folders = store.runs_in(folder)
    if folders == [folder]:
        kind = read_record(folder)["experiment"]
        require(kind in RECORDED, f"{folder} is a run of {kind}, no watched training; `dlhw show {folder}` reads it")
        return folders
    watched = store.runs_of(folder, RECORDED)
    require(bool(watched), f"{folder} holds no watched training; name the folder that dlhw.Watch was given")
    return watched


def _print(path: Path, findings: tuple[Diagnosis, ...], *, whole: bool) -> None:
    """Print the findings of a training; whole: with what to do about them, not in one line."""
    from cli import console
    from dlhw.watch.display import live, page

    out = console.stdout()
    if not whole:
        first = f": {live.line(findings[0])}" if findings else ""
        out.print(console.as_text(f"{path}: {page.verdict(findings)}{first}"), soft_wrap=True)
        return
    if not findings:
        out.print("No findings: nothing that was recorded looks wrong.")
    for finding in findings:
        place = f" ({page.where(finding)})" if page.where(finding) else ""
        out.print(console.as_text(f"{finding.severity} {finding.code}{place}"), style=STYLES[finding.severity])
        out.print(console.as_text(f"  {finding.text}"), soft_wrap=True)
        if finding.remedy:
            out.print(console.as_text(f"  What to do: {finding.remedy}"), soft_wrap=True)
