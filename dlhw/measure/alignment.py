"""The order of hidden units, which changes nothing of what a net computes, taken from one net and given to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import keras
import numpy as np
from numpy.typing import NDArray

from dlhw._tf.inputs import input_tensors, length
from dlhw._tf.types import Data
from dlhw.choices import Matching
from dlhw.errors import check_numbers, require
from dlhw.measure.activation_matching import match_activations
from dlhw.measure.objective import BATCH
from dlhw.measure.weight_matching import SWEEPS, MatchedUnits, WeightMatching, match_weights
from dlhw.models.activations import examples_that_fit
from dlhw.models.channels import Channels, channels_of
from dlhw.models.copies import copied, prove_equal, random_inputs
from dlhw.models.state import require_built
from dlhw.models.wiring import architecture

Array = NDArray[np.floating]
METHODS: tuple[Matching, ...] = get_args(Matching)


@dataclass(frozen=True)
class Alignment:
    """A net whose hidden units are in the order of another one's. It computes what it computed before."""

    model: keras.Model  # a copy of b with its units reordered
    permutations: Mapping[str, NDArray[np.integer]]  # by layer: unit k is unit permutation[k] of b
    distances: Array  # |a - b| over the trainable weights: before, and after every sweep
    converged: bool  # whether the last sweep changed nothing

    @property
    def weights(self) -> list[Array]:
        """All weights of the reordered net, as `get_weights()` gives them."""
        return list(self.model.get_weights())

    @property
    def moved(self) -> float:
        """Share of the hidden units that have changed their place; nan for a net without hidden units."""
        orders = list(self.permutations.values())
        if not orders:
            return float("nan")
        return float(np.mean(np.concatenate([order != np.arange(len(order)) for order in orders])))


@check_numbers
def align(
    a: keras.Model,
    b: keras.Model,
    *,
    method: Matching = "weights",
    x: Data = None,
    seed: int = 0,
    starts: int = 1,
    sweeps: int = SWEEPS,
    batch_size: int = BATCH,
) -> Alignment:
    """Return `b` with its hidden units permuted so that it is closest to `a`; what it computes stays the same.

    Ainsworth, Hayase and Srinivasa 2023, Git Re-Basin. Units that are tied by a residual sum are permuted together; the
    order of inputs and outputs is kept.

    - "weights" minimizes |a - P(b)|, the distance over all trainable weights: the best order of one group of units,
      given those of all others, is a linear assignment; the groups are taken in random order until none changes
      (coordinate descent, which ends in a local minimum). A group on both axes of a kernel, as in a residual stream
      without projections, has a quadratic assignment instead: the linear one, and in small groups the best exchange of
      two units, is taken if it is better.
    - "activations" minimizes |z_a - P z_b| over the data x for each group by itself, where z is what the layers behind
      it read: after activations, normalization and pools; positions of an image count as examples.
    - "correlation" maximizes the correlation of the same numbers (Li et al. 2015, Convergent learning), which does not
      depend on their scale.

    Args:
        a: any built functional or Sequential model of layers whose units can be followed: Dense, convolutions without
            groups, pools, Flatten, activations, batch and layer normalization, dropout, sums, concatenations.
        b: another of the same layers, wiring and shapes.
        method: see above.
        x: inputs, (n, ...), for "activations" and "correlation".
        seed: of the order in which groups are taken, and of the starts.
        starts: number of descents for "weights"; all but the first begin at random permutations, and that which ends
            closest is taken.
        sweeps: most sweeps over all groups in a descent.
        batch_size: examples per chunk; it changes rounding and memory only. By default at most as many as keep the
            activations of both nets within a gigabyte.

    Returns:
        The permuted copy of b, the permutation of each layer, the distances over the sweeps, whether it converged.

    Raises:
        UserError: for models that differ in more than their weights, an unknown method, data that are missing or do
            not fit, and a layer whose units cannot be followed, which it names.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> net = models.mlp((4,), seed=0)
        >>> alignment = measure.align(net, models.mlp((4,), seed=1))
        >>> bool(alignment.distances[-1] <= alignment.distances[0])
        True
        >>> sorted(alignment.permutations["dense_1"].tolist())
        [0, 1, 2, 3]
    """
    require(method in METHODS, f"`method` {method!r} is unknown; use {', '.join(METHODS)}")
    require(starts >= 1, f"`starts` {starts} must be positive")
    require(sweeps >= 1, f"`sweeps` {sweeps} must be positive")
    require(batch_size >= 1, f"`batch_size` {batch_size} must be positive")
    require(method == "weights" or x is not None, f"`x` is missing: `method` {method!r} compares activations on data")
    for model in (a, b):
        require_built(model)
    mine = channels_of(b)
    require(
        architecture(a) == architecture(b),
        f"models {a.name!r} and {b.name!r} differ in layers, wiring or shapes; only nets of one architecture can be "
        "aligned",
    )
    trained = {id(v) for v in b.trainable_variables}
    weights = a.get_weights(), b.get_weights()
    for model, arrays in zip((a, b), weights, strict=True):
        require(all(np.isfinite(w).all() for w in arrays), f"model {model.name!r} has weights that are not finite")
    matching = WeightMatching(mine, weights[0], weights[1], [id(v) in trained for v in b.weights])
    if method == "weights":
        best = match_weights(matching, seed=seed, starts=starts, sweeps=sweeps)
    else:
        data = input_tensors(b, x)
        n = length(data)
        if batch_size == BATCH:
            batch_size = examples_that_fit(b, "gradient", n, BATCH)  # twice the activations: of both nets
        permutations = match_activations((channels_of(a), mine), (a, b), data, method, batch_size)
        distances = [matching.distance(p) for p in (mine.identity(), permutations)]
        best = MatchedUnits(permutations, np.array(distances), True)
    orders = {name: best.permutations[g] for name, g in mine.layers.items()}
    return Alignment(_permuted_copy(b, mine, best, weights[1]), orders, best.distances, best.converged)


def _permuted_copy(b: keras.Model, channels: Channels, best: MatchedUnits, weights: list[Array]) -> keras.Model:
    """Return a copy of b with its units reordered, checked to compute the same."""
    model = copied(b)
    model.set_weights(channels.permuted(weights, best.permutations))
    inputs = random_inputs(b)
    if inputs is not None:
        prove_equal(b, model, inputs)
    return model
