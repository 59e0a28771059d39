"""Counting and designing nets. Oracle: Keras's own count_params, and brute force over all nets of two hidden layers."""

from __future__ import annotations

import pytest

from dlhw.errors import UserError
from dlhw.models import architectures
from dlhw.models.architectures import NETS, count, design, parse


@pytest.mark.parametrize(("net", "parameters"), [("deep", 571), ("middle", 572), ("shallow", 571)])
def test_the_nets_of_the_report_have_its_parameter_counts(net, parameters):
    from dlhw.models import mlp

    assert count(parse(net)) == parameters
    assert mlp(parse(net)).count_params() == parameters


def test_names_and_widths():
    assert parse("10-18-15-4") == NETS["middle"]
    assert parse("190") == (190,)


@pytest.mark.parametrize("bad", ["", "deeep", "10-", "-5", "0", "5-0-5", "a-b", "10,5", "1.5", "99999999"])
def test_what_is_no_net_is_refused(bad):
    with pytest.raises(UserError, match="net "):
        parse(bad)


@pytest.mark.parametrize("params", [571, 1000, 5000, 21840])
@pytest.mark.parametrize("layers", [3, 5, 8])
def test_a_design_is_within_a_fifth_of_a_percent(params, layers):
    found = design(params, layers)
    assert len(found.widths) == layers - 1
    assert found.parameters == count(found.widths)
    assert abs(found.parameters - params) / params <= 0.002
    assert parse(found.net) == found.widths


def test_the_shallow_design_is_the_one_of_the_report():
    assert design(571, 2).widths == (190,)


def test_no_net_of_two_hidden_layers_within_tolerance_is_more_even():
    found = design(1000, 3)
    every = [(a, b) for a in range(1, 60) for b in range(1, 60) if abs(count((a, b)) - 1000) <= 2]
    assert max(found.widths) - min(found.widths) == min(abs(a - b) for a, b in every)


def test_a_budget_that_cannot_be_met_is_refused_with_the_closest():
    with pytest.raises(UserError, match=r"closest, 1-1-1-1-1-1-1, has 16"):
        architectures.design(10, 8)
