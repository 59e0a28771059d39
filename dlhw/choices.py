"""The values that settings and arguments choose from. Imports nothing, so that `--help` stays fast."""

from __future__ import annotations

from typing import Literal

Activation = Literal["relu", "tanh", "sigmoid", "elu", "selu", "gelu", "silu", "softplus"]
"""Activation of hidden layers, by its Keras name."""
OptimizerName = Literal["sgd", "nesterov", "adam", "rmsprop", "sam"]
"""sam: sharpness-aware minimization with sgd."""
WITH_MOMENTUM: tuple[OptimizerName, ...] = ("sgd", "nesterov", "sam")
Decay = Literal["decoupled", "l2"]
"""Weight decay: decoupled shrinks the weights before each update; l2 adds to the gradient."""
Init = Literal["torch", "keras"]
"""torch: weights and biases uniform in +-1/sqrt(fan_in), as in PyTorch; keras: Glorot uniform, zero biases."""
DatasetName = Literal["mnist", "fashion-mnist", "cifar10", "digits", "mnist-5k"]
Precision = Literal["float32", "mixed"]
"""mixed: weights in float32, computations in bfloat16."""
TargetScale = Literal["unit", "raw"]
"""unit: a target function is divided by its largest absolute value; raw: it is not."""
Until = Literal["epochs", "converged"]
"""epochs: train for all of them; converged: stop where the loss has converged, and train for all at most."""
Norm = Literal["filter", "layer", "weight", "none"]
"""How a random direction in weight space is scaled."""
Device = Literal["auto", "cpu", "gpu"]
Strategy = Literal["auto", "none", "mirrored", "multi-worker"]
Xla = Literal["auto", "on", "off"]
Layout = Literal["auto", "plain", "batch-innermost"]
"""plain: Keras's own layers; batch-innermost: the batch as the last axis of activations, compiled with XLA."""
Preset = Literal["quick", "full", "complete"]
"""quick: reduced settings. full: those of the course assignment. complete: also what it gives extra credit for."""
PRESETS: tuple[Preset, ...] = ("quick", "full", "complete")
"""Every preset has the runs of those before it."""
