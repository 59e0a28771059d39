"""What an experiment says of itself in a report, and the curves by which two of its runs are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Section:
    """The part of a report that does not depend on numbers."""

    place: str  # in the assignment, such as "1-2 b"; sections come in this order
    title: str
    fixed: tuple[str, ...] = ()  # names of the settings that the assignment's report fixes; the others are our choice
    captions: Mapping[str, str] = field(default_factory=dict)  # of every figure, by its name
    mistakes: tuple[str, ...] = ()  # how this is usually got wrong, a sentence each (docs/measures.md tells more)
    quick: Mapping[str, Any] = field(default_factory=dict)  # settings of the reduced run


@dataclass(frozen=True)
class Line:
    """One curve over seeds."""

    label: str
    x: NDArray[Any]  # (n,)
    values: NDArray[np.floating]  # (seeds, n)


@dataclass(frozen=True)
class Series:
    """What is drawn of a run when it is compared with others."""

    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    log_x: bool = False
    log_y: bool = False
    at: tuple[float, ...] = ()  # where the table of `dlhw compare` reads the curves, at the nearest points; (): the end


def of(module: Any, name: str) -> Section:
    """The section of an experiment; one that says nothing of itself comes last, under its own name."""
    return getattr(module, "SECTION", Section("9", name))
