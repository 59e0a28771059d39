"""Rules on the line between two nets, on lines of trained nets in NumPy.

Would miss: mixing in place on a grid coarser than 0.1 that ends at 1 (the rule says that it cannot decide).
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.checks import mlp

GRIDS = (
    np.linspace(0, 1, 11),
    np.linspace(0, 1, 21),
    np.round(np.arange(-1, 2.01, 0.1), 10),
    np.linspace(-0.5, 1.5, 41),
)


def line(seeds, alphas, in_place=False):
    """The columns of a line; `in_place`: each alpha mixes what the one before it left."""
    x, y, x_test, y_test = mlp.digits()
    a, b = (mlp.trained(seed) for seed in seeds)
    rows, mixed = [], [w.copy() for w in a]
    for alpha in alphas:
        mixed = [(1 - alpha) * p + alpha * q for p, q in zip(mixed if in_place else a, b, strict=True)]
        rows.append((*mlp.evaluate(mixed, x, y), *mlp.evaluate(mixed, x_test, y_test)))
    return mlp.columns(rows) | {"alpha": alphas}


def table(seeds, alphas, in_place=False):
    values = line(seeds, alphas, in_place)
    del values["epoch"]
    return values


def stated(seeds):
    x, y, x_test, y_test = mlp.digits()
    facts = {}
    for net, seed in zip(("first", "second"), seeds, strict=True):
        facts[f"{net}_train_loss"] = mlp.evaluate(mlp.trained(seed), x, y)[0]
        facts[f"{net}_test_accuracy"] = mlp.evaluate(mlp.trained(seed), x_test, y_test)[1]
    return facts


@pytest.mark.parametrize("grid", range(len(GRIDS)))
@pytest.mark.parametrize("seeds", [(0, 1), (2, 3), (4, 5)])
def test_a_right_line_is_consistent_and_one_mixed_in_place_is_named(seeds, grid):
    right = table(seeds, GRIDS[grid]) | stated(seeds)
    assert mlp.codes("interpolation", **right) == set()
    assert mlp.codes("interpolation", **table(seeds, GRIDS[grid], in_place=True)) == {"in-place-mixing"}


def test_mixing_towards_the_first_net_in_place_is_named():
    """p <- a p + (1 - a) q is at the other net from alpha 0 on."""
    x, y, x_test, y_test = mlp.digits()
    mixed, rows = [w.copy() for w in mlp.trained(0)], []
    for alpha in GRIDS[2]:
        mixed = [alpha * p + (1 - alpha) * q for p, q in zip(mixed, mlp.trained(1), strict=True)]
        rows.append((*mlp.evaluate(mixed, x, y), *mlp.evaluate(mixed, x_test, y_test)))
    values = mlp.columns(rows) | {"alpha": GRIDS[2]}
    del values["epoch"]
    assert "in-place-mixing" in mlp.codes("interpolation", **values)


def test_the_threshold_of_a_constant_end_from_both_sides():
    """A change of 0.3 % of the loss is constant, one of 0.5 % is not; 0.4 is the threshold."""
    alphas = np.linspace(0, 1, 21)
    for change, marked in ((0.003, True), (0.005, False)):
        loss = np.where(alphas < 0.65, 2 - alphas, 1.0).astype(float)
        loss[14] = 1 + change  # where a mixture in place has arrived
        loss += 1e-9 * np.sin(1000 * alphas)
        assert ("in-place-mixing" in mlp.codes("interpolation", alpha=alphas, train_loss=loss)) == marked


def test_in_place_is_undecided_on_a_coarse_grid_without_losses_and_with_few_digits():
    coarse = np.linspace(0, 1, 6)
    assert "grid" in mlp.lacking("interpolation", "in-place-mixing", **table((0, 1), coarse))
    fine = table((0, 1), GRIDS[1], in_place=True)
    accuracies = {name: fine[name] for name in ("alpha", "train_accuracy", "test_accuracy")}
    assert "loss" in mlp.lacking("interpolation", "in-place-mixing", **accuracies)
    rounded = {"alpha": fine["alpha"], "train_loss": np.round(fine["train_loss"], 1)}
    assert "digits" in mlp.lacking("interpolation", "in-place-mixing", **rounded)


@pytest.mark.parametrize("grid", [np.linspace(-1, 2, 50), np.linspace(-1, 2, 30), np.linspace(0.05, 0.95, 19)])
def test_a_grid_without_the_nets_is_named(grid):
    assert mlp.codes("interpolation", **table((0, 1), grid)) == {"grid-misses-the-nets"}


def test_a_grid_that_misses_a_net_by_rounding_is_right():
    accumulated = np.arange(0, 1.01, 0.1, dtype="float32")
    assert 1 not in np.arange(-1, 2.0, 0.1)  # NumPy's arange has 1.0000000000000018
    for grid in (accumulated, np.arange(-1, 2.01, 0.1)):
        assert "grid-misses-the-nets" not in mlp.codes("interpolation", alpha=grid, train_loss=1 + grid**2)
    assert "grid-misses-the-nets" in mlp.codes("interpolation", alpha=[0.1, 0.5, 1], train_loss=[3, 2, 1])
    assert mlp.lacking("interpolation", "grid-misses-the-nets", alpha=[0, 1], train_loss=[3, 2])


def test_ends_that_are_other_nets_are_named_and_swapped_ends_are_called_so():
    right, others = table((0, 1), GRIDS[1]), stated((6, 7))
    others["first_train_loss"] *= 1.5
    assert "ends-disagree" in mlp.codes("interpolation", **right, **others)
    long = {"first_train_loss": right["train_loss"][-1], "second_train_loss": right["train_loss"][0]}
    right["train_loss"] = right["train_loss"] * np.linspace(1, 3, 21)  # ends that differ
    swapped = {"first_train_loss": right["train_loss"][-1], "second_train_loss": right["train_loss"][0]}
    assert "swapped" in mlp.reason("interpolation", "ends-disagree", **right, **swapped)
    assert "swapped" not in mlp.reason("interpolation", "ends-disagree", **right, **long)


def test_ends_may_differ_by_a_tenth_of_the_loss_a_point_of_accuracy_and_rounding():
    line = {"alpha": [0, 0.5, 1], "train_loss": [0.5, 1.5, 0.25], "test_accuracy": [0.9, 0.4, 0.95]}
    assert mlp.codes("interpolation", **line, first_train_loss=0.54321) == set()
    assert mlp.codes("interpolation", **line, first_train_loss=0.56321) == {"ends-disagree"}
    assert mlp.codes("interpolation", **line, first_test_accuracy=0.9123) == set()  # 0.9 may be 0.94
    finer = line | {"test_accuracy": [0.9012, 0.4, 0.95]}
    assert mlp.codes("interpolation", **finer, first_test_accuracy=0.9105) == set()
    assert mlp.codes("interpolation", **finer, first_test_accuracy=0.9130) == {"ends-disagree"}
    assert mlp.codes("interpolation", **finer, first_test_accuracy=90.12) == set()  # per cent
    assert mlp.lacking("interpolation", "ends-disagree", **line)
    without = {"alpha": [0.2, 0.5, 0.8], "train_loss": [1.0, 2.0, 1.0]}
    assert "alpha 0 and 1" in mlp.lacking("interpolation", "ends-disagree", **without, first_train_loss=1.0)


def test_the_same_loss_at_every_alpha_is_named():
    alphas = np.linspace(0, 1, 21)
    assert mlp.codes("interpolation", alpha=alphas, train_loss=np.full(21, 0.12345)) == {"constant-loss"}
    assert mlp.lacking("interpolation", "constant-loss", alpha=alphas, train_loss=np.full(21, 0.12))


@pytest.mark.parametrize(("in_place", "expected"), [(False, set()), (True, {"in-place-mixing"})])
def test_several_lines_in_one_table_are_judged_by_their_means(in_place, expected):
    two = [table(seeds, GRIDS[1], in_place) for seeds in ((0, 1), (2, 3))]
    joined = {name: np.concatenate([t[name] for t in two]) for name in two[0]}
    assert mlp.codes("interpolation", **joined) == expected
    assert mlp.lacking("interpolation", "ends-disagree", **joined, first_train_loss=1.0)
