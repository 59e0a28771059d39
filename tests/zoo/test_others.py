"""Every instrument on the kinds of these themes: sequences, masks, states, structures."""

from __future__ import annotations

import pytest

from tests.zoo.cells import cells, check


@pytest.mark.parametrize(("name", "instrument"), cells("sequences", "masks", "states", "structures"))
def test_right_or_refused(name, instrument):
    check(name, instrument)
