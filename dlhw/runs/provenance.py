"""What a number may depend on beyond the settings: versions, devices, strategy."""

from __future__ import annotations

import hashlib
import platform
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from dlhw.runs.context import Context
from dlhw.runs.settings import digest
from dlhw.version import __version__


def cache_key(name: str, settings: Any, context: Context) -> str:
    """Return what a checkpoint must share with a run to be resumed by it: versions, settings, choices that round."""
    choices = [context.device, *(c for c in (context.strategy, context.xla, context.layout) if c != "auto")]
    packages = f"{__version__} {metadata.version('tensorflow')} {metadata.version('keras')}"
    return f"{packages} {' '.join(choices)} {name} {digest(settings)}"


def environment(context: Context) -> dict[str, Any]:
    """Return versions of this process, and the devices and strategy that the run recorded.

    A run that trained nothing, such as the surface of a saved model, computed on the first device.
    """
    from dlhw.training.distributed.plan import describe, make_plan

    plan = context.provenance.plan or make_plan(context.device, "none", splittable=False)
    return {
        "versions": versions(),
        "date": time.strftime("%Y-%m-%d"),
        "device": describe(plan.devices),
        "machine": platform.machine(),
        "jobs": context.workers,
        "strategy": plan.kind if plan.workers == 1 else f"{plan.kind}, {plan.workers} workers",
        "xla": context.xla,
        "layouts": dict(sorted(context.provenance.layouts.items())),
        "scheduler": bool(context.scheduler),
        "requested": requested(context),
    }


def input_files(settings: Any) -> dict[str, str]:
    """Return the SHA-256 of every file of the user that a run with these settings reads, by path.

    A Settings class names such files in a property `input_files`.
    """
    paths = [Path(path) for path in getattr(settings, "input_files", ())]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.is_file()}


def versions() -> dict[str, str]:
    """Return the versions of dlhw, Python, TensorFlow, Keras and NumPy, without importing them."""
    packages = ("tensorflow", "keras", "numpy")
    own = {"dlhw": __version__, "python": platform.python_version()}
    return own | {package: metadata.version(package) for package in packages}


def requested(context: Context) -> dict[str, Any]:
    """Return the choices of a context that decide on which devices, and how, a run is computed."""
    names = ("device", "strategy", "replicas", "xla", "layout")
    return {name: getattr(context, name) for name in names}
