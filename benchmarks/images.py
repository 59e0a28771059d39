"""Images in mini-batches, real MNIST: dlhw against PyTorch, Keras `fit` and JAX.

Every engine runs in a process of its own, the engines in turn, `--rounds` times; medians are compared. One epoch of
batches of 64 after a warm-up, on the first `--images` of the 60000 (scaled to 60000, which the table says), all engines
on `--threads` threads. PyTorch counts with the faster of two memory layouts, without a DataLoader.

    DLHW_DATA_DIR=... python -m benchmarks.images            # those not installed are skipped
    DLHW_DATA_DIR=... python -m benchmarks.images --rounds 3 --images 15000
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from importlib.util import find_spec

BATCH = 64
NETS = {
    "deep": "20c3-p2-16c3-p2-700-95-90",
    "wide": "10c3-p2-500",
    "plain": "20c3-30-15",
    "cnn 21840": "10c5-p2-20c5-p2-50",
    "mlp 400-9": "400-9",
}
EIGHT = "eight mlp trainings of 3 epochs"
THREADS = 1
ENGINES = {"dlhw": "tensorflow", "torch": "torch", "keras": "keras", "jax": "jax"}


def data(images: int):
    from dlhw import datasets

    found = datasets.load("mnist")
    return found.x_train[:images], found.y_train[:images]


def limit_tensorflow() -> None:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def time_dlhw(images: int, layout: str = "auto") -> dict[str, float]:
    import tensorflow as tf

    from dlhw.models import image_net, use_batch_innermost
    from dlhw.training import Trainer, optimizer

    limit_tensorflow()

    x, y = data(images)
    x, few = tf.constant(x), (x[:BATCH], y[:BATCH])

    def train(net: str, epochs: int) -> list[float]:
        marks: list[float] = []
        model = image_net(net)
        fast = layout == "auto" and use_batch_innermost(model, "training")  # as for 20 epochs, not for these
        rule, way = optimizer("sgd", 0.001, 0.9), "batch-innermost" if fast else "plain"
        trainer = Trainer(model, batch_size=BATCH, optimizer=rule, layout=way)  # type: ignore[arg-type]
        trainer.fit(
            (x, y), few, epochs=epochs, train_eval_examples=BATCH, progress=lambda *_: marks.append(time.perf_counter())
        )
        return marks

    found = {}
    for name, net in NETS.items():
        marks = train(net, 2)
        found[name] = marks[2] - marks[1]
    return found


def time_dlhw_eight(images: int) -> dict[str, float]:
    """The whole of it, compilation included, as `dlhw trajectory --jobs 2` does it."""
    from dlhw.experiments import trajectory
    from dlhw.runs.context import Context

    began = time.perf_counter()
    settings = trajectory.Settings(epochs=3, every=3, examples=0)
    trajectory.run(settings, Context(jobs=2))
    return {EIGHT: time.perf_counter() - began}


def time_torch(images: int, eight: bool = False) -> dict[str, float]:
    import torch

    from benchmarks.peers import torch_net

    x, y = data(images)
    torch.set_num_threads(1 if eight else THREADS)
    x, y = torch.tensor(x.transpose(0, 3, 1, 2)), torch.tensor(y).long()
    loss = torch.nn.CrossEntropyLoss()

    def epoch(model, rule, limit: int | None = None) -> float:
        began, order = time.perf_counter(), torch.randperm(len(x))
        for rows in order.split(BATCH)[:limit]:
            rule.zero_grad()
            loss(model(x[rows]), y[rows]).backward()
            rule.step()
        return time.perf_counter() - began

    def start(net: str, layout=torch.contiguous_format):
        model = torch_net(net).to(memory_format=layout)
        return model, torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)

    if eight:
        return {EIGHT: sum(epoch(*pair) for pair in [start("400-9") for _ in range(8)] for _ in range(3))}
    found = {}
    for name, net in NETS.items():
        times = []
        for layout in (torch.contiguous_format, torch.channels_last):
            pair = start(net, layout)
            x = x.contiguous(memory_format=layout)
            epoch(pair[0], pair[1], limit=20)
            times.append(epoch(*pair))
        found[name] = min(times)
    return found


def time_keras(images: int) -> dict[str, float]:
    import keras

    from dlhw.models import image_net

    limit_tensorflow()
    x, y = data(images)
    found = {}
    for name, net in NETS.items():
        model = image_net(net)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.001, momentum=0.9), loss, steps_per_execution=len(x) // BATCH)
        model.fit(x, y, batch_size=BATCH, epochs=1, verbose=0)
        began = time.perf_counter()
        model.fit(x, y, batch_size=BATCH, epochs=1, verbose=0)
        found[name] = time.perf_counter() - began
    return found


def time_jax(images: int, eight: bool = False) -> dict[str, float]:
    import jax
    import jax.numpy as jnp
    import numpy as np

    x, y = data(images)
    x, y = jnp.asarray(x.reshape(len(x), -1)), jnp.asarray(y)
    steps = len(x) // BATCH

    def loss(parameters, a, b):
        for k, (w, c) in enumerate(parameters):
            a = a @ w + c
            a = jax.nn.relu(a) if k < len(parameters) - 1 else a
        return -jnp.mean(jax.nn.log_softmax(a)[jnp.arange(len(b)), b])

    @jax.jit
    def epoch(parameters, velocity, order, x, y):
        def step(carry, rows):
            p, v = carry
            g = jax.grad(loss)(p, x[rows], y[rows])
            v = jax.tree.map(lambda a, b: 0.9 * a - 0.001 * b, v, g)
            return (jax.tree.map(lambda a, b: a + b, p, v), v), None

        return jax.lax.scan(step, (parameters, velocity), order)[0]

    def start(seed: int):
        rng, made = np.random.default_rng(seed), []
        for a, b in ((784, 400), (400, 9), (9, 10)):
            bound = 1 / np.sqrt(a)
            shapes = (a, b), (b,)
            made.append(tuple(jnp.asarray(rng.uniform(-bound, bound, s), "float32") for s in shapes))
        return made, jax.tree.map(jnp.zeros_like, made)

    def run(state, seed: int):
        order = np.random.default_rng(seed).permutation(len(x))[: steps * BATCH].reshape(steps, BATCH)
        return jax.block_until_ready(epoch(*state, jnp.asarray(order), x, y))

    state = run(start(0), 0)
    began = time.perf_counter()
    if eight:
        for seed in range(8):
            state = start(seed)
            for k in range(3):
                state = run(state, k)
        return {EIGHT: time.perf_counter() - began}
    run(state, 1)
    return {"mlp 400-9": time.perf_counter() - began}


CALLS = {
    "dlhw": time_dlhw,
    "dlhw, plain layout": lambda images: time_dlhw(images, "plain"),
    "dlhw, 2 jobs": time_dlhw_eight,
    "torch": time_torch,
    "torch, one after the other": lambda images: time_torch(images, eight=True),
    "keras": time_keras,
    "jax": time_jax,
    "jax, one after the other": lambda images: time_jax(images, eight=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=60000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="*", help="engines")
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    import dlhw  # noqa: F401  (sets TensorFlow's environment, oneDNN among it, for Keras as for dlhw)

    if arguments.engine:
        global THREADS
        THREADS = arguments.threads
        whole = arguments.engine.endswith(
            ("jobs", "other")
        )  # the eight trainings are timed in full: their compilation must not be scaled
        found = CALLS[arguments.engine](60000 if whole else arguments.images)
        scaled = {k: v * (1 if k == EIGHT else 60000 / arguments.images) for k, v in found.items()}
        print(json.dumps({**scaled, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
        return
    wanted = [e for e in CALLS if not arguments.only or e in arguments.only]
    for engine in [e for e in wanted if find_spec(ENGINES[e.split(",")[0]]) is None]:
        print(f"skipped: {engine} (not installed; pip install 'dlhw[bench]')")
        wanted.remove(engine)
    print(f"{platform.machine()}, {os.cpu_count()} cores, {arguments.rounds} rounds of {arguments.images} images")
    rows: dict[str, dict[str, list[float]]] = {e: {} for e in wanted}
    for _ in range(arguments.rounds):
        for engine in wanted:
            sizes = ["--images", str(arguments.images), "--threads", str(arguments.threads)]
            command = [sys.executable, "-m", "benchmarks.images", "--engine", engine, *sizes]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            for name, value in json.loads(done.stdout.splitlines()[-1]).items():
                rows[engine].setdefault(name, []).append(value)
    print("| engine | training | seconds for 60000 images | min to max | against dlhw |\n|---|---|---|---|---|")
    for engine, times in rows.items():
        for name, values in times.items():
            if name == "peak":
                print(f"| {engine} | peak memory, MiB | {statistics.median(values):.0f} | | |")
                continue
            base = rows.get("dlhw, 2 jobs" if name == EIGHT else "dlhw", {}).get(name)
            middle = statistics.median(values)
            ratio = f"{middle / statistics.median(base):.2f}" if base else ""
            print(
                f"| {engine} | {name} | {middle:.2f} | {min(values):.2f} to {max(values):.2f} | {ratio} |", flush=True
            )


if __name__ == "__main__":
    main()
