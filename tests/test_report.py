"""The report, the comparison of runs, moving pictures and event files.

Oracles: Python's own HTML parser for well-formed pages, the W3C's formula for contrast, Chromium where it is installed,
Pillow and TensorFlow's reader for what was written. What a picture looks like, only eyes can tell.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from dlhw import report
from dlhw.errors import UserError
from dlhw.present import render, style
from dlhw.present.findings import Finding
from dlhw.present.templates import escape_markdown, load_template
from dlhw.report import composition, contents
from dlhw.report.comparison import compare
from dlhw.report.writer import TEMPLATES
from dlhw.runs import experiment as registry
from dlhw.runs import run as stored
from dlhw.runs.flags import with_flags
from dlhw.runs.settings import build
from dlhw.storage import files

VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """Checks that tags are balanced, and collects what the tests look at."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.found: list[tuple[str, dict]] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == [], self.open

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.ids += [v for k, v in attrs if k == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, (tag, self.getpos())
        assert self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]

    def sections(self):
        return [attributes["id"] for attributes in self.all("section")]


@pytest.fixture(scope="module")
def runs(tiny_run):
    """A tiny run of every experiment, in the order of the assignment."""
    return [tiny_run(n) for n in report.in_order(registry.names())]


@pytest.fixture(scope="module")
def folder(runs, tmp_path_factory):
    """The same, stored, and the report of them."""
    out = tmp_path_factory.mktemp("runs")
    for run in runs:
        run.save(out)
    report.write(report.compose(runs, reduced=True), out / "report")
    return out


@pytest.mark.slow
def test_the_page_is_whole_and_asks_no_network(folder, runs):
    text = (folder / "report" / "report.html").read_text()
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>")
    assert len(set(page.ids)) == len(page.ids)
    assert set(page.ids) >= set(registry.names())  # a section for every file in the folder
    assert page.sections() == [run.experiment for run in runs]
    links = [a["href"] for a in page.all("a")]
    assert all(link.startswith("#") and link[1:] in page.ids for link in links)
    for run in runs:  # its name beside the picture and the question, and in two lists of contents
        assert links.count(f"#{run.experiment}") == 4
    for tag, attributes in page.found:
        for name in ("src", "href", "srcset", "action", "data"):
            assert str(attributes.get(name, "#")).startswith(("#", "data:")), (tag, name)
    assert not re.search(r"@import|url\([^#$]*:|fetch\(|XMLHttpRequest|import\(", text)
    assert all("src" not in script for script in page.all("script"))
    thumbnails = [p for p in page.all("img") if p["alt"] == ""]
    assert len(thumbnails) == len(runs)
    pictures = [p for p in page.all("img") if p["alt"]]
    assert len(pictures) == sum(len(run.figures()) for run in runs)
    assert all(len(p["alt"]) > 20 and int(p["width"]) > 300 for p in pictures)
    assert "Reduced settings." in " ".join(page.words)
    said = " ".join(" ".join(page.words).split())
    for run in runs:
        for sentence in run.summary().sentences:
            assert " ".join(with_flags(sentence).split()) in said
        for row in run.summary().rows:
            assert row[0] in said


@pytest.mark.slow
def test_markdown_and_json_say_the_same(folder, runs):
    text = (folder / "report" / "report.md").read_text()
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert len(pictures) == sum(len(run.figures()) for run in runs)
    assert all((folder / "report" / f).read_bytes()[:4] == b"\x89PNG" for f in pictures)
    for table in re.findall(r"(?:^\|.*\n)+", text, re.M):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1, table
    told = json.loads((folder / "report" / "report.json").read_text())
    assert [part["experiment"] for part in told["parts"]] == [run.experiment for run in runs]
    for part, run in zip(told["parts"], runs, strict=True):
        assert part["findings"] == [with_flags(sentence) for sentence in run.summary().sentences]
        assert same_numbers(part["numbers"], json.loads(files.to_json(run.summary().numbers)))
        assert part["command"].startswith(f"dlhw {run.experiment}")


def same_numbers(a, b):
    """Whether two structures are equal but for the last digits of numbers."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same_numbers(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same_numbers, a, b))
    return a == pytest.approx(b, rel=1e-9) if isinstance(a, float) else a == b


@pytest.mark.slow
def test_from_runs_needs_no_tensorflow_and_gives_the_same_page(folder, dlhw, tmp_path):
    done = dlhw("report", "--from-runs", folder, "--out", tmp_path, "--json", block="tensorflow keras")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert not told["reduced"]  # tiny runs are no quick ones
    assert len(told["parts"]) == len(registry.names())
    page = (tmp_path / "report" / "report.html").read_text()
    before = re.sub(r'<p class="reduced">.*?</p>\n', "", (folder / "report" / "report.html").read_text(), flags=re.S)
    assert page == before
    few = ("report", "--from-runs", folder, "--out", tmp_path, "--only", "simulate,classify")
    refused = dlhw(*few, block="tensorflow")
    assert refused.returncode == 2
    assert "holds a report with other runs (double-descent, edge, gradient-norm, interpolate, " in refused.stderr
    assert (tmp_path / "report" / "report.html").read_text() == page
    two = dlhw(*few, "--overwrite", block="tensorflow")
    assert two.returncode == 0, two.stderr
    page = Page((tmp_path / "report" / "report.html").read_text())
    assert page.sections() == ["simulate", "classify"]
    assert {p.name.split("-")[0] for p in (tmp_path / "report").glob("*.png")} == {"simulate", "classify"}


@pytest.mark.slow
def test_a_quick_report_makes_what_is_missing_and_takes_the_rest(inside, tmp_path):
    words = ["report", "--only", "random-labels", "--out", "here"]
    said = inside(*words)[1]
    assert "1 of 1: random-labels (" in said
    assert "stored" not in said
    (kept,) = (tmp_path / "here" / "random-labels").glob("*/arrays.npz")
    before = kept.stat().st_mtime_ns
    assert "(stored)" in inside(*words)[1]
    assert kept.stat().st_mtime_ns == before
    page = Page((tmp_path / "here" / "report-quick" / "report.html").read_text())
    assert page.sections() == ["random-labels"]


def test_what_the_assignment_fixes_is_told_from_what_was_chosen():
    run = stored.load(Path(__file__).parent.parent / "artifacts" / "kept" / "simulate" / "default")
    changed = dataclasses.replace(run, settings=dataclasses.replace(run.settings, learning_rate=0.5))
    (part,) = report.compose([changed]).sections[0].runs
    assert {"--epochs", "--func", "--models"} <= set(part.fixed)
    assert "--points" not in part.fixed  # chosen here
    assert "--learning-rate" not in part.fixed
    assert [(row.name, row.value, row.default) for row in part.changed] == [("--learning-rate", "0.5", "0.01")]
    text = report.html(report.compose([changed]))
    assert text.count("Fixed by the course assignment") == 1
    assert "--learning-rate 0.5" in text


OTHER = {"mnist": "digits", "sinc": "sign", "filter": "none", "weights": "activations", "float32": "mixed"}
OTHER |= {"squares": "cross-entropy", "decoupled": "l2", "unit": "pi", "torch": "keras", "sgd": "adam"}
"""A setting that is a word, and another that it may be."""


def test_settings_without_effect_are_not_shown():
    """What the settings refuse to change is not shown: the refusal is the oracle."""
    kept = Path(__file__).parent.parent / "artifacts" / "kept"
    hidden = {}
    for path in sorted(kept.glob("*/*/run.json")):
        run = stored.load(path.parent)
        (part,) = report.compose([run]).sections[0].runs
        shown = {row.name.lower().lstrip("-").replace("-", "_") for row in part.settings}
        hidden[f"{run.experiment} {path.parent.name}"] = {f.name for f in dataclasses.fields(run.settings)} - shown
        switched_off = {f.name for f in dataclasses.fields(run.settings) if getattr(run.settings, f.name) is False}
        for name in hidden[f"{run.experiment} {path.parent.name}"] - {"momentum"} - switched_off:
            value = getattr(run.settings, name)
            other = OTHER.get(value) if isinstance(value, str) else None
            other = (value + 1 if isinstance(value, (int, float)) else "mse") if other is None else other
            with pytest.raises(UserError, match=r"applies to|belongs to|needs `data`|has no effect|varies"):
                dataclasses.replace(run.settings, **{name: other})
    assert hidden["minimal-ratio default"] == {"momentum", "threshold"}
    assert hidden["minimal-ratio stop=gradient-norm"] == {"momentum"}
    assert hidden["landscape nets=shallow,deep_of=simulate"] >= {"data", "batch_size", "norm", "loss"}
    assert hidden["classify default"] == set()


def test_the_command_of_a_run_gives_its_settings():
    """Through the parser itself: what it reads is what the run had."""
    from cli import options

    for name in registry.names():
        module = registry.get(name)
        chosen = [module.tiny, *report.preset_settings(name, "quick"), *report.preset_settings(name, "complete")]
        if hasattr(module.tiny, "domain"):
            chosen.append(dataclasses.replace(module.settings(), domain=(-2.0, 1.0)))
        for settings in chosen:
            run = stored.Run(name, settings, None, {"versions": {}, "device": "CPU"})
            assert _parsed(options, module, composition.command(run)) == settings


def _parsed(options, module, command):
    import shlex

    import typer

    seen = []
    app = typer.Typer()
    app.command()(options.command(module.settings, lambda values, *_: seen.append(build(module.settings, values)), ""))
    app(shlex.split(command)[2:], standalone_mode=False)
    return seen[0]


@pytest.mark.parametrize("evil", ["x<1", '"><script>alert(1)</script>', "a & b", "{{ 7 * 7 }}", "a|b_c*d"])
def test_text_stays_text(evil):
    run = stored.load(Path(__file__).parent.parent / "artifacts" / "kept" / "simulate" / "default")
    made = report.compose([run], title=evil, author=evil, course=evil)
    setting = contents.SettingRow(evil, evil, evil, evil, fixed=True)
    stored_run = run
    (run,) = made.sections[0].runs
    run = dataclasses.replace(run, findings=(Finding(evil, evil),), command=evil, heading=evil, settings=(setting,))
    part = dataclasses.replace(made.sections[0], title=evil, question=evil, runs=(run,), pitfalls=(evil,))
    made = dataclasses.replace(made, sections=(part,), left_out=(evil,))
    page = Page(report.html(made))
    assert page.all("script") == Page(report.html(report.compose([stored_run]))).all("script")
    assert " ".join(page.words).count(evil) >= 15
    assert evil in [meta.get("content") for meta in page.all("meta")]
    line = escape_markdown(evil)
    assert "<" not in line
    assert len(re.findall(r"(?<!\\)[|*_`]", line)) == 0


def test_a_new_experiment_appears_by_itself_at_the_end():
    places = [registry.get(n).section.order for n in report.in_order(registry.names())]
    assert places == sorted(places)
    for name in registry.names():
        experiment = registry.get(name)
        fields = {f.name for f in dataclasses.fields(experiment.settings)}
        assert set(experiment.section.assignment_settings) <= fields
        assert experiment.section.pitfalls
        report.preset_settings(name, "quick")
        for data in ("mnist", "digits"):
            for chosen in report.preset_settings(name, "quick", data):
                assert not experiment.dataset(chosen) or chosen.data == data


@pytest.mark.slow
def test_every_figure_has_a_caption(runs):
    for run in runs:
        about = registry.get(run.experiment).section
        spare = {"landscape": {"line", "curvature"}, "interpolate": {"paths"}}.get(run.experiment, set())  # of others
        tuned = {"tuning"} if run.experiment in ("simulate", "classify") else set()  # of a run with `tune`
        assert set(run.figures()) == set(about.captions) - spare - tuned, run.experiment


def _luminance(color):
    value = color.lstrip("#")
    value = "".join(2 * c for c in value) if len(value) == 3 else value
    channels = [int(value[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def test_text_has_the_contrast_of_wcag_aa():
    """4.5 to 1, by the formula of WCAG 2: every colour of text on every paper it stands on, light and dark."""
    text = (TEMPLATES / "page.css").read_text()
    schemes = re.findall(r":root \{([^}]*)\}", text)
    assert len(schemes) == 3
    for scheme in schemes:
        colors = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]+)", scheme))
        pairs = [(ink, paper) for ink in ("ink", "soft", "link") for paper in ("paper", "tint")]
        for ink, paper in [*pairs, ("warn", "warn-paper")]:
            low, high = sorted(_luminance(colors[k]) for k in (ink, paper))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, paper)


@pytest.mark.slow
def test_a_real_browser_shows_every_figure_without_a_complaint(folder):
    """Chromium, where it is installed, at the width of a phone and of a screen, light and dark."""
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium here")
    complaints: list[str] = []
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for width in (390, 1440):
            for scheme in ("light", "dark"):
                page = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
                page.on("console", lambda message: complaints.append(message.text))
                page.on("pageerror", lambda error: complaints.append(str(error)))
                page.on("request", lambda r: r.url.startswith(("data:", "file:")) or complaints.append(r.url))
                page.goto((folder / "report" / "report.html").as_uri())
                shown = page.evaluate(
                    "[...document.images].every(i => i.naturalWidth > 0 && i.clientWidth > (i.alt ? 200 : 100))"
                )
                assert shown
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                page.goto(next((folder / "landscape").glob("*/surface.html")).as_uri())
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                box = page.locator("canvas").bounding_box()
                page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.6)
                assert "loss" in page.locator("output").inner_text()
                before = page.locator("canvas").screenshot()
                page.locator("canvas").press("ArrowLeft")
                page.wait_for_timeout(50)
                assert page.locator("canvas").screenshot() != before
        browser.close()
    assert complaints == []


@pytest.mark.slow
def test_runs_are_compared_on_shared_axes(runs, tmp_path):
    for run in runs:
        other = dataclasses.replace(run, settings=dataclasses.replace(run.settings, seed=7))
        with style.house_style():
            made, summary = compare([run, other], ["a", "b"])
        assert len(made.axes[0].lines) >= 2, run.experiment
        assert summary.rows[0] == ("--seed", "0", "7")
        assert len(summary.rows) >= 2
        assert render.render(made, "png")[:4] == b"\x89PNG"


def test_curves_are_compared_where_the_experiment_says():
    kept = Path(__file__).parent.parent / "artifacts" / "kept"
    for name, setting, places in (
        ("sweep-batch", {"equal": "updates"}, ["64", "100", "500", "4000", "8000"]),
        ("interpolate", {"seed": 3}, ["0", "0.5", "1"]),
        ("simulate", {"seed": 3}, ["19966"]),  # the middle of the last run of epochs that is one point of the curve
    ):
        run = stored.load(kept / name / "default")
        with style.house_style():
            _, summary = compare(
                [run, dataclasses.replace(run, settings=dataclasses.replace(run.settings, **setting))], ["a", "b"]
            )
        label = summary.rows[1][0].split(":")[0]
        assert [row[0].rsplit(" ", 1)[1] for row in summary.rows[1:] if row[0].startswith(label)] == places
        assert all(row[1] == row[2] != "–" for row in summary.rows[1:])
    sweep = stored.load(kept / "sweep-batch" / "default")
    assert summary_of(sweep, sizes=(64, 100))[-1][2] == "–"  # it has no batch of 8000


def summary_of(run, **setting):
    fewer = dataclasses.replace(run.settings, **setting)
    result = dataclasses.replace(run.result, sensitivity=run.result.sensitivity[: len(fewer.sizes)])
    with style.house_style():
        return compare([run, dataclasses.replace(run, settings=fewer, result=result)], ["a", "b"])[1].rows


def test_what_cannot_be_compared_is_refused(dlhw, tmp_path):
    kept = Path(__file__).parent.parent / "artifacts" / "kept"
    one, other = kept / "simulate" / "default", kept / "gradient-norm" / "default"
    for words, says in (([one], "two runs"), ([one, other], "of one experiment"), ([one, "nowhere"], "nowhere")):
        done = dlhw("compare", *words, block="tensorflow keras")
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert says in done.stderr
    done = dlhw("compare", one, one, "--json", block="tensorflow keras")
    assert done.returncode == 0, done.stderr
    assert all(len(row) == 2 for row in json.loads(done.stdout)["differences"].values())
    assert (tmp_path / "artifacts" / "compare" / "simulate.png").is_file()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["report", "--preset", "slow"], "slow"),
        (["report", "--only", "simulat"], "did you mean 'simulate'"),
        (["report", "--from-runs", "nowhere"], "nowhere is not a folder"),
        (["report", "--from-runs", "."], "holds no run"),
        (["report", "--from-runs", ".", "--data", "digits"], "--data applies to a preset"),
        (["report", "--from-runs", ".", "--preset", "full"], "--preset trains, and"),
        (["simulat"], "did you mean simulate?"),
        (["frobnicate"], "no command 'frobnicate'; use classify, "),
        (["report", "--data", "letters"], "letters"),
        (["report", "--out", "/proc/nowhere"], "cannot be written"),
        (["draw", ".", "--format", "gif"], "'gif' is unknown"),
        (["draw", ".", "--dpi", "1"], "--dpi 1"),
        (["draw", ".", "--style", "poster"], "'poster' is unknown"),
        (["classify", "--animate"], "has no animation"),
        (["simulate", "--tensorboard", "/proc/nowhere"], "cannot be written"),
    ],
)
def test_bad_input_is_one_line(words, says, dlhw, tmp_path):
    done = dlhw(*words, block="tensorflow keras")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert says in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_folder_of_runs_is_shown_and_drawn(folder, inside):
    shown = json.loads(inside("show", folder, "--json")[1])
    assert {r["experiment"] for r in shown} == set(registry.names())
    assert "simulate" in inside("show", folder / "simulate")[1]
    drawn = inside("draw", folder / "simulate", "--format", "pdf,png", "--dpi", 60, "--style", "slides")[1].split()
    assert {Path(p).suffix for p in drawn} == {".pdf", ".png"}
    assert all(Path(p).read_bytes()[:4] in (b"%PDF", b"\x89PNG") for p in drawn)
    assert all(Path(p).stem.endswith("-slides") for p in drawn)  # those for paper stay


def test_slides_enlarge_text_and_nothing_leaves_the_figure():
    run = stored.load(Path(__file__).parent.parent / "artifacts" / "kept" / "sweep-batch" / "default")
    sizes = {}
    for name in style.SCALES:
        with style.use_scale(name):
            for made in run.figures().values():
                render.render(made, "png")
                made.draw_without_rendering()
                ends = [t.get_window_extent().x1 for t in made.texts]
                assert all(end <= made.bbox.x1 + 1 for end in ends), name
                sizes.setdefault(name, []).append(made.axes[0].yaxis.get_ticklabels()[0].get_fontsize())
    assert np.all(np.array(sizes["slides"]) > np.array(sizes["paper"]))
    with pytest.raises(UserError, match="poster"), style.use_scale("poster"):
        pass


@pytest.mark.slow
def test_animations_move_and_end_at_the_result(inside, tmp_path):
    from PIL import Image

    tiny = ["simulate", "--models", "4,3-2", "--epochs", 15, "--points", 20, "--seeds", 2, "--animate"]
    inside(*tiny)
    inside("trajectory", "--data", "digits", "--net", "6-4", "--epochs", 4, "--every", 1, "--seeds", 2, "--animate")
    for name, least in (("simulate", 10), ("trajectory", 17)):
        (path,) = tmp_path.glob(f"artifacts/{name}/*/{name}.gif")
        with Image.open(path) as moving:
            assert moving.n_frames >= least
            first = np.asarray(moving.convert("RGB")).copy()
            moving.seek(moving.n_frames - 1)
            assert not np.array_equal(first, np.asarray(moving.convert("RGB")))
    run = stored.load(path.parent.parent.parent / "simulate" / next(tmp_path.glob("artifacts/simulate/*")).name)
    np.testing.assert_allclose(run.result.frames[:, -1], run.result.prediction[:, 0, ::5], rtol=1e-5, atol=1e-6)
    assert np.ptp(run.result.frames[:, 0] - run.result.frames[:, -1]) > 0
    inside("draw", next(tmp_path.glob("artifacts/simulate/*")), "--animate")


def test_wall_time_of_a_run_that_did_not_store_it_is_only_about(tiny_run):
    run = tiny_run("classify")
    assert not report.compose([run]).sections[0].runs[0].duration.startswith("about ")
    older = {k: v for k, v in run.environment.items() if k != "wall_seconds"}  # resumed, by an earlier version
    (part,) = report.compose([dataclasses.replace(run, environment=older)]).sections[0].runs
    assert part.duration.startswith("about ")


def test_a_command_of_several_lines_stays_code():
    run = stored.load(Path(__file__).parent.parent / "artifacts" / "kept" / "simulate" / "default")
    evil = "(x #\n#<img src=q>\n)"
    changed = dataclasses.replace(run, settings=dataclasses.replace(run.settings, func=evil))
    text = load_template(TEMPLATES, "report.md").render(report=report.compose([changed]))
    lines = [line for line in text.splitlines() if "<img" in line]
    assert all(line.startswith("    ") for line in lines)


def test_a_run_without_frames_has_no_animation():
    run = stored.load(Path(__file__).parent.parent / "artifacts" / "kept" / "simulate" / "default")
    with pytest.raises(UserError, match="with `animate` and `overwrite`"):
        run.animation()


@pytest.mark.slow
def test_tensorboard_gets_the_curves_and_the_weights(inside, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    words = ["--epochs", 3, "--seeds", 1, "--tensorboard", "board", "--json"]
    inside("classify", "--data", "digits", "--models", "9", "--examples", 100, *words)
    inside("gradient-norm", "--model", "3", "--points", 20, *words)
    for path, scalar, weights in (
        ("board/classify/*/9 seed 0", "test_loss", "dense_1/kernel"),
        ("board/gradient-norm/*/3 seed 0", "gradient norm", "layer 1/kernel"),
    ):
        (folder,) = tmp_path.glob(path)
        events = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
        assert {scalar, weights} <= set(events.Tags()["tensors"])
        last = events.Tensors(scalar)[-1]
        assert last.step == 3
        value = (
            float(np.frombuffer(last.tensor_proto.tensor_content, np.float32)[0])
            if (last.tensor_proto.tensor_content)
            else last.tensor_proto.float_val[0]
        )
        if scalar == "test_loss":
            (run,) = tmp_path.glob("artifacts/classify/*")
            assert value == pytest.approx(float(stored.load(run).result.test_loss[0, 0, -1]), rel=1e-6)


@pytest.mark.slow
def test_only_trains_what_it_names_and_keeps_the_sections_that_stand(inside, tmp_path):
    """And a report of several folders takes equal runs once."""

    def sections():
        told = json.loads((tmp_path / "out" / "report-quick" / "report.json").read_text())
        return [(part["experiment"], part["heading"]) for part in told["parts"]]

    both = [("simulate", "The cardinal sine"), ("simulate", "The sign function")]
    out = ("--out", tmp_path / "out")
    text = inside("report", "--only", "simulate", *out)[1]
    assert re.search(r"1 of 2: simulate \(\d+ s\).*\n2 of 2: simulate, func sign \(\d+ s\)", text)
    figures = {p.name for p in (tmp_path / "out" / "report-quick").glob("*.png")}
    inside("report", "--only", "gradient-norm", *out)
    assert sections() == [*both, ("gradient-norm", "")]
    assert figures < {p.name for p in (tmp_path / "out" / "report-quick").glob("*.png")}
    inside("report", "--only", "simulate", "--overwrite", *out)
    assert sections() == both
    folders = f"{tmp_path / 'out'},{tmp_path / 'out'}"
    told = json.loads(inside("report", "--from-runs", folders, "--out", tmp_path / "two", "--json")[1])
    assert [part["experiment"] for part in told["parts"]] == ["simulate", "simulate", "gradient-norm"]
    (run,) = (tmp_path / "out" / "gradient-norm").iterdir()
    inside("report", "--only", "gradient-norm", *out)
    (run / "run.json").unlink()
    error = inside("report", "--only", "simulate", *out, expect=2)[1]
    assert "has a section gradient-norm whose run cannot be read" in error


def test_the_time_left_of_a_report_follows_the_speed_of_the_machine(tmp_path, tiny_run):
    from dlhw.report import builder, presets
    from dlhw.runs.runner import Outcome

    reports = []

    def run_experiment(name, *_):
        run = tiny_run(name)
        ten_seconds = {**run.environment, "wall_seconds": 10.0}
        return Outcome(tmp_path / name, dataclasses.replace(run, environment=ten_seconds))

    builder.build(
        tmp_path,
        only=["classify", "gradient-norm"],
        run_experiment=run_experiment,
        finished=lambda *values: reports.append(values),
    )
    names = "gradient-norm", "classify"
    second, first = (presets.typical_seconds(name, presets.preset_settings(name, "quick")[0]) for name in names)
    assert reports == [(1, 2, "classify", 10.0, pytest.approx(10 / first * second)), (2, 2, "gradient-norm", 10.0, 0.0)]
