"""Whether a stored run is what the same command would compute again."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

from dlhw.errors import UserError
from dlhw.runs.context import Context
from dlhw.runs.provenance import input_files, requested, versions
from dlhw.runs.record_file import holds_run
from dlhw.runs.run import Run, load

_GPU_FILES = ("nvidia[0-9]*", "kfd", "dxg")  # of NVIDIA, of AMD, and of Windows below Linux


def stored_run(path: Path, settings: Any, context: Context) -> Run | None:
    """Return the run in a run folder if its settings, inputs, versions and devices equal those of a new one.

    None otherwise.

    A run with `tensorboard` is always computed, and so are one that lacks what `animate` needs and one that several
    processes share. Loads TensorFlow only where there may be a GPU.

    Args:
        path: the run folder.
        settings: of the new run.
        context: of the new run.
    """
    from dlhw.training.distributed import cluster

    if context.tensorboard is not None or not holds_run(path) or cluster.detect() is not None:
        return None
    try:
        run = load(path)
    except UserError:
        return None
    same = run.settings == settings and run.environment.get("versions") == versions()
    same = same and run.environment.get("requested", requested(Context())) == requested(context)
    same = same and run.environment.get("inputs", {}) == input_files(settings)
    same = same and bool(run.environment.get("scheduler")) == bool(context.scheduler)
    if not same or (context.animate and not run.animated):
        return None
    device = _device(context, str(run.environment.get("device")), on_images=bool(getattr(settings, "dataset", "")))
    return run if run.environment.get("device") == device else None


def _device(context: Context, stored: str, *, on_images: bool) -> str:
    """Return the devices that a new run would use, as written into a run; `stored` where no GPU can be involved.

    on_images: whether trainings can be split or spread over several devices; nets on a function train on one.
    """
    on_cpus = all(part.endswith("CPU") for part in stored.split(", "))
    if on_cpus and (context.device == "cpu" or not _may_have_gpus()):
        return stored  # how many logical CPUs is decided by what was requested
    from dlhw.training.distributed.plan import describe

    return describe(context.plan(splittable=on_images).devices)


def _may_have_gpus() -> bool:
    """Whether TensorFlow might find a GPU, judged without loading it."""
    if any(True for pattern in _GPU_FILES for _ in Path("/dev").glob(pattern)):
        return True
    try:
        return bool(metadata.version("tensorflow-metal"))
    except metadata.PackageNotFoundError:
        return False
