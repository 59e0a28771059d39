"""Names of layers as a user knows them: without the name of the model that holds all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dlhw.watch.spec import Result


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
