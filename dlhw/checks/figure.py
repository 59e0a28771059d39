"""The figure of a check: a person's numbers beside right ones, the verdict above and its reasons below."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlhw.checks import panels
from dlhw.checks.answers import Answer
from dlhw.checks.references import Reference, reference
from dlhw.checks.tables import Table
from dlhw.present import plot, style

TITLE, NOTE = 10.5, 8.6
"""Sizes of text in points."""
LINE, FOOT = 0.165, 0.58
"""Inches that a line of notes takes, and those between the last panel and the notes."""
CHARACTERS_PER_INCH = {TITLE: 13.4, NOTE: 15.8}


def figure(answer: Answer, table: Table) -> Figure:
    """Draw the numbers of a table beside right measurements, with what the check says of them.

    Rows that show a mistake are ringed. The grey band holds four fifths of the right measurements of the nearest stored
    setting; it is no limit: other nets and data differ.

    Args:
        answer: of :func:`dlhw.checks.examination.examine`.
        table: that was checked.

    Returns:
        The figure; :func:`dlhw.present.render.render` makes a file of it.
    """
    ours = reference(table.item.name, table.facts)
    title, notes = _title(answer, table), _notes(answer, ours)
    wanted = panels.panels_of(table)
    head = 0.14 + 0.2 * len(title) + 0.28
    foot = FOOT + LINE * len(notes) + 0.08
    heights = [panels.height_of(name, table) for name in wanted]
    total = style.scaled(head + foot + sum(heights) + 0.55 * (len(wanted) - 1))
    fig, axes = plot.figure(1, height=total)
    fig.delaxes(axes[0])
    marked = sorted({row for detection in answer.detections for row in detection.at})
    top = style.scaled(head)
    for k, (name, height) in enumerate(zip(wanted, heights, strict=True)):
        one = _panel(fig, top, style.scaled(height), total)
        panels.draw(one, name, table, ours, marked)
        top += style.scaled(height + 0.55)
        if k == 0:
            _legend(one)
    margin = fig.subplotpars.left / 2
    with style.house_style():
        sizes: tuple[tuple[Sequence[str], float, str, float], ...] = (
            (title, TITLE, "#000000", total - style.scaled(0.12)),
            (notes, NOTE, "#333333", style.scaled(foot - FOOT)),
        )
        for lines, size, color, y in sizes:
            text = fig.text(margin, y / total, "\n".join(lines), va="top", fontsize=style.scaled(size), color=color)
            text.set_linespacing(1.25)
            room = fig.bbox.width * (1 - margin) - 4
            width = text.get_window_extent().width
            if width > room:  # of wide letters
                text.set_fontsize(style.scaled(size) * room / width)
    return fig


def _panel(fig: Figure, top: float, height: float, total: float) -> Axes:
    """Add a panel `top` inches below the upper edge."""
    start, end = fig.subplotpars.left, fig.subplotpars.right
    with style.house_style():
        one = fig.add_axes((start, 1 - (top + height) / total, end - start, height / total))
    one.xaxis.set_label_coords(0.5, -style.scaled(0.36) / height)
    one.yaxis.set_label_coords(-style.scaled(0.6) / ((end - start) * style.WIDTH), 0.5)
    return one


def _legend(axes: Axes) -> None:
    """Place the legend in a row above the panel."""
    handles, labels = axes.get_legend_handles_labels()
    if not handles:
        return
    with style.house_style():
        axes.legend(
            handles,
            labels,
            loc="lower left",
            bbox_to_anchor=(0, 1.0),
            ncols=len(labels),
            borderpad=0.1,
            borderaxespad=0.2,
            handlelength=1.8,
            columnspacing=1.2,
            fontsize=style.scaled(8.2),
        )


def _title(answer: Answer, table: Table) -> list[str]:
    """Return the verdict in one or two lines."""
    lines = _wrapped(f"{table.item.name}: {answer.text}", TITLE)
    if len(lines) > 2:
        codes = ", ".join(dict.fromkeys(d.code for d in answer.detections))
        lines = _wrapped(f"{table.item.name}: {answer.verdict}: {codes}", TITLE)[:2]
    return lines


def _notes(answer: Answer, ours: Reference | None) -> list[str]:
    """Return what is written below: the reasons, or what was looked for; and what the grey band is."""
    paragraphs = [f"{detection.code}: {detection.text}" for detection in answer.detections]
    if not paragraphs and answer.decided:
        paragraphs.append(f"No mark of {_listed(answer.decided, 'or')}.")
    if not answer.detections:
        paragraphs += [f"{code} not decided: {reason}" for code, reason in answer.undecided]
    if ours is not None:
        paragraphs.append(f"Grey: {ours.source}; line: their median, band: four fifths of them, which is no bound.")
    return [line for paragraph in paragraphs for line in _wrapped(paragraph, NOTE)]


def _wrapped(text: str, size: float) -> list[str]:
    return textwrap.wrap(text, round((style.WIDTH - 0.7) * CHARACTERS_PER_INCH[size]), break_long_words=True)


def _listed(words: Sequence[str], last: str) -> str:
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), words[-1])))
