"""The figures of `minimal-ratio` that a reader can move."""

from __future__ import annotations

import dataclasses

import numpy as np

from dlhw.experiments.minimal_ratio.figures import chosen_nets
from dlhw.experiments.minimal_ratio.spec import END_KINDS, Array, Result, Settings, kinds_of, ratios, signs_of
from dlhw.present.interactive import (
    MISTAKE,
    RIGHT,
    Axis,
    InteractiveFigure,
    Line,
    Panel,
    TypedNumbers,
    View,
    mistake_and_right,
)
from dlhw.present.numbers import format_median_range

STRICT, END = "strict", "end"
"""Keys of two more views."""


def interactive(settings: Settings, result: Result) -> dict[str, InteractiveFigure]:
    """Return `ratio`, whose mistakes are points of the training and rounding counted as positive, and the others."""
    return {"ratio": _ratio(settings, result), "spectra": _spectra(settings, result), "signs": _signs(settings, result)}


def _ratio(settings: Settings, result: Result) -> InteractiveFigure:
    tolerant, strict = (dataclasses.replace(settings, strict=value) for value in (False, True))
    lines = _ends(tolerant, result, RIGHT) + _ends(strict, result, STRICT)
    views = [
        View(
            RIGHT,
            "Right: critical points",
            f"Eigenvalues above rounding, {_median(ratios(tolerant, result.eigenvalues))}, where the searches ended.",
        ),
        View(
            STRICT,
            "Usual mistake: rounding counted",
            "Every eigenvalue above 0 counted, those of size 1e-17 among them: "
            f"{_median(ratios(strict, result.eigenvalues))}. Rounding has either sign.",
        ),
    ]
    if result.path_eigenvalues is not None and result.path_loss is not None and result.path_norm is not None:
        path = ratios(tolerant, result.path_eigenvalues)
        lines.append(_points(settings, "where training stopped", path, result.path_loss, result.path_norm, 7, MISTAKE))
        views.append(
            View(
                MISTAKE,
                "Usual mistake: training stopped",
                f"The weights at which |g| first fell to {settings.threshold:g} in training, "
                f"{_median(path)}: points on the way down, not critical points.",
            )
        )
    if result.start_eigenvalues is not None:
        loss, norm = result.start_loss, result.start_norm
        counted = ratios(strict, result.start_eigenvalues)
        lines.append(_points(settings, "end of training", counted, loss, norm, 7, END))
        views.append(
            View(
                END,
                "Usual mistake: end of training",
                f"Every eigenvalue above 0 counted where training ended, {_median(counted)}: |g| is "
                f"{format_median_range(norm[np.isfinite(norm)])} there, and has not vanished.",
            )
        )
    return InteractiveFigure(
        (
            Panel(
                Axis("minimal ratio (positive eigenvalues / all)"),
                Axis("MSE", True),
                tuple(line for line in lines if len(line.x)),
                typed=(TypedNumbers("minimal-ratio", "ratio", "loss"),),
            ),
        ),
        "net",
        mode="point",
        start=0,
        statistic=f"one point per net, {settings.seeds} nets",
        views=tuple(views),
        own="ratio, MSE",
    )


def _median(values: Array) -> str:
    finite = values[np.isfinite(values)]
    return f"median ratio {np.median(finite):.3g} of {len(finite)} nets" if len(finite) else "no net"


def _ends(settings: Settings, result: Result, view: str) -> list[Line]:
    """Return the ends of the searches, a line for each kind of end."""
    kinds, ratio = kinds_of(result), ratios(settings, result.eigenvalues)
    return [
        _points(settings, name, np.where(kinds == key, ratio, np.nan), result.loss, result.gradient_norm, k, view)
        for k, (key, name) in enumerate(END_KINDS.items())
    ]


def _points(settings: Settings, name: str, ratio: Array, loss: Array, norm: Array, color: int, view: str) -> Line:
    """Return the nets that have a ratio, in order of it."""
    shown = np.flatnonzero(np.isfinite(ratio) & np.isfinite(loss))
    shown = shown[np.lexsort((loss[shown], ratio[shown]))]
    details = {"|g|": norm[shown], "seed": settings.seed + shown}
    return Line(name, ratio[shown], loss[shown], color=color, joined=False, view=view, details=details)


def _spectra(settings: Settings, result: Result) -> InteractiveFigure:
    """Return the sizes of the eigenvalues, positive and negative, of the nets of the picture."""
    positive, negative = [], []
    for k, (name, s) in enumerate(chosen_nets(settings, result).items()):
        values = result.eigenvalues[s].astype(np.float64)
        at, label = np.arange(1, len(values) + 1), f"{name}, seed {settings.seed + s}"
        positive.append(Line(label, at, np.where(values > 0, values, np.nan), color=k, joined=False))
        negative.append(Line(label, at, np.where(values < 0, -values, np.nan), color=k, joined=False))
    x = Axis("eigenvalue, in ascending order")
    return InteractiveFigure(
        (
            Panel(x, Axis("positive eigenvalues", True), tuple(positive)),
            Panel(x, Axis("negative, without the sign", True), tuple(negative)),
        ),
        "eigenvalue",
        statistic="sizes of about 1e-16 of the largest are rounding",
        chart_first=False,  # one axis for both signs says more than two
    )


def _signs(settings: Settings, result: Result) -> InteractiveFigure:
    """Return the numbers of eigenvalues of each sign; the mistake is to count all above 0 as positive."""
    lines = []
    for strict, view in ((False, RIGHT), (True, MISTAKE)):
        finite, signs = signs_of(dataclasses.replace(settings, strict=strict), result.eigenvalues)
        nets = np.flatnonzero(finite)
        order = np.argsort(result.loss[nets], kind="stable")
        x = np.arange(1, len(nets) + 1)
        for name, color in (("positive", 0), ("zero", 7), ("negative", 1)):
            counts = getattr(signs, name)[: len(nets)][order]
            lines.append(Line(name, x, counts, color=color, joined=False, view=view))
    return InteractiveFigure(
        (Panel(Axis("net, from the lowest loss to the highest"), Axis("eigenvalues"), tuple(lines)),),
        "net",
        start=0,
        statistic=settings.nets(),
        views=mistake_and_right(
            (
                "Usual mistake: rounding has a sign",
                "Every eigenvalue above 0 is positive, and every one below is negative: those that are zero to "
                "rounding fall on either side by chance.",
            ),
            ("Right: zero to rounding", "Eigenvalues that rounding could have made are zero."),
        ),
    )
