"""Print the table of docs: kinds of trainings x ways to run them. `python -m tests.watch.table`.

Every cell is computed anew by `cell.check`, so that the table says nothing that was not compared.
"""

from __future__ import annotations

import sys

import tensorflow as tf

from tests.watch.cell import BROAD, KINDS, check
from tests.watch.modes import FURTHER, MAIN, NOT_REPEATABLE, REFUSED, ROUNDED

HEAD = """**✓**: weights, optimizer state and history are bit for bit those without the callback, and every recorded
number is that of an independent computation. **=**: bit for bit the same; the numbers were not compared, because
random draws differ in an eager loop. **≈**: as ✓, but for the last digit (see Limits). **~**: recorded; two trainings
without the callback differ as well. **–**: Keras itself cannot train this. A number is that of a note below.
"""


def rows(kinds: tuple[str, ...], modes: tuple[str, ...], notes: list[str]) -> list[str]:
    """Lines of a table; new notes are added to the list."""
    lines = [f"| | {' | '.join(modes)} |", "|---" * (len(modes) + 1) + "|"]
    for name in kinds:
        cells = []
        for mode in modes:
            sign = "✓" if not KINDS[name]().random else "="
            watch = check(name, mode)
            sign = "≈" if (name, mode) in ROUNDED else sign
            sign = "–" if (name, mode) in REFUSED else "~" if (name, mode) in NOT_REPEATABLE else sign
            for note in watch.notes if sign in "✓=~≈" else ():
                notes += [] if note in notes else [note]
                sign += f" {notes.index(note) + 1}"
            cells.append(sign)
            print(name, mode, sign, file=sys.stderr, flush=True)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def document() -> str:
    """The tables and their notes."""
    notes: list[str] = []
    main = rows(tuple(KINDS), tuple(MAIN), notes)
    turned = rows(BROAD, tuple(FURTHER), notes)
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in turned]
    further = [f"| {' | '.join(column)} |" for column in zip(*(c for k, c in enumerate(cells) if k != 1), strict=True)]
    further.insert(1, "|---" * (len(BROAD) + 1) + "|")
    numbered = [f"{k}. {note}" for k, note in enumerate(notes, start=1)]
    return "\n".join([HEAD, *main, "", *further, "", *numbered])


if __name__ == "__main__":
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    print(document())
