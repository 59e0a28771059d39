"""Groups of channels, and the axes of weights that follow them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import keras
import numpy as np
from numpy.typing import NDArray

from dlhw._tf.types import Array

Indices = NDArray[np.integer]
Layout = tuple[int, ...]
"""Groups whose channels follow one another along an axis: after Flatten the group comes once for every position."""


@dataclass(frozen=True)
class Axis:
    """An axis of a weight along which lie the channels of groups."""

    weight: int  # place in `model.weights`
    axis: int
    layout: Layout


@dataclass(frozen=True)
class Reader:
    """A layer that mixes channels: what it reads is compared where activations are matched."""

    layer: keras.layers.Layer
    layout: Layout  # of the last axis of its inputs


@dataclass(frozen=True)
class Channels:
    """The groups of a model. Group k has `sizes[k]` channels, in which nothing but their order can be changed."""

    sizes: tuple[int, ...]
    free: tuple[int, ...]  # groups that may be permuted; the others are inputs, outputs, and what is tied to them
    axes: tuple[Axis, ...]
    readers: tuple[Reader, ...]
    layers: Mapping[str, int]  # layers that make the channels of a free group, by name

    @cached_property
    def by_weight(self) -> dict[int, tuple[Axis, ...]]:
        """The axes of every weight that has some."""
        weights = dict.fromkeys(axis.weight for axis in self.axes)
        return {w: tuple(axis for axis in self.axes if axis.weight == w) for w in weights}

    def identity(self) -> dict[int, Indices]:
        """Return the permutations of all groups that change nothing."""
        return {k: np.arange(size) for k, size in enumerate(self.sizes)}

    def order(self, layout: Layout, permutations: Mapping[int, Indices]) -> Indices:
        """Return the indices by which an axis is reordered: entry i of it comes from entry order[i]."""
        starts = np.cumsum([0, *(self.sizes[g] for g in layout)])
        return np.concatenate([start + permutations[g] for start, g in zip(starts, layout, strict=False)])

    def permute(
        self, weight: int, array: Array, permutations: Mapping[int, Indices], *, but: Axis | None = None
    ) -> Array:
        """Return a weight with its axes reordered, all of them or all `but` one."""
        for axis in self.by_weight.get(weight, ()):
            if axis is not but:
                array = np.take(array, self.order(axis.layout, permutations), axis.axis)
        return array

    def permuted(self, weights: Sequence[Array], permutations: Mapping[int, Indices]) -> list[Array]:
        """Return all weights of a model with the channels of its groups reordered."""
        return [self.permute(k, array, permutations) for k, array in enumerate(weights)]

    def rows(self, array: Array, axis: Axis, group: int) -> Array:
        """Return the entries along an axis that belong to a group, a row for each of its channels: (size, ...)."""
        starts = np.cumsum([0, *(self.sizes[g] for g in axis.layout)])
        places = np.array([start for start, g in zip(starts, axis.layout, strict=False) if g == group])
        at = places[None] + np.arange(self.sizes[group])[:, None]  # (size, places)
        first = np.moveaxis(array, axis.axis, 0)
        return first[at].reshape(self.sizes[group], -1)


class Unions:
    """Groups that are found to be one (union-find)."""

    def __init__(self) -> None:
        self.parent: list[int] = []
        self.sizes: list[int] = []
        self.fixed: set[int] = set()

    def new(self, size: int, *, fixed: bool = False) -> Layout:
        """Return the layout of a new group of `size` channels."""
        self.parent.append(len(self.parent))
        self.sizes.append(size)
        if fixed:
            self.fixed.add(len(self.parent) - 1)
        return (len(self.parent) - 1,)

    def root(self, group: int) -> int:
        """Return the group that stands for all that are one with `group`."""
        while self.parent[group] != group:
            self.parent[group] = self.parent[self.parent[group]]
            group = self.parent[group]
        return group

    def is_fixed(self, layout: Layout) -> bool:
        """Whether no group of a layout may be permuted, as far as is known now."""
        roots = {self.root(g) for g in self.fixed}
        return all(self.root(g) in roots for g in layout)

    def fix(self, layout: Layout) -> None:
        """Forbid to permute the groups of a layout."""
        self.fixed |= set(layout)

    def unite(self, layouts: Sequence[Layout]) -> bool:
        """Make the groups of equal places one; False where the channels are cut in groups of other sizes."""
        first = layouts[0]
        for layout in layouts[1:]:
            if [self.sizes[g] for g in layout] == [self.sizes[g] for g in first]:
                for a, b in zip(first, layout, strict=True):
                    self.parent[self.root(b)] = self.root(a)
            elif not (self.is_fixed(first) and self.is_fixed(layout)):
                return False
        return True

    def resolved(self, layouts: Iterable[Layout]) -> tuple[list[Layout], tuple[int, ...], tuple[int, ...]]:
        """Return layouts in numbers of the final groups, the sizes of these, and which are free."""
        numbers: dict[int, int] = {}
        for g in range(len(self.parent)):
            numbers.setdefault(self.root(g), len(numbers))
        fixed = {numbers[self.root(g)] for g in self.fixed}
        sizes = tuple(self.sizes[root] for root in numbers)
        free = tuple(k for k in range(len(sizes)) if k not in fixed)
        return [tuple(numbers[self.root(g)] for g in layout) for layout in layouts], sizes, free
