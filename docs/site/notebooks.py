"""Run every notebook in a clean kernel, for the site: `python -m docs.site.notebooks [NAMES]`.

The notebooks hold no outputs. Copies with outputs go into a folder that git ignores, from where the site takes them.
A notebook that did not change since is not run again, unless `--all` is given.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "notebooks"
EXECUTED = ROOT / ".cache" / "notebooks"
TIMEOUT = 600
"""Seconds for one cell, on a machine that is busy."""


def execute(source: Path, target: Path) -> tuple[float, float]:
    """Run a notebook in a kernel of its own and store the copy with its outputs.

    Args:
        source: the notebook, in the folder that its cells see as theirs.
        target: the copy, which is written only if no cell failed.

    Returns:
        Seconds that it took, and those of processor time, the start of the kernel included.

    Raises:
        CellExecutionError: for a cell that raises; the message holds the cell and its traceback.
    """
    began, processor = time.perf_counter(), _of_children()
    notebook = nbformat.read(source, as_version=4)
    paths = (str(ROOT), os.environ.get("PYTHONPATH", ""))  # this clone, wherever another one is installed
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "CUDA_VISIBLE_DEVICES": "-1",
        "OPENBLAS_NUM_THREADS": "1",  # threads of small matrices wait for each other where other tests run as well
    }
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": source.parent}},
        extra_arguments=["--log-level=ERROR"],
    )
    client.execute(env=environment)
    notebook.metadata["source"] = digest(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)
    return time.perf_counter() - began, _of_children() - processor


def _of_children() -> float:
    """Return the processor time of the processes that this one started and that ended; 0 on Windows."""
    times = os.times()
    return times.children_user + times.children_system


def digest(source: Path) -> str:
    """Return what tells whether a copy was made from this notebook."""
    return hashlib.sha256(source.read_bytes()).hexdigest()


def current(source: Path, target: Path) -> bool:
    """Whether the copy with outputs was made from the notebook as it is now."""
    if not target.is_file():
        return False
    return bool(nbformat.read(target, as_version=4).metadata.get("source") == digest(source))


def main(arguments: list[str]) -> int:
    """Run the notebooks that are named, or all that changed; return 1 if one failed."""
    anew = "--all" in arguments
    names = [name for name in arguments if name != "--all"]
    sources = [p for p in sorted(SOURCES.glob("*.ipynb")) if not names or any(name in p.name for name in names)]
    failed = 0
    for source in sources:
        target = EXECUTED / source.name
        if not (anew or names) and current(source, target):
            print(f"{source.name}: unchanged", flush=True)
            continue
        try:
            seconds, processor = execute(source, target)
            print(f"{source.name}: {seconds:.0f} s, {processor:.0f} s of processor time", flush=True)
        except CellExecutionError as error:
            print(f"{source.name}: failed\n{error}", file=sys.stderr, flush=True)
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
