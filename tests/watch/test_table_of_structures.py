"""Structures of models in every main mode: bit for bit what they are without the callback, and an oracle's numbers.

See cell.py for what is compared, and what the comparison would miss.
"""

from __future__ import annotations

import pytest

from tests.watch.cell import check, main_cells


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize(("name", "mode"), main_cells("structures"))
def test_kind_in_mode(name, mode):
    check(name, mode)
