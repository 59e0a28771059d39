"""`dlhw report` and `dlhw compare`: what is made of several runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cli import experiment, options
from dlhw.errors import UserError, require

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


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
        typer.Option("--from-runs", help="Compose from the runs stored in this folder; nothing is trained."),
    ] = None,
    data: Annotated[
        str, typer.Option("--data", help="Data set of images in place of the preset's, such as mnist.")
    ] = "",
    data_dir: Annotated[str, typer.Option("--data-dir", help="Folder of data sets, read in place.")] = "",
    out: Annotated[
        Path, typer.Option("--out", help="Folder of all runs; the report goes into its folder report.")
    ] = Path("artifacts"),
    jobs: Annotated[int, typer.Option("--jobs", help="Trainings side by side; 0: one a core.")] = 0,
    device: Annotated[Literal["auto", "cpu", "gpu"], typer.Option("--device", help="auto takes GPUs.")] = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    json: Json = False,
) -> None:
    """Every experiment as one page: runs what is missing, then writes report.html, report.md and report.json."""
    from dlhw import cluster, datasets, experiments, store
    from dlhw import report as library

    names = options.split_commas(only or [])
    for name in names:
        experiments.get(name)
    talk = not (quiet or json)
    require(preset is None or from_runs is None, "--preset is of runs to be made, and --from-runs takes those stored")
    preset = preset or "quick"
    folder = out / ("report-quick" if from_runs is None and preset == "quick" else "report")
    if from_runs is not None:
        require(not data, "--data belongs to a preset; --from-runs takes the runs as they are")
        runs = [experiments.load(p) for p in library.stored(from_runs, names)]
        library.check_folder(folder)
        reduced = any(library.is_reduced(run) for run in runs)
    else:
        alone = cluster.found() is None
        require(alone, "report runs on one machine; unset TF_CONFIG, or run the experiments first, then --from-runs")
        require(not data or data in datasets.SETS, f"--data {data!r} is unknown; use {', '.join(datasets.SETS)}")
        require(jobs >= 0, f"--jobs {jobs} must be positive, or 0 for one a core")
        usual = options.Runtime()
        runtime = options.Runtime(out=out, device=device, jobs=jobs or usual.jobs, data_dir=data_dir, quiet=not talk)
        wanted = {
            name: library.settings_of(name, preset, data) for name in library.in_order(names or experiments.names())
        }
        library.check_folder(folder)
        runs = _runs(wanted, runtime, talk)
        reduced = preset == "quick"
    made = library.compose(runs, reduced=reduced)
    paths = library.write(made, folder)
    if json:
        print(store.to_json({"report": str(paths[0]), **library.as_json(made)}, indent=None))
    elif talk:
        print(paths[0])


def _runs(wanted: dict[str, Any], runtime: options.Runtime, talk: bool) -> list[Any]:
    """The stored runs of these settings; those that are missing are made first. All are checked before the first."""
    from dlhw import experiments, store

    found = {}
    for name, settings in wanted.items():
        path = store.folder(runtime.out, name, settings)
        if (path / "run.json").is_file():
            loaded = experiments.load(path)
            require(
                loaded.settings == settings,
                f"{path} holds a run with other settings; move it away, or use another --out",
            )
            found[name] = loaded
        else:
            experiment.check(name, settings, runtime)
    for k, (name, settings) in enumerate(wanted.items(), start=1):
        began = time.perf_counter()
        said = "stored"
        if name not in found:
            run = experiment.train(name, settings, runtime)
            if run is None:
                raise UserError("the report is made by one process; unset TF_CONFIG, or run the experiments first")
            found[name] = run
            said = f"{time.perf_counter() - began:.0f} s"
        if talk:
            print(f"{k} of {len(wanted)}: {name} ({said})", flush=True)
    return [found[name] for name in wanted]


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="Folders of runs of one experiment.")],
    out: Annotated[
        Path, typer.Option("--out", help="Folder of all runs; the figure goes into its folder compare.")
    ] = Path("artifacts"),
    json: Json = False,
) -> None:
    """Runs of one experiment under different settings: one figure, and a table of what differs."""
    from cli import console
    from dlhw import compare as library
    from dlhw import experiments, plot, render, store

    loaded = [experiments.load(path) for path in runs]
    with plot.style():
        names = [path.name or str(path) for path in runs]
        if len(set(names)) < len(names):
            names = [str(path) for path in runs]
        if len(set(names)) < len(names):
            names = [f"{k}: {name}" for k, name in enumerate(names, start=1)]
        figure, summary = library.compare(loaded, names)
    folder = out / "compare"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths = render.save({loaded[0].experiment: figure}, folder)
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}); choose another --out") from None
    if json:
        rows = {row[0]: dict(zip(summary.columns[1:], row[1:], strict=True)) for row in summary.rows}
        print(store.to_json({"figures": [str(p) for p in paths], "differences": rows}, indent=None))
        return
    console.print_summary(console.stdout(), summary)
    print(paths[0])
