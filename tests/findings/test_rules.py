"""Every shared rule on both sides of its threshold.

Oracles: the thresholds written out by hand. Would miss: a threshold that is itself unreasonable.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from dlhw.present import findings, generalization, sweep_findings
from dlhw.present.findings import Finding


def codes(found: list[Finding]) -> list[str]:
    return [finding.code for finding in found]


def test_one_seed():
    assert codes(findings.one_seed(1)) == ["one-seed"]
    assert findings.one_seed(2) == []


def test_diverged():
    (finding,) = findings.diverged(["a", "b"], np.array([[-1, -1], [3, -1]]))
    assert finding.text.startswith("1 of 2 trainings of b diverged and are excluded from all numbers")
    assert findings.diverged(["a"], np.array([[-1, -1]])) == []


@pytest.mark.parametrize(
    ("values", "code", "text"),
    [
        ([[1.0, 2.0], [2.1, 4.0]], "separated", "all of its seeds lie below all seeds of the others"),
        ([[1.0, 2.0], [2.0, 4.0]], "not-separated", "the range of a overlaps that of b"),
        ([[1.0], [3.0]], "one-seed", "nothing can be concluded"),
        ([[1.0, np.nan], [3.0, 4.0]], "not-separated", "some trainings diverged"),
        ([[1.0, 2.0], [np.nan, np.nan]], "not-separated", "The error of a is 1.5"),
        ([[np.nan, np.nan], [np.nan, np.nan]], "diverged", "No net has a finite error"),
    ],
)
def test_lowest(values, code, text):
    (finding,) = findings.lowest(["a", "b"], np.array(values), "error")
    assert finding.code == code
    assert text in finding.text


def test_lowest_within_the_standard_error_of_the_images():
    """1.8 % and 2.2 % of 1000 images: 18 and 22 errors, sqrt(18 + 22) = 6.3 of noise; the gap is 4."""
    errors = np.array([[1.8, 1.7, 1.8], [2.2, 2.1, 2.2]])
    standard = [100 * np.sqrt(p * (1 - p) / 1000) for p in (0.018, 0.022)]
    assert codes(findings.lowest(("a", "b"), errors, "error")) == ["separated"]
    (finding,) = findings.lowest(("a", "b"), errors, "error", standard_errors=standard)
    assert finding.text == (
        "By the median, a has the lowest error, 1.8 (1.7 to 1.8), 3 seeds; next is b with 2.2 (2.1 to 2.2); the "
        "difference to b is 0.4, and its standard error over the evaluated images is 0.626: not separated, so it may "
        "be chance."
    )
    fifth = [e / 5 for e in standard]
    assert codes(findings.lowest(("a", "b"), errors, "error", standard_errors=fifth)) == ["separated"]


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        ((0.5, 0.1, 0.9), "larger a goes with larger b"),
        ((-0.5, -0.9, -0.1), "larger a goes with smaller b"),
        ((0.5, 0.0, 0.9), "the interval includes zero"),
        ((0.5, np.nan, np.nan), "too few for an interval"),
    ],
)
def test_rank_correlation(interval, text):
    (finding,) = findings.rank_correlation("a", "b", interval, 12, "nets")
    assert finding.code == "rank-correlation"
    assert text in finding.text
    assert findings.rank_correlation("a", "b", (np.nan,) * 3, 2, "nets") == []
    with_one_seed = findings.rank_correlation("a", "b", (0.5, 0.1, 0.9), 12, "nets", seeds=1)
    assert "nothing can be concluded" in with_one_seed[0].text


def test_nothing_learned():
    assert codes(findings.nothing_learned(np.array([[0.1, 0.12], [0.199, 0.199]]), 10)) == ["nothing-learned"]
    assert findings.nothing_learned(np.array([[0.1, 0.12], [0.2, 0.2]]), 10) == []
    assert findings.nothing_learned(np.array([[np.nan, np.nan]]), 10) == []  # diverged: another finding
    (finding,) = findings.nothing_learned(np.array([[0.1, np.nan]]), 10)
    assert "clearly better than chance (twice 10 %" in finding.text
    assert "the highest median training accuracy is 10.0 %" in finding.text
    assert "`learning_rate` or `epochs`" in finding.text


def test_at_chance():
    names = ("a", "b")
    (finding,) = findings.at_chance(names, np.array([[0.9, 0.9], [0.1, 0.19]]), 10)
    assert finding.code == "at-chance"
    assert finding.text.startswith("b with 14.50 % (10.00 to 19.00) is not clearly better than chance (twice 10 %)")
    assert findings.at_chance(names, np.array([[0.9, 0.9], [0.2, 0.2]]), 10) == []
    assert findings.at_chance(names, np.array([[0.1, 0.1], [0.1, 0.1]]), 10) == []  # then nothing is compared


def test_generalization_gap():
    gap, error = np.array([[0.01, 0.02], [0.03, np.nan]]), np.full((2, 2), 0.0099)
    resolved, (finding,) = findings.generalization_gap(gap, error)
    assert resolved
    assert "0.02 (0.01 to 0.03) over all trainings, its standard error over the images 0.0099" in finding.text
    assert finding.text.endswith("so it is resolved.")
    resolved, (finding,) = findings.generalization_gap(gap, np.full((2, 2), 0.0101))  # 0.02 < 2 x 0.0101
    assert not resolved
    assert finding.text.endswith("not resolved, so correlations with it are not evidence.")
    resolved, (finding,) = findings.generalization_gap(gap, None)
    assert not resolved
    assert "not stored" in finding.text
    assert findings.generalization_gap(np.full((2, 2), np.nan), None) == (False, [])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resolved, (finding,) = findings.generalization_gap(gap, np.full((2, 2), np.nan))
    assert not resolved


def test_an_answer_begins_the_sentence_that_has_its_numbers():
    answers = ("{best} learns best", "Not shown which learns best")
    (yes,) = findings.lowest(["a", "b"], np.array([[1.0, 2.0], [2.1, 4.0]]), "error", answers=answers)
    assert yes.text.startswith(
        "A learns best: a has the lowest error, 1.5 (1 to 2), 2 seeds; next is b with 3.05 (2.1 "
    )
    (no,) = findings.lowest(["a", "b"], np.array([[1.0, 2.2], [2.1, 4.0]]), "error", answers=answers)
    assert no.text.startswith("Not shown which learns best: by the median, a has the lowest error, 1.6 (1 to 2.2)")
    (one,) = findings.lowest(["a", "b"], np.array([[1.0], [2.1]]), "error", answers=answers)
    assert one.text.startswith(
        "Not shown which learns best: in this run, a has the lowest error, 1; next is b with 2.1"
    )


def test_parameters_and_gap():
    gap, nothing = np.array([[0.1, 0.2], [0.3, 0.4]]), (0.1, -0.5, 0.6)

    def text(loss, on_the_gap, values=gap, **more):
        (finding,) = generalization.parameters_and_gap(loss, on_the_gap, values, **more)
        assert finding.code == "parameters-and-gap"
        assert "0.25 (0.1 to 0.4)" in finding.text or values is not gap
        return finding.text

    up, down = (0.8, 0.5, 0.9), (-0.8, -0.9, -0.5)
    assert text(down, up).startswith("More parameters go with worse generalization")
    assert "grows with their number; the test loss is lower in nets with more parameters" in text(down, up)
    assert text(up, down).startswith("More parameters do not go with worse generalization")
    assert "shrinks with their number; the test loss is higher in nets" in text(up, down)
    assert text(nothing, nothing).startswith("These nets do not show whether more parameters generalize worse")
    assert text(nothing, nothing).endswith("without a clear trend; the test loss has no clear trend either.")
    assert "do not show that more parameters generalize worse" in text(nothing, None)
    assert text(nothing, None).endswith("from zero with these images, and the test loss has no clear trend.")
    assert "an error that is not stored" in text(nothing, None, measured=False)
    assert "nothing can be concluded" in text(down, up, gap[:, :1])
    assert generalization.parameters_and_gap(up, up, np.full((2, 2), np.nan)) == []


def test_not_converged():
    assert findings.not_converged(2, "of 5 searches", "lower bounds")[0].text == (
        "2 of 5 searches did not converge (stopped early): lower bounds."
    )
    assert findings.not_converged(0, "of 5 searches", "lower bounds") == []


def test_not_fitted():
    assert codes(sweep_findings.not_fitted(0.989, 10)) == ["not-fitted"]
    assert sweep_findings.not_fitted(0.99, 10) == []
    assert sweep_findings.not_fitted(np.nan, 10) == []


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([[1.0, 2.0], [2.1, 3.0]], "all seeds higher at 1000"),
        ([[2.1, 3.0], [1.0, 2.0]], "all seeds lower at 1000"),
        ([[1.0, 2.0], [2.0, 3.0]], "the ranges overlap"),
        ([[1.0], [2.0]], "one seed only"),
    ],
)
def test_range_of_ends(values, text):
    (finding,) = sweep_findings.range_of_ends("Sensitivity", np.array(values), (10, 1000), "batch")
    assert text in finding.text
    assert sweep_findings.range_of_ends("Sensitivity", np.array([[np.nan], [1.0]]), (10, 1000), "batch") == []


def test_not_monotone():
    hill = np.array([[1.0, 1.1], [5.0, 6.0], [2.0, 2.2]])
    (finding,) = sweep_findings.not_monotone(hill, (1, 2, 3), 0, 2)
    assert finding.text.startswith("The relation is not monotone: its largest median, 5.5, is at 2")
    within = np.array([[1.0, 1.1], [2.2, 6.0], [2.0, 2.2]])
    assert "do not show" in sweep_findings.not_monotone(within, (1, 2, 3), 0, 2)[0].text
    assert sweep_findings.not_monotone(np.array([[1.0, 1.1], [1.5, 1.6], [2.0, 2.2]]), (1, 2, 3), 0, 2) == []
    assert "in this one seed" in sweep_findings.not_monotone(hill[:, :1], (1, 2, 3), 0, 2)[0].text
    valley = sweep_findings.not_monotone(-hill, (1, 2, 3), 0, 2)
    assert "smallest median, -5.5" in valley[0].text
    assert sweep_findings.not_monotone(np.full((3, 2), np.nan), (1, 2, 3), 0, 2) == []
