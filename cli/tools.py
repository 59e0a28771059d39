"""The commands beside the experiments that read no run: design, data, devices, measure."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.options import Csv, Json
from dlhw.errors import require
from dlhw.runs.flags import with_flags


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
    from dlhw.models import architectures
    from dlhw.present.tables import Summary
    from dlhw.storage import files

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
    notes = tuple(f"{d.net}: {architectures.describe(d.net)}" for d in designs)
    console.print_summary(out, Summary(f"Nets of about {params} parameters", columns, rows, notes=notes))
    if inputs == outputs == 1:
        out.print(f"dlhw simulate --models {','.join(d.net for d in designs)}", markup=False, soft_wrap=True)


def data(data_dir: options.DataDir = "", json: Json = False) -> None:
    """The data sets: sizes, where they were found, and whether they are complete and correct."""
    from cli import console
    from dlhw import datasets
    from dlhw.present.tables import Summary
    from dlhw.storage import files

    require(not data_dir or Path(data_dir).is_dir(), f"`data_dir` {data_dir} is not a folder")
    states = {name: datasets.status(name, data_dir or None) for name in datasets.DATASETS}
    if json:
        sets = {n: {"place": p, "status": v, "size": datasets.DATASETS[n].text} for n, (p, v) in states.items()}
        print(files.to_json(sets, indent=None))
        return
    rows = tuple((n, datasets.DATASETS[n].text, place, with_flags(verdict)) for n, (place, verdict) in states.items())
    columns = ("data set", "images, train + test", "found in", "status")
    console.print_summary(console.stdout(), Summary("Data sets", columns, rows))


def devices(json: Json = False) -> None:
    """The devices that TensorFlow finds, what --strategy auto would use, and why."""
    from cli import console
    from dlhw.storage import files

    with console.silent_start():
        from dlhw.models.forward import auto_layouts
        from dlhw.training.distributed.plan import make_plan, seen
    plans = {
        "one training": make_plan(),
        "many trainings": make_plan(trainings=1000),
        "simulate and other small nets": make_plan(splittable=False),
    }
    devices_here = seen()
    layouts = auto_layouts()
    if json:
        choices = {name: {"strategy": p.kind, "devices": p.devices, "why": p.why} for name, p in plans.items()}
        print(files.to_json({"devices": devices_here, "auto": choices, "layouts": layouts}, indent=None))
        return
    screen = console.stdout()
    screen.print(console.pairs("Devices", devices_here))
    screen.print(console.pairs("--strategy auto", {name: f"{p.text()}: {p.why}" for name, p in plans.items()}))
    screen.print(console.pairs("--layout auto, for nets of convolutions and max-pools", layouts))


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
    from dlhw.present.tables import to_csv
    from dlhw.runs.measurements import check_instruments, measure_model
    from dlhw.runs.saved_models import Request
    from dlhw.storage import files

    names = options.split_commas(only or [])
    check_instruments(names)
    require(model.is_file(), f"{model}: there is no such file")
    require(subset >= 1, f"`subset` {subset} must be positive")
    with console.silent_start():
        import dlhw._tf.types  # noqa: F401
    folder = Path(data_dir) if data_dir else None
    summary = measure_model(Request((str(model),), data, loss, subset, folder), names, sys.stderr.isatty())
    if json:
        refused = [finding.text for finding in summary.findings]
        record = {"model": str(model), "data": data, "numbers": summary.numbers, "refused": refused}
        print(files.to_json(record, indent=None))
    elif csv:
        print(to_csv(summary), end="")
    else:
        console.print_summary(console.stdout(), summary)
