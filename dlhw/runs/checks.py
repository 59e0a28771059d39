"""What is refused before a run begins: a context, a folder, files of the user."""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dlhw.errors import require
from dlhw.runs import experiment as registry
from dlhw.runs import store
from dlhw.runs.context import Context


def check_context(name: str, settings: Any, context: Context) -> None:
    """Refuse a context that does not fit the experiment, before TensorFlow is imported; writes nothing.

    Raises:
        UserError: for an animation that does not exist, devices that do not go together, a folder of event files that
            cannot be written, a data set that is damaged or not in the folder that was named.
    """
    from dlhw import datasets

    experiment = registry.get(name)
    if context.animate:
        experiment.check_can_animate(settings)
    dataset = experiment.dataset(settings)
    if context.scheduler:
        _check_scheduler(context, bool(dataset))
    if is_chief():
        _check_tensorboard(context.tensorboard)
    if dataset:
        datasets.check(dataset, context.data_dir)


def check_folder(name: str, settings: Any, out: Path, overwrite: bool = False, run_name: str = "") -> None:
    """Refuse a run folder that cannot be used: UserError; writes nothing."""
    path = store.folder(out, name, settings, run_name)
    if is_chief():  # the others write nothing
        store.check_free(path, settings, overwrite)


def check_inputs(name: str, settings: Any, context: Context) -> None:
    """Refuse files of the user, such as saved models, that the experiment cannot use: UserError. Loads TensorFlow."""
    check = registry.get(name).check_inputs
    if check is not None:
        check(settings, context)


def is_chief() -> bool:
    """Whether this process writes files; refuses a malformed TF_CONFIG before TensorFlow reads it."""
    from dlhw.training.distributed import cluster

    group = cluster.detect()
    return group is None or group.chief


def _check_tensorboard(folder: Path | None) -> None:
    """Refuse a folder of event files that cannot be made."""
    if folder is None:
        return
    installed = find_spec("tensorboard") is not None
    require(installed, '`tensorboard` needs the package of that name: pip install "dlhw[tensorboard]"')
    existing = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    try:
        Path(tempfile.mkdtemp(dir=existing)).rmdir()
    except OSError:
        require(False, f"`tensorboard`: {folder} cannot be written; choose another place")


def _check_scheduler(context: Context, on_images: bool) -> None:
    from dlhw.runs import dask

    no_events = context.tensorboard is None
    require(no_events, "`tensorboard`: other machines write no events here; leave out `scheduler` or it")
    require(not context.live, "`live`: other machines write no page here; leave out `scheduler` or it")
    require(on_images, "`scheduler`: small nets train as stacks on this machine; leave it out")
    is_free = context.strategy in ("auto", "none")
    require(is_free, f"`scheduler` and `strategy` {context.strategy}: choose one of them")
    dask.connect(context.scheduler).close()
