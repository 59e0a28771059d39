"""When a watched training is written: at its end, and now and then before, so that little of the time goes there."""

from __future__ import annotations

import time
from pathlib import Path

import tensorflow as tf

from dlhw.watch import saving
from dlhw.watch.spec import Result, Settings

SHARE = 0.02
"""Largest share of the time of a training that writing takes."""


class Saver:
    """Writes a run, and decides when."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.spent = 0.0
        self.duration = 0.0  # of the last write

    def is_due(self) -> bool:
        """Return whether a write costs little beside the time that has passed."""
        return self.spent + self.duration <= SHARE * (time.perf_counter() - self.began)

    def save(self, folder: Path, settings: Settings, result: Result, *, final: bool) -> None:
        """Write the run, with figures at the end.

        Args:
            folder: of the run.
            settings: of the training.
            result: what has been recorded.
            final: whether the training has ended.
        """
        start = time.perf_counter()
        devices = [device.name for device in tf.config.list_logical_devices()]
        seconds = result.seconds + float(result.probe_seconds.sum())
        environment = saving.environment(seconds, devices[-1:])
        saving.save(folder, settings, result, environment, figures=final)
        self.duration = time.perf_counter() - start
        self.spent += self.duration
