"""Which layout of activations is faster for which work. No TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Literal, TypeAlias, get_args

import numpy as np

Work: TypeAlias = Literal["training", "value", "gradient", "product", "sensitivity", "jacobian", "line"]
"""line: losses at many points of a line or plane of weights; product: Hessian times vector."""
WORKS: tuple[Work, ...] = get_args(Work)

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


def least_examples(work: Work) -> float:
    """Return the number of examples from which the batch-innermost layout pays on this processor."""
    return _LEAST[work][0 if has_avx512() else 1]


def pays(work: Work, examples: int | None, convolves: bool, pools: bool) -> bool:
    """Return whether the batch-innermost layout is faster on this processor.

    On lines and planes it is for every net, since only there the first layer is not computed at each point.

    Args:
        work: what is computed.
        examples: how many, counted at every point and in every epoch; None: many.
        convolves: whether the net has convolutions.
        pools: whether it has max-pools.
    """
    least = least_examples(work)
    enough = np.isfinite(least) if examples is None else examples >= least
    if work == "line":
        return bool(enough)
    if work == "training" and not has_avx512():
        return bool(enough and convolves)
    return bool(enough and convolves and pools)


@cache
def has_avx512() -> bool:
    """Whether the processor computes on 16 numbers at once."""
    extensions = np.show_config(mode="dicts").get("SIMD Extensions", {})
    names = [*extensions.get("baseline", ()), *extensions.get("found", ())]
    return any(name.startswith(("AVX512", "X86_V4")) for name in names)
