"""A function is given the signature of a Settings dataclass, so that Typer makes its options."""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from dlhw.context import Context, Device, Strategy, Xla
from dlhw.settings import flag, label


@dataclasses.dataclass(frozen=True)
class Runtime:
    """Options that every experiment shares: where and how, never what."""

    out: Path = dataclasses.field(default=Path("artifacts"), metadata={"help": "Folder of all runs."})
    device: Device = dataclasses.field(default="auto", metadata={"help": "auto takes GPUs, if there are any."})
    strategy: Strategy = dataclasses.field(
        default="auto",
        metadata={"help": "Split each training over devices or machines; `dlhw devices` says what auto takes."},
    )
    replicas: int = dataclasses.field(
        default=0, metadata={"help": "Use so many devices; 0: all. Splits a CPU with --strategy mirrored."}
    )
    xla: Xla = dataclasses.field(
        default="auto", metadata={"help": "Compile trainings on images with XLA; auto: where it pays on a CPU."}
    )
    scheduler: str = dataclasses.field(
        default="", metadata={"help": "Send trainings on images to a Dask cluster: tcp://HOST:PORT."}
    )
    jobs: int = dataclasses.field(
        default=os.cpu_count() or 1, metadata={"help": "Trainings side by side; one a core measured fastest."}
    )
    data_dir: str = dataclasses.field(
        default="", metadata={"help": "Folder of data sets, read in place; else DLHW_DATA_DIR, else Keras's cache."}
    )
    animate: bool = dataclasses.field(
        default=False, metadata={"help": "Write a GIF too: of the fit over the epochs, or of the growing path."}
    )
    tensorboard: str = dataclasses.field(
        default="", metadata={"help": "Folder for TensorBoard: scalars and histograms while training."}
    )
    overwrite: bool = dataclasses.field(default=False, metadata={"help": "Replace whatever stands in the run folder."})
    quiet: bool = dataclasses.field(default=False, metadata={"help": "Print nothing but errors."})
    json: bool = dataclasses.field(
        default=False,
        metadata={"help": "Print one JSON object, run folder and all numbers, and nothing else."},
    )

    def context(self, report: Any = None, parts: Any = None) -> Context:
        """What the library needs of them."""
        given = {f.name: getattr(self, f.name) for f in dataclasses.fields(Context) if hasattr(self, f.name)}
        for name in ("data_dir", "tensorboard"):
            given[name] = Path(given[name]) if given[name] else None
        if self.scheduler:  # the machines of Dask are not those of TF_CONFIG
            given["strategy"] = "none"
        return Context(report, parts or Context().parts, **given)


def is_list(kind: Any) -> bool:
    """Whether a field takes any number of values: tuple[X, ...]."""
    return get_origin(kind) is tuple and get_args(kind)[-1] is Ellipsis


def parameters(cls: type, panel: str | None = None) -> list[inspect.Parameter]:
    """One keyword parameter a field, annotated for Typer."""
    hints = get_type_hints(cls)
    made = []
    for field in dataclasses.fields(cls):
        kind, default, text = hints[field.name], field.default, field.metadata["help"]
        if is_list(kind):
            kind, default = list[str], [str(v) for v in default]  # type: ignore[union-attr]
        parse: dict[str, Any] = (
            {} if kind not in (int, float) else {"parser": number_parser(kind), "metavar": f"<{kind.__name__}>"}
        )
        shown = field.metadata.get("shown", True)
        if field.metadata.get("positional"):
            info: Any = typer.Argument(help=text, show_default=shown, metavar=label(field))
        else:
            name = field.metadata.get("flags") or flag(field.name)
            names = [name, *field.metadata.get("also", ())]
            info = typer.Option(*names, help=text, rich_help_panel=panel, show_default=shown, **parse)
        made.append(
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, info]
            )
        )
    return made


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


def values_of(cls: type, given: dict[str, Any]) -> dict[str, Any]:
    """Field values of `cls` from parsed options: lists are split at commas and get the type of their elements."""
    hints, values = get_type_hints(cls), {}
    for field in dataclasses.fields(cls):
        kind, value = hints[field.name], given[field.name]
        if is_list(kind):
            split = split_paths if field.metadata.get("paths") else split_commas
            words = value if field.metadata.get("whole") else split(value)
            value = tuple(element(get_args(kind)[0], v, label(field)) for v in words)
        elif isinstance(value, list):
            value = tuple(value)
        values[field.name] = value
    return values


def number_parser(kind: type) -> Callable[[Any], Any]:
    """Text to int or float; Typer's own message for a wrong one does not say which value was wrong."""

    def parse(text: Any) -> Any:
        try:
            return kind(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not {'a whole number' if kind is int else 'a number'}") from None

    return parse


def element(kind: type, text: str, name: str) -> Any:
    try:
        return number_parser(kind)(text) if kind in (int, float) else text
    except typer.BadParameter as error:
        raise typer.BadParameter(error.message, param_hint=f"'{name}'") from None


def command(settings: type, call: Callable[[dict[str, Any], Runtime], None], doc: str) -> Callable[..., None]:
    """A function with the options of `settings` and of :class:`Runtime`, which passes both to `call`."""

    def function(**given: Any) -> None:
        runtime = Runtime(**{f.name: given[f.name] for f in dataclasses.fields(Runtime)})
        call(values_of(settings, given), runtime)

    both = parameters(settings) + parameters(Runtime, panel="Run")
    function.__signature__ = inspect.Signature(both)  # type: ignore[attr-defined]
    function.__annotations__ = {p.name: p.annotation for p in both}
    function.__doc__ = doc
    return function
