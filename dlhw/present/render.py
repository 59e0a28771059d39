"""Figures -> bytes and files: png, svg, pdf, and moving pictures."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.text import Text

from dlhw.present import style
from dlhw.storage.files import write_bytes

FORMS = ("png", "svg", "pdf")


def render(fig: Figure, form: str, dpi: int = 130) -> bytes:
    """Return the bytes of the figure as png, svg or pdf; without date, so that the same arrays give the same bytes."""
    buffer = io.BytesIO()
    with style.house_style():
        metadata = {"svg": {"Date": None}, "png": {"Software": None}, "pdf": {"CreationDate": None}}[form]
        # Level 3 in place of 6: a quarter of the time of a PNG for a twentieth of its size.
        more: Any = {"pil_kwargs": {"compress_level": 3}} if form == "png" else {}
        if style.enlarged():
            _fit(fig)
        fig.savefig(buffer, format=form, dpi=dpi, metadata=metadata, **more)
    return buffer.getvalue()


def save(
    figures: dict[str, Figure],
    folder: Path,
    forms: Sequence[str] = ("png", "svg"),
    dpi: int = 130,
    suffix: str = "",
) -> list[Path]:
    """Write every figure in every form into `folder`, `suffix` after its name; returns the paths."""
    paths = []
    for name, fig in figures.items():
        for form in forms:
            path = folder / f"{name}{suffix}.{form}"
            write_bytes(path, render(fig, form, dpi))
            paths.append(path)
    return paths


def gif(draw: Callable[[int], Figure], frames: int, dpi: int = 90, milliseconds: int = 90) -> bytes:
    """Return the figures draw(0), ..., draw(frames - 1) as a looping GIF that pauses on the last."""
    from PIL import Image

    pictures = [Image.open(io.BytesIO(render(draw(k), "png", dpi))).convert("RGB") for k in range(frames)]
    # One palette for all, that of the last frame, which holds every colour: with one each, colours would flicker.
    palette = pictures[-1].quantize(128)
    flat = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    buffer = io.BytesIO()
    durations = [milliseconds] * (frames - 1) + [2500]
    flat[0].save(buffer, "GIF", save_all=True, append_images=flat[1:], duration=durations, loop=0, optimize=False)
    return buffer.getvalue()


def _fit(fig: Figure) -> None:
    """Shrink text that a larger style has made longer than its place: the figure, or the side of its panel."""
    fig.draw_without_rendering()
    whole = fig.bbox
    for text in fig.texts:
        _narrow(text, whole.x1)
    for axes in fig.axes:
        for text, room in ((axes.yaxis.label, axes.bbox.height), (axes.xaxis.label, axes.bbox.width)):
            box = text.get_window_extent()
            length = max(box.width, box.height)
            if length > room:
                text.set_fontsize(float(text.get_fontsize()) * room / length * 0.98)
        title = axes.get_title("left")
        for item in axes.findobj(Text):
            if isinstance(item, Text) and title and item.get_text() == title:
                _narrow(item, whole.x1)
    for legend_ in [*fig.legends, *(one for axes in fig.axes if (one := axes.get_legend()))]:
        box = legend_.get_window_extent()
        if box.width > (room := whole.x1 - max(box.x0, 0)):
            for text in legend_.get_texts():
                text.set_fontsize(float(text.get_fontsize()) * max(0.5, room / box.width * 0.93))


def _narrow(text: Text, right: float) -> None:
    """Let the text end at `right`, in pixels."""
    for _ in range(5):  # hinted letters do not shrink in proportion
        box = text.get_window_extent()
        if box.x1 <= right:
            return
        text.set_fontsize(float(text.get_fontsize()) * (right - box.x0) / box.width * 0.98)
