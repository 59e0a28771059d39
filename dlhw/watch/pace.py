"""How often something is done that must take little of the time of a training."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

SHARE = 0.02
"""Largest share of the time of a training that one such thing takes."""


class Pace:
    """Decides from what a thing took before whether it is due again."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.spent = self.last = 0.0  # seconds

    def is_due(self) -> bool:
        """Return whether another time like the last one keeps within the share."""
        return self.spent + self.last <= SHARE * (time.perf_counter() - self.began)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Context manager: what it contains counts as one time."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.last = time.perf_counter() - start
            self.spent += self.last
