"""Numbers of parameters: against generalization, and of nets that should be equal."""

from __future__ import annotations

from dlhw.checks.catalogue.headers import CURVES
from dlhw.checks.items import Column, Fact, Item

NET = Column(
    "net",
    "hidden widths, such as 64-32",
    ("model", "name", "widths", "hidden", "structure", "architecture"),
    text=True,
)
COUNT = Column(
    "parameters",
    "number of weights and biases",
    ("params", "number of parameters", "parameter count", "num params", "n params", "parameter", "size"),
    required=True,
)
SHAPE = (
    Fact("inputs", "number of inputs of the net", int, least=1),
    Fact("outputs", "number of outputs of the net", int, least=1),
)
ITEMS = (
    Item(
        "parameters",
        "number of parameters and generalization",
        (COUNT, NET, *CURVES),
        SHAPE,
        experiment="sweep-params",
        log_x=True,
        drawn=("train_loss", "test_loss"),
    ),
    Item("equal-parameters", "nets of equal numbers of parameters", (COUNT, NET), SHAPE, experiment="simulate"),
)
