"""The animation of `landscape`: the path, growing over the contour."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.figure import Figure

from dlhw.errors import UserError, require
from dlhw.experiments.landscape.contours import growing_path
from dlhw.experiments.landscape.spec import Result, Settings


def check_animation(settings: Settings) -> None:
    """Raise UserError where there is no path that could grow."""
    no_path = f"`animate`: `plane` {settings.plane} has no path that could grow; leave one out"
    require(settings.plane == "path", no_path)


def animation(settings: Settings, result: Result) -> tuple[Callable[[int], Figure], int]:
    """Animate the path of the first net over the filled contour; UserError if there is no path."""
    if result.frames is None:
        raise UserError(f"`plane` {settings.plane} has no path that could grow; `plane` path has one")
    return lambda k: growing_path(settings, result, k), len(result.frames)
