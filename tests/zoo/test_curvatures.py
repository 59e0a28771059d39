"""Gauss-Newton products and tangent kernels on one kind of each theme, against differences and single gradients."""

from __future__ import annotations

import re

import keras
import pytest

from tests.zoo.cells import FAST_KINDS, subject
from tests.zoo.instruments import CURVATURES, outcome

REFUSED: dict[tuple[str, str], str] = {
    ("circle", "ggn"): "do not match differences",  # nan, as its Hessian
    ("vae sampling", "ntk"): "depends on the other examples",  # the noise of an example depends on its place
    ("sequential, not built", "ggn"): "is not built",
    ("sequential, not built", "ntk"): "is not built",
}


@pytest.mark.slow
@pytest.mark.parametrize("instrument", CURVATURES)
@pytest.mark.parametrize("name", sorted(FAST_KINDS))
def test_right_or_refused(name, instrument):
    result = outcome(subject(name, keras.config.floatx()), instrument)
    if (name, instrument) in REFUSED:
        assert not result.right
        assert re.search(REFUSED[name, instrument], result.reason)
    else:
        assert result.right, result.reason
