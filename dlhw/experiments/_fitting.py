"""What experiments that fit a function of x share: settings, data, and the training of nets times seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dlhw import architectures, targets
from dlhw.context import Context
from dlhw.errors import require
from dlhw.settings import check, option

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FitSettings:
    """Settings of a full-batch fit of a function of x; epochs are steps, one gradient of all points each."""

    func: str = option("sinc", "Target: sinc, sign, square, sin, damped, abs, runge, step, or an expression of x.")
    epochs: int = option(20000, "Training steps; the batch is full, so a step is an epoch.")
    learning_rate: float = option(0.01, "Step size of the optimizer.")
    momentum: float = option(0.9, "Momentum of sgd and nesterov.")
    optimizer: Literal["sgd", "nesterov", "adam", "rmsprop"] = option("sgd", "Optimizer.")
    points: int = option(300, "Equally spaced training points, both ends of the domain included.")
    domain: tuple[float, float] = option((-1.0, 1.0), "Interval of x.")
    scale: Literal["unit", "raw"] = option(
        "unit", "unit divides the target by its largest absolute value; raw keeps it."
    )
    init: Literal["torch", "keras"] = option(
        "torch", "torch: weights and biases uniform in +-1/sqrt(fan_in); keras: Glorot."
    )
    activation: Literal["relu", "tanh", "sigmoid", "elu", "selu", "gelu", "silu", "softplus"] = option(
        "relu", "Activation of the hidden layers."
    )
    seed: int = option(0, "Base seed; repeat s uses seed + s.")
    seeds: int = option(5, "Number of repeats.")

    def __post_init__(self) -> None:
        check(self)
        require(1 <= self.epochs <= 10_000_000, f"--epochs {self.epochs} must lie in 1..10000000")
        require(self.learning_rate > 0, f"--learning-rate {self.learning_rate:g} must be positive")
        require(0 <= self.momentum < 1, f"--momentum {self.momentum:g} must lie in [0, 1)")
        used = self.optimizer in ("sgd", "nesterov") or self.momentum == type(self).momentum
        require(used, f"--momentum is of sgd and nesterov, and --optimizer is {self.optimizer}; drop it")
        require(2 <= self.points <= 1_000_000, f"--points {self.points} must lie in 2..1000000")
        low, high = self.domain
        require(low < high, f"--domain {low:g} {high:g} is empty; LOW must be below HIGH")
        require(0 <= self.seed < 2**31, f"--seed {self.seed} must lie in 0..{2**31 - 1}")
        require(1 <= self.seeds <= 1000, f"--seeds {self.seeds} must lie in 1..1000")
        data(self)  # an unknown function, or one that is not finite on the domain, is refused here


def data(settings: FitSettings, denser: int = 1) -> tuple[Array, Array]:
    """Points x and targets y, both (n,); `denser` = 5 gives a grid with five times as many intervals."""
    low, high = settings.domain
    x = np.linspace(low, high, (settings.points - 1) * denser + 1)
    if low < 0 < high:
        x[np.abs(x) < 1e-12 * (high - low)] = 0.0  # rounding must not move the jump of sgn, or the limit of sinc
    return x, targets.sample(settings.func, x, settings.scale, settings.domain)


def train(
    settings: FitSettings, nets: tuple[str, ...], context: Context, *, gradient_norm: bool = False
) -> dict[str, dict[str, np.ndarray]]:
    """Train every net times every seed, side by side, and return arrays by net.

    loss (seeds, epochs + 1) mean squared error of the scaled target; prediction (seeds, n) on the grid five times
    denser; diverged_at (seeds,) epoch or -1; seconds, compile_seconds: scalars; frames (F, n), where asked for, of
    the first seed: predictions on the points, for an animation; with gradient_norm also
    gradient_norm (seeds, epochs) and layer_gradient_norms (seeds, epochs, layers).
    What has been trained is kept in context.parts, so that a run broken off goes on where it stood.
    """
    x, _ = data(settings)
    dense, _ = data(settings, 5)
    keep = frames(settings) if context.animate else ()
    models, histories = fit(settings, nets, context, keep=keep, gradient_norm=gradient_norm)
    places = {net: slice(k * settings.seeds, (k + 1) * settings.seeds) for k, net in enumerate(nets)}
    return {net: _arrays(histories[p], models[p], dense, x) for net, p in places.items()}


def fit(
    settings: FitSettings,
    nets: Sequence[str],
    context: Context,
    *,
    keep: Sequence[int] = (),
    gradient_norm: bool = False,
    dtype: str = "float32",
    draws: Sequence[int] | None = None,
) -> tuple[list[Any], list[Any]]:
    """Train every net times every seed; the models, net by net, and their histories, with the weights after `keep`.

    draws: seeds of the weights in place of those of the settings.
    """
    import tensorflow as tf

    from dlhw import models as models_
    from dlhw.training import distribution, fit_many, optimizer

    x, y = data(settings)
    seeds = draws or range(settings.seed, settings.seed + settings.seeds)
    names = [f"{net} seed {seed}" for net in nets for seed in seeds]
    boards: dict[int, Any] = {}

    def tell(k: int, step: int, scalars: Mapping[str, float], weights: Mapping[str, np.ndarray]) -> None:
        from dlhw.training.board import Board

        assert context.tensorboard is not None
        board = boards.setdefault(k, None) or Board(context.tensorboard / names[k])
        boards[k] = board
        board.write(step, scalars, weights)

    device = distribution.plan(context, together=False).devices[0]
    with tf.device(device):
        models = [
            models_.mlp(
                architectures.parse(net), activation=settings.activation, init=settings.init, seed=seed, dtype=dtype
            )
            for net in nets
            for seed in seeds
        ]
        histories = fit_many(
            models,
            x[:, None],
            y[:, None],
            steps=settings.epochs,
            device=device,
            optimizer=optimizer(settings.optimizer, settings.learning_rate, settings.momentum),
            gradient_norm=gradient_norm,
            workers=context.workers,
            progress=context.progress,
            parts=context.parts,
            keep=keep,
            watch=tell if context.tensorboard is not None else None,
        )
    return models, histories


def frames(settings: FitSettings, most: int = 60) -> list[int]:
    """Epochs of the frames of an animation: dense at the start, where most happens."""
    return sorted({round(settings.epochs * (k / (most - 1)) ** 2) for k in range(most)})


def _moving(model: Any, path: Array, x: Array) -> np.ndarray:
    """Predictions (F, n) at weights (F, P)."""
    from dlhw.measure import assign, flat

    end, grid, made = flat(model), x[:, None].astype(np.float32), []
    for weights in path:
        assign(model, weights)
        made.append(np.asarray(model(grid, training=False))[:, 0])
    assign(model, end)
    return np.stack(made)


def _arrays(histories: list[Any], models: list[Any], dense: Array, x: Array) -> dict[str, np.ndarray]:
    grid = dense[:, None].astype(np.float32)
    arrays = {
        "loss": np.stack([h.loss for h in histories]).astype(np.float32),
        "prediction": np.stack([np.asarray(m(grid, training=False))[:, 0] for m in models]),
        "diverged_at": np.array([-1 if h.diverged_at is None else h.diverged_at for h in histories]),
        "seconds": np.array(max(h.seconds for h in histories)),
        "compile_seconds": np.array(max(h.compile_seconds for h in histories)),
    }
    if histories[0].weights is not None:
        arrays["frames"] = _moving(models[0], histories[0].weights, x)
    for name in ("gradient_norm", "layer_gradient_norms"):
        if getattr(histories[0], name) is not None:
            arrays[name] = np.stack([getattr(h, name) for h in histories]).astype(np.float32)
    return arrays
