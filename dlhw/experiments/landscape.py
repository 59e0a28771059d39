"""What does the loss look like around a trained net?

theta(a, b) = theta + a d1 + b d2: a plane through the space of weights, with two random directions scaled filter by
filter, the two principal directions of the path of training, or the plane through three nets; or a line. The net is
one that this command trains, or a saved Keras model. Every point is measured on one fixed set of examples. A plane is
two directions out of P: what it shows is there, what it does not show is not absent.
References: Li et al. 2018, Visualizing the loss landscape of neural nets; Goodfellow et al. 2015, Qualitatively
characterizing neural network optimization problems; Garipov et al. 2018, Loss surfaces, mode connectivity.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dlhw import architectures, datasets, targets
from dlhw.context import Context
from dlhw.errors import UserError, require
from dlhw.experiments import _saved_models, _subjects, _surfaces
from dlhw.section import Line, Section, Series
from dlhw.settings import check, option
from dlhw.statistics import spearman
from dlhw.summary import Summary, number, spread, statistics

MOST = 6  # nets side by side
LINES = ("start-end", "line")  # planes of one dimension
ONE_PLANE = "One plane or line out of many: one seed decides nothing."


@dataclass(frozen=True)
class Settings:
    """What `dlhw landscape` takes."""

    of: tuple[str, ...] = option(
        ("trajectory",), "simulate, classify or trajectory; or files PATH.keras or PATH.h5 to compare.", paths=True
    )
    plane: Literal["path", "random", "three-points", "start-end", "line"] = option(
        "path",
        "path: principal directions of the training; random: two random directions; three-points: through three nets. "
        "Lines: start-end, from start to end of the training; line, one random direction.",
    )
    nets: tuple[str, ...] = option((), "Nets to train and compare; none: that of the experiment.")
    norm: Literal["filter", "layer", "weight", "none"] = option("filter", "What a random direction is scaled by.")
    span: float = option(
        0.0,
        "Half the width of the grid, or how far start-end goes beyond both; 0: 1 for random directions, 0.5 for "
        "start-end, else what holds path or nets.",
    )
    grid: int = option(51, "Points a side.")
    subset: int = option(5000, "Training examples on which the loss is measured, the same at every point.")
    curvature: int = option(0, "Points a side of a map of |smallest / largest eigenvalue|; 0: none.")
    data: str = option(
        "mnist",
        "Set of images; for PATH.keras also an .npz file with arrays x and y, or x_test and y_test.",
        paths=True,
    )
    loss: str = option(
        "auto",
        "Loss of PATH.keras by its Keras name; auto: that it was compiled with, else cross entropy or squared error, "
        "by its targets.",
    )
    func: str = option("sinc", "Target of --of simulate.")
    examples: int = option(0, "Training examples, a stratified subset; 0 takes all.")
    epochs: int = option(0, "Epochs of the training; 0: those of the experiment.")
    batch_size: int = option(0, "Examples of one step; 0: that of the experiment.")
    learning_rate: float = option(0.0, "Step size; 0: that of the experiment.")
    activation: Literal["relu", "tanh", "sigmoid", "elu", "selu", "gelu", "silu", "softplus"] = option(
        "relu", "Activation of the hidden layers."
    )
    every: int = option(1, "Epochs between two points of the path; that of simulate has points of its own.")
    seed: int = option(0, "Base seed; net s, and its random directions, use seed + s.")
    seeds: int = option(1, "Number of trainings, or of random planes at PATH.keras.")

    def __post_init__(self) -> None:
        check(self)
        _subjects.checked(self)
        require(3 <= self.grid <= 1001, f"--grid {self.grid} must lie in 3..1001")
        require(self.subset >= 1, f"--subset {self.subset} must be positive")
        require(self.span >= 0, f"--span {self.span:g} must be positive, or 0")
        allowed = self.curvature == 0 or 2 <= self.curvature <= self.grid
        require(allowed, f"--curvature {self.curvature} must lie in 2..{self.grid}, the grid, or be 0")
        require(self.curvature == 0 or self.plane not in LINES, "--curvature needs a plane, not a line")
        require(0 <= self.seed < 2**31, f"--seed {self.seed} must lie in 0..{2**31 - 1}")
        require(1 <= self.seeds <= 1000, f"--seeds {self.seeds} must lie in 1..1000")
        require(self.every >= 1, f"--every {self.every} must be positive")
        for name in ("epochs", "batch_size", "learning_rate", "examples"):
            given = getattr(self, name)
            require(given >= 0, f"--{name.replace('_', '-')} {given:g} must be positive, or 0")
        shown = self.seeds * (len(self.of) if self.saved else len(_subjects.nets(self)))
        require(shown <= MOST, f"{shown} surfaces are too many side by side; at most {MOST}: fewer --nets or --seeds")
        if self.plane not in ("random", "line"):
            self._refuse(("norm",), f"is of random directions, and --plane is {self.plane}")
        if not self.saved:
            self._refuse(("loss",), "is of saved models; nets that are trained have the loss of their training")
        self._check_files() if self.saved else self._check_training()

    def _check_files(self) -> None:
        planes = ("random", "three-points", "line")
        require(
            self.plane in planes, f"--plane {self.plane}: a file holds no path of training; use {', '.join(planes)}"
        )
        three = self.plane != "three-points" or len(self.of) == 3
        require(three, f"--plane three-points: --of names {len(self.of)} file{'s' * (len(self.of) > 1)}, not three")
        known = self.data in datasets.SETS or Path(self.data).is_file()
        require(known, f"--data {self.data!r} is no file; use {', '.join(datasets.SETS)}, or an .npz of x and y")
        require(not self.nets, "--nets are trained, and --of names files; drop one")
        of_training = ("examples", "epochs", "batch_size", "learning_rate", "activation", "func", "every")
        self._refuse(of_training, "is of a training, and --of names files")
        one = self.plane != "three-points" or self.seeds == 1
        require(one, f"--seeds {self.seeds}: through three files there is one plane; drop it")

    def _refuse(self, names: tuple[str, ...], why: str) -> None:
        """Refuse settings that would be ignored."""
        usual = {f.name: f.default for f in dataclasses.fields(self)}
        for name in names:
            require(getattr(self, name) == usual[name], f"--{name.replace('_', '-')} {why}; drop it")

    def _check_training(self) -> None:
        made = _subjects.training(self)  # refuses what cannot be trained
        if self.of == ("simulate",):
            for net in _subjects.nets(self):
                architectures.parse(net)
            images = ("examples", "batch_size", "every", "subset", "data")
            self._refuse(images, "is of images, and simulate trains on all points of a function")
            return
        self._refuse(("func",), f"is of simulate, and --of is {self.of[0]}")
        require(self.data in datasets.SETS, f"--data {self.data!r} is unknown; use {', '.join(datasets.SETS)}")
        made.check_nets(_subjects.nets(self), "--nets")
        require(self.every <= made.epochs, f"--every {self.every} must lie in 1..{made.epochs}, the epochs")
        even = made.epochs % self.every == 0
        enough = self.plane != "path" or made.epochs // self.every >= 2
        require(enough, f"--epochs {made.epochs}: a plane through a path needs three points of it at least")
        require(even, f"--every {self.every} must divide the {made.epochs} epochs, so that the path ends at the net")

    @property
    def saved(self) -> bool:
        """Whether the nets come from files."""
        return self.of[0] not in _subjects.TRAINED

    @property
    def data_set(self) -> str:
        """The set of images that is read, or ""."""
        return "" if self.of == ("simulate",) else self.data

    def where(self) -> str:
        """On what the loss is measured."""
        if self.of == ("simulate",):
            return f"all points of {targets.formula(self.func)}"
        if self.data not in datasets.SETS:
            return f"{Path(self.data).name}, at most {self.subset} examples"
        n = self.examples or datasets.known(self.data).train
        return f"{min(self.subset, n)} of {n} training images of {self.data}"


@dataclass(frozen=True)
class Result:
    """M nets, A x B points, K marks: points of the path, or the nets themselves. All of a diverged net is nan."""

    labels: tuple[str, ...]  # (M,)
    parameters: tuple[int, ...]  # (M,)
    a: NDArray[np.floating]  # (M, A)
    b: NDArray[np.floating]  # (M, B); 0 alone for a line
    loss: NDArray[np.floating]  # (M, A, B)
    accuracy: NDArray[np.floating]  # (M, A, B) share in [0, 1]; nan where targets are no class labels
    steps: NDArray[np.integer]  # (K,) epoch of each point of the path; 0, 1, 2 for nets
    marks: NDArray[np.floating]  # (M, K, 2) nearest points of the plane
    mark_loss: NDArray[np.floating]  # (M, K) loss at the mark itself
    plane_loss: NDArray[np.floating]  # (M, K) loss at the nearest point of the plane
    away: NDArray[np.floating]  # (M, K) distance from the plane, Euclidean
    explained: NDArray[np.floating]  # (M, 2) shares of variance of the path of both directions; nan without a path
    eigenvalues: NDArray[np.floating]  # (M, C, C, 3) smallest, largest, residual; C = 0 if not asked for
    diverged_at: NDArray[np.integer]  # (M,) epoch, or -1
    seconds: tuple[float, ...]  # (M,) of the surface, its parts one after the other
    losses: tuple[str, ...] = ()  # (M,) what is measured, by its name in Keras
    frames: NDArray[np.integer] | None = None  # marks shown one by one in an animation; None without a path


SECTION = Section(
    "1-2 d",
    "The error surface",
    captions={
        "contour": "Contours of the loss, even in its logarithm; with the path of training where there is one: the "
        "ring is its start, the colour of a marker the true loss there.",
        "filled": "The same, filled, on one scale for all nets.",
        "surface": "The same as a surface; the page surface.html in the folder of the run turns it.",
        "accuracy": "Accuracy over the same plane.",
        "path": "Loss of the path and of its shadow on the plane; below, the distance between the two.",
        "line": "Loss along the line.",
        "curvature": "|smallest / largest eigenvalue| of the Hessian; where the smallest is negative, dark means "
        "little downward beside upward curvature. White: not converged.",
    },
    mistakes=(
        "One random number a tensor in place of a direction, or directions that are not scaled: nets of larger weights "
        "look flatter.",
        "The path is drawn on the contour as if it lay in the plane; its loss is another one, which is drawn here too.",
        "Two components hold most of a path whatever it is: a random walk of many points has 76 % in two.",
        "The filter is taken along PyTorch's first axis; in Keras it is the last.",
    ),
    quick={"data": "digits", "nets": ("50-9",), "epochs": 24, "learning_rate": 0.02, "grid": 25, "subset": 1000},
)

TINY = Settings(data="digits", nets=("6",), examples=200, epochs=4, learning_rate=0.05, grid=5, subset=50, seeds=2)


def check_inputs(settings: Settings, context: Context) -> None:
    """Refuse models and data of the user that do not go together, before anything is written."""
    if settings.saved:
        for subject in _subjects.find(settings, context):
            _surfaces.chart(settings, subject)
            if settings.curvature:
                _surfaces.hessian_objective(subject)


def check_animation(settings: Settings) -> None:
    """Refuse --animate where there is no path that could grow."""
    require(settings.plane == "path", f"--animate: --plane {settings.plane} has no path that could grow; drop one")


def run(settings: Settings, context: Context) -> Result:
    """Train or read the nets, lay the planes, measure."""
    subjects = _subjects.find(settings, context)
    charts = [_surfaces.chart(settings, s) if s.ends else None for s in subjects]
    found = _surfaces.measure_all(settings, subjects, charts, context)
    line = settings.plane in LINES
    known = next((c for c in charts if c is not None), None)
    shape = (len(known.a), len(known.b)) if known is not None else (settings.grid, 1 if line else settings.grid)
    count = len(known.marks) if known is not None else 0
    rows = [_row(settings, found, m, chart, shape, count) for m, chart in enumerate(charts)]
    arrays = {k: np.stack([row[k] for row in rows]) for k in rows[0] if k != "seconds"}
    with_path = settings.plane in ("path", "start-end") and count > 0
    steps = next(s.steps for s, c in zip(subjects, charts, strict=True) if c is not None) if with_path else None
    return Result(
        labels=tuple(s.label for s in subjects),
        parameters=tuple(len(s.ends[0]) if s.ends else 0 for s in subjects),
        **arrays,
        steps=np.asarray(steps if steps is not None else np.arange(count)),
        diverged_at=np.array([s.diverged_at for s in subjects]),
        seconds=tuple(float(row["seconds"]) for row in rows),
        losses=tuple(_saved_models.loss_name(s.loss) for s in subjects),
        frames=np.arange(count) if settings.plane == "path" and count else None,
    )


def _row(
    settings: Settings,
    found: dict[str, dict[str, np.ndarray]],
    m: int,
    chart: _surfaces.Chart | None,
    shape: tuple[int, int],
    count: int,
) -> dict[str, Any]:
    """The arrays of one net."""
    side = settings.curvature
    values = np.full((*shape, 2), np.nan)
    row: dict[str, Any] = {"a": np.full(shape[0], np.nan), "b": np.full(shape[1], np.nan)}
    row |= {"marks": np.full((count, 2), np.nan), "away": np.full(count, np.nan)}
    row |= {"mark_loss": np.full(count, np.nan), "plane_loss": np.full(count, np.nan)}
    row |= {"explained": np.full(2, np.nan), "eigenvalues": np.full((side, side, 3), np.nan), "seconds": 0.0}
    if chart is not None:
        order = np.concatenate(_surfaces.coarse_to_fine(*shape))
        for k in range(_surfaces.SHARES):
            part = found[f"surface {m} {k}"]
            i, j = order[k :: _surfaces.SHARES].T
            values[i, j] = part["rows"]
            row["seconds"] += float(part["seconds"])
        row |= {"a": chart.a, "b": chart.b, "explained": chart.explained}
        row["marks"], row["away"] = chart.plane.coordinates(chart.marks)
        row["mark_loss"], row["plane_loss"] = found[f"marks {m}"]["rows"].T
        if side:
            row["eigenvalues"] = found[f"curvature {m}"]["rows"].reshape(side, side, 3)
    return row | {"loss": values[..., 0], "accuracy": values[..., 1]}


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """`contour`, `filled`, `surface`, and `accuracy`, `path`, `curvature` where there are any; of a line `line`."""
    from dlhw.experiments import _surface_figures as draw

    return draw.figures(settings, result)


def pages(settings: Settings, result: Result) -> dict[str, str]:
    """`surface`: the surfaces to turn in a browser, self-contained; a line has none."""
    from dlhw.experiments import _surface_page

    return {} if settings.plane in LINES else _surface_page.pages(settings, result)


def title(settings: Settings) -> str:
    """What is drawn, in a line."""
    what = {
        "path": "Plane of the path of training",
        "random": f"Random plane, {settings.norm}-normalised",
        "three-points": "Plane through three nets",
        "start-end": "Line from start to end of training",
        "line": f"Random line, {settings.norm}-normalised",
    }[settings.plane]
    of = ", ".join(Path(o).stem for o in settings.of) if settings.saved else settings.of[0]
    return f"{what}: {of}"


def axes_of(settings: Settings) -> tuple[str, str]:
    """Names of the axes."""
    if settings.plane == "path":
        return "component 1", "component 2"
    if settings.plane == "three-points":
        return "distance along A to B", "distance from that line"
    return "a", "b"


def limits(loss: np.ndarray) -> tuple[float, float]:
    """Least and largest finite loss; (0, 1) where there is none."""
    good = loss[np.isfinite(loss)]
    return (float(good.min()), float(good.max())) if len(good) else (0.0, 1.0)


def animation(settings: Settings, result: Result) -> tuple[Callable[[int], Figure], int]:
    """The path of the first net growing over the filled contour; UserError if there is no path."""
    from dlhw.experiments import _surface_figures as draw

    if result.frames is None:
        raise UserError(f"--plane {settings.plane} has no path that could grow; --plane path has one")
    return lambda k: draw.grown(settings, result, k), len(result.frames)


def series(settings: Settings, result: Result) -> Series:
    """Loss along the first axis through the net, a line a net."""
    lines = []
    for m, label in enumerate(result.labels):
        middle = int(np.abs(result.b[m]).argmin()) if np.isfinite(result.b[m]).any() else 0
        lines.append(Line(label, result.a[m], result.loss[m, :, middle][None]))
    return Series(axes_of(settings)[0], "loss", tuple(lines), log_y=bool(limits(result.loss)[0] > 0), at=(0.0,))


def summary(settings: Settings, result: Result) -> Summary:
    """A row a net: its loss, the range of the loss, what the plane leaves out of the path."""
    numbers: dict[str, Any] = {}
    rows, columns = [], tuple[str, ...]()
    for m, label in enumerate(result.labels):
        low, high = limits(result.loss[m])
        error = np.abs(np.log10(result.plane_loss[m] / result.mark_loss[m]))
        own = _own_loss(settings, result, m)
        numbers[label] = {
            "parameters": result.parameters[m],
            "loss": own,
            "lowest": low,
            "highest": high,
            "explained": result.explained[m].tolist(),
            "path_error_decades": statistics(error),
            "out_of_plane": statistics(result.away[m]),
            "diverged": int(result.diverged_at[m] >= 0),
            "seconds": result.seconds[m],
        }
        cells = {"loss": number(own), "loss on the grid": f"{number(low)} to {number(high)}"}
        if settings.plane == "path":
            cells["variance of the path in the plane"] = f"{100 * float(result.explained[m].sum()):.1f} %"
        if settings.plane in ("path", "start-end"):
            cells["distance of the path from it"] = spread(result.away[m])
            cells["|log10 of loss in it / true loss|"] = spread(error)
        columns = ("net", *cells)
        rows.append((label, *(cells.values() if result.diverged_at[m] < 0 else ["–"] * len(cells))))
    said = _sentences(settings, result)
    by = ", ".join(dict.fromkeys(result.losses)).replace("_", " ") or "loss"
    return Summary(
        f"landscape: {title(settings)}, {by} on {settings.where()}", columns, tuple(rows), tuple(said), numbers
    )


def _own_loss(settings: Settings, result: Result, m: int) -> float:
    """Loss of the net itself: the last mark of a path, else the first."""
    if not result.mark_loss.shape[1]:
        return float("nan")
    return float(result.mark_loss[m, -1 if settings.plane in ("path", "start-end") else 0])


def _sentences(settings: Settings, result: Result) -> list[str]:
    said = []
    for m, label in enumerate(result.labels):
        if result.diverged_at[m] >= 0:
            said.append(f"{label} diverged and has no surface.")
            continue
        own, (low, _) = _own_loss(settings, result, m), limits(result.loss[m])
        who = "net A" if settings.plane == "three-points" else "the net itself"
        i, j = np.unravel_index(np.nanargmin(result.loss[m]), result.loss[m].shape)
        line = settings.plane in LINES
        at = f"a = {number(result.a[m, i])}" if line else f"({number(result.a[m, i])}, {number(result.b[m, j])})"
        if i in (0, len(result.a[m]) - 1) or (not line and j in (0, len(result.b[m]) - 1)):
            at += ", the edge of the grid"
        if number(low) == number(own) or low > own:
            said.append(f"{label}: {who}, {number(own)}, lies lowest.")
        else:
            said.append(f"{label}: lowest is {number(low)}, at {at}, under the {number(own)} of {who}.")
        if settings.plane == "path":
            said.append(_of_the_path(result, m, label))
        elif settings.plane == "three-points":
            each = [f"{name} {number(loss)}" for name, loss in zip("ABC", result.mark_loss[m], strict=True)]
            plane = [number(loss) for loss in result.plane_loss[m]]
            differ = f"; on the plane, with what A does not train, {', '.join(plane)}"
            off = not np.allclose(result.plane_loss[m], result.mark_loss[m], rtol=1e-3)
            said.append(f"{label}: losses of the nets {', '.join(each)}{differ if off else ''}.")
    if settings.plane == "random":
        said.append("Two directions out of many: a bowl here does not exclude a saddle elsewhere.")
    if result.eigenvalues.size and np.isfinite(result.eigenvalues).any():
        points = np.isfinite(result.eigenvalues[..., 2])
        loose = int((~converged(result.eigenvalues) & points).sum())
        said.append(
            f"Map of curvature: {loose} of {int(points.sum())} points have not converged and are left white."
            if loose
            else f"Map of curvature: all {int(points.sum())} points have converged."
        )
    if settings.seeds == 1:
        said.append("One training of each net: one seed decides nothing." if not settings.saved else ONE_PLANE)
    return said


def converged(eigenvalues: np.ndarray) -> np.ndarray:
    """Whether the residual of both ends (..., 3) is under 5 % of the larger of them."""
    return np.asarray(eigenvalues[..., 2] <= 0.05 * np.abs(eigenvalues[..., :2]).max(axis=-1))


def _of_the_path(result: Result, m: int, label: str) -> str:
    error = np.abs(np.log10(result.plane_loss[m] / result.mark_loss[m]))
    rho, *_ = spearman(np.log10(result.plane_loss[m]), np.log10(result.mark_loss[m]))
    worst = int(np.nanargmax(error))
    two = 100 * float(result.explained[m].sum())
    follows = f"; Spearman over the path {rho:.2f}" if np.isfinite(rho) else ""
    return (
        f"{label}: the plane holds {two:.1f} % of the variance of the path, which leaves it by up to "
        f"{number(result.away[m].max())}; the contour under the path is off by {spread(error)} decades, most at epoch "
        f"{result.steps[worst]} ({number(result.plane_loss[m, worst])} in the plane, "
        f"{number(result.mark_loss[m, worst])} in truth{follows})."
    )
