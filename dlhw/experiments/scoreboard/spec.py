"""Settings and results of `scoreboard`."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import require
from dlhw.experiments.scoreboard.axes import AXES, Axis, Configuration
from dlhw.models import architectures
from dlhw.present.section import Section, SectionRun
from dlhw.runs.base_settings import ImageSettings, refuse_changed
from dlhw.runs.settings import DatasetDefaults, option
from dlhw.runs.variations import check_width

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Settings(ImageSettings):
    """Settings of `dlhw scoreboard`."""

    examples: int = option(4000, "Training examples, a stratified subset; 0 takes all.")
    epochs: int = option(150, "Most epochs of a training; one that has not reached `target_loss` by then is left out.")
    seeds: int = option(2, "Number of repeats.")
    net: str = option(
        "64-32",
        "Net of width 1: layers such as 20c3-p2-100.",
        notation=architectures.IMAGE_NOTATION,
        describe=architectures.describe_layers,
    )
    batch_sizes: tuple[int, ...] = option((32, 128), "Batch sizes.")
    learning_rates: tuple[float, ...] = option((0.02, 0.06), "Learning rates.")
    widths: tuple[float, ...] = option((0.5, 1, 2), "Widths: factors of the filters and units of the net.")
    weight_decays: tuple[float, ...] = option((0, 0.003), "Weight decays.")
    radii: tuple[float, ...] = option((0, 0.05), "Radii of sharpness-aware minimization (SAM); 0 trains without it.")
    target_loss: float = option(0.01, "Training loss at which every training stops, tested after every epoch.")
    curvature_examples: int = option(500, "Training examples on which the measures are taken.")

    DATASET_DEFAULTS: ClassVar[DatasetDefaults] = {
        "digits": {"examples": 0, "net": "32-16"},
        "mnist-5k": {"examples": 0},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("learning_rate", "weight_decay"):
            refuse_changed(self, (name,), f"is what `{name}s` varies")
        for axis in AXES:
            values = getattr(self, axis.field)
            require(len(values) > 0, f"`{axis.field}` is empty; give at least one value")
            require(len(set(values)) == len(values), f"`{axis.field}` names a value twice")
        require(len(self.configurations) > 1, "one configuration cannot be ranked; give an axis two values")
        for size in self.batch_sizes:
            self.check_batch(size, "`batch_sizes`")
        for radius in self.radii:
            require(radius >= 0, f"`radii` {radius:g} must be positive, or 0 for trainings without SAM")
        for width in self.widths:
            check_width(width, "`widths`")
        nets = [configuration.net(self) for configuration in self.configurations]
        self.check_nets(tuple(dict.fromkeys(nets)), "net")
        for configuration in self.configurations:
            configuration.settings(self)  # refuses values out of range
        require(self.target_loss > 0, f"`target_loss` {self.target_loss:g} must be positive")
        n, most = self.curvature_examples, self.training_examples
        require(2 <= n <= most, f"`curvature_examples` {n} must lie in 2..{most}, the training examples of {self.data}")

    @property
    def configurations(self) -> tuple[Configuration, ...]:
        """Every combination of the values of the axes; nets of one width come one after the other."""
        return tuple(Configuration(*values) for values in itertools.product(*(getattr(self, a.field) for a in AXES)))

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes with more than one value."""
        return tuple(axis for axis in AXES if len(getattr(self, axis.field)) > 1)

    @property
    def levels(self) -> NDArray[np.integer]:
        """Position of the value of every axis in every configuration, (C, axes of :data:`AXES`)."""
        return np.array(list(itertools.product(*(range(len(getattr(self, a.field))) for a in AXES))))

    def unused(self) -> tuple[str, ...]:
        """Return the fields that have no effect under the values of the others."""
        return (*super().unused(), "learning_rate", "weight_decay")


@dataclass(frozen=True)
class Result:
    """C configurations, S seeds. Nothing of a training that diverged is finite, no measure of one above the target."""

    SIZES: ClassVar = {"C": "configurations", "S": "seeds"}
    train_loss: Annotated[Array, "C, S"]  # cross entropy in nats, where the training ended
    train_accuracy: Annotated[Array, "C, S"]  # fraction in [0, 1]
    test_loss: Annotated[Array, "C, S"]
    test_accuracy: Annotated[Array, "C, S"]
    gap_error: Annotated[Array, "C, S"]  # standard error of test loss - train loss over the images
    epochs: Annotated[Array, "C, S"]  # where the training ended
    squared_norm: Annotated[Array, "C, S"]  # sum of the squares of all weights and biases
    spectral_product: Annotated[Array, "C, S"]  # sum over the layers of log |A|^2, |A| the spectral norm
    path_norm: Annotated[Array, "C, S"]
    distance: Annotated[Array, "C, S"]  # Euclidean, from the initial weights
    inverse_margin: Annotated[Array, "C, S"]  # 1 / m^2, m the 10th percentile of the margins; nan where m <= 0
    spectral_over_margin: Annotated[Array, "C, S"]  # spectral_product - log m^2
    keskar: Annotated[Array, "C, S"]  # phi, per cent of 1 + f
    keskar_settled: Annotated[Array, "C, S"]  # 1 where the best search settled, 0 at its cap
    sam: Annotated[Array, "C, S"]  # f(theta + e) - f(theta), nats
    random_ball: Annotated[Array, "C, S"]  # mean rise, nats
    random_ball_error: Annotated[Array, "C, S"]  # its standard error
    eigenvalue: Annotated[Array, "C, S"]  # largest of the Hessian
    eigenvalue_residual: Annotated[Array, "C, S"]  # |H v - lambda v|: an eigenvalue lies that close
    trace: Annotated[Array, "C, S"]  # of the Hessian
    trace_error: Annotated[Array, "C, S"]  # its standard error
    sensitivity: Annotated[Array, "C, S"]  # mean |d loss_i / d x_i|, nats per unit of a pixel
    jacobian: Annotated[Array, "C, S"]  # mean |d softmax / d x_i|
    gradient_noise: Annotated[Array, "C, S"]  # trace of the covariance of the gradients of single examples
    diverged_at: Annotated[NDArray[np.integer], "C, S"]  # epoch, or -1
    seconds: Annotated[tuple[float, ...], "C S"]  # wall time, measures included, configuration by configuration


SECTION = Section(
    "1-3 c 2 d",
    "Which measure tells how well a net generalizes?",
    captions={
        "scoreboard": "Kendall's tau of every measure with the generalization gap, over all nets and granulated.",
        "axes": "Granulated tau by the setting that differs: does the measure follow the gap along every axis?",
        "scatter": "Every measure against the generalization gap, one dot a net.",
    },
    pitfalls=(
        "Comparing measures of nets of different training loss: sharpness and margin follow the loss.",
        "Reading one large tau over all nets as success: one axis, such as the width, can make all of it. Granulated "
        "tau compares nets that differ in one setting.",
        "Taking measures on the test set: they are then no prediction.",
        "Naming the best of fourteen measures on one data set: the best of fourteen random numbers looks well too.",
    ),
    quick_settings={
        "data": "digits",
        "examples": 0,
        "net": "32-16",
        "batch_sizes": (16, 64),
        "learning_rates": (0.03,),
        "widths": (0.5, 1),
        "target_loss": 0.05,
        "curvature_examples": 250,
    },
    answer="measures-and-gap",
    runs=(
        SectionRun("MNIST, 4000 images", preset="complete"),
        SectionRun("Fashion-MNIST, 4000 images", {"data": "fashion-mnist"}, preset="complete"),
    ),
)

TINY = Settings(
    data="digits",
    net="8",
    batch_sizes=(20, 50),
    learning_rates=(0.1,),
    widths=(1,),
    weight_decays=(0,),
    radii=(0,),
    examples=100,
    epochs=40,
    seeds=2,
    target_loss=0.5,
    curvature_examples=40,
)
