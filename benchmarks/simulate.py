"""Three nets x 20000 full-batch steps on 300 points, the loss of every step kept: dlhw against its peers.

Every engine runs in a process of its own, the engines in turn, `--rounds` times; medians are compared. Compilation is
counted apart. Engines that are too slow to run in full are timed on fewer steps and scaled, which the table says.

    python -m benchmarks.simulate                    # all engines; those not installed are skipped
    python -m benchmarks.simulate --rounds 5 --only dlhw torch
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from importlib.util import find_spec

STEPS = 20000
NETS = {"deep": (5, 10, 10, 10, 10, 10, 5), "middle": (10, 18, 15, 4), "shallow": (190,)}
ENGINES = {  # name -> (module it needs, steps it is timed on)
    "dlhw": ("tensorflow", STEPS),
    "dlhw, gradient norm": ("tensorflow", STEPS),
    "dlhw, 5 seeds": ("tensorflow", STEPS),
    "dlhw, nets one after the other": ("tensorflow", STEPS),
    "torch eager": ("torch", 2000),
    "jax jit+scan, batch x features": ("jax", STEPS),
    "jax jit+scan, features x batch": ("jax", STEPS),
    "jax, features x batch, nets on threads": ("jax", STEPS),
    "keras fit, one step an epoch": ("keras", 200),
}


def data():
    import numpy as np

    x = np.linspace(-1, 1, 300, dtype="float32")[:, None]
    return x, np.sinc(5 * x).astype("float32")


def time_dlhw(steps: int, seeds: int = 1, norm: bool = False, workers: int | None = None) -> tuple[float, float]:
    from dlhw.models import mlp
    from dlhw.training import fit_many, optimizer

    x, y = data()
    nets = [mlp(w, seed=s) for w in NETS.values() for s in range(seeds)]
    marks: list[tuple[float, int, int]] = []
    began = time.perf_counter()
    fit_many(
        nets,
        x,
        y,
        steps=steps,
        optimizer=optimizer("sgd", 0.01, 0.9),
        gradient_norm=norm,
        workers=workers,
        progress=lambda done, total, _: marks.append((time.perf_counter(), done, total)),
    )
    end, _, total = marks[-1]
    # Compilation overlaps with the first chunks of other nets; the second half of the steps is free of it.
    half = next(m for m in marks if m[1] >= total / 2)
    seconds = (end - half[0]) * total / (total - half[1])
    return seconds, end - began - seconds


def time_torch(steps: int) -> tuple[float, float]:
    import torch

    x, y = (torch.tensor(a) for a in data())
    total = 0.0
    for widths in NETS.values():
        sizes, layers = (1, *widths, 1), []
        for a, b in itertools.pairwise(sizes):
            layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
        net = torch.nn.Sequential(*layers[:-1])
        rule = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
        history = []
        for step in range(steps + 100):
            if step == 100:
                began = time.perf_counter()
            rule.zero_grad()
            loss = torch.nn.functional.mse_loss(net(x), y)
            loss.backward()
            rule.step()
            history.append(loss.item())
        total += time.perf_counter() - began
    return total, 0.0


def time_jax(steps: int, transposed: bool, threads: int = 1) -> tuple[float, float]:
    from concurrent.futures import ThreadPoolExecutor

    import jax
    import jax.numpy as jnp
    import numpy as np

    x, y = data()
    x, y = (x.T, y.T) if transposed else (x, y)

    def loss(parameters, x, y):
        h = x
        for k, (w, b) in enumerate(parameters):
            h = (w @ h if transposed else h @ w) + b
            h = jax.nn.relu(h) if k < len(parameters) - 1 else h
        return jnp.mean((h - y) ** 2)

    def train(parameters, velocity, x, y):
        def step(carry, _):
            p, v = carry
            value, g = jax.value_and_grad(loss)(p, x, y)
            v = jax.tree.map(lambda a, b: 0.9 * a - 0.01 * b, v, g)
            return (jax.tree.map(lambda a, b: a + b, p, v), v), value

        return jax.lax.scan(step, (parameters, velocity), None, length=steps)

    first, ready = 0.0, []
    rng = np.random.default_rng(0)
    for widths in NETS.values():
        sizes, parameters = (1, *widths, 1), []
        for a, b in itertools.pairwise(sizes):
            bound = 1 / np.sqrt(a)
            w, c = rng.uniform(-bound, bound, (b, a)), rng.uniform(-bound, bound, (b, 1))
            pair = (w, c) if transposed else (w.T, c[:, 0])
            parameters.append(tuple(jnp.asarray(t, "float32") for t in pair))
        arguments = (parameters, jax.tree.map(jnp.zeros_like, parameters), x, y)
        began = time.perf_counter()
        compiled = jax.jit(train).lower(*arguments).compile()
        first += time.perf_counter() - began
        ready.append((compiled, arguments))
    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda pair: np.asarray(jax.block_until_ready(pair[0](*pair[1]))[1]), ready))
    return time.perf_counter() - began, first


def time_keras(steps: int) -> tuple[float, float]:
    import keras

    from dlhw.models import mlp

    x, y = data()
    seconds, first = 0.0, 0.0
    for widths in NETS.values():
        net = mlp(widths)
        net.compile(keras.optimizers.SGD(0.01, momentum=0.9), "mse")
        began = time.perf_counter()
        net.fit(x, y, batch_size=len(x), epochs=2, verbose=0)
        middle = time.perf_counter()
        net.fit(x, y, batch_size=len(x), epochs=steps, verbose=0)
        seconds, first = seconds + time.perf_counter() - middle, first + middle - began
    return seconds, first


def measure(engine: str) -> dict[str, float]:
    steps = ENGINES[engine][1]
    call = {
        "dlhw": lambda: time_dlhw(steps),
        "dlhw, gradient norm": lambda: time_dlhw(steps, norm=True),
        "dlhw, 5 seeds": lambda: time_dlhw(steps, seeds=5),
        "dlhw, nets one after the other": lambda: time_dlhw(steps, workers=1),
        "torch eager": lambda: time_torch(steps),
        "jax jit+scan, batch x features": lambda: time_jax(steps, False),
        "jax jit+scan, features x batch": lambda: time_jax(steps, True),
        "jax, features x batch, nets on threads": lambda: time_jax(steps, True, os.cpu_count() or 1),
        "keras fit, one step an epoch": lambda: time_keras(steps),
    }[engine]
    seconds, first = call()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds * STEPS / steps, "compile": first, "peak_mib": peak}


def processes(rounds: int) -> None:
    """Whole processes, wall time: help, redraw, and the default experiment."""
    import tempfile

    def wall(*words: str) -> float:
        began = time.perf_counter()
        code = "from cli.main import app; app()"
        subprocess.run([sys.executable, "-c", code, *words], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began

    with tempfile.TemporaryDirectory() as out:
        run = f"{out}/simulate/default"
        whole = [wall("simulate", "--out", out) for _ in range(min(rounds, 3))]
        rows = {
            "dlhw --help": [wall("--help") for _ in range(rounds)],
            "dlhw draw": [wall("draw", run) for _ in range(rounds)],
            "dlhw simulate": whole,
        }
    for name, values in rows.items():
        print(f"| {name} | {statistics.median(values):.2f} s | {min(values):.2f} to {max(values):.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", help="engines whose name starts so")
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if arguments.engine:
        print(json.dumps(measure(arguments.engine)))
        return
    wanted = [e for e in ENGINES if not arguments.only or any(e.startswith(o) for o in arguments.only)]
    for engine in [e for e in wanted if find_spec(ENGINES[e][0]) is None]:
        print(f"skipped: {engine} ({ENGINES[engine][0]} is not installed; pip install 'dlhw[bench]')")
        wanted.remove(engine)
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {arguments.rounds} rounds", flush=True
    )
    found: dict[str, list[dict[str, float]]] = {e: [] for e in wanted}
    for _ in range(arguments.rounds):
        for engine in wanted:
            command = [sys.executable, "-m", "benchmarks.simulate", "--engine", engine]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found[engine].append(json.loads(done.stdout.splitlines()[-1]))
    base = statistics.median(r["seconds"] for r in found["dlhw"]) if "dlhw" in found else float("nan")
    print("| engine | timed on | seconds for 20000 steps | min to max | against dlhw | compile | peak MiB |")
    print("|---|---|---|---|---|---|---|")
    for engine, rows in found.items():
        s = [r["seconds"] for r in rows]
        middle, peak = statistics.median(s), statistics.median(r["peak_mib"] for r in rows)
        compiled = statistics.median(r["compile"] for r in rows)
        print(
            f"| {engine} | {ENGINES[engine][1]} | {middle:.2f} | {min(s):.2f} to {max(s):.2f} "
            f"| {middle / base:.2f} | {compiled:.1f} | {peak:.0f} |"
        )
    processes(arguments.rounds)


if __name__ == "__main__":
    main()
