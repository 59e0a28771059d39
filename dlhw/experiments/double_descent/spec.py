"""Settings and results of `double-descent`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import require
from dlhw.present.section import Section, SectionRun
from dlhw.runs.base_settings import BatchSettings, refuse_changed
from dlhw.runs.settings import DatasetDefaults, option

Array = NDArray[np.floating]

PENALTIES = tuple(10.0**k for k in range(-5, 3))
"""Ridge penalties among which the validation images select: lambda in |A w - y|^2 + lambda |w|^2."""

LARGEST_MATRIX = 500_000_000
"""Most numbers of the matrix of examples and features, which every solution holds, and its factors beside it."""

UNUSED = ("precision", "full_train_metrics")
"""Fields of all trainings on images that have no effect here."""


@dataclass(frozen=True)
class Settings(BatchSettings):
    """Settings of `dlhw double-descent`."""

    examples: int = option(4000, "Training examples n, a stratified subset.")
    noise: tuple[float, ...] = option((0.0, 0.2), "Fractions of the training labels that are shuffled.")
    ratios: tuple[float, ...] = option(
        (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.5, 2.0, 4.0),
        "Numbers of random features, as multiples of n.",
    )
    nets: bool = option(True, "Train nets of one hidden layer too.", flags="--nets/--no-nets")
    net_ratios: tuple[float, ...] = option(
        (0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 2.0, 4.0),
        "Parameters of the nets, as multiples of n times the number of classes.",
    )
    bandwidth: float = option(0.5, "Width of the Gaussian kernel of the features, in median distances of images.")
    validation: int = option(1000, "Training examples outside the subset that select the penalty and the epoch.")
    epochs: int = option(300, "Passes over the training examples, of a net.")
    batch_size: int = option(100, "Examples per step.")
    learning_rate: float = option(0.02, "Step size of the optimizer.")

    DATASET_DEFAULTS: ClassVar[DatasetDefaults] = {
        "digits": {"examples": 400, "validation": 300, "batch_size": 50},
        "mnist-5k": {"examples": 2000, "validation": 500},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_changed(self, UNUSED, "has no effect on double-descent")
        limit = self.info.train
        require(self.examples >= 2, f"`examples` {self.examples} must be at least 2; the subset is the threshold")
        require(self.validation >= 1, f"`validation` {self.validation} must be positive")
        require(
            self.examples + self.validation <= limit,
            f"`examples` {self.examples} and `validation` {self.validation} exceed the {limit} training examples of "
            f"{self.data}; lower one",
        )
        require(len(self.noise) > 0, "`noise` is empty; give at least one fraction, such as 0,0.2")
        require(len(set(self.noise)) == len(self.noise), "`noise` names a fraction twice")
        for fraction in self.noise:
            require(0 <= fraction <= 1, f"`noise` {fraction:g} must lie in [0, 1]: the fraction that is shuffled")
        _check_ratios(self.ratios, "ratios")
        _check_ratios(self.net_ratios, "net_ratios")
        if not self.nets:
            refuse_changed(self, ("net_ratios",), "applies to nets, and `nets` is off")
        entries = self.examples * max(self.features)
        require(
            entries <= LARGEST_MATRIX,
            f"`ratios` {max(self.ratios):g} of {self.examples} examples make a matrix of {entries:,} numbers (at most "
            f"{LARGEST_MATRIX:,}, 4 GB); lower it, or `examples`",
        )
        is_positive = 0 < self.bandwidth < math.inf
        require(is_positive, f"`bandwidth` {self.bandwidth:g} must be positive, in median distances")

    def unused(self) -> tuple[str, ...]:
        """Return the fields that have no effect under the values of the others."""
        without_nets = () if self.nets else ("net_ratios", "epochs", "batch_size", "learning_rate", "optimizer", "init")
        return (*super().unused(), *UNUSED, *without_nets)

    @property
    def features(self) -> tuple[int, ...]:
        """Numbers of random features, ascending."""
        return tuple(sorted({max(1, round(ratio * self.examples)) for ratio in self.ratios}))

    @property
    def inputs(self) -> int:
        """Numbers of an image."""
        return math.prod(self.info.shape)

    @property
    def widths(self) -> tuple[int, ...]:
        """Hidden units of the nets, ascending; () without nets."""
        classes, inputs = self.info.classes, self.inputs
        asked = (ratio * self.threshold_of_nets - classes for ratio in self.net_ratios if self.nets)
        return tuple(sorted({max(1, round(p / (inputs + 1 + classes))) for p in asked}))

    @property
    def threshold_of_nets(self) -> int:
        """Number of parameters of a net from which it has one for every training target: n times the classes."""
        return self.examples * self.info.classes


def _check_ratios(ratios: tuple[float, ...], name: str) -> None:
    """Refuse multiples that do not lie on both sides of the interpolation threshold."""
    require(len(set(ratios)) == len(ratios), f"`{name}` names a multiple twice")
    for ratio in ratios:
        require(0 < ratio <= 1000, f"`{name}` {ratio:g} must lie in (0, 1000], a multiple of the threshold")
    both = bool(ratios) and min(ratios) < 1 < max(ratios)
    given = ", ".join(f"{ratio:g}" for ratio in ratios) or "none"
    require(both, f"`{name}` must have multiples below and above 1, the threshold; add 0.5 or 2 (given: {given})")


@dataclass(frozen=True)
class Result:
    """L noise levels, P numbers of features, H widths, S seeds. Losses are squared errors, summed over the classes.

    Errors are fractions in [0, 1]; those of training examples count the labels trained on.
    """

    SIZES: ClassVar = {"L": "noise", "S": "seeds"}
    features: Annotated[NDArray[np.integer], "P"]
    train_error: Annotated[Array, "L, P, S"]  # of the solution of least norm
    test_error: Annotated[Array, "L, P, S"]
    train_loss: Annotated[Array, "L, P, S"]
    test_loss: Annotated[Array, "L, P, S"]
    norm: Annotated[Array, "L, P, S"]  # of its coefficients, for features scaled by 1 / sqrt(p)
    ridge_test_error: Annotated[Array, "L, P, S"]  # at the penalty that the validation images select
    ridge_test_loss: Annotated[Array, "L, P, S"]
    ridge_norm: Annotated[Array, "L, P, S"]
    ridge_penalty: Annotated[Array, "L, P, S"]
    widths: Annotated[NDArray[np.integer], "H"]
    parameters: Annotated[NDArray[np.integer], "H"]
    net_train_error: Annotated[Array, "L, H, S"]  # after the last epoch
    net_test_error: Annotated[Array, "L, H, S"]
    net_train_loss: Annotated[Array, "L, H, S"]
    net_test_loss: Annotated[Array, "L, H, S"]
    net_norm: Annotated[Array, "L, H, S"]  # of all weights and biases
    early_test_error: Annotated[Array, "L, H, S"]  # after the epoch of the lowest validation loss
    early_test_loss: Annotated[Array, "L, H, S"]
    early_epoch: Annotated[Array, "L, H, S"]
    diverged_at: Annotated[NDArray[np.integer], "L, H, S"]  # epoch, or -1
    seconds: float  # wall time of all solutions and trainings, one after the other


SECTION = Section(
    "1-3 c 2 e",
    "Double descent: parameters and generalization through the interpolation threshold",
    captions={
        "features": "Test error, training error and norm of random features against their number; dotted: p = n.",
        "nets": "The same of nets with one hidden layer, trained to the last epoch and stopped early; dotted: one "
        "parameter for every training target.",
    },
    pitfalls=(
        "Varying the number of parameters on one side of the threshold only: the test error then seems to rise, or to "
        "fall, for good.",
        "Comparing nets of different size that have not fitted the training labels: there is no interpolation, and so "
        "no peak.",
        "Choosing the penalty or the epoch by the test images: the peak then vanishes by selection.",
    ),
    quick_settings={
        "data": "digits",
        "examples": 200,
        "validation": 200,
        "ratios": (0.05, 0.25, 0.5, 0.8, 1.0, 1.25, 2.0, 5.0),
        "net_ratios": (0.1, 0.3, 0.6, 1.0, 1.6, 4.0),
        "epochs": 100,
        "batch_size": 50,
        "seeds": 2,
    },
    answer="double-descent",
    runs=(SectionRun("Test error through the interpolation threshold", preset="complete"),),
)

TINY = Settings(
    data="digits",
    examples=40,
    validation=30,
    noise=(0.0, 0.5),
    ratios=(0.25, 1.0, 4.0),
    net_ratios=(0.2, 2.0),
    epochs=3,
    batch_size=20,
    seeds=2,
)
