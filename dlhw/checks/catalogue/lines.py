"""Loss and accuracy on the line between two nets."""

from __future__ import annotations

from dlhw.checks.catalogue.headers import CURVES
from dlhw.checks.items import Column, Fact, Item

ITEMS = (
    Item(
        "interpolation",
        "loss and accuracy on the line between two nets",
        (
            Column(
                "alpha",
                "place on the line: 0 is the first net, 1 the second",
                ("a", "interpolation ratio", "ratio", "interpolation", "alphas"),
                required=True,
            ),
            *CURVES,
        ),
        (
            Fact("first_train_loss", "training loss of the first net, evaluated on its own"),
            Fact("second_train_loss", "training loss of the second net, evaluated on its own"),
            Fact("first_test_accuracy", "test accuracy of the first net, evaluated on its own, from 0 to 1"),
            Fact("second_test_accuracy", "test accuracy of the second net, evaluated on its own, from 0 to 1"),
            Fact("shared_start", "whether both nets started from the same weights", str, ("yes", "no")),
        ),
        experiment="interpolate",
        drawn=("train_loss", "test_loss"),
    ),
)
