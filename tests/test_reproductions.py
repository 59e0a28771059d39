"""The page of published numbers says what was measured. Would miss: a number that was measured wrong."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks.reproduce import page, stored
from benchmarks.reproduce.catalogue import reproductions

KNOWN, MEASURED = reproductions(), page.stored()


def test_the_page_is_that_of_the_stored_values():
    assert page.PAGE.read_text(encoding="utf-8") == page.render()


def test_every_number_was_measured_more_than_once_or_with_an_interval():
    assert set(MEASURED) == set(KNOWN)
    assert len(KNOWN) >= 10
    assert all(len(values) >= 2 for values in MEASURED.values())


@pytest.mark.parametrize("name", KNOWN)
def test_what_differs_has_a_reason(name):
    entry = KNOWN[name]
    assert entry.agrees(MEASURED[name]) or entry.remark


def test_a_repeat_outside_the_range_does_not_agree():
    entry = dataclasses.replace(KNOWN["random-walk"], low=0.0, high=1.0)
    assert entry.agrees({"a": 0.0, "b": 1.0})
    assert not entry.agrees({"a": 0.5, "b": 1.1})
    assert "**differs**" in entry.row({"a": 0.5, "b": 1.1})


@pytest.mark.parametrize("entry", stored.REPRODUCTIONS, ids=lambda entry: entry.name)
def test_numbers_of_kept_runs_are_those_of_the_page(entry):
    values = entry.measure()
    assert values == pytest.approx(dict(MEASURED[entry.name]), rel=1e-5)
