"""A made-up training in which nothing is wrong, to be changed in one respect by each test."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from dlhw.watch.spec import Facts, Result, Settings

STEPS, LAYERS, EPOCHS = 200, 4, 10
FACTS = Facts(
    output_activation="softmax",
    hidden_activations=("relu",) * (LAYERS - 1),
    loss="sparse_categorical_crossentropy",
    from_logits="no",
    output_shape=(-1, 10),
    target_shape=(-1,),
    target_low=0.0,
    target_high=9.0,
    target_integer="yes",
    input_low=-2.0,
    input_high=2.0,
    input_mean=0.0,
    input_std=1.0,
    probe_low=-2.0,
    probe_high=2.0,
    probe_mean=0.0,
    probe_std=1.0,
    probe_label_shares=(0.1,) * 10,
    dropout=(0.5,),
    layer_kinds=("Dense",) * LAYERS,
    layer_sizes=(1000,) * LAYERS,
    first_layers=("Dense",),
    output_layer=f"dense_{LAYERS - 1}",
)
REGRESSION = dataclasses.replace(
    FACTS,
    output_activation="linear",
    loss="mean_squared_error",
    from_logits="",
    output_shape=(-1, 1),
    target_shape=(-1, 1),
    target_low=-3.0,
    target_high=3.0,
    target_integer="no",
    probe_label_shares=(),
    probe_target_variance=1.0,
)


def falling(start: float = 2.4, end: float = 0.2, count: int = STEPS) -> np.ndarray:
    """Losses that fall exponentially."""
    return start * (end / start) ** np.linspace(0, 1, count)


def training(facts: Facts | Mapping[str, Any] = FACTS, **changes: Any) -> tuple[Settings, Result]:
    """A training that learns well, with changes: arrays, or numbers that fill the array."""
    if not isinstance(facts, Facts):
        facts = dataclasses.replace(FACTS, **facts)
    loss = np.asarray(changes.pop("loss", falling()), float)
    steps, epochs = len(loss), EPOCHS
    epoch_step = np.linspace(0, steps, epochs + 1).round().astype(int)[1:]
    probe_epoch = np.array([0, 1, 2, 4, 8, 10])
    probe_step = np.concatenate([[0], epoch_step])[probe_epoch]
    probes = len(probe_epoch)
    at_probes = np.interp(probe_step, np.arange(steps), loss)
    running = np.array(
        [loss[min(a, steps - 1) : max(b, 1)].mean() for a, b in zip([0, *epoch_step[:-1]], epoch_step, strict=True)]
    )
    layered = {
        "gradient_norm": 0.5,
        "applied_norm": 0.5,
        "update_norm": 0.01,
        "weight_norm": 10.0,
        "zero_share": 0.1,
        "nonfinite_share": 0.0,
    }
    arrays: dict[str, Any] = {name: np.full((steps, LAYERS), value) for name, value in layered.items()}
    arrays |= {
        "layers": tuple(f"dense_{k}" for k in range(LAYERS)),
        "optimizers": ("sgd",),
        "updates": np.array([steps]),
        "step": np.arange(steps),
        "optimizer": np.zeros(steps, int),
        "loss": loss,
        "learning_rate": np.full(steps, 0.1),
        "examples": np.full(steps, 64.0),
        "updated": np.ones(steps, bool),
        "epoch_step": epoch_step,
        "history_names": ("loss", "val_loss"),
        "history": np.stack([running, running * 1.05], axis=1),
        "probe_epoch": probe_epoch,
        "probe_step": probe_step,
        "probe_loss": at_probes,
        "probe_accuracy": np.full(probes, 0.9),
        "sensitivity": np.ones(probes),
        "sharpness": np.full(probes, 10.0),
        "edge": np.full(probes, 20.0),
        "noise_scale": np.full(probes, 200.0),
        "probe_seconds": np.full(probes, 0.1),
        "unit_layers": tuple(f"dense_{k}" for k in range(LAYERS - 1)),
        "unit_counts": np.full(LAYERS - 1, 100),
        "dead_share": np.full((probes, LAYERS - 1), 0.02),
        "saturated_share": np.full((probes, LAYERS - 1), 0.02),
        "function_names": (),
        "functions": np.zeros((probes, 0)),
    }
    for name, value in changes.items():
        stored = arrays.get(name)
        if isinstance(stored, np.ndarray):
            arrays[name] = np.broadcast_to(np.asarray(value), np.shape(value) or stored.shape).copy()
            if np.ndim(value) == 1 and stored.ndim == 2:
                arrays[name] = np.broadcast_to(np.asarray(value), stored.shape).copy()
        else:
            arrays[name] = value
    return Settings(model="Sequential mlp", optimizer="SGD"), Result(facts=facts, **arrays)


def codes(findings: Any) -> list[str]:
    """Codes of severe findings and warnings."""
    return [finding.code for finding in findings if finding.severity != "note"]
