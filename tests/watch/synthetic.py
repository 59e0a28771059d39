"""Watched trainings made of known arrays, without Keras: `training(...)` returns settings and result."""

from __future__ import annotations

import dataclasses

import numpy as np

from dlhw.storage import shapes
from dlhw.watch.spec import Facts, Result, Settings

ENVIRONMENT = {
    "versions": {"dlhw": "0.1.0", "python": "3.12.0", "tensorflow": "2.21.0", "keras": "3.12.0", "numpy": "2.3.0"},
    "date": "2026-01-02",
    "device": "CPU",
    "machine": "x86_64",
    "jobs": 1,
    "strategy": "none",
    "wall_seconds": 12.5,
}


def training(
    *,
    layers: int = 3,
    steps_per_epoch: int = 50,
    epochs: int = 8,
    units: int | None = None,
    functions: tuple[str, ...] = (),
    weights: int = 0,
    clip: float = 0.0,
    seed: int = 0,
    **changed: object,
) -> tuple[Settings, Result]:
    """Return a healthy training whose loss falls as 2.3 exp(-t / T), with noise.

    Args:
        layers: with weights, called dense, dense_1, ...
        steps_per_epoch: batches of 32.
        epochs: of the training; the probes are at epochs 0, 1, 2, 4, 8, ...
        units: layers with an activation; None: all but the last.
        functions: names of functions of a user.
        weights: number of weights in the snapshots; 0: none.
        clip: largest norm of a layer that is applied; 0: no clipping.
        seed: of the noise.
        **changed: fields of the result that take the place of these.
    """
    random = np.random.default_rng(seed)
    steps = steps_per_epoch * epochs
    step = np.arange(steps)
    progress = step / max(1, steps)
    noise = np.exp(0.25 * random.standard_normal((steps, layers)))
    scale = 0.5 ** np.arange(layers)[::-1]
    norm = scale * np.exp(-2.0 * progress)[:, None] * noise
    applied = np.minimum(norm, clip) if clip else norm
    loss = 2.3 * np.exp(-3 * progress) * np.exp(0.2 * random.standard_normal(steps))
    weight = np.full((steps, layers), 4.0) + progress[:, None]
    probes = np.array([e for e in (0, 1, 2, 4, 8, 16, 32, 64) if e <= epochs])
    at = probes / max(1, epochs)
    count = layers - 1 if units is None else units
    of_epoch = (np.arange(epochs) + 1) / max(1, epochs)
    history = np.stack(
        [2.3 * np.exp(-3 * of_epoch + 0.2), 2.4 * np.exp(-2.5 * of_epoch), 1 - 0.9 * np.exp(-3 * of_epoch)], 1
    )
    ends = np.cumsum(random.standard_normal((len(probes), weights)), axis=0) if weights else None
    result = Result(
        layers=tuple("dense" + (f"_{k}" if k else "") for k in range(layers)),
        optimizers=("sgd",),
        updates=np.array([steps]),
        step=step,
        optimizer=np.zeros(steps, int),
        loss=loss.astype(np.float32),
        learning_rate=np.full(steps, 0.01, np.float32),
        examples=np.full(steps, 32.0, np.float32),
        updated=np.ones(steps, bool),
        gradient_norm=norm.astype(np.float32),
        applied_norm=applied.astype(np.float32),
        update_norm=(0.01 * applied).astype(np.float32),
        weight_norm=weight.astype(np.float32),
        zero_share=np.full((steps, layers), 0.25, np.float32),
        nonfinite_share=np.zeros((steps, layers), np.float32),
        epoch_step=steps_per_epoch * (np.arange(epochs) + 1),
        history_names=("loss", "val_loss", "accuracy"),
        history=history.astype(np.float32),
        probe_epoch=probes,
        probe_step=probes * steps_per_epoch,
        probe_loss=2.3 * np.exp(-2.8 * at),
        probe_accuracy=1 - 0.9 * np.exp(-2.8 * at),
        sensitivity=1 + 9 * at,
        sharpness=20 + 170 * at,
        edge=np.full(len(probes), 200.0),
        noise_scale=10 * np.exp(4 * at),
        probe_seconds=np.full(len(probes), 0.5),
        unit_layers=tuple("dense" + (f"_{k}" if k else "") for k in range(count)),
        unit_counts=np.full(count, 64),
        dead_share=0.02 * at[:, None] * np.arange(1, count + 1),
        saturated_share=np.full((len(probes), count), np.nan),
        function_names=functions,
        functions=np.stack([np.cos(3 * at + k) for k in range(len(functions))], 1)
        if functions
        else np.zeros((len(probes), 0)),
        weights=None if ends is None else ends.astype(np.float32),
        facts=Facts(output_activation="softmax", loss="sparse_categorical_crossentropy", target_shape=(-1,)),
        seconds=10.0,
    )
    settings = Settings(
        model="Sequential net",
        parameters=12_345,
        optimizer="SGD (learning_rate 0.01)",
        loss="sparse_categorical_crossentropy",
        probe=200,
        functions=functions,
    )
    result = dataclasses.replace(result, **changed)
    shapes.check(result, settings)
    return settings, result
