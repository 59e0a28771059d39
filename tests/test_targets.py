"""Targets against their formulas at hand-picked points; expressions; what is refused.

Oracle: closed-form values. It would miss an error between the picked points, which the comparison of named targets
with their own formulas as expressions covers.
"""

from __future__ import annotations

import numpy as np
import pytest

from dlhw.datasets.functions import TARGETS, sample, target
from dlhw.errors import UserError


def test_sinc_has_its_limit_at_zero():
    x = np.array([0.0, 1e-9, 0.1, -0.3])
    expected = [2.5 * np.pi, 2.5 * np.pi, np.sin(0.5 * np.pi) / 0.2, np.sin(-1.5 * np.pi) / -0.6]
    np.testing.assert_allclose(target("sinc")(x), expected, rtol=1e-9)


def test_unit_scale_turns_sinc_into_the_function_of_the_assignment():
    x = np.linspace(-1, 1, 300)  # does not hold 0, yet the largest value, at 0, is what divides
    np.testing.assert_allclose(sample("sinc", x, "unit", (-1, 1)), np.sin(5 * np.pi * x) / (5 * np.pi * x), rtol=1e-12)


def test_sign_functions():
    x = np.array([-1.0, -0.9, -0.1, 0.0, 0.1, 0.2, 0.3, 1.0])
    np.testing.assert_array_equal(target("sign")(x), [-1, -1, -1, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal(target("square")(x), [0, -1, -1, 0, 1, 0, -1, 0])


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("damped", "exp(-x)*sin(3*pi*x)"),
        ("sin", "sin(2*pi*x)"),
        ("runge", "1/(1+25*x**2)"),
        ("abs", "abs(x)"),
        ("step", "(x >= 0)*1.0"),
    ],
)
def test_an_expression_gives_what_the_name_gives(name, formula):
    x = np.linspace(-1, 1, 101)
    np.testing.assert_allclose(target(formula)(x), target(name)(x), rtol=1e-14)
    assert name in TARGETS


def test_a_constant_expression_is_a_function():
    np.testing.assert_array_equal(target("2")(np.zeros(3)), [2, 2, 2])


@pytest.mark.parametrize(
    "bad",
    ["sink", "y + 1", "x +", "", "x.real", "__import__('os')", "x[0]", "'a'", "lambda x: x", "[x for x in x]",
     "open('f')", "sin(x, out=x)", "x" * 300, "(1).__class__", "cos", "1j*x", "sin(x)(x)",
     "sin(x, x)", "maximum(x)", "minimum(x, 0.5, x)", "x @ x", "x is x", "x << 2", "~x", "(-8)**(1/3)*x",
     "10**400", "((9**9999)**9999)**9999", "x and x", "0 < x < 1"],
)  # fmt: skip
def test_what_is_no_formula_is_refused_in_one_line(bad):
    with pytest.raises(UserError) as error:
        sample(bad, np.linspace(-1, 1, 5))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("bad", ["1/x", "log(x)", "exp(1000*x)"])
def test_a_value_that_is_not_finite_is_refused_with_its_place(bad):
    with pytest.raises(UserError, match="not finite at x ="):
        sample(bad, np.linspace(-1, 1, 5))


def test_an_expression_leaves_its_points_alone():
    x = np.linspace(-1, 1, 7)
    before = x.copy()
    np.testing.assert_array_equal(target("maximum(x, 0.2)")(x), np.maximum(x, 0.2))
    np.testing.assert_array_equal(x, before)


def test_a_misspelt_name_gets_a_hint():
    with pytest.raises(UserError, match="did you mean 'square'"):
        target("sqare")


def test_the_zero_function_is_not_divided_by_zero():
    np.testing.assert_array_equal(sample("0*x", np.linspace(-1, 1, 5)), np.zeros(5))
