"""Several processes: TensorFlow's workers on the loopback, and a Dask cluster.

Oracle: the same command in one process. Both ends are on one machine, so that a slow or lossy network would be missed.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dlhw.checkpoints import MemoryCheckpoints
from dlhw.errors import UserError
from dlhw.runs import dask
from dlhw.runs.context import Context

pytestmark = pytest.mark.slow
CODE = "import sys; sys.argv[0] = 'dlhw'; from cli.main import app; app()"
COMMAND = ["classify", "--data", "digits", "--examples", "330", "--models", "5,4c3-p2-9", "--seeds", "1"]


def ports(n):
    """Free ports of this machine."""
    held = [socket.socket() for _ in range(n)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    found = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return found


def start(words, cwd, environment=None):
    """The command line as a process."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", CODE, *map(str, words)]
    return subprocess.Popen(command, cwd=cwd, env=os.environ | (environment or {}), **pipes)


def workers(words, cwd, n=2):
    """The same command on n workers."""
    hosts = [f"127.0.0.1:{port}" for port in ports(n)]
    configs = [{"cluster": {"worker": hosts}, "task": {"type": "worker", "index": k}} for k in range(n)]
    return [start([*words, "--json"], cwd, {"TF_CONFIG": json.dumps(c)}) for c in configs]


def ended(process, seconds=150):
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err


def arrays(folder):
    (path,) = Path(folder).glob("artifacts/classify/*/arrays.npz")
    with np.load(path) as stored:
        return dict(stored)


def assert_close(a, b):
    assert a.keys() == b.keys()
    for key, value in a.items():
        np.testing.assert_allclose(b[key], value, rtol=1e-5, atol=1e-6, err_msg=key)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The run of one process: its epochs and its arrays."""
    folder = tmp_path_factory.mktemp("alone")
    status, _, err = ended(start([*COMMAND, "--epochs", 30], folder))
    assert status == 0, err
    return arrays(folder)


def test_two_workers_train_as_one_process_and_the_chief_alone_writes(alone, tmp_path):
    found = []
    for name in ("chief", "other"):
        (tmp_path / name).mkdir()
    hosts = [f"127.0.0.1:{port}" for port in ports(2)]
    for k, name in enumerate(("chief", "other")):
        config = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": k}}
        found.append(start([*COMMAND, "--epochs", 30], tmp_path / name, {"TF_CONFIG": json.dumps(config)}))
    (a, out, err), (b, other, err_of_other) = (ended(p) for p in found)
    assert (a, b) == (0, 0), err + err_of_other
    assert "Figures and numbers" in out
    assert other == "worker 1 of 2 is done; the chief writes the run\n"
    assert list((tmp_path / "other").iterdir()) == []
    assert_close(alone, arrays(tmp_path / "chief"))
    record = json.loads(next((tmp_path / "chief").glob("artifacts/*/*/run.json")).read_text())
    assert record["environment"]["strategy"] == "multi-worker, 2 workers"


def test_two_tasks_of_slurm_find_each_other_on_a_node_without_gpus(tmp_path):
    """The variables of `srun --ntasks=2` on one node; there is no Slurm here, nor nvidia-smi."""
    variables = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NODELIST": "localhost", "SLURM_STEP_TASKS_PER_NODE": "2"}
    variables |= {"SLURM_NTASKS": "2", "SLURM_JOB_ID": str(os.getpid())}
    words = ["classify", "--data", "digits", "--examples", 100, "--models", "5", "--seeds", 1, "--epochs", 2]
    tasks = [{"SLURM_PROCID": str(k), "SLURM_LOCALID": str(k)} for k in range(2)]
    both = [ended(p) for p in [start(words, tmp_path, variables | task) for task in tasks]]
    assert [status for status, _, _ in both] == [0, 0], both
    assert both[1][1] == "worker 1 of 2 is done; the chief writes the run\n"
    assert len(list(tmp_path.glob("artifacts/classify/*/run.json"))) == 1


@pytest.mark.parametrize("victim", [0, 1])
def test_a_worker_that_dies_ends_the_others_with_one_line_and_a_rerun_goes_on(victim, tmp_path):
    words = [*COMMAND, "--examples", 1200, "--epochs", 150]  # long enough to be broken off in the second part
    both = workers(words, tmp_path)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("artifacts/classify/*/parts/5 seed 0-*.npz")):
        assert time.monotonic() < deadline, "no part has ended"
        assert all(p.poll() is None for p in both), [p.communicate() for p in both]
        time.sleep(0.02)
    both[victim].send_signal(signal.SIGKILL)
    both[victim].communicate()
    status, out, err = ended(both[1 - victim], 60)
    assert (status, out, err.count("\n")) == (1, "", 1), err
    assert f"worker {1 - victim} of 2 lost the connection to another" in err
    (kept,) = tmp_path.glob("artifacts/classify/*/parts/5 seed 0-*.npz")
    if victim == 0:
        return
    with np.load(kept) as part:
        seconds = float(part["seconds"])
    status, out, err = ended(start([*words, "--json"], tmp_path))  # one process takes it up
    assert status == 0, err
    numbers = json.loads(out)["numbers"]
    assert numbers["5"]["seconds"]["median"] == seconds  # not trained again
    assert not kept.exists()


def test_workers_hear_of_the_parts_that_the_chief_keeps():
    """The second worker has no files: it must not train what the chief has."""
    code = (
        "import json, os, sys; import numpy as np; from dlhw.checkpoints import MemoryCheckpoints\n"
        "from dlhw.training.distributed import plan as plans, workers\n"
        "plan = plans.make_plan(); s = plans.strategy(plan); parts = MemoryCheckpoints()\n"
        "if plan.chief: parts.put('a', {'x': np.arange(7) / 3, 'y': np.array(2)})\n"
        "shared = workers.SharedCheckpoints(parts, s, plan.chief); a, b = shared.get('a'), shared.get('b')\n"
        "print(a['x'].tolist() == (np.arange(7) / 3).tolist(), int(a['y']), b)\n"
    )
    hosts = [f"127.0.0.1:{port}" for port in ports(2)]
    both = []
    for k in range(2):
        config = json.dumps({"cluster": {"worker": hosts}, "task": {"type": "worker", "index": k}})
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        both.append(subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"TF_CONFIG": config}, **pipes))
    assert [ended(p)[1] for p in both] == ["True 2 None\n"] * 2


def test_small_nets_train_on_the_chief_alone(tmp_path):
    words = ["simulate", "--models", "2", "--epochs", 3, "--points", 10, "--seeds", 1]
    config = {"cluster": {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}, "task": {"type": "worker", "index": 1}}
    status, out, err = ended(start(words, tmp_path, {"TF_CONFIG": json.dumps(config)}))
    assert (status, err) == (0, "")
    assert "nothing to do" in out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "environment", "says"),
    [
        (COMMAND, {"TF_CONFIG": "{"}, "TF_CONFIG is not JSON"),
        ([*COMMAND, "--strategy", "multi-worker"], {}, "neither TF_CONFIG nor Slurm"),
        ([*COMMAND, "--strategy", "mirrored"], {}, "--replicas 2 splits it"),
        ([*COMMAND, "--strategy", "mirrored", "--replicas", 3, "--batch-size", 2], {}, "smaller than the 3 replicas"),
        (["simulate", "--strategy", "mirrored"], {}, "one device"),
        ([*COMMAND, "--scheduler", "localhost"], {}, "tcp://HOST:PORT"),
        (["simulate", "--scheduler", "tcp://localhost:1"], {}, "small nets"),
        ([*COMMAND, "--scheduler", "tcp://127.0.0.1:9"], {}, "does not answer within 10 s"),
    ],
)
def test_what_cannot_be_given_is_one_line(words, environment, says, tmp_path):
    pytest.importorskip("distributed")
    status, out, err = ended(start(words, tmp_path, environment))
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert says in err
    assert not list(tmp_path.rglob("run.json"))


@pytest.fixture
def dask_cluster(tmp_path):
    """A scheduler and two worker processes; yields its address and the processes."""
    pytest.importorskip("distributed")
    (port,) = ports(1)
    address = f"tcp://127.0.0.1:{port}"
    run = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    processes = [subprocess.Popen([*run, "--no-dashboard"], **quiet)]
    with pytest.raises(UserError, match="has no workers"):
        dask.connect(address)
    one = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny"]
    processes += [subprocess.Popen([*one, "--no-dashboard"], **quiet) for _ in range(2)]
    from distributed import Client

    with Client(address, timeout=60) as client:
        client.wait_for_workers(2, timeout=60)
    yield address, processes
    for process in processes:
        process.kill()
        process.wait()


def test_a_dask_cluster_gives_the_run_of_one_machine_though_a_worker_is_killed(alone, dask_cluster, tmp_path):
    address, processes = dask_cluster
    words = [*COMMAND, "--epochs", 30, "--scheduler", address, "--json"]
    running = start(words, tmp_path)
    time.sleep(1)
    deadline = time.monotonic() + 100
    while not _busy(address):
        assert time.monotonic() < deadline
        assert running.poll() is None, running.communicate()
        time.sleep(0.1)
    processes[1].send_signal(signal.SIGKILL)  # in the middle of a part
    status, out, err = ended(running)
    assert status == 0, err
    assert set(json.loads(out)["numbers"]) >= {"5", "4c3-p2-9"}
    assert_close(alone, arrays(tmp_path))


def _busy(address):
    """Whether both workers compute."""
    from distributed import Client

    with Client(address, timeout=10) as client:
        return all(client.processing().values()) and len(client.processing()) == 2


def test_parts_can_be_dropped(tmp_path):
    from dlhw.checkpoints import FolderCheckpoints

    for parts in (MemoryCheckpoints(), FolderCheckpoints(tmp_path)):
        parts.put("a", {"x": np.arange(3)})
        parts.drop("a")
        parts.drop("never there")
        assert parts.get("a") is None
    assert Context().checkpoints.get("a") is None
