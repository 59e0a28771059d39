"""How long a measurement of many products takes: progress, an estimate of the seconds to come, and a limit."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import require, warn
from dlhw.measure.operators import Operator

Array = NDArray[np.floating]
Progress: TypeAlias = Callable[[int, int, float], object] | bool | None
"""Called after every product with the number done, the most that are done, and the seconds that the others will take;
True: a line on the standard error output that counts."""

LONG = 60.0
"""Seconds to come from which a measurement that shows no progress and has no limit says so."""


class Budget:
    """Counts the steps of a measurement, mostly products with an operator, and says when its time is up."""

    def __init__(self, what: str, most: int, progress: Progress, max_seconds: float | None, unit: str = "products"):
        """what: the measurement, by the name of its function; most: steps at most."""
        require(
            max_seconds is None or max_seconds > 0,
            f"`max_seconds` {max_seconds} must be positive; leave it out for no limit",
        )
        self.what, self.most, self.unit, self.progress, self.max_seconds = what, most, unit, progress, max_seconds
        self.began, self.first, self._counted, self.done = time.perf_counter(), 0.0, 0, 0
        self._line_is_open = False

    @property
    def is_spent(self) -> bool:
        """Whether no further step should begin."""
        return self.max_seconds is not None and time.perf_counter() - self.began >= self.max_seconds

    def watched(self, a: Operator) -> Watched:
        """Return an operator whose products count as steps."""
        return Watched(a, self)

    def step(self, steps: int = 1) -> None:
        """Count steps that are done, and report."""
        self.done += steps
        if self.first == 0.0:
            self.first, self._counted = time.perf_counter(), self.done
        remaining = self._remaining()
        if callable(self.progress):
            self.progress(self.done, self.most, remaining)
        elif self.progress:
            self._print(remaining)
        elif self._warns(steps, remaining):
            warn(
                f"{self.what}: the remaining {self.most - self.done} {self.unit} take about {in_words(remaining)}; "
                "`progress=True` shows how far it is, `max_seconds` ends it earlier"
            )

    def finish(self) -> None:
        """End the line that counts, where fewer steps were needed."""
        if self._line_is_open:
            print(file=sys.stderr, flush=True)
            self._line_is_open = False

    def _warns(self, steps: int, remaining: float) -> bool:
        """Whether to say now that much is to come: after the second step, as the first one holds the compilation."""
        is_silent = self.progress is None and self.max_seconds is None
        return is_silent and self.done == self._counted + steps and remaining > LONG

    def _remaining(self) -> float:
        """Return the seconds that the remaining steps will take, at the rate of all but the first."""
        now = time.perf_counter()
        steps, since = (self.done - self._counted, self.first) if self.done > self._counted else (self.done, self.began)
        return max(self.most - self.done, 0) * (now - since) / steps

    def _print(self, remaining: float) -> None:
        is_last = self.done >= self.most or self.is_spent
        text = f"{self.what}: {self.done} of {self.most} {self.unit}"
        text += "" if is_last else f", about {in_words(remaining)} to go"
        if sys.stderr.isatty():
            print(f"\r\x1b[K{text}", end="\n" if is_last else "", file=sys.stderr, flush=True)
            self._line_is_open = not is_last
        elif is_last or self.done == self._counted or self.done * 10 // self.most > (self.done - 1) * 10 // self.most:
            print(text, file=sys.stderr, flush=True)


class Watched:
    """An operator whose products count as steps of a budget; no SciPy operator, so that warnings point at the user."""

    def __init__(self, a: Operator, budget: Budget) -> None:
        self.a, self.budget, self.shape, self.dtype = a, budget, a.shape, a.dtype

    def matvec(self, vector: Array) -> Array:
        """Return the product with a vector, (P,)."""
        product = self.a.matvec(vector)
        require(bool(np.isfinite(product).all()), "the operator returns values that are not finite")
        self.budget.step()
        return product


def in_words(seconds: float) -> str:
    """Return a time as people say it: 40 s, 45 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
