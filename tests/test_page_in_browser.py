"""The interactive report page in Chromium: what it shows at every place of its sliders is what the runs hold.

A script is put into a copy of the page; it moves sliders and presses buttons, and writes what it reads as JSON. Oracle:
the arrays of the runs. Skipped without Chromium. Would miss: what only eyes see, and other browsers.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from dlhw.report import writer
from dlhw.report.composition import compose
from dlhw.runs.run import load
from tests.test_interactive import KEPT

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]
FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
FLAGS += " --disable-component-update --disable-sync --virtual-time-budget=20000 --dump-dom"
BEFORE = """<script>
const problems = [];
addEventListener("error", e => problems.push(String(e.message)));
addEventListener("securitypolicyviolation", e => problems.push(e.violatedDirective + " " + e.blockedURI));
%s
</script>"""
POLLED = """
window.IntersectionObserver = class {
  constructor(told, options) { [this.told, this.margin] = [told, parseFloat(options.rootMargin)]; }
  observe(target) {
    this.timer = setInterval(() => {
      const { top, bottom } = target.getBoundingClientRect();
      this.told([{ target, isIntersecting: top < innerHeight + this.margin && bottom > -this.margin }]);
    }, 50);
  }
  disconnect() { clearInterval(this.timer); }
};"""
"""An observer that asks by itself: under virtual time Chromium draws no frames, and often tells its own nothing."""
TOOLS = """
const figure = (section, k) => document.querySelectorAll(`#${section} figure.chart-host`)[k];
const slider = f => f.querySelector("input[type=range]");
const move = (f, k) => { const s = slider(f); s.value = k; s.dispatchEvent(new Event("input", { bubbles: true })); };
const table = f => [...f.querySelectorAll(".chart-table tbody tr")].map(row => [...row.cells].map(c => c.textContent));
const named = (f, text) => [...f.querySelectorAll("button")].find(b => b.textContent.startsWith(text));
const stops = f => [...Array(Number(slider(f).max) + 1).keys()];
const live = f => f.querySelector(".chart-unseen").textContent;
const read = f => ({ value: f.querySelector("output").textContent, rows: table(f), live: live(f) });
const visible = e => e.checkVisibility();
const all = selector => [...document.querySelectorAll(selector)];
"""


def in_browser(page, script, folder, *, width=1000, lazy=False):
    """Return what `script` returns in the page, and the problems that the browser reported."""
    before = BEFORE % (POLLED if lazy else "delete window.IntersectionObserver;")
    call = f"Promise.resolve((async () => {{ {TOOLS} {script} }})()).catch(e => ({{ failed: String(e.stack) }}))"
    out = "const pre = document.createElement('pre'); pre.id = 'out';"
    out += "pre.textContent = JSON.stringify({ value, problems }); document.body.append(pre);"
    text = page.replace("<head>", "<head>" + before, 1)
    end = text.rindex("</body>")
    text = text[:end] + f"<script>{call}.then(value => {{ {out} }});</script>" + text[end:]
    file = folder / "page.html"
    file.write_text(text, encoding="utf-8")
    shutil.rmtree(folder / "profile", ignore_errors=True)
    command = [CHROMIUM, *FLAGS.split(), f"--user-data-dir={folder / 'profile'}", f"--window-size={width},900"]
    done = subprocess.run([*command, file.as_uri()], capture_output=True, text=True, timeout=120, check=False)
    (answer,) = re.findall(r'<pre id="out">(.*?)</pre>', done.stdout, flags=re.DOTALL) or [done.stderr[-2000:]]
    made = json.loads(html.unescape(answer))
    assert made["problems"] == []
    assert not (isinstance(made["value"], dict) and "failed" in made["value"]), made["value"]
    return made["value"]


@pytest.fixture(scope="module")
def kept():
    """The kept runs by experiment and name of folder."""
    names = ("simulate", "sweep-batch", "trajectory", "minimal-ratio", "landscape", "sweep-params", "interpolate")
    folders = sorted((p.parent for p in KEPT), key=lambda p: (p.parent.name, p.name != "default", p.name))
    return {(p.parent.name, p.name): load(p) for p in folders if p.parent.name in names}


@pytest.fixture(scope="module")
def page(kept):
    """A page of kept runs, two of them of one experiment."""
    return writer.html(compose(list(kept.values())))


def shown(value):
    """A number as the page writes it: four significant digits."""
    return float(f"{value:.4g}")


def median_and_range(text):
    """'1.2 (1 to 1.3)' -> (1.2, 1, 1.3)."""
    return tuple(float(v) for v in re.findall(r"-?\d+\.?\d*(?:e[+-]?\d+)?", text))


def expected(values):
    return shown(np.median(values)), shown(values.min()), shown(values.max())


def test_interpolate_reads_loss_and_accuracy_at_every_alpha(page, kept, tmp_path):
    run = kept["interpolate", "default"]
    script = """const f = figure("interpolate", 0), read_at = [];
    for (const k of stops(f)) { move(f, k); read_at.push(read(f)); }
    return { read_at, dots: f.querySelectorAll(".chart-marker").length };"""
    got = in_browser(page, script, tmp_path)
    assert [float(at["value"]) for at in got["read_at"]] == run.result.alphas.tolist()
    assert got["dots"] == 8  # train and test, two pairs, loss and accuracy
    for k, at in enumerate(got["read_at"]):
        rows = {row[0]: row[1:] for row in at["rows"]}
        for which in ("train", "test"):
            for r in range(2):
                loss = getattr(run.result, f"{which}_loss")[r, :, k]
                accuracy = 100 * getattr(run.result, f"{which}_accuracy")[r, :, k].astype(float)
                assert median_and_range(rows[which][r]) == expected(loss)
                assert median_and_range(rows[which][2 + r]) == expected(accuracy)


def test_sweep_batch_reads_all_panels_and_the_usual_mistake(page, kept, tmp_path):
    run = kept["sweep-batch", "default"]
    script = """const f = figure("sweep-batch", 0), g = figure("sweep-batch", 1), out = [];
    for (const name of ["Right", "Usual"]) {
      named(f, name).click();
      for (let k = 0; k < 5; k++) { move(f, k); out.push([read(f), read(g)]); }
    }
    const pressed = [named(f, "Right"), named(f, "Usual")].map(b => b.getAttribute("aria-pressed"));
    return { out, pressed };"""
    got = in_browser(page, script, tmp_path)
    assert got["pressed"] == ["false", "true"]
    sizes, result = np.array(run.settings.sizes), run.result
    for n, (of_loss, of_sharpness) in enumerate(got["out"]):
        k = int(np.flatnonzero(sizes == sorted(sizes)[n % 5])[0])
        assert float(of_loss["value"]) == float(of_sharpness["value"]) == sizes[k]  # both sliders are at one place
        rows = {row[0]: row[1:] for row in of_loss["rows"]}
        assert median_and_range(rows["test"][0]) == expected(result.test_loss[k])
        assert median_and_range(rows["test"][1]) == expected(100 * (1 - result.test_accuracy[k]))
        name = "sensitivity, per example" if n < 5 else "gradient of the batch mean"
        assert set(rows) == {"train", "test", name}
        assert median_and_range(rows[name][2]) == expected((result.sensitivity, result.batch_mean_gradient)[n // 5][k])
        assert f"batch size {sizes[k]}" in of_loss["live"] or n in (0, 5)
        sharp = {row[0]: row[1:] for row in of_sharpness["rows"]}
        assert median_and_range(sharp["box ε = 0.001"][0]) == expected(result.keskar[k, :, 0])
        assert median_and_range(sharp["on training images"][1]) == expected(result.eigenvalue[k])


def test_trajectory_scrubber_moves_markers_on_all_paths(page, kept, tmp_path):
    run = kept["trajectory", "default"]
    script = """const f = figure("trajectory", 0), out = [];
    for (const k of stops(f)) {
      move(f, k);
      out.push({ ...read(f), at: [...f.querySelectorAll("svg")].slice(0, 2).map(s =>
        [...s.querySelectorAll(".chart-marker")].map(c => [+c.getAttribute("cx"), +c.getAttribute("cy")])) });
    }
    return out;"""
    got = in_browser(page, script, tmp_path)
    result = run.result
    assert [int(at["value"]) for at in got] == result.epochs.tolist()
    for k, at in enumerate(got):
        e = result.epochs[k]
        for s, row in enumerate(at["rows"]):
            accuracies = [100 * float(v[s, e]) for v in (result.train_accuracy, result.test_accuracy)]
            wanted = [result.train_loss[s, e], accuracies[0], result.test_loss[s, e], accuracies[1]]
            assert [float(v) for v in row[1:]] == [shown(v) for v in wanted]
    for p in (0, 1):  # pixels are an affine function of the stored points, with one scale for both axes
        places = np.array([at["at"][p] for at in got]).reshape(-1, 2)
        points = result.pooled[p].astype(float).transpose(1, 0, 2).reshape(-1, 2)
        across, up = (np.polyfit(points[:, i], places[:, i], 1) for i in (0, 1))
        assert across[0] == pytest.approx(-up[0], rel=1e-3)
        for i, fit in ((0, across), (1, up)):
            np.testing.assert_allclose(np.polyval(fit, points[:, i]), places[:, i], atol=0.5)


def test_minimal_ratio_views_and_two_runs_of_one_experiment(page, kept, tmp_path):
    name = next(
        f"minimal-ratio-{k + 1}"
        for k, (e, f) in enumerate(x for x in kept if x[0] == "minimal-ratio")
        if f == "stop=gradient-norm"
    )
    run = kept["minimal-ratio", "stop=gradient-norm"]
    script = f"""const f = figure("{name}", 0), out = {{}};
    const others = [1, 2, 3].map(k => figure(`minimal-ratio-${{k}}`, 0));
    const before = others.filter(o => o !== f).map(o => read(o).rows);
    for (const start of ["Right", "Usual mistake: rounding", "Usual mistake: training"]) {{
      named(f, start).click();
      out[start] = [];
      for (const k of stops(f)) {{
        move(f, k);
        out[start].push(read(f).rows[0].slice(1).map(Number));
      }}
    }}
    const after = others.filter(o => o !== f).map(o => read(o).rows);
    return {{ out, same: JSON.stringify(before) === JSON.stringify(after) }};"""
    got = in_browser(page, script, tmp_path)
    assert got["same"]
    strict = np.array(got["out"]["Usual mistake: rounding"])
    ratio = (run.result.eigenvalues > 0).mean(axis=1)
    seeds = (strict[:, 3] - run.settings.seed).astype(int)
    assert strict[:, 0].tolist() == sorted(strict[:, 0])
    assert sorted(seeds) == list(range(100))
    assert strict[:, 1].tolist() == [shown(v) for v in run.result.loss[seeds]]
    np.testing.assert_allclose(strict[:, 0], ratio[seeds], rtol=1e-4)
    path = np.array(got["out"]["Usual mistake: training"])
    at = (path[:, 3] - run.settings.seed).astype(int)
    assert path[:, 2].tolist() == [shown(v) for v in run.result.path_norm[at]]


OWN = [
    ("0.5\n0.25\n0.125", [3, "1", "0.5"]),
    ("0.5 0.25 0.125", [3, "1", "0.5"]),
    ("epoch, loss\n10, 0.5\n20, 2.5e-1", [2, "10", "0.5"]),
    ("10;0,5\n20;0,25", [2, "10", "0.5"]),
    ("20 0.25\n10 0.5", [2, "10", "0.5"]),
    ("1, 0.5\n2, abc", "Line 2: “abc” is not a number."),
    ("1, 0.5\n2", "Line 2 has 1 numbers, and the first has 2: give as many in every line."),
    ("1 2 3\n4 5 6", "There are 3 numbers in a line: give one, or two with a comma between them."),
    ("", "There are no numbers yet: give one a line, or two with a comma between them."),
    ("1, 0\n2, 0.5", "1 of your numbers are drawn; 1 are not positive, and the axis is logarithmic."),
    ("inf", "Line 1: “inf” is not a number."),
    ("<img src=x onerror=alert(1)>", "Line 1: “<img” is not a number."),
]
"""What readers may type, and what the page answers: a sentence, or how many numbers it draws and the first of them."""


def test_own_numbers(page, tmp_path):
    script = """const f = figure("simulate", 0), own = f.querySelector("details.chart-own"), out = [];
    const rows = () => table(f).filter(row => row[0] === "your numbers");
    for (const text of TEXTS) {
      own.querySelector("textarea").value = text;
      const buttons = own.querySelectorAll("button");
      buttons[0].click();
      const status = own.querySelector("[role=status]").textContent;
      const dots = f.querySelectorAll("svg .chart-dot").length;
      let first = null;
      for (const k of rows().length ? stops(f) : []) {
        move(f, k);
        if (rows()[0][1] !== "–") { first = [f.querySelector("output").textContent, rows()[0][1]]; break; }
      }
      buttons[1].click();
      out.push({ status, dots, first, left: rows().length });
    }
    return { out, images: all("details img").length };"""
    got = in_browser(page, script.replace("TEXTS", json.dumps([text for text, _ in OWN])), tmp_path)
    assert got["images"] == 0
    for (text, answer), seen in zip(OWN, got["out"], strict=True):
        assert seen["left"] == 0
        if isinstance(answer, str):
            assert seen["status"] == answer, text
        else:
            count, place, value = answer
            assert seen["status"] == f"{count} of your numbers are drawn."
            assert seen["dots"] == count
            assert seen["first"] == [place, value]


def test_images_on_the_line_change_with_alpha(tiny_run, tmp_path):
    run = tiny_run("interpolate")
    script = """const f = figure("interpolate", 0), out = [];
    for (const k of stops(f)) {
      move(f, k);
      out.push([...f.querySelectorAll(".chart-examples li span")].map(s => [s.className, s.textContent]));
    }
    const data = c => c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
    const pixels = [...f.querySelectorAll("canvas")].map(c => [...data(c)]);
    return { out, pixels };"""
    got = in_browser(writer.html(compose([run])), script, tmp_path)
    result = run.result
    for e, pixels in enumerate(got["pixels"]):
        np.testing.assert_array_equal(np.array(pixels)[0::4], result.example_images[e].ravel())
    for k, answers in enumerate(got["out"]):
        for e, (kind, text) in enumerate(answers):
            probabilities = result.example_probabilities[0, k, e]
            best = int(probabilities.argmax())
            mark, number = text[:3].split()
            assert int(number) == best
            assert float(text[3:]) == shown(float(probabilities[best]))
            assert (kind == "chart-right") == (mark == "✓") == (best == result.example_labels[e])


def test_chart_and_picture_and_the_surface(page, kept, tmp_path):
    script = """const f = figure("simulate", 0), out = {};
    const state = () => [visible(f.querySelector("img")), visible(f.querySelector(".chart-body"))];
    out.first = state();
    named(f, "Picture").click(); out.picture = state();
    named(f, "Chart").click(); out.chart = state();
    const surfaces = [1, 2, 3, 4].map(k => all(`#landscape-${k} figure.chart-host`).find(g => named(g, "Surface")));
    out.before = all("iframe").length;
    surfaces.forEach(g => { named(g, "Surface").click(); named(g, "Surface").click(); });
    out.frames = all("iframe").map(i => [i.getAttribute("sandbox"), i.srcdoc, i.title]);
    out.labels = all(".chart input, .chart select, .chart textarea").filter(i => !i.labels.length).length;
    out.ids = all("[id]").length - new Set(all("[id]").map(e => e.id)).size;
    return out;"""
    got = in_browser(page, script, tmp_path)
    assert got["first"] == got["chart"] == [False, True]
    assert got["picture"] == [True, False]
    assert got["before"] == 0
    assert len(got["frames"]) == 4
    runs = [run for (name, _), run in kept.items() if name == "landscape"]
    for (sandbox, document, title), run in zip(got["frames"], runs, strict=True):
        assert sandbox == "allow-scripts"
        assert not re.search("%(TITLE|NOTE|DATA)%", document)
        data = json.loads(re.findall(r'id="data">(.*?)</script>', document)[0])
        assert data["nets"][0]["loss"][0][0] == shown(run.result.loss[0, 0, 0])
        assert html.escape(title) in document
    assert got["labels"] == got["ids"] == 0


def test_the_page_fits_a_phone_and_draws_only_what_is_seen(page, tmp_path):
    script = """const built = () => document.querySelectorAll(".chart-panels").length;
    await new Promise(done => setTimeout(done, 500));
    const first = built(), figures = all("figure.chart-host").length;
    document.querySelector("#trajectory figure").scrollIntoView();
    for (let k = 0; k < 150 && built() <= first; k++) await new Promise(done => setTimeout(done, 100));
    return { first, figures, then: built(), there: document.querySelectorAll("#trajectory .chart-panels").length,
      wide: document.documentElement.scrollWidth - innerWidth };"""
    got = in_browser(page, script, tmp_path, width=500, lazy=True)
    assert got["first"] < got["then"] <= got["figures"]
    assert got["there"] >= 1
    assert got["wide"] <= 0


def newest_page(name):
    """The page of the kept default run of one experiment."""
    return writer.html(compose([load(next(p.parent for p in KEPT if p.parts[-3:-1] == (name, "default")))]))


def test_names_of_levels_do_not_cover_one_another(tmp_path):
    script = """await document.fonts.ready;
    return [...figure("edge", 0).querySelectorAll(".chart-labels")].map(group => [...group.children].map(text => {
      const box = text.getBoundingClientRect();
      return [text.textContent, box.left, box.right, box.top, box.bottom];
    }));"""
    _, levels, _ = in_browser(newest_page("edge"), script, tmp_path, width=500)
    assert [name for name, *_ in levels] == ["20", "10", "8", "6.67"]  # 2 over the learning rates
    for k, (_, left, right, top, bottom) in enumerate(levels):
        for _, left_2, right_2, top_2, bottom_2 in levels[:k]:
            assert right <= left_2 or right_2 <= left or bottom - 3 <= top_2 or bottom_2 - 3 <= top


def test_a_legend_names_every_set_of_points_once(tmp_path):
    script = """const f = figure("scoreboard", 0); named(f, "Chart").click();
    return [...f.querySelectorAll(".chart-legend span")].map(e => e.textContent);"""
    assert in_browser(newest_page("scoreboard"), script, tmp_path) == ["width 0.5", "width 1", "width 2"]
