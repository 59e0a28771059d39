"""Runs that follow each other in one process leave no memory and no open files behind.

Twenty here; `python -m benchmarks.reliability` makes three hundred.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import dlhw
from benchmarks.reliability import open_files, resident_mib


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell memory as Linux does")
def test_memory_and_open_files_are_flat(tmp_path):
    def runs(first, last):
        for k in range(first, last):
            dlhw.run("simulate", out=tmp_path, run_name=f"run{k}", models=("4",), epochs=20, points=10, seeds=2, seed=k)

    runs(0, 8)
    memory, files = resident_mib(), open_files()
    runs(8, 20)
    assert open_files() <= files
    assert resident_mib() <= memory + 12
