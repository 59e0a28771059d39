"""What happens inside of `model.fit`, and is anything wrong with it?

Recorded by :class:`dlhw.Watch`, a Keras callback, from the program of a user: loss, gradient norms and updates of every
step, and measurements on a probe at some epochs. No command makes such a run; `dlhw watch` reads one.
"""

from __future__ import annotations

from typing import NoReturn

from dlhw.errors import UserError
from dlhw.present.section import Section
from dlhw.runs.context import Context
from dlhw.watch.display.curves import series
from dlhw.watch.display.figures import CAPTIONS, figures
from dlhw.watch.display.interactive import interactive
from dlhw.watch.display.summary import summary
from dlhw.watch.spec import Result, Settings

__all__ = [
    "SECTION",
    "TINY",
    "Result",
    "Settings",
    "check_inputs",
    "figures",
    "interactive",
    "run",
    "series",
    "summary",
]

SECTION = Section("9", "Trainings that were watched", captions=CAPTIONS, runs=())

TINY = Settings()


def run(settings: Settings, context: Context) -> NoReturn:
    """Refuse: a training is watched where it happens."""
    raise UserError("watched trainings are recorded by dlhw.Watch in model.fit; `dlhw watch FOLDER` reads one")


check_inputs = run
"""Before anything is written."""
