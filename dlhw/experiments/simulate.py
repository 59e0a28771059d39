"""Does depth help at an equal number of parameters? ReLU nets fit a function of x.

Held fixed: the data, the optimizer, the number of steps and, within a few, the number of parameters; what differs is
depth. Three nets of 571, 572 and 571 parameters, SGD with learning rate 0.01 and momentum 0.9, mean squared error,
20000 full-batch steps (NTU MLDS HW1-1). The target is scaled to largest absolute value one unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dlhw import architectures, plot, targets
from dlhw.context import Context
from dlhw.errors import UserError, require
from dlhw.experiments import _fitting
from dlhw.section import Line, Section, Series
from dlhw.settings import option
from dlhw.summary import Summary, lowest, number, spread, statistics

THRESHOLDS = (1e-2, 1e-3)
DEAD = 1e-6  # of the target's variance


@dataclass(frozen=True)
class Settings(_fitting.FitSettings):
    """What `dlhw simulate` takes."""

    models: tuple[str, ...] = option(
        ("deep", "middle", "shallow"), "Nets: deep, middle, shallow, or hidden widths such as 10-18-15-4."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.models) > 0, "--models is empty; name at least one net")
        require(len(set(self.models)) == len(self.models), "--models names a net twice")
        for net in self.models:
            architectures.parse(net)


@dataclass(frozen=True)
class Result:
    """N nets, S seeds, T epochs, n training points, m = 5 (n - 1) + 1 points of the dense grid."""

    x: NDArray[np.floating]  # (m,)
    y: NDArray[np.floating]  # (m,) the scaled target
    loss: NDArray[np.floating]  # (N, S, T + 1) MSE on the training points after each epoch; 0 is the start
    prediction: NDArray[np.floating]  # (N, S, m) after training
    diverged_at: NDArray[np.integer]  # (N, S) epoch, or -1
    dead: NDArray[np.bool_]  # (N, S) prediction variance under 1e-6 of the target's
    seconds: tuple[float, ...]  # (N,) of wall time, the S seeds together, nets side by side
    compile_seconds: tuple[float, ...]  # (N,)
    frames: NDArray[np.floating] | None = None  # (N, F, n) of the first seed at the training points, for an animation


SECTION = Section(
    "1-1 a",
    "Deep against shallow on a function",
    fixed=("func", "epochs", "learning_rate", "momentum", "optimizer", "activation", "init", "models"),
    captions={
        "loss": "Training error against epoch: median of the seeds, band from minimum to maximum.",
        "fit": "Target and predictions on a grid five times denser than the training points, residuals below.",
    },
    mistakes=(
        "One seed a net: the spread over seeds is as large as the difference between nets.",
        "Comparing the last epoch alone: full-batch training with momentum ends in noise, and the last value is luck.",
        "A net that died and predicts a constant is drawn as if it had learnt slowly.",
    ),
    quick={"epochs": 5000, "seeds": 3},
)

TINY = Settings(models=("2", "3-2"), epochs=30, points=20, seeds=2)


def run(settings: Settings, context: Context) -> Result:
    """Train every net from every seed and keep losses and final predictions."""
    trained = _fitting.train(settings, settings.models, context)
    x, y = _fitting.data(settings, 5)
    stack = {k: np.stack([trained[net][k] for net in settings.models]) for k in trained[settings.models[0]]}
    at_points = stack["prediction"][..., ::5].astype(np.float64)
    with np.errstate(invalid="ignore"):  # of a diverged net: inf - inf
        variance = np.var(at_points, axis=-1)
    return Result(
        x=x,
        y=y,
        loss=stack["loss"],
        prediction=stack["prediction"],
        diverged_at=stack["diverged_at"],
        dead=(variance < DEAD * np.var(y[::5])) & (stack["diverged_at"] < 0),
        seconds=tuple(float(v) for v in stack["seconds"]),
        compile_seconds=tuple(float(v) for v in stack["compile_seconds"]),
        frames=stack.get("frames"),
    )


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """`loss`: MSE against epoch. `fit`: predictions and truth, with residuals below."""
    return {"loss": _loss_figure(settings, result), "fit": _fit_figure(settings, result)}


def _labels(settings: Settings) -> list[str]:
    nets = [architectures.parse(net) for net in settings.models]
    return [
        f"{net}: {len(w) + 1} layers, {architectures.count(w)} parameters"
        for net, w in zip(settings.models, nets, strict=True)
    ]


def _over(settings: Settings) -> str:
    return f"median of {settings.seeds} seeds, band from min to max" if settings.seeds > 1 else "one seed"


def _loss_figure(settings: Settings, result: Result) -> Figure:
    made, (axes,) = plot.figure(height=4.3, head=plot.room(len(settings.models)))
    epochs = np.arange(settings.epochs + 1)
    width = 1
    for k, label in enumerate(_labels(settings)):
        x, values, width = plot.thin(epochs, result.loss[k])
        gone = int(np.sum(result.diverged_at[k] >= 0))
        plot.band(axes, x, values, label + (f" · {gone} diverged" if gone else ""), k)
    plot.positive_log(axes, 1e-12)
    smoothed = f"; each point the median of {width} epochs" if width > 1 else ""
    axes.set(xlabel="epoch (one full-batch step)", ylabel="training MSE", xlim=(0, settings.epochs))
    plot.header(made, f"Training error on {targets.formula(settings.func)}", _over(settings) + smoothed, (axes,))
    return made


def _fit_figure(settings: Settings, result: Result) -> Figure:
    made, (top, bottom) = plot.figure(2, height=5.7, heights=(2.2, 1.0), head=plot.room(len(settings.models) + 1))
    top.plot(result.x, result.y, color=plot.TRUTH, linewidth=3.2, alpha=0.32, label="target")
    for k, label in enumerate(_labels(settings)):
        good = result.diverged_at[k] < 0
        if good.any():
            plot.band(top, result.x, result.prediction[k][good], label, k)
            plot.band(bottom, result.x, result.prediction[k][good] - result.y, label, k)
    top.set_ylabel("f(x)" if settings.scale == "raw" else "f(x) / max |f|")
    bottom.axhline(0, color=plot.TRUTH, linewidth=0.8)
    bottom.set(xlabel="x", ylabel="prediction − target", xlim=settings.domain)
    plot.header(made, f"{targets.formula(settings.func)} after {settings.epochs} epochs", _over(settings), (top,))
    return made


def measures(settings: Settings, result: Result) -> dict[str, np.ndarray]:
    """Per net and seed, (N, S): final, best and median-of-the-last-5-% MSE, and epochs to each threshold (nan: never).

    Diverged trainings are nan everywhere.
    """
    loss = np.where((result.diverged_at >= 0)[..., None], np.nan, result.loss.astype(np.float64))
    tail = max(1, round(0.05 * settings.epochs))
    out = {"final_mse": loss[..., -1], "best_mse": loss.min(axis=-1)}
    out["late_mse"] = np.median(loss[..., -tail:], axis=-1)
    for limit in THRESHOLDS:
        under = loss <= limit
        out[f"epochs_to_{limit:g}"] = np.where(under.any(axis=-1), under.argmax(axis=-1), np.nan)
    return out


def animation(settings: Settings, result: Result) -> tuple[Callable[[int], Figure], int]:
    """The fit of the first seed over the epochs; UserError if the run did not record it."""
    frames, epochs = result.frames, _fitting.frames(settings)
    if frames is None:
        raise UserError(
            "this run has not recorded the way of its fit; `dlhw simulate ... --animate --overwrite` makes one that has"
        )
    x, y = result.x[::5], result.y

    def draw(k: int) -> Figure:
        made, (axes,) = plot.figure(height=3.9, head=0.95)
        axes.plot(result.x, y, color=plot.TRUTH, linewidth=3.2, alpha=0.32, label="target")
        for i, label in enumerate(_labels(settings)):
            axes.plot(x, frames[i, k], label=label, **plot.line(i))
        span = float(y.max() - y.min())
        axes.set(xlabel="x", xlim=settings.domain, ylim=(y.min() - 0.25 * span, y.max() + 0.25 * span))
        axes.set_ylabel("f(x)" if settings.scale == "raw" else "f(x) / max |f|")
        note = f"epoch {epochs[k]:,} of {settings.epochs:,}, first seed"
        plot.header(made, f"Nets learn {targets.formula(settings.func)}", note, (axes,))
        return made

    return draw, len(epochs)


def series(settings: Settings, result: Result) -> Series:
    """Training error against epoch, a line a net."""
    lines = []
    for net, loss in zip(settings.models, result.loss, strict=True):
        x, values, _ = plot.thin(np.arange(settings.epochs + 1), loss)
        lines.append(Line(net, x, values))
    return Series("epoch (one full-batch step)", "training MSE", tuple(lines), log_y=True)


def summary(settings: Settings, result: Result) -> Summary:
    """A row a net; which net fits best, as far as the seeds bear it out."""
    found = measures(settings, result)
    numbers: dict[str, Any] = {}
    rows = []
    for k, net in enumerate(settings.models):
        widths = architectures.parse(net)
        dead, gone = int(result.dead[k].sum()), int((result.diverged_at[k] >= 0).sum())
        numbers[net] = {
            "layers": len(widths) + 1,
            "parameters": architectures.count(widths),
            **{name: statistics(values[k]) for name, values in found.items()},
            "dead": dead,
            "diverged": gone,
            "seconds": result.seconds[k],
            "compile_seconds": result.compile_seconds[k],
        }
        reached = [_reached(found[f"epochs_to_{limit:g}"][k]) for limit in THRESHOLDS]
        errors = [spread(found[name][k]) for name in ("final_mse", "best_mse", "late_mse")]
        counts = [f"{dead} of {settings.seeds}", f"{gone} of {settings.seeds}"]
        rows.append((net, str(len(widths) + 1), str(architectures.count(widths)), *errors, *reached, *counts))
        rows[-1] += (f"{result.seconds[k]:.1f}",)
    columns: tuple[str, ...] = ("net", "layers", "parameters", "final MSE", "best MSE", "median of last 5 %")
    columns += (*(f"epochs to {limit:g}" for limit in THRESHOLDS), "dead", "diverged", "seconds")
    title = f"simulate {settings.func}: {settings.epochs} epochs, median over {settings.seeds} seeds (min to max)"
    if settings.seeds == 1:
        title = f"simulate {settings.func}: {settings.epochs} epochs, one seed"
    return Summary(title, columns, tuple(rows), tuple(_sentences(settings, result, found)), numbers)


def _reached(epochs: np.ndarray) -> str:
    n = int(np.isfinite(epochs).sum())
    good = epochs[np.isfinite(epochs)]
    if n == 0:
        return "never"
    text = f"{np.median(good):.0f}" + (f" ({good.min():.0f} to {good.max():.0f})" if len(epochs) > 1 else "")
    return text + (f", {n} of {len(epochs)}" if n < len(epochs) else "")


def _sentences(settings: Settings, result: Result, found: dict[str, np.ndarray]) -> list[str]:
    said = [lowest(settings.models, found["late_mse"], "training MSE (median of the last 5 % of the epochs)")]
    for k, net in enumerate(settings.models):
        dead, gone = int(result.dead[k].sum()), int((result.diverged_at[k] >= 0).sum())
        if dead:
            constant = number(float(np.var(result.y[::5])))
            said.append(
                f"{dead} of {settings.seeds} {net} nets end as a constant (dead, or still on the first plateau): "
                f"the best constant has an MSE of {constant}."
            )
        if gone:
            said.append(f"{gone} of {settings.seeds} {net} nets diverged and are left out of every number of the row.")
    return said
