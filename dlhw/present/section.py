"""What an experiment contributes to a report, and the curves by which two of its runs are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlhw.choices import Preset


@dataclass(frozen=True)
class SectionRun:
    """One of several runs of an experiment in its section."""

    heading: str  # what it shows, in words
    settings: Mapping[str, Any] = field(default_factory=dict)  # in place of those of the preset
    preset: Preset = "quick"  # the first preset that has it


@dataclass(frozen=True)
class Section:
    """The part of a report that does not depend on numbers."""

    order: str  # place in the assignment, such as "1-2 b"; sections are sorted by it
    title: str
    assignment_settings: tuple[str, ...] = ()  # fields that the assignment fixes; the others are our choice
    captions: Mapping[str, str] = field(default_factory=dict)  # of every figure, by its name
    pitfalls: tuple[str, ...] = ()  # common mistakes, one sentence each (docs/measures.md says more)
    quick_settings: Mapping[str, Any] = field(default_factory=dict)  # of the reduced runs
    answer: str = ""  # code of the findings of which the last answers the question; "": the first finding does
    runs: tuple[SectionRun, ...] = (SectionRun(""),)  # in their order on the page


@dataclass(frozen=True)
class Curve:
    """One curve over seeds."""

    label: str
    x: NDArray[np.floating | np.integer]  # (n,)
    values: NDArray[np.floating]  # (seeds, n)


@dataclass(frozen=True)
class ComparisonCurves:
    """What is drawn of a run when it is compared with others."""

    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    log_x: bool = False
    log_y: bool = False
    at: tuple[float, ...] = ()  # where the table of `dlhw compare` reads the curves; (): at their end
