"""Run an experiment: check, lock, resume, compute, store. The command line calls the same functions."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from dlhw.checkpoints import FolderCheckpoints, RunCheckpoints
from dlhw.errors import RunError, UserError, require
from dlhw.runs import experiment as registry
from dlhw.runs import reuse, store
from dlhw.runs.checks import check_context, check_folder, check_inputs, is_chief
from dlhw.runs.context import Context, ProgressReport, Provenance
from dlhw.runs.run import Run, load
from dlhw.runs.settings import build


def run(
    name: str,
    context: Context | None = None,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    run_name: str = "",
    **settings: Any,
) -> Run:
    """Run an experiment.

    Args:
        name: of the experiment, such as "simulate".
        context: where and how to compute.
        out: folder of all runs. The run is stored in out/name/<what differs from the defaults>, locked while it runs,
            and resumed if it was interrupted, exactly as the command does; a finished run with equal settings, versions
            and device is read and not computed again. None: nothing is written.
        overwrite: compute again, and replace what the run folder holds.
        run_name: of the run folder, in place of what differs from the defaults.
        **settings: fields of the experiment's Settings.

    Returns:
        The finished run.

    Raises:
        UserError: for unknown names, invalid settings, a context or inputs that do not fit the experiment, a run folder
            that cannot be used, and with `out` on a worker that has nothing to do, because the chief runs alone.
        RunError: if another machine was lost.

    Example:
        >>> import dlhw
        >>> run = dlhw.run("simulate", models=("2",), epochs=3, points=5, seeds=1)
        >>> run.result.loss.shape  # nets, seeds, epochs + 1
        (1, 1, 4)
    """
    experiment = registry.get(name)
    chosen, context = build(experiment.settings, settings), context or Context()
    if out is None:
        require(not context.live, "`live` writes into the run folder; name `out`")
        check_context(name, chosen, context)
        check_inputs(name, chosen, context)
        return execute(name, chosen, context)
    outcome = run_and_store(name, chosen, context, Path(out), overwrite, run_name)
    if outcome.run is None:
        raise UserError(f"{outcome.note}; only the chief returns a run")
    return outcome.run


def execute(name: str, settings: Any, context: Context) -> Run:
    """Run an experiment with settings that are already built and checked; nothing is written."""
    from dlhw.models import layout
    from dlhw.runs.provenance import cache_key, environment, input_files

    provenance = Provenance()
    checkpoints = RunCheckpoints(context.checkpoints, cache_key(name, settings, context))
    context = replace(context, checkpoints=checkpoints, provenance=provenance)
    with nullcontext() if context.layout == "auto" else layout(context.layout):
        result = registry.get(name).run(settings, context)
    made_with = environment(context)
    if inputs := input_files(settings):
        made_with["inputs"] = inputs
    made_with["wall_seconds"] = checkpoints.seconds
    made_with["resumed"] = checkpoints.resumed
    return Run(name, settings, result, made_with)


@dataclass(frozen=True)
class Outcome:
    """What :func:`run_and_store` did."""

    path: Path  # the run folder
    run: Run | None  # None on a worker that had nothing to do
    note: str = ""  # on a worker that is not the chief: why it wrote nothing
    stored: bool = False  # whether the run was there already, and nothing was computed


def run_and_store(
    name: str,
    settings: Any,
    context: Context,
    out: Path,
    overwrite: bool = False,
    run_name: str = "",
    *,
    loading: Callable[[], AbstractContextManager[None]] = nullcontext,
    reporting: Callable[[], AbstractContextManager[ProgressReport | None]] | None = None,
) -> Outcome:
    """Run an experiment in its run folder: checked, locked, resumed, stored.

    Args:
        name: of the experiment.
        settings: its Settings.
        context: where and how to compute. Its checkpoints are replaced by those of the run folder.
        out: folder of all runs.
        overwrite: compute again, and replace whatever the run folder holds.
        run_name: of the run folder; default: what differs from the default settings.
        loading: context manager around everything that loads TensorFlow.
        reporting: context manager that gives where progress is reported, entered once all checks have passed.

    Raises:
        UserError: see :func:`check_context`, :func:`check_folder` and :func:`check_inputs`.
        RunError: where another machine was lost.
    """
    check_context(name, settings, context)
    check_folder(name, settings, out, overwrite, run_name)
    experiment, path = registry.get(name), store.folder(out, name, settings, run_name)
    if is_chief() and store.is_interrupted(path):
        with store.locked(path):
            store.complete(path)
    if (stored := _stored(path, settings, context, overwrite)) is not None:
        if context.animate and not (path / f"{name}.gif").is_file():
            with store.locked(path):
                load(path).write_animation(path)
        return Outcome(path, stored, stored=True)
    with loading():
        from dlhw.training.distributed import plan as plans
    plan = context.plan(splittable=bool(experiment.dataset(settings)))
    worker = f"worker {plan.index} of {plan.workers}"
    if not plan.chief and not plan.synchronous:
        return Outcome(path, None, f"{worker} has nothing to do: the chief runs {name} ({plan.why})")
    if plan.kind == "multi-worker":
        with loading():
            plans.strategy(plan)  # joins the others, before TensorFlow computes anything
    check_inputs(name, settings, context)
    silent = reporting is None or not plan.chief
    with store.locked(path) if plan.chief else nullcontext(), nullcontext() if silent else reporting() as report:  # type: ignore[misc]
        context = replace(context, progress=report or context.progress)
        if plan.chief:
            # Another process may have finished or begun a run here since the folder was checked.
            check_folder(name, settings, out, overwrite, run_name)
            if (stored := _stored(path, settings, context, overwrite)) is not None:
                return Outcome(path, stored, stored=True)
            begin = partial(store.begin, path, name, settings)
            context = replace(context, checkpoints=FolderCheckpoints(path / "parts", begin))
        if context.tensorboard is not None:
            context = replace(context, tensorboard=context.tensorboard / name / path.name)
        if context.live and plan.chief:
            from dlhw.runs.live import LivePage  # late: it loads Matplotlib

            context = replace(context, live_page=LivePage(path, f"{name}: {path.name}"))
        finished = _execute_live(name, settings, context)
        if not plan.chief:
            return Outcome(path, finished, f"{worker} is done; the chief writes the run")
        finished.write(path, animate=context.animate, live=context.live)
    return Outcome(path, finished)


def _stored(path: Path, settings: Any, context: Context, overwrite: bool) -> Run | None:
    """Return the run in a run folder if it need not be computed again."""
    return None if overwrite else reuse.stored_run(path, settings, context)


def _execute_live(name: str, settings: Any, context: Context) -> Run:
    """Run an experiment; the live page, if there is one, says how the run ended."""
    page = context.live_page
    try:
        finished = execute(name, settings, context)
    except BaseException:
        if page is not None:
            with suppress(RunError):  # it would hide the cause
                page.end("Interrupted; the same command resumes it.")
        raise
    if page is not None:
        page.write("Finished.")
    return finished
