"""A finished run: its settings, its result, where it was computed, and what can be made of it."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlhw.errors import UserError
from dlhw.runs import experiment as registry
from dlhw.runs import settings as settings_
from dlhw.runs import store
from dlhw.runs.record_file import RECORD, as_record, read_record, read_result, signature
from dlhw.storage import files

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dlhw.present.interactive import InteractiveFigure
    from dlhw.present.tables import Summary

TIMING_FIELDS = ("seconds", "compile_seconds", "line_seconds", "search_seconds")
"""Fields of results that hold wall times of parts of a run."""
_PAGES = ("surface",)
"""Names of pages in run folders."""
_ATTEMPTS = 3
"""Most attempts to read a run that another process replaces meanwhile."""
NOTEBOOK = "dlhw.report.notebook:html"
"""The function that shows a run in a notebook; it belongs to a layer above, and is imported when a notebook asks."""


@dataclass(frozen=True)
class Run:
    """A finished run of an experiment."""

    experiment: str  # name of its command
    settings: Any  # the Settings of that experiment
    result: Any  # its Result
    environment: Mapping[str, Any]  # versions, device, wall_seconds

    def __repr__(self) -> str:
        """One line: the experiment and the settings that differ from the defaults."""
        settings = ", ".join(f"{name}={value!r}" for name, value in settings_.changed(self.settings).items())
        return f"<Run of {self.experiment}: {settings or 'default settings'}; see .result, .summary(), .figures()>"

    def _repr_html_(self) -> str:
        """Return the section of the run in a report, which Jupyter shows."""
        return str(pkgutil.resolve_name(NOTEBOOK)(self))

    @property
    def definition(self) -> registry.Experiment[Any, Any]:
        """The experiment itself."""
        return registry.get(self.experiment)

    @property
    def all_diverged(self) -> bool:
        """Whether every training of the run diverged."""
        diverged_at = getattr(self.result, "diverged_at", None)
        if diverged_at is None or diverged_at.size == 0:  # nothing is trained
            return False
        return bool((diverged_at >= 0).all())

    def figures(self) -> dict[str, Figure]:
        """Return the figures by name, drawn from the result alone."""
        from dlhw.present import style

        with style.house_style():
            return self.definition.figures(self.settings, self.result)

    @property
    def animated(self) -> bool:
        """Whether there is an animation."""
        # What an animation needs and this run has not recorded is None in its result.
        return self.definition.animation is not None and getattr(self.result, "frames", True) is not None

    def animation(self) -> bytes:
        """Return a GIF of what happens over the epochs.

        Raises:
            UserError: if the experiment has none, or the run did not record it.
        """
        from dlhw.present import render, style

        animation = self.definition.animation
        if animation is None:
            self.definition.check_can_animate(self.settings)
            raise UserError(f"{self.experiment} has no animation")
        with style.house_style():
            draw, frames = animation(self.settings, self.result)
            return render.gif(draw, frames)

    def summary(self) -> Summary:
        """Return the table, the findings and the numbers."""
        return self.definition.summary(self.settings, self.result)

    def pages(self) -> dict[str, str]:
        """Return self-contained HTML pages by name; most experiments have none."""
        pages = self.definition.pages
        return {} if pages is None else pages(self.settings, self.result)

    def interactive(self) -> dict[str, InteractiveFigure]:
        """Return, by the names of their figures, what the report page lets its readers move."""
        interactive = self.definition.interactive
        return {} if interactive is None else interactive(self.settings, self.result)

    @property
    def wall_seconds(self) -> float:
        """How long the run took; of a resumed run, estimated from the times of its trainings."""
        import numpy as np

        known = self.environment.get("wall_seconds")
        if known is not None:
            return float(known)
        times = [np.sum(getattr(self.result, name, 0.0)) for name in TIMING_FIELDS]
        return float(sum(times)) / max(1, int(self.environment.get("jobs", 1)))

    def save(self, out: str | Path = "artifacts", overwrite: bool = False) -> Path:
        """Write run.json, arrays.npz and the figures to out/experiment/name.

        Args:
            out: folder of all runs.
            overwrite: replace what the run folder holds.

        Returns:
            The run folder.

        Raises:
            UserError: if the folder holds something else, is in use, or cannot be written.
        """
        path = store.folder(Path(out), self.experiment, self.settings)
        store.check_free(path, self.settings, overwrite)
        with store.locked(path):
            self.write(path)
        return path

    def draw(self, folder: Path, **how: Any) -> list[Path]:
        """Write all figures and pages into a folder.

        Args:
            folder: where the files are written; created if missing.
            **how: options of :func:`dlhw.present.render.save`: formats, dpi, style.

        Returns:
            The paths of the files.
        """
        from dlhw.present import render

        paths = render.save(self.figures(), folder, **how)
        for name, text in self.pages().items():
            paths.append(folder / f"{name}.html")
            files.write_bytes(paths[-1], text.encode())
        return paths

    def write(self, path: Path, *, animate: bool = False, live: bool = False) -> None:
        """Write everything into a run folder whose lock the caller holds.

        Args:
            path: the run folder.
            animate: also write the GIF.
            live: the page of curves in the folder is that of this run.
        """
        record = as_record(self.experiment, self.settings, self.environment, self.summary().numbers)

        def draw(folder: Path) -> None:
            self.draw(folder)
            if animate:
                self.write_animation(folder)

        names = {*self.definition.section.captions, self.experiment, *_PAGES, *(() if live else ("live",))}
        store.save(path, record, self.result, draw, names)

    def write_animation(self, folder: Path) -> Path:
        """Write the GIF; see :meth:`animation`.

        Args:
            folder: where it is written.

        Returns:
            The path of the file.
        """
        path = folder / f"{self.experiment}.gif"
        files.write_bytes(path, self.animation())
        return path


def load(path: str | Path) -> Run:
    """Read a stored run, without loading TensorFlow.

    Args:
        path: folder of the run.

    Returns:
        The run, with its settings, result and environment.

    Raises:
        UserError: if `path` is not a run, or was changed after it was written.

    Example:
        >>> import tempfile
        >>> import dlhw
        >>> run = dlhw.run("simulate", models=("2",), epochs=3, points=5, seeds=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     dlhw.load(run.save(folder)).settings.epochs
        3
    """
    path = Path(path)
    for _ in range(_ATTEMPTS - 1):
        before = signature(path)
        try:
            return _load(path)
        except UserError:
            if signature(path) == before:
                raise
    return _load(path)


def _load(path: Path) -> Run:
    record = read_record(path)
    try:
        experiment = registry.get(record["experiment"])
        settings = settings_.build(experiment.settings, record["settings"])
    except (UserError, TypeError, AttributeError) as error:
        raise UserError(f"{path / RECORD}: {error}") from None
    result = read_result(path, experiment.result, record, settings)
    run = Run(record["experiment"], settings, result, record["environment"])
    try:
        run.summary()
    except Exception as error:  # whatever numbers of another run lead to
        reason = str(error) or type(error).__name__
        raise UserError(f"{path}: settings and numbers do not belong together ({reason}): run it again") from None
    return run
