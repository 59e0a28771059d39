"""How deep networks learn, measured: the classic experiments and their instruments for Keras 3.

    import dlhw
    run = dlhw.run("simulate", func="sinc", epochs=2000)
    run.summary(), run.figures()

Submodules load on first use, so `import dlhw` costs nothing and reading stored runs needs no TensorFlow.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

# All must stand before Keras and TensorFlow are first imported; a user's own choice is kept.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow turns its oneDNN kernels on by itself only on processors with AVX-512; with AVX2 they halve the time too.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

__version__ = "0.1.0"

_SUBMODULES = (
    "architectures",
    "context",
    "datasets",
    "errors",
    "experiments",
    "measure",
    "models",
    "plot",
    "render",
    "report",
    "section",
    "store",
    "summary",
    "targets",
    "training",
)
_NAMES = {"run": "experiments", "load": "experiments", "UserError": "errors"}
__all__ = [*_SUBMODULES, *_NAMES, "__version__"]

if TYPE_CHECKING:
    from dlhw.errors import UserError as UserError
    from dlhw.experiments import load as load
    from dlhw.experiments import run as run


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"dlhw.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"dlhw.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'dlhw' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
