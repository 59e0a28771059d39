"""From a preset, or from folders of stored runs, to a report on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dlhw import datasets
from dlhw.errors import UserError, require
from dlhw.report import presets, writer
from dlhw.report.contents import Report, compose
from dlhw.report.presets import Preset
from dlhw.runs import checks, executors, store
from dlhw.runs import experiment as registry
from dlhw.runs.context import Context
from dlhw.runs.record_file import holds_run
from dlhw.runs.run import Run, load
from dlhw.runs.runner import Outcome, run_and_store
from dlhw.training.distributed import cluster

RunExperiment = Callable[[str, Any, Context, Path], Outcome]
"""Runs an experiment and stores it: name, settings, context, folder of all runs."""
Finished = Callable[[int, int, str, float | None, float], None]
"""Called after every run of a report: its number from 1, how many there are, its name, seconds (None if it was stored),
and an estimate of the seconds that remain."""
Runs = dict[Path, Run]


def build(
    out: str | Path = "artifacts",
    *,
    preset: Preset = "quick",
    from_runs: Sequence[str | Path] = (),
    only: Sequence[str] = (),
    data: str = "",
    overwrite: bool = False,
    context: Context | None = None,
    run_experiment: RunExperiment = run_and_store,
    finished: Finished | None = None,
) -> tuple[Report, list[Path]]:
    """Write a report; experiments of the preset that are not stored run first.

    A preset adds to the report that stands: sections of other runs stay. A report from stored runs takes the place of
    one with other runs only with `overwrite`.

    Args:
        out: folder of all runs. The report goes into its folder `report`, or `report-quick` for the quick preset.
        preset: quick (reduced), or full (the settings of the course assignment's report).
        from_runs: use the runs stored in these folders instead of a preset, without training.
        only: names of experiments; default: all.
        data: image data set in place of that of the preset.
        overwrite: leave out the sections of the report that stands.
        context: where and how to compute.
        run_experiment: runs and stores one experiment.
        finished: called after every run.

    Returns:
        The report, and the paths of report.html, report.md and report.json.

    Raises:
        UserError: for unknown experiments or data, a folder that cannot be used, a report that stands and would lose
            sections, and several workers.
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
    folder = out / ("report-quick" if preset == "quick" and not from_runs else "report")
    if from_runs:
        require(not data, "`data` applies to a preset; `from_runs` uses the runs as stored")
        runs = _stored([Path(path) for path in from_runs], only)
        writer.prepare(folder)
        if not overwrite:
            _check_nothing_is_lost(folder, runs)
    else:
        wanted = _of_preset(preset, only, data)
        writer.prepare(folder)
        if not overwrite:
            _standing(folder)  # before an hour of training
        runs = _in_order(_stored_or_run(wanted, context or Context(), out, run_experiment, finished))
    with store.locked(folder, writer.WAIT):
        writer.complete(folder)
        if not from_runs and not overwrite:
            runs = _in_order(_standing(folder) | runs)  # another process may have added sections
        elif not overwrite:
            _check_nothing_is_lost(folder, runs)
        return _write(runs, folder)


def _write(runs: Runs, folder: Path) -> tuple[Report, list[Path]]:
    reduced = any(presets.is_reduced(run) for run in runs.values())
    report = compose(list(runs.values()), list(runs), reduced=reduced)
    return report, writer.replace(report, folder)


def _stored(folders: Sequence[Path], only: Sequence[str]) -> Runs:
    """Return the runs in folders; of equal ones, the first."""
    runs: Runs = {}
    for path in (path for folder in folders for path in presets.stored_runs(folder, only)):
        run = load(path)
        if not any(run.experiment == r.experiment and run.settings == r.settings for r in runs.values()):
            runs[path.resolve()] = run
    return _in_order(runs) if len(folders) > 1 else runs


def _standing(folder: Path) -> Runs:
    """Return the runs of the report that stands in `folder`; none where there is no report."""
    runs: Runs = {}
    for name, path in writer.runs_of(folder):
        try:
            runs[path] = load(path)
        except UserError as error:
            raise UserError(
                f"{folder} has a section {name} whose run cannot be read ({error}); use `overwrite` to leave it out"
            ) from None
    return runs


def _check_nothing_is_lost(folder: Path, runs: Runs) -> None:
    """Refuse to replace a report that has sections of other runs."""
    lost = sorted({name for name, path in writer.runs_of(folder) if path not in runs})
    more = "use `overwrite` to replace it, or another `out`"
    require(not lost, f"{folder} holds a report with other runs ({', '.join(lost)}); {more}")


def _in_order(runs: Runs) -> Runs:
    """Return runs in the order of the sections, default settings first."""
    order = presets.in_order(list({run.experiment for run in runs.values()}))
    return dict(
        sorted(
            runs.items(), key=lambda item: (order.index(item[1].experiment), item[0].name != "default", item[0].name)
        )
    )


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
) -> Runs:
    """Return the runs of these settings, stored or new. All are checked before the first one starts."""
    stored: dict[str, Run] = {}
    paths = {name: store.folder(out, name, settings) for name, settings in wanted.items()}
    for name, settings in wanted.items():
        if holds_run(paths[name]):
            stored[name] = load(paths[name])
            other = f"{paths[name]} holds a run with other settings; move it away, or use another `out`"
            require(stored[name].settings == settings, other)
        else:
            checks.check_context(name, settings, context)
            checks.check_folder(name, settings, out)
    missing = {name: presets.typical_seconds(name, settings) for name, settings in wanted.items() if name not in stored}
    runs: Runs = {}
    passed = typical = 0.0
    if missing:
        # The first of several experiments decides the threads of all, and they the rounding: whether it is stored
        # already must not matter.
        executors.limit_threads(context.workers, xla=True)
    for k, (name, settings) in enumerate(wanted.items(), start=1):
        seconds = None
        if name in stored:
            runs[paths[name].resolve()] = stored[name]
        else:
            outcome = run_experiment(name, settings, context, out)
            if outcome.run is None:
                raise UserError("a report is made by one process; unset TF_CONFIG, or run the experiments first")
            runs[outcome.path.resolve()], seconds = outcome.run, outcome.run.wall_seconds
            passed, typical = passed + seconds, typical + missing.pop(name)
        if finished is not None:
            speed = passed / typical if typical else 1.0  # of this machine, against the one that was timed
            finished(k, len(wanted), name, seconds, speed * sum(missing.values()))
    return runs
