"""Figures -> pictures of a page, and the small one that leads to a section."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

from dlhw.present import render
from dlhw.present.section import Section
from dlhw.report import interactive
from dlhw.report.contents import Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dlhw.present.interactive import InteractiveFigure

THUMBNAIL = (320, 200)
"""Pixels of a thumbnail, twice those of its place on the page."""
COLORS = 24
"""Of a thumbnail: enough for lines and text, at a quarter of the bytes."""


def picture(section: Section, anchor: str, name: str, fig: Figure, chart: InteractiveFigure | None = None) -> Picture:
    """Return a figure of a run as a picture: in the smaller of its two forms for the page, as PNG beside it."""
    png, svg = (render.render(fig, form) for form in ("png", "svg"))
    forms = (("png", _of_few_colors(png)), ("svg+xml", svg))
    kind, data = min(forms, key=lambda pair: len(pair[1]))
    caption = section.captions.get(name, name)
    title = next((axes.get_title("left") for axes in fig.axes if axes.get_title("left")), "")
    width, height = (round(96 * inches) for inches in fig.get_size_inches())
    alt, uri = f"{caption} {title}".strip(), _uri(kind, data)
    return Picture(f"{anchor}-{name}.png", png, uri, caption, alt, width, height, *interactive.as_json(chart, anchor))


def thumbnail(png: bytes) -> str:
    """Return the URI of a small picture of few colours that shows the upper part of a figure."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as whole:
        width, height = THUMBNAIL
        shape = width, max(1, round(whole.height * width / whole.width))
        small = whole.convert("RGB").resize(shape, Image.Resampling.LANCZOS).crop((0, 0, width, min(height, shape[1])))
    buffer = io.BytesIO()
    small.quantize(COLORS, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return _uri("png", buffer.getvalue())


def _of_few_colors(png: bytes) -> bytes:
    """Return a PNG with a palette of 256 colours: figures have few, and the page carries a third of the bytes."""
    from PIL import Image

    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as whole:
        whole.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
