"""`dlhw report`: every experiment on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from cli import experiment, options
from cli.options import Json, Output
from dlhw.choices import Device, Preset
from dlhw.errors import require
from dlhw.runs.context import Context
from dlhw.runs.settings import check_choice

PresetOption = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="<quick|full|complete>",
        help="quick: reduced settings, about a minute, no download; full: the settings of the course assignment's "
        "report, an hour or more; complete: also what the assignment gives extra credit for.",
        show_default="quick",
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only", help="Experiments to train or to use; takes commas and may be repeated.", show_default="all"
    ),
]
FromRuns = Annotated[
    list[str] | None,
    typer.Option(
        "--from-runs",
        help="Build the report from the runs stored in these folders, without training; takes commas and may be "
        "repeated.",
    ),
]
Data = Annotated[
    str, typer.Option("--data", help="Image data set to use instead of that of the preset, such as mnist.")
]
ReportOut = Annotated[
    Path, typer.Option("--out", help="Folder of all runs; the report goes into report-quick or report in it.")
]
Title = Annotated[str | None, typer.Option("--title", help="Title of the report.", show_default="that it has")]
Author = Annotated[str | None, typer.Option("--author", help="Who makes the report.", show_default="that it has")]
Course = Annotated[str | None, typer.Option("--course", help="For which it is made.", show_default="that it has")]
Comments = Annotated[
    Path | None,
    typer.Option(
        "--comments",
        metavar="FILE.md",
        help="Markdown whose headings name sections, by title, experiment, or place such as 1-1 a; the text below a "
        "heading is shown in that section.",
        show_default="those that it has",
    ),
]
Pdf = Annotated[bool, typer.Option("--pdf", help="Also write report.pdf; needs the extra dlhw[pdf].")]
Jobs = Annotated[int, typer.Option("--jobs", help="Number of trainings run in parallel; 0: one per core.")]
DeviceOption = Annotated[
    str, typer.Option("--device", metavar="<auto|cpu|gpu>", help="auto uses GPUs if there are any.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Leave out what the report contained before.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]


def report(
    preset: PresetOption = None,
    only: Only = None,
    from_runs: FromRuns = None,
    data: Data = "",
    data_dir: options.DataDir = "",
    out: ReportOut = Path("artifacts"),
    title: Title = None,
    author: Author = None,
    course: Course = None,
    comments: Comments = None,
    pdf: Pdf = False,
    jobs: Jobs = 0,
    device: DeviceOption = "auto",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Every experiment on one page: run what is missing, then write report.html, report.md and report.json.

    A preset adds to the report that stands; --only limits what is trained, and other sections stay, as do title,
    author, course and comments until they are given again.
    """
    from cli import console
    from dlhw import report as library
    from dlhw.storage import files

    together = "`preset` trains, and `from_runs` uses stored runs; give only one of them"
    require(preset is None or not from_runs, together)
    preset = "quick" if preset is None else preset
    check_choice("preset", preset, Preset)
    require(jobs >= 0, f"`jobs` {jobs} must be positive, or 0 for one per core")
    output = Output(out, quiet=quiet, json=json)

    contents, paths = library.build(
        out,
        preset=cast(Preset, preset),
        from_runs=[Path(folder) for folder in options.split_commas(from_runs or [])],
        only=options.split_commas(only or []),
        data=data,
        title=title,
        author=author,
        course=course,
        comments=comments,
        pdf=pdf,
        overwrite=overwrite,
        context=Context(device=cast(Device, device), jobs=jobs or None, data_dir=Path(data_dir) if data_dir else None),
        run_experiment=lambda name, settings, context, _: experiment.run(name, settings, context, output),
        finished=_print_progress if output.talks else None,
    )
    if json:
        print(files.to_json({"report": str(paths[0]), **library.as_json(contents, paths[0].parent)}, indent=None))
    elif output.talks:
        for line in contents.left_out:
            print(f"left out: {line}")
        print(paths[0])
    if diverged := [section.name for section in contents.sections if section.all_diverged]:
        console.print_error(f"every training of {', '.join(diverged)} diverged")
        raise typer.Exit(experiment.ALL_DIVERGED)


def _print_progress(k: int, total: int, name: str, seconds: float | None, remaining: float) -> None:
    from dlhw.present.numbers import format_duration

    took = "stored" if seconds is None else format_duration(seconds)
    more = f"; about {format_duration(remaining)} left" if remaining >= 1 else ""
    print(f"{k} of {total}: {name} ({took}){more}", flush=True)
