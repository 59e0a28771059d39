"""Loss against epochs, and loss values as such."""

from __future__ import annotations

from dlhw.checks.catalogue.headers import CURVES, EPOCH
from dlhw.checks.items import Column, Fact, Item

KIND = Fact("kind", "of the loss", str, ("cross-entropy", "mse"))
CLASSES = Fact("classes", "number of classes", int, least=2)
ITEMS = (
    Item(
        "loss-curve",
        "loss and accuracy of training and test against epochs",
        (EPOCH, *CURVES),
        (KIND, CLASSES),
        experiment="classify",
        drawn=("train_loss", "test_loss"),
    ),
    Item(
        "loss",
        "values of a loss",
        (
            Column("step", "epoch or iteration", ("epoch", "epochs", "iteration", "iter")),
            Column("value", "the loss", ("loss", "train loss", "training loss", "mse", "cost"), required=True),
        ),
        (KIND, CLASSES),
        experiment="simulate",
    ),
)
