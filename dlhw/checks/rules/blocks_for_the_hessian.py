"""Eigenvalues of square blocks between tensors, in place of those of the whole Hessian.

The whole Hessian of P weights has P eigenvalues. Its diagonal blocks leave marks where the loss is a mean square over C
outputs: the block of the biases of the output is 2/C times the identity, and that of the last kernel is C times the
same matrix, so that its eigenvalues come C-fold.
"""

from __future__ import annotations

import numpy as np

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.rule import Rule
from dlhw.checks.tables import Array, Table
from dlhw.checks.written_precision import rounding_error
from dlhw.present.numbers import format_number

SAME = 1e-6
"""Relative difference of eigenvalues that count as equal; whole Hessians have no equal ones but zeros."""
NONZERO = 1e-6
"""Part of the largest magnitude from which an eigenvalue is not zero."""
TWINS, SHARE = 4, 0.1
"""Equal neighbours, and their share of all nonzero eigenvalues."""
OF_BIAS, EXACT, COMPANY = 2.0, 1e-5, 5
"""The second derivative by the bias of one output, and other eigenvalues a thousandth as large or more."""


def apply(table: Table) -> Mark | Lacking | None:
    """Mark spectra that are not of one whole Hessian."""
    values = np.sort(table["eigenvalue"])
    count, complete = len(values), table.facts.get("complete", "")
    parameters = int(table.number("parameters")) if table.has("parameters") else 0
    if parameters and (count > parameters or (count < parameters and complete == "yes")):
        return Mark(
            f"There are {count} eigenvalues, and the net has {parameters} weights. The whole Hessian has as many "
            "eigenvalues as weights; blocks between the tensors have other numbers of them."
        )
    seen = _equal_ones(values) or _of_the_bias(values)
    if seen or (parameters and count == parameters):
        return seen
    if not parameters:
        return Lacking("needs `parameters`, the number of weights")
    return Lacking("needs to know whether these are all eigenvalues: give `complete`")


def _equal_ones(values: Array) -> Mark | None:
    size = np.abs(values)
    known = (rounding_error(values) <= SAME * size) & (size > NONZERO * size.max(initial=0))
    twins = (np.diff(values) <= SAME * size[1:]) & known[1:] & known[:-1]
    if twins.sum() < max(TWINS, SHARE * known.sum()):
        return None
    example = format_number(float(values[1:][twins][-1]))
    return Mark(
        f"{twins.sum()} eigenvalues equal the next to six digits, such as {example}. The block of the last kernel has "
        "every eigenvalue once for each output; those of a whole Hessian differ."
    )


def _of_the_bias(values: Array) -> Mark | None:
    room = np.minimum(rounding_error(values), EXACT)
    exact = (np.abs(values - OF_BIAS) <= EXACT) & (room < EXACT)
    if not exact.any() or (np.abs(values) > OF_BIAS / 1000).sum() <= COMPANY:
        return None
    return Mark(
        f"An eigenvalue is {values[exact][0]:.7g}: exactly 2 is the second derivative of a squared error by the bias "
        "of the output, a block of its own. In the whole Hessian other weights change it."
    )


RULE = Rule(
    code="blocks-for-the-hessian",
    items=("hessian",),
    kind="mistake",
    title="blocks between tensors in place of the whole Hessian",
    remedy="Put all weights into one vector and differentiate its gradient, so that the matrix has a row and a column "
    "for every weight.",
    apply=apply,
    false_alarm_rate=0.05,
    basis="arithmetic for the number of eigenvalues; measured for equal ones and for exactly 2",
)
