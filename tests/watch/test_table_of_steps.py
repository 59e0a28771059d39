"""Steps of users in every main mode: bit for bit what a training is without the callback, and the numbers of an oracle.

See cell.py for what is compared, and what the comparison would miss.
"""

from __future__ import annotations

import pytest

from tests.watch.cell import check, main_cells


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize(("name", "mode"), main_cells("steps"))
def test_kind_in_mode(name, mode):
    check(name, mode)
