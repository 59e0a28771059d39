"""Settings and results of `edge`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from dlhw import datasets
from dlhw.choices import Activation, DatasetName, Init, TargetScale
from dlhw.datasets import functions
from dlhw.errors import require
from dlhw.models import architectures
from dlhw.present.section import Section, SectionRun
from dlhw.runs.base_settings import FunctionSettings, ImageSettings, TrainingSettings, refuse_changed
from dlhw.runs.settings import DatasetDefaults, check, option

Array = NDArray[np.floating]

EIGENVALUES = 3
"""Eigenvalues that are recorded, the largest first."""
OVERLAPS = (1, 3)
"""Numbers of leading eigenvectors in whose span the gradient is projected."""
TOLERANCE = {"function": 1e-6, "images": 1e-3}
"""Residual relative to the largest eigenvalue, below which a pair counts as converged; its error is the square."""
_OF_A_FUNCTION = ("func", "points", "domain", "scale")
_OF_IMAGES = ("examples", "loss")
_ON_IMAGES = {"net": "30-30", "learning_rates": (0.3, 0.4, 0.6), "epochs": 1200, "every": 30, "seeds": 3}
"""Defaults that suit images: seconds a training, not milliseconds."""


@dataclass(frozen=True)
class Settings(TrainingSettings):
    """Settings of `dlhw edge`; the batch is full, so a step is an epoch."""

    data: Literal["function", DatasetName] = option(
        "function", "function: fit `func` with squared error; else a data set of images."
    )
    func: str = option("sinc", "Target: sinc, sign, square, sin, damped, abs, runge, step, or an expression of x.")
    learning_rates: tuple[float, ...] = option((0.1, 0.2, 0.25, 0.3), "Step sizes, each a row of the table.")
    momentum: float = option(0.0, "Momentum of sgd (heavy ball) and nesterov.")
    optimizer: Literal["sgd", "nesterov"] = option("sgd", "Optimizer.")
    epochs: int = option(8000, "Training steps; the batch is full, so a step is an epoch.")
    every: int = option(50, "Steps between two measurements of the Hessian.")
    net: str = option(
        "20-20-20",
        "Net: deep, middle, shallow, or hidden widths such as 10-18-15-4.",
        notation=architectures.DENSE_NOTATION,
        describe=architectures.describe,
    )
    activation: Activation = option("tanh", "Activation of the hidden layers.")
    loss: Literal["squares", "cross-entropy"] = option(
        "squares", "Loss on images; squares: mean squared error of the outputs and the one-hot labels."
    )
    examples: int = option(0, "Training images, a stratified subset; 0 takes all.")
    points: int = option(100, "Equally spaced training points, both ends of the domain included.")
    domain: tuple[float, float] = option((-1.0, 1.0), "Interval of x: LOW HIGH, without a comma.")
    scale: TargetScale = option("unit", "unit divides the target by its largest absolute value; raw keeps it.")
    init: Init = option("torch", "torch: weights and biases uniform in +-1/sqrt(fan_in); keras: Glorot.")
    seed: int = option(0, "Base seed; repeat s uses seed + s.")
    seeds: int = option(5, "Number of repeats.")

    DATASET_DEFAULTS: ClassVar[DatasetDefaults] = {
        "digits": _ON_IMAGES | {"learning_rates": (0.3, 0.5, 1.0)},
        **{name: _ON_IMAGES | {"examples": 1000} for name in ("mnist", "fashion-mnist", "cifar10", "mnist-5k")},
    }

    @classmethod
    def other_defaults(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the learning rates for cross entropy, whose sharpness is lower at the start."""
        return {"learning_rates": (0.3, 1.0, 2.0)} if values.get("loss") == "cross-entropy" else {}

    def __post_init__(self) -> None:
        check(self)
        rates = self.learning_rates
        require(len(rates) > 0, "`learning_rates` is empty; give at least one, such as 0.1")
        require(len(set(rates)) == len(rates), "`learning_rates` names a rate twice")
        for rate in rates:
            require(rate > 0, f"`learning_rates` {rate:g} must be positive")
        architectures.parse(self.net)
        is_used = self.optimizer != "nesterov" or self.momentum != 0
        require(is_used, "`optimizer` nesterov with `momentum` 0 is gradient descent; give a `momentum`")
        if self.data == "function":
            refuse_changed(self, _OF_IMAGES, "applies to images, and `data` names none")
            self.function_settings()
        else:
            refuse_changed(self, _OF_A_FUNCTION, f"applies to a function, and `data` {self.data} names images")
            self.image_settings()
        require(1 <= self.every <= self.epochs, f"`every` {self.every} must lie in 1..{self.epochs}, the steps in all")

    def unused(self) -> tuple[str, ...]:
        """Return the fields that have no effect under the values of the others."""
        return _OF_IMAGES if self.data == "function" else _OF_A_FUNCTION

    def function_settings(self) -> FunctionSettings:
        """Return the same trainings as settings of a fit of a function; refuses what they do not allow."""
        names = ("func", "epochs", "momentum", "optimizer", *_OF_A_FUNCTION[1:], "init", "activation", "seed", "seeds")
        values = {name: getattr(self, name) for name in names}
        return FunctionSettings(learning_rate=max(self.learning_rates), **values)

    def image_settings(self) -> ImageSettings:
        """Return the same trainings as settings on images; refuses what they do not allow."""
        if self.data == "function":
            raise TypeError("a function of x has no images")
        names = ("data", "examples", "epochs", "momentum", "optimizer", "init", "activation", "seed", "seeds")
        values = {name: getattr(self, name) for name in names}
        return ImageSettings(learning_rate=max(self.learning_rates), **values)

    @property
    def dataset(self) -> str:
        """The image data set that is read, or ""."""
        return "" if self.data == "function" else self.data

    @property
    def image_net(self) -> str:
        """The net as those for images are written: hidden widths."""
        return "-".join(map(str, architectures.parse(self.net)))

    @property
    def parameters(self) -> int:
        """Number of parameters of the net on these data."""
        if self.data == "function":
            return architectures.count(architectures.parse(self.net))
        return self.image_settings().parameters(self.image_net)

    @property
    def factor(self) -> float:
        """The largest stable product of learning rate and curvature of a quadratic, for this optimizer.

        Gradient descent 2, heavy ball 2 (1 + beta), Nesterov (2 + 2 beta) / (1 + 2 beta).
        """
        beta = self.momentum
        return (2 + 2 * beta) / (1 + 2 * beta) if self.optimizer == "nesterov" else 2 * (1 + beta)

    @property
    def lines(self) -> NDArray[np.float64]:
        """The sharpness above which a quadratic diverges, of every learning rate, (R,)."""
        return self.factor / np.array(self.learning_rates)

    @property
    def line_name(self) -> str:
        """The formula of the line."""
        if self.momentum == 0:
            return "2/η"
        return "(2 + 2β)/(η (1 + 2β))" if self.optimizer == "nesterov" else "2(1 + β)/η"

    @property
    def steps(self) -> NDArray[np.integer]:
        """The steps after which the Hessian is measured, (F,): every `every` steps, and the last."""
        return np.unique([*range(0, self.epochs, self.every), self.epochs])

    def where(self) -> str:
        """Return what is learned: the formula, or the data set."""
        if self.data == "function":
            return functions.formula(self.func)
        return f"{self.examples or datasets.dataset_info(self.data).train} images of {self.data}"

    def loss_name(self) -> str:
        """Return what the loss is."""
        return "cross entropy (nats)" if self.loss == "cross-entropy" else "MSE"

    def optimizer_name(self) -> str:
        """Return the optimizer in words."""
        if self.momentum == 0:
            return "gradient descent"
        return f"{'Nesterov' if self.optimizer == 'nesterov' else 'heavy ball'}, β = {self.momentum:g}"


@dataclass(frozen=True)
class Result:
    """R learning rates, S seeds, T steps, F measurements. What follows a divergence is nan."""

    SIZES: ClassVar = {"R": "learning_rates", "S": "seeds", "T": "epochs"}
    steps: Annotated[NDArray[np.integer], "F"]  # updates before every measurement
    loss: Annotated[Array, "R, S, T + 1"]  # over all examples, after 0, 1, ..., T updates
    eigenvalues: Annotated[Array, "R, S, F, 3"]  # the largest of the Hessian of that loss, from the largest down
    residual: Annotated[Array, "R, S, F"]  # largest |H v - lambda v| of the three; their errors are of its square
    converged: Annotated[NDArray[np.bool_], "R, S, F"]  # residual within the tolerance; True after a divergence
    gradient_norm: Annotated[Array, "R, S, F"]
    overlap: Annotated[Array, "R, S, F, 2"]  # share of |g|^2 along the first eigenvector, and the first three
    diverged_at: Annotated[NDArray[np.integer], "R, S"]  # step, or -1
    seconds: float  # of the trainings
    compile_seconds: float
    curvature_seconds: float  # of all measurements, over the number that ran side by side


SECTION = Section(
    "1-3 d, beyond the assignment",
    "The edge of stability: sharpness against 2 / learning rate",
    captions={
        "edge": "Training loss and largest Hessian eigenvalue at every learning rate; dashed: above this line, the "
        "optimizer diverges on a quadratic.",
        "eigenvalues": "Top: the three largest eigenvalues of one seed, the range of the largest over the seeds, and "
        "the line. Bottom: share of the squared gradient norm along the leading eigenvectors.",
    },
    pitfalls=(
        "Measuring the sharpness of a mini-batch: its Hessian is that of another function, usually sharper, and the "
        "line holds for the full batch.",
        "Comparing the sharpness with 2/η where there is momentum: heavy ball is stable up to 2(1 + β)/η.",
        "Comparing it with 2/η under Adam, whose step is not a multiple of the gradient.",
    ),
    answer="edge-of-stability",
    quick_settings={"learning_rates": (0.1, 0.2, 0.3), "epochs": 4000, "seeds": 2},
    runs=(
        SectionRun("Gradient descent", preset="complete"),
        SectionRun("Heavy ball", {"momentum": 0.5, "learning_rates": (0.15, 0.3, 0.375, 0.45)}, preset="complete"),
    ),
)

TINY = Settings(net="4", learning_rates=(0.2, 0.5), epochs=60, every=20, points=20, seeds=2)
