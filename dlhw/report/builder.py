"""From a preset, or from folders of stored runs, to a report on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dlhw.choices import Preset
from dlhw.errors import UserError, require
from dlhw.report import comments as comments_
from dlhw.report import execution, presets, writer
from dlhw.report import pdf as pdf_
from dlhw.report.composition import compose
from dlhw.report.contents import Report
from dlhw.report.execution import Finished, RunExperiment
from dlhw.runs import experiment as registry
from dlhw.runs.context import Context
from dlhw.runs.run import Run, load
from dlhw.runs.runner import run_and_store

Runs = dict[Path, Run]


def build(
    out: str | Path = "artifacts",
    *,
    preset: Preset = "quick",
    from_runs: Sequence[str | Path] = (),
    only: Sequence[str] = (),
    data: str = "",
    title: str | None = None,
    author: str | None = None,
    course: str | None = None,
    comments: str | Path | None = None,
    pdf: bool = False,
    overwrite: bool = False,
    context: Context | None = None,
    run_experiment: RunExperiment = run_and_store,
    finished: Finished | None = None,
) -> tuple[Report, list[Path]]:
    """Write a report; experiments of the preset that are not stored run first.

    A preset adds to the report that stands: sections of other runs stay, and so do title, author, course and comments
    where they are None. A report from stored runs takes the place of one with other runs only with `overwrite`.

    Args:
        out: folder of all runs. The report goes into its folder `report`, or `report-quick` for the quick preset.
        preset: quick (reduced), full (the settings of the course assignment's report), or complete (full, and the runs
            for which the assignment gives extra credit; CIFAR-10 only where its files are at hand).
        from_runs: use the runs stored in these folders instead of a preset, without training.
        only: names of experiments; default: all.
        data: image data set in place of that of the preset.
        title: of the page; "" restores the usual one.
        author: who makes the report.
        course: for which it is made.
        comments: file of Markdown whose headings name sections, by title, experiment, or place such as "1-1 a".
        pdf: also write report.pdf, through WeasyPrint.
        overwrite: leave out what the report that stands contains.
        context: where and how to compute.
        run_experiment: runs and stores one experiment.
        finished: called after every run.

    Returns:
        The report, and the paths of report.html, report.md, report.json and, with `pdf`, report.pdf.

    Raises:
        UserError: for unknown experiments or data, comments that cannot be used, a missing WeasyPrint, a folder that
            cannot be used, a report that stands and would lose sections, and several workers.
        RunError: if another machine was lost.

    Example:
        >>> import tempfile
        >>> from dlhw import report
        >>> with tempfile.TemporaryDirectory() as out:
        ...     contents, paths = report.build(out, only=["simulate"], author="Ada Lovelace")
        >>> [section.name for section in contents.sections]
        ['simulate']
    """
    for name in only:
        registry.get(name)
    words = {"title": title, "author": author, "course": course}
    given = {name: " ".join(value.split()) for name, value in words.items() if value is not None}
    given |= {} if comments is None else {"comments": comments_.read(comments)}
    if pdf:
        pdf_.weasyprint()  # before an hour of training
    out, context = Path(out), context or Context()
    folder = out / ("report-quick" if preset == "quick" and not from_runs else "report")
    left_out: list[str] = []
    if from_runs:
        require(not data, "`data` applies to a preset; `from_runs` uses the runs as stored")
        runs = _stored([Path(path) for path in from_runs], only)
        writer.prepare(folder)
        if not overwrite:
            _check_nothing_is_lost(folder, runs)
    else:
        wanted, left_out = execution.of_preset(preset, only, data, out, context.data_dir)
        writer.prepare(folder)
        if not overwrite:
            _standing(folder)
        checked = execution.checked(wanted, context, out)
        runs = execution.run_missing(checked, context, out, run_experiment, finished)
    with writer.locked(folder):
        if not overwrite:
            if from_runs:
                _check_nothing_is_lost(folder, runs)
            else:
                runs = _standing(folder) | runs  # another process may have added sections
            given = writer.words_of(folder) | given
        runs = presets.runs_in_order(runs)
        reduced = any(presets.is_reduced(run) for run in runs.values())
        words_given = {name: value for name, value in given.items() if value}
        report = compose(list(runs.values()), list(runs), reduced=reduced, left_out=left_out, **words_given)
        return report, writer.replace(report, folder, pdf=pdf)


def _stored(folders: Sequence[Path], only: Sequence[str]) -> Runs:
    """Return the runs in folders; of equal ones, the first."""
    runs: Runs = {}
    for path in (path for folder in folders for path in presets.stored_runs(folder, only)):
        run = load(path)
        same = (r for r in runs.values() if run.experiment == r.experiment and run.settings == r.settings)
        if run.definition.recorded or not any(same):  # settings do not tell the programs of users apart
            runs[path.resolve()] = run
    return runs


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
