"""An experiment as a value, and the registry: every module of `dlhw.experiments` is an experiment.

Runs of :data:`RECORDED` are stored, read, drawn and compared like those of experiments, and no command makes them.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import functools
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from dlhw.errors import UserError, require
from dlhw.runs import flags

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dlhw.present.interactive import InteractiveFigure
    from dlhw.present.section import ComparisonCurves, Section
    from dlhw.present.tables import Summary
    from dlhw.runs.context import Context

S = TypeVar("S")  # Settings
R = TypeVar("R")  # Result

FOLDER = Path(__file__).parents[1] / "experiments"
RECORDED: Mapping[str, str] = {"watch": "dlhw.watch.experiment"}
"""Runs that programs of users record: name -> module, which defines what an experiment defines."""


@dataclass(frozen=True)
class Experiment(Generic[S, R]):
    """What an experiment offers; made from its module by :meth:`of`."""

    name: str  # of the command, such as sweep-batch
    description: str  # the docstring of the module; its first line is the question
    settings: type[S]
    result: type[R]
    tiny: S  # settings of a run of about a second
    run: Callable[[S, Context], R]
    figures: Callable[[S, R], dict[str, Figure]]
    summary: Callable[[S, R], Summary]
    section: Section
    series: Callable[[S, R], ComparisonCurves] | None = None
    animation: Callable[[S, R], tuple[Callable[[int], Figure], int]] | None = None
    check_animation: Callable[[S], None] | None = None
    pages: Callable[[S, R], dict[str, str]] | None = None
    interactive: Callable[[S, R], dict[str, InteractiveFigure]] | None = None
    check_inputs: Callable[[S, Context], None] | None = None

    @classmethod
    def of(cls, module: ModuleType, name: str) -> Experiment[Any, Any]:
        """Return the experiment that a module defines.

        Args:
            module: with `Settings`, `Result`, `TINY`, `run`, `figures`, `summary` and, optionally, `SECTION`, `series`,
                `animation`, `check_animation`, `pages`, `interactive`, `check_inputs`.
            name: of the command.

        Raises:
            TypeError: if the module lacks a required part.
        """
        from dlhw.present.section import Section

        required = ("Settings", "Result", "TINY", "run", "figures", "summary")
        missing = [part for part in required if not hasattr(module, part)]
        if missing or not module.__doc__:
            raise TypeError(f"{module.__file__} lacks {', '.join(missing) or 'a docstring'}")
        optional = ("series", "animation", "check_animation", "pages", "interactive", "check_inputs")
        return cls(
            name,
            module.__doc__,
            module.Settings,
            module.Result,
            module.TINY,
            module.run,
            module.figures,
            module.summary,
            getattr(module, "SECTION", Section("9", name)),
            **{part: getattr(module, part, None) for part in optional},
        )

    @property
    def question(self) -> str:
        """The first line of the description."""
        return self.description.split("\n", 1)[0]

    @property
    def recorded(self) -> bool:
        """Whether its runs are recorded from programs of users, and no command makes them."""
        return self.name in RECORDED

    def label(self, field: dataclasses.Field[Any]) -> str:
        """Return what a setting is called: its option; in words where no command has it."""
        return field.name.replace("_", " ") if self.recorded else flags.label(field)

    def spelled(self, text: str) -> str:
        """Return a sentence as it is shown, with the options of the command in place of the arguments that it names."""
        return text if self.recorded else flags.with_flags(text)

    def dataset(self, settings: S) -> str:
        """Return the image data set that a run with these settings reads, or ""."""
        return str(getattr(settings, "dataset", ""))

    def check_can_animate(self, settings: S) -> None:
        """Raise UserError if a run with these settings cannot be animated."""
        if self.animation is None:
            animated = [name for name in names() if get(name).animation is not None]
            raise UserError(
                f"`animate`: {self.name} has no animation; {', '.join(animated[:-1])} and {animated[-1]} do"
            )
        if self.check_animation is not None:
            self.check_animation(settings)

    def quick_settings(self) -> S:
        """Return the reduced settings of a quick report."""
        quick: Mapping[str, Any] = self.section.quick_settings
        return self.settings(**quick) if quick else self.tiny


def names() -> list[str]:
    """Return the names of all experiments, in alphabetical order."""
    files = [p.stem for p in FOLDER.glob("*.py")] + [p.parent.name for p in FOLDER.glob("*/__init__.py")]
    return sorted(name.replace("_", "-") for name in files if not name.startswith("_"))


def question(name: str) -> str:
    """Return the first line of an experiment's docstring, read without importing it."""
    stem = name.replace("-", "_")
    file = FOLDER / f"{stem}.py"
    file = file if file.is_file() else FOLDER / stem / "__init__.py"
    return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").split("\n", 1)[0]


def get(name: str) -> Experiment[Any, Any]:
    """Return the experiment called `name`; UserError with the closest name if there is none."""
    close = difflib.get_close_matches(name, names(), n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    require(name in RECORDED or name in names(), f"unknown experiment {name!r}; {hint}available: {', '.join(names())}")
    return _load(name)


@functools.cache
def _load(name: str) -> Experiment[Any, Any]:
    module = RECORDED.get(name) or f"dlhw.experiments.{name.replace('-', '_')}"
    return Experiment.of(importlib.import_module(module), name)
