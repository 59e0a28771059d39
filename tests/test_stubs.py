"""The stubs are the only lists of names: every name resolves, and every instrument is documented."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STUBS = sorted((ROOT / "dlhw").rglob("__init__.pyi"))
DOCS = (ROOT / "docs" / "measures.md").read_text(encoding="utf-8")


def names_in(stub: Path) -> list[str]:
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    return [alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]


@pytest.mark.parametrize("stub", STUBS, ids=[str(s.parent.relative_to(ROOT)) for s in STUBS])
def test_every_name_resolves(stub):
    package = importlib.import_module(".".join(stub.parent.relative_to(ROOT).parts))
    for name in names_in(stub):
        assert getattr(package, name) is not None
        assert name in dir(package)


def test_every_instrument_is_in_the_documentation():
    measure = importlib.import_module("dlhw.measure")
    instruments = [
        n for n in names_in(ROOT / "dlhw" / "measure" / "__init__.pyi") if inspect.isfunction(getattr(measure, n))
    ]
    assert len(instruments) > 25
    missing = [name for name in instruments if f"`{name}`" not in DOCS and f"`{name}(" not in DOCS]
    assert not missing


def test_every_finding_is_explained():
    """The code of a finding is a heading of the documentation."""
    codes = set()
    for path in (ROOT / "dlhw").rglob("*.py"):
        codes |= set(re.findall(r'Finding\(\s*"([a-z-]+)"', path.read_text(encoding="utf-8")))
    headings = set(re.findall(r"^#+ ([a-z-]+)$", DOCS, re.M))
    assert len(codes) > 20
    assert codes <= headings, codes - headings
    assert headings <= codes, headings - codes
