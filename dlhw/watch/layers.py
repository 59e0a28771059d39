"""Layers as variables name them: what several variables of one layer share."""

from __future__ import annotations

from collections.abc import Sequence


def layer_names(paths: Sequence[str]) -> list[str]:
    """Return the name of the layer of every variable, from the paths of the variables.

    The path of a Keras variable is that of its layer and its own name, `encoder/dense/kernel`; this holds in models of
    any kind. Two layers of one name, such as those of two nested models, are told apart by a number.

    Args:
        paths: of the variables, in their order.

    Returns:
        One name for every path.
    """
    met: dict[str, int] = {}
    names = []
    for path in paths:
        met[path] = met.get(path, 0) + 1
        layer = path.rsplit("/", 1)[0] if "/" in path else path
        names.append(layer if met[path] == 1 else f"{layer} {met[path]}")
    return names
