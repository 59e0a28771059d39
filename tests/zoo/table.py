"""Write docs/models.md: every kind of model x every instrument. `python -m tests.zoo.table`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import keras

from dlhw._tf.compiled import Compiled
from tests.zoo import kinds
from tests.zoo.instruments import APPLICATIONS, AS_HESSIAN, INSTRUMENTS, Subject, outcome

DOCUMENT = Path(__file__).parents[2] / "docs" / "models.md"
HEAD = """# Which models the instruments support

The kinds of Keras models below were tested with the instruments and both ways to train, and the results were compared
with an independent computation: `model.evaluate`, an eager `GradientTape`, differences of the gradient in float64.
**✓**: correct. **1**, **2**, ...: refused with the message below. **(✓)**: not tested separately, because
`hessian_matrix`, `eigenpairs` and `line_curvature` use the operator of `hessian`; one kind of each theme was tested.
Empty: not tested, because the model is too large. There was no other outcome in the tests: no wrong number, no other
error, and every variable of the model (weights, states, seeds) is unchanged afterwards.

`value` is `Objective.value`, `full_batch` is `fit`, `weights` stands for `flat`, `assign`, `layer_parts` and
`filter_axes`. Written by `python -m tests.zoo.table`.

"""


def rows() -> tuple[list[str], list[str]]:
    """Lines of the table, and the sentences of refusals by number."""
    reasons: list[str] = []
    lines = []
    for name, kind in kinds.load().items():
        policy = (kind.precision and "float32") or "float64"
        keras.config.set_floatx(policy)
        keras.config.set_dtype_policy(policy)
        keras.utils.clear_session()
        model, x, y, loss = kinds.made(name)
        subject = Subject(name, model, x, y, loss)
        cells = []
        for instrument in INSTRUMENTS:
            if kind.theme == "applications" and instrument not in APPLICATIONS:
                cells.append("")
                continue
            result = outcome(subject, "hessian" if instrument in AS_HESSIAN else instrument)
            if result.right:
                cells.append("(✓)" if instrument in AS_HESSIAN else "✓")
                continue
            reason = general(result.reason)
            if reason not in reasons:
                reasons.append(reason)
            cells.append(str(reasons.index(reason) + 1))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines, reasons


def general(reason: str) -> str:
    """A sentence without the names and numbers of one model."""
    reason = re.sub(r"(model|layer|passes of) '[^']*'", r"\1 NAME", reason)
    reason = re.sub(r"(^|copy of )\w+(?= cannot be copied| does not compute)", r"\1NAME", reason)
    return re.sub(r'at="[^"]*"', 'at="LAYER"', reason)


def document() -> str:
    lines, reasons = rows()
    head = [f"| kind | {' | '.join(INSTRUMENTS)} |", "|---" * (len(INSTRUMENTS) + 1) + "|"]
    return HEAD + "\n".join([*head, *lines, "", *(f"{k}. {r}" for k, r in enumerate(reasons, 1))]) + "\n"


if __name__ == "__main__":
    Compiled.__call__ = lambda self, *arguments: self.function(*arguments)  # type: ignore[method-assign]
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    DOCUMENT.write_text(document(), encoding="utf-8")
