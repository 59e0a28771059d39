"""Sensitivity of the output to the input, against batch size."""

from __future__ import annotations

from dlhw.checks.catalogue.headers import CURVES
from dlhw.checks.items import Column, Fact, Item

ITEMS = (
    Item(
        "sensitivity",
        "sensitivity against batch size",
        (
            Column("batch", "batch size of the training", ("batch size", "bs", "batches", "batchsize"), required=True),
            Column(
                "value",
                "mean over examples of the norm of the gradient with respect to the input",
                ("sensitivity", "sens", "input gradient", "gradient of input", "frobenius norm", "jacobian norm"),
                required=True,
            ),
            *CURVES,
        ),
        (Fact("data", "data set", str, ("mnist", "fashion-mnist", "cifar10", "digits")),),
        experiment="sweep-batch",
        log_x=True,
        log_y=True,
        drawn=("value",),
    ),
)
