"""The minimal ratio of points where the gradient is almost zero."""

from __future__ import annotations

from dlhw.checks.items import Column, Fact, Item

ITEMS = (
    Item(
        "minimal-ratio",
        "minimal ratio against loss where the gradient is almost zero",
        (
            Column("loss", "loss at the point, one a training", ("train loss", "training loss", "mse"), required=True),
            Column(
                "ratio",
                "share of the eigenvalues of the Hessian that are positive",
                ("minimal ratio", "minimum ratio", "min ratio", "positive ratio"),
                required=True,
                fraction=True,
            ),
            Column("gradient_norm", "gradient norm at the point", ("grad norm", "gradient norm", "norm", "grad")),
        ),
        (
            Fact("parameters", "number of weights of the net", int, least=1),
            Fact("activation", "activation of the hidden layers, such as relu or tanh", str),
            Fact("precision", "in which the Hessian was computed", str, ("float32", "float64")),
            Fact(
                "tolerance", "over the largest eigenvalue, from which one counts as positive; 0 for above zero", least=0
            ),
        ),
        experiment="minimal-ratio",
        drawn=("ratio",),
    ),
)
