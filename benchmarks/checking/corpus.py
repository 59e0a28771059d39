"""The corpus: tables of right measurements and of planted mistakes, one JSON file each.

A family is one setting of data, net and optimizer; its tables, right and wrong, lie in one half, so that what rules
were tuned on has nothing in common with what they are judged on.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

HALVES = ("tuning", "reporting")


@dataclass(frozen=True)
class Case:
    """One table as a person would hand it in, and what is wrong with it."""

    item: str
    columns: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)
    words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    mistake: str | None = None  # code of the rule that should name it; None: a right measurement
    seed: int = 0
    variant: str = ""  # how the mistake was made, or what was measured


@dataclass(frozen=True)
class Stored(Case):
    """A table of the corpus."""

    family: str = ""
    half: str = ""
    name: str = ""  # of its file


@dataclass(frozen=True)
class Family:
    """A setting, and what makes its tables."""

    name: str  # source/setting
    make: Callable[[], Iterable[Case]]

    @property
    def source(self) -> str:
        return self.name.split("/")[0]


def halves(families: Iterable[Family]) -> dict[str, str]:
    """Return the half of every family: those of a source, ordered by a hash of their names, take turns."""
    by_source: dict[str, list[str]] = {}
    for family in families:
        by_source.setdefault(family.source, []).append(family.name)
    ordered = {s: sorted(names, key=lambda n: hashlib.sha256(n.encode()).hexdigest()) for s, names in by_source.items()}
    return {name: HALVES[k % 2] for names in ordered.values() for k, name in enumerate(names)}


def write(folder: Path, family: Family, half: str) -> int:
    """Make the tables of a family and store them at once; return their number."""
    final = folder / family.name.replace("/", "--")
    partial = final.with_name(f".{final.name}")
    partial.mkdir(parents=True)  # claims the family: several processes may share the work
    count = 0
    for case in family.make():
        if not _finite(case):
            continue  # a training that diverged
        name = f"{count:03d}-{case.item}-{case.mistake or 'right'}-{case.seed}.json"
        record = {
            "item": case.item,
            "columns": {k: _plain(v) for k, v in case.columns.items()},
            "facts": {k: _plain(v) for k, v in case.facts.items()},
            "words": {k: list(v) for k, v in case.words.items()},
            "mistake": case.mistake,
            "variant": case.variant,
            "family": family.name,
            "seed": case.seed,
            "half": half,
        }
        (partial / name).write_text(json.dumps(record), encoding="utf-8")
        count += 1
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    return count


def make(folder: Path, families: Sequence[Family], every: Sequence[Family], again: bool = False) -> None:
    """Make the families that are not there; one that fails is reported, and left out."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)  # the nets are small
    tf.config.threading.set_inter_op_parallelism_threads(1)
    half = halves(every)
    for family in families:
        name = family.name.replace("/", "--")
        if (folder / f".{name}").exists() or ((folder / name).exists() and not again):
            continue
        began = time.perf_counter()
        try:
            count = write(folder, family, half[family.name])
        except Exception:
            print(f"{family.name}: FAILED\n{traceback.format_exc()}", flush=True)
            shutil.rmtree(folder / f".{name}", ignore_errors=True)
            continue
        print(f"{family.name} ({half[family.name]}): {count} tables, {time.perf_counter() - began:.1f} s", flush=True)


def read(folder: Path) -> Iterator[Stored]:
    """Yield every table of a corpus, by name."""
    for path in sorted(folder.glob("*/*.json")):
        if not path.parent.name.startswith("."):
            record = json.loads(path.read_text(encoding="utf-8"))
            yield Stored(**record, name=f"{path.parent.name}/{path.name}")


def _finite(case: Case) -> bool:
    numbers = [*case.columns.values(), *(v for v in case.facts.values() if not isinstance(v, str))]
    return all(np.isfinite(np.asarray(v, float)).all() for v in numbers)


def _plain(value: Any) -> Any:
    """Return numbers as JSON has them, with the six digits that people print."""
    if isinstance(value, str):
        return value
    array = np.asarray(value)
    if array.dtype.kind in "iub":
        return array.tolist()
    rounded = [float(f"{v:.7g}") for v in array.ravel()]
    return np.reshape(rounded, array.shape).tolist()
