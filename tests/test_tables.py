"""Tables fit the screen, and no number is cut.

Would miss: a table that fits and is unreadable.
"""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from cli import console
from dlhw.present import layout
from dlhw.present.tables import Summary
from dlhw.runs import experiment as registry

WIDE = Summary("a title", ("net", "loss", "accuracy, %", "seconds"), (("a net", "1.0 ± 0.1", "98.7 ± 0.3", "12"),) * 3)


def printed(summary, width):
    file = io.StringIO()
    console.print_summary(Console(file=file, width=width), summary)
    return file.getvalue()


@pytest.mark.parametrize("name", registry.names())
@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_no_number_is_cut_and_no_line_is_too_long(name, width, tiny_run):
    summary = tiny_run(name).summary()
    text = printed(summary, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    shown = layout.tables_that_fit(summary, width)
    for cell in (cell for part in shown for row in part.rows for cell in row[1:]):
        assert cell in text
    columns = {c for part in shown for c in part.columns} | {row[0] for part in shown for row in part.rows}
    counts = {c for c in summary.columns if c in (*layout.COUNTS, *layout.BOOKKEEPING)}
    assert set(summary.columns) - counts <= columns


def test_the_finding_comes_before_the_table(tiny_run):
    summary = tiny_run("simulate").summary()
    text = printed(summary, 200)
    assert text.index(summary.sentences[0][:30]) < text.index(summary.title[:20])


def test_columns_without_counts_are_left_out_and_others_stay():
    rows = (("a", "1", "0 of 3", "1 of 3"), ("b", "2", "0 of 3", "0 of 3"))
    summary = layout.without_empty_counts(Summary("", ("net", "loss", "diverged", "dead"), rows))
    assert summary.columns == ("net", "loss", "dead")


def test_a_table_is_shortened_then_turned_then_split():
    assert layout.tables_that_fit(WIDE, 42) == [WIDE]
    (shorter,) = layout.tables_that_fit(WIDE, 41)
    assert shorter.columns == ("net", "loss", "accuracy, %")
    one, two = layout.tables_that_fit(WIDE, 31)
    assert (one.columns, two.columns) == (("net", "loss"), ("net", "accuracy, %"))
    few = Summary("", WIDE.columns, WIDE.rows[:1])
    (turned,) = layout.tables_that_fit(few, 42)
    assert turned.columns == ("net", "a net")
