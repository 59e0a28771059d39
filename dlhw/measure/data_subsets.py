"""A subset of the examples that is named by a seed."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from dlhw._tf.types import Data
from dlhw.errors import check_numbers, require
from dlhw.seeds import Stream, generator


@check_numbers
def subset(x: Data, y: Data, examples: int, *, seed: int = 0) -> tuple[Data, Data]:
    """Return some of the examples, drawn at random without replacement: the same for the same seed and number of all.

    The mean of a measurement over a random subset is unbiased. A smaller subset of the same seed is the beginning of a
    larger one.

    Args:
        x: inputs, (n, ...), or a structure of several.
        y: targets, (n, ...).
        examples: number of examples, at most n.
        seed: of the draw; note it beside the number that was measured.

    Returns:
        Inputs and targets of the subset, (examples, ...), in the order of the draw.

    Raises:
        UserError: unless 1 <= examples <= n, and for inputs and targets of unequal length.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure
        >>> x, y = measure.subset(np.arange(10.0), np.arange(10), 3, seed=1)
        >>> bool((x == y).all()), len(x)
        (True, 3)
    """
    x, y = (np.asarray(a) if isinstance(a, list) and not hasattr(a[0], "shape") else a for a in (x, y))
    sizes = {int(a.shape[0]) for a in keras.tree.flatten((x, y))}
    require(len(sizes) == 1, f"the arrays have {sorted(sizes)} examples; all need the same number")
    n = sizes.pop()
    require(1 <= examples <= n, f"`examples` {examples} must lie in 1..{n}, the examples given")
    rows = generator(seed, Stream.SUBSETS).permutation(n)[:examples]

    def take(a: Any) -> Any:
        return a.iloc[rows] if hasattr(a, "iloc") else np.asarray(a)[rows]

    chosen_x, chosen_y = keras.tree.map_structure(take, (x, y))
    return chosen_x, chosen_y
