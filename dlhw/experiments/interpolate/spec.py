"""Settings and results of `interpolate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from dlhw.choices import Matching
from dlhw.errors import UserError, require
from dlhw.measure.barriers import alpha_grid
from dlhw.models import architectures
from dlhw.present.section import Section, SectionRun
from dlhw.runs.base_settings import BatchSettings
from dlhw.runs.settings import DatasetDefaults, option
from dlhw.runs.variations import PAIRED, Training, Value, Variable, training, variable

OTHER_WAYS = ("optimizer=sgd,adam", "weight-decay=0,0.1")
"""Pairs of the complete report beside those of the assignment's."""


@dataclass(frozen=True)
class Settings(BatchSettings):
    """Settings of `dlhw interpolate`."""

    epochs: int = option(30, "Passes over the training set.")
    net: str = option(
        "10c5-p2-20c5-p2-50",
        "Net: deep, wide, plain, or layers such as 20c3-p2-100.",
        notation=architectures.IMAGE_NOTATION,
        describe=architectures.describe_layers,
    )
    by: tuple[str, ...] = option(
        ("batch-size=64,512", "learning-rate=0.001,0.01"),
        "How A and B differ: batch-size=64,512, optimizer=sgd,adam, weight-decay=0,1e-3, momentum, learning-rate, "
        "epochs, init, decay, label-noise, or by nothing but chance, seed=0,1; may be repeated.",
        whole=True,
    )
    own_start: bool = option(
        True, "Start A and B from different initial weights, or from the same.", flags="--own-start/--shared-start"
    )
    alphas: tuple[float, ...] = option(
        tuple(round(-1 + 0.05 * k, 2) for k in range(61)),
        "Points of the line; 0 and 1 are added where missing.",
        shown="-1 to 2 by 0.05",
    )
    align: bool = option(
        False,
        "Also measure the line to B with its hidden units permuted to match those of A.",
        flags="--align/--no-align",
    )
    matching: Matching = option(
        "weights", "What is alike in units that align pairs: their weights, activations, or correlation on the images."
    )
    curve: bool = option(
        False, "Also train a curve of low loss from A to B, a quadratic Bezier curve.", flags="--curve/--no-curve"
    )
    curve_epochs: int = option(10, "Passes over the training set in which the bend of the curve is trained.")

    DATASET_DEFAULTS: ClassVar[DatasetDefaults] = {
        "digits": {
            "net": "8c3-p2-30",
            "by": ("batch-size=32,256", "learning-rate=0.01,0.1"),
            "batch_size": 32,
            "learning_rate": 0.01,
            "curve_epochs": 100,
        },
        "mnist-5k": {
            "by": ("batch-size=64,512", "learning-rate=0.01,0.05"),
            "learning_rate": 0.01,
            "curve_epochs": 50,
        },
        "cifar10": {"by": ("batch-size=64,512", "learning-rate=0.005,0.02"), "learning_rate": 0.005},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_nets((self.net,), "net")
        require(len(self.by) > 0, "`by` is empty; give at least one pair, such as batch-size=64,512")
        require(len(set(map(parse, self.by))) == len(self.by), "`by` names a pair twice")
        for text in self.by:
            try:
                self.ends(text)
            except UserError as error:
                raise UserError(f"`by` {text!r}: {error}") from None
        require(len(self.alphas) > 0, "`alphas` is empty; give points such as -1,0,0.5,1,2")
        require(1 <= self.curve_epochs <= 100_000, f"`curve_epochs` {self.curve_epochs} must lie in 1..100000")
        is_used = self.align or self.matching == type(self).matching
        require(is_used, "`matching` applies to `align`, which is off; leave it out")
        own = self.DATASET_DEFAULTS.get(self.data, {}).get("curve_epochs")
        is_used = self.curve or self.curve_epochs in (type(self).curve_epochs, own)
        require(is_used, "`curve_epochs` applies to `curve`, which is off; leave it out")

    def unused(self) -> tuple[str, ...]:
        """Return the fields that have no effect under the values of the others."""
        details = (("matching", self.align), ("curve_epochs", self.curve), ("align", self.align), ("curve", self.curve))
        return (*super().unused(), *(name for name, is_used in details if not is_used))

    @property
    def grid(self) -> NDArray[np.floating]:
        """The alphas in order, 0 and 1 among them, (G,)."""
        return alpha_grid(self.alphas)

    @property
    def between(self) -> NDArray[np.floating]:
        """The alphas from A to B, (K,): where a curve is measured."""
        return self.grid[(self.grid >= 0) & (self.grid <= 1)]

    def ends(self, text: str) -> list[Training]:
        """Return the trainings of A and of B."""
        what, values = parse(text)
        return [training(self, self.net, what.name, value) for value in values]

    def trainings(self) -> list[Training]:
        """Return every training of a seed, once; pairs may share one."""
        return list(dict.fromkeys(end for text in self.by for end in self.ends(text)))


def parse(text: str) -> tuple[Variable, tuple[Value, Value]]:
    """Parse "batch-size=64,512" into the variable and its values at A and at B."""
    key, _, both = text.partition("=")
    what = variable(key, PAIRED, f"`by` {text!r}:")
    words = both.split(",")
    require(len(words) == 2, f"`by` {text!r} has {len(words)} values, not two; write {key}=A,B")
    try:
        a, b = (what.parse(word.strip()) for word in words)
    except UserError as error:
        raise UserError(f"`by` {text!r}: {error}") from None
    require(a != b, f"`by` {text!r}: A and B are the same; give two values")
    return what, (a, b)


def words(text: str) -> str:
    """Return a pair in words: "batch-size=64,512" -> "batch size 64 and 512"."""
    what, (a, b) = parse(text)
    return f"{what.axis} {what.text(a)} and {what.text(b)}"


@dataclass(frozen=True)
class Result:
    """R pairs, S seeds, G alphas. Nothing of a line is finite if one of its ends diverged."""

    SIZES: ClassVar = {"R": "by", "S": "seeds"}
    alphas: Annotated[NDArray[np.floating], "G"]
    train_loss: Annotated[NDArray[np.floating], "R, S, G"]  # cross entropy in nats
    train_accuracy: Annotated[NDArray[np.floating], "R, S, G"]  # fraction in [0, 1]
    test_loss: Annotated[NDArray[np.floating], "R, S, G"]
    test_accuracy: Annotated[NDArray[np.floating], "R, S, G"]
    curvature: Annotated[NDArray[np.floating], "R, S, 2"]  # second derivative of the training loss by alpha, at A and B
    distance: Annotated[NDArray[np.floating], "R, S"]  # |A - B|
    diverged_at: Annotated[NDArray[np.integer], "R, S"]  # first epoch at which A or B diverged, or -1
    seconds: tuple[float, ...]  # of every training, the seeds of one after the other
    line_seconds: Annotated[tuple[float, ...], "R S"]
    example_images: Annotated[NDArray[np.integer], "E, H, W, D"] | None = None  # of the test set, one per class; 0-255
    example_labels: Annotated[NDArray[np.integer], "E"] | None = None
    example_probabilities: Annotated[NDArray[np.floating], "R, G, E, C"] | None = None  # softmax, pairs of first seed
    aligned_train_loss: Annotated[NDArray[np.floating], "R, S, G"] | None = None  # after the units of B are permuted
    aligned_train_accuracy: Annotated[NDArray[np.floating], "R, S, G"] | None = None
    aligned_test_loss: Annotated[NDArray[np.floating], "R, S, G"] | None = None
    aligned_test_accuracy: Annotated[NDArray[np.floating], "R, S, G"] | None = None
    aligned_distance: Annotated[NDArray[np.floating], "R, S"] | None = None  # |A - P(B)|
    moved_units: Annotated[NDArray[np.floating], "R, S"] | None = None  # fraction of the hidden units with a new place
    curve_positions: Annotated[NDArray[np.floating], "K"] | None = None  # from 0 at A to 1 at B
    curve_train_loss: Annotated[NDArray[np.floating], "R, S, K"] | None = None  # along the Bezier curve
    curve_train_accuracy: Annotated[NDArray[np.floating], "R, S, K"] | None = None
    curve_test_loss: Annotated[NDArray[np.floating], "R, S, K"] | None = None
    curve_test_accuracy: Annotated[NDArray[np.floating], "R, S, K"] | None = None


SECTION = Section(
    "1-3 c 1",
    "Flatness: the line between two nets",
    assignment_settings=(
        "data",
        "epochs",
        "batch_size",
        "learning_rate",
        "momentum",
        "optimizer",
        "activation",
        "init",
        "by",
    ),
    captions={
        "line": "Loss (left, logarithmic) and accuracy (right) along the line, training solid, test dashed.",
        "paths": "From A to B on the line, on the line after alignment, and on the curve: loss, accuracy, and the "
        "heights of the barrier by both definitions, a dot for every seed.",
    },
    pitfalls=(
        "Choosing a grid that misses both ends: the ends of the plot are then worse than the trained nets.",
        "Reading the width of a valley as flatness: it depends on the length of the line and the scale of the weights.",
        "Using the batch statistics of one end along the whole line.",
        "Taking the barrier between nets of different starts for a property of the minima: hidden units may be in "
        "another order, and a permutation of them moves a net without changing what it computes.",
    ),
    quick_settings={
        "data": "digits",
        "net": "8c3-p2-30",
        "epochs": 15,
        "by": ("batch-size=32,256", "learning-rate=0.01,0.1"),
        "batch_size": 32,
        "learning_rate": 0.01,
        "seeds": 2,
    },
    runs=(
        SectionRun("Batch size, and learning rate"),
        SectionRun("Optimizer, and weight decay", {"by": OTHER_WAYS}, preset="complete"),
        SectionRun("After alignment, and along a curve", {"align": True, "curve": True}, preset="complete"),
        SectionRun("The same from one start", {"align": True, "curve": True, "own_start": False}, preset="complete"),
    ),
)

TINY = Settings(
    data="digits",
    net="8",
    by=("batch-size=20,50",),
    alphas=(-0.5, 0.5, 1.5),
    examples=100,
    epochs=2,
    learning_rate=0.05,
    seeds=2,
)
