"""What the numbers of a watched training say."""

from __future__ import annotations

from dlhw.watch.diagnosis import Diagnosis
from dlhw.watch.spec import Result, Settings


def diagnose(settings: Settings, result: Result) -> tuple[Diagnosis, ...]:
    """Return the findings, the most severe first."""
    return ()
