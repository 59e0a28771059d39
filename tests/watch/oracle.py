"""The same training, step by step in plain eager Python, and the numbers that a watched one must have recorded.

Independent of `dlhw.watch`: own `GradientTape`; loss, regularizers, class weights, halves of replicas, loss scaling,
accumulation and clipping written out here; only the rule itself (Adam, SGD, ..., with decay, averaging and constraints)
is Keras's, called with the gradients that are due. Layers are objects of Keras here, not parts of names. The
tolerance is that of another order of additions, since `fit` computes the same step as another program.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import dlhw  # noqa: F401  (sets KERAS_BACKEND)

import keras  # isort: skip
import tensorflow as tf  # isort: skip

SCALE = 2.0**15  # of a new LossScaleOptimizer
NORMS = ("gradient_norm", "applied_norm", "update_norm", "weight_norm")
SHARES = ("zero_share", "nonfinite_share")


@dataclass
class Call:
    """What an optimizer is called with: gradients of every replica, and which optimizer it is."""

    loss: Any
    variables: list[Any]
    gradients: list[list[Any]]
    rule: int = 0


@dataclass
class Gradient:
    """A gradient in NumPy; `values` are the entries that Keras clips: slices where it has slices."""

    values: np.ndarray
    rows: np.ndarray | None
    shape: tuple[int, ...]

    def dense(self) -> np.ndarray:
        if self.rows is None:
            return self.values
        whole = np.zeros(self.shape, self.values.dtype)
        np.add.at(whole, self.rows, self.values)
        return whole

    def with_values(self, values: np.ndarray) -> Gradient:
        return Gradient(values, self.rows, self.shape)


def as_numpy(gradient: Any, variable: Any, scale: float) -> Gradient | None:
    if gradient is None:
        return None
    sliced = isinstance(gradient, tf.IndexedSlices)
    values, rows = (gradient.values, gradient.indices.numpy()) if sliced else (gradient, None)
    return Gradient(values.numpy() / values.numpy().dtype.type(scale), rows, tuple(variable.shape))


def objective(case: Any, model: Any, outputs: Any, y: Any, weight: Any) -> Any:
    """The loss of a batch as Keras documents it: means, weighted sums of outputs, and regularizers."""
    many = isinstance(outputs, (list, tuple))
    outputs, targets = (outputs, y) if many else ([outputs], [y])
    losses = case.loss if many else [case.loss]
    total = 0.0
    for k, (out, target, loss) in enumerate(zip(outputs, targets, losses, strict=True)):
        if loss is None:
            continue
        function = loss if callable(loss) else keras.losses.get(loss)
        out = tf.cast(out, tf.float32) if out.dtype != tf.float64 else out
        values = tf.convert_to_tensor(function(target, out))
        if weight is not None:
            values *= tf.cast(weight, values.dtype)
        total += (case.loss_weights[k] if case.loss_weights else 1.0) * tf.reduce_mean(values)
    return total + tf.add_n(model.losses) if model.losses else total


def standard_calls(case: Any, model: Any, x: Any, y: Any, weight: Any, scale: float, replicas: int) -> Iterator[Call]:
    """The step of Keras; the loss of a replica is divided by their number."""
    n = len(keras.tree.flatten(x)[0])
    bounds = [min(k * -(-n // replicas), n) for k in range(replicas + 1)]
    loss, gradients = 0.0, []
    for low, high in itertools.pairwise(bounds):
        cut = lambda a: None if a is None else a[low:high]  # noqa: B023, E731
        part_x, part_y, part_weight = (keras.tree.map_structure(cut, a) for a in (x, y, weight))
        with tf.GradientTape() as tape:
            part = objective(case, model, model(part_x, training=True), part_y, part_weight) / replicas
            scaled = part * scale
        gradients.append(tape.gradient(scaled, model.trainable_weights))
        loss = loss + part.numpy()
    yield Call(loss, model.trainable_weights, gradients)


def clipped(gradients: list[Gradient | None], options: dict[str, Any]) -> list[Gradient | None]:
    """Clip by the first of the three that is asked for."""
    known = [g for g in gradients if g is not None]
    if "clipnorm" in options:
        new = [g.with_values(g.values * min(1.0, options["clipnorm"] / np.linalg.norm(g.values))) for g in known]
    elif "global_clipnorm" in options:
        whole = np.sqrt(sum(float(np.sum(g.values.astype(np.float64) ** 2)) for g in known))
        share = np.float32(min(1.0, options["global_clipnorm"] / whole))
        new = [Gradient(g.dense() * share, None, g.shape) for g in known]  # Keras fills slices up here
    elif "clipvalue" in options:
        new = [g.with_values(np.clip(g.values, -options["clipvalue"], options["clipvalue"])) for g in known]
    else:
        new = known
    following = iter(new)
    return [None if g is None else next(following) for g in gradients]


def as_tensor(gradients: tuple[Gradient | None, ...], variable: Any) -> Any:
    """Add up replicas. Slices stay slices: Keras squares them one by one, where a row occurs twice."""
    if gradients[0] is None:
        return None
    if gradients[0].rows is None:
        return tf.constant(sum(g.dense() for g in gradients), variable.dtype)
    values, rows = (np.concatenate(a) for a in zip(*((g.values, g.rows) for g in gradients), strict=True))
    return tf.IndexedSlices(tf.constant(values, variable.dtype), tf.constant(rows), tf.constant(tuple(variable.shape)))


class Rule:
    """One optimizer: accumulation, clipping and replicas by NumPy, its rule by Keras."""

    def __init__(self, optimizer: Any, options: dict[str, Any], replicas: int) -> None:
        self.optimizer, self.options, self.replicas = optimizer, options, replicas
        self.every = options.get("gradient_accumulation_steps", 1)
        self.calls = 0
        self.empty_calls = 0  # iterations that Keras counts where data have run out
        self.sums: list[list[Any]] = [[] for _ in range(replicas)]

    def step(self, gradients: list[list[Gradient | None]], variables: list[Any]) -> list[np.ndarray] | None:
        """Apply; returns the dense gradients that entered the rule, None where nothing was applied."""
        self.calls += 1
        for held, own in zip(self.sums, gradients, strict=True):
            held.append(own)
        if self.calls % self.every:
            return None
        applied = [clipped(self._mean(held), self.options) for held in self.sums]
        self.sums = [[] for _ in range(self.replicas)]
        total = [None if g[0] is None else sum(part.dense() for part in g) for g in zip(*applied, strict=True)]
        if not self.optimizer.built:
            self.optimizer.build(variables)
        self.optimizer.iterations.assign(self.calls // self.every - 1 + self.empty_calls)
        given = [as_tensor(g, v) for g, v in zip(zip(*applied, strict=True), variables, strict=True)]
        self.optimizer.apply(given, variables)
        return [np.zeros(tuple(v.shape)) if g is None else g for g, v in zip(total, variables, strict=True)]

    def _mean(self, held: list[list[Gradient | None]]) -> list[Gradient | None]:
        if self.every == 1:
            return held[0]
        columns = zip(*held, strict=True)
        return [
            None if c[0] is None else Gradient(sum(g.dense() for g in c) / self.every, None, c[0].shape)
            for c in columns
        ]


def owners(model: Any) -> list[tuple[str, set[int]]]:
    """Name of every layer that has weights itself, and their ids; weights of the model itself under their own names."""
    layers = [layer for layer in model._flatten_layers(include_self=False) if layer._trainable_variables]
    own = [(v.name, {id(v)}) for v in model._trainable_variables]
    return own + [(layer.name, {id(v) for v in layer._trainable_variables}) for layer in layers]


def replay(
    case: Any, mode: Any, rules: list[Any], batches: list[Any], epochs: int, *, counts_the_end: bool = False
) -> dict[str, Any]:
    """What a watched training must have recorded: fields of `Result`, and `names` of the layers of every row."""
    model = case.model
    if not model.built:
        model(batches[0][0])
    options = dict(mode.options)
    fixed = options.get("loss_scale_factor", 1.0)
    scale = SCALE if case.scaled else fixed
    steps = [Rule(rule, options, mode.replicas) for rule in rules]
    layers = owners(model)
    rows: list[dict[str, Any]] = []
    for number, (x, y, weight) in enumerate(batches * epochs):
        if counts_the_end and number and number % len(batches) == 0:
            for rule in steps:
                rule.empty_calls += 1
        if case.calls is None:
            calls = standard_calls(case, model, x, y, weight, scale, mode.replicas)
        else:
            calls = case.calls(case, model, x, y, weight)
        for call in calls:
            gradients = [
                [as_numpy(g, v, scale) for g, v in zip(own, call.variables, strict=True)] for own in call.gradients
            ]
            before = [v.numpy() for v in call.variables]
            finite = all(np.isfinite(g.values).all() for own in gradients for g in own if g is not None)
            skipped = case.scaled and not finite
            applied = None if skipped else steps[call.rule].step(gradients, call.variables)
            scale = scale / 2 if skipped else scale
            row = {"step": number, "rule": call.rule, "loss": np.nan if not case.loss_known else float(call.loss)}
            row |= {"updated": applied is not None, "examples": len(keras.tree.flatten(x)[0])}
            rows.append(row | by_layer(layers, call.variables, gradients, applied, before))
    rows.sort(key=lambda row: (row["step"], row["rule"]))  # within a batch, as the optimizers are numbered
    return {key: [row[key] for row in rows] for key in rows[0]}


def by_layer(layers: Any, variables: Any, gradients: Any, applied: Any, before: Any) -> dict[str, dict[str, float]]:
    """The six statistics of every layer of an optimizer, by name of the statistic; the layers in the order of their
    variables."""
    found: dict[str, Any] = {key: [] for key in (*NORMS, *SHARES)}
    found["names"] = []
    order = sorted(layers, key=lambda layer: min([k for k, v in enumerate(variables) if id(v) in layer[1]], default=-1))
    for name, ids in order:
        own = [k for k, v in enumerate(variables) if id(v) in ids]
        if not own:
            continue
        raw, used, moved, held = [], [], [], []
        for k in own:
            zero = np.zeros(before[k].shape)
            several = [g[k] for g in gradients]
            raw.append(zero if several[0] is None else sum(g.dense().astype(np.float64) for g in several))
            used.append(zero if applied is None else applied[k])
            moved.append(variables[k].numpy().astype(np.float64) - before[k])
            held.append(before[k])
        whole = [np.concatenate([np.ravel(a).astype(np.float64) for a in part]) for part in (raw, used, moved, held)]
        with np.errstate(invalid="ignore", over="ignore"):
            for key, values in zip(NORMS, whole, strict=True):
                found[key].append(np.linalg.norm(values))
        found["zero_share"].append(np.mean(whole[0] == 0))
        found["nonfinite_share"].append(np.mean(~np.isfinite(whole[0])))
        found["names"].append(name)
    return found
