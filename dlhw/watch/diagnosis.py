"""A finding on a training: what was seen, where, how bad it is, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dlhw.present.findings import Finding

Severity = Literal["severe", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("severe", "warning", "note")


@dataclass(frozen=True)
class Diagnosis(Finding):
    """A finding with its evidence. `text` is the sentence that is shown: what was seen, with numbers, and where."""

    severity: Severity = "warning"
    layer: str = ""  # name of the layer that it concerns first; "": the whole training
    step: int = -1  # batch at which it was first seen; -1: before training, or no single one
    evidence: Mapping[str, float] = field(default_factory=dict)  # the numbers that the rule compared
    remedy: str = ""  # what to change, one sentence
    source: str = ""  # paper, book or page of the documentation behind the rule
    place: str = ""  # data, loss, optimizer, batch, dropout, generalization; "": the layer, or not known
