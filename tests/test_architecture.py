"""The rules of the house that no linter has: sizes, annotations, where flags are spelled, where modules are inspected.

Would miss: a file that is short and unreadable.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted([*(ROOT / "dlhw").rglob("*.py"), *(ROOT / "cli").rglob("*.py")])
NAMES = [str(path.relative_to(ROOT)) for path in FILES]
MOST_LINES, MOST_FUNCTION_LINES, MEDIAN_LINES = 250, 60, 100
OLD_WORDS = {"gone", "said", "told", "alone", "made", "found", "kept", "some", "good", "look", "about", "rest", "rule"}
OLD_WORDS |= {"each", "left"}
"""Names of variables that do not say what they hold."""
GEOMETRY = {"dlhw/present/plot.py": {"left"}}
"""Where such a word is the right one: the left margin of a figure."""
FIELDS = {"dlhw/measure/norms.py": {"each"}}
"""Public fields of results."""


def functions(tree: ast.AST) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_files_and_functions_are_short(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    for function in functions(ast.parse(text)):
        documentation = function.body[0] if ast.get_docstring(function) else None
        lines = function.end_lineno - function.lineno + 1
        lines -= documentation.end_lineno - documentation.lineno + 1 if documentation is not None else 0
        assert lines <= MOST_FUNCTION_LINES, function.name


def test_the_median_file_is_short():
    assert statistics.median(len(path.read_text(encoding="utf-8").splitlines()) for path in FILES) <= MEDIAN_LINES


def annotations(tree: ast.AST) -> list[str]:
    found: list[ast.expr | None] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            arguments = node.args
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
            found += [argument.annotation for argument in every if argument is not None] + [node.returns]
        elif isinstance(node, ast.AnnAssign):
            found.append(node.annotation)
    return [ast.unparse(annotation) for annotation in found if annotation is not None]


def test_few_annotations_mention_any():
    every = [a for path in FILES for a in annotations(ast.parse(path.read_text(encoding="utf-8")))]
    assert len(every) > 2000
    assert sum(bool(re.search(r"\bAny\b", a)) for a in every) <= 0.1 * len(every)


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_only_the_command_line_spells_options(path):
    """Messages name arguments in backticks; `dlhw.runs.flags` makes options of them."""
    if path.parts[-2] == "cli" or path.name == "flags.py":
        pytest.skip("spells options")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            texts = [a for a in ast.walk(node) if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            named = {k.value for k in node.keywords if k.arg in ("flags", "also")}
            allowed = {id(a) for value in named for a in ast.walk(value)}
            assert not [a.value for a in texts if re.search("--[a-z]", a.value) and id(a) not in allowed]


def test_modules_are_inspected_in_one_place():
    """Which optional parts an experiment has is decided once, where it is registered."""
    inspecting = [
        path.relative_to(ROOT / "dlhw").as_posix()
        for path in FILES
        if re.search(r"(hasattr|getattr)\(module\b", path.read_text(encoding="utf-8"))
    ]
    assert inspecting == ["runs/experiment.py"]


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_identifiers_are_the_terms_of_the_field(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    names |= {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    file = path.relative_to(ROOT).as_posix()
    assert not (names & OLD_WORDS) - GEOMETRY.get(file, set()) - FIELDS.get(file, set())


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_everything_public_has_a_docstring(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    public = [n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and not n.name.startswith("_")]
    assert all(ast.get_docstring(node) for node in public), [n.name for n in public if not ast.get_docstring(n)]
    assert ast.get_docstring(tree) or path.name == "__init__.py"


def exported():
    """Every function of the public packages, and every public method of their classes."""
    for stub in sorted((ROOT / "dlhw").rglob("__init__.pyi")):
        package = importlib.import_module(".".join(stub.parent.relative_to(ROOT).parts))
        tree = ast.parse(stub.read_text(encoding="utf-8"))
        for name in (a.name for node in tree.body if isinstance(node, ast.ImportFrom) for a in node.names):
            value = getattr(package, name)
            if inspect.isfunction(value):
                yield f"{package.__name__}.{name}", value, True
            elif inspect.isclass(value):
                for method, function in inspect.getmembers(value, inspect.isfunction):
                    if not method.startswith("_") and function.__qualname__.startswith(value.__name__ + "."):
                        yield f"{package.__name__}.{name}.{method}", function, False


def test_public_functions_document_arguments_results_errors_and_an_example():
    incomplete = {}
    for name, function, is_function in exported():
        doc, signature = inspect.getdoc(function) or "", inspect.signature(function)
        lacks = []
        if set(signature.parameters) - {"self"} and "Args:" not in doc:
            lacks.append("Args")
        gives = signature.return_annotation not in (None, "None", inspect.Signature.empty)
        if gives and not re.search("Returns:|Yields:|^Return|^Whether", doc):
            lacks.append("Returns")
        if is_function and "Raises:" not in doc and re.search(r"require\(|raise ", inspect.getsource(function)):
            lacks.append("Raises")
        if is_function and ">>>" not in doc:
            lacks.append("example")
        if lacks:
            incomplete[name] = lacks
    assert not incomplete
