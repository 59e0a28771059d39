"""Names of options on the command line, from the names of fields."""

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


def with_flags(text: str, names: Collection[str] | None = None, positional: Collection[str] = ("sizes",)) -> str:
    """Return a message of the library with options in place of the arguments that it names in backticks.

    Args:
        text: such as "`learning_rate` 0 must be positive".
        names: the arguments that are options of the command; others stay in backticks. None: all are.
        positional: names of the arguments that have no option.
    """

    def spelled(match: re.Match[str]) -> str:
        name = match[1]
        if names is not None and name not in names:
            return match[0]
        return name.upper() if name in positional else flag(name)

    return _ARGUMENT.sub(spelled, text)
