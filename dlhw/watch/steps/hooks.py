"""Methods that are replaced on instances for a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_NOTHING = object()


class Hooks:
    """Functions in the place of methods of instances, until :meth:`remove` puts back what was there."""

    def __init__(self) -> None:
        self._replaced: list[tuple[Any, str, object, object]] = []

    def put(self, instance: Any, name: str, function: Callable[..., Any]) -> None:
        """Replace a method on an instance; not by setattr, by which Keras would track it.

        Args:
            instance: a model or an optimizer.
            name: of the method.
            function: in its place.
        """
        self._replaced.append((instance, name, instance.__dict__.get(name, _NOTHING), function))
        instance.__dict__[name] = function

    def remove(self) -> None:
        """Put back what was there: the method of the class, or what a user had set on the instance."""
        for instance, name, before, function in reversed(self._replaced):
            if instance.__dict__.get(name) is not function:
                continue  # the user has replaced it meanwhile
            if before is _NOTHING:
                del instance.__dict__[name]
            else:
                instance.__dict__[name] = before
        self._replaced.clear()
