"""Planes through subjects, and the loss over them: computed in parts, coarse grid first, kept as it grows.

A Subject (`_subjects`) is a net with its data; a Chart is the plane through it with grid and marks; a _Place is both,
with what computes the loss, which the parts of one surface share. A part keeps its rows so far in _Kept.
"""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from dlhw.context import Context
from dlhw.experiments import _parts
from dlhw.experiments._saved_models import architecture, loss_name
from dlhw.experiments._subjects import Subject
from dlhw.measure.directions import (
    Plane,
    coarse_to_fine,
    path_plane,
    random_direction,
    random_plane,
    three_point_plane,
)

if TYPE_CHECKING:
    from dlhw.experiments.landscape import Settings

SHARES = 4  # parts of one surface; no less than there are likely to be cores, and each with points of every level
KEEP_SECONDS = 30.0
MARGIN = 0.25  # of the extent of a path, left free on either side
HESSIAN_EXAMPLES = 500  # for the map of curvature: two eigenvalues a point take some hundred gradients


@dataclass(frozen=True)
class Chart:
    """A plane (or line, where `b` is 0 alone) with its grid, and what is marked on it."""

    plane: Plane
    a: np.ndarray  # (A,)
    b: np.ndarray  # (B,)
    explained: np.ndarray  # (2,) shares of the variance of the path, nan where there is none
    marks: np.ndarray  # (K, P) points whose true loss is measured: those of the path, or the nets themselves


class _Place:
    """A subject on its chart; the parts of its surface share what computes the loss."""

    def __init__(self, subject: Subject, chart: Chart) -> None:
        self.subject, self.chart = subject, chart
        self._lock, self._loss = threading.Lock(), cast(Any, None)
        self.left = 0  # parts that use it and are not kept yet

    def ended(self) -> None:
        """A part that uses the loss has ended; after the last its memory, up to 1 GB, is given back."""
        with self._lock:
            self.left -= 1
            if self.left == 0:
                self._loss = None

    @property
    def loss(self) -> Any:
        """The loss over the plane, made by who asks first."""
        from dlhw.measure import PlaneLoss

        s = self.subject
        with self._lock:
            if self._loss is None:
                self._loss = PlaneLoss(s.model(), self.chart.plane, s.loss, s.x, s.y)
            return self._loss


def axis(low: float, high: float, points: int) -> np.ndarray:
    """`points` numbers with one spacing, with 0 exactly among them: low to high, moved by at most half a step."""
    step = (high - low) / max(points - 1, 1)
    first = -round(-low / step)
    return step * np.arange(first, first + points)


def both_ends(margin: float, points: int) -> np.ndarray:
    """About `points` numbers with one spacing from -margin to 1 + margin, with 0 and 1 exactly among them."""
    steps = max(1, round((points - 1) / (1 + 2 * margin)))
    outside = round(margin * steps)
    return np.arange(-outside, steps + outside + 1) / steps


def chart(settings: Settings, subject: Subject) -> Chart:
    """The plane that the settings ask for, around the subject."""
    theta = subject.ends[0].astype(np.float64)
    nothing = np.full(2, np.nan)
    span = settings.span or 1.0
    around = axis(-span, span, settings.grid)
    if settings.plane in ("random", "line"):
        model = subject.model()
        if settings.plane == "random":
            plane = random_plane(theta, model, norm=settings.norm, seed=subject.seed)
            return Chart(plane, around, around, nothing, theta[None])
        first = random_direction(theta, model, norm=settings.norm, seed=subject.seed)
        return Chart(Plane(theta, first, np.zeros_like(first)), around, np.zeros(1), nothing, theta[None])
    if settings.plane == "three-points":
        plane = three_point_plane(*subject.ends)
        marks = np.stack(subject.ends).astype(np.float64)
        return _covering(settings, plane, marks, nothing)
    assert subject.path is not None
    path = subject.path.astype(np.float64)
    if settings.plane == "start-end":
        way = Plane(theta, path[0] - theta, np.zeros_like(theta))
        return Chart(way, both_ends(settings.span or 0.5, settings.grid), np.zeros(1), nothing, path)
    plane, shares = path_plane(path)
    both = np.pad(shares, (0, 1))[:2]
    return _covering(settings, plane, path, both)


def _covering(settings: Settings, plane: Plane, marks: np.ndarray, explained: np.ndarray) -> Chart:
    """A grid that holds all marks with a margin, or of --span around the origin."""
    where, _ = plane.coordinates(marks)
    axes = []
    for k in range(2):
        low, high = min(where[:, k].min(), 0.0), max(where[:, k].max(), 0.0)
        room = MARGIN * max(high - low, 0.05 * float(np.ptp(where)))
        if settings.span:
            axes.append(axis(-settings.span, settings.span, settings.grid))
        else:
            axes.append(axis(low - room, high + room, settings.grid))
    return Chart(plane, axes[0], axes[1], explained, marks)


def measure_all(
    settings: Settings, subjects: list[Subject], charts: list[Chart | None], context: Context
) -> dict[str, dict[str, np.ndarray]]:
    """All surfaces, marks and maps of curvature, in parts side by side; by the name of the part."""
    work: dict[str, tuple[Any, ...]] = {}
    sizes: dict[str, int] = {}
    for m, (subject, one) in enumerate(zip(subjects, charts, strict=True)):
        if one is None:
            continue
        order, place = np.concatenate(coarse_to_fine(len(one.a), len(one.b))), _Place(subject, one)
        mark = _fingerprint(place)
        for k in range(SHARES):
            work[f"surface {m} {k} {mark}"] = _grid, place, order[k::SHARES]
        work[f"marks {m} {mark}"] = _marks, place, one.marks
        if settings.curvature:
            every = np.unique(np.linspace(0, settings.grid - 1, settings.curvature).round().astype(int))
            i, j = (v.ravel() for v in np.meshgrid(every, every, indexing="ij"))
            work[f"curvature {m} {mark}"] = _curvature, place, np.stack([i, j], 1)
    for name, (kind, place, points) in work.items():
        sizes[name] = max(len(points), 1)
        place.left += kind is not _curvature and context.parts.get(name) is None

    def run(part: _parts.Part) -> dict[str, np.ndarray]:
        kind, place, points = work[part.name]
        return kind(place, points, part)

    # The nets may have trained on a cluster; their surfaces are computed here.
    found = _parts.train_parts(sizes, run, replace(context, scheduler=""), unit="points", what="parts")
    return {name.rsplit(" ", 1)[0]: arrays for name, arrays in found.items()}


def _fingerprint(place: _Place) -> str:
    """Of all that the loss depends on: what an earlier process kept of a file changed since is not taken up."""
    chart, subject, made = place.chart, place.subject, hashlib.sha256()
    models = [make() for make in subject.own or (subject.model,)]
    still = [np.asarray(v) for model in models for v in model.non_trainable_variables]
    plane = (chart.plane.origin, chart.plane.first, chart.plane.second, chart.a, chart.b, chart.marks)
    for array in (*plane, *still, subject.x, subject.y):
        made.update(np.ascontiguousarray(array).data)
    made.update(" ".join([loss_name(subject.loss), *(architecture(model) for model in models)]).encode())
    return made.hexdigest()[:8]


class _Kept:
    """Rows of numbers of a part, kept as they grow; what an earlier process kept is taken up."""

    def __init__(self, part: _parts.Part, columns: int) -> None:
        from dlhw.training import Stopped

        self.part, self.stopped = part, Stopped
        state = part.state()
        self.rows = [] if state is None else list(state["rows"])
        self.before = 0.0 if state is None else float(state["seconds"])
        self.began, self.due = time.perf_counter(), time.monotonic() + KEEP_SECONDS
        self.columns = columns

    def arrays(self) -> dict[str, np.ndarray]:
        rows = np.reshape(np.array(self.rows, np.float64), (-1, self.columns))
        return {"rows": rows, "seconds": np.array(self.before + time.perf_counter() - self.began)}

    def add(self, *row: float) -> None:
        self.rows.append(np.array(row, np.float64))
        stop = self.part.stop()
        if stop or time.monotonic() >= self.due:
            self.part.keep(self.arrays())
            self.due = time.monotonic() + KEEP_SECONDS
        self.part.report(len(self.rows), row[0])
        if stop:
            raise self.stopped


def _grid(place: _Place, points: np.ndarray, part: _parts.Part) -> dict[str, np.ndarray]:
    """Loss and accuracy at the grid points (row, column)."""
    from dlhw.measure.planes import TOGETHER

    kept = _Kept(part, 2)
    for k in range(len(kept.rows), len(points), TOGETHER):
        i, j = points[k : k + TOGETHER].T
        for value in place.loss.points(np.stack([place.chart.a[i], place.chart.b[j]], 1)):
            kept.add(value.loss, value.accuracy)
    place.ended()
    return kept.arrays()


def _marks(place: _Place, marks: np.ndarray, part: _parts.Part) -> dict[str, np.ndarray]:
    """Loss at each mark, by its own model, and at the point of the plane that is nearest to it."""
    from dlhw.measure import Objective

    kept, s = _Kept(part, 2), place.subject
    where, _ = place.chart.plane.coordinates(marks)
    objectives = [Objective(make(), s.loss, s.x, s.y) for make in s.own or (s.model,)]
    for k in range(len(kept.rows), len(marks)):
        objective = objectives[k % len(objectives)]
        objective.move(marks[k])
        kept.add(objective.value().loss, place.loss(*where[k]).loss)
    place.ended()
    return kept.arrays()


def hessian_objective(subject: Subject) -> Any:
    """What the map of curvature is taken of, its second derivatives held against differences of the gradient."""
    from dlhw.measure import Objective
    from dlhw.measure.derivative_check import check_second_derivatives

    x, y = (v[:HESSIAN_EXAMPLES] for v in (subject.x, subject.y))
    objective = Objective(subject.model(), subject.loss, x, y)
    objective.move(subject.ends[0])
    check_second_derivatives(objective)
    return objective


def _curvature(place: _Place, points: np.ndarray, part: _parts.Part) -> dict[str, np.ndarray]:
    """Smallest and largest eigenvalue of the Hessian at grid points, and the larger of their residuals."""
    from dlhw import measure
    from dlhw.measure.curvature import operator

    kept, s, one = _Kept(part, 3), place.subject, place.chart
    objective = hessian_objective(s)
    for i, j in points[len(kept.rows) :]:
        objective.move(one.plane.at(one.a[i], one.b[j]))
        found = measure.eigenpairs(operator(objective), which="both", steps=min(60, objective.size))
        kept.add(found.values[-1], found.values[0], float(found.residuals.max()))
    return kept.arrays()
