"""Hundreds of wrong calls end with status 2 and one line, at once, and nothing is written."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.slow
def test_wrong_calls_are_refused_in_a_line_without_tensorflow(tmp_path):
    program = [sys.executable, "-m", "tests.reliability.wrong_calls"]
    ended = subprocess.run(
        program,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    calls = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len(calls) >= 250
    wrong = [
        (words, status, err or out)
        for words, status, err, out, seconds, written in calls
        if status != 2 or not 1 <= len(err.splitlines()) <= 3 or seconds > 3 or written
    ]
    assert not wrong
    assert all(err.startswith("dlhw: ") for _, _, err, *_ in calls)
