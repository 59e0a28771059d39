"""What optimizers and replicas do beside the rule: as in table_of_kinds.py, for three kinds of models.

Would miss: what needs real GPUs, and a network between replicas.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import dlhw
from tests.watch.cell import BROAD, KINDS, assert_same_bits, cells, check, state
from tests.watch.modes import FURTHER, MAIN, MODES, NOT_REPEATABLE, REFUSED, ROUNDED, fit, made

import tensorflow as tf  # isort: skip

FAST = {"two replicas with clipping"}


@pytest.mark.parametrize(("name", "mode"), cells(BROAD, FURTHER, lambda a, b: a == "functional" and b in FAST))
def test_what_optimizers_and_replicas_do_beside_the_rule(name, mode):
    watch = check(name, mode)
    if "clip" in mode and (name, mode) not in REFUSED:
        result = watch.result
        assert (result.applied_norm < 0.99 * result.gradient_norm).any(), "nothing was clipped"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("tied embeddings", "accumulation with jit"),
        ("mixed_float16", "accumulation with jit"),
        ("mixed_float16", "accumulation"),
        ("mixed_float16", "two replicas"),
        ("uneven last batch", "two replicas"),
        ("regularizers", "two replicas"),
        ("layer norm", "clipnorm with jit"),
        ("LSTM", "clipnorm with jit"),
    ],
)
def test_other_pairs(name, mode):
    """The compiler may round otherwise where a number is read; accumulation is where it did."""
    check(name, mode)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "mode"), sorted(ROUNDED))
def test_what_differs_by_rounding_does_not_without_the_rewriting(name, mode):
    """The page of limits names the option."""
    options = tf.config.optimizer.get_experimental_options()
    ends = []
    try:
        tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})
        for callbacks in ([], [dlhw.Watch()]):
            case = made(name, MODES[mode])
            fit(case, *callbacks)
            ends.append(state(case.model))
    finally:
        before = options.get("arithmetic_optimization", True)
        tf.config.optimizer.set_experimental_options({"arithmetic_optimization": before})
    assert_same_bits(*ends)


def test_the_published_table_is_that_of_the_tests():
    lines = (Path(__file__).parents[2] / "docs" / "watch.md").read_text(encoding="utf-8").splitlines()
    table = {}
    for line in lines:
        head, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and set(cells) <= set("✓=≈~–"):
            columns = MAIN if head in KINDS else BROAD
            names = [(head, c) if head in KINDS else (c, head) for c in columns]
            table |= dict(zip(names, cells, strict=True))
    assert set(table) == {(a, b) for a in KINDS for b in MAIN} | {(a, b) for a in BROAD for b in FURTHER}
    for sign, cells in (("≈", ROUNDED), ("~", NOT_REPEATABLE), ("–", REFUSED)):
        assert {cell for cell, shown in table.items() if shown == sign} == cells
    assert {name for (name, _), shown in table.items() if shown == "="} == {k for k in KINDS if KINDS[k]().random}


def test_there_are_enough_kinds_and_modes():
    assert len(KINDS) >= 20
    assert len(MAIN) >= 4
