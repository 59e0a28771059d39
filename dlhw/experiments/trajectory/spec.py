"""Settings and results of `trajectory`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import require
from dlhw.models import architectures
from dlhw.present.section import Section, SectionRun
from dlhw.runs.base_settings import BatchSettings, refuse_changed
from dlhw.runs.settings import DatasetDefaults, option

Array = NDArray[np.floating]
Reduction = Literal["pca", "tsne"]
DEFAULT_PERPLEXITY = 30.0
"""scikit-learn's."""
LEAST_POINTS = 4
"""Fewest points for t-SNE: a third of the others is a perplexity of one."""


@dataclass(frozen=True)
class Settings(BatchSettings):
    """Settings of `dlhw trajectory`."""

    epochs: int = option(24, "Passes over the training set.")
    seeds: int = option(8, "Number of trainings.")
    net: str = option(
        "400-9",
        "Net: hidden widths such as 400-9, or layers such as 20c3-p2-100.",
        notation=architectures.IMAGE_NOTATION,
        describe=architectures.describe_layers,
    )
    layer: int = option(1, "Layer that is projected on its own, counted from 1.")
    every: int = option(3, "Epochs between two points of a path.")
    reduce: Reduction = option(
        "pca", "Plane of all paths together: pca, principal components; tsne, in which distances mean nothing."
    )
    perplexity: float = option(
        0.0, "Of tsne: number of neighbours that a point keeps close.", shown="30, or a third of the other points"
    )

    DATASET_DEFAULTS: ClassVar[DatasetDefaults] = {
        "digits": {"net": "50-9", "learning_rate": 0.02},
        "mnist-5k": {"learning_rate": 0.01},
        "cifar10": {"learning_rate": 0.01},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_nets((self.net,), "net")
        require(1 <= self.every <= self.epochs, f"`every` {self.every} must lie in 1..{self.epochs}, the epochs")
        layers = len(self.kernels(self.net))
        require(1 <= self.layer <= layers, f"`layer` {self.layer} must lie in 1..{layers}, the layers with weights")
        if self.reduce == "pca":
            refuse_changed(self, ("perplexity",), "applies to `reduce` tsne, not to pca")
            return
        points = self.seeds * len(self.recorded_epochs)
        require(
            points >= LEAST_POINTS, f"`reduce` tsne needs at least {LEAST_POINTS} points, not {points}; raise `seeds`"
        )
        is_valid = self.perplexity == 0 or 1 <= self.perplexity < points
        require(is_valid, f"`perplexity` {self.perplexity:g} must lie in 1..{points - 1}, below the {points} points")

    @property
    def recorded_epochs(self) -> range:
        """The epochs after which a point of each path is taken."""
        return range(0, self.epochs + 1, self.every)

    def perplexity_of(self, points: int) -> float:
        """Return the perplexity for so many points: that of the settings, or 30, or a third of the other points."""
        return self.perplexity or min(DEFAULT_PERPLEXITY, (points - 1) / 3)

    def parts(self) -> tuple[str, str]:
        """Return the names of what is projected: the whole model and one layer."""
        return "whole model", f"layer {self.layer}"


@dataclass(frozen=True)
class Result:
    """S trainings, n points of a path, E epochs. First axis of what is projected: 0 the whole model, 1 the layer.

    A training that diverged is nan everywhere but in its curves.
    """

    SIZES: ClassVar = {"S": "seeds"}
    epochs: Annotated[NDArray[np.integer], "n"]  # at which the points were taken
    pooled: Annotated[Array, "2, S, n, 2"]  # on the components of all paths together, about their mean
    pooled_explained: Annotated[Array, "2, m"]  # fractions of variance
    own: Annotated[Array, "2, S, n, 2"]  # on the components of each path alone, the end of the path the origin
    own_explained: Annotated[Array, "2, S, n - 1"]
    travelled: Annotated[Array, "2, S"]  # length of the path from point to point, Euclidean
    moved: Annotated[Array, "2, S"]  # distance from start to end
    apart: Annotated[Array, "2, S, S"]  # distances between the ends
    apart_at_start: Annotated[Array, "2, S, S"]
    train_loss: Annotated[Array, "S, E + 1"]
    train_accuracy: Annotated[Array, "S, E + 1"]
    test_loss: Annotated[Array, "S, E + 1"]
    test_accuracy: Annotated[Array, "S, E + 1"]
    diverged_at: Annotated[NDArray[np.integer], "S"]  # epoch, or -1
    seconds: Annotated[tuple[float, ...], "S"]  # wall time, trainings side by side
    compile_seconds: Annotated[tuple[float, ...], "S"]
    tsne: Annotated[Array, "2, S, n, 2"] | None = None  # all points together, with `reduce` tsne
    perplexity: float | None = None  # with which; None too where too few trainings ended


SECTION = Section(
    "1-2 a",
    "The path of the weights",
    assignment_settings=(
        "data",
        "net",
        "epochs",
        "batch_size",
        "learning_rate",
        "momentum",
        "optimizer",
        "activation",
        "init",
        "seeds",
    ),
    captions={
        "pooled": "Paths in one plane: on the principal components of all trainings together, or by t-SNE. "
        "Markers: test accuracy above, training loss below.",
        "own": "Every path on its own components, its end the origin. Markers: accuracy above, loss below.",
        "scree": "Fraction of variance of each component, beside that of a random walk of as many points.",
    },
    pitfalls=(
        "Reading two components with most of the variance as structure: a random walk has as much.",
        "Projecting onto components of all trainings together: they mostly separate the trainings and say little about "
        "any one path.",
        "Reading distances in a picture by t-SNE: sizes of its clusters, and gaps between them, follow from the "
        "perplexity.",
    ),
    quick_settings={"data": "digits", "net": "50-9", "epochs": 24, "learning_rate": 0.02, "seeds": 4},
    runs=(
        SectionRun("Principal components"),
        SectionRun("The same points by t-SNE", {"reduce": "tsne"}, preset="complete"),
    ),
)

TINY = Settings(data="digits", net="6-4", examples=200, epochs=4, every=1, learning_rate=0.05, seeds=2)
