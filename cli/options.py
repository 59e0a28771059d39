"""Options made from dataclasses: a function is given the signature of Settings, so that Typer makes its options."""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from dlhw.runs.context import Context
from dlhw.runs.flags import flag, label, with_flags
from dlhw.runs.settings import option, text

PANEL = "Run"
Out = Annotated[Path, typer.Option("--out", help="Folder of all runs.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print the table as comma-separated values and nothing else.")]
DataDir = Annotated[str, typer.Option("--data-dir", help="Folder that holds the data sets.")]


@dataclass(frozen=True)
class Output:
    """Options of every experiment beside those of :class:`dlhw.runs.context.Context`."""

    out: Path = option(Path("artifacts"), "Folder of all runs.")
    name: str = option("", "Name of the run folder, in place of what differs from the defaults.")
    overwrite: bool = option(False, "Train again, and replace what is in the run folder.")
    quiet: bool = option(False, "Print nothing but errors.")
    json: bool = option(False, "Print one JSON object, run folder and all numbers, and nothing else.")

    @property
    def talks(self) -> bool:
        """Whether progress and tables are printed."""
        return not (self.quiet or self.json)


def is_list(kind: Any) -> bool:
    """Whether a field takes any number of values: tuple[X, ...]."""
    return get_origin(kind) is tuple and get_args(kind)[-1] is Ellipsis


def parameters(cls: type, panel: str | None = None) -> list[inspect.Parameter]:
    """Return one keyword parameter per field that has a help text, annotated for Typer."""
    hints, sets = get_type_hints(cls), getattr(cls, "DATASET_DEFAULTS", {})
    return [
        _parameter(
            field, hints[field.name], panel, {data: d[field.name] for data, d in sets.items() if field.name in d}
        )
        for field in dataclasses.fields(cls)
        if "help" in field.metadata
    ]


def _parameter(
    field: dataclasses.Field[Any], kind: Any, panel: str | None, by_data: Mapping[str, Any]
) -> inspect.Parameter:
    """Return the parameter of a field; by_data: its defaults for some data sets."""
    default, help_text = field.default, with_flags(field.metadata["help"])
    if is_list(kind):
        kind, default = list[str], [str(v) for v in default]  # type: ignore[union-attr]
    elif kind == Path | None:
        kind, default = str, ""
    elif kind == int | None:
        kind, default = int, os.cpu_count() or 1
    parse: dict[str, Any] = {}
    if kind in (int, float):
        parse = {"parser": number_parser(kind), "metavar": f"<{kind.__name__}>"}
    elif get_origin(kind) is Literal:  # the dataclass refuses other values, in one line
        kind, parse = str, {"metavar": f"<{'|'.join(map(str, get_args(kind)))}>"}
    shown = field.metadata.get("shown", True)
    if by_data:
        first = str(field.metadata.get("shown", text(field.default)))
        shown = "; ".join([first, *(f"{data}: {text(value)}" for data, value in by_data.items())])
    if field.metadata.get("positional"):
        info: Any = typer.Argument(help=help_text, show_default=shown, metavar=label(field))
    else:
        names = [field.metadata.get("flags") or flag(field.name), *field.metadata.get("also", ())]
        info = typer.Option(*names, help=help_text, rich_help_panel=panel, show_default=shown, **parse)
    annotation = Annotated[kind, info]
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def split_commas(values: list[str]) -> list[str]:
    """["a,b", "c"] -> ["a", "b", "c"]."""
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def split_paths(values: list[str]) -> list[str]:
    """As :func:`split_commas`, but the longest run of parts that is the path of a file stays one."""
    paths = []
    for value in values:
        parts = value.split(",")
        while parts:
            ends = range(len(parts), 0, -1)
            end = next((k for k in ends if Path(",".join(parts[:k])).is_file()), 1)
            if path := ",".join(parts[:end]).strip():
                paths.append(path)
            parts = parts[end:]
    return paths


def values_of(cls: type, given: dict[str, Any], names: Collection[str] | None = None) -> dict[str, Any]:
    """Return field values of `cls` from parsed options: lists split at commas, with elements of their type.

    Args:
        cls: a dataclass.
        given: value of every option.
        names: the fields that are wanted; None: all.
    """
    hints, values = get_type_hints(cls), {}
    for field in dataclasses.fields(cls):
        if names is not None and field.name not in names:
            continue
        kind, value = hints[field.name], given[field.name]
        if is_list(kind):
            split = split_paths if field.metadata.get("paths") else split_commas
            words = value if field.metadata.get("whole") else split(value)
            value = tuple(element(get_args(kind)[0], v, label(field)) for v in words)
        elif isinstance(value, list):
            value = tuple(value)
        values[field.name] = value
    return values


def context_of(given: dict[str, Any]) -> Context:
    """Return the context of a run from parsed options."""
    names = [f.name for f in dataclasses.fields(Context) if "help" in f.metadata]
    values = {name: given[name] for name in names}
    for name in ("data_dir", "tensorboard"):
        values[name] = Path(values[name]) if values[name] else None
    return Context(**values)


def number_parser(kind: type) -> Callable[[Any], Any]:
    """Return text -> int or float; Typer's own message for a wrong one does not say which value was wrong."""

    def parse(text: Any) -> Any:
        try:
            return kind(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not {'a whole number' if kind is int else 'a number'}") from None

    return parse


def element(kind: type, text: str, name: str) -> Any:
    """Return one element of a list as its type; an error names the option."""
    try:
        return number_parser(kind)(text) if kind in (int, float) else text
    except typer.BadParameter as error:
        raise typer.BadParameter(error.message, param_hint=f"'{name}'") from None


Call = Callable[[dict[str, Any], Context, Output], None]
"""What a command calls with the settings that were given."""


def command(settings: type, call: Call, doc: str) -> Callable[..., None]:
    """Return a function with the options of `settings`, the context and the output, which passes all to `call`."""

    def function(parsed: typer.Context, **given: Any) -> None:
        output = Output(**{f.name: given[f.name] for f in dataclasses.fields(Output)})
        named = [n for n in given if getattr(parsed.get_parameter_source(n), "name", "") not in ("DEFAULT", "")]
        named = [n for n in named if given[n] != [] or n not in positional]  # Typer 0.26 calls no arguments given
        call(values_of(settings, given, named), context_of(given), output)

    positional = {f.name for f in dataclasses.fields(settings) if f.metadata.get("positional")}
    out, *others = parameters(Output, PANEL)
    context = inspect.Parameter("parsed", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    every = [context, *parameters(settings), out, *parameters(Context, PANEL), *others]
    function.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
    function.__annotations__ = {p.name: p.annotation for p in every}
    function.__doc__ = doc
    return function
