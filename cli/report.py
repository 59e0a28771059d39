"""`dlhw report` and `dlhw compare`: what is made of several runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cli import experiment, options
from cli.options import Json, Output
from dlhw.errors import UserError, require
from dlhw.runs.context import Context


def report(
    preset: Annotated[
        Literal["quick", "full"] | None,
        typer.Option(
            help="quick: reduced settings, about a minute, no download; full: the settings of the course "
            "assignment's report, an hour or more.",
            show_default="quick",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            help="Experiments to train or to use; takes commas and may be repeated.",
            show_default="all",
        ),
    ] = None,
    from_runs: Annotated[
        list[str] | None,
        typer.Option(
            "--from-runs",
            help="Build the report from the runs stored in these folders, without training; takes commas and may be "
            "repeated.",
        ),
    ] = None,
    data: Annotated[
        str, typer.Option("--data", help="Image data set to use instead of that of the preset, such as mnist.")
    ] = "",
    data_dir: options.DataDir = "",
    out: Annotated[
        Path, typer.Option("--out", help="Folder of all runs; the report goes into its folder report.")
    ] = Path("artifacts"),
    jobs: Annotated[int, typer.Option("--jobs", help="Number of trainings run in parallel; 0: one per core.")] = 0,
    device: Annotated[
        Literal["auto", "cpu", "gpu"], typer.Option("--device", help="auto uses GPUs if there are any.")
    ] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Leave out what the report contained before.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    json: Json = False,
) -> None:
    """Every experiment on one page: run what is missing, then write report.html, report.md and report.json.

    A preset adds to the report that stands; --only limits what is trained, and other sections stay.
    """
    from dlhw import files
    from dlhw import report as library
    from dlhw.present.numbers import format_duration

    together = "`preset` trains, and `from_runs` uses stored runs; give only one of them"
    require(preset is None or not from_runs, together)
    require(jobs >= 0, f"`jobs` {jobs} must be positive, or 0 for one per core")
    output = Output(out, quiet=quiet, json=json)

    def finished(k: int, total: int, name: str, seconds: float | None, remaining: float) -> None:
        if output.talks:
            took = "stored" if seconds is None else format_duration(seconds)
            more = f"; about {format_duration(remaining)} left" if remaining >= 1 else ""
            print(f"{k} of {total}: {name} ({took}){more}", flush=True)

    contents, paths = library.build(
        out,
        preset=preset or "quick",
        from_runs=[Path(folder) for folder in options.split_commas(from_runs or [])],
        only=options.split_commas(only or []),
        data=data,
        overwrite=overwrite,
        context=Context(device=device, jobs=jobs or None, data_dir=Path(data_dir) if data_dir else None),
        run_experiment=lambda name, settings, context, _: experiment.run(name, settings, context, output),
        finished=finished,
    )
    if json:
        print(files.to_json({"report": str(paths[0]), **library.as_json(contents, paths[0].parent)}, indent=None))
    elif output.talks:
        print(paths[0])


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="Folders of runs of one experiment.")],
    out: Annotated[
        Path, typer.Option("--out", help="Folder of all runs; the figure goes into its folder compare.")
    ] = Path("artifacts"),
    json: Json = False,
) -> None:
    """Compare runs of one experiment: one figure, and a table of what differs."""
    from cli import console
    from dlhw import files
    from dlhw import report as library
    from dlhw.present import render, style
    from dlhw.runs.run import load

    loaded = [load(path) for path in runs]
    with style.house_style():
        figure, summary = library.compare(loaded, _distinct_names(runs))
    folder = out / "compare"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths = render.save({loaded[0].experiment: figure}, folder)
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}); choose another `out`") from None
    if json:
        rows = {row[0]: dict(zip(summary.columns[1:], row[1:], strict=True)) for row in summary.rows}
        print(files.to_json({"figures": [str(p) for p in paths], "differences": rows}, indent=None))
        return
    console.print_summary(console.stdout(), summary)
    print(paths[0])


def _distinct_names(runs: list[Path]) -> list[str]:
    """Return short names of run folders that tell them apart."""
    names = [path.name or str(path) for path in runs]
    if len(set(names)) < len(names):
        names = [str(path) for path in runs]
    if len(set(names)) < len(names):
        names = [f"{k}: {name}" for k, name in enumerate(names, start=1)]
    return names
