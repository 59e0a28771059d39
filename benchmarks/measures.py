"""Instruments on the 21,840-parameter convolutional net and real MNIST: dlhw against PyTorch.

Every engine runs in a process of its own, the engines in turn, `--rounds` times; medians are compared. Tracing is part
of dlhw's sensitivity and Jacobian, as it is of a user's call; of lines, gradients and products it is left out. Work
that is measured in part and scaled says so in its name.

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
from importlib.util import find_spec

NET = "10c5-p2-20c5-p2-50"
LINE = "line: 50 alphas x 70000 images (some alphas, scaled)"
SENSITIVITY = "sensitivity of 10000 images"
ONE = "sensitivity, one image at a time (500, scaled)"
JACOBIAN = "Jacobian norm of 10000 images"
GRADIENT, PRODUCT = "gradient over 10000 images", "Hessian-vector product over 10000 images"
LANCZOS = "20 Lanczos steps over 10000 images"
ENGINES = {"dlhw": "tensorflow", "torch": "torch"}


def timed(call: Callable[[], object], scale: float = 1.0) -> float:
    began = time.perf_counter()
    call()
    return scale * (time.perf_counter() - began)


def time_dlhw() -> dict[str, float]:
    import numpy as np

    from dlhw import datasets, measure
    from dlhw.measure.hessians import operator
    from dlhw.measure.lanczos import Lanczos
    from dlhw.models import image_net
    from dlhw.training import cross_entropy

    data = datasets.load("mnist")
    net, other = image_net(NET, seed=0), image_net(NET, seed=1)
    x, y = np.concatenate([data.x_train, data.x_test]), np.concatenate([data.y_train, data.y_test])
    test = data.x_test, data.y_test
    grids = [0.5], [0.2, 0.4, 0.6, 0.8, 1.2, 1.4, 1.6]
    short, long = (timed(lambda g=g: measure.line(net, net, other, cross_entropy, x, y, g)) for g in grids)
    found = {LINE: (long - short) / 6 * 50}  # 9 alphas less 3: tracing falls out
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


def time_torch() -> dict[str, float]:
    import torch

    from dlhw import datasets

    data = datasets.load("mnist")
    images = [torch.tensor(a.transpose(0, 3, 1, 2)) for a in (data.x_train, data.x_test)]
    labels = [torch.tensor(a).long() for a in (data.y_train, data.y_test)]
    x, y = images[1], labels[1]
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 10, 5), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(10, 20, 5), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(),
        torch.nn.Linear(320, 50), torch.nn.ReLU(), torch.nn.Linear(50, 10),
    )  # fmt: skip
    loss = torch.nn.functional.cross_entropy
    wide, classes = torch.cat(images), torch.cat(labels)

    def value(batch: int = 500) -> None:
        with torch.inference_mode():
            for i in range(0, len(wide), batch):
                z = model(wide[i : i + batch])
                loss(z, classes[i : i + batch], reduction="sum").item()
                (z.argmax(1) == classes[i : i + batch]).sum().item()

    def sensitivity(batch: int, n: int = 10000) -> None:
        for i in range(0, n, batch):
            part = x[i : i + batch].clone().requires_grad_()
            (g,) = torch.autograd.grad(loss(model(part), y[i : i + batch], reduction="sum"), part)
            g.flatten(1).norm(dim=1).sum().item()

    def jacobian(batch: int = 500) -> None:
        for i in range(0, len(x), batch):
            part = x[i : i + batch].clone().requires_grad_()
            p = model(part).softmax(1).sum(0)
            rows = [torch.autograd.grad(p[k], part, retain_graph=k < 9)[0].flatten(1) for k in range(10)]
            torch.stack([r.square().sum(1) for r in rows]).sum(0).sqrt().sum().item()

    parameters = list(model.parameters())

    def gradient(product: bool, batch: int = 500) -> None:
        for i in range(0, len(x), batch):
            value = loss(model(x[i : i + batch]), y[i : i + batch], reduction="sum")
            g = torch.autograd.grad(value, parameters, create_graph=product)
            if product:
                torch.autograd.grad(sum(a.sum() for a in g), parameters)

    sensitivity(500, 1000)
    value()
    return {
        LINE: timed(lambda: [value() for _ in range(6)], 50 / 6),
        SENSITIVITY: timed(lambda: sensitivity(500)),
        ONE: timed(lambda: sensitivity(1, 500), 20),
        JACOBIAN: timed(jacobian),
        GRADIENT: timed(lambda: gradient(False)),
        PRODUCT: timed(lambda: gradient(True)),
    }


CALLS = {"dlhw": time_dlhw, "torch": time_torch}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    import dlhw  # noqa: F401

    if arguments.engine:
        print(json.dumps(CALLS[arguments.engine]()))
        return
    wanted = [e for e in CALLS if find_spec(ENGINES[e])]
    for engine in CALLS.keys() - set(wanted):
        print(f"skipped: {engine} (not installed; pip install 'dlhw[bench]')")
    print(f"{platform.machine()}, {os.cpu_count()} cores, {arguments.rounds} rounds")
    rows: dict[str, dict[str, list[float]]] = {}
    for _ in range(arguments.rounds):
        for engine in wanted:
            command = [sys.executable, "-m", "benchmarks.measures", "--engine", engine]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            for name, value in json.loads(done.stdout.splitlines()[-1]).items():
                rows.setdefault(name, {}).setdefault(engine, []).append(value)
    print("| measure | dlhw, s | PyTorch, s | PyTorch / dlhw |\n|---|---|---|---|")
    for name, found in rows.items():
        cells = [
            f"{statistics.median(v):.2f} ({min(v):.2f} to {max(v):.2f})" if (v := found.get(e)) else "–" for e in CALLS
        ]
        base = rows[SENSITIVITY]["dlhw"] if name == ONE else found.get("dlhw", [])
        ratio = (
            f"{statistics.median(found['torch']) / statistics.median(base):.2f}" if "torch" in found and base else "–"
        )
        print(f"| {name} | {' | '.join(cells)} | {ratio} |")
    product, gradient = (statistics.median(rows[n]["dlhw"]) for n in (PRODUCT, GRADIENT))
    print(f"One Hessian-vector product costs {product / gradient:.2f} gradients.")


if __name__ == "__main__":
    main()
