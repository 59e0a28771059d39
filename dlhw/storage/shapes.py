"""Shapes in annotations: `loss: Annotated[Array, "R, S, E + 1"]`, checked against the arrays of a result.

A size is a number, a letter, or a letter plus or minus a number; all fields of a class share the letters. A product of
letters, "R S", is the length of a tuple. A class may say where letters are found in the settings of its run:
`SIZES = {"R": "models", "S": "seeds"}`, the length of a list, or a number.
"""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np

_TERM = re.compile(r"(?P<letter>[A-Za-z])\s*(?:(?P<sign>[+-])\s*(?P<number>\d+))?")
_KINDS = {np.floating: "f", np.integer: "iu", np.bool_: "b"}


def check(result: Any, settings: Any = None) -> None:
    """Check the fields of a dataclass against their annotations: types of numbers, and shapes.

    Args:
        result: an instance.
        settings: of the run, for the letters in `SIZES` of its class.

    Raises:
        TypeError: for the first field that does not fit.
    """
    cls = type(result)
    sizes: dict[str, int] = {}
    for letter, name in getattr(cls, "SIZES", {}).items():
        if settings is not None:
            value = getattr(settings, name)
            sizes[letter] = value if isinstance(value, int) else len(value)
    hints = typing.get_type_hints(cls, include_extras=True)
    products: list[tuple[str, int, str]] = []
    for field in dataclasses.fields(cls):
        value, kind = getattr(result, field.name), hints[field.name]
        options = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)
        if value is None and types.NoneType in options:
            continue
        kind = next(option for option in options if option is not types.NoneType)
        shape = ""
        if typing.get_origin(kind) is Annotated:
            kind, shape = typing.get_args(kind)
        _check_kind(field.name, value, kind)
        if isinstance(value, np.ndarray):
            _check_shape(field.name, value.shape, shape, sizes)
        elif shape and not (value == () and field.default == ()):  # an older run may lack a list
            products.append((field.name, len(value), shape))
    for name, length, product in products:
        wanted = math.prod(sizes.get(letter, 1) for letter in product.split())
        if length != wanted:
            raise TypeError(f"{name} has {length} values in place of {wanted}")


def _check_kind(name: str, value: Any, kind: Any) -> None:
    """Raise TypeError unless a value is of the annotated kind: an array of certain numbers, a tuple, a number."""
    if typing.get_origin(kind) is np.ndarray:
        number = typing.get_args(typing.get_args(kind)[1])[0]
        if not isinstance(value, np.ndarray) or value.dtype.kind not in _KINDS[number]:
            there = value.dtype if isinstance(value, np.ndarray) else type(value).__name__
            raise TypeError(f"{name} is {there} in place of {number.__name__}")
    elif typing.get_origin(kind) is tuple:
        inner = typing.get_args(kind)[0]
        if not isinstance(value, tuple) or not all(_is(v, inner) for v in value):
            raise TypeError(f"{name} is not a list of {inner.__name__}")
    elif not _is(value, kind):
        raise TypeError(f"{name} is not {kind.__name__}")


def _is(value: Any, kind: type) -> bool:
    """Return whether a plain value of run.json is of a kind; a whole number is a float too."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _check_shape(name: str, shape: Sequence[int], annotation: str, sizes: dict[str, int]) -> None:
    terms = [term.strip() for term in annotation.split(",")] if annotation else []
    if annotation and len(terms) != len(shape):
        raise TypeError(f"{name} has {len(shape)} axes in place of {len(terms)} ({annotation})")
    for size, term in zip(shape, terms, strict=False):
        wanted = _bind(term, size, sizes)
        if wanted != size:
            raise TypeError(f"{name} has shape {tuple(shape)}, and {term} of ({annotation}) is {wanted}")


def _bind(term: str, size: int, sizes: dict[str, int]) -> int:
    """Return the size that a term stands for; a letter that is met for the first time stands for this one."""
    if term.isdecimal():
        return int(term)
    match = _TERM.fullmatch(term)
    if match is None:
        raise ValueError(f"{term!r} is not a size")
    offset = int(f"{match['sign']}{match['number']}") if match["number"] else 0
    return sizes.setdefault(match["letter"], size - offset) + offset
