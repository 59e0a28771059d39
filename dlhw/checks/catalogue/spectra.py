"""Eigenvalues of a Hessian."""

from __future__ import annotations

from dlhw.checks.items import Column, Fact, Item

ITEMS = (
    Item(
        "hessian",
        "eigenvalues of the Hessian of the loss",
        (
            Column("rank", "number of the eigenvalue", ("index", "i", "k")),
            Column("eigenvalue", "the eigenvalue", ("eigenvalues", "value", "lambda", "eig"), required=True),
        ),
        (
            Fact("parameters", "number of weights of the net", int, least=1),
            Fact("complete", "whether all eigenvalues were computed", str, ("yes", "no")),
        ),
        experiment="minimal-ratio",
    ),
)
