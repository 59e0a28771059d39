"""Names of options on the command line, from the names of fields."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection
from typing import Any, get_args, get_origin, get_type_hints

_ARGUMENT = re.compile(r"`([a-z][a-z0-9_]*)`")


def flag(name: str) -> str:
    """Return the option of a field: learning_rate -> --learning-rate."""
    return "--" + name.replace("_", "-")


def label(field: dataclasses.Field[Any]) -> str:
    """Return what a message calls a field: its option, or SIZES for positional arguments."""
    return field.name.upper() if field.metadata.get("positional") else flag(field.name)


def is_pair(settings: Any, name: str) -> bool:
    """Whether a field takes a fixed number of values, which the command line separates by spaces."""
    kind = get_type_hints(type(settings))[name]
    return get_origin(kind) is tuple and Ellipsis not in get_args(kind)


def option_words(settings: Any, names: Collection[str]) -> list[str]:
    """Return the words of the command line that set the fields `names` to their values in `settings`."""
    positional: list[str] = []
    words: list[str] = []
    for field in (f for f in dataclasses.fields(settings) if f.name in names):
        name, value, metadata = field.name, getattr(settings, field.name), field.metadata
        values = [str(v) for v in value] if isinstance(value, tuple) else [str(value)]
        if metadata.get("positional"):
            positional = values
        elif isinstance(value, bool):
            yes, _, no = str(metadata.get("flags") or f"{flag(name)}/{flag('no_' + name)}").partition("/")
            words.append(yes if value else no)
        elif metadata.get("whole"):
            words += [word for v in values for word in (flag(name), v)]
        elif is_pair(settings, name):
            words += [flag(name), *values]
        else:
            words += [flag(name), ",".join(values)]
    return [*positional, *words]


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
