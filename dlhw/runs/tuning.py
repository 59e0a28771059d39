"""The settings of `tune`: a grid of learning rates, and which of them each net gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import require
from dlhw.runs.base_settings import TrainingSettings, refuse_changed
from dlhw.runs.settings import option
from dlhw.seeds import extra_seed

Array = NDArray[np.floating]
HALF_DECADES = range(-3, 4)
"""Learning rates of the default grid, in half decades from the learning rate of the settings."""
VALIDATION_SHARE = 10
"""One training image in so many is held out while learning rates are tuned."""


@dataclass(frozen=True)
class TuningSettings(TrainingSettings):
    """Fields of an experiment that can tune its learning rates."""

    tune: bool = option(
        False,
        "Choose the learning rate of every net from a grid, on seeds that are not reported.",
        flags="--tune/--no-tune",
    )
    tune_rates: tuple[float, ...] = option(
        (), "Grid of learning rates.", shown="seven around the learning rate, half a decade apart"
    )
    tune_seeds: int = option(3, "Trainings of every net at every rate of the grid.")

    def check_tuning(self) -> None:
        """Raise UserError for values out of range, and for a grid that would not be used."""
        if not self.tune:
            refuse_changed(self, ("tune_rates", "tune_seeds"), "applies to a run with `tune`")
            return
        given = self.tune_rates
        shown = ", ".join(f"{rate:g}" for rate in given)
        require(not given or len(given) >= 2, f"`tune_rates` {shown} is one rate; name at least two")
        require(len(set(given)) == len(given), f"`tune_rates` {shown} names a rate twice")
        require(all(rate > 0 for rate in given), f"`tune_rates` {shown}: every rate must be positive")
        limit, decay = 1 / max(self.rates), self.weight_decay
        within = f"must lie in [0, {limit:g}), 1 / the largest rate of the grid"
        require(decay < limit, f"`weight_decay` {decay:g} {within}")
        require(1 <= self.tune_seeds <= 100, f"`tune_seeds` {self.tune_seeds} must lie in 1..100")

    @property
    def rates(self) -> tuple[float, ...]:
        """The grid, in ascending order."""
        if self.tune_rates:
            return tuple(sorted(self.tune_rates))
        return tuple(
            float(f"{self.learning_rate * 10 ** (k / 2):.3g}") if k else self.learning_rate for k in HALF_DECADES
        )

    @property
    def tuning_seeds(self) -> list[int]:
        """The seeds on which rates are chosen; a user cannot give them, so that none is reported."""
        return [extra_seed(self.seed, k) for k in range(1, self.tune_seeds + 1)]


def choose(scores: Array) -> NDArray[np.integer]:
    """Return the position of the rate with the lowest median score of every net, (N,); -1 where all have diverged.

    Args:
        scores: late losses, (N, rates, seeds); nan where a training diverged, and its rate is not chosen.
    """
    medians = np.median(np.asarray(scores, np.float64), axis=-1)  # nan if one of the seeds is
    finite = np.where(np.isfinite(medians), medians, np.inf)
    return np.where(np.isfinite(finite).any(axis=-1), finite.argmin(axis=-1), -1)


def chosen_rates(names: Sequence[str], scores: Array, rates: Sequence[float]) -> Array:
    """Return the chosen rate of every net, (N,).

    Args:
        names: of the nets.
        scores: as in :func:`choose`.
        rates: of the grid.

    Raises:
        UserError: if a net diverged at every rate.
    """
    places = choose(scores)
    lost = [name for name, place in zip(names, places, strict=True) if place < 0]
    require(
        not lost,
        f"{' and '.join(lost)} diverged at every learning rate from {min(rates):g} to {max(rates):g}; name lower "
        "`tune_rates`",
    )
    return np.asarray(rates, np.float64)[places]
