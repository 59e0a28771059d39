"""Stored runs -> one page: report.html (self-contained), report.md with its figures beside it, report.json.

Needs no TensorFlow: everything comes from what runs have stored.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlhw import __version__, datasets, experiments, render, section, store
from dlhw.errors import UserError, require
from dlhw.settings import changed, flag, label, text
from dlhw.summary import Summary, turned

QUICK_EXAMPLES = 2000
TITLE = "How deep networks learn, measured"


@dataclass(frozen=True)
class Picture:
    """A figure, in the page and beside it."""

    file: str  # name of the PNG beside report.md
    png: bytes
    data: str  # URI of the smaller of PNG and SVG
    caption: str
    alt: str
    width: int
    height: int


@dataclass(frozen=True)
class Setting:
    """A row of the settings table."""

    name: str
    value: str
    said: str  # by whom it is set: the assignment's report, this library, or the command
    meaning: str


@dataclass(frozen=True)
class Part:
    """The section of one run."""

    anchor: str
    name: str  # of the experiment
    place: str
    title: str
    question: str
    command: str
    pictures: tuple[Picture, ...]
    table: Summary
    sentences: tuple[str, ...]
    mistakes: tuple[str, ...]
    settings: tuple[Setting, ...]
    wall: str
    numbers: Any


@dataclass(frozen=True)
class Report:
    """All of it."""

    title: str
    reduced: bool
    version: str
    made_with: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]


def settings_of(name: str, preset: str, data: str = "") -> Any:
    """The settings with which an experiment stands in a report: quick (reduced), or full (the report's).

    data: a data set of images in place of theirs; quick takes 2000 examples of a large one.
    """
    module = experiments.get(name)
    about = section.of(module, name)
    reduced = module.Settings(**about.quick) if about.quick else module.TINY
    chosen = module.Settings() if preset == "full" else reduced
    if not data or not experiments.on_images(chosen):
        return chosen
    small = preset == "quick" and datasets.known(data).train > QUICK_EXAMPLES
    more = {"examples": QUICK_EXAMPLES} if small and not chosen.examples else {}
    return dataclasses.replace(chosen, data=data, **more)


def in_order(names: Sequence[str]) -> list[str]:
    """Experiments in the order of the assignment; those that say no place come last."""
    return sorted(names, key=lambda n: (section.of(experiments.get(n), n).place, n))


def stored(folder: Path, only: Sequence[str] = ()) -> list[Path]:
    """Run folders under `folder`, in the order of the assignment, the default run of an experiment first.

    Raises UserError if there is none.
    """
    known = experiments.names()
    require(folder.is_dir(), f"--from-runs {folder} is not a folder; give one that holds runs, such as artifacts")
    found = []
    for name in in_order(only or known):
        runs = sorted(p.parent for p in (folder / name).glob("*/run.json"))
        found += sorted(runs, key=lambda p: (p.name != "default", p.name))
    require(bool(found), f"--from-runs {folder} holds no run of {', '.join(only) or 'any experiment'}")
    return found


def compose(runs: Sequence[experiments.Run], *, reduced: bool = False, title: str = TITLE) -> Report:
    """The report of some runs, in the order given."""
    names = [run.experiment for run in runs]
    parts = []
    for k, run in enumerate(runs):
        twice = names.count(run.experiment) > 1
        anchor = run.experiment + (f"-{names[: k + 1].count(run.experiment)}" if twice else "")
        parts.append(_part(run, anchor, _apart(run) if twice else ""))
    return Report(title, reduced, __version__, tuple(_made_with(runs)), tuple(parts))


def _apart(run: experiments.Run) -> str:
    """What tells this run from others of its experiment, for its heading."""
    told = [f"{name.replace('_', ' ')} {text(value, ', ')}" for name, value in changed(run.settings).items()]
    return ": " + (", ".join(told) or "default settings")


def _part(run: experiments.Run, anchor: str, apart: str = "") -> Part:
    module = experiments.get(run.experiment)
    about, said = section.of(module, run.experiment), run.summary()
    pictures = []
    for name, made in run.figures().items():
        png, svg = (render.render(made, form) for form in ("png", "svg"))
        kind, data = min((("png", png), ("svg+xml", svg)), key=lambda pair: len(pair[1]))
        caption = about.captions.get(name, name)
        title = next((axes.get_title("left") for axes in made.axes if axes.get_title("left")), "")
        width, height = (round(96 * inches) for inches in made.get_size_inches())
        uri = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
        alt = f"{caption} {title}".strip()
        pictures.append(Picture(f"{anchor}-{name}.png", png, uri, caption, alt, width, height))
    return Part(
        anchor,
        run.experiment,
        about.place if about.place != "9" else "",
        about.title + apart,
        experiments.question(run.experiment),
        command(run),
        tuple(pictures),
        turned(said),
        said.sentences,
        about.mistakes,
        tuple(_settings(run, about)),
        _wall(run),
        said.numbers,
    )


def command(run: experiments.Run) -> str:
    """The command line that gives the run."""
    import shlex

    words, positional = ["dlhw", run.experiment], []
    fields = {f.name: f for f in dataclasses.fields(run.settings)}
    for name, value in changed(run.settings).items():
        values = [str(v) for v in value] if isinstance(value, tuple) else [str(value)]
        if fields[name].metadata.get("positional"):
            positional = values
        elif isinstance(value, bool):
            yes, _, no = str(fields[name].metadata.get("flags") or f"{flag(name)}/--no-{name}").partition("/")
            words.append(yes if value else no)
        elif fields[name].metadata.get("whole"):
            words += [word for v in values for word in (flag(name), v)]
        elif isinstance(value, tuple) and fields[name].type == "tuple[float, float]":
            words += [flag(name), *values]
        else:
            words += [flag(name), ",".join(values)]
    return shlex.join([*words[:2], *positional, *words[2:]])


def _settings(run: experiments.Run, about: section.Section) -> list[Setting]:
    rows = []
    for field in dataclasses.fields(run.settings):
        value, usual = getattr(run.settings, field.name), field.default
        said = "the assignment's report" if field.name in about.fixed else "dlhw"
        if value != usual:
            said = f"this run ({said}: {text(usual, ', ')})"
        rows.append(Setting(label(field), text(value, ", "), said, field.metadata["help"]))
    return rows


def _made_with(runs: Sequence[experiments.Run]) -> list[tuple[str, str]]:
    def all_of(key: Callable[[experiments.Run], str]) -> str:
        return "; ".join(dict.fromkeys(key(run) for run in runs))

    versions = all_of(lambda run: ", ".join(f"{k} {v}" for k, v in run.environment["versions"].items()))
    seeds = ", ".join(f"{run.experiment} {_seeds(run.settings)}" for run in runs)
    data = all_of(lambda run: experiments.data_set(run.settings) or "function")
    total = sum(run.wall_seconds for run in runs)
    return [
        ("versions", versions),
        ("device", all_of(lambda run: f"{run.environment['device']} ({run.environment.get('machine', '')})")),
        ("data", data),
        ("seeds", seeds),
        (
            "wall time",
            f"{duration(total)} in all: " + ", ".join(f"{r.experiment} {_wall(r)}" for r in runs),
        ),
    ]


def _wall(run: experiments.Run) -> str:
    """How long a run took; about, where only the times of its trainings are stored."""
    return ("" if "wall_seconds" in run.environment else "about ") + duration(run.wall_seconds)


def _seeds(settings: Any) -> str:
    first, n = settings.seed, settings.seeds
    return str(first) if n == 1 else f"{first} to {first + n - 1}"


def duration(seconds: float) -> str:
    """`12 s`, `4 min 05 s`, `1 h 07 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.0f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def template(name: str) -> Any:
    """A template of the folder `templates`; text in HTML is escaped."""
    return _environment().get_template(name)


def _environment() -> Any:
    try:
        import jinja2
    except ImportError:
        raise UserError("the report needs Jinja2: pip install jinja2") from None
    folder = Path(__file__).parent / "templates"
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    made.filters["md"] = markdown
    return made


def markdown(text: Any) -> str:
    """Text in which nothing means anything to Markdown or HTML."""
    line = " ".join(str(text).split())
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", line).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def html(report: Report) -> str:
    """The page: one file, no request to any network."""
    return template("report.html").render(report=report)


def is_reduced(run: experiments.Run) -> bool:
    """Whether a run has the reduced settings of the quick preset."""
    quick = [settings_of(run.experiment, "quick", data) for data in ("", *datasets.SETS)]
    return run.settings in quick and run.settings != experiments.get(run.experiment).Settings()


def check_folder(folder: Path) -> None:
    """Raise UserError if a report cannot be written there; makes the folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        Path(tempfile.mkdtemp(dir=folder)).rmdir()
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}); choose another --out") from None


def write(report: Report, folder: Path) -> list[Path]:
    """Write report.html, report.md with its figures, and report.json into `folder`; returns their paths.

    Figures that an earlier report left there, and this one has not, are deleted.
    """
    page = html(report)
    text = template("report.md").render(report=report)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in _figures_of(folder):
            (folder / old).unlink(missing_ok=True)
        for picture in (picture for part in report.parts for picture in part.pictures):
            store.write_bytes(folder / picture.file, picture.png)
        store.write_bytes(folder / "report.md", (re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n").encode())
        store.write_json(folder / "report.json", as_json(report))
        store.write_bytes(folder / "report.html", page.encode())
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}); choose another --out") from None
    return [folder / name for name in ("report.html", "report.md", "report.json")]


def _figures_of(folder: Path) -> list[str]:
    """Names of the figures of the report that stands in `folder`."""
    try:
        parts = json.loads((folder / "report.json").read_text())["parts"]
        return [Path(name).name for part in parts for name in part["figures"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def as_json(report: Report) -> dict[str, Any]:
    """What the page says, as plain values."""
    parts = []
    for part in report.parts:
        parts.append(
            {
                "experiment": part.name,
                "place": part.place,
                "title": part.title,
                "question": part.question,
                "command": part.command,
                "figures": {p.file: p.caption for p in part.pictures},
                "findings": list(part.sentences),
                "settings": {s.name: {"value": s.value, "set by": s.said} for s in part.settings},
                "numbers": part.numbers,
            }
        )
    return {"title": report.title, "reduced": report.reduced, "made with": dict(report.made_with), "parts": parts}
