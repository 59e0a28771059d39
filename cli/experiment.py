"""The command of an experiment: made from its Settings, loaded only when it is named."""

from __future__ import annotations

import gc
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from cli import options
from cli.options import Output
from dlhw.runs import experiment as registry
from dlhw.runs.context import Context, ProgressReport
from dlhw.runs.flags import option_words
from dlhw.runs.settings import build, dataset_defaults, notation_of

if TYPE_CHECKING:
    from dlhw.runs.runner import Outcome


ALL_DIVERGED = 3
"""Exit status of a run whose trainings all diverged."""


def command(name: str, whole: bool) -> Any:
    """Return the click command of an experiment; without `whole` only what a listing needs, and nothing is imported."""
    app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
    context_settings = {"help_option_names": ["-h", "--help"]}
    question, epilog = registry.question(name), ""
    if whole:
        experiment = registry.get(name)

        def call(values: dict[str, Any], context: Context, output: Output) -> None:
            _run(name, build(experiment.settings, values), context, output)

        # Typer keeps the line breaks of a docstring, which are those of a source file, not of a terminal.
        doc = re.sub(r"(?<!\n)\n(?!\n)", " ", experiment.description)
        function = options.command(experiment.settings, call, doc)
        epilog = "\n".join(notation_of(experiment.settings))
    else:

        def function() -> None: ...

    app.command(
        name, help=function.__doc__, short_help=question, epilog=epilog or None, context_settings=context_settings
    )(function)
    click_command = typer.main.get_command(app)
    click_command.rich_help_panel = "Experiments"  # type: ignore[attr-defined]
    click_command.short_help = question
    return click_command


def _run(name: str, settings: Any, context: Context, output: Output) -> None:
    from cli import console
    from dlhw.storage import files

    outcome = run(name, settings, context, output)
    if outcome.run is None or outcome.note:
        if output.talks:
            print(outcome.note)
        return
    summary = outcome.run.summary()
    if output.json:
        record = {"run": str(outcome.path), "experiment": name, "stored": outcome.stored, "numbers": summary.numbers}
        print(files.to_json(record, indent=None))
    elif output.talks:
        out = console.stdout()
        console.print_summary(out, summary)
        if used := _defaults_of_the_data(settings):
            out.print(used, markup=False)
        out.print(f"Figures and numbers: {outcome.path}", markup=False, soft_wrap=True)
        if outcome.stored:
            out.print("stored; --overwrite trains again", markup=False)
    if outcome.run.all_diverged:
        console.print_error(f"every training of {name} diverged")
        raise typer.Exit(ALL_DIVERGED)


def _defaults_of_the_data(settings: Any) -> str:
    """Return the settings that have another default for this data set, and have it."""
    data = getattr(settings, "data", "")
    defaults = dataset_defaults(type(settings), data)
    used = [name for name, value in defaults.items() if getattr(settings, name) == value]
    return f"Defaults for {data}: {shlex.join(option_words(settings, used))}" if used else ""


def run(name: str, settings: Any, context: Context, output: Output) -> Outcome:
    """Run an experiment in its run folder, with a progress bar where output is wanted."""
    from cli import console
    from dlhw.runs.runner import run_and_store

    @contextmanager
    def loading() -> Iterator[None]:
        with console.silent_start():
            yield
        gc.freeze()  # what the imports made
        gc.enable()

    @contextmanager
    def reporting() -> Iterator[ProgressReport | None]:
        with console.progress(output.talks) as report:
            yield report

    return run_and_store(
        name, settings, context, output.out, output.overwrite, output.name, loading=loading, reporting=reporting
    )
