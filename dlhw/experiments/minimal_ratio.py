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
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dlhw import architectures, plot, targets
from dlhw.context import Context
from dlhw.errors import require
from dlhw.experiments import _fitting, _parts
from dlhw.measure.signs import LARGEST, Inertia, effective_rank, inertia
from dlhw.section import Line, Section, Series
from dlhw.settings import option
from dlhw.statistics import spearman
from dlhw.summary import Summary, number, spread, statistics

FLAT = 0.1  # |Hg|/|g| as a share of the largest curvature under which a region counts as gradient-flat
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
    tolerance: float = option(1e-8, "A net has arrived where the gradient norm is below this.")
    hessians: int = option(150, "Exact Hessians that the search may take for each net.")
    stop: Literal["critical", "gradient-norm"] = option(
        "critical", "gradient-norm: show beside it the points where training first came under --threshold."
    )
    threshold: float = option(1e-3, "Gradient norm of --stop gradient-norm.")
    precision: Literal["float64", "float32"] = option("float64", "float32 shows what rounding makes of the spectrum.")
    strict: bool = option(False, "Count every eigenvalue above 0, those of rounding too.", flags="--strict/--tolerant")

    def __post_init__(self) -> None:
        super().__post_init__()
        size = architectures.count(architectures.parse(self.net))
        require(size <= LARGEST, f"--net {self.net} has {size} parameters; whole Hessians are for at most {LARGEST}")
        require(self.tolerance > 0, f"--tolerance {self.tolerance:g} must be positive")
        require(self.threshold > 0, f"--threshold {self.threshold:g} must be positive")
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
    arrived: NDArray[np.bool_]  # (S,) |g| < tolerance
    hessians: NDArray[np.integer]  # (S,)
    correlation: NDArray[np.floating]  # (2, 3) Spearman of ratio and log loss, 95 % interval; all nets, those arrived
    diverged_at: NDArray[np.integer]  # (S,) step, or -1
    seconds: float  # of the training
    compile_seconds: float
    search_seconds: float  # of all searches, side by side as they were
    path_step: NDArray[np.integer] | None = None  # (S,) first check under the threshold, or -1
    path_loss: NDArray[np.floating] | None = None  # (S,) there
    path_norm: NDArray[np.floating] | None = None  # (S,)
    path_eigenvalues: NDArray[np.floating] | None = None  # (S, P)


SECTION = Section(
    "1-2 c",
    "What happens when the gradient is almost zero",
    fixed=(),
    captions={
        "ratio": "Share of positive eigenvalues against loss. Filled: |g| below the tolerance; hollow: the search "
        "ended short of it, in a gradient-flat region.",
        "spectra": "Eigenvalues of the net of lowest, median and highest loss, in order; grey: zero to rounding.",
        "signs": "Positive, zero and negative eigenvalues of every net, in order of its loss.",
    },
    mistakes=(
        "Stopping at a small gradient norm on the way down the loss: such a point is no critical point, and the signs "
        "there say nothing of one.",
        "Counting every eigenvalue above 0: those of size 1e-17 are rounding, half of them positive, and the ratio is "
        "drawn towards one half.",
        "Float32: its rounding hides all eigenvalues under about 1e-5 of the largest.",
        "A minimiser of |g|² that ends where Hg = 0 but g does not is taken for a critical point.",
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
    arrays |= {"hessians": np.array(0), "seconds": np.array(0.0)}
    if theta is None:
        return arrays

    def progress(done: int, size: float) -> None:
        part.report(done, size)
        if part.stop():
            raise Stopped

    (loss,), (gradient,) = objective.gradient(theta[None])
    at = critical_point(objective, theta, tolerance=settings.tolerance, hessians=settings.hessians, progress=progress)
    return {
        "start_loss": np.array(loss, float),
        "start_norm": np.array(np.linalg.norm(gradient), float),
        "loss": np.array(at.loss),
        "gradient_norm": np.array(at.gradient_norm),
        "flatness": np.array(at.flatness),
        "eigenvalues": at.eigenvalues.astype(kind),
        "arrived": np.array(at.arrived),
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


def _signs(settings: Settings, eigenvalues: np.ndarray, strict: bool | None = None) -> tuple[np.ndarray, Inertia]:
    """Which nets have a spectrum, (S,), and the inertia of those."""
    good = np.isfinite(eigenvalues).all(axis=1)
    strict = settings.strict if strict is None else strict
    some = eigenvalues[good] if good.any() else np.ones((1, eigenvalues.shape[1]))
    return good, inertia(some, 0.0 if strict else None)


def _ratio(settings: Settings, eigenvalues: np.ndarray, strict: bool | None = None) -> np.ndarray:
    """Minimal ratio of every net, (S,); nan where there is no spectrum."""
    good, signs = _signs(settings, eigenvalues, strict)
    out = np.full(len(good), np.nan)
    out[good] = signs.minimal_ratio[: int(good.sum())]
    return out


def _correlations(settings: Settings, result: Result) -> list[tuple[float, float, float]]:
    ratio = _ratio(settings, result.eigenvalues)
    return [spearman(np.where(m, ratio, np.nan), result.loss, seed=settings.seed) for m in (True, result.arrived)]


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """`ratio`: against loss, coloured by |g|. `spectra`: of three nets. `signs`: of all nets."""
    return {
        "ratio": _ratio_figure(settings, result),
        "spectra": _spectra_figure(settings, result),
        "signs": _signs_figure(settings, result),
    }


def _what(settings: Settings) -> str:
    return f"{settings.net} {settings.activation}, {settings.parameters} parameters, {targets.formula(settings.func)}"


def _ratio_figure(settings: Settings, result: Result) -> Figure:
    made, (axes,) = plot.figure(height=4.8, head=1.1 if result.path_loss is None else 1.3, right=True)
    ratio, norm = _ratio(settings, result.eigenvalues), result.gradient_norm
    sizes = norm[np.isfinite(norm) & (norm > 0)]
    if len(sizes):
        scale = LogNorm(float(sizes.min()), max(float(sizes.max()), 1.0001 * float(sizes.min())))
        size = np.clip(norm, sizes.min(), None)  # an exact zero has no logarithm
        for some, label in ((result.arrived, "critical point"), (~result.arrived, "search ended short of one")):
            some = some & np.isfinite(ratio)
            if not some.any():
                continue
            filled = bool(label == "critical point")
            colors: Any = plot.sequential(scale(size[some]))
            faces = colors if filled else "none"
            label += f": {int(some.sum())} nets"
            axes.scatter(ratio[some], result.loss[some], s=30, c=faces, edgecolors=colors, linewidths=1.2, label=label)
        plot.colorbar(made, axes, scale, "|g|")
    if result.path_eigenvalues is not None and result.path_loss is not None:
        path = _ratio(settings, result.path_eigenvalues)
        label = f"training stopped at |g| ≤ {settings.threshold:g}: {int(np.isfinite(path).sum())} nets"
        axes.scatter(path, result.path_loss, s=24, c="#888888", marker="x", linewidths=1.0, label=label)
    if np.any(result.loss > 0):
        axes.set_yscale("log")
        plot.decades(axes)
    count = "all above 0" if settings.strict else "above rounding"
    axes.set(xlabel=f"minimal ratio (eigenvalues {count} / all)", ylabel="MSE")
    plot.header(made, "Minimal ratio where the gradient vanishes", _what(settings), (axes,), columns=1)
    return made


def _chosen(result: Result) -> dict[str, int]:
    """The nets of lowest, median and highest loss among those that arrived, or among all if none did."""
    finite = np.isfinite(result.loss)
    some = np.flatnonzero(finite & result.arrived if (finite & result.arrived).any() else finite)
    order = some[np.argsort(result.loss[some], kind="stable")]
    places = {"lowest loss": 0, "median": (len(order) - 1) // 2, "highest loss": len(order) - 1}
    return {name: int(order[k]) for name, k in places.items()} if len(order) else {}


def _spectra_figure(settings: Settings, result: Result) -> Figure:
    made, (axes,) = plot.figure(height=4.2, head=1.15)
    chosen, floors = _chosen(result), []
    for k, (name, s) in enumerate(chosen.items()):
        values = result.eigenvalues[s].astype(float)
        floors.append(float(inertia(result.eigenvalues[s]).tolerance))
        label = f"{name}, seed {settings.seed + s}: MSE {number(result.loss[s])}, |g| {number(result.gradient_norm[s])}"
        axes.plot(np.arange(1, len(values) + 1), values, label=label, marker=".", markersize=3.5, **plot.line(k))
    if floors:
        floor = max(floors)
        axes.set_yscale("symlog", linthresh=floor)
        axes.axhspan(-floor, floor, color="#9A9A9A", alpha=0.3, linewidth=0)
        plot.signed_decades(axes, floor)
    axes.set(xlabel="eigenvalue, in ascending order", ylabel="eigenvalue of the Hessian")
    note = f"{_what(settings)}; " + ("nets that arrived" if result.arrived.any() else "no net arrived: of all nets")
    plot.header(made, "Spectra", note, (axes,), columns=1)
    return made


def _signs_figure(settings: Settings, result: Result) -> Figure:
    made, (axes,) = plot.figure(height=4.0, head=0.95)
    good, signs = _signs(settings, result.eigenvalues)
    nets = np.flatnonzero(good)
    order = np.argsort(result.loss[nets], kind="stable")
    at, below = np.arange(len(nets)), np.zeros(len(nets))
    rows = (("negative", signs.negative, plot.COLORS[1]), ("zero", signs.zero, "#BDBDBD"))
    for name, counts, color in (*rows, ("positive", signs.positive, plot.COLORS[0])):
        height = counts[: len(nets)][order]
        axes.bar(at, height, 0.9, bottom=below, color=color, label=name, linewidth=0)
        below = below + height
    short = ~result.arrived[nets][order]
    if short.any():
        axes.plot(at[short], np.full(short.sum(), settings.parameters * 1.03), ".", color=plot.TRUTH, markersize=2.5)
    axes.set(xlabel="net, from the lowest loss to the highest", ylabel="eigenvalues", xlim=(-0.7, len(nets) - 0.3))
    axes.set_xticks([])
    axes.grid(False)
    note = f"{_what(settings)}; dots on top: nets that did not arrive" if short.any() else _what(settings)
    plot.header(made, "Signs of the eigenvalues", note, (axes,), columns=3)
    return made


def series(settings: Settings, result: Result) -> Series:
    """Quantiles of the minimal ratio over the nets."""
    ratio = np.sort(_ratio(settings, result.eigenvalues))
    share = (np.arange(len(ratio)) + 0.5) / len(ratio)
    return Series("share of nets", "minimal ratio", (Line("quantile", share, ratio[None]),), at=(0.1, 0.5, 0.9))


def summary(settings: Settings, result: Result) -> Summary:
    """A row for the nets that arrived and one for the others (with --stop, for the stopped too)."""
    groups = {"arrived": (result.arrived, result.loss, result.gradient_norm, result.eigenvalues)}
    finite = np.isfinite(result.loss)
    short = ~result.arrived & finite
    groups["ended short"] = (short, result.loss, result.gradient_norm, result.eigenvalues)
    if result.path_eigenvalues is not None and result.path_loss is not None and result.path_norm is not None:
        under = np.isfinite(result.path_loss)
        groups["stopped in training"] = (under, result.path_loss, result.path_norm, result.path_eigenvalues)
    numbers: dict[str, Any] = {"parameters": settings.parameters, "nets": settings.seeds}
    rows = []
    for name, (some, loss, norm, values) in groups.items():
        found = _numbers(settings, values[some])
        found = {"loss": loss[some], "gradient_norm": norm[some], **found}
        if name != "stopped in training":
            found["flatness"] = result.flatness[some]
        numbers[name] = {"nets": int(some.sum()), **{k: statistics(v) for k, v in found.items()}}
        keys = ("loss", "gradient_norm", "ratio", "strict_ratio", "positive", "zero", "negative", "effective_rank")
        cells = [spread(found[k]) for k in (*keys, "flatness") if k in found]
        rows.append((name, str(int(some.sum())), *cells, *["–"] * (9 - len(cells))))
    gone = int((result.diverged_at >= 0).sum())
    numbers |= {"diverged": gone, "spearman_all": result.correlation[0].tolist()}
    numbers["spearman_arrived"] = result.correlation[1].tolist()
    numbers |= {"seconds": result.seconds, "search_seconds": result.search_seconds}
    columns: tuple[str, ...] = ("", "nets", "MSE", "|g|", "minimal ratio", "ratio, strict", "n+", "n0", "n−")
    columns += ("effective rank", "|Hg|/|g|")
    title = f"minimal-ratio: {_what(settings)}, {settings.precision}; median (min to max)"
    return Summary(title, columns, tuple(rows), tuple(_sentences(settings, result, numbers)), numbers)


def _numbers(settings: Settings, values: np.ndarray) -> dict[str, np.ndarray]:
    """Of nets with spectra (n, P): both ratios, the counts by sign with tolerance, the effective rank."""
    if not len(values):
        nothing = np.empty(0)
        return dict.fromkeys(("ratio", "strict_ratio", "positive", "zero", "negative", "effective_rank"), nothing)
    signs = inertia(values)
    return {
        "ratio": signs.minimal_ratio,
        "strict_ratio": inertia(values, 0.0).minimal_ratio,
        "positive": signs.positive.astype(float),
        "zero": signs.zero.astype(float),
        "negative": signs.negative.astype(float),
        "effective_rank": effective_rank(values),
    }


def _sentences(settings: Settings, result: Result, numbers: dict[str, Any]) -> list[str]:
    nets, gone, arrived = settings.seeds, numbers["diverged"], int(result.arrived.sum())
    short = int((~result.arrived & np.isfinite(result.loss)).sum())
    said = [f"{arrived} of {nets} nets reached a critical point, |g| < {settings.tolerance:g}."]
    if short:
        some = ~result.arrived & np.isfinite(result.loss)
        largest = np.abs(result.eigenvalues[some]).max(axis=1).astype(float)
        share = float(np.median(result.flatness[some] / largest))
        flat = "the gradient lies in directions of little curvature, where minimising |g|² hardly moves"
        why = flat if share < FLAT else f"the search was cut off after {settings.hessians} Hessians or fewer"
        if settings.precision == "float32":
            why = "of that size is what the rounding of float32 leaves of a gradient"
        said.append(
            f"{short} ended short of one, |g| {spread(result.gradient_norm[some])}: |Hg|/|g| is "
            f"{spread(result.flatness[some])} there, {100 * share:.2g} % of the largest curvature in the median: "
            f"{why}. Their signs are not those of a critical point."
        )
    if arrived:
        good = result.eigenvalues[result.arrived]
        minima = int((inertia(good).negative == 0).sum())
        found = _numbers(settings, good)
        said.append(
            f"Minimal ratio of those that arrived: {spread(found['ratio'])}, or {spread(found['strict_ratio'])} if "
            f"every eigenvalue above 0 counts; {spread(found['zero'])} of {settings.parameters} are zero to rounding."
        )
        said.append(
            f"{minima} of the {arrived} have no negative eigenvalue: minima, as far as second order can tell."
            if minima
            else f"None of the {arrived} is a minimum: every one has negative eigenvalues."
        )
    if settings.strict and arrived + short:
        found = _numbers(settings, result.eigenvalues[np.isfinite(result.loss)])
        said.append(
            f"Over all {arrived + short} nets the strict ratio is {spread(found['strict_ratio'])}, and "
            f"{spread(found['ratio'])} above rounding: eigenvalues of rounding, half of them positive, draw the strict "
            "one towards one half."
        )
    for (rho, low, high), which in zip(result.correlation, ("all nets", "nets that arrived"), strict=True):
        if not np.isfinite(rho):
            continue
        clear = np.isfinite(low) and (low > 0 or high < 0)
        way = "rises" if rho > 0 else "falls"
        bound = f"95 % interval {number(low)} to {number(high)}" if np.isfinite(low) else "too few for an interval"
        over = f"all {arrived + short} nets" if which == "all nets" else f"the {arrived} nets that arrived"
        verdict = f"the ratio {way} with the loss" if clear else "no trend of the ratio with the loss is shown"
        said.append(f"Over {over} {verdict}: Spearman {rho:.2f}, {bound}.")
    if result.path_eigenvalues is not None and result.path_loss is not None:
        under = np.isfinite(result.path_loss)
        found = _numbers(settings, result.path_eigenvalues[under])
        said.append(
            f"Stopped in training at |g| ≤ {settings.threshold:g}: {int(under.sum())} of {nets} nets, minimal ratio "
            f"{spread(found['ratio'])}; those are no critical points."
        )
    if nets == 1:
        said.append("One net: one seed decides nothing.")
    if gone:
        said.append(f"{gone} of {nets} trainings diverged and are left out.")
    return said
