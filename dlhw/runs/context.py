"""What a run needs from outside: where progress is reported, which trainings are finished, which devices to use."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dlhw.checkpoints import CheckpointStore, MemoryCheckpoints
from dlhw.choices import Device, Layout, Strategy, Xla
from dlhw.errors import require
from dlhw.runs.settings import check_choice, option

if TYPE_CHECKING:
    from dlhw.training.distributed.plan import Plan


class ProgressReport(Protocol):
    """Where progress is reported."""

    def __call__(
        self,
        done: float,
        total: float,
        value: float,
        unit: str = "steps",
        note: str = "",
        *,
        activity: str = "training",
        quantity: str = "loss",
        restored: float = 0.0,
    ) -> None:
        """Report that `done` of `total` units have passed.

        Args:
            done: units that have passed, of all tasks.
            total: units in all.
            value: latest median of `quantity`.
            unit: what is counted.
            note: more, in words.
            activity: what is done: training, measuring, searching.
            quantity: what `value` is.
            restored: units among `done` that an earlier process computed.
        """


class LiveCurves(Protocol):
    """Where the curves of a training go while it runs; see :class:`dlhw.runs.live.LivePage`."""

    def add(self, net: str, step: float, loss: float, gradient_norm: Callable[[], float] | None = None) -> None:
        """Add a point of a net; its gradient norm is computed if it is due."""

    def write(self, ended: str = "") -> None:
        """Write what has been added; ended: how the run ended."""

    def end(self, how: str) -> None:
        """Write how the run ended, if anything has been written."""


@dataclass
class Provenance:
    """How a run was computed, recorded by the code that decided it."""

    plan: Plan | None = None  # of the trainings
    layouts: dict[str, str] = field(default_factory=dict)  # of every net on images, how its training computed it


@dataclass(frozen=True)
class Context:
    """Where and how a run is computed. It does not act on the result, except on its rounding.

    The fields with a help text are options of every experiment on the command line.
    """

    progress: ProgressReport | None = None
    checkpoints: CheckpointStore = field(default_factory=MemoryCheckpoints)
    device: Device = option("auto", "auto uses GPUs if there are any.")
    strategy: Strategy = option(
        "auto", "Split each training over devices or machines; `dlhw devices` shows what auto selects."
    )
    replicas: int = option(0, "Number of devices to use; 0: all. Splits a CPU with `strategy` mirrored.")
    xla: Xla = option("auto", "Compile trainings on images with XLA; auto: where it is faster on a CPU.")
    layout: Layout = option(
        "auto", "How convolutions are computed on a CPU: plain calls Keras's layers; auto takes what is faster."
    )
    scheduler: str = option("", "Send trainings on images to a Dask cluster: tcp://HOST:PORT.")
    jobs: int | None = option(None, "Number of trainings run in parallel; one per core was measured to be fastest.")
    data_dir: Path | None = option(None, "Folder of the data sets; default: DLHW_DATA_DIR, then the Keras cache.")
    animate: bool = option(False, "Also write a GIF, of the fit over the epochs or of the growing path.")
    tensorboard: Path | None = option(None, "Folder for TensorBoard: scalars and histograms while training.")
    live: bool = option(False, "Rewrite live.html in the run folder while training: loss and gradient norm.")
    live_page: LiveCurves | None = None  # made by the run that stores itself
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        """Raise UserError for a value that its field does not allow."""
        for name, allowed in (("device", Device), ("strategy", Strategy), ("xla", Xla), ("layout", Layout)):
            check_choice(name, getattr(self, name), allowed)
        require(self.replicas >= 0, f"`replicas` {self.replicas} must be positive, or 0 for every device")
        require(self.jobs is None or self.jobs >= 1, f"`jobs` {self.jobs} must be at least 1")

    @property
    def workers(self) -> int:
        """Number of trainings that run side by side: `jobs`, by default one per core."""
        return self.jobs or os.cpu_count() or 1

    def plan(self, trainings: int = 1, *, splittable: bool = True) -> Plan:
        """Decide on which devices the trainings run.

        Args:
            trainings: number of independent trainings.
            splittable: whether one training can be split over several devices.

        Returns:
            The plan: devices, strategy, number of workers, and the reason for the choice.

        Raises:
            UserError: if this machine does not have what was asked for.
        """
        from dlhw.training.distributed.plan import make_plan

        strategy = "none" if self.scheduler else self.strategy  # the machines of Dask are not those of TF_CONFIG
        return make_plan(self.device, strategy, self.replicas, trainings, splittable=splittable)
