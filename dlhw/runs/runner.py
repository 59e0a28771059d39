"""Run an experiment: check, lock, resume, compute, store. The command line calls the same functions."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dlhw import files
from dlhw.checkpoints import FolderCheckpoints, RunCheckpoints
from dlhw.errors import UserError, require
from dlhw.runs import experiment as registry
from dlhw.runs import reuse, store
from dlhw.runs.context import Context, ProgressReport, Provenance
from dlhw.runs.run import Run
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

    began, provenance = time.perf_counter(), Provenance()
    checkpoints = RunCheckpoints(context.checkpoints, cache_key(name, settings, context))
    context = replace(context, checkpoints=checkpoints, provenance=provenance)
    with nullcontext() if context.layout == "auto" else layout(context.layout):
        result = registry.get(name).run(settings, context)
    provenance.resumed = checkpoints.resumed
    made_with = environment(context)
    if inputs := input_files(settings):
        made_with["inputs"] = inputs
    if not provenance.resumed:  # else it is the time of the remaining part
        made_with["wall_seconds"] = time.perf_counter() - began
    return Run(name, settings, result, made_with)


@dataclass(frozen=True)
class Outcome:
    """What :func:`run_and_store` did."""

    path: Path  # the run folder
    run: Run | None  # None on a worker that had nothing to do
    note: str = ""  # on a worker that is not the chief: why it wrote nothing
    stored: bool = False  # whether the run was there already, and nothing was computed


def check_context(name: str, settings: Any, context: Context) -> None:
    """Refuse a context that does not fit the experiment, before TensorFlow is imported; writes nothing.

    Raises:
        UserError: for an animation that does not exist, devices that do not go together, a folder of event files that
            cannot be written, a data set that is damaged or not in the folder that was named.
    """
    from dlhw import datasets

    experiment = registry.get(name)
    if context.animate:
        experiment.check_can_animate(settings)
    is_chief = _is_chief()
    dataset = experiment.dataset(settings)
    if context.scheduler:
        _check_scheduler(context, bool(dataset))
    if is_chief:
        _check_tensorboard(context.tensorboard)
    if dataset:
        datasets.check(dataset, context.data_dir)


def check_folder(name: str, settings: Any, out: Path, overwrite: bool = False, run_name: str = "") -> None:
    """Refuse a run folder that cannot be used: UserError; writes nothing."""
    path = store.folder(out, name, settings, run_name)
    if _is_chief():  # the others write nothing
        store.check_free(path, settings, overwrite)


def check_inputs(name: str, settings: Any, context: Context) -> None:
    """Refuse files of the user, such as saved models, that the experiment cannot use: UserError. Loads TensorFlow."""
    check = registry.get(name).check_inputs
    if check is not None:
        check(settings, context)


def _is_chief() -> bool:
    """Whether this process writes files; refuses a malformed TF_CONFIG before TensorFlow reads it."""
    from dlhw.training.distributed import cluster

    group = cluster.detect()
    return group is None or group.chief


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
    if not overwrite and (stored := reuse.stored_run(path, settings, context)) is not None:
        if context.animate and not (path / f"{name}.gif").is_file():
            files.write_bytes(path / f"{name}.gif", stored.animation())
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
            begin = partial(store.begin, path, name, settings)
            context = replace(context, checkpoints=FolderCheckpoints(path / "parts", begin))
        if context.tensorboard is not None:
            context = replace(context, tensorboard=context.tensorboard / name / path.name)
        if context.live and plan.chief:
            from dlhw.runs.live import LivePage  # late: it loads Matplotlib

            context = replace(context, live_page=LivePage(path, f"{name}: {path.name}"))
        if context.live_page is None and plan.chief:
            (path / store.LIVE_PAGE).unlink(missing_ok=True)  # of an earlier run
        finished = _execute_live(name, settings, context)
        if not plan.chief:
            return Outcome(path, finished, f"{worker} is done; the chief writes the run")
        finished.write(path)
        if context.animate:
            files.write_bytes(path / f"{name}.gif", finished.animation())
    return Outcome(path, finished)


def _execute_live(name: str, settings: Any, context: Context) -> Run:
    """Run an experiment; the live page, if there is one, says how the run ended."""
    page = context.live_page
    try:
        finished = execute(name, settings, context)
    except BaseException:
        if page is not None:
            page.write("Interrupted; the same command resumes it.")
        raise
    if page is not None:
        page.write("Finished.")
    return finished


def _check_tensorboard(folder: Path | None) -> None:
    """Refuse a folder of event files that cannot be made."""
    if folder is None:
        return
    installed = find_spec("tensorboard") is not None
    require(installed, '`tensorboard` needs the package of that name: pip install "dlhw[tensorboard]"')
    existing = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    try:
        Path(tempfile.mkdtemp(dir=existing)).rmdir()
    except OSError:
        require(False, f"`tensorboard`: {folder} cannot be written; choose another place")


def _check_scheduler(context: Context, on_images: bool) -> None:
    from dlhw.runs import dask

    no_events = context.tensorboard is None
    require(no_events, "`tensorboard`: other machines write no events here; leave out `scheduler` or it")
    require(not context.live, "`live`: other machines write no page here; leave out `scheduler` or it")
    require(on_images, "`scheduler`: small nets train as stacks on this machine; leave it out")
    is_free = context.strategy in ("auto", "none")
    require(is_free, f"`scheduler` and `strategy` {context.strategy}: choose one of them")
    dask.connect(context.scheduler).close()
