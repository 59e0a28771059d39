"""One-dimensional functions to fit, by name or as an expression of x. NumPy only."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import UserError, require

Array = NDArray[np.float64]


def _sinc(x: Array) -> Array:
    """Return sin(5 pi x)/(2x), with its limit 5 pi/2 at x = 0."""
    return 2.5 * np.pi * np.sinc(5 * x)


def _sgn_sin(x: Array) -> Array:
    # 5 x is reduced first: sin(5 pi x) at a multiple of 1/5 is rounding noise, whose sign means nothing.
    phase = np.mod(5 * x, 2.0)
    return np.where((phase == 0) | (phase == 1), 0.0, np.where(phase < 1, 1.0, -1.0))


TARGETS: dict[str, tuple[str, Callable[[Array], Array]]] = {
    "sinc": ("sin(5πx)/(2x)", _sinc),
    "sign": ("sgn(5πx)", lambda x: np.sign(5 * np.pi * x)),
    "square": ("sgn(sin(5πx))", _sgn_sin),
    "sin": ("sin(2πx)", lambda x: np.sin(2 * np.pi * x)),
    "damped": ("exp(−x) sin(3πx)", lambda x: np.exp(-x) * np.sin(3 * np.pi * x)),
    "abs": ("|x|", np.abs),
    "runge": ("1/(1 + 25 x^2)", lambda x: 1 / (1 + 25 * x**2)),
    "step": ("1 for x >= 0, else 0", lambda x: np.heaviside(x, 1.0)),
}
"""name -> (formula, function); every function maps float64 (n,) to float64 (n,)."""

_FUNCTIONS: dict[str, np.ufunc] = {
    **{n: getattr(np, n) for n in ("sin", "cos", "tan", "exp", "log", "sqrt", "abs", "sign", "sinh", "cosh")},
    **{n: getattr(np, n) for n in ("tanh", "arcsin", "arccos", "arctan", "floor", "ceil")},
    **{n: getattr(np, n) for n in ("minimum", "maximum")},
}
_CONSTANTS = {"pi": np.pi, "e": np.e}
# The grammar of a formula: no attribute, index, call by keyword, lambda, comprehension or text can be written.
_GRAMMAR: tuple[type[ast.AST], ...] = (
    ast.Expression,
    ast.BinOp,
    ast.UnaryOp,
    ast.Compare,
    ast.Call,
    ast.Name,
    ast.Constant,
    ast.Load,
)
_GRAMMAR += (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.UAdd, ast.USub)
_GRAMMAR += (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
_LONGEST = 200


def formula(func: str) -> str:
    """Return `func` as text for a figure: the formula of a named target, or the expression itself."""
    return TARGETS[func][0] if func in TARGETS else re.sub(r"\bpi\b", "π", func)


def target(func: str) -> Callable[[Array], Array]:
    """Return the function called `func`, or the one given by the expression `func` of x.

    An expression is parsed and computed by asteval (Newville et al.), which walks the syntax tree, after a
    check that it holds arithmetic, numbers, x, pi, e and elementary functions only; nothing is ever passed to `eval`.
    Raises UserError for an unknown name, a foreign symbol or a formula that does not parse.
    """
    if func in TARGETS:
        return TARGETS[func][1]
    text = _checked(func)
    from asteval import Interpreter  # late: only expressions need it

    def evaluate(x: Array) -> Array:
        symbols = {**_FUNCTIONS, **_CONSTANTS, "x": np.array(x, dtype=np.float64)}
        interpreter = Interpreter(minimal=True, use_numpy=False, builtins_readonly=True, user_symbols=symbols)
        with np.errstate(all="ignore"):
            value = interpreter(text, show_errors=False)
        if interpreter.error:
            reason = str(interpreter.error[0].get_error()[1]).strip().splitlines()[-1]
            raise UserError(f"`func` {func!r} cannot be computed: {reason}")
        require(
            not np.iscomplexobj(value),
            f"`func` {func!r} is complex; negative numbers can only be raised to integer powers",
        )
        return np.broadcast_to(np.asarray(value, dtype=np.float64), np.shape(x)).copy()

    return evaluate


def _checked(func: str) -> str:
    """Return the expression if it is arithmetic; its integers become floats, whose size is bounded."""
    names = ", ".join(TARGETS)
    require(len(func) <= _LONGEST, f"`func` has {len(func)} characters; at most {_LONGEST} are allowed")
    try:
        tree = ast.parse(func.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UserError(f"`func` {func!r} is not a formula; use {names}, or an expression of x") from None
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            bare = node.id in _FUNCTIONS and id(node) not in called
            require(not bare, f"`func` {func!r}: {node.id} needs an argument, such as {node.id}(x)")
            allowed = {"x", *_CONSTANTS, *_FUNCTIONS}
            if node.id in allowed:
                continue
            close = difflib.get_close_matches(node.id, [*TARGETS, *sorted(allowed)], n=1)
            hint = f"; did you mean {close[0]!r}?" if close else "."
            raise UserError(
                f"`func` {func!r}: unknown name {node.id!r}{hint} Allowed: {names}, or an expression of x, pi, e "
                f"with {' '.join(_FUNCTIONS)}"
            )
        number = not isinstance(node, ast.Constant) or type(node.value) in (int, float)
        plain_call = not isinstance(node, ast.Call) or (isinstance(node.func, ast.Name) and not node.keywords)
        require(
            number and plain_call and isinstance(node, _GRAMMAR),
            f"`func` {func!r} contains more than arithmetic; use x, pi, e, numbers",
        )
        if isinstance(node, ast.Constant):
            node.value = float(node.value)  # type: ignore[arg-type]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS:
            name, takes = node.func.id, _FUNCTIONS[node.func.id].nin
            # One argument more would be taken by NumPy as the place to write the result.
            require(len(node.args) == takes, f"`func` {func!r}: {name} takes {takes} argument{'s' * (takes > 1)}")
    return ast.unparse(tree)


def sample(func: str, x: Array, scale: str = "unit", domain: tuple[float, float] | None = None) -> Array:
    """Return the values of `func` at x, (n,) float64.

    scale="unit" divides by the largest absolute value on the `domain` (default: the range of x), taken on a grid of
    10001 equally spaced points that holds both ends and the middle; a function that is zero everywhere is left alone.
    scale="raw" keeps the values. Raises UserError if a value is not finite.
    """
    f = target(func)
    low, high = domain if domain is not None else (float(np.min(x)), float(np.max(x)))
    values = _finite(func, f, np.asarray(x, dtype=np.float64))
    if scale == "raw":
        return values
    largest = float(np.max(np.abs(_finite(func, f, np.linspace(low, high, 10001)))))
    return values / largest if largest > 0 else values


def _finite(func: str, f: Callable[[Array], Array], x: Array) -> Array:
    with np.errstate(all="ignore"):
        values = f(x)
    bad = ~np.isfinite(values)
    if bad.any():
        where = x[np.argmax(bad)]
        raise UserError(f"`func` {func!r} is not finite at x = {where:g}; choose another `domain` or function")
    return values
