"""The runs of a preset: stored ones are read, missing ones run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dlhw import datasets
from dlhw.choices import Preset
from dlhw.errors import UserError, require
from dlhw.report import presets
from dlhw.runs import checks, executors, store
from dlhw.runs import experiment as registry
from dlhw.runs.context import Context
from dlhw.runs.record_file import holds_run
from dlhw.runs.run import Run, load
from dlhw.runs.runner import Outcome
from dlhw.runs.settings import changed, text
from dlhw.training.distributed import cluster

RunExperiment = Callable[[str, Any, Context, Path], Outcome]
"""Runs an experiment and stores it: name, settings, context, folder of all runs."""
Finished = Callable[[int, int, str, float | None, float], None]
"""Called after every run of a report: its number from 1, how many there are, its name, seconds (None if it was stored),
and an estimate of the seconds that remain."""


@dataclass(frozen=True)
class Wanted:
    """A run of a preset."""

    experiment: str
    settings: Any
    label: str  # for messages
    path: Path  # of its folder
    stored: Run | None = None


def of_preset(
    preset: Preset, only: Sequence[str], data: str, out: Path, folder: Path | None
) -> tuple[list[Wanted], list[str]]:
    """Return the runs of a preset in order, and what is left out because its data set is not at hand; trains nothing.

    Args:
        preset: which runs.
        only: names of experiments; empty: all.
        data: image data set in place of theirs.
        out: folder of all runs.
        folder: of data sets.

    Raises:
        UserError: for unknown data, and for one of several workers.
    """
    is_single = cluster.detect() is None
    require(
        is_single, "a report runs on one machine; unset TF_CONFIG, or run the experiments first and use `from_runs`"
    )
    known = not data or data in datasets.DATASETS
    require(known, f"`data` {data!r} is unknown; use {', '.join(datasets.DATASETS)}")
    trained = [name for name in only if name in registry.names()]
    require(len(trained) == len(only), "`only`: watched trainings are recorded by dlhw.Watch; name `from_runs`")
    wanted: list[Wanted] = []
    left_out: list[str] = []
    for name in presets.in_order(only or registry.names()):
        planned = presets.preset_settings(name, preset, data)
        require(bool(planned or not only), f"`only`: {name} is no part of the preset {preset}; use `preset` complete")
        if not planned:
            continue
        first, *others = planned
        reasons = [presets.missing_data(name, settings, folder) for settings in others]
        left_out += [reason for reason in reasons if reason]
        for settings in (first, *(s for s, reason in zip(others, reasons, strict=True) if not reason)):
            differing = [f"{k} {text(v, ',')}" for k, v in changed(settings).items() if v != getattr(first, k)]
            label = f"{name}, {', '.join(differing)}" if differing else name
            wanted.append(Wanted(name, settings, label, store.folder(out, name, settings)))
    return wanted, left_out


def checked(wanted: Sequence[Wanted], context: Context, out: Path) -> list[Wanted]:
    """Return the runs, those that are stored with their results; all are checked before the first one starts.

    Raises:
        UserError: for a run that cannot be made, and for a folder that holds another one.
    """
    result = []
    for one in wanted:
        if holds_run(one.path):
            run = load(one.path)
            other = f"{one.path} holds a run with other settings; move it away, or use another `out`"
            require(run.settings == one.settings, other)
            result.append(replace(one, stored=run))
        else:
            checks.check_context(one.experiment, one.settings, context)
            checks.check_folder(one.experiment, one.settings, out)
            result.append(one)
    return result


def run_missing(
    wanted: Sequence[Wanted], context: Context, out: Path, run_experiment: RunExperiment, finished: Finished | None
) -> dict[Path, Run]:
    """Return the runs of a preset, stored or new, by the folders that hold them.

    Raises:
        UserError: if this is one of several processes.
    """
    typical = {one.path: presets.typical_seconds(one.experiment, one.settings) for one in wanted if one.stored is None}
    if typical:
        # The first of several experiments decides the threads of all, and they the rounding: whether it is stored
        # already must not matter.
        executors.limit_threads(context.workers, xla=True)
    runs: dict[Path, Run] = {}
    passed = expected = 0.0
    for k, one in enumerate(wanted, start=1):
        seconds = None
        if one.stored is not None:
            runs[one.path.resolve()] = one.stored
        else:
            outcome = run_experiment(one.experiment, one.settings, context, out)
            if outcome.run is None:
                raise UserError("a report is made by one process; unset TF_CONFIG, or run the experiments first")
            runs[outcome.path.resolve()], seconds = outcome.run, outcome.run.wall_seconds
            passed, expected = passed + seconds, expected + typical.pop(one.path)
        if finished is not None:
            speed = passed / expected if expected else 1.0  # of this machine, against the one that was timed
            finished(k, len(wanted), one.label, seconds, speed * sum(typical.values()))
    return runs
