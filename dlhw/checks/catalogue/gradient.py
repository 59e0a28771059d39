"""The norm of the gradient while a net learns."""

from __future__ import annotations

from dlhw.checks.items import Column, Fact, Item

ITEMS = (
    Item(
        "gradient-norm",
        "gradient norm while a net learns",
        (
            Column("iteration", "iteration or epoch", ("iterations", "iter", "step", "epoch", "epochs"), required=True),
            Column(
                "norm", "norm of the whole gradient", ("gradient norm", "grad norm", "grad", "gradient"), required=True
            ),
            Column("loss", "training loss at the same iteration", ("train loss", "training loss", "mse")),
            Column(
                "layer",
                "norms of the gradient of every layer or tensor",
                ("layer norm", "layer gradient norm", "layer"),
                many=True,
            ),
        ),
        (
            Fact("learning_rate", "learning rate of plain full-batch gradient descent with one step per row", least=0),
            Fact("momentum", "momentum of the optimizer", least=0),
            Fact("all_layers", "whether every tensor is in a layer column; yes unless given", str, ("yes", "no")),
        ),
        experiment="gradient-norm",
        log_y=True,
        drawn=("norm", "loss"),
    ),
)
