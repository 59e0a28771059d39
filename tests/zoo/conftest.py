"""The precision of a kind, and instruments without the seconds that compiling takes."""

from __future__ import annotations

import keras
import pytest

from tests.zoo.cells import KINDS


@pytest.fixture(autouse=True)
def _precision(request):
    name = request.node.callspec.params["name"] if hasattr(request.node, "callspec") else ""
    wide = name and not KINDS[name].precision
    if wide:
        keras.config.set_floatx("float64")
        keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


@pytest.fixture(autouse=True)
def _uncompiled(uncompiled):
    """Every cell of the table."""
