"""The table of `landscape`, and what its numbers support."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlhw.datasets import dataset_info
from dlhw.experiments.landscape import view
from dlhw.experiments.landscape.spec import Result, Settings
from dlhw.models import architectures
from dlhw.present import findings
from dlhw.present.findings import Finding
from dlhw.present.numbers import NONE, format_median_range, format_number
from dlhw.present.statistics import spearman
from dlhw.present.tables import Summary, statistics


def summary(settings: Settings, result: Result) -> Summary:
    """Return the table, one row per net: its loss, the range of the loss, and how far the path leaves the plane."""
    numbers: dict[str, Any] = {}
    rows, columns = [], tuple[str, ...]()
    for m, label in enumerate(result.labels):
        low, high = view.loss_range(result.loss[m])
        error, own = view.path_error(result, m), _own_loss(settings, result, m)
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
        cells = {"loss": format_number(own), "loss on the grid": f"{format_number(low)} to {format_number(high)}"}
        if settings.plane == "path":
            cells["variance of the path in the plane"] = f"{100 * float(result.explained[m].sum()):.1f} %"
        if settings.plane in ("path", "start-end"):
            cells["distance of the path from it, median (min to max) over the path"] = format_median_range(
                result.away[m]
            )
            cells["factor between the loss in it and the true loss"] = format_median_range(10**error)
        columns = ("net", *cells)
        rows.append((label, *(cells.values() if result.diverged_at[m] < 0 else [NONE] * len(cells))))
    losses = ", ".join(dict.fromkeys(result.losses)).replace("_", " ") or "loss"
    title = f"landscape: {view.title(settings)}, {losses} on {settings.where()}"
    if not settings.saved:
        training = settings.training_settings()
        title += f", trained for {training.epochs} epochs with learning rate {training.learning_rate:g}"
    return Summary(title, columns, tuple(rows), tuple(_findings(settings, result)), numbers, _nets(settings))


def _nets(settings: Settings) -> tuple[str, ...]:
    """Return the nets that are trained here in words."""
    if settings.saved:
        return ()
    words = architectures.describe if settings.of == ("simulate",) else architectures.describe_layers
    return tuple(f"{net}: {words(net)}" for net in settings.net_names())


def _own_loss(settings: Settings, result: Result, m: int) -> float:
    """Return the loss of the net itself: the last mark of a path, else the first."""
    if not result.mark_loss.shape[1]:
        return float("nan")
    return float(result.mark_loss[m, -1 if settings.plane in ("path", "start-end") else 0])


def _findings(settings: Settings, result: Result) -> list[Finding]:
    all_findings: list[Finding] = []
    for m, label in enumerate(result.labels):
        if result.diverged_at[m] >= 0:
            all_findings.append(Finding("diverged", f"{label} diverged and has no surface."))
            continue
        all_findings.append(_lowest_point(settings, result, m))
        if settings.plane == "path":
            all_findings.append(_path_in_the_plane(result, m))
        elif settings.plane == "three-points":
            all_findings.append(_three_nets(result, m))
        elif settings.plane == "hessian":
            all_findings += _leading_curvatures(result, m)
    if settings.plane == "random":
        text = "Two random directions out of many: a bowl here does not exclude a saddle (downhill in some other "
        text += "direction)."
        all_findings.append(Finding("two-directions", text))
    all_findings += _curvature(result)
    all_findings = _nothing_learned(settings, result) or all_findings
    if settings.saved:
        return all_findings
    return all_findings + findings.one_seed(settings.seeds, "training of each net")


def _nothing_learned(settings: Settings, result: Result) -> list[Finding]:
    """State that no net trained here is better than chance anywhere on its plane."""
    if settings.saved or not settings.dataset:
        return []
    best = [float(np.max(a[np.isfinite(a)], initial=-1.0)) for a in result.accuracy]
    rows = np.array([[value if value >= 0 else np.nan] for value in best])
    return findings.nothing_learned(rows, dataset_info(settings.dataset).classes)


def _lowest_point(settings: Settings, result: Result, m: int) -> Finding:
    """Whether the net itself is the lowest point of the grid, and how high the loss rises on it."""
    label, own, (low, high) = result.labels[m], _own_loss(settings, result, m), view.loss_range(result.loss[m])
    net = "net A" if settings.plane == "three-points" else "the net itself"
    drawn = "line" if settings.is_line else "plane"
    rises = f"the loss rises to {format_number(high)} on the {drawn} that is drawn"
    shows = f"which shows {1 if settings.is_line else 2} of {result.parameters[m]:,} directions"
    if format_number(low) == format_number(own) or low > own:
        text = f"{label}: {net} has the lowest loss, {format_number(own)}; {rises}, {shows}."
        return Finding("lowest-point", text)
    i, j = np.unravel_index(np.nanargmin(result.loss[m]), result.loss[m].shape)
    a, b = format_number(result.a[m, i]), format_number(result.b[m, j])
    at = f"a = {a}" if settings.is_line else f"({a}, {b})"
    if i in (0, len(result.a[m]) - 1) or (not settings.is_line and j in (0, len(result.b[m]) - 1)):
        at += ", at the edge of the grid"
    text = f"{label}: the lowest loss is {format_number(low)}, at {at}, below the {format_number(own)} of {net}, which "
    text += "is "
    text += f"not at the bottom of what is drawn; {rises}, {shows}."
    return Finding("lowest-point", text)


def _path_in_the_plane(result: Result, m: int) -> Finding:
    """State how much of the path is in the plane, and how far the contour under it is off."""
    error = view.path_error(result, m)
    rho, *_ = spearman(np.log10(result.plane_loss[m]), np.log10(result.mark_loss[m]))
    worst = int(np.nanargmax(error))
    two = 100 * float(result.explained[m].sum())
    follows = ""
    if np.isfinite(rho):
        follows = f"; ranked by size the two agree to {rho:.2f}, where 1 is perfect (Spearman correlation)"
    text = (
        f"{result.labels[m]}: the plane holds {two:.1f} % of the variance of the path of training, which leaves it by "
        "up to "
        f"{format_number(result.away[m].max())}. So the contours under the path are not its own loss: they differ from "
        "it by "
        f"a factor of {format_median_range(10**error)}, most at epoch {result.steps[worst]} "
        f"({format_number(result.plane_loss[m, worst])} in the plane, {format_number(result.mark_loss[m, worst])} at "
        "the "
        f"weights{follows})."
    )
    return Finding("path-in-the-plane", text)


def _three_nets(result: Result, m: int) -> Finding:
    """State the losses of the three nets, and those on the plane if they differ."""
    pairs = zip(view.NETS_OF_A_PLANE, result.mark_loss[m], strict=True)
    own = ", ".join(f"{name} {format_number(loss)}" for name, loss in pairs)
    on_plane = ", ".join(format_number(loss) for loss in result.plane_loss[m])
    differ = not np.allclose(result.plane_loss[m], result.mark_loss[m], rtol=1e-3)
    note = f"; on the plane, with the untrained state of A, {on_plane}" if differ else ""
    return Finding("three-nets", f"{result.labels[m]}: the losses of the three nets are {own}{note}.")


def _leading_curvatures(result: Result, m: int) -> list[Finding]:
    """State both eigenvalues, and the loss at the ends of the first axis beside that of the quadratic model."""
    if result.plane_eigenvalues is None or result.plane_residuals is None:
        return []
    one, two = result.plane_eigenvalues[m]
    a, loss = result.a[m], result.loss[m, :, int(np.abs(result.b[m]).argmin())]
    own, ends = float(loss[int(np.abs(a).argmin())]), (0, -1)
    model = format_number(own + float(one) * float(a[-1]) ** 2 / 2)
    true = " and ".join(format_number(float(loss[k])) for k in ends)
    text = (
        f"{result.labels[m]}: the axes are the directions of the two largest eigenvalues of the Hessian, "
        f"{format_number(float(one))} and {format_number(float(two))} (residual at most "
        f"{format_number(float(result.plane_residuals[m].max()))}). At both ends of the first axis, a distance of "
        f"{format_number(float(a[-1]))}, the loss is {true}; the largest eigenvalue alone gives {model}."
    )
    loose = int((result.plane_residuals[m] > 0.05 * np.abs(result.plane_eigenvalues[m]).max()).sum())
    what = f"of 2 eigenvectors of {result.labels[m]}"
    unsure = findings.not_converged(loose, what, "the axes need not be the directions of largest curvature")
    return [Finding("leading-curvatures", text), *unsure]


def _curvature(result: Result) -> list[Finding]:
    """State how many points of the curvature map have converged."""
    if not (result.eigenvalues.size and np.isfinite(result.eigenvalues).any()):
        return []
    points = np.isfinite(result.eigenvalues[..., 2])
    loose = int((~view.converged(result.eigenvalues) & points).sum())
    if not loose:
        return [
            Finding(
                "curvature-map",
                f"Curvature map (smallest over largest eigenvalue): all {int(points.sum())} points converged.",
            )
        ]
    what = f"of {int(points.sum())} points of the curvature map"
    return findings.not_converged(loose, what, "they are left white")
