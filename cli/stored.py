"""The commands that read stored runs: list, show, draw."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.options import Csv, Json, Out
from dlhw.errors import UserError, require
from dlhw.runs import experiment as registry

RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", help="Folder of a run, such as artifacts/simulate/default, or of runs.")
]


def list_runs(out: Out = Path("artifacts"), json: Json = False) -> None:
    """The experiments, and the runs stored under --out."""
    from rich.padding import Padding

    from cli import console
    from dlhw.runs.record_file import holds_run
    from dlhw.storage import files

    is_there = out.is_dir() or out == Path("artifacts")  # which a first run makes
    require(is_there, f"`out` {out} is not a folder")
    below = [p for pattern in ("*", "*/*") for p in out.glob(pattern)]  # a watched training is where the user says
    folders = sorted(p for p in below if not p.name.startswith("."))
    runs = [p for p in folders if holds_run(p)]
    questions = {name: registry.question(name) for name in registry.names()}
    if json:
        print(files.to_json({"experiments": questions, "runs": [str(r) for r in runs]}, indent=None))
        return
    screen = console.stdout()
    screen.print(console.pairs("Experiments", questions))
    begun = [p for p in folders if (p / "parts").is_dir() and p not in runs]
    lines = {str(path): _headline(path) for path in runs} | {str(path): _unfinished(path) for path in begun}
    if lines:
        screen.print(f"Runs in {out}", style="bold")
        for path, line in lines.items():
            screen.print(path, markup=False, soft_wrap=True)  # in one piece, to be copied
            screen.print(Padding(console.as_text(line), (0, 0, 0, 4)))
    else:
        screen.print(f"No runs in {out}.", markup=False)


def _unfinished(path: Path) -> str:
    """Return that a run was interrupted, and the command that resumes it."""
    from dlhw.runs import store
    from dlhw.runs.flags import option_words
    from dlhw.runs.settings import build, changed

    record = store.begun(path)
    if record is None:
        return "interrupted or running; its command resumes it"
    try:
        settings = build(registry.get(record["experiment"]).settings, record["settings"])
    except (UserError, TypeError, AttributeError) as error:
        return f"interrupted; {path / store.BEGUN}: {error}"
    words = ["dlhw", record["experiment"], *option_words(settings, changed(settings))]
    return f"interrupted or running; {shlex.join(words)} resumes it"


def _headline(path: Path) -> str:
    """Return when and where a run was made, how long it took, and its first finding."""
    from dlhw.present.numbers import format_duration
    from dlhw.runs.run import load

    try:
        run = load(path)
    except UserError as error:
        return str(error)
    is_known = run.environment.get("wall_seconds") is not None  # not of a run that was interrupted and resumed
    took = ("" if is_known else "about ") + format_duration(run.wall_seconds)
    words = [run.environment.get("date"), run.environment["device"], took]
    finding = next(iter(run.summary().sentences), "")
    return f"{', '.join(w for w in words if w)}. {run.definition.spelled(finding)}".strip()


def show(run: RunFolder, json: Json = False, csv: Csv = False) -> None:
    """Settings and numbers of a stored run, or of all runs in a folder."""
    from cli import console
    from dlhw.present.tables import to_csv
    from dlhw.runs import store
    from dlhw.runs.record_file import holds_run, read_record
    from dlhw.runs.run import load
    from dlhw.runs.settings import shown
    from dlhw.storage import files

    if store.begun(run) is not None and not holds_run(run):
        raise UserError(f"{run} is not finished: {_unfinished(run)}")
    paths = store.runs_in(run)
    if json:
        for path in paths:
            load(path)  # refuses what show without `json` refuses
        records = [{"run": str(path), **read_record(path)} for path in paths]
        print(files.to_json(records[0] if paths == [run] else records, indent=None))
        return
    if csv:
        require(
            len(paths) == 1, f"`csv` prints the table of one run, and {run} contains {len(paths)}; name one of them"
        )
        print(to_csv(load(paths[0]).summary()), end="")
        return
    out = console.stdout()
    for path in paths:
        loaded = load(path)
        environment = loaded.environment
        label = loaded.definition.label
        settings = {label(field): shown(loaded.settings, field) for field in dataclasses.fields(loaded.settings)}
        out.print(console.pairs(f"Settings of {path}", settings))
        out.print(console.pairs("Made with", {**environment["versions"], "device": environment["device"]}))
        console.print_summary(out, loaded.summary(), loaded.definition.spelled)


def draw(
    run: RunFolder,
    form: Annotated[
        list[str] | None, typer.Option("--format", help="png, svg or pdf; takes commas.", show_default="png,svg")
    ] = None,
    dpi: Annotated[int, typer.Option("--dpi", help="Resolution of PNG.")] = 130,
    style: Annotated[
        str, typer.Option("--style", help="paper, or slides: larger text and lines, in files NAME-slides.")
    ] = "paper",
    animate: Annotated[bool, typer.Option("--animate", help="Also write the GIF of runs that have one.")] = False,
) -> None:
    """Draw the figures of a stored run, or of all runs in a folder, again; without training and without TensorFlow."""
    from dlhw.present import render
    from dlhw.present import style as styles
    from dlhw.runs import store

    forms = options.split_commas(form or ["png,svg"])
    wrong = [f for f in forms if f not in render.FORMS]
    valid = bool(forms) and not wrong
    require(valid, f"`format` {','.join(wrong)!r} is unknown; use {', '.join(render.FORMS)}")
    require(10 <= dpi <= 2000, f"`dpi` {dpi} must lie in 10..2000")
    suffix = "" if style == "paper" else f"-{style}"
    with styles.use_scale(style):
        for path in store.runs_in(run):
            for written in _draw(path, forms, dpi, suffix, animate, required=path == run):
                print(written)


def _draw(path: Path, forms: list[str], dpi: int, suffix: str, animate: bool, *, required: bool) -> list[Path]:
    """Draw one run; required: whether it must have an animation if one is asked for."""
    from dlhw.runs import store
    from dlhw.runs.run import load

    with store.locked(path):
        store.complete(path)
        run = load(path)
        paths = run.draw(path, forms=forms, dpi=dpi, suffix=suffix)
        if animate and not required and not run.animated:
            print(f"dlhw: {path} has nothing to animate", file=sys.stderr)
        elif animate:
            paths.append(run.write_animation(path))
    return paths
