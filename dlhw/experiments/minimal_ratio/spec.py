"""Settings and results of `minimal-ratio`, and what the end of each search is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from dlhw.choices import Activation, OptimizerName
from dlhw.datasets import functions
from dlhw.errors import require
from dlhw.experiments.minimal_ratio import examples
from dlhw.measure.eigenvalue_signs import LARGEST, Inertia, chance_curvature, inertia
from dlhw.models import architectures
from dlhw.present.section import Section, SectionRun
from dlhw.runs.base_settings import FunctionSettings, refuse_changed
from dlhw.runs.settings import option
from dlhw.seeds import Stream, generator

Array = NDArray[np.floating]

FLAT = 0.1
"""|Hg|/|g| relative to that of a random direction, below which a region counts as gradient-flat."""
FIRST = 100
"""Steps of the shortest training; searches that start earlier all end at the constant output."""
CHECKS = 50
"""Points of the training at which `stop` gradient-norm looks at |g|."""


@dataclass(frozen=True)
class Settings(FunctionSettings):
    """Settings of `dlhw minimal-ratio`."""

    task: Literal["function", "digits"] = option(
        "function", "function: nets fit `func`; digits: 300 real digits, averaged to 4x4 pixels, mean squared error."
    )
    epochs: int = option(10000, "Steps of the longest training.")
    optimizer: OptimizerName = option("adam", "Optimizer of the training.")
    activation: Activation = option(
        "tanh",
        "Activation of the hidden layers; the Hessian of a ReLU net ignores the points where it is not differentiable.",
    )
    seeds: int = option(100, "Number of nets, seed to seed + n - 1.", also=("--runs",))
    net: str = option(
        "3",
        "Hidden widths, such as 3 or 10-10, or deep, middle, shallow.",
        notation=architectures.DENSE_NOTATION,
        describe=architectures.describe,
    )
    lengths: Literal["spread", "equal"] = option(
        "spread",
        "spread: the nets train for 100 to `epochs` steps, logarithmically spaced; equal: all for `epochs` steps.",
    )
    arrival: float = option(1e-8, "Gradient norm below which a net has reached a critical point.")
    hessians: int = option(300, "Largest number of exact Hessians per net.")
    stop: Literal["critical", "gradient-norm"] = option(
        "critical", "gradient-norm: also show the points where the gradient norm first fell below `threshold`."
    )
    threshold: float = option(1e-3, "Gradient norm of `stop` gradient-norm.")
    precision: Literal["float64", "float32"] = option(
        "float64", "float32 shows the effect of rounding on the eigenvalues."
    )
    strict: bool = option(
        False,
        "In figures and trends, count every eigenvalue above 0, including rounding; the table has both.",
        flags="--strict/--tolerant",
    )

    @classmethod
    def other_defaults(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the net for digits."""
        return {"net": "2"} if values.get("task") == "digits" else {}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.task == "digits":
            refuse_changed(self, ("func", "points", "domain", "scale"), "applies to a function, and `task` is digits")
        size = self.parameters
        too_large = f"`net` {self.net} has {size} parameters; whole Hessians are for at most {LARGEST}; use fewer"
        require(size <= LARGEST, too_large)
        require(self.arrival > 0, f"`arrival` {self.arrival:g} must be positive")
        require(self.threshold > 0, f"`threshold` {self.threshold:g} must be positive")
        used = self.stop == "gradient-norm" or self.threshold == type(self).threshold
        require(used, "`threshold` belongs to `stop` gradient-norm; give both, or none")
        require(1 <= self.hessians <= 100_000, f"`hessians` {self.hessians} must lie in 1..100000")

    def unused(self) -> tuple[str, ...]:
        """Return the fields that have no effect under the values of the others."""
        return (*super().unused(), *(("threshold",) if self.stop == "critical" else ()))

    @property
    def sizes(self) -> tuple[int, int]:
        """Inputs and outputs of the nets."""
        return examples.DIGITS_SIZES if self.task == "digits" else (1, 1)

    @property
    def parameters(self) -> int:
        """Number of parameters of the net, P."""
        return architectures.count(architectures.parse(self.net), *self.sizes)

    def data(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return inputs (n, inputs) and targets (n, outputs)."""
        if self.task == "digits":
            return examples.digits()
        x, y = self.samples()
        return x[:, None], y[:, None]

    def steps(self) -> NDArray[np.integer]:
        """Return how many steps each net trains, (S,); that of a seed does not depend on the others."""
        if self.lengths == "equal":
            return np.full(self.seeds, self.epochs)
        first = min(FIRST, self.epochs)
        draws = [generator(s, Stream.TRAINING_LENGTHS).random() for s in self.seed_range]
        return np.array([round(first * (self.epochs / first) ** u) for u in draws])

    def checks(self) -> list[int]:
        """Return the steps at which `stop` gradient-norm looks at |g|."""
        return sorted({round(self.epochs ** (k / CHECKS)) for k in range(CHECKS + 1)} | {self.epochs})

    def nets(self) -> str:
        """Return the nets in a line."""
        formula = "300 digits of 4x4 pixels" if self.task == "digits" else functions.formula(self.func)
        return f"{self.net} {self.activation}, {self.parameters} parameters, {formula}"


@dataclass(frozen=True)
class Result:
    """S nets, P parameters. Everything of a net whose training diverged is nan; arrived is False."""

    SIZES: ClassVar = {"S": "seeds"}
    steps: Annotated[NDArray[np.integer], "S"]  # trained before the search
    start_loss: Annotated[Array, "S"]  # MSE
    start_norm: Annotated[Array, "S"]  # |g|
    loss: Annotated[Array, "S"]  # MSE where the search ended
    gradient_norm: Annotated[Array, "S"]  # |g| there
    eigenvalues: Annotated[Array, "S, P"]  # of the Hessian there, ascending, in the precision of the run
    flatness: Annotated[Array, "S"]  # |H g| / |g| there
    arrived: Annotated[NDArray[np.bool_], "S"]  # |g| < arrival
    finished: Annotated[NDArray[np.bool_], "S"]  # the search ended of itself: at rounding, or where no step lowers |g|
    hessians: Annotated[NDArray[np.integer], "S"]
    correlation: Annotated[Array, "2, 3"]  # Spearman of ratio and log loss, 95 % interval; all nets, critical points
    diverged_at: Annotated[NDArray[np.integer], "S"]  # step, or -1
    seconds: float  # of the training
    compile_seconds: float
    search_seconds: float  # of all searches, over the number that ran side by side
    path_step: Annotated[NDArray[np.integer], "S"] | None = None  # first check under the threshold, or -1
    path_loss: Annotated[Array, "S"] | None = None  # there
    path_norm: Annotated[Array, "S"] | None = None
    path_eigenvalues: Annotated[Array, "S, P"] | None = None
    start_eigenvalues: Annotated[Array, "S, P"] | None = None  # of the Hessian where training stopped
    descended: Annotated[NDArray[np.bool_], "S"] | None = None  # reached by minimizing the loss, not |g|^2


END_KINDS = {
    "critical": "critical points",
    "close": "below the tolerance, search cut off",
    "flat": "gradient-flat region",
    "cut": "search cut off",
    "stalled": "no step lowers |g|",
}
"""How a search can end, with its name in tables and legends."""


def end_kinds(
    loss: Array, flatness: Array, eigenvalues: Array, arrived: NDArray[np.bool_], finished: NDArray[np.bool_]
) -> NDArray[np.str_]:
    """Return what the end of each search is, (S,), a key of END_KINDS; "" where training diverged.

    A critical point requires that the search went on to rounding (:func:`dlhw.measure.critical_point`). Gradient-flat:
    |H g|/|g| below a tenth of that of a random direction (Frye et al. 2021), so that |g|^2 falls slowly.
    """
    with np.errstate(invalid="ignore"):
        is_flat = relative_flatness(flatness, eigenvalues) < FLAT
    kinds = np.where(is_flat, "flat", np.where(finished, "stalled", "cut"))
    kinds = np.where(arrived, np.where(finished, "critical", "close"), kinds)
    return np.where(np.isfinite(loss), kinds, "")


def kinds_of(result: Result) -> NDArray[np.str_]:
    """Return what the end of each search of a result is, (S,)."""
    return end_kinds(result.loss, result.flatness, result.eigenvalues, result.arrived, result.finished)


def relative_flatness(flatness: Array, eigenvalues: Array) -> Array:
    """Return |H g| / |g| relative to that of a random direction, (S,): near 1 chance, 0 where H g = 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(flatness / chance_curvature(eigenvalues))


def signs_of(settings: Settings, eigenvalues: Array) -> tuple[NDArray[np.bool_], Inertia]:
    """Return which nets have a spectrum, (S,), and the inertia of those."""
    finite = np.asarray(np.isfinite(eigenvalues).all(axis=1))
    values = eigenvalues[finite] if finite.any() else np.ones((1, eigenvalues.shape[1]))
    return finite, inertia(values, 0.0 if settings.strict else None)


def ratios(settings: Settings, eigenvalues: Array) -> Array:
    """Return the minimal ratio of every net, (S,); nan where there is no spectrum."""
    finite, signs = signs_of(settings, eigenvalues)
    out = np.full(len(finite), np.nan)
    out[finite] = signs.minimal_ratio[: int(finite.sum())]
    return out


SECTION = Section(
    "1-2 c",
    "What happens when the gradient is almost zero",
    captions={
        "ratio": "Left: fraction of positive eigenvalues against loss; filled: critical points; hollow: searches that "
        "ended short of one. Right: the usual mistake, the same fraction where the training stopped.",
        "spectra": "Eigenvalues of three critical points, in order: those of lowest, median and highest loss, or ratio "
        "where all have one loss; grey: zero to rounding.",
        "signs": "Positive, zero and negative eigenvalues of every net, in order of its loss.",
    },
    pitfalls=(
        "Stopping at a small gradient norm on the way down the loss: such a point is not a critical point, and the "
        "signs there say nothing about one.",
        "Counting every eigenvalue above 0: those of size 1e-17 are rounding, half of them positive, and the ratio is "
        "drawn towards one half.",
        "Using float32: its rounding hides all eigenvalues below about 1e-5 of the largest.",
        "Taking a minimizer of |g|² that ends where Hg = 0 but g does not for a critical point.",
        "Ending the search at |g| = 1e-8: near a degenerate point, curvatures of 1e-4 then mean nothing but nearness.",
    ),
    answer="distinct-losses",
    quick_settings={"seeds": 16, "epochs": 3000, "hessians": 200},
    runs=(
        SectionRun("A small net on a function"),
        SectionRun("A small net on images of digits", {"task": "digits"}, preset="complete"),
        SectionRun("Also where training first has a small gradient", {"stop": "gradient-norm"}, preset="complete"),
        SectionRun(
            "In float32, every eigenvalue above zero counted",
            {"precision": "float32", "strict": True},
            preset="complete",
        ),
    ),
)

TINY = Settings(net="3", epochs=20, points=20, seeds=3, hessians=12)
