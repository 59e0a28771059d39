"""The command of an experiment: made from its Settings, loaded only when it is named."""

from __future__ import annotations

import gc
import re
import tempfile
from contextlib import nullcontext
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer

from cli import options
from dlhw.errors import require


def command(name: str, whole: bool) -> Any:
    """The click command of an experiment; without `whole` only what a listing needs, and nothing is imported."""
    from dlhw import experiments

    one = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
    settings = {"help_option_names": ["-h", "--help"]}
    question = experiments.question(name)
    if whole:
        module = experiments.get(name)

        def call(values: dict[str, Any], runtime: options.Runtime) -> None:
            _run(name, module.Settings(**values), runtime)

        # Typer keeps the line breaks of a docstring, which are those of a source file, not of a terminal.
        doc = re.sub(r"(?<!\n)\n(?!\n)", " ", module.__doc__ or question)
        function = options.command(module.Settings, call, doc)
    else:

        def function() -> None: ...

    one.command(name, help=function.__doc__, short_help=question, context_settings=settings)(function)
    made = typer.main.get_command(one)
    made.rich_help_panel = "Experiments"  # type: ignore[attr-defined]
    made.short_help = question
    return made


def _run(name: str, settings: Any, runtime: options.Runtime) -> None:
    from cli import console
    from dlhw import store

    talk = not (runtime.quiet or runtime.json)
    run = train(name, settings, runtime)
    if run is None:
        return
    path = store.folder(runtime.out, name, settings)
    summary = run.summary()
    if runtime.json:
        print(store.to_json({"run": str(path), "experiment": name, "numbers": summary.numbers}, indent=None))
    elif talk:
        out = console.stdout()
        console.print_summary(out, summary)
        out.print(f"Figures and numbers: {path}", markup=False, soft_wrap=True)


def check(name: str, settings: Any, runtime: options.Runtime) -> None:
    """Refuse what can be refused before TensorFlow is imported."""
    from dlhw import cluster, experiments, store

    require(runtime.jobs >= 1, f"--jobs {runtime.jobs} must be at least 1")
    if runtime.animate:
        experiments.check_animation(name, settings)
    group = cluster.found()  # a malformed TF_CONFIG is told before TensorFlow reads it
    if runtime.scheduler:
        _check_scheduler(runtime, experiments.on_images(settings))
    if group is None or group.chief:  # the others write nothing
        _check_folder(runtime.tensorboard)
        store.check_free(store.folder(runtime.out, name, settings), settings, runtime.overwrite)
    experiments.check_data(settings, runtime.context().data_dir)


def train(name: str, settings: Any, runtime: options.Runtime) -> Any:
    """Run the experiment and store it; None on a worker that is not the chief."""
    from cli import console
    from dlhw import experiments, store
    from dlhw.context import FolderParts

    check(name, settings, runtime)
    images = experiments.on_images(settings)
    path = store.folder(runtime.out, name, settings)
    with console.silent_start():
        from dlhw.training import distribution
    plan = distribution.plan(runtime.context(), together=images)
    talk = not (runtime.quiet or runtime.json)
    if not plan.chief and not plan.together:
        if talk:
            print(f"worker {plan.index} of {plan.workers} has nothing to do: the chief runs {name} ({plan.why})")
        return None
    if plan.kind == "multi-worker":
        with console.silent_start():
            distribution.strategy(plan)  # joins the others, before TensorFlow computes anything
    experiments.check_inputs(name, settings, runtime.context())
    gc.freeze()  # what the imports made
    gc.enable()
    with store.locked(path) if plan.chief else nullcontext(), console.progress(talk and plan.chief) as report:
        tag = experiments.tag(name, settings, runtime.device, runtime.strategy, runtime.xla)
        parts = FolderParts(path / "parts", tag) if plan.chief else None
        context = runtime.context(report, parts)
        if context.tensorboard is not None:
            context = replace(context, tensorboard=context.tensorboard / name / path.name)
        run = experiments.execute(name, settings, context)
        if plan.chief:
            run.write(path)
            if runtime.animate:
                store.write_bytes(path / f"{name}.gif", run.animation())
            return run
    if talk:
        print(f"worker {plan.index} of {plan.workers} is done; the chief writes the run")
    return None


def _check_folder(tensorboard: str) -> None:
    """Refuse a --tensorboard that cannot be made."""
    if not tensorboard:
        return
    installed = find_spec("tensorboard") is not None
    require(installed, '--tensorboard needs the package of that name: pip install "dlhw[tensorboard]"')
    path = Path(tensorboard)
    above = next(p for p in (path, *path.absolute().parents) if p.exists())
    try:
        Path(tempfile.mkdtemp(dir=above)).rmdir()
    except OSError:
        require(False, f"--tensorboard: {tensorboard} cannot be written; choose another place")


def _check_scheduler(runtime: options.Runtime, images: bool) -> None:
    from dlhw.experiments import _dask

    require(not runtime.tensorboard, "--tensorboard: other machines write no events here; leave out --scheduler or it")
    require(images, "--scheduler: small nets train as stacks on this machine; leave it out")
    require(runtime.strategy in ("auto", "none"), f"--scheduler and --strategy {runtime.strategy}: choose one of them")
    _dask.connect(runtime.scheduler).close()
