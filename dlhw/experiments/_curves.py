"""Curves of trainings on images, rows of nets (or noise levels) times seeds: collected, drawn, put into numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dlhw import plot
from dlhw.experiments import _parts
from dlhw.section import Line, Series
from dlhw.summary import number, spread

CURVES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")


@dataclass(frozen=True)
class Curves:
    """R rows (nets, or noise levels), S seeds, E epochs; entry 0 of a curve is the start, nan follows a divergence."""

    train_loss: NDArray[np.floating]  # (R, S, E + 1) cross entropy in nats
    train_accuracy: NDArray[np.floating]  # (R, S, E + 1) share in [0, 1]
    test_loss: NDArray[np.floating]  # (R, S, E + 1)
    test_accuracy: NDArray[np.floating]  # (R, S, E + 1)
    diverged_at: NDArray[np.integer]  # (R, S) epoch, or -1
    seconds: tuple[float, ...]  # (R S,) of wall time, row by row, trainings side by side
    compile_seconds: tuple[float, ...]  # (R S,)


def curves(found: dict[str, dict[str, np.ndarray]], names: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Arrays (rows, seeds, ...) of parts named in rows of seeds; seconds flat, row by row.

    Times are plain numbers: they belong into run.json, for the same settings give the same bytes of arrays.
    """
    made: dict[str, Any] = {
        k: np.stack([_parts.by_seed(found, row, k) for row in names]) for k in (*CURVES, "diverged_at")
    }
    for key in ("seconds", "compile_seconds"):
        made[key] = tuple(float(found[name][key]) for row in names for name in row)
    return made


def seconds(settings: Any, flat: tuple[float, ...]) -> np.ndarray:
    """Times (rows, seeds) from the flat ones of a result."""
    return np.reshape(flat, (-1, settings.seeds))


def curve_figure(
    result: Any, labels: Sequence[str], title: str, where: str, over: str, chance: float | None = None
) -> Figure:
    """Loss (log) above accuracy against epoch, all rows of `result`: training solid, test dashed, band over seeds."""
    made, (top, bottom) = plot.figure(2, height=5.9, head=0.6)
    epochs = np.arange(result.train_loss.shape[-1])
    for axes, kind, scale in ((top, "loss", 1.0), (bottom, "accuracy", 100.0)):
        for k, label in enumerate(labels):
            color = plot.COLORS[k % len(plot.COLORS)]
            for which, dashes in (("train", "-"), ("test", (0, (4, 1.8)))):
                values = getattr(result, f"{which}_{kind}")[k] * scale
                name = label if which == "train" and kind == "loss" else ""
                plot.band(
                    axes,
                    epochs,
                    values,
                    name,
                    k,
                    color=color,
                    linestyle=dashes,
                    marker=plot.MARKERS[k % len(plot.MARKERS)],
                    markersize=3.5,
                    markevery=-(-len(epochs) // 25),
                )
    plot.positive_log(top, 1e-7)
    top.set_ylabel("cross entropy (nats)")
    plot.whole_numbers(bottom)
    bottom.set(xlabel="epoch", ylabel="accuracy (%)", xlim=(0, epochs[-1]))
    if chance is not None:
        bottom.axhline(100 * chance, color=plot.TRUTH, linewidth=0.8, linestyle=":", label="chance")
        bottom.legend(loc="center right")
    plot.header(made, title, where, ())
    plot.legend(top, f"train solid, test dashed; {over}")
    return made


def series(labels: Sequence[str], result: Any, key: str = "test_loss") -> Series:
    """One of the curves against epoch, a line a row."""
    x = np.arange(result.train_loss.shape[-1])
    loss = key.endswith("loss")
    values = getattr(result, key) * (1 if loss else 100)
    what = f"{key.split('_', 1)[0]} {'cross entropy (nats)' if loss else 'accuracy (%)'}"
    return Series("epoch", what, tuple(Line(n, x, v) for n, v in zip(labels, values, strict=True)), log_y=loss)


def ends(result: Any) -> dict[str, np.ndarray]:
    """Numbers of every training, (rows, seeds), nan where it diverged: after the last epoch, the best of any, and the
    late median, that of the last 5 % of the epochs. The best is chosen on the test set itself."""
    good = result.diverged_at < 0
    last = {k: np.where(good, getattr(result, k)[..., -1].astype(np.float64), np.nan) for k in CURVES}
    best = {
        "best_test_loss": result.test_loss.astype(np.float64).min(axis=-1),  # a nan on the way stays nan
        "best_test_accuracy": result.test_accuracy.astype(np.float64).max(axis=-1),
    }
    tail = max(1, round(0.05 * (result.test_loss.shape[-1] - 1)))
    best |= {f"late_{k}": np.median(getattr(result, k)[..., -tail:].astype(np.float64), axis=-1) for k in CURVES}
    return last | {k: np.where(good, v, np.nan) for k, v in best.items()}


def mean(values: np.ndarray) -> np.ndarray:
    """Mean of the finite values of every row; nan where there is none."""
    return np.array([row[np.isfinite(row)].mean() if np.isfinite(row).any() else np.nan for row in values])


def median(values: np.ndarray) -> np.ndarray:
    """Median of the finite values of every row; nan where there is none."""
    return np.array([np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else np.nan for row in values])


def gone(diverged_at: np.ndarray) -> str:
    """What a label says of the trainings that diverged."""
    count = int((diverged_at >= 0).sum())
    return f" · {count} diverged" if count else ""


def divergences(names: Sequence[str], diverged_at: np.ndarray) -> list[str]:
    """A sentence for every row in which trainings diverged."""
    counts = (diverged_at >= 0).sum(axis=1)
    seeds = diverged_at.shape[1]
    return [
        f"{n} of {seeds} trainings of {name} diverged and are left out of the numbers."
        for name, n in zip(names, counts, strict=True)
        if n
    ]


def statistic(seeds: int) -> str:
    """What the numbers of a table are."""
    return f"mean ± standard deviation of {seeds} seeds; below, median (min to max)" if seeds > 1 else "one seed"


def over(seeds: int) -> str:
    """What the lines of a figure are."""
    return f"median of {seeds} seeds, band from min to max" if seeds > 1 else "one seed"


def percent(values: np.ndarray) -> str:
    """Mean and standard deviation of shares, in per cent, with as many digits as a test set of thousands bears."""
    good = np.asarray(values, float)[np.isfinite(values)] * 100
    if not len(good):
        return "–"
    return f"{good.mean():.2f}" + (f" ± {good.std(ddof=1):.2f}" if len(good) > 1 else "")


def mean_std(values: np.ndarray) -> str:
    """Mean and standard deviation (n - 1), three digits; a dash where nothing is finite."""
    good = np.asarray(values, float)[np.isfinite(values)]
    if not len(good):
        return "–"
    return number(float(good.mean())) + (f" ± {number(float(good.std(ddof=1)))}" if len(good) > 1 else "")


def gap_is_resolved(gap: np.ndarray, error: np.ndarray | None) -> tuple[bool, list[str]]:
    """Whether the generalization gaps (rows, seeds) exceed twice their standard errors, and a sentence on both.

    error: standard error of every gap over the images on which the losses are measured; None: not stored. The spread
    over the seeds is no substitute, for all of them are measured on the same images.
    """
    if not np.isfinite(gap).any():
        return False, []
    text = f"The gap of the loss is {spread(gap[np.isfinite(gap)])}"
    if error is None:
        return False, [f"{text}; its standard error over the images is not stored, so correlations are no evidence."]
    known = np.isfinite(gap) & np.isfinite(error)
    text += f", its standard error over the images {spread(error[known])}"
    if known.any() and float(np.median(np.abs(gap[known]))) > 2 * float(np.median(error[known])):
        return True, [f"{text}."]
    return False, [f"{text}: it is not resolved, and no correlation with it is evidence."]
