"""Nets as strings: names, parsing, counting, and nets with equal parameter counts. No TensorFlow."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dlhw.errors import UserError, require

NETS: dict[str, tuple[int, ...]] = {
    "deep": (5, 10, 10, 10, 10, 10, 5),
    "middle": (10, 18, 15, 4),
    "shallow": (190,),
}
"""The three nets of the report: 571, 572 and 571 parameters from 1 input to 1 output."""


def parse(net: str) -> tuple[int, ...]:
    """Return the hidden widths of `net`: a name of :data:`NETS`, or widths joined by hyphens such as "10-18-15-4"."""
    if net in NETS:
        return NETS[net]
    if not re.fullmatch(r"[0-9]+(-[0-9]+)*", net):
        raise UserError(f"net {net!r} is unknown; use {', '.join(NETS)}, or widths such as 10-18-15-4")
    widths = tuple(int(w) for w in net.split("-"))
    require(all(1 <= w <= 65536 for w in widths), f"net {net!r}: every width must lie in 1..65536")
    require(len(widths) <= 64, f"net {net!r} has {len(widths)} hidden layers; at most 64 are allowed")
    return widths


DENSE_NOTATION = (
    "Nets: widths of the hidden layers joined by hyphens; the output is added.",
    "10-18-15-4: hidden layers of 10, 18, 15 and 4 units.",
    "All layers are dense: a unit takes every unit of the layer before it.",
    "; ".join(f"{name}: {'-'.join(map(str, widths))}" for name, widths in NETS.items()) + ".",
)
"""How nets of hidden widths are written, for help texts."""


def describe(net: str) -> str:
    """Return a net of hidden widths in words: `hidden layers of 10, 18, 15 and 4 units`."""
    *others, last = parse(net)
    if not others:
        return f"one hidden layer of {last} unit{'s' * (last > 1)}"
    return f"hidden layers of {', '.join(map(str, others))} and {last} units"


def count(widths: Sequence[int], inputs: int = 1, outputs: int = 1) -> int:
    """Return the number of parameters: sum over layers of (fan_in + 1) fan_out: weights and biases."""
    sizes = (inputs, *widths, outputs)
    return sum((a + 1) * b for a, b in itertools.pairwise(sizes))


@dataclass(frozen=True)
class Design:
    """Hidden widths whose parameter count meets a budget."""

    widths: tuple[int, ...]
    parameters: int
    error: float  # (parameters - budget) / budget, dimensionless

    @property
    def net(self) -> str:
        """The net as `--models` takes it, such as "10-18-15-4"."""
        return "-".join(str(w) for w in self.widths)


def design(params: int, layers: int, inputs: int = 1, outputs: int = 1, tolerance: float = 0.002) -> Design:
    """Return the most even MLP with a given number of weight layers and nearly a given number of parameters.

    Widths start equal, the largest even net within the budget; the remainder is spent by an exhaustive search over nets
    near it, in which inner layers are one unit wider and the first and the last hidden layer differ by up to 40. Even
    means a small max(widths) - min(widths).

    Args:
        params: number of parameters, the budget.
        layers: number of weight layers: 2 means one hidden layer.
        inputs: input size.
        outputs: output size.
        tolerance: largest relative deviation from the budget.

    Returns:
        The widths with their number of parameters.

    Raises:
        UserError: if the best net misses the budget by more than `tolerance`.

    Example:
        >>> from dlhw.models.architectures import design
        >>> design(571, 2).net
        '190'
    """
    require(params >= 1, f"`params` {params} must be positive")
    require(2 <= layers <= 64, f"`layers` {layers} must lie in 2..64: one hidden layer makes two layers")
    hidden = layers - 1
    low, high = (
        1,
        params + 1,
    )  # invariant: count(low) <= params < count(high), if the smallest net fits at all
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count((middle,) * hidden, inputs, outputs) <= params else (low, middle)
    nets = _around(low, hidden)
    off = {net: abs(count(net, inputs, outputs) - params) for net in nets}
    within = [net for net in nets if off[net] <= tolerance * params]
    if within:
        best = min(within, key=lambda net: (max(net) - min(net), off[net], net))
    else:
        best = min(nets, key=lambda net: (off[net], max(net) - min(net), net))
    total = count(best, inputs, outputs)
    closest = Design(best, total, (total - params) / params)
    require(
        abs(closest.error) <= tolerance,
        f"no net of {layers} layers within {tolerance:.1%} of {params} parameters; the closest, {closest.net}, "
        f"has {total}: use fewer layers or more parameters",
    )
    return closest


def _around(width: int, hidden: int) -> list[tuple[int, ...]]:
    """Yield nets near the even one: k inner layers one wider, the first and last moved by up to 40."""
    if hidden == 1:
        return [(w,) for w in (width, width + 1)]
    reach = range(-min(40, width - 1), 41)
    nets = []
    for wider in range(hidden - 1):
        inner = (width + 1,) * wider + (width,) * (hidden - 2 - wider) if hidden > 2 else ()
        nets += [(width + a, *inner, width + b) for a in reach for b in reach]
    return nets


IMAGE_NETS: dict[str, str] = {
    "deep": "20c3-p2-16c3-p2-700-95-90",
    "wide": "10c3-p2-500",
    "plain": "20c3-30-15",
}
"""The three nets of the report for images: 359,941, 850,610 and 406,455 parameters on 28x28x1 and ten classes."""

IMAGE_NOTATION = (
    "Nets: layers joined by hyphens, input first; the output layer is added.",
    "20c3: 20 filters 3x3 (a convolution, no padding). p2: max-pool over 2x2.",
    "700: dense, 700 units. 20c3-p2-700: 20 filters 3x3, max-pool 2, dense 700.",
    "; ".join(f"{name}: {layers}" for name, layers in IMAGE_NETS.items()) + ".",
)
"""How nets for images are written, for help texts."""


@dataclass(frozen=True)
class Layer:
    """One layer of a net for images. Convolutions and pools are square, without padding; pools do not overlap."""

    kind: Literal["conv", "pool", "dense"]
    size: int  # filters, width of the pool, or units
    kernel: int = 0  # of a convolution

    def __str__(self) -> str:
        return {"conv": f"{self.size}c{self.kernel}", "pool": f"p{self.size}", "dense": f"{self.size}"}[self.kind]


def parse_layers(net: str) -> tuple[Layer, ...]:
    """Parse the layers of `net`: a name of :data:`IMAGE_NETS`, or layers joined by hyphens, without the last (classes).

    20c3: convolution of 20 filters of 3x3; p2: max pooling over 2x2; 700: dense layer of 700 units.
    """
    layers: list[Layer] = []
    for word in IMAGE_NETS.get(net, net).split("-"):
        match = re.fullmatch(r"(\d+)c(\d+)|p(\d+)|(\d+)", word)
        if not match:
            allowed = f"{', '.join(IMAGE_NETS)}, or layers such as 20c3-p2-100 (convolution, pool, dense)"
            raise UserError(f"net {net!r}: {word!r} is not a layer; use {allowed}")
        filters, kernel, pool, units = (int(g) if g else 0 for g in match.groups())
        kind: Literal["conv", "pool", "dense"] = "conv" if filters else "pool" if pool else "dense"
        size = filters or pool or units
        require(1 <= size <= 65536, f"net {net!r}: the size of {word!r} must lie in 1..65536")
        require(kind != "conv" or 1 <= kernel <= 64, f"net {net!r}: the kernel of {word!r} must lie in 1..64")
        flat = any(layer.kind == "dense" for layer in layers)
        require(kind == "dense" or not flat, f"net {net!r}: {word!r} cannot follow a dense layer")
        layers.append(Layer(kind, size, kernel))
    require(len(layers) <= 64, f"net {net!r} has {len(layers)} hidden layers; at most 64 are allowed")
    return tuple(layers)


def describe_layers(net: str) -> str:
    """Return a net for images in words: `20 filters 3x3, max-pool 2, dense 700, 95, 90`."""
    layers = parse_layers(net)
    words = [
        f"{layer.size} filters {layer.kernel}x{layer.kernel}" if layer.kind == "conv" else f"max-pool {layer.size}"
        for layer in layers
        if layer.kind != "dense"
    ]
    dense = ", ".join(str(layer.size) for layer in layers if layer.kind == "dense")  # these come last
    return ", ".join([*words, *([f"dense {dense}"] if dense else [])])


def kernels(net: str, shape: tuple[int, int, int], classes: int) -> list[tuple[int, ...]]:
    """Return the kernel shapes of the layers with weights, the last one included: (k, k, in, out) or (in, out).

    Raises UserError where a layer no longer fits images of `shape`, naming it and a net that would.
    """
    layers, (height, width, channels) = parse_layers(net), shape
    shapes: list[tuple[int, ...]] = []
    features = 0  # of a flat layer; 0 before the first dense one
    for k, layer in enumerate(layers):
        if layer.kind == "dense":
            shapes.append((features or height * width * channels, layer.size))
            features = layer.size
            continue
        reach = layer.kernel or layer.size
        if reach > min(height, width):
            size = "x".join(map(str, shape))
            raise UserError(
                f"net {net!r}: layer {k + 1}, {layer}, needs {reach}x{reach} and gets {height}x{width} from images of "
                f"{size}; use a smaller net, such as {small_net(shape)}"
            )
        if layer.kind == "conv":
            shapes.append((reach, reach, channels, layer.size))
            height, width, channels = height - reach + 1, width - reach + 1, layer.size
        else:
            height, width = height // reach, width // reach
    shapes.append((features or height * width * channels, classes))
    return shapes


def small_net(shape: tuple[int, int, int]) -> str:
    """Return a net that fits images of `shape` and learns them, as an example for messages."""
    side = min(shape[:2])
    return "20c3-p2-50" if side >= 12 else "8c3-p2-50" if side >= 5 else "50-20"


def count_image(net: str, shape: tuple[int, int, int], classes: int) -> int:
    """Return the number of parameters of a net for images: kernels and one bias for each of their outputs."""
    return sum(math.prod(kernel) + kernel[-1] for kernel in kernels(net, shape, classes))
