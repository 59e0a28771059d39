"""Ways in which `fit` may run: compiled or not, and what the optimizer does beside its rule."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import dlhw  # noqa: F401  (sets KERAS_BACKEND)
from tests.watch import kinds
from tests.watch.kinds import BATCH, EPOCHS, Case

import keras  # isort: skip
import tensorflow as tf  # isort: skip

BELOW_THE_RULE = ("gradient_accumulation_steps", "clipnorm", "global_clipnorm", "clipvalue", "loss_scale_factor")
"""Options of an optimizer that the oracle computes itself."""


@dataclass(frozen=True)
class Mode:
    """Arguments of `compile`; the optimizer, where it is not that of the kind; its options; and the replicas."""

    compiled: Mapping[str, Any] = field(default_factory=lambda: {"jit_compile": False})
    rule: Callable[..., Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    replicas: int = 1
    collectives: bool = False  # whether replicas add up by collective operations; else on one device


JIT, EAGER = {"jit_compile": True}, {"jit_compile": False, "run_eagerly": True}
SGD, SEVERAL = keras.optimizers.SGD, {"jit_compile": False, "steps_per_execution": 4}
MAIN = {
    "graph": Mode(),
    "jit": Mode(JIT),
    "eager": Mode(EAGER),
    "steps_per_execution": Mode(SEVERAL),
}
FURTHER = {
    "steps_per_execution with jit": Mode({"jit_compile": True, "steps_per_execution": 4}),
    "accumulation": Mode(options={"gradient_accumulation_steps": 3}),
    "accumulation with jit": Mode(JIT, options={"gradient_accumulation_steps": 3}),
    "eager accumulation with clipnorm": Mode(EAGER, options={"gradient_accumulation_steps": 2, "clipnorm": 0.1}),
    "clipnorm": Mode(options={"clipnorm": 0.1}),
    "clipnorm with jit": Mode(JIT, options={"clipnorm": 0.1}),
    "global_clipnorm": Mode(options={"global_clipnorm": 0.2}),
    "clipvalue": Mode(options={"clipvalue": 0.02}),
    "momentum": Mode(rule=SGD, options={"momentum": 0.9, "nesterov": True}),
    "AdamW with EMA and clipping": Mode(
        rule=keras.optimizers.AdamW,
        options={
            "weight_decay": 0.1,
            "use_ema": True,
            "ema_momentum": 0.5,
            "ema_overwrite_frequency": 3,
            "clipnorm": 0.2,
        },
    ),
    "weight decay with jit": Mode(JIT, rule=SGD, options={"weight_decay": 0.1}),
    "loss_scale_factor": Mode(options={"loss_scale_factor": 128.0}),
    "loss_scale_factor with clipping and accumulation": Mode(
        options={"loss_scale_factor": 64.0, "gradient_accumulation_steps": 2, "global_clipnorm": 0.2}
    ),
    "Lion with steps_per_execution": Mode(SEVERAL, rule=keras.optimizers.Lion),
    # Keras has no accumulation on several replicas, and the compiler no variables on several devices.
    "two replicas": Mode(replicas=2),
    "two replicas with steps_per_execution": Mode(SEVERAL, replicas=2),
    "two replicas with clipping": Mode(options={"global_clipnorm": 0.2}, replicas=2),
    "two replicas by collectives": Mode(options={"loss_scale_factor": 4.0}, replicas=2, collectives=True),
}
MODES = MAIN | FURTHER
REFUSED = {("embedding", mode) for mode, value in MODES.items() if "loss_scale_factor" in value.options}
"""Cells that Keras itself cannot train: it divides slices by a number."""
NOT_REPEATABLE = {("train_step that draws noise", "jit")}
"""Cells that differ from run to run, since the compiler knows no seed of TensorFlow's own random operations."""
ROUNDED = {("convolutions and batch norm", "momentum")}
"""Cells in which TensorFlow merges factors of a gradient that is read once: equal but for the last digit."""
RATE = 0.01


def rule_of(case: Case, mode: Mode, *, plain: bool = False) -> Any:
    """An optimizer; plain: without what the oracle computes itself."""
    options = {k: v for k, v in mode.options.items() if not (plain and k in BELOW_THE_RULE)}
    return (mode.rule or case.rule)(RATE, **options)


@functools.cache
def strategy(replicas: int, collectives: bool) -> Any:
    ways = {} if collectives else {"cross_device_ops": tf.distribute.ReductionToOneDevice()}
    return tf.distribute.MirroredStrategy([f"CPU:{k}" for k in range(replicas)], **ways)


def scope(mode: Mode) -> Any:
    return contextlib.nullcontext() if mode.replicas == 1 else strategy(mode.replicas, mode.collectives).scope()


def made(name: str, mode: Mode, seed: int = 3, *, compiled: bool = True) -> Case:
    """A kind, whose model is compiled for a mode."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    with scope(mode):
        case = kinds.KINDS[name]()
        if not compiled:
            return case
        more = {"critic_optimizer": rule_of(case, mode)} if case.rules == 2 else {}
        if case.loss_weights is not None:
            more["loss_weights"] = case.loss_weights
        case.model.compile(
            rule_of(case, mode), **({"loss": case.loss} if case.loss else {}), **more, **case.compiled, **mode.compiled
        )
    keras.utils.set_random_seed(seed + 1)
    return case


def parts(case: Case) -> list[tuple[Any, Any, Any]]:
    """The batches of an epoch: inputs, targets and weights."""
    n = len(keras.tree.flatten(case.x)[0])
    weight = case.sample_weight
    if case.class_weight is not None:
        weight = np.array([case.class_weight[int(label)] for label in case.y], np.float32)

    def cut(a: Any, at: slice) -> Any:
        return keras.tree.map_structure(lambda leaf: None if leaf is None else leaf[at], a)

    slices = [slice(k, min(k + BATCH, n)) for k in range(0, n, BATCH)]
    return [(cut(case.x, at), cut(case.y, at), None if weight is None else weight[at]) for at in slices]


class Batches(keras.utils.PyDataset):
    def __init__(self, case: Case) -> None:
        super().__init__()
        self.batches = [batch[:2] for batch in parts(case)]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Any:
        return self.batches[index]


def fit(case: Case, *callbacks: Any, epochs: int = EPOCHS, **more: Any) -> Any:
    """Train a kind on its batches in order; returns what `fit` returns."""
    named: dict[str, Any] = {"epochs": epochs, "verbose": 0, "shuffle": False, "callbacks": list(callbacks)} | more
    if case.feed == "dataset":
        data = tf.data.Dataset.from_tensor_slices((case.x, case.y)).batch(BATCH)
        return case.model.fit(data.filter(lambda *_: True), **named)
    if case.feed == "generator":
        batches = [batch[:2] for batch in parts(case)]
        endless = (batches[k % len(batches)] for k in range(10**6))
        return case.model.fit(endless, steps_per_epoch=len(batches), **named)
    if case.feed == "sequence":
        return case.model.fit(Batches(case), **named)
    targets = keras.tree.map_structure(lambda a: a, case.y)
    if isinstance(targets, list) and targets[-1] is None:
        targets = [*targets[:1], np.zeros((len(targets[0]), 2), np.float32)]
    named |= {"sample_weight": case.sample_weight, "class_weight": case.class_weight, "batch_size": BATCH}
    return case.model.fit(case.x, targets, **named)
