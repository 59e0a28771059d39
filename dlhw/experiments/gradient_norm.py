"""How large is the gradient while a net learns, and does it follow the loss?

Held fixed: net, data and optimizer. Every iteration records the Euclidean norm over all trainable tensors of the
gradient of the loss that is minimised, before the update, and one norm a layer; the squares of the layers add up.
A function is fitted on its full batch. With --data the net learns images, and loss and norm are those of the batch.
The report's settings: sin(5 pi x)/(2x), 5000 epochs, SGD with learning rate 0.01 and momentum 0.9 (NTU MLDS HW1-2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dlhw import architectures, datasets, plot, targets
from dlhw.context import Context
from dlhw.errors import require
from dlhw.experiments import _fitting, _images, _shared
from dlhw.section import Line, Section, Series
from dlhw.settings import changed, option
from dlhw.statistics import spearman
from dlhw.summary import Summary, number, spread, statistics

WINDOW = 101  # iterations of the rolling median
BLOCK = 100  # iterations resampled together: neighbours depend on each other


@dataclass(frozen=True)
class Settings(_fitting.FitSettings):
    """What `dlhw gradient-norm` takes."""

    epochs: int = option(5000, "Training steps: of a function an epoch each, for its batch is full.")
    model: str = option("middle", "Net: deep, middle, shallow, or hidden widths such as 10-18-15-4.")
    data: Literal["function", "mnist", "fashion-mnist", "cifar10", "digits", "mnist-5k"] = option(
        "function", "function: the points of --func; else a data set of images, with cross entropy."
    )
    batch_size: int = option(64, "Images of one step; of a function all points are.")

    def __post_init__(self) -> None:
        super().__post_init__()
        architectures.parse(self.model)
        require(self.batch_size >= 1, f"--batch-size {self.batch_size} must be positive")
        if self.data == "function":
            require(self.batch_size == 64, "--batch-size needs --data: a function is fitted on all points at once")
            return
        for name in {"func", "points", "domain", "scale"} & changed(self).keys():
            require(False, f"--{name} belongs to a function, and --data {self.data} names images; drop one")
        passes = -(-self.epochs // self.steps_per_pass)
        require(passes <= 100_000, f"--epochs {self.epochs} are {passes} passes over {self.data}; at most 100000")
        self.images()  # refuses a batch that the set cannot fill

    @property
    def steps_per_pass(self) -> int:
        """Batches of one pass over the images."""
        return -(-datasets.known(self.data).train // self.batch_size)

    def images(self) -> _images.BatchSettings:
        """The same training, as experiments on images say it: passes over the set that hold all steps."""
        names = ("learning_rate", "momentum", "optimizer", "init", "activation", "seed", "seeds", "batch_size")
        epochs = -(-self.epochs // self.steps_per_pass)
        return _images.BatchSettings(data=self.data, epochs=epochs, **{k: getattr(self, k) for k in names})  # type: ignore[arg-type]

    @property
    def net(self) -> str:
        """Hidden widths, as nets for images take them."""
        return "-".join(map(str, architectures.parse(self.model)))

    @property
    def parameters(self) -> int:
        """Number of parameters of the net on these data."""
        if self.data == "function":
            return architectures.count(architectures.parse(self.model))
        return self.images().parameters(self.net)

    def where(self) -> str:
        """What is learnt: the formula, or the data set."""
        if self.data == "function":
            return targets.formula(self.func)
        return f"{self.data}, batches of {self.batch_size}"


@dataclass(frozen=True)
class Result:
    """S seeds, T epochs, L layers. Entry k belongs to the weights before update k + 1."""

    loss: NDArray[np.floating]  # (S, T) MSE on the training points; of images cross entropy of the batch in nats
    gradient_norm: NDArray[np.floating]  # (S, T) of that loss
    layer_gradient_norms: NDArray[np.floating]  # (S, T, L)
    correlation: NDArray[np.floating]  # (S, 3) Spearman of log norm and log loss; lower and upper end of 95 %
    diverged_at: NDArray[np.integer]  # (S,) step, or -1; of images the last step of the pass
    seconds: float
    compile_seconds: float


SECTION = Section(
    "1-2 b",
    "The gradient norm while a net learns",
    fixed=("func", "epochs", "learning_rate", "momentum", "optimizer", "activation", "init"),
    captions={
        "gradient-norm": "Gradient norm and loss of every iteration, one seed: raw light, rolling median dark.",
        "layers": "Gradient norm of every layer; the squares add up to that of the whole.",
    },
    mistakes=(
        "The norm is taken after the update, or of the last batch alone, and drawn against the loss of another moment.",
        "Norms of layers are added up; only their squares add.",
    ),
    quick={"epochs": 2000, "seeds": 2},
)

TINY = Settings(model="3-2", epochs=150, points=20, seeds=2)


def run(settings: Settings, context: Context) -> Result:
    """Train the net from every seed and keep loss and gradient norms of every iteration."""
    if settings.data == "function":
        trained = _fitting.train(settings, (settings.model,), context, gradient_norm=True)[settings.model]
        trained["loss"] = trained["loss"][:, :-1]
    else:
        trained = _train_on_images(settings, context)
    loss, norm = trained["loss"], trained["gradient_norm"]
    gone = trained["diverged_at"]
    # Ranks do not change under a logarithm, so the raw values are correlated; a diverged run has no number.
    correlation = np.array(
        [
            spearman(n, v, block=BLOCK, seed=settings.seed + s) if gone[s] < 0 else (np.nan,) * 3
            for s, (n, v) in enumerate(zip(norm, loss, strict=True))
        ]
    )
    return Result(
        loss=loss,
        gradient_norm=norm,
        layer_gradient_norms=trained["layer_gradient_norms"],
        correlation=correlation,
        diverged_at=gone,
        seconds=float(trained["seconds"]),
        compile_seconds=float(trained["compile_seconds"]),
    )


def _train_on_images(settings: Settings, context: Context) -> dict[str, np.ndarray]:
    images = settings.images()
    jobs = {
        f"seed {s}": _images.job(images, settings.net, s, updates=settings.epochs, record=True)
        for s in images.seed_range
    }
    found = _images.train(images, jobs, context)
    keys = (*_shared.RECORDS, "diverged_at", "seconds", "compile_seconds")
    made = {k: np.stack([found[name][k] for name in jobs]) for k in keys}
    last = np.minimum(made["diverged_at"] * settings.steps_per_pass, settings.epochs)
    made["diverged_at"] = np.where(made["diverged_at"] < 0, -1, last)
    longest = {k: made[k].max() for k in ("seconds", "compile_seconds")}
    return made | longest | {"loss": made["step_loss"]}


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """`gradient-norm`: norm above loss, one iteration axis. `layers`: the norm of each layer; of one seed."""
    return {"gradient-norm": _norm_figure(settings, result), "layers": _layer_figure(settings, result)}


def _loss_name(settings: Settings) -> str:
    return "training MSE" if settings.data == "function" else "cross entropy of the batch (nats)"


def _step_name(settings: Settings) -> str:
    return "iteration (one full-batch step)" if settings.data == "function" else "iteration (one batch)"


def _window(settings: Settings) -> int:
    return min(WINDOW, (settings.epochs - 1) // 2 * 2 + 1)


def _shown(result: Result) -> int:
    """The net whose late loss is the median of all: any fixed seed may be the one that hardly learns."""
    late = np.median(result.loss[:, -max(1, round(0.05 * result.loss.shape[1])) :].astype(np.float64), axis=1)
    late = np.where((result.diverged_at < 0) & np.isfinite(late), late, np.inf)
    good = max(1, int(np.isfinite(late).sum()))
    return int(np.argsort(late, kind="stable")[(good - 1) // 2])


def _draw(axes: plot.Axes, values: np.ndarray, shown: int, window: int, k: int, name: str) -> None:
    """Values (S, T): one seed raw and light, its rolling median dark, the range of all rolling medians a band.

    name: of the quantity, and of the seed.
    """
    steps = np.arange(values.shape[1])
    style = plot.line(k)
    axes.plot(steps, values[shown], color=style["color"], alpha=0.3, linewidth=0.6, label=f"{name}, raw")
    smooth = plot.rolling_median(values, window)
    x = steps[window // 2 : window // 2 + smooth.shape[1]]
    if len(values) > 1:
        low, high = np.fmin.reduce(smooth), np.fmax.reduce(smooth)  # nan only where all are
        axes.fill_between(
            x, low, high, color="#777777", alpha=0.22, linewidth=0, label=f"range of the medians, {len(values)} seeds"
        )
    axes.plot(x, smooth[shown], color=style["color"], label=f"rolling median over {window} iterations")


def _norm_figure(settings: Settings, result: Result) -> Figure:
    made, (top, bottom) = plot.figure(2, height=5.4)
    window, shown = _window(settings), _shown(result)
    for k, (axes, values, label) in enumerate(
        [(top, result.gradient_norm, "gradient norm"), (bottom, result.loss, _loss_name(settings))]
    ):
        _draw(axes, values, shown, window, k, f"{label}, seed {settings.seed + shown}")
        plot.positive_log(axes, 1e-12)
        axes.set_ylabel(label)
        plot.legend(axes)
    bottom.set(xlabel=_step_name(settings), xlim=(0, settings.epochs))
    gone = int((result.diverged_at >= 0).sum())
    more = f"; {gone} of {settings.seeds} diverged" if gone else ""
    top.set_title(f"{settings.model} net ({settings.parameters:,} parameters) on {settings.where()}{more}")
    return made


def _layer_figure(settings: Settings, result: Result) -> Figure:
    made, (axes,) = plot.figure()
    window, shown = _window(settings), _shown(result)
    smooth = plot.rolling_median(result.layer_gradient_norms[shown].T, window)
    x = np.arange(smooth.shape[1]) + window // 2
    for k, row in enumerate(smooth):
        axes.plot(x, row, label=f"layer {k + 1}", **plot.line(k))
    plot.positive_log(axes, 1e-12)
    axes.set(
        xlabel=_step_name(settings),
        ylabel="gradient norm of the layer",
        xlim=(0, settings.epochs),
    )
    axes.set_title(f"{settings.model} net, seed {settings.seed + shown}: rolling median over {window} iterations")
    plot.legend(axes, ncols=2 if len(smooth) > 4 else 1)
    return made


def series(settings: Settings, result: Result) -> Series:
    """Gradient norm against iteration."""
    x, values, _ = plot.thin(np.arange(settings.epochs), result.gradient_norm)
    return Series("iteration", "gradient norm", (Line("gradient norm", x, values),), log_y=True)


def summary(settings: Settings, result: Result) -> Summary:
    """A row a seed, and whether norm and loss go together."""
    good = result.diverged_at < 0
    norm = np.where(good[:, None], result.gradient_norm.astype(np.float64), np.nan)
    tail = max(1, round(0.05 * settings.epochs))
    columns: tuple[str, ...] = ("seed", "norm at start", "largest", "median of last 5 %", "loss, median of last 5 %")
    columns += ("Spearman norm, loss (95 %)", "diverged at")
    late = np.median(norm[:, -tail:], axis=1)
    late_loss = np.median(np.where(good[:, None], result.loss.astype(np.float64), np.nan)[:, -tail:], axis=1)
    rows = []
    for s in range(settings.seeds):
        rho, low, high = (f"{v:.2f}" if np.isfinite(v) else "–" for v in result.correlation[s])
        gone = str(result.diverged_at[s]) if not good[s] else "–"
        cells = [number(float(v)) for v in (norm[s, 0], norm[s].max(), late[s], late_loss[s])]
        interval = f"{rho} ({low} to {high})" if np.isfinite(result.correlation[s, 1]) else rho
        rows.append((str(settings.seed + s), *cells, interval, gone))
    numbers = {
        "parameters": settings.parameters,
        "gradient_norm_at_start": statistics(norm[:, 0]),
        "gradient_norm_largest": statistics(norm.max(axis=1)),
        "gradient_norm_late": statistics(late),
        "loss_late": statistics(late_loss),
        "spearman": statistics(result.correlation[:, 0]),
        "spearman_interval_of_each_seed": result.correlation[:, 1:].tolist(),
        "iterations": settings.epochs,
        "diverged": int((~good).sum()),
        "seconds": result.seconds,
        "compile_seconds": result.compile_seconds,
    }
    what = settings.func if settings.data == "function" else settings.where()
    title = f"gradient-norm of the {settings.model} net on {what}: {settings.epochs} iterations"
    return Summary(title, columns, tuple(rows), tuple(_sentences(settings, result)), numbers)


def _sentences(settings: Settings, result: Result) -> list[str]:
    rho = result.correlation
    n = int(np.isfinite(rho[:, 0]).sum())
    said = []
    if n:
        intro = "one seed decides nothing" if settings.seeds == 1 else f"{n} seeds"
        said.append(
            f"Spearman's correlation of gradient norm and loss over {settings.epochs} iterations: "
            f"{spread(rho[:, 0])}, {intro}; "
            + (
                f"intervals by a bootstrap of blocks of {BLOCK} iterations, too narrow for slower trends."
                if np.isfinite(rho[:, 1:]).any()
                else f"no interval, for which at least {10 * BLOCK} iterations are needed."
            )
        )
        if settings.seeds > 1 and n == settings.seeds:
            if (rho[:, 1] > 0).all():
                said.append(
                    "In every seed the norm is larger where the loss is larger (a shared trend is enough for that)."
                )
            elif (rho[:, 2] < 0).all():
                said.append("In every seed the norm is larger where the loss is smaller (opposite trends are enough).")
            elif np.isfinite(rho).all():
                said.append("The seeds do not agree on a sign: some interval holds zero, or the signs differ.")
    gone = int((result.diverged_at >= 0).sum())
    if gone:
        said.append(f"{gone} of {settings.seeds} trainings diverged and are left out of the numbers.")
    return said
