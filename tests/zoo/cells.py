"""The cells of the zoo, kind x instrument, and the table that they must agree with.

The oracles are in oracles.py. Smooth kinds are built in float64, where differences of the gradient are good to eight
digits; instruments run uncompiled here (tests/test_any_model.py and the other files run them compiled).
"""

from __future__ import annotations

import functools
from typing import Any

import pytest

from tests.zoo import kinds
from tests.zoo.instruments import APPLICATIONS, AS_HESSIAN, FAST, INSTRUMENTS, Subject, outcome
from tests.zoo.table import DOCUMENT, general

import keras  # isort: skip

KINDS = kinds.load()
FAST_KINDS = {  # one of each theme
    "dense softsign", "layer norm", "add_loss sum", "max-norm constraint", "policy mixed_bfloat16", "transposed conv",
    "upsampling bilinear", "masking", "transformer block", "vae sampling", "subclassed", "several inputs", "circle",
    "sequential, not built", "string lookup",
}  # fmt: skip
NEVER = {  # kinds that no instrument takes but those named, whatever the table says
    "subclassed, not built": set(),
    "sequential, not built": set(),
    "unseeded noise": {"as_float64", "weights"},
    "several outputs": {"as_float64", "weights"},
    "labels outside the classes": {"jacobian_output", "jacobian_softmax", "as_float64", "weights"},
    "targets (n,) for outputs (n, n)": {"jacobian_output", "jacobian_softmax", "as_float64", "weights"},
    "all frozen": {"sensitivity", "jacobian_output", "jacobian_softmax", "as_float64"},
}


@functools.lru_cache(maxsize=1)
def subject(name, floatx):
    model, x, y, loss = kinds.made(name)
    return Subject(name, model, x, y, loss)


def cells(*themes: str) -> list[Any]:
    """Parameters (kind, instrument) of the kinds of some themes."""
    parameters = []
    for name, kind in KINDS.items():
        for instrument in INSTRUMENTS:
            application = kind.theme == "applications" and instrument not in APPLICATIONS
            if kind.theme not in themes or application or (instrument in AS_HESSIAN and name not in FAST_KINDS):
                continue
            marks = [] if name in FAST_KINDS and instrument in FAST else [pytest.mark.slow]
            parameters.append(pytest.param(name, instrument, id=f"{name}-{instrument}", marks=marks))
    return parameters


@functools.cache
def published():
    """The table of docs/models.md: kind -> instrument -> cell, and its sentences by number."""
    text = DOCUMENT.read_text(encoding="utf-8")
    head, _, *lines = [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in lines}, text


def check(name: str, instrument: str) -> None:
    """Assert that an instrument does on a kind what the published table says: right, or refused in those words."""
    result = outcome(subject(name, keras.config.floatx()), instrument)
    if name in NEVER and instrument not in NEVER[name]:
        assert not result.right
    table, text = published()
    cell = table[name][instrument]
    assert result.right == (cell in ("✓", "(✓)")), (cell, result)
    if not result.right:
        assert f"\n{cell}. {general(result.reason)}\n" in text
