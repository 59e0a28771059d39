"""Settings are frozen dataclasses: options of a command, keywords of a call, the name of a run folder."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

from dlhw.errors import UserError, require

DatasetDefaults = Mapping[str, Mapping[str, Any]]
"""Data set -> fields whose defaults are others for it."""
_LONGEST_NAME = 80


def option(default: Any, help: str, **metadata: Any) -> Any:
    """Declare a field of a Settings class with its default and help.

    positional=True makes it arguments, not an option; whole=True keeps commas within a value of a list;
    flags="--yes/--no" names both sides of a bool; shown="..." is what help shows as the default;
    also=("--runs",) are further names of the option; paths=True says that values may be paths of files, which may hold
    any character; describe=f, with text -> words, says each value in words (:func:`described`); notation=(...) are the
    lines that explain how its values are written.
    """
    return dataclasses.field(default=default, metadata={"help": help, **metadata})


def dataset_defaults(cls: type, data: Any) -> dict[str, Any]:
    """Return the fields of the Settings class `cls` whose defaults are others for a data set, with these defaults.

    A class has them in `DATASET_DEFAULTS`: nets and learning rates that suit MNIST do not suit images of 8x8.
    """
    return dict(getattr(cls, "DATASET_DEFAULTS", {}).get(data, {}))


def described(settings: Any, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the values of fields with `describe` in words: `deep: hidden layers of ...`; names: of fields, or all."""
    fields = [f for f in dataclasses.fields(settings) if "describe" in f.metadata and (not names or f.name in names)]
    pairs = [(f.metadata["describe"], value) for f in fields for value in _texts(getattr(settings, f.name))]
    return tuple(f"{value}: {describe(value)}" for describe, value in pairs)


def notation_of(cls: type) -> tuple[str, ...]:
    """Return the lines that explain how values of the Settings class `cls` are written; () where none need it."""
    return next((f.metadata["notation"] for f in dataclasses.fields(cls) if "notation" in f.metadata), ())


def shown(settings: Any, field: dataclasses.Field[Any], between: str = ", ") -> str:
    """Return the value of a field for a table of settings, in words where it has them."""
    return "; ".join(described(settings, [field.name])) or text(getattr(settings, field.name), between)


def _other_defaults(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return all defaults that depend on other fields: on the data set, and those of `cls.other_defaults`."""
    others = getattr(cls, "other_defaults", None)
    return dataset_defaults(cls, values.get("data")) | (others(values) if others is not None else {})


def default_values(settings: Any) -> dict[str, Any]:
    """Return the default of every field, where it depends on other fields for those of these settings."""
    defaults = {f.name: f.default for f in dataclasses.fields(settings)}
    return defaults | _other_defaults(type(settings), {name: getattr(settings, name) for name in defaults})


def build(cls: type, values: dict[str, Any]) -> Any:
    """Build an instance of the Settings class `cls`; fields that are not given have the defaults of the data set.

    Raises:
        UserError: for a name that the class does not have, and for invalid values.
    """
    names = [f.name for f in dataclasses.fields(cls)]
    for name in values:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        require(name in names, f"unknown setting {name!r}; {hint}settings are {', '.join(names)}")
    return cls(**_other_defaults(cls, values) | values)


def check(settings: Any) -> None:
    """Check every field against its annotation (finite numbers, allowed choices); lists become tuples."""
    hints = get_type_hints(type(settings))
    for field in dataclasses.fields(settings):
        value = _convert(hints[field.name], getattr(settings, field.name), field.name)
        object.__setattr__(settings, field.name, value)


def check_choice(name: str, value: Any, kind: Any) -> None:
    """Raise UserError unless `value` of the argument `name` is one of the values of the Literal `kind`."""
    allowed = get_args(kind)
    close = difflib.get_close_matches(str(value), list(map(str, allowed)), n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    require(value in allowed, f"`{name}` {value!r} is unknown; {hint}use {', '.join(map(str, allowed))}")


def _convert(kind: Any, value: Any, name: str) -> Any:
    value = _plain(value)
    if get_origin(kind) is Literal:
        check_choice(name, value, kind)
        return value
    if get_origin(kind) is tuple:
        require(isinstance(value, (tuple, list)), f"`{name}` {value!r} must be a list")
        kinds = get_args(kind)
        if kinds[-1] is Ellipsis:
            return tuple(_convert(kinds[0], v, name) for v in value)
        require(len(value) == len(kinds), f"`{name}` takes {len(kinds)} values, not {len(value)}")
        return tuple(_convert(k, v, name) for k, v in zip(kinds, value, strict=True))
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        require(math.isfinite(value), f"`{name}` {value} must be a finite number")
        return float(value)
    if type(value) is not kind:
        raise UserError(f"`{name}` {value!r} must be {'a whole number' if kind is int else f'of type {kind.__name__}'}")
    return value


def _plain(value: Any) -> Any:
    """Convert a NumPy scalar to a Python one, and an array of one axis to a list."""
    if type(value).__module__ != "numpy" or not hasattr(value, "tolist") or getattr(value, "ndim", 0) > 1:
        return value
    return value.tolist()


def changed(settings: Any) -> dict[str, Any]:
    """Return the fields that differ from their defaults for the data set."""
    defaults = default_values(settings)
    return {name: getattr(settings, name) for name in defaults if getattr(settings, name) != defaults[name]}


def run_name(settings: Any) -> str:
    """Return the name of a run: `epochs=3_func=sign`, or `default`; with a hash if too long or not valid in a path."""
    parts = [f"{k}={text(v)}" for k, v in sorted(changed(settings).items())]
    if not parts:
        return "default"
    full = "_".join(parts)
    safe = "".join(c if c.isalnum() or c in "=_-.,+" else "~" for c in full)
    fields = [f for f in dataclasses.fields(settings) if f.metadata.get("paths")]
    paths = [path for f in fields for path in _texts(getattr(settings, f.name))]
    if any(c in path for path in paths for c in ",="):  # `of=a,b.keras` would be two files as well as one
        return f"{safe[:_LONGEST_NAME]}_{digest(settings)}"
    if safe == full and len(full) <= _LONGEST_NAME:
        return full
    return f"{safe[:_LONGEST_NAME]}_{digest(settings)}"


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, tuple) else (str(value),)


def text(value: Any, between: str = ",") -> str:
    """Format a value: a list is joined by `between`."""
    return between.join(text(v) for v in value) if isinstance(value, tuple) else str(value)


def digest(settings: Any) -> str:
    """Return eight hexadecimal digits of the SHA-256 of all fields."""
    whole = json.dumps(dataclasses.asdict(settings), sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()[:8]
