"""Every instrument on the kinds of these themes: images, applications."""

from __future__ import annotations

import pytest

from tests.zoo.cells import cells, check


@pytest.mark.parametrize(("name", "instrument"), cells("images", "applications"))
def test_right_or_refused(name, instrument):
    check(name, instrument)
