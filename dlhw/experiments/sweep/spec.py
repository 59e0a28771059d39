"""Settings and results of `sweep`, and what they share with `sweep-batch`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import UserError, require
from dlhw.models import architectures
from dlhw.present.section import Section
from dlhw.runs.base_settings import ImageSettings
from dlhw.runs.settings import DatasetDefaults, default_values, option
from dlhw.runs.variations import SWEPT, VARIABLES, Training, Variable, training, variable

Array = NDArray[np.floating]

TOLERANCE = 1e-3
"""Residual of an eigenvalue relative to its size, below which it counts as converged."""
VALUES: Mapping[str, tuple[float, ...]] = {
    "batch-size": (64, 100, 500, 4000, 8000),
    "learning-rate": (0.0003, 0.001, 0.003, 0.01, 0.03),
    "width": (0.25, 0.5, 1, 2, 4),
    "weight-decay": (0, 0.001, 0.01, 0.1, 1),
    "momentum": (0, 0.5, 0.9, 0.95, 0.99),
    "label-noise": (0, 0.25, 0.5, 0.75, 1),
}
"""Default values of every variable."""


@dataclass(frozen=True)
class SweepSettings(ImageSettings):
    """Settings of every sweep; a subclass says what varies."""

    net: str = option(
        "10c5-p2-20c5-p2-50",
        "Net: deep, wide, plain, or layers such as 20c3-p2-100.",
        notation=architectures.IMAGE_NOTATION,
        describe=architectures.describe_layers,
    )
    equal: Literal["epochs", "updates"] = option(
        "epochs",
        "Train each batch size for equally many epochs, or updates: those of the median size in `epochs` epochs.",
    )
    epsilon: tuple[float, ...] = option((0.001, 0.0005), "Sizes of the box of Keskar's sharpness.")
    curvature_examples: int = option(2000, "Training examples on which sharpness and curvature are measured.")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_nets((self.net,), "net")
        require(len(self.epsilon) > 0, "`epsilon` is empty; give at least one box, such as 0.001")
        require(len(set(self.epsilon)) == len(self.epsilon), "`epsilon` names a box twice")
        for epsilon in self.epsilon:
            require(0 < epsilon <= 1, f"`epsilon` {epsilon:g} must lie in (0, 1]")
        n = self.curvature_examples
        require(n >= 1, f"`curvature_examples` {n} must be positive")

    @property
    def variable(self) -> Variable:
        """What varies."""
        raise NotImplementedError

    @property
    def points(self) -> tuple[float, ...]:
        """Its values."""
        raise NotImplementedError

    @property
    def of_batch_size(self) -> bool:
        """Whether the batch size varies."""
        return self.variable.name == "batch-size"

    def training(self, value: float) -> Training:
        """Return the training at a value of the variable."""
        return training(self, self.net, self.variable.name, self.variable.parse(value))

    def updates(self, value: float) -> int:
        """Return the number of updates of the training at a value."""
        sizes = [self.training(point).settings.batch_size for point in self.points]
        own = self.training(value).settings.batch_size
        if self.equal == "updates":
            own = sorted(sizes)[(len(sizes) - 1) // 2]
        return self.epochs * self.steps_per_epoch(own)


@dataclass(frozen=True)
class Settings(SweepSettings):
    """Settings of `dlhw sweep`."""

    values: tuple[float, ...] = option(
        VALUES["learning-rate"],
        "Values of the variable, at least two; width: factors of the filters and units of the net.",
        positional=True,
        shown="five that suit it",
    )
    over: Literal["batch-size", "learning-rate", "width", "weight-decay", "momentum", "label-noise"] = option(
        "learning-rate", "What varies; all other settings are equal."
    )
    batch_size: int = option(64, "Examples per step.")

    DATASET_DEFAULTS: ClassVar[DatasetDefaults] = {
        "digits": {"net": "8c3-p2-30", "learning_rate": 0.01, "curvature_examples": 1000},
        "mnist-5k": {"learning_rate": 0.01},
        "cifar10": {"learning_rate": 0.005},
    }

    @classmethod
    def other_defaults(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the default values of the variable, which for the batch size and the rate depend on the data."""
        over, small = values.get("over", cls.over), values.get("data") in ("digits", "mnist-5k")
        if small and over == "batch-size":
            return {"values": (16, 64, 256, 1000)}
        if small and over == "learning-rate":
            return {"values": (0.003, 0.01, 0.03, 0.1)}
        return {"values": VALUES[over]} if over in VALUES else {}

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_batch(self.batch_size)
        variable(self.over, SWEPT, "`over`")
        require(
            self.equal == type(self).equal or self.over == "batch-size",
            f"`equal` applies to batch sizes, and `over` is {self.over}; leave it out",
        )
        field = self.variable.field
        own, usual = getattr(self, field, None), {getattr(type(self), field, None), default_values(self).get(field)}
        require(own in usual, f"`{field}` {own} is what `over` varies; leave it out")
        check_points(self, self.values, "`values`")

    @property
    def variable(self) -> Variable:
        """What varies."""
        return VARIABLES[self.over]

    @property
    def points(self) -> tuple[float, ...]:
        """Its values."""
        return self.values


def check_points(settings: SweepSettings, points: tuple[float, ...], argument: str) -> None:
    """Refuse values of the variable that are too few, equal, or out of range; argument: what the message calls them."""
    what = settings.variable
    examples = " ".join(what.text(v) for v in VALUES[what.name][:2])
    require(len(points) > 1, f"{argument} needs at least two values of {what.name} to compare, such as {examples}")
    twice = [what.text(v) for v in points if points.count(v) > 1]
    require(not twice, f"{argument} names {twice[0] if twice else ''} twice")
    for point in points:
        try:
            settings.training(point)
            if what.name == "width":
                settings.check_nets((settings.training(point).net,), "net")
        except UserError as error:
            raise UserError(f"{argument} {what.text(point)}: {error}") from None


@dataclass(frozen=True)
class Result:
    """B values of the variable, S seeds, K boxes. Nothing of a training that diverged is finite."""

    SIZES: ClassVar = {"B": "values", "S": "seeds", "K": "epsilon"}
    train_loss: Annotated[Array, "B, S"]  # cross entropy in nats, after the last update, of the labels trained on
    train_accuracy: Annotated[Array, "B, S"]  # fraction in [0, 1]
    test_loss: Annotated[Array, "B, S"]
    test_accuracy: Annotated[Array, "B, S"]
    sensitivity: Annotated[Array, "B, S"]  # mean |d loss_i / d x_i| over the test set, nats per unit of a pixel
    sensitivity_error: Annotated[Array, "B, S"]  # its standard error over the test images
    batch_mean_gradient: Annotated[Array, "B, S"]  # the same of the mean loss of batches: the mistake
    jacobian: Annotated[Array, "B, S"]  # mean |d softmax / d x_i| over the test set
    start_sensitivity: Annotated[Array, "S"]  # sensitivity before the first update, of the first value
    keskar: Annotated[Array, "B, S, K"]  # phi, per cent of 1 + f, on the fixed training subset
    eigenvalue: Annotated[Array, "B, S"]  # largest of the Hessian, on the same subset
    eigenvalue_residual: Annotated[Array, "B, S"]  # |H v - lambda v|: an eigenvalue lies that close
    diverged_at: Annotated[NDArray[np.integer], "B, S"]  # epoch, or -1
    seconds: Annotated[tuple[float, ...], "B S"]  # wall time, measurements included, value by value
    keskar_spread: Annotated[Array, "B, S, K"] | None = None  # (largest - smallest) / largest of the searches
    keskar_settled: Annotated[Array, "B, S, K"] | None = None  # 1 where the best search settled, 0 at its cap
    gap_error: Annotated[Array, "B, S"] | None = None  # standard error of test loss - train loss over the images


SECTION = Section(
    "1-3 c 2 b",
    "Flatness: sensitivity and sharpness against a setting of the training",
    captions={
        "sensitivity": "Loss, error and sensitivity against the value of the variable.",
        "sharpness": "Keskar's sharpness, the largest Hessian eigenvalue and the Jacobian norm against the variable.",
    },
    pitfalls=(
        "Comparing nets of different training loss: where one has not been trained to the end, the difference in "
        "flatness is one in training.",
        "Comparing sharpness, which depends on the scale of the weights, between nets of different scale: weight decay "
        "and width change that scale.",
    ),
    quick_settings={
        "data": "digits",
        "net": "8c3-p2-30",
        "values": (0.003, 0.01, 0.1),
        "epochs": 15,
        "epsilon": (0.001,),
        "curvature_examples": 500,
        "seeds": 2,
    },
)

TINY = Settings(
    data="digits",
    net="8",
    values=(0.02, 0.05),
    batch_size=50,
    examples=100,
    epochs=2,
    seeds=2,
    epsilon=(0.01,),
    curvature_examples=50,
)
