"""The exceptions that the command line prints as one line."""


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
