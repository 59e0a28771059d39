"""The one exception for a user's mistake."""


class UserError(ValueError):
    """A wrong value from outside: one line that says the value, what is allowed and what to do.

    The command line prints it and exits with status 2; in a notebook it is an ordinary ValueError.
    """


def require(condition: bool, message: str) -> None:
    """Raise :class:`UserError` with `message` unless `condition` holds."""
    if not condition:
        raise UserError(message)
