"""The outputs of a model as a function of weights and inputs, and how they are computed: the only place for both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Literal, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from dlhw._tf.inputs import first_line
from dlhw._tf.types import Tensor
from dlhw.choices import Layout
from dlhw.errors import UserError, require
from dlhw.models.batch_innermost.chain import Chain, chain_of
from dlhw.models.state import agree, restore_weights

Work: TypeAlias = Literal["training", "value", "gradient", "product", "sensitivity", "jacobian", "line"]
_chosen: Layout = "auto"
_TRIED = 3
"""Examples on which both ways are compared before the second is used."""


class Forward:
    """f(weights, x, training): the outputs of a Keras model, (n, ...).

    `layout` says how they are computed: "plain" calls the Keras model; "batch-innermost" computes the same with the
    batch as the last axis of all activations, which on a CPU is faster for convolutions if compiled with XLA.
    """

    def __init__(self, model: keras.Model, chain: Chain | None = None) -> None:
        self.model, self.chain = model, chain

    @property
    def layout(self) -> Layout:
        """How outputs are computed: "plain" or "batch-innermost"."""
        return "plain" if self.chain is None else "batch-innermost"

    @property
    def xla(self) -> bool:
        """Whether functions that call this one have to be compiled with XLA to be fast."""
        return self.chain is not None

    @property
    def in_pieces(self) -> bool:
        """Whether a batch should be taken in pieces in training, and can be."""
        return self.chain is not None and not self.chain.whole_batches

    def __call__(self, x: Tensor, training: bool = False, weights: Sequence[Tensor] | None = None) -> Tensor:
        """Return the outputs, (n, ...).

        Args:
            x: inputs, (n, ...).
            training: as in Keras; then states of the model move, unless `weights` are given.
            weights: one tensor for each of `model.weights`; None: those that the model holds.

        Raises:
            UserError: if the model has several outputs, or cannot be computed from x.
        """
        try:
            z = self._plain(x, training, weights) if self.chain is None else self._chain(x, training, weights)
        except (ValueError, TypeError, LookupError, NotImplementedError, AttributeError, tf.errors.OpError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"model {self.model.name!r} cannot be called on x: {first_line(error)}") from None
        require(
            tf.is_tensor(z),
            "the model has several outputs; give a model of one, such as keras.Model(inputs, outputs[0])",
        )
        return z

    def _plain(self, x: Tensor, training: bool, weights: Sequence[Tensor] | None) -> Tensor:
        if weights is None:
            return self.model(x, training=training)
        tensors = {id(v): w for v, w in zip(self.model.weights, weights, strict=True)}
        trained, others = (
            [tensors.get(id(v), v.value) for v in variables]
            for variables in (self.model.trainable_variables, self.model.non_trainable_variables)
        )
        return self.model.stateless_call(trained, others, x, training=training)[0]

    def _chain(self, x: Tensor, training: bool, weights: Sequence[Tensor] | None) -> Tensor:
        given = {} if weights is None else {id(v): w for v, w in zip(self.model.weights, weights, strict=True)}

        def read(variable: keras.Variable) -> Tensor:
            return given[id(variable)] if given else tf.convert_to_tensor(variable.value)

        return self.chain(x, read, training)  # type: ignore[misc]


def forward_function(model: keras.Model, layout: Layout, work: Work, examples: int | None = None) -> Forward:
    """Return the forward function of `model`.

    Args:
        model: any built Keras model.
        layout: "auto" takes what is faster; "batch-innermost" takes that layout where the model allows it.
        work: what is computed.
        examples: number of examples in all; None: many.
    """
    layout = _chosen if layout == "auto" else layout
    if layout == "plain" or (layout == "auto" and not use_batch_innermost(model, work, examples)):
        return Forward(model)
    chain = chain_of(model, first_reused=work == "line")
    return Forward(model, chain) if chain is not None and _agrees(model, chain) else Forward(model)


_LEAST: Mapping[Work, tuple[float, float]] = {
    "training": (300_000, 100_000),
    "value": (np.inf, 50_000),
    "gradient": (np.inf, 2_000),
    "product": (1_000, 1_000),
    "sensitivity": (50_000, 20_000),
    "jacobian": (8_000, 8_000),
    "line": (100_000, 100_000),
}
"""Examples from which the batch-innermost layout is faster in all, with AVX-512 and without: `benchmarks/layout.py`.

Compilation takes one to three seconds. With AVX-512, Keras's convolutions are as fast for values and gradients.
"""


def use_batch_innermost(model: keras.Model, work: Work, examples: int | None = None) -> bool:
    """Return whether the batch-innermost layout is faster, as measured for nets of convolutions and max-pools.

    It is not on a GPU, for nets without both, and for work so short that compiling it does not pay. On lines and planes
    it is faster for every net, since only there the first layer is not computed at each point.

    Args:
        model: any Keras model.
        work: training, value, gradient, product (Hessian times vector), sensitivity, jacobian, or line (losses at many
            points of a line or plane of weights).
        examples: how many are computed in all, counted at every point and in every epoch; None: many.

    Returns:
        Whether it is faster.

    Example:
        >>> from dlhw import models
        >>> net = models.image_net("2c3-p2-4", (8, 8, 1), 3)
        >>> models.use_batch_innermost(net, "line"), models.use_batch_innermost(net, "line", 1000)
        (True, False)
    """
    kinds = {type(layer) for layer in model.layers}
    if work != "line" and not {keras.layers.Conv2D, keras.layers.MaxPooling2D} <= kinds:
        return False
    least = _least(work)
    return bool(np.isfinite(least) if examples is None else examples >= least)


def _least(work: Work) -> float:
    """Return the number of examples from which the batch-innermost layout pays on this machine."""
    if tf.config.list_physical_devices("GPU"):
        return np.inf
    return _LEAST[work][0 if _has_avx512() else 1]


def auto_layouts() -> dict[str, str]:
    """Return what "auto" takes on this machine for each kind of work, in words."""

    def words(least: float) -> str:
        return "plain" if np.isinf(least) else f"batch-innermost from {least:,.0f} examples in all, else plain"

    return {work: words(_least(work)) for work in _LEAST}


@cache
def _has_avx512() -> bool:
    """Whether the processor computes on 16 numbers at once."""
    extensions = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    return any(name.startswith(("AVX512", "X86_V4")) for name in extensions)


@contextmanager
def layout(choice: Layout) -> Iterator[None]:
    """Context manager: compute the outputs of all models with this layout, where they allow it.

    Args:
        choice: "auto" takes what is faster on this machine; "plain" calls the Keras model; "batch-innermost" takes the
            other one for every chain of layers that it knows, also for short trainings and on a GPU.

    Returns:
        A context manager, of the whole process.

    Raises:
        UserError: for another name.

    Example:
        >>> from dlhw import models
        >>> with models.layout("plain"):
        ...     models.forward_function(models.image_net("2c3-p2-4", (8, 8, 1), 3)).layout
        'plain'
    """
    before = _chosen
    set_layout(choice)
    try:
        yield
    finally:
        set_layout(before)


def set_layout(choice: Layout) -> None:
    """Compute the outputs of all models of this process with this layout; see :func:`layout`."""
    global _chosen
    require(choice in ("auto", "plain", "batch-innermost"), f"`layout` {choice!r}: use auto, plain or batch-innermost")
    _chosen = choice


def _agrees(model: keras.Model, chain: Chain) -> bool:
    """Whether both ways give the same outputs for a few inputs: a subclassed or changed layer may differ."""
    shape = (_TRIED, *model.inputs[0].shape[1:])
    x = tf.constant(np.random.default_rng(0).uniform(-1, 1, shape), model.inputs[0].dtype)
    with restore_weights(model):
        try:
            return agree(Forward(model, chain)(x), Forward(model)(x))
        except UserError:
            return False
