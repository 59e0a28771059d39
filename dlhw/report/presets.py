"""Which runs a report contains, and in which order."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from dlhw import datasets
from dlhw.errors import require
from dlhw.runs import experiment as registry
from dlhw.runs.record_file import holds_run
from dlhw.runs.run import Run
from dlhw.runs.settings import build

QUICK_EXAMPLES = 2000
"""Training examples of a large data set in a quick report."""
Preset = Literal["quick", "full"]
_SECONDS: dict[str, dict[str, float]] = {
    "quick": {
        "simulate": 4,
        "classify": 2,
        "trajectory": 1,
        "gradient-norm": 2,
        "minimal-ratio": 5,
        "landscape": 2,
        "random-labels": 1,
        "sweep-params": 4,
        "interpolate": 5,
        "sweep-batch": 12,
    },
    "full": {
        "simulate": 7,
        "classify": 420,
        "trajectory": 80,
        "gradient-norm": 6,
        "minimal-ratio": 57,
        "landscape": 29,
        "random-labels": 780,
        "sweep-params": 140,
        "interpolate": 615,
        "sweep-batch": 1100,
    },
}
"""Measured on two virtual cores of an AMD EPYC; only their proportions matter once the first experiment has run."""


def preset_settings(name: str, preset: Preset, data: str = "") -> Any:
    """Return the settings of an experiment in a report.

    Args:
        name: of the experiment.
        preset: quick (reduced), or full (the assignment's).
        data: a data set of images in place of theirs; quick takes 2000 examples of a large one.
    """
    experiment = registry.get(name)
    chosen = experiment.settings() if preset == "full" else experiment.quick_settings()
    if not data or not experiment.dataset(chosen):
        return chosen
    if preset == "full":
        return build(experiment.settings, {"data": data})
    is_large = datasets.dataset_info(data).train > QUICK_EXAMPLES
    subset = {"examples": QUICK_EXAMPLES} if is_large and not chosen.examples else {}
    return dataclasses.replace(chosen, data=data, **subset)


def typical_seconds(name: str, settings: Any) -> float:
    """Return about how long an experiment of a preset takes on two cores; the mean of all for one not timed."""
    preset = "full" if settings == registry.get(name).settings() else "quick"
    times = _SECONDS[preset]
    return times.get(name, sum(times.values()) / len(times))


def is_reduced(run: Run) -> bool:
    """Return whether a run has the reduced settings of the quick preset."""
    quick = [preset_settings(run.experiment, "quick", data) for data in ("", *datasets.DATASETS)]
    return run.settings in quick and run.settings != run.definition.settings()


def in_order(names: Sequence[str]) -> list[str]:
    """Return experiments in the order of the assignment; those that it does not have come last."""
    return sorted(names, key=lambda name: (registry.get(name).section.order, name))


def stored_runs(folder: Path, only: Sequence[str] = ()) -> list[Path]:
    """Return the run folders under `folder`, in the order of the assignment, default runs first.

    Raises:
        UserError: if there is none.
    """
    require(folder.is_dir(), f"`from_runs` {folder} is not a folder; give one that holds runs, such as artifacts")
    folders = []
    for name in in_order(only or registry.names()):
        runs = [path for path in (folder / name).glob("*") if holds_run(path)]
        folders += sorted(runs, key=lambda path: (path.name != "default", path.name))
    require(bool(folders), f"`from_runs` {folder} holds no run of {', '.join(only) or 'any experiment'}")
    return folders
