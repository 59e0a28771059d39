"""What `dlhw.measure` says of a saved Keras model, as one table: the command `dlhw measure`."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlhw.errors import UserError, require
from dlhw.present.findings import Finding
from dlhw.present.numbers import format_number
from dlhw.present.tables import Summary
from dlhw.runs.saved_models import Request, loss_name, prepare

if TYPE_CHECKING:
    from dlhw.measure.budget import Progress
    from dlhw.runs.saved_models import SavedModel

EPSILON, RHO = 1e-3, 0.05
"""Size of Keskar's box, and radius of the ball of SAM."""
Row = tuple[str, str, str]  # measure, value, what it is
Rows = tuple[list[Row], dict[str, Any]]


def measure_model(request: Request, only: Sequence[str] = (), progress: Progress = False) -> Summary:
    """Measure a saved model with the instruments named in `only`, all by default.

    Args:
        request: the file, its data and its loss.
        only: keys of :data:`INSTRUMENTS`.
        progress: of the products of the Hessian: see :func:`dlhw.measure.eigenpairs`.

    Returns:
        A table with one row per number; the numbers themselves; as findings, warnings and
        instruments that refused the model.

    Raises:
        UserError: for unknown instruments, a file that is not a model, and data that do not fit it.
    """
    check_instruments(only)
    (saved,) = prepare(request)
    rows: list[Row] = []
    numbers: dict[str, Any] = {}
    remarks: list[Finding] = []
    for name in only or INSTRUMENTS:
        try:
            with warnings.catch_warnings(record=True) as notes:
                warnings.simplefilter("always", UserWarning)
                new_rows, numbers[name] = INSTRUMENTS[name](saved, progress)
        except UserError as error:
            remarks.append(Finding("not-measured", f"{name}: {error}."))
        else:
            rows += new_rows
            texts = dict.fromkeys(str(note.message) for note in notes if issubclass(note.category, UserWarning))
            remarks += [Finding("measured-with-a-warning", f"{name}: {text}.") for text in texts]
    title = (
        f"{request.paths[0]}: {loss_name(saved.loss).replace('_', ' ')} on {len(saved.x)} examples of {request.data}"
    )
    return Summary(title, ("measure", "value", "what it is"), tuple(rows), tuple(remarks), numbers)


def check_instruments(only: Sequence[str]) -> None:
    """Raise UserError for names that are not among :data:`INSTRUMENTS`."""
    for name in only:
        close = difflib.get_close_matches(name, list(INSTRUMENTS), n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        require(name in INSTRUMENTS, f"`only` {name!r} is unknown; {hint}use {', '.join(INSTRUMENTS)}")


def _loss(saved: SavedModel, _: Progress) -> Rows:
    from dlhw import measure

    value = measure.Objective(saved.model, saved.loss, saved.x, saved.y).value()
    rows = [("loss", format_number(value.loss), "mean over the examples, with regularizers")]
    if np.isfinite(value.accuracy):
        rows.append(("accuracy", f"{100 * value.accuracy:.2f} %", "share of correct predictions"))
    return rows, {"loss": value.loss, "accuracy": value.accuracy}


def _gradient(saved: SavedModel, _: Progress) -> Rows:
    from dlhw import measure

    norm = measure.gradient_norm(saved.model, saved.loss, saved.x, saved.y)
    rows = [("gradient norm", format_number(norm.total), "|d loss / d weights|, all trainable weights")]
    return rows, {"total": norm.total, "layers": norm.layers.tolist(), "names": list(norm.names)}


def _sensitivity(saved: SavedModel, _: Progress) -> Rows:
    from dlhw import measure

    norms = measure.sensitivity(saved.model, saved.loss, saved.x, saved.y)
    text = f"{format_number(norms.mean)} ± {format_number(norms.standard_error)}"
    what = "mean of |d loss_i / d x_i| ± standard error, one gradient per example"
    return [("sensitivity", text, what)], {"mean": norms.mean, "standard_error": norms.standard_error}


def _jacobian(saved: SavedModel, _: Progress) -> Rows:
    from dlhw import measure

    norms = measure.jacobian_norm(saved.model, saved.x, of="output")
    text = f"{format_number(norms.mean)} ± {format_number(norms.standard_error)}"
    what = "mean of |d output / d x_i| ± standard error, Frobenius norm"
    return [("Jacobian", text, what)], {"mean": norms.mean, "standard_error": norms.standard_error}


def _sharpness(saved: SavedModel, _: Progress) -> Rows:
    from dlhw import measure

    box = measure.keskar(saved.model, saved.loss, saved.x, saved.y, epsilon=EPSILON)
    ball = measure.sam(saved.model, saved.loss, saved.x, saved.y, rho=RHO)
    rows = [
        ("Keskar's sharpness", f"{format_number(box.value)} %", f"largest rise in a box, ε = {EPSILON:g}"),
        ("SAM sharpness", format_number(ball.value), f"rise of the loss along the gradient, ρ = {RHO:g}"),
    ]
    numbers = {"keskar": box.value, "keskar_spread": box.spread, "keskar_settled": box.settled, "sam": ball.value}
    return rows, numbers


def _hessian(saved: SavedModel, progress: Progress) -> Rows:
    from dlhw import measure

    operator = measure.hessian(saved.model, saved.loss, saved.x, saved.y)
    pairs = measure.eigenpairs(operator, k=1, which="both", progress=progress)
    high, low = float(np.max(pairs.values)), float(np.min(pairs.values))
    trace = measure.trace(operator, progress=progress)
    residual = format_number(float(np.max(pairs.residuals)))
    rows = [
        ("largest eigenvalue", format_number(high), f"of the Hessian; residual at most {residual}"),
        ("smallest eigenvalue", format_number(low), "of the Hessian; negative: the loss falls along it"),
        ("trace", f"{format_number(trace.value)} ± {format_number(trace.standard_error)}", "of the Hessian, estimated"),
    ]
    numbers = {"eigenvalues": np.sort(pairs.values).tolist(), "residuals": pairs.residuals.tolist()}
    return rows, numbers | {"trace": trace.value, "trace_standard_error": trace.standard_error}


INSTRUMENTS: Mapping[str, Callable[[SavedModel, Progress], Rows]] = {
    "loss": _loss,
    "gradient": _gradient,
    "sensitivity": _sensitivity,
    "jacobian": _jacobian,
    "sharpness": _sharpness,
    "hessian": _hessian,
}
"""Groups of measures by name."""
