"""The graph of a model, walked from its inputs to its outputs."""

from __future__ import annotations

from typing import Any

import keras

from dlhw.errors import require
from dlhw.models.batch_innermost.known import functional_class
from dlhw.models.channels.groups import Axis, Channels, Layout, Reader, Unions
from dlhw.models.channels.rules import Step, rule_of
from dlhw.models.state import require_built


def channels_of(model: keras.Model) -> Channels:
    """Return the groups of channels of a model.

    Args:
        model: functional or Sequential, of layers that `rules` knows, nested or not.

    Raises:
        UserError: for other models, with the name of the layer.
    """
    require_built(model)
    walk = _Walk(model)
    graph = _graph(model)
    inputs = [walk.unions.new(_last(t), fixed=True) for t in graph.inputs]
    for layout in walk.through(graph, inputs):
        walk.unions.fix(layout)
    return walk.channels()


def _graph(model: keras.Model) -> Any:
    """Return the functional model that computes `model`."""
    if type(model).call is keras.Sequential.call and getattr(model, "_functional", None) is not None:
        return model._functional
    require(
        type(model).call is functional_class().call and hasattr(model, "_nodes_by_depth"),
        f"the units of {model.name!r} cannot be followed: {type(model).__name__} computes by code of its own; use a "
        "functional or Sequential model",
    )
    return model


def _last(tensor: keras.KerasTensor) -> int:
    size = tensor.shape[-1] if len(tensor.shape) > 1 else 1
    require(size is not None, f"tensor {tensor.name!r} has a last axis of unknown size; give the model a fixed one")
    return int(size)


class _Walk:
    """The groups that are known so far, and the axes that follow them."""

    def __init__(self, model: keras.Model) -> None:
        self.unions = Unions()
        self.places = {id(v): k for k, v in enumerate(model.weights)}
        self.axes: dict[tuple[int, int], Layout] = {}
        self.readers: list[Reader] = []
        self.makers: dict[int, tuple[str, int]] = {}  # name and group of the outputs of a layer, by its id

    def through(self, graph: Any, inputs: list[Layout]) -> list[Layout]:
        """Return the layouts of the outputs of a graph from those of its inputs."""
        layouts = {id(t): layout for t, layout in zip(graph.inputs, inputs, strict=True)}
        for depth in sorted(graph._nodes_by_depth, reverse=True):
            for node in graph._nodes_by_depth[depth]:
                if node.operation is None or node.is_input:
                    continue
                before = [layouts[id(t)] for t in node.input_tensors]
                for tensor, layout in zip(node.output_tensors, self.step(node, before), strict=True):
                    layouts[id(tensor)] = layout
        return [layouts[id(t)] for t in graph.outputs]

    def step(self, node: Any, before: list[Layout]) -> list[Layout]:
        """Return the layouts of the outputs of a node."""
        operation = node.operation
        if isinstance(operation, keras.Model):
            return self.through(_graph(operation), before)
        step = Step(operation, node, before, self.unions, self)
        passing = rule_of(operation)
        if passing is None:
            raise step.refused(f"{type(operation).__name__} is not among the layers whose units can be followed")
        return [passing(step)]

    def follow(self, variable: keras.Variable, axis: int, layout: Layout) -> bool:
        """Record that an axis of a weight follows a layout; False if it already follows one that cannot be the same."""
        key = self.places[id(variable)], axis % len(variable.shape)
        if key in self.axes:  # a layer that is called again
            return self.unions.unite([self.axes[key], layout])
        self.axes[key] = layout
        return True

    def channels(self) -> Channels:
        """Return what was resolved."""
        layouts = [*self.axes.values(), *(r.layout for r in self.readers), *((g,) for _, g in self.makers.values())]
        resolved, sizes, free = self.unions.resolved(layouts)
        axes = [Axis(w, axis, layout) for (w, axis), layout in zip(self.axes, resolved, strict=False)]
        readers = [
            Reader(r.layer, layout)
            for r, layout in zip(self.readers, resolved[len(axes) : len(axes) + len(self.readers)], strict=True)
        ]
        groups = [group for (group,) in resolved[len(axes) + len(readers) :]]
        layers = {name: g for (name, _), g in zip(self.makers.values(), groups, strict=True) if g in free}
        used = tuple(axis for axis in axes if set(axis.layout) & set(free))
        return Channels(sizes, free, used, tuple(readers), layers)
