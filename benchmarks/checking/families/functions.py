"""Fits of functions of x on the full batch: gradient norms, loss values."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.checking.corpus import Case, Family
from benchmarks.checking.numpy_net import Net, layer_norms, norm

# function, net, activation, learning rate, momentum, optimizer, steps
SETTINGS: tuple[tuple[str, str, str, float, float, str, int], ...] = (
    ("sinc", "deep", "relu", 0.02, 0.0, "sgd", 600),
    ("sinc", "12-12", "tanh", 0.05, 0.0, "sgd", 1000),
    ("square", "shallow", "relu", 0.01, 0.0, "sgd", 800),
    ("square", "20-20", "tanh", 0.03, 0.0, "sgd", 1500),
    ("damped", "middle", "relu", 0.02, 0.0, "sgd", 1000),
    ("runge", "30", "tanh", 0.1, 0.0, "sgd", 500),
    ("abs", "8-8-8", "relu", 0.05, 0.0, "sgd", 700),
    ("sin", "16-16", "relu", 0.02, 0.0, "sgd", 1200),
    ("sinc", "shallow", "relu", 0.01, 0.9, "sgd", 2000),
    ("sinc", "middle", "tanh", 0.02, 0.9, "sgd", 1500),
    ("square", "deep", "relu", 0.001, 0.0, "adam", 2500),
    ("damped", "20-10", "relu", 0.003, 0.0, "adam", 1500),
    ("step", "10-10", "tanh", 0.01, 0.9, "nesterov", 1200),
    ("runge", "middle", "relu", 0.001, 0.0, "rmsprop", 1000),
)


def gradient_norms(setting: tuple[Any, ...]) -> Iterator[Case]:
    import dlhw

    func, model, activation, rate, momentum, optimizer, steps = setting
    options = {"momentum": momentum} if optimizer in ("sgd", "nesterov") else {}
    seed, seeds = 100 * SETTINGS.index(setting), 4
    run = dlhw.run(
        "gradient-norm",
        func=func,
        model=model,
        activation=activation,
        learning_rate=rate,
        optimizer=optimizer,
        epochs=steps,
        points=(60, 150, 300)[SETTINGS.index(setting) % 3],
        seed=seed,
        seeds=seeds,
        **options,
    )
    r, plain = run.result, optimizer == "sgd" and momentum == 0
    for s in range(seeds):
        if r.diverged_at[s] >= 0:
            continue
        rows = np.arange(min(steps, 500)) if plain else np.unique(np.geomspace(1, steps, 200).astype(int)) - 1
        columns = {
            "iteration": rows + 1,
            "norm": r.gradient_norm[s, rows],
            "loss": r.loss[s, rows],
            "layer": r.layer_gradient_norms[s, rows],
        }
        facts = {"learning_rate": rate} if plain else {}
        without = {k: v for k, v in columns.items() if k != "layer"}
        if s % 2:
            without, facts = columns, (facts if s % 4 == 1 else {})
        yield Case("gradient-norm", without, facts, seed=seed + s, variant="layers" if s % 2 else "no layers")
        added = columns["layer"].sum(1)
        if plain:
            yield Case(
                "gradient-norm",
                {k: v for k, v in columns.items() if k != "layer"} | {"norm": added},
                {"learning_rate": rate},
                mistake="layer-norms-added",
                seed=seed + s,
                variant="rate",
            )
        yield Case(
            "gradient-norm",
            columns | {"norm": added},
            facts if s % 2 else {},
            mistake="layer-norms-added",
            seed=seed + s,
            variant="layers",
        )
        step = np.unique(np.linspace(0, steps - 1, 50).astype(int))
        if s < 2:
            yield Case(
                "loss", {"step": step + 1, "value": r.loss[s, step]}, {"kind": "mse"}, seed=seed + s, variant="function"
            )


# function, hidden widths, activation, rate, points, part of the batch
IN_PARTS: tuple[tuple[str, tuple[int, ...], str, float, int, int], ...] = (
    ("sinc", (10, 18, 15, 4), "relu", 0.02, 240, 32),
    ("square", (20, 20), "relu", 0.02, 300, 30),
    ("damped", (30,), "tanh", 0.05, 128, 16),
    ("runge", (12, 12), "tanh", 0.05, 200, 10),
    ("abs", (16, 8), "relu", 0.03, 100, 20),
    ("sin", (8, 8, 8), "tanh", 0.05, 256, 64),
)


def in_parts(setting: tuple[Any, ...]) -> Iterator[Case]:
    """Full-batch descent whose gradient norm is taken batch by batch, in the shuffled order of a loader."""
    from dlhw.datasets import functions
    from dlhw.models import initial_weights

    func, widths, activation, rate, points, size = setting
    x = np.linspace(-1, 1, points)
    y = functions.sample(func, x, "unit", (-1.0, 1.0))[:, None]
    x = x[:, None]
    for seed in range(5):
        rng = np.random.default_rng(seed)
        net = Net(initial_weights((1, *widths, 1), init="torch", seed=seed), activation)
        rows = []
        for _ in range(200):
            value, gradients = net.gradient(x, y)
            order = rng.permutation(points)
            batches = [order[k : k + size] for k in range(0, points, size)]
            parts = [net.gradient(x[b], y[b])[1] for b in batches]
            mean_of_layers = np.mean([layer_norms(p) for p in parts], axis=0)
            mean_of_parts = np.mean([norm(p) for p in parts])
            rows.append((value, norm(gradients), mean_of_parts, layer_norms(gradients), mean_of_layers))
            net.descend(gradients, rate)
        loss, right, mean, layers, mean_layers = (np.array(column) for column in zip(*rows, strict=True))
        base = {"iteration": np.arange(1, 201), "loss": loss}
        yield Case("gradient-norm", base | {"norm": right}, {"learning_rate": rate}, seed=seed, variant="NumPy")
        yield Case("gradient-norm", base | {"norm": right, "layer": layers}, seed=seed, variant="NumPy, layers")
        yield Case(
            "gradient-norm",
            base | {"norm": mean},
            {"learning_rate": rate},
            mistake="mean-of-batch-norms",
            seed=seed,
            variant="rate",
        )
        yield Case(
            "gradient-norm",
            base | {"norm": mean, "layer": mean_layers},
            mistake="mean-of-batch-norms",
            seed=seed,
            variant="layers",
        )


def _name(setting: tuple[Any, ...]) -> str:
    func, net, activation, rate, momentum, optimizer, _ = setting
    return f"{func}-{net}-{activation}-{optimizer}-{rate:g}-{momentum:g}"


FAMILIES = (
    *(Family(f"gradient/{_name(s)}", partial(gradient_norms, s)) for s in SETTINGS),
    *(Family(f"parts/{s[0]}-{'-'.join(map(str, s[1]))}-{s[2]}-{s[5]}", partial(in_parts, s)) for s in IN_PARTS),
)
