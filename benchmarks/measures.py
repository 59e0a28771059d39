"""Instruments on the 21,840-parameter convolutional net and real MNIST: dlhw against PyTorch.

Every engine runs in a process of its own, the engines in turn, `--rounds` times; medians are compared, all engines on
`--threads` threads. Tracing and compilation are part of dlhw's sensitivity and Jacobian, as they are of a user's call;
of lines, gradients and products they are left out. Work that is measured in part and scaled says so in its name.
PyTorch counts with the fastest of three batch sizes in two memory layouts.

    DLHW_DATA_DIR=... python -m benchmarks.measures             # peers not installed are skipped
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

NET = "10c5-p2-20c5-p2-50"
LINE = "line: 50 alphas x 70000 images (some alphas, scaled)"
SENSITIVITY = "sensitivity of 10000 images"
JACOBIAN = "Jacobian norm of 10000 images"
GRADIENT, PRODUCT = "gradient over 10000 images", "Hessian-vector product over 10000 images"
LANCZOS = "20 Lanczos steps over 10000 images"
TORCH_BATCHES = (100, 250, 500)
ENGINES = {"dlhw": "tensorflow", "torch": "torch"}


def timed(call: Callable[[], object], scale: float = 1.0) -> float:
    began = time.perf_counter()
    call()
    return scale * (time.perf_counter() - began)


def time_dlhw(threads: int, layout: str = "auto") -> dict[str, float]:
    import numpy as np
    import tensorflow as tf

    from dlhw import datasets, measure, models
    from dlhw.measure.hessians import operator
    from dlhw.measure.lanczos import Lanczos
    from dlhw.training import cross_entropy

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    data = datasets.load("mnist")
    net, other = models.image_net(NET, seed=0), models.image_net(NET, seed=1)
    x, y = np.concatenate([data.x_train, data.x_test]), np.concatenate([data.y_train, data.y_test])
    test = data.x_test, data.y_test
    with models.layout(layout):  # type: ignore[arg-type]
        grids = np.linspace(0, 1, 3), np.linspace(0, 1, 19)
        short, long = (timed(lambda g=g: measure.line(net, net, other, cross_entropy, x, y, g)) for g in grids)
        found = {LINE: (long - short) / 16 * 50}  # compilation falls out
        found[SENSITIVITY] = timed(lambda: measure.sensitivity(net, cross_entropy, *test))
        found[JACOBIAN] = timed(lambda: measure.jacobian_norm(net, test[0]))
        objective = measure.Objective(net, cross_entropy, *test)
        vector = np.ones(objective.size)
        objective.gradient(), objective.product(vector)
        found[GRADIENT] = timed(objective.gradient)
        found[PRODUCT] = timed(lambda: objective.product(vector))
        run = Lanczos(operator(objective), 20, 0)
        found[LANCZOS] = timed(lambda: [run.step() for _ in range(20)])
    return found


def time_torch(threads: int) -> dict[str, float]:
    import torch

    from benchmarks.peers import torch_net
    from dlhw import datasets

    torch.set_num_threads(threads)
    data = datasets.load("mnist")
    images = torch.tensor(data.x_test.transpose(0, 3, 1, 2))
    classes = torch.tensor(data.y_test).long()
    found: dict[str, float] = {}
    for layout in (torch.contiguous_format, torch.channels_last):
        model = torch_net(NET).to(memory_format=layout)
        for name, work in torch_works(model, images.contiguous(memory_format=layout), classes).items():
            work(100, 1000)
            scale = 50 * 70000 / len(images) if name == LINE else 1
            times = [timed(partial(work, batch, len(images)), scale) for batch in TORCH_BATCHES]
            found[name] = min([*times, found.get(name, float("inf"))])
    return found


def torch_works(model, x, classes) -> dict[str, Callable[[int, int], None]]:
    """What is timed, each a function of the batch size and the number of examples."""
    import torch

    parameters = list(model.parameters())

    def loss(part, i: int):
        return torch.nn.functional.cross_entropy(model(part), classes[i : i + len(part)], reduction="sum")

    def value(batch: int, n: int) -> None:
        with torch.inference_mode():
            for i in range(0, n, batch):
                z, some = model(x[i : i + batch]), classes[i : i + batch]
                torch.nn.functional.cross_entropy(z, some, reduction="sum").item()
                (z.argmax(1) == some).sum().item()

    def sensitivity(batch: int, n: int) -> None:
        for i in range(0, n, batch):
            part = x[i : i + batch].clone().requires_grad_()
            torch.autograd.grad(loss(part, i), part)[0].flatten(1).norm(dim=1).sum().item()

    def jacobian(batch: int, n: int) -> None:
        for i in range(0, n, batch):
            part = x[i : i + batch].clone().requires_grad_()
            p = model(part).softmax(1).sum(0)
            rows = [torch.autograd.grad(p[k], part, retain_graph=k < 9)[0].flatten(1) for k in range(10)]
            torch.stack([r.square().sum(1) for r in rows]).sum(0).sqrt().sum().item()

    def gradient(batch: int, n: int, product: bool = False) -> None:
        for i in range(0, n, batch):
            g = torch.autograd.grad(loss(x[i : i + batch], i), parameters, create_graph=product)
            if product:
                torch.autograd.grad(sum(a.sum() for a in g), parameters)

    works: dict[str, Callable[[int, int], None]] = {
        LINE: value,
        SENSITIVITY: sensitivity,
        JACOBIAN: jacobian,
        GRADIENT: gradient,
    }
    return works | {PRODUCT: partial(gradient, product=True)}


CALLS = {
    "dlhw": time_dlhw,
    "dlhw, plain layout": lambda threads: time_dlhw(threads, "plain"),
    "torch": time_torch,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    import dlhw  # noqa: F401

    if arguments.engine:
        print(json.dumps(CALLS[arguments.engine](arguments.threads)))
        return
    wanted = [e for e in CALLS if find_spec(ENGINES[e.split(",")[0]])]
    for engine in CALLS.keys() - set(wanted):
        print(f"skipped: {engine} (not installed; pip install 'dlhw[bench]')")
    print(f"{platform.machine()}, {os.cpu_count()} cores, {arguments.threads} threads, {arguments.rounds} rounds")
    rows: dict[str, dict[str, list[float]]] = {}
    for _ in range(arguments.rounds):
        for engine in wanted:
            options = ["--engine", engine, "--threads", str(arguments.threads)]
            command = [sys.executable, "-m", "benchmarks.measures", *options]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            for name, value in json.loads(done.stdout.splitlines()[-1]).items():
                rows.setdefault(name, {}).setdefault(engine, []).append(value)
    names = " | ".join(f"{e}, s" for e in wanted)
    print(f"| measure | {names} | {' | '.join(f'{e} / dlhw' for e in wanted[1:])} |\n{'|---' * (2 * len(wanted))}|")
    for name, found in rows.items():
        middle = {e: statistics.median(found[e]) if e in found else float("nan") for e in wanted}
        cells = [f"{middle[e]:.2f} ({min(found[e]):.2f} to {max(found[e]):.2f})" if e in found else "–" for e in wanted]
        ratios = [f"{middle[e] / middle['dlhw']:.2f}" for e in wanted[1:]]
        print(f"| {name} | {' | '.join(cells + ratios)} |")
    product, gradient = (statistics.median(rows[n]["dlhw"]) for n in (PRODUCT, GRADIENT))
    print(f"One Hessian-vector product costs {product / gradient:.2f} gradients.")


if __name__ == "__main__":
    main()
