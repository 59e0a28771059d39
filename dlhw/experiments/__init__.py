"""The registry: every file in this folder whose name does not start with an underscore is an experiment.

A file offers a docstring (its first line is the question), `Settings`, `Result`, `TINY`,
`run(settings, context)`, `figures(settings, result)` and `summary(settings, result)`.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlhw import __version__
from dlhw.errors import UserError, require

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from dlhw.context import Context, Parts
    from dlhw.summary import Summary

_FOLDER = Path(__file__).parent
_PARTS_OF_AN_EXPERIMENT = ("Settings", "Result", "TINY", "run", "figures", "summary")


def names() -> list[str]:
    """The experiments, by their command: the files of the folder in alphabetical order."""
    return sorted(p.stem.replace("_", "-") for p in _FOLDER.glob("*.py") if not p.stem.startswith("_"))


def question(name: str) -> str:
    """The first line of an experiment's docstring, read without importing it."""
    tree = ast.parse((_FOLDER / f"{name.replace('-', '_')}.py").read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or "").split("\n", 1)[0]


def get(name: str) -> Any:
    """The module of the experiment called `name`."""
    close = difflib.get_close_matches(name, names(), n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    require(name in names(), f"unknown experiment {name!r}; {hint}there are {', '.join(names())}")
    module = importlib.import_module(f"dlhw.experiments.{name.replace('-', '_')}")
    missing = [part for part in _PARTS_OF_AN_EXPERIMENT if not hasattr(module, part)]
    assert not missing, f"{module.__file__} lacks {missing}"
    return module


def check_animation(name: str, settings: Any) -> None:
    """Raise UserError if a run with these settings could not be animated."""
    module = get(name)
    if not hasattr(module, "animation"):
        raise UserError(f"--animate: {no_animation(name)}")
    if hasattr(module, "check_animation"):
        module.check_animation(settings)


def no_animation(name: str) -> str:
    """What to say of an experiment that cannot be animated."""
    have = [n for n in names() if hasattr(get(n), "animation")]
    return f"{name} has no animation; {', '.join(have[:-1])} and {have[-1]} have one"


PARTS = ("seconds", "compile_seconds", "line_seconds", "search_seconds")
"""Fields of results that hold seconds of parts of a run."""


@dataclass(frozen=True)
class Run:
    """A finished experiment: its settings, its result, and where it ran."""

    experiment: str
    settings: Any
    result: Any
    environment: Mapping[str, Any]  # versions, device, seconds

    def figures(self) -> dict[str, Figure]:
        """The figures by name, drawn from the result alone."""
        from dlhw import plot

        with plot.style():
            return get(self.experiment).figures(self.settings, self.result)

    @property
    def animated(self) -> bool:
        """Whether there is an animation."""
        if not hasattr(get(self.experiment), "animation"):
            return False
        # What an animation needs and this run has not recorded is None in its result.
        return getattr(self.result, "frames", True) is not None

    def animation(self) -> bytes:
        """A GIF of what happens over the epochs; UserError if the experiment has none, or the run did not record it."""
        from dlhw import plot, render

        module = get(self.experiment)
        require(hasattr(module, "animation"), no_animation(self.experiment))
        with plot.style():
            draw, frames = module.animation(self.settings, self.result)
            return render.gif(draw, frames)

    def summary(self) -> Summary:
        """Table, sentences and numbers."""
        return get(self.experiment).summary(self.settings, self.result)

    @property
    def wall_seconds(self) -> float:
        """How long the run took. One stored before this was kept: all its trainings, side by side as they were."""
        import numpy as np

        known = self.environment.get("wall_seconds")
        if known is not None:
            return float(known)
        flat = [np.sum(getattr(self.result, k, 0.0)) for k in PARTS]
        return float(sum(flat)) / max(1, int(self.environment.get("jobs", 1)))

    def save(self, out: str | Path = "artifacts", overwrite: bool = False) -> Path:
        """Write run.json, arrays.npz and the figures to out/experiment/name and return that folder."""
        from dlhw import store

        path = store.folder(Path(out), self.experiment, self.settings)
        store.check_free(path, self.settings, overwrite)
        with store.locked(path):
            self.write(path)
        return path

    def pages(self) -> dict[str, str]:
        """Pages in HTML by name, self-contained; most experiments have none."""
        module = get(self.experiment)
        return module.pages(self.settings, self.result) if hasattr(module, "pages") else {}

    def draw(self, folder: Path, **how: Any) -> list[Path]:
        """Write all figures (`how`: options of :func:`dlhw.render.save`) and pages; returns the paths."""
        from dlhw import render, store

        paths = render.save(self.figures(), folder, **how)
        for name, text in self.pages().items():
            paths.append(folder / f"{name}.html")
            store.write_bytes(paths[-1], text.encode())
        return paths

    def write(self, path: Path) -> None:
        """Write everything into the folder `path`, which the caller holds."""
        from dlhw import store

        store.save(
            path,
            experiment=self.experiment,
            settings=self.settings,
            result=self.result,
            environment=self.environment,
            numbers=self.summary().numbers,
            draw=self.draw,
        )


def run(name: str, context: Context | None = None, **settings: Any) -> Run:
    """Run the experiment called `name`; keywords are the fields of its Settings. Nothing is written."""
    from dlhw.context import Context
    from dlhw.settings import build

    module = get(name)
    return execute(name, build(module.Settings, settings), context or Context())


def execute(name: str, settings: Any, context: Context) -> Run:
    """Run with settings that are already built; what commands and :func:`run` share."""
    began, parts = time.perf_counter(), _Taken(context.parts)
    result = get(name).run(settings, replace(context, parts=parts))
    trainings = len(seconds) if isinstance(seconds := getattr(result, "seconds", 1.0), tuple) else 1
    made = environment(context, settings, trainings)
    if not parts.any:  # else it is the time of what was left
        made["wall_seconds"] = time.perf_counter() - began
    return Run(name, settings, result, made)


class _Taken:
    """Parts, and whether any was taken up from an earlier process."""

    def __init__(self, parts: Parts) -> None:
        self.parts, self.any = parts, False
        self.put, self.drop = parts.put, parts.drop

    def get(self, name: str) -> dict[str, np.ndarray] | None:
        found = self.parts.get(name)
        self.any = self.any or found is not None
        return found


def check_data(settings: Any, folder: Path | None) -> None:
    """Raise UserError if the data set that the settings name is damaged, or not in the folder that was named."""
    from dlhw import datasets

    if data_set(settings):
        datasets.check(data_set(settings), folder)


def check_inputs(name: str, settings: Any, context: Context) -> None:
    """Raise UserError for files of the user that the experiment cannot work with; most take none."""
    module = get(name)
    if hasattr(module, "check_inputs"):
        module.check_inputs(settings, context)


def load(path: str | Path) -> Run:
    """A stored run; no TensorFlow is loaded. UserError if `path` is not a run of this schema."""
    from dlhw import store
    from dlhw.settings import build

    path = Path(path)
    record = store.read_json(path)
    module = get(record["experiment"])
    settings = build(module.Settings, record["settings"])
    result = store.join(module.Result, store.read_arrays(path), record["result"])
    return Run(record["experiment"], settings, result, record["environment"])


def on_images(settings: Any) -> bool:
    """Whether trainings are on a data set of images: those can be split over devices and sent to other machines."""
    return bool(data_set(settings))


def data_set(settings: Any) -> str:
    """The set of images that a run reads, or "": `data`, unless the settings say otherwise by `data_set`."""
    from dlhw import datasets

    name = getattr(settings, "data_set", getattr(settings, "data", ""))
    return name if name in datasets.SETS else ""


def tag(name: str, settings: Any, device: str = "auto", *how: str) -> str:
    """What a kept part must share with a run to be taken up by it; how: choices that change the rounding."""
    from importlib.metadata import version

    from dlhw.settings import digest

    made = " ".join([device, *(h for h in how if h != "auto")])
    return f"{__version__} {version('tensorflow')} {version('keras')} {made} {name} {digest(settings)}"


def environment(context: Context, settings: Any, trainings: int = 1) -> dict[str, Any]:
    """Versions and device of this process: what a number may depend on beyond the settings."""
    import platform
    from importlib import metadata

    from dlhw.training import distribution

    packages = ("tensorflow", "keras", "numpy")
    versions = {"dlhw": __version__, "python": platform.python_version()}
    versions |= {p: metadata.version(p) for p in packages}
    plan = distribution.plan(context, trainings, together=on_images(settings))
    return {
        "versions": versions,
        "device": distribution.describe(plan.devices),
        "machine": platform.machine(),
        "jobs": context.workers,
        "strategy": plan.kind if plan.workers == 1 else f"{plan.kind}, {plan.workers} workers",
        "xla": context.xla,
        "scheduler": bool(context.scheduler),
    }
