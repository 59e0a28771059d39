"""Names of layers as a user knows them: without the name of the model that holds all of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dlhw.errors import require
from dlhw.watch.spec import Result

if TYPE_CHECKING:
    import keras


def described_model(model: keras.Model) -> str:
    """Return name and class of a model.

    The number that Keras adds to a name when a cell of a notebook runs again is left out: it is the same training.
    """
    name, kind = re.sub(r"_\d+$", "", model.name), type(model).__name__
    return kind if name.replace("_", "").lower() == kind.lower() else f"{name} ({kind})"


def named_functions(functions: object) -> dict[str, Callable[..., float]]:
    """Return functions of a user by name.

    Args:
        functions: a dict, a sequence of functions that have names of their own, or one function.

    Raises:
        UserError: for what is no function, and for two of one name.
    """
    if not isinstance(functions, Mapping):
        every = [functions] if callable(functions) else list(functions or ())  # type: ignore[call-overload]
        names = [getattr(f, "__name__", f"function {k}") for k, f in enumerate(every, start=1)]
        repeated = next((name for name in names if names.count(name) > 1), "")
        require(not repeated, f"`functions`: two are called {repeated}; give a dict with their names")
        functions = dict(zip(names, every, strict=True))
    for name, function in functions.items():
        require(callable(function), f"`functions`: {name} is {function!r}, no function (model, probe) -> number")
    return dict(functions)


def without_prefix(result: Result, prefix: str) -> Result:
    """Return a result whose names of layers do not begin with `prefix`, unless two would then be equal."""

    def shortened(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(name.removeprefix(prefix) for name in names)

    for names in (result.layers, result.unit_layers):
        if len(set(shortened(names))) < len(set(names)):
            return result
    facts = replace(
        result.facts,
        output_layer=result.facts.output_layer.removeprefix(prefix),
        constant_layers=shortened(result.facts.constant_layers),
    )
    return replace(
        result,
        layers=shortened(result.layers),
        unit_layers=shortened(result.unit_layers),
        nonfinite_layer=result.nonfinite_layer.removeprefix(prefix),
        facts=facts,
    )
