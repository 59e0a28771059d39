"""What is the shape of the loss where the gradient vanishes?

Many small smooth nets train on the loss for various numbers of steps; from there 1/2 |g|^2 is minimised until the
gradient is zero to rounding (|g| < 1e-8, float64), or the search ends short of that, which is told apart. The minimal
ratio is the share of eigenvalues of the exact Hessian that are positive: 1 at a strict minimum.
References: Dauphin et al. 2014, Identifying and attacking the saddle point problem; Frye et al. 2021, Critical
point-finding methods reveal gradient-flat regions of deep network losses (NTU MLDS HW1-2).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dlhw import architectures, targets
from dlhw.context import Context
from dlhw.errors import require
from dlhw.experiments import _fitting, _parts
from dlhw.measure.signs import LARGEST, Inertia, chance_curvature, effective_rank, inertia, resolution
from dlhw.section import Line, Section, Series
from dlhw.settings import option
from dlhw.statistics import spearman
from dlhw.summary import Summary, number, spread, statistics

FLAT = 0.1  # |Hg|/|g| as a share of what a random direction has, under which a region counts as gradient-flat
CHECKS = 50  # points of the training at which --stop gradient-norm looks at |g|


@dataclass(frozen=True)
class Settings(_fitting.FitSettings):
    """What `dlhw minimal-ratio` takes."""

    epochs: int = option(3000, "Steps of the longest training.")
    optimizer: Literal["sgd", "nesterov", "adam", "rmsprop"] = option("adam", "Optimizer of the training.")
    activation: Literal["relu", "tanh", "sigmoid", "elu", "selu", "gelu", "silu", "softplus"] = option(
        "tanh", "Activation of the hidden layers; the Hessian of a relu net misses its kinks."
    )
    seeds: int = option(100, "Number of nets, seed to seed + n - 1.", also=("--runs",))
    net: str = option("10-10", "Hidden widths, such as 10-10, or deep, middle, shallow.")
    lengths: Literal["spread", "equal"] = option(
        "spread", "spread: each net trains for 1 to --epochs steps, evenly in the logarithm; equal: all for --epochs."
    )
    arrival: float = option(1e-8, "A net has arrived where the gradient norm is below this.")
    hessians: int = option(220, "Exact Hessians that the search may take for each net.")
    stop: Literal["critical", "gradient-norm"] = option(
        "critical", "gradient-norm: show beside it the points where training first came under --threshold."
    )
    threshold: float = option(1e-3, "Gradient norm of --stop gradient-norm.")
    precision: Literal["float64", "float32"] = option("float64", "float32 shows what rounding makes of the spectrum.")
    strict: bool = option(
        False,
        "In figures and trends count every eigenvalue above 0, those of rounding too; the table has both.",
        flags="--strict/--tolerant",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        size = architectures.count(architectures.parse(self.net))
        require(
            size <= LARGEST,
            f"--net {self.net} has {size} parameters; whole Hessians are for at most {LARGEST}; use fewer",
        )
        require(self.arrival > 0, f"--arrival {self.arrival:g} must be positive")
        require(self.threshold > 0, f"--threshold {self.threshold:g} must be positive")
        used = self.stop == "gradient-norm" or self.threshold == type(self).threshold
        require(used, "--threshold is of --stop gradient-norm; give both, or none")
        require(1 <= self.hessians <= 100_000, f"--hessians {self.hessians} must lie in 1..100000")

    @property
    def parameters(self) -> int:
        """P."""
        return architectures.count(architectures.parse(self.net))

    def steps(self) -> NDArray[np.integer]:
        """How many steps each net trains, (S,); that of a seed does not depend on the others."""
        if self.lengths == "equal":
            return np.full(self.seeds, self.epochs)
        draws = [np.random.default_rng([s, 7]).random() for s in range(self.seed, self.seed + self.seeds)]
        return np.array([round(self.epochs**u) for u in draws])

    def checks(self) -> list[int]:
        """Steps at which --stop gradient-norm looks."""
        return sorted({round(self.epochs ** (k / CHECKS)) for k in range(CHECKS + 1)} | {self.epochs})


@dataclass(frozen=True)
class Result:
    """S nets, P parameters. Everything of a net whose training diverged is nan; arrived is False."""

    steps: NDArray[np.integer]  # (S,) trained before the search
    start_loss: NDArray[np.floating]  # (S,) MSE
    start_norm: NDArray[np.floating]  # (S,) |g|
    loss: NDArray[np.floating]  # (S,) MSE where the search ended
    gradient_norm: NDArray[np.floating]  # (S,) |g| there
    eigenvalues: NDArray[np.floating]  # (S, P) of the Hessian there, ascending, in the precision of the run
    flatness: NDArray[np.floating]  # (S,) |H g| / |g| there
    arrived: NDArray[np.bool_]  # (S,) |g| < arrival
    finished: NDArray[np.bool_]  # (S,) the search ended of itself: at rounding, or where no step lowers |g|
    hessians: NDArray[np.integer]  # (S,)
    correlation: NDArray[np.floating]  # (2, 3) Spearman of ratio and log loss, 95 % interval; all, critical points
    diverged_at: NDArray[np.integer]  # (S,) step, or -1
    seconds: float  # of the training
    compile_seconds: float
    search_seconds: float  # of all searches, over the number that ran side by side
    path_step: NDArray[np.integer] | None = None  # (S,) first check under the threshold, or -1
    path_loss: NDArray[np.floating] | None = None  # (S,) there
    path_norm: NDArray[np.floating] | None = None  # (S,)
    path_eigenvalues: NDArray[np.floating] | None = None  # (S, P)


SECTION = Section(
    "1-2 c",
    "What happens when the gradient is almost zero",
    fixed=(),
    captions={
        "ratio": "Share of positive eigenvalues against loss. Filled: critical points; hollow: searches that ended "
        "short of one.",
        "spectra": "Eigenvalues of the critical points of lowest, median and highest loss, in order; grey: zero to "
        "rounding.",
        "signs": "Positive, zero and negative eigenvalues of every net, in order of its loss.",
    },
    mistakes=(
        "Stopping at a small gradient norm on the way down the loss: such a point is no critical point, and the signs "
        "there say nothing of one.",
        "Counting every eigenvalue above 0: those of size 1e-17 are rounding, half of them positive, and the ratio is "
        "drawn towards one half.",
        "Float32: its rounding hides all eigenvalues under about 1e-5 of the largest.",
        "A minimiser of |g|² that ends where Hg = 0 but g does not is taken for a critical point.",
        "The search for one ends at |g| = 1e-8: near a degenerate point curvatures of 1e-4 then mean nothing but "
        "nearness.",
    ),
    quick={"seeds": 24, "epochs": 1000, "hessians": 60},
)

TINY = Settings(net="3", epochs=20, points=20, seeds=3, hessians=12)


def run(settings: Settings, context: Context) -> Result:
    """Train the nets as one stack, then drive each to a critical point and take its spectrum."""
    from threadpoolctl import threadpool_limits

    from dlhw.measure.stacked import StackedObjective

    steps = settings.steps()
    checks = settings.checks() if settings.stop == "gradient-norm" else []
    keep = sorted({*steps.tolist(), *checks})
    models, histories = _fitting.fit(settings, (settings.net,), context, keep=keep, dtype=settings.precision)
    gone = np.array(
        [-1 if h.diverged_at is None or h.diverged_at > n else h.diverged_at for h, n in _zip(histories, steps)]
    )
    x, y = _fitting.data(settings)
    objective = StackedObjective(models, x[:, None], y[:, None], block=1)
    starts = np.stack([h.weights[keep.index(n)] for h, n in _zip(histories, steps)])
    names = {f"net of seed {settings.seed + s}": s for s in range(settings.seeds)}

    def search(part: _parts.Part) -> dict[str, np.ndarray]:
        s = names[part.name]
        theta = starts[s] if gone[s] < 0 else None
        return _search(settings, objective, theta, part)

    with threadpool_limits(1, user_api="blas"):  # two threads that each start two more only wait for each other
        found = _parts.train_parts(
            dict.fromkeys(names, settings.hessians), search, context, unit="Hessians", what="searches"
        )
        arrays = {k: np.stack([found[name][k] for name in names]) for k in found[next(iter(names))]}
        path = _on_the_path(settings, objective, [h.weights for h in histories], keep, gone) if checks else {}
    seconds = float(arrays.pop("seconds").sum()) / min(context.workers, settings.seeds)
    result = Result(
        steps=steps,
        **arrays,
        correlation=np.full((2, 3), np.nan),
        diverged_at=gone,
        seconds=max(h.seconds for h in histories),
        compile_seconds=max(h.compile_seconds for h in histories),
        search_seconds=seconds,
        **path,
    )
    result.correlation[:] = _correlations(settings, result)
    return result


def _zip(histories: list[Any], steps: NDArray[np.integer]) -> list[tuple[Any, int]]:
    return list(zip(histories, steps.tolist(), strict=True))


def _search(settings: Settings, objective: Any, theta: np.ndarray | None, part: _parts.Part) -> dict[str, np.ndarray]:
    """The search of one net; all nan if its training diverged."""
    from dlhw.measure.critical import critical_point
    from dlhw.training import Stopped

    began = time.perf_counter()
    kind = np.dtype(settings.precision)
    names = ("start_loss", "start_norm", "loss", "gradient_norm", "flatness")
    arrays: dict[str, np.ndarray] = {k: np.array(np.nan) for k in names}
    arrays |= {"eigenvalues": np.full(settings.parameters, np.nan, kind), "arrived": np.array(False)}
    arrays |= {"finished": np.array(False)}
    arrays |= {"hessians": np.array(0), "seconds": np.array(0.0)}
    if theta is None:
        return arrays

    def progress(done: int, size: float) -> None:
        part.report(done, size)
        if part.stop():
            raise Stopped

    (loss,), (gradient,) = objective.gradient(theta[None])
    at = critical_point(objective, theta, tolerance=settings.arrival, hessians=settings.hessians, progress=progress)
    return {
        "start_loss": np.array(loss, float),
        "start_norm": np.array(np.linalg.norm(gradient), float),
        "loss": np.array(at.loss),
        "gradient_norm": np.array(at.gradient_norm),
        "flatness": np.array(at.flatness),
        "eigenvalues": at.eigenvalues.astype(kind),
        "arrived": np.array(at.arrived),
        "finished": np.array(at.ended in ("rounding", "stalled")),
        "hessians": np.array(at.hessians),
        "seconds": np.array(time.perf_counter() - began),
    }


def _on_the_path(
    settings: Settings, objective: Any, paths: list[np.ndarray], keep: list[int], gone: np.ndarray
) -> dict[str, np.ndarray]:
    """The first check of every training at which |g| is under the threshold, and the spectrum there."""
    at = [keep.index(n) for n in settings.checks()]
    step = np.full(len(paths), -1)
    loss, norm = np.full(len(paths), np.nan), np.full(len(paths), np.nan)
    values = np.full((len(paths), settings.parameters), np.nan, settings.precision)
    for s, path in enumerate(paths):
        if gone[s] >= 0:
            continue
        losses, gradients = objective.gradient(path[at])
        norms = np.linalg.norm(gradients, axis=1)
        under = np.flatnonzero(norms <= settings.threshold)
        if not len(under):
            continue
        k = int(under[0])
        _, _, (matrix,) = objective.hessian(path[at[k]][None])
        step[s], loss[s], norm[s] = settings.checks()[k], losses[k], norms[k]
        values[s] = np.linalg.eigvalsh(matrix)
    return {"path_step": step, "path_loss": loss, "path_norm": norm, "path_eigenvalues": values}


def signs_of(settings: Settings, eigenvalues: np.ndarray) -> tuple[np.ndarray, Inertia]:
    """Which nets have a spectrum, (S,), and the inertia of those."""
    good = np.isfinite(eigenvalues).all(axis=1)
    some = eigenvalues[good] if good.any() else np.ones((1, eigenvalues.shape[1]))
    return good, inertia(some, 0.0 if settings.strict else None)


def ratios(settings: Settings, eigenvalues: np.ndarray) -> np.ndarray:
    """Minimal ratio of every net, (S,); nan where there is no spectrum."""
    good, signs = signs_of(settings, eigenvalues)
    out = np.full(len(good), np.nan)
    out[good] = signs.minimal_ratio[: int(good.sum())]
    return out


def _correlations(settings: Settings, result: Result) -> list[tuple[float, float, float]]:
    ratio = ratios(settings, result.eigenvalues)
    which = (True, kinds(result) == "critical")
    # To six digits: nets at one loss differ by rounding, and ranks would order that.
    losses = np.array([float(f"{loss:.6g}") for loss in result.loss])
    return [spearman(np.where(m, ratio, np.nan), losses, seed=settings.seed) for m in which]


def relative_flatness(result: Result) -> np.ndarray:
    """|H g| / |g| as a share of what a random direction has, (S,): near 1 chance, 0 where H g = 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(result.flatness / chance_curvature(result.eigenvalues))


KINDS = {
    "critical": "critical points",
    "close": "below the tolerance, search cut off",
    "flat": "gradient-flat region",
    "cut": "search cut off",
    "stalled": "no step lowers |g|",
}


def kinds(result: Result) -> np.ndarray:
    """What the end of each search is, (S,), a key of KINDS; "" where training diverged.

    A critical point asks that the search went on to rounding (see :func:`dlhw.measure.critical_point`). Gradient-flat:
    |H g|/|g| under a tenth of what a random direction has (Frye et al. 2021), so that |g|^2 falls slowly.
    """
    with np.errstate(invalid="ignore"):
        flat = relative_flatness(result) < FLAT
    found = np.where(flat, "flat", np.where(result.finished, "stalled", "cut"))
    found = np.where(result.arrived, np.where(result.finished, "critical", "close"), found)
    return np.where(np.isfinite(result.loss), found, "")


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """`ratio`: against loss, coloured by |g|. `spectra`: of three nets. `signs`: of all nets."""
    from dlhw.experiments import _ratio_figures as draw

    return {
        "ratio": draw.ratio_figure(settings, result),
        "spectra": draw.spectra_figure(settings, result),
        "signs": draw.signs_figure(settings, result),
    }


def what(settings: Settings) -> str:
    """The nets, in a line."""
    return f"{settings.net} {settings.activation}, {settings.parameters} parameters, {targets.formula(settings.func)}"


def series(settings: Settings, result: Result) -> Series:
    """Quantiles of the minimal ratio over the nets that did not diverge."""
    ratio = ratios(settings, result.eigenvalues)
    ratio = np.sort(ratio[np.isfinite(ratio)])
    share = (np.arange(len(ratio)) + 0.5) / max(1, len(ratio))
    return Series("share of nets", "minimal ratio", (Line("quantile", share, ratio[None]),), at=(0.1, 0.5, 0.9))


def summary(settings: Settings, result: Result) -> Summary:
    """A row for the critical points and one for each other end of a search (with --stop, for the stopped too)."""
    kind = kinds(result)
    numbers: dict[str, Any] = {"parameters": settings.parameters, "nets": settings.seeds}
    numbers["diverged"] = int((result.diverged_at >= 0).sum())
    rows = []
    for key, label in KINDS.items():
        some = kind == key
        found = {"loss": result.loss[some], "gradient_norm": result.gradient_norm[some]}
        found |= _numbers(result.eigenvalues[some], result.gradient_norm[some])
        found["flatness"] = relative_flatness(result)[some]
        numbers[key] = {"nets": int(some.sum()), **{k: statistics(v) for k, v in found.items()}}
        if some.any() or key == "critical":
            rows.append((label, str(int(some.sum())), *(spread(found[k]) for k in COLUMNS)))
    if result.path_eigenvalues is not None and result.path_loss is not None and result.path_norm is not None:
        some = np.isfinite(result.path_loss)
        found = {"loss": result.path_loss[some], "gradient_norm": result.path_norm[some]}
        found |= _numbers(result.path_eigenvalues[some], result.path_norm[some])
        numbers["stopped in training"] = {"nets": int(some.sum()), **{k: statistics(v) for k, v in found.items()}}
        cells = (spread(found[k]) if k in found else "–" for k in COLUMNS)
        rows.append(("stopped in training", str(int(some.sum())), *cells))
    numbers |= {"spearman_all": result.correlation[0].tolist(), "spearman_critical": result.correlation[1].tolist()}
    numbers |= {"seconds": result.seconds, "search_seconds": result.search_seconds}
    title = f"minimal-ratio: {what(settings)}, {settings.precision}; median (min to max)"
    said = tuple(_sentences(settings, result, kind))
    return Summary(title, ("", "nets", *COLUMNS.values()), tuple(rows), said, numbers)


COLUMNS = {
    "loss": "MSE",
    "gradient_norm": "|g|",
    "ratio": "minimal ratio",
    "strict_ratio": "ratio, strict",
    "positive": "n+",
    "zero": "n0",
    "negative": "n−",
    "unsettled": "± within 10√(|g| λmax)",
    "effective_rank": "effective rank",
    "flatness": "|Hg|/|g| over chance",
}


def _numbers(values: np.ndarray, norms: np.ndarray) -> dict[str, np.ndarray]:
    """Of nets with spectra (n, P): both ratios, the counts by sign with tolerance, the effective rank."""
    if not len(values):
        keys = ("ratio", "strict_ratio", "positive", "zero", "negative", "unsettled", "settled_ratio", "effective_rank")
        return dict.fromkeys(keys, np.empty(0))
    signs = inertia(values)
    least = np.maximum(resolution(values, norms), signs.tolerance)[:, None]
    return {
        "ratio": signs.minimal_ratio,
        "strict_ratio": inertia(values, 0.0).minimal_ratio,
        "positive": signs.positive.astype(float),
        "zero": signs.zero.astype(float),
        "negative": signs.negative.astype(float),
        "unsettled": ((np.abs(values) > signs.tolerance[:, None]) & (np.abs(values) <= least))
        .sum(axis=1)
        .astype(float),
        "settled_ratio": (values > least).mean(axis=1),
        "effective_rank": effective_rank(values),
    }


SHORT = {
    "close": "Below that, but cut off after {n} Hessians: {k}, |g| {g}; small eigenvalues are not settled there",
    "flat": "In a gradient-flat region after at most {n} Hessians: {k}, |g| {g}; |Hg|/|g| is {f} of what a random "
    "direction has, under a tenth, so that |g|² falls slowly; more --hessians may bring them further",
    "cut": "Cut off after {n} Hessians: {k}, |g| {g}; more --hessians may bring them further",
    "stalled": "No step lowers |g| further: {k}, |g| {g}",
}


def _sentences(settings: Settings, result: Result, kind: np.ndarray) -> list[str]:
    said = _critical(settings, result, kind == "critical")
    for key, text in SHORT.items():
        some = kind == key
        if some.any():
            values = {"n": settings.hessians, "k": f"{int(some.sum())} of {settings.seeds} nets"}
            values |= {"g": spread(result.gradient_norm[some]), "f": spread(relative_flatness(result)[some])}
            said.append(f"{text.format(**values)}.")
    if not set(kind) <= {"critical", ""}:
        said.append("The signs of these are not those of a critical point.")
    known = np.isfinite(result.loss)
    if settings.strict and known.any():
        found = _numbers(result.eigenvalues[known], result.gradient_norm[known])
        said.append(
            f"Over all {int(known.sum())} nets the strict ratio is {spread(found['strict_ratio'])}, and "
            f"{spread(found['ratio'])} above rounding: eigenvalues of rounding, half of them positive, draw the strict "
            "one towards one half."
        )
    said += _trends(result, kind)
    if result.path_eigenvalues is not None and result.path_loss is not None and result.path_norm is not None:
        under = np.isfinite(result.path_loss)
        found = _numbers(result.path_eigenvalues[under], result.path_norm[under])
        said.append(
            f"Stopped in training at |g| ≤ {settings.threshold:g}: {int(under.sum())} of {settings.seeds} nets, "
            f"minimal ratio {spread(found['ratio'])}; those are no critical points."
        )
    if settings.activation == "relu":
        said.append("A relu net is piecewise smooth: its Hessian knows nothing of the kinks, nor do the signs.")
    if settings.seeds == 1:
        said.append("One net: one seed decides nothing.")
    gone = int((result.diverged_at >= 0).sum())
    if gone:
        said.append(f"{gone} of {settings.seeds} trainings diverged and are left out.")
    return said


def _critical(settings: Settings, result: Result, some: np.ndarray) -> list[str]:
    """How many searches ended at a critical point, and what these are."""
    n, size = int(some.sum()), settings.parameters
    said = [f"{n} of {settings.seeds} nets reached a critical point: |g| < {settings.arrival:g}, followed to rounding."]
    if not n:
        return said
    values, norms = result.eigenvalues[some], result.gradient_norm[some]
    found = _numbers(values, norms)
    said.append(
        f"Their minimal ratio is {spread(found['ratio'])}, or {spread(found['strict_ratio'])} if every eigenvalue "
        f"above 0 counts; {spread(found['zero'])} of {size} are zero to rounding."
    )
    if found["unsettled"].any():
        said.append(
            f"{int((found['unsettled'] > 0).sum())} of them have eigenvalues above rounding but within 10√(|g| λmax), "
            "as nearness to a degenerate point makes them; with those as zero the ratio is "
            f"{spread(found['settled_ratio'])}."
        )
    least = np.maximum(resolution(values, norms), inertia(values).tolerance)[:, None]
    down = (values < -least).any(axis=1)
    unclear = ~down & (values < -inertia(values).tolerance[:, None]).any(axis=1)
    up = (values > least).all(axis=1)
    parts = {"saddle or maximum (curved downwards somewhere)": int(down.sum()), "strict minimum": int(up.sum())}
    parts["no more than second order can tell (no negative eigenvalue, but zeros)"] = int(
        (~down & ~unclear & ~up).sum()
    )
    parts["not to be told from rounding"] = int(unclear.sum())
    said.append(f"What they are: {'; '.join(f'{what}: {k} of {n}' for what, k in parts.items() if k)}.")
    variance = float(np.var(_fitting.data(settings)[1]))
    constant = int(np.isclose(result.loss[some], variance, rtol=1e-3).sum())
    if constant:
        up = found["positive"][np.isclose(result.loss[some], variance, rtol=1e-3)]
        points = f"; n+ runs from {up.min():.0f} to {up.max():.0f}: one loss, several points" if np.ptp(up) else ""
        said.append(
            f"{constant} of {n} lie at the loss of a constant output, {number(variance)}, the variance of the target, "
            f"which training leaves: these are no trained nets{points}."
        )
    return said


def _trends(result: Result, kind: np.ndarray) -> list[str]:
    """What the ratio has to do with the loss: over all ends of searches, and over the critical points."""
    said = []
    for (rho, low, high), key in zip(result.correlation, ("all", "critical"), strict=True):
        some = kind == "critical" if key == "critical" else kind != ""
        n = int(some.sum())
        over = f"the {n} critical points" if key == "critical" else f"all {n} nets"
        if key == "all" and (kind[some] == "critical").all():
            continue  # the same nets come again
        if n > 1 and number(result.loss[some].min()) == number(result.loss[some].max()):
            one = number(result.loss[some].max())
            said.append(f"{over[0].upper()}{over[1:]} lie at one loss, {one}: there is no trend to speak of.")
            continue
        if not np.isfinite(rho):
            continue
        clear = np.isfinite(low) and (low > 0 or high < 0)
        way = "larger" if rho > 0 else "smaller"
        bound = f"95 % interval {number(low)} to {number(high)}" if np.isfinite(low) else "too few for an interval"
        verdict = (
            f"nets of larger loss have the {way} ratio" if clear else "no trend of the ratio with the loss is shown"
        )
        others = int((kind != "critical").sum()) if key == "all" else 0
        note = f"; {others} of them are no critical points, so this says nothing of those that are" if others else ""
        said.append(f"Over {over}: {verdict}, Spearman {rho:.2f}, {bound}{note}.")
    return said
