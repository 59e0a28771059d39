"""SIGTERM, which Slurm and Kubernetes send before they kill, stops a command as Ctrl-C does."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED, TERMINATED = 130, 143
"""Exit status after Ctrl-C, and after SIGTERM: 128 plus the number of the signal."""
SECONDS = 10.0
"""For which a second signal is ignored, so that it does not interrupt what the first one has begun to store."""
_received: list[float] = []


@contextmanager
def terminable() -> Iterator[None]:
    """Context manager: SIGTERM raises KeyboardInterrupt in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        now = time.monotonic()
        if not _received or now > _received[-1] + SECONDS:
            _received.append(now)
            raise KeyboardInterrupt

    _received.clear()
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def cause() -> tuple[str, int]:
    """Return what stopped the command, in a word, and its exit status."""
    return ("terminated", TERMINATED) if _received else ("interrupted", INTERRUPTED)
