"""The exceptions that the command line prints as one line, and warnings."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

_HERE = str(Path(__file__).parent)


class UserError(ValueError):
    """A wrong value from outside: one line that says the value, what is allowed and what to do.

    The command line prints it and exits with status 2; in a notebook it is an ordinary ValueError.
    """


class RunError(RuntimeError):
    """A run that something outside it broke off, such as the loss of another machine: one line, exit status 1.

    What had ended is kept, and the same command goes on from there.
    """


def require(condition: bool, message: str) -> None:
    """Raise :class:`UserError` with `message` unless `condition` holds."""
    if not condition:
        raise UserError(message)


def warn(message: str) -> None:
    """Warn of `message` at the line outside of this package that called it."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)
