"""One cell of the table: a kind of training in a mode, with the callback, without it, and by the oracle.

The oracle is in oracle.py. Kinds that draw random numbers (dropout, noise) draw others in an eager loop than inside of
a compiled step; of these only the equality of the two trainings is asserted. Half precision: see `tolerance` in
layers.py. Would miss: what needs real GPUs, a network, or a model too large for one batch a millisecond.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dlhw
from tests.watch import kinds, oracle
from tests.watch.kinds import EPOCHS, Case
from tests.watch.modes import MAIN, MODES, NOT_REPEATABLE, REFUSED, ROUNDED, fit, made, parts, rule_of

import keras  # isort: skip

KINDS = kinds.load()
BROAD = ("functional", "convolutions and batch norm", "embedding")
FAST = {("functional", "jit"), ("embedding", "graph"), ("GAN with two optimizers", "eager"), ("mixed_float16", "graph")}


def cells(rows: Any, columns: Any, fast: Callable[[str, str], bool]) -> list[Any]:
    """Parameters of a test of every pair; those that are not fast are marked slow."""
    return [
        pytest.param(a, b, id=f"{a}-{b}", marks=[] if fast(a, b) else [pytest.mark.slow]) for a in rows for b in columns
    ]


def main_cells(theme: str) -> list[Any]:
    """The kinds of one file, in every main mode."""
    rows = [name for name, build in KINDS.items() if build.__module__.endswith(theme)]
    assert rows
    return cells(rows, MAIN, lambda a, b: (a, b) in FAST)


def optimizers(model: Any) -> list[Any]:
    """All optimizers of a model, by name of the attribute."""
    return [v for _, v in sorted(vars(model).items()) if isinstance(v, keras.optimizers.Optimizer)]


def state(model: Any) -> dict[str, np.ndarray]:
    """Every number that a model and its optimizers hold."""
    numbers = {f"weights {k} {v.path}": v.numpy() for k, v in enumerate(model.variables)}
    for k, optimizer in enumerate(optimizers(model)):
        numbers |= {f"optimizer {k} {j} {v.path}": v.numpy() for j, v in enumerate(optimizer.variables)}
    return numbers


def assert_same_bits(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert a.keys() == b.keys()
    for key, value in a.items():
        assert value.dtype == b[key].dtype
        np.testing.assert_array_equal(value, b[key], err_msg=key)


def assert_same_but_for_rounding(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    """Relative to the largest entry."""
    assert a.keys() == b.keys()
    for key, value in a.items():
        np.testing.assert_allclose(value, b[key], rtol=0, atol=1e-6 * np.abs(b[key]).max(initial=0), err_msg=key)


@functools.lru_cache(maxsize=8)
def plain(name: str, mode_name: str) -> tuple[dict[str, np.ndarray], dict[str, list[float]]]:
    """State and history of a training without the callback."""
    case = made(name, MODES[mode_name])
    history = fit(case).history
    return state(case.model), history


@functools.lru_cache(maxsize=8)
def expected(name: str, mode_name: str, *, counts_the_end: bool = False) -> dict[str, Any]:
    """What the oracle says."""
    mode = MODES[mode_name]
    case = made(name, mode if mode.replicas == 1 else MODES["graph"], compiled=False)
    rules = [rule_of(case, mode, plain=True) for _ in range(case.rules)]
    return oracle.replay(case, mode, rules, parts(case), EPOCHS, counts_the_end=counts_the_end)


def shared_oracle(mode_name: str) -> str:
    """The main modes are one mathematics."""
    return (
        "graph"
        if MODES[mode_name].rule is None and not MODES[mode_name].options and MODES[mode_name].replicas == 1
        else mode_name
    )


def check(name: str, mode_name: str) -> Any:
    """Assert what must hold in a cell; returns the callback."""
    case = made(name, MODES[mode_name])
    watch = dlhw.Watch()
    if (name, mode_name) in REFUSED:
        for callbacks in ([], [watch]):
            with pytest.raises(TypeError, match="IndexedSlices"):
                fit(case, *callbacks)
        return watch
    history = fit(case, watch).history
    if (name, mode_name) not in NOT_REPEATABLE:
        without, plain_history = plain(name, mode_name)
        assert history.keys() == plain_history.keys()
        if (name, mode_name) in ROUNDED:
            assert_same_but_for_rounding(state(case.model), without)
        else:
            assert_same_bits(state(case.model), without)
            np.testing.assert_equal(history, plain_history)
    if not case.random:
        # A graph of Keras that finds no more data still counts an iteration, by which Adam corrects its means.
        ends = case.feed == "dataset" and mode_name == "graph"
        compare(watch.result, expected(name, shared_oracle(mode_name), counts_the_end=ends), case, name)
    assert len(watch.result.step) == EPOCHS * len(parts(case)) * case.rules
    assert not [note for note in watch.notes if not (not case.loss_known and "oss" in note)], watch.notes
    return watch


def compare(result: Any, wanted: dict[str, Any], case: Case, name: str) -> None:
    """Assert that a record holds the oracle's numbers."""
    tolerance = case.tolerance
    np.testing.assert_array_equal(result.step, wanted["step"])
    np.testing.assert_array_equal(result.updated, wanted["updated"])
    np.testing.assert_array_equal(result.examples, wanted["examples"])
    rounding = max(tolerance, 1e-6)  # Keras adds losses up in float32
    np.testing.assert_allclose(result.loss, wanted["loss"], rtol=rounding, atol=rounding * 1e-1)
    np.testing.assert_array_equal(result.learning_rate, np.full(len(result.step), np.float32(0.01)))
    np.testing.assert_array_equal(result.optimizer, wanted["rule"])
    for row in range(len(result.step)):
        own = np.flatnonzero(~np.isnan(result.weight_norm[row]))
        assert len(own) == len(wanted["names"][row]), (result.layers, wanted["names"][row])
        for layer, short in zip(own, wanted["names"][row], strict=True):
            assert short in result.layers[layer], (result.layers, wanted["names"][row])
        for key in oracle.NORMS:
            numbers = np.asarray(wanted[key][row])
            # An update is a difference of rounded weights.
            slack = 4e-7 * np.asarray(wanted["weight_norm"][row]) if key == "update_norm" else 0
            known = np.isfinite(numbers)
            np.testing.assert_array_equal(np.isfinite(getattr(result, key)[row, own]), known, err_msg=key)
            far = np.abs(getattr(result, key)[row, own] - numbers)[known]
            allowed = (tolerance * (np.abs(numbers) + 1e-2 * np.abs(numbers[known]).max(initial=0)) + slack)[known]
            assert (far <= allowed).all(), (name, key, row, getattr(result, key)[row, own], numbers)
        for key in oracle.SHARES:
            exact = 1e-6 if tolerance < 1e-3 else 0.5
            np.testing.assert_allclose(getattr(result, key)[row, own], wanted[key][row], atol=exact, err_msg=key)
