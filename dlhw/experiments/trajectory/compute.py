"""Train from every seed, and project the paths of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlhw.experiments.trajectory.embedding import embed
from dlhw.experiments.trajectory.spec import LEAST_POINTS, Array, Result, Settings
from dlhw.measure.principal_components import pca
from dlhw.models.weights import layer_span
from dlhw.runs import image_training
from dlhw.runs.context import Context
from dlhw.runs.jobs import make_job

COMPONENTS = 10
"""Components whose fraction of variance is stored."""


def run(settings: Settings, context: Context) -> Result:
    """Train from every seed, and project the paths."""
    jobs = {
        f"seed {s}": make_job(settings, settings.net, s, snapshot_every=settings.every) for s in settings.seed_range
    }
    records = list(image_training.train(settings, jobs, context).values())
    diverged_at = np.array([record.diverged_at for record in records])
    epochs = np.array(settings.recorded_epochs)
    converged = np.flatnonzero(diverged_at < 0)
    paths = [record.weights for record in records if not record.diverged and record.weights is not None]
    spans = (slice(None), layer_span(settings.kernels(settings.net), settings.layer))
    parts = [[path[:, span] for path in paths] for span in spans]
    whole, layer = (project(part, converged, settings.seeds, len(epochs)) for part in parts)
    tsne, perplexity = _embed(settings, parts, converged, len(epochs)) if settings.reduce == "tsne" else (None, None)
    return Result(
        epochs=epochs,
        pooled=np.stack([whole.pooled, layer.pooled]),
        pooled_explained=np.stack([whole.pooled_explained, layer.pooled_explained]),
        own=np.stack([whole.own, layer.own]),
        own_explained=np.stack([whole.own_explained, layer.own_explained]),
        travelled=np.stack([whole.travelled, layer.travelled]),
        moved=np.stack([whole.moved, layer.moved]),
        apart=np.stack([whole.apart, layer.apart]),
        apart_at_start=np.stack([whole.apart_at_start, layer.apart_at_start]),
        train_loss=np.stack([record.train_loss for record in records]),
        train_accuracy=np.stack([record.train_accuracy for record in records]),
        test_loss=np.stack([record.test_loss for record in records]),
        test_accuracy=np.stack([record.test_accuracy for record in records]),
        diverged_at=diverged_at,
        seconds=tuple(record.seconds for record in records),
        compile_seconds=tuple(record.compile_seconds for record in records),
        tsne=tsne,
        perplexity=perplexity,
    )


def _embed(
    settings: Settings, parts: Sequence[Sequence[Array]], places: NDArray[np.integer], n: int
) -> tuple[Array, float | None]:
    """Return the points of all paths by t-SNE, (2, S, n, 2), nan where a training diverged, and the perplexity."""
    out = np.full((len(parts), settings.seeds, n, 2), np.nan, np.float32)
    points = len(places) * n
    perplexity = settings.perplexity_of(points)
    if points < LEAST_POINTS or perplexity >= points:
        return out, None
    for p, part in enumerate(parts):
        out[p, places] = embed(np.concatenate(part), perplexity, settings.seed).reshape(len(places), n, 2)
    return out, perplexity


@dataclass(frozen=True)
class Projection:
    """S paths of n points on principal components; nan for trainings that diverged."""

    pooled: Array  # (S, n, 2)
    pooled_explained: Array  # (m,)
    own: Array  # (S, n, 2)
    own_explained: Array  # (S, n - 1)
    travelled: Array  # (S,)
    moved: Array  # (S,)
    apart: Array  # (S, S)
    apart_at_start: Array  # (S, S)


def project(paths: Sequence[Array], places: NDArray[np.integer], trainings: int, n: int) -> Projection:
    """Project paths onto principal components, and measure distances.

    Args:
        paths: weights of the trainings that did not diverge, (n, P) each.
        places: their positions among all trainings.
        trainings: number of all trainings.
        n: points of a path.
    """

    def empty(*shape: int) -> Array:
        return np.full(shape, np.nan, np.float32)

    m = max(1, min(COMPONENTS, trainings * n - 1))
    out = Projection(
        pooled=empty(trainings, n, 2),
        pooled_explained=empty(m),
        own=empty(trainings, n, 2),
        own_explained=empty(trainings, n - 1),
        travelled=empty(trainings),
        moved=empty(trainings),
        apart=empty(trainings, trainings),
        apart_at_start=empty(trainings, trainings),
    )
    if not paths:
        return out
    together = pca(np.concatenate(paths))
    explained = together.explained[:m]
    out.pooled_explained[: len(explained)] = explained
    ends, starts = (np.stack([path[at] for path in paths]).astype(np.float64) for at in (-1, 0))
    for k, (place, path) in enumerate(zip(places, paths, strict=True)):
        single = pca(path)
        pooled, own = together.coordinates(path), single.coordinates(path, path[-1])
        out.pooled[place, :, : pooled.shape[1]] = pooled
        out.own[place, :, : own.shape[1]] = own
        out.own_explained[place, : len(single.explained)] = single.explained
        steps = np.diff(path.astype(np.float64), axis=0)
        out.travelled[place] = np.sqrt((steps**2).sum(axis=1)).sum()
        out.moved[place] = np.linalg.norm(ends[k] - starts[k])
        out.apart[place, places] = np.linalg.norm(ends - ends[k], axis=1)
        out.apart_at_start[place, places] = np.linalg.norm(starts - starts[k], axis=1)
    return out
