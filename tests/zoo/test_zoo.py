"""Every kind of model x every instrument and both trainings.

The oracles are in oracles.py. Smooth kinds are built in float64, where differences of the gradient are good to eight
digits; instruments run uncompiled here (tests/test_any_model.py and the other files run them compiled).
"""

from __future__ import annotations

import functools

import pytest

from dlhw._compiled import Compiled
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
    "unseeded noise": {"widened", "weights"},
    "several outputs": {"widened", "weights"},
    "labels outside the classes": {"jacobian_output", "jacobian_softmax", "widened", "weights"},
    "targets (n,) for outputs (n, n)": {"jacobian_output", "jacobian_softmax", "widened", "weights"},
    "all frozen": {"sensitivity", "jacobian_output", "jacobian_softmax", "widened"},
}


@pytest.fixture(autouse=True)
def _precision(request):
    name = request.node.callspec.params["name"] if hasattr(request.node, "callspec") else ""
    wide = name and not KINDS[name].precision
    if wide:
        keras.config.set_floatx("float64")
        keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


@pytest.fixture(autouse=True)
def _uncompiled(monkeypatch):
    compiled = Compiled.__call__

    def call(self, *arguments):
        # TensorFlow has this kind of Jacobian in graphs alone.
        return compiled(self, *arguments) if self.function.__name__ == "_matrix" else self.function(*arguments)

    monkeypatch.setattr(Compiled, "__call__", call)


@functools.lru_cache(maxsize=1)
def subject(name, floatx):
    model, x, y, loss = kinds.made(name)
    return Subject(name, model, x, y, loss)


def cells():
    for name, kind in KINDS.items():
        for instrument in INSTRUMENTS:
            application = kind.theme == "applications" and instrument not in APPLICATIONS
            if application or (instrument in AS_HESSIAN and name not in FAST_KINDS):
                continue
            marks = [] if name in FAST_KINDS and instrument in FAST else [pytest.mark.slow]
            yield pytest.param(name, instrument, id=f"{name}-{instrument}", marks=marks)


@functools.cache
def published():
    """The table of docs/models.md: kind -> instrument -> cell, and its sentences by number."""
    text = DOCUMENT.read_text(encoding="utf-8")
    head, _, *lines = [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in lines}, text


@pytest.mark.parametrize(("name", "instrument"), cells())
def test_right_or_refused(name, instrument):
    result = outcome(subject(name, keras.config.floatx()), instrument)
    if name in NEVER and instrument not in NEVER[name]:
        assert not result.right
    table, text = published()
    cell = table[name][instrument]
    assert result.right == (cell in ("✓", "(✓)")), (cell, result)
    if not result.right:
        assert f"\n{cell}. {general(result.reason)}\n" in text


def test_the_table_holds_every_kind_and_instrument():
    table, _ = published()
    assert set(table) == set(KINDS)
    assert len(KINDS) >= 40
    assert all(set(row) == set(INSTRUMENTS) for row in table.values())
