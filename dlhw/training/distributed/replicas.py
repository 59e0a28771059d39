"""One model on every replica of a `tf.distribute` strategy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from dlhw._tf.types import Tensor
from dlhw.errors import UserError, require
from dlhw.models.copies import custom_objects, prove_equal, random_inputs, transfer_state
from dlhw.models.probe import Probe
from dlhw.models.state import layers_of

_WITHOUT_GROUP = (
    tf.distribute.ReductionToOneDevice,
    tf.distribute.HierarchicalCopyAllReduce,
    tf.distribute.NcclAllReduce,
)
_group: list[tuple[str, ...]] = []
"""The devices over which TensorFlow's collectives sum in this process: none, or one entry."""


class Replicas:
    """A model, copied onto every replica of a strategy; with one replica, the model itself.

    The copy has the same weights, dropout and regularizers. Its batch normalizations take the moments of the whole
    batch (`synchronized=True`): with those of each share, another function would be trained than on one device.

    Losses that layers add must depend on weights alone: each replica takes 1/R of them.

    Raises UserError for an activity regularizer, for a model that Keras cannot copy from its configuration (a
    subclassed one), and for a second group of devices in one process, which TensorFlow cannot reduce over.
    """

    def __init__(self, model: keras.Model, strategy: Any = None) -> None:
        self.original = model
        self.strategy = tf.distribute.get_strategy() if strategy is None else strategy
        self.count = int(self.strategy.num_replicas_in_sync)
        _check_group(self.strategy)
        self.model = model if strategy is None or self.count == 1 else self._copied()

    def _copied(self) -> keras.Model:
        active = [la.name for la in layers_of(self.original) if getattr(la, "activity_regularizer", None)]
        require(
            not active,
            f"{', '.join(active)}: an activity regularizer depends on the batch, and cannot be split over replicas",
        )
        with custom_objects(self.original), self.strategy.scope(), tf.variable_creator_scope(_averaged):
            try:
                copy = keras.models.clone_model(self.original, clone_function=_synchronized)
                transfer_state(self.original, copy)
            except (NotImplementedError, TypeError, ValueError) as error:
                raise UserError(
                    f"{self.original.name} cannot be copied to {self.count} replicas; use a functional Keras model "
                    f"({str(error).splitlines()[0]})"
                ) from None
        if (examples := random_inputs(self.original)) is not None:
            prove_equal(self.original, copy, examples)
        return copy

    def check_splittable(self, behaviour: Probe) -> None:
        """Raise UserError for a model with several replicas whose passes cannot be split over them."""
        depends = behaviour.moving or "sum" in behaviour.added or "whole" in behaviour.added
        require(
            self.count == 1 or not (depends or behaviour.at_once),
            "a model with states, or a loss that depends on the whole batch, cannot be split over replicas; use one",
        )

    def copy_to_replicas(self) -> None:
        """Copy weights and states of the original into every replica."""
        self._move(self.original, self.model)

    def copy_from_replicas(self) -> None:
        """Copy weights and states of the replicas into the original: all are equal, moving statistics are averaged."""
        self._move(self.model, self.original)

    def _move(self, source: keras.Model, target: keras.Model) -> None:
        if source is not target:
            for a, b in zip(source.variables, target.variables, strict=True):
                b.assign(a.numpy())

    def zeros(self, groups: Sequence[Sequence[Any]]) -> tuple[list[tf.Variable], ...]:
        """Create a variable of zeros on every replica for each tensor, such as the state of an optimizer."""
        with self.strategy.scope():
            return tuple([tf.Variable(tf.zeros_like(t), trainable=False) for t in group] for group in groups)

    def replicate(self, data: Tensor) -> Tensor:
        """Copy every tensor of `data` to each device, so that batches are not sent."""
        if self.count == 1:
            return data
        devices = self.strategy.extended.worker_devices

        def spread(tensor: Any) -> Tensor:
            unused = iter(devices)

            def one(_: Any) -> Tensor:
                with tf.device(next(unused)):
                    return tf.identity(tensor)

            return self.strategy.experimental_distribute_values_from_function(one)

        return tf.nest.map_structure(spread, data)

    def run(self, function: Callable[..., Any], *arguments: Any) -> Tensor:
        """Run `function` on every replica, with its own copy of what :meth:`replicate` returned."""
        return self.strategy.run(function, args=arguments)

    def local_result(self, values: Tensor) -> Tensor:
        """Return what the first replica of this process returned from :meth:`run`."""
        return tf.nest.map_structure(lambda v: self.strategy.experimental_local_results(v)[0], values)

    def reduce_sum(self, values: Tensor) -> Tensor:
        """Return the sum over all replicas of what they returned from :meth:`run`."""
        if self.count == 1:
            return values
        return tf.nest.map_structure(lambda v: self.strategy.reduce("SUM", v, axis=None), values)

    def all_reduce_sum(self, tensors: Tensor) -> Tensor:
        """Inside :meth:`run`: the sum over all replicas, on each of them."""
        if self.count == 1:
            return tensors
        return tf.distribute.get_replica_context().all_reduce("SUM", tensors)

    def share(self, n: int) -> tuple[int, int]:
        """Inside :meth:`run`: which of n examples this replica takes, first and number; they differ by one at most."""
        if self.count == 1:
            return 0, n
        rank = tf.get_static_value(tf.distribute.get_replica_context().replica_id_in_sync_group)
        require(rank is not None, "the strategy does not say which replica computes")
        first = n * int(rank) // self.count
        return first, n * (int(rank) + 1) // self.count - first


def _check_group(strategy: Any) -> None:
    """Raise UserError for a MirroredStrategy over other devices than the first one of this process.

    Every MirroredStrategy numbers its groups of devices from 1. TensorFlow takes the second group for the first,
    aborts in the middle of a step, and refuses every later collective of the process, those of the first group too.
    """
    reduction = getattr(strategy.extended, "_cross_device_ops", None)  # there is no public name
    mirrored = isinstance(strategy, tf.distribute.MirroredStrategy) and strategy.num_replicas_in_sync > 1
    if not mirrored or isinstance(reduction, _WITHOUT_GROUP):
        return
    devices = tuple(strategy.extended.worker_devices)
    if not _group:
        _group.append(devices)
    require(
        devices == _group[0],
        f"a MirroredStrategy over {_names(devices)} after one over {_names(_group[0])} fails in one process of "
        "TensorFlow; start a new process, or give both `cross_device_ops=tf.distribute.ReductionToOneDevice()`",
    )


def _names(devices: Sequence[str]) -> str:
    return ", ".join(device.rpartition("device:")[2] for device in devices)


def _averaged(create: Callable[..., tf.Variable], **more: Any) -> tf.Variable:
    """Create a variable; over replicas, moving statistics are averaged and counters taken from the first."""
    unsaid = more.get("aggregation") in (None, tf.VariableAggregation.NONE)
    if unsaid and not more.get("trainable", True):
        floating = tf.as_dtype(more.get("dtype") or tf.float32).is_floating
        mean, first = tf.VariableAggregation.MEAN, tf.VariableAggregation.ONLY_FIRST_REPLICA
        more["aggregation"] = mean if floating else first
    return create(**more)


def _synchronized(layer: keras.layers.Layer) -> keras.layers.Layer:
    config = layer.get_config()
    if isinstance(layer, keras.layers.BatchNormalization):
        config["synchronized"] = True
    return layer.__class__.from_config(config)
