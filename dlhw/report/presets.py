"""Which runs a report contains, and in which order."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlhw import datasets
from dlhw.choices import PRESETS, Preset
from dlhw.errors import require
from dlhw.present.section import SectionRun
from dlhw.runs import experiment as registry
from dlhw.runs import store
from dlhw.runs.flags import option_words
from dlhw.runs.record_file import holds_run
from dlhw.runs.run import Run
from dlhw.runs.settings import build, changed, text

QUICK_EXAMPLES = 2000
"""Training examples of a large data set in a quick report."""
NEVER_DOWNLOADED = ("cifar10",)
"""Data sets that a report uses only where their files are at hand: an archive of 170 MB."""
_SECONDS: dict[str, dict[str, float]] = {
    "quick": {
        "simulate": 3,
        "classify": 4,
        "trajectory": 2,
        "gradient-norm": 2,
        "minimal-ratio": 9,
        "landscape": 3,
        "random-labels": 2,
        "sweep-params": 8,
        "interpolate": 21,
        "sweep-batch": 21,
        "sweep": 12,
    },
    "full": {
        "simulate": 7,
        "classify": 420,
        "trajectory": 80,
        "gradient-norm": 6,
        "minimal-ratio": 45,
        "landscape": 29,
        "random-labels": 780,
        "sweep-params": 140,
        "interpolate": 615,
        "sweep-batch": 1100,
        "sweep": 800,
        "edge": 60,
        "double-descent": 540,
        "scoreboard": 900,
    },
}
"""Measured on two virtual cores, the quick ones of a Xeon, the full ones of an AMD EPYC; only their proportions matter
once the first experiment has run."""


def preset_settings(name: str, preset: Preset, data: str = "") -> tuple[Any, ...]:
    """Return the settings of all runs of an experiment in a report, in their order, each once.

    Args:
        name: of the experiment.
        preset: quick (reduced), full (the assignment's), or complete (also its bonuses).
        data: a data set of images in place of theirs; quick takes 2000 examples of a large one.
    """
    runs = [run for run in registry.get(name).section.runs if PRESETS.index(run.preset) <= PRESETS.index(preset)]
    return tuple(dict.fromkeys(_settings(name, run, preset, data) for run in runs))


def _settings(name: str, run: SectionRun, preset: Preset, data: str) -> Any:
    experiment = registry.get(name)
    if preset == "quick":
        chosen = dataclasses.replace(experiment.quick_settings(), **run.settings)
    else:
        chosen = build(experiment.settings, dict(run.settings))
    if not data or not experiment.dataset(chosen):
        return chosen
    if preset != "quick":
        return build(experiment.settings, {**run.settings, "data": data})
    is_large = datasets.dataset_info(data).train > QUICK_EXAMPLES
    subset = {"examples": QUICK_EXAMPLES} if is_large and not chosen.examples else {}
    return dataclasses.replace(chosen, data=data, **subset)


def typical_seconds(name: str, settings: Any) -> float:
    """Return about how long a run of a preset takes on two cores; the mean of all for an experiment not timed."""
    is_full = settings in preset_settings(name, "complete")
    times = _SECONDS["full" if is_full else "quick"]
    return times.get(name, sum(times.values()) / len(times))


def is_reduced(run: Run) -> bool:
    """Return whether a run has the reduced settings of the quick preset."""
    sets = ("", *datasets.DATASETS)
    quick = [settings for data in sets for settings in preset_settings(run.experiment, "quick", data)]
    return run.settings in quick and run.settings not in preset_settings(run.experiment, "complete")


def _place(run: Run, sets: Sequence[str] = ("",)) -> int | None:
    """Return the place of a run among those that its section plans, on one of some data sets; None: not planned."""
    for k, planned in enumerate(run.definition.section.runs):
        ways: tuple[Preset, ...] = ("quick", "full") if planned.preset == "quick" else ("full",)
        if run.settings in [_settings(run.experiment, planned, way, data) for way in ways for data in sets]:
            return k
    return None


def in_every_preset(run: Run) -> bool:
    """Return whether a run is one that its section plans for every preset."""
    place = _place(run)
    return place is not None and run.definition.section.runs[place].preset == PRESETS[0]


def heading(run: Run) -> str:
    """Return what tells a run from the others of its section, in words; for one not planned, what it changes."""
    place = _place(run)
    if place is not None and (words := run.definition.section.runs[place].heading):
        return words
    settings = [f"{name.replace('_', ' ')} {text(value, ', ')}" for name, value in changed(run.settings).items()]
    words = ", ".join(settings) or "default settings"
    return words[0].upper() + words[1:]


def missing_data(name: str, settings: Any, folder: Path | None) -> str:
    """Return that a run is left out because its data set is not at hand, with its command; "" for all others."""
    data = registry.get(name).dataset(settings)
    if data not in NEVER_DOWNLOADED or datasets.status(data, folder)[1] == "verified":
        return ""
    command = " ".join(["dlhw", name, *option_words(settings, changed(settings))])
    return f"{command}: the files of {data} are not at hand, and a report does not download them"


def in_order(names: Sequence[str]) -> list[str]:
    """Return experiments in the order of the assignment; those that it does not have come last."""
    return sorted(names, key=lambda name: (registry.get(name).section.order, name))


def runs_in_order(runs: dict[Path, Run]) -> dict[Path, Run]:
    """Return runs in the order of the sections, and of the runs that a section plans; others follow by name."""
    order = in_order(list({run.experiment for run in runs.values()}))

    def key(item: tuple[Path, Run]) -> tuple[int, bool, int, bool, str]:
        path, run = item
        place = _place(run)
        if place is None and run.definition.dataset(run.settings):
            place = _place(run, list(datasets.DATASETS))
        return order.index(run.experiment), place is None, place or 0, path.name != "default", path.name

    return dict(sorted(runs.items(), key=key))


def stored_runs(folder: Path, only: Sequence[str] = ()) -> list[Path]:
    """Return the run folders under `folder`, in the order of the assignment, default runs first.

    Runs that programs of users recorded lie where these say: in `folder`, or one or two folders below it.

    Raises:
        UserError: if there is none.
    """
    require(folder.is_dir(), f"`from_runs` {folder} is not a folder; give one that holds runs, such as artifacts")
    folders = []
    for name in in_order([name for name in only or registry.names() if name not in registry.RECORDED]):
        runs = [path for path in (folder / name).glob("*") if holds_run(path)]
        folders += sorted(runs, key=lambda path: (path.name != "default", path.name))
    recorded = [name for name in registry.RECORDED if not only or name in only]
    folders += store.runs_of(folder, recorded)
    require(bool(folders), f"`from_runs` {folder} holds no run of {', '.join(only) or 'any experiment'}")
    return folders
