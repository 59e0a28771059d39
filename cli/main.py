"""dlhw: a subcommand for each experiment, and a few that read what experiments left."""

from __future__ import annotations

import difflib
import gc
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import dlhw
from cli import experiment, options, report
from dlhw.errors import RunError, UserError, require


class _Group(TyperGroup):
    """Experiments are found in their folder and loaded only when named; errors are one line."""

    def list_commands(self, ctx: Any) -> list[str]:
        from dlhw import experiments

        return [*experiments.names(), *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        from dlhw import experiments

        listed = cmd_name in experiments.names()
        return experiment.command(cmd_name, whole=False) if listed else super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        from dlhw import experiments

        if args[0] in experiments.names():
            return args[0], experiment.command(args[0], whole=True), args[1:]
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], known)
            hint = f"did you mean {' or '.join(near)}?" if near else f"use {', '.join(known)}"
            raise UserError(f"no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def main(  # type: ignore[override]
        self, args: Any = None, prog_name: str | None = None, standalone_mode: bool = True, **extra: Any
    ) -> Any:
        if not standalone_mode:
            return super().main(args, prog_name, standalone_mode=False, **extra)
        # Imports make half a million objects that live to the end. The collector would walk through them again and
        # again, for a tenth of the time to start; an experiment turns it on once they are made.
        collecting = gc.isenabled()
        gc.disable()
        try:
            status = super().main(args, prog_name, standalone_mode=False, **extra) or 0
            if status == 130:  # Typer turns Ctrl-C into this status, without a word
                raise KeyboardInterrupt
            sys.exit(status)
        except UserError as error:
            _fail(str(error))
        except RunError as error:
            _fail(str(error), status=1)
        except (KeyboardInterrupt, typer.Abort):
            _fail("interrupted; what had ended is kept, and the same command goes on from there", status=130)
        except BrokenPipeError:
            sys.stderr.close()
            sys.exit(1)
        except Exception as error:
            if not hasattr(error, "format_message"):  # a usage error of the parser, whichever click Typer carries
                raise
            if type(error).__name__ == "NoArgsIsHelpError":
                sys.exit(2)
            _fail(" ".join(error.format_message().split()))
        finally:
            if collecting:
                gc.freeze()  # nor need it walk through them as the process ends
                gc.enable()


def _fail(message: str, status: int = 2) -> None:
    print(f"dlhw: {message}", file=sys.stderr)
    sys.exit(status)


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="How deep networks learn, measured: the classic experiments, one command each.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
Out = Annotated[Path, typer.Option("--out", help="Folder of all runs.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", help="Folder of a run, such as artifacts/simulate/default, or of runs.")
]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"dlhw {dlhw.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


@app.command(name="design", rich_help_panel="Tools")
def _design(
    params: Annotated[int, typer.Option("--params", help="Number of parameters to come close to.")] = 571,
    layers: Annotated[
        list[str] | None, typer.Option("--layers", help="Numbers of weight layers. [default: 2,5,8]")
    ] = None,
    inputs: Annotated[int, typer.Option("--inputs", help="Input size.")] = 1,
    outputs: Annotated[int, typer.Option("--outputs", help="Output size.")] = 1,
    json: Json = False,
) -> None:
    """Hidden widths of nets with equal numbers of parameters, within 0.2 %."""
    from cli import console
    from dlhw import store
    from dlhw.architectures import design
    from dlhw.summary import Summary

    counts = [options.element(int, v, "layers") for v in options.split_commas(layers or ["2,5,8"])]
    require(inputs >= 1 and outputs >= 1, f"--inputs {inputs} and --outputs {outputs} must be positive")
    found = [design(params, n, inputs, outputs) for n in counts]
    if json:
        nets = [
            {"layers": n, "net": d.net, "parameters": d.parameters, "error": d.error}
            for n, d in zip(counts, found, strict=True)
        ]
        print(store.to_json({"params": params, "nets": nets}, indent=None))
        return
    rows = tuple((str(n), d.net, str(d.parameters), f"{d.error:+.2%}") for n, d in zip(counts, found, strict=True))
    out = console.stdout()
    columns = ("layers", "net", "parameters", "off by")
    out.print(console.table(Summary(f"Nets of about {params} parameters", columns, rows, ())))
    if inputs == outputs == 1:
        out.print(f"dlhw simulate --models {','.join(d.net for d in found)}", markup=False, soft_wrap=True)


@app.command(name="data", rich_help_panel="Tools")
def _data(
    data_dir: Annotated[str, typer.Option("--data-dir", help="Folder of data sets, read in place.")] = "",
    json: Json = False,
) -> None:
    """The data sets: sizes, where they were found, and whether they are what they say."""
    from cli import console
    from dlhw import datasets, store
    from dlhw.summary import Summary

    found = {name: datasets.status(name, data_dir or None) for name in datasets.SETS}
    if json:
        sets = {n: {"place": p, "status": v, "size": datasets.SETS[n].text} for n, (p, v) in found.items()}
        print(store.to_json(sets, indent=None))
        return
    rows = tuple((n, datasets.SETS[n].text, place, verdict) for n, (place, verdict) in found.items())
    columns = ("data set", "images, train + test", "found in", "status")
    console.stdout().print(console.table(Summary("Data sets", columns, rows, ())))


@app.command(name="devices", rich_help_panel="Tools")
def _devices(json: Json = False) -> None:
    """What TensorFlow sees here, what --strategy auto would choose, and why."""
    from cli import console
    from dlhw import store
    from dlhw.context import Context

    with console.silent_start():
        from dlhw.training import distribution
    one, many = (distribution.plan(Context(), trainings=n) for n in (1, 1000))
    small = distribution.plan(Context(), together=False)
    choices = {"one training": one, "many trainings": many, "simulate and other small nets": small}
    seen = distribution.seen()
    if json:
        plans = {name: {"strategy": p.kind, "devices": p.devices, "why": p.why} for name, p in choices.items()}
        print(store.to_json({"devices": seen, "auto": plans}, indent=None))
        return
    screen = console.stdout()
    screen.print(console.pairs("Devices", seen))
    screen.print(console.pairs("--strategy auto", {n: f"{p.text()}: {p.why}" for n, p in choices.items()}))


@app.command(name="list", rich_help_panel="Tools")
def _list(out: Out = Path("artifacts"), json: Json = False) -> None:
    """The experiments, and the runs stored under --out."""
    from cli import console
    from dlhw import experiments, store

    runs = sorted(p.parent for p in out.glob("*/*/run.json"))
    if json:
        known = {n: experiments.question(n) for n in experiments.names()}
        print(store.to_json({"experiments": known, "runs": [str(r) for r in runs]}, indent=None))
        return
    screen = console.stdout()
    screen.print(console.pairs("Experiments", {n: experiments.question(n) for n in experiments.names()}))
    if runs:
        screen.print(console.pairs(f"Runs in {out}", {str(r): _made(r) for r in runs}))
    else:
        screen.print(f"No runs in {out}.", markup=False)


def _made(run: Path) -> str:
    """Where a run was made, and how long it took."""
    from dlhw import experiments

    try:
        loaded = experiments.load(run)
    except UserError as error:
        return str(error)
    known = loaded.environment.get("wall_seconds") is not None  # not of a run that was broken off and taken up
    return f"{loaded.environment['device']}, {'' if known else 'about '}{loaded.wall_seconds:.0f} s"


@app.command(name="show", rich_help_panel="Tools")
def _show(run: RunFolder, json: Json = False) -> None:
    """Settings and numbers of a stored run, or of all runs in a folder."""
    from cli import console
    from dlhw import experiments, store

    runs = store.runs_in(run)
    if json:
        records = [{"run": str(path), **store.read_json(path)} for path in runs]
        print(store.to_json(records[0] if runs == [run] else records, indent=None))
        return
    out = console.stdout()
    for path in runs:
        loaded = experiments.load(path)
        record = store.read_json(path)
        environment = record["environment"]
        out.print(console.pairs(f"Settings of {path}", record["settings"]))
        out.print(console.pairs("Made with", {**environment["versions"], "device": environment["device"]}))
        console.print_summary(out, loaded.summary())


@app.command(name="draw", rich_help_panel="Tools")
def _draw(
    run: RunFolder,
    form: Annotated[
        list[str] | None, typer.Option("--format", help="png, svg or pdf; takes commas. [default: png,svg]")
    ] = None,
    dpi: Annotated[int, typer.Option("--dpi", help="Resolution of PNG.")] = 130,
    style: Annotated[
        str, typer.Option("--style", help="paper, or slides: larger text and lines, in files NAME-slides.")
    ] = "paper",
    animate: Annotated[bool, typer.Option("--animate", help="Write the GIF too, of runs that have one.")] = False,
) -> None:
    """The figures of a stored run, or of all runs in a folder, again; without training and without TensorFlow."""
    from dlhw import experiments, plot, render, store

    forms = options.split_commas(form or ["png,svg"])
    wrong = [f for f in forms if f not in render.FORMS]
    require(bool(forms) and not wrong, f"--format {','.join(wrong)!r} is unknown; use {', '.join(render.FORMS)}")
    require(10 <= dpi <= 2000, f"--dpi {dpi} must lie in 10..2000")
    with plot.styled(style):
        for path in store.runs_in(run):
            loaded = experiments.load(path)
            with store.locked(path):
                try:
                    paths = loaded.draw(path, forms=forms, dpi=dpi, suffix="" if style == "paper" else f"-{style}")
                    if animate and path != run and not loaded.animated:
                        print(f"dlhw: {path} has nothing to animate", file=sys.stderr)
                    elif animate:
                        paths.append(path / f"{loaded.experiment}.gif")
                        store.write_bytes(paths[-1], loaded.animation())
                except OSError as error:
                    raise UserError(f"{path} cannot be written ({error.strerror})") from None
            for written in paths:
                print(written)


app.command(name="report", rich_help_panel="Tools")(report.report)
app.command(name="compare", rich_help_panel="Tools")(report.compare)
