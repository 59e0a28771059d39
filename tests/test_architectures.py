"""Counting and designing nets. Oracle: Keras's own count_params, and brute force over all nets of two hidden layers."""

from __future__ import annotations

import dataclasses

import pytest

from dlhw.errors import UserError
from dlhw.models import architectures
from dlhw.models.architectures import NETS, count, design, parse, parse_layers
from dlhw.runs.settings import shown


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


def test_nets_in_words():
    assert architectures.describe("middle") == architectures.describe("10-18-15-4")
    assert architectures.describe("10-18-15-4") == "hidden layers of 10, 18, 15 and 4 units"
    assert architectures.describe("shallow") == "one hidden layer of 190 units"
    assert architectures.describe("1") == "one hidden layer of 1 unit"
    words = "20 filters 3x3, max-pool 2, 16 filters 3x3, max-pool 2, dense 700, 95, 90"
    assert architectures.describe_layers("deep") == words
    assert architectures.describe_layers("400-9") == "dense 400, 9"
    assert architectures.describe_layers("8c5-p3") == "8 filters 5x5, max-pool 3"


def test_the_notation_that_help_explains_is_the_one_that_is_parsed():
    net, words = architectures.IMAGE_NOTATION[2].removesuffix(".").split(" units. ")[1].split(": ")
    assert architectures.describe_layers(net) == words
    net, words = architectures.DENSE_NOTATION[1].removesuffix(".").split(": ")
    assert architectures.describe(net) == words
    for notation, meaning in ((architectures.IMAGE_NOTATION, parse_layers), (architectures.DENSE_NOTATION, parse)):
        for pair in notation[3].removesuffix(".").split("; "):
            name, net = pair.split(": ")
            assert meaning(name) == meaning(net)
        assert all(len(line) <= 78 for line in notation)  # a line each on a screen of 80 columns


@pytest.mark.parametrize(
    ("name", "field", "words"),
    [
        ("simulate", "models", ("2: one hidden layer of 2 units", "3-2: hidden layers of 3 and 2 units")),
        ("gradient-norm", "model", ("3-2: hidden layers of 3 and 2 units",)),
        ("trajectory", "net", ("6-4: dense 6, 4",)),
        ("interpolate", "net", ("8: dense 8",)),
        ("sweep-batch", "net", ("8: dense 8",)),
        ("random-labels", "net", ("10: dense 10",)),
        ("classify", "models", ("2c3-p2-8: 2 filters 3x3, max-pool 2, dense 8", "10: dense 10")),
        ("sweep-params", "nets", ("4-3: dense 4, 3", "8-4: dense 8, 4", "16-5: dense 16, 5")),
    ],
)
def test_tables_and_settings_say_the_nets_in_words(name, field, words, tiny_run):
    run = tiny_run(name)
    assert "; ".join(run.summary().notes) == "; ".join(words)
    (setting,) = (f for f in dataclasses.fields(run.settings) if f.name == field)
    assert shown(run.settings, setting) == "; ".join(words)


def test_surfaces_say_their_nets_in_words(tiny_run):
    assert tiny_run("landscape").summary().notes == ("6: dense 6",)
