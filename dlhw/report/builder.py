"""From a preset, or from a folder of stored runs, to a report on disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dlhw import datasets
from dlhw.errors import UserError, require
from dlhw.report import presets, writer
from dlhw.report.contents import Report, compose
from dlhw.report.presets import Preset
from dlhw.runs import experiment as registry
from dlhw.runs import runner, store
from dlhw.runs.context import Context
from dlhw.runs.run import Run, load
from dlhw.runs.runner import Outcome, run_and_store
from dlhw.training.distributed import cluster

RunExperiment = Callable[[str, Any, Context, Path], Outcome]
"""Runs an experiment and stores it: name, settings, context, folder of all runs."""
Finished = Callable[[int, int, str, float | None], None]
"""Called after every run of a report: its number from 1, how many there are, its name, seconds; None if stored."""


def build(
    out: str | Path = "artifacts",
    *,
    preset: Preset = "quick",
    from_runs: str | Path | None = None,
    only: Sequence[str] = (),
    data: str = "",
    context: Context | None = None,
    run_experiment: RunExperiment = run_and_store,
    finished: Finished | None = None,
) -> tuple[Report, list[Path]]:
    """Write a report; experiments of the preset that are not stored run first.

    Args:
        out: folder of all runs. The report goes into its folder `report`, or `report-quick` for the quick preset.
        preset: quick (reduced), or full (the settings of the course assignment's report).
        from_runs: use the runs stored in this folder instead of a preset, without training.
        only: names of experiments; default: all.
        data: image data set in place of that of the preset.
        context: where and how to compute.
        run_experiment: runs and stores one experiment.
        finished: called after every run.

    Returns:
        The report, and the paths of report.html, report.md and report.json.

    Raises:
        UserError: for unknown experiments or data, a folder that cannot be used, and several workers.
        RunError: if another machine was lost.

    Example:
        >>> import tempfile
        >>> from dlhw import report
        >>> with tempfile.TemporaryDirectory() as out:
        ...     contents, paths = report.build(out, only=["simulate"])
        >>> [section.name for section in contents.sections]
        ['simulate']
    """
    for name in only:
        registry.get(name)
    out = Path(out)
    if from_runs is not None:
        require(not data, "`data` applies to a preset; `from_runs` uses the runs as stored")
        runs = [load(path) for path in presets.stored_runs(Path(from_runs), only)]
        folder, reduced = out / "report", any(presets.is_reduced(run) for run in runs)
        writer.check_folder(folder)
    else:
        folder, reduced = out / ("report-quick" if preset == "quick" else "report"), preset == "quick"
        wanted = _of_preset(preset, only, data)
        writer.check_folder(folder)
        runs = _stored_or_run(wanted, context or Context(), out, run_experiment, finished)
    report = compose(runs, reduced=reduced)
    return report, writer.write(report, folder)


def _of_preset(preset: Preset, only: Sequence[str], data: str) -> dict[str, Any]:
    """Return the settings of every experiment of a report, by name, in order."""
    is_single = cluster.detect() is None
    require(
        is_single, "a report runs on one machine; unset TF_CONFIG, or run the experiments first and use `from_runs`"
    )
    known = not data or data in datasets.DATASETS
    require(known, f"`data` {data!r} is unknown; use {', '.join(datasets.DATASETS)}")
    names = presets.in_order(only or registry.names())
    return {name: presets.preset_settings(name, preset, data) for name in names}


def _stored_or_run(
    wanted: dict[str, Any], context: Context, out: Path, run_experiment: RunExperiment, finished: Finished | None
) -> list[Run]:
    """Return the runs of these settings, stored or new. All are checked before the first one starts."""
    runs = {}
    for name, settings in wanted.items():
        path = store.folder(out, name, settings)
        if (path / "run.json").is_file():
            run = load(path)
            other = f"{path} holds a run with other settings; move it away, or use another `out`"
            require(run.settings == settings, other)
            runs[name] = run
        else:
            runner.check_context(name, settings, context)
            runner.check_folder(name, settings, out)
    for k, (name, settings) in enumerate(wanted.items(), start=1):
        began, seconds = time.perf_counter(), None
        if name not in runs:
            outcome = run_experiment(name, settings, context, out)
            if outcome.run is None:
                raise UserError("a report is made by one process; unset TF_CONFIG, or run the experiments first")
            runs[name], seconds = outcome.run, time.perf_counter() - began
        if finished is not None:
            finished(k, len(wanted), name, seconds)
    return [runs[name] for name in wanted]
