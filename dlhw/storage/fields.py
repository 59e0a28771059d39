"""Dataclasses as arrays and plain values, and back. Needs no TensorFlow."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

T = TypeVar("T")


def split(record: object) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays and the other values of a dataclass instance, by field."""
    fields = {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}  # type: ignore[arg-type]
    arrays = {k: v for k, v in fields.items() if isinstance(v, np.ndarray)}
    return arrays, {k: v for k, v in fields.items() if k not in arrays}


def join(cls: type[T], arrays: Mapping[str, np.ndarray], plain: Mapping[str, Any]) -> T:
    """Return the instance of `cls` that :func:`split` took apart; lists become tuples where the field is one.

    Raises:
        TypeError: if the values are not the fields of `cls`.
    """
    hints = get_type_hints(cls)
    return cls(**arrays, **{k: _restored(v, hints.get(k)) for k, v in plain.items()})


def _restored(value: Any, kind: Any) -> Any:
    """Return a value of JSON as its field has it: lists become tuples, and null in place of a number nan."""
    if get_origin(kind) is tuple and isinstance(value, list):
        return tuple(_restored(v, get_args(kind)[0]) for v in value)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type) and isinstance(value, dict):
        return join(kind, {}, value)
    return math.nan if value is None and kind is float else value
