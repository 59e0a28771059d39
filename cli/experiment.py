"""The command of an experiment: made from its Settings, loaded only when it is named."""

from __future__ import annotations

import gc
import re
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
    from dlhw import experiments, store
    from dlhw.context import Context, FolderParts

    require(runtime.jobs >= 1, f"--jobs {runtime.jobs} must be at least 1")
    path = store.folder(runtime.out, name, settings)
    store.check_free(path, settings, runtime.overwrite)
    data_dir = Path(runtime.data_dir) if runtime.data_dir else None
    experiments.check_data(settings, data_dir)
    with console.silent_start():
        from dlhw.training import distribution
    distribution.resolve(runtime.device)
    gc.freeze()  # what the imports made
    gc.enable()
    talk = not (runtime.quiet or runtime.json)
    with store.locked(path), console.progress(talk) as report:
        parts = FolderParts(path / "parts", experiments.tag(name, settings, runtime.device))
        context = Context(report, parts, runtime.device, runtime.jobs, data_dir)
        run = experiments.execute(name, settings, context)
        run.write(path)
    summary = run.summary()
    if runtime.json:
        print(store.to_json({"run": str(path), "experiment": name, "numbers": summary.numbers}, indent=None))
    elif talk:
        out = console.stdout()
        console.print_summary(out, summary)
        out.print(f"Figures and numbers: {path}", markup=False, soft_wrap=True)
