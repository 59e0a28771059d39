"""What the author gives a report, the runs of a section, the page printed and in a notebook.

Oracles: Python's own HTML parser, markdown-it's own parser for what a Markdown viewer would make of report.md, the
presets themselves. What a page looks like, only eyes can tell.
"""

from __future__ import annotations

import base64
import builtins
import contextlib
import dataclasses
import itertools
import json
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from dlhw import report
from dlhw.choices import PRESETS
from dlhw.errors import UserError
from dlhw.report import comments, contents, pdf, presets, writer
from dlhw.runs import experiment as registry
from dlhw.runs import run as stored
from dlhw.runs.context import Context
from dlhw.runs.settings import build
from tests.test_report import Page

KEPT = Path(__file__).parent.parent / "artifacts" / "kept"
COMMENTS = """First *words*.

# 1-1 A

Depth does **not** help. <img src=x onerror=alert(1)>

| net | verdict |
|---|---|
| deep | dies |

## Why

[good](https://example.org) [bad](javascript:alert(1)) ![picture](https://example.org/x.png)

# The gradient norm while a net learns

One.

# gradient-norm

Two.
"""


@pytest.fixture(scope="module")
def run():
    return stored.load(KEPT / "simulate" / "default")


def folder_of(out):
    return out / "report"


def test_author_title_course_and_comments_stay_until_they_are_given_again(run, tmp_path):
    (tmp_path / "c.md").write_text(COMMENTS)
    first = {"author": "Ada\n Lovelace", "course": "MLDS", "comments": tmp_path / "c.md"}
    report.build(tmp_path, from_runs=[KEPT], only=["simulate"], **first)
    record = json.loads((folder_of(tmp_path) / "report.json").read_text())
    words = [record[name] for name in ("title", "author", "course", "comments")]
    assert words == [contents.TITLE, "Ada Lovelace", "MLDS", COMMENTS]
    page = (folder_of(tmp_path) / "report.html").read_bytes()
    again, _ = report.build(tmp_path, from_runs=[KEPT], only=["simulate"])
    assert (folder_of(tmp_path) / "report.html").read_bytes() == page
    changed, _ = report.build(tmp_path, from_runs=[KEPT], only=["simulate"], title="T", author="")
    assert (changed.title, changed.author, changed.course, changed.comments) == ("T", "", "MLDS", COMMENTS)
    assert again.author == "Ada Lovelace"
    usual, _ = report.build(tmp_path, from_runs=[KEPT], only=["simulate"], title="")
    assert usual.title == contents.TITLE
    fresh, _ = report.build(tmp_path, from_runs=[KEPT], only=["simulate"], overwrite=True)
    assert (fresh.author, fresh.course, fresh.comments) == ("", "", "")


def test_comments_stand_in_their_sections_as_safe_text(run):
    both = [run, stored.load(KEPT / "gradient-norm" / "default")]
    made = report.compose(both, author="Ada <b>", comments=COMMENTS)
    text = report.html(made)
    page = Page(text)  # balanced, whatever the comment holds
    assert [len(page.all(tag)) for tag in ("aside", "b")] == [3, 0]
    assert [a["href"] for a in page.all("a") if not a["href"].startswith("#")] == ["https://example.org"]
    assert all(image["src"].startswith("data:") for image in page.all("img"))
    assert "onerror" not in {name for _, attributes in page.found for name in attributes}
    simulate, gradient = (part.comment for part in made.sections)
    assert made.introduction.html == "<p>First <em>words</em>.</p>\n"
    assert "<strong>not</strong>" in simulate.html
    assert "<h4>Why</h4>" in simulate.html
    assert "<td>dies</td>" in simulate.html
    assert gradient.html == "<p>One.</p>\n<p>Two.</p>\n"
    header, main = text.split('<main id="content">')
    assert "First <em>words" in header
    sections = re.split(r'<section id="', main)
    assert "Depth does" in sections[1]
    assert "<p>Two.</p>" in sections[2]


def test_markdown_gets_comments_that_no_viewer_runs(run):
    from markdown_it import MarkdownIt

    for source in (COMMENTS, "# 1-1 a\n\n<script>alert(1)</script>\n", "# 1-1 a\n\n[x](javascript&colon;alert(1))\n"):
        made = report.compose([run], author="Ada", comments=source)
        text = writer.load_template(writer.TEMPLATES, "report.md").render(report=made)
        assert "**Comment by Ada**" in text
        parser = MarkdownIt("commonmark")
        parser.validateLink = lambda url: True
        tokens = [inner for token in parser.parse(text) for inner in (token, *(token.children or []))]
        links = [token.attrGet("href") for token in tokens if token.type == "link_open"]
        assert not [link for link in links if "javascript" in link]
        html = [token.content for token in tokens if token.type in ("html_block", "html_inline")]
        assert not [content for content in html if "alert" in content]
    plain = report.compose([run], comments="# 1-1 a\n\nA *word* and [a link](https://example.org).\n")
    assert plain.sections[0].comment.markdown == "A *word* and [a link](https://example.org)."


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"# 1-1 a\n\nFine.\n\n# Gradient norms\n", "'Gradient norms' is no section of a report; the nearest is"),
        (b"# ***\n", "is no section"),
        (b"", "is empty; write a heading"),
        (b"\xef\xbb\xbf \n", "is empty"),
        (b"# 1-1 a\n\xff\n", "is not UTF-8 text (byte 8)"),
        (None, "there is no such file"),
    ],
)
def test_comments_that_cannot_be_used_are_one_line(content, says, dlhw, tmp_path):
    if content is not None:
        (tmp_path / "c.md").write_bytes(content)
    done = dlhw("report", "--from-runs", KEPT, "--only", "simulate", "--comments", "c.md", block="tensorflow keras")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert says in done.stderr
    assert done.stderr.startswith("dlhw: --comments c.md")
    assert [path.name for path in tmp_path.iterdir()] == ([] if content is None else ["c.md"])


def test_the_nearest_section_is_named():
    with pytest.raises(UserError, match="nearest is 'Random labels', or random-labels"):
        comments.comments_of("# Random label\n")
    for heading in ("1-1 a", "1-1a", "**1-1 (a)**", "SIMULATE", "1-1 a Deep against shallow on a function"):
        assert comments.comments_of(f"# {heading}\n\nx\n").keys() == {"simulate"}


def test_presets_grow_and_their_runs_have_the_order_of_the_file(tmp_path):
    sizes = {p: [len(report.preset_settings(name, p)) for name in registry.names()] for p in PRESETS}
    assert all(a <= b for a, b in zip(sizes["full"], sizes["complete"], strict=True))
    functions = [[s.func for s in report.preset_settings("simulate", p)] for p in PRESETS]
    assert functions == [["sinc", "sign"], ["sinc", "sign"], ["sinc", "sign", "square", "sinc", "sinc"]]
    assert [s.data for s in report.preset_settings("classify", "complete")] == ["mnist", "fashion-mnist", "cifar10"]
    assert [s.data for s in report.preset_settings("classify", "complete", "digits")] == ["digits"]
    full = {name: report.preset_settings(name, "full") for name in registry.names()}
    beyond = {name for name, planned in full.items() if not planned}  # the assignment
    assert all(planned[0] == registry.get(name).settings() for name, planned in full.items() if planned)
    assert all(report.preset_settings(name, "complete")[0] == registry.get(name).settings() for name in beyond)
    made = report.build(tmp_path, from_runs=[KEPT], only=["landscape"])[0]
    planned = report.preset_settings("landscape", "complete")
    names = [run.path.name for run in made.sections[0].runs]
    assert names == ["default", "nets=shallow,deep_of=simulate", "of=classify_plane=random", "plane=hessian"]
    assert [stored.load(KEPT / "landscape" / name).settings for name in names] == list(planned)
    assert len(made.sections) == 1
    page = Page((folder_of(tmp_path) / "report.html").read_text())
    assert page.sections() == ["landscape", "landscape-1", "landscape-2", "landscape-3", "landscape-4"]
    headings = [run.heading for run in registry.get("landscape").section.runs]
    assert [run.heading for run in made.sections[0].runs] == headings


def test_runs_that_no_section_plans_follow_with_what_they_change(run):
    settings = dataclasses.replace(run.settings, func="abs", seeds=5)
    other = dataclasses.replace(run, settings=settings)
    first, second = report.compose([run, other]).sections[0].runs
    assert (first.heading, second.heading) == ("The cardinal sine", "Func abs")
    square = dataclasses.replace(run, settings=build(type(settings), {"func": "square"}))
    runs = {Path("a/a"): other, Path("a/func=square"): square, Path("a/default"): run}
    assert list(presets.runs_in_order(runs)) == [Path("a/default"), Path("a/func=square"), Path("a/a")]
    assert not presets.is_reduced(square)
    for settings in report.preset_settings("simulate", "quick"):
        assert presets.is_reduced(dataclasses.replace(run, settings=settings))


def test_a_data_set_that_is_not_at_hand_is_left_out_with_a_line(tmp_path, tiny_run):
    """And nothing is downloaded: tests have no network."""
    from dlhw.runs.runner import Outcome

    asked = []

    def run_experiment(name, settings, context, out):
        asked.append(settings.data)
        return Outcome(tmp_path / settings.data, tiny_run(name))

    from dlhw import datasets

    folder = tmp_path / "data"
    folder.mkdir()
    patch = pytest.MonkeyPatch()
    patch.setattr(datasets, "check", lambda *_: None)
    with patch.context():
        context = Context(data_dir=folder)
        made, _ = report.build(
            tmp_path / "out", preset="complete", only=["classify"], context=context, run_experiment=run_experiment
        )
    patch.undo()
    assert asked == ["mnist", "fashion-mnist"]
    assert made.left_out == (
        "dlhw classify --data cifar10: the files of cifar10 are not at hand, and a report does not download them",
    )
    page = (tmp_path / "out" / "report" / "report.html").read_text()
    assert '<td class="value">dlhw classify --data cifar10: ' in page


def test_the_first_screen_answers_every_question(run):
    made = report.compose([stored.load(KEPT / name / "default") for name in ("sweep-batch", "gradient-norm")])
    batch, gradient = made.sections
    assert batch.runs[0].findings[0].code == "large-batches"
    assert batch.answer.startswith("Batch 8000 has learned nothing yet (training accuracy 17.6 %)")
    assert "batch 8000 is not shown to generalize worse than batch 64" in batch.answer
    assert gradient.answer.startswith("The gradient norm")
    header = report.html(made).split("</header>")[0]
    assert all(part.question in header and part.thumbnail in header for part in made.sections)
    functions = report.compose(
        [stored.load(KEPT / "simulate" / name) for name in ("default", "func=sign", "func=square")]
    )
    assert re.fullmatch(
        r"The cardinal sine: Depth is not .*\. The sign function: On this .*\.", functions.sections[0].answer
    )
    nothing = dataclasses.replace(batch, runs=(dataclasses.replace(batch.runs[0], findings=()),))
    assert nothing.answer == ""


def test_thumbnails_are_small(run):
    import io

    from PIL import Image

    (part,) = report.compose([run]).sections
    data = base64.b64decode(part.thumbnail.partition(",")[2])
    assert len(data) < 12_000
    with Image.open(io.BytesIO(data)) as image:
        assert image.size[0] == 320
        assert image.size[1] <= 200


def test_a_notebook_shows_the_section_of_a_run(run):
    text = run._repr_html_()
    page = Page(f"<main>{text}</main>".replace("<!DOCTYPE html>", ""))
    assert page.sections() == ["simulate"]
    assert page.all("script")  # its charts
    assert all("src" not in script for script in page.all("script"))
    assert len(page.all("img")) == len(run.figures())
    assert all(sentence in " ".join(page.words) for sentence in run.summary().sentences)
    selectors = re.findall(r"^([^{\n]+) \{", text.split("</style>")[0], re.M)
    assert "<script" not in text.split("</style>")[0]
    assert selectors
    assert all(one.strip().startswith(".dlhw-run ") for line in selectors for one in line.split(","))


def test_a_run_is_loaded_without_the_layer_that_shows_it():
    code = (
        f"import sys, dlhw; run = dlhw.load({str(KEPT / 'simulate' / 'default')!r}); "
        "assert not [m for m in sys.modules if m.startswith(('dlhw.report', 'markdown_it', 'jinja2'))]; "
        "assert '<section' in run._repr_html_(); assert 'tensorflow' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=KEPT.parent.parent)
    assert done.returncode == 0, done.stderr


def test_a_missing_weasyprint_is_known_before_any_training(tmp_path, monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("weasyprint"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    def never(*_):
        raise AssertionError("trained")

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UserError, match=r'`pdf` needs WeasyPrint: pip install "dlhw\[pdf\]"'):
        report.build(tmp_path, only=["simulate"], pdf=True, run_experiment=never)
    assert list(tmp_path.iterdir()) == []


def test_weasyprint_without_its_library_is_one_line(monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("weasyprint"):
            raise OSError("cannot load library 'libpango-1.0-0'\nAdditionally, ...")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UserError, match=r"does not find the library Pango of the system \(cannot load [^\n]*\)$"):
        pdf.weasyprint()


@pytest.mark.slow
def test_the_page_is_printed(tmp_path):
    """By WeasyPrint, where it is installed; a later report without it leaves no PDF of an older one."""
    pytest.importorskip("weasyprint")
    _, paths = report.build(tmp_path, from_runs=[KEPT], only=["simulate"], author="Ada", pdf=True)
    assert paths[-1].name == "report.pdf"
    data = paths[-1].read_bytes()
    assert data.startswith(b"%PDF-")
    objects = b""
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.S):
        with contextlib.suppress(zlib.error):  # pictures are not compressed this way
            objects += zlib.decompress(stream)
    assert b"/Author (Ada)" in objects
    assert 2 <= len(re.findall(rb"/Type */Page\b", data + objects)) <= 5
    report.build(tmp_path, from_runs=[KEPT], only=["simulate"])
    assert not paths[-1].exists()


def test_a_pdf_reads_nothing_from_outside():
    pytest.importorskip("weasyprint")
    picture = next((KEPT / "report").glob("simulate-loss.png"))
    page = "<p>text</p><img src='{}'>"
    inside = pdf.render(page.format(f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"))
    outside = pdf.render(page.format(picture.as_uri()))
    assert len(inside) > 20_000 > 10_000 > len(outside)


def test_landmarks_and_names_for_those_who_hear_the_page(run):
    text = report.html(report.compose([run]))
    page = Page(text)
    for tag in ("header", "main", "footer"):
        assert len(page.all(tag)) == 1
    assert all(nav.get("aria-label") for nav in page.all("nav"))
    first = page.all("a")[0]
    assert first["class"] == "skip"
    assert first["href"] == "#content"
    regions = [attributes for _, attributes in page.found if attributes.get("role") == "region"]
    assert all(region["aria-label"] and region["tabindex"] == "0" for region in regions)
    levels = [int(tag[1]) for tag, _ in page.found if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    assert ":focus-visible" in text
