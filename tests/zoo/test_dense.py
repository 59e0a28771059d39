"""Every instrument on dense nets: activations, normalizations, policies, losses and what layers add to them."""

from __future__ import annotations

import pytest

from tests.zoo.cells import cells, check

THEMES = ("activations", "normalizations", "losses that layers add", "constraints", "policies", "losses")


@pytest.mark.parametrize(("name", "instrument"), cells(*THEMES))
def test_right_or_refused(name, instrument):
    check(name, instrument)
