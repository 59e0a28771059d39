"""How the command line spells the fields of settings: the one place that knows."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection
from typing import Any

_ARGUMENT = re.compile(r"`([a-z][a-z0-9_]*)`")


def flag(name: str) -> str:
    """Return the option of a field: learning_rate -> --learning-rate."""
    return "--" + name.replace("_", "-")


def label(field: dataclasses.Field[Any]) -> str:
    """Return what a message calls a field: its option, or SIZES for positional arguments."""
    return field.name.upper() if field.metadata.get("positional") else flag(field.name)


def with_flags(text: str, positional: Collection[str] = ("sizes",)) -> str:
    """Return a message of the library with options in place of the arguments that it names in backticks.

    Args:
        text: such as "`learning_rate` 0 must be positive".
        positional: names of the arguments that have no option.
    """
    return _ARGUMENT.sub(lambda m: m[1].upper() if m[1] in positional else flag(m[1]), text)
