"""The surface of the 21,840-parameter convolutional net over 5000 images, and 100 nets to critical points.

A plane of 51 x 51 points costs 2601 times what a point does; a few dozen points are measured and scaled, tracing and
compilation are added whole. PyTorch does the same in `inference_mode`, in both memory layouts and several batch sizes,
of which each layout's fastest counts, beside that of dlhw. Every engine runs in a process of its own, in turn; medians
are compared. `--search` times `dlhw minimal-ratio` instead, from start to end, no peer.

    DLHW_DATA_DIR=... python -m benchmarks.surface
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec

NET, POINTS, IMAGES, EVALUATED = "10c5-p2-20c5-p2-50", 51 * 51, 5000, 48
TORCH_BATCHES = (50, 100, 250, 500, 1000)


def time_dlhw() -> dict[str, float]:
    """As the command does it where nothing was trained before: one thread a core, each with points of its own.

    After a training in the same process TensorFlow keeps the threads that it began with, which costs a few per cent.
    """
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    from dlhw import datasets, measure
    from dlhw.models import image_net
    from dlhw.runs.executors import limit_threads
    from dlhw.training import cross_entropy

    cores = os.cpu_count() or 1
    limit_threads(cores)
    data = datasets.load("mnist")
    net = image_net(NET, seed=0)
    plane = measure.random_plane(measure.flat(net), [tuple(v.shape) for v in net.trainable_variables])
    at = measure.PlaneLoss(net, plane, cross_entropy, data.x_train[:IMAGES], data.y_train[:IMAGES])
    ab = np.random.default_rng(0).uniform(-1, 1, (EVALUATED, 2))
    began = time.perf_counter()
    first = measure.PlaneLoss(net, plane, cross_entropy, data.x_train[:IMAGES], data.y_train[:IMAGES])
    first.points(ab[:8])
    start = time.perf_counter() - began  # the passes, tracing, compilation, and eight points
    at.points(ab[:8])
    with ThreadPoolExecutor(cores) as pool:
        began = time.perf_counter()
        list(pool.map(at.points, np.split(ab, cores)))
        whole = time.perf_counter() - began
    plain = time_plain(at, ab[:6])
    return {"dlhw": start + whole / EVALUATED * POINTS, "dlhw, the plain way": plain * POINTS}


def time_plain(at: object, ab: object) -> float:
    """Seconds a point by `Objective.value` alone, all threads on one point."""
    at.at(at.plane.at(*ab[0]))  # type: ignore[attr-defined,index]
    began = time.perf_counter()
    for a, b in ab:  # type: ignore[attr-defined]
        at.at(at.plane.at(a, b))  # type: ignore[attr-defined]
    return (time.perf_counter() - began) / len(ab)  # type: ignore[arg-type]


def time_torch() -> dict[str, float]:
    import torch

    from benchmarks.peers import torch_net
    from dlhw import datasets

    data = datasets.load("mnist")
    found = {}
    for layout in (torch.contiguous_format, torch.channels_last):
        model = torch_net(NET).to(memory_format=layout)
        x = torch.tensor(data.x_train[:IMAGES].transpose(0, 3, 1, 2)).contiguous(memory_format=layout)
        y = torch.tensor(data.y_train[:IMAGES]).long()
        origin = [p.detach().clone() for p in model.parameters()]
        one, two = ([torch.randn_like(p) for p in origin] for _ in range(2))

        def point(a: float, b: float, batch: int) -> None:
            with torch.inference_mode():
                for p, o, u, v in zip(model.parameters(), origin, one, two, strict=True):  # noqa: B023
                    p.copy_(o + a * u + b * v)
                for k in range(0, IMAGES, batch):
                    z, some = model(x[k : k + batch]), y[k : k + batch]  # noqa: B023
                    torch.nn.functional.cross_entropy(z, some, reduction="sum").item()
                    (z.argmax(1) == some).sum().item()

        times = []
        for batch in TORCH_BATCHES:
            point(0.1, 0.2, batch)
            began = time.perf_counter()
            for k in range(8):
                point(0.1 * k, 0.2, batch)
            times.append((time.perf_counter() - began) / 8)
        name = "channels last" if layout is torch.channels_last else "usual layout"
        found[f"PyTorch, {name}, best batch size"] = min(times) * POINTS
        found[f"PyTorch, {name}, batches of 500 like dlhw"] = times[TORCH_BATCHES.index(500)] * POINTS
    return found


def time_search() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", "from cli.main import app; app()", "minimal-ratio", "--out", folder, "--quiet"]
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return {"dlhw minimal-ratio, 100 nets, start to end": time.perf_counter() - began}


CALLS = {"dlhw": time_dlhw, "torch": time_torch, "search": time_search}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--search", action="store_true", help="time dlhw minimal-ratio instead")
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    import dlhw  # noqa: F401

    if arguments.engine:
        print(json.dumps(CALLS[arguments.engine]()))
        return
    wanted = ["search"] if arguments.search else ["dlhw", *(["torch"] if find_spec("torch") else [])]
    if not find_spec("torch") and not arguments.search:
        print("skipped: torch (not installed; pip install 'dlhw[bench]')")
    print(f"{platform.machine()}, {os.cpu_count()} cores, {arguments.rounds} rounds")
    rows: dict[str, list[float]] = {}
    for _ in range(arguments.rounds):
        for engine in wanted:
            command = [sys.executable, "-m", "benchmarks.surface", "--engine", engine]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            for name, value in json.loads(done.stdout.splitlines()[-1]).items():
                rows.setdefault(name, []).append(value)
    print("| engine | s for a plane of 51 x 51 | against dlhw |\n|---|---|---|")
    base = statistics.median(next(iter(rows.values())))
    for name, times in rows.items():
        middle = statistics.median(times)
        print(f"| {name} | {middle:.1f} ({min(times):.1f} to {max(times):.1f}) | {middle / base:.2f} |")


if __name__ == "__main__":
    main()
