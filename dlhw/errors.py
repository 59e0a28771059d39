"""The exceptions that the command line prints as one line, and warnings.

A message names arguments in backticks, by their Python names: "`learning_rate` 0 must be positive". The command line
shows the same message with its options in their place (`dlhw.runs.flags`).
"""

from __future__ import annotations

import errno
import functools
import inspect
import operator
import reprlib
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

SYSTEM_REFUSES = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""Errors of a file system that nothing here can prevent: full, over a quota, read-only, broken."""
_PACKAGE = str(Path(__file__).parent)


class UserError(ValueError):
    """An invalid argument or file: one line with the value, what is allowed, and what to do.

    The command line prints the line and exits with status 2; in a notebook it is an ordinary ValueError.
    """


class RunError(RuntimeError):
    """A run that was interrupted from outside, such as by the loss of another machine: one line, exit status 1.

    Finished trainings are stored, and the same command resumes from them.
    """


class DlhwWarning(UserWarning):
    """What this package warns of: one line."""


def require(condition: bool, message: str) -> None:
    """Raise :class:`UserError` unless a condition holds.

    Args:
        condition: whether the input is valid.
        message: one line; arguments are named in backticks.

    Raises:
        UserError: if `condition` is False.
    """
    if not condition:
        raise UserError(message)


def warn(message: str) -> None:
    """Issue a warning that points at the first caller outside of this package."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, DlhwWarning, stacklevel=level)


def check_numbers(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function so that arguments annotated as int or float are refused in one line where they are not.

    Whatever converts without loss counts, of NumPy and TensorFlow too: an integer is a float, and 10.0 is no integer.
    """
    signature = inspect.signature(function)
    annotations = {name: str(p.annotation) for name, p in signature.parameters.items()}

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError:  # missing or unknown ones: the call itself says so, with the name of the function
            return function(*args, **kwargs)
        for name, value in given.items():
            kind, _, optional = annotations[name].partition(" | ")
            if kind in _CONVERSIONS and not (value is None and optional == "None"):
                require(_converts(value, kind), f"`{name}` {_in_line(value)} must be {_KINDS[kind]}")
        return function(*args, **kwargs)

    return checked


_KINDS = {"int": "a whole number", "float": "a number"}
_CONVERSIONS: dict[str, Callable[[Any], Any]] = {"int": operator.index, "float": float}


def _converts(value: object, kind: str) -> bool:
    if isinstance(value, (bool, str, bytes)):  # float("1") is a number
        return False
    try:
        _CONVERSIONS[kind](value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _in_line(value: object) -> str:
    return " ".join(reprlib.repr(value).split())
