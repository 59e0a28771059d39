"""The outputs of a model as a function of weights and inputs, and how they are computed: the only place for both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from dlhw._tf.inputs import first_line
from dlhw._tf.types import Data, Tensor
from dlhw.choices import Layout
from dlhw.errors import UserError, require
from dlhw.models.batch_innermost.chain import Chain, chain_of
from dlhw.models.layout_rule import WORKS, Work, least_examples, pays
from dlhw.models.state import agree, restore_weights

_chosen: Layout = "auto"
_TRIED = 3
"""Examples on which both ways are compared before the second is used."""


class LayoutError(RuntimeError):
    """The batch-innermost layout cannot compute a model; the plain one may."""


FAILURES = (LayoutError, tf.errors.OpError, LookupError, TypeError, ValueError, NotImplementedError)
"""What tracing and compiling a layout may raise where the plain one, not compiled with XLA, works."""


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
        return self.chain is not None and not self.chain.normalizes

    def __call__(self, x: Tensor, training: bool = False, weights: Sequence[Tensor] | None = None) -> Tensor:
        """Return the outputs, (n, ...).

        Args:
            x: inputs, (n, ...).
            training: as in Keras; then states of the model move, unless `weights` are given.
            weights: one tensor for each of `model.weights`; None: those that the model holds.

        Raises:
            UserError: if the model has several outputs, or cannot be computed from x.
        """
        if self.chain is not None and not _fits(self.chain, x):  # another size of images
            return Forward(self.model)(x, training, weights)
        try:
            z = self._plain(x, training, weights) if self.chain is None else self._chain(x, training, weights)
        except (*FAILURES, AttributeError) as error:
            if isinstance(error, (UserError, LayoutError)):
                raise
            if self.chain is not None:
                raise LayoutError(first_line(error)) from error
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
        return self.chain(x, _Read(given), training)  # type: ignore[misc]


@dataclass(frozen=True)
class _Read:
    """The tensors of variables: those given, by the id of the variable, or those that the model holds."""

    given: Mapping[int, Tensor]

    @property
    def is_pure(self) -> bool:
        """Whether the states of the model stay as they are."""
        return bool(self.given)

    def __call__(self, variable: keras.Variable) -> Tensor:
        """Return the tensor of a variable."""
        return self.given[id(variable)] if self.given else tf.convert_to_tensor(variable.value)


def forward_function(
    model: keras.Model, layout: Layout, work: Work, examples: int | None = None, x: Data = None
) -> Forward:
    """Return the forward function of `model`.

    Args:
        model: any built Keras model.
        layout: "auto" takes what is faster; "batch-innermost" takes that layout where the model allows it.
        work: what is computed.
        examples: number of examples in all; None: many.
        x: inputs that it will be called on, (n, ...); for others than the model was built for, the layout is plain.

    Returns:
        The function and how it computes.

    Example:
        >>> from dlhw import models
        >>> net = models.image_net("2c3-p2-4", (8, 8, 1), 3)
        >>> models.forward_function(net, "batch-innermost", "value").layout
        'batch-innermost'
    """
    layout = _chosen if layout == "auto" else layout
    if layout == "plain" or (layout == "auto" and not use_batch_innermost(model, work, examples)):
        return Forward(model)
    try:
        chain = chain_of(model, first_reused=work == "line")
        usable = chain is not None and (x is None or _fits(chain, x)) and not (work == "training" and chain.drops)
        return Forward(model, chain) if usable and chain is not None and _agrees(model, chain) else Forward(model)
    except (*FAILURES, AttributeError):
        return Forward(model)


def current_layout() -> Layout:
    """Return the layout of the innermost :func:`layout`."""
    return _chosen


def _fits(chain: Chain, x: Data) -> bool:
    """Whether `x` is one array of as many numbers an example as the model was built for."""
    shape, dtype = getattr(x, "shape", None), getattr(x, "dtype", None)
    if shape is None or dtype is None or tuple(shape[1:]) != chain.inputs or shape[0] is None:
        return False
    kind = tf.as_dtype(dtype)
    return bool(kind.is_floating or kind.is_integer)


def use_batch_innermost(model: keras.Model, work: Work, examples: int | None = None) -> bool:
    """Return whether the batch-innermost layout is faster, as measured for nets of convolutions and max-pools.

    It is not on a GPU, for nets without a convolution or without a max-pool, and for work too short for compilation to
    pay. On lines and planes it is faster for every net, because it computes the first layer once for many points.
    A model that the layout does not know (groups, branches) is computed by Keras in any case.

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
    kinds = {type(layer) for layer in getattr(model, "layers", ())}
    convolves, pools = keras.layers.Conv2D in kinds, keras.layers.MaxPooling2D in kinds
    return not _on_gpu() and pays(work, examples, convolves, pools)


def _on_gpu() -> bool:
    """Whether TensorFlow places what is called here on a GPU, which `tf.device` decides where there is one."""
    return "GPU" in tf.zeros([]).device


def auto_layouts() -> dict[str, str]:
    """Return what "auto" takes on this machine for each kind of work, in words."""

    def words(least: float) -> str:
        plain = np.isinf(least) or _on_gpu()
        return "plain" if plain else f"batch-innermost from {least:,.0f} examples in all, else plain"

    return {work: words(least_examples(work)) for work in WORKS}


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
        ...     models.forward_function(models.image_net("2c3-p2-4", (8, 8, 1), 3), "auto", "line").layout
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
        return agree(Forward(model, chain)(x), Forward(model)(x))
