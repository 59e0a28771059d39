"""Training on random labels."""

from __future__ import annotations

from dlhw.checks.catalogue.headers import CURVES, EPOCH
from dlhw.checks.items import Fact, Item

ITEMS = (
    Item(
        "random-labels",
        "training on random labels",
        (EPOCH, *CURVES),
        (
            Fact("classes", "number of classes; 10 unless given", int, least=2),
            Fact("examples", "number of training examples; 60000 unless given", int, least=1),
            Fact("test_examples", "number of test examples; 10000 unless given", int, least=1),
        ),
        experiment="random-labels",
        drawn=("train_loss", "test_loss"),
    ),
)
