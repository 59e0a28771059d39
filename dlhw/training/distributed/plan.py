"""Where a run computes: one device, several in one machine, several machines.

Data-parallel training is the same mathematics as training on one device: every batch is split, every replica holds all
weights, gradients are summed. Here it is decided, from what is asked for and what there is, and TensorFlow's strategy
is made; `Trainer` does the rest.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, get_args

import tensorflow as tf

from dlhw.choices import Device, Strategy
from dlhw.errors import UserError, require
from dlhw.training.distributed import cluster


@dataclass(frozen=True)
class Plan:
    """What a run computes on, and why."""

    kind: str  # none, mirrored, multi-worker
    devices: tuple[str, ...]  # TensorFlow's names; with none, trainings are spread over them
    why: str
    workers: int = 1
    index: int = 0  # of this process among the workers

    @property
    def synchronous(self) -> bool:
        """Whether several replicas train one net, so that trainings must follow one another in a fixed order."""
        return self.kind != "none"

    @property
    def chief(self) -> bool:
        """Whether this process writes files."""
        return self.index == 0

    def text(self) -> str:
        """Return `mirrored over GPU:0, GPU:1`."""
        names = ", ".join(d.lstrip("/") for d in self.devices)
        if self.kind == "none":
            return names if len(self.devices) == 1 else f"trainings spread over {names}"
        where = f"{self.kind} over {names}"
        return where if self.workers == 1 else f"{where} of {self.workers} workers, this is {self.index}"


def make_plan(
    device: Device = "auto",
    strategy: Strategy = "auto",
    replicas: int = 0,
    trainings: int = 1,
    *,
    splittable: bool = True,
) -> Plan:
    """Decide where independent trainings are computed.

    auto: a cluster (TF_CONFIG, Slurm) -> multi-worker; several GPUs -> the trainings spread over them if there are as
    many, for then no replica waits for another, else mirrored; one GPU -> that; else the CPU.

    Args:
        device: cpu, gpu, or auto: GPUs where there are any.
        strategy: of `tf.distribute`, or auto.
        replicas: number of devices to use; 0: all.
        trainings: number of independent trainings.
        splittable: whether one training can be split over several devices.

    Returns:
        The plan, with the reason for it.

    Raises:
        UserError: for what this machine does not have.
    """
    for name, value, allowed in (("device", device, get_args(Device)), ("strategy", strategy, get_args(Strategy))):
        require(value in allowed, f"`{name}` {value!r} is unknown; use {', '.join(allowed)}")
    asked, wanted = strategy, replicas
    gpus = [f"/GPU:{k}" for k in range(len(tf.config.list_physical_devices("GPU")))]
    require(bool(gpus) or device != "gpu", "`device` gpu: TensorFlow finds no GPU here; use cpu or auto")
    require(wanted >= 0, f"`replicas` {wanted} must be positive, or 0 for every device")
    kind = "GPUs" if gpus and device != "cpu" else "CPUs"
    devices = gpus if kind == "GPUs" else _cpus(wanted if asked == "mirrored" else 0)
    enough = wanted <= len(devices)
    require(enough, f"`replicas` {wanted} exceeds the {len(devices)} {kind} that TensorFlow finds here")
    devices = devices[: wanted or None]
    group = cluster.detect() if asked in ("auto", "multi-worker") else None
    if asked == "multi-worker":
        require(group is not None, "`strategy` multi-worker: neither TF_CONFIG nor Slurm (srun) describes workers")
    if not splittable:
        require(asked in ("auto", "none"), f"`strategy` {asked}: these small nets train on one device; leave it out")
        workers, index = (group.size, group.index) if group else (1, 0)
        return Plan("none", (devices[0],), "small nets train as stacks, on one device", workers, index)
    if group is not None:
        why = f"{group.source} describes {group.size} workers"
        return Plan("multi-worker", tuple(devices), why, group.size, group.index)
    if asked == "mirrored":
        more = "`replicas` 2 splits it" if kind == "CPUs" else "leave `strategy` out"
        require(len(devices) > 1, f"`strategy` mirrored needs two devices; TensorFlow finds one {kind[:3]}: {more}")
        return Plan("mirrored", tuple(devices), "asked for")
    if len(devices) == 1:
        return Plan("none", tuple(devices), f"one {kind[:3]}, and no cluster")
    if asked == "none":
        return Plan("none", tuple(devices[:trainings]), "asked for; trainings spread over devices")
    if trainings >= len(devices):
        return Plan("none", tuple(devices), f"{trainings} trainings for {len(devices)} {kind}: none waits for another")
    return Plan("mirrored", tuple(devices), f"{len(devices)} {kind} for fewer trainings")


def _cpus(replicas: int) -> list[str]:
    """Return the names of `replicas` logical CPUs, or of fewer if TensorFlow is already initialized with fewer."""
    if replicas > 1:
        physical = tf.config.list_physical_devices("CPU")[0]
        if tf.config.get_logical_device_configuration(physical) is None:
            try:
                one = tf.config.LogicalDeviceConfiguration()
                tf.config.set_logical_device_configuration(physical, [one] * replicas)
            except RuntimeError:  # TensorFlow has begun
                return ["/CPU:0"]
        there = len(tf.config.list_logical_devices("CPU"))
        return [f"/CPU:{k}" for k in range(min(there, replicas))]
    return ["/CPU:0"]


@functools.cache
def strategy(of: Plan) -> Any:
    """Return TensorFlow's strategy for a plan: the default one, MirroredStrategy, MultiWorkerMirroredStrategy.

    With several workers this waits for all of them, and must come before TensorFlow computes anything.
    """
    if of.kind == "none":
        return tf.distribute.get_strategy()
    if of.kind == "mirrored":
        # On logical CPUs sums in a fixed order; on GPUs TensorFlow's choice, NCCL.
        ops = tf.distribute.ReductionToOneDevice() if of.devices[0].startswith("/CPU") else None
        return tf.distribute.MirroredStrategy(list(of.devices), cross_device_ops=ops)
    gpus = [int(device.rpartition(":")[2]) for device in of.devices if device.startswith("/GPU")]
    seen = tf.config.list_physical_devices("GPU")
    resolver = None
    try:
        tf.config.set_visible_devices([seen[k] for k in gpus], "GPU")  # the strategy takes all that it sees
        if cluster.detect() == cluster.Cluster(of.workers, of.index, "Slurm"):
            # Its GPU bookkeeping, which looks for nvidia-smi, is not used: one made-up slot a task satisfies it.
            port = 20000 + int(os.environ.get("SLURM_JOB_ID", "0")) % 20000  # two jobs may share a node
            resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
                port_base=port, gpus_per_node=of.workers, gpus_per_task=1, auto_set_gpu=False
            )
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except (RuntimeError, ValueError, OSError, tf.errors.OpError) as error:
        raise UserError(f"the workers could not be joined: {first_line(error)}") from None


def first_line(error: BaseException) -> str:
    """Return the message of a TensorFlow error, without its pages of context."""
    lines = [line.strip() for line in str(getattr(error, "message", error)).splitlines() if line.strip()]
    cause = [line for line in lines if "aborted by" in line]  # the graph and its call stack come before it
    return (cause or lines or [type(error).__name__])[0]


def describe(devices: Iterable[str]) -> str:
    """Return the devices as written into a run: CPU, or the name of the GPU; several as `2 x NAME`."""
    names = []
    for device in devices:
        kind, _, number = device.lstrip("/").partition(":")
        if kind == "GPU":
            details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[int(number)])
            kind = str(details.get("device_name", "GPU"))
        names.append(kind)
    counts = {name: names.count(name) for name in names}
    return ", ".join(name if n == 1 else f"{n} x {name}" for name, n in counts.items())


def seen() -> dict[str, str]:
    """Return the devices of this machine by TensorFlow's name, with a description."""
    names = {"CPU:0": f"{os.cpu_count()} cores"}
    for k, gpu in enumerate(tf.config.list_physical_devices("GPU")):
        details = tf.config.experimental.get_device_details(gpu)
        capability = ".".join(str(n) for n in details.get("compute_capability", ()))
        names[f"GPU:{k}"] = f"{details.get('device_name', 'GPU')}" + (
            f", compute capability {capability}" * bool(capability)
        )
    return names
