"""What has to be known of a model before anything is measured on it, found out on a few examples.

An instrument is a function of weights and data only where a forward pass is one. Whether it is cannot be read off the
layers of a model, which may hold anything; it is tried: twice, on a batch and on its two parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlhw._tf.inputs import first_line, take
from dlhw._tf.losses import ExampleLoss, are_probabilities
from dlhw._tf.types import Tensor
from dlhw.errors import UserError, require
from dlhw.models.forward import Forward
from dlhw.models.state import agree, all_variables, first_difference, layer_outputs, require_built, restore_weights

EXAMPLES = 8
CUT = 3
"""Where the examples are cut in two; unequal, so that a sum over a batch shows."""


@dataclass(frozen=True)
class Probe:
    """How a forward pass of a model in inference mode behaves."""

    masked: bool  # whether some losses do not count
    entries: int  # losses per example
    moving: tuple[Any, ...]  # variables that a pass changes: put back before every pass
    separable: bool  # whether an example's loss is the same in any batch
    added: tuple[str, ...]  # of each loss that layers add: "mean" or "sum" over the batch; "whole": neither
    probabilities: bool  # whether the outputs are non-negative and sum to one
    classes: int  # size of the last axis of the outputs

    @property
    def at_once(self) -> bool:
        """Whether the examples can only be taken all at once."""
        return not self.separable or "whole" in self.added


def probe(model: keras.Model, loss: ExampleLoss | None, x: Tensor, y: Tensor = None) -> Probe:
    """Try `model` on a few examples of the tensors x, y; nothing of the model is changed.

    Raises:
        UserError: for a model that is not built, has several outputs, cannot be called on x, or gives unequal outputs
            for equal inputs, weights and states; for targets that do not go with its outputs.
    """
    require_built(model)
    rows = _rows(model, x)
    with restore_weights(model):
        variables = all_variables(model)
        before = [v.numpy() for v in variables]
        forward = Forward(model)

        def passed(rows: np.ndarray) -> tuple[Any, list[Any]]:
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)
            z = forward(take(x, rows))
            return z, [tf.reduce_sum(tf.cast(a, tf.float64)) for a in model.losses]

        z, added = passed(rows)
        require(
            len(all_variables(model)) == len(variables),
            f"model {model.name!r} was not built: call it once on data, model(x[:1])",
        )
        moving = tuple(
            v for v, b in zip(variables, before, strict=True) if not np.array_equal(v.numpy(), b, equal_nan=_floats(b))
        )
        again, added_again = passed(rows)
        equal = agree(z, again) and all(agree(a, b, 1e-4) for a, b in zip(added, added_again, strict=True))
        if not equal:
            _refuse_random(model, take(x, rows), variables, before)
        parts = [] if _fixed_batch(model) else [passed(rows[:CUT]), passed(rows[CUT:])]
        masked, entries, losses_equal = False, 1, True
        if loss is not None:
            masked, entries, losses_equal = _tried_loss(loss, y, rows, z, [p for p, _ in parts])
        # Kernels choose other algorithms for other batch sizes, whose rounding grows through a deep net.
        separable = bool(parts) and losses_equal and agree(z, tf.concat([p for p, _ in parts], 0), _tolerance(z.dtype))
        kinds = [_kind(float(a), [float(p[k]) for _, p in parts]) for k, a in enumerate(added)]
        regularizers = sum(getattr(v, "regularizer", None) is not None for v in model.trainable_weights)
        kinds[len(kinds) - regularizers :] = ["mean"] * regularizers  # of weights alone: the same in every batch
    is_half = z.dtype.size == 2
    probabilities = are_probabilities(np.asarray(tf.cast(z, tf.float32)), 1e-2 if is_half else 1e-4)
    classes = int(z.shape[-1]) if len(z.shape) > 1 else 1
    return Probe(masked, entries, moving, separable, tuple(kinds), probabilities, classes)


def _floats(array: np.ndarray) -> bool:
    return array.dtype.kind == "f"


def _rows(model: keras.Model, x: Tensor) -> np.ndarray:
    """Return which examples are tried: repeated if there are few, as many as the model requires."""
    n = int(tf.nest.flatten(x)[0].shape[0])
    return np.resize(np.arange(min(n, EXAMPLES)), _fixed_batch(model) or EXAMPLES)


def _fixed_batch(model: keras.Model) -> int | None:
    """Return the fixed batch size of the model, if it has one."""
    inputs = getattr(model, "inputs", None) or ()
    return next((int(i.shape[0]) for i in inputs if i.shape and i.shape[0] is not None), None)


def _kind(whole: float, parts: list[float]) -> str:
    """Return how a loss added by a layer depends on the batch."""
    if not parts:
        return "whole"

    def near(a: float, b: float) -> bool:
        return abs(a - b) <= 1e-3 * max(abs(a), abs(b), 1e-30)

    first, second = parts
    if near(whole, (CUT * first + (EXAMPLES - CUT) * second) / EXAMPLES) and whole != 0:
        return "mean"
    return "sum" if near(whole, first + second) and whole != 0 else "whole"


def _tried_loss(
    loss: ExampleLoss, y: Tensor, rows: np.ndarray, z: Tensor, parts: list[Tensor]
) -> tuple[bool, int, bool]:
    """Whether losses are masked, how many an example has, and whether they are the same in parts of a batch."""
    targets = take(y, rows)
    loss.check(y, z)
    try:
        # As many examples as no axis of the outputs is long: (n,) against (n, n) would broadcast.
        fewer = next(n for n in range(len(rows), 0, -1) if n not in z.shape[1:]) if len(rows) > 1 else 1
        loss.terms(targets[:fewer], z[:fewer])
        terms, mask = loss.terms(targets, z)
    except (ValueError, TypeError, tf.errors.OpError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"the loss cannot be computed from targets {tuple(y.shape)} and outputs {('n', *z.shape[1:])}: "
            f"{first_line(error)}"
        ) from None
    entries = int(np.prod(terms.shape[1:]))
    if not parts:
        return mask is not None, entries, False
    cut = [loss.terms(t, p)[0] for t, p in zip((targets[:CUT], targets[CUT:]), parts, strict=True)]
    return mask is not None, entries, agree(terms, tf.concat(cut, 0), _tolerance(z.dtype))


def _tolerance(dtype: tf.DType) -> float:
    return {2: 0.05, 4: 1e-3}.get(dtype.size, 1e-8)


def _refuse_random(model: keras.Model, x: Tensor, variables: list[Tensor], before: list[Any]) -> None:
    """Raise UserError that names the first layer whose outputs differ between two equal passes."""
    calls = []
    for _ in range(2):
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
        calls.append(layer_outputs(model, x))
    raise UserError(
        f"two passes of {model.name!r} at the same weights differ: {first_difference(*calls)} is random or keeps state "
        "outside its variables; draw with a keras.random.SeedGenerator that the layer holds, or leave the layer out"
    )
