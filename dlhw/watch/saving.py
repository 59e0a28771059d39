"""A watched training on disk: checked before it begins, written after every epoch."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from dlhw.errors import UserError, require
from dlhw.runs import store
from dlhw.runs.provenance import versions
from dlhw.runs.record_file import as_record, holds_run, read_record
from dlhw.runs.run import Run
from dlhw.watch.display.page import PAGE, WAIT
from dlhw.watch.display.summary import numbers
from dlhw.watch.spec import Result, Settings

NAME = "watch"
"""Of the experiment."""
_MARK = "device:"


def check_folder(folder: str | Path, settings: Settings, overwrite: bool = False) -> None:
    """Refuse a folder that cannot take a training; writes nothing.

    Args:
        folder: of the run.
        settings: of the training.
        overwrite: whether another run there may be replaced.

    Raises:
        UserError: for a folder that cannot be written, that holds files but no run, or a run of other settings.
    """
    path = Path(folder)
    try:
        kind = NAME if overwrite else _experiment(path)
        require(kind == NAME, f"{path} holds a run of {kind}; choose another `folder`, or use `overwrite`")
        store.check_free(path, settings, overwrite)
    except UserError as error:
        raise UserError(str(error).replace("`out`", "`folder`")) from None


def _experiment(path: Path) -> str:
    """Return of which experiment a folder holds a run that can be read; ours where it holds none."""
    if holds_run(path):
        with suppress(UserError):
            return str(read_record(path)["experiment"])
    return NAME


def save(
    folder: str | Path, settings: Settings, result: Result, environment: dict[str, Any], *, figures: bool = False
) -> Path:
    """Write a training into its folder, in place of what that holds of it; at every instant one of them is whole.

    Args:
        folder: of the run; made if it is missing.
        settings: of the training.
        result: what has been recorded.
        environment: that of :func:`environment`.
        figures: also draw; until then the folder has no figures, and none of an earlier training.

    Returns:
        The folder.

    Raises:
        UserError: if another process writes there, or the folder cannot be written.
        RunError: if the disk is full.
    """
    path, run = Path(folder), Run(NAME, settings, result, environment)
    record = as_record(NAME, settings, environment, numbers(settings, result))
    obsolete = {*run.definition.section.captions, PAGE}
    with store.locked(path, WAIT):
        store.save(path, record, result, lambda new: None, obsolete)
        if figures:  # beside numbers that are safe
            run.draw(path)
    return path


def environment(seconds: float, devices: Iterable[str] = (), strategy: str = "none") -> dict[str, Any]:
    """Return versions, device and date as every run has them.

    Args:
        seconds: that the training took, with its probes.
        devices: TensorFlow's names of those that computed; (): the first GPU, or the processor.
        strategy: name of the `tf.distribute` strategy.
    """
    from dlhw.training.distributed.plan import describe, make_plan

    names = [name.lower().rpartition(_MARK)[2].upper() for name in devices]
    return {
        "versions": versions(),
        "date": time.strftime("%Y-%m-%d"),
        "device": describe(names or make_plan("auto", "none", splittable=False).devices),
        "machine": platform.machine(),
        "jobs": 1,
        "strategy": strategy,
        "wall_seconds": float(seconds),
    }
