"""What a number may depend on beyond the settings: versions, devices, strategy."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

from dlhw.runs.context import Context
from dlhw.runs.settings import digest
from dlhw.version import __version__


def cache_key(name: str, settings: Any, context: Context) -> str:
    """Return what a checkpoint must share with a run to be resumed by it: versions, settings, choices that round."""
    choices = [context.device, *(c for c in (context.strategy, context.xla) if c != "auto")]
    versions = f"{__version__} {metadata.version('tensorflow')} {metadata.version('keras')}"
    return f"{versions} {' '.join(choices)} {name} {digest(settings)}"


def environment(context: Context) -> dict[str, Any]:
    """Return versions of this process, and the devices and strategy that the run recorded.

    A run that trained nothing, such as the surface of a saved model, computed on the first device.
    """
    from dlhw.training.distributed.plan import describe, make_plan

    packages = ("tensorflow", "keras", "numpy")
    versions = {"dlhw": __version__, "python": platform.python_version()}
    versions |= {p: metadata.version(p) for p in packages}
    plan = context.provenance.plan or make_plan(context.device, "none", splittable=False)
    return {
        "versions": versions,
        "device": describe(plan.devices),
        "machine": platform.machine(),
        "jobs": context.workers,
        "strategy": plan.kind if plan.workers == 1 else f"{plan.kind}, {plan.workers} workers",
        "xla": context.xla,
        "scheduler": bool(context.scheduler),
    }
