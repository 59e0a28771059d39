"""Searches for the largest rise of a function in the unit cube, from one start each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dlhw.measure.budget import Budget

Array = NDArray[np.floating]
Rise: TypeAlias = Callable[[Array], tuple[float, Array]]
"""A point of the cube -> the rise there and its gradient."""

WINDOW, GROWTH = 10, 0.01
"""A search for the largest rise ends where so many iterations have added less than this share of it."""


class _Best:
    """The largest rise that a search has met, and whether it still grows."""

    def __init__(self) -> None:
        self.largest, self.history = 0.0, [0.0]

    def meet(self, value: float) -> None:
        """Note a rise."""
        if np.isfinite(value):
            self.largest = max(self.largest, float(value))

    def settled(self) -> bool:
        """End an iteration; return whether the last ten have added less than 1 %."""
        self.history.append(self.largest)
        return len(self.history) > WINDOW and self.history[-1 - WINDOW] >= (1 - GROWTH) * self.largest


def climb(rise: Rise, start: Array, iterations: int, budget: Budget) -> tuple[float, bool]:
    """Return the largest rise that L-BFGS-B finds in the unit cube from `start`, and whether it settled."""
    from scipy.optimize import minimize

    best = _Best()
    # L-BFGS-B sees a gradient with entries of about 1: its tolerances are absolute, so that a rise of 1e-5 would pass
    # for none, and its first step is the gradient, which should reach the walls.
    scale = float(np.abs(rise(start)[1]).mean()) or 1.0

    def falling(u: Array) -> tuple[float, Array]:
        value, gradient = rise(u)
        best.meet(value)
        return -value / scale, -gradient / scale

    def after(intermediate_result: Any) -> None:
        if best.settled() or budget.is_spent:
            raise StopIteration

    options = {"maxiter": iterations, "maxfun": 20 * iterations}
    bounds = [(-1, 1)] * len(start)
    end = minimize(falling, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options, callback=after)
    return best.largest, bool(end.success or end.nit < iterations) and not budget.is_spent


def corners(rise: Rise, start: Array, iterations: int, budget: Budget) -> tuple[float, bool]:
    """Return the largest rise found on a walk over corners of the unit cube, and whether it settled."""
    best, u = _Best(), start
    for _ in range(iterations):
        value, gradient = rise(u)
        best.meet(value)
        corner = np.where(gradient == 0, np.sign(u), np.sign(gradient))
        if np.array_equal(corner, u) or best.settled() or not np.isfinite(value):
            return best.largest, True
        if budget.is_spent:
            break
        u = corner
    return best.largest, False
