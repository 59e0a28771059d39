"""Is there a barrier of the loss between two trained nets, and how curved is the way at its ends?

theta(alpha) = (1 - alpha) A + alpha B, where A and B were trained alike but for one setting: the batch size, or the
learning rate. Held fixed: net, data, epochs, and the examples on which every point of the line is measured.
References: Goodfellow et al. 2015, Qualitatively characterizing neural network optimization problems; Frankle et al.
2020 and Entezari et al. 2022 for the two definitions of a barrier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dlhw import plot
from dlhw.context import Context
from dlhw.errors import UserError, require
from dlhw.experiments import _curves, _flatness, _images, _parts, _shared
from dlhw.measure.paths import alpha_grid, barrier_over_chord, barrier_over_mean
from dlhw.section import Line, Section, Series
from dlhw.settings import option
from dlhw.summary import Summary, spread, statistics

CLEAR = 0.05  # nats: a barrier over the chord under this counts as none, over it in every seed as one
OTHER = 2**40  # second and further trainings of a seed draw from seed + k OTHER, which is no seed that a user can give


@dataclass(frozen=True)
class Settings(_images.BatchSettings):
    """What `dlhw interpolate` takes."""

    epochs: int = option(30, "Passes over the training set.")
    net: str = option("10c5-p2-20c5-p2-50", "Net: deep, wide, plain, or layers such as 20c3-p2-100.")
    by: tuple[str, ...] = option(
        ("batch-size=64,512", "learning-rate=0.001,0.01"),
        "What A and B differ in: batch-size=A,B or learning-rate=A,B; may be repeated.",
        whole=True,
    )
    own_start: bool = option(
        True, "Start A and B from weights of their own, or from shared ones.", flags="--own-start/--shared-start"
    )
    alphas: tuple[float, ...] = option(
        tuple(round(-1 + 0.05 * k, 2) for k in range(61)),
        "Points of the line; 0 and 1 are added where missing.",
        shown="-1 to 2 by 0.05",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_nets((self.net,), "--net")
        require(len(self.by) > 0, "--by is empty; give at least one pair, such as batch-size=64,512")
        require(len(set(map(parse, self.by))) == len(self.by), "--by names a pair twice")
        for size in (v for text in self.by for v in parse(text)[1] if parse(text)[0] == "batch-size"):
            self.check_batch(int(size), "--by batch-size")
        require(len(self.alphas) > 0, "--alphas is empty; give points such as -1,0,0.5,1,2")

    @property
    def grid(self) -> np.ndarray:
        """The alphas in order, 0 and 1 among them, (G,)."""
        return alpha_grid(self.alphas)

    def ends(self, text: str) -> list[tuple[int, float]]:
        """Batch size and learning rate of A and of B."""
        key, values = parse(text)
        if key == "batch-size":
            return [(int(v), self.learning_rate) for v in values]
        return [(self.batch_size, v) for v in values]

    def trainings(self) -> list[tuple[int, float]]:
        """Every training of a seed, once; pairs may share one."""
        return list(dict.fromkeys(end for text in self.by for end in self.ends(text)))


def parse(text: str) -> tuple[str, tuple[float, float]]:
    """ "batch-size=64,512" -> ("batch-size", (64, 512))."""
    key, _, values = text.partition("=")
    wanted = "use batch-size=64,512 or learning-rate=1e-3,1e-2"
    require(key in ("batch-size", "learning-rate"), f"--by {text!r}: {key!r} is unknown; {wanted}")
    try:
        found = [float(v) for v in values.split(",")]
    except ValueError:
        raise UserError(f"--by {text!r}: {values!r} are no two numbers; {wanted}") from None
    require(len(found) == 2, f"--by {text!r} has {len(found)} values, not two; {wanted}")
    require(all(np.isfinite(v) and v > 0 for v in found), f"--by {text!r}: both values must be positive and finite")
    require(found[0] != found[1], f"--by {text!r}: A and B are the same; {wanted}")
    whole = all(v == int(v) for v in found)
    require(key != "batch-size" or whole, f"--by {text!r}: batch sizes are whole numbers")
    return key, (found[0], found[1])


@dataclass(frozen=True)
class Result:
    """R pairs, S seeds, G alphas. Nothing of a line is finite if one of its ends diverged."""

    alphas: NDArray[np.floating]  # (G,)
    train_loss: NDArray[np.floating]  # (R, S, G) cross entropy in nats
    train_accuracy: NDArray[np.floating]  # (R, S, G) share in [0, 1]
    test_loss: NDArray[np.floating]  # (R, S, G)
    test_accuracy: NDArray[np.floating]  # (R, S, G)
    curvature: NDArray[np.floating]  # (R, S, 2) second derivative of the training loss by alpha, at A and B
    distance: NDArray[np.floating]  # (R, S) |A - B|
    diverged_at: NDArray[np.integer]  # (R, S) first epoch at which A or B diverged, or -1
    seconds: tuple[float, ...]  # of every training, seeds of one after the other
    line_seconds: tuple[float, ...]  # (R S,)


SECTION = Section(
    "1-3 c 1",
    "Flatness: the line between two nets",
    fixed=("data", "epochs", "batch_size", "learning_rate", "momentum", "optimizer", "activation", "init", "by"),
    captions={"line": "Loss (left, logarithmic) and accuracy (right) along the line, training solid, test dashed."},
    mistakes=(
        "The two ends are not on the grid, and the plotted ends are worse than the trained nets.",
        "The width of a valley is read as flatness: it depends on the length of the line and the scale of weights.",
        "Batch statistics of one end are used along the whole line.",
    ),
    quick={
        "data": "digits",
        "net": "8c3-p2-30",
        "epochs": 15,
        "by": ("batch-size=32,256", "learning-rate=0.01,0.1"),
        "batch_size": 32,
        "learning_rate": 0.01,
        "seeds": 2,
    },
)

TINY = Settings(
    data="digits",
    net="8",
    by=("batch-size=20,50",),
    alphas=(-0.5, 0.5, 1.5),
    examples=100,
    epochs=2,
    learning_rate=0.05,
    seeds=2,
)


def run(settings: Settings, context: Context) -> Result:
    """Train every end from every seed, then measure the lines between them."""
    trainings, jobs = settings.trainings(), {}
    for k, (size, rate) in enumerate(trainings):
        for s in settings.seed_range:
            seed = s + k * OTHER
            start = seed if settings.own_start else s
            job = _images.Job(
                settings.net, seed, size, rate, settings.epochs, start=start, snapshot_every=settings.epochs
            )
            jobs[_name(k, s)] = job
    shared = _shared.Shared(settings, context, len(jobs))
    trained = _images.train(settings, jobs, context, shared)
    pairs = {
        f"line {r} seed {s}": [trained[_name(trainings.index(end), s)] for end in settings.ends(text)]
        for r, text in enumerate(settings.by)
        for s in settings.seed_range
    }
    lines = _parts.train_parts(
        {name: 2 * len(settings.grid) for name in pairs},
        lambda part: _flatness.along(settings.net, settings.grid, shared, pairs[part.name], part),
        context,
        shared.prepare,
        unit="points",
        what="lines",
        among=len(jobs),
    )
    shape = len(settings.by), settings.seeds
    arrays = {k: np.reshape([lines[n][k] for n in pairs], (*shape, -1)) for k in (*_curves.CURVES, "curvature")}
    return Result(
        alphas=settings.grid,
        **arrays,
        distance=np.reshape([lines[n]["distance"] for n in pairs], shape),
        diverged_at=np.reshape([_first_divergence(ends) for ends in pairs.values()], shape),
        seconds=tuple(float(trained[name]["seconds"]) for name in jobs),
        line_seconds=tuple(float(lines[n]["seconds"]) for n in pairs),
    )


def _first_divergence(ends: list[dict[str, np.ndarray]]) -> int:
    return min((int(end["diverged_at"]) for end in ends if end["diverged_at"] >= 0), default=-1)


def _name(training: int, seed: int) -> str:
    return f"training {training} seed {seed}"


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """`line`: loss (log, left) and accuracy (right) against alpha, a panel a pair, training solid, test dashed."""
    made, axes = plot.panels(len(settings.by), height=4.6, right=True, head=1.2)
    twins = []
    for r, (text, left) in enumerate(zip(settings.by, axes, strict=True)):
        right = plot.twin(left, "accuracy (%)", 1)
        twins.append(right)
        for side, kind, scale, k in ((left, "loss", 1.0, 0), (right, "accuracy", 100.0, 1)):
            for which, dashes in (("train", "-"), ("test", (0, (4, 1.8)))):
                values = scale * getattr(result, f"{which}_{kind}")[r]
                look = {"color": plot.COLORS[k], "linestyle": dashes}
                plot.band(side, result.alphas, values, f"{kind}, {which}", k, **look)
        plot.positive_log(left, 1e-7)
        right.set_ylim(0, 104)
        key, (a, b) = parse(text)
        for alpha, name, value in ((0.0, "A", a), (1.0, "B", b)):
            plot.mark(left, alpha, f"{name}: {value:g}")
        left.set(xlabel="α", ylabel="cross entropy (nats)", xlim=(result.alphas[0], result.alphas[-1]))
        left.set_title(f"{key} {a:g} to {b:g}{_curves.gone(result.diverged_at[r])}")
    start = "A and B start from weights of their own" if settings.own_start else "A and B start from the same weights"
    title = f"Along the line between two nets on {settings.where()}"
    plot.header(made, title, f"{start}; {_curves.over(settings.seeds)}", (axes[0], twins[0]))
    return {"line": made}


def series(settings: Settings, result: Result) -> Series:
    """Training loss against alpha, a line a pair."""
    lines = tuple(Line(text, result.alphas, result.train_loss[k]) for k, text in enumerate(settings.by))
    return Series("α", "training cross entropy (nats)", lines, log_y=True, at=(0.0, 0.5, 1.0))


def summary(settings: Settings, result: Result) -> Summary:
    """A row a pair: the ends, the barrier by both definitions, the curvature of the way at both ends."""
    inside = (result.alphas >= 0) & (result.alphas <= 1)
    at = [int(np.flatnonzero(result.alphas == v)[0]) for v in (0.0, 1.0)]
    numbers: dict[str, Any] = {"parameters": settings.parameters(settings.net)}
    rows, said = [], []
    for r, text in enumerate(settings.by):
        train, test = result.train_loss[r].astype(float), result.test_loss[r].astype(float)
        low = result.test_accuracy[r][:, inside].min(axis=1)
        found = {
            "train_barrier_over_mean": barrier_over_mean(result.alphas, train),
            "train_barrier_over_chord": barrier_over_chord(result.alphas, train),
            "test_barrier_over_mean": barrier_over_mean(result.alphas, test),
            "test_barrier_over_chord": barrier_over_chord(result.alphas, test),
            "test_error_barrier_over_mean": barrier_over_mean(result.alphas, 1 - result.test_accuracy[r].astype(float)),
            "lowest_test_accuracy_between": low,
            "curvature_at_a": result.curvature[r, :, 0],
            "curvature_at_b": result.curvature[r, :, 1],
            "distance": result.distance[r],
        }
        for k, side in zip(at, "ab", strict=True):
            found |= {f"{name}_at_{side}": getattr(result, name)[r][:, k] for name in _curves.CURVES}
        gone = int((result.diverged_at[r] >= 0).sum())
        numbers[text] = {**{k: statistics(v) for k, v in found.items()}, "diverged": gone}
        shares = ("test_accuracy_at_a", "test_accuracy_at_b", "lowest_test_accuracy_between")
        others = ("train_barrier_over_mean", "train_barrier_over_chord", "test_barrier_over_chord")
        others += ("curvature_at_a", "curvature_at_b", "distance")  # type: ignore[assignment]
        cells = [_curves.percent(found[k]) for k in shares] + [_curves.mean_std(found[k]) for k in others]
        rows.append((text, *cells, f"{gone} of {settings.seeds}"))
        said += _sentences(settings, text, found)
    numbers["seconds"] = statistics(np.array(result.seconds))
    numbers["line_seconds"] = statistics(np.array(result.line_seconds))
    columns: tuple[str, ...] = ("A, B", "test accuracy A, %", "B, %", "lowest between, %")
    columns += ("train barrier over the mean of the ends", "over the chord", "test barrier over the chord")
    columns += ("curvature at A", "at B", "|A − B|", "diverged")
    how = "A and B from starts of their own" if settings.own_start else "A and B from one start"
    title = f"interpolate on {settings.where()}: after {settings.epochs} epochs, {how}, "
    if settings.seeds == 1:
        said.append("One pair of trainings: one seed decides nothing.")
    for text, gone in zip(settings.by, (result.diverged_at >= 0).sum(axis=1), strict=True):
        if gone:
            said.append(f"In {gone} of {settings.seeds} pairs of {text} a training diverged; those have no line.")
    return Summary(title + _curves.statistic(settings.seeds), columns, tuple(rows), tuple(said), numbers)


def _sentences(settings: Settings, text: str, found: dict[str, np.ndarray]) -> list[str]:
    """What the barrier is, whether the seeds bear it out, and what the curvature can say."""
    high = found["train_barrier_over_chord"][np.isfinite(found["train_barrier_over_chord"])]
    if not len(high):
        return [f"{text}: no line, since in no pair both trainings ended."]
    if (high > CLEAR).all():
        what = "a barrier in every seed"
    elif (high < CLEAR).all():
        what = f"no barrier of {CLEAR:g} nats in any seed"
    else:
        what = "the seeds disagree on a barrier"
    what = what if len(high) > 1 else "in this one seed"
    worse = np.minimum(found["test_accuracy_at_a"], found["test_accuracy_at_b"])
    drop = 100 * (worse - found["lowest_test_accuracy_between"])
    falls = f"falls {spread(drop)} points under the worse of the two nets"
    falls = falls if np.nanmax(drop) > 0 else "does not fall under that of the worse net"
    return [
        f"{text}: {what}; the training loss rises {spread(high)} nats over the chord, "
        "the straight line between the losses of A and B, "
        f"and test accuracy {falls}.",
        f"{text}: curvature along the way {spread(found['curvature_at_a'])} at A, {spread(found['curvature_at_b'])} at "
        f"B (d²L/dα², training loss): one direction among {settings.parameters(settings.net):,}, "
        "no measure of flatness.",
    ]
