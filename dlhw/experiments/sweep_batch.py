"""Do nets trained in large batches end in sharper places, and are they more sensitive to their inputs?

One net, trained with every batch size at one learning rate, for equally many epochs or updates. Sensitivity is the mean
of |d loss_i / d x_i|, one gradient an example, on the test set, whatever the batch size. The gradient of a batch mean,
which carries a factor 1/B and makes the popular figure, is drawn beside it.
References: Keskar et al. 2017, On large-batch training for deep learning; Novak et al. 2018, Sensitivity and
generalization in neural networks; Dinh et al. 2017, Sharp minima can generalize for deep nets.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dlhw import datasets, plot
from dlhw.context import Context
from dlhw.errors import require
from dlhw.experiments import _curves, _flatness, _images
from dlhw.section import Line, Section, Series
from dlhw.settings import option
from dlhw.statistics import spearman
from dlhw.summary import Summary, number, spread, statistics

SCALARS = ("sensitivity", "sensitivity_error", "batch_mean_gradient", "jacobian")
CURVED = ("eigenvalue", "eigenvalue_residual")


@dataclass(frozen=True)
class Settings(_images.ImageSettings):
    """What `dlhw sweep-batch` takes."""

    net: str = option("10c5-p2-20c5-p2-50", "Net: deep, wide, plain, or layers such as 20c3-p2-100.")
    sizes: tuple[int, ...] = option((64, 100, 500, 4000, 8000), "Batch sizes.", positional=True)
    equal: Literal["epochs", "updates"] = option(
        "epochs", "What all trainings share: epochs, or updates, those of the median size in --epochs epochs."
    )
    epsilon: tuple[float, ...] = option((0.001, 0.0005), "Sizes of the box of Keskar's sharpness.")
    curvature_examples: int = option(2000, "Training examples on which sharpness and curvature are measured.")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_nets((self.net,), "--net")
        require(len(self.sizes) > 1, "SIZES needs at least two batch sizes to compare, such as 64 500")
        for size in self.sizes:
            self.check_batch(size, "SIZES: batch size")
        twice = [s for s in self.sizes if self.sizes.count(s) > 1]
        require(not twice, f"SIZES names {twice[0] if twice else ''} twice")
        require(len(self.epsilon) > 0, "--epsilon is empty; give at least one box, such as 0.001")
        require(len(set(self.epsilon)) == len(self.epsilon), "--epsilon names a box twice")
        for epsilon in self.epsilon:
            require(0 < epsilon <= 1, f"--epsilon {epsilon:g} must lie in (0, 1]")
        n = self.curvature_examples
        require(n >= 1, f"--curvature-examples {n} must be positive")

    def updates(self, size: int) -> int:
        """How many updates the training with `size` takes."""
        if self.equal == "epochs":
            return self.epochs * -(-self.training_examples // size)
        middle = sorted(self.sizes)[(len(self.sizes) - 1) // 2]
        return self.epochs * -(-self.training_examples // middle)


@dataclass(frozen=True)
class Result:
    """B batch sizes, S seeds, K boxes. Nothing of a training that diverged is finite."""

    train_loss: NDArray[np.floating]  # (B, S) cross entropy in nats, after the last update
    train_accuracy: NDArray[np.floating]  # (B, S) share in [0, 1]
    test_loss: NDArray[np.floating]  # (B, S)
    test_accuracy: NDArray[np.floating]  # (B, S)
    sensitivity: NDArray[np.floating]  # (B, S) mean |d loss_i / d x_i| over the test set, nats per unit of a pixel
    sensitivity_error: NDArray[np.floating]  # (B, S) its standard error over the test images
    batch_mean_gradient: NDArray[np.floating]  # (B, S) the same of the mean loss of batches of B: the mistake
    jacobian: NDArray[np.floating]  # (B, S) mean |d softmax / d x_i| over the test set
    start_sensitivity: NDArray[np.floating]  # (S,) sensitivity before the first update, the same for every size
    keskar: NDArray[np.floating]  # (B, S, K) phi, per cent of 1 + f, on the fixed training subset
    eigenvalue: NDArray[np.floating]  # (B, S) largest of the Hessian, on the same subset
    eigenvalue_residual: NDArray[np.floating]  # (B, S) |H v - lambda v|: an eigenvalue lies that close
    diverged_at: NDArray[np.integer]  # (B, S) epoch, or -1
    seconds: tuple[float, ...]  # (B S,) of wall time, measures included, size by size
    keskar_spread: NDArray[np.floating] | None = None  # (B, S, K) (largest - smallest) / largest of the searches
    keskar_settled: NDArray[np.floating] | None = None  # (B, S, K) 1 where the best search settled, 0 at its cap
    gap_error: NDArray[np.floating] | None = None  # (B, S) standard error of test loss - train loss over the images


SECTION = Section(
    "1-3 c 2",
    "Flatness: sensitivity and sharpness against batch size",
    fixed=("data", "sizes", "epochs", "momentum", "optimizer", "activation", "init"),
    captions={
        "sensitivity": "Loss, accuracy and sensitivity against batch size; dashed a popular mistake, the batch mean.",
        "sharpness": "Keskar's sharpness, the largest Hessian eigenvalue and the Jacobian norm against batch size.",
    },
    mistakes=(
        "The gradient of the batch mean is called sensitivity: it holds a factor 1/B and falls whatever the net does.",
        "Equal epochs: large batches take few updates, and a net that has hardly left its start is called flat.",
        "Sharpness that depends on the scale of the weights is compared between nets of different scale.",
    ),
    quick={
        "data": "digits",
        "net": "8c3-p2-30",
        "sizes": (16, 64, 256, 1000),
        "epochs": 15,
        "learning_rate": 0.01,
        "curvature_examples": 500,
        "seeds": 2,
    },
)

TINY = Settings(
    data="digits",
    net="8",
    sizes=(20, 50),
    examples=100,
    epochs=2,
    learning_rate=0.05,
    seeds=2,
    epsilon=(0.01,),
    curvature_examples=50,
)


def run(settings: Settings, context: Context) -> Result:
    """Train with every batch size from every seed, and measure each net where its training ends."""
    names = {(b, s): f"batch {b} seed {s}" for b in settings.sizes for s in settings.seed_range}
    jobs = {name: _job(settings, *key) for key, name in names.items()}
    found = _images.train(settings, jobs, context)
    shape, first = (len(settings.sizes), settings.seeds), settings.sizes[0]

    def table(key: str, width: int = 1) -> np.ndarray:
        gone = np.full(width, np.nan)
        rows = [np.ravel(found[n][key]) if found[n]["diverged_at"] < 0 else gone for n in names.values()]
        return np.reshape(rows, (*shape, width))

    return Result(
        **{k: np.reshape([_last(found[n], k) for n in names.values()], shape) for k in _curves.CURVES},
        **{k: table(k)[..., 0] for k in (*SCALARS, *CURVED)},
        start_sensitivity=np.array([found[n]["start_sensitivity"] for (b, _), n in names.items() if b == first]),
        **{k: table(k, len(settings.epsilon)) for k in ("keskar", "keskar_spread", "keskar_settled")},
        gap_error=table("gap_error")[..., 0],
        diverged_at=np.reshape([found[n]["diverged_at"] for n in names.values()], shape),
        seconds=tuple(float(found[n]["seconds"]) for n in names.values()),
    )


def _job(settings: Settings, size: int, seed: int) -> _images.Job:
    updates = settings.updates(size)
    epochs = -(-updates // -(-settings.training_examples // size))
    watch = partial(_flatness.at_the_end, epochs, size, settings.epsilon, settings.curvature_examples)
    job = _images.Job(settings.net, seed, size, settings.learning_rate, epochs, updates=updates, watch=watch)
    return job


def _last(arrays: dict[str, np.ndarray], key: str) -> float:
    return float(arrays[key][-1]) if arrays["diverged_at"] < 0 else np.nan


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """`sensitivity`: loss, accuracy and sensitivity against batch size, with the popular mistake; `sharpness`."""
    return {"sensitivity": _sensitivity_figure(settings, result), "sharpness": _sharpness_figure(settings, result)}


def _over(settings: Settings) -> str:
    same = f"{settings.epochs} epochs each" if settings.equal == "epochs" else f"{settings.updates(1)} updates each"
    return same + ("; dots: seeds, line: median" if settings.seeds > 1 else "; one seed")


def _sensitivity_figure(settings: Settings, result: Result) -> Figure:
    made, panels = plot.figure(2, height=7.4, right=True, head=1.15)
    x, twins = np.array(settings.sizes), []
    for panel, kind, scale in zip(panels, ("loss", "accuracy"), (1.0, 100.0), strict=True):
        for which, dashes in (("train", "-"), ("test", (0, (4, 1.8)))):
            values = scale * getattr(result, f"{which}_{kind}")
            plot.dots(panel, x, values, f"{kind}, {which}", 0, linestyle=dashes)
        right = plot.twin(panel, "sensitivity (nats per unit of a pixel)", 1)
        twins.append(right)
        plot.dots(right, x, result.sensitivity, "sensitivity, one gradient an example", 1, linestyle="-")
        plot.dots(
            right,
            x,
            result.batch_mean_gradient,
            "popular mistake: of the batch mean",
            1,
            linestyle="--",
            linewidth=0.8,
            markersize=0,
        )
        start = float(np.median(result.start_sensitivity))
        right.axhline(start, color=plot.COLORS[1], linewidth=0.9, linestyle=":", label="sensitivity before training")
        plot.positive_log(right, 0)
        panel.set(xscale="log", ylabel="cross entropy (nats)" if kind == "loss" else "accuracy (%)")
    title = f"{settings.net} on {settings.size()}{_curves.gone(result.diverged_at)}"
    plot.header(made, title, f"{_over(settings)}; sensitivity on the test set", (panels[0], twins[0]))
    plot.sizes(panels[-1], x)
    panels[-1].set_xlabel("batch size")
    return made


def _sharpness_figure(settings: Settings, result: Result) -> Figure:
    made, (top, middle, bottom) = plot.figure(3, height=7.4)
    x = np.array(settings.sizes)
    for k, epsilon in enumerate(settings.epsilon):
        plot.dots(top, x, result.keskar[..., k], f"box ε = {epsilon:g}", k)
    plot.dots(middle, x, result.eigenvalue, "", 2)
    plot.dots(bottom, x, result.jacobian, "", 3)
    for panel, label in ((top, "Keskar's sharpness φ (%)"), (middle, "largest Hessian eigenvalue")):
        panel.set_ylabel(label)
        plot.positive_log(panel, 0)
    bottom.set(xscale="log", xlabel="batch size", ylabel="|d softmax / d x|, mean")
    plot.legend(top, _over(settings))
    n = min(settings.curvature_examples, settings.training_examples)
    top.set_title(f"{settings.data}: φ and λ on {n} training images, Jacobian on the test set")
    plot.sizes(bottom, x)
    return made


def series(settings: Settings, result: Result) -> Series:
    """Sensitivity against batch size."""
    order = np.argsort(settings.sizes)
    lines = (Line("sensitivity", np.array(settings.sizes)[order], result.sensitivity[order].T),)
    return Series(
        "batch size", "sensitivity (nats per unit of a pixel)", lines, log_x=True, log_y=True, at=tuple(settings.sizes)
    )


def summary(settings: Settings, result: Result) -> Summary:
    """A row a batch size; what each measure has to do with the batch size and with the generalization gap."""
    gap = result.test_loss - result.train_loss
    measures = {"sensitivity": result.sensitivity, "Jacobian norm": result.jacobian}
    measures |= {f"Keskar's sharpness (ε = {e:g})": result.keskar[..., k] for k, e in enumerate(settings.epsilon)}
    measures["largest eigenvalue"] = result.eigenvalue
    numbers: dict[str, Any] = {"parameters": settings.parameters(settings.net)}
    rows = []
    for k, size in enumerate(settings.sizes):
        gone = int((result.diverged_at[k] >= 0).sum())
        kept = {n: getattr(result, n)[k] for n in (*_curves.CURVES, *SCALARS, *CURVED)}
        kept |= {f"keskar_{e!r}": result.keskar[k, :, i] for i, e in enumerate(settings.epsilon)}
        seconds = _curves.seconds(settings, result.seconds)[k]
        numbers[f"batch {size}"] = {
            "updates": settings.updates(size),
            **{n: statistics(v) for n, v in (kept | {"gap": gap[k], "seconds": seconds}).items()},
            "diverged": gone,
        }
        shown = (kept["train_loss"], kept["test_loss"])
        more = (kept["sensitivity"], kept["batch_mean_gradient"], kept["jacobian"])
        sharp = [kept[f"keskar_{e!r}"] for e in settings.epsilon] + [kept["eigenvalue"]]
        cells = [_curves.mean_std(v) for v in shown] + [_curves.percent(kept["test_accuracy"])]
        cells += [_curves.mean_std(v) for v in (*more, *sharp)]
        rows.append((str(size), f"{settings.updates(size):,}", *cells, f"{gone} of {settings.seeds}"))
    columns: tuple[str, ...] = ("batch", "updates", "train loss", "test loss", "test accuracy, %", "sensitivity")
    columns += ("mistake: of the batch mean", "Jacobian", *(f"φ, ε = {e:g}" for e in settings.epsilon))
    columns += ("largest eigenvalue", "diverged")
    said = _trends(settings, result)
    resolved, sentence = _curves.gap_is_resolved(gap, result.gap_error)
    said += sentence
    for name, values in measures.items():
        rho, low, high = spearman(values.ravel(), gap.ravel(), seed=settings.seed)
        n = int((np.isfinite(values) & np.isfinite(gap)).sum())
        numbers[f"spearman of {name} and gap"] = {"rho": rho, "low": low, "high": high, "n": n}
        said += _with_gap(name, rho, low, high, n) if resolved else []
    if settings.seeds == 1:
        said.append("One training a batch size: one seed decides nothing.")
    said += _curves.divergences([f"batch {s}" for s in settings.sizes], result.diverged_at)
    title = f"sweep-batch on {settings.where()}: equal {settings.equal}, {_curves.statistic(settings.seeds)}"
    return Summary(title, columns, tuple(rows), tuple(said), numbers)


def _trends(settings: Settings, result: Result) -> list[str]:
    """How sensitivity and its popular mistake go with the batch size, and what the sizes do not share."""
    small, large = (f(range(len(settings.sizes)), key=settings.sizes.__getitem__) for f in (min, max))
    a, b = settings.sizes[small], settings.sizes[large]
    said = []
    true, wrong = result.sensitivity, result.batch_mean_gradient
    for name, values in (
        ("Sensitivity", true),
        *((f"Keskar's sharpness (ε = {e:g})", result.keskar[..., k]) for k, e in enumerate(settings.epsilon)),
        ("Largest Hessian eigenvalue", result.eigenvalue),
    ):
        low, high = (v[np.isfinite(v)] for v in (values[small], values[large]))
        if len(low) and len(high):
            side = "lower" if high.max() < low.min() else "higher" if high.min() > low.max() else ""
            how = f"every seed {side} at {b}" if side else "the ranges overlap"
            how = how if settings.seeds > 1 else "in this one seed"
            said.append(f"{name}: {spread(values[small])} at batch {a}, {spread(values[large])} at {b}; {how}.")
            said += _turning(settings, values, small, large)
    if np.isfinite(true[small]).any() and np.isfinite(true[large]).any():
        start = result.start_sensitivity
        said.append(f"Before training the sensitivity is {spread(start)}; a net that hardly moves keeps about that.")
        fall = float(np.nanmedian(wrong[small])), float(np.nanmedian(wrong[large]))
        if all(v > 0 for v in fall):
            n = datasets.known(settings.data).test
            batches = -(-n // a) / -(-n // b)
            said.append(
                f"The popular mistake, the gradient of the batch mean, is {number(fall[0] / fall[1])} times "
                f"smaller at {b} than at {a}. That {n} test images make {-(-n // a)} batches of the one size and "
                f"{-(-n // b)} of the other alone gives {batches:.3g}; what is left, "
                f"{fall[0] / fall[1] / batches:.2g}, is the net's."
            )
    said += _searches(settings, result)
    dead = int((true == 0).sum())
    if dead:
        said.append(f"In {dead} trainings the gradients vanish on every test image: those nets are saturated.")
    loose = int((result.eigenvalue_residual > _flatness.TOLERANCE * np.abs(result.eigenvalue)).sum())
    if loose:
        said.append(f"In {loose} trainings the largest eigenvalue has not converged and is a lower bound.")
    if settings.equal == "epochs":
        said.append(
            f"Equal epochs: batch {a} took {settings.updates(a)} updates, batch {b} {settings.updates(b)}. Large "
            "batches are trained less. --equal updates fixes the steps; then they see more examples: compare both."
        )
    else:
        said.append(f"Equal updates, {settings.updates(a)} each: large batches see more examples.")
    return said


def _turning(settings: Settings, values: np.ndarray, small: int, large: int) -> list[str]:
    """Where a measure (B, S) is largest or smallest between the ends, if every seed there lies beyond both ends."""
    sentences = []
    medians = _curves.median(values)
    for k, way, sign in ((int(np.nanargmax(medians)), "largest", 1), (int(np.nanargmin(medians)), "smallest", -1)):
        if k in (small, large):
            continue
        inner, *ends = (sign * values[j][np.isfinite(values[j])] for j in (k, small, large))
        what = f"its {way} median, {number(medians[k])}, is at {settings.sizes[k]}"
        if settings.seeds == 1:
            sentences.append(f"In this one seed {what}.")
        elif all(len(end) and inner.min() > end.max() for end in ends):
            sentences.append(f"It is not monotone: {what}, every seed beyond those of both ends.")
        else:
            sentences.append(f"Whether it is monotone the seeds do not show: {what}, within the range of an end.")
    return sentences


def _searches(settings: Settings, result: Result) -> list[str]:
    """How far the searches for Keskar's maximum can be trusted."""
    if result.keskar_spread is None or result.keskar_settled is None:
        return ["Keskar's sharpness of this older run was searched with ten iterations, which find less for some nets."]
    known = np.isfinite(result.keskar)
    capped = int((known & (result.keskar_settled < 1)).sum())
    spreads = result.keskar_spread[np.isfinite(result.keskar_spread)]
    sentences = []
    if len(spreads):
        sentences.append(
            f"Searches of one maximum from different starts differ by {spread(100 * spreads)} %; the largest counts."
        )
    if capped:
        sentences.append(
            f"{capped} of {int(known.sum())} searches for Keskar's maximum ended at their cap, still rising."
        )
    return sentences


def _with_gap(name: str, rho: float, low: float, high: float, n: int) -> list[str]:
    if not np.isfinite(rho):
        return []
    what = f"Spearman's correlation of {name} and the gap of the loss over {n} trainings: {rho:.2f}"
    if not np.isfinite(low):
        return [f"{what}, no interval under ten trainings."]
    holds = (
        "the interval holds zero" if low <= 0 <= high else f"a {'larger' if rho > 0 else 'smaller'} gap goes with it"
    )
    return [f"{what} ({low:.2f} to {high:.2f}, bootstrap over trainings, as if they were independent); {holds}."]
