"""`dlhw report`: every experiment on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from cli import experiment, options
from cli.options import Json, Output
from dlhw.choices import Device
from dlhw.errors import require
from dlhw.runs.context import Context
from dlhw.runs.settings import check_choice

Preset = Literal["quick", "full"]
PresetOption = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="<quick|full>",
        help="quick: reduced settings, about a minute, no download; full: the settings of the course assignment's "
        "report, an hour or more.",
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
    jobs: Jobs = 0,
    device: DeviceOption = "auto",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Every experiment on one page: run what is missing, then write report.html, report.md and report.json.

    A preset adds to the report that stands; --only limits what is trained, and other sections stay.
    """
    from cli import console
    from dlhw import report as library
    from dlhw.present.numbers import format_duration
    from dlhw.storage import files

    together = "`preset` trains, and `from_runs` uses stored runs; give only one of them"
    require(preset is None or not from_runs, together)
    preset = "quick" if preset is None else preset
    check_choice("preset", preset, Preset)
    require(jobs >= 0, f"`jobs` {jobs} must be positive, or 0 for one per core")
    output = Output(out, quiet=quiet, json=json)

    def finished(k: int, total: int, name: str, seconds: float | None, remaining: float) -> None:
        if output.talks:
            took = "stored" if seconds is None else format_duration(seconds)
            more = f"; about {format_duration(remaining)} left" if remaining >= 1 else ""
            print(f"{k} of {total}: {name} ({took}){more}", flush=True)

    contents, paths = library.build(
        out,
        preset=cast(Preset, preset),
        from_runs=[Path(folder) for folder in options.split_commas(from_runs or [])],
        only=options.split_commas(only or []),
        data=data,
        overwrite=overwrite,
        context=Context(device=cast(Device, device), jobs=jobs or None, data_dir=Path(data_dir) if data_dir else None),
        run_experiment=lambda name, settings, context, _: experiment.run(name, settings, context, output),
        finished=finished,
    )
    if json:
        print(files.to_json({"report": str(paths[0]), **library.as_json(contents, paths[0].parent)}, indent=None))
    elif output.talks:
        print(paths[0])
    if diverged := [section.name for section in contents.sections if section.all_diverged]:
        console.print_error(f"every training of {', '.join(diverged)} diverged")
        raise typer.Exit(experiment.ALL_DIVERGED)
