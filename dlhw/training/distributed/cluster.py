"""The machines of a run, from TF_CONFIG or Slurm. Needs no TensorFlow, so that mistakes are reported at once."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dlhw.errors import UserError, require

_SHAPE = 'write {"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """Equal workers that train one net together; worker 0 is the chief, which alone writes files."""

    size: int  # number of workers
    index: int  # of this process among them
    source: str  # what said so: TF_CONFIG or Slurm

    @property
    def chief(self) -> bool:
        """Whether this process writes."""
        return self.index == 0


def detect(environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """Return the cluster that the environment describes; None for a single process.

    TF_CONFIG comes first, as in TensorFlow; else Slurm's variables of a step of several tasks (`srun`).
    Raises UserError for a TF_CONFIG that is malformed, or holds tasks that are not workers.
    """
    if environment.get("TF_CONFIG", "").strip():
        return _from_tf_config(environment["TF_CONFIG"])
    tasks, rank = environment.get("SLURM_STEP_NUM_TASKS", ""), environment.get("SLURM_PROCID", "")
    if tasks.isdecimal() and rank.isdecimal() and int(tasks) > 1:
        return Cluster(int(tasks), int(rank), "Slurm")
    return None


def _from_tf_config(text: str) -> Cluster | None:
    try:
        config: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"TF_CONFIG is not JSON ({error.msg} at character {error.pos}); {_SHAPE}") from None
    require(isinstance(config, dict), f"TF_CONFIG is not an object; {_SHAPE}")
    cluster, task = config.get("cluster"), config.get("task")
    if not cluster:
        return None
    require(isinstance(cluster, dict) and isinstance(task, dict), f"TF_CONFIG lacks cluster or task; {_SHAPE}")
    strange = sorted(str(job) for job in cluster if job not in ("chief", "worker"))
    require(not strange, f"TF_CONFIG names the job {', '.join(strange)}; only chief and worker are supported")
    places: list[tuple[str, int]] = []
    for job in ("chief", "worker"):
        hosts = cluster.get(job, [])
        fine = isinstance(hosts, list) and all(isinstance(h, str) and _is_address(h) for h in hosts)
        require(fine, f"TF_CONFIG: {job} is {json.dumps(hosts)}; it must be a list of host:port")
        places += [(job, k) for k in range(len(hosts))]
    addresses = [*cluster.get("chief", []), *cluster.get("worker", [])]
    require(len(set(addresses)) == len(addresses), "TF_CONFIG names an address twice; every worker needs its own")
    mine = task.get("type"), task.get("index")
    among = ", ".join(f"{job} {k}" for job, k in places)
    task_name = f"{json.dumps(mine[0])} {json.dumps(mine[1])}"
    require(mine in places, f"TF_CONFIG: task {task_name} is not one of {among or 'none'}")
    return Cluster(len(places), places.index(mine), "TF_CONFIG")


def _is_address(text: str) -> bool:
    host, colon, port = text.rpartition(":")
    return bool(host and colon) and port.isdecimal() and 0 < int(port) < 65536
