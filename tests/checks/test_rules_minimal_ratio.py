"""Minimal ratios: counts, crowding at one half, points that are not critical, ReLUs.

Oracle: the kept searches for critical points, and spectra made of eigenvalues whose signs are known, with rounding
added by NumPy. The rules would miss rounding in nets below 80 weights (300 where precision and tolerance are not
stated), and right ratios of large nets that happen to lie at one half would carry the mark.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlhw.checks.rules.ratios_at_one_half import PARAMETERS, ROUNDED, ROWS
from dlhw.checks.rules.stopped_at_a_norm import RELATIVE, SHARE
from tests.checks.judging import codes, undecided

KEPT = Path(__file__).parents[2] / "artifacts/kept/minimal-ratio"


def stored(name):
    return np.load(KEPT / name / "arrays.npz")


def tolerant(eigenvalues):
    """Share above eps P max|lambda|, written out."""
    limit = np.finfo(float).eps * eigenvalues.shape[1] * np.abs(eigenvalues).max(axis=1, keepdims=True)
    return (eigenvalues > limit).mean(axis=1)


@pytest.mark.parametrize("name", ["default", "task=digits"])
def test_the_kept_critical_points(name):
    run = stored(name)
    given = {"loss": run["loss"], "ratio": tolerant(run["eigenvalues"]), "gradient_norm": run["gradient_norm"]}
    assert codes("minimal-ratio", parameters=run["eigenvalues"].shape[1], activation="tanh", **given) == []
    start = {**given, "gradient_norm": run["start_norm"]}  # where the training ended
    assert codes("minimal-ratio", **start) == ["stopped-at-a-norm"]


def test_the_kept_points_at_a_norm():
    run = stored("stop=gradient-norm")
    values = {"loss": run["path_loss"], "ratio": (run["path_eigenvalues"] > 0).mean(1)}
    assert codes("minimal-ratio", gradient_norm=run["path_norm"], **values) == ["stopped-at-a-norm"]
    assert "`gradient_norm`" in undecided("minimal-ratio", **values)["stopped-at-a-norm"]


def test_both_sides_of_far_from_zero():
    loss, ratio = np.full(90, 0.01), np.full(90, 0.8)
    edge = RELATIVE * np.sqrt(0.01)
    for share, norm, expected in (
        (SHARE, 2 * edge, []),
        (SHARE + 0.02, 2 * edge, ["stopped-at-a-norm"]),
        (1.0, 0.9 * edge, []),
        (1.0, 1.1 * edge, ["stopped-at-a-norm"]),
    ):
        norms = np.where(np.arange(90) < round(90 * share), norm, 1e-14)
        assert codes("minimal-ratio", loss=loss, ratio=ratio, gradient_norm=norms) == expected


def spectra(size, positive, count, seed, dtype):
    """Spectra of matrices of `positive` positive eigenvalues and zeros, as computed in a precision."""
    rng, out = np.random.default_rng(seed), []
    for _ in range(count):
        basis = np.linalg.qr(rng.normal(size=(size, size)))[0]
        matrix = (basis[:, :positive] * np.geomspace(1e-2, 10, positive)) @ basis[:, :positive].T
        out.append(np.linalg.eigvalsh(((matrix + matrix.T) / 2).astype(dtype)))
    return np.array(out, float)


@pytest.mark.parametrize(("size", "facts"), [(120, {"precision": "float32"}), (320, {})])
def test_signs_of_rounding_against_a_tolerance(size, facts):
    values = spectra(size, 10, 12, 0, np.float32)
    given = {"loss": np.full(12, 0.01), "parameters": size, **facts}
    assert codes("minimal-ratio", ratio=(values > 0).mean(1), **given) == ["ratios-at-one-half"]
    assert codes("minimal-ratio", ratio=(values > 1e-4 * values.max()).mean(1), **given) == []


def test_right_ratios_that_vary_around_one_half():
    """Of 400 weights 100 to 300 positive: the spread is not that of random signs."""
    ratio = np.linspace(100, 300, 21).round() / 400
    assert codes("minimal-ratio", loss=np.full(21, 0.01), ratio=ratio, parameters=400) == []


def test_where_one_half_does_not_decide():
    ratio = np.full(ROWS, 0.5)
    for parameters, facts in ((PARAMETERS - 2, {}), (ROUNDED - 2, {"precision": "float32"})):
        given = {"loss": np.full(ROWS, 0.1), "ratio": ratio, "parameters": parameters, **facts}
        assert "fewer than" in undecided("minimal-ratio", **given)["ratios-at-one-half"]
        assert codes("minimal-ratio", **given | {"parameters": parameters + 2}) == ["ratios-at-one-half"]
    few = {"loss": np.full(ROWS - 1, 0.1), "ratio": ratio[1:], "parameters": 400}
    assert "at least" in undecided("minimal-ratio", **few)["ratios-at-one-half"]
    given = {"loss": np.full(ROWS, 0.1), "ratio": ratio, "parameters": 400}
    assert codes("minimal-ratio", tolerance=1e-13, **given) == []
    assert "`tolerance`" in undecided("minimal-ratio", precision="float64", **given)["ratios-at-one-half"]
    assert codes("minimal-ratio", precision="float64", tolerance=0, **given) == ["ratios-at-one-half"]


def test_ratios_are_counts():
    given = {"loss": [0.1, 0.2], "parameters": 10}
    assert codes("minimal-ratio", ratio=[0.7, 1.0], **given) == []
    assert codes("minimal-ratio", ratio=[0.75, 1.0], **given) == ["ratio-not-a-count"]
    assert codes("minimal-ratio", ratio=[-0.1, 1.0], **given) == ["ratio-not-a-count"]
    thirds = {"loss": [0.1, 0.2], "parameters": 30}
    assert codes("minimal-ratio", ratio=[0.6667, 0.9333], **thirds) == []  # 20/30 and 28/30, rounded
    assert codes("minimal-ratio", ratio=[0.6767, 0.9333], **thirds) == ["ratio-not-a-count"]
    reasons = undecided("minimal-ratio", loss=[0.1, 0.2], ratio=[0.52, 0.53], parameters=572)
    assert "few digits" in reasons["ratio-not-a-count"]


def test_activations_of_straight_pieces():
    given = {"loss": [0.1], "ratio": [0.5]}
    for name in ("relu", "ReLU", "leaky_relu"):
        assert codes("minimal-ratio", activation=name, **given) == ["relu-hessian"]
    for name in ("tanh", "gelu", "softplus", "selu"):
        assert codes("minimal-ratio", activation=name, **given) == []
    assert "`activation`" in undecided("minimal-ratio", **given)["relu-hessian"]
