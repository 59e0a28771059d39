"""How units pass the layers of Keras: a function for every kind, from the layouts of the inputs to that of the output.

A layer is followed where its outputs, with their channels reordered, are those of inputs and weights that are reordered
accordingly. Any other is refused by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np

from dlhw._tf.types import Tensor
from dlhw.errors import UserError
from dlhw.models.channels.groups import Layout, Reader, Unions

K = keras.layers


class _Record(Protocol):
    """Where a rule records what it finds."""

    readers: list[Reader]
    makers: dict[int, tuple[str, int]]  # by the id of the layer: its name and group

    def follow(self, variable: keras.Variable, axis: int, layout: Layout) -> bool: ...


@dataclass(frozen=True)
class Step:
    """A call of a layer in the graph of a model."""

    layer: Any
    node: Any
    inputs: Sequence[Layout]
    unions: Unions
    record: _Record

    @property
    def shapes(self) -> list[tuple[int | None, ...]]:
        """Shapes of the inputs, with the batch."""
        return [tuple(t.shape) for t in self.node.input_tensors]

    @property
    def outputs(self) -> int:
        """Channels of the output."""
        return int(self.node.output_tensors[0].shape[-1])

    def refused(self, why: str) -> UserError:
        """Return the error that names the layer."""
        return UserError(
            f"layer {self.layer.name!r} cannot be aligned: {why}; use Dense, convolutions, pools, Flatten, "
            "activations, batch normalization, dropout and residual sums"
        )

    def need(self, ok: bool, why: str) -> None:
        """Raise the error that names the layer unless `ok`."""
        if not ok:
            raise self.refused(why)

    def follow(self, variable: keras.Variable | None, axis: int, layout: Layout) -> None:
        """Record that an axis of a weight follows a layout."""
        if variable is not None:
            self.need(self.record.follow(variable, axis, layout), "its calls read units that cannot be the same")

    def read(self, layout: Layout) -> None:
        """Record that the layer mixes what it reads."""
        self.record.readers.append(Reader(self.layer, layout))

    def new(self) -> Layout:
        """Return the layout of channels that the layer makes, those of an earlier call if there is one."""
        if id(self.layer) in self.record.makers:
            return (self.record.makers[id(self.layer)][1],)
        layout = self.unions.new(self.outputs)
        self.record.makers[id(self.layer)] = self.layer.name, layout[0]
        return layout


Rule = Callable[[Step], Layout]


def rule_of(operation: Any) -> Rule | None:
    """Return the rule of a layer, or of a function of `keras.ops` in a graph; None where there is none."""
    if type(operation).__module__.startswith("keras.src.ops"):
        return _FUNCTIONS.get(type(operation).__name__)
    return _RULES.get(type(operation))


def _same(step: Step) -> Layout:
    """Every channel is computed from the same channel of the input, and all in the same way."""
    _channels_last(step)
    activation = getattr(step.layer, "activation", None)
    if activation is not None:
        _elementwise(step, activation)
    return step.inputs[0]


def _channels_last(step: Step) -> None:
    order = getattr(step.layer, "data_format", "channels_last")
    is_first = len(step.shapes[0]) > 2 and order == "channels_first"
    step.need(not is_first, "its channels come first")


def _elementwise(step: Step, activation: Callable[[Tensor], Tensor]) -> None:
    """Refuse an activation that treats channels differently; tried on numbers, since it may be any function."""
    step.need(not getattr(activation, "weights", None), "its activation has weights of its own")
    rng = np.random.default_rng(0)
    x, order = rng.normal(size=(2, 8)).astype("float32"), rng.permutation(8)
    try:
        one, other = (np.asarray(activation(keras.ops.convert_to_tensor(v))) for v in (x, x[:, order]))
        equal = one.shape == x.shape and np.allclose(one[:, order], other, atol=1e-5)
    except (TypeError, ValueError, AttributeError, IndexError):
        equal = False
    step.need(equal, "its activation does not treat all units alike")


def _plain_kernel(step: Step) -> None:
    is_plain = not getattr(step.layer, "lora_enabled", False) and not getattr(step.layer, "quantization_mode", None)
    step.need(is_plain, "it is quantized or adapted by LoRA")


def _mixing(step: Step, kernel: keras.Variable, inputs: int, outputs: int) -> Layout:
    """A layer with a kernel: the numbers of the axes of its inputs and outputs."""
    _channels_last(step)
    _plain_kernel(step)
    step.need(getattr(step.layer, "groups", 1) == 1, "its convolution has groups")
    _elementwise(step, step.layer.activation or keras.activations.linear)
    step.read(step.inputs[0])
    layout = step.new()
    step.follow(kernel, inputs, step.inputs[0])
    step.follow(kernel, outputs, layout)
    step.follow(step.layer.bias if step.layer.use_bias else None, 0, layout)
    return layout


def _dense(step: Step) -> Layout:
    return _mixing(step, step.layer.kernel, -2, -1)


def _transposed(step: Step) -> Layout:
    return _mixing(step, step.layer.kernel, -1, -2)


def _depthwise(step: Step) -> Layout:
    _channels_last(step)
    step.need(step.layer.depth_multiplier == 1, "it makes several channels of one")
    _elementwise(step, step.layer.activation or keras.activations.linear)
    step.follow(step.layer.kernel, -2, step.inputs[0])
    step.follow(step.layer.bias if step.layer.use_bias else None, 0, step.inputs[0])
    return step.inputs[0]


def _separable(step: Step) -> Layout:
    step.need(step.layer.depth_multiplier == 1, "it makes several channels of one")
    step.follow(step.layer.depthwise_kernel, -2, step.inputs[0])
    return _mixing(step, step.layer.pointwise_kernel, -2, -1)


def _per_channel(step: Step) -> Layout:
    """A normalization along the last axis, or PReLU: weights whose last axis follows the channels."""
    layer, rank = step.layer, len(step.shapes[0])
    axis = getattr(layer, "axis", -1)
    axes = [axis] if isinstance(axis, int) else list(axis)
    step.need([a % rank for a in axes] == [rank - 1], "it normalizes over another axis than the last")
    for variable in layer.weights:
        shared = isinstance(layer, K.PReLU) and variable.shape[-1] == 1 and step.shapes[0][-1] != 1
        if not shared:
            step.follow(variable, -1, step.inputs[0])
    return step.inputs[0]


def _fixed(step: Step) -> Layout:
    """A layer with constants for channels, which stay where they are, such as Normalization of the inputs."""
    step.unions.fix(step.inputs[0])
    return step.inputs[0]


def _rescaling(step: Step) -> Layout:
    constants = step.layer.scale, step.layer.offset
    return step.inputs[0] if all(np.size(c) == 1 for c in constants) else _fixed(step)


def _reshaped(step: Step) -> Layout:
    """Flatten, or Reshape: it keeps the channels, or puts them at every position one after the other."""
    _channels_last(step)
    (layout,), shape, last = step.inputs, step.shapes[0], step.outputs
    if len(step.node.output_tensors[0].shape) == 2:
        return layout * (last // int(shape[-1] or 1))
    if shape[-1] == last:
        return layout
    step.need(step.unions.is_fixed(layout), "it cuts the units of a layer in other axes")
    return step.unions.new(last, fixed=True)


def _merged(step: Step) -> Layout:
    """A sum, product or extremum of several tensors: their channels are the same."""
    ranks = {len(shape) for shape in step.shapes}
    step.need(len(ranks) == 1, "it broadcasts tensors of different numbers of axes")
    wide = [layout for layout, s in zip(step.inputs, step.shapes, strict=True) if s[-1] == step.outputs]
    step.need(step.unions.unite(wide), "its inputs cut their channels in different groups")
    return wide[0]


def _function(step: Step) -> Layout:
    """A function of `keras.ops` of tensors and numbers, such as x + y."""
    numbers = [a for a in step.node.arguments.args if not isinstance(a, keras.KerasTensor)]
    step.need(all(np.size(a) == 1 for a in numbers), "it takes constants that differ by channel")
    return _merged(step)


def _concatenated(step: Step) -> Layout:
    rank = len(step.shapes[0])
    if step.layer.axis % rank == rank - 1:
        return tuple(g for layout in step.inputs for g in layout)
    return _merged(step)


_SPATIAL = ("MaxPooling", "AveragePooling", "GlobalMaxPooling", "GlobalAveragePooling", "ZeroPadding", "Cropping",
            "UpSampling", "SpatialDropout")  # fmt: skip
_SAME = (K.Activation, K.ReLU, K.LeakyReLU, K.ELU, K.Dropout, K.GaussianNoise, K.GaussianDropout, K.AlphaDropout,
         K.ActivityRegularization, K.Identity, *(getattr(K, f"{name}{d}D") for name in _SPATIAL for d in (1, 2, 3)),
         )  # fmt: skip
_RULES: dict[type, Rule] = {
    **dict.fromkeys(_SAME, _same),
    **dict.fromkeys((K.Dense, K.Conv1D, K.Conv2D, K.Conv3D), _dense),
    **dict.fromkeys((K.Conv1DTranspose, K.Conv2DTranspose, K.Conv3DTranspose), _transposed),
    **dict.fromkeys((K.DepthwiseConv1D, K.DepthwiseConv2D), _depthwise),
    **dict.fromkeys((K.SeparableConv1D, K.SeparableConv2D), _separable),
    **dict.fromkeys((K.BatchNormalization, K.LayerNormalization, K.PReLU), _per_channel),
    **dict.fromkeys((K.Flatten, K.Reshape), _reshaped),
    **dict.fromkeys((K.Add, K.Subtract, K.Multiply, K.Average, K.Maximum, K.Minimum), _merged),
    K.Softmax: _per_channel,
    K.Normalization: _fixed,
    K.Rescaling: _rescaling,
    K.Concatenate: _concatenated,
}
_FUNCTIONS: dict[str, Rule] = {
    **dict.fromkeys(("Add", "Subtract", "Multiply", "Maximum", "Minimum"), _function),
    **dict.fromkeys(("Relu", "Relu6", "Sigmoid", "Tanh", "Silu", "Gelu", "Elu", "Selu", "Softplus", "Abs"), _function),
}
