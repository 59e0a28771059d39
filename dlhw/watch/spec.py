"""What a watched training records: its settings, and arrays by step, epoch and probe. Needs no TensorFlow.

Sizes: S recorded steps, L layers with trainable weights (of all optimizers), O optimizers, E epochs, H columns of the
history, P probes, U layers with an activation, M functions of the user, N weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import require
from dlhw.runs.settings import check, option

Array = NDArray[np.floating]
Integers = NDArray[np.integer]
Flags = NDArray[np.bool_]

MEASURES = ("loss", "units", "sensitivity", "sharpness", "noise", "weights")
"""What is measured on the probe, unless fewer are named."""


@dataclass(frozen=True)
class Settings:
    """What a watched training is; two of them with equal settings replace each other in a folder."""

    model: str = option("", "Class and name of the model.")
    parameters: int = option(0, "Number of trainable weights.")
    optimizer: str = option("", "Optimizers, with what differs from their defaults.")
    loss: str = option("", "Compiled loss.")
    probe: int = option(0, "Examples of the probe; 0: none.")
    every: int = option(0, "Epochs between two probes; 0: at epochs 0, 1, 2, 4, 8, ...")
    measures: tuple[str, ...] = option(MEASURES, "What is measured on the probe.")
    functions: tuple[str, ...] = option((), "Names of functions of the user that are measured on the probe.")

    def __post_init__(self) -> None:
        check(self)
        unknown = [name for name in self.measures if name not in MEASURES]
        require(not unknown, f"`measures` {', '.join(unknown)!r} unknown; use {', '.join(MEASURES)}")
        require(self.every >= 0, f"`every` {self.every} must be 0 (epochs 0, 1, 2, 4, 8, ...) or more")


@dataclass(frozen=True)
class Facts:
    """What a model, its loss and the first training batch say before any training; "" or nan: not known."""

    output_activation: str = ""  # softmax, sigmoid, linear, relu, ...
    hidden_activations: tuple[str, ...] = ()  # of the layers in Result.unit_layers
    loss: str = ""  # name of the Keras loss, in snake case
    from_logits: str = ""  # yes, no
    output_shape: tuple[int, ...] = ()  # of a batch, -1 where it varies
    target_shape: tuple[int, ...] = ()
    target_low: float = float("nan")
    target_high: float = float("nan")
    target_integer: str = ""  # yes, no: whether all targets of the first batch are whole numbers
    input_low: float = float("nan")  # over the first training batch
    input_high: float = float("nan")
    input_mean: float = float("nan")
    input_std: float = float("nan")
    probe_low: float = float("nan")  # over the inputs of the probe
    probe_high: float = float("nan")
    probe_mean: float = float("nan")
    probe_std: float = float("nan")
    probe_label_shares: tuple[float, ...] = ()  # of the classes, where targets are class labels
    probe_target_variance: float = float("nan")  # of targets that are not class labels
    constant_layers: tuple[str, ...] = ()  # whose kernel has one value at the start
    dropout: tuple[float, ...] = ()  # rates of all Dropout layers
    layer_kinds: tuple[str, ...] = ()  # classes of Result.layers: Dense, Conv2D, BatchNormalization, ...
    layer_sizes: tuple[int, ...] = ()  # trainable weights of Result.layers
    first_layers: tuple[str, ...] = ()  # classes that the inputs pass, up to the first that has weights or scales
    output_layer: str = ""  # name of the layer that computes the output
    penalty: float = float("nan")  # sum of the losses of regularizers before training
    input_nonfinite: float = float("nan")  # share of entries that are not finite; low to std are of the others
    target_nonfinite: float = float("nan")
    weighted: str = ""  # yes, no: whether examples have weights of their own, or of their class
    target_distinct: int = 0  # values among the targets of the first batch; 0: not known
    target_one_hot: str = ""  # yes: rows of zeros and a single one; no


@dataclass(frozen=True)
class Result:
    """What was recorded."""

    layers: Annotated[tuple[str, ...], "L"]
    optimizers: Annotated[tuple[str, ...], "O"]
    updates: Annotated[Integers, "O"]  # steps that every optimizer took

    step: Annotated[Integers, "S"]  # number of the batch in the whole training, from 0
    optimizer: Annotated[Integers, "S"]  # which one took the step
    loss: Annotated[Array, "S"]  # of the batch itself, before the update; nan: not known
    learning_rate: Annotated[Array, "S"]
    examples: Annotated[Array, "S"]  # of the batch; nan: not known
    updated: Annotated[Flags, "S"]  # False: gradients were accumulated, or skipped because they were not finite
    gradient_norm: Annotated[Array, "S, L"]  # raw; unscaled, summed over replicas; nan: a layer of another optimizer
    applied_norm: Annotated[Array, "S, L"]  # after accumulation and clipping; 0 where nothing was applied
    update_norm: Annotated[Array, "S, L"]  # of the change of the weights
    weight_norm: Annotated[Array, "S, L"]  # before the update
    zero_share: Annotated[Array, "S, L"]  # of raw gradient entries
    nonfinite_share: Annotated[Array, "S, L"]

    epoch_step: Annotated[Integers, "E"]  # batches seen by the end of every epoch
    history_names: Annotated[tuple[str, ...], "H"]  # logs of Keras
    history: Annotated[Array, "E, H"]

    probe_epoch: Annotated[Integers, "P"]
    probe_step: Annotated[Integers, "P"]
    probe_loss: Annotated[Array, "P"]
    probe_accuracy: Annotated[Array, "P"]
    sensitivity: Annotated[Array, "P"]
    sharpness: Annotated[Array, "P"]  # largest Hessian eigenvalue
    edge: Annotated[Array, "P"]  # 2 / eta, 2 (1 + beta) / eta with heavy ball; nan: another optimizer
    noise_scale: Annotated[Array, "P"]  # in examples
    probe_seconds: Annotated[Array, "P"]
    unit_layers: Annotated[tuple[str, ...], "U"]
    unit_counts: Annotated[Integers, "U"]
    dead_share: Annotated[Array, "P, U"]
    saturated_share: Annotated[Array, "P, U"]
    function_names: Annotated[tuple[str, ...], "M"]
    functions: Annotated[Array, "P, M"]
    weights: Annotated[Array, "P, N"] | None = None  # in the order of the trainable weights

    nonfinite_layer: str = ""  # the first layer, in the order of computation, with an output that is not finite
    facts: Facts = field(default_factory=Facts)
    notes: tuple[str, ...] = ()  # what could not be recorded, one sentence each
    seconds: float = float("nan")  # of training, without probes
    ended: str = ""  # "": as planned; else "interrupted"
