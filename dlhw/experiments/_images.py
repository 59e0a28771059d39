"""What experiments on images share: settings, and the training of nets times seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from dlhw import architectures, datasets
from dlhw._labels import MEASURED
from dlhw.context import Context
from dlhw.errors import require
from dlhw.experiments import _curves, _parts, _shared
from dlhw.settings import check, option


@dataclass(frozen=True)
class ImageSettings:
    """Settings of trainings on images, whatever their batch size."""

    data: Literal["mnist", "fashion-mnist", "cifar10", "digits", "mnist-5k"] = option(
        "mnist", "Data set; digits and mnist-5k need no network."
    )
    examples: int = option(0, "Training examples, a stratified subset; 0 takes all.")
    epochs: int = option(20, "Passes over the training set.")
    learning_rate: float = option(0.001, "Step size of the optimizer.")
    momentum: float = option(0.9, "Momentum of sgd and nesterov.")
    optimizer: Literal["sgd", "nesterov", "adam", "rmsprop"] = option("sgd", "Optimizer.")
    init: Literal["torch", "keras"] = option(
        "torch", "torch: weights and biases uniform in +-1/sqrt(fan_in); keras: Glorot."
    )
    activation: Literal["relu", "tanh", "sigmoid", "elu", "selu", "gelu", "silu", "softplus"] = option(
        "relu", "Activation after convolutions and hidden dense layers."
    )
    precision: Literal["float32", "mixed"] = option(
        "float32", "mixed: weights in float32, all else in bfloat16, for GPUs; measures of a trained net stay wide."
    )
    full_train_metrics: bool = option(False, "Measure all training examples after every epoch, not a fixed 10000.")
    seed: int = option(0, "Base seed; repeat s uses seed + s.")
    seeds: int = option(3, "Number of repeats.")

    def __post_init__(self) -> None:
        check(self)
        require(1 <= self.epochs <= 100_000, f"--epochs {self.epochs} must lie in 1..100000")
        require(self.learning_rate > 0, f"--learning-rate {self.learning_rate:g} must be positive")
        require(0 <= self.momentum < 1, f"--momentum {self.momentum:g} must lie in [0, 1)")
        require(self.examples >= 0, f"--examples {self.examples} must be positive, or 0 for all")
        datasets.check_examples(self.data, self.examples or None)
        require(0 <= self.seed < 2**31, f"--seed {self.seed} must lie in 0..{2**31 - 1}")
        require(1 <= self.seeds <= 1000, f"--seeds {self.seeds} must lie in 1..1000")

    def check_nets(self, nets: Sequence[str], name: str) -> None:
        """Refuse an empty list, a net named twice, and one that does not fit the images."""
        require(len(nets) > 0, f"{name} is empty; name at least one net")
        require(len(set(nets)) == len(nets), f"{name} names a net twice")
        about = datasets.known(self.data)
        for net in nets:
            architectures.kernels(net, about.shape, about.classes)

    def check_batch(self, size: int, name: str) -> None:
        """Refuse a batch that the training set cannot fill."""
        n = self.training_examples
        require(1 <= size <= n, f"{name} {size} must lie in 1..{n}, the training examples of {self.data}")

    @property
    def training_examples(self) -> int:
        """n, after --examples."""
        return self.examples or datasets.known(self.data).train

    @property
    def seed_range(self) -> range:
        """The seeds themselves."""
        return range(self.seed, self.seed + self.seeds)

    def parameters(self, net: str) -> int:
        """Number of parameters of `net` on these images."""
        about = datasets.known(self.data)
        return architectures.count_image(net, about.shape, about.classes)

    def size(self) -> str:
        """The data set and its size: `mnist (60000 + 10000 images)`."""
        return f"{self.data} ({self.training_examples} + {datasets.known(self.data).test} images)"

    def where(self) -> str:
        """The data set, its size and what of it is measured: `mnist (60000 + 10000 images, 10000 + 10000 measured)`."""
        n, test = self.training_examples, datasets.known(self.data).test
        some = not self.full_train_metrics and n > MEASURED
        return f"{self.data} ({n} + {test} images" + (f", {MEASURED} + {test} measured)" if some else ")")


@dataclass(frozen=True)
class BatchSettings(ImageSettings):
    """Settings of trainings that all have one batch size."""

    batch_size: int = option(64, "Examples of one step.")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_batch(self.batch_size, "--batch-size")


Watch = Callable[[int, Any, datasets.Data], dict[str, np.ndarray]]
"""(epoch, model, data) -> arrays to keep with the training; called at the start (0) and after every epoch."""


@dataclass(frozen=True)
class Job:
    """One training: which net, from which seed, on which labels, and how."""

    net: str
    seed: int  # of the start and of the order of the examples
    batch_size: int
    learning_rate: float
    epochs: int
    start: int | None = None  # seed of the weights, if not `seed`
    updates: int | None = None  # steps, if they end within the last epoch
    labels: Callable[[np.ndarray], np.ndarray] | None = None  # true training labels -> those trained on
    snapshot_every: int = 0  # epochs; 0: keep no weights
    watch: Watch | None = None
    record: bool = False  # loss and gradient norms of every update


def job(settings: BatchSettings, net: str, seed: int, **more: Any) -> Job:
    """The training that the settings say, of `net` from `seed`."""
    return Job(net, seed, settings.batch_size, settings.learning_rate, settings.epochs, **more)


def train(
    settings: ImageSettings, jobs: dict[str, Job], context: Context, shared: _shared.Shared | None = None
) -> dict[str, dict[str, np.ndarray]]:
    """Train every job, side by side, and return arrays by name.

    train_loss, train_accuracy, test_loss, test_accuracy (epochs + 1,); diverged_at, seconds, compile_seconds: scalars;
    with snapshots also weights (snapshots, P); with a watch also what it gave; with a record also step_loss and
    gradient_norm (updates,), layer_gradient_norms (updates, layers). The training loss is that of the labels
    trained on.
    """
    from dlhw.training import distribution, workers

    shared = shared or _shared.Shared(settings, context, len(jobs))
    shared.check_batches([job.batch_size for job in jobs.values()])
    if shared.plan.kind == "multi-worker":
        strategy = distribution.strategy(shared.plan)
        context = replace(context, parts=workers.SharedParts(context.parts, strategy, shared.plan.chief))
    if shared.plan.together:  # two trainings at once would sum their gradients in each other's place
        context = replace(context, jobs=1)
    elif len(shared.plan.devices) > 1:  # one training a device
        context = replace(context, jobs=len(shared.plan.devices))
    epochs = {name: job.epochs for name, job in jobs.items()}
    with workers.guarded(shared.plan):
        run = lambda part: shared.train(jobs[part.name], part)  # noqa: E731
        return _parts.train_parts(epochs, run, context, shared.prepare)


def train_rows(
    settings: ImageSettings,
    rows: Mapping[str, Callable[[int], Job]],
    context: Context,
    watched: tuple[str, ...] = (),
) -> dict[str, Any]:
    """The fields of :class:`_curves.Curves`: every row (name -> job of a seed) times every seed of the settings.

    watched: names of numbers that the watch of every job gives; (rows, seeds) each, nan where a training diverged.
    """
    names = {row: {s: f"{row} seed {s}" for s in settings.seed_range} for row in rows}
    jobs = {names[row][s]: job(s) for row, job in rows.items() for s in settings.seed_range}
    trained, table = train(settings, jobs, context), [list(seeds.values()) for seeds in names.values()]
    numbers = {k: np.array([[float(trained[n].get(k, np.nan)) for n in row] for row in table]) for k in watched}
    return _curves.curves(trained, table) | numbers
