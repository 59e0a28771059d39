"""`dlhw report` and `dlhw compare`: what is made of several runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli import experiment, options
from cli.options import Json, Output
from dlhw.errors import UserError, require
from dlhw.runs import experiment as registry
from dlhw.runs.context import Context

if TYPE_CHECKING:
    from dlhw.report.presets import Preset
    from dlhw.runs.run import Run


def report(
    preset: Annotated[
        Literal["quick", "full"] | None,
        typer.Option(
            help="quick: reduced settings, about a minute, no network; full: those of the assignment's report, an "
            "hour or more. [default: quick]"
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Experiments; takes commas and may be repeated. [default: all]")
    ] = None,
    from_runs: Annotated[
        Path | None,
        typer.Option("--from-runs", help="Build the report from the runs stored in this folder, without training."),
    ] = None,
    data: Annotated[
        str, typer.Option("--data", help="Image data set to use instead of that of the preset, such as mnist.")
    ] = "",
    data_dir: options.DataDir = "",
    out: Annotated[
        Path, typer.Option("--out", help="Folder of all runs; the report goes into its folder report.")
    ] = Path("artifacts"),
    jobs: Annotated[int, typer.Option("--jobs", help="Number of trainings run in parallel; 0: one per core.")] = 0,
    device: Annotated[Literal["auto", "cpu", "gpu"], typer.Option("--device", help="auto takes GPUs.")] = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    json: Json = False,
) -> None:
    """Every experiment on one page: run what is missing, then write report.html, report.md and report.json."""
    from dlhw import files
    from dlhw import report as library

    names = options.split_commas(only or [])
    for name in names:
        registry.get(name)
    output = Output(out, quiet=quiet, json=json)
    together = "`preset` trains, and `from_runs` uses stored runs; give only one of them"
    require(preset is None or from_runs is None, together)
    if from_runs is not None:
        runs, reduced, folder = _stored(from_runs, names, data, out), None, out / "report"
    else:
        context = Context(device=device, jobs=jobs or None, data_dir=Path(data_dir) if data_dir else None)
        require(jobs >= 0, f"`jobs` {jobs} must be positive, or 0 for one per core")
        chosen: Preset = preset or "quick"
        folder = out / ("report-quick" if chosen == "quick" else "report")
        runs, reduced = _made(chosen, names, data, context, output, folder), chosen == "quick"
    library.check_folder(folder)
    reduced = any(library.is_reduced(run) for run in runs) if reduced is None else reduced
    contents = library.compose(runs, reduced=reduced)
    paths = library.write(contents, folder)
    if json:
        print(files.to_json({"report": str(paths[0]), **library.as_json(contents)}, indent=None))
    elif output.talks:
        print(paths[0])


def _stored(folder: Path, names: list[str], data: str, out: Path) -> list[Run]:
    """Return the runs stored in a folder."""
    from dlhw import report as library
    from dlhw.runs.run import load

    require(not data, "`data` applies to a preset; `from_runs` uses the runs as stored")
    return [load(path) for path in library.stored_runs(folder, names)]


def _made(preset: Preset, names: list[str], data: str, context: Context, output: Output, folder: Path) -> list[Run]:
    """Return the runs of a preset; those that are not stored are made first."""
    from dlhw import datasets
    from dlhw import report as library
    from dlhw.training.distributed import cluster

    is_single = cluster.found() is None
    require(
        is_single, "a report runs on one machine; unset TF_CONFIG, or run the experiments first and use `from_runs`"
    )
    known = not data or data in datasets.DATASETS
    require(known, f"`data` {data!r} is unknown; use {', '.join(datasets.DATASETS)}")
    ordered = library.in_order(names or registry.names())
    wanted = {name: library.preset_settings(name, preset, data) for name in ordered}
    library.check_folder(folder)
    return _runs(wanted, context, output)


def _runs(wanted: dict[str, Any], context: Context, output: Output) -> list[Run]:
    """Return the runs of these settings, stored or new. All are checked before the first is made."""
    from dlhw.runs import runner, store
    from dlhw.runs.run import load

    found = {}
    for name, settings in wanted.items():
        path = store.folder(output.out, name, settings)
        if (path / "run.json").is_file():
            run = load(path)
            other = f"{path} holds a run with other settings; move it away, or use another `out`"
            require(run.settings == settings, other)
            found[name] = run
        else:
            runner.check(name, settings, context, output.out)
    for k, (name, settings) in enumerate(wanted.items(), start=1):
        began, how = time.perf_counter(), "stored"
        if name not in found:
            outcome = experiment.run(name, settings, context, output)
            if outcome.run is None:
                raise UserError("a report is made by one process; unset TF_CONFIG, or run the experiments first")
            found[name] = outcome.run
            how = f"{time.perf_counter() - began:.0f} s"
        if output.talks:
            print(f"{k} of {len(wanted)}: {name} ({how})", flush=True)
    return [found[name] for name in wanted]


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
