"""The Hessian of a net of ReLUs, which is zero or undefined in the second derivative of every unit."""

from __future__ import annotations

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.rule import Rule
from dlhw.checks.tables import Table

PIECEWISE = ("relu", "leakyrelu", "prelu", "relu6", "hardtanh", "hardsigmoid", "rrelu", "maxout")
"""Activations of straight pieces; compared without case, spaces and punctuation."""


def apply(table: Table) -> Mark | Lacking | None:
    """Mark nets whose activation has no second derivative."""
    if not table.has("activation"):
        return Lacking("needs `activation`, such as relu or tanh")
    name = str(table.facts["activation"])
    if "".join(c for c in name.lower() if c.isalnum()) not in PIECEWISE:
        return None
    return Mark(
        f"The activation is {name}, made of straight pieces. Its second derivative is zero but at the kinks, so that "
        "the Hessian lacks the curvature of moving the kinks, and its signs do not tell a minimum from a saddle."
    )


RULE = Rule(
    code="relu-hessian",
    items=("minimal-ratio",),
    kind="mistake",
    title="the Hessian of a net of ReLUs",
    remedy="Use a smooth activation, tanh or softplus, for training as well as for the Hessian.",
    apply=apply,
)
