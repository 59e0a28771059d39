"""Principal components of the path of the weights."""

from __future__ import annotations

from dlhw.checks.items import Column, Fact, Item

ITEMS = (
    Item(
        "pca-path",
        "shares of the variance of a path of weights along its principal components",
        (
            Column("component", "number of the component, from 1", ("pc", "components", "k")),
            Column(
                "share",
                "share of the variance",
                ("explained variance ratio", "explained variance", "explained", "variance ratio", "ratio", "variance"),
                required=True,
                fraction=True,
            ),
        ),
        (
            Fact("points", "number of points of the path", int, least=2),
            Fact("weights", "number of weights", int, least=1),
        ),
        experiment="trajectory",
        log_y=True,
    ),
)
