"""The commands beside the experiments: design, data, devices, measure, list, show, draw."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.options import Json, Out
from dlhw.errors import UserError, require
from dlhw.runs import experiment as registry
from dlhw.runs.flags import with_flags

Csv = Annotated[bool, typer.Option("--csv", help="Print the table as comma-separated values and nothing else.")]
RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", help="Folder of a run, such as artifacts/simulate/default, or of runs.")
]


def design(
    params: Annotated[int, typer.Option("--params", help="Target number of parameters.")] = 571,
    layers: Annotated[
        list[str] | None, typer.Option("--layers", help="Numbers of weight layers.", show_default="2,5,8")
    ] = None,
    inputs: Annotated[int, typer.Option("--inputs", help="Input size.")] = 1,
    outputs: Annotated[int, typer.Option("--outputs", help="Output size.")] = 1,
    json: Json = False,
) -> None:
    """Hidden widths of nets with equal numbers of parameters, within 0.2 %."""
    from cli import console
    from dlhw import files
    from dlhw.models import architectures
    from dlhw.present.tables import Summary

    counts = [options.element(int, v, "layers") for v in options.split_commas(layers or ["2,5,8"])]
    require(inputs >= 1 and outputs >= 1, f"`inputs` {inputs} and `outputs` {outputs} must be positive")
    designs = [architectures.design(params, n, inputs, outputs) for n in counts]
    if json:
        nets = [
            {"layers": n, "net": d.net, "parameters": d.parameters, "error": d.error}
            for n, d in zip(counts, designs, strict=True)
        ]
        print(files.to_json({"params": params, "nets": nets}, indent=None))
        return
    rows = tuple((str(n), d.net, str(d.parameters), f"{d.error:+.2%}") for n, d in zip(counts, designs, strict=True))
    out = console.stdout()
    columns = ("layers", "net", "parameters", "off by")
    console.print_summary(out, Summary(f"Nets of about {params} parameters", columns, rows))
    if inputs == outputs == 1:
        out.print(f"dlhw simulate --models {','.join(d.net for d in designs)}", markup=False, soft_wrap=True)


def data(data_dir: options.DataDir = "", json: Json = False) -> None:
    """The data sets: sizes, where they were found, and whether they are complete and correct."""
    from cli import console
    from dlhw import datasets, files
    from dlhw.present.tables import Summary

    states = {name: datasets.status(name, data_dir or None) for name in datasets.DATASETS}
    if json:
        sets = {n: {"place": p, "status": v, "size": datasets.DATASETS[n].text} for n, (p, v) in states.items()}
        print(files.to_json(sets, indent=None))
        return
    rows = tuple((n, datasets.DATASETS[n].text, place, verdict) for n, (place, verdict) in states.items())
    columns = ("data set", "images, train + test", "found in", "status")
    console.print_summary(console.stdout(), Summary("Data sets", columns, rows))


def devices(json: Json = False) -> None:
    """The devices that TensorFlow finds, what --strategy auto would use, and why."""
    from cli import console
    from dlhw import files

    with console.silent_start():
        from dlhw.training.distributed.plan import make_plan, seen
    plans = {
        "one training": make_plan(),
        "many trainings": make_plan(trainings=1000),
        "simulate and other small nets": make_plan(splittable=False),
    }
    devices_here = seen()
    if json:
        choices = {name: {"strategy": p.kind, "devices": p.devices, "why": p.why} for name, p in plans.items()}
        print(files.to_json({"devices": devices_here, "auto": choices}, indent=None))
        return
    screen = console.stdout()
    screen.print(console.pairs("Devices", devices_here))
    screen.print(console.pairs("--strategy auto", {name: f"{p.text()}: {p.why}" for name, p in plans.items()}))


def measure(
    model: Annotated[Path, typer.Argument(metavar="MODEL.keras", help="File of a saved Keras model.")],
    data: Annotated[
        str,
        typer.Option("--data", help="Image data set, or an .npz file with arrays x and y, or x_test and y_test."),
    ] = "mnist",
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            help="Instruments: loss, gradient, sensitivity, jacobian, sharpness, hessian; takes commas.",
            show_default="all",
        ),
    ] = None,
    loss: Annotated[
        str,
        typer.Option("--loss", help="Loss by its Keras name; auto: the compiled one, else by the targets."),
    ] = "auto",
    subset: Annotated[int, typer.Option("--subset", help="Most examples that are measured.")] = 2000,
    data_dir: options.DataDir = "",
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Loss, sensitivity, sharpness and curvature of a saved Keras model."""
    from cli import console
    from dlhw import files
    from dlhw.present.tables import to_csv
    from dlhw.runs.measurements import INSTRUMENTS, measure_model
    from dlhw.runs.saved_models import Request

    names = options.split_commas(only or [])
    unknown = [name for name in names if name not in INSTRUMENTS]
    require(not unknown, f"`only` {','.join(unknown)!r} is unknown; use {', '.join(INSTRUMENTS)}")
    require(model.is_file(), f"{model}: there is no such file")
    require(subset >= 1, f"`subset` {subset} must be positive")
    with console.silent_start():
        import dlhw._tf.types  # noqa: F401
    folder = Path(data_dir) if data_dir else None
    summary = measure_model(Request((str(model),), data, loss, subset, folder), names)
    if json:
        refused = [finding.text for finding in summary.findings]
        record = {"model": str(model), "data": data, "numbers": summary.numbers, "refused": refused}
        print(files.to_json(record, indent=None))
    elif csv:
        print(to_csv(summary), end="")
    else:
        console.print_summary(console.stdout(), summary)


def list_runs(out: Out = Path("artifacts"), json: Json = False) -> None:
    """The experiments, and the runs stored under --out."""
    from cli import console
    from dlhw import files

    runs = sorted(p.parent for p in out.glob("*/*/run.json"))
    questions = {name: registry.question(name) for name in registry.names()}
    if json:
        print(files.to_json({"experiments": questions, "runs": [str(r) for r in runs]}, indent=None))
        return
    screen = console.stdout()
    screen.print(console.pairs("Experiments", questions))
    if runs:
        screen.print(console.pairs(f"Runs in {out}", {str(r): _headline(r) for r in runs}))
    else:
        screen.print(f"No runs in {out}.", markup=False)


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
    return f"{', '.join(w for w in words if w)}. {with_flags(finding)}".strip()


def show(run: RunFolder, json: Json = False, csv: Csv = False) -> None:
    """Settings and numbers of a stored run, or of all runs in a folder."""
    from cli import console
    from dlhw import files
    from dlhw.present.tables import to_csv
    from dlhw.runs import store
    from dlhw.runs.run import load

    paths = store.runs_in(run)
    if json:
        records = [{"run": str(path), **store.read_json(path)} for path in paths]
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
        loaded, record = load(path), store.read_json(path)
        environment = record["environment"]
        out.print(console.pairs(f"Settings of {path}", record["settings"]))
        out.print(console.pairs("Made with", {**environment["versions"], "device": environment["device"]}))
        console.print_summary(out, loaded.summary())


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
    from dlhw import files
    from dlhw.runs import store
    from dlhw.runs.run import load

    run = load(path)
    with store.locked(path):
        try:
            paths = run.draw(path, forms=forms, dpi=dpi, suffix=suffix)
            if animate and not required and not run.animated:
                print(f"dlhw: {path} has nothing to animate", file=sys.stderr)
            elif animate:
                paths.append(path / f"{run.experiment}.gif")
                files.write_bytes(paths[-1], run.animation())
        except OSError as error:
            raise UserError(f"{path} cannot be written ({error.strerror})") from None
    return paths
