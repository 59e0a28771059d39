"""`dlhw watch`: what it prints, its status, its page, without TensorFlow.

Oracles: Python's own HTML and JSON parsers, and findings that are put in place of those of the rules. Would miss: what
only eyes see.
"""

from __future__ import annotations

import contextlib
import html.parser
import io
import json
import re

import pytest

import dlhw as library
from dlhw.watch import saving
from dlhw.watch.diagnosis import Diagnosis
from dlhw.watch.display import page
from tests.test_page_in_browser import CHROMIUM, in_browser
from tests.watch.synthetic import ENVIRONMENT, training

SEVERE = Diagnosis(
    "vanishing-gradient",
    "The gradient of `dense` is 1e-9 of that of dense_2 <from the start>.",
    "severe",
    "dense",
    120,
    {"smallest_norm": 3.1e-9, "ratio": float("nan")},
    "Use relu & He initialization.",
    "Glorot and Bengio 2010",
)
WARNING = Diagnosis("update-ratio", "The median update is 0.08 of the weights.", "warning", evidence={"ratio": 0.08})
NOTE = Diagnosis("probe-small", "Set `learning_rate` with more examples.", "note")


@pytest.fixture
def findings(monkeypatch):
    """Put findings in place of those of the rules: findings(SEVERE, NOTE)."""

    def put(*diagnoses):
        monkeypatch.setattr("dlhw.watch.display.summary.diagnose", lambda settings, result: diagnoses)

    put()
    return put


@pytest.fixture
def path(tmp_path, findings):
    settings, result = training(notes=("sharpness was not measured: two outputs.",))
    return saving.save(tmp_path / "mine", settings, result, ENVIRONMENT)


class Page(html.parser.HTMLParser):
    """The tags, references and words of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.ids, self.words, self.open = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "link", "img", "br", "input", "hr"):
            self.open.append(tag)
        for name, value in attributes:
            self.links += [value] if name in ("src", "href", "srcset", "action", "data", "poster") else []
            self.ids += [value] if name == "id" else []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.words.append(data)


def test_findings_come_first_and_the_worst_decides_the_status(path, findings):
    findings(SEVERE, WARNING, NOTE)
    out = with_status(1, "watch", path)
    lines = out.splitlines()
    assert lines[0] == "severe vanishing-gradient (layer dense, batch 120)"
    assert lines[1].strip() == SEVERE.text
    assert lines[2].strip() == "What to do: Use relu & He initialization."
    assert lines[3] == "warning update-ratio"
    assert "  Set `learning_rate` with more examples." in lines  # it is the user's, and no option of this command
    assert lines[-1] == str(path / "watch.html")


def with_status(status, *words):
    """Return the output of a command that ends with this status."""
    from cli.main import app

    out = io.StringIO()
    with contextlib.redirect_stdout(out), pytest.raises(SystemExit) as ended:
        app([str(word) for word in words])
    assert int(ended.value.code or 0) == status
    return out.getvalue()


def test_without_a_severe_finding_the_status_is_zero(inside, path, findings):
    findings(WARNING, NOTE)
    _, out = inside("watch", path)
    assert out.startswith("warning update-ratio\n")
    findings()
    _, out = inside("watch", path)
    assert out.splitlines() == ["No findings: nothing that was recorded looks wrong.", str(path / "watch.html")]


def test_json_is_one_object_with_findings_and_numbers(path, findings):
    findings(SEVERE, WARNING)
    out = with_status(1, "watch", path, "--json")
    value = json.loads(out)
    assert (value["run"], value["severe"]) == (str(path), True)
    assert value["findings"][0] == {
        "severity": "severe",
        "code": "vanishing-gradient",
        "layer": "dense",
        "step": 120,
        "text": SEVERE.text,
        "remedy": SEVERE.remedy,
        "evidence": {"smallest_norm": 3.1e-9, "ratio": None},
        "source": "Glorot and Bengio 2010",
    }
    assert value["notes"] == ["sharpness was not measured: two outputs."]
    assert value["numbers"]["epochs"] == 8
    assert value["numbers"]["loss_end"] == pytest.approx(library.load(path).summary().numbers["loss_end"])
    assert (path / "watch.html").is_file()


def test_several_trainings_are_a_line_each(path, findings):
    saving.save(path.parent / "yours", *training(seed=3), ENVIRONMENT)
    findings(SEVERE, WARNING)
    out = with_status(1, "watch", path.parent)
    first = "1 severe, 1 warning: severe vanishing-gradient (layer dense, batch 120): " + SEVERE.text
    assert out.splitlines() == [f"{path.parent / name}: {first}" for name in ("mine", "yours")]
    assert (path.parent / "yours" / "watch.html").is_file()
    out = with_status(1, "watch", path.parent, "--json")
    assert [value["run"] for value in json.loads(out)] == [str(path.parent / name) for name in ("mine", "yours")]


def test_what_is_no_watched_training_is_refused_in_one_line(inside, path, tmp_path):
    simulated = library.run("simulate", models=("2",), epochs=3, points=5, seeds=1).save(tmp_path / "artifacts")
    for folder, message in (
        (tmp_path / "nowhere", "is not a folder"),
        (simulated, "is a run of simulate, no watched training"),
        (tmp_path / "artifacts", "holds no watched training"),
    ):
        _, said = inside("watch", folder, expect=2)
        assert message in said
        assert len(said.splitlines()) == 1
    (path / "arrays.npz").write_bytes(b"")
    _, said = inside("watch", path, expect=2)
    assert "was changed after it was written" in said
    assert not (path / "watch.html").exists()


def test_other_commands_read_it_too(inside, path, findings):
    findings(NOTE)
    _, out = inside("list", "--out", path.parent)
    assert str(path) in out
    assert "Set `learning_rate` with more examples." in out
    _, out = inside("show", path)
    assert "Sequential net" in out
    assert "--learning-rate" not in out
    _, out = inside("show", path, "--csv")
    assert out.splitlines()[0].startswith("layer,gradient norm at start")
    _, out = inside("draw", path, "--format", "png")
    assert str(path / "gradient-norm.png") in out
    saving.save(path.parent / "yours", *training(seed=3), ENVIRONMENT)
    _, out = inside("compare", path, path.parent / "yours", "--json")
    assert "loss on the probe: loss at batch = 400" in json.loads(out)["differences"]
    _, out = inside("report", "--from-runs", path.parent, "--json")
    assert [part["experiment"] for part in json.loads(out)["parts"]] == ["watch", "watch"]


@pytest.mark.slow
def test_no_tensorflow_is_loaded(dlhw, path):
    for words in (("watch", "--help"), ("watch", path), ("watch", path, "--json"), ("list", "--out", path.parent)):
        done = dlhw(*words, block="tensorflow keras")
        assert done.returncode == 0, done.stderr
    assert "FOLDER" in dlhw("watch", "--help", block="tensorflow keras").stdout
    assert "watch" in dlhw("--help", block="tensorflow keras").stdout


def test_the_page_is_one_file_that_asks_for_nothing(path, findings):
    findings(SEVERE, WARNING, NOTE)
    text = page.html(library.load(path))
    parsed = Page(text)
    assert not parsed.open
    for link in parsed.links:
        assert link.startswith(("data:", "#")), link[:60]
        if link.startswith("#"):
            assert link[1:] in parsed.ids
    assert not re.findall(
        r"url\((?![#'\"`]?#)|@import|https?://(?!www\.w3\.org/)", re.sub(r"data:image[^\"]*", "", text)
    )
    policy = next(a["content"] for tag, a in parsed.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    assert len(parsed.ids) == len(set(parsed.ids))


def test_the_page_shows_findings_before_curves_with_word_and_colour(path, findings):
    findings(SEVERE, WARNING, NOTE)
    text = page.html(library.load(path))
    assert text.index('id="findings"') < text.index('id="curves"') < text.index('id="layers"')
    parsed = Page(text)
    words = " ".join("".join(parsed.words).split())
    assert "The gradient of dense is 1e-9 of that of dense_2 <from the start>." in words
    assert "What to do: Use relu & He initialization." in words
    assert "layer dense, batch 120" in words
    assert "smallest norm3.1e-09" in words
    assert "docs/watch.md, vanishing-gradient" in words
    assert "sharpness was not measured: two outputs." in words
    marks = [a["class"] for tag, a in parsed.tags if tag == "li" and "class" in a]
    assert marks == ["severe", "warning", "note"]
    for severity in marks:
        assert re.search(rf'<strong class="severity">{severity}</strong>', text)
        assert re.search(rf"\.findings li\.{severity} {{ --mark: #[0-9a-f]{{6}}; }}", text)
    assert len([a for tag, a in parsed.tags if tag == "figure"]) == 6
    assert text.count('class="chart-numbers"') == 2


def test_a_page_without_findings_says_so(path):
    text = page.html(library.load(path))
    assert "Nothing was found that looks wrong." in text
    assert "<title>Sequential net: no findings</title>" in text


def test_the_page_is_the_same_twice(path, findings):
    findings(SEVERE)
    run = library.load(path)
    assert page.write(run, path).read_bytes() == page.html(run).encode()


def test_names_of_a_user_are_text(tmp_path):
    name = "<script>alert(1)</script>"
    settings, result = training(functions=(name,))
    settings = type(settings)(model=name, functions=(name,))
    result = type(result)(**{**vars(result), "layers": (name, "b", "c"), "unit_layers": (name, "b")})
    path = saving.save(tmp_path / "mine", settings, result, ENVIRONMENT)
    text = page.html(library.load(path))
    assert name not in text
    assert "<script>alert" not in text


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_charts_of_the_page_read_the_recorded_norms(path, findings, tmp_path):
    findings(SEVERE)
    text = page.html(library.load(path))
    script = """
    const f = figure("curves", 0), before = read(f);
    move(f, 7);
    return { first: all("main section")[0].id, before, after: read(f) };
    """
    value = in_browser(text, script, tmp_path)
    assert value["first"] == "findings"
    norms = training()[1].gradient_norm
    for step, reading in ((399, value["before"]), (7, value["after"])):
        assert reading["value"] == str(step)
        shown = {row[0]: float(row[1]) for row in reading["rows"]}
        assert shown == {
            name: pytest.approx(norms[step, k], rel=1e-3) for k, name in enumerate(("dense", "dense_1", "dense_2"))
        }
