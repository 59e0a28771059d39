"""What a training calls between epochs, and how it is stopped."""

from __future__ import annotations

from collections.abc import Callable

import keras

Hook = Callable[[int, keras.Model], None]
"""Called with the epoch (0 is before training) and the model, after the evaluation of that epoch."""


class Stopped(Exception):  # noqa: N818  (not an error: the caller requested it)
    """Raised between epochs when `should_stop` returns True."""


def every(k: int, hook: Hook) -> Hook:
    """Return a hook that calls `hook` at epochs 0, k, 2k, ...

    Args:
        k: number of epochs between two calls.
        hook: called with the epoch and the model.

    Returns:
        A hook for :meth:`dlhw.training.Trainer.fit`.

    Example:
        >>> from dlhw.training import every
        >>> epochs = []
        >>> hook = every(2, lambda epoch, model: epochs.append(epoch))
        >>> [hook(epoch, None) for epoch in range(5)] and epochs
        [0, 2, 4]
    """

    def call(epoch: int, model: keras.Model) -> None:
        if epoch % k == 0:
            hook(epoch, model)

    return call
