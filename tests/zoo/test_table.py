"""docs/models.md holds every kind and instrument, and every kind is in a test file."""

from __future__ import annotations

from tests.zoo import test_convolutions, test_dense, test_others
from tests.zoo.cells import KINDS, published
from tests.zoo.instruments import INSTRUMENTS


def test_the_table_holds_every_kind_and_instrument():
    table, _ = published()
    assert set(table) == set(KINDS)
    assert len(KINDS) >= 40
    assert all(set(row) == set(INSTRUMENTS) for row in table.values())


def test_every_kind_is_tried():
    files = (test_convolutions, test_dense, test_others)
    marks = [mark for file in files for mark in file.test_right_or_refused.pytestmark if mark.name == "parametrize"]
    assert {parameter.values[0] for mark in marks for parameter in mark.args[1]} == set(KINDS)
